"""Filters: what a person does not want to read, where, and what is done about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag

from fedishare.model.ids import Id, Millis


class Context(IntFlag):
    """Where a filter counts. The words are those of the client API."""

    NOWHERE = 0
    HOME = 1
    NOTIFICATIONS = 2
    PUBLIC = 4
    THREAD = 8
    ACCOUNT = 16

    @property
    def words(self) -> tuple[str, ...]:
        """The client API's words."""
        return tuple(each.name.lower() for each in Context if each in self and each.name)


CONTEXTS = {str(each.name).lower(): each for each in Context if each}
"""Each context by the client API's word."""


class FilterAction(IntEnum):
    """What is done with a post that a filter fits."""

    WARN = 0
    HIDE = 1
    BLUR = 2

    @property
    def word(self) -> str:
        """The client API's word."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Keyword:
    """A word or phrase; whole words only, or anywhere."""

    id: Id
    phrase: str
    whole_word: bool


@dataclass(frozen=True, slots=True)
class FilteredPost:
    """One post that somebody does not want to see."""

    id: Id
    post_id: Id


@dataclass(frozen=True, slots=True)
class Filter:
    """Keywords and posts under one title."""

    id: Id
    owner_id: Id
    title: str
    context: Context
    action: FilterAction
    expires_at: Millis | None
    keywords: tuple[Keyword, ...] = ()
    posts: tuple[FilteredPost, ...] = ()
