"""What apps rely on everywhere, asked of the whole registry: other origins, slashes, any kind of body, ids of time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from fedishare.http.routes import Access, Route
from fedishare.model.actors import Role
from fedishare.services import accounts
from tests.api.test_admin_accounts import ADMIN
from tests.api.test_trends import with_card
from tests.support.instances import House
from tests.support.world import Json

FOR_BROWSERS = ("/api/", "/oauth/", "/.well-known/", "/nodeinfo/")
EXPOSED = {"Link", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"}


def for_browsers(home: House) -> Iterator[tuple[Route, str]]:
    """Every route that programs in browsers call, with a path of it that leads to nothing."""
    for route in home.org.server.router.routes:
        if route.path.startswith(FOR_BROWSERS):
            yield route, re.sub(r"\{[a-z_]+\}", "1", route.path)


async def test_every_path_is_for_other_origins_and_takes_a_slash(home: House) -> None:
    stranger, seen = await home.stranger(), 0
    for route, path in for_browsers(home):
        for at in (path, f"{path}/"):
            asked = await stranger.options(at, headers={"origin": "https://app.example"})
            assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (204, "*"), route.name
            assert route.method in asked.headers["access-control-allow-methods"], route.name
        if route.method == "GET" and not route.path.startswith("/api/v1/streaming"):
            for client in (stranger, home.ana.client):
                plain, slashed = await client.get(path), await client.get(f"{path}/")
                assert plain.status_code == slashed.status_code, route.name
                for answer in (plain, slashed):
                    assert answer.headers["access-control-allow-origin"] == "*", route.name
                    assert set(answer.headers["access-control-expose-headers"].split(", ")) >= EXPOSED, route.name
        seen += 1
    assert seen > 250
    long = "x" * 9 + ", y" * 50
    for wanted, allowed in (("authorization, x-app", True), ("x-app\x00", False), ("x,,y", False), (long, False)):
        said = {"origin": "https://app.example", "access-control-request-headers": wanted}
        given = (await stranger.options("/api/v1/statuses", headers=said)).headers["access-control-allow-headers"]
        assert given.startswith("Authorization, Content-Type") and (wanted in given) is allowed
    beside = await stranger.options("/users/nobody", headers={"origin": "https://app.example"})
    assert beside.status_code == 204, "ActivityPub's own client side is for them, too"
    assert (await stranger.options("/inbox", headers={"origin": "https://app.example"})).status_code == 405


UNREADABLE = {
    "application/json": b"{",
    "application/x-www-form-urlencoded": b"a[b][c][d][e][f]=1",
    "multipart/form-data; boundary=x": b"--y\r\n",
}


async def test_every_write_reads_each_kind_of_body(home: House) -> None:
    """Whoever reads a body at all reads all three kinds: what cannot be read is refused alike."""
    reads = 0
    for route, path in for_browsers(home):
        if route.method == "GET" or route.access is not Access.TOKEN or route.path.startswith("/api/activitypub/"):
            continue
        codes = [
            (
                await home.ana.client.request(route.method, path, content=body, headers={"content-type": kind})
            ).status_code
            for kind, body in UNREADABLE.items()
        ]
        assert len(set(codes)) == 1, (route.name, codes)
        reads += codes[0] == 400
    assert reads > 50


def three_ways(body: Json) -> dict[str, Json]:
    """A body as options of a request: as JSON, as a form, and as multipart."""
    pairs = list(_flat("", body))
    form: dict[str, list[str]] = {}
    for name, value in pairs:
        form.setdefault(name, []).append(value)
    return {"json": {"json": body}, "form": {"data": form}, "multipart": {"files": [(n, (None, v)) for n, v in pairs]}}


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{name}[{key}]" if name else key, inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _flat(f"{name}[]", inner)
    else:
        yield name, {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("kind", ["json", "form", "multipart"])
async def test_nested_parameters_mean_the_same_in_each_kind(home: House, kind: str) -> None:
    ana, ben = home.ana.client, str(home.ben.id)

    async def call(method: str, path: str, body: Json) -> Any:
        answer = await ana.request(method, f"/api/{path}", **three_ways(body)[kind])
        assert answer.status_code == 200, answer.text
        return answer.json()

    await call("POST", f"v1/accounts/{ben}/follow", {"languages": ["en", "de"], "notify": True})
    source = {"privacy": "unlisted", "sensitive": True, "language": "de", "quote_policy": "followers"}
    shown = await call("PATCH", "v1/accounts/update_credentials", {"source": source, "locked": True, "note": "ü"})
    assert source.items() <= shown["source"].items() and shown["locked"] is True and shown["source"]["note"] == "ü"
    poll = {"options": ["a", "b"], "expires_in": 600, "multiple": True}
    asked = await call("POST", "v1/statuses", {"status": "which?", "poll": poll, "unknown": {"thing": 1}})
    assert [o["title"] for o in asked["poll"]["options"]] == ["a", "b"] and asked["visibility"] == "unlisted"
    keywords = [{"keyword": "cat", "whole_word": True}]
    made = {"title": "x", "context": ["home", "public"], "filter_action": "hide"}
    words = {"json": keywords, "form": {"0": keywords[0]}, "multipart": {"0": keywords[0]}}[kind]
    kept = await call("POST", "v2/filters", made | {"keywords_attributes": words})
    assert kept["context"] == ["home", "public"] and kept["keywords"][0] | keywords[0] == kept["keywords"][0]
    moved = await call("POST", "v1/markers", {"home": {"last_read_id": asked["id"]}})
    assert moved["home"]["last_read_id"] == asked["id"]
    lists = await call("POST", "v1/lists", {"title": "Lab", "exclusive": True})
    assert lists["exclusive"] is True
    assert await call("POST", f"v1/lists/{lists['id']}/accounts", {"account_ids": [ben]}) == {}
    relation = (await ana.get("/api/v1/accounts/relationships", params={"id[]": ben})).json()[0]
    assert (relation["languages"], relation["notifying"]) == (["en", "de"], True)
    app = await call(
        "POST", "v1/apps", {"client_name": "Two", "redirect_uris": ["https://a.example/x", "https://b.example/y"]}
    )
    assert app["redirect_uris"] == ["https://a.example/x", "https://b.example/y"]
    for uri, status in (("https://b.example/y", 200), ("https://b.example/x", 400)):
        query = urlencode({"client_id": app["client_id"], "redirect_uri": uri, "response_type": "code"})
        assert (await (await home.stranger()).get(f"/oauth/authorize?{query}")).status_code == status, uri


async def test_apps_make_ids_from_times(home: House) -> None:
    """Mastodon's ids are milliseconds, shifted left by 16; apps jump to a day by making one."""
    said = []
    for number in range(3):
        said.append(await home.ana.say(str(number)))
        home.world.clock.forward(3_600_000)
    times = [datetime.fromisoformat(each["created_at"]) for each in said]
    for each, time in zip(said, times, strict=True):
        assert int(each["id"]) >> 16 == round(time.timestamp() * 1000)
    middle = str(int(times[1].timestamp() * 1000) << 16)
    for cursor, found in (("max_id", [0]), ("since_id", [2, 1]), ("min_id", [2, 1])):
        for path in ("timelines/home", "timelines/public", f"accounts/{home.ana.id}/statuses"):
            page = await home.ana.get(f"/api/v1/{path}", **{cursor: middle})
            assert [each["id"] for each in page] == [said[n]["id"] for n in found], (path, cursor)


PAGED = (
    "timelines/home", "timelines/public", "timelines/tag/x", "timelines/direct", "timelines/list/{list}",
    "timelines/link?url=https://lab.example/news", "accounts/{ana}/statuses", "accounts/{ana}/followers",
    "accounts/{ana}/following", "accounts/{ana}/endorsements", "blocks", "mutes", "domain_blocks", "bookmarks",
    "favourites", "follow_requests", "endorsements", "followed_tags", "lists/{list}/accounts", "conversations",
    "notifications", "notifications/requests", "scheduled_statuses", "statuses/{post}/favourited_by",
    "statuses/{post}/reblogged_by", "statuses/{post}/quotes", "trends/tags", "trends/statuses", "trends/links",
    "admin/accounts", "admin/domain_allows", "admin/domain_blocks", "admin/email_domain_blocks",
    "admin/canonical_email_blocks", "admin/ip_blocks", "admin/reports",
)  # fmt: skip
"""Lists that Mastodon documents as paged."""


async def full(home: House) -> dict[str, str]:
    """Two of everything that has a list, for ana, who is an admin; what stands in the paths."""
    ana, ben, cy = home.ana, home.ben, home.cy
    await home.org.write(accounts.set_role, await home.org.by_handle("ana"), Role.ADMIN, "test")
    others = [await home.org.person(f"p{number}") for number in range(8)]
    for other in (ben, cy):
        await ana.do(f"/api/v1/accounts/{other.id}/follow")
        await ana.do(f"/api/v1/accounts/{other.id}/endorse")
        await other.do(f"/api/v1/accounts/{ana.id}/follow")
    lab = await ana.do("/api/v1/lists", title="Lab")
    await ana.do(f"/api/v1/lists/{lab['id']}/accounts", account_ids=[str(ben.id), str(cy.id)])
    posts = [await ana.say(f"{n} #x #y", reach="partners") for n in range(2)]
    for each in posts:
        for other in (ben, cy):
            await other.do(f"/api/v1/statuses/{each['id']}/favourite")
            await other.do(f"/api/v1/statuses/{each['id']}/reblog")
            await other.say("look", quoted_status_id=each["id"])
        for verb in ("favourite", "bookmark"):
            await ana.do(f"/api/v1/statuses/{each['id']}/{verb}")
    for number, tag in enumerate("xy"):
        await ana.do(f"/api/v1/tags/{tag}/follow")
        for other in (ana, ben):
            said = await other.say(f"#{tag} news")
            await home.org.write(with_card, said["id"])
            await home.org.write(with_card, (await other.say("more"))["id"], f"https://lab.example/{number}")
        await ana.do(f"/api/v1/accounts/{others[number].id}/block")
        await ana.do(f"/api/v1/accounts/{others[number + 2].id}/mute")
        await ana.do("/api/v1/domain_blocks", domain=f"d{number}.example")
        await ana.do("/api/v1/statuses", status="later", scheduled_at=f"2090-01-0{number + 1}T00:00:00Z")
        for kind, body in {
            "domain_blocks": {"domain": f"d{number}.example", "severity": "suspend"},
            "email_domain_blocks": {"domain": f"d{number}.example"},
            "canonical_email_blocks": {"email": f"x{number}@d.example"},
            "ip_blocks": {"ip": f"192.0.2.{number}", "severity": "sign_up_block"},
        }.items():  # fmt: skip
            answer = await (await home.client("ana", ADMIN)).post(f"/api/v1/admin/{kind}", json=body)
            assert answer.status_code == 200, answer.text
        await cy.do("/api/v1/reports", account_id=str(others[number].id), comment="look")
    await ana.do("/api/v1/accounts/update_credentials", 200, "PATCH", locked=True)
    await ana.do("/api/v2/notifications/policy", 200, "PATCH", for_not_following="filter")
    for other in others[4:6]:
        await other.do(f"/api/v1/accounts/{ana.id}/follow")
        await other.say("@ana hello")
    for other in (ben, cy):
        await other.say("@ana psst", visibility="direct")
    return {"ana": str(ana.id), "list": lab["id"], "post": posts[0]["id"]}


async def test_every_list_that_mastodon_pages_leads_on(home: House) -> None:
    """A page of one, and the page behind it by ``Link``: another entry, until there is none."""
    places, app = await full(home), await home.client("ana", ADMIN)
    wrong = []
    for path in PAGED:
        url: str | None = f"/api/v1/{path.format(**places)}{'&' if '?' in path else '?'}limit=1"
        met: list[str] = []
        while url is not None and len(met) < 3:
            answer = await app.get(url)
            assert answer.status_code == 200, (path, answer.text)
            met += [json.dumps(each) for each in answer.json()]
            url = answer.links.get("next", {}).get("url")
        if len(set(met)) != len(met) or len(met) < 2:
            wrong.append((path, len(met), len(set(met))))
    assert wrong == []
