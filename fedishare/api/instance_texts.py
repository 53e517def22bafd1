"""What the instance says about itself at length: rules, description, privacy policy, terms. Read when it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec

from fedishare.api import entities
from fedishare.config import Config
from fedishare.model.ids import Millis
from fedishare.store import notice_board
from fedishare.store.notice_board import RuleText
from fedishare.text import compose_html, sanitise

MAX_FILE = 256 * 1024
"""Bytes of such a file that are read."""


class Rule(msgspec.Struct, frozen=True):
    """A rule of the instance."""

    id: str
    text: str
    hint: str
    translations: Mapping[str, RuleText]


class Document(msgspec.Struct, frozen=True):
    """A text of the instance with when it was last changed."""

    updated_at: str
    content: str


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """The terms of service."""

    effective_date: str
    effective: bool
    content: str
    succeeded_by: str | None = None


@dataclass(frozen=True, slots=True)
class InstanceTexts:
    """The texts; None for those that are not set."""

    description: Document | None
    privacy: Document | None
    terms: Document | None
    effective: date | None


def rule_entity(found: notice_board.Rule) -> Rule:
    """A rule as apps know it."""
    return Rule(str(found.id), found.text, found.hint, found.translations)


def read_texts(config: Config) -> InstanceTexts:
    """The texts of an instance, from the files that its configuration names."""
    settings = config.instance
    effective = date.fromisoformat(settings.terms_effective) if settings.terms_effective else None
    terms = _read(config, settings.terms_of_service)
    if terms is not None and effective is None:
        effective = date.fromisoformat(terms.updated_at[:10])
    return InstanceTexts(
        _read(config, settings.extended_description), _read(config, settings.privacy_policy), terms, effective
    )


def _read(config: Config, name: str | None) -> Document | None:
    if name is None:
        return None
    path = config.base_path / name
    with path.open("rb") as opened:
        text = opened.read(MAX_FILE).decode("utf-8", "replace")
    changed = Millis(int(path.stat().st_mtime * 1000))
    return Document(entities.instant(changed), _html(path, text))


def _html(path: Path, text: str) -> str:
    """An .html file as it is, made safe; any other as paragraphs."""
    if path.suffix.lower() in (".html", ".htm"):
        return sanitise(text)
    return compose_html(text, mentions={}, hashtag_url=lambda tag: "")


def terms_entity(texts: InstanceTexts, now: Millis) -> Terms | None:
    """The terms of service, if there are any."""
    if texts.terms is None or texts.effective is None:
        return None
    today = datetime.fromtimestamp(now // 1000, UTC).date()
    return Terms(
        effective_date=texts.effective.isoformat(), effective=texts.effective <= today, content=texts.terms.content
    )
