"""Conversations: which direct posts belong together for whom, and what their owners do with them."""

from __future__ import annotations

from collections.abc import Iterable

from fedishare.model.activities import ConversationChanged
from fedishare.model.errors import NotFound
from fedishare.model.ids import Id
from fedishare.model.posts import Post
from fedishare.store import conversations
from fedishare.store.conversations import Conversation
from fedishare.store.db import Tx


def take_in(tx: Tx, post: Post, owners: Iterable[Id]) -> None:
    """A direct post joins the conversations of ``owners``: local people who wrote it or were told of it."""
    people = {m.actor_id for m in post.content.mentions if not m.silent} | {post.author_id}
    thread = post.thread_id or post.id
    for owner in dict.fromkeys(owners):
        ident = conversations.add(tx, owner, thread, people - {owner}, post.id, unread=owner != post.author_id)
        tx.notify(ConversationChanged(owner, ident))


def leave(tx: Tx, post: Post) -> None:
    """A direct post is about to be deleted."""
    for each in conversations.leave(tx, post.id):
        tx.notify(ConversationChanged(each.owner_id, each.id))


def move_thread(tx: Tx, reply: Post, parent: Post) -> None:
    """What began with ``reply`` turned out to be part of the thread of ``parent``."""
    conversations.move_thread(tx, reply.id, parent.thread_id or parent.id)


def mark(tx: Tx, owner: Id, ident: Id, *, unread: bool) -> Conversation:
    """Mark a conversation as read or unread. Raises `NotFound`."""
    if not conversations.set_unread(tx, owner, ident, unread):
        raise NotFound("Record not found")
    tx.notify(ConversationChanged(owner, ident))
    found = conversations.get(tx, owner, ident)
    assert found is not None  # noqa: S101 — just written
    return found


def remove(tx: Tx, owner: Id, ident: Id) -> None:
    """Take a conversation off the list; its posts stay. Raises `NotFound`."""
    if not conversations.drop(tx, owner, ident):
        raise NotFound("Record not found")
