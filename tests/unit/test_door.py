"""The front door stays shut while nobody can look who is shut out."""

from __future__ import annotations

from typing import Any, cast

import pytest

from fedishare.api.door import Door
from fedishare.model.errors import Unavailable
from fedishare.model.ids import Id, Millis
from fedishare.store.db import Database
from fedishare.store.doors import IpBlock


class Broken:
    """A database that cannot be read at first."""

    faults = 2

    def on_notice(self, heard: Any) -> None:
        self.heard = heard

    async def read_fast(self, *_: Any) -> list[IpBlock]:
        if self.faults:
            self.faults -= 1
            raise Unavailable("the disk is gone")
        return [IpBlock(Id(1), "192.0.2.0/24", "no_access", "", Millis(0), None)]


async def test_a_fault_opens_no_door() -> None:
    door = Door(cast(Database, Broken()))
    for _ in range(2):
        with pytest.raises(Unavailable):
            await door.is_shut("192.0.2.7", Millis(1))
    assert await door.is_shut("192.0.2.7", Millis(1))
    assert await door.is_shut("::ffff:192.0.2.7", Millis(1)) and not await door.is_shut("198.51.100.1", Millis(1))
