"""ActivityPub's client side: what a person's own program posts to the outbox, and what of it crosses the border."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fedishare.services import blind
from fedishare.store.db import sql
from tests.store.conftest import postgres_template, schema_url
from tests.support.client_side import CLINIC, EVIL, GIF, LAB, PUBLIC, TYPE, Client, Side, app_of, new_side
from tests.support.world import Json, plain

__all__ = ["postgres_template", "schema_url"]
ROW = sql(
    "client_side_row",
    """SELECT visibility, reach, html, source, summary, sensitive, language, extra, kind, app_name, in_reply_to_id,
        (SELECT count(*) FROM mention m WHERE m.post_id = p.id),
        (SELECT count(*) FROM home_entry h WHERE h.post_id = p.id),
        (SELECT count(*) FROM notification n WHERE n.post_id = p.id), interaction_policy, quoting,
        (SELECT max(q.state) FROM quote q WHERE q.post_id = p.id) FROM post p WHERE p.iri = :iri""",
)


@pytest.fixture
async def side(tmp_path: Path) -> AsyncIterator[Side]:
    async with new_side(tmp_path) as made:
        yield made


@pytest.fixture
async def either(tmp_path: Path, schema_url: str) -> AsyncIterator[Side]:
    """The same on each engine."""
    async with new_side(tmp_path, schema_url if schema_url.startswith("postgresql") else None) as made:
        yield made


async def test_a_note_is_published_and_delivered(side: Side) -> None:
    """Create, a bare object, Update of one property, Delete: at the partner as in the client API."""
    ana, ben = side.ana, side.ben
    iri = await ana.note("<p>Hello <b>there</b></p>", [PUBLIC], cc=[side.followers], id="https://evil.example/1")
    assert iri.startswith(f"{ana.person.iri}/statuses/")
    await side.settle()
    assert await ben.person.texts() == ["Hello there"]
    bare = await ana.post({"type": "Note", "source": {"content": "as *typed*", "mediaType": "text/plain"},
                           "content": "<p>not this</p>", "summary": "careful", "to": [side.followers]})  # fmt: skip
    assert bare.status_code == 201
    second = bare.json()["object"]["id"]
    await side.settle()
    shown = await ben.person.status(second)
    assert shown is not None and (plain(shown), shown["spoiler_text"], shown["visibility"]) == (
        "as *typed*", "careful", "private",
    )  # fmt: skip

    updated = await ana.does("Update", {"id": second, "content": "anew"})
    sent = (await side.gets())[0]
    assert (sent["id"], sent["type"]) == (updated, "Update"), "the id that was answered is the one that goes out"
    shown = await ben.person.status(second)
    assert shown is not None and (plain(shown), shown["spoiler_text"]) == ("anew", "careful"), "the rest stays (6.3)"
    await ana.does("Update", {"id": second, "summary": None})
    await side.settle()
    shown = await ben.person.status(second)
    assert shown is not None and (plain(shown), shown["spoiler_text"]) == ("anew", "")

    gone = await ana.does("Delete", second)
    (sent,) = await side.gets()
    assert (sent["id"], sent["type"], sent["object"]["type"]) == (gone, "Delete", "Tombstone")
    assert await ben.person.status(second) is None
    assert (await ana.read(second, 410))["type"] == "Tombstone"
    assert (await ana.read(updated))["type"] == "Update" and (await ana.read(gone))["id"] == gone
    await ana.refused(404, {"type": "Delete", "object": second})


@pytest.mark.spec("R42")
async def test_only_those_who_are_addressed_get_it(side: Side) -> None:
    """Addressing decides, not the text; bto and bcc are used, and nobody is told of them."""
    ana, amy, ben = side.ana, side.amy, side.ben
    bea = await side.world.orgs[LAB].person("bea")
    link = f'<a href="{ben.person.iri}" class="mention">@<span>ben</span></a>'
    iri = await ana.note(
        f"<p>{link} and @amy: hush</p>", [ben.person.iri], bcc=[bea.iri], bto=amy.person.iri, sensitive=True
    )
    await side.settle()
    read = await ana.read(iri)
    assert (read["to"], read["cc"], read["source"]["content"]) == (
        [ben.person.iri], [], "@ben@lab.example and @amy: hush",
    )  # fmt: skip
    for client in (ben.person, bea, amy.person):
        shown = await client.status(iri)
        assert shown is not None and (shown["visibility"], shown["sensitive"]) == ("direct", True)
        assert [m["username"] for m in shown["mentions"]] == ["ben"]
        assert [kind for kind, _ in await client.notifications()][:1] == ["mention"], client.name
    # Nothing that anybody got or can read names those who got it blindly.
    sent = side.world.bodies_to(LAB)
    assert len(sent) == 2 and all("bcc" not in body and "bto" not in body["object"] for body in sent)
    texts = [json.dumps(body) for body in (*sent, read, (await amy.items(f"{amy.person.iri}/inbox"))[0])]
    assert not any(bea.iri in text or amy.person.iri in text for text in texts)
    # Only its author can hand a post to somebody, and only once.
    lab = side.world.orgs[LAB]
    bob, author = await lab.person("bob"), await lab.actor(ana.person.iri)
    assert author is not None
    handed = [await lab.write(blind.hand_to, ident, iri, bob.iri) for ident in (ben.person.id, author.id, author.id)]
    assert handed == [False, True, False]
    # Whoever is only named in the text is not meant.
    quiet = await ana.note("@amy is not asked", [side.followers])
    assert (await ana.read(quiet))["tag"] == [] and len(await amy.person.notifications()) == 1
    # An answer goes to whom it says, which is not always whom it answers; an edit adds nobody.
    asked = await ben.note("and?", [ana.person.iri])
    await side.settle()
    aside = await ana.note("between us, amy", [amy.person.iri], inReplyTo=asked)
    theirs = await ben.note("for all who follow", [f"{ben.person.iri}/followers"])
    await side.settle()
    mine = await ana.note("to mine", [side.followers], inReplyTo=theirs)
    assert ((await ana.read(mine))["to"], (await ana.read(mine))["cc"]) == ([side.followers], [])
    await ana.does("Update", {"id": mine, "content": "to mine alone"})
    assert (await ana.read(mine))["cc"] == []
    await ana.does("Update", {"id": aside, "content": "between us two, amy and @ben@lab.example"})
    await side.settle()
    assert await ben.person.status(aside) is None and (await ana.read(aside))["to"] == [amy.person.iri]
    stays = await ana.note("to nobody", [])
    assert (await ana.read(stays))["to"] == [] and await amy.person.status(stays) is None


async def test_what_cannot_be_addressed_is_refused_whole(side: Side) -> None:
    ana, ben, rows = side.ana, side.ben, side.ana.person.org.rows
    before = await rows()
    note = {"type": "Note", "content": "hello"}
    stranger = await ana.refused(403, {**note, "to": [PUBLIC, f"https://{EVIL}/users/eve"]})
    assert stranger["rule"] == "unlisted", stranger
    wrong: list[Any] = [
        [f"{ben.person.iri}/followers"], [f"{ana.person.iri}/inbox"], ["mailto:ben"], [17], {"id": {}},
        [f"https://{CLINIC}/users/nobody"], ["not an id"],
    ]  # fmt: skip
    for to in wrong:
        await ana.refused(422, {**note, "to": to})
    await ana.refused(422, {**note, "to": [ben.person.iri], "reach": "local"})
    await ana.refused(422, {**note, "to": [PUBLIC], "reach": [EVIL]})
    await ana.refused(422, {**note, "to": [PUBLIC], "bcc": [PUBLIC]})
    await ana.refused(422, {**note, "to": [PUBLIC], "bcc": [ben.person.iri]})
    await ana.refused(422, {**note, "to": [f"https://{CLINIC}/users/u{n}" for n in range(101)]})
    assert (await ana.refused(404, {**note, "to": [f"https://{LAB}/users/nobody"]}))["error"]
    assert await rows() == before
    await side.settle()
    assert side.world.internet.to(EVIL) == [] and side.world.bodies_to(LAB) == []


@pytest.mark.spec("R80", "R82")
async def test_local_only_never_leaves(side: Side) -> None:
    """Reach local, through every verb that could tell of it: no request, and no byte."""
    ana, amy = side.ana, side.amy
    iri = await ana.note("SECRETWORD", [PUBLIC], cc=[side.followers], reach="local")
    assert (await amy.read(iri))["content"] == "<p>SECRETWORD</p>"
    await ana.does("Update", {"id": iri, "content": "SECRETWORD again"})
    await ana.does("Add", iri, target=f"{ana.person.iri}/collections/featured")
    # Whoever it is addressed to on the way: nobody elsewhere is asked about for it, nor for what is another's.
    added = {"content": "x", "to": [PUBLIC, f"https://{LAB}/users/unknown"]}
    update = {"type": "Update", "object": {"id": iri, **added}}
    await ana.refused(422, update)
    await amy.refused(403, update)
    await amy.refused(404, {"type": "Update", "object": {"id": f"{iri}1", **added}})
    liked = await amy.does("Like", iri)
    shared = await amy.does("Announce", iri, to=[PUBLIC])
    await ana.note("SECRETWORD too", [PUBLIC], inReplyTo=iri)
    assert (await amy.read(liked))["object"] == iri and (await amy.read(shared))["object"] == iri
    await amy.does("Undo", liked)
    await amy.does("Undo", {"type": "Announce", "object": iri})
    await ana.does("Delete", iri)
    await side.settle()
    assert side.world.internet.sent == [] and side.world.answers == []


async def test_what_one_does_with_others_posts(side: Side) -> None:
    """Like, Announce, Undo of both, by id and by what it was; the partner is told under the ids that were answered."""
    ana, ben, amy = side.ana, side.ben, side.amy
    theirs = await ben.note("from the lab", [PUBLIC], cc=[f"{ben.person.iri}/followers"])
    await side.settle()
    liked = await ana.does("Like", theirs)
    assert await ana.does("Like", theirs) == liked, "the same thing twice is one"
    shared = await ana.does("Announce", theirs, to=[PUBLIC], cc=[side.followers])
    await side.settle()
    assert {(kind, who) for kind, who in await ben.person.notifications()} >= {
        ("favourite", "ana@clinic.example"), ("reblog", "ana@clinic.example"),
    }  # fmt: skip
    assert {body["id"] for body in side.world.bodies_to(LAB)} >= {liked, shared}
    undone = await ana.does("Undo", {"type": "Like", "object": theirs})
    again = await ana.does("Undo", shared)
    sent = {body["id"]: body for body in await side.gets(2)}
    assert sent.keys() == {undone, again}
    assert {sent[undone]["object"]["id"], sent[again]["object"]["id"]} == {liked, shared}
    shown = await ben.person.status(theirs)
    assert shown is not None and (shown["favourites_count"], shown["reblogs_count"]) == (0, 0)

    hidden = await ben.note("for ben alone", [])
    for iri in (hidden, f"https://{LAB}/users/ben/statuses/7", f"https://{CLINIC}/users/amy/statuses/7"):
        await ana.refused(404, {"type": "Like", "object": iri})
    private = await amy.note("mine", [f"{amy.person.iri}/followers"])
    await ana.refused(404, {"type": "Announce", "object": private, "to": [PUBLIC]})
    await ana.refused(404, {"type": "Undo", "object": liked})
    again = await ana.does("Announce", theirs, to=[PUBLIC])
    await amy.refused(404, {"type": "Undo", "object": again})
    assert (await ana.read(again))["type"] == "Announce"
    await ana.refused(422, {"type": "Announce", "object": theirs, "to": [ben.person.iri]})
    await ana.refused(422, {"type": "Announce", "object": theirs})
    assert (await ana.refused(403, {"type": "Like", "object": f"https://{EVIL}/1"}))["rule"] == "unlisted"
    amys = await amy.does("Like", theirs)
    await ana.refused(404, {"type": "Undo", "object": amys})
    await ana.refused(422, {"type": "Undo", "object": {"type": "Follow", "id": amys}})
    await ana.refused(403, {"type": "Undo", "object": {"type": "Like", "actor": amy.person.iri, "object": theirs}})


async def test_people_follow_answer_and_block(side: Side) -> None:
    ana, amy, ben = side.ana, side.amy, side.ben
    await amy.does(
        "Update", {"id": amy.person.iri, "manuallyApprovesFollowers": True, "name": "Amy", "summary": "<p>x</p>"}
    )
    actor = await ben.http.post("/api/activitypub/proxy", data={"id": amy.person.iri})
    assert (actor.json()["name"], actor.json()["manuallyApprovesFollowers"]) == ("Amy", True)
    asked = await ben.does("Follow", amy.person.iri)
    await side.settle()
    assert asked in {each.get("id") for each in await amy.items(f"{amy.person.iri}/inbox")}
    await ana.refused(404, {"type": "Accept", "object": asked})
    await amy.refused(422, {"type": "Accept", "object": {"type": "Follow", "id": asked, "actor": ana.person.iri}})
    await amy.refused(403, {"type": "Accept", "object": {"type": "Follow", "id": asked, "object": ana.person.iri}})
    accepted = await amy.does("Accept", {"type": "Follow", "actor": ben.person.iri, "object": amy.person.iri})
    await side.settle()
    assert (await ben.person.relationship(amy.person.handle))["following"]
    assert side.world.bodies_to(LAB)[-1]["id"] == accepted
    await ana.refused(404, {"type": "Reject", "object": asked})
    await amy.does("Reject", asked)
    await side.settle()
    assert not (await ben.person.relationship(amy.person.handle))["following"], "Reject also sends a follower away"
    await amy.refused(404, {"type": "Accept", "object": asked})
    anew = await ben.does("Follow", amy.person.iri)
    await side.settle()
    await amy.does("Accept", anew)
    await side.settle()
    assert (await ben.person.relationship(amy.person.handle))["following"]

    theirs = await ana.does("Follow", ben.person.iri)
    await amy.refused(404, {"type": "Undo", "object": theirs})
    undone = await ben.does("Undo", {"type": "Follow", "object": ana.person.iri})
    await side.settle()
    assert side.world.bodies_to(CLINIC)[-1]["id"] == undone
    assert not (await ana.person.relationship(ben.person.handle))["followed_by"]
    blocked = await ana.does("Block", ben.person.iri)
    await side.settle()
    assert (await ana.person.relationship(ben.person.handle))["blocking"]
    assert blocked in {body["id"] for body in side.world.bodies_to(LAB)}
    await ben.refused(403, {"type": "Follow", "object": ana.person.iri})
    await ana.refused(404, {"type": "Undo", "object": f"{ana.person.iri}/blocks/7"})
    await amy.refused(404, {"type": "Undo", "object": {"type": "Block", "object": ben.person.iri}})
    await ana.does("Undo", blocked)
    assert not (await ana.person.relationship(ben.person.handle))["blocking"]
    await ana.refused(403, {"type": "Follow", "object": ana.person.iri})
    await ana.refused(404, {"type": "Follow", "object": f"https://{CLINIC}/users/nobody"})
    await ana.refused(403, {"type": "Delete", "object": ana.person.iri})
    await ana.refused(422, {"type": "Update", "object": {"id": ana.person.iri, "publicKey": {}}})


@pytest.mark.spec("R88", "R89", "R107")
async def test_questions_votes_and_pins(side: Side) -> None:
    ana, amy, ben = side.ana, side.amy, side.ben
    options = [{"type": "Note", "name": "tea"}, {"type": "Note", "name": "milk"}]
    iri = await ana.does(
        "Create", {"type": "Question", "content": "What?", "anyOf": options, "to": [PUBLIC], "cc": side.followers}
    )
    iri = iri.removesuffix("/activity")
    await side.settle()
    voted = await ben.does("Create", {"type": "Note", "name": ["milk", "tea"], "inReplyTo": iri, "to": ana.person.iri})
    await amy.does("Create", {"type": "Note", "name": "tea", "inReplyTo": iri})
    await side.settle()
    poll = await ana.read(iri)
    assert [each["replies"]["totalItems"] for each in poll["anyOf"]] == [2, 1] and poll["votersCount"] == 2
    assert (await ben.read(voted))["object"]["name"] == "tea", "the first of the two"
    assert (await ana.person.fetch(voted)).json["id"] == voted, "whom it was sent to may read it"
    for name in ("tea", "coffee"):
        await amy.refused(422, {"type": "Note", "name": name, "inReplyTo": iri})
    await ana.refused(422, {"type": "Note", "name": "tea", "inReplyTo": iri})
    await ana.refused(422, {"type": "Question", "content": "?", "to": [PUBLIC]})
    await ana.refused(422, {"type": "Question", "content": "?", "oneOf": options[:1]})
    await ana.refused(422, {"type": "Question", "content": "?", "oneOf": options, "endTime": "2020-01-01T00:00:00Z"})
    await ana.refused(422, {"type": "Update", "object": {"id": iri, "type": "Note", "content": "no poll"}})

    featured = f"{ana.person.iri}/collections/featured"
    added = await ana.does("Add", iri, target=featured)
    assert (await side.gets())[0]["id"] == added
    assert [each["id"] for each in (await amy.read(featured))["orderedItems"]] == [iri]
    await amy.refused(403, {"type": "Remove", "object": iri, "target": featured})
    await amy.refused(403, {"type": "Add", "object": iri, "target": f"{amy.person.iri}/collections/featured"})
    hers = await amy.note("hers", [PUBLIC])
    for target in (featured, f"{ana.person.iri}/collections/tags", f"{amy.person.iri}/followers"):
        await amy.refused(403, {"type": "Add", "object": hers, "target": target})
    await ana.does("Remove", iri, target=featured)
    assert (await amy.read(featured))["totalItems"] == 0
    tags = f"{ana.person.iri}/collections/tags"
    await ana.does("Add", {"type": "Hashtag", "name": "#Tea"}, target=tags)
    assert [each["name"] for each in (await amy.read(tags))["items"]] == ["#tea"]
    await ana.refused(422, {"type": "Add", "object": {"type": "Hashtag", "name": "no tag"}, "target": tags})
    await ana.does("Remove", {"type": "Hashtag", "name": "#tea"}, target=tags)
    assert (await amy.read(tags))["items"] == []


async def test_inbox_and_outbox_are_read_with_a_token(either: Side) -> None:
    """5.1, 5.2: one's own whole, others' as far as they are for one, stable pages; partners see what they saw."""
    side = either
    ana, amy, ben = side.ana, side.amy, side.ben
    public = await ana.note("for all", [PUBLIC], cc=[side.followers])
    private = await ana.note("for followers", [side.followers])
    direct = await ana.note("for amy", [amy.person.iri])
    local = await ana.note("inside", [PUBLIC], reach="local")
    theirs = await ben.note("hello ana", [ana.person.iri])
    shared = await ben.does("Announce", public, to=[PUBLIC])
    liked = await ben.does("Like", public)
    followed = await amy.does("Follow", ana.person.iri)
    await side.settle()
    outbox = f"{ana.person.iri}/outbox"
    assert [each["object"]["id"] for each in await ana.items(outbox)] == [local, direct, private, public]
    assert [each["object"]["id"] for each in await amy.items(outbox)] == [local, direct, private, public]
    await amy.does("Undo", followed)
    assert [each["object"]["id"] for each in await amy.items(outbox)] == [local, direct, public]
    said = await ben.person.fetch(f"{outbox}?page=true")
    assert [each["object"]["id"] for each in said.json["orderedItems"]] == [public], "what partners see is as before"
    assert (await ben.person.fetch(local)).status == 404 and (await ben.person.fetch(public)).status == 200

    await amy.does("Follow", ana.person.iri)
    inbox = await ana.items(f"{ana.person.iri}/inbox")
    seen = [(each["type"], each.get("id") or each["object"]["id"]) for each in inbox]
    assert {("Like", liked), ("Announce", shared), ("Create", theirs)} <= set(seen) and len(set(seen)) == len(seen)
    assert seen[0][0] == "Follow" and all(each["actor"] != ana.person.iri for each in inbox)
    first = await ana.read(f"{ana.person.iri}/inbox?page=true")
    assert first["type"] == "OrderedCollectionPage" and "totalItems" not in first
    for name in ("amy", "nobody"):
        await ana.read(f"/users/{name}/inbox", 404)
    assert (await ben.person.fetch(f"{ana.person.iri}/inbox")).status == 401

    for part in ("replies", "likes", "shares"):
        assert (await amy.read(f"{public}/{part}"))["id"] == f"{public}/{part}"
    answered = await amy.note("yes", [PUBLIC], inReplyTo=public)
    await amy.note("not for ana", [], inReplyTo=public)
    assert (await ana.read(f"{public}/replies"))["orderedItems"] == [answered]
    assert (await ana.read(f"{public}/activity"))["type"] == "Create"
    people: list[Any] = await ana.items(side.followers)
    assert set(people) == {amy.person.iri, ben.person.iri}
    await amy.read(theirs.replace(LAB, CLINIC), 404)
    stranger = await ana.http.get(public, headers={"authorization": "Bearer x", "accept": TYPE})
    assert stranger.status_code == 401

    # From other origins, with a token; and the question before it.
    asked = await ana.http.get(public)
    assert (
        asked.headers["access-control-allow-origin"] == "*"
        and "Location" in asked.headers["access-control-expose-headers"]
    )
    preflight = await ana.http.options(ana.outbox, headers={"origin": "https://app.example"})
    assert preflight.status_code == 204 and "Authorization" in preflight.headers["access-control-allow-headers"]
    signed = await ben.person.fetch(public)
    assert "access-control-allow-origin" not in signed.headers


async def test_both_ways_end_in_the_same_post(either: Side) -> None:
    """One implementation: the rows and the deliveries of the client API's post and of the outbox's are equal."""
    side, ana, ben = either, either.ana, either.ben
    uploaded = [await ana.http.post("/api/v2/media", files={"file": ("a.gif", GIF, "image/gif")}) for _ in range(2)]
    media = [answer.json()["id"] for answer in uploaded]
    ids = [f"https://{CLINIC}/api/activitypub/media/{ident}" for ident in media]
    anybody = {"canQuote": {"automaticApproval": [PUBLIC]}}
    parent = await ben.note("ask", [PUBLIC], cc=[f"{ben.person.iri}/followers"], interactionPolicy=anybody)
    await side.settle()
    post = await ana.person.org.post(parent)
    assert post is not None
    html = f'<p>Hi <a href="{ben.person.iri}">@ben</a><br>see <a href="https://a.example/b">a.example/b</a> #tea</p>'
    text = "Hi @ben@lab.example\nsee https://a.example/b #tea"
    common = {"status": text, "language": "en"}
    cases: list[tuple[Json, Json]] = [
        ({"visibility": "public"}, {"to": [PUBLIC], "cc": [side.followers, ben.person.iri]}),
        ({"visibility": "unlisted", "spoiler_text": "tea"},
         {"to": side.followers, "cc": [PUBLIC, ben.person.iri], "summary": "tea"}),
        ({"visibility": "private", "sensitive": True}, {"to": [side.followers, ben.person.iri], "sensitive": True}),
        ({"visibility": "direct"}, {"to": [ben.person.iri]}),
        ({"visibility": "public", "in_reply_to_id": str(post.id)},
         {"to": [PUBLIC], "cc": [side.followers, ben.person.iri], "inReplyTo": parent}),
        ({"visibility": "public", "poll": {"options": ["a", "b"], "expires_in": 86400}},
         {"to": [PUBLIC], "cc": [ben.person.iri], "type": "Question",
          "oneOf": [{"type": "Note", "name": "a"}, {"type": "Note", "name": "b"}]}),
        ({"visibility": "public", "quote_approval_policy": "followers"},
         {"to": [PUBLIC], "cc": [ben.person.iri], "interactionPolicy": {"canQuote": {"always": side.followers}}}),
        ({"visibility": "unlisted", "quoted_status_id": str(post.id), "quote_approval_policy": "nobody"},
         {"to": [], "cc": [PUBLIC, ben.person.iri], "quoteUri": parent, "interactionPolicy": {"canQuote": {}}}),
        ({"visibility": "direct", "quoted_status_id": str(post.id)}, {"to": [ben.person.iri], "quote": parent}),
        ({"visibility": "public", "media_ids": media[:1]},
         {"to": [PUBLIC], "cc": [ben.person.iri], "attachment": ids[1:]}),
    ]  # fmt: skip
    for theirs, ours in cases:
        said = await ana.person.say(**{**common, **theirs, "text": text})
        one = await _sent(side)
        iri = await ana.note(html, ours.pop("to"), **{"contentMap": {"en": html}, **ours})
        other = await _sent(side)
        rows = [(await ana.person.org.all(ROW, iri=each))[0] for each in (said["uri"], iri)]
        assert _alike(rows[0]) == _alike(rows[1]), theirs
        assert _shape(one) == _shape(other), theirs
    edits: list[tuple[Json, Json]] = [
        ({"status": "neu @ben@lab.example", "language": "de"},
         {"contentMap": {"de": f'neu <a href="{ben.person.iri}">@ben</a>'}}),
        ({"status": text, "spoiler_text": "cw", "sensitive": True}, {"summary": "cw", "sensitive": True}),
        ({"status": text, "quote_approval_policy": "nobody"}, {"interactionPolicy": None}),
    ]  # fmt: skip
    for theirs, ours in edits:
        said = await ana.person.say(text, language="en", spoiler_text="old")
        await _sent(side)
        iri = await ana.note(html, [PUBLIC], cc=[side.followers, ben.person.iri],
                             **{"contentMap": {"en": html}, "summary": "old"})  # fmt: skip
        fields: Json = {"spoiler_text": "old", "language": "en", **theirs}
        await ana.person.edit(said, fields.pop("status"), **fields)
        await ana.does("Update", {"id": iri, **ours})
        rows = [(await ana.person.org.all(ROW, iri=each))[0] for each in (said["uri"], iri)]
        assert _alike(rows[0]) == _alike(rows[1]), theirs
    again = {"type": "Note", "content": "once", "to": [PUBLIC]}
    made = [(await ana.post(again, **{"idempotency-key": "k1"})).headers["location"] for _ in range(2)]
    assert made[0] == made[1]


async def _sent(side: Side) -> list[Json]:
    """What the lab was sent since it was asked last, without what follows from the lab's own answers."""
    await side.settle()
    found = [body for body in side.world.bodies_to(LAB) if body["type"] in ("Create", "QuoteRequest")]
    side.world.internet.forget()
    assert found, "something goes out"
    return sorted(found, key=lambda body: str(body["type"]))  # what is said and what is asked go their own ways


def _alike(row: Any) -> list[Any]:
    """A row without what differs between two uploads and two moments."""
    extra = json.loads(row[7])
    for each in extra.get("attachments", ()):
        each.pop("url"), each.pop("id"), each.pop("preview_url", None)
    if "poll" in extra:
        extra["poll"]["ends_at"] //= 60_000
    return [*row[:7], extra, *row[8:]]


def _shape(document: Any, name: str = "") -> Any:
    """A document without ids, dates and proofs."""
    if isinstance(document, dict):
        skipped = ("id", "published", "proof", "url", "endTime", "replies", "likes", "shares", "instrument")
        return {key: _shape(value, key) for key, value in document.items() if key not in skipped}
    return [_shape(each) for each in document] if isinstance(document, list) else document


async def test_uploads_become_attachments(side: Side) -> None:
    """uploadMedia of the actor's endpoints: 201, an id, and one's own alone."""
    ana, amy = side.ana, side.amy
    endpoints = (await ana.read(ana.person.iri))["endpoints"]
    assert endpoints == {
        "sharedInbox": f"https://{CLINIC}/inbox", "proxyUrl": f"https://{CLINIC}/api/activitypub/proxy",
        "uploadMedia": f"https://{CLINIC}/api/activitypub/media",
        "oauthAuthorizationEndpoint": f"https://{CLINIC}/oauth/authorize",
        "oauthTokenEndpoint": f"https://{CLINIC}/oauth/token",
    }  # fmt: skip
    file = {"file": ("a.gif", GIF, "image/gif")}
    said = {"object": json.dumps({"type": "Image", "name": "a dot"})}
    made = await ana.http.post(endpoints["uploadMedia"], files=file, data=said)
    assert made.status_code == 201 and made.json()["id"] == made.headers["location"]
    assert (made.json()["type"], made.json()["name"]) == ("Image", "a dot")
    assert (await ana.http.get((await ana.read(made.headers["location"]))["url"])).status_code == 200
    await amy.read(made.headers["location"], 404)
    await amy.refused(422, {"type": "Note", "content": "x", "attachment": [made.headers["location"]], "to": [PUBLIC]})
    iri = await ana.note(
        "see", [PUBLIC], cc=[side.followers], attachment=[{"type": "Image", "id": made.headers["location"]}]
    )
    await side.settle()
    shown = await side.ben.person.status(iri)
    assert shown is not None and shown["media_attachments"][0]["description"] == "a dot"
    for files, data in (
        ({"file": ("a.gif", b"no picture", "image/gif")}, said), ({}, said), (file, {"object": "[1]"}),
        (file, {"object": '{"name":{}}'}), (file, {"object": "{" * 9}), (file, {"object": '{"name":"a","name":"b"}'}),
    ):  # fmt: skip
        answer = await ana.http.post(endpoints["uploadMedia"], files=files, data=data)
        assert answer.status_code in (400, 422) and answer.json()["error"], (files, data)


async def test_the_proxy_reads_partners_and_nobody_else(side: Side) -> None:
    ana, amy, ben = side.ana, side.amy, side.ben
    public = await ben.note("for all", [PUBLIC], cc=[f"{ben.person.iri}/followers"], reach="partners")
    direct = await ben.note("for ana", [ana.person.iri])
    unseen = await ben.note("for nobody", [])
    mine = await ana.note("inside", [amy.person.iri], reach="local")
    await side.settle()

    async def ask(client: Client, iri: str, status: int) -> Json:
        answer = await client.http.post("/api/activitypub/proxy", data={"id": iri})
        assert answer.status_code == status, (iri, answer.text)
        assert answer.headers["access-control-allow-origin"] == "*"
        found: Json = answer.json()
        return found

    assert (await ask(ana, public, 200))["content"] == "<p>for all</p>"
    assert (await ask(ana, ben.person.iri, 200))["preferredUsername"] == "ben"
    outbox = await ask(ana, f"{ben.person.iri}/outbox?page=true", 200)
    assert outbox["orderedItems"] == [f"{public}/activity"], "embedded objects as their ids"
    before = len(side.world.internet.sent)
    assert (await ask(amy, mine, 200))["content"] == "<p>inside</p>"
    assert (await ask(ana, f"{ana.person.iri}/outbox", 200))["totalItems"] == 1
    await ask(amy, direct, 404)
    await ask(amy, f"{ana.person.iri}/inbox", 404)
    assert (await ask(ana, f"https://{EVIL}/1", 403))["rule"] == "unlisted"
    await ask(ana, "https://127.0.0.1/1", 403)
    assert len(side.world.internet.sent) == before, "nobody was asked"
    for iri, status in ((unseen, 404), (f"https://{LAB}/api/v2/instance", 502), (f"https://{LAB}/nothing", 404)):
        await ask(ana, iri, status)
    for data in ({}, {"id": ""}, {"id": "x"}, {"id": [public, public]}, {"id": "file:///etc/passwd"}):
        assert (await ana.http.post("/api/activitypub/proxy", data=data)).status_code in (400, 422), data
    answer = await ana.http.post("/api/activitypub/proxy", json={"id": public})
    assert answer.status_code == 400
    narrow = await app_of(ana, "read:accounts")
    await ask(narrow, public, 403)
    await ask(narrow, mine, 403)
    await ask(narrow, ben.person.iri, 200)
