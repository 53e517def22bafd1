"""Domains allowed and blocked through apps are partners: one decision, one record, one policy."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from fedishare.instance import reload_policy
from fedishare.model.actors import Role
from fedishare.model.ids import Domain
from fedishare.model.partners import PartnerState
from fedishare.services import governance
from tests.api import mastodon
from tests.api.test_admin_accounts import with_role
from tests.api.test_entities import as_documented
from tests.support.instances import House

ALLOWS, BLOCKS = "/api/v1/admin/domain_allows", "/api/v1/admin/domain_blocks"


@pytest.fixture
async def desk(home: House) -> httpx.AsyncClient:
    """Ana answers for federation."""
    return await with_role(home, "ana", Role.SECURITY)


async def in_force(home: House, domain: str) -> PartnerState | None:
    """The partner's state in the policy as it is made from the database now."""
    await reload_policy(home.org.server.instance)
    found = home.org.server.instance.guard.policy.index.get(Domain(domain))
    return found.state if found else None


async def test_allowing_makes_a_partner_and_taking_back_ends_it(home: House, desk: httpx.AsyncClient) -> None:
    made = as_documented(await desk.post(ALLOWS, data={"domain": "New.Example"}), mastodon.DomainAllow)
    assert made.domain == "new.example" and await in_force(home, "new.example") is PartnerState.ACTIVE
    stored = await home.org.read(governance.stored, Domain("new.example"))
    assert stored.terms == type(stored.terms)() and "@ana" in stored.reason
    (entry,) = [row for row in await home.org.audit() if row[1] == "new.example"]
    assert entry[0] == "partner.add"
    assert (await desk.post(ALLOWS, json={"domain": "new.example"})).json()["id"] == made.id, "once is enough"
    listed = as_documented(await desk.get(ALLOWS), list[mastodon.DomainAllow])
    assert {each.domain for each in listed} == {"new.example", "lab.example", "ward.example"}
    numbers = [int(each.id) for each in listed]
    assert numbers == sorted(numbers, reverse=True)
    first = await desk.get(ALLOWS, params={"limit": 2})
    assert len((await desk.get(first.links["next"]["url"])).json()) == 1
    assert (await desk.get(f"{ALLOWS}/{made.id}")).json()["domain"] == "new.example"
    assert (await desk.delete(f"{ALLOWS}/{made.id}")).status_code == 200
    assert await in_force(home, "new.example") is PartnerState.ENDED
    assert (await desk.get(f"{ALLOWS}/{made.id}")).status_code == 404
    again = as_documented(await desk.post(ALLOWS, json={"domain": "new.example"}), mastodon.DomainAllow)
    assert again.id == made.id and await in_force(home, "new.example") is PartnerState.ACTIVE


async def test_partners_of_the_file_and_ourselves_are_left_alone(home: House, desk: httpx.AsyncClient) -> None:
    lab = next(a for a in (await desk.get(ALLOWS)).json() if a["domain"] == "lab.example")
    before = await home.org.audit()
    for answer in (
        await desk.delete(f"{ALLOWS}/{lab['id']}"),
        await desk.post(BLOCKS, json={"domain": "lab.example", "severity": "suspend"}),
        await desk.post(ALLOWS, json={"domain": "lab.example"}),
    ):
        assert answer.status_code == 422 and "instance.toml" in answer.json()["error"], answer.text
    for wrong in ("", "home.example", "no domain", "a..b", "https://x.example", "x" * 300, "10.0.0.1"):
        assert (await desk.post(ALLOWS, json={"domain": wrong})).status_code == 422, wrong
    assert await home.org.audit() == before and await in_force(home, "lab.example") is PartnerState.ACTIVE
    moderator = await with_role(home, "ben", Role.MODERATOR)
    assert (await moderator.post(ALLOWS, json={"domain": "new.example"})).status_code == 403


async def test_blocks_say_what_terms_can_say_and_nothing_else(home: House, desk: httpx.AsyncClient) -> None:
    async def blocked(expected: int = 200, **asked: Any) -> Any:
        answer = await desk.post(BLOCKS, json=asked)
        assert answer.status_code == expected, answer.text
        return answer.json()

    await home.org.partner("clinic.example")
    # What cannot be had is refused, with the reason.
    for asked in (
        {"severity": "silence"}, {}, {"severity": "noop"}, {"severity": "suspend", "public_comment": "x"},
        {"severity": "suspend", "obfuscate": True}, {"severity": "odd"},
    ):  # fmt: skip
        assert "Validation failed" in (await blocked(422, domain="clinic.example", **asked))["error"]
    await blocked(422, domain="stranger.example", severity="noop", reject_media=True)
    made = await blocked(domain="clinic.example", severity="noop", reject_media=True, private_comment="big films")
    stored = await home.org.read(governance.stored, Domain("clinic.example"))
    assert not stored.terms.media and stored.terms.activity_types is None and stored.reason == "big films"
    assert (await blocked(422, domain="clinic.example", severity="suspend"))["existing_domain_block"] == made
    at = f"{BLOCKS}/{made['id']}"
    changed = (await desk.put(at, json={"reject_media": False, "reject_reports": True})).json()
    assert (changed["severity"], changed["reject_media"], changed["reject_reports"]) == ("noop", False, True)
    stored = await home.org.read(governance.stored, Domain("clinic.example"))
    assert stored.terms.media and "Flag" not in (stored.terms.activity_types or ())
    assert (await desk.put(at, json={"severity": "suspend"})).json()["severity"] == "suspend"
    assert await in_force(home, "clinic.example") is PartnerState.ENDED
    unknown = await blocked(domain="evil.example", severity="suspend", private_comment="never")
    found = as_documented(await desk.get(BLOCKS), list[mastodon.DomainBlock])
    assert {each.domain for each in found} == {"clinic.example", "evil.example"}
    assert (await desk.get(f"{BLOCKS}/{unknown['id']}")).json()["private_comment"] == "never"
    # Taken back: on no list, and nothing is exchanged until somebody agrees.
    assert (await desk.delete(at)).status_code == 200
    assert await in_force(home, "clinic.example") is PartnerState.PROPOSED
    assert (await desk.get(at)).status_code == 404
    assert (await desk.get(f"{ALLOWS}/{made['id']}")).status_code == 404
