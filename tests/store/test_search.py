"""The index for search, on both engines: what is found matches and may be seen; nothing stays, nothing is twice."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from fedishare.model.actors import ActorKind, Endpoints, Profile
from fedishare.model.ids import Domain, Id, Iri, Millis
from fedishare.model.names import Names
from fedishare.model.posts import LOCAL, Content, Post, PostKind, Visibility
from fedishare.policy.audience import Seer
from fedishare.services import search
from fedishare.services.site import Site
from fedishare.store import actors, posts, relations
from fedishare.store import search as store
from fedishare.store.db import Database, Tx, open_database, sql
from fedishare.store.migrate import migrate
from fedishare.store.paging import Page
from fedishare.text.query import parse
from tests.store.conftest import Clock, wall_clock
from tests.store.test_audience import AWorld, build, world_url, worlds
from tests.support.instances import remote_actor
from tests.support.searching import holds

__all__ = ["world_url"]
SITE = Site(Names("https://home.example", Domain("home.example")))
KEPT = sql("test_search_kept", "SELECT {rowid} FROM post_words ORDER BY {rowid}")
UNMUTE = sql("test_search_unmute", "DELETE FROM mute WHERE 1 = 1")
TEXTS = (
    "Zürich in summer", "zurich winter", "the centrifuge is free", "don't stop", "C++ and C#", "100% off",
    "東京都に住む", "a_b_c #Open_Data", "NOT AND OR NEAR", '"quoted" \'single\'', "from:me has:poll",
    "über \\ back : slash", "🎉 party",
    "x", "",
)  # fmt: skip


def say(tx: Tx, author: Id, text: str, summary: str = "") -> Id:
    """A public post."""
    ident = tx.new_id()
    iri = Iri(f"https://home.example/posts/{ident}")
    html = text.replace("&", "&amp;").replace("<", "&lt;")
    posts.insert(
        tx,
        Post(id=ident, iri=iri, url=iri, author_id=author, local=True, kind=PostKind.NOTE,
             visibility=Visibility.PUBLIC, reach=LOCAL, content=Content(f"<p>{html}</p>", summary=summary),
             published=tx.now, created_at=tx.now),
    )  # fmt: skip
    return ident


def person(tx: Tx, name: str = "ana") -> Id:
    """Somebody here."""
    iri = Iri(f"https://home.example/users/{name}")
    return actors.insert_local(tx, iri, name, ActorKind.PERSON, Profile(), Endpoints(Iri(f"{iri}/inbox")), iri).id


def all_in(tx: Tx) -> None:
    """Take in whatever waits."""
    while search.take_in(tx):
        pass


def found(tx: Tx, text: str, viewer: Id, limit: int = 100) -> list[Id]:
    """What a query finds."""
    return search.posts(tx, SITE, parse(text), viewer, Page(limit=limit))


def compare(tx: Tx, world: AWorld) -> None:
    """What search finds, and what the rule allows."""
    tx.run(UNMUTE)
    people, made = build(tx, world)
    # What one does not want to see at home can still be found.
    relations.put_mute(tx, people[0], people[1], notifications=True, expires_at=None)
    all_in(tx)
    for viewer in people[:3]:
        by_rule = [i for i in reversed(made) if posts.seen_by(tx, i, Seer(viewer))]
        assert found(tx, "x", viewer) == by_rule
        assert found(tx, "x -y", viewer, 1) == by_rule[:1], "the newest is enough"
        assert found(tx, "-x", viewer) == [] == found(tx, "y", viewer)
        assert found(tx, "from:me", viewer) == [i for i in by_rule if posts.by_ids(tx, [i])[i].author_id == viewer]
        mine, others = found(tx, "x in:library", viewer), found(tx, "x -in:library", viewer)
        assert sorted(mine + others, reverse=True) == by_rule and not set(mine) & set(others)
        for ident in by_rule:
            named = viewer in posts.mentioned_ids(tx, ident) or posts.by_ids(tx, [ident])[ident].author_id == viewer
            assert (ident in mine) == named


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(world=worlds)
def test_what_is_found_is_what_may_be_seen(world_url: str, world: AWorld) -> None:
    async def check() -> None:
        database: Database = await open_database(world_url, clock=Clock(Millis(1_700_000_000_000)))
        try:
            await migrate(database)
            await database.write(compare, world)
        finally:
            await database.close()

    asyncio.run(check())


async def test_both_engines_find_what_the_words_say(database: Database) -> None:
    def check(tx: Tx) -> None:
        me = person(tx)
        kept = {say(tx, me, text): text for text in TEXTS}
        all_in(tx)
        words = {ident: search.post_words(posts.by_ids(tx, [ident])[ident]) for ident in kept}
        chance = random.Random(3)
        pieces = [
            *(word for text in TEXTS for word in text.split()),
            "-x",
            '"',
            "has:poll",
            "()",
            "*",
            "before:2026-01-01",
        ]
        asked = [*TEXTS, *(" ".join(chance.choices(pieces, k=chance.randint(1, 4))) for _ in range(150))]
        for text in asked:
            query = replace(parse(text), authors=(), library=None)
            expected = [i for i in sorted(kept, reverse=True) if all(holds(words[i], c) for c in query.clauses)]
            assert search.posts(tx, SITE, query, me, Page(limit=50)) == (expected if query else []), text

    await database.write(check)


async def test_edits_and_deletions_reach_the_index(database: Database) -> None:
    me = await database.write(person)
    ident = await database.write(say, me, "first words", summary="warning")
    assert await database.read(store.any_waiting)
    await database.write(all_in)
    assert await database.read(found, "warning first", me) == [ident] and not await database.read(store.any_waiting)
    await database.write(posts.update, ident, Content("<p>second</p>"), Millis(1))
    await database.write(all_in)
    assert await database.read(found, "first", me) == [] and await database.read(found, "second", me) == [ident]
    await database.write(posts.delete, ident)
    assert await database.read(found, "second", me) == []
    assert await database.read(lambda tx: tx.all(KEPT)) == [], "nothing of a deleted post is kept"
    # What is deleted before it was taken in never gets there.
    other = await database.write(say, me, "third")
    await database.write(posts.delete, other)
    await database.write(all_in)
    assert await database.read(lambda tx: tx.all(KEPT)) == []


async def test_several_processes_take_in_each_post_once(schema_url: str) -> None:
    databases = [await open_database(schema_url, clock=wall_clock) for _ in range(2)]
    one, two = databases
    try:
        await migrate(one)
        me = await one.write(person)
        made = [await one.write(say, me, f"word{n}") for n in range(5)]
        made += await one.write(lambda tx: [say(tx, me, "word") for _ in range(300)])

        async def work(database: Database) -> int:
            total = 0
            while done := await database.write(search.take_in):
                total += done
            return total

        assert sum(await asyncio.gather(work(one), work(two), work(one), work(two))) == len(made) + 1
        assert [row[0] for row in await two.read(lambda tx: tx.all(KEPT))] == made
        assert await two.read(found, "word3", me) == [made[3]]
        assert not await one.read(store.any_waiting)
    finally:
        for database in databases:
            await database.close()


async def test_people_are_found_by_the_beginnings_of_their_names(database: Database) -> None:
    def check(tx: Tx) -> None:
        ana, anabel = person(tx), person(tx, "anabel")
        zoe = remote_actor(tx, "zoe", "lab.example")
        actors.set_profile(tx, zoe.id, ActorKind.PERSON, Profile(display_name="Zoë Ångström"))
        all_in(tx)

        def names(text: str, **options: bool) -> list[str]:
            return [a.name for a in search.people(tx, SITE, text, ana, **options)]

        assert names("ana") == ["ana", "anabel"] and names("anab") == ["anabel"] == names("@ANABEL")
        assert names("angst") == ["zoe"] == names("zoe ang") == names("@zoe@lab.example") == names("zoe@lab")
        for nobody in ("", "%", "_", '"', "zoe*x", "ström", "zoe@ward.example", "* OR a"):
            assert names(nobody) == [], nobody
        assert names("an", following=True) == []
        assert anabel and store.find_tags(tx, "", ana, limit=5) == []

    await database.write(check)


@pytest.mark.parametrize("text", ["thorax", "#thorax"])
async def test_words_that_wait_are_found_after_a_start(schema_url: str, text: str) -> None:
    """What was written before a crash, or before there was an index, waits in the database and is not lost."""
    first = await open_database(schema_url, clock=wall_clock)
    await migrate(first)
    me = await first.write(person)
    ident = await first.write(say, me, "a #Thorax study")
    await first.close()
    again = await open_database(schema_url, clock=wall_clock)
    try:
        assert await again.read(found, text, me) == []
        await again.write(all_in)
        assert await again.read(found, text, me) == [ident]
    finally:
        await again.close()
