"""Every entity has every field that Mastodon documents, of the type that it documents; search and instance in whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import msgspec
import pytest

from fedishare.model.actors import Actor, ActorKind, Emoji, Field, Image, Profile
from fedishare.model.ids import Millis
from fedishare.model.posts import Attachment, Poll, PollOption, Post
from fedishare.store import actors
from tests.api import mastodon
from tests.support.instances import House

T = TypeVar("T")


def as_documented(answer: httpx.Response, kind: type[T]) -> T:
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=kind)


@dataclass
class Things:
    """One of each kind, with everything that it may carry; from here and from a partner."""

    guest: Actor
    post: Post
    mine: str
    asked: str
    reply: str


async def things(home: House) -> Things:
    """Make them."""
    zoe = await home.guest("zoe")
    full = Profile(
        "Zoe :x:", "<p>hi</p>", (Field("a", "b", Millis(10**12)),), Image("https://lab.example/a.png"),
        Image("https://lab.example/h.png", description="a hill"), (Emoji("x", "https://lab.example/x.png"),),
        memorial=True,
    )  # fmt: skip
    await home.org.write(actors.set_profile, zoe.id, ActorKind.SERVICE, full)
    poll = Poll(
        (PollOption("a", 1), PollOption("b")), multiple=True, ends_at=Millis(home.world.clock() + 10**6), voters=1
    )
    picture = Attachment(
        "https://lab.example/p.png", "image/png", "image", "a picture", 800, 600, "UABC", (0.1, -0.2), None
    )
    post = await home.said(
        zoe, "full :x:", to=[home.ana.iri], poll=poll, attachments=(picture,), emojis=full.emojis, summary="careful",
        sensitive=True, language="en", hashtags=("tag",),
    )  # fmt: skip
    await home.followed(zoe, home.ana)
    mine = await home.ana.say("@zoe@lab.example @ben #tag", visibility="unlisted", reach="partners", language="de")
    asked = await home.ana.say("which?", poll={"options": ["a", "b"], "expires_in": 600, "hide_totals": True})
    reply = await home.ben.say("@ana well", in_reply_to_id=mine["id"])
    await home.ana.edit(mine, "@ben edited")
    await home.ben.do(f"/api/v1/accounts/{home.ana.id}/follow", notify=True)
    for ident in (post.id, mine["id"]):
        await home.ben.do(f"/api/v1/statuses/{ident}/reblog")
        await home.ben.do(f"/api/v1/statuses/{ident}/favourite")
    await home.ana.say("news")
    return Things(zoe, post, mine["id"], asked["id"], reply["id"])


async def test_every_entity_is_whole(home: House) -> None:
    made = await things(home)
    get = home.ana.client.get
    at = f"/api/v1/statuses/{made.mine}"
    for path, kind in (
        ("/api/v1/accounts/verify_credentials", mastodon.CredentialAccount),
        (f"/api/v1/accounts/{made.guest.id}", mastodon.Account),
        ("/api/v1/accounts/lookup?acct=zoe@lab.example", mastodon.Account),
        (f"/api/v1/statuses/{made.post.id}", mastodon.Status),
        (f"/api/v1/polls/{made.asked}", mastodon.Poll),
        (f"{at}/context", mastodon.Context),
        (f"{at}/source", mastodon.StatusSource),
        ("/api/v2/search?q=tag", mastodon.Search),
        ("/api/v2/instance", mastodon.Instance),
        ("/api/v1/instance", mastodon.InstanceV1),
    ):
        as_documented(await get(path), kind)
    for path, listed, least in (
        (f"/api/v1/accounts/relationships?id[]={made.guest.id}&id[]={home.ben.id}", mastodon.Relationship, 2),
        ("/api/v1/timelines/home", mastodon.Status, 3),
        ("/api/v1/timelines/public", mastodon.Status, 3),
        (f"/api/v1/accounts/{home.ben.id}/statuses", mastodon.Status, 3),
        (f"/api/v1/accounts/{made.guest.id}/statuses", mastodon.Status, 1),
        ("/api/v1/notifications", mastodon.Notification, 5),
        (f"/api/v1/accounts/{home.ana.id}/followers", mastodon.Account, 2),
        (f"{at}/favourited_by", mastodon.Account, 1),
        (f"{at}/history", mastodon.StatusEdit, 2),
    ):
        found = as_documented(await get(path), list[listed])  # type: ignore[valid-type]
        assert len(found) >= least, path


async def test_answers_to_changes_are_whole_entities(home: House) -> None:
    made = await things(home)
    at, post_ = f"/api/v1/statuses/{made.mine}", home.ana.client.post
    for verb in (
        "favourite",
        "unfavourite",
        "bookmark",
        "unbookmark",
        "mute",
        "unmute",
        "pin",
        "unpin",
        "reblog",
        "unreblog",
    ):
        as_documented(await post_(f"{at}/{verb}"), mastodon.Status)
    for verb in ("follow", "unfollow", "mute", "unmute", "block", "unblock"):
        as_documented(await post_(f"/api/v1/accounts/{made.guest.id}/{verb}"), mastodon.Relationship)
    shown = as_documented(await home.ana.client.get(f"/api/v1/statuses/{made.post.id}"), mastodon.Status)
    assert shown.account.acct == "zoe@lab.example" and shown.account.bot and shown.account.memorial
    assert shown.poll is not None and shown.poll.multiple and shown.media_attachments[0].description == "a picture"
    assert shown.media_attachments[0].meta.focus == mastodon.Focus(x=0.1, y=-0.2)
    assert [m.acct for m in shown.mentions] == ["ana"] and [t.name for t in shown.tags] == ["tag"]
    as_documented(await home.ben.client.delete(f"/api/v1/statuses/{made.reply}"), mastodon.DeletedStatus)


def test_the_documentation_is_held_against_the_answers() -> None:
    """What is missing, or of another type, would be seen."""
    whole = {"id": "1", "username": "a", "url": "https://x.example/", "acct": "a"}
    assert msgspec.convert(whole, mastodon.Mention).acct == "a"
    wrong: list[dict[str, Any]] = [{**whole, "id": 1}, {**whole, "id": "x"}, {**whole, "url": ""}, {"id": "1"}]
    for each in wrong:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(each, mastodon.Mention)


async def test_the_instance_tells_its_limits_and_nothing_about_people(home: House) -> None:
    stranger = await home.stranger()
    for path in ("/api/v1/instance", "/api/v2/instance"):
        found = (await stranger.get(path)).json()
        assert mastodon.VERSION.match(found["version"]), found["version"]
        configuration = found["configuration"]
        assert configuration["statuses"]["max_characters"] == 140
        assert configuration["statuses"]["characters_reserved_per_url"] == 23
        assert (configuration["polls"]["min_expiration"], configuration["polls"]["max_options"]) == (300, 4)
        assert "ana" not in str(found) and "lab.example" not in str(found)
    assert found["registrations"]["enabled"] is False and found["usage"] == {"users": {"active_month": 0}}
    for path in ("/avatars/original/missing.svg", "/headers/original/missing.svg"):
        picture = await stranger.get(path)
        assert (picture.status_code, picture.headers["content-type"]) == (200, "image/svg+xml")
    for path in ("/api/v1/custom_emojis", "/api/v1/announcements"):
        assert await home.ana.get(path) == []


async def test_search_finds_what_one_may_read_and_nothing_else(both: House) -> None:
    ana, ben = both.ana, both.ben
    await ana.say("the Thorax study #thorax")
    await ana.say("@ben thorax for you", visibility="direct")
    found = await ben.get("/api/v2/search", q="thorax")
    assert len(found["statuses"]) == 2 and [t["name"] for t in found["hashtags"]] == ["thorax"]
    assert len((await both.cy.get("/api/v2/search", q="THORAX"))["statuses"]) == 1
    assert (await both.cy.get("/api/v2/search", q="an", type="accounts"))["accounts"][0]["acct"] == "ana"
    only = await both.cy.get("/api/v2/search", q="thorax", type="hashtags")
    assert only["statuses"] == [] and only["accounts"] == [] and len(only["hashtags"]) == 1
    for nothing in ("", "   ", "%", "_", "x" * 500, "'; DROP TABLE post; --", '"', "@", "@@", "a@b@c"):
        answer = await ben.client.get("/api/v2/search", params={"q": nothing})
        assert answer.status_code == 200 and answer.json()["statuses"] == [], nothing
    assert len((await ben.get("/api/v2/search", q="thorax", limit=1))["statuses"]) == 1
    assert len((await ben.get("/api/v2/search", q="thorax", type="statuses", offset=1))["statuses"]) == 1
    zoe = await both.guest("zoe")
    await both.said(zoe, 'seen <a href="https://x.example/" class="remark">R&amp;D</a>')
    for text, hits in (("r&d", 1), ("remark", 0), ("href", 0), ("span", 0)):
        assert len((await ben.get("/api/v2/search", q=text))["statuses"]) == hits, text
    wrong = await ben.client.get("/api/v2/search", params={"q": "x", "type": "cats"})
    assert (wrong.status_code, wrong.json()["error"]) == (422, "type: accounts, statuses or hashtags was expected")


async def test_search_with_resolve_is_refused_for_strangers_by_the_rules_name(home: House) -> None:
    for query in ("@eve@evil.example", "eve@evil.example", "https://evil.example/users/eve", "https://10.0.0.1/x"):
        quiet = await home.ana.client.get("/api/v2/search", params={"q": query})
        assert (quiet.status_code, quiet.json()["accounts"]) == (200, [])
        refused = await home.ana.client.get("/api/v2/search", params={"q": query, "resolve": "true"})
        assert refused.status_code == 403 and refused.json()["error"], query
        assert refused.json().get("rule"), refused.text
    assert home.world.internet.dns_lookups == []
    home.world.internet.answer("lab.example", 404)
    missing = await home.ana.client.get("/api/v2/search", params={"q": "@nobody@lab.example", "resolve": "true"})
    assert (missing.status_code, missing.json()["accounts"]) == (200, [])
    mine = await home.ana.say("here")
    found = await home.ben.get("/api/v2/search", q=mine["url"], resolve="true")
    assert [s["id"] for s in found["statuses"]] == [mine["id"]]
    found = await home.ben.get("/api/v2/search", q="https://home.example/@ana", resolve="true")
    assert [a["acct"] for a in found["accounts"]] == ["ana"]
    hidden = await home.ana.say("@cy psst", visibility="direct")
    for url in (hidden["url"], hidden["uri"]):
        found = await home.ben.get("/api/v2/search", q=url, resolve="true")
        assert found["statuses"] == []
