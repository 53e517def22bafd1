"""What is kept rendered is what would be rendered now, after any changes; and nothing undone is ever shown."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedishare.api import rendering
from fedishare.api.rendering import Renderer
from fedishare.model.actors import Actor, Profile
from fedishare.model.errors import FedishareError
from fedishare.model.ids import Id, Iri, Millis
from fedishare.model.posts import Content, Poll, PollOption, PostKind, RemotePost, Visibility
from fedishare.services import accounts, interactions
from fedishare.services import posts as post_services
from fedishare.store import actors, posts, timelines
from fedishare.store.db import Tx
from fedishare.store.paging import Page
from tests.support.instances import House, house, says
from tests.support.world import Person

WORDS = ("say", "answer", "edit", "delete", "favourite", "unfavourite", "reblog", "unreblog", "bookmark", "mute",
         "vote", "pin", "profile", "follow", "unfollow", "remote say", "remote edit", "remote profile", "remote poll",
         "remote delete", "suspend", "restore", "move", "locked")  # fmt: skip
steps = st.lists(st.tuples(st.sampled_from(WORDS), st.integers(0, 2), st.integers(0, 9)), min_size=4, max_size=25)


START = (
    ("follow", 1, 3), ("say", 0, 1), ("say", 1, 3), ("say", 2, 0), ("remote say", 0, 1), ("remote say", 0, 2),
    ("answer", 1, 1),
)  # fmt: skip
"""So that most of what follows finds something to be done with."""


class Play:
    """Random things that people do; those that are refused are just not done."""

    def __init__(self, home: House, guests: list[Actor]) -> None:
        self.home = home
        self.guests = guests
        self.people = [home.ana, home.ben, home.cy]
        self.remote: list[str] = []

    async def known(self, number: int) -> str | None:
        """Some post that exists."""
        found = await self.home.org.read(lambda tx: [e.post_id for v in self.people for e in timelines.public(
            tx, v.id, Page(limit=40))])  # fmt: skip
        return str(found[number % len(found)]) if found else None

    async def do(self, word: str, who: int, number: int) -> None:
        """One step."""
        person = self.people[who]
        if word.startswith("remote"):
            await self._remote(word, number)
        elif word == "say":
            poll = {"options": ["a", "b"], "expires_in": 600} if number % 3 == 0 else None
            visibility = "private" if number == 8 else "public"
            await self._call(
                person, "/api/v1/statuses", status=f"n{number} @ben #t{number}", poll=poll, visibility=visibility
            )
        elif word == "profile":
            await self._call(person, "/api/v1/accounts/update_credentials", "PATCH", display_name=f"name {number}")
        elif word == "locked":
            await self._call(person, "/api/v1/accounts/update_credentials", "PATCH", locked=number % 2 == 0)
        elif word in ("follow", "unfollow"):
            target = self.people[number % 3].id if number % 2 else self.guests[0].id
            await self._call(person, f"/api/v1/accounts/{target}/{word}")
        elif word in ("suspend", "restore"):
            actor = await self.home.org.read(actors.by_id, self.people[2].id)
            await self._write(getattr(accounts, word), actor, "test")
        elif word == "move":
            await self._moved(number)
        else:
            await self._on_post(person, word, number)

    async def _on_post(self, person: Person, word: str, number: int) -> None:
        ident = await self.known(number)
        if ident is None:
            return
        at = f"/api/v1/statuses/{ident}"
        if word == "answer":
            await self._call(person, "/api/v1/statuses", status=f"re {number}", in_reply_to_id=ident)
        elif word == "edit":
            await self._call(person, at, "PUT", status=f"edited {number} @cy")
        elif word == "delete":
            await self._call(person, at, "DELETE")
        elif word == "vote":
            await self._call(person, f"/api/v1/polls/{ident}/votes", choices=[number % 2])
        else:
            await self._call(person, f"{at}/{word}")

    async def _call(self, person: Person, path: str, method: str = "POST", /, **fields: Any) -> None:
        answer = await person.client.request(method, path, json=fields)
        assert answer.status_code in (200, 401, 403, 404, 422), (path, answer.text)

    async def _write(self, fn: Any, *args: Any, **kw: Any) -> Any:
        try:
            return await self.home.org.write(fn, *args, **kw)
        except FedishareError:
            return None

    async def _moved(self, number: int) -> None:
        target = self.guests[1].iri if number % 2 else None
        actor = await self.home.org.read(actors.by_id, self.guests[0].id)
        profile = replace(actor.profile, moved_to=target)
        await self._write(actors.set_profile, actor.id, actor.kind, profile)

    async def _remote(self, word: str, number: int) -> None:
        guest = await self.home.org.read(actors.by_id, self.guests[number % 2].id)
        if word == "remote profile":
            await self._write(actors.set_profile, guest.id, guest.kind, Profile(display_name=f"guest {number}"))
        elif word == "remote say":
            self.home.number += 1
            poll = Poll((PollOption("a"), PollOption("b")), ends_at=Millis(2 * 10**12)) if number % 2 else None
            post = await self._write(says, self.home.site, guest.id, self.home.number, f"remote {number}", poll=poll)
            self.remote.append(post.iri)
        elif self.remote:
            await self._change(word, self.remote[number % len(self.remote)], number)

    async def _change(self, word: str, iri: str, number: int) -> None:
        post = await self.home.org.post(iri)
        author = await self.home.org.read(actors.by_id, post.author_id) if post is not None else None
        if post is None or author is None:
            return
        if word == "remote delete":
            await self._write(post_services.receive_removal, author.iri, Iri(iri))
            return
        content, updated = Content(f"<p>again {number}</p>", poll=post.content.poll), self.home.world.clock()
        if word == "remote poll" and post.content.poll is not None:
            options = tuple(replace(o, votes=number) for o in post.content.poll.options)
            content = replace(post.content, poll=replace(post.content.poll, options=options, voters=number))
            updated = post.edited_at or post.published
        remote = RemotePost(
            Iri(iri), iri, author.iri, PostKind.NOTE, Visibility.PUBLIC, content, post.published, updated, None
        )
        await self._write(post_services.receive_edit, self.home.site, author, remote)


def everything(tx: Tx, viewer: Id) -> list[Id]:
    """Every post there is, seen or not."""
    return [e.post_id for e in timelines.public(tx, viewer, Page(limit=1000))] + [
        e.post_id for e in timelines.home(tx, viewer, Page(limit=1000))
    ]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(played=steps)
def test_what_is_kept_is_what_is_true(
    tmp_path_factory: pytest.TempPathFactory, played: list[tuple[str, int, int]]
) -> None:
    async def check() -> None:
        async with house(tmp_path_factory.mktemp("kept")) as home:
            guests = [await home.guest("zoe"), await home.guest("yan")]
            play = Play(home, guests)
            kept = home.org.server.api.renderer
            for word, who, number in START:
                await play.do(word, who, number)
            await same(home, kept)
            for word, who, number in played:
                await play.do(word, who, number)
                await same(home, kept)

    asyncio.run(check())


async def same(home: House, kept: Renderer) -> None:
    """Everybody sees with the kept fragments what they would see without."""
    fresh = Renderer(home.site, kept._tickets)

    def compare(tx: Tx) -> None:
        for viewer in (home.ana.id, home.ben.id):
            idents = everything(tx, viewer)
            assert kept.visible_posts(tx, idents, viewer) == fresh.visible_posts(tx, idents, viewer)
        people = list(actors.by_ids(tx, [home.ana.id, home.ben.id, home.cy.id]).values())
        people += [a for a in map(lambda n: actors.by_iri(tx, f"https://lab.example/users/{n}"), ("zoe", "yan")) if a]
        assert kept.accounts(tx, people) == fresh.accounts(tx, people)

    await home.org.read(compare)


async def test_what_was_undone_is_never_shown(home: House) -> None:
    """A transaction that renders and is then undone leaves its revision to the next one, with other content."""
    said = await home.ana.say("before")
    ident, api = Id(int(said["id"])), home.org.server.api

    def fail(tx: Tx, renderer: Renderer) -> bytes:
        actor = actors.by_id(tx, home.ben.id)
        assert actor is not None
        interactions.favourite(tx, home.site, actor, ident)
        shown = renderer.visible_post(tx, ident, home.ben.id)
        assert shown is not None and b'"favourites_count":1' in shown
        raise LookupError("the disk is full")

    with pytest.raises(LookupError):
        await api.write_shown(fail)
    edited = await home.ana.edit(said, "after")
    assert edited["favourites_count"] == 0 and "after" in edited["content"]
    seen = await home.ben.get(f"/api/v1/statuses/{ident}")
    assert (seen["favourites_count"], "after" in seen["content"]) == (0, True)
    post = await home.org.read(posts.by_id, ident)
    assert post is not None and post.rev == 1


async def test_a_page_is_whole_though_little_is_kept(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages larger than what is kept, read by many at once."""
    monkeypatch.setattr(rendering, "MAX_STATUSES", 3)
    monkeypatch.setattr(rendering, "MAX_ACCOUNTS", 1)
    for number in range(12):
        await home.ana.say(f"n{number}")
    pages = await asyncio.gather(*(home.ben.get("/api/v1/timelines/public", limit=40) for _ in range(8)))
    assert all([s["id"] for s in page] == [s["id"] for s in pages[0]] for page in pages) and len(pages[0]) == 12
