"""Apps, one-time codes and browser sessions."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from fedishare.model.ids import Id, Millis
from fedishare.store.db import Row, Tx, sql

_APP = "id, client_id, secret_hash, name, website, redirect_uris, scopes, created_at"
PUT_APP = sql(
    "app_insert",
    """INSERT INTO app (id, client_id, secret_hash, name, website, redirect_uris, scopes, created_at)
       VALUES (:id, :client, :secret, :name, :website, :uris, :scopes, :now)""",
)
APP_BY_CLIENT = sql("app_by_client", f"SELECT {_APP} FROM app WHERE client_id = :client")
APP_BY_ID = sql("app_by_id", f"SELECT {_APP} FROM app WHERE id = :id")
PUT_CODE = sql(
    "oauth_code_insert",
    """INSERT INTO oauth_code (code_hash, app_id, actor_id, redirect_uri, scopes, challenge, expires_at)
       VALUES (:hash, :app, :actor, :uri, :scopes, :challenge, :expires)""",
)
CODE = sql(
    "oauth_code_get",
    """SELECT app_id, actor_id, redirect_uri, scopes, challenge, expires_at, token_id
       FROM oauth_code WHERE code_hash = :hash""",
)
USE_CODE = sql("oauth_code_use", "UPDATE oauth_code SET token_id = :token WHERE code_hash = :hash AND token_id IS NULL")
DROP_CODES_OF = sql("oauth_code_delete_of", "DELETE FROM oauth_code WHERE actor_id = :actor AND token_id IS NULL")
PRUNE_CODES = sql("oauth_code_prune", "DELETE FROM oauth_code WHERE expires_at < :before")
PUT_APP_TOKEN = sql(
    "app_token_insert",
    """INSERT INTO token (id, token_hash, actor_id, app_id, name, scopes, created_at)
       VALUES (:id, :hash, NULL, :app, '', :scopes, :now)""",
)
APP_OF_TOKEN = sql(
    "app_of_token",
    """SELECT a.id, a.client_id, a.secret_hash, a.name, a.website, a.redirect_uris, a.scopes, a.created_at, t.scopes
       FROM token t JOIN app a ON a.id = t.app_id
       WHERE t.token_hash = :hash AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > :now)""",
)
TOKEN_OF_APP = sql("token_of_app", "SELECT id, actor_id FROM token WHERE token_hash = :hash AND app_id = :app")
PUT_SESSION = sql(
    "session_insert",
    "INSERT INTO session (session_hash, actor_id, created_at, expires_at) VALUES (:hash, :actor, :now, :expires)",
)
SESSION = sql(
    "session_get",
    """SELECT s.actor_id FROM session s JOIN actor a ON a.id = s.actor_id JOIN credential c ON c.actor_id = a.id
       WHERE s.session_hash = :hash AND s.expires_at > :now AND a.state < 2 AND c.approved = 1
         AND c.disabled = 0""",
)
DROP_SESSION = sql("session_delete", "DELETE FROM session WHERE session_hash = :hash")
DROP_SESSIONS_OF = sql("session_delete_of", "DELETE FROM session WHERE actor_id = :actor")
PRUNE_SESSIONS = sql("session_prune", "DELETE FROM session WHERE expires_at < :before")


@dataclass(frozen=True, slots=True)
class App:
    """A registered app. ``redirect_uris`` are matched exactly."""

    id: Id
    client_id: str
    secret_hash: str
    name: str
    website: str | None
    redirect_uris: tuple[str, ...]
    scopes: str
    created_at: Millis


@dataclass(frozen=True, slots=True)
class Code:
    """A one-time code. ``token_id`` is set once it was used."""

    app_id: Id
    actor_id: Id
    redirect_uri: str
    scopes: str
    challenge: str | None
    expires_at: Millis
    token_id: Id | None


def _app(row: Row) -> App:
    ident, client, secret, name, website, uris, scopes, created = row[:8]
    return App(ident, client, secret, name, website, msgspec.json.decode(uris, type=tuple[str, ...]), scopes, created)


def put_app(
    tx: Tx, client: str, secret_hash: str, name: str, website: str | None, uris: tuple[str, ...], scopes: str
) -> App:
    """Register an app."""
    ident = tx.new_id()
    stored = msgspec.json.encode(uris).decode()
    tx.run(PUT_APP, id=ident, client=client, secret=secret_hash, name=name, website=website, uris=stored,
           scopes=scopes, now=tx.now)  # fmt: skip
    return App(ident, client, secret_hash, name, website, uris, scopes, tx.now)


def app(tx: Tx, client: str) -> App | None:
    """The app with that client id."""
    row = tx.one(APP_BY_CLIENT, client=client)
    return _app(row) if row else None


def app_by_id(tx: Tx, ident: Id) -> App | None:
    """The app with that id."""
    row = tx.one(APP_BY_ID, id=ident)
    return _app(row) if row else None


def put_code(
    tx: Tx, code_hash: str, app_id: Id, actor: Id, *, uri: str, scopes: str, challenge: str | None, expires: Millis
) -> None:
    """Keep a one-time code."""
    tx.run(PUT_CODE, hash=code_hash, app=app_id, actor=actor, uri=uri, scopes=scopes, challenge=challenge,
           expires=expires)  # fmt: skip


def code(tx: Tx, code_hash: str) -> Code | None:
    """A one-time code."""
    row = tx.one(CODE, hash=code_hash)
    return Code(*row) if row else None


def use_code(tx: Tx, code_hash: str, token: Id) -> bool:
    """Spend a code; False when it was spent."""
    return tx.run(USE_CODE, hash=code_hash, token=token) > 0


def put_app_token(tx: Tx, token_hash: str, app_id: Id, scopes: str) -> Id:
    """A token of the app itself, for nobody (client credentials)."""
    ident = tx.new_id()
    tx.run(PUT_APP_TOKEN, id=ident, hash=token_hash, app=app_id, scopes=scopes, now=tx.now)
    return ident


def app_of_token(tx: Tx, token_hash: str) -> tuple[App, str] | None:
    """Which app a valid token was given to, and the token's scopes."""
    row = tx.one(APP_OF_TOKEN, hash=token_hash, now=tx.now)
    return (_app(row), row[8]) if row else None


def token_of_app(tx: Tx, token_hash: str, app_id: Id) -> tuple[Id, Id | None] | None:
    """A token that was given to that app: its id and whose it is."""
    row = tx.one(TOKEN_OF_APP, hash=token_hash, app=app_id)
    return (row[0], row[1]) if row else None


def put_session(tx: Tx, session_hash: str, actor: Id, expires: Millis) -> None:
    """Begin a browser session."""
    tx.run(PUT_SESSION, hash=session_hash, actor=actor, now=tx.now, expires=expires)


def session(tx: Tx, session_hash: str) -> Id | None:
    """Whose browser session it is; None when it does not count (any more)."""
    found: Id | None = tx.value(SESSION, hash=session_hash, now=tx.now)
    return found


def drop_session(tx: Tx, session_hash: str) -> None:
    """End a browser session."""
    tx.run(DROP_SESSION, hash=session_hash)


def drop_sessions_of(tx: Tx, actor: Id) -> None:
    """End every browser session of an account."""
    tx.run(DROP_SESSIONS_OF, actor=actor)


def drop_codes_of(tx: Tx, actor: Id) -> None:
    """End the codes of an account that no token was made of yet."""
    tx.run(DROP_CODES_OF, actor=actor)


def prune(tx: Tx, before: Millis) -> int:
    """Forget codes and sessions that ended before ``before``."""
    return tx.run(PRUNE_CODES, before=before) + tx.run(PRUNE_SESSIONS, before=before)
