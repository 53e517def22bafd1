"""Keys: RSA and Ed25519, as PEM and as Multikey, read strictly enough that a weak key never counts.

A peer's key comes in its actor document: RSA as `publicKeyPem`, in SubjectPublicKeyInfo or PKCS#1 form and with any
line ends; Ed25519 as a Multikey `z6Mk…` (FEP-521a). Both become a `PublicKey`, which is a value: keep it, because
parsing costs as much as verifying. `PrivateKey.sign` holds no state and may run in any thread; signing releases the
interpreter lock.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, field
from typing import Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
)

from fedishare.model.errors import BadDocument, BadInput

KeyKind = Literal["rsa", "ed25519"]

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 4096
MAX_RSA_EXPONENT = 2**33
"""A longer exponent makes each verification as dear as a signature."""
MAX_PEM = 8192
MAX_MULTIBASE = 128

_PADDING = PKCS1v15()
_SHA256 = SHA256()
_PEM = re.compile(
    r"-----BEGIN (?P<label>(?:RSA )?PUBLIC KEY)-----(?P<base64>[A-Za-z0-9+/=\s]+)-----END (?P=label)-----\s*\Z"
)
_ED25519_MULTICODEC = b"\xed\x01"
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE58_VALUES = {character: value for value, character in enumerate(_BASE58)}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that checks signatures: RSA (PKCS#1 v1.5, SHA-256) or Ed25519."""

    kind: KeyKind
    key: RSAPublicKey | Ed25519PublicKey = field(repr=False)

    def verify(self, signature: bytes, data: bytes) -> bool:
        """Whether ``signature`` is this key's over ``data``. Never raises for wrong signatures of any length."""
        try:
            if isinstance(self.key, RSAPublicKey):
                self.key.verify(signature, data, _PADDING, _SHA256)
            else:
                self.key.verify(signature, data)
        except InvalidSignature:
            return False
        return True

    def pem(self) -> str:
        """SubjectPublicKeyInfo in PEM, as `publicKeyPem` wants it. spec: R9"""
        return self.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def multibase(self) -> str:
        """`publicKeyMultibase` of an Ed25519 key: ``z6Mk…``. Raises `BadInput` for RSA."""
        if self.kind != "ed25519":
            raise BadInput("a Multikey is written for Ed25519 keys only; this one is RSA")
        raw = self.key.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return "z" + base58_encode(_ED25519_MULTICODEC + raw)


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A key of ours that makes signatures. Its text form never shows the key."""

    kind: KeyKind
    key: RSAPrivateKey | Ed25519PrivateKey = field(repr=False)

    def sign(self, data: bytes) -> bytes:
        """The signature over ``data``: RSA PKCS#1 v1.5 with SHA-256, or Ed25519. Callable from any thread."""
        if isinstance(self.key, RSAPrivateKey):
            return self.key.sign(data, _PADDING, _SHA256)
        return self.key.sign(data)

    def public(self) -> PublicKey:
        """The public half."""
        return PublicKey(self.kind, self.key.public_key())

    def pem(self) -> str:
        """PKCS#8 in PEM, without a passphrase: for the store, never for a document."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def generate_rsa() -> PrivateKey:
    """A new RSA key of 2048 bits. Takes some 50 to 300 ms: call it in a worker thread."""
    return PrivateKey("rsa", generate_private_key(public_exponent=65537, key_size=MIN_RSA_BITS))


def generate_ed25519() -> PrivateKey:
    """A new Ed25519 key."""
    return PrivateKey("ed25519", Ed25519PrivateKey.generate())


def load_private_pem(pem: str) -> PrivateKey:
    """Read a private key **that we made** (`PrivateKey.pem`). Raises `BadInput` if it is not one.

    The RSA consistency check is skipped: it takes 46 ms, and only matters for keys from elsewhere.
    """
    try:
        key = load_pem_private_key(pem.encode(), None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadInput("the stored private key cannot be read; restore it from the backup") from error
    if isinstance(key, RSAPrivateKey):
        return PrivateKey("rsa", key)
    if isinstance(key, Ed25519PrivateKey):
        return PrivateKey("ed25519", key)
    raise BadInput("an RSA or Ed25519 private key was expected, the stored key is of another kind")


def load_public_pem(pem: str) -> PublicKey:
    """Read a peer's `publicKeyPem`. Raises `BadDocument` unless it is RSA of 2048 to 4096 bits, or Ed25519.

    SubjectPublicKeyInfo and PKCS#1 are taken; line ends may be missing, CR, CRLF or escaped. spec: R61
    """
    if len(pem) > MAX_PEM:
        raise BadDocument(f"publicKeyPem has {len(pem)} characters; the limit is {MAX_PEM}", path="publicKeyPem")
    # Some servers escape the PEM twice, so that the two characters "\n" stand where a line should end.
    match = _PEM.match(pem.replace("\\r", "\n").replace("\\n", "\n").strip())
    if match is None:
        raise BadDocument(f"a PEM public key was expected, found {pem[:40]!r}", path="publicKeyPem")
    try:
        der = binascii.a2b_base64("".join(match["base64"].split()), strict_mode=True)
        key = load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadDocument(
            "publicKeyPem is PEM, but holds no public key that we can read", path="publicKeyPem"
        ) from error
    if isinstance(key, Ed25519PublicKey):
        return PublicKey("ed25519", key)
    if isinstance(key, RSAPublicKey):
        return PublicKey("rsa", _checked_rsa(key))
    raise BadDocument("publicKeyPem is neither RSA nor Ed25519; other kinds are not supported", path="publicKeyPem")


def _checked_rsa(key: RSAPublicKey) -> RSAPublicKey:
    # spec: R61 — 2048 to 4096 bits
    if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        expected = f"{MIN_RSA_BITS} to {MAX_RSA_BITS} bits"
        raise BadDocument(f"an RSA key of {expected} was expected, found {key.key_size} bits", path="publicKeyPem")
    exponent = key.public_numbers().e
    if exponent < 3 or exponent % 2 == 0 or exponent > MAX_RSA_EXPONENT:
        raise BadDocument("the RSA key has an exponent that we do not take; 65537 is usual", path="publicKeyPem")
    return key


def load_multikey(text: str) -> PublicKey:
    """Read `publicKeyMultibase` of an Ed25519 Multikey (``z6Mk…``). Raises `BadDocument` for others. spec: R62"""
    path = "publicKeyMultibase"
    if not text.startswith("z") or len(text) > MAX_MULTIBASE:
        raise BadDocument(f"a base58btc Multikey (z6Mk…) was expected, found {text[:40]!r}", path=path)
    raw = base58_decode(text[1:])
    if not raw.startswith(_ED25519_MULTICODEC):
        raise BadDocument("the Multikey is not an Ed25519 public key (z6Mk…); others are not supported", path=path)
    try:
        return PublicKey("ed25519", Ed25519PublicKey.from_public_bytes(raw[2:]))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadDocument("the Multikey is not a valid Ed25519 public key", path=path) from error


def base58_encode(data: bytes) -> str:
    """Base58 with the Bitcoin alphabet; leading zero bytes become ``1``."""
    digits: list[str] = []
    number = int.from_bytes(data, "big")
    while number:
        number, digit = divmod(number, 58)
        digits.append(_BASE58[digit])
    zeros = len(data) - len(data.lstrip(b"\0"))
    return "1" * zeros + "".join(reversed(digits))


def base58_decode(text: str) -> bytes:
    """The reverse of `base58_encode`. Raises `BadDocument` for other characters, or more than 128 of them."""
    if len(text) > MAX_MULTIBASE:
        # The work grows with the square of the length.
        raise BadDocument(f"at most {MAX_MULTIBASE} base58 characters were expected, found {len(text)}")
    number = 0
    for character in text:
        value = _BASE58_VALUES.get(character)
        if value is None:
            raise BadDocument(f"base58 was expected, found {text[:40]!r}")
        number = number * 58 + value
    zeros = len(text) - len(text.lstrip("1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")
