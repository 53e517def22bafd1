"""The pretend internet: a transport that maps hosts to ASGI apps, notes every request that leaves, and can be broken.

All instances of one test share one, so that "nothing left" and "nobody was looked up" can be asserted in one place.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from fedishare.gateway import Reply, WireLimits
from fedishare.guard import Permit
from fedishare.model.errors import FetchFailed
from fedishare.model.ids import Domain, host_of

Message = MutableMapping[str, Any]
App = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]


@dataclass(frozen=True, slots=True)
class Sent:
    """One request that left, with the permit under which it did."""

    method: str
    url: str
    host: str
    headers: Mapping[str, str]
    body: bytes | None
    permit: Permit

    @property
    def path(self) -> str:
        """Path and query."""
        parts = urlsplit(self.url)
        return parts.path + (f"?{parts.query}" if parts.query else "")


@dataclass(slots=True)
class Site:
    """A host: its app, and what is wrong with it at the moment."""

    app: App | None = None
    down: bool = False
    resets: bool = False
    delay: float = 0.0
    gate: asyncio.Event | None = None
    answers: list[tuple[int, Mapping[str, str], bytes]] = field(default_factory=list)
    always: tuple[int, Mapping[str, str], bytes] | None = None


class PretendInternet:
    """A `Transport` without sockets. Hosts are authorities: ``lab.example``, or ``lab.localhost:8001``.

    ``sent`` has every request in order, ``dns_lookups`` every host that was asked for, known or not. ``peak`` is the
    most requests that were in flight to each host at once.
    """

    def __init__(self) -> None:
        self._sites: dict[str, Site] = {}
        self._in_flight: Counter[str] = Counter()
        self.sent: list[Sent] = []
        self.dns_lookups: list[str] = []
        self.dropped: list[str] = []
        self.peak: Counter[str] = Counter()
        self.closed = False

    # --- what the world looks like

    def add(self, host: str, app: App | None = None) -> Site:
        """Put a host on the net; without an app it answers 404."""
        site = self._sites.setdefault(host, Site())
        site.app = app or site.app
        return site

    def remove(self, host: str) -> None:
        """The name does not exist any more."""
        self._sites.pop(host, None)

    def down(self, host: str, down: bool = True) -> None:
        """Connections are refused, until ``down(host, False)``."""
        self.add(host).down = down

    def resets(self, host: str, resets: bool = True) -> None:
        """The request arrives and is processed, but the connection breaks before the answer."""
        self.add(host).resets = resets

    def slow(self, host: str, seconds: float) -> None:
        """Each answer takes so long."""
        self.add(host).delay = seconds

    def hold(self, host: str) -> asyncio.Event:
        """Requests wait until the returned event is set."""
        site = self.add(host)
        site.gate = asyncio.Event()
        return site.gate

    def answer(
        self, host: str, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None, *, times: int = 0
    ) -> None:
        """Answer with this and not through the app: for the next ``times`` requests, or for good when it is 0."""
        site = self.add(host)
        if times:
            site.answers.extend([(status, headers or {}, body)] * times)
        else:
            site.always = (status, headers or {}, body)

    def heal(self, host: str) -> None:
        """Everything that was wrong with a host is over."""
        app = self.add(host).app
        self._sites[host] = Site(app)

    def to(self, host: str, method: str | None = None) -> list[Sent]:
        """The requests that left for a host."""
        return [s for s in self.sent if s.host == host and method in (None, s.method)]

    def forget(self) -> None:
        """Start the records anew."""
        self.sent.clear()
        self.dns_lookups.clear()

    # --- Transport

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
        """One request."""
        host = host_of(url, development=permit.development)
        assert host == permit.host, f"{url} left with a permit for {permit.host}"
        self.dns_lookups.append(host)
        site = self._sites.get(host)
        if site is None:
            raise FetchFailed(f"{host} has no address: unknown in this pretend internet")
        if site.down:
            raise FetchFailed(f"{host} cannot be reached: connection refused")
        self.sent.append(Sent(method, url, host, dict(headers), body, permit))
        self._in_flight[host] += 1
        self.peak[host] = max(self.peak[host], self._in_flight[host])
        try:
            return await self._answer(site, method, url, headers, body, limits)
        finally:
            self._in_flight[host] -= 1

    async def _answer(
        self, site: Site, method: str, url: str, headers: Mapping[str, str], body: bytes | None, limits: WireLimits
    ) -> Reply:
        if site.gate is not None:
            await site.gate.wait()
        if site.delay:
            await asyncio.sleep(site.delay)
        fixed = site.answers.pop(0) if site.answers else site.always
        if fixed is not None:
            status, answer_headers, answer_body = fixed
        elif site.app is None:
            status, answer_headers, answer_body = 404, {}, b""
        else:
            status, answer_headers, answer_body = await call_asgi(site.app, method, url, headers, body)
        if site.resets:
            raise FetchFailed("the connection ended in the middle of the answer")
        if len(answer_body) > limits.max_body:
            if not limits.truncate and 200 <= status < 300:
                raise FetchFailed(f"the answer is larger than {limits.max_body} bytes", http_status=status)
            answer_body = answer_body[: limits.max_body]
        return Reply(status, {k.lower(): v for k, v in answer_headers.items()}, answer_body, url)

    def drop(self, host: Domain) -> None:
        """Noted only."""
        self.dropped.append(host)

    async def close(self) -> None:
        """Noted only: other instances share it."""
        self.closed = True


async def call_asgi(
    app: App, method: str, url: str, headers: Mapping[str, str], body: bytes | None, client: str = "192.0.2.1"
) -> tuple[int, dict[str, str], bytes]:
    """Call an ASGI app as a server would: status, headers (lower-case) and body."""
    parts = urlsplit(url)
    lowered = {name.lower(): value for name, value in headers.items()}
    lowered.setdefault("host", parts.netloc)
    if body is not None:
        lowered.setdefault("content-length", str(len(body)))
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": parts.scheme,
        "path": unquote(parts.path or "/"),
        "raw_path": (parts.path or "/").encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lowered.items()],
        "client": (client, 40000),
        "server": (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)),
        "state": {},
    }
    status = 0
    answer_headers: dict[str, str] = {}
    chunks: list[bytes] = []
    requests = [{"type": "http.request", "body": body or b"", "more_body": False}]
    done = asyncio.Event()

    async def receive() -> Message:
        if requests:
            return requests.pop()
        await done.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            for name, value in message.get("headers", ()):
                key, text = name.decode("latin-1").lower(), value.decode("latin-1")
                answer_headers[key] = f"{answer_headers[key]}, {text}" if key in answer_headers else text
        elif message["type"] == "http.response.body":
            chunks.append(message.get("body", b""))
            if not message.get("more_body", False):
                done.set()

    await app(scope, receive, send)
    return status, answer_headers, b"".join(chunks)
