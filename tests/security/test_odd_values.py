"""Odd values for every parameter of every route, made from the registry: a clear 4xx as JSON, never a 500.

Which parameters a route has is learnt by watching it read them, so that a new route is in this test from its first day.
`World` fails a test in which the server logged an error.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fedishare.api.http import Params
from fedishare.http.routes import Access, Route
from fedishare.model.actors import Role
from fedishare.services import accounts
from tests.support.instances import House, house

ODD: list[Any] = [
    None, True, 0, -1, 1.5, 10**30, -(2**63), 2**63, "", " ", "x", "\x00", "a\x00b", "\u202e\U0010ffff", "9" * 400,
    "a" * 70_000, [], {}, [[]], [None], [{}], {"": ""}, {"0": {"id": []}}, ["x"] * 1200, [1, "x", None, {"a": [1]}],
    "9999-12-31T23:59:59+14:00", "0000-00-00", "0001-01-01T00:00:00-14:00", "10000-01-01", "9999-99-99",
    "https://[::1]/x", "https://user@lab.example:99999/", "//", "(" * 400, '"* OR NEAR(', "%", "\\", "::/0",
    "0.0.0.0/0", "@", "@@", "ana@", "a@b@c", "data:image/png;base64,!!!!", "=" * 40, "after:9998-12-31 " * 50,
]  # fmt: skip
BODIES: list[bytes] = [
    b'{"status": "\\ud800", "q": "\\ud800"}',
    b'{"a":' * 200 + b"1" + b"}" * 200,
    b"[1]",
    b"\xff",
    b"",
]
NUMBERS = ("0", "-1", "%00", "9" * 30, "%F0%9F%98%80", "a" * 3000, "%2e%2e", str(2**63))
SHARE = 9
"""Of the values, one in so many is tried at each place; all of them, over the places."""
GOOD: dict[str, Any] = {
    "status": "mine", "title": "mine", "context": ["home"], "keyword": "mine", "phrase": "mine", "text": "x", "id": [],
    "name": "mine", "q": "mine", "comment": "x", "acct": "ben", "domain": "ward.example", "keys": ["new_users"],
    "ip": "198.51.100.7", "severity": "no_access", "type": "none", "home": {"last_read_id": "1"}, "choices": [0],
    "url": "https://lab.example/x", "start_at": "2026-01-01", "end_at": "2026-02-01", "frequency": "day",
    "subscription": {"endpoint": "https://push.example/x", "keys": {"p256dh": "x", "auth": "x"}},
}  # fmt: skip
"""What gets a call past its first checks, so that the one odd value is met deep inside."""
INSIDES = ("Traceback", "Python", "int too", "sqlite", "psycopg", "object has no", "NoneType", "cannot be stored")
ACCESS = (Access.TOKEN, Access.APP, Access.MEDIA, Access.PEER_OR_TOKEN)


class Watched:
    """Notes which parameters are asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: set[str] = set()
        for method in ("text", "flag", "number", "ident", "texts", "section", "raw", "names", "__contains__"):
            monkeypatch.setattr(Params, method, self._watching(getattr(Params, method)))

    def _watching(self, read: Any) -> Any:
        def noted(found: Params, name: str, *args: Any, **options: Any) -> Any:
            self.names.add(name)
            return read(found, name, *args, **options)

        return noted

    def take(self) -> set[str]:
        """What was asked for since the last time."""
        found, self.names = self.names, set()
        return found


def values(place: str) -> Iterator[Any]:
    """Some of the odd values, others at each place."""
    first = zlib.crc32(place.encode())
    for number, value in enumerate(ODD):
        if (number + first) % SHARE == 0:
            yield value


async def send(client: httpx.AsyncClient, route: Route, path: str, body: dict[str, Any]) -> httpx.Response:
    """A call with these parameters: in the query where there is no body."""
    if route.method == "GET":
        query: list[tuple[str, Any]] = []
        for name, value in body.items():
            if isinstance(value, list):
                query += [(f"{name}[]", str(each)) for each in value[:400]]
            elif isinstance(value, dict):
                query += [(f"{name}[{key}]", str(each)) for key, each in value.items()]
            elif value is not None:
                query.append((name, str(value)[:50_000]))
        return await client.request("GET", path, params=query)
    kind = {"content-type": "application/json"}
    return await client.request(route.method, path, content=json.dumps(body).encode(), headers=kind)


def check(answer: httpx.Response, what: object) -> None:
    assert answer.status_code < 500, (what, answer.status_code, answer.text[:300])
    assert answer.status_code != 429 or "an archive was made" in answer.text, "the rest is not tried at all"
    if answer.status_code >= 400 and "json" in answer.headers.get("content-type", ""):
        error = answer.json()["error"]
        assert isinstance(error, str) and error and not any(word in error for word in INSIDES), (what, error)


async def of_ones_own(home: House, app: httpx.AsyncClient, route: Route) -> str:
    """The id of something that the route is about."""

    async def made(path: str, **fields: Any) -> Any:
        answer = await app.post(path, json=fields)
        assert answer.status_code == 200, answer.text
        return answer.json()

    at = route.path
    if "/lists/{id}" in at or "/list/{id}" in at:
        return str((await made("/api/v1/lists", title="x"))["id"])
    if at.startswith(("/api/v2/filters/{id}", "/api/v2/filters/keywords", "/api/v1/filters/{id}")):
        kept = await made("/api/v2/filters", title="x", context=["home"], keywords_attributes=[{"keyword": "x"}])
        return str(kept["id"] if at.startswith("/api/v2/filters/{id}") else kept["keywords"][0]["id"])
    if "/scheduled_statuses/" in at:
        return str((await made("/api/v1/statuses", status="x", scheduled_at="2031-01-01T00:00:00Z"))["id"])
    if "/polls/" in at:
        return str((await home.cy.say("?", poll={"options": ["a", "b"], "expires_in": 600}))["id"])
    if "/statuses/" in at:
        return str((await made("/api/v1/statuses", status="x #mine"))["id"])
    return str(home.ben.id)


def path_of(route: Route, ident: str) -> str:
    parts = route.path.split("/")
    return "/".join((ident if part == "{id}" else "mine") if "{" in part else part for part in parts)


class Odd:
    """Asks every route odd things, as somebody who may everything."""

    def __init__(self, home: House, app: httpx.AsyncClient, watched: Watched) -> None:
        self.home, self.app, self.watched, self.places = home, app, watched, 0
        every = home.org.server.router.routes
        self.routes = [r for r in every if r.access in ACCESS and "/streaming" not in r.path]

    async def parameters(self, route: Route) -> None:
        """Each parameter of a route, also those that it reads only when others were good."""
        path = path_of(route, await of_ones_own(self.home, self.app, route))
        check(await send(self.app, route, path, GOOD), route.name)
        todo, known = self.watched.take(), set[str]()
        while fresh := todo - known:
            known |= fresh
            for name in sorted(fresh):
                self.places += 1
                for value in values(f"{route.name} {name}"):
                    answer = await send(self.app, route, path, {**GOOD, name: value})
                    check(answer, (route.name, name, str(value)[:60]))
                    todo |= self.watched.take()

    async def paths_and_bodies(self, route: Route) -> None:
        for number in NUMBERS if "{" in route.path else ():
            path = path_of(route, number).replace("mine", number)
            check(await send(self.app, route, path, GOOD), (route.name, number[:40]))
        for body in BODIES if route.max_body and route.method != "GET" else ():
            kind = {"content-type": "application/json"}
            answer = await self.app.request(route.method, path_of(route, "1"), content=body, headers=kind)
            check(answer, (route.name, body[:20]))

    async def everything_is_shown(self, route: Route) -> None:
        """What was taken in can be read."""
        for ident in (self.home.ana.id, self.home.ben.id):
            check(await self.app.get(path_of(route, str(ident))), route.name)


async def test_every_parameter_of_every_route(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(accounts._SCRYPT, "n", 16)  # passwords are not what is looked at
    async with house(tmp_path) as home:
        app = await home.client("ana", "read write follow push profile admin:read admin:write")
        await home.org.write(accounts.set_role, await home.org.by_handle("ana"), Role.ADMIN, "test")
        await home.ben.say("@ana hi #mine", visibility="direct")
        odd = Odd(home, app, Watched(monkeypatch))
        for route in odd.routes:
            await odd.parameters(route)
        assert odd.places > 500, "the watch sees nothing"
        for route in odd.routes:
            await odd.paths_and_bodies(route)
        await home.world.settle()
        for route in odd.routes:
            if route.method == "GET":
                await odd.everything_is_shown(route)
        assert home.world.internet.sent == [] and home.world.internet.dns_lookups == []
