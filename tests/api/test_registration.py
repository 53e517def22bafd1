"""Sign-up: where it is open, where somebody decides, and where it is closed."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fedishare.config import load, write_initial
from fedishare.model.errors import ConfigError
from fedishare.services import accounts
from fedishare.store import credentials
from fedishare.store.db import NoticesLost
from tests.support.world import Org, World, new_world

FORM = {
    "username": "eva", "email": "eva@x.example", "password": "correct horse battery", "agreement": "true",
    "locale": "en",
}  # fmt: skip


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with new_world(tmp_path) as made:
        yield made


async def app_client(world: World, org: Org) -> httpx.AsyncClient:
    client = await world.client(org, "")
    del client.headers["authorization"]
    body = {"client_name": "Pocket", "redirect_uris": "urn:ietf:wg:oauth:2.0:oob", "scopes": "read write"}
    app = (await client.post("/api/v1/apps", data=body)).json()
    form = {"grant_type": "client_credentials", "scope": "read write"}
    token = (await client.post("/oauth/token", data=form, auth=(app["client_id"], app["client_secret"]))).json()
    client.headers["authorization"] = f"Bearer {token['access_token']}"
    return client


async def me(client: httpx.AsyncClient, token: dict[str, Any]) -> httpx.Response:
    bearer = {"authorization": f"Bearer {token['access_token']}"}
    return await client.get("/api/v1/accounts/verify_credentials", headers=bearer)


async def test_where_it_is_open_the_token_works_at_once(world: World) -> None:
    org = await world.org("open.localhost", registration={"mode": "open", "confirm_email": False})
    client = await app_client(world, org)
    made = await client.post("/api/v1/accounts", data=FORM)
    assert made.status_code == 200, made.text
    assert (await me(client, made.json())).json()["username"] == "eva"
    for wrong, field, code in (
        ({"username": "EVA", "email": "other@x.example"}, "username", "ERR_TAKEN"),
        ({"username": "uma"}, "email", "ERR_TAKEN"),
        ({"username": "no spaces"}, "username", "ERR_INVALID"), ({"username": "u" * 31}, "username", "ERR_TOO_LONG"),
        ({"username": "admin"}, "username", "ERR_RESERVED"), ({"username": ""}, "username", "ERR_BLANK"),
        ({"username": "uma", "password": "short"}, "password", "ERR_TOO_SHORT"),
        ({"username": "uma", "password": "x" * 5000}, "password", "ERR_TOO_LONG"),
        ({"username": "uma", "email": "nobody"}, "email", "ERR_INVALID"),
        ({"username": "uma", "email": ""}, "email", "ERR_BLANK"),
        ({"username": "uma", "agreement": "false"}, "agreement", "ERR_ACCEPTED"),
        ({"username": "uma", "locale": "???"}, "locale", "ERR_INCLUSION"),
    ):  # fmt: skip
        refused = await client.post("/api/v1/accounts", data=FORM | wrong)
        assert refused.status_code == 422 and list(refused.json()["details"]) == [field], (wrong, refused.text)
        (said,) = refused.json()["details"][field]
        assert said["error"] == code and refused.json()["error"].endswith(said["description"])
    nothing = (await client.post("/api/v1/accounts", data={})).json()
    assert set(nothing["details"]) == {"username", "email", "password", "agreement"}, "all at once"
    assert nothing["error"].startswith("Validation failed: Username can't be blank, Email can't be blank")
    assert await org.by_handle("uma") is None
    del client.headers["authorization"]
    assert (await client.post("/api/v1/accounts", data=FORM)).status_code == 401


async def test_where_somebody_decides_it_works_after_that(world: World) -> None:
    org = await world.org("asks.localhost", registration={"mode": "approval", "confirm_email": False})
    client = await app_client(world, org)
    token = (await client.post("/api/v1/accounts", data=FORM)).json()
    assert (await me(client, token)).status_code == 403
    await org.write(accounts.approve, await org.by_handle("eva"), "test")
    assert (await me(client, token)).status_code == 200


async def test_closed_is_the_default(world: World) -> None:
    org = await world.org("closed.localhost")
    client = await app_client(world, org)
    assert (await client.post("/api/v1/accounts", data=FORM)).status_code == 403
    assert (await client.get("/api/v2/instance")).json()["registrations"]["enabled"] is False


def test_a_promise_that_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    write_initial(tmp_path, "clinic.localhost:8000")
    path = tmp_path / "instance.toml"
    opened = '[registration]\nmode = "open"\nconfirm_email = false'
    path.write_text(path.read_text().replace("[registration]", opened))
    assert load(path, environ=os.environ).registration.mode == "open"
    path.write_text(path.read_text().replace("confirm_email = false", "confirm_email = true"))
    with pytest.raises(ConfigError, match="sends no mail"):
        load(path, environ=os.environ)


async def test_good_tokens_that_do_not_count_are_told_why(world: World) -> None:
    org = await world.org("waits.localhost", registration={"mode": "approval", "confirm_email": False})
    client = await app_client(world, org)
    for path in ("/api/v1/accounts/verify_credentials", "/api/v1/timelines/home"):
        answer = await client.get(path)
        said = {"error": "This method requires an authenticated user"}
        assert (answer.status_code, answer.json()) == (422, said), path
    waiting = (await client.post("/api/v1/accounts", data=FORM | {"reason": "I work there"})).json()
    answer = await me(client, waiting)
    assert (answer.status_code, answer.json()) == (403, {"error": "Your login is currently pending approval"})
    eva = await org.by_handle("eva")
    assert eva is not None
    await org.write(accounts.approve, eva, "test")
    assert (await me(client, waiting)).status_code == 200
    await org.write(credentials.set_disabled, eva.id, True)
    org.server.api._forget(NoticesLost())
    answer = await me(client, waiting)
    assert (answer.status_code, answer.json()) == (403, {"error": "Your login is currently disabled"})
    assert (await me(client, {"access_token": "unknown"})).status_code == 401
