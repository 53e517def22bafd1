"""What moderators see: accounts with what stands behind them, from where people sign in, and reports."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from fedishare.model.actors import Role
from fedishare.model.ids import Id, Millis
from fedishare.store.actors import INSTANCE_ACTOR, like_text
from fedishare.store.db import Row, Tx, sql
from fedishare.store.paging import Page, paged, rows

ACCOUNTS = paged(
    "admin_accounts",
    f"""SELECT a.id FROM actor a LEFT JOIN credential c ON c.actor_id = a.id
        WHERE a.id < :before AND a.id > :after AND a.state < 3 AND a.name_key <> '{INSTANCE_ACTOR}'
          AND (:origin = '' OR (:origin = 'local' AND a.domain IS NULL)
            OR (:origin = 'remote' AND a.domain IS NOT NULL))
          AND (:status = '' OR (:status = 'active' AND a.state = 0 AND coalesce(c.disabled, 0) = 0
                AND coalesce(c.approved, 1) = 1)
            OR (:status = 'pending' AND c.approved = 0) OR (:status = 'disabled' AND c.disabled = 1)
            OR (:status = 'silenced' AND a.limited = 1) OR (:status = 'suspended' AND a.state = 2)
            OR (:status = 'sensitized' AND a.sensitized = 1))
          AND (:all_roles = 1 OR c.role IN :roles[])
          AND (:name = '' OR a.name_key LIKE :name ESCAPE '!')
          AND (:display = '' OR lower(a.profile) LIKE :display ESCAPE '!')
          AND (:domain = '' OR a.domain = :domain)
          AND (:email = '' OR lower(c.email) LIKE :email ESCAPE '!')
          AND (:address = '' OR EXISTS (SELECT 1 FROM sign_in s WHERE s.actor_id = a.id AND s.address = :address))""",
    "a.id",
)
BEHIND = sql(
    "admin_account_facts",
    """SELECT actor_id, email, role, approved, confirmed_at, disabled, reason, locale, app_id FROM credential
       WHERE actor_id IN :ids[]""",
)
SIGN_INS = sql(
    "sign_in_list",
    "SELECT actor_id, address, used_at FROM sign_in WHERE actor_id IN :ids[] ORDER BY used_at DESC, address",
)
PUT_SIGN_IN = sql(
    "sign_in_put",
    """INSERT INTO sign_in (actor_id, address, used_at) VALUES (:actor, :address, :now)
       ON CONFLICT (actor_id, address) DO UPDATE SET used_at = excluded.used_at""",
)
DROP_SIGN_INS = sql("sign_in_drop", "DELETE FROM sign_in WHERE actor_id = :actor")
PRUNE_SIGN_INS = sql("sign_in_prune", "DELETE FROM sign_in WHERE used_at < :before")
SET_APPLICATION = sql(
    "credential_set_application",
    "UPDATE credential SET reason = :reason, locale = :locale, app_id = :app WHERE actor_id = :actor",
)
EMAIL_HASH = sql("credential_email_hash", "SELECT email_hash FROM credential WHERE actor_id = :actor")
STAFF = sql(
    "staff_ids",
    """SELECT c.actor_id FROM credential c JOIN actor a ON a.id = c.actor_id
       WHERE a.state < 2 AND c.disabled = 0 AND c.role IN :roles[] ORDER BY c.actor_id""",
)

_REPORT = """r.id, r.reporter_iri, r.target_id, r.post_ids, r.comment, r.category, r.rule_ids, r.forwarded,
  r.assigned_id, r.resolved_by, r.created_at, r.updated_at, r.resolved_at"""
REPORTS = paged(
    "report_page",
    f"""SELECT {_REPORT} FROM report r WHERE r.id < :before AND r.id > :after AND r.target_id IS NOT NULL
          AND (:resolved < 0 OR (:resolved = 0 AND r.resolved_at IS NULL)
            OR (:resolved = 1 AND r.resolved_at IS NOT NULL))
          AND (:reporter = '' OR r.reporter_iri = :reporter) AND (:target = 0 OR r.target_id = :target)""",
    "r.id",
)
REPORT = sql("report_get", f"SELECT {_REPORT} FROM report r WHERE r.id = :id AND r.target_id IS NOT NULL")
CLASSIFY = sql(
    "report_classify",
    "UPDATE report SET category = :category, rule_ids = :rules, updated_at = :now WHERE id = :id",
)
FORWARDED = sql("report_forwarded", "UPDATE report SET forwarded = 1 WHERE id = :id")
ASSIGN = sql("report_assign", "UPDATE report SET assigned_id = :who, updated_at = :now WHERE id = :id")
RESOLVE = sql(
    "report_resolve",
    "UPDATE report SET resolved_at = :at, resolved_by = :who, updated_at = :now WHERE id = :id",
)
DROP_REPORTS = sql("report_drop", "DELETE FROM report WHERE target_id = :id OR reporter_iri = :iri")


@dataclass(frozen=True, slots=True)
class Behind:
    """What stands behind a local account, and nobody but moderators sees."""

    email: str | None
    role: Role
    approved: bool
    confirmed: bool
    disabled: bool
    reason: str | None
    locale: str | None
    app_id: Id | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which accounts a moderator looks for; empty is all."""

    origin: str = ""
    status: str = ""
    roles: tuple[Role, ...] = ()
    name: str = ""
    display_name: str = ""
    domain: str = ""
    email: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What somebody said about an account and its posts."""

    id: Id
    reporter_iri: str
    target_id: Id
    post_ids: tuple[Id, ...]
    comment: str
    category: str
    rule_ids: tuple[Id, ...]
    forwarded: bool
    assigned_id: Id | None
    resolved_by: Id | None
    created_at: Millis
    updated_at: Millis
    resolved_at: Millis | None


MAX_LIKE = 320
"""Characters of a pattern that are compared: no name or address is longer, and SQLite takes no pattern without end."""


def _like(text: str, *, inside: bool = False) -> str:
    if not text:
        return ""
    escaped = like_text(text[:MAX_LIKE].lower())
    return f"%{escaped}%" if inside else f"{escaped}%"


def accounts(tx: Tx, wanted: Wanted, page: Page) -> list[Id]:
    """A page of accounts, local and known remote ones, newest first."""
    found = rows(
        tx, ACCOUNTS, page, origin=wanted.origin, status=wanted.status, roles=[r.value for r in wanted.roles],
        all_roles=int(not wanted.roles), name=_like(wanted.name), display=_like(wanted.display_name, inside=True),
        domain=wanted.domain, email=_like(wanted.email), address=wanted.address,
    )  # fmt: skip
    return [row[0] for row in found]


def behind(tx: Tx, idents: Iterable[Id]) -> dict[Id, Behind]:
    """What stands behind local accounts."""
    found = {}
    for ident, email, role, approved, confirmed, disabled, reason, locale, app in tx.all(BEHIND, ids=list(idents)):
        found[ident] = Behind(
            email, Role(role), bool(approved), confirmed is not None, bool(disabled), reason, locale, app
        )
    return found


def sign_ins(tx: Tx, idents: Iterable[Id]) -> dict[Id, list[tuple[str, Millis]]]:
    """(address, when) from where people signed in, newest first."""
    found: dict[Id, list[tuple[str, Millis]]] = {}
    for ident, address, used in tx.all(SIGN_INS, ids=list(idents)):
        found.setdefault(ident, []).append((address, used))
    return found


def signed_in(tx: Tx, actor: Id, address: str) -> None:
    """Note from where somebody signed up or in."""
    tx.run(PUT_SIGN_IN, actor=actor, address=address[:100], now=tx.now)


def forget_sign_ins(tx: Tx, actor: Id) -> None:
    """Forget from where somebody signed in."""
    tx.run(DROP_SIGN_INS, actor=actor)


def prune_sign_ins(tx: Tx, before: Millis) -> int:
    """Forget what is older."""
    return tx.run(PRUNE_SIGN_INS, before=before)


def set_application(tx: Tx, actor: Id, *, reason: str | None, locale: str | None, app: Id | None) -> None:
    """Keep what came with a sign-up."""
    tx.run(SET_APPLICATION, actor=actor, reason=reason, locale=locale, app=app)


def hash_of_email(tx: Tx, actor: Id) -> str | None:
    """The canonical hash of somebody's e-mail address."""
    found: str | None = tx.value(EMAIL_HASH, actor=actor)
    return found


def staff(tx: Tx, roles: Iterable[Role]) -> list[Id]:
    """Everybody with one of the roles."""
    return [row[0] for row in tx.all(STAFF, roles=[role.value for role in roles])]


def _report(row: Row) -> Report:
    (ident, reporter, target, posts, comment, category, rules, forwarded, assigned, resolver, created, updated,
     resolved) = row  # fmt: skip
    numbers = msgspec.json.decode(posts, type=tuple[int, ...]), msgspec.json.decode(rules, type=tuple[int, ...])
    return Report(
        ident, reporter, target, tuple(map(Id, numbers[0])), comment, category, tuple(map(Id, numbers[1])),
        bool(forwarded), assigned, resolver, created, updated or created, resolved,
    )  # fmt: skip


def reports(
    tx: Tx, page: Page, *, resolved: bool | None = None, reporter: str = "", target: Id | None = None
) -> list[Report]:
    """A page of reports, newest first; ``resolved`` None: all."""
    only = -1 if resolved is None else int(resolved)
    return [_report(row) for row in rows(tx, REPORTS, page, resolved=only, reporter=reporter, target=target or 0)]


def report(tx: Tx, ident: Id) -> Report | None:
    """One report."""
    row = tx.one(REPORT, id=ident)
    return _report(row) if row else None


def classify(tx: Tx, ident: Id, category: str, rules: Iterable[Id]) -> None:
    """Say what kind of report it is, and which rules it names."""
    tx.run(CLASSIFY, id=ident, category=category, rules=msgspec.json.encode(list(rules)).decode(), now=tx.now)


def forwarded(tx: Tx, ident: Id) -> None:
    """Note that a report went to the partner, too."""
    tx.run(FORWARDED, id=ident)


def assign(tx: Tx, ident: Id, who: Id | None) -> None:
    """Say who looks after a report."""
    tx.run(ASSIGN, id=ident, who=who, now=tx.now)


def resolve(tx: Tx, ident: Id, who: Id | None) -> None:
    """Close a report, or open it again (``who`` None)."""
    tx.run(RESOLVE, id=ident, at=tx.now if who is not None else None, who=who, now=tx.now)


def drop_reports(tx: Tx, actor: Id, iri: str) -> None:
    """Forget the reports about and by somebody who is gone."""
    tx.run(DROP_REPORTS, id=actor, iri=iri)
