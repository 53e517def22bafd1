"""A gateway on real sockets for tests: scripted servers on loopback, a resolver and a dialler that count.

In production spelling (https, port 443, public addresses) the dialler leads every judged address to a local port, so
that all of the real path is run, TLS included, without a packet leaving the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from fedishare.egress.dial import connect
from fedishare.gateway import Gateway, HttpTransport
from fedishare.guard import Guard, Permit
from fedishare.model.ids import Domain, Millis
from fedishare.model.partners import Partner, Terms
from fedishare.policy.facts import DeliveryFacts, Purpose
from fedishare.policy.rules import compile_policy

PUBLIC = "93.184.215.14"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def partner(domain: str, **terms: Any) -> Partner:
    """A partner with terms."""
    return Partner(Domain(domain), terms=Terms(**terms), reason="test")


class Clock:
    """Milliseconds that stand still until they are moved."""

    def __init__(self) -> None:
        self.now = Millis(1_750_000_000_000)

    def __call__(self) -> Millis:
        return self.now


def guard_for(*partners: Partner, development: bool = False, clock: Clock | None = None) -> Guard:
    """A guard whose list is ``partners``."""
    return Guard(policy_for(*partners, development=development), clock=clock or Clock(), development=development)


def policy_for(*partners: Partner, development: bool = False, revision: int = 1) -> Any:
    """A policy whose list is ``partners``."""
    return compile_policy(partners, enabled=True, own_hosts=["us.example"], revision=revision, development=development)


class Rig:
    """A guard, a real transport and a gateway. ``lookups`` and ``dials``: all that was asked for and connected to."""

    def __init__(
        self,
        *partners: Partner,
        development: bool = False,
        port: int | None = None,
        dns: Mapping[str, list[str]] | None = None,
        gateway: Mapping[str, Any] | None = None,
        **transport: Any,
    ) -> None:
        self.clock = Clock()
        self.guard = guard_for(*partners, development=development, clock=self.clock)
        self.dns = dict(dns or {})
        self.port = port
        self.lookups: list[str] = []
        self.dials: list[tuple[str, int]] = []
        self.transport = HttpTransport(
            holds=self.guard.holds, resolve=self._resolve, connect=self._connect, **transport
        )
        self.gateway = Gateway(self.guard, self.transport, **(gateway or {}))

    async def _resolve(self, host: str) -> list[str]:
        self.lookups.append(host)
        if host not in self.dns:
            raise OSError(f"no address for {host}")
        return self.dns[host]

    async def _connect(
        self,
        factory: Callable[[], asyncio.BaseProtocol],
        address: str,
        port: int,
        *,
        tls: ssl.SSLContext | None,
        server_name: str | None,
    ) -> asyncio.BaseTransport:
        self.dials.append((address, port))
        if self.port is not None:
            address, port = "127.0.0.1", self.port
        return await connect(factory, address, port, tls=tls, server_name=server_name)

    def fetch(self, url: str) -> Permit:
        """A permit to read."""
        return self.guard.permit_fetch(url, Purpose.OBJECT)

    def deliver(self, url: str) -> Permit:
        """A permit to deliver."""
        return self.guard.permit_deliver(url, DeliveryFacts("Follow"))

    async def get(self, url: str, **options: Any) -> Any:
        """A permitted GET."""
        return await self.gateway.get(self.fetch(url), url, **({"accept": "application/activity+json"} | options))

    async def post(self, url: str, body: bytes = b"{}", **headers: str) -> Any:
        """A permitted POST."""
        return await self.gateway.post(self.deliver(url), url, body, headers)


Script = Callable[["Visitor"], Awaitable[None]]


class Visitor:
    """One connection, seen from the scripted server."""

    def __init__(self, server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server = server
        self.reader = reader
        self.writer = writer

    async def request(self) -> bytes | None:
        """The next whole request, also noted by the server; None when the client has gone."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = 0
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            whole = head + await self.reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        self._server.requests.append(whole)
        return whole

    async def say(self, data: bytes) -> None:
        """Write bytes."""
        with contextlib.suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    async def gone(self) -> None:
        """Wait until the client has closed."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass


class RawServer:
    """Answers with raw bytes on a loopback port. ``connections`` counts, ``requests`` has what came, byte by byte."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections = 0
        self.requests: list[bytes] = []
        self.port = 0

    def url(self, path: str = "/inbox", host: str = "peer.localhost") -> str:
        """An http URL of it."""
        return f"http://{host}:{self.port}{path}"

    @property
    def partner(self) -> Partner:
        """Its entry as a partner in development."""
        return partner(f"peer.localhost:{self.port}")

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        try:
            await self._script(Visitor(self, reader, writer))
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            if task is not None:
                self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    @contextlib.asynccontextmanager
    async def running(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawServer]:
        """Listen until the block ends."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await server.wait_closed()


def answering(*answers: bytes, then_close: bool = False) -> RawServer:
    """A server that gives the answers in turn, the last one for ever; on any connection."""
    given = 0

    async def script(visitor: Visitor) -> None:
        nonlocal given
        while await visitor.request() is not None:
            answer = answers[min(given, len(answers) - 1)]
            given += 1
            await visitor.say(answer)
            if then_close:
                return

    return RawServer(script)


@contextlib.asynccontextmanager
async def talking(server: RawServer, tls: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[Rig]:
    """A running server and a rig in development that has it as a partner."""
    async with server.running(tls):
        rig = Rig(server.partner, development=True, **options)
        try:
            yield rig
        finally:
            await rig.gateway.close()
