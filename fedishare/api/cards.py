"""What stands beside a status's own text: its link's card, and a translation, which nobody here makes."""

from __future__ import annotations

from dataclasses import dataclass

from fedishare.api import entities
from fedishare.api.http import Api, parse_id
from fedishare.api.table import Table
from fedishare.http.call import Answer, Call, json_answer
from fedishare.http.routes import Route
from fedishare.model.errors import NotAllowed
from fedishare.model.ids import Id
from fedishare.services import interactions
from fedishare.store import cards
from fedishare.store.db import Tx


@dataclass(frozen=True, slots=True)
class Beside:
    """The handlers."""

    api: Api

    async def card(self, call: Call) -> Answer:
        """``GET /api/v1/statuses/{id}/card``, for old apps: the status has it, too. Without a card, an empty object."""
        return json_answer(await self.api.database.read(self._card, parse_id(call.params["id"]), call.me.id))

    def _card(self, tx: Tx, ident: Id, viewer: Id) -> object:
        post = interactions.visible_original(tx, viewer, ident)
        found = cards.of_posts(tx, [post.id]).get(post.id)
        return entities.card(found, self.api.renderer.links(tx, viewer)) if found is not None else {}

    async def translate(self, call: Call) -> Answer:
        """``POST /api/v1/statuses/{id}/translate``: refused as Mastodon does where no translation is set up."""
        await self.api.database.read(interactions.visible_original, call.me.id, parse_id(call.params["id"]))
        raise NotAllowed("This action is not allowed")

    async def languages(self, call: Call) -> Answer:
        """``GET /api/v1/instance/translation_languages``: from nothing into nothing."""
        return json_answer({})


def routes(api: Api, table: Table) -> list[Route]:
    """The lines of the registry."""
    found, at = Beside(api), "/api/v1/statuses/{id}"
    return [
        table.line("GET", f"{at}/card", "read:statuses", found.card),
        table.line("POST", f"{at}/translate", "read:statuses", found.translate),
        table.described("/api/v1/instance/translation_languages", found.languages),
    ]
