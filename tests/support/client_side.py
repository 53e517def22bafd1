"""A person's own program that speaks ActivityPub, and two instances whose people follow each other."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from fedishare.services import accounts
from tests.support.world import Json, Person, World, new_world

AS2 = "https://www.w3.org/ns/activitystreams"
PUBLIC = f"{AS2}#Public"
TYPE = "application/activity+json"
CLINIC, LAB, EVIL = "clinic.example", "lab.example", "evil.example"
GRIM = "grim.example"
"""A partner of the clinic that gets followers-only posts at most, and whose server is for the test to write."""
GIF = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00"
    b"\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
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

    async def does(self, kind: str, what: Any, /, **more: Any) -> str:
        """An activity that must succeed; its id."""
        answer = await self.post({"@context": AS2, "type": kind, "object": what, **more})
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


@asynccontextmanager
async def new_side(folder: Path, database_url: str | None = None) -> AsyncIterator[Side]:
    """Both sides, whose terms let documents say that a post is public; nothing was said yet.

    ``database_url``: the clinic's database, of whatever engine; the lab's is SQLite.
    """
    database = {"database": {"url": database_url}} if database_url is not None else {}
    async with new_world(folder) as world:
        clinic = await world.org(
            CLINIC,
            [{"domain": LAB, "public_addressing": True}, {"domain": GRIM, "ceiling_out": "private"}],
            posts={"default_reach": "partners"},
            **database,
        )
        lab = await world.org(LAB, [{"domain": CLINIC, "public_addressing": True}], posts={"default_reach": "partners"})
        ana, amy, ben = await clinic.person("ana"), await clinic.person("amy"), await lab.person("ben")
        await ben.follow(ana.handle)
        await ana.follow(ben.handle)
        await world.settle()
        world.internet.forget()
        world.answers.clear()
        first, second, third = [Client(each, each.client) for each in (ana, amy, ben)]
        yield Side(world, first, second, third, f"{ana.iri}/followers")
        await world.settle()  # nothing is on its way when the servers end


async def app_of(client: Client, scopes: str) -> Client:
    """Another program of the same person, with other scopes."""
    token = accounts.new_token()
    await client.person.org.write(accounts.issue_token, client.person.name, token, scopes)
    return Client(client.person, await client.person.org.world.client(client.person.org, token))
