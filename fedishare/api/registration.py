"""Sign-up, where the instance opens it: an app brings somebody new, and gets a token for them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from fedishare.activitypub.keyring import new_keys
from fedishare.api.http import Api, Params, params
from fedishare.http.call import Answer, Answered, Call, json_answer
from fedishare.model.actors import Role
from fedishare.model.errors import BadInput, Conflict, NotAllowed, NotSignedIn
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
MAX_NAME = 30
BLANK, TAKEN = "can't be blank", "has already been taken"
_NAME = re.compile(r"[A-Za-z0-9_]+\Z")
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
class Problem:
    """What is wrong with a field; apps know the codes, people read the sentence behind the field's name."""

    field: str
    code: str
    sentence: str


def refusal(wrong: Sequence[Problem]) -> Answered:
    """The answer that apps show beside each field of their form."""
    details: dict[str, list[dict[str, str]]] = {}
    for each in wrong:
        details.setdefault(each.field, []).append({"error": each.code, "description": each.sentence})
    names = {"agreement": "Service agreement"}
    said = ", ".join(
        f"{names.get(each.field, each.field.replace('_', ' ').capitalize())} {each.sentence}" for each in wrong
    )
    return Answered(json_answer({"error": f"Validation failed: {said}", "details": details}, status=422))


def _of_the_account(found: Params) -> Iterator[Problem]:
    """What is wrong with name, address, password, and what had to be agreed to."""
    name, email, password = found.text("username"), found.text("email"), found.text("password")
    if not name:
        yield Problem("username", "ERR_BLANK", BLANK)
    elif len(name) > MAX_NAME:
        yield Problem("username", "ERR_TOO_LONG", f"is too long (maximum is {MAX_NAME} characters)")
    elif not _NAME.match(name):
        yield Problem("username", "ERR_INVALID", "must contain only letters, numbers and underscores")
    elif name.lower() in accounts.RESERVED:
        yield Problem("username", "ERR_RESERVED", "is reserved")
    if not email:
        yield Problem("email", "ERR_BLANK", BLANK)
    elif not accounts.is_email(email):
        yield Problem("email", "ERR_INVALID", "is invalid")
    if not password:
        yield Problem("password", "ERR_BLANK", BLANK)
    elif len(password) < accounts.MIN_PASSWORD:
        yield Problem("password", "ERR_TOO_SHORT", f"is too short (minimum is {accounts.MIN_PASSWORD} characters)")
    elif len(password) > accounts.MAX_PASSWORD:
        yield Problem("password", "ERR_TOO_LONG", f"is too long (maximum is {accounts.MAX_PASSWORD} characters)")
    if not found.flag("agreement"):
        yield Problem("agreement", "ERR_ACCEPTED", "must be accepted")
    if found.text("locale") and not _LOCALE.match(found.text("locale")):
        yield Problem("locale", "ERR_INCLUSION", "is not a language code")


@dataclass(frozen=True, slots=True)
class Registration:
    """The handlers."""

    api: Api

    async def create(self, call: Call) -> Answer:
        """``POST /api/v1/accounts`` with the app's own token. With mode approval the new one works once approved.

        Raises `Answered` with Mastodon's ``details`` by field.
        """
        app, scopes = await self._app(call)
        mode = self.api.instance.config.registration.mode
        if mode == "closed":
            raise NotAllowed("This action is not allowed: accounts are made by the organization")
        if "write" not in scopes and "write:accounts" not in scopes:
            raise NotAllowed("This action is outside the authorized scopes")
        found = await params(call)
        wrong = [*_of_the_account(found), *self._of_the_person(found)]
        if wrong:
            raise refusal(wrong)
        limit = self.api.instance.config.limits.auth_rate
        self.api.federation.rates.take("sign-up", call.client, limit)
        hashed = await asyncio.to_thread(accounts.hash_password, found.text("password"))
        keys = await asyncio.to_thread(new_keys)
        newcomer = Newcomer(
            found.text("username"), found.text("email"), hashed, approved=mode == "open", address=call.client,
            reason=clean_text(found.text("reason")).strip()[:MAX_REASON] or None, locale=found.text("locale") or None,
        )  # fmt: skip
        token = accounts.new_token()
        try:
            await self.api.database.write(self._create, newcomer, keys, app, " ".join(scopes), token)
        except Conflict as error:
            raise refusal([Problem(error.path or "username", "ERR_TAKEN", TAKEN)]) from error
        except BadInput as error:  # the address, judged by what moderators block
            said = error.message.removeprefix("Validation failed: Email ")
            raise refusal([Problem("email", "ERR_TAKEN" if said == TAKEN else "ERR_BLOCKED", said)]) from error
        return json_answer(
            {"access_token": token, "token_type": "Bearer", "scope": " ".join(scopes),
             "created_at": self.api.instance.clock() // 1000},
            headers=((b"cache-control", b"no-store"),),
        )  # fmt: skip

    def _of_the_person(self, found: Params) -> Iterator[Problem]:
        """What this instance wants to know besides."""
        settings = self.api.instance.config.registration
        if settings.mode == "approval" and settings.require_reason and not found.text("reason").strip():
            yield Problem("reason", "ERR_BLANK", BLANK)
        if settings.min_age is None:
            return
        try:
            born = date.fromisoformat(found.text("date_of_birth"))
        except ValueError:
            yield Problem("date_of_birth", "ERR_INVALID", "is invalid")
            return
        today = datetime.fromtimestamp(self.api.instance.clock() / 1000, UTC).date()
        age = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
        if not settings.min_age <= age < MAX_AGE:
            yield Problem("date_of_birth", "ERR_BELOW_LIMIT", "is below the age limit")

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
