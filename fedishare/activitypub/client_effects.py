"""Giving a wish its effect: the use cases of the client API, called with what a document asked for.

Functions of a transaction: everything happens, or nothing. Each answers with the activity as it is known from now on,
which is the one that partners get wherever it goes out. Whatever is named by its id is looked up anew here, and counts
only if it is the person's own, or for them to see.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from fedishare.activitypub import client_person, client_posts, writer
from fedishare.activitypub.addressing import addressing_of
from fedishare.activitypub.client_doing import MISSING, Context, Doing, Made, actor_of, own_post, seen
from fedishare.activitypub.client_wishes import (
    Addressed,
    AnswerFollower,
    BlockActor,
    Edit,
    EditMe,
    FollowActor,
    LikePost,
    PinPost,
    PinTag,
    Publish,
    Remove,
    Report,
    Share,
    TakeBack,
    Unquote,
    Vote,
    Wish,
    kind_of,
)
from fedishare.activitypub.outbox_facts import DocumentFacts, encode
from fedishare.activitypub.writer import Document
from fedishare.model.actors import ActorState, Follow
from fedishare.model.errors import BadInput, NotAllowed, NotFound
from fedishare.model.ids import Id, Iri
from fedishare.model.outgoing import (
    AnswerFollowRequest,
    PublishPin,
    WithdrawBlock,
    WithdrawBoost,
    WithdrawFollow,
    WithdrawLike,
)
from fedishare.model.posts import (
    Post,
)
from fedishare.services import governance, interactions, relations, tags
from fedishare.store import activities, actors, moderation, posts
from fedishare.store import interactions as interaction_rows
from fedishare.store import relations as relation_rows
from fedishare.store.db import Tx
from fedishare.store.interactions import Kind


def perform(tx: Tx, context: Context, viewer: Id, wish: Wish) -> Made:
    """Fulfil a wish; or raise `BadInput`, `NotFound`, `NotAllowed` or `PolicyRefusal`, and change nothing."""
    me = actors.by_id(tx, viewer)
    if me is None or me.state >= ActorState.SUSPENDED:
        raise NotAllowed("This action is not allowed")
    doing, key = Doing(tx, context, me, tx.new_id()), context.key
    before = _repeated(doing, key, wish) if key is not None else None
    if before is not None:
        return before
    made = _EFFECTS[type(wish)](doing, wish)
    ident = _kept(doing, made, wish)
    if key is not None and ident is not None:
        activities.remember_key(tx, me.id, key, ident)
    return made


def _repeated(doing: Doing, key: str, wish: Wish) -> Made | None:
    """What an Idempotency-Key did before. Raises `BadInput` when that was an activity of another type."""
    tx, me = doing.tx, doing.me
    tx.lock(f"idempotency:{me.id}:{key}")
    known = activities.post_for_key(tx, me.id, key)
    if known is None:
        return None
    post, sent = posts.by_id(tx, known), activities.document(tx, known)
    made: Made | None = None
    if post is not None and post.boost_of_id is None:
        made = client_posts.published(doing, post)
    elif post is not None:
        boosted = posts.by_id(tx, post.boost_of_id) if post.boost_of_id is not None else None
        made = Made(post.iri, _shared(doing, post, boosted)) if boosted is not None else None
    elif sent is not None:
        made = Made(sent.iri, msgspec.json.decode(sent.body, type=dict[str, object]))
    if made is not None and made.document["type"] != kind_of(wish):
        raise BadInput("the Idempotency-Key was used for something else", path="Idempotency-Key")
    return replace(made, repeated=True) if made is not None else None


def _kept(doing: Doing, made: Made, wish: Wish) -> Id | None:
    """Keep an activity, so that its id can be read by the person whose it is, also when it stays here.

    What a post said is not in it: that goes with the post. Returns under which number it is found again; None for a
    new post, which remembers its key itself.
    """
    tx, me = doing.tx, doing.me
    if isinstance(wish, Publish):
        return None
    if isinstance(wish, Share):
        post = posts.by_iri(tx, made.iri)
        return post.id if post is not None else None
    known = activities.own(tx, made.iri, me.id)
    if known is not None:
        return known.id
    kept = made.document | {"object": wish.object} if isinstance(wish, Edit) else made.document
    facts = encode(DocumentFacts(str(kept["type"]))).decode()
    return activities.put_document(tx, made.iri, me.id, None, encode(kept).decode(), facts)


# What one does with others' posts


def _like(doing: Doing, wish: LikePost) -> Made:
    post = interactions.favourite(doing.tx, doing.context.site, doing.me, seen(doing, wish.object).id)
    iri = interaction_rows.iri_of(doing.tx, post.id, doing.me.id, Kind.FAVOURITE) or doing.names.activity(
        doing.me.name, "likes", doing.tx.new_id()
    )
    return Made(iri, _liked(doing, iri, post))


def _liked(doing: Doing, iri: Iri, post: Post) -> Document:
    author = actors.by_id(doing.tx, post.author_id)
    return writer.like(iri, doing.me.iri, post.iri, author=author.iri if author is not None else post.iri)


def _share(doing: Doing, wish: Share) -> Made:
    post = interactions.visible_original(doing.tx, doing.me.id, seen(doing, wish.object).id)
    author = actors.by_id(doing.tx, post.author_id)
    if any(each != (author.iri if author is not None else None) for each in wish.addressed.people):
        raise BadInput("to: nothing is announced to single people but its author", path="to")
    made = interactions.boost(doing.tx, doing.context.site, doing.me, post.id, wish.addressed.visibility)
    return Made(made.iri, _shared(doing, made, post))


def _shared(doing: Doing, made: Post, post: Post) -> Document:
    to, cc = addressing_of(made, doing.me, (), public_addressing=True)
    return writer.announce(made.iri, doing.me.iri, post.iri, to=to, cc=cc, published=made.published)


def _pin(doing: Doing, wish: PinPost) -> Made:
    post = own_post(doing, wish.object)
    interactions.pin(doing.tx, doing.context.site, doing.me, post.id, wish.added)
    write, verb = (writer.add, "adds") if wish.added else (writer.remove, "removes")
    iri = doing.named("adds" if verb == "adds" else "removes", PublishPin)
    target, followers = doing.names.featured(doing.me.name), doing.names.followers(doing.me.name)
    return Made(iri, write(iri, doing.me.iri, post.iri, target=target, to=[followers]))


def _pin_tag(doing: Doing, wish: PinTag) -> Made:
    name = tags.name_of(wish.name)
    if name is None:
        raise BadInput(f"object: {wish.name[:80]!r} is no hashtag", path="object.name")
    if wish.added:
        tags.feature(doing.tx, doing.me.id, name)
    else:
        tags.unfeature(doing.tx, doing.me.id, name)
    # A hashtag on a profile is read, not told: so it always has an id of its own here.
    write, number = (writer.add if wish.added else writer.remove), doing.tx.new_id()
    iri = doing.names.activity(doing.me.name, "adds" if wish.added else "removes", number)
    target = doing.names.featured_tags(doing.me.name)
    document = write(iri, doing.me.iri, Iri(doing.names.tag(name)), target=target, to=[])
    return Made(iri, document | {"object": writer.hashtag(name, doing.names)})


# People


def _follow(doing: Doing, wish: FollowActor) -> Made:
    target = actor_of(doing.tx, wish.object)
    made = relations.follow(doing.tx, doing.context.site, doing.me, target.id)
    return Made(made.iri, writer.follow(made.iri, doing.me.iri, target.iri))


def _answer(doing: Doing, wish: AnswerFollower) -> Made:
    tx, me = doing.tx, doing.me
    made = relation_rows.follow_by_iri(tx, wish.follow) if wish.follow is not None else None
    follower = actors.by_iri(tx, wish.follower) if wish.follower is not None else None
    if wish.follow is None and follower is not None:
        made = relation_rows.follow(tx, follower.id, me.id)
    # Somebody else's request looks like a missing one, and so does one that is not that actor's.
    if made is None or made.followee_id != me.id:
        raise NotFound(MISSING)
    if wish.follower is not None and (follower is None or follower.id != made.follower_id):
        raise BadInput("object: the Follow with that id is by another actor", path="object.actor")
    asker = actors.by_id(tx, made.follower_id)
    if asker is None:
        raise NotFound(MISSING)
    if not wish.accepted and made.state == 1:
        relations.remove_follower(tx, me, made.follower_id)
    else:
        relations.answer_request(tx, me, made.follower_id, wish.accepted)
    iri = doing.named("accepts" if wish.accepted else "rejects", AnswerFollowRequest)
    follow = writer.incoming_follow(made.iri, asker.iri, me.iri)
    return Made(iri, (writer.accept if wish.accepted else writer.reject)(iri, me.iri, follow))


def _block(doing: Doing, wish: BlockActor) -> Made:
    target = actor_of(doing.tx, wish.object)
    relations.block(doing.tx, doing.context.site, doing.me, target.id)
    iri = relation_rows.block_iri(doing.tx, doing.me.id, target.id) or doing.names.activity(
        doing.me.name, "blocks", doing.tx.new_id()
    )
    return Made(iri, writer.block(iri, doing.me.iri, target.iri))


def _report(doing: Doing, wish: Report) -> Made:
    """To the moderators here; to the server of whom it is about if that is addressed, and then from nobody by name."""
    tx, me = doing.tx, doing.me
    people = [actor_of(tx, iri) for iri in actors.by_iris(tx, wish.objects)]
    about = [seen(doing, iri) for iri in wish.objects if iri not in {actor.iri for actor in people}]
    target = actors.by_id(tx, people[0].id if people else about[0].author_id)
    if target is None or len(people) > 1 or any(post.author_id != target.id for post in about):
        raise BadInput("object: one person, and posts of theirs, were expected", path="object")
    if any(iri != target.iri for iri in wish.forward):
        raise BadInput("to: whom it is about was expected, or nobody", path="to")
    made = governance.report(tx, me, target.id, [post.id for post in about], wish.comment, bool(wish.forward))
    moderation.classify(tx, made, "other", ())
    iri = doing.names.activity(me.name, "flags", made)
    document = writer.flag(iri, [post.iri for post in about], wish.comment, target=target.iri, names=doing.names)
    # What goes out is another document, of the instance's; this one is the reporter's own.
    return Made(iri, document | {"actor": me.iri, "to": list(wish.forward)})


# Undo: only what the person did; anything else looks like a missing one


def _take_back(doing: Doing, wish: TakeBack) -> Made:
    return _UNDO[wish.kind](doing, wish)


def _agrees(wish: TakeBack, iri: Iri) -> None:
    if wish.object is not None and wish.object != iri:
        raise BadInput("object: the activity with that id has another object", path="object.object")


def _undone(doing: Doing, change: type[msgspec.Struct], inner: Document) -> Made:
    iri = doing.named("undos", change)
    return Made(iri, writer.undo(iri, inner))


def _unfollow(doing: Doing, wish: TakeBack) -> Made:
    tx, me = doing.tx, doing.me
    made: Follow | None = None
    if wish.activity is not None:
        made = relation_rows.follow_by_iri(tx, wish.activity)
    elif wish.object is not None:
        made = relation_rows.follow(tx, me.id, actor_of(tx, wish.object).id)
    followee = actors.by_id(tx, made.followee_id) if made is not None else None
    if made is None or followee is None or made.follower_id != me.id:
        raise NotFound(MISSING)
    _agrees(wish, followee.iri)
    relations.unfollow(tx, me, followee.id)
    return _undone(doing, WithdrawFollow, writer.follow(made.iri, me.iri, followee.iri))


def _unlike(doing: Doing, wish: TakeBack) -> Made:
    tx, me = doing.tx, doing.me
    ident: Id | None = None
    if wish.activity is not None:
        ident = interaction_rows.favourite_by_iri(tx, me.id, wish.activity)
    elif wish.object is not None:
        ident = seen(doing, wish.object).id
    post = posts.by_id(tx, ident) if ident is not None else None
    iri = interaction_rows.iri_of(tx, post.id, me.id, Kind.FAVOURITE) if post is not None else None
    if post is None or iri is None:
        raise NotFound(MISSING)
    _agrees(wish, post.iri)
    inner = _liked(doing, iri, post)
    interactions.unfavourite(tx, me, post.id)
    return _undone(doing, WithdrawLike, inner)


def _unshare(doing: Doing, wish: TakeBack) -> Made:
    tx, me = doing.tx, doing.me
    made: Post | None = None
    if wish.activity is not None:
        made = posts.by_iri(tx, wish.activity)
    elif wish.object is not None:
        ident = seen(doing, wish.object).id
        own = interaction_rows.boosted(tx, me.id, [ident]).get(ident)
        made = posts.by_id(tx, own) if own is not None else None
    post = posts.by_id(tx, made.boost_of_id) if made is not None and made.boost_of_id is not None else None
    if made is None or post is None or made.author_id != me.id:
        raise NotFound(MISSING)
    _agrees(wish, post.iri)
    inner = _shared(doing, made, post)
    interactions.take_back_boost(tx, me, made)
    return _undone(doing, WithdrawBoost, inner)


def _unblock(doing: Doing, wish: TakeBack) -> Made:
    tx, me = doing.tx, doing.me
    ident: Id | None = None
    if wish.activity is not None:
        ident = relation_rows.blocked_by_iri(tx, me.id, wish.activity)
    elif wish.object is not None:
        ident = actor_of(tx, wish.object).id
    target = actors.by_id(tx, ident) if ident is not None else None
    iri = relation_rows.block_iri(tx, me.id, target.id) if target is not None else None
    if target is None or iri is None:
        raise NotFound(MISSING)
    _agrees(wish, target.iri)
    relations.unblock(tx, me, target.id)
    return _undone(doing, WithdrawBlock, writer.block(iri, me.iri, target.iri))


_UNDO: dict[str, Callable[[Doing, TakeBack], Made]] = {
    "Follow": _unfollow,
    "Like": _unlike,
    "Announce": _unshare,
    "Block": _unblock,
}
_EFFECTS: dict[type, Callable[[Doing, Any], Made]] = {
    Publish: client_posts.publish,
    Vote: client_posts.vote,
    Edit: client_posts.edit,
    EditMe: client_person.edit_me,
    Remove: client_posts.remove,
    Unquote: client_posts.unquote,
    FollowActor: _follow,
    AnswerFollower: _answer,
    PinPost: _pin,
    PinTag: _pin_tag,
    LikePost: _like,
    BlockActor: _block,
    Share: _share,
    Report: _report,
    TakeBack: _take_back,
}


def mentioned(addressed: Addressed) -> tuple[Iri, ...]:
    """Everybody whom something is addressed to by id."""
    return (*addressed.people, *addressed.blind)
