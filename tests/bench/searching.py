"""Search in full text: posts of words as frequent as words are, and queries for common, rare and missing ones."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any
from urllib.parse import quote

from fedishare.store import search
from fedishare.store.db import Tx, sql
from fedishare.text.query import EVERYTHING, date_words
from tests.bench.load import Outcome, WrongAnswer, ask, drive_for, get
from tests.bench.rows import Round, Row, Stage, at_most, figures_of, spaced, timed
from tests.bench.server import Server

VOCABULARY = 60_000
WORDS = 16
"""Words of a post."""
CONNECTIONS = 2
QUERIES = (
    "w0", "w20", "w300", "w3000", "w30000", "w59999", "missing", "w0 w1", "w5 w300", "w0 w30000", '"w0 w1"',
    '"w300 w301"', "w300 -w0", "from:me w0", "w20 in:public", "w20 after:2020-01-01", "w20 has:poll", "-w0 -w1",
)  # fmt: skip
"""w0 is the most frequent word: in every second post; w59999 is in a handful."""

# Posts that are put in by the row wait for their words; nobody shall be busy with that while something is measured.
NOTHING_WAITS = sql("bench_nothing_waits", "DELETE FROM post_pending WHERE post_id > 0")
_FREQUENCY = list(accumulate(1 / (rank + 2.7) ** 1.05 for rank in range(VOCABULARY)))
_VOCABULARY = [f"w{rank}" for rank in range(VOCABULARY)]


def texts(rows: Sequence[Mapping[str, Any]], seed: int) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Rows of posts with random words and visibilities (one in eight is not for the reader), and of their words."""
    chance = random.Random(seed)
    drawn = chance.choices(_VOCABULARY, cum_weights=_FREQUENCY, k=WORDS * len(rows))
    for at, row in enumerate(rows):
        said = drawn[at * WORDS : (at + 1) * WORDS]
        facts = [f"from:{row['author_id']}", *date_words(datetime.fromtimestamp(row["published"] / 1000, UTC).date())]
        visibility = 3 if at % 8 == 0 else 0
        shown = [] if visibility else ["is:public"]
        words = " ".join((*said, ":", EVERYTHING, "language:en", *facts, *shown))
        changed = {"html": f"<p>{' '.join(said)}</p>", "visibility": visibility}
        yield {**row, **changed}, {"id": row["id"], "words": words}


def put_words(tx: Tx, words: Sequence[Mapping[str, Any]]) -> None:
    """Fill the index, as the background would."""
    tx.many(search.PUT_POST, words)


def settle(tx: Tx) -> None:
    """What was put in by the row is not taken in afterwards."""
    tx.run(NOTHING_WAITS)


async def _timed(server: Server, load: Awaitable[Outcome]) -> Round:
    return await timed(server, lambda: load)


async def searches(stage: Stage, server: Server, size: int, token: str) -> list[Row]:
    """All the queries by turns; none may be slow."""
    server.start()
    domain = f"bench.localhost:{server.port}"
    head = f"Authorization: Bearer {token}\r\n"
    requests = [get(domain, f"/api/v2/search?type=statuses&q={quote(query)}", head) for query in QUERIES]
    status, body = await ask(server.port, requests[0])
    if status != 200 or body.count(b'"spoiler_text"') != 20:
        raise WrongAnswer(f"search answered {status}: {body[:300]!r}")
    rounds = []
    for _ in range(stage.rounds + 1):  # the first one reads what it needs from the disk
        load = drive_for(server.port, requests, 2 * stage.seconds, connections=CONNECTIONS)
        rounds.append(await _timed(server, load))
    label = f"search in full text, {CONNECTIONS} at a time, of {spaced(size)} posts"
    return [Row("search", label, figures_of(rounds[1:]), (at_most("p99_ms", 300),))]
