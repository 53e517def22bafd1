"""Partners that are down, hang, are slow, reset or talk nonsense: the others do not wait, and all get it in the end."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path

import pytest

from fedishare.services.site import Site
from fedishare.store.db import Database, Tx
from tests.reliability.outside import (
    AS2,
    PUBLIC,
    Partners,
    Person,
    Received,
    app,
    let_follow,
    local_people,
    remote_people,
    seed,
)
from tests.support.process import Port, ServerProcess, request, serving, write_config

WELL, BAD = 6, 4
POSTS = 12
SOON = 5.0
"""Seconds; the promise is a p95 below this for a healthy partner."""


def _fill(people: Sequence[Person]) -> Callable[[Database, Site], Awaitable[None]]:
    def write(tx: Tx, site: Site) -> None:
        ana = local_people(tx, site, ["ana"])["ana"]
        let_follow(tx, remote_people(tx, people), ana)

    async def fill(database: Database, site: Site) -> None:
        await database.write(write, site)

    return fill


def _creates(received: Iterable[Received]) -> dict[str, set[str]]:
    """Texts by host."""
    found: dict[str, set[str]] = defaultdict(set)
    for each in received:
        if each.method == "POST" and each.json["type"] == "Create":
            found[each.host].add(each.json["object"]["content"][3:-4])
    return found


def _call(server: ServerProcess, person: Person) -> None:
    """A signed request from somebody's host: it is alive again."""
    url = f"http://ours.localhost:{server.port}/inbox"
    note = {"id": f"{person.iri}/1", "type": "Note", "attributedTo": person.iri, "content": "<p>back</p>"}
    activity = {
        "@context": AS2, "id": f"{person.iri}/1/create", "type": "Create", "actor": person.iri, "object": note,
        "to": [PUBLIC],
    }  # fmt: skip
    head, _, body = person.signed(url, activity).partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    headers.pop("content-length")
    assert request(server.port, "POST", "/inbox", headers, body)[0] == 202


@pytest.mark.e2e
async def test_bad_partners_delay_nobody_and_get_it_when_they_are_well(
    tmp_path: Path, partners: Partners, port: Port
) -> None:
    closed = Port()
    well = [Person(partners.host(number), "ben") for number in range(WELL)]
    hanging, slow, resetting, garbage = (Person(partners.host(WELL + number), "eva") for number in range(BAD))
    down = Person(f"down.localhost:{closed.number}", "eva")
    bad = [hanging, slow, resetting, garbage]
    partners.hanging.add(hanging.host)
    partners.slow[slow.host] = 1.0
    partners.resetting.add(resetting.host)
    partners.garbage.add(garbage.host)
    config = write_config(
        tmp_path, "ours", port.number, [person.host for person in (*well, *bad, down)],
        limits={"rates": False}, federation={"timeout_seconds": 2},
    )  # fmt: skip
    await asyncio.to_thread(seed, config, _fill([*well, *bad, down]))
    texts = {f"post {number}" for number in range(POSTS)}
    with serving(config, port.number) as server:
        said: dict[str, float] = {}
        async with app(port.number, "ana") as ana:
            for text in sorted(texts):
                said[text] = time.monotonic()
                await ana.post("/api/v1/statuses", json={"status": text, "reach": "partners"})
                await asyncio.sleep(0.1)  # over a second, so that the bad ones have time to be in the way
        hosts = {person.host for person in well}
        assert await asyncio.to_thread(
            partners.wait, lambda got: all(_creates(got)[host] == texts for host in hosts), SOON
        )
        delays = sorted(
            each.at - said[each.json["object"]["content"][3:-4]] for each in partners.posts() if each.host in hosts
        )
        assert delays[int(len(delays) * 0.95)] < SOON
        assert delays[-1] < 2 * SOON
        assert max(partners.peak.values()) <= 4
        assert server.jobs()["queued"] + server.jobs().get("running", 0) >= 3 * POSTS
        assert server.healthy(), "partners' faults are not ours"
        for trouble in (partners.hanging, partners.slow, partners.resetting, partners.garbage):
            trouble.clear()
        for person in bad:
            _call(server, person)
        everybody = {person.host for person in (*well, *bad)}
        assert await asyncio.to_thread(
            partners.wait, lambda got: all(_creates(got)[host] == texts for host in everybody), 2 * SOON
        ), server.log
        assert "Traceback" not in server.log
    closed.close()
