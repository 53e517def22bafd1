"""Home entries and public timelines: what people read first, so each query is a short index walk."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from fedishare.model.ids import Id
from fedishare.store.audience import VISIBLE, WANTED
from fedishare.store.db import Row, Tx, sql
from fedishare.store.paging import Page as Page

PUT_HOME = sql(
    "home_fan_out",
    """INSERT INTO home_entry (owner_id, post_id)
       SELECT f.follower_id, :post FROM follow f
       WHERE f.followee_id = :author AND f.state = 1 AND f.follower_local = 1 AND f.at_home = 1
         AND (:boost = 0 OR f.show_boosts = 1)
         AND (f.languages IS NULL OR :language = '' OR ',' || f.languages || ',' LIKE '%,' || :language || ',%')
         AND (:answered IS NULL OR :answered = :author OR :answered = f.follower_id
           OR EXISTS (SELECT 1 FROM follow g
             WHERE g.follower_id = f.follower_id AND g.followee_id = :answered AND g.state = 1))
         AND (:direct = 0 OR EXISTS (SELECT 1 FROM mention m WHERE m.post_id = :post AND m.actor_id = f.follower_id))
       ON CONFLICT DO NOTHING""",
)
PUT_OWN = sql("home_put", "INSERT INTO home_entry (owner_id, post_id) VALUES (:owner, :post) ON CONFLICT DO NOTHING")
DROP_HOME = sql(
    "home_drop",
    """DELETE FROM home_entry WHERE post_id = :post AND owner_id IN
       (SELECT follower_id FROM follow WHERE followee_id = :author AND follower_local = 1)""",
)
DROP_OWN = sql("home_drop_own", "DELETE FROM home_entry WHERE owner_id = :owner AND post_id = :post")
DROP_AUTHOR = sql(
    "home_drop_author",
    """DELETE FROM home_entry WHERE owner_id = :owner AND post_id IN (SELECT id FROM post WHERE author_id = :author)""",
)
FILL_HOME = sql(
    "home_fill",
    """INSERT INTO home_entry (owner_id, post_id)
       SELECT f.follower_id, p.id FROM follow f JOIN post p ON p.author_id = f.followee_id
       WHERE f.follower_id = :owner AND f.followee_id = :author AND f.state = 1 AND f.at_home = 1 AND p.visibility <= 2
         AND (p.boost_of_id IS NULL OR f.show_boosts = 1)
         AND (f.languages IS NULL OR p.language IS NULL
           OR ',' || f.languages || ',' LIKE '%,' || p.language || ',%')
         AND (p.in_reply_to_iri IS NULL OR p.in_reply_to_account_id IN (:author, :owner)
           OR EXISTS (SELECT 1 FROM follow g
             WHERE g.follower_id = :owner AND g.followee_id = p.in_reply_to_account_id AND g.state = 1))
       ORDER BY p.id DESC LIMIT :limit
       ON CONFLICT DO NOTHING""",
)
WAITED_FOR = sql(
    "post_waited_for",
    """SELECT EXISTS (SELECT 1 FROM follow f
           WHERE f.followee_id = :author AND f.notify = 1 AND f.state = 1 AND f.follower_local = 1),
         EXISTS (SELECT 1 FROM tag_follow t WHERE t.tag IN :tags[])""",
)
PUT_TAGGED = sql(
    "home_put_tagged",
    """INSERT INTO home_entry (owner_id, post_id)
       SELECT t.owner_id, :post FROM tag_follow t
       WHERE t.tag IN :tags[] AND t.owner_id <> :author AND NOT EXISTS (SELECT 1 FROM follow f
         WHERE f.follower_id = t.owner_id AND f.followee_id = :author AND f.at_home = 0)
       ON CONFLICT DO NOTHING""",
)
DROP_TAGGED = sql(
    "home_drop_tagged",
    """DELETE FROM home_entry WHERE post_id = :post AND owner_id IN
       (SELECT owner_id FROM tag_follow WHERE tag IN :tags[])""",
)
LEAVE_TAG = sql(
    "home_leave_tag",
    """DELETE FROM home_entry WHERE owner_id = :owner AND post_id IN (SELECT p.id FROM post_tag t
         JOIN post p ON p.id = t.post_id WHERE t.tag = :tag AND p.author_id <> :owner
         AND NOT EXISTS (SELECT 1 FROM follow f WHERE f.follower_id = :owner AND f.followee_id = p.author_id
           AND f.state = 1)
         AND NOT EXISTS (SELECT 1 FROM post_tag u JOIN tag_follow w ON w.tag = u.tag
           WHERE u.post_id = p.id AND w.owner_id = :owner))""",
)
_HOME = f"""SELECT p.id, p.rev, a.id, a.rev, p.boost_of_id
       FROM home_entry h JOIN post p ON p.id = h.post_id JOIN actor a ON a.id = p.author_id
       WHERE h.owner_id = :viewer AND h.post_id < :before AND h.post_id > :after AND {VISIBLE} AND {WANTED}"""
HOME_PAGE = sql("home_page", f"{_HOME} ORDER BY h.post_id DESC LIMIT :limit")
HOME_PAGE_UP = sql("home_page_up", f"{_HOME} ORDER BY h.post_id ASC LIMIT :limit")
_PUBLIC = f"""SELECT p.id, p.rev, a.id, a.rev, p.boost_of_id FROM post p JOIN actor a ON a.id = p.author_id
       WHERE p.visibility = 0 AND p.boost_of_id IS NULL AND p.in_reply_to_id IS NULL
         AND p.id < :before AND p.id > :after AND a.state = 0 AND {VISIBLE} AND {WANTED}
         AND (:media = 0 OR p.extra LIKE '%"attachments":%')"""
LOCAL_PAGE = sql("local_page", f"{_PUBLIC} AND p.local = 1 ORDER BY p.id DESC LIMIT :limit")
LOCAL_PAGE_UP = sql("local_page_up", f"{_PUBLIC} AND p.local = 1 ORDER BY p.id ASC LIMIT :limit")
REMOTE_PAGE = sql("remote_page", f"{_PUBLIC} AND p.local = 0 ORDER BY p.id DESC LIMIT :limit")
REMOTE_PAGE_UP = sql("remote_page_up", f"{_PUBLIC} AND p.local = 0 ORDER BY p.id ASC LIMIT :limit")
PUBLIC_PAGE = sql("public_page", f"{_PUBLIC} ORDER BY p.id DESC LIMIT :limit")
PUBLIC_PAGE_UP = sql("public_page_up", f"{_PUBLIC} ORDER BY p.id ASC LIMIT :limit")
REVISIONS = sql(
    "post_revisions",
    """SELECT p.id, p.rev, a.id, a.rev, p.boost_of_id FROM post p JOIN actor a ON a.id = p.author_id
       WHERE p.id IN :ids[]""",
)


class Entry(NamedTuple):
    """One line of a timeline: enough to find or make the rendered post. A row as it comes from the store."""

    post_id: Id
    post_rev: int
    author_id: Id
    author_rev: int
    boost_of_id: Id | None


def add_for_followers(
    tx: Tx, post_id: Id, author_id: Id, *, boost: bool = False, answered: Id | None = None, direct: bool = False,
    language: str | None = None,
) -> None:  # fmt: skip
    """Write a new post into the home timelines of the author's local followers, as each of them wanted it.

    ``answered`` is the author of the post that this one answers: replies show to those who follow both.
    """
    tx.run(
        PUT_HOME, post=post_id, author=author_id, boost=int(boost), answered=answered, direct=int(direct),
        language=language or "",
    )  # fmt: skip


def waited_for(tx: Tx, author_id: Id, tags: Iterable[str]) -> tuple[bool, bool]:
    """Whether somebody here wants to be told of each post of ``author_id``, and whether somebody follows one of the
    hashtags: asked together, because mostly nobody does."""
    row = tx.one(WAITED_FOR, author=author_id, tags=list(tags))
    assert row is not None  # noqa: S101 — one row always
    return bool(row[0]), bool(row[1])


def add_for_tags(tx: Tx, post_id: Id, author_id: Id, tags: Iterable[str]) -> None:
    """Write a new post into the home timelines of those who follow one of its hashtags."""
    tx.run(PUT_TAGGED, post=post_id, author=author_id, tags=list(tags))


def drop_for_tags(tx: Tx, post_id: Id, tags: Iterable[str]) -> None:
    """Take a deleted post out of the home timelines of those who follow one of its hashtags."""
    tx.run(DROP_TAGGED, post=post_id, tags=list(tags))


def leave_tag(tx: Tx, owner_id: Id, tag: str) -> None:
    """Take what was in a home timeline only because of a hashtag out of it (unfollow)."""
    tx.run(LEAVE_TAG, owner=owner_id, tag=tag)


def add_for(tx: Tx, owner_id: Id, post_id: Id) -> None:
    """Write a post into one home timeline."""
    tx.run(PUT_OWN, owner=owner_id, post=post_id)


def drop(tx: Tx, post_id: Id, author_id: Id) -> None:
    """Take a deleted post out of the home timelines."""
    tx.run(DROP_HOME, post=post_id, author=author_id)
    tx.run(DROP_OWN, owner=author_id, post=post_id)


def drop_author(tx: Tx, owner_id: Id, author_id: Id) -> None:
    """Take an author out of one home timeline (unfollow, block)."""
    tx.run(DROP_AUTHOR, owner=owner_id, author=author_id)


def fill(tx: Tx, owner_id: Id, author_id: Id, *, limit: int = 40) -> None:
    """Put the newest posts of somebody who is followed into one home timeline (after a follow was accepted)."""
    tx.run(FILL_HOME, owner=owner_id, author=author_id, limit=limit)


def _entries(rows: list[Row], upwards: bool) -> list[Entry]:
    entries = [Entry._make(row) for row in rows]
    return entries[::-1] if upwards else entries


def home(tx: Tx, viewer: Id, page: Page) -> list[Entry]:
    """A page of the home timeline, newest first."""
    query = HOME_PAGE_UP if page.upwards else HOME_PAGE
    rows = tx.all(query, viewer=viewer, before=page.before, after=page.after, limit=page.limit, now=tx.now)
    return _entries(rows, page.upwards)


def public(
    tx: Tx, viewer: Id, page: Page, *, local: bool | None = None, media_only: bool = False
) -> list[Entry]:  # fmt: skip
    """A page of the public timeline: everything public that this instance knows, or only what is (not) local."""
    if local is None:
        query = PUBLIC_PAGE_UP if page.upwards else PUBLIC_PAGE
    elif local:
        query = LOCAL_PAGE_UP if page.upwards else LOCAL_PAGE
    else:
        query = REMOTE_PAGE_UP if page.upwards else REMOTE_PAGE
    rows = tx.all(
        query, viewer=viewer, before=page.before, after=page.after, limit=page.limit, media=int(media_only), now=tx.now
    )
    return _entries(rows, page.upwards)


def entries_of(tx: Tx, post_ids: Iterable[Id]) -> list[Entry]:
    """Entries for given ids, in the order given; deleted ones are left out."""
    wanted = list(post_ids)
    if not wanted:
        return []
    found = {row[0]: Entry._make(row) for row in tx.all(REVISIONS, ids=wanted)}
    return [found[i] for i in wanted if i in found]
