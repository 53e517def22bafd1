"""Lists: who can be in them, what their timelines show, and what exclusive ones keep away from home."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fedishare.model.ids import Id
from fedishare.model.posts import Draft
from fedishare.services import accounts, posts, relations
from fedishare.store import lists
from fedishare.store import relations as store_relations
from fedishare.store.db import Tx
from fedishare.store.paging import Page
from tests.api.mastodon import Account, UserList
from tests.support.instances import House
from tests.support.world import Json, Person, plain


async def follow(person: Person, *others: Person, **options: Any) -> None:
    for other in others:
        await person.do(f"/api/v1/accounts/{other.id}/follow", **options)


async def made(person: Person, *members: Person, **options: Any) -> Json:
    """A new list with people in it."""
    found: Json = await person.do("/api/v1/lists", **({"title": "Lab"} | options))
    if members:
        await person.do(f"/api/v1/lists/{found['id']}/accounts", account_ids=[str(m.id) for m in members])
    return found


async def shown(person: Person, found: Json, **params: Any) -> list[str]:
    return [plain(s) for s in await person.get(f"/api/v1/timelines/list/{found['id']}", **params)]


async def test_a_list_is_made_changed_and_deleted(both: House) -> None:
    ana, ben = both.ana, both.ben
    assert await ana.get("/api/v1/lists") == []
    one = await ana.do("/api/v1/lists", title="Lab", replies_policy="none", exclusive=True)
    assert msgspec.convert(one, UserList) and one | {"id": ""} == {
        "id": "", "title": "Lab", "replies_policy": "none", "exclusive": True,
    }  # fmt: skip
    two = (await ana.client.post("/api/v1/lists", data={"title": "Ward"})).json()
    assert (two["replies_policy"], two["exclusive"]) == ("list", False)
    assert await ana.get("/api/v1/lists") == [one, two]
    changed = await ana.do(f"/api/v1/lists/{one['id']}", 200, "PUT", title="Lab 2")
    assert changed == one | {"title": "Lab 2"}, "what is not given stays"
    assert await ana.get(f"/api/v1/lists/{one['id']}") == changed
    wrong: list[tuple[dict[str, Any], str]] = [
        ({}, "Validation failed: Title can't be blank"), ({"title": " "}, "Validation failed: Title can't be blank"),
        ({"title": "x" * 257}, "Validation failed: Title is too long (maximum is 256 characters)"),
        ({"title": "x", "replies_policy": "all"}, "'all' is not a valid replies_policy"),
    ]  # fmt: skip
    for fields, sentence in wrong:
        assert (await ana.do("/api/v1/lists", 422, **fields))["error"] == sentence
    assert await ana.do(f"/api/v1/lists/{one['id']}", 200, "DELETE") == {}
    assert await ana.get("/api/v1/lists") == [two]
    for ident in (one["id"], "1", "x", two["id"]):
        other = ben if ident == two["id"] else ana
        for method, path, fields in (
            ("GET", "", {}), ("PUT", "", {"title": "mine"}), ("GET", "/accounts", {}),
            ("POST", "/accounts", {"account_ids": [str(ana.id)]}), ("DELETE", "/accounts", {"account_ids": []}),
            ("DELETE", "", {}),
        ):  # fmt: skip
            missing = await other.do(f"/api/v1/lists/{ident}{path}", 404, method, **fields)
            assert missing == {"error": "Record not found"}, (method, path)
        assert (await other.client.get(f"/api/v1/timelines/list/{ident}")).status_code == 404
    assert await ana.get("/api/v1/lists") == [two], "nobody else changed it"
    for number in range(49):
        await ana.do("/api/v1/lists", title=str(number))
    assert "maximum number" in (await ana.do("/api/v1/lists", 422, title="one too many"))["error"]


async def test_only_people_that_one_follows_are_in_a_list(both: House) -> None:
    ana, ben, cy = both.ana, both.ben, both.cy
    await follow(ana, ben)
    found = await made(ana, ben)
    at = f"/api/v1/lists/{found['id']}/accounts"
    refused = await ana.do(at, 404, account_ids=[str(cy.id)])
    assert refused == {"error": "Record not found"}
    await follow(ana, cy)
    again = await ana.do(at, 422, account_ids=[str(cy.id), str(ben.id)])
    assert again == {"error": "Validation failed: Account has already been taken"}
    assert [a["acct"] for a in await ana.get(at)] == ["ben"], "all of them or none"
    form = await ana.client.post(at, data={"account_ids[]": [str(cy.id), str(ana.id)]})
    assert (form.status_code, form.json()) == (200, {}), "oneself, too"
    people = await ana.get(at)
    assert [msgspec.convert(a, Account).acct for a in people] == ["ana", "cy", "ben"]
    first = await ana.client.get(at, params={"limit": 2})
    assert [a["acct"] for a in first.json()] == ["ana", "cy"]
    rest = await ana.client.get(first.links["next"]["url"])
    assert [a["acct"] for a in rest.json()] == ["ben"]
    everybody = await ana.client.get(at, params={"limit": 0})
    assert len(everybody.json()) == 3 and "link" not in everybody.headers
    assert await ana.get(f"/api/v1/accounts/{cy.id}/lists") == [found]
    assert await ben.get(f"/api/v1/accounts/{cy.id}/lists") == [], "lists are their owner's own"
    assert await ana.do(at, 200, "DELETE", account_ids=[str(cy.id), "1"]) == {}
    assert await ana.get(f"/api/v1/accounts/{cy.id}/lists") == []
    await ana.do(f"/api/v1/accounts/{ben.id}/unfollow")
    assert [a["acct"] for a in await ana.get(at)] == ["ana"], "who is unfollowed is in no list"
    await follow(ana, ben)
    await ana.do(at, account_ids=[str(ben.id)])
    await ben.do(f"/api/v1/accounts/{ana.id}/block")
    assert [a["acct"] for a in await ana.get(at)] == ["ana"]


async def test_a_list_shows_its_members_posts_as_its_owner_may_see_them(both: House) -> None:
    ana, ben, cy = both.ana, both.ben, both.cy
    zoe = await both.guest("zoe")
    await follow(ana, ben, cy)
    found = await made(ana, ben)
    await cy.say("cy is not in it")
    for word in ("public", "unlisted", "private"):
        await ben.say(word, visibility=word)
    await ben.say("@ana direct", visibility="direct")
    boosted = await both.said(zoe, "from outside")
    await ben.do(f"/api/v1/statuses/{boosted.id}/reblog")
    assert await shown(ana, found) == ["from outside", "private", "unlisted", "public"]
    assert await shown(ana, found, limit=2) == ["from outside", "private"]
    page = await ana.client.get(f"/api/v1/timelines/list/{found['id']}", params={"limit": 2})
    older = await ana.client.get(page.links["next"]["url"])
    assert [plain(s) for s in older.json()] == ["unlisted", "public"]
    newer = await ana.client.get(older.links["prev"]["url"])
    assert newer.json() == page.json()
    await follow(ana, ben, reblogs=False)
    assert await shown(ana, found) == ["private", "unlisted", "public"]
    await ana.do(f"/api/v1/accounts/{ben.id}/mute")
    assert await shown(ana, found) == []
    await ana.do(f"/api/v1/accounts/{ben.id}/unmute")
    await ana.do(f"/api/v1/lists/{found['id']}/accounts", account_ids=[str(cy.id)])
    assert await shown(ana, found) == ["private", "unlisted", "public", "cy is not in it"], (
        "who is in it counts at once"
    )
    await both.org.write(accounts.suspend, await both.org.by_handle("ben"), "test")
    assert await shown(ana, found) == ["cy is not in it"]


async def test_answers_follow_the_lists_policy(both: House) -> None:
    ana, ben, cy = both.ana, both.ben, both.cy
    dan, eva = await both.org.person("dan"), await both.org.person("eva")
    await follow(ana, ben, cy, dan)
    found = await made(ana, ben, cy)
    said = {p.name: await p.say(f"by {p.name}") for p in (ana, ben, cy, dan, eva)}
    for name in ("ana", "ben", "cy", "dan", "eva"):
        await ben.say(f"to {name}", in_reply_to_id=said[name]["id"])
    zoe = await both.guest("zoe")
    await ana.do(f"/api/v1/accounts/{zoe.id}/follow")
    wanted = {
        "list": {"by ben", "by cy", "to ana", "to ben", "to cy"},
        "followed": {"by ben", "by cy", "to ana", "to ben", "to cy", "to dan"},
        "none": {"by ben", "by cy", "to ana", "to ben"},
    }
    for policy, texts in wanted.items():
        await ana.do(f"/api/v1/lists/{found['id']}", 200, "PUT", replies_policy=policy)
        assert set(await shown(ana, found)) == texts, policy
    # Home, as always: who answers somebody that one does not follow is not shown.
    assert {t for t in await ana.texts() if t.startswith("to ")} == {"to ana", "to ben", "to cy", "to dan"}


async def test_an_exclusive_list_keeps_its_members_away_from_home(both: House) -> None:
    ana, ben, cy = both.ana, both.ben, both.cy
    await follow(ana, ben, cy)
    await ben.say("before")
    found = await made(ana, ben, exclusive=True)
    assert await ana.texts() == [], "what is at home already goes"
    await ana.do("/api/v1/tags/xray/follow")
    tagged = await ben.say("with a hashtag that ana follows #xray")
    assert await ana.texts() == [] and len(await shown(ana, found)) == 2
    await ben.delete(tagged)
    await ben.say("while")
    await cy.say("cy")
    assert await ana.texts() == ["cy"] and await shown(ana, found) == ["while", "before"]
    mine = await ana.say("mine")
    await ana.do(f"/api/v1/lists/{found['id']}/accounts", account_ids=[str(ana.id)])
    assert await ana.texts() == ["mine", "cy"], "one's own are at home always"
    await ana.delete(mine)
    second = await made(ana, ben, exclusive=True)
    await ana.do(f"/api/v1/lists/{found['id']}", 200, "PUT", exclusive=False)
    assert await ana.texts() == ["cy"], "still in another one"
    await ana.do(f"/api/v1/lists/{second['id']}/accounts", 200, "DELETE", account_ids=[str(ben.id)])
    assert await ana.texts() == ["cy", "while", "before"], "and they come back"
    await ana.do(f"/api/v1/lists/{second['id']}/accounts", account_ids=[str(ben.id)])
    assert await ana.texts() == ["cy"]
    await ana.do(f"/api/v1/lists/{second['id']}", 200, "DELETE")
    assert await ana.texts() == ["cy", "while", "before"]
    # Following anew begins anew, and asking for it is enough to be in a list.
    third = await made(ana, ben, exclusive=True)
    await ana.do(f"/api/v1/accounts/{ben.id}/unfollow")
    await ben.do("/api/v1/accounts/update_credentials", 200, "PATCH", locked=True)
    await follow(ana, ben)
    await ana.do(f"/api/v1/lists/{third['id']}/accounts", account_ids=[str(ben.id)])
    assert await shown(ana, third) == []
    await ben.do(f"/api/v1/follow_requests/{ana.id}/authorize")
    assert await ana.texts() == ["cy"] and await shown(ana, third) == ["while", "before"]


async def test_a_long_look_goes_on_with_the_next_page(both: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Members who mostly answer strangers: pages may be short, but nothing between them is lost."""
    monkeypatch.setattr(lists, "LOOKS", 2)
    monkeypatch.setattr(lists, "FEWEST", 3)
    ana, ben = both.ana, both.ben
    await follow(ana, ben)
    found = await made(ana, ben)
    first = await ben.say("first")
    strange = await both.cy.say("strange")

    def answers(tx: Tx) -> None:
        author = accounts.local(tx, "ben")
        for number in range(14):
            draft = Draft(f"a{number}", in_reply_to_id=Id(int(strange["id"])))
            posts.publish(tx, both.site, author, draft)

    await both.org.write(answers)
    last = await ben.say("last")
    url, met = f"/api/v1/timelines/list/{found['id']}?limit=2", []
    for _ in range(9):
        page = await ana.client.get(url)
        met += [s["id"] for s in page.json()]
        if "next" not in page.links:
            break
        url = page.links["next"]["url"]
    assert met == [last["id"], first["id"]]
    upwards = await both.org.read(
        lambda tx: lists.timeline(tx, lists.of_owner(tx, ana.id)[0], Page(after=0, limit=1, upwards=True))
    )
    assert [str(e.post_id) for e in upwards[0]] == [first["id"]]


async def test_who_moves_stays_in_the_lists(both: House) -> None:
    ana, ben = both.ana, both.ben
    old, new = await both.guest("old"), await both.guest("new", "ward.example")
    for person in (ana, ben):
        made_follow = await both.org.write(
            relations.follow, both.site, await both.org.by_handle(person.name), old.id, boosts=False, languages=["en"]
        )
        await both.org.write(relations.accept, made_follow)
    await ben.do(f"/api/v1/accounts/{new.id}/follow")
    found = await made(ana, exclusive=True)
    await ana.do(f"/api/v1/lists/{found['id']}/accounts", account_ids=[str(old.id)])
    assert await both.org.write(relations.receive_move, both.site, old, new) == 2
    assert [a["acct"] for a in await ana.get(f"/api/v1/lists/{found['id']}/accounts")] == ["new@ward.example"]
    options = [await person.relationship("new@ward.example") for person in (ana, ben)]
    assert (options[0]["languages"], options[0]["showing_reblogs"]) == (["en"], False)
    assert (options[1]["languages"], options[1]["showing_reblogs"]) == (None, True), "it was followed before"
    accepted = await both.org.read(store_relations.follow, ana.id, new.id)
    await both.org.write(relations.accept, accepted)
    await both.said(new, "from the new place")
    assert await ana.texts() == [] and await shown(ana, found) == ["from the new place"]


async def test_what_is_left_of_a_deleted_account(both: House) -> None:
    ana, ben = both.ana, both.ben
    await follow(ana, ben)
    await follow(ben, ana)
    found, other = await made(ana, ben), await made(ben, ana)
    await both.org.write(accounts.delete, await both.org.by_handle("ben"), "test")
    assert await ana.get(f"/api/v1/lists/{found['id']}/accounts") == []
    assert await both.org.read(lists.get, ben.id, Id(int(other["id"]))) is None
