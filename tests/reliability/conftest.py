"""Partners and a port for the tests of what survives."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.reliability.outside import Partners, listening
from tests.support.process import Port


@pytest.fixture
def partners() -> Iterator[Partners]:
    """Partners that listen on loopback."""
    with listening() as made:
        yield made


@pytest.fixture
def port() -> Iterator[Port]:
    """A port for a server that comes and goes."""
    made = Port()
    yield made
    made.close()
