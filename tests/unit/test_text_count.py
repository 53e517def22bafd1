"""Posts are measured in what people see; links and remote domains have a fixed price; excerpts keep to their size."""

from __future__ import annotations

import unicodedata

import pytest
import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fedishare.text import clean_text, count_characters, count_graphemes, excerpt, over_limit

FAMILY = "👨‍👩‍👧‍👦"
TEXTS = st.one_of(
    st.text(max_size=40),
    st.lists(
        st.sampled_from(
            [
                "a",
                " ",
                "\n",
                "\r",
                FAMILY,
                "🇩🇪",
                "é",
                "e\u0301",
                "한",
                "ᄒ",
                "\u0600",
                "\u200d",
                "שלום",
                "\x00",
                "\u0301",
                "@bob@example.org",
                "https://example.org/x",
                "#tag",
            ]
        ),
        max_size=12,
    ).map("".join),
)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("hello", 5),
        ("two\r\nlines", 9),
        (FAMILY, 1),
        ("🏴󠁧󠁢󠁥󠁮󠁧󠁿🇩🇪👍🏽❤️", 4),
        ("e\u0301", 1),
        ("한국어", 3),
        ("שלום עולם", 9),
        ("\u202bשלום\u202c", 6),
        ("nul\x00\x07\ud800", 3),
        ("https://example.org/" + "a" * 500, 23),
        ("see http://a.b, ok", 4 + 23 + 4),
        ("@bob@partner.example hi @eve", len("@bob hi @eve")),
        ("q" + "\u0301" * 160, 11),
    ],
)
def test_examples(text: str, count: int) -> None:
    assert count_characters(text) == count


@settings(deadline=None, max_examples=200)
@given(TEXTS, TEXTS)
def test_more_text_never_counts_less(one: str, two: str) -> None:
    both = count_characters(f"{one} {two}")
    assert both >= max(count_characters(one), count_characters(two)) >= 0


@settings(deadline=None, max_examples=200)
@given(TEXTS)
@example("e" + "\u0301" * 16)
def test_equivalent_unicode_forms_count_the_same(text: str) -> None:
    assert count_characters(unicodedata.normalize("NFC", text)) == count_characters(unicodedata.normalize("NFD", text))


@settings(deadline=None, max_examples=300)
@given(st.one_of(TEXTS, st.text(st.characters(max_codepoint=0xFFFF), max_size=10)))
def test_the_short_way_of_counting_agrees_with_the_clusters(text: str) -> None:
    text = clean_text(text)
    clusters = regex.findall(r"\X", text)
    if all(len(cluster) <= 16 for cluster in clusters):
        assert count_graphemes(text) == len(clusters)


def test_each_simple_character_is_a_cluster_next_to_any_other() -> None:
    simple = [c for c in map(chr, range(0xFFFF)) if c.isprintable() and not unicodedata.combining(c)]
    simple = [c for c in simple if count_graphemes(c + "a" + c) == 3]
    for first, second in zip(simple, simple[1:] + simple[:1], strict=True):
        assert count_graphemes(first + second) == len(regex.findall(r"\X", first + second))


def test_the_sentence_for_too_much() -> None:
    assert over_limit("a" * 152, 140) == "The text is 12 characters over the limit of 140 (152)"
    assert over_limit("a" * 141, 140) == "The text is 1 character over the limit of 140 (141)"
    assert over_limit("a" * 140, 140) is None
    assert over_limit("a" * 130, 140, warning="b" * 10) is None
    assert over_limit("a" * 130, 140, warning="b" * 11) == "The text is 1 character over the limit of 140 (141)"


@pytest.mark.parametrize(
    ("text", "n", "short"),
    [
        ("short", 5, "short"),
        ("two\n\n lines", 20, "two lines"),
        ("hello wonderful world", 10, "hello…"),
        ("hello world", 6, "hello…"),
        ("a" * 30, 10, "a" * 9 + "…"),
        (FAMILY * 3, 3, FAMILY * 3),
        (FAMILY * 4, 3, FAMILY * 2 + "…"),
        ("ab", 1, "…"),
    ],
)
def test_excerpts(text: str, n: int, short: str) -> None:
    assert excerpt(text, n) == short


@settings(deadline=None, max_examples=200)
@given(TEXTS, st.integers(1, 12))
def test_an_excerpt_is_never_longer_than_asked(text: str, n: int) -> None:
    short = excerpt(text, n)
    assert len(regex.findall(r"\X", short)) <= n
    assert not any(c in short for c in "\n\r\x00")


def test_an_excerpt_of_nothing_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        excerpt("x", 0)
    assert excerpt("", 1) == ""
