"""What every reader of peers' documents is made of: typed, bounded access to values that may be anything.

A document is hostile until it is read: each function here takes any JSON value and answers a value of one type, or
raises `BadDocument`. Single values and lists, strings and objects are all taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fedishare.activitypub.jsonld import as_list, parse_time, types_of
from fedishare.model.actors import Emoji, Image
from fedishare.model.errors import BadDocument
from fedishare.model.ids import MAX_IRI, Iri, Millis, origin_of
from fedishare.model.names import Names
from fedishare.text import SafeHtml, clean_text, plain_text, sanitise

Document = Mapping[str, object]

MAX_TAGS = 100
"""Tags (mentions, hashtags, emoji together) that are looked at; the rest is left out."""
MAX_LINKS = 60
"""Entries of a list of links (`url` of a film has one for each resolution)."""
MAX_RECIPIENTS = 1000
"""Addresses in to and cc together; more is refused, because nobody may be dropped silently."""
MAX_NAME = 300
"""Characters of a title, a field's name, an option."""
MAX_SUMMARY = 2000
"""Characters of a content warning or abstract, of a picture's description and of a report's comment."""
MAX_NUMBER = 2**31 - 1
MAX_VALUES = 100
"""Entries of any other list."""

_BAD = r"\s\\\"<>^`{|}\x00-\x20\x7f\ud800-\udfff"
_SECURE_IRI = re.compile(rf"https://[^/?#@{_BAD}]+(?:[/?#][^{_BAD}]*)?\Z")
_ANY_IRI = re.compile(rf"https?://[^/?#@{_BAD}]+(?:[/?#][^{_BAD}]*)?\Z")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8}){0,4}\Z")
_EMOJI_CODE = re.compile(r"[\w+.-]{1,64}\Z")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader knows besides the document: our names, the time, and whether http is taken (development)."""

    names: Names
    now: Millis
    development: bool = False


def is_iri(value: object, development: bool) -> bool:
    """Whether a value is an absolute https URL (or http in development) without user information or junk."""
    pattern = _ANY_IRI if development else _SECURE_IRI
    return isinstance(value, str) and len(value) <= MAX_IRI and pattern.match(value) is not None


def first(value: object) -> object:
    """The value itself, or the first of a list; None when there is nothing."""
    if isinstance(value, list):
        return value[0] if value else None
    return value


def one(value: object, path: str) -> object:
    """The value itself, or the only one of a list. Raises `BadDocument` for none or several."""
    if isinstance(value, list):
        if len(value) != 1:
            raise BadDocument(f"exactly one value of {path!r} was expected, found {len(value)}", path=path)
        value = value[0]
    if value is None:
        raise BadDocument(f"{path!r} was expected, but is missing", path=path)
    return value


def reference(value: object) -> object:
    """The id of an object, or the string itself; whether it is an IRI remains to be seen."""
    value = first(value)
    if isinstance(value, dict):
        return value.get("id")
    return value


def iri(value: object, development: bool) -> Iri | None:
    """An optional IRI, given as string, object with id, or list whose first counts. None if absent or not one."""
    if not isinstance(value, str):
        value = reference(value)
    return Iri(value) if isinstance(value, str) and is_iri(value, development) else None


def required_iri(value: object, path: str, development: bool) -> Iri:
    """An IRI that must be there. Raises `BadDocument`."""
    found = iri(value, development)
    if found is None:
        raise BadDocument(f"an https URL was expected in {path!r}, found {shown(reference(value))}", path=path)
    return found


def iris(value: object, development: bool, limit: int = MAX_VALUES) -> tuple[Iri, ...]:
    """All IRIs of a value or list, each once, in order; at most ``limit``. What is no IRI is left out."""
    found: dict[Iri, None] = {}
    for entry in as_list(value):
        if len(found) >= limit:
            break
        if (each := iri(entry, development)) is not None:
            found[each] = None
    return tuple(found)


def shown(value: object) -> str:
    """A value as a message names it: short, and without walking into objects."""
    return repr(value)[:80] if isinstance(value, str) else type(value).__name__


def origin(address: str) -> str:
    """``scheme://host[:port]`` of an IRI that `is_iri` accepted, as fast as this has to be."""
    end = address.find("/", 8)
    return address[:end] if end > 0 else address


def same_origin(address: str, other: str) -> bool:
    """Whether two IRIs live on the same origin. Equal up to the case of the host; default ports are not guessed."""
    base = origin(other)
    if address.startswith(base) and address[len(base) : len(base) + 1] in ("/", ""):
        return True
    return origin_of(address) == origin_of(other) != ""


def kind_of(document: Document, known: Iterable[str]) -> str | None:
    """The first of a document's types that is among ``known``."""
    # spec: R125 — multi-typed: the one that is known
    found = document.get("type")
    if isinstance(found, str):
        return found if found in known else None
    return next((each for each in types_of(document) if each in known), None)


def text(value: object, limit: int) -> str:
    """A cleaned string without markup, cut to ``limit`` characters; empty for anything else."""
    value = first(value)
    if not isinstance(value, str):
        return ""
    value = value[: 8 * limit]
    cleaned = plain_text(value) if "<" in value else clean_text(value)
    return cleaned[:limit].strip()


def prose(value: object, limit: int) -> str:
    """Plain text of something that may be HTML (summaries, comments), cut to ``limit`` characters."""
    value = first(value)
    if not isinstance(value, str):
        return ""
    value = value[: 8 * limit]
    cleaned = plain_text(value) if "<" in value or "&" in value else clean_text(value)
    return cleaned[:limit].strip()


def html(value: object, limit: int) -> SafeHtml:
    """Safe HTML of the first ``limit`` characters; empty for anything else."""
    # spec: R40 — peers' HTML enters here only
    value = first(value)
    return sanitise(value[:limit], limit=limit) if isinstance(value, str) and value else SafeHtml("")


def count(value: object) -> int | None:
    """A number of things: 0 to 2**31 - 1. None for anything else."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_NUMBER:
        return value
    return None


def number(value: object) -> float | None:
    """A finite number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -1e9 <= value <= 1e9 else None


def flag(value: object) -> bool:
    """Whether a value is true; also as a list, and as the word that some peers send."""
    value = first(value)
    return value is True or value == "true"


def moment(value: object, now: Millis | None = None) -> Millis | None:
    """An instant, capped to ``now`` when that is given; None when it cannot be read."""
    # spec: R94 — dates as peers write them, capped to now
    value = first(value)
    found = parse_time(value) if isinstance(value, str) else None
    if found is None or found < 0:
        return None
    return now if now is not None and found > now else found


def objects(value: object, limit: int) -> list[dict[str, object]]:
    """The objects of a value or list, at most ``limit``."""
    return [entry for entry in as_list(value)[:limit] if isinstance(entry, dict)]


def language(code: object) -> str | None:
    """A language tag of ordinary shape; None for ``und`` and everything else."""
    return code if isinstance(code, str) and code != "und" and _LANGUAGE.match(code) else None


def mapped(document: Document, plain: str, mapping: str) -> tuple[object, str | None]:
    """A text and its language, from for example ``content`` and ``contentMap``."""
    value = first(document.get(plain))
    texts = first(document.get(mapping))
    if not isinstance(texts, dict) or not texts:
        return value, None
    # spec: R75 — the language of the post is the key that equals content
    for code, entry in texts.items():
        if isinstance(value, str) and entry == value:
            return value, language(code)
    if isinstance(value, str):
        return value, None
    return next(((entry, language(code)) for code, entry in texts.items() if isinstance(entry, str)), (None, None))


@dataclass(frozen=True, slots=True)
class Link:
    """One entry of a `url` property: where, what, how large."""

    url: str
    media_type: str
    height: int | None = None


def links(value: object, development: bool) -> list[Link]:
    """All web addresses of a `url` (strings, Links, or objects with a url of their own), nested files included."""
    found: list[Link] = []
    for entry in as_list(value)[:MAX_LINKS]:
        if isinstance(entry, str):
            if is_iri(entry, development):
                found.append(Link(entry, ""))
            continue
        if not isinstance(entry, dict):
            continue
        target = entry.get("href") or entry.get("url")
        target = target if isinstance(target, str) else reference(target)
        if isinstance(target, str) and is_iri(target, development):
            found.append(Link(target, media_type(entry.get("mediaType")), count(entry.get("height"))))
        # spec: R74 — a film's playlist carries the files in its tags
        for nested in objects(entry.get("tag"), MAX_LINKS):
            if is_iri(target := nested.get("href"), development) and isinstance(target, str):
                found.append(Link(target, media_type(nested.get("mediaType")), count(nested.get("height"))))
    return found[:MAX_LINKS]


def media_type(value: object) -> str:
    """``image/png`` and the like, lower-cased, without parameters; empty for anything else."""
    value = first(value)
    if not isinstance(value, str) or len(value) > 200:
        return ""
    bare = value.partition(";")[0].strip().lower()
    return bare if re.fullmatch(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*", bare) else ""


def page_url(value: object, default: str, development: bool) -> str:
    """The page for browsers among the links of `url`; ``default`` (the id) when there is none."""
    if isinstance(value, str):
        return value if is_iri(value, development) else default
    found = links(value, development)
    # spec: R74 — the text/html link is the page
    for link in found:
        if link.media_type in ("text/html", "application/xhtml+xml"):
            return link.url
    return next((link.url for link in found if not link.media_type), default)


def image(value: object, development: bool) -> Image | None:
    """A picture by reference: `icon`, `image`. None when there is none."""
    value = first(value)
    if isinstance(value, str):
        return Image(value) if is_iri(value, development) else None
    if not isinstance(value, dict):
        return None
    found = links(value.get("url") or value.get("href"), development)
    if not found:
        return None
    return Image(
        found[0].url,
        media_type(value.get("mediaType")) or found[0].media_type or None,
        text(value.get("name") or value.get("summary"), MAX_SUMMARY) or None,
    )


def emojis(tags: list[dict[str, object]], development: bool) -> tuple[Emoji, ...]:
    """The custom emoji among tags, each code once."""
    # spec: R72 — the id may be missing or null
    found: dict[str, Emoji] = {}
    for tag in tags:
        if kind_of(tag, ("Emoji",)) is None:
            continue
        name = first(tag.get("name"))
        code = name.strip(":") if isinstance(name, str) else ""
        icon = image(tag.get("icon"), development)
        if icon is not None and _EMOJI_CODE.match(code) and code not in found:
            found[code] = Emoji(code, icon.url, iri(tag.get("id"), development), moment(tag.get("updated")))
    return tuple(found.values())


def foreign_id(document: Document, reading: Reading, path: str = "id") -> Iri:
    """The id of a peer's document. Raises `BadDocument` when there is none, or it lies under our origin."""
    # spec: R32 — ids live on their owner's origin, never on ours
    found = required_iri(document.get("id"), path, reading.development)
    if reading.names.is_ours(found):
        raise BadDocument(f"{found[:80]!r} lies under our own origin; a peer's id was expected", path=path)
    return found
