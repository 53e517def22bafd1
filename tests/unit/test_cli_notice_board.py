"""Announcements, rules, emoji and roles, as a shell makes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.support.shell import Shell, new_instance


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """An instance with Ana."""
    made = new_instance(tmp_path_factory.mktemp("pattern") / "clinic")
    made("account", "create", "ana", "--email", "ana@clinic.example")
    return made


@pytest.fixture
def shell(pattern: Shell, tmp_path: Path) -> Shell:
    """The same, for one test."""
    return pattern.copy(tmp_path / "board")


def test_announcements_and_rules_come_and_go(shell: Shell) -> None:
    shell("announcement", "add", "Maintenance", "--starts", "2090-01-01T06:00", "--ends", "2090-01-02")
    (made,) = shell.json("announcement", "list")
    assert (made["text"], made["ends_at"][:10]) == ("Maintenance", "2090-01-02")
    shell("announcement", "add", "x", "--starts", "2090-01-02", "--ends", "2090-01-01", code=1)
    shell("announcement", "add", "x", "--ends", "soon", code=2)
    shell("announcement", "add", " ", code=1)
    shell("announcement", "remove", made["id"])
    shell("announcement", "remove", made["id"], code=1)
    assert shell.json("announcement", "list") == []

    shell("rule", "add", "No patient data", "--hint", "Not even so.")
    (rule,) = shell.json("rule", "list")
    shell("rule", "translate", rule["id"], "de", "Keine Patientendaten")
    shell("rule", "translate", rule["id"], "not a language", "x", code=1)
    assert shell.json("rule", "list")[0]["languages"] == ["de"]
    assert "No patient data" in shell("rule", "list").stdout
    shell("rule", "remove", rule["id"])
    shell("rule", "translate", rule["id"], "de", "x", code=1)
    assert shell.json("rule", "list") == []


def test_emoji_are_made_anew_from_pictures(shell: Shell, tmp_path: Path) -> None:
    still, moving, text = tmp_path / "a.png", tmp_path / "b.gif", tmp_path / "c.png"
    Image.new("RGBA", (64, 64), (200, 30, 20, 128)).save(still)
    frames = [Image.new("RGB", (32, 32), (40 * n, 0, 0)) for n in range(3)]
    frames[0].save(moving, save_all=True, append_images=frames[1:])
    text.write_text("no picture at all")
    shell("emoji", "add", ":hospital:", str(still), "--category", "buildings")
    shell("emoji", "add", "blink", str(moving), "--hidden")
    assert shell.json("emoji", "list") == [
        {"code": "blink", "category": None, "visible": False},
        {"code": "hospital", "category": "buildings", "visible": True},
    ]
    files = {row[0]: row[1:] for row in shell.rows("SELECT code, file, still FROM custom_emoji")}
    assert files["hospital"][0] == files["hospital"][1] and files["blink"][0] != files["blink"][1]
    kept = {path.name for path in (shell.folder / "media" / "local").rglob("*.*")}
    assert kept == {name for pair in files.values() for name in pair}, "and nothing else is left of them"
    with Image.open(next((shell.folder / "media").rglob(files["blink"][1]))) as opened:
        assert getattr(opened, "n_frames", 1) == 1
    for words in (("hospital", str(still)), ("x y", str(still)), ("fake", str(text))):
        shell("emoji", "add", *words, code=1)
    big = tmp_path / "big.png"
    big.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(300_000))
    shell("emoji", "add", "big", str(big), code=1)
    assert {path.name for path in (shell.folder / "media" / "local").rglob("*.*")} == kept
    shell("emoji", "remove", "hospital")
    shell("emoji", "remove", "hospital", code=1)


def test_a_role_is_given_and_noted(shell: Shell) -> None:
    shell("account", "role", "ana", "moderator")
    assert shell.json("account", "show", "ana")["role"] == "moderator"
    shell("account", "role", "ana", "king", code=2)
    shell("account", "role", "nobody", "admin", code=1)
    assert shell.rows("SELECT action, subject, detail FROM audit ORDER BY id DESC LIMIT 1") == [
        ("account.role", "ana", "moderator")
    ]
