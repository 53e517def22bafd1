"""Paging: one query that is walked in both directions, because ``min_id`` asks for the oldest of what is newer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fedishare.store.db import Row, Sql, Tx, sql


@dataclass(frozen=True, slots=True)
class Page:
    """Keyset paging: ids strictly between ``after`` and ``before``; ``upwards`` takes the oldest first (min_id)."""

    before: int = 2**63 - 1
    after: int = 0
    limit: int = 20
    upwards: bool = False


FIRST = Page(limit=40)


@dataclass(frozen=True, slots=True)
class Paged:
    """A query between ``:before`` and ``:after``, from the newest down and from the oldest up."""

    down: Sql
    up: Sql


def paged(name: str, text: str, key: str) -> Paged:
    """Define both directions of a query whose first column is the paging id; ``key`` is that column in the query."""
    return Paged(
        sql(name, f"{text} ORDER BY {key} DESC LIMIT :limit"),
        sql(f"{name}_up", f"{text} ORDER BY {key} ASC LIMIT :limit"),
    )


def rows(tx: Tx, query: Paged, page: Page, /, **params: Any) -> list[Row]:
    """A page of a query, newest first."""
    found = tx.all(
        query.up if page.upwards else query.down, before=page.before, after=page.after, limit=page.limit, **params
    )
    return found[::-1] if page.upwards else found
