"""Timelines: what people read most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fedishare.api.http import Api, Cursors, Params, link_header, page_of, params
from fedishare.api.rendering import json_list
from fedishare.http.call import Answer, Call
from fedishare.model.filters import Context
from fedishare.model.ids import Id
from fedishare.store import posts, timelines
from fedishare.store import tags as tag_store
from fedishare.store.db import Tx
from fedishare.store.tags import TagQuery
from fedishare.store.timelines import Entry, Page
from fedishare.text import normalise_hashtag

MAX_TAGS = 4
"""Further hashtags of each kind that a hashtag timeline takes."""


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
        return entries, self.api.renderer.page(tx, allowed(tx, entries, viewer), viewer, Context.HOME)

    async def public(self, call: Call) -> Answer:
        """``GET /api/v1/timelines/public``: all that is public here, or ``local`` or ``remote`` posts alone."""
        found = await params(call)
        page = page_of(found)

        local, media_only = _origin(found), found.flag("only_media")

        def read(tx: Tx) -> tuple[list[Entry], list[bytes]]:
            entries = timelines.public(tx, call.me.id, page, local=local, media_only=media_only)
            return entries, self.api.renderer.page(tx, entries, call.me.id, Context.PUBLIC)

        return self._page(call, *await self.api.database.read(read))

    async def tag(self, call: Call) -> Answer:
        """``GET /api/v1/timelines/tag/{name}``, with ``any``, ``all`` and ``none`` of further tags"""
        found = await params(call)
        page, more = page_of(found), {word: _tags(found, word) for word in ("any", "all", "none")}
        wanted = TagQuery(
            (normalise_hashtag(call.params["name"]), *more["any"]), more["all"], more["none"],
            local=_origin(found), media_only=found.flag("only_media"),
        )  # fmt: skip

        def read(tx: Tx) -> tuple[list[Entry], list[bytes]]:
            idents = tag_store.page(tx, wanted, call.me.id, page)
            entries = timelines.entries_of(tx, idents)
            return entries, self.api.renderer.page(tx, entries, call.me.id, Context.PUBLIC)

        return self._page(call, *await self.api.database.read(read))

    def _page(self, call: Call, entries: Sequence[Entry], parts: Sequence[bytes]) -> Answer:
        cursors = Cursors(entries[0].post_id, entries[-1].post_id) if entries else None
        return Answer(json_list(parts), headers=link_header(self.api, call, cursors))


def _origin(found: Params) -> bool | None:
    """True: from here only; False: from partners only."""
    return True if found.flag("local") else False if found.flag("remote") else None


def _tags(found: Params, name: str) -> tuple[str, ...]:
    """The first few hashtags of a parameter, as they are compared."""
    return tuple(tag for tag in map(normalise_hashtag, found.texts(name)[:MAX_TAGS]) if tag)


def allowed(tx: Tx, entries: Sequence[Entry], viewer: Id) -> list[Entry]:
    """Leave out boosts of posts that the viewer may not see (any more), or does not want to."""
    boosted = [e.boost_of_id for e in entries if e.boost_of_id is not None]
    if not boosted:
        return list(entries)
    seen = posts.wanted_ids(tx, boosted, viewer)
    return [e for e in entries if e.boost_of_id is None or e.boost_of_id in seen]
