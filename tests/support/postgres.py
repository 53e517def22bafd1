"""A private PostgreSQL server for the tests, on a free loopback port, in a temporary folder.

It is made from the machine's binaries. There is no skipping: without them the tests fail and say what to install.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "150",
    "deadlock_timeout": "100ms",
    "autovacuum": "off",
}


def binaries() -> Path:
    """The folder of initdb and postgres. Fails the test when there is none, or only one older than 15."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name, reverse=True)
    for folder in folders:
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    pytest.fail("PostgreSQL 15 or later is needed: apt-get install postgresql (initdb was not found)", pytrace=False)


@dataclass
class Server:
    """One running server. ``user`` is the system user that it runs as, because it refuses to run as root."""

    folder: Path
    port: int
    bin: Path
    user: str | None
    settings: Mapping[str, str] = field(default_factory=lambda: dict(SETTINGS))
    process: subprocess.Popen[bytes] | None = None
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def url(self, database: str) -> str:
        """The URL of one of its databases."""
        return f"postgresql://fedishare@127.0.0.1:{self.port}/{database}"

    def make(self) -> None:
        """Lay out the files."""
        command = ["-D", str(self.folder / "data"), "-U", "fedishare", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
        done = subprocess.run(
            [self.bin / "initdb", *command],
            user=self.user,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.fail(f"initdb failed:\n{done.stdout}\n{done.stderr}", pytrace=False)

    def start(self) -> None:
        """Start, and wait until it answers."""
        settings = [word for name, value in self.settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as output:
            self.process = subprocess.Popen(
                [self.bin / "postgres", "-D", str(self.folder / "data"), "-p", str(self.port), *settings],
                user=self.user,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        end = time.monotonic() + 20
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=2).close()
                return
            except psycopg.OperationalError as error:
                if self.process.poll() is not None or time.monotonic() > end:
                    log = (self.folder / "log").read_text(errors="replace")
                    pytest.fail(f"PostgreSQL did not start ({error}):\n{log}", pytrace=False)
                time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop: SIGINT ends it in order, SIGQUIT is a crash."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(20)
            self.process = None

    def execute(self, statement: str) -> None:
        """One statement in the maintenance database."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def create(self, template: str = "template1") -> str:
        """A new database, as a copy of another; its name."""
        name = f"test_{next(self.numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY = FILE_COPY")
        return name

    def drop(self, name: str) -> None:
        """Drop a database, whoever is still connected."""
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _system_user() -> str | None:
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    pytest.fail("PostgreSQL does not run as root, and there is no user postgres or nobody", pytrace=False)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def new_server() -> Server:
    """A server that is laid out, but not started."""
    folder, user = Path(tempfile.mkdtemp(prefix="fedishare-postgres-")), _system_user()
    if user is not None:
        shutil.chown(folder, user)
    server = Server(folder, _free_port(), binaries(), user)
    server.make()
    return server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """One server for the whole session, started when a test first asks for it."""
    server = new_server()
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)
