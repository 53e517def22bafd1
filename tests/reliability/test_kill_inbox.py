"""SIGKILL between 202 and processing: what was accepted has its effect, once, whatever is sent again."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fedishare.services.site import Site
from fedishare.store.db import Database, Tx
from tests.reliability.outside import (
    AS2,
    PUBLIC,
    Partners,
    Person,
    app,
    everything,
    let_follow,
    local_people,
    remote_people,
    seed,
)
from tests.support.process import Port, ServerProcess, serving, write_config

pytestmark = pytest.mark.e2e

HOSTS, WRITERS, NOTES = 4, 3, 6
DELETED_EVERY = 3
Json = dict[str, Any]


@dataclass
class Sent:
    """The partners' ledger: activities by name, the bytes of each, and which were answered 202."""

    wire: dict[str, bytes] = field(default_factory=dict)
    accepted: set[str] = field(default_factory=set)
    enough: asyncio.Event = field(default_factory=asyncio.Event)
    enough_at: int = 0
    """How many accepted ones are enough for the next kill."""
    kept: set[str] = field(default_factory=set)
    """Texts of notes that are not deleted."""
    deleted: set[str] = field(default_factory=set)
    boosted: set[str] = field(default_factory=set)
    """Texts of notes that must be read at their origin before they can be shown."""
    followers: set[str] = field(default_factory=set)


def _people(partners: Partners) -> list[Person]:
    return [Person(partners.host(h), f"writer{n}", n) for h in range(HOSTS) for n in range(WRITERS)]


def _fill(writers: Sequence[Person]) -> Callable[[Database, Site], Awaitable[None]]:
    def people(tx: Tx, site: Site) -> None:
        reader = local_people(tx, site, ["reader"])["reader"]
        for writer in remote_people(tx, writers):
            let_follow(tx, [reader], writer)

    async def fill(database: Database, site: Site) -> None:
        await database.write(people, site)

    return fill


def _note(writer: Person, text: str) -> Json:
    return {
        "id": f"{writer.iri}/notes/{text}", "type": "Note", "attributedTo": writer.iri, "content": f"<p>{text}</p>",
        "to": [PUBLIC], "cc": [f"{writer.iri}/followers"],
    }  # fmt: skip


def _activities(writer: Person, origin: str, partners: Partners, sent: Sent) -> list[tuple[str, Json]]:
    """Everything that one writer sends, in order: a follow, a boost, notes, some of them deleted again."""
    made: list[tuple[str, Json]] = []

    def add(kind: str, name: str, what: Any) -> None:
        activity = {"@context": AS2, "id": f"{writer.iri}/{kind}/{name}", "type": kind, "actor": writer.iri}
        made.append((activity["id"], {**activity, "object": what, "to": [PUBLIC], "cc": [f"{writer.iri}/followers"]}))

    add("Follow", "reader", f"{origin}/users/reader")
    sent.followers.add(f"{writer.name}@{writer.host}")
    text = f"boosted-{writer.name}-{writer.host[:3]}"
    elsewhere = _note(writer, text)
    partners.documents[elsewhere["id"]] = {"@context": AS2, **elsewhere}
    add("Announce", text, elsewhere["id"])
    sent.boosted.add(text)
    for number in range(NOTES):
        text = f"{writer.name}-{writer.host[:3]}-{number}"
        note = _note(writer, text)
        add("Create", text, note)
        if number % DELETED_EVERY == 0:
            add("Delete", text, {"id": note["id"], "type": "Tombstone"})
        (sent.kept if number % DELETED_EVERY else sent.deleted).add(text)
    return made


async def _deliver(port: int, sent: Sent, names: Sequence[str]) -> None:
    """Send activities on one connection, one after another, until the server is gone."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return
    try:
        for name in names:
            writer.write(sent.wire[name])
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            await reader.readexactly(length)
            assert head.startswith(b"HTTP/1.1 202"), head
            sent.accepted.add(name)
            if len(sent.accepted) >= sent.enough_at:
                sent.enough.set()
    except (OSError, asyncio.IncompleteReadError):
        return
    finally:
        writer.close()


async def _deliver_until_killed(server: ServerProcess, sent: Sent, queues: list[list[str]], after: int) -> None:
    sent.enough_at, sent.enough = len(sent.accepted) + after, asyncio.Event()
    sending = [asyncio.create_task(_deliver(server.port, sent, names)) for names in queues]
    await sent.enough.wait()
    server.kill()
    await asyncio.gather(*sending)


async def _effects(server: ServerProcess) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """How often each note, boost and follower is there, as the reader sees it."""
    async with app(server.port, "reader") as reader:
        home = await everything(reader, "/api/v1/timelines/home")
        me = (await reader.get("/api/v1/accounts/verify_credentials")).json()
        followers = (await reader.get(f"/api/v1/accounts/{me['id']}/followers", params={"limit": "80"})).json()
    notes = Counter(each["content"][3:-4] for each in home if not each["reblog"])
    boosts = Counter(each["reblog"]["content"][3:-4] for each in home if each["reblog"])
    return notes, boosts, Counter(each["acct"] for each in followers)


async def test_accepted_activities_survive_kills(tmp_path: Path, partners: Partners, port: Port) -> None:
    writers, sent = _people(partners), Sent()
    hosts = sorted({writer.host for writer in writers})
    config = write_config(tmp_path, "ours", port.number, hosts, limits={"rates": False})
    await asyncio.to_thread(seed, config, _fill(writers))
    origin = f"http://ours.localhost:{port.number}"
    queues = []
    for number, writer in enumerate(writers):
        made = _activities(writer, origin, partners, sent)
        door = f"{origin}/inbox" if number % 2 else f"{origin}/users/reader/inbox"
        sent.wire |= {name: writer.signed(door, activity) for name, activity in made}
        queues.append([name for name, _ in made])
    partners.silent.set()  # what has to be read at a partner is not read before the first kill
    with serving(config, port.number) as server:
        for after in (20, 30):
            await _deliver_until_killed(server, sent, queues, after)
            server.start()
            notes, _, followers = await _effects(server)
            _check_accepted(sent, notes, followers)
        partners.silent.clear()
        for names in queues:  # everything once more, also what was accepted
            await _deliver(port.number, sent, names)
            await _deliver(port.number, sent, random.sample(names, len(names)))
        assert len(sent.accepted) == len(sent.wire)
        notes, boosts, followers = await _settled(server, sent)
    assert notes == Counter(sent.kept | (notes.keys() & sent.boosted))
    assert boosts == Counter(sent.boosted)
    assert followers == Counter(sent.followers)
    accepts = Counter(each.json["object"]["actor"] for each in partners.posts() if each.json["type"] == "Accept")
    assert accepts.keys() == {str(writer.iri) for writer in writers}


def _check_accepted(sent: Sent, notes: Counter[str], followers: Counter[str]) -> None:
    """INV-1 and INV-4 right after a restart: what was answered 202 is there once, and what was deleted is not."""
    said = {kind: {name.rsplit("/", 1)[1] for name in sent.accepted if f"/{kind}/" in name} for kind in _KINDS}
    lost = (said["Create"] & sent.kept) - notes.keys()
    assert lost == set()
    assert notes.keys() & said["Delete"] == set()
    assert max(notes.values(), default=1) == 1
    assert max(followers.values(), default=1) == 1
    followed = {name.split("/Follow/")[0] for name in sent.accepted if "/Follow/" in name}
    names = {f"{iri.rsplit('/', 1)[1]}@{iri.split('/')[2]}" for iri in followed}
    assert names <= followers.keys()


_KINDS = ("Create", "Delete")


async def _settled(server: ServerProcess, sent: Sent) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """The effects once everything that had to be read is read, or after ten seconds."""
    for _ in range(200):
        found = await _effects(server)
        if len(found[1]) == len(sent.boosted):
            break
        await asyncio.sleep(0.05)
    return found
