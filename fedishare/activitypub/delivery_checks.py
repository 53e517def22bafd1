"""What is asked of the store right before a delivery is sent: is there still a reason to send it?

Between queueing and sending a post may be deleted, its author suspended, a follower gone or blocked. All deliveries
that were claimed together are checked with a handful of queries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from fedishare.activitypub.outbox_facts import DeliverTo, DocumentFacts
from fedishare.model.actors import ActorState
from fedishare.model.ids import Domain, Id
from fedishare.model.posts import Reach, Visibility
from fedishare.store import deliveries, relations
from fedishare.store.db import Tx


@dataclass(frozen=True, slots=True)
class Question:
    """One delivery: its document's author, post and facts, and whom it is for at which host."""

    job: Id
    host: str
    author: Id
    post: Id | None
    facts: DocumentFacts
    target: DeliverTo
    document: Id


@dataclass(slots=True)
class _Known:
    posts: Mapping[Id, tuple[Visibility, Reach]]
    states: Mapping[Id, ActorState]
    followers: dict[Id, set[Id]] = field(default_factory=dict)
    blocked: dict[Id, set[Id]] = field(default_factory=dict)


def reasons_not_to_send(tx: Tx, questions: Sequence[Question]) -> dict[Id, str]:
    """Why deliveries are not to be sent any more, by job; those that are fine are not in it."""
    known = _read(tx, questions)
    found = {}
    for question in questions:
        reason = _reason(tx, question, known)
        if reason is not None:
            found[question.job] = reason
    return found


def _read(tx: Tx, questions: Sequence[Question]) -> _Known:
    wanted = {q.post for q in questions if q.facts.post and q.post is not None}
    people: dict[Id, set[Id]] = {}
    for question in questions:
        if question.facts.people:
            people.setdefault(question.author, set()).update(question.target.named, question.target.followers)
    everybody = {q.author for q in questions}.union(*people.values())
    known = _Known(deliveries.labels(tx, wanted), deliveries.states(tx, everybody))
    for author, theirs in people.items():
        known.followers[author] = deliveries.followers_among(tx, author, theirs)
        known.blocked[author] = deliveries.blocked_among(tx, author, theirs)
    return known


def _reason(tx: Tx, question: Question, known: _Known) -> str | None:
    facts = question.facts
    if facts.author and known.states.get(question.author, ActorState.DELETED) >= ActorState.SUSPENDED:
        return "the author is suspended or gone"
    if facts.post:
        labels = known.posts.get(question.post) if question.post is not None else None
        if labels is None:
            return "the post was deleted before it was sent"
        if facts.reach is None or labels != (facts.visibility, Reach.decode(facts.reach)):
            return "the post's audience is another one by now"
    return _nobody_left(tx, question, known) if facts.people else None


def _nobody_left(tx: Tx, question: Question, known: _Known) -> str | None:
    """Whether nobody at the inbox is meant any more."""
    # spec: R44, R45 — only to followers and named people, and never to those that are blocked
    target, author = question.target, question.author
    blocked = known.blocked.get(author, set())
    following = known.followers.get(author, set()).intersection(target.followers)
    if _active(known, following.union(target.named) - blocked):
        return None
    if target.more and relations.has_follower_at(tx, author, Domain(question.host)):
        return None
    if target.named and blocked.intersection(target.named):
        return "the recipient is blocked, or blocks the author"
    return "nobody there follows the author any more" if target.followers else "the recipient is gone"


def _active(known: _Known, people: Iterable[Id]) -> bool:
    return any(known.states.get(person, ActorState.DELETED) < ActorState.SUSPENDED for person in people)
