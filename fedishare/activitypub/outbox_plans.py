"""Plans: for each local change the activity that tells others of it, and the people that are told.

Every kind of change is listed here, and one that is not is an error.
"""

from __future__ import annotations

import msgspec

from fedishare.activitypub import outbox_pairs, outbox_posts, quotes_plans, writer
from fedishare.activitypub.outbox_facts import DeliverTo, DocumentFacts
from fedishare.activitypub.outbox_plan import Ask, Plan, fixed, followers_iri, followers_of
from fedishare.model.actors import ActorState
from fedishare.model.outgoing import (
    AnswerQuoteRequest,
    ForwardActivity,
    Outgoing,
    PublishActor,
    PublishEdit,
    PublishMove,
    PublishPin,
    PublishPost,
    RevokeQuote,
    SendQuoteRequest,
    SendReport,
    SendVotes,
    WithdrawActor,
    WithdrawBoost,
    WithdrawPost,
)
from fedishare.store import actors, jobs
from fedishare.store.db import Tx


def plans(tx: Tx, ask: Ask, change: Outgoing) -> list[Plan]:
    """The activities of a change; none when there is nothing (any more) to tell."""
    match change:
        case PublishPost():
            made = outbox_posts.publish(tx, ask, change)
        case PublishEdit():
            made = outbox_posts.edit(tx, ask, change)
        case WithdrawPost():
            made = outbox_posts.withdraw(tx, ask, change)
        case WithdrawBoost():
            made = outbox_posts.unboost(tx, ask, change)
        case SendVotes():
            return outbox_pairs.votes(tx, ask, change)
        case PublishActor() | PublishMove():
            made = _profile(tx, ask, change)
        case WithdrawActor():
            made = _leave(tx, ask, change)
        case PublishPin():
            made = outbox_posts.pin(tx, ask, change)
        case SendReport():
            made = outbox_pairs.report(tx, ask, change)
        case SendQuoteRequest() | AnswerQuoteRequest() | RevokeQuote():
            made = quotes_plans.plan(tx, ask, change)
        case ForwardActivity():
            made = outbox_posts.forward(tx, change)
        case _:
            made = outbox_pairs.between_two(tx, ask, change)
    return [made] if made is not None else []


def needs_numbers(change: Outgoing) -> int:
    """How many activity ids a change wants besides the first one."""
    return max(0, len(change.choices) - 1) if isinstance(change, SendVotes) else 0


def _profile(tx: Tx, ask: Ask, change: PublishActor | PublishMove) -> Plan | None:
    actor = actors.by_id(tx, change.actor_id)
    if actor is None or actor.state >= ActorState.SUSPENDED:
        return None
    to = [followers_iri(actor)]
    if isinstance(change, PublishMove):
        # spec: R106 — Move to the followers, once
        iri = ask.names.activity(actor.name, "moves", ask.number)
        document, facts = writer.move(iri, actor.iri, change.target, to=to), DocumentFacts("Move")
    else:
        iri = ask.names.activity(actor.name, "updates", ask.number)
        described = writer.actor_document(actor, actors.keys_of(tx, actor), names=ask.names)
        document = writer.update_actor(iri, described, to=to)
        facts = DocumentFacts("Update", actor.kind.value)
    facts = msgspec.structs.replace(facts, synchronise=actor.name)
    return Plan(iri, actor, facts, actor.iri, followers_of(tx, actor), fixed(document))


def _leave(tx: Tx, ask: Ask, change: WithdrawActor) -> Plan | None:
    # spec: R85 — Delete of an actor, to every host that knows it
    actor = actors.by_id(tx, change.actor_id)
    if actor is None:
        return None
    hosts = {*change.hosts, *jobs.hosts_of_author(tx, actor.id)}
    found = jobs.inboxes_at(tx, hosts)
    earlier = tuple((host, DeliverTo(shared or own, shared=shared is not None)) for host, shared, own in found)
    iri = ask.names.activity(actor.name, "deletes", ask.number)
    document = writer.delete_actor(iri, actor.iri, to=[followers_iri(actor)])
    facts = DocumentFacts("Delete", actor.kind.value, people=False, author=False)
    return Plan(iri, actor, facts, actor.iri, (), fixed(document), earlier=earlier)
