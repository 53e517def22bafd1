"""Reports for moderators, with the posts that they are about.

A reported post is shown to those who handle reports although it may not be meant for them: whoever reported it could
see it and handed it over. Its pictures stay where they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from fedishare.api import entities
from fedishare.api.admin import AdminAccount, Desk, admin_account
from fedishare.api.http import Api, page_of, paged, params, parse_id
from fedishare.api.instance_texts import Rule, rule_entity
from fedishare.api.rendering import Renderer
from fedishare.api.table import Table
from fedishare.http.call import Answer, Call, json_answer
from fedishare.http.routes import Handler, Route
from fedishare.model.actors import Viewer
from fedishare.model.errors import NotFound
from fedishare.model.ids import Id
from fedishare.policy.roles import Right
from fedishare.services import moderation
from fedishare.store import actors, notice_board, timelines
from fedishare.store import moderation as store
from fedishare.store.db import Tx
from fedishare.store.moderation import Report


class AdminReport(msgspec.Struct, frozen=True, kw_only=True):
    """A report as moderators see it."""

    id: str
    action_taken: bool
    action_taken_at: str | None
    category: str
    comment: str
    forwarded: bool
    created_at: str
    updated_at: str
    account: AdminAccount | None
    target_account: AdminAccount | None
    assigned_account: AdminAccount | None
    action_taken_by_account: AdminAccount | None
    statuses: list[msgspec.Raw]
    rules: list[Rule]


@dataclass(frozen=True, slots=True)
class AdminReports:
    """The handlers."""

    api: Api

    async def several(self, call: Call) -> Answer:
        """``GET /api/v1/admin/reports``"""
        found = await params(call)
        page, me = page_of(found, limit=100, most=200), call.me.id
        resolved, reporter, target = found.flag("resolved"), found.ident("account_id"), found.ident("target_account_id")

        def read(tx: Tx) -> list[AdminReport]:
            who = actors.by_id(tx, reporter) if reporter is not None else None
            if reporter is not None and who is None:
                return []
            rows = store.reports(tx, page, resolved=resolved, reporter=who.iri if who else "", target=target)
            return [self._shown(tx, self.api.renderer, row, me) for row in rows]

        shown = await self.api.database.read(read)
        return paged(self.api, call, shown, [Id(int(each.id)) for each in shown])

    async def show(self, call: Call) -> Answer:
        """``GET /api/v1/admin/reports/{id}``"""
        ident, me = parse_id(call.params["id"]), call.me.id

        def read(tx: Tx) -> AdminReport:
            return self._shown(tx, self.api.renderer, moderation.report(tx, ident), me)

        return json_answer(await self.api.database.read(read))

    def _shown(self, tx: Tx, renderer: Renderer, row: Report, viewer: Id) -> AdminReport:
        reporter = actors.by_iri(tx, row.reporter_iri)
        # Those that somebody could see who reported them; a post that is gone is left out.
        entries = timelines.entries_of(tx, row.post_ids)
        rules = notice_board.rules_by_ids(tx, row.rule_ids)
        return AdminReport(
            id=str(row.id), action_taken=row.resolved_at is not None,
            action_taken_at=entities.time_text(row.resolved_at), category=row.category, comment=row.comment,
            forwarded=row.forwarded, created_at=entities.instant(row.created_at),
            updated_at=entities.instant(row.updated_at),
            account=admin_account(tx, renderer, reporter.id if reporter else None),
            target_account=admin_account(tx, renderer, row.target_id),
            assigned_account=admin_account(tx, renderer, row.assigned_id),
            action_taken_by_account=admin_account(tx, renderer, row.resolved_by),
            statuses=[msgspec.Raw(part) for part in renderer.page(tx, entries, viewer)],
            rules=[rule_entity(rule) for rule in rules],
        )  # fmt: skip

    async def update(self, call: Call) -> Answer:
        """``PUT /api/v1/admin/reports/{id}``"""
        found, ident = await params(call), parse_id(call.params["id"])
        rules = [parse_id(text) for text in found.texts("rule_ids")[:100]]

        def change(tx: Tx, me: Viewer, known: Id) -> None:
            before = moderation.report(tx, known)
            named = rules if "rule_ids" in found else before.rule_ids
            moderation.classify(tx, me, known, found.text("category", before.category), named)

        return await self._change(call, ident, change)

    async def _change(self, call: Call, ident: Id, change: Callable[[Tx, Viewer, Id], Any]) -> Answer:
        def write(tx: Tx, renderer: Renderer, me: Viewer) -> AdminReport:
            change(tx, me, ident)
            found = store.report(tx, ident)
            if found is None:
                raise NotFound("Record not found")
            return self._shown(tx, renderer, found, me.id)

        return json_answer(await self.api.write_shown(write, call.me))

    def changing(self, change: Callable[[Tx, Viewer, Id], Any]) -> Handler:
        """A handler that answers with the report as it is then."""

        async def handler(call: Call) -> Answer:
            return await self._change(call, parse_id(call.params["id"]), change)

        return handler


def _take(tx: Tx, me: Viewer, ident: Id) -> None:
    moderation.assign(tx, me, ident, me.id)


def _leave(tx: Tx, me: Viewer, ident: Id) -> None:
    moderation.assign(tx, me, ident, None)


def routes(api: Api, table: Table) -> list[Route]:
    """The lines of the registry."""
    found = AdminReports(api)
    desk = Desk(api, table, Right.MANAGE_REPORTS, "reports")
    at = "/v1/admin/reports/{id}"
    changes = {
        "assign_to_self": _take,
        "unassign": _leave,
        "resolve": moderation.close,
        "reopen": moderation.reopen,
    }
    return [
        desk.look("GET", "/v1/admin/reports", found.several),
        desk.look("GET", at, found.show),
        desk.change("PUT", at, found.update),
        *(desk.change("POST", f"{at}/{verb}", found.changing(change)) for verb, change in changes.items()),
    ]
