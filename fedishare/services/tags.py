"""Hashtags: what people follow, and what they show on their profiles."""

from __future__ import annotations

from fedishare.model.errors import BadInput, NotFound
from fedishare.model.ids import Id
from fedishare.store import tags, timelines
from fedishare.store.db import Tx
from fedishare.text import normalise_hashtag, scan

MAX_FEATURED = 10
MAX_FOLLOWED = 1_000


def name_of(text: str) -> str | None:
    """The comparing form of a hashtag, with or without ``#``; None when a post could not have it."""
    name = normalise_hashtag(text)
    found = scan(f"#{name}").hashtags if name else ()
    return name if len(found) == 1 and normalise_hashtag(found[0].name) == name else None


def known(text: str) -> str:
    """The same. Raises `NotFound`."""
    name = name_of(text)
    if name is None:
        raise NotFound("Record not found")
    return name


def follow(tx: Tx, owner: Id, tag: str) -> None:
    """From now on, public posts with the hashtag come into the home timeline. Raises `BadInput` beyond the limit."""
    tx.lock(f"followed tags:{owner}")
    if tags.follow(tx, owner, tag) and tags.count_followed(tx, owner) > MAX_FOLLOWED:
        raise BadInput(f"Validation failed: You cannot follow more than {MAX_FOLLOWED} hashtags")


def unfollow(tx: Tx, owner: Id, tag: str) -> None:
    """No more; what came only because of it goes."""
    if tags.unfollow(tx, owner, tag):
        timelines.leave_tag(tx, owner, tag)


def feature(tx: Tx, owner: Id, tag: str) -> bool:
    """Show a hashtag on one's profile; False when it is there. Raises `BadInput` when there are too many."""
    tx.lock(f"featured tags:{owner}")
    shown = tags.featured_names(tx, owner)
    if tag in shown:
        return False
    if len(shown) >= MAX_FEATURED:
        raise BadInput("Validation failed: You have already featured the maximum number of hashtags")
    return tags.feature(tx, owner, tag)


def unfeature(tx: Tx, owner: Id, tag: str) -> None:
    """Show a hashtag no more."""
    tags.unfeature(tx, owner, tag)
