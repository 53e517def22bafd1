"""Delivery: one document to one inbox, with everything asked again at the moment of sending.

The post must still be there with the same audience, the author active, somebody at the inbox still meant, and the guard
must give a permit; only then is the request signed and handed to the gateway. What comes back decides about the job
and its host in `fedishare.jobs`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fedishare.activitypub.addressing import followers_digest
from fedishare.activitypub.delivery_checks import Question, reasons_not_to_send
from fedishare.activitypub.federation import ACTIVITY_TYPE, Federation
from fedishare.activitypub.outbox_facts import DeliverTo, DocumentFacts, decode_facts, decode_target
from fedishare.gateway import Reply, wire_url
from fedishare.guard import Permit
from fedishare.jobs import Attempted, Cancelled, Dead, Handler, Later, Result, outcome_of
from fedishare.model.activities import ActorChanged
from fedishare.model.errors import BadInput, FetchFailed, PolicyRefusal
from fedishare.model.ids import Domain, Id, Iri, Millis
from fedishare.model.partners import Outcome, PeerHealth
from fedishare.policy.facts import DeliveryFacts
from fedishare.services.relations import end
from fedishare.store import activities, actors, relations
from fedishare.store.activities import OutgoingDocument
from fedishare.store.db import NoticesLost, Tx
from fedishare.store.jobs import DELIVER, Job

DOCUMENTS_KEPT = 256
ASK_AGAIN = 0.5
"""Seconds until a delivery goes again whose permit ended while it was on its way."""
DIGESTS_KEPT = 256
SCHEMES = ("cavage", "rfc9421")
"""In the order in which an unknown host is knocked at."""
REMEMBER = 7 * 24 * 3600 * 1000
"""How long a host's signature scheme is taken for granted; milliseconds."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document ready to be sent many times."""

    author: Id
    post: Id | None
    body: bytes
    facts: DocumentFacts
    asked: DeliveryFacts


@dataclass(frozen=True, slots=True)
class Ready:
    """A delivery that may go, as far as the store knows: its document, where to, and further headers."""

    document: Document
    target: DeliverTo
    headers: Mapping[str, str]


class Delivery:
    """Sends the documents of one instance."""

    def __init__(self, federation: Federation) -> None:
        self._federation = federation
        self._instance = federation.instance
        self._names = federation.instance.site.names
        self._documents: OrderedDict[Id, Document] = OrderedDict()
        self._digests: OrderedDict[Id, dict[str, str]] = OrderedDict()
        self._ready: dict[Id, Ready | Result] = {}
        federation.instance.database.on_notice(self._heard)

    def handler(self) -> Handler:
        """For jobs of kind ``deliver``."""
        settings = self._instance.config.federation
        return Handler(self.deliver, settings.max_in_flight, settings.per_host, self.prepare)

    def forget(self) -> None:
        """Another process changed the database."""
        self._digests.clear()

    def _heard(self, notice: object) -> None:
        if isinstance(notice, ActorChanged):
            self._digests.pop(notice.actor_id, None)
        elif isinstance(notice, NoticesLost):
            self.forget()

    # before sending: one look at the store for all that were claimed together

    async def prepare(self, batch: Sequence[Job]) -> None:
        """Read what the deliveries of a batch need, and whether there is still a reason to send them."""
        database = self._instance.database
        missing = {job.document_id for job in batch if job.document_id is not None} - self._documents.keys()
        documents = await database.read(_documents, sorted(missing)) if missing else {}
        for ident, found in documents.items():
            self._documents[ident] = _parsed(found)
        questions = [q for job in batch if (q := self._question(job)) is not None]
        reasons = await database.read_fast(reasons_not_to_send, questions)
        for question in questions:
            reason = reasons.get(question.job)
            self._ready[question.job] = Cancelled(reason) if reason is not None else await self._made_ready(question)
        while len(self._documents) > DOCUMENTS_KEPT:
            self._documents.popitem(last=False)

    def _question(self, job: Job) -> Question | None:
        ident = job.document_id
        document = self._documents.get(ident) if ident is not None else None
        if ident is None or document is None or job.host is None:
            self._ready[job.id] = Dead("its document is gone")
            return None
        self._documents.move_to_end(ident)
        target = decode_target(job.payload)
        self._ready[job.id] = Dead("it was not looked at")
        return Question(job.id, job.host, document.author, document.post, document.facts, target, ident)

    async def _made_ready(self, question: Question) -> Ready:
        document = self._documents[question.document]
        name = document.facts.synchronise
        headers = {}
        if name is not None and question.target.shared:
            headers = await self._synchronization(document.author, name, question.host)
        return Ready(document, question.target, headers)

    async def _synchronization(self, author: Id, name: str, host: str) -> dict[str, str]:
        # spec: R119 — what goes to followers says which followers we know at the receiver (FEP-8fcf)
        digests = self._digests.get(author)
        if digests is None:
            digests = await self._instance.database.read(_digests, author)
            self._digests[author] = digests
            if len(self._digests) > DIGESTS_KEPT:
                self._digests.popitem(last=False)
        digest = digests.get(host)
        if digest is None:
            return {}
        collection, url = self._names.followers(name), f"{self._names.actor(name)}/followers_synchronization"
        return {"collection-synchronization": f'collectionId="{collection}", url="{url}", digest="{digest}"'}

    # sending

    async def deliver(self, job: Job) -> Result:
        """Send one document to one inbox. Raises `PolicyRefusal`."""
        ready = self._ready.pop(job.id)
        if not isinstance(ready, Ready):
            return ready
        try:
            url = wire_url(ready.target.inbox, development=self._instance.config.server.development)
        except BadInput as error:
            return Dead(error.message)
        try:
            return await self._send(job, ready, url)
        except PolicyRefusal as refusal:
            if refusal.rule != "gateway-permit":
                raise
            # The policy changed while it was on its way. If it says no now, that refusal is the reason.
            self._instance.guard.permit_deliver(url, ready.document.asked)
            return Later(ASK_AGAIN, "the policy changed while it was being sent")

    async def _send(self, job: Job, ready: Ready, url: str) -> Result:
        remembered = _remembered(job.health, self._instance.clock())
        first = remembered or SCHEMES[0]
        reply, permit = await self._knock(ready, url, first)
        scheme = first
        if isinstance(reply, Reply) and _knock_again(reply.status, known=remembered is not None):
            # spec: R54 — the other scheme at once, and what worked is remembered for the host
            second, permit = await self._knock(ready, url, SCHEMES[1 - SCHEMES.index(first)])
            if isinstance(second, Reply) and not _refused(second.status):
                reply, scheme = second, SCHEMES[1 - SCHEMES.index(first)]
        return await self._judged(job, ready, reply, permit, scheme)

    async def _knock(self, ready: Ready, url: str, scheme: str) -> tuple[Reply | FetchFailed, Permit]:
        """One request. The permit is asked for right before it, every time."""
        document, instance = ready.document, self._instance
        signer = await self._federation.keyring.signer(document.author)
        # spec: R7, R55 — digest and signature over the body as it is sent
        signed = await self._federation.keyring.sign(
            signer, "POST", url, document.body, scheme=scheme, now=instance.clock(), content_type=ACTIVITY_TYPE
        )
        permit = instance.guard.permit_deliver(url, document.asked)
        try:
            return await instance.gateway.post(permit, url, document.body, {**signed, **ready.headers}), permit
        except FetchFailed as error:
            return error, permit

    async def _judged(
        self, job: Job, ready: Ready, reply: Reply | FetchFailed, permit: Permit, scheme: str
    ) -> Attempted:
        now = self._instance.clock()
        if isinstance(reply, FetchFailed):
            outcome = Outcome.UNREACHABLE if reply.http_status is None else outcome_of(reply.http_status)
            return Attempted(outcome, reply.http_status, reply.message, None, permit.rule, permit.revision)
        retry_after = reply.retry_after(now)
        outcome = outcome_of(reply.status, retry_after)
        if outcome is Outcome.GONE:
            await self._instance.database.write(_forget_inbox, Domain(permit.host), ready, reply.status)
        answered = f"{permit.host} answered {reply.status}"
        news = outcome is Outcome.DELIVERED and _stale(job.health, scheme, now)
        return Attempted(
            outcome,
            reply.status,
            None if outcome is Outcome.DELIVERED else answered,
            retry_after,
            permit.rule,
            permit.revision,
            scheme if news else None,
            Millis(now + REMEMBER) if news else None,
        )


def _remembered(health: PeerHealth, now: Millis) -> str | None:
    if health.signature_scheme in SCHEMES and health.scheme_until is not None and health.scheme_until > now:
        return health.signature_scheme
    return None


def _stale(health: PeerHealth, scheme: str, now: Millis) -> bool:
    """Whether a scheme that worked is worth a note: another one, or half its time is over."""
    until = health.scheme_until
    return health.signature_scheme != scheme or until is None or until - now < REMEMBER // 2


def _refused(status: int) -> bool:
    return status in (400, 401, 403) or status >= 500


def _knock_again(status: int, *, known: bool) -> bool:
    """Whether the scheme may be to blame. A server fault of a host whose scheme is known is a fault."""
    return status in (400, 401, 403) or (status >= 500 and status != 503 and not known)


def _documents(tx: Tx, idents: Sequence[Id]) -> dict[Id, OutgoingDocument]:
    return {ident: found for ident in idents if (found := activities.document(tx, ident)) is not None}


def _parsed(found: OutgoingDocument) -> Document:
    facts = decode_facts(found.facts)
    return Document(found.actor_id, found.post_id, found.body.encode(), facts, facts.delivery())


def _digests(tx: Tx, author: Id) -> dict[str, str]:
    """The digest of an author's followers, for each host."""
    at: dict[str, list[Iri]] = {}
    for _, iri, host, _, _ in relations.remote_followers(tx, author):
        at.setdefault(host, []).append(iri)
    return {host: followers_digest(iris) for host, iris in at.items()}


def _forget_inbox(tx: Tx, host: Domain, ready: Ready, status: int) -> None:
    """404 or 410: a shared inbox is not used any more; somebody whose own inbox is gone for good follows nobody."""
    target = ready.target
    if target.shared:
        actors.forget_shared_inbox(tx, host, target.inbox)
    elif status == 410:
        for follower in target.followers:
            made = relations.follow(tx, follower, ready.document.author)
            if made is not None:
                end(tx, made)


def handlers(federation: Federation) -> dict[str, Handler]:
    """What does jobs of kind ``deliver``."""
    return {DELIVER: Delivery(federation).handler()}
