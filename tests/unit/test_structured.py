"""Structured fields: the examples of RFC 8941 are read, everything else is one kind of error."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fedishare.activitypub.structured import (
    MAX_FIELD,
    InnerList,
    Item,
    Token,
    decode_base64,
    parse_dictionary,
    write_bytes,
    write_string,
)
from fedishare.model.errors import SignatureError, SignatureReason

KEYS = st.from_regex(r"[a-z*][a-z0-9_.*-]{0,9}", fullmatch=True)
STRINGS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


def test_the_examples_of_rfc_8941() -> None:
    read = parse_dictionary('en="Applepie", da=:w4ZibGV0w6ZydGU=:')
    assert [(key, member.value) for key, member in read.items() if isinstance(member, Item)] == [
        ("en", "Applepie"),
        ("da", "Æbletærte".encode()),
    ]
    flags = parse_dictionary("a=?0, b, c; foo=bar")
    assert flags == {
        "a": Item(False, {}, "?0"),
        "b": Item(True, {}, ""),
        "c": Item(True, {"foo": Token("bar")}, "; foo=bar"),
    }
    lists = parse_dictionary("rating=1.5, feelings=(joy sadness);x=-3")
    feelings = lists["feelings"]
    assert isinstance(feelings, InnerList)
    assert [item.value for item in feelings.items] == ["joy", "sadness"]
    assert feelings.params == {"x": -3}
    assert lists["rating"] == Item(Decimal("1.5"), {}, "1.5")


@pytest.mark.spec("R51")
def test_the_text_of_a_member_is_kept_as_it_was_written() -> None:
    text = '("@method"  "@query-param";name="a b" );created=1;keyid="k";  alg="ed25519"'
    member = parse_dictionary(f"other=1 ,\tsig1={text}")["sig1"]
    assert isinstance(member, InnerList)
    assert member.text == text
    assert [item.text for item in member.items] == ['"@method"', '"@query-param";name="a b"']
    assert list(member.params) == ["created", "keyid", "alg"]


def test_escapes_and_empty_values() -> None:
    read = parse_dictionary(r'a="x\"y\\z", b="", c=::, d=()')
    assert [member.value for member in read.values() if isinstance(member, Item)] == ['x"y\\z', "", b""]
    assert read["d"] == InnerList((), {}, "()")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "a=1,",
        ",a=1",
        "a=1 b=2",
        "A=1",
        "a=",
        "a==1",
        "a=1, a=2",
        "a;b;b",
        "a=(1",
        "a=(1 2))",
        'a=("x""y")',
        "a=(1,2)",
        'a="x',
        'a="\\n"',
        'a="\x7f"',
        'a="é"',
        "a=:YQ:",
        "a=:YQ==",
        "a=:YR==:",
        "a=:Y Q==:",
        "a=?2",
        "a=1.",
        "a=1.2345",
        "a=1234567890123456",
        "a=--1",
        "a=1.2.3",
        "a=(());b",
        "a=\n1",
        "a=1\n",
        "\ta=1",
        "a=١",
        "a" * (MAX_FIELD + 1),
    ],
)
def test_what_is_not_a_dictionary_is_malformed(text: str) -> None:
    with pytest.raises(SignatureError) as caught:
        parse_dictionary(text)
    assert caught.value.reason is SignatureReason.MALFORMED


@settings(deadline=None, max_examples=100)
@given(
    st.dictionaries(
        KEYS, st.one_of(STRINGS, st.binary(max_size=20), st.integers(-(10**15) + 1, 10**15 - 1)), min_size=1
    )
)
def test_what_is_written_is_read_again(values: dict[str, str | bytes | int]) -> None:
    def written(value: str | bytes | int) -> str:
        if isinstance(value, str):
            return write_string(value)
        return write_bytes(value) if isinstance(value, bytes) else str(value)

    text = ", ".join(f"{key}={written(value)}" for key, value in values.items())
    read = parse_dictionary(text)
    assert {key: member.value for key, member in read.items() if isinstance(member, Item)} == values


@settings(deadline=None, max_examples=300)
@given(st.one_of(st.text(), st.text('ab1-?:;=,. ()"\\*/Y\t', max_size=40)))
@example("sig=" + "(" * 5000)
@example("a;" * 5000)
@example('a="' + "\\" * 9999)
def test_any_text_is_read_or_malformed(text: str) -> None:
    try:
        assert parse_dictionary(text)
    except SignatureError as error:
        assert error.reason is SignatureReason.MALFORMED


def test_base64_has_one_spelling() -> None:
    assert decode_base64("YQ==") == b"a"
    for text in ("YQ", "YQ=", "YR==", "YQ==\n", " YQ==", "YQ==YQ==", "-_==", "é"):
        with pytest.raises(SignatureError):
            decode_base64(text)


def test_a_string_that_cannot_be_written_is_refused() -> None:
    for text in ("é", "a\nb", "\x7f"):
        with pytest.raises(SignatureError):
            write_string(text)
