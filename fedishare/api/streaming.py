"""Streaming for apps: Server-Sent Events and WebSocket, with Mastodon's streams and events."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec

from fedishare.api.announcements import Announcements
from fedishare.api.conversations import Conversations
from fedishare.api.http import Api, params, parse_id
from fedishare.api.notifications import Notifications
from fedishare.http.call import Answer, Call
from fedishare.http.routes import scope_allows
from fedishare.http.socket import Socket
from fedishare.model.actors import Viewer
from fedishare.model.errors import BadRequest, FedishareError, NotAllowed, NotFound
from fedishare.model.filters import Context
from fedishare.model.ids import Id
from fedishare.services import lists
from fedishare.store.db import Tx
from fedishare.streaming import LIST, Event, Hub, Listener
from fedishare.text import normalise_hashtag

BEAT_SECONDS = 15.0
_EVENT_STREAM = b"text/event-stream; charset=utf-8"
_NO_BUFFERING = ((b"cache-control", b"private, no-store"), (b"x-accel-buffering", b"no"))
PLAIN = frozenset(("user", "user:notification", "public", "public:local", "public:remote", "direct"))
EMPTY = frozenset(("filters_changed", "notifications_merged"))
"""Events that carry nothing: the app asks for what has changed."""
POSTS, NOTIFICATIONS = ("read:statuses",), ("read:notifications",)
TOLD = frozenset(("notification", "notifications_merged"))
"""Events that want the scope of notifications, on whichever stream they come."""
_encode = msgspec.json.Encoder().encode


def stream_name(name: str, tag: str, people: str = "") -> str:
    """The hub's name of a stream: ``tag`` for hashtags, ``people`` for the id of a list.

    Raises `BadRequest` for one that does not exist, `NotFound` for what is no id.
    """
    if name in PLAIN:
        return name
    if name in ("hashtag", "hashtag:local"):
        if not tag.strip("# "):
            raise BadRequest("Missing tag name parameter")
        return f"{name}:{normalise_hashtag(tag)}"
    if name == "list":
        if not people:
            raise BadRequest("Missing list name parameter")
        return f"{LIST}{parse_id(people)}"
    raise BadRequest("Unknown stream type")


def scopes_of(name: str) -> tuple[str, ...]:
    """What a token must be allowed for a stream."""
    return NOTIFICATIONS if name == "user:notification" else POSTS


@dataclass(frozen=True, slots=True)
class Streaming:
    """The handlers."""

    api: Api
    hub: Hub

    async def health(self, call: Call) -> Answer:
        """``GET /api/v1/streaming/health``"""
        return Answer(b"OK", media_type=b"text/plain; charset=utf-8")

    async def events(self, call: Call, name: str) -> Answer:
        """``GET /api/v1/streaming/user`` and the others: Server-Sent Events."""
        found = await params(call)
        stream = await self._permitted(call.me, stream_name(name, found.text("tag"), found.text("list")))
        listener = self.hub.listen(call.me)
        listener.streams.add(stream)
        return Answer(media_type=_EVENT_STREAM, headers=_NO_BUFFERING, stream=self._lines(call, listener))

    async def _permitted(self, viewer: Viewer, stream: str) -> str:
        """The stream, if it is one that the viewer may listen to.

        Raises `NotAllowed` outside the token's scopes, `NotFound` for lists of other people.
        """
        if not scope_allows(viewer.scopes, scopes_of(stream)):
            raise NotAllowed("This action is outside the authorized scopes")
        if stream.startswith(LIST):
            await self.api.database.read_fast(lists.own, viewer.id, parse_id(stream[len(LIST) :]))
        return stream

    async def _lines(self, call: Call, listener: Listener) -> AsyncIterator[bytes]:
        watch = asyncio.create_task(self._watch(call, listener))
        try:
            yield b":)\n\n"
            while not listener.closed or not listener.queue.empty():
                try:
                    event = await asyncio.wait_for(listener.queue.get(), BEAT_SECONDS)
                except TimeoutError:
                    yield b":thump\n\n"
                    continue
                if event is None:
                    return
                for payload in (await self._payloads(event, listener.viewer)).values():
                    # An event without data is none for browsers.
                    yield b"event: " + event.kind.encode() + b"\ndata: " + (payload or b"null") + b"\n\n"
        finally:
            watch.cancel()
            self.hub.leave(listener)

    @staticmethod
    async def _watch(call: Call, listener: Listener) -> None:
        await call.gone()
        listener.close()

    async def _payloads(self, event: Event, viewer: Viewer) -> dict[str, bytes]:
        """What an event carries on each of its streams; nothing where the viewer may not see it (any more), or has a
        filter that hides it there, or the token is not for it."""
        if event.kind in TOLD and not scope_allows(viewer.scopes, NOTIFICATIONS):
            return {}
        if event.kind in ("delete", "announcement.delete"):
            return dict.fromkeys(event.streams, str(event.ident).encode())
        if event.kind in EMPTY:
            return dict.fromkeys(event.streams, b"")
        return await self.api.database.read_fast(self._read, event, viewer.id)

    def _read(self, tx: Tx, event: Event, viewer: Id) -> dict[str, bytes]:
        if event.kind == "notification":
            found = Notifications(self.api).one_json(tx, event.ident, viewer)
        elif event.kind == "conversation":
            found = Conversations(self.api).one_json(tx, event.ident, viewer)
        elif event.kind.startswith("announcement"):
            found = Announcements(self.api).event(tx, event.ident, viewer, event.about)
        else:
            contexts = {stream: _context(stream) for stream in event.streams}
            shown = {
                context: self.api.renderer.visible_post(tx, event.ident, viewer, context)
                for context in set(contexts.values())
            }
            return {s: body for s, context in contexts.items() if (body := shown[context]) is not None}
        return dict.fromkeys(event.streams, found) if found is not None else {}

    # WebSocket

    async def socket(self, socket: Socket) -> None:
        """``/api/v1/streaming`` as a WebSocket: one connection for many streams."""
        listener = self.hub.listen(socket.viewer)
        name = socket.query.get("stream", "")
        try:
            if name:
                stream = stream_name(name, socket.query.get("tag", ""), socket.query.get("list", ""))
                listener.streams.add(await self._permitted(listener.viewer, stream))
            await socket.accept()
            reader = asyncio.create_task(self._commands(socket, listener))
            try:
                await self._send_events(socket, listener)
            finally:
                reader.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await reader
        except (BadRequest, NotAllowed, NotFound) as error:
            await socket.refuse(error.status, error.message)
        finally:
            self.hub.leave(listener)
        await socket.close()

    async def _send_events(self, socket: Socket, listener: Listener) -> None:
        while True:
            event = await listener.queue.get()
            if event is None:
                return
            for stream, payload in (await self._payloads(event, listener.viewer)).items():
                message: dict[str, object] = {"stream": _parts(stream), "event": event.kind}
                if payload:
                    message["payload"] = payload.decode()
                await socket.send(_encode(message).decode())

    async def _commands(self, socket: Socket, listener: Listener) -> None:
        """What the app says: ``{"type": "subscribe", "stream": "hashtag", "tag": "x"}``."""
        try:
            while (text := await socket.receive()) is not None:
                await self._command(socket, listener, text)
        finally:
            listener.close()

    async def _command(self, socket: Socket, listener: Listener, text: str) -> None:
        try:
            said = msgspec.json.decode(text, type=dict[str, object])
            asked = stream_name(str(said.get("stream", "")), str(said.get("tag", "")), str(said.get("list", "")))
            name = await self._permitted(listener.viewer, asked)
        except (msgspec.DecodeError, BadRequest, NotAllowed, NotFound) as error:
            message, status = "the message is no JSON object", 400
            if isinstance(error, FedishareError):
                message, status = error.message, error.status
            await socket.send(_encode({"error": message, "status": status}).decode())
            return
        if said.get("type") == "subscribe":
            if len(listener.streams) < 100:
                listener.streams.add(name)
        elif said.get("type") == "unsubscribe":
            listener.streams.discard(name)


def _context(stream: str) -> Context:
    """Which filters count on a stream."""
    return Context.HOME if stream == "user" or stream.startswith(LIST) else Context.PUBLIC


def _parts(stream: str) -> list[str]:
    """A stream as apps know it: the name of a hashtag and the id of a list stand apart."""
    for prefix in ("hashtag:local", "hashtag", "list"):
        if stream.startswith(prefix + ":") and stream != prefix:
            return [prefix, stream[len(prefix) + 1 :]]
    return [stream]
