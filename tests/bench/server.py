"""The measured server: a real process, started as an operator starts it, on a database that is already full."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psycopg

from tests.bench import machine

START_SECONDS = 30


class ServerFailed(Exception):
    """The server did not start, or ended."""


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Ledger(Protocol):
    """Looks into the database from outside, beside the server."""

    def home_count(self, reader: int) -> int:
        """Entries in a home timeline."""

    def open_jobs(self) -> int:
        """Jobs that are not finished."""

    def close(self) -> None:
        """Disconnect."""


_HOME = "SELECT count(*) FROM home_entry WHERE owner_id = "
_JOBS = "SELECT count(*) FROM job WHERE state < 2"


class SqliteLedger:
    """On a file."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)

    def home_count(self, reader: int) -> int:
        """Entries in a home timeline."""
        return int(self._connection.execute(_HOME + str(reader)).fetchone()[0])

    def open_jobs(self) -> int:
        """Jobs that are not finished."""
        return int(self._connection.execute(_JOBS).fetchone()[0])

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()


class PostgresLedger:
    """On a PostgreSQL server."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)

    def home_count(self, reader: int) -> int:
        """Entries in a home timeline."""
        return self._number(_HOME + str(reader))

    def open_jobs(self) -> int:
        """Jobs that are not finished."""
        return self._number(_JOBS)

    def _number(self, query: str) -> int:
        row = self._connection.execute(query.encode()).fetchone()
        assert row is not None
        return int(row[0])

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()


def ledger(database: str, folder: Path) -> Ledger:
    """The ledger of a database URL."""
    if database.startswith("sqlite:///"):
        return SqliteLedger(folder / database.removeprefix("sqlite:///"))
    return PostgresLedger(database)


@dataclass
class Server:
    """One server process on the configuration ``folder``/instance.toml."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    others: list[int] = field(default_factory=list)
    """Process ids that work for it: a database server's."""

    def start(self) -> float:
        """Start it; the seconds until its first 200. Raises `ServerFailed`."""
        begin = time.perf_counter()
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fedishare", "serve", "-c", str(self.folder / "instance.toml")],
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        while not _answers(self.port):
            if self.process.poll() is not None or time.perf_counter() - begin > START_SECONDS:
                raise ServerFailed(f"the server did not start:\n{self.log_tail()}")
            time.sleep(0.002)
        return time.perf_counter() - begin

    def log_tail(self) -> str:
        """The last lines of its log."""
        return "\n".join((self.folder / "log").read_text(errors="replace").splitlines()[-20:])

    @property
    def pid(self) -> int:
        """The process."""
        assert self.process is not None
        return self.process.pid

    def cpu(self) -> float:
        """Seconds of processor time that it has used, with its worker processes."""
        return machine.cpu_seconds(machine.descendants(self.pid))

    def other_cpu(self) -> float:
        """The same of the database server, if it has one."""
        return machine.cpu_seconds(pid for other in self.others for pid in machine.descendants(other))

    def memory(self) -> float:
        """MiB of resident memory now."""
        return sum(machine.memory_mib(pid) for pid in machine.descendants(self.pid))

    def peak(self) -> float:
        """MiB of resident memory at its highest."""
        return sum(machine.memory_mib(pid, "VmHWM") for pid in machine.descendants(self.pid))

    def stop(self) -> None:
        """End it in order; by force after half a minute."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: bench.localhost\r\nConnection: close\r\n\r\n")
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False
