"""ActivityPub's client side: quotes with consent, who may quote, taking that back; null; keys against doing twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fedishare.activitypub import client_effects, client_reading
from fedishare.activitypub.client_doing import Context
from fedishare.activitypub.client_wishes import Me
from fedishare.activitypub.jsonld import format_time
from fedishare.activitypub.reader_values import Reading
from fedishare.model.ids import Iri, Millis
from fedishare.model.posts import LOCAL
from tests.store.conftest import postgres_template, schema_url
from tests.support.client_side import CLINIC, EVIL, GRIM, LAB, PUBLIC, Client, Side, new_side
from tests.support.instances import remote_actor
from tests.support.world import Json, plain

__all__ = ["postgres_template", "schema_url"]
ANYBODY: Json = {"interactionPolicy": {"canQuote": {"automaticApproval": [PUBLIC]}}}
NOBODY: Json = {"interactionPolicy": {"canQuote": {"automaticApproval": []}}}


@pytest.fixture
async def side(tmp_path: Path, schema_url: str) -> AsyncIterator[Side]:
    """On each engine."""
    async with new_side(tmp_path, schema_url if schema_url.startswith("postgresql") else None) as made:
        yield made


@pytest.mark.spec("R95", "R96", "R99", "R100")
async def test_a_quote_is_asked_for_shown_and_taken_back(side: Side) -> None:
    """Create with quote, in any spelling; the policy said with a post, and changed; Delete of the authorization."""
    ana, amy, ben = side.ana, side.amy, side.ben
    theirs = await ben.note("quote me", [PUBLIC], cc=[f"{ben.person.iri}/followers"], reach="partners", **ANYBODY)
    await side.settle()
    iri = await ana.note("look", [PUBLIC], cc=[side.followers], quote=theirs, quoteUrl=theirs)
    await side.settle()
    for client in (ana, ben):
        shown = await client.person.status(iri)
        assert shown is not None and shown["quote"]["state"] == "accepted", client.person.name
        assert shown["quote"]["quoted_status"]["uri"] == theirs
    stamp = (await ana.read(iri))["quoteAuthorization"]
    await ana.refused(404, {"type": "Delete", "object": stamp})
    for change in ({"quote": None}, {"quote": iri}, {"quoteUri": iri}):
        await ana.refused(422, {"type": "Update", "object": {"id": iri, "content": "changed", **change}})
    await ana.does("Update", {"id": iri, "content": "look here", "quote": theirs})
    gone = await ben.does("Delete", {"type": "QuoteAuthorization", "id": stamp})
    await side.settle()
    (told,) = [body for body in side.world.bodies_to(CLINIC) if body["type"] == "Delete"]
    assert (told["id"], told["object"]["type"], told["object"]["id"]) == (gone, "QuoteAuthorization", stamp)
    shown = await ana.person.status(iri)
    assert shown is not None and shown["quote"]["state"] == "revoked" and plain(shown).endswith("look here")
    await ben.refused(404, {"type": "Delete", "object": stamp})

    # Here, and with the older spellings: decided at once.
    hers = await amy.note("me too", [PUBLIC], reach="local", **ANYBODY)
    mine = await ana.note("hers", [PUBLIC], _misskey_quote=hers, reach="local")
    approval = (await ana.read(mine))["quoteAuthorization"]
    assert approval.startswith(f"{amy.person.iri}/quote_authorizations/")
    assert (await ana.read(approval))["interactingObject"] == mine and await amy.read(approval)
    secret = await ana.note("@amy look", [amy.person.iri], quote=hers, reach="local")
    given = (await ana.read(secret))["quoteAuthorization"]
    assert await ana.read(given) and await amy.read(given)
    cy = await side.world.orgs[CLINIC].person("cy")
    await Client(cy, cy.client).read(approval)
    await Client(cy, cy.client).read(given, 404)
    await ana.read(approval.replace("/amy/", "/ana/"), 404)
    before = await ana.person.org.rows()
    for client in (ana, ben):
        await client.refused(404, {"type": "Delete", "object": approval})
    for client in (amy, ana):
        await client.refused(404, {"type": "Delete", "object": approval.replace("/amy/", "/ana/")})
    await amy.refused(404, {"type": "Delete", "object": f"{amy.person.iri}/quote_authorizations/7"})
    assert await ana.person.org.rows() == before
    sent = len(side.world.internet.sent)
    await amy.does("Delete", approval)
    await amy.read(approval, 404)
    shown = await ana.person.status(mine)
    assert shown is not None and shown["quote"]["state"] == "revoked"
    await side.settle()
    assert len(side.world.internet.sent) == sent, "what stays here is told nobody"


async def test_a_quote_is_for_whom_it_quotes_and_no_wider_than_that(side: Side) -> None:
    """Where posts stay here unless somebody says otherwise; and what is quoted narrows before anybody is refused."""
    ana, ben, org = side.ana, side.ben, side.ana.person.org
    theirs = await ben.note("quote me", [PUBLIC], cc=[f"{ben.person.iri}/followers"], reach="partners", **ANYBODY)
    await side.settle()
    instance, me = org.server.instance, Iri(ana.person.iri)
    context = Context(replace(instance.site, default_reach=LOCAL), instance.guard)
    ids = Me(me, Iri(side.followers), Iri(f"{me}/collections/featured"), Iri(f"{me}/collections/tags"))
    for extra, domains in (({"quote": theirs}, {LAB}), ({}, set())):
        document: Json = {"type": "Note", "content": "x", "to": [PUBLIC], **extra}
        wish = client_reading.read(document, ids, Reading(instance.site.names, instance.clock()))
        made = await org.write(client_effects.perform, context, ana.person.id, wish)
        post = await org.post(made.document["object"]["id"])
        assert post is not None and set(post.reach.domains or ()) == domains
    # This partner gets nothing wider than followers-only posts, which a quote of one is.
    side.world.internet.answer(GRIM, 202)
    gil = await org.write(remote_actor, "gil", GRIM)
    note: Json = {"type": "Note", "content": "x", "to": [PUBLIC], "cc": [gil.iri]}
    await ana.refused(403, note)
    private = await ana.note("for mine", [side.followers])
    quoting = await ana.post({**note, "quote": private})
    assert quoting.status_code == 201 and quoting.json()["to"] == [side.followers], quoting.text


async def test_what_may_not_be_quoted_publishes_nothing(side: Side) -> None:
    ana, amy, ben = side.ana, side.amy, side.ben
    closed = await amy.note("not me", [PUBLIC], **NOBODY)
    hidden = await amy.note("mine", [], **ANYBODY)
    private = await amy.note("ours", [f"{amy.person.iri}/followers"], **ANYBODY)
    theirs = await ben.note("theirs", [PUBLIC], cc=[f"{ben.person.iri}/followers"], reach="partners", **NOBODY)
    asked = await ben.note("ask", [PUBLIC], cc=[f"{ben.person.iri}/followers"], reach="partners", **ANYBODY)
    await side.settle()
    before, note = await ana.person.org.rows(), {"type": "Note", "content": "x", "to": [PUBLIC]}
    sent = len(side.world.internet.sent)
    for quoted in (closed, hidden, private, theirs, f"{amy.person.iri}/statuses/7", amy.person.iri):
        await ana.refused(404, {**note, "quote": quoted})
    assert (await ana.refused(403, {**note, "quote": f"https://{EVIL}/1"}))["rule"] == "unlisted"
    wrong: list[Json] = [
        {"quote": asked, "reach": "local"}, {"quote": f"https://{LAB}/users/ben/statuses/9", "reach": "local"},
        {"quote": asked, "quoteUri": closed}, {"quote": [asked, closed]}, {"quote": 7}, {"quote": {}},
        {"quote": asked, "to": [amy.person.iri]}, {"interactionPolicy": "anybody"},
        {"interactionPolicy": {"canQuote": {"automaticApproval": [amy.person.iri]}}},
        {"interactionPolicy": {"canQuote": {"manualApproval": [PUBLIC]}}},
        {"interactionPolicy": {"canQuote": {"automaticApproval": [{}]}}}, {"interactionPolicy": {"canQuote": "x"}},
        {"interactionPolicy": {"canReply": {"automaticApproval": []}}}, {"interactionPolicy": {"canVote": {}}},
        {"sensitive": "yes"},
    ]  # fmt: skip
    for each in wrong:
        answer = await ana.post({**note, **each})
        assert answer.status_code in (400, 422), (each, answer.text)
    await ana.refused(404, {**note, "inReplyTo": f"https://{LAB}/users/ben/statuses/9", "reach": "local"})
    assert await ana.person.org.rows() == before
    await side.settle()
    assert len(side.world.internet.sent) == sent, "nobody was asked"

    async def policy(iri: str) -> Any:
        return (await amy.read(iri))["interactionPolicy"]["canQuote"]["automaticApproval"]

    followers = f"{amy.person.iri}/followers"
    assert await policy(closed) == [amy.person.iri]
    for said, becomes in (
        ({"canQuote": {"always": PUBLIC, "approvalRequired": []}}, [PUBLIC]),
        ({"canQuote": {"automaticApproval": [followers, amy.person.iri]}, "canLike": {"always": "as:Public"}},
         [followers]),
        (None, [amy.person.iri]), ({"canQuote": {"automaticApproval": ["as:Public", followers]}}, [PUBLIC]),
        ({"canQuote": None}, [amy.person.iri]),
    ):  # fmt: skip
        await amy.does("Update", {"id": closed, "interactionPolicy": said})
        assert await policy(closed) == becomes, said
    assert plain(await shown_to(ana, closed)) == "not me", "and nothing else changed"


async def shown_to(client: Any, iri: str) -> Json:
    """A post that somebody sees."""
    found = await client.person.status(iri)
    assert found is not None
    return dict(found)


async def test_null_removes_what_can_be_removed(side: Side) -> None:
    """6.3: null for a property takes that one, and the rest stays."""
    ana, ben = side.ana, side.ben
    iri = await ana.note("moin", [PUBLIC], cc=[side.followers], contentMap={"de": "moin"}, summary="cw",
                         summaryMap={"de": "cw"}, sensitive=True)  # fmt: skip

    async def facts() -> tuple[Any, ...]:
        await side.settle()
        found = await shown_to(ben, iri)
        return plain(found), found["spoiler_text"], found["sensitive"], found["language"]

    assert await facts() == ("moin", "cw", True, "de")
    await ana.does("Update", {"id": iri, "summaryMap": None})
    assert await facts() == ("moin", "cw", True, "de"), "the language of a warning is the post's"
    await ana.does("Update", {"id": iri, "summary": None})
    assert await facts() == ("moin", "", True, "de")
    await ana.does("Update", {"id": iri, "sensitive": None})
    assert await facts() == ("moin", "", False, "de")
    await ana.does("Update", {"id": iri, "contentMap": None})
    assert await facts() == ("moin", "", False, None)
    assert "contentMap" not in await ana.read(iri)
    await ana.does("Update", {"id": iri, "contentMap": {"en": "hello"}})
    assert await facts() == ("hello", "", False, "en")
    for each in ({"content": None}, {"sensitive": 1}, {"endTime": "2030-01-01T00:00:00Z"}, {"to": [side.followers]}):
        await ana.refused(422, {"type": "Update", "object": {"id": iri, **each}})
    poll = [{"type": "Note", "name": "a"}, {"type": "Note", "name": "b"}]
    asked = await ana.does("Create", {"type": "Question", "content": "?", "oneOf": poll, "to": [PUBLIC]})
    question, week = asked.removesuffix("/activity"), side.world.clock() + 7 * 86_400_000
    moment = format_time(Millis(week))
    await ana.refused(422, {"type": "Update", "object": {"id": question, "endTime": None}})
    await ana.does("Update", {"id": question, "endTime": moment})
    assert (await ana.read(question))["endTime"][:16] == moment[:16]
