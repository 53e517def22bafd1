"""Writing collections: a first document with the total, and pages with links to their neighbours.

What is in them, and for whom, is decided by the caller; items are always a list, also of one.
"""

from __future__ import annotations

from collections.abc import Sequence

from fedishare.activitypub.jsonld import ACTIVITY_CONTEXT
from fedishare.activitypub.writer_objects import Document


def collection(
    iri: str,
    *,
    total: int | None,
    first: str | None = None,
    last: str | None = None,
    items: Sequence[object] | None = None,
    ordered: bool = True,
) -> Document:
    """A collection: `totalItems` and `first`.

    Without ``first`` and ``items`` it is one whose members are hidden. Short ones (featured) carry their
    ``items`` at once; objects among them must be embedded without a context.
    """
    # spec: R114 — totalItems and first
    # spec: R115 — a hidden one keeps totalItems and leaves out first
    document: Document = {
        "@context": ACTIVITY_CONTEXT,
        "id": iri,
        "type": "OrderedCollection" if ordered else "Collection",
    }
    if total is not None:
        document["totalItems"] = total
    if first is not None:
        document["first"] = first
    if last is not None:
        document["last"] = last
    if items is not None:
        document["orderedItems" if ordered else "items"] = list(items)
    return document


def collection_page(
    iri: str,
    *,
    part_of: str,
    items: Sequence[object],
    following: str | None = None,
    previous: str | None = None,
    total: int | None = None,
    ordered: bool = True,
) -> Document:
    """A page of a collection, newest first."""
    # spec: R114 — partOf, next, prev
    document: Document = {
        "@context": ACTIVITY_CONTEXT,
        "id": iri,
        "type": "OrderedCollectionPage" if ordered else "CollectionPage",
        "partOf": part_of,
        "orderedItems" if ordered else "items": list(items),
    }
    if total is not None:
        document["totalItems"] = total
    if following is not None:
        document["next"] = following
    if previous is not None:
        document["prev"] = previous
    return document


def partial_followers(iri: str, followers: Sequence[str]) -> Document:
    """The followers of a local actor that live on one host, for that host."""
    # spec: R119 — the followers on one host (FEP-8fcf)
    return collection(iri, total=None, items=sorted(followers))
