"""A full disk and a locked database: 503 and come back, nothing acknowledged is lost, and it heals by itself."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from fedishare.services.site import Site
from fedishare.store.db import Database, Tx
from fedishare.store.sqlite import SqliteDatabase
from tests.reliability.outside import (
    AS2,
    PUBLIC,
    Ledger,
    Partners,
    Person,
    app,
    everything,
    let_follow,
    local_people,
    remote_people,
    seed,
)
from tests.support.process import Port, ServerProcess, serving, write_config
from tests.support.world import new_world

HEALED_SECONDS = 30.0
AT_ONCE = 12
ROOM = 16384
"""Bytes that a file may have while the disk is full."""
CAUSES = {"locked": "locked", "full": "disk"}


def _fill(ben: Person) -> Callable[[Database, Site], Awaitable[None]]:
    def people(tx: Tx, site: Site) -> None:
        ana = local_people(tx, site, ["ana"])["ana"]
        let_follow(tx, [ana], remote_people(tx, [ben])[0])

    async def fill(database: Database, site: Site) -> None:
        await database.write(people, site)

    return fill


@dataclass
class Driver:
    """An app and a partner that keep a ledger."""

    server: ServerProcess
    ben: Person
    client: httpx.AsyncClient
    ledger: Ledger = field(default_factory=Ledger)
    accepted: set[str] = field(default_factory=set)
    refused: list[httpx.Response] = field(default_factory=list)

    async def post(self, key: str) -> None:
        """Post, and note the answer."""
        answer = await self.client.post("/api/v1/statuses", json={"status": key}, headers={"idempotency-key": key})
        self.note(answer)
        if answer.status_code == 200:
            assert self.ledger.acknowledged.setdefault(key, answer.json()["id"]) == answer.json()["id"]

    async def deliver(self, key: str) -> None:
        """The partner sends a note."""
        url = f"http://ours.localhost:{self.server.port}/inbox"
        note = {"id": f"{self.ben.iri}/{key}", "type": "Note", "attributedTo": self.ben.iri, "content": f"<p>{key}</p>"}
        activity = {
            "@context": AS2, "id": f"{note['id']}/create", "type": "Create", "actor": self.ben.iri, "object": note,
            "to": [PUBLIC],
        }  # fmt: skip
        raw = self.ben.signed(url, activity)
        head, _, body = raw.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        answer = await self.client.post(url.replace("ours.localhost", "127.0.0.1"), content=body, headers=headers)
        self.note(answer)
        if answer.status_code == 202:
            self.accepted.add(key)

    def note(self, answer: httpx.Response) -> None:
        """Nothing but success and "come back" is ever answered."""
        assert answer.status_code in (200, 202, 503), (answer.status_code, answer.text)
        if answer.status_code == 503:
            assert int(answer.headers["retry-after"]) > 0
            assert answer.json()["error"]
            self.refused.append(answer)

    async def burst(self, name: str) -> int:
        """Posts and deliveries at once; how many were refused."""
        before = len(self.refused)
        await asyncio.gather(
            *(self.post(f"{name}-post-{n}") for n in range(AT_ONCE)),
            *(self.deliver(f"{name}-note-{n}") for n in range(AT_ONCE)),
        )
        return len(self.refused) - before

    async def check(self) -> None:
        """What was acknowledged is there once, and nothing twice."""
        home = await everything(self.client, "/api/v1/timelines/home")
        texts = [each["content"][3:-4] for each in home]
        assert len(texts) == len(set(texts))
        assert self.ledger.acknowledged.keys() | self.accepted <= set(texts)
        ids = {each["content"][3:-4]: each["id"] for each in home}
        assert all(ids[key] == ident for key, ident in self.ledger.acknowledged.items())

    async def healed(self) -> float:
        """Wait until it says that it is well; the seconds."""
        begin = time.monotonic()
        while not await asyncio.to_thread(self.server.healthy):
            assert time.monotonic() - begin < HEALED_SECONDS
            await asyncio.sleep(0.05)
        return time.monotonic() - begin


@asynccontextmanager
async def _driven(tmp_path: Path, partners: Partners, port: Port) -> AsyncIterator[Driver]:
    ben = Person(partners.host(1), "ben")
    config = write_config(tmp_path, "ours", port.number, [ben.host], limits={"rates": False})
    await asyncio.to_thread(seed, config, _fill(ben))
    with serving(config, port.number) as server:
        async with app(port.number, "ana") as client:
            yield Driver(server, ben, client)


@asynccontextmanager
async def _locked(server: ServerProcess) -> AsyncIterator[None]:
    """Another process holds the database."""
    with closing(sqlite3.connect(server.config.with_name("ours.db"), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


@asynccontextmanager
async def _full(server: ServerProcess) -> AsyncIterator[None]:
    """No file of the server can grow: every write beyond the first kilobytes of one fails."""
    size = server.config.with_name("ours.db-wal").stat().st_size
    assert size > 2 * ROOM > 2 * len(server.log)
    _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (ROOM, hard))
    yield
    if server.process is not None:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (hard, hard))


FAULTS: dict[str, Any] = {"locked": _locked, "full": _full}


@pytest.mark.e2e
@pytest.mark.parametrize("fault", FAULTS)
async def test_while_nothing_can_be_stored_everybody_is_told_to_come_back(
    fault: str, tmp_path: Path, partners: Partners, port: Port
) -> None:
    async with _driven(tmp_path, partners, port) as driver:
        server = driver.server
        assert await driver.burst("before") == 0
        async with FAULTS[fault](server):
            refused = await driver.burst("during")
            assert refused == 2 * AT_ONCE, "something was acknowledged that cannot have been stored"
            status, body = await asyncio.to_thread(server.health)
            assert (status, b"cannot be stored" in body) == (503, True)  # INV-12: health …
            causes = [name for name, value in server.metrics().items() if "database_trouble" in name and value]
            assert len(causes) == 1, "… metrics …"
            assert CAUSES[fault] in causes[0]
            assert server.log.count("whoever asks is told to come back") == 1, "… and log, once"
            assert CAUSES[fault] not in str(body) + driver.refused[0].text, "strangers are not told details"
            await driver.check()  # reading goes on
            if fault == "full":
                server.kill()  # and the power fails on top of it
        if server.process is None:
            await asyncio.to_thread(server.start)
        assert await driver.healed() < HEALED_SECONDS
        assert await driver.burst("during") == 0  # the same keys and activities once more
        assert await driver.burst("after") == 0
        await driver.check()
        assert len(driver.ledger.acknowledged) == len(driver.accepted) == 3 * AT_ONCE
        assert "Traceback" not in server.log


@pytest.mark.e2e
async def test_a_full_disk_heals_without_a_restart(tmp_path: Path, partners: Partners, port: Port) -> None:
    async with _driven(tmp_path, partners, port) as driver:
        assert await driver.burst("before") == 0
        async with _full(driver.server):
            assert await driver.burst("during") == 2 * AT_ONCE
            assert not driver.server.healthy()
        assert await driver.healed() < HEALED_SECONDS
        assert await driver.burst("during") == 0
        await driver.check()


@pytest.fixture
def quota() -> Iterator[Callable[[Database, int], Awaitable[int]]]:
    """SQLite's own limit for a file: so many pages more than it has now."""

    async def limit(database: Database, more: int) -> int:
        assert isinstance(database, SqliteDatabase)
        writer = database._writer

        def call() -> int:
            (pages,) = writer.raw.execute("PRAGMA page_count").fetchone()
            (found,) = writer.raw.execute(f"PRAGMA max_page_count = {pages + more}").fetchone()
            return int(found)

        return await writer.call(call)

    yield limit


async def test_a_quota_stops_writing_and_not_reading(
    tmp_path: Path, quota: Callable[[Database, int], Awaitable[int]]
) -> None:
    async with new_world(tmp_path) as world:
        org = await world.org("ours.example")
        ana = await org.person("ana")
        first = await ana.say("before")
        database = org.server.instance.database
        await quota(database, 0)
        answers = []
        for number in range(200):
            answer = await ana.client.post("/api/v1/statuses", json={"status": f"{number} {'x' * 100}"})
            answers.append(answer.status_code)
            if answer.status_code == 503:
                break
        assert answers[-1] == 503
        assert set(answers[:-1]) <= {200}
        there = 1 + answers.count(200)
        assert len(await everything(ana.client, "/api/v1/timelines/home")) == there
        assert (await ana.get(f"/api/v1/statuses/{first['id']}"))["content"] == "<p>before</p>"
        assert (await ana.client.get("/health")).status_code == 503
        await quota(database, 100_000)
        async with asyncio.timeout(HEALED_SECONDS):
            while (await ana.client.get("/health")).status_code != 200:  # noqa: ASYNC110 — as a monitor does
                await asyncio.sleep(0.05)
        await ana.say("after")
        assert len(await everything(ana.client, "/api/v1/timelines/home")) == there + 1
