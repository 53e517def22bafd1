"""A plan: one activity to send, its people, and what may be asked about both before it goes.

Reads only; nothing is decided about partners here. A plan can write its document in two forms, because some partners'
terms allow ``as:Public`` and others' do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fedishare.activitypub.outbox_facts import DeliverTo, DocumentFacts
from fedishare.activitypub.writer import Document
from fedishare.model.actors import Actor
from fedishare.model.ids import Domain, Id, Iri
from fedishare.model.names import Names
from fedishare.model.posts import Post, Reach, Visibility
from fedishare.services import audience
from fedishare.store import actors, posts, relations
from fedishare.store.db import Tx


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


def person_of(actor: Actor | None) -> Person | None:
    """How somebody elsewhere is reached; None for people here and for those that are suspended or gone."""
    found = audience.reachable(actor) if actor is not None else None
    return Person(found.actor_id, found.iri, found.host, found.inbox, found.shared_inbox) if found is not None else None


def named(tx: Tx, idents: Iterable[Id], reach: Reach) -> list[Person]:
    """Those of the actors that live elsewhere and within ``reach``."""
    return [
        person
        for actor in actors.by_ids(tx, idents).values()
        if audience.within_reach(reach, actor) and (person := person_of(actor)) is not None
    ]


def followers_of(tx: Tx, author: Actor) -> tuple[Person, ...]:
    """The followers elsewhere."""
    return tuple(Person(*row, follower=True) for row in relations.remote_followers(tx, author.id))


def followers_iri(author: Actor) -> Iri:
    """The followers collection."""
    return author.endpoints.followers or Iri(f"{author.iri}/followers")


def audience_of(tx: Tx, post: Post, author: Actor) -> list[Person]:
    """Everybody elsewhere that a post (or boost) is for."""
    # spec: R44 — followers' inboxes and named actors, nobody else
    others = set(posts.mentioned_ids(tx, post.id))
    if post.boost_of_id is not None:
        boosted = posts.by_id(tx, post.boost_of_id)
        others |= {boosted.author_id} if boosted is not None else set()
    if post.reach.domains is None and post.visibility is not Visibility.DIRECT:
        # Every follower is within reach, and of many followers only the inboxes are read.
        people = {person.actor_id: person for person in followers_of(tx, author)}
        return list((people | {person.actor_id: person for person in named(tx, others, post.reach)}).values())
    return [
        Person(r.actor_id, r.iri, r.host, r.inbox, r.shared_inbox, r.actor_id not in others)
        for r in audience.recipients(tx, post, author)
    ]


def fixed(document: Document) -> Callable[[bool], Document]:
    """A document that has one form only."""
    return lambda _: document
