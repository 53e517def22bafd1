"""What only this server answers: under ``/api/v1/fedishare`` and ``/api/activitypub``."""

from __future__ import annotations

from typing import Any, Literal

from tests.api.mastodon.base import Address, Count, Entity, Moment, Number, Visibility
from tests.api.mastodon.statuses import Mention, Unreached


class Alias(Entity, kw_only=True):
    id: Number
    acct: str
    uri: Address


class Archive(Entity, kw_only=True):
    id: Number | None
    state: Literal["none", "waiting", "ready", "failed"]
    created_at: Moment | None
    finished_at: Moment | None
    expires_at: Moment | None
    size: Count
    url: Address | None


class Import(Entity, kw_only=True):
    id: Number
    type: Literal["following", "blocking", "muting", "domain_blocking", "bookmarks", "lists"]
    state: Literal["in_progress", "finished"]
    total: Count
    done: Count
    failed: Count
    created_at: Moment


class ReachedPartner(Entity, kw_only=True):
    domain: str
    people: Count
    allowed: bool
    rule: str
    reason: str


class Audience(Entity, kw_only=True):
    visibility: Visibility
    reach: str | list[str]
    instance: str
    local_people: Count
    everybody_here: bool
    anybody: bool
    partners: list[ReachedPartner]
    mentions: list[Mention]
    unreached: list[Unreached]
    narrowed: list[str]


Document = dict[str, Any]
"""An ActivityStreams object: its own tests look into it."""
