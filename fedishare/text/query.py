"""Queries: what people type into the search box, as clauses that all have to hold. Pure, and never an error.

Words, ``"phrases"``, ``-not`` and Mastodon's operators. What looks like an operator and is none (``has:cats``,
``before:soon``) is searched as words: nobody is refused for what they write.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, timedelta

from fedishare.text.characters import clean_text
from fedishare.text.words import words

MAX_QUERY = 1_000
"""Characters that are read."""
MAX_CLAUSES = 32
MAX_PHRASE = 64

EVERYTHING = "is:post"
"""The word that every post has, for queries that only say what is not wanted."""
HAS = frozenset(("media", "image", "video", "audio", "poll", "link", "embed"))
IS = frozenset(("reply", "sensitive"))
FIRST_YEAR = 1970
LAST_DAY = date(2200, 1, 1)
"""Nothing is of a later day; so a range has some hundred words, and not thousands."""

_QUOTES = str.maketrans(dict.fromkeys("“”„‟«»＂", '"'))
_PIECE = re.compile(r'([+-]?)(?:([A-Za-z]{2,8}):)?(?:"([^"]*)(?:"|\Z)|([^\s"]+))')
_DAY = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})\Z")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,3}\Z")
_NAME = re.compile(r"@?[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}(?:@[^\s@]{1,253})?\Z")

Phrase = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Clause:
    """One of these phrases is in the text; with ``negative`` none of them. ``prefix``: their last words may go on."""

    phrases: tuple[Phrase, ...]
    negative: bool = False
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class Author:
    """``from:``: a handle as written, or ``me``."""

    name: str
    negative: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """What somebody searches for. All of it has to hold; an empty query finds nothing."""

    clauses: tuple[Clause, ...] = ()
    authors: tuple[Author, ...] = ()
    library: bool | None = None
    """True: only what one has to do with oneself; False: only the rest."""
    since: date | None = None
    """Nothing older is wanted; said by the clauses too, and known beforehand it saves the look."""

    def __bool__(self) -> bool:
        return bool(self.clauses or self.authors or self.library is not None)


def parse(text: str) -> Query:
    """Read a query. Never raises."""
    query = Query()
    for match in _PIECE.finditer(clean_text(text)[:MAX_QUERY].translate(_QUOTES)):
        sign, name, quoted, word = match.groups()
        value = quoted if quoted is not None else word
        changed = _operator(query, name.lower(), value.strip(), sign == "-") if name else None
        if changed is None:
            changed = _plus(query, _phrase(f"{name or ''} {value}"), sign == "-")
        query = changed
        if len(query.clauses) + len(query.authors) >= MAX_CLAUSES:
            break
    return query


def _phrase(text: str) -> Phrase:
    return tuple(words(text)[:MAX_PHRASE])


def _plus(query: Query, phrase: Phrase, negative: bool) -> Query:
    if not phrase:
        return query
    clause = Clause((phrase,), negative)
    return query if clause in query.clauses else replace(query, clauses=(*query.clauses, clause))


def _operator(query: Query, name: str, value: str, negative: bool) -> Query | None:
    """The query with one more condition; None when it is no operator after all."""
    lowered = value.lower()
    if (name == "has" and lowered in HAS) or (name == "is" and lowered in IS):
        return _plus(query, (f"{name}:{lowered}",), negative)
    if name == "from" and _NAME.match(value):
        return replace(query, authors=(*query.authors, Author(value.removeprefix("@"), negative)))
    if name == "language" and _LANGUAGE.match(value):
        return _plus(query, (f"language:{lowered.replace('-', '_')}",), negative)
    if name == "in" and lowered in ("all", "public", "library"):
        return _place(query, lowered, negative)
    day = _day(value) if name in ("before", "after", "during") else None
    return None if day is None else _dated(query, name, day, negative)


def _place(query: Query, place: str, negative: bool) -> Query:
    if place == "public":
        return _plus(query, ("is:public",), negative)
    if place == "library":
        return replace(query, library=not negative)
    return _plus(query, (EVERYTHING,), negative)


def _day(text: str) -> date | None:
    match = _DAY.match(text)
    if match is None:
        return None
    try:
        found = date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return None
    return min(found, LAST_DAY) if found.year >= FIRST_YEAR else None


def _dated(query: Query, name: str, day: date, negative: bool) -> Query:
    """Posts have words for their year, month and day: a range is a few dozen of them, and no sorting by date."""
    if name == "during":
        query = _plus(query, (day_word(day),), negative)
        return query if negative else _since(query, day)
    # "after" a day is what is neither of that day nor from before it.
    after = name == "after"
    end = day + timedelta(days=1) if after else day
    clause = Clause(tuple((word,) for word in words_before(end)), negative != after)
    if clause.phrases:
        query = replace(query, clauses=(*query.clauses, clause))
    elif not after and not negative:
        query = _plus(query, (EVERYTHING,), True)  # nothing is before the first day
    return _since(query, end) if after != negative else query


def _since(query: Query, day: date) -> Query:
    return replace(query, since=day if query.since is None else max(day, query.since))


def day_word(day: date) -> str:
    """The word of a day."""
    return f"day:{day:%Y%m%d}"


def date_words(day: date) -> tuple[str, str, str]:
    """The words that a post of that day has."""
    return f"year:{day.year}", f"month:{day.year}{day.month:02d}", day_word(day)


def words_before(day: date) -> list[str]:
    """Words that posts from before ``day`` have, each post one of them: whole years, months and days."""
    return [
        *(f"year:{year}" for year in range(FIRST_YEAR, day.year)),
        *(f"month:{day.year}{month:02d}" for month in range(1, day.month)),
        *(day_word(day.replace(day=number)) for number in range(1, day.day)),
    ]
