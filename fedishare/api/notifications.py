"""Notifications: one by one (v1), and in groups (v2).

Who may see what a notification is about is decided by the same rule as everywhere: its status is rendered for its
owner, and where a filter of theirs hides that status, the notification is not shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec

from fedishare.api import entities
from fedishare.api.http import Api, Params, page_of, paged, params, parse_id
from fedishare.api.rendering import Renderer
from fedishare.api.table import OWN, Table
from fedishare.http.call import Answer, Call, json_answer
from fedishare.http.routes import Route
from fedishare.jobs import Done, Handler, Result
from fedishare.model.actors import Actor, Role
from fedishare.model.errors import BadInput, NotFound
from fedishare.model.filters import Context
from fedishare.model.ids import Id
from fedishare.policy.roles import Right, may
from fedishare.services import notifications as service
from fedishare.store import actors, credentials, moderation, notifications, timelines
from fedishare.store.db import Tx
from fedishare.store.jobs import Job
from fedishare.store.notifications import GROUPED, Group, Note, Wanted
from fedishare.store.paging import Page

MAX_WORDS = 50
"""Types that one request may name."""
MAX_KEY = 100
OFFICES: Mapping[str, Right] = {"admin.report": Right.MANAGE_REPORTS, "admin.sign_up": Right.MANAGE_USERS}
"""Kinds of notifications that come with a right, and go with it."""


class ReportEntity(msgspec.Struct, frozen=True, kw_only=True):
    """What a moderator is told of a report."""

    id: str
    action_taken: bool
    action_taken_at: str | None
    category: str
    comment: str
    forwarded: bool
    created_at: str
    status_ids: tuple[str, ...]
    rule_ids: tuple[str, ...]
    target_account: msgspec.Raw


class NotificationEntity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A notification."""

    id: str
    type: str
    created_at: str
    group_key: str
    account: msgspec.Raw
    status: msgspec.Raw | None = None
    report: ReportEntity | None = None
    filtered: bool = False


class PartialAccount(msgspec.Struct, frozen=True, kw_only=True):
    """Of somebody in a group, as much as an avatar needs."""

    id: str
    acct: str
    url: str
    avatar: str
    avatar_static: str
    locked: bool
    bot: bool


class NotificationGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Notifications of one kind about one thing."""

    group_key: str
    notifications_count: int
    type: str
    most_recent_notification_id: int
    page_min_id: str
    page_max_id: str
    latest_page_notification_at: str
    sample_account_ids: tuple[str, ...]
    status_id: str | msgspec.UnsetType = msgspec.UNSET
    report: ReportEntity | msgspec.UnsetType = msgspec.UNSET


class GroupedNotifications(msgspec.Struct, frozen=True, kw_only=True):
    """A page of groups, with each account and status once."""

    accounts: list[msgspec.Raw]
    statuses: list[msgspec.Raw]
    notification_groups: list[NotificationGroup]
    partial_accounts: list[PartialAccount] | msgspec.UnsetType = msgspec.UNSET


def read_wanted(found: Params) -> Wanted:
    """Which notifications a request asks for. Raises `BadInput`, `NotFound`."""
    kinds, but = found.texts("types"), found.texts("exclude_types")
    if len(kinds) > MAX_WORDS or len(but) > MAX_WORDS:
        raise BadInput(f"types: at most {MAX_WORDS} were expected", path="types")
    return Wanted(kinds, but, found.ident("account_id"), found.flag("include_filtered"))


def shown(
    tx: Tx, renderer: Renderer, notes: Sequence[Note], viewer: Id
) -> list[tuple[Note, Actor, msgspec.Raw | None]]:
    """Those of the notifications that can be shown, each with its sender and its status."""
    notes = _of_office(tx, notes, viewer)
    people = actors.by_ids(tx, [note.from_id for note in notes])
    about = dict.fromkeys(note.post_id for note in notes if note.post_id is not None)
    entries = timelines.entries_of(tx, about)
    statuses = dict(renderer.pairs(tx, entries, viewer, Context.NOTIFICATIONS))
    return [
        (note, people[note.from_id], msgspec.Raw(statuses[note.post_id]) if note.post_id is not None else None)
        for note in notes
        if note.from_id in people and (note.post_id is None or note.post_id in statuses)
    ]


def _of_office(tx: Tx, notes: Sequence[Note], viewer: Id) -> Sequence[Note]:
    """What moderators are told is for those who are moderators still."""
    if not any(note.kind in OFFICES for note in notes):
        return notes
    role = credentials.role_of(tx, viewer) or Role.MEMBER
    return [note for note in notes if note.kind not in OFFICES or may(role, OFFICES[note.kind], change=True)]


def reported(tx: Tx, renderer: Renderer, note: Note) -> ReportEntity | None:
    """The report that a notification is about."""
    return report_entity(tx, renderer, note.about_id) if note.about_id is not None else None


def report_entity(tx: Tx, renderer: Renderer, ident: Id) -> ReportEntity | None:
    """A report with what was noted of it: posts that its author could not see are not."""
    found = moderation.report(tx, ident)
    target = actors.by_id(tx, found.target_id) if found is not None else None
    if found is None or target is None:
        return None
    return ReportEntity(
        id=str(found.id), action_taken=found.resolved_at is not None,
        action_taken_at=entities.time_text(found.resolved_at), category=found.category, comment=found.comment,
        forwarded=found.forwarded, created_at=entities.instant(found.created_at),
        status_ids=tuple(map(str, found.post_ids)), rule_ids=tuple(map(str, found.rule_ids)),
        target_account=msgspec.Raw(renderer.account(tx, target)),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Notifications:
    """The handlers."""

    api: Api

    # One by one

    async def listing(self, call: Call) -> Answer:
        """``GET /api/v1/notifications``"""
        found = await params(call)
        page, wanted = page_of(found, limit=40, most=80), read_wanted(found)

        def read(tx: Tx) -> tuple[list[Id], list[NotificationEntity]]:
            notes = notifications.page(tx, call.me.id, wanted, page)
            return [note.id for note in notes], self._entities(tx, notes, call.me.id)

        idents, body = await self.api.database.read(read)
        return paged(self.api, call, body, idents)

    def _entities(self, tx: Tx, notes: Sequence[Note], viewer: Id) -> list[NotificationEntity]:
        renderer = self.api.renderer
        return [
            NotificationEntity(
                id=str(note.id), type=note.kind, created_at=entities.instant(note.created_at), group_key=note.key,
                account=msgspec.Raw(renderer.account(tx, sender)), status=status, filtered=note.filtered,
                report=reported(tx, renderer, note),
            )
            for note, sender, status in shown(tx, renderer, notes, viewer)
        ]  # fmt: skip

    def one(self, tx: Tx, ident: Id, viewer: Id) -> NotificationEntity | None:
        """A notification of the viewer."""
        note = notifications.by_id(tx, viewer, ident)
        found = self._entities(tx, [note], viewer) if note is not None else []
        return found[0] if found else None

    def one_json(self, tx: Tx, ident: Id, viewer: Id) -> bytes | None:
        """The same as JSON, for streams."""
        found = self.one(tx, ident, viewer)
        return msgspec.json.encode(found) if found is not None else None

    async def show(self, call: Call) -> Answer:
        """``GET /api/v1/notifications/{id}``"""
        found = await self.api.database.read(self.one, parse_id(call.params["id"]), call.me.id)
        if found is None:
            raise NotFound("Record not found")
        return json_answer(found)

    async def dismiss(self, call: Call) -> Answer:
        """``POST /api/v1/notifications/{id}/dismiss``"""
        await self.api.database.write(notifications.dismiss, call.me.id, parse_id(call.params["id"]))
        return json_answer({})

    async def dismiss_named(self, call: Call) -> Answer:
        """``POST /api/v1/notifications/dismiss`` with ``id``, as apps of Mastodon 2 do it. Raises `BadInput`."""
        ident = (await params(call)).ident("id")
        if ident is None:
            raise BadInput("Validation failed: Id can't be blank", path="id")
        await self.api.database.write(notifications.dismiss, call.me.id, ident)
        return json_answer({})

    async def clear(self, call: Call) -> Answer:
        """``POST /api/v1/notifications/clear``"""
        await self.api.database.write(notifications.dismiss, call.me.id, None)
        return json_answer({})

    async def unread(self, call: Call) -> Answer:
        """``GET /api/v1/notifications/unread_count``: those after the marker."""
        found = await params(call)
        wanted, most = read_wanted(found), found.number("limit", 100, least=1, most=1000)

        def read(tx: Tx) -> int:
            after = notifications.read_until(tx, call.me.id)
            return len(notifications.page(tx, call.me.id, wanted, Page(after=after, limit=most)))

        return json_answer({"count": await self.api.database.read(read)})

    # In groups

    async def groups(self, call: Call) -> Answer:
        """``GET /api/v2/notifications``"""
        found = await params(call)
        page, wanted, grouped = page_of(found, limit=40, most=80), read_wanted(found), _grouped(found)
        few = _few_accounts(found)

        def read(tx: Tx) -> tuple[list[Id], GroupedNotifications]:
            notes = notifications.group_page(tx, call.me.id, wanted, grouped, page)
            # What of a group belongs to the page reaches down to its last group's newest; on the last page, to the end.
            whole = len(notes) < page.limit and not page.upwards
            least = notes[-1].id if notes and not whole else Id(page.after)
            return [note.id for note in notes], self._grouped(tx, notes, call.me.id, wanted, grouped, least, few)

        idents, body = await self.api.database.read(read)
        return paged(self.api, call, body, idents)

    def _grouped(
        self, tx: Tx, notes: Sequence[Note], viewer: Id, wanted: Wanted, grouped: frozenset[str], least: Id, few: bool
    ) -> GroupedNotifications:
        found = shown(tx, self.api.renderer, notes, viewer)
        keys = {note.id: note.group_key for note in notes if note.group_key is not None and note.kind in grouped}
        members = notifications.groups(tx, viewer, keys.values(), wanted, least)
        made, people, main, statuses = [], dict[Id, None](), dict[Id, None](), dict[Id, msgspec.Raw]()
        for note, _, status in found:
            group = members.get(keys.get(note.id, ""), Group(1, (note.from_id,), note.id))
            report = reported(tx, self.api.renderer, note)
            made.append(_group(note, group, report, alone=note.id not in keys))
            people |= dict.fromkeys(group.people)
            main |= dict.fromkeys(group.people[:1])
            if status is not None and note.post_id is not None:
                statuses[note.post_id] = status
        known = actors.by_ids(tx, people)
        full = [known[ident] for ident in (main if few else people) if ident in known]
        rest = [known[ident] for ident in people if ident in known and ident not in main] if few else []
        return GroupedNotifications(
            accounts=self.api.renderer.accounts(tx, full), statuses=list(statuses.values()), notification_groups=made,
            partial_accounts=[self._partial(tx, each) for each in rest] if few else msgspec.UNSET,
        )  # fmt: skip

    def _partial(self, tx: Tx, actor: Actor) -> PartialAccount:
        whole = entities.account(actor, self.api.renderer.links(tx))
        return PartialAccount(
            id=whole.id, acct=whole.acct, url=whole.url, avatar=whole.avatar, avatar_static=whole.avatar_static,
            locked=whole.locked, bot=whole.bot,
        )  # fmt: skip

    async def group(self, call: Call) -> Answer:
        """``GET /api/v2/notifications/{group_key}``"""

        def read(tx: Tx) -> GroupedNotifications:
            notes = self._of_group(tx, call.me.id, _key(call), Page(limit=1))
            found = self._grouped(tx, notes, call.me.id, Wanted(), GROUPED, Id(0), False)
            if not found.notification_groups:
                raise NotFound("Record not found")
            return found

        return json_answer(await self.api.database.read(read))

    def _of_group(self, tx: Tx, viewer: Id, key: str, page: Page) -> list[Note]:
        ident = _alone(key)
        if ident is None:
            return notifications.in_group(tx, viewer, key, page)
        note = notifications.by_id(tx, viewer, ident)
        inside = note is not None and note.group_key is None and page.after < note.id < page.before
        return [note] if note is not None and inside else []

    async def group_accounts(self, call: Call) -> Answer:
        """``GET /api/v2/notifications/{group_key}/accounts``: everybody in it, the newest first."""
        page = page_of(await params(call), limit=40, most=80)

        def read(tx: Tx) -> tuple[list[Id], list[msgspec.Raw]]:
            notes = self._of_group(tx, call.me.id, _key(call), page)
            if not notes and page == Page(limit=page.limit):
                raise NotFound("Record not found")
            known = actors.by_ids(tx, [note.from_id for note in notes])
            order = dict.fromkeys(note.from_id for note in notes if note.from_id in known)
            return [note.id for note in notes], self.api.renderer.accounts(tx, [known[ident] for ident in order])

        idents, body = await self.api.database.read(read)
        return paged(self.api, call, body, idents)

    async def dismiss_group(self, call: Call) -> Answer:
        """``POST /api/v2/notifications/{group_key}/dismiss``"""
        key = _key(call)
        ident = _alone(key)
        if ident is None:
            await self.api.database.write(notifications.dismiss_group, call.me.id, key)
        else:
            await self.api.database.write(notifications.dismiss, call.me.id, ident)
        return json_answer({})

    async def unread_groups(self, call: Call) -> Answer:
        """``GET /api/v2/notifications/unread_count``"""
        found = await params(call)
        wanted, most, grouped = read_wanted(found), found.number("limit", 100, least=1, most=1000), _grouped(found)

        def read(tx: Tx) -> int:
            after = notifications.read_until(tx, call.me.id)
            return len(notifications.group_page(tx, call.me.id, wanted, grouped, Page(after=after, limit=most)))

        return json_answer({"count": await self.api.database.read(read)})


def _grouped(found: Params) -> frozenset[str]:
    """The kinds that the app wants put together; by default all that can be."""
    return GROUPED & frozenset(found.texts("grouped_types")) if "grouped_types" in found else GROUPED


def _few_accounts(found: Params) -> bool:
    """Whether only the newest account of each group is wanted in whole. Raises `BadInput`."""
    word = found.text("expand_accounts", "full")
    if word not in ("full", "partial_avatars"):
        sentence = (
            f"Invalid value for 'expand_accounts': '{word[:40]}', allowed values are 'full' and 'partial_avatars'"
        )
        raise BadInput(sentence, path="expand_accounts")
    return word == "partial_avatars"


def _key(call: Call) -> str:
    """The group that the path names. Raises `NotFound` for what is no key."""
    key = call.params["group_key"]
    if not key.isascii() or not key.isprintable() or len(key) > MAX_KEY:
        raise NotFound("Record not found")
    return key


def _alone(key: str) -> Id | None:
    """The id of a notification that is its own group."""
    kind, _, rest = key.partition("-")
    return parse_id(rest) if kind == "ungrouped" else None


def _group(note: Note, group: Group, report: ReportEntity | None, *, alone: bool) -> NotificationGroup:
    return NotificationGroup(
        group_key=f"ungrouped-{note.id}" if alone else note.key, notifications_count=group.number, type=note.kind,
        most_recent_notification_id=note.id, page_min_id=str(group.oldest), page_max_id=str(note.id),
        latest_page_notification_at=entities.instant(note.created_at),
        sample_account_ids=tuple(str(ident) for ident in group.people),
        status_id=str(note.post_id) if note.post_id is not None else msgspec.UNSET,
        report=report if report is not None else msgspec.UNSET,
    )  # fmt: skip


def handlers(api: Api) -> dict[str, Handler]:
    """The jobs of this module."""
    return {service.POLL: Handler(partial(_end_poll, api), limit=2)}


async def _end_poll(api: Api, job: Job) -> Result:
    ended = msgspec.json.decode(job.payload, type=service.PollJob)
    await api.database.write(service.end_poll, ended)
    return Done()


def routes(api: Api, table: Table) -> list[Route]:
    """This module's lines of the registry."""
    found, route = Notifications(api), table.line
    read, write = "read:notifications", "write:notifications"
    one, many = "/api/v1/notifications", "/api/v2/notifications"
    return [
        route("GET", one, read, found.listing, OWN),
        route("GET", f"{one}/unread_count", read, found.unread, OWN),
        route("GET", f"{one}/{{id}}", read, found.show, OWN),
        route("POST", f"{one}/{{id}}/dismiss", write, found.dismiss, OWN),
        route("POST", f"{one}/dismiss", write, found.dismiss_named, OWN),
        route("POST", f"{one}/clear", write, found.clear, OWN),
        route("GET", many, read, found.groups, OWN),
        route("GET", f"{many}/unread_count", read, found.unread_groups, OWN),
        route("GET", f"{many}/{{group_key}}", read, found.group, OWN),
        route("GET", f"{many}/{{group_key}}/accounts", read, found.group_accounts, OWN),
        route("POST", f"{many}/{{group_key}}/dismiss", write, found.dismiss_group, OWN),
    ]
