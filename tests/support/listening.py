"""Streams without sockets: a WebSocket and a stream of Server-Sent Events, spoken to the application itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from tests.support.world import Org

SOON = 5.0
Message = dict[str, Any]


@dataclass
class Line:
    """One connection: what was said to the application, and what it said."""

    to: asyncio.Queue[Message] = field(default_factory=asyncio.Queue)
    said: asyncio.Queue[Message] = field(default_factory=asyncio.Queue)

    async def next(self) -> Message:
        """The application's next message."""
        return await asyncio.wait_for(self.said.get(), SOON)

    async def subscribe(self, stream: str, **more: str) -> None:
        """Ask for one more stream."""
        text = json.dumps({"type": "subscribe", "stream": stream, **more})
        await self.to.put({"type": "websocket.receive", "text": text})

    async def heard(self) -> Message:
        """The next event or error that came over an open WebSocket."""
        message = await self.next()
        assert message["type"] == "websocket.send", message
        found: Message = json.loads(message["text"])
        return found

    async def lines(self) -> str:
        """The next piece of an event stream; empty at its end."""
        message = await self.next()
        assert message["type"] == "http.response.body", message
        found: str = message.get("body", b"").decode()
        return found


@asynccontextmanager
async def _line(org: Org, scope: Message, first: Message, last: Message) -> AsyncIterator[Line]:
    line = Line()
    line.to.put_nowait(first)

    async def send(message: Any) -> None:
        await line.said.put(message)

    task = asyncio.create_task(org.server(scope, line.to.get, send))
    try:
        yield line
    finally:
        line.to.put_nowait(last)
        async with asyncio.timeout(SOON):
            await task


@asynccontextmanager
async def websocket(
    org: Org, query: Mapping[str, str], *, headers: Mapping[str, str] | None = None, protocols: tuple[str, ...] = (),
    path: str = "/api/v1/streaming",
) -> AsyncIterator[Line]:  # fmt: skip
    """A WebSocket. Its first message is the answer: accepted, or closed with a reason."""
    scope = {
        "type": "websocket", "path": path, "query_string": urlencode(query).encode(), "subprotocols": list(protocols),
        "headers": [(k.encode(), v.encode()) for k, v in (headers or {}).items()], "extensions": {},
        "client": ("192.0.2.1", 1),
    }  # fmt: skip
    closed = {"type": "websocket.disconnect", "code": 1000}
    async with _line(org, scope, {"type": "websocket.connect"}, closed) as line:
        yield line


@asynccontextmanager
async def event_stream(org: Org, path: str, token: str) -> AsyncIterator[Line]:
    """Server-Sent Events. The first message has the status, the pieces follow. ``token`` may be in the path."""
    path, _, query = path.partition("?")
    headers = [(b"authorization", f"Bearer {token}".encode())] if token else []
    scope = {
        "type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": query.encode(),
        "headers": headers, "client": ("192.0.2.1", 1),
        "http_version": "1.1", "scheme": "https", "server": (org.host, 443), "root_path": "",
    }  # fmt: skip
    asked = {"type": "http.request", "body": b"", "more_body": False}
    async with _line(org, scope, asked, {"type": "http.disconnect"}) as line:
        yield line
