"""Both engines keep the same promises: whole or not at all, told after the commit, durable when acknowledged."""

from __future__ import annotations

import asyncio
import importlib
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from fedishare.model.errors import BadInput, ConfigError, Conflict, Unavailable
from fedishare.model.ids import Millis, time_of
from fedishare.store.db import Database, Ids, Sql, Tx, open_database, registry, sql
from tests.store.conftest import Clock
from tests.store.notes import BUMP, COUNT, INSERT, LINES, MIGRATIONS, Written, every, open_notes, put, words


class Colour(StrEnum):
    """Values are often enums of text."""

    RED = "red"


@pytest.fixture
async def notes(database_url: str, clock: Clock) -> AsyncIterator[Database]:
    """The small schema, on each engine."""
    opened = await open_notes(database_url, clock, lock_timeout=1.0)
    yield opened
    await opened.close()


async def test_values_come_back_as_they_went_in(notes: Database) -> None:
    back = Sql("t", "SELECT word, n, raw, doc FROM note WHERE word = :word")
    for word, n, raw, doc in (
        ("plain", 0, None, None),
        ("größer 🦊 ' \" % %s :x $1 \\", 2**63 - 1, b"\x00\xff", '{"a": 1}'),
        (Colour.RED, True, b"", ""),
    ):
        await notes.write(put, word, n, raw, doc)
        for read in (notes.read, notes.read_fast):
            (row,) = await read(every, back, word=word)
            assert row == (word, n, raw, doc)
            assert [type(value) for value in row[:2]] == [str, int]
        assert notes.read_now(every, back, word=word) == [(word, n, raw, doc)]


async def test_one_text_means_the_same_on_both(notes: Database) -> None:
    for n, word in enumerate("abcd"):
        await notes.write(put, word, n, None, f'{{"k": "{word.upper()}"}}')

    async def ask(text: str, **params: Any) -> list[Any]:
        return [row[0] for row in await notes.read(lambda tx: tx.all(Sql("t", text), **params))]

    assert await ask("SELECT word FROM note WHERE word IN :l[] ORDER BY id", l=["a", "c", "x'y\\\""]) == ["a", "c"]
    assert await ask("SELECT word FROM note WHERE n NOT IN :l[] ORDER BY id", l=(0, 2**62)) == ["b", "c", "d"]
    assert await ask("SELECT word FROM note WHERE n IN :l[]", l=[]) == []
    assert await ask("SELECT word FROM note WHERE n IN :l[] AND n >= :m ORDER BY id", l=range(4), m=2) == ["c", "d"]
    either = "SELECT word FROM note WHERE (:m IS NULL OR n < :m) AND (:w IS NOT NULL OR n > 1) ORDER BY id"
    assert await ask(either, m=None, w="") == ["a", "b", "c", "d"]
    assert await ask(either, m=3, w=None) == ["c"]
    assert await ask("SELECT {greatest}(n, :m) FROM note ORDER BY id", m=2) == [2, 2, 2, 3]
    assert await ask("SELECT {least}(n, 1) FROM note ORDER BY id") == [0, 1, 1, 1]
    assert await ask("SELECT {json:note.doc:k} FROM note ORDER BY id") == ["A", "B", "C", "D"]
    sizes = Sql("t", "SELECT word FROM note WHERE n IN :l[]")
    found = await notes.read(lambda tx: [tx.all(sizes, l=[n]) for n in (1, 2**31, 2, 2**62)])
    assert found == [[("b",)], [], [("c",)], []]
    assert repr(await ask("SELECT sum(n) FROM note -- not :me, nor {this}")) == "[6]"
    assert await ask("SELECT ':a {b} 100%' || CAST(:x AS TEXT) /* :c */ FROM note LIMIT 1", x="!") == [":a {b} 100%!"]
    taken = Sql("t", "UPDATE note SET n = 9 WHERE id IN (SELECT id FROM note WHERE n < 2 {skip_locked}) RETURNING word")
    assert sorted(await notes.write(lambda tx: tx.all(taken))) == [("a",), ("b",)]
    assert await notes.write(lambda tx: (tx.run(BUMP, word="a"), tx.run(BUMP, word="none"), tx.run(taken))) == (1, 0, 0)
    with pytest.raises(ValueError, match="no token"):
        await ask("SELECT {nonsense}")


@pytest.mark.parametrize("rows", [0, 1, 5, 16, 200])
async def test_many_rows_at_once(notes: Database, rows: int) -> None:
    twice = Sql("t", "INSERT INTO note (id, word) VALUES (:id, lower(:word)) ON CONFLICT (word) DO NOTHING")
    upsert = Sql("t", "INSERT INTO note (id, word) VALUES (:id, :word) ON CONFLICT (word) DO UPDATE SET n = note.n + 1")

    def fill(tx: Tx) -> None:
        for query in (twice, upsert):
            tx.many(query, [{"id": n + 1, "word": f"w{n}"} for n in range(rows)] * 2)

    await notes.write(fill)
    total = Sql("t", "SELECT count(*), coalesce(sum(n), 0) FROM note")
    assert await notes.read(lambda tx: tx.one(total)) == (rows, 2 * rows)


async def test_a_function_that_fails_is_undone_alone_and_tells_nobody(notes: Database) -> None:
    heard: list[object] = []
    notes.on_notice(heard.append)

    def fail(tx: Tx, word: str) -> None:
        put(tx, word)
        raise LookupError(word)

    async def one(number: int) -> str:
        try:
            await notes.write(put if number % 3 else fail, f"word {number}")
        except LookupError:
            return "failed"
        return "written"

    outcomes = await asyncio.gather(*[one(number) for number in range(60)])
    expected = {f"word {number}" for number in range(60) if number % 3}
    assert outcomes.count("failed") == 20
    assert set(await notes.read(words)) == expected
    assert await notes.read(lambda tx: tx.value(LINES)) == 3 * len(expected)
    assert {notice.word for notice in heard if isinstance(notice, Written)} == expected
    assert len(heard) == len(expected)


async def test_notices_come_after_the_commit_and_survive_a_bad_subscriber(
    notes: Database, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[tuple[object, list[str], bool]] = []
    thread = threading.current_thread()

    def bad(notice: object) -> None:
        raise RuntimeError("a bad subscriber")

    def good(notice: object) -> None:
        seen.append((notice, notes.read_now(words), threading.current_thread() is thread))

    stop_bad, stop = notes.on_notice(bad), notes.on_notice(good)
    await notes.write(put, "one")
    assert seen == [(Written("one"), ["one"], True)]
    assert "a bad subscriber" in caplog.text
    stop_bad()
    stop()
    stop()
    await notes.write(put, "two")
    assert len(seen) == 1


async def test_a_cancelled_caller_leaves_a_whole_change(database_url: str, clock: Clock) -> None:
    notes = await open_notes(database_url, clock)
    heard: list[object] = []
    notes.on_notice(heard.append)
    inside, go_on = threading.Event(), threading.Event()

    def slow(tx: Tx, word: str) -> None:
        put(tx, word)
        inside.set()
        assert go_on.wait(10)
        tx.run(BUMP, word=word)

    running = asyncio.create_task(notes.write(slow, "slow"))
    await asyncio.to_thread(inside.wait, 10)
    queued = asyncio.create_task(notes.write(put, "queued"))
    await asyncio.sleep(0)
    running.cancel()
    queued.cancel()
    go_on.set()
    for task in (running, queued):
        with pytest.raises(asyncio.CancelledError):
            await task
    await notes.write(put, "last")
    bumped = Sql("t", "SELECT word FROM note WHERE n = 1")
    if notes.dialect == "postgres":
        await notes.close()  # waits for everything that was accepted
        notes = await open_notes(database_url, clock)
    assert sorted(await notes.read(words)) == ["last", "queued", "slow"]
    assert await notes.read(every, bumped) == [("slow",)]
    assert set(heard) == {Written("slow"), Written("queued"), Written("last")}
    await notes.close()


async def test_above_the_limit_writes_are_refused_and_later_taken_again(database_url: str, clock: Clock) -> None:
    notes = await open_notes(database_url, clock, queue_limit=5)
    tries = await asyncio.gather(*[notes.write(put, f"{n}") for n in range(50)], return_exceptions=True)
    refused = [answer for answer in tries if isinstance(answer, Unavailable)]
    assert len(refused) == 45
    assert refused[0].status == 503
    assert await notes.read(lambda tx: tx.value(COUNT)) == 5
    await notes.write(put, "again")
    await notes.close()


async def test_a_read_changes_nothing_and_sees_one_moment(notes: Database) -> None:
    for read in (notes.read, notes.read_fast):
        with pytest.raises(TypeError, match=r"Database\.write"):
            await read(lambda tx: tx.run(INSERT, id=1, word="x", n=0, raw=None, doc=None))
        with pytest.raises(TypeError, match="ids"):
            await read(lambda tx: tx.new_id())
    looked, written = threading.Event(), threading.Event()

    def look_twice(tx: Tx) -> tuple[list[str], list[str]]:
        first = words(tx)
        looked.set()
        assert written.wait(10)
        return first, words(tx)

    reading = asyncio.create_task(notes.read(look_twice))
    await asyncio.to_thread(looked.wait, 10)
    await notes.write(put, "meanwhile")
    written.set()
    assert await reading == ([], [])
    assert await notes.read(words) == ["meanwhile"]


async def test_faults_of_values_and_collisions_have_our_names(notes: Database) -> None:
    await notes.write(put, "taken")
    with pytest.raises(Conflict):
        await notes.write(put, "taken")
    with pytest.raises(Conflict):
        await notes.write(put, "negative", -1)
    with pytest.raises(BadInput):
        await notes.write(put, "too big", 2**63)
    with pytest.raises(BadInput):
        await notes.write(put, "lone surrogate \ud800")
    with pytest.raises(Exception, match="nowhere"):
        await notes.write(lambda tx: tx.run(Sql("t", "DELETE FROM nowhere")))
    for crash in (SystemExit, KeyboardInterrupt, StopIteration, RecursionError):

        def fail(tx: Tx, crash: type[BaseException] = crash) -> None:
            put(tx, "crash")
            raise crash

        answers = await asyncio.gather(
            notes.write(put, f"before {crash.__name__}"), notes.read(fail), return_exceptions=True
        )
        assert isinstance(answers[0], int)
    assert len(await notes.read(words)) == 5


@pytest.mark.parametrize("crash", [SystemExit, StopIteration])
async def test_a_crash_inside_a_function_hangs_nobody(notes: Database, crash: type[BaseException]) -> None:
    def fail(tx: Tx) -> None:
        put(tx, "crash")
        raise crash

    for run in (notes.write, notes.read_fast):
        with pytest.raises(Exception, match=r"SystemExit|StopIteration|ids"):
            await run(fail)
    await asyncio.wait_for(notes.write(put, "next"), 10)
    assert await notes.read(words) == ["next"]


async def test_ids_only_grow(database_url: str, clock: Clock) -> None:
    notes = await open_notes(database_url, clock)
    first = await notes.write(put, "first")
    assert time_of(first) == clock.now
    clock.now = Millis(clock.now - 3_600_000)
    second = await notes.write(put, "second")
    await notes.close()
    notes = await open_notes(database_url, clock)
    third = await notes.write(put, "third")
    assert first < second < third
    assert time_of(third) - time_of(first) <= 2  # an orderly end leaves no gap
    await notes.close()
    clock.now = Millis(clock.now + 7_200_000)
    notes = await open_notes(database_url, clock)
    assert time_of(await notes.write(put, "fourth")) == clock.now
    with pytest.raises(LookupError):
        await notes.write(lambda tx: {}[tx.new_id()])  # type: ignore[index]
    assert await notes.read(words) == ["first", "second", "third", "fourth"]
    await notes.close()


def test_the_stored_mark_is_always_above_every_id() -> None:
    ids, stored, now, last = Ids(3, 0), 0, 1_700_000_000_000, 0
    for step in (0, 1, 1000, 3000, -50_000, 2000, 1, 4_000_000, -4_000_000, 10):
        now += step
        for _ in range(2000):
            identifier = ids.next(Millis(now))
            assert identifier > last
            last = identifier
        mark = ids.due(Millis(now))
        if mark is not None:
            assert mark > stored
            ids.mark = stored = mark
        assert last < stored
        assert Ids(3, stored).next(Millis(now)) > last
    assert ids.due(Millis(now)) is None


async def test_a_closed_database_says_so(database_url: str, clock: Clock) -> None:
    threads = set(threading.enumerate())
    notes = await open_notes(database_url, clock)
    last = asyncio.gather(*[notes.write(put, f"{n}") for n in range(10)])
    await asyncio.sleep(0)
    await notes.close()
    await notes.close()
    assert len(await last) == 10  # what was accepted was finished
    for run in (notes.read, notes.write, notes.read_fast):
        with pytest.raises(Unavailable, match="closed"):
            await run(words)
    assert not [thread for thread in set(threading.enumerate()) - threads if "asyncio" not in thread.name]


async def test_changes_of_another_process_are_noticed(database_url: str, clock: Clock) -> None:
    notes, other = await open_notes(database_url, clock), await open_notes(database_url, clock)
    await notes.changed_elsewhere()
    assert not await notes.changed_elsewhere()
    await other.write(put, "from outside")
    assert await notes.changed_elsewhere()
    assert not await notes.changed_elsewhere()
    if notes.dialect == "sqlite":
        await notes.write(put, "our own")
        await notes.read(words)
        assert not await notes.changed_elsewhere()
        await asyncio.gather(notes.write(put, "busy"), other.write(put, "busy outside"))
        assert await notes.changed_elsewhere()
    await notes.close()
    await other.close()


async def test_plans_and_used_queries_can_be_seen(notes: Database) -> None:
    query = Sql("by_words", "SELECT id FROM note WHERE word IN :words[] AND (:n IS NULL OR n = :n)")
    plan = "\n".join(await notes.explain(query))
    assert "note" in plan.lower()
    with pytest.raises(Exception, match="nowhere"):
        await notes.explain(Sql("bad", "SELECT * FROM nowhere"))
    assert await notes.explain(query)
    assert "by_words" not in notes.used()
    await notes.read(lambda tx: tx.all(query, words=[], n=None))
    assert "by_words" in notes.used()


def run_until_killed(url: str, enough: int) -> list[str]:
    """Kill the writing program in the middle of its work; what it was told before."""
    command, lines = [sys.executable, "-m", "tests.store.notes", url], []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as child:
        assert child.stdout is not None
        for line in child.stdout:
            lines.append(line)
            if len(lines) == enough:
                child.kill()
    return [line for line in lines if line.endswith("\n")]


async def test_what_was_acknowledged_survives_sigkill(database_url: str, clock: Clock) -> None:
    for _ in range(2):
        told = [line.split() for line in await asyncio.to_thread(run_until_killed, database_url, 400)]
        clock.now = Millis(0)
        notes = await open_notes(database_url, clock)
        found = {word: number for word, number in await notes.read(every, Sql("t", "SELECT word, id FROM note"))}
        lines = await notes.read(lambda tx: tx.value(LINES))
        newest = await notes.write(put, "newest")
        await notes.write(lambda tx: tx.run(Sql("t", "UPDATE note SET word = word || '.' || id")))
        await notes.close()
        assert len(told) >= 400
        assert all(found.get(word) == int(identifier) for word, identifier in told)
        assert lines == 3 * len(found)  # nothing by halves
        assert newest > max(found.values())  # and no id is used again, although our clock is at the beginning


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://localhost/x", "sqlite:///"),
        ("", "sqlite:///"),
        ("sqlite://relative.db", "absolute"),
        ("sqlite:///:memory:", "absolute"),
        ("sqlite:///nonexistent-folder/for/sure/x.db", "cannot be opened"),
        ("postgresql://host/name?nonsense=1", "no PostgreSQL URL"),
    ],
)
async def test_a_url_that_cannot_be_used_is_explained(url: str, words: str, clock: Clock) -> None:
    with pytest.raises(ConfigError, match=words):
        await open_database(url, clock=clock, migrations=MIGRATIONS)


async def test_without_the_driver_the_message_says_what_to_install(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named 'psycopg' (for {name})")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ConfigError, match=r"pip install 'fedishare\[postgres\]'"):
        await open_database("postgresql://localhost/x", clock=clock)


def test_query_names_are_unique() -> None:
    before = len(registry())
    name = "test_query_names_are_unique"
    query = sql(name, "SELECT 1")
    assert registry()[name] is query
    with pytest.raises(ValueError, match=name):
        sql(name, "SELECT 2")
    assert len(registry()) == before + 1
