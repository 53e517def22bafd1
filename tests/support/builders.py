"""Builders: a whole instance on the pretend internet, without workers, and people on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from fedishare.activitypub import inbox, peers, quotes_checks, resolver
from fedishare.activitypub import routes as activitypub_routes
from fedishare.activitypub.federation import Federation
from fedishare.activitypub.keyring import Keyring
from fedishare.activitypub.keys import PrivateKey, generate_ed25519, generate_rsa
from fedishare.config import Config, parse
from fedishare.gateway import Gateway
from fedishare.guard import Guard
from fedishare.http.call import Call, Peer
from fedishare.http.rates import Rates
from fedishare.http.router import Gates, Router
from fedishare.http.routes import Rate, Route
from fedishare.instance import Instance, policy_of, read_partners, reload_policy
from fedishare.jobs import Worker
from fedishare.media.studio import Studio
from fedishare.model.actors import Actor, Profile
from fedishare.model.ids import Id, Iri
from fedishare.model.names import Names
from fedishare.model.posts import PARTNERS, Draft, Post, Reach, Visibility
from fedishare.services import accounts, relations
from fedishare.services import posts as post_services
from fedishare.services.accounts import KeyPair
from fedishare.services.site import Site
from fedishare.store import actors, jobs, posts, timelines
from fedishare.store.db import Database, open_database, sql
from fedishare.store.jobs import JobState
from fedishare.store.migrate import migrate
from fedishare.webfinger import routes as webfinger_routes
from tests.support.clock import Clock
from tests.support.internet import PretendInternet, call_asgi

NOTIFICATIONS = sql("test_notifications", "SELECT kind, from_id, post_id FROM notification WHERE owner_id = :id")
INBOUND = sql("test_inbound", "SELECT type, domain, rule FROM inbound ORDER BY id")
HOLDS = sql("test_holds", "SELECT domain, rule, body FROM hold ORDER BY id")
REPORTS = sql("test_reports", "SELECT reporter_iri, target_id, post_ids, comment FROM report ORDER BY id")
POSTS = sql("test_posts", "SELECT iri FROM post ORDER BY id")
COUNTS = sql(
    "test_counts",
    """SELECT (SELECT count(*) FROM actor), (SELECT count(*) FROM inbound), (SELECT count(*) FROM post),
        (SELECT count(*) FROM job), (SELECT count(*) FROM follow), (SELECT count(*) FROM interaction)""",
)


@cache
def rsa_key(number: int) -> PrivateKey:
    """An RSA key for tests. Making one takes long, so each number is made once."""
    return generate_rsa()


@cache
def ed25519_key(number: int) -> PrivateKey:
    """An Ed25519 key for tests."""
    return generate_ed25519()


def key_pair(number: int) -> KeyPair:
    """The keys of a local actor, from the same stock."""
    rsa, ed = rsa_key(number), ed25519_key(number)
    return KeyPair(rsa.pem(), rsa.public().pem(), ed.pem(), ed.public().multibase())


def config_for(folder: Path, domain: str, partners: Iterable[str | dict[str, Any]] = (), **tables: Any) -> Config:
    """A configuration in ``folder``. Partners are domains, or tables of terms; ``tables`` are sections' keys."""
    lines = ["[server]", f'domain = "{domain}"', *_keys(tables.get("server", {}))]
    database = {"url": f"sqlite:///{folder}/{domain}.db"} | tables.get("database", {})
    lines += ["[database]", *_keys(database)]
    for name in ("instance", "registration", "federation", "posts", "limits", "media", "web", "push"):
        lines += [f"[{name}]", *_keys(tables.get(name, {}))]
    for partner in partners:
        entry = {"domain": partner} if isinstance(partner, str) else partner
        lines += ["[[federation.partners]]", *_keys({"reason": "test"} | entry)]
    return parse("\n".join(lines), path=folder / "instance.toml", environ={"FEDISHARE_SECRET_KEY": "0" * 64})


def _keys(table: dict[str, Any]) -> list[str]:
    return [f"{key} = {msgspec.json.encode(value).decode()}" for key, value in table.items()]


class Us:
    """An instance under test, with its routes but without workers: `settle` runs what waits, and then stops."""

    def __init__(self, federation: Federation, internet: PretendInternet, clock: Clock) -> None:
        self.federation = federation
        self.instance = federation.instance
        self.internet = internet
        self.clock = clock
        self.names: Names = self.instance.site.names
        self.site: Site = self.instance.site
        self.database: Database = self.instance.database
        self.router = Router(self._routes(), self._gates(), {})
        self._people = 0

    def _routes(self) -> list[Route]:
        return [*webfinger_routes.routes(self.instance), *activitypub_routes.routes(self.federation)]

    def _gates(self) -> Gates:
        async def peer(call: Call, route: Route) -> Peer:
            return await peers.authenticate(self.federation, call, route)

        async def nobody(call: Call) -> None:
            return None

        return Gates(nobody, peer, self.federation.rates, {Rate.PUBLIC: 100_000}, ())

    @property
    def inbox(self) -> Iri:
        """The shared inbox."""
        return self.names.shared_inbox()

    async def person(self, name: str = "ana", *, locked: bool = False, also_known_as: tuple[str, ...] = ()) -> Actor:
        """A local person."""
        self._people += 1
        pair = key_pair(self._people)
        made = await self.database.write(accounts.create, self.site, name, pair, email=None, password_hash=None)
        if locked or also_known_as:
            profile = Profile(display_name=name, locked=locked, also_known_as=tuple(Iri(i) for i in also_known_as))
            await self.database.write(actors.set_profile, made.id, made.kind, profile)
        return await self.actor(made.iri)

    async def actor(self, iri: str) -> Actor:
        """An actor that must be known."""
        found = await self.database.read(actors.by_iri, iri)
        assert found is not None, f"{iri} is not known"
        return found

    async def find_actor(self, iri: str) -> Actor | None:
        """An actor, if known."""
        return await self.database.read(actors.by_iri, iri)

    async def post(self, author: Actor, text: str = "hello", **draft: Any) -> Post:
        """Publish a local post; it may travel to every partner unless ``reach`` says otherwise."""
        values: dict[str, Any] = {"reach": PARTNERS, "visibility": Visibility.PUBLIC} | draft
        made = await self.database.write(post_services.publish, self.site, author, Draft(text, **values))
        return made.post

    async def find_post(self, iri: str) -> Post | None:
        """A post, if known."""
        return await self.database.read(posts.by_iri, iri)

    async def home(self, actor: Actor) -> list[Id]:
        """The ids in a person's home timeline, newest first."""
        page = timelines.Page()
        return [entry.post_id for entry in await self.database.read(timelines.home, actor.id, page)]

    async def notifications(self, actor: Actor) -> list[tuple[str, Id, Id | None]]:
        """(kind, from, post) of a person's notifications."""
        return [tuple(row) for row in await self.rows(NOTIFICATIONS, id=actor.id)]

    async def rows(self, query: Any, **params: Any) -> list[Any]:
        """The rows of a test's query."""
        return await self.database.read(lambda tx: tx.all(query, **params))

    async def counts(self) -> tuple[int, ...]:
        """How many rows each table has: to show that nothing happened."""
        return tuple((await self.rows(COUNTS))[0])

    async def queued(self, kind: str) -> list[dict[str, Any]]:
        """The payloads of the jobs of a kind that wait, oldest first."""
        rows = await self.database.read(jobs.listing, state=JobState.QUEUED, limit=1000)
        return [msgspec.json.decode(row.payload) for row in rows if row.kind == kind]

    async def settle(self) -> None:
        """Run fetches and follow-ups until none is due."""
        worker = Worker(
            self.database,
            {
                **resolver.handlers(self.federation),
                **quotes_checks.handlers(self.federation),
                **inbox.handlers(self.federation),
            },
            clock=self.clock,
        )
        await worker.start()
        try:
            await worker.idle()
        finally:
            await worker.stop(1)

    async def job_errors(self, state: JobState) -> list[str]:
        """Why jobs ended or wait."""
        rows = await self.database.read(jobs.listing, state=state, limit=1000)
        return [row.last_error or "" for row in rows]

    async def get(self, url: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """An unsigned GET from outside."""
        return await call_asgi(self.router, "GET", url, {"accept": "application/activity+json", **headers}, None)

    async def write(self, fn: Any, *args: Any, **kw: Any) -> Any:
        """A transaction."""
        return await self.database.write(fn, *args, **kw)

    async def reload(self) -> None:
        """Put the database's partners in force."""
        await reload_policy(self.instance)


@asynccontextmanager
async def server(
    folder: Path,
    internet: PretendInternet,
    domain: str = "ours.example",
    partners: Iterable[str | dict[str, Any]] = ("peer.example",),
    clock: Clock | None = None,
    **tables: Any,
) -> AsyncIterator[Us]:
    """An instance on the pretend internet."""
    clock = clock or Clock()
    config = config_for(folder, domain, partners, **tables)
    site = Site(
        names=Names(config.origin, config.domain), default_reach=Reach(frozenset()), development=config.development
    )
    async with AsyncExitStack() as stack:
        database = await open_database(config.database_url, clock=clock)
        stack.push_async_callback(database.close)
        await migrate(database)
        await database.write(accounts.ensure_instance_actor, site.names, key_pair(0))
        stored, revision = await database.read(read_partners)
        guard = Guard(policy_of(config, site, stored, revision), clock=clock, development=config.development)
        studio = Studio(config.media_path, None)
        stack.callback(studio.close)
        instance = Instance(config, site, clock, database, guard, Gateway(guard, internet), studio)
        keyring = Keyring(database, site.names)
        stack.callback(keyring.close)
        us = Us(Federation(instance, keyring, Rates(enabled=config.limits.rates)), internet, clock)
        internet.add(str(config.host), us.router)
        yield us


async def follow(us: Us, follower: Actor, followee_iri: str) -> Actor:
    """A local person follows a partner's actor that we know, and that has accepted. Returns that actor."""
    followee = await us.actor(followee_iri)
    made = await us.write(relations.follow, us.site, follower, followee.id)
    await us.write(relations.accept, made)
    return followee


async def followed_by(us: Us, followee: Actor, follower_iri: str) -> None:
    """A partner's actor that we know follows a local person."""
    follower = await us.actor(follower_iri)
    iri = Iri(f"{follower_iri}#follow-{followee.id}")
    await us.write(relations.receive_follow, follower, followee, iri)
