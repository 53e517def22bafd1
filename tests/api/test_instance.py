"""What the instance says of itself: to strangers what sign-up needs and no number, to its people everything."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from fedishare.media.studio import Studio
from fedishare.model.ids import Id, Millis
from fedishare.services import accounts, announcements, emojis
from fedishare.store import actors, notice_board
from fedishare.store.db import NoticesLost, Tx
from tests.api import mastodon
from tests.api.test_entities import as_documented
from tests.support.instances import House, house
from tests.support.world import new_world

AT = "/api/v1/instance"


async def test_texts_and_rules_are_for_everybody_numbers_for_members(tmp_path: Path) -> None:
    (tmp_path / "about.html").write_text("<h1>About</h1><script>x()</script><p>us</p>")
    (tmp_path / "privacy.txt").write_text("We keep <little>.\n\nReally.")
    settings = {
        "title": "Clinic", "description": "All of us.", "languages": ["de", "en"], "contact_email": "help@x.example",
        "contact_account": "ana", "extended_description": "about.html", "privacy_policy": "privacy.txt",
        "terms_of_service": "privacy.txt", "terms_effective": "2026-01-01", "peers": True, "domain_blocks": True,
    }  # fmt: skip
    async with house(tmp_path, instance=settings) as home:
        stranger = await home.stranger()
        rule = await home.org.write(announcements.add_rule, "No patient data", "Not even so.", "test")
        await home.org.write(announcements.translate_rule, rule, "de", "Keine Patientendaten", "", "test")
        gone = await home.org.write(announcements.add_rule, "Old", "", "test")
        await home.org.write(announcements.remove_rule, gone, "test")
        (shown,) = as_documented(await stranger.get(f"{AT}/rules"), list[mastodon.Rule])
        assert shown.translations == {"de": mastodon.RuleText(text="Keine Patientendaten", hint="")}
        described = (await stranger.get(f"{AT}/extended_description")).json()["content"]
        assert "us" in described and "<script" not in described and "x()" not in described
        privacy = (await stranger.get(f"{AT}/privacy_policy")).json()
        assert privacy["content"] == "<p>We keep &lt;little&gt;.</p><p>Really.</p>"
        terms = (await stranger.get(f"{AT}/terms_of_service")).json()
        assert (terms["effective_date"], terms["effective"], terms["succeeded_by"]) == ("2026-01-01", True, None)
        assert (await stranger.get(f"{AT}/terms_of_service/2026-01-01")).json() == terms
        assert (await stranger.get(f"{AT}/terms_of_service/2020-01-01")).status_code == 404
        assert {"code": "de", "name": "Deutsch"} in (await stranger.get(f"{AT}/languages")).json()
        await home.ana.say("hello")
        outside, inside = (await stranger.get("/api/v2/instance")).json(), await home.ben.get("/api/v2/instance")
        assert outside["title"] == "Clinic" and outside["languages"] == ["de", "en"]
        assert outside["contact"] == {"email": "help@x.example", "account": None}
        assert inside["contact"]["account"]["username"] == "ana"
        assert outside["usage"]["users"]["active_month"] == 0 and inside["usage"]["users"]["active_month"] == 2
        assert outside["rules"] == inside["rules"] and outside["rules"][0]["hint"] == "Not even so."
        assert outside["configuration"]["timelines_access"]["live_feeds"] == {
            "local": "authenticated", "remote": "authenticated",
        }  # fmt: skip
        old = await home.ben.get("/api/v1/instance")
        assert old["stats"] == {"user_count": 3, "status_count": 1, "domain_count": 2}
        assert (await stranger.get("/api/v1/instance")).json()["stats"]["user_count"] == 0
        for path in ("peers", "domain_blocks", "activity"):
            assert (await stranger.get(f"{AT}/{path}")).status_code == 401, path
        assert await home.ben.get(f"{AT}/peers") == ["lab.example", "ward.example"]
        assert await home.ben.get(f"{AT}/domain_blocks") == []
        weeks = await home.ben.get(f"{AT}/activity")
        assert len(weeks) == 12 and (weeks[0]["statuses"], weeks[0]["registrations"]) == ("1", "3")
        assert int(weeks[0]["logins"]) == 2 and int(weeks[0]["week"]) - int(weeks[1]["week"]) == 7 * 86400


async def test_by_default_lists_are_hidden_and_texts_empty(tmp_path: Path) -> None:
    async with house(tmp_path, instance={"activity": False}) as home:
        assert await home.ben.get(f"{AT}/peers") == []
        for path in ("domain_blocks", "activity", "terms_of_service"):
            assert (await home.ben.client.get(f"{AT}/{path}")).status_code == 404, path
        for path in ("privacy_policy", "extended_description"):
            empty = as_documented(await home.ben.client.get(f"{AT}/{path}"), mastodon.PrivacyPolicy)
            assert empty.content == "", path
        assert (await home.ben.get("/api/v2/instance"))["title"] == "home.example"


async def picture(home: House, code: str, *, frames: int = 1) -> None:
    """An emoji, as the command line makes it."""
    pictures = [Image.new("RGB", (32, 32), (200, 40 * n, 20)) for n in range(frames)]
    out = io.BytesIO()
    pictures[0].save(out, "GIF", save_all=True, append_images=pictures[1:], duration=100)
    studio: Studio = home.org.server.instance.studio
    found = await studio.identify(out)
    made = await studio.keep((await studio.picture(out, found)).original)
    await home.org.write(emojis.add, code, made, made, "shapes", "test")


async def test_announcements_are_read_and_answered(home: House) -> None:
    at = "/api/v1/announcements"
    await picture(home, "thorax")
    ident = await home.org.write(announcements.add, "Maintenance #sunday :thorax:", "test")
    (shown,) = as_documented(await home.ben.client.get(at), list[mastodon.Announcement])
    assert shown.id == str(ident) and not shown.read and [t.name for t in shown.tags] == ["sunday"]
    assert [e.shortcode for e in shown.emojis] == ["thorax"]
    for person, name in ((home.ben, "👍"), (home.cy, "👍"), (home.ben, "thorax"), (home.ben, "👩🏽‍⚕️")):
        await person.do(f"{at}/{ident}/reactions/{name}", 200, "PUT")
    (shown,) = as_documented(await home.ben.client.get(at), list[mastodon.Announcement])
    assert [(r.name, r.count, r.me) for r in shown.reactions] == [
        ("👍", 2, True), ("thorax", 1, True), ("👩🏽‍⚕️", 1, True),
    ]  # fmt: skip
    assert shown.reactions[1].url is not None
    await home.ben.do(f"{at}/{ident}/reactions/thorax", 200, "DELETE")
    for wrong in ("nothing", "x", "ab cd", "<b>", "👍" * 20):
        assert (await home.ben.client.put(f"{at}/{ident}/reactions/{wrong}")).status_code == 422, wrong
    for number in range(8):
        await home.cy.client.put(f"{at}/{ident}/reactions/{chr(0x1F400 + number)}")
    (shown,) = as_documented(await home.cy.client.get(at), list[mastodon.Announcement])
    assert len(shown.reactions) == 8, "no more different ones"
    await home.ben.do(f"{at}/{ident}/dismiss")
    assert await home.ben.get(at) == [] and (await home.ben.get(at, with_dismissed="true"))[0]["read"] is True
    assert len(await home.cy.get(at)) == 1, "others have not read it"
    for path in (f"{at}/7/dismiss", f"{at}/x/dismiss"):
        assert (await home.ben.client.post(path)).status_code == 404
    await home.org.write(announcements.remove, ident, "test")
    assert await home.cy.get(at) == []
    over = Millis(home.world.clock() - 1)
    await home.org.write(announcements.add, "over", "test", ends=over)
    assert await home.cy.get(at) == []
    assert [row[0] for row in await home.org.audit()][:2] == ["announcement.add", "announcement.remove"]


async def test_streams_carry_announcements(home: House) -> None:
    heard: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    listener = home.org.server.hub.listen(await _viewer(home))
    listener.streams.add("user")
    api = home.org.server.api

    async def follow() -> None:
        streaming = next(r for r in home.org.server.router.routes if r.path == "/api/v1/streaming/user")
        owner: Any = streaming.handler.func.__self__  # type: ignore[attr-defined]
        while (event := await listener.queue.get()) is not None:
            for body in (await owner._payloads(event, listener.viewer)).values():
                await heard.put((event.kind, body.decode()))

    task = asyncio.create_task(follow())
    try:
        ident = await home.org.write(announcements.add, "now", "test")
        kind, body = await asyncio.wait_for(heard.get(), 5)
        assert kind == "announcement" and json.loads(body)["id"] == str(ident)
        await home.cy.do(f"/api/v1/announcements/{ident}/reactions/👍", 200, "PUT")
        kind, body = await asyncio.wait_for(heard.get(), 5)
        said = json.loads(body)
        assert kind == "announcement.reaction" and (said["name"], said["count"]) == ("👍", 1)
        assert said["announcement_id"] == str(ident)
        await home.org.write(announcements.remove, ident, "test")
        assert await asyncio.wait_for(heard.get(), 5) == ("announcement.delete", str(ident))
        # As the command line does it, in a process of its own: all that is heard here is that something changed.
        later = await home.org.write(_elsewhere, "later")
        kind, body = await asyncio.wait_for(heard.get(), 5)
        assert kind == "announcement" and json.loads(body)["id"] == str(later)
        await home.org.write(announcements.remove, later, "test")
        assert await asyncio.wait_for(heard.get(), 5) == ("announcement.delete", str(later))
    finally:
        home.org.server.hub.leave(listener)
        await task
    assert await api.database.read(notice_board.announced) == set()


def _elsewhere(tx: Tx, text: str) -> Id:
    made = announcements.add(tx, text, "test")
    tx.notices[:] = [NoticesLost()]
    return made


async def _viewer(home: House) -> Any:
    token = home.ben.client.headers["authorization"].removeprefix("Bearer ")
    return await home.org.server.api.bearer(token)


async def test_emoji_are_in_texts_names_and_lists(home: House) -> None:
    await picture(home, "thorax", frames=3)
    (shown,) = await home.ben.get("/api/v1/custom_emojis")
    assert (shown["shortcode"], shown["category"], shown["visible_in_picker"]) == ("thorax", "shapes", True)
    stranger = await home.stranger()
    path = shown["url"].removeprefix("https://home.example")
    assert (await home.ben.client.get(path)).headers["content-type"] == "image/gif"
    assert (await stranger.get(path)).status_code == 200, "apps load pictures without their token, with the ticket"
    assert (await stranger.get(path.partition("?")[0])).status_code == 404
    said = await home.ben.say("a :thorax: and :nothing:", spoiler_text=":thorax:")
    assert [e["shortcode"] for e in said["emojis"]] == ["thorax"]
    assert (await home.ben.say("a:thorax: b"))["emojis"] == []
    poll = {"options": [":thorax:", "b"], "expires_in": 600}
    assert [e["shortcode"] for e in (await home.ben.say("which?", poll=poll))["emojis"]] == ["thorax"]
    edited = await home.ben.edit(said, "none")
    assert edited["emojis"] == []
    me = await home.ben.do("/api/v1/accounts/update_credentials", 200, "PATCH", display_name="Ben :thorax:")
    assert [e["shortcode"] for e in me["emojis"]] == ["thorax"]
    await home.org.write(emojis.remove, "thorax", "test")
    assert await home.ben.get("/api/v1/custom_emojis") == []
    assert (await home.ben.client.get(path)).status_code == 404
    assert (await home.ben.say(":thorax:"))["emojis"] == []


@pytest.mark.spec("R72")
async def test_partners_get_the_emoji_and_fetch_its_picture_with_a_signature(tmp_path: Path) -> None:
    async with new_world(tmp_path) as world:
        ours = await world.org("ours.example", ["lab.example"])
        theirs = await world.org("lab.example", ["ours.example"])
        ana, zoe = await ours.person("ana"), await theirs.person("zoe")
        await zoe.follow(ana.handle)
        await world.settle()
        home = House(world, ours, ana, ana, ana)
        await picture(home, "thorax")
        said = await ana.say("look :thorax:", reach="partners")
        await world.settle()
        (create,) = [a for a in world.bodies_to("lab.example") if a["type"] == "Create"]
        (tag,) = [t for t in create["object"]["tag"] if t["type"] == "Emoji"]
        assert tag["name"] == ":thorax:" and tag["id"] == "https://ours.example/emojis/thorax"
        address = tag["icon"]["url"]
        assert (await world.ask("GET", address)).status == 404, "not without a signature"
        shown = await zoe.status(said["uri"])
        assert shown is not None and [e["shortcode"] for e in shown["emojis"]] == ["thorax"]
        link = shown["emojis"][0]["url"]
        assert link.startswith("https://lab.example/media/remote/")
        got = await zoe.client.get(link)
        assert got.status_code == 200 and got.headers["content-type"].startswith("image/")


def test_what_is_said_is_checked_before_it_is_kept() -> None:
    for good in ("ab", "A_1", ":thorax:"):
        assert emojis.check_code(good)
    for bad in ("a", "a b", "ä" * 3, "x" * 51, "", "../x"):
        with pytest.raises(Exception, match="short code"):
            emojis.check_code(bad)


async def test_numbers_of_strangers_stay_zero_with_a_token_that_ended(home: House) -> None:
    """A description is for everybody; what it adds for members wants a token that counts."""
    token = home.ben.client.headers["authorization"]
    assert (await home.ben.get("/api/v1/instance"))["stats"]["user_count"] == 3
    await home.ana.org.write(_end, home.ben.id)
    transport = httpx.ASGITransport(app=home.org.server, client=("192.0.2.9", 1))
    async with httpx.AsyncClient(transport=transport, base_url=home.org.config.origin) as client:
        answer = await client.get("/api/v1/instance", headers={"authorization": token})
    assert answer.status_code == 200 and answer.json()["stats"]["user_count"] == 0


def _end(tx: Tx, ident: Id) -> None:
    actor = actors.by_id(tx, ident)
    assert actor is not None
    accounts.end_tokens(tx, actor)
