"""A world of whole instances in one process: started as in production, driven by their client API, on one internet.

`World` notes every byte that anybody gets: requests that leave (`PretendInternet.sent`) and answers to whoever is not
signed in (`World.answers`). It fails a test in which a server logged an error.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from fedishare.activitypub.signatures import sign_cavage, sign_rfc9421
from fedishare.app import Server, running
from fedishare.instance import reload_policy
from fedishare.model.actors import Actor, ActorKind, Role
from fedishare.model.ids import Domain, Handle, Id, Millis
from fedishare.model.partners import Partner, PartnerState, Terms
from fedishare.model.posts import Post
from fedishare.services import accounts, governance
from fedishare.store import actors, jobs, partners, posts
from fedishare.store.db import Sql, Tx, sql
from tests.support.builders import config_for, key_pair
from tests.support.internet import PretendInternet, call_asgi

TYPE = "application/activity+json"
SIGN = {"cavage": sign_cavage, "rfc9421": sign_rfc9421}
Json = dict[str, Any]

ROWS = sql(
    "world_rows",
    """SELECT (SELECT count(*) FROM actor), (SELECT count(*) FROM inbound), (SELECT count(*) FROM post),
        (SELECT count(*) FROM job), (SELECT count(*) FROM follow), (SELECT count(*) FROM interaction),
        (SELECT count(*) FROM mention), (SELECT count(*) FROM block), (SELECT count(*) FROM report),
        (SELECT count(*) FROM tombstone), (SELECT count(*) FROM notification), (SELECT count(*) FROM vote)""",
)


class MovingClock:
    """The real time, put forward when a test asks for it."""

    def __init__(self) -> None:
        self.ahead = 0

    def __call__(self) -> Millis:
        return Millis(time.time_ns() // 1_000_000 + self.ahead)

    def forward(self, milliseconds: int) -> None:
        """Let time pass."""
        self.ahead += milliseconds


@dataclass(frozen=True, slots=True)
class Said:
    """An answer to somebody who is not signed in."""

    host: str
    method: str
    path: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


class _Errors(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(self.format(record))


@dataclass
class Person:
    """A local person with a token, as an app would act for them."""

    org: Org
    name: str
    id: Id
    iri: str
    client: httpx.AsyncClient

    @property
    def handle(self) -> str:
        """As people elsewhere write it."""
        return f"{self.name}@{self.org.config.domain}"

    async def get(self, path: str, **params: Any) -> Any:
        """The JSON of a GET that must succeed."""
        answer = await self.client.get(path, params=params)
        assert answer.status_code == 200, (path, answer.status_code, answer.text)
        return answer.json()

    async def do(self, path: str, expected: int = 200, method: str = "POST", /, **fields: Any) -> Any:
        """The JSON of a call that changes something."""
        answer = await self.client.request(method, path, json=fields)
        assert answer.status_code == expected, (path, answer.status_code, answer.text)
        return answer.json()

    async def say(self, text: str, **fields: Any) -> Json:
        """Post something."""
        found: Json = await self.do("/api/v1/statuses", **({"status": text} | fields))
        return found

    async def find(self, query: str) -> Json:
        """The account of a handle or address, resolved."""
        found = await self.get("/api/v2/search", q=query, resolve="true")
        assert len(found["accounts"]) == 1, found
        account: Json = found["accounts"][0]
        return account

    async def follow(self, handle: str) -> Json:
        """Follow somebody, wherever they are; the relationship."""
        found: Json = await self.do(f"/api/v1/accounts/{(await self.find(handle))['id']}/follow")
        return found

    async def home(self) -> list[Json]:
        """The home timeline."""
        found: list[Json] = await self.get("/api/v1/timelines/home", limit=40)
        return found

    async def texts(self) -> list[str]:
        """The texts of the home timeline, without markup."""
        return [plain(status) for status in await self.home()]

    async def notifications(self) -> list[tuple[str, str]]:
        """(type, who) of every notification, newest first."""
        found = await self.get("/api/v1/notifications")
        return [(each["type"], each["account"]["acct"]) for each in found]

    async def status(self, iri: str) -> Json | None:
        """A post by its id on the net, as this person sees it."""
        post = await self.org.post(iri)
        if post is None:
            return None
        answer = await self.client.get(f"/api/v1/statuses/{post.id}")
        assert answer.status_code in (200, 404), answer.text
        return answer.json() if answer.status_code == 200 else None

    async def on(self, iri: str, verb: str, expected: int = 200, /, **fields: Any) -> Json:
        """Do something with a post: favourite, reblog, …"""
        post = await self.org.post(iri)
        assert post is not None, f"{self.org.host} does not have {iri}"
        found: Json = await self.do(f"/api/v1/statuses/{post.id}/{verb}", expected, **fields)
        return found

    async def reply(self, iri: str, text: str, **fields: Any) -> Json:
        """Answer a post."""
        post = await self.org.post(iri)
        assert post is not None, f"{self.org.host} does not have {iri}"
        return await self.say(text, in_reply_to_id=str(post.id), **fields)

    async def edit(self, status: Json, text: str, **fields: Any) -> Json:
        """Change one's own post."""
        found: Json = await self.do(f"/api/v1/statuses/{status['id']}", 200, "PUT", **({"status": text} | fields))
        return found

    async def delete(self, status: Json) -> None:
        """Delete one's own post."""
        await self.do(f"/api/v1/statuses/{status['id']}", 200, "DELETE")

    async def relationship(self, handle: str) -> Json:
        """How one stands to somebody."""
        account = await self.get("/api/v1/accounts/lookup", acct=handle)
        found = await self.get("/api/v1/accounts/relationships", **{"id[]": account["id"]})
        relationship: Json = found[0]
        return relationship

    async def fetch(self, url: str, *, scheme: str = "cavage", accept: str = TYPE, method: str = "GET") -> Said:
        """A GET of another instance's document, signed by this person: what a partner's server would send."""
        return await self.org.world.ask(
            method, url, {"accept": accept, **await self.signature(method, url, None, scheme)}
        )

    async def signature(self, method: str, url: str, body: bytes | None, scheme: str = "cavage") -> dict[str, str]:
        """Headers of a request signed with this person's own key."""
        keyring, now = self.org.server.federation.keyring, self.org.world.clock()
        signer = await keyring.signer(self.id)
        return await keyring.sign(signer, method, url, body, scheme=scheme, now=now, content_type=TYPE)

    async def send(self, inbox: str, activity: Json | bytes, *, scheme: str = "cavage") -> Said:
        """A POST signed with this person's own key, saying whatever one likes: a malicious colleague's program."""
        body = activity if isinstance(activity, bytes) else json.dumps(activity).encode()
        headers = {"content-type": TYPE, **await self.signature("POST", inbox, body, scheme)}
        return await self.org.world.ask("POST", inbox, headers, body)


def plain(status: Json) -> str:
    """The text of a status without markup; of a boost, of what it boosts."""
    shown = status["reblog"] or status
    text: str = shown["content"]
    while "<" in text:
        before, _, rest = text.partition("<")
        text = before + rest.partition(">")[2]
    return text


@dataclass
class Org:
    """One instance."""

    world: World
    host: str
    server: Server
    people: dict[str, Person] = field(default_factory=dict)

    @property
    def config(self) -> Any:
        """Its configuration."""
        return self.server.instance.config

    @property
    def inbox(self) -> str:
        """The shared inbox."""
        return str(self.server.instance.site.names.shared_inbox())

    async def write(self, fn: Any, *args: Any, **kw: Any) -> Any:
        """A transaction."""
        return await self.server.instance.database.write(fn, *args, **kw)

    async def read(self, fn: Any, *args: Any, **kw: Any) -> Any:
        """A read."""
        return await self.server.instance.database.read(fn, *args, **kw)

    async def all(self, query: Sql, **params: Any) -> list[Any]:
        """The rows of a test's query."""
        found: list[Any] = await self.read(lambda tx: tx.all(query, **params))
        return found

    async def person(
        self, name: str, *, scopes: str = "read write follow push", locked: bool = False,
        kind: ActorKind = ActorKind.PERSON,
    ) -> Person:  # fmt: skip
        """A local account with a token."""
        token = accounts.new_token()
        site = self.server.instance.site
        keys = key_pair(100 + self.world.count_person())
        made: Actor = await self.write(
            accounts.create, site, name, keys, email=None, password_hash=None, role=Role.MEMBER, kind=kind
        )
        await self.write(accounts.issue_token, name, token, scopes)
        client = await self.world.client(self, token)
        found = self.people[name] = Person(self, name, made.id, str(made.iri), client)
        if locked:
            await found.do("/api/v1/accounts/update_credentials", 200, "PATCH", locked=True)
        return found

    async def post(self, iri: str) -> Post | None:
        """A post by its id on the net."""
        found: Post | None = await self.read(posts.by_iri, iri)
        return found

    async def actor(self, iri: str) -> Actor | None:
        """An actor by its id on the net."""
        found: Actor | None = await self.read(actors.by_iri, iri)
        return found

    async def by_handle(self, name: str, domain: str | None = None) -> Actor | None:
        """An actor by its handle."""
        found: Actor | None = await self.read(actors.by_handle, Handle(name, Domain(domain) if domain else None))
        return found

    async def rows(self) -> tuple[int, ...]:
        """How many rows each table has: to show that nothing happened."""
        return tuple((await self.all(ROWS))[0])

    async def audit(self) -> list[tuple[str, str, str]]:
        """(action, subject, detail) of the audit log, newest first."""
        return [(row[3], row[4], row[5]) for row in await self.read(partners.audit_log)]

    async def jobs(self, state: jobs.JobState) -> list[Any]:
        """The jobs in a state."""
        found: list[Any] = await self.read(jobs.listing, state=state, limit=1000)
        return found

    async def partner(self, domain: str, **terms: Any) -> None:
        """Agree with a partner in the database, and put it in force."""
        made = Partner(Domain(domain), reason="test", terms=Terms(**terms))
        await self.write(governance.add_partner, made, "test")
        await reload_policy(self.server.instance)

    async def set_partner(self, domain: str, state: PartnerState) -> int:
        """Pause, resume or end a partner of the database; how many deliveries that cancelled."""
        stored = await self.read(governance.stored, Domain(domain))
        cancelled: int = await self.write(governance.set_partner_state, stored, state, "test")
        await reload_policy(self.server.instance)
        return cancelled


@dataclass
class World:
    """Everything that one test consists of."""

    folder: Path
    internet: PretendInternet
    clock: MovingClock
    stack: AsyncExitStack
    orgs: dict[str, Org] = field(default_factory=dict)
    answers: list[Said] = field(default_factory=list)
    errors: _Errors = field(default_factory=_Errors)
    numbers: int = 0

    def count_person(self) -> int:
        """A number for the next person's keys."""
        self.numbers += 1
        return self.numbers % 8

    async def org(self, host: str, partners: Iterable[str | Json] = (), **tables: Any) -> Org:
        """Start an instance."""
        limits = {"rates": False} | tables.pop("limits", {})
        config = config_for(self.folder, host, partners, limits=limits, **tables)
        server = await self.stack.enter_async_context(running(config, transport=self.internet, clock=self.clock))
        made = self.orgs[host] = Org(self, host, server)
        self.internet.add(str(config.host), self._recorded(str(config.host), server))
        return made

    def _recorded(self, host: str, server: Server) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            status, headers, parts = 0, {}, []

            async def record(message: Any) -> None:
                nonlocal status, headers
                if message["type"] == "http.response.start":
                    status = message["status"]
                    headers = {k.decode().lower(): v.decode() for k, v in message.get("headers", ())}
                else:
                    parts.append(message.get("body", b""))
                await send(message)

            await server(scope, receive, record)
            self.answers.append(Said(host, scope["method"], scope["path"], status, headers, b"".join(parts)))

        return app

    async def client(self, org: Org, token: str) -> httpx.AsyncClient:
        """An app's connection."""
        transport = httpx.ASGITransport(app=org.server, client=("192.0.2.7", 4000))
        client = httpx.AsyncClient(
            transport=transport, base_url=org.config.origin, headers={"authorization": f"Bearer {token}"}
        )
        return await self.stack.enter_async_context(client)

    async def ask(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Said:
        """A request from outside, straight to an instance."""
        host = url.partition("://")[2].partition("/")[0]
        server = next(o.server for o in self.orgs.values() if o.config.origin.endswith("//" + host))
        status, got, said = await call_asgi(self._recorded(host, server), method, url, headers or {}, body)
        return Said(host, method, url, status, got, said)

    async def settle(self) -> None:
        """Wait until nobody has anything left to do."""
        while True:
            before = len(self.internet.sent), len(self.answers), len(self.internet.dns_lookups)
            for org in self.orgs.values():
                await org.server.worker.idle()
            if before == (len(self.internet.sent), len(self.answers), len(self.internet.dns_lookups)):
                return

    def bytes_out(self) -> bytes:
        """Every byte that left any instance towards somebody who is not signed in there."""
        parts = [f"{s.method} {s.url} {dict(s.headers)}\n".encode() + (s.body or b"") for s in self.internet.sent]
        parts += [f"{a.path} {dict(a.headers)}\n".encode() + a.body for a in self.answers]
        return b"\n".join(parts)

    def bodies_to(self, host: str) -> list[Json]:
        """The activities that were delivered to a host."""
        return [json.loads(s.body) for s in self.internet.to(host, "POST") if s.body]


@asynccontextmanager
async def new_world(folder: Path) -> AsyncIterator[World]:
    """A world that ends with the block. Raises `AssertionError` when a server logged an error in it."""
    async with AsyncExitStack() as stack:
        made = World(folder, PretendInternet(), MovingClock(), stack)
        log = logging.getLogger("fedishare")
        log.addHandler(made.errors)
        stack.callback(log.removeHandler, made.errors)
        yield made
    assert not made.errors.seen, "\n".join(made.errors.seen)


def number(tx: Tx, query: Sql, **params: Any) -> int:
    """The one number that a query gives."""
    return int(tx.value(query, **params))
