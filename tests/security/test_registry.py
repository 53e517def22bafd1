"""Everything that the registry declares is kept, route by route; the tests are made from the registry itself.

Whose things a route shows is asked in `test_object_access`, streams in `test_streams`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fedishare.http.call import Answer, Call
from fedishare.http.routes import Access, Audience, Rate, Route, scope_allows
from fedishare.model.actors import Role
from fedishare.services import accounts
from fedishare.store import credentials
from tests.support.belongings import SECRET, things
from tests.support.instances import House, house

INVALID = {"error": "The access token is invalid"}
OUTSIDE = {"error": "This action is outside the authorized scopes"}
NOBODYS = {"error": "This method requires an authenticated user"}
MISSING = {"error": "Record not found"}
REFUSED = {"error": "This action is not allowed"}
SCOPES = ("read", "write", "follow", "push", "profile", "admin:read", "admin:write")
ADMIN = ("/api/v1/admin/", "/api/v2/admin/")


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    """A house with a stranger at the door."""
    async with house(tmp_path) as made:
        yield made


def routes(home: House, *access: Access) -> list[Route]:
    """The routes that declare that access."""
    found = [route for route in home.org.server.router.routes if route.access in access]
    assert found, f"no route declares {access}"
    return found


def path_of(route: Route, value: str = "1") -> str:
    """A path of the route."""
    return "/".join(part.partition("{")[0] + value if "{" in part else part for part in route.path.split("/"))


async def ask(client: httpx.AsyncClient, route: Route, path: str | None = None, **headers: str) -> httpx.Response:
    """A call that the route would take, as far as its declaration goes."""
    body: dict[str, Any] = {"json": {}} if route.max_body and route.method != "GET" else {}
    return await client.request(route.method, path or path_of(route), headers=headers, **body)


async def test_every_token_route_wants_a_token_that_counts(home: House) -> None:
    stranger = await home.stranger()
    good, revoked, expired = accounts.new_token(), accounts.new_token(), accounts.new_token()
    everything = "read write follow push profile"
    await home.org.write(accounts.issue_token, "ana", good, everything)
    ident = await home.org.write(accounts.issue_token, "ana", revoked, everything)
    await home.org.write(accounts.revoke_token, ident)
    await home.org.write(
        credentials.put_token, accounts.token_hash(expired), home.ana.id, scopes=everything,
        expires_at=home.world.clock() - 1,
    )  # fmt: skip
    fields = {"client_name": "x", "redirect_uris": "urn:ietf:wg:oauth:2.0:oob", "scopes": "read write follow push"}
    app = (await stranger.post("/api/v1/apps", json=fields)).json() | {"grant_type": "client_credentials"}
    nobodys = (await stranger.post("/oauth/token", json=app | {"scope": "read write follow push"})).json()
    before = await home.org.rows()
    for route in routes(home, Access.TOKEN):
        for authorization in (
            "", "Bearer", "Bearer x", f"Bearer {revoked}", f"Bearer {expired}", f"Token {good}",
            f"Bearer {good} {good}", f"Basic {good}",
        ):  # fmt: skip
            answer = await ask(stranger, route, authorization=authorization)
            assert (answer.status_code, answer.json()) == (401, INVALID), (route.name, authorization)
        answer = await ask(stranger, route, authorization=f"Bearer {nobodys['access_token']}")
        assert (answer.status_code, answer.json()) == (422, NOBODYS), f"{route.name}: an app alone is no person"
        if "streaming" not in route.path:  # where browsers cannot send headers
            answer = await ask(stranger, route, f"{path_of(route)}?access_token={good}")
            assert answer.status_code == 401, f"{route.name}: a token in an address is none"
    assert await home.org.rows() == before


async def test_every_token_route_wants_one_of_its_scopes(home: House) -> None:
    apps = {scope: await home.client("ana", scope) for scope in SCOPES}
    before = await home.org.rows()
    for route in routes(home, Access.TOKEN):
        allowed = {scope for scope in apps if scope_allows(frozenset({scope}), route.scopes)}
        assert allowed and allowed != set(apps), f"{route.name} is for every token"
        for scope in apps.keys() - allowed:
            answer = await ask(apps[scope], route)
            assert (answer.status_code, answer.json()) == (403, OUTSIDE), (route.name, scope)
    assert await home.org.rows() == before


def test_reading_scopes_write_nothing_and_writing_scopes_read_nothing() -> None:
    """The scope's word agrees with the method, so that a token for reading changes nothing."""
    assert scope_allows(frozenset({"read"}), ("read:statuses",)) and not scope_allows(frozenset({"read"}), ("write",))
    assert not scope_allows(frozenset({"read:statuses"}), ("read:accounts",))
    assert not scope_allows(frozenset({"read:statuses"}), ("read",))
    assert scope_allows(frozenset({"follow"}), ("write:follows",)) and scope_allows(
        frozenset({"follow"}), ("read:blocks",)
    )
    assert not scope_allows(frozenset({"follow"}), ("write:statuses",))
    assert not scope_allows(frozenset({"admin:read"}), ("read:statuses",))
    assert not scope_allows(frozenset(), ("read",))


async def test_admin_routes_want_the_role_too(home: House) -> None:
    """A token with every scope is worth nothing without the role, from the moment on that the role is gone."""
    app = await home.client("ben", " ".join(SCOPES))
    admin = [route for route in routes(home, Access.TOKEN) if route.path.startswith(ADMIN)]
    assert len(admin) > 40
    before = await home.org.rows()
    for route in admin:
        assert all(scope.startswith("admin:") for scope in route.scopes) and route.audience is Audience.ROLE, route.name
        answer = await ask(app, route)
        assert (answer.status_code, answer.json()) == (403, REFUSED), route.name
    await home.org.write(accounts.set_role, await home.org.by_handle("ben"), Role.AUDITOR, "test")
    for route in admin:
        answer = await ask(app, route)
        looks = all(scope.startswith("admin:read") for scope in route.scopes)
        assert (answer.status_code == 403) is not looks, (route.name, answer.text)
    assert await home.org.rows() == before
    await home.org.write(accounts.set_role, await home.org.by_handle("ben"), Role.MEMBER, "test")
    assert (await app.get("/api/v1/admin/accounts")).status_code == 403


async def test_apps_can_read_which_scopes_there_are(home: House) -> None:
    metadata = (await (await home.stranger()).get("/.well-known/oauth-authorization-server")).json()
    wanted = {scope for route in home.org.server.router.routes for scope in route.scopes}
    assert wanted <= set(metadata["scopes_supported"])


async def test_methods_and_scopes_agree(home: House) -> None:
    only_looks = {
        "POST /api/activitypub/proxy", "POST /api/v1/statuses/{id}/translate",
        "POST /api/v1/fedishare/audience", "POST /api/v1/admin/canonical_email_blocks/test",
        "POST /api/v1/admin/measures", "POST /api/v1/admin/dimensions", "POST /api/v1/admin/retention",
    }  # fmt: skip
    for route in routes(home, Access.TOKEN):
        for scope in route.scopes:
            if scope.removeprefix("admin:").startswith(("read", "profile")):
                assert route.method == "GET" or route.name in only_looks, route.name
            else:
                both_ways = ("/api/v1/media/", "/api/v1/push/")  # their scopes do not tell reading from writing
                assert route.method != "GET" or route.path.startswith(both_ways), route.name


async def test_partners_routes_answer_nobody_without_a_signature(home: House) -> None:
    """Whether a thing exists or not, the answer is the same, byte by byte."""
    stranger = await home.stranger()
    said = await home.ana.say("shared", reach="partners")
    await home.ana.say(SECRET, reach="partners", visibility="private")
    accept = {"accept": "application/activity+json"}
    signed = {"signature": 'keyId="https://evil.example/k",headers="date",signature="AA=="', "date": "x"}
    for route in routes(home, Access.PEER, Access.PEER_OR_TOKEN):
        there = route.path.replace("{name}", "ana").replace("{id}", said["id"])
        absent = route.path.replace("{name}", "nobody").replace("{id}", "7")
        for headers in (accept, {**accept, **signed}, {"accept": "text/html"}, {}):
            answers = [await stranger.request(route.method, path, headers=headers) for path in (there, absent)]
            assert answers[0].status_code in (401, 403) and answers[0].status_code == answers[1].status_code, route.name
            assert answers[0].content == answers[1].content, route.name
            assert _plain(answers[0]) == _plain(answers[1]), route.name
            assert b"shared" not in answers[0].content and SECRET.encode() not in answers[0].content
        if route.access is Access.PEER:
            token = await home.ana.client.request(route.method, there, headers=accept)
            assert token.status_code == 401, "a person's token is no signature"
    assert home.world.internet.sent == [] and home.world.internet.dns_lookups == []


async def test_what_partners_and_people_read_is_read_with_a_token_of_its_scope_and_only_ones_own(home: House) -> None:
    """No token that counts, or one of too small a scope, opens what a signature opens; another's things are missing."""
    stranger = await home.stranger()
    found = await things(home)
    apps = {scope: await home.client("ana", scope) for scope in ("read", "write", "follow", "push", "profile")}
    checked = 0
    for route in routes(home, Access.PEER_OR_TOKEN):
        there = route.path.replace("{name}", "ana").replace("{verb}", "likes").replace("{id}", "7")
        for authorization in ("Bearer x", "bearer ", f"Bearer {'y' * 600}"):
            answer = await ask(stranger, route, there, authorization=authorization)
            assert (answer.status_code, answer.json()) == (401, INVALID), (route.name, authorization)
        for scope, app in apps.items():
            answer = await ask(app, route, there)
            assert (answer.status_code == 403) is not scope_allows(frozenset({scope}), route.scopes), (
                route.name,
                scope,
            )
        if "/statuses/{id}" in route.path:
            for ident in found.hidden:
                path = route.path.replace("{name}", "cy")
                hidden, missing = [await apps["read"].get(path.replace("{id}", each)) for each in (ident, "7")]
                assert (hidden.status_code, hidden.content) == (404, missing.content), route.name
                checked += 1
        else:
            shown = await apps["read"].get(there.replace("ana", "cy") + "?page=true")
            assert SECRET not in shown.text, route.name
    assert checked > 10


def _plain(answer: httpx.Response) -> dict[str, str]:
    return {k: v for k, v in answer.headers.items() if k not in ("date", "x-ratelimit-remaining", "x-ratelimit-reset")}


async def test_inboxes_take_nothing_without_a_signature(home: House) -> None:
    stranger = await home.stranger()
    before = await home.org.rows()
    follow = {"@context": "https://www.w3.org/ns/activitystreams", "id": "https://lab.example/1", "type": "Follow",
              "actor": "https://lab.example/users/zoe", "object": home.ana.iri}  # fmt: skip
    bodies = [
        json.dumps(follow).encode(),
        b"",
        b"{",
        b"[]",
        b"\xff" * 100,
        json.dumps({**follow, "type": "Create"}).encode(),
    ]
    for route in routes(home, Access.INBOX):
        for body in bodies:
            for value in ("ana", "nobody"):
                path = route.path.replace("{name}", value)
                kind = {"content-type": "application/activity+json"}
                answer = await stranger.post(path, content=body, headers=kind)
                assert answer.status_code in (400, 401), (route.name, body[:20], answer.status_code)
                assert answer.json()["error"]
    assert await home.org.rows() == before and home.world.internet.dns_lookups == []


async def test_files_and_figures_are_not_there_for_strangers(home: House) -> None:
    stranger = await home.stranger()
    for route in routes(home, Access.MEDIA, Access.OPERATOR):
        answer = await stranger.request(route.method, path_of(route))
        assert (answer.status_code, answer.json()) == (404, MISSING), route.name
        assert (await stranger.request(route.method, path_of(route, "../1"))).status_code == 404


async def test_what_is_open_shows_nobody(home: House) -> None:
    """Anybody may call these, and none of it has people, posts or partners in it."""
    stranger = await home.stranger()
    await home.ana.say(SECRET)
    await home.guest("zoe")
    for route in routes(home, Access.OPEN, Access.APP):
        if route.method != "GET":
            continue
        for query in ("", "?resource=acct:zoe@lab.example", "?q=ana&id=1"):
            answer = await stranger.get(path_of(route, str(home.ana.id)) + query)
            assert answer.status_code < 500, route.name
            for word in (SECRET, "lab.example", "ward.example", '"ana"', "@ana", "/users/ana"):
                if route.path.startswith(("/oauth", "/.well-known/webfinger")) and word in query:
                    continue
                assert word not in answer.text.replace("zoe@lab.example", ""), (route.name, word)


async def test_every_route_is_declared_in_whole(home: House) -> None:
    """What every route says of itself fits together; a line that says less cannot be written."""
    seen = set()
    for route in home.org.server.router.routes:
        assert route.name not in seen, route.name
        seen.add(route.name)
        assert (
            isinstance(route.access, Access) and isinstance(route.rate, Rate) and isinstance(route.audience, Audience)
        )
        assert route.method in ("GET", "POST", "PUT", "PATCH", "DELETE"), route.name
        if route.access in (Access.OPEN, Access.APP, Access.OPERATOR):
            assert route.audience in (Audience.METADATA, Audience.NOTHING) or route.path.startswith("/oauth"), (
                route.name
            )
        if route.access is not Access.OPERATOR:
            assert route.rate is not Rate.NONE, f"{route.name} is not counted"
        assert 0 <= route.max_body <= 64 * 1024 * 1024, route.name
    for socket in home.org.server.router.sockets.values():
        assert socket.scopes and socket.rate is not Rate.NONE


def test_a_route_without_its_declaration_cannot_be_written() -> None:
    async def handler(call: Call) -> Answer:
        return Answer()

    whole: dict[str, Any] = {
        "method": "GET", "path": "/x", "handler": handler, "access": Access.TOKEN, "scopes": ("read",),
        "rate": Rate.API, "max_body": 0, "audience": Audience.OWN,
    }  # fmt: skip
    assert Route(**whole).name == "GET /x"
    for name in whole:
        with pytest.raises(TypeError):
            Route(**{k: v for k, v in whole.items() if k != name})
    for wrong in ({"scopes": ()}, {"access": Access.OPEN}, {"path": "x"}):
        with pytest.raises(ValueError, match=r"/x|slash"):
            Route(**(whole | wrong))
