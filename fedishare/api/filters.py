"""Filters: what one does not want to read; v2 with keywords and posts under a title, v1 with one keyword each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from fedishare.api.entities import time_text
from fedishare.api.filtering import entity
from fedishare.api.http import Api, Params, params, parse_id
from fedishare.api.table import OWN, Table
from fedishare.http.call import Answer, Call, json_answer
from fedishare.http.routes import Route
from fedishare.model.errors import BadInput
from fedishare.model.filters import CONTEXTS, Context, Filter, FilterAction, FilteredPost, Keyword
from fedishare.model.ids import Id, Millis
from fedishare.services import filters as service
from fedishare.services.filters import FilterDraft, KeywordChange
from fedishare.store import filters
from fedishare.store.db import Tx

LONGEST = 10 * 366 * 86400
"""Seconds after which a filter can end at most."""
MAX_CHANGES = 600
"""Keywords that one request may name."""
_ACTIONS = {action.word: action for action in FilterAction}


class KeywordEntity(msgspec.Struct, frozen=True):
    """A keyword."""

    id: str
    keyword: str
    whole_word: bool


class StatusEntity(msgspec.Struct, frozen=True):
    """A status that is filtered by itself."""

    id: str
    status_id: str


class FilterWhole(msgspec.Struct, frozen=True, kw_only=True):
    """A filter with its parts."""

    id: str
    title: str
    context: tuple[str, ...]
    expires_at: str | None
    filter_action: str
    keywords: list[KeywordEntity]
    statuses: list[StatusEntity]


class FilterV1(msgspec.Struct, frozen=True, kw_only=True):
    """A keyword with what its filter says, as one filter."""

    id: str
    phrase: str
    context: tuple[str, ...]
    whole_word: bool
    expires_at: str | None
    irreversible: bool


def _keyword(found: Keyword) -> KeywordEntity:
    return KeywordEntity(str(found.id), found.phrase, found.whole_word)


def _status(found: FilteredPost) -> StatusEntity:
    return StatusEntity(str(found.id), str(found.post_id))


def _whole(found: Filter) -> FilterWhole:
    short = entity(found)
    return FilterWhole(
        id=short.id, title=short.title, context=short.context, expires_at=short.expires_at,
        filter_action=short.filter_action, keywords=[_keyword(each) for each in found.keywords],
        statuses=[_status(each) for each in found.posts],
    )  # fmt: skip


def _single(found: Filter, keyword: Keyword) -> FilterV1:
    return FilterV1(
        id=str(keyword.id), phrase=keyword.phrase, context=found.context.words, whole_word=keyword.whole_word,
        expires_at=time_text(found.expires_at), irreversible=found.action is FilterAction.HIDE,
    )  # fmt: skip


def read_context(found: Params) -> Context:
    """The contexts that a request names. Raises `BadInput`."""
    result = Context.NOWHERE
    for word in found.texts("context"):
        if word not in CONTEXTS:
            raise BadInput("Validation failed: Context None or invalid context supplied", path="context")
        result |= CONTEXTS[word]
    return result


def _expiry(found: Params, now: Millis, before: Millis | None) -> Millis | None:
    """When it ends: in so many seconds, never when the number is empty, as before when there is none."""
    if not found.names("expires_in"):
        return before
    seconds = found.number("expires_in", 0, most=LONGEST)
    return Millis(now + 1000 * seconds) if seconds else None


def read_filter(found: Params, now: Millis, before: Filter | None) -> FilterDraft:
    """What a request wants a filter to be; what it does not name stays as it was. Raises `BadInput`."""
    word = found.text("filter_action") or (before.action.word if before is not None else "warn")
    if word not in _ACTIONS:
        raise BadInput("Validation failed: Action is not included in the list", path="filter_action")
    return FilterDraft(
        title=found.text("title", before.title if before is not None else ""),
        context=read_context(found) if before is None or "context" in found else before.context,
        action=_ACTIONS[word],
        expires_at=_expiry(found, now, before.expires_at if before is not None else None),
    )


def read_keywords(found: Params) -> list[KeywordChange]:
    """``keywords_attributes``: a list, or an object with numbers as names. Raises `BadInput`, `NotFound`."""
    given = found.raw("keywords_attributes") or []
    items = list(given.values()) if isinstance(given, dict) else given
    if not isinstance(items, list) or any(not isinstance(item, Mapping) for item in items):
        raise BadInput("keywords_attributes: a list of objects was expected", path="keywords_attributes")
    if len(items) > MAX_CHANGES:
        raise BadInput(f"keywords_attributes: at most {MAX_CHANGES} are taken at once", path="keywords_attributes")
    return [_change(Params(item)) for item in items]


def _change(found: Params, ident: Id | None = None) -> KeywordChange:
    return KeywordChange(
        id=ident if ident is not None else found.ident("id"),
        phrase=found.text("keyword") if "keyword" in found else None,
        whole_word=found.flag("whole_word") if "whole_word" in found else None,
        remove=found.flag("_destroy"),
    )


def _single_draft(found: Params, now: Millis, before: Filter | None) -> FilterDraft:
    action = before.action if before is not None else FilterAction.WARN
    if "irreversible" in found:
        hides = found.flag("irreversible")
        action = FilterAction.HIDE if hides else FilterAction.WARN if action is FilterAction.HIDE else action
    return FilterDraft(
        title="-",
        context=read_context(found) if before is None or "context" in found else before.context,
        action=action,
        expires_at=_expiry(found, now, before.expires_at if before is not None else None),
    )


def _single_change(found: Params, ident: Id | None, before: Keyword | None) -> KeywordChange:
    phrase = found.text("phrase") if "phrase" in found or before is None else before.phrase
    whole = found.flag("whole_word") if "whole_word" in found else None if before is not None else False
    return KeywordChange(ident, phrase, whole)


@dataclass(frozen=True, slots=True)
class Filters:
    """The handlers."""

    api: Api

    async def listing(self, call: Call) -> Answer:
        """``GET /api/v2/filters``"""
        return json_answer([_whole(each) for each in await self.api.database.read(filters.of_owner, call.me.id)])

    async def show(self, call: Call) -> Answer:
        """``GET /api/v2/filters/{id}``"""
        return json_answer(_whole(await self._own(call)))

    async def _own(self, call: Call) -> Filter:
        return await self.api.database.read(service.own, call.me.id, parse_id(call.params["id"]))

    async def create(self, call: Call) -> Answer:
        """``POST /api/v2/filters``"""
        found = await params(call)
        draft, keywords = read_filter(found, self.api.instance.clock(), None), read_keywords(found)
        return json_answer(_whole(await self.api.database.write(service.create, call.me.id, draft, keywords)))

    async def update(self, call: Call) -> Answer:
        """``PUT /api/v2/filters/{id}``"""
        found, ident = await params(call), parse_id(call.params["id"])
        keywords = read_keywords(found)

        def write(tx: Tx) -> Filter:
            before = service.own(tx, call.me.id, ident)
            return service.change(tx, call.me.id, ident, read_filter(found, tx.now, before), keywords)

        return json_answer(_whole(await self.api.database.write(write)))

    async def remove(self, call: Call) -> Answer:
        """``DELETE /api/v2/filters/{id}``"""
        await self.api.database.write(service.remove, call.me.id, parse_id(call.params["id"]))
        return json_answer({})

    # Keywords

    async def keywords(self, call: Call) -> Answer:
        """``GET /api/v2/filters/{id}/keywords``"""
        return json_answer([_keyword(each) for each in (await self._own(call)).keywords])

    async def add_keyword(self, call: Call) -> Answer:
        """``POST /api/v2/filters/{id}/keywords``"""
        found, ident = await params(call), parse_id(call.params["id"])
        phrase, whole = found.text("keyword"), found.flag("whole_word", True)
        made = await self.api.database.write(service.add_keyword, call.me.id, ident, phrase, whole_word=whole)
        return json_answer(_keyword(made))

    async def keyword(self, call: Call) -> Answer:
        """``GET /api/v2/filters/keywords/{id}``"""
        _, found = await self.api.database.read(service.keyword, call.me.id, parse_id(call.params["id"]))
        return json_answer(_keyword(found))

    async def update_keyword(self, call: Call) -> Answer:
        """``PUT /api/v2/filters/keywords/{id}``"""
        change = _change(await params(call), parse_id(call.params["id"]))
        return json_answer(_keyword(await self.api.database.write(service.change_keyword, call.me.id, change)))

    async def remove_keyword(self, call: Call) -> Answer:
        """``DELETE /api/v2/filters/keywords/{id}``"""
        await self.api.database.write(service.remove_keyword, call.me.id, parse_id(call.params["id"]))
        return json_answer({})

    # Statuses

    async def statuses(self, call: Call) -> Answer:
        """``GET /api/v2/filters/{id}/statuses``"""
        return json_answer([_status(each) for each in (await self._own(call)).posts])

    async def add_status(self, call: Call) -> Answer:
        """``POST /api/v2/filters/{id}/statuses``"""
        found, ident = await params(call), parse_id(call.params["id"])
        post = found.ident("status_id")
        if post is None:
            raise BadInput("Validation failed: Status can't be blank", path="status_id")
        return json_answer(_status(await self.api.database.write(service.add_post, call.me.id, ident, post)))

    async def status(self, call: Call) -> Answer:
        """``GET /api/v2/filters/statuses/{id}``"""
        found = await self.api.database.read(service.post, call.me.id, parse_id(call.params["id"]))
        return json_answer(_status(found))

    async def remove_status(self, call: Call) -> Answer:
        """``DELETE /api/v2/filters/statuses/{id}``"""
        found = await self.api.database.write(service.remove_post, call.me.id, parse_id(call.params["id"]))
        return json_answer(_status(found))

    # One keyword each

    async def singles(self, call: Call) -> Answer:
        """``GET /api/v1/filters``"""
        found = await self.api.database.read(filters.of_owner, call.me.id)
        return json_answer([_single(each, keyword) for each in found for keyword in each.keywords])

    async def single(self, call: Call) -> Answer:
        """``GET /api/v1/filters/{id}``"""
        found = await self.api.database.read(service.keyword, call.me.id, parse_id(call.params["id"]))
        return json_answer(_single(*found))

    async def create_single(self, call: Call) -> Answer:
        """``POST /api/v1/filters``"""
        found = await params(call)
        draft, change = _single_draft(found, self.api.instance.clock(), None), _single_change(found, None, None)
        return json_answer(_single(*await self.api.database.write(service.create_single, call.me.id, draft, change)))

    async def update_single(self, call: Call) -> Answer:
        """``PUT /api/v1/filters/{id}``"""
        found, ident = await params(call), parse_id(call.params["id"])

        def write(tx: Tx) -> tuple[Filter, Keyword]:
            before, keyword = service.keyword(tx, call.me.id, ident)
            draft, change = _single_draft(found, tx.now, before), _single_change(found, ident, keyword)
            return service.change_single(tx, call.me.id, ident, draft, change)

        return json_answer(_single(*await self.api.database.write(write)))

    async def remove_single(self, call: Call) -> Answer:
        """``DELETE /api/v1/filters/{id}``"""
        await self.api.database.write(service.remove_single, call.me.id, parse_id(call.params["id"]))
        return json_answer({})


def routes(api: Api, table: Table) -> list[Route]:
    """This module's lines of the registry."""
    found, route = Filters(api), table.line
    read, write = "read:filters", "write:filters"
    all_, old = "/api/v2/filters", "/api/v1/filters"
    one, keyword, status = f"{all_}/{{id}}", f"{all_}/keywords/{{id}}", f"{all_}/statuses/{{id}}"
    return [
        route("GET", all_, read, found.listing, OWN),
        route("POST", all_, write, found.create, OWN),
        route("GET", one, read, found.show, OWN),
        route("PUT", one, write, found.update, OWN),
        route("DELETE", one, write, found.remove, OWN),
        route("GET", f"{one}/keywords", read, found.keywords, OWN),
        route("POST", f"{one}/keywords", write, found.add_keyword, OWN),
        route("GET", keyword, read, found.keyword, OWN),
        route("PUT", keyword, write, found.update_keyword, OWN),
        route("DELETE", keyword, write, found.remove_keyword, OWN),
        route("GET", f"{one}/statuses", read, found.statuses, OWN),
        route("POST", f"{one}/statuses", write, found.add_status, OWN),
        route("GET", status, read, found.status, OWN),
        route("DELETE", status, write, found.remove_status, OWN),
        route("GET", old, read, found.singles, OWN),
        route("POST", old, write, found.create_single, OWN),
        route("GET", f"{old}/{{id}}", read, found.single, OWN),
        route("PUT", f"{old}/{{id}}", write, found.update_single, OWN),
        route("DELETE", f"{old}/{{id}}", write, found.remove_single, OWN),
    ]
