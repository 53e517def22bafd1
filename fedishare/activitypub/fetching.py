"""Fetching: one document of a partner, read with the instance actor's signature, believed only as far as it goes.

Every GET is signed, so that peers in secure mode answer. Peers differ in which signatures they understand: on a refusal
the other scheme is tried, and what worked is remembered for the host (double knocking).

What comes back counts only with an ActivityStreams media type, and only if its ``id`` is where it was found.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fedishare.activitypub import jsonld, reader, strictjson
from fedishare.activitypub.federation import ACCEPT, Federation, is_activity_type
from fedishare.activitypub.jsonld import Document, iri_of
from fedishare.activitypub.keyring import Signer
from fedishare.gateway import Reply, wire_url
from fedishare.model.errors import BadDocument, BadInput, FetchFailed
from fedishare.model.ids import Domain, Millis, origin_of
from fedishare.policy.facts import Purpose
from fedishare.store import actors, jobs
from fedishare.store.db import Tx

SCHEMES = ("cavage", "rfc9421")
"""In the order in which an unknown host is knocked at: the draft is what nearly everybody understands."""
REMEMBER = 7 * 24 * 3600 * 1000
"""How long a host's scheme is taken for granted; milliseconds."""
MAX_REMEMBERED = 5_000
_REFUSED = frozenset((400, 401, 403))

Headers = Coroutine[Any, Any, Mapping[str, str]]


async def instance_signer(federation: Federation) -> Signer:
    """The keys of the instance actor, who signs everything that we read."""
    memory = federation.memory
    if memory.instance_actor is None:
        memory.instance_actor = (await federation.instance.database.read(actors.instance_actor)).id
    return await federation.keyring.signer(memory.instance_actor)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an answer may be: its media types, as Accept has them, and its size in bytes."""

    accept: str
    max_bytes: int


async def get(federation: Federation, url: str, purpose: Purpose, wanted: Wanted | None = None) -> Reply:
    """A signed GET, of a document unless something else is ``wanted``; the answer may have any status.

    Raises `PolicyRefusal` and `FetchFailed` (no answer).
    """
    # spec: R54, R57 — always signed; the other scheme after a refusal, and what worked is remembered
    # spec: R67 — whatever a peer asks for in Accept-Signature: there are these two ways, and both are tried
    instance = federation.instance
    host = instance.guard.permit_fetch(url, purpose).host
    wanted = wanted or Wanted(ACCEPT, instance.config.limits.document_bytes)
    signer = await instance_signer(federation)
    preferred = await _scheme_for(federation, host)
    other = SCHEMES[1 - SCHEMES.index(preferred)]
    reply = await _knock(federation, signer, url, purpose, preferred, wanted)
    if not _refused(reply.status):
        return reply
    second = await _knock(federation, signer, url, purpose, other, wanted)
    if not _refused(second.status):
        await _remember(federation, host, other)
        return second
    if "?" in url and second.status == 401:
        # spec: R56 — some peers leave the query out of (request-target)
        return await _knock(federation, signer, url, purpose, "cavage", wanted, with_query=False)
    return second


def _refused(status: int) -> bool:
    return status in _REFUSED or status >= 500


async def _knock(
    federation: Federation, signer: Signer, url: str, purpose: Purpose, scheme: str, wanted: Wanted, *,
    with_query: bool = True,
) -> Reply:  # fmt: skip
    instance = federation.instance
    permit = instance.guard.permit_fetch(url, purpose)
    sign = _signing(federation, signer, scheme, with_query=with_query)
    return await instance.gateway.get(permit, url, accept=wanted.accept, sign=sign, max_bytes=wanted.max_bytes)


def _signing(
    federation: Federation, signer: Signer, scheme: str, *, with_query: bool
) -> Callable[[str, str, bytes | None], Headers]:
    async def sign(method: str, url: str, body: bytes | None) -> Mapping[str, str]:
        signed = url if with_query else url.partition("?")[0]
        now = federation.instance.clock()
        return await federation.keyring.sign(signer, method, signed, body, scheme=scheme, now=now)

    return sign


async def _scheme_for(federation: Federation, host: Domain) -> str:
    memory, now = federation.memory, federation.instance.clock()
    kept = memory.schemes.get(host)
    if kept is None or kept[1] <= now:
        health = await federation.instance.database.read_fast(jobs.peer, host)
        fresh = health.scheme_until is not None and health.scheme_until > now
        known = health.signature_scheme if fresh and health.signature_scheme in SCHEMES else None
        # What the row says is asked for again after a minute: deliveries write there, too.
        kept = (known or SCHEMES[0], Millis(now + 60_000))
        memory.schemes[host] = kept
        if len(memory.schemes) > MAX_REMEMBERED:
            memory.schemes.popitem(last=False)
    return kept[0]


async def _remember(federation: Federation, host: Domain, scheme: str) -> None:
    until = Millis(federation.instance.clock() + REMEMBER)
    federation.memory.schemes[host] = (scheme, until)
    await federation.instance.database.write(_put_scheme, host, scheme, until)


def _put_scheme(tx: Tx, host: Domain, scheme: str, until: Millis) -> None:
    tx.lock(f"peer:{host}")
    jobs.put_peer(tx, host, replace(jobs.peer(tx, host), signature_scheme=scheme, scheme_until=until))


async def read(federation: Federation, url: str, purpose: Purpose) -> tuple[Document, str]:
    """A document as it was found, normalised, and the URL after redirects (on the same origin). Its id is not checked.

    Raises `PolicyRefusal`, `FetchFailed` (with the status), `BadDocument`, `TooLarge`.
    """
    reply = await get(federation, url.partition("#")[0], purpose)
    if reply.status != 200:
        raise FetchFailed(
            f"{url[:200]} answered {reply.status}",
            http_status=reply.status,
            retry_after=reply.retry_after(federation.instance.clock()),
        )
    # spec: R34 — an upload cannot pose as a document
    if not is_activity_type(reply.headers.get("content-type", "")):
        found = reply.headers.get("content-type", "")[:80]
        raise BadDocument(f"{url[:200]}: application/activity+json was expected, found {found!r}")
    return parse(federation, reply.body), reply.url


def parse(federation: Federation, body: bytes) -> Document:
    """Strict JSON within the configured limits, normalised. Raises `BadDocument`, `TooLarge`."""
    return jsonld.normalise(parse_raw(federation, body))


def parse_raw(federation: Federation, body: bytes) -> Any:
    """Strict JSON within the configured limits."""
    limits = federation.instance.config.limits
    largest = max(limits.inbox_bytes, limits.document_bytes)
    return strictjson.loads(body, max_bytes=largest, max_depth=limits.json_depth, max_items=limits.json_items)


async def document(federation: Federation, iri: str, purpose: Purpose) -> Document:
    """The document that has the id ``iri``, or that ``iri`` leads to on the same origin.

    A differing id is fetched once more and must then agree. Raises what `read` does.
    """
    # spec: R33 — believed only if the id is the URL after redirects
    found, url = await read(federation, iri, purpose)
    ident = _ident(found, url)
    if ident == iri or _on_wire(federation, ident) == url:
        return found
    if origin_of(ident) != origin_of(url):
        raise BadDocument(f"the document at {url[:200]} says that it is {ident[:200]}, on another origin", path="id")
    again, where = await read(federation, ident, purpose)
    if _ident(again, where) != ident:
        raise BadDocument(f"{ident[:200]} answers with the id {_ident(again, where)[:200]}", path="id")
    return again


def _ident(found: Document, url: str) -> str:
    ident = iri_of(found.get("id"))
    if ident is None:
        raise BadDocument(f"the document at {url[:200]} has no id", path="id")
    return ident


def _on_wire(federation: Federation, ident: str) -> str | None:
    try:
        return wire_url(ident, development=federation.instance.site.development)
    except BadInput:
        return None


async def collection(federation: Federation, iri: str) -> tuple[str | dict[str, object], ...]:
    """The entries of a partner's collection, page after page on its own origin, up to the configured limits.

    Raises what `read` does.
    """
    # spec: R116 — embedded, paged, empty or absent; with a page and item limit
    limits, development = federation.instance.config.limits, federation.instance.site.development
    items: list[str | dict[str, object]] = []
    seen: set[str] = set()
    following: str | None = iri
    while following is not None and following not in seen and len(seen) < limits.collection_pages:
        seen.add(following)
        found, url = await read(federation, following, Purpose.COLLECTION)
        ident = iri_of(found.get("id"))
        if ident is not None and origin_of(ident) != origin_of(url):
            raise BadDocument(f"the collection at {url[:200]} says that it is {ident[:200]}", path="id")
        page = reader.collection_page(found, development=development)
        items += page.items[: limits.collection_items - len(items)]
        if len(items) >= limits.collection_items:
            break
        following = page.next if page.next is not None and origin_of(page.next) == origin_of(url) else None
    return tuple(items)
