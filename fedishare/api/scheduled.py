"""Scheduled statuses: listed, moved, cancelled, and published when their time has come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import msgspec

from fedishare.api import entities
from fedishare.api.entities import MediaAttachment
from fedishare.api.http import Api, Params, page_of, paged, params, parse_id
from fedishare.api.table import OWN, Table
from fedishare.http.call import Answer, Call, json_answer
from fedishare.http.routes import Route
from fedishare.jobs import Cancelled, Done, Handler, Result
from fedishare.model.actors import Actor
from fedishare.model.errors import BadInput, NotAllowed, NotFound, PolicyRefusal
from fedishare.model.ids import Id, Millis
from fedishare.model.posts import Draft, Post
from fedishare.model.quotes import QUOTE_RULES
from fedishare.model.scheduled import Scheduled
from fedishare.policy.facts import DeliveryFacts
from fedishare.services import scheduled as service
from fedishare.services.scheduled import PublishJob
from fedishare.store import media as media_store
from fedishare.store import scheduled as store
from fedishare.store.db import Tx
from fedishare.store.jobs import Job

MAX_TIME_TEXT = 64
_ANYTHING = DeliveryFacts("Delete")
"""What may go to any active partner: if this may not, nothing may."""


class ScheduledPoll(msgspec.Struct, frozen=True, kw_only=True):
    """The poll of a scheduled status."""

    options: tuple[str, ...]
    expires_in: str
    multiple: bool
    hide_totals: bool


class ScheduledParams(msgspec.Struct, frozen=True, kw_only=True):
    """What the app asked to publish. ``reach`` and ``local_only`` are ours; None: the default at that time."""

    text: str
    media_ids: tuple[str, ...] | None
    sensitive: bool | None
    spoiler_text: str | None
    visibility: str | None
    language: str | None
    poll: ScheduledPoll | None
    idempotency: str | None
    in_reply_to_id: int | None
    quoted_status_id: str | None
    quote_approval_policy: str | None
    reach: str | tuple[str, ...] | None
    local_only: bool | None
    scheduled_at: None = None
    with_rate_limit: bool = False
    application_id: None = None


class ScheduledStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A post for later."""

    id: str
    scheduled_at: str
    params: ScheduledParams
    media_attachments: tuple[MediaAttachment, ...]


class FailedStatus(ScheduledStatus, frozen=True, kw_only=True):
    """One that could not be published; ``fedishare.failed`` says why."""

    fedishare: dict[str, str]


def read_time(found: Params) -> Millis | None:
    """``scheduled_at``, a date with or without time and zone (UTC); None when it is not given. Raises `BadInput`."""
    text = found.text("scheduled_at").strip()
    if not text:
        return None
    try:
        if len(text) > MAX_TIME_TEXT:
            raise ValueError("too long")
        moment = datetime.fromisoformat(text)
        stamp = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise BadInput("Validation failed: Scheduled at is not a date and time", path="scheduled_at") from error
    return Millis(max(0, int(stamp * 1000)))


def _params(found: Scheduled) -> ScheduledParams:
    draft, poll = found.draft, found.draft.poll
    return ScheduledParams(
        text=draft.text,
        media_ids=tuple(str(ident) for ident in draft.media_ids) if draft.media_ids else None,
        sensitive=draft.sensitive or None, spoiler_text=draft.summary or None,
        visibility=draft.visibility.word if draft.visibility is not None else None, language=draft.language,
        poll=ScheduledPoll(
            options=tuple(option.title for option in poll.options), expires_in=str(found.poll_seconds),
            multiple=poll.multiple, hide_totals=poll.hide_totals,
        ) if poll is not None else None,
        idempotency=found.key, in_reply_to_id=draft.in_reply_to_id,
        quoted_status_id=str(draft.quoted_id) if draft.quoted_id is not None else None,
        quote_approval_policy=next((word for word, rule in QUOTE_RULES.items() if rule == draft.quote_rule), None),
        reach=entities.reach_of(draft.reach) if draft.reach is not None else None,
        local_only=draft.reach.is_local if draft.reach is not None else None,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ScheduledStatuses:
    """The handlers."""

    api: Api

    def shown(self, tx: Tx, found: list[Scheduled], viewer: Id) -> list[ScheduledStatus]:
        """The entities, for their author."""
        links = self.api.renderer.links(tx, viewer)
        wanted = [ident for each in found for ident in each.draft.media_ids or ()]
        media = media_store.owned(tx, viewer, wanted)
        result = []
        for each in found:
            files = [media[ident] for ident in each.draft.media_ids or () if ident in media]
            shown = ScheduledStatus(
                id=str(each.id), scheduled_at=entities.instant(each.at), params=_params(each),
                media_attachments=tuple(
                    entities.attachment(file.id, 0, file.attachment(links.origin), links) for file in files
                ),
            )  # fmt: skip
            if each.failed is not None:
                fields = {name: getattr(shown, name) for name in ScheduledStatus.__struct_fields__}
                shown = FailedStatus(**fields, fedishare={"failed": each.failed})
            result.append(shown)
        return result

    def add(
        self, tx: Tx, author: Actor, draft: Draft, at: Millis, poll_seconds: int, key: str | None
    ) -> ScheduledStatus | Post:
        """Schedule a post; or what its Idempotency-Key has published meanwhile. Raises `BadInput`, `NotFound`."""
        made = service.add(tx, self.api.site, author, draft, at, poll_seconds=poll_seconds, key=key)
        return made if isinstance(made, Post) else self.shown(tx, [made], author.id)[0]

    async def listed(self, call: Call) -> Answer:
        """``GET /api/v1/scheduled_statuses``"""
        page = page_of(await params(call))

        def read(tx: Tx) -> tuple[list[Id], list[ScheduledStatus]]:
            found = store.page(tx, call.me.id, page)
            return [each.id for each in found], self.shown(tx, found, call.me.id)

        idents, entries = await self.api.database.read(read)
        return paged(self.api, call, entries, idents)

    async def show(self, call: Call) -> Answer:
        """``GET /api/v1/scheduled_statuses/{id}``"""

        def read(tx: Tx) -> ScheduledStatus:
            return self.shown(tx, [service.own(tx, call.me.id, parse_id(call.params["id"]))], call.me.id)[0]

        return json_answer(await self.api.database.read(read))

    async def move(self, call: Call) -> Answer:
        """``PUT /api/v1/scheduled_statuses/{id}``: another time."""
        at = read_time(await params(call))

        def write(tx: Tx) -> ScheduledStatus:
            found = service.move(tx, call.me.id, parse_id(call.params["id"]), at)
            return self.shown(tx, [found], call.me.id)[0]

        return json_answer(await self.api.database.write(write))

    async def cancel(self, call: Call) -> Answer:
        """``DELETE /api/v1/scheduled_statuses/{id}``"""
        await self.api.database.write(service.cancel, call.me.id, parse_id(call.params["id"]))
        return json_answer({})


def routes(api: Api, table: Table) -> list[Route]:
    """The lines of the registry."""
    found, line = ScheduledStatuses(api), table.line
    path = "/api/v1/scheduled_statuses"
    at = f"{path}/{{id}}"
    return [
        line("GET", path, "read:statuses", found.listed, OWN),
        line("GET", at, "read:statuses", found.show, OWN),
        line("PUT", at, "write:statuses", found.move, OWN),
        line("DELETE", at, "write:statuses", found.cancel, OWN),
    ]


# The time has come


def handlers(api: Api) -> dict[str, Handler]:
    """The jobs of this module."""
    return {service.JOB: Handler(partial(_publish, api), limit=4)}


async def _publish(api: Api, job: Job) -> Result:
    """Publish a scheduled status, or keep it with the reason."""
    ident = Id(msgspec.json.decode(job.payload, type=PublishJob).scheduled_id)
    found = await api.database.read(service.due, ident)
    if found is None:
        return Cancelled("it was moved, cancelled or published")
    try:
        _check_partners(api, found.draft)
        await api.database.write(service.publish, api.site, ident)
    except (BadInput, NotFound, NotAllowed, PolicyRefusal) as error:
        reason = error.message.removeprefix("Validation failed: ").rstrip(".")
        await api.database.write(service.fail, api.site, ident, reason)
        return Cancelled(reason)
    return Done()


def _check_partners(api: Api, draft: Draft) -> None:
    """Who the post is for must still be a partner: else it would reach fewer than its author meant, silently."""
    for domain in sorted(draft.reach.domains or ()) if draft.reach is not None else ():
        decision = api.instance.guard.explain(_ANYTHING.to_host(domain, api.instance.clock()))
        if not decision.allowed and not decision.keeps_queue:
            raise PolicyRefusal(f"{domain} is not a partner of this server any more", rule=decision.rule)
