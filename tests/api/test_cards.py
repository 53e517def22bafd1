"""Link cards: read in the background where policy allows, shown to who sees the post; nothing is asked otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from fedishare.housekeeping import Housekeeping
from fedishare.model.activities import PostEdited
from fedishare.model.ids import Id
from fedishare.model.partners import PartnerState
from fedishare.model.posts import Visibility
from fedishare.services import cards as service
from fedishare.store import partners as partner_store
from fedishare.store.db import sql
from tests.api import mastodon
from tests.support.instances import House, house
from tests.support.internet import Sent
from tests.support.pictures import SCRIPT, bomb, picture, polyglot
from tests.support.world import Json, Person

DAY = 24 * 3600 * 1000
CARDS = sql("test_cards", "SELECT count(*) FROM card")
LAB, WARD, WHO = "lab.example", "ward.example", "www.who.example"
PAGE = f"https://{LAB}/news"
HTML = b"""<html lang="en"><head><title>t</title><meta property="og:title" content="A finding">
<meta property="og:description" content="What we &lt;found&gt;"><meta property="og:image" content="/p.png">
<meta property="og:image:alt" content="a curve"><meta property="og:site_name" content="The Lab">
<meta name="author" content="Dr Ana"><meta property="article:published_time" content="2026-01-31T12:00:00Z">
</head><body onload="alert(1)">text</body></html>"""


@dataclass
class Pages:
    """A web server: what it answers at each path. Deliveries it takes with 202."""

    found: dict[str, tuple[int, str, bytes]] = field(default_factory=dict)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        status, kind, body = self.found.get(scope["path"], (404, "text/html", b""))
        if scope["method"] == "POST":
            status, kind, body = 202, "text/plain", b""
        headers = [(b"content-type", kind.encode())]
        if 300 <= status < 400:
            headers, body = [(b"location", body)], b""
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def web(made: House, *hosts: str) -> dict[str, tuple[int, str, bytes]]:
    """The same pages at each of the hosts."""
    pages = Pages({"/news": (200, "text/html; charset=utf-8", HTML), "/p.png": (200, "image/png", polyglot())})
    for host in hosts or (LAB, WARD, WHO):
        made.world.internet.heal(host)
        made.world.internet.add(host, pages)
    return pages.found


def asked(made: House) -> list[Sent]:
    """Everything that was asked for, deliveries and people aside."""
    return [sent for sent in made.world.internet.sent if sent.method == "GET" and "/users/" not in sent.url]


async def status_of(person: Person, said: Json) -> Json:
    """A status as somebody sees it now."""
    found: Json = await person.get(f"/api/v1/statuses/{said['id']}")
    msgspec.json.decode(msgspec.json.encode(found), type=mastodon.Status)  # every documented field, the card's too
    return found


async def load(person: Person, url: str) -> httpx.Response:
    """What an app gets that loads pictures without its token."""
    transport = httpx.ASGITransport(app=person.org.server, client=("192.0.2.8", 4000))
    async with httpx.AsyncClient(transport=transport) as client:
        return await client.get(url)


async def tidy(made: House) -> None:
    """Whatever housekeeping does in an hour."""
    keeping = Housekeeping(made.org.server.federation, made.org.server.worker)
    await keeping.sweep_files()
    await keeping.empty_trash()


def files(made: House) -> int:
    """How many files are on disk."""
    return sum(1 for p in made.org.config.media_path.rglob("*") if p.is_file())


async def test_a_link_gets_its_card_in_the_background(both: House) -> None:
    ana, ben, cy = both.ana, both.ben, both.cy
    web(both)
    changed: list[object] = []
    both.org.server.instance.database.on_notice(changed.append)
    gate = both.world.internet.hold(LAB)
    said = await ana.say(f"look: {PAGE}#part", reach="partners", visibility="private")
    assert said["card"] is None
    gate.set()
    await both.world.settle()
    card = (await status_of(ana, said))["card"]
    image, blurhash = card.pop("image"), card.pop("blurhash")
    assert card == {
        "url": PAGE, "title": "A finding", "description": "What we <found>", "language": "en", "type": "link",
        "author_name": "Dr Ana", "author_url": "", "provider_name": "The Lab", "provider_url": "", "html": "",
        "width": 64, "height": 48, "image_description": "a curve", "embed_url": "", "missing_attribution": False,
        "published_at": "2026-01-31T12:00:00.000Z", "authors": [{"name": "Dr Ana", "url": "", "account": None}],
    }  # fmt: skip
    assert PostEdited(Id(int(said["id"]))) in changed and len(blurhash) > 5
    assert (await ana.get(f"/api/v1/statuses/{said['id']}/card"))["title"] == "A finding"

    # The page learns the address, and nothing of who asks; the picture is made anew, for who may see the post.
    assert [sent.url for sent in asked(both)] == [PAGE, f"https://{LAB}/p.png"]
    assert all({*sent.headers} == {"accept", "user-agent", "accept-encoding"} for sent in asked(both))
    assert image.startswith("https://home.example/media/")
    got = await load(ana, image)
    assert got.status_code == 200 and got.headers["content-type"] == "image/png" and SCRIPT not in got.content
    name = image.partition("?")[0]
    assert (await load(ana, name)).status_code == 404 and (await ben.client.get(name)).status_code == 404
    assert (await ben.client.get(f"/api/v1/statuses/{said['id']}/card")).status_code == 404
    assert (await ana.client.get(name)).status_code == 200

    # The same page is not read again for two weeks; then it is, and what is shown elsewhere stays as it was.
    again = await ben.say(PAGE, reach="partners")
    await both.world.settle()
    assert (await status_of(cy, again))["card"]["title"] == "A finding" and len(asked(both)) == 2
    assert (await cy.client.get(name)).status_code == 200
    web(both)["/news"] = (200, "text/html", b"<title>Another</title>")
    both.world.clock.forward(15 * DAY)
    third = await ben.say(f"news {PAGE}", reach="partners")
    await both.world.settle()
    assert (await status_of(cy, third))["card"]["title"] == "Another" and len(asked(both)) == 3
    assert (await status_of(cy, again))["card"]["title"] == "A finding"

    # An edit that links elsewhere takes the card away; cards that nothing shows are forgotten with their pictures.
    edited = await ben.edit(again, "no link")
    assert edited["card"] is None and (await ana.edit(said, f"still {PAGE}"))["card"]["title"] == "A finding"
    await ana.delete(said)
    await tidy(both)
    assert (await both.org.all(CARDS))[0] == (1,) and files(both) == 0
    assert (await ana.client.get(name)).status_code == 404


async def test_nothing_is_asked_for_what_stays_here_or_is_nobodys_business(tmp_path: Path) -> None:
    terms: list[str | Json] = [
        LAB, WARD, {"domain": "out.example", "direction": "out"}, {"domain": "paused.example", "state": "paused"},
    ]  # fmt: skip
    async with house(tmp_path, partners=terms) as made:
        ana = made.ana
        web(made, LAB, WARD, WHO, "out.example", "paused.example", "sub.lab.example", "home.example.evil.example")
        silent: list[tuple[str, dict[str, Any]]] = [
            (PAGE, {"local_only": True}),
            (PAGE, {"reach": "local"}),
            (PAGE, {"visibility": "direct", "reach": [LAB]}),
            (PAGE, {"reach": [WARD]}),
            (PAGE, {"reach": [WARD], "visibility": "private"}),
            (f"https://{WHO}/news https://sub.lab.example/news", {"reach": "partners"}),
            ("https://home.example/@ana https://home.example/about", {"reach": "partners"}),
            ("https://out.example/news https://paused.example/news", {"reach": "partners"}),
            ("http://lab.example:8080/news http://127.0.0.1/news http://[::1]/news", {"reach": "partners"}),
            ("@ana@lab.example #news no link", {"visibility": "direct", "local_only": True}),
        ]
        for text, fields in silent:
            said = await ana.say(text, **fields)
            await made.world.settle()
            assert (await status_of(ana, said))["card"] is None, (text, fields)
            assert made.world.internet.sent == [] and made.world.internet.dns_lookups == [], (text, fields)
        # A text that travelled without a link, and gets one that stays: an edit asks no more than a post does.
        local = await ana.say("soon", local_only=True)
        await ana.edit(local, PAGE)
        await made.world.settle()
        assert made.world.internet.dns_lookups == []
        wide: list[dict[str, Any]] = [{"reach": "partners"}, {"reach": [LAB], "visibility": "private"}]
        for fields in wide:
            said = await ana.say(f"https://{WHO}/news {PAGE}", **fields)
            await made.world.settle()
            assert (await status_of(ana, said))["card"]["url"] == PAGE
        assert {sent.host for sent in asked(made)} == {LAB} and len(asked(made)) == 2


async def test_the_operator_may_list_hosts_and_partners_terms_count(tmp_path: Path) -> None:
    terms: list[str | Json] = [{"domain": LAB, "media": False}, WARD]
    async with house(tmp_path, partners=terms, web={"preview_hosts": ["WWW.WHO.example"]}) as made:
        ana = made.ana
        pages = web(made, LAB, WARD, WHO, "cdn.example")
        pages["/elsewhere"] = (200, "text/html", HTML.replace(b"/p.png", b"https://cdn.example/p.png"))
        for path, image in (("/news", True), ("/elsewhere", False)):
            said = await ana.say(f"https://{WHO}{path}", reach=[WARD])
            await made.world.settle()
            shown = (await status_of(ana, said))["card"]
            assert shown["title"] == "A finding" and (shown["image"] is not None) is image
        said = await ana.say(f"https://{LAB}/news", reach="partners")
        await made.world.settle()
        shown = (await status_of(ana, said))["card"]
        assert (shown["title"], shown["image"], shown["width"]) == ("A finding", None, 0)
        assert [sent.url for sent in asked(made)] == [
            f"https://{WHO}/news", f"https://{WHO}/p.png", f"https://{WHO}/elsewhere", f"https://{LAB}/news",
        ]  # fmt: skip
        assert "cdn.example" not in made.world.internet.dns_lookups
        local = await ana.say(f"https://{WHO}/other", local_only=True)
        await made.world.settle()
        assert (await status_of(ana, local))["card"] is None and len(asked(made)) == 4
        # What policy allowed a moment ago it does not allow now.
        await made.org.partner("moon.example")
        web(made, "moon.example")
        gate = made.world.internet.hold(WHO)
        await ana.say(f"https://{WHO}/third https://moon.example/news", reach="partners")
        await made.org.set_partner("moon.example", PartnerState.ENDED)
        gate.set()
        await made.world.settle()
        assert "moon.example" not in made.world.internet.dns_lookups


WRONG: list[tuple[str, tuple[int, str, bytes]]] = [
    ("/news", (404, "text/html", HTML)),
    ("/news", (500, "text/html", HTML)),
    ("/news", (200, "application/json", HTML)),
    ("/news", (200, "", HTML)),
    ("/news", (302, "", b"https://evil.example/")),
    ("/news", (302, "", b"/news")),
    ("/news", (200, "text/html", b"x" * (1024 * 1024 + 1))),
    ("/news", (200, "text/html", b"<" * 500_000)),
    ("/news", (200, "text/html", b"<title> </title>")),
    ("/p.png", (404, "image/png", b"")),
    ("/p.png", (200, "image/png", bomb())),
    ("/p.png", (200, "image/png", picture()[:60])),
    ("/p.png", (200, "image/png", b"<svg xmlns='http://www.w3.org/2000/svg'/>")),
    ("/p.png", (200, "image/png", b"x" * (4 * 1024 * 1024 + 1))),
]


async def test_what_pages_get_wrong_leaves_nothing_behind(home: House) -> None:
    for number, (path, answer) in enumerate(WRONG):
        pages = web(home)
        pages[f"/news{number}"] = pages.pop("/news")
        pages[path if path == "/p.png" else f"/news{number}"] = answer
        said = await home.ana.say(f"{PAGE}{number}", reach="partners")
        await home.world.settle()
        card = (await status_of(home.ana, said))["card"]
        assert (card["image"] is None and card["title"] == "A finding") if path == "/p.png" else card is None, answer
        before = len(asked(home))
        await home.ana.say(f"again {PAGE}{number}", reach="partners")
        await home.world.settle()
        assert len(asked(home)) == before, "what could not be had is not asked for again at once"
    assert files(home) == 0 and "evil.example" not in home.world.internet.dns_lookups
    home.world.internet.down(LAB)
    said = await home.ana.say(f"{PAGE}/down", reach="partners")
    await home.world.settle()
    web(home)["/news/down"] = (200, "text/html", HTML)
    home.world.clock.forward(service.FAILED_KEPT + 1)
    later = await home.ana.say(f"{PAGE}/down", reach="partners")
    await home.world.settle()
    assert (await status_of(home.ana, later))["card"]["title"] == "A finding"
    assert (await status_of(home.ana, said))["card"] is None


@pytest.mark.parametrize("where", [LAB, WARD])
async def test_partners_posts_get_cards_of_their_own_pages_only(home: House, where: str) -> None:
    web(home)
    guest = await home.guest("gina")
    link = f'<a href="https://{where}/news">x</a>'
    public = await home.said(guest, link)
    direct = await home.said(guest, link, visibility=Visibility.DIRECT, to=[home.ana.iri])
    await home.world.settle()
    shown = await status_of(home.ana, {"id": str(public.id)})
    assert (shown["card"] is not None) is (where == LAB)
    assert (await status_of(home.ana, {"id": str(direct.id)}))["card"] is None
    assert {sent.host for sent in asked(home)} == ({LAB} if where == LAB else set())


async def test_the_refusal_of_a_page_is_in_the_decision_log(tmp_path: Path) -> None:
    async with house(tmp_path, partners=[{"domain": LAB, "state": "paused"}, WARD]) as home:
        await home.ana.say(f"https://{WHO}/news {PAGE}", reach="partners")
        await home.world.settle()
        await Housekeeping(home.org.server.federation, home.org.server.worker).flush()
        rows = await home.org.read(partner_store.decisions)
    assert any(LAB in str(row) and "partner-paused" in str(row) for row in rows)
    # whoever is on no list is nobody to decide about: nothing was to be asked there, so there is no job and no entry
    assert not any(WHO in str(row) for row in rows)
