"""Timelines, notifications and search: what people read most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from fedishare.activitypub import resolver
from fedishare.api import entities
from fedishare.api.accounts import resolve_quietly, search_people
from fedishare.api.http import MAX_ID, Api, Cursors, Params, link_header, page_of, paged, params, parse_id
from fedishare.api.rendering import json_list
from fedishare.http.call import Answer, Call, json_answer
from fedishare.model.actors import Actor
from fedishare.model.errors import BadInput, FedishareError, NotFound, PolicyRefusal
from fedishare.model.ids import Id
from fedishare.model.posts import Post
from fedishare.store import actors, posts, timelines
from fedishare.store.db import Tx
from fedishare.store.timelines import Entry, NotificationRow, Page
from fedishare.text import normalise_hashtag


@dataclass(frozen=True, slots=True)
class Timelines:
    """The handlers."""

    api: Api

    async def home(self, call: Call) -> Answer:
        """``GET /api/v1/timelines/home``"""
        page = page_of(await params(call))
        return self._page(call, *await self.api.database.read_fast(self._home, call.me.id, page))

    def _home(self, tx: Tx, viewer: Id, page: Page) -> tuple[list[Entry], list[bytes]]:
        entries = timelines.home(tx, viewer, page)
        return entries, self.api.renderer.page(tx, _allowed(tx, entries, viewer), viewer)

    async def public(self, call: Call) -> Answer:
        """``GET /api/v1/timelines/public``: all that is public here, or ``local`` or ``remote`` posts alone."""
        found = await params(call)
        page = page_of(found)

        local = _origin(found)

        def read(tx: Tx) -> tuple[list[Entry], list[bytes]]:
            entries = timelines.public(tx, call.me.id, page, local=local)
            return entries, self.api.renderer.page(tx, entries, call.me.id)

        return self._page(call, *await self.api.database.read(read))

    async def tag(self, call: Call) -> Answer:
        """``GET /api/v1/timelines/tag/{name}``"""
        found = await params(call)
        page, tag, local = page_of(found), normalise_hashtag(call.params["name"]), _origin(found)

        def read(tx: Tx) -> tuple[list[Entry], list[bytes]]:
            idents = posts.tag_page(tx, tag, call.me.id, page, local=local)
            entries = timelines.entries_of(tx, idents)
            return entries, self.api.renderer.page(tx, entries, call.me.id)

        return self._page(call, *await self.api.database.read(read))

    def _page(self, call: Call, entries: Sequence[Entry], parts: Sequence[bytes]) -> Answer:
        cursors = Cursors(entries[0].post_id, entries[-1].post_id) if entries else None
        return Answer(json_list(parts), headers=link_header(self.api, call, cursors))

    # Notifications

    async def notifications(self, call: Call) -> Answer:
        """``GET /api/v1/notifications``"""
        found = await params(call)
        page = page_of(found, limit=40, most=80)
        kinds, but = found.texts("types"), found.texts("exclude_types")
        source = found.ident("account_id")

        def read(tx: Tx) -> tuple[list[Id], list[entities.NotificationEntity]]:
            rows = timelines.notifications(tx, call.me.id, page, kinds, but, source)
            return [row.id for row in rows], self._notifications(tx, rows, call.me.id)

        idents, shown = await self.api.database.read(read)
        return paged(self.api, call, shown, idents)

    def _notifications(self, tx: Tx, rows: Sequence[NotificationRow], viewer: Id) -> list[entities.NotificationEntity]:
        people = actors.by_ids(tx, [row.from_id for row in rows])
        wanted = [row.post_id for row in rows if row.post_id is not None]
        entries = timelines.entries_of(tx, dict.fromkeys(wanted))
        shown = dict(self.api.renderer.pairs(tx, entries, viewer))
        return [
            entities.NotificationEntity(
                id=str(row.id), type=row.kind, created_at=entities.instant(row.created_at),
                group_key=f"ungrouped-{row.id}",
                account=msgspec.Raw(self.api.renderer.account(tx, people[row.from_id])),
                status=msgspec.Raw(shown[row.post_id]) if row.post_id in shown else None,
            )
            for row in rows
            if row.from_id in people and people[row.from_id].state < 2
        ]  # fmt: skip

    def one_notification(self, tx: Tx, ident: Id, viewer: Id) -> bytes | None:
        """A notification of the viewer as JSON, for streams."""
        row = timelines.notification(tx, viewer, ident)
        found = self._notifications(tx, [row], viewer) if row else []
        return msgspec.json.encode(found[0]) if found else None

    async def notification(self, call: Call) -> Answer:
        """``GET /api/v1/notifications/{id}``"""

        def read(tx: Tx) -> entities.NotificationEntity:
            row = timelines.notification(tx, call.me.id, parse_id(call.params["id"]))
            found = self._notifications(tx, [row], call.me.id) if row else []
            if not found:
                raise NotFound("Record not found")
            return found[0]

        return json_answer(await self.api.database.read(read))

    async def dismiss(self, call: Call) -> Answer:
        """``POST /api/v1/notifications/{id}/dismiss``"""
        await self.api.database.write(timelines.dismiss, call.me.id, parse_id(call.params["id"]))
        return json_answer({})

    async def clear(self, call: Call) -> Answer:
        """``POST /api/v1/notifications/clear``"""
        await self.api.database.write(timelines.dismiss, call.me.id, None)
        return json_answer({})

    # Search

    async def search(self, call: Call) -> Answer:
        """``GET /api/v2/search``: with ``resolve`` also at partners, through policy and gateway."""
        found = await params(call)
        text = found.text("q").strip()
        kind = found.text("type")
        if kind not in ("", "accounts", "statuses", "hashtags"):
            raise BadInput("type: accounts, statuses or hashtags was expected", path="type")
        limit, skip = found.number("limit", 20, least=1, most=40), found.number("offset", 0, most=10_000)
        exact: Actor | Post | None = None
        if found.flag("resolve") and text:
            exact = await self._resolve(text)
        return Answer(await self.api.database.read(self._search, call.me.id, text, kind, limit, skip, exact))

    async def _resolve(self, text: str) -> Actor | Post | None:
        if text.startswith(("https://", "http://")):
            try:
                return await resolver.resolve_url(self.api.federation, text)
            except PolicyRefusal:
                raise
            except FedishareError:
                return None
        if "@" in text.removeprefix("@"):
            whom = await resolve_quietly(self.api, text)
            if isinstance(whom, PolicyRefusal):
                raise whom
            return whom if isinstance(whom, Actor) else None
        return None

    def _search(
        self, tx: Tx, viewer: Id, text: str, kind: str, limit: int, skip: int, exact: Actor | Post | None
    ) -> bytes:
        people, found, tags = [], [], []
        if kind in ("", "accounts"):
            if isinstance(exact, Actor):
                people = self.api.renderer.accounts(tx, [exact])
            elif not isinstance(exact, Post):
                people = self.api.renderer.accounts(tx, search_people(tx, self.api, text, limit, skip))
        if kind in ("", "statuses"):
            if isinstance(exact, Post):
                found = self.api.renderer.visible_posts(tx, [exact.id], viewer)
            elif text and not isinstance(exact, Actor) and "@" not in text:
                idents = posts.search(tx, text, viewer, before=MAX_ID, limit=limit, skip=skip)
                found = self.api.renderer.visible_posts(tx, idents, viewer)
        if kind in ("", "hashtags") and text and " " not in text and "@" not in text and "/" not in text:
            names = posts.tags_like(tx, normalise_hashtag(text), limit)
            tags = [{"name": n, "url": self.api.site.names.tag(n), "history": [], "following": False} for n in names]
        encode = msgspec.json.encode
        return (
            b'{"accounts":'
            + encode(people)
            + b',"statuses":'
            + json_list(found)
            + b',"hashtags":'
            + encode(tags)
            + b"}"
        )


def _origin(found: Params) -> bool | None:
    """True: from here only; False: from partners only."""
    return True if found.flag("local") else False if found.flag("remote") else None


def _allowed(tx: Tx, entries: Sequence[Entry], viewer: Id) -> list[Entry]:
    """Leave out boosts of posts that the viewer may not see (any more), or does not want to."""
    boosted = [e.boost_of_id for e in entries if e.boost_of_id is not None]
    if not boosted:
        return list(entries)
    seen = posts.wanted_ids(tx, boosted, viewer)
    return [e for e in entries if e.boost_of_id is None or e.boost_of_id in seen]
