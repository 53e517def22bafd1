"""Hashtags: the Tag entity, what people follow, and what they show on their profiles.

`tag_entities` is the one place that renders a Tag with its history: search, trends and this module use it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote

import msgspec

from fedishare.api import entities
from fedishare.api.http import Api, page_of, paged, params, parse_id
from fedishare.api.statuses import own
from fedishare.api.table import OWN, SEEN, Table
from fedishare.http.call import Answer, Call, json_answer
from fedishare.http.routes import Handler, Route
from fedishare.model.actors import Actor, ActorState
from fedishare.model.errors import BadInput, NotFound
from fedishare.model.ids import Id
from fedishare.services import tags as services
from fedishare.services.site import Site
from fedishare.store import actors, tags
from fedishare.store.db import Tx
from fedishare.store.tags import Featured

SUGGESTIONS = 10


class TagDay(msgspec.Struct, frozen=True):
    """One day of a Tag's history: the beginning of the day in seconds, and numbers, all of them as text."""

    day: str
    accounts: str
    uses: str


class TagEntity(msgspec.Struct, frozen=True):
    """A Tag, as one viewer stands to it."""

    id: str
    name: str
    url: str
    history: tuple[TagDay, ...]
    following: bool
    featuring: bool


class FeaturedTagEntity(msgspec.Struct, frozen=True):
    """A FeaturedTag."""

    id: str
    name: str
    url: str
    statuses_count: str
    last_status_at: str | None


def tag_entities(tx: Tx, site: Site, viewer: Id, names: Sequence[str]) -> list[TagEntity]:
    """Tags with their history, in the order of ``names`` (in their comparing form)."""
    counted, following = tags.history(tx, names), tags.followed(tx, viewer, names)
    featuring = frozenset(tags.featured_names(tx, viewer))
    return [
        TagEntity(
            id=str(tags.tag_id(name)), name=name, url=site.names.tag(name),
            history=tuple(TagDay(str(d.day // 1000), str(d.accounts), str(d.uses)) for d in counted[name]),
            following=name in following, featuring=name in featuring,
        )
        for name in names
    ]  # fmt: skip


def _featured(site: Site, owner: Actor, found: Featured) -> FeaturedTagEntity:
    url = f"{owner.url or site.names.profile_page(owner.name)}/tagged/{quote(found.tag, safe='')}"
    return FeaturedTagEntity(str(found.id), found.tag, url, str(found.posts), entities.day(found.last_at))


@dataclass(frozen=True, slots=True)
class Tags:
    """The handlers."""

    api: Api

    async def show(self, call: Call) -> Answer:
        """``GET /api/v1/tags/{name}``"""
        return json_answer(await self.api.database.read(self._one, call.me.id, services.known(call.params["name"])))

    def _one(self, tx: Tx, viewer: Id, tag: str) -> TagEntity:
        return tag_entities(tx, self.api.site, viewer, [tag])[0]

    async def changed(self, call: Call, change: Callable[[Tx, Id, str], object]) -> Answer:
        """``POST /api/v1/tags/{name}/follow``, ``unfollow``, ``feature`` and ``unfeature``"""
        tag = services.known(call.params["name"])

        def write(tx: Tx) -> TagEntity:
            change(tx, call.me.id, tag)
            return self._one(tx, call.me.id, tag)

        return json_answer(await self.api.database.write(write))

    async def followed(self, call: Call) -> Answer:
        """``GET /api/v1/followed_tags``"""
        page = page_of(await params(call), limit=100, most=200)

        def read(tx: Tx) -> tuple[list[Id], list[TagEntity]]:
            found = tags.followed_page(tx, call.me.id, page)
            shown = tag_entities(tx, self.api.site, call.me.id, [tag for _, tag in found])
            return [place for place, _ in found], shown

        places, shown = await self.api.database.read(read)
        return paged(self.api, call, shown, places)

    # On profiles

    async def featured(self, call: Call) -> Answer:
        """``GET /api/v1/featured_tags``: one's own, the most used first."""
        found = await self.api.database.read(self._featured, call.me.id)
        return json_answer(sorted(found, key=lambda each: -int(each.statuses_count)))

    async def featured_by(self, call: Call) -> Answer:
        """``GET /api/v1/accounts/{id}/featured_tags``"""
        return json_answer(await self.api.database.read(self._featured, parse_id(call.params["id"])))

    def _featured(self, tx: Tx, ident: Id) -> list[FeaturedTagEntity]:
        owner = actors.by_id(tx, ident)
        if owner is None or owner.state >= ActorState.SUSPENDED or owner.name == actors.INSTANCE_ACTOR:
            raise NotFound("Record not found")
        return [_featured(self.api.site, owner, each) for each in tags.featured(tx, owner.id)]

    async def feature(self, call: Call) -> Answer:
        """``POST /api/v1/featured_tags``"""
        text = (await params(call)).text("name").strip()
        if not text:
            raise BadInput("Validation failed: Name can't be blank", path="name")
        tag = services.name_of(text)
        if tag is None:
            raise BadInput("Validation failed: Name is invalid", path="name")

        def write(tx: Tx) -> FeaturedTagEntity:
            if not services.feature(tx, call.me.id, tag):
                raise BadInput("Validation failed: Name has already been taken", path="name")
            made = next(each for each in tags.featured(tx, call.me.id) if each.tag == tag)
            return _featured(self.api.site, own(tx, call.me.id), made)

        return json_answer(await self.api.database.write(write))

    async def unfeature(self, call: Call) -> Answer:
        """``DELETE /api/v1/featured_tags/{id}``"""
        ident = parse_id(call.params["id"])

        def write(tx: Tx) -> None:
            tag = tags.featured_tag(tx, call.me.id, ident)
            if tag is None:
                raise NotFound("Record not found")
            services.unfeature(tx, call.me.id, tag)

        await self.api.database.write(write)
        return json_answer({})

    async def suggestions(self, call: Call) -> Answer:
        """``GET /api/v1/featured_tags/suggestions``: what one used most of late."""

        def read(tx: Tx) -> list[TagEntity]:
            return tag_entities(tx, self.api.site, call.me.id, tags.used(tx, call.me.id, SUGGESTIONS))

        return json_answer(await self.api.database.read(read))


def routes(api: Api, table: Table) -> list[Route]:
    """The lines of this module."""
    found, line, at = Tags(api), table.line, "/api/v1/tags/{name}"

    def change(scope: str, verb: str, do: Callable[[Tx, Id, str], object]) -> Route:
        handler: Handler = partial(found.changed, change=do)
        return line("POST", f"{at}/{verb}", scope, handler, OWN)

    return [
        line("GET", at, "read:statuses", found.show, SEEN),
        change("write:follows", "follow", services.follow),
        change("write:follows", "unfollow", services.unfollow),
        change("write:accounts", "feature", services.feature),
        change("write:accounts", "unfeature", services.unfeature),
        line("GET", "/api/v1/followed_tags", "read:follows", found.followed, OWN),
        line("GET", "/api/v1/featured_tags", "read:accounts", found.featured, OWN),
        line("POST", "/api/v1/featured_tags", "write:accounts", found.feature, OWN),
        line("GET", "/api/v1/featured_tags/suggestions", "read:accounts", found.suggestions, OWN),
        line("DELETE", "/api/v1/featured_tags/{id}", "write:accounts", found.unfeature, OWN),
        line("GET", "/api/v1/accounts/{id}/featured_tags", "read:accounts", found.featured_by, SEEN),
    ]
