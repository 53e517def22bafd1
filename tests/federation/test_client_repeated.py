"""ActivityPub's client side: a key against doing twice for every activity, and reports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.store.conftest import postgres_template, schema_url
from tests.support.client_side import EVIL, GIF, LAB, PUBLIC, Side, app_of, new_side
from tests.support.world import Json

__all__ = ["postgres_template", "schema_url"]


@pytest.fixture
async def side(tmp_path: Path, schema_url: str) -> AsyncIterator[Side]:
    """On each engine."""
    async with new_side(tmp_path, schema_url if schema_url.startswith("postgresql") else None) as made:
        yield made


async def test_a_key_makes_every_activity_once(side: Side) -> None:
    """The same key: the same id, also after the thing was undone; nothing is done or sent again."""
    ana, amy, ben = side.ana, side.amy, side.ben
    theirs = await ben.note("theirs", [PUBLIC], cc=[f"{ben.person.iri}/followers"], reach="partners")
    mine = await ana.note("mine", [PUBLIC], cc=[side.followers])
    gone = await ana.note("gone", [PUBLIC], cc=[side.followers])
    options = [{"type": "Note", "name": "a"}, {"type": "Note", "name": "b"}]
    poll = (await amy.does("Create", {"type": "Question", "content": "?", "oneOf": options, "to": [PUBLIC]}))[:-9]
    await amy.does("Update", {"id": amy.person.iri, "manuallyApprovesFollowers": True})
    await ben.does("Follow", amy.person.iri)
    await side.settle()
    upload = await ana.http.post("/api/v2/media", files={"file": ("a.gif", GIF, "image/gif")})
    picture = f"https://clinic.example/api/activitypub/media/{upload.json()['id']}"
    featured, tags = f"{ana.person.iri}/collections/featured", f"{ana.person.iri}/collections/tags"
    wishes: list[Json] = [
        {"type": "Create", "object": {"type": "Note", "content": "once", "to": [PUBLIC, side.followers]}},
        {"type": "Create", "object": {"type": "Note", "name": "a", "inReplyTo": poll}},
        {"type": "Like", "object": theirs}, {"type": "Announce", "object": theirs, "to": [PUBLIC]},
        {"type": "Update", "object": {"id": mine, "content": "changed"}},
        {"type": "Update", "object": {"id": ana.person.iri, "name": "Ana", "icon": picture}},
        {"type": "Add", "object": mine, "target": featured}, {"type": "Remove", "object": mine, "target": featured},
        {"type": "Add", "object": {"type": "Hashtag", "name": "#tea"}, "target": tags},
        {"type": "Delete", "object": gone}, {"type": "Follow", "object": amy.person.iri},
        {"type": "Flag", "object": [ben.person.iri, theirs], "content": "rude", "to": [ben.person.iri]},
        {"type": "Undo", "object": {"type": "Follow", "object": ben.person.iri}},
        {"type": "Block", "object": amy.person.iri}, {"type": "Undo", "object": {"type": "Block",
                                                                                "object": amy.person.iri}},
    ]  # fmt: skip
    first = [await ana.post(each, **{"idempotency-key": f"k{n}"}) for n, each in enumerate(wishes)]
    assert [answer.status_code for answer in first] == [201] * len(wishes), [answer.text for answer in first]
    accept = await amy.post({"type": "Reject", "object": {"type": "Follow", "actor": ben.person.iri}},
                            **{"idempotency-key": "k0"})  # fmt: skip
    assert accept.status_code == 201, "keys are each person's own"
    await side.settle()
    before, sent = await ana.person.org.rows(), len(side.world.internet.sent)
    files = sorted(ana.person.org.server.instance.studio.folder.root.glob("local/*/*"))
    for number, (document, answer) in enumerate(zip(wishes, first, strict=True)):
        again = await ana.post(document, **{"idempotency-key": f"k{number}"})
        assert again.status_code == 201, (document, again.text)
        assert again.headers["location"] == answer.headers["location"] == again.json()["id"], document
        assert again.json()["type"] == document["type"]
        other: Json = {"type": "Like", "object": mine}
        if document["type"] == "Like":
            other = {"type": "Follow", "object": amy.person.iri}
        await ana.refused(422, other, **{"idempotency-key": f"k{number}"})
    repeated = await amy.post({"type": "Reject", "object": {"type": "Follow", "actor": ben.person.iri}},
                              **{"idempotency-key": "k0"})  # fmt: skip
    assert repeated.headers["location"] == accept.headers["location"]
    await side.settle()
    assert (await ana.person.org.rows(), len(side.world.internet.sent)) == (before, sent)
    assert sorted(ana.person.org.server.instance.studio.folder.root.glob("local/*/*")) == files
    await ana.refused(422, wishes[2], **{"idempotency-key": "k" * 501})
    # A day later the key is free, and so is one that failed.
    side.world.clock.forward(24 * 3600 * 1000 + 1000)
    assert (await ana.post(wishes[0], **{"idempotency-key": "k0"})).headers["location"] != first[0].headers["location"]
    await ana.refused(404, {"type": "Like", "object": gone}, **{"idempotency-key": "free"})
    assert (await ana.post({"type": "Like", "object": mine}, **{"idempotency-key": "free"})).status_code == 201


@pytest.mark.spec("R47")
async def test_a_report_reaches_moderators_and_names_nobody_outside(side: Side) -> None:
    ana, amy, ben = side.ana, side.amy, side.ben
    theirs = await ben.note("theirs", [PUBLIC], cc=[f"{ben.person.iri}/followers"], reach="partners")
    hers, hidden = await amy.note("hers", [PUBLIC], reach="local"), await amy.note("hers alone", [])
    await side.settle()
    before = await ana.person.org.rows()
    wrong: list[tuple[int, Any]] = [
        (422, []), (422, None), (400, [7]), (422, [amy.person.iri, ben.person.iri]), (422, [amy.person.iri, theirs]),
        (422, [hers, theirs]), (404, [hidden]), (404, [amy.person.iri, hidden]), (404, f"https://{EVIL}/users/eve"),
        (404, f"https://{LAB}/users/ben/statuses/7"), (422, [f"https://{LAB}/{n}" for n in range(101)]),
    ]  # fmt: skip
    for status, what in wrong:
        await ana.refused(status, {"type": "Flag", "object": what, "content": "x"})
    await ana.refused(422, {"type": "Flag", "object": ben.person.iri, "to": [amy.person.iri]})
    await ana.refused(422, {"type": "Flag", "object": ben.person.iri, "bcc": [ben.person.iri]})
    await ana.refused(403, {"type": "Flag", "actor": amy.person.iri, "object": ben.person.iri})
    narrow = await app_of(ana, "write:statuses")
    await narrow.refused(403, {"type": "Flag", "object": hers})
    assert await ana.person.org.rows() == before
    side.world.internet.forget()
    quiet = await ana.does("Flag", [hers], content="<p>not <b>nice</b></p>")
    assert (await ana.read(quiet))["content"] == "not nice"
    await ana.does("Flag", theirs, content="quietly")
    await side.settle()
    assert side.world.internet.sent == [], "nobody outside hears of it"
    told = await ana.does("Flag", [ben.person.iri, {"type": "Note", "id": theirs}], content="rude", to=ben.person.iri)
    (sent,) = await side.gets()
    assert (sent["type"], sent["actor"], sent["content"]) == ("Flag", "https://clinic.example/actor", "rude")
    assert set(sent["object"]) == {ben.person.iri, theirs}
    assert told not in str(sent) and ana.person.iri not in str(sent), "it does not say who reported"
    await amy.read(told, 404)
    assert (await ben.person.fetch(told)).status == 404
