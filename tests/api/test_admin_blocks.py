"""Doors: e-mail domains, addresses and networks that do not come in, or only after somebody looked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fedishare.model.actors import Role
from fedishare.model.emails import canonical_email, email_domains, email_hash
from fedishare.services import accounts
from tests.api.test_admin_accounts import ADMIN
from tests.api.test_registration import FORM, app_client, me
from tests.support.world import Org, World, new_world

EMAILS, CANONICAL, IPS = (f"/api/v1/admin/{n}" for n in ("email_domain_blocks", "canonical_email_blocks", "ip_blocks"))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with new_world(tmp_path) as made:
        yield made


async def opened(world: World) -> tuple[Org, httpx.AsyncClient, httpx.AsyncClient]:
    """An instance where anybody signs up, its admin, and an app."""
    org = await world.org("open.localhost", registration={"mode": "open", "confirm_email": False})
    await org.person("ana", scopes=ADMIN)
    await org.write(accounts.set_role, await org.by_handle("ana"), Role.ADMIN, "test")
    # Ana sits elsewhere than those who are shut out here.
    token = org.people["ana"].client.headers["authorization"]
    transport = httpx.ASGITransport(app=org.server, client=("198.51.100.1", 4000))
    admin = httpx.AsyncClient(transport=transport, base_url=org.config.origin, headers={"authorization": token})
    return org, await world.stack.enter_async_context(admin), await app_client(world, org)


def test_addresses_have_one_form() -> None:
    assert canonical_email("Jo.Hn+news@Mail.Example") == "john@mail.example"
    assert email_hash("john@mail.example") == email_hash(" J.O.H.N+x@MAIL.example")
    assert email_hash("john@mail.example") != email_hash("john@mail2.example")
    assert email_domains("a@b.c.example") == ("b.c.example", "c.example", "example")


async def test_email_blocks_count_at_sign_up(world: World) -> None:
    org, admin, app = await opened(world)

    async def signs_up(**changes: str) -> httpx.Response:
        return await app.post("/api/v1/accounts", data=FORM | changes)

    entry = (await admin.post(EMAILS, json={"domain": "X.example"})).json()
    assert (entry["domain"], entry["allow_with_approval"], entry["history"]) == ("x.example", False, [])
    for address in ("eva@x.example", "eva@mail.x.example", "eva@X.EXAMPLE"):
        refused = await signs_up(email=address)
        assert refused.status_code == 422 and "e-mail provider" in refused.json()["error"], address
    assert (await admin.post(EMAILS, json={"domain": "x.example"})).status_code == 422
    assert (await admin.get(f"{EMAILS}/{entry['id']}")).json() == entry
    assert [each["id"] for each in (await admin.get(EMAILS)).json()] == [entry["id"]]
    assert (await admin.delete(f"{EMAILS}/{entry['id']}")).status_code == 200
    assert (await admin.delete(f"{EMAILS}/{entry['id']}")).status_code == 404
    # With approval: taken, and waits.
    await admin.post(EMAILS, json={"domain": "x.example", "allow_with_approval": True})
    token = (await signs_up(reason="a new colleague")).json()
    assert (await me(app, token)).status_code == 403
    (waiting,) = (await admin.get("/api/v2/admin/accounts", params={"status": "pending"})).json()
    assert (waiting["username"], waiting["email"], waiting["invite_request"]) == (
        "eva",
        FORM["email"],
        "a new colleague",
    )
    assert (waiting["ip"], waiting["locale"], waiting["approved"]) == ("192.0.2.7", "en", False)
    assert waiting["created_by_application_id"].isdigit()
    assert ("admin.sign_up", "eva") in await org.people["ana"].notifications()
    assert (await admin.post(f"/api/v1/admin/accounts/{waiting['id']}/approve")).json()["approved"] is True
    assert (await me(app, token)).status_code == 200
    await signs_up(username="fay", email="fay@x.example")
    (second,) = (await admin.get("/api/v2/admin/accounts", params={"status": "pending"})).json()
    await admin.post(f"/api/v1/admin/accounts/{second['id']}/reject")
    assert (await admin.get(f"/api/v1/admin/accounts/{second['id']}")).status_code == 404
    taken = await signs_up(username="fay", email="other@y.example")
    assert taken.status_code == 422 and "taken" in taken.json()["error"], "the name stays taken"
    assert (await admin.post(f"/api/v1/admin/accounts/{second['id']}/reject")).status_code == 404
    # A suspension keeps the address out, in all its spellings; taking it back lets it in.
    act = f"/api/v1/admin/accounts/{waiting['id']}"
    await admin.post(f"{act}/action", json={"type": "suspend"})
    tested = await admin.post(f"{CANONICAL}/test", json={"email": "E.V.A+2@x.example"})
    assert [each["canonical_email_hash"] for each in tested.json()] == [email_hash(FORM["email"])]
    refused = await signs_up(username="eva2", email="e.va+2@x.example")
    assert refused.status_code == 422 and refused.json()["error"] == "Validation failed: Email has already been taken"
    await admin.post(f"{act}/unsuspend")
    assert (await admin.get(CANONICAL)).json() == []
    made = (await admin.post(CANONICAL, json={"email": "mallory@y.example"})).json()
    assert (await signs_up(username="mallory", email="mal.lory@y.example")).status_code == 422
    assert (await admin.get(f"{CANONICAL}/{made['id']}")).json() == made
    assert (await admin.delete(f"{CANONICAL}/{made['id']}")).status_code == 200
    other = await signs_up(username="mallory", email="mallory@y.example")
    assert other.status_code == 200
    wrong: tuple[tuple[str, dict[str, Any]], ...] = (
        (CANONICAL, {}), (CANONICAL, {"email": "x"}), (CANONICAL, {"canonical_email_hash": "xyz"}),
        (EMAILS, {}), (EMAILS, {"domain": "a b"}), (f"{CANONICAL}/test", {}),
    )  # fmt: skip
    for path, body in wrong:
        assert (await admin.post(path, json=body)).status_code == 422, (path, body)


async def test_networks_are_turned_away_at_sign_up_and_at_the_door(world: World) -> None:
    org, admin, app = await opened(world)
    ben = await org.person("ben")
    made = (await admin.post(IPS, json={"ip": "192.0.2.0/24", "severity": "sign_up_block", "comment": "bots"})).json()
    assert (made["ip"], made["severity"], made["expires_at"]) == ("192.0.2.0/24", "sign_up_block", None)
    assert (await app.post("/api/v1/accounts", data=FORM)).json() == {"error": "This action is not allowed"}
    assert (await ben.client.get("/api/v1/timelines/home")).status_code == 200
    at = f"{IPS}/{made['id']}"
    await admin.put(at, json={"severity": "sign_up_requires_approval"})
    token = (await app.post("/api/v1/accounts", data=FORM)).json()
    assert (await me(app, token)).status_code == 403, "it waits"
    shut = (await admin.put(at, json={"severity": "no_access", "expires_in": 3600})).json()
    assert shut["expires_at"] is not None
    for path in ("/api/v1/timelines/home", "/api/v2/instance", "/oauth/authorize", "/.well-known/nodeinfo"):
        answer = await ben.client.get(path)
        assert (answer.status_code, answer.json()) == (403, {"error": "This action is not allowed"}), path
    assert (await admin.get(IPS)).status_code == 200, "others are let in"
    world.clock.forward(3601_000)
    assert (await ben.client.get("/api/v2/instance")).status_code == 200, "it is over"
    world.clock.forward(-3601_000)
    assert (await ben.client.get("/api/v2/instance")).status_code == 403
    assert (await admin.delete(at)).status_code == 200
    assert (await ben.client.get("/api/v2/instance")).status_code == 200
    for body in (
        {}, {"ip": "x", "severity": "no_access"}, {"ip": "10.0.0.1"}, {"ip": "10.0.0.1", "severity": "odd"},
        {"ip": "0.0.0.0/0", "severity": "no_access"}, {"ip": "::/0", "severity": "no_access"},
        {"ip": "198.51.100.0/24", "severity": "no_access"},  # where ana herself sits
    ):  # fmt: skip
        assert (await admin.post(IPS, json=body)).status_code == 422, body
    wide = (await admin.post(IPS, json={"ip": "0.0.0.0/0", "severity": "sign_up_requires_approval"})).json()
    assert (await admin.put(f"{IPS}/{wide['id']}", json={"severity": "no_access"})).status_code == 422
    assert (await admin.delete(f"{IPS}/{wide['id']}")).status_code == 200
    one = (await admin.post(IPS, json={"ip": "2001:db8::1", "severity": "no_access"})).json()
    assert one["ip"] == "2001:db8::1/128" and (await admin.get(f"{IPS}/{one['id']}")).json() == one
    assert (await admin.get(f"{IPS}/7")).status_code == 404
    assert (await admin.post(IPS, json={"ip": "2001:db8::1", "severity": "no_access"})).status_code == 422
    actions = [row[0] for row in await org.audit()]
    assert actions.count("block.ip") == 5 and "block.remove" in actions


async def test_what_the_instance_wants_to_know_of_a_newcomer(world: World) -> None:
    tables = {"mode": "approval", "confirm_email": False, "require_reason": True, "min_age": 16}
    org = await world.org("asks.localhost", registration=tables)
    app = await app_client(world, org)
    stated = (await app.get("/api/v2/instance")).json()["registrations"]
    assert stated["reason_required"] is True and stated["min_age"] == 16
    good = FORM | {"reason": "I work here", "date_of_birth": "1990-01-31"}
    for wrong in ({"reason": ""}, {"date_of_birth": ""}, {"date_of_birth": "2020-01-01"}, {"date_of_birth": "odd"}):
        assert (await app.post("/api/v1/accounts", data=good | wrong)).status_code == 422, wrong
    assert (await app.post("/api/v1/accounts", data=good)).status_code == 200
