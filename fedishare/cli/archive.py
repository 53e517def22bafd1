"""The archive that `backup` writes and `restore` reads: a tar with a manifest, the database, configuration and media.

The manifest comes first and has the size and SHA-256 of the members behind it; the list of media files comes last,
because some may be deleted while they are read. Reading takes only members that these name, each a plain file under a
name of our own, so an archive from elsewhere can write nowhere but where it is told to.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, BinaryIO

import msgspec

from fedishare.media.files import NAME
from fedishare.model.errors import BadInput

FORMAT = 1
MANIFEST = "manifest.json"
DATABASES: Mapping[str, str] = {"sqlite": "database.sqlite", "postgresql": "database.pgdump"}
CONFIG, SECRETS = "instance.toml", "secrets.toml"
MEDIA, MEDIA_LIST = "media/", "media.json"
CHUNK = 1024 * 1024
LARGEST_MANIFEST = 1024 * 1024
LARGEST_LIST = 1024 * 1024 * 1024

Progress = Callable[[int, int], None]


class Member(msgspec.Struct, frozen=True):
    """One file in the archive. ``size`` is in bytes."""

    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What the archive is a backup of. ``created_at`` is in milliseconds since 1970; ``schema`` is the newest migration
    in it."""

    format: int
    version: str
    created_at: int
    domain: str
    origin: str
    engine: str
    schema: int
    rows: dict[str, int]
    members: dict[str, Member]

    @property
    def database(self) -> str:
        """The name of the database's member."""
        return DATABASES[self.engine]


def write(
    target: Path, manifest: Manifest, files: Mapping[str, Path], media: Sequence[Path], progress: Progress
) -> int:
    """Write the archive, readable by its owner only; it has its name only once it is whole and on the disk.

    ``manifest`` gets the members filled in. Returns the number of media files; those that vanish meanwhile are not in.
    """
    members = {name: Member(path.stat().st_size, _sha256(path)) for name, path in files.items()}
    text = msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(manifest, members=members)))
    unfinished = target.with_name(target.name + ".unfinished")
    counted = _Counted(sum(member.size for member in members.values()) + _size(media), progress)
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as raw:
            with tarfile.open(fileobj=raw, mode="w") as tar:
                _add(tar, MANIFEST, io.BytesIO(text), manifest)
                for name, path in files.items():
                    with path.open("rb") as file:
                        _add(tar, name, file, manifest)
                    counted.add(members[name].size)
                sums = _add_media(tar, media, manifest, counted)
            raw.flush()
            os.fsync(raw.fileno())
        unfinished.replace(target)
        _sync_folder(target.absolute().parent)
    finally:
        unfinished.unlink(missing_ok=True)
    return len(sums)


class _Counted:
    """How much of everything is done."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._total, self._progress, self._done = total, progress, 0

    def add(self, size: int) -> None:
        """So much more."""
        self._done += size
        self._progress(self._done, self._total)


def _size(paths: Sequence[Path]) -> int:
    total = 0
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def _add(tar: tarfile.TarFile, name: str, file: BinaryIO, manifest: Manifest) -> int:
    """Add one member; its size."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = file.seek(0, io.SEEK_END), 0o600, manifest.created_at // 1000
    file.seek(0)
    tar.addfile(info, file)
    return info.size


def _add_media(tar: tarfile.TarFile, media: Sequence[Path], manifest: Manifest, counted: _Counted) -> dict[str, str]:
    """Add the media files, and then the list of them with their SHA-256."""
    sums: dict[str, str] = {}
    for path in media:
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            sums[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
            counted.add(_add(tar, MEDIA + path.name, file, manifest))
    _add(tar, MEDIA_LIST, io.BytesIO(msgspec.json.encode(sums)), manifest)
    return sums


def extract_media(source: Path, folder: Path, progress: Progress) -> list[str]:
    """Write every media file of an archive into the empty ``folder``; their names. Raises `BadInput` when one is
    missing, changed, or there is one too many."""
    found: dict[str, str] = {}
    wanted: object = None
    total = source.stat().st_size
    try:
        with tarfile.open(source, "r:") as tar:
            for info in tar:
                file = tar.extractfile(info) if info.isreg() else None
                name = info.name.removeprefix(MEDIA)
                if info.name == MEDIA_LIST and file is not None and info.size <= LARGEST_LIST:
                    wanted = msgspec.json.decode(file.read(), type=dict[str, str])
                elif info.name.startswith(MEDIA) and NAME.match(name) and file is not None:
                    found[name] = _copy(file, folder / name)
                progress(info.offset_data + info.size, total)
    except (tarfile.TarError, msgspec.MsgspecError, EOFError) as error:
        raise BadInput(f"{source}: the media files cannot be read; the backup is damaged: {error}") from error
    if found != wanted:
        raise BadInput(f"{source}: the media files are not those that were stored; the backup is damaged")
    return list(found)


def _copy(file: IO[bytes], target: Path) -> str:
    """Write a new file, readable by its owner only, onto the disk; its SHA-256."""
    digest = hashlib.sha256()
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()


def read_manifest(source: Path) -> Manifest:
    """What an archive says of itself. Raises `BadInput` when it is none of ours, or of a newer kind."""
    try:
        with tarfile.open(source, "r:") as tar:
            info = tar.next()
            file = tar.extractfile(info) if info is not None and info.isreg() else None
            if info is None or file is None or info.name != MANIFEST or info.size > LARGEST_MANIFEST:
                raise BadInput(f"{source} is not a backup of fedishare: it does not begin with {MANIFEST}")
            found = msgspec.json.decode(file.read(), type=Manifest)
    except (tarfile.TarError, msgspec.MsgspecError, EOFError) as error:
        raise BadInput(f"{source} is not a backup of fedishare, or is damaged: {error}") from error
    if found.format != FORMAT:
        raise BadInput(
            f"{source} has format {found.format}, this version reads {FORMAT}; use the version that wrote it"
        )
    if found.engine not in DATABASES or found.database not in found.members:
        raise BadInput(f"{source} has no database in it; the backup is damaged")
    return found


def extract(source: Path, manifest: Manifest, name: str, target: Path, progress: Progress) -> None:
    """Write one member to the new file ``target`` and check it. Raises `BadInput` when it is not what was stored."""
    wanted = manifest.members[name]
    try:
        with tarfile.open(source, "r:") as tar:
            info = tar.getmember(name)
            file = tar.extractfile(info) if info.isreg() else None
            if file is None or info.size != wanted.size:
                raise BadInput(f"{source}: {name} is not as the manifest says; the backup is damaged")
            digest = _copy(file, target)
            progress(wanted.size, wanted.size)
    except (tarfile.TarError, KeyError, EOFError) as error:
        raise BadInput(f"{source}: {name} cannot be read; the backup is damaged: {error}") from error
    if digest != wanted.sha256:
        raise BadInput(f"{source}: {name} has another checksum than when it was stored; the backup is damaged")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    """Make a new name in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
