"""Streaming: the hub between after-commit notices and the people who listen.

The hub carries ids only; each listener reads what it may see through the same queries as everybody, at the moment of
sending. A listener that reads too slowly is dropped: its app connects again and asks for what it missed. A token that
ends, or an account that is suspended, ends its streams.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field

from fedishare.model.activities import (
    ActorChanged,
    AnnouncementChanged,
    ConversationChanged,
    FiltersChanged,
    NotificationsMerged,
    Notified,
    PostEdited,
    PostPublished,
    PostRemoved,
    TokenRevoked,
)
from fedishare.model.actors import Viewer
from fedishare.model.errors import Unavailable
from fedishare.model.ids import Id
from fedishare.model.posts import Visibility
from fedishare.store import notice_board, streams
from fedishare.store.db import Database, NoticesLost, Tx

log = logging.getLogger(__name__)

SLOW = 256
"""Events that may wait for one listener before it is dropped."""
LIST = "list:"
"""Before the id of a list, in the name of its stream; a listener has the streams of its own lists only."""
BACKLOG = 10_000
"""Notices that may wait for the hub; above it, all listeners are dropped, and ask anew."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something for a listener: the API's word, the id that it is about, and which of its streams carry it."""

    kind: str
    ident: Id
    streams: tuple[str, ...]
    about: str = ""
    """What the id alone does not say: the name of a reaction."""


@dataclass(eq=False, slots=True)
class Listener:
    """One open stream. `queue` ends with None."""

    viewer: Viewer
    streams: set[str] = field(default_factory=set)
    queue: asyncio.Queue[Event | None] = field(default_factory=lambda: asyncio.Queue(SLOW))
    closed: bool = False

    def close(self) -> None:
        """End the stream, now."""
        if not self.closed:
            self.closed = True
            if self.queue.full():
                self.queue.get_nowait()
            self.queue.put_nowait(None)

    def give(self, event: Event) -> None:
        """Queue an event; a listener that does not keep up is dropped."""
        if self.closed:
            return
        if self.queue.qsize() >= SLOW - 1:
            self.close()
        else:
            self.queue.put_nowait(event)


class Hub:
    """The listeners of one process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listeners: set[Listener] = set()
        self._notices: asyncio.Queue[object] = asyncio.Queue(BACKLOG)
        self._task: asyncio.Task[None] | None = None
        self._announced: set[Id] = set()
        self._unsubscribe = database.on_notice(self._heard)

    @property
    def listening(self) -> int:
        """How many streams are open."""
        return len(self._listeners)

    def listen(self, viewer: Viewer) -> Listener:
        """Open a stream; `leave` it in the end."""
        made = Listener(viewer)
        self._listeners.add(made)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work(), name="streaming")
        return made

    def leave(self, listener: Listener) -> None:
        """The connection is gone."""
        listener.close()
        self._listeners.discard(listener)

    def end_all(self) -> None:
        """End every stream: the server stops."""
        for listener in list(self._listeners):
            self.leave(listener)

    async def close(self) -> None:
        """Stop."""
        self._unsubscribe()
        self.end_all()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _heard(self, notice: object) -> None:
        if not self._listeners:
            return
        if isinstance(notice, TokenRevoked):
            self._end_tokens(notice)
        try:
            self._notices.put_nowait(notice)
        except asyncio.QueueFull:
            self.end_all()

    def _end_tokens(self, notice: TokenRevoked) -> None:
        for listener in list(self._listeners):
            viewer = listener.viewer
            everything = notice.token_id == 0 and notice.account_id == viewer.id
            if everything or notice.token_id == viewer.token_id:
                self.leave(listener)

    async def _work(self) -> None:
        with contextlib.suppress(Unavailable):  # then all of them are told once more, later
            self._announced = await self._database.read(notice_board.announced)
        while True:
            notice = await self._notices.get()
            try:
                await self._pass_on(notice)
            except Unavailable:
                log.warning("streams miss a notice, because the database cannot be read; they end")
                self.end_all()
            except Exception:
                log.exception("a notice could not be passed on")

    async def _pass_on(self, notice: object) -> None:
        match notice:
            case PostPublished(post_id):
                await self._post("update", post_id)
            case PostEdited(post_id):
                await self._post("status.update", post_id)
            case PostRemoved():
                await self._removed(notice)
            case Notified(owner, ident):
                self._notified(owner, ident)
            case FiltersChanged(owner):
                self._tell(owner, Event("filters_changed", owner, ("user",)))
            case NotificationsMerged(owner):
                self._tell(owner, Event("notifications_merged", owner, ("user", "user:notification")))
            case ConversationChanged(owner, ident):
                self._tell(owner, Event("conversation", ident, ("direct", "user")))
            case AnnouncementChanged(ident, kind, name):
                self._announce(Event(kind, ident, ("user",), name))
            case NoticesLost():
                await self._check_tokens()
                await self._look_at_board()
            case ActorChanged():
                await self._check_tokens()
            case _:
                pass

    def _announce(self, event: Event) -> None:
        if event.kind == "announcement":
            self._announced.add(event.ident)
        elif event.kind == "announcement.delete":
            self._announced.discard(event.ident)
        for listener in self._listeners:
            if "user" in listener.streams:
                listener.give(event)

    async def _look_at_board(self) -> None:
        """The command line makes announcements in a process of its own: tell what is new, and what is gone."""
        there, known = await self._database.read(notice_board.announced), set(self._announced)
        for ident in sorted(there - known):
            self._announce(Event("announcement", ident, ("user",)))
        for ident in sorted(known - there):
            self._announce(Event("announcement.delete", ident, ("user",)))

    def _by_viewer(self) -> dict[Id, list[Listener]]:
        found: dict[Id, list[Listener]] = {}
        for listener in self._listeners:
            found.setdefault(listener.viewer.id, []).append(listener)
        return found

    async def _post(self, kind: str, post_id: Id) -> None:
        people = self._by_viewer()
        lists = {int(name[len(LIST) :]) for each in self._listeners for name in each.streams if name.startswith(LIST)}
        found = await self._database.read(streams.hearers, post_id, list(people), [Id(ident) for ident in lists])
        public = {*found.streams, *(f"{LIST}{ident}" for ident in found.lists)}
        for viewer, listeners in people.items():
            carried = set[str]() if viewer in found.unwanted else set(public)
            if viewer in found.home:
                carried.add("user")
            for listener in listeners:
                through = tuple(sorted(carried & listener.streams))
                if through:
                    listener.give(Event(kind, post_id, through))

    async def _removed(self, notice: PostRemoved) -> None:
        people = self._by_viewer()
        knew = await self._database.read(streams.knew, Id(notice.author_id), list(people))
        for viewer, listeners in people.items():
            for listener in listeners:
                public = notice.visibility == Visibility.PUBLIC
                through = {
                    s for s in listener.streams if (viewer in knew if s == "user" or s.startswith(LIST) else public)
                }
                for stream in sorted(through - {"user:notification", "direct"}):
                    listener.give(Event("delete", notice.post_id, (stream,)))

    def _notified(self, owner: Id, ident: Id) -> None:
        for listener in self._by_viewer().get(owner, ()):
            through = tuple(sorted({"user", "user:notification"} & listener.streams))
            if through:
                listener.give(Event("notification", ident, through[:1]))

    def _tell(self, owner: Id, event: Event) -> None:
        """Tell one person something, on those of the event's streams that they listen to."""
        for listener in self._by_viewer().get(owner, ()):
            through = tuple(stream for stream in event.streams if stream in listener.streams)
            if through:
                listener.give(Event(event.kind, event.ident, through))

    async def _check_tokens(self) -> None:
        """Something changed that may have ended tokens or accounts: ask."""
        tokens = {listener.viewer.token_id for listener in self._listeners}
        valid = await self._database.read(_valid, tuple(tokens))
        for listener in list(self._listeners):
            if listener.viewer.token_id not in valid:
                self.leave(listener)


def _valid(tx: Tx, tokens: tuple[Id, ...]) -> frozenset[Id]:
    return streams.valid_tokens(tx, tokens)
