"""The resolver: IRIs, handles and addresses become actors, keys and posts, read from partners and kept.

Everything here asks the guard before it asks the network, and checks before it stores: an actor is believed from its
own id, its handle from WebFinger that leads back to it, a key from its owner's own document, and a post from its own
id, judged like a Create of its author.
"""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial

import msgspec

from fedishare.activitypub import fetching, reader
from fedishare.activitypub.federation import Federation
from fedishare.activitypub.jsonld import Document, iri_of, types_of
from fedishare.activitypub.keyring import KnownKey
from fedishare.activitypub.reader_actors import ACTOR_TYPES
from fedishare.activitypub.reader_posts import POST_TYPES, has_media, is_vote
from fedishare.guard import Admission
from fedishare.jobs import Cancelled, Handler
from fedishare.jobs import Result as JobResult
from fedishare.model.activities import Boost, Envelope, RemoteActor
from fedishare.model.actors import Actor, ActorState
from fedishare.model.errors import (
    BadDocument,
    BadInput,
    FetchFailed,
    NotAllowed,
    NotFound,
    SignatureError,
    SignatureReason,
    TooLarge,
)
from fedishare.model.ids import Domain, Handle, Iri, host_of
from fedishare.model.names import RefKind
from fedishare.model.posts import Post, RemotePost
from fedishare.policy.facts import Purpose
from fedishare.services import interactions, relations
from fedishare.services import posts as post_services
from fedishare.services.site import FETCH, Fetch, FetchActorJob, FetchPostJob, fetch
from fedishare.store import actors, posts, tombstones
from fedishare.store.db import Tx
from fedishare.store.jobs import Job
from fedishare.webfinger.lookup import lookup

STALE = 24 * 3600 * 1000
"""An actor's document is read again when the actor is seen after this time; milliseconds. spec: R103"""
_LATER = frozenset((408, 425, 429))
_NO_ACCOUNT = frozenset((400, 404, 410))


# Actors


async def known_or_fetched(federation: Federation, iri: Iri) -> Actor:
    """The actor with that id: the one that we keep, or read now. Raises what `fetch_actor` does."""
    found = await federation.instance.database.read_fast(actors.by_iri, iri)
    return found if found is not None else await fetch_actor(federation, iri)


async def fetch_actor(federation: Federation, iri: Iri, purpose: Purpose = Purpose.ACTOR) -> Actor:
    """Read an actor at its own id, check its handle, and keep it with its keys.

    Raises `PolicyRefusal` (nothing was connected), `FetchFailed`, `BadDocument`, `TooLarge`.
    """
    return await federation.memory.once(f"actor:{iri}", partial(_fetch_actor, federation, iri, purpose))


async def _fetch_actor(federation: Federation, iri: Iri, purpose: Purpose) -> Actor:
    return await _keep_actor(federation, await fetching.document(federation, iri, purpose))


async def _keep_actor(federation: Federation, document: Document) -> Actor:
    instance = federation.instance
    site = instance.site
    remote = reader.actor(document, names=site.names, now=instance.clock(), development=site.development)
    domain, confirmed = await _handle_domain(federation, remote)
    return await instance.database.write(_put_actor, remote, domain, confirmed)


def _put_actor(tx: Tx, remote: RemoteActor, domain: Domain, confirmed: bool) -> Actor:
    known = actors.by_iri(tx, remote.iri)
    if known is not None and known.state is ActorState.DELETED:
        return known  # nothing brings it back
    holder = actors.by_handle(tx, Handle(remote.name, domain))
    if not confirmed and holder is not None and holder.iri != remote.iri:
        raise BadDocument(f"@{remote.name}@{domain} is {holder.iri}, and WebFinger does not say otherwise")
    return actors.put_remote(tx, remote, domain)


async def _handle_domain(federation: Federation, remote: RemoteActor) -> tuple[Domain, bool]:
    """The domain of an actor's handle, and whether WebFinger confirms it.

    What the document claims (`webfinger`) and what its host's WebFinger names as subject may be another domain of the
    same partner; that domain must lead back to this very actor. An actor that WebFinger leads to somebody else from
    is refused; one without WebFinger is shown under its host as long as nobody else has that name.
    """
    # spec: R108, R109 — split domains, checked in both directions
    claimed = _claimed(federation, remote)
    if claimed is not None and await _leads_to(federation, claimed, remote.iri):
        assert claimed.domain is not None  # noqa: S101 — for the type checker
        return claimed.domain, True
    own = Handle(remote.name, remote.host)
    try:
        jrd = await lookup(federation.instance, own)
    except FetchFailed as error:
        if error.http_status in _NO_ACCOUNT:
            return remote.host, False
        raise
    if jrd.self_iri is None:
        return remote.host, False
    if jrd.self_iri != remote.iri:
        raise BadDocument(f"@{own} is {jrd.self_iri[:200]}, not {remote.iri[:200]}", path="preferredUsername")
    subject = jrd.handle(development=federation.instance.site.development)
    if subject is None or subject.domain is None or not _other_name(federation, remote, subject):
        return remote.host, True
    return (subject.domain if await _leads_to(federation, subject, remote.iri) else remote.host), True


def _claimed(federation: Federation, remote: RemoteActor) -> Handle | None:
    if remote.webfinger is None:
        return None
    try:
        handle = Handle.parse(remote.webfinger, development=federation.instance.site.development)
    except BadInput:
        return None
    return handle if _other_name(federation, remote, handle) else None


def _other_name(federation: Federation, remote: RemoteActor, handle: Handle) -> bool:
    """Whether a handle is the same name on another domain of the same partner."""
    guard = federation.instance.guard
    partner = guard.policy.find(remote.host)[1]
    if handle.domain is None or handle.domain == remote.host or handle.name.lower() != remote.name.lower():
        return False
    return partner is not None and guard.same_peer(partner, handle.domain)


async def _leads_to(federation: Federation, handle: Handle, iri: Iri) -> bool:
    try:
        return (await lookup(federation.instance, handle)).self_iri == iri
    except BadDocument:
        return False
    except FetchFailed as error:
        if error.http_status in _NO_ACCOUNT:
            return False
        raise


async def resolve_handle(federation: Federation, handle: Handle) -> Actor:
    """The actor of a handle, local or of a partner.

    Raises `NotFound`, `PolicyRefusal` with the rule's name (nothing was connected), `FetchFailed`, `BadDocument`.
    """
    instance = federation.instance
    if handle.domain is None or handle.domain == instance.site.names.domain:
        return _alive(await instance.database.read_fast(actors.by_handle, Handle(handle.name)), handle)
    # Asked also about people whom we know, so that a partner that was removed is refused by name.
    instance.guard.permit_fetch(f"{_scheme(federation)}://{handle.domain}/", Purpose.WEBFINGER)
    known = await instance.database.read_fast(actors.by_handle, handle)
    if known is not None:
        await _refresh_if_stale(federation, known)
        return _alive(known, handle)
    try:
        jrd = await lookup(instance, handle)
    except FetchFailed as error:
        if error.http_status in _NO_ACCOUNT:
            raise NotFound(f"there is no @{handle}") from error
        raise
    if jrd.self_iri is None:
        raise NotFound(f"there is no @{handle}")
    found = await fetch_actor(federation, jrd.self_iri)
    asked = {(found.name.lower(), found.domain), (found.name.lower(), found.host)}
    if (handle.name.lower(), handle.domain) not in asked:
        raise BadDocument(f"@{handle} leads to {found.iri}, which calls itself @{found.handle}")
    return _alive(found, handle)


def _scheme(federation: Federation) -> str:
    return "http" if federation.instance.site.names.origin.startswith("http:") else "https"


def _alive(actor: Actor | None, handle: Handle) -> Actor:
    if actor is None or actor.state >= ActorState.SUSPENDED or actor.name == actors.INSTANCE_ACTOR:
        raise NotFound(f"there is no @{handle}")
    return actor


async def _refresh_if_stale(federation: Federation, actor: Actor) -> None:
    # spec: R103 — a stale actor is read again when seen after a day
    if not actor.is_local and federation.instance.clock() - actor.fetched_at > STALE:
        await federation.instance.database.write(fetch, FetchActorJob(actor.iri))


# Keys


async def fetch_key(federation: Federation, key_id: str) -> KnownKey:
    """The key with that id, from its owner's own document, read now.

    Raises `SignatureError` when the owner does not list it, `TooMany`, and what `fetch_actor` raises.
    """
    return await federation.memory.once(f"key:{key_id}", partial(_fetch_key, federation, key_id))


async def _fetch_key(federation: Federation, key_id: str) -> KnownKey:
    instance = federation.instance
    permit = instance.guard.permit_fetch(key_id, Purpose.KEY)
    # spec: R49 — key fetches per partner are limited
    federation.rates.take("key-fetch", permit.partner.domain, instance.config.limits.key_fetch_rate)
    await _fetch_owner(federation, key_id)
    # spec: R6 — the key counts only if its owner's own document lists it
    found = await federation.keyring.known(key_id)
    if found is None:
        message = f"the owner of {key_id[:200]} does not list that key in its own document"
        raise SignatureError(message, reason=SignatureReason.NO_KEY)
    return found


async def _fetch_owner(federation: Federation, key_id: str) -> Actor:
    # spec: R60 — actor#main-key; actor/main-key as a document of its own or a stub of the actor; /keys/1
    development = federation.instance.site.development
    document, url = await fetching.read(federation, key_id, Purpose.KEY)
    is_whole = not ACTOR_TYPES.isdisjoint(types_of(document)) and document.get("inbox") is not None
    if is_whole and iri_of(document.get("id")) in (key_id.partition("#")[0], url):
        return await _keep_actor(federation, document)
    owner = reader.key_owner(document, key_id=key_id, development=development)
    return await fetch_actor(federation, owner, Purpose.KEY)


# Posts


async def fetch_post(federation: Federation, iri: Iri, depth: int = 0) -> Post | None:
    """The post with that id: the one that we keep, or read now. None when it was deleted or is of no use here.

    ``depth`` counts the parents that were read already. Raises `PolicyRefusal`, `FetchFailed`, `BadDocument`.
    """
    found, dead = await federation.instance.database.read(_post_or_tombstone, iri)
    if found is not None or dead:
        return found
    document = await fetching.document(federation, iri, Purpose.OBJECT)
    return await take_post(federation, document, "Create", depth)


def _post_or_tombstone(tx: Tx, iri: Iri) -> tuple[Post | None, bool]:
    return posts.by_iri(tx, iri), tombstones.was_here(tx, iri)


async def take_post(federation: Federation, document: Document, kind: str, depth: int = 0) -> Post | None:
    """Keep a post whose document was read at its own id, judged as a Create or Update (``kind``) of its author."""
    instance = federation.instance
    site = instance.site
    remote = reader.post(document, names=site.names, now=instance.clock(), development=site.development)
    if is_vote(document):
        return None
    author = await known_or_fetched(federation, remote.author)
    if author.is_local or author.state >= ActorState.SUSPENDED:
        return None
    # spec: R32 — a post that was fetched is judged like one that was sent: as its author's
    host = host_of(remote.author, development=site.development)
    partner = instance.guard.admit_peer(host)
    envelope = Envelope(
        iri=None, type=kind, actor=remote.author, object_iri=remote.iri, object_type=remote.kind.value,
        object_owner=remote.author, visibility=remote.visibility, to=remote.to, cc=remote.cc,
        has_media=has_media(document),
    )  # fmt: skip
    if not isinstance(instance.guard.admit(envelope, partner, 0), Admission):
        return None
    return await instance.database.write(_put_post, federation, author, remote, depth)


def _put_post(tx: Tx, federation: Federation, author: Actor, remote: RemotePost, depth: int) -> Post | None:
    site = federation.instance.site
    if posts.by_iri(tx, remote.iri) is not None:
        return post_services.receive_edit(tx, site, author, remote)  # NotAllowed unless it is the same author
    return post_services.receive(tx, site, author, remote, depth=depth)


async def refresh_post(federation: Federation, iri: Iri) -> Post | None:
    """Read a post again at its origin and believe what that says: new, changed, or deleted."""
    known, dead = await federation.instance.database.read(_post_or_tombstone, iri)
    if dead or (known is not None and known.local):
        return known
    try:
        document: Document = await fetching.document(federation, iri, Purpose.OBJECT)
    except FetchFailed as error:
        # 404 says less than 410: it also means "not for you", so it removes nothing.
        if error.http_status != 410:
            raise
        document = {"type": "Tombstone"}
    if "Tombstone" not in types_of(document):
        return await take_post(federation, document, "Create" if known is None else "Update")
    if known is not None:
        await federation.instance.database.write(_remove_post, known)
    return None


def _remove_post(tx: Tx, post: Post) -> None:
    author = actors.by_id(tx, post.author_id)
    if author is not None:
        post_services.receive_removal(tx, author.iri, post.iri)


async def resolve_url(federation: Federation, url: str) -> Actor | Post | None:
    """What an address that somebody typed leads to: an actor or a post, ours or a partner's. None when neither.

    Whether the person may see a post is for the caller. Raises `PolicyRefusal` with the rule's name (nothing was
    connected), `FetchFailed`, `BadDocument`.
    """
    instance = federation.instance
    if instance.site.names.is_ours(url):
        return await instance.database.read(_local, federation, url)
    instance.guard.permit_fetch(url, Purpose.OBJECT)
    known = await instance.database.read(_known, url)
    if known is not None:
        return known
    document = await fetching.document(federation, url, Purpose.OBJECT)
    if not ACTOR_TYPES.isdisjoint(types_of(document)):
        return await _keep_actor(federation, document)
    if not POST_TYPES.isdisjoint(types_of(document)):
        ident = iri_of(document.get("id")) or ""
        found, dead = await instance.database.read(_post_or_tombstone, Iri(ident))
        return found if found is not None or dead else await take_post(federation, document, "Create")
    return None


def _known(tx: Tx, url: str) -> Actor | Post | None:
    return posts.by_iri(tx, url) or actors.by_iri(tx, url)


def _local(tx: Tx, federation: Federation, url: str) -> Actor | Post | None:
    ref = federation.instance.site.names.parse(url)
    if ref is None:
        return None
    if ref.kind in (RefKind.ACTOR, RefKind.PROFILE_PAGE):
        return actors.by_handle(tx, Handle(ref.name))
    if ref.kind in (RefKind.POST, RefKind.POST_ACTIVITY, RefKind.POST_PAGE) and ref.id is not None:
        found = posts.by_id(tx, ref.id)
        return found if found is not None and found.local else None
    return None


# Jobs


def handlers(federation: Federation) -> dict[str, Handler]:
    """The jobs of this module: by kind, what runs them."""
    per_host = federation.instance.config.federation.per_host
    return {FETCH: Handler(partial(run_fetch, federation), per_host=per_host)}


async def run_fetch(federation: Federation, job: Job) -> JobResult | None:
    """One fetch that a transaction asked for. Raises `FetchFailed` (worth another try) and `PolicyRefusal`."""
    what: Fetch = msgspec.json.decode(job.payload, type=Fetch)
    match what:
        case FetchPostJob():
            return await settled(_run_fetch_post(federation, what))
        case FetchActorJob(move_from=""):
            return await settled(fetch_actor(federation, Iri(what.iri)))
        case FetchActorJob():
            return await settled(_run_move(federation, Iri(what.move_from), Iri(what.iri)))


async def settled(work: Awaitable[object]) -> JobResult | None:
    """Do a job's work. What no repetition mends (a document that is wrong, or not for us) ends it with the reason."""
    try:
        await work
    except FetchFailed as error:
        if error.http_status is None or error.http_status >= 500 or error.http_status in _LATER:
            raise
        return Cancelled(error.message)
    except (BadInput, BadDocument, SignatureError, TooLarge, NotAllowed, NotFound) as error:
        return Cancelled(error.message)
    return None


async def _run_fetch_post(federation: Federation, what: FetchPostJob) -> None:
    # spec: R78 — parents are read up to a depth limit
    if what.depth > federation.instance.config.limits.thread_depth:
        return
    post = await fetch_post(federation, Iri(what.iri), what.depth)
    if post is None or not what.boost_by:
        return
    # spec: R86 — a boost shows what was read at its origin
    instance = federation.instance
    site = instance.site
    document = fetching.parse(federation, what.boost_body.encode())
    signer = Iri(what.boost_by)
    intent = reader.intent(
        document, signer=signer, names=site.names, now=instance.clock(), development=site.development
    )
    partner = instance.guard.admit_peer(host_of(signer, development=site.development))
    envelope = reader.envelope(document, development=site.development)
    admitted = instance.guard.admit(envelope, partner, len(what.boost_body))
    if isinstance(intent, Boost) and isinstance(admitted, Admission):
        await instance.database.write(_boost, signer, intent, post)


def _boost(tx: Tx, signer: Iri, intent: Boost, post: Post) -> None:
    booster, fresh = actors.by_iri(tx, signer), posts.by_id(tx, post.id)
    if booster is not None and booster.state < ActorState.SUSPENDED and fresh is not None:
        interactions.receive_boost(tx, booster, intent.iri, fresh, intent.visibility, intent.published)


async def _run_move(federation: Federation, old_iri: Iri, new_iri: Iri) -> None:
    # spec: R105 — both documents, read now, must name each other
    if await federation.instance.database.read_fast(actors.by_iri, old_iri) is None:
        return
    old = await fetch_actor(federation, old_iri)
    if federation.instance.site.names.is_ours(new_iri):
        new = await federation.instance.database.read_fast(actors.by_iri, new_iri)
    else:
        new = await fetch_actor(federation, new_iri)
    if new is None or max(old.state, new.state) >= ActorState.SUSPENDED:
        return
    if old.profile.moved_to != new.iri or old.iri not in new.profile.also_known_as:
        raise BadDocument(f"{old.iri} and {new.iri} do not name each other; nobody was moved")
    await federation.instance.database.write(relations.receive_move, federation.instance.site, old, new)
