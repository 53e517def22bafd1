"""Streams: a thousand people wait, half over WebSocket and half over Server-Sent Events, and somebody posts."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from dataclasses import dataclass, field
from typing import cast

from tests.bench.load import PATIENCE, WrongAnswer, ask, post_json
from tests.bench.rows import Row, Stage, at_most
from tests.bench.seed import token_of
from tests.bench.server import Server

CLIENTS = 1_000
POSTS = 5
_KEY = "dGhlIHNhbXBsZSBub25jZQ=="
"""RFC 6455's example of a handshake's key; nothing depends on it."""


@dataclass(slots=True)
class _Waiting:
    """A round: what everybody waits for, and when it came to each."""

    mark: bytes
    left: int
    done: asyncio.Future[None]
    arrived: list[float] = field(default_factory=list)

    def came(self) -> None:
        self.arrived.append(time.perf_counter())
        self.left -= 1
        if self.left == 0 and not self.done.done():
            self.done.set_result(None)


class _Crowd:
    """Everybody who listens."""

    def __init__(self) -> None:
        self.waiting: _Waiting | None = None
        self.lost = 0

    def expect(self, mark: str, number: int) -> _Waiting:
        self.waiting = _Waiting(mark.encode(), number, asyncio.get_running_loop().create_future())
        return self.waiting


class _Client(asyncio.Protocol):
    """One open stream: it looks for the mark in what comes, and for nothing else."""

    def __init__(self, crowd: _Crowd, request: bytes, ready: bytes) -> None:
        self._crowd = crowd
        self._request = request
        self._ready = ready
        self._tail = b""
        self._found: _Waiting | None = None
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        text = self._tail + data
        if not self.ready.done():
            if self._ready in text:
                self.ready.set_result(None)
            elif b"\r\n\r\n" in text and not text.startswith((b"HTTP/1.1 200", b"HTTP/1.1 101")):
                self.ready.set_exception(WrongAnswer(f"a stream was answered {text[:200]!r}"))
        waiting = self._crowd.waiting
        if waiting is not None and waiting is not self._found and waiting.mark in text:
            self._found = waiting
            waiting.came()
        self._tail = text[-200:]

    def connection_lost(self, error: Exception | None) -> None:
        self._crowd.lost += 1
        if not self.ready.done():
            self.ready.set_exception(WrongAnswer("a stream was closed before it began"))


def _request(domain: str, number: int) -> tuple[bytes, bytes]:
    """How a client of that number begins, and what it is answered: even ones are WebSockets, odd ones SSE."""
    head = f"Host: {domain}\r\nAuthorization: Bearer {token_of(f'crowd{number}')}\r\n"
    if number % 2:
        return f"GET /api/v1/streaming/user HTTP/1.1\r\n{head}\r\n".encode(), b":)\n"
    upgrade = f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {_KEY}\r\nSec-WebSocket-Version: 13\r\n"
    return f"GET /api/v1/streaming?stream=user HTTP/1.1\r\n{head}{upgrade}\r\n".encode(), b"HTTP/1.1 101"


async def _open(crowd: _Crowd, server: Server, domain: str) -> list[_Client]:
    loop = asyncio.get_running_loop()
    clients = [_Client(crowd, *_request(domain, number)) for number in range(CLIENTS)]
    for start in range(0, CLIENTS, 50):
        some = clients[start : start + 50]
        await asyncio.gather(*(loop.create_connection(lambda c=c: c, "127.0.0.1", server.port) for c in some))  # type: ignore[misc]
        await asyncio.gather(*(client.ready for client in some))
    return clients


async def _round(crowd: _Crowd, server: Server, domain: str, number: int) -> list[float]:
    """Seconds from the request that posts until each client has it."""
    mark = f"Streams-{number}-end"
    waiting = crowd.expect(mark, CLIENTS)
    body = json.dumps({"status": f"Measurement {mark}: the centrifuge is free", "reach": "local"}).encode()
    request = post_json(domain, "/api/v1/statuses", body, f"Authorization: Bearer {token_of('poster0')}\r\n")
    begin = time.perf_counter()
    status, answer = await ask(server.port, request)
    if status != 200:
        raise WrongAnswer(f"the post was answered {status}: {answer[:300]!r}")
    try:
        await asyncio.wait_for(waiting.done, PATIENCE)
    except TimeoutError as error:
        raise WrongAnswer(
            f"{waiting.left} of {CLIENTS} clients did not get the post; {crowd.lost} were cut off"
        ) from error
    return [moment - begin for moment in waiting.arrived]


async def streams(stage: Stage, server: Server) -> list[Row]:
    """From the request that posts until the last of a thousand followers has it; and the memory that they take."""
    server.start()
    domain, crowd = f"bench.localhost:{server.port}", _Crowd()
    await asyncio.sleep(1)
    before = server.memory()
    clients = await _open(crowd, server, domain)
    cpu, rounds = server.cpu(), [await _round(crowd, server, domain, n) for n in range(2 if stage.quick else POSTS)]
    cpu = server.cpu() - cpu
    memory = server.memory() - before
    for client in clients:
        client.transport.close()
    server.stop()
    figures = {
        "seconds": statistics.median(max(arrived) for arrived in rounds),
        "cpu_ms": cpu / (len(rounds) * CLIENTS) * 1000,
        "p50_ms": statistics.median(statistics.median(arrived) for arrived in rounds) * 1000,
        "mib": memory,
    }
    return [
        Row(
            "streams",
            "a post, until 1 000 open streams have it",
            figures,
            (at_most("seconds", 1.0), at_most("mib", 150)),
        )
    ]
