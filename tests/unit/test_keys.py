"""Keys: what peers publish is read in every form that occurs, and weak or odd keys never become one of ours."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from fedishare.activitypub.keys import (
    PublicKey,
    base58_decode,
    base58_encode,
    generate_ed25519,
    generate_rsa,
    load_multikey,
    load_private_pem,
    load_public_pem,
)
from fedishare.model.errors import BadDocument, BadInput

PUBLISHED = json.loads((Path(__file__).parent.parent / "vectors" / "published_keys.json").read_text())
RSA_PEM: str = PUBLISHED["test-key-rsa"]["publicKeyPem"]
ED25519_PEM: str = PUBLISHED["test-key-ed25519"]["publicKeyPem"]
MULTIKEY = "z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2"


def _pkcs1(pem: str) -> str:
    return load_public_pem(pem).key.public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode()


@pytest.mark.spec("R61")
@pytest.mark.parametrize(
    "spelling",
    [
        RSA_PEM,
        RSA_PEM.replace("\n", "\r\n"),
        RSA_PEM.replace("\n", "\r"),
        RSA_PEM.replace("\n", "\\n"),
        RSA_PEM.replace("\n", "\\r\\n"),
        RSA_PEM.replace("\n", "\n\n"),
        RSA_PEM.replace("\n", ""),
        RSA_PEM.replace("\n", " \n\t"),
        "  \n" + RSA_PEM.strip(),
        _pkcs1(RSA_PEM),
        _pkcs1(RSA_PEM).replace("RSA PUBLIC KEY", "PUBLIC KEY"),
        RSA_PEM.replace("PUBLIC KEY", "RSA PUBLIC KEY"),
    ],
)
def test_rsa_pem_is_read_in_every_spelling(spelling: str) -> None:
    assert load_public_pem(spelling) == load_public_pem(RSA_PEM)


@pytest.mark.spec("R61")
def test_only_rsa_of_2048_to_4096_bits() -> None:
    for bits, good in ((1024, False), (2040, False), (2048, True), (4096, True), (4104, False)):
        # A modulus of the right length is enough: reading a public key does not ask for its factors.
        numbers = rsa.RSAPublicNumbers(65537, (1 << (bits - 1)) + 12345)
        pem = numbers.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        if good:
            assert load_public_pem(pem).kind == "rsa"
        else:
            with pytest.raises(BadDocument, match="2048 to 4096"):
                load_public_pem(pem)


def test_a_long_exponent_is_refused_because_it_makes_verifying_dear() -> None:
    numbers = rsa.RSAPublicNumbers(2**40 + 1, (1 << 2047) + 12345)
    pem = numbers.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with pytest.raises(BadDocument, match="exponent"):
        load_public_pem(pem)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        PUBLISHED["test-key-rsa"]["privateKeyPem"],
        PUBLISHED["test-key-ecc-p256"]["publicKeyPem"],
        PUBLISHED["Test"]["publicKeyPem"],
        RSA_PEM[:200],
        RSA_PEM[:100] + RSA_PEM[104:],
        RSA_PEM.replace("M", "é"),
        RSA_PEM + RSA_PEM,
        "-----BEGIN PUBLIC KEY-----\n=\n-----END PUBLIC KEY-----",
        RSA_PEM + " " * 10_000,
    ],
)
def test_what_is_no_usable_key_is_a_bad_document(text: str) -> None:
    with pytest.raises(BadDocument):
        load_public_pem(text)


@settings(deadline=None, max_examples=100)
@given(st.integers(0, len(RSA_PEM) - 1), st.text(max_size=3))
def test_a_damaged_pem_is_another_key_or_a_bad_document(position: int, change: str) -> None:
    with contextlib.suppress(BadDocument):
        assert isinstance(load_public_pem(RSA_PEM[:position] + change + RSA_PEM[position + 1 :]), PublicKey)


@pytest.mark.spec("R62")
def test_multikey_both_ways() -> None:
    key = load_multikey(MULTIKEY)
    assert key.kind == "ed25519"
    assert key.multibase() == MULTIKEY
    assert load_public_pem(key.pem()) == key
    with pytest.raises(BadInput):
        load_public_pem(RSA_PEM).multibase()


@pytest.mark.spec("R62")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "z",
        MULTIKEY[1:],
        "u" + MULTIKEY[1:],
        MULTIKEY[:-1],
        MULTIKEY + "1",
        "z1" + MULTIKEY[1:],
        MULTIKEY[:-1] + "0",
        "z6Mk" + "é" * 44,
        "z" + "1" * 500,
        "z3u2en7t5LR2WtQH5PfFqMqwVHBeXouLzo6haApm8XHqvjxq",
        "zDnaepBuvsQ8cpsWrVKw8fbpGpvPeNSjVPTWoq6cRqaYzBKVP",
    ],
)
def test_other_multikeys_are_refused(text: str) -> None:
    with pytest.raises(BadDocument):
        load_multikey(text)


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=80))
def test_base58_is_one_to_one(data: bytes) -> None:
    assert base58_decode(base58_encode(data)) == data


def test_base58_known_values() -> None:
    assert base58_encode(b"Hello World!") == "2NEpo7TZRRrLZSi2U"
    assert base58_encode(bytes.fromhex("0000287fb4cd")) == "11233QC4"
    assert base58_decode("11233QC4").hex() == "0000287fb4cd"


def test_generated_keys_survive_the_store_and_stay_out_of_texts() -> None:
    for key in (generate_rsa(), generate_ed25519()):
        again = load_private_pem(key.pem())
        signature = again.sign(b"note")
        assert key.public().verify(signature, b"note")
        assert not key.public().verify(signature, b"other")
        assert load_public_pem(key.public().pem()) == key.public()
        assert repr(key) == f"PrivateKey(kind='{key.kind}')"


def test_a_private_key_that_is_none_of_ours_is_told() -> None:
    for text in ("", "x", RSA_PEM, PUBLISHED["test-key-ecc-p256"]["privateKeyPem"]):
        with pytest.raises(BadInput):
            load_private_pem(text)


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=600), st.binary(max_size=10))
def test_a_wrong_signature_of_any_length_is_just_wrong(signature: bytes, data: bytes) -> None:
    assert not load_public_pem(RSA_PEM).verify(signature, data)
    assert not load_public_pem(ED25519_PEM).verify(signature, data)
