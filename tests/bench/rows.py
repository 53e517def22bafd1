"""Rows: one line of the table each, with what was measured, the targets, and how fast the machine was just then."""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fedishare.model.ids import Id
from tests.bench.load import Outcome
from tests.bench.machine import Yardstick
from tests.bench.partners import World
from tests.bench.receiver import Receiver
from tests.bench.server import Ledger, Server


def spaced(value: float) -> str:
    """A whole number with spaces between thousands."""
    return f"{value:,.0f}".replace(",", " ")


@dataclass(frozen=True, slots=True)
class Target:
    """A bound for one figure of a row."""

    figure: str
    limit: float
    at_least: bool = False

    def met(self, value: float) -> bool:
        """Whether the value is within the bound."""
        return value >= self.limit if self.at_least else value <= self.limit


def at_least(figure: str, limit: float) -> Target:
    """The more the better."""
    return Target(figure, limit, at_least=True)


def at_most(figure: str, limit: float) -> Target:
    """The less the better."""
    return Target(figure, limit)


@dataclass(slots=True)
class Row:
    """One measurement. Figures: ``per_second``, ``cpu_ms`` (of the server, per operation), ``seconds``, ``p50_ms``,
    ``p99_ms``, ``mib``, ``ratio``, ``database_cpu_ms``; whichever apply.
    """

    name: str
    label: str
    figures: dict[str, float] = field(default_factory=dict)
    targets: tuple[Target, ...] = ()
    verify_us: float = 0.0
    """One RSA verification, measured just before."""
    failed: str = ""
    """Why there are no figures."""


@dataclass(slots=True)
class Stage:
    """What rows work with."""

    world: World
    server: Server
    domain: str
    reader: Id
    receiver: Receiver
    ledger: Ledger
    yardstick: Yardstick
    folder: Path
    database: str
    """``sqlite`` or ``postgresql``."""
    quick: bool
    signed: dict[str, list[bytes]]
    """Signed requests by row, made beforehand."""

    @property
    def rounds(self) -> int:
        """How often a row is repeated; the median counts."""
        return 1 if self.quick else 3

    @property
    def seconds(self) -> float:
        """How long a round of a timed row lasts."""
        return 1.0 if self.quick else 2.5


@dataclass(frozen=True, slots=True)
class Round:
    """One repetition."""

    count: int
    seconds: float
    cpu: float
    database_cpu: float
    p50: float = 0.0
    p99: float = 0.0


async def timed(server: Server, work: Callable[[], Awaitable[Outcome]]) -> Round:
    """Run a load and read the server's clocks around it."""
    cpu, database_cpu = server.cpu(), server.other_cpu()
    outcome = await work()
    return Round(
        outcome.count, outcome.end - outcome.begin, server.cpu() - cpu, server.other_cpu() - database_cpu,
        outcome.quantile(0.5), outcome.quantile(0.99),
    )  # fmt: skip


def figures_of(rounds: Sequence[Round], *, waits: bool = True) -> dict[str, float]:
    """The medians of several rounds; processor time is that of all of them together."""
    operations = sum(r.count for r in rounds)
    found = {
        "per_second": statistics.median(r.count / r.seconds for r in rounds),
        "cpu_ms": sum(r.cpu for r in rounds) / operations * 1000,
    }
    if waits:
        found["p50_ms"] = statistics.median(r.p50 for r in rounds) * 1000
        found["p99_ms"] = statistics.median(r.p99 for r in rounds) * 1000
    database_cpu = sum(r.database_cpu for r in rounds)
    if database_cpu:
        found["database_cpu_ms"] = database_cpu / operations * 1000
    return found
