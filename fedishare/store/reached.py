"""What reached a person: posts at home and what concerns them, told apart by where each was first."""

from __future__ import annotations

from collections.abc import Iterable

from fedishare.model.ids import Id
from fedishare.store.db import Tx, sql

AT_HOME = sql("home_has", "SELECT post_id FROM home_entry WHERE owner_id = :owner AND post_id IN :ids[]")


def at_home(tx: Tx, owner: Id, idents: Iterable[Id]) -> set[Id]:
    """Those of the posts (and boosts) that are in a home timeline."""
    wanted = list(set(idents))
    return {row[0] for row in tx.all(AT_HOME, owner=owner, ids=wanted)} if wanted else set()
