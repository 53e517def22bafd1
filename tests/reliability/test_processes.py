"""Two server processes on one PostgreSQL: each job once, changes act in both, the database comes and goes."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import psycopg
import pytest

from fedishare.model.ids import Domain
from fedishare.model.partners import Partner, PartnerState
from fedishare.services import accounts, governance
from fedishare.services.site import Site
from fedishare.store import credentials
from fedishare.store.db import Database, Tx
from tests.reliability.outside import (
    Ledger,
    Partners,
    Person,
    Received,
    app,
    everything,
    let_follow,
    local_people,
    remote_people,
    seed,
    token_of,
)
from tests.support.postgres import Server
from tests.support.process import Port, ServerProcess, write_config

pytestmark = pytest.mark.e2e

HOSTS, POSTS = 20, 8
OBEYS = 5.0
HEALED_SECONDS = 30.0


@dataclass
class Pair:
    """Two processes, the partners, and the database server that both use."""

    one: ServerProcess
    two: ServerProcess
    partners: Partners
    postgres: Server
    database: str

    @property
    def both(self) -> tuple[ServerProcess, ServerProcess]:
        """The processes."""
        return self.one, self.two


def _fill(people: Sequence[Person]) -> Callable[[Database, Site], Awaitable[None]]:
    def write(tx: Tx, site: Site) -> None:
        made = local_people(tx, site, ["ana", "bea"])
        for author in made.values():
            let_follow(tx, remote_people(tx, people), author)
        for person in people:
            governance.add_partner(tx, Partner(Domain(person.host), reason="test"), "test")

    async def fill(database: Database, site: Site) -> None:
        await database.write(write, site)

    return fill


@pytest.fixture
def pair(tmp_path: Path, partners: Partners, postgres_server: Server) -> Iterator[Pair]:
    """Two servers of one instance, as two machines behind one proxy would run them."""
    name, ports = postgres_server.create(), (Port(), Port())
    with ExitStack() as stack:
        stack.callback(postgres_server.drop, name)
        for port in ports:
            stack.callback(port.close)
        configs = [
            write_config(
                tmp_path, "ours", port.number, [], origin_port=ports[0].number, file=f"{number}.toml",
                limits={"rates": False}, database={"url": postgres_server.url(name)},
            )
            for number, port in enumerate(ports)
        ]  # fmt: skip
        seed(configs[0], _fill([Person(partners.host(number), "ben") for number in range(HOSTS)]))
        servers = [ServerProcess(config, port.number) for config, port in zip(configs, ports, strict=True)]
        for server in servers:
            stack.callback(server.kill)
            server.start()
        yield Pair(servers[0], servers[1], partners, postgres_server, name)


@asynccontextmanager
async def _apps(pair: Pair, name: str) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    async with app(pair.one.port, name) as one, app(pair.two.port, name) as two:
        yield one, two


def _creates(received: Sequence[Received]) -> Counter[tuple[str, str]]:
    return Counter(
        (each.json["object"]["content"][3:-4], each.host)
        for each in received
        if each.method == "POST" and each.json["type"] == "Create"
    )


def _have(wanted: set[tuple[str, str]], received: Sequence[Received]) -> bool:
    return wanted <= _creates(received).keys()


async def _soon(look: Callable[[], Awaitable[bool]], seconds: float = OBEYS) -> float:
    """The seconds until something is so."""
    begin = time.monotonic()
    while not await look():
        assert time.monotonic() - begin < seconds
        await asyncio.sleep(0.05)
    return time.monotonic() - begin


async def test_each_job_is_done_once_and_a_dead_process_leaves_nothing_undone(pair: Pair) -> None:
    ledger = Ledger()
    async with _apps(pair, "ana") as (one, two):
        for number in range(POSTS):
            await ledger.post((one, two)[number % 2], f"post {number}", reach="partners")
        again = await ledger.post(two, "post 0", reach="partners")  # the key is known to both
        assert again is not None
        expected = Counter((text, pair.partners.host(n)) for text in ledger.asked for n in range(HOSTS))
        assert await asyncio.to_thread(pair.partners.wait, lambda got: len(_creates(got)) == len(expected))
        assert _creates(pair.partners.received) == expected, "sent by both"
        homes = [[each["id"] for each in await everything(client, "/api/v1/timelines/home")] for client in (one, two)]
        assert homes[0] == homes[1]
        assert set(homes[0]) == set(ledger.acknowledged.values())
        assert max(pair.partners.peak.values()) <= 4, "the limit for a host is one for all processes"
        # And now one of them dies in the middle: its leases run out and the other one takes over.
        pair.partners.hanging.add(pair.partners.host(0))
        before = len(pair.partners.received)
        await ledger.post(one, "the last", reach="partners")
        assert await asyncio.to_thread(pair.partners.wait_for, before + HOSTS)
        pair.one.kill()
        pair.partners.hanging.clear()
        with psycopg.connect(pair.postgres.url(pair.database)) as database:  # half a minute later
            database.execute("UPDATE job SET lease_until = 1 WHERE state = 1")
        pair.one.start()
        wanted = {("the last", pair.partners.host(n)) for n in range(HOSTS)}
        assert await asyncio.to_thread(pair.partners.wait, partial(_have, wanted))
        home = await everything(two, "/api/v1/timelines/home")
        assert home[0]["id"] == max(ledger.acknowledged.values(), key=int)


async def test_what_is_changed_in_one_process_acts_in_the_other(pair: Pair) -> None:
    ended = pair.partners.host(3)

    async def refused(client: httpx.AsyncClient) -> bool:
        return (await client.get("/api/v1/timelines/home")).status_code == 401

    def end(tx: Tx) -> None:
        viewer = credentials.viewer(tx, accounts.token_hash(token_of("bea")))
        assert viewer is not None
        accounts.revoke_token(tx, viewer.token_id)
        governance.set_partner_state(tx, governance.stored(tx, Domain(ended)), PartnerState.ENDED, "test")

    async with _apps(pair, "bea") as (one, two):
        for client in (one, two):
            assert not await refused(client)
        await asyncio.to_thread(seed, pair.one.config, lambda database, site: database.write(end))
        for client in (one, two):
            assert await _soon(partial(refused, client)) < OBEYS
    async with _apps(pair, "ana") as (one, two):
        for number, client in enumerate((one, two)):
            text = f"after the end {number}"
            await client.post("/api/v1/statuses", json={"status": text, "reach": "partners"})
            others = {(text, pair.partners.host(n)) for n in range(HOSTS)} - {(text, ended)}
            assert await asyncio.to_thread(pair.partners.wait, partial(_have, others))
    assert not [each for each in pair.partners.received if each.host == ended]


async def test_a_database_that_goes_away_and_comes_back(pair: Pair) -> None:
    ledger = Ledger()
    async with _apps(pair, "ana") as (one, two):
        await ledger.post(one, "before")
        await asyncio.to_thread(pair.postgres.stop, signal.SIGQUIT)
        try:
            for client in (one, two):
                answer = await client.post("/api/v1/statuses", json={"status": "x"}, headers={"idempotency-key": "x"})
                assert (answer.status_code, int(answer.headers["retry-after"]) > 0) == (503, True)
                assert "127.0.0.1" not in answer.text, "where the database is concerns nobody outside"
                assert (await client.get("/api/v1/timelines/home")).status_code == 503
                assert (await client.get("/health")).status_code == 503
            metrics = (await one.get("/metrics")).text
            assert 'fedishare_database_trouble{cause=""}' not in metrics
        finally:
            await asyncio.to_thread(pair.postgres.start)
        for server in pair.both:

            async def healthy(server: ServerProcess = server) -> bool:
                return await asyncio.to_thread(server.healthy)

            assert await _soon(healthy, HEALED_SECONDS) < HEALED_SECONDS
        await ledger.post(one, "after one", reach="partners")
        await ledger.post(two, "after two", reach="partners")
        home = {each["content"][3:-4]: each["id"] for each in await everything(two, "/api/v1/timelines/home")}
        assert home == ledger.acknowledged
        texts = {("after one", pair.partners.host(1)), ("after two", pair.partners.host(1))}
        assert await asyncio.to_thread(pair.partners.wait, partial(_have, texts))
    assert "Traceback" not in pair.one.log + pair.two.log
