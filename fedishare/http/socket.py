"""One WebSocket, as handlers see it: who listens, what was asked, and plain calls to send and receive text."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from fedishare.http.call import Receive, Scope, Send
from fedishare.model.actors import Viewer

LONGEST = 8192
"""Characters of one message from an app."""
UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 4401, 4403, 4404


@dataclass(slots=True)
class Socket:
    """A connection that was admitted but not accepted yet."""

    scope: Scope
    viewer: Viewer
    query: dict[str, str]
    _receive: Receive
    _send: Send
    _open: bool = False

    async def accept(self) -> None:
        """Take the connection; an app that sent its token as the subprotocol gets that back."""
        protocols = self.scope.get("subprotocols") or []
        chosen = protocols[0] if protocols else None
        await self._send({"type": "websocket.accept", "subprotocol": chosen, "headers": []})
        self._open = True

    async def send(self, text: str) -> None:
        """Send a message."""
        if self._open:
            await self._send({"type": "websocket.send", "text": text})

    async def receive(self) -> str | None:
        """The next message; None when the app has gone or says too much."""
        message = await self._receive()
        if message["type"] != "websocket.receive":
            self._open = False
            return None
        text = message.get("text") or ""
        return text if len(text) <= LONGEST else None

    async def refuse(self, status: int, reason: str) -> None:
        """Turn the connection away before it is accepted."""
        await turn_away(self._send, 4000 + status, reason)

    async def close(self) -> None:
        """End it."""
        if self._open:
            self._open = False
            await self._send({"type": "websocket.close", "code": 1001, "reason": ""})


SocketHandler = Callable[[Socket], Awaitable[None]]


async def turn_away(send: Send, code: int, reason: str) -> None:
    """Refuse a WebSocket; before it is accepted, servers answer 403 for it."""
    await send({"type": "websocket.close", "code": code, "reason": reason[:100]})


def query_of(scope: Scope) -> dict[str, str]:
    """The query of a WebSocket's address; what cannot be read is left out."""
    raw: bytes = scope.get("query_string", b"")
    try:
        return dict(parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=20))
    except ValueError:
        return {}


def token_of(scope: Scope) -> str:
    """The bearer token of a WebSocket: from Authorization, the subprotocol, or the query, where browsers put it."""
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope.get("headers", ())}
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and token:
        return str(token.strip())
    protocols: list[str] = list(scope.get("subprotocols") or [])
    return protocols[0] if protocols else query_of(scope).get("access_token", "")
