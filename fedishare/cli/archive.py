"""The archive that `backup` writes and `restore` reads: a tar with a manifest, the database, and the configuration.

The manifest comes first and has the size and SHA-256 of each member. Reading takes only members that it names, each
a plain file without a folder, so an archive from elsewhere can write nowhere but where it is told to.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from fedishare.model.errors import BadInput

FORMAT = 1
MANIFEST = "manifest.json"
DATABASES: Mapping[str, str] = {"sqlite": "database.sqlite", "postgresql": "database.pgdump"}
CONFIG, SECRETS = "instance.toml", "secrets.toml"
CHUNK = 1024 * 1024
LARGEST_MANIFEST = 1024 * 1024

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


def write(target: Path, manifest: Manifest, files: Mapping[str, Path], progress: Progress) -> None:
    """Write the archive, readable by its owner only; it has its name only once it is whole and on the disk.

    ``manifest`` gets the members filled in.
    """
    members = {name: Member(path.stat().st_size, _sha256(path)) for name, path in files.items()}
    text = msgspec.json.encode(msgspec.structs.replace(manifest, members=members))
    unfinished = target.with_name(target.name + ".unfinished")
    total = sum(member.size for member in members.values())
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as raw:
            with tarfile.open(fileobj=raw, mode="w") as tar:
                _add(tar, MANIFEST, io.BytesIO(msgspec.json.format(text)), len(msgspec.json.format(text)), manifest)
                for name, path in files.items():
                    with path.open("rb") as file:
                        counted = _Counted(file, total, progress)
                        _add(tar, name, counted, members[name].size, manifest)
            raw.flush()
            os.fsync(raw.fileno())
        unfinished.replace(target)
        _sync_folder(target.absolute().parent)
    finally:
        unfinished.unlink(missing_ok=True)


class _Counted(io.RawIOBase):
    """A file that tells how much of it was read."""

    def __init__(self, file: io.BufferedReader, total: int, progress: Progress) -> None:
        self._file, self._total, self._progress, self._done = file, total, progress, 0

    def read(self, size: int = -1) -> bytes:
        """Read on."""
        data = self._file.read(size)
        self._done += len(data)
        self._progress(self._done, self._total)
        return data


def _add(tar: tarfile.TarFile, name: str, file: io.BytesIO | _Counted, size: int, manifest: Manifest) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o600, manifest.created_at // 1000
    tar.addfile(info, file)


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
    digest, done = hashlib.sha256(), 0
    try:
        with tarfile.open(source, "r:") as tar:
            info = tar.getmember(name)
            file = tar.extractfile(info) if info.isreg() else None
            if file is None or info.size != wanted.size:
                raise BadInput(f"{source}: {name} is not as the manifest says; the backup is damaged")
            with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                while chunk := file.read(CHUNK):
                    digest.update(chunk)
                    out.write(chunk)
                    done += len(chunk)
                    progress(done, wanted.size)
                out.flush()
                os.fsync(out.fileno())
    except (tarfile.TarError, KeyError, EOFError) as error:
        raise BadInput(f"{source}: {name} cannot be read; the backup is damaged: {error}") from error
    if digest.hexdigest() != wanted.sha256:
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
