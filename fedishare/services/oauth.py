"""OAuth 2: apps register, people allow them, codes become tokens, tokens end (RFC 6749, 7009, 7636, 9700)."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from urllib.parse import urlsplit

from fedishare.model.activities import TokenRevoked
from fedishare.model.actors import Actor, ActorState
from fedishare.model.errors import BadInput, FedishareError
from fedishare.model.ids import Handle, Id, Millis
from fedishare.model.scopes import coarser_scope
from fedishare.services import accounts
from fedishare.store import actors, credentials, oauth, partners
from fedishare.store.db import Tx
from fedishare.store.oauth import App

OOB = "urn:ietf:wg:oauth:2.0:oob"
CODE_MILLIS = 600_000
SESSION_MILLIS = 24 * 3600 * 1000
DEFAULT_SCOPES = "read"
MAX_NAME, MAX_URIS, MAX_URI = 60, 20, 2000
_UNSAFE_SCHEMES = frozenset(("javascript", "data", "vbscript", "file", "about", "blob"))
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*\Z")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}\Z")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}\Z")


class OAuthError(FedishareError):
    """An error as RFC 6749 words it: ``code`` for programs, the message for people."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """What an app asks a person for, checked."""

    app: App
    redirect_uri: str
    scopes: str
    state: str
    challenge: str | None


@dataclass(frozen=True, slots=True)
class Granted:
    """A token, said once."""

    token: str
    scopes: str
    created_at: Millis


def register(tx: Tx, name: str, uris: tuple[str, ...], scopes: str, website: str | None) -> tuple[App, str]:
    """Register an app; returns it with its secret, which is not stored. Raises `BadInput` with Mastodon's wording."""
    if not name.strip():
        raise BadInput("Validation failed: Application name can't be blank", path="client_name")
    if len(name) > MAX_NAME:
        sentence = f"Validation failed: Application name is too long (maximum is {MAX_NAME} characters)"
        raise BadInput(sentence, path="client_name")
    if not uris:
        raise BadInput("Validation failed: Redirect URI can't be blank", path="redirect_uris")
    if len(uris) > MAX_URIS or not all(_is_redirect(uri) for uri in uris):
        raise BadInput("Validation failed: Redirect URI must be an absolute URI.", path="redirect_uris")
    if website and urlsplit(website).scheme not in ("http", "https"):
        raise BadInput("Validation failed: Website must be a valid URL", path="website")
    try:
        wanted = accounts.check_scopes(scopes or DEFAULT_SCOPES)
    except BadInput as error:
        raise BadInput("Validation failed: Scopes doesn't match configured on the server.", path="scopes") from error
    secret = accounts.new_token()
    app = oauth.put_app(
        tx, accounts.new_token(), accounts.token_hash(secret), name.strip(), website or None, uris, wanted
    )
    return app, secret


def _is_redirect(uri: str) -> bool:
    if uri == OOB:
        return True
    if len(uri) > MAX_URI or any(c <= " " or c in '"<>\\^`{|}' for c in uri):
        return False
    try:
        parts = urlsplit(uri)
    except ValueError:
        return False
    scheme = parts.scheme.lower()
    if not _SCHEME.match(scheme) or scheme in _UNSAFE_SCHEMES or parts.fragment:
        return False
    return bool(parts.netloc) if scheme in ("http", "https") else True


def read_request(tx: Tx, given: dict[str, str]) -> Request:
    """Check an authorization request. Raises `OAuthError`; errors are shown, never redirected to an unchecked place."""
    app = oauth.app(tx, given.get("client_id", ""))
    if app is None:
        raise OAuthError("invalid_client", "This app is not registered here; it has to register first.", status=401)
    uri = given.get("redirect_uri", "") or app.redirect_uris[0]
    # RFC 9700, section 2.1: redirect URIs are compared exactly
    if uri not in app.redirect_uris:
        raise OAuthError("invalid_redirect_uri", "The redirect uri included is not valid.")
    if given.get("response_type") != "code":
        raise OAuthError("unsupported_response_type", "The authorization server supports response_type=code only.")
    challenge = given.get("code_challenge") or None
    if challenge is not None and (given.get("code_challenge_method") != "S256" or not _CHALLENGE.match(challenge)):
        raise OAuthError("invalid_request", "The code challenge method must be S256.")
    scopes = _narrowed(app, given.get("scope", ""))
    return Request(app, uri, scopes, given.get("state", ""), challenge)


def _narrowed(app: App, wanted: str) -> str:
    """The scopes asked for, which must be among the app's own."""
    try:
        scopes = accounts.check_scopes(wanted or DEFAULT_SCOPES).split()
    except BadInput as error:
        raise OAuthError("invalid_scope", "The requested scope is invalid, unknown, or malformed.") from error
    own = app.scopes.split()
    if any(scope not in own and coarser_scope(scope) not in own for scope in scopes):
        raise OAuthError("invalid_scope", "The requested scope is invalid, unknown, or malformed.")
    return " ".join(scopes)


def find_person(tx: Tx, name: str) -> tuple[Actor, str | None] | None:
    """Who signs in, by name or e-mail address, with the stored hash of the password. None when there is nobody."""
    ident = credentials.by_email(tx, name) if "@" in name.removeprefix("@") else None
    actor = actors.by_id(tx, ident) if ident is not None else actors.by_handle(tx, Handle(name.removeprefix("@")))
    if actor is None or not actor.is_local or actor.state >= ActorState.SUSPENDED:
        return None
    kept = credentials.get(tx, actor.id)
    return (actor, kept.password_hash) if kept is not None and kept.approved and not kept.disabled else None


def begin_session(tx: Tx, actor: Id) -> str:
    """Begin a browser session; returns what the cookie holds."""
    made = accounts.new_token()
    oauth.put_session(tx, accounts.token_hash(made), actor, Millis(tx.now + SESSION_MILLIS))
    oauth.prune(tx, tx.now)
    return made


def allow(tx: Tx, actor: Id, asked: Request) -> str:
    """The person allows the app: a code for it, good once and for ten minutes."""
    made = secrets.token_urlsafe(32)
    oauth.put_code(
        tx, accounts.token_hash(made), asked.app.id, actor, uri=asked.redirect_uri, scopes=asked.scopes,
        challenge=asked.challenge, expires=Millis(tx.now + CODE_MILLIS),
    )  # fmt: skip
    person = actors.by_id(tx, actor)
    partners.audit(tx, f"@{person.name}" if person else "?", "app.allow", asked.app.name, asked.scopes)
    return made


def client(tx: Tx, client_id: str, secret: str) -> App:
    """The app that proves itself with its secret. Raises `OAuthError`."""
    app = oauth.app(tx, client_id)
    if app is None or not hmac.compare_digest(app.secret_hash, accounts.token_hash(secret)):
        message = "Client authentication failed due to unknown client, or no client authentication included."
        raise OAuthError("invalid_client", message, status=401)
    return app


def exchange(tx: Tx, app: App, code: str, redirect_uri: str, verifier: str) -> Granted:
    """A code becomes a token. A code that comes twice ends the token that it made. Raises `OAuthError`."""
    hashed = accounts.token_hash(code)
    tx.lock(f"oauth-code:{hashed}")
    kept = oauth.code(tx, hashed)
    if kept is None or kept.app_id != app.id or kept.redirect_uri != redirect_uri or kept.expires_at <= tx.now:
        raise _invalid_grant()
    if kept.token_id is not None:
        credentials.revoke_token(tx, kept.token_id)
        tx.notify(TokenRevoked(kept.token_id, kept.actor_id))
        return Granted("", "", tx.now)
    if not _proves(kept.challenge, verifier):
        raise _invalid_grant()
    token = accounts.new_token()
    ident = credentials.put_token(tx, accounts.token_hash(token), kept.actor_id, scopes=kept.scopes, app=app.id)
    oauth.use_code(tx, hashed, ident)
    return Granted(token, kept.scopes, tx.now)


def _proves(challenge: str | None, verifier: str) -> bool:
    """PKCE with S256 (RFC 7636 section 4.6); a verifier without a challenge is wrong too."""
    if challenge is None:
        return not verifier
    if not _VERIFIER.match(verifier):
        return False
    digest = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return hmac.compare_digest(digest, challenge)


def _invalid_grant() -> OAuthError:
    return OAuthError(
        "invalid_grant",
        "The provided authorization grant is invalid, expired, revoked, does not match the redirection URI used in the "
        "authorization request, or was issued to another client.",
    )


def app_token(tx: Tx, app: App, scopes: str) -> Granted:
    """A token for the app itself (client credentials): it stands for nobody."""
    token, wanted = accounts.new_token(), _narrowed(app, scopes)
    oauth.put_app_token(tx, accounts.token_hash(token), app.id, wanted)
    return Granted(token, wanted, tx.now)


def revoke(tx: Tx, app: App, token: str) -> None:
    """An app gives a token back (RFC 7009). Unknown tokens are no error; another app's is. Raises `OAuthError`."""
    hashed = accounts.token_hash(token)
    found = oauth.token_of_app(tx, hashed, app.id)
    if found is None:
        if oauth.app_of_token(tx, hashed) is not None:
            raise OAuthError("unauthorized_client", "You are not authorized to revoke this token", status=403)
        return
    credentials.revoke_token(tx, found[0])
    tx.notify(TokenRevoked(found[0], found[1] or Id(0)))
