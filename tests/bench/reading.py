"""Rows that only read: cold start and idle memory, WebFinger, actor documents, home timelines."""

from __future__ import annotations

import asyncio
import json
import statistics
from collections.abc import Sequence

from tests.bench.load import WrongAnswer, ask, drive_for, get
from tests.bench.rows import Round, Row, Stage, at_least, at_most, figures_of, spaced, timed
from tests.bench.seed import POSTERS, READER, token_of
from tests.bench.server import Server

CONNECTIONS = 64
STARTS = 5
PAGE = 20
FEW_CONNECTIONS = 4


async def cold_start(stage: Stage) -> list[Row]:
    """Several starts in a row; the server of the last one stays."""
    times = []
    for _ in range(2 if stage.quick else STARTS):
        stage.server.stop()
        times.append(stage.server.start())
    await asyncio.sleep(2)
    return [
        Row("cold-start", "cold start until the first 200", {"seconds": statistics.median(times)},
            (at_most("seconds", 0.8),)),
        Row("memory-idle", "memory when idle", {"mib": stage.server.memory()}, (at_most("mib", 80),)),
    ]  # fmt: skip


async def memory_peak(stage: Stage) -> list[Row]:
    """The highest resident memory since the last start."""
    figures = {"mib": stage.server.peak()}
    return [Row("memory-peak", "memory at its peak under the above", figures, (at_most("mib", 200),))]


async def _rounds(
    stage: Stage, requests: Sequence[bytes], *, connections: int = CONNECTIONS, server: Server | None = None
) -> list[Round]:
    """A load for some seconds, several times, after a short one that is not counted."""
    measured = server or stage.server
    port = measured.port
    await drive_for(port, requests, 0.4, connections=connections)
    return [
        await timed(measured, lambda: drive_for(port, requests, stage.seconds, connections=connections))
        for _ in range(stage.rounds)
    ]


async def webfinger(stage: Stage) -> list[Row]:
    """Local people, one after the other."""
    paths = [f"/.well-known/webfinger?resource=acct:poster{n}@{stage.domain}" for n in range(POSTERS)]
    rounds = await _rounds(stage, [get(stage.domain, path) for path in paths])
    return [Row("webfinger", "WebFinger", figures_of(rounds), (at_least("per_second", 19_000),))]


async def actor(stage: Stage) -> list[Row]:
    """Actor documents, read by a thousand actors of twenty partners."""
    rounds = await _rounds(stage, stage.signed["actor"])
    return [Row("actor", "actor document, signed GET", figures_of(rounds), (at_least("per_second", 6_000),))]


def home_request(domain: str) -> bytes:
    """The newest page of the reader's home timeline."""
    return get(domain, "/api/v1/timelines/home", f"Authorization: Bearer {token_of(READER)}\r\n")


async def check_home(port: int, domain: str) -> None:
    """Whether the page has what it should. Raises `WrongAnswer`."""
    status, body = await ask(port, home_request(domain))
    if status != 200 or len(json.loads(body)) != PAGE:
        raise WrongAnswer(f"the home timeline answered {status}: {body[:300]!r}")


async def home(stage: Stage) -> list[Row]:
    """The newest twenty of two thousand posts."""
    await check_home(stage.server.port, stage.domain)
    rounds = await _rounds(stage, [home_request(stage.domain)])
    targets = (at_least("per_second", 4_500), at_most("cpu_ms", 0.35))
    return [Row("home", "home timeline, 20 statuses, of 2 000 posts", figures_of(rounds), targets)]


async def home_sizes(stage: Stage, small: tuple[Server, int], large: tuple[Server, int]) -> list[Row]:
    """The same page of two servers, one with a thousand times as many posts, by turns."""
    rounds: dict[int, list[Round]] = {}
    for server, size in (small, large):
        server.start()
        await check_home(server.port, f"bench.localhost:{server.port}")
        rounds[size] = []
    for _ in range(stage.rounds):
        for server, size in (small, large):
            request = home_request(f"bench.localhost:{server.port}")
            rounds[size] += await _rounds_of_one(stage, server, request)
    rows = [
        Row(f"home-{size}", f"home timeline, {FEW_CONNECTIONS} at a time, of {spaced(size)} posts",
            figures_of(rounds[size]))
        for _, size in (small, large)
    ]  # fmt: skip
    ratio = rows[1].figures["p99_ms"] / rows[0].figures["p99_ms"]
    rows[1].figures["ratio"] = ratio
    rows[1].targets = (at_most("ratio", 1.5),)
    return rows


async def _rounds_of_one(stage: Stage, server: Server, request: bytes) -> list[Round]:
    await drive_for(server.port, [request], 0.3, connections=FEW_CONNECTIONS)
    load = drive_for(server.port, [request], stage.seconds, connections=FEW_CONNECTIONS)
    return [await timed(server, lambda: load)]
