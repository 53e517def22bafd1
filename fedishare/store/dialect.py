"""Dialect: the only place where the two SQLs differ.

Queries are written in one text, migrations in another, both with a few tokens, and translated once per query.

====================  ===========================================  ======================================
written               SQLite                                       PostgreSQL
====================  ===========================================  ======================================
``:name``             the same                                     ``$1``
``:name IS NULL``     the same                                     a flag of its own, as NULL has no type
``IN :names[]``       ``IN (SELECT value FROM json_each(:names))`` ``= ANY($1)``
``NOT IN :names[]``   ``NOT IN (SELECT …)``                        ``<> ALL($1)``
``MATCHES :query``    ``MATCH :query``, in FTS5's words            ``@@ CAST($1 AS tsquery)``
``WORDS(:words)``     ``:words``                                   ``CAST($1 AS tsvector)``
``{rowid}``           ``rowid``: the key of a table of words       ``id``
``{skip_locked}``     nothing                                      ``FOR UPDATE SKIP LOCKED``
``{greatest}(a, b)``  ``max(a, b)``                                ``GREATEST(a, b)``
``{least}(a, b)``     ``min(a, b)``                                ``LEAST(a, b)``
``{json:col:key}``    ``json_extract(col, '$.key')``               ``(col::json->>'key')``
``{id}``              ``INTEGER PRIMARY KEY``                      ``BIGINT PRIMARY KEY``
``{int}``             ``INTEGER``                                  ``BIGINT``
``{text}``            ``TEXT``                                     ``TEXT COLLATE "C"``
``{blob}``            ``BLOB``                                     ``BYTEA``
``{without_rowid}``   ``WITHOUT ROWID``                            nothing
====================  ===========================================  ======================================

Lines between ``-- only sqlite:`` (or ``-- only postgres:``) and ``-- end`` are for that engine alone: in migrations,
and where a full-text index is asked, because the engines walk theirs in different ways. What is searched is written for
both alike, see `fedishare.store.terms`.
Things to keep in mind while writing one text for both: there are no booleans (write ``flag = 1``), ``max(NULL, x)``
is NULL but ``GREATEST(NULL, x)`` is x, LIKE differs in case and wants its ``ESCAPE``, and an upsert from SELECT
needs a WHERE.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import msgspec

from fedishare.store.db import Sql
from fedishare.store.terms import fts5_query, tsquery, tsvector

Engine = Literal["sqlite", "postgres"]
_Kind = Literal["value", "list", "is null", "query", "words"]

_BY_KIND: Mapping[_Kind, Callable[[Any], Any]] = {
    "value": lambda value: value,
    "list": lambda values: list(values or ()),
    "is null": lambda value: int(value is None),
    "query": tsquery,
    "words": tsvector,
}

_WORDS: Mapping[Engine, Mapping[str, str]] = {
    "sqlite": {
        "skip_locked": "",
        "greatest": "max",
        "least": "min",
        "id": "INTEGER PRIMARY KEY",
        "int": "INTEGER",
        "text": "TEXT",
        "blob": "BLOB",
        "without_rowid": "WITHOUT ROWID",
        "rowid": "rowid",
    },
    "postgres": {
        "skip_locked": "FOR UPDATE SKIP LOCKED",
        "greatest": "GREATEST",
        "least": "LEAST",
        "id": "BIGINT PRIMARY KEY",
        "int": "BIGINT",
        "text": 'TEXT COLLATE "C"',
        "blob": "BYTEA",
        "without_rowid": "",
        "rowid": "id",
    },
}

_LEXICON = re.compile(
    r"""
      (?P<plain> '(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ | ::)
    | \b(?P<not>NOT\s+)? IN \s+ :(?P<list>[a-z_]\w*)\[\]
    | :(?P<nullable>[a-z_]\w*) \s+ IS \s+ (?P<is_not>NOT\s+)? NULL\b
    | \b MATCHES \s+ :(?P<matched>[a-z_]\w*)
    | \b WORDS \( :(?P<words>[a-z_]\w*) \)
    | :(?P<name>[a-z_]\w*)
    | \{(?P<token>[^{}]*)\}
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_VALUES = re.compile(
    r"(?P<before>INSERT\s+INTO\s.*\bVALUES\s*)(?P<row>\([^()'\"]*(?:\([^()'\"]*\)[^()'\"]*)*\))"
    r"(?P<after>(?:\s*ON\s+CONFLICT\b[^'\"]*\bDO\s+NOTHING)?\s*)\Z",
    re.IGNORECASE | re.DOTALL,
)
_PLACE = re.compile(r"\$([0-9]+)")
_JSON = re.compile(r"json:([a-z_][\w.]*):([a-z_]\w*)\Z", re.IGNORECASE)
_FORK = re.compile(r"^[ \t]*-- only (\w+):[ \t]*\n(.*?)^[ \t]*-- end[ \t]*$\n?", re.MULTILINE | re.DOTALL)
_PIECE = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ | \$(\w*)\$.*?\$\1\$ | ;""", re.VERBOSE | re.DOTALL
)
_TRIGGER = re.compile(r"\s*CREATE\s+(TEMP\s+|TEMPORARY\s+)?TRIGGER\b.*\bBEGIN\b", re.IGNORECASE | re.DOTALL)
_TRIGGER_END = re.compile(r";\s*END\s*\Z", re.IGNORECASE)

Bind = Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True, slots=True)
class Statement:
    """A query in an engine's own words; ``bind`` turns named values to what its driver wants."""

    text: str
    bind: Bind
    names: tuple[str, ...]
    multiple: Callable[[int], str] | None = None
    """The text that inserts so many rows at once, where that means the same as one after another (PostgreSQL)."""


class Statements(dict[Sql, Statement]):
    """Each query's translation for one engine, made when it is first run."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine

    def __missing__(self, query: Sql) -> Statement:
        statement = self[query] = translate(query.text, self._engine)
        return statement


def translate(text: str, engine: Engine) -> Statement:
    """One query. Raises `ValueError` for a token that does not exist."""
    text = _only(text, engine)
    return _sqlite(text) if engine == "sqlite" else _postgres(text)


def _sqlite(text: str) -> Statement:
    names: dict[str, None] = {}
    changed: dict[str, Callable[[Any], Any]] = {}

    def one(match: re.Match[str]) -> str:
        if match["list"]:
            names[match["list"]] = None
            changed[match["list"]] = _json_list
            return f"{match['not'] or ''}IN (SELECT value FROM json_each(:{match['list']}))"
        if match["nullable"] or match["name"]:
            names[match["nullable"] or match["name"]] = None
            return match[0]
        if match["matched"]:
            names[match["matched"]] = None
            changed[match["matched"]] = fts5_query
            return f"MATCH :{match['matched']}"
        if match["words"]:
            names[match["words"]] = None
            return f":{match['words']}"
        return match["plain"] or _word(match["token"], "sqlite")

    translated = _LEXICON.sub(one, text).strip()
    return Statement(translated, _changing_binder(changed) if changed else _as_given, tuple(names))


def _postgres(text: str) -> Statement:
    places: dict[tuple[str, _Kind], int] = {}

    def place(name: str, kind: _Kind = "value") -> str:
        return f"${places.setdefault((name, kind), len(places) + 1)}"

    def one(match: re.Match[str]) -> str:
        if match["list"]:
            return f"{'<> ALL' if match['not'] else '= ANY'}({place(match['list'], 'list')})"
        if match["nullable"]:
            return f"({place(match['nullable'], 'is null')} = {0 if match['is_not'] else 1})"
        if match["name"]:
            return place(match["name"])
        if match["matched"]:
            return f"@@ CAST({place(match['matched'], 'query')} AS tsquery)"
        if match["words"]:
            return f"CAST({place(match['words'], 'words')} AS tsvector)"
        return match["plain"] or _word(match["token"], "postgres")

    translated = _LEXICON.sub(one, text).strip()
    return Statement(
        translated,
        _positional_binder(tuple(places)),
        tuple(name for name, _ in places),
        _multiple(translated, len(places)),
    )


def _multiple(text: str, size: int) -> Callable[[int], str] | None:
    """A plain INSERT … VALUES can take many rows. Not DO UPDATE: it refuses to meet one row twice."""
    found = _VALUES.match(text)
    if not found or "$" in found["before"] or "$" in found["after"]:
        return None
    before, row, after = found["before"], found["row"], found["after"]

    @lru_cache(32)
    def text_for(count: int) -> str:
        rows = (_PLACE.sub(lambda match, base=n * size: f"${int(match[1]) + base}", row) for n in range(count))
        return f"{before}{', '.join(rows)}{after}"

    return text_for


def _word(token: str | None, engine: Engine) -> str:
    word = _WORDS[engine].get(token or "")
    if word is not None:
        return word
    found = _JSON.match(token or "")
    if not found:
        raise ValueError(f"{{{token}}} is no token of this dialect; see fedishare/store/dialect.py for those that are")
    column, key = found.groups()
    return f"json_extract({column}, '$.{key}')" if engine == "sqlite" else f"({column}::json->>'{key}')"


def _as_given(params: Mapping[str, Any]) -> Mapping[str, Any]:
    return params


def _changing_binder(changed: Mapping[str, Callable[[Any], Any]]) -> Bind:
    def bind(params: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**params, **{name: change(params[name]) for name, change in changed.items()}}

    return bind


def _json_list(values: Iterable[Any] | None) -> str:
    found = list(values or ())
    if found and isinstance(found[0], bytes):
        raise TypeError("a list parameter can hold numbers or text, not bytes")
    return msgspec.json.encode(found).decode()


def _positional_binder(places: tuple[tuple[str, _Kind], ...]) -> Bind:
    if all(kind == "value" for _, kind in places):
        names = tuple(name for name, _ in places)
        return lambda params: [params[name] for name in names]
    return lambda params: [_BY_KIND[kind](params[name]) for name, kind in places]


def ddl_statements(text: str, engine: Engine) -> list[str]:
    """The statements of a migration for one engine, tokens replaced. Raises `ValueError` for an unknown token."""
    replaced = re.sub(r"\{(\w+)\}", lambda match: _word(match[1], engine), _only(text, engine))
    return _split(replaced)


def _only(text: str, engine: Engine) -> str:
    """Without the lines that are for other engines."""

    def fork(match: re.Match[str]) -> str:
        if match[1] not in _WORDS:
            raise ValueError(f"'-- only {match[1]}:' names no engine; sqlite and postgres exist")
        return match[2] if match[1] == engine else ""

    return _FORK.sub(fork, text) if "-- only" in text else text


def _split(text: str) -> list[str]:
    """Cut at semicolons outside of strings, comments, dollar quotes and trigger bodies."""
    found: list[str] = []
    start = 0
    for match in _PIECE.finditer(text):
        if match[0] != ";":
            continue
        piece = text[start : match.start()]
        if _TRIGGER.match(_bare(piece)) and not _TRIGGER_END.search(_bare(piece)):
            continue
        found.append(piece.strip())
        start = match.end()
    found.append(text[start:].strip())
    return [piece for piece in found if _bare(piece)]


def _bare(piece: str) -> str:
    """Without comments."""
    return re.sub(r"--[^\n]*|/\*.*?\*/", "", piece, flags=re.DOTALL).strip()
