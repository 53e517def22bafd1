"""Follows, blocks and mutes, by local people and by partners' actors."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from fedishare.model.activities import ActorChanged
from fedishare.model.actors import Actor, Follow, FollowState
from fedishare.model.errors import BadInput, NotAllowed, NotFound
from fedishare.model.ids import Id, Iri, Millis
from fedishare.model.outgoing import (
    AnswerFollowRequest,
    SendBlock,
    SendFollow,
    WithdrawBlock,
    WithdrawFollow,
)
from fedishare.services import lists, notifications, quotes
from fedishare.services.site import Site, federate
from fedishare.store import actors, conversations, people, relations, timelines
from fedishare.store import notifications as notes
from fedishare.store.db import Tx


class FollowAnswer(StrEnum):
    """What became of a Follow that a partner's actor sent."""

    ACCEPTED = "accepted"
    PENDING = "pending"
    REJECTED = "rejected"


def follow(
    tx: Tx, site: Site, actor: Actor, target_id: Id, *, boosts: bool | None = None, notify: bool | None = None,
    languages: Sequence[str] | None = None,
) -> Follow:  # fmt: skip
    """A local person follows somebody; following again renews the options that are given.

    Raises `NotFound`, `NotAllowed`.
    """
    target = actors.by_id(tx, target_id)
    if target is None or target.state >= 2:
        raise NotFound("Record not found")
    if target.id == actor.id:
        raise NotAllowed("You cannot follow yourself")
    if relations.is_blocked(tx, target.id, actor.id) or relations.is_blocked(tx, actor.id, target.id):
        raise NotAllowed("This action is not allowed")
    if people.blocks_domain(tx, actor.id, target.domain):
        raise NotAllowed("This action is not allowed")
    if target.profile.moved_to is not None:
        raise BadInput("This account has moved; follow the new one")
    tx.lock(f"follow:{actor.id}:{target.id}")
    known = relations.follow(tx, actor.id, target.id)
    iri = known.iri if known else site.names.activity(actor.name, "follows", tx.new_id())
    made = relations.put_follow(
        tx, actor, target, FollowState.PENDING, iri, boosts=boosts, notify=notify, languages=languages
    )
    if known is not None:
        return made
    if not target.is_local:
        federate(tx, actor.id, SendFollow(actor.id, target.id, iri))
    elif target.profile.locked:
        notifications.notify(tx, target.id, "follow_request", actor.id)
    else:
        accept(tx, made)
        notifications.notify(tx, target.id, "follow", actor.id)
    found = relations.follow(tx, actor.id, target.id)
    assert found is not None  # noqa: S101 — just written
    return found


def accept(tx: Tx, made: Follow) -> bool:
    """A follow becomes valid: counts, and the followee's newest posts come home. False when it was valid before."""
    if not relations.set_follow_state(tx, made.id, FollowState.ACCEPTED):
        return False
    actors.count_follow(tx, made.follower_id, made.followee_id, +1)
    follower = actors.by_id(tx, made.follower_id)
    if follower is not None and follower.is_local:
        timelines.fill(tx, made.follower_id, made.followee_id)
    tx.notify(ActorChanged(made.follower_id))
    tx.notify(ActorChanged(made.followee_id))
    return True


def end(tx: Tx, made: Follow) -> None:
    """A follow ends: counts, and the followee leaves the home timeline."""
    if not relations.delete_follow(tx, made.follower_id, made.followee_id):
        return
    if made.state is FollowState.ACCEPTED:
        actors.count_follow(tx, made.follower_id, made.followee_id, -1)
        timelines.drop_author(tx, made.follower_id, made.followee_id)
    people.unendorse(tx, made.follower_id, made.followee_id)
    tx.notify(ActorChanged(made.follower_id))
    tx.notify(ActorChanged(made.followee_id))


def unfollow(tx: Tx, actor: Actor, target_id: Id) -> None:
    """A local person unfollows, or takes a request back."""
    made = relations.follow(tx, actor.id, target_id)
    if made is None:
        return
    target = actors.by_id(tx, target_id)
    end(tx, made)
    notes.withdraw(tx, target_id, "follow", actor.id)
    notes.withdraw(tx, target_id, "follow_request", actor.id)
    if target is not None and not target.is_local:
        federate(tx, actor.id, WithdrawFollow(actor.id, target_id, made.iri, tx.now))


def answer_request(tx: Tx, actor: Actor, follower_id: Id, accepted: bool) -> None:
    """A local person accepts or rejects a follow request. Raises `NotFound`."""
    made = relations.follow(tx, follower_id, actor.id)
    if made is None or made.state is FollowState.ACCEPTED:
        raise NotFound("Record not found")
    notes.withdraw(tx, actor.id, "follow_request", follower_id)
    if accepted:
        accept(tx, made)
        notifications.notify(tx, actor.id, "follow", follower_id)
    else:
        end(tx, made)
    _answer(tx, made, accepted)


def remove_follower(tx: Tx, actor: Actor, follower_id: Id) -> None:
    """A local person sends a follower away."""
    # spec: R113 — Reject also removes an existing follower
    made = relations.follow(tx, follower_id, actor.id)
    if made is not None:
        end(tx, made)
        _answer(tx, made, accepted=False)


def _answer(tx: Tx, made: Follow, accepted: bool) -> None:
    follower = actors.by_id(tx, made.follower_id)
    if follower is not None and not follower.is_local:
        # spec: R16 — Accept embeds the whole Follow, to the follower's inbox
        change = AnswerFollowRequest(accepted, made.iri, made.follower_id, made.followee_id, tx.now)
        federate(tx, made.followee_id, change)
    elif follower is not None and not accepted:
        timelines.drop_author(tx, made.follower_id, made.followee_id)


def block(tx: Tx, site: Site, actor: Actor, target_id: Id) -> None:
    """A local person blocks somebody: follow relations in both directions end. Raises `NotFound`."""
    target = actors.by_id(tx, target_id)
    if target is None or target.id == actor.id:
        raise NotFound("Record not found")
    iri = site.names.activity(actor.name, "blocks", tx.new_id())
    if not relations.put_block(tx, actor.id, target.id, iri):
        return
    part(tx, actor, target)
    quotes.part(tx, site, actor, target)
    notes.forget_from(tx, actor.id, target.id)
    conversations.drop_with(tx, actor.id, target.id)
    if not target.is_local:
        federate(tx, actor.id, SendBlock(actor.id, target.id, iri))


def part(tx: Tx, actor: Actor, target: Actor) -> None:
    """End the follows between two actors, telling the partner about those that it keeps."""
    mine = relations.follow(tx, actor.id, target.id)
    if mine is not None:
        end(tx, mine)
        if actor.is_local and not target.is_local:
            federate(tx, actor.id, WithdrawFollow(actor.id, target.id, mine.iri, tx.now))
    theirs = relations.follow(tx, target.id, actor.id)
    if theirs is not None:
        end(tx, theirs)
        if actor.is_local and not target.is_local:
            _answer(tx, theirs, accepted=False)
    timelines.drop_author(tx, actor.id, target.id)
    timelines.drop_author(tx, target.id, actor.id)


def unblock(tx: Tx, actor: Actor, target_id: Id) -> None:
    """A local person takes a block back."""
    iri = relations.block_iri(tx, actor.id, target_id)
    target = actors.by_id(tx, target_id)
    if relations.drop_block(tx, actor.id, target_id) and target is not None and not target.is_local and iri:
        federate(tx, actor.id, WithdrawBlock(actor.id, target_id, iri, tx.now))


def mute(tx: Tx, actor: Actor, target_id: Id, *, notifications: bool, expires_at: Millis | None) -> None:
    """A local person mutes somebody. Raises `NotFound`."""
    if actors.by_id(tx, target_id) is None or target_id == actor.id:
        raise NotFound("Record not found")
    relations.put_mute(tx, actor.id, target_id, notifications=notifications, expires_at=expires_at)


def unmute(tx: Tx, actor: Actor, target_id: Id) -> None:
    """A local person unmutes somebody."""
    relations.drop_mute(tx, actor.id, target_id)


# What partners' actors do.


def receive_follow(tx: Tx, follower: Actor, followee: Actor, iri: Iri) -> FollowAnswer:
    """Follow of a local actor; answered at once unless a person decides."""
    tx.lock(f"follow:{follower.id}:{followee.id}")
    known = relations.follow(tx, follower.id, followee.id)
    unwanted = relations.is_blocked(tx, followee.id, follower.id) or people.blocks_domain(
        tx, followee.id, follower.domain
    )
    if unwanted or followee.profile.moved_to is not None:
        rejected = known or Follow(Id(0), follower.id, followee.id, FollowState.PENDING, iri, tx.now)
        federate(tx, followee.id, AnswerFollowRequest(False, iri, rejected.follower_id, rejected.followee_id, tx.now))
        return FollowAnswer.REJECTED
    made = relations.put_follow(tx, follower, followee, FollowState.PENDING, iri)
    if followee.profile.locked and made.state is FollowState.PENDING:
        # spec: R113 — answered only after the owner's decision, also after a second Follow
        if known is None:
            notifications.notify(tx, followee.id, "follow_request", follower.id)
        return FollowAnswer.PENDING
    if accept(tx, made):
        notifications.notify(tx, followee.id, "follow", follower.id)
    _answer(tx, made, accepted=True)
    return FollowAnswer.ACCEPTED


def receive_answer(tx: Tx, followee: Actor, made: Follow, accepted: bool) -> None:
    """Accept or Reject by the followed actor of a Follow that somebody here sent."""
    if made.followee_id != followee.id:
        raise NotAllowed("only the followed actor may answer a Follow")
    if accepted:
        accept(tx, made)
    else:
        end(tx, made)


def receive_unfollow(tx: Tx, follower: Actor, followee_id: Id) -> None:
    """Undo of a Follow."""
    made = relations.follow(tx, follower.id, followee_id)
    if made is not None:
        end(tx, made)
        notes.withdraw(tx, followee_id, "follow", follower.id)
        notes.withdraw(tx, followee_id, "follow_request", follower.id)


def receive_block(tx: Tx, actor: Actor, target: Actor, iri: Iri | None) -> None:
    """Block by a partner's actor: follow relations in both directions end."""
    # spec: R46
    if relations.put_block(tx, actor.id, target.id, iri):
        part(tx, actor, target)
        quotes.unquote(tx, actor, target)


def receive_unblock(tx: Tx, actor: Actor, target_id: Id) -> None:
    """Undo of a Block."""
    relations.drop_block(tx, actor.id, target_id)


def receive_move(tx: Tx, site: Site, old: Actor, new: Actor) -> int:
    """A checked Move: local followers of ``old`` follow ``new`` and unfollow ``old``. Returns how many moved."""
    # spec: R105
    moved = 0
    for ident, _ in relations.local_followers_of(tx, old.id):
        person = actors.by_id(tx, ident)
        if person is None or person.state >= 2:
            continue
        parted = relations.is_blocked(tx, person.id, new.id) or relations.is_blocked(tx, new.id, person.id)
        if not parted and not people.blocks_domain(tx, person.id, new.domain):
            if person.id != new.id:
                _follow_on(tx, site, person, old, new)
            moved += 1
        unfollow(tx, person, old.id)
    return moved


def _follow_on(tx: Tx, site: Site, person: Actor, old: Actor, new: Actor) -> None:
    """Follow ``new`` as ``old`` was followed: with the same options if it is new, and in the same lists."""
    before = None if relations.follow(tx, person.id, new.id) else relations.follow(tx, person.id, old.id)
    if before is None:
        made = follow(tx, site, person, new.id)
    else:
        made = follow(
            tx, site, person, new.id, boosts=before.show_boosts, notify=before.notify, languages=before.languages
        )
    lists.carry_over(tx, person.id, old.id, new.id, made.id)
