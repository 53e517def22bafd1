"""Streams over real sockets: what arrives, for whom, and when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
import websockets

from fedishare.services import accounts
from fedishare.store import credentials
from tests.support.instances import remote_actor, says
from tests.support.world import Org, Person, World, new_world

SOON = 5.0


@dataclass
class Live:
    """An instance behind a real socket."""

    org: Org
    port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with new_world(tmp_path) as made:
        yield made


@pytest.fixture
async def live(world: World) -> AsyncIterator[Live]:
    org = await world.org("clinic.localhost")
    config = uvicorn.Config(
        org.server, port=0, lifespan="off", log_config=None, ws="websockets-sansio", interface="asgi3"
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(SOON):
        while not server.started:  # noqa: ASYNC110 — uvicorn has no event for it
            await asyncio.sleep(0.005)
    try:
        yield Live(org, server.servers[0].sockets[0].getsockname()[1])
    finally:
        org.server.end_streams()
        server.should_exit = True
        await task


def token_of(person: Person) -> str:
    return person.client.headers["authorization"].removeprefix("Bearer ")


@contextlib.asynccontextmanager
async def socket(live: Live, token: str, **query: str) -> AsyncIterator[Any]:
    asked = "&".join(f"{k}={v}" for k, v in query.items())
    url = f"ws://{live.address}/api/v1/streaming?{asked}"
    before = live.org.server.hub.listening
    async with websockets.connect(url, additional_headers={"authorization": f"Bearer {token}"}) as made:
        assert live.org.server.hub.listening == before + 1
        yield made


async def heard(connection: Any) -> tuple[list[str], str, Any]:
    message = json.loads(await asyncio.wait_for(connection.recv(), SOON))
    payload = message.get("payload")
    plainly = payload is None or message["event"] == "delete"
    return message["stream"], message["event"], payload if plainly else json.loads(payload)


async def test_home_notifications_edits_and_deletes_arrive(live: Live) -> None:
    ana, ben = await live.org.person("ana"), await live.org.person("ben")
    await ben.follow("ana")
    async with socket(live, token_of(ben), stream="user") as listening:
        status = await ana.say("hello @ben")
        events = [await heard(listening), await heard(listening)]
        assert sorted(kind for _, kind, _ in events) == ["notification", "update"]
        assert {stream[0] for stream, _, _ in events} == {"user"}
        update = next(payload for _, kind, payload in events if kind == "update")
        assert update["id"] == status["id"]
        await ana.edit(status, "hello @ben, again")
        assert (await heard(listening))[1:][0] == "status.update"
        await ana.delete(status)
        assert (await heard(listening))[1:] == ("delete", status["id"])


async def test_nobody_hears_what_is_not_for_them(live: Live) -> None:
    ana, ben, eva = [await live.org.person(name) for name in ("ana", "ben", "eva")]
    await ben.follow("ana")
    async with (
        socket(live, token_of(eva), stream="user") as at_home,
        socket(live, token_of(eva), stream="public") as public,
    ):
        await ana.say("for followers", visibility="private")
        await ana.say("for ben @ben", visibility="direct")
        shown = await ana.say("for everybody")
        assert (await heard(public))[2]["id"] == shown["id"]
        own = await eva.say("mine")
        assert (await heard(at_home))[2]["id"] == own["id"]


async def test_blocked_and_muted_people_are_not_heard(live: Live) -> None:
    ana, ben, eva = [await live.org.person(name) for name in ("ana", "ben", "eva")]
    async with socket(live, token_of(eva), stream="public:local") as public:
        await eva.do(f"/api/v1/accounts/{ana.id}/mute")
        await ben.do(f"/api/v1/accounts/{eva.id}/block")
        await ana.say("muted")
        await ben.say("blocks eva")
        own = await eva.say("mine")
        assert (await heard(public))[2]["id"] == own["id"]


async def test_one_connection_carries_many_streams(live: Live) -> None:
    ana = await live.org.person("ana")
    async with socket(live, token_of(ana)) as listening:
        await listening.send(json.dumps({"type": "subscribe", "stream": "hashtag", "tag": "XRay"}))
        await listening.send(json.dumps({"type": "subscribe", "stream": "nonsense"}))
        assert json.loads(await asyncio.wait_for(listening.recv(), SOON))["error"] == "Unknown stream type"
        tagged = await ana.say("look #xray")
        stream, kind, payload = await heard(listening)
        assert (stream, kind, payload["id"]) == (["hashtag", "xray"], "update", tagged["id"])
        await listening.send(json.dumps({"type": "unsubscribe", "stream": "hashtag", "tag": "xray"}))
        await listening.send(json.dumps({"type": "subscribe", "stream": "public:local"}))
        await listening.send("not json")
        assert "error" in json.loads(await asyncio.wait_for(listening.recv(), SOON))
        later = await ana.say("more #xray")
        assert (await heard(listening))[0::2][0] == ["public:local"]
        assert later["id"]


async def test_server_sent_events(live: Live) -> None:
    ana = await live.org.person("ana")
    url = f"http://{live.address}/api/v1/streaming/user"
    async with httpx.AsyncClient() as client, asyncio.timeout(SOON):
        asking = client.stream("GET", url, headers=dict(ana.client.headers))
        async with asking as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = answer.aiter_lines()
            assert await anext(lines) == ":)"
            status = await ana.say("hello")
            assert [await anext(lines), await anext(lines)] == ["", "event: update"]
            assert json.loads((await anext(lines)).removeprefix("data: "))["id"] == status["id"]
    async with asyncio.timeout(SOON):
        while live.org.server.hub.listening:  # noqa: ASYNC110 — the end of a connection has no event here
            await asyncio.sleep(0.01)


STREAMS = (
    "user", "user/notification", "public", "public/local", "public/remote", "hashtag?tag=XRay",
    "hashtag/local?tag=xray", "list?list={list}",
)  # fmt: skip


async def test_every_stream_of_events_carries_what_it_is_for(live: Live) -> None:
    ana, ben = await live.org.person("ana"), await live.org.person("ben")
    await ben.follow("ana")
    made = await ben.do("/api/v1/lists", title="Lab")
    await ben.do(f"/api/v1/lists/{made['id']}/accounts", account_ids=[str(ana.id)])
    zoe = await live.org.write(remote_actor, "zoe", "lab.example")

    async def first(client: httpx.AsyncClient, path: str, open_: asyncio.Event) -> tuple[str, str]:
        url = f"http://{live.address}/api/v1/streaming/{path.format(list=made['id'])}"
        async with client.stream("GET", url, headers=dict(ben.client.headers)) as answer:
            assert answer.http_version == "HTTP/1.1" and "no-store" in answer.headers["cache-control"]
            lines = answer.aiter_lines()
            assert await anext(lines) == ":)"
            open_.set()
            kind = next_of(await until(lines, "event: "))
            return kind, json.loads(next_of(await until(lines, "data: ")))["id"]

    opened = [asyncio.Event() for _ in STREAMS]
    async with httpx.AsyncClient() as client, asyncio.timeout(SOON):
        tasks = [asyncio.create_task(first(client, path, up)) for path, up in zip(STREAMS, opened, strict=True)]
        await asyncio.gather(*(up.wait() for up in opened))
        far = await live.org.write(says, live.org.server.instance.site, zoe.id, 1, "far", hashtags=("ward",))
        near = await ana.say("@ben near #xray")
        found = dict(zip(STREAMS, await asyncio.gather(*tasks), strict=True))
        health = await client.get(f"http://{live.address}/api/v1/streaming/health")
    assert (health.status_code, health.text) == (200, "OK")
    told = (await ben.get("/api/v1/notifications"))[0]["id"]
    assert found.pop("user/notification") == ("notification", told)
    assert found.pop("user")[1] in (near["id"], told)
    assert found.pop("public") == ("update", str(far.id)) == found.pop("public/remote"), "the first of both"
    assert set(found.values()) == {("update", near["id"])}


async def until(lines: AsyncIterator[str], start: str) -> str:
    """The next line that begins so."""
    while not (line := await anext(lines)).startswith(start):
        pass
    return line


def next_of(line: str) -> str:
    """What stands behind the colon."""
    return line.partition(": ")[2]


async def test_a_silent_stream_has_a_heart_beat(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fedishare.api.streaming.BEAT_SECONDS", 0.01)
    ana = await live.org.person("ana")
    async with httpx.AsyncClient() as client, asyncio.timeout(SOON):
        url = f"http://{live.address}/api/v1/streaming/user"
        async with client.stream("GET", url, headers=dict(ana.client.headers)) as answer:
            lines = answer.aiter_lines()
            assert [await until(lines, ":thump") for _ in range(2)] == [":thump"] * 2
            status = await ana.say("and what is posted comes between")
            assert json.loads(next_of(await until(lines, "data: ")))["id"] == status["id"]
        # A browser's EventSource sends no header; only streams take a token in the address.
        query = {"access_token": token_of(ana)}
        async with client.stream("GET", url, params=query) as answer:
            assert answer.status_code == 200
        assert (await client.get(url, params={"access_token": "x"})).status_code == 401
        elsewhere = f"http://{live.address}/api/v1/timelines/home"
        assert (await client.get(elsewhere, params=query)).status_code == 401


async def test_a_token_that_ends_ends_its_streams(live: Live) -> None:
    ana = await live.org.person("ana")
    async with socket(live, token_of(ana), stream="user") as listening:
        [row] = await live.org.read(credentials.tokens, ana.id)
        await live.org.write(accounts.revoke_token, row.id)
        with pytest.raises(websockets.ConnectionClosed):
            await asyncio.wait_for(listening.recv(), SOON)
    ben = await live.org.person("ben")
    async with socket(live, token_of(ben), stream="user") as listening:
        await live.org.write(accounts.suspend, await live.org.by_handle("ben"), "test")
        with pytest.raises(websockets.ConnectionClosed):
            await asyncio.wait_for(listening.recv(), SOON)


async def test_strangers_and_small_scopes_hear_nothing(live: Live) -> None:
    posts_only = await live.org.person("ana", scopes="write")
    for token in ("", "wrong", token_of(posts_only)):
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with websockets.connect(f"ws://{live.address}/api/v1/streaming?stream=user&access_token={token}"):
                pass
        assert refused.value.response.status_code == 403
    assert live.org.server.hub.listening == 0
    ben = await live.org.person("ben")
    async with websockets.connect(f"ws://{live.address}/api/v1/streaming?stream=user&access_token={token_of(ben)}"):
        assert live.org.server.hub.listening == 1
    async with websockets.connect(f"ws://{live.address}/api/v1/streaming", subprotocols=[token_of(ben)]):  # type: ignore[list-item]
        pass


async def test_the_end_of_the_server_ends_streams(live: Live) -> None:
    ana = await live.org.person("ana")
    async with socket(live, token_of(ana), stream="user") as listening:
        live.org.server.end_streams()
        with pytest.raises(websockets.ConnectionClosed):
            await asyncio.wait_for(listening.recv(), SOON)


async def test_a_list_is_heard_by_its_owner_alone_whoever_is_in_it_now(live: Live) -> None:
    ana, ben, cy = [await live.org.person(name) for name in ("ana", "ben", "cy")]
    await ana.follow("ben")
    await ana.follow("cy")
    made = await ana.do("/api/v1/lists", title="Lab", exclusive=True)
    at = f"/api/v1/lists/{made['id']}/accounts"
    await ana.do(at, account_ids=[str(ben.id)])
    async with (
        socket(live, token_of(ana), stream="list", list=made["id"]) as listening,
        socket(live, token_of(ana), stream="user") as home,
    ):
        await cy.say("not in it")
        said = await ben.say("in it", visibility="private")
        stream, kind, payload = await heard(listening)
        assert (stream, kind, payload["id"]) == (["list", made["id"]], "update", said["id"])
        await ana.do(at, account_ids=[str(cy.id)])
        await ana.do(at, 200, "DELETE", account_ids=[str(ben.id)])
        await ben.say("not in it any more")
        later = await cy.say("in it now")
        assert (await heard(listening))[2]["id"] == later["id"]
        await cy.edit(later, "changed")
        assert (await heard(listening))[1] == "status.update"
        await cy.delete(later)
        assert (await heard(listening))[1:] == ("delete", later["id"])
        events = [await heard(home) for _ in range(2)]
        assert [p["content"] for _, _, p in events] == ["<p>not in it</p>", "<p>not in it any more</p>"], "exclusive"
        for text, status in (
            ({"type": "subscribe", "stream": "list"}, 400),
            ({"type": "subscribe", "stream": "list", "list": "x"}, 404),
        ):
            await listening.send(json.dumps(text))
            assert json.loads(await asyncio.wait_for(listening.recv(), SOON))["status"] == status
    for wrong in (f"list={made['id']}", "list=1", "list="):
        url = f"http://{live.address}/api/v1/streaming/list?{wrong}"
        async with httpx.AsyncClient() as client:
            refused = await client.get(url, headers=dict(ben.client.headers))
        assert refused.status_code == (400 if wrong == "list=" else 404), wrong
    with pytest.raises(websockets.exceptions.InvalidStatus):
        async with socket(live, token_of(ben), stream="list", list=made["id"]):
            pass


async def test_posts_with_a_followed_tag_are_heard_at_home(live: Live) -> None:
    ana, ben = await live.org.person("ana"), await live.org.person("ben")
    await ana.do("/api/v1/tags/xray/follow")
    async with socket(live, token_of(ana), stream="user") as home:
        await ben.say("unlisted #xray", visibility="unlisted")
        said = await ben.say("look #xray")
        _, kind, payload = await heard(home)
        assert (kind, payload["id"]) == ("update", said["id"])


async def test_filters_hide_on_the_streams_that_they_are_for(live: Live) -> None:
    ana, ben = await live.org.person("ana"), await live.org.person("ben")
    await ben.follow("ana")
    keywords = [{"keyword": "cat"}]
    async with (
        socket(live, token_of(ben), stream="user") as both,
        socket(live, token_of(ben), stream="public") as public,
    ):
        await both.send(json.dumps({"type": "subscribe", "stream": "public:local"}))
        await both.send(json.dumps({"type": "subscribe", "stream": "nonsense"}))
        assert "error" in json.loads(await asyncio.wait_for(both.recv(), SOON)), "what was asked before is done"
        kept = await ben.do(
            "/api/v2/filters", title="x", context=["home"], filter_action="hide", keywords_attributes=keywords
        )
        assert await heard(both) == (["user"], "filters_changed", None)
        said = await ana.say("a cat")
        stream, kind, payload = await heard(both)
        assert (stream, kind, payload["id"]) == (["public:local"], "update", said["id"])
        assert payload["filtered"][0]["keyword_matches"] == ["cat"] and (await heard(public))[2]["id"] == said["id"]
        await ben.do(f"/api/v2/filters/{kept['id']}", 200, "PUT", context=["home", "public", "notifications"])
        assert (await heard(both))[1] == "filters_changed"
        await ana.say("@ben another cat")
        await ana.say("a dog")
        streams = [await heard(both) for _ in range(2)]
        assert sorted(stream[0] for stream, _, _ in streams) == ["public:local", "user"], (
            "one for each, without the cat"
        )
        assert (
            {payload["content"] for _, _, payload in streams}
            == {"<p>a dog</p>"}
            == {(await heard(public))[2]["content"]}
        )


async def test_conversations_and_merged_requests_are_heard_by_those_in_them(live: Live) -> None:
    ana, ben, cy = [await live.org.person(name) for name in ("ana", "ben", "cy")]
    await ben.do("/api/v2/notifications/policy", 200, "PATCH", for_not_following="filter")
    async with (
        socket(live, token_of(ben), stream="user:notification") as told,
        socket(live, token_of(ben), stream="direct") as direct,
        socket(live, token_of(cy), stream="direct") as other,
    ):
        said = await ana.say("@ben psst", visibility="direct")
        (asked,) = await ben.get("/api/v1/notifications/requests")
        await ben.do(f"/api/v1/notifications/requests/{asked['id']}/accept")
        assert await heard(told) == (["user:notification"], "notifications_merged", None), "and nothing before that"
        stream, kind, payload = await heard(direct)
        assert (stream, kind, payload["last_status"]["id"]) == (["direct"], "conversation", said["id"])
        assert payload["unread"] is True and [a["acct"] for a in payload["accounts"]] == ["ana"]
        again = await ana.say("@ben @cy both", visibility="direct")
        assert (await heard(other))[2]["last_status"]["id"] == again["id"], "what cy is not in was not heard there"
        assert (await heard(direct))[2]["last_status"]["id"] == again["id"]
        assert (await heard(told))[1] == "notification"
    headers = dict(ben.client.headers)
    async with httpx.AsyncClient() as client, asyncio.timeout(SOON):
        asking = client.stream("GET", f"http://{live.address}/api/v1/streaming/direct", headers=headers)
        async with asking as answer:
            lines = answer.aiter_lines()
            assert await anext(lines) == ":)"
            await ben.do(f"/api/v1/conversations/{payload['id']}/read")
            assert [await anext(lines), await anext(lines)] == ["", "event: conversation"]
            assert json.loads((await anext(lines)).removeprefix("data: "))["unread"] is False
