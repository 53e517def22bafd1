"""Uploads and their files in the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from fedishare.model.ids import Id, Millis
from fedishare.model.media import FilesDropped, Media, MediaFacts, MediaState
from fedishare.store.db import Row, Tx, sql

COLUMNS = """m.id, m.owner_id, m.post_id, m.kind, m.state, m.file, m.media_type, m.preview, m.blurhash, m.description,
  m.facts, m.kept_until"""

BY_ID = sql("media_by_id", f"SELECT {COLUMNS} FROM media m WHERE m.id = :id")
BY_IDS = sql("media_by_ids", f"SELECT {COLUMNS} FROM media m WHERE m.id IN :ids[] AND m.owner_id = :owner")
OF_POST = sql("media_of_post", f"SELECT {COLUMNS} FROM media m WHERE m.post_id = :post ORDER BY m.id")
OF_OWNER = sql("media_of_owner", f"SELECT {COLUMNS} FROM media m WHERE m.owner_id = :owner ORDER BY m.id")
UNUSED = sql(
    "media_unused",
    f"""SELECT {COLUMNS} FROM media m WHERE m.post_id IS NULL AND m.kept_until < :now
        AND NOT EXISTS (SELECT 1 FROM scheduled_media s WHERE s.media_id = m.id)
        ORDER BY m.kept_until LIMIT :limit""",
)
INSERT = sql(
    "media_insert",
    """INSERT INTO media (id, owner_id, kind, state, file, media_type, preview, blurhash, description, facts,
        kept_until, created_at)
       VALUES (:id, :owner, :kind, :state, :file, :media_type, :preview, :blurhash, :description, :facts, :kept_until,
        :now)""",
)
UPDATE = sql(
    "media_update",
    """UPDATE media SET kind = :kind, state = :state, file = :file, media_type = :media_type, preview = :preview,
        blurhash = :blurhash, description = :description, facts = :facts WHERE id = :id""",
)
ATTACH = sql("media_attach", "UPDATE media SET post_id = :post WHERE id = :id AND (post_id IS NULL OR post_id = :post)")
RELEASE = sql("media_release", "UPDATE media SET post_id = NULL, kept_until = :until WHERE post_id = :post")
KEEP = sql("media_keep", "UPDATE media SET kept_until = :until WHERE id IN :ids[] AND owner_id = :owner")
DELETE = sql("media_delete", "DELETE FROM media WHERE id = :id")

PUT_FILE = sql(
    "media_file_insert",
    """INSERT INTO media_file (name, media_id, actor_id, media_type, bytes)
       VALUES (:name, :media, :actor, :media_type, :bytes)""",
)
FILE = sql("media_file_by_name", "SELECT media_id, actor_id FROM media_file WHERE name = :name")
FILES_OF = sql("media_files_of", "SELECT name FROM media_file WHERE media_id = :media")
FILES_OF_ACTOR = sql("media_files_of_actor", "SELECT name FROM media_file WHERE actor_id = :actor")
DROP_FILE = sql("media_file_delete", "DELETE FROM media_file WHERE name = :name")
KNOWN = sql("media_files_known", "SELECT name FROM media_file WHERE name IN :names[]")
TRASH = sql("media_trash_insert", "INSERT INTO media_trash (name, at) VALUES (:name, :now) ON CONFLICT DO NOTHING")
TRASHED = sql("media_trash", "SELECT name FROM media_trash ORDER BY name LIMIT :limit")
DROP_TRASH = sql("media_trash_delete", "DELETE FROM media_trash WHERE name IN :names[]")

ACTIVE = sql(
    "media_reader",
    """SELECT a.id FROM actor a JOIN credential c ON c.actor_id = a.id
       WHERE a.id = :id AND a.domain IS NULL AND a.state < 2 AND c.approved = 1
         AND c.disabled = 0""",
)
SEEING_HOSTS = sql(
    "media_seeing_hosts",
    """SELECT DISTINCT s.host, CASE WHEN m.actor_id IS NULL THEN 0 ELSE 1 END AS named
       FROM actor s LEFT JOIN mention m ON m.post_id = :post AND m.actor_id = s.id
       WHERE s.host IS NOT NULL AND s.state < 2
         AND s.id IN (SELECT f.follower_id FROM follow f WHERE f.followee_id = :author AND f.state = 1
                      UNION SELECT n.actor_id FROM mention n WHERE n.post_id = :post)
         AND NOT EXISTS (SELECT 1 FROM block b WHERE b.actor_id = :author AND b.target_id = s.id)""",
)

REMOTE = "remote:"
"""What stands before the digest of a partner's file in the trash."""
_facts_in = msgspec.json.Decoder(MediaFacts)
_encode = msgspec.json.Encoder().encode


def _from_row(row: Row) -> Media:
    (ident, owner, post, kind, state, file, media_type, preview, blurhash, description, facts, kept_until) = row
    return Media(
        ident, owner, post, kind, MediaState(state), file, media_type, preview, blurhash, description,
        _facts_in.decode(facts), kept_until,
    )  # fmt: skip


def by_id(tx: Tx, ident: Id) -> Media | None:
    """The upload with that id, whoever's it is."""
    row = tx.one(BY_ID, id=ident)
    return _from_row(row) if row else None


def owned(tx: Tx, owner: Id, idents: Iterable[Id]) -> dict[Id, Media]:
    """Those of the uploads that belong to ``owner``, by id."""
    wanted = list(set(idents))
    return {row[0]: _from_row(row) for row in tx.all(BY_IDS, ids=wanted, owner=owner)} if wanted else {}


def of_post(tx: Tx, post: Id) -> list[Media]:
    """Every upload that is or was part of a post."""
    return [_from_row(row) for row in tx.all(OF_POST, post=post)]


def of_owner(tx: Tx, owner: Id) -> list[Media]:
    """Every upload of somebody."""
    return [_from_row(row) for row in tx.all(OF_OWNER, owner=owner)]


def unused(tx: Tx, limit: int = 500) -> list[Media]:
    """Uploads that are part of no post and have waited long enough."""
    return [_from_row(row) for row in tx.all(UNUSED, now=tx.now, limit=limit)]


def insert(tx: Tx, media: Media) -> None:
    """Add an upload."""
    tx.run(INSERT, owner=media.owner_id, kept_until=media.kept_until, now=tx.now, **_values(media))


def update(tx: Tx, media: Media) -> None:
    """Write everything about an upload but whose it is and where it stands."""
    tx.run(UPDATE, **_values(media))


def _values(media: Media) -> dict[str, object]:
    return {
        "id": media.id, "kind": media.kind, "state": int(media.state), "file": media.file,
        "media_type": media.media_type, "preview": media.preview, "blurhash": media.blurhash,
        "description": media.description, "facts": _encode(media.facts).decode(),
    }  # fmt: skip


def attach(tx: Tx, ident: Id, post: Id) -> bool:
    """Make an upload part of a post; False when it is part of another one."""
    return tx.run(ATTACH, id=ident, post=post) == 1


def release(tx: Tx, post: Id, until: Millis) -> None:
    """Take all uploads out of a post, kept for their owner until then."""
    tx.run(RELEASE, post=post, until=until)


def keep(tx: Tx, owner: Id, idents: Iterable[Id], until: Millis) -> None:
    """Keep uploads that are part of no post until then."""
    tx.run(KEEP, ids=list(idents), owner=owner, until=until)


def delete(tx: Tx, media: Media) -> None:
    """Remove an upload; its files go to the trash."""
    names = [row[0] for row in tx.all(FILES_OF, media=media.id)]
    trash(tx, {*names, *((media.file,) if media.file else ())})
    tx.run(DELETE, id=media.id)


def put_file(
    tx: Tx, name: str, media_type: str, size: int, *, media: Id | None = None, actor: Id | None = None
) -> None:
    """Note a file of ours: part of an upload, or of somebody's profile."""
    tx.run(PUT_FILE, name=name, media=media, actor=actor, media_type=media_type, bytes=size)


def file(tx: Tx, name: str) -> tuple[Id | None, Id | None] | None:
    """Which upload, or whose profile, a file belongs to; None for names that are nobody's."""
    row = tx.one(FILE, name=name)
    return (row[0], row[1]) if row else None


def files_of_actor(tx: Tx, actor: Id) -> list[str]:
    """The files of somebody's profile."""
    return [row[0] for row in tx.all(FILES_OF_ACTOR, actor=actor)]


def known(tx: Tx, names: Sequence[str]) -> set[str]:
    """Those of the names that are somebody's."""
    return {row[0] for row in tx.all(KNOWN, names=list(names))}


def trash(tx: Tx, names: Iterable[str]) -> None:
    """These files are needed no more: nobody gets them from now on, and they are deleted after the commit."""
    for name in names:
        tx.run(DROP_FILE, name=name)
        tx.run(TRASH, name=name, now=tx.now)
    tx.notify(FilesDropped())


def trashed(tx: Tx, limit: int = 500) -> list[str]:
    """Files to delete."""
    return [row[0] for row in tx.all(TRASHED, limit=limit)]


def drop_trash(tx: Tx, names: Sequence[str]) -> None:
    """They are deleted."""
    tx.run(DROP_TRASH, names=list(names))


def is_active(tx: Tx, ident: Id) -> bool:
    """Whether a local person is (still) one of ours."""
    return tx.one(ACTIVE, id=ident) is not None


def seeing_hosts(tx: Tx, post: Id, author: Id) -> list[tuple[str, bool]]:
    """The hosts at which somebody follows the author or is named by the post (then with True)."""
    return [(row[0], bool(row[1])) for row in tx.all(SEEING_HOSTS, post=post, author=author)]
