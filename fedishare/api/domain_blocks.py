"""Domains that somebody wants to see nothing of."""

from __future__ import annotations

from dataclasses import dataclass

from fedishare.api.http import Api, page_of, paged, params
from fedishare.api.statuses import own
from fedishare.api.table import OWN, Table
from fedishare.http.call import Answer, Call, json_answer
from fedishare.http.routes import Route
from fedishare.model.ids import Domain, Id
from fedishare.services import people
from fedishare.store import people as store
from fedishare.store.db import Tx


@dataclass(frozen=True, slots=True)
class DomainBlocks:
    """The handlers."""

    api: Api

    async def index(self, call: Call) -> Answer:
        """``GET /api/v1/domain_blocks``"""
        page = page_of(await params(call), limit=100, most=200)
        rows = await self.api.database.read(store.blocked_domains, call.me.id, page)
        return paged(self.api, call, [domain for _, domain in rows], [ident for ident, _ in rows])

    async def preview(self, call: Call) -> Answer:
        """``GET /api/v1/domain_blocks/preview``: what a block would end"""
        domain = await self._domain(call)

        def read(tx: Tx) -> tuple[list[Id], list[Id]]:
            return store.followed_at(tx, call.me.id, domain), store.followers_from(tx, call.me.id, domain)

        following, followers = await self.api.database.read(read)
        return json_answer({"following_count": len(following), "followers_count": len(followers)})

    async def block(self, call: Call) -> Answer:
        """``POST /api/v1/domain_blocks``"""
        domain = await self._domain(call)
        await self.api.database.write(lambda tx: people.block_domain(tx, own(tx, call.me.id), domain))
        return json_answer({})

    async def unblock(self, call: Call) -> Answer:
        """``DELETE /api/v1/domain_blocks``"""
        await self.api.database.write(store.unblock_domain, call.me.id, await self._domain(call))
        return json_answer({})

    async def _domain(self, call: Call) -> Domain:
        return people.wanted_domain((await params(call)).text("domain"), ours=self.api.site.names.domain)


def routes(api: Api, table: Table) -> list[Route]:
    """The lines of the registry."""
    found, line, at = DomainBlocks(api), table.line, "/api/v1/domain_blocks"
    return [
        line("GET", at, "read:blocks", found.index, OWN),
        line("GET", f"{at}/preview", "read:blocks", found.preview, OWN),
        line("POST", at, "write:blocks", found.block, OWN),
        line("DELETE", at, "write:blocks", found.unblock, OWN),
    ]
