"""Markers: how far somebody has read a timeline, for all of their apps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fedishare.model.ids import Id, Millis
from fedishare.store.db import Tx, sql

GET = sql(
    "markers_get",
    """SELECT timeline, last_read_id, version, updated_at FROM marker
       WHERE owner_id = :owner AND timeline IN :timelines[]""",
)
PUT = sql(
    "marker_put",
    """INSERT INTO marker (owner_id, timeline, last_read_id, version, updated_at)
       VALUES (:owner, :timeline, :last, 0, :now)
       ON CONFLICT (owner_id, timeline) DO UPDATE SET last_read_id = excluded.last_read_id,
        version = marker.version + 1, updated_at = excluded.updated_at""",
)
FORGET = sql("marker_forget", "DELETE FROM marker WHERE owner_id = :owner")


@dataclass(frozen=True, slots=True)
class Marker:
    """A place in a timeline; ``version`` grows with each change."""

    last_read_id: Id
    version: int
    updated_at: Millis


def get(tx: Tx, owner: Id, timelines: Iterable[str]) -> dict[str, Marker]:
    """Somebody's markers of some timelines."""
    found = tx.all(GET, owner=owner, timelines=list(timelines))
    return {timeline: Marker(last, version, at) for timeline, last, version, at in found}


def put(tx: Tx, owner: Id, timeline: str, last: Id) -> None:
    """Move a marker. One statement, so that two apps at once leave one of their two places, and both count."""
    tx.run(PUT, owner=owner, timeline=timeline, last=last, now=tx.now)


def forget(tx: Tx, owner: Id) -> None:
    """Remove those of a deleted account."""
    tx.run(FORGET, owner=owner)
