"""Plans: for each local change the activity that tells others of it, and the people that are told.

Reads only; nothing is decided about partners here. A plan can write its document in two forms, because some partners'
terms allow ``as:Public`` and others' do not. Every kind of change is listed, and one that is not is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import assert_never

import msgspec

from fedishare.activitypub import writer
from fedishare.activitypub.addressing import addressing_of
from fedishare.activitypub.outbox_facts import DeliverTo, DocumentFacts, decode_facts, decode_target
from fedishare.activitypub.writer import Document
from fedishare.model.actors import Actor, ActorState
from fedishare.model.ids import Domain, Id, Iri, Millis, time_of
from fedishare.model.names import Names
from fedishare.model.outgoing import (
    AnswerFollowRequest,
    ForwardActivity,
    Outgoing,
    PublishActor,
    PublishEdit,
    PublishMove,
    PublishPin,
    PublishPost,
    SendBlock,
    SendFollow,
    SendLike,
    SendReport,
    SendVotes,
    WithdrawActor,
    WithdrawBlock,
    WithdrawBoost,
    WithdrawFollow,
    WithdrawLike,
    WithdrawPost,
)
from fedishare.model.posts import Content, Mention, Post, PostKind, Reach, Visibility
from fedishare.services import audience
from fedishare.store import actors, interactions, jobs, posts, relations
from fedishare.store.db import Tx

REMEMBERED = 25 * 24 * 3600 * 1000
"""For so many milliseconds at least the ledger knows what was sent of a post."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody that is told. ``follower``: as one of the author's followers, not by name."""

    actor_id: Id
    iri: Iri
    host: Domain
    inbox: Iri
    shared_inbox: Iri | None
    follower: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """One activity to send."""

    iri: Iri
    author: Actor
    facts: DocumentFacts
    order: str
    """What it is about: activities of one order reach an inbox one after another."""
    people: tuple[Person, ...]
    write: Callable[[bool], Document] | None
    """The document, in the form that names ``as:Public`` or the one that does not. None: see ``raw``."""
    post_id: Id | None = None
    two_forms: bool = False
    direct: bool = False
    """Personal inboxes only."""
    raw: str = ""
    """Somebody else's document, to be sent as it is …"""
    only_partner: str | None = None
    """… to the other hosts of this host's partner alone."""
    earlier: tuple[tuple[str, DeliverTo], ...] = ()
    """(host, target): where something of the post was sent before, which is told in any case."""
    withdraws: DocumentFacts | None = None
    """Anybody else is told of the end only if the beginning would have been sent there."""
    ends_post: bool = False
    """What still waits to be sent of the post is cancelled."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What plans are made from. ``number`` makes the ids of activities that have none yet."""

    names: Names
    number: Id
    numbers: tuple[Id, ...] = ()
    """Further ones, for changes of several activities."""


def plans(tx: Tx, ask: Ask, change: Outgoing) -> list[Plan]:
    """The activities of a change; none when there is nothing (any more) to tell."""
    match change:
        case PublishPost():
            made = _publish(tx, ask, change)
        case PublishEdit():
            made = _edit(tx, ask, change)
        case WithdrawPost():
            made = _withdraw(tx, ask, change)
        case WithdrawBoost():
            made = _unboost(tx, ask, change)
        case SendVotes():
            return _votes(tx, ask, change)
        case PublishActor() | PublishMove():
            made = _profile(tx, ask, change)
        case WithdrawActor():
            made = _leave(tx, ask, change)
        case PublishPin():
            made = _pin(tx, ask, change)
        case SendReport():
            made = _report(tx, ask, change)
        case ForwardActivity():
            made = _forward(tx, change)
        case _:
            made = _between_two(tx, ask, change)
    return [made] if made is not None else []


Pair = SendLike | WithdrawLike | SendFollow | WithdrawFollow | AnswerFollowRequest | SendBlock | WithdrawBlock


def _between_two(tx: Tx, ask: Ask, change: Pair) -> Plan | None:
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


# Posts.


def _publish(tx: Tx, ask: Ask, change: PublishPost) -> Plan | None:
    post = posts.by_id(tx, change.post_id)
    author = actors.by_id(tx, post.author_id) if post is not None else None
    if post is None or author is None:
        return None
    people = _audience(tx, post, author)
    if post.boost_of_id is None:
        return _post_plan(Iri(f"{post.iri}/activity"), "Create", post, author, people, _create(ask, post, author))
    boosted = posts.by_id(tx, post.boost_of_id)
    if boosted is None:
        return None
    return _post_plan(
        post.iri, "Announce", post, author, people, _announce(post, author, boosted.iri),
        kind=boosted.kind.value, media=bool(boosted.content.attachments), order=_boost_order(author, boosted.iri),
    )  # fmt: skip


def _boost_order(author: Actor, boosted: str) -> str:
    return f"{author.iri} boosts {boosted}"


def _create(ask: Ask, post: Post, author: Actor) -> Callable[[bool], Document]:
    return lambda public: writer.create(_note(ask, post, author, public))


def _announce(post: Post, author: Actor, boosted: Iri) -> Callable[[bool], Document]:
    def write(public: bool) -> Document:
        to, cc = addressing_of(post, author, (), public_addressing=public)
        return writer.announce(post.iri, author.iri, boosted, to=to, cc=cc, published=post.published)

    return write


def _note(ask: Ask, post: Post, author: Actor, public: bool) -> Document:
    to, cc = addressing_of(post, author, post.content.mentions, public_addressing=public)
    return writer.note(post, author, names=ask.names, to=to, cc=cc)


def _post_plan(
    iri: Iri, activity: str, post: Post, author: Actor, people: Iterable[Person], write: Callable[[bool], Document],
    *, kind: str | None = None, media: bool | None = None, order: str | None = None,
) -> Plan:  # fmt: skip
    wide = post.visibility in (Visibility.PUBLIC, Visibility.UNLISTED)
    facts = DocumentFacts(
        activity, kind or post.kind.value, int(post.visibility), post.reach.encode(),
        media=bool(post.content.attachments) if media is None else media, post=True,
        synchronise=author.name if post.visibility is not Visibility.DIRECT else None,
    )  # fmt: skip
    return Plan(
        iri, author, facts, order or post.iri, tuple(people), write, post.id, two_forms=wide,
        direct=post.visibility is Visibility.DIRECT,
    )  # fmt: skip


def _audience(tx: Tx, post: Post, author: Actor) -> list[Person]:
    # spec: R44 — followers' inboxes and named actors, nobody else
    named = set(posts.mentioned_ids(tx, post.id))
    if post.boost_of_id is not None:
        boosted = posts.by_id(tx, post.boost_of_id)
        named |= {boosted.author_id} if boosted is not None else set()
    if post.reach.domains is None and post.visibility is not Visibility.DIRECT:
        # Every follower is within reach, and of many followers only the inboxes are read.
        people = {person.actor_id: person for person in _followers(tx, author)}
        return list((people | {person.actor_id: person for person in _named(tx, named, post.reach)}).values())
    return [
        Person(r.actor_id, r.iri, r.host, r.inbox, r.shared_inbox, r.actor_id not in named)
        for r in audience.recipients(tx, post, author)
    ]


def _edit(tx: Tx, ask: Ask, change: PublishEdit) -> Plan | None:
    # spec: R80, R81 — Update of a post; of a poll also when only its counts changed
    post = posts.by_id(tx, change.post_id)
    author = actors.by_id(tx, post.author_id) if post is not None else None
    if post is None or author is None or not author.is_local:
        return None
    people = {person.actor_id: person for person in _audience(tx, post, author)}
    if post.visibility in (Visibility.PUBLIC, Visibility.UNLISTED):
        for person in _named(tx, _touched(tx, post.id), post.reach):
            people.setdefault(person.actor_id, person)
    iri = ask.names.activity(author.name, "updates", ask.number)
    return _post_plan(
        iri,
        "Update",
        post,
        author,
        people.values(),
        lambda public: writer.update(iri, _note(ask, post, author, public)),
    )


def _touched(tx: Tx, post: Id) -> set[Id]:
    """Who boosted or favourited a post."""
    found = {booster for _, booster in posts.boosts_of(tx, post)}
    return found | {actor.id for _, actor in interactions.actors(tx, post, interactions.Kind.FAVOURITE, limit=1000)}


def _named(tx: Tx, idents: Iterable[Id], reach: Reach) -> list[Person]:
    return [
        person
        for actor in actors.by_ids(tx, idents).values()
        if audience.within_reach(reach, actor) and (person := _person(actor)) is not None
    ]


def _person(actor: Actor | None) -> Person | None:
    found = audience.reachable(actor) if actor is not None else None
    return Person(found.actor_id, found.iri, found.host, found.inbox, found.shared_inbox) if found is not None else None


def _shell(post_id: Id, iri: Iri, author: Actor, visibility: int, reach: str, at: int) -> Post:
    """A post that is gone, as far as its addressing goes."""
    return Post(
        post_id, iri, "", author.id, True, PostKind.NOTE, Visibility(visibility), Reach.decode(reach), Content(""),
        Millis(at), Millis(at),
    )  # fmt: skip


def _earlier(tx: Tx, post: Id) -> tuple[tuple[str, DeliverTo], ...]:
    """Where something of the post was sent, or may have arrived."""
    found: dict[str, tuple[str, DeliverTo]] = {}
    for row in jobs.of_post(tx, post):
        if row.attempts > 0 and row.host is not None:
            target = decode_target(row.payload)
            found.setdefault(target.inbox, (row.host, target))
    return tuple(found.values())


def _began(tx: Tx, post: Post, activity: str) -> DocumentFacts | None:
    """What the guard was asked when the post went out; when that is forgotten, the cautious guess.

    None: it never went out, because it was gone before anybody was told.
    """
    stored = jobs.first_facts(tx, post.id)
    if stored is not None:
        return decode_facts(stored)
    if tx.now - time_of(post.id) < REMEMBERED:
        return None
    return DocumentFacts(activity, None, int(post.visibility), post.reach.encode())


def _withdraw(tx: Tx, ask: Ask, change: WithdrawPost) -> Plan | None:
    # spec: R84 — to everybody the post went to, those that boosted or answered, and followers at that time
    author = actors.by_id(tx, change.author_id)
    if author is None:
        return None
    post = _shell(change.post_id, change.iri, author, change.visibility, change.reach, change.at)
    people = {p.actor_id: p for p in _audience(tx, post, author)}
    people |= {p.actor_id: p for p in _named(tx, (*change.mentioned, *change.interested), post.reach)}
    began = _began(tx, post, "Create")
    if began is None:
        people = {p.actor_id: p for p in _named(tx, change.interested, post.reach)}
    mentions = [_mention(actor) for actor in actors.by_ids(tx, change.mentioned).values()]
    iri = ask.names.activity(author.name, "deletes", ask.number)

    def write(public: bool) -> Document:
        to, cc = addressing_of(post, author, mentions, public_addressing=public)
        deleted = Millis(change.at) if change.at else None
        return writer.delete(iri, author.iri, change.iri, to=to, cc=cc, deleted=deleted)

    return _end_plan(tx, iri, "Delete", began, post, author, people.values(), write, order=post.iri)


def _mention(actor: Actor) -> Mention:
    return Mention(actor.id, actor.iri, actor.handle, actor.url)


def _end_plan(
    tx: Tx, iri: Iri, activity: str, began: DocumentFacts | None, post: Post, author: Actor, people: Iterable[Person],
    write: Callable[[bool], Document], *, order: str,
) -> Plan:  # fmt: skip
    facts = DocumentFacts(
        activity, None, int(post.visibility), post.reach.encode(), people=False, author=False,
    )  # fmt: skip
    return Plan(
        iri, author, facts, order, tuple(people), write, post.id,
        two_forms=post.visibility in (Visibility.PUBLIC, Visibility.UNLISTED),
        direct=post.visibility is Visibility.DIRECT, earlier=_earlier(tx, post.id),
        withdraws=began, ends_post=True,
    )  # fmt: skip


def _unboost(tx: Tx, ask: Ask, change: WithdrawBoost) -> Plan | None:
    author = actors.by_id(tx, change.author_id)
    if author is None:
        return None
    post = _shell(change.boost_id, change.iri, author, change.visibility, change.reach, change.at)
    began = _began(tx, post, "Announce")
    if began is None:
        return None
    people = {p.actor_id: p for p in _audience(tx, post, author)}
    people |= {p.actor_id: p for p in _named(tx, [change.object_author_id], post.reach)}
    iri = ask.names.activity(author.name, "undos", ask.number)

    def write(public: bool) -> Document:
        to, cc = addressing_of(post, author, (), public_addressing=public)
        return writer.undo(iri, writer.announce(change.iri, author.iri, change.object_iri, to=to, cc=cc))

    order = _boost_order(author, change.object_iri)
    return _end_plan(tx, iri, "Undo", began, post, author, people.values(), write, order=order)


# Between two actors.


def _pair_plan(
    iri: Iri, activity: str, author: Actor, target: Person, document: Document, order: str, *, people: bool = True
) -> Plan:
    facts = DocumentFacts(activity, people=people)
    return Plan(iri, author, facts, order, (target,), lambda _: document, direct=True)


def _two(tx: Tx, one: Id, other: Id) -> tuple[Actor, Person] | None:
    author, target = actors.by_id(tx, one), _person(actors.by_id(tx, other))
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


def _votes(tx: Tx, ask: Ask, change: SendVotes) -> list[Plan]:
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
        made.append(Plan(Iri(str(document["id"])), actor, facts, order, (target,), _fixed(document), direct=True))
    return made


def _fixed(document: Document) -> Callable[[bool], Document]:
    return lambda _: document


# Actors.


def _followers(tx: Tx, author: Actor) -> tuple[Person, ...]:
    return tuple(Person(*row, follower=True) for row in relations.remote_followers(tx, author.id))


def _followers_iri(author: Actor) -> Iri:
    return author.endpoints.followers or Iri(f"{author.iri}/followers")


def _profile(tx: Tx, ask: Ask, change: PublishActor | PublishMove) -> Plan | None:
    actor = actors.by_id(tx, change.actor_id)
    if actor is None or actor.state is not ActorState.ACTIVE:
        return None
    to = [_followers_iri(actor)]
    if isinstance(change, PublishMove):
        # spec: R106 — Move to the followers, once
        iri = ask.names.activity(actor.name, "moves", ask.number)
        document, facts = writer.move(iri, actor.iri, change.target, to=to), DocumentFacts("Move")
    else:
        iri = ask.names.activity(actor.name, "updates", ask.number)
        described = writer.actor_document(actor, actors.keys_of(tx, actor), names=ask.names)
        document = writer.update_actor(iri, described, to=to)
        facts = DocumentFacts("Update", actor.kind.value)
    facts = msgspec.structs.replace(facts, synchronise=actor.name)
    return Plan(iri, actor, facts, actor.iri, _followers(tx, actor), _fixed(document))


def _leave(tx: Tx, ask: Ask, change: WithdrawActor) -> Plan | None:
    # spec: R85 — Delete of an actor, to every host that knows it
    actor = actors.by_id(tx, change.actor_id)
    if actor is None:
        return None
    hosts = {*change.hosts, *jobs.hosts_of_author(tx, actor.id)}
    found = jobs.inboxes_at(tx, hosts)
    earlier = tuple((host, DeliverTo(shared or own, shared=shared is not None)) for host, shared, own in found)
    iri = ask.names.activity(actor.name, "deletes", ask.number)
    document = writer.delete_actor(iri, actor.iri, to=[_followers_iri(actor)])
    facts = DocumentFacts("Delete", actor.kind.value, people=False, author=False)
    return Plan(iri, actor, facts, actor.iri, (), _fixed(document), earlier=earlier)


def _pin(tx: Tx, ask: Ask, change: PublishPin) -> Plan | None:
    # spec: R107
    actor = actors.by_id(tx, change.actor_id)
    if actor is None:
        return None
    post = posts.by_id(tx, change.post_id)
    if post is None:
        return None  # deleted meanwhile: the Delete takes it out of every collection
    target, to = ask.names.featured(actor.name), [_followers_iri(actor)]
    verb = writer.add if change.added else writer.remove
    iri = ask.names.activity(actor.name, "adds" if change.added else "removes", ask.number)
    document = verb(iri, actor.iri, change.post_iri, target=target, to=to)
    people = tuple(p for p in _audience(tx, post, actor) if p.follower)
    facts = DocumentFacts(
        "Add" if change.added else "Remove", post.kind.value, int(post.visibility), change.reach, post=True,
        synchronise=actor.name,
    )  # fmt: skip
    return Plan(iri, actor, facts, change.post_iri, people, _fixed(document), post.id)


def _report(tx: Tx, ask: Ask, change: SendReport) -> Plan | None:
    # spec: R47 — from the instance actor, naming nobody here
    pair = _two(tx, actors.instance_actor(tx).id, change.target_id)
    if pair is None:
        return None
    sender, target = pair
    iri = ask.names.activity("", "flags", change.report_id)
    document = writer.flag(iri, change.post_iris, change.comment, target=target.iri, names=ask.names)
    return _pair_plan(iri, "Flag", sender, target, document, iri, people=False)


def _forward(tx: Tx, change: ForwardActivity) -> Plan | None:
    # spec: R118 — unchanged, with its original proof, to the local author's followers: but we pass nothing on to
    # another domain, so only to those at the same partner
    author = actors.by_id(tx, change.author_id)
    post = posts.by_id(tx, change.post_id)
    if author is None or post is None:
        return None
    people = tuple(p for p in _followers(tx, author) if p.host != change.origin_host)
    reach = Reach(frozenset({Domain(change.origin_host)} | {p.host for p in people}))
    facts = DocumentFacts("Create", "Note", int(Visibility.PRIVATE), reach.encode())
    return Plan(change.iri, author, facts, change.iri, people, None, raw=change.body, only_partner=change.origin_host)


def needs_numbers(change: Outgoing) -> int:
    """How many activity ids a change wants besides the first one."""
    return max(0, len(change.choices) - 1) if isinstance(change, SendVotes) else 0
