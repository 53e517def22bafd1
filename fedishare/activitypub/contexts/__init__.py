"""The vocabulary: bundled JSON-LD contexts, and which IRI each term that we read stands for.

Contexts are data of this release and are never fetched [R126]. ``terms.jsonld`` is our own: it holds every
extension term that fedishare reads or writes; a term that stands neither there nor in the ActivityStreams
context is ignored, and does not survive normalisation of unusual documents. README.md names the sources.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import msgspec

AS2 = "https://www.w3.org/ns/activitystreams"
SECURITY_V1 = "https://w3id.org/security/v1"
DATA_INTEGRITY_V1 = "https://w3id.org/security/data-integrity/v1"
DATA_INTEGRITY_V2 = "https://w3id.org/security/data-integrity/v2"
MULTIKEY_V1 = "https://w3id.org/security/multikey/v1"
DID_V1 = "https://www.w3.org/ns/did/v1"

_FILES = {
    AS2: "activitystreams.jsonld",
    SECURITY_V1: "security-v1.jsonld",
    DATA_INTEGRITY_V1: "data-integrity-v1.jsonld",
    DATA_INTEGRITY_V2: "data-integrity-v2.jsonld",
    MULTIKEY_V1: "multikey-v1.jsonld",
    DID_V1: "did-v1.jsonld",
}

# What peers write instead of the IRI in terms.jsonld and mean the same by.
_VARIANTS = {
    "PropertyValue": ("http://schema.org/PropertyValue",),
    "value": ("http://schema.org/value",),
    "language": ("http://schema.org#inLanguage",),
    "identifier": ("http://schema.org#identifier",),
    "EmojiReact": (AS2 + "#EmojiReact",),
    "implements": ("https://w3id.org/fep/844e/implements",),
    "QuoteRequest": ("https://gotosocial.org/ns#QuoteRequest",),
    "QuoteAuthorization": ("https://gotosocial.org/ns#QuoteAuthorization",),  # spec: R97 — either namespace
    "quoteAuthorization": ("https://gotosocial.org/ns#quoteAuthorization",),
    "interactingObject": ("https://w3id.org/fep/044f#interactingObject",),
    "interactionTarget": ("https://w3id.org/fep/044f#interactionTarget",),
}
_PREFIX_VARIANTS = {"schema": ("http://schema.org/",), "sc": ("http://schema.org#",)}


def _read(name: str) -> dict[str, Any]:
    found = msgspec.json.decode(files("fedishare.activitypub").joinpath("contexts", name).read_bytes())
    return dict(found)


def iri_in(definition: object) -> str | None:
    """What a term definition maps to, as written there; None when it does not say."""
    value = definition.get("@id") if isinstance(definition, dict) else definition
    return value if isinstance(value, str) else None


def _absolute(text: str, prefixes: Mapping[str, str]) -> str:
    prefix, _, rest = text.partition(":")
    return prefixes[prefix] + rest if prefix in prefixes else text


_PLAIN: dict[str, Any] = {**_read("activitystreams.jsonld")["@context"], **_read("terms.jsonld")["@context"]}
_HOME = {name: text for name, text in _PLAIN.items() if isinstance(text, str) and text[-1] in "#/"}
_DEFINED = {name: text for name, what in _PLAIN.items() if (text := iri_in(what)) and name not in _HOME}

BUNDLED: Mapping[str, dict[str, Any]] = MappingProxyType({url: _read(name) for url, name in _FILES.items()})
"""Context URL → context document, as published. Nothing else is ever loaded."""

BASE: Mapping[str, Any] = MappingProxyType({k: v for k, v in _PLAIN.items() if k != "@vocab"})
"""One context with everything we know. It is in force before whatever a document says itself."""

PREFIXES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {name: (iri, *_PREFIX_VARIANTS.get(name, ())) for name, iri in _HOME.items()}
)
"""Well-known prefix → the namespaces that it may stand for."""

TERMS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        name: frozenset((_absolute(text, _HOME), *_VARIANTS.get(name, ())))
        for name, text in _DEFINED.items()
        if not name.startswith("@")
    }
)
"""Term → the IRIs that it may stand for (``@id`` and ``@type`` for ``id`` and ``type``)."""

IRIS: frozenset[str] = frozenset(iri for iris in TERMS.values() for iri in iris)
"""Every IRI that has a term."""

LANGUAGE_MAPS: Mapping[str, str] = MappingProxyType(
    {name.removesuffix("Map"): name for name in ("contentMap", "nameMap", "summaryMap")}
)
"""Term of a text → term of the same text by language."""

TERM_OF: Mapping[str, str] = MappingProxyType(
    {
        iri: name
        for name, iris in TERMS.items()
        for iri in iris
        if name not in LANGUAGE_MAPS.values() and name != "orderedItems"
    }
)
"""IRI → term. A language map shares its IRI with the text, ``orderedItems`` with ``items``."""


def _spellings(iris: frozenset[str]) -> frozenset[str]:
    short = {f"{prefix}:{iri[len(home) :]}" for iri in iris for prefix, home in _homes() if iri.startswith(home)}
    return iris | short


def _homes() -> list[tuple[str, str]]:
    return [(prefix, home) for prefix, homes in PREFIXES.items() for home in homes]


SPELLINGS: Mapping[str, frozenset[str]] = MappingProxyType(
    {name: _spellings(iris) for name, iris in TERMS.items() if name not in LANGUAGE_MAPS.values()}
    | {name: frozenset(homes) for name, homes in PREFIXES.items()}
)
"""Term or prefix → the definitions by a string that mean what we take it for, given that prefixes are usual ones.

A language map is none without its container, so it has no such definition.
"""
