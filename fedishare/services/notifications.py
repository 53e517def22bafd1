"""Notifications: who is told of what, what is kept apart until they accept it, and the end of polls."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import msgspec

from fedishare.model.activities import NotificationsMerged, Notified
from fedishare.model.errors import NotFound
from fedishare.model.ids import Id, Millis
from fedishare.model.posts import Poll, Post, Visibility
from fedishare.policy.notifications import DEFAULT, Rules, Verdict, judge
from fedishare.services import conversations, push
from fedishare.store import actors, jobs, notifications, posts
from fedishare.store.db import Tx
from fedishare.store.notifications import Request

POLL = "poll"
"""The kind of job that tells people of a poll's end."""


NEARLY = 60_000
"""A poll that is closed so many milliseconds before its time was closed in time."""


class PollJob(msgspec.Struct, frozen=True):
    """The end of a poll, at the moment that was known when the job was queued."""

    post_id: Id
    at: Millis


def notify(tx: Tx, owner: Id, kind: str, source: Id, post: Id | None = None, *, about: Id | None = None) -> bool:
    """Tell the local person ``owner`` what ``source`` did, unless they block or mute them or know it already.

    ``kind`` is the client API's word; ``about`` a report. False when they are not told, or not yet.
    """
    if owner == source and kind != POLL:
        return False
    found = notifications.receiver(tx, owner, source, post)
    if found is None:
        return False
    rules, sender, pushed = found
    verdict = Verdict.ACCEPT
    if rules != DEFAULT or sender.limited:
        verdict = judge(rules, kind, notifications.sender(tx, owner, source, post, sender), tx.now)
    if verdict is Verdict.DROP:
        return False
    filtered = verdict is Verdict.FILTER
    ident = notifications.put(tx, owner, kind, source, post, about=about, filtered=filtered)
    if ident is None:
        return False
    if filtered:
        notifications.put_request(tx, owner, source)
        return False
    tx.notify(Notified(owner, ident))
    if pushed:
        push.queue(tx, owner, kind, source, ident)
    return True


def name_people(tx: Tx, post: Post, people: Iterable[Id], *, new: bool = True) -> None:
    """Tell those whom a post names; a direct post joins their conversations and, if it is ``new``, its author's."""
    # spec: R70 — a local person is notified for a mention found in the tags
    told = [ident for ident in people if notify(tx, ident, "mention", post.author_id, post.id)]
    if post.visibility is Visibility.DIRECT:
        conversations.take_in(tx, post, [post.author_id, *told] if new and post.local else told)


def ring_bells(tx: Tx, post: Id, author: Id) -> None:
    """Tell the local followers that want to hear of each post of ``author``."""
    for owner in notifications.bells(tx, post, author):
        notify(tx, owner, "status", author, post)


# Requests


def accept(tx: Tx, owner: Id, idents: Iterable[Id]) -> None:
    """Show what was kept apart of the senders of these requests, now and later. Raises `NotFound`."""
    for found in _requests(tx, owner, idents):
        for _, post_id in notifications.admit(tx, owner, found.from_id):
            post = posts.by_id(tx, post_id) if post_id is not None else None
            if post is not None and post.visibility is Visibility.DIRECT and post.author_id == found.from_id:
                conversations.take_in(tx, post, [owner])
    tx.notify(NotificationsMerged(owner))


def dismiss_requests(tx: Tx, owner: Id, idents: Iterable[Id]) -> None:
    """Remove what was kept apart of the senders of these requests. Raises `NotFound`."""
    for found in _requests(tx, owner, idents):
        notifications.drop_filtered(tx, owner, found.from_id)


def _requests(tx: Tx, owner: Id, idents: Iterable[Id]) -> list[Request]:
    found = [notifications.request(tx, owner, ident) for ident in dict.fromkeys(idents)]
    if any(each is None for each in found):
        raise NotFound("Record not found")
    return [each for each in found if each is not None]


def set_policy(tx: Tx, owner: Id, rules: Rules) -> None:
    """Choose what to accept from now on; what has come stays where it is."""
    notifications.put_policy(tx, owner, rules)


# The end of polls


def end_of(poll: Poll | None) -> Millis | None:
    """When a poll ends, or was closed by its author before."""
    if poll is None or poll.closed_at is None:
        return poll.ends_at if poll is not None else None
    late = poll.ends_at is not None and poll.closed_at >= poll.ends_at - NEARLY
    return poll.ends_at if late else poll.closed_at


def await_end(tx: Tx, post: Post) -> None:
    """Have people told when a poll ends: of ours, or of a partner's in which somebody here has voted."""
    at = end_of(post.content.poll)
    if at is not None:
        payload = msgspec.json.encode(PollJob(post.id, at)).decode()
        # A lane of its own: in a common one, an end that has moved forward would wait for the one before.
        name = f"{POLL}:{post.id}:{at}"
        jobs.put(tx, POLL, payload, lane=name, run_at=at, dedup=name)


def move_end(tx: Tx, post: Post, poll: Poll | None) -> None:
    """A post's poll was changed to ``poll``; if it ends at another moment, somebody may be waiting for that."""
    if end_of(poll) != end_of(post.content.poll) and (post.local or notifications.voters(tx, post.id)):
        await_end(tx, replace(post, content=replace(post.content, poll=poll)))


def end_poll(tx: Tx, ended: PollJob) -> None:
    """Tell the author, if local, and the local people who voted; nobody, if it ends at another moment by now."""
    post = posts.by_id(tx, ended.post_id)
    author = actors.by_id(tx, post.author_id) if post is not None else None
    if post is None or author is None or end_of(post.content.poll) != ended.at:
        return
    voters = notifications.voters(tx, post.id)
    for owner in dict.fromkeys([author.id, *voters] if author.is_local else voters):
        notify(tx, owner, POLL, author.id, post.id)
