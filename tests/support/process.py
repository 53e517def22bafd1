"""A real server process on loopback, started as an operator starts it, and killed as a machine kills it.

The port is reserved for as long as the test runs, so a server finds it again after its end. The process holds the other
end of a pipe of ours: whatever happens to the tests, it does not outlive them.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

ANSWER_SECONDS = 20.0
KEY = "0" * 64


class Port:
    """A free loopback port that nobody else gets. It is bound and never listened on, so a server can listen on it."""

    def __init__(self) -> None:
        self._holder = socket.socket()
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._holder.bind(("127.0.0.1", 0))
        self.number: int = self._holder.getsockname()[1]

    def close(self) -> None:
        """Let it go."""
        self._holder.close()


def write_config(
    folder: Path, name: str, port: int, partners: Iterable[str | dict[str, Any]], *, origin_port: int | None = None,
    file: str = "instance.toml", **tables: dict[str, Any],
) -> Path:  # fmt: skip
    """An instance.toml for development on ``name``.localhost. ``origin_port``: that of a proxy in front."""
    domain = f"{name}.localhost:{origin_port or port}"
    given: dict[str, dict[str, Any]] = {
        "server": {
            "domain": domain, "origin": f"http://{domain}", "listen": f"127.0.0.1:{port}", "development": True,
        },
        "database": {"url": f"sqlite:///{name}.db"},
        "log": {"level": "info"},
    }  # fmt: skip
    for table, keys in tables.items():
        given[table] = given.get(table, {}) | keys
    lines = []
    for table, keys in given.items():
        lines += [f"[{table}]", *_keys(keys)]
    for partner in partners:
        entry = {"domain": partner} if isinstance(partner, str) else partner
        lines += ["[[federation.partners]]", *_keys({"reason": "test"} | entry)]
    path = folder / file
    path.write_text("\n".join(lines) + "\n")
    return path


def _keys(table: dict[str, Any]) -> list[str]:
    return [f"{key} = {msgspec.json.encode(value).decode()}" for key, value in table.items()]


@dataclass
class ServerProcess:
    """One server on a configuration; it may be started again and again."""

    config: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    started: list[float] = field(default_factory=list)
    """Seconds that each start took, until the first 200 of /health."""

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self.process is not None
        return self.process.pid

    @property
    def log(self) -> str:
        """Everything that all its processes said."""
        path = self.config.with_suffix(".log")
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> float:
        """Start it and wait until it is healthy; the seconds that took."""
        assert self.process is None
        begin = time.monotonic()
        command = [sys.executable, "-m", "fedishare", "serve", "-c", str(self.config), "--until-eof"]
        with self.config.with_suffix(".log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, env={"FEDISHARE_SECRET_KEY": KEY},
                cwd=Path(__file__).parents[2],
            )  # fmt: skip
        while not self.healthy():
            if self.process.poll() is not None or time.monotonic() - begin > ANSWER_SECONDS:
                self.kill()
                pytest.fail(f"the server did not start:\n{self.log}", pytrace=False)
            time.sleep(0.005)
        self.started.append(time.monotonic() - begin)
        return self.started[-1]

    def healthy(self) -> bool:
        """Whether /health answers 200."""
        return self.health()[0] == 200

    def health(self) -> tuple[int, bytes]:
        """Status and body of /health; status 0 when nobody answers."""
        try:
            return request(self.port, "GET", "/health")
        except OSError:
            return 0, b""

    def kill(self) -> None:
        """SIGKILL: nothing of it runs any more when this returns."""
        self._end(signal.SIGKILL)

    def stop(self) -> tuple[int, float]:
        """SIGTERM; the exit code, and the seconds until then."""
        begin = time.monotonic()
        return self._end(signal.SIGTERM), time.monotonic() - begin

    def _end(self, number: signal.Signals) -> int:
        if self.process is None:
            return 0
        process, self.process = self.process, None
        process.send_signal(number)
        try:
            return process.wait(ANSWER_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            pytest.fail(f"the server did not end within {ANSWER_SECONDS:g} s:\n{self.log}", pytrace=False)
        finally:
            if process.stdin is not None:
                process.stdin.close()

    def metrics(self) -> dict[str, int]:
        """The lines of /metrics."""
        status, body = request(self.port, "GET", "/metrics")
        assert status == 200, body
        lines = [line for line in body.decode().splitlines() if line and not line.startswith("#")]
        return {name: int(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    def jobs(self, kind: str = "deliver") -> dict[str, int]:
        """How many jobs of a kind are in each state, by /metrics."""
        found = {}
        for name, value in self.metrics().items():
            if name.startswith(f'fedishare_jobs{{kind="{kind}",'):
                found[name.split('state="')[1].split('"')[0]] = value
        return found


@contextlib.contextmanager
def serving(config: Path, port: int) -> Iterator[ServerProcess]:
    """A server that is started, and ended with the block."""
    server = ServerProcess(config, port)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def request(
    port: int, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b""
) -> tuple[int, bytes]:
    """One request on a connection of its own. Raises `OSError` when there is no answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS) as connection:
        connection.sendall(wire(method, path, {"connection": "close", **(headers or {})}, body))
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    head, _, rest = b"".join(parts).partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 "):
        raise ConnectionError("no answer")
    return int(head[9:12]), rest


def wire(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """A request as bytes."""
    lines = [f"{method} {path} HTTP/1.1"]
    if "host" not in {name.lower() for name in headers}:
        lines.append("host: localhost")
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body or method in ("POST", "PUT"):
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def command(config: Path, *words: str) -> str:
    """Run a command of the command line; what it printed. Fails the test when it fails."""
    made: Sequence[str] = [sys.executable, "-m", "fedishare", *words, "-c", str(config)]
    done = subprocess.run(made, capture_output=True, text=True, check=False, env={"FEDISHARE_SECRET_KEY": KEY},
                          cwd=Path(__file__).parents[2])  # fmt: skip
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout
