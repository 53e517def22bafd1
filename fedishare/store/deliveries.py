"""What is asked right before deliveries are sent: is everything still as it was when they were queued?

Each query answers for all deliveries that were claimed together.
"""

from __future__ import annotations

from collections.abc import Collection

from fedishare.model.actors import ActorState
from fedishare.model.ids import Id
from fedishare.model.posts import Reach, Visibility
from fedishare.store.db import Tx, sql

LABELS = sql("delivery_labels", "SELECT id, visibility, reach FROM post WHERE id IN :ids[]")
STATES = sql("delivery_states", "SELECT id, state FROM actor WHERE id IN :ids[]")
FOLLOWERS = sql(
    "delivery_followers",
    "SELECT follower_id FROM follow WHERE followee_id = :author AND follower_id IN :people[] AND state = 1",
)
BLOCKS = sql(
    "delivery_blocks",
    """SELECT target_id FROM block WHERE actor_id = :author AND target_id IN :people[]
       UNION SELECT actor_id FROM block WHERE target_id = :author AND actor_id IN :people[]""",
)


def labels(tx: Tx, posts: Collection[Id]) -> dict[Id, tuple[Visibility, Reach]]:
    """Visibility and reach of those posts that exist."""
    if not posts:
        return {}
    return {row[0]: (Visibility(row[1]), Reach.decode(row[2])) for row in tx.all(LABELS, ids=list(posts))}


def states(tx: Tx, people: Collection[Id]) -> dict[Id, ActorState]:
    """The states of actors."""
    return {row[0]: ActorState(row[1]) for row in tx.all(STATES, ids=list(people))} if people else {}


def followers_among(tx: Tx, author: Id, people: Collection[Id]) -> set[Id]:
    """Those of ``people`` that follow ``author``."""
    return {row[0] for row in tx.all(FOLLOWERS, author=author, people=list(people))} if people else set()


def blocked_among(tx: Tx, author: Id, people: Collection[Id]) -> set[Id]:
    """Those of ``people`` that ``author`` blocks, or that block ``author``."""
    return {row[0] for row in tx.all(BLOCKS, author=author, people=list(people))} if people else set()
