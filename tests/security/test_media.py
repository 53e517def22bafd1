"""Files: nothing gets in but pictures made anew, and nobody gets one but those who may see what it is part of."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from fedishare.media.tickets import ANYBODY
from fedishare.model.partners import PartnerState
from fedishare.services import accounts, oauth
from fedishare.store import actors
from fedishare.store.db import sql
from tests.api.test_media import load, upload
from tests.support.pictures import SCRIPT, SECRET, SVG, bomb, moving, photograph, picture, polyglot
from tests.support.world import Json, Org, Person, Said, World, new_world

CLINIC, LAB, CARE, STRANGER = "clinic.example", "lab.example", "care.example", "stranger.example"
MEDIA_ROWS = sql(
    "test_media_rows",
    "SELECT (SELECT count(*) FROM media), (SELECT count(*) FROM media_file), (SELECT count(*) FROM media_trash)",
)
SMALL = {"media": {"max_bytes": 200_000}}


@dataclass
class Three:
    """A clinic, its partners lab and care, and a stranger."""

    world: World
    clinic: Org
    ana: Person
    cy: Person
    ben: Person
    cat: Person
    eve: Person

    async def shown(self, said: Json, person: Person) -> Json:
        """The first attachment of a post as somebody sees it."""
        found = await person.status(said["uri"])
        assert found is not None
        attachment: Json = found["media_attachments"][0]
        return attachment


@pytest.fixture
async def three(tmp_path: Path) -> AsyncIterator[Three]:
    async with new_world(tmp_path) as world:
        clinic = await world.org(CLINIC, [LAB, CARE])
        lab, care = await world.org(LAB, [CLINIC]), await world.org(CARE, [CLINIC])
        stranger = await world.org(STRANGER, [CLINIC, LAB, CARE])
        yield Three(
            world, clinic, await clinic.person("ana"), await clinic.person("cy"), await lab.person("ben"),
            await care.person("cat"), await stranger.person("eve"),
        )  # fmt: skip


def bare(url: str) -> str:
    """An address without its ticket."""
    return url.partition("?")[0]


async def as_server(org: Org, url: str, *, scheme: str = "cavage") -> Said:
    """A GET signed by an instance actor."""
    federation = org.server.federation
    signer = await federation.keyring.signer((await org.read(actors.instance_actor)).id)
    now = org.world.clock()
    headers = await federation.keyring.sign(signer, "GET", url, None, scheme=scheme, now=now)
    return await org.world.ask("GET", url, {"accept": "image/*", **headers})


# What is not let in

BAD = {
    "svg": SVG,
    "html": b"<!doctype html><script>alert(1)</script>",
    "html in png": b"\x89PNG\r\n\x1a\n" + SCRIPT,
    "a page as well": polyglot(),
    "an archive as well": picture() + b"PK\x01\x02" + b"\0" * 60 + b"PK\x05\x06" + b"\0" * 18,
    "zero bytes": b"",
    "cut": picture("JPEG", (800, 600))[:2000],
    "bomb": bomb(9000, 9000),
    "long animation": moving(frames=301, size=(8, 8)),
    "pdf": b"%PDF-1.7 " + b"x" * 500,
    "tiff": b"II*\0" + b"\0" * 200,
    "playlist": b"#EXTM3U\nfile:///etc/passwd\n",
    "too large": picture("PNG", (64, 48)) + b"\0" * 250_000,
}


@pytest.mark.parametrize("name", BAD)
async def test_what_is_no_picture_leaves_nothing_behind(tmp_path: Path, name: str) -> None:
    async with new_world(tmp_path) as world:
        clinic = await world.org(CLINIC, **SMALL)
        ana = await clinic.person("ana")
        for path in ("/api/v2/media", "/api/v1/media"):
            answer = await ana.client.post(path, files={"file": ("x.png", BAD[name], "image/png")})
            assert answer.status_code == 422 and answer.json()["error"], answer.text
        files = {"avatar": ("x.png", BAD[name], "image/png")}
        assert (await ana.client.patch("/api/v1/accounts/update_credentials", files=files)).status_code == 422
        assert await clinic.all(MEDIA_ROWS) == [(0, 0, 0)]
        root = clinic.config.media_path
        assert [p for p in root.rglob("*") if p.is_file()] == [], "files were left"
        # The same door, the right thing; whatever it is called.
        good = await ana.client.post("/api/v2/media", files={"file": ("x.exe", picture(), "text/html")})
        assert good.status_code == 200


async def test_what_is_wrong_with_the_request_itself(three: Three) -> None:
    client = three.ana.client
    assert (await client.post("/api/v2/media")).status_code == 422
    assert (await client.post("/api/v2/media", data={"file": "text"})).status_code == 422
    assert (await client.post("/api/v2/media", json={"file": "text"})).status_code == 422
    wrong: list[dict[str, str]] = [{"description": "x" * 1501}, {"focus": "1"}, {"focus": "nan,0"}, {"focus": "a,b"}]
    for data in wrong:
        assert "Validation failed" in (await upload(three.ana, None, 422, **data))["error"]
    assert (await upload(three.ana, None, 200, description="x" * 1500, focus="9,-9"))["meta"]["focus"] == {
        "x": 1, "y": -1,
    }  # fmt: skip
    kind = {"content-type": "multipart/form-data; boundary=x"}
    assert (await client.post("/api/v2/media", content=b"nonsense", headers=kind)).status_code in (400, 422)
    other = await three.world.client(three.clinic, await _token(three.clinic, "ana", "read write:statuses"))
    assert (await other.post("/api/v2/media", files={"file": ("x", picture(), "image/png")})).status_code == 403


async def _token(org: Org, name: str, scopes: str) -> str:
    token = accounts.new_token()
    await org.write(accounts.issue_token, name, token, scopes)
    return token


async def test_only_pixels_come_out(three: Three) -> None:
    for body in (photograph(), picture("PNG") + SECRET):
        made = await upload(three.ana, body)
        for url in (made["url"], made["preview_url"]):
            got = await load(three.ana, url)
            assert SECRET not in got.content and SCRIPT not in got.content and b"Exif" not in got.content
            headers = got.headers
            assert headers["content-type"] in ("image/jpeg", "image/png")
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["content-disposition"].startswith("inline; filename=")
            assert headers["content-security-policy"] == "default-src 'none'; sandbox"
            assert headers["cache-control"].startswith("private")
            asked = await load(three.ana, url, accept="application/activity+json, text/html")
            assert asked.headers["content-type"] == headers["content-type"]


async def test_many_uploads_at_once_do_not_hold_the_loop_up(three: Three) -> None:
    body = photograph((2000, 1500))
    longest, running = 0.0, True

    async def watch() -> None:
        nonlocal longest
        loop = asyncio.get_running_loop()
        while running:
            before = loop.time()
            await asyncio.sleep(0.01)
            longest = max(longest, loop.time() - before)

    watcher = asyncio.create_task(watch())
    made = await asyncio.gather(*(upload(three.ana, body) for _ in range(4)))
    running = False
    await watcher
    assert len({m["url"] for m in made}) == 4
    assert longest < 1.0, f"nothing else happened for {longest:.2f} s"


# Who gets a file


async def test_who_may_see_the_post_gets_its_files_and_nobody_else(three: Three) -> None:
    ana, cy = three.ana, three.cy
    made = await upload(ana)
    url = bare(made["url"])
    stranger = httpx.AsyncClient(transport=httpx.ASGITransport(app=three.clinic.server), base_url=ana.client.base_url)
    async with stranger:
        # Before there is a post it is its owner's alone.
        assert (await ana.client.get(url)).status_code == 200
        assert (await cy.client.get(url)).status_code == (await stranger.get(url)).status_code == 404
        said = await ana.say("look @cy", media_ids=[made["id"]], visibility="direct", reach="local")
        hidden, missing = await stranger.get(url), await stranger.get(url[:-8] + "0000.png")
        assert (hidden.status_code, hidden.content) == (missing.status_code, missing.content) == (404, missing.content)
        assert (await cy.client.get(url)).status_code == 200
        dan = await three.clinic.person("dan")
        assert (await dan.client.get(url)).status_code == 404
        for bad in ("Bearer x", "Basic x", "Bearer"):
            assert (await stranger.get(url, headers={"authorization": bad})).status_code == 404
        small = await three.world.client(three.clinic, await _token(three.clinic, "cy", "push"))
        assert (await small.get(url)).status_code == 404, "a token of too small a scope"
        session = await three.clinic.write(oauth.begin_session, cy.id)
        assert (await stranger.get(url, headers={"cookie": f"fedishare_session={session}"})).status_code == 200
        assert (await stranger.get(url, headers={"cookie": "fedishare_session=x"})).status_code == 404
        shown = (await cy.get(f"/api/v1/statuses/{said['id']}"))["media_attachments"][0]
        for name in ("url", "preview_url"):
            assert (await stranger.get(shown[name])).status_code == 200
        # A link is worth what its person may see at the moment.
        await ana.do(f"/api/v1/accounts/{cy.id}/block")
        assert (await stranger.get(shown["url"])).status_code == 404
        await ana.do(f"/api/v1/accounts/{cy.id}/unblock")
        assert (await stranger.get(shown["url"])).status_code == 200
        await three.clinic.write(actors.set_state, cy.id, 2)
        assert (await stranger.get(shown["url"])).status_code == 404, "cy has left"


async def test_a_ticket_is_for_one_file_and_never_leaves_the_house(three: Three) -> None:
    one, two = await upload(three.ana), await upload(three.ana, picture(colour=(1, 2, 3)))
    ticket = one["url"].partition("?")[2]
    assert (await load(three.ana, f"{bare(one['url'])}?{ticket}")).status_code == 200
    assert (await load(three.ana, f"{bare(two['url'])}?{ticket}")).status_code == 404
    # The ticket that all members share opens profiles' pictures and nothing else, whoever would make one.
    path = "/media/" + bare(two["url"]).rpartition("/")[2]
    tickets, now = three.clinic.server.api.tickets, three.world.clock()
    assert (await load(three.ana, f"{bare(two['url'])}?ticket={tickets.make(path, ANYBODY, now)}")).status_code == 404
    mine = tickets.make(path, three.ana.id, now)
    assert (await load(three.ana, f"{bare(two['url'])}?ticket={mine}")).status_code == 200
    await three.ben.follow(three.ana.handle)
    await three.world.settle()
    await three.ana.client.patch("/api/v1/accounts/update_credentials", files={"avatar": ("a", picture(), "image/png")})
    said = await three.ana.say("look", media_ids=[one["id"]], reach="partners")
    text = f"mark https://clinic.example/media/{'0' * 32}.png?ticket=x"
    await three.ana.say(text, reach="partners")
    await three.world.settle()
    assert await three.ben.status(said["uri"]) is not None
    out = b"".join(s.body or b"" for s in three.world.internet.sent)
    assert (
        bare(one["url"]).encode() in out
        and ticket.encode() not in out
        and out.count(b"ticket=") == out.count(b"png?ticket=x")
    )


@pytest.mark.spec("R73")
async def test_a_partner_gets_what_it_may_be_sent(three: Three) -> None:
    await three.ben.follow(three.ana.handle)
    await three.world.settle()
    cases: list[tuple[dict[str, Any], bool, bool]] = [
        ({"reach": "partners"}, True, True),
        ({"reach": [LAB]}, True, False),
        ({"reach": "local"}, False, False),
        ({"reach": "partners", "visibility": "private"}, True, False),
        ({"reach": "partners", "visibility": "direct", "status": f"@ben@{LAB} look"}, True, False),
        ({"reach": "partners", "visibility": "direct"}, False, False),
    ]
    for fields, lab_may, care_may in cases:
        made = await upload(three.ana)
        said = await three.ana.say(fields.get("status", "look"), media_ids=[made["id"]], **(fields | {}))
        await three.world.settle()
        url = bare(made["url"])
        for person, may in ((three.ben, lab_may), (three.cat, care_may)):
            for scheme in ("cavage", "rfc9421"):
                got = await as_server(person.org, url, scheme=scheme)
                assert got.status == (200 if may else 404), (fields, person.name, got.status)
            # A person who signs gets what that person may see.
            assert (await person.fetch(url)).status == (200 if may else 404), (fields, person.name)
            shown = await person.status(said["uri"])
            assert (shown is not None) == may or fields["reach"] == "partners"
        assert (await as_server(three.eve.org, url)).status == 404
    three_sent = [s for s in three.world.internet.sent if s.host == STRANGER]
    assert three_sent == []


async def test_a_person_of_a_partner_does_not_get_what_is_for_another(three: Three) -> None:
    bob = await three.ben.org.person("bob")
    await three.ben.follow(three.ana.handle)
    await bob.find(three.ana.handle)
    await three.world.settle()
    made = await upload(three.ana)
    await three.ana.say("look", media_ids=[made["id"]], visibility="private", reach="partners")
    await three.world.settle()
    url = bare(made["url"])
    assert (await three.ben.fetch(url)).status == 200
    assert (await bob.fetch(url)).status == 404
    assert (await as_server(bob.org, url)).status == 200, "its server may be sent it, for ben"


async def test_terms_without_media_and_ended_partners(three: Three) -> None:
    world = three.world
    quiet = await world.org("quiet.example", [CLINIC])
    await three.clinic.partner("quiet.example", media=False)
    await quiet.person("qui")
    made = await upload(three.ana)
    await three.ana.say("look", media_ids=[made["id"]], reach="partners")
    await world.settle()
    url = bare(made["url"])
    assert (await as_server(quiet, url)).status == 404
    assert (await as_server(three.ben.org, url)).status == 200
    await three.clinic.partner("late.example")
    late = await world.org("late.example", [CLINIC])
    assert (await as_server(late, url)).status == 200
    await three.clinic.set_partner("late.example", PartnerState.ENDED)
    assert (await as_server(late, url)).status == 404


# What partners show


async def test_partners_pictures_come_through_us(three: Three) -> None:
    await three.ben.follow(three.ana.handle)
    await three.world.settle()
    await three.ana.client.patch("/api/v1/accounts/update_credentials", files={"avatar": ("a", picture(), "image/png")})
    await three.world.settle()
    made = await upload(three.ana, photograph())
    said = await three.ana.say("look", media_ids=[made["id"]], reach="partners", visibility="private")
    await three.world.settle()
    three.world.internet.forget()
    shown = await three.shown(said, three.ben)
    assert shown["url"].startswith("https://lab.example/media/remote/")
    got = await asyncio.gather(
        *(load(three.ben, shown["url"]) for _ in range(3)), load(three.ben, shown["preview_url"])
    )
    assert [answer.status_code for answer in got] == [200] * 4
    assert Image.open(io.BytesIO(got[3].content)).size < Image.open(io.BytesIO(got[0].content)).size
    fetched = [s for s in three.world.internet.sent if "/media/" in s.url]
    assert len(fetched) == 1 and "signature" in fetched[0].headers, "once, and signed"
    bob = await three.ben.org.person("bob")
    assert (await load(bob, bare(shown["url"]))).status_code == 404
    assert (await bob.client.get(bare(shown["url"]))).status_code == 404, "bob may not see the post"
    account = await three.ben.find(three.ana.handle)
    assert account["avatar"].startswith("https://lab.example/media/people/")
    assert (await load(bob, account["avatar"])).status_code == 200
    assert (await load(bob, bare(account["avatar"]))).status_code == 404
    await three.ana.delete(said)
    await three.world.settle()
    assert (await load(three.ben, shown["url"])).status_code == 404
    remote = three.ben.org.config.media_path / "remote"
    name = bare(shown["url"]).rpartition("/")[2]
    for _ in range(50):
        if not [p for p in remote.rglob(f"{name}*")]:
            break
        await asyncio.sleep(0.05)
    assert [p for p in remote.rglob(f"{name}*")] == [], "deleted there, deleted here"


NOTE = {
    "@context": "https://www.w3.org/ns/activitystreams",
    "type": "Note",
    "content": "look",
    "to": ["https://www.w3.org/ns/activitystreams#Public"],
}


async def _planted(three: Three, *urls: str) -> Json:
    """A post of ben's whose attachments are at these addresses, as the clinic has it."""
    names = three.ben.iri
    note = NOTE | {
        "id": f"{names}/statuses/77", "attributedTo": names, "published": "2026-01-01T00:00:00Z",
        "attachment": [{"type": "Document", "mediaType": "image/png", "url": url} for url in urls],
    }  # fmt: skip
    create = {"@context": NOTE["@context"], "id": f"{names}/statuses/77/activity", "type": "Create", "actor": names,
              "object": note, "to": note["to"]}  # fmt: skip
    await three.ana.follow(three.ben.handle)
    await three.world.settle()
    assert (await three.ben.send(three.clinic.inbox, create)).status == 202
    await three.world.settle()
    three.world.internet.forget()
    found = await three.ana.status(f"{names}/statuses/77")
    assert found is not None
    return found


async def test_nothing_is_fetched_for_a_post_but_from_its_own_partner(three: Three) -> None:
    urls = [
        f"https://{STRANGER}/x.png",
        f"https://{CARE}/x.png",
        "https://127.0.0.1/x.png",
        f"https://{LAB}/missing.png",
    ]
    found = await _planted(three, *urls)
    assert len(found["media_attachments"]) == 4
    for attachment in found["media_attachments"]:
        assert (await load(three.ana, attachment["url"])).status_code == 404
        assert (await load(three.ana, attachment["preview_url"])).status_code == 404
    assert {s.host for s in three.world.internet.sent} == {LAB}
    assert set(three.world.internet.dns_lookups) == {LAB}
    asked = len(three.world.internet.sent)
    assert (await load(three.ana, found["media_attachments"][3]["url"])).status_code == 404
    assert len(three.world.internet.sent) == asked, "what failed is not asked for again at once"


async def test_what_a_partner_serves_is_made_anew_or_not_shown(three: Three) -> None:
    bodies = {"/svg": SVG, "/html": SCRIPT, "/cut": picture()[:50], "/bomb": bomb(9000, 9000), "/good": polyglot()}
    found = await _planted(three, *(f"https://{LAB}{path}" for path in bodies))
    for attachment, (path, body) in zip(found["media_attachments"], bodies.items(), strict=True):
        three.world.internet.answer(LAB, 200, body, {"content-type": "image/png"})
        got = await load(three.ana, attachment["url"])
        assert got.status_code == (200 if path == "/good" else 404), path
        assert SCRIPT not in got.content
    three.world.internet.heal(LAB)


async def test_odd_addresses_are_404(three: Three) -> None:
    made = await upload(three.ana)
    name = bare(made["url"]).rpartition("/")[2]
    for path in (
        "/media/", "/media/x", f"/media/{name}x", f"/media/{name}/..", "/media/..%2f..%2finstance.toml",
        f"/media/remote/1/{name[:32]}", "/media/remote/x/y", "/media/people/1/%00", "/media/people/9/" + "0" * 32,
        f"/media/{name}?ticket=%ff", f"/media/{name[:-4]}.html",
    ):  # fmt: skip
        answer = await three.cy.client.get(path)
        assert answer.status_code in (400, 404), path
    assert (await three.ana.client.get(f"/media/{name}")).status_code == 200
    assert (await three.ana.client.post(f"/media/{name}")).status_code == 405
