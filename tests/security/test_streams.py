"""Streams keep what the registry declares: no token, a token that ended, scopes, and other people's lists."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from fedishare.http.routes import Access, Route, scope_allows
from fedishare.services import accounts
from fedishare.store import credentials
from tests.support.instances import House, house
from tests.support.listening import event_stream, websocket
from tests.support.world import Org

OUTSIDE = "This action is outside the authorized scopes"
SCOPES = (
    "read", "read:statuses", "read:notifications", "read:lists", "read:accounts", "write", "write:statuses", "follow",
    "push", "profile", "admin:read",
)  # fmt: skip
UNAUTHORIZED, FORBIDDEN, MISSING, UNKNOWN = 4401, 4403, 4404, 4400


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as made:
        yield made


async def token(home: House, scopes: str, name: str = "ana") -> str:
    made = accounts.new_token()
    await home.org.write(accounts.issue_token, name, made, scopes)
    return made


def streams(home: House) -> dict[str, Route]:
    """The registry's streams, by the names that apps give them."""
    at = "/api/v1/streaming/"
    found = {
        route.path.removeprefix(at).replace("/", ":"): route
        for route in home.org.server.router.routes
        if route.path.startswith(at) and route.access is Access.TOKEN
    }
    assert len(found) == 9
    return found


async def asked(home: House, stream: str, person: str = "ana") -> dict[str, str]:
    """What an app says to get a stream."""
    more = {}
    if stream.startswith("hashtag"):
        more = {"tag": "xray"}
    elif stream == "list":
        maker = getattr(home, person)
        more = {"list": (await maker.do("/api/v1/lists", title="Lab"))["id"]}
    return {"stream": stream, **more}


def on_the_line(query: dict[str, str]) -> str:
    return "&".join(f"{key}={value}" for key, value in query.items() if key != "stream")


async def opened(org: Org, query: dict[str, str], **how: Any) -> int:
    """0 when a WebSocket is taken, else the code with which it is turned away."""
    async with websocket(org, query, **how) as line:
        first = await line.next()
    if first["type"] == "websocket.accept":
        return 0
    assert first["type"] == "websocket.close"
    code: int = first["code"]
    return code


async def test_no_stream_opens_without_a_token_that_counts(home: House) -> None:
    revoked, expired, off, good = accounts.new_token(), accounts.new_token(), accounts.new_token(), accounts.new_token()
    scopes = "read write follow push"
    await home.org.write(accounts.revoke_token, await home.org.write(accounts.issue_token, "ana", revoked, scopes))
    await home.org.write(
        credentials.put_token, accounts.token_hash(expired), home.ana.id, scopes=scopes,
        expires_at=home.world.clock() - 1,
    )  # fmt: skip
    await home.org.write(accounts.issue_token, "cy", off, scopes)
    await home.org.write(credentials.set_disabled, home.cy.id, True)
    await home.org.write(accounts.issue_token, "ana", good, scopes)
    for stream in ("", *streams(home)):
        query = await asked(home, stream) if stream else {}
        for bad in ("", "x", revoked, expired, off):
            for how in (
                {"query": {**query, "access_token": bad}},
                {"query": query, "headers": {"authorization": f"Bearer {bad}"}},
                {"query": query, "protocols": (bad,) if bad else ()},
            ):
                assert await opened(home.org, how.pop("query"), **how) == UNAUTHORIZED, (stream, bad, how)  # type: ignore[arg-type]
            for address, header in (("", bad), (f"&access_token={bad}", "")) if stream else ():
                path = f"{streams(home)[stream].path}?{on_the_line(query)}{address}"
                async with event_stream(home.org, path, header) as line:
                    assert (await line.next())["status"] in ((401, 403) if bad == off else (401,)), stream
        assert await opened(home.org, query, protocols=(good,)) == 0
    assert home.org.server.hub.listening == 0
    assert await opened(home.org, {}, path="/api/v1/nothing", protocols=(good,)) == MISSING


async def test_each_stream_wants_its_scope_however_it_is_asked_for(home: House) -> None:
    tokens = {scope: await token(home, scope) for scope in SCOPES}
    for stream, route in streams(home).items():
        query = await asked(home, stream)
        for scope, held in tokens.items():
            allowed = scope_allows(frozenset({scope}), route.scopes)
            assert (await opened(home.org, query, protocols=(held,)) == 0) is allowed, (stream, scope)
            for address, header in (("", held), (f"&access_token={held}", "")):
                async with event_stream(home.org, f"{route.path}?{on_the_line(query)}{address}", header) as line:
                    assert ((await line.next())["status"] == 200) is allowed, (stream, scope)
    for scope, held in tokens.items():
        door = scope_allows(frozenset({scope}), ("read:statuses", "read:notifications"))
        assert (await opened(home.org, {}, protocols=(held,)) == 0) is door, scope
    for scope, refused, given in (
        ("read:statuses", "user:notification", "user"), ("read:notifications", "public", "user:notification"),
    ):  # fmt: skip
        async with websocket(home.org, {"access_token": tokens[scope]}) as line:
            assert (await line.next())["type"] == "websocket.accept"
            await line.subscribe(refused)
            assert await line.heard() == {"error": OUTSIDE, "status": 403}
            await line.subscribe(given)
            await line.subscribe("nonsense")
            assert (await line.heard())["error"] == "Unknown stream type", "and the one before it was taken in silence"


async def test_notifications_are_heard_with_their_scope_only(home: House) -> None:
    """The stream `user` carries posts and notifications; a token for posts hears posts there."""
    posts, everything = await token(home, "read:statuses"), await token(home, "read")
    await home.ana.do(f"/api/v1/accounts/{home.ben.id}/follow")
    async with (
        websocket(home.org, {"stream": "user", "access_token": posts}) as one,
        websocket(home.org, {"stream": "user", "access_token": everything}) as all_of_it,
    ):
        assert (await one.next())["type"] == (await all_of_it.next())["type"] == "websocket.accept"
        await home.ben.say("@ana hello")
        await home.ben.say("and hello")
        assert sorted([(await all_of_it.heard())["event"] for _ in range(3)]) == ["notification", "update", "update"]
        assert [(await one.heard())["event"] for _ in range(2)] == ["update", "update"]
        assert one.said.empty()


async def test_another_persons_list_is_none_and_unknown_streams_are_refused(home: House) -> None:
    hers = (await asked(home, "list", "ana"))["list"]
    his = (await asked(home, "list", "ben"))["list"]
    held = await token(home, "read")
    for ident in (his, "7", "x", "9" * 30):
        assert await opened(home.org, {"stream": "list", "list": ident}, protocols=(held,)) == MISSING, ident
        async with event_stream(home.org, f"/api/v1/streaming/list?list={ident}", held) as line:
            assert (await line.next())["status"] == 404
            assert (await line.next())["body"] == b'{"error":"Record not found"}'
    for stream in ("nonsense", "user:other", "list:" + hers, "hashtag:xray", "admin", "\x00"):
        assert await opened(home.org, {"stream": stream, "list": hers}, protocols=(held,)) == UNKNOWN, stream
    async with websocket(home.org, {"access_token": held}) as line:
        assert (await line.next())["type"] == "websocket.accept"
        for ident in (his, "7"):
            await line.subscribe("list", list=ident)
            assert await line.heard() == {"error": "Record not found", "status": 404}
        await line.subscribe("list", list=hers)
        await home.ana.do(f"/api/v1/accounts/{home.ben.id}/follow")
        await home.ana.do(f"/api/v1/lists/{hers}/accounts", account_ids=[str(home.ben.id)])
        said = await home.ben.say("hello")
        event = await line.heard()
        assert event["stream"] == ["list", hers] and said["id"] in event["payload"]


Ending = Callable[[House], Awaitable[Any]]


async def _revoke(home: House) -> None:
    for row in await home.org.read(credentials.tokens, home.ben.id):
        await home.org.write(accounts.revoke_token, row.id)


async def _suspend(home: House) -> None:
    await home.org.write(accounts.suspend, await home.org.by_handle("ben"), "test")


async def _sign_out_everywhere(home: House) -> None:
    await home.org.write(accounts.end_tokens, await home.org.by_handle("ben"))


@pytest.mark.parametrize("end", [_revoke, _suspend, _sign_out_everywhere])
async def test_what_ends_a_token_ends_its_streams_and_nothing_comes_after(home: House, end: Ending) -> None:
    held = await token(home, "read", "ben")
    await home.ben.do(f"/api/v1/accounts/{home.ana.id}/follow")
    async with (
        websocket(home.org, {"stream": "user", "access_token": held}) as socket,
        event_stream(home.org, "/api/v1/streaming/public", held) as events,
        websocket(home.org, {"stream": "user", "access_token": await token(home, "read", "cy")}) as other,
    ):
        assert (await socket.next())["type"] == (await other.next())["type"] == "websocket.accept"
        assert (await events.next())["status"] == 200 and await events.lines() == ":)\n\n"
        await end(home)
        await home.ana.say("@cy afterwards")
        assert (await socket.next())["type"] == "websocket.close"
        assert await events.lines() == "" and events.said.empty() and socket.said.empty()
        assert (await other.heard())["event"] == "notification", "others listen on"
        assert home.org.server.hub.listening == 1
    assert await opened(home.org, {"stream": "user", "access_token": held}) == UNAUTHORIZED
