"""Words and queries: what is the same for search, what an operator is, and that nothing anybody types does harm."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedishare.services.search import written
from fedishare.store.terms import fts5_query, terms, tsquery, tsvector
from fedishare.text.query import EVERYTHING, Author, Clause, Query, date_words, parse, words_before
from fedishare.text.words import MAX_WORD, fold, index_text, words
from tests.support.searching import holds


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Zürich", "ZURICH"), ("Straße", "strasse"), ("Øresund", "oresund"), ("Łódź", "lodz"), ("Ёлка", "ЕЛКА"),
        ("ＦＵＬＬ　ｗｉｄｔｈ", "full width"), ("e\u0301te\u0301", "ÉTÉ"), ("ﬁne", "fine"),
        ("#Open_Data", "open data"),
        ("מִשְׁפָּחָה", "משפחה"), ("Ἀθήνα", "αθηνα"), ("soft\u00adhyphen", "softhyphen"), ("R&D", "r d"),
        ("@ana@lab.example", "ana lab example"),
    ],
)  # fmt: skip
def test_what_does_not_count_is_gone(one: str, other: str) -> None:
    assert words(one) == words(other) != []


@pytest.mark.parametrize(("one", "other"), [("が", "か"), ("हिन्दी", "हनद"), ("ana", "anna"), ("東京", "京東")])
def test_what_counts_stays(one: str, other: str) -> None:
    assert words(one) != words(other)


def test_scripts_without_spaces_are_found_by_any_part() -> None:
    text = index_text(["東京都に住んでいます", "alt"])
    for part in ("東京", "京都", "住んで", "都", "東京都に住んでいます"):
        assert holds(text, Clause((tuple(words(part)),))), part
    for part in ("京東", "大阪", "都住", "す alt"):
        assert not holds(text, Clause((tuple(words(part)),))), part
    assert holds(index_text(["서울에서"]), Clause((tuple(words("서울")),)))
    assert words("party 🎉🎉") == ["party", "🎉", "🎉"]


def test_a_phrase_does_not_reach_from_one_part_into_the_next() -> None:
    text = index_text(["one two", "three"])
    assert holds(text, Clause((("one", "two"),))) and not holds(text, Clause((("two", "three"),)))
    assert len(words("x" * 500)[0]) == MAX_WORD


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("cats Dogs", [Clause((("cats",),)), Clause((("dogs",),))]),
        ('"two words" rest', [Clause((("two", "words"),)), Clause((("rest",),))]),
        ("“two words”", [Clause((("two", "words"),))]),
        ('"open end', [Clause((("open", "end"),))]),
        ("-cats +dogs", [Clause((("cats",),), True), Clause((("dogs",),))]),
        ('-"two words"', [Clause((("two", "words"),), True)]),
        ("has:image -has:poll", [Clause((("has:image",),)), Clause((("has:poll",),), True)]),
        ("HAS:Media is:reply", [Clause((("has:media",),)), Clause((("is:reply",),))]),
        ("language:de-AT", [Clause((("language:de_at",),))]),
        ("in:public", [Clause((("is:public",),))]),
        ("in:all", [Clause(((EVERYTHING,),))]),
        ("during:2026-02-03", [Clause((("day:20260203",),))]),
        ("before:1970-02-01", [Clause((("month:197001",),))]),
        ("-before:1970-01-02", [Clause((("day:19700101",),), True)]),
        ("after:1970-01-01", [Clause((("day:19700101",),), True)]),
        # No operators, but words:
        ("has:cats", [Clause((("has", "cats"),))]),
        ("before:soon", [Clause((("before", "soon"),))]),
        ("before:2026-02-30", [Clause((("before", "2026", "02", "30"),))]),
        ("language:x!", [Clause((("language", "x"),))]),
        ("note:this", [Clause((("note", "this"),))]),
        ("https://x.example/a", [Clause((("https", "x", "example", "a"),))]),
        ("has: is:", [Clause((("has",),)), Clause((("is",),))]),
        ("--x", [Clause((("x",),), True)]),
        ("cats cats", [Clause((("cats",),))]),
        ("", []), ("- + \" : * ( ) ' \\ \0 % _", []),
    ],
)  # fmt: skip
def test_what_is_typed_is_read(text: str, clauses: list[Clause]) -> None:
    assert list(parse(text).clauses) == clauses
    assert bool(parse(text)) == bool(clauses)


def test_people_and_places() -> None:
    query = parse("from:@Ana@lab.example -from:me in:library from:a$b")
    assert query.authors == (Author("Ana@lab.example"), Author("me", True)) and query.library is True
    assert query.clauses == (Clause((("from", "a", "b"),)),)
    assert parse("-in:library").library is False
    assert parse("after:2026-01-31").since == date(2026, 2, 1)
    assert parse("during:2026-01-31 after:2025-01-01").since == date(2026, 1, 31)
    assert parse("before:2026-01-31").since is None and parse("-after:2026-01-31").since is None
    assert not Query() and Query(library=False)


@settings(max_examples=80, deadline=None)
@given(st.dates(date(1970, 1, 1), date(2100, 1, 1)), st.integers(-400, 400))
def test_a_range_of_days_is_its_words(end: date, away: int) -> None:
    try:
        day = end + timedelta(days=away)
    except OverflowError:
        return
    if day.year >= 1970:
        text = index_text((), date_words(day))
        assert holds(text, Clause(tuple((w,) for w in words_before(end)))) == (day < end)


def test_days_that_are_far_away_cost_nothing() -> None:
    """Neither thousands of words, nor a number that no id reaches."""
    for word in ("before", "after", "during"):
        query = parse(f"{word}:9999-12-31")
        assert query == parse(f"{word}:2200-01-01") and query.since in (None, date(2200, 1, 1), date(2200, 1, 2))
        assert sum(len(clause.phrases) for clause in query.clauses) < 300
    assert parse("before:1969-12-31").clauses == (Clause((("before", "1969", "12", "31"),)),), "words, then"


anything = st.one_of(
    st.text(max_size=60),
    st.text('ab "\'-+:*()&|!<>\\^~{}[]\0%_東京🎉éß\u0301\ud800', max_size=40),
    st.lists(
        st.sampled_from(
            ("a", "-b", '"a b"', '"', "from:", "from:me", "has:poll", "before:2026-01-01", "after:9999-12-31", "NOT",
             "AND", "NEAR(a b)", "a*", "^a", "rowid:1", "words:a", "'a' & !b", ":*", "in:library", "\\", "''")
        ),
        max_size=8,
    ).map(" ".join),
)  # fmt: skip


@pytest.fixture(scope="module")
def fts() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    connection.execute("""CREATE VIRTUAL TABLE x USING fts5(words, tokenize = "ascii tokenchars ':_'")""")
    yield connection
    connection.close()


@settings(max_examples=250, deadline=None)
@given(text=anything, other=anything)
def test_any_text_gives_an_answer(fts: sqlite3.Connection, text: str, other: str) -> None:
    """On SQLite here, and as the property of both engines in tests/store/test_search.py."""
    query = parse(text)
    kept = index_text([other, text], [EVERYTHING])
    assert fold(fold(text)) is not None and "\0" not in kept
    asked = written([*query.clauses, Clause((("from:1",),), True)])
    expected = all(holds(kept, clause) for clause in query.clauses)
    fts.execute("INSERT INTO x (rowid, words) VALUES (1, ?)", (kept,))
    try:
        found = fts.execute("SELECT rowid FROM x WHERE words MATCH ?", (fts5_query(asked),)).fetchall()
    finally:
        fts.execute("DELETE FROM x")
    assert bool(found) == expected, (asked, kept)
    assert isinstance(tsquery(asked) + tsvector(kept), str) and len(terms(asked)) >= len(query.clauses)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80), st.randoms())
def test_every_text_is_found_by_its_own_words(text: str, chance: random.Random) -> None:
    kept = index_text([text])
    found = words(text)
    if found:
        at = chance.randrange(len(found))
        some = found[at : at + chance.randint(1, 4)]
        assert holds(kept, Clause((tuple(some),)))
        assert holds(kept, Clause((tuple(some),), True)) is False
