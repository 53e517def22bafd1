"""Plans for what one local actor tells one other actor: likes, follows and their answers, blocks, votes, reports."""

from __future__ import annotations

from typing import assert_never

from fedishare.activitypub import writer
from fedishare.activitypub.outbox_facts import DocumentFacts
from fedishare.activitypub.outbox_plan import Ask, Person, Plan, fixed, person_of
from fedishare.activitypub.writer import Document
from fedishare.model.actors import Actor
from fedishare.model.ids import Id, Iri, Millis
from fedishare.model.outgoing import (
    AnswerFollowRequest,
    SendBlock,
    SendFollow,
    SendLike,
    SendReport,
    SendVotes,
    WithdrawBlock,
    WithdrawFollow,
    WithdrawLike,
)
from fedishare.model.posts import Reach, Visibility
from fedishare.store import actors, posts
from fedishare.store.db import Tx

Pair = SendLike | WithdrawLike | SendFollow | WithdrawFollow | AnswerFollowRequest | SendBlock | WithdrawBlock


def between_two(tx: Tx, ask: Ask, change: Pair) -> Plan | None:
    """What one local actor tells one other actor."""
    match change:
        case SendLike() | WithdrawLike():
            return _like(tx, ask, change)
        case SendFollow() | WithdrawFollow():
            return _follow(tx, ask, change)
        case AnswerFollowRequest():
            return _answer(tx, ask, change)
        case SendBlock() | WithdrawBlock():
            return _block(tx, ask, change)
        case _:
            assert_never(change)


def _pair_plan(
    iri: Iri, activity: str, author: Actor, target: Person, document: Document, order: str, *, people: bool = True
) -> Plan:
    facts = DocumentFacts(activity, people=people)
    return Plan(iri, author, facts, order, (target,), lambda _: document, direct=True)


def _two(tx: Tx, one: Id, other: Id) -> tuple[Actor, Person] | None:
    author, target = actors.by_id(tx, one), person_of(actors.by_id(tx, other))
    return (author, target) if author is not None and target is not None else None


def _like(tx: Tx, ask: Ask, change: SendLike | WithdrawLike) -> Plan | None:
    if isinstance(change, SendLike):
        post = posts.by_id(tx, change.post_id)
        pair = _two(tx, change.actor_id, post.author_id) if post is not None else None
        if post is None or pair is None:
            return None
        object_iri = post.iri
    else:
        pair, object_iri = _two(tx, change.actor_id, change.author_id), change.object_iri
        if pair is None:
            return None
    actor, target = pair
    like = writer.like(change.iri, actor.iri, object_iri, author=target.iri)
    order = f"{actor.iri} likes {object_iri}"
    if isinstance(change, SendLike):
        return _pair_plan(change.iri, "Like", actor, target, like, order)
    iri = ask.names.activity(actor.name, "undos", ask.number)
    return _pair_plan(iri, "Undo", actor, target, writer.undo(iri, like), order, people=False)


def _relation_order(one: Iri, other: Iri) -> str:
    """Follow, Undo and Block between the same two stay in order."""
    return f"{one} and {other}"


def _follow(tx: Tx, ask: Ask, change: SendFollow | WithdrawFollow) -> Plan | None:
    pair = _two(tx, change.follower_id, change.followee_id)
    if pair is None:
        return None
    actor, target = pair
    follow, order = writer.follow(change.iri, actor.iri, target.iri), _relation_order(actor.iri, target.iri)
    if isinstance(change, SendFollow):
        return _pair_plan(change.iri, "Follow", actor, target, follow, order)
    iri = ask.names.activity(actor.name, "undos", ask.number)
    return _pair_plan(iri, "Undo", actor, target, writer.undo(iri, follow), order, people=False)


def _answer(tx: Tx, ask: Ask, change: AnswerFollowRequest) -> Plan | None:
    # spec: R16 — embeds the whole Follow, to the follower's inbox
    pair = _two(tx, change.followee_id, change.follower_id)
    if pair is None:
        return None
    actor, target = pair
    follow = writer.incoming_follow(change.follow_iri, target.iri, actor.iri)
    iri = ask.names.activity(actor.name, "accepts" if change.accepted else "rejects", ask.number)
    document = writer.accept(iri, actor.iri, follow) if change.accepted else writer.reject(iri, actor.iri, follow)
    order = _relation_order(actor.iri, target.iri)
    return _pair_plan(iri, "Accept" if change.accepted else "Reject", actor, target, document, order, people=False)


def _block(tx: Tx, ask: Ask, change: SendBlock | WithdrawBlock) -> Plan | None:
    # spec: R46 — to the blocked actor's own inbox, never a shared one
    pair = _two(tx, change.actor_id, change.target_id)
    if pair is None:
        return None
    actor, target = pair
    block, order = writer.block(change.iri, actor.iri, target.iri), _relation_order(actor.iri, target.iri)
    if isinstance(change, SendBlock):
        return _pair_plan(change.iri, "Block", actor, target, block, order, people=False)
    iri = ask.names.activity(actor.name, "undos", ask.number)
    return _pair_plan(iri, "Undo", actor, target, writer.undo(iri, block), order, people=False)


def votes(tx: Tx, ask: Ask, change: SendVotes) -> list[Plan]:
    """A Create of a nameless Note for each option."""
    # spec: R89 — a nameless Note for each option, to the question's author alone
    post = posts.by_id(tx, change.post_id)
    poll = post.content.poll if post is not None else None
    pair = _two(tx, change.actor_id, post.author_id) if post is not None else None
    if post is None or poll is None or pair is None:
        return []
    actor, target = pair
    reach = Reach(frozenset({target.host}))
    made = []
    for number, choice in zip((ask.number, *ask.numbers), change.choices, strict=False):
        if not 0 <= choice < len(poll.options):
            continue
        iri = ask.names.activity(actor.name, "votes", number)
        document = writer.vote(
            iri, actor.iri, question=post.iri, option=poll.options[choice].title, author=target.iri,
            published=Millis(change.at),
        )  # fmt: skip
        facts = DocumentFacts("Create", "Note", int(Visibility.DIRECT), reach.encode())
        order = f"{actor.iri} votes {post.iri}"
        made.append(Plan(Iri(str(document["id"])), actor, facts, order, (target,), fixed(document), direct=True))
    return made


def report(tx: Tx, ask: Ask, change: SendReport) -> Plan | None:
    """Flag."""
    # spec: R47 — from the instance actor, naming nobody here
    pair = _two(tx, actors.instance_actor(tx).id, change.target_id)
    if pair is None:
        return None
    sender, target = pair
    iri = ask.names.activity("", "flags", change.report_id)
    document = writer.flag(iri, change.post_iris, change.comment, target=target.iri, names=ask.names)
    return _pair_plan(iri, "Flag", sender, target, document, iri, people=False)
