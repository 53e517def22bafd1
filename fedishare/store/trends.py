"""What is used a lot at the moment, counted from the newest public posts that anybody here may see.

Each query walks a bounded number of the newest public posts through their index; nothing is written on posting.
Posts of limited accounts, answers and boosts are left out, and so are people who do not want to be found.
"""

from __future__ import annotations

from typing import NamedTuple

from fedishare.model.ids import Id
from fedishare.store.db import Tx, sql

_NEWEST = """(SELECT id, author_id, favourites_count, boosts_count, sensitive FROM post
        WHERE visibility = 0 AND boost_of_id IS NULL AND in_reply_to_id IS NULL AND id > :since
        ORDER BY id DESC LIMIT :limit) p JOIN actor a ON a.id = p.author_id AND a.state = 0 AND a.discoverable = 1"""
TAGS = sql("trend_tags", f"SELECT t.tag, p.id, p.author_id FROM {_NEWEST} JOIN post_tag t ON t.post_id = p.id")
LINKS = sql(
    "trend_links",
    f"""SELECT c.url, c.id, p.id, p.author_id FROM {_NEWEST} JOIN post_card pc ON pc.post_id = p.id
        JOIN card c ON c.id = pc.card_id""",
)
POSTS = sql(
    "trend_posts",
    f"""SELECT p.id, p.favourites_count + p.boosts_count FROM {_NEWEST}
        WHERE p.sensitive = 0 AND p.favourites_count + p.boosts_count >= :least""",
)


class TagUse(NamedTuple):
    """A post that used a hashtag."""

    tag: str
    post_id: Id
    author_id: Id


class LinkUse(NamedTuple):
    """A post that showed a card."""

    url: str
    card_id: Id
    post_id: Id
    author_id: Id


class Liked(NamedTuple):
    """A post, and how often it was liked and boosted."""

    post_id: Id
    times: int


def tag_uses(tx: Tx, since: Id, limit: int) -> list[TagUse]:
    """Uses of hashtags in the newest public posts above ``since``."""
    return [TagUse._make(row) for row in tx.all(TAGS, since=since, limit=limit)]


def link_uses(tx: Tx, since: Id, limit: int) -> list[LinkUse]:
    """Cards shown with the newest public posts."""
    return [LinkUse._make(row) for row in tx.all(LINKS, since=since, limit=limit)]


def liked(tx: Tx, since: Id, limit: int, least: int) -> list[Liked]:
    """The newest public posts that were liked or boosted at least so often."""
    return [Liked._make(row) for row in tx.all(POSTS, since=since, limit=limit, least=least)]
