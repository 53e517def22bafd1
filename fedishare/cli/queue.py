"""The queue and the ledger: what waits, what was given up and why, and who got a post."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click
import msgspec

from fedishare.cli.accounts import BY
from fedishare.cli.options import ID, config_option, confirm, json_option, with_database, yes_option
from fedishare.cli.output import (
    Column,
    Failure,
    Progress,
    clean,
    distance,
    facts,
    moment,
    plural,
    print_json,
    styled,
    table,
)
from fedishare.config import Config
from fedishare.model.errors import NotFound
from fedishare.model.ids import Id
from fedishare.store import activities, jobs, partners, posts
from fedishare.store.db import Database, Tx
from fedishare.store.jobs import JobRow, JobState

STATES = [s.name.lower() for s in JobState]
OPEN = (JobState.QUEUED, JobState.RUNNING, JobState.HELD, JobState.DEAD)
"""What lists show when no state is asked for: all that may still want something."""
BATCH = 200


@click.group()
def queue() -> None:
    """Look at the work that waits, try it again, drop it or hold it."""


@queue.command("list")
@click.option("--state", type=click.Choice(STATES), help="Only these; without it: all that is not settled.")
@click.option("--host", default="", help="Only what goes there.")
@click.option("--after", type=ID, help="Go on after this id.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="So many at most.")
@config_option
@json_option
def list_jobs(config: Config, state: str | None, host: str, after: Id | None, limit: int, as_json: bool) -> None:
    """List jobs: queued, running, held and dead ones, unless a state is named.

    \b
    Example:
      fedishare queue list --state dead --host lab.example
    """
    wanted = OPEN if state is None else (JobState[state.upper()],)

    def read(tx: Tx) -> tuple[list[JobRow], dict[tuple[str, JobState], int]]:
        rows = [r for s in wanted for r in jobs.listing(tx, state=s, host=host, after=after or 0, limit=limit + 1)]
        return sorted(rows, key=lambda r: r.id), jobs.counts(tx)

    rows, counts = with_database(config, lambda database: database.read(read))
    more, rows = len(rows) > limit, rows[:limit]
    if as_json:
        print_json([_values(row) for row in rows])
        return
    totals = {s: sum(n for (_, each), n in counts.items() if each is s) for s in JobState}
    click.echo(styled("  ".join(f"{s.name.lower()} {totals[s]}" for s in JobState), dim=True) + "\n")
    now = int(time.time() * 1000)
    table(
        ["ID", "STATE", "KIND", "TO", Column("TRIES", "right"), "DUE", "LAST ERROR"],
        [(r.id, r.state.name.lower(), r.kind, r.host, r.attempts, _due(r, now), _why(r)) for r in rows],
        empty="There is nothing.",
    )
    if more:
        click.echo(styled(f"There are more; go on with --after {rows[-1].id}", dim=True))


def _due(row: JobRow, now: int) -> str | None:
    if row.finished_at is not None:
        return distance(row.finished_at, now)
    return distance(row.run_at, now) if row.state is JobState.QUEUED else None


def _why(row: JobRow) -> str | None:
    cause = _cause(row)
    return f"{cause} [{row.rule}]" if cause and row.rule else cause


def _cause(row: JobRow) -> str | None:
    return " ".join(filter(None, (f"HTTP {row.status}" if row.status else "", row.last_error))) or None


def _values(row: JobRow) -> dict[str, object]:
    return {
        "id": str(row.id),
        "kind": row.kind,
        "state": row.state.name.lower(),
        "host": row.host,
        "lane": row.lane,
        "attempts": row.attempts,
        "status": row.status,
        "last_error": row.last_error,
        "rule": row.rule,
        "revision": row.revision,
        "created_at": moment(row.created_at),
        "run_at": moment(row.run_at),
        "finished_at": moment(row.finished_at),
    }


@queue.command("show")
@click.argument("ident", type=ID, metavar="ID")
@config_option
@json_option
def show(config: Config, ident: Id, as_json: bool) -> None:
    """Everything about one job, and the document that it sends.

    \b
    Example:
      fedishare queue show 115638612345678901
    """

    def read(tx: Tx) -> tuple[JobRow, activities.OutgoingDocument | None]:
        row = jobs.get(tx, ident)
        if row is None:
            raise NotFound(f"there is no job {ident}; done ones are forgotten after a while")
        return row, activities.document(tx, row.document_id) if row.document_id else None

    row, document = with_database(config, lambda database: database.read(read))
    values = {**_values(row), "payload": _json(row.payload), "document": _json(document.body) if document else None}
    if as_json:
        print_json(values)
        return
    facts((name.replace("_", " "), value) for name, value in values.items() if name not in ("payload", "document"))
    for name in ("payload", "document"):
        if values[name] is not None:
            click.echo(f"\n{styled(name, dim=True)}")
            click.echo(clean(msgspec.json.format(msgspec.json.encode(values[name]), indent=2).decode(), lines=True))


def _json(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _chosen_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which jobs: by id, by host, or all of the command's states."""
    for option in (
        click.argument("idents", type=ID, nargs=-1, metavar="[ID]..."),
        click.option("--host", default="", help="Everything that goes there."),
        click.option("--all", "everything", is_flag=True, help="Everything that it applies to."),
    ):
        command = option(command)
    return command


def _move(
    config: Config, idents: Sequence[Id], host: str, everything: bool, *, to: JobState, sources: tuple[JobState, ...],
    verb: str, reason: str | None = None, question: str | None = None, yes: bool = True,
) -> None:  # fmt: skip
    """Move the chosen jobs to another state, some hundred in each transaction. Ids that do not fit are an error."""
    if bool(idents) + bool(host) + everything != 1:
        raise click.UsageError("name jobs by ID, or --host HOST, or --all: exactly one of these")

    async def work(database: Database) -> int:
        chosen = list(idents) or await _ids_of(database, host, sources)
        if question and not idents and chosen:
            confirm(question.format(plural(len(chosen), "job")), yes=yes)
        moved = 0
        with Progress(verb) as progress:
            for start in range(0, len(chosen), BATCH):
                moved += await database.write(change, chosen[start : start + BATCH])
                progress(start + BATCH, len(chosen))
        return moved

    def change(tx: Tx, batch: Sequence[Id]) -> int:
        moved = sum(jobs.move(tx, ident, to, sources, reason) for ident in batch)
        if host and to is JobState.QUEUED:
            jobs.put_peer(tx, host, jobs.peer(tx, host).heard_from())  # try now, not when the circuit would
        if moved:
            named = f"{host or 'all'}" if not idents else ", ".join(str(i) for i in batch)
            partners.audit(tx, BY, f"queue.{to.name.lower()}", named[:200], f"{moved}")
        return moved

    moved = with_database(config, work)
    if moved < len(idents):
        names = "/".join(s.name.lower() for s in sources)
        raise Failure(f"{verb} {moved} of {plural(len(idents), 'job')}; the others are not {names}, or there are none.")
    click.echo(f"{verb} {plural(moved, 'job')}.")


async def _ids_of(database: Database, host: str, sources: Iterable[JobState]) -> list[Id]:
    found: list[Id] = []
    for state in sources:
        after = 0
        while rows := await database.read(jobs.listing, state=state, host=host, after=after, limit=1000):
            found += [row.id for row in rows]
            after = rows[-1].id
    return found


@queue.command("retry")
@_chosen_options
@config_option
def retry(config: Config, idents: tuple[Id, ...], host: str, everything: bool) -> None:
    """Try queued, held and dead jobs now.

    \b
    Examples:
      fedishare queue retry 115638612345678901
      fedishare queue retry --host lab.example
    """
    sources = (JobState.QUEUED, JobState.HELD, JobState.DEAD)
    _move(config, idents, host, everything, to=JobState.QUEUED, sources=sources, verb="Due now:")


@queue.command("drop")
@_chosen_options
@click.option("--reason", default="dropped by an operator", show_default=True, help="For the ledger.")
@yes_option
@config_option
def drop(config: Config, idents: tuple[Id, ...], host: str, everything: bool, reason: str, yes: bool) -> None:
    """Give queued, held and dead jobs up for good. The ledger keeps them, with the reason.

    \b
    Example:
      fedishare queue drop --host gone.example --reason "the partner's server is gone"
    """
    sources = (JobState.QUEUED, JobState.HELD, JobState.DEAD)
    _move(
        config, idents, host, everything, to=JobState.CANCELLED, sources=sources, verb="Dropped", reason=reason,
        question="Drop {} for good?", yes=yes,
    )  # fmt: skip


@queue.command("hold")
@_chosen_options
@config_option
def hold(config: Config, idents: tuple[Id, ...], host: str, everything: bool) -> None:
    """Keep queued jobs until `queue retry` or `queue drop`.

    \b
    Example:
      fedishare queue hold --host lab.example
    """
    _move(
        config, idents, host, everything, to=JobState.HELD, sources=(JobState.QUEUED,), verb="Held",
        reason="held by an operator",
    )  # fmt: skip


@click.command()
@click.argument("post", metavar="POST_ID")
@config_option
@json_option
def deliveries(config: Config, post: str, as_json: bool) -> None:
    """Who got a post, who did not, and why. POST_ID is its number, or its address.

    \b
    Example:
      fedishare deliveries 115638612345678901
    """

    def read(tx: Tx) -> tuple[Id, list[JobRow], str]:
        ident = _post_id(tx, post)
        found = posts.by_id(tx, ident)
        rows = jobs.of_post(tx, ident)
        if found is None and not rows:
            raise NotFound(f"there is no post {post}, and the ledger has nothing of it")
        return ident, rows, found.reach.encode() if found else "deleted"

    ident, rows, reach = with_database(config, lambda database: database.read(read))
    if as_json:
        print_json({"post": str(ident), "reach": reach, "deliveries": [_values(row) for row in rows]})
        return
    click.echo(f"Post {ident}, reach: {reach}\n")
    now = int(time.time() * 1000)
    table(
        ["TO", "STATE", Column("TRIES", "right"), "WHEN", "RULE", Column("REVISION", "right"), "WHY"],
        [
            (
                row.host, row.state.name.lower(), row.attempts, distance(row.finished_at or row.run_at, now), row.rule,
                row.revision, _cause(row),
            )
            for row in rows
        ],
        empty="It was not delivered to anybody.",
    )  # fmt: skip


def _post_id(tx: Tx, text: str) -> Id:
    if text.isascii() and text.isdigit() and int(text) < 2**63:
        return Id(int(text))
    found = posts.by_iri(tx, text)
    if found is None:
        raise NotFound(f"there is no post {text}; its number or its address was expected")
    return found.id
