"""A flood from strangers leaves nothing behind: no memory, no rows, no work, a few counters and a few lines of log."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from fedishare.services.site import Site
from fedishare.store.db import Database
from tests.reliability.outside import TYPE, Partners, Person, app, let_follow, local_people, remote_people, seed
from tests.support.process import Port, ServerProcess, serving, wire, write_config

pytestmark = pytest.mark.e2e

REQUESTS, CONNECTIONS = 6000, 8
COUNTERS = 2000
"""The guard keeps up to 500 counters for strangers between two writes of them."""
MIB = 1024 * 1024
TABLES = ("actor", "actor_key", "inbound", "post", "job", "peer", "hold", "audit", "tombstone")


async def _people(database: Database, site: Site) -> None:
    ana = (await database.write(local_people, site, ["ana"]))["ana"]
    await database.write(let_follow, await database.write(remote_people, [Person("h01.localhost:9", "ben")]), ana)


def _memory(server: ServerProcess) -> int:
    """Resident bytes."""
    pages = int(Path(f"/proc/{server.pid}/statm").read_text().split()[1])
    return pages * 4096


def _rows(folder: Path) -> dict[str, int]:
    with closing(sqlite3.connect(folder / "ours.db")) as database:
        return {table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES}


def _refused(number: int) -> tuple[bytes, frozenset[int]]:
    """One request that must be refused, of many kinds, each from somebody else; and how it may be answered."""
    host = f"s{number}.localhost:{1000 + number}"
    signature = (
        f'keyId="http://{host}/u#k",algorithm="rsa-sha256",headers="(request-target) host date",signature="AA=="'
    )
    signed = {"signature": signature, "date": "Sun, 22 Nov 2026 22:00:00 GMT", "content-type": TYPE}
    body = b'{"actor":"http://%s/u","padding":"%s"}' % (host.encode(), b"x" * 2000)
    token = {"authorization": f"Bearer {number}-{'x' * 80}"}
    match number % 5:
        case 0:
            return wire("POST", "/inbox", signed, body), frozenset({403})
        case 1:
            return wire("GET", f"/users/ana?page={number}", {"signature": signature, "accept": TYPE}), frozenset({403})
        case 2:
            return wire("POST", f"/users/nobody{number}/inbox", {"content-type": TYPE}, body), frozenset({401})
        case 3:
            return wire("GET", f"/api/v1/timelines/home?max_id={number}", token), frozenset({401, 429})
        case _:
            return wire("GET", f"/nowhere/{number}", {}), frozenset({404})


async def _flood(port: int, numbers: range) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for number in numbers:
            data, allowed = _refused(number)
            writer.write(data)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]))
            assert int(head[9:12]) in allowed, (number, head)
    finally:
        writer.close()
        await writer.wait_closed()


async def _wave(port: int, begin: int) -> None:
    each = REQUESTS // CONNECTIONS
    ranges = [range(begin + n * each, begin + (n + 1) * each) for n in range(CONNECTIONS)]
    async with asyncio.TaskGroup() as group:
        for numbers in ranges:
            group.create_task(_flood(port, numbers))


async def test_a_flood_of_strangers_leaves_nothing_behind(tmp_path: Path, partners: Partners, port: Port) -> None:
    config = write_config(tmp_path, "ours", port.number, ["h01.localhost:9"])
    await asyncio.to_thread(seed, config, _people)
    with serving(config, port.number) as server:
        before = _rows(tmp_path)
        await _wave(port.number, 0)  # until every cache has what it keeps
        memory, answers = _memory(server), len(server.metrics())
        await _wave(port.number, REQUESTS)
        grown = _memory(server) - memory
        assert grown < 8 * MIB, f"{grown / MIB:.1f} MiB for {REQUESTS} refusals"
        assert len(server.metrics()) <= answers + 20, "a counter for each made-up name"
        assert len(server.log) < 4096, "a line for each refusal"
        assert _rows(tmp_path) == before, "something of a stranger's was stored"
        async with app(port.number, "ana") as ana:
            assert (await ana.get("/api/v1/timelines/home")).status_code == 200
        assert server.stop()[0] == 0  # the counters are written
    with closing(sqlite3.connect(tmp_path / "ours.db")) as database:
        rows = database.execute("SELECT count(*), sum(times) FROM decision").fetchone()
    assert rows[1] == 2 * (REQUESTS * 2 // 5), "each refusal is counted"
    assert rows[0] <= COUNTERS
    assert not partners.received
