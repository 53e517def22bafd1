"""A new post is answered without being read again, and looks as it does when it is."""

from __future__ import annotations

from typing import Any

import pytest

from fedishare.model.ids import Id
from fedishare.model.posts import PostKind
from tests.support.instances import House
from tests.support.world import plain

DRAFTS: list[dict[str, Any]] = [
    {"status": "plain"},
    {"status": "with @ben, #Tag and https://lab.example/", "visibility": "direct", "language": "de"},
    {"status": "what?", "poll": {"options": ["a", "b"], "expires_in": 3600}},
    {"status": "careful", "spoiler_text": "spoiler", "reach": "partners", "visibility": "unlisted"},
]


@pytest.mark.parametrize("draft", DRAFTS, ids=lambda draft: draft["status"])
async def test_a_new_post_looks_as_it_does_when_it_is_read(home: House, draft: dict[str, Any]) -> None:
    said = await home.ana.say(draft["status"], **{k: v for k, v in draft.items() if k != "status"})
    fresh = home.org.server.api.renderer.draft()  # keeps nothing of its own yet
    fresh._behind = None
    ident = Id(int(said["id"]))
    read = await home.org.read(fresh.visible_post, ident, home.ana.id)
    kept = await home.org.read(home.org.server.api.renderer.visible_post, ident, home.ana.id)
    assert read == kept
    assert await home.ana.get(f"/api/v1/statuses/{ident}") == said


async def test_an_answer_in_a_muted_thread_says_so(home: House) -> None:
    first = await home.ben.say("one")
    assert (await home.ana.say("two", in_reply_to_id=first["id"]))["muted"] is False
    await home.ana.do(f"/api/v1/statuses/{first['id']}/mute")
    assert (await home.ana.say("three", in_reply_to_id=first["id"]))["muted"] is True


async def test_an_edit_is_the_whole_post_as_in_mastodon(both: House) -> None:
    ana, ben = both.ana, both.ben
    poll = {"options": ["a", "b"], "expires_in": 600}
    said = await ana.say("which?", poll=poll, language="de", sensitive=True, reach="partners")
    at = f"/api/v1/polls/{said['poll']['id']}"
    await ben.do(f"{at}/votes", choices=[0])
    same = await ana.edit(said, "which one?", poll={**poll, "hide_totals": True}, sensitive=True)
    assert same["poll"]["votes_count"] == 1 and same["poll"]["options"][0]["votes_count"] is None
    other = await ana.edit(said, "which ones?", poll={**poll, "multiple": True})
    assert (other["poll"]["multiple"], other["poll"]["votes_count"]) == (True, 0), "another question, other votes"
    assert (other["language"], other["sensitive"]) == ("de", False)
    without = await ana.edit(said, "no question")
    assert without["poll"] is None and (await ben.client.get(at)).status_code == 404
    stored = await both.org.post(said["uri"])
    assert stored is not None and stored.kind is PostKind.NOTE
    again = await ana.edit(said, "a question", poll=poll)
    assert again["poll"]["votes_count"] == 0 and again["edited_at"]
    stored = await both.org.post(said["uri"])
    assert stored is not None and stored.kind is PostKind.QUESTION
    assert [v.get("poll") is None for v in await ben.get(f"/api/v1/statuses/{said['id']}/history")] == [
        False, False, False, True, False,
    ]  # fmt: skip


async def test_what_apps_leave_out_comes_from_preferences_and_what_they_get_wrong_costs_no_post(home: House) -> None:
    ana = home.ana
    source = {"source": {"privacy": "private", "sensitive": True, "language": "fr"}}
    await ana.do("/api/v1/accounts/update_credentials", 200, "PATCH", **source)
    said = await ana.say("x")
    assert (said["visibility"], said["sensitive"], said["language"]) == ("private", True, "fr")
    said = await ana.say("x", visibility="unlisted", language="en")
    assert (said["visibility"], said["sensitive"], said["language"]) == ("unlisted", True, "en")
    assert (await ana.say("x", sensitive=False))["sensitive"] is False
    for code, kept in (("pt_BR", "pt-BR"), ("not a code", "fr"), ("x" * 99, "fr"), ("", "fr")):
        assert (await ana.say("x", language=code))["language"] == kept
    only = await home.ben.say("", spoiler_text="only a warning")
    assert (plain(only), only["spoiler_text"], only["sensitive"]) == ("only a warning", "", False)
    answered = await home.ben.client.post("/api/v1/statuses", json={"status": "x", "in_reply_to_id": said["id"] + "1"})
    assert answered.status_code == 404


async def test_a_thread_is_told_in_the_order_in_which_it_is_read(both: House) -> None:
    ana, ben = both.ana, both.ben
    first = await ana.say("first")

    async def answer(to: dict[str, Any], text: str) -> dict[str, Any]:
        return await ben.say(text, in_reply_to_id=to["id"])

    one, two = await answer(first, "1"), await answer(first, "2")
    await answer(two, "2.1")
    deep = await answer(one, "1.1")
    await answer(one, "1.2")
    await answer(deep, "1.1.1")
    below = (await ana.get(f"/api/v1/statuses/{first['id']}/context"))["descendants"]
    assert [plain(each) for each in below] == ["1", "1.1", "1.1.1", "1.2", "2", "2.1"]
    middle = await ana.get(f"/api/v1/statuses/{deep['id']}/context")
    assert [plain(each) for each in middle["ancestors"]] == ["first", "1"]
    assert [plain(each) for each in middle["descendants"]] == ["1.1.1"]


async def test_translation_is_refused_as_mastodon_refuses_it(home: House) -> None:
    said = await home.ana.say("hello", visibility="private")
    at = f"/api/v1/statuses/{said['id']}"
    refused = await home.ana.client.post(f"{at}/translate", json={"lang": "de"})
    assert (refused.status_code, refused.json()) == (403, {"error": "This action is not allowed"})
    for path in (f"{at}/translate", "/api/v1/statuses/1/translate", "/api/v1/statuses/x/translate"):
        assert (await home.ben.client.post(path)).status_code == 404
    assert await home.ben.get("/api/v1/instance/translation_languages") == {}
    assert await home.ana.get(f"{at}/card") == {} and said["card"] is None
    boost = await home.ana.do(f"{at}/reblog")
    pinned = await home.ana.client.post(f"/api/v1/statuses/{boost['id']}/pin")
    assert pinned.json() == {"error": "Validation failed: A boost cannot be pinned"}
