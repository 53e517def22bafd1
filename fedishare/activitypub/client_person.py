"""Wishes about oneself: the profile and its pictures, through the use cases of the client API."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fedishare.activitypub import writer
from fedishare.activitypub.client_doing import Doing, Made, upload_number
from fedishare.activitypub.client_wishes import EditMe, Picture
from fedishare.model.actors import Actor, ActorKind, Image, Profile
from fedishare.model.errors import BadInput
from fedishare.model.ids import Id
from fedishare.model.media import Media, MediaState
from fedishare.model.names import Names
from fedishare.model.outgoing import PublishActor
from fedishare.services import media, profiles
from fedishare.services.media import check_description
from fedishare.store import actors
from fedishare.store import media as media_rows
from fedishare.store.db import Tx
from fedishare.text import clean_text

_BOTS = (ActorKind.PERSON, ActorKind.SERVICE)
_SOURCE = "{}: an upload of yours was expected, by its id or its url, found {}"


def upload_of(tx: Tx, names: Names, me: Actor, name: str, picture: Picture) -> Media | None:
    """The upload that a picture of the profile is made of; None for the picture that is there already.

    Raises `BadInput` for what is nobody's, somebody else's, or not made yet.
    """
    before: Image | None = getattr(me.profile, name)
    if before is not None and picture.source == before.url:
        return None
    found, ident = None, upload_number(picture.source, f"{names.uploads()}/") or _of_file(tx, names, picture)
    if ident is not None:
        found = media_rows.by_id(tx, ident)
    if found is None or found.owner_id != me.id or found.state is MediaState.FAILED:
        raise BadInput(_SOURCE.format(name, picture.source[:200]), path=name)
    if found.state is not MediaState.READY or found.file is None:
        raise BadInput(f"{name}: the upload has not finished processing. Try again in a moment!", path=name)
    if found.kind != "image":
        raise BadInput(f"{name}: a picture was expected, found {found.kind}", path=name)
    return found


def _of_file(tx: Tx, names: Names, picture: Picture) -> Id | None:
    start = f"{names.origin}/media/"
    if not picture.source.startswith(start):
        return None
    # What follows the name is a ticket for reading it.
    owner = media_rows.file(tx, picture.source.removeprefix(start).partition("?")[0])
    return owner[0] if owner is not None else None


def edit_me(doing: Doing, wish: EditMe) -> Made:
    """Only what is given changes (6.3)."""
    site, before = doing.context.site, doing.me.profile
    note = wish.note.words({}) if wish.note is not None else None
    switches = {"locked": wish.locked, "discoverable": wish.discoverable, "indexable": wish.indexable}
    wanted: dict[str, Any] = {name: value for name, value in switches.items() if value is not None}
    if wish.fields is not None:
        wanted["fields"] = profiles.fields(site, [(name, value.words({})) for name, value in wish.fields])
    if wish.domains is not None:
        wanted["attribution_domains"] = profiles.domains(wish.domains)
    profile = profiles.reworded(before, site, name=wish.name, note=note)
    profile = _pictured(doing, replace(profile, **wanted), wish)
    changed = profiles.change(doing.tx, site, doing.me, profile, _kind(doing.me, wish.kind))
    iri = doing.named("updates", PublishActor)
    described = writer.actor_document(changed, actors.keys_of(doing.tx, changed), names=doing.names)
    return Made(iri, writer.update_actor(iri, described, to=[doing.names.followers(changed.name)]))


def _kind(me: Actor, word: str | None) -> ActorKind:
    """A person becomes a service and back, which is ``bot`` of the client API; nothing else changes its type."""
    if word is None or word == me.kind.value:
        return me.kind
    if me.kind in _BOTS and word in _BOTS:
        return ActorKind(word)
    raise BadInput(f"a {me.kind.value} never becomes a {word[:80]}", path="object.type")


def _pictured(doing: Doing, profile: Profile, wish: EditMe) -> Profile:
    site = doing.context.site
    made: dict[str, Any] = {}
    for name, picture in wish.pictures:
        before: Image | None = getattr(profile, name)
        if picture is None:
            media.drop_picture(doing.tx, site, before)
            made[name] = None
            continue
        upload = upload_of(doing.tx, doing.names, doing.me, name, picture)
        said = picture.description
        if said is None:
            said = (upload.description if upload is not None else before and before.description) or ""
        description = check_description(clean_text(said))
        if upload is None:
            made[name] = replace(before, description=description) if before is not None else None
            continue
        kept = doing.context.pictures.get(name)
        if kept is None:
            raise BadInput(f"{name}: it changed at this moment. Try again!", path=name)
        made[name] = media.picture(doing.tx, site, doing.me, before, kept, description)
    return replace(profile, **made)
