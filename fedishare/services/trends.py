"""Trends: what more people than one use or like, the more recently the better.

A use counts half as much each day later, and each person once a day: one person alone makes no trend. What is counted
was public and for everybody here; whether a viewer may and wants to see it is asked when it is shown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from fedishare.model.ids import Id, Millis, id_at, time_of
from fedishare.services import taxonomy
from fedishare.store import reviews
from fedishare.store import trends as store
from fedishare.store.db import Tx

DAY = 24 * 3600 * 1000
DAYS = 7
MAX_POSTS = 20_000
"""Newest public posts that are looked at."""
MAX_ENTRIES = 100
LEAST_PEOPLE = 2
LEAST_LIKES = 2


@dataclass(frozen=True, slots=True)
class Day:
    """The use of something in the day that begins at ``start``."""

    start: Millis
    accounts: int
    uses: int


@dataclass(frozen=True, slots=True)
class Link:
    """An address that is linked to a lot: its newest card, and its days, the last one first."""

    card_id: Id
    days: tuple[Day, ...]


@dataclass(frozen=True, slots=True)
class Trends:
    """What was trending at one time, the strongest first."""

    tags: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    posts: tuple[Id, ...] = ()


def compute(tx: Tx, *, everything: bool = False) -> Trends:
    """Count anew: at most `MAX_POSTS` rows of an index for each kind. ``everything``: also what moderators refused."""
    refused = frozenset[tuple[str, str]]() if everything else reviews.refused(tx)
    since = id_at(Millis(tx.now - DAYS * DAY))
    tags: dict[str, list[tuple[Id, Id]]] = defaultdict(list)
    for use in store.tag_uses(tx, since, MAX_POSTS):
        if ("tag", use.tag) not in refused:
            tags[use.tag].append((use.author_id, use.post_id))
    links: dict[str, list[tuple[Id, Id]]] = defaultdict(list)
    cards: dict[str, Id] = {}
    for shown in store.link_uses(tx, since, MAX_POSTS):
        if refused & {("link", shown.url), ("publisher", taxonomy.publisher_of(shown.url))}:
            continue
        links[shown.url].append((shown.author_id, shown.post_id))
        cards[shown.url] = max(shown.card_id, cards.get(shown.url, shown.card_id))
    found = store.liked(tx, since, MAX_POSTS, LEAST_LIKES)
    liked = [each for each in found if ("status", str(each.post_id)) not in refused]
    best = sorted(liked, key=lambda each: (-each.times * _weight(tx.now, each.post_id), -each.post_id))
    return Trends(
        tags=tuple(_strongest(tx.now, tags)),
        links=tuple(Link(cards[url], _days(tx.now, links[url])) for url in _strongest(tx.now, links)),
        posts=tuple(each.post_id for each in best[:MAX_ENTRIES]),
    )


def _weight(now: Millis, post: Id) -> float:
    return float(0.5 ** (max(0, now - time_of(post)) / DAY))


def _strongest(now: Millis, uses: dict[str, list[tuple[Id, Id]]]) -> list[str]:
    """Names used by people enough, by the sum of each person's newest use a day."""
    scores = []
    for name, found in uses.items():
        if len({author for author, _ in found}) >= LEAST_PEOPLE:
            daily: dict[tuple[Id, int], float] = {}
            for author, post in found:
                key = (author, time_of(post) // DAY)
                daily[key] = max(daily.get(key, 0.0), _weight(now, post))
            scores.append((-sum(daily.values()), name))
    return [name for _, name in sorted(scores)[:MAX_ENTRIES]]


def _days(now: Millis, uses: Iterable[tuple[Id, Id]]) -> tuple[Day, ...]:
    by_day: dict[int, list[Id]] = defaultdict(list)
    for author, post in uses:
        by_day[time_of(post) // DAY].append(author)
    today = now // DAY
    return tuple(
        Day(Millis(day * DAY), len(set(by_day[day])), len(by_day[day])) for day in range(today, today - DAYS, -1)
    )
