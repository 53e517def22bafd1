"""Policy: who, what, to whom → verdict, rule, reason, before anything is sent or received.

Asks the very function that the server's guard asks, about the partners of instance.toml and of the database.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import click
import msgspec

from fedishare.app import site_of
from fedishare.cli.options import config_option, json_option, with_database
from fedishare.cli.output import Column, facts, moment, plural, print_json, styled, table
from fedishare.config import Config
from fedishare.config.reading import Report, read_table
from fedishare.instance import policy_of, read_partners
from fedishare.model.errors import BadInput
from fedishare.model.ids import Domain, Millis, parse_domain
from fedishare.model.posts import LOCAL, PARTNERS, Reach, Visibility
from fedishare.policy.decide import Decision, decide
from fedishare.policy.facts import Facts, Purpose, Question, Verdict
from fedishare.policy.rules import Policy

QUESTIONS = [q.value for q in Question]
PURPOSES = [p.value for p in Purpose if p is not Purpose.DELIVERY]
WORDS = [v.word for v in Visibility]
LARGEST_FILE = 4 * 1024 * 1024


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One [[case]]: what is asked, and what the answer must be."""

    domain: str
    question: Literal["connect", "receive", "fetch", "deliver"]
    expect: Literal["allow", "hold", "deny"]
    rule: str | None = None
    name: str = ""
    activity: str = "Create"
    object: str | None = None
    visibility: Literal["public", "unlisted", "private", "direct"] = "public"
    reach: str | Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = "partners"
    media: bool = False
    public: bool = False
    purpose: str = "actor"
    at: str | None = None


@click.group()
def policy() -> None:
    """Ask the policy, and test what it answers."""


@policy.command("explain")
@click.option("--domain", required=True, help="The host that is asked about.")
@click.option(
    "--question",
    type=click.Choice(QUESTIONS),
    default="deliver",
    show_default=True,
    help="connect: may it make a request at all? receive: may this of theirs come in? fetch: may we read there? "
    "deliver: may this of ours go there?",
)
@click.option("--activity", default="Create", show_default=True, help="The activity's type.")
@click.option("--object", "object_type", help="The object's type; Note for posts.")
@click.option("--visibility", type=click.Choice(WORDS), default="public", show_default=True, help="The post's.")
@click.option("--reach", default="partners", show_default=True, help="local, partners, or domains with commas.")
@click.option("--media", is_flag=True, help="It has attachments.")
@click.option("--public", is_flag=True, help="The outgoing document names as:Public.")
@click.option("--purpose", type=click.Choice(PURPOSES), default="actor", show_default=True, help="For fetch: what.")
@click.option("--at", metavar="DATE", help="Ask as of another time; now without it.")
@config_option
@json_option
def explain(config: Config, as_json: bool, object_type: str | None, **given: Any) -> None:
    """Who, what, to whom: the verdict, the rule that made it, and why. Exit code 1 unless it is allowed.

    \b
    Examples:
      fedishare policy explain --domain lab.example --visibility private --media
      fedishare policy explain --domain lab.example --question receive --activity Follow
      fedishare policy explain --domain stranger.example --question connect
    """
    asked = Case(**given, object=object_type, expect="allow")
    try:
        about = facts_of(asked, config)
    except BadInput as error:
        raise click.UsageError(str(error)) from error
    compiled = load_policy(config)
    decision = decide(compiled, about)
    if as_json:
        print_json({**_asked(about), **_answered(decision)})
    else:
        facts(
            [
                ("asked", _in_words(about)),
                ("verdict", decision.verdict.word),
                ("rule", decision.rule),
                ("reason", decision.reason),
                ("partner", _whose(decision)),
                ("revision", decision.revision),
            ]
        )
    if not decision.allowed:
        raise click.exceptions.Exit(1)


def _whose(decision: Decision) -> str | None:
    if decision.partner is None:
        return None
    return f"{decision.partner.domain} ({'instance.toml' if decision.partner.source == 'file' else 'database'})"


def facts_of(case: Case, config: Config) -> Facts:
    """What a case asks, as the guard would be asked. Raises `BadInput` naming the key."""
    question = Question(case.question)
    now = Millis(int(time.time() * 1000)) if case.at is None else _instant(case.at)
    if question in (Question.CONNECT, Question.FETCH):
        if question is Question.FETCH and case.purpose not in PURPOSES:
            raise BadInput(
                f"purpose: one of {', '.join(PURPOSES)} was expected, found {case.purpose!r}", path="purpose"
            )
        purpose = Purpose(case.purpose) if question is Question.FETCH else None
        return Facts(question, case.domain, now, purpose=purpose)
    visibility = Visibility.from_word(case.visibility)
    kind = case.object
    if kind is None and case.activity in ("Create", "Update"):
        kind = "Note"
    out = question is Question.DELIVER
    return Facts(
        question=question,
        domain=case.domain,
        now=now,
        activity_type=case.activity,
        object_type=kind,
        visibility=visibility,
        reach=_reach(case.reach, config) if out else None,
        has_media=case.media,
        is_direct=visibility is Visibility.DIRECT,
        public_addressed=case.public and out,
        purpose=Purpose.DELIVERY if out else None,
    )


def _reach(given: str | tuple[str, ...], config: Config) -> Reach:
    if given in ("local", "partners"):
        return LOCAL if given == "local" else PARTNERS
    names = given.split(",") if isinstance(given, str) else given
    return Reach(frozenset(_domain(name, config) for name in names))


def _domain(name: str, config: Config) -> Domain:
    try:
        return parse_domain(name, allow_port=config.development)
    except BadInput as error:
        raise BadInput(f"reach: local, partners or domains were expected; {error}", path="reach") from error


def _instant(text: str) -> Millis:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInput(f"at: a date such as 2027-12-31 was expected, found {text[:40]!r}", path="at") from error
    return Millis(int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000))


def load_policy(config: Config) -> Policy:
    """The policy in force: both sources, as a running server compiles them. Without a database there is one source."""
    path = config.database_url.removeprefix("sqlite:///")
    if config.database_url.startswith("sqlite:///") and not Path(path).exists():
        return policy_of(config, site_of(config), [], 0)
    stored, revision = with_database(config, lambda database: database.read(read_partners))
    return policy_of(config, site_of(config), stored, revision)


def _asked(about: Facts) -> dict[str, object]:
    return {
        "question": about.question.value,
        "domain": about.domain,
        "activity": about.activity_type,
        "object": about.object_type,
        "visibility": about.visibility.word if about.visibility is not None else None,
        "reach": about.reach.encode() if about.reach is not None else None,
        "media": about.has_media,
        "public": about.public_addressed,
        "purpose": about.purpose.value if about.purpose else None,
        "at": moment(about.now),
    }


def _answered(decision: Decision) -> dict[str, object]:
    return {
        "verdict": decision.verdict.word,
        "rule": decision.rule,
        "reason": decision.reason,
        "partner": decision.partner.domain if decision.partner else None,
        "revision": decision.revision,
    }


def _in_words(about: Facts) -> str:
    if about.question is Question.CONNECT:
        return f"may {about.domain} make a request of us?"
    if about.question is Question.FETCH:
        return f"may we read something ({about.purpose}) at {about.domain}?"
    what = " of ".join(filter(None, (about.activity_type, about.object_type)))
    extras = [about.visibility.word if about.visibility is not None else ""]
    extras += [f"reach {about.reach.encode()}" if about.reach is not None else ""]
    extras += ["with attachments" if about.has_media else "", "naming as:Public" if about.public_addressed else ""]
    noted = ", ".join(filter(None, extras))
    if about.question is Question.RECEIVE:
        return f"may {what} ({noted}) of {about.domain} come in?"
    return f"may {what} ({noted}) of ours go to {about.domain}?"


@policy.command("test")
@click.argument("cases", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="CASES.TOML")
@config_option
@json_option
def test(config: Config, cases: Path, as_json: bool) -> None:
    """Ask every [[case]] of a file and compare; exit code 1 when an answer is not the expected one.

    \b
    Example:
      fedishare policy test cases.toml

    \b
    A case has domain, question and expect (allow, hold, deny), and may have rule, name, activity, object,
    visibility, reach, media, public, purpose and at:
      [[case]]
      name = "the lab gets public posts"
      domain = "lab.example"
      question = "deliver"
      visibility = "public"
      expect = "allow"
    """
    found = read_cases(cases)
    try:
        asked = [(case, facts_of(case, config)) for case in found]
    except BadInput as error:
        raise click.UsageError(f"{cases}: {error}") from error
    compiled = load_policy(config)
    results = [(case, about, decide(compiled, about)) for case, about in asked]
    wrong = sum(not _as_expected(case, decision) for case, _, decision in results)
    if as_json:
        print_json(
            [
                {**_asked(about), "name": case.name, "expect": case.expect, "expect_rule": case.rule,
                 **_answered(decision), "ok": _as_expected(case, decision)}
                for case, about, decision in results
            ]
        )  # fmt: skip
    else:
        _table(results)
        verdict = styled("all as expected", "green") if not wrong else styled(f"{wrong} not as expected", "red")
        click.echo(f"\n{plural(len(results), 'case')}, {verdict} (policy revision {compiled.revision})")
    if wrong:
        raise click.exceptions.Exit(1)


def _table(results: list[tuple[Case, Facts, Decision]]) -> None:
    rows = []
    for case, about, decision in results:
        good = _as_expected(case, decision)
        wanted = case.expect + (f" ({case.rule})" if case.rule else "")
        why = "" if good else decision.reason
        rows.append(
            ("✓" if good else "✗", case.name or _in_words(about), wanted, decision.verdict.word, decision.rule, why)
        )
    table([Column(""), "CASE", "EXPECTED", "VERDICT", "RULE", "WHY"], rows, empty="The file has no [[case]].")


def _as_expected(case: Case, decision: Decision) -> bool:
    return decision.verdict is Verdict[case.expect.upper()] and case.rule in (None, decision.rule)


def read_cases(path: Path) -> list[Case]:
    """The cases of a file. Raises `click.UsageError` with every problem (exit code 2)."""
    with path.open("rb") as file:
        raw = file.read(LARGEST_FILE + 1)
    try:
        if len(raw) > LARGEST_FILE:
            raise ValueError(f"the file is larger than {LARGEST_FILE} bytes")
        document = msgspec.toml.decode(raw, type=dict[str, Any])
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"{path} cannot be read as TOML: {error}") from error
    entries = document.pop("case", [])
    report = Report()
    for key in document:
        report.add(key, "unknown key; cases are written as [[case]]")
    if not isinstance(entries, list):
        report.add("case", "[[case]] entries (double brackets) were expected")
        entries = []
    found = [read_table(Case, entry, f"case[{index}]", report) for index, entry in enumerate(entries)]
    if report.problems:
        raise click.UsageError(report.error(path.name).message)
    return found
