"""The writer: our values become ActivityStreams documents (plain dicts, ready for any JSON encoder).

Pure: values in, documents out. Who may see a document, and how it is addressed, is decided before
(`policy.audience`, `addressing`). Objects, activities and collections are written in modules of their own.
"""

from __future__ import annotations

from fedishare.activitypub.quotes_writer import quote_authorization
from fedishare.activitypub.writer_activities import (
    accept,
    add,
    announce,
    block,
    create,
    delete,
    delete_actor,
    delete_stamp,
    embedded,
    flag,
    follow,
    incoming_follow,
    incoming_quote_request,
    like,
    move,
    quote_request,
    reject,
    remove,
    undo,
    update,
    update_actor,
    vote,
)
from fedishare.activitypub.writer_collections import collection, collection_page, partial_followers
from fedishare.activitypub.writer_objects import (
    Document,
    actor_document,
    hashtag,
    instance_actor_document,
    note,
    tombstone,
    vote_note,
)

__all__ = [
    "Document",
    "accept",
    "actor_document",
    "add",
    "announce",
    "block",
    "collection",
    "collection_page",
    "create",
    "delete",
    "delete_actor",
    "delete_stamp",
    "embedded",
    "flag",
    "follow",
    "hashtag",
    "incoming_follow",
    "incoming_quote_request",
    "instance_actor_document",
    "like",
    "move",
    "note",
    "partial_followers",
    "quote_authorization",
    "quote_request",
    "reject",
    "remove",
    "tombstone",
    "undo",
    "update",
    "update_actor",
    "vote",
    "vote_note",
]
