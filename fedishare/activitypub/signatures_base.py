"""What both signature schemes share: the request as a value, the claim made about it, its digests and its times.

Nothing here trusts the request for the host: scheme, host and port come from ``RawRequest.origin``, which the caller
fills from the configuration, so that neither a proxy nor an attacker decides for whom a signature was meant.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256, sha512
from typing import Final, Literal
from urllib.parse import urlsplit

from fedishare.activitypub.structured import Item, parse_dictionary
from fedishare.model.errors import BadInput, SignatureError, SignatureReason
from fedishare.model.ids import Millis

MAX_AGE: Final = 12 * 3600 * 1000
"""Older signatures are refused, whatever they say themselves; milliseconds. spec: R26"""
MAX_AHEAD: Final = 3600 * 1000
"""How far a peer's clock may be ahead of ours; milliseconds. spec: R26"""
MAX_KEY_ID: Final = 2048
MAX_SIGNATURE: Final = 1024
"""Bytes; RSA-4096 needs 512."""

Scheme = Literal["cavage", "rfc9421"]

_METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
_DATE = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), ([0-9]{1,2}) ([A-Z][a-z]{2}) ([0-9]{4})"
    r" ([0-9]{2}):([0-9]{2}):([0-9]{2}) (?:GMT|UTC|\+0000)"
)
_CONTROL = re.compile(r"[\r\n\0]")


@dataclass(frozen=True, slots=True)
class RawRequest:
    """A request as it was received, or is about to be sent.

    ``method`` is in upper case. ``target`` is the path with the query, exactly as on the request line. ``origin`` is
    ``https://host[:port]`` from the configuration, or of the URL when we send. ``headers`` has lower-case names,
    values decoded as latin-1, repeated ones joined with ``", "``. ``body`` is raw.
    """

    method: str
    target: str
    origin: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def needs_digest(self) -> bool:
        """Whether the signature must vouch for the body."""
        return bool(self.body) or self.method in _METHODS_WITH_BODY


@dataclass(frozen=True, slots=True)
class Component:
    """One covered component of RFC 9421: its ``name``, how it was written, and the `name` parameter if it has one."""

    name: str
    identifier: str
    argument: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """What a signature says of itself. Nothing in it is proven before `verify` returns.

    ``covered`` are the names in the order signed; ``components`` the same with their parameters (RFC 9421 only).
    ``created`` and ``expires`` are in milliseconds. ``params`` is the text of the signature parameters, verbatim.
    """

    scheme: Scheme
    key_id: str
    algorithm: str | None
    covered: tuple[str, ...]
    signature: bytes
    created: Millis | None
    expires: Millis | None
    label: str = ""
    components: tuple[Component, ...] = ()
    params: str = ""


def refuse(reason: SignatureReason, message: str) -> SignatureError:
    """The error for a signature that does not count."""
    return SignatureError(message, reason=reason)


def malformed(message: str) -> SignatureError:
    """The error for a signature that cannot be read."""
    return SignatureError(message, reason=SignatureReason.MALFORMED)


def authority_of(origin: str) -> str:
    """``host[:port]`` of an origin: lower case, without the default port (RFC 9421, 2.2.3)."""
    scheme, _, authority = origin.partition("://")
    return _plain_authority(scheme, authority)


def _plain_authority(scheme: str, authority: str) -> str:
    authority = authority.strip().lower()
    return authority.removesuffix(":443" if scheme.lower() == "https" else ":80")


def header_value(request: RawRequest, name: str) -> str:
    """A covered header's value for the text that is signed. Raises `SignatureError` if it is missing or unsafe."""
    value = request.headers.get(name)
    if value is None:
        raise malformed(f"the signature covers the header {name!r}, but the request has none")
    if _CONTROL.search(value):
        # A line end inside a value could forge a further line of the text that is signed.
        raise malformed(f"the header {name!r} contains a line end")
    return value.strip(" \t")


def to_bytes(text: str) -> bytes:
    """The text that is signed, as bytes. Headers were decoded as latin-1, and that is undone here."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as error:
        raise malformed("a covered component contains characters that cannot be in a header") from error


def check_path(request: RawRequest) -> None:
    """Raises `SignatureError` unless the target is in origin form: ``/path[?query]``."""
    if not request.target.startswith("/") or _CONTROL.search(request.target):
        raise malformed(f"a request target that starts with '/' was expected, found {request.target[:40]!r}")


def check_host(request: RawRequest) -> None:
    """Raises `SignatureError` if the Host header names another server than the configured origin. spec: R66"""
    host = request.headers.get("host", "")
    expected = authority_of(request.origin)
    if host != expected and _plain_authority(request.origin.partition("://")[0], host) != expected:
        message = (
            f"the request is signed for host {host[:80]!r}, but this is {expected!r}; check the proxy's Host header"
        )
        raise refuse(SignatureReason.MISMATCH, message)


def check_times(claim: Claim, request: RawRequest, *, now: Millis, max_age: int, max_ahead: int) -> None:
    """Raises `SignatureError` (expired, future) unless every time that the claim names is acceptable. spec: R26"""
    if claim.created is not None:
        _check_time("created", claim.created, now, max_age, max_ahead)
    if "date" in claim.covered:
        _check_time("date", parse_http_date(header_value(request, "date")), now, max_age, max_ahead)
    if claim.expires is not None and claim.expires <= now:
        seconds = (now - claim.expires) // 1000
        raise refuse(SignatureReason.EXPIRED, f"the signature expired {seconds} s ago, as it says itself")


def _check_time(name: str, stamp: Millis, now: Millis, max_age: int, max_ahead: int) -> None:
    if stamp - now > max_ahead:
        message = (
            f"{name} is {(stamp - now) // 1000} s in the future; the limit is {max_ahead // 1000}. Check the clocks"
        )
        raise refuse(SignatureReason.FUTURE, message)
    if now - stamp > max_age:
        message = f"{name} is {(now - stamp) // 1000} s old; the limit is {max_age // 1000}. Check the peer's clock"
        raise refuse(SignatureReason.EXPIRED, message)


def parse_http_date(text: str) -> Millis:
    """An HTTP date (RFC 9110, 5.6.7, the fixed form). Raises `SignatureError` (malformed)."""
    match = _DATE.fullmatch(text)
    month = _MONTHS.get(match[2]) if match else None
    if match is None or month is None:
        raise malformed(f"an HTTP date was expected, found {text[:40]!r}")
    day, _, year, hour, minute, second = match.groups()
    try:
        moment = datetime(int(year), month, int(day), int(hour), int(minute), int(second), tzinfo=UTC)
    except ValueError as error:
        raise malformed(f"no such date: {text[:40]!r}") from error
    return Millis(int(moment.timestamp()) * 1000)


def http_date(now: Millis) -> str:
    """``now`` as an HTTP date."""
    moment = datetime.fromtimestamp(now // 1000, UTC)
    day, month = _DAY_NAMES[moment.weekday()], _MONTH_NAMES[moment.month - 1]
    return f"{day}, {moment.day:02} {month} {moment.year:04} {moment:%H:%M:%S} GMT"


def digest_header(body: bytes) -> str:
    """The value of `Digest` for a body: ``SHA-256=…`` (RFC 3230)."""
    return "SHA-256=" + b64encode(sha256(body).digest()).decode()


def content_digest(body: bytes) -> str:
    """The value of `Content-Digest` for a body: ``sha-256=:…:`` (RFC 9530)."""
    return f"sha-256=:{b64encode(sha256(body).digest()).decode()}:"


def check_digest(request: RawRequest) -> None:
    """Raises `SignatureError` unless `Digest` holds exactly one SHA-256, and it is the body's. spec: R4"""
    found: list[str] = []
    for entry in header_value(request, "digest").split(","):
        name, equals, value = entry.strip(" \t").partition("=")
        if not equals:
            raise malformed("Digest should read SHA-256=<base64>, with commas between several")
        if name.lower() == "sha-256":
            found.append(value)
    if len(found) != 1:
        raise malformed(f"Digest should hold exactly one SHA-256 value, found {len(found)}")
    if found[0] != b64encode(sha256(request.body).digest()).decode():
        raise refuse(SignatureReason.DIGEST, "Digest is not the SHA-256 of the body; it was changed on the way")


def check_content_digest(request: RawRequest) -> None:
    """Raises `SignatureError` unless every SHA-256 and SHA-512 in `Content-Digest` is the body's, and there is one."""
    known = 0
    for name, member in parse_dictionary(header_value(request, "content-digest")).items():
        if name not in ("sha-256", "sha-512"):
            continue
        known += 1
        digest = (sha256 if name == "sha-256" else sha512)(request.body).digest()
        if not isinstance(member, Item) or not isinstance(member.value, bytes):
            raise malformed(f"Content-Digest should read {name}=:<base64>:")
        if member.value != digest:
            message = f"Content-Digest is not the {name.upper()} of the body; it was changed on the way"
            raise refuse(SignatureReason.DIGEST, message)
    if not known:
        raise refuse(SignatureReason.UNSUPPORTED, "Content-Digest holds neither sha-256 nor sha-512")


def check_key_id(key_id: str) -> str:
    """The key id, if it can be one. Raises `SignatureError` (malformed)."""
    if not key_id or len(key_id) > MAX_KEY_ID or not key_id.isascii() or not key_id.isprintable():
        raise malformed(f"the id of a key was expected in the signature, found {key_id[:80]!r}")
    return key_id


def check_signature_length(signature: bytes) -> bytes:
    """The signature, if it has a sensible length. Raises `SignatureError` (malformed)."""
    if not 0 < len(signature) <= MAX_SIGNATURE:
        raise malformed(f"a signature of 1 to {MAX_SIGNATURE} bytes was expected, found {len(signature)}")
    return signature


def outgoing(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> RawRequest:
    """A request that we are about to send, taken apart. Raises `BadInput` unless the URL is absolute http(s)."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    if scheme not in ("https", "http") or not parts.netloc or "@" in parts.netloc:
        raise BadInput(f"an absolute URL was expected for a signed request, found {url[:80]!r}")
    origin = f"{scheme}://{_plain_authority(scheme, parts.netloc)}"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return RawRequest(method.upper(), target, origin, headers, body or b"")
