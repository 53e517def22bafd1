"""TLS by name, own authorities, pinned keys, client certificates, and the proxy from the configuration."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime
import hashlib
import os
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from fedishare.egress.tls import TlsContexts, spki_pin
from fedishare.gateway import Proxy
from fedishare.model.errors import BadInput, FetchFailed
from fedishare.model.partners import Terms
from tests.support.certs import Authority
from tests.support.egress import OK, PUBLIC, RawServer, Rig, Visitor, answering, partner

HOST = "partner.example"
URL = f"https://{HOST}/actor"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@contextlib.asynccontextmanager
async def served(
    tls: ssl.SSLContext, *partners: Any, server: RawServer | None = None, **options: Any
) -> AsyncIterator[tuple[RawServer, Rig]]:
    """A TLS server that partners' public addresses lead to."""
    server = server or answering(OK)
    async with server.running(tls):
        rig = Rig(*partners, port=server.port, dns={p.domain: [PUBLIC] for p in partners}, **options)
        try:
            yield server, rig
        finally:
            await rig.gateway.close()


async def test_only_a_certificate_for_this_name_counts(authority: Authority, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "a stranger")
    bad = {
        "another name": authority.leaf("other.example"),
        "an address": authority.leaf(PUBLIC),
        "sub-domain only": authority.leaf("sub.partner.example"),
        "common name only": authority.leaf("other.example", common_name=HOST),
        "expired": authority.leaf(HOST, days=-1),
        "signed by itself": authority.leaf(HOST, self_signed=True),
        "signed by a stranger": stranger.leaf(HOST),
    }
    for name, leaf in bad.items():
        async with served(leaf.server(), partner(HOST), ca_bundle=str(authority.path)) as (server, rig):
            with pytest.raises(FetchFailed, match="TLS with") as caught:
                await rig.get(URL)
            assert caught.value.http_status is None and server.requests == [], name
            assert rig.transport._count == 0
    async with served(authority.leaf(HOST).server(), partner(HOST), ca_bundle=str(authority.path)) as (server, rig):
        assert (await rig.get(URL)).body == b"ok"
    async with served(authority.leaf(HOST).server(), partner(HOST)) as (server, rig):  # the system's authorities
        with pytest.raises(FetchFailed, match="TLS with"):
            await rig.get(URL)


def test_what_every_connection_demands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    context = TlsContexts().of(Terms())
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname
    assert not context.hostname_checks_common_name and context.keylog_filename is None


async def test_a_partners_own_authority_is_for_that_partner_alone(authority: Authority, tmp_path: Path) -> None:
    leaf = authority.leaf(HOST, "second.example")
    general = Authority(tmp_path, "general")
    mine = partner(HOST, ca_bundle=str(authority.path))
    async with served(leaf.server(), mine, partner("second.example"), ca_bundle=str(general.path)) as (_, rig):
        assert (await rig.get(URL)).status == 200
        with pytest.raises(FetchFailed, match="TLS with"):
            await rig.get("https://second.example/")
    async with served(general.leaf(HOST).server(), mine, ca_bundle=str(general.path)) as (_, rig):
        with pytest.raises(FetchFailed, match="TLS with"):  # it replaces the general one
            await rig.get(URL)


async def test_a_pinned_key_is_compared_before_anything_is_sent(authority: Authority) -> None:
    leaf, other = authority.leaf(HOST), authority.leaf(HOST)
    assert leaf.pin != other.pin
    for pin, good in ((leaf.pin, True), (other.pin, False), ("sha256/", False), ("nonsense", False), ("", False)):
        pinned = partner(HOST, pinned_key=pin)
        async with served(leaf.server(), pinned, ca_bundle=str(authority.path)) as (server, rig):
            if good:
                assert (await rig.post(URL)).status == 200
            else:
                with pytest.raises(FetchFailed, match="pin"):
                    await rig.post(URL)
                assert server.requests == [] and rig.transport._count == 0


def test_the_pin_is_of_the_public_key_whatever_its_kind() -> None:
    rsa_key, ed_key = rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()
    for key, algorithm in ((rsa_key, hashes.SHA256()), (ed_key, None)):
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(x509.Name([]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + datetime.timedelta(days=1))
            .sign(key, algorithm)
            .public_bytes(serialization.Encoding.DER)
        )
        spki = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        assert spki_pin(certificate) == "sha256/" + base64.b64encode(hashlib.sha256(spki).digest()).decode()
        for cut in range(0, len(certificate), 7):
            with pytest.raises(ValueError, match=r"certificate|SubjectPublicKeyInfo"):
                spki_pin(certificate[:cut])


async def test_a_client_certificate_is_shown_to_its_partner(authority: Authority) -> None:
    asking = authority.leaf(HOST).server()
    asking.verify_mode = ssl.CERT_REQUIRED
    asking.load_verify_locations(cafile=authority.path)
    with_cert = partner(HOST, client_cert=str(authority.leaf("us.example").path))
    async with served(asking, with_cert, ca_bundle=str(authority.path)) as (server, rig):
        assert (await rig.get(URL)).status == 200
    async with served(asking, partner(HOST), ca_bundle=str(authority.path)) as (server, rig):
        with pytest.raises(FetchFailed):
            await rig.get(URL)
        assert server.requests == []


async def test_unusable_files_are_told_and_renewed_ones_are_read(authority: Authority, tmp_path: Path) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("no certificate")
    for bad in (partner(HOST, ca_bundle=str(tmp_path / "missing.pem")), partner(HOST, client_cert=str(junk))):
        async with served(authority.leaf(HOST).server(), bad) as (_, rig):
            with pytest.raises(FetchFailed, match=r"ca_bundle|client_cert"):
                await rig.get(URL)
            assert rig.dials == []
    contexts = TlsContexts(str(authority.path))
    first = contexts.of(Terms())
    assert contexts.of(Terms()) is first
    os.utime(authority.path, ns=(0, 0))
    assert contexts.of(Terms()) is not first


# --- the proxy


def proxy(target: RawServer, answer: bytes = b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n") -> RawServer:
    """An HTTP proxy that leads every CONNECT to one server."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def script(visitor: Visitor) -> None:
        await visitor.request()
        await visitor.say(answer)
        if not answer.endswith(b"\r\n\r\n"):
            return
        reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
        await asyncio.gather(pump(visitor.reader, writer), pump(reader, visitor.writer))

    return RawServer(script)


async def test_a_proxy_is_asked_with_connect_and_tls_goes_through_it(authority: Authority) -> None:
    target = answering(OK)
    between = proxy(target)
    async with target.running(authority.leaf(HOST).server()), between.running():
        settings = Proxy.parse(f"http://us:s%20cret@proxy.corp:{between.port}/")
        rig = Rig(partner(HOST), port=between.port, proxy=settings, ca_bundle=str(authority.path))
        for _ in range(3):
            assert (await rig.get(URL)).body == b"ok"
        assert rig.lookups == [] and rig.dials == [("proxy.corp", between.port)]  # the proxy resolves
        assert between.requests == [
            b"CONNECT partner.example:443 HTTP/1.1\r\nHost: partner.example:443\r\n"
            b"Proxy-Authorization: Basic dXM6cyBjcmV0\r\n\r\n"
        ]
        assert len(target.requests) == 3 and b"authorization" not in target.requests[0].lower()
        await rig.gateway.close()
    wrong = answering(OK)
    async with wrong.running(authority.leaf("evil.example").server()), (lying := proxy(wrong)).running():
        rig = Rig(partner(HOST), port=lying.port, proxy=Proxy("proxy.corp", 3128), ca_bundle=str(authority.path))
        with pytest.raises(FetchFailed, match="TLS with"):
            await rig.get(URL)
        assert wrong.requests == [] and rig.transport._count == 0
        await rig.gateway.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 " + b"x" * 9000,
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 ",
        b"",
    ],
)
async def test_a_proxy_that_does_not_connect(authority: Authority, answer: bytes) -> None:
    target = answering(OK)
    async with target.running(authority.leaf(HOST).server()), (between := proxy(target, answer)).running():
        rig = Rig(
            partner(HOST),
            port=between.port,
            proxy=Proxy("proxy.corp", 1),
            ca_bundle=str(authority.path),
            gateway={"deadline": 5.0},
        )
        with pytest.raises(FetchFailed, match="proxy") as caught:
            await rig.get(URL)
        assert "within" not in str(caught.value)
        assert target.requests == [] and rig.transport._count == 0
        await rig.gateway.close()


def test_how_a_proxy_is_written() -> None:
    assert Proxy.parse("http://proxy.corp:3128") == Proxy("proxy.corp", 3128)
    for text in (
        "proxy.corp:3128",
        "https://proxy.corp:3128",
        "http://proxy.corp",
        "http://:3128",
        "http://p:x",
        "",
        "http://[p",
    ):
        with pytest.raises(BadInput, match="http://host:port"):
            Proxy.parse(text)
