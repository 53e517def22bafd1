"""Taxonomy: which hashtags may be used and found, and what may be shown among trends."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

from fedishare.model.actors import Viewer
from fedishare.model.errors import BadInput, NotFound
from fedishare.model.ids import Id
from fedishare.model.posts import Content
from fedishare.store import partners, reviews
from fedishare.store.db import Tx
from fedishare.store.reviews import USUAL, TagSetting
from fedishare.text import normalise_hashtag

KINDS = ("tag", "link", "publisher", "status")


def obeyed(tx: Tx, content: Content) -> Content:
    """What a local person wrote, without the hashtags that may not be used: they stay words."""
    settings = reviews.tag_settings(tx, content.hashtags)
    if all(setting.usable for setting in settings.values()):
        return content
    return replace(content, hashtags=tuple(t for t in content.hashtags if settings.get(t, USUAL).usable))


def publisher_of(url: str) -> str:
    """Whose page an address is of."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def review(tx: Tx, moderator: Viewer, kind: str, key: str, *, allowed: bool) -> None:
    """Say whether something may be shown among trends."""
    reviews.put(tx, kind, key, allowed)
    partners.audit(tx, f"@{moderator.name}", f"trend.{'approve' if allowed else 'reject'}", f"{kind} {key}"[:300])


def tag(tx: Tx, ident: Id) -> str:
    """The hashtag with a number. Raises `NotFound`."""
    found = reviews.tags_in_use(tx).get(ident)
    if found is None:
        raise NotFound("Record not found")
    return found


def change_tag(
    tx: Tx, moderator: Viewer, name: str, setting: TagSetting, *, trendable: bool | None, display_name: str
) -> None:
    """Change what a hashtag may. Raises `BadInput`: how it is written cannot be changed."""
    if display_name and normalise_hashtag(display_name) != name:
        raise BadInput("Validation failed: Display name cannot be another name", path="display_name")
    reviews.put_tag(tx, name, setting)
    if trendable is not None:
        reviews.put(tx, "tag", name, trendable)
    said = f"usable {setting.usable}, listable {setting.listable}, trendable {trendable}"
    partners.audit(tx, f"@{moderator.name}", "tag.update", name, said)
