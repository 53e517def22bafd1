"""Terms: what is searched, in one writing for both engines, and in the words of each of them.

A query is terms with spaces between, all of which have to hold. A term may begin with ``!`` (none of it); it is
alternatives with ``|``, each of which is words with ``+`` (one right after the other), the last of them perhaps with
``*`` (it may go on). Words have no other character than letters, signs, digits, ``:`` and ``_``; still each one is
quoted, so that nothing in it can mean anything to an engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

LAST_PLACE = 16_383
"""The highest place that a vector of PostgreSQL can hold."""


def terms(query: str | None) -> list[tuple[bool, list[str]]]:
    """The terms of a query, as (negative, alternatives)."""
    found = []
    for term in (query or "").split():
        body = term.removeprefix("!")
        if body:
            found.append((body != term, [each for each in body.split("|") if each.strip("*+")]))
    return [(negative, alternatives) for negative, alternatives in found if alternatives]


def fts5_query(query: str | None) -> str:
    """A query in FTS5's words."""
    wanted = [_either(each, " OR ", _fts5_phrase) for negative, each in terms(query) if not negative]
    others = [_either(each, " OR ", _fts5_phrase) for negative, each in terms(query) if negative]
    return " NOT ".join((f"({' AND '.join(wanted)})" if wanted else '""', *others))


def tsquery(query: str | None) -> str:
    """A query in PostgreSQL's words."""
    return " & ".join(
        ("!" if negative else "") + _either(alternatives, " | ", _ts_phrase) for negative, alternatives in terms(query)
    )


def tsvector(words: str | None) -> str:
    """Words as PostgreSQL's text for a vector with their places; those with a colon have none."""
    return " ".join(
        _ts_quoted(word) if ":" in word else f"{_ts_quoted(word)}:{min(place, LAST_PLACE)}"
        for place, word in enumerate((words or "").split(), 1)
        if word != ":"
    )


def _either(alternatives: Iterable[str], word: str, phrase: Callable[[str], str]) -> str:
    return f"({word.join(map(phrase, alternatives))})"


def _fts5_phrase(phrase: str) -> str:
    words = phrase.rstrip("*").replace('"', "").replace("+", " ")
    return f'"{words}"{" *" if phrase.endswith("*") else ""}'


def _ts_phrase(phrase: str) -> str:
    words = " <-> ".join(_ts_quoted(word) for word in phrase.rstrip("*").split("+") if word)
    return f"({words}{':*' if phrase.endswith('*') else ''})"


def _ts_quoted(word: str) -> str:
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"
