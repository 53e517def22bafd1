"""Reading: TOML tables to typed tables, key by key, so that every problem is found and not only the first.

msgspec checks each value against its key's type; its words are turned into ours, with what was found and a guess at
what was meant.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import Struct
from msgspec.structs import FieldInfo, fields

from fedishare.model.errors import ConfigError

S = TypeVar("S", bound=Struct)

_WORDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "null": "nothing",
}
_EXPECTED = re.compile(r"Expected `([^`]+)`(?: (>=|<=|<|>) (\S+))?")
_AT = re.compile(r" - at `\$(.*)`$")


class Report:
    """The problems found so far, in order, one for each key path."""

    def __init__(self) -> None:
        self._found: dict[str, str] = {}
        self._spoiled: set[str] = set()
        self._fields: dict[type[Struct], dict[str, FieldInfo]] = {}

    def add(self, path: str, sentence: str) -> None:
        """Note a problem; a path keeps its first one."""
        self._found.setdefault(path, sentence)

    def spoil(self, path: str) -> None:
        """The value at ``path`` is not to be looked at: what is wrong with it has been said at another path."""
        self._spoiled.add(path)

    def ok(self, *paths: str) -> bool:
        """Whether nothing is wrong at these paths yet, so that a check of several of them makes sense."""
        return not any(path in self._found or path in self._spoiled for path in paths)

    def fields_of(self, kind: type[Struct]) -> Mapping[str, FieldInfo]:
        """The keys of a table. Found once for all tables of a kind: a file may have hundreds of partners."""
        found = self._fields.get(kind)
        if found is None:
            found = self._fields[kind] = {item.name: item for item in fields(kind)}
        return found

    @property
    def problems(self) -> tuple[tuple[str, str], ...]:
        """(key path, sentence) pairs."""
        return tuple(self._found.items())

    def error(self, name: str) -> ConfigError:
        """All of it as one error. ``name`` is the file's."""
        problems = self.problems
        width = min(max((len(path) for path, _ in problems), default=0), 44)
        head = f"{name}: {len(problems)} problem{'s' if len(problems) != 1 else ''}"
        lines = [f"  {path:<{width}}   {sentence}" for path, sentence in problems]
        return ConfigError("\n".join([head, *lines]), problems)


def read_table(
    kind: type[S],
    raw: object,
    path: str,
    report: Report,
    *,
    private: bool = False,
    elsewhere: Mapping[str, str] | None = None,
) -> S:
    """One table. What is wrong is reported, and stands at its default (or empty) in the result.

    ``private`` values are never repeated in a message; ``elsewhere`` says for a foreign key where it belongs.
    """
    known = report.fields_of(kind)
    if not isinstance(raw, dict):
        report.add(path, f"expected a table, found {shown(raw, private=private)}")
        raw = None
    values: dict[str, Any] = {}
    for key, value in (raw or {}).items():
        if key not in known:
            report.add(_join(path, key), unknown(key, known, elsewhere))
            continue
        try:
            values[key] = msgspec.convert(value, known[key].type)
        except msgspec.ValidationError as error:
            where, sentence = _sentence(str(error), known[key].type, value, private=private)
            report.add(_join(path, key) + where, sentence)
            report.spoil(_join(path, key))
    for name, item in known.items():
        if item.required and name not in values:
            if raw is not None:
                report.add(_join(path, name), "is missing")
            report.spoil(_join(path, name))
            values[name] = ""
    return kind(**values)


def unknown(key: str, known: Iterable[str], elsewhere: Mapping[str, str] | None = None) -> str:
    """The sentence for a key that is not known."""
    if elsewhere and key in elsewhere:
        return f"unknown key; {elsewhere[key]}"
    close = difflib.get_close_matches(key, list(known), 1, 0.6)
    return f'unknown key; did you mean "{close[0]}"?' if close else "unknown key"


def shown(value: object, *, private: bool = False) -> str:
    """A found value, short, as TOML would write it."""
    if private:
        return "something else"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "an empty list" if not value else "a list"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "…" + ('"' if isinstance(value, str) else "")


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _sentence(message: str, kind: Any, value: object, *, private: bool) -> tuple[str, str]:
    """msgspec's message as (path below the key, our sentence)."""
    at = _AT.search(message)
    where = at.group(1) if at else ""
    found = shown(_inside(value, where), private=private)
    words = _choices(kind)
    if words and not where:
        close = difflib.get_close_matches(value, words, 1, 0.6) if isinstance(value, str) else []
        guess = f'; did you mean "{close[0]}"?' if close else ""
        return where, f"expected {_one_of(words)}, found {found}{guess}"
    match = _EXPECTED.match(message)
    if match is None:
        return where, f"{message.removesuffix(at.group(0)) if at else message}, found {found}"
    wanted = " or ".join(_WORDS.get(name.strip(), name.strip()) for name in match.group(1).split("|"))
    bound = {">=": " of at least ", "<=": " of at most ", ">": " above ", "<": " below "}.get(match.group(2) or "", "")
    return where, f"expected {wanted}{bound}{match.group(3) or ''}, found {found}"


def _inside(value: object, where: str) -> object:
    """The element of a list that msgspec points at."""
    index = re.match(r"\[(\d+)\]", where)
    if index and isinstance(value, list) and int(index.group(1)) < len(value):
        return value[int(index.group(1))]
    return value


def _choices(kind: Any) -> list[str]:
    """The words that a type allows, when it is a choice of words."""
    if get_origin(kind) is Literal:
        return [str(word) for word in get_args(kind)]
    return [word for part in get_args(kind) for word in _choices(part)]


def _one_of(words: list[str]) -> str:
    quoted = [f'"{word}"' for word in words]
    return quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + " or " + quoted[-1]
