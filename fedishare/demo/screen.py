"""The screen: one line for each thing that is said to have happened, printed only when it was seen to be so."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TextIO, TypeVar

import httpx

T = TypeVar("T")

DEADLINE = 15.0
"""Seconds after which something that has not happened counts as not happening."""
FIRST_PAUSE, LONGEST_PAUSE = 0.03, 0.4


class NotSo(Exception):
    """What a check found instead."""


@dataclass
class Screen:
    """Prints lines and keeps count. ``out`` is standard output unless a test gives another."""

    out: TextIO = field(default_factory=lambda: sys.stdout)
    deadline: float = DEADLINE
    checked: int = 0
    failed: list[str] = field(default_factory=list)

    @property
    def _coloured(self) -> bool:
        return self.out.isatty() and not os.environ.get("NO_COLOR")

    def styled(self, text: str, codes: str) -> str:
        """Text in colour, on terminals."""
        return f"\x1b[{codes}m{text}\x1b[0m" if self._coloured else text

    def say(self, text: str = "") -> None:
        """A line that claims nothing."""
        print(text, file=self.out, flush=True)

    def title(self, text: str) -> None:
        """The heading of a scene."""
        self.say(f"\n{self.styled(text, '1;36')}")

    def quote(self, who: str, text: str) -> None:
        """What somebody writes."""
        self.say(f"     {self.styled(who, '1')} {self.styled('“' + text + '”', '3')}")

    def check(self, claim: str, look: Callable[[], T], why: str = "", within: float | None = None) -> T | None:
        """Say ``claim`` once ``look`` has seen it. ``look`` raises `NotSo` as long as it is not so, and may be called
        often. Returns what it returned, or None when the time was over; the demo goes on and fails at its end.
        """
        self.checked += 1
        end = time.monotonic() + (self.deadline if within is None else within)
        pause, found = FIRST_PAUSE, "nothing"
        while True:
            try:
                seen = look()
            except (NotSo, httpx.HTTPError, KeyError, IndexError, TypeError, ValueError) as error:
                found = str(error) or type(error).__name__
            else:
                self._tell("✓", "32;1", claim, why)
                return seen
            if time.monotonic() > end:
                break
            time.sleep(pause)
            pause = min(pause * 1.6, LONGEST_PAUSE)
        self.failed.append(claim)
        self._tell("✗", "31;1", claim, f"found: {found}")
        return None

    def _tell(self, sign: str, codes: str, claim: str, note: str) -> None:
        self.say(f"  {self.styled(sign, codes)}  {claim}{self.styled(f'  {note}', '2') if note else ''}")


def want(value: T | None, otherwise: str) -> T:
    """``value``, or `NotSo` when it is false, empty or None."""
    if not value:
        raise NotSo(otherwise)
    return value


def same(found: object, wanted: object) -> None:
    """`NotSo` unless the two are equal."""
    if found != wanted:
        raise NotSo(f"{found!r} instead of {wanted!r}"[:300])
