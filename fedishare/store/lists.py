"""Lists: who is in them, and the timelines made of them.

A list's timeline is read from its members' posts: nothing is written for lists when somebody posts, and what is changed
about a list counts at once. It is read in two steps. `CANDIDATES` takes the members' newest ids out of one index, at
most a page of each, whatever else they wrote; `LISTED_IDS` keeps those that belong there. A page that is not full after
that goes on below.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fedishare.model.actors import Actor
from fedishare.model.ids import Id
from fedishare.store.actors import COLUMNS as ACTOR_COLUMNS
from fedishare.store.actors import from_row as actor_from_row
from fedishare.store.audience import VISIBLE, WANTED
from fedishare.store.db import Row, Tx, sql
from fedishare.store.paging import Page, paged, rows
from fedishare.store.timelines import Entry

LOOKS = 20
"""How often a page that is not full is looked for further down."""
FEWEST = 40
"""Ids of one look, at least."""

_LIST = "l.id, l.owner_id, l.title, l.replies_policy, l.exclusive"
PUT = sql(
    "list_put",
    """INSERT INTO list (id, owner_id, title, replies_policy, exclusive)
       VALUES (:id, :owner, :title, :policy, :exclusive)
       ON CONFLICT (id) DO UPDATE SET title = excluded.title, replies_policy = excluded.replies_policy,
        exclusive = excluded.exclusive""",
)
GET = sql("list_get", f"SELECT {_LIST} FROM list l WHERE l.id = :id AND l.owner_id = :owner")
OF_OWNER = sql("lists_of_owner", f"SELECT {_LIST} FROM list l WHERE l.owner_id = :owner ORDER BY l.id")
WITH_MEMBER = sql(
    "lists_with_member",
    f"""SELECT {_LIST} FROM list l JOIN list_member m ON m.list_id = l.id AND m.member_id = :member
        WHERE l.owner_id = :owner ORDER BY l.id""",
)
DROP = sql("list_drop", "DELETE FROM list WHERE id = :id")
DROP_OF = sql("list_drop_of_owner", "DELETE FROM list WHERE owner_id = :owner")
ADD = sql(
    "list_member_add",
    """INSERT INTO list_member (list_id, member_id, follow_id, id) VALUES (:list, :member, :follow, :id)
       ON CONFLICT DO NOTHING""",
)
REMOVE = sql("list_member_remove", "DELETE FROM list_member WHERE list_id = :list AND member_id = :member")
MEMBERS = paged(
    "list_members_page",
    f"""SELECT m.id, {ACTOR_COLUMNS} FROM list_member m JOIN actor a ON a.id = m.member_id
        WHERE m.list_id = :list AND m.id < :before AND m.id > :after AND a.state < 2""",
    "m.id",
)
MEMBER_IDS = sql("list_member_ids", "SELECT member_id FROM list_member WHERE list_id = :list ORDER BY id")
KEPT_AWAY = sql(
    "list_keeps_away",
    """SELECT EXISTS (SELECT 1 FROM list l JOIN list_member m ON m.list_id = l.id
        WHERE l.owner_id = :owner AND l.exclusive = 1 AND m.member_id = :member)""",
)
SET_AT_HOME = sql(
    "follow_set_at_home",
    """UPDATE follow SET at_home = :home WHERE follower_id = :owner AND followee_id = :member AND at_home <> :home""",
)
_MEMBERS_POSTS = """SELECT p.id FROM list_member m JOIN post p ON p.author_id = m.member_id
       WHERE m.list_id = :list AND p.id < :before AND p.id > :after"""
_OF_MEMBER = "SELECT q.id FROM post q WHERE q.author_id = m.member_id AND q.id < :before AND q.id > :after"
CANDIDATES = sql(
    "list_candidates",
    f"""{_MEMBERS_POSTS}
         AND p.id >= coalesce(({_OF_MEMBER} ORDER BY q.id DESC LIMIT 1 OFFSET :limit), 0)
        ORDER BY p.id DESC LIMIT :limit""",
)
CANDIDATES_UP = sql(
    "list_candidates_up",
    f"""{_MEMBERS_POSTS}
         AND p.id <= coalesce(({_OF_MEMBER} ORDER BY q.id ASC LIMIT 1 OFFSET :limit), :before)
        ORDER BY p.id ASC LIMIT :limit""",
)
_BELONGS = """JOIN list_member m ON m.list_id = l.id AND m.member_id = p.author_id
       LEFT JOIN follow f ON f.follower_id = l.owner_id AND f.followee_id = p.author_id
       WHERE p.visibility <= 2 AND (p.author_id = l.owner_id OR f.state = 1 AND (p.boost_of_id IS NULL
            OR f.show_boosts = 1) AND (f.languages IS NULL OR p.language IS NULL
            OR ',' || f.languages || ',' LIKE '%,' || p.language || ',%'))
         AND (p.in_reply_to_iri IS NULL OR p.in_reply_to_account_id = p.author_id
           OR p.in_reply_to_account_id = l.owner_id
           OR l.replies_policy = 'list' AND EXISTS (SELECT 1 FROM list_member r
             WHERE r.list_id = l.id AND r.member_id = p.in_reply_to_account_id)
           OR l.replies_policy = 'followed' AND EXISTS (SELECT 1 FROM follow g
             WHERE g.follower_id = l.owner_id AND g.followee_id = p.in_reply_to_account_id AND g.state = 1))"""
LISTED = sql(
    "list_entries",
    f"""SELECT p.id, p.rev, a.id, a.rev, p.boost_of_id
        FROM post p JOIN actor a ON a.id = p.author_id JOIN list l ON l.id = :list {_BELONGS}
         AND p.id IN :ids[] AND {VISIBLE} AND {WANTED}""",
)
CARRYING = sql(
    "lists_carrying",
    f"SELECT l.id FROM post p JOIN list l ON l.id IN :lists[] {_BELONGS} AND p.id = :post",
)


@dataclass(frozen=True, slots=True)
class PeopleList:
    """Somebody's list. ``replies_policy``: answers to whom are shown: ``followed``, ``list`` or ``none``."""

    id: Id
    owner_id: Id
    title: str
    replies_policy: str = "list"
    exclusive: bool = False


def _list(row: Row) -> PeopleList:
    ident, owner, title, policy, exclusive = row
    return PeopleList(ident, owner, title, policy, bool(exclusive))


def put(tx: Tx, made: PeopleList) -> None:
    """Add a list, or change it."""
    tx.run(
        PUT, id=made.id, owner=made.owner_id, title=made.title, policy=made.replies_policy,
        exclusive=int(made.exclusive),
    )  # fmt: skip


def get(tx: Tx, owner: Id, ident: Id) -> PeopleList | None:
    """A list of ``owner``'s own."""
    row = tx.one(GET, id=ident, owner=owner)
    return _list(row) if row else None


def of_owner(tx: Tx, owner: Id) -> list[PeopleList]:
    """Somebody's lists, oldest first."""
    return [_list(row) for row in tx.all(OF_OWNER, owner=owner)]


def with_member(tx: Tx, owner: Id, member: Id) -> list[PeopleList]:
    """Those of somebody's lists that ``member`` is in."""
    return [_list(row) for row in tx.all(WITH_MEMBER, owner=owner, member=member)]


def drop(tx: Tx, ident: Id) -> None:
    """Remove a list; its members go with it."""
    tx.run(DROP, id=ident)


def drop_of(tx: Tx, owner: Id) -> None:
    """Remove all lists of somebody."""
    tx.run(DROP_OF, owner=owner)


def add(tx: Tx, ident: Id, member: Id, follow: Id | None) -> bool:
    """Put somebody into a list; False when they are in it."""
    return tx.run(ADD, list=ident, member=member, follow=follow, id=tx.new_id()) > 0


def remove(tx: Tx, ident: Id, member: Id) -> bool:
    """Take somebody out of a list; False when they are not in it."""
    return tx.run(REMOVE, list=ident, member=member) > 0


def members(tx: Tx, ident: Id, page: Page) -> list[tuple[Id, Actor]]:
    """Who is in a list, newest first, each with the place in it."""
    return [(row[0], actor_from_row(row[1:])) for row in rows(tx, MEMBERS, page, list=ident)]


def member_ids(tx: Tx, ident: Id) -> list[Id]:
    """Everybody in a list."""
    return [row[0] for row in tx.all(MEMBER_IDS, list=ident)]


def settle_home(tx: Tx, owner: Id, member: Id) -> bool | None:
    """Note at the follow whether ``member``'s posts belong into ``owner``'s home timeline.

    Returns whether they do now, or None when nothing changed about it.
    """
    home = not tx.value(KEPT_AWAY, owner=owner, member=member)
    return home if tx.run(SET_AT_HOME, owner=owner, member=member, home=int(home)) else None


def timeline(tx: Tx, found: PeopleList, page: Page) -> tuple[list[Entry], Page | None]:
    """A page of a list's timeline, newest first, and where to look on when not everything was looked through."""
    entries: list[Entry] = []
    size = max(page.limit, FEWEST)
    before, after = page.before, page.after
    for _ in range(LOOKS):
        query = CANDIDATES_UP if page.upwards else CANDIDATES
        idents = [row[0] for row in tx.all(query, list=found.id, before=before, after=after, limit=size)]
        kept = {e.post_id: e for e in _listed(tx, found, idents)}
        entries += [kept[i] for i in idents if i in kept]
        if len(idents) < size or len(entries) >= page.limit:
            return _ordered(entries[: page.limit], page), None
        before, after = (before, idents[-1]) if page.upwards else (idents[-1], after)
    return _ordered(entries, page), Page(before, after, page.limit, page.upwards)


def _ordered(entries: list[Entry], page: Page) -> list[Entry]:
    return entries[::-1] if page.upwards else entries


def _listed(tx: Tx, found: PeopleList, idents: list[Id]) -> list[Entry]:
    if not idents:
        return []
    return [Entry._make(row) for row in tx.all(LISTED, list=found.id, ids=idents, viewer=found.owner_id, now=tx.now)]


def carrying(tx: Tx, post: Id, lists: Iterable[Id]) -> frozenset[Id]:
    """Those of ``lists`` that a post belongs to, by who is in them at this moment."""
    return frozenset(row[0] for row in tx.all(CARRYING, post=post, lists=list(lists)))
