"""Who will get this: the preview names exactly those whom the post then reaches, whatever the post and the people."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedishare.model.actors import Actor
from fedishare.model.ids import Id
from fedishare.model.posts import Visibility
from fedishare.services import audience
from fedishare.store import actors, jobs, posts
from fedishare.store.db import Tx
from fedishare.store.jobs import JobState
from tests.support.instances import House, house

TERMS = [
    {"domain": "lab.example", "reason": "test"},
    {"domain": "ward.example", "reason": "test", "ceiling_out": "private"},
    {"domain": "mute.example", "reason": "test", "direction": "in"},
]


@dataclass
class Crowd:
    """Two followers at the first partner, one at each other, and one who follows nobody."""

    home: House
    people: list[Actor]

    async def preview(self, **fields: Any) -> dict[str, Any]:
        found: dict[str, Any] = await self.home.ana.do("/api/v1/fedishare/audience", **fields)
        return found


async def crowd(home: House) -> Crowd:
    people = [
        await home.guest(name, domain)
        for name, domain in (
            ("l1", "lab.example"), ("l2", "lab.example"), ("w1", "ward.example"), ("m1", "mute.example"),
            ("l3", "lab.example"),
        )
    ]  # fmt: skip
    for person in people[:4]:
        await home.followed(person, home.ana)
    await home.friends()
    return Crowd(home, people)


def recipients_of(tx: Tx, ident: Id) -> Counter[str]:
    """The people of each partner that a published post is for, by the code that delivery uses."""
    post = posts.by_id(tx, ident)
    assert post is not None
    author = actors.by_id(tx, post.author_id)
    assert author is not None
    return Counter(str(r.domain) for r in audience.recipients(tx, post, author))


mentions = st.lists(
    st.sampled_from(["@ben", "@l1@lab.example", "@l3@lab.example", "@w1@ward.example", "@m1@mute.example"]), max_size=3
)
drafts = st.fixed_dictionaries(
    {"words": mentions},
    optional={
        "visibility": st.sampled_from([v.word for v in Visibility]),
        "reach": st.sampled_from(["local", "partners", ["lab.example"], ["lab.example", "ward.example"]]),
        "answers": st.sampled_from(["own wide", "own narrow", "theirs"]),
        "spoiler_text": st.just("careful"),
        "poll": st.just({"options": ["a", "b"], "expires_in": 600}),
    },
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chosen=st.lists(drafts, min_size=1, max_size=4))
def test_the_preview_names_whom_the_post_reaches(
    tmp_path_factory: pytest.TempPathFactory, chosen: list[dict[str, Any]]
) -> None:
    async def check() -> None:
        async with house(tmp_path_factory.mktemp("audience"), partners=TERMS) as home:
            home.world.internet.answer("mute.example", 202)
            made = await crowd(home)
            answered = {
                "own wide": (await home.ana.say("wide", reach="partners"))["id"],
                "own narrow": (await home.ana.say("narrow", reach=["lab.example"]))["id"],
                "theirs": str((await home.said(made.people[0], "theirs", visibility=Visibility.UNLISTED)).id),
            }
            await home.world.settle()
            for number, draft in enumerate(chosen):
                await compare(made, number, draft, answered)

    asyncio.run(check())


async def compare(made: Crowd, number: int, draft: dict[str, Any], answered: dict[str, str]) -> None:
    """Look, publish, and see what left."""
    home = made.home
    fields = {k: v for k, v in draft.items() if k not in ("words", "answers")}
    fields["status"] = f"n{number} " + " ".join(draft["words"])
    if "answers" in draft:
        fields["in_reply_to_id"] = answered[draft["answers"]]
    seen = await made.preview(**fields)
    home.world.internet.forget()
    said = await home.ana.say(**{"text": fields.pop("status")}, **fields)
    await home.world.settle()
    assert (said["visibility"], said["reach"]) == (seen["visibility"], seen["reach"])
    actual = await home.org.read(recipients_of, Id(int(said["id"])))
    assert {p["domain"]: p["people"] for p in seen["partners"]} == dict(actual), (draft, seen)
    # What left the building is for the partners that the preview allowed, and for nobody else.
    left = {sent.host for sent in home.world.internet.sent}
    allowed = {p["domain"] for p in seen["partners"] if p["allowed"]}
    assert left == allowed, (draft, seen)
    for sent in home.world.internet.sent:
        assert json.loads(sent.body or b"{}")["object"]["id"] == said["uri"]
    assert all(p["rule"] and p["reason"] for p in seen["partners"])
    assert {m["acct"] for m in seen["mentions"]} == {m["acct"] for m in said["mentions"]}
    told = said.get("fedishare", {"unreached": [], "narrowed": []})
    assert {u["acct"] for u in seen["unreached"]} == {u["acct"] for u in told["unreached"]}
    assert seen["narrowed"] == told["narrowed"]
    withheld = [
        row for row in await home.org.read(jobs.of_post, Id(int(said["id"]))) if row.state is JobState.CANCELLED
    ]
    assert {row.host for row in withheld} == {p["domain"] for p in seen["partners"] if not p["allowed"]}


async def test_the_preview_counts_people_here_and_writes_nothing(home: House) -> None:
    made = await crowd(home)
    await home.world.settle()
    home.world.internet.forget()
    before = await home.org.rows()
    seen = await made.preview(status="hello @cy", reach="partners", visibility="private")
    assert (seen["local_people"], seen["everybody_here"], seen["instance"]) == (2, False, "home.example")
    assert [(p["domain"], p["people"], p["allowed"]) for p in seen["partners"]] == [
        ("lab.example", 2, True), ("mute.example", 1, False), ("ward.example", 1, True),
    ]  # fmt: skip
    seen = await made.preview(status="@cy", visibility="direct")
    assert (seen["local_people"], seen["partners"], seen["reach"]) == (1, [], "local")
    seen = await made.preview(status="to all")
    assert (seen["everybody_here"], seen["partners"], seen["visibility"]) == (True, [], "public")
    assert await home.org.rows() == before and home.world.internet.sent == []
    refused = await home.ana.client.post("/api/v1/fedishare/audience", json={"status": "x", "reach": ["evil.example"]})
    assert (refused.status_code, "evil.example is not a partner" in refused.json()["error"]) == (422, True)
    missing = await home.ana.client.post("/api/v1/fedishare/audience", json={"status": "x", "in_reply_to_id": "1"})
    assert missing.status_code == 404


async def test_a_post_that_stays_asks_nobody(home: House) -> None:
    """Naming somebody whom we do not know is no reason to ask a partner, unless the post may go there."""
    text = "@new@lab.example @x@ward.example look"
    for fields in (
        {}, {"reach": "local"}, {"local_only": True}, {"visibility": "private"},
        {"in_reply_to_id": (await home.ana.say("here"))["id"], "reach": "partners"},
    ):  # fmt: skip
        await home.ana.say(text, **fields)
        await home.ana.do("/api/v1/fedishare/audience", status=text, **fields)
    assert home.world.internet.sent == [] and home.world.internet.dns_lookups == []
    said = await home.ana.say(text, reach=["lab.example"])
    assert {s.host for s in home.world.internet.sent} == {"lab.example"}, "and then only that one"
    assert {u["acct"] for u in said["fedishare"]["unreached"]} == {"new@lab.example", "x@ward.example"}
    home.world.internet.forget()
    await home.ana.say(text, visibility="direct")
    assert {s.host for s in home.world.internet.sent} == {"lab.example", "ward.example"}
    home.world.internet.forget()
    await home.ana.edit(said, text + " more")
    assert {s.host for s in home.world.internet.sent} == {"lab.example"}
