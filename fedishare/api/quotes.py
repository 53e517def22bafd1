"""Quotes for apps: who quotes a status, taking that back, and who may quote one's own."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from fedishare.api.drafts import read_quote_rule
from fedishare.api.http import Api, Preferences, page_of, paged, params, parse_id
from fedishare.api.rendering import Renderer
from fedishare.api.table import Table
from fedishare.http.call import Answer, Call
from fedishare.http.routes import Route
from fedishare.model.errors import NotFound
from fedishare.model.ids import Id
from fedishare.model.quotes import NOBODY, QUOTE_RULES, Rule
from fedishare.services import interactions
from fedishare.services import quotes as quote_services
from fedishare.store import actors, credentials, quotes
from fedishare.store.db import Tx


def preferred_rule(tx: Tx, viewer: Id) -> Rule:
    """Who may quote somebody's new posts."""
    kept = credentials.get(tx, viewer)
    chosen = msgspec.json.decode(kept.settings, type=Preferences).quote_policy if kept is not None else ""
    return QUOTE_RULES.get(chosen, NOBODY)


@dataclass(frozen=True, slots=True)
class Quotes:
    """The handlers."""

    api: Api

    async def quotes(self, call: Call) -> Answer:
        """``GET /api/v1/statuses/{id}/quotes``: with consent, and as far as the reader may see them."""
        page = page_of(await params(call))
        ident, viewer = parse_id(call.params["id"]), call.me.id

        def read(tx: Tx) -> tuple[list[Id], list[bytes]]:
            post = interactions.visible_original(tx, viewer, ident)
            found = quotes.page(tx, post.id, viewer, page)
            return found, self.api.renderer.visible_posts(tx, found, viewer)

        idents, shown = await self.api.database.read(read)
        return paged(self.api, call, [msgspec.Raw(part) for part in shown], idents)

    async def revoke(self, call: Call) -> Answer:
        """``POST /api/v1/statuses/{id}/quotes/{quoting_status_id}/revoke``: answers with the quoting status."""
        ident, quoting = parse_id(call.params["id"]), parse_id(call.params["quoting_status_id"])
        return Answer(await self.api.write_shown(self._revoke, call.me.id, ident, quoting))

    def _revoke(self, tx: Tx, renderer: Renderer, viewer: Id, ident: Id, quoting: Id) -> bytes:
        actor = actors.by_id(tx, viewer)
        if actor is None:
            raise NotFound("Record not found")
        quote_services.revoke(tx, self.api.site, actor, ident, quoting)
        return _shown(tx, renderer, quoting, viewer)

    async def set_policy(self, call: Call) -> Answer:
        """``PUT /api/v1/statuses/{id}/interaction_policy``"""
        rule, ident = read_quote_rule(await params(call)), parse_id(call.params["id"])
        return Answer(await self.api.write_shown(self._set_policy, call.me.id, ident, rule))

    def _set_policy(self, tx: Tx, renderer: Renderer, viewer: Id, ident: Id, rule: Rule | None) -> bytes:
        actor = actors.by_id(tx, viewer)
        if actor is None:
            raise NotFound("Record not found")
        quote_services.set_policy(tx, actor, ident, rule or preferred_rule(tx, viewer))
        return _shown(tx, renderer, ident, viewer)


def _shown(tx: Tx, renderer: Renderer, ident: Id, viewer: Id) -> bytes:
    found = renderer.visible_post(tx, ident, viewer)
    if found is None:
        raise NotFound("Record not found")
    return found


def routes(api: Api, table: Table) -> list[Route]:
    """The lines of this module."""
    found, at = Quotes(api), "/api/v1/statuses/{id}"
    return [
        table.line("GET", f"{at}/quotes", "read:statuses", found.quotes),
        table.line("POST", f"{at}/quotes/{{quoting_status_id}}/revoke", "write:statuses", found.revoke),
        table.line("PUT", f"{at}/interaction_policy", "write:statuses", found.set_policy),
    ]
