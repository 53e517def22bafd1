"""Partners, decisions and the audit log in the store."""

from __future__ import annotations

import msgspec

from fedishare.model.activities import PolicyChanged
from fedishare.model.ids import Domain, Id, Millis
from fedishare.model.partners import Partner, PartnerState, Terms
from fedishare.store.db import Row, Tx, sql

_COLUMNS = "domain, state, terms, owner, reason, ticket, expires_at, review_at, created_at"
ALL = sql("partners", f"SELECT {_COLUMNS} FROM partner ORDER BY domain")
GET = sql("partner_get", f"SELECT {_COLUMNS} FROM partner WHERE domain = :domain")
PUT = sql(
    "partner_put",
    """INSERT INTO partner (domain, state, terms, owner, reason, ticket, expires_at, review_at, created_at, updated_at)
       VALUES (:domain, :state, :terms, :owner, :reason, :ticket, :expires, :review, :now, :now)
       ON CONFLICT (domain) DO UPDATE SET state = excluded.state, terms = excluded.terms, owner = excluded.owner,
        reason = excluded.reason, ticket = excluded.ticket, expires_at = excluded.expires_at,
        review_at = excluded.review_at, updated_at = excluded.updated_at""",
)
BUMP = sql(
    "policy_revision_bump",
    "UPDATE setting SET value = CAST(CAST(value AS BIGINT) + 1 AS TEXT) WHERE key = 'policy_revision'",
)
REVISION = sql("policy_revision", "SELECT value FROM setting WHERE key = 'policy_revision'")
COUNT_DECISION = sql(
    "decision_count",
    """INSERT INTO decision (hour, question, domain, verdict, rule, reason, revision, times, last_at)
       VALUES (:hour, :question, :domain, :verdict, :rule, :reason, :revision, :times, :now)
       ON CONFLICT (hour, question, domain, verdict, rule) DO UPDATE SET times = decision.times + excluded.times,
        last_at = excluded.last_at, reason = excluded.reason, revision = excluded.revision""",
)
DECISIONS = sql(
    "decision_list",
    """SELECT hour, question, domain, verdict, rule, reason, revision, times, last_at FROM decision
       WHERE (:domain = '' OR domain = :domain) ORDER BY last_at DESC LIMIT :limit""",
)
PUT_AUDIT = sql(
    "audit_insert",
    "INSERT INTO audit (id, at, actor, action, subject, detail) VALUES (:id, :now, :actor, :action, :subject, :detail)",
)
AUDIT = sql(
    "audit_list",
    "SELECT id, at, actor, action, subject, detail FROM audit WHERE id < :before ORDER BY id DESC LIMIT :limit",
)
GET_SETTING = sql("setting_get", "SELECT value FROM setting WHERE key = :key")
PUT_SETTING = sql(
    "setting_put",
    "INSERT INTO setting (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
)


class StoredTerms(msgspec.Struct, frozen=True):
    """Terms with what else is stored beside them as JSON."""

    terms: Terms
    hosts: tuple[str, ...] = ()


_decode = msgspec.json.Decoder(StoredTerms)
_encode = msgspec.json.Encoder().encode


def _partner(row: Row) -> Partner:
    domain, state, terms, owner, reason, ticket, expires, review, created = row
    stored = _decode.decode(terms)
    return Partner(
        domain, PartnerState(state), stored.terms, owner, reason, ticket, expires, review, "database", created,
        tuple(Domain(h) for h in stored.hosts),
    )  # fmt: skip


def all_partners(tx: Tx) -> list[Partner]:
    """Every partner of the database, whatever its state."""
    return [_partner(row) for row in tx.all(ALL)]


def get(tx: Tx, domain: Domain) -> Partner | None:
    """One partner."""
    row = tx.one(GET, domain=domain)
    return _partner(row) if row else None


def put(tx: Tx, partner: Partner) -> None:
    """Add or change a partner; the policy's revision grows and running servers compile it anew."""
    terms = _encode(StoredTerms(partner.terms, partner.hosts)).decode()
    tx.run(
        PUT, domain=partner.domain, state=partner.state.value, terms=terms, owner=partner.owner, reason=partner.reason,
        ticket=partner.ticket, expires=partner.expires_at, review=partner.review_at, now=tx.now,
    )  # fmt: skip
    tx.run(BUMP)
    tx.notify(PolicyChanged())


def revision(tx: Tx) -> int:
    """The policy's revision."""
    return int(tx.value(REVISION))


def count_decision(
    tx: Tx, *, hour: int, question: str, domain: str, verdict: str, rule: str, reason: str, revision: int, times: int
) -> None:
    """Add to the guard's hourly count."""
    tx.run(
        COUNT_DECISION, hour=hour, question=question, domain=domain, verdict=verdict, rule=rule, reason=reason,
        revision=revision, times=times, now=tx.now,
    )  # fmt: skip


def decisions(tx: Tx, *, domain: str = "", limit: int = 100) -> list[Row]:
    """(hour, question, domain, verdict, rule, reason, revision, times, last_at), newest first."""
    return tx.all(DECISIONS, domain=domain, limit=limit)


def audit(tx: Tx, actor: str, action: str, subject: str, detail: str = "") -> None:
    """Note who changed what. ``actor`` is a name such as ``cli`` or ``@alice``."""
    tx.run(PUT_AUDIT, id=tx.new_id(), now=tx.now, actor=actor, action=action, subject=subject, detail=detail)


def audit_log(tx: Tx, *, before: Id = Id(2**63 - 1), limit: int = 100) -> list[tuple[Id, Millis, str, str, str, str]]:
    """The audit log, newest first."""
    return [(r[0], r[1], r[2], r[3], r[4], r[5]) for r in tx.all(AUDIT, before=before, limit=limit)]


def setting(tx: Tx, key: str) -> str | None:
    """A stored setting."""
    found: str | None = tx.value(GET_SETTING, key=key)
    return found


def put_setting(tx: Tx, key: str, value: str) -> None:
    """Store a setting."""
    tx.run(PUT_SETTING, key=key, value=value)
