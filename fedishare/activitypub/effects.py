"""Effects: what a verified and admitted activity does here. Functions of ``tx``: no network, no clock, no policy.

One activity is one transaction: the note that it came (so that it counts once), its effect, and the jobs for whatever
must be read at a partner first. What is about a post that the sender could not see has no effect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from fedishare.activitypub.addressing import followers_digest
from fedishare.model.activities import (
    AnswerFollow,
    AnswerQuote,
    AnswerReply,
    BlockActor,
    Boost,
    CastVote,
    EditActor,
    EditPost,
    Favourite,
    FetchPost,
    Ignore,
    Intent,
    MoveActor,
    Pin,
    ReceivePost,
    RelayedActivity,
    RemoteActor,
    RemoveActor,
    RemovePost,
    ReportContent,
    RequestFollow,
    RequestQuote,
    Undo,
)
from fedishare.model.actors import Actor, ActorKind, ActorState
from fedishare.model.ids import Domain, Id, Iri, Millis, id_at
from fedishare.model.outgoing import ForwardActivity
from fedishare.model.partners import PeerHealth
from fedishare.model.posts import Post, RemotePost
from fedishare.services import accounts, approvals, governance, interactions, quote_requests, relations
from fedishare.services import posts as post_services
from fedishare.services.site import FetchActorJob, FetchPostJob, Site, dedup_of, federate, fetch
from fedishare.store import activities, actors, jobs, posts, queue, tombstones
from fedishare.store import interactions as interaction_rows
from fedishare.store import relations as relation_rows
from fedishare.store.db import Tx

APPLY = "apply"
STALE = 24 * 3600 * 1000
"""An actor is read again when it is seen after this time; milliseconds."""
ANEW_AFTER = 120_000
"""After so many milliseconds a Follow or its Undo with a known id counts as a new one."""
UNDONE = "undone"
"""The rule on record of an activity that never came in, because it had been taken back."""
ERASE_AT_ONCE = 200
"""Posts of a deleted actor that are removed in the transaction of the Delete; more are left to a job."""

_encode = msgspec.json.Encoder().encode


class RelayJob(msgspec.Struct, frozen=True, tag="relay"):
    """An activity that a group announced: prove or fetch it, then take it in as its own actor's."""

    iri: str
    document: str


class RefreshJob(msgspec.Struct, frozen=True, tag="refresh"):
    """Read a post again at its origin, and believe what that says."""

    iri: str


class SynchroniseJob(msgspec.Struct, frozen=True, tag="synchronise"):
    """Read which of our people an actor counts among its followers (FEP-8fcf)."""

    actor: str
    url: str


class EraseJob(msgspec.Struct, frozen=True, tag="erase"):
    """Remove what a deleted actor left behind."""

    actor_id: Id


ApplyJob = RelayJob | RefreshJob | SynchroniseJob | EraseJob


class Result(StrEnum):
    """What became of an activity. All of them are answered 202."""

    APPLIED = "applied"
    QUEUED = "queued"
    """Something must be read at a partner first; a job does that."""
    DUPLICATE = "duplicate"
    NOTHING = "nothing"
    """It is about nothing that we have, or nothing that the sender may touch."""


@dataclass(frozen=True, slots=True)
class Synchronisation:
    """The `Collection-Synchronization` header of a delivery: where the actor's followers here are listed, and their
    digest."""

    url: str
    digest: str


@dataclass(frozen=True, slots=True)
class Inbound:
    """An admitted activity: what it asks, whose it is, and under which rule it came in."""

    intent: Intent
    actor_id: Id
    key: str
    """The activity's id; for one without, a name made from its content."""
    type: str
    host: Domain
    partner: Domain
    rule: str
    revision: int
    body: bytes
    """As it was received."""
    synchronisation: Synchronisation | None = None
    first_for_long: bool = True
    """Nothing came from that host within the last second, so its circuit may be open."""


def record_and_apply(tx: Tx, site: Site, inbound: Inbound) -> Result:
    """Note an activity and give it its effect, once. Raises `NotAllowed`, and then nothing has changed."""
    actor = actors.by_id(tx, inbound.actor_id)
    if actor is None or actor.state >= ActorState.SUSPENDED:
        return Result.NOTHING
    # spec: R19 — the same activity has its effect once, through whichever inboxes it comes
    first = activities.record(tx, inbound.key, actor.iri, inbound.type, inbound.partner, inbound.rule, inbound.revision)
    if not first and not _anew(tx, actor, inbound):
        return Result.DUPLICATE
    if inbound.first_for_long:
        _heard(tx, inbound.host)
    if tx.now - actor.fetched_at > STALE:
        # spec: R103 — a stale actor is read again when seen after a day
        fetch(tx, FetchActorJob(actor.iri))
    if inbound.synchronisation is not None:
        _compare_followers(tx, actor, inbound.synchronisation)
    return apply(tx, site, actor, inbound.intent, inbound.body)


def hold(tx: Tx, key: str, actor: Iri, type_: str, partner: Domain, rule: str, revision: int, body: str) -> None:
    """Keep an activity for a person's decision, once."""
    if activities.record(tx, key, actor, type_, partner, rule, revision):
        activities.hold(tx, partner, rule, body)


def _anew(tx: Tx, actor: Actor, inbound: Inbound) -> bool:
    """Whether a known id stands for something new: some peers name each Follow of one person by another alike, and its
    Undo too. So these two count again, unless they come so soon that it may be the same delivery once more."""
    match inbound.intent:
        case RequestFollow() | Undo(kind="Follow" | None):
            return activities.renew(tx, inbound.key, actor.iri, id_at(Millis(tx.now - ANEW_AFTER)))
        case _:
            return False


def _heard(tx: Tx, host: Domain) -> None:
    """A request from a peer whose circuit is open proves it alive: what waits for it is due."""
    health = jobs.peer(tx, host)
    if health.failures >= PeerHealth.OPEN_AFTER and health.retry_at is not None:
        queue.heard_from(tx, host)


def later(tx: Tx, job: ApplyJob, lane: str) -> Result:
    """Queue what needs the network, or much time."""
    payload = _encode(job).decode()
    jobs.put(tx, APPLY, payload, lane=f"apply:{lane}", dedup=dedup_of(APPLY, payload))
    return Result.QUEUED


def apply(tx: Tx, site: Site, actor: Actor, intent: Intent, body: bytes) -> Result:  # noqa: C901 — one line each
    """Give an intent of ``actor`` its effect. ``body`` is the activity as received. Raises `NotAllowed`."""
    match intent:
        case ReceivePost(post):
            return _receive(tx, site, actor, post, body)
        case EditPost(post):
            return _done(post_services.receive_edit(tx, site, actor, post))
        case RemovePost(iri):
            revoked = quote_requests.receive_revocation(tx, actor, iri)
            return _done(post_services.receive_removal(tx, actor.iri, iri) or revoked)
        case FetchPost(iri):
            return _fetch_post(tx, iri)
        case Boost():
            return _boost(tx, site, actor, intent, body)
        case Favourite(iri, target):
            return _done(interactions.receive_favourite(tx, actor, iri, target))
        case CastVote(_, question, option):
            asked = posts.by_iri(tx, question)
            return _done(asked is not None and interactions.receive_vote(tx, actor, asked, option))
        case RequestFollow(iri, followee):
            return _follow(tx, actor, iri, followee)
        case AnswerFollow():
            return _answer(tx, actor, intent)
        case RequestQuote():
            return _done(quote_requests.receive_request(tx, site, actor, intent))
        case AnswerQuote():
            return _done(quote_requests.receive_answer(tx, site, actor, intent))
        case AnswerReply():
            return _done(approvals.receive_answer(tx, site, actor, intent))
        case Undo():
            return _undo(tx, actor, intent)
        case BlockActor(iri, target):
            return _block(tx, actor, iri, target)
        case ReportContent(iri, objects, comment):
            return _done(governance.receive_report(tx, actor, iri, objects, comment))
        case Pin(target, collection, added):
            return _pin(tx, actor, target, collection, added)
        case EditActor(remote):
            return _edit_actor(tx, actor, remote)
        case RemoveActor():
            return _remove_actor(tx, actor)
        case MoveActor(target):
            # spec: R105 — both documents are read before anybody is moved
            fetch(tx, FetchActorJob(target, move_from=actor.iri))
            return Result.QUEUED
        case RelayedActivity(iri, document):
            return _relayed(tx, actor, iri, document)
        case Ignore():
            return Result.NOTHING
        case unknown:
            raise TypeError(f"an intent without an effect: {unknown!r}")


def _done(outcome: object) -> Result:
    return Result.APPLIED if outcome else Result.NOTHING


# Posts


def _receive(tx: Tx, site: Site, actor: Actor, remote: RemotePost, body: bytes) -> Result:
    post = post_services.receive(tx, site, actor, remote)
    if post is not None and post.in_reply_to_id is not None:
        _forward(tx, actor, remote, post, body)
    return _done(post)


def _forward(tx: Tx, actor: Actor, remote: RemotePost, reply: Post, body: bytes) -> None:
    """Inbox forwarding: a reply to a local post, addressed to that author's followers, goes on to them unchanged.

    The outbox picks followers at other hosts of the partner that it came from, and nobody else: what partner B wrote is
    never relayed to partner C, and the reply's own host has it already. So this is for partners with several hosts.
    """
    # spec: R118 — forwarded unchanged, and never from one partner to another
    answered = posts.by_id(tx, reply.in_reply_to_id) if reply.in_reply_to_id is not None else None
    if answered is None or not answered.local or actor.host is None:
        return
    author = actors.by_id(tx, answered.author_id)
    if author is None or author.endpoints.followers not in (*remote.to, *remote.cc):
        return
    if any(host != actor.host for host in relation_rows.follower_hosts(tx, author.id)):
        change = ForwardActivity(body.decode(), remote.iri, author.id, answered.id, actor.host)
        federate(tx, author.id, change)


def _fetch_post(tx: Tx, iri: Iri) -> Result:
    # spec: R32 — what is not embedded by its owner is read at its own origin
    if posts.by_iri(tx, iri) is not None:
        return later(tx, RefreshJob(iri), iri)
    if tombstones.was_here(tx, iri):
        return Result.NOTHING
    fetch(tx, FetchPostJob(iri))
    return Result.QUEUED


def _boost(tx: Tx, site: Site, actor: Actor, intent: Boost, body: bytes) -> Result:
    post = posts.by_iri(tx, intent.object)
    if post is None:
        if site.names.is_ours(intent.object) or tombstones.was_here(tx, intent.object):
            return Result.NOTHING
        # spec: R86 — read at its origin, and shown under the booster after that
        fetch(tx, FetchPostJob(intent.object, boost_by=actor.iri, boost_body=body.decode()))
        return Result.QUEUED
    return _done(interactions.receive_boost(tx, actor, intent.iri, post, intent.visibility, intent.published))


# People


def _local(tx: Tx, iri: Iri) -> Actor | None:
    """A local person, group or service that can still do something."""
    found = actors.by_iri(tx, iri)
    if found is None or not found.is_local or found.state >= ActorState.SUSPENDED:
        return None
    return None if found.name == actors.INSTANCE_ACTOR else found


def _follow(tx: Tx, actor: Actor, iri: Iri | None, target: Iri) -> Result:
    followee = _local(tx, target)
    if followee is None:
        return Result.NOTHING
    # A careless peer sends no id; our Accept must name one all the same.
    relations.receive_follow(tx, actor, followee, iri or Iri(f"{actor.iri}#follows/{followee.id}"))
    return Result.APPLIED


def _answer(tx: Tx, actor: Actor, intent: AnswerFollow) -> Result:
    # spec: R17 — by the Follow's id, by the embedded Follow, or by the pair; only from the actor that was followed
    made = relation_rows.follow_by_iri(tx, intent.follow_iri) if intent.follow_iri is not None else None
    if made is None and intent.follower is not None:
        follower = _local(tx, intent.follower)
        made = relation_rows.follow(tx, follower.id, actor.id) if follower is not None else None
    if made is None:
        return Result.NOTHING
    relations.receive_answer(tx, actor, made, intent.accepted)
    return Result.APPLIED


def _block(tx: Tx, actor: Actor, iri: Iri | None, target: Iri) -> Result:
    # spec: R46 — follow relations in both directions end
    blocked = _local(tx, target)
    if blocked is None:
        return Result.NOTHING
    relations.receive_block(tx, actor, blocked, iri)
    return Result.APPLIED


def _pin(tx: Tx, actor: Actor, target: Iri, collection: Iri, added: bool) -> Result:
    # spec: R107 — the actor's own featured collection, and nothing else
    if actor.profile.featured != collection:
        return Result.NOTHING
    interactions.receive_pin(tx, actor, target, added)
    return Result.APPLIED


def _edit_actor(tx: Tx, actor: Actor, remote: RemoteActor) -> Result:
    # spec: R31, R103 — profile, keys and collections are those of the document
    if remote.name != actor.name or not remote.keys or actor.domain is None:
        # Another name wants WebFinger, and a document without keys says too little.
        fetch(tx, FetchActorJob(actor.iri))
        return Result.QUEUED
    actors.put_remote(tx, remote, actor.domain)
    return Result.APPLIED


def _remove_actor(tx: Tx, actor: Actor) -> Result:
    # spec: R85 — Delete of an actor removes it and its posts
    if actor.posts_count > ERASE_AT_ONCE:
        actors.set_state(tx, actor.id, ActorState.DELETED)
        later(tx, EraseJob(actor.id), actor.iri)
    else:
        accounts.erase(tx, actor)
    return Result.APPLIED


def _relayed(tx: Tx, actor: Actor, iri: Iri, document: str) -> Result:
    # spec: R112 — by groups; fetched or proven first, then judged as that activity
    if actor.kind is not ActorKind.GROUP:
        return Result.NOTHING
    return later(tx, RelayJob(iri, document), iri)


# Undo


def _undo(tx: Tx, actor: Actor, intent: Undo) -> Result:
    """Take back whatever ``actor`` did under that id; else, when the inner activity came along, what that did."""
    # spec: R18 — embedded or a bare id, and only what that actor itself did
    tried: tuple[Callable[[Tx, Actor, Undo], bool], ...]
    match intent.kind:
        case None:
            tried = (_undo_follow, _undo_favourite, _undo_boost, _undo_block)
        case "Follow":
            tried = (_undo_follow,)
        case "Like" | "EmojiReact":
            tried = (_undo_favourite,)
        case "Announce":
            tried = (_undo_boost,)
        case "Block":
            tried = (_undo_block,)
        case _:
            return Result.NOTHING
    if intent.iri is not None and actor.domain is not None:
        # What was taken back before it came (peers deliver in any order) must not have an effect when it does.
        activities.record(tx, intent.iri, actor.iri, "Undo", actor.domain, UNDONE, 0)
    return _done(any(undo(tx, actor, intent) for undo in tried))


def _undo_follow(tx: Tx, actor: Actor, intent: Undo) -> bool:
    made = relation_rows.follow_by_iri(tx, intent.iri) if intent.iri is not None else None
    if made is not None and made.follower_id == actor.id:
        relations.receive_unfollow(tx, actor, made.followee_id)
        return True
    followee = _local(tx, intent.object) if intent.object is not None and intent.kind is not None else None
    if followee is None or relation_rows.follow(tx, actor.id, followee.id) is None:
        return False
    relations.receive_unfollow(tx, actor, followee.id)
    return True


def _undo_favourite(tx: Tx, actor: Actor, intent: Undo) -> bool:
    liked = interaction_rows.favourite_by_iri(tx, actor.id, intent.iri) if intent.iri is not None else None
    post = posts.by_id(tx, liked) if liked is not None else None
    if post is None and intent.object is not None and intent.kind is not None:
        post = posts.by_iri(tx, intent.object)
    if post is None:
        return False
    interactions.receive_unfavourite(tx, actor, post)
    return True


def _undo_boost(tx: Tx, actor: Actor, intent: Undo) -> bool:
    made = posts.by_iri(tx, intent.iri) if intent.iri is not None else None
    if made is None and intent.object is not None and intent.kind is not None:
        boosted = posts.by_iri(tx, intent.object)
        ident = interaction_rows.boosted(tx, actor.id, [boosted.id]).get(boosted.id) if boosted is not None else None
        made = posts.by_id(tx, ident) if ident is not None else None
    if made is not None and made.author_id == actor.id and made.boost_of_id is not None:
        interactions.receive_unboost(tx, actor, made)
        return True
    if made is None and intent.iri is not None:
        # The boost may still wait for its post to be read: it must not appear after it was taken back.
        tombstones.put(tx, intent.iri, actor.iri, None)
    return False


def _undo_block(tx: Tx, actor: Actor, intent: Undo) -> bool:
    target = relation_rows.blocked_by_iri(tx, actor.id, intent.iri) if intent.iri is not None else None
    if target is None and intent.object is not None and intent.kind is not None:
        blocked = _local(tx, intent.object)
        target = blocked.id if blocked is not None else None
    if target is None:
        return False
    relations.receive_unblock(tx, actor, target)
    return True


# Followers' synchronisation (FEP-8fcf)


def _compare_followers(tx: Tx, actor: Actor, stated: Synchronisation) -> None:
    # spec: R119 — on a digest mismatch the partial collection is read
    ours = followers_digest(iri for _, iri in relation_rows.local_followers_of(tx, actor.id))
    if ours != stated.digest:
        later(tx, SynchroniseJob(actor.iri, stated.url), actor.iri)


def end_stale_follows(tx: Tx, actor_iri: Iri, listed: frozenset[str], before: int) -> int:
    """End the follows of local people whom the followed actor does not count; those made since ``before`` stay.

    Returns how many ended.
    """
    actor = actors.by_iri(tx, actor_iri)
    if actor is None:
        return 0
    ended = 0
    for ident, iri in relation_rows.local_followers_of(tx, actor.id):
        made = relation_rows.follow(tx, ident, actor.id)
        if iri not in listed and made is not None and made.created_at < before:
            relations.end(tx, made)
            ended += 1
    return ended


def erase(tx: Tx, actor_id: Id) -> bool:
    """Remove some of what a deleted actor left behind. True when nothing is left."""
    actor = actors.by_id(tx, actor_id)
    if actor is None:
        return True
    batch = posts.some_ids_of(tx, actor_id)
    for ident in batch:
        post = posts.by_id(tx, ident)
        if post is not None:
            post_services.bury(tx, post, actor.iri)
    if batch:
        return False
    accounts.erase(tx, actor)
    return True
