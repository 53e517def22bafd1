"""Lists: Mastodon's paths and entities for lists of people, and the timelines made of them."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from fedishare.api.http import Api, Cursors, Params, link_header, page_of, paged, params, parse_id
from fedishare.api.rendering import json_list
from fedishare.api.table import OWN, SEEN, Table
from fedishare.api.timelines import allowed
from fedishare.http.call import Answer, Call, json_answer
from fedishare.http.routes import Route
from fedishare.model.errors import BadInput
from fedishare.model.filters import Context
from fedishare.model.ids import Id
from fedishare.services import lists as services
from fedishare.store import lists
from fedishare.store.db import Tx
from fedishare.store.lists import PeopleList
from fedishare.store.paging import Page

MOST_AT_ONCE = 500
EVERYBODY = Page(limit=100_000)


class ListEntity(msgspec.Struct, frozen=True):
    """A List."""

    id: str
    title: str
    replies_policy: str
    exclusive: bool


def entity(found: PeopleList) -> ListEntity:
    """A list as apps see it."""
    return ListEntity(str(found.id), found.title, found.replies_policy, found.exclusive)


@dataclass(frozen=True, slots=True)
class Lists:
    """The handlers."""

    api: Api

    async def index(self, call: Call) -> Answer:
        """``GET /api/v1/lists``"""
        found = await self.api.database.read_fast(lists.of_owner, call.me.id)
        return json_answer([entity(each) for each in found])

    async def show(self, call: Call) -> Answer:
        """``GET /api/v1/lists/{id}``"""
        found = await self.api.database.read_fast(services.own, call.me.id, parse_id(call.params["id"]))
        return json_answer(entity(found))

    async def create(self, call: Call) -> Answer:
        """``POST /api/v1/lists``"""
        found = await params(call)
        title, policy, exclusive = found.text("title"), found.text("replies_policy", "list"), found.flag("exclusive")
        return json_answer(entity(await self.api.database.write(services.create, call.me.id, title, policy, exclusive)))

    async def update(self, call: Call) -> Answer:
        """``PUT /api/v1/lists/{id}``: what is not given stays as it is."""
        found = await params(call)
        made = await self.api.database.write(
            services.change, call.me.id, parse_id(call.params["id"]),
            title=found.text("title") if "title" in found else None,
            policy=found.text("replies_policy") if "replies_policy" in found else None,
            exclusive=found.flag("exclusive") if "exclusive" in found else None,
        )  # fmt: skip
        return json_answer(entity(made))

    async def delete(self, call: Call) -> Answer:
        """``DELETE /api/v1/lists/{id}``"""
        await self.api.database.write(services.delete, call.me.id, parse_id(call.params["id"]))
        return json_answer({})

    async def with_account(self, call: Call) -> Answer:
        """``GET /api/v1/accounts/{id}/lists``: one's own lists that somebody is in."""
        ident = parse_id(call.params["id"])
        found = await self.api.database.read_fast(lists.with_member, call.me.id, ident)
        return json_answer([entity(each) for each in found])

    # Who is in them

    async def members(self, call: Call) -> Answer:
        """``GET /api/v1/lists/{id}/accounts``: ``limit=0`` is everybody at once."""
        found = await params(call)
        everybody = found.number("limit", 40) == 0
        page = EVERYBODY if everybody else page_of(found, limit=40, most=80)
        ident = parse_id(call.params["id"])

        def read(tx: Tx) -> tuple[list[Id], list[msgspec.Raw]]:
            services.own(tx, call.me.id, ident)
            people = lists.members(tx, ident, page)
            return [place for place, _ in people], self.api.renderer.accounts(tx, [actor for _, actor in people])

        places, shown = await self.api.database.read(read)
        return paged(self.api, call, shown, [] if everybody else places)

    async def add(self, call: Call) -> Answer:
        """``POST /api/v1/lists/{id}/accounts``"""
        people = _people(await params(call))
        await self.api.database.write(services.add, call.me.id, parse_id(call.params["id"]), people)
        return json_answer({})

    async def remove(self, call: Call) -> Answer:
        """``DELETE /api/v1/lists/{id}/accounts``"""
        people = _people(await params(call))
        await self.api.database.write(services.remove, call.me.id, parse_id(call.params["id"]), people)
        return json_answer({})

    # Timeline

    async def timeline(self, call: Call) -> Answer:
        """``GET /api/v1/timelines/list/{id}``"""
        page, ident, viewer = page_of(await params(call)), parse_id(call.params["id"]), call.me.id

        def read(tx: Tx) -> tuple[Cursors | None, list[bytes]]:
            entries, rest = lists.timeline(tx, services.own(tx, viewer, ident), page)
            newest = entries[0].post_id if entries else page.before
            oldest = entries[-1].post_id if entries else page.after
            if rest is not None:
                # Much was looked through that does not belong there: the next page begins where this look ended.
                newest, oldest = (rest.after, oldest) if page.upwards else (newest, rest.before)
            cursors = Cursors(Id(newest), Id(oldest)) if entries or rest is not None else None
            return cursors, self.api.renderer.page(tx, allowed(tx, entries, viewer), viewer, Context.HOME)

        cursors, parts = await self.api.database.read(read)
        return Answer(json_list(parts), headers=link_header(self.api, call, cursors))


def _people(found: Params) -> list[Id]:
    named = found.texts("account_ids")
    if len(named) > MOST_AT_ONCE:
        raise BadInput(f"account_ids: at most {MOST_AT_ONCE} at once, found {len(named)}", path="account_ids")
    return [parse_id(text) for text in named]


def routes(api: Api, table: Table) -> list[Route]:
    """The lines of this module."""
    found, line, at = Lists(api), table.line, "/api/v1/lists/{id}"
    return [
        line("GET", "/api/v1/lists", "read:lists", found.index, OWN),
        line("POST", "/api/v1/lists", "write:lists", found.create, OWN),
        line("GET", at, "read:lists", found.show, OWN),
        line("PUT", at, "write:lists", found.update, OWN),
        line("DELETE", at, "write:lists", found.delete, OWN),
        line("GET", f"{at}/accounts", "read:lists", found.members, OWN),
        line("POST", f"{at}/accounts", "write:lists", found.add, OWN),
        line("DELETE", f"{at}/accounts", "write:lists", found.remove, OWN),
        line("GET", "/api/v1/accounts/{id}/lists", "read:lists", found.with_account, OWN),
        line("GET", "/api/v1/timelines/list/{id}", "read:lists", found.timeline, SEEN),
    ]
