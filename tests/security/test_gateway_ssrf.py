"""Nobody can make this server connect, or even look up a name, outside of what the guard has permitted."""

from __future__ import annotations

import asyncio
import copy
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fedishare.gateway import wire_url
from fedishare.model.errors import BadInput, FetchFailed, PolicyRefusal
from tests.support.certs import Authority
from tests.support.egress import OK, PUBLIC, RawServer, Rig, Visitor, answering, partner, policy_for

HOST = "partner.example"
GOOD = f"https://{HOST}/actor"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def server() -> RawServer:
    return answering(OK)


@pytest.fixture
async def rig(authority: Authority, server: RawServer) -> AsyncIterator[Rig]:
    """Production: https on 443, with one partner whose name resolves to a public address."""
    leaf = authority.leaf(HOST, "10.example", "xn--mnchen-3ya.example")
    async with server.running(leaf.server()):
        made = Rig(
            partner(HOST),
            partner("10.example", networks=("10.9.0.0/16", "fd00:9::/32")),
            partner("everything.example", networks=("0.0.0.0/0", "::/0")),
            partner("xn--mnchen-3ya.example"),
            partner("name.localhost"),
            port=server.port,
            dns={HOST: [PUBLIC], "evil.example": [PUBLIC], "xn--mnchen-3ya.example": [PUBLIC]},
            ca_bundle=str(authority.path),
            gateway={"deadline": 5.0},
        )
        yield made
        await made.gateway.close()


def nothing_left(rig: Rig) -> bool:
    return rig.lookups == [] and rig.dials == []


OTHER_PLACES = [
    "https://evil.example/",
    "https://partner.example.evil.example/",
    "https://evil-partner.example/",
    "https://sub.partner.example/",
    "https://partner.example@evil.example/",
    "https://partner.example:443@evil.example/",
    "https://evil.example@partner.example/",
    "https://user:secret@partner.example/",
    "https://@partner.example/",
    "https://partner.example:8443/",
    "https://partner.example:80/",
    "https://partner.example:99999/",
    "https://partner.example:-1/",
    "https://partner.example\\@evil.example/",
    "https://partner.example\t.evil.example/",
    "https://partner.example%2f.evil.example/",
    "https://partner.example%00.evil.example/",
    "https://partner.example\x00/",
    "https://partner.example /",
    "https://partner.example..",
    "https://pаrtner.example/",  # a Cyrillic letter
    "http://partner.example/",
    "HTTP://partner.example/",
    "ftp://partner.example/",
    "file:///etc/passwd",
    "gopher://partner.example/",
    "//partner.example/",
    "partner.example/",
    "",
    "https:///actor",
    "https://",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://127.0.0.0x1/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[fe80::1%25eth0]/",
    "https://①②⑦.⓪.⓪.①/",
    "https://169.254.169.254/latest/meta-data",
    "https://localhost/",
    "https://0/",
]


@pytest.mark.spec("R37")
async def test_no_url_leads_anywhere_but_to_the_permitted_host(rig: Rig, server: RawServer) -> None:
    permit = rig.fetch(GOOD)
    delivery = rig.deliver(GOOD)
    for url in OTHER_PLACES:
        with pytest.raises(PolicyRefusal):
            await rig.gateway.get(permit, url, accept="*/*")
        with pytest.raises(PolicyRefusal):
            await rig.gateway.post(delivery, url, b"{}", {})
        # The transport refuses by itself too, should somebody call it past the gateway.
        with pytest.raises((PolicyRefusal, FetchFailed)):
            await rig.transport.send("GET", url, {}, None, permit=permit, limits=rig.gateway._limits)
    assert nothing_left(rig)
    assert (await rig.gateway.get(permit, GOOD, accept="*/*")).body == b"ok"
    assert rig.lookups == [HOST] and rig.dials == [(PUBLIC, 443)] and server.connections == 1


async def test_spellings_of_the_same_host_are_one_host(rig: Rig, server: RawServer) -> None:
    permit = rig.fetch(GOOD)
    for url in ("https://PARTNER.Example/actor", "https://partner.example./actor", "https://partner.example:443/actor"):
        assert (await rig.gateway.get(permit, url, accept="*/*")).url == GOOD
    assert all(b"host: partner.example\r\n" in request.lower() for request in server.requests)
    reply = await rig.get("https://MÜNCHEN.example/straße?q=ü#here")
    assert reply.url == "https://xn--mnchen-3ya.example/stra%C3%9Fe?q=%C3%BC"
    assert rig.lookups == [HOST, "xn--mnchen-3ya.example"]
    assert wire_url("https://partner.example") == "https://partner.example/"
    with pytest.raises(BadInput):
        wire_url("https://partner.example/\ud800")


class LooksLikeAPermit:
    """Has the fields, and says what one wants to hear."""

    def __init__(self, like: Any) -> None:
        self.__dict__.update({name: getattr(like, name) for name in like.__slots__})


async def test_without_a_permit_that_holds_nothing_is_looked_up(rig: Rig) -> None:
    permit, delivery = rig.fetch(GOOD), rig.deliver(GOOD)
    for fake in (None, "permit", object(), LooksLikeAPermit(permit)):
        with pytest.raises(PolicyRefusal):
            await rig.gateway.get(fake, GOOD, accept="*/*")  # type: ignore[arg-type]
        with pytest.raises(PolicyRefusal):
            await rig.gateway.post(fake, GOOD, b"", {})  # type: ignore[arg-type]
    with pytest.raises(PolicyRefusal):  # a permit is for one purpose
        await rig.gateway.post(permit, GOOD, b"", {})
    with pytest.raises(PolicyRefusal):
        await rig.gateway.get(delivery, GOOD, accept="*/*")
    rig.clock.now += 61_000  # type: ignore[assignment]
    with pytest.raises(PolicyRefusal):  # it is over after a minute
        await rig.gateway.get(permit, GOOD, accept="*/*")
    fresh = rig.fetch(GOOD)
    rig.guard.replace(policy_for(partner("other.example"), revision=2))
    with pytest.raises(PolicyRefusal):  # and at once when the partner has gone
        await rig.gateway.get(copy.copy(fresh), GOOD, accept="*/*")
    with pytest.raises(PolicyRefusal):
        await rig.transport.send("GET", GOOD, {}, None, permit=fresh, limits=rig.gateway._limits)
    with pytest.raises(PolicyRefusal):
        rig.fetch(GOOD)
    assert nothing_left(rig)


PRIVATE = [
    ["127.0.0.1"],
    ["127.8.8.8"],
    ["0.0.0.0"],
    ["0.1.2.3"],
    ["10.0.0.1"],
    ["100.64.0.1"],
    ["169.254.169.254"],
    ["172.16.0.1"],
    ["192.168.1.1"],
    ["192.0.0.8"],
    ["192.0.2.1"],
    ["192.88.99.1"],
    ["198.18.0.1"],
    ["198.51.100.1"],
    ["203.0.113.1"],
    ["224.0.0.1"],
    ["240.0.0.1"],
    ["255.255.255.255"],
    ["::"],
    ["::1"],
    ["::127.0.0.1"],
    ["::ffff:127.0.0.1"],
    ["::ffff:8.8.8.8"],
    ["64:ff9b::10.0.0.1"],
    ["64:ff9b:1::10.0.0.1"],
    ["100::1"],
    ["2001::1"],
    ["2001:db8::1"],
    ["2002:a00:1::1"],
    ["3fff::1"],
    ["5f00::1"],
    ["fc00::1"],
    ["fd00::1"],
    ["fe80::1"],
    ["fe80::1%lo"],
    ["2606:2800:21f:cb07:6820:80da:af6b:8b2c%lo"],
    ["fec0::1"],
    ["ff02::1"],
    ["not an address"],
    ["2130706433"],
    [PUBLIC, "10.0.0.1"],
    ["10.0.0.1", PUBLIC],
    [PUBLIC, "2606:2800:21f::1", "::1"],
    [],
]


@pytest.mark.spec("R37")
async def test_one_address_that_is_not_public_spoils_the_name(rig: Rig, server: RawServer) -> None:
    for addresses in PRIVATE:
        rig.dns[HOST] = addresses
        with pytest.raises(FetchFailed) as caught:
            await rig.get(GOOD)
        assert caught.value.http_status is None
        with pytest.raises(FetchFailed):
            await rig.post(GOOD)
    assert rig.dials == [] and server.connections == 0
    for addresses in ([PUBLIC], ["2606:2800:21f:cb07:6820:80da:af6b:8b2c"], ["64:ff9b::808:808"], [PUBLIC, PUBLIC]):
        rig.dns[HOST] = addresses
        assert (await rig.get(GOOD)).status == 200
        rig.transport.drop(rig.fetch(GOOD).host)
    assert rig.dials[0] == (PUBLIC, 443) and len(rig.dials) == 4


async def test_a_partners_own_networks_are_its_own(rig: Rig) -> None:
    url = "https://10.example/actor"
    for inside in (["10.9.8.7"], ["10.9.8.7", PUBLIC]):
        rig.dns["10.example"] = inside
        assert (await rig.get(url)).status == 200
        rig.transport.drop(rig.fetch(url).host)
    count = len(rig.dials)
    for outside in (["10.8.0.1"], ["10.9.0.1", "10.8.0.1"], ["::ffff:10.9.0.1"], ["fd00:8::1"]):
        rig.dns["10.example"] = outside
        with pytest.raises(FetchFailed):
            await rig.get(url)
    rig.dns[HOST] = ["10.9.8.7"]  # listed, but by another partner
    with pytest.raises(FetchFailed):
        await rig.get(GOOD)
    # However wide somebody writes them: never the metadata service, multicast, or this machine.
    nobodys = ("169.254.169.254", "fe80::1", "224.0.0.1", "ff02::1", "0.0.0.0", "::", "127.0.0.1", "::1", "255.1.1.1")
    for never in nobodys:
        rig.dns["everything.example"] = [never]
        with pytest.raises(FetchFailed):
            await rig.get("https://everything.example/")
    assert len(rig.dials) == count


async def test_the_judged_address_is_the_one_connected_to(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([[PUBLIC], ["127.0.0.1"]])  # a rebinding name server

    async def rebinding(host: str) -> list[str]:
        rig.lookups.append(host)
        return next(answers)

    def boom(*args: object, **kwargs: object) -> None:
        raise AssertionError("a second look-up")

    monkeypatch.setattr(rig, "_resolve", rebinding)
    object.__setattr__(rig.transport._dialler, "resolve", rebinding)
    monkeypatch.setattr(socket, "getaddrinfo", boom)
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", boom)
    for _ in range(3):
        assert (await rig.get(GOOD)).status == 200
    assert rig.lookups == [HOST] and rig.dials == [(PUBLIC, 443)]
    rig.transport.drop(rig.fetch(GOOD).host)
    with pytest.raises(FetchFailed):
        await rig.get(GOOD)
    assert rig.dials == [(PUBLIC, 443)]


def redirect(location: str, status: int = 302) -> bytes:
    return f"HTTP/1.1 {status} Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


@pytest.mark.spec("R37", "R38")
async def test_redirects_stay_on_the_host_and_end(authority: Authority) -> None:
    async def script(visitor: Visitor) -> None:
        while (request := await visitor.request()) is not None:
            path = request.split(b" ")[1].decode()
            if path.startswith("/chain"):
                left = int(path.removeprefix("/chain"))
                await visitor.say(redirect(f"chain{left - 1}", (301, 302, 303, 307, 308)[left % 5]) if left else OK)
            elif path.startswith("/to?"):
                await visitor.say(redirect(path.removeprefix("/to?")))
            else:
                await visitor.say(OK)

    signed: list[tuple[str, str, bytes | None]] = []

    async def sign(method: str, url: str, body: bytes | None) -> dict[str, str]:
        signed.append((method, url, body))
        return {"Signature": f"for {url}"}

    server = RawServer(script)
    async with server.running(authority.leaf(HOST).server()):
        rig = Rig(
            partner(HOST),
            partner("evil.example"),
            port=server.port,
            dns={HOST: [PUBLIC], "evil.example": [PUBLIC]},
            ca_bundle=str(authority.path),
        )
        reply = await rig.get(f"https://{HOST}/chain3", sign=sign)
        assert (reply.body, reply.url) == (b"ok", f"https://{HOST}/chain0")
        assert [url for _, url, _ in signed] == [f"https://{HOST}/chain{n}" for n in (3, 2, 1, 0)]
        assert [b"for https://partner.example" + r.split(b" ")[1] in r for r in server.requests] == [True] * 4

        with pytest.raises(FetchFailed) as caught:
            await rig.get(f"https://{HOST}/chain4")
        assert caught.value.http_status in (301, 302, 303, 307, 308) and len(server.requests) == 8

        for place in [
            "https://evil.example/",  # a partner too, but not the one that was asked
            "//evil.example/",
            "http://partner.example/actor",
            "https://partner.example:8443/",
            "https://10.0.0.1/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://partner.example@evil.example/",
            "file:///etc/passwd",
            "https://[oops/",
            "javascript:alert(1)",
        ]:
            with pytest.raises(FetchFailed):
                await rig.get(f"https://{HOST}/to?{place}")
        assert set(rig.lookups) == {HOST} and set(rig.dials) == {(PUBLIC, 443)}

        before = len(server.requests)
        reply = await rig.post(f"https://{HOST}/chain1")
        assert reply.status == 302 and len(server.requests) == before + 1
        assert (await rig.get(f"https://{HOST}/to?{GOOD}")).body == b"ok"
        await rig.gateway.close()


async def test_the_permit_is_judged_at_each_redirect_and_right_before_sending(authority: Authority) -> None:
    ours = Rig(partner(HOST), dns={HOST: [PUBLIC]}, ca_bundle=str(authority.path))

    async def script(visitor: Visitor) -> None:
        while await visitor.request() is not None:
            ours.guard.replace(policy_for(partner("other.example"), revision=2))  # the partner is ended meanwhile
            await visitor.say(redirect("/next"))

    server = RawServer(script)
    async with server.running(authority.leaf(HOST).server()):
        ours.port = server.port
        signed: list[str] = []

        def sign(method: str, url: str, body: bytes | None) -> dict[str, str]:
            signed.append(url)
            return {}

        with pytest.raises(PolicyRefusal):
            await ours.get(GOOD, sign=sign)
        assert signed == [GOOD] and len(server.requests) == 1

        def ending(method: str, url: str, body: bytes | None) -> dict[str, str]:
            ours.guard.replace(policy_for(partner("other.example"), revision=4))
            return {}

        ours.guard.replace(policy_for(partner(HOST), revision=3))
        count = len(ours.dials)
        with pytest.raises(PolicyRefusal):
            await ours.get(GOOD, sign=ending)
        assert len(server.requests) == 1 and len(ours.dials) == count
        await ours.gateway.close()


async def test_a_partner_that_is_ended_during_the_look_up_gets_no_request(rig: Rig, server: RawServer) -> None:
    async def ending(host: str) -> list[str]:
        rig.guard.replace(policy_for(partner("other.example"), revision=2))
        return [PUBLIC]

    assert (await rig.get(GOOD)).status == 200
    rig.gateway.drop(rig.fetch(GOOD).host)
    object.__setattr__(rig.transport._dialler, "resolve", ending)
    with pytest.raises(PolicyRefusal):
        await rig.post(GOOD)
    assert len(server.requests) == 1 and rig.transport._count == 0


async def test_what_is_signed_is_what_is_asked(rig: Rig, server: RawServer) -> None:
    for host in ("evil.example", "PARTNER.example", "partner.example:443"):
        with pytest.raises(PolicyRefusal):
            await rig.get(GOOD, sign=lambda *_, host=host: {"Host": host})
    assert nothing_left(rig)
    assert (await rig.get(GOOD, sign=lambda *_: {"Host": HOST})).status == 200


async def test_loopback_is_for_development_and_loopback_names_only(server: RawServer) -> None:
    async with server.running():
        port = server.port
        rig = Rig(
            partner(f"peer.localhost:{port}"),
            partner(f"127.0.0.1:{port}"),
            partner(HOST),
            development=True,
            dns={HOST: ["127.0.0.1"], "peer.localhost": ["10.0.0.1"]},
        )
        assert (await rig.get(f"http://peer.localhost:{port}/")).status == 200
        assert (await rig.get(f"http://127.0.0.1:{port}/")).status == 200
        assert rig.lookups == []  # RFC 6761, 6.3: not a question for DNS
        with pytest.raises(FetchFailed):
            await rig.get(f"https://{HOST}/")
        with pytest.raises(PolicyRefusal):
            rig.fetch(f"http://{HOST}/")
        rig.dns[HOST] = [PUBLIC]
        with pytest.raises(FetchFailed, match="plain http"):  # nor with the permit of the https address
            permit = rig.fetch(f"https://{HOST}/")
            await rig.transport.send("GET", f"http://{HOST}/", {}, None, permit=permit, limits=rig.gateway._limits)
        assert {address for address, _ in rig.dials} == {"127.0.0.1"} and set(rig.lookups) == {HOST}
        await rig.gateway.close()


async def test_production_never_goes_to_this_machine(rig: Rig, server: RawServer) -> None:
    rig.dns["name.localhost"] = ["127.0.0.1"]
    with pytest.raises(FetchFailed):
        await rig.get("https://name.localhost/")
    assert nothing_left(rig) and server.connections == 0


async def test_no_proxy_comes_from_the_environment(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert (await rig.get(GOOD)).status == 200
    assert rig.dials == [(PUBLIC, 443)]
