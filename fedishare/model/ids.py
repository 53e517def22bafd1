"""Identifiers: time-ordered local ids, IRIs, domains and handles, each normalised once, where it enters.

Local ids are 64-bit integers: milliseconds since 1970 shifted left by 16, then 6 bits of node and 10 bits of
sequence. Apps sort them as numbers, page with ``id ± n`` and make their own from timestamps, so all of that holds.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import NewType
from urllib.parse import urlsplit

import idna

from fedishare.model.errors import BadInput

Id = NewType("Id", int)
"""A local row key: time-ordered, positive, below 2**63."""

Iri = NewType("Iri", str)
"""An ActivityStreams identifier: an absolute http(s) URL, compared byte by byte."""

Domain = NewType("Domain", str)
"""A normalised host name (lower case, A-labels, no trailing dot), with ``:port`` in development only."""

Millis = NewType("Millis", int)
"""An instant: milliseconds since 1970-01-01T00:00Z."""

MAX_IRI = 2048
_FORBIDDEN = re.compile(r'[\x00-\x20\\"<>^`{|}\x7f]')
_PLAIN_ORIGIN = re.compile(r"(https?)://([a-z0-9.-]+)(?::([0-9]{1,5}))?(?=[/?#]|\Z)")
"""The beginning of nearly every IRI. What does not look like this goes the long way, through `urlsplit`."""
_ASCII_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*\Z")
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9_])?\Z")
_LOCAL_NAME = re.compile(r"[A-Za-z0-9_]{1,30}\Z")


class IdSource:
    """Makes ids that only grow, even when the clock goes back. Thread-safe.

    ``node`` (0–63) keeps several processes on one database apart; ``floor`` is the highest id already used.
    """

    def __init__(self, node: int = 0, floor: int = 0) -> None:
        self._node = (node & 63) << 10
        self._last_ms = floor >> 16
        self._sequence = 1023 if floor else 0
        self._lock = threading.Lock()

    def next(self, now: Millis) -> Id:
        """The next id for the instant ``now``."""
        with self._lock:
            if now > self._last_ms:
                self._last_ms, self._sequence = now, 0
            elif self._sequence >= 1023:
                self._last_ms, self._sequence = self._last_ms + 1, 0
            else:
                self._sequence += 1
            return Id((self._last_ms << 16) | self._node | self._sequence)


def id_at(now: Millis) -> Id:
    """The smallest id of the instant ``now``; for comparisons."""
    return Id(now << 16)


def time_of(identifier: Id) -> Millis:
    """When an id was made."""
    return Millis(identifier >> 16)


def iri_hash(iri: str) -> int:
    """A signed 64-bit hash of an IRI: the key of IRI indexes, because long random keys make inserts slow."""
    return int.from_bytes(hashlib.blake2b(iri.encode(), digest_size=8).digest(), "big", signed=True)


def parse_domain(text: str, *, allow_port: bool = False) -> Domain:
    """Normalise a host name: case, trailing dot, IDNA. Raises `BadInput` for anything that is not one.

    IP addresses are no domains, except loopback ones where ``allow_port`` (development) is set.
    """
    # spec: R110 — lower case and A-labels
    host, port = _split_port(text.strip(), allow_port)
    host = host.rstrip(".").lower() if host.endswith(".") and not host.endswith("..") else host.lower()
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode()
        except (idna.IDNAError, UnicodeError) as error:
            raise BadInput(f"{text!r} is not a domain name: {error}") from error
    if not _ASCII_HOST.match(host):
        raise BadInput(f"{text!r} is not a domain name")
    if re.search(r"(^|\.)(0x[0-9a-f]*|[0-9]+)$", host) and not (allow_port and _is_loopback(host)):
        raise BadInput(f"{text!r} is an IP address; a domain name is expected")
    if host in ("local", "partners"):
        # As a domain either would read as a reach: `local` as nowhere, `partners` as everywhere.
        raise BadInput(f"{text!r} is a word of ours and cannot be a domain name")
    return Domain(f"{host}:{port}" if port else host)


def _split_port(text: str, allow_port: bool) -> tuple[str, int | None]:
    host, colon, port = text.partition(":")
    if not colon:
        return text, None
    if not allow_port:
        raise BadInput(f"{text!r} has a port; a domain may have one in development only")
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise BadInput(f"{text!r} has an invalid port")
    return host, int(port)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def unicode_domain(domain: Domain) -> str:
    """The form for people: U-labels where they are valid."""
    host, colon, port = domain.partition(":")
    if "xn--" in host:
        try:
            host = idna.decode(host)
        except (idna.IDNAError, UnicodeError):
            return domain
    return f"{host}{colon}{port}"


@lru_cache(maxsize=8192)  # asked several times for each request, always about the same few thousand addresses
def host_of(iri: str, *, development: bool = False) -> Domain:
    """The domain that owns an IRI. Raises `BadInput` unless it is an absolute https URL without user info.

    With ``development`` http, ports and loopback hosts are taken too; the caller decides which hosts are.
    """
    if len(iri) > MAX_IRI or _FORBIDDEN.search(iri):
        raise BadInput(f"not an IRI that we accept (too long, or with forbidden characters): {iri[:80]!r}")
    scheme, hostname, port = _origin_parts(iri)
    schemes = ("https", "http") if development else ("https",)
    if scheme not in schemes or not hostname:
        raise BadInput(f"an absolute {' or '.join(schemes)} URL was expected, found {iri[:80]!r}")
    default = 443 if scheme == "https" else 80
    suffix = f":{port}" if port and port != default else ""
    return parse_domain(hostname + suffix, allow_port=development)


def _origin_parts(iri: str) -> tuple[str, str | None, int | None]:
    plain = _PLAIN_ORIGIN.match(iri)
    if plain is not None:
        return plain[1], plain[2], int(plain[3]) if plain[3] else None
    try:
        parts = urlsplit(iri)
        port = parts.port
    except ValueError as error:
        raise BadInput(f"not a URL: {iri[:80]!r}") from error
    if parts.username is not None or parts.password is not None:
        raise BadInput(f"a URL without user information was expected, found {iri[:80]!r}")
    return parts.scheme, parts.hostname, port


def origin_of(iri: str) -> str:
    """``scheme://host[:port]`` of an IRI, lower-cased; the empty string when it is not a URL."""
    plain = _PLAIN_ORIGIN.match(iri)
    if plain is not None:
        return plain[0]
    try:
        parts = urlsplit(iri)
        return f"{parts.scheme}://{parts.netloc}".lower() if parts.scheme and parts.netloc else ""
    except ValueError:
        return ""


@dataclass(frozen=True, slots=True)
class Handle:
    """``@name@domain``. A local person's handle has no domain."""

    name: str
    domain: Domain | None = None

    @classmethod
    def parse(cls, text: str, *, development: bool = False) -> Handle:
        """Read ``name``, ``@name``, ``name@domain``, ``@name@domain`` or ``acct:name@domain``. Raises `BadInput`."""
        body = text.strip().removeprefix("acct:").removeprefix("@")
        name, at, domain = body.partition("@")
        if not _NAME.match(name):
            raise BadInput(f"{text[:80]!r} is not a handle; @name@domain is expected")
        return cls(name, parse_domain(domain, allow_port=development) if at else None)

    def __str__(self) -> str:
        return f"{self.name}@{self.domain}" if self.domain else self.name


def parse_local_name(text: str) -> str:
    """A name that a local account may have: 1 to 30 of A–Z, a–z, 0–9 and ``_``. Raises `BadInput`."""
    if not _LOCAL_NAME.match(text):
        raise BadInput(f"{text[:80]!r} cannot be an account name: use 1 to 30 letters, digits and _")
    return text
