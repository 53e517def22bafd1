"""Doors: which e-mail addresses and networks may not come in, or only after somebody looked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fedishare.model.activities import AccessChanged
from fedishare.model.ids import Id, Millis
from fedishare.store.db import Tx, sql
from fedishare.store.paging import Page, paged, rows

EMAIL_DOMAINS = paged(
    "email_domain_block_page",
    """SELECT b.id, b.domain, b.with_approval, b.created_at FROM email_domain_block b
       WHERE b.id < :before AND b.id > :after""",
    "b.id",
)
EMAIL_DOMAIN = sql(
    "email_domain_block_get", "SELECT id, domain, with_approval, created_at FROM email_domain_block WHERE id = :id"
)
EMAIL_DOMAINS_OF = sql(
    "email_domain_block_of", "SELECT with_approval FROM email_domain_block WHERE domain IN :domains[]"
)
PUT_EMAIL_DOMAIN = sql(
    "email_domain_block_put",
    """INSERT INTO email_domain_block (id, domain, with_approval, created_at) VALUES (:id, :domain, :approval, :now)
       ON CONFLICT (domain) DO NOTHING""",
)
DROP_EMAIL_DOMAIN = sql("email_domain_block_drop", "DELETE FROM email_domain_block WHERE id = :id")

CANONICAL = paged(
    "canonical_email_block_page",
    "SELECT b.id, b.hash FROM canonical_email_block b WHERE b.id < :before AND b.id > :after",
    "b.id",
)
CANONICAL_GET = sql("canonical_email_block_get", "SELECT id, hash FROM canonical_email_block WHERE id = :id")
CANONICAL_OF = sql("canonical_email_block_of", "SELECT id, hash FROM canonical_email_block WHERE hash = :hash")
PUT_CANONICAL = sql(
    "canonical_email_block_put",
    """INSERT INTO canonical_email_block (id, hash, actor_id, created_at) VALUES (:id, :hash, :actor, :now)
       ON CONFLICT (hash) DO NOTHING""",
)
DROP_CANONICAL = sql("canonical_email_block_drop", "DELETE FROM canonical_email_block WHERE id = :id")
DROP_CANONICAL_OF = sql("canonical_email_block_drop_of", "DELETE FROM canonical_email_block WHERE actor_id = :actor")

_IP = "b.id, b.network, b.severity, b.comment, b.created_at, b.expires_at"
IP_BLOCKS = paged("ip_block_page", f"SELECT {_IP} FROM ip_block b WHERE b.id < :before AND b.id > :after", "b.id")
ALL_IP_BLOCKS = sql("ip_block_all", f"SELECT {_IP} FROM ip_block b ORDER BY b.id")
IP_BLOCK = sql("ip_block_get", f"SELECT {_IP} FROM ip_block b WHERE b.id = :id")
PUT_IP_BLOCK = sql(
    "ip_block_put",
    """INSERT INTO ip_block (id, network, severity, comment, created_at, expires_at)
       VALUES (:id, :network, :severity, :comment, :now, :expires) ON CONFLICT (network) DO NOTHING""",
)
SET_IP_BLOCK = sql(
    "ip_block_set",
    "UPDATE ip_block SET severity = :severity, comment = :comment, expires_at = :expires WHERE id = :id",
)
DROP_IP_BLOCK = sql("ip_block_drop", "DELETE FROM ip_block WHERE id = :id")
PRUNE_IP_BLOCKS = sql("ip_block_prune", "DELETE FROM ip_block WHERE expires_at IS NOT NULL AND expires_at < :before")


@dataclass(frozen=True, slots=True)
class EmailDomain:
    """A domain of e-mail addresses. ``with_approval``: a moderator decides; else nobody signs up with one."""

    id: Id
    domain: str
    with_approval: bool
    created_at: Millis


@dataclass(frozen=True, slots=True)
class IpBlock:
    """A network (CIDR) and what it may not."""

    id: Id
    network: str
    severity: str
    comment: str
    created_at: Millis
    expires_at: Millis | None


def email_domains(tx: Tx, page: Page) -> list[EmailDomain]:
    """A page of e-mail domains."""
    return [EmailDomain(r[0], r[1], bool(r[2]), r[3]) for r in rows(tx, EMAIL_DOMAINS, page)]


def email_domain(tx: Tx, ident: Id) -> EmailDomain | None:
    """One e-mail domain."""
    row = tx.one(EMAIL_DOMAIN, id=ident)
    return EmailDomain(row[0], row[1], bool(row[2]), row[3]) if row else None


def put_email_domain(tx: Tx, domain: str, *, with_approval: bool) -> Id | None:
    """Add an e-mail domain; None when it is there."""
    ident = tx.new_id()
    added = tx.run(PUT_EMAIL_DOMAIN, id=ident, domain=domain, approval=int(with_approval), now=tx.now)
    return ident if added else None


def drop_email_domain(tx: Tx, ident: Id) -> None:
    """Remove an e-mail domain."""
    tx.run(DROP_EMAIL_DOMAIN, id=ident)


def email_verdicts(tx: Tx, domains: Iterable[str]) -> list[bool]:
    """For each entry about one of the domains: whether a moderator may still let it in."""
    return [bool(row[0]) for row in tx.all(EMAIL_DOMAINS_OF, domains=list(domains))]


def canonical(tx: Tx, page: Page) -> list[tuple[Id, str]]:
    """A page of (id, hash) of e-mail addresses that may not come back."""
    return [(r[0], r[1]) for r in rows(tx, CANONICAL, page)]


def canonical_by_id(tx: Tx, ident: Id) -> tuple[Id, str] | None:
    """One such entry."""
    row = tx.one(CANONICAL_GET, id=ident)
    return (row[0], row[1]) if row else None


def canonical_by_hash(tx: Tx, hashed: str) -> tuple[Id, str] | None:
    """The entry of a hash."""
    row = tx.one(CANONICAL_OF, hash=hashed)
    return (row[0], row[1]) if row else None


def put_canonical(tx: Tx, hashed: str, actor: Id | None = None) -> Id | None:
    """Add a hash; None when it is there."""
    ident = tx.new_id()
    return ident if tx.run(PUT_CANONICAL, id=ident, hash=hashed, actor=actor, now=tx.now) else None


def drop_canonical(tx: Tx, ident: Id) -> None:
    """Remove an entry."""
    tx.run(DROP_CANONICAL, id=ident)


def drop_canonical_of(tx: Tx, actor: Id) -> None:
    """Remove the entry that somebody's suspension made."""
    tx.run(DROP_CANONICAL_OF, actor=actor)


def ip_blocks(tx: Tx, page: Page | None = None) -> list[IpBlock]:
    """A page of networks, or all."""
    found = tx.all(ALL_IP_BLOCKS) if page is None else rows(tx, IP_BLOCKS, page)
    return [IpBlock(*row) for row in found]


def ip_block(tx: Tx, ident: Id) -> IpBlock | None:
    """One network."""
    row = tx.one(IP_BLOCK, id=ident)
    return IpBlock(*row) if row else None


def put_ip_block(tx: Tx, network: str, severity: str, comment: str, expires: Millis | None) -> Id | None:
    """Add a network; None when it is there."""
    ident = tx.new_id()
    added = tx.run(
        PUT_IP_BLOCK, id=ident, network=network, severity=severity, comment=comment, expires=expires, now=tx.now
    )
    tx.notify(AccessChanged())
    return ident if added else None


def set_ip_block(tx: Tx, ident: Id, severity: str, comment: str, expires: Millis | None) -> None:
    """Change what a network may not."""
    tx.run(SET_IP_BLOCK, id=ident, severity=severity, comment=comment, expires=expires)
    tx.notify(AccessChanged())


def drop_ip_block(tx: Tx, ident: Id) -> None:
    """Remove a network."""
    tx.run(DROP_IP_BLOCK, id=ident)
    tx.notify(AccessChanged())


def prune_ip_blocks(tx: Tx, before: Millis) -> int:
    """Remove those that are over."""
    return tx.run(PRUNE_IP_BLOCKS, before=before)
