"""Scheduled statuses in the store: rows in, values out."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from fedishare.model.ids import Id, Millis, iri_hash
from fedishare.model.posts import Draft
from fedishare.model.scheduled import Scheduled
from fedishare.store.db import Row, Tx, sql
from fedishare.store.paging import Page, paged, rows

COLUMNS = "s.id, s.owner_id, s.at, s.draft, s.created_at, s.poll_seconds, s.idempotency, s.failed"
INSERT = sql(
    "scheduled_insert",
    """INSERT INTO scheduled (id, owner_id, at, draft, poll_seconds, idempotency, key_hash, created_at)
       VALUES (:id, :owner, :at, :draft, :poll_seconds, :key, :key_hash, :now)""",
)
PUT_MEDIA = sql(
    "scheduled_media_insert",
    "INSERT INTO scheduled_media (media_id, scheduled_id) VALUES (:media, :scheduled) ON CONFLICT DO NOTHING",
)
MEDIA_TAKEN = sql("scheduled_media_taken", "SELECT media_id FROM scheduled_media WHERE media_id IN :ids[]")
GET = sql("scheduled_by_id", f"SELECT {COLUMNS} FROM scheduled s WHERE s.id = :id")
PAGE = paged(
    "scheduled_page",
    f"SELECT {COLUMNS} FROM scheduled s WHERE s.owner_id = :owner AND s.id < :before AND s.id > :after",
    "s.id",
)
BY_KEY = sql(
    "scheduled_by_key",
    f"""SELECT {COLUMNS} FROM scheduled s
        WHERE s.owner_id = :owner AND s.key_hash = :hash AND s.key_hash IS NOT NULL AND s.created_at > :since
        ORDER BY s.id DESC LIMIT 1""",
)
COUNT = sql("scheduled_count", "SELECT count(*) FROM scheduled WHERE owner_id = :owner")
COUNT_DAY = sql(
    "scheduled_count_day",
    "SELECT count(*) FROM scheduled WHERE owner_id = :owner AND at >= :since AND at < :until AND id <> :but",
)
MOVE = sql("scheduled_move", "UPDATE scheduled SET at = :at, failed = NULL WHERE id = :id")
FAIL = sql("scheduled_fail", "UPDATE scheduled SET failed = :reason WHERE id = :id")
DELETE = sql("scheduled_delete", "DELETE FROM scheduled WHERE id = :id")
FORGET = sql("scheduled_forget", "DELETE FROM scheduled WHERE owner_id = :owner")

_draft_in = msgspec.json.Decoder(Draft)
_encode = msgspec.json.Encoder().encode


def _from_row(row: Row) -> Scheduled:
    ident, owner, at, draft, created, poll_seconds, key, failed = row
    return Scheduled(ident, owner, at, _draft_in.decode(draft), created, poll_seconds, key, failed)


def insert(tx: Tx, scheduled: Scheduled) -> None:
    """Add one, with its uploads."""
    tx.run(
        INSERT, id=scheduled.id, owner=scheduled.owner_id, at=scheduled.at, draft=_encode(scheduled.draft).decode(),
        poll_seconds=scheduled.poll_seconds, key=scheduled.key,
        key_hash=iri_hash(scheduled.key) if scheduled.key is not None else None, now=scheduled.created_at,
    )  # fmt: skip
    for media in scheduled.draft.media_ids or ():
        tx.run(PUT_MEDIA, media=media, scheduled=scheduled.id)


def taken_media(tx: Tx, idents: Iterable[Id]) -> set[Id]:
    """Those of the uploads that wait for a scheduled post."""
    wanted = list(idents)
    return {row[0] for row in tx.all(MEDIA_TAKEN, ids=wanted)} if wanted else set()


def by_id(tx: Tx, ident: Id) -> Scheduled | None:
    """One, whoever's it is."""
    row = tx.one(GET, id=ident)
    return _from_row(row) if row else None


def by_key(tx: Tx, owner: Id, key: str, since: Millis) -> Scheduled | None:
    """What an Idempotency-Key made after ``since``."""
    row = tx.one(BY_KEY, owner=owner, hash=iri_hash(key), since=since)
    return _from_row(row) if row else None


def page(tx: Tx, owner: Id, wanted: Page) -> list[Scheduled]:
    """Somebody's, the one made last first."""
    return [_from_row(row) for row in rows(tx, PAGE, wanted, owner=owner)]


def count(tx: Tx, owner: Id) -> int:
    """How many somebody has."""
    return int(tx.value(COUNT, owner=owner))


def count_between(tx: Tx, owner: Id, since: Millis, until: Millis, but: Id | None = None) -> int:
    """How many somebody has for the time from ``since`` up to ``until``, ``but`` not counted."""
    return int(tx.value(COUNT_DAY, owner=owner, since=since, until=until, but=but or 0))


def move(tx: Tx, ident: Id, at: Millis) -> None:
    """Another time; that it failed before is forgotten."""
    tx.run(MOVE, id=ident, at=at)


def fail(tx: Tx, ident: Id, reason: str) -> None:
    """Note why it was not published."""
    tx.run(FAIL, id=ident, reason=reason)


def delete(tx: Tx, ident: Id) -> bool:
    """Remove one; its uploads are free again. False when it is gone."""
    return tx.run(DELETE, id=ident) > 0


def forget(tx: Tx, owner: Id) -> None:
    """Remove everything of somebody's."""
    tx.run(FORGET, owner=owner)
