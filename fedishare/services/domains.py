"""Domains as Mastodon's admin API has them, allowed and blocked, said with partners and their terms.

Allowed is an active or paused partner. Blocked is a partnership that ended (``suspend``), or an active one whose terms
take no media or no reports (``noop``). What terms cannot say is refused, so that nobody believes it is in force.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

from fedishare.model.errors import BadInput, NotFound
from fedishare.model.ids import Domain
from fedishare.model.partners import ACTIVITY_TYPES, Partner, PartnerState
from fedishare.services import governance
from fedishare.store import partners
from fedishare.store.db import Tx

FLAG = "Flag"
ALLOWED = (PartnerState.ACTIVE, PartnerState.PAUSED)


@dataclass(frozen=True, slots=True)
class Block:
    """What a block asks for."""

    severity: str = "silence"
    reject_media: bool = False
    reject_reports: bool = False
    private_comment: str | None = None
    public_comment: str | None = None
    obfuscate: bool = False


def number_of(domain: Domain) -> int:
    """The number under which apps know a domain: made from its name, so that it stays when the entry comes back."""
    return int.from_bytes(hashlib.sha256(domain.encode()).digest()[:8]) >> 2 | 1


def is_allowed(partner: Partner) -> bool:
    """Whether it is on the list of allowed domains."""
    return partner.state in ALLOWED


def block_of(partner: Partner) -> Block | None:
    """How a partner stands on the list of blocked domains; None: it does not."""
    if partner.state is PartnerState.ENDED:
        return Block("suspend", private_comment=partner.reason or None)
    if not is_allowed(partner):
        return None
    reports = partner.terms.activity_types is None or FLAG in partner.terms.activity_types
    if partner.terms.media and reports:
        return None
    return Block("noop", not partner.terms.media, not reports, partner.reason or None)


def find(known: Iterable[Partner], number: int) -> Partner:
    """The partner with that number. Raises `NotFound`."""
    for partner in known:
        if number_of(partner.domain) == number:
            return partner
    raise NotFound("Record not found")


def ours(partner: Partner) -> Partner:
    """A partner that can be changed here. Raises `BadInput` for those of instance.toml."""
    if partner.source == "file":
        raise BadInput(
            f"Validation failed: Domain {partner.domain} stands in instance.toml; change its terms there and restart "
            "the server",
            path="domain",
        )
    return partner


def allow(tx: Tx, domain: Domain, who: str, reason: str) -> Partner:
    """Agree with a domain under the usual terms, as `fedishare partner add` does; a known partner stays as it is.

    Raises `BadInput`, `Conflict`.
    """
    known = partners.get(tx, domain)
    if known is not None and is_allowed(known):
        return known
    made = Partner(domain, reason=reason, created_at=tx.now)
    governance.check_alone(tx, made)
    if known is not None and known.state is PartnerState.PROPOSED:
        made = replace(known, state=PartnerState.ACTIVE)
        governance.change_partner(tx, made, who)
    else:
        governance.add_partner(tx, made, who)
    return governance.stored(tx, domain)


def disallow(tx: Tx, domain: Domain, who: str) -> Partner:
    """End a partnership, as `fedishare partner end` does."""
    known = governance.stored(tx, domain)
    governance.set_partner_state(tx, known, PartnerState.ENDED, who)
    return known


def check(block: Block) -> None:
    """What partners' terms cannot say. Raises `BadInput` naming it."""
    if block.severity not in ("silence", "suspend", "noop"):
        raise BadInput("Validation failed: Severity is not included in the list", path="severity")
    if block.severity == "silence":
        raise BadInput(
            "Validation failed: Severity silence cannot be agreed with a partner; limit its accounts, or use suspend",
            path="severity",
        )
    if block.public_comment:
        raise BadInput(
            "Validation failed: Public comment is not kept here; write it into the private one", path="public_comment"
        )
    if block.obfuscate:
        raise BadInput("Validation failed: Obfuscate is not available; the list is not public", path="obfuscate")
    if block.severity == "noop" and not (block.reject_media or block.reject_reports):
        raise BadInput("Validation failed: Severity noop needs reject_media or reject_reports", path="severity")


def put_block(tx: Tx, domain: Domain, block: Block, who: str) -> Partner:
    """Bring a block about. Raises `BadInput` for what terms cannot say, and for noop where there is no partner."""
    check(block)
    known = partners.get(tx, domain)
    if block.severity == "suspend":
        made = replace(known or Partner(domain, created_at=tx.now), state=PartnerState.ENDED)
        reason = block.private_comment or made.reason or f"blocked by {who}"
        governance.set_partner_state(tx, replace(made, reason=reason), PartnerState.ENDED, who)
        return governance.stored(tx, domain)
    if known is None or not is_allowed(known):
        raise BadInput(f"Validation failed: Domain {domain} is no partner, so nothing of it comes in", path="domain")
    types = _with_reports(known.terms.activity_types)
    if block.reject_reports:
        types = (types or ACTIVITY_TYPES) - {FLAG}
    terms = replace(known.terms, media=not block.reject_media, activity_types=types)
    reason = block.private_comment if block.private_comment is not None else known.reason
    governance.change_partner(tx, replace(known, terms=terms, reason=reason), who)
    return governance.stored(tx, domain)


def drop_block(tx: Tx, domain: Domain, who: str) -> Partner:
    """Take a block back. What had ended is proposed then: somebody has to agree before anything is exchanged."""
    known = governance.stored(tx, domain)
    if known.state is PartnerState.ENDED:
        governance.set_partner_state(tx, known, PartnerState.PROPOSED, who)
    else:
        terms = replace(known.terms, media=True, activity_types=_with_reports(known.terms.activity_types))
        governance.change_partner(tx, replace(known, terms=terms), who)
    return known


def _with_reports(types: frozenset[str] | None) -> frozenset[str] | None:
    whole = None if types is None else types | {FLAG}
    return None if whole is not None and whole >= ACTIVITY_TYPES else whole
