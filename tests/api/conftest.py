"""One house with people in it: on SQLite where the database does not matter, on each engine where it may."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.store.conftest import postgres_template, schema_url
from tests.support.instances import House, house

__all__ = ["postgres_template", "schema_url"]


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    """A house on SQLite."""
    async with house(tmp_path) as made:
        yield made


@pytest.fixture
async def both(tmp_path: Path, schema_url: str) -> AsyncIterator[House]:
    """A house on each engine."""
    async with house(tmp_path, schema_url if schema_url.startswith("postgresql") else None) as made:
        yield made
