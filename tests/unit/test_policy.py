"""Policy: who may exchange what with us. Default is nobody; each rule is shown refusing and letting through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedishare.model.ids import Domain, Millis
from fedishare.model.partners import ACTIVITY_TYPES, Direction, Partner, PartnerState, Terms, network_problem
from fedishare.model.posts import LOCAL, PARTNERS, Reach, Visibility
from fedishare.policy.decide import Decision, decide, explain
from fedishare.policy.facts import DeliveryFacts, Facts, Purpose, Question, Verdict
from fedishare.policy.rules import RULES, Matter, Policy, Rule, compile_policy

NOW = Millis(1_800_000_000_000)
LAB = Domain("lab.example")


def partner(domain: str = "lab.example", **values: Any) -> Partner:
    """A partner with terms; keys of `Terms` and of `Partner` alike."""
    terms = {key: values.pop(key) for key in list(values) if key in Terms.__dataclass_fields__}
    return Partner(Domain(domain), terms=Terms(**terms), **values)


def policy(*partners: Partner, **values: Any) -> Policy:
    """A policy of clinic.example, federation on."""
    given: dict[str, Any] = {"enabled": True, "own_hosts": ["clinic.example", "social.clinic.example"], "revision": 7}
    return compile_policy(partners, **(given | values))


def ask(question: Question = Question.CONNECT, domain: str = "lab.example", **values: Any) -> Facts:
    """Facts; for activities a public Create of a Note that may travel to every partner."""
    if question in (Question.RECEIVE, Question.DELIVER):
        usual = {"activity_type": "Create", "object_type": "Note", "visibility": Visibility.PUBLIC, "reach": PARTNERS}
        values = usual | values
    elif question is Question.FETCH:
        values = {"purpose": Purpose.OBJECT} | values
    return Facts(question, domain, values.pop("now", NOW), **values)


RECEIVE, DELIVER, FETCH, CONNECT = Question.RECEIVE, Question.DELIVER, Question.FETCH, Question.CONNECT
ABOUT_PARTNERS = tuple(question for question in Question if question is not Question.PUSH)


# Nobody, unless listed.


@pytest.mark.parametrize("question", ABOUT_PARTNERS)
def test_only_listed_partners_are_allowed_and_the_refusal_says_what_to_do(question: Question) -> None:
    assert decide(policy(partner()), ask(question)).allowed
    for nobody in (policy(), policy(partner("other.example")), Policy(revision=1)):
        assert decide(nobody, ask(question)).verdict is Verdict.DENY
    refused = decide(policy(), ask(question))
    assert refused.rule == "unlisted"
    assert "fedishare partner add lab.example" in refused.reason


@pytest.mark.parametrize("broken", [None, 3, ["lab.example"], [partner(), None], "lab.example"])
def test_a_broken_list_is_nobody(broken: Any) -> None:
    made = compile_policy(broken, enabled=True, own_hosts=[], revision=2)
    decision = decide(made, ask())
    assert (decision.verdict, decision.rule, decision.keeps_queue) == (Verdict.DENY, "broken-policy", True)
    assert decide(compile_policy([], enabled=True, own_hosts=[], revision=2), ask()).rule == "unlisted"


def test_an_entry_that_is_no_domain_is_left_out_and_told() -> None:
    made = policy(partner("lab.example"), partner("not a domain"), partner("ward.example", hosts=(Domain("::"),)))
    assert decide(made, ask()).allowed
    assert decide(made, ask(domain="ward.example")).rule == "unlisted"
    assert len(made.problems) == 2


SPELLINGS = ["LAB.example", "lab.example.", "Lab.Example.", "lab.example:443", "ｌａｂ.example"]


@pytest.mark.spec("R110")
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_spellings_of_a_domain_decide_alike(spelling: str) -> None:
    assert decide(policy(partner()), ask(domain=spelling)).allowed
    assert decide(policy(partner(spelling)), ask()).allowed
    assert decide(policy(partner(state=PartnerState.ENDED)), ask(domain=spelling)).rule == "partner-ended"
    assert decide(policy(partner("xn--bcher-kva.example")), ask(domain="BÜCHER.example")).allowed


NEIGHBOURS = ["evil-lab.example", "evil.lab.example", "lab.example.evil.example", "example", "lab.example:8443", ""]


@pytest.mark.parametrize("neighbour", NEIGHBOURS)
def test_only_the_exact_host_is_the_partner(neighbour: str) -> None:
    assert not decide(policy(partner()), ask(domain=neighbour)).allowed
    assert decide(policy(partner()), ask()).allowed


def test_subdomains_only_if_the_entry_says_so_and_the_nearest_entry_decides() -> None:
    wide = partner(include_subdomains=True)
    assert decide(policy(wide), ask(domain="a.b.lab.example")).partner == wide
    assert decide(policy(wide), ask(domain="evil-lab.example")).rule == "unlisted"
    ended = partner("b.lab.example", state=PartnerState.ENDED)
    assert decide(policy(wide, ended), ask(domain="b.lab.example")).rule == "partner-ended"
    assert decide(policy(wide, ended), ask(domain="a.b.lab.example")).rule == "unlisted"
    split = partner(include_subdomains=True, hosts=(Domain("social.host.example"),))
    assert decide(policy(split), ask(domain="social.host.example")).allowed
    assert decide(policy(split), ask(domain="x.social.host.example")).rule == "unlisted"


def test_development_ports_are_part_of_the_name() -> None:
    made = policy(partner("lab.localhost:8002", include_subdomains=True), development=True)
    assert decide(made, ask(domain="lab.localhost:8002")).allowed
    assert decide(made, ask(domain="a.lab.localhost:8002")).allowed
    for other in ("lab.localhost:8003", "lab.localhost", "a.lab.localhost"):
        assert decide(made, ask(domain=other)).rule == "unlisted"


@pytest.mark.parametrize("own", ["clinic.example", "social.clinic.example", "Social.Clinic.EXAMPLE."])
def test_never_with_ourselves(own: str) -> None:
    wide = partner("clinic.example", include_subdomains=True)
    for made in (policy(partner(own)), policy(wide)):
        for question in Question:
            assert decide(made, ask(question, own)).rule == "own-domain"
    assert decide(policy(wide), ask(domain="lab.clinic.example")).allowed


def test_the_file_stands_above_the_database_and_a_host_claimed_twice_is_nobodys() -> None:
    in_file = partner(state=PartnerState.ENDED, source="file")
    in_database = partner(hosts=(Domain("social.lab.example"),))
    for order in ((in_file, in_database), (in_database, in_file)):
        made = policy(*order)
        assert decide(made, ask()).rule == "partner-ended"
        assert decide(made, ask(domain="social.lab.example")).rule == "unlisted"
    shared = Domain("shared.example")
    made = policy(partner("a.example", hosts=(shared,)), partner("b.example", hosts=(shared,)))
    assert decide(made, ask(domain=shared)).rule == "ambiguous"
    assert made.find(shared) == (shared, None)
    assert decide(made, ask(domain="a.example")).allowed
    made = policy(partner("a.example", hosts=(shared,), source="file"), partner("b.example", hosts=(shared,)))
    found = decide(made, ask(domain=shared)).partner
    assert found is not None and found.domain == "a.example"


def test_the_switch_stops_everything_and_keeps_the_queue() -> None:
    for question in ABOUT_PARTNERS:
        decision = decide(policy(partner(), enabled=False), ask(question))
        assert (decision.rule, decision.keeps_queue) == ("federation-off", True)


# States and dates.


@pytest.mark.parametrize("state", list(PartnerState))
def test_the_rule_that_allows_looks_at_the_state_itself(state: PartnerState) -> None:
    alone = policy(partner(state=state), rules=[rule for rule in RULES if rule.id == "partner"])
    assert decide(alone, ask()).allowed is (state is PartnerState.ACTIVE)


@pytest.mark.parametrize("question", ABOUT_PARTNERS)
@pytest.mark.parametrize(
    ("state", "keeps"), [(PartnerState.PROPOSED, False), (PartnerState.PAUSED, True), (PartnerState.ENDED, False)]
)
def test_only_active_partners_exchange(question: Question, state: PartnerState, keeps: bool) -> None:
    decision = decide(policy(partner(state=state)), ask(question))
    assert (decision.verdict, decision.rule, decision.keeps_queue) == (Verdict.DENY, f"partner-{state.value}", keeps)


def test_terms_end_on_their_date() -> None:
    made = policy(partner(expires_at=NOW))
    assert decide(made, ask(now=Millis(NOW - 1))).allowed
    for question in ABOUT_PARTNERS:
        assert decide(made, ask(question)).rule == "partner-expired"


# Terms: what is refused (with which rule), and what beside it is let through.

CASES: list[tuple[dict[str, Any], Facts, str | None]] = [
    # direction out: ours may go to them, nothing of theirs comes in but what asks for ours
    ({"direction": Direction.OUT}, ask(RECEIVE), "direction-in"),
    ({"direction": Direction.OUT}, ask(RECEIVE, activity_type="Like"), "direction-in"),
    ({"direction": Direction.OUT}, ask(RECEIVE, activity_type="Follow", object_type=None), None),
    ({"direction": Direction.OUT}, ask(RECEIVE, activity_type="Undo"), None),
    ({"direction": Direction.OUT}, ask(RECEIVE, activity_type="Delete"), None),
    ({"direction": Direction.OUT}, ask(FETCH), "direction-in"),
    ({"direction": Direction.OUT}, ask(FETCH, purpose=Purpose.MEDIA), "direction-in"),
    ({"direction": Direction.OUT}, ask(FETCH, purpose=None), "direction-in"),
    ({"direction": Direction.OUT}, ask(FETCH, purpose=Purpose.KEY), None),
    ({"direction": Direction.OUT}, ask(FETCH, purpose=Purpose.ACTOR), None),
    ({"direction": Direction.OUT}, ask(FETCH, purpose=Purpose.WEBFINGER), None),
    ({"direction": Direction.OUT}, ask(DELIVER), None),
    ({"direction": Direction.OUT}, ask(DELIVER, activity_type="Accept", reach=None), None),
    ({"direction": Direction.OUT}, ask(DELIVER, activity_type="Follow", reach=None), "direction-in"),
    # direction in: theirs may come to us, nothing of ours goes out but what asks for theirs
    ({"direction": Direction.IN}, ask(DELIVER), "direction-out"),
    ({"direction": Direction.IN}, ask(DELIVER, activity_type="Like", reach=None), "direction-out"),
    ({"direction": Direction.IN}, ask(DELIVER, activity_type="Follow", reach=None), None),
    ({"direction": Direction.IN}, ask(DELIVER, activity_type="Undo", reach=None), None),
    ({"direction": Direction.IN}, ask(DELIVER, activity_type="Accept", reach=None), None),
    ({"direction": Direction.IN}, ask(RECEIVE), None),
    ({"direction": Direction.IN}, ask(RECEIVE, activity_type="Accept"), None),
    ({"direction": Direction.IN}, ask(RECEIVE, activity_type="Follow"), "direction-out"),
    ({"direction": Direction.IN}, ask(FETCH), None),
    # types
    ({"activity_types": frozenset({"Create"})}, ask(RECEIVE), None),
    ({"activity_types": frozenset({"Create"})}, ask(RECEIVE, activity_type="Announce"), "activity-type"),
    ({"activity_types": frozenset({"Create"})}, ask(RECEIVE, activity_type="Accept"), None),
    ({"activity_types": frozenset({"Create"})}, ask(DELIVER, activity_type="Update"), "activity-type"),
    ({"activity_types": frozenset()}, ask(DELIVER), "activity-type"),
    ({"object_types": frozenset({"Note"})}, ask(RECEIVE), None),
    ({"object_types": frozenset({"Note"})}, ask(RECEIVE, object_type="Video"), "object-type"),
    ({"object_types": frozenset({"Note"})}, ask(RECEIVE, object_type=None), "object-type"),
    ({"object_types": frozenset({"Note"})}, ask(RECEIVE, activity_type="Announce", object_type=None), None),
    ({"object_types": frozenset({"Note"})}, ask(RECEIVE, activity_type="Announce", object_type="Video"), "object-type"),
    ({"object_types": frozenset({"Note"})}, ask(RECEIVE, activity_type="Update", object_type="Person"), None),
    ({"object_types": frozenset({"Note"})}, ask(RECEIVE, object_type="Person"), "object-type"),
    ({"object_types": frozenset({"Note"})}, ask(DELIVER, object_type="Question"), "object-type"),
    ({}, ask(RECEIVE, activity_type="Arrive"), "unknown-type"),
    ({}, ask(RECEIVE, activity_type=None), "unknown-type"),
    # ceilings
    ({"ceiling_in": Visibility.PRIVATE}, ask(RECEIVE), "ceiling-in"),
    ({"ceiling_in": Visibility.PRIVATE}, ask(RECEIVE, visibility=None), "ceiling-in"),
    ({"ceiling_in": Visibility.PRIVATE}, ask(RECEIVE, visibility=Visibility.PRIVATE), None),
    ({"ceiling_in": Visibility.PRIVATE}, ask(RECEIVE, activity_type="Delete"), None),
    ({"ceiling_in": Visibility.PRIVATE}, ask(DELIVER), None),
    ({"ceiling_out": Visibility.PRIVATE}, ask(DELIVER, visibility=Visibility.UNLISTED), "ceiling-out"),
    ({"ceiling_out": Visibility.PRIVATE}, ask(DELIVER, visibility=None), "ceiling-out"),
    ({"ceiling_out": Visibility.PRIVATE}, ask(DELIVER, visibility=Visibility.DIRECT), None),
    ({"ceiling_out": Visibility.PRIVATE}, ask(RECEIVE), None),
    # direct messages are posts; a Follow or a Like to one person is none
    ({"direct_messages": False}, ask(RECEIVE, visibility=Visibility.DIRECT), "direct-messages"),
    ({"direct_messages": False}, ask(DELIVER, is_direct=True), "direct-messages"),
    ({"direct_messages": False}, ask(RECEIVE, activity_type="Follow", visibility=Visibility.DIRECT), None),
    ({"direct_messages": False}, ask(RECEIVE, activity_type="Like", visibility=Visibility.DIRECT), None),
    ({"direct_messages": False}, ask(RECEIVE, visibility=Visibility.PRIVATE), None),
    # media
    ({"media": False}, ask(RECEIVE, has_media=True), "media"),
    ({"media": False}, ask(DELIVER, has_media=True), "media"),
    ({"media": False}, ask(FETCH, purpose=Purpose.MEDIA), "media"),
    ({"media": False}, ask(FETCH), None),
    ({"media": True}, ask(DELIVER, has_media=True), None),
    # reach
    ({}, ask(DELIVER, reach=LOCAL), "reach"),
    ({}, ask(DELIVER, reach=None), "reach"),
    ({}, ask(DELIVER, reach=Reach(frozenset({Domain("ward.example")}))), "reach"),
    ({}, ask(DELIVER, reach=Reach(frozenset({LAB}))), None),
    ({}, ask(DELIVER, activity_type="Like", reach=None), None),
    ({}, ask(DELIVER, activity_type="Delete", reach=LOCAL), "reach"),
    ({}, ask(RECEIVE, reach=LOCAL), None),
    # as:Public
    ({}, ask(DELIVER, public_addressed=True), "public-addressing"),
    ({}, ask(DELIVER, public_addressed=True, activity_type="Delete"), "public-addressing"),
    ({"public_addressing": True}, ask(DELIVER, public_addressed=True), None),
    ({}, ask(RECEIVE, public_addressed=True), None),
]


@pytest.mark.parametrize(("terms", "facts", "rule"), CASES)
def test_terms(terms: dict[str, Any], facts: Facts, rule: str | None) -> None:
    decision = decide(policy(partner(**terms)), facts)
    assert decision.rule == (rule or "partner")
    assert decision.verdict is (Verdict.DENY if rule else Verdict.ALLOW)
    assert not decision.keeps_queue


def test_reach_names_the_partner_or_the_very_host() -> None:
    made = policy(partner(hosts=(Domain("social.lab.example"),)))
    for named in ("lab.example", "social.lab.example"):
        reach = Reach(frozenset({Domain(named)}))
        assert decide(made, ask(DELIVER, "social.lab.example", reach=reach)).allowed
    assert decide(made, ask(DELIVER, reach=Reach(frozenset({Domain("social.lab.example")})))).rule == "reach"


def test_the_instance_may_allow_public_addressing_for_all() -> None:
    facts = DeliveryFacts("Create", "Note", Visibility.PUBLIC, PARTNERS, public_addressed=True).to_host(LAB, NOW)
    assert decide(policy(partner(), public_addressing=True), facts).allowed
    assert decide(policy(partner()), facts).rule == "public-addressing"


def test_listed_hosts_are_asked_for_previews_and_for_nothing_else() -> None:
    hosts = ["WWW.who.example", "lab.example", "paused.example", "clinic.example", "no domain"]
    paused = partner("paused.example", state=PartnerState.PAUSED)
    made = policy(partner(media=False), paused, previews=hosts)
    page: dict[str, Any] = {"purpose": Purpose.PREVIEW}
    decision = decide(made, ask(FETCH, "www.who.example", **page))
    assert decision.allowed and decision.rule == "preview-host" and decision.partner is None
    assert decide(made, ask(FETCH, "www.who.example", has_media=True, **page)).allowed
    for question in (CONNECT, RECEIVE, DELIVER):
        assert decide(made, ask(question, "www.who.example")).rule == "unlisted"
    for purpose in set(Purpose) - {Purpose.PREVIEW}:
        assert decide(made, ask(FETCH, "www.who.example", purpose=purpose)).rule == "unlisted"
    for host in ("who.example", "x.www.who.example", "www.who.example.evil.example"):
        assert decide(made, ask(FETCH, host, **page)).rule == "unlisted"
    # A partner's own terms stand above the list, and the instance itself is never asked.
    assert decide(made, ask(FETCH, **page)).rule == "partner"
    assert decide(made, ask(FETCH, has_media=True, **page)).rule == "media"
    assert decide(made, ask(FETCH, "paused.example", **page)).rule == "partner-paused"
    assert decide(made, ask(FETCH, "clinic.example", **page)).rule == "own-domain"
    off = policy(enabled=False, previews=["www.who.example"])
    assert decide(off, ask(FETCH, "www.who.example", **page)).rule == "federation-off"


def test_push_services_are_those_that_are_listed_and_nothing_else_is_asked_of_them() -> None:
    for enabled in (True, False):  # pushing is no federation: telephones ring in an instance without partners, too
        made = policy(partner(), enabled=enabled, pushes=["PUSH.example.", "lab.example", "clinic.example"])
        for domain in ("push.example", "lab.example"):
            decision = decide(made, ask(Question.PUSH, domain))
            assert decision.allowed and decision.rule == "push-host"
        for domain, rule in (
            ("other.example", "no-push-host"), ("sub.push.example", "no-push-host"), ("clinic.example", "own-domain"),
            ("no domain", "bad-host"),
        ):  # fmt: skip
            assert decide(made, ask(Question.PUSH, domain)).rule == rule
    for question in ABOUT_PARTNERS:
        assert decide(policy(pushes=["push.example"]), ask(question, "push.example")).rule == "unlisted"
    assert decide(policy(partner()), ask(Question.PUSH)).rule == "no-push-host"


def test_every_rule_has_a_case() -> None:
    named = {rule for _, _, rule in CASES if rule} | {
        "partner", "broken-policy", "federation-off", "own-domain", "ambiguous", "unlisted", "partner-proposed",
        "partner-paused", "partner-ended", "partner-expired", "bad-host", "preview-host",
        "push-host", "no-push-host",
    }  # fmt: skip
    assert {rule.id for rule in RULES} == named
    assert decide(policy(partner()), ask(domain="no domain")).rule == "bad-host"


def test_explain_names_rule_reason_and_revision() -> None:
    line = explain(decide(policy(), ask()))
    assert line.startswith("deny: lab.example is not on the allow-list")
    assert "rule unlisted" in line and "revision 7" in line


# Properties.


def constant(name: str, verdict: Verdict, rank: int = 500) -> Rule:
    """A rule that always answers the same."""
    return Rule(name, f"always {verdict.word}", lambda _: verdict, rank)


def failing(_: Matter) -> Verdict:
    raise RuntimeError("broken rule")


texts = st.one_of(st.none(), st.text(max_size=30), st.sampled_from(sorted(ACTIVITY_TYPES | {"Note", "Person"})))
domains = st.one_of(
    st.text(max_size=40), st.sampled_from(["lab.example", "a.lab.example", "clinic.example", *SPELLINGS])
)
some_facts = st.builds(
    Facts,
    question=st.sampled_from(list(Question)),
    domain=domains,
    now=st.integers(0, 2 * NOW).map(Millis),
    activity_type=texts,
    object_type=texts,
    visibility=st.one_of(st.none(), st.sampled_from(list(Visibility))),
    reach=st.sampled_from([None, LOCAL, PARTNERS, Reach(frozenset({LAB}))]),
    has_media=st.booleans(),
    is_direct=st.booleans(),
    public_addressed=st.booleans(),
    size=st.integers(0, 2**40),
    purpose=st.one_of(st.none(), st.sampled_from(list(Purpose))),
)
some_terms = st.builds(
    Terms,
    direction=st.sampled_from(list(Direction)),
    activity_types=st.one_of(st.none(), st.frozensets(st.sampled_from(sorted(ACTIVITY_TYPES)))),
    object_types=st.one_of(st.none(), st.just(frozenset({"Note"}))),
    ceiling_in=st.sampled_from(list(Visibility)),
    ceiling_out=st.sampled_from(list(Visibility)),
    media=st.booleans(),
    direct_messages=st.booleans(),
    public_addressing=st.booleans(),
    include_subdomains=st.booleans(),
)
some_partners = st.lists(
    st.builds(
        Partner,
        domain=domains.map(Domain),
        state=st.sampled_from(list(PartnerState)),
        terms=some_terms,
        expires_at=st.one_of(st.none(), st.integers(0, 2 * NOW).map(Millis)),
        source=st.sampled_from(["file", "database"]),
    ),
    max_size=4,
)
some_rules = st.lists(
    st.builds(
        constant,
        st.sampled_from("abcdef"),
        st.sampled_from(list(Verdict)),
        st.integers(0, 3),
    ),
    max_size=5,
)


@settings(max_examples=150, deadline=None)
@given(some_partners, some_facts, some_rules, st.randoms())
def test_order_of_rules_and_of_partners_does_not_matter(
    partners: list[Partner], facts: Facts, more: list[Rule], random: Any
) -> None:
    rules, others = [*RULES, *{rule.id: rule for rule in more}.values()], list(partners)
    one = decide(policy(*partners, rules=rules), facts)
    random.shuffle(rules)
    random.shuffle(others)
    other = decide(policy(*others, rules=rules), facts)
    assert (one.verdict, one.rule) == (other.verdict, other.rule)


@settings(max_examples=150, deadline=None)
@given(some_partners, some_facts, some_rules)
def test_adding_a_denial_never_allows_and_nothing_outweighs_one(
    partners: list[Partner], facts: Facts, more: list[Rule]
) -> None:
    before = decide(policy(*partners), facts)
    with_denial = decide(policy(*partners, rules=[*RULES, *more, constant("no", Verdict.DENY)]), facts)
    assert with_denial.verdict is Verdict.DENY
    if before.verdict is Verdict.DENY:
        assert decide(policy(*partners, rules=[*RULES, *more]), facts).verdict is Verdict.DENY


@settings(max_examples=200, deadline=None)
@given(some_partners, some_facts)
def test_the_unknown_is_always_denied(partners: list[Partner], facts: Facts) -> None:
    made = policy(*(p for p in partners if made_of(p.domain) != made_of(facts.domain)))
    decision = decide(made, facts)
    if decision.allowed:  # only the sub-domains of an entry that says so
        assert decision.partner is not None and decision.partner.terms.include_subdomains
        assert made_of(facts.domain).endswith(f".{made_of(decision.partner.domain)}")


def made_of(domain: str) -> str:
    """The normalised domain, as the policy itself would index it."""
    name = policy().find(domain)[0]
    return name if name is not None else domain


class Hostile:
    """Raises at every touch."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


@settings(max_examples=100, deadline=None)
@given(some_partners, some_facts, st.sampled_from(list(Facts.__dataclass_fields__)))
def test_decide_never_raises(partners: list[Partner], facts: Facts, spoiled: str) -> None:
    made = policy(*partners)
    assert decide(made, facts).verdict in (Verdict.ALLOW, Verdict.DENY)
    spoilt: Any = {spoiled: Hostile()}
    assert isinstance(decide(made, replace(facts, **spoilt)), Decision)
    nothing: Any = Hostile()
    assert decide(nothing, facts).verdict is Verdict.DENY
    assert decide(made, nothing).verdict is Verdict.DENY


@pytest.mark.parametrize("answer", [failing, lambda _: 1, lambda _: None, lambda _: True])
def test_a_rule_that_fails_denies(answer: Callable[[Matter], Any]) -> None:
    made = policy(partner(), rules=[*RULES, Rule("odd", "odd", answer, 5000)])
    decision = decide(made, ask())
    assert (decision.verdict, decision.rule, decision.keeps_queue) == (Verdict.DENY, "broken-rule", True)


def test_hold_stands_between_allow_and_deny_and_silence_denies() -> None:
    hold = constant("look", Verdict.HOLD)
    assert decide(policy(partner(), rules=[*RULES, hold]), ask(RECEIVE)).verdict is Verdict.HOLD
    assert decide(policy(rules=[*RULES, hold]), ask(RECEIVE)).verdict is Verdict.DENY
    assert decide(policy(partner(), rules=[]), ask()).rule == "no-rule"


def test_hostile_words_stay_short_and_are_no_templates() -> None:
    decision = decide(policy(partner()), ask(RECEIVE, activity_type="{partner.terms}" + "x" * 5000))
    assert decision.rule == "unknown-type"
    assert "{partner.terms}" in decision.reason and len(decision.reason) < 200
    assert len(decide(policy(), ask(domain="x" * 5000)).reason) < 200


@pytest.mark.parametrize(
    ("network", "usable"),
    [
        ("10.0.0.0/8", True), ("fc00::/7", True), ("192.0.2.7", True), ("0.0.0.0/0", False), ("::/0", False),
        ("128.0.0.0/1", False), ("169.254.169.254", False), ("169.0.0.0/8", False), ("fe80::1", False),
        ("127.0.0.1", False), ("::1", False), ("224.0.0.0/8", False), ("10.0.0.1/8", False), ("lab.example", False),
    ],
)  # fmt: skip
def test_networks_that_make_sense(network: str, usable: bool) -> None:
    assert (network_problem(network, loopback=False) is None) is usable
    assert network_problem("127.0.0.0/8", loopback=True) is None
