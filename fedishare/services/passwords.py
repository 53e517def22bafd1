"""Passwords: change one's own, choose a new one with a link from an operator. This server sends no mail.

Whoever learns a password must not stay inside after it was changed: every other token, session and code ends with it.
"""

from __future__ import annotations

from fedishare.model.actors import Actor, ActorState
from fedishare.model.errors import NotFound
from fedishare.model.ids import Id, Millis
from fedishare.services import accounts
from fedishare.store import actors, credentials, partners, resets
from fedishare.store.db import Tx

LINK_MILLIS = 24 * 3600 * 1000
GONE = "This link was used already, is too old, or was never made. Ask the operators of this server for another one."


def set_password(tx: Tx, actor: Actor, password_hash: str, by: str, *, keep: Id | None = None) -> None:
    """Another password; everything that somebody is signed in with ends, apart from the token ``keep``."""
    credentials.set_password(tx, actor.id, password_hash)
    resets.drop_of(tx, actor.id)
    accounts.end_tokens(tx, actor, keep=keep)
    partners.audit(tx, by, "account.reset-password", f"@{actor.name}")


def change(tx: Tx, ident: Id, password_hash: str, before: str | None, token: Id) -> None:
    """A person changes their own password. ``before`` is the hash that was proven. Raises `NotFound`."""
    actor, kept = actors.by_id(tx, ident), credentials.get(tx, ident)
    if actor is None or kept is None or kept.password_hash != before:
        raise NotFound("Record not found")  # changed side by side: what was proven is not the password any more
    set_password(tx, actor, password_hash, f"@{actor.name}", keep=token)


def make_link(tx: Tx, name: str, token: str, by: str) -> Millis:
    """Keep a link for a local account, good once; returns until when. Raises `NotFound`."""
    actor = accounts.local(tx, name)
    if actor.state >= ActorState.SUSPENDED:
        raise NotFound(f"@{actor.name} is {actor.state.name.lower()}: nobody could sign in with a new password")
    until = Millis(tx.now + LINK_MILLIS)
    resets.put(tx, accounts.token_hash(token), actor.id, until)
    partners.audit(tx, by, "account.reset-link", f"@{actor.name}")
    return until


def owner_of_link(tx: Tx, token: str) -> Actor:
    """Who may choose a new password with this link. Raises `NotFound`."""
    ident = resets.owner(tx, accounts.token_hash(token))
    actor = actors.by_id(tx, ident) if ident is not None else None
    if actor is None or actor.state >= ActorState.SUSPENDED:
        raise NotFound(GONE)
    return actor


def use_link(tx: Tx, token: str, password_hash: str) -> Actor:
    """Choose a new password; the link ends with it. Raises `NotFound`."""
    tx.lock(f"reset:{accounts.token_hash(token)}")
    actor = owner_of_link(tx, token)
    set_password(tx, actor, password_hash, f"@{actor.name}")
    return actor
