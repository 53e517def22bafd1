"""The audience decision as SQL: the same rule as `fedishare.policy.audience.can_see`, for queries over many posts.

Each fragment expects ``p`` (post) and ``a`` (its author) in scope and the parameter ``:viewer`` (a local person's id).
"""

from __future__ import annotations

VISIBLE = """(p.author_id = :viewer AND a.state < 2 OR (a.state < 2 AND (
    p.visibility <= 1
    OR (p.visibility = 2 AND EXISTS (SELECT 1 FROM follow vf
        WHERE vf.follower_id = :viewer AND vf.followee_id = p.author_id AND vf.state = 1))
    OR EXISTS (SELECT 1 FROM mention vm WHERE vm.post_id = p.id AND vm.actor_id = :viewer))
  AND NOT EXISTS (SELECT 1 FROM block vb WHERE vb.actor_id = p.author_id AND vb.target_id = :viewer)))"""
"""What the local person ``:viewer`` may see."""

WANTED = """NOT EXISTS (SELECT 1 FROM block wb WHERE wb.actor_id = :viewer AND wb.target_id = p.author_id)
  AND NOT EXISTS (SELECT 1 FROM mute wm WHERE wm.actor_id = :viewer AND wm.target_id = p.author_id
      AND (wm.expires_at IS NULL OR wm.expires_at > :now))
  AND (a.domain IS NULL OR NOT EXISTS (SELECT 1 FROM domain_block wd
      WHERE wd.actor_id = :viewer AND wd.domain = a.domain))"""
"""What ``:viewer`` wants to see in timelines: nobody that they block or mute, nor of a domain that they block. Wants
``:now``. It is no part of who may see a post: what one has the address of, one can still open."""

TRAVELS = """(p.local = 1 AND a.state < 2 AND p.visibility <= 1
  AND (p.reach = 'partners' OR ',' || p.reach || ',' LIKE '%,' || :domain || ',%'))"""
"""What any actor of the partner ``:domain`` may see: our public and unlisted posts whose reach includes it."""

OPEN = "(p.local = 1 AND a.state < 2 AND p.visibility = 0 AND p.reach = 'partners')"
"""What anybody may see where ``web.public_pages`` is on: `fedishare.policy.audience.open_to_anybody` as SQL."""
