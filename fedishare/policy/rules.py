"""Rules: what may come from a partner and what may go to one, each rule with an id and a sentence.

A rule looks at one `Matter` (policy, facts, partner) and answers DENY, HOLD, ALLOW or PASS (no opinion).
`decide` combines the answers: deny beats hold beats allow, and when all pass it is denied. Everything here is a
value or a pure function of values; nothing reads a clock, a file or a socket.

Direction, from our side of the border:

* ``in``: their posts may come to us. We may send Follow, and read their posts; what they send is taken, apart from
  Follow, which asks for our posts.
* ``out``: our posts may go to them. They may send Follow; we may not, and what else they send is refused.
* ``both``: both.

Answers and withdrawals (Accept, Reject, Undo, Delete, Block) carry ids and nothing to read, and end or settle what
was allowed before, so they may always go either way between us and an active partner.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from fedishare.model.ids import Domain, parse_domain
from fedishare.model.partners import ACTIVITY_TYPES, Direction, Partner, PartnerState
from fedishare.model.posts import Visibility
from fedishare.policy.facts import Facts, Purpose, Question, Verdict

PREVIEW_HOST = "preview-host"
PUSH_HOST = "push-host"
_PARTNERSHIP = frozenset(Question) - {Question.PUSH}
_ABOUT_THEM = frozenset({Purpose.KEY, Purpose.ACTOR, Purpose.WEBFINGER, Purpose.NODEINFO})
"""Reading who they are, which every direction needs (to deliver, one reads the inbox's address)."""


@dataclass(frozen=True, slots=True)
class Matter:
    """What a rule looks at. ``host`` is the normalised domain, None when the facts name no domain at all."""

    policy: Policy
    facts: Facts
    host: Domain | None
    partner: Partner | None


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. ``sentence`` says why, with ``{host}``, ``{partner}``, ``{activity}``, ``{object}``, ``{visibility}``.

    ``rank`` orders the naming of reasons only, never the verdict: of several denials the lowest rank is named.
    """

    id: str
    sentence: str
    answer: Callable[[Matter], Verdict]
    rank: int
    questions: frozenset[Question] = _PARTNERSHIP


@dataclass(frozen=True, slots=True)
class Policy:
    """Who we exchange with, compiled. Made by `compile_policy`; immutable, swapped as a whole."""

    revision: int
    partners: tuple[Partner, ...] = ()
    index: Mapping[str, Partner] = field(default_factory=dict)
    """Every exact host of every partner."""
    ambiguous: frozenset[str] = frozenset()
    """Hosts that several entries claim: nobody gets them."""
    own_hosts: frozenset[str] = frozenset()
    previews: frozenset[str] = frozenset()
    """Hosts that may be asked for previews of links although they are nobody's."""
    pushes: frozenset[str] = frozenset()
    """Push services that may pass notifications on to apps."""
    enabled: bool = False
    development: bool = False
    public_addressing: bool = False
    """The instance allows ``as:Public`` towards every partner."""
    problems: tuple[str, ...] = ()
    """Entries that were left out, each with the reason."""
    broken: str | None = None
    """Why nobody is allowed at all, when the list itself is unusable."""
    rules: Mapping[Question, tuple[Rule, ...]] = field(default_factory=dict)
    """Sorted by rank and id, so the order in which they were given does not matter."""

    def find(self, host: str) -> tuple[Domain | None, Partner | None]:
        """The normalised host and the partner it belongs to. Never raises.

        Exact host first; else the nearest listed parent domain, and only if that entry includes its sub-domains.
        """
        partner = self.index.get(host)
        if partner is not None:
            return Domain(host), partner
        name = normal_host(host, development=self.development)
        if name is None or name in self.ambiguous:
            return name, None
        return name, self.index.get(name) or self._parent(name)

    def _parent(self, name: str) -> Partner | None:
        host, colon, port = name.partition(":")
        while "." in host:
            host = host.partition(".")[2]
            parent = f"{host}{colon}{port}"
            if parent in self.ambiguous:
                return None
            partner = self.index.get(parent)
            if partner is not None:
                covers = partner.terms.include_subdomains and partner.domain == parent
                return partner if covers else None
        return None


def normal_host(host: str, *, development: bool) -> Domain | None:
    """The one spelling of a host, or None when it is none: case, trailing dot, IDNA, the scheme's own port."""
    try:
        name = parse_domain(host.removesuffix(":443"), allow_port=development)
        return Domain(name.removesuffix(":80")) if development else name
    except Exception:
        return None


def _deny_if(condition: Callable[[Matter], bool]) -> Callable[[Matter], Verdict]:
    return lambda matter: Verdict.DENY if condition(matter) else Verdict.PASS


def _terms_deny(condition: Callable[[Partner, Matter], bool]) -> Callable[[Matter], Verdict]:
    """A rule about a partner: no opinion where there is none (``unlisted`` has one)."""

    def answer(matter: Matter) -> Verdict:
        partner = matter.partner
        return Verdict.DENY if partner is not None and condition(partner, matter) else Verdict.PASS

    return answer


def _in_state(state: PartnerState) -> Callable[[Matter], Verdict]:
    return _terms_deny(lambda partner, _: partner.state is state)


def _expired(partner: Partner, matter: Matter) -> bool:
    expires_at = partner.expires_at
    return expires_at is not None and matter.facts.now >= expires_at


def _not_in(partner: Partner, matter: Matter) -> bool:
    """Their posts would come to us, or we would ask for them, although the direction is ``out``."""
    facts = matter.facts
    if partner.terms.direction is not Direction.OUT or facts.is_protocol_answer:
        return False
    if facts.question is Question.FETCH:
        return facts.purpose not in _ABOUT_THEM
    if facts.question is Question.RECEIVE:
        return facts.activity_type != "Follow"
    return facts.activity_type == "Follow"


def _not_out(partner: Partner, matter: Matter) -> bool:
    """Our posts would go to them, or they ask for them, although the direction is ``in``."""
    facts = matter.facts
    if partner.terms.direction is not Direction.IN or facts.is_protocol_answer:
        return False
    if facts.question is Question.RECEIVE:
        return facts.activity_type == "Follow"
    return facts.activity_type != "Follow"


def _activity_type(partner: Partner, matter: Matter) -> bool:
    allowed = partner.terms.activity_types
    return allowed is not None and not matter.facts.is_protocol_answer and matter.facts.activity_type not in allowed


def _object_type(partner: Partner, matter: Matter) -> bool:
    allowed, facts = partner.terms.object_types, matter.facts
    if allowed is None or not facts.carries_post:
        return False
    # A boost names its post by id, or relays a group's activity: what it brings is asked about by itself.
    if facts.activity_type == "Announce" and (facts.object_type is None or facts.object_type in ACTIVITY_TYPES):
        return False
    return facts.object_type not in allowed


def _wider_than(ceiling: Visibility, facts: Facts) -> bool:
    visibility = Visibility.PUBLIC if facts.visibility is None else facts.visibility
    return facts.carries_post and visibility < ceiling


def _direct(partner: Partner, matter: Matter) -> bool:
    facts = matter.facts
    direct = facts.is_direct or facts.visibility is Visibility.DIRECT
    return direct and facts.carries_post and not partner.terms.direct_messages


def _media(partner: Partner, matter: Matter) -> bool:
    facts = matter.facts
    return (facts.has_media or facts.purpose is Purpose.MEDIA) and not partner.terms.media


def _out_of_reach(partner: Partner, matter: Matter) -> bool:
    reach = matter.facts.reach
    if reach is None:
        return matter.facts.carries_post  # unknown is never everybody
    return not reach.allows(partner.domain) and not (matter.host is not None and reach.allows(matter.host))


def _names_public(partner: Partner, matter: Matter) -> bool:
    allowed = matter.policy.public_addressing or partner.terms.public_addressing
    return matter.facts.public_addressed and not allowed


def _previewed(matter: Matter) -> bool:
    """A page of a host that the operator has listed for previews, and that is no partner's."""
    is_preview = matter.facts.question is Question.FETCH and matter.facts.purpose is Purpose.PREVIEW
    return is_preview and matter.partner is None and matter.host in matter.policy.previews


def _allows(matter: Matter) -> Verdict:
    partner = matter.partner
    return Verdict.ALLOW if partner is not None and partner.state is PartnerState.ACTIVE else Verdict.PASS


_IN = frozenset({Question.RECEIVE})
_OUT = frozenset({Question.DELIVER})
_ACTIVITIES = _IN | _OUT

RULES: tuple[Rule, ...] = (
    Rule(
        "broken-policy",
        "the allow-list cannot be used, so nobody is on it",
        _deny_if(lambda m: bool(m.policy.broken)),
        10,
    ),
    Rule(
        "federation-off",
        "federation is switched off ([federation] enabled, or the kill switch)",
        _deny_if(lambda m: not m.policy.enabled),
        20,
    ),
    Rule(
        "own-domain",
        "{host} is this instance itself; it never federates with itself",
        _deny_if(lambda m: m.host in m.policy.own_hosts),
        30,
        frozenset(Question),
    ),
    Rule(
        "ambiguous",
        "{host} is claimed by several partners; leave it in one entry only",
        _deny_if(lambda m: m.host in m.policy.ambiguous),
        40,
    ),
    Rule(
        "bad-host",
        "{host} is not a domain name, so it is on no allow-list",
        _deny_if(lambda m: m.host is None),
        45,
        frozenset(Question),
    ),
    Rule(
        "no-push-host",
        "{host} is no push service that [push] hosts lists",
        _deny_if(lambda m: m.host not in m.policy.pushes),
        55,
        frozenset({Question.PUSH}),
    ),
    Rule(
        "unlisted",
        "{host} is not on the allow-list; a security officer can add it with `fedishare partner add {host}`",
        _deny_if(lambda m: m.partner is None and not _previewed(m)),
        50,
    ),
    Rule(
        "partner-proposed",
        "{partner} is proposed and waits for approval; a security officer can approve it with "
        "`fedishare partner set {partner} --state active`",
        _in_state(PartnerState.PROPOSED),
        60,
    ),
    Rule(
        "partner-paused",
        "{partner} is paused; what is queued for it waits until `fedishare partner resume {partner}`",
        _in_state(PartnerState.PAUSED),
        61,
    ),
    Rule("partner-ended", "the partnership with {partner} has ended", _in_state(PartnerState.ENDED), 62),
    Rule(
        "partner-expired",
        "the terms with {partner} have expired; `fedishare partner set {partner} --expires DATE` renews them",
        _terms_deny(_expired),
        63,
    ),
    Rule(
        "direction-in",
        "the terms with {partner} have direction out: nothing of theirs may come in",
        _terms_deny(_not_in),
        70,
        frozenset({Question.RECEIVE, Question.FETCH, Question.DELIVER}),
    ),
    Rule(
        "direction-out",
        "the terms with {partner} have direction in: nothing of ours may go to them",
        _terms_deny(_not_out),
        71,
        _ACTIVITIES,
    ),
    Rule(
        "activity-type",
        "the terms with {partner} do not name activities of type {activity}",
        _terms_deny(_activity_type),
        80,
        _ACTIVITIES,
    ),
    Rule(
        "object-type",
        "the terms with {partner} do not name objects of type {object}",
        _terms_deny(_object_type),
        81,
        _ACTIVITIES,
    ),
    Rule(
        "ceiling-in",
        "{visibility} is wider than what the terms take from {partner} (ceiling_in)",
        _terms_deny(lambda p, m: _wider_than(p.terms.ceiling_in, m.facts)),
        90,
        _IN,
    ),
    Rule(
        "ceiling-out",
        "{visibility} is wider than what the terms send to {partner} (ceiling_out)",
        _terms_deny(lambda p, m: _wider_than(p.terms.ceiling_out, m.facts)),
        91,
        _OUT,
    ),
    Rule(
        "direct-messages", "the terms with {partner} allow no direct messages", _terms_deny(_direct), 100, _ACTIVITIES
    ),
    Rule("media", "the terms with {partner} allow no media", _terms_deny(_media), 110, _ACTIVITIES | {Question.FETCH}),
    Rule("reach", "the post's reach does not include {partner}", _terms_deny(_out_of_reach), 120, _OUT),
    Rule(
        "public-addressing",
        "the document names as:Public, which the terms with {partner} do not allow; it must be left out",
        _terms_deny(_names_public),
        130,
        _OUT,
    ),
    Rule(
        "unknown-type",
        "activities of type {activity} are not known here",
        _deny_if(lambda m: m.facts.activity_type not in ACTIVITY_TYPES),
        140,
        _ACTIVITIES,
    ),
    Rule("partner", "{partner} is a partner, and its terms allow it", _allows, 1000),
    Rule(
        PREVIEW_HOST,
        "{host} is listed in [web] preview_hosts",
        lambda m: Verdict.ALLOW if _previewed(m) else Verdict.PASS,
        1001,
        frozenset({Question.FETCH}),
    ),
    Rule(
        PUSH_HOST,
        "{host} is listed in [push] hosts",
        lambda m: Verdict.ALLOW if m.host in m.policy.pushes else Verdict.PASS,
        1002,
        frozenset({Question.PUSH}),
    ),
)
"""Every rule of the first version of terms."""


def compile_policy(
    partners: Iterable[Partner],
    *,
    enabled: bool,
    own_hosts: Iterable[str],
    revision: int,
    development: bool = False,
    public_addressing: bool = False,
    previews: Iterable[str] = (),
    pushes: Iterable[str] = (),
    rules: Iterable[Rule] = RULES,
) -> Policy:
    """Make a `Policy`. Never raises: a list that cannot be read is a policy for which there is nobody.

    Entries of instance.toml (``source`` ``file``) stand above entries of the database for the same domain. A host
    that two entries of the same source claim belongs to neither. An entry whose names are no domains is left out.
    """
    own, previewed, pushed = (
        frozenset(h for h in (normal_host(host, development=development) for host in hosts) if h)
        for hosts in (own_hosts, previews, pushes)
    )
    ordered = sorted(rules, key=lambda rule: (rule.rank, rule.id))
    by_question = {q: tuple(rule for rule in ordered if q in rule.questions) for q in Question}
    try:
        entries = sorted(partners, key=lambda p: (p.source != "file", p.domain))
        index, ambiguous, problems = _index(entries, development=development)
    except Exception as error:
        return Policy(
            revision=revision,
            own_hosts=own,
            pushes=pushed,
            enabled=enabled,
            development=development,
            broken=f"the list of partners cannot be read: {error}",
            rules=MappingProxyType(by_question),
        )
    return Policy(
        revision=revision,
        partners=tuple(entries),
        index=MappingProxyType(index),
        ambiguous=ambiguous,
        own_hosts=own,
        enabled=enabled,
        development=development,
        public_addressing=public_addressing,
        previews=previewed,
        pushes=pushed,
        problems=problems,
        rules=MappingProxyType(by_question),
    )


def _index(entries: list[Partner], *, development: bool) -> tuple[dict[str, Partner], frozenset[str], tuple[str, ...]]:
    """Every host to its partner; the hosts that stay with nobody; and what was left out."""
    index: dict[str, Partner] = {}
    ambiguous: set[str] = set()
    problems: list[str] = []
    for partner in entries:
        names = [normal_host(name, development=development) for name in partner.names]
        first = names[0]
        holder = index.get(first) if first else None
        if None in names:
            problems.append(f"partner {partner.domain!r} has a name that is no domain; the entry is left out")
        elif holder is not None and holder.source == "file" != partner.source:
            problems.append(f"partner {partner.domain} of the database is left out: instance.toml has its own entry")
        else:
            _claim(partner, [name for name in names if name], index, ambiguous, problems)
    for host in ambiguous:
        index.pop(host, None)
    return index, frozenset(ambiguous), tuple(problems)


def _claim(
    partner: Partner, names: list[Domain], index: dict[str, Partner], ambiguous: set[str], problems: list[str]
) -> None:
    for name in names:
        holder = index.get(name)
        if holder is None:
            index[name] = partner
        elif holder is not partner and not (holder.source == "file" != partner.source):
            ambiguous.add(name)
            problems.append(f"{name} is claimed by the partners {holder.domain} and {partner.domain}; nobody gets it")
