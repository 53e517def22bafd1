"""The load: ready-made request bytes over kept connections, answers only counted. Far cheaper than any server.

Each connection sends the next request when its answer is complete, so ``connections`` requests are always in flight.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import cast

import httptools

PATIENCE = 60.0
"""Seconds that a load may take; whatever is unanswered then is missing."""


class WrongAnswer(Exception):
    """The server answered something else than what the row is about."""


@dataclass(slots=True)
class Outcome:
    """What a load measured. Times are in seconds."""

    begin: float
    end: float = 0.0
    waits: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    sample: bytes = b""
    """The first answer with an unexpected status."""

    @property
    def count(self) -> int:
        """Answered requests."""
        return len(self.waits)

    @property
    def per_second(self) -> float:
        """Answers per second."""
        return self.count / max(self.end - self.begin, 1e-9)

    def quantile(self, share: float) -> float:
        """The time within which ``share`` of the requests were answered."""
        ordered = sorted(self.waits)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


class _Load:
    """What the connections of one load share."""

    def __init__(self, requests: Iterator[bytes], expected: int) -> None:
        self.requests = requests
        self.expected = expected
        self.outcome = Outcome(time.perf_counter())
        self.open = 0
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def closed(self) -> None:
        self.open -= 1
        if self.open == 0 and not self.finished.done():
            self.finished.set_result(None)


class _Connection(asyncio.Protocol):
    """One connection; also the callbacks of its parser."""

    def __init__(self, load: _Load) -> None:
        self._load = load
        self._parser = httptools.HttpResponseParser(self)
        self._sent_at = 0.0
        self._body: list[bytes] | None = None
        self._waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def _next(self) -> None:
        request = next(self._load.requests, None)
        if request is None:
            self._waiting = False
            self._transport.close()
            return
        self._waiting = True
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_headers_complete(self) -> None:
        wrong = self._parser.get_status_code() != self._load.expected
        self._body = [] if wrong and not self._load.outcome.sample else None

    def on_body(self, body: bytes) -> None:
        if self._body is not None:
            self._body.append(body)

    def on_message_complete(self) -> None:
        now, outcome = time.perf_counter(), self._load.outcome
        outcome.waits.append(now - self._sent_at)
        outcome.end = now
        outcome.statuses[self._parser.get_status_code()] += 1
        if self._body is not None:
            outcome.sample = b"".join(self._body)
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        if self._waiting:
            self._load.outcome.statuses[0] += 1
            self._load.outcome.sample = self._load.outcome.sample or f"connection lost: {error}".encode()
        self._load.closed()


async def drive(port: int, requests: Iterable[bytes], *, connections: int, expected: int = 200) -> Outcome:
    """Send all requests to a loopback port, ``connections`` at a time. Raises `WrongAnswer`."""
    load = _Load(iter(requests), expected)
    load.open = connections
    loop = asyncio.get_running_loop()
    await asyncio.gather(*(loop.create_connection(lambda: _Connection(load), "127.0.0.1", port)
                           for _ in range(connections)))  # fmt: skip
    try:
        await asyncio.wait_for(load.finished, PATIENCE)
    except TimeoutError as error:
        raise WrongAnswer(f"{load.open} requests got no answer; {load.outcome.count} did") from error
    outcome = load.outcome
    if set(outcome.statuses) - {expected}:
        raise WrongAnswer(f"answers by status {dict(outcome.statuses)}, for example {outcome.sample[:300]!r}")
    return outcome


async def drive_for(
    port: int, requests: Iterable[bytes], seconds: float, *, connections: int, expected: int = 200
) -> Outcome:
    """Send the requests round and round for some seconds."""
    return await drive(port, until(cycle(requests), seconds), connections=connections, expected=expected)


def until(requests: Iterator[bytes], seconds: float) -> Iterator[bytes]:
    """The requests, until the time is over."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        yield from islice(requests, 1)


def get(host: str, target: str, headers: str = "") -> bytes:
    """A GET request."""
    return f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n".encode()


def post_json(host: str, target: str, body: bytes, headers: str = "") -> bytes:
    """A POST request with JSON."""
    head = f"POST {target} HTTP/1.1\r\nHost: {host}\r\n{headers}"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def ask(port: int, request: bytes) -> tuple[int, bytes]:
    """One request on a connection of its own; status and body."""
    answer = _Answer()
    transport, _ = await asyncio.get_running_loop().create_connection(lambda: answer, "127.0.0.1", port)
    transport.write(request)
    try:
        return await answer.done
    finally:
        transport.close()


class _Answer(asyncio.Protocol):
    def __init__(self) -> None:
        self.done: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._parts: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        if not self.done.done():
            self.done.set_result((self._parser.get_status_code(), b"".join(self._parts)))

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError(f"the server closed the connection: {error}"))
