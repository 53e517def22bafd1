"""Blind copies: a partner's direct post that came to somebody's own inbox without naming them (``bto``, ``bcc``)."""

from __future__ import annotations

from fedishare.model.actors import ActorState
from fedishare.model.ids import Id, Iri
from fedishare.model.posts import Visibility
from fedishare.services import notifications
from fedishare.store import actors, posts
from fedishare.store.db import Tx


def hand_to(tx: Tx, author: Id, iri: Iri, addressee: Iri) -> bool:
    """Let the local person whose inbox it came to have a direct post of ``author``, and tell them. Once.

    Nobody else learns of it: their name is not in the post. False when there is nothing to hand over.
    """
    post, person = posts.by_iri(tx, iri), actors.by_iri(tx, addressee)
    if post is None or post.local or post.author_id != author or post.visibility is not Visibility.DIRECT:
        return False
    if person is None or not person.is_local or person.state >= ActorState.SUSPENDED:
        return False
    if person.id in posts.mentioned_ids(tx, post.id):
        return False
    # spec: R42 — used for delivery, and in no document
    posts.put_blind(tx, post.id, [person.id])
    notifications.name_people(tx, post, [person.id], new=False)
    return True
