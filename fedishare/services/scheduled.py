"""Scheduled statuses: posts for later, published once at their time, or kept with the reason why not.

Everything is asked twice: when the post is scheduled, so that its author hears at once of what is wrong, and when its
time has come, because people, posts, partners and limits change. What cannot be published then is not lost: it stays in
the list with the reason, and its author is told by a direct post of the instance.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import msgspec

from fedishare.model.actors import Actor
from fedishare.model.errors import BadInput, NotFound
from fedishare.model.ids import Id, Millis
from fedishare.model.posts import LOCAL, Draft, Post, Visibility
from fedishare.model.scheduled import Scheduled
from fedishare.services import audience, media, posts, quotes
from fedishare.services.site import Site
from fedishare.store import activities, actors, jobs
from fedishare.store import media as media_store
from fedishare.store import posts as post_store
from fedishare.store import scheduled as store
from fedishare.store.db import Tx

TOTAL_LIMIT = 300
DAILY_LIMIT = 25
AHEAD = 5 * 60 * 1000
"""Milliseconds that the time must at least lie ahead."""
DAY = 24 * 3600 * 1000
JOB = "scheduled"
MISSING = "Record not found"
_encode = msgspec.json.Encoder().encode


class PublishJob(msgspec.Struct, frozen=True):
    """Publish a scheduled status, if its time is still the one it was when this was queued."""

    scheduled_id: int


def add(
    tx: Tx, site: Site, author: Actor, draft: Draft, at: Millis, *, poll_seconds: int = 0, key: str | None = None
) -> Scheduled | Post:
    """Schedule a post; for an Idempotency-Key that was used before, what it made, be it published meanwhile.

    Raises `BadInput` in Mastodon's words, `NotFound` (unknown or hidden post to answer).
    """
    if key is not None:
        tx.lock(f"idempotency:{author.id}:{key}")
        known = store.by_key(tx, author.id, key, Millis(tx.now - activities.IDEMPOTENCY_MILLIS))
        if known is not None:
            return known
        published = activities.post_for_key(tx, author.id, key)
        post = post_store.by_id(tx, published) if published is not None else None
        if post is not None:
            return post
    tx.lock(f"scheduled:{author.id}")
    _check_time(tx, author.id, at)
    if store.count(tx, author.id) >= TOTAL_LIMIT:
        raise BadInput(f"Validation failed: You have exceeded the limit of {TOTAL_LIMIT} scheduled posts")
    posts.check_draft(site, draft)
    audience.answered_post(tx, author, draft.in_reply_to_id)
    quotes.quoted_post(tx, author, draft.quoted_id)
    if draft.media_ids:
        media.claim(tx, site, author.id, draft.media_ids, poll=draft.poll is not None)
    made = Scheduled(tx.new_id(), author.id, at, draft, tx.now, poll_seconds, key)
    store.insert(tx, made)
    _queue(tx, made)
    return made


def _check_time(tx: Tx, owner: Id, at: Millis, but: Id | None = None) -> None:
    if at <= tx.now + AHEAD:
        sentence = "Validation failed: Scheduled at The scheduled date must be in the future"
        raise BadInput(sentence, path="scheduled_at")
    start = Millis(at - at % DAY)
    if store.count_between(tx, owner, start, Millis(start + DAY), but) >= DAILY_LIMIT:
        raise BadInput(f"Validation failed: You have exceeded the limit of {DAILY_LIMIT} scheduled posts for today")


def _queue(tx: Tx, scheduled: Scheduled) -> None:
    payload = _encode(PublishJob(scheduled.id)).decode()
    jobs.put(tx, JOB, payload, lane=_lane(scheduled), run_at=scheduled.at)


def _lane(scheduled: Scheduled) -> str:
    return f"scheduled:{scheduled.id}:{scheduled.at}"


def _call_off(tx: Tx, scheduled: Scheduled, reason: str) -> None:
    """Nothing waits for a time that does not count any more: it would count as work to be done, perhaps for years."""
    jobs.cancel_lane(tx, JOB, _lane(scheduled), reason)


def own(tx: Tx, owner: Id, ident: Id) -> Scheduled:
    """One's own scheduled status. Raises `NotFound`."""
    found = store.by_id(tx, ident)
    if found is None or found.owner_id != owner:
        raise NotFound(MISSING)
    return found


def move(tx: Tx, owner: Id, ident: Id, at: Millis | None) -> Scheduled:
    """Another time; one that failed is tried again then. None changes nothing. Raises `NotFound`, `BadInput`."""
    tx.lock(f"scheduled:{owner}")
    found = own(tx, owner, ident)
    if at is None:
        return found
    _check_time(tx, owner, at, ident)
    _call_off(tx, found, "put off")
    store.move(tx, ident, at)
    moved = replace(found, at=at, failed=None)
    _queue(tx, moved)
    return moved


def cancel(tx: Tx, owner: Id, ident: Id) -> None:
    """It is not to be published; its uploads wait a day for another post. Raises `NotFound`."""
    found = own(tx, owner, ident)
    _call_off(tx, found, "cancelled by its author")
    store.delete(tx, ident)
    media.keep(tx, owner, found.draft.media_ids or (), tx.now)


def due(tx: Tx, ident: Id) -> Scheduled | None:
    """A scheduled status whose time has come; None when it is gone, failed, or was put off meanwhile."""
    found = store.by_id(tx, ident)
    return found if found is not None and found.failed is None and found.at <= tx.now else None


def publish(tx: Tx, site: Site, ident: Id) -> Post | None:
    """Publish it, once: the post and the end of the entry are one commit. None when there is nothing to do.

    Raises what `fedishare.services.posts.publish` raises, and `NotFound` when its author may not post any more.
    """
    found = due(tx, ident)
    if found is None or not store.delete(tx, ident):
        return None
    author = actors.by_id(tx, found.owner_id)
    if author is None or not media_store.is_active(tx, found.owner_id):
        raise NotFound("the account is not active")
    draft, poll = found.draft, found.draft.poll
    if poll is not None:
        draft = replace(draft, poll=replace(poll, ends_at=Millis(tx.now + 1000 * found.poll_seconds)))
    post = posts.publish(tx, site, author, draft).post
    if found.key is not None and found.created_at > tx.now - activities.IDEMPOTENCY_MILLIS:
        activities.remember_key(tx, author.id, found.key, post.id)
    return post


def fail(tx: Tx, site: Site, ident: Id, reason: str) -> None:
    """It could not be published: it stays, with the reason, and its author is told."""
    found = due(tx, ident)
    if found is None:
        return
    store.fail(tx, ident, reason)
    author = actors.by_id(tx, found.owner_id)
    if author is not None and media_store.is_active(tx, author.id):
        _tell(tx, site, author, f"your scheduled post was not published: {reason}. It is kept among the scheduled ones")


def _tell(tx: Tx, site: Site, person: Actor, sentence: str) -> None:
    """A direct post of the instance to one of its people, which every app shows."""
    instance = actors.instance_actor(tx)
    draft = Draft(f"@{person.name} {sentence[:500]}.", visibility=Visibility.DIRECT, reach=LOCAL)
    with suppress(BadInput):  # what is told is a courtesy; the entry says it too
        posts.publish(tx, replace(site, max_characters=1000), instance, draft)
