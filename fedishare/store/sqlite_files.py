"""SQLite files as a whole: a copy while others write, what is wrong with one, and what a restored one must not undo.

Functions that wait; they are for commands, not for a server.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from fedishare.model.errors import Unavailable

LOCK_SECONDS = 5.0
PAGES = 2048
"""Pages copied at a time, between two calls of ``progress``."""
FAULTS = 100
"""So many are told at most."""
RESTORE_NODE = 64
"""The row of ``id_mark`` that restores write: no process has this node number, so none lowers it again."""

_FLOOR = """
INSERT INTO id_mark (node, mark) VALUES (:node, :mark)
ON CONFLICT (node) DO UPDATE SET mark = max(mark, excluded.mark)
"""
_REVISION = "UPDATE setting SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT) WHERE key = 'policy_revision'"
_WITHDRAWN = {
    "marks": """
        INSERT INTO id_mark (node, mark) SELECT node, mark FROM former.id_mark WHERE true
        ON CONFLICT (node) DO UPDATE SET mark = max(mark, excluded.mark)""",
    "tombstones": """
        INSERT INTO tombstone (iri_hash, iri, author_iri, post_id, visibility, reach, seen_by, deleted_at)
        SELECT iri_hash, iri, author_iri, post_id, visibility, reach, seen_by, deleted_at FROM former.tombstone
        WHERE true ON CONFLICT DO NOTHING""",
    "posts": """
        DELETE FROM post WHERE EXISTS (SELECT 1 FROM tombstone t JOIN actor a ON a.iri = t.author_iri
        WHERE t.iri_hash = post.iri_hash AND t.iri = post.iri AND a.id = post.author_id)""",
    "tokens": """
        UPDATE token SET revoked_at = f.revoked_at FROM former.token f
        WHERE f.id = token.id AND f.revoked_at IS NOT NULL AND token.revoked_at IS NULL""",
    "partners": """
        UPDATE partner SET state = f.state FROM former.partner f
        WHERE f.domain = partner.domain AND f.state IN ('paused', 'ended') AND partner.state <> 'ended'
        AND partner.state <> f.state""",
    "accounts": """
        UPDATE actor SET state = f.state FROM former.actor f WHERE f.id = actor.id AND f.state > actor.state""",
    "revision": """
        UPDATE setting SET value = f.value FROM former.setting f
        WHERE setting.key = 'policy_revision' AND f.key = 'policy_revision'
        AND CAST(f.value AS INTEGER) > CAST(setting.value AS INTEGER)""",
}
"""What was withdrawn in the former database stays withdrawn. The names are those of the report."""


def snapshot(source: Path, target: Path, progress: Callable[[int, int], None]) -> None:
    """Copy a database to a single file, as it is at one instant, while others write. Raises `Unavailable`."""
    try:
        with closing(_open(source)) as original, closing(sqlite3.connect(target)) as copy:
            # The copy follows the transaction that is open here, so writers neither wait nor make it start anew.
            original.execute("BEGIN")
            original.execute("SELECT count(*) FROM sqlite_master").fetchone()
            original.backup(copy, pages=PAGES, progress=lambda _, left, total: progress(total - left, total))
            original.rollback()
            copy.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        raise Unavailable(f"{source} cannot be copied: {error}") from error


def faults(path: Path) -> list[str]:
    """What is wrong inside a file: its pages and indexes, and rows that point at nothing. Raises `Unavailable`."""
    try:
        with closing(_open(path)) as connection:
            connection.execute("PRAGMA query_only = ON")
            found = [row[0] for row in connection.execute(f"PRAGMA integrity_check({FAULTS})") if row[0] != "ok"]
            broken = connection.execute("PRAGMA foreign_key_check").fetchmany(FAULTS)
    except sqlite3.Error as error:
        raise Unavailable(f"{path} cannot be checked: {error}") from error
    return found + [
        f"a row of {table} (rowid {row}) points at a {parent} that is missing" for table, row, parent, _ in broken
    ]


def in_use(path: Path) -> bool:
    """Whether another process has the file open. It must exist. Raises `Unavailable` when it is no database."""
    try:
        with closing(sqlite3.connect(path, timeout=0.3, isolation_level=None)) as connection:
            # Leaving the write-ahead log wants the file for oneself; it is entered again by the next to open it.
            connection.execute("PRAGMA journal_mode = DELETE").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return True
        raise Unavailable(f"{path} cannot be opened: {error}") from error
    except sqlite3.Error as error:
        raise Unavailable(f"{path} cannot be opened: {error}") from error
    return False


def settle(path: Path, former: Path | None, floor: int) -> Mapping[str, int]:
    """Make a restored database go on where the former one was: ids above ``floor``, a new policy revision, and all
    that was withdrawn meanwhile stays withdrawn. How many rows of what that concerned. Raises `Unavailable`.
    """
    counts: dict[str, int] = {}
    try:
        with closing(_open(path)) as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            if former is not None:
                connection.execute("ATTACH DATABASE ? AS former", (str(former),))
            connection.execute("BEGIN IMMEDIATE")
            if former is not None:
                for name, statement in _WITHDRAWN.items():
                    counts[name] = connection.execute(statement).rowcount
            connection.execute(_FLOOR, {"node": RESTORE_NODE, "mark": floor})
            connection.execute(_REVISION)
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise Unavailable(f"{path} cannot be settled: {error}") from error
    return counts


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None)
