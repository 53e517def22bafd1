"""Strict JSON: the only way in for bytes of other servers, and the way out for ours.

Two readers of one document must never see two things, so whatever parsers disagree about is refused: duplicate
keys, NaN and Infinity, a byte order mark, broken UTF-8, lone surrogates, NUL in strings, integers beyond 64 bits.
Depth, size and number of values are capped, so that nobody downstream needs to fear recursion or a flood [R38].
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from fedishare.model.errors import BadDocument, TooLarge

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_ITEMS = 20_000
INT_LIMIT = 1 << 63

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def loads(body: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH, max_items: int = MAX_ITEMS) -> Any:
    """Parse one JSON document into dict, list, str, int, float, bool or None.

    ``max_depth`` counts nested objects and lists, ``max_items`` all members and elements together. Raises
    `TooLarge` over ``max_bytes`` or ``max_items``, and `BadDocument` for everything else that is refused.
    """
    if len(body) > max_bytes:  # spec: R39 — before parsing
        raise TooLarge(f"a document of at most {max_bytes} bytes was expected, found {len(body)}")
    try:
        value = _decode(body)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise BadDocument(f"strict JSON in UTF-8 was expected: {error}") from error
    except RecursionError as error:
        raise _too_deep(max_depth) from error
    keys = _count_keys(value, max_depth, max_items)
    if keys and not _surely_unique(body, keys):
        _refuse_duplicates(body)
    if b"\\u0000" in body and _has_nul(value):
        raise BadDocument("a string with a NUL character is not accepted")
    return value


def dumps(value: object) -> bytes:
    """Write JSON, compact, in UTF-8, keys in the order given."""
    return _encode(value)


def _too_deep(max_depth: int) -> BadDocument:
    return BadDocument(f"a document nested at most {max_depth} deep was expected, found a deeper one")


def _count_keys(root: object, max_depth: int, max_items: int) -> int:
    """The number of object members. Level by level, so that depth costs no stack. Caps depth, items and integers."""
    keys = items = 0
    level: list[Any] = [root] if root.__class__ is dict or root.__class__ is list else [[root]]
    for _ in range(max_depth):
        deeper: list[Any] = []
        for node in level:
            items += len(node)
            if node.__class__ is dict:
                keys += len(node)
                node = node.values()
            for value in node:
                kind = value.__class__
                if kind is dict or kind is list:
                    deeper.append(value)
                elif kind is int and not -INT_LIMIT <= value < INT_LIMIT:
                    raise BadDocument("an integer of at most 64 bits was expected, found a larger one")
        if items > max_items:
            raise TooLarge(f"a document of at most {max_items} values was expected")
        if not deeper:
            return keys
        level = deeper
    raise _too_deep(max_depth)


def _surely_unique(body: bytes, keys: int) -> bool:
    """Whether no key can occur twice in its object; False means: look closely.

    When no white space stands before any colon, each key in the text ends in ``":``. So there are at most as many
    keys in the text as there are ``":``, and if the parser kept that many, it dropped none.
    """
    if b"\n" in body or b"\t" in body or b"\r" in body or b" :" in body:
        return False
    return body.count(b'":') == keys


def _refuse_duplicates(body: bytes) -> None:
    def unique(pairs: list[tuple[str, Any]]) -> None:
        seen = set()
        for key, _ in pairs:
            if key in seen:
                raise BadDocument(f"each key once per object was expected, found {key[:80]!r} twice")
            seen.add(key)

    json.loads(body.decode(), object_pairs_hook=unique)


def _has_nul(root: object) -> bool:
    waiting: list[Any] = [root]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str) and "\0" in value:
            return True
        if isinstance(value, dict):
            waiting.extend(value)
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    return False
