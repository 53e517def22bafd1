"""Hashtags: posts that have them, who follows them, who shows them on a profile, and how much they are used.

A hashtag is its comparing form (`fedishare.text.normalise_hashtag`); there is no row for the tag itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fedishare.model.ids import Id, Millis, id_at
from fedishare.store.audience import VISIBLE, WANTED
from fedishare.store.db import Tx, sql
from fedishare.store.paging import Page, paged, rows

DAY = 86_400_000
HISTORY_DAYS = 7
RECENT_POSTS = 1_000
"""Of how many of somebody's newest posts the hashtags are suggested."""

PAGE = paged(
    "tag_page",
    f"""SELECT p.id FROM post_tag t JOIN post p ON p.id = t.post_id JOIN actor a ON a.id = p.author_id
        WHERE t.tag = :tag AND t.post_id < :before AND t.post_id > :after AND p.visibility = 0
        AND (:local < 0 OR p.local = :local) AND a.state = 0 AND {VISIBLE} AND {WANTED}
        AND (:media = 0 OR p.extra LIKE '%"attachments":%')
        AND (:also_number = 0 OR :also_number = (SELECT count(*) FROM post_tag x
            WHERE x.post_id = p.id AND x.tag IN :also[]))
        AND (:never_number = 0 OR NOT EXISTS (SELECT 1 FROM post_tag y
            WHERE y.post_id = p.id AND y.tag IN :never[]))""",
    "t.post_id",
)
FOLLOW = sql(
    "tag_follow_put", "INSERT INTO tag_follow (tag, owner_id, id) VALUES (:tag, :owner, :id) ON CONFLICT DO NOTHING"
)
UNFOLLOW = sql("tag_follow_drop", "DELETE FROM tag_follow WHERE tag = :tag AND owner_id = :owner")
FOLLOWED = sql("tags_followed", "SELECT tag FROM tag_follow WHERE owner_id = :owner AND tag IN :tags[]")
FOLLOWED_PAGE = paged(
    "tags_followed_page",
    "SELECT t.id, t.tag FROM tag_follow t WHERE t.owner_id = :owner AND t.id < :before AND t.id > :after",
    "t.id",
)
COUNT_FOLLOWED = sql("tags_count_followed", "SELECT count(*) FROM tag_follow WHERE owner_id = :owner")
FEATURE = sql(
    "tag_feature_put", "INSERT INTO tag_feature (owner_id, tag, id) VALUES (:owner, :tag, :id) ON CONFLICT DO NOTHING"
)
UNFEATURE = sql("tag_feature_drop", "DELETE FROM tag_feature WHERE owner_id = :owner AND tag = :tag")
FEATURED_TAG = sql("tag_feature_by_id", "SELECT tag FROM tag_feature WHERE owner_id = :owner AND id = :id")
FEATURED_NAMES = sql("tags_featured", "SELECT tag FROM tag_feature WHERE owner_id = :owner ORDER BY id")
FEATURED = sql(
    "tags_featured_counted",
    """SELECT f.id, f.tag, count(p.id), max(p.created_at) FROM tag_feature f
        LEFT JOIN post_tag t ON t.tag = f.tag
        LEFT JOIN post p ON p.id = t.post_id AND p.author_id = f.owner_id AND p.visibility <= 1
       WHERE f.owner_id = :owner GROUP BY f.id, f.tag ORDER BY f.id""",
)
USED = sql(
    "tags_used_by",
    """SELECT t.tag FROM (SELECT q.id FROM post q WHERE q.author_id = :owner ORDER BY q.id DESC LIMIT :recent) r
        JOIN post_tag t ON t.post_id = r.id
       WHERE NOT EXISTS (SELECT 1 FROM tag_feature f WHERE f.owner_id = :owner AND f.tag = t.tag)
       GROUP BY t.tag ORDER BY count(*) DESC, t.tag LIMIT :limit""",
)
HISTORY = sql(
    "tag_history",
    """SELECT t.tag, (t.post_id - :start) / :day AS at, count(*), count(DISTINCT p.author_id)
       FROM post_tag t JOIN post p ON p.id = t.post_id JOIN actor a ON a.id = p.author_id
       WHERE t.tag IN :tags[] AND t.post_id >= :start AND p.visibility = 0 AND a.state = 0 GROUP BY t.tag, at""",
)
FORGET_FOLLOWS = sql("tag_follow_forget", "DELETE FROM tag_follow WHERE owner_id = :owner")
FORGET_FEATURED = sql("tag_feature_forget", "DELETE FROM tag_feature WHERE owner_id = :owner")


@dataclass(frozen=True, slots=True)
class TagQuery:
    """A hashtag timeline: posts with one of ``tags``, all of ``also`` and none of ``never``."""

    tags: tuple[str, ...]
    also: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    local: bool | None = None
    media_only: bool = False


@dataclass(frozen=True, slots=True)
class Featured:
    """A hashtag on a profile, with how often and when last its owner used it where everybody can see it."""

    id: Id
    tag: str
    posts: int
    last_at: Millis | None


@dataclass(frozen=True, slots=True)
class Usage:
    """How much a hashtag was used in public on one day. ``day``: its beginning, in UTC."""

    day: Millis
    uses: int = 0
    accounts: int = 0


def tag_id(tag: str) -> Id:
    """A number for a hashtag, always the same one."""
    return Id(int.from_bytes(hashlib.blake2b(tag.encode(), digest_size=8).digest(), "big") >> 1)


def page(tx: Tx, wanted: TagQuery, viewer: Id, at: Page) -> list[Id]:
    """Public posts of a hashtag timeline, newest first."""
    also, never = sorted(set(wanted.also)), sorted(set(wanted.never))
    found: set[Id] = set()
    # One walk for each alternative: the newest of them all are among the newest of each.
    for tag in dict.fromkeys(wanted.tags):
        found |= {
            row[0] for row in rows(
                tx, PAGE, at, tag=tag, viewer=viewer, local=-1 if wanted.local is None else int(wanted.local),
                media=int(wanted.media_only), also=also, also_number=len(also), never=never, never_number=len(never),
                now=tx.now,
            )
        }  # fmt: skip
    ordered = sorted(found, reverse=True)
    return ordered[-at.limit :] if at.upwards else ordered[: at.limit]


def follow(tx: Tx, owner: Id, tag: str) -> bool:
    """Follow a hashtag; False when it was followed before."""
    return tx.run(FOLLOW, tag=tag, owner=owner, id=tx.new_id()) > 0


def unfollow(tx: Tx, owner: Id, tag: str) -> bool:
    """Follow a hashtag no more; False when it was not followed."""
    return tx.run(UNFOLLOW, tag=tag, owner=owner) > 0


def followed(tx: Tx, owner: Id, tags: Iterable[str]) -> frozenset[str]:
    """Those of ``tags`` that somebody follows."""
    return frozenset(row[0] for row in tx.all(FOLLOWED, owner=owner, tags=list(tags)))


def count_followed(tx: Tx, owner: Id) -> int:
    """How many hashtags somebody follows."""
    return int(tx.value(COUNT_FOLLOWED, owner=owner))


def followed_page(tx: Tx, owner: Id, at: Page) -> list[tuple[Id, str]]:
    """What somebody follows, the newest first, each with its place."""
    return [(row[0], row[1]) for row in rows(tx, FOLLOWED_PAGE, at, owner=owner)]


def feature(tx: Tx, owner: Id, tag: str) -> bool:
    """Show a hashtag on a profile; False when it is there."""
    return tx.run(FEATURE, owner=owner, tag=tag, id=tx.new_id()) > 0


def unfeature(tx: Tx, owner: Id, tag: str) -> bool:
    """Show a hashtag no more; False when it was not there."""
    return tx.run(UNFEATURE, owner=owner, tag=tag) > 0


def featured_tag(tx: Tx, owner: Id, ident: Id) -> str | None:
    """The hashtag that somebody shows under that id."""
    found: str | None = tx.value(FEATURED_TAG, owner=owner, id=ident)
    return found


def featured_names(tx: Tx, owner: Id) -> list[str]:
    """What somebody shows, oldest first."""
    return [row[0] for row in tx.all(FEATURED_NAMES, owner=owner)]


def featured(tx: Tx, owner: Id) -> list[Featured]:
    """The same with numbers."""
    return [Featured(*row) for row in tx.all(FEATURED, owner=owner)]


def used(tx: Tx, owner: Id, limit: int) -> list[str]:
    """The hashtags that somebody used most of late and does not show yet."""
    return [row[0] for row in tx.all(USED, owner=owner, recent=RECENT_POSTS, limit=limit)]


def history(tx: Tx, tags: Sequence[str]) -> dict[str, list[Usage]]:
    """How much each hashtag was used in public within the last seven days, today first."""
    today = Millis(tx.now - tx.now % DAY)
    first = Millis(today - (HISTORY_DAYS - 1) * DAY)
    counted: dict[tuple[str, int], tuple[int, int]] = {}
    if tags:
        for tag, at, uses, accounts in tx.all(HISTORY, tags=list(tags), start=id_at(first), day=id_at(Millis(DAY))):
            counted[tag, HISTORY_DAYS - 1 - at] = (uses, accounts)
    return {
        tag: [Usage(Millis(today - ago * DAY), *counted.get((tag, ago), (0, 0))) for ago in range(HISTORY_DAYS)]
        for tag in tags
    }


def forget(tx: Tx, owner: Id) -> None:
    """Remove what a deleted account followed and showed."""
    tx.run(FORGET_FOLLOWS, owner=owner)
    tx.run(FORGET_FEATURED, owner=owner)
