"""Tombstones: what remains of deleted posts, for ever, each by the author that deleted it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from fedishare.model.ids import Id, iri_hash
from fedishare.model.posts import Post, Reach, Tombstone, Visibility
from fedishare.store.db import Tx, sql

PUT = sql(
    "tombstone_insert",
    """INSERT INTO tombstone (iri_hash, iri, author_iri, post_id, visibility, reach, seen_by, deleted_at)
       VALUES (:hash, :iri, :author, :post, :visibility, :reach, :seen_by, :now) ON CONFLICT DO NOTHING""",
)
GET = sql(
    "tombstone_by_iri",
    """SELECT iri, author_iri, visibility, deleted_at, post_id, reach, seen_by FROM tombstone
       WHERE iri_hash = :hash AND iri = :iri AND (:author = '' OR author_iri = :author)""",
)
WAS_HERE = sql(
    "tombstone_was_here",
    "SELECT 1 FROM tombstone WHERE iri_hash = :hash AND iri = :iri AND post_id IS NOT NULL LIMIT 1",
)

_encode = msgspec.json.Encoder().encode


def put(tx: Tx, iri: str, author_iri: str, post: Post | None, seen_by_ids: Iterable[Id] = ()) -> None:
    """Remember for ever that ``iri`` is deleted. ``post`` is None for ids that we never knew."""
    tx.run(
        PUT, hash=iri_hash(iri), iri=iri, author=author_iri, post=post.id if post else None,
        visibility=int(post.visibility if post else Visibility.DIRECT),
        reach=post.reach.encode() if post else "local", seen_by=_encode(list(seen_by_ids)).decode(), now=tx.now,
    )  # fmt: skip


def get(tx: Tx, iri: str, author_iri: str = "") -> Tombstone | None:
    """The tombstone of an IRI, made by that author if one is given."""
    row = tx.one(GET, hash=iri_hash(iri), iri=iri, author=author_iri)
    return Tombstone(row[0], row[1], Visibility(row[2]), row[3], row[4]) if row else None


def was_here(tx: Tx, iri: str) -> bool:
    """Whether a post of that IRI was here and was deleted: then its author did it, so it need not be read again.

    A tombstone of something that never was here proves nothing: a colleague of the author can make one.
    """
    return tx.one(WAS_HERE, hash=iri_hash(iri), iri=iri) is not None


def audience(tx: Tx, iri: str) -> tuple[Tombstone, Reach, frozenset[Id]] | None:
    """A tombstone, with the reach that the post had and the actors that it named."""
    row = tx.one(GET, hash=iri_hash(iri), iri=iri, author="")
    if row is None:
        return None
    stone = Tombstone(row[0], row[1], Visibility(row[2]), row[3], row[4])
    return stone, Reach.decode(row[5]), frozenset(msgspec.json.decode(row[6], type=list[int]))
