"""Conversations in the store: direct posts of one thread among the same people, once for each local person in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fedishare.model.ids import Id
from fedishare.store.audience import VISIBLE, WANTED
from fedishare.store.db import Row, Tx, sql
from fedishare.store.paging import Page, paged, rows

_COLUMNS = "c.id, c.owner_id, c.thread_id, c.people, c.last_post_id, c.unread"

PUT = sql(
    "conversation_put",
    """INSERT INTO conversation (id, owner_id, thread_id, people, last_post_id, unread)
       VALUES (:id, :owner, :thread, :people, :post, :unread)
       ON CONFLICT (owner_id, thread_id, people) DO UPDATE
        SET last_post_id = {greatest}(conversation.last_post_id, excluded.last_post_id), unread = excluded.unread
       RETURNING id""",
)
PUT_POST = sql(
    "conversation_post_put",
    """INSERT INTO conversation_post (owner_id, post_id, conversation_id) VALUES (:owner, :post, :conversation)
       ON CONFLICT DO NOTHING""",
)
OF_POST = sql(
    "conversations_of_post",
    f"""SELECT {_COLUMNS} FROM conversation_post x JOIN conversation c ON c.id = x.conversation_id
        WHERE x.post_id = :post ORDER BY c.id""",
)
OF_THREAD = sql("conversations_of_thread", f"SELECT {_COLUMNS} FROM conversation c WHERE c.thread_id = :thread")
SAME = sql(
    "conversation_same",
    f"""SELECT {_COLUMNS} FROM conversation c
        WHERE c.owner_id = :owner AND c.thread_id = :thread AND c.people = :people""",
)
DROP_POST = sql("conversation_post_drop", "DELETE FROM conversation_post WHERE post_id = :post")
LATEST = sql(
    "conversation_latest",
    "SELECT max(post_id) FROM conversation_post WHERE conversation_id = :id",
)
SET_LAST = sql("conversation_set_last", "UPDATE conversation SET last_post_id = :post WHERE id = :id")
SET_THREAD = sql("conversation_set_thread", "UPDATE conversation SET thread_id = :thread WHERE id = :id")
MOVE_POSTS = sql(
    "conversation_move_posts",
    "UPDATE conversation_post SET conversation_id = :target WHERE conversation_id = :id",
)
SET_UNREAD = sql(
    "conversation_set_unread", "UPDATE conversation SET unread = :unread WHERE id = :id AND owner_id = :owner"
)
DROP = sql("conversation_drop", "DELETE FROM conversation WHERE id = :id AND owner_id = :owner")
FORGET = sql("conversations_forget", "DELETE FROM conversation WHERE owner_id = :owner")
DROP_WITH = sql(
    "conversation_drop_with", "DELETE FROM conversation WHERE owner_id = :owner AND people LIKE :people ESCAPE '!'"
)
GET = sql("conversation_get", f"SELECT {_COLUMNS} FROM conversation c WHERE c.id = :id AND c.owner_id = :owner")
PAGE = paged(
    "conversation_page",
    f"""SELECT c.last_post_id, {_COLUMNS} FROM conversation c
        WHERE c.owner_id = :owner AND c.last_post_id < :before AND c.last_post_id > :after""",
    "c.last_post_id",
)
POSTS = paged(
    "conversation_posts",
    f"""SELECT x.post_id FROM conversation_post x JOIN post p ON p.id = x.post_id JOIN actor a ON a.id = p.author_id
        WHERE x.owner_id = :viewer AND x.post_id < :before AND x.post_id > :after AND {VISIBLE} AND {WANTED}""",
    "x.post_id",
)


@dataclass(frozen=True, slots=True)
class Conversation:
    """One person's view of a conversation. ``people`` are the others in it."""

    id: Id
    owner_id: Id
    thread_id: Id
    people: tuple[Id, ...]
    last_post_id: Id
    unread: bool


def _text(people: Iterable[Id]) -> str:
    return "," + "".join(f"{ident}," for ident in sorted(set(people)))


def _read(row: Row) -> Conversation:
    ident, owner, thread, people, last, unread = row
    return Conversation(ident, owner, thread, tuple(Id(int(p)) for p in people.split(",") if p), last, bool(unread))


def add(tx: Tx, owner: Id, thread: Id, people: Iterable[Id], post: Id, *, unread: bool) -> Id:
    """A direct post joins the conversation of ``owner`` with ``people``; the conversation's id."""
    row = tx.one(PUT, id=tx.new_id(), owner=owner, thread=thread, people=_text(people), post=post, unread=int(unread))
    assert row is not None  # noqa: S101 — it is made, or it was there
    found: Id = row[0]
    tx.run(PUT_POST, owner=owner, post=post, conversation=found)
    return found


def of_post(tx: Tx, post: Id) -> list[Conversation]:
    """Everybody's conversations that a post is in."""
    return [_read(row) for row in tx.all(OF_POST, post=post)]


def leave(tx: Tx, post: Id) -> list[Conversation]:
    """A post is about to go: its conversations end with the post before it, or vanish. Returns those that changed."""
    found = of_post(tx, post)
    if found:
        tx.run(DROP_POST, post=post)
    for each in found:
        latest = tx.value(LATEST, id=each.id)
        if latest is None:
            tx.run(DROP, id=each.id, owner=each.owner_id)
        elif latest != each.last_post_id:
            tx.run(SET_LAST, id=each.id, post=latest)
    return found


def move_thread(tx: Tx, old: Id, new: Id) -> None:
    """Two threads turned out to be one: their conversations are one, too."""
    for row in tx.all(OF_THREAD, thread=old):
        each = _read(row)
        same = tx.one(SAME, owner=each.owner_id, thread=new, people=row[3])
        if same is None:
            tx.run(SET_THREAD, id=each.id, thread=new)
            continue
        tx.run(MOVE_POSTS, id=each.id, target=same[0])
        tx.run(SET_LAST, id=same[0], post=max(each.last_post_id, same[4]))
        tx.run(DROP, id=each.id, owner=each.owner_id)


def page(tx: Tx, owner: Id, at: Page) -> list[Conversation]:
    """A person's conversations, the one with the newest post first; ``at`` is in ids of last posts."""
    return [_read(row[1:]) for row in rows(tx, PAGE, at, owner=owner)]


def get(tx: Tx, owner: Id, ident: Id) -> Conversation | None:
    """One conversation of ``owner``."""
    row = tx.one(GET, id=ident, owner=owner)
    return _read(row) if row else None


def set_unread(tx: Tx, owner: Id, ident: Id, unread: bool) -> bool:
    """Mark a conversation; False when ``owner`` has none of that id."""
    return tx.run(SET_UNREAD, id=ident, owner=owner, unread=int(unread)) > 0


def drop(tx: Tx, owner: Id, ident: Id) -> bool:
    """Remove a conversation from a person's list; its posts stay. False when there is none."""
    return tx.run(DROP, id=ident, owner=owner) > 0


def drop_with(tx: Tx, owner: Id, person: Id) -> None:
    """Remove a person's conversations with somebody (block)."""
    tx.run(DROP_WITH, owner=owner, people=f"%,{person},%")


def forget(tx: Tx, owner: Id) -> None:
    """Remove all conversations of a person that is gone."""
    tx.run(FORGET, owner=owner)


def posts(tx: Tx, viewer: Id, at: Page) -> list[Id]:
    """The direct posts in a person's conversations that they may and want to see, newest first."""
    return [row[0] for row in rows(tx, POSTS, at, viewer=viewer, now=tx.now)]
