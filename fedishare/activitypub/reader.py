"""The reader: a normalised document becomes an `Envelope`, an `Intent`, a `RemoteActor`, a `RemotePost` or a page.

Wire names stop here. Everything is pure, bounded, and judged by the one rule of authority (safety rule 5): the signer
is the activity's actor and the owner of the object, and ids live on their owner's origin, never on ours. What a peer
embeds without that authority is only a hint: it becomes `FetchPost`, to be read at its own origin.

The only exception that leaves these functions is `BadDocument`: something is wrong. What is merely unknown is an
`Ignore` with the reason, and answered 2xx. Documents must have gone through `jsonld.normalise`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from fedishare.activitypub.addressing import visibility_of
from fedishare.activitypub.jsonld import as_list
from fedishare.activitypub.quotes_reader import read_consent
from fedishare.activitypub.reader_actors import ACTOR_TYPES, read_actor, read_key_owner
from fedishare.activitypub.reader_posts import (
    POST_TYPES,
    addressing,
    author_of,
    has_media,
    is_vote,
    read_post,
    recipients,
)
from fedishare.activitypub.reader_values import (
    MAX_NAME,
    MAX_RECIPIENTS,
    MAX_SUMMARY,
    Document,
    Reading,
    count,
    first,
    iri,
    iris,
    kind_of,
    moment,
    one,
    prose,
    required_iri,
    same_origin,
)
from fedishare.model.activities import (
    AnswerFollow,
    BlockActor,
    Boost,
    CastVote,
    EditActor,
    EditPost,
    Envelope,
    Favourite,
    FetchPost,
    Ignore,
    Intent,
    MoveActor,
    Pin,
    ReceivePost,
    RelayedActivity,
    RemoteActor,
    RemoveActor,
    RemovePost,
    ReportContent,
    RequestFollow,
    RequestQuote,
    Undo,
)
from fedishare.model.errors import BadDocument
from fedishare.model.ids import Iri, Millis
from fedishare.model.names import Names, RefKind
from fedishare.model.posts import RemotePost
from fedishare.text import clean_text

ACTIVITY_TYPES = frozenset(
    (
        "Create", "Update", "Delete", "Follow", "Accept", "Reject", "Like", "EmojiReact", "Announce",
        "Undo", "Block", "Flag", "Add", "Remove", "Move", "QuoteRequest",
    )
)  # fmt: skip
"""What has an effect here. Other types are answered 2xx and ignored."""

RELAYED_TYPES = ACTIVITY_TYPES | {"Dislike", "Lock", "Join", "Leave", "TentativeAccept", "TentativeReject"}
"""Embedded in an Announce, these are activities and not posts."""

_CARRIERS = ("Create", "Update", "QuoteRequest")
MAX_REPORTED = 100
MAX_ITEMS = 20_000
"""Entries of one collection page."""


@dataclass(frozen=True, slots=True)
class CollectionPage:
    """What one document of a collection holds: entries (ids or objects), where it goes on, how many there are."""

    items: tuple[str | dict[str, object], ...]
    next: Iri | None
    total: int | None = None

    def iris(self) -> tuple[Iri, ...]:
        """The ids of the entries, in order; what has none is left out."""
        found = (entry if isinstance(entry, str) else entry.get("id") for entry in self.items)
        return tuple(Iri(each) for each in found if isinstance(each, str))


def envelope(document: Document, *, development: bool = False) -> Envelope:
    """The outer facts of an activity, for policy. Raises `BadDocument`. Believes nothing beyond its shape.

    ``visibility``, ``to`` and ``cc`` are those that the post inside will have.
    """
    inner = first(document.get("object"))
    # What a QuoteRequest brings is the post that is to quote, not the quoted one.
    carried = first(document.get("instrument")) if kind_of(document, ("QuoteRequest",)) else inner
    embedded: Document = carried if isinstance(carried, dict) else {}
    if kind_of(embedded, POST_TYPES) is not None and kind_of(document, _CARRIERS) is not None:
        to, cc, visibility = addressing(embedded, document, development)
    else:
        to, cc = recipients(document.get("to"), development), recipients(document.get("cc"), development)
        visibility = visibility_of(to, cc)
    return Envelope(
        iri=_activity_id(document, development),
        type=_type(document, ACTIVITY_TYPES) or _nameless(),
        actor=required_iri(document.get("actor"), "actor", development),
        object_iri=iri(inner, development),
        object_type=_type(embedded, POST_TYPES | ACTOR_TYPES | ACTIVITY_TYPES),
        object_owner=iri(embedded.get("attributedTo") or embedded.get("actor"), development),
        visibility=visibility,
        to=to,
        cc=cc,
        has_media=has_media(embedded),
    )


def intent(document: Document, *, signer: Iri, names: Names, now: Millis, development: bool = False) -> Intent:
    """What an activity asks of us, provided that ``signer`` has signed it. Raises `BadDocument`.

    ``now`` caps dates; ``names`` are ours, so that nobody else's document claims an id of ours.
    """
    reading = Reading(names, now, development)
    actor = required_iri(document.get("actor"), "actor", development)
    # spec: R5 — the activity's actor must be the owner of the key
    if actor != signer or names.is_ours(signer):
        raise BadDocument("the activity's actor is not who signed it", path="actor")
    identifier = _activity_id(document, development)
    # spec: R32 — ids live on their owner's origin
    if identifier is not None and not same_origin(identifier, signer):
        raise BadDocument("the activity's id is not on the origin of its actor", path="id")
    kind = _type(document, ACTIVITY_TYPES)
    read = _READERS.get(kind or "")
    if read is None:
        # spec: R125 — unknown activity types are ignored without error
        return Ignore(f"activity of type {(kind or 'none')[:80]}")
    return read(_Activity(document, identifier, signer, reading))


def actor(document: Document, *, names: Names, now: Millis, development: bool = False) -> RemoteActor:
    """A peer's actor document. Raises `BadDocument`. That it came from its own id is for the fetcher to check."""
    return read_actor(document, Reading(names, now, development))


def post(document: Document, *, names: Names, now: Millis, development: bool = False) -> RemotePost:
    """A peer's post, fetched from its own id. Raises `BadDocument`. The author is on the post's origin."""
    return read_post(document, Reading(names, now, development))


def key_owner(document: Document, *, key_id: str, development: bool = False) -> Iri:
    """Whose key it is, from the document at the key's URL: only where to look. Raises `BadDocument`."""
    return read_key_owner(document, key_id, development)


def collection_page(document: Document, *, development: bool = False) -> CollectionPage:
    """A collection or a page of one. Raises `BadDocument` when it is neither; never fails for being empty."""
    # spec: R116 — embedded, paged, items or orderedItems, empty or absent
    known = ("OrderedCollection", "Collection", "OrderedCollectionPage", "CollectionPage")
    if kind_of(document, known) is None:
        raise BadDocument("a collection or a page of one was expected", path="type")
    total = count(first(document.get("totalItems")))
    entries = _entries(document)
    following = iri(document.get("next"), development)
    if not entries and following is None:
        opening = first(document.get("first"))
        if isinstance(opening, dict) and (opening.get("items") or opening.get("orderedItems") or opening.get("next")):
            entries, following = _entries(opening), iri(opening.get("next"), development)
        else:
            following = iri(opening, development)
    if following is not None and following == document.get("id"):
        following = None
    return CollectionPage(entries, following, total)


def _entries(document: Document) -> tuple[str | dict[str, object], ...]:
    entries = as_list(document.get("orderedItems")) or as_list(document.get("items"))
    return tuple(entry for entry in entries[:MAX_ITEMS] if isinstance(entry, str | dict))


def _type(document: Document, known: frozenset[str]) -> str | None:
    """The type that we know, else the first that there is."""
    # spec: R125 — the type that we know counts
    found = kind_of(document, known)
    if found is not None:
        return found
    other = first(document.get("type"))
    return other[:MAX_NAME] if isinstance(other, str) else None


def _nameless() -> str:
    raise BadDocument("an activity with a type was expected, found none", path="type")


def _activity_id(document: Document, development: bool) -> Iri | None:
    return None if document.get("id") is None else required_iri(document.get("id"), "id", development)


# One reader for each activity type. The signer is the actor, and the activity's id is on its origin.


@dataclass(frozen=True, slots=True)
class _Activity:
    document: Document
    id: Iri | None
    signer: Iri
    reading: Reading

    @property
    def object(self) -> object:
        """The one object: an IRI or a dict. Raises `BadDocument` for none or several."""
        return one(self.document.get("object"), "object")

    def object_iri(self) -> Iri:
        """The id of the one object. Raises `BadDocument`."""
        return required_iri(self.object, "object", self.reading.development)

    def required_id(self) -> Iri:
        """The activity's own id. Raises `BadDocument`."""
        return required_iri(self.id, "id", self.reading.development)

    def owns(self, address: Iri) -> bool:
        """Whether something is on the signer's origin, which is the least that authority asks."""
        return same_origin(address, self.signer)


def _believed(activity: _Activity, inner: Document) -> bool:
    """Whether an embedded object counts as it stands: the signer's own, on the signer's origin."""
    # spec: R32, R35 — only the signer's own, on the signer's origin
    development = activity.reading.development
    address = iri(inner.get("id"), development)
    if address is None:
        return False
    try:
        author_of(inner, address, development, activity.signer)
    except BadDocument:
        return False
    return True


def _hint(activity: _Activity, inner: object) -> Intent:
    """Something that must be read at its own origin. Raises `BadDocument` when that is nowhere, or here."""
    address = required_iri(inner, "object", activity.reading.development)
    if activity.reading.names.is_ours(address):
        raise BadDocument(f"{address[:80]!r} lies under our own origin; a peer's id was expected", path="object")
    return FetchPost(address)


def _create(activity: _Activity) -> Intent:
    inner = activity.object
    if not isinstance(inner, dict):
        return _hint(activity, inner)
    if kind_of(inner, POST_TYPES) is None:
        return Ignore(f"Create of {_said(inner)}")
    if not _believed(activity, inner):
        return _hint(activity, inner)
    if is_vote(inner):
        return CastVote(
            iri=required_iri(inner, "object.id", activity.reading.development),
            question=required_iri(inner.get("inReplyTo"), "object.inReplyTo", activity.reading.development),
            # An option is compared as it was typed, so nothing but control characters is taken away.
            option=clean_text(str(first(inner.get("name"))))[:MAX_NAME].strip(),
        )
    return ReceivePost(read_post(inner, activity.reading, author=activity.signer, wrapper=activity.document))


def _update(activity: _Activity) -> Intent:
    inner = activity.object
    if not isinstance(inner, dict):
        if inner == activity.signer:
            return Ignore("Update of an actor by id; it is read again when stale")
        return _hint(activity, inner)
    if kind_of(inner, ACTOR_TYPES) is not None:
        # spec: R35 — an actor is updated by itself only
        if iri(inner, activity.reading.development) != activity.signer:
            raise BadDocument("an actor can be updated by itself only", path="object.id")
        return EditActor(read_actor(inner, activity.reading))
    if kind_of(inner, POST_TYPES) is None:
        return Ignore(f"Update of {_said(inner)}")
    if not _believed(activity, inner):
        return _hint(activity, inner)
    return EditPost(read_post(inner, activity.reading, author=activity.signer, wrapper=activity.document))


def _delete(activity: _Activity) -> Intent:
    # spec: R82 — a bare id, a Tombstone or the object
    inner = activity.object
    address = activity.object_iri()
    if address == activity.signer:
        return RemoveActor()  # spec: R85 — object equals actor
    if not activity.owns(address):
        raise BadDocument("only objects on the actor's own origin can be deleted", path="object")
    owner = iri(inner.get("attributedTo"), activity.reading.development) if isinstance(inner, dict) else None
    if owner is not None and owner != activity.signer:
        raise BadDocument("only the author can delete a post", path="object.attributedTo")
    return RemovePost(address)


def _follow(activity: _Activity) -> Intent:
    return RequestFollow(activity.id, activity.object_iri())


def _accept(activity: _Activity) -> Intent:
    return _answer(activity, accepted=True)


def _reject(activity: _Activity) -> Intent:
    return _answer(activity, accepted=False)


def _answer(activity: _Activity, *, accepted: bool) -> Intent:
    # spec: R17 — matched by the Follow's id, by the embedded Follow, or by the pair
    inner = activity.object
    development, names = activity.reading.development, activity.reading.names
    address = iri(inner, development)
    consent = read_consent(activity.document, activity.signer, activity.reading, accepted)
    if consent is not None:
        return consent
    ref = names.parse(address) if address is not None else None
    follow_iri = address if ref is not None and ref.kind is RefKind.FOLLOWS else None
    if not isinstance(inner, dict):
        follower = address if ref is not None and ref.kind is RefKind.ACTOR else None
        if follow_iri is None and follower is None:
            return Ignore("answer to something that is no Follow of ours")
        return AnswerFollow(accepted, follow_iri, follower, activity.signer)
    if inner.get("type") is not None and kind_of(inner, ("Follow",)) is None:
        return Ignore(f"answer to {_said(inner)}")
    followee = iri(inner.get("object"), development)
    # spec: R17 — only from the actor that was followed
    if followee is not None and followee != activity.signer:
        raise BadDocument("a Follow can be answered by the followed actor only", path="object.object")
    follower = iri(inner.get("actor"), development)
    if follow_iri is None and follower is None:
        return Ignore("answer to something that is no Follow of ours")
    return AnswerFollow(accepted, follow_iri, follower, activity.signer)


def _quote_request(activity: _Activity) -> Intent:
    # spec: R98 — may a post of the sender's (instrument) quote one of ours (object)?
    reading = activity.reading
    instrument = one(activity.document.get("instrument"), "instrument")
    address = required_iri(instrument, "instrument", reading.development)
    if not activity.owns(address):
        raise BadDocument("only the actor's own post can ask to quote", path="instrument")
    embedded = isinstance(instrument, dict) and kind_of(instrument, POST_TYPES) is not None
    if not isinstance(instrument, dict) or not embedded or not _believed(activity, instrument):
        return RequestQuote(activity.id, activity.object_iri(), address, None)
    post = read_post(instrument, reading, author=activity.signer)
    return RequestQuote(activity.id, activity.object_iri(), address, post)


def _like(activity: _Activity) -> Intent:
    # spec: R90 — EmojiReact, and Like with content or _misskey_reaction, are at least a Like
    return Favourite(activity.id, activity.object_iri())


def _announce(activity: _Activity) -> Intent:
    inner = activity.object
    if isinstance(inner, dict) and kind_of(inner, RELAYED_TYPES) is not None:
        return _relayed(activity, inner)
    document, reading = activity.document, activity.reading
    to, cc = recipients(document.get("to"), reading.development), recipients(document.get("cc"), reading.development)
    if len(to) + len(cc) > MAX_RECIPIENTS:
        raise BadDocument(f"at most {MAX_RECIPIENTS} recipients were expected, found {len(to) + len(cc)}", path="to")
    # spec: R86 — an embedded object is not believed: the boost names it, and it is read at its origin
    return Boost(
        iri=activity.required_id(),
        object=activity.object_iri(),
        visibility=visibility_of(to, cc),
        published=moment(document.get("published"), reading.now),
        to=to,
        cc=cc,
    )


def _relayed(activity: _Activity, inner: Document) -> Intent:
    # spec: R112 — an activity inside an Announce is handled as that activity, once fetched or proven
    try:
        text_form = msgspec.json.encode(inner).decode()
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise BadDocument("the announced activity cannot be written as JSON", path="object") from error
    return RelayedActivity(iri=required_iri(inner, "object.id", activity.reading.development), document=text_form)


def _undo(activity: _Activity) -> Intent:
    # spec: R18 — embedded or a bare id, and only for the actor that did the inner activity
    inner = activity.object
    development = activity.reading.development
    address = iri(inner, development)
    if address is not None and not activity.owns(address):
        raise BadDocument("only the actor's own activities can be undone", path="object")
    if not isinstance(inner, dict):
        return Undo(activity.object_iri(), None, None)
    doer = iri(inner.get("actor"), development)
    if doer is not None and doer != activity.signer:
        raise BadDocument("only the actor's own activities can be undone", path="object.actor")
    kind = kind_of(inner, ACTIVITY_TYPES)
    if kind is None and address is None:
        return Ignore(f"Undo of {_said(inner)}")
    target = iri(inner.get("object"), development)
    if address is None and target is None:
        raise BadDocument("the undone activity has neither an id nor an object", path="object")
    return Undo(address, kind, target)


def _block(activity: _Activity) -> Intent:
    return BlockActor(activity.id, activity.object_iri())


def _flag(activity: _Activity) -> Intent:
    # spec: R47 — object is a list of actor and post ids, content the comment
    objects = iris(activity.document.get("object"), activity.reading.development, MAX_REPORTED)
    if not objects:
        raise BadDocument("a Flag names what it reports; no id was found", path="object")
    return ReportContent(activity.id, objects, prose(activity.document.get("content"), MAX_SUMMARY))


def _add(activity: _Activity) -> Intent:
    return _pin(activity, added=True)


def _remove(activity: _Activity) -> Intent:
    return _pin(activity, added=False)


def _pin(activity: _Activity, *, added: bool) -> Intent:
    # spec: R107 — Add and Remove with target the featured collection, by its owner only
    development = activity.reading.development
    target = iri(activity.document.get("target"), development)
    if target is None or not activity.owns(target):
        return Ignore("Add or Remove without a collection of the actor's own")
    address = iri(activity.object, development)
    if address is None or not activity.owns(address):
        return Ignore("Add or Remove of something that is not on the actor's origin")
    return Pin(address, target, added)


def _move(activity: _Activity) -> Intent:
    # spec: R105 — actor equals object; both documents are checked before anything is moved
    if activity.object_iri() != activity.signer:
        raise BadDocument("an actor can move itself only", path="object")
    target = required_iri(activity.document.get("target"), "target", activity.reading.development)
    if target == activity.signer:
        raise BadDocument("an actor cannot move to itself", path="target")
    return MoveActor(target)


def _said(inner: Document) -> str:
    found = first(inner.get("type"))
    return f"type {found[:80]}" if isinstance(found, str) else "something without a type"


_READERS: dict[str, Callable[[_Activity], Intent]] = {
    "Create": _create,
    "Update": _update,
    "Delete": _delete,
    "Follow": _follow,
    "Accept": _accept,
    "Reject": _reject,
    "Like": _like,
    "EmojiReact": _like,
    "Announce": _announce,
    "Undo": _undo,
    "Block": _block,
    "Flag": _flag,
    "Add": _add,
    "Remove": _remove,
    "Move": _move,
    "QuoteRequest": _quote_request,
}
