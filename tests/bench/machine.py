"""The machine: which cores are used, what a process has cost so far, and a yardstick for how fast the cores are now.

Absolute figures move with the machine, so every figure can be read as multiples of one RSA-2048 verification, which is
timed again before each row. Read from ``/proc``: Linux only.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from fedishare.activitypub.keys import generate_rsa

TICK = 1 / os.sysconf("SC_CLK_TCK")
KIB_PER_MIB = 1024


def pin(cores: int) -> list[int]:
    """Keep this process and its future children on the last ``cores`` of the allowed ones; returns them."""
    allowed = sorted(os.sched_getaffinity(0))
    chosen = allowed[-cores:]
    os.sched_setaffinity(0, chosen)
    return chosen


def descendants(pid: int) -> list[int]:
    """A process and everything that it started."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, at = [pid], 0
    while at < len(found):
        found += children.get(found[at], [])
        at += 1
    return found


def _stat(pid: int) -> list[str]:
    """The fields of ``/proc/PID/stat`` from the state on; empty when the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of the processes, all their threads included."""
    total = 0
    for pid in pids:
        fields = _stat(pid)
        total += int(fields[11]) + int(fields[12]) if fields else 0
    return total * TICK


class Foreign:
    """How much of the used cores goes to processes that are not ours, from now on."""

    def __init__(self, cores: Sequence[int]) -> None:
        self._names = {f"cpu{core}" for core in cores}
        self._begin = time.monotonic()
        self._at_begin = self._busy() - _ours()

    def _busy(self) -> float:
        """Seconds that processes had of the cores, and that other machines stole. Without interrupts: most are ours."""
        lines = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
        return TICK * sum(int(line[at]) for line in lines if line[0] in self._names for at in (1, 2, 3, 8))

    def share(self) -> float:
        """Between 0 and 1."""
        available = (time.monotonic() - self._begin) * len(self._names)
        return min(1.0, max(0.0, (self._busy() - _ours() - self._at_begin) / available))


def _ours() -> float:
    """Seconds of processor time of this process and all that it started, ended ones included."""
    return TICK * sum(int(field) for pid in descendants(os.getpid()) for field in _stat(pid)[11:15])


def memory_mib(pid: int, what: str = "VmRSS") -> float:
    """Resident memory now (``VmRSS``) or at its highest (``VmHWM``)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what + ":"):
            return int(line.split()[1]) / KIB_PER_MIB
    return 0.0


class Yardstick:
    """One RSA-2048 verification with a kept key, in microseconds."""

    def __init__(self) -> None:
        private = generate_rsa()
        self._key = private.public()
        self._data = b"x" * 300
        self._signature = private.sign(self._data)
        self.seen: list[float] = []

    def measure(self) -> float:
        """The median of several short runs."""
        runs = []
        for _ in range(7):
            begin = time.perf_counter()
            for _ in range(200):
                self._key.verify(self._signature, self._data)
            runs.append((time.perf_counter() - begin) / 200 * 1e6)
        found = statistics.median(runs)
        self.seen.append(found)
        return found
