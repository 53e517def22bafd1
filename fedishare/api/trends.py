"""Trends and the timeline of a link. Counted anew every few minutes at most, when somebody asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

import msgspec

from fedishare.api import entities
from fedishare.api.entities import DayOfUse, TrendingLink
from fedishare.api.http import Api, Params, page_of, paged, params
from fedishare.api.table import Table
from fedishare.api.tags import TagEntity, tag_entities
from fedishare.http.call import Answer, Call, json_answer
from fedishare.http.routes import Route
from fedishare.model.errors import BadInput
from fedishare.model.ids import Id, Millis
from fedishare.services import trends as service
from fedishare.services.trends import Link
from fedishare.store import cards, posts
from fedishare.store.db import Tx

KEPT = 5 * 60 * 1000
"""Milliseconds for which what was counted is good enough."""


@dataclass(slots=True)
class _Kept:
    """What was counted last. May be lost at any time."""

    trends: service.Trends = service.Trends()  # noqa: RUF009 — a frozen value
    until: Millis = Millis(0)


@dataclass(frozen=True, slots=True)
class TrendsApi:
    """The handlers."""

    api: Api
    _kept: _Kept = field(default_factory=_Kept)

    async def _now(self) -> service.Trends:
        kept, now = self._kept, self.api.instance.clock()
        if now >= kept.until:
            kept.trends = await self.api.federation.memory.once("trends", self._count)
            kept.until = Millis(now + KEPT)
        return kept.trends

    async def _count(self) -> service.Trends:
        return await self.api.database.read(service.compute)

    async def tags(self, call: Call) -> Answer:
        """``GET /api/v1/trends/tags`` and, as it was called before, ``/api/v1/trends``"""
        skip, limit = _place(await params(call), 10, 20)
        names = (await self._now()).tags[skip : skip + limit]

        def read(tx: Tx) -> list[TagEntity]:
            return tag_entities(tx, self.api.site, call.me.id, names)

        return self._answer(call, await self.api.database.read(read), skip, limit)

    async def statuses(self, call: Call) -> Answer:
        """``GET /api/v1/trends/statuses``"""
        skip, limit = _place(await params(call), 20, 40)
        idents = (await self._now()).posts

        def read(tx: Tx) -> list[msgspec.Raw]:
            wanted = posts.wanted_ids(tx, idents, call.me.id)
            shown = [ident for ident in idents if ident in wanted][skip : skip + limit]
            return [msgspec.Raw(body) for body in self.api.renderer.visible_posts(tx, shown, call.me.id)]

        return self._answer(call, await self.api.database.read(read), skip, limit)

    async def links(self, call: Call) -> Answer:
        """``GET /api/v1/trends/links``"""
        skip, limit = _place(await params(call), 10, 20)
        found = (await self._now()).links

        def read(tx: Tx) -> list[TrendingLink]:
            seen = cards.seen(tx, [link.card_id for link in found], call.me.id)
            shown = [link for link in found if link.card_id in seen][skip : skip + limit]
            return self.shown(tx, shown, call.me.id)

        return self._answer(call, await self.api.database.read(read), skip, limit)

    def _answer(self, call: Call, found: Sequence[object], skip: int, limit: int) -> Answer:
        """With the places of the next and the previous page: what is counted anew has no cursors."""
        base = f"{self.api.site.names.origin}{call.path}"
        kept = [(k, v) for k, v in call.query if k != "offset"]
        places = [("next", skip + limit)] if len(found) == limit else []
        places += [("prev", max(0, skip - limit))] if skip else []
        links = [f'<{base}?{urlencode([*kept, ("offset", str(at))])}>; rel="{name}"' for name, at in places]
        return json_answer(found, headers=((b"link", ", ".join(links).encode()),) if links else ())

    def shown(self, tx: Tx, found: list[Link], viewer: Id) -> list[TrendingLink]:
        """Links with their cards, for somebody who may see a post that shows them."""
        by_id, links = cards.by_ids(tx, [link.card_id for link in found]), self.api.renderer.links(tx, viewer)
        result = []
        for link in found:
            if link.card_id in by_id:
                card = entities.card(by_id[link.card_id], links)
                days = tuple(DayOfUse(str(d.start // 1000), str(d.accounts), str(d.uses)) for d in link.days)
                fields = {name: getattr(card, name) for name in card.__struct_fields__}
                result.append(TrendingLink(**fields, history=days))
        return result

    async def link_timeline(self, call: Call) -> Answer:
        """``GET /api/v1/timelines/link``: public posts that show the card of an address."""
        found = await params(call)
        url, page = found.text("url").partition("#")[0], page_of(found)
        if not url:
            raise BadInput("Validation failed: Url can't be blank", path="url")

        def read(tx: Tx) -> tuple[list[Id], list[msgspec.Raw]]:
            idents = cards.link_page(tx, url, call.me.id, page)
            return idents, [msgspec.Raw(b) for b in self.api.renderer.visible_posts(tx, idents, call.me.id)]

        idents, shown = await self.api.database.read(read)
        return paged(self.api, call, shown, idents)


def _place(found: Params, limit: int, most: int) -> tuple[int, int]:
    return found.number("offset", 0, most=10_000), found.number("limit", limit, least=1, most=most)


def routes(api: Api, table: Table) -> list[Route]:
    """The lines of the registry."""
    found, line = TrendsApi(api), table.line
    return [
        line("GET", "/api/v1/trends", "read:statuses", found.tags),
        line("GET", "/api/v1/trends/tags", "read:statuses", found.tags),
        line("GET", "/api/v1/trends/statuses", "read:statuses", found.statuses),
        line("GET", "/api/v1/trends/links", "read:statuses", found.links),
        line("GET", "/api/v1/timelines/link", "read:statuses", found.link_timeline),
    ]
