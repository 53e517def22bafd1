"""Rates: one token bucket per (kind, key), in memory. A restart forgives; a flood cannot fill the memory."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime

from fedishare.model.errors import TooMany

MAX_BUCKETS = 20_000


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a rate leaves to one caller at the moment."""

    per_minute: int
    left: int

    def headers(self, now: float) -> tuple[tuple[bytes, bytes], ...]:
        """The ``X-RateLimit-*`` headers that apps know; ``now`` in seconds since 1970."""
        full = datetime.fromtimestamp(now + (self.per_minute - self.left) * 60 / self.per_minute, UTC)
        return (
            (b"x-ratelimit-limit", b"%d" % self.per_minute),
            (b"x-ratelimit-remaining", b"%d" % self.left),
            (b"x-ratelimit-reset", full.isoformat(timespec="milliseconds").replace("+00:00", "Z").encode()),
        )


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class Rates:
    """Buckets that refill steadily: ``per_minute`` calls at once, then one each ``60 / per_minute`` seconds."""

    def __init__(self, *, enabled: bool = True) -> None:
        self.enabled = enabled
        self._buckets: OrderedDict[tuple[str, str], _Bucket] = OrderedDict()

    def take(self, kind: str, key: str, per_minute: int) -> int:
        """Count one call; returns how many are left. Raises `TooMany` with the seconds to wait."""
        if not self.enabled:
            return per_minute
        now = time.monotonic()
        name = (kind, key)
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = _Bucket(float(per_minute), now)
            if len(self._buckets) > MAX_BUCKETS:
                self._buckets.popitem(last=False)
        else:
            bucket.left = min(float(per_minute), bucket.left + (now - bucket.at) * per_minute / 60)
            bucket.at = now
            self._buckets.move_to_end(name)
        if bucket.left < 1:
            wait = max(1, int((1 - bucket.left) * 60 / per_minute) + 1)
            raise TooMany(f"too many requests; at most {per_minute} a minute are answered", retry_after=wait)
        bucket.left -= 1
        return int(bucket.left)
