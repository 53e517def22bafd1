"""A real app: the command-line client toot, as it comes from the package index, against a real server process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.clients import clinic_with, code_for
from tests.support.pictures import picture
from tests.support.process import ServerProcess

pytestmark = pytest.mark.e2e


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where one person uses toot, which keeps its settings in ``home``."""

    server: ServerProcess
    home: Path
    loop: subprocess.Popen[str]

    @property
    def address(self) -> str:
        """What people type when toot asks for the instance."""
        return f"http://127.0.0.1:{self.server.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Where toot keeps its settings, and no proxies."""
        return {"XDG_CONFIG_HOME": str(self.home), "HOME": str(self.home), "NO_PROXY": "*", "PYTHONUNBUFFERED": "1"}

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Run toot in a process of its own; its input is open."""
        environment = self.environment | {"PATH": os.environ["PATH"]}
        return subprocess.Popen(
            [sys.executable, "-m", "toot", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env=environment, cwd=self.home,
        )  # fmt: skip

    def toot(self, *words: str, refused: str | None = None) -> str:
        """Run toot to its end; what it printed. ``refused`` is in the message of a command that fails."""
        assert self.loop.stdin is not None and self.loop.stdout is not None
        self.loop.stdin.write(json.dumps([words, self.environment]) + "\n")
        self.loop.stdin.flush()
        code, out, error = json.loads(self.loop.stdout.readline())
        if refused is not None:
            assert code != 0 and refused in error, (words, out, error)
            return str(error)
        assert code == 0, (words, out, error)
        return str(out)

    def json(self, *words: str) -> Any:
        """The answer of a command as JSON."""
        return json.loads(self.toot(*words, "--json"))

    def sign_in(self, name: str) -> None:
        """``toot login``, and what a person does with the address that it prints, in a browser."""
        process = self.start("login", "--instance", self.address)
        assert process.stdout is not None and process.stdin is not None
        process.stdin.write("n\n")
        process.stdin.flush()
        address = next(line.strip() for line in process.stdout if "/oauth/authorize" in line)
        out, error = process.communicate(f"{code_for(address, name)}\n", timeout=30)
        assert process.returncode == 0 and "Successfully logged in" in out, (out, error)


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[ServerProcess]:
    """One server with ana and ben, who have passwords."""
    with clinic_with(tmp_path, "ana", "ben") as server:
        yield server


@pytest.fixture
def loop() -> Iterator[subprocess.Popen[str]]:
    """Where commands are run that need no answers typed."""
    command = [sys.executable, "-m", "tests.support.toot_loop"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) == 0


@pytest.fixture
def terminal(clinic: ServerProcess, tmp_path: Path, loop: subprocess.Popen[str]) -> Callable[[str], Terminal]:
    """Somebody at a terminal, signed in."""

    def sit_down(name: str) -> Terminal:
        home = tmp_path / f"home-of-{name}"
        home.mkdir()
        made = Terminal(clinic, home, loop)
        made.sign_in(name)
        return made

    return sit_down


def test_people_share_with_a_command_line_client(terminal: Callable[[str], Terminal], tmp_path: Path) -> None:
    ana, ben = terminal("ana"), terminal("ben")
    assert ana.json("whoami")["acct"] == "ana"
    ben.toot("follow", "ana")
    assert [a["acct"] for a in ana.json("followers", "ana")] == ["ben"]

    (tmp_path / "scan.png").write_bytes(picture())
    said = ana.json("post", "hello @ben #xray", "--media", str(tmp_path / "scan.png"), "--description", "a scan")
    assert said["media_attachments"][0]["description"] == "a scan" and said["media_attachments"][0]["blurhash"]
    assert [s["id"] for s in ben.json("timelines", "home")] == [said["id"]]
    assert [s["id"] for s in ben.json("timelines", "tag", "xray")] == [said["id"]]
    assert "hello @ben" in ben.toot("status", said["id"])
    answer = ben.json("post", "well seen", "--reply-to", said["id"])
    assert [s["id"] for s in ana.json("thread", said["id"])["descendants"]] == [answer["id"]]
    assert {n["type"] for n in ana.json("notifications")} == {"follow"}

    for verb in ("favourite", "reblog", "bookmark"):
        ben.toot(verb, said["id"])
    assert [a["acct"] for a in ana.json("reblogged-by", said["id"])] == ["ben"]
    assert "hello @ben" in ben.toot("bookmarks", "--once")
    ben.toot("unreblog", said["id"])
    ana.toot("pin", said["id"])

    asked = ana.json("post", "which?", "--poll-option", "left", "--poll-option", "right", "--poll-expires-in", "1d")
    voted = ben.json("polls", "vote", asked["poll"]["id"], "1")
    assert voted["own_votes"] == [1] and [o["votes_count"] for o in voted["options"]] == [0, 1]
    ben.toot("polls", "vote", asked["poll"]["id"], "0", refused="already voted")

    assert [s["id"] for s in ben.json("search", "hello")["statuses"]] == [said["id"]]
    ana.toot("post", "x" * 141, refused="over the limit of 140")
    ana.toot("delete", asked["id"])
    ben.toot("status", asked["id"], refused="Record not found")
    ben.toot("follow", "nobody", refused="not found")


def test_lists_tags_and_instance_of_a_command_line_client(terminal: Callable[[str], Terminal], tmp_path: Path) -> None:
    ana = terminal("ana")
    assert "clinic.localhost" in ana.toot("instance", ana.address)
    ana.toot("follow", "ben")
    ana.toot("lists", "create", "colleagues")
    assert [found["title"] for found in ana.json("lists", "list")] == ["colleagues"]
    ana.toot("lists", "add", "colleagues", "ben")
    assert "ben" in ana.toot("lists", "accounts", "colleagues")
    assert ana.json("timelines", "list", "colleagues") == []
    ana.toot("tags", "follow", "xray")
    assert [tag["name"] for tag in ana.json("tags", "followed")] == ["xray"]
    ana.toot("tags", "unfollow", "xray")
    assert ana.json("tags", "followed") == []
    ana.toot("update-account", "--display-name", "Ana Lee")
    assert ana.json("whoami")["display_name"] == "Ana Lee"
    ana.toot("mute", "ben")
    assert [a["acct"] for a in ana.json("muted")] == ["ben"]
    ana.toot("block", "ben")
    assert [a["acct"] for a in ana.json("blocked")] == ["ben"]
    for undone in (("unmute", "muted"), ("unblock", "blocked")):
        ana.toot(undone[0], "ben")
        assert ana.json(undone[1]) == []


def test_profile_requests_and_leaving_of_a_command_line_client(
    terminal: Callable[[str], Terminal], tmp_path: Path
) -> None:
    ana, ben = terminal("ana"), terminal("ben")
    (tmp_path / "face.png").write_bytes(picture())
    uploaded = ana.json("upload", str(tmp_path / "face.png"), "--description", "a face")
    assert uploaded["type"] == "image" and uploaded["description"] == "a face"
    changed = ana.json(
        "update-account", "--avatar", str(tmp_path / "face.png"), "--note", "in the lab", "--locked", "--privacy",
        "private", "--language", "en",
    )  # fmt: skip
    assert (
        changed["locked"] is True and changed["source"]["privacy"] == "private" and "missing" not in changed["avatar"]
    )
    ben.toot("follow", "ana")
    assert [a["acct"] for a in ana.json("follow-requests", "list")] == ["ben"]
    ana.toot("follow-requests", "accept", "ben")
    assert "in the lab" in ben.toot("whois", "ana") and [a["acct"] for a in ben.json("following", "ben")] == ["ana"]
    said = ana.json("post", "for those who follow", "--language", "de", "--spoiler-text", "quiet")
    assert (said["visibility"], said["language"], said["spoiler_text"]) == ("private", "de", "quiet")
    assert [s["id"] for s in ben.json("timelines", "home")] == [said["id"]]
    asked = ana.json("post", "when?", "--poll-option", "now", "--poll-option", "later", "--poll-multiple")
    assert ben.json("polls", "show", asked["poll"]["id"])["multiple"] is True
    later = ana.json("post", "later", "--scheduled-in", "1 day")
    assert later["scheduled_at"] and later["params"]["text"] == "later"
    ana.toot("notifications", "--clear")
    assert ana.json("notifications") == []
    ben.toot("unfollow", "ana")
    assert ben.json("timelines", "home") == []
    address = ana.address.replace("http://127.0.0.1", "ana@clinic.localhost")
    assert address in ana.toot("auth")
    ana.toot("logout", address)
    ana.toot("whoami", refused="logged in")
