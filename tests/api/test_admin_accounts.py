"""Accounts as moderators have them: found, limited, shut out, let back in; each step is noted with who did it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from fedishare.model.actors import Role
from fedishare.services import accounts
from tests.api import mastodon
from tests.api.test_entities import as_documented
from tests.support.instances import House
from tests.support.world import Person

ADMIN = "read write follow push admin:read admin:write"


async def with_role(home: House, name: str, role: Role, scopes: str = ADMIN) -> httpx.AsyncClient:
    """An app of somebody who has that role."""
    await home.org.write(accounts.set_role, await home.org.by_handle(name), role, "test")
    return await home.client(name, scopes)


@pytest.fixture
async def desk(home: House) -> httpx.AsyncClient:
    """Ana is a moderator."""
    return await with_role(home, "ana", Role.MODERATOR)


async def acted(desk: httpx.AsyncClient, person: Person, kind: str, **more: Any) -> int:
    answer = await desk.post(f"/api/v1/admin/accounts/{person.id}/action", json={"type": kind, **more})
    return answer.status_code


async def test_accounts_are_found_and_whole(home: House, desk: httpx.AsyncClient) -> None:
    await home.guest("zoe")
    found = as_documented(await desk.get("/api/v2/admin/accounts"), list[mastodon.AdminAccount])
    assert {each.username for each in found} == {"ana", "ben", "cy", "zoe"}
    assert next(e for e in found if e.username == "zoe").domain == "lab.example"

    async def names(**query: Any) -> set[str]:
        answer = await desk.get("/api/v2/admin/accounts", params=query)
        assert answer.status_code == 200, answer.text
        return {each["username"] for each in answer.json()}

    assert await names(origin="remote") == {"zoe"}
    assert await names(origin="local", username="B") == {"ben"}
    assert await names(permissions="staff") == {"ana"}
    assert await names(**{"role_ids[]": "1"}) == {"ana"} and await names(**{"role_ids[]": "77"}) == set()
    assert await names(by_domain="lab.example") == {"zoe"} and await names(display_name="%") == set()
    assert await names(status="suspended") == set() and await names(invited_by="1") == set()
    for word in ("username", "display_name", "email"):
        assert await names(**{word: "a" * 60_000}) == set(), "longer than any pattern that SQLite takes"
    old = await desk.get("/api/v1/admin/accounts", params={"remote": "true", "active": "true"})
    assert [each["username"] for each in old.json()] == ["zoe"]
    page = await desk.get("/api/v2/admin/accounts", params={"limit": 3})
    rest = await desk.get(page.links["next"]["url"])
    assert len(page.json()) == 3 and len(rest.json()) == 1
    for wrong in ({"status": "odd"}, {"origin": "moon"}, {"limit": "x"}):
        assert (await desk.get("/api/v2/admin/accounts", params=wrong)).status_code == 422, wrong
    for missing in ("1", "x", "9" * 30):
        assert (await desk.get(f"/api/v1/admin/accounts/{missing}")).status_code == 404


async def test_suspension_ends_everything_at_once_and_can_be_taken_back(home: House, desk: httpx.AsyncClient) -> None:
    ben = home.ben
    said = await ben.say("hello")
    assert await acted(desk, ben, "suspend", text="spam") == 200
    assert (await ben.client.get("/api/v1/timelines/home")).status_code == 401
    assert (await home.cy.client.get(f"/api/v1/statuses/{said['id']}")).status_code == 404
    shown = (await desk.get(f"/api/v1/admin/accounts/{ben.id}")).json()
    assert shown["suspended"] and not shown["disabled"] and shown["account"]["suspended"]
    audit = [(row[0], row[1]) for row in await home.org.audit()]
    assert ("account.suspend", "ben") in audit and ("account.note", "ben") in audit
    back = (await desk.post(f"/api/v1/admin/accounts/{ben.id}/unsuspend")).json()
    assert back["suspended"] is False
    assert (await home.cy.client.get(f"/api/v1/statuses/{said['id']}")).status_code == 200
    assert (await ben.client.get("/api/v1/timelines/home")).status_code == 401, "tokens stay ended"
    # Only who is suspended can be deleted.
    assert (await desk.delete(f"/api/v1/admin/accounts/{ben.id}")).status_code == 403
    assert await acted(desk, ben, "suspend") == 200
    assert (await desk.delete(f"/api/v1/admin/accounts/{ben.id}")).json()["username"] == "ben"
    assert (await desk.get(f"/api/v1/admin/accounts/{ben.id}")).status_code == 404


async def test_disabled_means_no_sign_in_and_enabled_that_again(home: House, desk: httpx.AsyncClient) -> None:
    ben, said = home.ben, await home.ben.say("still here")
    assert await acted(desk, ben, "disable") == 200
    assert (await ben.client.get("/api/v1/timelines/home")).status_code == 401
    fresh = await home.client("ben", "read")
    assert (await fresh.get("/api/v1/timelines/home")).status_code == 403, "nor with a new token"
    assert (await home.cy.client.get(f"/api/v1/statuses/{said['id']}")).status_code == 200, "what was said stays"
    assert (await desk.get(f"/api/v1/admin/accounts/{ben.id}")).json()["disabled"] is True
    assert (await desk.post(f"/api/v1/admin/accounts/{ben.id}/enable")).json()["disabled"] is False
    assert (await fresh.get("/api/v1/timelines/home")).status_code == 200
    zoe = await home.guest("zoe")
    refused = await desk.post(f"/api/v1/admin/accounts/{zoe.id}/action", json={"type": "disable"})
    assert refused.status_code == 422 and refused.json()["error"].startswith("Validation failed")


async def test_limited_is_for_followers_only(home: House, desk: httpx.AsyncClient) -> None:
    ana, ben, cy = home.ana, home.ben, home.cy
    await ana.do(f"/api/v1/accounts/{ben.id}/follow")
    assert await acted(desk, ben, "silence") == 200
    said = await ben.say("@cy @ana hello #quiet")

    async def hears(person: Person) -> tuple[bool, bool, bool]:
        """(home, public and hashtag, notified)"""
        ids = [each["id"] for each in await person.home()]
        public = [e["id"] for e in await person.get("/api/v1/timelines/public")]
        tagged = [e["id"] for e in await person.get("/api/v1/timelines/tag/quiet")]
        assert (said["id"] in public) == (said["id"] in tagged)
        return said["id"] in ids, said["id"] in public, ("mention", "ben") in await person.notifications()

    assert await hears(ana) == (True, False, True), "who follows, hears"
    assert await hears(cy) == (False, False, False)
    assert (await cy.get(f"/api/v1/accounts/{ben.id}"))["limited"] is True
    assert (await cy.get(f"/api/v1/statuses/{said['id']}"))["id"] == said["id"], "it is no secret"
    # A suspension on top, taken back: limited again.
    assert await acted(desk, ben, "suspend") == 200
    back = (await desk.post(f"/api/v1/admin/accounts/{ben.id}/unsuspend")).json()
    assert back["silenced"] and not back["suspended"]
    assert (await desk.post(f"/api/v1/admin/accounts/{ben.id}/unsilence")).json()["silenced"] is False
    assert (await hears(cy))[1] is True


async def test_sensitive_and_the_rest(home: House, desk: httpx.AsyncClient) -> None:
    ben, before = home.ben, await home.org.audit()
    assert await acted(desk, ben, "sensitive") == 200
    assert (await desk.get(f"/api/v1/admin/accounts/{ben.id}")).json()["sensitized"] is True
    assert (await desk.post(f"/api/v1/admin/accounts/{ben.id}/unsensitive")).json()["sensitized"] is False
    assert await acted(desk, ben, "none", text="be kind") == 200
    assert [row[0] for row in (await home.org.audit())[: -len(before)]] == [
        "account.note", "account.unsensitive", "account.sensitive",
    ]  # fmt: skip
    assert await acted(desk, ben, "banish") == 422 and await acted(desk, ben, "suspend", report_id="1") == 404
    assert (await desk.get(f"/api/v1/admin/accounts/{ben.id}")).json()["suspended"] is False, "all of it or nothing"
    for verb in ("approve", "reject"):
        assert (await desk.post(f"/api/v1/admin/accounts/{ben.id}/{verb}")).status_code == 403


async def test_nobody_acts_on_themselves_or_on_those_with_a_role(home: House, desk: httpx.AsyncClient) -> None:
    assert await acted(desk, home.ana, "suspend") == 403
    chief = await with_role(home, "cy", Role.ADMIN)
    assert await acted(desk, home.cy, "suspend") == 403
    assert await acted(chief, home.ana, "disable") == 200
    assert (await desk.get("/api/v1/admin/accounts")).status_code == 401
    instance = await home.org.by_handle("instance.actor")
    assert instance is not None
    assert (await chief.get(f"/api/v1/admin/accounts/{instance.id}")).status_code == 404
    only = await home.client("cy", "admin:read:reports")
    assert (await only.get("/api/v1/admin/accounts")).status_code == 403
    assert (await only.get("/api/v1/admin/reports")).status_code == 200


async def test_a_suspended_partners_actor_is_refused(home: House, desk: httpx.AsyncClient) -> None:
    zoe = await home.guest("zoe")
    post = await home.said(zoe, "hello")
    assert (await home.ben.client.get(f"/api/v1/statuses/{post.id}")).status_code == 200
    answer = await desk.post(f"/api/v1/admin/accounts/{zoe.id}/action", json={"type": "suspend"})
    assert answer.status_code == 200
    assert (await home.ben.client.get(f"/api/v1/statuses/{post.id}")).status_code == 404
    assert (await desk.delete(f"/api/v1/admin/accounts/{zoe.id}")).status_code == 200
    assert await home.org.post(post.iri) is None
