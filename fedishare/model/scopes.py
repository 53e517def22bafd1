"""OAuth scopes: those that exist, and which coarse one includes a finer one."""

from __future__ import annotations

COARSE = ("read", "write", "follow", "push", "profile", "admin:read", "admin:write")
_BOTH = ("accounts", "blocks", "bookmarks", "favourites", "filters", "follows", "lists", "mutes", "notifications",
         "statuses")  # fmt: skip
_ADMIN = ("accounts", "reports", "domain_allows", "domain_blocks", "ip_blocks", "email_domain_blocks",
          "canonical_email_blocks")  # fmt: skip
FINER = (
    *(f"read:{noun}" for noun in (*_BOTH, "search")),
    *(f"write:{noun}" for noun in (*_BOTH, "conversations", "media", "reports")),
    *(f"admin:{verb}:{noun}" for verb in ("read", "write") for noun in _ADMIN),
)


def coarser_scope(scope: str) -> str:
    """``read`` for ``read:statuses``, ``admin:read`` for ``admin:read:accounts``; a coarse one is its own."""
    head, _, rest = scope.partition(":")
    return f"{head}:{rest.partition(':')[0]}" if head == "admin" else head
