from __future__ import annotations
from collections.abc import AsyncIterator
from pathlib import Path
import pytest, time
from tests.support.world import World, new_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with new_world(tmp_path) as made:
        yield made


async def test_smoke(world):
    t = time.time()
    clinic = await world.org("clinic.example", ["lab.example"])
    lab = await world.org("lab.example", ["clinic.example"])
    print("orgs", time.time() - t)
    t = time.time()
    ana = await clinic.person("ana")
    ben = await lab.person("ben")
    print("people", time.time() - t)
    t = time.time()
    got = await ben.fetch(ana.iri)
    print(got.status, got.json)
    print("fetch", time.time() - t)
    t = time.time()
    p = await ana.say("Hello all", reach="partners")
    print(p)
    got = await ben.fetch(p["uri"])
    print(got.status, got.json)
    await world.settle()
