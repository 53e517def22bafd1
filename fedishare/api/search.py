"""Search: people, posts and hashtags, as far as one may see them; and, where asked to, at partners.

What was written a moment ago is taken into the index before it is asked: whoever posts finds the post. One pass at a
time serves everybody who waits for it.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field

import msgspec

from fedishare.activitypub import resolver
from fedishare.api.http import MAX_ID, Api, Params, params
from fedishare.api.rendering import json_list
from fedishare.api.table import Table
from fedishare.api.tags import TagEntity, tag_entities
from fedishare.http.call import Answer, Call, json_answer
from fedishare.http.routes import Route
from fedishare.model.actors import Actor
from fedishare.model.errors import BadInput, FedishareError, PolicyRefusal, Unavailable
from fedishare.model.ids import Handle, Id
from fedishare.model.posts import Post
from fedishare.services import search as services
from fedishare.store import search as store
from fedishare.store.db import Tx
from fedishare.store.paging import Page
from fedishare.text import normalise_hashtag
from fedishare.text.query import parse

KINDS = ("accounts", "statuses", "hashtags")
CATCH_UP_SECONDS = 0.1
"""A search waits so long at most for what is not taken in yet; the rest is taken in behind it."""
LOOK_AGAIN_SECONDS = 0.005
MOST_SKIPPED = 10_000
_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
_encode = msgspec.json.encode


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request wants to find."""

    text: str
    viewer: Id
    kinds: tuple[str, ...]
    limit: int
    skip: int
    following: bool
    before: int
    after: int
    author: Id | None


@dataclass(slots=True)
class CatchUp:
    """Takes in what waits, before somebody asks."""

    api: Api
    _begun: int = 0
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __call__(self) -> None:
        """Return when what was committed before the call can be found, or the time is over."""
        if not await self.api.database.read_fast(store.any_waiting):
            return
        begun = self._begun
        async with self._lock:
            if self._begun > begun:
                return  # a pass that began after this call is over
            self._begun += 1
            end = time.monotonic() + CATCH_UP_SECONDS
            try:
                while time.monotonic() < end:
                    done = await self.api.database.write(services.take_in)
                    if done < services.BATCH:
                        if not await self.api.database.read_fast(store.any_waiting):
                            return
                        await asyncio.sleep(LOOK_AGAIN_SECONDS)  # another process is at it
            except Unavailable:
                return  # what is in the index can be found with a full disk, too


@dataclass(frozen=True, slots=True)
class Search:
    """The handlers."""

    api: Api
    catch_up: CatchUp

    async def everything(self, call: Call) -> Answer:
        """``GET /api/v2/search``: with ``resolve`` also at partners, through policy and gateway."""
        found = await params(call)
        asked = self._asked(call, found)
        exact = await self._resolve(asked.text) if found.flag("resolve") and asked.text else None
        if asked.text and exact is None:
            await self.catch_up()
        return Answer(await self.api.database.read(self._everything, asked, exact))

    def _asked(self, call: Call, found: Params) -> Asked:
        kind = found.text("type")
        if kind not in ("", *KINDS):
            raise BadInput("type: accounts, statuses or hashtags was expected", path="type")
        # Pages are of one kind; a first look at all of them has no second page.
        skip = found.number("offset", 0, most=MOST_SKIPPED)
        return Asked(
            text=found.text("q").strip(), viewer=call.me.id, kinds=(kind,) if kind else KINDS,
            limit=found.number("limit", 20, least=1, most=40), skip=skip if kind else 0,
            following=found.flag("following"), before=found.number("max_id", MAX_ID),
            after=found.number("min_id", 0), author=found.ident("account_id"),
        )  # fmt: skip

    def _everything(self, tx: Tx, asked: Asked, exact: Actor | Post | None) -> bytes:
        people, statuses, tags = [], [], []
        if exact is not None:
            if isinstance(exact, Actor) and "accounts" in asked.kinds and services.is_there(exact):
                people = self.api.renderer.accounts(tx, [exact])
            if isinstance(exact, Post) and "statuses" in asked.kinds:
                statuses = self.api.renderer.visible_posts(tx, [exact.id], asked.viewer)
        else:
            people, statuses, tags = self._people(tx, asked), self._statuses(tx, asked), self._tags(tx, asked)
        return (
            b'{"accounts":' + _encode(people) + b',"statuses":' + json_list(statuses) + b',"hashtags":' + _encode(tags)
            + b"}"
        )  # fmt: skip

    def _people(self, tx: Tx, asked: Asked) -> list[msgspec.Raw]:
        if "accounts" not in asked.kinds or asked.text.startswith("#") or _is_sentence_with_handle(asked.text):
            return []
        return self._accounts(tx, asked)

    def _accounts(self, tx: Tx, asked: Asked) -> list[msgspec.Raw]:
        found = services.people(
            tx, self.api.site, asked.text, asked.viewer, following=asked.following, limit=asked.limit, skip=asked.skip
        )
        return self.api.renderer.accounts(tx, found)

    def _statuses(self, tx: Tx, asked: Asked) -> list[bytes]:
        if "statuses" not in asked.kinds:
            return []
        page = Page(asked.before, asked.after, asked.limit)
        idents = services.posts(
            tx, self.api.site, parse(asked.text), asked.viewer, page, skip=asked.skip, by=asked.author
        )
        return self.api.renderer.visible_posts(tx, idents, asked.viewer)

    def _tags(self, tx: Tx, asked: Asked) -> list[TagEntity]:
        if "hashtags" not in asked.kinds or any(sign in asked.text for sign in " @/"):
            return []
        names = store.find_tags(
            tx, normalise_hashtag(asked.text), asked.viewer, limit=asked.limit, skip=asked.skip
        )  # fmt: skip
        return tag_entities(tx, self.api.site, asked.viewer, names)

    async def accounts(self, call: Call) -> Answer:
        """``GET /api/v1/accounts/search``"""
        found = await params(call)
        text = found.text("q").strip()
        if found.flag("resolve") and "@" in text.removeprefix("@"):
            whom = await resolve_quietly(self.api, text)
            text = str(whom.handle) if isinstance(whom, Actor) else text
        asked = Asked(
            text=text, viewer=call.me.id, kinds=("accounts",), limit=found.number("limit", 40, least=1, most=80),
            skip=found.number("offset", 0, most=MOST_SKIPPED), following=found.flag("following"), before=MAX_ID,
            after=0, author=None,
        )  # fmt: skip
        if text:
            await self.catch_up()
        return json_answer(await self.api.database.read(self._accounts, asked))

    async def _resolve(self, text: str) -> Actor | Post | None:
        if _ADDRESS.match(text):
            try:
                return await resolver.resolve_url(self.api.federation, text)
            except PolicyRefusal:
                raise
            except FedishareError:
                return None
        if "@" in text.removeprefix("@") and " " not in text and not text.lower().startswith("from:"):
            whom = await resolve_quietly(self.api, text)
            if isinstance(whom, PolicyRefusal):
                raise whom
            return whom if isinstance(whom, Actor) else None
        return None


def _is_sentence_with_handle(text: str) -> bool:
    return "@" in text and " " in text


async def resolve_quietly(api: Api, text: str) -> Actor | FedishareError:
    """Whose handle it is, asked at its partner; it may be known here by another one (a split domain).

    The error, if it cannot be told, is for the caller to show.
    """
    try:
        return await resolver.resolve_handle(api.federation, Handle.parse(text, development=api.site.development))
    except FedishareError as error:
        return error


def routes(api: Api, table: Table) -> list[Route]:
    """Search's lines of the registry."""
    found = Search(api, CatchUp(api))
    return [
        table.line("GET", "/api/v2/search", "read:search", found.everything),
        table.line("GET", "/api/v1/accounts/search", "read:accounts", found.accounts),
    ]
