"""What becomes of a notification: each rule alone, and the strictest of several."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedishare.model.ids import Millis
from fedishare.policy.notifications import DAY, DEFAULT, JUDGED, Rules, SenderFacts, Verdict, judge

NOW = Millis(1000 * DAY)
OPEN = Rules(limited_accounts=Verdict.ACCEPT)
OLD = Millis(NOW - 100 * DAY)
FRIEND = SenderFacts(OLD, followed=True, follower_since=OLD)
FOLLOWER = SenderFacts(OLD, follower_since=OLD)


@pytest.mark.parametrize(
    ("rule", "hit", "spared"),
    [
        ("not_following", FOLLOWER, FRIEND),
        ("not_followers", SenderFacts(OLD), FOLLOWER),
        ("not_followers", SenderFacts(OLD, follower_since=Millis(NOW - DAY)), FOLLOWER),
        ("not_followers", SenderFacts(OLD, followed=True), FRIEND),
        ("new_accounts", SenderFacts(Millis(NOW - 29 * DAY)), SenderFacts(Millis(NOW - 31 * DAY))),
        ("new_accounts", SenderFacts(Millis(NOW - DAY)), SenderFacts(Millis(NOW - DAY), followed=True)),
        ("private_mentions", SenderFacts(OLD, unasked_direct=True), SenderFacts(OLD)),
        ("private_mentions", SenderFacts(OLD, unasked_direct=True), replace(FRIEND, unasked_direct=True)),
        ("limited_accounts", SenderFacts(OLD, limited=True), replace(FRIEND, limited=True)),
    ],
)
@pytest.mark.parametrize("verdict", [Verdict.FILTER, Verdict.DROP])
def test_each_rule(rule: str, hit: SenderFacts, spared: SenderFacts, verdict: Verdict) -> None:
    rules = replace(OPEN, **{rule: verdict})
    assert judge(rules, "mention", hit, NOW) is verdict
    assert judge(rules, "mention", spared, NOW) is Verdict.ACCEPT
    assert judge(rules, "mention", replace(hit, accepted=True), NOW) is Verdict.ACCEPT
    assert judge(OPEN, "mention", hit, NOW) is Verdict.ACCEPT
    for kind in ("poll", "update", "status", "admin.report", "severed_relationships"):
        assert judge(rules, kind, hit, NOW) is Verdict.ACCEPT and kind not in JUDGED


VERDICTS = st.sampled_from(Verdict)
FACTS = st.builds(
    SenderFacts, st.sampled_from([OLD, Millis(NOW - DAY)]), st.booleans(), st.booleans(), st.booleans(),
    st.sampled_from([None, OLD, Millis(NOW - DAY)]), st.booleans(),
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.builds(Rules, *[VERDICTS] * 5), FACTS)
def test_the_strictest_rule_that_applies_counts(rules: Rules, facts: SenderFacts) -> None:
    alone = [judge(replace(OPEN, **{f.name: getattr(rules, f.name)}), "mention", facts, NOW) for f in fields(Rules)]
    assert judge(rules, "mention", facts, NOW) is max(alone)


def test_without_a_choice_only_limited_accounts_are_kept_apart() -> None:
    stranger = SenderFacts(NOW, unasked_direct=True)
    assert judge(DEFAULT, "mention", stranger, NOW) is Verdict.ACCEPT
    assert judge(DEFAULT, "mention", replace(stranger, limited=True), NOW) is Verdict.FILTER
