"""HTTP signatures: whether a request comes from whom it says, and signing our own. Both schemes behind one face.

Pure: values and the time go in, nothing or a `SignatureError` comes out, whatever bytes a peer sent. The caller first
reads the claim (`parse`), decides whether it wants to know this peer at all, finds the key, and then asks `verify`.
A claim is worth nothing before that.

`Signature-Input` decides which scheme is meant: with it RFC 9421 alone counts, without it the draft.
"""

from __future__ import annotations

from fedishare.activitypub import signatures_cavage, signatures_rfc9421
from fedishare.activitypub.keys import PrivateKey, PublicKey
from fedishare.activitypub.signatures_base import (
    MAX_AGE,
    MAX_AHEAD,
    Claim,
    RawRequest,
    content_digest,
    digest_header,
    refuse,
)
from fedishare.activitypub.signatures_cavage import sign as sign_cavage
from fedishare.activitypub.signatures_rfc9421 import sign as sign_rfc9421
from fedishare.model.errors import SignatureReason
from fedishare.model.ids import Millis

__all__ = [
    "MAX_AGE",
    "MAX_AHEAD",
    "Claim",
    "PrivateKey",
    "PublicKey",
    "RawRequest",
    "check",
    "content_digest",
    "digest_header",
    "parse",
    "sign_cavage",
    "sign_rfc9421",
    "verify",
]


def parse(request: RawRequest) -> Claim:
    """Read what the request's signature says of itself. Raises `SignatureError` (missing, malformed, unsupported)."""
    inputs = request.headers.get("signature-input")
    signature = request.headers.get("signature")
    # spec: R53 — with Signature-Input there is no fall-back to the draft
    if inputs is not None:
        return signatures_rfc9421.parse(inputs, signature)
    if signature is None:
        raise refuse(SignatureReason.MISSING, "the request is not signed; a Signature header was expected")
    return signatures_cavage.parse(signature)


def check(
    claim: Claim, request: RawRequest, *, now: Millis, max_age: int = MAX_AGE, max_ahead: int = MAX_AHEAD
) -> None:
    """All of `verify` that needs no key: coverage, host, times, digests. Raises `SignatureError`.

    Useful before a key is fetched from the network. ``max_age`` and ``max_ahead`` are in milliseconds.
    """
    scheme = signatures_rfc9421 if claim.scheme == "rfc9421" else signatures_cavage
    scheme.check(claim, request, now=now, max_age=max_age, max_ahead=max_ahead)


def verify(
    claim: Claim,
    request: RawRequest,
    key: PublicKey,
    *,
    now: Millis,
    max_age: int = MAX_AGE,
    max_ahead: int = MAX_AHEAD,
) -> None:
    """Return if the signature is good: it covers enough, is fresh, fits the body, and was made with ``key``.

    Raises `SignatureError` with the reason otherwise. Whose key it is, is for the caller to know.
    """
    check(claim, request, now=now, max_age=max_age, max_ahead=max_ahead)
    if claim.scheme == "rfc9421":
        signatures_rfc9421.check_algorithm(claim, key)
        texts = signatures_rfc9421.bases(claim, request)
    else:
        signatures_cavage.check_algorithm(claim, key)
        texts = signatures_cavage.bases(claim, request)
    for text in texts:
        if key.verify(claim.signature, text):
            return
    message = "the signature does not match: the request was changed on the way, or signed with another key"
    raise refuse(SignatureReason.MISMATCH, message)
