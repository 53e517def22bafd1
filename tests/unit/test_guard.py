"""The guard: nothing comes in without an Admission and nothing goes out without a Permit, and only it makes them."""

from __future__ import annotations

import ast
import copy
import dataclasses
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fedishare
from fedishare import guard as guard_module
from fedishare.guard import (
    HOUR,
    MAX_COUNTERS,
    MAX_STRANGERS,
    OTHERS,
    PERMIT_LIFETIME,
    Admission,
    Guard,
    Held,
    Ignored,
)
from fedishare.model.activities import Envelope
from fedishare.model.errors import PolicyRefusal
from fedishare.model.ids import Domain, Iri, Millis
from fedishare.model.partners import Direction, Partner, PartnerState, Terms
from fedishare.model.posts import LOCAL, PARTNERS, Visibility
from fedishare.policy.facts import KEEPS_QUEUE, DeliveryFacts, Facts, Purpose, Question, Verdict
from fedishare.policy.rules import RULES, Rule, compile_policy

START = Millis(500_000 * HOUR)
LAB, WARD = Partner(Domain("lab.example")), Partner(Domain("ward.example"))
NOTE = DeliveryFacts("Create", "Note", Visibility.PUBLIC, PARTNERS)


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> Millis:
        return self.now

    def forward(self, millis: int) -> None:
        self.now = Millis(self.now + millis)


def policy_of(*partners: Partner, revision: int = 1, development: bool = False, **values: Any) -> Any:
    given: dict[str, Any] = {"enabled": True, "own_hosts": ["clinic.example"]}
    return compile_policy(partners, revision=revision, development=development, **(given | values))


def guard_of(*partners: Partner, clock: Clock | None = None, development: bool = False, **values: Any) -> Guard:
    policy = policy_of(*partners, development=development, **values)
    return Guard(policy, clock=clock or Clock(), development=development)


def envelope(actor: str = "https://lab.example/users/ada", **values: Any) -> Envelope:
    usual: dict[str, Any] = {
        "iri": Iri("https://lab.example/activities/1"), "type": "Create", "actor": Iri(actor), "object_iri": None,
        "object_type": "Note", "object_owner": None, "visibility": Visibility.PUBLIC, "to": (), "cc": (),
    }  # fmt: skip
    return Envelope(**(usual | values))


def refused(rule: str) -> Any:
    """Expects a `PolicyRefusal` by ``rule``."""
    return pytest.raises(PolicyRefusal, check=lambda error: error.rule == rule)


# Who makes proofs.


def test_nobody_else_makes_proofs() -> None:
    guard = guard_of(LAB)
    permit: Any = guard.permit_fetch("https://lab.example/users/ada", Purpose.ACTOR)
    admission: Any = guard.admit(envelope(), LAB, 10)
    for proof in (permit, admission):
        values: dict[str, Any] = {f.name: getattr(proof, f.name) for f in dataclasses.fields(proof)}
        for key in (None, object(), "", True):
            with pytest.raises(TypeError, match="only the guard"):
                type(proof)(**values, key=key)
        with pytest.raises((TypeError, ValueError)):
            dataclasses.replace(proof, revision=2)
        with pytest.raises(dataclasses.FrozenInstanceError):
            proof.revision = 2
        assert copy.copy(proof) == proof


def test_no_other_module_names_the_constructors_or_the_key() -> None:
    package = Path(fedishare.__file__).parent
    own = Path(guard_module.__file__)
    files = sorted(package.rglob("*.py"))
    assert own in files and len(files) > 20
    assert makers(own) == {"Admission", "Permit"}
    for file in files:
        if file != own:
            assert not makers(file), f"{file.name} makes {makers(file)}; only guard.py may"
            assert "_KEY" not in names_of_guard(file), f"{file.name} takes the guard's key"


def makers(file: Path) -> set[str]:
    """Which proofs a file constructs, by call, ``__new__``, ``replace`` or a renamed import."""
    tree = ast.parse(file.read_text())
    proofs = {"Admission": "Admission", "Permit": "Permit"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "fedishare.guard":
            proofs |= {a.asname: a.name for a in node.names if a.asname and a.name in ("Admission", "Permit")}
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = [node.func] + (node.args[:1] if attribute(node.func) in ("__new__", "partial") else [])
            found |= {proofs[name] for part in called if (name := attribute(part)) in proofs}
    return found


def attribute(node: ast.expr) -> str:
    """The last name of ``a.b.c``."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def names_of_guard(file: Path) -> set[str]:
    """What a file takes from the guard's module, by import or as an attribute."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "fedishare.guard":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Attribute) and attribute(node.value) == "guard":
            found.add(node.attr)
    return found


def test_the_search_for_makers_finds_them(tmp_path: Path) -> None:
    for text, expected in [
        ("import fedishare.guard as g\ng.Permit(1)", {"Permit"}),
        ("from fedishare.guard import Admission as A\nA()", {"Admission"}),
        ("object.__new__(Permit)", {"Permit"}),
        ("match x:\n case Admission(): pass\n case _: isinstance(x, Permit)", set()),
    ]:
        file = tmp_path / "made.py"
        file.write_text(text)
        assert makers(file) == expected
    file.write_text("from fedishare.guard import _KEY")
    assert "_KEY" in names_of_guard(file)


# In.


def test_admit_peer() -> None:
    guard = guard_of(LAB, dataclasses.replace(WARD, state=PartnerState.PAUSED))
    assert guard.admit_peer("lab.example") == LAB
    assert guard.admit_peer("LAB.example.") == LAB
    with refused("unlisted"):
        guard.admit_peer("stranger.example")
    with refused("partner-paused"):
        guard.admit_peer("ward.example")
    with refused("own-domain"):
        guard.admit_peer("clinic.example")


def test_admission_names_partner_rule_and_revision() -> None:
    admission = guard_of(LAB, revision=9).admit(envelope(), LAB, 1234)
    assert isinstance(admission, Admission)
    assert (admission.partner, admission.host, admission.size) == (LAB, "lab.example", 1234)
    assert (admission.rule, admission.revision, admission.envelope) == ("partner", 9, envelope())


@pytest.mark.spec("R125")
def test_activities_that_we_do_not_know_are_ignored_but_only_a_partners() -> None:
    guard = guard_of(LAB)
    assert isinstance(guard.admit(envelope(type="Arrive"), LAB, 1), Ignored)
    with refused("unlisted"):
        guard.admit(envelope("https://stranger.example/u", type="Arrive"), LAB, 1)


def test_a_partner_speaks_for_its_own_hosts_only() -> None:
    split = dataclasses.replace(LAB, hosts=(Domain("social.lab.example"),))
    guard = guard_of(split, WARD)
    assert isinstance(guard.admit(envelope("https://social.lab.example/u"), split, 1), Admission)
    with refused("actor-host"):
        guard.admit(envelope("https://ward.example/u"), split, 1)
    with refused("unlisted"):
        guard.admit(envelope("https://sub.lab.example/u"), split, 1)
    with refused("own-domain"):
        guard.admit(envelope("https://clinic.example/u"), split, 1)
    with refused("bad-host"):
        guard.admit(envelope("urn:x"), split, 1)


def test_terms_are_those_of_the_policy_in_force_not_of_the_value_handed_in() -> None:
    strict = Partner(Domain("lab.example"), terms=Terms(media=False, direct_messages=False))
    guard = guard_of(strict)
    with refused("media"):
        guard.admit(envelope(has_media=True), LAB, 1)
    with refused("direct-messages"):
        guard.admit(envelope(visibility=Visibility.DIRECT), LAB, 1)
    assert isinstance(guard.admit(envelope(), LAB, 1), Admission)


def test_held_for_a_person() -> None:
    hold = Rule("look-first", "{partner} sent {object}", lambda m: Verdict.HOLD, 900, frozenset({Question.RECEIVE}))
    held = guard_of(LAB, rules=[*RULES, hold]).admit(envelope(), LAB, 1)
    assert isinstance(held, Held)
    assert (held.rule, held.reason, held.partner) == ("look-first", "lab.example sent Note", LAB)


# Out.


def test_permits_are_for_listed_hosts_only() -> None:
    guard = guard_of(LAB, revision=5)
    permit = guard.permit_fetch("https://lab.example/users/ada", Purpose.ACTOR)
    assert (permit.purpose, permit.host, permit.partner) == (Purpose.ACTOR, "lab.example", LAB)
    assert (permit.rule, permit.revision, permit.development) == ("partner", 5, False)
    assert guard.permit_deliver("https://lab.example/inbox", NOTE).purpose is Purpose.DELIVERY
    for url in ("https://stranger.example/", "https://lab.example.evil.example/", "https://evil.lab.example/"):
        with refused("unlisted"):
            guard.permit_fetch(url, Purpose.KEY)
        with refused("unlisted"):
            guard.permit_deliver(url, NOTE)
    with refused("own-domain"):
        guard.permit_fetch("https://clinic.example/users/bob", Purpose.ACTOR)


BAD_URLS = [
    "http://lab.example/", "https://lab.example:8443/", "https://user@lab.example/", "https://127.0.0.1/", "lab",
    "ftp://lab.example/", "https://[::1]/", "https://lab.example\\@evil.example/", "", "https://", "https:///x",
    "https://lab.example\n.evil.example/", "https://0x7f000001/", "javascript:alert(1)", "https://[", "https://a:b/",
]  # fmt: skip


@pytest.mark.parametrize("url", BAD_URLS)
def test_urls_that_we_never_use(url: str) -> None:
    guard = guard_of(LAB)
    permit = guard.permit_fetch("https://lab.example/", Purpose.OBJECT)
    with refused("bad-url"):
        guard.permit_fetch(url, Purpose.OBJECT)
    with refused("bad-url"):
        guard.permit_deliver(url, NOTE)
    assert not guard.covers(permit, url)


def test_development_lets_http_and_ports_through_on_loopback_only() -> None:
    peers = [Partner(Domain(d)) for d in ("lab.localhost:8002", "127.0.0.1:8003", "lab.example", "lab.example:8443")]
    guard = guard_of(*peers, development=True)
    for url in ("http://lab.localhost:8002/x", "http://127.0.0.1:8003/x", "https://lab.example/x"):
        permit = guard.permit_fetch(url, Purpose.OBJECT)
        assert permit.development and guard.covers(permit, url)
    for url in ("http://lab.example/x", "https://lab.example:8443/x"):
        with refused("bad-url"):
            guard.permit_fetch(url, Purpose.OBJECT)
    with refused("unlisted"):
        guard.permit_fetch("http://lab.localhost:8004/x", Purpose.OBJECT)
    with refused("bad-url"):
        guard_of(*peers).permit_fetch("http://lab.localhost:8002/x", Purpose.OBJECT)


def test_a_permit_is_bound_to_its_host() -> None:
    guard = guard_of(LAB, WARD)
    permit = guard.permit_fetch("https://lab.example/users/ada", Purpose.ACTOR)
    for url in ("https://lab.example/elsewhere", "https://LAB.example./x", "https://lab.example:443/"):
        assert guard.covers(permit, url)
    for url in ("https://ward.example/", "https://sub.lab.example/", "http://lab.example/"):
        assert not guard.covers(permit, url)


def test_a_change_of_policy_makes_older_permits_worthless() -> None:
    guard = guard_of(LAB, WARD)
    permit = guard.permit_deliver("https://lab.example/inbox", NOTE)
    assert guard.holds(permit)
    guard.replace(policy_of(WARD, LAB))
    assert guard.holds(permit), "the same policy again changes nothing"
    guard.replace(policy_of(LAB, revision=2))
    assert not guard.holds(permit)
    assert guard.policy.revision == 2
    with refused("unlisted"):
        guard.permit_deliver("https://ward.example/inbox", NOTE)
    again = guard.permit_deliver("https://lab.example/inbox", NOTE)
    assert guard.holds(again)
    # A number that is used twice does not bring old permits back.
    guard.replace(policy_of(revision=2))
    assert not guard.holds(again)
    guard.replace(policy_of(LAB, WARD))
    assert not guard.holds(permit)


def test_a_permit_ends_after_its_minute_and_with_the_terms() -> None:
    clock = Clock()
    soon = dataclasses.replace(WARD, expires_at=Millis(START + 5_000))
    guard = guard_of(LAB, soon, clock=clock)
    long = guard.permit_fetch("https://lab.example/", Purpose.OBJECT)
    short = guard.permit_fetch("https://ward.example/", Purpose.OBJECT)
    clock.forward(4_999)
    assert guard.holds(long) and guard.holds(short)
    clock.forward(1)
    assert guard.holds(long) and not guard.holds(short)
    with refused("partner-expired"):
        guard.permit_fetch("https://ward.example/", Purpose.OBJECT)
    clock.forward(PERMIT_LIFETIME - 5_000)
    assert not guard.holds(long)


def test_a_permit_of_another_guard_counts_by_its_own_policy_only() -> None:
    one, other = guard_of(LAB), guard_of(LAB)
    permit = one.permit_fetch("https://lab.example/", Purpose.OBJECT)
    assert one.holds(permit)
    assert not other.holds(permit)


def test_delivery_asks_terms_and_says_what_becomes_of_the_queue() -> None:
    paused = dataclasses.replace(WARD, state=PartnerState.PAUSED)
    ended = Partner(Domain("gone.example"), state=PartnerState.ENDED)
    inward = Partner(Domain("wire.example"), terms=Terms(direction=Direction.IN))
    guard = guard_of(LAB, paused, ended, inward)
    assert guard.permit_deliver("https://lab.example/inbox", NOTE)
    with refused("reach"):
        guard.permit_deliver("https://lab.example/inbox", dataclasses.replace(NOTE, reach=LOCAL))
    with refused("public-addressing"):
        guard.permit_deliver("https://lab.example/inbox", dataclasses.replace(NOTE, public_addressed=True))
    with refused("direction-out"):
        guard.permit_deliver("https://wire.example/inbox", NOTE)
    assert guard.permit_deliver("https://wire.example/inbox", DeliveryFacts("Follow"))
    with refused("partner-paused"):
        guard.permit_deliver("https://ward.example/inbox", NOTE)
    with refused("partner-ended"):
        guard.permit_deliver("https://gone.example/inbox", NOTE)
    assert "partner-paused" in KEEPS_QUEUE and "partner-ended" not in KEEPS_QUEUE


def test_what_may_not_be_sent_may_not_be_read_either() -> None:
    guard = guard_of(LAB, Partner(Domain("wire.example"), terms=Terms(direction=Direction.IN)))
    assert guard.may_read("lab.example", NOTE)
    assert not guard.may_read("wire.example", NOTE)
    assert not guard.may_read("stranger.example", NOTE)
    assert not guard.may_read("lab.example", dataclasses.replace(NOTE, reach=LOCAL))


def test_same_peer() -> None:
    wide = Partner(Domain("lab.example"), terms=Terms(include_subdomains=True), hosts=(Domain("social.example"),))
    guard = guard_of(wide, Partner(Domain("own.lab.example")))
    for host in ("lab.example", "LAB.example.", "x.lab.example", "social.example"):
        assert guard.same_peer(wide, host)
    for host in ("own.lab.example", "evil-lab.example", "x.social.example", "", "lab.example.evil.example"):
        assert not guard.same_peer(wide, host)


# The record.


def test_refusals_and_what_passed_are_counted_by_hour() -> None:
    clock = Clock()
    guard = guard_of(LAB, clock=clock)
    for _ in range(3):
        with refused("unlisted"):
            guard.admit_peer("stranger.example")
    guard.admit_peer("lab.example")
    guard.permit_fetch("https://lab.example/", Purpose.OBJECT)
    guard.admit(envelope(), LAB, 1)
    guard.explain(Facts(Question.CONNECT, "nobody.example", START))
    clock.forward(HOUR + 7)
    guard.permit_deliver("https://lab.example/inbox", NOTE)
    counts = guard.drain_decisions()
    assert [(c.hour, c.question, c.domain, c.verdict.word, c.rule, c.times) for c in counts] == [
        (START, Question.CONNECT, "stranger.example", "deny", "unlisted", 3),
        (START, Question.RECEIVE, "lab.example", "allow", "partner", 1),
        (START + HOUR, Question.DELIVER, "lab.example", "allow", "partner", 1),
    ]
    assert counts[0].last_at == START and counts[0].revision == 1 and "allow-list" in counts[0].reason
    assert counts[2].last_at == START + HOUR + 7
    assert guard.drain_decisions() == []


def test_a_flood_of_made_up_domains_shares_one_counter() -> None:
    clock = Clock()
    guard = guard_of(LAB, clock=clock)
    flood = MAX_STRANGERS + 1000
    for number in range(flood):
        with refused("unlisted"):
            guard.admit_peer(f"s{number}.example")
    for number in range(100):  # the hours that pass do not make it grow either
        clock.forward(HOUR)
        with refused("unlisted"):
            guard.admit_peer(f"t{number}.example")
    guard.admit(envelope(), LAB, 1)
    counts = guard.drain_decisions()
    assert len(counts) == MAX_STRANGERS + 2
    assert sum(c.times for c in counts) == flood + 100 + 1
    assert {c.domain: c.times for c in counts}[OTHERS] == 1100
    assert "lab.example" in {c.domain for c in counts}
    with refused("unlisted"):
        guard.admit_peer("after.example")
    assert [c.domain for c in guard.drain_decisions()] == ["after.example"]


def test_counters_are_bounded_when_nobody_drains_them() -> None:
    clock = Clock()
    guard = guard_of(LAB, clock=clock)
    for _ in range(MAX_COUNTERS + 500):
        guard.admit(envelope(), LAB, 1)
        clock.forward(HOUR)
    counts = guard.drain_decisions()
    assert len(counts) == MAX_COUNTERS + 1
    assert sum(c.times for c in counts) == MAX_COUNTERS + 500


def test_counting_loses_nothing_between_threads() -> None:
    guard = guard_of(LAB)
    drained: list[int] = []

    def work() -> None:
        for _ in range(300):
            guard.admit(envelope(), LAB, 1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        drained += [c.times for c in guard.drain_decisions()]
    drained += [c.times for c in guard.drain_decisions()]
    assert sum(drained) == 1200


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=60), st.from_regex(r"https?://[^\s/]{0,30}/?.{0,20}", fullmatch=True)))
def test_hostile_hosts_and_urls_end_in_a_refusal(text: str) -> None:
    for development in (False, True):
        guard = guard_of(LAB, development=development)
        permit = guard.permit_fetch("https://lab.example/", Purpose.OBJECT)
        guard.covers(permit, text)
        guard.same_peer(LAB, text)
        asked: list[Callable[[], object]] = [
            partial(guard.admit_peer, text),
            partial(guard.permit_fetch, text, Purpose.KEY),
            partial(guard.permit_deliver, text, NOTE),
            partial(guard.admit, envelope(text), LAB, 1),
        ]
        for ask in asked:
            try:
                ask()
            except PolicyRefusal as refusal:
                assert refusal.rule and len(refusal.message) < 500


# Answers that are kept.

QUESTIONS = st.builds(
    DeliveryFacts,
    activity_type=st.sampled_from(["Create", "Follow", "Delete", "Announce", "Nonsense"]),
    object_type=st.sampled_from([None, "Note", "Question"]),
    visibility=st.sampled_from([None, *Visibility]),
    reach=st.sampled_from([None, LOCAL, PARTNERS]),
    has_media=st.booleans(),
    public_addressed=st.booleans(),
)
STEPS = st.one_of(
    st.tuples(st.sampled_from(["lab.example", "ward.example", "LAB.example.", "stranger.example"]), QUESTIONS),
    st.builds(
        lambda state, direction, media, expires: Partner(
            LAB.domain, state, Terms(direction=direction, media=media), expires_at=expires
        ),
        st.sampled_from(PartnerState),
        st.sampled_from(Direction),
        st.booleans(),
        st.sampled_from([None, Millis(START + 500)]),
    ),
    st.sampled_from([1, 400]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=25))
def test_an_answer_is_the_one_that_would_be_made_now(steps: list[Any]) -> None:
    clock = Clock()
    guard = guard_of(LAB, WARD, clock=clock)
    for step in steps:
        match step:
            case Partner():
                guard.replace(policy_of(step, WARD))
            case int():
                clock.forward(step)
            case (host, facts):
                expected = guard.explain(facts.to_host(host, clock()))
                assert guard.may_read(host, facts) is expected.allowed
                assert guard.may_read(host, facts) is expected.allowed
