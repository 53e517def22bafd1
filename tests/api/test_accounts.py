"""Accounts and how people stand to each other, through HTTP."""

from __future__ import annotations

import re
from typing import Any

from fedishare.model.actors import Profile
from fedishare.store import actors
from tests.support.instances import House
from tests.support.pictures import picture
from tests.support.world import Person


async def standing(one: Person, other: Any) -> set[str]:
    """What is true of a relationship."""
    found = await one.client.get("/api/v1/accounts/relationships", params={"id[]": str(other.id)})
    return {key for key, value in found.json()[0].items() if value is True}


async def test_follow_and_unfollow_answer_with_how_things_stand_now(both: House) -> None:
    ana, ben = both.ana, both.ben
    at = f"/api/v1/accounts/{ana.id}"
    old = await ana.say("from before")
    found = await ben.do(f"{at}/follow", reblogs=False, notify=True)
    assert (found["id"], found["following"], found["showing_reblogs"], found["notifying"]) == (
        str(ana.id), True, False, True,
    )  # fmt: skip
    assert (await ben.do(f"{at}/follow"))["showing_reblogs"] is False, "what is not said stays"
    assert (await ben.do(f"{at}/follow", reblogs=True))["showing_reblogs"] is True, "following again changes options"
    assert await standing(ben, ana) == {"following", "showing_reblogs", "notifying"} and await standing(ana, ben) == {
        "followed_by"
    }
    assert await ana.notifications() == [("follow", "ben")] and await ben.texts() == ["from before"]
    shown = await ben.get(at)
    assert (shown["followers_count"], shown["following_count"]) == (1, 0)
    assert [a["acct"] for a in await ben.get(f"{at}/followers")] == ["ben"]
    assert [a["acct"] for a in await ana.get(f"/api/v1/accounts/{ben.id}/following")] == ["ana"]
    found = await ben.do(f"{at}/unfollow")
    assert found["following"] is False and await ben.texts() == [] and await ana.notifications() == []
    assert (await ben.get(at))["followers_count"] == 0
    assert (await ben.do(f"{at}/unfollow"))["following"] is False
    itself = await ana.client.post(f"{at}/follow")
    assert (itself.status_code, itself.json()["error"]) == (403, "You cannot follow yourself")
    assert (await ben.client.post("/api/v1/accounts/1/follow")).status_code == 404
    assert (await ben.get(f"/api/v1/statuses/{old['id']}"))["id"] == old["id"]


async def test_a_locked_account_decides(both: House) -> None:
    ana, ben, cy = both.ana, both.ben, both.cy
    locked = await ana.do("/api/v1/accounts/update_credentials", 200, "PATCH", locked=True)
    assert locked["locked"] is True
    for person in (ben, cy):
        found = await person.do(f"/api/v1/accounts/{ana.id}/follow")
        assert (found["following"], found["requested"]) == (False, True)
    assert await ana.notifications() == [("follow_request", "cy"), ("follow_request", "ben")]
    assert [a["acct"] for a in await ana.get("/api/v1/follow_requests")] == ["cy", "ben"]
    assert await standing(ana, ben) == {"requested_by"}
    assert (await ana.get("/api/v1/accounts/verify_credentials"))["source"]["follow_requests_count"] == 2
    private = await ana.say("for followers", visibility="private")
    assert await ben.texts() == []
    assert (await ana.do(f"/api/v1/follow_requests/{ben.id}/authorize"))["followed_by"] is True
    assert (await ana.do(f"/api/v1/follow_requests/{cy.id}/reject"))["requested_by"] is False
    assert await ben.texts() == ["for followers"] and await ana.notifications() == [("follow", "ben")]
    assert (await cy.client.get(f"/api/v1/statuses/{private['id']}")).status_code == 404
    for verb in ("authorize", "reject"):
        for person in (ben, cy):
            assert (await ana.client.post(f"/api/v1/follow_requests/{person.id}/{verb}")).status_code == 404
    assert (await ana.do(f"/api/v1/accounts/{ben.id}/remove_from_followers"))["followed_by"] is False
    assert await ben.texts() == [] and await standing(ben, ana) == set()
    await cy.do(f"/api/v1/accounts/{ana.id}/follow")
    assert (await cy.do(f"/api/v1/accounts/{ana.id}/unfollow"))["requested"] is False
    assert await ana.get("/api/v1/follow_requests") == [] and await ana.notifications() == [("follow", "ben")]


async def test_blocks_part_people_and_mutes_are_silent(both: House) -> None:
    ana, ben = both.ana, both.ben
    await ben.do(f"/api/v1/accounts/{ana.id}/follow")
    await ana.do(f"/api/v1/accounts/{ben.id}/follow")
    found = await ana.do(f"/api/v1/accounts/{ben.id}/block")
    assert (found["blocking"], found["following"], found["followed_by"]) == (True, False, False)
    assert await standing(ben, ana) == {"blocked_by"} and await ana.notifications() == []
    assert [a["acct"] for a in await ana.get("/api/v1/blocks")] == ["ben"] and await ben.get("/api/v1/blocks") == []
    refused = await ben.client.post(f"/api/v1/accounts/{ana.id}/follow")
    assert (refused.status_code, refused.json()["error"]) == (403, "This action is not allowed")
    assert (await ana.do(f"/api/v1/accounts/{ben.id}/unblock"))["blocking"] is False
    found = await ana.do(f"/api/v1/accounts/{ben.id}/mute", notifications=False, duration=60)
    assert (found["muting"], found["muting_notifications"]) == (True, False)
    assert found["muting_expires_at"].endswith("Z")
    assert [a["acct"] for a in await ana.get("/api/v1/mutes")] == ["ben"]
    await ben.say("@ana still here")
    assert await ana.notifications() == [("mention", "ben")]
    await ana.do(f"/api/v1/accounts/{ben.id}/mute")
    await ben.say("@ana and now?")
    assert await ana.notifications() == [], "a mute with notifications hides those from before, too"
    assert (await ana.do(f"/api/v1/accounts/{ben.id}/unmute"))["muting"] is False
    assert await standing(ana, ben) == set()
    assert (await ana.client.post(f"/api/v1/accounts/{ana.id}/block")).status_code == 404


async def test_accounts_are_found_by_name(home: House) -> None:
    zoe = await home.guest("Zoe")
    local = await home.ben.get("/api/v1/accounts/lookup", acct="ana")
    assert (local["acct"], local["id"], local["url"]) == ("ana", str(home.ana.id), "https://home.example/@ana")
    for written in ("@ana", "ANA", "ana@home.example", "@ana@HOME.example", "acct:ana@home.example"):
        assert (await home.ben.get("/api/v1/accounts/lookup", acct=written))["id"] == local["id"], written
    assert (await home.ben.get("/api/v1/accounts/lookup", acct="zoe@lab.example"))["acct"] == "Zoe@lab.example"
    for missing in ("nobody", "", "zoe", "ana@lab.example", "a b", "@@", "instance.actor", "x" * 5000):
        answer = await home.ben.client.get("/api/v1/accounts/lookup", params={"acct": missing})
        assert (answer.status_code, answer.json()) == (404, {"error": "Record not found"}), missing
    assert home.world.internet.dns_lookups == [], "a look-up asks nobody"
    found = await home.ben.get("/api/v1/accounts/search", q="zo")
    assert [a["id"] for a in found] == [str(zoe.id)]
    assert await home.ben.get("/api/v1/accounts/search", q="%") == []
    several = await home.ben.client.get(
        "/api/v1/accounts", params=[("id[]", str(zoe.id)), ("id[]", "1"), ("id[]", str(home.ana.id))]
    )
    assert [a["acct"] for a in several.json()] == ["Zoe@lab.example", "ana"]
    instance = await home.org.by_handle("instance.actor")
    assert instance is not None
    assert (await home.ben.client.get(f"/api/v1/accounts/{instance.id}")).status_code == 404
    assert (await home.ben.client.get("/api/v1/accounts", params={"id[]": str(instance.id)})).json() == []


async def test_a_profile_is_edited_and_shows_at_once(both: House) -> None:
    ana = both.ana
    said = await ana.say("before")
    await both.ben.get(f"/api/v1/statuses/{said['id']}")
    fields: dict[str, Any] = {
        "display_name": "Ana \u202e Lee", "note": "radiology #xray\nhttps://example.com", "bot": "true",
        "fields_attributes": {"0": {"name": "Room", "value": "https://example.com/12"}, "1": {"name": "", "value": ""}},
        "discoverable": False, "indexable": "0", "hide_collections": True,
    }  # fmt: skip
    shown = await ana.do("/api/v1/accounts/update_credentials", 200, "PATCH", **fields)
    assert shown["bot"] is True and "Ana" in shown["display_name"] and "<a href" in shown["note"]
    assert shown["source"]["note"] == fields["note"] and shown["fields"][0]["name"] == "Room"
    assert (shown["discoverable"], shown["indexable"], shown["noindex"], shown["hide_collections"]) == (
        False, False, True, True,
    )  # fmt: skip
    seen = await both.ben.get(f"/api/v1/statuses/{said['id']}")
    assert seen["account"]["display_name"] == shown["display_name"]
    await both.ben.do(f"/api/v1/accounts/{ana.id}/follow")
    assert await both.ben.get(f"/api/v1/accounts/{ana.id}/followers") == []
    assert len(await ana.get(f"/api/v1/accounts/{ana.id}/followers")) == 1
    again = await ana.client.patch("/api/v1/accounts/update_credentials", data={"display_name": "Ana"})
    assert again.json()["note"] == shown["note"] and again.json()["display_name"] == "Ana"
    for wrong in (
        {"display_name": "x" * 31}, {"note": "x" * 501}, {"locked": "maybe"}, {"source": {"privacy": "x"}},
        {"source": "x"}, {"fields_attributes": [{"name": "x"}] * 5}, {"fields_attributes": ["x"]},
        {"fields_attributes": "x"},
    ):  # fmt: skip
        refused = await ana.client.patch("/api/v1/accounts/update_credentials", json=wrong)
        assert refused.status_code == 422 and refused.json()["error"], (wrong, refused.text)
    upload = await ana.client.patch(
        "/api/v1/accounts/update_credentials", files={"avatar": ("a.png", b"x", "image/png")}
    )
    assert upload.status_code == 422
    preferences = await ana.get("/api/v1/preferences")
    assert preferences["posting:default:visibility"] == "public"


async def test_statuses_of_somebody_by_what_is_wanted(both: House) -> None:
    ana, ben = both.ana, both.ben
    theirs = await ben.say("of ben #Ward")
    uploaded = await ana.client.post("/api/v2/media", files={"file": ("a.png", picture(), "image/png")})
    await ana.say("plain #ward")
    first = await ana.say("with a picture", media_ids=[uploaded.json()["id"]])
    await ana.say("an answer", in_reply_to_id=theirs["id"])
    await ana.say("to myself", in_reply_to_id=first["id"])
    await ana.do(f"/api/v1/statuses/{theirs['id']}/reblog")
    await ana.do(f"/api/v1/statuses/{first['id']}/pin")
    await ana.say("hidden", visibility="direct")
    at = f"/api/v1/accounts/{ana.id}/statuses"

    async def texts(**params: str) -> list[str]:
        shown = [s["reblog"] or s for s in await ben.get(at, **params)]
        return [re.sub("<[^>]*>", "", s["content"]) for s in shown]

    everything = ["of ben #Ward", "to myself", "an answer", "with a picture", "plain #ward"]
    assert await texts() == everything
    assert await texts(exclude_reblogs="true") == everything[1:]
    assert await texts(exclude_replies="1", exclude_reblogs="1") == ["to myself", "with a picture", "plain #ward"]
    assert await texts(only_media="true") == ["with a picture"] == await texts(pinned="true")
    for tag in ("ward", "WARD", "#Ward"):
        assert await texts(tagged=tag) == ["plain #ward"], tag
    assert await texts(tagged="other") == []
    page = await ben.client.get(at, params={"limit": 2, "exclude_reblogs": "true"})
    older = (await ben.client.get(page.links["next"]["url"])).json()
    assert [s["id"] for s in older] == [s["id"] for s in (await ben.get(at))[3:5]], "the filter goes on with the pages"
    newer = (await ben.client.get(at, params={"min_id": older[-1]["id"], "limit": 1})).json()
    assert newer[0]["id"] == first["id"]
    await ana.do(f"/api/v1/accounts/{ben.id}/block")
    assert await texts() == []


async def test_who_has_moved_shows_where_to(home: House) -> None:
    old, new = await home.guest("old"), await home.guest("new")
    await home.org.write(actors.set_profile, old.id, old.kind, Profile(display_name="Old", moved_to=new.iri))
    await home.org.write(actors.set_profile, new.id, new.kind, Profile(display_name="One"))
    assert (await home.ana.get(f"/api/v1/accounts/{old.id}"))["moved"]["display_name"] == "One"
    await home.org.write(actors.set_profile, new.id, new.kind, Profile(display_name="Two"))
    assert (await home.ana.get(f"/api/v1/accounts/{old.id}"))["moved"]["display_name"] == "Two"
    refused = await home.ana.client.post(f"/api/v1/accounts/{old.id}/follow")
    assert (refused.status_code, "moved" in refused.json()["error"]) == (422, True)


async def test_reports_are_kept_and_name_only_what_one_sees(home: House) -> None:
    said = await home.ben.say("rude")
    fields = {"account_id": str(home.ben.id), "status_ids": [said["id"], "1"], "comment": "look"}
    found = await home.ana.do("/api/v1/reports", **fields)
    assert found["target_account"]["acct"] == "ben" and found["action_taken"] is False and found["comment"] == "look"
    for wrong, status in (({}, 422), ({"account_id": "1"}, 404), ({"account_id": "x"}, 404)):
        answer = await home.ana.client.post("/api/v1/reports", json=wrong)
        assert answer.status_code == status and answer.json()["error"], wrong
