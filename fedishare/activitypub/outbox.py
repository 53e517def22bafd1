"""The outbox: a change that was committed here becomes activities, and each activity becomes deliveries.

Runs as a job after the change's own transaction. What is to be told, and to whom, is in ``outbox_plans``; here the
document is written once (twice if partners' terms differ in ``as:Public``), proven with the author's Ed25519 key,
recipients are collapsed to inboxes, the guard is asked about each of them, and all of it is stored in one transaction
together with the end of this job: a crash before it leaves nothing, and after it nothing is made again.

A partner that the guard withholds it from gets a cancelled delivery with the rule, so that the ledger says who did not
get it and why.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from fedishare.activitypub import proofs
from fedishare.activitypub.addressing import collapse_inboxes
from fedishare.activitypub.federation import Federation
from fedishare.activitypub.outbox_facts import SAMPLE, DeliverTo, DocumentFacts, encode
from fedishare.activitypub.outbox_plan import Ask, Person, Plan
from fedishare.activitypub.outbox_plans import needs_numbers, plans
from fedishare.activitypub.writer import Document
from fedishare.jobs import Done, Handler, Result, Settled
from fedishare.model.errors import BadInput, PolicyRefusal
from fedishare.model.ids import Id, Iri, host_of, iri_hash
from fedishare.model.names import INSTANCE_ACTOR_NAME
from fedishare.model.outgoing import Outgoing
from fedishare.policy.facts import KEEPS_QUEUE, DeliveryFacts
from fedishare.services.site import FEDERATE
from fedishare.store import activities, jobs
from fedishare.store.db import Tx
from fedishare.store.jobs import Delivery, Job, JobState

log = logging.getLogger(__name__)

CONCURRENT = 8
"""Changes that are expanded at a time; those of one author always one after another."""

_change = msgspec.json.Decoder(Outgoing)
_raw = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Parcel:
    """A document and where it goes."""

    iri: Iri
    author: Id
    post: Id | None
    body: str
    facts: str
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True)
class Destination:
    """One inbox of one plan. ``public``: its partner gets the form that names ``as:Public``."""

    host: str
    target: DeliverTo
    public: bool = False
    earlier: bool = False


class Outbox:
    """Expands changes of one instance."""

    def __init__(self, federation: Federation) -> None:
        self._federation = federation
        self._instance = federation.instance

    def handler(self) -> Handler:
        """For jobs of kind ``federate``."""
        return Handler(self.federate, limit=CONCURRENT)

    async def federate(self, job: Job) -> Result:
        """Turn one change into documents and deliveries."""
        change = _change.decode(job.payload)
        database, names = self._instance.database, self._instance.site.names
        further = needs_numbers(change)
        numbers = await database.write(_numbers, further) if further else ()
        made = await database.read(plans, Ask(names, job.id, numbers), change)
        parcels = [parcel for plan in made for parcel in await self._parcels(plan)]
        if not parcels:
            return Done()
        gone = made[0].post_id if made[0].ends_post else None
        await database.write(_store, job.id, parcels, gone)
        return Settled()

    async def _parcels(self, plan: Plan) -> list[Parcel]:
        destinations = list(self._destinations(plan))
        forms = sorted({each.public for each in destinations})
        return [await self._parcel(plan, public, [d for d in destinations if d.public is public]) for public in forms]

    def _destinations(self, plan: Plan) -> Iterable[Destination]:
        seen = set()
        for host, target in plan.earlier:
            seen.add(target.inbox)
            yield Destination(host, target, plan.two_forms and self._names_public(host), earlier=True)
        people = {person.iri: person for person in plan.people}
        rows = [(p.iri, p.host, p.inbox, p.shared_inbox) for p in people.values()]
        # spec: R117 — the shared inbox once per host; personal inboxes where there is none, and for direct posts
        for host, inbox, iris in collapse_inboxes(rows, direct=plan.direct):
            if inbox in seen:
                continue
            target = _target(inbox, [people[iri] for iri in iris], direct=plan.direct)
            yield Destination(host, target, plan.two_forms and self._names_public(host))

    def _names_public(self, host: str) -> bool:
        policy = self._instance.guard.policy
        partner = policy.find(host)[1]
        return policy.public_addressing or (partner is not None and partner.terms.public_addressing)

    async def _parcel(self, plan: Plan, public: bool, destinations: Sequence[Destination]) -> Parcel:
        body = plan.raw
        if plan.write is not None:
            document = await self._proven(plan, plan.write(public))
            body = encode(document).decode()
        facts = plan.facts if plan.write is not None else _foreign(plan)
        facts = msgspec.structs.replace(facts, public=public, size=len(body.encode()))
        judge = _Judge(self._federation, plan, facts)
        deliveries = tuple(judge.delivery(each) for each in destinations)
        return Parcel(plan.iri, plan.author.id, plan.post_id, body, encode(facts).decode(), deliveries)

    async def _proven(self, plan: Plan, document: Document) -> Document:
        """The document with its author's proof, so that it can be believed wherever it comes from."""
        # spec: R63 — an object integrity proof (FEP-8b32)
        if plan.author.name == INSTANCE_ACTOR_NAME:
            return document  # its document lists an RSA key only
        signer = await self._federation.keyring.signer(plan.author.id)
        return proofs.create(document, signer.ed25519_key_id, signer.ed25519, self._instance.clock())


def _target(inbox: Iri, people: Sequence[Person], *, direct: bool) -> DeliverTo:
    followers = [p.actor_id for p in people if p.follower]
    return DeliverTo(
        inbox,
        tuple(p.actor_id for p in people if not p.follower),
        tuple(followers[:SAMPLE]),
        len(followers) > SAMPLE,
        shared=not direct and people[0].shared_inbox == inbox,
    )


def _foreign(plan: Plan) -> DocumentFacts:
    """What a forwarded document is, as far as it says so itself; the guard let it in before."""
    try:
        outer = _raw.decode(plan.raw)
        inner = _raw.decode(outer["object"])
        kind = msgspec.json.decode(inner["type"], type=str)
        verb = msgspec.json.decode(outer["type"], type=str)
    except (msgspec.MsgspecError, KeyError):
        return plan.facts
    return msgspec.structs.replace(plan.facts, activity=verb, object=kind, media=_something(inner.get("attachment")))


def _something(raw: msgspec.Raw | None) -> bool:
    return raw is not None and bytes(raw) not in (b"[]", b"null")


class _Judge:
    """Asks the guard about the inboxes of one document, once for each host."""

    def __init__(self, federation: Federation, plan: Plan, facts: DocumentFacts) -> None:
        self._guard = federation.instance.guard
        self._now = federation.instance.clock()
        self._development = federation.instance.config.server.development
        self._plan = plan
        self._facts = facts.delivery()
        self._began = plan.withdraws.delivery() if plan.withdraws is not None else None
        self._known: dict[tuple[str, bool], PolicyRefusal | None] = {}

    def delivery(self, destination: Destination) -> Delivery:
        """The job of a destination, or the note that it was withheld."""
        target = destination.target
        payload = encode(target).decode()
        lane = f"{destination.host}|{iri_hash(f'{target.inbox} {self._plan.order}')}"
        try:
            host = str(host_of(target.inbox, development=self._development))
        except BadInput as error:
            return Delivery(destination.host, lane, payload, error.message, "bad-url", self._guard.policy.revision)
        refusal = self._refusal(host, destination)
        if refusal is None or refusal.rule in KEEPS_QUEUE:
            return Delivery(host, lane, payload)
        return Delivery(host, lane, payload, refusal.message, refusal.rule, self._guard.policy.revision)

    def _refusal(self, host: str, destination: Destination) -> PolicyRefusal | None:
        key = (host, destination.earlier)
        if key not in self._known:
            self._known[key] = self._ask(host, destination)
        refusal = self._known[key]
        if refusal is None and host != destination.host and not self._same_partner(host, destination.host):
            return PolicyRefusal(f"the inbox of somebody at {destination.host} is at {host}", rule="inbox-host")
        return refusal

    def _ask(self, host: str, destination: Destination) -> PolicyRefusal | None:
        only = self._plan.only_partner
        if only is not None and not self._same_partner(host, only):
            return PolicyRefusal(f"what {only} wrote is not passed on to {host}", rule="origin-only")
        if self._began is not None and not destination.earlier:
            began = self._guard.explain(self._began.to_host(host, self._now))
            if not began.allowed:
                return PolicyRefusal(f"it was never sent there: {began.reason}", rule=began.rule)
        return self._count(host, destination.target.inbox, self._facts)

    def _count(self, host: str, inbox: str, facts: DeliveryFacts) -> PolicyRefusal | None:
        """The guard's answer. Refusals are counted now; what is allowed is counted when it is sent."""
        decision = self._guard.explain(facts.to_host(host, self._now))
        if decision.allowed:
            return None
        try:
            self._guard.permit_deliver(inbox, facts)
        except PolicyRefusal as refusal:
            return refusal
        return None

    def _same_partner(self, host: str, other: str) -> bool:
        partner = self._guard.policy.find(host)[1]
        return partner is not None and self._guard.same_peer(partner, other)


def _numbers(tx: Tx, count: int) -> tuple[Id, ...]:
    return tuple(tx.new_id() for _ in range(count))


def _store(tx: Tx, job: Id, parcels: Sequence[Parcel], gone: Id | None) -> None:
    """Documents, deliveries and the end of the job that made them, or nothing of it."""
    if not jobs.finish(tx, job, JobState.DONE):
        return  # its lease ran out and another worker has it
    if gone is not None:
        jobs.cancel_post(tx, gone, "the post was deleted before it was sent")
    for parcel in parcels:
        document = activities.put_document(tx, parcel.iri, parcel.author, parcel.post, parcel.body, parcel.facts)
        jobs.put_deliveries(tx, document, parcel.deliveries)


def handlers(federation: Federation) -> dict[str, Handler]:
    """What does jobs of kind ``federate``."""
    return {FEDERATE: Outbox(federation).handler()}
