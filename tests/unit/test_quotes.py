"""Quotes' pure parts: policies as numbers, what a rule means, and the link in the text that stands for a quote."""

from __future__ import annotations

from html import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedishare.model.quotes import ANYBODY, NOBODY, OPEN, Consent, Group, Interaction, Rule, rule_of, with_rule
from fedishare.text import quote_inline, sanitise, without_quote_inline

groups = st.integers(0, 15).map(Group)
rules = st.builds(Rule, groups, groups)
kinds = st.sampled_from(Interaction)


@settings(max_examples=100, deadline=None)
@given(policy=st.integers(0, 2**32 - 1), kind=kinds, rule=rules)
def test_a_rule_is_read_as_it_was_written_and_the_others_stay(policy: int, kind: Interaction, rule: Rule) -> None:
    found = with_rule(policy, kind, rule)
    assert 0 <= found < 2**32
    for each in Interaction:
        assert rule_of(found, each) == (rule if each is kind else rule_of(policy, each))


@settings(max_examples=100, deadline=None)
@given(rule=rules, more=rules, follows=st.booleans(), followed=st.booleans())
def test_more_groups_never_mean_less_consent(rule: Rule, more: Rule, follows: bool, followed: bool) -> None:
    order = [Consent.DENIED, Consent.UNKNOWN, Consent.MANUAL, Consent.AUTOMATIC]
    wider = Rule(rule.automatic | more.automatic, rule.manual | more.manual)
    before = rule.consent(follows=follows, followed=followed)
    assert order.index(wider.consent(follows=follows, followed=followed)) >= order.index(before)


def test_silence_means_everybody_but_for_quotes() -> None:
    assert rule_of(OPEN, Interaction.QUOTE) == NOBODY
    assert {rule_of(OPEN, kind) for kind in (Interaction.REPLY, Interaction.LIKE, Interaction.ANNOUNCE)} == {ANYBODY}


LINK = '<a href="https://a.example/1" rel="nofollow noopener">x<span class="invisible">y</span></a>'


@pytest.mark.parametrize(
    ("html", "left"),
    [
        ("<p>a</p>", "<p>a</p>"),
        (f'<p class="quote-inline">RE: {LINK}</p><p>a</p>', "<p>a</p>"),
        (f'<p>a<span class="quote-inline"><br><br>RE: {LINK}</span></p>', "<p>a</p>"),
        (f'<p><span class="quote-inline">RE: {LINK}</span></p>', ""),
        (f'<p class="quote-inline"><span class="quote-inline">RE: {LINK}</span></p><p>a</p>', "<p>a</p>"),
        (f'<p>a {LINK} <span class="mention">b</span></p>', f'<p>a {LINK} <span class="mention">b</span></p>'),
        ('<p class="quote-inline">never closed', ""),
    ],
)
def test_the_link_is_taken_out_and_nothing_else(html: str, left: str) -> None:
    assert without_quote_inline(sanitise(html)) == sanitise(left)


@settings(max_examples=60, deadline=None)
@given(url=st.text(max_size=40), before=st.text("ab &<>é1", min_size=1, max_size=40))
def test_our_own_link_is_safe_and_comes_out_again(url: str, before: str) -> None:
    made = quote_inline(url)
    assert "<script" not in made and made.count("<a ") == 1
    text = sanitise(f"<p>x{escape(before)}</p>")
    assert without_quote_inline(sanitise(f"{quote_inline('https://a.example/1')}{text}")) == text
