"""Logs: one line per entry on standard error, as text for people or as JSON for machines.

What others send ends up in log lines, so a line break or a terminal's control sequence in it must not look like an
entry of ours: in text they are escaped, and JSON does that by itself.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import TextIO

import msgspec

NOISE = ("Unsupported upgrade request.", "No supported WebSocket library", "Invalid HTTP request received.")
"""What any stranger can make uvicorn say as often as they like; the answer's status is counted in the metrics."""

_encode = msgspec.json.Encoder().encode


class TextFormatter(logging.Formatter):
    """``2026-01-31T12:00:00Z INFO    fedishare.jobs: sentence``."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; a traceback follows on lines that are indented."""
        line = f"{_instant(record)} {record.levelname:<7} {record.name}: {_plain(record.getMessage())}"
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            line += "".join("\n    " + _plain(part) for part in record.exc_text.splitlines())
        return line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, pid, and the traceback as ``error`` when there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The object."""
        entry: dict[str, object] = {
            "time": _instant(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "pid": record.process,
        }
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return _encode(entry).decode()


def _instant(record: logging.LogRecord) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{whole}.{int(record.msecs):03d}Z"


def _plain(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class _Quiet(logging.Filter):
    """Leaves out what strangers can make uvicorn repeat without end."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(NOISE)


def set_up(level: str, form: str, stream: TextIO | None = None) -> None:
    """Send this process's log entries from ``level`` on to ``stream`` (standard error), as ``text`` or ``json``."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    for known in list(root.handlers):
        root.removeHandler(known)
    root.addHandler(handler)
    root.setLevel(level.upper())
    server = logging.getLogger("uvicorn.error")
    server.filters.clear()
    server.addFilter(_Quiet())
    for name in ("uvicorn.error", "asyncio", "websockets"):  # their own news about each step is not for operators
        logging.getLogger(name).setLevel(max(logging.getLevelName(level.upper()), logging.WARNING))
