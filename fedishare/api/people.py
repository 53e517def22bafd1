"""People: notes about them, whom one recommends, whom one might know, the directory, and mutes with their end."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from fedishare.api import entities
from fedishare.api.http import Api, page_of, paged, params, parse_id
from fedishare.api.statuses import own
from fedishare.api.table import OWN, SEEN, Table
from fedishare.http.call import Answer, Call, json_answer
from fedishare.http.routes import Route
from fedishare.model.actors import Actor, Relationship
from fedishare.model.errors import BadInput
from fedishare.model.ids import Id
from fedishare.services import people
from fedishare.services.people import Suggested
from fedishare.store import people as store
from fedishare.store import relations
from fedishare.store.db import Tx
from fedishare.text import clean_text

LEGACY = {"friends_of_friends": "past_interactions", "most_followed": "global"}
"""The one word that apps from before 4.3 know of a suggestion."""


class FamiliarEntity(msgspec.Struct, frozen=True):
    """Followers of an account whom the viewer follows."""

    id: str
    accounts: list[msgspec.Raw]


class SuggestionEntity(msgspec.Struct, frozen=True):
    """Somebody to follow, and why."""

    source: str
    sources: tuple[str, ...]
    account: msgspec.Raw


@dataclass(frozen=True, slots=True)
class People:
    """The handlers."""

    api: Api

    # What one keeps about somebody

    async def note(self, call: Call) -> Answer:
        """``POST /api/v1/accounts/{id}/note``"""
        found, ident = await params(call), parse_id(call.params["id"])
        comment = clean_text(found.text("comment"))

        def write(tx: Tx) -> Relationship:
            people.note(tx, own(tx, call.me.id), ident, comment)
            return relations.relationships(tx, call.me.id, [ident])[ident]

        return json_answer(entities.relationship(await self.api.database.write(write)))

    async def endorse(self, call: Call) -> Answer:
        """``POST /api/v1/accounts/{id}/endorse``, and ``…/pin`` as it was called before 4.4"""
        return await self._endorse(call, True)

    async def unendorse(self, call: Call) -> Answer:
        """``POST /api/v1/accounts/{id}/unendorse`` and ``…/unpin``"""
        return await self._endorse(call, False)

    async def _endorse(self, call: Call, wanted: bool) -> Answer:
        ident = parse_id(call.params["id"])

        def write(tx: Tx) -> Relationship:
            if wanted:
                people.endorse(tx, own(tx, call.me.id), ident)
            else:
                store.unendorse(tx, call.me.id, people.known(tx, ident).id)
            return relations.relationships(tx, call.me.id, [ident])[ident]

        return json_answer(entities.relationship(await self.api.database.write(write)))

    async def endorsements(self, call: Call) -> Answer:
        """``GET /api/v1/endorsements``: one's own"""
        return await self._endorsements(call, call.me.id)

    async def endorsements_of(self, call: Call) -> Answer:
        """``GET /api/v1/accounts/{id}/endorsements``"""
        return await self._endorsements(call, parse_id(call.params["id"]))

    async def _endorsements(self, call: Call, ident: Id) -> Answer:
        page = page_of(await params(call), limit=40, most=80)

        def read(tx: Tx) -> tuple[list[Id], list[msgspec.Raw]]:
            rows = store.endorsements(tx, people.known(tx, ident).id, page)
            return [row[0] for row in rows], self.api.renderer.accounts(tx, [row[1] for row in rows])

        idents, shown = await self.api.database.read(read)
        return paged(self.api, call, shown, idents)

    async def identity_proofs(self, call: Call) -> Answer:
        """``GET /api/v1/accounts/{id}/identity_proofs``: gone since 3.5, so there are none."""
        await self.api.database.read_fast(people.known, parse_id(call.params["id"]))
        return json_answer([])

    # Whom one may know

    async def familiar(self, call: Call) -> Answer:
        """``GET /api/v1/accounts/familiar_followers?id[]=…``"""
        idents = list(dict.fromkeys(parse_id(text) for text in (await params(call)).texts("id")[:40]))

        def read(tx: Tx) -> list[FamiliarEntity]:
            found, renderer = store.familiar(tx, call.me.id, idents), self.api.renderer
            return [FamiliarEntity(str(i), renderer.accounts(tx, found.get(i, []))) for i in idents]

        return json_answer(await self.api.database.read(read))

    async def suggestions(self, call: Call) -> Answer:
        """``GET /api/v2/suggestions``"""
        limit = (await params(call)).number("limit", 40, least=1, most=80)

        def read(tx: Tx) -> list[SuggestionEntity]:
            return [self._suggestion(tx, each) for each in people.suggestions(tx, call.me.id, limit)]

        return json_answer(await self.api.database.read(read))

    def _suggestion(self, tx: Tx, found: Suggested) -> SuggestionEntity:
        account = msgspec.Raw(self.api.renderer.account(tx, found.actor))
        return SuggestionEntity(LEGACY[found.sources[0]], found.sources, account)

    async def suggested_accounts(self, call: Call) -> Answer:
        """``GET /api/v1/suggestions``: the accounts alone"""
        limit = (await params(call)).number("limit", 40, least=1, most=80)

        def read(tx: Tx) -> list[msgspec.Raw]:
            return self.api.renderer.accounts(tx, [each.actor for each in people.suggestions(tx, call.me.id, limit)])

        return json_answer(await self.api.database.read(read))

    async def dismiss_suggestion(self, call: Call) -> Answer:
        """``DELETE /api/v1/suggestions/{account_id}``"""
        await self.api.database.write(people.dismiss_suggestion, call.me.id, parse_id(call.params["account_id"]))
        return json_answer({})

    async def directory(self, call: Call) -> Answer:
        """``GET /api/v1/directory``: who wants to be found"""
        found = await params(call)
        order = found.text("order") or "active"
        if order not in ("active", "new"):
            raise BadInput("order: active or new was expected", path="order")
        limit, skip = found.number("limit", 40, least=1, most=80), found.number("offset", 0, most=10_000)
        local = found.flag("local")

        def read(tx: Tx) -> list[msgspec.Raw]:
            listed = store.directory(tx, call.me.id, by_age=order == "new", local=local, limit=limit, skip=skip)
            return self.api.renderer.accounts(tx, listed)

        return json_answer(await self.api.database.read(read))

    # Mutes

    async def mutes(self, call: Call) -> Answer:
        """``GET /api/v1/mutes``: each with the time when it ends"""
        page = page_of(await params(call), limit=40, most=80)

        def read(tx: Tx) -> tuple[list[Id], list[msgspec.Raw]]:
            rows = relations.mutes(tx, call.me.id, page)
            return [row[0] for row in rows], [self._muted(tx, actor, entities.time_text(end)) for _, end, actor in rows]

        idents, shown = await self.api.database.read(read)
        return paged(self.api, call, shown, idents)

    def _muted(self, tx: Tx, actor: Actor, until: str | None) -> msgspec.Raw:
        account = self.api.renderer.account(tx, actor)
        return msgspec.Raw(account[:-1] + b',"mute_expires_at":' + msgspec.json.encode(until) + b"}")


def routes(api: Api, table: Table) -> list[Route]:
    """The lines of the registry."""
    found, line, at = People(api), table.line, "/api/v1/accounts/{id}"
    return [
        line("POST", f"{at}/note", "write:accounts", found.note),
        line("POST", f"{at}/endorse", "write:accounts", found.endorse),
        line("POST", f"{at}/unendorse", "write:accounts", found.unendorse),
        line("POST", f"{at}/pin", "write:accounts", found.endorse),
        line("POST", f"{at}/unpin", "write:accounts", found.unendorse),
        line("GET", f"{at}/endorsements", "read:accounts", found.endorsements_of),
        line("GET", f"{at}/identity_proofs", "read:accounts", found.identity_proofs),
        line("GET", "/api/v1/accounts/familiar_followers", "read:follows", found.familiar, SEEN),
        line("GET", "/api/v1/endorsements", "read:accounts", found.endorsements, OWN),
        line("GET", "/api/v1/suggestions", "read:accounts", found.suggested_accounts, SEEN),
        line("GET", "/api/v2/suggestions", "read:accounts", found.suggestions, SEEN),
        line("DELETE", "/api/v1/suggestions/{account_id}", "write:accounts", found.dismiss_suggestion, OWN),
        line("GET", "/api/v1/directory", "read:accounts", found.directory, SEEN),
        line("GET", "/api/v1/mutes", "read:mutes", found.mutes, OWN),
    ]
