"""Matching: whether a text has words or phrases in it that somebody does not want to read.

Case does not matter, nor how a letter with accents is written. A whole word ends where letters, marks, digits and
connectors end, in any script; a phrase that itself ends with another character needs no border there. Phrases are
looked for as they are, never as patterns, so what a person types costs no more than its length times that of the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

MAX_TEXT = 20_000
"""Characters of a text that are looked at."""

_WORDS = re.compile(r"\w+")
_CATEGORIES = frozenset(("Mn", "Mc", "Me", "Pc"))


def folded(text: str) -> str:
    """The comparing form of a text."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def _in_word(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character) in _CATEGORIES


@dataclass(frozen=True, slots=True)
class Phrase:
    """What is looked for, in its comparing form; ``left`` and ``right`` tell whether it must begin and end a word."""

    text: str
    left: bool
    right: bool

    @classmethod
    def of(cls, text: str, *, whole_word: bool) -> Phrase:
        """A phrase as a person typed it."""
        found = " ".join(folded(text).split())
        return cls(found, bool(whole_word and found and _in_word(found[0])),
                   bool(whole_word and found and _in_word(found[-1])))  # fmt: skip

    def found_in(self, text: str) -> bool:
        """Whether it is in a text, which is in its comparing form."""
        if not self.text:
            return False
        at = text.find(self.text)
        if not (self.left or self.right):
            return at >= 0
        while at >= 0:
            end = at + len(self.text)
            inside = self.left and at > 0 and _in_word(text[at - 1])
            if not inside and not (self.right and end < len(text) and _in_word(text[end])):
                return True
            # Nothing begins a word before the one that it stands in ends.
            rest = _WORDS.match(text, at) if inside else None
            at = text.find(self.text, max(at + 1, rest.end() if rest is not None else 0))
        return False


@dataclass(frozen=True, slots=True)
class Matcher:
    """Phrases that are looked for together."""

    phrases: tuple[Phrase, ...]

    @classmethod
    def of(cls, phrases: Iterable[tuple[str, bool]]) -> Matcher:
        """From texts as they were typed, each with whether it stands for whole words."""
        return cls(tuple(Phrase.of(text, whole_word=whole) for text, whole in phrases))

    def found_in(self, parts: Iterable[str]) -> tuple[int, ...]:
        """The numbers of the phrases that are in a text, whose parts never join to one phrase."""
        text = "\n".join(" ".join(folded(part[:MAX_TEXT]).split()) for part in parts)[:MAX_TEXT]
        return tuple(number for number, phrase in enumerate(self.phrases) if phrase.found_in(text))
