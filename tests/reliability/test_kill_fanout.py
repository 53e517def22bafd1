"""SIGKILL in the middle of a fan-out: everybody meant gets it, nobody else, in order, and the books balance."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from fedishare.services.site import Site
from fedishare.store.db import Database, Tx
from tests.reliability.outside import (
    Partners,
    Person,
    Received,
    app,
    let_follow,
    local_people,
    remote_people,
    seed,
)
from tests.support.process import Port, ServerProcess, serving, write_config

pytestmark = pytest.mark.e2e

HOSTS = 40
NEAR = 10
"""How many of the hosts get the post whose reach is a list."""
RANK = {"Create": 0, "Update": 1, "Delete": 2}
_ROWS = """SELECT j.host, j.state, j.payload, d.iri FROM job j JOIN document d ON d.id = j.document_id
           WHERE j.kind = 'deliver'"""
DONE, CANCELLED = 3, 5


@dataclass
class Meant:
    """The author's ledger: by object, to which inboxes it may go and which activities must arrive there."""

    inboxes: dict[str, set[str]] = field(default_factory=dict)
    kinds: dict[str, set[str]] = field(default_factory=dict)

    def note(self, iri: str, inboxes: Iterable[str], kinds: Iterable[str]) -> None:
        """What was published."""
        self.inboxes[iri], self.kinds[iri] = set(inboxes), set(kinds)


def _followers(partners: Partners) -> list[Person]:
    """One at each host; every fifth host has a second one and no shared inbox."""
    people = []
    for number in range(HOSTS):
        host, shared = partners.host(number), number % 5 > 0
        people.append(Person(host, "ben", shared_inbox=shared))
        if not shared:
            people.append(Person(host, "eva", shared_inbox=False))
    return people


def _fill(people: Sequence[Person]) -> Callable[[Database, Site], Awaitable[None]]:
    def write(tx: Tx, site: Site) -> None:
        ana = local_people(tx, site, ["ana"])["ana"]
        let_follow(tx, remote_people(tx, people), ana)

    async def fill(database: Database, site: Site) -> None:
        await database.write(write, site)

    return fill


async def _publish(client: httpx.AsyncClient, people: Sequence[Person], partners: Partners) -> Meant:
    """Posts of every reach, some edited, some deleted again."""
    meant, everybody = Meant(), {person.inbox for person in people}

    async def say(text: str, inboxes: Iterable[str], kinds: Sequence[str], **fields: Any) -> None:
        answer = await client.post("/api/v1/statuses", json={"status": text, **fields})
        assert answer.status_code == 200, answer.text
        made = answer.json()
        if "Update" in kinds:
            answer = await client.put(f"/api/v1/statuses/{made['id']}", json={"status": f"{text}, corrected"})
            assert answer.status_code == 200, answer.text
        if "Delete" in kinds:
            answer = await client.delete(f"/api/v1/statuses/{made['id']}")
            assert answer.status_code == 200, answer.text
        meant.note(made["uri"], inboxes, kinds)

    near = [partners.host(number) for number in range(NEAR)]
    eva = next(person for person in people if person.name == "eva")
    await say("to all", everybody, ["Create"], reach="partners")
    await say("edited", everybody, ["Create", "Update"], reach="partners")
    await say("deleted", everybody, ["Create", "Update", "Delete"], reach="partners")
    await say("near", {p.inbox for p in people if p.host in near}, ["Create", "Update"], reach=near)
    await say("followers", everybody, ["Create"], reach="partners", visibility="private")
    await say(f"@eva@{eva.host} direct", [eva.inbox], ["Create"], reach="partners", visibility="direct")
    await say("inside", [], ["Create"], reach="local")
    return meant


def _object(received: Received) -> str:
    target = received.json["object"]
    return str(target["id"] if isinstance(target, dict) else target)


def _check_received(posts: Sequence[Received], meant: Meant) -> None:
    """INV-7: nobody else. INV-6: in order. INV-3: everybody."""
    sequences: dict[tuple[str, str], list[str]] = defaultdict(list)
    for each in posts:
        assert each.inbox in meant.inboxes[_object(each)], f"{each.inbox} got {each.json}"
        sequences[_object(each), each.inbox].append(each.json["type"])
    for where, kinds in sequences.items():
        assert [RANK[kind] for kind in kinds] == sorted(RANK[kind] for kind in kinds), (where, kinds)
    for iri, inboxes in meant.inboxes.items():
        for inbox in inboxes:
            came = set(sequences[iri, inbox])
            if "Delete" in meant.kinds[iri]:
                assert came == set() or "Delete" in came, "a post stayed that was deleted"
            else:
                assert came == meant.kinds[iri], (iri, inbox, came)


def _rows(folder: Path) -> list[tuple[str, int, str, str]]:
    with closing(sqlite3.connect(folder / "ours.db")) as database:
        found: list[tuple[str, int, str, str]] = database.execute(_ROWS).fetchall()
    return found


def _check_books(server: ServerProcess, folder: Path, partners: Partners) -> None:
    """INV-5: every delivery has one row, which says what the receiver says, and the metrics are those of the rows."""
    rows = _rows(folder)
    states = Counter({DONE: 0, CANCELLED: 0}) + Counter(state for _, state, _, _ in rows)
    assert states.keys() <= {DONE, CANCELLED}
    said = server.jobs()
    assert said.get("done", 0) == states[DONE]
    assert said.get("cancelled", 0) == states[CANCELLED]
    places = [(iri, json.loads(payload)["inbox"]) for _, _, payload, iri in rows]
    assert len(places) == len(set(places)), "a delivery was made twice"
    done = {place for place, row in zip(places, rows, strict=True) if row[1] == DONE}
    came = {(each.json["id"], each.inbox) for each in partners.posts()}
    assert done <= came, "booked as done, and never arrived"
    withheld = {place for place, row in zip(places, rows, strict=True) if row[1] == CANCELLED}
    assert came <= done | withheld, "arrived, and is not in the books"


async def _quiet(server: ServerProcess) -> None:
    """Wait until nothing is due."""
    for _ in range(400):
        kinds = ("deliver", "federate")
        waiting = [server.jobs(kind).get(state, 0) for kind in kinds for state in ("queued", "running")]
        if not any(waiting):
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"the queue did not empty: {server.jobs()}")


async def test_a_fan_out_survives_kills(tmp_path: Path, partners: Partners, port: Port) -> None:
    people = _followers(partners)
    stranger = partners.host(HOSTS)  # a partner without anybody who follows
    hosts = sorted({person.host for person in people} | {stranger})
    config = write_config(tmp_path, "ours", port.number, hosts, limits={"rates": False})
    await asyncio.to_thread(seed, config, _fill(people))
    partners.delay = 0.02
    partners.hanging |= {partners.host(number) for number in range(5)}  # these are in flight at each kill
    with serving(config, port.number) as server:
        async with app(port.number, "ana") as ana:
            meant = await _publish(ana, people, partners)
        for number in (30, 90, 150):
            assert await asyncio.to_thread(partners.wait_for, number)
            server.kill()
            assert server.start() < 10
        partners.hanging.clear()
        await _quiet(server)
        _check_received(partners.posts(), meant)
        _check_books(server, tmp_path, partners)
        repeated = Counter((each.json["id"], each.inbox) for each in partners.posts())
        assert 1 < max(repeated.values()) <= 4, (
            "the kills hit nothing in flight, or one delivery is made again and again"
        )
    assert not any(each.host == stranger for each in partners.received)
