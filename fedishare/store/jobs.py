"""Jobs in the store: every piece of work is a row, and every row ends done, dead or cancelled with a reason.

This module is for those who queue work and for those who look at it (the ledger: who got what, who did not, and why).
What workers do with the rows is in `fedishare.store.queue`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

from fedishare.model.activities import JobsQueued
from fedishare.model.ids import Id, Millis
from fedishare.model.partners import PeerHealth
from fedishare.store.db import Row, Tx, sql

DELIVER = "deliver"
"""The kind of job that sends one document to one inbox; ``host`` is where to."""


WELL = PeerHealth()
"""The health of a host that we know nothing of."""


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
PUT_DELIVERY = sql(
    "job_insert_delivery",
    """INSERT INTO job (id, kind, lane, host, state, payload, document_id, run_at, created_at, finished_at, rule,
        revision, last_error)
       VALUES (:id, :kind, :lane, :host, :state, :payload, :document, :now, :now, :finished, :rule,
        :revision, :error)""",
)
SINCE = sql(
    "job_since",
    "SELECT id, payload FROM job WHERE kind = :kind AND lane = :lane AND state < 3 AND id > :mark ORDER BY id",
)
NEXT_RUN = sql("job_next_run", "SELECT min(run_at) FROM job WHERE state = 0")
FINISH = sql(
    "job_finish",
    """UPDATE job SET state = :state, finished_at = :now, status = :status, last_error = :error, rule = :rule,
        revision = :revision, lease_until = NULL WHERE id = :id AND state = 1""",
)
HOSTS = sql(
    "job_hosts",
    """WITH RECURSIVE h (host) AS (
        SELECT (SELECT min(j.host) FROM job j WHERE j.kind = :kind AND j.state = 0 AND j.host IS NOT NULL)
        UNION ALL
        SELECT (SELECT min(j.host) FROM job j
                WHERE j.kind = :kind AND j.state = 0 AND j.host IS NOT NULL AND j.host > h.host)
        FROM h WHERE h.host IS NOT NULL)
       SELECT h.host FROM h WHERE h.host IS NOT NULL""",
)
HELD_HOSTS = sql("job_held_hosts", "SELECT DISTINCT host FROM job WHERE state = 2 AND host IS NOT NULL ORDER BY host")
WAKE_HOST = sql(
    "job_wake_host",
    """UPDATE job SET run_at = :now
       WHERE kind = :kind AND host = :host AND state = 0 AND host IS NOT NULL AND run_at > :now""",
)
CANCEL_HOST = sql(
    "job_cancel_host",
    """UPDATE job SET state = 5, finished_at = :now, last_error = :reason, rule = coalesce(:rule, rule),
        lease_until = NULL
       WHERE kind = :kind AND host = :host AND host IS NOT NULL AND state = 0""",
)
CANCEL_HELD = sql(
    "job_cancel_held",
    """UPDATE job SET state = 5, finished_at = :now, last_error = :reason, rule = coalesce(:rule, rule),
        lease_until = NULL
       WHERE host = :host AND state = 2""",
)
HOLD_HOST = sql(
    "job_hold_host",
    """UPDATE job SET state = 2, rule = :rule, last_error = :reason
       WHERE kind = :kind AND host = :host AND host IS NOT NULL AND state = 0""",
)
RELEASE_HELD = sql(
    "job_release_held",
    """UPDATE job SET state = 0, run_at = :now, rule = NULL, last_error = NULL
       WHERE host IN :hosts[] AND state = 2 AND rule IS NOT NULL""",
)
CANCEL_DOCUMENT = sql(
    "job_cancel_document",
    """UPDATE job SET state = 5, finished_at = :now, last_error = :reason, lease_until = NULL
       WHERE document_id IN (SELECT id FROM document WHERE post_id = :post) AND kind = 'deliver' AND state IN (0, 2)""",
)
CANCEL_LANE = sql(
    "job_cancel_lane",
    """UPDATE job SET state = 5, finished_at = :now, last_error = :reason
       WHERE kind = :kind AND lane = :lane AND state < 3 AND state + 0 = 0""",
)
COUNT = sql("job_counts", "SELECT kind, state, count(*) FROM job GROUP BY kind, state")
COUNT_HOSTS = sql(
    "job_counts_by_host",
    """SELECT host, state, count(*), min(run_at), max(last_error) FROM job WHERE host IS NOT NULL GROUP BY host, state
       ORDER BY host, state""",
)
BACKLOG = sql("job_backlog", "SELECT count(*) FROM (SELECT 1 FROM job WHERE state = 0 LIMIT :limit) AS queued")
_COLUMNS = """j.id, j.kind, j.lane, j.host, j.state, j.payload, j.document_id, j.run_at, j.attempts, j.created_at,
  j.finished_at, j.status, j.last_error, j.rule, j.revision"""
LIST = sql(
    "job_list",
    f"""SELECT {_COLUMNS} FROM job j
        WHERE (:state < 0 OR j.state = :state) AND (:host = '' OR j.host = :host) AND j.id > :after
        ORDER BY j.id LIMIT :limit""",
)
GET = sql("job_get", f"SELECT {_COLUMNS} FROM job j WHERE j.id = :id")
OF_POST = sql(
    "job_of_post",
    f"""SELECT {_COLUMNS} FROM document d JOIN job j ON j.document_id = d.id
        WHERE d.post_id = :post AND j.kind = 'deliver' ORDER BY j.id""",
)
FACTS_OF_POST = sql("document_facts_of_post", "SELECT facts FROM document WHERE post_id = :post ORDER BY id LIMIT 1")
HOSTS_OF_AUTHOR = sql(
    "job_hosts_of_author",
    """SELECT DISTINCT j.host FROM document d JOIN job j ON j.document_id = d.id
       WHERE d.actor_id = :actor AND j.kind = 'deliver' AND j.attempts > 0 AND j.host IS NOT NULL ORDER BY j.host""",
)
INBOXES_AT = sql(
    "actor_inboxes_at",
    """SELECT host, min(shared_inbox), min(inbox) FROM actor WHERE host IN :hosts[] AND state < 3
       GROUP BY host ORDER BY host""",
)
MOVE = sql(
    "job_move",
    """UPDATE job SET state = :to, run_at = CASE WHEN :to = 0 THEN :now ELSE run_at END,
        finished_at = CASE WHEN :to >= 3 THEN :now ELSE NULL END, last_error = coalesce(:reason, last_error),
        rule = NULL
       WHERE id = :id AND state IN :sources[]""",
)
PRUNE = sql("job_prune", "DELETE FROM job WHERE state >= 3 AND state <> 4 AND finished_at < :before")
PRUNE_DEAD = sql("job_prune_dead", "DELETE FROM job WHERE state = 4 AND state >= 3 AND finished_at < :before")
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
    """A claimed job. ``attempts`` counts this one; ``health`` is that of its host when it was claimed."""

    id: Id
    kind: str
    lane: str
    host: str | None
    payload: str
    document_id: Id | None
    attempts: int
    created_at: Millis
    health: PeerHealth = WELL


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as `queue list` and the ledger show it. ``rule``: the guard's, that allowed, withheld or holds it."""

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
    rule: str | None = None
    revision: int | None = None


class Delivery(NamedTuple):
    """A delivery to queue; or, with ``withheld`` (the guard's reason), one that was decided against, for the ledger."""

    host: str
    lane: str
    payload: str
    withheld: str | None = None
    rule: str | None = None
    revision: int | None = None


def put(
    tx: Tx, kind: str, payload: str, *, lane: str, host: str | None = None, document: Id | None = None,
    run_at: Millis | None = None, dedup: str | None = None,
) -> None:  # fmt: skip
    """Queue a job. With ``dedup``, at most one unfinished job of that key exists.

    A lane runs one job at a time, oldest first. ``host`` is for work that goes out to that host: it shares the host's
    circuit and its limit in flight, and is cancelled with the partner. Work that came in from a host has none.
    """
    tx.run(
        PUT, id=tx.new_id(), kind=kind, lane=lane, host=host, payload=payload, document=document,
        run_at=run_at if run_at is not None else tx.now, dedup=dedup, now=tx.now,
    )  # fmt: skip
    tx.notify(JobsQueued())


def since(tx: Tx, kind: str, lane: str, mark: Id) -> list[tuple[Id, str]]:
    """The jobs of a lane that were queued after the id ``mark`` and are not finished: (id, payload), oldest first."""
    return [(row[0], row[1]) for row in tx.all(SINCE, kind=kind, lane=lane, mark=mark)]


def put_deliveries(tx: Tx, document: Id, deliveries: Sequence[Delivery]) -> None:
    """Queue the deliveries of a document, and note those that were withheld."""
    tx.many(PUT_DELIVERY, [_delivery_row(tx, document, each) for each in deliveries])
    tx.notify(JobsQueued())


def _delivery_row(tx: Tx, document: Id, each: Delivery) -> dict[str, Any]:
    waits = each.withheld is None
    return {
        "id": tx.new_id(),
        "kind": DELIVER,
        "lane": each.lane,
        "host": each.host,
        "payload": each.payload,
        "document": document,
        "state": int(JobState.QUEUED if waits else JobState.CANCELLED),
        "now": tx.now,
        "finished": None if waits else tx.now,
        "rule": each.rule,
        "revision": each.revision,
        "error": each.withheld,
    }


def next_run(tx: Tx) -> Millis | None:
    """When the next queued job is due."""
    found: Millis | None = tx.value(NEXT_RUN)
    return found


def finish(
    tx: Tx, ident: Id, state: JobState, *, status: int | None = None, error: str | None = None,
    rule: str | None = None, revision: int | None = None,
) -> bool:  # fmt: skip
    """End a running job: DONE, DEAD or CANCELLED. False when it does not run any more (its lease expired): then
    somebody else does it, and this transaction must change nothing."""
    ended = tx.run(
        FINISH, id=ident, state=int(state), now=tx.now, status=status, error=error, rule=rule, revision=revision
    )
    return ended > 0


def waiting_hosts(tx: Tx) -> list[str]:
    """The hosts for which deliveries wait."""
    return [row[0] for row in tx.all(HOSTS, kind=DELIVER)]


def wake_host(tx: Tx, host: str) -> None:
    """The peer was heard from: every delivery that waits for it is due."""
    if tx.run(WAKE_HOST, kind=DELIVER, host=host, now=tx.now):
        tx.notify(JobsQueued())


def cancel_host(tx: Tx, host: str, reason: str, rule: str | None = None) -> int:
    """Cancel the deliveries that wait for ``host`` or are held (the partner was ended); how many."""
    waiting = tx.run(CANCEL_HOST, kind=DELIVER, host=host, now=tx.now, reason=reason, rule=rule)
    return waiting + tx.run(CANCEL_HELD, host=host, now=tx.now, reason=reason, rule=rule)


def hold_host(tx: Tx, host: str, rule: str, reason: str) -> int:
    """Keep the deliveries that wait for ``host`` until the policy changes (the partner is paused); how many."""
    return tx.run(HOLD_HOST, kind=DELIVER, host=host, rule=rule, reason=reason)


def held_hosts(tx: Tx) -> list[str]:
    """The hosts for which something is held."""
    return [row[0] for row in tx.all(HELD_HOSTS)]


def release_held(tx: Tx, hosts: Iterable[str]) -> int:
    """The guard allows these hosts again: what it held is due. What a person held stays; how many."""
    released = tx.run(RELEASE_HELD, hosts=list(hosts), now=tx.now)
    if released:
        tx.notify(JobsQueued())
    return released


def cancel_post(tx: Tx, post: Id, reason: str) -> int:
    """Cancel the waiting deliveries of a post."""
    return tx.run(CANCEL_DOCUMENT, post=post, now=tx.now, reason=reason)


def cancel_lane(tx: Tx, kind: str, lane: str, reason: str) -> int:
    """Cancel what waits in a lane."""
    return tx.run(CANCEL_LANE, kind=kind, lane=lane, now=tx.now, reason=reason)


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


def first_facts(tx: Tx, post: Id) -> str | None:
    """The facts of a post's first document (JSON): what the guard was asked when it went out."""
    found: str | None = tx.value(FACTS_OF_POST, post=post)
    return found


def hosts_of_author(tx: Tx, actor: Id) -> list[str]:
    """The hosts that something of a local actor was sent to, as far as the ledger goes back."""
    return [row[0] for row in tx.all(HOSTS_OF_AUTHOR, actor=actor)]


def inboxes_at(tx: Tx, hosts: Iterable[str]) -> list[tuple[str, str | None, str]]:
    """An inbox at each host that we know somebody of: (host, shared inbox, somebody's inbox)."""
    wanted = list(set(hosts))
    return [(row[0], row[1], row[2]) for row in tx.all(INBOXES_AT, hosts=wanted)] if wanted else []


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
    return PeerHealth(*row) if row else WELL


def put_peer(tx: Tx, host: str, health: PeerHealth) -> None:
    """Remember how a destination is doing."""
    tx.run(
        PUT_PEER, host=host, failures=health.failures, retry_at=health.retry_at, error=health.last_error,
        scheme=health.signature_scheme, scheme_until=health.scheme_until, now=tx.now,
    )  # fmt: skip
