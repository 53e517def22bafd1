"""Commands beside a running server: it obeys within five seconds, and a backup taken meanwhile has all that it said."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.postgres import Server, binaries
from tests.support.process import KEY, Port, ServerProcess, command, request, serving, wire, write_config

pytestmark = pytest.mark.e2e

OBEYS = 5.0
LAB = "lab.localhost:9"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clinic(tmp_path: Path, port: Port) -> Iterator[ServerProcess]:
    """A running server with Ana."""
    config = write_config(tmp_path, "clinic", port.number, [])
    command(config, "account", "create", "ana", "--email", "ana@clinic.example")
    with serving(config, port.number) as server:
        yield server


def status(server: ServerProcess, token: str, path: str = "/api/v1/accounts/verify_credentials") -> int:
    return request(server.port, "GET", path, {"authorization": f"Bearer {token}"})[0]


def soon(look: Callable[[], bool]) -> float:
    """The seconds until something is so; fails after five."""
    begin = time.monotonic()
    while not look():
        assert time.monotonic() - begin < OBEYS, "the server did not obey within 5 seconds"
        time.sleep(0.05)
    return time.monotonic() - begin


def post(server: ServerProcess, token: str, text: str) -> str | None:
    """The id of a new post, or None when it was not acknowledged."""
    body = json.dumps({"status": text}).encode()
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    code, answer = request(server.port, "POST", "/api/v1/statuses", headers, body)
    return str(json.loads(answer)["id"]) if code == 200 else None


def test_a_revoked_token_and_a_suspended_account_are_out_at_once(clinic: ServerProcess) -> None:
    token = command(clinic.config, "token", "create", "ana").strip()
    soon(lambda: status(clinic, token) == 200)
    ident = json.loads(command(clinic.config, "token", "list", "--json"))[0]["id"]
    command(clinic.config, "token", "revoke", ident)
    soon(lambda: status(clinic, token) == 401)

    token = command(clinic.config, "token", "create", "ana").strip()
    soon(lambda: status(clinic, token) == 200)
    command(clinic.config, "account", "suspend", "ana")
    soon(lambda: status(clinic, token) == 401)
    command(clinic.config, "account", "restore", "ana")
    assert status(clinic, token) == 401, "a suspension ends tokens for good"
    assert status(clinic, command(clinic.config, "token", "create", "ana").strip()) == 200


def test_a_partner_comes_and_goes_while_the_server_runs(clinic: ServerProcess) -> None:
    token = command(clinic.config, "token", "create", "ana").strip()

    def answer() -> str:
        headers = {"authorization": f"Bearer {token}"}
        code, body = request(clinic.port, "GET", f"/api/v2/search?q=@lin@{LAB}&resolve=true", headers)
        return f"{code} {body.decode()}"

    assert "403" in answer() and "not on the allow-list" in answer()
    command(clinic.config, "partner", "add", LAB, "--reason", "test")
    soon(lambda: answer().startswith("200"))
    command(clinic.config, "partner", "pause", LAB)
    soon(lambda: "403" in answer() and "paused" in answer())
    command(clinic.config, "partner", "resume", LAB)
    soon(lambda: answer().startswith("200"))
    command(clinic.config, "partner", "end", LAB, "--yes")
    soon(lambda: "403" in answer() and "ended" in answer())


def test_a_backup_beside_a_busy_server_has_all_that_was_acknowledged(clinic: ServerProcess, tmp_path: Path) -> None:
    token = command(clinic.config, "token", "create", "ana").strip()
    acknowledged: list[str] = []
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            made = post(clinic, token, f"number {len(acknowledged)}")
            if made:
                acknowledged.append(made)
            stop.wait(0.15)  # below the rate for one account

    writer = threading.Thread(target=write)
    writer.start()
    try:
        soon(lambda: len(acknowledged) > 3)
        before = list(acknowledged)
        command(clinic.config, "backup", str(tmp_path / "b.tar"))
        seen = len(acknowledged)
        soon(lambda: len(acknowledged) > seen)
        command(clinic.config, "verify")
    finally:
        stop.set()
        writer.join()
    # It cannot be put in place of a running server, and after its end it can.
    refused = run(clinic.config, "restore", str(tmp_path / "b.tar"), "--force")
    assert refused.returncode == 1 and "stop the server first" in refused.stderr
    clinic.stop()
    command(clinic.config, "restore", str(tmp_path / "b.tar"), "--force")
    connection = sqlite3.connect(tmp_path / "clinic.db")
    there = {str(row[0]) for row in connection.execute("SELECT id FROM post")}
    connection.close()
    assert set(before) <= there <= set(acknowledged)
    clinic.start()
    later = post(clinic, token, "after the restore")
    assert later is not None and int(later) > max(map(int, acknowledged))


def run(config: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command that may fail."""
    return subprocess.run(
        [sys.executable, "-m", "fedishare", *words, "-c", str(config)], capture_output=True, text=True, check=False,
        env={"FEDISHARE_SECRET_KEY": KEY, "PATH": f"{binaries()}:{os.environ['PATH']}"}, cwd=ROOT, timeout=60,
    )  # fmt: skip


def test_sigterm_ends_in_time_whatever_is_open(clinic: ServerProcess) -> None:
    token = command(clinic.config, "token", "create", "ana").strip()
    half = wire("POST", "/api/v1/statuses", {"authorization": f"Bearer {token}"})
    half = half.replace(b"content-length: 0", b"content-length: 100000\r\ncontent-type: application/json") + b"{"
    held = [socket.create_connection(("127.0.0.1", clinic.port)) for _ in range(3)]
    for connection, data in zip(held, (b"", b"GET / HTTP/1.1\r\nhost: x\r\n", half), strict=True):
        connection.sendall(data)
    time.sleep(0.3)
    code, seconds = clinic.stop()
    for connection in held:
        connection.close()
    assert code == 0 and 3 < seconds < 15, "the request that was under way got some time, and not more"


def test_what_prevents_a_start_is_one_sentence(clinic: ServerProcess, tmp_path: Path) -> None:
    second = run(clinic.config, "serve")
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1 and f"127.0.0.1:{clinic.port} is in use" in second.stderr
    clinic.stop()
    (tmp_path / "bad.toml").write_text('[server]\ndomain = "x y"\nworkers = 0\n')
    bad = run(tmp_path / "bad.toml", "serve")
    assert bad.returncode == 1 and "server.workers" in bad.stderr and "Traceback" not in bad.stderr
    connection = sqlite3.connect(tmp_path / "clinic.db")
    connection.execute("INSERT INTO schema_migration VALUES (99, 'later', 'x', 99, 0)")
    connection.commit()
    connection.close()
    newer = run(clinic.config, "serve")
    assert newer.returncode == 1 and "newer version" in newer.stderr and newer.stderr.count("\n") == 1
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", clinic.port))


def workers(pid: int) -> set[int]:
    """The worker processes of a server."""
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def test_several_processes_serve_one_postgresql(postgres_server: Server, tmp_path: Path, port: Port) -> None:
    name = postgres_server.create()
    url = {"url": postgres_server.url(name)}
    config = write_config(tmp_path, "clinic", port.number, [], server={"workers": 2}, database=url)
    command(config, "account", "create", "ana", "--email", "ana@clinic.example")
    token = command(config, "token", "create", "ana").strip()
    server = ServerProcess(config, port.number)
    try:
        server.start()
        soon(lambda: len(workers(server.pid)) == 2)
        soon(lambda: status(server, token) == 200)
        both = workers(server.pid)
        os.kill(min(both), signal.SIGKILL)
        soon(lambda: len(workers(server.pid) - both) == 1)
        assert all(status(server, token) == 200 for _ in range(20))
        command(config, "account", "suspend", "ana")
        soon(lambda: all(status(server, token) == 401 for _ in range(20)))
        pids = workers(server.pid)
        code, seconds = server.stop()
        assert code == 0 and seconds < 15
        assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    finally:
        server.kill()
        postgres_server.drop(name)


def test_workers_end_with_the_one_that_started_them(postgres_server: Server, tmp_path: Path, port: Port) -> None:
    name = postgres_server.create()
    url = {"url": postgres_server.url(name)}
    config = write_config(tmp_path, "clinic", port.number, [], server={"workers": 2}, database=url)
    server = ServerProcess(config, port.number)
    try:
        server.start()
        soon(lambda: len(workers(server.pid)) == 2)
        pids = workers(server.pid)
        server.kill()
        end = time.monotonic() + 15
        while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < end:
            time.sleep(0.05)
        assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    finally:
        server.kill()
        postgres_server.drop(name)


def test_postgresql_is_backed_up_and_restored(postgres_server: Server, tmp_path: Path, port: Port) -> None:
    name = postgres_server.create()
    url = {"url": postgres_server.url(name)}
    config = write_config(tmp_path, "clinic", port.number, [], database=url)
    file = tmp_path / "b.tar"
    try:
        command(config, "account", "create", "ana", "--email", "ana@clinic.example")
        made = run(config, "backup", str(file))
        assert made.returncode == 0, made.stderr
        command(config, "account", "create", "ben", "--email", "ben@clinic.example")
        before = int(json.loads(command(config, "account", "show", "ben", "--json"))["id"])
        asked = run(config, "restore", str(file))
        assert asked.returncode == 1 and "--force" in asked.stderr
        restored = run(config, "restore", str(file), "--force")
        assert restored.returncode == 0, restored.stderr
        assert [a["name"] for a in json.loads(command(config, "account", "list", "--json"))] == ["ana"]
        command(config, "account", "create", "eva", "--email", "eva@clinic.example")
        assert int(json.loads(command(config, "account", "show", "eva", "--json"))["id"]) > before
        command(config, "verify")
        without = subprocess.run(
            [sys.executable, "-m", "fedishare", "backup", str(tmp_path / "c.tar"), "-c", str(config)],
            capture_output=True, text=True, check=False, env={"FEDISHARE_SECRET_KEY": KEY, "PATH": "/nowhere"},
            cwd=ROOT,
        )  # fmt: skip
        assert without.returncode == 1 and "postgresql-client" in without.stderr
    finally:
        postgres_server.drop(name)
