"""HTTP/1.1 on a connection: answers leave whole and in order, streams at once, and idle connections end."""

from __future__ import annotations

import asyncio
import time

from fedishare.http.call import Receive, Scope, Send
from fedishare.http.protocol import CORK_BYTES, Corked
from tests.unit.test_serving import config, served

GET = b"GET %s HTTP/1.1\r\nhost: x\r\n\r\n"
IDLE = "[limits]\nkeep_alive_seconds = 1\nrequest_seconds = 5\n"


class Wire:
    """A transport that notes each write."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.closed = True


async def test_what_is_written_in_one_turn_leaves_at_once() -> None:
    wire = Wire()
    corked = Corked(wire, asyncio.get_running_loop())  # type: ignore[arg-type]
    corked.write(b"head ")
    corked.write(b"body")
    assert wire.written == []
    await asyncio.sleep(0)
    assert wire.written == [b"head body"]
    corked.write(b"first")
    await asyncio.sleep(0)
    corked.write(b"last")
    corked.close()
    assert wire.written[1:] == [b"first", b"last"] and wire.closed
    await asyncio.sleep(0)
    assert len(wire.written) == 3
    # Much does not wait: nothing else would slow down whoever writes it.
    corked.write(b"x" * (CORK_BYTES + 1))
    assert len(wire.written) == 4


async def test_answers_come_in_the_order_of_the_requests() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.05 if scope["path"] == "/slow" else 0)
        body = scope["path"].encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": body})

    async with served(config(more=""), app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"".join(GET % path for path in (b"/slow", b"/one1", b"/slow", b"/two2")))
        said = b""
        while not said.endswith(b"/two2"):
            said += await asyncio.wait_for(reader.read(4096), 5)
        places = [said.index(path) for path in (b"/slow", b"/one1", b"/two2")]
        assert places == sorted(places) and said.count(b"200 OK") == 4
        writer.close()


async def test_the_head_of_a_stream_does_not_wait_for_its_first_part() -> None:
    more = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await more.wait()
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async with served(config(more=""), app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET % b"/")
        assert b"200 OK" in await asyncio.wait_for(reader.read(4096), 5)
        more.set()
        assert await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 5) == b"4\r\npart\r\n0\r\n\r\n"
        writer.close()


async def test_an_idle_connection_ends_and_one_in_use_does_not() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(1.3 if scope["path"] == "/slow" else 0)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async with served(config(more=IDLE), app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        # Idle for a part of the time, in use beyond it, and idle again: the answer of the second request comes.
        for path, pause in ((b"/", 0.5), (b"/slow", 0.0), (b"/", 0.0)):
            writer.write(GET % path)
            assert (await asyncio.wait_for(reader.readuntil(b"ok"), 5)).endswith(b"ok")
            await asyncio.sleep(pause)
        begin = time.monotonic()
        assert await asyncio.wait_for(reader.read(), 5) == b""
        assert 0.7 < time.monotonic() - begin < 3
        writer.close()
