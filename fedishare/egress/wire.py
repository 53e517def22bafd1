"""Wire values: the URL as it goes out, the limits of an answer, the answer, and the seam of the transport.

A URL is parsed once and strictly; what is checked, resolved, named in TLS and written as ``Host`` is that one value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Protocol
from urllib.parse import quote, urlsplit

from fedishare.guard import Permit
from fedishare.model.errors import BadInput, FetchFailed, PolicyRefusal
from fedishare.model.ids import Domain, Millis, host_of

KIB = 1024
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_URL_ASCII = "".join(chr(c) for c in range(0x21, 0x7F))
OWNED = frozenset({"connection", "content-length", "expect", "te", "trailer", "transfer-encoding", "upgrade"})
"""Headers that the transport alone writes, because they frame the message."""


@dataclass(frozen=True, slots=True)
class WireLimits:
    """How much of an answer is read, in bytes (after decompression) and headers. ``truncate``: a longer body is cut."""

    max_body: int = 1024 * KIB
    max_head: int = 32 * KIB
    max_headers: int = 100
    truncate: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. Header names are lower-case, repeated ones joined with ``, ``; ``url`` is where it came from."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    def retry_after(self, now: Millis) -> int | None:
        """``Retry-After`` in seconds from ``now``, at least 0; None when absent or unreadable (RFC 9110, 10.2.3)."""
        text = self.headers.get("retry-after", "").strip()
        if text.isascii() and text.isdigit():
            return int(text[:9])
        try:
            when = parsedate_to_datetime(text)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return max(0, int(when.timestamp() - now / 1000))


class Transport(Protocol):
    """The seam under the gateway: the real one opens sockets, the tests' one is a pretend internet.

    ``send`` raises `FetchFailed` or `PolicyRefusal`, never anything else, and follows no redirect.
    """

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        permit: Permit,
        limits: WireLimits,
    ) -> Reply:
        """One request, one answer."""

    def drop(self, host: Domain) -> None:
        """Close every connection to a host, also those in use."""

    async def close(self) -> None:
        """Close everything."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be asked for, taken apart. ``authority`` is the `Host` header; ``path`` has the query."""

    scheme: str
    authority: Domain
    host: str
    port: int
    path: str

    @property
    def url(self) -> str:
        """The URL as it goes out: canonical host, non-ASCII percent-encoded, no fragment."""
        return f"{self.scheme}://{self.authority}{self.path}"

    def same_origin(self, other: Target) -> bool:
        """Whether a redirect may lead there."""
        return self.scheme == other.scheme and self.authority == other.authority


@lru_cache(maxsize=4096)  # pure; each delivery parses its inbox three times, and inboxes are few
def parse_target(url: str, *, development: bool) -> Target:
    """Take a URL apart. Raises `BadInput` unless it is absolute https (in development also http, any port)."""
    authority = host_of(url, development=development)
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not path.isascii():
        try:
            path = quote(path, safe=_URL_ASCII)
        except ValueError as error:
            raise BadInput(f"not a URL: {url[:80]!r}") from error
    host, _, port = authority.partition(":")
    return Target(parts.scheme, authority, host, int(port or (443 if parts.scheme == "https" else 80)), path)


def wire_url(url: str, *, development: bool = False) -> str:
    """The form of a URL that is signed and sent. Raises `BadInput` when it is none that we ask for."""
    return parse_target(url, development=development).url


def render(method: str, target: Target, headers: Mapping[str, str], body: bytes | None) -> bytes:
    """The request's bytes; header values as given. Raises `PolicyRefusal` for headers that could change the message."""
    lines = [f"{method} {target.path} HTTP/1.1\r\n"]
    names = set()
    for name, value in headers.items():
        low = name.lower()
        if low in OWNED or low in names or not _TOKEN.match(name) or not _is_plain(value):
            raise PolicyRefusal(f"the request's header {name[:40]!r} may not be sent like this", rule="gateway-headers")
        names.add(low)
        lines.append(f"{name}: {value}\r\n")
        if low == "host" and value != target.authority:
            raise PolicyRefusal(f"Host must be {target.authority}, found {value[:80]!r}", rule="gateway-host")
    if "host" not in names:
        lines.append(f"host: {target.authority}\r\n")
    if body is not None:
        lines.append(f"content-length: {len(body)}\r\n")
    lines.append("\r\n")
    return "".join(lines).encode("ascii") + (body or b"")


def _is_plain(value: str) -> bool:
    return value.isascii() and value.isprintable()


def answer_too_large(limit: int, status: int | None) -> FetchFailed:
    """The one sentence for a body over the limit, on the wire or unpacked."""
    return FetchFailed(f"the answer is larger than {limit} bytes", http_status=status)
