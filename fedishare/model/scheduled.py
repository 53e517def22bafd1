"""A scheduled status: a post that its author wants to be published later."""

from __future__ import annotations

from dataclasses import dataclass

from fedishare.model.ids import Id, Millis
from fedishare.model.posts import Draft


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A post for later. ``poll_seconds`` is how long its poll lasts once it is published."""

    id: Id
    owner_id: Id
    at: Millis
    draft: Draft
    created_at: Millis
    poll_seconds: int = 0
    key: str | None = None
    """The app's Idempotency-Key."""
    failed: str | None = None
    """Why it could not be published when its time had come. It waits for its author then."""
