"""The project's own files agree with each other: locks, decision records, targets of make, and what CI runs."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tools import find_postgres

ROOT = Path(__file__).resolve().parents[2]
PINNED = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>\S+)", re.MULTILINE)


def lock(name: str) -> str:
    return (ROOT / "requirements" / name).read_text(encoding="utf-8")


def test_locks_pin_everything_with_hashes_and_name_no_place() -> None:
    for name in ("run.lock", "dev.lock", "postgres.lock"):
        text = lock(name)
        assert "://" not in text, name
        blocks = re.split(r"\n(?=\S)", text.strip())
        assert all(PINNED.match(block) and "--hash=sha256:" in block for block in blocks), name
    run, dev = (dict(PINNED.findall(lock(name))) for name in ("run.lock", "dev.lock"))
    assert run.items() <= dev.items(), "a server is tested with what it runs with"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {re.split(r"[\[<>=;]", line)[0] for line in project["dependencies"]}
    assert asked <= run.keys()
    assert "pytest" not in run


def test_dependencies_have_their_reasons() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project["dependency-groups"]
    lines = [*project["project"]["dependencies"], *project["project"]["optional-dependencies"]["postgres"]]
    lines += [line for group in groups.values() for line in group if isinstance(line, str)]
    reasons = (ROOT / "docs/adr/0012-dependencies.md").read_text(encoding="utf-8")
    assert [name for line in lines if (name := re.split(r"[\[<>=;]", line)[0]) not in reasons] == []


def test_decision_records_are_numbered_complete_and_listed() -> None:
    folder = ROOT / "docs/adr"
    records = sorted(path for path in folder.glob("*.md") if path.name != "README.md")
    assert [int(path.name[:4]) for path in records] == list(range(len(records)))
    index = (folder / "README.md").read_text(encoding="utf-8")
    for path in records:
        text = path.read_text(encoding="utf-8")
        headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert headings == ["Context", "Decision", "Cost"], path.name
        assert text.startswith(f"# {path.name[:4]} — "), path.name
        assert path.name in index


def test_make_lists_every_target_and_ci_runs_the_readmes_command() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony is not None
    assert re.findall(r"^  make (\S+)", listed, re.MULTILINE) == phony[1].split()
    commands = (ROOT / ".ci/run").read_text(encoding="utf-8").split()
    assert commands[-4:] == ["make", "check", "make", "test"]
    assert (ROOT / ".ci/run").stat().st_mode & 0o111


def test_links_between_the_projects_papers_lead_somewhere() -> None:
    papers = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("requirements/*.md")]
    broken = [
        f"{paper.relative_to(ROOT)}: {target}"
        for paper in papers
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", paper.read_text(encoding="utf-8"))
        if "://" not in target and not target.startswith("mailto:") and not (paper.parent / target).exists()
    ]
    assert broken == []


def test_postgres_is_found_installed_or_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = find_postgres.find()
    assert folder is not None
    assert find_postgres.version(folder) >= find_postgres.OLDEST
    assert find_postgres.version(tmp_path) == 0
    monkeypatch.setattr(find_postgres, "candidates", lambda: iter([tmp_path]))
    monkeypatch.setattr(find_postgres, "install", lambda: False)
    assert find_postgres.main() == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "apt-get install postgresql" in printed.err
    for name, text in (("initdb", ""), ("pg_ctl", ""), ("postgres", "#!/bin/sh\necho 'postgres (PostgreSQL) 17.2'\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    assert find_postgres.main() == 0
    assert capsys.readouterr().out == f"{tmp_path}\n"
    (tmp_path / "postgres").write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 13.9'\n")
    assert find_postgres.main() == 1


@pytest.mark.spec("R127")
def test_federation_md_names_protocols_proposals_and_signature_schemes() -> None:
    text = (ROOT / "FEDERATION.md").read_text(encoding="utf-8")
    named = ["ActivityPub", "WebFinger", "NodeInfo", "RFC 9421", "cavage", "67ff", "8b32", "521a", "8fcf"]
    assert [name for name in named if name.lower() not in text.lower()] == []
