"""Databases for the store's tests: every test that takes one runs on both engines."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fedishare.model.ids import Millis
from fedishare.store.db import Database, open_database
from fedishare.store.migrate import migrate
from tests.support.postgres import Server

START = Millis(1_700_000_000_000)


@dataclass
class Clock:
    """A clock that stands still until it is told otherwise."""

    now: Millis = START

    def __call__(self) -> Millis:
        return self.now


def wall_clock() -> Millis:
    """Real time."""
    return Millis(int(time.time() * 1000))


@pytest.fixture
def clock() -> Clock:
    """The clock of the databases under test."""
    return Clock()


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, on each engine."""
    if request.param == "sqlite":
        yield f"sqlite://{tmp_path}/fedishare.db"
        return
    server: Server = request.getfixturevalue("postgres_server")
    name = server.create()
    yield server.url(name)
    server.drop(name)


@pytest.fixture(scope="session")
def postgres_template(postgres_server: Server) -> str:
    """A database with the schema of this version, to copy from."""
    name = postgres_server.create()

    async def fill() -> None:
        database = await open_database(postgres_server.url(name), clock=wall_clock)
        try:
            await migrate(database)
        finally:
            await database.close()

    asyncio.run(fill())
    return name


@pytest.fixture(params=["sqlite", "postgres"])
def schema_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database for the schema of this version, on each engine."""
    if request.param == "sqlite":
        yield f"sqlite://{tmp_path}/fedishare.db"
        return
    server: Server = request.getfixturevalue("postgres_server")
    name = server.create(request.getfixturevalue("postgres_template"))
    yield server.url(name)
    server.drop(name)


@pytest.fixture
async def database(schema_url: str, clock: Clock) -> AsyncIterator[Database]:
    """An open database with the schema of this version, on each engine."""
    opened = await open_database(schema_url, clock=clock)
    try:
        await migrate(opened)
        yield opened
    finally:
        await opened.close()
