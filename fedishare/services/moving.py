"""Moving: the names under which somebody is known elsewhere, and going there."""

from __future__ import annotations

from dataclasses import replace

from fedishare.model.actors import Actor
from fedishare.model.errors import BadInput, NotFound
from fedishare.model.ids import Id, Iri
from fedishare.services import accounts, relations
from fedishare.services.site import Site
from fedishare.store import actors
from fedishare.store.db import Tx

MAX_ALIASES = 10


def aliases(tx: Tx, actor: Actor) -> list[Actor]:
    """The accounts that a local person says are theirs too, in the order given."""
    known = actors.by_iris(tx, actor.profile.also_known_as)
    return [known[iri] for iri in actor.profile.also_known_as if iri in known]


def add_alias(tx: Tx, actor: Actor, target: Actor) -> Actor:
    """An account elsewhere is theirs, too: what it says about moving here counts. Raises `BadInput`."""
    if target.id == actor.id:
        raise BadInput("Validation failed: Acct cannot be current account", path="acct")
    named = actor.profile.also_known_as
    if target.iri in named:
        return actor
    if len(named) >= MAX_ALIASES:
        raise BadInput(f"Validation failed: there are {MAX_ALIASES} aliases already; remove one first", path="acct")
    return _name(tx, actor, (*named, target.iri))


def drop_alias(tx: Tx, actor: Actor, ident: Id) -> Actor:
    """It is theirs no more. Raises `NotFound`."""
    target = actors.by_id(tx, ident)
    named = actor.profile.also_known_as
    if target is None or target.iri not in named:
        raise NotFound("Record not found")
    return _name(tx, actor, tuple(iri for iri in named if iri != target.iri))


def _name(tx: Tx, actor: Actor, named: tuple[Iri, ...]) -> Actor:
    return accounts.update_profile(tx, actor, replace(actor.profile, also_known_as=named))


def move(tx: Tx, site: Site, actor: Actor, target: Actor) -> int:
    """A local person goes to an account that names this one as theirs; returns how many followers here went along.

    Followers elsewhere are told, and their servers do the same. Raises `BadInput` with Mastodon's wording.
    """
    # spec: R105, R106 — both sides name each other before anybody is moved
    if target.id == actor.id:
        raise BadInput("Validation failed: Acct cannot be current account", path="acct")
    if actor.profile.moved_to == target.iri:
        raise BadInput("Validation failed: Acct is the same account you have already moved to", path="acct")
    if actor.iri not in target.profile.also_known_as or target.profile.moved_to is not None:
        raise BadInput("Validation failed: Acct is not an alias of this account", path="acct")
    accounts.move(tx, actor, replace(actor.profile, moved_to=target.iri), target.iri)
    return relations.receive_move(tx, site, actor, target)


def stay(tx: Tx, actor: Actor) -> Actor:
    """Take it back: the account leads nowhere any more. Followers who went do not come back by themselves."""
    if actor.profile.moved_to is None:
        return actor
    return accounts.update_profile(tx, actor, replace(actor.profile, moved_to=None))
