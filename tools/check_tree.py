"""Rules about the tree that no linter knows: sizes, imports inside functions, unfinished marks, words of one machine.

A committed file must make sense on any machine and to any reader, so paths of the one it was written on, hosts of
package registries and notes to oneself stay out. Modules and functions keep a size that fits in a head.
"""

import argparse
import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULE_LINES = 500
TEST_MODULE_LINES = 800
FUNCTION_LINES = 60
LARGEST_TEXT = 1_000_000

# Written so that this file does not contain what it looks for.
WORDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("path of a machine", re.compile(r"(?<![\w.])/(?:(?:wor[k]|roo[t]|opt/[p]ypi)\b|hom[e]/\w|User[s]/\w)")),
    ("path of a temporary folder", re.compile(r"(?<![\w.])/tm[p]/\w")),
    ("host of a package registry", re.compile(r"py[p]i\.org|python[h]osted\.org|registry\.[n]pmjs|deb\.[d]ebian\.org")),
    ("address of a package index", re.compile(r"--(?:extra-)?[i]ndex-url|--[f]ind-links")),
    ("unfinished mark", re.compile(r"\b(?:TOD[O]|FIXM[E]|XX[X]|HAC[K])\b|NotImplemented[E]rror")),
    ("skipped test", re.compile(r"mark\.(?:ski[p]|xfai[l])|pytest\.(?:ski[p]|xfai[l]|importorski[p])\(")),
)
# The licence and the locks are other people's words.
FOREIGN = re.compile(r"^(?:LICENSE|requirements/.*\.lock|fedishare/activitypub/contexts/.*)$")


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One broken rule at one line."""

    path: str
    line: int
    says: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.says}"


def tracked(root: Path) -> list[str]:
    """The files that are committed or about to be, as paths below `root`."""
    command = ["git", "-C", str(root), "ls-files", "--cached", "--others", "--exclude-standard"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if told.returncode:
        return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    return sorted(name for name in set(told.stdout.splitlines()) if (root / name).is_file())


def check_words(path: str, text: str) -> Iterator[Finding]:
    """Words that tell of one machine, and marks of unfinished work."""
    for number, line in enumerate(text.splitlines(), 1):
        for what, pattern in WORDS:
            match = pattern.search(line)
            if match:
                yield Finding(path, number, f"{what}: {match[0]!r}; say it without, or finish it")


def check_python(path: str, text: str) -> Iterator[Finding]:
    """Sizes, and imports that hide inside functions."""
    lines = text.count("\n")
    most = TEST_MODULE_LINES if path.startswith("tests/") else MODULE_LINES
    if lines > most:
        yield Finding(path, 1, f"{lines} lines; a module has at most {most}: split it by what it is about")
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        length = (node.end_lineno or node.lineno) - node.lineno + 1
        if length > FUNCTION_LINES:
            yield Finding(path, node.lineno, f"{node.name} has {length} lines; a function has at most {FUNCTION_LINES}")
        for inner in ast.walk(node):
            if isinstance(inner, ast.Import | ast.ImportFrom):
                yield Finding(path, inner.lineno, f"import inside {node.name}; imports stand at the top of a module")


def check(root: Path) -> list[Finding]:
    """Everything that is wrong below `root`, in order."""
    found: set[Finding] = set()
    for path in tracked(root):
        file = root / path
        if FOREIGN.match(path) or file.is_symlink() or file.stat().st_size > LARGEST_TEXT:
            continue
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found.update(check_words(path, text))
        if path.endswith(".py"):
            found.update(check_python(path, text))
    return sorted(found)


def main(arguments: list[str] | None = None) -> int:
    """Print what is wrong; exit 1 when there is anything."""
    parser = argparse.ArgumentParser(prog="python -m tools.check_tree", description="Check the rules about the tree.")
    parser.add_argument("--root", type=Path, default=ROOT, help="the folder to look at")
    found = check(parser.parse_args(arguments).root.resolve())
    for finding in found:
        print(finding, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
