"""The dispatcher: finds the route, enforces what it declares, runs its handler, and answers every error as JSON.

Static paths are found in one dict, the rest in a tree of segments, so hundreds of API routes cost the inbox nothing.
There is no other middleware: what would be one stands here, in the order in which it happens.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

from fedishare.http.call import Answer, Answered, Call, Peer, Receive, Scope, Send, error_answer, json_answer
from fedishare.http.rates import Allowance, Rates
from fedishare.http.routes import Access, Rate, Route, SocketRoute, scope_allows
from fedishare.http.socket import FORBIDDEN, NOT_FOUND, UNAUTHORIZED, Socket, query_of, token_of, turn_away
from fedishare.model.actors import Viewer
from fedishare.model.errors import (
    FedishareError,
    NotAllowed,
    NotFound,
    NotSignedIn,
    PolicyRefusal,
    TooLarge,
    TooMany,
    Unavailable,
)

log = logging.getLogger(__name__)

_SECURITY = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
)
_NO_CONTENT = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_CORS = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers",
     b"Link, Location, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, X-Request-Id, Retry-After"),
)  # fmt: skip
_PREFLIGHT = (
    (b"access-control-allow-methods", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
    (b"access-control-max-age", b"86400"),
)
_ALLOWED = b"Authorization, Content-Type, Idempotency-Key"
_HEADER_NAMES = re.compile(rb"[A-Za-z0-9-]+(?: *, *[A-Za-z0-9-]+){0,40}\Z")
_PRIVATE: tuple[tuple[bytes, bytes], ...] = (
    (b"vary", b"Accept, Signature"),
    (b"cache-control", b"private, no-store"),
)
_SOON = ((b"retry-after", b"10"), (b"connection", b"close"))
_CORS_PATHS = ("/api/", "/oauth/", "/.well-known/", "/nodeinfo/")

Authenticate = Callable[[Call], Awaitable[Viewer | None]]
Bearer = Callable[[str], Awaitable[Viewer | None]]
Verify = Callable[[Call, Route], Awaitable[Peer]]


async def _nobody(token: str) -> Viewer | None:
    return None


async def _open(address: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Gates:
    """How the router finds out who calls: by token, or by signature; and the numbers that it enforces."""

    viewer: Authenticate
    peer: Verify
    rates: Rates
    per_minute: Mapping[Rate, int]
    operator_networks: tuple[str, ...]
    request_seconds: float = 30.0
    is_shut: Callable[[str], Awaitable[bool]] = _open
    """Whether nobody may come in from an address."""
    bearer: Bearer = _nobody
    """Whom a bearer token speaks for; WebSockets bring it in other places than a header."""


@dataclass(slots=True)
class _Node:
    """One segment of the tree. ``prefixed`` holds ``/@{name}``-like segments: (prefix, parameter, node)."""

    children: dict[str, _Node] = field(default_factory=dict)
    parameter: tuple[str, _Node] | None = None
    prefixed: list[tuple[str, str, _Node]] = field(default_factory=list)
    routes: dict[str, Route] = field(default_factory=dict)


class Router:
    """An ASGI application for HTTP. Two routes of one method and path raise `ValueError` at start.

    ``counts`` receives the number of answers by route and status.
    """

    def __init__(
        self, routes: Iterable[Route], gates: Gates, counts: dict[tuple[str, int], int],
        sockets: Iterable[SocketRoute] = (),
    ) -> None:  # fmt: skip
        self.routes = tuple(routes)
        self.sockets = {route.path: route for route in sockets}
        self._gates = gates
        self._static: dict[str, dict[str, Route]] = {}
        self._tree = _Node()
        self._networks = [ipaddress.ip_network(n) for n in gates.operator_networks]
        self._counts = counts
        for route in self.routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        known = self._static.setdefault(route.path, {}) if "{" not in route.path else self._place(route.path).routes
        if route.method in known:
            raise ValueError(f"two routes for {route.name}")
        known[route.method] = route

    def _place(self, path: str) -> _Node:
        node = self._tree
        for segment in path[1:].split("/"):
            before, brace, rest = segment.partition("{")
            if not brace:
                node = node.children.setdefault(segment, _Node())
            elif before:
                found = next((n for p, _, n in node.prefixed if p == before), None)
                if found is None:
                    found = _Node()
                    node.prefixed.append((before, rest.rstrip("}"), found))
                node = found
            else:
                if node.parameter is None:
                    node.parameter = (rest.rstrip("}"), _Node())
                node = node.parameter[1]
        return node

    def find(self, path: str) -> tuple[Mapping[str, Route], dict[str, str]]:
        """The routes of a path by method, and its parameters; empty when there are none."""
        static = self._static.get(path)
        if static is not None:
            return static, {}
        if len(path) > 1 and path.endswith("/"):
            return self.find(path.rstrip("/") or "/")
        params: dict[str, str] = {}
        node = _walk(self._tree, path[1:].split("/"), 0, params)
        return (node.routes, params) if node else ({}, {})

    async def connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one WebSocket, or turn it away."""
        await receive()
        route = self.sockets.get(scope["path"].rstrip("/"))
        if route is None:
            await turn_away(send, NOT_FOUND, "Record not found")
            return
        client = scope.get("client")
        if await self._gates.is_shut(str(client[0]) if client else ""):
            await turn_away(send, FORBIDDEN, "This action is not allowed")
            return
        viewer = await self._gates.bearer(token_of(scope))
        if viewer is None:
            await turn_away(send, UNAUTHORIZED, "The access token is invalid")
        elif not scope_allows(viewer.scopes, route.scopes):
            await turn_away(send, FORBIDDEN, "This action is outside the authorized scopes")
        else:
            await route.handler(Socket(scope, viewer, query_of(scope), receive, send))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        routes, params = self.find(scope["path"])
        method = scope["method"]
        route = routes.get("GET" if method == "HEAD" else method)
        further: tuple[tuple[bytes, bytes], ...] = ()
        if route is None:
            answer = self._without_route(scope, routes)
        else:
            call = Call(scope, receive, params, self._gates.request_seconds)
            try:
                await self._admit(call, route)
                answer = await route.handler(call)
            except Answered as ready:
                answer = ready.answer
            except FedishareError as error:
                answer = _refusal(error, route)
            except asyncio.CancelledError:
                if not _is_told_to_end():
                    raise
                answer = error_answer("this server is ending; come again", 503, headers=_SOON)
            except Exception:
                log.exception("%s failed", route.name)
                answer = error_answer("Something went wrong here; it is in the server's log.", 500)
            if call.allowance is not None:
                further = call.allowance.headers(time.time())
        name = route.name if route else "none"
        self._counts[name, answer.status] = self._counts.get((name, answer.status), 0) + 1
        if route is not None and route.takes_token and _brings_token(call.headers) and not _is_api(scope):
            further = (*further, *_CORS)  # programs in a browser read ActivityPub with the same tokens
        await _send(answer, scope, send, further, with_body=method != "HEAD")

    def _without_route(self, scope: Scope, routes: Mapping[str, Route]) -> Answer:
        if scope["method"] == "OPTIONS":
            if _is_api(scope):
                return Answer(status=204, headers=_preflight(scope))
            if any(route.takes_token for route in routes.values()):
                return Answer(status=204, headers=(*_preflight(scope), *_CORS))
        if not routes:
            return error_answer("Record not found", 404)
        also = {"HEAD"} if "GET" in routes else set()
        allowed = ", ".join(sorted({*routes, *also})).encode()
        return error_answer("This address does not take that method", 405, headers=((b"allow", allowed),))

    async def _admit(self, call: Call, route: Route) -> None:
        """Everything that a route declares, before its handler runs."""
        if route.access is not Access.OPERATOR and await self._gates.is_shut(call.client):
            raise NotAllowed("This action is not allowed")
        if route.access is Access.TOKEN or (
            route.access is Access.PEER_OR_TOKEN and _brings_token(call.headers) and "signature" not in call.headers
        ):
            try:
                call.viewer = await self._gates.viewer(call)
            except FedishareError:
                self._count(call, Rate.PUBLIC, call.client)
                raise
            if call.viewer is None:
                self._count(call, Rate.PUBLIC, call.client)
                raise NotSignedIn("The access token is invalid")
            if not scope_allows(call.viewer.scopes, route.scopes):
                raise NotAllowed("This action is outside the authorized scopes")
            self._count(call, route.rate, str(call.viewer.id))
        elif route.access in (Access.PEER, Access.PEER_OR_TOKEN):
            call.peer = await self._gates.peer(call, route)
        elif route.access is Access.OPERATOR:
            self._operators_only(call)
        elif route.access not in (Access.INBOX, Access.MEDIA):
            self._count(call, route.rate, call.client)
        if route.max_body and route.access is not Access.INBOX and not route.streams:
            await call.body(route.max_body)
        elif not route.max_body and call.headers.get("content-length", "0") not in ("0", ""):
            raise TooLarge("this address takes no body")

    def _count(self, call: Call, rate: Rate, key: str) -> None:
        per_minute, rates = self._gates.per_minute.get(rate), self._gates.rates
        if per_minute is not None and rates.enabled:
            call.allowance = Allowance(per_minute, 0)
            call.allowance = Allowance(per_minute, rates.take(rate, key, per_minute))

    def _operators_only(self, call: Call) -> None:
        try:
            address = ipaddress.ip_address(call.client)
        except ValueError:
            address = None
        if address is None or not any(address in network for network in self._networks):
            raise NotFound("Record not found")


def _is_api(scope: Scope) -> bool:
    """Whether a path belongs to what programs in browsers call from other origins."""
    path: str = scope["path"]
    return path.startswith(_CORS_PATHS)


def _preflight(scope: Scope) -> tuple[tuple[bytes, bytes], ...]:
    """What a program in a browser may send: any header, as in Mastodon; there are no cookies that could come along."""
    asked = next((value for name, value in scope["headers"] if name == b"access-control-request-headers"), b"")
    names = b", ".join((_ALLOWED, asked)) if _HEADER_NAMES.match(asked) else _ALLOWED
    return (*_PREFLIGHT, (b"access-control-allow-headers", names))


def _brings_token(headers: Mapping[str, str]) -> bool:
    return headers.get("authorization", "")[:7].lower() == "bearer "


def _is_told_to_end() -> bool:
    """Whether somebody cancels this request: the server, which ends and has waited long enough."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _walk(node: _Node, segments: list[str], at: int, params: dict[str, str]) -> _Node | None:
    if at == len(segments):
        return node if node.routes else None
    segment = segments[at]
    child = node.children.get(segment)
    if child is not None:
        found = _walk(child, segments, at + 1, params)
        if found is not None:
            return found
    for prefix, name, following in node.prefixed:
        if segment.startswith(prefix) and len(segment) > len(prefix):
            found = _walk(following, segments, at + 1, params)
            if found is not None:
                params[name] = segment[len(prefix) :]
                return found
    if node.parameter is not None and segment:
        name, following = node.parameter
        found = _walk(following, segments, at + 1, params)
        if found is not None:
            params[name] = segment
        return found
    return None


def _refusal(error: FedishareError, route: Route) -> Answer:
    # What a signature decides is never kept for somebody else, and a browser's answer never for a server.
    headers = _PRIVATE if route.access in (Access.PEER, Access.PEER_OR_TOKEN) else ()
    if isinstance(error, (TooMany, Unavailable)):
        headers = (*headers, (b"retry-after", str(error.retry_after).encode()))
    elif isinstance(error, NotSignedIn):
        headers = ((b"www-authenticate", b'Bearer realm="fedishare"'),)
    elif isinstance(error, PolicyRefusal) and route.access is Access.TOKEN:
        # Our own people may know which rule it was, as `policy explain` tells it.
        return json_answer({"error": error.message, "rule": error.rule}, status=error.status)
    return error_answer(error.message, error.status, headers=headers)


async def _send(
    answer: Answer, scope: Scope, send: Send, further: tuple[tuple[bytes, bytes], ...], *, with_body: bool
) -> None:
    headers: list[tuple[bytes, bytes]] = [(b"content-type", answer.media_type), *_SECURITY, *answer.headers, *further]
    if not any(name == b"content-security-policy" for name, _ in answer.headers):
        headers.append(_NO_CONTENT)
    if _is_api(scope):
        headers += _CORS
    if answer.stream is None:
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if answer.stream is not None and with_body:
        async for part in answer.stream:
            await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": answer.body if with_body else b""})
