"""What people and partners do, many at once and out of order, has the effect of doing it once; on both engines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from fedishare.model.actors import Actor
from fedishare.model.errors import BadInput, Conflict, NotAllowed, NotFound
from fedishare.model.ids import Id, Iri, Millis
from fedishare.model.names import Names
from fedishare.model.posts import PARTNERS, Content, Draft, Poll, PollOption, Post, PostKind, RemotePost, Visibility
from fedishare.services import accounts, interactions, posts, relations
from fedishare.services.site import Site
from fedishare.store import actors, notifications, timelines
from fedishare.store import interactions as interaction_store
from fedishare.store import posts as post_store
from fedishare.store.db import Database, Tx
from fedishare.store.interactions import Kind
from fedishare.store.notifications import EVERYTHING
from fedishare.store.paging import Page
from tests.support.builders import key_pair
from tests.support.instances import remote_actor

SITE = Site(Names("https://home.example", "home.example"), default_reach=PARTNERS)  # type: ignore[arg-type]
AT_ONCE = 8


@dataclass
class Room:
    """A database with ana and ben here, and zoe at a partner."""

    database: Database
    ana: Actor
    ben: Actor
    zoe: Actor

    async def write(self, fn: Callable[..., Any], *args: Any, **kw: Any) -> Any:
        """A transaction."""
        return await self.database.write(fn, *args, **kw)

    async def read(self, fn: Callable[..., Any], *args: Any, **kw: Any) -> Any:
        """A read."""
        return await self.database.read(fn, *args, **kw)

    async def together(self, fn: Callable[..., Any], *args: Any, **kw: Any) -> list[Any]:
        """The same, many times at once. What is refused is returned as the error."""
        calls = [self.database.write(fn, *args, **kw) for _ in range(AT_ONCE)]
        return await asyncio.gather(*calls, return_exceptions=True)

    async def post(self, text: str = "hello", **draft: Any) -> Post:
        """A post of ana's for everybody."""
        values: dict[str, Any] = {"reach": PARTNERS, "visibility": Visibility.PUBLIC} | draft
        made = await self.write(posts.publish, SITE, self.ana, Draft(text, **values))
        found: Post = made.post
        return found

    async def actor(self, actor: Actor) -> Actor:
        """As it is now."""
        found = await self.read(actors.by_id, actor.id)
        assert found is not None
        return found  # type: ignore[no-any-return]

    async def stored(self, post: Post) -> Post:
        """As it is now."""
        found = await self.read(post_store.by_id, post.id)
        assert found is not None
        return found  # type: ignore[no-any-return]


@pytest.fixture
async def room(database: Database) -> Room:
    """The room."""
    people = [
        await database.write(accounts.create, SITE, name, key_pair(n), email=None, password_hash=None)
        for n, name in enumerate(("ana", "ben"))
    ]
    zoe = await database.write(remote_actor, "zoe", "lab.example")
    return Room(database, people[0], people[1], zoe)


def note(author: Actor, number: int = 1, **changes: Any) -> RemotePost:
    """A partner's post."""
    iri = Iri(f"{author.iri}/statuses/{number}")
    made = RemotePost(
        iri, iri, author.iri, PostKind.NOTE, Visibility.PUBLIC, Content(f"<p>n{number}</p>"), Millis(1_600_000_000_000),
        None, None,
    )  # fmt: skip
    return replace(made, **changes)


async def test_a_partners_post_arrives_once_however_often_it_comes(room: Room) -> None:
    made = await room.together(posts.receive, SITE, room.zoe, note(room.zoe))
    assert sum(each is not None for each in made) == 1, made
    assert (await room.actor(room.zoe)).posts_count == 1
    assert len(await room.read(timelines.public, room.ana.id, Page())) == 1


async def test_what_partners_do_at_once_counts_once(room: Room) -> None:
    post = await room.post(
        "which?", poll=Poll((PollOption("a"), PollOption("b")), ends_at=Millis(2 * 10**12), voters=0)
    )
    await room.together(interactions.receive_favourite, room.zoe, Iri("https://lab.example/likes/1"), post.iri)
    boosts = [room.write(interactions.receive_boost, room.zoe, Iri(f"https://lab.example/boosts/{n}"), post,
                         Visibility.PUBLIC, None) for n in range(AT_ONCE)]  # fmt: skip
    done = await asyncio.gather(*boosts, return_exceptions=True)
    assert sum(isinstance(each, Post) for each in done) == 1
    assert all(each is None or isinstance(each, Post | Conflict) for each in done), done
    votes = await room.together(interactions.receive_vote, room.zoe, post, "b")
    assert votes.count(True) == 1
    await room.together(relations.receive_follow, room.zoe, room.ana, Iri("https://lab.example/follows/1"))
    now = await room.stored(post)
    assert (now.favourites_count, now.boosts_count) == (1, 1)
    poll = now.content.poll
    assert poll is not None and ([o.votes for o in poll.options], poll.voters) == ([0, 1], 1)
    assert (await room.actor(room.ana)).followers_count == 1 == (await room.actor(room.zoe)).following_count
    kinds = [n.kind for n in await room.read(notifications.page, room.ana.id, EVERYTHING, Page())]
    assert sorted(kinds) == ["favourite", "follow", "reblog"]
    await room.together(interactions.receive_unfavourite, room.zoe, now)
    await room.together(relations.receive_unfollow, room.zoe, room.ana.id)
    assert (await room.stored(post)).favourites_count == 0
    assert (await room.actor(room.ana)).followers_count == 0 == (await room.actor(room.zoe)).following_count


async def test_what_is_deleted_stays_deleted(room: Room) -> None:
    """In whatever order Create, Update and Delete arrive, and by whomever else they are said to be."""
    first, eve = note(room.zoe), await room.write(remote_actor, "eve", "lab.example")
    assert await room.write(posts.receive_removal, room.zoe.iri, first.iri) is False
    assert await room.write(posts.receive, SITE, room.zoe, first) is None
    assert (
        await room.write(posts.receive_edit, SITE, room.zoe, replace(first, updated=Millis(1_700_000_000_000))) is None
    )
    assert await room.read(post_store.by_iri, first.iri) is None
    other = note(room.zoe, 2)
    assert await room.write(posts.receive_removal, eve.iri, other.iri) is False
    assert await room.write(posts.receive, SITE, room.zoe, other) is not None, "nobody buries what another one owns"
    with pytest.raises(NotAllowed):
        await room.write(posts.receive_removal, eve.iri, other.iri)
    with pytest.raises(NotAllowed):
        await room.write(posts.receive_edit, SITE, eve, other)
    done = await room.together(posts.receive_removal, room.zoe.iri, other.iri)
    assert done.count(True) == 1 and (await room.actor(room.zoe)).posts_count == 0, done
    mine = await room.post()
    await room.write(posts.remove, room.ana, mine.id)
    assert await room.write(posts.receive, SITE, room.ana, note(room.ana, iri=mine.iri)) is None
    with pytest.raises(NotFound):
        await room.write(posts.remove, room.ana, mine.id)


async def test_what_is_taken_back_at_once_counts_once(room: Room) -> None:
    post, other = await room.post(), await room.post("other")
    boost = await room.write(interactions.boost, SITE, room.ben, post.id)
    await room.together(interactions.unboost, room.ben, post.id)
    assert (await room.stored(post)).boosts_count == 0 == (await room.actor(room.ben)).posts_count
    assert await room.read(post_store.by_id, boost.id) is None
    done = await room.together(posts.remove, room.ana, other.id)
    assert sum(isinstance(each, Post) for each in done) == 1
    assert sum(isinstance(each, NotFound) for each in done) == AT_ONCE - 1
    assert (await room.actor(room.ana)).posts_count == 1


async def test_edits_keep_a_history_and_their_order(room: Room) -> None:
    first = note(room.zoe)
    await room.write(posts.receive, SITE, room.zoe, first)
    for updated, text in ((1_690_000_000_000, "third"), (1_680_000_000_000, "second"), (1_690_000_000_000, "again")):
        changed = replace(first, updated=Millis(updated), content=Content(f"<p>{text}</p>"))
        await room.write(posts.receive_edit, SITE, room.zoe, changed)
    found = await room.read(post_store.by_iri, first.iri)
    assert found is not None and found.content.html == "<p>third</p>" and found.edited_at == 1_690_000_000_000
    assert [content.html for _, content in await room.read(post_store.edits, found.id)] == ["<p>n1</p>"]
    far = replace(first, updated=Millis(9_000_000_000_000), content=Content("<p>from the future</p>"))
    await room.write(posts.receive_edit, SITE, room.zoe, far)
    found = await room.read(post_store.by_iri, first.iri)
    assert found is not None and found.edited_at is not None and found.edited_at < 2_000_000_000_000


async def test_answers_that_come_before_their_question_are_joined(room: Room) -> None:
    question, answer = note(room.zoe, 1), note(room.zoe, 2)
    below = note(room.zoe, 3, in_reply_to=answer.iri)
    for each in (below, replace(answer, in_reply_to=question.iri), question):
        assert await room.write(posts.receive, SITE, room.zoe, each) is not None
    top, middle, bottom = [await room.read(post_store.by_iri, p.iri) for p in (question, answer, below)]
    assert top is not None and middle is not None and bottom is not None
    assert (middle.in_reply_to_id, bottom.in_reply_to_id) == (top.id, middle.id)
    assert {p.thread_id for p in (middle, bottom)} == {top.id} and (top.replies_count, middle.replies_count) == (1, 1)
    assert await room.read(post_store.ancestors, bottom.id) == [top.id, middle.id]
    assert set(await room.read(post_store.descendants, top.id)) == {middle.id, bottom.id}
    await room.write(posts.receive_removal, room.zoe.iri, answer.iri)
    alone, first = [await room.read(post_store.by_iri, p.iri) for p in (below, question)]
    assert alone is not None and alone.in_reply_to_id is None and alone.rev > bottom.rev
    assert first is not None and first.replies_count == 0


async def test_votes_and_edits_side_by_side_lose_nothing(room: Room) -> None:
    asked = Poll((PollOption("a"), PollOption("b")), ends_at=Millis(2 * 10**12), voters=0)
    post = await room.post("which? #one", poll=asked)
    people = [await room.write(accounts.create, SITE, f"p{n}", key_pair(n % 4), email=None, password_hash=None)
              for n in range(6)]  # fmt: skip
    edits = [room.write(posts.edit, SITE, room.ana, post.id, Draft(f"which {n}? #two", poll=asked)) for n in range(4)]
    votes = [room.write(interactions.vote, person, post.id, [number % 2]) for number, person in enumerate(people)]
    await asyncio.gather(*edits, *votes)
    now = await room.stored(post)
    assert now.content.poll is not None and [o.votes for o in now.content.poll.options] == [3, 3]
    assert now.content.hashtags == ("two",) and now.content.poll.voters == 6
    with pytest.raises(BadInput, match="already voted"):
        await room.write(interactions.vote, people[0], post.id, [1])


async def test_the_same_key_at_once_makes_one_post(room: Room) -> None:
    made = await room.together(posts.publish, SITE, room.ana, Draft("once"), key="k")
    assert len({each.post.id for each in made}) == 1 and sum(not each.repeated for each in made) == 1
    assert (await room.actor(room.ana)).posts_count == 1
    other = await room.write(posts.publish, SITE, room.ben, Draft("once"), key="k")
    assert not other.repeated


async def test_following_each_other_at_once_ends_well(room: Room) -> None:
    """Both rows of both people change in both transactions: the engine may make one of them try again."""
    one = [room.write(relations.follow, SITE, room.ana, room.ben.id) for _ in range(AT_ONCE)]
    other = [room.write(relations.follow, SITE, room.ben, room.ana.id) for _ in range(AT_ONCE)]
    await asyncio.gather(*one, *other)
    for person in (room.ana, room.ben):
        now = await room.actor(person)
        assert (now.followers_count, now.following_count) == (1, 1)
    await asyncio.gather(*[room.write(relations.block, SITE, room.ana, room.ben.id) for _ in range(AT_ONCE)])
    for person in (room.ana, room.ben):
        now = await room.actor(person)
        assert (now.followers_count, now.following_count) == (0, 0)
    refused = await room.together(relations.follow, SITE, room.ben, room.ana.id)
    assert all(isinstance(each, NotAllowed) for each in refused)


async def test_who_is_erased_takes_everything_along(room: Room) -> None:
    for number in range(1, 4):
        await room.write(posts.receive, SITE, room.zoe, note(room.zoe, number))
    mine = await room.post()
    await room.write(relations.receive_follow, room.zoe, room.ana, Iri("https://lab.example/follows/1"))
    await room.write(
        interactions.receive_boost, room.zoe, Iri("https://lab.example/boosts/1"), mine, Visibility.PUBLIC, 1
    )
    await room.write(accounts.erase, await room.actor(room.zoe))
    gone = await room.actor(room.zoe)
    assert (gone.posts_count, gone.following_count, int(gone.state)) == (0, 0, 3)
    assert (await room.stored(mine)).boosts_count == 0 and (await room.actor(room.ana)).followers_count == 0
    assert await room.write(posts.receive, SITE, room.zoe, note(room.zoe, 1)) is None


async def test_private_marks_tell_nobody(room: Room) -> None:
    post = await room.post()
    for kind in (Kind.BOOKMARK, Kind.MUTE_THREAD):
        for on in (True, True, False, False, True):
            await room.write(interactions.mark, room.ben, post.id, kind, on)

    def marks(tx: Tx) -> tuple[set[Kind], list[Any]]:
        flags, _ = interaction_store.flags(tx, room.ben.id, [post.id])
        return flags.get(Id(post.id), set()), notifications.page(tx, room.ana.id, EVERYTHING, Page())

    found, told = await room.read(marks)
    assert found == {Kind.BOOKMARK, Kind.MUTE_THREAD} and told == []
    assert (await room.stored(post)).rev == post.rev, "nothing of it shows to others"
