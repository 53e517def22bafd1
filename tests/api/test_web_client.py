"""A web client signs somebody in, in the order of calls that such clients make, with what a browser checks at each.

The client's page comes from another origin, so every answer has to let that origin read it, and the pop-up of the
consent page has to keep its opener. A real server process, over sockets.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
import websockets

from tests.support.process import KEY, Port, ServerProcess, serving, write_config

pytestmark = pytest.mark.e2e

PASSWORD = "correct horse battery staple"
CLIENT = "https://web-client.example"
BACK = f"{CLIENT}/clinic/oauth"
SCOPES = "read write follow push"


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server with ana, who has a password."""
    port = Port()
    config = write_config(tmp_path, "clinic", port.number, [])
    subprocess.run(
        [sys.executable, "-m", "fedishare", "account", "create", "ana", "--email", "ana@clinic.example",
         "--password-stdin", "-c", str(config)],
        input=PASSWORD, text=True, check=True, capture_output=True, env={"FEDISHARE_SECRET_KEY": KEY},
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    with serving(config, port.number) as server:
        yield server
    port.close()


@dataclass
class Page:
    """The client's page in a browser: it may read an answer only if CORS lets it."""

    client: httpx.AsyncClient
    token: str = ""

    async def fetch(self, method: str, path: str, **options: Any) -> httpx.Response:
        """``fetch()``: a preflight where a browser would make one, and the call itself."""
        headers = {"origin": CLIENT} | ({"authorization": f"Bearer {self.token}"} if self.token else {})
        if self.token or "json" in options:
            asked = ", ".join(
                name for name, there in (("authorization", self.token), ("content-type", "json" in options)) if there
            )
            preflight = await self.client.request(
                "OPTIONS", path,
                headers={"origin": CLIENT, "access-control-request-method": method,
                         "access-control-request-headers": asked},
            )  # fmt: skip
            assert preflight.status_code in (200, 204), (path, preflight.status_code)
            assert preflight.headers["access-control-allow-origin"] in ("*", CLIENT)
            assert method in preflight.headers["access-control-allow-methods"]
            allowed = preflight.headers["access-control-allow-headers"].lower()
            assert all(name in allowed for name in asked.split(", ")), (path, allowed)
        answer = await self.client.request(method, path, headers=headers, **options)
        assert answer.headers.get("access-control-allow-origin") in ("*", CLIENT), (path, answer.status_code)
        return answer

    async def json(self, method: str, path: str, **options: Any) -> Any:
        """The same, for answers that are 200 with JSON."""
        answer = await self.fetch(method, path, **options)
        assert answer.status_code == 200, (path, answer.status_code, answer.text)
        return answer.json()


@dataclass
class Form(HTMLParser):
    """The consent page's form: where it goes, and what it carries."""

    fields: dict[str, str] = field(default_factory=dict)
    action: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note forms and their fields."""
        found = dict(attrs)
        if tag == "form":
            self.action = found.get("action") or ""
        elif tag == "input" and found.get("name"):
            self.fields[found["name"] or ""] = found.get("value") or ""


async def pop_up(client: httpx.AsyncClient, address: str) -> str:
    """What a person does in the pop-up; the address to which it is sent in the end."""
    page = await client.get(address)
    assert page.status_code == 200
    form = Form()
    form.feed(page.text)
    assert {"name", "password"} <= form.fields.keys()
    sent = form.fields | {"name": "ana", "password": PASSWORD, "decision": "allow"}
    done = await client.post(form.action or "/oauth/authorize", data=sent)
    assert done.status_code in (302, 303), done.text
    for answer in (page, done):
        # It would cut the pop-up from the page that waits for it.
        assert "cross-origin-opener-policy" not in answer.headers
    # Chromium holds the redirect after a form against the page's form-action, too.
    assert (
        "form-action" not in page.headers["content-security-policy"]
        or CLIENT in page.headers["content-security-policy"]
    )
    found: str = done.headers["location"]
    return found


async def test_a_web_client_signs_in_and_shows_home(clinic: ServerProcess) -> None:
    origin = f"http://127.0.0.1:{clinic.port}"
    async with httpx.AsyncClient(base_url=origin, trust_env=False, timeout=20) as client:
        page = Page(client)
        # The domain's own word on where the server is, then the app, then where to send the person.
        described = await page.fetch("GET", "/.well-known/host-meta")
        assert described.status_code == 200 and "webfinger" in described.text
        app = await page.json(
            "POST",
            "/api/v1/apps",
            data={"client_name": "Web", "redirect_uris": BACK, "scopes": SCOPES, "website": CLIENT},
        )
        assert app["redirect_uris"] == [BACK]
        metadata = await page.json("GET", "/.well-known/oauth-authorization-server")
        assert "S256" in metadata["code_challenge_methods_supported"] and set(SCOPES.split()) <= set(
            metadata["scopes_supported"]
        )

        verifier = secrets.token_urlsafe(48)
        challenge = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "client_id": app["client_id"], "redirect_uri": BACK, "response_type": "code", "scope": SCOPES,
            "state": "xyz", "code_challenge": challenge, "code_challenge_method": "S256",
        }  # fmt: skip
        authorize = urlsplit(metadata["authorization_endpoint"]).path
        back = await pop_up(client, f"{authorize}?{urlencode(asked)}")
        assert back.startswith(f"{BACK}?")
        answer = parse_qs(urlsplit(back).query)
        assert answer["state"] == ["xyz"]
        granted = await page.json(
            "POST", urlsplit(metadata["token_endpoint"]).path,
            data={"grant_type": "authorization_code", "client_id": app["client_id"], "redirect_uri": BACK,
                  "client_secret": app["client_secret"], "code": answer["code"][0], "code_verifier": verifier},
        )  # fmt: skip
        assert granted["scope"] == SCOPES and granted["token_type"] == "Bearer" and granted["created_at"]

        page.token = granted["access_token"]
        me = await page.json("GET", "/api/v1/accounts/verify_credentials")
        assert me["acct"] == "ana" and me["source"]["privacy"] == "public"
        assert (await page.json("GET", "/api/v1/preferences"))["posting:default:visibility"] == "public"
        instance = await page.json("GET", "/api/v2/instance")
        assert instance["configuration"]["statuses"]["max_characters"] == 140
        links = (await page.json("GET", "/.well-known/nodeinfo"))["links"]
        newest = next(link["href"] for link in links if link["rel"].endswith("/schema/2.1"))
        software = await page.json("GET", urlsplit(newest).path)
        assert software["software"]["name"] == "fedishare"
        for path in ("filters", "notifications", "lists", "followed_tags", "announcements", "custom_emojis", "markers"):
            version = "v2" if path in ("filters", "notifications") else "v1"
            await page.json("GET", f"/api/{version}/{path}")
        assert await page.json("GET", "/api/v1/timelines/home") == []
        await _stream(page, instance["configuration"]["urls"]["streaming"], clinic.port)


async def _stream(page: Page, streaming: str, port: int) -> None:
    """The WebSocket at the address that the instance names, which then says what is posted."""
    assert streaming.startswith("ws://clinic.localhost:")
    address = f"ws://127.0.0.1:{port}/api/v1/streaming?{urlencode({'access_token': page.token, 'stream': 'user'})}"
    async with websockets.connect(address, origin=websockets.Origin(CLIENT), proxy=None) as socket:
        posted = await page.json("POST", "/api/v1/statuses", json={"status": "good morning", "visibility": "public"})
        said = json.loads(await socket.recv())
        assert (said["event"], said["stream"]) == ("update", ["user"])
        assert json.loads(said["payload"])["id"] == posted["id"]
    home = await page.fetch("GET", "/api/v1/timelines/home")
    assert [each["id"] for each in home.json()] == [posted["id"]]
    exposed = home.headers["access-control-expose-headers"].lower()
    assert "link" in exposed and "x-ratelimit-remaining" in exposed
