"""docs/conformance.md, from the marks in code and tests: which promise is met where, shown by what, and which is open.

Code says `# spec: R26, R27 — words` at the line that meets a promise, or ends a docstring with `spec: R26` where the
whole function does; a test says `@pytest.mark.spec("R26")`. The list of promises is `docs/requirements.toml`. Places
are given as file and enclosing function, not as line numbers, so that the document changes when the meaning does.
With `--check` nothing is written and anything wrong is an error: a stale document, a number that does not exist, a
promise that is neither met, shown nor explained, one that is called open although code claims it.
"""

import argparse
import ast
import io
import re
import sys
import tokenize
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMENT = re.compile(r"#\s*spec:\s*(?P<refs>[^—]+?)\s*(?:—\s*(?P<words>.*))?$")
IN_DOCSTRING = re.compile(r"(?:^|\s)spec: (?P<refs>R\d+(?:, R\d+)*)\s*$", re.MULTILINE)
NUMBERED = re.compile(r"R[1-9][0-9]{0,2}")

SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One numbered promise of docs/requirements.toml."""

    number: str
    section: str
    says: str
    later: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something is met or shown: a file, the function around it, and what the comment says."""

    path: str
    scope: str
    words: str = ""

    def __str__(self) -> str:
        scope = f" `{self.scope}`" if self.scope else ""
        return f"`{self.path}`{scope}" + (f" — {self.words}" if self.words else "")


@dataclass(frozen=True, slots=True)
class Marks:
    """All that was found: reference to places, in code and in tests."""

    code: Mapping[str, frozenset[Place]] = field(default_factory=dict)
    tests: Mapping[str, frozenset[Place]] = field(default_factory=dict)


def load(path: Path) -> tuple[dict[str, str], dict[str, Requirement]]:
    """Section titles and requirements by number. Raises ValueError when a key is unknown or a number is used twice."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    sections: dict[str, str] = data.pop("sections")
    requirements: dict[str, Requirement] = {}
    for section in sections:
        for number, entry in data.get(section, {}).items():
            unknown = set(entry) - {"says", "later", "where"}
            if unknown or number in requirements or not NUMBERED.fullmatch(number):
                raise ValueError(f"{path.name}: {number} is badly written (unknown keys: {sorted(unknown) or 'none'})")
            requirements[number] = Requirement(number, section, **entry)
    return sections, requirements


def references(text: str) -> list[str]:
    """The single references in `R26, R27` or `activitypub#inbox-forwarding`."""
    return [part for part in re.split(r"[,;\s]+", text) if part]


def scopes(tree: ast.Module) -> list[tuple[int, int, str]]:
    """(first line, last line, dotted name) of every function and class, decorators included; outer ones first."""
    found: list[tuple[int, int, str]] = []

    def walk(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, SCOPES):
                name = f"{prefix}{child.name}"
                first = min([child.lineno, *(d.lineno for d in child.decorator_list)])
                found.append((first, child.end_lineno or child.lineno, name))
                walk(child, f"{name}.")
            else:
                walk(child, prefix)

    walk(tree, "")
    return found


def scope_at(line: int, known: Iterable[tuple[int, int, str]]) -> str:
    """The innermost function or class around `line`; a comment just above one belongs to it."""
    around = [name for first, last, name in known if first <= line <= last]
    return around[-1] if around else ""


def code_marks(source: str) -> Iterator[tuple[str, str, str]]:
    """(reference, scope, words) of every spec comment in `source`, and of docstrings that end with one."""
    tree = ast.parse(source)
    known = scopes(tree)
    for node in ast.walk(tree):
        if isinstance(node, SCOPES):
            for said in IN_DOCSTRING.finditer(ast.get_docstring(node) or ""):
                yield from (
                    (reference, scope_at(node.body[0].lineno, known), "") for reference in references(said["refs"])
                )
    starts = {first: name for first, _, name in reversed(known)}
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        match = COMMENT.match(token.string) if token.type == tokenize.COMMENT else None
        if match is None:
            continue
        line = token.start[0]
        scope = scope_at(line, known)
        follows = line
        while follows < len(lines) and lines[follows].lstrip().startswith("#"):
            follows += 1
        scope = starts.get(follows + 1, scope)
        for reference in references(match["refs"]):
            yield reference, scope, (match["words"] or "").strip()


def test_marks(source: str) -> Iterator[tuple[str, str]]:
    """(reference, test) of every `pytest.mark.spec(...)` in `source`; a mark on a module or class names that."""
    tree = ast.parse(source)
    known = scopes(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.spec":
            scope = scope_at(node.lineno, known)
            for argument in node.args:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield argument.value, scope


def collect(root: Path) -> Marks:
    """Every mark below `root`: comments in fedishare/, pytest marks in tests/."""
    code: dict[str, set[Place]] = defaultdict(set)
    tests: dict[str, set[Place]] = defaultdict(set)
    for path in sorted((root / "fedishare").rglob("*.py")):
        for reference, scope, words in code_marks(path.read_text(encoding="utf-8")):
            code[reference].add(Place(path.relative_to(root).as_posix(), scope, words))
    for path in sorted((root / "tests").rglob("*.py")):
        for reference, scope in test_marks(path.read_text(encoding="utf-8")):
            tests[reference].add(Place(path.relative_to(root).as_posix(), scope))
    return Marks({k: frozenset(v) for k, v in code.items()}, {k: frozenset(v) for k, v in tests.items()})


def problems(requirements: Mapping[str, Requirement], marks: Marks, root: Path) -> list[str]:
    """What is wrong, one sentence each, with what to do."""
    found: list[str] = []
    for kind, places in (("code", marks.code), ("tests", marks.tests)):
        for reference in sorted(places):
            if re.match(r"R\d", reference) and reference not in requirements:
                where = ", ".join(str(place) for place in sorted(places[reference]))
                found.append(f"{reference} in {kind} is not in docs/requirements.toml: {where}")
    for number, promise in requirements.items():
        met = bool(marks.code.get(number)) or (bool(promise.where) and (root / promise.where).is_file())
        shown = bool(marks.tests.get(number))
        if promise.later:
            if met and shown:
                found.append(f"{number} is called open, but code and tests claim it: remove `later` or the marks")
        elif not met:
            meet = f"write {promise.where}" if promise.where else f"cite it where it is met (# spec: {number} — words)"
            found.append(f"{number} is not met: {meet}, or say why not (`later`). {promise.says}")
        elif not shown:
            found.append(f'{number} is not shown: mark a test with @pytest.mark.spec("{number}"). {promise.says}')
    return found


def render(sections: Mapping[str, str], requirements: Mapping[str, Requirement], marks: Marks) -> str:
    """The whole document."""
    promises = list(requirements.values())
    open_ = [promise for promise in promises if promise.later]
    lines = [
        "# Conformance",
        "",
        "What a federating server must get right, where this one does it, and which tests show it. Generated from the",
        "marks in code and tests by `make docs`; `make check` fails when it is stale. The numbers are those of",
        "[requirements.toml](requirements.toml).",
        "",
        "| section | promises | met and shown | to be marked | open |",
        "|---|---|---|---|---|",
    ]
    for letter, title in sections.items():
        mine = [promise for promise in promises if promise.section == letter]
        lines.append(f"| {letter}. {title} | {_counts(mine, marks)} |")
    lines.append(f"| all | {_counts(promises, marks)} |")
    lines += ["", "## Not met", ""]
    lines += [f"- **{promise.number}** {promise.says} — {promise.later}" for promise in open_] or ["Nothing is open."]
    for letter, title in sections.items():
        lines += ["", f"## {letter}. {title}"]
        for promise in promises:
            if promise.section == letter and not promise.later:
                lines += ["", *_entry(promise, marks)]
    lines += _others(marks, requirements)
    return "\n".join(lines) + "\n"


def _counts(promises: Sequence[Requirement], marks: Marks) -> str:
    later = sum(bool(promise.later) for promise in promises)
    shown = sum(
        not promise.later and bool(promise.where or marks.code.get(promise.number)) and promise.number in marks.tests
        for promise in promises
    )
    return f"{len(promises)} | {shown} | {len(promises) - later - shown} | {later}"


def _entry(promise: Requirement, marks: Marks) -> list[str]:
    met = [str(place) for place in sorted(marks.code.get(promise.number, ()))]
    if promise.where:
        met.append(f"`{promise.where}`")
    shown = [f"`{place.path}::{place.scope}`" for place in sorted(marks.tests.get(promise.number, ()))]
    return [
        f"### {promise.number}",
        "",
        promise.says,
        "",
        *(f"- met: {place}" for place in met or ["nowhere yet"]),
        *(f"- shown: {test}" for test in shown or ["nowhere yet"]),
    ]


def _others(marks: Marks, requirements: Mapping[str, Requirement]) -> list[str]:
    """Citations of specifications themselves, such as `activitypub#inbox-forwarding`."""
    named = sorted((set(marks.code) | set(marks.tests)) - set(requirements))
    if not named:
        return []
    lines = ["", "## Specifications cited by section", "", "| cited | where |", "|---|---|"]
    for reference in named:
        places = sorted(marks.code.get(reference, frozenset()) | marks.tests.get(reference, frozenset()))
        where = ", ".join(f"`{place.path}`" + (f" `{place.scope}`" if place.scope else "") for place in places)
        lines.append(f"| {reference.replace('|', '/')} | {where} |")
    return lines


def main(arguments: list[str] | None = None) -> int:
    """Write the document, or with --check only compare; exit 1 when something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tools.conformance", description="Write docs/conformance.md.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when stale, unmet or unknown")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    root: Path = options.root
    sections, requirements = load(root / "docs" / "requirements.toml")
    marks = collect(root)
    target = root / "docs" / "conformance.md"
    text = render(sections, requirements, marks)
    found = problems(requirements, marks, root)
    if options.check:
        if not target.is_file() or target.read_text(encoding="utf-8") != text:
            found.append("docs/conformance.md is stale: run `make docs` and commit it")
    else:
        target.write_text(text, encoding="utf-8")
    for problem in found:
        print(f"conformance: {problem}", file=sys.stderr)
    return 1 if found and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
