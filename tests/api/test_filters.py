"""Filters: kept within limits, applied by the server where they say, never to one's own posts, and nobody else's."""

from __future__ import annotations

from typing import Any

import pytest

from fedishare.model.posts import Poll, PollOption
from tests.api import mastodon
from tests.api.test_entities import as_documented
from tests.support.instances import House
from tests.support.world import Json, Person, plain

MISSING = {"error": "Record not found"}


async def hides(person: Person, phrase: str, *context: str, action: str = "hide", **fields: Any) -> Json:
    """Make a filter."""
    made: Json = await person.do(
        "/api/v2/filters", title=phrase, context=list(context) or ["home"], filter_action=action,
        keywords_attributes=[{"keyword": phrase}], **fields,
    )  # fmt: skip
    return made


async def test_a_filter_is_kept_changed_and_removed(both: House) -> None:
    ben = both.ben
    form = {
        "title": "Cats", "context[]": ["home", "public"], "filter_action": "warn", "expires_in": "3600",
        "keywords_attributes[][keyword]": ["cat", "dog"],
    }  # fmt: skip
    made = as_documented(await ben.client.post("/api/v2/filters", data=form), mastodon.Filter)
    assert (made.title, made.context, made.filter_action) == ("Cats", ["home", "public"], "warn")
    assert made.expires_at and [(k.keyword, k.whole_word) for k in made.keywords] == [("cat", True), ("dog", True)]
    at = f"/api/v2/filters/{made.id}"
    changes = [{"id": made.keywords[0].id, "whole_word": False}, {"id": made.keywords[1].id, "_destroy": True},
               {"keyword": "bird"}]  # fmt: skip
    asked = {"filter_action": "blur", "expires_in": "", "keywords_attributes": changes}
    changed = as_documented(await ben.client.put(at, json=asked), mastodon.Filter)
    assert (changed.title, changed.filter_action, changed.expires_at) == ("Cats", "blur", None)
    assert [(k.keyword, k.whole_word) for k in changed.keywords] == [("cat", False), ("bird", True)]
    assert as_documented(await ben.client.get(at), mastodon.Filter) == changed
    assert as_documented(await ben.client.get("/api/v2/filters"), list[mastodon.Filter]) == [changed]

    keyword = as_documented(await ben.client.post(f"{at}/keywords", data={"keyword": "fish"}), mastodon.FilterKeyword)
    assert as_documented(await ben.client.get(f"{at}/keywords"), list[mastodon.FilterKeyword])[-1] == keyword
    word = f"/api/v2/filters/keywords/{keyword.id}"
    renamed = as_documented(
        await ben.client.put(word, json={"keyword": "whale", "whole_word": "0"}), mastodon.FilterKeyword
    )
    assert (renamed.keyword, renamed.whole_word) == ("whale", False)
    assert as_documented(await ben.client.get(word), mastodon.FilterKeyword) == renamed
    assert await ben.do(word, 200, "DELETE") == {} and (await ben.client.get(word)).status_code == 404

    said = await both.ana.say("look")
    listed = as_documented(
        await ben.client.post(f"{at}/statuses", json={"status_id": said["id"]}), mastodon.FilterStatus
    )
    assert as_documented(await ben.client.get(f"{at}/statuses"), list[mastodon.FilterStatus]) == [listed]
    again = await ben.client.post(f"{at}/statuses", json={"status_id": said["id"]})
    assert (again.status_code, again.json()["error"]) == (422, "Validation failed: Status has already been taken")
    secret = await both.ana.say("secret", visibility="private")
    assert (await ben.client.post(f"{at}/statuses", json={"status_id": secret["id"]})).status_code == 404
    one = f"/api/v2/filters/statuses/{listed.id}"
    assert as_documented(await ben.client.get(one), mastodon.FilterStatus) == listed
    assert (await ben.client.delete(one)).json()["status_id"] == said["id"]

    for path in (at, f"{at}/keywords", f"{at}/statuses", word.replace(keyword.id, made.keywords[0].id)):
        assert (await both.cy.client.get(path)).json() == MISSING, path
        assert (await both.cy.client.request("DELETE" if "keywords/" in path else "GET", path)).status_code == 404
    assert (await both.cy.client.put(at, json={"title": "mine"})).json() == MISSING
    assert (await both.cy.client.post(f"{at}/keywords", json={"keyword": "x"})).json() == MISSING
    theirs = await hides(both.cy, "x")
    stolen: list[Json] = [{"id": made.keywords[0].id, "_destroy": True}]
    for taken in (stolen, [{"id": made.keywords[0].id, "keyword": "y"}]):
        answer = await both.cy.client.put(f"/api/v2/filters/{theirs['id']}", json={"keywords_attributes": taken})
        assert answer.json() == MISSING
    assert len(as_documented(await ben.client.get(at), mastodon.Filter).keywords) == 2
    assert await ben.do(at, 200, "DELETE") == {} and await ben.get("/api/v2/filters") == []


async def test_what_cannot_be_a_filter_is_said(home: House) -> None:
    good: dict[str, Any] = {"title": "t", "context": ["home"]}
    for wrong, sentence in (
        ({"title": " "}, "Title can't be blank"),
        ({"title": "x" * 257}, "Title is too long (maximum is 256 characters)"),
        ({"context": []}, "Context can't be blank, Context None or invalid context supplied"),
        ({"context": ["home", "nowhere"]}, "Context None or invalid context supplied"),
        ({"filter_action": "burn"}, "Action is not included in the list"),
        ({"keywords_attributes": [{"keyword": ""}]}, "Keyword can't be blank"),
        ({"keywords_attributes": [{"keyword": "x" * 513}]}, "Keyword is too long (maximum is 512 characters)"),
        ({"keywords_attributes": [{"keyword": f"k{n}"} for n in range(501)]}, "at most 500 keywords"),
    ):  # fmt: skip
        answer = await home.ben.client.post("/api/v2/filters", json={**good, **wrong})
        assert answer.status_code == 422 and sentence in answer.json()["error"], (wrong, answer.text[:200])
    hostile: Json
    for hostile in ({"keywords_attributes": "x"}, {"keywords_attributes": [1]}, {"context": {"a": []}},
                    {"keywords_attributes": [{"keyword": {}}]}, {"expires_in": "soon"}, {"title": []}):  # fmt: skip
        assert (await home.ben.client.post("/api/v2/filters", json={**good, **hostile})).status_code == 422, hostile
    assert await home.ben.get("/api/v2/filters") == [], "nothing of it was kept"


async def test_old_apps_have_one_keyword_each(home: House) -> None:
    ben, at = home.ben, "/api/v1/filters"
    fields = {"phrase": "cat", "context[]": ["home"], "irreversible": "true", "whole_word": "true"}
    made = as_documented(await ben.client.post(at, data=fields), mastodon.V1Filter)
    assert (made.phrase, made.irreversible, made.whole_word, made.expires_at) == ("cat", True, True, None)
    (whole,) = await ben.get("/api/v2/filters")
    assert (whole["title"], whole["filter_action"], whole["keywords"][0]["id"]) == ("cat", "hide", made.id)
    fields = {"phrase": "dog", "context[]": ["public"], "expires_in": "60"}
    changed = await ben.client.put(f"{at}/{made.id}", data=fields)
    assert (found := as_documented(changed, mastodon.V1Filter)).phrase == "dog" and found.context == ["public"]
    assert found.irreversible and found.expires_at
    other = await ben.do(f"/api/v2/filters/{whole['id']}/keywords", keyword="bird")
    assert [each["phrase"] for each in await ben.get(at)] == ["dog", "bird"]
    refused = await ben.client.put(f"{at}/{made.id}", json={"phrase": "dog", "context": ["home"]})
    assert refused.status_code == 422 and "more than one filter keyword" in refused.json()["error"]
    assert (await ben.client.put(f"{at}/{made.id}", json={"phrase": "cow"})).json()["phrase"] == "cow"
    assert as_documented(await ben.client.get(f"{at}/{made.id}"), mastodon.V1Filter).phrase == "cow"
    assert (await home.cy.client.get(f"{at}/{made.id}")).json() == MISSING
    assert (await home.cy.client.delete(f"{at}/{made.id}")).json() == MISSING
    for keyword in (made.id, other["id"]):
        assert await ben.do(f"{at}/{keyword}", 200, "DELETE") == {}
    assert await ben.get("/api/v2/filters") == [], "a filter without anything in it goes with its last keyword"


async def test_the_server_applies_them_where_they_count(both: House) -> None:
    ana, ben, cy = both.ana, both.ben, both.cy
    await both.friends()
    await ben.do(f"/api/v1/accounts/{cy.id}/follow")
    for text in ("a cat #x", "a cat @ben", "a dog #x"):
        await ana.say(text)
    mine = await ben.say("my cat #x")
    boosted = await cy.do(f"/api/v1/statuses/{(await ana.say('boosted cat'))['id']}/reblog")

    async def seen(path: str) -> list[str]:
        return [plain(status) for status in await ben.get(path)]

    warned = await hides(ben, "CAT", "home", action="warn")
    shown = await ben.get("/api/v1/timelines/home")
    assert len(shown) == 6
    by_text = {plain(status): status for status in shown if not status["reblog"]}
    assert by_text["my cat #x"]["filtered"] == [] == by_text["a dog #x"]["filtered"]
    (result,) = by_text["a cat #x"]["filtered"]
    assert result == {
        "filter": {k: warned[k] for k in ("id", "title", "context", "expires_at", "filter_action")},
        "keyword_matches": ["CAT"], "status_matches": None,
    }  # fmt: skip
    wrapper = next(status for status in shown if status["id"] == boosted["id"])
    assert wrapper["filtered"] == [result] == wrapper["reblog"]["filtered"]
    assert (await cy.get("/api/v1/timelines/home"))[0]["filtered"] == [], "another person's filter is theirs"

    await ben.do(f"/api/v2/filters/{warned['id']}", 200, "PUT", filter_action="hide")
    assert await seen("/api/v1/timelines/home") == ["my cat #x", "a dog #x"]
    assert await seen("/api/v1/timelines/public") == ["boosted cat", "my cat #x", "a dog #x", "a cat @ben", "a cat #x"]
    assert ("mention", "ana") in await ben.notifications()
    one = (await ben.get(f"/api/v1/statuses/{by_text['a cat #x']['id']}"))["filtered"]
    assert one[0]["filter"]["filter_action"] == "hide", "who opens it can see it, and why it was hidden"
    context = ["home", "public", "notifications"]
    await ben.do(f"/api/v2/filters/{warned['id']}", 200, "PUT", context=context, expires_in=60)
    assert await seen("/api/v1/timelines/public") == ["my cat #x", "a dog #x"] == await seen("/api/v1/timelines/home")
    assert await seen("/api/v1/timelines/tag/x") == ["my cat #x", "a dog #x"]
    assert ("mention", "ana") not in await ben.notifications()
    grouped = await ben.get("/api/v2/notifications")
    assert "mention" not in {each["type"] for each in grouped["notification_groups"]} and grouped["statuses"] == []
    both.world.clock.forward(61_000)
    assert len(await seen("/api/v1/timelines/home")) == 6, "an expired filter does nothing"
    assert (await ben.get("/api/v1/timelines/home"))[0]["filtered"] == []
    assert mine["filtered"] == []


async def test_everything_that_is_read_is_searched_and_an_edit_counts(both: House) -> None:
    ben = both.ben
    zoe = await both.guest("zoe")
    poll = Poll((PollOption("fish"), PollOption("meat")))
    said = [
        await both.said(zoe, "one &amp; <b>t</b>wo", to=[ben.iri]),
        await both.said(zoe, "x", summary="careful: spiders", to=[ben.iri]),
        await both.said(zoe, "x", poll=poll, to=[ben.iri]),
        await both.said(zoe, "x", hashtags=("football",), to=[ben.iri]),
    ]  # fmt: skip
    for phrase in ("& two", "spiders", "meat", "#football"):
        await hides(ben, phrase, "home", action="warn")

    async def found() -> list[Any]:
        shown = [await ben.get(f"/api/v1/statuses/{post.id}") for post in said]
        as_documented(await ben.client.get(f"/api/v1/statuses/{said[0].id}"), mastodon.Status)
        return [[r["keyword_matches"][0] for r in status["filtered"]] for status in shown]

    assert await found() == [["& two"], ["spiders"], ["meat"], ["#football"]]
    status = await both.ana.say("harmless")
    at = f"/api/v1/statuses/{status['id']}"
    listed = await hides(ben, "unused", "thread", action="blur")
    await ben.do(f"/api/v2/filters/{listed['id']}/statuses", status_id=status["id"])
    (result,) = (await ben.get(at))["filtered"]
    assert (result["keyword_matches"], result["status_matches"]) == (None, [status["id"]])
    await both.ana.edit(status, "spiders after all")
    assert [r["keyword_matches"] for r in (await ben.get(at))["filtered"]] == [["spiders"], None]
    await both.ana.delete(status)
    assert (await ben.get(f"/api/v2/filters/{listed['id']}"))["statuses"] == []


async def test_who_has_no_filters_pays_nothing(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home timeline asks the database as often as without any of this, and once more for what was never looked at."""
    await home.friends()
    for text in ("one", "two", "three"):
        await home.ana.say(text)
    database, asked = home.org.server.instance.database, list[str]()
    read = database.read_fast

    async def counted(fn: Any, *args: Any, **kw: Any) -> Any:
        def run(tx: Any) -> Any:
            whole = type(tx).all

            def noted(self: Any, query: Any, **params: Any) -> Any:
                asked.append(query.name)
                return whole(self, query, **params)

            with monkeypatch.context() as patch:
                patch.setattr(type(tx), "all", noted)
                return fn(tx, *args, **kw)

        return await read(run)

    monkeypatch.setattr(database, "read_fast", counted)

    async def queries(person: Person) -> list[str]:
        await person.home()
        asked.clear()
        await person.home()
        return list(asked)

    plainly = await queries(home.cy)
    assert len(plainly) == 3 and not any("filter" in name for name in plainly), plainly
    await hides(home.ben, "two")
    assert await queries(home.ben) == plainly, "what fits is kept, too"
