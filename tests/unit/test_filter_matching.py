"""What filters find: case, accents, whole words in any script; and that no phrase makes it slow."""

from __future__ import annotations

import re
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedishare.text.matching import Matcher


def finds(phrase: str, *parts: str, whole: bool = True) -> bool:
    return Matcher.of([(phrase, whole)]).found_in(parts) == (0,)


@pytest.mark.parametrize(
    ("phrase", "text", "as_word", "anywhere"),
    [
        ("cat", "A CAT sat", True, True),
        ("cat", "concatenate", False, True),
        ("cat", "the cat's; (cat)", True, True),
        ("cat", "cats cat_ cat2", False, True),
        ("cat", "concat cat", True, True),
        ("STRASSE", "Die Straße ist lang", True, True),
        ("cafe\u0301", "im CAFÉ", True, True),
        ("caf", "im café", False, True),
        ("हिन्द", "हिन्दी", False, True),
        ("हिन्दी", "यह हिन्दी है", True, True),
        ("кот", "Котёнок и КОТ.", True, True),
        ("кот", "Котёнок", False, True),
        ("猫", "黒猫です", False, True),
        ("#tag", "some#tag", True, True),
        ("c++", "I like C++11", True, True),
        ("two  words", "Two\nwords here", True, True),
        (".*", "anything", False, False),
        ("a.b", "axb", False, False),
        ("", "anything", False, False),
        (" \u00a0 ", "anything", False, False),
    ],
)  # fmt: skip
def test_words_and_phrases(phrase: str, text: str, as_word: bool, anywhere: bool) -> None:
    assert (finds(phrase, text), finds(phrase, text, whole=False)) == (as_word, anywhere)


def test_parts_do_not_join_and_each_phrase_is_told() -> None:
    assert not finds("one two", "one", "two")
    matcher = Matcher.of([("one", True), ("zwei", True), ("thr", False)])
    assert matcher.found_in(["one", "", "THREE"]) == (0, 2)


def by_pattern(phrase: str, text: str) -> bool:
    """The same for ASCII, as a pattern says it."""
    left = r"\b" if re.match(r"\w", phrase) else ""
    right = r"\b" if re.search(r"\w\Z", phrase) else ""
    return re.search(left + re.escape(phrase) + right, text, re.IGNORECASE | re.ASCII) is not None


WORDS = st.text("ab_1 .-", min_size=1, max_size=6).map(lambda text: " ".join(text.split())).filter(bool)


@settings(max_examples=300, deadline=None)
@given(WORDS, st.text("abAB_1 .-", max_size=40).map(lambda text: " ".join(text.split())))
def test_it_finds_what_a_pattern_would(phrase: str, text: str) -> None:
    assert finds(phrase, text) == by_pattern(phrase, text)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=12), st.text(max_size=40), st.text(max_size=40))
def test_it_takes_any_text(phrase: str, before: str, after: str) -> None:
    assert finds(phrase, before + phrase + after, whole=False) in (True, False)
    words = " ".join(unicodedata.normalize("NFC", phrase).split())
    assert finds(phrase, before, f" {words} ") or not words


def test_no_phrase_makes_it_slow() -> None:
    text = ["a" * 20_000, "ab" * 10_000]
    cruel = ["a" * 511 + "b", "(a+)+$", "ab" * 255, "a", "a" * 512, "a" * 256 + "c"]
    began = time.process_time()
    Matcher.of([(phrase, whole) for phrase in cruel for whole in (True, False)]).found_in(text)
    assert time.process_time() - began < 0.5
