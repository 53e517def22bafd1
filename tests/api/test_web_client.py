"""A web client signs somebody in, in the order of calls that such clients make, with what a browser checks at each.

The client's page comes from another origin, so every answer has to let that origin read it, and the pop-up of the
consent page has to keep its opener. A real server process, over sockets.
"""

from __future__ import annotations

import hashlib
import json
import secrets
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

from tests.support.clients import PASSWORD, clinic_with
from tests.support.pictures import picture
from tests.support.process import ServerProcess

pytestmark = pytest.mark.e2e

CLIENT = "https://web-client.example"
BACK = f"{CLIENT}/clinic/oauth"
SCOPES = "read write follow push"


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server with ana, who has a password, and ben."""
    with clinic_with(tmp_path, "ana", "ben") as server:
        yield server


@dataclass
class Page:
    """The client's page in a browser: it may read an answer only if CORS lets it."""

    client: httpx.AsyncClient
    token: str = ""

    async def fetch(self, method: str, path: str, **options: Any) -> httpx.Response:
        """``fetch()``: a preflight where a browser would make one, and the call itself."""
        headers = {"origin": CLIENT} | ({"authorization": f"Bearer {self.token}"} if self.token else {})
        headers |= options.pop("headers", {})
        safe = method in ("GET", "POST") and headers.keys() == {"origin"} and "json" not in options
        if not safe:
            asked = ", ".join(
                [name for name in headers if name != "origin"] + (["content-type"] if "json" in options else [])
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
        await _first_screen(page, me["id"])
        await _stream(page, instance["configuration"]["urls"]["streaming"], clinic.port)
        await _write(page)
        ended = {"token": page.token, "client_id": app["client_id"], "client_secret": app["client_secret"]}
        await page.json("POST", urlsplit(metadata["revocation_endpoint"]).path, data=ended)
        assert (await page.fetch("GET", "/api/v1/timelines/home")).status_code == 401


async def _first_screen(page: Page, me: str) -> None:
    """What such clients ask for at once when somebody has signed in; nothing of it is missing."""
    asked = {
        "/api/v2/filters", "/api/v1/filters", "/api/v2/notifications", "/api/v1/notifications", "/api/v1/lists",
        "/api/v1/followed_tags", "/api/v1/announcements", "/api/v1/custom_emojis", "/api/v1/conversations",
        "/api/v1/markers?timeline[]=home&timeline[]=notifications", "/api/v2/notifications/policy",
        "/api/v1/notifications/unread_count", "/api/v2/notifications/unread_count", "/api/v1/follow_requests",
        "/api/v1/trends/tags", "/api/v1/trends/statuses", "/api/v1/trends/links", "/api/v2/suggestions",
        "/api/v1/bookmarks", "/api/v1/favourites", "/api/v1/blocks", "/api/v1/mutes", "/api/v1/domain_blocks",
        "/api/v1/scheduled_statuses", "/api/v1/featured_tags", "/api/v1/instance/rules", "/api/v1/instance",
        "/api/v1/instance/extended_description", "/api/v1/instance/privacy_policy", "/api/v1/instance/languages",
        "/api/v1/instance/translation_languages", "/api/v1/instance/peers", "/api/v1/timelines/public?local=true",
        "/api/v1/timelines/tag/x?any[]=y", "/api/v1/directory?order=active", f"/api/v1/accounts/{me}",
        f"/api/v1/accounts/{me}/statuses?exclude_replies=true", f"/api/v1/accounts/{me}/statuses?pinned=true",
        f"/api/v1/accounts/{me}/featured_tags", f"/api/v1/accounts/familiar_followers?id[]={me}",
        f"/api/v1/accounts/relationships?id[]={me}", "/api/v1/apps/verify_credentials", "/nodeinfo/2.0",
    }  # fmt: skip
    for path in sorted(asked):
        await page.json("GET", path)
    assert await page.json("GET", "/api/v1/timelines/home") == []
    missing = await page.fetch("GET", "/api/v1/push/subscription")
    assert missing.status_code == 404 and missing.json() == {"error": "Record not found"}


async def _write(page: Page) -> None:
    """A picture with a description, a post with it and with an idempotency key, an edit, a marker, an answer found."""
    file = await page.json("POST", "/api/v2/media", files={"file": ("a.png", picture(), "image/png")})
    changed = await page.json("PUT", f"/api/v1/media/{file['id']}", json={"description": "a scan"})
    assert changed["description"] == "a scan"
    for _ in range(2):
        posted = await page.json(
            "POST", "/api/v1/statuses", json={"status": "look, @ben", "media_ids": [file["id"]]},
            headers={"idempotency-key": "one"},
        )  # fmt: skip
    at = f"/api/v1/statuses/{posted['id']}"
    assert (await page.json("GET", f"{at}/source"))["text"] == "look, @ben"
    edited = await page.json("PUT", at, json={"status": "look again", "media_ids": [file["id"]]})
    assert edited["edited_at"] and edited["media_attachments"][0]["description"] == "a scan"
    shown = await page.client.get(
        urlsplit(edited["media_attachments"][0]["url"])._replace(scheme="", netloc="").geturl()
    )
    assert shown.status_code == 200 and shown.headers["access-control-allow-origin"] == "*"
    placed = await page.json("POST", "/api/v1/markers", json={"home": {"last_read_id": posted["id"]}})
    assert placed["home"]["last_read_id"] == posted["id"]
    found = await page.json("GET", "/api/v2/search?q=ben&resolve=true&type=accounts&limit=5")
    assert [a["acct"] for a in found["accounts"]] == ["ben"]
    assert (await page.json("DELETE", at))["text"] == "look again"


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
