"""Line: the connection of one process to the others that use the same database. Our notices out, theirs in.

A thread waits for messages of the server and for texts of ours, and packs many texts in one message. When the server
goes away it connects again, and both sides are told that notices may be missing (`NoticesLost`): nothing is dropped
silently.
"""

from __future__ import annotations

import asyncio
import logging
import os
import selectors
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec

from fedishare.store.db import NoticeCodec, NoticesLost

log = logging.getLogger(__name__)

TEXT_BYTES = 7_800
"""A notice's text, as JSON, may be this long; the server takes messages of up to 8 000 bytes."""
OUTGOING = 10_000
"""Texts that are kept while there is no server; beyond it the oldest are dropped, which `NoticesLost` covers."""


class Wire(Protocol):
    """What the line needs of a driver. All of it is called in the line's thread, and may raise anything."""

    def connect(self) -> None:
        """Connect and listen."""

    def fileno(self) -> int:
        """Readable when messages are there."""

    def tell(self, payload: str) -> None:
        """Send a message to every process, us included."""

    def heard(self) -> list[str]:
        """Messages that have come, without waiting."""

    def close(self) -> None:
        """Hang up."""


class Line(threading.Thread):
    """Runs until `end`. ``ready`` gets the outcome of the first attempt to connect."""

    def __init__(
        self,
        wire: Wire,
        codec: NoticeCodec | None,
        deliver: Callable[[Sequence[object]], None],
        ready: asyncio.Future[None],
    ) -> None:
        super().__init__(name="store-line", daemon=True)
        self._wire = wire
        self._codec = codec
        self._deliver = deliver
        self._loop = ready.get_loop()
        self._ready = ready
        self._tag = uuid.uuid4().hex
        self._outgoing: deque[str] = deque(maxlen=OUTGOING)
        self._wake_out, self._wake_in = os.pipe()
        self._ending = threading.Event()
        self._ended = False
        self._guard = threading.Lock()

    def send(self, texts: Iterable[str]) -> None:
        """Tell the other processes; from any thread."""
        self._outgoing.extend(texts)
        self._wake()

    def end(self) -> None:
        """Send what is left and stop."""
        self._ending.set()
        self._wake()

    def _wake(self) -> None:
        with self._guard:  # not after the end, when the number may belong to another file
            if not self._ended:
                os.write(self._wake_in, b".")

    def run(self) -> None:
        try:
            self._wire.connect()
        except BaseException as error:
            self._loop.call_soon_threadsafe(self._answer, error)
        else:
            self._loop.call_soon_threadsafe(self._answer, None)
            self._keep_talking()
        with self._guard:
            self._ended = True
            os.close(self._wake_out)
            os.close(self._wake_in)
        self._wire.close()

    def _answer(self, error: BaseException | None) -> None:
        if self._ready.done():  # whoever waited was cancelled
            return
        if error is None:
            self._ready.set_result(None)
        else:
            self._ready.set_exception(error)

    def _keep_talking(self) -> None:
        pause = 0.1
        while True:
            try:
                self._talk()
                return
            except Exception as error:
                log.warning("the line to other processes was lost, trying again: %s", error)
            while True:
                self._wire.close()
                if self._ending.wait(pause):
                    return
                try:
                    self._wire.connect()
                    self._say([])
                    break
                except Exception as error:
                    log.info("there is no line to other processes yet: %s", error)
                    pause = min(pause * 2, 5.0)
            pause = 0.1
            self._pass_on([NoticesLost()])

    def _talk(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_out, selectors.EVENT_READ)
            selector.register(self._wire.fileno(), selectors.EVENT_READ)
            while not self._ending.is_set() or self._outgoing:
                for key, _ in selector.select(0 if self._outgoing else 30):
                    if key.fd == self._wake_out:
                        os.read(self._wake_out, 4096)
                self._speak()
                for payload in self._wire.heard():
                    self._hear(payload)

    def _speak(self) -> None:
        """Everything that is waiting, in as few messages as it fits."""
        while self._outgoing:
            room = TEXT_BYTES
            texts: list[str] = []
            for text in list(self._outgoing):
                room -= size(text) + 1
                if room < 0 and texts:
                    break
                texts.append(text)
            self._say(texts)
            for _ in texts:  # only now: what could not be sent waits for the next connection
                self._outgoing.popleft()

    def _say(self, texts: Sequence[str]) -> None:
        self._wire.tell(self._tag + msgspec.json.encode(texts).decode())

    def _hear(self, payload: str) -> None:
        if payload.startswith(self._tag) or self._codec is None:
            return
        try:
            texts = msgspec.json.decode(payload[len(self._tag) :], type=list[str])
            notices = [notice for text in texts if (notice := self._codec.decode(text)) is not None]
        except Exception:  # not written by us, or by another version
            log.warning("a notice from another process could not be read: %.80r", payload)
            return
        self._pass_on(notices if texts else [NoticesLost()])

    def _pass_on(self, notices: Sequence[object]) -> None:
        if not self._ending.is_set():
            self._loop.call_soon_threadsafe(self._deliver, notices)


def size(text: str) -> int:
    """Bytes that a notice's text takes in a message."""
    return len(msgspec.json.encode(text))
