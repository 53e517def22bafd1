"""Output: tables, facts, JSON, colour and progress, so that every command looks the same.

Colour and cut-off lines are for terminals only: what is piped elsewhere is whole and plain. Texts that came from other
servers lose their control characters before they reach a terminal.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any, Literal

import click
import msgspec

MIN_LAST = 16
"""The last column of a table is cut to the terminal's width, but never below this."""
SHOW_AFTER = 2.0
"""Seconds after which work that still runs shows how far it is."""
_UNITS = ((86400_000, "d"), (3600_000, "h"), (60_000, "min"), (1000, "s"))

GOOD, WARN, BAD = "green", "yellow", "red"
_COLOURS: Mapping[str, str] = {
    "active": GOOD, "allow": GOOD, "ok": GOOD, "done": GOOD, "yes": GOOD,
    "paused": WARN, "proposed": WARN, "held": WARN, "hold": WARN, "limited": WARN, "expired": WARN, "queued": "cyan",
    "running": "cyan", "ended": BAD, "deny": BAD, "dead": BAD, "suspended": BAD, "deleted": BAD, "problem": BAD,
    "no": BAD, "cancelled": "bright_black",
}  # fmt: skip


class Failure(click.ClickException):
    """The command ran, and the answer is no: one sentence on standard error, exit code 1."""

    exit_code = 1

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the sentence, its first word in colour."""
        click.echo(f"{styled('Error:', BAD, bold=True)} {clean(self.format_message(), lines=True)}", err=True)


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its title, and on which side its values stand."""

    title: str
    align: Literal["left", "right"] = "left"


def styled(text: str, colour: str | None = None, *, bold: bool = False, dim: bool = False) -> str:
    """Text with colour; ``click.echo`` takes it out again where there is no terminal."""
    if os.environ.get("NO_COLOR"):
        return text
    return click.style(text, fg=colour, bold=bold or None, dim=dim or None)


def word(text: str) -> str:
    """A state or verdict in its colour."""
    return styled(text, _COLOURS.get(text))


def mark(good: bool) -> str:
    """✓ or ✗ in their colours."""
    return styled("✓", GOOD, bold=True) if good else styled("✗", BAD, bold=True)


def clean(text: object, *, lines: bool = False) -> str:
    """Text without control characters (``lines`` keeps line ends): terminals obey them, strangers send them."""
    return "".join(c if c.isprintable() or (lines and c == "\n") else " " for c in str(text))


def table(columns: Sequence[Column | str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """A table; None is a dash. ``empty`` is the sentence when there are no rows."""
    heads = [Column(c) if isinstance(c, str) else c for c in columns]
    cells = [["–" if value is None or value == "" else clean(value) for value in row] for row in rows]
    if not cells:
        click.echo(empty)
        return
    widths = [max(_width(head.title), *(_width(row[i]) for row in cells)) for i, head in enumerate(heads)]
    _fit(widths)
    titles = [_cell(head.title, head, width) for head, width in zip(heads, widths, strict=True)]
    click.echo(styled("  ".join(titles).rstrip(), dim=True, bold=True))
    for row in cells:
        parts = []
        for value, head, width in zip(row, heads, widths, strict=True):
            shown = _cell(value, head, width)
            colour = _COLOURS.get(value)
            parts.append(shown.replace(value, styled(value, colour), 1) if colour else shown)
        click.echo("  ".join(parts).rstrip())


def _fit(widths: list[int]) -> None:
    """On terminals the last column takes what is left."""
    if sys.stdout.isatty():
        left = shutil.get_terminal_size().columns - sum(widths[:-1]) - 2 * (len(widths) - 1)
        widths[-1] = min(widths[-1], max(left, MIN_LAST))


def _width(text: str) -> int:
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def _cell(text: str, column: Column, width: int) -> str:
    if _width(text) > width:
        text = text[: max(width - 1, 0)] + "…"
    space = " " * max(width - _width(text), 0)
    return space + text if column.align == "right" else text + space


def facts(pairs: Iterable[tuple[str, object]]) -> None:
    """Names and values, one a line; those that are None or empty are left out."""
    shown = [(name, clean(value, lines=True)) for name, value in pairs if value is not None and value != ""]
    width = max((_width(name) for name, _ in shown), default=0)
    for name, value in shown:
        text = value.replace("\n", "\n" + " " * (width + 2))
        click.echo(f"{styled(name.ljust(width), dim=True)}  {styled(text, _COLOURS.get(value))}")


def print_json(value: object) -> None:
    """Print a value as JSON, indented."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def moment(millis: int | None) -> str | None:
    """An instant in ISO 8601, UTC, to the second."""
    if millis is None:
        return None
    return datetime.fromtimestamp(millis / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def distance(millis: int | None, now: int) -> str | None:
    """How long ago, or how long until: ``3 h ago``, ``in 5 min``."""
    if millis is None:
        return None
    gap = abs(millis - now)
    for size, unit in _UNITS:
        if gap >= size:
            amount = f"{gap // size} {unit}"
            return f"{amount} ago" if millis <= now else f"in {amount}"
    return "now"


def size(number: int) -> str:
    """Bytes for people."""
    value = float(number)
    for unit in ("bytes", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def plural(number: int, one: str, many: str | None = None) -> str:
    """``1 job``, ``2 jobs``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}".replace(",", " ")


class Progress:
    """A bar on standard error: on terminals only, and only for work that takes longer than two seconds."""

    def __init__(self, label: str, *, now: Callable[[], float] = time.monotonic) -> None:
        self._label = label
        self._now = now
        self._start = now()
        self._drawn = 0.0
        self._shown = False

    def __call__(self, done: int, total: int) -> None:
        """So much of so much is done. Cheap to call often; safe from any one thread."""
        now = self._now()
        if now - self._start < SHOW_AFTER or now - self._drawn < 0.1 or not sys.stderr.isatty():
            return
        self._drawn, self._shown = now, True
        part = done / total if total else 0.0
        filled = int(30 * part)
        bar = "█" * filled + "░" * (30 - filled)
        sys.stderr.write(f"\r{self._label}  {bar}  {part:4.0%}  {now - self._start:.0f} s ")
        sys.stderr.flush()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
