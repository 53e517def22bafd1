"""A preview card: what a page says of itself, for showing beside a link to it."""

from __future__ import annotations

from dataclasses import dataclass

from fedishare.model.ids import Id, Millis


@dataclass(frozen=True, slots=True)
class Preview:
    """What stands in a page's head, as plain text within limits. ``image_url`` is absolute, and not looked at yet."""

    title: str
    description: str = ""
    language: str | None = None
    provider_name: str = ""
    author_name: str = ""
    author_url: str = ""
    published_at: str | None = None
    """``2026-01-31T12:00:00.000Z``."""
    image_url: str | None = None
    image_description: str = ""


@dataclass(frozen=True, slots=True)
class CardImage:
    """The picture of a card: a file of ours, its size in pixels, and its blur."""

    file: str
    media_type: str
    width: int
    height: int
    blurhash: str


@dataclass(frozen=True, slots=True)
class Card:
    """A page as it was read at one time."""

    id: Id
    url: str
    preview: Preview
    image: CardImage | None
    fetched_at: Millis
