"""PostgreSQL: several processes on one database, deadlocks, and a server that goes away and comes back."""

from __future__ import annotations

import asyncio
import shutil
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator

import psycopg
import pytest

from fedishare.model.errors import Conflict, Unavailable
from fedishare.store.db import Database, NoticesLost, Sql, Tx
from fedishare.store.postgres import PostgresDatabase
from tests.store.conftest import Clock
from tests.store.notes import BUMP, Codec, Written, open_notes, put, words
from tests.support.postgres import Server, new_server


@pytest.fixture
def url(postgres_server: Server) -> Iterator[str]:
    """A database that several of ours open."""
    name = postgres_server.create()
    yield postgres_server.url(name)
    postgres_server.drop(name)


@pytest.fixture
async def pair(url: str, clock: Clock) -> AsyncIterator[tuple[Database, Database]]:
    """Two of our databases on it, as two processes would have them."""
    first, second = await open_notes(url, clock, Codec()), await open_notes(url, clock, Codec())
    yield first, second
    await first.close()
    await second.close()


def collect(database: Database) -> tuple[list[object], Callable[..., asyncio.Task[None]]]:
    """The notices of a database, and a way to wait for some of them."""
    heard: list[object] = []
    more = asyncio.Event()

    def hear(notice: object) -> None:
        heard.append(notice)
        more.set()

    database.on_notice(hear)

    async def reach(*wanted: object) -> None:
        async with asyncio.timeout(20):
            while not set(wanted) <= set(heard):
                more.clear()
                await more.wait()

    return heard, lambda *wanted: asyncio.create_task(reach(*wanted))


def tell_forty(tx: Tx) -> None:
    """More than fits in one message."""
    for n in range(40):
        tx.notify(Written(f"together {n} " + "z" * 500))


async def test_notices_travel_once_and_not_back(pair: tuple[Database, Database]) -> None:
    first, second = pair
    (here, _), (there, reach) = collect(first), collect(second)
    await first.write(put, "private one")
    await asyncio.gather(*[first.write(put, f"größer {n} " + "x" * 500) for n in range(40)])
    with pytest.raises(Conflict):
        await first.write(lambda tx: (put(tx, "undone"), put(tx, "undone")))
    await first.write(tell_forty)
    await first.write(put, "last")
    await reach(Written("last"))
    assert len(here) == len(set(here)) == 82
    assert set(there) == {notice for notice in here if notice != Written("private one")}
    assert there[-1] == Written("last")
    seen, reach_back = collect(first)
    await second.write(put, "back")
    await reach_back(Written("back"))
    assert seen == [Written("back")]
    assert there.count(Written("back")) == 1


async def test_a_notice_that_cannot_travel_undoes_its_transaction(pair: tuple[Database, Database]) -> None:
    first, second = pair
    there, reach = collect(second)
    with pytest.raises(ValueError, match="too long to travel"):
        await first.write(put, "x" * 7900)
    long = "y" * 2500 + "ü" * 2500
    await first.write(put, long)
    await reach(Written(long))
    assert len(await first.read(words)) == len(there) == 1


async def test_a_stranger_on_the_channel_does_no_harm(pair: tuple[Database, Database], url: str) -> None:
    first, second = pair
    there, reach = collect(second)
    with psycopg.connect(url, autocommit=True) as stranger:
        for payload in ("", "x", "0" * 32 + "{", "0" * 32 + "[1]", "0" * 32 + '[["deep"]]'):
            stranger.execute("SELECT pg_notify('fedishare_' || md5(current_schema()), %s)", [payload])
    await first.write(put, "fine")
    await reach(Written("fine"))
    assert there == [Written("fine")]


async def test_each_process_has_a_node_of_its_own(pair: tuple[Database, Database], url: str, clock: Clock) -> None:
    third = await open_notes(url, clock)
    ids = await asyncio.gather(
        *[base.write(put, f"{name} {n}") for n in range(30) for name, base in enumerate((*pair, third))]
    )
    assert len(set(ids)) == 90
    nodes = {(identifier >> 10) & 63 for identifier in ids}
    assert len(nodes) == 3
    node = (ids[0] >> 10) & 63  # after sixty-four openings the count comes to a number that is still in use
    await third.write(lambda tx: tx.run(Sql("t", "UPDATE id_mark SET mark = :n WHERE node = -1"), n=node + 63))
    fourth = await open_notes(url, clock)
    assert (await fourth.write(put, "fourth") >> 10) & 63 not in nodes
    await third.close()
    await fourth.close()


async def test_a_deadlock_is_run_again(pair: tuple[Database, Database]) -> None:
    first, second = pair
    for word in ("a", "b"):
        await first.write(put, word)
    both_hold_one = threading.Barrier(2)
    runs: list[str] = []

    def bump(tx: Tx, one: str, other: str) -> None:
        runs.append(one)
        tx.run(BUMP, word=one)
        if len(runs) <= 2:
            both_hold_one.wait(10)
        tx.run(BUMP, word=other)

    await asyncio.gather(first.write(bump, "a", "b"), second.write(bump, "b", "a"))
    # Once more at least; whoever is run again may meet the other one in the same way before it is through.
    assert len(runs) >= 3
    assert await first.read(lambda tx: tx.all(Sql("t", "SELECT n FROM note"))) == [(2,), (2,)]


async def test_a_named_lock_lets_one_pass(pair: tuple[Database, Database]) -> None:
    inside: list[int] = []
    most: list[int] = []

    def alone(tx: Tx, number: int) -> None:
        tx.lock("one at a time")
        inside.append(number)
        most.append(len(inside))
        tx.value(Sql("t", "SELECT CAST(pg_sleep(0.01) AS text)"))
        inside.remove(number)

    await asyncio.gather(*[base.write(alone, n) for n in range(6) for base in pair])
    assert max(most) == 1


async def test_a_hidden_error_of_the_server_is_not_taken_for_a_commit(pair: tuple[Database, Database]) -> None:
    def careless(tx: Tx) -> None:
        put(tx, "lost")
        try:
            tx.run(Sql("t", "DELETE FROM nowhere"))
        except Exception:
            return

    with pytest.raises(RuntimeError, match="went on after a failed query"):
        await pair[0].write(careless)
    assert await pair[0].read(words) == []


async def test_text_that_postgresql_cannot_hold_is_bad_input(pair: tuple[Database, Database]) -> None:
    with pytest.raises(Exception, match="cannot be stored") as caught:
        await pair[0].write(put, "zero \0 byte")
    assert getattr(caught.value, "status", None) == 422


async def test_connections_that_were_cut_are_made_again(pair: tuple[Database, Database], url: str) -> None:
    first, second = pair
    await first.write(put, "before")
    await first.read(words)
    (_, reach_here), (there, reach) = collect(first), collect(second)
    with psycopg.connect(url, autocommit=True) as operator:
        operator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert await first.read(words) == first.read_now(words) == ["before"]
    await asyncio.gather(reach_here(NoticesLost()), reach(NoticesLost()))  # told that something may be missing
    await asyncio.gather(*[first.write(put, f"{n}") for n in range(8)])
    await reach(*[Written(f"{n}") for n in range(8)])
    assert len([notice for notice in there if notice != Written("before")]) <= 8 + 2
    assert len(await second.read(words)) == 9


async def test_when_one_line_is_cut_both_sides_are_told(pair: tuple[Database, Database], url: str) -> None:
    first, second = pair
    (_, reach_here), (_, reach_there) = collect(first), collect(second)
    with psycopg.connect(url, autocommit=True) as operator:
        operator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY pid LIMIT 1"
        )
    await asyncio.gather(reach_here(NoticesLost()), reach_there(NoticesLost()))


async def test_a_server_that_crashes_and_returns(clock: Clock) -> None:
    server = await asyncio.to_thread(new_server)
    try:
        await asyncio.to_thread(server.start)
        notes = await open_notes(server.url("postgres"), clock, Codec(), lock_timeout=0.3)
        assert isinstance(notes, PostgresDatabase)
        await asyncio.gather(*[notes.write(put, f"{n}") for n in range(20)])
        await asyncio.to_thread(server.stop, signal.SIGQUIT)
        with pytest.raises(Unavailable):
            await notes.write(put, "nobody there")
        with pytest.raises(Unavailable):
            await notes.read(words)
        heard, reach = collect(notes)
        await asyncio.to_thread(server.start)
        await notes.write(put, "there again")
        await reach(Written("there again"), NoticesLost())
        assert set(heard) == {Written("there again"), NoticesLost()}
        assert set(await notes.read(words)) == {*[f"{n}" for n in range(20)], "there again"}
        await asyncio.to_thread(server.stop)
        async with asyncio.timeout(10):
            await notes.close()  # also without a server
    finally:
        await asyncio.to_thread(server.stop)
        shutil.rmtree(server.folder, ignore_errors=True)


async def test_no_server_is_said_plainly(clock: Clock) -> None:
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1"):
        await open_notes("postgresql://someone:secret@127.0.0.1:1/x", clock, lock_timeout=0.1)
