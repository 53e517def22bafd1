"""One request (`Call`) and its answer (`Answer`), both lean, because the hot routes are measured in microseconds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from fedishare.http.rates import Allowance
from fedishare.model.actors import Viewer
from fedishare.model.errors import BadRequest, FedishareError, TooLarge
from fedishare.model.ids import Domain, Id, Iri
from fedishare.model.partners import Partner

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON_TYPE = b"application/json; charset=utf-8"
SLOWEST_LINE = 16 * 1024
"""Bytes a second that an upload must have."""
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Peer:
    """The verified signer of a request: an actor of an active partner. ``actor_id`` is None when we do not keep it."""

    actor: Iri
    actor_id: Id | None
    host: Domain
    partner: Partner


class Call:
    """One request. ``params`` come from the path; ``viewer`` or ``peer`` are set before the handler runs."""

    __slots__ = ("_body", "_headers", "_query", "_receive", "allowance", "deadline", "method", "params", "path", "peer",
                 "scope", "viewer")  # fmt: skip

    def __init__(self, scope: Scope, receive: Receive, params: Mapping[str, str], deadline: float) -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.params = params
        self.deadline = deadline
        self.viewer: Viewer | None = None
        self.peer: Peer | None = None
        self.allowance: Allowance | None = None
        self._receive = receive
        self._body: bytes | None = None
        self._headers: dict[str, str] | None = None
        self._query: list[tuple[str, str]] | None = None

    @property
    def headers(self) -> dict[str, str]:
        """Header values by lower-case name, as latin-1; repeated ones joined with a comma."""
        if self._headers is None:
            found: dict[str, str] = {}
            for raw_name, raw_value in self.scope["headers"]:
                name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
                found[name] = f"{found[name]}, {value}" if name in found else value
            self._headers = found
        return self._headers

    @property
    def target(self) -> str:
        """The path and query exactly as on the request line."""
        raw: bytes = self.scope.get("raw_path") or self.path.encode()
        query: bytes = self.scope["query_string"]
        text = raw.decode("latin-1").partition("?")[0]
        return f"{text}?{query.decode('latin-1')}" if query else text

    @property
    def query(self) -> list[tuple[str, str]]:
        """The query's pairs, in order. Raises `BadRequest`."""
        if self._query is None:
            try:
                text = self.scope["query_string"].decode("ascii")
                self._query = (
                    parse_qsl(text, keep_blank_values=True, max_num_fields=500, errors="strict") if text else []
                )
            except ValueError as error:
                raise BadRequest("the query string cannot be read") from error
        return self._query

    @property
    def client(self) -> str:
        """The address of the client (behind trusted proxies: as they say)."""
        client = self.scope.get("client")
        return str(client[0]) if client else "unknown"

    @property
    def me(self) -> Viewer:
        """The signed-in person; only in routes that want a token."""
        assert self.viewer is not None, "the route does not declare Access.TOKEN"  # noqa: S101 — wiring
        return self.viewer

    @property
    def partner_reader(self) -> Peer:
        """The verified signer; only in routes that want a signature."""
        assert self.peer is not None, "the route does not declare Access.PEER"  # noqa: S101 — wiring
        return self.peer

    async def body(self, limit: int) -> bytes:
        """The whole body, read once. Raises `TooLarge` above ``limit`` bytes, `BadRequest` when it does not arrive."""
        if self._body is not None:
            return self._body
        declared = self.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            raise TooLarge(f"the body has {declared} bytes; at most {limit} are taken")
        if not declared and "transfer-encoding" not in self.headers:
            self._body = b""  # RFC 9112, 6.3: without either there is none
            return self._body
        first = await self._next()
        if not first.get("more_body"):
            self._body = first.get("body", b"")
        else:
            self._body = await self._rest(first.get("body", b""), limit)
        if len(self._body) > limit:
            raise TooLarge(f"the body has more than {limit} bytes")
        return self._body

    async def _rest(self, first: bytes, limit: int) -> bytes:
        parts, size, more = [first], len(first), True
        # uvicorn has no deadline for receiving a request: ours has.
        try:
            async with asyncio.timeout(self.deadline):
                while more:
                    message = await self._next()
                    part = message.get("body", b"")
                    size += len(part)
                    if size > limit:
                        raise TooLarge(f"the body has more than {limit} bytes")
                    parts.append(part)
                    more = message.get("more_body", False)
        except TimeoutError as error:
            raise BadRequest(f"the body did not arrive within {self.deadline:g} seconds") from error
        return b"".join(parts)

    async def parts(self, limit: int) -> AsyncIterator[bytes]:
        """The body as it comes, for what is too large to be held whole. Raises as `body` does.

        A part has ``deadline`` seconds to arrive, and the whole as long as a slow line needs for ``limit`` bytes.
        """
        declared, size, more = self.headers.get("content-length", ""), 0, True
        if declared.isdecimal() and int(declared) > limit:
            raise TooLarge(f"the body has {declared} bytes; at most {limit} are taken")
        end = asyncio.get_running_loop().time() + self.deadline + limit / SLOWEST_LINE
        while more and (declared or "transfer-encoding" in self.headers):
            try:
                async with asyncio.timeout_at(min(end, asyncio.get_running_loop().time() + self.deadline)):
                    message = await self._receive()
            except TimeoutError as error:
                raise BadRequest("the body did not arrive in time") from error
            if message["type"] == "http.disconnect":
                raise BadRequest("the client closed the connection")
            part, more = message.get("body", b""), message.get("more_body", False)
            size += len(part)
            if size > limit:
                raise TooLarge(f"the body has more than {limit} bytes")
            yield part

    async def gone(self) -> None:
        """Wait until the client has closed the connection. Only after the body was read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _next(self) -> MutableMapping[str, Any]:
        message = await asyncio.wait_for(self._receive(), self.deadline) if self._slow() else await self._receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("the client closed the connection")
        return message

    def _slow(self) -> bool:
        # Small bodies are there with the headers; waiting for them with a timer would cost more than reading them.
        declared = self.headers.get("content-length", "")
        return not declared.isdecimal() or int(declared) > 65536


class Answer:
    """An answer: status, body (whole, or in parts as they come), media type, further headers as raw pairs."""

    __slots__ = ("body", "headers", "media_type", "status", "stream")

    def __init__(
        self, body: bytes = b"", *, status: int = 200, media_type: bytes = JSON_TYPE,
        headers: tuple[tuple[bytes, bytes], ...] = (), stream: AsyncIterator[bytes] | None = None,
    ) -> None:  # fmt: skip
        self.body = body
        self.status = status
        self.media_type = media_type
        self.headers = headers
        self.stream = stream


class Answered(FedishareError):
    """Ends a request with a ready answer, from wherever it is clear (a Tombstone, a page for members)."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"answered with {answer.status}")
        self.answer = answer


def json_answer(value: object, *, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
    """A JSON answer from structs, dataclasses, dicts and lists."""
    return Answer(_encode(value), status=status, headers=headers)


def error_answer(message: str, status: int, *, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
    """The error body that every Mastodon app understands."""
    return Answer(_encode({"error": message}), status=status, headers=headers)
