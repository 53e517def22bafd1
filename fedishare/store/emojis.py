"""Custom emoji of this instance: pictures by short code."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fedishare.model.ids import Millis
from fedishare.store.db import Tx, sql

_COLUMNS = "code, file, still, category, visible, updated_at"
ALL = sql("emoji_list", f"SELECT {_COLUMNS} FROM custom_emoji ORDER BY code")
BY_CODES = sql("emoji_by_codes", f"SELECT {_COLUMNS} FROM custom_emoji WHERE code IN :codes[] ORDER BY code")
PUT = sql(
    "emoji_insert",
    """INSERT INTO custom_emoji (code, file, still, category, visible, updated_at)
       VALUES (:code, :file, :still, :category, :visible, :now) ON CONFLICT (code) DO NOTHING""",
)
DROP = sql("emoji_delete", "DELETE FROM custom_emoji WHERE code = :code")


@dataclass(frozen=True, slots=True)
class CustomEmoji:
    """An emoji; ``file`` and ``still`` (which does not move) are names of our own files."""

    code: str
    file: str
    still: str
    category: str | None
    visible: bool
    updated_at: Millis


def all_emojis(tx: Tx) -> list[CustomEmoji]:
    """Every emoji."""
    return [CustomEmoji(r[0], r[1], r[2], r[3], bool(r[4]), r[5]) for r in tx.all(ALL)]


def by_codes(tx: Tx, codes: Iterable[str]) -> list[CustomEmoji]:
    """Those of the codes that there are."""
    found = tx.all(BY_CODES, codes=list(codes))
    return [CustomEmoji(r[0], r[1], r[2], r[3], bool(r[4]), r[5]) for r in found]


def put(tx: Tx, code: str, file: str, still: str, category: str | None, *, visible: bool) -> bool:
    """Add an emoji; False when the code is taken."""
    return tx.run(PUT, code=code, file=file, still=still, category=category, visible=int(visible), now=tx.now) > 0


def drop(tx: Tx, code: str) -> None:
    """Remove an emoji."""
    tx.run(DROP, code=code)
