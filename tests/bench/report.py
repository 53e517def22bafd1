"""The report: the table beside the targets, and the same as JSON."""

from __future__ import annotations

import json
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.rows import Row, Target

_UNITS = {
    "per_second": "/s",
    "cpu_ms": " ms CPU",
    "seconds": " s",
    "mib": " MiB",
    "ratio": " × p99 of the small one",
    "p50_ms": " ms p50",
    "p99_ms": " ms p99",
    "database_cpu_ms": " ms CPU of the database",
}
_MAIN = ("per_second", "cpu_ms", "seconds", "mib", "ratio")


def number(figure: str, value: float) -> str:
    """A figure with its unit, as precise as it is worth."""
    places = 0 if figure == "per_second" or value >= 100 else 3 if value < 1 else 1
    return f"{value:,.{places}f}".replace(",", " ") + _UNITS[figure]


def _against(row: Row, target: Target) -> str:
    mark = "✓" if target.met(row.figures[target.figure]) else "✗"
    return f"{mark} {'≥' if target.at_least else '≤'} {number(target.figure, target.limit)}"


def lines_of(row: Row) -> list[tuple[str, str, str]]:
    """The lines of the table for one row: label, figure, target."""
    if row.failed:
        return [(row.label, "failed", row.failed)]
    targets = {target.figure: target for target in row.targets}
    figures = [f for f in _MAIN if f in row.figures]
    lines = []
    for figure in figures:
        text = number(figure, row.figures[figure])
        if figure == "cpu_ms" and row.verify_us:
            text += f" = {row.figures['cpu_ms'] * 1000 / row.verify_us:.1f} verifications"
        lines.append(("", text, _against(row, targets[figure]) if figure in targets else ""))
    rest = [number(f, v) for f, v in row.figures.items() if f not in _MAIN]
    if rest:
        lines.append(("", ", ".join(rest), ""))
    return [(row.label, *lines[0][1:]), *lines[1:]]


def table(rows: Sequence[Row]) -> str:
    """The table for people."""
    lines = [("what", "measured", "target")]
    for row in rows:
        lines += lines_of(row)
    widths = [max(len(line[column]) for line in lines) for column in (0, 1)]
    texts = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c}".rstrip() for a, b, c in lines]
    return "\n".join([texts[0], "─" * max(map(len, texts)), *texts[1:]])


def summary(rows: Sequence[Row]) -> str:
    """How many targets are met."""
    checked = [target.met(row.figures[target.figure]) for row in rows if not row.failed for target in row.targets]
    failed = sum(bool(row.failed) for row in rows)
    text = f"{sum(checked)} of {len(checked)} targets met"
    return text + (f", {failed} rows failed" if failed else "")


def write_json(
    path: Path, rows: Sequence[Row], *, database: str, cores: Sequence[int], yardstick: list[float], foreign: float
) -> None:
    """Everything, for machines."""
    document = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "python": sys.version.split()[0],
        "machine": platform.machine(),
        "database": database,
        "cores": len(cores),
        "rsa_verify_us": round(statistics.median(yardstick), 2) if yardstick else None,
        "share_of_other_processes": round(foreign, 3),
        "rows": [
            {
                "name": row.name,
                "what": row.label,
                "figures": {name: round(value, 4) for name, value in row.figures.items()},
                "targets": {
                    t.figure: {
                        "at_least" if t.at_least else "at_most": t.limit,
                        "met": not row.failed and t.met(row.figures[t.figure]),
                    }
                    for t in row.targets
                },
                "rsa_verify_us": round(row.verify_us, 2),
                "failed": row.failed or None,
            }
            for row in rows
        ],
    }
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
