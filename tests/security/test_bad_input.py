"""Malformed input from partners and from anybody: a clear 4xx as JSON, never a 500, nothing half done.

`World` fails a test in which a server logged an error, so an exception that nobody foresaw is seen here.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.world import Org, Person, Said, World, new_world

CLINIC, LAB = "clinic.example", "lab.example"
AS2 = "https://www.w3.org/ns/activitystreams"
PUBLIC = AS2 + "#Public"
TYPE = "application/activity+json"
PHASES = (Phase.explicit, Phase.generate)


@dataclass
class Attacked:
    """The clinic with ana, and ben at its partner, who can sign whatever he likes."""

    world: World
    clinic: Org
    ana: Person
    ben: Person
    post: str

    async def check(self, said: Said, *, allowed: tuple[int, ...] = ()) -> Said:
        """A clear answer: 2xx, or 4xx with an error as JSON."""
        assert said.status in allowed or 200 <= said.status < 300 or 400 <= said.status < 500, (said.status, said.body)
        if said.status >= 400 and said.method != "HEAD" and "html" not in said.headers["content-type"]:
            error = said.json["error"]
            assert isinstance(error, str) and error and "Traceback" not in error
        return said


@pytest.fixture
async def attacked(tmp_path: Path) -> AsyncIterator[Attacked]:
    async with _attacked(tmp_path) as made:
        yield made


class _attacked:
    def __init__(self, folder: Path) -> None:
        self._world = new_world(folder)

    async def __aenter__(self) -> Attacked:
        world = await self._world.__aenter__()
        clinic, lab = await world.org(CLINIC, [LAB]), await world.org(LAB, [CLINIC])
        ana, ben = await clinic.person("ana"), await lab.person("ben")
        await ana.follow(ben.handle)
        await ben.follow(ana.handle)
        await world.settle()
        said = await ana.say("hello", reach="partners")
        await world.settle()
        return Attacked(world, clinic, ana, ben, said["uri"])

    async def __aexit__(self, *error: Any) -> None:
        await self._world.__aexit__(*error)


def create(me: str, slug: str = "1", /, **fields: Any) -> dict[str, Any]:
    """A Create of a Note, with some of the Note's fields replaced."""
    note = {"id": f"{me}/notes/{slug}", "type": "Note", "attributedTo": me, "content": "<p>x</p>", "to": [PUBLIC],
            "published": "2026-01-01T00:00:00Z"} | fields  # fmt: skip
    return {
        "@context": AS2,
        "id": f"{me}/creates/{slug}",
        "type": "Create",
        "actor": me,
        "object": note,
        "to": [PUBLIC],
    }


# Bodies


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "not JSON": b"hello",
    "half of it": b'{"type": "Create", "actor": ',
    "not UTF-8": b'{"type": "Cre\xff\xfe"}',
    "a BOM": b'\xef\xbb\xbf{"type": "Create"}',
    "UTF-16": '{"type": "Create"}'.encode("utf-16"),
    "a list": b"[]",
    "a list of activities": b'[{"type": "Create"}]',
    "a number": b"17",
    "null": b"null",
    "text": b'"Create"',
    "an empty object": b"{}",
    "a key twice": b'{"type": "Create", "type": "Delete", "actor": "https://lab.example/users/ben"}',
    "too deep": b'{"a":' * 60 + b"1" + b"}" * 60,
    "much too deep": b"[" * 100_000 + b"]" * 100_000,
    "too many values": b'{"a": [' + b"1," * 30_000 + b"1]}",
    "not a number": b'{"type": NaN, "a": Infinity}',
    "a huge number": b'{"type": "Create", "a": 1e999999, "b": ' + b"9" * 5000 + b"}",
    "a lone surrogate": b'{"type": "Create", "a": "\\ud800"}',
    "control characters": b'{"type": "Cre\\u0000ate", "actor": "https://lab.example/users/ben\\n"}',
    "a trailing comma": b'{"type": "Create",}',
    "two documents": b'{"type": "Create"}{"type": "Create"}',
    "a comment": b'{"type": "Create"} // hello',
}


async def test_bodies_that_are_no_activities(attacked: Attacked) -> None:
    before = await attacked.clinic.rows()
    for name, body in BODIES.items():
        for scheme in ("cavage", "rfc9421"):
            said = await attacked.check(await attacked.ben.send(attacked.clinic.inbox, body, scheme=scheme))
            assert said.status in (400, 401, 413), (name, said.status)
    assert await attacked.clinic.rows() == before
    huge = b'{"a": "' + b"x" * (1024 * 1024) + b'"}'
    assert (await attacked.ben.send(attacked.clinic.inbox, huge)).status == 413
    assert (await attacked.ben.send(attacked.clinic.inbox, create(attacked.ben.iri))).status == 202


ODD: list[Any] = [
    None, 0, -1, 1.5, 10**30, True, "", " ", "x", "https://", "https://lab.example", "https://lab.example:99999/x",
    "https://user:pass@lab.example/x", "http://lab.example/x", "javascript:alert(1)", "//lab.example/x", "\x00",
    "https://lab.example/\u202e", "https://lab.example/" + "a" * 3000, "https://[::1]/x", "https://127.0.0.1/x",
    "https://clinic.example/users/ana", "https://lab.example/users/ben", [], {}, [[]], [None], [{}], {"id": None},
    {"id": []}, {"type": "Note"}, {"@id": "x"}, {"@value": 3}, {"@list": [1]}, [1, "x", None], {"": ""},
    ["https://lab.example/users/ben"] * 3, {"type": [1, {}]}, "2026-13-45T99:99:99Z", "9" * 400, [["https://x"] * 3],
]  # fmt: skip
FIELDS = ["id", "type", "attributedTo", "content", "to", "cc", "published", "updated", "tag", "attachment", "url",
          "inReplyTo", "summary", "sensitive", "contentMap", "name", "oneOf", "anyOf", "endTime", "votersCount",
          "context", "conversation", "source", "icon", "likes", "replies", "mediaType", "bto", "startTime",
          "@context", "@id", "@type", "@graph", "quoteUrl", "audience", "closed"]  # fmt: skip
OUTER = [
    "id",
    "type",
    "actor",
    "object",
    "to",
    "cc",
    "@context",
    "target",
    "proof",
    "signature",
    "published",
    "instrument",
]


async def test_every_field_of_a_post_with_every_odd_value(attacked: Attacked) -> None:
    me, number = attacked.ben.iri, 0
    for field in FIELDS:
        for value in ODD:
            number += 1
            document = create(me, f"p{number}", **{field: value})
            await attacked.check(await attacked.ben.send(attacked.clinic.inbox, document))
    await attacked.world.settle()
    # What was taken in can be shown.
    for _ in range(3):
        await attacked.ana.get("/api/v1/timelines/home", limit=40)
        await attacked.ana.get("/api/v1/timelines/public", limit=40)
    assert {s.host for s in attacked.world.internet.sent} <= {CLINIC, LAB}


async def test_every_field_of_an_activity_with_every_odd_value(attacked: Attacked) -> None:
    me, number = attacked.ben.iri, 0
    kinds = {"Follow": attacked.ana.iri, "Like": attacked.post, "Announce": attacked.post, "Undo": f"{me}/likes/1",
             "Delete": f"{me}/notes/1", "Flag": [attacked.ana.iri], "Move": me, "Add": f"{me}/notes/1",
             "Block": "https://clinic.example/users/nobody", "Accept": f"{attacked.ana.iri}/follows/1"}  # fmt: skip
    for kind, target in kinds.items():
        for field in OUTER:
            for value in ODD[:: 1 if field in ("object", "target") else 3]:
                number += 1
                document = {"@context": AS2, "id": f"{me}/x/{number}", "type": kind, "actor": me, "object": target,
                            "to": [PUBLIC], field: value}  # fmt: skip
                await attacked.check(await attacked.ben.send(attacked.clinic.inbox, document))
    await attacked.world.settle()
    # ben has deleted himself on the way; the others go on.
    assert (await attacked.ben.fetch(attacked.ana.iri)).status == 403
    bea = await attacked.ben.org.person("bea")
    assert (await bea.fetch(attacked.ana.iri)).status == 200


async def test_polls_tags_and_attachments_with_odd_insides(attacked: Attacked) -> None:
    me, number = attacked.ben.iri, 0
    for value in ODD:
        for fields in (
            {"type": "Question", "oneOf": [{"type": "Note", "name": value}, {"name": "b", "replies": value}]},
            {"type": "Question", "anyOf": [value, value], "endTime": value, "votersCount": value, "closed": value},
            {"tag": [{"type": "Mention", "href": value, "name": value}, {"type": "Hashtag", "name": value}]},
            {"tag": [{"type": "Emoji", "name": value, "icon": value, "id": value}]},
            {"attachment": [{"type": "Image", "url": value, "mediaType": value, "width": value, "blurhash": value}]},
            {"attachment": [{"type": "Image", "url": [{"type": "Link", "href": value, "mediaType": value}]}]},
            {"attachment": {"type": "Document", "url": "https://lab.example/x", "focalPoint": value, "name": value}},
            {
                "contentMap": {"de": value, "": "x"},
                "summaryMap": value,
                "source": {"content": value, "mediaType": value},
            },
            {"url": [{"type": "Link", "href": value, "mediaType": "text/html"}], "icon": {"url": value}},
        ):
            number += 1
            await attacked.check(await attacked.ben.send(attacked.clinic.inbox, create(me, f"i{number}", **fields)))
    await attacked.world.settle()
    for status in await attacked.ana.home():
        await attacked.ana.get(f"/api/v1/statuses/{status['id']}")


# Headers


SIGNATURES = ["", " ", ",", "=", '="', "keyId", 'keyId=""', 'keyId="x"', 'keyId="https://lab.example/users/ben#k"',
              'keyId="https://lab.example/users/ben#main-key",signature=""', 'signature="AAAA"', "\xff\xfe",
              "a" * 20_000,
              'keyId="https://lab.example/x",headers="date",signature="!!!"', 'keyId="https://lab.example/x",keyId="b"',
              'keyId="https://lab.example/x",headers="",signature="AAAA",algorithm="none"', '"' * 500, "sig1=:AAAA:",
              'keyId="https://lab.example/x",headers="(request-target) host date digest",signature="AAAA",created=x',
              'keyId="http://lab.example/x",signature="AA=="', 'keyId="https://127.0.0.1/x",signature="AA=="',
              'keyId="https://lab.example:443@evil.example/x",signature="AA=="']  # fmt: skip
INPUTS = ["", "sig1", "sig1=", "sig1=()", "sig1=(", 'sig1=("@method")', 'sig1=("@method" "@target-uri");keyid="x"',
          'sig1=("@method");created=99999999999999999999;keyid="https://lab.example/x"', 'sig1=("@method" "@method")',
          'sig1=("@unknown");keyid="https://lab.example/x"', 'sig1=("@method";bs);keyid="https://lab.example/x"',
          'a=("@method"), b=("@method")', '=("@method")', 'sig1=("\xff")', "sig1=" + "(" * 500]  # fmt: skip


@pytest.mark.spec("R1", "R29")
async def test_headers_that_cannot_be_read(attacked: Attacked) -> None:
    body = json.dumps(create(attacked.ben.iri)).encode()
    good = {"content-type": TYPE, **await attacked.ben.signature("POST", attacked.clinic.inbox, body)}
    newer = {"content-type": TYPE, **await attacked.ben.signature("POST", attacked.clinic.inbox, body, "rfc9421")}
    wrong: list[dict[str, str]] = [{**good, "signature": value} for value in SIGNATURES]
    wrong += [{**newer, "signature-input": value} for value in INPUTS]
    wrong += [{**newer, "signature": value} for value in SIGNATURES]
    for name, values in {
        "digest": ["", "x", "SHA-256=", "SHA-256=AAAA", "MD5=AAAA", "SHA-256=\xff", "SHA-512=AAAA"],
        "date": ["", "x", "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "32 Foo 20000", "\xff"],
        "host": ["", "evil.example", "lab.example", "clinic.example:444", "\xff"],
        "content-digest": ["", "x", "sha-256=", "sha-256=:AAAA:", "sha-512=:AAAA:"],
    }.items():
        wrong += [
            {**base, name: value}
            for base in (good, newer)
            for value in values
            # RFC 9421 covers the target URI and the time of signing, and so neither Host nor Date.
            if name in base and (base is good or name == "content-digest")
        ]
    wrong += [
        {k: v for k, v in base.items() if k != gone}
        for base in (good, newer)
        for gone in set(base) - {"content-type", "host"}
        if base is good or gone != "date"
    ]
    before = await attacked.clinic.rows()
    for headers in wrong:
        for method, sent in (("POST", body), ("GET", None)):
            url = attacked.clinic.inbox if method == "POST" else attacked.ana.iri
            headers.setdefault("host", CLINIC)
            said = await attacked.check(await attacked.world.ask(method, url, headers, sent))
            assert said.status in (400, 401, 403), (said.status, headers)
    assert await attacked.clinic.rows() == before
    await attacked.check(await attacked.world.ask("POST", attacked.clinic.inbox, good, body))
    assert await attacked.clinic.post(f"{attacked.ben.iri}/notes/1") is not None


@pytest.mark.spec("R25")
async def test_content_types(attacked: Attacked) -> None:
    profile = 'application/ld+json; profile="https://www.w3.org/ns/activitystreams"'
    for number, (kind, status) in enumerate(
        (
            (TYPE, 202), (f"{TYPE}; charset=utf-8", 202), (profile, 202), (f"{profile}; charset=utf-8", 202),
            ("APPLICATION/ACTIVITY+JSON", 202), ("application/ld+json", 415), ("application/json", 415),
            ("text/html", 415), ("", 415), ("multipart/form-data; boundary=x", 415), (TYPE + "x", 415),
            ('application/ld+json; profile="https://example.org/"', 415), ("\xff", 415), (";", 415),
        )
    ):  # fmt: skip
        body = json.dumps(create(attacked.ben.iri, f"t{number}")).encode()
        keyring, now = attacked.ben.org.server.federation.keyring, attacked.world.clock()
        signer = await keyring.signer(attacked.ben.id)
        signed = await keyring.sign(signer, "POST", attacked.clinic.inbox, body, scheme="cavage", now=now)
        said = await attacked.world.ask("POST", attacked.clinic.inbox, {**signed, "content-type": kind}, body)
        assert said.status == status, kind
        assert (await attacked.clinic.post(f"{attacked.ben.iri}/notes/t{number}") is not None) is (status == 202)


# Paths


PATHS = [
    "/users/", "/users//outbox", "/users/%00", "/users/ana%2Foutbox", "/users/..", "/users/../users/ana", "/@", "/@/1",
    "/users/ana/statuses/", "/users/ana/statuses/x", "/users/ana/statuses/-1", "/users/ana/statuses/1e9",
    "/users/ana/statuses/99999999999999999999999999", "/users/ana/statuses/1/x", "/users/" + "a" * 5000,
    "/users/%F0%9F%98%80", "/users/ana%20", "/users/ana;x=1", "/users/ana/outbox/", "/.well-known/", "//users/ana",
    "/users/ana/outbox?page=%ff", "/users/ana/outbox?page=true&max_id=" + "9" * 400, "/users/ana/inbox/x",
    "/users/ana/outbox?" + "a=1&" * 600, "/users/%ff%fe", "/users/ana/followers?page=true&min_id=99999999999999999999",
    "/users/ana/collections/featured?page=true", "/users/ana?x=1", "/@ana?max_id=1", "/nodeinfo/2.1/x", "/inbox/x",
]  # fmt: skip


async def test_paths_and_queries(attacked: Attacked) -> None:
    for path in PATHS:
        url = f"https://{CLINIC}{path}"
        for said in (
            await attacked.ben.fetch(url),
            await attacked.world.ask("GET", url),
            await attacked.world.ask("POST", url, {"content-type": TYPE}, b"{}"),
            await attacked.world.ask("DELETE", url),
            await attacked.world.ask("GET", url, {"accept": "text/html"}),
            await attacked.world.ask("GET", url, {"accept": "\xff;q=\xff,,;;=" + "," * 300}),
        ):
            await attacked.check(said)


async def test_numbers_beyond_the_largest_id(attacked: Attacked) -> None:
    for number in (2**63 - 1, 2**63, 2**64, 10**18 * 9, 10**19):
        for path in (f"/users/ana/statuses/{number}", f"/users/ana/outbox?page=true&max_id={number}",
                     f"/users/ana/followers?page=true&max_id={number}"):  # fmt: skip
            await attacked.check(await attacked.ben.fetch(f"https://{CLINIC}{path}"))
        for path in (
            f"/api/v1/statuses/{number}",
            f"/api/v1/timelines/home?max_id={number}",
            f"/api/v1/accounts/{number}",
        ):
            assert (await attacked.ana.client.get(path)).status_code in (200, 404, 422), path


# Fuzz


TEXT = st.text(max_size=60)
SPECIAL = st.sampled_from([each for each in ODD if isinstance(each, str)])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT | SPECIAL,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(TEXT | st.sampled_from(FIELDS + OUTER), inner, max_size=5)
    ),
    max_leaves=12,
)
KINDS = st.sampled_from(["Create", "Update", "Delete", "Follow", "Accept", "Reject", "Like", "Announce", "Undo", "x",
                         "Block", "Flag", "Add", "Remove", "Move", "EmojiReact", "Note", "Person", "Tombstone",
                         "Question"])  # fmt: skip
DOCUMENTS = st.dictionaries(st.sampled_from(FIELDS + OUTER), VALUES, max_size=8)


@st.composite
def activities(draw: st.DrawFn) -> dict[str, Any]:
    """Something like an activity of ben's, with anything in it."""
    me = "https://lab.example/users/ben"
    document = draw(DOCUMENTS)
    if draw(st.booleans()):
        document["object"] = {"id": f"{me}/notes/{draw(st.integers(1, 5))}", "attributedTo": me, **draw(DOCUMENTS)}
    return {"@context": AS2, "id": f"{me}/f/{draw(st.integers(0, 10**9))}", "actor": me, "type": draw(KINDS)} | (
        document if draw(st.booleans()) else {k: v for k, v in document.items() if k not in ("actor", "@context")}
    )


async def _fuzz_inbox(bodies: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with _attacked(Path(folder)) as attacked:
            for body in bodies:
                raw = (
                    body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
                )
                await attacked.check(await attacked.ben.send(attacked.clinic.inbox, raw))
            await attacked.world.settle()
            await attacked.ana.home()
            await attacked.ana.get("/api/v1/notifications")
            await attacked.check(await attacked.ben.fetch(f"{attacked.ana.iri}/outbox?page=true"))
            assert {s.host for s in attacked.world.internet.sent} <= {CLINIC, LAB}


@settings(max_examples=8, deadline=None, phases=PHASES, suppress_health_check=list(HealthCheck))
@given(st.lists(activities() | st.binary(max_size=200) | VALUES, min_size=20, max_size=60))
def test_whatever_a_partner_sends(bodies: list[Any]) -> None:
    asyncio.run(_fuzz_inbox(bodies))


HEADER = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\x00"), max_size=120)
PATH = st.one_of(
    st.text(max_size=40).map(lambda t: "/" + quote(t, safe="/?&=@%.")),
    st.builds(lambda a, b: f"/users/{quote(a, safe='')}/{b}", TEXT, st.sampled_from(["", "outbox", "statuses/1"])),
    TEXT.map(lambda t: f"/.well-known/webfinger?resource={quote(t)}"),
    TEXT.map(lambda t: f"/.well-known/webfinger?resource=acct:{quote(t, safe='@%')}"),
    st.binary(max_size=40).map(lambda b: "/.well-known/webfinger?resource=" + quote(b)),
    TEXT.map(lambda t: f"/users/ana/outbox?page=true&max_id={quote(t)}"),
)  # fmt: skip


async def _fuzz_requests(requests: list[tuple[str, str, dict[str, str]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with _attacked(Path(folder)) as attacked:
            before = await attacked.clinic.rows()
            for method, path, headers in requests:
                url, body = f"https://{CLINIC}{path}", b"{}" if method == "POST" else None
                await attacked.check(await attacked.world.ask(method, url, {"content-type": TYPE, **headers}, body))
                await attacked.check(await attacked.ben.fetch(url))
            await attacked.world.settle()
            assert await attacked.clinic.rows() == before


@settings(max_examples=7, deadline=None, phases=PHASES, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["GET", "POST", "HEAD", "PUT", "PATCH", "OPTIONS", "TRACE", "X"]),
            PATH,
            st.dictionaries(
                st.sampled_from(["signature", "signature-input", "digest", "date", "host", "accept", "authorization",
                                 "content-digest", "content-type", "collection-synchronization", "range"]), HEADER,
            ),
        ),
        min_size=15,
        max_size=50,
    )
)  # fmt: skip
def test_whatever_anybody_asks(requests: list[tuple[str, str, dict[str, str]]]) -> None:
    asyncio.run(_fuzz_requests(requests))


WORDS = st.dictionaries(
    st.sampled_from(["status", "visibility", "reach", "spoiler_text", "language", "in_reply_to_id", "sensitive", "poll",
                     "local_only", "media_ids", "q", "type", "limit", "max_id", "choices", "comment", "account_id"]),
    VALUES, max_size=6,
)  # fmt: skip
ROUTES = ["/api/v1/statuses", "/api/v1/fedishare/audience", "/api/v1/reports", "/api/v1/statuses/1/reblog",
          "/api/v1/accounts/1/follow", "/api/v1/polls/1/votes", "/api/v1/accounts/1/mute"]  # fmt: skip


async def _fuzz_client(calls: list[tuple[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with _attacked(Path(folder)) as attacked:
            for path, body in calls:
                raw = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
                answer = await attacked.ana.client.post(path, content=raw, headers={"content-type": "application/json"})
                assert answer.status_code < 500, (path, body, answer.text)
                if answer.status_code >= 400:
                    assert isinstance(answer.json()["error"], str)
                answer = await attacked.ana.client.get(
                    "/api/v2/search", params={"q": str(body)[:200], "resolve": "true"}
                )
                assert answer.status_code < 500, (body, answer.text)
            await attacked.world.settle()
            await attacked.ana.home()
            assert {s.host for s in attacked.world.internet.sent} <= {CLINIC, LAB}


@settings(max_examples=6, deadline=None, phases=PHASES, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(ROUTES), WORDS | VALUES), min_size=20, max_size=50))
def test_whatever_an_app_sends(calls: list[tuple[str, Any]]) -> None:
    asyncio.run(_fuzz_client(calls))
