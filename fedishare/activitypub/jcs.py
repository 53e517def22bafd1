"""Canonical JSON (RFC 8785): one spelling for each document, so that it can be hashed.

Keys are sorted by UTF-16 code units, strings are escaped as little as possible, and numbers are written as ECMAScript
writes them, because the scheme treats every number as an IEEE double.
"""

from __future__ import annotations

import math
from json.encoder import encode_basestring
from typing import Final

from fedishare.model.errors import SignatureError, SignatureReason

MAX_DEPTH: Final = 64
_MAX_SAFE: Final = 2**53


def canonical(value: object) -> bytes:
    """The canonical form of a JSON value as UTF-8. Raises `SignatureError` (malformed) for what has none.

    That is: infinities, not-a-number, integers beyond a double, unpaired surrogates, keys that are no strings,
    nesting deeper than 64, and values that are not JSON.
    """
    out: list[str] = []
    _write(value, out, 0)
    try:
        return "".join(out).encode()
    except UnicodeEncodeError as error:
        raise _no_form("a string with an unpaired surrogate") from error


def _no_form(what: str) -> SignatureError:
    return SignatureError(f"{what} has no canonical JSON form", reason=SignatureReason.MALFORMED)


def _write(value: object, out: list[str], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise _no_form(f"a document deeper than {MAX_DEPTH}")
    if isinstance(value, str):
        out.append(encode_basestring(value))
    elif value is None:
        out.append("null")
    elif isinstance(value, bool):
        out.append("true" if value else "false")
    elif isinstance(value, int | float):
        out.append(write_number(value))
    elif isinstance(value, dict):
        _write_object(value, out, depth)
    elif isinstance(value, list | tuple):
        out.append("[")
        for index, item in enumerate(value):
            if index:
                out.append(",")
            _write(item, out, depth + 1)
        out.append("]")
    else:
        raise _no_form(f"a value of type {type(value).__name__}")


def _write_object(value: dict[object, object], out: list[str], depth: int) -> None:
    names = [name for name in value if isinstance(name, str)]
    if len(names) != len(value):
        raise _no_form("a key that is not a string")
    out.append("{")
    for index, name in enumerate(sorted(names, key=_code_units)):
        out.append("," if index else "")
        out.append(encode_basestring(name))
        out.append(":")
        _write(value[name], out, depth + 1)
    out.append("}")


def _code_units(text: str) -> bytes:
    return text.encode("utf-16-be", "surrogatepass")


def write_number(value: int | float) -> str:
    """A number as ECMAScript's Number::toString writes it (RFC 8785, 3.2.2.3). Raises `SignatureError`."""
    if isinstance(value, int) and -_MAX_SAFE <= value <= _MAX_SAFE:
        return str(value)
    try:
        number = float(value)
    except OverflowError as error:
        raise _no_form("an integer beyond the range of a double") from error
    if not math.isfinite(number):
        raise _no_form("an infinite number, or not-a-number,")
    if number == 0:
        return "0"
    sign = "-" if number < 0 else ""
    # repr gives the shortest digits that read back as the same double, which is what ECMAScript wants too.
    mantissa, _, exponent = repr(abs(number)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    point = len(whole) + int(exponent or 0)
    padded = whole + fraction
    digits = padded.lstrip("0")
    point -= len(padded) - len(digits)
    return sign + _place_point(digits.rstrip("0"), point)


def _place_point(digits: str, point: int) -> str:
    """``0.digits × 10**point`` in ECMAScript's choice of notation (ECMA-262, Number::toString)."""
    count = len(digits)
    if count <= point <= 21:
        return digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    rest = f".{digits[1:]}" if count > 1 else ""
    return f"{digits[0]}{rest}e{point - 1:+d}"
