"""Media: what somebody uploaded, until and after it is part of a post."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from fedishare.model.ids import Id, Millis
from fedishare.model.posts import Attachment


class MediaState(IntEnum):
    """How far the making of a file is."""

    READY = 0
    WAITING = 1
    FAILED = 2


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """Sizes in pixels, length in seconds, and where the eye should rest (-1 to 1, from the centre, up and right)."""

    width: int = 0
    height: int = 0
    preview_width: int = 0
    preview_height: int = 0
    seconds: float = 0.0
    rate: str = ""
    focus: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Media:
    """An upload. ``file`` and ``preview`` are names of our own files; of a waiting one, ``file`` is what came in."""

    id: Id
    owner_id: Id
    post_id: Id | None
    kind: str
    state: MediaState
    file: str | None
    media_type: str
    preview: str | None
    blurhash: str | None
    description: str | None
    facts: MediaFacts
    kept_until: Millis
    """While it is part of no post."""

    def attachment(self, origin: str) -> Attachment:
        """As it stands in a post. Its address has no ticket: that is for each reader."""
        facts = self.facts
        return Attachment(
            url=f"{origin}/media/{self.file}",
            media_type=self.media_type,
            kind=self.kind,
            description=self.description,
            width=facts.width or None,
            height=facts.height or None,
            blurhash=self.blurhash,
            focus=facts.focus,
            preview_url=f"{origin}/media/{self.preview}" if self.preview else None,
            id=self.id,
            preview_size=(facts.preview_width, facts.preview_height) if facts.preview_width else None,
            seconds=facts.seconds,
            rate=facts.rate,
        )


@dataclass(frozen=True, slots=True)
class Kept:
    """A file that has been made and written: its name, and what is known of it."""

    name: str
    media_type: str
    size: int
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class Work:
    """What became of an upload: the file, its preview, the blur; for films and sounds their length in seconds."""

    kind: str
    original: Kept
    preview: Kept | None = None
    blurhash: str | None = None
    seconds: float = 0.0
    rate: str = ""


@dataclass(frozen=True, slots=True)
class FilesDropped:
    """There are files that no row needs any more."""
