"""Blocks of e-mail domains, single e-mail addresses and networks; they count at sign-up and at the front door."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from fedishare.api import entities
from fedishare.api.admin import Desk
from fedishare.api.http import Api, Params, page_of, paged, params, parse_id
from fedishare.api.table import Table
from fedishare.http.call import Answer, Call, json_answer
from fedishare.http.routes import Route
from fedishare.model.emails import email_hash
from fedishare.model.errors import BadInput, NotFound
from fedishare.model.ids import Id, Millis, parse_domain
from fedishare.policy.roles import Right
from fedishare.services import moderation
from fedishare.store import doors, partners
from fedishare.store.db import Tx
from fedishare.store.doors import EmailDomain, IpBlock

_HASH = re.compile(r"[0-9a-f]{64}\Z")
MAX_COMMENT = 500


class EmailDomainBlock(msgspec.Struct, frozen=True, kw_only=True):
    """A domain of e-mail addresses that cannot sign up, or only after somebody looked."""

    id: str
    domain: str
    created_at: str
    allow_with_approval: bool
    history: tuple[str, ...] = ()


class CanonicalEmailBlock(msgspec.Struct, frozen=True, kw_only=True):
    """An e-mail address that cannot sign up, as a hash."""

    id: str
    canonical_email_hash: str


class IpBlockEntity(msgspec.Struct, frozen=True, kw_only=True):
    """A network and what it may not."""

    id: str
    ip: str
    severity: str
    comment: str
    created_at: str
    expires_at: str | None


def _email(found: EmailDomain) -> EmailDomainBlock:
    return EmailDomainBlock(
        id=str(found.id), domain=found.domain, created_at=entities.instant(found.created_at),
        allow_with_approval=found.with_approval,
    )  # fmt: skip


def _canonical(found: tuple[Id, str]) -> CanonicalEmailBlock:
    return CanonicalEmailBlock(id=str(found[0]), canonical_email_hash=found[1])


def _ip(found: IpBlock) -> IpBlockEntity:
    return IpBlockEntity(
        id=str(found.id), ip=found.network, severity=found.severity, comment=found.comment,
        created_at=entities.instant(found.created_at), expires_at=entities.time_text(found.expires_at),
    )  # fmt: skip


def _taken(what: str) -> BadInput:
    return BadInput(f"Validation failed: {what} has already been taken", path=what.lower())


@dataclass(frozen=True, slots=True)
class AdminBlocks:
    """The handlers."""

    api: Api

    async def _list(self, call: Call, read: Callable[..., list[Any]], shown: Callable[[Any], Any]) -> Answer:
        page = page_of(await params(call), limit=100, most=200)
        entries = [shown(each) for each in await self.api.database.read(read, page)]
        return paged(self.api, call, entries, [Id(int(each.id)) for each in entries])

    async def _show(self, call: Call, read: Callable[..., Any], shown: Callable[[Any], Any]) -> Answer:
        found = await self.api.database.read(read, parse_id(call.params["id"]))
        if found is None:
            raise NotFound("Record not found")
        return json_answer(shown(found))

    async def _drop(
        self, call: Call, read: Callable[..., Any], drop: Callable[[Tx, Id], None], what: Callable[[Any], str]
    ) -> Answer:
        ident, who = parse_id(call.params["id"]), moderation.by(call.me)

        def write(tx: Tx) -> None:
            found = read(tx, ident)
            if found is None:
                raise NotFound("Record not found")
            drop(tx, ident)
            partners.audit(tx, who, "block.remove", what(found))

        await self.api.database.write(write)
        return json_answer({})

    # Domains of e-mail addresses

    async def email_domains(self, call: Call) -> Answer:
        """``GET /api/v1/admin/email_domain_blocks``"""
        return await self._list(call, doors.email_domains, _email)

    async def email_domain(self, call: Call) -> Answer:
        """``GET /api/v1/admin/email_domain_blocks/{id}``"""
        return await self._show(call, doors.email_domain, _email)

    async def add_email_domain(self, call: Call) -> Answer:
        """``POST /api/v1/admin/email_domain_blocks``"""
        found = await params(call)
        if not found.text("domain").strip():
            raise BadInput("Validation failed: Domain can't be blank", path="domain")
        try:
            domain = parse_domain(found.text("domain").strip())
        except BadInput as error:
            raise BadInput("Validation failed: Domain is not a valid domain name", path="domain") from error
        approval, who = found.flag("allow_with_approval"), moderation.by(call.me)

        def write(tx: Tx) -> EmailDomain | None:
            ident = doors.put_email_domain(tx, domain, with_approval=approval)
            if ident is None:
                raise _taken("Domain")
            partners.audit(tx, who, "block.email-domain", domain, "with approval" if approval else "")
            return doors.email_domain(tx, ident)

        made = await self.api.database.write(write)
        return json_answer(_email(made) if made else None)

    async def drop_email_domain(self, call: Call) -> Answer:
        """``DELETE /api/v1/admin/email_domain_blocks/{id}``"""
        return await self._drop(call, doors.email_domain, doors.drop_email_domain, lambda each: str(each.domain))

    # Single addresses

    async def canonical(self, call: Call) -> Answer:
        """``GET /api/v1/admin/canonical_email_blocks``"""
        return await self._list(call, doors.canonical, _canonical)

    async def canonical_one(self, call: Call) -> Answer:
        """``GET /api/v1/admin/canonical_email_blocks/{id}``"""
        return await self._show(call, doors.canonical_by_id, _canonical)

    async def test_canonical(self, call: Call) -> Answer:
        """``POST /api/v1/admin/canonical_email_blocks/test``"""
        hashed = email_hash(_address(await params(call)))
        found = await self.api.database.read(doors.canonical_by_hash, hashed)
        return json_answer([_canonical(found)] if found else [])

    async def add_canonical(self, call: Call) -> Answer:
        """``POST /api/v1/admin/canonical_email_blocks``: an address, or its hash."""
        found = await params(call)
        hashed = found.text("canonical_email_hash").strip().lower()
        if hashed and not _HASH.match(hashed):
            raise BadInput("Validation failed: Canonical email hash is invalid", path="canonical_email_hash")
        hashed, who = hashed or email_hash(_address(found)), moderation.by(call.me)

        def write(tx: Tx) -> tuple[Id, str]:
            ident = doors.put_canonical(tx, hashed)
            if ident is None:
                raise _taken("Canonical email hash")
            partners.audit(tx, who, "block.email", hashed)
            return ident, hashed

        return json_answer(_canonical(await self.api.database.write(write)))

    async def drop_canonical(self, call: Call) -> Answer:
        """``DELETE /api/v1/admin/canonical_email_blocks/{id}``"""
        return await self._drop(call, doors.canonical_by_id, doors.drop_canonical, lambda each: str(each[1]))

    # Networks

    async def ips(self, call: Call) -> Answer:
        """``GET /api/v1/admin/ip_blocks``"""
        return await self._list(call, doors.ip_blocks, _ip)

    async def ip(self, call: Call) -> Answer:
        """``GET /api/v1/admin/ip_blocks/{id}``"""
        return await self._show(call, doors.ip_block, _ip)

    async def add_ip(self, call: Call) -> Answer:
        """``POST /api/v1/admin/ip_blocks``"""
        found = await params(call)
        if not found.text("ip").strip():
            raise BadInput("Validation failed: Ip can't be blank", path="ip")
        network, severity = moderation.network_of(found.text("ip")), _severity(found, "")
        comment, who, seconds = found.text("comment")[:MAX_COMMENT], moderation.by(call.me), _lifetime(found)
        _check_door(call, network, severity)

        def write(tx: Tx) -> IpBlock | None:
            expires = Millis(tx.now + 1000 * seconds) if seconds else None
            ident = doors.put_ip_block(tx, network, severity, comment, expires)
            if ident is None:
                raise _taken("Ip")
            partners.audit(tx, who, "block.ip", network, severity)
            return doors.ip_block(tx, ident)

        made = await self.api.database.write(write)
        return json_answer(_ip(made) if made else None)

    async def change_ip(self, call: Call) -> Answer:
        """``PUT /api/v1/admin/ip_blocks/{id}``"""
        found, ident, who = await params(call), parse_id(call.params["id"]), moderation.by(call.me)

        def write(tx: Tx) -> IpBlock | None:
            known = doors.ip_block(tx, ident)
            if known is None:
                raise NotFound("Record not found")
            severity = _severity(found, known.severity)
            _check_door(call, known.network, severity)
            comment = found.text("comment", known.comment)[:MAX_COMMENT]
            seconds = _lifetime(found)
            expires = Millis(tx.now + 1000 * seconds) if seconds else None
            doors.set_ip_block(tx, ident, severity, comment, expires if "expires_in" in found else known.expires_at)
            partners.audit(tx, who, "block.ip", known.network, severity)
            return doors.ip_block(tx, ident)

        made = await self.api.database.write(write)
        return json_answer(_ip(made) if made else None)

    async def drop_ip(self, call: Call) -> Answer:
        """``DELETE /api/v1/admin/ip_blocks/{id}``"""
        return await self._drop(call, doors.ip_block, doors.drop_ip_block, lambda each: str(each.network))


def _severity(found: Params, default: str) -> str:
    severity = found.text("severity", default)
    if not severity:
        raise BadInput("Validation failed: Severity can't be blank", path="severity")
    if severity not in moderation.SEVERITIES:
        raise BadInput("Validation failed: Severity is not included in the list", path="severity")
    return severity


def _check_door(call: Call, network: str, severity: str) -> None:
    """Nobody shuts out everybody, or themselves: who could let them in again? Raises `BadInput`."""
    if severity != "no_access":
        return
    if moderation.is_everybody(network):
        raise BadInput("Validation failed: Ip would shut out everybody", path="ip")
    own = IpBlock(Id(0), network, severity, "", Millis(0), None)
    if moderation.severest([own], call.client, Millis(0)) is not None:
        raise BadInput(f"Validation failed: Ip would shut out yourself, at {call.client}", path="ip")


def _lifetime(found: Params) -> int:
    """Seconds; 0 is for ever."""
    return found.number("expires_in", 0, most=10**9)


def _address(found: Params) -> str:
    address = found.text("email").strip()
    if "@" not in address or len(address) > 320:
        raise BadInput("Validation failed: Email is invalid", path="email")
    return address


def routes(api: Api, table: Table) -> list[Route]:
    """The lines of the registry."""
    found = AdminBlocks(api)
    emails = Desk(api, table, Right.MANAGE_BLOCKS, "email_domain_blocks")
    canonical = Desk(api, table, Right.MANAGE_BLOCKS, "canonical_email_blocks")
    ips = Desk(api, table, Right.MANAGE_BLOCKS, "ip_blocks")
    at = "/v1/admin/"
    return [
        emails.look("GET", f"{at}email_domain_blocks", found.email_domains),
        emails.look("GET", f"{at}email_domain_blocks/{{id}}", found.email_domain),
        emails.change("POST", f"{at}email_domain_blocks", found.add_email_domain),
        emails.change("DELETE", f"{at}email_domain_blocks/{{id}}", found.drop_email_domain),
        canonical.look("GET", f"{at}canonical_email_blocks", found.canonical),
        canonical.look("GET", f"{at}canonical_email_blocks/{{id}}", found.canonical_one),
        canonical.look("POST", f"{at}canonical_email_blocks/test", found.test_canonical),
        canonical.change("POST", f"{at}canonical_email_blocks", found.add_canonical),
        canonical.change("DELETE", f"{at}canonical_email_blocks/{{id}}", found.drop_canonical),
        ips.look("GET", f"{at}ip_blocks", found.ips),
        ips.look("GET", f"{at}ip_blocks/{{id}}", found.ip),
        ips.change("POST", f"{at}ip_blocks", found.add_ip),
        ips.change("PUT", f"{at}ip_blocks/{{id}}", found.change_ip),
        ips.change("DELETE", f"{at}ip_blocks/{{id}}", found.drop_ip),
    ]
