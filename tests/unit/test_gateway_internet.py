"""The pretend internet stands in for the real transport: same seam, same refusals, every request on record."""

from __future__ import annotations

import asyncio
import json

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fedishare.gateway import Gateway
from fedishare.model.errors import FetchFailed, PolicyRefusal
from fedishare.policy.facts import DeliveryFacts, Purpose
from tests.support.egress import guard_for, partner
from tests.support.internet import PretendInternet

LAB = "lab.example"
INBOX = f"https://{LAB}/inbox"
FOLLOW = DeliveryFacts("Follow")


async def echo(request: Request) -> Response:
    body = (await request.body()).decode()
    return JSONResponse({"url": str(request.url), "host": request.headers["host"], "body": body}, status_code=202)


app = Starlette(routes=[Route("/inbox", echo, methods=["POST"]), Route("/s/{name}", echo)])


async def test_requests_arrive_at_the_hosts_app_and_are_on_record() -> None:
    internet = PretendInternet()
    internet.add(LAB, app)
    guard = guard_for(partner(LAB), partner("down.example"), partner("nowhere.example"))
    gateway = Gateway(guard, internet)
    permit = guard.permit_deliver(INBOX, FOLLOW)
    reply = await gateway.post(permit, INBOX, b'{"a": 1}', {"Host": LAB, "Signature": "s"})
    assert reply.status == 202
    assert json.loads(reply.body) == {"url": INBOX, "host": LAB, "body": '{"a": 1}'}
    reading = guard.permit_fetch(f"https://{LAB}/s/x", Purpose.OBJECT)
    reply = await gateway.get(reading, f"https://{LAB}/s/%C3%BC?q=1", accept="a/b")
    assert json.loads(reply.body)["url"] == f"https://{LAB}/s/ü?q=1"
    first, second = internet.sent
    assert (first.method, first.url, first.body, first.permit) == ("POST", INBOX, b'{"a": 1}', permit)
    assert first.headers["Signature"] == "s" and second.headers["accept"] == "a/b" and second.path == "/s/%C3%BC?q=1"
    assert internet.to(LAB, "GET") == [second] and internet.dns_lookups == [LAB, LAB]

    internet.down("down.example")
    for host in ("down.example", "nowhere.example"):
        with pytest.raises(FetchFailed) as caught:
            await gateway.get(guard.permit_fetch(f"https://{host}/", Purpose.ACTOR), f"https://{host}/", accept="a/b")
        assert caught.value.http_status is None
    assert len(internet.sent) == 2 and internet.dns_lookups[2:] == ["down.example", "nowhere.example"]
    with pytest.raises(PolicyRefusal):
        await gateway.get(reading, "https://nowhere.example/", accept="a/b")
    assert len(internet.dns_lookups) == 4


async def test_a_host_can_be_broken_and_healed() -> None:
    internet = PretendInternet()
    internet.add(LAB, app)
    guard = guard_for(partner(LAB))
    gateway = Gateway(guard, internet, deadline=0.1)
    permit = guard.permit_deliver(INBOX, FOLLOW)

    async def post() -> int:
        return (await gateway.post(permit, INBOX, b"{}", {})).status

    internet.answer(LAB, 503, headers={"Retry-After": "7"}, times=2)
    assert [await post() for _ in range(3)] == [503, 503, 202]
    internet.answer(LAB, 410)
    assert [await post(), await post()] == [410, 410]
    internet.heal(LAB)
    internet.resets(LAB)
    with pytest.raises(FetchFailed):
        await post()
    internet.heal(LAB)
    internet.slow(LAB, 5)
    with pytest.raises(FetchFailed, match="within"):
        await post()
    internet.heal(LAB)
    gate = internet.hold(LAB)
    calls = [asyncio.ensure_future(post()) for _ in range(3)]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*calls) == [202, 202, 202] and internet.peak[LAB] == 3
    internet.answer(LAB, 200, b"x" * 2000)
    reading = guard.permit_fetch(INBOX, Purpose.OBJECT)
    with pytest.raises(FetchFailed):
        await gateway.get(reading, INBOX, accept="a/b", max_bytes=1000)
    internet.remove(LAB)
    with pytest.raises(FetchFailed):
        await post()
