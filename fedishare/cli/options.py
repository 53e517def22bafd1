"""Options that many commands share, and the way from a command to its configuration and database."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from fedishare.app import opened_database, prepare_database, site_of
from fedishare.cli.output import Failure
from fedishare.config import Config, load, prepare
from fedishare.model.errors import BadInput, FedishareError, Unavailable
from fedishare.model.ids import Domain, Handle, Id, parse_domain
from fedishare.store.db import Database
from fedishare.store.migrate import pending

R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

VARIABLE = "FEDISHARE_CONFIG"
DEFAULT = "instance.toml"


def config_path_option(command: F) -> F:
    """``-c FILE`` as a path that need not exist; the command gets ``path``."""
    return click.option(
        "-c",
        "--config",
        "path",
        envvar=VARIABLE,
        type=click.Path(path_type=Path, dir_okay=False),
        default=Path(DEFAULT),
        metavar="FILE",
        help=f"The configuration. Without it: ${VARIABLE}, else ./{DEFAULT}.",
    )(command)


def config_option(command: F) -> F:
    """``-c FILE``; the command gets the checked ``config``."""

    def read(_: click.Context, __: click.Parameter, path: Path) -> Config:
        return load(path, environ=os.environ)

    return click.option(
        "-c",
        "--config",
        "config",
        envvar=VARIABLE,
        type=click.Path(path_type=Path, dir_okay=False),
        default=Path(DEFAULT),
        metavar="FILE",
        callback=read,
        help=f"The configuration. Without it: ${VARIABLE}, else ./{DEFAULT}.",
    )(command)


def json_option(command: F) -> F:
    """``--json``; the command gets ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(command)


def yes_option(command: F) -> F:
    """``--yes``; the command gets ``yes``."""
    return click.option("--yes", "-y", is_flag=True, help="Do not ask.")(command)


def confirm(question: str, *, yes: bool) -> None:
    """Ask a person, unless ``yes``. Without a terminal nobody can answer, so that is a no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Failure(f"{question} Nobody is there to say yes; add --yes.")
    if not click.confirm(question):
        raise Failure("Nothing was changed.")


def new_password(*, from_stdin: bool) -> str | None:
    """A password from standard input (asked twice, unseen, on a terminal); None when that was not wanted."""
    if not from_stdin:
        return None
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    # Only the line's end goes: blanks may be part of a password.
    return sys.stdin.readline().rstrip("\r\n")


class IdParam(click.ParamType[Id]):
    """A local id: a number."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Id:
        """Read the number."""
        text = str(value)
        if not text.isascii() or not text.isdigit() or not 0 < int(text) < 2**63:
            self.fail(f"an id is a number such as 115638612345678901, found {text[:40]!r}", param, ctx)
        return Id(int(text))


ID = IdParam()


def domain_of(config: Config, text: str, hint: str) -> Domain:
    """An argument as a domain. Raises `click.BadParameter` (exit code 2)."""
    try:
        return parse_domain(text, allow_port=config.development)
    except BadInput as error:
        raise click.BadParameter(str(error), param_hint=hint) from error


def handle_of(config: Config, text: str) -> Handle:
    """An argument as a handle; our own domain is left out. Raises `click.BadParameter`."""
    try:
        handle = Handle.parse(text, development=config.development)
    except BadInput as error:
        raise click.BadParameter(str(error), param_hint="'NAME'") from error
    return Handle(handle.name) if handle.domain in config.own_hosts else handle


def with_database(config: Config, work: Callable[[Database], Awaitable[R]]) -> R:
    """Run ``work`` on the instance's database, which a running server may have open at the same time.

    An empty database gets its schema first; one of an older version wants `fedishare migrate`.
    """

    async def run() -> R:
        async with ready_database(config) as database:
            return await work(database)

    return asyncio.run(run())


@contextlib.asynccontextmanager
async def ready_database(config: Config) -> AsyncIterator[Database]:
    """The database, open and with this version's schema."""
    config = prepare(config)
    async with opened_database(config) as database:
        missing = await pending(database)
        if missing and len(missing) < len(database.migrations):
            raise Failure(
                f"the database has an older schema; {', '.join(missing)} must be applied first. "
                "Make a backup, stop the server, then run `fedishare migrate`."
            )
        if missing:
            await prepare_database(database, site_of(config))
        yield database


def translated(error: FedishareError) -> click.ClickException:
    """An error of ours as the one sentence that a person gets."""
    if isinstance(error, Unavailable):
        # Apps are not told what the driver says; whoever sits at the machine is. Drivers break lines.
        text = " ".join(f"{error.message}: {error.__cause__ or ''}".split()).rstrip(".?: ")
        locked = ". Another process is changing it; try again in a moment" if "locked" in text else ""
        return Failure(f"{text}{locked}.")
    return Failure(error.message)
