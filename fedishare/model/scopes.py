"""OAuth scopes: which coarse one includes a finer one."""

from __future__ import annotations


def coarser_scope(scope: str) -> str:
    """``read`` for ``read:statuses``, ``admin:read`` for ``admin:read:accounts``; a coarse one is its own."""
    head, _, rest = scope.partition(":")
    return f"{head}:{rest.partition(':')[0]}" if head == "admin" else head
