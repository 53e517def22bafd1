"""Archives of people's accounts: the rows about them, and the pages that they are made of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from fedishare.model.ids import Id, Iri, Millis
from fedishare.store.db import Row, Tx, sql


class ArchiveState(IntEnum):
    """The life of an archive."""

    WAITING = 0
    READY = 1
    FAILED = 2


@dataclass(frozen=True, slots=True)
class Archive:
    """One archive. ``file`` is its name once it is ready; times are milliseconds."""

    id: Id
    actor_id: Id
    state: ArchiveState
    file: str | None
    size: int
    created_at: Millis
    finished_at: Millis | None
    expires_at: Millis | None


_COLUMNS = "id, actor_id, state, file, bytes, created_at, finished_at, expires_at"
PUT = sql(
    "archive_put",
    "INSERT INTO archive (id, actor_id, created_at, expires_at) VALUES (:id, :actor, :now, :expires)",
)
BY_ID = sql("archive_by_id", f"SELECT {_COLUMNS} FROM archive WHERE id = :id")
NEWEST = sql(
    "archive_newest",
    f"""SELECT {_COLUMNS} FROM archive WHERE actor_id = :actor AND (expires_at IS NULL OR expires_at > :now)
        ORDER BY id DESC LIMIT 1""",
)
OF_ACTOR = sql("archives_of_actor", f"SELECT {_COLUMNS} FROM archive WHERE actor_id = :actor ORDER BY id")
FINISH = sql(
    "archive_finish",
    """UPDATE archive SET state = :state, file = :file, bytes = :bytes, finished_at = :now, expires_at = :expires
       WHERE id = :id AND state = 0""",
)
EXPIRED = sql(
    "archives_expired",
    f"SELECT {_COLUMNS} FROM archive WHERE expires_at IS NOT NULL AND expires_at <= :now ORDER BY id LIMIT 500",
)
DROP = sql("archive_drop", "DELETE FROM archive WHERE id = :id")
POSTS = sql("archive_posts", "SELECT id FROM post WHERE author_id = :actor AND id > :after ORDER BY id LIMIT :limit")
FILES = sql(
    "archive_files",
    """SELECT id, file FROM media WHERE owner_id = :actor AND id > :after AND state = 0 AND file IS NOT NULL
       ORDER BY id LIMIT :limit""",
)
FOLLOWING = sql(
    "archive_following",
    """SELECT f.id, a.name, a.domain, f.show_boosts, f.notify, f.languages FROM follow f
       JOIN actor a ON a.id = f.followee_id
       WHERE f.follower_id = :actor AND f.state = 1 AND f.id > :after ORDER BY f.id LIMIT :limit""",
)
MARKED = sql(
    "archive_marked",
    """SELECT i.id, p.iri FROM interaction i JOIN post p ON p.id = i.post_id
       WHERE i.actor_id = :actor AND i.kind = :kind AND i.id > :after ORDER BY i.id LIMIT :limit""",
)
LISTED = sql(
    "archive_listed",
    """SELECT m.id, l.title, a.name, a.domain FROM list l JOIN list_member m ON m.list_id = l.id
       JOIN actor a ON a.id = m.member_id
       WHERE l.owner_id = :actor AND m.id > :after ORDER BY m.id LIMIT :limit""",
)


def _archive(row: Row) -> Archive:
    ident, actor, state, file, size, created, finished, expires = row
    return Archive(ident, actor, ArchiveState(state), file, size, created, finished, expires)


def put(tx: Tx, actor: Id, expires: Millis) -> Id:
    """An archive that is to be made."""
    ident = tx.new_id()
    tx.run(PUT, id=ident, actor=actor, now=tx.now, expires=expires)
    return ident


def by_id(tx: Tx, ident: Id) -> Archive | None:
    """One archive."""
    row = tx.one(BY_ID, id=ident)
    return _archive(row) if row else None


def newest(tx: Tx, actor: Id) -> Archive | None:
    """The last that somebody asked for, while it counts."""
    row = tx.one(NEWEST, actor=actor, now=tx.now)
    return _archive(row) if row else None


def of_actor(tx: Tx, actor: Id) -> list[Archive]:
    """All of somebody's."""
    return [_archive(row) for row in tx.all(OF_ACTOR, actor=actor)]


def finish(tx: Tx, ident: Id, state: ArchiveState, *, file: str | None, size: int, expires: Millis) -> bool:
    """It is made, or cannot be; False when nobody waits for it any more."""
    return tx.run(FINISH, id=ident, state=int(state), file=file, bytes=size, now=tx.now, expires=expires) > 0


def expired(tx: Tx) -> list[Archive]:
    """Those whose time is over."""
    return [_archive(row) for row in tx.all(EXPIRED, now=tx.now)]


def drop(tx: Tx, ident: Id) -> None:
    """Forget one."""
    tx.run(DROP, id=ident)


# What they are made of, page by page, oldest first, each row with its place.


def posts(tx: Tx, actor: Id, after: int, limit: int) -> list[Id]:
    """Somebody's posts and boosts."""
    return [row[0] for row in tx.all(POSTS, actor=actor, after=after, limit=limit)]


def files(tx: Tx, actor: Id, after: int, limit: int) -> list[tuple[Id, str]]:
    """The files that somebody uploaded."""
    return [(row[0], row[1]) for row in tx.all(FILES, actor=actor, after=after, limit=limit)]


def following(tx: Tx, actor: Id, after: int, limit: int) -> list[Row]:
    """Whom somebody follows: (place, name, domain, boosts, notify, languages)."""
    return tx.all(FOLLOWING, actor=actor, after=after, limit=limit)


def marked(tx: Tx, actor: Id, kind: int, after: int, limit: int) -> list[tuple[Id, Iri]]:
    """The posts that somebody bookmarked or favoured."""
    return [(row[0], row[1]) for row in tx.all(MARKED, actor=actor, kind=kind, after=after, limit=limit)]


def listed(tx: Tx, actor: Id, after: int, limit: int) -> list[Row]:
    """Who is on somebody's lists: (place, title, name, domain)."""
    return tx.all(LISTED, actor=actor, after=after, limit=limit)
