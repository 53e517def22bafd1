"""Terms on the command line: the options of `partner add` and `partner set`, and a partner in words.

Options are checked by the very code that checks instance.toml, so that both know the same partners.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from fedishare.cli.output import moment
from fedishare.config import Config, PartnerEntry
from fedishare.config.reading import Report
from fedishare.config.terms import check_partners
from fedishare.model.ids import Millis
from fedishare.model.partners import ACTIVITY_TYPES, OBJECT_TYPES, Direction, Partner, PartnerState
from fedishare.model.posts import PARTNERS, Reach, Visibility
from fedishare.policy.decide import Decision, decide
from fedishare.policy.facts import Facts, Purpose, Question
from fedishare.policy.rules import Policy

F = TypeVar("F", bound=Callable[..., Any])

ALL, NONE, NEVER = "all", "none", "never"
WORDS = [v.word for v in Visibility]
_OPTION_OF = {
    "hosts": "--host", "activity_types": "--activity-type", "object_types": "--object-type", "networks": "--network",
    "expires_at": "--expires", "review_at": "--review", "domain": "DOMAIN",
}  # fmt: skip


def terms_options(command: F) -> F:
    """Every option of the terms; those not given are None (or empty), so that `set` changes only what is given."""
    many = click.option
    options = [
        click.option("--direction", type=click.Choice([d.value for d in Direction]),
                     help="Which way posts go: in (theirs to us), out (ours to them), both."),
        many("--activity-type", "activity_types", multiple=True, metavar="TYPE",
             help="An activity that is exchanged; again for more. all: every known one; none: answers only."),
        many("--object-type", "object_types", multiple=True, metavar="TYPE",
             help="A kind of post that is exchanged; again for more. all: every known one."),
        click.option("--ceiling-in", type=click.Choice(WORDS), help="The widest visibility taken from them."),
        click.option("--ceiling-out", type=click.Choice(WORDS), help="The widest visibility sent to them."),
        click.option("--media/--no-media", default=None, help="Posts with attachments."),
        click.option("--direct-messages/--no-direct-messages", default=None, help="Posts to named people."),
        click.option("--public-addressing/--no-public-addressing", default=None,
                     help="Documents that name as:Public, which their server may show to anybody."),
        click.option("--include-subdomains/--no-include-subdomains", default=None, help="Every sub-domain, too."),
        many("--host", "hosts", multiple=True, metavar="DOMAIN",
             help="A further host of a split domain; again for more. none: no other."),
        many("--network", "networks", multiple=True, metavar="CIDR",
             help="A network that this partner alone may resolve to although it is not globally routable; again for "
             "more. none: no such network."),
        click.option("--ca-bundle", metavar="FILE", help="PEM file with the CA that signs their certificate."),
        click.option("--client-cert", metavar="FILE", help="PEM file with certificate and key that we show them."),
        click.option("--pinned-key", metavar="sha256/…", help="The public key (SPKI) that their server must have."),
        click.option("--rate", type=click.IntRange(1, 1_000_000_000), help="Requests a minute taken from them."),
        click.option("--owner", help="Who answers for this partnership."),
        click.option("--ticket", help="Where it was decided."),
        click.option("--expires", "expires_at", metavar="DATE", help="When the terms end. never: they do not."),
        click.option("--review", "review_at", metavar="DATE", help="When to look at the terms again. never: not set."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def entry_from(given: Mapping[str, Any], base: PartnerEntry) -> PartnerEntry:
    """``base`` with the options that were given; ``all``, ``none`` and ``never`` take a limit away."""
    changes: dict[str, Any] = {}
    for name, value in given.items():
        if value is None or value == ():
            continue
        if name in ("activity_types", "object_types"):
            changes[name] = None if ALL in value else () if value == (NONE,) else value
        elif name in ("hosts", "networks"):
            changes[name] = () if value == (NONE,) else value
        elif name in ("expires_at", "review_at"):
            changes[name] = None if value == NEVER else value
        elif name in ("ca_bundle", "client_cert"):
            changes[name] = None if value == NONE else str(Path(value).absolute())
        elif name == "pinned_key":
            changes[name] = None if value == NONE else value
        else:
            changes[name] = value
    return msgspec.structs.replace(base, **changes)


def entry_of(partner: Partner) -> PartnerEntry:
    """A partner as an entry of instance.toml would state it."""
    terms = partner.terms
    return PartnerEntry(
        domain=partner.domain,
        hosts=partner.hosts,
        state=partner.state.value,
        direction=terms.direction.value,
        activity_types=None if terms.activity_types is None else tuple(sorted(terms.activity_types)),
        object_types=None if terms.object_types is None else tuple(sorted(terms.object_types)),
        ceiling_in=terms.ceiling_in.word,  # type: ignore[arg-type]
        ceiling_out=terms.ceiling_out.word,  # type: ignore[arg-type]
        media=terms.media,
        direct_messages=terms.direct_messages,
        public_addressing=terms.public_addressing,
        include_subdomains=terms.include_subdomains,
        networks=terms.networks,
        ca_bundle=terms.ca_bundle,
        client_cert=terms.client_cert,
        pinned_key=terms.pinned_key,
        rate=terms.rate,
        owner=partner.owner,
        reason=partner.reason,
        ticket=partner.ticket,
        expires_at=moment(partner.expires_at),
        review_at=moment(partner.review_at),
    )


def checked(entry: PartnerEntry, config: Config) -> Partner:
    """The entry as a partner for the database. Raises `click.UsageError` (exit code 2) naming every option."""
    report = Report()
    own = frozenset(config.own_hosts)
    made = check_partners((entry,), own, Path.cwd(), report, development=config.development)
    if report.problems:
        raise click.UsageError("\n  ".join(f"{_option(path)}: {sentence}" for path, sentence in report.problems))
    return replace(made[0], source="database")


def _option(path: str) -> str:
    name = path.partition("].")[2].partition("[")[0]
    return _OPTION_OF.get(name) or "--" + name.replace("_", "-")


def values_of(partner: Partner) -> dict[str, object]:
    """A partner for JSON: the keys of instance.toml, and where it comes from."""
    return {**msgspec.structs.asdict(entry_of(partner)), "source": partner.source}


def terms_in_words(partner: Partner) -> list[tuple[str, object]]:
    """A partner for people, in the order in which one asks."""
    terms = partner.terms
    ways = {
        Direction.BOTH: "both ways",
        Direction.IN: "in: theirs to us, nothing of ours to them",
        Direction.OUT: "out: ours to them, nothing of theirs to us",
    }
    return [
        ("domain", partner.domain),
        ("further hosts", ", ".join(partner.hosts)),
        ("sub-domains", "included" if terms.include_subdomains else None),
        ("state", partner.state.value),
        ("posts go", ways[terms.direction]),
        ("activities", _types(terms.activity_types, ACTIVITY_TYPES)),
        ("kinds of posts", _types(terms.object_types, OBJECT_TYPES)),
        ("widest visibility", f"in: {terms.ceiling_in.word}, out: {terms.ceiling_out.word}"),
        ("attachments", "yes" if terms.media else "no"),
        ("direct messages", "yes" if terms.direct_messages else "no"),
        ("as:Public", "yes" if terms.public_addressing else "no"),
        ("networks", ", ".join(terms.networks)),
        ("CA bundle", terms.ca_bundle),
        ("client certificate", terms.client_cert),
        ("pinned key", terms.pinned_key),
        ("requests a minute", terms.rate),
        ("expires", moment(partner.expires_at) or "never"),
        ("review", moment(partner.review_at)),
        ("owner", partner.owner),
        ("reason", partner.reason),
        ("ticket", partner.ticket),
        ("source", "instance.toml" if partner.source == "file" else "database"),
    ]


def _types(chosen: frozenset[str] | None, known: frozenset[str]) -> str:
    if chosen is None or chosen == known:
        return "every known one"
    return ", ".join(sorted(chosen)) or "none"


@dataclass(frozen=True, slots=True)
class Consequence:
    """One thing that people ask about a partner, and what the policy answers."""

    question: str
    decision: Decision


def consequences(policy: Policy, partner: Partner, now: Millis) -> list[Consequence]:
    """What the policy now allows with a partner, by asking it."""
    host = partner.domain
    post: dict[str, Any] = {"activity_type": "Create", "object_type": "Note", "visibility": partner.terms.ceiling_in}
    ours: dict[str, Any] = {**post, "visibility": partner.terms.ceiling_out, "reach": PARTNERS}
    here, out = partner.terms.ceiling_in.word, partner.terms.ceiling_out.word
    asked = [
        ("their server may talk to ours", Facts(Question.CONNECT, host, now)),
        ("our people may look theirs up", Facts(Question.FETCH, host, now, purpose=Purpose.WEBFINGER)),
        ("our people may follow theirs", Facts(Question.DELIVER, host, now, activity_type="Follow")),
        ("their people may follow ours", Facts(Question.RECEIVE, host, now, activity_type="Follow")),
        (f"their posts come in (up to {here})", Facts(Question.RECEIVE, host, now, **post)),
        (f"our posts go out (up to {out}, when their reach includes them)", Facts(Question.DELIVER, host, now, **ours)),
        (
            "direct messages come in",
            Facts(Question.RECEIVE, host, now, **{**post, "visibility": Visibility.DIRECT, "is_direct": True}),
        ),
        (
            "direct messages go out",
            Facts(Question.DELIVER, host, now, **{**ours, "visibility": Visibility.DIRECT, "is_direct": True,
                                                  "reach": Reach(frozenset({host}))}),
        ),
        ("attachments come in", Facts(Question.RECEIVE, host, now, **post, has_media=True)),
        ("our documents may name as:Public", Facts(Question.DELIVER, host, now, **ours, public_addressed=True)),
    ]  # fmt: skip
    return [Consequence(question, decide(policy, about)) for question, about in asked]


def is_over(partner: Partner, now: int) -> bool:
    """Whether an active partner's terms have run out."""
    return partner.state is PartnerState.ACTIVE and partner.expires_at is not None and partner.expires_at <= now
