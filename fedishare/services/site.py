"""The site: what services need to know of this instance, as one frozen value."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from fedishare.model.errors import BadInput
from fedishare.model.ids import Id, host_of
from fedishare.model.names import Names
from fedishare.model.outgoing import Outgoing
from fedishare.model.posts import LOCAL, Reach, Visibility
from fedishare.store import jobs
from fedishare.store.db import Tx

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Outgoing).decode

FEDERATE = "federate"
FETCH = "fetch"
QUOTE = "quote"


def always(_: str) -> bool:
    """Yes."""
    return True


@dataclass(frozen=True, slots=True)
class Site:
    """Names and rules of this instance."""

    names: Names
    max_characters: int = 140
    default_visibility: Visibility = Visibility.PUBLIC
    default_reach: Reach = LOCAL
    development: bool = False
    public_addressing: bool = False
    max_poll_options: int = 4
    max_option_characters: int = 50
    max_attachments: int = 4
    max_pins: int = 5
    may_preview: Callable[[str], bool] = always
    """Whether a host may be asked for previews of links at all, before anybody looks closer."""


class FetchPostJob(msgspec.Struct, frozen=True, tag="post"):
    """Read a post at its origin: a parent, a boosted post, or one that came without its content."""

    iri: str
    depth: int = 0
    """How many parents above the first one were read already."""
    boost_by: str = ""
    """The Announce to apply once the post is here: its actor …"""
    boost_body: str = ""
    """… and its document."""


class FetchActorJob(msgspec.Struct, frozen=True, tag="actor"):
    """Read an actor's document again (stale, or a Move to check)."""

    iri: str
    move_from: str = ""
    """The actor that says it moved to ``iri``."""


Fetch = FetchPostJob | FetchActorJob


class CheckQuoteJob(msgspec.Struct, frozen=True, tag="check"):
    """Read what a post quotes, and the authorization that it names."""

    post_id: Id
    iri: str
    """What is read first, for the line in which it waits."""
    depth: int = 0
    """How many quoted posts behind each other were read already."""


class ReadQuoteJob(msgspec.Struct, frozen=True, tag="read"):
    """Read a partner's post that asks to quote one of ours, and answer."""

    quoter: str
    iri: str
    """The quoting post."""
    quoted: str
    request: str = ""


QuoteJob = CheckQuoteJob | ReadQuoteJob


def federate(tx: Tx, actor_id: Id, change: Outgoing) -> None:
    """Queue a change for federation, in the order of its actor's changes."""
    jobs.put(tx, FEDERATE, _encode(change).decode(), lane=f"author:{actor_id}")


def federated(tx: Tx, actor_id: Id, kind: type[msgspec.Struct], mark: Id) -> Id | None:
    """The number under which the first change of a kind goes out that an actor made after the id ``mark``."""
    for ident, payload in jobs.since(tx, FEDERATE, f"author:{actor_id}", mark):
        if isinstance(_decode(payload), kind):
            return ident
    return None


def fetch(tx: Tx, what: Fetch) -> None:
    """Queue a fetch; at most one is queued for the same thing."""
    payload = _encode(what).decode()
    jobs.put(tx, FETCH, payload, lane=f"fetch:{what.iri}", host=_host(what.iri), dedup=dedup_of(FETCH, payload))


def check_quote(tx: Tx, what: QuoteJob) -> None:
    """Queue what must be read for a quote; at most one is queued for the same thing."""
    payload = _encode(what).decode()
    jobs.put(tx, QUOTE, payload, lane=f"quote:{what.iri}", host=_host(what.iri), dedup=dedup_of(QUOTE, payload))


def _host(iri: str) -> str | None:
    """Whose slots and circuit a fetch uses, so that a host that does not answer holds up nobody else's."""
    try:
        return host_of(iri, development=True)
    except BadInput:
        return None


def dedup_of(kind: str, payload: str) -> str:
    """A short name for a job: payloads may be long, and the name stands in an index."""
    return f"{kind}:{hashlib.blake2b(payload.encode(), digest_size=16).hexdigest()}"
