"""SQLite: commits are shared, and neither a full disk nor somebody else's lock loses or halves anything."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fedishare.model.errors import ConfigError, Unavailable
from fedishare.store.db import Sql, Tx, open_database
from fedishare.store.sqlite import BATCH_SIZE, SqliteDatabase
from tests.store.conftest import Clock
from tests.store.notes import COUNT, LINES, MIGRATIONS, open_notes, put, words


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of the database under test."""
    return tmp_path / "fedishare.db"


@pytest.fixture
async def notes(path: Path, clock: Clock) -> AsyncIterator[SqliteDatabase]:
    """The small schema."""
    opened = await open_notes(f"sqlite://{path}", clock, lock_timeout=0.05)
    assert isinstance(opened, SqliteDatabase)
    yield opened
    await opened.close()


async def trace(notes: SqliteDatabase) -> list[str]:
    """What the writer's connection runs from now on."""
    seen: list[str] = []
    await notes._writer.call(lambda: notes._writer.raw.set_trace_callback(seen.append))
    return seen


async def test_many_writers_share_a_commit(notes: SqliteDatabase) -> None:
    seen = await trace(notes)
    await asyncio.gather(*[notes.write(put, f"{n}") for n in range(100)])
    assert await notes.read(lambda tx: tx.value(COUNT)) == 100
    assert 1 <= seen.count("COMMIT") <= 10
    assert seen.count("COMMIT") == seen.count("BEGIN IMMEDIATE")
    seen.clear()
    await asyncio.gather(*[notes.write(put, f"more {n}") for n in range(2 * BATCH_SIZE)])
    assert seen.count("COMMIT") >= 2  # a batch has a limit, so the first does not wait for the last
    seen.clear()
    await notes.write(put, "alone")
    assert not [statement for statement in seen if "SAVEPOINT" in statement]


async def test_the_first_of_a_batch_can_fail_alone_too(notes: SqliteDatabase) -> None:
    def fail(tx: Tx) -> None:
        put(tx, "bad")
        raise LookupError

    answers = await asyncio.gather(
        notes.write(fail), notes.write(put, "a"), notes.write(fail), notes.write(put, "b"), return_exceptions=True
    )
    assert [isinstance(answer, LookupError) for answer in answers] == [True, False, True, False]
    assert await notes.read(words) == ["a", "b"]


async def test_the_connections_are_set_up_for_durability(notes: SqliteDatabase, path: Path) -> None:
    names = ("synchronous", "journal_mode", "foreign_keys", "wal_autocheckpoint")
    settings = await notes._writer.call(
        lambda: {name: notes._writer.raw.execute(f"PRAGMA {name}").fetchone()[0] for name in names}
    )
    assert settings == {"synchronous": 2, "journal_mode": "wal", "foreign_keys": 1, "wal_autocheckpoint": 16384}
    for file in path.parent.glob("fedishare.db*"):  # keys and tokens are in there
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_a_full_disk_refuses_whole_batches_and_heals(notes: SqliteDatabase) -> None:
    await notes.write(put, "before")
    heard: list[object] = []
    notes.on_notice(heard.append)
    page_count = Sql("t", "PRAGMA page_count")
    pages = await notes.read(lambda tx: tx.value(page_count))
    await notes._writer.call(lambda: notes._writer.raw.execute(f"PRAGMA max_page_count = {pages + 8}").fetchall())
    answers = await asyncio.gather(
        *[notes.write(put, f"{n}", 0, bytes(3000)) for n in range(60)], return_exceptions=True
    )
    written = [answer for answer in answers if isinstance(answer, int)]
    refused = [answer for answer in answers if isinstance(answer, Unavailable)]
    assert len(refused) > 0
    assert "nothing was changed" in str(refused[0])
    assert len(written) + len(refused) == 60
    assert await notes.read(lambda tx: tx.value(COUNT)) == 1 + len(written)
    assert await notes.read(lambda tx: tx.value(LINES)) == 3 * (1 + len(written))
    assert len(heard) == len(written)
    await notes._writer.call(lambda: notes._writer.raw.execute("PRAGMA max_page_count = 100000").fetchall())
    await notes.write(put, "after", 0, bytes(30_000))
    assert (await notes.read(words))[-1] == "after"


async def test_a_lock_of_another_process_is_waited_for_and_then_refused(notes: SqliteDatabase, path: Path) -> None:
    program = (
        "import sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('BEGIN IMMEDIATE'); print('locked', flush=True); sys.stdin.readline()\n"
        "c.execute('COMMIT'); print('free', flush=True)"
    )
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(path), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"locked\n"
    answers = await asyncio.gather(*[notes.write(put, f"{n}") for n in range(5)], return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable] * 5
    assert await notes.read(words) == await notes.read_fast(words) == []  # reading goes on
    holder.stdin.write(b"\n")
    await holder.stdin.drain()
    assert await holder.stdout.readline() == b"free\n"
    await notes.write(put, "free")
    assert await notes.read(words) == ["free"]
    assert await holder.wait() == 0


def test_a_file_that_is_no_database_is_refused_and_kept(path: Path, clock: Clock) -> None:
    path.write_bytes(b"This is somebody's letter, and not a database at all. " * 100)
    with pytest.raises(ConfigError, match="no database"):
        asyncio.run(open_database(f"sqlite://{path}", clock=clock, migrations=MIGRATIONS))
    assert path.read_bytes().startswith(b"This is somebody's letter")


async def test_two_openings_of_one_file_in_one_process_get_along(
    notes: SqliteDatabase, path: Path, clock: Clock
) -> None:
    other = await open_notes(f"sqlite://{path}", clock, lock_timeout=5)
    await asyncio.gather(*[other.write(put, f"a {n}") for n in range(50)])
    await notes.write(put, "b")
    await other.close()
    assert await notes.read(lambda tx: tx.value(COUNT)) == 51
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
