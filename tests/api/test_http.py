"""What every API answer has in common: error bodies, CORS, rates, scopes, bodies of any kind, and never a 500."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedishare.http.routes import Access, Route
from fedishare.services import accounts
from fedishare.store import credentials
from tests.support.instances import House, house

STATUSES = "/api/v1/statuses"


async def test_refusals_are_json_that_every_app_understands(home: House) -> None:
    stranger = await home.stranger()
    said = await home.ana.say("hello")
    bad = {"authorization": "Bearer x"}
    for client, method, path, headers, status, sentence in (
        (stranger, "GET", "/api/v1/timelines/home", {}, 401, "The access token is invalid"),
        (stranger, "GET", "/api/v1/timelines/home", bad, 401, "The access token is invalid"),
        (
            stranger,
            "GET",
            "/api/v1/timelines/home",
            {"authorization": "Basic eDp5"},
            401,
            "The access token is invalid",
        ),
        (home.ana.client, "GET", "/api/v1/nothing", {}, 404, "Record not found"),
        (home.ana.client, "GET", "/api/v1/statuses/x/y/z", {}, 404, "Record not found"),
        (home.ana.client, "DELETE", "/api/v1/timelines/home", {}, 405, "does not take that method"),
    ):
        answer = await client.request(method, path, headers=headers)
        assert (answer.status_code, set(answer.json())) == (status, {"error"}), path
        assert sentence in answer.json()["error"]
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert stranger.headers.get("authorization") is None
    refused = await stranger.get("/api/v1/timelines/home")
    assert refused.headers["www-authenticate"].startswith("Bearer")
    wrong = await home.ana.client.delete("/api/v1/timelines/home")
    assert wrong.headers["allow"] == "GET, HEAD"
    head = await home.ana.client.head(f"{STATUSES}/{said['id']}/")
    assert (head.status_code, head.content) == (200, b"") and int(head.headers["content-length"]) > 100
    assert (await home.ana.client.get(f"{STATUSES}/{said['id']}/")).json()["id"] == said["id"]
    secure = {"x-content-type-options": "nosniff", "referrer-policy": "same-origin"}
    assert secure.items() <= dict(head.headers).items() and "frame-ancestors" in head.headers["content-security-policy"]


async def test_web_apps_of_other_origins_may_ask(home: House) -> None:
    stranger = await home.stranger()
    for path in (STATUSES, "/api/v1/timelines/home", "/.well-known/webfinger", "/api/v2/instance"):
        asked = await stranger.options(path, headers={"origin": "https://app.example"})
        assert asked.status_code == 204 and asked.headers["access-control-allow-origin"] == "*"
        assert "Authorization" in asked.headers["access-control-allow-headers"]
        assert "PATCH" in asked.headers["access-control-allow-methods"]
    answer = await home.ana.client.get("/api/v1/timelines/home")
    exposed = answer.headers["access-control-expose-headers"]
    assert all(name in exposed for name in ("Link", "X-RateLimit-Remaining", "X-RateLimit-Reset", "Retry-After"))
    assert "access-control-allow-credentials" not in answer.headers
    assert "access-control-allow-origin" not in (await stranger.get("/users/ana")).headers


async def test_rates_are_told_and_kept(tmp_path: Path) -> None:
    limits = {"rates": True, "api_rate": 5, "public_rate": 3}
    async with house(tmp_path, limits=limits) as home:
        path = "/api/v1/accounts/verify_credentials"
        answers = [await home.ana.client.get(path) for _ in range(7)]
        assert [a.status_code for a in answers] == [200] * 5 + [429] * 2
        assert [a.headers["x-ratelimit-remaining"] for a in answers] == ["4", "3", "2", "1", "0", "0", "0"]
        assert all(a.headers["x-ratelimit-limit"] == "5" for a in answers)
        assert answers[0].headers["x-ratelimit-reset"].endswith("Z")
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 60 and "too many requests" in answers[-1].json()["error"]
        assert (await home.ben.client.get(path)).status_code == 200, "each account has its own"
        stranger = await home.stranger()
        tries = [(await stranger.get(path, headers={"authorization": f"Bearer {n}"})).status_code for n in range(5)]
        assert tries == [401] * 3 + [429] * 2, "guessing tokens is counted by address"
        described = await stranger.get("/api/v2/instance")
        assert described.status_code == 429


async def test_tokens_end_when_they_are_ended(both: House) -> None:
    path = "/api/v1/accounts/verify_credentials"
    app = await both.client("ana", "read")
    assert (await app.get(path)).status_code == 200
    (row,) = [t for t in await both.org.read(credentials.tokens, both.ana.id) if t.scopes == "read"]
    assert row.last_used_at is not None
    await both.org.write(accounts.revoke_token, row.id)
    assert (await app.get(path)).status_code == 401
    assert (await both.ana.client.get(path)).status_code == 200, "another token of the same person is another one"
    soon = accounts.new_token()
    await both.org.write(
        credentials.put_token, accounts.token_hash(soon), both.ana.id, scopes="read",
        expires_at=both.world.clock() + 30_000,
    )  # fmt: skip
    short = await both.world.client(both.org, soon)
    assert (await short.get(path)).status_code == 200
    both.world.clock.forward(61_000)
    assert (await short.get(path)).status_code == 401


async def test_a_scope_allows_what_it_says(home: House) -> None:
    said = await home.ana.say("hello")
    like = ("POST", f"{STATUSES}/{said['id']}/favourite")
    follow = ("POST", f"/api/v1/accounts/{home.ana.id}/follow")
    read = ("GET", "/api/v1/timelines/home")
    blocks = ("GET", "/api/v1/blocks")
    for scopes, allowed in {
        "read": {read, blocks}, "write": {like, follow}, "follow": {follow, blocks}, "read:statuses": {read},
        "write:favourites read:blocks": {like, blocks}, "push": set(), "read:accounts profile": set(),
    }.items():  # fmt: skip
        client = await home.client("ben", scopes)
        for each in (like, follow, read, blocks):
            answer = await client.request(*each)
            assert answer.status_code == (200 if each in allowed else 403), (scopes, each)
            if each not in allowed:
                assert answer.json()["error"] == "This action is outside the authorized scopes"


async def test_a_list_written_twice_is_one(home: House) -> None:
    """Mastodon.py writes ``id[][]`` for some lists, which Mastodon takes."""
    said = await home.ana.say("hello")
    for name in ("id[]", "id[][]", "id"):
        assert [s["id"] for s in await home.ana.get(STATUSES, **{name: said["id"]})] == [said["id"]], name


BODIES: list[tuple[str, bytes, int]] = [
    ("application/json", b"{", 400),
    ("application/json", b"[1]", 400),
    ("application/json", b'"text"', 400),
    ("application/json", b"null", 400),
    ("application/json", b"\xff", 400),
    ("application/json", b'{"status": "\\ud800"}', 400),
    ("application/json", b"[" * 100_000, 400),
    ("application/json", b'{"a":' * 2000 + b"1" + b"}" * 2000, 400),
    ("application/json", b'{"status": "x", "in_reply_to_id": 1e400}', 400),
    ("application/json", b'{"status": 1' + b"0" * 5000 + b"}", 400),
    ("application/x-www-form-urlencoded", b"status=%ff", 400),
    ("application/x-www-form-urlencoded", b"&".join(b"a%d=1" % n for n in range(600)), 400),
    ("application/x-www-form-urlencoded", b"status[a]=1&status=&status[b]=2", 400),
    ("application/x-www-form-urlencoded", b"poll=1&poll[options][]=2", 400),
    ("application/x-www-form-urlencoded", b"a[b][c][d][e][f]=1", 400),
    ("application/x-www-form-urlencoded", b"status[]=a&status[]=b", 422),
    ("multipart/form-data", b"x", 400),
    ("multipart/form-data; boundary=x", b"--y\r\n", 400),
    ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--\r\n", 400),
    ("multipart/form-data; boundary=" + "x" * 300, b"--x", 400),
    ("text/plain", b"hello", 422),
    ("", b"\x00\x01", 422),
]


async def test_bodies_that_cannot_be_read_are_refused_with_a_sentence(home: House) -> None:
    for kind, body, status in BODIES:
        answer = await home.ana.client.post(STATUSES, content=body, headers={"content-type": kind})
        assert answer.status_code == status, (kind, body[:60], answer.status_code, answer.text)
        assert answer.json()["error"], (kind, body[:60])
    big = await home.ana.client.post(STATUSES, content=b"status=" + b"x" * 300_000)
    assert (big.status_code, "at most" in big.json()["error"]) == (413, True)
    unread = await home.ana.client.request("GET", "/api/v2/instance", content=b"x" * 10)
    assert unread.status_code == 413
    fine = await home.ana.client.post(
        STATUSES, content=b'{"status":"fine"}', headers={"content-type": "application/json; x"}
    )
    assert fine.status_code == 200
    assert (await home.ana.client.get("/api/v1/timelines/home?max_id=%ff")).status_code == 400


names = st.sampled_from(
    ["max_id", "min_id", "since_id", "limit", "offset", "q", "type", "resolve", "id", "id[]", "status", "visibility",
     "reach", "local_only", "poll", "poll[options][]", "poll[expires_in]", "choices", "choices[]", "in_reply_to_id",
     "media_ids[]", "spoiler_text", "language", "sensitive", "acct", "types[]", "exclude_types[]", "account_id",
     "fields_attributes[0][name]", "source[privacy]", "display_name", "note", "duration", "pinned", "tagged", "local",
     "status_ids[]", "comment", "notify", "reblogs", "a[b][c]", "[", "]", "a[", ""]
)  # fmt: skip
plain_values = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["", "0", "1", "-1", "true", "null", "9" * 25, "1.5", "\x00", "%", "\u202e", "NaN"]),
    st.integers(-(2**70), 2**70).map(str),
)  # fmt: skip
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=6,
)  # fmt: skip
segments = st.one_of(
    st.integers(-5, 2**66).map(str),
    st.text(st.characters(codec="ascii", categories=("L", "N", "P")), min_size=1, max_size=6),
)
EXPECTED = {200, 202, 204, 302, 303, 400, 401, 403, 404, 405, 406, 409, 410, 413, 415, 422}


def path_of(route: Route, values: list[str]) -> str:
    """A path of the route with something in place of its parameters."""
    parts = []
    for part in route.path.split("/"):
        before, brace, _ = part.partition("{")
        parts.append(before + values.pop().replace("/", "").replace("?", "").replace("#", "") if brace else part)
    return "/".join(parts)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_nothing_makes_a_server_error(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Any route of the registry with any parameters, by somebody signed in: an answer that says what is wrong."""

    async def check() -> None:
        async with house(tmp_path_factory.mktemp("fuzz")) as home:
            said = await home.ben.say("which?", poll={"options": ["a", "b"], "expires_in": 600})
            real = [said["id"], str(home.ben.id), said["poll"]["id"]]
            routes = [
                r for r in home.org.server.router.routes
                if r.access in (Access.TOKEN, Access.APP, Access.OPEN) and "streaming" not in r.path
            ]  # fmt: skip
            for _ in range(25):
                route = data.draw(st.sampled_from(routes))
                values = data.draw(st.lists(segments | st.sampled_from(real), min_size=3, max_size=3))
                query = data.draw(st.lists(st.tuples(names, plain_values), max_size=4))
                kind = data.draw(st.sampled_from(["none", "json", "form"])) if route.max_body else "none"
                options: dict[str, Any] = {"params": query}
                if kind == "json":
                    body = data.draw(st.dictionaries(names, json_values, max_size=5))
                    options["content"] = json.dumps(body).encode()
                    options["headers"] = {"content-type": "application/json"}
                elif kind == "form":
                    options["data"] = dict(data.draw(st.lists(st.tuples(names, plain_values), max_size=5)))
                answer = await home.ana.client.request(route.method, path_of(route, values), **options)
                assert answer.status_code in EXPECTED, (route.name, query, answer.status_code, answer.text)
                if answer.status_code >= 400 and answer.headers["content-type"].startswith("application/json"):
                    assert answer.json()["error"], route.name

    asyncio.run(check())
