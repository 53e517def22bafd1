"""Notices between processes: the wire form of what has just changed, for PostgreSQL's NOTIFY."""

from __future__ import annotations

from dataclasses import fields

import msgspec

from fedishare.model import activities

_KINDS = {
    kind.__name__: kind
    for kind in (
        activities.JobsQueued,
        activities.PostPublished,
        activities.PostEdited,
        activities.PostRemoved,
        activities.Notified,
        activities.NotificationsMerged,
        activities.FiltersChanged,
        activities.ConversationChanged,
        activities.ActorChanged,
        activities.PolicyChanged,
        activities.TokenRevoked,
        activities.AccessChanged,
        activities.AnnouncementChanged,
    )
}
LONGEST = 7_000


class Codec:
    """Notices as JSON lists: the kind's name, then its fields in order."""

    def encode(self, notice: object) -> str | None:
        """The text, or None for what concerns this process only."""
        name = type(notice).__name__
        kind = _KINDS.get(name)
        if kind is None:
            return None
        text = msgspec.json.encode([name, *(getattr(notice, f.name) for f in fields(kind))]).decode()
        return text if len(text) <= LONGEST else None

    def decode(self, text: str) -> object | None:
        """The notice, or None for text that this version does not understand."""
        try:
            name, *values = msgspec.json.decode(text, type=list[object])
            kind = _KINDS.get(str(name))
            return kind(*(tuple(v) if isinstance(v, list) else v for v in values)) if kind else None  # type: ignore[arg-type]
        except (msgspec.DecodeError, TypeError, ValueError):
            return None


CODEC = Codec()
