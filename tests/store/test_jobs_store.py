"""The queue in the store: order, isolation, leases and the ledger, on both engines."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Sequence

import pytest

from fedishare.model.ids import Id, Millis
from fedishare.model.partners import GIVE_UP_AFTER, Outcome, PeerHealth
from fedishare.store import jobs, queue
from fedishare.store.activities import PUT_DOCUMENT
from fedishare.store.db import Database, Tx, open_database
from fedishare.store.jobs import Delivery, Job, JobState
from fedishare.store.queue import Settlement, Taken, Want
from tests.store.conftest import Clock

LEASE = 30_000


def put(tx: Tx, lanes: Sequence[tuple[str | None, str]], kind: str = "deliver") -> None:
    for host, lane in lanes:
        jobs.put(tx, kind, f"{host} {lane}", lane=lane, host=host)


def want(free: int = 64, per_host: int = 4, kind: str = "deliver", **more: object) -> Want:
    values = {"doubtful": free, "per_host": per_host} | more
    return Want(kind, free, **values)  # type: ignore[arg-type]


async def turn(database: Database, *wants: Want, ended: Sequence[Settlement] = ()) -> Taken:
    return await database.write(queue.turn, ended, wants or (want(),), LEASE)


async def states(database: Database) -> Counter[JobState]:
    return Counter(row.state for row in await database.read(jobs.listing, limit=1_000_000))


def done(job: Job) -> Settlement:
    return Settlement(job, JobState.DONE, status=202, outcome=Outcome.DELIVERED)


def failed(job: Job, outcome: Outcome = Outcome.UNREACHABLE, run_at: int | None = None) -> Settlement:
    return Settlement(job, None, Millis(run_at or 0) or None, error="no answer", outcome=outcome)


async def test_a_lane_runs_one_job_at_a_time_and_oldest_first(database: Database) -> None:
    await database.write(put, [("a.example", "a|1"), ("a.example", "a|1"), ("a.example", "a|2"), ("b.example", "b|1")])
    first = await turn(database)
    assert [job.payload for job in first.jobs] == ["a.example a|1", "a.example a|2", "b.example b|1"]
    assert (await turn(database)).jobs == []
    second = await turn(database, ended=[done(first.jobs[0])])
    assert [job.lane for job in second.jobs] == ["a|1"]
    assert second.jobs[0].id > first.jobs[0].id


async def test_a_job_that_waits_for_its_next_attempt_keeps_its_lane(database: Database, clock: Clock) -> None:
    await database.write(put, [("a.example", "a|1"), ("a.example", "a|1"), ("a.example", "a|2")])
    taken = await turn(database, want(1))
    (create,) = taken.jobs
    later = clock.now + 60_000
    again = Settlement(create, None, Millis(later), status=500, error="500", outcome=Outcome.FAILED)
    found = await turn(database, ended=[again])
    assert [job.lane for job in found.jobs] == ["a|2"], "another object of the same host goes on"
    assert found.next_run == later
    clock.now = Millis(later)
    assert [job.id for job in (await turn(database)).jobs] == []  # the host fails: one at a time, and a|2 still runs
    found = await turn(database, ended=[done(found.jobs[0])])
    assert [job.id for job in found.jobs] == [create.id]
    assert found.jobs[0].attempts == 2


async def test_a_host_has_a_limited_number_in_flight_and_one_while_it_fails(database: Database) -> None:
    await database.write(put, [(h, f"{h}|{n}") for h in ("a.example", "b.example") for n in range(9)])
    taken = (await turn(database)).jobs
    assert Counter(job.host for job in taken) == {"a.example": 4, "b.example": 4}
    a = [job for job in taken if job.host == "a.example"]
    then = (await turn(database, ended=[failed(a[0]), *map(done, a[1:])])).jobs
    assert len(then) == 4, "a success closes what the failure had opened"
    then = (await turn(database, ended=[*map(done, then[1:]), failed(then[0])])).jobs
    assert Counter(job.host for job in then) == {"a.example": 1}, "its last request failed, so one at a time"
    assert then[0].health.failures == 1


@pytest.mark.spec("R23")
async def test_an_open_circuit_puts_everything_off_lets_one_through_and_then_all(
    database: Database, clock: Clock
) -> None:
    await database.write(put, [("a.example", f"a|{n}") for n in range(20)] + [("b.example", "b|1")])
    taken = (await turn(database)).jobs
    ended = [failed(j, run_at=clock.now + 60_000) for j in taken if j.host == "a.example"]
    assert (await turn(database, ended=ended)).jobs == []
    health = await database.read(jobs.peer, "a.example")
    assert health.failures == 4
    assert health.retry_at is not None
    rows = await database.read(jobs.listing, host="a.example")
    assert {row.run_at for row in rows} == {health.retry_at}, "one statement put all of them off"

    await database.write(put, [("a.example", "a|new")])
    assert (await turn(database)).jobs == [], "what is new waits, too"
    clock.now = health.retry_at
    probe = (await turn(database)).jobs
    assert len(probe) == 1
    assert (await turn(database)).jobs == [], "one probe"
    again = (await turn(database, ended=[failed(probe[0], run_at=clock.now + 120_000)])).jobs
    assert again == []
    longer = await database.read(jobs.peer, "a.example")
    assert longer.retry_at is not None
    assert longer.retry_at - clock.now > health.retry_at - health.retry_at + 60_000, "it opens for longer"

    clock.now = longer.retry_at
    (probe2,) = (await turn(database)).jobs
    well = Settlement(probe2, JobState.DONE, outcome=Outcome.DELIVERED)
    assert len((await turn(database, ended=[well])).jobs) == 4
    assert await database.read(jobs.peer, "a.example") == PeerHealth()


async def test_a_request_from_the_peer_closes_its_circuit(database: Database, clock: Clock) -> None:
    def broken(tx: Tx) -> None:
        jobs.put_peer(tx, "a.example", PeerHealth(7, Millis(tx.now + 900_000), "no answer"))
        put(tx, [("a.example", "a|1"), ("a.example", "a|2")])

    await database.write(broken)
    assert (await turn(database)).jobs == []
    await database.write(queue.heard_from, "a.example")
    assert len((await turn(database)).jobs) == 2


async def test_after_seven_days_without_an_answer_it_is_given_up(database: Database, clock: Clock) -> None:
    await database.write(put, [("a.example", f"a|{n}") for n in range(3)])
    taken = (await turn(database)).jobs
    await turn(database, ended=[failed(j, run_at=clock.now + 60_000) for j in taken])
    clock.now = Millis(clock.now + 1000 * GIVE_UP_AFTER + 60_001)
    await database.write(put, [("a.example", "a|fresh")])
    (probe,) = (await turn(database)).jobs
    dead = Settlement(probe, JobState.DEAD, error="no answer", outcome=Outcome.UNREACHABLE)
    await turn(database, ended=[dead])
    rows = {row.lane: row for row in await database.read(jobs.listing)}
    assert [rows[f"a|{n}"].state for n in range(3)] == [JobState.DEAD] * 3
    assert rows["a|fresh"].state is JobState.QUEUED, "it never had an attempt"
    assert "7 days" in (rows["a|2"].last_error or "")


async def test_a_lease_that_ran_out_is_taken_back(database: Database, clock: Clock) -> None:
    await database.write(put, [("a.example", "a|1"), ("a.example", "a|2")])
    one, two = (await turn(database)).jobs
    clock.now = Millis(clock.now + LEASE - 10)
    await database.write(queue.renew, [two.id], LEASE)
    clock.now = Millis(clock.now + 20)
    assert await database.write(queue.expire_leases) == 1
    (again,) = (await turn(database)).jobs
    assert (again.id, again.attempts) == (one.id, 2)
    # The first worker comes back late: somebody else has the job, so it may not end what is not its own any more.
    assert await database.write(jobs.finish, two.id, JobState.DONE)
    assert not await database.write(jobs.finish, two.id, JobState.DEAD)


async def test_released_jobs_are_as_if_they_had_not_been_touched(database: Database) -> None:
    await database.write(put, [("a.example", "a|1")])
    (job,) = (await turn(database)).jobs
    await database.write(queue.release, [job.id])
    (again,) = (await turn(database)).jobs
    assert (again.id, again.attempts) == (job.id, 1)


async def test_what_the_guard_holds_waits_until_the_policy_changes(database: Database) -> None:
    await database.write(put, [("a.example", f"a|{n}") for n in range(6)] + [("b.example", "b|1")])
    taken = (await turn(database)).jobs
    paused = Settlement(taken[0], JobState.HELD, error="a is paused", rule="partner-paused")
    assert (await turn(database, ended=[paused])).jobs == []
    found = await states(database)
    assert found[JobState.HELD] == 3
    held = next(r for r in await database.read(jobs.listing, state=JobState.HELD))
    assert (held.rule, held.attempts) == ("partner-paused", 0)
    await database.write(jobs.move, held.id, JobState.CANCELLED, [JobState.HELD], "dropped by the operator")
    assert await database.write(jobs.release_held, ["a.example"]) == 2
    assert (await states(database))[JobState.HELD] == 0

    mine = await database.read(jobs.listing, state=JobState.QUEUED)
    await database.write(jobs.move, mine[0].id, JobState.HELD, [JobState.QUEUED], "held by the operator")
    assert await database.write(jobs.release_held, ["a.example"]) == 0, "what a person holds stays held"


async def test_ending_a_partner_cancels_what_waits_and_what_is_held(database: Database) -> None:
    await database.write(put, [("a.example", f"a|{n}") for n in range(6)] + [("b.example", "b|1")])
    taken = (await turn(database, want(2))).jobs
    held = Settlement(taken[0], JobState.HELD, error="paused", rule="partner-paused")
    await turn(database, want(0), ended=[held])
    assert await database.write(jobs.cancel_host, "a.example", "ended", "partner-ended") == 5
    found = await states(database)
    assert (found[JobState.CANCELLED], found[JobState.RUNNING], found[JobState.QUEUED]) == (5, 1, 1)
    row = (await database.read(jobs.listing, state=JobState.CANCELLED))[0]
    assert (row.last_error, row.rule) == ("ended", "partner-ended")


async def test_the_ledger_says_who_got_it_and_from_whom_it_was_withheld(database: Database) -> None:
    def store(tx: Tx) -> None:
        document = queue_document(tx)
        deliveries = [
            Delivery("a.example", "a|1", "{}"),
            Delivery("b.example", "b|1", "{}", "the terms allow no media", "media", 7),
        ]
        jobs.put_deliveries(tx, document, deliveries)

    await database.write(store)
    (job,) = (await turn(database)).jobs
    ended = Settlement(job, JobState.DONE, status=202, rule="partner", revision=7, outcome=Outcome.DELIVERED)
    await turn(database, ended=[ended])
    sent, withheld = await database.read(jobs.of_post, Id(5))
    assert (sent.state, sent.status, sent.rule, sent.revision) == (JobState.DONE, 202, "partner", 7)
    assert (withheld.state, withheld.rule, withheld.revision) == (JobState.CANCELLED, "media", 7)
    assert withheld.last_error == "the terms allow no media"
    assert await database.read(jobs.counts) == {("deliver", JobState.DONE): 1, ("deliver", JobState.CANCELLED): 1}


def queue_document(tx: Tx) -> Id:
    ident = tx.new_id()
    tx.run(PUT_DOCUMENT, id=ident, iri="https://us.example/1", actor=1, post=5, body="{}", facts="{}", now=tx.now)
    return ident


async def test_one_busy_host_does_not_hide_the_others(database: Database) -> None:
    """However much is queued for a host that has no room, and however old that is, others are found."""
    await database.write(put, [("dead.example", f"dead|{n}") for n in range(2_000)])
    await database.write(put, [(f"h{n}.example", f"h{n}|1") for n in range(5)])
    taken = (await turn(database)).jobs
    assert Counter(job.host == "dead.example" for job in taken) == {True: 4, False: 5}
    await database.write(put, [("late.example", "late|1")])
    assert [job.host for job in (await turn(database)).jobs] == ["late.example"]


async def test_one_long_lane_does_not_hide_the_others(database: Database) -> None:
    await database.write(put, [(None, "author:1")] * 2_000, "federate")
    await database.write(put, [(None, "author:2")], "federate")
    everybody = Want("federate", 8, 8)
    assert [job.lane for job in (await turn(database, everybody)).jobs] == ["author:1", "author:2"]
    assert (await turn(database, everybody)).jobs == []


async def test_hosts_that_are_doubted_leave_room_for_those_that_answer(database: Database) -> None:
    await database.write(put, [(f"slow{n}.example", f"slow{n}|1") for n in range(100)])
    await database.write(put, [("good.example", "good|1")])
    taken = (await turn(database, want(64, doubtful=48, trusted={"good.example"}))).jobs
    assert Counter(job.host == "good.example" for job in taken) == {True: 1, False: 48}
    assert (await turn(database, want(16, doubtful=0, trusted={"good.example"}))).jobs == []


async def test_a_slow_host_gets_one_at_a_time(database: Database) -> None:
    await database.write(put, [("slow.example", f"s|{n}") for n in range(8)])
    assert len((await turn(database, want(slow={"slow.example"}))).jobs) == 1
    assert (await turn(database, want(slow={"slow.example"}))).jobs == []
    assert len((await turn(database, want())).jobs) == 3


async def test_kinds_have_their_own_room(database: Database) -> None:
    await database.write(put, [("a.example", f"a|{n}") for n in range(8)])
    await database.write(put, [(None, "author:1")], "federate")
    taken = await turn(database, want(0), Want("federate", 4, 4))
    assert [job.kind for job in taken.jobs] == ["federate"]


async def test_two_processes_never_run_one_lane_twice(schema_url: str, database: Database, clock: Clock) -> None:
    """Claims side by side from several processes (on SQLite: connections) keep lanes and hosts within their limits."""
    lanes = [(f"h{n % 7}.example", f"h{n % 7}|{n % 84}") for n in range(840)]
    await database.write(put, lanes)
    others = [await open_database(schema_url, clock=clock) for _ in range(2)]
    running: dict[str, Id] = {}
    at_host: Counter[str] = Counter()
    order: dict[str, list[Id]] = {}
    peak = 0

    async def work(mine: Database) -> None:
        nonlocal peak
        ended: list[Settlement] = []
        for _ in range(400):
            for each in ended:
                del running[each.job.lane]
                at_host[each.job.host or ""] -= 1
            taken = await mine.write(queue.turn, ended, [want(16)], LEASE)
            for job in taken.jobs:
                assert job.lane not in running, "two jobs of one lane run"
                running[job.lane] = job.id
                order.setdefault(job.lane, []).append(job.id)
                at_host[job.host or ""] += 1
                peak = max(peak, at_host[job.host or ""])
            ended = [done(job) for job in taken.jobs]
            await asyncio.sleep(0)
            if not taken.jobs and not running:
                return

    try:
        await asyncio.gather(*(work(each) for each in (database, *others)))
    finally:
        for other in others:
            await other.close()
    assert (await states(database)) == {JobState.DONE: 840}
    assert all(ids == sorted(ids) for ids in order.values())
    assert peak <= 4


async def test_a_claim_waits_for_the_one_before_it(schema_url: str, database: Database, clock: Clock) -> None:
    """What another process is just taking counts already, though it is not committed yet."""
    await database.write(put, [("a.example", f"a|{n}") for n in range(12)])
    other = await open_database(schema_url, clock=clock)
    claimed, go_on = threading.Event(), threading.Event()

    def slowly(tx: Tx) -> list[Job]:
        taken = queue.turn(tx, [], [want()], LEASE).jobs
        claimed.set()
        go_on.wait(5)
        return taken

    try:
        first = asyncio.create_task(database.write(slowly))
        await asyncio.to_thread(claimed.wait, 5)
        second = asyncio.create_task(turn(other))
        done_early, _ = await asyncio.wait([second], timeout=0.1)
        go_on.set()
        assert not done_early
        assert (len(await first), len((await second).jobs)) == (4, 0)
    finally:
        go_on.set()
        await other.close()


@pytest.mark.parametrize("free", [1, 16])
async def test_claims_stay_quick_behind_a_hundred_thousand_queued(database: Database, free: int) -> None:
    """Not a timed test, but a claim that scans the queue would take seconds here."""

    def fill(tx: Tx) -> None:
        now = {"now": tx.now, "run_at": tx.now, "kind": "deliver", "document": None, "dedup": None}
        rows = [("dead.example", n) for n in range(50_000)] + [(f"h{n % 500}.example", n) for n in range(50_000)]
        tx.many(
            jobs.PUT,
            [{"id": tx.new_id(), "lane": f"{h}|{n}", "host": h, "payload": "{}", **now} for h, n in rows],
        )

    await database.write(fill)
    began = time.perf_counter()
    hosts: set[str | None] = set()
    ended: list[Settlement] = []
    for _ in range(20):
        taken = (await turn(database, want(free), ended=ended)).jobs
        assert taken
        hosts |= {job.host for job in taken}
        ended = [done(job) for job in taken if job.host != "dead.example"]
    assert time.perf_counter() - began < 5
    assert len(hosts) > min(free, 4), "others than the dead host are served"
