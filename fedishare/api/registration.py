"""Sign-up, where the instance opens it: an app brings somebody new, and gets a token for them."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime

from fedishare.activitypub.keyring import new_keys
from fedishare.api.http import Api, Params, params
from fedishare.http.call import Answer, Call, json_answer
from fedishare.model.actors import Role
from fedishare.model.errors import BadInput, NotAllowed, NotSignedIn
from fedishare.services import accounts, moderation
from fedishare.services.accounts import KeyPair
from fedishare.store import credentials
from fedishare.store import moderation as moderation_store
from fedishare.store import oauth as oauth_store
from fedishare.store.db import Tx
from fedishare.store.oauth import App
from fedishare.text import clean_text

MAX_REASON = 2000
MAX_AGE = 130
_LOCALE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*\Z")


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Somebody who signs up; the password is hashed by now."""

    name: str
    email: str
    password_hash: str
    approved: bool
    address: str
    reason: str | None
    locale: str | None


@dataclass(frozen=True, slots=True)
class Registration:
    """The handlers."""

    api: Api

    async def create(self, call: Call) -> Answer:
        """``POST /api/v1/accounts`` with the app's own token. With mode approval the new one works once approved."""
        app, scopes = await self._app(call)
        mode = self.api.instance.config.registration.mode
        if mode == "closed":
            raise NotAllowed("This action is not allowed: accounts are made by the organization")
        if "write" not in scopes and "write:accounts" not in scopes:
            raise NotAllowed("This action is outside the authorized scopes")
        found = await params(call)
        if not found.flag("agreement"):
            raise BadInput("Validation failed: Service agreement must be accepted", path="agreement")
        if not found.text("email"):
            raise BadInput("Validation failed: Email can't be blank", path="email")
        if found.text("locale") and not _LOCALE.match(found.text("locale")):
            raise BadInput("Validation failed: Locale is not a language code", path="locale")
        self._check(found)
        limit = self.api.instance.config.limits.auth_rate
        self.api.federation.rates.take("sign-up", call.client, limit)
        hashed = await asyncio.to_thread(accounts.hash_password, found.text("password"))
        keys = await asyncio.to_thread(new_keys)
        newcomer = Newcomer(
            found.text("username"), found.text("email"), hashed, approved=mode == "open", address=call.client,
            reason=clean_text(found.text("reason")).strip()[:MAX_REASON] or None, locale=found.text("locale") or None,
        )  # fmt: skip
        token = accounts.new_token()
        await self.api.database.write(self._create, newcomer, keys, app, " ".join(scopes), token)
        return json_answer(
            {"access_token": token, "token_type": "Bearer", "scope": " ".join(scopes),
             "created_at": self.api.instance.clock() // 1000},
            headers=((b"cache-control", b"no-store"),),
        )  # fmt: skip

    def _check(self, found: Params) -> None:
        """What this instance wants to know besides. Raises `BadInput`."""
        settings = self.api.instance.config.registration
        if settings.mode == "approval" and settings.require_reason and not found.text("reason").strip():
            raise BadInput("Validation failed: Reason can't be blank", path="reason")
        if settings.min_age is None:
            return
        try:
            born = date.fromisoformat(found.text("date_of_birth"))
        except ValueError as error:
            raise BadInput("Validation failed: Date of birth is invalid", path="date_of_birth") from error
        today = datetime.fromtimestamp(self.api.instance.clock() / 1000, UTC).date()
        age = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
        if not settings.min_age <= age < MAX_AGE:
            raise BadInput("Validation failed: Date of birth is below the age limit", path="date_of_birth")

    async def _app(self, call: Call) -> tuple[App, list[str]]:
        kind, _, token = call.headers.get("authorization", "").partition(" ")
        hashed = accounts.token_hash(token.strip())
        found = await self.api.database.read(oauth_store.app_of_token, hashed) if kind.lower() == "bearer" else None
        if found is None:
            raise NotSignedIn("The access token is invalid")
        return found[0], found[1].split()

    def _create(self, tx: Tx, newcomer: Newcomer, keys: KeyPair, app: App, scopes: str, token: str) -> None:
        waits = moderation.judge(tx, moderation.Newcomer(newcomer.email, newcomer.address))
        made = accounts.create(
            tx, self.api.site, newcomer.name, keys, email=newcomer.email, password_hash=newcomer.password_hash,
            role=Role.MEMBER, approved=newcomer.approved and not waits,
        )  # fmt: skip
        moderation_store.set_application(tx, made.id, reason=newcomer.reason, locale=newcomer.locale, app=app.id)
        moderation_store.signed_in(tx, made.id, newcomer.address)
        moderation.signed_up(tx, made)
        credentials.put_token(tx, accounts.token_hash(token), made.id, scopes=scopes, app=app.id)
