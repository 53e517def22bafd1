"""Trends and hashtags for moderators: everything that is used a lot, and whether it may be shown to all.

Nothing waits for a review here: what is public in the house may trend until somebody says no.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from fedishare.api import entities
from fedishare.api.admin import Desk
from fedishare.api.entities import TrendingLink
from fedishare.api.http import Api, page_of, paged, params, parse_id
from fedishare.api.table import Table
from fedishare.api.tags import TagEntity, tag_entities
from fedishare.api.trends import TrendsApi
from fedishare.http.call import Answer, Call, json_answer
from fedishare.http.routes import Handler, Route
from fedishare.model.actors import Viewer
from fedishare.model.errors import NotFound
from fedishare.model.ids import Id
from fedishare.policy.roles import Right
from fedishare.services import taxonomy
from fedishare.services import trends as service
from fedishare.store import cards, posts, reviews
from fedishare.store.db import Tx
from fedishare.store.reviews import USUAL, Review, TagSetting
from fedishare.store.tags import tag_id

MAX_TRENDS = 40


class AdminTag(TagEntity, frozen=True, kw_only=True):
    """A hashtag as moderators see it."""

    trendable: bool
    usable: bool
    listable: bool
    requires_review: bool = False


class AdminLink(TrendingLink, frozen=True, kw_only=True):
    """A link that is shared a lot."""

    id: str
    requires_review: bool = False


class Publisher(msgspec.Struct, frozen=True, kw_only=True):
    """A site whose pages are shared."""

    id: str
    domain: str
    trendable: bool
    reviewed_at: str | None
    requested_review_at: str | None = None
    requires_review: bool = False


@dataclass(frozen=True, slots=True)
class AdminTrends:
    """The handlers."""

    api: Api

    def _tags(self, tx: Tx, viewer: Id, names: list[str]) -> list[AdminTag]:
        settings, refused = reviews.tag_settings(tx, names), reviews.refused(tx)
        found = []
        for entity in tag_entities(tx, self.api.site, viewer, names):
            setting = settings.get(entity.name, USUAL)
            found.append(
                AdminTag(
                    **msgspec.structs.asdict(entity), trendable=("tag", entity.name) not in refused,
                    usable=setting.usable, listable=setting.listable,
                )
            )  # fmt: skip
        return found

    # Hashtags

    async def tags(self, call: Call) -> Answer:
        """``GET /api/v1/admin/tags``"""
        page = page_of(await params(call), limit=100, most=200)

        def read(tx: Tx) -> list[AdminTag]:
            known = reviews.tags_in_use(tx)
            within = sorted((i for i in known if page.after < i < page.before), reverse=not page.upwards)
            return self._tags(tx, call.me.id, [known[i] for i in sorted(within[: page.limit], reverse=True)])

        shown = await self.api.database.read(read)
        return paged(self.api, call, shown, [tag_id(each.name) for each in shown])

    async def tag(self, call: Call) -> Answer:
        """``GET /api/v1/admin/tags/{id}``"""
        ident = parse_id(call.params["id"])

        def read(tx: Tx) -> AdminTag:
            return self._tags(tx, call.me.id, [taxonomy.tag(tx, ident)])[0]

        return json_answer(await self.api.database.read(read))

    async def change_tag(self, call: Call) -> Answer:
        """``PUT /api/v1/admin/tags/{id}``"""
        found, ident = await params(call), parse_id(call.params["id"])
        trendable = found.flag("trendable") if "trendable" in found else None

        def write(tx: Tx, me: Viewer) -> AdminTag:
            name = taxonomy.tag(tx, ident)
            before = reviews.tag_settings(tx, [name]).get(name, USUAL)
            setting = TagSetting(found.flag("usable", before.usable), found.flag("listable", before.listable))
            said = found.text("display_name").removeprefix("#")
            taxonomy.change_tag(tx, me, name, setting, trendable=trendable, display_name=said)
            return self._tags(tx, me.id, [name])[0]

        return json_answer(await self.api.database.write(write, call.me))

    # Trends

    async def trending_tags(self, call: Call) -> Answer:
        """``GET /api/v1/admin/trends/tags``"""

        def read(tx: Tx) -> list[AdminTag]:
            return self._tags(tx, call.me.id, list(service.compute(tx, everything=True).tags[:MAX_TRENDS]))

        return json_answer(await self.api.database.read(read))

    def reviewing_tag(self, allowed: bool) -> Handler:
        """``POST /api/v1/admin/trends/tags/{id}/approve`` and ``…/reject``"""

        def write(tx: Tx, me: Viewer, ident: Id) -> AdminTag:
            name = taxonomy.tag(tx, ident)
            taxonomy.review(tx, me, "tag", name, allowed=allowed)
            return self._tags(tx, me.id, [name])[0]

        return self._reviewing(write)

    def _reviewing(self, write: Callable[[Tx, Viewer, Id], Any]) -> Handler:
        async def handler(call: Call) -> Answer:
            return json_answer(await self.api.database.write(write, call.me, parse_id(call.params["id"])))

        return handler

    async def trending_links(self, call: Call) -> Answer:
        """``GET /api/v1/admin/trends/links``"""

        def read(tx: Tx) -> list[AdminLink]:
            return self._links(tx, list(service.compute(tx, everything=True).links[:MAX_TRENDS]), call.me.id)

        return json_answer(await self.api.database.read(read))

    def _links(self, tx: Tx, found: list[service.Link], viewer: Id) -> list[AdminLink]:
        seen = cards.seen(tx, [link.card_id for link in found], viewer)
        wanted = [link for link in found if link.card_id in seen]
        shown = TrendsApi(self.api).shown(tx, wanted, viewer)
        return [
            AdminLink(**msgspec.structs.asdict(each), id=str(link.card_id))
            for link, each in zip(wanted, shown, strict=False)
        ]

    def reviewing_link(self, allowed: bool) -> Handler:
        """``POST /api/v1/admin/trends/links/{id}/approve`` and ``…/reject``"""

        def write(tx: Tx, me: Viewer, ident: Id) -> AdminLink:
            card = cards.by_ids(tx, [ident]).get(ident)
            found = self._links(tx, [service.Link(ident, ())], me.id) if card is not None else []
            if card is None or not found:
                raise NotFound("Record not found")
            taxonomy.review(tx, me, "link", card.url, allowed=allowed)
            return found[0]

        return self._reviewing(write)

    def _publishers(self, tx: Tx) -> dict[Id, tuple[str, Review | None]]:
        known = reviews.reviews(tx)
        trending = service.compute(tx, everything=True).links
        urls = [card.url for card in cards.by_ids(tx, [link.card_id for link in trending]).values()]
        names = {taxonomy.publisher_of(url) for url in urls} | {key for kind, key in known if kind == "publisher"}
        return {tag_id(name): (name, known.get(("publisher", name))) for name in sorted(names) if name}

    async def publishers(self, call: Call) -> Answer:
        """``GET /api/v1/admin/trends/links/publishers``"""

        def read(tx: Tx) -> list[Publisher]:
            return [_publisher(ident, *each) for ident, each in self._publishers(tx).items()]

        return json_answer(await self.api.database.read(read))

    def reviewing_publisher(self, allowed: bool) -> Handler:
        """``POST /api/v1/admin/trends/links/publishers/{id}/approve`` and ``…/reject``"""

        def write(tx: Tx, me: Viewer, ident: Id) -> Publisher:
            found = self._publishers(tx).get(ident)
            if found is None:
                raise NotFound("Record not found")
            taxonomy.review(tx, me, "publisher", found[0], allowed=allowed)
            return _publisher(ident, found[0], Review(allowed, tx.now))

        return self._reviewing(write)

    async def trending_statuses(self, call: Call) -> Answer:
        """``GET /api/v1/admin/trends/statuses``"""

        def read(tx: Tx) -> list[msgspec.Raw]:
            idents = service.compute(tx, everything=True).posts[:MAX_TRENDS]
            wanted = posts.visible_ids(tx, idents, call.me.id)
            shown = [ident for ident in idents if ident in wanted]
            return [_reviewed(body) for body in self.api.renderer.visible_posts(tx, shown, call.me.id)]

        return json_answer(await self.api.database.read(read))

    def reviewing_status(self, allowed: bool) -> Handler:
        """``POST /api/v1/admin/trends/statuses/{id}/approve`` and ``…/reject``"""

        def write(tx: Tx, me: Viewer, ident: Id) -> msgspec.Raw:
            body = self.api.renderer.draft().visible_post(tx, ident, me.id)
            if body is None:
                raise NotFound("Record not found")
            taxonomy.review(tx, me, "status", str(ident), allowed=allowed)
            return _reviewed(body)

        return self._reviewing(write)


def _publisher(ident: Id, domain: str, review: Review | None) -> Publisher:
    return Publisher(
        id=str(ident), domain=domain, trendable=review is None or review.allowed,
        reviewed_at=entities.instant(review.reviewed_at) if review else None,
    )  # fmt: skip


def _reviewed(body: bytes) -> msgspec.Raw:
    return msgspec.Raw(body[:-1] + b',"requires_review":false}')


def routes(api: Api, table: Table) -> list[Route]:
    """The lines of the registry."""
    found = AdminTrends(api)
    # As in Mastodon, these have no finer scope.
    desk = Desk(api, table, Right.MANAGE_TAXONOMIES, "")
    at = "/v1/admin/trends"
    reviewing = {
        f"{at}/tags/{{id}}": found.reviewing_tag,
        f"{at}/links/{{id}}": found.reviewing_link,
        f"{at}/links/publishers/{{id}}": found.reviewing_publisher,
        f"{at}/statuses/{{id}}": found.reviewing_status,
    }
    return [
        desk.look("GET", "/v1/admin/tags", found.tags),
        desk.look("GET", "/v1/admin/tags/{id}", found.tag),
        desk.change("PUT", "/v1/admin/tags/{id}", found.change_tag),
        desk.look("GET", f"{at}/tags", found.trending_tags),
        desk.look("GET", f"{at}/links", found.trending_links),
        desk.look("GET", f"{at}/links/publishers", found.publishers),
        desk.look("GET", f"{at}/statuses", found.trending_statuses),
        *(desk.change("POST", f"{path}/approve", handler(True)) for path, handler in reviewing.items()),
        *(desk.change("POST", f"{path}/reject", handler(False)) for path, handler in reviewing.items()),
    ]
