"""Media: uploads by apps. Pictures are made anew at once, films and sounds by a job."""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import msgspec

from fedishare.api import entities
from fedishare.api.http import Api, Params, parse_id, streamed
from fedishare.api.links import Links
from fedishare.api.uploads import BLANK, file_of, read_note, too_large
from fedishare.http.call import Answer, Call, json_answer
from fedishare.jobs import Dead, Done, Handler, Result
from fedishare.media import films
from fedishare.media.images import Bounds
from fedishare.media.sniff import Format
from fedishare.model.errors import BadInput, FedishareError, TooLarge
from fedishare.model.ids import Id
from fedishare.model.media import Kept, Media, MediaState, Work
from fedishare.services import media as service
from fedishare.services.media import MakeFilmJob, Note
from fedishare.store.jobs import Job

AROUND = 64 * 1024
"""Bytes of a request besides its file."""
JOB_SECONDS = films.ENCODE_SECONDS + 2 * films.PROBE_SECONDS + 30


@dataclass(frozen=True, slots=True)
class MediaApi:
    """The handlers."""

    api: Api

    @property
    def max_body(self) -> int:
        """Bytes of a request with an upload."""
        return self.api.instance.config.media.max_bytes + AROUND

    async def create(self, call: Call, *, wait: bool = False) -> Answer:
        """``POST /api/v2/media``: 202 and no address yet for what takes long; ``/api/v1/media`` waits for it."""
        largest = self.api.instance.config.media.max_bytes
        try:
            async with streamed(call, self.max_body) as found:
                source = file_of(found, "file", largest)
                if source is None:
                    raise BadInput(BLANK, path="file")
                media = await self.take(call.me.id, source, read_note(found), wait=wait)
                if media.state is MediaState.READY and found.raw("thumbnail") is not None:
                    media = await self._change(call.me.id, media.id, found)
        except TooLarge as error:
            raise too_large(largest) from error
        return self._answer(media, call.me.id, waiting=202)

    async def take(self, owner: Id, source: BinaryIO, note: Note, *, wait: bool) -> Media:
        """Keep an upload: pictures at once, films and sounds by a job unless it is to ``wait``. Raises `BadInput`."""
        studio = self.api.instance.studio
        found = await studio.admit(source)
        if found.family == "image":
            return await self._store(owner, await studio.keep_picture(source, found), note)
        name = f"{secrets.token_hex(16)}.upload"
        path = studio.folder.incoming(name)
        try:
            await studio.written(partial(_copy, source, path))
            if wait:
                return await self._store(owner, await studio.keep_film(path, found), note)
            return await self._queue(owner, path, found, note)
        except FedishareError:
            await studio.remove([name])
            raise
        finally:
            if wait:
                await studio.remove([name])

    async def _queue(self, owner: Id, path: Path, found: Format, note: Note) -> Media:
        tools = self.api.instance.studio.tools
        if tools is None:
            raise BadInput(films.NOT_HERE, path="file")
        facts = await films.probe(tools, path, found)  # what is no film at all is said at once
        return await self.api.database.write(service.add_waiting, owner, facts.family, path.name, note)

    async def _store(self, owner: Id, work: Work, note: Note) -> Media:
        try:
            return await self.api.database.write(service.add, owner, work, note)
        except FedishareError:
            kept = (work.original, work.preview)
            await self.api.instance.studio.remove([each.name for each in kept if each is not None])
            raise

    async def show(self, call: Call) -> Answer:
        """``GET /api/v1/media/{id}``: 206 while it is being made."""
        found = await self.api.database.read(service.own, call.me.id, parse_id(call.params["id"]))
        return self._answer(found, call.me.id, waiting=206)

    async def update(self, call: Call) -> Answer:
        """``PUT /api/v1/media/{id}``: description, focus, thumbnail."""
        try:
            async with streamed(call, self.max_body) as found:
                media = await self._change(call.me.id, parse_id(call.params["id"]), found)
        except TooLarge as error:
            raise too_large(self.api.instance.config.media.max_bytes) from error
        return self._answer(media, call.me.id, waiting=206)

    async def _change(self, owner: Id, ident: Id, found: Params) -> Media:
        note, preview = read_note(found), None
        source = file_of(found, "thumbnail", self.api.instance.config.media.max_bytes)
        if source is not None:
            await self.api.database.read(service.own, owner, ident)
            preview = await self._thumbnail(source)
        try:
            return await self.api.database.write(service.describe, owner, ident, note, preview)
        except FedishareError:
            if preview is not None:
                await self.api.instance.studio.remove([preview[0].name])
            raise

    async def _thumbnail(self, source: BinaryIO) -> tuple[Kept, str]:
        studio = self.api.instance.studio
        picture = await studio.picture(source, await studio.admit(source), Bounds(still=True))
        return await studio.keep(picture.preview or picture.original), picture.blurhash

    async def delete(self, call: Call) -> Answer:
        """``DELETE /api/v1/media/{id}``: not while it is part of a post."""
        await self.api.database.write(service.remove, call.me.id, parse_id(call.params["id"]))
        return json_answer({})

    def _answer(self, media: Media, viewer: Id, *, waiting: int) -> Answer:
        links = Links(self.api.site.names.origin, self.api.tickets, self.api.instance.clock(), viewer)
        shown = entities.attachment(media.id, 0, media.attachment(links.origin), links)
        if media.state is MediaState.READY:
            return json_answer(shown)
        return json_answer(msgspec.structs.replace(shown, url=None, preview_url=None), status=waiting)


def _copy(source: BinaryIO, path: Path) -> None:
    source.seek(0)
    with path.open("wb") as target:
        shutil.copyfileobj(source, target, 1024 * 1024)


def handlers(api: Api) -> dict[str, Handler]:
    """The jobs of this module."""
    return {service.JOB: Handler(partial(_make_film, api), limit=1, timeout=JOB_SECONDS)}


async def _make_film(api: Api, job: Job) -> Result:
    """Encode an upload that waits; what cannot be encoded is marked so, for its owner to see."""
    ident = Id(msgspec.json.decode(job.payload, type=MakeFilmJob).media_id)
    media = await api.database.read(service.waiting, ident)
    if media is None or media.file is None:
        return Done()
    studio = api.instance.studio
    path = studio.folder.incoming(media.file)
    try:
        with path.open("rb") as source:
            found = await studio.identify(source)
        work = await studio.keep_film(path, found)
    except (BadInput, FileNotFoundError) as error:
        await api.database.write(service.fail, ident)
        return Dead(str(error))
    if not await api.database.write(service.finish, ident, work):
        await studio.remove([kept.name for kept in (work.original, work.preview) if kept is not None])
    return Done()
