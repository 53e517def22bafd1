"""Governance: partners and their terms, reports. Each change is in the audit log and makes a new policy revision."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from fedishare.model.actors import Actor
from fedishare.model.errors import BadInput, Conflict, NotFound
from fedishare.model.ids import Domain, Id, Iri
from fedishare.model.outgoing import SendReport
from fedishare.model.partners import Partner, PartnerState
from fedishare.services import moderation
from fedishare.services.site import federate
from fedishare.store import activities, actors, jobs, partners, posts
from fedishare.store import moderation as moderation_store
from fedishare.store.db import Tx

_encode = msgspec.json.Encoder().encode


def add_partner(tx: Tx, partner: Partner, by: str) -> None:
    """Agree with a new partner. Raises `Conflict` when it is known, `BadInput` without a reason."""
    if not partner.reason.strip():
        raise BadInput("a partner needs a reason: who wants to share what with them, and why", path="reason")
    known = partners.get(tx, partner.domain)
    if known is not None and known.state is not PartnerState.ENDED:
        raise Conflict(f"{partner.domain} is a partner already ({known.state.value}); `partner set` changes its terms")
    partners.put(tx, partner)
    partners.audit(tx, by, "partner.add", partner.domain, _terms(partner))


def check_alone(tx: Tx, wanted: Partner) -> None:
    """No other partner of the database may have one of its hosts: nobody would get it then. Raises `Conflict`."""
    for other in partners.all_partners(tx):
        shared = sorted(set(other.names) & set(wanted.names))
        if other.domain != wanted.domain and other.state is not PartnerState.ENDED and shared:
            raise Conflict(f"{shared[0]} is a host of the partner {other.domain} already; leave it in one of the two")


def change_partner(tx: Tx, partner: Partner, by: str) -> None:
    """Change a partner's terms. Raises `NotFound`."""
    stored(tx, partner.domain)
    partners.put(tx, partner)
    partners.audit(tx, by, "partner.set", partner.domain, _terms(partner))


def set_partner_state(tx: Tx, partner: Partner, state: PartnerState, by: str) -> int:
    """Pause, resume or end. Ending cancels what waits for it; returns how many deliveries that were."""
    partners.put(tx, replace(partner, state=state))
    partners.audit(tx, by, f"partner.{state.value}", partner.domain, "")
    if state is not PartnerState.ENDED:
        return 0
    return sum(
        jobs.cancel_host(tx, host, f"partner {partner.domain} was ended") for host in (partner.domain, *partner.hosts)
    )


def stored(tx: Tx, domain: Domain) -> Partner:
    """A partner of the database. Raises `NotFound`."""
    found = partners.get(tx, domain)
    if found is None:
        raise NotFound(f"{domain} is not a partner in the database; `fedishare partner list` shows all")
    return found


def _terms(partner: Partner) -> str:
    noted = {"state": partner.state, "terms": partner.terms, "expires_at": partner.expires_at, "reason": partner.reason}
    return _encode(noted).decode()


def report(tx: Tx, reporter: Actor, target_id: Id, post_ids: list[Id], comment: str, forward: bool) -> Id:
    """A local person reports somebody. Forwarded reports go out from the instance actor and name nobody here."""
    target = actors.by_id(tx, target_id)
    if target is None:
        raise NotFound("Record not found")
    own = [p for p in (posts.visible(tx, i, reporter.id) for i in post_ids) if p and p.author_id == target_id]
    ident = activities.put_report(tx, reporter.iri, None, target_id, _encode([p.id for p in own]).decode(), comment)
    moderation.told(tx, ident, reporter)
    if forward and not target.is_local:
        moderation_store.forwarded(tx, ident)
        # spec: R47
        change = SendReport(ident, target_id, tuple(p.iri for p in own), comment)
        federate(tx, actors.instance_actor(tx).id, change)
    return ident


def receive_report(tx: Tx, reporter: Actor, iri: Iri | None, object_iris: tuple[Iri, ...], comment: str) -> bool:
    """Flag from a partner about people and posts here. False when nothing of ours is named."""
    # spec: R47
    found = [p for p in (posts.by_iri(tx, i) for i in object_iris) if p is not None and p.local]
    people = [a for a in actors.by_iris(tx, object_iris).values() if a.is_local]
    target = people[0].id if people else (found[0].author_id if found else None)
    if target is None:
        return False
    about = [p.id for p in found if p.author_id == target]
    ident = activities.put_report(tx, reporter.iri, iri, target, _encode(about).decode(), comment)
    moderation.told(tx, ident, reporter)
    return True
