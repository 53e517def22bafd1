"""Reading actors: a peer's actor document becomes a `RemoteActor`, or `BadDocument` says why not.

Everything that an actor names as its own (inbox, collections, keys) must live on its own origin: otherwise one
partner's actor could steer our deliveries to another partner, or borrow somebody else's key.
"""

from __future__ import annotations

import re

from fedishare.activitypub.jsonld import as_list
from fedishare.activitypub.keys import load_multikey, load_public_pem
from fedishare.activitypub.reader_values import (
    MAX_NAME,
    MAX_TAGS,
    Document,
    Reading,
    emojis,
    first,
    flag,
    foreign_id,
    html,
    image,
    iri,
    iris,
    kind_of,
    mapped,
    moment,
    objects,
    page_url,
    reference,
    required_iri,
    same_origin,
    shown,
    text,
)
from fedishare.model.activities import RemoteActor
from fedishare.model.actors import ActorKey, ActorKind, Endpoints, Field, Profile
from fedishare.model.errors import BadDocument, BadInput
from fedishare.model.ids import Domain, Handle, Iri, host_of

# spec: R111 — five types can be followed and mentioned
ACTOR_TYPES = frozenset(kind.value for kind in ActorKind)

MAX_KEYS = 10
MAX_FIELDS = 20
MAX_FIELD_HTML = 4000
MAX_BIO_HTML = 20_000
MAX_ALIASES = 20
MAX_DISPLAY_NAME = 200

_ACCT = re.compile(r"(?:acct:)?@?([^@\s]+@[^@\s]+)\Z")


def read_actor(document: Document, reading: Reading) -> RemoteActor:
    """An actor as its own document states it. Raises `BadDocument`."""
    kind = kind_of(document, ACTOR_TYPES)
    if kind is None:
        raise BadDocument(f"an actor was expected (one of {', '.join(sorted(ACTOR_TYPES))})", path="type")
    me = foreign_id(document, reading)
    return RemoteActor(
        iri=me,
        host=_host(me, reading),
        name=_name(document),
        kind=ActorKind(kind),
        profile=_profile(document, me, reading),
        endpoints=_endpoints(document, me, reading),
        keys=_keys(document, me, reading),
        url=page_url(document.get("url"), me, reading.development),
        webfinger=_webfinger(document),
        published=moment(document.get("published"), reading.now),
    )


def read_key_owner(document: Document, key_id: str, development: bool) -> Iri:
    """Whose key ``key_id`` is, from the document that its URL answers: a key, an actor, or a stub of one.

    It only says where to look: the key counts when the owner's own document lists it. Raises `BadDocument`.
    """
    # spec: R60 — keyId may be a document of its own, possibly a stub of the actor
    for key in (document, *objects(document.get("publicKey"), MAX_KEYS)):
        if key.get("id") == key_id and (owner := iri(key.get("owner") or key.get("controller"), development)):
            break
    else:
        owner = iri(document.get("id"), development) if document.get("publicKey") else None
    if owner is None or not same_origin(owner, key_id):
        raise BadDocument(f"the document at {key_id[:80]!r} names no owner of that key on its own origin", path="owner")
    return owner


def _host(me: Iri, reading: Reading) -> Domain:
    try:
        return host_of(me, development=reading.development)
    except BadInput as error:
        raise BadDocument(error.message, path="id") from error


def _name(document: Document) -> str:
    name = first(document.get("preferredUsername"))
    try:
        handle = Handle.parse(name) if isinstance(name, str) and "@" not in name else None
    except BadInput:
        handle = None
    if handle is None or handle.name != name:
        raise BadDocument(f"a plain user name was expected, found {shown(name)}", path="preferredUsername")
    return handle.name


def _endpoints(document: Document, me: Iri, reading: Reading) -> Endpoints:
    inbox = required_iri(document.get("inbox"), "inbox", reading.development)
    if not same_origin(inbox, me):
        raise BadDocument("the inbox is on another origin than the actor", path="inbox")
    shared = first(document.get("endpoints"))
    return Endpoints(
        inbox=inbox,
        outbox=_own(document.get("outbox"), me, reading),
        followers=_own(document.get("followers"), me, reading),
        following=_own(document.get("following"), me, reading),
        shared_inbox=_own(shared.get("sharedInbox"), me, reading) if isinstance(shared, dict) else None,
    )


def _own(value: object, me: Iri, reading: Reading) -> Iri | None:
    """An address of the actor's own; None when it is elsewhere."""
    found = iri(value, reading.development)
    return found if found is not None and same_origin(found, me) else None


def _keys(document: Document, me: Iri, reading: Reading) -> tuple[ActorKey, ...]:
    """The keys that count: readable, owned by the actor, with an id on its origin. Others are left out."""
    found: dict[str, ActorKey] = {}
    # spec: R61 — publicKey may be an object or a list
    for entry in objects(document.get("publicKey"), MAX_KEYS):
        pem = first(entry.get("publicKeyPem"))
        owner = reference(entry.get("owner"))
        key_id = _key_id(entry, me, reading)
        if key_id is None or not isinstance(pem, str) or owner not in (None, me):
            continue
        try:
            key = load_public_pem(pem)
        except BadDocument:
            continue
        material = key.pem() if key.kind == "rsa" else key.multibase()
        found.setdefault(key_id, ActorKey(key_id, me, key.kind, material))
    # spec: R62 — Ed25519 keys in assertionMethod (Multikey, controller, z6Mk…)
    for entry in objects(document.get("assertionMethod"), MAX_KEYS):
        multibase = first(entry.get("publicKeyMultibase"))
        key_id = _key_id(entry, me, reading)
        if key_id is None or not isinstance(multibase, str) or reference(entry.get("controller")) != me:
            continue
        try:
            load_multikey(multibase)
        except BadDocument:
            continue
        found.setdefault(key_id, ActorKey(key_id, me, "ed25519", multibase))
    return tuple(found.values())


def _key_id(entry: Document, me: Iri, reading: Reading) -> Iri | None:
    """The id of a key, if this actor can have it: on its origin and, with a fragment, in its own document."""
    key_id = _own(entry.get("id"), me, reading)
    if key_id is None or ("#" in key_id and key_id.partition("#")[0] != me):
        return None
    return key_id


def _profile(document: Document, me: Iri, reading: Reading) -> Profile:
    development = reading.development
    tags = objects(document.get("tag"), MAX_TAGS)
    name, _ = mapped(document, "name", "nameMap")
    summary, _ = mapped(document, "summary", "summaryMap")
    return Profile(
        display_name=text(name, MAX_DISPLAY_NAME),
        summary=html(summary, MAX_BIO_HTML),
        fields=_fields(document),
        avatar=image(document.get("icon"), development),
        header=image(document.get("image"), development),
        emojis=emojis(tags, development),
        locked=flag(document.get("manuallyApprovesFollowers")),
        discoverable=flag(document.get("discoverable")),
        indexable=flag(document.get("indexable")),
        memorial=flag(document.get("memorial")),
        also_known_as=iris(document.get("alsoKnownAs"), development, MAX_ALIASES),
        moved_to=iri(document.get("movedTo"), development),
        featured=_own(document.get("featured"), me, reading),
    )


def _fields(document: Document) -> tuple[Field, ...]:
    # spec: R104 — PropertyValue attachments are profile fields
    found: list[Field] = []
    for entry in as_list(document.get("attachment")):
        if len(found) >= MAX_FIELDS:
            break
        if (
            isinstance(entry, dict)
            and kind_of(entry, ("PropertyValue",))
            and (name := text(entry.get("name"), MAX_NAME))
        ):
            found.append(Field(name, html(entry.get("value"), MAX_FIELD_HTML)))
    return tuple(found)


def _webfinger(document: Document) -> str | None:
    # spec: R109 — the webfinger property (FEP-2c59)
    value = first(document.get("webfinger"))
    match = _ACCT.match(value) if isinstance(value, str) and len(value) <= MAX_NAME else None
    return match[1] if match else None
