"""The queue from the workers' side: one transaction notes what ended and takes what is due.

Three promises are kept here, for any number of workers on one database (claims pass one lock, so each sees those of
the others):

* **Order.** A lane runs one job at a time, oldest first; an unfinished older job of the lane, even one that waits for
  its next attempt, keeps the younger ones back.
* **Isolation.** A host has at most ``per_host`` jobs in flight, one while it fails, none while its circuit is open;
  then all that waits for it is put off by one statement. How much is queued for one host, or in one lane, does not
  matter to the others: a claim looks at a window of what is due first, and only when that is taken up by hosts or
  lanes that must wait does it go from host to host (or lane to lane) through an index.
* **Nothing is lost.** A claim is a lease. Whoever dies holding one loses it, and the job is queued again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from fedishare.model.activities import JobsQueued
from fedishare.model.ids import Id, Millis
from fedishare.model.partners import GIVE_UP_AFTER, Outcome, PeerHealth
from fedishare.store import jobs
from fedishare.store.db import Row, Tx, sql
from fedishare.store.jobs import Job, JobState

CLAIM_LOCK = "jobs:claim"
WINDOWS = (2, 8)
"""How many due jobs a claim looks at for each free slot, first and then, before it goes host by host."""
STEPS = 512
"""How many hosts or lanes one claim visits at most."""

RUNNING = sql("queue_running", "SELECT kind, host, lane FROM job WHERE state = 1")
DUE = sql(
    "queue_due",
    """SELECT d.id, d.host, d.lane, CASE WHEN EXISTS (SELECT 1 FROM job k
          WHERE k.kind = :kind AND k.lane = d.lane AND k.state < 3 AND k.id < d.id) THEN 1 ELSE 0 END
       FROM (SELECT id, host, lane, run_at FROM job WHERE kind = :kind AND state = 0 AND run_at <= :now
             ORDER BY run_at, id LIMIT :window) AS d
       ORDER BY d.run_at, d.id""",
)
DUE_AT_HOST = sql(
    "queue_due_at_host",
    """SELECT d.id, d.host, d.lane, CASE WHEN EXISTS (SELECT 1 FROM job k
          WHERE k.kind = :kind AND k.lane = d.lane AND k.state < 3 AND k.id < d.id) THEN 1 ELSE 0 END
       FROM (SELECT id, host, lane, run_at FROM job
             WHERE kind = :kind AND host = :host AND state = 0 AND host IS NOT NULL AND run_at <= :now
             ORDER BY run_at, id LIMIT :window) AS d
       ORDER BY d.run_at, d.id""",
)
DUE_HOSTS = sql(
    "queue_due_hosts",
    """WITH RECURSIVE h (host, step) AS (
        SELECT (SELECT min(j.host) FROM job j
                WHERE j.kind = :kind AND j.state = 0 AND j.host IS NOT NULL AND j.host > :after), 1
        UNION ALL
        SELECT (SELECT min(j.host) FROM job j
                WHERE j.kind = :kind AND j.state = 0 AND j.host IS NOT NULL AND j.host > h.host), h.step + 1
        FROM h WHERE h.host IS NOT NULL AND h.step < :steps)
       SELECT h.host, (SELECT min(j.run_at) FROM job j
                       WHERE j.kind = :kind AND j.host = h.host AND j.state = 0 AND j.host IS NOT NULL)
       FROM h WHERE h.host IS NOT NULL""",
)
DUE_LANES = sql(
    "queue_due_lanes",
    """WITH RECURSIVE l (lane, step) AS (
        SELECT (SELECT min(j.lane) FROM job j WHERE j.kind = :kind AND j.state < 3 AND j.lane > :after), 1
        UNION ALL
        SELECT (SELECT min(j.lane) FROM job j WHERE j.kind = :kind AND j.state < 3 AND j.lane > l.lane), l.step + 1
        FROM l WHERE l.lane IS NOT NULL AND l.step < :steps)
       SELECT l.lane, (SELECT min(j.id) FROM job j WHERE j.kind = :kind AND j.lane = l.lane AND j.state < 3)
       FROM l WHERE l.lane IS NOT NULL""",
)
HEADS = sql(
    "queue_heads",
    "SELECT j.id, j.host, j.lane, 0 FROM job j WHERE j.id IN :ids[] AND j.state = 0 AND j.run_at <= :now ORDER BY j.id",
)
CLAIM = sql(
    "queue_claim",
    """UPDATE job SET state = 1, attempts = attempts + 1, lease_until = :until
       WHERE id IN (SELECT c.id FROM job c WHERE c.id IN :ids[] AND c.state = 0 {skip_locked}) AND state = 0
       RETURNING id, kind, lane, host, payload, document_id, attempts, created_at""",
)
NEXT = sql("queue_next", "SELECT min(run_at) FROM job WHERE kind = :kind AND state = 0 AND run_at > :now")
PEERS = sql(
    "queue_peers",
    """SELECT host, failures, retry_at, last_error, signature_scheme, scheme_until FROM peer
       WHERE host IN :hosts[]""",
)
EXPIRED = sql(
    "queue_expire_leases", "UPDATE job SET state = 0, lease_until = NULL WHERE state = 1 AND lease_until < :before"
)
RENEW = sql("queue_renew", "UPDATE job SET lease_until = :until WHERE id IN :ids[] AND state = 1")
RELEASE = sql(
    "queue_release",
    "UPDATE job SET state = 0, lease_until = NULL, attempts = attempts - 1 WHERE id IN :ids[] AND state = 1",
)
END = sql(
    "queue_end",
    """UPDATE job SET state = :state, finished_at = :now, status = :status, last_error = :error, rule = :rule,
        revision = :revision, lease_until = NULL WHERE id IN :ids[] AND state = 1""",
)
AGAIN = sql(
    "queue_again",
    """UPDATE job SET state = 0, run_at = :run_at, attempts = attempts - :uncounted, status = :status,
        last_error = :error, rule = NULL, lease_until = NULL WHERE id = :id AND state = 1""",
)
KEEP = sql(
    "queue_keep",
    """UPDATE job SET state = 2, attempts = attempts - 1, rule = :rule, last_error = :error, lease_until = NULL
       WHERE id = :id AND state = 1""",
)
PUT_OFF = sql(
    "queue_put_off_host",
    """UPDATE job SET run_at = :until
       WHERE kind = :kind AND host = :host AND state = 0 AND host IS NOT NULL AND run_at < :until""",
)
GIVE_UP = sql(
    "queue_give_up_host",
    """UPDATE job SET state = 4, finished_at = :now, last_error = :error
       WHERE kind = :kind AND host = :host AND state = 0 AND host IS NOT NULL AND attempts > 0
         AND created_at < :before""",
)


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a claimed job goes on. ``state`` None: queued again for ``run_at``; HELD: the guard keeps it, by ``rule``."""

    job: Job
    state: JobState | None
    run_at: Millis | None = None
    counted: bool = True
    """Whether it was an attempt; our own troubles are not."""
    status: int | None = None
    error: str | None = None
    rule: str | None = None
    revision: int | None = None
    outcome: Outcome | None = None
    """What it says of the host's health; None: nothing."""
    retry_after: int | None = None
    scheme: str | None = None
    """The signature scheme that worked, if that is news …"""
    scheme_until: Millis | None = None
    """… and until when it is remembered."""


@dataclass(frozen=True, slots=True)
class Want:
    """What a worker has room for: ``free`` jobs of ``kind``; at most ``doubtful`` of them for hosts not ``trusted``."""

    kind: str
    free: int
    doubtful: int
    per_host: int = 1_000_000
    trusted: Collection[str] = ()
    """Hosts that answered well the last time."""
    slow: Collection[str] = ()
    """Hosts that keep a request waiting now: one job at a time."""
    after: str = ""
    """Where the walk from host to host (or lane to lane) goes on."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What one turn got: jobs, when the next one is due, and where each kind's walk goes on."""

    jobs: list[Job]
    next_run: Millis | None
    after: dict[str, str]


def turn(tx: Tx, settled: Sequence[Settlement], wants: Sequence[Want], lease_millis: int) -> Taken:
    """Note what ended, then claim what is due, in one transaction."""
    tx.lock(CLAIM_LOCK)  # before anything else, so that two turns never wait for each other crosswise
    settle(tx, settled)
    taken: list[Job] = []
    after: dict[str, str] = {}
    next_run: Millis | None = None
    for want in wants:
        if want.free > 0:
            found, cursor = _claim(tx, want, lease_millis)
            taken += found
            after[want.kind] = cursor
        due: Millis | None = tx.value(NEXT, kind=want.kind, now=tx.now)
        if due is not None and (next_run is None or due < next_run):
            next_run = due
    return Taken(taken, next_run, after)


# What ended.


def settle(tx: Tx, settled: Sequence[Settlement]) -> None:
    """Write how claimed jobs go on, and what that says of their hosts."""
    same: dict[tuple[object, ...], list[Id]] = {}
    for each in settled:
        if each.state is None:
            tx.run(
                AGAIN, id=each.job.id, run_at=each.run_at or tx.now, uncounted=int(not each.counted),
                status=each.status, error=each.error,
            )  # fmt: skip
        elif each.state is JobState.HELD:
            tx.run(KEEP, id=each.job.id, rule=each.rule, error=each.error)
            if each.job.host is not None and each.rule is not None:
                jobs.hold_host(tx, each.job.host, each.rule, each.error or "")
        else:
            key = (int(each.state), each.status, each.error, each.rule, each.revision)
            same.setdefault(key, []).append(each.job.id)
    for (state, status, error, rule, revision), idents in same.items():
        tx.run(END, ids=idents, state=state, now=tx.now, status=status, error=error, rule=rule, revision=revision)
    for each in settled:
        if each.job.host is not None and (each.outcome is not None or each.scheme is not None):
            _judge(tx, each.job.host, each)


def _judge(tx: Tx, host: str, each: Settlement) -> None:
    """One outcome changes the host's health: open the circuit and put off what waits, or close it and wake that."""
    before = jobs.peer(tx, host)
    after = before
    if each.outcome is not None:
        after = before.after(each.outcome, tx.now, each.error, each.retry_after)
    if each.scheme is not None:
        after = replace(after, signature_scheme=each.scheme, scheme_until=each.scheme_until)
    if after != before:
        jobs.put_peer(tx, host, after)
    if after.retry_at is not None and after.is_open(tx.now):
        tx.run(PUT_OFF, kind=each.job.kind, host=host, until=after.retry_at)
        give_up = f"nothing could be delivered for 7 days; the last error: {after.last_error}"
        tx.run(GIVE_UP, kind=each.job.kind, host=host, now=tx.now, error=give_up,
               before=tx.now - 1000 * GIVE_UP_AFTER)  # fmt: skip
    elif before.failures >= PeerHealth.OPEN_AFTER and after.failures == 0:
        jobs.wake_host(tx, host)


def heard_from(tx: Tx, host: str) -> None:
    """A request came from the host, so it is alive: its circuit closes and what waits for it is due."""
    before = jobs.peer(tx, host)
    if before.failures or before.retry_at is not None:
        jobs.put_peer(tx, host, before.heard_from())
        jobs.wake_host(tx, host)


# What is due.


@dataclass(slots=True)
class _Room:
    """How much more may be taken, while it is taken."""

    want: Want
    free: int
    doubtful: int
    at_host: Counter[str]
    lanes: set[str]
    health: dict[str, PeerHealth] = field(default_factory=dict)
    picked: list[Id] = field(default_factory=list)
    seen: set[Id] = field(default_factory=set)

    def at(self, host: str) -> int:
        """How many more jobs the host may get."""
        if self.doubtful < 1 and host not in self.want.trusted:
            return 0
        health = self.health.get(host)
        one = host in self.want.slow or (health is not None and health.failures > 0)
        return (1 if one else self.want.per_host) - self.at_host[host]

    def take(self, row: Row) -> None:
        """Take a due job if there is room for it."""
        ident, host, lane, blocked = row
        if blocked or lane in self.lanes or ident in self.seen or self.free < 1:
            return
        if host is not None:
            if self.at(host) < 1:
                return
            self.at_host[host] += 1
            self.doubtful -= host not in self.want.trusted
        self.free -= 1
        self.lanes.add(lane)
        self.seen.add(ident)
        self.picked.append(ident)


def _claim(tx: Tx, want: Want, lease_millis: int) -> tuple[list[Job], str]:
    """Take due jobs of one kind; also where the walk from host to host stopped."""
    running = [row for row in tx.all(RUNNING) if row[0] == want.kind]
    room = _Room(
        want, want.free, want.doubtful, Counter(row[1] for row in running if row[1] is not None),
        {row[2] for row in running},
    )  # fmt: skip
    cursor = ""
    rows: list[Row] = []
    for each in WINDOWS:
        window = each * want.free + 16
        rows = tx.all(DUE, kind=want.kind, now=tx.now, window=window)
        _take(tx, room, rows)
        if room.free < 1 or len(rows) < window:
            break
    else:
        by_host = any(row[1] is not None for row in rows)
        cursor = _walk_hosts(tx, room) if by_host else _walk_lanes(tx, room)
    if not room.picked:
        return [], cursor
    claimed = tx.all(CLAIM, ids=room.picked, until=tx.now + lease_millis)
    return [_job(row, room.health.get(row[3], jobs.WELL)) for row in sorted(claimed)], cursor


def _job(row: Row, health: PeerHealth) -> Job:
    ident, kind, lane, host, payload, document, attempts, created = row
    return Job(ident, kind, lane, host, payload, document, attempts, created, health)


def _take(tx: Tx, room: _Room, rows: list[Row]) -> None:
    _look_up(tx, room, {row[1] for row in rows if row[1] is not None})
    closed = {host for host, health in room.health.items() if health.is_open(tx.now)}
    for row in rows:
        if row[1] not in closed:
            room.take(row)


def _look_up(tx: Tx, room: _Room, hosts: Iterable[str]) -> None:
    """Read how hosts are doing. What waits for one whose circuit is open is put off, all of it at once."""
    unknown = [host for host in hosts if host not in room.health]
    if not unknown:
        return
    room.health.update({row[0]: PeerHealth(*row[1:]) for row in tx.all(PEERS, hosts=unknown)})
    for host in unknown:
        health = room.health.setdefault(host, jobs.WELL)
        if health.retry_at is not None and health.is_open(tx.now):
            tx.run(PUT_OFF, kind=room.want.kind, host=host, until=health.retry_at)


def _walk_hosts(tx: Tx, room: _Room) -> str:
    """Visit every host with due jobs, whatever stands before it in the queue."""
    visited = tx.all(DUE_HOSTS, kind=room.want.kind, after=room.want.after, steps=STEPS)
    due = [host for host, run_at in visited if run_at <= tx.now]
    _look_up(tx, room, due)
    for host in due:
        if room.free < 1:
            return str(host)
        if not room.health[host].is_open(tx.now) and room.at(host) > 0:
            limit = 4 * min(room.want.per_host, room.free)
            _take(tx, room, tx.all(DUE_AT_HOST, kind=room.want.kind, host=host, now=tx.now, window=limit))
    return str(visited[-1][0]) if len(visited) >= STEPS else ""


def _walk_lanes(tx: Tx, room: _Room) -> str:
    """Visit the first job of every lane."""
    visited = tx.all(DUE_LANES, kind=room.want.kind, after=room.want.after, steps=STEPS)
    _take(tx, room, tx.all(HEADS, ids=[head for _, head in visited], now=tx.now))
    return str(visited[-1][0]) if len(visited) >= STEPS else ""


# Leases.


def expire_leases(tx: Tx, before: Millis | None = None) -> int:
    """Take back the jobs whose worker died. ``before``: leases up to then; the default is now."""
    taken = tx.run(EXPIRED, before=before if before is not None else tx.now)
    if taken:
        tx.notify(JobsQueued())
    return taken


def renew(tx: Tx, idents: Iterable[Id], lease_millis: int) -> None:
    """Keep the leases of jobs that are still being worked on."""
    tx.run(RENEW, ids=list(idents), until=tx.now + lease_millis)


def release(tx: Tx, idents: Iterable[Id]) -> None:
    """Give claimed jobs back untouched (shutdown)."""
    tx.run(RELEASE, ids=list(idents))
