"""Peers: who signed a request, found out in an order that gives strangers nothing.

Signature header → host of the key → is that host a partner? → rate → body → digest, dates, host → key → signature. A
stranger costs a dictionary look-up, and nothing of its is read, fetched or stored. Only a partner's key is ever looked
for, and it counts only as its owner's own document lists it.
"""

from __future__ import annotations

from dataclasses import dataclass

from fedishare.activitypub import resolver, signatures
from fedishare.activitypub.federation import Federation
from fedishare.activitypub.keyring import KnownKey
from fedishare.activitypub.signatures import Claim, RawRequest
from fedishare.http.call import Call, Peer
from fedishare.http.routes import Route
from fedishare.model.actors import ActorState
from fedishare.model.errors import (
    BadDocument,
    BadInput,
    FetchFailed,
    NotAllowed,
    PolicyRefusal,
    SignatureError,
    SignatureReason,
    TooLarge,
    TooMany,
    Unavailable,
)
from fedishare.model.ids import host_of
from fedishare.model.partners import Partner

_GONE = frozenset((404, 410))


@dataclass(frozen=True, slots=True)
class Delivered:
    """A POST whose signature is good: who signed it, and its body as it came."""

    peer: Peer
    body: bytes
    deleted: bool = False
    """The signer was deleted here before; nothing of it has an effect any more."""


class SignerGone(SignatureError):
    """The key cannot be had, because its owner answers 404 or 410. ``body`` is not verified."""

    def __init__(self, message: str, *, key_id: str, body: bytes) -> None:
        super().__init__(message, reason=SignatureReason.NO_KEY)
        self.key_id = key_id
        self.body = body


async def authenticate(federation: Federation, call: Call, route: Route | None = None) -> Peer:
    """The partner's actor that signed a GET. Raises `SignatureError` (401), `PolicyRefusal` and `NotAllowed` (403),
    `TooMany` (429), `Unavailable` (503, its key could not be read).
    """
    # spec: R59 — unsigned 401, signed 200, signed by somebody blocked 403; the same whether the thing exists or not
    limit = federation.instance.config.limits.fetch_rate
    claim, partner = _perimeter(federation, call, "fetch", limit)
    known = await _verified(federation, call, claim, partner, b"")
    if known.state is ActorState.DELETED:
        raise NotAllowed(f"{known.owner} was deleted")
    return _peer(known, claim, partner)


async def verify_post(federation: Federation, call: Call) -> Delivered:
    """The signer and the body of a delivery. Raises what `authenticate` does, and `SignerGone`, `TooLarge`."""
    limits = federation.instance.config.limits
    claim, partner = _perimeter(federation, call, "inbox", limits.inbox_rate)
    body = await call.body(limits.inbox_bytes)  # spec: R39 — larger ones are refused before anything is parsed
    known = await _verified(federation, call, claim, partner, body)
    return Delivered(_peer(known, claim, partner), body, known.state is ActorState.DELETED)


def _perimeter(federation: Federation, call: Call, kind: str, per_minute: int) -> tuple[Claim, Partner]:
    """Everything that is asked before anything is read: a signature, by a key on a partner's host, within its rate."""
    instance = federation.instance
    # spec: R1, R29 — missing or malformed: 401, and nothing happens
    claim = signatures.parse(_request(federation, call, b""))
    try:
        host = host_of(claim.key_id, development=instance.site.development)
    except BadInput as error:
        message = f"the key id is no address: {error}"
        raise SignatureError(message, reason=SignatureReason.MALFORMED) from error
    partner = instance.guard.admit_peer(host)
    # spec: R49 — requests per partner are limited, with Retry-After
    federation.rates.take(kind, partner.domain, (partner.terms.rate if kind == "inbox" else None) or per_minute)
    return claim, partner


def _request(federation: Federation, call: Call, body: bytes) -> RawRequest:
    # spec: R3 — scheme, host and port come from the configuration, the rest is as it was received
    return RawRequest(call.method, call.target, federation.instance.site.names.origin, call.headers, body)


async def _verified(federation: Federation, call: Call, claim: Claim, partner: Partner, body: bytes) -> KnownKey:
    request = _request(federation, call, body)
    now = federation.instance.clock()
    known = federation.keyring.kept(claim.key_id)
    if known is None:
        signatures.check(claim, request, now=now)  # whatever needs no key comes before looking for one
        known = await federation.keyring.known(claim.key_id)
    fresh = known is None
    if known is None:
        known = await _fetched(federation, claim, body)
    try:
        signatures.verify(claim, request, known.key, now=now)
    except SignatureError as error:
        if fresh or error.reason not in (SignatureReason.MISMATCH, SignatureReason.UNSUPPORTED):
            raise
        known = await _rotated(federation, claim, error)
        signatures.verify(claim, request, known.key, now=now)
    if known.host is None or not federation.instance.guard.same_peer(partner, known.host):
        raise PolicyRefusal(f"the key {claim.key_id[:200]} belongs to {known.host}, not to {partner.domain}",
                            rule="actor-host")  # fmt: skip
    if known.state is ActorState.SUSPENDED:
        # spec: R45 — what a blocked actor sends has no effect, and its signed fetches are refused
        raise NotAllowed(f"{known.owner} is suspended here")
    return known


async def _rotated(federation: Federation, claim: Claim, error: SignatureError) -> KnownKey:
    """The key once more, after a mismatch with the one that we keep: the peer may have a new one."""
    # spec: R30 — fetched afresh once, at most once a minute for each key
    try:
        federation.rates.take("key-refresh", claim.key_id, 1)
    except TooMany:
        raise error from None
    return await _fetched(federation, claim, None)


async def _fetched(federation: Federation, claim: Claim, body: bytes | None) -> KnownKey:
    """The key from its owner. What is wrong there is a signature that cannot be checked, or a reason to come again."""
    try:
        return await resolver.fetch_key(federation, claim.key_id)
    except FetchFailed as error:
        message = f"the key {claim.key_id[:200]} cannot be read: {error}"
        if error.http_status in _GONE and body is not None:
            raise SignerGone(message, key_id=claim.key_id, body=body) from error
        if error.http_status is None or error.http_status == 429 or error.http_status >= 500:
            raise Unavailable(message, retry_after=error.retry_after or 60) from error
        raise SignatureError(message, reason=SignatureReason.NO_KEY) from error
    except (BadDocument, BadInput, TooLarge) as error:
        message = f"the key {claim.key_id[:200]} cannot be used: {error}"
        raise SignatureError(message, reason=SignatureReason.NO_KEY) from error


def _peer(known: KnownKey, claim: Claim, partner: Partner) -> Peer:
    assert known.host is not None  # noqa: S101 — seen in _verified
    return Peer(known.owner, known.actor_id, known.host, partner)
