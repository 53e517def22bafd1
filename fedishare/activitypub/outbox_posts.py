"""Plans about posts: publish, edit, delete, boost, pin, forward."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fedishare.activitypub import writer
from fedishare.activitypub.addressing import addressing_of
from fedishare.activitypub.outbox_facts import DeliverTo, DocumentFacts, decode_facts, decode_target
from fedishare.activitypub.outbox_plan import Ask, Person, Plan, audience_of, fixed, followers_iri, followers_of, named
from fedishare.activitypub.writer import Document
from fedishare.model.actors import Actor
from fedishare.model.ids import Domain, Id, Iri, Millis, time_of
from fedishare.model.outgoing import (
    ForwardActivity,
    PublishEdit,
    PublishPin,
    PublishPost,
    WithdrawBoost,
    WithdrawPost,
)
from fedishare.model.posts import Content, Mention, Post, PostKind, Reach, Visibility
from fedishare.model.quotes import NoteConsent
from fedishare.services import quotes
from fedishare.store import actors, interactions, jobs, posts
from fedishare.store.db import Tx
from fedishare.store.paging import Page

REMEMBERED = 25 * 24 * 3600 * 1000
"""For so many milliseconds at least the ledger knows what was sent of a post."""


def publish(tx: Tx, ask: Ask, change: PublishPost) -> Plan | None:
    """Create of a post, or Announce of what it boosts."""
    post = posts.by_id(tx, change.post_id)
    author = actors.by_id(tx, post.author_id) if post is not None else None
    if post is None or author is None:
        return None
    people = audience_of(tx, post, author)
    if post.boost_of_id is None:
        iri, write = Iri(f"{post.iri}/activity"), _create(ask, post, author, quotes.note_consent(tx, post))
        return post_plan(iri, "Create", post, author, people, write)
    boosted = posts.by_id(tx, post.boost_of_id)
    if boosted is None:
        return None
    return post_plan(
        post.iri, "Announce", post, author, people, _announce(post, author, boosted.iri),
        kind=boosted.kind.value, media=bool(boosted.content.attachments), order=_boost_order(author, boosted.iri),
    )  # fmt: skip


def _boost_order(author: Actor, boosted: str) -> str:
    return f"{author.iri} boosts {boosted}"


def _create(ask: Ask, post: Post, author: Actor, consent: NoteConsent) -> Callable[[bool], Document]:
    return lambda public: writer.create(note_of(ask, post, author, public, consent))


def _announce(post: Post, author: Actor, boosted: Iri) -> Callable[[bool], Document]:
    def write(public: bool) -> Document:
        to, cc = addressing_of(post, author, (), public_addressing=public)
        return writer.announce(post.iri, author.iri, boosted, to=to, cc=cc, published=post.published)

    return write


def note_of(ask: Ask, post: Post, author: Actor, public: bool, consent: NoteConsent) -> Document:
    """A post's document, in the form that names ``as:Public`` or the other one."""
    to, cc = addressing_of(post, author, post.content.mentions, public_addressing=public)
    return writer.note(post, author, names=ask.names, to=to, cc=cc, consent=consent)


def post_plan(
    iri: Iri, activity: str, post: Post, author: Actor, people: Iterable[Person], write: Callable[[bool], Document],
    *, kind: str | None = None, media: bool | None = None, order: str | None = None, personal: bool = False,
) -> Plan:  # fmt: skip
    """What carries a post, under the post's labels. ``personal``: to personal inboxes alone."""
    wide = post.visibility in (Visibility.PUBLIC, Visibility.UNLISTED)
    facts = DocumentFacts(
        activity, kind or post.kind.value, int(post.visibility), post.reach.encode(),
        media=bool(post.content.attachments) if media is None else media, post=True,
        synchronise=author.name if post.visibility is not Visibility.DIRECT and not personal else None,
    )  # fmt: skip
    return Plan(
        iri, author, facts, order or post.iri, tuple(people), write, post.id, two_forms=wide,
        direct=personal or post.visibility is Visibility.DIRECT,
    )  # fmt: skip


def edit(tx: Tx, ask: Ask, change: PublishEdit) -> Plan | None:
    """Update of a post."""
    # spec: R80, R81 — Update of a post; of a poll also when only its counts changed
    post = posts.by_id(tx, change.post_id)
    author = actors.by_id(tx, post.author_id) if post is not None else None
    if post is None or author is None or not author.is_local:
        return None
    people = {person.actor_id: person for person in audience_of(tx, post, author)}
    if post.visibility in (Visibility.PUBLIC, Visibility.UNLISTED):
        for person in named(tx, _touched(tx, post.id), post.reach):
            people.setdefault(person.actor_id, person)
    iri = ask.names.activity(author.name, "updates", ask.number)
    consent = quotes.note_consent(tx, post)
    return post_plan(
        iri,
        "Update",
        post,
        author,
        people.values(),
        lambda public: writer.update(iri, note_of(ask, post, author, public, consent)),
    )


def _touched(tx: Tx, post: Id) -> set[Id]:
    """Who boosted or favourited a post."""
    found = {booster for _, booster in posts.boosts_of(tx, post)}
    return found | {
        actor.id for _, actor in interactions.actors(tx, post, interactions.Kind.FAVOURITE, Page(limit=1000))
    }


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


def withdraw(tx: Tx, ask: Ask, change: WithdrawPost) -> Plan | None:
    """Delete of a post."""
    # spec: R84 — to everybody the post went to, those that boosted or answered, and followers at that time
    author = actors.by_id(tx, change.author_id)
    if author is None:
        return None
    post = _shell(change.post_id, change.iri, author, change.visibility, change.reach, change.at)
    people = {p.actor_id: p for p in audience_of(tx, post, author)}
    people |= {p.actor_id: p for p in named(tx, (*change.mentioned, *change.interested), post.reach)}
    began = _began(tx, post, "Create")
    if began is None:
        people = {p.actor_id: p for p in named(tx, change.interested, post.reach)}
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


def unboost(tx: Tx, ask: Ask, change: WithdrawBoost) -> Plan | None:
    """Undo of an Announce."""
    author = actors.by_id(tx, change.author_id)
    if author is None:
        return None
    post = _shell(change.boost_id, change.iri, author, change.visibility, change.reach, change.at)
    began = _began(tx, post, "Announce")
    if began is None:
        return None
    people = {p.actor_id: p for p in audience_of(tx, post, author)}
    people |= {p.actor_id: p for p in named(tx, [change.object_author_id], post.reach)}
    iri = ask.names.activity(author.name, "undos", ask.number)

    def write(public: bool) -> Document:
        to, cc = addressing_of(post, author, (), public_addressing=public)
        return writer.undo(iri, writer.announce(change.iri, author.iri, change.object_iri, to=to, cc=cc))

    order = _boost_order(author, change.object_iri)
    return _end_plan(tx, iri, "Undo", began, post, author, people.values(), write, order=order)


def pin(tx: Tx, ask: Ask, change: PublishPin) -> Plan | None:
    """Add to, or Remove from, featured."""
    # spec: R107
    actor = actors.by_id(tx, change.actor_id)
    if actor is None:
        return None
    post = posts.by_id(tx, change.post_id)
    if post is None:
        return None  # deleted meanwhile: the Delete takes it out of every collection
    target, to = ask.names.featured(actor.name), [followers_iri(actor)]
    verb = writer.add if change.added else writer.remove
    iri = ask.names.activity(actor.name, "adds" if change.added else "removes", ask.number)
    document = verb(iri, actor.iri, change.post_iri, target=target, to=to)
    people = tuple(p for p in audience_of(tx, post, actor) if p.follower)
    facts = DocumentFacts(
        "Add" if change.added else "Remove", post.kind.value, int(post.visibility), change.reach, post=True,
        synchronise=actor.name,
    )  # fmt: skip
    return Plan(iri, actor, facts, change.post_iri, people, fixed(document), post.id)


def forward(tx: Tx, change: ForwardActivity) -> Plan | None:
    """A partner's answer, unchanged (inbox forwarding, ActivityPub 7.1.2)."""
    # spec: R118 — unchanged, with its original proof, to the local author's followers: but we pass nothing on to
    # another domain, so only to those at the same partner
    author = actors.by_id(tx, change.author_id)
    post = posts.by_id(tx, change.post_id)
    if author is None or post is None:
        return None
    people = tuple(p for p in followers_of(tx, author) if p.host != change.origin_host)
    reach = Reach(frozenset({Domain(change.origin_host)} | {p.host for p in people}))
    facts = DocumentFacts("Create", "Note", int(Visibility.PRIVATE), reach.encode())
    return Plan(change.iri, author, facts, change.iri, people, None, raw=change.body, only_partner=change.origin_host)
