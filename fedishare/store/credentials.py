"""Credentials, apps and tokens. Passwords and tokens are stored hashed, private keys as PEM."""

from __future__ import annotations

from dataclasses import dataclass

from fedishare.model.actors import ActorState, Role, Viewer
from fedishare.model.emails import email_hash
from fedishare.model.ids import Id, Millis
from fedishare.store.db import Tx, sql

PUT = sql(
    "credential_insert",
    """INSERT INTO credential (actor_id, email, email_hash, password_hash, role, rsa_private, ed25519_private,
        approved, confirmed_at)
       VALUES (:actor, :email, :email_hash, :password, :role, :rsa, :ed25519, :approved, :confirmed)""",
)
GET = sql(
    "credential_get",
    """SELECT actor_id, email, password_hash, role, settings, approved, confirmed_at, last_seen_at, disabled
       FROM credential WHERE actor_id = :actor""",
)
BY_EMAIL = sql("credential_by_email", "SELECT actor_id FROM credential WHERE lower(email) = lower(:email)")
KEYS = sql("credential_keys", "SELECT rsa_private, ed25519_private FROM credential WHERE actor_id = :actor")
SET_PASSWORD = sql("credential_set_password", "UPDATE credential SET password_hash = :password WHERE actor_id = :actor")
SET_ROLE = sql("credential_set_role", "UPDATE credential SET role = :role WHERE actor_id = :actor")
ROLE = sql("credential_role", "SELECT role FROM credential WHERE actor_id = :actor")
SET_SETTINGS = sql("credential_set_settings", "UPDATE credential SET settings = :settings WHERE actor_id = :actor")
SET_DISABLED = sql("credential_set_disabled", "UPDATE credential SET disabled = :disabled WHERE actor_id = :actor")
APPROVE = sql("credential_approve", "UPDATE credential SET approved = 1, confirmed_at = :now WHERE actor_id = :actor")
FORGET = sql(
    "credential_forget",
    """UPDATE credential SET email = NULL, email_hash = NULL, password_hash = NULL, settings = '{}', reason = NULL,
        locale = NULL, app_id = NULL WHERE actor_id = :actor""",
)
SEEN = sql("credential_seen", "UPDATE credential SET last_seen_at = :now WHERE actor_id = :actor")
PUT_TOKEN = sql(
    "token_insert",
    """INSERT INTO token (id, token_hash, actor_id, app_id, name, scopes, created_at, expires_at)
       VALUES (:id, :hash, :actor, :app, :name, :scopes, :now, :expires)""",
)
VIEWER = sql(
    "token_viewer",
    """SELECT t.id, t.actor_id, a.name, t.scopes, c.role, coalesce(p.name, t.name), a.state
       FROM token t JOIN actor a ON a.id = t.actor_id JOIN credential c ON c.actor_id = a.id
       LEFT JOIN app p ON p.id = t.app_id
       WHERE t.token_hash = :hash AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > :now)
         AND c.approved = 1 AND c.disabled = 0""",
)
STANDING = sql(
    "token_standing",
    """SELECT t.actor_id, c.approved, c.disabled
       FROM token t LEFT JOIN credential c ON c.actor_id = t.actor_id
       WHERE t.token_hash = :hash AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > :now)""",
)
TOKENS = sql(
    "token_list",
    """SELECT t.id, a.name, coalesce(p.name, t.name), t.scopes, t.created_at, t.expires_at, t.revoked_at, t.last_used_at
       FROM token t JOIN actor a ON a.id = t.actor_id LEFT JOIN app p ON p.id = t.app_id
       WHERE (:actor = 0 OR t.actor_id = :actor) ORDER BY t.id""",
)
REVOKE = sql("token_revoke", "UPDATE token SET revoked_at = :now WHERE id = :id AND revoked_at IS NULL")
REVOKE_ALL = sql(
    "token_revoke_all",
    "UPDATE token SET revoked_at = :now WHERE actor_id = :actor AND revoked_at IS NULL AND id <> :keep",
)
USED = sql("token_used", "UPDATE token SET last_used_at = :now WHERE id = :id")


@dataclass(frozen=True, slots=True)
class Credential:
    """The sign-in side of a local account."""

    actor_id: Id
    email: str | None
    password_hash: str | None
    role: Role
    settings: str
    approved: bool
    confirmed_at: Millis | None
    last_seen_at: Millis | None
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """Whose a valid token is: an app's own (``person`` is False), or somebody's who may not sign in yet or any more."""

    person: bool
    approved: bool
    disabled: bool


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token as lists show it; the token itself is not stored."""

    id: Id
    account: str
    name: str
    scopes: str
    created_at: Millis
    expires_at: Millis | None
    revoked_at: Millis | None
    last_used_at: Millis | None


def put(
    tx: Tx, actor: Id, *, email: str | None, password_hash: str | None, role: Role, rsa_private: str,
    ed25519_private: str, approved: bool = True, confirmed_at: Millis | None = None,
) -> None:  # fmt: skip
    """Add the credential of a local actor."""
    hashed = email_hash(email) if email else None
    tx.run(
        PUT, actor=actor, email=email, email_hash=hashed, password=password_hash, role=role.value, rsa=rsa_private,
        ed25519=ed25519_private, approved=int(approved), confirmed=confirmed_at,
    )  # fmt: skip


def get(tx: Tx, actor: Id) -> Credential | None:
    """The credential of a local actor."""
    row = tx.one(GET, actor=actor)
    if row is None:
        return None
    return Credential(row[0], row[1], row[2], Role(row[3]), row[4], bool(row[5]), row[6], row[7], bool(row[8]))


def by_email(tx: Tx, email: str) -> Id | None:
    """Whose e-mail address it is."""
    found: Id | None = tx.value(BY_EMAIL, email=email)
    return found


def private_keys(tx: Tx, actor: Id) -> tuple[str, str] | None:
    """The private keys of a local actor: RSA and Ed25519, PEM."""
    row = tx.one(KEYS, actor=actor)
    return (row[0], row[1]) if row else None


def set_password(tx: Tx, actor: Id, password_hash: str) -> None:
    """Replace the password."""
    tx.run(SET_PASSWORD, actor=actor, password=password_hash)


def set_role(tx: Tx, actor: Id, role: Role) -> None:
    """Give another role."""
    tx.run(SET_ROLE, actor=actor, role=role.value)


def role_of(tx: Tx, actor: Id) -> Role | None:
    """What an account may administer; None when it is not a local one."""
    found = tx.value(ROLE, actor=actor)
    return None if found is None else Role(found)


def set_settings(tx: Tx, actor: Id, settings: str) -> None:
    """Replace the preferences (JSON)."""
    tx.run(SET_SETTINGS, actor=actor, settings=settings)


def set_disabled(tx: Tx, actor: Id, disabled: bool) -> None:
    """Whether somebody may not sign in."""
    tx.run(SET_DISABLED, actor=actor, disabled=int(disabled))


def approve(tx: Tx, actor: Id) -> None:
    """Let the account act."""
    tx.run(APPROVE, actor=actor, now=tx.now)


def forget(tx: Tx, actor: Id) -> None:
    """Remove what identifies the person; the keys stay, because deletions are still to be signed."""
    tx.run(FORGET, actor=actor)


def seen(tx: Tx, actor: Id) -> None:
    """Note activity."""
    tx.run(SEEN, actor=actor, now=tx.now)


def put_token(
    tx: Tx, token_hash: str, actor: Id, *, scopes: str, name: str = "", app: Id | None = None,
    expires_at: Millis | None = None,
) -> Id:  # fmt: skip
    """Add a token by its hash; returns its id."""
    ident = tx.new_id()
    tx.run(
        PUT_TOKEN,
        id=ident,
        hash=token_hash,
        actor=actor,
        app=app,
        name=name,
        scopes=scopes,
        now=tx.now,
        expires=expires_at,
    )
    return ident


def viewer(tx: Tx, token_hash: str) -> Viewer | None:
    """Whom a token speaks for; None when it is unknown, revoked, expired, or its account may not act."""
    row = tx.one(VIEWER, hash=token_hash, now=tx.now)
    if row is None or row[6] >= ActorState.SUSPENDED:
        return None
    return Viewer(row[1], row[2], frozenset(row[3].split()), row[0], Role(row[4]), row[5] or None)


def standing(tx: Tx, token_hash: str) -> Standing | None:
    """Whom a token that counts was given to; None for one that does not."""
    row = tx.one(STANDING, hash=token_hash, now=tx.now)
    return Standing(row[0] is not None, bool(row[1]), bool(row[2])) if row is not None else None


def tokens(tx: Tx, actor: Id | None = None) -> list[TokenRow]:
    """Tokens of one account, or all."""
    return [TokenRow(*row) for row in tx.all(TOKENS, actor=actor or 0)]


def revoke_token(tx: Tx, ident: Id) -> bool:
    """End a token; False when it was ended before or never was."""
    return tx.run(REVOKE, id=ident, now=tx.now) > 0


def revoke_tokens_of(tx: Tx, actor: Id, keep: Id | None = None) -> int:
    """End every token of an account, apart from ``keep``."""
    return tx.run(REVOKE_ALL, actor=actor, now=tx.now, keep=keep or 0)


def used(tx: Tx, ident: Id) -> None:
    """Note that a token was used."""
    tx.run(USED, id=ident, now=tx.now)
