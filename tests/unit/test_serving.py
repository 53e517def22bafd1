"""Serving: the head of a request has a size and a deadline, and what cannot be served is told in a sentence."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from fedishare.config import Config, parse
from fedishare.http.call import Receive, Scope, Send
from fedishare.model.errors import ConfigError
from fedishare.serving import HttpServer, open_socket, uvicorn_config

Application = Callable[[Scope, Receive, Send], Awaitable[None]]

LOCAL = (
    '[server]\ndomain = "localhost"\norigin = "http://localhost:8000"\ndevelopment = true\nlisten = "127.0.0.1:{}"\n'
)
LIMITS = "[limits]\nheader_bytes = 4096\nrequest_seconds = 1\n"


def config(port: int = 0, more: str = LIMITS) -> Config:
    return parse(LOCAL.format(port) + more, path=Path("/nowhere/instance.toml"), environ={})


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with how many headers came."""
    body = str(len(scope["headers"])).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def served(found: Config, app: Application = hello) -> AsyncIterator[int]:
    """A server for ``app``; its port."""
    sock = open_socket(found)
    port = sock.getsockname()[1]
    up = asyncio.Event()
    server = HttpServer(uvicorn_config(found, app), up.set, lambda: None)
    task = asyncio.create_task(server.serve([sock]))
    await up.wait()
    try:
        yield port
    finally:
        server.should_exit = True
        await task


async def answer(port: int, *parts: bytes, pause: float = 0.0) -> bytes:
    """Everything that the server says until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_a_head_has_a_size() -> None:
    head = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
    async with served(config()) as port:
        assert b"200 OK" in await answer(port, head, b"a: " + b"x" * 3000, b"\r\n\r\n", pause=0.02)
        assert b"431 " in await answer(port, head, b"a: " + b"x" * 5000, pause=0.02)
        many = b"".join(b"a%d: x\r\n" % n for n in range(900))
        assert b"431 " in await answer(port, head, many, pause=0.02)
        # The size is that of one head, not of all on a connection, and bodies do not count.
        one = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4000\r\n\r\n" + b"b" * 4000
        several = await answer(port, *[one] * 5, head, b"\r\n", pause=0.02)
        assert several.count(b"200 OK") == 6


async def test_a_head_has_a_deadline() -> None:
    async with served(config()) as port:
        for parts in ((), (b"GET / HT",), (b"GET / HTTP/1.1\r\nhost: x\r\n", b"a: 1\r\n", b"a: 2\r\n")):
            begin = time.monotonic()
            assert b"200" not in await answer(port, *parts, pause=0.1)
            assert 0.8 < time.monotonic() - begin < 3, parts
        # A second request on a connection has one, too.
        whole = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
        begin = time.monotonic()
        assert (await answer(port, whole, b"GET / HTTP/1.1\r\nhos", pause=0.05)).count(b"200 OK") == 1
        assert time.monotonic() - begin < 3


async def test_a_port_in_use_is_told() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port} is in use by another process"):
            open_socket(config(port))


def test_addresses_that_cannot_be_had_are_told() -> None:
    elsewhere = config()
    elsewhere = replace(
        elsewhere,
        listen=replace(elsewhere.listen, host="192.0.2.1"),
        server=type(elsewhere.server)(domain="localhost", listen="192.0.2.1:8000"),
    )
    with pytest.raises(ConfigError, match=r"192.0.2.1:8000 is no address of this machine"):
        open_socket(elsewhere)


def test_certificates_are_looked_at_before_anything_is_opened(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("no certificate")
    (tmp_path / "key.pem").write_text("no key")
    text = (
        '[server]\ndomain = "localhost"\norigin = "https://localhost"\ndevelopment = true\n'
        'tls_cert = "cert.pem"\ntls_key = "key.pem"\n'
    )
    found = parse(text, path=tmp_path / "instance.toml", environ={})
    with pytest.raises(ConfigError, match="are no certificate and its key"):
        uvicorn_config(found, hello)


def test_what_the_configuration_says_reaches_the_server() -> None:
    text = "[limits]\nconnections = 77\nkeep_alive_seconds = 9\n"
    made = uvicorn_config(config(more=text), hello)
    assert (made.limit_concurrency, made.timeout_keep_alive) == (77, 9)
    assert (made.ws_ping_interval, made.ws_ping_timeout) == (20, 20), "a heart-beat that proxies can hear"
    assert not made.proxy_headers, "nobody's X-Forwarded-For is believed unless it is listed"
    assert not made.server_header and not made.access_log
    text = LOCAL.format(0) + 'trusted_proxies = ["10.0.0.0/8"]\n'
    trusting = parse(text, path=Path("/nowhere/instance.toml"), environ={})
    made = uvicorn_config(trusting, hello)
    assert made.proxy_headers and made.forwarded_allow_ips == ["10.0.0.0/8"]
    assert made.timeout_graceful_shutdown == 5, "the rest of the 15 s is for deliveries and the database"
