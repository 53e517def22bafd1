"""Values and documents that the tests of reading and writing share: Ana at the clinic, Bob at the lab."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from fedishare.activitypub import reader
from fedishare.activitypub.jsonld import normalise
from fedishare.model.activities import Intent
from fedishare.model.actors import Actor, ActorKind, ActorState, Endpoints, Profile
from fedishare.model.ids import Domain, Id, Iri, Millis
from fedishare.model.names import Names
from fedishare.model.posts import PARTNERS, Content, Post, PostKind, Visibility

CLINIC = Names("https://clinic.example", Domain("clinic.example"))
LAB = Names("https://lab.example", Domain("lab.example"))
ANA, BOB = CLINIC.actor("ana"), LAB.actor("bob")
NOW = Millis(1_800_000_000_000)
PUBLIC = "https://www.w3.org/ns/activitystreams#Public"
CONTEXT = "https://www.w3.org/ns/activitystreams"


def local_actor(name: str = "ana", names: Names = CLINIC, **profile: Any) -> Actor:
    """A person of ``names``, as its own instance stores it."""
    iri = names.actor(name)
    endpoints = Endpoints(
        names.inbox(name), names.outbox(name), names.followers(name), names.following(name), names.shared_inbox()
    )
    return Actor(
        id=Id(11),
        iri=iri,
        name=name,
        domain=None,
        host=None,
        kind=ActorKind.PERSON,
        state=ActorState.ACTIVE,
        profile=Profile(**profile),
        endpoints=endpoints,
        url=names.profile_page(name),
        created_at=Millis(NOW - 5_000),
        fetched_at=NOW,
    )


def local_post(html: str = "<p>hello</p>", names: Names = CLINIC, **changes: Any) -> Post:
    """A public post of Ana's (at ``names``), as its own instance stores it."""
    post = Post(
        id=Id(42),
        iri=names.post("ana", Id(42)),
        url=names.post_page("ana", Id(42)),
        author_id=Id(11),
        local=True,
        kind=PostKind.NOTE,
        visibility=Visibility.PUBLIC,
        reach=PARTNERS,
        content=Content(html),
        published=Millis(NOW - 2_000),
        created_at=Millis(NOW - 2_000),
    )
    return replace(post, **changes)


def note(**changes: Any) -> dict[str, Any]:
    """A Note of Bob's, addressed to everybody; None removes a field."""
    document = {
        "id": "https://lab.example/users/bob/statuses/1",
        "type": "Note",
        "attributedTo": BOB,
        "content": "<p>hello</p>",
        "published": "2026-07-01T10:00:00Z",
        "to": [PUBLIC],
        "cc": ["https://lab.example/users/bob/followers"],
    } | changes
    return {key: value for key, value in document.items() if value is not None}


def activity(kind: str, inner: object, **changes: Any) -> dict[str, Any]:
    """An activity of Bob's; None removes a field."""
    document = {
        "@context": CONTEXT,
        "id": f"https://lab.example/users/bob/{kind.lower()}/1",
        "type": kind,
        "actor": BOB,
        "object": inner,
        "to": [PUBLIC],
    } | changes
    return {key: value for key, value in document.items() if value is not None}


def actor(**changes: Any) -> dict[str, Any]:
    """Bob's own document; None removes a field."""
    document = {
        "@context": CONTEXT,
        "id": BOB,
        "type": "Person",
        "preferredUsername": "bob",
        "inbox": BOB + "/inbox",
        "outbox": BOB + "/outbox",
        "followers": BOB + "/followers",
        "following": BOB + "/following",
        "endpoints": {"sharedInbox": "https://lab.example/inbox"},
    } | changes
    return {key: value for key, value in document.items() if value is not None}


def read(document: dict[str, Any], signer: Iri = BOB) -> Intent:
    """The intent of a document that ``signer`` sent to the clinic, through JSON and normalising."""
    return reader.intent(normalise(json.loads(json.dumps(document))), signer=signer, names=CLINIC, now=NOW)
