"""The front door: networks that may not come in at all are turned away before anything else is looked at."""

from __future__ import annotations

from fedishare.model.activities import AccessChanged
from fedishare.model.errors import FedishareError
from fedishare.model.ids import Millis
from fedishare.services import moderation
from fedishare.store import doors
from fedishare.store.db import Database, NoticesLost
from fedishare.store.doors import IpBlock

NO_ACCESS = "no_access"
AGAIN = 60_000
"""Milliseconds after which the networks are read again, whatever was heard of them."""


class Door:
    """Knows the networks that are shut out. They are read again when they change."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._blocks: list[IpBlock] = []
        self._read_at: int | None = None
        database.on_notice(self._heard)

    def _heard(self, notice: object) -> None:
        if isinstance(notice, (AccessChanged, NoticesLost)):
            self._read_at = None

    async def is_shut(self, address: str, now: Millis) -> bool:
        """Whether nobody may come in from an address."""
        if self._read_at is None or now - self._read_at > AGAIN:
            self._read_at = now
            try:
                found = await self._database.read_fast(doors.ip_blocks)
            except FedishareError:
                self._read_at = None  # the next one asks again: a fault opens no door
                raise
            self._blocks = [block for block in found if block.severity == NO_ACCESS]
        return bool(self._blocks) and moderation.severest(self._blocks, address, now) is not None
