"""Tables that people bring along from elsewhere: how far each is."""

from __future__ import annotations

from dataclasses import dataclass

from fedishare.model.ids import Id, Millis
from fedishare.store.db import Tx, sql


@dataclass(frozen=True, slots=True)
class Import:
    """One table: ``done`` and ``failed`` of ``total`` lines."""

    id: Id
    actor_id: Id
    kind: str
    total: int
    done: int
    failed: int
    created_at: Millis

    @property
    def is_over(self) -> bool:
        """Whether nothing of it waits any more."""
        return self.done + self.failed >= self.total


_COLUMNS = "id, actor_id, kind, total, done, failed, created_at"
PUT = sql(
    "import_put",
    "INSERT INTO import (id, actor_id, kind, total, created_at) VALUES (:id, :actor, :kind, :total, :now)",
)
BY_ID = sql("import_by_id", f"SELECT {_COLUMNS} FROM import WHERE id = :id")
OF_ACTOR = sql("imports_of_actor", f"SELECT {_COLUMNS} FROM import WHERE actor_id = :actor ORDER BY id DESC LIMIT 10")
COUNT = sql(
    "import_count",
    """UPDATE import SET done = done + :done, failed = failed + :failed WHERE id = :id AND done + failed <= :first""",
)
DROP_OF = sql("import_drop", "DELETE FROM import WHERE actor_id = :actor")
PRUNE = sql("import_prune", "DELETE FROM import WHERE id < :before")


def put(tx: Tx, actor: Id, kind: str, total: int) -> Id:
    """A table that is to be taken in."""
    ident = tx.new_id()
    tx.run(PUT, id=ident, actor=actor, kind=kind, total=total, now=tx.now)
    return ident


def by_id(tx: Tx, ident: Id) -> Import | None:
    """One of them."""
    row = tx.one(BY_ID, id=ident)
    return Import(*row) if row else None


def of_actor(tx: Tx, actor: Id) -> list[Import]:
    """Somebody's last ones, the newest first."""
    return [Import(*row) for row in tx.all(OF_ACTOR, actor=actor)]


def count(tx: Tx, ident: Id, first: int, done: int, failed: int) -> None:
    """So many lines more, after the ``first`` ones; a job that is done again counts nothing."""
    tx.run(COUNT, id=ident, first=first, done=done, failed=failed)


def drop_of(tx: Tx, actor: Id) -> None:
    """Forget somebody's."""
    tx.run(DROP_OF, actor=actor)


def prune(tx: Tx, before: Id) -> None:
    """Forget those that were asked for before an id was made."""
    tx.run(PRUNE, before=before)
