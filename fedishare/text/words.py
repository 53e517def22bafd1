"""Words: how text is folded and split for search. Both engines are given these words, and split nothing themselves.

Case, accents and width do not count, so that "zurich" finds "Zürich". Scripts that are written without spaces (Chinese,
Japanese, Korean, Thai …) become pairs of neighbouring characters, whose sequence finds any part of a text; each single
character is there too, behind the text. Signs such as emoji are words of their own. See ADR 18.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

import regex

from fedishare.text.characters import clean_text

MAX_WORD = 60
"""Characters of a word that count; of those that are longer the beginning is compared."""
MAX_WORDS = 8_000
"""Words of one text that are taken in, so that a text of a megabyte costs what a long article costs."""
BREAK = ":"
"""Stands between the parts of a text (warning, body, options), so that no phrase reaches from one into the next."""

_PLAIN = re.compile("[a-z0-9]+")
_SPACELESS = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\u30fc"
_WORD = regex.compile(
    rf"(?V1)([{_SPACELESS}]+)|([[\p{{L}}\p{{M}}\p{{N}}]--[{_SPACELESS}]]+)|(\p{{Extended_Pictographic}})"
)
# Accents of Latin, Greek and Cyrillic, and the vowel signs that Hebrew and Arabic are usually written without. Marks of
# other scripts are letters as good as any.
_ACCENTS = re.compile("[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c7\u0640\u064b-\u065f\u0670]")
_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u2060\ufe00-\ufe0f\ufeff]")
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h"})


def fold(text: str) -> str:
    """``text`` without what does not count when words are compared."""
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKC", _UNSEEN.sub("", text)).casefold().translate(_LETTERS)
    return unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFD", text)))


def words(text: str) -> list[str]:
    """The words of a text, in order: what is compared, without any character that an engine could misread."""
    folded = fold(clean_text(text))
    if folded.isascii():
        found = _PLAIN.findall(folded)
    else:
        found = []
        for spaceless, word, sign in _WORD.findall(folded, concurrent=False):
            found.extend(_pairs(spaceless) if spaceless else (word or sign,))
    return [word[:MAX_WORD] for word in found]


def _pairs(run: str) -> Iterable[str]:
    return (run,) if len(run) == 1 else (run[at : at + 2] for at in range(len(run) - 1))


def index_text(parts: Iterable[str], facts: Iterable[str] = ()) -> str:
    """What an engine keeps of a text in several parts: its words with spaces, then ``facts`` (words with a colon)."""
    kept: list[str] = []
    for part in parts:
        if part:
            kept += (*words(part), BREAK)
    del kept[MAX_WORDS:]
    singles = dict.fromkeys(character for word in kept if is_pair(word) for character in word)
    return " ".join((*kept, *singles, *facts))


def is_pair(word: str) -> bool:
    """Whether a word is two characters of a script without spaces."""
    return len(word) == 2 and not word.isascii() and _WORD.match(word, concurrent=False)[1] == word
