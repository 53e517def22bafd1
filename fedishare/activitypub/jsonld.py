"""Normalising ActivityStreams documents: whatever a peer's JSON-LD looks like, everything later reads one form.

That form is the ordinary compact one: short ActivityStreams terms, values single or in lists as they came, and the
public audience always in its full spelling. Policy, storage and effects read the same normalised document.

Nearly all peers send that form already, so there are two ways:

* **Plain.** If no context in the document can change what its keys and types mean, it is returned as it is. The
  check looks at every definition and every key; a definition that we cannot vouch for matters only where its term
  occurs. Unknown keys stay and are ignored.
* **Full.** Everything else (``as:`` prefixes, ``@id``, aliases, redefinitions) is expanded by PyLD and written back
  in our terms; unknown keys are dropped. See ``expansion.py``.

What contexts mean here, so that both ways agree [R11, R125, R126]:

* The ActivityStreams context and our known extension terms are in force even where a document does not list them
  (Activity Streams 2.0, section 2.1, asks for this when the context is missing; many peers use extension terms
  without defining them). So LD signatures, which cover defined terms only, must not be trusted for this form.
* Bundled contexts and inline definitions apply after that, in order. An inline definition may redefine anything.
* Context URLs that are not bundled are never fetched and count as empty: what only they define is ignored, and
  they cannot redefine a known term. ``@language`` is ignored as well.
* A shortened IRI as a value (``ex:alice``) stays what it is on the plain way, ``as:Public`` in an audience apart. It
  is no https URL, so whoever needs one refuses it.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from fedishare.activitypub.contexts import (
    AS2,
    BASE,
    DATA_INTEGRITY_V1,
    IRIS,
    LANGUAGE_MAPS,
    MULTIKEY_V1,
    PREFIXES,
    SECURITY_V1,
    SPELLINGS,
    TERMS,
    iri_in,
)
from fedishare.activitypub.strictjson import MAX_DEPTH
from fedishare.model.errors import BadDocument
from fedishare.model.ids import Millis

Document = dict[str, Any]
"""A document, or a node in one, in the normalised form."""

PUBLIC = AS2 + "#Public"
_PUBLIC_SHORT = frozenset(("as:Public", "Public"))
_AUDIENCE = frozenset(
    ("to", "cc", "bto", "bcc", "audience", "always", "approvalRequired", "automaticApproval", "manualApproval")
)

_SAFE_KEYS = frozenset(TERMS)
_NO_SPELLINGS: frozenset[str] = frozenset()
_CONTAINERS = frozenset((dict, list))
_SPELLINGS = dict(SPELLINGS)
_BY_LANGUAGE = frozenset(LANGUAGE_MAPS.values())
_OURS = {term: definition for term, definition in BASE.items() if isinstance(definition, dict)}


def normalise(document: object) -> Document:
    """The normalised form of a parsed document; the input is never changed. Raises `BadDocument`.

    Expects what `strictjson.loads` returns. Takes some 20 µs on the plain way, milliseconds on the full one.
    """
    if not isinstance(document, dict):
        raise BadDocument(f"a JSON object was expected, found {type(document).__name__}")
    scan = _Scan()
    scan.run(document)
    if not scan.plain:
        # PyLD takes 0.2 s to import and most servers never meet a document that needs it: cold start.
        expansion = importlib.import_module("fedishare.activitypub.expansion")
        found: object = expansion.expand_and_compact(document)
        if not isinstance(found, dict):
            raise BadDocument("one ActivityStreams object was expected, found none or several")
        document = found
        scan.short_public = True
    # spec: R21 — one spelling of the public audience
    return _with_full_public(document) if scan.short_public else document


class _Scan:
    """One look at every key of a document: is the plain way open, and is there a short ``Public`` to replace?

    Goes level by level, so that depth costs no stack, and so that a context is seen before whatever it governs.
    """

    __slots__ = ("dangerous", "plain", "short_public")

    def __init__(self) -> None:
        self.plain = True
        self.short_public = False
        self.dangerous: set[str] = set()

    def run(self, document: Document) -> None:
        level: list[Any] = [document]
        for _ in range(MAX_DEPTH):
            deeper: list[Any] = []
            for node in level:
                if node.__class__ is dict:
                    self._look_at(node)
                    deeper += [v for k, v in node.items() if v.__class__ in _CONTAINERS and k != "@context"]
                else:
                    deeper += [value for value in node if value.__class__ in _CONTAINERS]
            if not deeper:
                return
            level = deeper
        raise BadDocument(f"a document nested at most {MAX_DEPTH} deep was expected, found a deeper one")

    def _look_at(self, node: Document) -> None:
        if not node.keys() <= _SAFE_KEYS:
            if "@context" in node:
                self._look_at_context(node["@context"])
            for key in node.keys() - _SAFE_KEYS:
                if (key[:1] == "@" and key != "@context") or (":" in key and not _harmless_prefixed(key)):
                    self.plain = False
        if self.dangerous and not self.dangerous.isdisjoint(node):
            self.plain = False
        kind = node.get("type")
        if kind.__class__ is not str or kind not in _SAFE_KEYS or self.dangerous:
            for name in as_list(kind):
                if isinstance(name, str) and (":" in name or name in self.dangerous):
                    self.plain = False
        if not _AUDIENCE.isdisjoint(node):
            self.short_public = self.short_public or _names_public_shortly(node)

    def _look_at_context(self, context: object) -> None:
        dangerous = _dangerous_terms(context if isinstance(context, list) else [context])
        if dangerous is None:
            self.plain = False
        else:
            self.dangerous |= dangerous


def _harmless_prefixed(key: str) -> bool:
    """Whether a key with a colon is one that we would ignore anyway, such as ``vcard:bday``."""
    prefix, _, rest = key.partition(":")
    return prefix in PREFIXES and all(home + rest not in IRIS for home in PREFIXES[prefix])


def _dangerous_terms(contexts: Iterable[object]) -> set[str] | None:
    """The terms that these contexts define in a way that we cannot vouch for; None when none is safe any more.

    Safe are: known terms with a known meaning, and other terms that stand for nothing that we know.
    """
    dangerous: set[str] = set()
    earlier: dict[str, object] = {}
    for context in contexts:
        if isinstance(context, str):
            continue
        if not isinstance(context, dict):
            return None
        unusual = [
            (term, definition)
            for term, definition in context.items()
            if (definition.__class__ is str and definition not in _SPELLINGS.get(term, _NO_SPELLINGS))
            or (definition.__class__ is not str and (definition is None or definition != _OURS.get(term)))
        ]
        if not unusual:
            continue
        earlier.update(context)
        for term, definition in unusual:
            if term in ("@version", "@language"):
                continue
            if term in PREFIXES or term[:1] in ("", "@") or ":" in term or "/" in term:
                return None
            if not _vouched_for(term, definition, earlier):
                dangerous.add(term)
    return dangerous


def _vouched_for(term: str, definition: object, context: Mapping[str, object]) -> bool:
    iri = iri_in(definition)
    if iri is None or ":" not in iri:  # null, a keyword, or another term's name
        return False
    if isinstance(definition, dict) and not definition.keys() <= {"@id", "@type", "@container"}:
        return False
    meanings = _meanings(iri, context)
    if term not in TERMS:
        return bool(meanings) and IRIS.isdisjoint(meanings)
    return bool(meanings) and meanings <= TERMS[term] and _reads_alike(term, definition)


def _reads_alike(term: str, definition: object) -> bool:
    """Whether type and container leave the value in the shape that a reader of compact JSON expects."""
    if not isinstance(definition, dict):
        return term not in _BY_LANGUAGE
    kind = definition.get("@type", "@id")
    container = definition.get("@container")
    usual = BASE[term].get("@container") if isinstance(BASE[term], dict) else None
    if term in _BY_LANGUAGE and container != usual:
        return False
    return (
        isinstance(kind, str)
        and kind not in ("@json", "@vocab", "@none")
        and (container is None or container == usual or container in ("@list", "@set"))
    )


def _meanings(iri: str, context: Mapping[str, object]) -> frozenset[str]:
    """All IRIs that a definition's text can stand for; none when that cannot be told."""
    prefix, _, rest = iri.partition(":")
    if rest.startswith("//"):
        return frozenset((iri,))
    if prefix in PREFIXES:
        return frozenset(home + rest for home in PREFIXES[prefix])
    home = iri_in(context.get(prefix))
    if home is None or not home.startswith(("http://", "https://")):
        return frozenset()
    return frozenset((home + rest, iri))


def _names_public_shortly(node: Document) -> bool:
    for field in _AUDIENCE:
        if field in node:
            for value in as_list(node[field]):
                name = value.get("id") if isinstance(value, dict) else value
                if name.__class__ is str and name in _PUBLIC_SHORT:
                    return True
    return False


def _with_full_public(value: Any, field: str = "") -> Any:
    """A copy in which the audience fields spell Public in full. Not deeper than `_Scan` has allowed."""
    if isinstance(value, dict):
        copy = {key: _with_full_public(item, key) for key, item in value.items()}
        if field in _AUDIENCE and "id" in value:
            copy["id"] = _with_full_public(value["id"], field)
        return copy
    if isinstance(value, list):
        return [_with_full_public(item, field) for item in value]
    return PUBLIC if field in _AUDIENCE and isinstance(value, str) and value in _PUBLIC_SHORT else value


def is_public(value: object) -> bool:
    """Whether a member of an audience is the public, however it is spelt [R21]."""
    return isinstance(value, str) and (value == PUBLIC or value in _PUBLIC_SHORT)


def as_list(value: object) -> list[Any]:
    """The values of a property: none, one or many [R22]."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def iri_of(value: object) -> str | None:
    """The id behind a reference: a string, an object with ``id``, or a list of just one of these [R22]."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict):
        value = value.get("id")
    return value if isinstance(value, str) and value else None


def types_of(document: object) -> tuple[str, ...]:
    """The types of a node, in their order; empty when it has none [R125]."""
    if not isinstance(document, dict):
        return ()
    return tuple(name for name in as_list(document.get("type")) if isinstance(name, str))


_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s?(?:[Zz]|([+-])(\d\d):?(\d\d))?",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def parse_time(text: object) -> Millis | None:
    """Read an xsd:dateTime as peers write it; None when it is not one.

    spec: R94 — 0 to 9 fraction digits, ``Z`` or an offset, seconds optional; without either it counts as UTC.
    A leap second counts as the second before it. Instants before 1970 are negative.
    """
    found = _TIME.fullmatch(text) if isinstance(text, str) and len(text) <= 40 else None
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, off_hour, off_minute = found.groups()
    try:
        moment = datetime(
            int(year), int(month), int(day), int(hour), int(minute), min(int(second or 0), 59), tzinfo=UTC
        )
    except ValueError:
        return None
    if int(second or 0) > 60 or int(off_hour or 0) > 23 or int(off_minute or 0) > 59:
        return None
    offset = (int(off_hour or 0) * 60 + int(off_minute or 0)) * 60_000
    milliseconds = (moment - _EPOCH) // _MILLISECOND + int((fraction or "0").ljust(3, "0")[:3])
    return Millis(milliseconds + offset if sign == "-" else milliseconds - offset)


def format_time(moment: Millis) -> str:
    """An instant as peers read it best: UTC, ``Z``, three fraction digits [R68]."""
    return (_EPOCH + moment * _MILLISECOND).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _inline(names: str) -> dict[str, Any]:
    """One inline context that defines these terms and the prefixes that their definitions use."""
    chosen = {name: BASE[name] for name in names.split()}
    used = {(iri_in(definition) or "").partition(":")[0] for definition in chosen.values()}
    own = sorted(used & PREFIXES.keys() - {"as", "xsd", "ldp", "vcard"})
    return {**{prefix: BASE[prefix] for prefix in own}, **chosen}


_OBJECT_TERMS = (
    "sensitive Hashtag Emoji blurhash focalPoint votersCount atomUri inReplyToAtomUri conversation "
    "quote quoteUri quoteUrl _misskey_quote quoteAuthorization interactionPolicy canLike canReply canAnnounce "
    "canQuote automaticApproval manualApproval approvedBy replyAuthorization "
)
_ACTIVITY_TERMS = "QuoteRequest QuoteAuthorization ReplyRequest ReplyAuthorization interactingObject interactionTarget "
_ACTOR_TERMS = (
    "manuallyApprovesFollowers movedTo alsoKnownAs featured featuredTags discoverable indexable memorial suspended "
    "PropertyValue value attributionDomains webfinger implements assertionMethod Emoji Hashtag sensitive "
)

OBJECT_CONTEXT: list[Any] = [AS2, _inline(_OBJECT_TERMS)]
"""``@context`` of the posts and collections that we serve. Do not change in place."""

ACTOR_CONTEXT: list[Any] = [AS2, SECURITY_V1, DATA_INTEGRITY_V1, MULTIKEY_V1, _inline(_ACTOR_TERMS)]
"""``@context`` of our actors, and of activities that embed one. Do not change in place."""

ACTIVITY_CONTEXT: list[Any] = [AS2, DATA_INTEGRITY_V1, _inline(_OBJECT_TERMS + _ACTIVITY_TERMS)]
"""``@context`` of every other activity that we send, and of the authorizations that we serve. The same rule."""
