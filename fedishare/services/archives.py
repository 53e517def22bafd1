"""Archives: a person takes away what they wrote and kept here. One at a time, kept for a week."""

from __future__ import annotations

import msgspec

from fedishare.model.errors import NotFound, TooMany
from fedishare.model.ids import Id, Millis
from fedishare.store import archives, jobs, media
from fedishare.store.archives import Archive, ArchiveState
from fedishare.store.db import Tx

JOB = "archive"
DAY = 24 * 3600 * 1000
KEPT = 7 * DAY
"""Milliseconds for which an archive can be had."""
AGAIN = DAY
"""Milliseconds until another one is made: it is work for the server."""


class MakeArchiveJob(msgspec.Struct, frozen=True):
    """Make an archive."""

    archive_id: int


def ask(tx: Tx, actor: Id) -> Archive:
    """Have an archive made; the one that is being made already counts. Raises `TooMany`."""
    tx.lock(f"archive:{actor}")
    known = archives.newest(tx, actor)
    if known is not None and known.state is ArchiveState.WAITING:
        return known
    if known is not None and known.state is ArchiveState.READY and tx.now < known.created_at + AGAIN:
        wait = max(1, (known.created_at + AGAIN - tx.now) // 1000)
        raise TooMany("an archive was made within the last day; download that one", retry_after=wait)
    forget(tx, actor)
    ident = archives.put(tx, actor, Millis(tx.now + DAY))
    payload = msgspec.json.encode(MakeArchiveJob(ident)).decode()
    jobs.put(tx, JOB, payload, lane=f"archive:{actor}")
    found = archives.by_id(tx, ident)
    assert found is not None  # noqa: S101 — just written
    return found


def waiting(tx: Tx, ident: Id) -> Archive | None:
    """An archive that is still to be made."""
    found = archives.by_id(tx, ident)
    return found if found is not None and found.state is ArchiveState.WAITING else None


def finish(tx: Tx, ident: Id, file: str, size: int) -> bool:
    """It is made; False when nobody waits for it any more (then its file is nobody's)."""
    return archives.finish(tx, ident, ArchiveState.READY, file=file, size=size, expires=Millis(tx.now + KEPT))


def fail(tx: Tx, ident: Id) -> None:
    """It cannot be made."""
    archives.finish(tx, ident, ArchiveState.FAILED, file=None, size=0, expires=Millis(tx.now + DAY))


def own_file(tx: Tx, actor: Id) -> Archive:
    """The archive that somebody can download. Raises `NotFound`."""
    found = archives.newest(tx, actor)
    if found is None or found.state is not ArchiveState.READY or found.file is None:
        raise NotFound("Record not found")
    return found


def forget(tx: Tx, actor: Id) -> None:
    """Remove somebody's archives."""
    for each in archives.of_actor(tx, actor):
        _remove(tx, each)


def expire(tx: Tx) -> None:
    """Remove archives whose time is over."""
    for each in archives.expired(tx):
        _remove(tx, each)


def _remove(tx: Tx, archive: Archive) -> None:
    if archive.file is not None:
        media.trash(tx, [archive.file])
    archives.drop(tx, archive.id)
