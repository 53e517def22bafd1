"""The import contracts catch what they are for: each violation is planted in a copy of the package and must be seen."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINT = Path(sys.executable).with_name("lint-imports")


def lint(root: Path, *contracts: str) -> subprocess.CompletedProcess[str]:
    options = [word for contract in contracts for word in ("--contract", contract)]
    return subprocess.run(
        [LINT, "--no-logo", "--no-cache", "--config", "pyproject.toml", *options],
        cwd=root,
        env={"PYTHONPATH": str(root), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__", "templates", "static", "*.sql", "*.jsonld")
    shutil.copytree(ROOT / "fedishare", tmp_path / "fedishare", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_package_keeps_them(copy: Path) -> None:
    result = lint(copy)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "fedishare.surprise" not in result.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("policy/decide.py", "import fedishare.store.posts", "layers"),
        ("store/posts.py", "import fedishare.activitypub.reader", "layers"),
        ("guard.py", "import fedishare.gateway", "layers"),
        ("services/posts.py", "import fedishare.activitypub.writer", "layers"),
        ("api/statuses.py", "import fedishare.activitypub.routes", None),
        ("web/pages.py", "import fedishare.api", "layers"),
        ("surprise/__init__.py", "", "layers"),
        ("activitypub/jsonld.py", "import fedishare.activitypub.reader", "activitypub"),
        ("activitypub/surprise.py", "", "activitypub"),
        ("policy/decide.py", "import asyncio", "sans-io"),
        ("activitypub/signatures.py", "from starlette.requests import Request", "sans-io"),
        ("webfinger/jrd.py", "import fedishare.gateway", "sans-io"),
        ("services/posts.py", "import httpx", "one-way-out"),
        ("activitypub/inbox.py", "from socket import create_connection", "one-way-out"),
        ("services/posts.py", "import fedishare.gateway", "services-never-wait"),
        ("services/posts.py", "import asyncio", "services-never-wait"),
        ("api/statuses.py", "import sqlite3", "drivers"),
        ("store/posts.py", "import aiosqlite", "drivers"),
        ("model/ids.py", "import fedishare.model.posts", "no-circles"),
    ],
)
def test_a_violation_is_caught(copy: Path, module: str, line: str, contract: str | None) -> None:
    path = copy / "fedishare" / module
    path.parent.mkdir(exist_ok=True)
    (path.parent / "__init__.py").touch()
    before = path.read_text(encoding="utf-8") if path.exists() else '"""Planted."""\n'
    path.write_text(f"{before}\n{line}\n", encoding="utf-8")
    result = lint(copy, *([contract] if contract else []))
    assert ("BROKEN" in result.stdout) == bool(contract), result.stdout + result.stderr
    assert result.returncode == (1 if contract else 0)
