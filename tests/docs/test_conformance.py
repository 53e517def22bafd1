"""The conformance document says what code and tests say, and nothing it cannot show."""

from pathlib import Path

import pytest

from tools import conformance

REQUIREMENTS = """
[sections]
A = "First"

[A]
R1 = { says = "One." }
R2 = { says = "Two." }
R3 = { says = "Three.", later = "Not today." }
R4 = { says = "Four.", where = "PAPER.md" }
"""
CODE = '''\
"""A module. # spec: R9 — words in a string are not a mark"""


def outside():
    value = 1  # spec: R1, R2 — said at the line

    return value


class Case:
    # spec: R2 — said above the method
    # and continued
    def method(self):
        """Do it, and raise nothing. spec: R4"""

    size = 1  # spec: activitypub#inbox-forwarding
'''
TESTS = """\
import pytest

@pytest.mark.spec("R1", "R2")
def test_both(): ...

class TestMore:
    @pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.spec("R4"))])
    async def test_paper(self, x): ...
"""


def project(root: Path, *, code: str = CODE, tests: str = TESTS) -> Path:
    files = {"docs/requirements.toml": REQUIREMENTS, "fedishare/a.py": code, "tests/test_a.py": tests, "PAPER.md": "-"}
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return root


def run(root: Path, *arguments: str) -> int:
    return conformance.main([*arguments, "--root", str(root)])


def test_marks_become_the_document_and_the_check_sees_it_go_stale(tmp_path: Path) -> None:
    root = project(tmp_path)
    assert run(root, "--check") == 1
    assert run(root) == 0
    text = (root / "docs/conformance.md").read_text(encoding="utf-8")
    assert "| all | 4 | 3 | 0 | 1 |" in text
    assert "- **R3** Three. — Not today." in text
    assert "- met: `fedishare/a.py` `outside` — said at the line\n- shown: `tests/test_a.py::test_both`" in text
    assert "- met: `fedishare/a.py` `Case.method` — said above the method" in text
    assert (
        "- met: `fedishare/a.py` `Case.method`\n- met: `PAPER.md`\n- shown: `tests/test_a.py::TestMore.test_paper`"
        in text
    )
    assert "| activitypub#inbox-forwarding | `fedishare/a.py` `Case` |" in text
    assert "R9" not in text
    assert run(root, "--check") == 0
    (root / "fedishare/a.py").write_text("# a line more\n" + CODE, encoding="utf-8")
    assert run(root, "--check") == 0, "moving a line changes nothing"
    (root / "fedishare/a.py").write_text(CODE.replace("outside", "inside"), encoding="utf-8")
    assert run(root, "--check") == 1


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("R1, R2", "R1, R7", "R7 in code is not in docs/requirements.toml"),
        ("# spec: R1, R2 — said", "# said", "R1 is not met: cite it where it is met"),
        ('spec("R1", "R2")', 'spec("R2")', "R1 is not shown: mark a test"),
        ('spec("R1", "R2")', 'spec("R1", "R2", "R8")', "R8 in tests is not in docs/requirements.toml"),
    ],
)
def test_what_is_claimed_wrongly_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, complaint: str
) -> None:
    root = project(tmp_path, code=CODE.replace(old, new), tests=TESTS.replace(old, new))
    assert run(root) == 0
    assert run(root, "--check") == 1
    assert complaint in capsys.readouterr().err


def test_open_and_claimed_at_once_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = project(tmp_path, code=CODE + "# spec: R3\n", tests=TESTS.replace('"R2"', '"R2", "R3"'))
    assert run(root) == 0
    assert run(root, "--check") == 1
    assert "R3 is called open, but code and tests claim it" in capsys.readouterr().err


def test_a_badly_written_list_is_refused(tmp_path: Path) -> None:
    path = project(tmp_path) / "docs" / "requirements.toml"
    path.write_text('[sections]\nA = "First"\n[A]\nR1 = { says = "One.", soon = "x" }\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"R1 is badly written \(unknown keys: \['soon'\]\)"):
        conformance.load(path)


def test_the_real_list_has_every_number_once() -> None:
    sections, requirements = conformance.load(conformance.ROOT / "docs" / "requirements.toml")
    assert list(requirements) == [f"R{number}" for number in range(1, 128)]
    assert {promise.section for promise in requirements.values()} == set(sections)
    assert [number for number, promise in requirements.items() if promise.later] == []
