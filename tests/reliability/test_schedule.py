"""The schedule of retries as docs/operate.md says it, walked through seven days in a moment."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from fedishare.jobs import Worker
from fedishare.model.actors import Actor
from fedishare.store import jobs
from fedishare.store.jobs import JobState
from tests.support.builders import Us, server
from tests.support.clock import DAY, HOUR, MINUTE, SECOND, Clock
from tests.support.internet import PretendInternet
from tests.support.peer import PeerServer
from tests.support.sending import deliveries, follower, worker_of

DOCUMENTED = (1, 2, 5, 15, 30, 60, 120, 240, 480)
"""Minutes, as docs/operate.md has them; then every twelve hours until seven days have passed."""
HOSTS = ("down.example", "well.example")


@asynccontextmanager
async def _playing(folder: Path, jitter: Callable[[], float]) -> AsyncIterator[tuple[Us, Worker, Actor, Clock]]:
    clock = Clock()
    async with server(folder, PretendInternet(), partners=HOSTS, clock=clock) as us:
        worker = worker_of(us)
        worker._jitter = jitter
        ana = await us.person("ana")
        for host in HOSTS:
            await follower(us, host, "ben", ana)
            PeerServer(us.internet, host, us)
        await worker.start()
        try:
            yield us, worker, ana, clock
        finally:
            await worker.stop(1)


async def _next(us: Us, worker: Worker, clock: Clock) -> bool:
    """Go on to whatever is due next; False when nothing waits any more."""
    due = await us.database.read(jobs.next_run)
    if due is None:
        return False
    clock.now = max(clock.now, due)
    worker.wake()
    await worker.idle()
    return True


async def _attempts(us: Us, worker: Worker, clock: Clock) -> list[int]:
    """Minutes after the post at which the host that is down was tried, until it was given up."""
    begin, times = clock.now, [clock.now]
    looked = us.internet.dns_lookups
    while await _next(us, worker, clock):
        if looked.count("down.example") > len(times):
            times.append(clock.now)
        assert clock.now - begin < 9 * DAY
    return [(at - begin) // SECOND for at in times]


def test_the_documented_schedule_is_the_one_that_is_tested() -> None:
    text = re.sub(r"\s+", " ", (Path(__file__).parents[2] / "docs" / "operate.md").read_text())
    assert "about 1, 2, 5, 15 and 30 minutes, 1, 2, 4 and 8 hours, then every 12 hours until 7 days" in text


@pytest.mark.parametrize("jitter", [-1.0, 0.0, 1.0])
async def test_seven_days_without_an_answer(tmp_path: Path, jitter: float) -> None:
    async with _playing(tmp_path, lambda: jitter) as (us, worker, ana, clock):
        us.internet.down("down.example")
        await us.post(ana, "hello")
        await worker.idle()
        times = await _attempts(us, worker, clock)
        waits = [after - before for before, after in pairwise(times)]
        expected = [60 * minutes for minutes in DOCUMENTED] + [12 * 3600] * (len(waits) - len(DOCUMENTED))
        assert len(waits) > len(DOCUMENTED)
        for found, wanted in zip(waits, expected, strict=True):
            assert 0.79 * wanted <= found <= 1.21 * wanted, (waits, expected)
        assert 7 * DAY // SECOND <= times[-1] < (7 * DAY + 15 * HOUR) // SECOND
        dead = [row for row in await deliveries(us) if row.host == "down.example"]
        assert [(row.state, row.attempts) for row in dead] == [(JobState.DEAD, len(times))]
        assert "connection refused" in (dead[0].last_error or "")
        assert [row.state for row in await deliveries(us) if row.host == "well.example"] == [JobState.DONE]


async def test_a_week_of_posts_to_a_dead_host_costs_few_attempts_and_delays_nobody(tmp_path: Path) -> None:
    """INV-11, and the circuit: three failures open it, then one probe at a time."""
    async with _playing(tmp_path, lambda: 0.0) as (us, worker, ana, clock):
        us.internet.down("down.example")
        end, made = clock.now + 3 * DAY, 0
        while clock.now < end:
            made += 1
            await us.post(ana, f"hello {made}")
            await worker.idle()
            assert len(us.internet.to("well.example", "POST")) == made, "the others get it at once"
            clock.forward(90 * MINUTE)
            worker.wake()
            await worker.idle()
        tried = us.internet.dns_lookups.count("down.example")
        assert 10 <= tried <= 30, "neither forgotten nor hammered"
        us.internet.down("down.example", False)
        while await _next(us, worker, clock):
            assert clock.now < end + 13 * HOUR, "it was back, and got nothing for half a day"
        assert len(us.internet.to("down.example", "POST")) == made
        assert {row.state for row in await deliveries(us)} == {JobState.DONE}


async def test_a_request_from_the_partner_wakes_its_queue(tmp_path: Path) -> None:
    async with _playing(tmp_path, lambda: 0.0) as (us, worker, ana, clock):
        us.internet.down("down.example")
        for number in range(4):
            await us.post(ana, f"hello {number}")
            await worker.idle()
        for _ in range(12):
            await _next(us, worker, clock)
        us.internet.down("down.example", False)
        peer = PeerServer(us.internet, "down.example", us)
        cleo = peer.person("cleo")
        assert (await peer.deliver(cleo, peer.create(cleo, "here we are"))).status == 202
        worker.wake()
        await worker.idle()
        assert len([a for a in peer.received if a["type"] == "Create"]) == 4, "at once, without waiting for its time"


@pytest.mark.parametrize(("status", "said"), [(429, "7200"), (503, "7200"), (503, "Thu, 01 Jan 2099 00:00:00 GMT")])
async def test_retry_after_is_heeded_by_the_whole_queue(tmp_path: Path, status: int, said: str) -> None:
    async with _playing(tmp_path, lambda: 0.0) as (us, worker, ana, clock):
        us.internet.answer("down.example", status, headers={"retry-after": said}, times=1)
        begin = clock.now
        for number in range(3):
            await us.post(ana, f"hello {number}")
            await worker.idle()
        assert len(us.internet.to("down.example")) == 1, "it asked for a pause, and got it"
        assert await _next(us, worker, clock)
        longest = 7 * DAY
        assert clock.now - begin >= (2 * HOUR if said == "7200" else longest - MINUTE)
        while await _next(us, worker, clock):
            assert clock.now - begin < 15 * DAY
        assert len(us.internet.to("down.example")) == 4
