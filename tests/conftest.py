"""For the whole suite: no test reaches anything but this machine, and all share one PostgreSQL a process."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.postgres import postgres_server

__all__ = ["postgres_server"]


def _is_here(address: Any) -> bool:
    if not isinstance(address, tuple):
        return True  # a socket file
    try:
        return ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback
    except ValueError:
        return str(address[0]) == "localhost"


@pytest.fixture(autouse=True, scope="session")
def only_this_machine() -> Iterator[None]:
    """Any connection to another address fails, whoever tries it."""
    patch = pytest.MonkeyPatch()
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def guarded(self: socket.socket, address: Any) -> None:
        if not _is_here(address):
            raise AssertionError(f"a test tried to connect to {address!r}; only loopback is allowed")
        connect(self, address)

    def guarded_ex(self: socket.socket, address: Any) -> int:
        if not _is_here(address):
            raise AssertionError(f"a test tried to connect to {address!r}; only loopback is allowed")
        return connect_ex(self, address)

    patch.setattr(socket.socket, "connect", guarded)
    patch.setattr(socket.socket, "connect_ex", guarded_ex)
    yield
    patch.undo()
