"""Object integrity proofs (FEP-8b32, `eddsa-jcs-2022`): a document that proves its author wherever it came from.

With a proof a forwarded or relayed activity needs no signature of the HTTP request. What is signed is the hash of the
proof's own settings and the hash of the document without it, both in canonical JSON. A proof only says that the
holder of a key made the document; that the key is the actor's is `require_owner`, and the caller must ask it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

from fedishare.activitypub.jcs import canonical
from fedishare.activitypub.keys import PrivateKey, PublicKey, base58_decode, base58_encode
from fedishare.model.errors import BadDocument, BadInput, SignatureError, SignatureReason
from fedishare.model.ids import Millis, origin_of

MAX_AHEAD: Final = 3600 * 1000
"""How far `created` may be ahead of our clock; milliseconds. There is no limit to the past: documents stay valid."""
_SUITE: Final = "eddsa-jcs-2022"
_CONTEXT: Final = "@context"
_DATE_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?(Z|[+-][0-9]{2}:[0-9]{2})"
)


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof as the document gives it. Nothing in it is proven before `verify` returns."""

    verification_method: str
    created: Millis | None
    expires: Millis | None
    signature: bytes
    config: Mapping[str, object]


def parse(document: Mapping[str, object]) -> Proof:
    """Read the document's proof. Raises `SignatureError` (missing, malformed, unsupported)."""
    proof = _select(document.get("proof"))
    if proof.get("proofPurpose") != "assertionMethod":
        raise _refuse(SignatureReason.UNSUPPORTED, "a proof with proofPurpose assertionMethod was expected")
    if "previousProof" in proof:
        raise _refuse(SignatureReason.UNSUPPORTED, "chains of proofs (previousProof) are not supported")
    method, value = proof.get("verificationMethod"), proof.get("proofValue")
    if not isinstance(method, str) or not method:
        raise _malformed("the proof should name its verificationMethod")
    if not isinstance(value, str) or not value.startswith("z"):
        raise _malformed("the proof should have a proofValue in base58btc (z…)")
    try:
        signature = base58_decode(value[1:])
    except BadDocument as error:
        raise _malformed(f"proofValue cannot be read: {error}") from error
    if len(signature) != 64:
        raise _malformed(f"an Ed25519 signature of 64 bytes was expected in proofValue, found {len(signature)}")
    return Proof(
        verification_method=method,
        created=_instant(proof, "created"),
        expires=_instant(proof, "expires"),
        signature=signature,
        config={name: item for name, item in proof.items() if name != "proofValue"},
    )


def _select(value: object) -> dict[str, object]:
    """The proof to check: the only one, or of several the first that is of our kind."""
    if value is None:
        raise _refuse(SignatureReason.MISSING, "the document has no proof")
    candidates = value if isinstance(value, list) else [value]
    for candidate in candidates:
        if not isinstance(candidate, dict):
            raise _malformed("a proof should be an object")
        if candidate.get("type") == "DataIntegrityProof" and candidate.get("cryptosuite") == _SUITE:
            return candidate
    raise _refuse(SignatureReason.UNSUPPORTED, f"a DataIntegrityProof of cryptosuite {_SUITE} was expected")


def verify(document: Mapping[str, object], key: PublicKey, *, now: Millis, max_ahead: int = MAX_AHEAD) -> Proof:
    """The document's proof, if ``key`` made it and it holds now. Raises `SignatureError` with the reason.

    ``document`` is the parsed JSON as it was received, before any normalisation. spec: R63, R64
    """
    proof = parse(document)
    if key.kind != "ed25519":
        raise _refuse(SignatureReason.UNSUPPORTED, f"{_SUITE} needs an Ed25519 key; the key is {key.kind}")
    # spec: R64 — expired, or with another @context than the document's
    if proof.expires is not None and proof.expires <= now:
        raise _refuse(SignatureReason.EXPIRED, f"the proof expired {(now - proof.expires) // 1000} s ago")
    if proof.created is not None and proof.created - now > max_ahead:
        raise _refuse(SignatureReason.FUTURE, f"the proof was made {(proof.created - now) // 1000} s in the future")
    own_context = _CONTEXT in proof.config
    if own_context and canonical(proof.config[_CONTEXT]) != canonical(document.get(_CONTEXT)):
        raise _refuse(SignatureReason.MISMATCH, "the @context of the proof differs from the document's")
    for config in _configs(document, proof.config):
        if key.verify(proof.signature, _hashed(document, config)):
            return proof
    message = "the proof does not match: the document was changed, or made with another key"
    raise _refuse(SignatureReason.MISMATCH, message)


def _configs(document: Mapping[str, object], config: Mapping[str, object]) -> list[dict[str, object]]:
    """The settings that may have been signed. A proof that leaves @context out may have meant the document's.

    Either reading is safe: the document's hash covers its @context anyway.
    """
    as_given = dict(config)
    if _CONTEXT in config or _CONTEXT not in document:
        return [as_given]
    return [{**config, _CONTEXT: document[_CONTEXT]}, as_given]


def _hashed(document: Mapping[str, object], config: dict[str, object]) -> bytes:
    # A linked-data `signature` is added after the proof and is no part of it (FEP-8b32, backward compatibility).
    unsecured = {name: value for name, value in document.items() if name not in ("proof", "signature")}
    return sha256(canonical(config)).digest() + sha256(canonical(unsecured)).digest()


def create(
    document: Mapping[str, object], verification_method: str, private_key: PrivateKey, now: Millis
) -> dict[str, object]:
    """A copy of the document with a proof. ``verification_method`` is the id of the actor's Ed25519 key.

    The proof carries the document's @context, as FEP-8b32 has it. Raises `BadInput` for a key of another kind.
    """
    if private_key.kind != "ed25519":
        raise BadInput(f"a proof needs an Ed25519 key; the key is {private_key.kind}")
    config: dict[str, object] = {
        "type": "DataIntegrityProof",
        "cryptosuite": _SUITE,
        "verificationMethod": verification_method,
        "proofPurpose": "assertionMethod",
        "created": datetime.fromtimestamp(now // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if _CONTEXT in document:
        config = {_CONTEXT: document[_CONTEXT], **config}
    signature = private_key.sign(_hashed(document, config))
    return {**document, "proof": {**config, "proofValue": "z" + base58_encode(signature)}}


def require_owner(proof: Proof, actor: str, methods: Collection[str]) -> None:
    """Raises `SignatureError` (owner) unless the proof's key is the actor's. spec: R64

    ``methods`` are the ids in `assertionMethod` of the actor's own document, fetched from the actor's origin and
    with the actor as their controller. The origins must agree too, so that no one can list a foreign key as theirs.
    """
    method = proof.verification_method
    if method not in methods or not origin_of(actor) or origin_of(method) != origin_of(actor):
        message = f"the proof was made with {method[:120]!r}, which is not a key of {actor[:120]!r}"
        raise _refuse(SignatureReason.OWNER, message)


def _instant(proof: Mapping[str, object], name: str) -> Millis | None:
    text = proof.get(name)
    if text is None:
        return None
    match = _DATE_TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise _malformed(f"{name} of the proof should be a time like 2023-02-24T23:36:38Z")
    base, fraction, offset = match.groups()
    try:
        moment = datetime.fromisoformat(base + ("+00:00" if offset == "Z" else offset))
        seconds = int(moment.timestamp())
    except (ValueError, OverflowError) as error:
        raise _malformed(f"{name} of the proof is no such time: {text!r}") from error
    return Millis(seconds * 1000 + int((fraction or "0").ljust(3, "0")[:3]))


def _refuse(reason: SignatureReason, message: str) -> SignatureError:
    return SignatureError(message, reason=reason)


def _malformed(message: str) -> SignatureError:
    return _refuse(SignatureReason.MALFORMED, message)
