"""The inbox: a delivery is verified, judged, and given its effect in one durable transaction, and only then answered.

What is in the store already is done at once; what must be read at a partner becomes a job in the same transaction, so
that the answer never waits for the sender. 202 means that the effect, or the job for it, survives whatever happens.

Activities of somebody else than the signer (forwarded ones) count only with a proof of their own actor; otherwise they
are hints: their object is read at its own origin, if that is a partner's.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256

import msgspec

from fedishare.activitypub import effects, fetching, jsonld, peers, proofs, reader, resolver
from fedishare.activitypub.effects import (
    APPLY,
    ApplyJob,
    EraseJob,
    Inbound,
    RefreshJob,
    RelayJob,
    Result,
    Synchronisation,
    SynchroniseJob,
)
from fedishare.activitypub.federation import Federation, is_activity_type
from fedishare.activitypub.jsonld import Document, iri_of
from fedishare.activitypub.keyring import KnownKey
from fedishare.guard import Held, Ignored
from fedishare.http.call import Answer, Call, error_answer
from fedishare.jobs import Handler
from fedishare.jobs import Result as JobResult
from fedishare.model.activities import Envelope, Ignore
from fedishare.model.actors import Actor, ActorState
from fedishare.model.errors import (
    BadDocument,
    BadInput,
    FetchFailed,
    NotAllowed,
    SignatureError,
    SignatureReason,
    TooLarge,
    TooMany,
    Unavailable,
)
from fedishare.model.ids import Domain, Id, Iri, host_of, origin_of
from fedishare.model.partners import Partner
from fedishare.model.posts import Visibility
from fedishare.policy.facts import Purpose
from fedishare.services import blind
from fedishare.store import actors, jobs
from fedishare.store.db import Tx
from fedishare.store.jobs import Job

HOUR = 3_600_000
MAX_HEARD = 5_000
_HINTS = frozenset(("Create", "Update", "Delete"))
_SYNC = re.compile(r'\s*(collectionId|url|digest)\s*=\s*"([^"\\]{1,2048})"\s*(?:,|\Z)')
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class Arrival:
    """An activity whose actor is proven, by the request's signature or by its own proof."""

    document: Document
    envelope: Envelope
    actor_id: Id
    host: Domain
    partner: Partner
    body: bytes
    synchronisation: Synchronisation | None = None


def accepted() -> Answer:
    """What every activity is answered that was taken in, known already, or ignored."""
    return Answer(status=202)


async def receive(federation: Federation, call: Call) -> Answer:
    """Answer a POST to an inbox: 202, or what `router` makes of the error.

    Raises `SignatureError` (401), `PolicyRefusal` and `NotAllowed` (403), `BadDocument` (400), `TooLarge` (413),
    `TooMany` (429), `Unavailable` (503).
    """
    # spec: R25 — ActivityStreams media types, with or without charset
    if not is_activity_type(call.headers.get("content-type", "")):
        return error_answer("application/activity+json was expected as Content-Type", 415)
    try:
        delivered = await peers.verify_post(federation, call)
    except peers.SignerGone as gone:
        if _is_farewell(federation, gone):
            return accepted()
        raise
    if delivered.deleted:
        return accepted()
    await _mind_backlog(federation)
    raw = fetching.parse_raw(federation, delivered.body)
    document = jsonld.normalise(raw)
    envelope = reader.envelope(document, development=federation.instance.site.development)
    peer = delivered.peer
    if envelope.actor != peer.actor:
        await _forwarded(federation, raw, document, envelope, delivered)
        return accepted()
    assert peer.actor_id is not None  # noqa: S101 — a key is always kept with its owner
    synchronisation = _synchronisation(call.headers.get("collection-synchronization"), peer.actor)
    arrival = Arrival(document, envelope, peer.actor_id, peer.host, peer.partner, delivered.body, synchronisation)
    await take_in(federation, arrival)
    await _hand_over(federation, arrival, call.params.get("name"))
    return accepted()


async def _hand_over(federation: Federation, arrival: Arrival, name: str | None) -> None:
    """A direct post in a personal inbox is for that person, named in it or not (``bto`` and ``bcc`` name nobody)."""
    envelope, names = arrival.envelope, federation.instance.site.names
    if name is None or envelope.type != "Create" or envelope.visibility is not Visibility.DIRECT:
        return
    addressee, post = names.actor(name), envelope.object_iri
    if post is not None and addressee not in (*envelope.to, *envelope.cc):
        await federation.instance.database.write(blind.hand_to, arrival.actor_id, post, addressee)


async def take_in(federation: Federation, arrival: Arrival) -> Result:
    """Judge an activity of a proven actor, record it and give it its effect. Raises `PolicyRefusal`, `BadDocument`,
    `NotAllowed`."""
    instance, envelope = federation.instance, arrival.envelope
    site = instance.site
    decision = instance.guard.admit(envelope, arrival.partner, len(arrival.body))
    if isinstance(decision, Ignored):
        return Result.NOTHING
    now = instance.clock()
    intent = reader.intent(
        arrival.document, signer=envelope.actor, names=site.names, now=now, development=site.development
    )
    if isinstance(intent, Ignore):
        return Result.NOTHING
    key = envelope.iri or _key_of(arrival.body, now)
    if isinstance(decision, Held):
        await instance.database.write(
            effects.hold, key, envelope.actor, envelope.type, decision.partner.domain, decision.rule,
            decision.revision, arrival.body.decode(),
        )  # fmt: skip
        return Result.QUEUED
    inbound = Inbound(
        intent, arrival.actor_id, key, envelope.type, arrival.host, decision.partner.domain, decision.rule,
        decision.revision, arrival.body, _due(federation, envelope.actor, arrival.synchronisation),
        _first_for_long(federation, arrival.host),
    )  # fmt: skip
    # spec: R24 — what needs the sender becomes a job in the same transaction
    return await instance.database.write(effects.record_and_apply, site, inbound)


def _first_for_long(federation: Federation, host: Domain) -> bool:
    """Whether the host's circuit is to be looked at: once a second is enough. Hosts are partners', so they are few."""
    heard, now = federation.memory.heard, federation.instance.clock()
    if abs(now - heard.get(host, 0)) < 1000:
        return False
    if len(heard) >= MAX_HEARD:
        heard.clear()
    heard[host] = now
    return True


def _key_of(body: bytes, now: int) -> str:
    """A name for an activity without an id: the same bytes within the hour are the same activity."""
    return f"sha256:{sha256(body).hexdigest()}:{now // HOUR}"


async def _mind_backlog(federation: Federation) -> None:
    """Refuse new work while too much waits. Counted at most once a second. Raises `Unavailable`."""
    instance, memory = federation.instance, federation.memory
    limits, now = instance.config.limits, instance.clock()
    if abs(now - memory.backlog_at) >= 1000:
        memory.backlog_at = now
        memory.backlog = await instance.database.read(jobs.backlog, limits.backlog + 1)
    if memory.backlog > limits.backlog:
        raise Unavailable("too much is waiting here; come back later", retry_after=limits.retry_after_seconds)


def _is_farewell(federation: Federation, gone: peers.SignerGone) -> bool:
    """Whether this is the Delete of an actor whose key cannot be had any more, and whom we do not know."""
    # spec: R48 — answered 2xx and dropped
    try:
        document = fetching.parse(federation, gone.body)
    except (BadDocument, TooLarge):
        return False
    actor = iri_of(document.get("actor"))
    same = actor is not None and actor == iri_of(document.get("object"))
    return same and "Delete" in jsonld.types_of(document) and origin_of(actor or "") == origin_of(gone.key_id)


# Forwarded activities


async def _forwarded(
    federation: Federation, raw: object, document: Document, envelope: Envelope, delivered: peers.Delivered
) -> None:
    """An activity of somebody else than the signer: proven by itself, or a hint, or refused."""
    instance = federation.instance
    host = _host(federation, envelope.actor)
    partner = instance.guard.admit_peer(host)
    if isinstance(raw, dict) and "proof" in raw:
        # spec: R63 — a proof of the actor's own lets it be believed without the origin's HTTP signature
        actor = await _proven(federation, raw, envelope.actor)
        await take_in(federation, Arrival(document, envelope, actor.id, host, partner, delivered.body))
        return
    target = envelope.object_iri
    elsewhere = host != delivered.peer.host
    if not elsewhere or envelope.type not in _HINTS or target is None or origin_of(target) != origin_of(envelope.actor):
        # spec: R5 — the activity's actor must be the owner of the key
        message = f"signed by {delivered.peer.actor[:200]}, but the actor is {envelope.actor[:200]}"
        raise SignatureError(message, reason=SignatureReason.OWNER)
    # spec: R32, R65 — LD signatures are not trusted: the object is read at its origin
    limit = instance.config.limits.key_fetch_rate
    federation.rates.take("forwarded", delivered.peer.partner.domain, limit)
    await instance.database.write(_queue_refresh, target)


def _queue_refresh(tx: Tx, target: Iri) -> None:
    effects.later(tx, RefreshJob(target), target)


def _host(federation: Federation, iri: str) -> Domain:
    try:
        return host_of(iri, development=federation.instance.site.development)
    except BadInput as error:
        raise BadDocument(f"the activity's actor has no host: {error}", path="actor") from error


async def _proven(federation: Federation, raw: dict[str, object], actor_iri: Iri) -> Actor:
    """The actor of an activity that carries an object integrity proof of that actor. Raises `SignatureError`."""
    proof = proofs.parse(raw)
    method = proof.verification_method
    if origin_of(method) != origin_of(actor_iri):
        raise SignatureError("the proof is not by the activity's actor", reason=SignatureReason.OWNER)
    known = await federation.keyring.known(method)
    if known is None:
        federation.instance.guard.permit_fetch(method, Purpose.KEY)
        known = await _key(federation, method)
    # spec: R64 — by the activity's own actor, not expired, with the document's context
    proofs.verify(raw, known.key, now=federation.instance.clock())
    actor, methods = await federation.instance.database.read(_actor_and_methods, actor_iri)
    proofs.require_owner(proof, actor_iri, methods)
    if actor is None or actor.id != known.actor_id:
        raise SignatureError("the proof is not by the activity's actor", reason=SignatureReason.OWNER)
    if actor.state >= ActorState.SUSPENDED:
        raise NotAllowed(f"{actor.iri} cannot act here any more")
    return actor


async def _key(federation: Federation, method: str) -> KnownKey:
    try:
        return await resolver.fetch_key(federation, method)
    except (FetchFailed, BadDocument) as error:
        message = f"the key {method[:200]} of the proof cannot be read: {error}"
        raise SignatureError(message, reason=SignatureReason.NO_KEY) from error


def _actor_and_methods(tx: Tx, iri: Iri) -> tuple[Actor | None, frozenset[str]]:
    actor = actors.by_iri(tx, iri)
    keys = actors.keys_of(tx, actor) if actor is not None else ()
    return actor, frozenset(key.key_id for key in keys if key.kind == "ed25519")


# Followers' synchronisation


def _synchronisation(header: str | None, actor: Iri) -> Synchronisation | None:
    """What `Collection-Synchronization` says, if it is about the signer's own followers. spec: R119"""
    if header is None or len(header) > 8192:
        return None
    found = {match[1]: match[2] for match in _SYNC.finditer(header)}
    url, digest, collection = found.get("url"), found.get("digest", "").lower(), found.get("collectionId", "")
    if url is None or not _DIGEST.match(digest):
        return None
    home = origin_of(actor)
    return Synchronisation(url, digest) if origin_of(url) == home == origin_of(collection) else None


def _due(federation: Federation, actor: Iri, stated: Synchronisation | None) -> Synchronisation | None:
    """The comparison reads all followers here, so it is made at most once a minute for each actor."""
    if stated is None:
        return None
    try:
        federation.rates.take("synchronise", actor, 1)
    except TooMany:
        return None
    return stated


# Jobs


def handlers(federation: Federation) -> dict[str, Handler]:
    """The jobs of this module: by kind, what runs them."""
    return {APPLY: Handler(partial(run_apply, federation))}


async def run_apply(federation: Federation, job: Job) -> JobResult | None:
    """What a transaction left to do. Raises `FetchFailed` and `PolicyRefusal` like `resolver.run_fetch`."""
    what: ApplyJob = msgspec.json.decode(job.payload, type=ApplyJob)
    match what:
        case RelayJob():
            return await resolver.settled(_run_relay(federation, what))
        case RefreshJob(iri):
            return await resolver.settled(resolver.refresh_post(federation, Iri(iri)))
        case SynchroniseJob():
            return await resolver.settled(_run_synchronise(federation, what))
        case EraseJob(actor_id):
            while not await federation.instance.database.write(effects.erase, actor_id):
                pass
            return None


async def _run_relay(federation: Federation, what: RelayJob) -> None:
    """An activity that a group announced: proven by its own actor, or read at its own id; judged as its actor's."""
    # spec: R112 — unwrapped and handled as that activity, after checking its proof or fetching it
    raw = fetching.parse_raw(federation, what.document.encode())
    document = jsonld.normalise(raw)
    actor: Actor | None = None
    if "proof" in document:
        with suppress(SignatureError):
            actor = await _proven(federation, raw, reader.envelope(document).actor)
    if actor is None:
        found = await _relayed_document(federation, what, document)
        if found is None:
            return
        document = found
    envelope = reader.envelope(document, development=federation.instance.site.development)
    host = _host(federation, envelope.actor)
    partner = federation.instance.guard.admit_peer(host)
    if actor is None:
        actor = await resolver.known_or_fetched(federation, envelope.actor)
    await take_in(federation, Arrival(document, envelope, actor.id, host, partner, msgspec.json.encode(document)))


async def _relayed_document(federation: Federation, what: RelayJob, announced: Document) -> Document | None:
    """The activity as its origin has it. Where only the post can be had, that is read instead, and it is None."""
    try:
        return await fetching.document(federation, what.iri, Purpose.OBJECT)
    except FetchFailed as error:
        hint = reader.envelope(announced, development=federation.instance.site.development)
        readable = hint.type in _HINTS and hint.object_iri is not None
        if error.http_status not in (401, 403, 404, 410) or not readable or hint.object_iri is None:
            raise
        if origin_of(hint.object_iri) != origin_of(hint.actor):
            raise
        await resolver.refresh_post(federation, hint.object_iri)
        return None


async def _run_synchronise(federation: Federation, what: SynchroniseJob) -> None:
    # spec: R119 — stale follows are removed
    before = federation.instance.clock()
    entries = await fetching.collection(federation, what.url)
    if len(entries) >= federation.instance.config.limits.collection_items:
        return  # not all of it was read, so absence says nothing
    listed = frozenset(each if isinstance(each, str) else str(each.get("id")) for each in entries)
    await federation.instance.database.write(effects.end_stale_follows, Iri(what.actor), listed, before)
