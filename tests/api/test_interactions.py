"""Favourites, boosts, bookmarks, pins, muted threads and polls: counts are right in the answer to the change itself."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from fedishare.model.ids import Millis
from fedishare.model.posts import Poll, PollOption, Visibility
from fedishare.store import jobs
from tests.support.instances import House
from tests.support.world import Person, plain


def numbers(status: dict[str, object]) -> tuple[object, ...]:
    return tuple(status[k] for k in ("favourites_count", "favourited", "reblogs_count", "reblogged"))


async def test_favourites_and_boosts_count_once_and_come_back(both: House) -> None:
    ana, ben = both.ana, both.ben
    said = await ana.say("look")
    at = f"/api/v1/statuses/{said['id']}"
    for _ in range(2):
        assert numbers(await ben.do(f"{at}/favourite")) == (1, True, 0, False)
    boosts = [await ben.do(f"{at}/reblog") for _ in range(2)]
    assert boosts[0]["id"] == boosts[1]["id"] != said["id"]
    assert numbers(boosts[0]["reblog"]) == (1, True, 1, True) and boosts[0]["reblogged"] is True
    assert boosts[0]["account"]["acct"] == "ben" and boosts[0]["reblog"]["account"]["acct"] == "ana"
    assert numbers(await ana.get(at)) == (1, False, 1, False)
    assert Counter(await ana.notifications()) == Counter([("reblog", "ben"), ("favourite", "ben")])
    assert [a["acct"] for a in await ana.get(f"{at}/favourited_by")] == ["ben"]
    assert [a["acct"] for a in await ana.get(f"{at}/reblogged_by")] == ["ben"]
    assert numbers(await ben.do(f"/api/v1/statuses/{boosts[0]['id']}/unfavourite")) == (0, False, 1, True)
    undone = await ben.do(f"/api/v1/statuses/{boosts[0]['id']}/unreblog")
    assert undone["id"] == said["id"] and undone["reblog"] is None and numbers(undone) == (0, False, 0, False)
    for verb in ("unreblog", "unfavourite"):
        assert numbers(await ben.do(f"{at}/{verb}")) == (0, False, 0, False)
    assert await ana.notifications() == []
    assert (await ben.get("/api/v1/accounts/verify_credentials"))["statuses_count"] == 0


async def test_many_at_once_have_one_effect_each(both: House) -> None:
    """Side by side, as PostgreSQL runs them: nobody is counted twice, nobody is lost."""
    said = await both.ana.say("look")
    asked = await both.ana.say("which?", poll={"options": ["a", "b"], "expires_in": 600})
    at = f"/api/v1/statuses/{said['id']}"

    async def one(person: Person) -> list[int]:
        posts = [
            f"{at}/favourite", f"{at}/reblog", f"{at}/bookmark", f"/api/v1/accounts/{both.ana.id}/follow",
        ]  # fmt: skip
        done = await asyncio.gather(
            *(person.client.post(path) for path in posts * 3),
            *(
                person.client.post(f"/api/v1/polls/{asked['poll']['id']}/votes", json={"choices": [0]})
                for _ in range(3)
            ),
            *(
                person.client.post("/api/v1/statuses", json={"status": "once"}, headers={"idempotency-key": "same"})
                for _ in range(3)
            ),
        )
        return [answer.status_code for answer in done]

    for codes in await asyncio.gather(one(both.ben), one(both.cy)):
        assert Counter(codes) == Counter({200: 16, 422: 2}), "two of three votes are refused, all else is the same"
    seen = await both.ben.get(at)
    assert numbers(seen) == (2, True, 2, True)
    assert (await both.ana.get(f"/api/v1/polls/{asked['poll']['id']}"))["votes_count"] == 2
    ana = await both.ana.get("/api/v1/accounts/verify_credentials")
    assert (ana["followers_count"], ana["statuses_count"]) == (2, 2)
    ben = await both.ben.get("/api/v1/accounts/verify_credentials")
    assert (ben["following_count"], ben["statuses_count"]) == (1, 2)
    assert Counter(await both.ana.notifications()) == Counter(
        {(kind, who): 1 for kind in ("favourite", "reblog", "follow") for who in ("ben", "cy")}
    )


async def test_bookmarks_and_favourites_are_lists_of_ones_own(both: House) -> None:
    said = [await both.ana.say(str(n)) for n in range(5)]
    for status in said:
        marked = await both.ben.do(f"/api/v1/statuses/{status['id']}/bookmark")
        assert marked["bookmarked"] is True
        await both.ben.do(f"/api/v1/statuses/{status['id']}/favourite")
    for path in ("/api/v1/bookmarks", "/api/v1/favourites"):
        assert [plain(s) for s in await both.ben.get(path)] == ["4", "3", "2", "1", "0"]
        assert await both.cy.get(path) == []
        first = await both.ben.client.get(path, params={"limit": 2})
        second = await both.ben.client.get(first.links["next"]["url"])
        assert [plain(s) for s in second.json()] == ["2", "1"]
        back = await both.ben.client.get(second.links["prev"]["url"])
        assert [plain(s) for s in back.json()] == ["4", "3"]
    assert (await both.ben.do(f"/api/v1/statuses/{said[4]['id']}/unbookmark"))["bookmarked"] is False
    await both.ana.delete(said[3])
    assert [plain(s) for s in await both.ben.get("/api/v1/bookmarks")] == ["2", "1", "0"]


async def test_pins_are_ones_own_and_few(both: House) -> None:
    mine = [await both.ana.say(str(n)) for n in range(6)]
    for status in mine[:5]:
        assert (await both.ana.do(f"/api/v1/statuses/{status['id']}/pin"))["pinned"] is True
    too_many = await both.ana.client.post(f"/api/v1/statuses/{mine[5]['id']}/pin")
    assert (too_many.status_code, "maximum number" in too_many.json()["error"]) == (422, True)
    assert (await both.ana.do(f"/api/v1/statuses/{mine[0]['id']}/unpin"))["pinned"] is False
    found = await both.ben.client.get(f"/api/v1/accounts/{both.ana.id}/statuses", params={"pinned": "true"})
    assert [plain(s) for s in found.json()] == ["4", "3", "2", "1"] and "link" not in found.headers
    assert all("pinned" not in s for s in found.json())
    others = await both.ben.client.post(f"/api/v1/statuses/{mine[1]['id']}/pin")
    assert (others.status_code, others.json()["error"]) == (
        422,
        "Validation failed: Someone else's post cannot be pinned",
    )
    direct = await both.ana.say("@ben psst", visibility="direct")
    assert (await both.ana.client.post(f"/api/v1/statuses/{direct['id']}/pin")).status_code == 422


async def test_a_muted_thread_says_nothing_more(both: House) -> None:
    ana, ben = both.ana, both.ben
    first = await ana.say("first")
    answer = await ben.say("@ana one", in_reply_to_id=first["id"])
    muted = await ana.do(f"/api/v1/statuses/{answer['id']}/mute")
    assert muted["muted"] is True
    assert (await ana.get(f"/api/v1/statuses/{first['id']}"))["muted"] is True, "the whole thread is"
    assert (await ben.get(f"/api/v1/statuses/{first['id']}"))["muted"] is False
    other = await ana.say("other")
    await ben.say("@ana two", in_reply_to_id=answer["id"])
    await ben.do(f"/api/v1/statuses/{first['id']}/favourite")
    await ben.do(f"/api/v1/statuses/{other['id']}/favourite")
    assert await ana.notifications() == [("favourite", "ben"), ("mention", "ben")]
    assert (await ana.do(f"/api/v1/statuses/{first['id']}/unmute"))["muted"] is False
    await ben.say("@ana three", in_reply_to_id=answer["id"])
    assert len(await ana.notifications()) == 3


async def test_polls_have_mastodons_manners(both: House) -> None:
    ana, ben, cy = both.ana, both.ben, both.cy
    asked = await ana.say("which?", poll={"options": [" a ", "b", "c"], "multiple": False, "expires_in": 300})
    poll = asked["poll"]
    assert poll["id"] == asked["id"] and [o["title"] for o in poll["options"]] == ["a", "b", "c"]
    assert (poll["voted"], poll["own_votes"], poll["expired"], poll["voters_count"]) == (True, [], False, 0)
    votes = f"/api/v1/polls/{poll['id']}/votes"

    async def refused(person: Person, sentence: str, **fields: object) -> None:
        answer = await person.client.post(votes, json=fields)
        assert (answer.status_code, answer.json()["error"]) == (422, f"Validation failed: {sentence}")

    await refused(ana, "You cannot vote in your own polls", choices=[0])
    await refused(ben, "The chosen vote option does not exist", choices=[3])
    await refused(ben, "The chosen vote option does not exist", choices=[])
    await refused(ben, "The chosen vote option does not exist", choices=["-1"])
    await refused(ben, "Only one option may be chosen", choices=[0, 1])
    voted = await ben.client.post(votes, data={"choices[]": ["1"]})
    found = voted.json()
    assert (found["voted"], found["own_votes"], found["votes_count"], found["voters_count"]) == (True, [1], 1, 1)
    assert [o["votes_count"] for o in found["options"]] == [0, 1, 0]
    await refused(ben, "You have already voted on this poll", choices=[0])
    assert (await cy.get(f"/api/v1/statuses/{asked['id']}"))["poll"]["voted"] is False
    await ana.edit(asked, "which now?", poll={"options": ["a", "b", "c"], "expires_in": 300})
    assert (await ben.get(f"/api/v1/polls/{poll['id']}"))["own_votes"] == [1], "the options are the same"
    await ana.edit(asked, "which now?", poll={"options": ["x", "y"], "expires_in": 300})
    assert (await ben.get(f"/api/v1/polls/{poll['id']}"))["votes_count"] == 0, "other options, other votes"
    assert (await ben.do(votes, choices=[0]))["own_votes"] == [0]
    both.world.clock.forward(301_000)
    await refused(cy, "The poll has already ended", choices=[0])
    assert (await cy.get(f"/api/v1/polls/{poll['id']}"))["expired"] is True
    plain_one = await ana.say("no poll")
    assert (await ben.client.get(f"/api/v1/polls/{plain_one['id']}")).status_code == 404


async def test_totals_stay_hidden_and_several_options_count_one_voter(home: House) -> None:
    fields = {"options": ["a", "b"], "multiple": True, "expires_in": 300, "hide_totals": True}
    asked = await home.ana.say("which?", poll=fields)
    found = await home.ben.do(f"/api/v1/polls/{asked['id']}/votes", choices=[0, 1, 1])
    assert (found["own_votes"], found["voters_count"]) == ([0, 1], 1)
    assert [o["votes_count"] for o in found["options"]] == [None, None]
    home.world.clock.forward(301_000)
    found = await home.cy.get(f"/api/v1/polls/{asked['id']}")
    assert [o["votes_count"] for o in found["options"]] == [1, 1]


async def test_what_one_does_with_a_partners_post_is_sent_once(home: House) -> None:
    zoe = await home.guest("zoe")
    poll = Poll((PollOption("a", 3), PollOption("b")), ends_at=Millis(home.world.clock() + 10**6), voters=3)
    post = await home.said(zoe, "which?", poll=poll)
    at = f"/api/v1/statuses/{post.id}"
    assert (await home.ben.get(at))["reach"] == "partners"
    for _ in range(2):
        await home.ben.do(f"{at}/favourite")
        boost = await home.ben.do(f"{at}/reblog")
    assert boost["reach"] == ["lab.example"]
    voted = await home.ben.do(f"/api/v1/polls/{post.id}/votes", choices=[0])
    assert [o["votes_count"] for o in voted["options"]] == [3, 0] and voted["own_votes"] == [0]
    for _ in range(2):
        await home.ben.do(f"{at}/unfavourite")
        await home.ben.do(f"{at}/unreblog")
    queued = [row for row in await home.org.read(jobs.listing, limit=1000) if row.kind == "federate"]
    kinds = [row.payload.partition('"type":"')[2].partition('"')[0] for row in sorted(queued, key=lambda r: r.id)]
    assert kinds == ["like", "publish", "vote", "unlike", "unboost"]


@pytest.mark.parametrize("word", ["private", "direct"])
async def test_private_posts_are_not_passed_on(home: House, word: str) -> None:
    await home.friends()
    said = await home.ana.say("@ben for us", visibility=word)
    refused = await home.ben.client.post(f"/api/v1/statuses/{said['id']}/reblog")
    assert (refused.status_code, refused.json()["error"]) == (403, "This action is not allowed")
    mine = await home.ana.client.post(f"/api/v1/statuses/{said['id']}/reblog")
    assert mine.status_code == (200 if word == "private" else 403)
    wide = await home.ana.say("wide")
    boost = await home.ben.do(f"/api/v1/statuses/{wide['id']}/reblog", visibility="private")
    assert boost["visibility"] == Visibility.PRIVATE.word
    bad = await home.ben.client.post(f"/api/v1/statuses/{wide['id']}/reblog", json={"visibility": "x"})
    assert bad.status_code == 422
