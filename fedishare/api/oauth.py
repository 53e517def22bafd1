"""The sign-in of apps: registration, consent page, tokens, and what describes them.

The pages work without JavaScript and carry no Cross-Origin-Opener-Policy, which would cut a web client's pop-up from
the page that opened it. What a page posts is believed only with the token that belongs to its browser session.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from base64 import b64decode
from dataclasses import dataclass
from html import escape
from urllib.parse import urlencode, urlsplit

from fedishare.api.http import Api, Params, params
from fedishare.http.call import Answer, Call, json_answer
from fedishare.http.pages import page
from fedishare.model.actors import Actor
from fedishare.model.errors import NotAllowed, NotSignedIn
from fedishare.model.scopes import COARSE, FINER
from fedishare.services import accounts as account_services
from fedishare.services import oauth
from fedishare.services.oauth import OOB, OAuthError, Request
from fedishare.store import actors, moderation
from fedishare.store import oauth as oauth_store
from fedishare.store.db import Tx

COOKIE = "fedishare_session"
_ASKED = ("client_id", "redirect_uri", "response_type", "scope", "state", "code_challenge", "code_challenge_method")
_MEANING = {
    "read": "read what you can see",
    "write": "post, change and delete in your name",
    "follow": "follow, block and mute for you",
    "push": "send you push notifications",
    "profile": "see who you are",
    "admin": "moderate and administrate in your name, as far as your role goes",
}


@dataclass(frozen=True, slots=True)
class OAuth:
    """The handlers."""

    api: Api

    # Apps

    async def register(self, call: Call) -> Answer:
        """``POST /api/v1/apps``"""
        found = await params(call)
        uris = tuple(uri for text in found.texts("redirect_uris") for uri in text.split() if uri)
        app, secret = await self.api.database.write(
            oauth.register, found.text("client_name"), uris, found.text("scopes"), found.text("website") or None
        )
        return json_answer(
            {
                "id": str(app.id), "name": app.name, "website": app.website, "scopes": app.scopes.split(),
                "redirect_uri": "\n".join(app.redirect_uris), "redirect_uris": app.redirect_uris,
                "client_id": app.client_id, "client_secret": secret, "client_secret_expires_at": 0,
                "vapid_key": self.api.sender.public_key,
            }
        )  # fmt: skip

    async def verify_app(self, call: Call) -> Answer:
        """``GET /api/v1/apps/verify_credentials``: with any token of the app, a person's or its own."""
        token = call.headers.get("authorization", "").partition(" ")[2].strip()
        found = await self.api.database.read(oauth_store.app_of_token, account_services.token_hash(token))
        if found is not None:
            app, scopes = found
            return json_answer(
                {"id": str(app.id), "name": app.name, "website": app.website, "scopes": scopes.split(),
                 "redirect_uri": "\n".join(app.redirect_uris), "redirect_uris": app.redirect_uris,
                 "vapid_key": self.api.sender.public_key}
            )  # fmt: skip
        viewer = await self.api.authenticate(call)
        if viewer is None:
            raise NotSignedIn("The access token is invalid")
        return json_answer({"id": str(viewer.token_id), "name": viewer.app_name or "", "website": None,
                            "scopes": sorted(viewer.scopes), "redirect_uris": [],
                            "vapid_key": self.api.sender.public_key})  # fmt: skip

    async def metadata(self, call: Call) -> Answer:
        """``GET /.well-known/oauth-authorization-server`` (RFC 8414)."""
        origin = self.api.site.names.origin
        return json_answer(
            {
                "issuer": f"{origin}/",
                "service_documentation": "https://docs.joinmastodon.org/",
                "authorization_endpoint": f"{origin}/oauth/authorize",
                "token_endpoint": f"{origin}/oauth/token",
                "app_registration_endpoint": f"{origin}/api/v1/apps",
                "revocation_endpoint": f"{origin}/oauth/revoke",
                "userinfo_endpoint": f"{origin}/oauth/userinfo",
                "scopes_supported": [*COARSE, *FINER],
                "response_types_supported": ["code"],
                "response_modes_supported": ["query"],
                "grant_types_supported": ["authorization_code", "client_credentials"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
                "code_challenge_methods_supported": ["S256"],
            }
        )

    # Tokens

    async def token(self, call: Call) -> Answer:
        """``POST /oauth/token``"""
        try:
            found = await params(call)
            kind = found.text("grant_type")
            if kind not in ("authorization_code", "client_credentials"):
                message = "The authorization grant type is not supported by the authorization server."
                raise OAuthError("unsupported_grant_type", message)
            client_id, secret = self._client(call, found)
            granted = await self.api.database.write(self._grant, kind, client_id, secret, found)
            if not granted.token:
                raise OAuthError("invalid_grant", "The provided authorization grant was used before.")
        except OAuthError as error:
            return oauth_error(error)
        return json_answer(
            {"access_token": granted.token, "token_type": "Bearer", "scope": granted.scopes,
             "created_at": granted.created_at // 1000},
            headers=((b"cache-control", b"no-store"),),
        )  # fmt: skip

    @staticmethod
    def _client(call: Call, found: Params) -> tuple[str, str]:
        kind, _, encoded = call.headers.get("authorization", "").partition(" ")
        if kind.lower() == "basic":
            try:
                name, _, secret = b64decode(encoded, validate=True).decode().partition(":")
            except ValueError as error:
                raise OAuthError("invalid_client", "The Basic header cannot be read.", status=401) from error
            return name, secret
        return found.text("client_id"), found.text("client_secret")

    @staticmethod
    def _grant(tx: Tx, kind: str, client_id: str, secret: str, found: Params) -> oauth.Granted:
        app = oauth.client(tx, client_id, secret)
        if kind == "client_credentials":
            return oauth.app_token(tx, app, found.text("scope"))
        return oauth.exchange(tx, app, found.text("code"), found.text("redirect_uri"), found.text("code_verifier"))

    async def revoke(self, call: Call) -> Answer:
        """``POST /oauth/revoke`` (RFC 7009)."""
        try:
            found = await params(call)
            client_id, secret = self._client(call, found)
            await self.api.database.write(self._revoke, client_id, secret, found.text("token"))
        except OAuthError as error:
            return oauth_error(error)
        return json_answer({})

    @staticmethod
    def _revoke(tx: Tx, client_id: str, secret: str, token: str) -> None:
        oauth.revoke(tx, oauth.client(tx, client_id, secret), token)

    async def userinfo(self, call: Call) -> Answer:
        """``GET /oauth/userinfo``"""
        actor = await self.api.database.read(actors.by_id, call.me.id)
        if actor is None:
            raise NotSignedIn("The access token is invalid")
        origin = self.api.site.names.origin
        picture = actor.profile.avatar.url if actor.profile.avatar else None
        return json_answer({"iss": f"{origin}/", "sub": actor.iri, "name": actor.profile.display_name,
                            "preferred_username": actor.name, "profile": actor.url, "picture": picture})  # fmt: skip

    # Pages

    async def authorize(self, call: Call) -> Answer:
        """``GET /oauth/authorize``: sign in, if need be, and allow the app."""
        given = dict(call.query)
        try:
            asked = await self.api.database.read(oauth.read_request, given)
        except OAuthError as error:
            return page("This does not work", f'<p class="wrong">{escape(error.message)}</p>', status=error.status)
        person = None if given.get("force_login") in ("true", "1") else await self._signed_in(call)
        return self._form(call, asked, person, given)

    async def decide(self, call: Call) -> Answer:
        """``POST /oauth/authorize``: what the person decided."""
        found = await params(call)
        given = {name: found.text(name) for name in _ASKED if name in found}
        try:
            asked = await self.api.database.read(oauth.read_request, given)
        except OAuthError as error:
            return page("This does not work", f'<p class="wrong">{escape(error.message)}</p>', status=error.status)
        if found.text("decision") != "allow":
            return _back(
                asked, {"error": "access_denied", "error_description": "The resource owner denied the request."}
            )
        person = await self._signed_in(call)
        cookie: tuple[tuple[bytes, bytes], ...] = ()
        if person is not None and "password" not in found:
            if not hmac.compare_digest(found.text("proof").encode(), self._proof(call, asked).encode()):
                raise NotAllowed("This form does not belong to your session; go back and try again.")
        else:
            person = await self._sign_in(call, found)
            if person is None:
                wrong = "That name and password do not belong together."
                return self._form(call, asked, None, given, wrong=wrong, name=found.text("name"))
            await self.api.database.write(moderation.signed_in, person.id, call.client)
            cookie = (await self._cookie(person),)
        code = await self.api.database.write(oauth.allow, person.id, asked)
        if asked.redirect_uri == OOB:
            body = f"<p>Copy this code into {escape(asked.app.name)}:</p><code>{escape(code)}</code>"
            return page("Signed in", body, headers=cookie)
        return _back(asked, {"code": code}, cookie)

    async def _sign_in(self, call: Call, found: Params) -> Actor | None:
        """The person with that name and password. Each attempt counts, for the address and for the account."""
        name, rates = found.text("name").strip(), self.api.federation.rates
        limit = self.api.instance.config.limits.auth_rate
        # An office may share one address, so that may try more often than one account may be tried.
        rates.take("auth", f"address:{call.client}", 10 * limit)
        rates.take("auth", f"name:{name.lower()[:200]}", limit)
        known = await self.api.database.read(oauth.find_person, name)
        stored = known[1] if known else None
        matches = await asyncio.to_thread(account_services.password_matches, found.text("password"), stored)
        return known[0] if known is not None and matches else None

    async def _signed_in(self, call: Call) -> Actor | None:
        token = self._session(call)
        if not token:
            return None
        ident = await self.api.database.read(oauth_store.session, account_services.token_hash(token))
        return await self.api.database.read(actors.by_id, ident) if ident is not None else None

    @staticmethod
    def _session(call: Call) -> str:
        for part in call.headers.get("cookie", "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == COOKIE:
                return value
        return ""

    async def _cookie(self, person: Actor) -> tuple[bytes, bytes]:
        token = await self.api.database.write(oauth.begin_session, person.id)
        secure = "" if self.api.site.names.origin.startswith("http://") else " Secure;"
        age = oauth.SESSION_MILLIS // 1000
        return (b"set-cookie", f"{COOKIE}={token}; Path=/oauth; HttpOnly;{secure} SameSite=Lax; Max-Age={age}".encode())

    def _proof(self, call: Call, asked: Request) -> str:
        """Ties a form to the browser session and to what was asked."""
        said = "\n".join((self._session(call), asked.app.client_id, asked.redirect_uri, asked.scopes))
        return hmac.new(self.api.instance.config.secret_key, said.encode(), hashlib.sha256).hexdigest()

    def _form(
        self,
        call: Call,
        asked: Request,
        person: Actor | None,
        given: dict[str, str],
        *,
        wrong: str = "",
        name: str = "",
    ) -> Answer:
        rights = "".join(f"<li>{escape(_meaning(scope))}</li>" for scope in asked.scopes.split())
        kept = "".join(
            f'<input type="hidden" name="{n}" value="{escape(given[n])}">' for n in _ASKED if given.get(n)
        )  # fmt: skip
        if person is None:
            who = (
                f'<label>Name or e-mail address <input name="name" value="{escape(name)}" autocomplete="username" '
                'autocapitalize="none" required autofocus></label>'
                '<label>Password <input name="password" type="password" autocomplete="current-password" required>'
                "</label>"
            )
        else:
            who = (
                f'<p class="quiet">You are signed in as <b>@{escape(person.name)}</b>.</p>'
                f'<input type="hidden" name="proof" value="{self._proof(call, asked)}">'
            )
        complaint = f'<p class="wrong" role="alert">{escape(wrong)}</p>' if wrong else ""
        body = (
            f"<p><b>{escape(asked.app.name)}</b> wants to</p><ul>{rights}</ul>{complaint}"
            f'<form method="post" action="/oauth/authorize">{kept}{who}<div class="row">'
            '<button name="decision" value="deny" formnovalidate>Deny</button>'
            '<button class="go" name="decision" value="allow">Allow</button></div></form>'
        )
        return page(f"Sign in to {self.api.site.names.domain}", body, status=401 if wrong else 200)


def _meaning(scope: str) -> str:
    broad, _, fine = scope.partition(":")
    meaning = _MEANING.get(broad, broad)
    return f"{meaning} ({fine})" if fine else meaning


def oauth_error(error: OAuthError) -> Answer:
    """An error as RFC 6749 section 5.2 has it."""
    headers = ((b"www-authenticate", b'Bearer realm="fedishare"'),) if error.status == 401 else ()
    body = {"error": error.code, "error_description": error.message}
    return json_answer(body, status=error.status, headers=((b"cache-control", b"no-store"), *headers))


def _back(asked: Request, answer: dict[str, str], headers: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
    """Send the browser back to the app."""
    if asked.redirect_uri == OOB:
        return page("Denied", "<p>The app was not allowed. You can close this page.</p>", headers=headers)
    said = {**answer, **({"state": asked.state} if asked.state else {})}
    separator = "&" if urlsplit(asked.redirect_uri).query else "?"
    place = f"{asked.redirect_uri}{separator}{urlencode(said)}"
    return Answer(status=303, headers=((b"location", place.encode()), *headers))
