"""People: what an app does for somebody, over the API that Mastodon's apps use; and what a stranger's program does."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

from fedishare.activitypub.keys import load_private_pem
from fedishare.activitypub.signatures import sign_cavage
from fedishare.demo.screen import NotSo
from fedishare.model.ids import Domain, Millis
from fedishare.model.names import Names
from fedishare.services.accounts import KeyPair

Json = dict[str, Any]
ACTIVITY = "application/activity+json"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an instance answers. Requests go to the loopback address, whatever the system makes of *.localhost."""

    domain: str
    origin: str
    port: int

    def client(self, **headers: str) -> httpx.Client:
        """A client that has every address of the instance."""
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"host": self.domain, **headers},
            timeout=20,
            trust_env=False,
        )


@dataclass
class Person:
    """Somebody with an account, a token and an app."""

    name: str
    display_name: str
    place: Place
    keys: KeyPair
    token: str
    password: str
    _app: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self._app = self.place.client(authorization=f"Bearer {self.token}")

    @property
    def handle(self) -> str:
        """``@name@domain``."""
        return f"@{self.name}@{self.place.domain}"

    @property
    def acct(self) -> str:
        """``name@domain``, as other instances know the account."""
        return f"{self.name}@{self.place.domain}"

    def sign_in(self, password: str) -> Json:
        """Sign in from a new app, as Mastodon's apps do; who the server says that is. Raises `NotSo`."""
        back = "http://127.0.0.1/back"
        with self.place.client() as browser:
            wanted = {"client_name": "An app", "redirect_uris": back, "scopes": "read"}
            app = _read(browser.post("/api/v1/apps", json=wanted))
            asked = {"client_id": app["client_id"], "redirect_uri": back, "response_type": "code", "scope": "read"}
            form = {**asked, "name": self.name, "password": password, "decision": "allow"}
            place = browser.post("/oauth/authorize", data=form).headers.get("location", "")
            code = httpx.URL(place).params.get("code")
            if not place.startswith(back) or not code:
                raise NotSo("the sign-in was refused")
            granted = _read(
                browser.post(
                    "/oauth/token",
                    json={
                        **asked,
                        "client_secret": app["client_secret"],
                        "grant_type": "authorization_code",
                        "code": code,
                    },
                )
            )
            bearer = {"authorization": f"Bearer {granted['access_token']}"}
            me: Json = _read(browser.get("/api/v1/accounts/verify_credentials", headers=bearer))
        return me

    def close(self) -> None:
        """Close the app."""
        self._app.close()

    # what an app asks

    def ask(self, path: str, **params: Any) -> Any:
        """GET. Raises `NotSo` for anything but 200."""
        return _read(self._app.get(path, params=params))

    def do(self, path: str, **body: Any) -> Any:
        """POST. Raises `NotSo` for anything but 200."""
        return _read(self._app.post(path, json=body))

    def status_of(self, path: str, **params: Any) -> tuple[int, str]:
        """GET: the status, and the error's sentence."""
        answer = self._app.get(path, params=params)
        return answer.status_code, _error(answer)

    def write(self, text: str, **more: Any) -> Json:
        """Publish a post. Said twice, it is the same post: the text is its Idempotency-Key."""
        key = {"idempotency-key": hashlib.sha256(text.encode()).hexdigest()}
        made: Json = _read(self._app.post("/api/v1/statuses", json={"status": text, **more}, headers=key))
        return made

    def edit(self, post: Json, text: str) -> Json:
        """Change one's post."""
        made: Json = _read(self._app.put(f"/api/v1/statuses/{post['id']}", json={"status": text}))
        return made

    def delete(self, post: Json) -> None:
        """Delete one's post."""
        _read(self._app.delete(f"/api/v1/statuses/{post['id']}"))

    def find(self, handle: str) -> Json:
        """Look somebody up, also at partners. Raises `NotSo` when nobody is found."""
        found = self.ask("/api/v2/search", q=handle, resolve="true", type="accounts")["accounts"]
        if not found:
            raise NotSo(f"nobody called {handle} was found")
        account: Json = found[0]
        return account

    def relation(self, account: Json) -> Json:
        """How the two stand to each other."""
        made: Json = self.ask("/api/v1/accounts/relationships", **{"id[]": account["id"]})[0]
        return made

    def at_home(self, uri: str) -> Json:
        """A post in the home timeline, by its address; a boost of it counts. Raises `NotSo`."""
        for status in self.ask("/api/v1/timelines/home", limit=40):
            if uri in (status["uri"], (status["reblog"] or {}).get("uri")):
                found: Json = status
                return found
        raise NotSo("it is not in the home timeline")

    def told(self, kind: str, by: Person) -> Json:
        """A notification of that kind by somebody. Raises `NotSo`."""
        for note in self.ask("/api/v1/notifications", limit=40):
            if note["type"] == kind and note["account"]["acct"] in (by.acct, by.name):
                found: Json = note
                return found
        raise NotSo(f"no notification ({kind}) by {by.handle}")

    def seen(self, ident: str) -> Json:
        """A post by its id here."""
        found: Json = self.ask(f"/api/v1/statuses/{ident}")
        return found

    # what a program with somebody's key can do

    def signed_get(self, place: Place, path: str) -> tuple[int, str]:
        """GET with this person's signature: status and body."""
        headers = self._signed("GET", place, path, None)
        with place.client() as client:
            answer = client.get(path, headers={**headers, "accept": ACTIVITY})
        return answer.status_code, answer.text

    def signed_post(self, place: Place, path: str, document: Json) -> tuple[int, str]:
        """POST an activity with this person's signature: status and body."""
        body = json.dumps(document).encode()
        headers = self._signed("POST", place, path, body)
        with place.client() as client:
            answer = client.post(path, headers=headers, content=body)
        return answer.status_code, answer.text

    def _signed(self, method: str, place: Place, path: str, body: bytes | None) -> dict[str, str]:
        key = load_private_pem(self.keys.rsa_private)
        key_id = Names(self.place.origin, Domain(self.place.domain)).main_key(self.name)
        now = Millis(time.time_ns() // 1_000_000)
        kind = ACTIVITY if body is not None else None
        return sign_cavage(method, place.origin + path, body, key_id, key, now, kind)


def unsigned_get(place: Place, path: str) -> tuple[int, str]:
    """GET as a program that has no key: status and body."""
    with place.client() as client:
        answer = client.get(path, headers={"accept": ACTIVITY})
    return answer.status_code, answer.text


def figures(place: Place) -> dict[str, float]:
    """The page with figures: each line's name and labels, and its number."""
    with place.client() as client:
        lines = client.get("/metrics").text.splitlines()
    return {name: float(number) for name, _, number in (line.rpartition(" ") for line in lines if line[:1] != "#")}


def _read(answer: httpx.Response) -> Any:
    if answer.status_code != 200:
        raise NotSo(f"{answer.status_code} {_error(answer)}")
    return answer.json()


def _error(answer: httpx.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        return answer.text[:200]
    return str(body.get("error", "")) if isinstance(body, dict) else ""
