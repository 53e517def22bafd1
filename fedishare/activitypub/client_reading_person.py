"""Reading an Update of oneself: what a person's own program says about that person (ActivityPub 6.3).

Partial: what is not given stays, null removes. Everything here is what the client API's profile has; anything else is
refused by name, because a program that thinks it changed something must not be wrong.
"""

from __future__ import annotations

from fedishare.activitypub.client_wishes import EditMe, Picture, Text
from fedishare.activitypub.jsonld import as_list, types_of
from fedishare.activitypub.reader_posts import MAX_HTML
from fedishare.activitypub.reader_values import Document, Reading, html, one, required_iri, shown
from fedishare.model.errors import BadInput
from fedishare.text import plain_text

_PICTURES = {"icon": "avatar", "image": "header"}
_SWITCHES = ("manuallyApprovesFollowers", "discoverable", "indexable")
_KNOWN = frozenset(
    ("id", "type", "@context", "attributedTo", "name", "summary", "attachment", "attributionDomains", *_PICTURES,
     *_SWITCHES)
)  # fmt: skip
_EXPECTED = "name, summary, icon, image, attachment, attributionDomains and who may follow and find"


def edit_me(inner: Document, reading: Reading) -> EditMe:
    """The wish of an Update whose object is oneself. Raises `BadDocument`, `BadInput`."""
    unknown = ", ".join(sorted(key for key in inner if key not in _KNOWN))[:200]
    if unknown:
        raise BadInput(f"of a person, {_EXPECTED} can be changed here, not {unknown}", path="object")
    kinds = types_of(inner)
    if len(kinds) > 1:
        raise BadInput(f"object: one type was expected, found {len(kinds)}", path="object.type")
    name, note = _optional(inner, "name"), _optional(inner, "summary")
    locked, discoverable, indexable = (_switch(inner, each) for each in _SWITCHES)
    return EditMe(
        kind=kinds[0] if kinds else None,
        name=plain_text(name) if name is not None else None,
        note=Text(html=html(note, MAX_HTML)) if note is not None else None,
        locked=locked,
        discoverable=discoverable,
        indexable=indexable,
        fields=_fields(inner) if "attachment" in inner else None,
        domains=_domains(inner) if "attributionDomains" in inner else None,
        pictures=tuple((ours, _picture(inner, field, reading)) for field, ours in _PICTURES.items() if field in inner),
    )


def _switch(inner: Document, name: str) -> bool | None:
    if name not in inner:
        return None
    value = inner[name]
    if value is not None and not isinstance(value, bool):
        raise BadInput(f"{name}: true or false was expected, found {shown(value)}", path=name)
    return bool(value)


def _optional(document: Document, name: str) -> str | None:
    """A text; null is the empty one, and None is not given."""
    if name not in document:
        return None
    value = document[name]
    if value is not None and not isinstance(value, str):
        raise BadInput(f"{name}: text was expected, found {shown(value)}", path=name)
    if value is not None and len(value) > MAX_HTML:
        raise BadInput(f"{name}: at most {MAX_HTML} characters were expected, found {len(value)}", path=name)
    return value or ""


def _fields(inner: Document) -> tuple[tuple[str, Text], ...]:
    """The rows of the profile: PropertyValue objects alone, because nothing else is kept."""
    found = []
    for entry in as_list(inner["attachment"]):
        if not isinstance(entry, dict) or types_of(entry) != ("PropertyValue",):
            raise BadInput(f"attachment: PropertyValue was expected, found {shown(entry)}", path="attachment")
        name, value = _optional(entry, "name"), _optional(entry, "value")
        found.append((plain_text(name or ""), Text(html=html(value or "", MAX_HTML))))
    return tuple(found)


def _domains(inner: Document) -> tuple[str, ...]:
    found = []
    for entry in as_list(inner["attributionDomains"]):
        if not isinstance(entry, str):
            raise BadInput(
                f"attributionDomains: domains were expected, found {shown(entry)}", path="attributionDomains"
            )
        found.append(entry)
    return tuple(found)


def _picture(inner: Document, field: str, reading: Reading) -> Picture | None:
    """What ``icon`` or ``image`` names: an upload by its id, or a file by its address; None removes."""
    if not as_list(inner[field]):
        return None
    value = one(inner[field], field)
    if not isinstance(value, dict):
        return Picture(required_iri(value, field, reading.development))
    link = value.get("id") if value.get("id") is not None else value.get("url")
    link = one(link, f"{field}.url")
    if isinstance(link, dict) and link.get("href") is not None:
        link = link["href"]
    said = next((_optional(value, name) for name in ("name", "summary") if name in value), None)
    return Picture(required_iri(link, f"{field}.url", reading.development), said)
