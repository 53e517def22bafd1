"""Migrations: in order, once, whole or not at all, and never on a database that does not fit."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from fedishare.model.errors import ConfigError
from fedishare.store.db import Database, Sql, open_database
from fedishare.store.migrate import load, migrate, packaged, pending
from tests.store.conftest import Clock

FIRST = ("0001_first.sql", "CREATE TABLE a (id {id}, word {text} NOT NULL);\nCREATE INDEX a_word ON a (word);")
SECOND = (
    "0002_second.sql",
    "-- adds; two things\nALTER TABLE a ADD COLUMN n {int};\nINSERT INTO a VALUES (1, 'x;y', 2);",
)
BROKEN = ("0003_broken.sql", "CREATE TABLE b (id {id});\nINSERT INTO nowhere VALUES (1);")
ROWS = Sql("test_rows", "SELECT id, word, n FROM a")
HAS_B = Sql("test_has_b", "SELECT count(*) FROM b")


async def test_migrations_apply_in_order_and_once(database_url: str, clock: Clock) -> None:
    one, two = load([SECOND, FIRST, ("README.md", "no migration")])
    database = await open_database(database_url, clock=clock, migrations=[one])
    assert await pending(database) == ["0001_first"]
    assert await migrate(database) == ["0001_first"]
    assert await migrate(database, [one, two]) == ["0002_second"]
    assert await database.read(lambda tx: tx.all(ROWS)) == [(1, "x;y", 2)]
    assert (await migrate(database, [one, two]), await pending(database, [one, two])) == ([], [])
    await database.close()


async def test_a_migration_that_fails_leaves_nothing_behind(database_url: str, clock: Clock) -> None:
    database = await open_database(database_url, clock=clock, migrations=load([FIRST, SECOND, BROKEN]))
    for _ in range(2):
        with pytest.raises(Exception, match="nowhere"):
            await migrate(database)
    assert len(await pending(database)) == 3
    with pytest.raises(Exception, match=r"\bb\b"):
        await database.read(lambda tx: tx.value(HAS_B))
    assert await migrate(database, load([FIRST, SECOND])) == ["0001_first", "0002_second"]
    await database.close()


async def test_two_processes_that_migrate_at_once_do_it_once(database_url: str, clock: Clock) -> None:
    files = load([FIRST, SECOND])

    async def one() -> list[str]:
        database = await open_database(database_url, clock=clock, migrations=files)
        try:
            return await migrate(database)
        finally:
            await database.close()

    applied = await asyncio.gather(*[one() for _ in range(4)])
    assert sorted(applied) == [[], [], [], ["0001_first", "0002_second"]]


async def test_a_changed_file_is_refused(database_url: str, clock: Clock) -> None:
    files = load([FIRST])
    database = await open_database(database_url, clock=clock, migrations=files)
    await migrate(database)
    assert await migrate(database, [replace(files[0], text=files[0].text.replace("\n", "\r\n"))]) == []
    with pytest.raises(ConfigError, match=r"0001_first\.sql is not the file"):
        await migrate(database, [replace(files[0], text=files[0].text + "\n-- a remark")])
    await database.close()


async def test_a_database_of_a_newer_version_is_refused_unless_it_says_otherwise(
    database_url: str, clock: Clock
) -> None:
    compatible = ("0003_third.sql", "-- compat: 2\nCREATE TABLE c (id {id});")
    newer, newest = load([FIRST, SECOND]), load([FIRST, SECOND, compatible])
    database = await open_database(database_url, clock=clock, migrations=newest)
    await migrate(database)
    await database.close()
    database = await open_database(database_url, clock=clock, migrations=newer)
    assert await pending(database) == []
    await database.close()
    with pytest.raises(ConfigError, match=r"schema 2.*knows only up to 1.*[Ii]nstall the newer"):
        await open_database(database_url, clock=clock, migrations=load([FIRST]))


def test_numbers_have_no_gap_and_no_double() -> None:
    assert [migration.title for migration in load([SECOND, FIRST])] == ["0001_first", "0002_second"]
    with pytest.raises(ValueError, match="1, 2, 3"):
        load([FIRST, ("0003_third.sql", "")])
    with pytest.raises(ValueError, match="1, 2, 3"):
        load([FIRST, ("0001_again.sql", "")])


async def test_the_packaged_schema_applies(database: Database) -> None:
    assert packaged()
    assert await pending(database) == []
