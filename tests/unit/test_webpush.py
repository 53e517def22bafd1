"""Messages for apps: the published vector, what a third-party reader makes of them, and who sent them."""

from __future__ import annotations

import http_ece
import msgspec
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from fedishare.model.errors import BadInput
from fedishare.webpush import MAX_PLAINTEXT, Sealed, Sender, check_keys, encrypt, from_base64, to_base64

CURVE = ec.SECP256R1()
ENDPOINT = "https://push.example/device/1"
NOW = 1_800_000_000
# RFC 8291, appendix A.
PLAINTEXT = b"When I grow up, I want to be a watermelon"
RECEIVER = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
SENDER = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
AUTH, SALT = "BTBZMqHH6r4Tts7J_aSIgg", "DGv6ra1nlYgDCS1FRnbzlw"
BODY = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_y"
    "l95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def key_of(number: bytes) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(number, "big"), CURVE)


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def opened(sealed: Sealed, key: ec.EllipticCurvePrivateKey, auth: bytes) -> bytes:
    """What an app reads, with a library of somebody else's."""
    if sealed.headers["content-encoding"] == "aes128gcm":
        return bytes(http_ece.decrypt(sealed.body, private_key=key, auth_secret=auth, version="aes128gcm"))
    salt = from_base64(sealed.headers["encryption"].removeprefix("salt="))
    dh = from_base64(dict(part.split("=", 1) for part in sealed.headers["crypto-key"].split(";"))["dh"])
    return bytes(http_ece.decrypt(sealed.body, salt=salt, private_key=key, dh=dh, auth_secret=auth, version="aesgcm"))


def test_the_published_vector() -> None:
    made = encrypt(PLAINTEXT, from_base64(RECEIVER), from_base64(AUTH), key_of(from_base64(SENDER)), from_base64(SALT))
    assert to_base64(made) == BODY


@given(plaintext=st.binary(max_size=MAX_PLAINTEXT), standard=st.booleans())
@settings(max_examples=25, deadline=None)
def test_an_app_reads_what_was_sent_and_nobody_else(plaintext: bytes, standard: bool) -> None:
    app, auth, sender = ec.generate_private_key(CURVE), b"a" * 16, Sender(b"s" * 32, "https://clinic.example")
    sealed = sender.message(ENDPOINT, point(app), auth, plaintext, now=NOW, standard=standard)
    assert opened(sealed, app, auth) == plaintext
    for key, secret in ((ec.generate_private_key(CURVE), auth), (app, b"b" * 16)):
        with pytest.raises(http_ece.ECEException):
            opened(sealed, key, secret)


@pytest.mark.parametrize("standard", [True, False])
def test_the_push_service_learns_who_sends_and_for_how_long(standard: bool) -> None:
    sender = Sender(b"s" * 32, "https://clinic.example")
    sealed = sender.message(ENDPOINT, point(key_of(b"1")), b"a" * 16, b"hi", now=NOW, standard=standard)
    said = sealed.headers["authorization"]
    token = said.removeprefix("vapid t=").partition(",")[0] if standard else said.removeprefix("WebPush ")
    assert sender.public_key in (said if standard else sealed.headers["crypto-key"])
    text, _, signature = token.rpartition(".")
    raw = from_base64(signature)
    der = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    public = ec.EllipticCurvePublicKey.from_encoded_point(CURVE, from_base64(sender.public_key))
    public.verify(der, text.encode(), ec.ECDSA(SHA256()))
    with pytest.raises(InvalidSignature):
        public.verify(der, text.encode() + b"x", ec.ECDSA(SHA256()))
    claims = msgspec.json.decode(from_base64(text.partition(".")[2]))
    assert claims == {"aud": "https://push.example", "exp": NOW + 12 * 3600, "sub": "https://clinic.example"}


def test_keys_follow_from_the_secret_and_tokens_are_kept_sealed() -> None:
    first, again, other = Sender(b"s" * 32, "x"), Sender(b"s" * 32, "x"), Sender(b"t" * 32, "x")
    assert first.public_key == again.public_key != other.public_key and len(from_base64(first.public_key)) == 65
    sealed = first.seal("secret token")
    assert b"secret" not in sealed and again.unseal(sealed) == "secret token"
    assert other.unseal(sealed) is None and first.unseal(sealed[:-1]) is None and first.unseal(b"") is None


@pytest.mark.parametrize(
    ("p256dh", "auth"),
    [
        (b"", b"a" * 16),
        (b"\4" + b"\1" * 64, b"a" * 16),
        (point(key_of(b"1"))[:-1], b"a" * 16),
        (point(key_of(b"1")), b"a"),
    ],
)
def test_keys_that_are_none(p256dh: bytes, auth: bytes) -> None:
    check_keys(point(key_of(b"1")), b"a" * 16)
    with pytest.raises(BadInput):
        check_keys(p256dh, auth)


@given(st.text())
@settings(deadline=None)
def test_any_text_is_base64_or_bad_input(text: str) -> None:
    try:
        assert isinstance(from_base64(text), bytes)
    except BadInput as error:
        assert "base64url" in error.message
