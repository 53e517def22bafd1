"""The worker: takes due jobs from the store, has them done, and notes how each ended.

It sleeps until there is something: a notice after a commit, a job that ended, or the time of the next one. One
transaction at a time notes everything that ended since the last one and takes whatever there is room for, so that a
fan-out of hundreds of deliveries costs a few commits. What a host's failures mean for its other jobs is decided in
`fedishare.store.queue`; how long until the next attempt in `fedishare.model.partners.next_attempt`.

Handlers are idempotent: a job is done at least once. They return a `Result`, or raise what happened.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from fedishare.model.activities import JobsQueued
from fedishare.model.errors import FedishareError, FetchFailed, PolicyRefusal, TooMany, Unavailable
from fedishare.model.ids import Id, Millis
from fedishare.model.partners import SCHEDULE, Outcome, next_attempt
from fedishare.policy.facts import KEEPS_QUEUE
from fedishare.store import queue
from fedishare.store.db import Database, NoticesLost, Tx
from fedishare.store.jobs import Job, JobState
from fedishare.store.queue import Settlement, Taken, Want

log = logging.getLogger(__name__)

POISON = 5
"""After so many attempts that ended in an exception nobody foresaw, a job is dead: it would never end well."""
OWN_TROUBLE = 5.0
"""Seconds until a job that we ourselves could not do (database, disk) is tried again."""
LEASE = 15.0
"""Seconds after which the jobs of a process that died are taken over, looked at every third of it: so that everything
goes on within half a minute (INV-8)."""
HELD_NOWHERE = 300_000
"""Milliseconds until the guard is asked again about a job without a host that it keeps for now."""
SLOW_AFTER = 2.0
"""Seconds after which a host that keeps us waiting gets one job at a time."""
RESERVE = 4
"""One slot of so many is kept for hosts that answered well the last time."""


@dataclass(frozen=True, slots=True)
class Done:
    """It is done."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The handler has ended the job in a transaction of its own (`fedishare.store.jobs.finish`)."""


@dataclass(frozen=True, slots=True)
class Attempted:
    """A request to the job's host ended so: done, later or given up, and what it says of the host.

    ``rule`` and ``revision`` are the permit's; ``retry_after`` is in seconds; ``scheme`` the signature scheme that
    worked, if that is to be remembered until ``scheme_until``.
    """

    outcome: Outcome
    status: int | None = None
    error: str | None = None
    retry_after: int | None = None
    rule: str | None = None
    revision: int | None = None
    scheme: str | None = None
    scheme_until: Millis | None = None


@dataclass(frozen=True, slots=True)
class Cancelled:
    """It is not to be done any more, with the reason, and the guard's rule if that said so."""

    reason: str
    rule: str | None = None
    revision: int | None = None


@dataclass(frozen=True, slots=True)
class Dead:
    """It can never be done."""

    error: str


@dataclass(frozen=True, slots=True)
class Kept:
    """The guard says no for now (partner paused, federation off): all that waits for the host is held."""

    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Later:
    """Not now, through no fault of the job or its host: again in so many seconds; it was no attempt."""

    seconds: float
    reason: str


Result = Done | Settled | Attempted | Cancelled | Dead | Kept | Later


@dataclass(frozen=True, slots=True)
class Handler:
    """How jobs of one kind are done.

    ``run`` does one. ``prepare``, if any, sees all jobs that were claimed together before the first of them runs, to
    read in one go what each of them needs. ``limit``: how many at a time. ``per_host``: for jobs with a host, how many
    at a time for each; None if hosts do not matter. ``timeout``: seconds for one, where the worker's do not fit.
    """

    run: Callable[[Job], Awaitable[Result | None]]
    limit: int = 16
    per_host: int | None = None
    prepare: Callable[[Sequence[Job]], Awaitable[None]] | None = None
    timeout: float | None = None


class Worker:
    """Runs the jobs of one process. ``lease`` and ``timeout`` (of one job) are in seconds."""

    def __init__(
        self,
        database: Database,
        handlers: Mapping[str, Handler],
        *,
        clock: Callable[[], Millis],
        lease: float = LEASE,
        timeout: float = 120.0,
        jitter: Callable[[], float] = lambda: random.uniform(-1, 1),  # noqa: S311 — spreads retries
    ) -> None:
        self._database = database
        self._handlers = dict(handlers)
        self._clock = clock
        self._lease = lease
        self._timeout = timeout
        self._jitter = jitter
        self._wake = asyncio.Event()
        self._quiet = asyncio.Event()
        self._stopping = False
        self._loop: asyncio.Task[None] | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._running: dict[Id, _Running] = {}
        self._batches: set[asyncio.Task[None]] = set()
        self._ended: list[Settlement] = []
        self._trusted: set[str] = set()
        self._failing: set[str] = set()
        self._cursors: dict[str, str] = {}
        self._next_run: Millis | None = None
        self._next_look = 0.0

    # from outside

    async def start(self) -> None:
        """Take back what a dead worker left, and begin."""
        # On SQLite there is one server process, so whatever is still marked as running belongs to a dead one.
        alone = self._database.dialect == "sqlite"
        await self._database.write(queue.expire_leases, Millis(2**62) if alone else None)
        self._unsubscribe = self._database.on_notice(self._heard)
        self._wake.set()
        self._loop = asyncio.create_task(self._work(), name="jobs")

    def wake(self) -> None:
        """There may be work: look now."""
        self._wake.set()

    async def heard_from(self, host: str) -> None:
        """The host made a request of us, so it is alive: if its circuit is open, it closes."""
        if host in self._failing:
            self._failing.discard(host)
            await self._database.write(queue.heard_from, host)
            self._wake.set()

    @property
    def in_flight(self) -> int:
        """How many jobs run now."""
        return len(self._running)

    async def idle(self) -> None:
        """Wait until nothing is due and nothing runs. For tests."""
        while self._wake.is_set() or not self._quiet.is_set():
            await self._quiet.wait()
            await asyncio.sleep(0)

    async def stop(self, deadline: float = 10.0) -> None:
        """Take nothing new, let what runs end within ``deadline`` seconds, give the rest back untouched."""
        self._stopping = True
        if self._unsubscribe is not None:
            self._unsubscribe()
        if self._loop is None:
            return
        self._wake.set()
        with contextlib.suppress(asyncio.CancelledError):
            await self._loop
        tasks = [*self._batches, *(r.task for r in self._running.values() if r.task is not None)]
        if tasks:
            await asyncio.wait(tasks, timeout=deadline)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        left = list(self._running)
        self._running.clear()
        ended, self._ended = self._ended, []
        with contextlib.suppress(Unavailable):  # leases run out by themselves
            await self._database.write(_leave, ended, left)

    # the loop

    def _heard(self, notice: object) -> None:
        if isinstance(notice, JobsQueued | NoticesLost):
            self._wake.set()

    async def _work(self) -> None:
        while not self._stopping:
            await self._sleep()
            if self._stopping:
                return
            try:
                await self._look_after_leases()
                await self._turn()
            except Unavailable as error:
                log.warning("the queue cannot be read at the moment: %s", error)
                await asyncio.sleep(1)
                self._wake.set()
            except Exception:
                log.exception("a turn of the queue failed")
                await asyncio.sleep(1)
                self._wake.set()

    async def _sleep(self) -> None:
        """Until something happens, the next job is due, or leases need a look."""
        seconds = self._next_look - time.monotonic()
        if self._next_run is not None:
            seconds = min(seconds, (self._next_run - self._clock()) / 1000)
        if not self._wake.is_set() and not self._running and not self._ended:
            self._quiet.set()
        try:
            async with asyncio.timeout(max(seconds, 0.001)):
                await self._wake.wait()
        except TimeoutError:
            pass
        finally:
            self._quiet.clear()
        self._wake.clear()

    async def _look_after_leases(self) -> None:
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + self._lease / 3
        await self._database.write(_keep_leases, list(self._running), int(1000 * self._lease))

    async def _turn(self) -> None:
        wants = self._wants()
        if not self._ended and not any(want.free > 0 for want in wants):
            return  # each job that ends wakes us
        ended, self._ended = self._ended, []
        try:
            taken: Taken = await self._database.write(queue.turn, ended, wants, int(1000 * self._lease))
        except BaseException:
            self._ended = ended + self._ended
            raise
        self._next_run = taken.next_run
        self._cursors.update(taken.after)
        if any(taken.after.values()):
            self._wake.set()  # the walk through hosts or lanes goes on
        by_kind: dict[str, list[Job]] = {}
        for job in taken.jobs:
            self._running[job.id] = _Running(job, time.monotonic())
            by_kind.setdefault(job.kind, []).append(job)
            if job.health.failures or job.health.retry_at is not None:
                self._failing.add(job.host or "")
        for kind, batch in by_kind.items():
            self._begin(self._handlers[kind], batch)

    def _wants(self) -> list[Want]:
        now = time.monotonic()
        kinds = Counter(r.job.kind for r in self._running.values())
        slow = {r.job.host for r in self._running.values() if r.job.host and now - r.since > SLOW_AFTER}
        wants = []
        for kind, handler in self._handlers.items():
            free = handler.limit - kinds[kind]
            if handler.per_host is None:
                wants.append(Want(kind, free, free, after=self._cursors.get(kind, "")))
                continue
            doubted = sum(
                1 for r in self._running.values()
                if r.job.kind == kind and r.job.host and (r.job.host not in self._trusted or r.job.host in slow)
            )  # fmt: skip
            doubtful = handler.limit - handler.limit // RESERVE - doubted
            trusted = self._trusted - slow
            wants.append(Want(kind, free, doubtful, handler.per_host, trusted, slow, self._cursors.get(kind, "")))
        return wants

    # one batch, one job

    def _begin(self, handler: Handler, batch: list[Job]) -> None:
        if handler.prepare is None:
            self._start(handler, batch)
            return
        task = asyncio.create_task(self._prepare(handler, batch))
        self._batches.add(task)
        task.add_done_callback(self._batches.discard)

    async def _prepare(self, handler: Handler, batch: list[Job]) -> None:
        assert handler.prepare is not None  # noqa: S101 — asked by the caller
        try:
            await handler.prepare(batch)
        except Exception as error:
            for job in batch:
                self._end(job, _result_of(error, job))
        else:
            self._start(handler, batch)

    def _start(self, handler: Handler, batch: Iterable[Job]) -> None:
        for job in batch:
            self._running[job.id].task = asyncio.create_task(self._run(handler, job))

    async def _run(self, handler: Handler, job: Job) -> None:
        try:
            async with asyncio.timeout(handler.timeout or self._timeout):
                result = await handler.run(job)
        except TimeoutError:
            message = f"it took longer than {handler.timeout or self._timeout:g} s"
            result = Attempted(Outcome.UNREACHABLE, error=message) if job.host else _again(job, message)
        except Exception as error:
            result = _result_of(error, job)
        self._end(job, result if result is not None else Done())

    def _end(self, job: Job, result: Result) -> None:
        running = self._running.pop(job.id)
        if isinstance(result, Attempted) and job.host is not None:
            self._rate(job.host, result, time.monotonic() - running.since)
        settlement = self._settlement(job, result)
        if settlement is not None:
            self._ended.append(settlement)
        self._wake.set()

    def _rate(self, host: str, result: Attempted, seconds: float) -> None:
        """Remember whether a host is worth a slot of the reserve."""
        if result.outcome is Outcome.DELIVERED and seconds < SLOW_AFTER:
            self._trusted.add(host)
        elif seconds >= SLOW_AFTER or _is_fault(result):
            self._trusted.discard(host)

    def _settlement(self, job: Job, result: Result) -> Settlement | None:
        now = self._clock()
        match result:
            case Settled():
                return None
            case Done():
                return Settlement(job, JobState.DONE)
            case Dead(error):
                return Settlement(job, JobState.DEAD, error=error)
            case Cancelled(reason, rule, revision):
                return Settlement(job, JobState.CANCELLED, error=reason, rule=rule, revision=revision)
            case Kept(_, reason) if job.host is None:
                return Settlement(job, None, Millis(now + HELD_NOWHERE), counted=False, error=reason)
            case Kept(rule, reason):
                return Settlement(job, JobState.HELD, error=reason, rule=rule)
            case Later(seconds, reason):
                return Settlement(job, None, Millis(now + int(1000 * seconds)), counted=False, error=reason)
            case Attempted():
                return self._attempted(job, result, now)

    def _attempted(self, job: Job, result: Attempted, now: Millis) -> Settlement:
        # Until the schedule is used up the age does not matter: the job may have waited for a paused partner.
        first_at = job.created_at if job.attempts > len(SCHEDULE) else now
        run_at = next_attempt(
            result.outcome, job.attempts, first_at, now, retry_after=result.retry_after, jitter=self._jitter()
        )
        delivered = result.outcome is Outcome.DELIVERED
        state = JobState.DONE if delivered else JobState.DEAD if run_at is None else None
        return Settlement(
            job, state, run_at, status=result.status, error=result.error, rule=result.rule, revision=result.revision,
            outcome=self._health_outcome(job, result), retry_after=result.retry_after, scheme=result.scheme,
            scheme_until=result.scheme_until,
        )  # fmt: skip

    def _health_outcome(self, job: Job, result: Attempted) -> Outcome | None:
        """What to note about the host; None when it was well before and is well now, which needs no writing."""
        if job.host is None:
            return None
        outcome = result.outcome
        if outcome is Outcome.FAILED and not _is_fault(result) and job.host in self._trusted:
            # spec: R23 — 401 and 403 do not disable the peer: it refuses one of us and took what others sent
            outcome = Outcome.REFUSED
        if outcome in (Outcome.FAILED, Outcome.UNREACHABLE, Outcome.BUSY):
            self._failing.add(job.host)
            return outcome
        if job.host in self._failing:
            self._failing.discard(job.host)
            return outcome
        return None


@dataclass(slots=True)
class _Running:
    """A job that runs, since when (monotonic seconds), and its task once it has begun."""

    job: Job
    since: float
    task: asyncio.Task[None] | None = None


def _result_of(error: Exception, job: Job) -> Result:
    """What an exception of a handler means."""
    match error:
        case PolicyRefusal():
            if error.rule in KEEPS_QUEUE:
                return Kept(error.rule, error.message)
            if error.rule == "gateway-permit":  # the policy changed while it was being done: ask anew, a few times
                return _again(job, error.message)
            return Cancelled(error.message, error.rule)
        case FetchFailed():
            return Attempted(
                Outcome.UNREACHABLE if error.http_status is None else outcome_of(error.http_status, error.retry_after),
                error.http_status, error.message, error.retry_after,
            )  # fmt: skip
        case TooMany() | Unavailable():
            return Later(max(error.retry_after if isinstance(error, TooMany) else 0, OWN_TROUBLE), error.message)
        case FedishareError():
            return Dead(error.message)
        case _:
            log.error("job %s (%s) failed", job.id, job.kind, exc_info=error)
            return _again(job, f"{type(error).__name__}: {error}")


def _again(job: Job, message: str) -> Result:
    """After a failure that nobody foresaw: a few more times."""
    return Dead(message) if job.attempts >= POISON else Attempted(Outcome.FAILED, error=message)


def _is_fault(result: Attempted) -> bool:
    """Whether the host itself is in trouble, not only unwilling."""
    return result.outcome in (Outcome.UNREACHABLE, Outcome.FAILED) and result.status not in (401, 403)


def outcome_of(status: int, retry_after: int | None = None) -> Outcome:
    """What an HTTP status means for a delivery or a fetch."""
    if 200 <= status < 300:
        return Outcome.DELIVERED
    # spec: R23 — 410 and 404 end it, 401 and 403 do not disable the peer for ever
    if status in (404, 410):
        return Outcome.GONE
    # spec: R49 — our own deliveries heed Retry-After
    if status == 429 or (status == 503 and retry_after is not None):
        return Outcome.BUSY
    if status in (401, 403, 408) or status >= 500 or status < 200:
        return Outcome.FAILED
    return Outcome.REFUSED


def _keep_leases(tx: Tx, running: Sequence[Id], lease_millis: int) -> None:
    if running:
        queue.renew(tx, running, lease_millis)
    queue.expire_leases(tx)


def _leave(tx: Tx, ended: Sequence[Settlement], left: Sequence[Id]) -> None:
    queue.settle(tx, ended)
    if left:
        queue.release(tx, left)
