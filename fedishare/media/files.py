"""The folder of media files. Names are made here, never taken from anybody; whatever is not complete has no name yet.

``local/`` holds our own files (rows of ``media_file`` say whose they are), ``remote/`` what partners show, made anew
and kept while there is room, ``archives/`` what people take away with them, ``tmp/`` what is being made.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

NAME = re.compile(r"[0-9a-f]{32}\.(jpg|png|gif|webp|mp4|mp3)\Z")
TYPES = {
    "jpg": b"image/jpeg", "png": b"image/png", "gif": b"image/gif", "webp": b"image/webp", "mp4": b"video/mp4",
    "mp3": b"audio/mpeg",
}  # fmt: skip
"""The only types that are ever served, by the only extensions that our names have."""
ARCHIVE = re.compile(r"[0-9a-f]{32}\.zip\Z")
"""The name of an archive of somebody's account."""
STALE_SECONDS = 6 * 3600
"""After so long, what is in ``tmp/`` belongs to nobody."""
LOST_SECONDS = 8 * 24 * 3600
"""After so long, no job asks for what is in ``incoming/`` any more."""


def new_name(extension: str) -> str:
    """A name that nobody can guess."""
    return f"{secrets.token_hex(16)}.{extension}"


def digest_of(url: str) -> str:
    """The name, without extension, of what a partner shows at ``url``."""
    return hashlib.sha256(url.encode()).hexdigest()[:32]


def media_type(name: str) -> bytes:
    """The type under which a file is served."""
    return TYPES[name.rpartition(".")[2]]


@dataclass(frozen=True, slots=True)
class Folder:
    """The folder at ``root``. Everything here waits for the disk: call it in a thread."""

    root: Path

    def local(self, name: str) -> Path:
        """Where one of our files is."""
        return self.root / "local" / name[:2] / name

    def put(self, name: str, body: bytes, *, remote: bool = False) -> None:
        """Write a file, durably; it has its name only when it is complete."""
        with self.temporary() as part:
            part.write_bytes(body)
            self.adopt(part, name, remote=remote)

    def adopt(self, part: Path, name: str, *, remote: bool = False) -> None:
        """Give a complete temporary file its name, durably."""
        target = self.remote(name) if remote else self.local(name)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not remote:
            _sync(part)
        part.replace(target)
        if not remote:
            _sync(target.parent)

    @contextmanager
    def temporary(self) -> Iterator[Path]:
        """A path for something unfinished; whatever is there at the end goes."""
        folder = self.root / "tmp"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / secrets.token_hex(16)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def incoming(self, name: str) -> Path:
        """Where an upload waits until it is made anew; ``name`` is one of ours."""
        folder = self.root / "incoming"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder / name

    def archive(self, name: str) -> Path:
        """Where an archive of somebody's account is."""
        return self.root / "archives" / name

    def keep_archive(self, part: Path, name: str) -> int:
        """Give a complete archive its name, durably; how many bytes it has."""
        target = self.archive(name)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _sync(part)
        part.replace(target)
        _sync(target.parent)
        return target.stat().st_size

    def remove(self, name: str) -> None:
        """Delete one of our files, or an upload that waited; nothing happens when it is not there."""
        if NAME.match(name):
            self.local(name).unlink(missing_ok=True)
        elif ARCHIVE.match(name):
            self.archive(name).unlink(missing_ok=True)
        else:
            (self.root / "incoming" / Path(name).name).unlink(missing_ok=True)

    # What partners show

    def remote(self, name: str) -> Path:
        """Where something of a partner's is kept."""
        return self.root / "remote" / name[:2] / name

    def find_remote(self, stem: str) -> str | None:
        """The full name of what is kept under ``stem`` (a digest, with ``-small`` for a preview)."""
        for extension in TYPES:
            name = f"{stem}.{extension}"
            if self.remote(name).is_file():
                with contextlib.suppress(OSError):
                    os.utime(self.remote(name))  # the last to be used are the last to go
                return name
        return None

    def forget_remote(self, stem: str) -> None:
        """Delete what is kept of a partner's file."""
        for extension in TYPES:
            for name in (f"{stem}.{extension}", f"{stem}-small.{extension}"):
                self.remote(name).unlink(missing_ok=True)

    def trim_remote(self, most: int) -> int:
        """Delete what was not used for longest, until at most ``most`` bytes are left; how many files went."""
        found = []
        for path in (self.root / "remote").glob("*/*"):
            with contextlib.suppress(FileNotFoundError):
                stat = path.stat()
                found.append((stat.st_mtime, stat.st_size, path))
        total, gone = sum(size for _, size, _ in found), 0
        for _, size, path in sorted(found):
            if total <= most:
                break
            path.unlink(missing_ok=True)
            total, gone = total - size, gone + 1
        return gone

    def names(self) -> Iterator[list[str]]:
        """The names of our own files that have been there for a while, folder by folder."""
        before = time.time() - STALE_SECONDS
        for folder in sorted((self.root / "local").glob("*")):
            names = []
            for path in folder.iterdir():
                with contextlib.suppress(FileNotFoundError):
                    if path.stat().st_mtime < before:
                        names.append(path.name)
            if names:
                yield names

    def sweep(self) -> None:
        """Delete what was left unfinished long ago."""
        for folder, seconds in (("tmp", STALE_SECONDS), ("incoming", LOST_SECONDS), ("archives", LOST_SECONDS)):
            for path in (self.root / folder).glob("*"):
                with contextlib.suppress(FileNotFoundError):
                    if path.stat().st_mtime < time.time() - seconds:
                        path.unlink()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
