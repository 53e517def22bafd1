"""Logs: one entry is one line, whatever a stranger put into it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from fedishare import logs


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Logging is the process's own, so it is put back."""
    names = (None, "uvicorn.error", "asyncio", "websockets")
    kept = [(logging.getLogger(n), list(logging.getLogger(n).handlers), logging.getLogger(n).level) for n in names]
    yield
    for logger, handlers, level in kept:
        logger.handlers[:] = handlers
        logger.setLevel(level)
    logging.getLogger("uvicorn.error").filters.clear()


def test_text_is_one_line_an_entry() -> None:
    out = io.StringIO()
    logs.set_up("info", "text", out)
    logging.getLogger("fedishare.x").info("from %s", "evil\n2026-01-01T00:00:00Z INFO forged: yes\x1b[2J\u2028")
    logging.getLogger("fedishare.x").debug("too quiet")
    lines = out.getvalue().splitlines()
    assert len(lines) == 1 and "INFO    fedishare.x: from evil\\n2026" in lines[0] and "\x1b" not in lines[0]
    try:
        raise ValueError("bad\nthing")
    except ValueError:
        logging.getLogger("fedishare.x").exception("it failed")
    assert all(line.startswith("    ") for line in out.getvalue().splitlines()[2:])


def test_json_is_one_object_an_entry() -> None:
    out = io.StringIO()
    logs.set_up("debug", "json", out)
    logging.getLogger("fedishare.x").debug("a\nb")
    try:
        raise ValueError("bad")
    except ValueError:
        logging.getLogger("fedishare.x").exception("it failed")
    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert (first["level"], first["logger"], first["message"]) == ("debug", "fedishare.x", "a\nb")
    assert first["time"].endswith("Z") and "ValueError: bad" in second["error"]


def test_what_strangers_can_repeat_is_left_out() -> None:
    out = io.StringIO()
    logs.set_up("info", "text", out)
    server = logging.getLogger("uvicorn.error")
    server.warning("Invalid HTTP request received.")
    server.info("Started server process [1]")
    server.warning("something else")
    assert [line.rpartition(": ")[2] for line in out.getvalue().splitlines()] == ["something else"]
