"""Activities answer a GET at their id: for those that were sent them, and for nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fedishare.store.db import sql
from tests.support.world import World, new_world

IRIS = sql("test_document_iris", "SELECT iri FROM document ORDER BY id")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with new_world(tmp_path) as made:
        yield made


@pytest.mark.spec("R10")
async def test_a_follow_and_a_like_are_there_for_whom_they_were_sent_to(world: World) -> None:
    clinic = await world.org("clinic.localhost", ["lab.localhost", "school.localhost"])
    lab = await world.org("lab.localhost", ["clinic.localhost"])
    school = await world.org("school.localhost", ["clinic.localhost"])
    ana, lin, uma = await clinic.person("ana"), await lab.person("lin"), await school.person("uma")
    await ana.follow("lin@lab.localhost")
    await lin.follow("ana@clinic.localhost")
    await world.settle()
    said = await lin.say("hello", reach="partners")
    await world.settle()
    await ana.on(said["uri"], "favourite")
    await world.settle()
    iris = [row[0] for row in await clinic.all(IRIS)]
    follow = next(iri for iri in iris if "/follows/" in iri)
    like = next(iri for iri in iris if "/likes/" in iri)
    for iri, kind in ((follow, "Follow"), (like, "Like")):
        shown = await lin.fetch(iri)
        assert (shown.status, shown.json["type"], shown.json["id"]) == (200, kind, iri)
        assert (await uma.fetch(iri)).status == 404
        unsigned = await world.ask("GET", iri, {"accept": "application/activity+json"})
        assert unsigned.status == 401
    for wrong in (follow + "0", follow.replace("/follows/", "/accepts/"), follow.replace("/ana/", "/eva/")):
        assert (await lin.fetch(wrong)).status == 404
