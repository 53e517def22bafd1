"""Reports: from people here and from partners, looked after, closed and opened again; and who hears of them."""

from __future__ import annotations

import httpx
import pytest

from fedishare.model.actors import Role
from fedishare.model.ids import Iri
from fedishare.services import announcements, governance
from tests.api import mastodon
from tests.api.test_admin_accounts import with_role
from tests.api.test_entities import as_documented
from tests.support.instances import House


@pytest.fixture
async def desk(home: House) -> httpx.AsyncClient:
    """Ana is a moderator."""
    return await with_role(home, "ana", Role.MODERATOR)


async def test_what_a_moderator_was_told_goes_with_the_role(home: House, desk: httpx.AsyncClient) -> None:
    await home.ben.do("/api/v1/reports", account_id=str(home.cy.id), comment="in confidence")
    (told,) = await home.ana.get("/api/v1/notifications")
    places = ("/api/v1/notifications", "/api/v2/notifications", f"/api/v1/notifications/{told['id']}")
    for role, shown in ((Role.MEMBER, False), (Role.SECURITY, False), (Role.ADMIN, True)):
        await with_role(home, "ana", role)
        for place in places:
            assert ("in confidence" in (await home.ana.client.get(place)).text) is shown, (role, place)


async def test_a_report_from_here_goes_through_all_its_states(home: House, desk: httpx.AsyncClient) -> None:
    rule = await home.org.write(announcements.add_rule, "No patient data", "Not even without names.", "test")
    private = await home.cy.say("@ben a secret", visibility="direct")
    made = await home.ben.do(
        "/api/v1/reports", account_id=str(home.cy.id), status_ids=[private["id"]], comment="look",
        rule_ids=[str(rule)],
    )  # fmt: skip
    assert (made["category"], made["rule_ids"]) == ("violation", [str(rule)])
    (shown,) = as_documented(await desk.get("/api/v1/admin/reports"), list[mastodon.AdminReport])
    assert shown.account.username == "ben" and shown.target_account.username == "cy"
    assert [s.id for s in shown.statuses] == [private["id"]], "what was reported is handed over"
    assert [r.text for r in shown.rules] == ["No patient data"]
    assert ("admin.report", "ben") in await home.ana.notifications()
    at = f"/api/v1/admin/reports/{shown.id}"

    async def does(verb: str) -> mastodon.AdminReport:
        return as_documented(await desk.post(f"{at}/{verb}"), mastodon.AdminReport)

    taken = (await does("assign_to_self")).assigned_account
    assert taken is not None and taken.username == "ana"
    assert (await does("unassign")).assigned_account is None
    closed = await does("resolve")
    assert closed.action_taken and closed.action_taken_by_account is not None
    assert (await desk.get("/api/v1/admin/reports")).json() == []
    assert len((await desk.get("/api/v1/admin/reports", params={"resolved": "true"})).json()) == 1
    assert (await does("reopen")).action_taken is False
    changed = await desk.put(at, json={"category": "spam", "rule_ids": []})
    assert (changed.json()["category"], changed.json()["rules"]) == ("spam", [])
    assert (await desk.put(at, json={"category": "odd"})).status_code == 422
    for query, number in (
        ({"account_id": str(home.ben.id)}, 1), ({"account_id": str(home.ana.id)}, 0),
        ({"target_account_id": str(home.cy.id)}, 1), ({"target_account_id": str(home.ben.id)}, 0),
        ({"account_id": "7"}, 0),
    ):  # fmt: skip
        assert len((await desk.get("/api/v1/admin/reports", params=query)).json()) == number, query
    done = [row[0] for row in await home.org.audit()]
    assert [a for a in done if a.startswith("report.")] == [
        "report.update", "report.reopen", "report.resolve", "report.unassign", "report.assign",
    ]  # fmt: skip
    answer = {"type": "silence", "report_id": shown.id}
    assert (await desk.post(f"/api/v1/admin/accounts/{home.cy.id}/action", json=answer)).status_code == 200
    assert (await desk.get(at)).json()["action_taken"] is True
    # Whatever is done to an account answers all that is open about it; a note alone does not.
    again = (await home.ben.do("/api/v1/reports", account_id=str(home.cy.id)))["id"]
    act = f"/api/v1/admin/accounts/{home.cy.id}/action"
    for kind, closed_now in (("none", False), ("sensitive", True)):
        assert (await desk.post(act, json={"type": kind})).status_code == 200
        assert (await desk.get(f"/api/v1/admin/reports/{again}")).json()["action_taken"] is closed_now, kind
    assert (await desk.post(act, json={})).status_code == 422
    wrong = await home.ben.client.post("/api/v1/reports", json={"account_id": str(home.cy.id), "category": "odd"})
    assert wrong.status_code == 422


async def test_a_report_from_a_partner_is_there_too(home: House, desk: httpx.AsyncClient) -> None:
    zoe = await home.guest("zoe")
    said = await home.ben.say("public", reach="partners")
    flag = Iri("https://lab.example/flags/1")
    assert await home.org.write(governance.receive_report, zoe, flag, (Iri(home.ben.iri), Iri(said["uri"])), "spam")
    (shown,) = as_documented(await desk.get("/api/v1/admin/reports"), list[mastodon.AdminReport])
    assert shown.account.domain == "lab.example" and shown.target_account.username == "ben"
    assert [s.id for s in shown.statuses] == [said["id"]]
    assert ("admin.report", "zoe@lab.example") in await home.ana.notifications()
    await home.ben.delete(said)
    assert (await desk.get(f"/api/v1/admin/reports/{shown.id}")).json()["statuses"] == []
