"""Measures: how much of something there was on each day, for moderators, and how many come back.

Ids tell when something was made (milliseconds times 65536), so most of these walk a range of ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from fedishare.model.ids import Id, Millis
from fedishare.store.actors import INSTANCE_ACTOR
from fedishare.store.db import Row, Sql, Tx, sql

DAY = 86400_000
_BETWEEN = "{t}.id >= :begin AND {t}.id < :end"


def _daily(name: str, table: str, where: str, counted: str = "count(*)", moment: str = "{t}.id >> 16") -> Sql:
    """A query for (day, number); the rows' table is called ``x``."""
    day = f"(({moment.format(t='x')}) / {DAY})"
    range_ = _BETWEEN.format(t="x") if "id" in moment else f"{moment} >= :begin AND {moment} < :end"
    return sql(name, f"SELECT {day} AS day, {counted} FROM {table} WHERE {range_} AND {where} GROUP BY {day}")


_TAGGED = "post x JOIN post_tag t ON t.post_id = x.id JOIN actor a ON a.id = x.author_id"
_AT = "(a.domain = :domain OR a.host = :domain)"
_ALWAYS = "x.id > 0"
NEW_USERS = _daily("measure_new_users", "actor x", f"x.domain IS NULL AND x.name_key <> '{INSTANCE_ACTOR}'")
INTERACTIONS = _daily(
    "measure_interactions",
    "post x JOIN actor a ON a.id = x.author_id",
    "a.domain IS NULL AND (x.boost_of_id IS NOT NULL OR x.in_reply_to_id IS NOT NULL)",
)
FAVOURITES = _daily(
    "measure_favourites", "interaction x JOIN actor a ON a.id = x.actor_id", "a.domain IS NULL AND x.kind = 1"
)
OPENED_REPORTS = _daily("measure_opened_reports", "report x", _ALWAYS)
RESOLVED_REPORTS = _daily("measure_resolved_reports", "report x", "x.resolved_at IS NOT NULL", moment="x.resolved_at")
TAG_USES = _daily("measure_tag_uses", _TAGGED, "t.tag = :tag")
TAG_ACCOUNTS = _daily("measure_tag_accounts", _TAGGED, "t.tag = :tag", "count(DISTINCT x.author_id)")
TAG_SERVERS = _daily("measure_tag_servers", _TAGGED, "t.tag = :tag", "count(DISTINCT coalesce(a.domain, ''))")
INSTANCE_ACCOUNTS = _daily("measure_instance_accounts", "actor x", "(x.domain = :domain OR x.host = :domain)")
INSTANCE_STATUSES = _daily("measure_instance_statuses", "post x JOIN actor a ON a.id = x.author_id", _AT)
INSTANCE_REPORTS = _daily("measure_instance_reports", "report x JOIN actor a ON a.id = x.target_id", _AT)
INSTANCE_FOLLOWS = _daily(
    "measure_instance_follows", "follow x JOIN actor a ON a.id = x.followee_id", f"x.follower_local = 1 AND {_AT}"
)
INSTANCE_FOLLOWERS = _daily(
    "measure_instance_followers", "follow x JOIN actor a ON a.id = x.follower_id", f"x.follower_local = 0 AND {_AT}"
)
INSTANCE_MEDIA = _daily(
    "measure_instance_media",
    "post x JOIN actor a ON a.id = x.author_id",
    f"""{_AT} AND x.extra LIKE '%"attachments":%'""",
)
ACTIVE_USERS = sql(
    "measure_active_users",
    "SELECT day, count(*) FROM active_day WHERE day >= :first AND day < :last GROUP BY day",
)

DAILY: Mapping[str, tuple[Sql, ...]] = MappingProxyType(
    {
        "new_users": (NEW_USERS,),
        "interactions": (INTERACTIONS, FAVOURITES),
        "opened_reports": (OPENED_REPORTS,),
        "resolved_reports": (RESOLVED_REPORTS,),
        "tag_accounts": (TAG_ACCOUNTS,),
        "tag_uses": (TAG_USES,),
        "tag_servers": (TAG_SERVERS,),
        "instance_accounts": (INSTANCE_ACCOUNTS,),
        "instance_media_attachments": (INSTANCE_MEDIA,),
        "instance_reports": (INSTANCE_REPORTS,),
        "instance_statuses": (INSTANCE_STATUSES,),
        "instance_follows": (INSTANCE_FOLLOWS,),
        "instance_followers": (INSTANCE_FOLLOWERS,),
    }
)
"""What can be measured by day, besides ``active_users``; numbers of several queries are added."""

WAS_HERE = sql("active_day_put", "INSERT INTO active_day (day, actor_id) VALUES (:day, :actor) ON CONFLICT DO NOTHING")
FORGET = sql("active_day_forget", "DELETE FROM active_day WHERE actor_id = :actor")
PRUNE = sql("active_day_prune", "DELETE FROM active_day WHERE day < :day")
ACTIVE = sql("active_people", "SELECT count(DISTINCT actor_id) FROM active_day WHERE day >= :first AND day < :last")
WEEK = sql(
    "measure_week",
    f"""SELECT (SELECT count(*) FROM post p WHERE p.id >= :begin AND p.id < :end AND p.local = 1
          AND p.boost_of_id IS NULL),
        (SELECT count(*) FROM actor a WHERE a.id >= :begin AND a.id < :end AND a.domain IS NULL
          AND a.name_key <> '{INSTANCE_ACTOR}')""",
)
COHORT = sql(
    "measure_cohort",
    """SELECT x.cohort, d.period, count(DISTINCT d.actor_id)
       FROM (SELECT a.id AS actor_id, ((a.id >> 16) / :width) AS cohort FROM actor a
             WHERE a.domain IS NULL AND a.id >= :begin AND a.id < :end) x
       JOIN (SELECT actor_id, day * 86400000 / :width AS period FROM active_day WHERE day >= :first AND day < :last) d
         ON d.actor_id = x.actor_id
       GROUP BY x.cohort, d.period""",
)
COHORT_SIZES = sql(
    "measure_cohort_sizes",
    f"""SELECT ((a.id >> 16) / :width) AS cohort, count(*) FROM actor a
        WHERE a.domain IS NULL AND a.id >= :begin AND a.id < :end AND a.name_key <> '{INSTANCE_ACTOR}'
        GROUP BY ((a.id >> 16) / :width)""",
)

LANGUAGES = sql(
    "dimension_languages",
    """SELECT coalesce(c.locale, ''), count(*) FROM credential c JOIN actor a ON a.id = c.actor_id
       WHERE c.last_seen_at >= :begin AND c.last_seen_at < :end GROUP BY coalesce(c.locale, '')
       ORDER BY count(*) DESC LIMIT :limit""",
)
SOURCES = sql(
    "dimension_sources",
    f"""SELECT coalesce(p.name, ''), count(*) FROM actor a JOIN credential c ON c.actor_id = a.id
        LEFT JOIN app p ON p.id = c.app_id
        WHERE a.domain IS NULL AND a.id >= :begin AND a.id < :end AND a.name_key <> '{INSTANCE_ACTOR}'
        GROUP BY coalesce(p.name, '') ORDER BY count(*) DESC LIMIT :limit""",
)
SERVERS = sql(
    "dimension_servers",
    """SELECT coalesce(a.domain, ''), count(*) FROM post p JOIN actor a ON a.id = p.author_id
       WHERE p.id >= :begin AND p.id < :end GROUP BY coalesce(a.domain, '') ORDER BY count(*) DESC LIMIT :limit""",
)
TAG_BY_SERVER = sql(
    "dimension_tag_servers",
    """SELECT coalesce(a.domain, ''), count(*) FROM post_tag t JOIN post p ON p.id = t.post_id
       JOIN actor a ON a.id = p.author_id WHERE t.tag = :tag AND t.post_id >= :begin AND t.post_id < :end
       GROUP BY coalesce(a.domain, '') ORDER BY count(*) DESC LIMIT :limit""",
)
TAG_BY_LANGUAGE = sql(
    "dimension_tag_languages",
    """SELECT coalesce(p.language, ''), count(*) FROM post_tag t JOIN post p ON p.id = t.post_id
       WHERE t.tag = :tag AND t.post_id >= :begin AND t.post_id < :end
       GROUP BY coalesce(p.language, '') ORDER BY count(*) DESC LIMIT :limit""",
)
INSTANCE_BY_ACCOUNT = sql(
    "dimension_instance_accounts",
    """SELECT a.name, count(*) FROM post p JOIN actor a ON a.id = p.author_id
       WHERE a.domain = :domain AND p.id >= :begin AND p.id < :end GROUP BY a.name
       ORDER BY count(*) DESC LIMIT :limit""",
)
INSTANCE_BY_LANGUAGE = sql(
    "dimension_instance_languages",
    """SELECT coalesce(p.language, ''), count(*) FROM post p JOIN actor a ON a.id = p.author_id
       WHERE a.domain = :domain AND p.id >= :begin AND p.id < :end GROUP BY coalesce(p.language, '')
       ORDER BY count(*) DESC LIMIT :limit""",
)
SPACE = sql("dimension_space", "SELECT coalesce(sum(bytes), 0) FROM media_file")

BY_TIME: Mapping[str, Sql] = MappingProxyType(
    {
        "sources": SOURCES,
        "servers": SERVERS,
        "tag_servers": TAG_BY_SERVER,
        "tag_languages": TAG_BY_LANGUAGE,
        "instance_accounts": INSTANCE_BY_ACCOUNT,
        "instance_languages": INSTANCE_BY_LANGUAGE,
    }
)
"""Dimensions that are counted over a range of ids."""


def was_here(tx: Tx, actor: Id) -> None:
    """Note that somebody was here today."""
    tx.run(WAS_HERE, day=tx.now // DAY, actor=actor)


def forget(tx: Tx, actor: Id) -> None:
    """Forget when somebody was here."""
    tx.run(FORGET, actor=actor)


def prune(tx: Tx, before: Millis) -> int:
    """Forget what is older."""
    return tx.run(PRUNE, day=before // DAY)


def active_people(tx: Tx, begin: Millis, end: Millis) -> int:
    """How many people were here between two instants, which are taken as days."""
    return int(tx.value(ACTIVE, first=begin // DAY, last=-(-end // DAY)))


def week(tx: Tx, begin: Id, end: Id) -> tuple[int, int]:
    """How many local posts and accounts have ids in a range."""
    row = tx.one(WEEK, begin=begin, end=end)
    return (int(row[0]), int(row[1])) if row else (0, 0)


def by_day(tx: Tx, key: str, begin: Millis, end: Millis, **about: str) -> dict[int, int]:
    """The numbers of a measure by day since 1970. ``about`` is ``tag`` or ``domain`` for those about one."""
    if key == "active_users":
        return dict(_pairs(tx.all(ACTIVE_USERS, first=begin // DAY, last=-(-end // DAY))))
    found: dict[int, int] = {}
    for query in DAILY[key]:
        first, last = (begin, end) if query is RESOLVED_REPORTS else (begin << 16, end << 16)
        for day, number in _pairs(tx.all(query, begin=first, end=last, **about)):
            found[day] = found.get(day, 0) + number
    return found


def _pairs(rows: list[Row]) -> list[tuple[int, int]]:
    return [(int(row[0]), int(row[1])) for row in rows]


def dimension(tx: Tx, key: str, begin: Millis, end: Millis, limit: int, **about: str) -> list[tuple[str, int]]:
    """(name, number) of what there was most of between two instants; an empty name is us, or nothing said."""
    if key == "languages":
        rows = tx.all(LANGUAGES, begin=begin, end=end, limit=limit)
    else:
        rows = tx.all(BY_TIME[key], begin=begin << 16, end=end << 16, limit=limit, **about)
    return [(str(row[0]), int(row[1])) for row in rows]


def space(tx: Tx) -> int:
    """Bytes of our own files."""
    return int(tx.value(SPACE))


def cohorts(tx: Tx, begin: Millis, end: Millis, width: int) -> tuple[dict[int, int], dict[tuple[int, int], int]]:
    """People by the period in which they came (numbers), and how many of each were here in which period.

    ``width`` is that of a period in milliseconds; periods are counted since 1970.
    """
    sizes = _pairs(tx.all(COHORT_SIZES, begin=begin << 16, end=end << 16, width=width))
    rows = tx.all(COHORT, begin=begin << 16, end=end << 16, first=begin // DAY, last=-(-end // DAY), width=width)
    return dict(sizes), {(int(r[0]), int(r[1])): int(r[2]) for r in rows}
