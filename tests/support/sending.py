"""Sending: an instance of `builders` with its worker running, and partners that follow people there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from fedishare.activitypub import delivery, inbox, outbox, quotes_checks, resolver
from fedishare.jobs import Worker
from fedishare.model.activities import RemoteActor
from fedishare.model.actors import Actor, ActorKind, Endpoints, FollowState, Profile
from fedishare.model.ids import Domain, Iri
from fedishare.services import relations as relation_services
from fedishare.store import actors, jobs, relations
from fedishare.store.db import Tx
from fedishare.store.jobs import JobRow
from tests.support.builders import Us
from tests.support.peer import PeerServer, Person


def worker_of(us: Us) -> Worker:
    """A worker with every kind of job, not started; retries have no jitter."""
    parts = (outbox, delivery, resolver, quotes_checks, inbox)
    handlers = {kind: handler for part in parts for kind, handler in part.handlers(us.federation).items()}
    return Worker(us.database, handlers, clock=us.clock, jitter=lambda: 0.0)


@asynccontextmanager
async def sending(us: Us) -> AsyncIterator[Worker]:
    """The instance with its worker."""
    worker = worker_of(us)
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop(1)


async def kill(worker: Worker) -> None:
    """As abrupt as it gets inside one process: everything of the worker stops where it is, nothing is released."""
    loop = worker._loop
    tasks = [*worker._batches, *(r.task for r in worker._running.values() if r.task is not None)]
    for task in (*tasks, *([loop] if loop is not None else [])):
        task.cancel()
    await asyncio.gather(*tasks, *([loop] if loop is not None else []), return_exceptions=True)


def remote(host: str, name: str, *, shared: bool = True) -> RemoteActor:
    """Somebody elsewhere, as their document would say."""
    me = f"https://{host}/users/{name}"
    shared_inbox = Iri(f"https://{host}/inbox") if shared else None
    ends = Endpoints(Iri(f"{me}/inbox"), followers=Iri(f"{me}/followers"), shared_inbox=shared_inbox)
    return RemoteActor(Iri(me), Domain(host), name, ActorKind.PERSON, Profile(display_name=name), ends, (), me)


def _put_follower(tx: Tx, person: RemoteActor, followee: Actor) -> Actor:
    follower = actors.put_remote(tx, person, person.host)
    relations.put_follow(tx, follower, followee, FollowState.PENDING, Iri(f"{person.iri}/follows/{followee.name}"))
    made = relations.follow(tx, follower.id, followee.id)
    assert made is not None
    relation_services.accept(tx, made)
    return follower


async def follower(us: Us, host: str, name: str, followee: Actor, *, shared: bool = True) -> Actor:
    """Somebody at ``host`` who follows a local person; nothing is sent for it."""
    made: Actor = await us.write(_put_follower, remote(host, name, shared=shared), followee)
    return made


def _put_many(tx: Tx, people: Iterable[RemoteActor], followee: Actor) -> None:
    for person in people:
        _put_follower(tx, person, followee)


async def followers(us: Us, people: Iterable[RemoteActor], followee: Actor) -> None:
    """Many followers at once."""
    await us.write(_put_many, list(people), followee)


async def known(us: Us, host: str, name: str) -> Actor:
    """Somebody elsewhere that we know."""
    person = remote(host, name)
    made: Actor = await us.write(actors.put_remote, person, person.host)
    return made


async def of_peer(us: Us, peer: PeerServer, person: Person) -> Actor:
    """A person of the simulated partner, known here."""
    return await known(us, peer.host, person.name)


async def deliveries(us: Us) -> list[JobRow]:
    """Every delivery on the books, oldest first."""
    return [row for row in await us.database.read(jobs.listing, limit=100_000) if row.kind == "deliver"]


def kinds(peer: PeerServer) -> list[Any]:
    """The types of the activities that a partner received."""
    return [activity["type"] for activity in peer.received]


async def until(true: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for something that nothing announces: what a partner received, what a background task did."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 — there is no event to wait for
            await asyncio.sleep(0.001)
