"""What the measured server knows before it starts: local people, the partner world, and full home timelines.

Written with the store's own functions while no server runs, so that it is what a server itself would have written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fedishare.activitypub.keys import generate_ed25519
from fedishare.app import opened_database, prepare_database, site_of
from fedishare.config import load, prepare
from fedishare.model.actors import Actor, FollowState
from fedishare.model.ids import Domain, Id, Iri, Millis, id_at, iri_hash
from fedishare.model.posts import LOCAL, Content, PostKind, RemotePost, Visibility
from fedishare.model.quotes import OPEN
from fedishare.services import accounts
from fedishare.services import posts as post_services
from fedishare.services.accounts import KeyPair
from fedishare.services.site import Site
from fedishare.store import actors, posts, relations, timelines
from fedishare.store.db import Database, Tx
from tests.bench import searching
from tests.bench.partners import Person, World, note_iri

POSTERS = 8
FANS = 10
"""Local followers of each poster."""
READER, SPEAKER, HERALD = "reader", "speaker", "herald"
FIRST_NUMBER = 1_000_000
"""Numbers of the notes that are there from the start; sent ones count from here on."""
_BATCH = 10_000


def config_text(domain: str, port: int, database: str, partners: Sequence[Domain]) -> str:
    """The instance.toml of a server that is measured."""
    entries = "".join(f'\n[[federation.partners]]\ndomain = "{host}"\nreason = "bench"\n' for host in partners)
    return f"""\
[server]
domain = "{domain}"
origin = "http://{domain}"
listen = "127.0.0.1:{port}"
development = true
[database]
url = "{database}"
[limits]
rates = false
[log]
level = "warning"
{entries}"""


def token_of(name: str) -> str:
    """The bearer token of a local person."""
    return f"bench-token-of-{name}"


@dataclass(frozen=True, slots=True)
class Seed:
    """How full to make it. ``home`` posts stand in the reader's home timeline."""

    world: World
    home: int
    followers: bool = True
    """Whether speaker and herald have their thousand followers."""
    crowd: int = 0
    """More local people, who follow the first poster."""
    words: bool = False
    """Whether the posts are for being searched."""


async def fill(config_path: Path, seed: Seed) -> Id:
    """Make the database of a configuration and fill it; the reader's id."""
    config = prepare(load(config_path, environ={}))
    # What is there from the start has its previews, if any: nothing is to be looked for when the clock runs.
    site = replace(site_of(config), may_preview=lambda _: False)
    async with opened_database(config) as database:
        await prepare_database(database, site)
        people = await database.write(_local_people, site, seed.world)
        reader = people[READER]
        writers = await database.write(_remote_people, seed.world, seed.world.writers)
        await database.write(_follow, [(reader, writer) for writer in writers])
        if seed.followers:
            for name, persons in ((SPEAKER, seed.world.singles), (HERALD, seed.world.sharers)):
                found = await database.write(_remote_people, seed.world, persons)
                await database.write(_follow, [(actor, people[name]) for actor in found])
        await database.write(_crowd, site, seed.world, people["poster0"], seed.crowd)
        pairs = list(zip(seed.world.writers, writers, strict=True))
        if seed.words:
            for start in range(0, seed.home, _BATCH):
                await database.write(_insert_words, pairs, start, min(start + _BATCH, seed.home), seed.home)
        else:
            await _fill_home(database, site, reader, pairs, seed.home)
        await database.write(searching.settle)
    return reader.id


def _local_people(tx: Tx, site: Site, world: World) -> dict[str, Actor]:
    posters = [f"poster{n}" for n in range(POSTERS)]
    fans = [f"fan{n}" for n in range(FANS)]
    names = (READER, SPEAKER, HERALD, *posters, *fans)
    made = {name: _person(tx, site, world, name, number) for number, name in enumerate(names)}
    _follow(tx, [(made[fan], made[poster]) for fan in fans for poster in posters])
    return made


def _person(tx: Tx, site: Site, world: World, name: str, key: int) -> Actor:
    ed25519 = generate_ed25519()
    keys = KeyPair(world.private[key], world.public[key], ed25519.pem(), ed25519.public().multibase())
    made = accounts.create(tx, site, name, keys, email=None, password_hash=None)
    accounts.issue_token(tx, name, token_of(name), "read write follow")
    return made


def _crowd(tx: Tx, site: Site, world: World, poster: Actor, number: int) -> None:
    _follow(tx, [(_person(tx, site, world, f"crowd{n}", 0), poster) for n in range(number)])


def _remote_people(tx: Tx, world: World, persons: Sequence[Person]) -> list[Actor]:
    return [actors.put_remote(tx, world.remote(person), person.host) for person in persons]


def _follow(tx: Tx, pairs: Sequence[tuple[Actor, Actor]]) -> None:
    for follower, followee in pairs:
        iri = Iri(f"{follower.iri}/follows/{followee.id}")
        relations.put_follow(tx, follower, followee, FollowState.ACCEPTED, iri)
        relation = relations.follow(tx, follower.id, followee.id)
        assert relation is not None
        relations.set_follow_state(tx, relation.id, FollowState.ACCEPTED)
        actors.count_follow(tx, follower.id, followee.id, +1)


async def _fill_home(
    database: Database, site: Site, reader: Actor, writers: Sequence[tuple[Person, Actor]], number: int
) -> None:
    """The newest thousand as they come in; whatever lies before them by the row, because it may be a million."""
    newest = min(number, 1000)
    for start in range(0, number - newest, _BATCH):
        await database.write(_insert_rows, reader.id, writers, start, min(start + _BATCH, number - newest), number)
    await database.write(_receive, site, writers, number - newest, number)


def _content(number: int) -> Content:
    return Content(
        html=f'<p>Measurement {number}: the results of yesterday are in the <a href="http://lab.localhost/">usual'
        " place</a>, as always before ten o&#39;clock, and the centrifuge is free.</p>",
        language="en",
    )


def _receive(tx: Tx, site: Site, writers: Sequence[tuple[Person, Actor]], start: int, end: int) -> None:
    for number in range(start, end):
        person, actor = writers[number % len(writers)]
        iri = note_iri(person, number)
        post = RemotePost(
            iri=iri, url=iri, author=actor.iri, kind=PostKind.NOTE, visibility=Visibility.PUBLIC,
            content=_content(number), published=tx.now, updated=None, in_reply_to=None,
        )  # fmt: skip
        post_services.receive(tx, site, actor, post)


def _insert_rows(tx: Tx, reader: Id, writers: Sequence[tuple[Person, Actor]], start: int, end: int, total: int) -> None:
    rows = list(_rows(tx.now, writers, start, end, total))
    tx.many(posts.INSERT, rows)
    tx.many(timelines.PUT_OWN, ({"owner": reader, "post": row["id"]} for row in rows))


def _insert_words(tx: Tx, writers: Sequence[tuple[Person, Actor]], start: int, end: int, total: int) -> None:
    made = list(searching.texts(list(_rows(tx.now, writers, start, end, total)), start))
    tx.many(posts.INSERT, [row for row, _ in made])
    searching.put_words(tx, [words for _, words in made])
    searching.settle(tx)


def _rows(
    now: Millis, writers: Sequence[tuple[Person, Actor]], start: int, end: int, total: int
) -> Iterator[Mapping[str, Any]]:
    """Rows of posts, a millisecond apart, all before now."""
    for number in range(start, end):
        person, actor = writers[number % len(writers)]
        iri = note_iri(person, number)
        when = Millis(now - 3_600_000 - total + number)
        ident = id_at(when)
        yield {
            "id": ident, "iri": iri, "hash": iri_hash(iri), "url": iri, "author_id": actor.id, "local": 0,
            "kind": "Note", "visibility": 0, "reach": LOCAL.encode(), "html": _content(number).html, "source": "",
            "summary": "", "title": "", "sensitive": 0, "language": "en", "extra": "{}", "published": when,
            "created_at": when, "edited_at": None, "in_reply_to_id": None, "in_reply_to_iri": None,
            "in_reply_to_account_id": None, "boost_of_id": None, "thread_id": ident, "context_iri": None,
            "app_name": None, "policy": OPEN, "quoting": 0,
        }  # fmt: skip
