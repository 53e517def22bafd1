"""Preferences: what a person chose for new posts, whatever program writes them."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from fedishare.model.ids import Id
from fedishare.model.posts import Draft, Visibility
from fedishare.model.quotes import NOBODY, QUOTE_RULES
from fedishare.store import credentials
from fedishare.store.db import Tx


class Preferences(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a person chose for new posts, as stored with the credential."""

    privacy: str = ""
    sensitive: bool = False
    language: str | None = None
    quote_policy: str = "public"
    """Who may quote: public, followers, nobody."""


def with_preferences(tx: Tx, viewer: Id, draft: Draft) -> Draft:
    """Fill in what the person chose for new posts and the program did not say."""
    said = (draft.visibility, draft.language, draft.sensitive, draft.quote_rule)
    if all(each is not None for each in said):
        return draft
    kept = credentials.get(tx, viewer)
    if kept is None:
        return draft
    chosen = msgspec.json.decode(kept.settings, type=Preferences)
    return replace(
        draft,
        quote_rule=draft.quote_rule or QUOTE_RULES.get(chosen.quote_policy, NOBODY),
        visibility=draft.visibility if draft.visibility is not None else Visibility.from_word(chosen.privacy),
        sensitive=draft.sensitive if draft.sensitive is not None else chosen.sensitive,
        language=draft.language or chosen.language,
    )
