"""The gateway: the only way out. Nothing of fedishare opens a socket except through here, and only with a `Permit`.

The guard is asked three times: before a request is prepared, at each redirect, and by the transport right before bytes
leave. One deadline covers the whole call, look-up, connection, TLS and redirects included. Every failure is either the
peer's (`FetchFailed`) or our own policy's (`PolicyRefusal`). Any status is a `Reply`, for the caller to judge.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Protocol
from urllib.parse import urljoin

from fedishare.egress.dial import Proxy
from fedishare.egress.pool import HttpTransport
from fedishare.egress.wire import KIB, Reply, Target, Transport, WireLimits, parse_target, wire_url
from fedishare.guard import Permit
from fedishare.model.errors import BadInput, FetchFailed, PolicyRefusal
from fedishare.model.ids import Domain
from fedishare.policy.facts import Purpose

__all__ = [
    "Gateway",
    "HttpTransport",
    "LeadsElsewhere",
    "Proxy",
    "Reply",
    "Sign",
    "Transport",
    "Warden",
    "WireLimits",
    "wire_url",
]

Sign = Callable[[str, str, bytes | None], Awaitable[Mapping[str, str]] | Mapping[str, str]]
"""(method, url as sent, body) to the headers that carry the signature. Asked again at each hop."""

_POSTED = frozenset({Purpose.DELIVERY, Purpose.PUSH})
REDIRECTS = frozenset({301, 302, 303, 307, 308})


class LeadsElsewhere(FetchFailed):
    """A redirect to another origin, which is not followed. ``location`` is as the peer wrote it.

    A caller that may go there (WebFinger of a split domain) asks the guard for a permit of its own.
    """

    def __init__(self, message: str, *, location: str, http_status: int) -> None:
        super().__init__(message, http_status=http_status)
        self.location = location


class Warden(Protocol):
    """What the gateway needs of the guard."""

    def holds(self, permit: Permit) -> bool:
        """Whether a permit is one of ours and still allowed."""

    def covers(self, permit: Permit, url: str) -> bool:
        """Whether a permit is for this URL."""


class Gateway:
    """The way out of one instance. ``deadline``: seconds for a whole call; ``limits``: of answers, except the body."""

    def __init__(
        self,
        guard: Warden,
        transport: Transport,
        *,
        user_agent: str = "fedishare",
        deadline: float = 30.0,
        max_redirects: int = 3,
        max_post_answer: int = 64 * KIB,
        limits: WireLimits = WireLimits(),  # noqa: B008 - a frozen value
    ) -> None:
        self._guard = guard
        self._transport = transport
        self._user_agent = user_agent
        self._deadline = deadline
        self._max_redirects = max_redirects
        self._limits = limits
        self._post_limits = replace(limits, max_body=max_post_answer, truncate=True)

    async def get(
        self, permit: Permit, url: str, *, accept: str, sign: Sign | None = None, max_bytes: int = 1024 * KIB
    ) -> Reply:
        """GET, following at most three redirects on the same origin, each judged and signed anew.

        Raises `FetchFailed` (no answer, or one that is too large, malformed or leads elsewhere) and `PolicyRefusal`.
        """
        target = self._judge(permit, url, posted=False)
        limits = replace(self._limits, max_body=max_bytes)
        try:
            async with asyncio.timeout(self._deadline):
                for _ in range(self._max_redirects + 1):
                    headers = await self._get_headers(target, accept, sign)
                    reply = await self._transport.send("GET", target.url, headers, None, permit=permit, limits=limits)
                    location = reply.headers.get("location")
                    if reply.status not in REDIRECTS or location is None:
                        return reply
                    target = self._redirected(permit, target, location, reply.status)
        except TimeoutError:
            raise self._too_slow(target) from None
        # spec: R38 — a chain of redirects ends
        raise FetchFailed(f"{target.host} redirects more than {self._max_redirects} times", http_status=reply.status)

    async def post(self, permit: Permit, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """POST with the signer's headers as they are; a redirect is returned and not followed.

        At most 64 KiB of the answer's body are kept. A kept connection that the peer has closed is replaced once, so
        the peer may see a request twice: send only what is idempotent. Raises `FetchFailed` and `PolicyRefusal`.
        """
        target = self._judge(permit, url, posted=True)
        present = {name.lower(): value for name, value in headers.items()}
        if present.get("host", target.authority) != target.authority:
            raise PolicyRefusal(f"Host must be {target.authority}, found {present['host'][:80]!r}", rule="gateway-host")
        sent = dict(headers)
        for name, value in (("user-agent", self._user_agent), ("accept-encoding", "identity")):
            if name not in present:
                sent[name] = value
        try:
            async with asyncio.timeout(self._deadline):
                return await self._transport.send(
                    "POST", target.url, sent, body, permit=permit, limits=self._post_limits
                )
        except TimeoutError:
            raise self._too_slow(target) from None

    def drop(self, host: Domain) -> None:
        """Close every connection to a host at once: for a partner that was paused, changed or ended."""
        self._transport.drop(host)

    async def close(self) -> None:
        """Close everything; nothing can be sent afterwards."""
        await self._transport.close()

    def _judge(self, permit: Permit, url: str, *, posted: bool) -> Target:
        # The one thing between a URL from outside and the network: before it nothing is resolved or connected.
        if not isinstance(permit, Permit) or not self._guard.holds(permit):
            raise PolicyRefusal("a permit that holds is needed to send anything", rule="gateway-permit")
        if (permit.purpose in _POSTED) is not posted or not self._guard.covers(permit, url):
            raise PolicyRefusal(
                f"the permit ({permit.purpose} at {permit.host}) does not cover {url[:200]!r}", rule="gateway-permit"
            )
        try:
            return parse_target(url, development=permit.development)
        except BadInput as error:
            raise FetchFailed(error.message) from error

    def _redirected(self, permit: Permit, target: Target, location: str, status: int) -> Target:
        try:
            following = parse_target(urljoin(target.url, location), development=permit.development)
        except ValueError as error:
            raise FetchFailed(
                f"a redirect to something that is no URL: {location[:80]!r}", http_status=status
            ) from error
        except BadInput as error:
            raise FetchFailed(f"a redirect that is not followed: {error.message}", http_status=status) from error
        if not target.same_origin(following):  # spec: R37 — a redirect leads nowhere that was not asked for
            message = f"{target.host} redirects to another place: {location[:200]!r}"
            raise LeadsElsewhere(message, location=location, http_status=status)
        return self._judge(permit, following.url, posted=False)

    async def _get_headers(self, target: Target, accept: str, sign: Sign | None) -> dict[str, str]:
        headers = {"accept": accept, "user-agent": self._user_agent, "accept-encoding": "identity"}
        if sign is not None:
            signed = sign("GET", target.url, None)
            made = await signed if inspect.isawaitable(signed) else signed
            headers.update((name.lower(), value) for name, value in made.items())
        return headers

    def _too_slow(self, target: Target) -> FetchFailed:
        return FetchFailed(f"{target.host} gave no complete answer within {self._deadline:g} s")
