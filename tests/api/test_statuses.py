"""Statuses through HTTP: written, read, changed, taken back; limits that say by how much; drafts that arrive twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fedishare.store import posts
from fedishare.store.db import sql
from tests.support.instances import House, house
from tests.support.world import plain

POSTS = sql("api_posts", "SELECT count(*) FROM post")
PNG = b"\x89PNG\r\n\x1a\n"


async def test_a_status_is_written_read_changed_and_deleted(both: House) -> None:
    ana, ben = both.ana, both.ben
    said = await ana.say("one\n\ntwo & <b>three</b> #Tag", spoiler_text="careful", language="de")
    assert said["content"] == (
        "<p>one</p><p>two &amp; &lt;b&gt;three&lt;/b&gt; "
        '<a href="https://home.example/tags/tag" class="mention hashtag" rel="tag">#<span>Tag</span></a></p>'
    )
    shown = {k: said[k] for k in ("spoiler_text", "sensitive", "language", "visibility", "reach", "local_only")}
    assert shown == {
        "spoiler_text": "careful", "sensitive": True, "language": "de", "visibility": "public", "reach": "local",
        "local_only": True,
    }  # fmt: skip
    assert said["account"]["acct"] == "ana" and said["account"]["statuses_count"] == 1 and said["tags"][0]["name"]
    at = f"/api/v1/statuses/{said['id']}"
    seen = await ben.get(at)
    assert {**seen, "pinned": False} == said
    assert await ana.get(f"{at}/source") == {
        "id": said["id"], "text": "one\n\ntwo & <b>three</b> #Tag", "spoiler_text": "careful",
    }  # fmt: skip
    edited = await ana.edit(said, "new @ben", spoiler_text="")
    assert plain(edited) == "new @ben" and edited["edited_at"] and edited["spoiler_text"] == ""
    assert plain(await ben.get(at)) == "new @ben" and ("mention", "ana") in await ben.notifications()
    history = await ben.get(f"{at}/history")
    assert [h["content"].startswith(("<p>one", "<p>new")) for h in history] == [True, True]
    assert history[0]["created_at"] == said["created_at"] and history[1]["created_at"] == edited["edited_at"]
    for answer in (await ben.client.put(at, json={"status": "mine"}), await ben.client.delete(at)):
        assert (answer.status_code, answer.json()) == (404, {"error": "Record not found"})
    gone = (await ana.client.delete(at)).json()
    assert (gone["text"], gone["id"]) == ("new @ben", said["id"])
    assert (await ben.client.get(at)).status_code == 404 and (await ana.client.get(at)).status_code == 404
    assert (await ana.get("/api/v1/accounts/verify_credentials"))["statuses_count"] == 0
    assert await ben.notifications() == [] and await ana.home() == []


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"status": ""}, "Validation failed: Text can't be blank"),
    ({"status": " \n "}, "Validation failed: Text can't be blank"),
    ({"status": "x" * 143}, "Validation failed: Text character limit of 140 exceeded. The text is 3 characters over"),
    ({"status": "x" * 100, "spoiler_text": "y" * 41}, "The text is 1 character over the limit of 140 (141)"),
    ({"status": "x", "visibility": "everyone"}, "Validation failed: Visibility is not included in the list"),
    ({"status": "x", "media_ids": ["1"]}, "not found or already attached"),
    ({"status": "x", "quote_approval_policy": "friends"}, "Quote approval policy is not included in the list"),
    ({"status": "x", "reach": "moon.example"}, "moon.example is not a partner of this server"),
    ({"status": "x", "reach": ["local", "lab.example"]}, "reach:"),
    ({"status": "x", "local_only": "perhaps"}, "local_only: true or false was expected, found 'perhaps'"),
    ({"status": ["x"]}, "status: text was expected, found a list"),
    ({"status": "x", "poll": "yes"}, "poll: an object was expected, found text"),
    ({"status": "x", "poll": {"options": ["a"]}}, "Validation failed: Poll options must have more than one item"),
    ({"status": "x", "poll": {"options": ["a", " ", ""]}}, "Poll options must have more than one item"),
    ({"status": "x", "poll": {"options": list("abcde")}}, "Poll options can't contain more than 4 items"),
    ({"status": "x", "poll": {"options": ["a", "a"]}}, "Poll options contain duplicate items"),
    ({"status": "x", "poll": {"options": ["a", "b" * 51]}}, "Poll options cannot be longer than 50 characters each"),
    ({"status": "x", "poll": {"options": ["a", "b"], "expires_in": 299}}, "Poll expires at is too soon"),
    (
        {"status": "x", "poll": {"options": ["a", "b"], "expires_in": 31 * 86400}},
        "Validation failed: Poll expires at is too far into the future",
    ),
]


async def test_what_is_wrong_with_a_status_is_said(home: House) -> None:
    said = await home.ana.say("fine")
    for fields, sentence in WRONG:
        for method, path in (("POST", "/api/v1/statuses"), ("PUT", f"/api/v1/statuses/{said['id']}")):
            answer = await home.ana.client.request(method, path, json=fields)
            assert answer.status_code == 422 and sentence in answer.json()["error"], (fields, answer.text)
    assert (await home.org.all(POSTS))[0] == (1,)
    assert plain(await home.ana.get(f"/api/v1/statuses/{said['id']}")) == "fine"


async def test_links_and_partners_names_have_a_fixed_price(home: House) -> None:
    long = "https://example.com/" + "x" * 300
    said = await home.ana.say("x" * 116 + " " + long)
    assert long in said["content"]
    assert (await home.ana.client.post("/api/v1/statuses", json={"status": "x" * 117 + " " + long})).status_code == 422
    assert plain(await home.ana.say("👩‍👩‍👧‍👦" * 140)) == "👩‍👩‍👧‍👦" * 140


async def test_the_same_key_makes_one_status_also_after_a_restart(tmp_path: Path) -> None:
    bodies: list[dict[str, Any]] = []
    for _ in range(2):
        async with house(tmp_path) if not bodies else house(tmp_path, again=True) as made:
            for _ in range(2):
                answer = await made.ana.client.post(
                    "/api/v1/statuses", json={"status": "once"}, headers={"idempotency-key": "k"}
                )
                assert answer.status_code == 200
                bodies.append({**answer.json(), "account": None})
            assert (await made.org.all(POSTS))[0] == (1,)
    assert all(body == bodies[0] for body in bodies)
    async with house(tmp_path, again=True) as made:
        other = await made.ben.client.post(
            "/api/v1/statuses", json={"status": "ben's own"}, headers={"idempotency-key": "k"}
        )
        assert plain(other.json()) == "ben's own"
        made.world.clock.forward(25 * 3600 * 1000)
        late = await made.ana.client.post(
            "/api/v1/statuses", json={"status": "a day later"}, headers={"idempotency-key": "k"}
        )
        assert plain(late.json()) == "a day later"
        too_long = await made.ana.client.post(
            "/api/v1/statuses", json={"status": "x"}, headers={"idempotency-key": "k" * 501}
        )
        assert too_long.status_code == 422


@pytest.mark.parametrize("kind", ["json", "form", "multipart"])
async def test_any_kind_of_body_is_taken(home: House, kind: str) -> None:
    pairs = [("status", "which? ü"), ("poll[options][]", "a"), ("poll[options][]", "b"), ("poll[multiple]", "true"),
             ("poll[expires_in]", "600"), ("sensitive", "0"), ("unknown[thing]", "1")]  # fmt: skip
    client = home.ana.client
    if kind == "json":
        poll = {"options": ["a", "b"], "multiple": True, "expires_in": 600}
        answer = await client.post("/api/v1/statuses", json={"status": "which? ü", "poll": poll, "unknown": {}})
    elif kind == "form":
        answer = await client.post("/api/v1/statuses/", data=_multi(pairs))
    else:
        answer = await client.post("/api/v1/statuses", files=[(k, (None, v)) for k, v in pairs])
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert plain(found) == "which? ü" and found["sensitive"] is False
    assert [o["title"] for o in found["poll"]["options"]] == ["a", "b"] and found["poll"]["multiple"] is True
    upload = await client.post("/api/v1/statuses", files=[("status", ("a.png", PNG, "image/png"))])
    assert upload.status_code == 422 and "a file was not expected here" in upload.json()["error"]


def _multi(pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return found


async def test_a_thread_shows_what_is_above_and_below(both: House) -> None:
    ana, ben, cy = both.ana, both.ben, both.cy
    first = await ana.say("first")
    second = await ben.say("@ana second", in_reply_to_id=first["id"])
    third = await ana.say("third", in_reply_to_id=second["id"])
    secret = await ben.say("@ana for you alone", in_reply_to_id=second["id"], visibility="direct")
    assert second["in_reply_to_id"] == first["id"] and second["in_reply_to_account_id"] == str(ana.id)
    assert (await ana.get(f"/api/v1/statuses/{first['id']}"))["replies_count"] == 1
    context = await cy.get(f"/api/v1/statuses/{second['id']}/context")
    assert [s["id"] for s in context["ancestors"]] == [first["id"]]
    assert [s["id"] for s in context["descendants"]] == [third["id"]]
    context = await ana.get(f"/api/v1/statuses/{second['id']}/context")
    assert [s["id"] for s in context["descendants"]] == [third["id"], secret["id"]]
    assert (await cy.client.get(f"/api/v1/statuses/{secret['id']}/context")).status_code == 404
    await ana.delete(first)
    left = await cy.get(f"/api/v1/statuses/{second['id']}")
    assert left["in_reply_to_id"] is None
    answer = await cy.client.post("/api/v1/statuses", json={"status": "late", "in_reply_to_id": first["id"]})
    assert answer.status_code == 404


async def test_a_reply_goes_no_further_than_what_it_answers(home: House) -> None:
    private = await home.ana.say("@ben between us", visibility="direct")
    answer = await home.ben.say(
        "@ana @cy all right", in_reply_to_id=private["id"], visibility="public", reach="partners"
    )
    assert (answer["visibility"], answer["reach"]) == ("direct", "local")
    assert len(answer["fedishare"]["narrowed"]) == 2
    wide = await home.ana.say("to all", reach="partners")
    narrow = await home.ben.say("to one", in_reply_to_id=wide["id"], reach=["lab.example"])
    assert narrow["reach"] == ["lab.example"] and narrow["local_only"] is False
    assert (await home.ben.say("plain", local_only=False))["reach"] == "partners"
    assert (await home.ben.say("plain", local_only=True, visibility="unlisted"))["reach"] == "local"


async def test_hidden_looks_like_missing(both: House) -> None:
    said = {word: await both.ana.say(f"{word} @ben", visibility=word) for word in ("private", "direct")}
    for word, status in said.items():
        at = f"/api/v1/statuses/{status['id']}"
        assert plain(await both.ben.get(at)) == f"{word} @ben"
        for path in (at, f"{at}/context", f"{at}/history", f"{at}/source", f"{at}/favourited_by", f"{at}/reblogged_by"):
            answer = await both.cy.client.get(path)
            assert (answer.status_code, answer.json()) == (404, {"error": "Record not found"}), path
        for verb in ("favourite", "reblog", "bookmark", "pin", "mute", "unfavourite"):
            assert (await both.cy.client.post(f"{at}/{verb}")).status_code == 404, verb
        reply = await both.cy.client.post("/api/v1/statuses", json={"status": "x", "in_reply_to_id": status["id"]})
        assert reply.status_code == 404
    assert (await both.ben.client.post(f"/api/v1/statuses/{said['direct']['id']}/reblog")).status_code == 403
    ids = [("id[]", s["id"]) for s in said.values()]
    assert len((await both.ben.client.get("/api/v1/statuses", params=ids)).json()) == 2
    assert (await both.cy.client.get("/api/v1/statuses", params=ids)).json() == []


async def test_what_one_chose_for_new_posts_counts_when_the_app_says_nothing(home: House) -> None:
    chosen = {"source": {"privacy": "private", "sensitive": True, "language": "fr"}}
    await home.ana.do("/api/v1/accounts/update_credentials", 200, "PATCH", **chosen)
    said = await home.ana.say("bonjour")
    assert (said["visibility"], said["sensitive"], said["language"]) == ("private", True, "fr")
    told = await home.ana.say("hello", visibility="unlisted", language="en")
    assert (told["visibility"], told["language"]) == ("unlisted", "en")
    preview = await home.ana.do("/api/v1/fedishare/audience", status="bonjour")
    assert preview["visibility"] == "private"


async def test_ids_are_numbers_that_sort_by_time(home: House) -> None:
    found = [int((await home.ana.say(str(n)))["id"]) for n in range(5)]
    assert found == sorted(found) and found[0] > 2**50
    for path in ("1", "0", "x", "-1", "1.5", "9" * 19, "9" * 40, "%D9%A3"):
        answer = await home.ana.client.get(f"/api/v1/statuses/{path}")
        assert (answer.status_code, answer.json()) == (404, {"error": "Record not found"}), path


async def test_a_boost_that_is_deleted_is_taken_back(home: House) -> None:
    said = await home.ana.say("look", reach="partners")
    boost = await home.ben.do(f"/api/v1/statuses/{said['id']}/reblog")
    assert (await home.ben.client.delete(f"/api/v1/statuses/{boost['id']}")).status_code == 200
    assert (await home.ana.get(f"/api/v1/statuses/{said['id']}"))["reblogs_count"] == 0
    again = await home.ben.do(f"/api/v1/statuses/{said['id']}/reblog")
    assert again["id"] != boost["id"] and again["reblog"]["reblogs_count"] == 1
    assert await home.org.read(posts.by_id, int(boost["id"])) is None
