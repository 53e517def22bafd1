"""Migrations: numbered SQL files, applied in order, each recorded with its checksum.

A file is called ``NNNN_name.sql`` and written with the tokens of `fedishare.store.dialect`. All that is missing is
applied in one transaction under a lock, so a failure leaves the database as it was. A file never changes once it is
released: a different checksum is refused. A first line ``-- compat: N`` says that versions which know migration N
can still use the database afterwards; without it they cannot, and refuse to open it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from importlib.resources import files

from fedishare.model.errors import ConfigError
from fedishare.store.db import Database, Migration, Tx, sql
from fedishare.store.dialect import Engine, ddl_statements

_FILE = re.compile(r"([0-9]{4})_([a-z0-9_]+)\.sql\Z")
_COMPAT = re.compile(r"-- compat: ([0-9]+)\s*$", re.MULTILINE)
_LOCK = "fedishare migrations"

_BOOKKEEPING = """
CREATE TABLE IF NOT EXISTS schema_migration (
    number {int} PRIMARY KEY,
    name {text} NOT NULL,
    checksum {text} NOT NULL,
    compat {int} NOT NULL,
    applied_at {int} NOT NULL
);
CREATE TABLE IF NOT EXISTS id_mark (
    node {int} PRIMARY KEY,
    mark {int} NOT NULL
);
"""
APPLIED = sql("migrations_applied", "SELECT number, name, checksum, compat FROM schema_migration ORDER BY number")
RECORD = sql(
    "migration_record",
    """INSERT INTO schema_migration (number, name, checksum, compat, applied_at)
       VALUES (:number, :name, :checksum, :compat, :now)""",
)
MARK = sql("id_mark_highest", "SELECT coalesce(max(mark), 0) FROM id_mark WHERE node >= 0")
NEXT_NODE = sql(
    "id_node_next",
    """INSERT INTO id_mark (node, mark) VALUES (-1, 1)
       ON CONFLICT (node) DO UPDATE SET mark = id_mark.mark + 1 RETURNING mark""",
)
SET_MARK = sql(
    "id_mark_set",
    """INSERT INTO id_mark (node, mark) VALUES (:node, :mark)
       ON CONFLICT (node) DO UPDATE SET mark = {greatest}(id_mark.mark, excluded.mark)""",
)
LOWER_MARK = sql("id_mark_exact", "UPDATE id_mark SET mark = :mark WHERE node = :node")


def packaged() -> list[Migration]:
    """The migrations that come with this version."""
    folder = files("fedishare.store") / "migrations"
    return load([(entry.name, entry.read_text(encoding="utf-8")) for entry in folder.iterdir()])


def load(named_texts: Sequence[tuple[str, str]]) -> list[Migration]:
    """Migrations from (file name, text). Raises `ValueError` when two have one number, or a number is left out."""
    found = []
    for name, text in named_texts:
        if match := _FILE.match(name):
            number = int(match[1])
            compat = _COMPAT.match(text)
            found.append(Migration(number, match[2], text, int(compat[1]) if compat else number))
    found.sort(key=lambda migration: migration.number)
    numbers = [migration.number for migration in found]
    if numbers != list(range(1, len(found) + 1)):
        raise ValueError(f"migrations must be numbered 1, 2, 3 …; found {numbers}")
    return found


def checksum(migration: Migration) -> str:
    """SHA-256 of the text, whatever its line ends."""
    return hashlib.sha256("\n".join(migration.text.splitlines()).encode()).hexdigest()


def start(tx: Tx, engine: Engine, migrations: Sequence[Migration]) -> tuple[int, int]:
    """Make the bookkeeping tables and refuse a database of a newer version (`ConfigError`).

    Returns the mark above all ids in use, and how often the database has been opened.
    """
    tx.lock(_LOCK)
    for statement in ddl_statements(_BOOKKEEPING, engine):
        tx.ddl(statement)
    _missing(tx, migrations)
    return tx.value(MARK), tx.value(NEXT_NODE)


async def migrate(database: Database, migrations: Sequence[Migration] | None = None) -> list[str]:
    """Apply what is missing; the names of what was applied. Raises `ConfigError` when the database does not fit."""
    return await database.write(_apply, _engine(database), _chosen(database, migrations))


async def pending(database: Database, migrations: Sequence[Migration] | None = None) -> list[str]:
    """The names of the migrations that `migrate` would apply. Raises `ConfigError` when the database does not fit."""
    missing = await database.read(_missing, _chosen(database, migrations))
    return [migration.title for migration in missing]


def _engine(database: Database) -> Engine:
    return "sqlite" if database.dialect == "sqlite" else "postgres"


def _chosen(database: Database, migrations: Sequence[Migration] | None) -> Sequence[Migration]:
    return database.migrations if migrations is None else migrations


def _apply(tx: Tx, engine: Engine, migrations: Sequence[Migration]) -> list[str]:
    tx.lock(_LOCK)
    missing = _missing(tx, migrations)
    for migration in missing:
        for statement in ddl_statements(migration.text, engine):
            tx.ddl(statement)
        tx.run(
            RECORD,
            number=migration.number,
            name=migration.name,
            checksum=checksum(migration),
            compat=migration.compat,
            now=tx.now,
        )
    return [migration.title for migration in missing]


def _missing(tx: Tx, migrations: Sequence[Migration]) -> list[Migration]:
    known = {migration.number: migration for migration in migrations}
    applied = tx.all(APPLIED)
    needed = max((compat for *_, compat in applied), default=0)
    if needed > len(known):
        raise ConfigError(
            f"the database has schema {needed}, but this version of fedishare knows only up to {len(known)}. "
            "Install the newer version again, or restore the backup that was made before the upgrade."
        )
    for number, name, recorded, _ in applied:
        if number in known and checksum(known[number]) != recorded:
            raise ConfigError(
                f"migration {number:04d}_{name}.sql is not the file that this database was made with. "
                "Released migrations never change: put the original file back and write a new migration instead."
            )
    done = {number for number, *_ in applied}
    return [migration for migration in migrations if migration.number not in done]
