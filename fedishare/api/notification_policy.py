"""What people accept notifications about, and requests of those whose notifications are kept apart until then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import msgspec

from fedishare.api import entities
from fedishare.api.http import Api, Params, page_of, paged, params, parse_id
from fedishare.api.table import OWN, Table
from fedishare.http.call import Answer, Call, json_answer
from fedishare.http.routes import Route
from fedishare.model.errors import BadInput, NotFound
from fedishare.model.ids import Id
from fedishare.policy.notifications import Rules, Verdict
from fedishare.services import notifications as service
from fedishare.store import actors, notifications
from fedishare.store.db import Tx
from fedishare.store.notifications import Request

_VERDICTS = {verdict.word: verdict for verdict in Verdict}
_RULES = ("not_following", "not_followers", "new_accounts", "private_mentions", "limited_accounts")
MAX_REQUESTS = 80
"""Requests that are decided in one go."""


class Summary(msgspec.Struct, frozen=True):
    """How much is kept apart."""

    pending_requests_count: int
    pending_notifications_count: int


class PolicyEntity(msgspec.Struct, frozen=True, kw_only=True):
    """What a person accepts: accept, filter or drop."""

    for_not_following: str
    for_not_followers: str
    for_new_accounts: str
    for_private_mentions: str
    for_limited_accounts: str
    summary: Summary


class PolicyV1(msgspec.Struct, frozen=True, kw_only=True):
    """The same as apps of Mastodon 4.2 knew it."""

    filter_not_following: bool
    filter_not_followers: bool
    filter_new_accounts: bool
    filter_private_mentions: bool
    summary: Summary


class RequestEntity(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody whose notifications are kept apart."""

    id: str
    created_at: str
    updated_at: str
    notifications_count: str
    account: msgspec.Raw
    last_status: msgspec.Raw | None


@dataclass(frozen=True, slots=True)
class NotificationPolicy:
    """The handlers."""

    api: Api

    async def policy(self, call: Call) -> Answer:
        """``GET /api/v2/notifications/policy``"""
        return json_answer(await self.api.database.read(_policy, call.me.id))

    async def policy_v1(self, call: Call) -> Answer:
        """``GET /api/v1/notifications/policy``"""
        return json_answer(await self.api.database.read(_policy_v1, call.me.id))

    async def set_policy(self, call: Call) -> Answer:
        """``PATCH /api/v2/notifications/policy``"""
        found = await params(call)
        changes = {name: _verdict(found, f"for_{name}") for name in _RULES if f"for_{name}" in found}
        return await self._change_policy(call.me.id, changes, _policy)

    async def set_policy_v1(self, call: Call) -> Answer:
        """``PATCH /api/v1/notifications/policy``"""
        found = await params(call)
        names = [name for name in _RULES if name != "limited_accounts" and f"filter_{name}" in found]
        changes = {name: Verdict.FILTER if found.flag(f"filter_{name}") else Verdict.ACCEPT for name in names}
        return await self._change_policy(call.me.id, changes, _policy_v1)

    async def _change_policy(
        self, owner: Id, changes: dict[str, Verdict], answer: Callable[[Tx, Id], object]
    ) -> Answer:
        def write(tx: Tx) -> object:
            tx.lock(f"policy:{owner}")
            service.set_policy(tx, owner, replace(notifications.policy(tx, owner), **changes))
            return answer(tx, owner)

        return json_answer(await self.api.database.write(write))

    async def requests(self, call: Call) -> Answer:
        """``GET /api/v1/notifications/requests``"""
        page = page_of(await params(call), limit=40, most=80)

        def read(tx: Tx) -> tuple[list[Id], list[RequestEntity]]:
            found = notifications.requests(tx, call.me.id, page)
            return [each.id for each in found], self._requests(tx, found, call.me.id)

        idents, body = await self.api.database.read(read)
        return paged(self.api, call, body, idents)

    def _requests(self, tx: Tx, found: Sequence[Request], viewer: Id) -> list[RequestEntity]:
        people = actors.by_ids(tx, [each.from_id for each in found])
        last = {each.id: each.last_post_id for each in found if each.last_post_id is not None}
        renderer = self.api.renderer
        statuses = {ident: renderer.visible_post(tx, post, viewer) for ident, post in last.items()}
        return [
            RequestEntity(
                id=str(each.id), created_at=entities.instant(each.created_at),
                updated_at=entities.instant(each.updated_at), notifications_count=str(each.number),
                account=msgspec.Raw(renderer.account(tx, people[each.from_id])),
                last_status=msgspec.Raw(status) if (status := statuses.get(each.id)) is not None else None,
            )
            for each in found
        ]  # fmt: skip

    async def request(self, call: Call) -> Answer:
        """``GET /api/v1/notifications/requests/{id}``"""

        def read(tx: Tx) -> RequestEntity:
            found = notifications.request(tx, call.me.id, parse_id(call.params["id"]))
            if found is None:
                raise NotFound("Record not found")
            return self._requests(tx, [found], call.me.id)[0]

        return json_answer(await self.api.database.read(read))

    async def merged(self, call: Call) -> Answer:
        """``GET /api/v1/notifications/requests/merged``: accepting and merging are one change here."""
        return json_answer({"merged": True})

    async def decide(self, call: Call, *, accepted: bool) -> Answer:
        """``POST …/requests/{id}/accept`` and ``/dismiss``; the same for several with ``id[]``."""
        words = [call.params["id"]] if "id" in call.params else (await params(call)).texts("id")[:MAX_REQUESTS]
        change = service.accept if accepted else service.dismiss_requests
        await self.api.database.write(change, call.me.id, [parse_id(word) for word in words])
        return json_answer({})


def _verdict(found: Params, name: str) -> Verdict:
    word = found.text(name)
    if word not in _VERDICTS:
        sentence = f"Validation failed: {name.replace('_', ' ').capitalize()} is not included in the list"
        raise BadInput(sentence, path=name)
    return _VERDICTS[word]


def _words(rules: Rules) -> dict[str, Verdict]:
    return {name: getattr(rules, name) for name in _RULES}


def _policy(tx: Tx, owner: Id) -> PolicyEntity:
    rules = {f"for_{name}": verdict.word for name, verdict in _words(notifications.policy(tx, owner)).items()}
    return PolicyEntity(**rules, summary=Summary(*notifications.waiting(tx, owner)))


def _policy_v1(tx: Tx, owner: Id) -> PolicyV1:
    rules = notifications.policy(tx, owner)
    return PolicyV1(
        filter_not_following=rules.not_following > 0, filter_not_followers=rules.not_followers > 0,
        filter_new_accounts=rules.new_accounts > 0, filter_private_mentions=rules.private_mentions > 0,
        summary=Summary(*notifications.waiting(tx, owner)),
    )  # fmt: skip


def routes(api: Api, table: Table) -> list[Route]:
    """This module's lines of the registry."""
    found, route = NotificationPolicy(api), table.line
    read, write = "read:notifications", "write:notifications"
    one, many = "/api/v1/notifications", "/api/v2/notifications"
    asked = f"{one}/requests"
    return [
        route("GET", f"{one}/policy", read, found.policy_v1, OWN),
        route("PATCH", f"{one}/policy", write, found.set_policy_v1, OWN),
        route("PUT", f"{one}/policy", write, found.set_policy_v1, OWN),
        route("GET", asked, read, found.requests, OWN),
        route("GET", f"{asked}/merged", read, found.merged, OWN),
        route("GET", f"{asked}/{{id}}", read, found.request, OWN),
        route("POST", f"{asked}/accept", write, partial(found.decide, accepted=True), OWN),
        route("POST", f"{asked}/dismiss", write, partial(found.decide, accepted=False), OWN),
        route("POST", f"{asked}/{{id}}/accept", write, partial(found.decide, accepted=True), OWN),
        route("POST", f"{asked}/{{id}}/dismiss", write, partial(found.decide, accepted=False), OWN),
        route("GET", f"{many}/policy", read, found.policy, OWN),
        route("PATCH", f"{many}/policy", write, found.set_policy, OWN),
        route("PUT", f"{many}/policy", write, found.set_policy, OWN),
    ]
