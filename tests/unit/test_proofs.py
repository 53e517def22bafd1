"""Object integrity proofs: the published ones verify and are made again byte by byte; anything changed is refused."""

from __future__ import annotations

import copy
import json
import struct
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from fedishare.activitypub import proofs
from fedishare.activitypub.jcs import canonical, write_number
from fedishare.activitypub.keys import (
    PrivateKey,
    base58_decode,
    base58_encode,
    generate_ed25519,
    load_multikey,
    load_public_pem,
)
from fedishare.model.errors import BadInput, SignatureError, SignatureReason
from fedishare.model.ids import Millis

FOLDER = Path(__file__).parent.parent / "vectors"
VECTORS: list[dict[str, Any]] = json.loads((FOLDER / "published_proofs.json").read_text())
JCS: dict[str, Any] = json.loads((FOLDER / "published_jcs.json").read_text())
FEP = VECTORS[0]
NOW = Millis(int(datetime.fromisoformat("2023-02-24T23:36:38+00:00").timestamp()) * 1000)
ALICE = "https://server.example/users/alice"
KEY = load_multikey(FEP["publicKeyMultibase"])


def _private(vector: dict[str, Any]) -> PrivateKey:
    raw = base58_decode(vector["secretKeyMultibase"][1:])
    return PrivateKey("ed25519", Ed25519PrivateKey.from_private_bytes(raw[2:]))


def _signed(**changes: object) -> dict[str, Any]:
    """The published Create with its proof; ``changes`` are made to the proof before it is signed."""
    document = copy.deepcopy(FEP["document"])
    signed = proofs.create(document, FEP["verificationMethod"], _private(FEP), NOW)
    if not changes:
        return signed
    proof = {**signed["proof"], **changes}  # type: ignore[dict-item]
    config = {name: value for name, value in proof.items() if name != "proofValue" and value is not ...}
    data = sha256(canonical(config)).digest() + sha256(canonical(document)).digest()
    value = base58_encode(_private(FEP).sign(data))
    return {**document, "proof": {**config, "proofValue": f"z{value}"}}


def _reason(document: dict[str, Any], now: int = NOW) -> SignatureReason | None:
    try:
        proofs.verify(document, KEY, now=Millis(now))
    except SignatureError as error:
        return error.reason
    return None


@pytest.mark.spec("R63")
@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["id"]))
def test_published_proofs_are_made_and_verified(vector: dict[str, Any]) -> None:
    document = vector["document"]
    signed = proofs.create(document, vector["verificationMethod"], _private(vector), NOW)
    proof: Any = signed["proof"]
    assert proof["proofValue"] == vector["proofValue"]
    assert proof["created"] == vector["created"]
    # What arrives has gone through JSON, in any order of its keys.
    received = json.loads(json.dumps(dict(reversed(list(signed.items())))))
    checked = proofs.verify(received, load_multikey(vector["publicKeyMultibase"]), now=NOW)
    assert checked.verification_method == vector["verificationMethod"]
    assert checked.created == NOW
    if "documentHash" in vector:
        assert sha256(canonical(document)).hexdigest() == vector["documentHash"]
        assert sha256(canonical(dict(checked.config))).hexdigest() == vector["proofConfigHash"]
    assert document == vector["document"]


@pytest.mark.spec("R63")
@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["object"].__setitem__("content", "Hello World"),
        lambda d: d["object"]["location"].__setitem__("latitude", 25.273963),
        lambda d: d.__setitem__("to", []),
        lambda d: d.pop("actor"),
        lambda d: d["proof"].__setitem__("created", "2023-02-24T23:36:39Z"),
        lambda d: d["proof"].__setitem__("verificationMethod", "https://server.example/users/bob#ed25519-key"),
        lambda d: d["proof"].__setitem__("domain", "evil.example"),
        lambda d: d["proof"].pop("created"),
        lambda d: d["proof"].__setitem__("proofValue", d["proof"]["proofValue"][:-1] + "M"),
    ],
)
def test_any_change_breaks_the_proof(change: Callable[[Any], object]) -> None:
    document = _signed()
    assert _reason(document) is None
    change(document)
    assert _reason(document) is SignatureReason.MISMATCH


@pytest.mark.spec("R64")
def test_an_expired_proof_or_one_from_the_future_is_refused() -> None:
    document = _signed(expires="2023-02-25T23:36:38.5Z")
    assert _reason(document, NOW + 86_400_000) is None
    assert _reason(document, NOW + 86_400_500) is SignatureReason.EXPIRED
    assert _reason(_signed(), NOW - 3_600_000) is None
    assert _reason(_signed(), NOW - 3_600_001) is SignatureReason.FUTURE
    assert _reason(_signed(), NOW + 10 * 365 * 86_400_000) is None
    assert _reason(_signed(created="2023-02-25T01:36:38+02:00"), NOW - 3_600_001) is SignatureReason.FUTURE


@pytest.mark.spec("R64")
def test_another_context_than_the_documents_is_refused() -> None:
    other = ["https://www.w3.org/ns/activitystreams"]
    # Signed by the right key, and still refused: the terms of the proof must be the document's.
    assert _reason(_signed(**{"@context": other})) is SignatureReason.MISMATCH
    assert _reason(_signed(**{"@context": list(reversed(FEP["document"]["@context"]))})) is SignatureReason.MISMATCH
    # A proof without one is taken in both readings that peers have of it.
    assert _reason(_signed(**{"@context": ...})) is None
    implied = _signed()
    del implied["proof"]["@context"]
    assert _reason(implied) is None
    implied["@context"] = other
    assert _reason(implied) is SignatureReason.MISMATCH


@pytest.mark.spec("R64")
def test_a_proof_by_another_actor_is_refused() -> None:
    proof = proofs.verify(_signed(), KEY, now=NOW)
    method = FEP["verificationMethod"]
    proofs.require_owner(proof, ALICE, [method])
    for actor, methods in (
        (ALICE, []),
        (ALICE, ["https://server.example/users/bob#ed25519-key"]),
        ("https://evil.example/users/alice", [method]),
        ("", [method]),
    ):
        with pytest.raises(SignatureError) as caught:
            proofs.require_owner(proof, actor, methods)
        assert caught.value.reason is SignatureReason.OWNER


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"type": "Ed25519Signature2020"}, SignatureReason.UNSUPPORTED),
        ({"cryptosuite": "eddsa-rdfc-2022"}, SignatureReason.UNSUPPORTED),
        ({"proofPurpose": "authentication"}, SignatureReason.UNSUPPORTED),
        ({"previousProof": "urn:x"}, SignatureReason.UNSUPPORTED),
        ({"verificationMethod": ["a"]}, SignatureReason.MALFORMED),
        ({"created": "yesterday"}, SignatureReason.MALFORMED),
        ({"created": 5}, SignatureReason.MALFORMED),
        ({"expires": "2023-02-30T00:00:00Z"}, SignatureReason.MALFORMED),
        ({"expires": "0001-01-01T00:00:00+23:59"}, SignatureReason.EXPIRED),
        ({"expires": "9999-12-31T23:59:59-23:59"}, None),
    ],
)
def test_other_proofs_are_refused_with_the_reason(changes: dict[str, Any], reason: SignatureReason | None) -> None:
    assert _reason(_signed(**changes)) is reason


def test_proof_values_and_shapes() -> None:
    for value, reason in (
        (None, SignatureReason.MISSING),
        ("x", SignatureReason.MALFORMED),
        ([], SignatureReason.UNSUPPORTED),
        ([5], SignatureReason.MALFORMED),
    ):
        assert _reason({**_signed(), "proof": value}) is reason
    for text in (None, "", "u2HnF", "z", "z0", "z" + "1" * 64 + "2", "z" + "2" * 4000):
        document = _signed()
        document["proof"]["proofValue"] = text
        assert _reason(document) is SignatureReason.MALFORMED
    several = _signed()
    several["proof"] = [{"type": "OtherProof"}, several["proof"]]
    assert _reason(several) is None


def test_the_linked_data_signature_is_no_part_of_it() -> None:
    document = {**_signed(), "signature": {"type": "RsaSignature2017", "signatureValue": "x"}}
    assert _reason(document) is None


def test_only_ed25519_keys_make_and_check_proofs() -> None:
    rsa = json.loads((FOLDER / "published_keys.json").read_text())["test-key-rsa"]
    with pytest.raises(SignatureError) as caught:
        proofs.verify(_signed(), load_public_pem(rsa["publicKeyPem"]), now=NOW)
    assert caught.value.reason is SignatureReason.UNSUPPORTED
    assert _reason(_signed()) is None
    with pytest.raises(SignatureError):
        proofs.verify(_signed(), generate_ed25519().public(), now=NOW)
    with pytest.raises(BadInput):
        proofs.create({}, "k", PrivateKey("rsa", _private(FEP).key), NOW)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=10,
)
FIELDS = ("@context", "type", "cryptosuite", "verificationMethod", "proofPurpose", "proofValue", "created", "expires")


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(FIELDS), JSON, JSON)
def test_whatever_is_in_a_proof_or_document_it_is_an_answer(name: str, value: object, context: object) -> None:
    document = _signed()
    document["proof"][name] = value
    document["extra"] = context
    assert _reason(document) is not None


@pytest.mark.parametrize(("bits", "expected"), JCS["numbers"])
def test_numbers_of_rfc_8785(bits: str, expected: str) -> None:
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    assert write_number(number) == expected


def test_documents_of_rfc_8785() -> None:
    for document in JCS["documents"]:
        assert canonical(json.loads(document["input"])).hex() == document["hex"]
    in_order = canonical(json.loads(JCS["sorted"]["input"]))
    assert list(json.loads(in_order).values()) == JCS["sorted"]["values"]
    for bits in JCS["notNumbers"]:
        with pytest.raises(SignatureError):
            canonical(list(struct.unpack(">d", bytes.fromhex(bits))))


def test_what_has_no_canonical_form_is_malformed() -> None:
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    for value in (deep, {1: 2}, {"a": object()}, "\ud800", {"\ud800": 1}, 10**400, b"x"):
        with pytest.raises(SignatureError) as caught:
            canonical(value)
        assert caught.value.reason is SignatureReason.MALFORMED


def test_integers_are_doubles() -> None:
    assert canonical([2**53, 2**53 + 1, -(10**21), 10**20, True, -0.0, 4.5]) == (
        b"[9007199254740992,9007199254740992,-1e+21,100000000000000000000,true,0,4.5]"
    )


@settings(deadline=None, max_examples=200)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_written_number_reads_back_the_same(number: float) -> None:
    assert float(write_number(number)) == number
