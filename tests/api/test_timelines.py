"""Timelines, paging and notifications: each cursor has its own meaning, and a walk meets each entry once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedishare.model.posts import Attachment, Visibility
from fedishare.services import accounts, relations
from tests.support.instances import House, house
from tests.support.world import plain


async def ids(client: httpx.AsyncClient, path: str, **params: Any) -> list[int]:
    answer = await client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return [int(each["id"]) for each in answer.json()]


async def test_who_finds_what_where(both: House) -> None:
    await both.friends()
    zoe = await both.guest("zoe")
    await both.said(zoe, "from outside #x", hashtags=("x",))
    for word in ("public", "unlisted", "private", "direct"):
        await both.ana.say(f"{word} @cy #x", visibility=word)
    reply = await both.ben.say("answer", in_reply_to_id=(await both.ana.say("question"))["id"])
    assert await both.ben.texts() == [
        "answer", "question", "private @cy #x", "unlisted @cy #x", "public @cy #x",
    ]  # fmt: skip
    assert await both.cy.texts() == [
        "question", "direct @cy #x", "private @cy #x", "unlisted @cy #x", "public @cy #x",
    ]  # fmt: skip

    async def shown(path: str, **params: Any) -> list[str]:
        return [plain(s) for s in await both.ben.get(path, **params)]

    everything = ["question", "public @cy #x", "from outside #x"]
    assert await shown("/api/v1/timelines/public") == everything
    assert await shown("/api/v1/timelines/public", local="true") == everything[:2]
    assert await shown("/api/v1/timelines/public", remote="true", limit=1) == everything[2:]
    assert await shown("/api/v1/timelines/tag/X") == ["public @cy #x", "from outside #x"]
    assert await shown("/api/v1/timelines/tag/%23x", local="true") == ["public @cy #x"]
    at = f"/api/v1/accounts/{both.ana.id}/statuses"
    assert await shown(at) == ["question", "private @cy #x", "unlisted @cy #x", "public @cy #x"]
    assert await shown(at, tagged="x", limit=2) == ["private @cy #x", "unlisted @cy #x"]
    assert await shown(at, only_media="true") == []
    await both.ana.do(f"/api/v1/statuses/{reply['id']}/reblog")
    assert await shown(at, exclude_reblogs="true", limit=1) == ["question"]
    assert await shown(at, limit=1) == ["answer"]
    assert await shown(f"/api/v1/accounts/{both.ben.id}/statuses", exclude_replies="true") == []
    assert await shown(f"/api/v1/accounts/{zoe.id}/statuses") == ["from outside #x"]


async def test_each_cursor_has_its_own_meaning(home: House) -> None:
    said = [int((await home.ana.say(str(n)))["id"]) for n in range(6)]
    path = "/api/v1/timelines/home"
    client = home.ana.client
    assert await ids(client, path, limit=2) == [said[5], said[4]]
    assert await ids(client, path, limit=2, max_id=said[4]) == [said[3], said[2]]
    assert await ids(client, path, limit=2, since_id=said[1]) == [said[5], said[4]]
    assert await ids(client, path, limit=2, min_id=said[1]) == [said[3], said[2]]
    assert await ids(client, path, since_id=said[1], max_id=said[4]) == [said[3], said[2]]
    assert await ids(client, path, max_id=said[4] - 1, limit=1) == [said[3]], "ids may be made by arithmetic"
    assert await ids(client, path, limit=0) == [said[5]]
    assert len(await ids(client, path, limit=10**6)) == 6
    assert await ids(client, path, max_id="") == said[::-1]
    answer = await client.get(path, params={"limit": 2, "max_id": said[5]})
    older, newer = httpx.URL(answer.links["next"]["url"]), httpx.URL(answer.links["prev"]["url"])
    assert dict(older.params) == {"limit": "2", "max_id": str(said[3])}
    assert dict(newer.params) == {"limit": "2", "min_id": str(said[4])}
    assert str(older).startswith("https://home.example/api/v1/timelines/home?")
    assert "link" not in (await client.get(path, params={"max_id": said[0]})).headers
    for wrong in ("x", "1.5", "true", "9" * 30):
        refused = await client.get(path, params={"max_id": wrong})
        assert (refused.status_code, "max_id" in refused.json()["error"]) == (422, True), wrong


LISTS = (
    "/api/v1/timelines/home", "/api/v1/timelines/public", "/api/v1/timelines/public?local=true",
    "/api/v1/timelines/tag/x", "/api/v1/accounts/{ana}/statuses", "/api/v1/notifications", "/api/v1/bookmarks",
    "/api/v1/favourites", "/api/v1/accounts/{ana}/followers", "/api/v1/accounts/{me}/following", "/api/v1/blocks",
    "/api/v1/mutes", "/api/v1/follow_requests",
)  # fmt: skip


async def full_house(home: House) -> None:
    """Everything that has a list, with some of each, seen by ben."""
    people = [home.ana, home.cy]
    people += [await home.org.person(f"p{n}") for n in range(5)]
    await home.ben.do("/api/v1/accounts/update_credentials", 200, "PATCH", locked=True)
    for person in people:
        await person.do(f"/api/v1/accounts/{home.ben.id}/follow")
        await home.ben.do(f"/api/v1/accounts/{person.id}/follow")
        if person is not home.ana:
            await person.do(f"/api/v1/accounts/{home.ana.id}/follow")
    for person in people[4:]:
        await home.ben.do(f"/api/v1/accounts/{person.id}/mute")
    for number in range(9):
        said = await home.ana.say(f"{number} @ben #x")
        await home.ben.do(f"/api/v1/statuses/{said['id']}/bookmark")
        await home.ben.do(f"/api/v1/statuses/{said['id']}/favourite")
        if number % 3 == 0:
            await home.cy.do(f"/api/v1/statuses/{said['id']}/reblog")
    for person in people[2:]:
        await person.do(f"/api/v1/accounts/{home.ben.id}/unblock")
    for number in range(4):
        await home.ben.do(f"/api/v1/accounts/{(await home.org.person(f'q{number}')).id}/block")


async def walk(client: httpx.AsyncClient, url: str, limit: int, direction: str) -> list[int]:
    """Every id that a client meets that follows the links of one direction, in the order of meeting."""
    found: list[int] = []
    separator = "&" if "?" in url else "?"
    following: str | None = f"{url}{separator}limit={limit}" + ("&min_id=0" if direction == "prev" else "")
    for _ in range(200):
        if following is None:
            return found
        answer = await client.get(following)
        assert answer.status_code == 200, (url, answer.text)
        page = [int(each["id"]) for each in answer.json()]
        assert len(page) <= limit
        found += page if direction == "next" else page[::-1]
        link = answer.links.get(direction)
        following = link["url"] if link and page else None
    raise AssertionError(f"{url} has no end")


async def test_a_walk_meets_each_entry_once(both: House) -> None:
    await full_house(both)
    client = both.ben.client
    for path in LISTS:
        url = path.format(ana=both.ana.id, me=both.ben.id)
        whole = [int(each["id"]) for each in (await client.get(url, params={"limit": 40})).json()]
        if "?" in url:
            whole = [int(each["id"]) for each in (await client.get(f"{url}&limit=40")).json()]
        assert len(whole) >= 3, f"{url} has too little to walk"
        for limit in (1, 2, 4):
            assert await walk(client, url, limit, "next") == whole, (url, limit)
            assert await walk(client, url, limit, "prev") == whole[::-1], (url, limit)


async def test_notifications_are_chosen_by_type_and_dismissed(both: House) -> None:
    ana, ben = both.ana, both.ben
    said = await ana.say("look")
    await ben.do(f"/api/v1/accounts/{ana.id}/follow", notify=True)
    await ben.do(f"/api/v1/statuses/{said['id']}/favourite")
    await ben.do(f"/api/v1/statuses/{said['id']}/reblog")
    await ben.say("@ana hello")

    async def kinds(*pairs: tuple[str, str]) -> list[str]:
        answer = await ana.client.get("/api/v1/notifications", params=list(pairs))
        return [each["type"] for each in answer.json()]

    assert await kinds() == ["mention", "reblog", "favourite", "follow"]
    assert await kinds(("types[]", "mention"), ("types[]", "follow")) == ["mention", "follow"]
    assert await kinds(("exclude_types[]", "mention"), ("exclude_types[]", "reblog")) == ["favourite", "follow"]
    assert await kinds(("types[]", "mention"), ("exclude_types[]", "mention")) == []
    assert await kinds(("types[]", "nonsense")) == []
    assert await kinds(("account_id", str(both.cy.id))) == [] and len(await kinds(("account_id", str(ben.id)))) == 4
    first = (await ana.get("/api/v1/notifications"))[0]
    assert await ana.get(f"/api/v1/notifications/{first['id']}") == first
    assert (await ben.client.get(f"/api/v1/notifications/{first['id']}")).status_code == 404
    await ben.do(f"/api/v1/notifications/{first['id']}/dismiss")
    assert await kinds() == ["mention", "reblog", "favourite", "follow"]
    await ana.do(f"/api/v1/notifications/{first['id']}/dismiss")
    assert await kinds() == ["reblog", "favourite", "follow"]
    await ana.do("/api/v1/notifications/clear")
    assert await kinds() == []
    # Who asked to hear of each post does.
    await ana.say("@cy new", visibility="direct")
    await ana.say("news")
    assert await ben.notifications() == [("status", "ana")]
    assert await both.cy.notifications() == [("mention", "ana")]


async def test_whom_one_does_not_want_is_not_there(both: House) -> None:
    ana, ben, cy = both.ana, both.ben, both.cy
    await both.friends()
    said = await ana.say("@ben one #x")
    await ben.do(f"/api/v1/accounts/{ana.id}/mute", duration=60)
    await ana.say("@ben two #x")
    assert await ben.texts() == [] and await ben.notifications() == [], "what came before the mute waits for its end"
    for path in ("/api/v1/timelines/public", "/api/v1/timelines/tag/x"):
        assert await ben.get(path) == []
    assert len(await ben.get(f"/api/v1/accounts/{ana.id}/statuses")) == 2, "who looks at a profile wants to see it"
    both.world.clock.forward(61_000)
    assert len(await ben.texts()) == 2 and await ben.notifications() == [("mention", "ana")]
    await cy.do(f"/api/v1/statuses/{said['id']}/reblog")
    await ben.do(f"/api/v1/accounts/{cy.id}/follow")
    await ben.do(f"/api/v1/accounts/{ana.id}/block")
    assert await ben.texts() == [], "nor what somebody else boosts of theirs"
    assert await ben.notifications() == []
    assert (await ana.client.get(f"/api/v1/accounts/{ben.id}/statuses")).json() == []
    mine = await ben.say("@ana you cannot see this")
    assert (await ana.client.get(f"/api/v1/statuses/{mine['id']}")).status_code == 404
    assert ("mention", "ben") not in await ana.notifications()


async def test_a_follow_says_what_comes_home(both: House) -> None:
    ana, ben = both.ana, both.ben
    zoe = await both.guest("zoe")
    said = await both.said(zoe, "from outside")
    await ana.say("old deutsch", language="de")
    at = f"/api/v1/accounts/{ana.id}/follow"
    first = await ben.do(at, languages=["en", "fr"], notify=True, reblogs=False)
    assert (first["languages"], first["notifying"], first["showing_reblogs"]) == (["en", "fr"], True, False)
    assert await ben.texts() == [], "what is there already counts, too"
    for language in ("de", "en", None):
        await ana.say(f"in {language}", language=language)
    await ana.do(f"/api/v1/statuses/{said.id}/reblog")
    assert await ben.texts() == ["in None", "in en"]
    again = await ben.do(at, reblogs=True)
    assert again == first | {"showing_reblogs": True}, "what is not given stays"
    form = await ben.client.post(at, data={"languages[]": ["de"], "notify": "false"})
    assert (form.json()["languages"], form.json()["notifying"]) == (["de"], False)
    await ana.say("neu", language="de")
    await ana.say("new", language="en")
    assert await ben.texts() == ["neu", "in None", "in en"]
    everything = await ben.do(at, languages=[""])
    assert everything["languages"] is None
    refused = await ben.do(at, 422, languages=["%", "en"])
    assert refused["error"].startswith("Validation failed: Languages")
    # The same of a request that waits for its answer.
    await both.cy.do("/api/v1/accounts/update_credentials", 200, "PATCH", locked=True)
    asked = await ben.do(f"/api/v1/accounts/{both.cy.id}/follow", notify=True)
    assert (asked["requested"], asked["notifying"], asked["showing_reblogs"]) == (True, True, True)
    other = await both.cy.get("/api/v1/accounts/relationships", **{"id[]": str(ben.id)})
    assert (other[0]["requested_by"], other[0]["notifying"]) == (True, False)


async def test_answers_come_home_to_those_who_follow_both(both: House) -> None:
    ana, ben, cy = both.ana, both.ben, both.cy
    zoe, yan = await both.guest("zoe"), await both.guest("yan")
    for person, known in ((ana, (zoe, yan)), (ben, (zoe,))):
        for each in known:
            made = await both.org.write(relations.follow, both.site, await both.org.by_handle(person.name), each.id)
            await both.org.write(relations.accept, made)
    parent = f"{yan.iri}/statuses/2"
    # The answer arrives before what it answers: whose it is decides, so it waits.
    await both.said(zoe, "answer", answers=parent)
    assert await ana.texts() == [] and await ben.texts() == []
    await both.said(yan, "question")
    assert await ana.texts() == ["question", "answer"] and await ben.texts() == []
    mine = await cy.say("by cy", reach="partners")
    await both.said(zoe, "to cy", answers=mine["uri"])
    await both.said(zoe, "to itself", answers=f"{zoe.iri}/statuses/1")
    assert await ben.texts() == ["to itself"]
    await ben.do(f"/api/v1/accounts/{cy.id}/follow")
    await both.said(zoe, "to cy again", answers=mine["uri"])
    assert await ben.texts() == ["to cy again", "to itself", "by cy"]
    late = await both.org.person("late")
    await late.do(f"/api/v1/accounts/{cy.id}/follow")
    made = await both.org.write(relations.follow, both.site, await both.org.by_handle("late"), zoe.id)
    await both.org.write(relations.accept, made)
    assert set(await late.texts()) == {"to cy again", "to itself", "to cy", "by cy"}, "also when a follow begins"


async def test_the_public_timeline_of_pictures(both: House) -> None:
    await both.ana.say("text")
    picture = Attachment("https://lab.example/p.png", "image/png", "image")
    await both.said(await both.guest("zoe"), "picture", attachments=(picture,))
    for path in ("/api/v1/timelines/public", "/api/v1/timelines/public?remote=true"):
        found = await both.ben.client.get(path, params={"only_media": "true"} | dict(httpx.URL(path).params))
        assert [plain(s) for s in found.json()] == ["picture"]
    assert await both.ben.get("/api/v1/timelines/public", only_media="true", local="true") == []


async def test_who_is_suspended_disappears_with_everything(both: House) -> None:
    ana, ben, cy = both.ana, both.ben, both.cy
    await both.friends()
    said = await ana.say("@ben look #x")
    await cy.do(f"/api/v1/statuses/{said['id']}/reblog")
    await ben.do(f"/api/v1/accounts/{cy.id}/follow")
    await ben.do(f"/api/v1/statuses/{said['id']}/bookmark")
    mine = await ben.say("mine")
    await ana.do(f"/api/v1/statuses/{mine['id']}/favourite")
    paths = [
        "/api/v1/timelines/home", "/api/v1/timelines/public", "/api/v1/timelines/tag/x", "/api/v1/bookmarks",
        "/api/v1/notifications", f"/api/v1/statuses/{mine['id']}/favourited_by", f"/api/v1/accounts/{ben.id}/following",
        f"/api/v1/accounts/{cy.id}/statuses", "/api/v1/accounts/search?q=ana", "/api/v2/search?q=look",
    ]  # fmt: skip

    async def traces() -> set[str]:
        return {path for path in paths if '"acct":"ana"' in (await ben.client.get(path)).text}

    assert await traces() == set(paths)
    await both.org.write(accounts.suspend, await both.org.by_handle("ana"), "test")
    assert await traces() == set()
    for path in (f"/api/v1/statuses/{said['id']}", f"/api/v1/accounts/{ana.id}", "/api/v1/accounts/lookup?acct=ana"):
        assert (await ben.client.get(path)).status_code == 404
    assert (await ana.client.get("/api/v1/timelines/home")).status_code == 401
    await both.org.write(accounts.restore, await both.org.by_handle("ana"), "test")
    assert await traces() == set(paths)
    assert (await ana.client.get("/api/v1/timelines/home")).status_code == 401, "its tokens have ended"


async def test_a_boost_of_what_one_may_not_see_is_not_shown(home: House) -> None:
    zoe = await home.guest("zoe")
    await home.followed(zoe, home.ana)
    secret = await home.said(zoe, "for ana", visibility=Visibility.PRIVATE, to=[home.ana.iri])
    assert (await home.ana.client.get(f"/api/v1/statuses/{secret.id}")).status_code == 200
    assert (await home.ben.client.get(f"/api/v1/statuses/{secret.id}")).status_code == 404
    for path in (f"/api/v1/accounts/{zoe.id}/statuses", "/api/v2/search?q=ana", "/api/v1/timelines/public"):
        assert "for ana" not in (await home.ben.client.get(path)).text


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.sampled_from("sdb"), st.integers(0, 5)), max_size=12), limit=st.integers(1, 4))
def test_home_pages_are_whole_whatever_was_deleted(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]], limit: int
) -> None:
    """A walk through the home timeline after any posts, deletions and boosts shows what is there, newest first."""

    async def check(folder: Path) -> None:
        async with house(folder) as home:
            await home.friends()
            said: list[dict[str, Any]] = []
            for step, number in steps:
                if step == "s" or not said:
                    said.append(await home.ana.say(f"n{number}"))
                elif step == "d":
                    await home.ana.delete(said.pop(number % len(said)))
                else:
                    await home.cy.do(f"/api/v1/statuses/{said[number % len(said)]['id']}/reblog")
            met = await walk(home.ben.client, "/api/v1/timelines/home", limit, "next")
            assert sorted(met, reverse=True) == met and len(set(met)) == len(met)
            assert {int(s["id"]) for s in said} == set(met)

    asyncio.run(check(tmp_path_factory.mktemp("walk")))
