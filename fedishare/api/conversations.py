"""Conversations: direct posts with the same people in one thread, the newest of them first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import msgspec

from fedishare.api.http import Api, page_of, paged, params, parse_id
from fedishare.api.rendering import Renderer
from fedishare.api.table import OWN, Table
from fedishare.http.call import Answer, Call, json_answer
from fedishare.http.routes import Route
from fedishare.model.filters import Context
from fedishare.model.ids import Id
from fedishare.services import conversations as service
from fedishare.store import actors, conversations
from fedishare.store.conversations import Conversation
from fedishare.store.db import Tx


class ConversationEntity(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation, as one person has it. Without anybody else in it, ``accounts`` is that person."""

    id: str
    unread: bool
    accounts: list[msgspec.Raw]
    last_status: msgspec.Raw | None


@dataclass(frozen=True, slots=True)
class Conversations:
    """The handlers."""

    api: Api

    async def listing(self, call: Call) -> Answer:
        """``GET /api/v1/conversations``: pages are counted in ids of last statuses."""
        page = page_of(await params(call))

        def read(tx: Tx) -> tuple[list[Id], list[ConversationEntity]]:
            found = conversations.page(tx, call.me.id, page)
            return [each.last_post_id for each in found], _entities(tx, self.api.renderer, found, call.me.id)

        idents, body = await self.api.database.read(read)
        return paged(self.api, call, body, idents)

    async def mark(self, call: Call, *, unread: bool) -> Answer:
        """``POST /api/v1/conversations/{id}/read`` and ``/unread``"""

        def write(tx: Tx, renderer: Renderer) -> ConversationEntity:
            found = service.mark(tx, call.me.id, parse_id(call.params["id"]), unread=unread)
            return _entities(tx, renderer, [found], call.me.id)[0]

        return json_answer(await self.api.write_shown(write))

    async def remove(self, call: Call) -> Answer:
        """``DELETE /api/v1/conversations/{id}``"""
        await self.api.database.write(service.remove, call.me.id, parse_id(call.params["id"]))
        return json_answer({})

    async def direct(self, call: Call) -> Answer:
        """``GET /api/v1/timelines/direct``: the posts themselves, for apps that know no conversations."""
        page = page_of(await params(call))

        def read(tx: Tx) -> tuple[list[Id], list[msgspec.Raw]]:
            idents = conversations.posts(tx, call.me.id, page)
            shown = self.api.renderer.visible_posts(tx, idents, call.me.id, Context.HOME)
            return idents, [msgspec.Raw(part) for part in shown]

        idents, body = await self.api.database.read(read)
        return paged(self.api, call, body, idents)

    def one_json(self, tx: Tx, ident: Id, viewer: Id) -> bytes | None:
        """A conversation of the viewer as JSON, for streams; None when it is gone."""
        found = conversations.get(tx, viewer, ident)
        return msgspec.json.encode(_entities(tx, self.api.renderer, [found], viewer)[0]) if found is not None else None


def _entities(
    tx: Tx, renderer: Renderer, found: Sequence[Conversation], viewer: Id
) -> list[ConversationEntity]:  # fmt: skip
    people = {each.id: each.people or (viewer,) for each in found}
    known = actors.by_ids(tx, [ident for named in people.values() for ident in named])
    return [
        ConversationEntity(
            id=str(each.id), unread=each.unread,
            accounts=renderer.accounts(tx, [known[i] for i in people[each.id] if i in known]),
            last_status=msgspec.Raw(status)
            if (status := renderer.visible_post(tx, each.last_post_id, viewer)) is not None
            else None,
        )
        for each in found
    ]  # fmt: skip


def routes(api: Api, table: Table) -> list[Route]:
    """This module's lines of the registry."""
    found, at = Conversations(api), "/api/v1/conversations"
    return [
        table.line("GET", at, "read:statuses", found.listing),
        table.line("POST", f"{at}/{{id}}/read", "write:conversations", partial(found.mark, unread=False), OWN),
        table.line("POST", f"{at}/{{id}}/unread", "write:conversations", partial(found.mark, unread=True), OWN),
        table.line("DELETE", f"{at}/{{id}}", "write:conversations", found.remove, OWN),
        table.line("GET", "/api/v1/timelines/direct", "read:statuses", found.direct),
    ]
