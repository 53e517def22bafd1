"""Verify: questions to a whole database that a healthy one answers with nothing. For both engines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fedishare.store.db import Sql, Tx, sql
from fedishare.store.migrate import MARK

LIMIT = 100

BURIED_ALIVE = sql(
    "verify_buried_alive",
    """SELECT p.iri FROM tombstone t JOIN post p ON p.iri_hash = t.iri_hash AND p.iri = t.iri
       JOIN actor a ON a.id = p.author_id WHERE a.iri = t.author_iri LIMIT :limit""",
)
ORPHAN_JOBS = sql(
    "verify_orphan_jobs",
    """SELECT j.id FROM job j LEFT JOIN document d ON d.id = j.document_id
       WHERE j.state < 3 AND j.kind = 'deliver' AND d.id IS NULL LIMIT :limit""",
)
WITHOUT_KEYS = sql(
    "verify_without_keys",
    """SELECT a.name FROM actor a LEFT JOIN credential c ON c.actor_id = a.id
       WHERE a.domain IS NULL AND (c.actor_id IS NULL OR NOT EXISTS
        (SELECT 1 FROM actor_key k WHERE k.actor_id = a.id)) LIMIT :limit""",
)
DEAF = sql(
    "verify_local_without_author",
    """SELECT p.iri FROM post p LEFT JOIN actor a ON a.id = p.author_id
       WHERE p.local = 1 AND (a.id IS NULL OR a.domain IS NOT NULL) LIMIT :limit""",
)
FOLLOWERS = sql(
    "verify_followers",
    """SELECT a.name FROM actor a WHERE a.domain IS NULL AND a.followers_count <>
        (SELECT count(*) FROM follow f WHERE f.followee_id = a.id AND f.state = 1) LIMIT :limit""",
)
FOLLOWING = sql(
    "verify_following",
    """SELECT a.name FROM actor a WHERE a.domain IS NULL AND a.following_count <>
        (SELECT count(*) FROM follow f WHERE f.follower_id = a.id AND f.state = 1) LIMIT :limit""",
)
HIGHEST = sql(
    "verify_highest_id",
    """SELECT max(id) FROM (SELECT max(id) AS id FROM post UNION ALL SELECT max(id) FROM actor
       UNION ALL SELECT max(id) FROM job UNION ALL SELECT max(id) FROM audit) AS used""",
)
ROWS = sql(
    "verify_rows",
    """SELECT 'local accounts', count(*) FROM actor WHERE domain IS NULL AND name_key <> 'instance.actor'
       UNION ALL SELECT 'remote accounts', count(*) FROM actor WHERE domain IS NOT NULL
       UNION ALL SELECT 'local posts', count(*) FROM post WHERE local = 1
       UNION ALL SELECT 'remote posts', count(*) FROM post WHERE local = 0
       UNION ALL SELECT 'tombstones', count(*) FROM tombstone
       UNION ALL SELECT 'follows', count(*) FROM follow
       UNION ALL SELECT 'jobs', count(*) FROM job
       UNION ALL SELECT 'partners', count(*) FROM partner
       UNION ALL SELECT 'audit entries', count(*) FROM audit""",
)


@dataclass(frozen=True, slots=True)
class Check:
    """One question: what it is about, and what was found that should not be (at most `LIMIT` things)."""

    name: str
    found: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Nothing was found."""
        return not self.found


_QUESTIONS: tuple[tuple[str, Sql, str], ...] = (
    ("nothing deleted is back", BURIED_ALIVE, "{} has a tombstone"),
    ("deliveries have their document", ORPHAN_JOBS, "job {} has none"),
    ("accounts have their keys", WITHOUT_KEYS, "@{} has none"),
    ("posts have their author", DEAF, "{} has none here"),
    ("followers are counted right", FOLLOWERS, "@{}"),
    ("followed ones are counted right", FOLLOWING, "@{}"),
)


def checks(tx: Tx) -> list[Check]:
    """Every question and its answer."""
    made = [
        Check(name, tuple(sentence.format(row[0]) for row in tx.all(query, limit=LIMIT)))
        for name, query, sentence in _QUESTIONS
    ]
    highest, mark = tx.value(HIGHEST) or 0, tx.value(MARK)
    late = (f"id {highest} is in use, but the mark is {mark}",) if highest > mark else ()
    return [*made, Check("ids are never used twice", late)]


def rows(tx: Tx) -> Mapping[str, int]:
    """How much there is of what."""
    return {name: number for name, number in tx.all(ROWS)}
