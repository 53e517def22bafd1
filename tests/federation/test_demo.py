"""The demo as a newcomer runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "fedishare.demo"]


def children(pid: int) -> list[int]:
    """The processes that a process has started and that still run."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.e2e
def test_every_line_holds_and_nothing_is_left(tmp_path: Path) -> None:
    begin = time.monotonic()
    done = subprocess.run(
        [*COMMAND, "--once"], cwd=ROOT, env={**os.environ, "TMPDIR": str(tmp_path)}, capture_output=True, text=True,
        timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    held = [line for line in lines if line.startswith("  ✓")]
    assert len(held) > 40 and "✗" not in done.stdout
    assert f"{len(held)} of {len(held)} checks held" in done.stdout
    assert "\x1b" not in done.stdout and done.stderr == ""
    assert time.monotonic() - begin < 60
    assert list(tmp_path.iterdir()) == []


@pytest.mark.e2e
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_its_servers_end_with_it(tmp_path: Path, number: signal.Signals) -> None:
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(COMMAND, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "lists the lab" in line:
                break
        servers = children(demo.pid)
        assert len(servers) >= 3
        demo.send_signal(number)
        demo.stdout.read()
        demo.wait(30)
    end = time.monotonic() + 20
    while any(Path(f"/proc/{pid}/status").exists() for pid in servers) and time.monotonic() < end:
        time.sleep(0.05)
    assert not [pid for pid in servers if Path(f"/proc/{pid}").exists()]
    if number is not signal.SIGKILL:
        assert list(tmp_path.iterdir()) == []
