"""A small schema and transaction functions for the engines' tests, and a program that is killed while it writes."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass
from typing import Any

from fedishare.model.ids import Id, Millis
from fedishare.store.db import Database, NoticeCodec, Row, Sql, Tx, open_database
from fedishare.store.migrate import load, migrate
from tests.store.conftest import Clock

SCHEMA = """
CREATE TABLE note (
    id {id},
    word {text} NOT NULL UNIQUE,
    n {int} NOT NULL DEFAULT 0 CHECK (n >= 0),
    raw {blob},
    doc {text}
);
CREATE TABLE line (
    note {int} NOT NULL REFERENCES note (id),
    n {int} NOT NULL,
    PRIMARY KEY (note, n)
) {without_rowid};
"""
MIGRATIONS = load([("0001_notes.sql", SCHEMA)])
INSERT = Sql("note_insert", "INSERT INTO note (id, word, n, raw, doc) VALUES (:id, :word, :n, :raw, :doc)")
LINE = Sql("note_line", "INSERT INTO line (note, n) VALUES (:note, :n)")
WORDS = Sql("note_words", "SELECT word FROM note ORDER BY id")
COUNT = Sql("note_count", "SELECT count(*) FROM note")
LINES = Sql("note_lines", "SELECT count(*) FROM line")
BUMP = Sql("note_bump", "UPDATE note SET n = n + 1 WHERE word = :word")


@dataclass(frozen=True, slots=True)
class Written:
    """A notice."""

    word: str


class Codec(NoticeCodec):
    """Notices as their word; words that begin with "private" stay at home."""

    def encode(self, notice: object) -> str | None:
        assert isinstance(notice, Written)
        return None if notice.word.startswith("private") else notice.word

    def decode(self, text: str) -> object | None:
        return Written(text)


def put(tx: Tx, word: str, n: int = 0, raw: bytes | None = None, doc: str | None = None) -> Id:
    """A note with three lines, and a notice."""
    identifier = tx.new_id()
    tx.run(INSERT, id=identifier, word=word, n=n, raw=raw, doc=doc)
    tx.many(LINE, [{"note": identifier, "n": line} for line in range(3)])
    tx.notify(Written(word))
    return identifier


def words(tx: Tx) -> list[str]:
    """All words, oldest first."""
    return [word for (word,) in tx.all(WORDS)]


def every(tx: Tx, /, query: Sql, **params: Any) -> list[Row]:
    """All rows of a query."""
    return tx.all(query, **params)


async def open_notes(url: str, clock: Clock, codec: NoticeCodec | None = None, **options: float) -> Database:
    """A database with the small schema."""
    database = await open_database(
        url,
        clock=clock,
        codec=codec,
        migrations=MIGRATIONS,
        queue_limit=int(options.get("queue_limit", 4096)),
        lock_timeout=options.get("lock_timeout", 5.0),
    )
    await migrate(database)
    return database


async def write_until_killed(url: str) -> None:
    """Many writers at once; each word is printed when, and only when, the database has acknowledged it."""
    database = await open_notes(url, Clock(Millis(int(time.time() * 1000))))

    async def writer(name: int) -> None:
        for number in range(1_000_000):
            word = f"{name}-{number}"
            identifier = await database.write(put, word)
            print(word, identifier, flush=True)

    await asyncio.gather(*[writer(name) for name in range(16)])


if __name__ == "__main__":
    asyncio.run(write_until_killed(sys.argv[1]))
