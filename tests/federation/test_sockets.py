"""Real server processes federate over real sockets: SQLite with SQLite, and SQLite with PostgreSQL."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.postgres import Server as PostgresServer
from tests.support.process import Port, ServerProcess, command, request, serving, write_config

SECONDS = 20.0


@dataclass
class Member:
    """A person of a running server, by token."""

    server: ServerProcess
    domain: str
    name: str
    token: str

    @property
    def handle(self) -> str:
        """As the others write it."""
        return f"{self.name}@{self.domain}"

    def call(self, method: str, path: str, expected: int = 200, /, **fields: Any) -> Any:
        """One API call on a connection of its own."""
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json", "host": self.domain}
        body = json.dumps(fields).encode() if fields else b""
        status, answer = request(self.server.port, method, path, headers, body)
        assert status == expected, (path, status, answer)
        return json.loads(answer)

    def follow(self, other: Member) -> None:
        """Follow somebody at the other server."""
        found = self.call("GET", f"/api/v2/search?resolve=true&q=@{other.handle}")
        self.call("POST", f"/api/v1/accounts/{found['accounts'][0]['id']}/follow")

    def home(self) -> list[str]:
        """The texts at home."""
        return [status["content"] for status in self.call("GET", "/api/v1/timelines/home")]

    def follows(self, other: Member) -> bool:
        """Whether the other's server has accepted."""
        account = self.call("GET", f"/api/v1/accounts/lookup?acct={other.handle}")
        (stands,) = self.call("GET", f"/api/v1/accounts/relationships?id[]={account['id']}")
        return bool(stands["following"])


def until(holds: Callable[[], bool], what: str) -> None:
    """Look again and again until it holds: there is no event that crosses processes."""
    end = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < end, f"{what} did not happen within {SECONDS:g} s"
        time.sleep(0.02)


@dataclass
class Hosts:
    """Starts servers for a test, and ends them with it."""

    folder: Path
    stack: ExitStack

    def port(self) -> int:
        """A port of its own."""
        port = Port()
        self.stack.callback(port.close)
        return port.number

    def member(self, name: str, host: str, port: int, partners: list[int], **tables: Any) -> Member:
        """One organization's server with one person, made by the command line."""
        folder = self.folder / host
        folder.mkdir()
        domains = [f"{NAMES[number]}.localhost:{number}" for number in partners]
        config = write_config(folder, host, port, domains, **tables)
        command(config, "migrate")
        command(config, "account", "create", name, "--email", f"{name}@example.org")
        token = command(config, "token", "create", name, "--scopes", "read write follow").strip()
        server = self.stack.enter_context(serving(config, port))
        return Member(server, f"{host}.localhost:{port}", name, token)


NAMES: dict[int, str] = {}


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    with ExitStack() as stack:
        yield Hosts(tmp_path, stack)
        NAMES.clear()


def _exchange(ana: Member, ben: Member, eve: Member) -> None:
    """What two organizations do on their first day; and eve, whom nobody listed, gets nothing."""
    ben.follow(ana)
    ana.follow(ben)
    until(lambda: ben.follows(ana) and ana.follows(ben), "following each other")
    said = ana.call("POST", "/api/v1/statuses", status="Look at this x-ray", reach="partners")
    inside = ana.call("POST", "/api/v1/statuses", status="Just between us")
    until(lambda: ben.home() == ["<p>Look at this x-ray</p>"], "the post's arrival")
    arrived = ben.call("GET", "/api/v1/timelines/home")[0]
    assert arrived["uri"] == said["uri"] and arrived["account"]["acct"] == ana.handle
    ben.call("POST", f"/api/v1/statuses/{arrived['id']}/favourite")
    ben.call("POST", "/api/v1/statuses", status=f"@{ana.handle} seen it twice", in_reply_to_id=arrived["id"])
    until(lambda: len(ana.call("GET", "/api/v1/notifications")) == 3, "follow, like and reply")
    kinds = {each["type"] for each in ana.call("GET", "/api/v1/notifications")}
    assert kinds == {"follow", "favourite", "mention"}
    ana.call("PUT", f"/api/v1/statuses/{said['id']}", status="Look at this strange x-ray")
    until(lambda: "<p>Look at this strange x-ray</p>" in ben.home(), "the edit")
    # The stranger asks in vain, with its own good signature and without one.
    refused = eve.call("GET", f"/api/v2/search?resolve=true&q=@{ana.handle}")
    assert refused["accounts"] == []
    host = {"host": ana.domain, "accept": "application/activity+json"}
    for path in (f"/users/{ana.name}", f"/users/{ana.name}/statuses/{said['id']}", "/users/nobody"):
        assert request(ana.server.port, "GET", path, host)[0] == 401
    assert ana.call("GET", f"/api/v2/search?resolve=true&q=@{eve.handle}", 403)["error"]
    ana.call("DELETE", f"/api/v1/statuses/{said['id']}")
    until(lambda: not any("x-ray" in text for text in ben.home()), "the deletion")
    assert inside["reach"] == "local" and not any("between us" in text for text in ben.home())
    for member in (ana, ben):
        assert member.server.jobs().get("dead", 0) == 0
        assert "Traceback" not in member.server.log


@pytest.mark.e2e
def test_two_servers_on_sqlite_and_a_stranger(hosts: Hosts) -> None:
    clinic, lab, stranger = hosts.port(), hosts.port(), hosts.port()
    NAMES.update({clinic: "clinic", lab: "lab", stranger: "stranger"})
    ana = hosts.member("ana", "clinic", clinic, [lab])
    ben = hosts.member("ben", "lab", lab, [clinic])
    eve = hosts.member("eve", "stranger", stranger, [clinic, lab])
    _exchange(ana, ben, eve)


@pytest.mark.e2e
def test_a_server_on_sqlite_and_one_on_postgresql(hosts: Hosts, postgres_server: PostgresServer) -> None:
    clinic, lab, stranger = hosts.port(), hosts.port(), hosts.port()
    NAMES.update({clinic: "clinic", lab: "lab", stranger: "stranger"})
    database = postgres_server.create()
    hosts.stack.callback(postgres_server.drop, database)
    ana = hosts.member("ana", "clinic", clinic, [lab], database={"url": postgres_server.url(database)})
    ben = hosts.member("ben", "lab", lab, [clinic])
    eve = hosts.member("eve", "stranger", stranger, [clinic, lab])
    _exchange(ana, ben, eve)
