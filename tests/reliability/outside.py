"""Everybody outside the server process: apps with a ledger of their own, and partners that listen on loopback.

All partners are names of one port, told apart by the Host header. What they received is their ledger; what the clients
were answered is theirs. Tests compare both with what the server says after it was killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

from fedishare.activitypub.signatures import sign_cavage
from fedishare.app import opened_database, prepare_database, site_of
from fedishare.config import load, prepare
from fedishare.model.activities import RemoteActor
from fedishare.model.actors import Actor, ActorKey, ActorKind, Endpoints, FollowState, Profile
from fedishare.model.ids import Domain, Iri, Millis
from fedishare.services import accounts
from fedishare.services.site import Site
from fedishare.store import actors, relations
from fedishare.store.db import Database, Tx
from tests.support.builders import key_pair, rsa_key
from tests.support.process import KEY, wire

AS2 = "https://www.w3.org/ns/activitystreams"
PUBLIC = AS2 + "#Public"
TYPE = "application/activity+json"
KEYS = 3
"""Different keys of partners' people; making one takes long."""
T = TypeVar("T")
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody at a partner. ``key`` is the number of their key."""

    host: str
    name: str
    key: int = 0
    shared_inbox: bool = True

    @property
    def iri(self) -> Iri:
        """Their id."""
        return Iri(f"http://{self.host}/users/{self.name}")

    @property
    def inbox(self) -> str:
        """Where posts to followers arrive."""
        return f"http://{self.host}/inbox" if self.shared_inbox else f"{self.iri}/inbox"

    @property
    def remote(self) -> RemoteActor:
        """What their document says."""
        iri = self.iri
        shared = Iri(f"http://{self.host}/inbox") if self.shared_inbox else None
        return RemoteActor(
            iri=iri, host=Domain(self.host), name=self.name, kind=ActorKind.PERSON, profile=Profile(self.name.title()),
            endpoints=Endpoints(
                Iri(f"{iri}/inbox"), Iri(f"{iri}/outbox"), Iri(f"{iri}/followers"), Iri(f"{iri}/following"), shared
            ),
            keys=(ActorKey(f"{iri}#main-key", iri, "rsa", rsa_key(50 + self.key).public().pem()),), url=str(iri),
        )  # fmt: skip

    def signed(self, url: str, activity: Json, at: int | None = None) -> bytes:
        """A delivery to ``url``, ready for the wire."""
        body = json.dumps(activity).encode()
        now = Millis(at if at is not None else time.time_ns() // 1_000_000)
        key = rsa_key(50 + self.key)
        headers = sign_cavage("POST", url, body, f"{self.iri}#main-key", key, now, TYPE)
        return wire("POST", "/" + url.split("/", 3)[3], headers, body)


@dataclass(frozen=True, slots=True)
class Received:
    """One request that reached a partner, in the order of arrival."""

    number: int
    at: float
    """Seconds of `time.monotonic`."""
    method: str
    host: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The activity."""
        return json.loads(self.body)

    @property
    def inbox(self) -> str:
        """The address that was POSTed to."""
        return f"http://{self.host}{self.path}"


class Partners:
    """The servers of all partners, in a thread of their own. ``documents`` maps URLs to what a GET answers."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.documents: dict[str, Json] = {}
        self.hanging: set[str] = set()
        """Hosts that take a request and never answer it."""
        self.silent = threading.Event()
        """While set, every GET hangs."""
        self.resetting: set[str] = set()
        """Hosts that break the connection instead of answering."""
        self.garbage: set[str] = set()
        """Hosts that answer with something that is no HTTP."""
        self.slow: dict[str, float] = {}
        """Seconds before each answer of a host."""
        self.delay = 0.0
        """Seconds before each answer of everybody else."""
        self.answers: dict[str, int] = {}
        """Hosts that answer POSTs with this status."""
        self.peak: Counter[str] = Counter()
        """The most requests that were in flight at each host at once."""
        self.port = 0
        self._numbers = itertools.count()
        self._in_flight: Counter[str] = Counter()
        self._news = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="partners", daemon=True)

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        self._ready.wait(5)

    def stop(self) -> None:
        """End."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def host(self, number: int) -> str:
        """The authority of one of the partners."""
        return f"h{number:02}.localhost:{self.port}"

    def wait(self, until: Callable[[Sequence[Received]], bool], seconds: float = 20.0) -> bool:
        """Wait until what was received is as wanted; False when it is not in time."""
        with self._news:
            return self._news.wait_for(lambda: until(self.received), seconds)

    def wait_for(self, number: int) -> bool:
        """Wait until so many requests have arrived."""
        return self.wait(lambda received: len(received) >= number)

    def posts(self) -> list[Received]:
        """The deliveries so far."""
        with self._news:
            return [each for each in self.received if each.method == "POST"]

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._talk, "127.0.0.1", 0, backlog=1024))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in self._tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while True:
                    await self._one(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        host = headers["host"]
        self._in_flight[host] += 1
        self.peak[host] = max(self.peak[host], self._in_flight[host])
        try:
            with self._news:
                made = Received(next(self._numbers), time.monotonic(), method, host, path, headers, body)
                self.received.append(made)
                self._news.notify_all()
            while host in self.hanging or (method == "GET" and self.silent.is_set()):  # noqa: ASYNC110 — another thread
                await asyncio.sleep(0.01)
            await asyncio.sleep(self.slow.get(host, self.delay))
            if host in self.resetting:
                writer.transport.abort()
                raise ConnectionAbortedError
            writer.write(self._answer(method, host, path))
            await writer.drain()
        finally:
            self._in_flight[host] -= 1

    def _answer(self, method: str, host: str, path: str) -> bytes:
        if host in self.garbage:
            return b"\x00\xff220 mail.localhost ESMTP\r\n\r\n"
        status, body = self.answers.get(host, 202), b""
        if method == "GET":
            document = self.documents.get(f"http://{host}{path}")
            status, body = (200, json.dumps(document).encode()) if document is not None else (404, b"")
        head = f"HTTP/1.1 {status} Status\r\nContent-Type: {TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body


@contextlib.contextmanager
def listening() -> Iterator[Partners]:
    """Partners that listen until the block is left."""
    partners = Partners()
    partners.start()
    try:
        yield partners
    finally:
        partners.stop()


# What a server knows before it is started.


def seed(config: Path, fill: Callable[[Database, Site], Awaitable[T]]) -> T:
    """Make the database of a configuration and fill it while no server runs."""

    async def run() -> T:
        loaded = prepare(load(config, environ={"FEDISHARE_SECRET_KEY": KEY}))
        site = site_of(loaded)
        async with opened_database(loaded) as database:
            await prepare_database(database, site)
            return await fill(database, site)

    return asyncio.run(run())


def token_of(name: str) -> str:
    """The bearer token of a local person."""
    return f"token-of-{name}"


def local_people(tx: Tx, site: Site, names: Iterable[str]) -> dict[str, Actor]:
    """Local people, each with a token."""
    made = {}
    for number, name in enumerate(names):
        made[name] = accounts.create(tx, site, name, key_pair(60 + number % 3), email=None, password_hash=None)
        accounts.issue_token(tx, name, token_of(name), "read write follow push")
    return made


def remote_people(tx: Tx, people: Iterable[Person]) -> list[Actor]:
    """Partners' people, as if their documents had been read."""
    return [actors.put_remote(tx, person.remote, Domain(person.host)) for person in people]


def let_follow(tx: Tx, followers: Iterable[Actor], followee: Actor) -> None:
    """Accepted follows."""
    for follower in followers:
        relations.put_follow(tx, follower, followee, FollowState.ACCEPTED, Iri(f"{follower.iri}/follows/{followee.id}"))
        made = relations.follow(tx, follower.id, followee.id)
        assert made is not None
        relations.set_follow_state(tx, made.id, FollowState.ACCEPTED)


# Apps.


def app(port: int, name: str) -> httpx.AsyncClient:
    """The connection of somebody's app."""
    return httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", headers={"authorization": f"Bearer {token_of(name)}"}, timeout=20,
        trust_env=False, verify=False, limits=httpx.Limits(max_connections=50),
    )  # fmt: skip


async def everything(client: httpx.AsyncClient, path: str) -> list[Json]:
    """All pages of a timeline, newest first."""
    found: list[Json] = []
    while True:
        params = {"limit": "40"} | ({"max_id": found[-1]["id"]} if found else {})
        answer = await client.get(path, params=params)
        assert answer.status_code == 200, (path, answer.status_code, answer.text)
        page: list[Json] = answer.json()
        found += page
        if len(page) < 40:
            return found


@dataclass
class Ledger:
    """What apps asked for and what they were answered. ``key`` is the Idempotency-Key and the text of a post."""

    asked: dict[str, Json] = field(default_factory=dict)
    acknowledged: dict[str, str] = field(default_factory=dict)
    """key → the id in the answer."""

    @property
    def unanswered(self) -> list[str]:
        """Keys of posts that may or may not exist."""
        return [key for key in self.asked if key not in self.acknowledged]

    async def post(self, client: httpx.AsyncClient, key: str, **fields: Any) -> Json | None:
        """Post something; None when no answer came."""
        self.asked[key] = fields
        try:
            answer = await client.post(
                "/api/v1/statuses", json={"status": key, **fields}, headers={"idempotency-key": key}
            )
        except httpx.TransportError:
            return None
        assert answer.status_code == 200, (answer.status_code, answer.text)
        found: Json = answer.json()
        before = self.acknowledged.setdefault(key, found["id"])
        assert before == found["id"], f"{key} was given two ids"
        return found
