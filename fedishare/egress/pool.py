"""The real transport: a small pool of kept connections for each partner host.

At most ``per_host`` requests are in flight to one host and ``max_connections`` in all; since a request takes a kept
connection before it opens one, that bounds the connections too. Kept ones are dropped when the policy changes: none
outlives the terms under which it was made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from fedishare.egress.addresses import Resolve, SystemResolver
from fedishare.egress.dial import Connect, Dialler, Proxy, connect
from fedishare.egress.http1 import Answer, Connection, Stale
from fedishare.egress.tls import TlsContexts
from fedishare.egress.wire import Reply, Target, WireLimits, parse_target, render
from fedishare.guard import Permit
from fedishare.model.errors import BadInput, FetchFailed, PolicyRefusal
from fedishare.model.ids import Domain

_Key = tuple[str, Domain, Domain]


@dataclass(slots=True, eq=False)
class _Host:
    """The connections of one (scheme, authority, partner): ``open`` has all, ``kept`` those that wait for work."""

    slots: asyncio.Semaphore
    generation: object = None
    open: set[Connection] = field(default_factory=set)
    kept: list[Connection] = field(default_factory=list)
    users: int = 0


class HttpTransport:
    """HTTP/1.1 over sockets, for the gateway only. ``holds`` asks the guard once more, right before bytes leave.

    ``idle_seconds`` is how long an unused connection is kept; ``proxy``, ``ca_bundle`` as in instance.toml.
    """

    def __init__(
        self,
        *,
        holds: Callable[[Permit], bool],
        proxy: Proxy | None = None,
        ca_bundle: str | None = None,
        per_host: int = 4,
        max_connections: int = 256,
        idle_seconds: float = 60.0,
        connect_timeout: float = 10.0,
        resolve: Resolve | None = None,
        connect: Connect = connect,
    ) -> None:
        self._holds = holds
        self._dialler = Dialler(resolve or SystemResolver(), TlsContexts(ca_bundle), proxy, connect, connect_timeout)
        self._per_host = per_host
        self._max_connections = max_connections
        self._idle_seconds = idle_seconds
        self._slots = asyncio.Semaphore(max_connections)
        self._hosts: dict[_Key, _Host] = {}
        self._kept: dict[Connection, _Host] = {}  # oldest first
        self._count = 0
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None

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
        """One request to the permit's host. Raises `FetchFailed` or `PolicyRefusal`."""
        try:
            target = parse_target(url, development=permit.development)
        except BadInput as error:
            raise FetchFailed(error.message) from error
        if target.authority != permit.host:
            raise PolicyRefusal(f"the permit is for {permit.host}, not for {target.authority}", rule="gateway-permit")
        request = render(method, target, headers, body)
        key = (target.scheme, target.authority, permit.partner.domain)
        host = self._hosts.get(key)
        if host is None:
            host = self._hosts[key] = _Host(asyncio.Semaphore(self._per_host))
            if self._sweep is None:
                self._sweep = self._running().call_later(self._idle_seconds, self._sweep_idle)
        host.users += 1
        try:
            async with host.slots, self._slots:
                answer = await self._exchange(host, target, request, permit, limits)
        finally:
            host.users -= 1
        return Reply(answer.status, answer.headers, answer.body, target.url)

    async def _exchange(
        self, host: _Host, target: Target, request: bytes, permit: Permit, limits: WireLimits
    ) -> Answer:
        self._check(permit)  # waiting for a slot takes time in which a partner can be paused
        if permit.generation is not host.generation:
            self._drop_kept(host)
            host.generation = permit.generation
        kept = self._take(host)
        if kept is not None:
            try:
                return await self._on(kept, host, request, permit, limits)
            except Stale:
                # The peer closed it while it was idle and has answered nothing: once more, on a fresh one. For POST
                # too, because activities are idempotent by id (spec: R19), so a copy has no second effect.
                pass
        fresh = await self._open(host, target, permit)
        try:
            return await self._on(fresh, host, request, permit, limits)
        except Stale:
            raise FetchFailed(f"{target.host} closed the connection without an answer") from None

    async def _on(
        self, connection: Connection, host: _Host, request: bytes, permit: Permit, limits: WireLimits
    ) -> Answer:
        try:
            self._check(permit)  # so do DNS and TLS: each request is allowed at the moment of sending (INV-7)
            answer = await connection.exchange(request, limits)
        except BaseException:
            self._discard(connection, host)
            raise
        if connection.reusable:
            self._keep(connection, host)
        else:
            self._discard(connection, host)
        return answer

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:  # asked for once: until Python 3.12 each get_running_loop() is a system call
            self._loop = asyncio.get_running_loop()
        return self._loop

    def _check(self, permit: Permit) -> None:
        if self._closed or not self._holds(permit):
            raise PolicyRefusal("the permit for this request no longer holds", rule="gateway-permit")

    async def _open(self, host: _Host, target: Target, permit: Permit) -> Connection:
        while self._count >= self._max_connections and self._kept:
            self._discard(*next(iter(self._kept.items())))
        self._count += 1
        try:
            connection = await self._dialler.open(
                target, permit, lambda: Connection(self._running(), partial(self._lost, host))
            )
            if connection.transport is None:
                raise FetchFailed(f"{target.host} closed the connection at once")
        except BaseException:
            self._count -= 1
            raise
        connection.generation = permit.generation
        host.open.add(connection)
        return connection

    # --- kept connections

    def _take(self, host: _Host) -> Connection | None:
        oldest = self._running().time() - self._idle_seconds
        while host.kept:
            connection = host.kept.pop()
            del self._kept[connection]
            if connection.reusable and connection.idle_since >= oldest:
                return connection
            self._discard(connection, host)
        return None

    def _keep(self, connection: Connection, host: _Host) -> None:
        if self._closed or connection.generation is not host.generation:
            self._discard(connection, host)
            return
        connection.idle_since = self._running().time()
        host.kept.append(connection)
        self._kept[connection] = host

    def _discard(self, connection: Connection, host: _Host) -> None:
        self._lost(host, connection)
        connection.abort()

    def _lost(self, host: _Host, connection: Connection) -> None:
        """Forget a connection. One that was lost before it was ready was never counted."""
        if connection in host.open:
            host.open.remove(connection)
            self._count -= 1
        if self._kept.pop(connection, None) is not None:
            host.kept.remove(connection)

    def _sweep_idle(self) -> None:
        loop = self._running()
        oldest = loop.time() - self._idle_seconds
        for connection, holder in [item for item in self._kept.items() if item[0].idle_since <= oldest]:
            self._discard(connection, holder)
        for key in [key for key, host in self._hosts.items() if not host.users and not host.open]:
            del self._hosts[key]
        self._sweep = loop.call_later(self._idle_seconds / 2, self._sweep_idle) if self._hosts else None

    def _drop_kept(self, host: _Host) -> None:
        for connection in tuple(host.kept):
            self._discard(connection, host)

    # --- from outside

    def drop(self, host: Domain) -> None:
        """Close every connection to a host, also those in use; whoever uses one gets `FetchFailed`."""
        for (_, authority, partner), entry in self._hosts.items():
            if host in (authority, partner):
                for connection in tuple(entry.open):
                    self._discard(connection, entry)

    async def close(self) -> None:
        """Close everything; nothing can be sent afterwards."""
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for host in self._hosts.values():
            for connection in tuple(host.open):
                self._discard(connection, host)
        await asyncio.sleep(0)  # lets the aborted transports call `connection_lost`
