"""Passwords: changed by an app, or chosen anew on a page that an operator's link leads to.

The page works without scripts. What the link holds stands in the form, so that nobody else's form can be sent; the page
leads nowhere else, so that no other server learns its address.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from html import escape

from fedishare.api.http import Api, params
from fedishare.api.table import OWN, Table
from fedishare.http.call import Answer, Call, json_answer
from fedishare.http.pages import page
from fedishare.http.routes import Route
from fedishare.model.actors import Viewer
from fedishare.model.errors import BadInput, NotAllowed, NotFound
from fedishare.services import accounts, passwords
from fedishare.store import credentials

PAGE = "/auth/password"
WRONG = "The current password is not right"


async def prove(api: Api, viewer: Viewer, password: str) -> str:
    """That it is the person, and not only somebody with their phone; returns the stored hash.

    Raises `NotAllowed`; `TooMany` for whoever tries passwords, as the sign-in page does.
    """
    api.federation.rates.take("auth", f"name:{viewer.name.lower()}", api.instance.config.limits.auth_rate)
    kept = await api.database.read(credentials.get, viewer.id)
    stored = kept.password_hash if kept is not None else None
    if not await asyncio.to_thread(accounts.password_matches, password, stored) or stored is None:
        raise NotAllowed(WRONG)
    return stored


@dataclass(frozen=True, slots=True)
class Passwords:
    """The handlers."""

    api: Api

    async def change(self, call: Call) -> Answer:
        """``POST /api/v1/fedishare/password``: every other app and browser is signed out."""
        found = await params(call)
        wanted = _checked(found.text("new_password"))
        before = await prove(self.api, call.me, found.text("current_password"))
        hashed = await asyncio.to_thread(accounts.hash_password, wanted)
        await self.api.database.write(passwords.change, call.me.id, hashed, before, call.me.token_id)
        return json_answer({})

    async def ask(self, call: Call) -> Answer:
        """``GET /auth/password?token=…``: where somebody chooses a new password."""
        self._count(call)
        token = dict(call.query).get("token", "")
        return await self._form(token)

    async def choose(self, call: Call) -> Answer:
        """``POST /auth/password``"""
        self._count(call)
        found = await params(call)
        token, wanted = found.text("token"), found.text("password")
        try:
            _checked(wanted)
        except BadInput as error:
            return await self._form(token, wrong=error.message)
        if wanted != found.text("again"):
            return await self._form(token, wrong="The two are not the same.")
        if await self._name(token) is None:  # before the work of a hash is done for somebody without a link
            return _gone()
        hashed = await asyncio.to_thread(accounts.hash_password, wanted)
        try:
            actor = await self.api.database.write(passwords.use_link, token, hashed)
        except NotFound:
            return _gone()
        body = (
            f"<p><b>@{escape(actor.name)}</b> has a new password. Apps and browsers that were signed in are signed "
            "out; sign in again with the new one.</p>"
        )
        return page("Your password is changed", body)

    def _count(self, call: Call) -> None:
        limit = self.api.instance.config.limits.auth_rate
        self.api.federation.rates.take("auth", f"reset:{call.client}", 10 * limit)

    async def _name(self, token: str) -> str | None:
        try:
            return (await self.api.database.read(passwords.owner_of_link, token)).name
        except NotFound:
            return None

    async def _form(self, token: str, *, wrong: str = "") -> Answer:
        name = await self._name(token)
        if name is None:
            return _gone()
        complaint = f'<p class="wrong" role="alert">{escape(wrong)}</p>' if wrong else ""
        limits = f'minlength="{accounts.MIN_PASSWORD}" maxlength="{accounts.MAX_PASSWORD}"'
        field = f'type="password" autocomplete="new-password" {limits} required'
        body = (
            f"<p>For <b>@{escape(name)}</b>. At least {accounts.MIN_PASSWORD} characters; a few words that only you "
            f'would put together are good.</p>{complaint}<form method="post" action="{PAGE}">'
            f'<input type="hidden" name="token" value="{escape(token)}">'
            f'<input type="hidden" name="username" value="{escape(name)}" autocomplete="username">'
            f'<label>New password <input name="password" {field} autofocus></label>'
            f'<label>Once more <input name="again" {field}></label>'
            '<div class="row"><button class="go">Change it</button></div></form>'
        )
        return page("Choose a new password", body, status=422 if wrong else 200)


def _gone() -> Answer:
    return page("This link does not work", f"<p>{passwords.GONE}</p>", status=404)


def _checked(wanted: str) -> str:
    """A new password of an allowed length. Raises `BadInput`."""
    if not accounts.MIN_PASSWORD <= len(wanted) <= accounts.MAX_PASSWORD:
        least, most = accounts.MIN_PASSWORD, accounts.MAX_PASSWORD
        raise BadInput(f"A password has {least} to {most} characters; this one has {len(wanted)}.", path="password")
    return wanted


def routes(api: Api, table: Table) -> list[Route]:
    """The lines of the registry."""
    found = Passwords(api)
    return [
        table.line("POST", "/api/v1/fedishare/password", "write:accounts", found.change, OWN),
        table.before("GET", PAGE, found.ask),
        table.before("POST", PAGE, found.choose),
    ]
