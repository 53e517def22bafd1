"""The guard: the only place that asks policy, and the only maker of `Admission` (in) and `Permit` (out).

Whoever takes in an activity needs an `Admission`, and the gateway sends nothing without a `Permit`, so forgetting to
ask fails to type-check, and fails at run time too: the constructors want a key that only this module has. A permit
is good for one host and purpose, for a minute, and for the policy under which it was given: `Guard.replace` makes
every older one worthless at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import InitVar, dataclass, field
from urllib.parse import urlsplit

from fedishare.model.activities import Envelope
from fedishare.model.errors import BadInput, PolicyRefusal
from fedishare.model.ids import Domain, Millis, host_of
from fedishare.model.partners import Partner, is_loopback_host
from fedishare.model.posts import Visibility
from fedishare.policy.decide import Decision, decide
from fedishare.policy.facts import DeliveryFacts, Facts, Purpose, Question, Verdict
from fedishare.policy.rules import PREVIEW_HOST, PUSH_HOST, Policy

HOUR = 3_600_000
PERMIT_LIFETIME = 60_000
"""Milliseconds; above the gateway's total deadline for one request."""
MAX_STRANGERS = 500
"""Distinct counters kept for hosts that are nobody's, between two drains; further ones share ``OTHERS``."""
MAX_COUNTERS = 5_000
"""Distinct counters kept in all."""
MAX_KEPT = 10_000
"""Answers kept for the same question; further ones are made anew."""
OTHERS = "(others)"

_KEY = object()
"""What makes an Admission or a Permit; it must never leave this module."""


@dataclass(frozen=True, slots=True)
class Admission:
    """Proof that an activity was allowed in: whose, by which rule, under which revision. ``size`` is in bytes."""

    partner: Partner
    host: Domain
    envelope: Envelope
    size: int
    rule: str
    revision: int
    key: InitVar[object]

    def __post_init__(self, key: object) -> None:
        _only_here(key, "Admission")


@dataclass(frozen=True, slots=True)
class Permit:
    """Proof that one request to one host was allowed. ``partner`` has the networks, CA bundle, client certificate
    and pinned key that go with it.

    ``development`` lets http and ports through, on loopback hosts. ``generation`` is a mark of the guard's own, another
    one for each policy that it has had.
    """

    purpose: Purpose
    host: Domain
    partner: Partner
    rule: str
    revision: int
    generation: object = field(repr=False)
    valid_until: Millis
    development: bool
    key: InitVar[object]

    def __post_init__(self, key: object) -> None:
        _only_here(key, "Permit")


def _only_here(key: object, name: str) -> None:
    if key is not _KEY:
        raise TypeError(f"only the guard makes a {name}; ask it")


@dataclass(frozen=True, slots=True)
class Held:
    """Taken in (202), but kept for a person to decide."""

    partner: Partner
    reason: str
    rule: str
    revision: int


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing that we know: answered 202 and dropped."""

    reason: str
    rule: str
    revision: int


@dataclass(frozen=True, slots=True)
class DecisionCount:
    """How often one decision was made in one hour. ``hour`` is its first millisecond, ``domain`` the partner's domain
    or the stranger's host; ``reason`` and ``revision`` are those of the last time."""

    hour: Millis
    question: Question
    domain: str
    verdict: Verdict
    rule: str
    reason: str
    revision: int
    times: int
    last_at: Millis


_Counter = tuple[Millis, Question, str, Verdict, str]


@dataclass(slots=True)
class _Tally:
    """One counter while it counts."""

    last: Decision
    times: int
    last_at: Millis


@dataclass(frozen=True, slots=True)
class _Force:
    """The policy in force, its mark, and what it has allowed so far by what was asked.

    Deciding is pure, and the same few questions come a thousand times a second. Refusals are not kept: strangers can
    ask without end.
    """

    policy: Policy
    generation: object = field(default_factory=object)
    allowed: dict[Hashable, Decision] = field(default_factory=dict)

    def decide(self, facts: Facts) -> Decision:
        """The decision about ``facts``."""
        kept = self.allowed.get(facts.timeless)
        if kept is not None:
            return kept
        decision = decide(self.policy, facts)
        partner = decision.partner
        # Terms that expire are the only thing that looks at the clock.
        if decision.allowed and partner is not None and partner.expires_at is None and len(self.allowed) < MAX_KEPT:
            self.allowed[facts.timeless] = decision
        return decision


class Guard:
    """The gate of one instance. Thread-safe; ``clock`` gives milliseconds since 1970."""

    def __init__(self, policy: Policy, *, clock: Callable[[], Millis], development: bool) -> None:
        self._force = _Force(policy)
        self._clock = clock
        self._development = development
        self._counts: dict[_Counter, _Tally] = {}
        self._strangers = 0
        self._lock = threading.Lock()

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self._force.policy

    def replace(self, policy: Policy) -> None:
        """Put another policy in force; permits given under the former one no longer hold. Equal ones change nothing."""
        with self._lock:
            if policy != self._force.policy:
                self._force = _Force(policy)

    def admit_peer(self, host: str) -> Partner:
        """CONNECT: may the peer that signs as ``host`` make a request at all? Raises `PolicyRefusal`.

        Asked before the body is read, a key is looked up or anything is stored.
        """
        decision = self._decide(Facts(Question.CONNECT, host, self._clock()))
        if not decision.allowed or decision.partner is None:
            raise _refusal(decision)
        return decision.partner

    def admit(self, envelope: Envelope, partner: Partner, size: int) -> Admission | Held | Ignored:
        """RECEIVE: may this activity of ``partner`` come in? Raises `PolicyRefusal` when it is refused (403).

        The actor's own host is asked about, so another partner's terms, or nobody's, are never borrowed. A post that
        was fetched for an Announce, a reply or a bare id is asked about like this too, as a Create of its author.
        """
        try:
            host = host_of(envelope.actor, development=self._development)
        except BadInput as error:
            raise PolicyRefusal(f"the activity's actor has no host: {error}", rule="bad-host") from error
        decision = self._decide(
            Facts(
                question=Question.RECEIVE,
                domain=host,
                now=self._clock(),
                activity_type=envelope.type,
                object_type=envelope.object_type,
                visibility=envelope.visibility,
                has_media=envelope.has_media,
                is_direct=envelope.visibility is Visibility.DIRECT,
                size=size,
            )
        )
        if decision.rule == "unknown-type":
            return Ignored(decision.reason, decision.rule, decision.revision)  # spec: R125 — answered 2xx and ignored
        if decision.partner is None or decision.verdict is Verdict.DENY:
            raise _refusal(decision)
        if decision.partner.domain != partner.domain:
            raise PolicyRefusal(
                f"{partner.domain} speaks for an actor at {host}, which belongs to another partner", rule="actor-host"
            )
        if decision.verdict is Verdict.HOLD:
            return Held(decision.partner, decision.reason, decision.rule, decision.revision)
        return Admission(decision.partner, host, envelope, size, decision.rule, decision.revision, key=_KEY)

    def permit_fetch(self, url: str, purpose: Purpose) -> Permit:
        """FETCH: may we read ``url``? Raises `PolicyRefusal`; nothing has been looked up or connected by then."""
        host = self._host(url)
        now = self._clock()
        return self._permit(Facts(Question.FETCH, host, now, purpose=purpose), host, purpose)

    def permit_preview(self, url: str, *, picture: bool = False) -> Permit:
        """FETCH, of a page that a post links to, or of its ``picture``: at a partner whose terms allow that, or at a
        host that the operator has listed for it. Raises `PolicyRefusal`; nothing has been looked up or connected."""
        host = self._host(url)
        facts = Facts(Question.FETCH, host, self._clock(), purpose=Purpose.PREVIEW, has_media=picture)
        return self._permit(facts, host, Purpose.PREVIEW)

    def may_preview(self, host: str) -> bool:
        """Whether a permit for a preview from that host is possible: it is a partner's, or listed for that. Uncounted;
        `permit_preview` decides."""
        return self.policy.find(host)[1] is not None or host in self.policy.previews

    def permit_push(self, url: str) -> Permit:
        """PUSH: may this push service pass an encrypted message on to an app? Raises `PolicyRefusal`."""
        host = self._host(url)
        return self._permit(Facts(Question.PUSH, host, self._clock(), purpose=Purpose.PUSH), host, Purpose.PUSH)

    def permit_deliver(self, url: str, facts: DeliveryFacts) -> Permit:
        """DELIVER: may this of ours go to the inbox ``url``? Raises `PolicyRefusal`, whose ``rule`` says what happens
        to the queue (`fedishare.policy.facts.KEEPS_QUEUE`). Ask at the moment of sending, every time.
        """
        host = self._host(url)
        return self._permit(facts.to_host(host, self._clock()), host, Purpose.DELIVERY)

    def may_read(self, host: str, facts: DeliveryFacts) -> bool:
        """DELIVER, for a document that the peer at ``host`` reads with a signed GET: what may not be sent to it may
        not be read by it either. Counted; the answer to a refusal is the same as for something missing."""
        return self._decide(facts.to_host(host, self._clock())).allowed

    def holds(self, permit: Permit) -> bool:
        """Whether a permit is still good: the policy is the one it was given under, and its minute is not over."""
        return permit.generation is self._force.generation and self._clock() < permit.valid_until

    def covers(self, permit: Permit, url: str) -> bool:
        """Whether a permit is for the host of ``url``; to be asked after every redirect. Never raises."""
        try:
            return self._host(url) == permit.host
        except PolicyRefusal:
            return False

    def same_peer(self, partner: Partner, host: str) -> bool:
        """Whether ``host`` (a key's, an actor's, an activity's) is a host of this partner and of no other."""
        found = self.policy.find(host)[1]
        return found is not None and found.domain == partner.domain

    def explain(self, facts: Facts) -> Decision:
        """What would be decided, without counting it: for ``policy explain``, ``policy test`` and previews."""
        return decide(self.policy, facts)

    def drain_decisions(self) -> list[DecisionCount]:
        """The decisions counted since the last call, oldest hour first; counting starts anew.

        Every denial and hold, and every allowed RECEIVE and DELIVER. A flood of made-up hosts shares one counter.
        """
        with self._lock:
            counts, self._counts, self._strangers = self._counts, {}, 0
        return [
            DecisionCount(*key, tally.last.reason, tally.last.revision, tally.times, tally.last_at)
            for key, tally in sorted(counts.items())
        ]

    def _host(self, url: str) -> Domain:
        """The host of a URL that we may use at all: https, or in development http and ports on loopback hosts."""
        try:
            host = host_of(url, development=self._development)
        except BadInput as error:
            raise PolicyRefusal(str(error), rule="bad-url") from error
        if self._development and (urlsplit(url).scheme == "http" or ":" in host) and not is_loopback_host(host):
            raise PolicyRefusal(
                f"{url[:80]!r} uses http or a port; in development that is for loopback hosts only", rule="bad-url"
            )
        return host

    def _permit(self, facts: Facts, host: Domain, purpose: Purpose) -> Permit:
        force = self._force
        decision = self._decide(facts, force)
        partner = decision.partner
        if partner is None and decision.rule in (PREVIEW_HOST, PUSH_HOST):
            partner = Partner(host)  # nobody's: without networks, certificates or keys of its own
        if not decision.allowed or partner is None:
            raise _refusal(decision)
        until = facts.now + PERMIT_LIFETIME
        return Permit(
            purpose=purpose,
            host=host,
            partner=partner,
            rule=decision.rule,
            revision=decision.revision,
            generation=force.generation,
            valid_until=Millis(until if partner.expires_at is None else min(until, partner.expires_at)),
            development=self._development,
            key=_KEY,
        )

    def _decide(self, facts: Facts, force: _Force | None = None) -> Decision:
        decision = (force or self._force).decide(facts)
        if not decision.allowed or facts.question in (Question.RECEIVE, Question.DELIVER):
            self._count(facts, decision)
        return decision

    def _count(self, facts: Facts, decision: Decision) -> None:
        """Add one to the decision's counter; keys are bounded, so that no flood fills memory or disk."""
        hour = Millis(facts.now - facts.now % HOUR)
        partner = decision.partner
        name = partner.domain if partner is not None else facts.domain[:255]
        key = (hour, facts.question, name, decision.verdict, decision.rule)
        with self._lock:
            seen = self._counts.get(key)
            full = len(self._counts) >= MAX_COUNTERS or (partner is None and self._strangers >= MAX_STRANGERS)
            if seen is None and full:
                # One counter per question, verdict and rule from here on, whatever the hour.
                hour = next(iter(self._counts))[0]
                key = (hour, facts.question, OTHERS, decision.verdict, decision.rule)
                seen = self._counts.get(key)
            elif seen is None and partner is None:
                self._strangers += 1
            if seen is None:
                self._counts[key] = _Tally(decision, 1, facts.now)
            else:
                seen.last, seen.times, seen.last_at = decision, seen.times + 1, facts.now


def _refusal(decision: Decision) -> PolicyRefusal:
    return PolicyRefusal(decision.reason, rule=decision.rule)
