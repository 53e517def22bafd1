"""Archives of one's own account: asked for, made by a job, downloaded with a token that may read everything."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from functools import partial

import msgspec

from fedishare.api import entities
from fedishare.api.archive_file import ArchiveFile
from fedishare.api.files import pieces
from fedishare.api.http import Api
from fedishare.api.table import OWN, Table
from fedishare.http.call import Answer, Call, json_answer
from fedishare.http.routes import Route
from fedishare.jobs import Dead, Done, Handler, Result
from fedishare.model.errors import NotFound
from fedishare.model.ids import Id
from fedishare.services import archives
from fedishare.services.archives import JOB, MakeArchiveJob
from fedishare.store import actors
from fedishare.store import archives as store
from fedishare.store.archives import Archive, ArchiveState
from fedishare.store.jobs import Job

log = logging.getLogger(__name__)

AT = "/api/v1/fedishare/export"
SECONDS = 3600.0


class ArchiveEntity(msgspec.Struct, frozen=True):
    """How far an archive is. ``url`` wants a token with the scope ``read``; ``size`` is in bytes."""

    id: str | None = None
    state: str = "none"
    created_at: str | None = None
    finished_at: str | None = None
    expires_at: str | None = None
    size: int = 0
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Archives:
    """The handlers."""

    api: Api

    async def ask(self, call: Call) -> Answer:
        """``POST /api/v1/fedishare/export``: at most one a day is made"""
        return json_answer(self._entity(await self.api.database.write(archives.ask, call.me.id)), status=202)

    async def show(self, call: Call) -> Answer:
        """``GET /api/v1/fedishare/export``"""
        return json_answer(self._entity(await self.api.database.read(store.newest, call.me.id)))

    def _entity(self, found: Archive | None) -> ArchiveEntity:
        if found is None:
            return ArchiveEntity()
        ready = found.state is ArchiveState.READY
        return ArchiveEntity(
            str(found.id), found.state.name.lower(), entities.instant(found.created_at),
            entities.time_text(found.finished_at), entities.time_text(found.expires_at) if ready else None, found.size,
            f"{self.api.site.names.origin}{AT}/file" if ready else None,
        )  # fmt: skip

    async def download(self, call: Call) -> Answer:
        """``GET /api/v1/fedishare/export/file``"""
        found = await self.api.database.read(archives.own_file, call.me.id)
        path = self.api.instance.studio.folder.archive(found.file or "")
        if not path.is_file():
            raise NotFound("Record not found")
        name = f"fedishare-{call.me.name}-{entities.day(found.created_at)}.zip"
        headers = (
            (b"content-length", str(found.size).encode()),
            (b"content-disposition", f'attachment; filename="{name}"'.encode()),
            (b"cache-control", b"private, no-store"),
        )
        return Answer(media_type=b"application/zip", headers=headers, stream=pieces(path, 0, found.size))


def handlers(api: Api) -> dict[str, Handler]:
    """The jobs of this module."""
    return {JOB: Handler(partial(_make, api), limit=1, timeout=SECONDS)}


async def _make(api: Api, job: Job) -> Result:
    """Make an archive that somebody waits for."""
    ident = Id(msgspec.json.decode(job.payload, type=MakeArchiveJob).archive_id)
    wanted = await api.database.read(archives.waiting, ident)
    actor = await api.database.read(actors.by_id, wanted.actor_id) if wanted is not None else None
    if actor is None or actor.state >= 2:
        return Done()
    studio, name = api.instance.studio, f"{secrets.token_hex(16)}.zip"
    with studio.folder.temporary() as part:
        try:
            await ArchiveFile(api.database, api.site.names, studio.folder, actor, part).write()
            size = await studio.aside(partial(studio.folder.keep_archive, part, name))
        except OSError as error:
            log.error("an archive cannot be written: %s", error)
            await api.database.write(archives.fail, ident)
            return Dead(f"the archive cannot be written: {error}")
    if not await api.database.write(archives.finish, ident, name, size):
        await studio.remove([name])
    return Done()


def routes(api: Api, table: Table) -> list[Route]:
    """The lines of the registry."""
    found, line = Archives(api), table.line
    return [
        line("POST", AT, "write:accounts", found.ask, OWN),
        line("GET", AT, "read:accounts", found.show, OWN),
        line("GET", f"{AT}/file", "read", found.download, OWN),
    ]
