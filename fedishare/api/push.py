"""Push subscriptions of apps, and the messages that they get (Web Push).

A message goes out only when the notification is still there and its owner may see what it is about. It is encrypted for
the app; whether it says who did what, or only that there is something, is the instance's choice.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import msgspec

from fedishare.api.http import Api, Params, Preferences, params
from fedishare.api.notifications import shown
from fedishare.api.table import OWN, Table
from fedishare.http.call import Answer, Call, json_answer
from fedishare.http.routes import Route
from fedishare.jobs import Attempted, Cancelled, Done, Handler, Result
from fedishare.model.actors import Actor
from fedishare.model.errors import BadInput, PolicyRefusal
from fedishare.model.ids import Id
from fedishare.model.partners import Outcome
from fedishare.services import push as service
from fedishare.services.push import ALERTS, JOB, MAX_ENDPOINT, Device, PushJob, Wishes
from fedishare.store import credentials, notifications, posts, push
from fedishare.store.db import Tx
from fedishare.store.jobs import Job
from fedishare.store.push import Subscription
from fedishare.text import excerpt, plain_text
from fedishare.webpush import check_keys, from_base64

log = logging.getLogger(__name__)

LIFETIME = 48 * 3600
"""Seconds for which a push service keeps a message for an app that cannot be reached."""
TOO_OLD = 24 * 3600 * 1000
"""Milliseconds after which nobody needs to be told any more."""
BODY_CHARACTERS = 140
TITLES = {
    "mention": "You were mentioned by {name}",
    "status": "{name} just posted",
    "reblog": "{name} boosted your post",
    "follow": "{name} is now following you",
    "follow_request": "{name} asks to follow you",
    "favourite": "{name} favourited your post",
    "poll": "A poll by {name} has ended",
    "update": "{name} edited a post",
    "quote": "{name} quoted your post",
    "quoted_update": "{name} edited a post that you quoted",
    "admin.sign_up": "{name} signed up",
    "admin.report": "{name} reported something",
}
SOMETHING = "There is something new"


class SubscriptionEntity(msgspec.Struct, frozen=True, kw_only=True):
    """A WebPushSubscription."""

    id: str
    endpoint: str
    standard: bool
    server_key: str
    alerts: dict[str, bool]
    policy: str


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What an app decrypts."""

    access_token: str
    preferred_locale: str
    notification_id: int
    notification_type: str
    icon: str
    title: str
    body: str


class _Face(msgspec.Struct, frozen=True):
    avatar_static: str
    display_name: str
    username: str


@dataclass(frozen=True, slots=True)
class PushApi:
    """The handlers."""

    api: Api

    async def subscribe(self, call: Call) -> Answer:
        """``POST /api/v1/push/subscription``: in the place of the one that the token has."""
        asked = await params(call)
        device, wishes = self._device(call, asked), _wishes(asked)
        made = await self.api.database.write(service.subscribe, call.me, device, wishes)
        return json_answer(self._entity(made))

    def _device(self, call: Call, asked: Params) -> Device:
        given = asked.section("subscription") or Params({})
        keys = given.section("keys") or Params({})
        endpoint = given.text("endpoint").strip()
        if not endpoint:
            raise BadInput("Validation failed: Endpoint can't be blank", path="subscription.endpoint")
        if len(endpoint) > MAX_ENDPOINT:
            raise BadInput(
                f"Validation failed: Endpoint has over {MAX_ENDPOINT} characters", path="subscription.endpoint"
            )
        try:
            p256dh, auth = from_base64(keys.text("p256dh")), from_base64(keys.text("auth"))
            check_keys(p256dh, auth)
        except BadInput as error:
            raise BadInput(f"Validation failed: {error.message}", path="subscription.keys") from error
        try:
            self.api.instance.guard.permit_push(endpoint)
        except PolicyRefusal as error:
            message = f"Validation failed: Endpoint cannot be used here: {error.message}"
            raise BadInput(message, path="subscription.endpoint") from error
        token = call.headers.get("authorization", "").partition(" ")[2].strip()
        return Device(endpoint, p256dh, auth, given.flag("standard"), self.api.sender.seal(token))

    async def show(self, call: Call) -> Answer:
        """``GET /api/v1/push/subscription``"""
        return json_answer(self._entity(await self.api.database.read_fast(service.found, call.me)))

    async def change(self, call: Call) -> Answer:
        """``PUT /api/v1/push/subscription``"""
        wishes = _wishes(await params(call))
        return json_answer(self._entity(await self.api.database.write(service.change, call.me, wishes)))

    async def end(self, call: Call) -> Answer:
        """``DELETE /api/v1/push/subscription``"""
        await self.api.database.write(service.end, call.me)
        return json_answer({})

    def _entity(self, made: Subscription) -> SubscriptionEntity:
        return SubscriptionEntity(
            id=str(made.id), endpoint=made.endpoint, standard=made.standard, server_key=self.api.sender.public_key,
            alerts={kind: kind in made.alerts for kind in ALERTS}, policy=made.policy,
        )  # fmt: skip


def _wishes(asked: Params) -> Wishes:
    data = asked.section("data") or Params({})
    alerts = data.section("alerts") or Params({})
    return Wishes(frozenset(kind for kind in ALERTS if alerts.flag(kind)), data.text("policy") or "all")


# Sending


@dataclass(frozen=True, slots=True)
class Pusher:
    """Sends what was queued."""

    api: Api

    async def run(self, job: Job) -> Result:
        """One notification to one app. Raises `PolicyRefusal`, `FetchFailed`."""
        what = msgspec.json.decode(job.payload, type=PushJob)
        instance = self.api.instance
        found = await self.api.database.read(self._written, what)
        if found is None:
            return Done()
        subscription, message = found
        permit = instance.guard.permit_push(subscription.endpoint)
        sealed = self.api.sender.message(
            subscription.endpoint, subscription.p256dh, subscription.auth, msgspec.json.encode(message),
            now=instance.clock() // 1000, standard=subscription.standard,
        )  # fmt: skip
        headers = {
            **sealed.headers,
            "content-type": "application/octet-stream",
            "ttl": str(LIFETIME),
            "urgency": "normal",
        }
        reply = await instance.gateway.post(permit, subscription.endpoint, sealed.body, headers)
        if reply.status in (404, 410):
            await self.api.database.write(push.drop, subscription.id)  # the app is gone
            return Cancelled(f"the push service answered {reply.status}: the subscription has ended")
        if reply.status in (200, 201, 202, 204):
            return Done()
        if reply.status == 429 or reply.status >= 500:
            return Attempted(Outcome.UNREACHABLE, reply.status, f"the push service answered {reply.status}")
        return Cancelled(f"the push service answered {reply.status}")

    def _written(self, tx: Tx, what: PushJob) -> tuple[Subscription, Message] | None:
        """For whom and what, if it still counts: the token, the notification, and that its owner may see it."""
        subscription = push.by_id(tx, what.subscription_id)
        if subscription is None:
            return None
        owner = subscription.actor_id
        note = notifications.by_id(tx, owner, what.notification_id)
        if note is None or note.filtered or note.created_at < tx.now - TOO_OLD:
            return None
        seen = shown(tx, self.api.renderer, [note], owner)
        token = self.api.sender.unseal(subscription.sealed)
        if not seen or token is None:
            return None
        icon, title, body = "", SOMETHING, ""
        if self.api.instance.config.push.content:
            icon, title, body = self._content(tx, note.kind, seen[0][1], note.post_id)
        owned = credentials.get(tx, owner)
        chosen = msgspec.json.decode(owned.settings, type=Preferences) if owned else Preferences()
        message = Message(
            access_token=token, preferred_locale=chosen.language or "en",
            notification_id=note.id, notification_type=note.kind, icon=icon, title=title, body=body,
        )  # fmt: skip
        return subscription, message

    def _content(self, tx: Tx, kind: str, source: Actor, post_id: Id | None) -> tuple[str, str, str]:
        face = msgspec.json.decode(self.api.renderer.account(tx, source), type=_Face)
        name = excerpt(face.display_name or face.username, 60)
        text = ""
        post = posts.by_id(tx, post_id) if post_id is not None else None
        if post is not None:
            content = post.content
            text = content.summary or plain_text(content.html)
        title = TITLES.get(kind, "{name}: " + kind).replace("{name}", name)
        return face.avatar_static, title, excerpt(text, BODY_CHARACTERS) if text.strip() else ""


def handlers(api: Api) -> dict[str, Handler]:
    """The jobs of this module."""
    pusher = Pusher(api)
    return {JOB: Handler(pusher.run, limit=8, timeout=60.0)}


def routes(api: Api, table: Table) -> list[Route]:
    """The lines of the registry."""
    found, line, at = PushApi(api), table.line, "/api/v1/push/subscription"
    return [
        line("POST", at, "push", found.subscribe, OWN),
        line("GET", at, "push", found.show, OWN),
        line("PUT", at, "push", found.change, OWN),
        line("DELETE", at, "push", found.end, OWN),
    ]
