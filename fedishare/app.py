"""The composition root: from a configuration to a running server. Everything is wired here, and nowhere else.

`running` is one whole instance: store opened and migrated, policy compiled, workers started, routes registered.
``transport`` is the seam to the network; tests put a pretend internet there and run several instances in one process.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

from fedishare import __version__, cards, operations
from fedishare.activitypub import delivery, inbox, outbox, peers, quotes_checks, resolver
from fedishare.activitypub import routes as activitypub_routes
from fedishare.activitypub.federation import Federation
from fedishare.activitypub.keyring import Keyring, new_keys
from fedishare.api import archives, imports, leaving
from fedishare.api import media as media_api
from fedishare.api import notifications as notifications_api
from fedishare.api import push as push_api
from fedishare.api import routes as api_routes
from fedishare.api import scheduled as scheduled_api
from fedishare.api.callers import caller
from fedishare.api.door import Door
from fedishare.api.http import Api
from fedishare.api.streaming import Streaming
from fedishare.config import Config
from fedishare.gateway import Gateway, HttpTransport, Proxy, Transport
from fedishare.guard import Guard
from fedishare.housekeeping import Housekeeping
from fedishare.http.call import Answered, Call, Peer, Receive, Scope, Send
from fedishare.http.rates import Rates
from fedishare.http.router import Gates, Router
from fedishare.http.routes import Rate, Route
from fedishare.instance import Instance, policy_of, read_partners
from fedishare.jobs import Worker
from fedishare.media.films import find_tools
from fedishare.media.studio import Studio
from fedishare.model.ids import Millis
from fedishare.model.names import Names
from fedishare.notices import CODEC
from fedishare.services import accounts
from fedishare.services.site import Site
from fedishare.store.db import Database, open_database
from fedishare.store.migrate import migrate
from fedishare.streaming import Hub
from fedishare.web import PublicPages
from fedishare.webfinger import routes as webfinger_routes

Clock = Callable[[], Millis]


def wall_clock() -> Millis:
    """Milliseconds since 1970."""
    return Millis(time.time_ns() // 1_000_000)


def site_of(config: Config) -> Site:
    """What services need to know of the configuration."""
    return Site(
        names=Names(config.origin, config.domain),
        max_characters=config.posts.max_characters,
        default_visibility=config.posts.visibility,
        default_reach=config.posts.reach,
        development=config.development,
        public_addressing=config.federation.public_addressing,
    )


@dataclass(frozen=True, slots=True)
class Server:
    """A running instance, as the ASGI server and the tests see it."""

    instance: Instance
    federation: Federation
    api: Api
    router: Router
    worker: Worker
    hub: Hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI, for HTTP and WebSocket. The lifespan is `running`."""
        if scope["type"] == "websocket":
            await self.router.connect(scope, receive, send)
        else:
            await self.router(scope, receive, send)

    def end_streams(self) -> None:
        """The server stops: open streams end now, so that it need not wait for them."""
        self.hub.end_all()


@asynccontextmanager
async def opened_database(config: Config, clock: Clock = wall_clock) -> AsyncIterator[Database]:
    """The instance's database, as it is: not migrated."""
    database = await open_database(config.database_url, clock=clock, codec=CODEC)
    try:
        yield database
    finally:
        await database.close()


async def prepare_database(database: Database, site: Site) -> None:
    """Bring the schema up to date and make the instance actor."""
    await migrate(database)
    if not await database.read(accounts.has_instance_actor):
        await database.write(accounts.ensure_instance_actor, site.names, new_keys())


async def open_instance(
    config: Config, database: Database, *, transport: Transport | None = None, clock: Clock = wall_clock
) -> Instance:
    """The two gates and the store as one value. ``transport`` is the network unless a test gives another."""
    site = site_of(config)
    stored, revision = await database.read(read_partners)
    guard = Guard(policy_of(config, site, stored, revision), clock=clock, development=config.development)
    gateway = Gateway(
        guard,
        transport or _network(config, guard),
        user_agent=f"fedishare/{__version__} (+{config.origin})",
        deadline=config.federation.timeout_seconds,
        max_redirects=config.limits.redirects,
    )
    site = replace(site, may_preview=guard.may_preview)
    return Instance(config, site, clock, database, guard, gateway, Studio(config.media_path, find_tools()))


def _network(config: Config, guard: Guard) -> HttpTransport:
    federation = config.federation
    return HttpTransport(
        holds=guard.holds,
        proxy=Proxy.parse(config.proxy_url) if config.proxy_url else None,
        ca_bundle=str(config.base_path / federation.ca_bundle) if federation.ca_bundle else None,
        per_host=federation.per_host,
        connect_timeout=federation.connect_seconds,
    )


def gates_of(federation: Federation, api: Api, config: Config) -> Gates:
    """How the router finds out who calls."""
    limits = config.limits
    public = PublicPages(federation.instance, federation.rates)
    door, clock = Door(api.database), federation.instance.clock

    async def is_shut(address: str) -> bool:
        return await door.is_shut(address, clock())

    async def peer(call: Call, route: Route) -> Peer:
        if "signature" not in call.headers and activitypub_routes.wants_page(call.headers.get("accept", "")):
            raise Answered(await public.answer(call, route))
        return await peers.authenticate(federation, call, route)

    return Gates(
        viewer=partial(caller, api),
        peer=peer,
        rates=federation.rates,
        per_minute={Rate.PUBLIC: limits.public_rate, Rate.API: limits.api_rate, Rate.AUTH: limits.auth_rate},
        operator_networks=config.metrics.allowed_networks,
        request_seconds=limits.request_seconds,
        bearer=api.bearer,
        is_shut=is_shut,
    )


def registry(
    federation: Federation, api: Api, streaming: Streaming, counts: Callable[[], dict[tuple[str, int], int]]
) -> list[Route]:
    """Every route of an instance, WebSockets aside."""
    return [
        *webfinger_routes.routes(federation.instance),
        *activitypub_routes.routes(federation),
        *api_routes.routes(api, streaming),
        *operations.routes(federation.instance, counts),
    ]


def _worker(federation: Federation, api: Api) -> Worker:
    """What each kind of job is done by."""
    parts = (outbox, delivery, resolver, quotes_checks, inbox)
    handlers = {kind: handler for part in parts for kind, handler in part.handlers(federation).items()}
    handlers |= notifications_api.handlers(api) | push_api.handlers(api)
    handlers |= media_api.handlers(api) | scheduled_api.handlers(api) | cards.handlers(federation.instance)
    handlers |= leaving.handlers(api) | archives.handlers(api) | imports.handlers(api)
    return Worker(federation.instance.database, handlers, clock=federation.instance.clock)


@asynccontextmanager
async def running(
    config: Config, *, transport: Transport | None = None, clock: Clock = wall_clock, work: bool = True
) -> AsyncIterator[Server]:
    """One whole instance, until the block is left. ``work`` False starts no workers (tests that look at the queue)."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(opened_database(config, clock))
        await prepare_database(database, site_of(config))
        instance = await open_instance(config, database, transport=transport, clock=clock)
        stack.push_async_callback(instance.gateway.close)
        stack.callback(instance.studio.close)
        keyring = Keyring(database, instance.site.names)
        stack.callback(keyring.close)
        federation = Federation(instance, keyring, Rates(enabled=config.limits.rates))
        api = Api(federation)
        hub = Hub(database)
        stack.push_async_callback(hub.close)
        streaming = Streaming(api, hub)
        counts: dict[tuple[str, int], int] = {}
        routes = registry(federation, api, streaming, lambda: counts)
        router = Router(routes, gates_of(federation, api, config), counts, api_routes.sockets(streaming))
        worker = _worker(federation, api)
        if work:
            housekeeping = Housekeeping(federation, worker)
            await worker.start()
            stack.push_async_callback(worker.stop, config.server.shutdown_seconds / 2)
            await housekeeping.start()
            stack.push_async_callback(housekeeping.stop)
        yield Server(instance, federation, api, router, worker, hub)
