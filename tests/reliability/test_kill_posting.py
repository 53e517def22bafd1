"""SIGKILL while people post: what was acknowledged is there once, what was not is there once or not at all."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path

import psycopg
import pytest

from fedishare.services.site import Site
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
)
from tests.support.postgres import Server
from tests.support.process import Port, ServerProcess, serving, write_config

pytestmark = pytest.mark.e2e

PEOPLE = ("ana", "bea", "cem", "dan")
ROUNDS = 2
READY_SECONDS = 10.0


def _fill(partner: Person) -> Callable[[Database, Site], Awaitable[None]]:
    def people(tx: Tx, site: Site) -> None:
        made = local_people(tx, site, (*PEOPLE, "fan"))
        (ben,) = remote_people(tx, [partner])
        for name in PEOPLE:
            let_follow(tx, [made["fan"], ben], made[name])

    async def fill(database: Database, site: Site) -> None:
        await database.write(people, site)

    return fill


async def _post_until_killed(server: ServerProcess, ledger: Ledger, numbers: itertools.count[int], after: int) -> None:
    """Many apps post at once; the server is killed when ``after`` more posts were acknowledged."""
    before, enough = len(ledger.acknowledged), asyncio.Event()

    async def one(name: str) -> None:
        async with app(server.port, name) as client:
            while True:
                number = next(numbers)
                reach = ("partners", "local")[number % 2]
                if await ledger.post(client, f"{name}-{number}", reach=reach) is None:
                    return
                if len(ledger.acknowledged) - before >= after:
                    enough.set()

    posting = [asyncio.create_task(one(name)) for name in PEOPLE * 5]
    await enough.wait()
    server.kill()
    await asyncio.gather(*posting)


async def _posts(server: ServerProcess, name: str) -> list[tuple[str, int]]:
    """(text, id) of everything that somebody has posted."""
    async with app(server.port, name) as client:
        me = (await client.get("/api/v1/accounts/verify_credentials")).json()
        found = await everything(client, f"/api/v1/accounts/{me['id']}/statuses")
        assert me["statuses_count"] == len(found), "the count is not that of the posts"
    return [(each["content"].removeprefix("<p>").removesuffix("</p>"), int(each["id"])) for each in found]


async def _check(server: ServerProcess, ledger: Ledger) -> int:
    """Compare the server with the ledger; the highest id."""
    there: list[tuple[str, int]] = [post for name in PEOPLE for post in await _posts(server, name)]
    times = Counter(text for text, _ in there)
    assert {text for text, number in times.items() if number > 1} == set(), "posted twice"  # INV-4
    ids = {text: str(ident) for text, ident in there}
    lost = {key for key, ident in ledger.acknowledged.items() if ids.get(key) != ident}
    assert lost == set(), "acknowledged and lost"  # INV-1
    assert ids.keys() <= ledger.asked.keys()
    async with app(server.port, "fan") as fan:
        home = Counter(each["id"] for each in await everything(fan, "/api/v1/timelines/home"))
    assert home == Counter(ids.values()), "a post without its home entry, or the other way round"  # INV-2
    return max(ident for _, ident in there)


async def _retry(server: ServerProcess, ledger: Ledger) -> None:
    """What an app does that got no answer; and one that got it and has forgotten."""
    again = [*ledger.unanswered, *random.sample(sorted(ledger.acknowledged), 10)]
    for key in again:
        async with app(server.port, key.partition("-")[0]) as client:
            assert await ledger.post(client, key, **ledger.asked[key]) is not None
    assert ledger.unanswered == []


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The ``[database]`` section, on each engine."""
    if request.param == "sqlite":
        yield {}
        return
    server: Server = request.getfixturevalue("postgres_server")
    name = server.create()
    yield {"url": server.url(name)}
    server.drop(name)


async def test_posts_survive_kills(tmp_path: Path, partners: Partners, port: Port, database: dict[str, str]) -> None:
    ben = Person(partners.host(1), "ben")
    config = write_config(tmp_path, "ours", port.number, [ben.host], limits={"rates": False}, database=database)
    await asyncio.to_thread(seed, config, _fill(ben))
    ledger, numbers, highest = Ledger(), itertools.count(), 0
    with serving(config, port.number) as server:
        for number in range(ROUNDS):
            known = set(ledger.acknowledged)
            await _post_until_killed(server, ledger, numbers, 40 + 30 * number)
            new = [int(ident) for key, ident in ledger.acknowledged.items() if key not in known]
            assert min(new) > highest, "an id was used again"  # INV-10
            assert server.start() < READY_SECONDS
            await _check(server, ledger)
            await _retry(server, ledger)
            highest = await _check(server, ledger)
        if database:  # what the killed one was at is taken over after a quarter of a minute
            with psycopg.connect(database["url"]) as connection:
                connection.execute("UPDATE job SET lease_until = 1 WHERE state = 1")
        travelled = {key for key, fields in ledger.asked.items() if fields["reach"] == "partners"}
        assert await asyncio.to_thread(partners.wait, lambda got: _texts(got) >= travelled), "a post without its jobs"
        assert _texts(partners.posts()) == travelled  # INV-7


def _texts(received: Iterable[Received]) -> set[str]:
    return {each.json["object"]["content"][3:-4] for each in received if each.method == "POST"}
