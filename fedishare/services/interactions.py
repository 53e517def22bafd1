"""Favourites, boosts, bookmarks, pins and votes, by local people and by partners' actors."""

from __future__ import annotations

from dataclasses import replace

from fedishare.model.activities import PostEdited, PostPublished
from fedishare.model.actors import Actor
from fedishare.model.errors import BadInput, NotAllowed, NotFound
from fedishare.model.ids import Id, Iri, Millis
from fedishare.model.outgoing import (
    PublishEdit,
    PublishPin,
    PublishPost,
    SendLike,
    SendVotes,
    WithdrawBoost,
    WithdrawLike,
)
from fedishare.model.posts import LOCAL, PARTNERS, Content, Poll, Post, PostKind, Visibility
from fedishare.model.quotes import Interaction
from fedishare.policy.audience import answer_reach
from fedishare.services import notifications, quotes
from fedishare.services.posts import bury, may_answer
from fedishare.services.site import Site, federate
from fedishare.store import actors, interactions, posts, timelines, tombstones
from fedishare.store import notifications as notes
from fedishare.store.db import Tx
from fedishare.store.interactions import Kind


def visible_original(tx: Tx, viewer: Id, ident: Id) -> Post:
    """The post, or what it boosts, if ``viewer`` may see it. Raises `NotFound`."""
    post = posts.visible(tx, ident, viewer)
    if post is not None and post.boost_of_id is not None:
        post = posts.visible(tx, post.boost_of_id, viewer)
    if post is None:
        raise NotFound("Record not found")
    return post


def favourite(tx: Tx, site: Site, actor: Actor, ident: Id) -> Post:
    """A local person likes a post. Raises `NotFound`."""
    post = visible_original(tx, actor.id, ident)
    quotes.require(tx, post, Interaction.LIKE, actor.id)
    iri = site.names.activity(actor.name, "likes", tx.new_id())
    if interactions.put(tx, post.id, actor.id, Kind.FAVOURITE, iri):
        posts.count_favourites(tx, post.id, +1)
        notifications.notify(tx, post.author_id, "favourite", actor.id, post.id)
        if not post.local:
            federate(tx, actor.id, SendLike(actor.id, post.id, iri))
    return post


def unfavourite(tx: Tx, actor: Actor, ident: Id) -> Post:
    """A local person takes a like back. Raises `NotFound`."""
    post = visible_original(tx, actor.id, ident)
    iri = interactions.iri_of(tx, post.id, actor.id, Kind.FAVOURITE)
    if interactions.drop(tx, post.id, actor.id, Kind.FAVOURITE):
        posts.count_favourites(tx, post.id, -1)
        notes.withdraw(tx, post.author_id, "favourite", actor.id, post.id)
        if not post.local and iri:
            federate(tx, actor.id, WithdrawLike(actor.id, post.iri, post.author_id, iri, tx.now))
    return post


def mark(tx: Tx, actor: Actor, ident: Id, kind: Kind, on: bool) -> Post:
    """Bookmark or mute a thread (private to the person). Raises `NotFound`."""
    post = visible_original(tx, actor.id, ident)
    if on:
        interactions.put(tx, post.id, actor.id, kind)
    elif kind is Kind.MUTE_THREAD:
        interactions.unmute_thread(tx, post.thread_id or post.id, actor.id)
    else:
        interactions.drop(tx, post.id, actor.id, kind)
    return post


def pin(tx: Tx, site: Site, actor: Actor, ident: Id, on: bool) -> Post:
    """Pin one's own post to the profile, or unpin it. Raises `NotFound`, `BadInput`."""
    post = posts.by_id(tx, ident)
    if post is None or not posts.visible(tx, ident, actor.id):
        raise NotFound("Record not found")
    if post.boost_of_id is not None:
        raise BadInput("Validation failed: A boost cannot be pinned")
    if post.author_id != actor.id:
        raise BadInput("Validation failed: Someone else's post cannot be pinned")
    if post.visibility is Visibility.DIRECT:
        raise BadInput("Validation failed: Posts that are only visible to mentioned users cannot be pinned")
    pinned = interactions.mine(tx, actor.id, Kind.PIN)
    if on and len(pinned) >= site.max_pins and post.id not in {row[1] for row in pinned}:
        raise BadInput("Validation failed: You have already pinned the maximum number of posts")
    changed = (
        interactions.put(tx, post.id, actor.id, Kind.PIN) if on else interactions.drop(tx, post.id, actor.id, Kind.PIN)
    )
    if changed and not post.reach.is_local:
        federate(tx, actor.id, PublishPin(actor.id, post.id, post.iri, on, post.reach.encode(), tx.now))
    return post


def boost(tx: Tx, site: Site, actor: Actor, ident: Id, visibility: Visibility | None = None) -> Post:
    """A local person boosts a post; the boost never reaches further than the post. Raises `NotFound`, `NotAllowed`."""
    post = visible_original(tx, actor.id, ident)
    # spec: R87 — private posts are boosted by their author only, to their own followers
    if post.visibility is Visibility.DIRECT or (post.visibility is Visibility.PRIVATE and post.author_id != actor.id):
        raise NotAllowed("This action is not allowed")
    quotes.require(tx, post, Interaction.ANNOUNCE, actor.id)
    tx.lock(f"boost:{actor.id}:{post.id}")
    existing = interactions.boosted(tx, actor.id, [post.id]).get(post.id)
    if existing is not None:
        found = posts.by_id(tx, existing)
        if found is not None:
            return found
    author = actors.by_id(tx, post.author_id)
    wanted = visibility if visibility in (Visibility.PUBLIC, Visibility.UNLISTED, Visibility.PRIVATE) else None
    made = _boost_post(tx, site, actor, post, author, wanted)
    posts.insert(tx, made)
    _spread_boost(tx, made, post, actor)
    if not made.reach.is_local:
        federate(tx, actor.id, PublishPost(made.id))
    return made


def _boost_post(tx: Tx, site: Site, actor: Actor, post: Post, author: Actor | None, wanted: Visibility | None) -> Post:
    ident = tx.new_id()
    domain = author.domain if author else None
    reach = answer_reach(PARTNERS, post.reach, post.local, domain)
    return Post(
        id=ident, iri=site.names.post_activity(actor.name, ident), url=site.names.post_page(actor.name, ident),
        author_id=actor.id, local=True, kind=PostKind.NOTE,
        visibility=max(wanted if wanted is not None else Visibility.PUBLIC, post.visibility), reach=reach,
        content=Content(""), published=tx.now, created_at=tx.now, boost_of_id=post.id,
    )  # fmt: skip


def _spread_boost(tx: Tx, made: Post, post: Post, booster: Actor) -> None:
    actors.count_posts(tx, booster.id, +1)
    posts.count_boosts(tx, post.id, +1)
    timelines.add_for_followers(tx, made.id, booster.id, boost=True)
    if booster.is_local:
        timelines.add_for(tx, booster.id, made.id)
    notifications.notify(tx, post.author_id, "reblog", booster.id, post.id)
    tx.notify(PostPublished(made.id, booster.id))


def unboost(tx: Tx, actor: Actor, ident: Id) -> Post:
    """A local person takes a boost back; ``ident`` names the post or the boost. Returns the post. Raises `NotFound`."""
    post = visible_original(tx, actor.id, ident)
    existing = interactions.boosted(tx, actor.id, [post.id]).get(post.id)
    made = posts.by_id(tx, existing) if existing is not None else None
    if made is not None:
        take_back_boost(tx, actor, made)
    return post


def take_back_boost(tx: Tx, actor: Actor, made: Post) -> None:
    """A local person takes back the boost ``made``, which is theirs."""
    post = posts.by_id(tx, made.boost_of_id) if made.boost_of_id is not None else None
    if not bury(tx, made, actor.iri) or post is None:
        return
    notes.withdraw(tx, post.author_id, "reblog", actor.id, post.id)
    if not made.reach.is_local:
        change = WithdrawBoost(
            made.id, made.iri, actor.id, post.iri, post.author_id, int(made.visibility), made.reach.encode(), tx.now
        )
        federate(tx, actor.id, change)


def vote(tx: Tx, actor: Actor, ident: Id, choices: list[int]) -> Post:
    """A local person votes. Raises `NotFound`, `BadInput` with Mastodon's wording."""
    post = visible_original(tx, actor.id, ident)
    tx.lock(f"poll:{post.id}")
    post = visible_original(tx, actor.id, post.id)  # as it is now that nobody else changes it
    check_votes(tx, post, actor.id, choices)
    for choice in sorted(set(choices)):
        interactions.put_vote(tx, post.id, actor.id, choice)
    _recount(tx, post)
    if not post.local:
        notifications.await_end(tx, post)
        federate(tx, actor.id, SendVotes(actor.id, post.id, tuple(sorted(set(choices))), tx.now))
    found = posts.by_id(tx, post.id)
    assert found is not None  # noqa: S101 — locked above
    return found


def check_votes(tx: Tx, post: Post, actor: Id, choices: list[int]) -> None:
    """Whether these votes count. Raises `BadInput` with Mastodon's wording."""
    poll = post.content.poll
    if poll is None:
        raise NotFound("Record not found")
    if poll_is_over(poll, tx.now):
        raise BadInput("Validation failed: The poll has already ended")
    if not choices or any(not 0 <= c < len(poll.options) for c in choices):
        raise BadInput("Validation failed: The chosen vote option does not exist")
    if not poll.multiple and len(set(choices)) > 1:
        raise BadInput("Validation failed: Only one option may be chosen")
    if interactions.votes_of(tx, post.id, actor):
        raise BadInput("Validation failed: You have already voted on this poll")
    if post.author_id == actor:
        raise BadInput("Validation failed: You cannot vote in your own polls")


def poll_is_over(poll: Poll, now: Millis) -> bool:
    """Whether no vote counts any more."""
    return poll.closed_at is not None or (poll.ends_at is not None and poll.ends_at <= now)


def _recount(tx: Tx, post: Post) -> None:
    """Bring the counts up to date: from the votes for our polls; a partner's never go down until it says so."""
    poll = post.content.poll
    if poll is None:
        return
    counted, voters = interactions.vote_counts(tx, post.id)
    if post.local:
        options = tuple(replace(o, votes=counted.get(i, 0)) for i, o in enumerate(poll.options))
        fresh = replace(poll, options=options, voters=voters)
    else:
        options = tuple(replace(o, votes=max(o.votes, counted.get(i, 0))) for i, o in enumerate(poll.options))
        fresh = replace(poll, options=options, voters=max(poll.voters or 0, voters))
    posts.set_content_extra(tx, post.id, replace(post.content, poll=fresh))
    tx.notify(PostEdited(post.id))


# What partners' actors do.


def receive_favourite(tx: Tx, actor: Actor, iri: Iri | None, object_iri: Iri) -> Post | None:
    """Like of a post of ours, or of one that we know. None when there is no such post, or it is not for them."""
    post = posts.by_iri(tx, object_iri)
    if post is None or not may_answer(tx, actor, post):
        return None
    if interactions.put(tx, post.id, actor.id, Kind.FAVOURITE, iri):
        posts.count_favourites(tx, post.id, +1)
        notifications.notify(tx, post.author_id, "favourite", actor.id, post.id)
    return post


def receive_unfavourite(tx: Tx, actor: Actor, post: Post) -> None:
    """Undo of a Like."""
    if interactions.drop(tx, post.id, actor.id, Kind.FAVOURITE):
        posts.count_favourites(tx, post.id, -1)
        notes.withdraw(tx, post.author_id, "favourite", actor.id, post.id)


def receive_boost(
    tx: Tx, actor: Actor, iri: Iri, post: Post, visibility: Visibility, published: int | None
) -> Post | None:
    """Announce of a known post. Counted once an actor; None when it may not be boosted, or is a repetition."""
    tx.lock(f"post:{iri}")
    if posts.by_iri(tx, iri) is not None or tombstones.get(tx, iri, actor.iri) is not None:
        return None
    if post.boost_of_id is not None or not may_answer(tx, actor, post):
        return None
    # spec: R87 — boosts of private posts by others are refused
    if post.visibility is Visibility.DIRECT or (post.visibility is Visibility.PRIVATE and post.author_id != actor.id):
        return None
    # spec: R86 — repeated Announces of one actor count once
    if interactions.boosted(tx, actor.id, [post.id]):
        return None
    made = Post(
        id=tx.new_id(), iri=iri, url=iri, author_id=actor.id, local=False, kind=PostKind.NOTE,
        visibility=max(visibility, post.visibility), reach=LOCAL, content=Content(""),
        published=min(Millis(published or tx.now), tx.now), created_at=tx.now, boost_of_id=post.id,
    )  # fmt: skip
    posts.insert(tx, made)
    _spread_boost(tx, made, post, actor)
    return made


def receive_unboost(tx: Tx, actor: Actor, made: Post) -> None:
    """Undo of an Announce by the actor that made it."""
    if made.author_id != actor.id or made.boost_of_id is None:
        raise NotAllowed("only the booster may take a boost back")
    post = posts.by_id(tx, made.boost_of_id)
    bury(tx, made, actor.iri)
    if post is not None:
        notes.withdraw(tx, post.author_id, "reblog", actor.id, post.id)


def receive_vote(tx: Tx, actor: Actor, question: Post, option: str) -> bool:
    """A partner's vote in a poll of ours. Double, late and second ones (of a single choice) do not count."""
    # spec: R89
    poll = question.content.poll
    if poll is None or not question.local or not may_answer(tx, actor, question):
        return False
    tx.lock(f"poll:{question.id}")
    titles = [o.title for o in poll.options]
    if option not in titles or poll_is_over(poll, tx.now):
        return False
    before = interactions.votes_of(tx, question.id, actor.id)
    choice = titles.index(option)
    if choice in before or (before and not poll.multiple):
        return False
    interactions.put_vote(tx, question.id, actor.id, choice)
    fresh = posts.by_id(tx, question.id)
    if fresh is not None:
        _recount(tx, fresh)
    federate(tx, question.author_id, PublishEdit(question.id, tx.now))
    return True


def receive_pin(tx: Tx, actor: Actor, object_iri: Iri, added: bool) -> None:
    """Add to, or Remove from, the featured collection of the sender: its own posts only."""
    # spec: R107
    post = posts.by_iri(tx, object_iri)
    if post is None or post.author_id != actor.id:
        return
    if added:
        interactions.put(tx, post.id, actor.id, Kind.PIN)
    else:
        interactions.drop(tx, post.id, actor.id, Kind.PIN)
