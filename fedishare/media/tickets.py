"""Tickets: proof in a link that a signed-in person was shown it, because apps load pictures without their token.

A ticket is for one path and, unless the path is a profile's, for one person; whether that person may see what is there
is decided when it is used, not when it is made. It turns once a day and holds for one to two days, so links stay
the same for as long as apps keep pictures (docs/adr/0017-media-tickets.md). Partners never get one.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import InitVar, dataclass, field

from fedishare.model.ids import Id, Millis

DAY = 24 * 3600 * 1000
ANYBODY = Id(0)
"""Whoever is signed in: for pictures of profiles, which everybody here may see."""
MAC = 16


@dataclass(frozen=True, slots=True)
class Tickets:
    """Makes and checks tickets. ``secret`` is the instance's."""

    secret: InitVar[bytes]
    _key: bytes = field(init=False, repr=False)

    def __post_init__(self, secret: bytes) -> None:
        # Of its own, so that nothing signed for another purpose is ever a ticket.
        object.__setattr__(self, "_key", hashlib.sha256(b"media ticket\0" + secret).digest())

    def day(self, now: Millis) -> int:
        """The number of the day in which tickets that are made now are the same."""
        return now // DAY

    def make(self, path: str, viewer: Id, now: Millis) -> str:
        """The ticket for a path of this instance, for that person (or `ANYBODY`)."""
        return self._written(path, viewer, now // DAY + 2)

    def _written(self, path: str, viewer: Id, until: int) -> str:
        said = f"{path}\0{viewer}\0{until}".encode()
        mac = hashlib.blake2b(said, key=self._key, digest_size=MAC).hexdigest()
        return f"{until}-{viewer}-{mac}"

    def holder(self, ticket: str, path: str, now: Millis) -> Id | None:
        """Whose ticket it is; None when it is not for that path, was not made here, or is too old."""
        parts = ticket.split("-")
        if len(ticket) > 100 or len(parts) != 3 or not all(p.isascii() and p.isdigit() for p in parts[:2]):
            return None
        until, viewer = int(parts[0]), Id(int(parts[1]))
        good = hmac.compare_digest(self._written(path, viewer, until).encode(), ticket.encode())
        # A day that lies further ahead was never given out: a clock that was wrong must not make one that lasts.
        return viewer if good and 0 < until * DAY - now <= 2 * DAY else None
