"""Backup, restore, verify: the database as a whole, while the server runs."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click

from fedishare import __version__
from fedishare.app import opened_database, prepare_database, site_of
from fedishare.cli import archive
from fedishare.cli.archive import Manifest
from fedishare.cli.options import config_option, json_option, ready_database, with_database
from fedishare.cli.output import (
    Failure,
    Progress,
    distance,
    facts,
    moment,
    plural,
    print_json,
    size,
    styled,
    table,
)
from fedishare.cli.terms import is_over
from fedishare.config import Config, prepare
from fedishare.instance import policy_of, read_partners
from fedishare.media.files import NAME, Folder
from fedishare.model.ids import Millis, id_at
from fedishare.store import sqlite_files
from fedishare.store import verify as store_verify
from fedishare.store.db import Database, Tx
from fedishare.store.migrate import APPLIED, MARK, SET_MARK
from fedishare.store.partners import BUMP
from fedishare.store.verify import Check

AHEAD = 60_000
"""Milliseconds that new ids are kept above everything that may have been given out before a restore."""


def _file(config: Config) -> Path | None:
    """The database's file; None for PostgreSQL."""
    url = config.database_url
    return Path("/" + url.removeprefix("sqlite:").lstrip("/")) if url.startswith("sqlite:") else None


# Backup


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--with-secrets", is_flag=True, help="Put secrets.toml in, too. Then whoever has the file has all.")
@click.option("--without-media", is_flag=True, help="Leave out the pictures, sounds and films of people here.")
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@config_option
@json_option
def backup(config: Config, file: Path, with_secrets: bool, without_media: bool, force: bool, as_json: bool) -> None:
    """Write database, configuration and media to one file, while the server runs.

    It is consistent: everything that was acknowledged before is in it. It has the private keys of all accounts, so
    only its owner can read it.

    \b
    Example:
      fedishare backup /backups/fedishare-$(date +%F).tar
    """
    if file.exists() and not force:
        raise Failure(f"{file} exists; name another file, or add --force to overwrite it.")
    if not file.absolute().parent.is_dir():
        raise Failure(f"{file.absolute().parent} is no folder; make it first, or name another.")
    source = _file(config)
    if source is not None and not source.exists():
        raise Failure(f"{source} does not exist: there is nothing to back up yet. `fedishare serve` makes it.")
    manifest = with_database(config, lambda database: database.read(_state, config))
    rows = manifest.rows
    with tempfile.TemporaryDirectory(dir=file.absolute().parent, prefix=".fedishare-backup-") as folder:
        copy = Path(folder) / manifest.database
        with Progress("Copying the database") as progress:
            if source is not None:
                sqlite_files.snapshot(source, copy, progress)
            else:
                _pg_dump(config, copy)
        files = {manifest.database: copy, archive.CONFIG: config.path}
        if with_secrets and config.secrets_path.exists():
            files[archive.SECRETS] = config.secrets_path
        with Progress("Writing the file") as progress:
            media = [] if without_media else _media(config)
            pictures = archive.write(file, manifest, files, media, progress)
    written = file.stat().st_size
    if as_json:
        print_json(
            {"file": str(file), "size": written, "members": list(files), "media": pictures, "rows": rows,
             "schema": manifest.schema}
        )  # fmt: skip
        return
    click.echo(f"Wrote {file} ({size(written)}): {', '.join(files)}, {plural(pictures, 'media file')}.")
    facts((name, number) for name, number in rows.items())
    if not with_secrets:
        click.echo(styled(f"\n{config.secrets_path} is not in it; keep a copy of it apart.", dim=True))


def _media(config: Config) -> list[Path]:
    """Our own media files. What partners show is read again when somebody wants to see it."""
    return [path for path in sorted((config.media_path / "local").glob("*/*")) if NAME.match(path.name)]


def _state(tx: Tx, config: Config) -> Manifest:
    schema = max((row[0] for row in tx.all(APPLIED)), default=0)
    engine = "sqlite" if _file(config) is not None else "postgresql"
    rows = dict(store_verify.rows(tx))
    return Manifest(archive.FORMAT, __version__, _now(), config.domain, config.origin, engine, schema, rows, {})


def _pg_dump(config: Config, target: Path) -> None:
    _run_postgres(config, ["pg_dump", "--format=custom", "--no-owner", "--file", str(target)])


def _run_postgres(config: Config, command: list[str]) -> None:
    """Run one of PostgreSQL's programs. The password goes through the environment, which no list of processes shows."""
    if shutil.which(command[0]) is None:
        raise Failure(
            f"{command[0]} was not found; it comes with PostgreSQL's client programs (Debian: postgresql-client) and "
            "must not be older than the server."
        )
    url = urlsplit(config.database_url)
    environ = dict(os.environ)
    if url.password is not None:
        environ["PGPASSWORD"] = unquote(url.password)
        url = url._replace(netloc=f"{url.username}@{url.netloc.rpartition('@')[2]}")
    done = subprocess.run(  # noqa: S603 — a fixed program, found in PATH, without a shell
        [*command, "--dbname", url.geturl()], env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Failure(f"{command[0]} failed: {done.stderr.strip() or f'it ended with {done.returncode}'}")


# Restore


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--force", is_flag=True, help="Replace a database that is there. A former SQLite file is kept beside it.")
@config_option
@json_option
def restore(config: Config, file: Path, force: bool, as_json: bool) -> None:
    """Put the database of a backup in place. The server must not be running.

    Ids and keys stay what they were, new ids are above all that may have been given out since, and where the former
    database can still be read, what was withdrawn meanwhile stays withdrawn: deleted posts, ended tokens, paused and
    ended partners, suspended accounts.

    \b
    Example:
      fedishare restore /backups/fedishare-2027-01-31.tar
    """
    manifest = archive.read_manifest(file)
    config = prepare(config)
    if manifest.domain != config.domain or manifest.origin != config.origin:
        raise Failure(
            f"{file} is of {manifest.domain} at {manifest.origin}, but {config.path} is of {config.domain} at "
            f"{config.origin}. Ids are made from these, so they can never change; use the instance.toml of the backup."
        )
    target = _file(config)
    engine = "sqlite" if target is not None else "postgresql"
    if manifest.engine != engine:
        raise Failure(f"{file} has a database of {manifest.engine}, but database.url names {engine}; they do not mix.")
    with tempfile.TemporaryDirectory(dir=config.media_path, prefix="restoring-") as folder:
        with Progress("Unpacking media") as progress:
            pictures = archive.extract_media(file, Path(folder), progress)
        if target is not None:
            counts, former = _restore_sqlite(config, file, manifest, target, force=force)
        else:
            counts, former = _restore_postgres(config, file, manifest, force=force), None
        for name in pictures:
            Folder(config.media_path).adopt(Path(folder) / name, name)
    result: dict[str, object] = {
        "file": str(file),
        "made_at": moment(manifest.created_at),
        "former_database": str(former) if former else None,
        "media": len(pictures),
        "kept_withdrawn": dict(counts),
    }
    if as_json:
        print_json(result)
        return
    click.echo(
        f"Restored {config.domain} as of {moment(manifest.created_at)} ({distance(manifest.created_at, _now())})."
    )
    if former:
        click.echo(f"The former database is {former}.")
    kept = {name: number for name, number in counts.items() if number and name in _WITHDRAWN}
    if kept:
        click.echo(f"Withdrawn since then, and still so: {', '.join(f'{name} ({n})' for name, n in kept.items())}.")
    elif not counts:
        click.echo(
            f"{styled('Look:', 'yellow', bold=True)} partners, tokens and accounts are as they were then. Whatever was "
            "ended, revoked or suspended since must be again: see `fedishare partner list`, `fedishare token list`."
        )
    click.echo("Next: `fedishare verify`, then `fedishare serve`.")


_WITHDRAWN = ("tombstones", "posts", "tokens", "partners", "accounts")


def _restore_sqlite(
    config: Config, file: Path, manifest: Manifest, target: Path, *, force: bool
) -> tuple[Mapping[str, int], Path | None]:
    """Unpacked and settled beside the target, which is replaced last: a failure leaves everything as it was."""
    if target.exists() and not force:
        raise Failure(f"{target} exists; add --force to replace it (it is kept beside the new one).")
    fresh = target.with_name(target.name + ".restoring")
    _remove(fresh)
    try:
        with Progress("Unpacking") as progress:
            archive.extract(file, manifest, manifest.database, fresh, progress)
        if found := sqlite_files.faults(fresh):
            raise Failure(f"the database in {file} is damaged: {found[0]}")
        readable = target.exists() and _readable(target)
        asyncio.run(_migrate(replace(config, database_url=f"sqlite:///{fresh}")))
        counts = sqlite_files.settle(fresh, target if readable else None, int(id_at(Millis(_now() + AHEAD))))
        former = target.with_name(f"{target.name}.before-restore-{time.strftime('%Y%m%dT%H%M%S')}")
        if target.exists():
            target.rename(former)
        for suffix in ("-wal", "-shm"):  # of the former file; they would be taken for the new one's
            leftover = target.with_name(target.name + suffix)
            if leftover.exists():
                leftover.rename(former.with_name(former.name + suffix))
        fresh.rename(target)
    finally:
        _remove(fresh)
    return counts, former if former.exists() else None


def _readable(target: Path) -> bool:
    """Whether what is there can be asked what was withdrawn. A server that runs on it is an error."""
    try:
        if sqlite_files.in_use(target):
            raise Failure(f"{target} is open in another process; stop the server first.")
        return not sqlite_files.faults(target)
    except Failure:
        raise
    except Exception as error:
        click.echo(f"{styled('Warning:', 'yellow', bold=True)} the former database tells nothing: {error}", err=True)
        return False


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


async def _migrate(config: Config) -> None:
    async with opened_database(config) as database:
        await prepare_database(database, site_of(config))


def _restore_postgres(config: Config, file: Path, manifest: Manifest, *, force: bool) -> Mapping[str, int]:
    """One transaction of pg_restore. It cannot tell whether a server runs, and nothing of the former data is left."""
    if not force and asyncio.run(_has_schema(config)):
        raise Failure("the database is not empty; stop every server, then add --force to replace what is in it.")
    with tempfile.TemporaryDirectory() as folder:
        dump = Path(folder) / manifest.database
        with Progress("Unpacking") as progress:
            archive.extract(file, manifest, manifest.database, dump, progress)
        mark = asyncio.run(_mark(config)) if force else 0
        _run_postgres(config, ["pg_restore", "--clean", "--if-exists", "--no-owner", "--single-transaction", str(dump)])
    asyncio.run(_settle(config, max(mark, int(id_at(Millis(_now() + AHEAD))))))
    return {}


async def _has_schema(config: Config) -> bool:
    async with opened_database(config) as database:
        return bool(await database.read(lambda tx: tx.all(APPLIED)))


async def _mark(config: Config) -> int:
    async with opened_database(config) as database:
        return int(await database.read(lambda tx: tx.value(MARK)))


async def _settle(config: Config, floor: int) -> None:
    def write(tx: Tx) -> None:
        tx.run(SET_MARK, node=sqlite_files.RESTORE_NODE, mark=floor)
        tx.run(BUMP)

    async with opened_database(config) as database:
        await prepare_database(database, site_of(config))
        await database.write(write)


# Verify


@click.command()
@config_option
@json_option
def verify(config: Config, as_json: bool) -> None:
    """Look for what should not be: damage, rows without their counterparts, deleted posts that are back, broken policy.

    Nothing is changed, and the server may be running. Exit code 1 when something is wrong.

    \b
    Example:
      fedishare verify && fedishare backup /backups/fedishare.tar
    """
    found, rows, notes = asyncio.run(_verify(config))
    wrong = [check for check in found if not check.ok]
    if as_json:
        print_json(
            {
                "ok": not wrong,
                "checks": [{"name": c.name, "ok": c.ok, "found": c.found} for c in found],
                "notes": notes,
                "rows": rows,
            }
        )
    else:
        table(
            ["CHECK", "RESULT", "FOUND"],
            [(c.name, "ok" if c.ok else "problem", _shortened(c.found)) for c in found],
            empty="",
        )
        click.echo("")
        facts(rows.items())
        for note in notes:
            click.echo(f"{styled('Note:', 'yellow', bold=True)} {note}")
        click.echo(
            f"\n{styled('All is well.', 'green') if not wrong else styled(plural(len(wrong), 'problem'), 'red')}"
        )
    if wrong:
        raise click.exceptions.Exit(1)


def _shortened(found: tuple[str, ...]) -> str | None:
    return "; ".join(found[:3]) + (f"; … {len(found)} in all" if len(found) > 3 else "") if found else None


async def _verify(config: Config) -> tuple[list[Check], Mapping[str, int], list[str]]:
    async with ready_database(config) as database:
        found = [Check("the file is sound", await _faults(config))]
        with Progress("Looking") as progress:
            progress(0, 1)
            found += await database.read(store_verify.checks)
        policy_check, notes = await _policy(config, database)
        return [*found, policy_check], await database.read(store_verify.rows), notes


async def _faults(config: Config) -> tuple[str, ...]:
    """SQLite only: PostgreSQL checks what it reads, and enforces what it refers to."""
    path = _file(config)
    return tuple(await asyncio.to_thread(sqlite_files.faults, path)) if path is not None else ()


async def _policy(config: Config, database: Database) -> tuple[Check, list[str]]:
    stored, revision = await database.read(read_partners)
    compiled = policy_of(config, site_of(config), stored, revision)
    broken = (compiled.broken,) if compiled.broken else ()
    shadowed = tuple(p for p in compiled.problems if "instance.toml has its own entry" in p)
    problems = tuple(p for p in compiled.problems if p not in shadowed)
    now = _now()
    notes = list(shadowed)
    notes += [
        f"the terms with {p.domain} have expired ({moment(p.expires_at)})" for p in compiled.partners if is_over(p, now)
    ]
    notes += [
        f"the terms with {p.domain} are due for review ({moment(p.review_at)})"
        for p in compiled.partners
        if p.review_at is not None and p.review_at <= now
    ]
    return Check("the allow-list can be used", (*broken, *problems)), notes


def _now() -> int:
    return int(time.time() * 1000)
