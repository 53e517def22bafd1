"""Reviews: what moderators said about what is used a lot, and about hashtags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fedishare.model.ids import Id, Millis
from fedishare.store.db import Tx, sql
from fedishare.store.tags import tag_id

ALL = sql("trend_review_list", "SELECT kind, key, allowed, reviewed_at FROM trend_review ORDER BY kind, key")
PUT = sql(
    "trend_review_put",
    """INSERT INTO trend_review (kind, key, allowed, reviewed_at) VALUES (:kind, :key, :allowed, :now)
       ON CONFLICT (kind, key) DO UPDATE SET allowed = excluded.allowed, reviewed_at = excluded.reviewed_at""",
)
TAG_SETTINGS = sql("tag_settings", "SELECT tag, usable, listable FROM tag_setting WHERE tag IN :tags[]")
PUT_TAG = sql(
    "tag_setting_put",
    """INSERT INTO tag_setting (tag, usable, listable) VALUES (:tag, :usable, :listable)
       ON CONFLICT (tag) DO UPDATE SET usable = excluded.usable, listable = excluded.listable""",
)
TAGS_IN_USE = sql("tags_in_use", "SELECT tag FROM post_tag GROUP BY tag UNION SELECT tag FROM tag_setting")


@dataclass(frozen=True, slots=True)
class TagSetting:
    """What a hashtag may: be part of new posts, and be found."""

    usable: bool = True
    listable: bool = True


@dataclass(frozen=True, slots=True)
class Review:
    """Whether something may be shown among trends."""

    allowed: bool
    reviewed_at: Millis


USUAL = TagSetting()


def reviews(tx: Tx) -> dict[tuple[str, str], Review]:
    """Every review by (kind, key)."""
    return {(row[0], row[1]): Review(bool(row[2]), row[3]) for row in tx.all(ALL)}


def refused(tx: Tx) -> frozenset[tuple[str, str]]:
    """(kind, key) of what may not be shown among trends."""
    return frozenset(key for key, review in reviews(tx).items() if not review.allowed)


def put(tx: Tx, kind: str, key: str, allowed: bool) -> None:
    """Say whether something may be shown among trends."""
    tx.run(PUT, kind=kind, key=key, allowed=int(allowed), now=tx.now)


def tag_settings(tx: Tx, tags: Iterable[str]) -> Mapping[str, TagSetting]:
    """The settings of hashtags; those without one are as usual."""
    wanted = list(tags)
    found = tx.all(TAG_SETTINGS, tags=wanted) if wanted else []
    return {row[0]: TagSetting(bool(row[1]), bool(row[2])) for row in found}


def put_tag(tx: Tx, tag: str, setting: TagSetting) -> None:
    """Change the settings of a hashtag."""
    tx.run(PUT_TAG, tag=tag, usable=int(setting.usable), listable=int(setting.listable))


def tags_in_use(tx: Tx) -> dict[Id, str]:
    """Every hashtag by its number. It walks all of them: for moderators alone."""
    return {tag_id(row[0]): row[0] for row in tx.all(TAGS_IN_USE)}
