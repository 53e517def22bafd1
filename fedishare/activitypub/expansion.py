"""The full way of normalising: JSON-LD expansion by PyLD, then back into the terms that we know.

Imported on first need only (PyLD takes 0.2 s). Nothing here can reach the network: PyLD gets a loader that serves
bundled contexts and refuses the rest. Writing back is our own work and not PyLD's compaction, because that selects
a term by its exact coercion and would lose values of peers that declare a term slightly differently than we do.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from pyld import ContextResolver, jsonld

from fedishare.activitypub.contexts import BASE, BUNDLED, LANGUAGE_MAPS, TERM_OF
from fedishare.model.errors import BadDocument

MAX_VALUES = 2_500
"""Members and elements, contexts included, that a document to be expanded may have; more costs too much time."""

MAX_CONTEXTS = 32
"""Contexts by URL, or null, that it may mention after an inline definition."""

_BASE_URL = "https://fedishare.invalid/terms"


def expand_and_compact(document: dict[str, Any]) -> object:
    """The document in our terms: an object, or None or a list when it is not exactly one node.

    The input may be nested as deep as `strictjson` allows and is not changed. Raises `BadDocument`.
    """
    if _size(document) > MAX_VALUES:
        raise BadDocument(f"unusual JSON-LD of at most {MAX_VALUES} values was expected, found more")
    try:
        expanded = expand(_Contexts().honoured(document))
        nodes = [_compact(node) for node in expanded]
    except BadDocument:
        raise
    # PyLD raises its own error for most faults, but KeyError, TypeError and others for malformed contexts as well.
    except Exception as error:
        raise BadDocument(f"JSON-LD that can be expanded with bundled contexts was expected: {_why(error)}") from error
    return nodes[0] if len(nodes) == 1 else nodes or None


def expand(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Expand with everything we know in force, and bundled contexts only. Raises what PyLD raises."""
    options = {
        "base": "",
        "documentLoader": _refuse,
        "contextResolver": ContextResolver(dict(_RESOLVED), _refuse),
        "expandContext": _BASE_URL,
    }
    with _LOCK:
        return list(jsonld.expand(document, options))


def load_bundled(url: str, options: object = None) -> dict[str, Any]:
    """A PyLD document loader that knows the bundled contexts, as published. Raises `BadDocument` for others."""
    if url not in BUNDLED:
        raise BadDocument(f"only bundled contexts are used, and {url[:200]!r} is none")  # spec: R126 — never fetched
    return {"document": BUNDLED[url], "documentUrl": url, "contextUrl": None, "tag": "static"}


def _refuse(url: str, options: object = None) -> dict[str, Any]:
    raise BadDocument(f"only bundled contexts are used, and {url[:200]!r} is none")


def _load_ours(url: str, options: object = None) -> dict[str, Any]:
    # Without a base, PyLD would make relative references absolute under a host of its own.
    found = {"@context": {"@base": None, **BASE}} if url == _BASE_URL else load_bundled(url)["document"]
    return {"document": _unprotected(found), "documentUrl": url, "contextUrl": None, "tag": "static"}


def _unprotected(value: Any) -> Any:
    """Without ``@protected``: peers that redefine a term to the same meaning, less typed, shall not be refused."""
    if isinstance(value, dict):
        return {key: _unprotected(item) for key, item in value.items() if key != "@protected"}
    return value


def _resolved_contexts() -> dict[str, Any]:
    """Our contexts as PyLD keeps them, so that they are resolved once and no peer's context is ever kept."""
    cache: dict[str, Any] = {}
    for url in (_BASE_URL, *BUNDLED):
        ContextResolver(cache, _load_ours).resolve({}, url, "")
    return {url: cache[url] for url in (_BASE_URL, *BUNDLED)}


_RESOLVED = _resolved_contexts()
_LOCK = threading.Lock()  # PyLD remembers in _RESOLVED what it has computed, and its caches are not thread-safe


def _why(error: Exception) -> str:
    code = getattr(error, "code", None)
    return str(code) if code else type(error).__name__


def _size(root: object) -> int:
    count, waiting = 0, [root]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        count += 1
    return count


class _Contexts:
    """Makes a copy in which each ``@context`` holds only what we honour; see the docstring of ``jsonld``.

    A bundled context says nothing new as long as no inline definition is in force, so it is left out there; each
    one that remains costs a millisecond, so there may be only a few.
    """

    def __init__(self) -> None:
        self._remaining = MAX_CONTEXTS

    def honoured(self, value: Any, inline: bool = False) -> Any:
        """The copy; ``inline`` tells whether an inline definition is in force already."""
        if isinstance(value, list):
            return [self.honoured(item, inline) for item in value]
        if not isinstance(value, dict):
            return value
        result = dict(value)
        if "@context" in value:
            result["@context"], inline = self._select(value["@context"], inline)
        for key, item in value.items():
            if key != "@context" and isinstance(item, dict | list):
                result[key] = self.honoured(item, inline)
        return result

    def _select(self, context: object, inline: bool) -> tuple[list[Any], bool]:
        kept: list[Any] = []
        for item in context if isinstance(context, list) else [context]:
            if item is None:
                kept += [None, _BASE_URL]
            elif isinstance(item, dict):
                kept.append({key: what for key, what in item.items() if key not in ("@language", "@direction")})
                inline = True
            elif not isinstance(item, str):
                raise BadDocument(f"a context that is a URL or an object was expected, found {type(item).__name__}")
            elif item in BUNDLED and inline:
                kept.append(item)
        self._remaining -= sum(not isinstance(item, dict) for item in kept)
        if self._remaining < 0:
            raise BadDocument(f"at most {MAX_CONTEXTS} contexts after inline definitions were expected, found more")
        return kept, inline


def _compact(node: Mapping[str, Any]) -> Any:
    """One expanded value or node in our terms; None for what we do not represent."""
    if "@value" in node:
        value = node["@value"]
        return None if isinstance(value, dict | list) else value
    if "@list" in node:
        return [_compact(item) for item in node["@list"]]
    if "@graph" in node:
        return _one_or_many([_compact(item) for item in node["@graph"]])
    result: dict[str, Any] = {}
    if "@id" in node:
        result["id"] = node["@id"]
        if len(node) == 1:
            return node["@id"]
    if "@type" in node:
        result["type"] = _one_or_many([_type_name(name) for name in node["@type"]])
    for iri, values in node.items():
        term = TERM_OF.get(iri)
        if term is not None and not iri.startswith("@"):
            _put(result, term, values)
    return result


def _put(result: dict[str, Any], term: str, values: list[Any]) -> None:
    if term in LANGUAGE_MAPS:
        by_language: dict[str, Any] = {}
        for value in values:
            if "@language" in value and "@value" in value:
                by_language.setdefault(value["@language"], value["@value"])
        values = [value for value in values if "@language" not in value]
        if by_language:
            result[LANGUAGE_MAPS[term]] = by_language
            if not values:
                return
    lists = [value for value in values if "@list" in value]
    if lists:
        ordered = [item for value in lists for item in _compact(value) if item is not None]
        result["orderedItems" if term == "items" else term] = ordered
        values = [value for value in values if "@list" not in value]
        if not values or term != "items":
            return
    result[term] = _one_or_many([item for value in values if (item := _compact(value)) is not None])


def _type_name(iri: str) -> str:
    # The ActivityStreams context puts types that nobody has defined into the blank namespace "_:".
    return TERM_OF.get(iri, iri.removeprefix("_:"))


def _one_or_many(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values
