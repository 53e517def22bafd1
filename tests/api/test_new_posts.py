"""A new post is answered without being read again, and looks as it does when it is."""

from __future__ import annotations

from typing import Any

import pytest

from fedishare.model.ids import Id
from tests.support.instances import House

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
