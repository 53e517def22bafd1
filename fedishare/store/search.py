"""Full-text search in the store: tables of words beside posts and actors, what waits to be taken in, and who asks.

Words are made by `fedishare.text.words`; queries are written as `fedishare.store.terms` says. Rows of words go with
their post or actor, and what is found is joined with it, under the audience decision: an index is never believed alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fedishare.model.actors import Actor
from fedishare.model.ids import Id
from fedishare.model.posts import Post
from fedishare.store import actors, posts
from fedishare.store.audience import VISIBLE
from fedishare.store.db import Tx, sql

MOST_WALKED = 200_000
WINDOW = 20_000
"""Newest posts that are looked through one after another, before the index is asked about all of them (PostgreSQL)."""

# What waits. Rows that another process has in its hands are left to it, so that nothing is taken in twice, and nobody
# waits for anybody.
WAITING_POSTS = sql(
    "search_waiting_posts", "SELECT post_id FROM post_pending ORDER BY post_id DESC LIMIT :limit {skip_locked}"
)
WAITING_ACTORS = sql(
    "search_waiting_actors", "SELECT actor_id FROM actor_pending ORDER BY actor_id DESC LIMIT :limit {skip_locked}"
)
POSTS = sql("search_posts", f"SELECT {posts.COLUMNS} FROM post p WHERE p.id IN :ids[] {{skip_locked}}")
ACTORS = sql("search_actors", f"SELECT {actors.COLUMNS} FROM actor a WHERE a.id IN :ids[] {{skip_locked}}")
POSTS_HERE = sql("search_posts_here", "SELECT id FROM post WHERE id IN :ids[]")
ACTORS_HERE = sql("search_actors_here", "SELECT id FROM actor WHERE id IN :ids[]")
POSTS_DONE = sql("search_posts_done", "DELETE FROM post_pending WHERE post_id IN :ids[]")
ACTORS_DONE = sql("search_actors_done", "DELETE FROM actor_pending WHERE actor_id IN :ids[]")
ANY_WAITING = sql(
    "search_any_waiting",
    "SELECT 1 WHERE EXISTS (SELECT 1 FROM post_pending) OR EXISTS (SELECT 1 FROM actor_pending)",
)
DROP_POSTS = sql("search_drop_posts", "DELETE FROM post_words WHERE {rowid} IN :ids[]")
DROP_ACTORS = sql("search_drop_actors", "DELETE FROM actor_words WHERE {rowid} IN :ids[]")
PUT_POST = sql("search_put_post", "INSERT INTO post_words ({rowid}, words) VALUES (:id, WORDS(:words))")
PUT_ACTOR = sql("search_put_actor", "INSERT INTO actor_words ({rowid}, words) VALUES (:id, WORDS(:words))")

# What somebody has to do with: wrote, boosted, favourited, bookmarked, is named in, voted on.
_OWN = """SELECT id FROM post WHERE author_id = :viewer AND boost_of_id IS NULL
        UNION ALL SELECT boost_of_id FROM post WHERE author_id = :viewer AND boost_of_id IS NOT NULL
        UNION ALL SELECT post_id FROM interaction WHERE actor_id = :viewer AND kind IN (1, 2)
        UNION ALL SELECT post_id FROM mention WHERE actor_id = :viewer
        UNION ALL SELECT post_id FROM vote WHERE actor_id = :viewer"""
_LIBRARY = f"(:library = 0 OR CASE WHEN s.{{rowid}} IN ({_OWN}) THEN 1 ELSE 2 END = :library)"
_SEEN = f"""CROSS JOIN LATERAL (SELECT p.id FROM post p JOIN actor a ON a.id = p.author_id
        WHERE p.id = s.id AND {VISIBLE} OFFSET 0) v"""
# PostgreSQL's index knows no order, so a word that is in every other post would be fetched and sorted whole. Such words
# are found among the newest posts; only what is rare there is asked of the index. SQLite's index is in the right order.
AMONG_NEWEST = sql(
    "search_among_newest",
    f"""
    -- only sqlite:
    SELECT 0 WHERE 0
    -- end
    -- only postgres:
    SELECT s.id FROM (SELECT w.id, w.words FROM post_words w WHERE w.id < :before AND w.id > :after
        ORDER BY w.id DESC LIMIT :window) s {_SEEN}
    WHERE s.words MATCHES :query AND {_LIBRARY}
    ORDER BY s.id DESC LIMIT :limit OFFSET :skip
    -- end
    """,
)
_WALK = f"""
    -- only sqlite:
    SELECT s.rowid FROM post_words s CROSS JOIN post p CROSS JOIN actor a
    WHERE s.words MATCHES :query AND s.rowid < :before AND s.rowid > :after AND {_LIBRARY}
      AND p.id = s.rowid AND a.id = p.author_id AND {VISIBLE}
    ORDER BY s.rowid DESC LIMIT :limit OFFSET :skip
    -- end"""
AMONG_ALL = sql(
    "search_among_all",
    f"""{_WALK}
    -- only postgres:
    WITH hit AS MATERIALIZED (SELECT w.id FROM post_words w
        WHERE w.words MATCHES :query AND w.id + 0 < :before AND w.id + 0 > :after)
    SELECT s.id FROM (SELECT id FROM hit ORDER BY id DESC) s {_SEEN}
    WHERE {_LIBRARY}
    ORDER BY s.id DESC LIMIT :limit OFFSET :skip
    -- end
    """,
)
AMONG_OWN = sql(
    "search_among_own",
    f"""{_WALK}
    -- only postgres:
    WITH own AS MATERIALIZED (SELECT DISTINCT o.id FROM ({_OWN}) o WHERE o.id < :before AND o.id > :after)
    SELECT s.id FROM (SELECT id FROM own ORDER BY id DESC) s
      CROSS JOIN LATERAL (SELECT w.words FROM post_words w WHERE w.id = s.id OFFSET 0) w {_SEEN}
    WHERE w.words MATCHES :query AND :library = 1
    ORDER BY s.id DESC LIMIT :limit OFFSET :skip
    -- end
    """,
)
PEOPLE = sql(
    "search_people",
    f"""SELECT {actors.COLUMNS} FROM actor_words s JOIN actor a ON a.id = s.{{rowid}}
        WHERE s.words MATCHES :query AND a.state < 2 AND a.name_key <> '{actors.INSTANCE_ACTOR}'
          AND (:following = 0 OR EXISTS (SELECT 1 FROM follow f
              WHERE f.follower_id = :viewer AND f.followee_id = a.id AND f.state = 1))
        ORDER BY CASE WHEN a.name_key = :name THEN 0 ELSE 1 END,
          CASE WHEN EXISTS (SELECT 1 FROM follow g
              WHERE g.follower_id = :viewer AND g.followee_id = a.id AND g.state = 1) THEN 0 ELSE 1 END,
          CASE WHEN a.domain IS NULL THEN 0 ELSE 1 END, a.followers_count DESC, a.id
        LIMIT :limit OFFSET :skip""",
)
# From each name to the next one, however many posts have it; only names that stand in a post which one may see.
TAGS = sql(
    "search_tags",
    f"""WITH RECURSIVE name (tag, number) AS (
        SELECT min(t.tag), 1 FROM post_tag t WHERE t.tag >= :tag AND t.tag < :beyond
        UNION ALL
        SELECT (SELECT min(t.tag) FROM post_tag t WHERE t.tag > name.tag AND t.tag < :beyond), name.number + 1
        FROM name WHERE name.tag IS NOT NULL AND name.number < :most)
       SELECT name.tag FROM name WHERE name.tag IS NOT NULL
         AND EXISTS (SELECT 1 FROM post_tag u JOIN post p ON p.id = u.post_id JOIN actor a ON a.id = p.author_id
             WHERE u.tag = name.tag AND {VISIBLE})
         AND NOT EXISTS (SELECT 1 FROM tag_setting s WHERE s.tag = name.tag AND s.listable = 0)
       ORDER BY CASE WHEN name.tag = :tag THEN 0 ELSE 1 END, name.tag LIMIT :limit OFFSET :skip""",
)


def any_waiting(tx: Tx) -> bool:
    """Whether something was written or changed that is not taken in."""
    return tx.one(ANY_WAITING) is not None


def waiting_posts(tx: Tx, limit: int) -> tuple[list[Post], list[Id]]:
    """Posts that wait, the newest first, and ids of posts that are gone meanwhile. Nobody else gets them, or can change
    them, until the transaction ends."""
    idents = [row[0] for row in tx.all(WAITING_POSTS, limit=limit)]
    if not idents:
        return [], []
    found = [posts.from_row(row) for row in tx.all(POSTS, ids=idents)]
    here = {row[0] for row in tx.all(POSTS_HERE, ids=idents)} if len(found) < len(idents) else set(idents)
    return found, [ident for ident in idents if ident not in here]


def waiting_actors(tx: Tx, limit: int) -> tuple[list[Actor], list[Id]]:
    """The same of actors."""
    idents = [row[0] for row in tx.all(WAITING_ACTORS, limit=limit)]
    if not idents:
        return [], []
    found = [actors.from_row(row) for row in tx.all(ACTORS, ids=idents)]
    here = {row[0] for row in tx.all(ACTORS_HERE, ids=idents)} if len(found) < len(idents) else set(idents)
    return found, [ident for ident in idents if ident not in here]


def put_posts(tx: Tx, words: Mapping[Id, str], gone: Sequence[Id] = ()) -> None:
    """Take in the words of posts; they do not wait any more."""
    idents = [*words, *gone]
    tx.run(DROP_POSTS, ids=idents)
    tx.many(PUT_POST, [{"id": ident, "words": text} for ident, text in words.items()])
    tx.run(POSTS_DONE, ids=idents)


def put_actors(tx: Tx, words: Mapping[Id, str], gone: Sequence[Id] = ()) -> None:
    """Take in the words of actors; they do not wait any more."""
    idents = [*words, *gone]
    tx.run(DROP_ACTORS, ids=idents)
    tx.many(PUT_ACTOR, [{"id": ident, "words": text} for ident, text in words.items()])
    tx.run(ACTORS_DONE, ids=idents)


def find_posts(
    tx: Tx, query: str, viewer: Id, *, before: int, after: int, limit: int, skip: int = 0, library: int = 0
) -> list[Id]:
    """Posts whose words match and that ``viewer`` may see, the newest first. ``library``: 1 only what the viewer has to
    do with, 2 only the rest."""
    params: dict[str, Any] = {
        "query": query, "viewer": viewer, "before": before, "after": after, "limit": limit, "skip": skip,
        "library": library,
    }  # fmt: skip
    if library == 1:
        return [row[0] for row in tx.all(AMONG_OWN, **params)]
    found = tx.all(AMONG_NEWEST, window=WINDOW + 4 * skip, **params)
    if "+" in query and limit // 8 < len(found) < limit:
        # The index knows words, and has to look at each post that has all of a phrase's: rather walk on a bit.
        window = min(MOST_WALKED, WINDOW * 2 * limit // len(found))
        found = tx.all(AMONG_NEWEST, window=window + 4 * skip, **params)
    if len(found) < limit:
        found = tx.all(AMONG_ALL, **params)
    return [row[0] for row in found]


def find_people(
    tx: Tx, query: str, name: str, viewer: Id, *, following: bool, limit: int, skip: int = 0
) -> list[Actor]:
    """Actors whose words match: first who is called exactly ``name``, then whom one follows, then local people."""
    rows = tx.all(
        PEOPLE, query=query, name=name, viewer=viewer, following=int(following), limit=limit, skip=skip
    )  # fmt: skip
    return [actors.from_row(row) for row in rows]


def find_tags(tx: Tx, tag: str, viewer: Id, *, limit: int, skip: int = 0) -> list[str]:
    """Hashtags that begin with ``tag`` (normalised), in posts that ``viewer`` may see; ``tag`` itself first."""
    if not tag:
        return []
    most = 4 * (limit + skip) + 100
    rows = tx.all(TAGS, tag=tag, beyond=tag + "\U0010ffff", viewer=viewer, most=most, limit=limit, skip=skip)
    return [row[0] for row in rows]
