"""HTTP/1.1 on a connection: uvicorn's protocol, with limits for the head of a request and fewer calls to the system.

uvicorn has no deadline for a request's head and no limit for its size; here are both, so that nobody can hold
connections open. It writes head and body of an answer apart and sets a timer after each answer; a system call and a
timer cost as much as the whole of a small answer, so writes go out together, and one timer serves a connection.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

CORK_BYTES = 64 * 1024
_TOO_LARGE_BODY = b'{"error":"the head of the request is larger than this server takes"}'
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(_TOO_LARGE_BODY), _TOO_LARGE_BODY)
)


class Corked:
    """A transport that sends what is written in one turn of the event loop at once."""

    __slots__ = ("_loop", "_parts", "_size", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        """Send, at the end of this turn; or now, when much has gathered."""
        if not self._parts:
            self._loop.call_soon(self.flush)
        self._parts.append(data)
        self._size += len(data)
        if self._size > CORK_BYTES:
            self.flush()

    def flush(self) -> None:
        """Send now."""
        if self._parts:
            whole = b"".join(self._parts)
            self._parts.clear()
            self._size = 0
            self._transport.write(whole)

    def close(self) -> None:
        """Send what is left, and close."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class GuardedProtocol(HttpToolsProtocol):
    """One connection of a client."""

    header_bytes = 32 * 1024
    head_seconds = 30.0

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self._head_size = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._in_head = True
        self._idle_timer: asyncio.TimerHandle | None = None
        self._idle_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected: its first head is awaited."""
        super().connection_made(transport)
        self.transport = Corked(transport, self.loop)  # type: ignore[assignment]
        self._head_timer = self.loop.call_later(self.head_seconds, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over."""
        self._stop_head_timer()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        super().connection_lost(exc)

    # The head of a request

    def data_received(self, data: bytes) -> None:
        """Bytes have come. Only while a head is incomplete is there anything to count."""
        if self._in_head:
            self._head_size += len(data)
        super().data_received(data)
        if not self._in_head:
            return
        if self._head_size > self.header_bytes:
            self._stop_head_timer()
            if not self.transport.is_closing():
                self.transport.write(_TOO_LARGE)
                self.transport.close()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_seconds, self._too_slow)

    def on_message_begin(self) -> None:
        """The first line of a head."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._in_head = False
        self._head_size = 0
        if self._head_timer is not None:
            self._stop_head_timer()
        super().on_headers_complete()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        self._head_timer = None
        if self._in_head and not self.transport.is_closing():
            self.transport.close()

    # Between requests

    def on_response_complete(self) -> None:
        """An answer is written: go on with a request that came meanwhile, else the connection is idle from now on."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
            return
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._look_idle)

    def _look_idle(self) -> None:
        """Close a connection that was idle for long enough; else look again when it may have been."""
        self._idle_timer = None
        if self._in_head or not self.cycle.response_complete or self.transport.is_closing():
            return  # in use: the end of its answer sets the timer again
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._idle_timer = self.loop.call_later(left, self._look_idle)
        else:
            self.transport.close()
