"""Profiles: what people say about themselves, within limits, however their program says it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from fedishare.model.actors import Actor, ActorKind, Field, Profile
from fedishare.model.errors import BadInput
from fedishare.model.ids import Domain, parse_domain
from fedishare.services import accounts, emojis
from fedishare.services.site import Site
from fedishare.store.db import Tx
from fedishare.text import clean_text, compose_html

MAX_NAME, MAX_NOTE = 30, 500
"""Characters of a display name, and of what is said below it."""
MAX_FIELDS, MAX_FIELD, MAX_DOMAINS = 4, 255, 100
BAD_FIELDS = f"Validation failed: at most {MAX_FIELDS} fields, each with name and value"


def reworded(profile: Profile, site: Site, *, name: str | None, note: str | None) -> Profile:
    """A profile with another name or note, as typed; None leaves it. Raises `BadInput` in Mastodon's words."""
    if name is not None:
        name = clean_text(name)
        if len(name) > MAX_NAME:
            sentence = f"Validation failed: Display name is too long (maximum is {MAX_NAME} characters)"
            raise BadInput(sentence, path="display_name")
        profile = replace(profile, display_name=name)
    if note is None:
        return profile
    note = clean_text(note)
    if len(note) > MAX_NOTE:
        raise BadInput(f"Validation failed: Note character limit of {MAX_NOTE} exceeded", path="note")
    html = compose_html(note, mentions={}, hashtag_url=site.names.tag, development=site.development)
    return replace(profile, source=note, summary=html)


def fields(site: Site, rows: Sequence[tuple[str, str]]) -> tuple[Field, ...]:
    """The rows of a profile from (name, value) as typed; those without a name are left out. Raises `BadInput`."""
    if len(rows) > MAX_FIELDS:
        raise BadInput(BAD_FIELDS, path="fields")
    found = []
    for name, value in rows:
        name, value = clean_text(name)[:MAX_FIELD], clean_text(value)[:MAX_FIELD]
        if name.strip():
            html = compose_html(value, mentions={}, hashtag_url=site.names.tag, development=site.development)
            found.append(Field(name, html.removeprefix("<p>").removesuffix("</p>")))
    return tuple(found)


def domains(words: Iterable[str]) -> tuple[Domain, ...]:
    """Whose pages may name a person as their author. Raises `BadInput` in Mastodon's words."""
    given = [word for word in words if word.strip()]
    if len(given) > MAX_DOMAINS:
        raise BadInput(
            f"Validation failed: Attribution domains are more than {MAX_DOMAINS}", path="attribution_domains"
        )
    try:
        return tuple(dict.fromkeys(parse_domain(word) for word in given))
    except BadInput as error:
        sentence = "Validation failed: Attribution domains contains an invalid domain name"
        raise BadInput(sentence, path="attribution_domains") from error


def change(tx: Tx, site: Site, actor: Actor, profile: Profile, kind: ActorKind | None = None) -> Actor:
    """Keep what a local person says now, with the emoji that it names, and tell the followers."""
    return accounts.update_profile(tx, actor, emojis.profile_dressed(tx, site, profile), kind or actor.kind)
