"""Accounts for moderators: find them, let them in, and do what has to be done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from fedishare.api.admin import AdminAccount, Desk, admin_account, admin_accounts
from fedishare.api.http import Api, Params, page_of, paged, params, parse_id
from fedishare.api.rendering import Renderer
from fedishare.api.table import Table
from fedishare.http.call import Answer, Call, json_answer
from fedishare.http.routes import Handler, Route
from fedishare.model.actors import Role, Viewer
from fedishare.model.errors import BadInput, NotFound
from fedishare.model.ids import Id
from fedishare.policy.roles import ROLE_IDS, Right
from fedishare.services import moderation
from fedishare.store import moderation as store
from fedishare.store.db import Tx
from fedishare.store.moderation import Wanted
from fedishare.text import clean_text

STATUSES = ("active", "pending", "disabled", "silenced", "suspended", "sensitized")
MAX_TEXT = 2000


@dataclass(frozen=True, slots=True)
class AdminAccounts:
    """The handlers."""

    api: Api

    async def list_v1(self, call: Call) -> Answer:
        """``GET /api/v1/admin/accounts``: each filter is a switch."""
        found = await params(call)
        origin = next((word for word in ("local", "remote") if found.flag(word)), "")
        status = next((word for word in STATUSES if found.flag(word)), "")
        return await self._list(call, found, _wanted(found, origin, status, staff=found.flag("staff")))

    async def list_v2(self, call: Call) -> Answer:
        """``GET /api/v2/admin/accounts``"""
        found = await params(call)
        origin, status = found.text("origin"), found.text("status")
        if origin not in ("", "local", "remote"):
            raise BadInput("Validation failed: Origin is not included in the list", path="origin")
        if status not in ("", *STATUSES):
            raise BadInput("Validation failed: Status is not included in the list", path="status")
        wanted = _wanted(found, origin, status, staff=found.text("permissions") == "staff")
        return await self._list(call, found, wanted)

    async def _list(self, call: Call, found: Params, wanted: Wanted | None) -> Answer:
        page = page_of(found, limit=100, most=200)

        def read(tx: Tx) -> list[AdminAccount]:
            idents = store.accounts(tx, wanted, page) if wanted is not None else []
            return admin_accounts(tx, self.api.renderer, idents)

        shown = await self.api.database.read(read)
        return paged(self.api, call, shown, [Id(int(each.id)) for each in shown])

    async def show(self, call: Call) -> Answer:
        """``GET /api/v1/admin/accounts/{id}``"""
        return json_answer(await self.api.database.read(self._read, parse_id(call.params["id"])))

    def _read(self, tx: Tx, ident: Id) -> AdminAccount:
        return self._shown(tx, self.api.renderer, ident)

    @staticmethod
    def _shown(tx: Tx, renderer: Renderer, ident: Id) -> AdminAccount:
        shown = admin_account(tx, renderer, moderation.account(tx, ident).id)
        if shown is None:
            raise NotFound("Record not found")
        return shown

    async def action(self, call: Call) -> Answer:
        """``POST /api/v1/admin/accounts/{id}/action``"""
        found, ident = await params(call), parse_id(call.params["id"])
        kind, report = found.text("type"), found.ident("report_id")
        text = clean_text(found.text("text"))[:MAX_TEXT]
        await self.api.database.write(moderation.act, call.me, ident, kind, report=report, text=text)
        return json_answer({})

    def changing(self, change: Callable[[Tx, Viewer, Id], Any], *, gone: bool = False) -> Handler:
        """A handler that answers with the account: as it is then, or, when it is ``gone``, as it was."""

        def write(tx: Tx, renderer: Renderer, me: Viewer, ident: Id) -> AdminAccount:
            before = self._shown(tx, renderer, ident)
            change(tx, me, ident)
            return before if gone else self._shown(tx, renderer, ident)

        async def handler(call: Call) -> Answer:
            return json_answer(await self.api.write_shown(write, call.me, parse_id(call.params["id"])))

        return handler


def _wanted(found: Params, origin: str, status: str, *, staff: bool) -> Wanted | None:
    """What is looked for; None: nobody can be meant."""
    roles = tuple(role for role, ident in ROLE_IDS.items() if ident in found.texts("role_ids"))
    if found.texts("role_ids") and not roles:
        return None
    if staff:
        roles = tuple(role for role in (roles or tuple(Role)) if role is not Role.MEMBER)
    if found.text("invited_by"):
        return None  # there are no invitations
    return Wanted(
        origin, status, roles, found.text("username"), found.text("display_name"),
        found.text("by_domain").strip().lower(), found.text("email"), found.text("ip").strip(),
    )  # fmt: skip


def routes(api: Api, table: Table) -> list[Route]:
    """The lines of the registry."""
    found = AdminAccounts(api)
    desk = Desk(api, table, Right.MANAGE_USERS, "accounts")
    at = "/v1/admin/accounts/{id}"
    changes: dict[str, Callable[[Tx, Viewer, Id], Any]] = {
        "approve": moderation.approve,
        "enable": moderation.enable,
        "unsilence": moderation.unsilence,
        "unsuspend": moderation.unsuspend,
        "unsensitive": moderation.unsensitive,
    }
    removing = partial(found.changing, gone=True)
    return [
        desk.look("GET", "/v1/admin/accounts", found.list_v1),
        desk.look("GET", "/v2/admin/accounts", found.list_v2),
        desk.look("GET", at, found.show),
        desk.change("DELETE", at, removing(moderation.remove)),
        desk.change("POST", f"{at}/action", found.action),
        desk.change("POST", f"{at}/reject", removing(moderation.reject)),
        *(desk.change("POST", f"{at}/{verb}", found.changing(change)) for verb, change in changes.items()),
    ]
