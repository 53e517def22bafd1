"""Nobody fills a table, a queue or an answer without end: each list that a person keeps has a limit, and says so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fedishare.services import filters, lists, moving, people, scheduled, tags
from fedishare.store import people as people_store
from tests.support.instances import House, house


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as made:
        yield made


async def test_what_a_person_keeps_has_an_end(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first two are taken, the third is refused by name, and nothing of it is there."""
    await home.guest("zoe")
    await home.guest("yan")
    await home.guest("xia")
    for where, name in (
        (lists, "MAX_LISTS"), (tags, "MAX_FOLLOWED"), (tags, "MAX_FEATURED"), (people, "MAX_DOMAINS"),
        (filters, "MAX_FILTERS"), (filters, "MAX_KEYWORDS"), (moving, "MAX_ALIASES"), (scheduled, "TOTAL_LIMIT"),
    ):  # fmt: skip
        monkeypatch.setattr(where, name, 2)
    keyword = [{"keyword": "x"}]
    later = "2030-01-01T00:00:00Z"
    asked: dict[str, list[dict[str, Any]]] = {
        "/api/v1/lists": [{"title": title} for title in "abc"],
        "/api/v1/featured_tags": [{"name": f"tag{n}"} for n in "abc"],
        "/api/v1/domain_blocks": [{"domain": f"{n}.example"} for n in "abc"],
        "/api/v2/filters": [{"title": n, "context": ["home"], "keywords_attributes": keyword} for n in "abc"],
        "/api/v1/fedishare/aliases": [{"acct": f"{n}@lab.example"} for n in ("zoe", "yan", "xia")],
        "/api/v1/statuses": [{"status": n, "scheduled_at": later} for n in "abc"],
    }
    for path, bodies in asked.items():
        answers = [await home.ana.client.post(path, json=body) for body in bodies]
        assert [a.status_code for a in answers[:2]] == [200, 200], (path, answers[0].text)
        assert answers[2].status_code == 422 and answers[2].json()["error"], path
    followed = [await home.ana.client.post(f"/api/v1/tags/{n}/follow") for n in ("aa", "bb", "cc", "aa")]
    assert [a.status_code for a in followed] == [200, 200, 422, 200], "one that is followed already is no more"
    for path in ("/api/v1/lists", "/api/v1/featured_tags", "/api/v1/domain_blocks", "/api/v2/filters",
                 "/api/v1/fedishare/aliases", "/api/v1/scheduled_statuses", "/api/v1/followed_tags"):  # fmt: skip
        assert len(await home.ana.get(path)) == 2, path
        assert len(await home.ben.get(path)) == 0, "others have their own"


async def test_familiar_followers_are_a_few_for_each_account(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people_store, "MAX_FAMILIAR", 1)
    await home.friends()
    await home.ben.do(f"/api/v1/accounts/{home.cy.id}/follow")
    for person in (home.ben, home.cy):
        await home.ana.do(f"/api/v1/accounts/{person.id}/follow")
    dee = await home.org.person("dee")
    for person in (home.ben, home.cy):
        await person.do(f"/api/v1/accounts/{dee.id}/follow")
    asked = {"id[]": [str(dee.id), str(home.cy.id)]}
    found = await home.ana.get("/api/v1/accounts/familiar_followers", **asked)
    assert [[a["acct"] for a in each["accounts"]] for each in found] == [["cy"], ["ben"]], "the last one of each"
