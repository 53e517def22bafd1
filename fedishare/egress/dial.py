"""Dialling: from a URL and a permit to an open, verified connection.

The order is the safety: the name is judged by the permit before anybody is asked for its address, every address is
judged before anything is connected, the judged address is connected to (no second look-up), and TLS and the pinned key
are checked before the first byte of a request.

With a proxy (from the configuration only, never from the environment) the proxy resolves the name, so the address rule
is the proxy's to keep; the name is still judged here, and TLS is still end to end, by name.
"""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, cast
from urllib.parse import unquote, urlsplit

from fedishare.egress.addresses import Resolve, addresses_of, allowed
from fedishare.egress.http1 import Connection
from fedishare.egress.tls import TlsContexts, check_pin
from fedishare.egress.wire import Target
from fedishare.guard import Permit
from fedishare.model.errors import BadInput, FetchFailed
from fedishare.model.partners import is_loopback_host

MAX_ADDRESSES = 4
"""How many addresses of one host are tried, one after the other."""


class Connect(Protocol):
    """Opens one TCP (and TLS) connection to an IP address; the only line of fedishare that does. Raises OSError."""

    def __call__(
        self,
        factory: Callable[[], asyncio.BaseProtocol],
        address: str,
        port: int,
        *,
        tls: ssl.SSLContext | None,
        server_name: str | None,
    ) -> Awaitable[asyncio.BaseTransport]: ...


async def connect(
    factory: Callable[[], asyncio.BaseProtocol],
    address: str,
    port: int,
    *,
    tls: ssl.SSLContext | None,
    server_name: str | None,
) -> asyncio.BaseTransport:
    """The real `Connect`."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(factory, address, port, ssl=tls, server_hostname=server_name)
    return transport


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy that is asked with CONNECT. ``credentials`` is the value of Proxy-Authorization."""

    host: str
    port: int
    credentials: str | None = None

    @classmethod
    def parse(cls, url: str) -> Proxy:
        """Read ``http://[user:password@]host:port``. Raises `BadInput`."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if not host or not port or parts.scheme != "http" or parts.path not in ("", "/") or parts.query:
            raise BadInput("a proxy is written http://host:port", path="federation.proxy")
        if parts.username is None:
            return cls(host, port)
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        return cls(host, port, "Basic " + base64.b64encode(pair.encode()).decode())


@dataclass(frozen=True, slots=True)
class Dialler:
    """Opens connections for the pool. ``timeout`` (seconds) is for one address, TLS included."""

    resolve: Resolve
    tls: TlsContexts
    proxy: Proxy | None = None
    connect: Connect = connect
    timeout: float = 10.0

    async def open(self, target: Target, permit: Permit, factory: Callable[[], Connection]) -> Connection:
        """A fresh connection. Raises `FetchFailed`."""
        tls = self.tls.of(permit.partner.terms) if target.scheme == "https" else None
        if self.proxy is not None and not is_loopback_host(target.host):
            connection = await self._through_proxy(self.proxy, target, tls, factory)
        else:
            connection = await self._direct(target, await self.judged_addresses(target, permit), tls, factory)
        if tls is not None:
            try:
                check_pin(connection.transport, permit.partner.terms.pinned_key, target.host)
            except FetchFailed:
                connection.abort()
                raise
        return connection

    async def judged_addresses(self, target: Target, permit: Permit) -> tuple[str, ...]:
        """The host's addresses, all of them allowed. One that is not spoils the lot: DNS must not be a lottery."""
        try:
            found = await addresses_of(target.host, self.resolve)
        except (OSError, ValueError) as error:
            raise FetchFailed(f"{target.host} has no address: {error}") from error
        if not found:
            raise FetchFailed(f"{target.host} has no address")
        loopback_name = is_loopback_host(target.host)
        if target.scheme == "http" and not loopback_name:
            raise FetchFailed(f"plain http goes to loopback names only, found {target.host}")
        for address in found:  # spec: R37 — private, loopback, link-local and multicast addresses are refused
            if not allowed(
                address,
                networks=permit.partner.terms.networks,
                development=permit.development,
                loopback_name=loopback_name,
            ):
                raise FetchFailed(
                    f"{target.host} resolves to {address}, which is not globally routable. "
                    "If it is right, list its network in the partner's terms"
                )
        return found[:MAX_ADDRESSES]

    async def _direct(
        self, target: Target, found: tuple[str, ...], tls: ssl.SSLContext | None, factory: Callable[[], Connection]
    ) -> Connection:
        problem = ""
        name = target.host if tls is not None else None
        for address in found:
            connection = factory()
            try:
                async with asyncio.timeout(self.timeout):
                    await self.connect(_returning(connection), address, target.port, tls=tls, server_name=name)
                return connection
            except ssl.SSLError as error:
                raise FetchFailed(f"TLS with {target.host} failed: {_reason(error)}") from error
            except TimeoutError:
                problem = f"no connection within {self.timeout:g} s"
            except (OSError, ValueError) as error:
                problem = str(error)
            except BaseException:
                connection.abort()
                raise
            connection.abort()
        raise FetchFailed(f"{target.host} cannot be reached: {problem}")

    async def _through_proxy(
        self, proxy: Proxy, target: Target, tls: ssl.SSLContext | None, factory: Callable[[], Connection]
    ) -> Connection:
        if tls is None:
            raise FetchFailed(f"plain http does not go through the proxy, found {target.host}")
        tunnel = Tunnel()
        try:
            async with asyncio.timeout(self.timeout):
                await self.connect(_returning(tunnel), proxy.host, proxy.port, tls=None, server_name=None)
                raw = await tunnel.ask(f"{target.host}:{target.port}", proxy.credentials)
                connection = factory()
                secured = await asyncio.get_running_loop().start_tls(raw, connection, tls, server_hostname=target.host)
        except ssl.SSLError as error:
            tunnel.abort()
            raise FetchFailed(f"TLS with {target.host} failed: {_reason(error)}") from error
        except TimeoutError:
            tunnel.abort()
            raise FetchFailed(f"the proxy gave no connection within {self.timeout:g} s") from None
        except (OSError, ValueError) as error:
            tunnel.abort()
            raise FetchFailed(f"the proxy gave no connection to {target.host}: {error}") from error
        except BaseException:
            tunnel.abort()
            raise
        if secured is None:
            raise FetchFailed(f"the proxy closed the connection to {target.host}")
        connection.connection_made(secured)
        return connection


def _returning(protocol: asyncio.BaseProtocol) -> Callable[[], asyncio.BaseProtocol]:
    return lambda: protocol


def _reason(error: ssl.SSLError) -> str:
    return getattr(error, "verify_message", None) or error.reason or str(error)


class Tunnel(asyncio.Protocol):
    """The conversation with the proxy before the tunnel stands: CONNECT and its answer, nothing more."""

    MAX_HEAD = 8192

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._head = b""
        self._answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def ask(self, authority: str, credentials: str | None) -> asyncio.Transport:
        """CONNECT to ``host:port``. Raises OSError unless the answer is a 2xx with nothing after its head."""
        if self._transport is None:
            raise OSError("it closed the connection")
        lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
        if credentials is not None:
            lines.append(f"Proxy-Authorization: {credentials}")
        self._transport.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        head = await self._answer
        match = re.match(rb"HTTP/1\.[01] ([0-9]{3})[ \r]", head)
        if match is None or not match[1].startswith(b"2"):
            raise OSError(f"it answered {head.splitlines()[0][:60].decode('latin-1')!r}")
        return self._transport

    def abort(self) -> None:
        """Give up."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TCP to the proxy stands."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Collect the head of the answer."""
        self._head += data
        if self._answer.done():
            return
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if rest or len(self._head) > self.MAX_HEAD:
            self._answer.set_exception(OSError("its answer is not just a head"))
        elif end:
            self._answer.set_result(head + end)

    def connection_lost(self, exc: Exception | None) -> None:
        """The proxy hung up."""
        self._transport = None
        if not self._answer.done():
            self._answer.set_exception(OSError("it closed the connection"))
