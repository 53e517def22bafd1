"""SIGTERM with everything in flight: slow uploads, idle connections, hanging deliveries. In time, and nothing lost."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from fedishare.services.site import Site
from fedishare.store.db import Database, Tx
from tests.reliability.outside import (
    Ledger,
    Partners,
    Person,
    app,
    everything,
    let_follow,
    local_people,
    remote_people,
    seed,
    token_of,
)
from tests.support.process import Port, serving, wire, write_config

pytestmark = pytest.mark.e2e

HANGING = 6
SECONDS = 4
"""server.shutdown_seconds in these tests; the default is 15."""


def _fill(people: Sequence[Person]) -> Callable[[Database, Site], Awaitable[None]]:
    def write(tx: Tx, site: Site) -> None:
        ana = local_people(tx, site, ["ana"])["ana"]
        let_follow(tx, remote_people(tx, people), ana)

    async def fill(database: Database, site: Site) -> None:
        await database.write(write, site)

    return fill


def _jobs(folder: Path) -> Counter[tuple[int, int]]:
    """How many deliveries there are by (state, attempts)."""
    with closing(sqlite3.connect(folder / "ours.db")) as database:
        return Counter(database.execute("SELECT state, attempts FROM job WHERE kind = 'deliver'").fetchall())


async def _slow_upload(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A post of which the last bytes do not come."""
    body = json.dumps({"status": "half of it"}).encode()
    request = wire(
        "POST", "/api/v1/statuses",
        {"authorization": f"Bearer {token_of('ana')}", "content-type": "application/json"}, body,
    )  # fmt: skip
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request[:-5])
    await writer.drain()
    return reader, writer


async def _stream(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A timeline that is being watched."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(wire("GET", "/api/v1/streaming/user", {"authorization": f"Bearer {token_of('ana')}"}))
    assert b" 200 " in await reader.readline()
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def test_sigterm_with_everything_in_flight(tmp_path: Path, partners: Partners, port: Port) -> None:
    people = [Person(partners.host(number), "ben") for number in range(HANGING)]
    partners.hanging |= {person.host for person in people}
    config = write_config(
        tmp_path, "ours", port.number, [person.host for person in people], limits={"rates": False},
        server={"shutdown_seconds": SECONDS},
    )  # fmt: skip
    await asyncio.to_thread(seed, config, _fill(people))
    ledger = Ledger()
    with serving(config, port.number) as server:
        async with app(port.number, "ana") as ana:
            await ledger.post(ana, "ana-1", reach="partners")
            assert await asyncio.to_thread(partners.wait_for, HANGING), server.log + str(server.metrics())
            uploads = [await _slow_upload(port.number) for _ in range(3)]
            stream = await _stream(port.number)
            idle = [await asyncio.open_connection("127.0.0.1", port.number) for _ in range(5)]

            async def go_on() -> None:
                number = 2
                while await ledger.post(ana, f"ana-{number}") is not None:
                    number += 1

            posting = asyncio.create_task(go_on())
            while len(ledger.acknowledged) < 5:  # noqa: ASYNC110 — the other task's ledger
                await asyncio.sleep(0.001)
            code, seconds = await asyncio.to_thread(server.stop)
            await posting
        assert code == 0, server.log
        assert b"half of it" not in await stream[0].read()
        answers = [await reader.read() for reader, _ in uploads]
        assert all(answer.startswith(b"HTTP/1.1 503") and b"retry-after" in answer for answer in answers), answers
        for _, writer in (*uploads, *idle, stream):
            writer.close()
        assert seconds < SECONDS
        assert "Traceback" not in server.log
        assert _jobs(tmp_path) == {(0, 0): HANGING}, "back in the queue, as if they had not been tried"
        partners.hanging.clear()
        server.start()
        assert await asyncio.to_thread(partners.wait_for, 2 * HANGING)
        async with app(port.number, "ana") as ana:
            home = {each["content"][3:-4]: each["id"] for each in await everything(ana, "/api/v1/timelines/home")}
        assert ledger.acknowledged.items() <= home.items()
        assert home.keys() <= ledger.asked.keys(), "half a post was stored"
        assert server.stop()[0] == 0
        assert _jobs(tmp_path) == {(3, 1): HANGING}


async def test_sigterm_with_nothing_to_do_ends_at_once(tmp_path: Path, partners: Partners, port: Port) -> None:
    config = write_config(tmp_path, "ours", port.number, [])
    with serving(config, port.number) as server:
        held = await asyncio.open_connection("127.0.0.1", port.number)
        code, seconds = await asyncio.to_thread(server.stop)
        held[1].close()
        assert (code, seconds < 3) == (0, True)
