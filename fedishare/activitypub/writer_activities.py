"""Writing activities: what we tell other servers, one function for each verb.

Every activity has an id of its own on our origin and a context; `to` and `cc` are lists, and
`object` is a plain id except where peers need it whole (Create, Update, Accept, Reject, Undo).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fedishare.activitypub.jsonld import ACTIVITY_CONTEXT, ACTOR_CONTEXT, format_time
from fedishare.activitypub.writer_objects import Document, tombstone, vote_note
from fedishare.model.ids import Iri, Millis
from fedishare.model.names import Names


def _activity(
    iri: str, kind: str, actor: object, inner: object, to: Sequence[object], cc: Sequence[object] = ()
) -> Document:
    return {
        "@context": ACTIVITY_CONTEXT,
        "id": iri,
        "type": kind,
        "actor": actor,
        "object": inner,
        "to": list(to),
        "cc": list(cc),
    }


def embedded(document: Mapping[str, object]) -> Document:
    """A document as part of another one: without a context of its own."""
    return {key: value for key, value in document.items() if key != "@context"}


def _addresses(document: Mapping[str, object], field: str) -> list[object]:
    found = document.get(field)
    return list(found) if isinstance(found, list) else []


def create(note: Mapping[str, object]) -> Document:
    """Create of one of our posts; actor, addressing and date are those of the note, the id is ``…/activity``."""
    actor, to, cc = note["attributedTo"], _addresses(note, "to"), _addresses(note, "cc")
    activity = _activity(f"{note['id']}/activity", "Create", actor, embedded(note), to, cc)
    return activity | {"published": note["published"]}


def update(iri: Iri, note: Mapping[str, object]) -> Document:
    """Update of one of our posts, to whom the note is addressed."""
    # spec: R80 — Update of a post
    return _activity(
        iri, "Update", note["attributedTo"], embedded(note), _addresses(note, "to"), _addresses(note, "cc")
    )


def update_actor(iri: Iri, document: Mapping[str, object], *, to: Sequence[Iri]) -> Document:
    """Update of a local actor's own document."""
    # spec: R103 — Update of an actor
    return _activity(iri, "Update", document["id"], embedded(document), to) | {"@context": ACTOR_CONTEXT}


def delete(
    iri: Iri, actor: Iri, object_iri: Iri, *, to: Sequence[Iri], cc: Sequence[Iri] = (), deleted: Millis | None = None
) -> Document:
    """Delete of a post, which leaves a Tombstone."""
    # spec: R82 — Delete leaves a Tombstone
    return _activity(iri, "Delete", actor, embedded(tombstone(object_iri, deleted=deleted)), to, cc)


def delete_actor(iri: Iri, actor: Iri, *, to: Sequence[Iri]) -> Document:
    """Delete of a local actor: the object is the actor itself."""
    # spec: R85 — object equals actor
    return _activity(iri, "Delete", actor, actor, to)


def announce(
    iri: Iri, actor: Iri, object_iri: Iri, *, to: Sequence[Iri], cc: Sequence[Iri], published: Millis | None = None
) -> Document:
    """A boost."""
    # spec: R91 — object a plain id, and an id of its own
    activity = _activity(iri, "Announce", actor, object_iri, to, cc)
    if published is not None:
        activity["published"] = format_time(published)
    return activity


def like(iri: Iri, actor: Iri, object_iri: Iri, *, author: Iri) -> Document:
    """A favourite, for the post's author."""
    # spec: R91 — an id of its own, object a plain id
    return _activity(iri, "Like", actor, object_iri, [author])


def follow(iri: Iri, actor: Iri, followee: Iri) -> Document:
    """A follow."""
    return _activity(iri, "Follow", actor, followee, [followee])


def incoming_follow(iri: Iri | None, follower: Iri, followee: Iri) -> Document:
    """A peer's Follow as `accept` and `reject` embed it, from what we keep of it."""
    document: Document = {"type": "Follow", "actor": follower, "object": followee}
    return {"id": iri, **document} if iri is not None else document


def accept(iri: Iri, actor: Iri, follow_document: Mapping[str, object]) -> Document:
    """The answer yes to a Follow, which is embedded whole."""
    # spec: R16 — the whole Follow is embedded
    return _activity(iri, "Accept", actor, embedded(follow_document), [follow_document["actor"]])


def reject(iri: Iri, actor: Iri, follow_document: Mapping[str, object]) -> Document:
    """The answer no to a Follow, or the end of one that was accepted."""
    # spec: R113 — Reject also removes a follower
    return _activity(iri, "Reject", actor, embedded(follow_document), [follow_document["actor"]])


def quote_request(iri: Iri, actor: Iri, quoted: Iri, note: Mapping[str, object], *, author: Iri) -> Document:
    """Asks ``author`` whether our post may quote ``quoted``; our post goes along whole."""
    # spec: R96 — object the quoted post, instrument the quote post
    return _activity(iri, "QuoteRequest", actor, quoted, [author]) | {"instrument": embedded(note)}


def incoming_quote_request(iri: Iri | None, quoter: Iri, *, quoted: Iri, quoting: Iri) -> Document:
    """A peer's QuoteRequest as `accept` and `reject` embed it, from what we keep of it."""
    document: Document = {"type": "QuoteRequest", "actor": quoter, "object": quoted, "instrument": quoting}
    return {"id": iri, **document} if iri is not None else document


def delete_stamp(iri: Iri, actor: Iri, stamp: Mapping[str, object], *, to: Sequence[Iri]) -> Document:
    """Delete of a QuoteAuthorization."""
    # spec: R99 — takes the consent back
    return _activity(iri, "Delete", actor, embedded(stamp), to)


def undo(iri: Iri, inner: Mapping[str, object]) -> Document:
    """Takes back one of our own activities, which is embedded; it goes to whom that went."""
    # spec: R18 — the inner activity is embedded
    return _activity(iri, "Undo", inner["actor"], embedded(inner), _addresses(inner, "to"), _addresses(inner, "cc"))


def block(iri: Iri, actor: Iri, target: Iri) -> Document:
    """A block, for the blocked actor's server alone."""
    # spec: R46 — for the blocked actor's server alone
    return _activity(iri, "Block", actor, target, [target])


def flag(iri: Iri, objects: Sequence[Iri], comment: str, *, target: Iri, names: Names) -> Document:
    """A report of ``target`` and its posts, from the instance actor: it names no local reporter."""
    # spec: R47 — from the instance actor, no local reporter
    reported = list(dict.fromkeys((target, *objects)))
    return _activity(iri, "Flag", names.instance_actor(), reported, [target]) | {"content": comment}


def add(iri: Iri, actor: Iri, object_iri: Iri, *, target: Iri, to: Sequence[Iri], cc: Sequence[Iri] = ()) -> Document:
    """Pins a post: adds it to the featured collection ``target``."""
    # spec: R107 — target is the featured collection
    return _activity(iri, "Add", actor, object_iri, to, cc) | {"target": target}


def remove(
    iri: Iri, actor: Iri, object_iri: Iri, *, target: Iri, to: Sequence[Iri], cc: Sequence[Iri] = ()
) -> Document:
    """Unpins a post."""
    # spec: R107 — target is the featured collection
    return _activity(iri, "Remove", actor, object_iri, to, cc) | {"target": target}


def move(iri: Iri, actor: Iri, target: Iri, *, to: Sequence[Iri]) -> Document:
    """Says that a local actor lives at ``target`` now."""
    # spec: R106 — movedTo, and Move to the followers
    return _activity(iri, "Move", actor, actor, to) | {"target": target}


def vote(iri: Iri, voter: Iri, *, question: Iri, option: str, author: Iri, published: Millis) -> Document:
    """One vote: Create of the nameless note ``iri``."""
    # spec: R89 — a name, a parent, no content
    return create(vote_note(iri, voter, question=question, option=option, author=author, published=published))
