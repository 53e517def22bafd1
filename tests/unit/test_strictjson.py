"""Bytes of other servers become values in one way only, or not at all."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fedishare.activitypub import strictjson
from fedishare.model.errors import BadDocument, FedishareError, TooLarge

MAX_DEPTH = 5
MAX_ITEMS = 40


def reference(body: bytes) -> Any:
    """The same rules, slow and obvious; raises ValueError."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) != len(pairs):
            raise ValueError("duplicate key")
        return dict(pairs)

    def no_constant(name: str) -> None:
        raise ValueError(name)

    def check(value: Any, depth: int) -> int:
        if isinstance(value, str) and ("\0" in value or any("\ud800" <= c <= "\udfff" for c in value)):
            raise ValueError("character")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise ValueError("integer")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError("float")
        if isinstance(value, dict | list):
            if depth == 0:
                raise ValueError("depth")
            members = list(value.values()) if isinstance(value, dict) else value
            for key in value if isinstance(value, dict) else ():
                check(key, depth)
            return len(members) + sum(check(member, depth - 1) for member in members)
        return 0

    value = json.loads(body.decode("utf-8"), object_pairs_hook=unique, parse_constant=no_constant)
    if check(value, MAX_DEPTH) > MAX_ITEMS:
        raise ValueError("items")
    return value


def outcome(body: bytes) -> str:
    try:
        return repr(strictjson.loads(body, max_depth=MAX_DEPTH, max_items=MAX_ITEMS))
    except FedishareError as error:
        assert isinstance(error, BadDocument | TooLarge)
        return "refused"


def expected(body: bytes) -> str:
    try:
        return repr(reference(body))
    except (ValueError, RecursionError):
        return "refused"


# Pieces from which valid, nearly valid and broken documents come about equally often.
_space = st.sampled_from(["", "", "", " ", "\n", "\t", "\r\n", "\x0c"])
_key = st.sampled_from(['"a"', '"b"', '"\\u0061"', '"a\\":"', '"\\u0022:"', '"x :"', '""', '"ü"'])
_number = st.sampled_from(
    ["1", "-0", "1.5", "1e3", "1e400", "01", "9223372036854775807", "9223372036854775808", "-9223372036854775809"]
)
_word = st.sampled_from(["12345678901234567890123", "true", "null", "NaN", "-Infinity", "nul", "'a'"])
_string = st.sampled_from(
    ['"t"', '"\\":"', '" : "', '"\\ud83d\\ude00"', '"\\ud83d"', '"\\udc00x"', '"\\u0000"', '"\\\\u0000"', '"\x00"']
)
_scalar = _number | _word | _string


def _containers(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    member = st.tuples(_key, _space, _space, inner, _space).map(lambda m: f"{m[0]}{m[1]}:{m[2]}{m[3]}{m[4]}")
    objects = st.lists(member, max_size=4).map(lambda members: "{" + ",".join(members) + "}")
    lists = st.lists(inner, max_size=12).map(lambda values: "[" + ", ".join(values) + "]")
    return objects | lists


_text = st.recursive(_scalar, _containers, max_leaves=20)
_bodies = st.one_of(
    _text.map(str.encode),
    st.tuples(_text.map(str.encode), st.integers(0, 400), st.binary(max_size=2)).map(
        lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + 1 :]
    ),
    st.binary(max_size=30),
)


@settings(deadline=None, max_examples=600)
@given(_bodies)
@example(b'{"a":1,"a":2,"b" :3}')
@example(b'{"a":1,"a":2,"b\\u0022:":3}')
@example(b'{"a":1,"\\u0061":2}')
@example(b'\xef\xbb\xbf{"a":1}')
@example(b'{"a":"\xed\xa0\x80"}')
@example(b"[[[[[1]]]]]")
@example(b"[[[[[[1]]]]]]")
def test_agrees_with_the_obvious_reader(body: bytes) -> None:
    assert outcome(body) == expected(body)


def test_duplicate_keys_hide_nowhere() -> None:
    for spare in ('"x":1', '"x" :1', '"x"\n:1', '"\\":":1', '"x":"\\":\\":"', '"x":"a :b"'):
        assert isinstance(strictjson.loads(b'{"a":{"b":1},%s}' % spare.encode()), dict)
        with pytest.raises(BadDocument, match="twice"):
            strictjson.loads(b'{"a":{"b":1,"b":1},%s}' % spare.encode())


@pytest.mark.spec("R38")
def test_depth_is_capped_without_recursion() -> None:
    assert strictjson.loads(b"[" * 32 + b"]" * 32)
    with pytest.raises(BadDocument, match="32 deep"):
        strictjson.loads(b"[" * 33 + b"]" * 33)
    with pytest.raises(BadDocument, match="32 deep"):
        strictjson.loads(b'{"a":' * 150_000)


@pytest.mark.spec("R39")
def test_size_and_number_of_values_are_capped() -> None:
    body = b'{"content":"' + b"x" * (strictjson.MAX_BYTES - 14) + b'"}'
    assert strictjson.loads(body)
    with pytest.raises(TooLarge):
        strictjson.loads(body + b" ")
    assert strictjson.loads(b"[" + b"0," * 19_999 + b"0]")
    with pytest.raises(TooLarge):
        strictjson.loads(b"[" + b"0," * 20_000 + b"0]")


@pytest.mark.spec("R29")
@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe{}", b'"\xff"', b"<html>", b'{"a":1}x', b"[1,]", b"{'a':1}"])
def test_unreadable_json_is_the_peers_fault(body: bytes) -> None:
    with pytest.raises(BadDocument, match="expected"):
        strictjson.loads(body)


@settings(deadline=None, max_examples=100)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(exclude_characters="\0")),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab:\" '"), inner, max_size=3),
        max_leaves=10,
    )
)
def test_what_is_written_can_be_read(value: object) -> None:
    assert strictjson.loads(strictjson.dumps(value)) == value
