"""Whatever order activities come in, however often, through whichever door: the end is the same."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fedishare.store.db import sql
from tests.support.builders import Us, follow, server
from tests.support.internet import PretendInternet
from tests.support.peer import AS2, PeerServer, Person

WORDS = (
    "Create", "Update 1", "Update 2", "Delete", "Like", "Undo Like", "Announce", "Undo Announce", "Follow",
    "Undo Follow",
)  # fmt: skip
TIMES = {"Create": "2024-05-01T10:00:00Z", "Update 1": "2024-05-01T11:00:00Z", "Update 2": "2024-05-01T12:00:00Z"}
END = sql(
    "convergence_end",
    """SELECT (SELECT count(*) FROM interaction WHERE kind = 1),
        (SELECT count(*) FROM post WHERE boost_of_id IS NOT NULL),
        (SELECT count(*) FROM follow f JOIN actor a ON a.id = f.follower_id WHERE a.domain IS NOT NULL),
        (SELECT sum(favourites_count) FROM post), (SELECT sum(boosts_count) FROM post),
        (SELECT count(*) FROM notification WHERE kind = 'favourite')""",
)


@dataclass(frozen=True, slots=True)
class End:
    """What is left."""

    content: str | None
    liked: bool
    boosted: bool
    followed: bool


@st.composite
def arrivals(draw: st.DrawFn) -> list[tuple[str, str]]:
    """Some activities in any order, each at least once, each through one of the doors."""
    chosen = draw(st.lists(st.sampled_from(WORDS), min_size=1, unique=True))
    if {"Update 1", "Update 2", "Delete"} & set(chosen) and "Create" not in chosen:
        chosen.append("Create")
    again = draw(st.lists(st.sampled_from(chosen), max_size=len(chosen)))
    order = draw(st.permutations([*chosen, *again]))
    return [(word, draw(st.sampled_from(("shared", "personal")))) for word in order]


def _expected(words: set[str]) -> End:
    """What the set of activities comes to: an Undo or a Delete wins over what it takes back."""
    versions = sorted(word for word in words if word in TIMES)
    gone = "Delete" in words or not versions
    return End(
        content=None if gone else f"<p>{versions[-1]}</p>",
        liked="Like" in words and "Undo Like" not in words,
        boosted="Announce" in words and "Undo Announce" not in words,
        followed="Follow" in words and "Undo Follow" not in words,
    )


def _activities(peer: PeerServer, ben: Person, ours: str, ana: str) -> dict[str, dict[str, Any]]:
    made: dict[str, dict[str, Any]] = {}
    note = peer.note(ben, "Create", published=TIMES["Create"])
    made["Create"] = peer.activity("Create", ben, note)
    for word in ("Update 1", "Update 2"):
        made[word] = peer.activity("Update", ben, note | {"content": f"<p>{word}</p>", "updated": TIMES[word]})
    made["Delete"] = peer.activity("Delete", ben, {"id": note["id"], "type": "Tombstone"})
    made["Like"] = peer.activity("Like", ben, ours)
    made["Announce"] = peer.activity("Announce", ben, ours, to=[AS2 + "#Public"], cc=[ben.followers])
    made["Follow"] = peer.activity("Follow", ben, ana)
    for word in ("Like", "Announce", "Follow"):
        made[f"Undo {word}"] = peer.activity("Undo", ben, made[word])
    return made


async def _end(us: Us, note: str) -> End:
    post = await us.find_post(note)
    row = (await us.rows(END))[0]
    likes, boosts, follows, like_count, boost_count, told = (int(value or 0) for value in row)
    assert (like_count, boost_count) == (likes, boosts), "the counts are those of what is there"
    assert max(likes, boosts, follows, told) <= 1
    return End(post.content.html if post else None, likes > 0, boosts > 0, follows > 0)


async def _play(order: Sequence[tuple[str, str]]) -> End:
    internet = PretendInternet()
    with tempfile.TemporaryDirectory() as folder:
        async with server(Path(folder), internet, partners=["peer.example"]) as us:
            peer = PeerServer(internet, "peer.example", us)
            ana, ben = await us.person("ana"), peer.person("ben")
            ours = await us.post(ana, "ours")
            assert (await peer.deliver(ben, peer.create(ben, "so that we know each other"))).status == 202
            await follow(us, ana, ben.id)
            made = _activities(peer, ben, str(ours.iri), str(ana.iri))
            doors = {"shared": str(us.inbox), "personal": f"{ana.iri}/inbox"}
            for word, door in order:
                answer = await peer.deliver(ben, made[word], doors[door])
                assert answer.status == 202, (word, answer)
            await us.settle()
            return await _end(us, made["Create"]["object"]["id"])


@settings(max_examples=25, deadline=None)
@given(order=arrivals())
def test_any_order_and_any_number_come_to_the_same_end(order: list[tuple[str, str]]) -> None:
    assert asyncio.run(_play(order)) == _expected({word for word, _ in order})
