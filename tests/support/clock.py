"""A clock that stands still until a test moves it."""

from __future__ import annotations

import time

from fedishare.model.ids import Millis

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000


class Clock:
    """Milliseconds since 1970; starts at the real time, because other parts of a test may read that."""

    def __init__(self, now: int | None = None) -> None:
        self.now = Millis(now if now is not None else time.time_ns() // 1_000_000)

    def __call__(self) -> Millis:
        return self.now

    def forward(self, milliseconds: int) -> None:
        """Let time pass."""
        self.now = Millis(self.now + milliseconds)
