"""Favourites, bookmarks, pins, muted threads and votes."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from fedishare.model.actors import Actor
from fedishare.model.ids import Id, Iri
from fedishare.store.actors import COLUMNS as ACTOR_COLUMNS
from fedishare.store.actors import from_row as actor_from_row
from fedishare.store.db import Tx, sql
from fedishare.store.paging import FIRST, Page, paged, rows


class Kind(IntEnum):
    """What somebody did with a post."""

    FAVOURITE = 1
    BOOKMARK = 2
    PIN = 3
    MUTE_THREAD = 4


PUT = sql(
    "interaction_put",
    """INSERT INTO interaction (post_id, actor_id, kind, id, iri) VALUES (:post, :actor, :kind, :id, :iri)
       ON CONFLICT (post_id, actor_id, kind) DO NOTHING""",
)
DROP = sql("interaction_drop", "DELETE FROM interaction WHERE post_id = :post AND actor_id = :actor AND kind = :kind")
IRI = sql("interaction_iri", "SELECT iri FROM interaction WHERE post_id = :post AND actor_id = :actor AND kind = :kind")
BY_IRI = sql(
    "favourite_by_iri", "SELECT post_id FROM interaction WHERE actor_id = :actor AND kind = 1 AND iri = :iri LIMIT 1"
)
FLAGS = sql(
    "interaction_flags",
    """SELECT post_id, kind FROM interaction WHERE actor_id = :viewer AND post_id IN :ids[]
       UNION ALL
       SELECT p.id, i.kind FROM interaction i JOIN post m ON m.id = i.post_id JOIN post p ON p.thread_id = m.thread_id
       WHERE i.actor_id = :viewer AND i.kind = 4 AND p.id IN :ids[]
       UNION ALL
       SELECT 0, r.rev FROM filter_revision r WHERE r.owner_id = :viewer""",
)
UNMUTE = sql(
    "interaction_unmute_thread",
    """DELETE FROM interaction WHERE actor_id = :actor AND kind = 4
       AND post_id IN (SELECT id FROM post WHERE thread_id = :thread OR id = :thread)""",
)
BOOSTED = sql(
    "boosted_flags",
    "SELECT boost_of_id, id FROM post WHERE author_id = :viewer AND boost_of_id IN :ids[]",
)
ACTORS = paged(
    "interaction_actors",
    f"""SELECT i.id, {ACTOR_COLUMNS} FROM interaction i JOIN actor a ON a.id = i.actor_id
        WHERE i.post_id = :post AND i.kind = :kind AND i.id < :before AND i.id > :after AND a.state < 2""",
    "i.id",
)
BOOSTERS = paged(
    "booster_actors",
    f"""SELECT p.id, {ACTOR_COLUMNS} FROM post p JOIN actor a ON a.id = p.author_id
        WHERE p.boost_of_id = :post AND p.id < :before AND p.id > :after AND a.state < 2 AND p.visibility <= 1""",
    "p.id",
)
MINE = paged(
    "interactions_of",
    """SELECT id, post_id FROM interaction WHERE actor_id = :actor AND kind = :kind AND id < :before AND id > :after""",
    "id",
)
DROP_VOTES = sql("votes_drop", "DELETE FROM vote WHERE post_id = :post")
PUT_VOTE = sql(
    "vote_put",
    """INSERT INTO vote (post_id, actor_id, choice, id) VALUES (:post, :actor, :choice, :id)
       ON CONFLICT (post_id, actor_id, choice) DO NOTHING""",
)
VOTES_OF = sql("votes_of", "SELECT choice FROM vote WHERE post_id = :post AND actor_id = :actor ORDER BY choice")
VOTES = sql("vote_counts", "SELECT choice, count(*) FROM vote WHERE post_id = :post GROUP BY choice ORDER BY choice")
VOTERS = sql("voter_count", "SELECT count(DISTINCT actor_id) FROM vote WHERE post_id = :post")


def put(tx: Tx, post: Id, actor: Id, kind: Kind, iri: Iri | None = None) -> bool:
    """Add one; False when it exists."""
    return tx.run(PUT, post=post, actor=actor, kind=int(kind), id=tx.new_id(), iri=iri) > 0


def drop(tx: Tx, post: Id, actor: Id, kind: Kind) -> bool:
    """Remove one; False when there was none."""
    return tx.run(DROP, post=post, actor=actor, kind=int(kind)) > 0


def iri_of(tx: Tx, post: Id, actor: Id, kind: Kind) -> Iri | None:
    """The id of the activity that made it."""
    found: Iri | None = tx.value(IRI, post=post, actor=actor, kind=int(kind))
    return found


def favourite_by_iri(tx: Tx, actor: Id, iri: str) -> Id | None:
    """Which post the Like ``iri`` of that actor is about (for Undo with a bare id)."""
    found: Id | None = tx.value(BY_IRI, actor=actor, iri=iri)
    return found


def flags(tx: Tx, viewer: Id, posts: Iterable[Id]) -> tuple[dict[Id, set[Kind]], int]:
    """What ``viewer`` did with each of the posts; and the revision of their filters, 0 if they never had any."""
    result: dict[Id, set[Kind]] = {}
    rev = 0
    for post, kind in tx.all(FLAGS, viewer=viewer, ids=list(posts)):
        if post:
            result.setdefault(post, set()).add(Kind(kind))
        else:
            rev = kind
    return result, rev


def boosted(tx: Tx, viewer: Id, posts: Iterable[Id]) -> dict[Id, Id]:
    """The viewer's boosts of the posts: post's id to boost's id."""
    return {row[0]: row[1] for row in tx.all(BOOSTED, viewer=viewer, ids=list(posts))}


def actors(tx: Tx, post: Id, kind: Kind, page: Page = FIRST) -> list[tuple[Id, Actor]]:
    """Who did it, newest first, with the interaction's id for paging."""
    return [(row[0], actor_from_row(row[1:])) for row in rows(tx, ACTORS, page, post=post, kind=int(kind))]


def boosters(tx: Tx, post: Id, page: Page = FIRST) -> list[tuple[Id, Actor]]:
    """Who boosted a post, newest first."""
    return [(row[0], actor_from_row(row[1:])) for row in rows(tx, BOOSTERS, page, post=post)]


def mine(tx: Tx, actor: Id, kind: Kind, page: Page = FIRST) -> list[tuple[Id, Id]]:
    """An actor's favourites, bookmarks or pins, newest first: (interaction's id, post's id)."""
    return [(row[0], row[1]) for row in rows(tx, MINE, page, actor=actor, kind=int(kind))]


def put_vote(tx: Tx, post: Id, actor: Id, choice: int) -> bool:
    """Count a vote; False when that option was chosen by that actor before."""
    return tx.run(PUT_VOTE, post=post, actor=actor, choice=choice, id=tx.new_id()) > 0


def unmute_thread(tx: Tx, thread: Id, actor: Id) -> None:
    """Take back that somebody muted a thread, wherever in it that was."""
    tx.run(UNMUTE, thread=thread, actor=actor)


def drop_votes(tx: Tx, post: Id) -> None:
    """The options of a poll changed, so nobody has voted."""
    tx.run(DROP_VOTES, post=post)


def votes_of(tx: Tx, post: Id, actor: Id) -> list[int]:
    """The options that an actor chose."""
    return [row[0] for row in tx.all(VOTES_OF, post=post, actor=actor)]


def vote_counts(tx: Tx, post: Id) -> tuple[dict[int, int], int]:
    """Votes by option, and how many people voted."""
    return {row[0]: row[1] for row in tx.all(VOTES, post=post)}, int(tx.value(VOTERS, post=post))
