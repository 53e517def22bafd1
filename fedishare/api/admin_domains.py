"""Allowed and blocked domains for those who answer for federation: partners and their terms, in Mastodon's words."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from fedishare.api import entities
from fedishare.api.admin import Desk
from fedishare.api.http import Api, Params, page_of, paged, params, parse_id
from fedishare.api.table import Table
from fedishare.http.call import Answer, Call, json_answer
from fedishare.http.routes import Route
from fedishare.model.errors import BadInput, Conflict, NotFound
from fedishare.model.ids import Domain, Id, Millis, parse_domain
from fedishare.model.partners import Partner
from fedishare.policy.roles import Right
from fedishare.services import domains, moderation
from fedishare.services.domains import Block, number_of
from fedishare.store import partners
from fedishare.store.paging import Page


class DomainAllow(msgspec.Struct, frozen=True, kw_only=True):
    """A domain with which we exchange."""

    id: str
    domain: str
    created_at: str


class DomainBlock(msgspec.Struct, frozen=True, kw_only=True):
    """A domain with which we exchange nothing, or not everything."""

    id: str
    domain: str
    digest: str
    created_at: str
    severity: str
    reject_media: bool
    reject_reports: bool
    private_comment: str | None
    public_comment: str | None
    obfuscate: bool


def digest_of(domain: str) -> str:
    """By which others can tell that they mean the same domain."""
    return hashlib.sha256(domain.encode()).hexdigest()


def _allow(partner: Partner) -> DomainAllow:
    return DomainAllow(id=str(number_of(partner.domain)), domain=partner.domain, created_at=_since(partner))


def _block(partner: Partner, block: Block) -> DomainBlock:
    return DomainBlock(
        id=str(number_of(partner.domain)), domain=partner.domain, digest=digest_of(partner.domain),
        created_at=_since(partner), severity=block.severity, reject_media=block.reject_media,
        reject_reports=block.reject_reports, private_comment=block.private_comment, public_comment=None,
        obfuscate=False,
    )  # fmt: skip


def _since(partner: Partner) -> str:
    return entities.instant(Millis(partner.created_at))


def _cut(found: Sequence[Partner], page: Page) -> list[Partner]:
    """A page of what is few, by number."""
    within = [p for p in found if page.after < number_of(p.domain) < page.before]
    within.sort(key=lambda partner: number_of(partner.domain), reverse=not page.upwards)
    return sorted(within[: page.limit], key=lambda partner: number_of(partner.domain), reverse=True)


@dataclass(frozen=True, slots=True)
class AdminDomains:
    """The handlers."""

    api: Api

    def _known(self) -> tuple[Partner, ...]:
        """Every partner, of instance.toml and of the database, as it is in force."""
        return self.api.instance.guard.policy.partners

    async def _partners(self) -> list[Partner]:
        """The same with what was changed a moment ago."""
        file = {p.domain: p for p in self._known() if p.source == "file"}
        stored = await self.api.database.read(partners.all_partners)
        return [*file.values(), *(p for p in stored if p.domain not in file)]

    async def _find(self, call: Call) -> Partner:
        return domains.find(await self._partners(), parse_id(call.params["id"]))

    async def _list(self, call: Call, chosen: Callable[[Partner], bool], shown: Callable[[Partner], Any]) -> Answer:
        page = page_of(await params(call), limit=100, most=200)
        found = _cut([p for p in await self._partners() if chosen(p)], page)
        return paged(self.api, call, [shown(p) for p in found], [Id(number_of(p.domain)) for p in found])

    async def _domain(self, found: Params) -> Domain:
        """The domain of a request. Raises `BadInput` for what is none, for ourselves, and those of the file."""
        if not found.text("domain").strip():
            raise BadInput("Validation failed: Domain can't be blank", path="domain")
        try:
            domain = parse_domain(found.text("domain").strip(), allow_port=self.api.site.development)
        except BadInput as error:
            raise BadInput(f"Validation failed: Domain is not a valid domain name ({error})", path="domain") from error
        if domain in self.api.instance.config.own_hosts:
            raise BadInput("Validation failed: Domain is this instance itself", path="domain")
        for partner in self._known():
            if partner.source == "file" and domain in partner.names:
                domains.ours(partner)
        return domain

    # Allowed

    async def allows(self, call: Call) -> Answer:
        """``GET /api/v1/admin/domain_allows``"""
        return await self._list(call, domains.is_allowed, _allow)

    async def show_allow(self, call: Call) -> Answer:
        """``GET /api/v1/admin/domain_allows/{id}``"""
        found = await self._find(call)
        if not domains.is_allowed(found):
            raise NotFound("Record not found")
        return json_answer(_allow(found))

    async def allow(self, call: Call) -> Answer:
        """``POST /api/v1/admin/domain_allows``: a partner with the usual terms."""
        found = await params(call)
        domain, who = await self._domain(found), moderation.by(call.me)
        reason = found.text("reason").strip()[:500] or f"allowed by {who} in an app"
        return json_answer(_allow(await self._write(domains.allow, domain, who, reason)))

    async def disallow(self, call: Call) -> Answer:
        """``DELETE /api/v1/admin/domain_allows/{id}``"""
        found = domains.ours(await self._find(call))
        if not domains.is_allowed(found):
            raise NotFound("Record not found")
        return json_answer(_allow(await self._write(domains.disallow, found.domain, moderation.by(call.me))))

    async def _write(self, change: Callable[..., Partner], /, *args: Any) -> Partner:
        try:
            return await self.api.database.write(change, *args)
        except Conflict as error:
            raise BadInput(f"Validation failed: {error.message}", path="domain") from error

    # Blocked

    async def blocks(self, call: Call) -> Answer:
        """``GET /api/v1/admin/domain_blocks``"""
        return await self._list(call, lambda p: domains.block_of(p) is not None, self._blocked)

    @staticmethod
    def _blocked(partner: Partner) -> DomainBlock:
        block = domains.block_of(partner)
        if block is None:
            raise NotFound("Record not found")
        return _block(partner, block)

    async def show_block(self, call: Call) -> Answer:
        """``GET /api/v1/admin/domain_blocks/{id}``"""
        return json_answer(self._blocked(await self._find(call)))

    async def block(self, call: Call) -> Answer:
        """``POST /api/v1/admin/domain_blocks``"""
        found = await params(call)
        domain = await self._domain(found)
        known = next((p for p in await self._partners() if p.domain == domain), None)
        if known is not None and domains.block_of(known) is not None:
            message = "Validation failed: Domain has already been taken"
            return json_answer({"error": message, "existing_domain_block": self._blocked(known)}, status=422)
        return await self._put(call, domain, _asked(found, Block()))

    async def change_block(self, call: Call) -> Answer:
        """``PUT /api/v1/admin/domain_blocks/{id}``"""
        known = domains.ours(await self._find(call))
        before = domains.block_of(known)
        if before is None:
            raise NotFound("Record not found")
        return await self._put(call, known.domain, _asked(await params(call), before))

    async def _put(self, call: Call, domain: Domain, block: Block) -> Answer:
        return json_answer(self._blocked(await self._write(domains.put_block, domain, block, moderation.by(call.me))))

    async def unblock(self, call: Call) -> Answer:
        """``DELETE /api/v1/admin/domain_blocks/{id}``"""
        known = domains.ours(await self._find(call))
        shown = self._blocked(known)
        await self._write(domains.drop_block, known.domain, moderation.by(call.me))
        return json_answer(shown)


def _asked(found: Params, before: Block) -> Block:
    return Block(
        found.text("severity", before.severity), found.flag("reject_media", before.reject_media),
        found.flag("reject_reports", before.reject_reports),
        found.text("private_comment")[:500] if "private_comment" in found else before.private_comment,
        found.text("public_comment") or None, found.flag("obfuscate"),
    )  # fmt: skip


def routes(api: Api, table: Table) -> list[Route]:
    """The lines of the registry."""
    found = AdminDomains(api)
    allows = Desk(api, table, Right.MANAGE_FEDERATION, "domain_allows")
    blocks = Desk(api, table, Right.MANAGE_FEDERATION, "domain_blocks")
    return [
        allows.look("GET", "/v1/admin/domain_allows", found.allows),
        allows.look("GET", "/v1/admin/domain_allows/{id}", found.show_allow),
        allows.change("POST", "/v1/admin/domain_allows", found.allow),
        allows.change("DELETE", "/v1/admin/domain_allows/{id}", found.disallow),
        blocks.look("GET", "/v1/admin/domain_blocks", found.blocks),
        blocks.look("GET", "/v1/admin/domain_blocks/{id}", found.show_block),
        blocks.change("POST", "/v1/admin/domain_blocks", found.block),
        blocks.change("PUT", "/v1/admin/domain_blocks/{id}", found.change_block),
        blocks.change("DELETE", "/v1/admin/domain_blocks/{id}", found.unblock),
    ]
