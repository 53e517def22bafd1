"""Connections are kept, shared fairly, replaced once when stale, and gone at once when they must be."""

from __future__ import annotations

import asyncio

import pytest

from fedishare.model.errors import FetchFailed, PolicyRefusal
from fedishare.model.ids import Domain
from fedishare.model.partners import PartnerState
from tests.support.egress import OK, RawServer, Rig, Visitor, answering, partner, policy_for, talking

DATE = "Sun, 15 Jun 2025 15:06:40 GMT"


async def test_what_a_delivery_looks_like_on_the_wire() -> None:
    async with talking(server := answering(OK), gateway={"user_agent": "fedishare/9 (+https://us.example/)"}) as rig:
        host = f"peer.localhost:{server.port}"
        signed = {"Host": host, "Date": DATE, "Digest": "SHA-256=x", "Signature": 'keyId="k"', "Content-Type": "a/b"}
        assert (await rig.post(server.url("/in?a=b"), b'{"x": 1}', **signed)).body == b"ok"
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        assert lines[0] == "POST /in?a=b HTTP/1.1" and body == b'{"x": 1}'
        assert lines[1:6] == [f"{name}: {value}" for name, value in signed.items()]
        agent = "user-agent: fedishare/9 (+https://us.example/)"
        assert lines[6:] == [
            agent,
            "accept-encoding: identity",
            "content-length: 8",
        ]

        reply = await rig.get(server.url("/actor#main-key"), accept="application/activity+json")
        assert reply.url == server.url("/actor") and reply.headers == {"content-length": "2"}
        assert server.requests[1].decode().split("\r\n") == [
            "GET /actor HTTP/1.1",
            "accept: application/activity+json",
            agent,
            "accept-encoding: identity",
            f"host: {host}",
            "",
            "",
        ]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"host": "PEER.localhost"},
        {"Date": "a\r\nX: y"},
        {"Date": "a\nb"},
        {"Date": "a\x00"},
        {"Date": "Зима"},
        {"X y": "z"},
        {"X:": "z"},
        {"": "z"},
        {"Content-Length": "0"},
        {"Transfer-Encoding": "chunked"},
        {"Connection": "close"},
        {"Date": "a", "date": "b"},
    ],
)
async def test_no_header_can_change_the_message(headers: dict[str, str]) -> None:
    async with talking(server := answering(OK)) as rig:
        with pytest.raises(PolicyRefusal):
            await rig.post(server.url(), b"{}", **headers)
        assert server.requests == [] and rig.dials == []
        assert (await rig.post(server.url(), b"{}", Date=DATE)).status == 200


async def test_a_connection_is_kept_and_used_again() -> None:
    async with talking(server := answering(OK)) as rig:
        for _ in range(5):
            await rig.post(server.url())
            await rig.get(server.url())
        assert server.connections == 1 and len(server.requests) == 10


async def test_a_stale_connection_is_replaced_once_and_nothing_is_lost() -> None:
    closing = asyncio.Event()

    async def script(visitor: Visitor) -> None:
        await visitor.request()
        await visitor.say(OK)
        await closing.wait()
        if server.connections == 1:  # reads the next request and hangs up without a word
            await visitor.request()
            return
        while await visitor.request() is not None:
            await visitor.say(OK)

    async with talking(server := RawServer(script)) as rig:
        assert (await rig.post(server.url(), b"1")).status == 200
        closing.set()
        assert (await rig.post(server.url(), b"2")).status == 200
        assert [r[-1:] for r in server.requests] == [b"1", b"2", b"2"] and server.connections == 2


async def test_a_fresh_connection_that_closes_silently_is_the_peers_fault() -> None:
    async def script(visitor: Visitor) -> None:
        await visitor.request()

    async with talking(server := RawServer(script)) as rig:
        with pytest.raises(FetchFailed, match="without an answer") as caught:
            await rig.post(server.url())
        assert caught.value.http_status is None and server.connections == 1 and rig.transport._count == 0


async def test_half_an_answer_is_not_asked_for_again() -> None:
    async def script(visitor: Visitor) -> None:
        await visitor.request()
        await visitor.say(OK)
        await visitor.request()
        await visitor.say(b"HTTP/1.1 2")

    async with talking(server := RawServer(script)) as rig:
        await rig.post(server.url())
        with pytest.raises(FetchFailed, match="middle"):
            await rig.post(server.url())
        assert len(server.requests) == 2


async def test_bytes_while_idle_end_a_connection() -> None:
    spoken = asyncio.Event()

    async def script(visitor: Visitor) -> None:
        await visitor.request()
        await visitor.say(OK)
        if server.connections == 1:
            await spoken.wait()
            await visitor.say(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nforge")
            await visitor.gone()
            gone.set()
        else:
            await visitor.gone()

    gone = asyncio.Event()
    async with talking(server := RawServer(script)) as rig:
        await rig.get(server.url())
        spoken.set()
        await gone.wait()
        assert rig.transport._count == 0
        assert (await rig.get(server.url())).body == b"ok" and server.connections == 2


@pytest.mark.spec("R49")
async def test_four_in_flight_to_a_host_and_others_are_not_held_up() -> None:
    full, release = asyncio.Event(), asyncio.Event()
    waiting = 0

    async def slow(visitor: Visitor) -> None:
        nonlocal waiting
        while await visitor.request() is not None:
            waiting += 1
            if waiting == 4:
                full.set()
            await release.wait()
            await visitor.say(OK)

    slow_server, quick_server = RawServer(slow), answering(OK)
    async with slow_server.running(), quick_server.running():
        rig = Rig(slow_server.partner, quick_server.partner, development=True)
        calls = [asyncio.ensure_future(rig.post(slow_server.url())) for _ in range(10)]
        await full.wait()
        for _ in range(20):
            assert (await rig.post(quick_server.url())).status == 200
        assert waiting == 4 and slow_server.connections == 4
        release.set()
        assert [reply.status for reply in await asyncio.gather(*calls)] == [200] * 10
        assert slow_server.connections == 4 and waiting == 10
        await rig.gateway.close()
        assert rig.transport._count == 0


async def test_connections_in_all_are_bounded_by_closing_the_longest_unused() -> None:
    servers = [answering(OK) for _ in range(4)]
    async with servers[0].running(), servers[1].running(), servers[2].running(), servers[3].running():
        rig = Rig(*(s.partner for s in servers), development=True, max_connections=2)
        for server in servers:
            await rig.get(server.url())
            assert rig.transport._count <= 2
        assert [s.connections for s in servers] == [1, 1, 1, 1]
        await rig.get(servers[3].url())
        await rig.get(servers[2].url())
        await rig.get(servers[0].url())
        assert [s.connections for s in servers] == [2, 1, 1, 1]
        replies = await asyncio.gather(*(rig.get(server.url()) for server in servers * 5))
        assert all(reply.status == 200 for reply in replies) and rig.transport._count <= 2
        await rig.gateway.close()


async def test_an_unused_connection_is_closed_after_a_while() -> None:
    gone = asyncio.Event()

    async def script(visitor: Visitor) -> None:
        while await visitor.request() is not None:
            await visitor.say(OK)
        gone.set()

    async with talking(server := RawServer(script), idle_seconds=0.05) as rig:
        await rig.get(server.url())
        assert rig.transport._count == 1
        await gone.wait()
        assert rig.transport._count == 0 and not rig.transport._kept
        rig.transport._sweep_idle()
        assert not rig.transport._hosts  # nothing is remembered of a host that nobody talks to
        assert (await rig.get(server.url())).status == 200


async def test_another_policy_means_other_connections() -> None:
    async with talking(server := answering(OK)) as rig:
        await rig.get(server.url())
        rig.guard.replace(policy_for(server.partner, development=True, revision=2))
        await rig.get(server.url())
        await rig.get(server.url())
        assert server.connections == 2 and rig.transport._count == 1


async def test_drop_ends_what_is_under_way() -> None:
    asked = asyncio.Event()

    async def script(visitor: Visitor) -> None:
        await visitor.request()
        asked.set()
        await visitor.gone()

    other = answering(OK)
    async with other.running(), talking(server := RawServer(script)) as rig:
        call = asyncio.ensure_future(rig.post(server.url()))
        await asked.wait()
        rig.gateway.drop(Domain("other.example"))
        await asyncio.sleep(0)
        assert not call.done()
        rig.gateway.drop(server.partner.domain)
        with pytest.raises(FetchFailed):
            await call
        assert rig.transport._count == 0


async def test_a_partner_paused_while_a_delivery_waits_gets_nothing() -> None:
    release, full = asyncio.Event(), asyncio.Event()

    async def script(visitor: Visitor) -> None:
        while await visitor.request() is not None:
            full.set()
            await release.wait()
            await visitor.say(OK)

    async with talking(server := RawServer(script), per_host=1) as rig:
        first, second = (asyncio.ensure_future(rig.post(server.url())) for _ in range(2))
        await full.wait()
        paused = partner(server.partner.domain)
        object.__setattr__(paused, "state", PartnerState.PAUSED)
        rig.guard.replace(policy_for(paused, development=True, revision=2))
        release.set()
        assert (await first).status == 200
        with pytest.raises(PolicyRefusal):
            await second
        assert len(server.requests) == 1 and len(rig.dials) == 1


async def test_a_cancelled_call_leaves_no_connection_behind() -> None:
    asked = asyncio.Event()

    async def script(visitor: Visitor) -> None:
        await visitor.request()
        asked.set()
        await visitor.gone()

    async with talking(server := RawServer(script), per_host=1) as rig:
        call = asyncio.ensure_future(rig.get(server.url()))
        await asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert rig.transport._count == 0
        asked.clear()
        second = asyncio.ensure_future(rig.get(server.url()))  # the slot is free again
        await asked.wait()
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)


async def test_after_close_nothing_is_sent() -> None:
    async with talking(server := answering(OK)) as rig:
        await rig.get(server.url())
        await rig.gateway.close()
        with pytest.raises(PolicyRefusal):
            await rig.get(server.url())
        assert server.connections == 1 and len(server.requests) == 1


async def test_nobody_there_is_a_failure_without_a_status() -> None:
    server = answering(OK)
    async with server.running():
        url, peer = server.url(), server.partner
    rig = Rig(peer, partner("gone.example"), development=True)
    for place in (url, "https://gone.example/"):
        with pytest.raises(FetchFailed) as caught:
            await rig.get(place)
        assert caught.value.http_status is None
    assert rig.dials == [("127.0.0.1", server.port), ("::1", server.port)] and rig.transport._count == 0
    await rig.gateway.close()
