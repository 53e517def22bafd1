"""The tree keeps its own rules, and each rule is seen to catch what it is for."""

import subprocess
from pathlib import Path

import pytest

from tools import check_tree

ROOT = Path(__file__).resolve().parents[2]


def write(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def says(root: Path) -> list[str]:
    return [str(finding) for finding in check_tree.check(root)]


def test_the_tree_keeps_its_rules() -> None:
    assert says(ROOT) == []


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("see /wor" + "k/notes", "path of a machine"),
        ("in '/ho" + "me/anna/x'", "path of a machine"),
        ("log = '/tm" + "p/out.log'", "path of a temporary folder"),
        ("from py" + "pi.org", "host of a package registry"),
        ("--extra-in" + "dex-url x", "address of a package index"),
        ("later: TO" + "DO", "unfinished mark"),
        ("raise NotImplemented" + "Error", "unfinished mark"),
        ("@pytest.mark.sk" + "ip", "skipped test"),
    ],
)
def test_words_that_must_not_be_committed(tmp_path: Path, text: str, rule: str) -> None:
    write(tmp_path, "docs/page.md", f"first line\n{text}\n")
    (found,) = says(tmp_path)
    assert found.startswith(f"docs/page.md:2: {rule}: ")


@pytest.mark.parametrize("text", ["/api/v1/timelines/home", "/home", "/workers/1", "an empty /tmp", "todo", "hacker"])
def test_words_that_only_look_like_them(tmp_path: Path, text: str) -> None:
    write(tmp_path, "docs/page.md", text)
    assert says(tmp_path) == []


def test_sizes_and_hidden_imports(tmp_path: Path) -> None:
    write(tmp_path, "long.py", "x = 1\n" * (check_tree.MODULE_LINES + 1))
    write(tmp_path, "fits.py", "x = 1\n" * check_tree.MODULE_LINES)
    write(tmp_path, "deep.py", "def f():\n" + "    x = 1\n" * check_tree.FUNCTION_LINES)
    write(tmp_path, "even.py", "async def f():\n" + "    x = 1\n" * (check_tree.FUNCTION_LINES - 1))
    write(tmp_path, "lazy.py", "import json\n\ndef f():\n    def g():\n        import os\n")
    found = says(tmp_path)
    assert [line.split(" ", 1)[0] for line in found] == ["deep.py:1:", "lazy.py:5:", "lazy.py:5:", "long.py:1:"]


def test_what_is_other_peoples_or_not_text_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path, "LICENSE", "/wor" + "k/")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff\xfe")
    assert says(tmp_path) == []


def test_only_what_git_keeps_is_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    write(tmp_path, ".gitignore", "build/\n")
    write(tmp_path, "build/notes.txt", "TO" + "DO")
    assert check_tree.main(["--root", str(tmp_path)]) == 0
    write(tmp_path, "notes.txt", "TO" + "DO")
    assert check_tree.main(["--root", str(tmp_path)]) == 1
    assert "notes.txt:1: unfinished mark" in capsys.readouterr().err
