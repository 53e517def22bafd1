"""One house with people in it, and partners' people who live in its database: for tests of the client API.

`House` is an `Org` of `tests.support.world` on either engine. Partners' actors are put into the store as if they had
been read from their servers, so that followers, mentions and posts from outside exist without any server outside.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from fedishare.model.activities import RemoteActor
from fedishare.model.actors import Actor, ActorKind, Endpoints, Profile
from fedishare.model.ids import Domain, Id, Iri
from fedishare.model.posts import Content, Post, PostKind, RemotePost, Visibility
from fedishare.services import accounts, posts, relations
from fedishare.services.site import Site
from fedishare.store import actors
from fedishare.store.db import Tx
from tests.support.world import Json, Org, Person, World, new_world

HOME = "home.example"
PARTNERS = ("lab.example", "ward.example")


def remote_actor(tx: Tx, name: str, domain: str) -> Actor:
    """A partner's actor, as if its document had been read."""
    iri = f"https://{domain}/users/{name}"
    ends = Endpoints(Iri(f"{iri}/inbox"), shared_inbox=Iri(f"https://{domain}/inbox"))
    made = RemoteActor(
        Iri(iri), Domain(domain), name, ActorKind.PERSON, Profile(display_name=name.title()), ends, (), iri
    )
    return actors.put_remote(tx, made, Domain(domain))


def follows(tx: Tx, follower: Id, followee: Id) -> None:
    """A partner's actor follows somebody here."""
    one, other = actors.by_id(tx, follower), actors.by_id(tx, followee)
    assert one is not None and other is not None
    relations.receive_follow(tx, one, other, Iri(f"{one.iri}#follow-{followee}"))


def says(
    tx: Tx, site: Site, author: Id, number: int, text: str, *, visibility: Visibility = Visibility.PUBLIC,
    to: Iterable[str] = (), answers: str | None = None, **content: Any,
) -> Post:  # fmt: skip
    """A post of a partner's actor arrives."""
    actor = actors.by_id(tx, author)
    assert actor is not None
    iri = Iri(f"{actor.iri}/statuses/{number}")
    body = Content(f"<p>{text}</p>", **content)
    remote = RemotePost(
        iri, iri, actor.iri, PostKind.QUESTION if body.poll else PostKind.NOTE, visibility, body, tx.now, None,
        Iri(answers) if answers else None, mention_iris=tuple(Iri(i) for i in to),
    )  # fmt: skip
    found = posts.receive(tx, site, actor, remote)
    assert found is not None, "it was refused"
    return found


@dataclass
class House:
    """One instance with ana, ben and cy."""

    world: World
    org: Org
    ana: Person
    ben: Person
    cy: Person
    number: int = 0

    @property
    def site(self) -> Site:
        """Its names and rules."""
        return self.org.server.instance.site

    async def guest(self, name: str, domain: str = "lab.example") -> Actor:
        """Somebody of a partner's, known here."""
        found: Actor = await self.org.write(remote_actor, name, domain)
        return found

    async def said(self, author: Actor, text: str = "hello", **options: Any) -> Post:
        """A partner's post that has arrived."""
        self.number += 1
        found: Post = await self.org.write(says, self.site, author.id, self.number, text, **options)
        return found

    async def followed(self, follower: Actor, followee: Person) -> None:
        """A partner's actor follows somebody here."""
        await self.org.write(follows, follower.id, followee.id)

    async def client(self, person: str, scopes: str) -> httpx.AsyncClient:
        """Another app of a person, with other scopes."""
        token = accounts.new_token()
        await self.org.write(accounts.issue_token, person, token, scopes)
        return await self.world.client(self.org, token)

    async def stranger(self) -> httpx.AsyncClient:
        """Somebody without a token."""
        transport = httpx.ASGITransport(app=self.org.server, client=("192.0.2.99", 4000))
        client = httpx.AsyncClient(transport=transport, base_url=self.org.config.origin)
        return await self.world.stack.enter_async_context(client)

    async def friends(self) -> None:
        """Ben and cy follow ana."""
        for person in (self.ben, self.cy):
            await person.do(f"/api/v1/accounts/{self.ana.id}/follow")


async def returning(org: Org, name: str) -> Person:
    """Somebody who has an account already."""
    token = accounts.new_token()
    await org.write(accounts.issue_token, name, token, "read write follow push")
    actor = await org.by_handle(name)
    assert actor is not None
    return Person(org, name, actor.id, str(actor.iri), await org.world.client(org, token))


@asynccontextmanager
async def house(
    folder: Path, database_url: str | None = None, *, partners: Iterable[str | Json] = PARTNERS, again: bool = False,
    **tables: Any,
) -> AsyncIterator[House]:  # fmt: skip
    """A house until the block ends. Fails the test in which the server logged an error.

    ``again``: it was there before and is started once more; its people get new tokens.
    """
    if database_url is not None:
        tables["database"] = {"url": database_url}
    async with new_world(folder) as world:
        org = await world.org(HOME, partners, **tables)
        for partner in PARTNERS:
            world.internet.answer(partner, 202)
        make = returning if again else Org.person
        ana, ben, cy = [await make(org, name) for name in ("ana", "ben", "cy")]
        yield House(world, org, ana, ben, cy)
