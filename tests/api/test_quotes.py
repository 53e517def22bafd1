"""Quotes among people of one house, and of partners' posts: consent, privacy, counts, and what apps are shown."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from fedishare.model.ids import Id, Iri
from fedishare.model.posts import Post, Visibility
from fedishare.model.quotes import ANYBODY, OPEN, Consent, Group, Interaction, Quote, QuoteState, Rule, with_rule
from fedishare.services import accounts, quotes
from fedishare.store import credentials, posts
from fedishare.store import quotes as rows
from fedishare.store.db import Tx
from tests.api.mastodon import Status
from tests.support.instances import House
from tests.support.world import Json, Person

MISSING = "The post you are trying to quote does not appear to exist."
TO_ANYBODY = with_rule(OPEN, Interaction.QUOTE, ANYBODY)


async def quote(person: Person, status: Json | Post, text: str = "look", expected: int = 200, **fields: Any) -> Json:
    """Quote something."""
    ident = status["id"] if isinstance(status, dict) else str(status.id)
    found: Json = await person.do("/api/v1/statuses", expected, status=text, quoted_status_id=ident, **fields)
    return found


async def seen(person: Person, status: Json) -> Json:
    """A status as somebody sees it."""
    found: Json = await person.get(f"/api/v1/statuses/{status['id']}")
    msgspec.convert(found, Status)
    return found


async def state(person: Person, status: Json) -> str:
    """What has become of a status' quote, for somebody."""
    found: str = (await seen(person, status))["quote"]["state"]
    return found


def set_policy(tx: Tx, ident: Id, policy: int) -> None:
    """What a partner's post says about interactions."""
    rows.set_policy(tx, ident, policy)


@pytest.mark.spec("R96")
async def test_a_quote_is_shown_with_what_it_quotes(both: House) -> None:
    first = await both.ana.say("the first")
    assert first["quote"] is None
    assert first["quote_approval"] == {"automatic": ["public"], "manual": [], "current_user": "automatic"}
    made = await quote(both.ben, first)
    assert made["quote"]["state"] == "accepted"
    assert made["quote"]["quoted_status"]["content"] == "<p>the first</p>"
    assert f'<p class="quote-inline"><span class="quote-inline">RE: <a href="{first["url"]}"' in made["content"]
    again = await quote(both.ana, made)  # and of that: what it quotes is only named
    inner = again["quote"]["quoted_status"]
    assert inner["id"] == made["id"]
    assert inner["quote"] == {"state": "accepted", "quoted_status_id": first["id"]}
    assert (await seen(both.cy, first))["quotes_count"] == 1
    assert (await both.ana.notifications())[0] == ("quote", "ben")
    own = await quote(both.ana, first, "myself")
    assert own["quote"]["state"] == "accepted"
    assert [s["id"] for s in await both.cy.get(f"/api/v1/statuses/{first['id']}/quotes")] == [own["id"], made["id"]]
    older = await both.cy.get(f"/api/v1/statuses/{first['id']}/quotes", max_id=own["id"])
    assert [s["id"] for s in older] == [made["id"]]
    await both.ana.do(f"/api/v1/statuses/{made['id']}/reblog")  # boosting changes no count of quotes
    boosted = next(s for s in await both.ana.home() if s["reblog"] is not None)
    assert boosted["quote"] is None
    assert boosted["reblog"]["quote"]["state"] == "accepted"
    await both.ben.edit(made, "edited", quoted_status_id=first["id"])
    edited = await seen(both.cy, made)
    assert edited["quote"]["state"] == "accepted"
    assert (await seen(both.cy, first))["quotes_count"] == 2
    history = await both.cy.get(f"/api/v1/statuses/{made['id']}/history")
    assert [version["quote"]["state"] for version in history] == ["accepted", "accepted"]
    await both.ana.edit(first, "the first, corrected")
    assert ("quoted_update", "ana") in await both.ben.notifications()
    await both.ben.delete(made)
    assert (await seen(both.cy, first))["quotes_count"] == 1
    assert await state(both.ana, again) == "deleted"
    assert (await seen(both.ana, again))["quote"]["quoted_status"] is None
    await both.ana.delete(first)
    assert await state(both.ana, own) == "deleted"


@pytest.mark.spec("R100")
async def test_the_author_says_who_may_quote(home: House) -> None:
    await home.ben.do(f"/api/v1/accounts/{home.ana.id}/follow")
    nobody = await home.ana.say("no", quote_approval_policy="nobody")
    followers = await home.ana.say("some", quote_approval_policy="followers")
    for person, status, said in (
        (home.ben, nobody, "denied"), (home.ana, nobody, "automatic"), (home.ben, followers, "automatic"),
        (home.cy, followers, "denied"),
    ):  # fmt: skip
        assert (await seen(person, status))["quote_approval"]["current_user"] == said
        made = await quote(person, status, expected=200 if said == "automatic" else 404)
        assert (made.get("error") == MISSING) is (said == "denied")
    path = f"/api/v1/statuses/{nobody['id']}/interaction_policy"
    await home.ben.do(path, 404, "PUT", quote_approval_policy="public")
    await home.ana.do(path, 422, "PUT", quote_approval_policy="friends")
    changed = await home.ana.do(path, 200, "PUT", quote_approval_policy="public")
    assert changed["quote_approval"]["automatic"] == ["public"]
    await quote(home.cy, nobody)
    await home.ana.edit(nobody, "no", quote_approval_policy="nobody")
    await quote(home.cy, nobody, expected=404)
    patch = "/api/v1/accounts/update_credentials"
    await home.ana.do(patch, 200, "PATCH", source={"quote_policy": "followers"})
    assert (await home.ana.say("by default"))["quote_approval"]["automatic"] == ["followers"]
    # A private post is quoted by its author alone, and a direct one by nobody, whatever the app asks for.
    private = await home.ana.say("p", visibility="private", quote_approval_policy="public")
    assert (await seen(home.ben, private))["quote_approval"] == {
        "automatic": [], "manual": [], "current_user": "denied"
    }  # fmt: skip
    await quote(home.ben, private, expected=404)
    narrowed = await quote(home.ana, private, visibility="public")
    assert narrowed["visibility"] == "private"
    assert narrowed["fedishare"]["narrowed"] == ["visibility is private, because the post that it quotes is"]
    direct = await home.ana.say("@ben d", visibility="direct")
    await quote(home.ana, direct, expected=404)
    await quote(home.ben, {"id": "1"}, expected=404)
    await quote(home.ben, {"id": "x"}, expected=404)


async def test_a_quote_never_reaches_further_than_what_it_quotes(home: House) -> None:
    inside = await home.ana.say("inside", reach="local")
    found = await quote(home.ben, inside, reach="partners")
    assert found["local_only"] is True
    assert found["fedishare"]["narrowed"] == ["a quote never reaches further than what it quotes"]
    narrow = await quote(home.ben, await home.ana.say("to one", reach=["lab.example"]), reach="partners")
    assert narrow["reach"] == ["lab.example"]
    # A direct post quotes somebody else only if it is for them.
    refused = await quote(home.ben, inside, "@cy look", 422, visibility="direct")
    assert refused["error"] == "Validation failed: Cannot quote a non-mentioned user in a Private Mention post."
    assert (await quote(home.ben, inside, "@ana look", visibility="direct"))["quote"]["state"] == "accepted"
    preview = await home.ben.do(
        "/api/v1/fedishare/audience", status="x", quoted_status_id=inside["id"], reach="partners"
    )
    assert preview["reach"] == "local"


async def test_who_may_not_see_what_is_quoted_learns_nothing_of_it(home: House) -> None:
    """Neither its text nor its id, through a quote, a quote of a quote, a boost, a list or a stream."""
    await home.ben.do(f"/api/v1/accounts/{home.ana.id}/follow")
    secret = await home.ana.say("treasure", visibility="private")
    outer = await quote(home.ana, secret, "mine", visibility="private")
    await home.cy.get(f"/api/v1/accounts/{home.ana.id}")
    assert (await seen(home.ben, outer))["quote"]["quoted_status"]["content"] == "<p>treasure</p>"
    # Cy is named in the quote, and may see that; but not what it quotes.
    named = await quote(home.ana, secret, "@cy this", visibility="private")
    third = await quote(home.ana, named, "@cy and that", visibility="private")
    for status in (named, third):
        body = msgspec.json.encode(await seen(home.cy, status)).decode()
        assert "treasure" not in body and secret["id"] not in body
        assert secret["id"] in msgspec.json.encode(await seen(home.ben, status)).decode()
    assert await state(home.cy, named) == "unauthorized"
    shown = (await seen(home.cy, third))["quote"]["quoted_status"]
    assert shown["quote"] == {"state": "unauthorized", "quoted_status_id": None}
    await home.cy.do(f"/api/v1/statuses/{secret['id']}/quotes", 404, "GET")
    path = f"/api/v1/statuses/{secret['id']}/quotes/{named['id']}/revoke"
    await home.cy.do(path, 404)
    history = await home.cy.get(f"/api/v1/statuses/{named['id']}/history")
    assert [version["quote"] for version in history] == [{"state": "unauthorized", "quoted_status": None}]


@pytest.mark.spec("R99")
async def test_consent_is_taken_back_and_does_not_come_again(home: House) -> None:
    first = await home.ana.say("the first")
    made, other = await quote(home.ben, first), await quote(home.cy, first)
    path = f"/api/v1/statuses/{first['id']}/quotes/{{}}/revoke"
    await home.cy.do(path.format(made["id"]), 404)  # not hers to take back
    await home.ana.do(path.format(first["id"]), 404)
    another = await home.ana.say("another")
    await home.ana.do(f"/api/v1/statuses/{another['id']}/quotes/{made['id']}/revoke", 404)  # it quotes the first
    gone = await home.ana.do(path.format(made["id"]))
    assert (gone["id"], gone["quote"]) == (made["id"], {"state": "revoked", "quoted_status": None})
    assert "quote-inline" not in gone["content"]
    assert (await seen(home.cy, first))["quotes_count"] == 1
    assert ("quote", "ben") not in await home.ana.notifications()
    post = await home.org.post(made["uri"])
    assert post is not None
    quoted = await home.org.post(first["uri"])
    ben = await home.org.actor(home.ben.iri)
    site = home.org.server.instance.site

    def again(tx: Tx) -> object:
        assert quoted is not None and ben is not None
        return quotes.grant(tx, site, quoted, ben, post.iri, None, Consent.AUTOMATIC)

    assert await home.org.write(again) is None
    # A block takes back what was given, and whoever is blocked cannot quote.
    await home.ana.do(f"/api/v1/accounts/{home.cy.id}/block")
    assert await state(home.ben, other) == "revoked"
    await quote(home.cy, first, expected=404)
    assert (await seen(home.ben, first))["quotes_count"] == 0


async def test_what_a_viewer_does_not_want_to_see_is_said(home: House) -> None:
    guest = await home.guest("gil")
    first = await home.said(guest, "from the lab")
    await home.org.write(set_policy, first.id, TO_ANYBODY)
    made = await quote(home.ana, first)

    def approve(tx: Tx) -> None:
        found = rows.of_post(tx, Id(int(made["id"])))
        assert found is not None
        quotes.settle(tx, found, QuoteState.ACCEPTED, Iri("https://lab.example/stamps/1"))

    token = home.ana.client.headers["authorization"].removeprefix("Bearer ")
    hub = home.org.server.hub
    listener = hub.listen(await home.org.read(credentials.viewer, accounts.token_hash(token)))
    listener.streams.add("user")
    await home.org.write(approve)
    event = await asyncio.wait_for(listener.queue.get(), 5)  # open apps see the quote at once
    assert event is not None and (event.kind, str(event.ident)) == ("status.update", made["id"])
    hub.leave(listener)
    assert await state(home.ben, made) == "accepted"
    await home.ben.do(f"/api/v1/accounts/{guest.id}/mute")
    assert await state(home.ben, made) == "muted_account"
    await home.ben.do(f"/api/v1/accounts/{guest.id}/block")
    assert await state(home.ben, made) == "blocked_account"
    await home.ben.do("/api/v1/domain_blocks", domain="lab.example")
    found = await seen(home.ben, made)
    assert (found["quote"]["state"], found["quote"]["quoted_status"]["id"]) == ("blocked_domain", str(first.id))
    assert await state(home.cy, made) == "accepted"
    actor = await home.org.actor(str(guest.iri))
    await home.org.write(accounts.suspend, actor, "test")
    assert await state(home.cy, made) == "unauthorized"


@pytest.mark.spec("R96")
async def test_a_partners_author_is_asked_so_the_quote_must_reach_them(home: House) -> None:
    guest = await home.guest("gil")
    first = await home.said(guest, "from the lab")
    await quote(home.ana, first, expected=404)  # it states no policy: nobody may quote it
    await home.org.write(set_policy, first.id, TO_ANYBODY)
    few = await home.said(guest, "for few", visibility=Visibility.PRIVATE, to=[home.ana.iri])
    await home.org.write(set_policy, few.id, TO_ANYBODY)
    await quote(home.ana, few, expected=404)  # its followers alone may read it, so its author alone may quote it
    made = await quote(home.ana, first)
    assert (made["quote"], made["reach"]) == ({"state": "pending", "quoted_status": None}, ["lab.example"])
    refused = await quote(home.ana, first, expected=422, local_only=True)
    assert refused["error"] == quotes.ASKS_NOBODY
    await quote(home.ana, first, expected=422, reach=["ward.example"])
    before = len(home.world.internet.sent)
    await home.world.settle()
    sent = home.world.bodies_to("lab.example")
    assert len(home.world.internet.sent) > before
    assert sorted(body["type"] for body in sent) == ["Create", "QuoteRequest"]
    assert not home.world.bodies_to("ward.example")
    manual = with_rule(OPEN, Interaction.QUOTE, Rule(Group.NONE, Group.PUBLIC))
    for policy, said in ((manual, "manual"), (with_rule(OPEN, Interaction.QUOTE, Rule(Group.OTHERS)), "unknown")):
        await home.org.write(set_policy, first.id, policy)
        approval = (await home.ana.get(f"/api/v1/statuses/{first.id}"))["quote_approval"]
        assert approval["current_user"] == said
    assert approval["automatic"] == ["unsupported_policy"]


@pytest.mark.spec("R101")
async def test_what_a_partners_author_does_not_want_is_not_sent(home: House) -> None:
    guest = await home.guest("gil")
    first, open_one = await home.said(guest, "closed"), await home.said(guest, "open")
    closed = OPEN
    for interaction in (Interaction.REPLY, Interaction.LIKE, Interaction.ANNOUNCE):
        closed = with_rule(closed, interaction, Rule())
    await home.org.write(set_policy, first.id, closed)
    for post, expected in ((first, 403), (open_one, 200)):
        await home.ana.do(f"/api/v1/statuses/{post.id}/favourite", expected)
        await home.ana.do(f"/api/v1/statuses/{post.id}/reblog", expected)
        await home.ana.do("/api/v1/statuses", expected, status="yes", in_reply_to_id=str(post.id))


async def test_quotes_that_go_in_circles_end(home: House) -> None:
    guest = await home.guest("gil")
    one, two = await home.said(guest, "one", visibility=Visibility.PUBLIC), await home.said(guest, "two")

    def tie(tx: Tx) -> None:
        for post, other in ((one, two), (two, one)):
            rows.set_quoting(tx, post.id, True)
            found = Quote(post.id, guest.id, other.id, other.iri, guest.id, QuoteState.PENDING)
            rows.put(tx, found)
            quotes.settle(tx, found, QuoteState.ACCEPTED)

    await home.org.write(tie)
    found = await home.ana.get(f"/api/v1/statuses/{one.id}")
    assert found["quote"]["quoted_status"]["quote"] == {"state": "accepted", "quoted_status_id": str(one.id)}
    assert found["quotes_count"] == 1
    await home.org.write(accounts.erase, guest)
    assert await home.org.read(posts.by_id, one.id) is None


async def test_a_quote_may_say_nothing_itself_and_never_changes(home: House) -> None:
    first, second = await home.ana.say("the first"), await home.ana.say("the second")
    bare = await quote(home.ben, first, "")
    assert bare["quote"]["state"] == "accepted"
    await home.ben.do("/api/v1/statuses", 422, status="")
    kept = await home.ben.edit(bare, "")
    assert kept["quote"]["state"] == "accepted"
    path = f"/api/v1/statuses/{bare['id']}"
    refused = await home.ben.do(path, 422, "PUT", status="x", quoted_status_id=second["id"])
    assert refused["error"] == "Validation failed: Quotes cannot be added when editing a post."
    key = {"idempotency-key": "once"}
    answers = [
        await home.ben.client.post(
            "/api/v1/statuses", json={"status": "k", "quoted_status_id": second["id"]}, headers=key
        )
        for _ in range(2)
    ]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert (await seen(home.ana, second))["quotes_count"] == 1
