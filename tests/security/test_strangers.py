"""A stranger at every address: nothing that anybody here wrote, is called, keeps or belongs to is in any answer.

Two words stand in everything that the instance has: one in what public pages may show, where they are switched on, and
one in all the rest.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest

from fedishare.http.routes import Route
from fedishare.model.posts import Visibility
from fedishare.services import announcements
from tests.support.instances import House, house
from tests.support.pictures import picture

CLOSED, OPEN = "zzclosed", "zzopen"
ACTIVITY = "application/activity+json"
ACCEPTS = ("text/html", "application/json", ACTIVITY)
PAGES = ("/@{name}", "/users/{name}", "/@{name}/{id}", "/users/{name}/statuses/{id}")


async def furnish(home: House) -> tuple[list[str], list[str], list[str]]:
    """Everything is there; the ids of it, its files, and the posts that are for everybody."""
    ana, ben = home.ana, home.ben
    for person in (ana, ben, home.cy):
        await person.do(
            "/api/v1/accounts/update_credentials", 200, "PATCH", display_name=OPEN, note=OPEN,
            fields_attributes=[{"name": OPEN, "value": OPEN}],
        )  # fmt: skip
    opened = [await ana.say(f"{OPEN} 1", reach="partners"), await ana.say("#x", reach="partners", spoiler_text=OPEN)]
    uploaded = await ana.client.post(
        "/api/v1/media", files={"file": ("a.png", picture(), "image/png")}, data={"description": CLOSED}
    )
    file = uploaded.json()
    kinds: list[dict[str, Any]] = [
        {}, {"visibility": "unlisted", "reach": "partners"}, {"visibility": "private", "reach": "partners"},
        {"reach": ["lab.example"]}, {"media_ids": [file["id"]]},
        {"poll": {"options": [f"{CLOSED} 1", f"{CLOSED} 2"], "expires_in": 600}},
    ]  # fmt: skip
    closed = [await ana.say(f"{CLOSED} {number} #{CLOSED}", **kind) for number, kind in enumerate(kinds)]
    closed.append(await ben.say(f"@ana {CLOSED}", visibility="direct"))
    closed.append(await ben.say(CLOSED, quoted_status_id=opened[0]["id"]))
    zoe = await home.guest(f"{CLOSED}zoe")
    theirs = await home.said(zoe, f"{CLOSED} from outside", visibility=Visibility.PUBLIC)
    await home.followed(zoe, ana)
    keyword = [{"keyword": CLOSED}]
    kept = [
        await ana.do("/api/v1/lists", title=CLOSED),
        await ana.do("/api/v2/filters", title=CLOSED, context=["home"], keywords_attributes=keyword),
        await ana.do("/api/v1/featured_tags", name=CLOSED),
        await ana.say(CLOSED, scheduled_at="2099-01-01T00:00:00Z"),
        await ana.do("/api/v1/reports", account_id=str(ben.id), comment=CLOSED),
        *await ana.get("/api/v1/conversations"), *await ana.get("/api/v1/notifications"),
    ]  # fmt: skip
    await ana.do(f"/api/v1/accounts/{ben.id}/note", comment=CLOSED)
    await ana.do(f"/api/v1/tags/{CLOSED}/follow")
    await ana.do("/api/v1/fedishare/export", 202)
    told = await home.org.write(announcements.add, CLOSED, "test")
    await home.world.settle()
    assert CLOSED in (await ana.client.get("/api/v1/timelines/home")).text
    ids = [str(ana.id), str(ben.id), str(zoe.id), str(theirs.id), str(told)]
    ids += [each["id"] for each in (*opened, *closed, *kept)]
    return ids, [urlsplit(file["url"]).path, urlsplit(file["preview_url"]).path], [each["id"] for each in opened]


def paths(route: Route, ids: list[str], files: list[str]) -> list[str]:
    """The route's addresses, with what the instance has in their places."""
    if route.path == "/media/{name}":
        return files
    places = []
    for part in route.path.split("/"):
        if part in ("{name}", "@{name}"):
            words = ["ana", "ben"] if route.path.startswith(("/users", "/@")) else [CLOSED]
            places.append([part.partition("{")[0] + word for word in words])
        elif part == "{verb}":
            places.append(["likes", "follows", "blocks", "shares"])
        elif part in ("{tag}", "{date}"):
            places.append([CLOSED])
        else:
            places.append(ids if "{" in part else [part])
    return ["/".join(found) for found in product(*places)]


async def asked(stranger: httpx.AsyncClient, route: Route, path: str, accept: str) -> str:
    """Everything that a stranger is answered: headers, too."""
    body = {"json": {"name": "ana", "resource": "ana"}} if route.max_body and route.method != "GET" else {}
    answer = await stranger.request(route.method, path, headers={"accept": accept}, **body)  # type: ignore[arg-type]
    assert answer.status_code < 500, (route.name, path)
    return f"{answer.headers}\n{answer.text}".lower().replace(quote(path).lower(), "")


@pytest.mark.parametrize("public", [False, True], ids=["as it comes", "with public pages"])
async def test_no_answer_to_a_stranger_has_anything_of_anybody(tmp_path: Path, public: bool) -> None:
    async with house(tmp_path, web={"public_pages": public}) as home:
        ids, files, opened = await furnish(home)
        stranger = await home.stranger()
        shown: set[tuple[str, str]] = set()
        for route in home.org.server.router.routes:
            accepts = ACCEPTS if route.path.startswith(("/users", "/@", "/tags", "/flags")) else ACCEPTS[1:2]
            for path, accept in product(paths(route, ids, files), accepts):
                said = await asked(stranger, route, path, accept)
                assert CLOSED not in said, (route.name, path, accept)
                if OPEN in said:
                    shown.add((route.path, path.rpartition("/")[2]))
                    assert public and accept == "text/html" and route.path in PAGES, (route.name, path, accept)
        profiles = {("/@{name}", "@ana"), ("/users/{name}", "ana"), ("/@{name}", "@ben"), ("/users/{name}", "ben")}
        posts = {(path, ident) for path in PAGES[2:] for ident in opened}
        assert shown == (profiles | posts if public else set())
        assert home.world.internet.to("lab.example", "GET") == []
