"""Jobs in the store: every piece of work is a row, and every row ends done, dead or cancelled with a reason.

A lane runs one job at a time, oldest first, so that a destination sees changes of one object in order; a host has a
limited number in flight. Leases expire, so work of a killed process is taken up again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from fedishare.model.activities import JobsQueued
from fedishare.model.ids import Id, Millis
from fedishare.model.partners import PeerHealth
from fedishare.store.db import Row, Tx, sql


class JobState(IntEnum):
    """The life of a job. From DONE on it is finished."""

    QUEUED = 0
    RUNNING = 1
    HELD = 2
    DONE = 3
    DEAD = 4
    CANCELLED = 5


PUT = sql(
    "job_insert",
    """INSERT INTO job (id, kind, lane, host, state, payload, document_id, run_at, dedup, created_at)
       VALUES (:id, :kind, :lane, :host, 0, :payload, :document, :run_at, :dedup, :now)
       ON CONFLICT DO NOTHING""",
)
CLAIM = sql(
    "job_claim",
    """UPDATE job SET state = 1, attempts = attempts + 1, lease_until = :until
       WHERE id IN (
        SELECT j.id FROM job j WHERE j.state = 0 AND j.run_at <= :now
          AND NOT EXISTS (SELECT 1 FROM job k WHERE k.lane = j.lane AND k.state < 3 AND k.id < j.id)
          AND (j.host IS NULL OR j.host NOT IN :busy[])
        ORDER BY j.run_at, j.id LIMIT :limit {skip_locked})
       AND state = 0
       RETURNING id, kind, lane, host, payload, document_id, attempts, created_at""",
)
NEXT_RUN = sql("job_next_run", "SELECT min(run_at) FROM job WHERE state = 0")
EXPIRED = sql(
    "job_expire_leases", "UPDATE job SET state = 0, lease_until = NULL WHERE state = 1 AND lease_until < :now"
)
RELEASE = sql(
    "job_release",
    "UPDATE job SET state = 0, lease_until = NULL, attempts = attempts - 1 WHERE id IN :ids[] AND state = 1",
)
FINISH = sql(
    "job_finish",
    """UPDATE job SET state = :state, finished_at = :now, status = :status, last_error = :error, rule = :rule,
        revision = :revision, lease_until = NULL WHERE id = :id AND state < 3""",
)
RETRY_AT = sql(
    "job_retry_at",
    """UPDATE job SET state = 0, run_at = :run_at, status = :status, last_error = :error, lease_until = NULL
       WHERE id = :id AND state = 1""",
)
PUT_OFF_HOST = sql(
    "job_put_off_host", "UPDATE job SET run_at = :run_at WHERE host = :host AND state = 0 AND run_at < :run_at"
)
PROBE_HOST = sql(
    "job_probe_host",
    """UPDATE job SET run_at = :now WHERE host = :host AND state = 0 AND run_at > :now
       AND id IN (SELECT id FROM job WHERE host = :host AND state = 0 AND attempts <= :attempts)""",
)
CANCEL_HOST = sql(
    "job_cancel_host",
    """UPDATE job SET state = 5, finished_at = :now, last_error = :reason, lease_until = NULL
       WHERE host = :host AND state IN (0, 2)""",
)
CANCEL_DOCUMENT = sql(
    "job_cancel_document",
    """UPDATE job SET state = 5, finished_at = :now, last_error = :reason, lease_until = NULL
       WHERE document_id IN (SELECT id FROM document WHERE post_id = :post) AND kind = 'deliver' AND state IN (0, 2)""",
)
COUNT = sql("job_counts", "SELECT kind, state, count(*) FROM job GROUP BY kind, state")
COUNT_HOSTS = sql(
    "job_counts_by_host",
    """SELECT host, state, count(*), min(run_at), max(last_error) FROM job WHERE host IS NOT NULL GROUP BY host, state
       ORDER BY host, state""",
)
BACKLOG = sql("job_backlog", "SELECT count(*) FROM (SELECT 1 FROM job WHERE state = 0 LIMIT :limit) AS queued")
LIST = sql(
    "job_list",
    """SELECT id, kind, lane, host, state, payload, document_id, run_at, attempts, created_at, finished_at, status, last_error
       FROM job WHERE (:state < 0 OR state = :state) AND (:host = '' OR host = :host) AND id > :after ORDER BY id LIMIT :limit""",
)
GET = sql(
    "job_get",
    """SELECT id, kind, lane, host, state, payload, document_id, run_at, attempts, created_at, finished_at, status, last_error
       FROM job WHERE id = :id""",
)
OF_POST = sql(
    "job_of_post",
    """SELECT j.id, j.kind, j.lane, j.host, j.state, j.payload, j.document_id, j.run_at, j.attempts, j.created_at,
        j.finished_at, j.status, j.last_error
       FROM document d JOIN job j ON j.document_id = d.id WHERE d.post_id = :post AND j.kind = 'deliver' ORDER BY j.id""",
)
MOVE = sql(
    "job_move",
    """UPDATE job SET state = :to, run_at = CASE WHEN :to = 0 THEN :now ELSE run_at END,
        finished_at = CASE WHEN :to >= 3 THEN :now ELSE NULL END, last_error = coalesce(:reason, last_error)
       WHERE id = :id AND state IN :sources[]""",
)
PRUNE = sql("job_prune", "DELETE FROM job WHERE state >= 3 AND state <> 4 AND finished_at < :before")
PRUNE_DEAD = sql("job_prune_dead", "DELETE FROM job WHERE state = 4 AND finished_at < :before")
PEER = sql(
    "peer_get", "SELECT failures, retry_at, last_error, signature_scheme, scheme_until FROM peer WHERE host = :host"
)
PUT_PEER = sql(
    "peer_put",
    """INSERT INTO peer (host, failures, retry_at, last_error, signature_scheme, scheme_until, sent_at)
       VALUES (:host, :failures, :retry_at, :error, :scheme, :scheme_until, :now)
       ON CONFLICT (host) DO UPDATE SET failures = excluded.failures, retry_at = excluded.retry_at,
        last_error = excluded.last_error, signature_scheme = excluded.signature_scheme,
        scheme_until = excluded.scheme_until, sent_at = excluded.sent_at""",
)


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed job."""

    id: Id
    kind: str
    lane: str
    host: str | None
    payload: str
    document_id: Id | None
    attempts: int
    created_at: Millis


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as `queue list` and the ledger show it."""

    id: Id
    kind: str
    lane: str
    host: str | None
    state: JobState
    payload: str
    document_id: Id | None
    run_at: Millis
    attempts: int
    created_at: Millis
    finished_at: Millis | None
    status: int | None
    last_error: str | None


def put(
    tx: Tx, kind: str, payload: str, *, lane: str, host: str | None = None, document: Id | None = None,
    run_at: Millis | None = None, dedup: str | None = None,
) -> None:  # fmt: skip
    """Queue a job. With ``dedup``, at most one unfinished job of that key exists."""
    tx.run(
        PUT, id=tx.new_id(), kind=kind, lane=lane, host=host, payload=payload, document=document,
        run_at=run_at if run_at is not None else tx.now, dedup=dedup, now=tx.now,
    )  # fmt: skip
    tx.notify(JobsQueued())


def put_many(tx: Tx, kind: str, rows: Iterable[Mapping[str, Any]], *, document: Id | None = None) -> None:
    """Queue many jobs at once; each row has ``lane``, ``host``, ``payload`` and optionally ``run_at``."""
    tx.many(
        PUT,
        [
            {
                "id": tx.new_id(), "kind": kind, "lane": row["lane"], "host": row["host"], "payload": row["payload"],
                "document": document, "run_at": row.get("run_at") or tx.now, "dedup": None, "now": tx.now,
            }
            for row in rows
        ],
    )  # fmt: skip
    tx.notify(JobsQueued())


def claim(tx: Tx, *, limit: int, lease_millis: int, busy_hosts: Iterable[str] = ()) -> list[Job]:
    """Take up to ``limit`` due jobs, one a lane, none for ``busy_hosts``, oldest first."""
    rows = tx.all(CLAIM, now=tx.now, until=tx.now + lease_millis, limit=limit, busy=list(busy_hosts))
    return [Job(*row) for row in sorted(rows)]


def next_run(tx: Tx) -> Millis | None:
    """When the next queued job is due."""
    found: Millis | None = tx.value(NEXT_RUN)
    return found


def expire_leases(tx: Tx) -> int:
    """Take back the jobs whose worker died."""
    return tx.run(EXPIRED, now=tx.now)


def release(tx: Tx, idents: Iterable[Id]) -> None:
    """Give claimed jobs back untouched (shutdown, host limit)."""
    tx.run(RELEASE, ids=list(idents))


def finish(
    tx: Tx, ident: Id, state: JobState, *, status: int | None = None, error: str | None = None,
    rule: str | None = None, revision: int | None = None,
) -> None:  # fmt: skip
    """End a job: DONE, DEAD or CANCELLED, with the guard's rule and revision for deliveries."""
    tx.run(FINISH, id=ident, state=int(state), now=tx.now, status=status, error=error, rule=rule, revision=revision)


def retry_at(tx: Tx, ident: Id, run_at: Millis, *, status: int | None = None, error: str | None = None) -> None:
    """Queue a running job again for later."""
    tx.run(RETRY_AT, id=ident, run_at=run_at, status=status, error=error)


def put_off_host(tx: Tx, host: str, until: Millis) -> None:
    """The circuit of ``host`` opened: nothing for it is due before ``until``."""
    tx.run(PUT_OFF_HOST, host=host, run_at=until)


def wake_host(tx: Tx, host: str) -> None:
    """The peer was heard from: everything that waits for it is due."""
    tx.run(PROBE_HOST, host=host, now=tx.now, attempts=1_000_000)
    tx.notify(JobsQueued())


def cancel_host(tx: Tx, host: str, reason: str) -> int:
    """Cancel what waits for ``host`` (the partner was ended)."""
    return tx.run(CANCEL_HOST, host=host, now=tx.now, reason=reason)


def cancel_post(tx: Tx, post: Id, reason: str) -> int:
    """Cancel the waiting deliveries of a post."""
    return tx.run(CANCEL_DOCUMENT, post=post, now=tx.now, reason=reason)


def counts(tx: Tx) -> dict[tuple[str, JobState], int]:
    """Jobs by kind and state."""
    return {(kind, JobState(state)): number for kind, state, number in tx.all(COUNT)}


def counts_by_host(tx: Tx) -> list[tuple[str, JobState, int, Millis, str | None]]:
    """Deliveries by host and state: (host, state, number, earliest run, an error)."""
    return [(r[0], JobState(r[1]), r[2], r[3], r[4]) for r in tx.all(COUNT_HOSTS)]


def backlog(tx: Tx, limit: int) -> int:
    """How many jobs are queued, counted up to ``limit``."""
    return int(tx.value(BACKLOG, limit=limit))


def _row(row: Row) -> JobRow:
    ident, kind, lane, host, state, *rest = row
    return JobRow(ident, kind, lane, host, JobState(state), *rest)


def listing(tx: Tx, *, state: JobState | None = None, host: str = "", after: int = 0, limit: int = 100) -> list[JobRow]:
    """Jobs for people, oldest first."""
    number = int(state) if state is not None else -1
    return [_row(row) for row in tx.all(LIST, state=number, host=host, after=after, limit=limit)]


def get(tx: Tx, ident: Id) -> JobRow | None:
    """One job."""
    row = tx.one(GET, id=ident)
    return _row(row) if row else None


def of_post(tx: Tx, post: Id) -> list[JobRow]:
    """The deliveries of a post: who got it, who did not and why."""
    return [_row(row) for row in tx.all(OF_POST, post=post)]


def move(tx: Tx, ident: Id, to: JobState, sources: Iterable[JobState], reason: str | None = None) -> bool:
    """An operator's change (retry, drop, hold); False when the job is not in one of ``sources``."""
    changed = tx.run(MOVE, id=ident, to=int(to), sources=[int(s) for s in sources], now=tx.now, reason=reason)
    tx.notify(JobsQueued())
    return changed > 0


def prune(tx: Tx, done_before: Millis, dead_before: Millis) -> int:
    """Forget finished jobs; dead ones are kept longer."""
    return tx.run(PRUNE, before=done_before) + tx.run(PRUNE_DEAD, before=dead_before)


def peer(tx: Tx, host: str) -> PeerHealth:
    """How a destination is doing."""
    row = tx.one(PEER, host=host)
    return PeerHealth(*row) if row else PeerHealth()


def put_peer(tx: Tx, host: str, health: PeerHealth) -> None:
    """Remember how a destination is doing."""
    tx.run(
        PUT_PEER, host=host, failures=health.failures, retry_at=health.retry_at, error=health.last_error,
        scheme=health.signature_scheme, scheme_until=health.scheme_until, now=tx.now,
    )  # fmt: skip
