"""The audience decision is one rule: what SQL lets through is what the pure function says, in any world."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedishare.model.actors import ActorKind, ActorState, Endpoints, FollowState, Profile
from fedishare.model.ids import Domain, Handle, Id, Iri, Millis
from fedishare.model.posts import LOCAL, PARTNERS, Content, Mention, Post, PostKind, Reach, Visibility
from fedishare.policy.audience import Seer, open_to_anybody
from fedishare.store import actors, pages, posts, relations, timelines
from fedishare.store import people as people_store
from fedishare.store.audience import OPEN, TRAVELS, VISIBLE
from fedishare.store.db import Database, Tx, open_database, sql
from fedishare.store.migrate import migrate
from fedishare.store.paging import Page
from tests.store.conftest import Clock
from tests.support.instances import remote_actor
from tests.support.postgres import Server

_FROM = "FROM post p JOIN actor a ON a.id = p.author_id"
SEEN = sql("test_audience_seen", f"SELECT p.id {_FROM} WHERE {VISIBLE}")
TRAVELLING = sql("test_audience_travelling", f"SELECT p.id {_FROM} WHERE {TRAVELS}")
FOR_ALL = sql("test_audience_for_all", f"SELECT p.id {_FROM} WHERE {OPEN}")
EMPTY = [
    sql(f"test_audience_drop_{table}", f"DELETE FROM {table} WHERE 1 = 1")
    for table in ("home_entry", "mention", "post", "follow", "block", "domain_block", "actor")
]
DOMAINS = (Domain("lab.example"), Domain("lab.example.org"), Domain("ab.example"))
REACHES = (
    LOCAL, PARTNERS, Reach(frozenset({DOMAINS[0]})), Reach(frozenset({DOMAINS[1]})), Reach(frozenset(DOMAINS[:2])),
)  # fmt: skip
PEOPLE = 6
"""The first three are local, the others are of the three domains."""


@dataclass(frozen=True)
class APost:
    """A post of a random world."""

    author: int
    visibility: Visibility
    reach: Reach
    mentions: frozenset[int]


@dataclass(frozen=True)
class AWorld:
    """Who is what to whom, and who said what."""

    states: tuple[int, ...]
    follows: frozenset[tuple[int, int, int]]
    blocks: frozenset[tuple[int, int]]
    shunned: frozenset[tuple[int, int]]
    """Which of the local people block which of the domains."""
    posts: tuple[APost, ...]


person = st.integers(0, PEOPLE - 1)
worlds = st.builds(
    AWorld,
    st.tuples(*[st.sampled_from((0, 0, 0, 1, 2, 3))] * PEOPLE),
    st.frozensets(st.tuples(person, person, st.integers(0, 1)), max_size=10),
    st.frozensets(st.tuples(person, person), max_size=6),
    st.frozensets(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=4),
    st.lists(
        st.builds(
            APost, person, st.sampled_from(list(Visibility)), st.sampled_from(REACHES),
            st.frozensets(person, max_size=3),
        ),
        min_size=1, max_size=8,
    ).map(tuple),
)  # fmt: skip


def build(tx: Tx, world: AWorld) -> tuple[list[Id], list[Id]]:
    """The people and posts of a world, and nothing else."""
    for query in EMPTY:
        tx.run(query)
    people = [_person(tx, number) for number in range(PEOPLE)]
    for number, state in enumerate(world.states):
        actors.set_state(tx, people[number], ActorState(state))
    for follower, followee, state in sorted(world.follows, key=lambda f: f[2]):
        one, other = actors.by_id(tx, people[follower]), actors.by_id(tx, people[followee])
        assert one is not None and other is not None
        made = relations.put_follow(tx, one, other, FollowState.PENDING, Iri(f"https://x.example/{tx.new_id()}"))
        relations.set_follow_state(tx, made.id, FollowState(state))
    for actor, target in world.blocks:
        relations.put_block(tx, people[actor], people[target], None)
    for actor, domain in world.shunned:
        people_store.block_domain(tx, people[actor], DOMAINS[domain])
    return people, [_post(tx, people, each) for each in world.posts]


def _person(tx: Tx, number: int) -> Id:
    name = f"p{number}"
    if number >= 3:
        return remote_actor(tx, name, DOMAINS[number - 3]).id
    iri = Iri(f"https://home.example/users/{name}")
    ends = Endpoints(Iri(f"{iri}/inbox"))
    return actors.insert_local(tx, iri, name, ActorKind.PERSON, Profile(), ends, str(iri)).id


def _post(tx: Tx, people: list[Id], each: APost) -> Id:
    ident, local = tx.new_id(), each.author < 3
    iri = Iri(f"https://home.example/posts/{ident}")
    mentions = tuple(
        Mention(people[m], Iri("https://x.example/u"), Handle("u"), "", silent=bool(m % 2)) for m in each.mentions
    )
    made = Post(
        id=ident, iri=iri, url=iri, author_id=people[each.author], local=local, kind=PostKind.NOTE,
        visibility=each.visibility, reach=each.reach if local else LOCAL, published=tx.now, created_at=tx.now,
        content=Content("<p>x</p>", mentions=mentions),
    )  # fmt: skip
    posts.insert(tx, made)
    timelines.add_for(tx, people[0], ident)
    return ident


def compare(tx: Tx, world: AWorld) -> None:
    """Every way to ask gives the same answer."""
    people, made = build(tx, world)
    for number in range(3):
        viewer = people[number]
        by_rule = {ident for ident in made if posts.seen_by(tx, ident, Seer(viewer))}
        assert {row[0] for row in tx.all(SEEN, viewer=viewer)} == by_rule
        assert posts.visible_ids(tx, made, viewer) == by_rule
        assert {ident for ident in made if posts.visible(tx, ident, viewer) is not None} == by_rule
        for author in people:
            page = posts.author_page(tx, author, viewer, Page(limit=100))
            assert set(page) <= by_rule
        home = {e.post_id for e in timelines.home(tx, viewer, Page(limit=100))}
        public = {e.post_id for e in timelines.public(tx, viewer, Page(limit=100))}
        # A domain that one blocks is out of sight, and what one may see stays what it is.
        far = {
            ident for ident, each in zip(made, world.posts, strict=True)
            if each.author >= 3 and (number, each.author - 3) in world.shunned
        }  # fmt: skip
        assert home <= by_rule - far and public <= by_rule - far
        wanted = posts.wanted_ids(tx, made, viewer)
        turned_away = {target for actor, target in world.blocks if actor == number}
        assert wanted == {i for i in by_rule - far if world.posts[made.index(i)].author not in turned_away}
    anybody = {
        ident
        for ident, each in zip(made, world.posts, strict=True)
        if open_to_anybody(world.states[each.author] < 2, each.author < 3, each.visibility, each.reach)
    }
    assert {row[0] for row in tx.all(FOR_ALL)} == anybody
    for number in range(3):
        page_of = pages.profile(tx, f"p{number}", pages.LAST, 100)
        assert (page_of is None) == (world.states[number] >= 2)
        shown = {p.id for p in page_of[1]} if page_of else set()
        assert shown == {i for i in anybody if world.posts[made.index(i)].author == number}
        assert shown == {i for i in made if pages.post(tx, f"p{number}", i) is not None}
    for domain in DOMAINS:
        nobody = Seer(None, domain)
        by_rule = {ident for ident in made if posts.seen_by(tx, ident, nobody)}
        assert anybody <= by_rule, "what anybody sees, every partner may see"
        assert {row[0] for row in tx.all(TRAVELLING, domain=domain)} == by_rule
        for number in range(3, PEOPLE):
            if DOMAINS[number - 3] == domain:
                person_sees = {i for i in made if posts.seen_by(tx, i, Seer(people[number], domain))}
                blocked = {a for a, t in world.blocks if t == number}
                public = {i for i in by_rule if world.posts[made.index(i)].author not in blocked}
                assert public <= person_sees, "what anybody of the domain sees, each one does who is not blocked"


@pytest.fixture(params=["sqlite", "postgres"])
def world_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database for all worlds, one after the other."""
    if request.param == "sqlite":
        yield f"sqlite://{tmp_path_factory.mktemp('worlds')}/fedishare.db"
        return
    server: Server = request.getfixturevalue("postgres_server")
    name = server.create()
    yield server.url(name)
    server.drop(name)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chosen=st.lists(worlds, min_size=1, max_size=3))
def test_sql_and_the_rule_decide_the_same(world_url: str, chosen: list[AWorld]) -> None:
    async def check() -> None:
        database: Database = await open_database(world_url, clock=Clock(Millis(1_700_000_000_000)))
        try:
            await migrate(database)
            for world in chosen:
                await database.write(compare, world)
        finally:
            await database.close()

    asyncio.run(check())


def test_the_rule_itself_says_no_to_the_unknown(tmp_path: Path) -> None:
    """A post that nobody named and a reader whom nobody knows: only what is public, and only ours."""

    async def check() -> None:
        database = await open_database(f"sqlite://{tmp_path}/x.db", clock=Clock())
        try:
            await migrate(database)
            world = AWorld(
                (0,) * PEOPLE, frozenset(), frozenset(), frozenset(),
                tuple(APost(a, v, PARTNERS, frozenset()) for a in (0, 3) for v in Visibility),
            )  # fmt: skip
            _, made = await database.write(build, world)
            seen = await database.read(lambda tx: [posts.seen_by(tx, i, Seer(None, DOMAINS[0])) for i in made])
            assert seen == [True, True, False, False, False, False, False, False]
            assert not await database.read(posts.seen_by, Id(1), Seer(None, DOMAINS[0]))
        finally:
            await database.close()

    asyncio.run(check())
