"""Which addresses are public, how names are asked for, and that nothing but two kinds of error comes out."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedishare.egress.addresses import SystemResolver, addresses_of, allowed, is_public
from fedishare.egress.wire import parse_target
from fedishare.gateway import Gateway
from fedishare.model.errors import BadInput, FetchFailed, PolicyRefusal
from fedishare.policy.facts import Purpose
from tests.support.egress import guard_for, partner
from tests.support.internet import PretendInternet

ADDRESSES = st.one_of(
    st.ip_addresses(v=4),
    st.ip_addresses(v=6),
    st.integers(0, 2**32 - 1).map(lambda n: ipaddress.IPv6Address(0x64FF9B << 96 | n)),
    st.integers(0, 2**32 - 1).map(lambda n: ipaddress.IPv6Address(0xFFFF << 32 | n)),
    st.integers(0, 2**112 - 1).map(lambda n: ipaddress.IPv6Address(0x2002 << 112 | n)),
)


@settings(max_examples=300, deadline=None)
@given(ADDRESSES)
def test_public_is_never_wider_than_pythons_own_idea(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if not is_public(address):
        return
    inner = address
    if isinstance(address, ipaddress.IPv6Address) and address in ipaddress.ip_network("64:ff9b::/96"):
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    assert inner.is_global and not inner.is_multicast and not inner.is_private and not inner.is_reserved


@settings(max_examples=200, deadline=None)
@given(ADDRESSES, st.booleans())
def test_loopback_names_get_loopback_and_only_in_development(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, development: bool
) -> None:
    for text in (str(address), "127.0.0.1", "::1"):
        assert not allowed(text, networks=("10.0.0.0/8",), development=False, loopback_name=True)
        if allowed(text, networks=("::/0", "0.0.0.0/0"), development=development, loopback_name=True):
            assert development and ipaddress.ip_address(text).is_loopback
    assert not allowed("10.0.0.1", networks=("nonsense", "10.1.0.0/16"), development=development, loopback_name=False)
    assert allowed("10.1.0.1", networks=("nonsense", "10.1.2.3/16"), development=development, loopback_name=False)


async def test_one_question_for_those_who_ask_at_once_and_a_hanging_one_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    release = threading.Event()

    def getaddrinfo(host: str, *args: object, **kwargs: object) -> list[object]:
        asked.append(host)
        if host == "hangs.example":
            release.wait(10)
        if host == "none.example":
            raise socket.gaierror("nobody")
        if host == "odd.example":
            raise UnicodeError("odd")
        return [(socket.AF_INET, 1, 6, "", ("192.0.2.1", 0)), (socket.AF_INET, 1, 6, "", ("192.0.2.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    resolver = SystemResolver(max_threads=2)
    hanging = [asyncio.ensure_future(resolver("hangs.example")) for _ in range(5)]
    await asyncio.sleep(0)
    for _ in range(3):
        assert await addresses_of("good.example", resolver) == ("192.0.2.1",)
    for host in ("none.example", "odd.example"):
        with pytest.raises(OSError, match=r"nobody|asked"):
            await resolver(host)
    hanging[0].cancel()  # whoever gives up takes nobody else along
    with pytest.raises(asyncio.CancelledError):
        await hanging[0]
    release.set()
    assert [set(found) for found in await asyncio.gather(*hanging[1:])] == [{"192.0.2.1"}] * 4
    assert asked.count("hangs.example") == 1 and asked.count("good.example") == 3
    assert not resolver._asked
    assert await addresses_of("a.localhost", resolver) == ("127.0.0.1", "::1") and "a.localhost" not in asked


URLS = st.one_of(
    st.text(max_size=60),
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from(["https://", "http://", "//", "https:", "HTTPS://", ""]),
        st.sampled_from(
            ["partner.example", "PARTNER.example.", "a@partner.example", "evil.example", "[::1]", "127.1", ""]
        ),
        st.sampled_from(["", ":443", ":80", ":x", "@evil.example", "%00", "\t"]),
        st.text(max_size=30),
    ),
)


@settings(max_examples=300, deadline=None)
@given(URLS)
def test_a_url_is_used_as_it_was_judged(url: str) -> None:
    try:
        target = parse_target(url, development=False)
    except BadInput:
        return
    assert target.url == f"https://{target.host}{target.path}" and target.port == 443
    assert target.url.isascii() and target.path.startswith("/") and not set(target.path) & set(" \r\n\t\x00#")
    assert parse_target(target.url, development=False) == target


@settings(max_examples=200, deadline=None)
@given(URLS, st.dictionaries(st.text(max_size=10), st.text(max_size=10), max_size=3))
def test_nothing_but_refusals_and_failures_comes_out(url: str, headers: dict[str, str]) -> None:
    async def run() -> None:
        internet = PretendInternet()
        internet.add("partner.example")
        internet.answer("partner.example", 302, headers={"Location": url})
        guard = guard_for(partner("partner.example"))
        gateway = Gateway(guard, internet)
        good = "https://partner.example/"
        for start in (url, good):
            with contextlib.suppress(FetchFailed, PolicyRefusal):
                await gateway.get(guard.permit_fetch(good, Purpose.ACTOR), start, accept="*/*")
        assert {sent.host for sent in internet.sent} <= {"partner.example"}
        assert set(internet.dns_lookups) <= {"partner.example"}

    asyncio.run(run())
