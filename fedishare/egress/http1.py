"""One HTTP/1.1 connection to a peer: one request at a time, its answer parsed by llhttp (strict) and counted.

A connection is used again only when the answer's end was certain and nothing came after it: bytes that nobody asked
for could otherwise be taken for the answer to the next request.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, cast

import httptools

from fedishare.egress.wire import KIB, WireLimits, answer_too_large
from fedishare.model.errors import FetchFailed


class Stale(Exception):
    """The connection ended before the first byte of an answer."""


class _Stop(Exception):
    """Ends parsing from within a callback; the outcome is already set."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers (lower-case names) and the unpacked body."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connection(asyncio.Protocol):
    """Made by ``loop.create_connection``. ``on_lost`` is called once, when it is over."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_lost: Callable[[Connection], None]) -> None:
        self._loop = loop
        self._on_lost = on_lost
        self.generation: object = None
        self.idle_since = 0.0
        self.reusable = False
        self.transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Answer] | None = None
        self._limits = WireLimits()

    # --- the caller's side

    async def exchange(self, request: bytes, limits: WireLimits) -> Answer:
        """Send one request and read its answer. Raises `Stale` or `FetchFailed`; the latter leaves it closed."""
        if self.transport is None or self.transport.is_closing():
            raise Stale
        self._limits = limits
        self._status = self._received = self._wire_body = self._body_size = 0
        self._headers: dict[str, str] = {}
        self._header_count = 0
        self._chunks: list[bytes] = []
        self._in_body = self._framed = self._truncating = self.reusable = False
        self._decoder: zlib._Decompress | None = None
        self._parser = httptools.HttpResponseParser(self)
        waiter: asyncio.Future[Answer] = self._loop.create_future()
        self._waiter = waiter
        self.transport.write(request)
        try:
            return await waiter
        finally:
            if not self.reusable:
                self.abort()

    def abort(self, reason: str = "the connection was closed by us") -> None:
        """Drop the connection at once; whoever waits for an answer gets `FetchFailed`."""
        self.reusable = False
        self._fail(FetchFailed(reason))
        if self.transport is not None:
            self.transport.abort()

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is done."""
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Bytes from the peer."""
        if self._waiter is None or self._waiter.done():
            self.abort()
            return
        before = self._received
        self._received += len(data)
        try:
            if self._in_body or before + len(data) <= self._limits.max_head:
                self._parser.feed_data(data)
            else:
                self._feed_head(data, self._limits.max_head - before)
            # Trailers and chunk extensions never reach `on_body`, so what is not body is bounded here.
            if self._received > self._limits.max_head + 16 * KIB + 3 * self._wire_body:
                self._fail(FetchFailed("the answer has too much framing around its body"))
        except httptools.HttpParserUpgrade:
            self._fail(FetchFailed("the answer switches protocols, which nobody asked for"))
        except httptools.HttpParserError as error:
            self.reusable = False
            if not isinstance(error.__context__, _Stop):
                self._fail(FetchFailed(f"the answer is not valid HTTP/1.1: {error}"))

    def _feed_head(self, data: bytes, room: int) -> None:
        self._parser.feed_data(data[:room])
        if self._in_body:
            self._parser.feed_data(data[room:])
        else:
            self._fail(FetchFailed(f"the answer's head is larger than {self._limits.max_head} bytes"))

    def connection_lost(self, exc: Exception | None) -> None:
        """The end, by either side."""
        self.transport, self.reusable = None, False
        if self._waiter is not None and not self._waiter.done():
            if self._received == 0:
                self._waiter.set_exception(Stale())
            elif exc is None and self._in_body and not self._framed:
                self._finish()  # RFC 9112, 6.3: a body without a length ends with the connection
            else:
                self._fail(FetchFailed("the connection ended in the middle of the answer"))
        self._on_lost(self)

    # --- httptools callbacks

    def on_message_begin(self) -> None:
        """A message starts; after the answer there must be none."""
        if self._waiter is None or self._waiter.done():
            self.reusable = False
            raise _Stop

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; those after the body (trailers) are counted and ignored."""
        self._header_count += 1
        if self._header_count > self._limits.max_headers:
            self._stop(FetchFailed(f"the answer has more than {self._limits.max_headers} headers"))
        if self._in_body:
            return
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        known = self._headers.get(key)
        self._headers[key] = text if known is None else f"{known}, {text}"

    def on_headers_complete(self) -> None:
        """The head is known: decide about the body."""
        status = self._parser.get_status_code()
        if status < 200:
            self._headers = {}
            return
        self._status, self._in_body = status, True
        # Only a good answer's body is read for its content; of others a part is enough.
        self._truncating = self._limits.truncate or not 200 <= status < 300
        coding = self._headers.get("transfer-encoding")
        length = self._headers.get("content-length")
        self._framed = coding is not None or length is not None
        if coding is not None and coding.strip().lower() != "chunked":
            self._stop(FetchFailed(f"unknown transfer coding {coding[:40]!r}", http_status=status))
        if not self._truncating:
            if length is not None and int(length) > self._limits.max_body:
                self._stop(answer_too_large(self._limits.max_body, status))
            self._decoder = self._decoder_for(self._headers.get("content-encoding", "identity").strip().lower())

    def _decoder_for(self, coding: str) -> zlib._Decompress | None:
        if coding in ("", "identity"):
            return None
        if coding in ("gzip", "x-gzip"):
            return zlib.decompressobj(16 + zlib.MAX_WBITS)
        if coding == "deflate":
            return zlib.decompressobj()
        return self._stop(FetchFailed(f"unknown content coding {coding[:40]!r}", http_status=self._status))

    def on_body(self, data: bytes) -> None:
        """A part of the body, counted after unpacking."""
        room = self._limits.max_body - self._body_size
        self._wire_body += len(data)
        if self._wire_body > self._limits.max_body + KIB and not self._truncating:
            self._stop(answer_too_large(self._limits.max_body, self._status))
        if self._decoder is not None:
            try:
                data = self._decoder.decompress(data, room + 1)
            except zlib.error as error:
                self._stop(FetchFailed(f"the answer cannot be unpacked: {error}", http_status=self._status))
        if len(data) > room:
            if not self._truncating:
                self._stop(answer_too_large(self._limits.max_body, self._status))
            self._chunks.append(data[:room])
            self._finish()
            raise _Stop
        self._body_size += len(data)
        self._chunks.append(data)

    def on_message_complete(self) -> None:
        """The end of the answer, or of an informational one before it."""
        if self._in_body:
            self.reusable = self._parser.should_keep_alive()
            self._finish()

    # --- outcomes

    def _finish(self) -> None:
        if self._decoder is not None and (not self._decoder.eof or self._decoder.unused_data):
            self._fail(FetchFailed("the packed answer is incomplete or followed by more", http_status=self._status))
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(Answer(self._status, self._headers, b"".join(self._chunks)))

    def _fail(self, error: FetchFailed) -> None:
        if self._waiter is not None and not self._waiter.done():
            self.reusable = False
            self._waiter.set_exception(error)

    def _stop(self, error: FetchFailed) -> NoReturn:
        self._fail(error)
        raise _Stop
