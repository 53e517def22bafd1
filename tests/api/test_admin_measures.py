"""Numbers for moderators, and what may be shown among trends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from fedishare.model.actors import Role
from tests.api import mastodon
from tests.api.test_admin_accounts import with_role
from tests.api.test_entities import as_documented
from tests.api.test_trends import with_card
from tests.support.instances import House


def span(home: House, days: int = 2) -> dict[str, str]:
    """The last days, today included."""
    today = datetime.fromtimestamp(home.world.clock() / 1000, UTC)
    return {"start_at": (today - timedelta(days=days - 1)).date().isoformat(), "end_at": today.isoformat()}


@pytest.fixture
async def desk(both: House) -> httpx.AsyncClient:
    """Ana is a moderator."""
    return await with_role(both, "ana", Role.MODERATOR)


async def test_measures_count_what_is_there(both: House, desk: httpx.AsyncClient) -> None:
    said = await both.ana.say("hello #thorax", language="de")
    await both.ben.do(f"/api/v1/statuses/{said['id']}/favourite")
    await both.ben.say("well #thorax", in_reply_to_id=said["id"])
    zoe = await both.guest("zoe")
    await both.said(zoe, "from afar", hashtags=("thorax",))
    await both.followed(zoe, both.ana)
    await both.cy.do("/api/v1/reports", account_id=str(zoe.id), comment="look")
    tag = next(t for t in (await desk.get("/api/v1/admin/tags")).json() if t["name"] == "thorax")
    about = {"tag_accounts": {"id": tag["id"]}, "tag_uses": {"id": tag["id"]}, "tag_servers": {"id": tag["id"]}}
    partner = {"domain": "lab.example"}
    for name in ("accounts", "media_attachments", "reports", "statuses", "follows", "followers"):
        about[f"instance_{name}"] = partner
    keys = ["active_users", "new_users", "interactions", "opened_reports", "resolved_reports", *about]
    answer = await desk.post("/api/v1/admin/measures", json={"keys": keys, **span(both), **about})
    found = {each.key: each for each in as_documented(answer, list[mastodon.Measure])}
    assert {key: int(each.total) for key, each in found.items()} == {
        "active_users": 3, "new_users": 3, "interactions": 2, "opened_reports": 1, "resolved_reports": 0,
        "tag_accounts": 3, "tag_uses": 3, "tag_servers": 2, "instance_accounts": 1, "instance_media_attachments": 0,
        "instance_reports": 1, "instance_statuses": 1, "instance_follows": 0, "instance_followers": 1,
    }  # fmt: skip
    assert all(len(each.data) == 2 for each in found.values())
    assert [day.value for day in found["new_users"].data] == ["0", "3"] and found["new_users"].previous_total == "0"

    async def dimension(key: str, **more: Any) -> list[tuple[str, str]]:
        body = {"keys": [key], **span(both), **more}
        (only,) = (await desk.post("/api/v1/admin/dimensions", json=body)).json()
        return [(row["key"], row["value"]) for row in only["data"]]

    assert dict(await dimension("servers")) == {"home.example": "2", "lab.example": "1"}
    assert dict(await dimension("tag_servers", tag_servers={"id": tag["id"]}))["lab.example"] == "1"
    assert ("de", "1") in await dimension("tag_languages", tag_languages={"id": tag["id"]})
    assert await dimension("instance_accounts", instance_accounts=partner) == [("zoe", "1")]
    assert await dimension("instance_languages", instance_languages=partner) == [("unknown", "1")]
    assert await dimension("languages") and await dimension("sources") == [("unknown", "3")]
    assert "fedishare" in dict(await dimension("software_versions")) and await dimension("space_usage")
    cohorts = (await desk.post("/api/v1/admin/retention", json={"frequency": "day", **span(both)})).json()
    assert [len(each["data"]) for each in cohorts] == [2, 1]
    assert (cohorts[1]["data"][0]["value"], cohorts[1]["data"][0]["rate"]) == ("3", 1.0)
    for path, body in (
        ("measures", {"keys": ["odd"], **span(both)}), ("measures", {"keys": ["new_users"]}),
        ("measures", {"keys": ["new_users"], "start_at": "x", "end_at": "y"}),
        ("measures", {"keys": ["new_users"], "start_at": "2020-01-02", "end_at": "2020-01-01"}),
        ("measures", {"keys": ["new_users"], "start_at": "0001-01-01", "end_at": "9999-12-31"}),
        ("measures", {"keys": ["tag_uses"], **span(both)}), ("measures", {"keys": ["instance_reports"], **span(both)}),
        ("dimensions", {"keys": ["odd"], **span(both)}), ("retention", {"frequency": "year", **span(both)}),
    ):  # fmt: skip
        assert (await desk.post(f"/api/v1/admin/{path}", json=body)).status_code == 422, (path, body)


async def test_moderators_say_what_trends_and_what_a_hashtag_may(home: House) -> None:
    desk = await with_role(home, "ana", Role.MODERATOR)
    first = await home.ana.say("one #thorax #odd")
    await home.ben.say("two #thorax #odd")
    for person in (home.ben, home.cy):
        await person.do(f"/api/v1/statuses/{first['id']}/favourite")

    async def trending(kind: str) -> list[str]:
        home.world.clock.forward(6 * 60_000)  # longer than what was counted is kept
        return [
            each.get("name") or each.get("id") or each["url"] for each in await home.cy.get(f"/api/v1/trends/{kind}")
        ]

    at = "/api/v1/admin/trends"
    assert set(await trending("tags")) == {"thorax", "odd"} and await trending("statuses") == [first["id"]]
    tags = {each["name"]: each for each in (await desk.get(f"{at}/tags")).json()}
    assert tags["odd"]["trendable"] is True and tags["odd"]["requires_review"] is False
    odd = tags["odd"]["id"]
    assert (await desk.post(f"{at}/tags/{odd}/reject")).json()["trendable"] is False
    assert (await desk.post(f"{at}/statuses/{first['id']}/reject")).json()["id"] == first["id"]
    assert await trending("tags") == ["thorax"] and await trending("statuses") == []
    assert len((await desk.get(f"{at}/tags")).json()) == 2, "moderators still see it"
    assert len((await desk.get(f"{at}/statuses")).json()) == 1
    await desk.post(f"{at}/tags/{odd}/approve")
    await desk.post(f"{at}/statuses/{first['id']}/approve")
    assert set(await trending("tags")) == {"thorax", "odd"} and await trending("statuses") == [first["id"]]
    assert await trending("links") == [] and (await desk.get(f"{at}/links")).json() == []
    assert (await desk.get(f"{at}/links/publishers")).json() == []
    for person in (home.ana, home.ben):
        await home.org.write(with_card, (await person.say("https://lab.example/news"))["id"])
    assert len(await trending("links")) == 1
    (link,), (publisher,) = [(await desk.get(f"{at}/{p}")).json() for p in ("links", "links/publishers")]
    for path in (f"{at}/links/{link['id']}", f"{at}/links/publishers/{publisher['id']}"):
        assert (await desk.post(f"{path}/reject")).status_code == 200 and await trending("links") == [], path
        assert (await desk.post(f"{path}/approve")).status_code == 200 and len(await trending("links")) == 1, path
    for path in (f"{at}/links/7/approve", f"{at}/links/publishers/7/reject", f"{at}/tags/7/approve"):
        assert (await desk.post(path)).status_code == 404, path
    secret = await home.ben.say("@cy psst", visibility="direct")
    assert (await desk.post(f"{at}/statuses/{secret['id']}/approve")).status_code == 404
    assert len((await home.cy.get("/api/v2/search", q="od", type="hashtags"))["hashtags"]) == 1
    # A hashtag that may not be used stays a word in new posts.
    changed = await desk.put(f"/api/v1/admin/tags/{odd}", json={"usable": False, "listable": False, "trendable": False})
    assert [changed.json()[k] for k in ("usable", "listable", "trendable")] == [False, False, False]
    found = await home.cy.get("/api/v2/search", q="od", type="hashtags")
    assert found["hashtags"] == [], "it is not found"
    assert [t["name"] for t in (await home.cy.say("three #odd #thorax"))["tags"]] == ["thorax"]
    assert (await desk.get(f"/api/v1/admin/tags/{odd}")).json()["usable"] is False
    assert (await desk.put(f"/api/v1/admin/tags/{odd}", json={"display_name": "other"})).status_code == 422
    assert (await desk.get("/api/v1/admin/tags/7")).status_code == 404
    page = await desk.get("/api/v1/admin/tags", params={"limit": 1})
    assert len(page.json()) == 1 and len((await desk.get(page.links["next"]["url"])).json()) == 1
