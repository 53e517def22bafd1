"""The sign-in of apps: registration, consent, codes with PKCE, tokens and their end; and what must not work."""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from fedishare.services import accounts
from fedishare.store import credentials
from tests.support.world import Org, World, new_world

PASSWORD = "correct horse battery staple"
VERIFIER = "v" * 64
CHALLENGE = urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
BACK = "https://app.example/back?keep=1"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with new_world(tmp_path) as made:
        yield made


@pytest.fixture
async def org(world: World) -> Org:
    made = await world.org("clinic.localhost")
    ana = await made.person("ana")
    hashed = accounts.hash_password(PASSWORD)
    await made.write(credentials.set_password, ana.id, hashed)
    return made


@pytest.fixture
async def browser(org: Org) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(org.server)
    async with httpx.AsyncClient(transport=transport, base_url=org.server.instance.site.names.origin) as made:
        yield made


async def register(browser: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    body = {"client_name": "Pocket", "redirect_uris": BACK, "scopes": "read write follow"} | more
    answer = await browser.post("/api/v1/apps", data=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ask(app: dict[str, Any], **more: str) -> dict[str, str]:
    asked = {
        "client_id": app["client_id"], "redirect_uri": BACK, "response_type": "code", "scope": "read write:statuses",
        "state": "xyz", "code_challenge": CHALLENGE, "code_challenge_method": "S256",
    }  # fmt: skip
    return asked | more


async def allow(browser: httpx.AsyncClient, app: dict[str, Any], **more: str) -> httpx.Response:
    form = ask(app) | {"name": "ana", "password": PASSWORD, "decision": "allow"} | more
    return await browser.post("/oauth/authorize", data=form)


def code_of(answer: httpx.Response) -> str:
    assert answer.status_code == 303, answer.text
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    assert query["state"] == ["xyz"]
    assert query["keep"] == ["1"]
    return query["code"][0]


async def exchange(browser: httpx.AsyncClient, app: dict[str, Any], code: str, **more: str) -> httpx.Response:
    form = {
        "grant_type": "authorization_code", "client_id": app["client_id"], "client_secret": app["client_secret"],
        "code": code, "redirect_uri": BACK, "code_verifier": VERIFIER,
    }  # fmt: skip
    return await browser.post("/oauth/token", data=form | more)


async def test_an_app_signs_somebody_in(org: Org, browser: httpx.AsyncClient) -> None:
    app = await register(browser)
    page = await browser.get("/oauth/authorize", params=ask(app))
    assert page.status_code == 200
    assert "Pocket" in page.text
    assert "cross-origin-opener-policy" not in page.headers
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
    granted = await exchange(browser, app, code_of(await allow(browser, app)))
    assert granted.status_code == 200, granted.text
    token = granted.json()
    assert token["scope"] == "read write:statuses"
    assert token["token_type"] == "Bearer"
    bearer = {"authorization": f"Bearer {token['access_token']}"}
    me = await browser.get("/api/v1/accounts/verify_credentials", headers=bearer)
    assert me.json()["username"] == "ana"
    posted = await browser.post("/api/v1/statuses", headers=bearer, json={"status": "from an app"})
    assert posted.json()["application"]["name"] == "Pocket"
    # the scope is as narrow as it was allowed
    refused = await browser.post("/api/v1/accounts/1/follow", headers=bearer)
    assert refused.status_code == 403
    # the token ends when it is given back
    form = {"client_id": app["client_id"], "client_secret": app["client_secret"], "token": token["access_token"]}
    assert (await browser.post("/oauth/revoke", data=form)).status_code == 200
    assert (await browser.get("/api/v1/accounts/verify_credentials", headers=bearer)).status_code == 401


async def test_a_code_is_good_once_and_a_second_use_ends_its_token(browser: httpx.AsyncClient) -> None:
    app = await register(browser)
    code = code_of(await allow(browser, app))
    first = (await exchange(browser, app, code)).json()
    bearer = {"authorization": f"Bearer {first['access_token']}"}
    assert (await browser.get("/api/v1/accounts/verify_credentials", headers=bearer)).status_code == 200
    again = await exchange(browser, app, code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert (await browser.get("/api/v1/accounts/verify_credentials", headers=bearer)).status_code == 401


async def test_a_code_is_for_its_app_its_place_and_its_verifier(browser: httpx.AsyncClient) -> None:
    app, other = await register(browser), await register(browser, client_name="Other")
    code = code_of(await allow(browser, app))
    for wrong in ({"redirect_uri": "https://app.example/back"}, {"code_verifier": "w" * 64}, {"code_verifier": ""}):
        assert (await exchange(browser, app, code, **wrong)).json()["error"] == "invalid_grant"
    stolen = {"client_id": other["client_id"], "client_secret": other["client_secret"]}
    assert (await exchange(browser, app, code, **stolen)).json()["error"] == "invalid_grant"
    bad_secret = await exchange(browser, app, code, client_secret="wrong")
    assert (bad_secret.status_code, bad_secret.json()["error"]) == (401, "invalid_client")
    assert (await exchange(browser, app, code)).status_code == 200


async def test_a_code_gets_old(world: World, browser: httpx.AsyncClient) -> None:
    app = await register(browser)
    early, late = code_of(await allow(browser, app)), code_of(await allow(browser, app))
    assert (await exchange(browser, app, early)).status_code == 200
    world.clock.forward(601_000)
    assert (await exchange(browser, app, late)).json()["error"] == "invalid_grant"


async def test_nobody_is_sent_to_a_place_that_was_not_registered(browser: httpx.AsyncClient) -> None:
    app = await register(browser, redirect_uris=f"{BACK}\nurn:ietf:wg:oauth:2.0:oob")
    assert (await browser.get("/oauth/authorize", params=ask(app))).status_code == 200
    for uri in ("https://app.example/back", f"{BACK}&x=1", "https://evil.example/", BACK + "/"):
        answer = await browser.get("/oauth/authorize", params=ask(app, redirect_uri=uri))
        assert answer.status_code == 400
        assert "location" not in answer.headers
    unknown = await browser.get("/oauth/authorize", params=ask(app, client_id="nobody"))
    assert unknown.status_code == 401
    for wrong in ({"response_type": "token"}, {"code_challenge_method": "plain"}, {"scope": "admin:write"}):
        assert (await browser.get("/oauth/authorize", params=ask(app, **wrong))).status_code == 400
    shown = await allow(browser, app, redirect_uri="urn:ietf:wg:oauth:2.0:oob")
    found = re.search(r"<code>([\w-]+)</code>", shown.text)
    assert found is not None
    assert (await exchange(browser, app, found[1], redirect_uri="urn:ietf:wg:oauth:2.0:oob")).status_code == 200


async def test_the_browser_stays_signed_in_and_forms_belong_to_it(browser: httpx.AsyncClient) -> None:
    app = await register(browser)
    code_of(await allow(browser, app))
    page = await browser.get("/oauth/authorize", params=ask(app))
    assert "signed in as <b>@ana</b>" in page.text
    proof = re.search(r'name="proof" value="([0-9a-f]+)"', page.text)
    assert proof is not None
    form = ask(app) | {"decision": "allow", "proof": proof[1]}
    code_of(await browser.post("/oauth/authorize", data=form))
    odd = await browser.post("/oauth/authorize", data=form | {"proof": "\u00e9"})
    assert odd.status_code == 403, odd.text
    forged = await browser.post("/oauth/authorize", data=form | {"proof": "0" * 64})
    assert forged.status_code == 403
    wider = await browser.post("/oauth/authorize", data=form | {"scope": "read write follow"})
    assert wider.status_code == 403
    denied = await browser.post("/oauth/authorize", data=form | {"decision": "deny"})
    assert "error=access_denied" in denied.headers["location"]


async def test_wrong_names_and_passwords(org: Org, world: World, browser: httpx.AsyncClient) -> None:
    app = await register(browser)
    assert (await allow(browser, app, password="wrong " * 3)).status_code == 401
    assert (await allow(browser, app, name="nobody")).status_code == 401
    assert (await allow(browser, app, name="instance.actor")).status_code == 401
    code_of(await allow(browser, app, name="@ANA"))
    browser.cookies.clear()
    ana = await org.by_handle("ana")
    await org.write(accounts.suspend, ana, "test")
    assert (await allow(browser, app)).status_code == 401


async def test_an_app_has_a_token_of_its_own_that_stands_for_nobody(browser: httpx.AsyncClient) -> None:
    app = await register(browser)
    form = {"grant_type": "client_credentials", "scope": "read"}
    granted = await browser.post("/oauth/token", data=form, auth=(app["client_id"], app["client_secret"]))
    bearer = {"authorization": f"Bearer {granted.json()['access_token']}"}
    assert (await browser.get("/api/v1/apps/verify_credentials", headers=bearer)).json()["name"] == "Pocket"
    assert (await browser.get("/api/v1/timelines/home", headers=bearer)).status_code == 422
    assert (await browser.get("/api/v1/apps/verify_credentials")).status_code == 401


async def test_an_app_may_only_want_to_know_who_it_is(org: Org, browser: httpx.AsyncClient) -> None:
    app = await register(browser, scopes="profile")
    token = (await exchange(browser, app, code_of(await allow(browser, app, scope="profile")))).json()["access_token"]
    bearer = {"authorization": f"Bearer {token}"}
    me = (await browser.get("/api/v1/accounts/verify_credentials", headers=bearer)).json()
    told = (await browser.get("/oauth/userinfo", headers=bearer)).json()
    assert (told["sub"], told["preferred_username"], told["profile"]) == (me["uri"], "ana", me["url"])
    assert (await browser.get(f"/api/v1/accounts/{me['id']}", headers=bearer)).status_code == 403
    assert (await browser.get("/oauth/userinfo")).status_code == 401


async def test_what_is_not_supported_says_so(browser: httpx.AsyncClient) -> None:
    for kind in ("password", "", "refresh_token"):
        answer = await browser.post("/oauth/token", json={"grant_type": kind, "username": "ana", "password": PASSWORD})
        assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")
        assert "not supported" in answer.json()["error_description"]
    metadata = (await browser.get("/.well-known/oauth-authorization-server")).json()
    assert metadata["code_challenge_methods_supported"] == ["S256"]
    assert metadata["token_endpoint"].endswith("/oauth/token")


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_name": ""}, {"client_name": "x" * 61}, {"redirect_uris": ""}, {"redirect_uris": "javascript:alert(1)"},
        {"redirect_uris": "/relative"}, {"scopes": "read nonsense"}, {"website": "ftp://x.example"},
        {"redirect_uris": "https://a.example/#fragment"},
    ],
)  # fmt: skip
async def test_apps_that_cannot_register(browser: httpx.AsyncClient, wrong: dict[str, str]) -> None:
    body = {"client_name": "Pocket", "redirect_uris": BACK, "scopes": "read"} | wrong
    answer = await browser.post("/api/v1/apps", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]
