"""The one audience decision: who may see a post, and how far it may travel.

`can_see` is the rule; ``fedishare.store.audience`` holds the same rule as SQL, and a property test keeps the two equal.
Hidden looks like missing. Unknown is never public.
"""

from __future__ import annotations

from dataclasses import dataclass

from fedishare.model.ids import Domain, Id
from fedishare.model.posts import LOCAL, PARTNERS, Reach, Visibility


@dataclass(frozen=True, slots=True)
class Seer:
    """Who looks. Local people have no domain; a partner's actor has one, and no ``actor_id`` while it is unknown."""

    actor_id: Id | None
    domain: Domain | None = None


@dataclass(frozen=True, slots=True)
class AudienceFacts:
    """What the decision is made from."""

    author_id: Id
    author_active: bool
    author_local: bool
    visibility: Visibility
    reach: Reach
    follows_author: bool
    """The seer's follow of the author is accepted."""
    mentioned: bool
    blocked: bool
    """The author blocks the seer."""


def can_see(seer: Seer, facts: AudienceFacts) -> bool:
    """Whether ``seer`` may see the post.

    A partner's actor never sees posts that are not ours (we pass nothing on), nor any beyond the post's reach.
    """
    if seer.actor_id is not None and seer.actor_id == facts.author_id:
        return facts.author_active
    if not facts.author_active or facts.blocked:
        return False
    if seer.domain is not None and not (facts.author_local and facts.reach.allows(seer.domain)):
        return False
    if facts.visibility in (Visibility.PUBLIC, Visibility.UNLISTED):
        return True
    if facts.visibility is Visibility.PRIVATE:
        return facts.follows_author or facts.mentioned
    return facts.visibility is Visibility.DIRECT and facts.mentioned


def open_to_anybody(author_active: bool, author_local: bool, visibility: Visibility, reach: Reach) -> bool:
    """Whether somebody who is not signed in may see the post, where ``web.public_pages`` is on.

    Only what its author labelled with the widest of both labels: "local" stays inside, and named partners are named.
    """
    return author_active and author_local and visibility is Visibility.PUBLIC and reach == PARTNERS


def answer_reach(wanted: Reach, answered: Reach, answered_local: bool, answered_domain: Domain | None) -> Reach:
    """The reach of a reply or boost: never further than what it answers.

    What a partner wrote may be answered towards that partner alone, because we do not know who else got it.
    """
    if answered_local:
        return wanted.narrowed(answered)
    if answered_domain is None:
        return LOCAL
    return wanted.narrowed(Reach(frozenset({answered_domain})))


def answer_visibility(wanted: Visibility, answered: Visibility) -> Visibility:
    """The visibility of a reply: never wider than what it answers."""
    return max(wanted, answered)
