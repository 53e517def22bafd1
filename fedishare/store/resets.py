"""One-time links with which somebody chooses a new password, by the hash of what they hold."""

from __future__ import annotations

from fedishare.model.ids import Id, Millis
from fedishare.store.db import Tx, sql

PUT = sql(
    "reset_link_put", "INSERT INTO reset_link (token_hash, actor_id, expires_at) VALUES (:hash, :actor, :expires)"
)
OWNER = sql("reset_link_owner", "SELECT actor_id FROM reset_link WHERE token_hash = :hash AND expires_at > :now")
DROP_OF = sql("reset_link_drop", "DELETE FROM reset_link WHERE actor_id = :actor")
PRUNE = sql("reset_link_prune", "DELETE FROM reset_link WHERE expires_at <= :now")


def put(tx: Tx, token_hash: str, actor: Id, expires: Millis) -> None:
    """Keep a link; the ones before are worth nothing any more."""
    tx.run(DROP_OF, actor=actor)
    tx.run(PUT, hash=token_hash, actor=actor, expires=expires)


def owner(tx: Tx, token_hash: str) -> Id | None:
    """Whose link it is; None when it is unknown, used or too old."""
    found: Id | None = tx.value(OWNER, hash=token_hash, now=tx.now)
    return found


def drop_of(tx: Tx, actor: Id) -> None:
    """End the links of somebody."""
    tx.run(DROP_OF, actor=actor)


def prune(tx: Tx) -> None:
    """Forget links that are too old."""
    tx.run(PRUNE, now=tx.now)
