"""Trends: what several people use, decaying, with everybody's own view of it; and the timeline of a link."""

from __future__ import annotations

import msgspec

from fedishare.model.cards import Preview
from fedishare.model.ids import Id
from fedishare.model.posts import Visibility
from fedishare.store import cards
from fedishare.store.db import Tx
from tests.api import mastodon
from tests.support.instances import House
from tests.support.world import plain

DAY = 24 * 3600 * 1000
PAGE = "https://lab.example/news"


def with_card(tx: Tx, post: str, url: str = PAGE, title: str = "News") -> Id:
    """A post shows a card."""
    known = cards.newest(tx, url)
    card = known[0].id if known and known[0] else cards.insert(tx, url, Preview(title), None)
    assert cards.attach(tx, Id(int(post)), card)
    return card


async def test_hashtags_and_links_that_several_people_use_are_trends(both: House) -> None:
    ana, ben, cy = both.ana, both.ben, both.cy
    for _ in range(5):
        await ana.say("mine alone #solo")
    for person in (ana, ben):
        said = await person.say("both #two #solo2 https://lab.example/news")
        await both.org.write(with_card, said["id"])
        await person.say("hidden #secret", visibility="private")
        await person.say("hidden #secret", visibility="unlisted")
        answer = await person.say("#answer", in_reply_to_id=said["id"])
        await both.org.write(with_card, answer["id"], "https://lab.example/answers")
    await cy.say("three #two")
    names = [tag["name"] for tag in await cy.get("/api/v1/trends/tags")]
    assert names == ["two", "solo2"]
    assert await cy.get("/api/v1/trends") == await cy.get("/api/v1/trends/tags")
    assert [t["name"] for t in await cy.get("/api/v1/trends/tags", offset=1, limit=1)] == ["solo2"]
    (link,) = await cy.get("/api/v1/trends/links")
    msgspec.json.decode(msgspec.json.encode(link), type=mastodon.TrendsLink)
    assert (link["url"], link["title"], link["type"]) == (PAGE, "News", "link")
    assert len(link["history"]) == 7
    first = link["history"][0]
    assert (first["accounts"], first["uses"]) == ("2", "2") and int(first["day"]) % 86400 == 0
    assert all((day["accounts"], day["uses"]) == ("0", "0") for day in link["history"][1:])

    # The posts that show it, for who may and wants to see them.
    shown = await cy.client.get("/api/v1/timelines/link", params={"url": PAGE, "limit": 1})
    assert [each["account"]["acct"] for each in shown.json()] == ["ben"] and "max_id" in shown.headers["link"]
    rest = await cy.get("/api/v1/timelines/link", url=PAGE + "#part", max_id=shown.json()[0]["id"])
    assert [each["account"]["acct"] for each in rest] == ["ana"] and rest[0]["card"]["url"] == PAGE
    assert await cy.get("/api/v1/timelines/link", url="https://lab.example/") == []
    assert (await cy.client.get("/api/v1/timelines/link")).status_code == 422
    await ana.do(f"/api/v1/accounts/{cy.id}/block")
    await cy.do(f"/api/v1/accounts/{ben.id}/mute")
    assert await cy.get("/api/v1/timelines/link", url=PAGE) == [] and await cy.get("/api/v1/trends/links") == []
    assert len(await ben.get("/api/v1/trends/links")) == 1


async def test_statuses_that_several_people_like_are_trends(both: House) -> None:
    ana, ben, cy = both.ana, both.ben, both.cy
    first = await ana.say("old and liked")
    quiet = await ana.say("liked by one")
    for person in (ben, cy):
        await person.do(f"/api/v1/statuses/{first['id']}/favourite")
        await person.do(f"/api/v1/statuses/{first['id']}/reblog")
    await ben.do(f"/api/v1/statuses/{quiet['id']}/favourite")
    assert [plain(each) for each in await cy.get("/api/v1/trends/statuses")] == ["old and liked"]
    both.world.clock.forward(2 * DAY)
    second = await ben.say("new and liked")
    third = await cy.say("sensitive", sensitive=True)
    hidden = await ben.say("for followers", visibility="unlisted")
    for said in (second, third, hidden):
        for person in (ana, ben, cy):
            await person.do(f"/api/v1/statuses/{said['id']}/favourite")
    assert [plain(each) for each in await ana.get("/api/v1/trends/statuses")] == ["new and liked", "old and liked"]
    assert [plain(each) for each in await ana.get("/api/v1/trends/statuses", limit=1, offset=1)] == ["old and liked"]
    # What is deleted, or is somebody's whom the viewer does not want to see, is not shown a moment later.
    await ben.do(f"/api/v1/accounts/{ana.id}/mute")
    assert [plain(each) for each in await ben.get("/api/v1/trends/statuses")] == ["new and liked"]
    await ben.delete(second)
    assert [plain(each) for each in await cy.get("/api/v1/trends/statuses")] == ["old and liked"]
    both.world.clock.forward(7 * DAY)
    assert await cy.get("/api/v1/trends/statuses") == [] and await cy.get("/api/v1/trends/tags") == []


async def test_who_does_not_want_to_be_found_makes_no_trends(home: House) -> None:
    ana, ben, cy = home.ana, home.ben, home.cy
    said = await ana.say("#quiet")
    for person in (ben, cy):
        await person.say("#quiet")
        await person.do(f"/api/v1/statuses/{said['id']}/favourite")
    await ana.do("/api/v1/accounts/update_credentials", 200, "PATCH", discoverable=False)
    await ben.do("/api/v1/accounts/update_credentials", 200, "PATCH", discoverable=False)
    assert await cy.get("/api/v1/trends/tags") == [] and await cy.get("/api/v1/trends/statuses") == []
    await home.org.write(with_card, said["id"])
    assert await cy.get("/api/v1/timelines/link", url=PAGE) == []
    await ben.do("/api/v1/accounts/update_credentials", 200, "PATCH", discoverable=True)
    home.world.clock.forward(6 * 60_000)
    assert [tag["name"] for tag in await cy.get("/api/v1/trends/tags")] == ["quiet"]


async def test_partners_public_posts_count_and_a_burst_of_one_does_not(home: House) -> None:
    gina, hugo = await home.guest("gina"), await home.guest("hugo", "ward.example")
    for guest, times in ((gina, 4), (hugo, 1)):
        for _ in range(times):
            await home.said(guest, "x", hashtags=("burst",))
    await home.said(hugo, "x", hashtags=("calm",))
    await home.ana.say("#calm")
    await home.ben.say("#calm")
    await home.said(gina, "x", hashtags=("named",), visibility=Visibility.DIRECT, to=[home.ana.iri])
    assert [tag["name"] for tag in await home.ana.get("/api/v1/trends/tags")] == ["calm", "burst"]
