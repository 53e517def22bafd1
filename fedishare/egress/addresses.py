"""Addresses: which IP addresses may be connected to, and how names become addresses.

Written as tables of our own and not as ``ipaddress.is_global``, whose answer changes between Python versions.
Source: IANA's special-purpose address registries for IPv4 and IPv6.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from fedishare.model.partners import is_loopback_host

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""A host name to its addresses as text. Raises OSError when there are none."""

_NOT_GLOBAL_4 = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_GLOBAL_6 = ipaddress.IPv6Network("2000::/3")
_NOT_GLOBAL_6 = tuple(
    ipaddress.IPv6Network(text)
    # 2001::/23 has Teredo and ORCHID, 2002::/16 is 6to4; both can carry a private IPv4 address.
    for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: Address) -> bool:
    """Whether an address is globally routable unicast. NAT64 counts as the IPv4 address that it carries."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _NOT_GLOBAL_4)
    if address in _NAT64:
        return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _GLOBAL_6 and not any(address in network for network in _NOT_GLOBAL_6)


def is_never(address: Address) -> bool:
    """Addresses that no partner's terms can allow: nobody's server, the whole net, or the cloud's metadata service."""
    if isinstance(address, ipaddress.IPv6Address) and (address.ipv4_mapped or address.scope_id):
        return True
    return (
        address.is_multicast
        or address.is_unspecified
        or address.is_link_local
        or (isinstance(address, ipaddress.IPv4Address) and (address.packed[0] == 0 or address.packed[0] >= 240))
    )


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def allowed(text: str, *, networks: Sequence[str], development: bool, loopback_name: bool) -> bool:
    """Whether one resolved address may be connected to.

    ``networks`` are the CIDRs of the partner's own terms. Loopback is for development only: for loopback names, or
    where the terms list it.
    """
    address = _literal(text)
    if address is None or is_never(address):
        return False
    if loopback_name:
        return development and address.is_loopback
    if any(_inside(address, network) for network in networks):
        return development or not address.is_loopback
    return is_public(address)


def _inside(address: Address, network: str) -> bool:
    try:
        return address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


async def addresses_of(host: str, resolve: Resolve) -> tuple[str, ...]:
    """All addresses of a host, in the resolver's order, each once. Loopback names are never asked for (RFC 6761).

    Raises OSError when the name does not exist.
    """
    if is_loopback_host(host):
        return (host,) if _literal(host) else ("127.0.0.1", "::1")
    return tuple(dict.fromkeys(await resolve(host)))


class SystemResolver:
    """The operating system's resolver, on threads of its own.

    The event loop's shared threads would let a few partners with a dead name server hold up every other look-up
    (and uvloop has four). Here simultaneous questions for one name share one thread, and a thread that hangs
    belongs to that name only. Daemon threads, because the resolver cannot be interrupted and must not delay a stop.
    """

    def __init__(self, max_threads: int = 32) -> None:
        self._slots = asyncio.Semaphore(max_threads)
        self._asked: dict[str, asyncio.Task[tuple[str, ...]]] = {}

    async def __call__(self, host: str) -> tuple[str, ...]:
        """The addresses of a name. Raises OSError."""
        question = self._asked.get(host)
        if question is None:
            question = asyncio.create_task(self._ask(host))
            self._asked[host] = question
            question.add_done_callback(partial(self._forget, host))
        return await asyncio.shield(question)

    def _forget(self, host: str, question: asyncio.Task[tuple[str, ...]]) -> None:
        del self._asked[host]
        if not question.cancelled():
            question.exception()  # read once, because everybody who asked may have left

    async def _ask(self, host: str) -> tuple[str, ...]:
        async with self._slots:
            loop = asyncio.get_running_loop()
            answer: asyncio.Future[tuple[str, ...]] = loop.create_future()
            thread = threading.Thread(target=_look_up, args=(host, answer, loop), name="fedishare-dns", daemon=True)
            thread.start()
            return await answer


def _look_up(host: str, answer: asyncio.Future[tuple[str, ...]], loop: asyncio.AbstractEventLoop) -> None:
    found: tuple[str, ...] | OSError
    try:
        found = tuple(str(row[4][0]) for row in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
    except OSError as error:
        found = error
    except UnicodeError:
        found = OSError("the name cannot be asked for")
    with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
        loop.call_soon_threadsafe(_settle, answer, found)


def _settle(answer: asyncio.Future[tuple[str, ...]], found: tuple[str, ...] | OSError) -> None:
    if answer.cancelled():
        return
    if isinstance(found, OSError):
        answer.set_exception(found)
    else:
        answer.set_result(found)
