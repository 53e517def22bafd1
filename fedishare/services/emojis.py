"""Custom emoji: made anew from a picture, and found again in what people here write."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from fedishare.model.actors import Emoji, Profile
from fedishare.model.errors import BadInput, Conflict, NotFound
from fedishare.model.ids import Iri
from fedishare.model.media import Kept
from fedishare.model.posts import Content
from fedishare.services import taxonomy
from fedishare.services.site import Site
from fedishare.store import actors, emojis, media, partners
from fedishare.store.db import Tx
from fedishare.store.emojis import CustomEmoji

_CODE = re.compile(r"[A-Za-z0-9_]{2,50}\Z")
_USED = re.compile(r"(?<![A-Za-z0-9_:]):([A-Za-z0-9_]{2,50}):(?![A-Za-z0-9_:])")
MOST = 50
"""How many different emoji of one text are looked up."""


def check_code(code: str) -> str:
    """A short code without colons. Raises `BadInput`."""
    code = code.strip().strip(":")
    if not _CODE.match(code):
        raise BadInput(f"{code[:60]!r} is no short code; it has 2 to 50 letters, digits and underscores")
    return code


def add(tx: Tx, code: str, made: Kept, still: Kept, category: str | None, by: str, *, visible: bool = True) -> None:
    """Add an emoji. Its files are the instance actor's: for everybody here, and for partners. Raises `Conflict`."""
    if not emojis.put(tx, code, made.name, still.name, category, visible=visible):
        raise Conflict(f"there is an emoji :{code}: already; remove it first")
    owner = actors.instance_actor(tx).id
    for kept in {made.name: made, still.name: still}.values():
        media.put_file(tx, kept.name, kept.media_type, kept.size, actor=owner)
    partners.audit(tx, by, "emoji.add", code, category or "")


def remove(tx: Tx, code: str, by: str) -> None:
    """Remove an emoji; posts show its code from then on. Raises `NotFound`."""
    found = emojis.by_codes(tx, [code])
    if not found:
        raise NotFound(f"there is no emoji :{code}:")
    emojis.drop(tx, code)
    media.trash(tx, {found[0].file, found[0].still})
    partners.audit(tx, by, "emoji.remove", code)


def address(site: Site, file: str) -> str:
    """Where a file of an emoji is."""
    return f"{site.names.origin}/media/{file}"


def as_tag(site: Site, found: CustomEmoji) -> Emoji:
    """An emoji as posts and profiles carry it."""
    still = address(site, found.still) if found.still != found.file else None
    iri = Iri(site.names.emoji(found.code))
    return Emoji(found.code, address(site, found.file), iri, found.updated_at, still)


def used(tx: Tx, site: Site, texts: Iterable[str]) -> tuple[Emoji, ...]:
    """The emoji that texts name. Nothing is asked where there is no short code."""
    codes = dict.fromkeys(code for text in texts if ":" in text for code in _USED.findall(text))
    found = emojis.by_codes(tx, list(codes)[:MOST]) if codes else []
    return tuple(as_tag(site, each) for each in found)


def dressed(tx: Tx, site: Site, content: Content) -> Content:
    """What a local person wrote, with the emoji that it names, and the hashtags that may be used."""
    options = [option.title for option in content.poll.options] if content.poll else []
    content = taxonomy.obeyed(tx, content)
    found = used(tx, site, [content.source, content.summary, *options])
    return replace(content, emojis=found) if found or content.emojis else content


def profile_dressed(tx: Tx, site: Site, profile: Profile) -> Profile:
    """What a local person says about themselves, with the emoji that it names."""
    fields = [text for field in profile.fields for text in (field.name, field.value)]
    return replace(profile, emojis=used(tx, site, [profile.display_name, profile.source, *fields]))
