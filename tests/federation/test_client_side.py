"""ActivityPub's client side: what a person's own program posts to the outbox, and what of it crosses the border."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from fedishare.services import accounts
from fedishare.store.db import sql
from tests.support.world import Json, Person, World, new_world, plain

AS2 = "https://www.w3.org/ns/activitystreams"
PUBLIC = f"{AS2}#Public"
TYPE = "application/activity+json"
CLINIC, LAB, EVIL = "clinic.example", "lab.example", "evil.example"
ROW = sql(
    "client_side_row",
    """SELECT visibility, reach, html, source, summary, sensitive, language, extra, kind, app_name, in_reply_to_id,
        (SELECT count(*) FROM mention m WHERE m.post_id = p.id), (SELECT count(*) FROM home_entry h WHERE h.post_id = p.id),
        (SELECT count(*) FROM notification n WHERE n.post_id = p.id) FROM post p WHERE p.iri = :iri""",
)


@dataclass
class Client:
    """A person's own program, speaking ActivityPub."""

    person: Person
    http: httpx.AsyncClient

    @property
    def outbox(self) -> str:
        return f"/users/{self.person.name}/outbox"

    async def post(self, document: Any, **headers: str) -> httpx.Response:
        """POST to the outbox; bytes as they are."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return await self.http.post(self.outbox, content=body, headers={"content-type": TYPE, **headers})

    async def does(self, kind: str, target: Any, **more: Any) -> str:
        """An activity that must succeed; its id."""
        answer = await self.post({"@context": AS2, "type": kind, "object": target, **more})
        assert answer.status_code == 201, answer.text
        assert answer.json()["id"] == answer.headers["location"]
        return answer.headers["location"]

    async def refused(self, status: int, document: Any, **headers: str) -> Json:
        """An activity that must be refused; the error."""
        answer = await self.post(document, **headers)
        assert answer.status_code == status, answer.text
        found: Json = answer.json()
        assert found["error"] and "location" not in answer.headers
        return found

    async def note(self, content: str, to: list[str], **more: Any) -> str:
        """Publish a Note; the id of the Note."""
        made = await self.does("Create", {"type": "Note", "content": content, "to": to, **more})
        return made.removesuffix("/activity")

    async def read(self, iri: str, status: int = 200) -> Json:
        """GET by id."""
        answer = await self.http.get(iri, headers={"accept": TYPE})
        assert answer.status_code == status, (iri, answer.status_code, answer.text)
        found: Json = answer.json()
        return found

    async def items(self, iri: str) -> list[Json]:
        """The entries of the first page of a collection."""
        whole = await self.read(iri)
        found: list[Json] = (await self.read(whole["first"]))["orderedItems"]
        return found


@dataclass
class Side:
    """clinic.example with ana, amy and cy, lab.example with ben, who follow each other across the border."""

    world: World
    ana: Client
    amy: Client
    ben: Client
    followers: str

    async def settle(self) -> None:
        await self.world.settle()

    async def gets(self, count: int = 1) -> list[Json]:
        """What the lab was sent last."""
        await self.settle()
        return self.world.bodies_to(LAB)[-count:]


@pytest.fixture
async def side(tmp_path: Path) -> AsyncIterator[Side]:
    async with new_world(tmp_path) as world:
        clinic = await world.org(CLINIC, [LAB], posts={"default_reach": "partners"})
        lab = await world.org(LAB, [CLINIC], posts={"default_reach": "partners"})
        ana, amy, ben = await clinic.person("ana"), await clinic.person("amy"), await lab.person("ben")
        await ben.follow(ana.handle)
        await ana.follow(ben.handle)
        await world.settle()
        world.internet.forget()
        clients = [Client(each, each.client) for each in (ana, amy, ben)]
        yield Side(world, *clients, followers=f"{ana.iri}/followers")


async def test_a_note_is_published_and_delivered(side: Side) -> None:
    """Create, a bare object, Update of one property, Delete: at the partner as in the client API."""
    ana, ben = side.ana, side.ben
    iri = await ana.note("<p>Hello <b>there</b></p>", [PUBLIC], cc=[side.followers], id="https://evil.example/1")
    assert iri.startswith(f"{ana.person.iri}/statuses/")
    await side.settle()
    assert await ben.person.texts() == ["Hello there"]
    bare = await ana.post({"type": "Note", "source": {"content": "as *typed*", "mediaType": "text/plain"},
                           "content": "<p>not this</p>", "summary": "careful", "to": [side.followers]})  # fmt: skip
    assert bare.status_code == 201
    second = bare.json()["object"]["id"]
    await side.settle()
    shown = await ben.person.status(second)
    assert shown is not None and (plain(shown), shown["spoiler_text"], shown["visibility"]) == (
        "as *typed*", "careful", "private",
    )  # fmt: skip

    updated = await ana.does("Update", {"id": second, "content": "anew"})
    sent = (await side.gets())[0]
    assert (sent["id"], sent["type"]) == (updated, "Update"), "the id that was answered is the one that goes out"
    shown = await ben.person.status(second)
    assert shown is not None and (plain(shown), shown["spoiler_text"]) == ("anew", "careful"), "the rest stays (6.3)"
    await ana.does("Update", {"id": second, "summary": None})
    await side.settle()
    shown = await ben.person.status(second)
    assert shown is not None and (plain(shown), shown["spoiler_text"]) == ("anew", "")

    gone = await ana.does("Delete", second)
    (sent,) = await side.gets()
    assert (sent["id"], sent["type"], sent["object"]["type"]) == (gone, "Delete", "Tombstone")
    assert await ben.person.status(second) is None
    assert (await ana.read(second, 410))["type"] == "Tombstone"
    assert (await ana.read(updated))["type"] == "Update" and (await ana.read(gone))["id"] == gone
    await ana.refused(404, {"type": "Delete", "object": second})
