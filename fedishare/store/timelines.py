"""Home entries, public timelines, notifications: what people read first, so each query is a short index walk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from fedishare.model.activities import Notified
from fedishare.model.ids import Id, Millis
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
PUT_TAGGED = sql(
    "home_put_tagged",
    """INSERT INTO home_entry (owner_id, post_id)
       SELECT DISTINCT t.owner_id, :post FROM tag_follow t
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

NOTIFY = sql(
    "notification_insert",
    """INSERT INTO notification (id, owner_id, kind, from_id, post_id, created_at)
       VALUES (:id, :owner, :kind, :source, :post, :now) ON CONFLICT DO NOTHING""",
)
NOTIFY_WANTED = sql(
    "notification_wanted",
    """SELECT 1 FROM actor o WHERE o.id = :owner AND o.domain IS NULL AND o.state < 2
        AND NOT EXISTS (SELECT 1 FROM block b WHERE b.actor_id = :owner AND b.target_id = :source)
        AND NOT EXISTS (SELECT 1 FROM mute m WHERE m.actor_id = :owner AND m.target_id = :source AND m.notifications = 1
            AND (m.expires_at IS NULL OR m.expires_at > :now))
        AND NOT EXISTS (SELECT 1 FROM domain_block d JOIN actor s ON s.id = :source AND s.domain = d.domain
            WHERE d.actor_id = :owner AND NOT EXISTS (SELECT 1 FROM follow f
                WHERE f.follower_id = :owner AND f.followee_id = :source AND f.state = 1))
        AND NOT EXISTS (SELECT 1 FROM actor l WHERE l.id = :source AND l.state = 1
            AND NOT EXISTS (SELECT 1 FROM follow lf
                WHERE lf.follower_id = :owner AND lf.followee_id = :source AND lf.state = 1))
        AND NOT EXISTS (SELECT 1 FROM interaction i JOIN post q ON q.id = i.post_id JOIN post p ON p.id = :post
            WHERE i.actor_id = :owner AND i.kind = 4 AND (q.id = p.id OR q.thread_id = p.thread_id))""",
)
BELLS = sql(
    "follow_bells",
    """SELECT f.follower_id FROM follow f JOIN post p ON p.id = :post
       WHERE f.followee_id = :author AND f.state = 1 AND f.follower_local = 1 AND f.notify = 1 AND (p.visibility <= 2
         OR EXISTS (SELECT 1 FROM mention m WHERE m.post_id = p.id AND m.actor_id = f.follower_id))
       ORDER BY f.id""",
)
_NOTES = f"""SELECT n.id, n.kind, n.from_id, n.post_id, n.created_at FROM notification n
       WHERE n.owner_id = :viewer AND n.id < :before AND n.id > :after
         AND EXISTS (SELECT 1 FROM actor s WHERE s.id = n.from_id AND s.state < 2)
         AND (n.post_id IS NULL OR EXISTS (SELECT 1 FROM post p JOIN actor a ON a.id = p.author_id
             WHERE p.id = n.post_id AND {VISIBLE}))
         AND (:source = 0 OR n.from_id = :source) AND (:all_kinds = 1 OR n.kind IN :kinds[]) AND n.kind NOT IN :but[]"""
NOTES_PAGE = sql("notification_page", f"{_NOTES} ORDER BY n.id DESC LIMIT :limit")
NOTES_PAGE_UP = sql("notification_page_up", f"{_NOTES} ORDER BY n.id ASC LIMIT :limit")
NOTE_BY_ID = sql(
    "notification_by_id",
    "SELECT id, kind, from_id, post_id, created_at FROM notification WHERE id = :id AND owner_id = :viewer",
)
DISMISS = sql("notification_dismiss", "DELETE FROM notification WHERE id = :id AND owner_id = :viewer")
CLEAR = sql("notification_clear", "DELETE FROM notification WHERE owner_id = :viewer")
UNNOTIFY = sql(
    "notification_withdraw",
    """DELETE FROM notification WHERE owner_id = :owner AND kind = :kind AND from_id = :source
       AND coalesce(post_id, 0) = coalesce(:post, 0)""",
)
FORGET_FROM = sql("notification_forget", "DELETE FROM notification WHERE owner_id = :owner AND from_id = :source")


class Entry(NamedTuple):
    """One line of a timeline: enough to find or make the rendered post. A row as it comes from the store."""

    post_id: Id
    post_rev: int
    author_id: Id
    author_rev: int
    boost_of_id: Id | None


@dataclass(frozen=True, slots=True)
class NotificationRow:
    """One notification; ``kind`` is the client API's word."""

    id: Id
    kind: str
    from_id: Id
    post_id: Id | None
    created_at: Millis


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


def notify(tx: Tx, owner: Id, kind: str, source: Id, post: Id | None = None) -> None:
    """Write a notification for the local person ``owner``, unless they block or mute ``source`` or it exists."""
    if owner == source or tx.one(NOTIFY_WANTED, owner=owner, source=source, post=post, now=tx.now) is None:
        return
    ident = tx.new_id()
    if tx.run(NOTIFY, id=ident, owner=owner, kind=kind, source=source, post=post, now=tx.now):
        tx.notify(Notified(owner, ident))


def ring_bells(tx: Tx, post: Id, author: Id) -> None:
    """Notify the local followers that want to hear of each post of ``author``."""
    for (owner,) in tx.all(BELLS, author=author, post=post):
        notify(tx, owner, "status", author, post)


def withdraw(tx: Tx, owner: Id, kind: str, source: Id, post: Id | None = None) -> None:
    """Take a notification back (Undo)."""
    tx.run(UNNOTIFY, owner=owner, kind=kind, source=source, post=post)


def forget_from(tx: Tx, owner: Id, source: Id) -> None:
    """Take back everything from ``source`` (block)."""
    tx.run(FORGET_FROM, owner=owner, source=source)


def notifications(
    tx: Tx, viewer: Id, page: Page, kinds: Iterable[str] = (), but: Iterable[str] = (), source: Id | None = None
) -> list[NotificationRow]:
    """A page of notifications, newest first; ``kinds`` empty means all."""
    wanted = list(kinds)
    query = NOTES_PAGE_UP if page.upwards else NOTES_PAGE
    rows = tx.all(
        query, viewer=viewer, before=page.before, after=page.after, limit=page.limit, kinds=wanted,
        all_kinds=int(not wanted), but=list(but), source=source or 0,
    )  # fmt: skip
    found = [NotificationRow(*row) for row in rows]
    return found[::-1] if page.upwards else found


def notification(tx: Tx, viewer: Id, ident: Id) -> NotificationRow | None:
    """One notification of ``viewer``."""
    row = tx.one(NOTE_BY_ID, id=ident, viewer=viewer)
    return NotificationRow(*row) if row else None


def dismiss(tx: Tx, viewer: Id, ident: Id | None = None) -> None:
    """Remove one notification, or all of them."""
    if ident is None:
        tx.run(CLEAR, viewer=viewer)
    else:
        tx.run(DISMISS, id=ident, viewer=viewer)
