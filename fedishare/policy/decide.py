"""Decide: the rules' answers combined to one decision that names its rule. Deny beats hold beats allow.

`decide` never raises: a rule that fails is a denial, and so is silence.
"""

from __future__ import annotations

from dataclasses import dataclass

from fedishare.model.partners import Partner
from fedishare.policy.facts import KEEPS_QUEUE, Facts, Verdict
from fedishare.policy.rules import Matter, Policy, Rule


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided: by which rule, why (a sentence), and under which revision of the policy.

    ``verdict`` is ALLOW, HOLD or DENY, never PASS. ``partner`` is whose terms were read, when there is one.
    """

    verdict: Verdict
    rule: str
    reason: str
    revision: int
    partner: Partner | None = None

    @property
    def allowed(self) -> bool:
        """Whether it may happen now, without a person looking at it."""
        return self.verdict is Verdict.ALLOW

    @property
    def keeps_queue(self) -> bool:
        """Whether a refused delivery waits (paused, switched off) rather than being cancelled."""
        return self.rule in KEEPS_QUEUE


def decide(policy: Policy, facts: Facts) -> Decision:
    """The decision about ``facts``. Never raises, whatever the facts, the partner or a rule contain."""
    try:
        host, partner = policy.find(facts.domain)
        matter = Matter(policy, facts, host, partner)
        best, by = Verdict.PASS, None
        for rule in policy.rules.get(facts.question, ()):
            verdict = rule.answer(matter)
            if verdict is Verdict.PASS:
                continue
            if not isinstance(verdict, Verdict):
                raise TypeError(f"rule {rule.id} answered {verdict!r}")
            if verdict > best:
                best, by = verdict, rule
            if verdict is Verdict.DENY:
                break  # nothing beats it, and rules are sorted, so this is the denial to name
        if by is None:
            return Decision(Verdict.DENY, "no-rule", "no rule allows it", policy.revision, partner)
        return Decision(best, by.id, _sentence(by, matter), policy.revision, partner)
    except Exception as error:
        return Decision(
            Verdict.DENY,
            "broken-rule",
            f"a rule failed, so it is refused: {type(error).__name__}",
            policy.revision if isinstance(policy, Policy) else 0,
        )


def _sentence(rule: Rule, matter: Matter) -> str:
    facts, partner = matter.facts, matter.partner
    sentence = rule.sentence.format(
        host=matter.host or repr(facts.domain[:80]),
        partner=partner.domain if partner else matter.host,
        activity=(facts.activity_type or "unknown")[:80],
        object=(facts.object_type or "unknown")[:80],
        visibility=facts.visibility.word if facts.visibility is not None else "unknown visibility",
    )
    return f"{sentence}: {matter.policy.broken}" if rule.id == "broken-policy" else sentence


def explain(decision: Decision) -> str:
    """One line for people: verdict, rule, reason, revision."""
    return f"{decision.verdict.word}: {decision.reason} [rule {decision.rule}, policy revision {decision.revision}]"
