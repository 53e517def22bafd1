"""Profiles: what people say about themselves, within limits, however their program says it."""

from __future__ import annotations

from dataclasses import replace

from fedishare.model.actors import Actor, Profile
from fedishare.model.errors import BadInput
from fedishare.services import accounts
from fedishare.services.site import Site
from fedishare.store.db import Tx
from fedishare.text import clean_text, compose_html

MAX_NAME, MAX_NOTE = 30, 500
"""Characters of a display name, and of what is said below it."""


def reworded(profile: Profile, site: Site, *, name: str | None, note: str | None) -> Profile:
    """A profile with another name or note, as typed; None leaves it. Raises `BadInput` in Mastodon's words."""
    if name is not None:
        name = clean_text(name)
        if len(name) > MAX_NAME:
            raise BadInput(f"Validation failed: Display name is longer than {MAX_NAME} characters", path="display_name")
        profile = replace(profile, display_name=name)
    if note is None:
        return profile
    note = clean_text(note)
    if len(note) > MAX_NOTE:
        raise BadInput(f"Validation failed: Note is longer than {MAX_NOTE} characters", path="note")
    html = compose_html(note, mentions={}, hashtag_url=site.names.tag, development=site.development)
    return replace(profile, source=note, summary=html)


def change(tx: Tx, actor: Actor, profile: Profile) -> Actor:
    """Keep what a local person says now, and tell the followers."""
    return accounts.update_profile(tx, actor, profile, actor.kind)
