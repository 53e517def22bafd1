"""Notes, endorsements, domains that people block, and whom they might know."""

from __future__ import annotations

from dataclasses import dataclass

from fedishare.model.actors import Actor
from fedishare.model.errors import BadInput, NotFound
from fedishare.model.ids import Domain, Id, parse_domain
from fedishare.services import relations as relation_services
from fedishare.store import actors, people, relations
from fedishare.store.db import Tx

MAX_NOTE = 2000
MAX_DOMAINS = 5_000
INVALID_DOMAIN = "Validation failed: Domain is not a valid domain name"


@dataclass(frozen=True, slots=True)
class Suggested:
    """Somebody to follow, and why: Mastodon's words for it."""

    actor: Actor
    sources: tuple[str, ...]


def known(tx: Tx, ident: Id) -> Actor:
    """Somebody who is there, local or a partner's. Raises `NotFound`."""
    actor = actors.by_id(tx, ident)
    if actor is None or actor.state >= 2 or actor.name == actors.INSTANCE_ACTOR:
        raise NotFound("Record not found")
    return actor


def note(tx: Tx, actor: Actor, target: Id, comment: str) -> None:
    """What a local person notes about somebody, seen by nobody else. Raises `NotFound`, `BadInput`."""
    if len(comment) > MAX_NOTE:
        raise BadInput(f"Validation failed: Comment is too long (maximum is {MAX_NOTE} characters)", path="comment")
    people.put_note(tx, actor.id, known(tx, target).id, comment.strip())


def endorse(tx: Tx, actor: Actor, target: Id) -> None:
    """A local person recommends somebody they follow. Raises `NotFound`, `BadInput` with Mastodon's wording."""
    followed = relations.follow(tx, actor.id, known(tx, target).id)
    if followed is None or followed.state != 1:
        raise BadInput("Validation failed: You must be already following the person you want to endorse")
    people.endorse(tx, actor.id, target)


def wanted_domain(text: str, *, ours: Domain) -> Domain:
    """The domain that somebody wants to block. Raises `BadInput` with Mastodon's wording."""
    if not text.strip():
        raise BadInput("Validation failed: Domain can't be blank", path="domain")
    try:
        domain = parse_domain(text.strip().removeprefix("@"))
    except BadInput as error:
        raise BadInput(INVALID_DOMAIN, path="domain") from error
    if domain == ours:
        raise BadInput("Validation failed: Domain is this instance's own; block people instead", path="domain")
    return domain


def block_domain(tx: Tx, actor: Actor, domain: Domain) -> None:
    """A local person wants nothing of a domain: follows in both directions end, notifications from there go.

    Raises `BadInput` beyond the limit.
    """
    tx.lock(f"domain blocks:{actor.id}")
    if not people.block_domain(tx, actor.id, domain):
        return
    if people.count_domains(tx, actor.id) > MAX_DOMAINS:
        raise BadInput(f"Validation failed: You cannot block more than {MAX_DOMAINS} domains", path="domain")
    for ident in people.followed_at(tx, actor.id, domain):
        relation_services.unfollow(tx, actor, ident)
    for ident in people.followers_from(tx, actor.id, domain):
        relation_services.remove_follower(tx, actor, ident)
    people.forget_from_domain(tx, actor.id, domain)


def suggestions(tx: Tx, viewer: Id, limit: int) -> list[Suggested]:
    """Whom somebody might follow: first whom their friends follow, then whom many here follow."""
    found: dict[Id, Suggested] = {}
    for source, listing in (("friends_of_friends", people.friends_of_friends), ("most_followed", people.popular)):
        for actor in listing(tx, viewer, limit):
            before = found[actor.id].sources if actor.id in found else ()
            found[actor.id] = Suggested(actor, (*before, source))
    return list(found.values())[:limit]


def dismiss_suggestion(tx: Tx, viewer: Id, target: Id) -> None:
    """Suggest somebody no more."""
    if actors.by_id(tx, target) is not None:
        people.dismiss_suggestion(tx, viewer, target)
