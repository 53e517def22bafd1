"""Structured fields (RFC 8941): the part that `Signature-Input`, `Signature` and `Content-Digest` are written in.

Every parsed member keeps the text that it was read from, because a signature base takes the parameters over as they
were written (RFC 9421, 2.5) and a second serialisation could differ. The parser is stricter than RFC 8941 in three
places, always where a lenient reading would let two readers see different things: keys may not repeat, base64 must
be canonical, and the length is limited.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from fedishare.model.errors import SignatureError, SignatureReason

MAX_FIELD = 16_384
"""The longest field value, in characters, that is parsed at all."""


class Token(str):
    """A token (RFC 8941, 3.3.4): a bare word, which is not the same as a quoted string."""

    __slots__ = ()


Bare = bool | int | Decimal | str | bytes
"""A bare item. Tokens are `Token`, strings are plain `str`, byte sequences are `bytes`."""


@dataclass(frozen=True, slots=True)
class Item:
    """A bare value with its parameters. ``text`` is the source, parameters included."""

    value: Bare
    params: Mapping[str, Bare]
    text: str


@dataclass(frozen=True, slots=True)
class InnerList:
    """A list in parentheses with its parameters. ``text`` is the source, parameters included."""

    items: tuple[Item, ...]
    params: Mapping[str, Bare]
    text: str


_KEY = re.compile(r"[a-z*][a-z0-9_.*-]*")
_BARE = re.compile(
    r'"(?P<string>(?:[ !#-\[\]-~]|\\["\\])*)"'
    r"|:(?P<bytes>[A-Za-z0-9+/=]*):"
    r"|(?P<decimal>-?[0-9]{1,12}\.[0-9]{1,3})(?![0-9.])"
    r"|(?P<integer>-?[0-9]{1,15})(?![0-9.])"
    r"|\?(?P<boolean>[01])"
    r"|(?P<token>[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*)"
)
_ESCAPE = re.compile(r'\\(["\\])')
_SPACES = re.compile(r" *")
_COMMA = re.compile(r"[ \t]*,[ \t]*")


def malformed(message: str) -> SignatureError:
    """The error for a header that cannot be read."""
    return SignatureError(message, reason=SignatureReason.MALFORMED)


def decode_base64(text: str) -> bytes:
    """Bytes of canonical, padded base64. Raises `SignatureError` (malformed) for anything else."""
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise malformed(f"base64 was expected, found {text[:40]!r}") from error
    # Unused bits of the last character must be zero, else one signature would have several spellings.
    if binascii.b2a_base64(data, newline=False) != text.encode():
        raise malformed(f"canonical base64 was expected, found {text[-8:]!r} at the end")
    return data


def parse_dictionary(text: str) -> dict[str, Item | InnerList]:
    """Read a dictionary (RFC 8941, 3.2): key to item or inner list, in the order of the text.

    Raises `SignatureError` (malformed) unless the whole text is one non-empty dictionary without repeated keys.
    """
    if len(text) > MAX_FIELD:
        raise malformed(f"the field has {len(text)} characters; the limit is {MAX_FIELD}")
    text = text.strip(" ")
    if not text:
        raise malformed("a structured dictionary was expected, found nothing")
    members: dict[str, Item | InnerList] = {}
    position = 0
    while True:
        key, position = _key(text, position)
        if key in members:
            raise malformed(f"the key {key!r} occurs twice")
        members[key], position = _member(text, position)
        if position == len(text):
            return members
        comma = _COMMA.match(text, position)
        if comma is None:
            raise _unexpected(text, position, "a comma")
        position = comma.end()


def write_string(value: str) -> str:
    """A quoted string (RFC 8941, 4.1.6). Raises `SignatureError` for characters that cannot be in one."""
    if not value.isascii() or not value.isprintable():
        raise malformed(f"a string of printable ASCII was expected, found {value[:80]!r}")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def write_bytes(value: bytes) -> str:
    """A byte sequence (RFC 8941, 4.1.8)."""
    return f":{binascii.b2a_base64(value, newline=False).decode()}:"


def _unexpected(text: str, position: int, wanted: str) -> SignatureError:
    found = repr(text[position : position + 12]) if position < len(text) else "the end"
    return malformed(f"{wanted} was expected at position {position}, found {found}")


def _key(text: str, position: int) -> tuple[str, int]:
    match = _KEY.match(text, position)
    if match is None:
        raise _unexpected(text, position, "a key")
    return match.group(), match.end()


def _member(text: str, position: int) -> tuple[Item | InnerList, int]:
    if text.startswith("=(", position):
        return _inner_list(text, position + 1)
    if text.startswith("=", position):
        return _item(text, position + 1)
    # A key alone is true, with its parameters (RFC 8941, 3.2).
    params, end = _params(text, position)
    return Item(True, params, text[position:end]), end


def _item(text: str, position: int) -> tuple[Item, int]:
    value, after = _bare(text, position)
    params, end = _params(text, after)
    return Item(value, params, text[position:end]), end


def _inner_list(text: str, start: int) -> tuple[InnerList, int]:
    items: list[Item] = []
    position = start + 1
    while True:
        spaces = _SPACES.match(text, position)
        after = spaces.end() if spaces else position
        if text.startswith(")", after):
            break
        if items and after == position:
            raise _unexpected(text, position, "a space or ')'")
        item, position = _item(text, after)
        items.append(item)
    params, end = _params(text, after + 1)
    return InnerList(tuple(items), params, text[start:end]), end


def _params(text: str, position: int) -> tuple[dict[str, Bare], int]:
    params: dict[str, Bare] = {}
    while text.startswith(";", position):
        spaces = _SPACES.match(text, position + 1)
        key, position = _key(text, spaces.end() if spaces else position + 1)
        if key in params:
            raise malformed(f"the parameter {key!r} occurs twice")
        if text.startswith("=", position):
            params[key], position = _bare(text, position + 1)
        else:
            params[key] = True
    return params, position


def _bare(text: str, position: int) -> tuple[Bare, int]:
    match = _BARE.match(text, position)
    if match is None:
        raise _unexpected(text, position, "a value")
    kind = match.lastgroup
    value: Bare = match.group(kind or 0)
    found = str(value)
    if kind == "string":
        value = _ESCAPE.sub(r"\1", found) if "\\" in found else found
    elif kind == "integer":
        value = int(found)
    elif kind == "bytes":
        value = decode_base64(found)
    elif kind == "boolean":
        value = found == "1"
    elif kind == "decimal":
        value = Decimal(found)
    else:
        value = Token(found)
    return value, match.end()
