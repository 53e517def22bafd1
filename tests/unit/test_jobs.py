"""The worker: at once, in order, in isolation, and nothing lost."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fedishare.jobs import (
    POISON,
    Attempted,
    Cancelled,
    Dead,
    Done,
    Handler,
    Kept,
    Later,
    Result,
    Settled,
    Worker,
    outcome_of,
)
from fedishare.model.errors import BadDocument, FetchFailed, PolicyRefusal, TooMany, Unavailable
from fedishare.model.ids import Millis
from fedishare.model.partners import SCHEDULE, Outcome
from fedishare.store import jobs, queue
from fedishare.store.db import Database, Tx, open_database
from fedishare.store.jobs import Job, JobRow, JobState
from fedishare.store.migrate import migrate
from tests.support.clock import DAY, HOUR, MINUTE, SECOND, Clock
from tests.support.sending import kill

Run = Callable[[Job], Awaitable[Result | None]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def database(tmp_path: Path, clock: Clock) -> AsyncIterator[Database]:
    opened = await open_database(f"sqlite://{tmp_path}/jobs.db", clock=clock)
    await migrate(opened)
    try:
        yield opened
    finally:
        await opened.close()


async def put(database: Database, *lanes: str, kind: str = "deliver") -> None:
    def work(tx: Tx) -> None:
        for lane in lanes:
            jobs.put(tx, kind, lane, lane=lane, host=lane.partition("|")[0] if kind == "deliver" else None)

    await database.write(work)


async def rows(database: Database) -> list[JobRow]:
    return await database.read(jobs.listing, limit=10_000)


@asynccontextmanager
async def working(
    database: Database, run: Run, clock: Clock, *, kind: str = "deliver", limit: int = 64, per_host: int | None = 4,
    **more: Any,
) -> AsyncIterator[Worker]:  # fmt: skip
    handlers = {kind: Handler(run, limit, per_host)}
    worker = Worker(database, handlers, clock=clock, jitter=lambda: 0.0, **more)
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop(1)


def returning(result: Result | Exception) -> Run:
    async def run(job: Job) -> Result:
        if isinstance(result, Exception):
            raise result
        return result

    return run


async def test_a_job_is_done_at_once_and_an_idle_worker_does_nothing(database: Database, clock: Clock) -> None:
    seen: list[str] = []
    turns = 0
    real = database.write

    async def counted(fn: Any, /, *args: Any, **kw: Any) -> Any:
        nonlocal turns
        turns += fn is queue.turn
        return await real(fn, *args, **kw)

    database.write = counted  # type: ignore[method-assign]

    async def run(job: Job) -> Result:
        seen.append(job.payload)
        return Attempted(Outcome.DELIVERED, 202, rule="partner", revision=3)

    async with working(database, run, clock) as worker:
        await worker.idle()
        before = turns
        await asyncio.sleep(0.05)
        assert turns == before, "nobody asks while nothing happens"
        await put(database, "a.example|1", "b.example|1")
        async with asyncio.timeout(1):
            await worker.idle()
        assert seen == ["a.example|1", "b.example|1"]
        assert turns - before <= 4
    for row in await rows(database):
        assert (row.state, row.status, row.rule, row.revision) == (JobState.DONE, 202, "partner", 3)


@pytest.mark.parametrize(
    ("result", "state", "error", "attempts"),
    [
        (Done(), JobState.DONE, None, 1),
        (Dead("no document"), JobState.DEAD, "no document", 1),
        (Cancelled("deleted"), JobState.CANCELLED, "deleted", 1),
        (Attempted(Outcome.REFUSED, 422, "422"), JobState.DEAD, "422", 1),
        (Attempted(Outcome.GONE, 410, "410"), JobState.DEAD, "410", 1),
        (Attempted(Outcome.FAILED, 500, "500"), JobState.QUEUED, "500", 1),
        (Kept("partner-paused", "paused"), JobState.HELD, "paused", 0),
        (Later(9, "disk full"), JobState.QUEUED, "disk full", 0),
        (FetchFailed("cannot be reached"), JobState.QUEUED, "cannot be reached", 1),
        (FetchFailed("gone", http_status=410), JobState.DEAD, "gone", 1),
        (PolicyRefusal("ended", rule="partner-ended"), JobState.CANCELLED, "ended", 1),
        (PolicyRefusal("paused", rule="partner-paused"), JobState.HELD, "paused", 0),
        (PolicyRefusal("off", rule="federation-off"), JobState.HELD, "off", 0),
        (PolicyRefusal("stale", rule="gateway-permit"), JobState.QUEUED, "stale", 1),
        (BadDocument("no JSON"), JobState.DEAD, "no JSON", 1),
        (Unavailable("disk full"), JobState.QUEUED, "disk full", 0),
        (TooMany("slower", retry_after=60), JobState.QUEUED, "slower", 0),
    ],
)
async def test_how_a_job_goes_on(
    database: Database, clock: Clock, result: Result | Exception, state: JobState, error: str | None, attempts: int
) -> None:
    await put(database, "a.example|1")
    async with working(database, returning(result), clock) as worker:
        await worker.idle()
    (row,) = await rows(database)
    assert (row.state, row.last_error, row.attempts) == (state, error, attempts)
    if state is JobState.QUEUED:
        assert row.run_at > clock.now
    assert (row.finished_at is not None) == (state >= JobState.DONE)


async def test_what_the_guard_keeps_without_a_host_is_asked_about_again(database: Database, clock: Clock) -> None:
    answers: list[Result] = [Kept("partner-paused", "paused"), Done()]

    async def run(job: Job) -> Result:
        return answers.pop(0)

    await put(database, "apply:1", kind="apply")
    async with working(database, run, clock, kind="apply", per_host=None) as worker:
        await worker.idle()
        (row,) = await rows(database)
        assert (row.state, row.attempts, row.last_error) == (JobState.QUEUED, 0, "paused")
        clock.forward(5 * MINUTE)
        worker.wake()
        await worker.idle()
    assert [row.state for row in await rows(database)] == [JobState.DONE]


async def test_an_exception_that_nobody_foresaw_ends_after_a_few_attempts(
    database: Database, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    await put(database, "author:1", kind="federate")
    failing = returning(KeyError("oops"))
    async with working(database, failing, clock, kind="federate", per_host=None) as worker:
        with caplog.at_level(logging.CRITICAL, logger="fedishare.jobs"):
            for _ in range(POISON):
                await worker.idle()
                clock.forward(8 * HOUR)
                worker.wake()
            await worker.idle()
    (row,) = await rows(database)
    assert (row.state, row.attempts) == (JobState.DEAD, POISON)
    assert "KeyError" in (row.last_error or "")


@pytest.mark.spec("R23")
async def test_a_dead_host_is_tried_on_schedule_for_seven_days(database: Database, clock: Clock) -> None:
    """About 1, 2, 5, 15, 30 min, 1, 2, 4, 8 h, then every 12 h, and given up after seven days."""
    at: list[Millis] = []

    async def run(job: Job) -> Result:
        at.append(clock.now)
        return Attempted(Outcome.FAILED, 500, "500")

    await put(database, "a.example|1")
    async with working(database, run, clock) as worker:
        for _ in range(40):
            await worker.idle()
            (row,) = await rows(database)
            if row.state is not JobState.QUEUED:
                break
            clock.now = row.run_at
            worker.wake()
    assert row.state is JobState.DEAD
    waits = [(b - a) // SECOND for a, b in itertools.pairwise(at)]
    assert waits[: len(SCHEDULE)] == list(SCHEDULE)
    assert set(waits[len(SCHEDULE) :]) == {12 * 3600}
    assert 7 * DAY <= at[-1] - at[0] < 8 * DAY


@pytest.mark.spec("R49")
async def test_retry_after_is_heeded_by_everything_for_that_host(database: Database, clock: Clock) -> None:
    seen: list[str] = []

    async def run(job: Job) -> Result:
        seen.append(job.lane)
        return Attempted(Outcome.BUSY, 429, "slower", retry_after=900)

    await put(database, *(f"a.example|{n}" for n in range(9)))
    async with working(database, run, clock) as worker:
        await worker.idle()
        assert len(seen) == 4, "those that were in flight; then the circuit is open"
        waiting = [row for row in await rows(database) if row.state is JobState.QUEUED]
        assert len(waiting) == 9
        assert all(row.run_at >= clock.now + 900 * SECOND for row in waiting)


async def test_one_refusal_of_a_healthy_host_does_not_stop_it(database: Database, clock: Clock) -> None:
    async def run(job: Job) -> Result:
        if job.lane.endswith("bad"):
            return Attempted(Outcome.FAILED, 403, "403")
        return Attempted(Outcome.DELIVERED, 202)

    async with working(database, run, clock) as worker:
        await put(database, "a.example|1")
        await worker.idle()
        await put(database, *("a.example|bad" for _ in range(1)), *(f"a.example|{n}bad" for n in range(8)))
        await worker.idle()
        await put(database, "a.example|2")
        await worker.idle()
        states = {row.lane: row.state for row in await rows(database)}
        assert states["a.example|2"] is JobState.DONE
        assert states["a.example|bad"] is JobState.QUEUED


async def test_slow_and_dead_hosts_do_not_delay_the_others(database: Database, clock: Clock) -> None:
    """A hundred hosts that never answer hold what slots they may have; one that answers still gets through."""
    hang, full, hanging, good = asyncio.Event(), asyncio.Event(), 0, 0

    async def run(job: Job) -> Result:
        nonlocal hanging, good
        if job.lane.startswith("good"):
            good += 1
            return Attempted(Outcome.DELIVERED, 202)
        hanging += 1
        if hanging == 48:
            full.set()
        await hang.wait()
        return Attempted(Outcome.UNREACHABLE, error="no answer")

    async with working(database, run, clock) as worker:
        await put(database, "good.example|0")
        await worker.idle()
        await put(database, *(f"slow{n}.example|{m}" for n in range(100) for m in range(4)))
        async with asyncio.timeout(5):
            await full.wait()
            for n in range(1, 20):
                await put(database, f"good.example|{n}")
                await _done(database, f"good.example|{n}")
        assert worker.in_flight == 48, "a quarter is kept for hosts that answered the last time"
        assert (good, hanging) == (20, 48)
        hang.set()


async def _done(database: Database, lane: str) -> None:
    """Wait until the job of a lane is done: what ends is written with the next turn."""
    for _ in range(10_000):
        if any(row.lane == lane and row.state is JobState.DONE for row in await rows(database)):
            return
    raise AssertionError(f"{lane} was not done")


async def test_what_runs_may_end_and_the_rest_is_given_back(database: Database, clock: Clock) -> None:
    started = asyncio.Event()
    finish = asyncio.Event()

    async def run(job: Job) -> Result:
        started.set()
        await (finish.wait() if job.lane.endswith("1") else asyncio.Event().wait())
        return Done()

    await put(database, "a.example|1", "b.example|2")
    worker = Worker(database, {"deliver": Handler(run, 64, 4)}, clock=clock)
    await worker.start()
    await started.wait()
    asyncio.get_running_loop().call_soon(finish.set)
    await put(database, "c.example|3")
    await worker.stop(0.05)
    found = {row.lane: (row.state, row.attempts) for row in await rows(database)}
    assert found["a.example|1"] == (JobState.DONE, 1)
    assert found["b.example|2"] == (JobState.QUEUED, 0)
    assert found["c.example|3"][0] in (JobState.QUEUED, JobState.DONE)


async def test_jobs_of_a_worker_that_was_killed_are_done_by_the_next(database: Database, clock: Clock) -> None:
    started = asyncio.Event()

    async def never(job: Job) -> Result:
        started.set()
        await asyncio.Event().wait()
        return Done()

    await put(database, "a.example|1", "a.example|1")
    killed = Worker(database, {"deliver": Handler(never, 64, 4)}, clock=clock)
    await killed.start()
    await started.wait()
    await kill(killed)
    assert [row.state for row in await rows(database)] == [JobState.RUNNING, JobState.QUEUED]
    async with working(database, returning(Done()), clock) as worker:
        await worker.idle()
    assert [(row.state, row.attempts) for row in await rows(database)] == [(JobState.DONE, 2), (JobState.DONE, 1)]


async def test_a_handler_can_end_its_job_in_its_own_transaction(database: Database, clock: Clock) -> None:
    async def run(job: Job) -> Result:
        def work(tx: Tx) -> None:
            assert jobs.finish(tx, job.id, JobState.DONE)
            jobs.put(tx, "deliver", "made", lane="made", host="b.example")

        if job.payload != "made":
            await database.write(work)
        return Settled() if job.payload != "made" else Done()

    await put(database, "a.example|1")
    async with working(database, run, clock) as worker:
        await worker.idle()
    assert [(row.payload, row.state) for row in await rows(database)] == [
        ("a.example|1", JobState.DONE),
        ("made", JobState.DONE),
    ]


async def test_a_batch_is_prepared_once_and_its_failure_costs_no_attempt(database: Database, clock: Clock) -> None:
    batches: list[int] = []

    async def prepare(batch: Any) -> None:
        batches.append(len(batch))
        if len(batches) == 1:
            raise Unavailable("the disk is full")

    await put(database, *(f"a{n}.example|1" for n in range(20)))
    handler = Handler(returning(Attempted(Outcome.DELIVERED, 202)), 64, 4, prepare)
    worker = Worker(database, {"deliver": handler}, clock=clock)
    await worker.start()
    await worker.idle()
    assert {row.state for row in await rows(database)} == {JobState.QUEUED}
    clock.forward(10 * SECOND)
    worker.wake()
    await worker.idle()
    await worker.stop()
    assert batches == [20, 20]
    assert {(row.state, row.attempts) for row in await rows(database)} == {(JobState.DONE, 1)}


async def test_what_ended_is_not_lost_while_the_database_fails(database: Database, clock: Clock) -> None:
    real, failures = database.write, 1

    async def failing(fn: Any, /, *args: Any, **kw: Any) -> Any:
        nonlocal failures
        if fn is queue.turn and args[0] and failures:
            failures -= 1
            raise Unavailable("the disk is full")
        return await real(fn, *args, **kw)

    database.write = failing  # type: ignore[method-assign]
    await put(database, "a.example|1")
    async with working(database, returning(Attempted(Outcome.DELIVERED, 202)), clock) as worker:
        async with asyncio.timeout(5):
            await worker.idle()
    assert failures == 0
    assert [row.state for row in await rows(database)] == [JobState.DONE]


async def test_a_request_from_a_peer_wakes_what_waits_for_it(database: Database, clock: Clock) -> None:
    up = False

    async def run(job: Job) -> Result:
        return Attempted(Outcome.DELIVERED, 202) if up else Attempted(Outcome.UNREACHABLE, error="down")

    async with working(database, run, clock) as worker:
        await put(database, *(f"a.example|{n}" for n in range(6)))
        await worker.idle()
        assert {row.state for row in await rows(database)} == {JobState.QUEUED}
        up = True
        await worker.heard_from("a.example")
        await worker.idle()
    assert {row.state for row in await rows(database)} == {JobState.DONE}


async def test_a_job_that_never_ends_is_ended(database: Database, clock: Clock) -> None:
    async def run(job: Job) -> Result:
        await asyncio.Event().wait()
        return Done()

    await put(database, "a.example|1")
    async with working(database, run, clock, timeout=0.02) as worker:
        await worker.idle()
    (row,) = await rows(database)
    assert (row.state, row.attempts) == (JobState.QUEUED, 1)
    assert "longer than" in (row.last_error or "")


@pytest.mark.spec("R23")
@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.DELIVERED), (202, Outcome.DELIVERED), (204, Outcome.DELIVERED),
        (301, Outcome.REFUSED), (400, Outcome.REFUSED), (401, Outcome.FAILED), (403, Outcome.FAILED),
        (404, Outcome.GONE), (408, Outcome.FAILED), (410, Outcome.GONE), (422, Outcome.REFUSED),
        (429, Outcome.BUSY), (500, Outcome.FAILED), (502, Outcome.FAILED), (503, Outcome.FAILED),
    ],
)  # fmt: skip
def test_what_a_status_means(status: int, outcome: Outcome) -> None:
    assert outcome_of(status) is outcome
    assert outcome_of(503, 30) is Outcome.BUSY
