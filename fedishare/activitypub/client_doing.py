"""What fulfilling a wish needs: the person, the rules, and what the wish names, found and checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import msgspec

from fedishare.activitypub.writer import Document
from fedishare.guard import Guard
from fedishare.model.actors import Actor, ActorState
from fedishare.model.errors import BadInput, NotAllowed, NotFound
from fedishare.model.ids import Id, Iri, Millis
from fedishare.model.media import Kept
from fedishare.model.names import Names, Verb
from fedishare.model.posts import (
    MAX_POLL_SECONDS,
    MIN_POLL_SECONDS,
    Poll,
    Post,
)
from fedishare.services.site import Site, federated
from fedishare.store import actors, posts
from fedishare.store.db import Tx

DAY = 86_400
MISSING = "Record not found"


@dataclass(frozen=True, slots=True)
class Context:
    """What an effect needs besides the wish."""

    site: Site
    guard: Guard
    app_name: str | None = None
    key: str | None = None
    """The Idempotency-Key."""
    pictures: Mapping[str, Kept] = field(default_factory=dict)
    """What was made of the uploads that become pictures of the profile."""


@dataclass(frozen=True, slots=True)
class Made:
    """The activity that came of a wish."""

    iri: Iri
    document: Document
    repeated: bool = False
    """The Idempotency-Key was used before; nothing was done now."""


@dataclass(frozen=True, slots=True)
class Doing:
    """One wish being fulfilled. ``mark`` is older than everything that it makes."""

    tx: Tx
    context: Context
    me: Actor
    mark: Id

    @property
    def names(self) -> Names:
        return self.context.site.names

    def named(self, verb: Verb, change: type[msgspec.Struct]) -> Iri:
        """The id of what was done: the one under which it goes out; a new one where it stays here."""
        number = federated(self.tx, self.me.id, change, self.mark)
        return self.names.activity(self.me.name, verb, number if number is not None else self.tx.new_id())


# Finding what is meant


def actor_of(tx: Tx, iri: Iri) -> Actor:
    found = actors.by_iri(tx, iri)
    if found is None or found.state >= ActorState.SUSPENDED or found.name == actors.INSTANCE_ACTOR:
        raise NotFound(MISSING)
    return found


def seen(doing: Doing, iri: Iri) -> Post:
    """A post that the person may see; hidden looks like missing."""
    found = posts.by_iri(doing.tx, iri)
    if found is None or posts.visible(doing.tx, found.id, doing.me.id) is None:
        raise NotFound(MISSING)
    return found


def own_post(doing: Doing, iri: Iri) -> Post:
    """One's own post (no boost). Others' are refused by name only to those that may see them."""
    found = seen(doing, iri)
    if found.author_id != doing.me.id:
        raise NotAllowed("only its author may change it")
    if found.boost_of_id is not None:
        raise BadInput("an Announce is taken back with Undo", path="object")
    return found


def people_of(doing: Doing, iris: Iterable[Iri]) -> dict[Iri, Actor]:
    wanted = tuple(iris)
    found = actors.by_iris(doing.tx, wanted)
    for iri in wanted:
        actor = found.get(iri)
        if actor is None or actor.state >= ActorState.SUSPENDED or actor.name == actors.INSTANCE_ACTOR:
            raise BadInput(f"{iri[:200]} is nobody who can be addressed; nothing was done", path="to")
    return {iri: found[iri] for iri in wanted}


def handles_of(people: Iterable[Actor]) -> dict[str, str]:
    """What links to these people stand for in a text."""
    return {address: f"@{actor.handle}" for actor in people for address in (actor.iri, actor.url) if address}


def upload_number(iri: Iri, start: str) -> Id | None:
    """The number of an upload from its id, which begins with ``start``; None for anything else."""
    number = iri.removeprefix(start)
    ours = number != iri and number.isascii() and number.isdigit() and len(number) < 19
    return Id(int(number)) if ours else None


def uploads_of(doing: Doing, files: tuple[Iri, ...]) -> tuple[Id, ...]:
    found = []
    for iri in files:
        number = upload_number(iri, f"{doing.names.uploads()}/")
        if number is None:
            raise BadInput(
                f"attachment: the id of an upload of yours was expected, found {iri[:200]}", path="attachment"
            )
        found.append(number)
    return tuple(found)


def timed(poll: Poll | None, now: Millis) -> Poll | None:
    if poll is None:
        return None
    ends = poll.ends_at if poll.ends_at is not None else Millis(now + DAY * 1000)
    # Clocks differ a little, and five minutes from now is a little less when it arrives.
    if not MIN_POLL_SECONDS - 60 <= (ends - now) / 1000 <= MAX_POLL_SECONDS + 60:
        sentence = f"Validation failed: a poll lasts {MIN_POLL_SECONDS} to {MAX_POLL_SECONDS} seconds"
        raise BadInput(sentence, path="endTime")
    return replace(poll, ends_at=ends)
