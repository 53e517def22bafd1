"""The receiver: every partner's server in one process of its own. It takes each delivery with 202 and notes when.

All partner hosts are names of the one port that it listens on; connections are told apart by the Host header, as the
server that is measured does.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import cast

import httptools
import uvloop

_ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery as it came."""

    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What has arrived. ``first`` and ``last`` are times of `time.monotonic`, which all processes share."""

    first: float
    last: float
    places: frozenset[str]
    """host and path of each inbox that got something."""
    count: int
    connections: int
    """Connections that were opened."""
    sample: Delivery | None


@dataclass(slots=True)
class _Tally:
    control: Connection
    wanted: int = 0
    places: list[str] = field(default_factory=list)
    sample: Delivery | None = None
    connections: int = 0
    first: float = 0.0

    def add(self, delivery: Delivery) -> None:
        if not self.places:
            self.first = time.monotonic()
        self.places.append(delivery.headers.get("host", "") + delivery.target)
        self.sample = self.sample or delivery
        if len(self.places) == self.wanted:
            self.report()

    def report(self) -> None:
        self.control.send(
            Arrivals(
                self.first, time.monotonic(), frozenset(self.places), len(self.places), self.connections, self.sample
            )
        )

    def ordered(self) -> None:
        """A message of the driver: how many deliveries to wait for; 0 asks for those so far."""
        wanted = self.control.recv()
        if wanted is None:
            asyncio.get_running_loop().stop()
        elif wanted == 0:
            self.report()
        else:
            self.wanted, self.sample, self.connections = wanted, None, 0
            self.places.clear()
            self.control.send("ready")


class _Inbox(asyncio.Protocol):
    def __init__(self, tally: _Tally) -> None:
        self._tally = tally
        self._parser = httptools.HttpRequestParser(self)
        self._reset()

    def _reset(self) -> None:
        self._target = ""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._tally.connections += 1

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._target += url.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        posted = self._parser.get_method() == b"POST"
        self._transport.write(_ACCEPTED if posted else _NOT_FOUND)
        if posted:
            self._tally.add(Delivery(self._target, self._headers, b"".join(self._body)))
        self._reset()


def _serve(port: int, control: Connection) -> None:
    async def listen() -> None:
        loop = asyncio.get_running_loop()
        tally = _Tally(control)
        await loop.create_server(lambda: _Inbox(tally), "127.0.0.1", port, backlog=2048)
        loop.add_reader(control.fileno(), tally.ordered)
        control.send("ready")

    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(listen())
    loop.run_forever()


class Receiver:
    """The process and the line to it."""

    def __init__(self, port: int) -> None:
        self._control, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(target=_serve, args=(port, theirs), daemon=True)

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self._process.start()
        self._control.recv()

    def expect(self, number: int) -> None:
        """Count from zero and report when that many deliveries are there."""
        self._control.send(number)
        while self._control.recv() != "ready":  # a late report of the round before
            continue

    def wait(self, seconds: float) -> Arrivals:
        """The report, or what has arrived when the time is over."""
        if not self._control.poll(seconds):
            self._control.send(0)
        found = self._control.recv()
        assert isinstance(found, Arrivals)
        return found

    def stop(self) -> None:
        """End it."""
        self._control.send(None)
        self._process.join(5)
