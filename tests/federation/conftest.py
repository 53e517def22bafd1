"""One instance of ours and one partner, on a pretend internet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.builders import Us, server
from tests.support.clock import Clock
from tests.support.internet import PretendInternet
from tests.support.peer import PeerServer


@pytest.fixture
def internet() -> PretendInternet:
    """The net that all servers of one test share."""
    return PretendInternet()


@pytest.fixture
def clock() -> Clock:
    """The time at every server of one test."""
    return Clock()


@pytest.fixture
async def us(tmp_path: Path, internet: PretendInternet, clock: Clock) -> AsyncIterator[Us]:
    """Our instance, with the partners peer.example and third.example."""
    async with server(tmp_path, internet, partners=["peer.example", "third.example"], clock=clock) as running:
        yield running


@pytest.fixture
def peer(us: Us, internet: PretendInternet) -> PeerServer:
    """The partner peer.example."""
    return PeerServer(internet, "peer.example", us)


@pytest.fixture
def third(us: Us, internet: PretendInternet) -> PeerServer:
    """Another partner, third.example."""
    return PeerServer(internet, "third.example", us)


@pytest.fixture
def stranger(us: Us, internet: PretendInternet) -> PeerServer:
    """A server that is on no list."""
    return PeerServer(internet, "evil.example", us)
