"""Web Push: messages that only the app can read (RFC 8291, and the draft before it), with the sender's name (RFC 8292).

Pure but for the randomness of keys and salts, which can be given. The instance's key pair follows from its secret key,
so there is nothing to store; whoever changes the secret key ends all subscriptions.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fedishare.model.errors import BadInput

POINT_BYTES, AUTH_BYTES, SALT_BYTES = 65, 16, 16
RECORD_BYTES = 4096
MAX_PLAINTEXT = 3_000
"""Bytes of a message; push services take 4096 with everything around it."""
JWT_SECONDS = 12 * 3600
_CURVE = ec.SECP256R1()
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256 (SEC 2)."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A message ready to send: its body, and the headers that belong to it."""

    body: bytes
    headers: dict[str, str]


def to_base64(data: bytes) -> str:
    """base64url without padding, as keys and signatures are written here."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64(text: str) -> bytes:
    """base64 in either alphabet, with or without padding. Raises `BadInput`."""
    try:
        plain = text.strip().rstrip("=").replace("+", "-").replace("/", "_").encode("ascii")
        return urlsafe_b64decode(plain + b"=" * (-len(plain) % 4))
    except ValueError as error:
        raise BadInput(f"base64url was expected, found {text[:20]!r}") from error


def check_keys(p256dh: bytes, auth: bytes) -> None:
    """Whether these can be an app's keys: a point of the curve, and sixteen bytes. Raises `BadInput`."""
    if len(auth) != AUTH_BYTES:
        raise BadInput(f"keys[auth]: {AUTH_BYTES} bytes were expected, found {len(auth)}")
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, p256dh)
    except ValueError as error:
        raise BadInput("keys[p256dh]: an uncompressed point of the curve P-256 was expected") from error


class Sender:
    """The instance as a sender of push messages. ``secret`` is its secret key, ``contact`` an address of its."""

    def __init__(self, secret: bytes, contact: str) -> None:
        number = int.from_bytes(_hkdf(secret, b"", b"fedishare vapid key", 48), "big") % (_ORDER - 1) + 1
        self._key = ec.derive_private_key(number, _CURVE)
        self._seal = AESGCM(_hkdf(secret, b"", b"fedishare push tokens", 32))
        self._contact = contact
        self.public_key = to_base64(_point(self._key))

    def seal(self, token: str) -> bytes:
        """A token as it is stored."""
        nonce = os.urandom(12)
        return nonce + self._seal.encrypt(nonce, token.encode(), None)

    def unseal(self, sealed: bytes) -> str | None:
        """The token; None when it was sealed with another secret key."""
        try:
            return self._seal.decrypt(sealed[:12], sealed[12:], None).decode()
        except (InvalidTag, ValueError):
            return None

    def message(
        self, endpoint: str, p256dh: bytes, auth: bytes, plaintext: bytes, *, now: int, standard: bool
    ) -> Sealed:
        """A message for one subscription. ``now`` is in seconds; ``standard`` chooses RFC 8291, or the draft that older
        apps read. Raises `BadInput` for keys that are none, `ValueError` above `MAX_PLAINTEXT`."""
        if len(plaintext) > MAX_PLAINTEXT:
            raise ValueError(f"a push message has at most {MAX_PLAINTEXT} bytes, found {len(plaintext)}")
        check_keys(p256dh, auth)
        token = self._token(endpoint, now)
        ours, salt = ec.generate_private_key(_CURVE), os.urandom(SALT_BYTES)
        if standard:
            headers = {"content-encoding": "aes128gcm", "authorization": f"vapid t={token}, k={self.public_key}"}
            return Sealed(encrypt(plaintext, p256dh, auth, ours, salt), headers)
        return Sealed(
            encrypt_draft(plaintext, p256dh, auth, ours, salt),
            {
                "content-encoding": "aesgcm",
                "authorization": f"WebPush {token}",
                "encryption": f"salt={to_base64(salt)}",
                "crypto-key": f"dh={to_base64(_point(ours))};p256ecdsa={self.public_key}",
            },
        )

    def _token(self, endpoint: str, now: int) -> str:
        """Who sends this, for the push service alone (RFC 8292 section 2)."""
        parts = urlsplit(endpoint)
        claims = {"aud": f"{parts.scheme}://{parts.netloc}", "exp": now + JWT_SECONDS, "sub": self._contact}
        text = ".".join(to_base64(msgspec.json.encode(part)) for part in ({"typ": "JWT", "alg": "ES256"}, claims))
        r, s = utils.decode_dss_signature(self._key.sign(text.encode(), ec.ECDSA(SHA256())))
        return f"{text}.{to_base64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def encrypt(plaintext: bytes, p256dh: bytes, auth: bytes, ours: ec.EllipticCurvePrivateKey, salt: bytes) -> bytes:
    """A message in ``aes128gcm`` (RFC 8291 section 3.4, RFC 8188): header and one record."""
    point = _point(ours)
    material = _hkdf(_shared(ours, p256dh), auth, b"WebPush: info\0" + p256dh + point, 32)
    key = _hkdf(material, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _hkdf(material, salt, b"Content-Encoding: nonce\0", 12)
    header = salt + RECORD_BYTES.to_bytes(4, "big") + bytes([len(point)]) + point
    return header + AESGCM(key).encrypt(nonce, plaintext + b"\x02", None)


def encrypt_draft(plaintext: bytes, p256dh: bytes, auth: bytes, ours: ec.EllipticCurvePrivateKey, salt: bytes) -> bytes:
    """A message in ``aesgcm`` (draft-ietf-webpush-encryption-04), which many apps still ask for."""
    point = _point(ours)
    material = _hkdf(_shared(ours, p256dh), auth, b"Content-Encoding: auth\0", 32)
    context = b"P-256\0" + b"".join(len(each).to_bytes(2, "big") + each for each in (p256dh, point))
    key = _hkdf(material, salt, b"Content-Encoding: aesgcm\0" + context, 16)
    nonce = _hkdf(material, salt, b"Content-Encoding: nonce\0" + context, 12)
    return AESGCM(key).encrypt(nonce, b"\0\0" + plaintext, None)


def _shared(ours: ec.EllipticCurvePrivateKey, theirs: bytes) -> bytes:
    return ours.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, theirs))


def _point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _hkdf(material: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(material)
