"""ActivityPub's client side, posted to by somebody with bad intentions: ownership, scopes, and any JSON at all."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedishare.model.ids import Domain
from fedishare.policy.rules import compile_policy
from fedishare.store.db import sql
from tests.support.builders import rsa_key
from tests.support.client_side import AS2, CLINIC, EVIL, GRIM, LAB, PUBLIC, TYPE, Client, Side, app_of, new_side
from tests.support.world import Json

ROW = sql(
    "client_side_hers",
    """SELECT visibility, reach, html, source, summary, sensitive, language, extra, kind, app_name, in_reply_to_id,
        (SELECT count(*) FROM mention m WHERE m.post_id = p.id),
        (SELECT count(*) FROM home_entry h WHERE h.post_id = p.id),
        (SELECT count(*) FROM notification n WHERE n.post_id = p.id) FROM post p WHERE p.iri = :iri""",
)


@pytest.fixture
async def side(tmp_path: Path) -> AsyncIterator[Side]:
    async with new_side(tmp_path) as made:
        yield made


async def test_ones_own_things_only_and_one_document_only(side: Side) -> None:
    """Ownership as strict as from a stranger, and the same strict reader for bytes."""
    ana, amy, ben = side.ana, side.amy, side.ben
    amys = await amy.note("hers", [PUBLIC])
    hidden = await amy.note("hers alone", [])
    bens = await ben.note("his", [PUBLIC], cc=[f"{ben.person.iri}/followers"])
    await side.settle()
    before = await ana.person.org.rows()
    for status, iri in ((403, amys), (404, hidden), (403, bens), (404, f"{ana.person.iri}/statuses/7")):
        await ana.refused(status, {"type": "Update", "object": {"id": iri, "type": "Note", "content": "mine"}})
        await ana.refused(status, {"type": "Delete", "object": iri})
        await ana.refused(status, {"type": "Delete", "object": {"id": iri, "attributedTo": ana.person.iri}})
    note: Json = {"type": "Note", "content": "x", "to": [PUBLIC]}
    for document in (
        {**note, "attributedTo": amy.person.iri},
        {**note, "attributedTo": [ana.person.iri, amy.person.iri]},
        {"type": "Create", "actor": amy.person.iri, "object": note},
        {"type": "Create", "object": {**note, "attributedTo": {"id": ben.person.iri}}},
        {"type": "Update", "object": {"id": amy.person.iri, "name": "gone"}},
    ):
        assert (await ana.post(document)).status_code in (403, 404, 422), document
    wrong: list[Any] = [
        {"type": "Create", "object": amys}, {"type": ["Create", "Delete"], "object": note}, {"type": "Create"},
        {"type": "Create", "object": [note, note]}, {"type": "Move", "object": ana.person.iri}, {"type": "Article"}, [],
        {"type": "Create", "object": {**note, "content": {"a": 1}}}, {"object": note},
        {**note, "content": "y" * 70_000},
        {**note, "attachment": [amys]}, {**note, "content": "z" * 141}, {**note, "content": ""},
        {"@context": {"to": "as:bcc"}, **note, "@id": amys, f"{AS2}#actor": amy.person.iri},
        {"@context": [AS2, {"actor": "https://x.example/y", "who": "as:actor"}], "type": "Create",
         "who": amy.person.iri, "object": note},
    ]  # fmt: skip
    for document in wrong:
        assert (await ana.post(document)).status_code in (400, 403, 422), document
    deep = b'{"type":"Note","content":"x","tag":' + b"[" * 200 + b"]" * 200 + b"}"
    wide = b'{"type":"Note","content":"x","tag":[' + b"1," * 30_000 + b"1]}"
    for body in (
        b"", b"{", b"\xff\xfe{}", b'{"type":"Note","type":"Note","content":"x"}',
        b'{"type":"Note","content":"\\ud800"}',
        b'{"type":"Note","content":"\\u0000"}', b'{"type":"Note","content":NaN}', deep, wide, b"null", b"1" * 400_000,
    ):  # fmt: skip
        assert (await ana.post(body)).status_code in (400, 413, 422), body[:60]
    for kind in ("text/plain", "application/json", "application/ld+json", "", "multipart/form-data"):
        assert (await ana.post(note, **{"content-type": kind})).status_code == 415, kind
    assert await ana.person.org.rows() == before
    profiled = await ana.post(note, **{"content-type": f'application/ld+json; profile="{AS2}"'})
    assert profiled.status_code == 201


async def test_scopes_are_those_of_the_client_api(side: Side) -> None:
    ana, amy = side.ana, side.amy
    theirs = await amy.note("hers", [PUBLIC])
    mine = await ana.note("mine", [PUBLIC])
    wishes: list[tuple[str, Json]] = [
        ("write:statuses", {"type": "Note", "content": "x", "to": [PUBLIC]}),
        ("write:statuses", {"type": "Update", "object": {"id": mine, "content": "y"}}),
        ("write:favourites", {"type": "Like", "object": theirs}),
        ("write:favourites", {"type": "Undo", "object": {"type": "Like", "object": theirs}}),
        ("write:statuses", {"type": "Announce", "object": theirs, "to": [PUBLIC]}),
        ("write:statuses", {"type": "Undo", "object": {"type": "Announce", "object": theirs}}),
        ("write:follows", {"type": "Follow", "object": amy.person.iri}),
        ("write:follows", {"type": "Undo", "object": {"type": "Follow", "object": amy.person.iri}}),
        ("write:blocks", {"type": "Block", "object": amy.person.iri}),
        ("write:blocks", {"type": "Undo", "object": {"type": "Block", "object": amy.person.iri}}),
        ("write:accounts", {"type": "Add", "object": mine, "target": f"{ana.person.iri}/collections/featured"}),
        ("write:accounts", {"type": "Update", "object": {"id": ana.person.iri, "name": "Ana"}}),
        ("write:reports", {"type": "Flag", "object": theirs}),
        ("write:statuses", {"type": "Delete", "object": mine}),
    ]
    apps = {scope: await app_of(ana, scope) for scope in sorted({scope for scope, _ in wishes})}
    for wanted, document in wishes:
        await side.settle()
        before = await ana.person.org.rows()
        for scope, app in apps.items():
            if scope != wanted:
                await app.refused(403, document)
        assert await ana.person.org.rows() == before, document
        assert (await apps[wanted].post(document)).status_code == 201, document
    reader = await app_of(ana, "read")
    await reader.refused(403, wishes[0][1])
    await (await app_of(amy, "write")).post(wishes[0][1])
    other = Client(ana.person, amy.http)
    await other.refused(404, wishes[0][1])
    for scope, status in (("read:notifications", 403), ("read:statuses", 403), ("read", 200), ("write", 403)):
        await (await app_of(ana, scope)).read(f"{ana.person.iri}/inbox", status)
    narrow = await app_of(ana, "read:accounts")
    await narrow.read(ana.person.iri)
    await narrow.read(theirs, 403)


ATOMS = st.sampled_from([
    None, True, 0, -1, 2**63 - 1, 1.5, "", "Note", "Create", "Update", "Delete", "Undo", "Follow", "Like", "Accept",
    "Question", "Announce", "Add", "Block", PUBLIC, "as:Public", "2026-01-01T00:00:00Z", f"https://{CLINIC}/users/amy",
    f"https://{CLINIC}/users/ana", f"https://{CLINIC}/users/ana/followers", f"https://{EVIL}/users/eve", "AMYS",
    "\ud7ff",
    f"https://{CLINIC}/users/ana/collections/featured", "text/plain", "https://[::1", "a" * 300, AS2,
])  # fmt: skip
KEYS = st.sampled_from([
    "type", "object", "actor", "attributedTo", "id", "to", "cc", "bto", "bcc", "audience", "content", "contentMap",
    "source", "mediaType", "summary", "summaryMap", "name", "inReplyTo", "tag", "attachment", "oneOf", "anyOf",
    "endTime",
    "target", "reach", "sensitive", "@context", "published", "href", "as:actor", "@id", "@type", "closed", "quote",
    "icon", "image", "url", "attributionDomains", "discoverable", "value", "quoteUri", "interactionPolicy", "canQuote",
    "automaticApproval", "always", "manualApproval",
])  # fmt: skip
VALUES = st.recursive(
    ATOMS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6), max_leaves=14
)
KINDS = ["Create", "Update", "Delete", "Follow", "Accept", "Reject", "Add", "Remove", "Like", "Block", "Undo",
         "Announce", "Note", "Question", "Move", "Flag"]  # fmt: skip
NOTE: Json = {"type": "Note", "content": "<p>x</p>", "to": [PUBLIC]}
WELL_FORMED = st.sampled_from([
    {"type": "Create", "object": NOTE}, {"type": "Like", "object": "AMYS"},
    {"type": "Undo", "object": {"type": "Like", "object": "AMYS"}},
    {"type": "Announce", "object": "AMYS", "to": PUBLIC}, {"type": "Follow", "object": f"https://{CLINIC}/users/amy"},
    {"type": "Update", "object": {"id": "AMYS", "content": "mine"}}, {"type": "Delete", "object": {"id": "AMYS"}},
    {"type": "Add", "object": "AMYS", "target": f"https://{CLINIC}/users/amy/collections/featured"},
    {"type": "Create", "object": {**NOTE, "type": "Question", "oneOf": [{"name": "a"}, {"name": "b"}]}},
    {"type": "Create", "object": {**NOTE, "quote": "AMYS", "interactionPolicy": {"canQuote": {"always": PUBLIC}}}},
    {"type": "Flag", "object": ["AMYS", f"https://{CLINIC}/users/amy"], "content": "x"},
    {"type": "Update", "object": {"id": f"https://{CLINIC}/users/ana", "icon": "AMYS", "attachment": [
        {"type": "PropertyValue", "name": "a", "value": "b"}]}},
])  # fmt: skip
FEW = st.dictionaries(KEYS, VALUES, max_size=2)


def bent(document: Json, outer: Json, inner: Json) -> Json:
    """A document with some of it replaced."""
    what = document["object"]
    return {**document, "object": {**what, **inner} if isinstance(what, dict) else what, **outer}


DOCUMENTS = (
    st.builds(bent, WELL_FORMED, FEW, FEW)
    | st.builds(bent, WELL_FORMED, FEW, st.just({}))
    | st.builds(
        lambda kind, rest, inner, verb: {**rest, "type": kind, "object": {**inner, "type": verb}},
        st.sampled_from(KINDS), st.dictionaries(KEYS, VALUES, max_size=5), st.dictionaries(KEYS, VALUES, max_size=6),
        st.sampled_from(KINDS),
    )
    | st.dictionaries(KEYS, VALUES, max_size=7)
)  # fmt: skip


async def test_nothing_that_is_posted_breaks_anything_or_reaches_what_is_anothers(side: Side) -> None:
    """Any JSON: never a 500, and never a change of what belongs to somebody else."""
    ana, amy = side.ana, side.amy
    hers = await amy.note("hers", [PUBLIC])
    quiet = await amy.note("hers alone", [])
    await amy.does("Update", {"id": amy.person.iri, "name": "Amy", "manuallyApprovesFollowers": True})
    await side.settle()
    taken = []

    def documents() -> list[Any]:
        found: list[Any] = []

        @settings(max_examples=120, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(DOCUMENTS)
        def collect(document: Any) -> None:
            found.append(json.loads(json.dumps(document).replace("AMYS", hers)))

        collect()
        return found

    async def state() -> list[Any]:
        rows = [(await ana.person.org.all(ROW, iri=iri))[0][:9] for iri in (hers, quiet)]
        return [*rows, (await ana.person.org.actor(amy.person.iri)).profile]  # type: ignore[union-attr]

    before = await state()
    for document in documents():
        answer = await ana.post(document)
        assert answer.status_code in (201, 400, 403, 404, 413, 422), (document, answer.text)
        taken.append(answer.status_code)
        assert ("error" in answer.json()) is (answer.status_code != 201)
    assert await state() == before
    assert taken.count(201) > 3, "some of it must have been taken"
    await side.settle()
    assert side.world.internet.to(EVIL) == []


class Grim:
    """A partner's server that answers whatever it likes, to anybody."""

    def __init__(self) -> None:
        at = f"https://{GRIM}"
        self.pages: dict[str, tuple[str, bytes]] = {}
        keys = {
            "publicKey": {
                "id": f"{at}/users/gil#k",
                "owner": f"{at}/users/gil",
                "publicKeyPem": rsa_key(1).public().pem(),
            }
        }
        self.put("/users/gil", {"type": "Person", "preferredUsername": "gil", "inbox": f"{at}/users/gil/inbox", **keys})
        note: Json = {"type": "Note", "attributedTo": f"{at}/users/gil", "content": "SECRET"}
        self.put("/open", {**note, "to": [PUBLIC], "bto": [f"{at}/users/blind"], "bcc": f"{at}/users/blind"})
        self.put("/ana", {**note, "to": [f"https://{CLINIC}/users/ana"]})
        self.put("/nobody", {**note, "to": [f"{at}/users/x"]})
        self.put("/told", {"type": "Create", "actor": f"{at}/users/gil", "object": note, "to": [f"{at}/users/x"]})
        self.put("/list", {"type": "Collection", "items": [note, {**note, "id": f"{at}/nobody"}], "first": note})
        self.put("/other", {**note, "id": f"https://{LAB}/1", "to": [PUBLIC]})
        self.pages["/alias"] = self.pages["/ana"]
        self.pages["/upload"] = ("application/json", self.pages["/open"][1])
        self.pages["/large"] = (TYPE, b'{"a":"' + b"x" * 3_000_000 + b'"}')

    def put(self, path: str, document: Json) -> None:
        whole = {"@context": AS2, "id": f"https://{GRIM}{path}", **document}
        self.pages[path] = (TYPE, json.dumps(whole).encode())

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        kind, body = self.pages.get(scope["path"], ("text/plain", b""))
        status = 200 if scope["path"] in self.pages else 404
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def test_what_a_partner_answers_is_shown_to_whom_it_is_for(side: Side) -> None:
    """The proxy judges what it fetched: for this person, from its own origin, an ActivityStreams document of a size."""
    side.world.internet.add(GRIM, Grim())
    asked = {}
    for path in ("open", "ana", "alias", "nobody", "told", "list", "other", "upload", "large", "users/gil", "missing"):
        for client in (side.amy, side.ana):
            answer = await client.http.post("/api/activitypub/proxy", data={"id": f"https://{GRIM}/{path}"})
            asked[path, client.person.name] = (answer.status_code, answer.text)
    shown = {key for key, (status, _) in asked.items() if status == 200}
    assert shown == {("ana", "ana"), ("alias", "ana")} | {
        (p, n) for p in ("open", "list", "users/gil") for n in ("ana", "amy")
    }
    assert not any("SECRET" in text for (path, name), (_, text) in asked.items() if (path, name) not in shown)
    assert "SECRET" not in asked["list", "amy"][1] and "blind" not in asked["open", "amy"][1]
    assert all(status in (200, 404, 413, 502) for status, _ in asked.values()), asked


async def test_terms_and_the_end_of_a_partnership_stand_before_everything(side: Side) -> None:
    side.world.internet.add(GRIM, Grim())
    ana, ben, org = side.ana, side.ben, side.ana.person.org
    gil = f"https://{GRIM}/users/gil"
    withheld = await ana.refused(403, {"type": "Note", "content": "hi", "to": [PUBLIC], "cc": gil})
    assert withheld["rule"] and "nothing was published" in withheld["error"]
    await ana.refused(403, {"type": "Note", "content": "hi", "to": [PUBLIC, gil], "reach": [LAB]})
    before = await org.rows()
    guard = org.server.instance.guard
    guard.replace(compile_policy((), enabled=True, own_hosts=(Domain(CLINIC),), revision=9, development=False))
    for document in (
        {"type": "Note", "content": "hi", "to": [ben.person.iri]}, {"type": "Follow", "object": ben.person.iri},
        {"type": "Note", "content": "hi", "to": [], "bcc": [ben.person.iri]},
    ):  # fmt: skip
        assert (await ana.refused(403, document))["rule"] == "unlisted"
    assert await org.rows() == before
