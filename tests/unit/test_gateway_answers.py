"""What the gateway makes of a peer's bytes: good answers in every framing, and refusals of everything else."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import tracemalloc
import zlib
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedishare.egress.http1 import Connection, Stale
from fedishare.gateway import Reply, WireLimits
from fedishare.model.errors import FetchFailed
from fedishare.model.ids import Millis
from tests.support.egress import OK, RawServer, Visitor, answering, talking


def head(*lines: str, status: str = "200 OK", version: str = "1.1") -> bytes:
    return "\r\n".join([f"HTTP/{version} {status}", *lines, "", ""]).encode("latin-1")


GZIPPED = gzip.compress(b"ok")
GOOD = {
    "length": (head("Content-Length: 2") + b"ok", True),
    "nothing": (head("Content-Length: 0"), True),
    "no content": (head(status="204 No Content"), True),
    "not modified": (head("Content-Length: 99", status="304 Not Modified"), True),
    "chunks": (head("Transfer-Encoding: chunked") + b"1\r\no\r\n1;x=y\r\nk\r\n0\r\nTrailer: 1\r\n\r\n", True),
    "close": (head("Connection: close", "Content-Length: 2") + b"ok", False),
    "HTTP/1.0": (head("Content-Length: 2", version="1.0") + b"ok", False),
    "HTTP/1.0 kept": (head("Content-Length: 2", "Connection: keep-alive", version="1.0") + b"ok", True),
    "informational": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\n" + OK, True),
    "gzip": (
        head("Content-Encoding: gzip", f"Content-Length: {len(gzip.compress(b'ok'))}") + gzip.compress(b"ok"),
        True,
    ),
    "deflate": (head("Content-Encoding: deflate", "Content-Length: 10") + zlib.compress(b"ok"), True),
    "stray bytes": (head("Content-Length: 2") + b"okHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nforge", False),
    "empty header": (head("A:", "B: c", "Content-Length: 2") + b"ok", True),
    "bad request": (head("Content-Length: 2", status="400 Bad Request") + b"no", True),
    "error with coding": (head("Content-Encoding: br", "Content-Length: 2", status="500 Oops") + b"??", True),
}


@pytest.mark.parametrize("name", GOOD)
async def test_good_answers(name: str) -> None:
    answer, kept = GOOD[name]
    assert len(answer) < 300
    async with talking(server := answering(answer, OK)) as rig:
        reply: Reply = await rig.get(server.url())
        assert reply.status == int(answer.rsplit(b"HTTP/1.", 1)[1][2:5]) if name != "stray bytes" else 200
        if reply.status == 200:
            assert reply.body == (b"" if name == "nothing" else b"ok")
        assert reply.headers.get("trailer") is None and reply.headers.get("a", "") == ""
        assert (await rig.get(server.url())).body == b"ok"
        assert server.connections == (1 if kept else 2)


async def test_one_byte_at_a_time() -> None:
    for answer, _ in GOOD.values():

        async def script(visitor: Visitor, answer: bytes = answer) -> None:
            await visitor.request()
            for byte in answer:
                await visitor.say(bytes([byte]))
                await asyncio.sleep(0)
            await visitor.gone()

        async with talking(server := RawServer(script)) as rig:
            assert (await rig.get(server.url())).status < 600


async def test_a_body_without_length_ends_with_the_connection() -> None:
    async with talking(server := answering(head() + b"ok", then_close=True)) as rig:
        assert (await rig.get(server.url())).body == b"ok"


BAD = {
    "not HTTP": b"SSH-2.0-OpenSSH\r\n",
    "HTTP/2": b"HTTP/2 200 OK\r\n\r\n",
    "status": head("Content-Length: 0", status="99 Low"),
    "switch": head("Connection: upgrade", "Upgrade: x", status="101 Switching") + OK,
    "switch without a word": head(status="101 Switching") + OK,
    "two lengths": head("Content-Length: 2", "Content-Length: 3") + b"oko",
    "equal lengths": head("Content-Length: 2", "Content-Length: 2") + b"ok",
    "negative length": head("Content-Length: -2") + b"ok",
    "huge length": head("Content-Length: 99999999999999999999999") + b"ok",
    "length and chunks": head("Content-Length: 2", "Transfer-Encoding: chunked") + b"2\r\nok\r\n0\r\n\r\n",
    "transfer coding": head("Transfer-Encoding: gzip, chunked") + b"2\r\nok\r\n0\r\n\r\n",
    "only gzip": head("Transfer-Encoding: gzip") + b"ok",
    "chunk size": head("Transfer-Encoding: chunked") + b"zz\r\nok\r\n0\r\n\r\n",
    "chunk end": head("Transfer-Encoding: chunked") + b"2\r\nokXX0\r\n\r\n",
    "folded": head("A: b\r\n c", "Content-Length: 0"),
    "space before colon": head("Content-Length : 2") + b"ok",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "NUL": head("A: b\x00c", "Content-Length: 2") + b"ok",
    "coding": head("Content-Encoding: br", "Content-Length: 2") + b"ok",
    "two codings": head("Content-Encoding: gzip, gzip", "Content-Length: 2") + b"ok",
    "not gzip": head("Content-Encoding: gzip", "Content-Length: 2") + b"ok",
    "half gzip": head("Content-Encoding: gzip", "Content-Length: 12") + gzip.compress(b"ok")[:12],
    "gzip and more": head("Content-Encoding: gzip", "Content-Length: 24") + gzip.compress(b"ok") + b"more",
}
CUT = {
    "length": head("Content-Length: 9") + b"ok",
    "chunk": head("Transfer-Encoding: chunked") + b"9\r\nok",
    "no last chunk": head("Transfer-Encoding: chunked") + b"2\r\nok\r\n",
    "head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "only informational": b"HTTP/1.1 100 Continue\r\n\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("name", [*BAD, *(f"cut {name}" for name in CUT)])
async def test_bad_answers(name: str) -> None:
    cut = name.startswith("cut ")
    answer = CUT[name[4:]] if cut else BAD[name]
    if name == "gzip and more":
        answer = answer.replace(b"24", str(len(gzip.compress(b"ok")) + 4).encode())
    async with talking(server := answering(answer, then_close=cut), gateway={"deadline": 2.0}) as rig:
        with pytest.raises(FetchFailed) as caught:
            await rig.get(server.url())
        assert "within" not in str(caught.value)  # seen for what it is, and not by waiting
        assert rig.transport._count == 0


def chunked(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


BOMB = gzip.compress(b"0" * 50_000_000)
TOO_MUCH = {
    "by length": head("Content-Length: 1001") + b"x" * 1001,
    "announced": head("Content-Length: 1001"),
    "empty blocks": head("Content-Encoding: gzip", "Transfer-Encoding: chunked")
    + b"%x\r\n" % 20_010
    + gzip.compress(b"")[:10]
    + b"\x00\x00\x00\xff\xff" * 4000,
    "by chunks": head("Transfer-Encoding: chunked") + chunked(b"x" * 600, b"x" * 401),
    "to the end": head() + b"x" * 1001,
    "gzip bomb": head("Content-Encoding: gzip", f"Content-Length: {len(BOMB)}")[:-2] + b"\r\n" + BOMB,
    "chunked bomb": head("Content-Encoding: gzip", "Transfer-Encoding: chunked") + chunked(BOMB[:900], BOMB[900:1800]),
    "headers": head(*(f"H{n}: v" for n in range(101)), "Content-Length: 0"),
    "one header": head("H: " + "v" * 40_000, "Content-Length: 0"),
    "status line": b"HTTP/1.1 200 " + b"O" * 40_000 + b"\r\n\r\n",
    "informational": b"HTTP/1.1 103 Hints\r\nA: b\r\n\r\n" * 2000,
    "trailer": head("Transfer-Encoding: chunked") + b"1\r\nx\r\n0\r\nT: " + b"v" * 60_000,
    "trailers": head("Transfer-Encoding: chunked") + b"1\r\nx\r\n0\r\n" + b"T: v\r\n" * 200 + b"\r\n",
    "chunk extension": head("Transfer-Encoding: chunked") + b"1;" + b"e" * 600_000 + b"\r\nx\r\n0\r\n\r\n",
}


@pytest.mark.spec("R38")
@pytest.mark.parametrize("name", TOO_MUCH)
async def test_an_answer_is_never_larger_than_the_limit(name: str) -> None:
    packed = gzip.compress(b"x" * 1000)
    fits = head("Content-Encoding: gzip", f"Content-Length: {len(packed)}") + packed
    async with talking(server := answering(fits, TOO_MUCH[name]), gateway={"deadline": 5.0}) as rig:
        assert (await rig.get(server.url(), max_bytes=1000)).body == b"x" * 1000
        with pytest.raises(FetchFailed) as caught:
            await rig.get(server.url(), max_bytes=1000)
        assert "within" not in str(caught.value)
        assert rig.transport._count == 0


@pytest.mark.spec("R38")
async def test_a_bomb_is_never_unpacked_as_a_whole() -> None:
    async with talking(server := answering(TOO_MUCH["gzip bomb"])) as rig:
        tracemalloc.start()
        try:
            with pytest.raises(FetchFailed):
                await rig.get(server.url(), max_bytes=1_000_000)
            assert tracemalloc.get_traced_memory()[1] < 10_000_000
        finally:
            tracemalloc.stop()


async def test_a_long_answer_to_a_delivery_is_cut_because_only_its_status_counts() -> None:
    long = head("Content-Length: 500000", status="202 Accepted") + b"x" * 500_000
    page = head("Transfer-Encoding: chunked", "Content-Encoding: br", status="502 Bad Gateway")
    page += chunked(b"x" * 200_000)
    async with talking(server := answering(long, page, page, OK)) as rig:
        reply = await rig.post(server.url())
        assert (reply.status, len(reply.body)) == (202, 65536)
        assert (await rig.post(server.url())).status == 502
        reply = await rig.get(server.url(), max_bytes=10)
        assert (reply.status, reply.body) == (502, b"x" * 10)
        assert (await rig.get(server.url())).body == b"ok"
        assert server.connections == 4 and len(rig.transport._kept) == 1


@pytest.mark.spec("R38")
@pytest.mark.parametrize("drip", ["nothing", "head", "body"])
async def test_a_slow_answer_ends_at_the_deadline(drip: str) -> None:
    async def script(visitor: Visitor) -> None:
        await visitor.request()
        if drip == "body":
            await visitor.say(head("Content-Length: 100000"))
        elif drip == "head":
            await visitor.say(b"HTTP/1.1 200 OK\r\nA: ")
        while drip != "nothing":
            await visitor.say(b"x")
            await asyncio.sleep(0.01)
        await visitor.gone()

    async with talking(server := RawServer(script), gateway={"deadline": 0.2}) as rig:
        with pytest.raises(FetchFailed, match=r"within 0\.2 s") as caught:
            await rig.get(server.url())
        assert caught.value.http_status is None
        with pytest.raises(FetchFailed, match=r"within 0\.2 s"):
            await rig.post(server.url())
        assert rig.transport._count == 0 and server.connections == 2


def test_retry_after_in_seconds_and_as_a_date() -> None:
    now = Millis(1_750_000_000_000)  # 2025-06-15T15:06:40Z
    for text, seconds in {
        "120": 120,
        " 7 ": 7,
        "Sun, 15 Jun 2025 15:08:40 GMT": 120,
        "Sun, 15 Jun 2025 15:00:00 GMT": 0,
        "soon": None,
        "-5": None,
        "": None,
        "٣": None,
        "9" * 5000: 999_999_999,
        "Sun, 99 Jun 99999999999 15:00:00 GMT": None,
    }.items():
        assert Reply(503, {"retry-after": text}, b"", "").retry_after(now) == seconds, text
    assert Reply(503, {}, b"", "").retry_after(now) is None


class Wire:
    """As much of a transport as a connection needs."""

    def __init__(self) -> None:
        self.closed = False

    def write(self, data: bytes) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True


async def outcome(pieces: list[bytes]) -> str:
    connection = Connection(asyncio.get_running_loop(), lambda lost: None)
    wire = Wire()
    connection.connection_made(cast(asyncio.Transport, wire))
    task = asyncio.ensure_future(connection.exchange(b"", WireLimits(max_body=64)))
    await asyncio.sleep(0)
    for piece in pieces:
        if not wire.closed:
            connection.data_received(piece)
    connection.connection_lost(None)
    try:
        answer = await task
    except (FetchFailed, Stale) as error:
        return type(error).__name__
    assert 200 <= answer.status < 1000 and len(answer.body) <= 64
    return f"{answer.status} {answer.body!r} {sorted(answer.headers.items())}"


@settings(max_examples=150, deadline=None)
@given(
    start=st.sampled_from([a for a, _ in GOOD.values()] + list(BAD.values()) + [b""]),
    junk=st.binary(max_size=40),
    at=st.integers(0, 300),
    cuts=st.lists(st.integers(0, 300), max_size=4),
)
def test_any_bytes_give_an_answer_or_a_refusal(start: bytes, junk: bytes, at: int, cuts: list[int]) -> None:
    answer = start[:at] + junk + start[at:]
    edges = sorted({0, len(answer), *(cut for cut in cuts if cut < len(answer))})
    pieces = [answer[a:b] for a, b in itertools.pairwise(edges)]
    whole = asyncio.run(outcome([answer]))
    assert whole == asyncio.run(outcome(pieces))  # however TCP cuts it
