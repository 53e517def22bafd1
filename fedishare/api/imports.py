"""Imports of tables from elsewhere, taken in by jobs; through policy and gateway where somebody is not known here."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

import msgspec

from fedishare.activitypub import resolver
from fedishare.api import entities
from fedishare.api.http import Api, Params, streamed
from fedishare.api.table import OWN, Table
from fedishare.api.uploads import file_of
from fedishare.http.call import Answer, Call, json_answer
from fedishare.http.routes import Access, Rate, Route
from fedishare.jobs import Done, Handler, Result
from fedishare.model.actors import Actor
from fedishare.model.errors import BadInput, FedishareError, NotFound, Unavailable
from fedishare.model.ids import Handle, Id
from fedishare.model.posts import Post
from fedishare.services import imports
from fedishare.services.imports import JOB, ImportJob, Line
from fedishare.services.imports import Table as Kind
from fedishare.store import actors
from fedishare.store import imports as store
from fedishare.store.imports import Import
from fedishare.store.jobs import Job

AT = "/api/v1/fedishare/import"
LARGEST = 1024 * 1024
AROUND = 64 * 1024
SECONDS = 3600.0


class ImportEntity(msgspec.Struct, frozen=True):
    """How far an import is."""

    id: str
    type: str
    state: str
    total: int
    done: int
    failed: int
    created_at: str


@dataclass(frozen=True, slots=True)
class Imports:
    """The handlers."""

    api: Api

    async def begin(self, call: Call) -> Answer:
        """``POST /api/v1/fedishare/import``: ``type`` and ``data`` (a CSV file, or its text)"""
        async with streamed(call, LARGEST + AROUND) as found:
            try:
                kind = Kind(found.text("type"))
            except ValueError as error:
                raise BadInput("Validation failed: Type is not included in the list", path="type") from error
            body = await asyncio.to_thread(_body, found)
        lines = await asyncio.to_thread(imports.parse, kind, body)
        made = await self.api.database.write(imports.begin, call.me.id, kind, lines)
        return json_answer(_entity(made), status=202)

    async def index(self, call: Call) -> Answer:
        """``GET /api/v1/fedishare/import``: the last ones, the newest first"""
        found = await self.api.database.read(store.of_actor, call.me.id)
        return json_answer([_entity(each) for each in found])


def _body(found: Params) -> bytes:
    if isinstance(found.raw("data"), str):
        body = found.text("data").encode()
        if len(body) > LARGEST:
            raise BadInput("Validation failed: Data is too large", path="data")
        return body
    source = file_of(found, "data", LARGEST)
    if source is None:
        raise BadInput("Validation failed: Data can't be blank", path="data")
    return source.read()


def _entity(found: Import) -> ImportEntity:
    return ImportEntity(
        str(found.id), found.kind, "finished" if found.is_over else "in_progress", found.total, found.done,
        found.failed, entities.instant(found.created_at),
    )  # fmt: skip


def handlers(api: Api) -> dict[str, Handler]:
    """The jobs of this module."""
    return {JOB: Handler(partial(_take, api), limit=2, timeout=SECONDS)}


async def _take(api: Api, job: Job) -> Result:
    """Some lines, one after another. What cannot be taken in is counted; the rest goes on."""
    wanted = msgspec.json.decode(job.payload, type=ImportJob)
    done = 0
    try:
        owner = await api.database.read(imports.owner, Id(wanted.import_id))
    except NotFound:
        return Done()
    for line in wanted.lines:
        actor = await api.database.read(actors.by_id, owner)
        if actor is None or actor.state >= 2:
            return Done()
        try:
            await _take_line(api, actor, wanted.table, line)
            done += 1
        except Unavailable:
            raise  # our own trouble: all of them again, which does no harm
        except FedishareError:
            continue
    await api.database.write(store.count, Id(wanted.import_id), wanted.first, done, len(wanted.lines) - done)
    return Done()


async def _take_line(api: Api, actor: Actor, kind: Kind, line: Line) -> None:
    site, database = api.site, api.database
    if kind is Kind.DOMAINS:
        await database.write(imports.take_domain, actor, line.what, site.names.domain)
    elif kind is Kind.BOOKMARKS:
        post = await resolver.resolve_url(api.federation, line.what)
        if not isinstance(post, Post):
            raise NotFound(f"{line.what[:200]} is no post")
        await database.write(imports.take_bookmark, actor, post.id)
    else:
        handle = Handle.parse(line.what, development=site.development)
        target = await resolver.resolve_handle(api.federation, handle)
        await database.write(imports.take_person, site, actor, kind, line, target)


def routes(api: Api, table: Table) -> list[Route]:
    """The lines of the registry."""
    found = Imports(api)
    return [
        Route(
            method="POST", path=AT, handler=found.begin, access=Access.TOKEN, scopes=("write:accounts",),
            rate=Rate.API, max_body=LARGEST + AROUND, audience=OWN, streams=True,
        ),
        table.line("GET", AT, "read:accounts", found.index, OWN),
    ]  # fmt: skip
