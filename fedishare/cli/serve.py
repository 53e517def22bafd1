"""Starting: init, serve, check, migrate; and routes, the registry as a table."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from fedishare import __version__, logs
from fedishare.app import opened_database, prepare_database, running, site_of
from fedishare.cli.options import config_option, config_path_option, json_option
from fedishare.cli.output import Column, Failure, facts, plural, print_json, styled, table, word
from fedishare.config import Config, Listen, load, parse, partners_from, prepare, render, write_initial
from fedishare.http.routes import Access, Route, SocketRoute
from fedishare.instance import policy_of
from fedishare.model.errors import ConfigError
from fedishare.model.partners import PartnerState
from fedishare.serving import open_socket, serve_many
from fedishare.serving import serve as serve_one
from fedishare.store.migrate import pending


@click.command()
@click.option("--domain", required=True, help="The domain in people's handles; it can never change.")
@click.option(
    "--dir", "directory", required=True, type=click.Path(path_type=Path, file_okay=False), help="Where to write."
)
@click.option("--origin", metavar="URL", help="Where others reach the server, if not https://DOMAIN.")
@click.option("--listen", metavar="HOST:PORT", help="Where the server listens, behind a TLS proxy or not.")
@click.option("--database", metavar="URL", help="sqlite:///FILE or postgresql://USER@HOST/NAME.")
@click.option(
    "--trusted-proxy",
    "proxies",
    multiple=True,
    metavar="NETWORK",
    help="Where the TLS proxy stands, if not on this machine. Can be repeated.",
)
def init(
    domain: str,
    directory: Path,
    origin: str | None,
    listen: str | None,
    database: str | None,
    proxies: tuple[str, ...],
) -> None:
    """Write a commented instance.toml and its secrets (mode 0600).

    \b
    Example:
      fedishare init --domain clinic.example --origin https://social.clinic.example --dir /var/lib/fedishare
    """
    written = write_initial(directory, domain, origin, listen, database, proxies)
    config = load(written.config, environ=os.environ)
    click.echo(f"Wrote {written.config}")
    click.echo(f"Wrote {written.secrets} (only you can read it; keep a copy apart from the backups)")
    where = "" if written.config == Path("instance.toml") else f" -c {written.config}"
    click.echo("\nNext:")
    steps = [
        (f"fedishare account create NAME --email MAIL --password-stdin{where}", "make the first account"),
        (f"fedishare serve{where}", f"start it on {config.server.listen}"),
        (f'fedishare token create NAME --scopes "read write follow push"{where}', "let an app sign in"),
        (f"fedishare partner add DOMAIN --reason REASON{where}", "federate with a first partner"),
    ]
    for number, (command, why) in enumerate(steps, 1):
        click.echo(f"  {number}. {styled(command, bold=True)}\n     {why}")
    if not config.development and config.server.tls_cert is None:
        click.echo(
            f"\nOthers reach it at {config.origin}: let a TLS proxy there pass requests on to {config.server.listen} "
            "(deploy/ has examples)."
        )


@click.command()
@config_option
@click.option("--fd", type=int, hidden=True)
@click.option("--until-eof", is_flag=True, hidden=True)
def serve(config: Config, fd: int | None, until_eof: bool) -> None:
    """Run the server until it is told to stop (SIGTERM or Ctrl-C).

    \b
    Example:
      fedishare serve -c /var/lib/fedishare/instance.toml
    """
    config = prepare(config)
    logs.set_up(config.log.level, config.log.format)
    sock = socket.socket(fileno=fd) if fd is not None else open_socket(config)
    bound = sock.getsockname()
    config = replace(config, listen=Listen(bound[0], bound[1]))
    if fd is not None:
        serve_one(config, sock, lambda: click.echo("ready"), until_eof=True)
    elif config.server.workers > 1:
        code = serve_many(config, sock, lambda: _tell_started(config))
        if code:
            raise Failure("the server did not run as it should; what is above says why.")
    else:
        serve_one(config, sock, lambda: _tell_started(config), until_eof=until_eof)


def _tell_started(config: Config) -> None:
    """One line, once the first connection can be taken."""
    host = f"[{config.listen.host}]" if ":" in config.listen.host else config.listen.host
    notes = [f"listening on {host}:{config.listen.port}"]
    if config.server.workers > 1:
        notes.append(plural(config.server.workers, "process", "processes"))
    if not config.federation.enabled:
        notes.append("federation is switched off")
    if config.development:
        notes.append("development")
    name = styled(f"fedishare {__version__}", "cyan", bold=True)
    click.echo(f"{name}  {config.domain} is up at {styled(config.origin, bold=True)}  ({', '.join(notes)})")


@click.command()
@config_path_option
@json_option
def check(path: Path, as_json: bool) -> None:
    """Tell everything that is wrong with the configuration, at once.

    \b
    Example:
      fedishare check -c instance.toml && systemctl restart fedishare
    """
    try:
        config = load(path, environ=os.environ)
    except ConfigError as error:
        if not as_json:
            raise
        print_json({"file": str(path), "problems": [{"key": key, "problem": text} for key, text in error.problems]})
        raise click.exceptions.Exit(1) from error
    compiled = policy_of(config, site_of(config), [], 0)
    if as_json:
        print_json(
            {"file": str(path), "problems": [{"key": "federation.partners", "problem": p} for p in compiled.problems]}
        )
    if compiled.problems:
        if not as_json:
            raise Failure("\n".join((f"{path.name}: federation.partners", *(f"  {p}" for p in compiled.problems))))
        raise click.exceptions.Exit(1)
    if not as_json:
        active = sum(p.state is PartnerState.ACTIVE for p in partners_from(config))
        click.echo(f"{path}: {word('ok')}")
        facts(
            [
                ("domain", config.domain),
                ("origin", config.origin),
                ("listens on", config.server.listen),
                ("database", config.database.url),
                ("partners here", f"{active} active; `fedishare partner list` shows the database's too"),
            ]
        )


@click.command()
@config_option
@click.option("--dry-run", is_flag=True, help="Only tell what would be applied; exit code 1 when something would.")
@json_option
def migrate(config: Config, dry_run: bool, as_json: bool) -> None:
    """Bring the database's schema up to this version. `serve` does the same when it starts.

    \b
    Example:
      fedishare backup before-upgrade.tar && fedishare migrate
    """
    missing = asyncio.run(_migrate(prepare(config), apply=not dry_run))
    if as_json:
        print_json({"applied": [] if dry_run else missing, "missing": missing if dry_run else []})
    elif not missing:
        click.echo("The database is up to date.")
    else:
        click.echo(f"{'Missing' if dry_run else 'Applied'}: {', '.join(missing)}")
    if dry_run and missing:
        raise click.exceptions.Exit(1)


async def _migrate(config: Config, *, apply: bool) -> list[str]:
    async with opened_database(config) as database:
        missing = await pending(database)
        if apply:
            await prepare_database(database, site_of(config))
        return missing


@click.command()
@config_path_option
@json_option
def routes(path: Path, as_json: bool) -> None:
    """Every address that the server answers, and what each one demands.

    \b
    Example:
      fedishare routes | grep peer
    """
    if path.exists():
        config = load(path, environ=os.environ)
    else:
        text = render({"server": {"domain": "localhost", "origin": "http://localhost:8000", "development": True}})
        config = parse(text, path=path, environ={})
    found, sockets = asyncio.run(_routes(config))
    rows: list[dict[str, Any]] = [
        {
            "method": r.method, "path": r.path, "access": r.access.value, "scopes": list(r.scopes),
            "rate": r.rate.value, "max_body": r.max_body, "audience": r.audience.value,
        }
        for r in found
    ]  # fmt: skip
    rows += [
        {
            "method": "WEBSOCKET", "path": s.path, "access": Access.TOKEN.value, "scopes": list(s.scopes),
            "rate": s.rate.value, "max_body": 0, "audience": s.audience.value,
        }
        for s in sockets
    ]  # fmt: skip
    rows.sort(key=lambda row: (str(row["path"]), str(row["method"])))
    if as_json:
        print_json(rows)
        return
    table(
        ["METHOD", "PATH", "ACCESS", "SCOPES", "RATE", Column("BODY", "right"), "SHOWS"],
        [(r["method"], r["path"], r["access"], " ".join(r["scopes"]), r["rate"], r["max_body"] or None, r["audience"])
         for r in rows],
        empty="There are none.",
    )  # fmt: skip


async def _routes(config: Config) -> tuple[Sequence[Route], Sequence[SocketRoute]]:
    """Composed as for serving, on an empty database in a temporary folder: nothing of the instance is touched."""
    with tempfile.TemporaryDirectory() as folder:
        empty = replace(config, database_url=f"sqlite:///{folder}/empty.db", path=Path(folder) / "instance.toml")
        if empty.secrets.secret_key is None:
            empty = prepare(empty)
        async with running(empty, work=False) as server:
            return server.router.routes, tuple(server.router.sockets.values())
