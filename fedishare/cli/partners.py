"""Partners: who we exchange what with. Those of instance.toml are shown here and changed there."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import click

from fedishare.app import site_of
from fedishare.cli.accounts import BY
from fedishare.cli.options import config_option, confirm, domain_of, json_option, with_database, yes_option
from fedishare.cli.output import Failure, distance, facts, mark, moment, plural, print_json, styled, table
from fedishare.cli.terms import (
    Consequence,
    checked,
    consequences,
    entry_from,
    entry_of,
    is_over,
    terms_in_words,
    terms_options,
    values_of,
)
from fedishare.config import Config, PartnerEntry, partners_from
from fedishare.instance import policy_of, read_partners
from fedishare.model.errors import Conflict
from fedishare.model.ids import Domain, Millis
from fedishare.model.partners import Direction, Partner, PartnerState
from fedishare.policy.rules import Policy
from fedishare.services import governance
from fedishare.store import jobs, partners
from fedishare.store.db import Database, Tx

SOON = 30 * 86400_000
"""Milliseconds before the end of terms from which on lists say so."""


@click.group()
def partner() -> None:
    """The allow-list: add, change, pause and end partners. No partner, no federation."""


@partner.command("add")
@click.argument("domain")
@click.option("--reason", required=True, help="Who wants to share what with them, and why.")
@click.option("--state", type=click.Choice(["proposed", "active"]), help="proposed: noted, nothing is exchanged yet.")
@terms_options
@config_option
@json_option
def add(config: Config, as_json: bool, domain: str, **given: Any) -> None:
    """Agree with a new partner. Both sides have to list each other.

    \b
    Examples:
      fedishare partner add lab.example --reason "joint study on thorax imaging" --expires 2027-12-31
      fedishare partner add lab.example --reason pilot --direction in --network 10.20.0.0/16 --ca-bundle lab-ca.pem
    """
    wanted = checked(entry_from(given, PartnerEntry(domain=domain)), config)
    _not_in_file(config, wanted.names, "change its terms there")

    async def work(database: Database) -> Policy:
        await database.read(governance.check_alone, wanted)
        await database.write(governance.add_partner, wanted, BY)
        return await _policy(database, config)

    policy = with_database(config, work)
    _tell(config, policy, wanted, "Added", as_json=as_json)


@partner.command("set")
@click.argument("domain")
@click.option("--reason", help="Why the partnership exists.")
@click.option("--state", type=click.Choice(["proposed", "active", "paused"]), help="active approves a proposed one.")
@terms_options
@config_option
@json_option
def set_terms(config: Config, as_json: bool, domain: str, **given: Any) -> None:
    """Change a partner's terms; what is not named stays. `all`, `none` and `never` take a limit away.

    \b
    Examples:
      fedishare partner set lab.example --no-media --ceiling-out unlisted
      fedishare partner set lab.example --expires never --network none
    """
    if all(value is None or value == () for value in given.values()):
        raise click.UsageError("nothing to change was named; `fedishare partner set --help` lists the options")
    name = domain_of(config, domain, "'DOMAIN'")
    _not_in_file(config, (name,), "change its terms there")

    async def work(database: Database) -> tuple[Partner, Policy]:
        known = await database.read(governance.stored, name)
        wanted = replace(checked(entry_from(given, entry_of(known)), config), created_at=known.created_at)
        _not_in_file(config, wanted.names, "change its terms there")
        await database.read(governance.check_alone, wanted)
        await database.write(governance.change_partner, wanted, BY)
        return wanted, await _policy(database, config)

    changed, policy = with_database(config, work)
    _tell(config, policy, changed, "Changed", as_json=as_json)


def _not_in_file(config: Config, names: tuple[Domain, ...], what: str) -> None:
    """Partners of instance.toml are read-only here."""
    for index, known in enumerate(partners_from(config)):
        if set(known.names) & set(names):
            raise Failure(
                f"{known.domain} stands in {config.path} (federation.partners[{index}]); {what} and restart the server."
            )


async def _policy(database: Database, config: Config) -> Policy:
    stored, revision = await database.read(read_partners)
    return policy_of(config, site_of(config), stored, revision)


def _tell(config: Config, policy: Policy, found: Partner, verb: str, *, as_json: bool) -> None:
    """What was agreed, what the policy makes of it, and what is left to do at the other side."""
    answers = consequences(policy, found, _now())
    if as_json:
        print_json({**values_of(found), "revision": policy.revision, "allows": _allows(answers)})
        return
    click.echo(f"{verb} {styled(found.domain, bold=True)} (policy revision {policy.revision}).\n")
    facts(terms_in_words(found))
    _tell_answers(answers)
    for problem in policy.problems:
        if found.domain in problem:
            click.echo(f"{styled('Warning:', 'yellow', bold=True)} {problem}", err=True)
    if not config.federation.enabled:
        click.echo(f"{styled('Warning:', 'yellow', bold=True)} [federation] enabled is false: nothing moves.", err=True)
    if found.state is PartnerState.ACTIVE:
        _other_side(config, found)


def _tell_answers(answers: list[Consequence]) -> None:
    click.echo("\nWhat the policy now allows:")
    for answer in answers:
        why = "" if answer.decision.allowed else styled(f"  [{answer.decision.rule}]", dim=True)
        click.echo(f"  {mark(answer.decision.allowed)} {answer.question}{why}")


def _other_side(config: Config, found: Partner) -> None:
    """Half of a partnership is the other side's."""
    ours = [config.domain] + ([f"with the further host {config.host}"] if config.host != config.domain else [])
    way = {Direction.IN: " --direction out", Direction.OUT: " --direction in", Direction.BOTH: ""}[
        found.terms.direction
    ]
    host = f" --host {config.host}" if config.host != config.domain else ""
    click.echo(f"\nAt {found.domain} somebody has to list {' '.join(ours)}, or their server refuses us:")
    click.echo(f"  fedishare partner add {config.domain} --reason REASON{way}{host}")
    click.echo("A running server here obeys within 5 seconds.")


def _allows(answers: list[Consequence]) -> list[dict[str, object]]:
    return [
        {
            "question": a.question,
            "verdict": a.decision.verdict.word,
            "rule": a.decision.rule,
            "reason": a.decision.reason,
        }
        for a in answers
    ]


@partner.command("list")
@click.option("--state", type=click.Choice([s.value for s in PartnerState]), help="Only these.")
@config_option
@json_option
def list_partners(config: Config, state: str | None, as_json: bool) -> None:
    """List the partners of instance.toml and of the database.

    \b
    Example:
      fedishare partner list --state active
    """
    policy = with_database(config, lambda database: _policy(database, config))
    found = [p for p in policy.partners if state is None or p.state.value == state]
    now = _now()
    if as_json:
        print_json([{**values_of(p), "in_force": policy.index.get(p.domain) is p} for p in found])
        return
    table(
        ["DOMAIN", "STATE", "DIRECTION", "EXPIRES", "REVIEW", "SOURCE", "OWNER", "REASON"],
        [
            (
                p.domain, "expired" if is_over(p, now) else p.state.value, p.terms.direction.value,
                _day(p.expires_at, now), _day(p.review_at, now),
                "instance.toml" if p.source == "file" else "database", p.owner, p.reason,
            )
            for p in found
        ],
        empty="There are no partners, so nothing is federated. `fedishare partner add` adds one.",
    )  # fmt: skip
    for problem in policy.problems:
        click.echo(f"{styled('Warning:', 'yellow', bold=True)} {problem}", err=True)


def _day(millis: Millis | None, now: int) -> str | None:
    if millis is None:
        return None
    day = (moment(millis) or "")[:10]
    return f"{day} ({distance(millis, now)})" if millis < now + SOON else day


@partner.command("show")
@click.argument("domain")
@config_option
@json_option
def show(config: Config, domain: str, as_json: bool) -> None:
    """A partner's terms, what the policy makes of them, its queue, and the last decisions.

    \b
    Example:
      fedishare partner show lab.example
    """
    name = domain_of(config, domain, "'DOMAIN'")

    async def work(database: Database) -> tuple[Policy, Mapping[str, int], list[tuple[Any, ...]], str | None]:
        policy = await _policy(database, config)
        counts, decisions, trouble = await database.read(_about, name, _find(policy, name))
        return policy, counts, decisions, trouble

    policy, counts, decisions, trouble = with_database(config, work)
    found = _find(policy, name)
    if found is None:
        raise Failure(f"{name} is no partner; `fedishare partner list` shows all.")
    answers = consequences(policy, found, _now())
    if as_json:
        log = [
            {"question": r[1], "verdict": r[3], "rule": r[4], "reason": r[5], "times": r[7], "last_at": moment(r[8])}
            for r in decisions
        ]
        print_json(
            {**values_of(found), "allows": _allows(answers), "queue": counts, "trouble": trouble, "decisions": log}
        )
        return
    facts([*terms_in_words(found), ("since", moment(found.created_at) if found.created_at else None)])
    _tell_answers(answers)
    click.echo(f"\nDeliveries: {', '.join(f'{number} {state}' for state, number in counts.items()) or 'none so far'}")
    if trouble:
        click.echo(f"{styled('Trouble:', 'yellow', bold=True)} {trouble}")
    if decisions:
        click.echo("\nDecisions:")
        now = _now()
        table(
            ["LAST", "TIMES", "QUESTION", "VERDICT", "RULE", "REASON"],
            [(distance(r[8], now), r[7], r[1], r[3], r[4], r[5]) for r in decisions],
            empty="",
        )


def _find(policy: Policy, name: Domain) -> Partner | None:
    return next((p for p in policy.partners if name in p.names), None)


def _about(tx: Tx, name: Domain, found: Partner | None) -> tuple[Mapping[str, int], list[tuple[Any, ...]], str | None]:
    """Deliveries by state, the last decisions, and what is wrong with its server."""
    names = set(found.names) if found else {name}
    counts: dict[str, int] = {}
    for host, state, number, *_ in jobs.counts_by_host(tx):
        if host in names:
            counts[state.name.lower()] = counts.get(state.name.lower(), 0) + number
    troubles = [f"{host}: {health.last_error}" for host in sorted(names) if (health := jobs.peer(tx, host)).last_error]
    return counts, partners.decisions(tx, domain=name, limit=10), "; ".join(troubles) or None


def _set_state(config: Config, domain: str, state: PartnerState, what: str) -> int:
    name = domain_of(config, domain, "'DOMAIN'")
    _not_in_file(config, (name,), what)

    def write(tx: Tx) -> int:
        known = governance.stored(tx, name)
        if known.state is state:
            raise Conflict(f"{name} is {state.value} already")
        if known.state is PartnerState.ENDED:
            raise Conflict(f"the partnership with {name} has ended; `fedishare partner add` begins a new one")
        return governance.set_partner_state(tx, known, state, BY)

    return with_database(config, lambda database: database.write(write))


@partner.command("pause")
@click.argument("domain")
@config_option
def pause(config: Config, domain: str) -> None:
    """Exchange nothing for now. What is queued for the partner waits.

    \b
    Example:
      fedishare partner pause lab.example
    """
    _set_state(config, domain, PartnerState.PAUSED, 'set state = "paused" there')
    click.echo(f"Paused {domain}. Nothing is exchanged; the queue waits. A running server obeys within 5 seconds.")


@partner.command("resume")
@click.argument("domain")
@config_option
def resume(config: Config, domain: str) -> None:
    """Go on with a paused partner.

    \b
    Example:
      fedishare partner resume lab.example
    """
    _set_state(config, domain, PartnerState.ACTIVE, 'set state = "active" there')
    click.echo(f"Resumed {domain}. What was queued goes out, as far as the terms allow it now.")


@partner.command("end")
@click.argument("domain")
@yes_option
@config_option
def end(config: Config, domain: str, yes: bool) -> None:
    """End a partnership: nothing goes in or out any more, and what is queued is cancelled. What is here stays.

    \b
    Example:
      fedishare partner end lab.example --yes
    """
    confirm(f"End the partnership with {domain}? What is queued for it is cancelled.", yes=yes)
    cancelled = _set_state(config, domain, PartnerState.ENDED, "remove the entry there")
    click.echo(f"Ended the partnership with {domain}; {plural(cancelled, 'delivery', 'deliveries')} cancelled.")


def _now() -> Millis:
    return Millis(int(time.time() * 1000))
