"""Push subscriptions: what apps ask for, and which notification goes to which of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from fedishare.model.actors import Viewer
from fedishare.model.errors import BadInput, NotFound
from fedishare.model.ids import Id
from fedishare.store import jobs, push
from fedishare.store.db import Tx
from fedishare.store.push import Subscription

JOB = "push"
ALERTS = (
    "mention", "status", "reblog", "follow", "follow_request", "favourite", "poll", "update", "quote",
    "quoted_update", "admin.sign_up", "admin.report",
)  # fmt: skip
"""The kinds of notifications that can be asked for, in the order in which they are shown."""
POLICIES = ("all", "followed", "follower", "none")
MAX_ENDPOINT = 2048


class PushJob(msgspec.Struct, frozen=True):
    """One notification for one app."""

    subscription_id: Id
    notification_id: Id


@dataclass(frozen=True, slots=True)
class Wishes:
    """What an app wants to hear of."""

    alerts: frozenset[str] = frozenset()
    policy: str = "all"

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise BadInput(f"data[policy]: one of {', '.join(POLICIES)} was expected, found {self.policy[:40]!r}")


@dataclass(frozen=True, slots=True)
class Device:
    """Where an app can be reached: the push service's address for it, its keys, and its token, encrypted."""

    endpoint: str
    p256dh: bytes
    auth: bytes
    standard: bool
    sealed: bytes


def subscribe(tx: Tx, viewer: Viewer, device: Device, wishes: Wishes) -> Subscription:
    """Make the token's subscription, in the place of one that it has."""
    tx.lock(f"push:{viewer.token_id}")
    push.drop_of_token(tx, viewer.token_id)
    made = Subscription(
        tx.new_id(), viewer.token_id, viewer.id, device.endpoint, device.p256dh, device.auth, device.standard,
        wishes.alerts, wishes.policy, device.sealed,
    )  # fmt: skip
    push.put(tx, made)
    return made


def found(tx: Tx, viewer: Viewer) -> Subscription:
    """The token's subscription. Raises `NotFound`."""
    made = push.of_token(tx, viewer.token_id)
    if made is None:
        raise NotFound("Record not found")
    return made


def change(tx: Tx, viewer: Viewer, wishes: Wishes) -> Subscription:
    """Change what the token's subscription wants. Raises `NotFound`."""
    found(tx, viewer)
    push.set_wishes(tx, viewer.token_id, wishes.alerts, wishes.policy)
    return found(tx, viewer)


def end(tx: Tx, viewer: Viewer) -> None:
    """End the token's subscription, if there is one."""
    push.drop_of_token(tx, viewer.token_id)


def queue(tx: Tx, owner: Id, kind: str, source: Id, notification: Id) -> None:
    """Have the apps of ``owner`` told of a notification that they want to hear of."""
    wanted = [each for each in push.of_actor(tx, owner) if kind in each.alerts and each.policy != "none"]
    for each in _from_the_right(tx, wanted, owner, source):
        payload = msgspec.json.encode(PushJob(each.id, notification)).decode()
        name = f"push:{each.id}:{notification}"  # a lane of its own: one that has to wait holds up no other
        jobs.put(tx, JOB, payload, lane=name, dedup=name)


def _from_the_right(tx: Tx, wanted: list[Subscription], owner: Id, source: Id) -> Iterable[Subscription]:
    if all(each.policy == "all" for each in wanted):
        return wanted
    follows, followed = push.ties(tx, owner, source)
    fitting = {"all": True, "followed": follows, "follower": followed}
    return [each for each in wanted if fitting[each.policy]]
