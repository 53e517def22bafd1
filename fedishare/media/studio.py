"""The studio: where files of one instance are made anew and kept, a few at a time, beside the event loop.

Two pictures are decoded at once, and one film: what a bomb could take is a number that can be planned for.
"""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

from fedishare.media import films, images
from fedishare.media.files import Folder, new_name
from fedishare.media.films import Tools
from fedishare.media.images import Bounds, Picture, Rendition
from fedishare.media.sniff import FILMS, HEAD, IMAGES, JPEG, SOUNDS, Format, is_more, sniff
from fedishare.model.errors import BadInput, Unavailable
from fedishare.model.media import Kept, Work

log = logging.getLogger(__name__)

NOT_ONE_THING = "Validation failed: File is a picture and something else as well, which is not supported"

THREADS = 2
PICTURES = {"avatar": Bounds(box=(400, 400)), "header": Bounds(box=(1500, 500))}
"""The pictures of a profile, and into what each is cut."""
T = TypeVar("T")


class Studio:
    """One per instance. ``tools`` is None where there is no ffmpeg."""

    def __init__(self, root: Path, tools: Tools | None) -> None:
        self.folder = Folder(root)
        self.tools = tools
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="media")
        self._one_film = asyncio.Semaphore(1)

    def close(self) -> None:
        """Finish what is being made."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def aside(self, work: Callable[[], T]) -> T:
        """Do something that waits for the disk or computes for long."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def written(self, work: Callable[[], T]) -> T:
        """Write something. Raises `Unavailable` when the disk does not take it."""
        try:
            return await self.aside(work)
        except OSError as error:
            log.error("a file of media cannot be written: %s", error)
            raise Unavailable("the file cannot be stored at the moment; nothing was changed") from error

    @property
    def formats(self) -> tuple[Format, ...]:
        """What this instance takes in."""
        return (*IMAGES, *FILMS, *SOUNDS) if self.tools else IMAGES

    async def identify(self, source: BinaryIO) -> Format:
        """What an upload is, if we take that. Raises `BadInput` in Mastodon's words."""
        found = await self.aside(partial(_sniffed, source))
        if found is None:
            raise BadInput("Validation failed: File content type is invalid, File is invalid", path="file")
        if found.family != "image" and self.tools is None:
            raise BadInput(films.NOT_HERE, path="file")
        return found

    async def admit(self, source: BinaryIO) -> Format:
        """The same for what people here upload: what is a picture and something else as well is refused, too."""
        found = await self.identify(source)
        if found.family == "image" and await self.aside(partial(is_more, source)):
            raise BadInput(NOT_ONE_THING, path="file")
        return found

    async def picture(self, source: BinaryIO, found: Format, bounds: Bounds = Bounds()) -> Picture:  # noqa: B008
        """A picture, made anew in memory. Raises `BadInput`."""
        if found.family != "image":
            raise BadInput("Validation failed: File content type is invalid, File is invalid", path="file")
        return await self.aside(partial(images.remake, source, found, bounds))

    async def keep_picture(self, source: BinaryIO, found: Format) -> Work:
        """A picture, made anew and kept with its preview."""
        picture = await self.picture(source, found)
        original = await self.keep(picture.original)
        try:
            preview = await self.keep(picture.preview) if picture.preview else None
        except Unavailable:
            await self.remove([original.name])
            raise
        return Work("image", original, preview, picture.blurhash)

    async def keep_profile_picture(self, source: BinaryIO, name: str) -> Kept:
        """An avatar or header, cut to size and kept; animation stays. Raises `BadInput`."""
        found = await self.admit(source)
        return await self.keep((await self.picture(source, found, PICTURES[name])).original)

    async def keep_profile_copy(self, file: str, name: str) -> Kept:
        """The same from a picture that we keep. Raises `BadInput`, also when it is there no more."""
        try:
            body = await self.aside(self.folder.local(file).read_bytes)
        except FileNotFoundError as error:
            raise BadInput("Validation failed: the file is not here any more", path=name) from error
        return await self.keep_profile_picture(io.BytesIO(body), name)

    async def keep_remote(self, digest: str, body: bytes) -> None:
        """What a partner shows, made anew and kept under its digest. Raises `BadInput`."""
        source = io.BytesIO(body)
        found = await self.identify(source)
        if found.family != "image":
            await self._keep_remote_film(digest, body, found)
            return
        picture = await self.picture(source, found)
        for stem, made in ((f"{digest}-small", picture.preview), (digest, picture.original)):
            if made is not None:
                await self.written(partial(self.folder.put, f"{stem}.{made.extension}", made.body, remote=True))

    async def _keep_remote_film(self, digest: str, body: bytes, found: Format) -> None:
        with self.folder.temporary() as came, self.folder.temporary() as part:
            await self.written(partial(came.write_bytes, body))
            facts, _ = await self._encode(came, found, part)
            extension = "mp4" if facts.family == "video" else "mp3"
            await self.written(partial(self.folder.adopt, part, f"{digest}.{extension}", remote=True))

    async def keep(self, made: Rendition) -> Kept:
        """Write a file under a new name."""
        name = new_name(made.extension)
        await self.written(partial(self.folder.put, name, made.body))
        return Kept(name, made.media_type, len(made.body), made.width, made.height)

    async def keep_film(self, source: Path, found: Format) -> Work:
        """A film or sound, encoded anew and kept, with its first frame. Takes minutes. Raises `BadInput`."""
        with self.folder.temporary() as part:
            facts, still = await self._encode(source, found, part)
            kind, extension = ("video", "mp4") if facts.family == "video" else ("audio", "mp3")
            name = new_name(extension)
            size = part.stat().st_size
            await self.written(partial(self.folder.adopt, part, name))
        original = Kept(name, "video/mp4" if kind == "video" else "audio/mpeg", size, facts.width, facts.height)
        preview = await self.keep(still.preview or still.original) if still else None
        return Work(kind, original, preview, still.blurhash if still else None, facts.seconds, facts.rate)

    async def _encode(self, source: Path, found: Format, part: Path) -> tuple[films.Facts, Picture | None]:
        if self.tools is None:
            raise BadInput(films.NOT_HERE, path="file")
        async with self._one_film:
            facts = await films.remake(self.tools, source, found, part)
            if facts.family != "video":
                return facts, None
            with self.folder.temporary() as frame:
                await films.first_frame(self.tools, part, frame)
                with frame.open("rb") as opened:
                    return facts, await self.picture(opened, JPEG, Bounds(pixels=images.PREVIEW_PIXELS))

    async def remove(self, names: list[str]) -> None:
        """Delete files of ours."""

        def gone() -> None:
            for name in names:
                self.folder.remove(name)

        await self.aside(gone)


def _sniffed(source: BinaryIO) -> Format | None:
    source.seek(0)
    head = source.read(HEAD)
    source.seek(0)
    return sniff(head)
