"""Other people's things: answered like those that do not exist, whatever is done with them, and left as they are.

Made from the registry: a new route with a ``{…}`` in its path is a failure here until it says whose things it has.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from fedishare.http.routes import Access, Route
from fedishare.model.actors import Role
from fedishare.policy.roles import Right, may
from fedishare.services import accounts, announcements
from tests.support.belongings import MISSING, NOWHERE, SECRET, Things, rows, things, whole_call
from tests.support.instances import House, house
from tests.support.pictures import picture
from tests.support.world import Json

ADMIN = ("/api/v1/admin/", "/api/v2/admin/")
EVERYBODYS = {
    "/api/v1/accounts/{id}": "people here know each other; what they hide of themselves is asked below",
    "/api/v1/suggestions/{account_id}": "the same",
    "/api/v1/tags/{name}": "a hashtag is a word; what one follows is found by one's own id",
    "/api/v1/timelines/tag/{name}": "a hashtag is a word; its posts go through the one audience decision",
    "/api/v1/announcements/{id}": "announcements are for everybody here; reactions are asked below",
    "/api/v1/instance/terms_of_service/{date}": "for everybody",
}
QUIET = ("/notifications/{id}/dismiss", "/notifications/{group_key}/dismiss", "/notifications/requests/{id}/dismiss")
"""These say nothing, also of what is not there."""
OWNERS = (
    "PUT /api/v1/statuses/{id}", "DELETE /api/v1/statuses/{id}", "POST /api/v1/statuses/{id}/pin",
    "POST /api/v1/statuses/{id}/unpin", "PUT /api/v1/statuses/{id}/interaction_policy",
    "GET /api/v1/statuses/{id}/source", "POST /api/v1/statuses/{id}/quotes/{quoting_status_id}/revoke",
)  # fmt: skip
"""What only the author may do, also with a post that others see."""


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as made:
        yield made


def belongings(found: Things) -> dict[str, tuple[str, ...]]:
    """Whose objects the routes have, by the path up to the id."""
    return {
        "/api/v1/statuses/{id}": found.hidden,
        "/api/v1/polls/{id}": (found.poll,),
        "/api/v1/notifications/{id}": (found.notification,),
        "/api/v2/notifications/{group_key}": (found.group, f"ungrouped-{found.notification}"),
        "/api/v1/notifications/requests/{id}": (found.waiting,),
        "/api/v1/follow_requests/{id}": (found.request,),
        "/api/v1/media/{id}": (found.media,),
        "/api/activitypub/media/{id}": (found.media,),
        "/api/v1/filters/{id}": (found.keyword,),
        "/api/v2/filters/{id}": (found.filter,),
        "/api/v2/filters/keywords/{id}": (found.keyword,),
        "/api/v2/filters/statuses/{id}": (found.filtered,),
        "/api/v1/conversations/{id}": (found.conversation,),
        "/api/v1/scheduled_statuses/{id}": (found.scheduled,),
        "/api/v1/fedishare/aliases/{id}": (found.request,),
        "/api/v1/lists/{id}": (found.list,),
        "/api/v1/timelines/list/{id}": (found.list,),
        "/api/v1/featured_tags/{id}": (found.featured,),
        "/users/{name}/inbox": ("cy",),
        "/users/{name}/outbox": ("cy",),
    }


def with_objects(home: House) -> list[tuple[Route, str]]:
    """The routes of people's own with a ``{…}``, each with the part of its path up to the end of the first."""
    found = []
    for route in home.org.server.router.routes:
        if "{" in route.path and route.access is Access.TOKEN and not route.path.startswith(ADMIN):
            kind = route.path.partition("}")[0] + "}"
            found.append((route, route.path if kind == "/users/{name}" else kind))
    return found


def placed(route: Route, ident: str, second: str = NOWHERE) -> str:
    """The route's path with ids in it."""
    parts = iter((ident, second))
    return "/".join(next(parts) if "{" in part else part for part in route.path.split("/"))


async def test_nobody_reaches_what_is_anothers(home: House) -> None:
    """Every route with an id, with the ids of others' things: 404, the very answer that a missing one gets."""
    found = await things(home)
    await home.world.settle()
    objects, walked = belongings(found), set[str]()
    before = rows(home)
    for route, kind in with_objects(home):
        walked.add(kind)
        assert (kind in objects) is not (kind in EVERYBODYS), f"{route.name}: whose things has it? Say so in this test"
        missing = await whole_call(home.ana.client, route, placed(route, NOWHERE))
        for ident in objects.get(kind, ()):
            answer = await whole_call(home.ana.client, route, placed(route, ident, found.quoting))
            assert (answer.status_code, answer.content) == (missing.status_code, missing.content), route.name
            assert SECRET not in answer.text
            if not route.path.endswith(QUIET):
                assert (answer.status_code, answer.json()) == (404, MISSING), (route.name, answer.text)
        assert rows(home) == before, f"{route.name} had an effect"
    assert walked == {*objects, *(kind for kind in EVERYBODYS if "terms_of_service" not in kind)}
    # To their owner, all of them are there.
    for route, kind in with_objects(home):
        if route.method == "GET" and kind in objects:
            answer = await home.cy.client.get(placed(route, objects[kind][0]))
            assert answer.status_code in (200, 202), (route.name, answer.text)


async def test_what_others_may_see_is_their_authors_to_change(home: House) -> None:
    found = await things(home)
    await home.world.settle()
    before, by_name = rows(home), {route.name: route for route in home.org.server.router.routes}
    for name in OWNERS:
        path = placed(by_name[name], found.shown, found.quoting)
        answer = await whole_call(home.ana.client, by_name[name], path)
        assert answer.status_code in (403, 404, 422) and answer.json()["error"], (name, answer.text)
        assert rows(home) == before, name
        theirs = await whole_call(home.ben.client, by_name[name], path)
        assert theirs.status_code == answer.status_code, "also not for who quotes it"
    assert (await home.cy.do(f"/api/v1/statuses/{found.shown}/quotes/{found.quoting}/revoke"))["id"] == found.quoting
    await home.cy.do(f"/api/v1/statuses/{found.shown}/pin")
    await home.cy.do(f"/api/v1/statuses/{found.shown}", 200, "DELETE")


async def test_a_hidden_thing_that_a_body_names_is_missing(home: House) -> None:
    """Ids do not stand in paths only."""
    found = await things(home)
    ana = home.ana
    mine = await ana.do("/api/v2/filters", title="mine", context=["home"])
    own = await ana.do("/api/v1/lists", title="mine")
    hers = await ana.say("mine")
    await home.world.settle()
    named: list[tuple[str, str, Json, tuple[str, ...]]] = [
        ("POST", "/api/v1/statuses", {"status": "x", "in_reply_to_id": ""}, found.hidden),
        ("POST", "/api/v1/statuses", {"status": "x", "quoted_status_id": ""}, found.hidden),
        ("POST", "/api/v1/statuses", {"status": "x", "media_ids": [""]}, (found.media,)),
        ("POST", "/api/v1/statuses",
         {"status": "x", "media_ids": [""], "scheduled_at": "2099-01-01T00:00:00Z"}, (found.media,)),
        ("POST", "/api/v1/statuses",
         {"status": "x", "in_reply_to_id": "", "scheduled_at": "2099-01-01T00:00:00Z"}, found.hidden),
        ("PUT", f"/api/v1/statuses/{hers['id']}", {"status": "x", "media_ids": [""]}, (found.media,)),
        ("POST", f"/api/v1/statuses/{hers['id']}/quotes/{{}}/revoke", {}, (found.quoting, *found.hidden)),
        ("POST", f"/api/v2/filters/{mine['id']}/statuses", {"status_id": ""}, found.hidden),
        ("DELETE", f"/api/v1/lists/{own['id']}/accounts", {"account_ids": [str(home.cy.id)]}, (found.list,)),
        ("POST", "/api/v1/fedishare/audience", {"status": "x", "in_reply_to_id": ""}, found.hidden),
        ("POST", "/api/v1/notifications/requests/accept", {"id": [""]}, (found.waiting,)),
        ("POST", "/api/v1/notifications/requests/dismiss", {"id": [""]}, (found.waiting,)),
        ("POST", "/api/v1/notifications/dismiss", {"id": ""}, (found.notification,)),
        ("GET", "/api/v1/statuses?id[]={}", {}, found.hidden),
        ("GET", f"/api/v1/notifications?account_id={{}}&q={SECRET}", {}, (str(home.cy.id),)),
    ]  # fmt: skip
    before = rows(home)
    for method, path, fields, idents in named:
        missing = await _named(ana.client, method, path, fields, NOWHERE)
        for ident in idents:
            answer = await _named(ana.client, method, path, fields, ident)
            said = answer.text.replace(ident, NOWHERE)
            assert (answer.status_code, said) == (missing.status_code, missing.text), (path, fields)
            assert SECRET not in answer.text
        assert rows(home) == before, (method, path)
    # To those who may see it, it can be answered.
    assert (await home.ben.say("yes", in_reply_to_id=found.direct))["in_reply_to_id"] == found.direct


async def _named(client: httpx.AsyncClient, method: str, path: str, fields: Json, ident: str) -> httpx.Response:
    filled = {key: [ident] if value == [""] else ident if value == "" else value for key, value in fields.items()}
    body: dict[str, Any] = {} if method == "GET" else {"json": filled}
    return await client.request(method, path.replace("{}", ident), **body)


async def test_documents_by_address_are_missing_too(home: House) -> None:
    """What the proxy of ActivityPub's client side gets is what its person may see."""
    found = await things(home)
    at = f"{home.org.config.origin}/users/cy"
    lists = [
        f"{at}/inbox",
        f"{at}/outbox?page=true",
        f"{at}/followers?page=1",
        f"{home.org.config.origin}{found.attached}",
    ]
    missing = await home.ana.client.post("/api/activitypub/proxy", data={"id": f"{at}/statuses/{NOWHERE}"})
    assert missing.status_code == 404
    for ident in found.hidden:
        for tail in ("", "/activity", "/replies", "/likes", "/shares"):
            said = await home.ana.client.post("/api/activitypub/proxy", data={"id": f"{at}/statuses/{ident}{tail}"})
            assert (said.status_code, said.content) == (404, missing.content), (ident, tail)
    for iri in lists:
        said = await home.ana.client.post("/api/activitypub/proxy", data={"id": iri})
        assert SECRET not in said.text and "/users/ben" not in said.text, iri
    shown = await home.ana.client.post("/api/activitypub/proxy", data={"id": f"{at}/statuses/{found.shown}"})
    assert (shown.status_code, shown.json()["type"]) == (200, "Note")


async def test_an_app_ends_its_own_tokens_only(home: House) -> None:
    stranger = await home.stranger()
    fields = {"client_name": "x", "redirect_uris": "urn:ietf:wg:oauth:2.0:oob", "scopes": "read"}
    apps = [(await stranger.post("/api/v1/apps", json=fields)).json() for _ in range(2)]
    grant = apps[0] | {"grant_type": "client_credentials", "scope": "read"}
    token = (await stranger.post("/oauth/token", json=grant)).json()["access_token"]
    for app, status in ((apps[1], 403), (apps[0] | {"client_secret": "x"}, 401), (apps[0], 200)):
        assert (await stranger.post("/oauth/revoke", json=app | {"token": token})).status_code == status
        verified = await stranger.get("/api/v1/apps/verify_credentials", headers={"authorization": f"Bearer {token}"})
        assert verified.status_code == (401 if status == 200 else 200)
    hers = home.ana.client.headers["authorization"].removeprefix("Bearer ")
    await stranger.post("/oauth/revoke", json=apps[1] | {"token": hers})
    assert (await home.ana.client.get("/api/v1/timelines/home")).status_code == 200, "that was made for no app"


async def test_reports_name_only_what_their_author_saw(home: House) -> None:
    found = await things(home)
    shown = [found.shown, *found.hidden]
    made = await home.ana.do("/api/v1/reports", account_id=str(home.cy.id), status_ids=shown)
    assert made["status_ids"] == [found.shown]


async def test_lists_show_ones_own_and_what_one_may_see(home: House) -> None:
    """Every route that lists, searched for others' secrets; what somebody keeps for themselves, asked for by id."""
    found = await things(home)
    ana, ben, cy = home.ana, home.ben, home.cy
    await ben.do(f"/api/v1/statuses/{found.direct}/bookmark")
    await ben.do(f"/api/v1/statuses/{found.direct}/favourite")
    await ben.do(f"/api/v1/accounts/{cy.id}/note", comment=SECRET)
    await cy.do("/api/v1/markers", home={"last_read_id": found.shown})
    await cy.do("/api/v1/fedishare/export", 202)
    await home.world.settle()
    everything: list[tuple[str, Any]] = [("id[]", i) for i in (*found.hidden, str(cy.id))]
    everything += [("q", SECRET), ("timeline[]", "home")]
    for route in home.org.server.router.routes:
        if route.access is Access.TOKEN and route.method == "GET" and "streaming" not in route.path:
            for value in (str(cy.id), str(ben.id), str(ana.id)):
                answer = await ana.client.get(placed(route, value), params=everything)
                assert SECRET not in answer.text, route.name
    assert await ana.get("/api/v1/markers", **{"timeline[]": "home"}) == {}
    assert (await cy.get("/api/v1/markers", **{"timeline[]": "home"}))["home"]["last_read_id"] == found.shown
    assert (await ana.client.get("/api/v1/fedishare/export/file")).status_code == 404
    assert (await cy.client.get("/api/v1/fedishare/export/file")).status_code == 200
    assert SECRET in (await ben.client.get(f"/api/v1/statuses/{found.direct}")).text


async def test_hidden_collections_are_empty_for_others(home: House) -> None:
    await things(home)
    ana, ben, cy = home.ana, home.ben, home.cy
    await cy.do(f"/api/v1/follow_requests/{ben.id}/authorize")
    await cy.do(f"/api/v1/accounts/{ben.id}/follow")
    await ana.do(f"/api/v1/accounts/{ben.id}/follow")
    for what in ("followers", "following"):
        assert await ana.get(f"/api/v1/accounts/{cy.id}/{what}") == []
        assert [a["acct"] for a in await cy.get(f"/api/v1/accounts/{cy.id}/{what}")] == ["ben"]
        read = await ana.client.get(f"/users/cy/{what}?page=1", headers={"accept": "application/activity+json"})
        assert "/users/ben" not in read.text, what
    (familiar,) = await ana.get("/api/v1/accounts/familiar_followers", **{"id[]": str(cy.id)})
    assert familiar["accounts"] == []
    (familiar,) = await cy.get("/api/v1/accounts/familiar_followers", **{"id[]": str(ben.id)})
    assert familiar["accounts"] == [], "ana follows ben, and cy does not follow ana"


async def test_reactions_are_taken_back_by_those_who_gave_them(home: House) -> None:
    made = await home.org.write(announcements.add, "for everybody", "test")
    await home.cy.do(f"/api/v1/announcements/{made}/reactions/👍", 200, "PUT")
    await home.ana.do(f"/api/v1/announcements/{made}/reactions/👍", 200, "DELETE")
    (shown,) = await home.ana.get("/api/v1/announcements")
    assert [(r["name"], r["count"], r["me"]) for r in shown["reactions"]] == [("👍", 1, False)]
    missing = await home.ana.client.put(f"/api/v1/announcements/{NOWHERE}/reactions/👍")
    assert (missing.status_code, missing.json()) == (404, MISSING)


async def test_files_are_for_those_who_see_the_post(home: House) -> None:
    found = await things(home)
    stranger = await home.stranger()
    other = await home.client("cy", "write")
    for path in (found.file, found.attached):
        missing = await stranger.get(path[:-8] + "00000000")
        for client in (home.ana.client, stranger, other):
            answer = await client.get(path)
            assert (answer.status_code, answer.content) == (404, missing.content), path
        assert (await home.cy.client.get(path)).status_code == 200
    face = {"avatar": ("a.png", picture(), "image/png")}
    profile = (await home.cy.client.patch("/api/v1/accounts/update_credentials", files=face)).json()
    avatar = urlsplit(profile["avatar"]).path
    assert [(await who.get(avatar)).status_code for who in (stranger, other, home.ana.client)] == [404, 404, 200]
    await home.cy.do(f"/api/v1/follow_requests/{home.ben.id}/authorize")
    assert (await home.ben.client.get(found.attached)).status_code == 200
    assert (await home.ben.client.get(found.file)).status_code == 404, "it is in no post"


async def test_each_app_has_a_push_subscription_of_its_own(home: House) -> None:
    """Without an id in its path, it is the token's: nobody else's, also not another app's of the same person."""
    others = await home.client("cy", "push"), home.ana.client
    before = rows(home)
    for client in others:
        for method in ("GET", "PUT"):
            assert (await client.request(method, "/api/v1/push/subscription")).status_code == 404
        assert (await client.delete("/api/v1/push/subscription")).json() == {}
    assert rows(home) == before


RIGHTS = {
    "accounts": Right.MANAGE_USERS, "reports": Right.MANAGE_REPORTS, "domain_allows": Right.MANAGE_FEDERATION,
    "domain_blocks": Right.MANAGE_FEDERATION, "ip_blocks": Right.MANAGE_BLOCKS,
    "email_domain_blocks": Right.MANAGE_BLOCKS, "canonical_email_blocks": Right.MANAGE_BLOCKS,
    "measures": Right.VIEW_DASHBOARD, "dimensions": Right.VIEW_DASHBOARD, "retention": Right.VIEW_DASHBOARD,
    "trends": Right.MANAGE_TAXONOMIES, "tags": Right.MANAGE_TAXONOMIES,
}  # fmt: skip


async def test_each_role_opens_its_own_desk_and_no_other(home: House) -> None:
    """With a token of every scope, what a role may not do is refused before anything is looked up."""
    await things(home)
    await home.world.settle()
    app = await home.client("ana", "read write follow push admin:read admin:write")
    desks = [route for route in home.org.server.router.routes if route.path.startswith(ADMIN)]
    assert {route.path.split("/")[4] for route in desks} == RIGHTS.keys()
    for role in Role:
        await home.org.write(accounts.set_role, await home.org.by_handle("ana"), role, "test")
        before = rows(home)
        for route in desks:
            right, change = RIGHTS[route.path.split("/")[4]], route.scopes[0].startswith("admin:write")
            if not may(role, right, change=change):
                for ident in (str(home.cy.id), NOWHERE):
                    answer = await whole_call(app, route, placed(route, ident))
                    assert (answer.status_code, answer.json()) == (403, {"error": "This action is not allowed"}), (
                        role, route.name,
                    )  # fmt: skip
            elif not change and "{" not in route.path and route.method == "GET":
                assert (await app.get(route.path)).status_code == 200, (role, route.name)
        assert rows(home) == before, role


async def test_moderators_do_not_reach_those_who_have_a_role_themselves(home: House) -> None:
    app = await home.client("ana", "admin:read admin:write")
    for name, role in (("ana", Role.MODERATOR), ("cy", Role.OPERATOR)):
        await home.org.write(accounts.set_role, await home.org.by_handle(name), role, "test")
    before = rows(home)
    desks = [
        route for route in home.org.server.router.routes
        if route.path.startswith("/api/v1/admin/accounts/{id}") and route.method != "GET"
    ]  # fmt: skip
    assert len(desks) > 5
    for route in desks:
        body: dict[str, Any] = {"json": {"type": "suspend"}} if route.path.endswith("action") else {}
        answer = await app.request(route.method, placed(route, str(home.cy.id)), **body)
        assert answer.status_code == 403, (route.name, answer.text)
    assert rows(home) == before
    acted = await app.post(f"/api/v1/admin/accounts/{home.ben.id}/action", json={"type": "disable"})
    assert acted.status_code == 200
