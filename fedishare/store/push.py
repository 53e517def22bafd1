"""Push subscriptions in the store: one for each token, with what it wants to hear of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fedishare.model.ids import Id, Millis
from fedishare.store.db import Row, Tx, sql

_COLUMNS = "u.id, u.token_id, u.actor_id, u.endpoint, u.p256dh, u.auth, u.standard, u.alerts, u.policy, u.sealed"

PUT = sql(
    "push_put",
    """INSERT INTO push_subscription (id, token_id, actor_id, endpoint, p256dh, auth, standard, alerts, policy, sealed,
        created_at)
       VALUES (:id, :token, :actor, :endpoint, :p256dh, :auth, :standard, :alerts, :policy, :sealed, :now)""",
)
SET_WISHES = sql(
    "push_set_wishes", "UPDATE push_subscription SET alerts = :alerts, policy = :policy WHERE token_id = :token"
)
OF_TOKEN = sql("push_of_token", f"SELECT {_COLUMNS} FROM push_subscription u WHERE u.token_id = :token")
_GOOD = """FROM push_subscription u JOIN token t ON t.id = u.token_id JOIN actor a ON a.id = u.actor_id
    JOIN credential c ON c.actor_id = a.id
    WHERE {which} AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > :now) AND a.state < 2
        AND c.approved = 1 AND c.disabled = 0"""
BY_ID = sql("push_by_id", f"SELECT {_COLUMNS} {_GOOD.format(which='u.id = :id')}")
OF_ACTOR = sql("push_of_actor", f"SELECT {_COLUMNS} {_GOOD.format(which='u.actor_id = :actor')} ORDER BY u.id")
DROP = sql("push_drop", "DELETE FROM push_subscription WHERE id = :id")
DROP_OF_TOKEN = sql("push_drop_of_token", "DELETE FROM push_subscription WHERE token_id = :token")
PRUNE = sql(
    "push_prune",
    """DELETE FROM push_subscription WHERE token_id IN (SELECT t.id FROM token t JOIN push_subscription u
        ON u.token_id = t.id WHERE t.revoked_at IS NOT NULL OR t.expires_at <= :now)""",
)
TIES = sql(
    "push_ties",
    """SELECT
        EXISTS (SELECT 1 FROM follow f WHERE f.follower_id = :owner AND f.followee_id = :source AND f.state = 1),
        EXISTS (SELECT 1 FROM follow f WHERE f.follower_id = :source AND f.followee_id = :owner AND f.state = 1)""",
)


@dataclass(frozen=True, slots=True)
class Subscription:
    """Where and about what an app wants to be told. ``endpoint`` is the push service's address for it."""

    id: Id
    token_id: Id
    actor_id: Id
    endpoint: str
    p256dh: bytes
    auth: bytes
    standard: bool
    """RFC 8291; else the draft before it."""
    alerts: frozenset[str]
    """Kinds of notifications."""
    policy: str
    """From whom: all, followed, follower, none."""
    sealed: bytes
    """The token, encrypted."""


def _subscription(row: Row) -> Subscription:
    ident, token, actor, endpoint, p256dh, auth, standard, alerts, policy, sealed = row
    return Subscription(
        ident, token, actor, endpoint, bytes(p256dh), bytes(auth), bool(standard), frozenset(alerts.split()), policy,
        bytes(sealed),
    )  # fmt: skip


def put(tx: Tx, made: Subscription) -> None:
    """Add a subscription; the token must have none. Its ``id`` is `Tx.new_id`'s."""
    tx.run(
        PUT, id=made.id, token=made.token_id, actor=made.actor_id, endpoint=made.endpoint, p256dh=made.p256dh,
        auth=made.auth, standard=int(made.standard), alerts=_words(made.alerts), policy=made.policy,
        sealed=made.sealed, now=tx.now,
    )  # fmt: skip


def set_wishes(tx: Tx, token: Id, alerts: Iterable[str], policy: str) -> None:
    """Change what a token's subscription wants to hear of."""
    tx.run(SET_WISHES, token=token, alerts=_words(alerts), policy=policy)


def _words(alerts: Iterable[str]) -> str:
    return " ".join(sorted(alerts))


def of_token(tx: Tx, token: Id) -> Subscription | None:
    """The subscription of a token."""
    row = tx.one(OF_TOKEN, token=token)
    return _subscription(row) if row else None


def by_id(tx: Tx, ident: Id) -> Subscription | None:
    """A subscription whose token and account still count."""
    row = tx.one(BY_ID, id=ident, now=tx.now)
    return _subscription(row) if row else None


def of_actor(tx: Tx, actor: Id) -> list[Subscription]:
    """A person's subscriptions whose tokens count."""
    return [_subscription(row) for row in tx.all(OF_ACTOR, actor=actor, now=tx.now)]


def ties(tx: Tx, owner: Id, source: Id) -> tuple[bool, bool]:
    """Whether ``owner`` follows ``source``, and whether it is followed by it."""
    row = tx.one(TIES, owner=owner, source=source)
    assert row is not None  # noqa: S101 — one row always
    return bool(row[0]), bool(row[1])


def drop(tx: Tx, ident: Id) -> None:
    """End a subscription."""
    tx.run(DROP, id=ident)


def drop_of_token(tx: Tx, token: Id) -> None:
    """End a token's subscription."""
    tx.run(DROP_OF_TOKEN, token=token)


def prune(tx: Tx, now: Millis) -> None:
    """Forget the subscriptions of tokens that have ended."""
    tx.run(PRUNE, now=now)
