"""Hashtags and markers: followed ones come home, featured ones stand on profiles, and each tells how it is used."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fedishare.model.ids import Id, time_of
from fedishare.services import accounts
from fedishare.services.tags import name_of
from fedishare.store import markers, tags
from fedishare.store.db import sql
from tests.api.mastodon import FeaturedTag, FullTag, Marker
from tests.support.instances import House
from tests.support.world import plain

DAY = 86_400
HOME = sql("test_tags_home", "SELECT owner_id FROM home_entry WHERE post_id = :post")


async def test_followed_tags_come_home(both: House) -> None:
    ana, ben, cy = both.ana, both.ben, both.cy
    zoe = await both.guest("zoe")
    await ben.say("before #xray")
    tag = await ana.do("/api/v1/tags/XRay/follow")
    assert msgspec.convert(tag, FullTag) and tag["name"] == "xray" and tag["following"] and not tag["featuring"]
    assert await ana.do("/api/v1/tags/xray/follow") == tag, "twice is once"
    await ana.do("/api/v1/tags/mri/follow")
    said = await ben.say("new #xray #mri")
    for word in ("unlisted", "private", "direct"):
        await ben.say(f"{word} #xray @ana", visibility=word)
    await both.said(zoe, "from outside #xray", hashtags=("xray",))
    await ana.say("mine #xray")
    await both.said(zoe, "plain", hashtags=("other",))
    assert await ana.texts() == ["mine #xray", "from outside #xray", "new #xray #mri"]
    assert await cy.texts() == []
    # Nobody whom one does not want.
    await cy.do(f"/api/v1/accounts/{ana.id}/block")
    await cy.say("blocks ana #xray")
    await ana.do(f"/api/v1/accounts/{zoe.id}/mute")
    await ana.do(f"/api/v1/accounts/{cy.id}/mute")
    assert await ana.texts() == ["mine #xray", "new #xray #mri"]
    await ana.do(f"/api/v1/accounts/{zoe.id}/unmute")
    # A list of what is followed, and an end to it.
    first = await ana.client.get("/api/v1/followed_tags", params={"limit": 1})
    assert [t["name"] for t in first.json()] == ["mri"] and first.json()[0]["following"]
    rest = await ana.client.get(first.links["next"]["url"])
    assert [t["name"] for t in rest.json()] == ["xray"]
    assert not (await ana.do("/api/v1/tags/xray/unfollow"))["following"]
    assert await ana.texts() == ["mine #xray", "new #xray #mri"], "the other tag is followed still"
    await ana.do(f"/api/v1/accounts/{ben.id}/follow")
    await ana.do("/api/v1/tags/mri/unfollow")
    assert "new #xray #mri" in await ana.texts(), "and who is followed stays"
    await ana.do("/api/v1/tags/xray/unfollow")
    assert await ana.get("/api/v1/followed_tags") == []
    await ben.delete(said)
    assert "new #xray #mri" not in await ana.texts()


async def test_who_posts_without_hashtags_pays_for_none_of_it(both: House) -> None:
    """Fan-out asks for hashtags where there are some, and for lists never: they are read, not written."""
    await both.friends()
    await both.ben.do("/api/v1/lists", title="Lab")
    asked = both.org.server.instance.database.used
    await both.ana.delete(await both.ana.say("plain"))
    assert not asked() & {"home_put_tagged", "home_drop_tagged", "lists_carrying", "list_candidates"}
    await both.ana.delete(await both.ana.say("hidden #xray", visibility="unlisted"))
    assert "home_put_tagged" not in asked()
    await both.ana.say("#xray")
    assert "home_put_tagged" not in asked()
    await both.ben.do("/api/v1/tags/xray/follow")
    await both.ana.say("#xray again")
    assert "home_put_tagged" in asked() and "lists_carrying" not in asked()


async def test_a_deleted_post_leaves_no_entry_behind(both: House) -> None:
    await both.ana.do("/api/v1/tags/xray/follow")
    said = await both.ben.say("#xray")
    assert await both.ana.texts() == ["#xray"]
    await both.ben.delete(said)
    assert await both.ana.texts() == []
    assert (await both.org.all(HOME, post=int(said["id"]))) == []


async def test_a_tag_tells_how_it_was_used(both: House) -> None:
    ana, ben = both.ana, both.ben
    await ben.say("old #xray")
    both.world.clock.forward(2 * DAY * 1000)
    for text in ("#xray one", "#xray two"):
        await ana.say(text)
    said = await ben.say("#xray three")
    await ben.say("#xray hidden", visibility="unlisted")
    tag = await both.cy.get("/api/v1/tags/xray")
    msgspec.convert(tag, FullTag)
    today = time_of(Id(int(said["id"]))) // 1000 // DAY * DAY
    assert [d["day"] for d in tag["history"]] == [str(today - n * DAY) for n in range(7)]
    assert [(d["uses"], d["accounts"]) for d in tag["history"]][:4] == [("3", "2"), ("0", "0"), ("1", "1"), ("0", "0")]
    assert tag["id"] == (await ana.get("/api/v1/tags/%23XRAY"))["id"] and tag["url"].endswith("/tags/xray")
    never = await ana.get("/api/v1/tags/never")
    assert {d["uses"] for d in never["history"]} == {"0"} and never["id"] != tag["id"]
    for wrong in ("123", "a%20b", "%20", "a.b", "%00"):
        refused = await ana.client.get(f"/api/v1/tags/{wrong}")
        assert (refused.status_code, refused.json()) == (404, {"error": "Record not found"}), wrong


@pytest.mark.parametrize(
    ("text", "name"), [("#Über", "über"), ("x_ray2", "x_ray2"), ("12", None), ("a b", None), ("", None), ("#", None)]
)
def test_what_is_a_hashtag(text: str, name: str | None) -> None:
    assert name_of(text) == name


async def test_featured_tags_stand_on_the_profile(both: House) -> None:
    ana, ben = both.ana, both.ben
    for text in ("#mri a", "#xray b", "#xray c", "#ward d"):
        await ana.say(text)
    await ana.say("#xray hidden", visibility="private")
    assert [t["name"] for t in await ana.get("/api/v1/featured_tags/suggestions")] == ["xray", "mri", "ward"]
    made = await ana.do("/api/v1/featured_tags", name="#MRI")
    msgspec.convert(made, FeaturedTag)
    assert (made["name"], made["statuses_count"]) == ("mri", "1")
    assert made["url"] == "https://home.example/@ana/tagged/mri"
    assert (await ana.do("/api/v1/tags/xray/feature"))["featuring"]
    assert (await ana.do("/api/v1/tags/xray/feature"))["featuring"], "twice is once"
    mine = await ana.get("/api/v1/featured_tags")
    assert [(t["name"], t["statuses_count"]) for t in mine] == [("xray", "2"), ("mri", "1")]
    assert mine[0]["last_status_at"] is not None
    theirs = await ben.get(f"/api/v1/accounts/{ana.id}/featured_tags")
    assert sorted(t["name"] for t in theirs) == ["mri", "xray"]
    assert [t["name"] for t in await ana.get("/api/v1/featured_tags/suggestions")] == ["ward"]
    wrong = {
        "": "Validation failed: Name can't be blank", "1 2": "Validation failed: Name is invalid",
        "xray": "Validation failed: Name has already been taken",
    }  # fmt: skip
    for name, sentence in wrong.items():
        assert (await ana.do("/api/v1/featured_tags", 422, name=name))["error"] == sentence
    for other, path in ((ben, made["id"]), (ana, "1"), (ana, "x")):
        assert (await other.do(f"/api/v1/featured_tags/{path}", 404, "DELETE")) == {"error": "Record not found"}
    for number in range(8):
        await ana.do("/api/v1/featured_tags", name=f"tag{number}")
    assert "maximum number" in (await ana.do("/api/v1/featured_tags", 422, name="tag9"))["error"]
    assert await ana.do(f"/api/v1/featured_tags/{made['id']}", 200, "DELETE") == {}
    assert not (await ana.do("/api/v1/tags/xray/unfeature"))["featuring"]
    assert len(await ana.get("/api/v1/featured_tags")) == 8
    assert (await ana.client.get("/api/v1/accounts/1/featured_tags")).status_code == 404
    # What a deleted account followed and showed is gone.
    await ana.do("/api/v1/tags/xray/follow")
    await ana.do("/api/v1/markers", home={"last_read_id": "1"})
    await both.org.write(accounts.delete, await both.org.by_handle("ana"), "test")
    assert (await ben.client.get(f"/api/v1/accounts/{ana.id}/featured_tags")).status_code == 404
    for found in (
        await both.org.read(tags.featured, ana.id), await both.org.read(tags.followed, ana.id, ["xray"]),
        await both.org.read(markers.get, ana.id, ["home"]),
    ):  # fmt: skip
        assert not found


async def test_markers_are_kept_for_all_apps(both: House) -> None:
    ana = both.ana
    phone = await both.client("ana", "read:statuses write:statuses")

    async def places(**params: Any) -> dict[str, Any]:
        found: dict[str, Any] = (await phone.get("/api/v1/markers", params=params)).json()
        return found

    assert await places(**{"timeline[]": ["home", "notifications"]}) == {}
    home = await ana.do("/api/v1/markers", home={"last_read_id": "103194548672408537"})
    assert msgspec.convert(home["home"], Marker).version == 0 and set(home) == {"home"}
    form = await phone.post("/api/v1/markers", data={"home[last_read_id]": "7", "notifications[last_read_id]": "9"})
    moved = form.json()
    assert (moved["home"]["last_read_id"], moved["home"]["version"]) == ("7", 1)
    assert await places(**{"timeline[]": ["home", "notifications", "other"]}) == moved
    assert await places(**{"timeline[]": "home"}) == {"home": moved["home"]}
    assert await places() == {}
    for wrong in ("x", "", "9" * 30, "-1"):
        await ana.do("/api/v1/markers", 422, home={"last_read_id": wrong})
    await ana.do("/api/v1/markers", 422, home="7")
    assert await ana.do("/api/v1/markers", other={"last_read_id": "1"}) == {}
    assert await both.ben.get("/api/v1/markers", **{"timeline[]": "home"}) == {}, "markers are one's own"
    assert await places(**{"timeline[]": "home"}) == {"home": moved["home"]}


async def test_hashtag_timelines_mix_tags(both: House) -> None:
    ana, ben = both.ana, both.ben
    zoe = await both.guest("zoe")
    for text in ("#a", "#b", "#a #b", "#a #c", "#c", "#a #b #c"):
        await ben.say(text)
    await both.said(zoe, "#a outside", hashtags=("a",))

    async def shown(**params: Any) -> list[str]:
        return [plain(s) for s in await ana.get("/api/v1/timelines/tag/a", **params)]

    everything = ["#a outside", "#a #b #c", "#a #c", "#a #b", "#a"]
    assert await shown() == everything
    assert await shown(**{"any[]": "b"}) == [*everything[:3], "#a #b", "#b", "#a"]
    assert await shown(**{"any[]": ["b", "#C"]}) == [*everything[:2], "#c", "#a #c", "#a #b", "#b", "#a"]
    assert await shown(**{"all[]": ["b", "B"]}) == ["#a #b #c", "#a #b"]
    assert await shown(**{"all[]": ["b", "c"]}) == ["#a #b #c"]
    assert await shown(**{"none[]": ["b"]}) == ["#a outside", "#a #c", "#a"]
    assert await shown(**{"any[]": ["c"], "none[]": ["b"], "local": "true"}) == ["#c", "#a #c", "#a"]
    assert await shown(remote="true") == ["#a outside"] and await shown(only_media="true") == []
    assert await shown(**{"any[]": ["n1", "n2", "n3", "n4", "b"]}) == everything, "four of each kind"
    newest = await ana.client.get("/api/v1/timelines/tag/a", params={"any[]": ["b", "c"], "limit": 3})
    assert [plain(s) for s in newest.json()] == ["#a outside", "#a #b #c", "#c"]
    older = await ana.client.get(newest.links["next"]["url"])
    assert [plain(s) for s in older.json()] == ["#a #c", "#a #b", "#b"]
    back = await ana.client.get(older.links["prev"]["url"])
    assert back.json() == newest.json()
