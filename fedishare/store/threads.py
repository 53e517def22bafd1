"""Threads: a few workers that run whole functions, each on a session of its own, and answer to the event loop.

The standard executor would do, at twice the cost per call, and without a place for a thread's own connection.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from fedishare.model.errors import Unavailable
from fedishare.store.db import Failed


class Closable(Protocol):
    """What a worker owns."""

    def close(self) -> None:
        """Give it back."""


S = TypeVar("S", bound=Closable)


class Done(NamedTuple):
    """The outcome of a job: a result or `Failed`, notices for us, and their texts for other processes."""

    outcome: Any
    notices: Sequence[object] = ()
    texts: Sequence[str] = ()

    @property
    def fault(self) -> BaseException | None:
        """Why it failed, if the machine is to blame."""
        error = self.outcome.error if isinstance(self.outcome, Failed) else None
        return error.__cause__ if isinstance(error, Unavailable) else None


class Job(NamedTuple, Generic[S]):
    """A function for a thread with a session, and who waits for what it returns."""

    work: Callable[[S], Done]
    future: asyncio.Future[Any]


class Pool(Generic[S]):
    """A few threads that take jobs from one queue. Threads and sessions come into being as they are needed.

    ``settle`` is called in the loop's thread with every outcome, after the caller has been told.
    """

    def __init__(self, name: str, size: int, make: Callable[[], S], settle: Callable[[Done], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[Job[S] | None] = SimpleQueue()
        self._make = make
        self._settle = settle
        self._threads = [threading.Thread(target=self._work, name=f"{name}-{n}", daemon=True) for n in range(size)]
        self._begun = 0
        self.waiting = 0

    def submit(self, work: Callable[[S], Done]) -> asyncio.Future[Any]:
        """Have ``work`` done, whole, even if nobody waits for it any more."""
        if self._begun < len(self._threads) and self.waiting >= self._begun:
            self._threads[self._begun].start()
            self._begun += 1
        future: asyncio.Future[Any] = self._loop.create_future()
        self.waiting += 1
        self._queue.put(Job(work, future))
        return future

    def _work(self) -> None:
        session = self._make()
        while (job := self._queue.get()) is not None:
            try:
                done = job.work(session)
            except BaseException as error:  # whatever it is, somebody waits for it
                done = Done(Failed(error))
            self._loop.call_soon_threadsafe(self._finish, job, done)
        session.close()

    def _finish(self, job: Job[S], done: Done) -> None:
        self.waiting -= 1
        if not job.future.done():  # else the caller was cancelled
            if isinstance(done.outcome, Failed):
                job.future.set_exception(done.outcome.error)
            else:
                job.future.set_result(done.outcome)
        self._settle(done)

    async def close(self) -> None:
        """Let everything that was accepted finish, then end the threads."""
        for _ in range(self._begun):
            self._queue.put(None)
        begun, self._begun = self._threads[: self._begun], 0
        for thread in begun:
            await asyncio.to_thread(thread.join)
        while self.waiting:  # noqa: ASYNC110 — the last results are already on their way to the loop
            await asyncio.sleep(0)
