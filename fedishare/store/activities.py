"""Activities in the store: inbound ones for dedupe, outgoing documents once for all their deliveries."""

from __future__ import annotations

from dataclasses import dataclass

from fedishare.model.ids import Domain, Id, Iri, Millis, iri_hash
from fedishare.store.db import Tx, sql

RECORD = sql(
    "inbound_insert",
    """INSERT INTO inbound (id, iri_hash, actor_hash, type, domain, rule, revision)
       VALUES (:id, :hash, :actor, :type, :domain, :rule, :revision) ON CONFLICT (iri_hash, actor_hash) DO NOTHING""",
)
RENEW = sql(
    "inbound_renew",
    "UPDATE inbound SET id = :id WHERE iri_hash = :hash AND actor_hash = :actor AND id < :before",
)
PRUNE_INBOUND = sql("inbound_prune", "DELETE FROM inbound WHERE id < :before")
PUT_DOCUMENT = sql(
    "document_insert",
    """INSERT INTO document (id, iri, actor_id, post_id, body, facts, created_at)
       VALUES (:id, :iri, :actor, :post, :body, :facts, :now)""",
)
DOCUMENT = sql("document_by_id", "SELECT id, iri, actor_id, post_id, body, facts FROM document WHERE id = :id")
SENT = sql(
    "document_sent_to",
    """SELECT d.body FROM document d WHERE d.iri = :iri
       AND EXISTS (SELECT 1 FROM job j WHERE j.document_id = d.id AND j.host = :host AND j.state = 3)
       ORDER BY d.id DESC LIMIT 1""",
)
OWN = sql(
    "document_of_actor",
    """SELECT id, iri, actor_id, post_id, body, facts FROM document WHERE iri = :iri AND actor_id = :actor
       ORDER BY id DESC LIMIT 1""",
)
PRUNE_DOCUMENTS = sql(
    "document_prune",
    """DELETE FROM document WHERE id < :before
       AND NOT EXISTS (SELECT 1 FROM job j WHERE j.document_id = document.id)""",
)
HOLD = sql(
    "hold_insert",
    "INSERT INTO hold (id, domain, rule, body, created_at) VALUES (:id, :domain, :rule, :body, :now)",
)
PUT_REPORT = sql(
    "report_insert",
    """INSERT INTO report (id, reporter_iri, iri, target_id, post_ids, comment, created_at)
       VALUES (:id, :reporter, :iri, :target, :posts, :comment, :now) ON CONFLICT DO NOTHING""",
)
IDEMPOTENT = sql(
    "idempotency_get",
    "SELECT post_id FROM idempotency WHERE actor_id = :actor AND key_hash = :hash AND created_at > :since",
)
REMEMBER_KEY = sql(
    "idempotency_put",
    """INSERT INTO idempotency (actor_id, key_hash, post_id, created_at) VALUES (:actor, :hash, :post, :now)
       ON CONFLICT (actor_id, key_hash) DO UPDATE SET post_id = excluded.post_id, created_at = excluded.created_at""",
)
PRUNE_KEYS = sql("idempotency_prune", "DELETE FROM idempotency WHERE created_at < :before")
IDEMPOTENCY_MILLIS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class OutgoingDocument:
    """An activity as it is sent. ``facts`` is JSON: what the guard asks at the moment of sending."""

    id: Id
    iri: Iri
    actor_id: Id
    post_id: Id | None
    body: str
    facts: str


def record(tx: Tx, iri: str, actor: str, type_: str, domain: Domain, rule: str, revision: int) -> bool:
    """Note an inbound activity; False when the same (actor, iri) came before, through whichever door."""
    # spec: R19 — the same activity has its effect once
    return tx.run(RECORD, id=tx.new_id(), hash=iri_hash(iri), actor=iri_hash(actor), type=type_, domain=domain,
                  rule=rule, revision=revision) > 0  # fmt: skip


def renew(tx: Tx, iri: str, actor: str, before: Id) -> bool:
    """Note that an activity came anew; False unless it came for the first time before the id ``before``."""
    return tx.run(RENEW, id=tx.new_id(), hash=iri_hash(iri), actor=iri_hash(actor), before=before) > 0


def put_document(tx: Tx, iri: Iri, actor: Id, post: Id | None, body: str, facts: str) -> Id:
    """Store an outgoing activity once."""
    ident = tx.new_id()
    tx.run(PUT_DOCUMENT, id=ident, iri=iri, actor=actor, post=post, body=body, facts=facts, now=tx.now)
    return ident


def document(tx: Tx, ident: Id) -> OutgoingDocument | None:
    """An outgoing activity."""
    row = tx.one(DOCUMENT, id=ident)
    return OutgoingDocument(*row) if row else None


def sent_to(tx: Tx, iri: str, host: Domain) -> str | None:
    """An activity of ours as JSON, if it was delivered to that host."""
    found: str | None = tx.value(SENT, iri=iri, host=host)
    return found


def own(tx: Tx, iri: str, actor: Id) -> OutgoingDocument | None:
    """An activity of ``actor``, wherever it went."""
    row = tx.one(OWN, iri=iri, actor=actor)
    return OutgoingDocument(*row) if row else None


def prune(tx: Tx, before: Id) -> int:
    """Forget inbound ids and finished documents older than ``before``; posts and tombstones still stop replays."""
    return tx.run(PRUNE_INBOUND, before=before) + tx.run(PRUNE_DOCUMENTS, before=before)


def hold(tx: Tx, domain: Domain, rule: str, body: str) -> None:
    """Keep an inbound activity for a person's decision."""
    tx.run(HOLD, id=tx.new_id(), domain=domain, rule=rule, body=body, now=tx.now)


def put_report(tx: Tx, reporter: str, iri: str | None, target: Id | None, posts: str, comment: str) -> Id:
    """Store a report; ``posts`` is a JSON list of local post ids."""
    ident = tx.new_id()
    tx.run(PUT_REPORT, id=ident, reporter=reporter, iri=iri, target=target, posts=posts, comment=comment, now=tx.now)
    return ident


def post_for_key(tx: Tx, actor: Id, key: str) -> Id | None:
    """The post, or the document of another activity, that an Idempotency-Key made within the last 24 hours."""
    since = tx.now - IDEMPOTENCY_MILLIS
    found: Id | None = tx.value(IDEMPOTENT, actor=actor, hash=iri_hash(key), since=since)
    return found


def remember_key(tx: Tx, actor: Id, key: str, post: Id) -> None:
    """Remember an Idempotency-Key, and the post or document that it made: no two things have one id."""
    tx.run(REMEMBER_KEY, actor=actor, hash=iri_hash(key), post=post, now=tx.now)


def prune_keys(tx: Tx, before: Millis) -> int:
    """Forget old Idempotency-Keys."""
    return tx.run(PRUNE_KEYS, before=before)
