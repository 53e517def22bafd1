"""Whatever people, partners and officers do, in whatever order: each request that leaves is allowed when it leaves.

A model beside the code keeps how far each post may go by the words of the rules: a reply or a boost never reaches
further than what it answers, and what a partner wrote is answered towards that partner alone. Between the steps hosts
go down, time passes and terms change, so that most of what is sent was queued under other circumstances (INV-7).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedishare.gateway import Reply, WireLimits
from fedishare.guard import Permit
from fedishare.model.actors import Actor
from fedishare.model.errors import FedishareError
from fedishare.model.ids import Domain, Id, Iri
from fedishare.model.partners import Partner, PartnerState, Terms
from fedishare.model.posts import LOCAL, PARTNERS, Content, Draft, Post, PostKind, Reach, RemotePost, Visibility
from fedishare.services import accounts, governance, interactions, relations
from fedishare.services import posts as post_services
from fedishare.store import actors, partners, posts
from fedishare.store import relations as relation_store
from fedishare.store.db import sql
from fedishare.store.jobs import JobState
from tests.support.builders import Us, server
from tests.support.clock import Clock
from tests.support.internet import PretendInternet
from tests.support.sending import deliveries, follower, known, sending

HOSTS = ("peer.example", "third.example")
EVERYBODY = frozenset(HOSTS)
REACHES = {
    "local": LOCAL,
    "partners": PARTNERS,
    "peer": Reach(frozenset({Domain(HOSTS[0])})),
    "third": Reach(frozenset({Domain(HOSTS[1])})),
}
Step = tuple[Any, ...]
PEOPLE_AT = sql("test_people_at", "SELECT id FROM actor WHERE host = :host")


@dataclass
class Rule:
    """How far a post may go and who may see it, as the rules say."""

    hosts: frozenset[str]
    visibility: Visibility


@dataclass
class Model:
    """What may leave. Every request is judged when it leaves, and what is wrong is kept."""

    rules: dict[str, Rule] = field(default_factory=dict)
    tried: set[tuple[str, str]] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    sent: int = 0


class Watched(PretendInternet):
    """An internet that judges each request at the moment it leaves."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.us: Us | None = None

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, *, permit: Permit,
        limits: WireLimits,
    ) -> Reply:  # fmt: skip
        """One request."""
        if method == "POST" and self.us is not None:
            problem = judge(self.us, self.model, permit.host, url, json.loads(body or b"{}"))
            self.model.sent += 1
            if problem:
                self.model.wrong.append(f"{problem}: {(body or b'')[-900:]!r}")
        return await super().send(method, url, headers, body, permit=permit, limits=limits)


def judge(us: Us, model: Model, host: str, url: str, activity: dict[str, Any]) -> str | None:
    """What is wrong with this request now, by the rules alone; None when it may go."""
    partner = us.instance.guard.policy.find(host)[1]
    if partner is None or partner.state is not PartnerState.ACTIVE:
        return f"{host} is no active partner"
    kind, inner = activity["type"], activity["object"]
    if kind in ("Accept", "Reject", "Block", "Follow", "Like"):
        return None
    if kind == "Undo" and inner["type"] != "Announce":
        return None
    target = inner["object"] if kind == "Undo" else inner if isinstance(inner, str) else inner["id"]
    rule = model.rules.get(target)
    if rule is None:
        return None if target.startswith(us.names.origin + "/users/") and "statuses" not in target else "unknown post"
    if host not in rule.hosts:
        return f"{kind} leaves for {host}, which it must not reach"
    if kind in ("Delete", "Undo"):
        return None
    if rule.visibility < partner.terms.ceiling_out:
        return f"{rule.visibility.word} is above the ceiling of {host}"
    return _judge_people(us, rule, host, url, kind, target, activity)


def _judge_people(
    us: Us, rule: Rule, host: str, url: str, kind: str, target: str, activity: dict[str, Any]
) -> str | None:
    post = us.database.read_now(posts.by_iri, target)
    author = us.database.read_now(actors.by_iri, activity["actor"])
    if post is None:
        return f"{kind} of a post that is deleted"
    if author is None or author.state >= 2:
        return f"{kind} of somebody who is suspended"
    follows = us.database.read_now(relation_store.has_follower_at, author.id, Domain(host))
    named = us.database.read_now(_named_at, post, host)
    if rule.visibility is Visibility.DIRECT:
        return None if named and not url.endswith(f"{host}/inbox") else "a direct post for nobody there"
    if kind == "Announce":
        named = named or post.author_id in us.database.read_now(_people_at, host)
    return None if follows or named else f"{kind} for nobody at {host}"


def _named_at(tx: Any, post: Post, host: str) -> bool:
    people = actors.by_ids(tx, posts.mentioned_ids(tx, post.id)).values()
    return any(p.host == host and not relation_store.is_blocked(tx, post.author_id, p.id) for p in people)


def _people_at(tx: Any, host: str) -> set[Id]:
    return {Id(row[0]) for row in tx.all(PEOPLE_AT, host=host)}


# What can happen.

authors = st.sampled_from(["ana", "amy"])
others = st.sampled_from(["ben", "eva"])
visibilities = st.sampled_from(list(Visibility))
reaches = st.sampled_from(sorted(REACHES))
numbers = st.integers(0, 7)
hosts = st.sampled_from(HOSTS)
mentions = st.sampled_from(["", " @ben@peer.example", " @eva@third.example", " @ben@peer.example @eva@third.example"])

steps = st.one_of(
    st.tuples(st.just("post"), authors, visibilities, reaches, mentions),
    st.tuples(st.just("reply"), authors, numbers, visibilities, reaches, mentions),
    st.tuples(st.just("boost"), authors, numbers),
    st.tuples(st.just("unboost"), authors, numbers),
    st.tuples(st.just("edit"), numbers, mentions),
    st.tuples(st.just("delete"), numbers),
    st.tuples(st.just("receive"), others, visibilities),
    st.tuples(st.just("follow"), others, authors),
    st.tuples(st.just("unfollow"), others, authors),
    st.tuples(st.just("block"), authors, others),
    st.tuples(st.just("suspend"), authors),
    st.tuples(st.just("state"), hosts, st.sampled_from(list(PartnerState))),
    st.tuples(st.just("ceiling"), hosts, visibilities),
    st.tuples(st.just("down"), hosts),
    st.tuples(st.just("up"), hosts),
    st.tuples(st.just("later"), st.sampled_from([1, 60, 600])),
    st.tuples(st.just("work")),
    st.tuples(st.just("work")),
)


class Story:
    """One run of steps on one instance."""

    def __init__(self, us: Us, internet: Watched, people: dict[str, Actor]) -> None:
        self.us, self.internet, self.people = us, internet, people
        self.made: list[Post] = []
        self.received = 0

    async def step(self, step: Step) -> None:
        """Do it; what the services refuse simply does not happen."""
        with contextlib.suppress(FedishareError):
            await getattr(self, f"_{step[0]}")(*step[1:])

    async def _publish(self, author: str, draft: Draft, answered: Post | None) -> None:
        made = await self.us.write(post_services.publish, self.us.site, self.people[author], draft)
        post: Post = made.post
        assert draft.reach is not None
        hosts = _hosts(draft.reach)
        visibility = draft.visibility or Visibility.PUBLIC
        if answered is not None:
            rule = self.internet.model.rules[answered.iri]
            hosts, visibility = hosts & rule.hosts, max(visibility, rule.visibility)
        self.internet.model.rules[post.iri] = Rule(hosts, visibility)
        self.made.append(post)

    async def _post(self, author: str, visibility: Visibility, reach: str, mention: str) -> None:
        await self._publish(author, Draft(f"hello{mention}", visibility, REACHES[reach]), None)

    async def _reply(self, author: str, number: int, visibility: Visibility, reach: str, mention: str) -> None:
        answered = self._one(number)
        if answered is not None:
            draft = Draft(f"so{mention}", visibility, REACHES[reach], in_reply_to_id=answered.id)
            await self._publish(author, draft, answered)

    async def _boost(self, author: str, number: int) -> None:
        post = self._one(number)
        if post is not None:
            await self.us.write(interactions.boost, self.us.site, self.people[author], post.id)

    async def _unboost(self, author: str, number: int) -> None:
        post = self._one(number)
        if post is not None:
            await self.us.write(interactions.unboost, self.people[author], post.id)

    async def _edit(self, number: int, mention: str) -> None:
        post = self._one(number)
        author = next((p for p in self.people.values() if post and p.id == post.author_id and p.is_local), None)
        if post is not None and author is not None:
            await self.us.write(post_services.edit, self.us.site, author, post.id, Draft(f"changed{mention}"))

    async def _delete(self, number: int) -> None:
        post = self._one(number)
        author = next((p for p in self.people.values() if post and p.id == post.author_id and p.is_local), None)
        if post is not None and author is not None:
            await self.us.write(post_services.remove, author, post.id)

    async def _receive(self, other: str, visibility: Visibility) -> None:
        author = self.people[other]
        self.received += 1
        iri = Iri(f"{author.iri}/notes/{self.received}")
        note = RemotePost(
            iri, iri, author.iri, PostKind.NOTE, visibility, Content("<p>theirs</p>"), self.us.clock(), None, None,
            mention_iris=(self.people["ana"].iri,),
        )  # fmt: skip
        made = await self.us.write(post_services.receive, self.us.site, author, note)
        if made is not None:
            self.internet.model.rules[iri] = Rule(frozenset({str(author.host)}), visibility)
            self.made.append(made)

    async def _follow(self, other: str, author: str) -> None:
        await follower(self.us, str(self.people[other].host), other, self.people[author])

    async def _unfollow(self, other: str, author: str) -> None:
        await self.us.write(relations.receive_unfollow, self.people[other], self.people[author].id)

    async def _block(self, author: str, other: str) -> None:
        await self.us.write(relations.block, self.us.site, self.people[author], self.people[other].id)

    async def _suspend(self, author: str) -> None:
        await self.us.write(accounts.suspend, self.people[author], "test")

    async def _state(self, host: str, state: PartnerState) -> None:
        partner = await self.us.database.read(partners.get, Domain(host))
        assert partner is not None
        await self.us.write(governance.set_partner_state, partner, state, "test")
        await self.us.reload()

    async def _ceiling(self, host: str, visibility: Visibility) -> None:
        partner = await self.us.database.read(partners.get, Domain(host))
        assert partner is not None
        terms = replace(partner.terms, ceiling_out=visibility)
        await self.us.write(governance.change_partner, replace(partner, terms=terms), "test")
        await self.us.reload()

    async def _down(self, host: str) -> None:
        self.internet.down(host)

    async def _up(self, host: str) -> None:
        self.internet.down(host, False)

    async def _later(self, minutes: int) -> None:
        self.us.clock.forward(minutes * 60_000)

    async def _work(self) -> None:
        async with sending(self.us) as worker:
            await worker.idle()

    def _one(self, number: int) -> Post | None:
        return self.made[-1 - number % len(self.made)] if self.made else None


def _hosts(reach: Reach) -> frozenset[str]:
    return EVERYBODY if reach.domains is None else frozenset(map(str, reach.domains))


async def _tell(story_steps: list[Step]) -> Model:
    internet = Watched()
    with tempfile.TemporaryDirectory() as folder:
        async with server(Path(folder), internet, partners=[], clock=Clock()) as us:
            for host in HOSTS:
                internet.answer(host, 202)
                made = Partner(Domain(host), reason="test", terms=Terms())
                await us.write(governance.add_partner, made, "test")
            await us.reload()
            people = {name: await us.person(name) for name in ("ana", "amy")}
            people["ben"] = await known(us, HOSTS[0], "ben")
            people["eva"] = await known(us, HOSTS[1], "eva")
            internet.us = us
            story = Story(us, internet, people)
            for name in ("ben", "eva"):
                await story.step(("follow", name, "ana"))
            for step in story_steps:
                await story.step(step)
            for host in HOSTS:
                await story.step(("up", host))
            await story.step(("later", 600))
            await story.step(("work",))
            assert set(internet.dns_lookups) <= EVERYBODY, "only partners are ever looked up"
            # INV-3, INV-5: everything on the books has ended with a cause, or waits.
            for row in await deliveries(us):
                assert row.state is not JobState.RUNNING
                assert row.state in (JobState.DONE, JobState.QUEUED) or row.last_error
    return internet.model


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, min_size=4, max_size=30))
def test_each_request_that_leaves_is_allowed_when_it_leaves(story: list[Step]) -> None:
    model = asyncio.run(_tell(story))
    assert model.wrong == []


@pytest.mark.parametrize(
    ("story", "sent"),
    [
        ([("post", "ana", Visibility.PUBLIC, "partners", "")], 2),
        ([("post", "ana", Visibility.PUBLIC, "peer", ""), ("reply", "amy", 0, Visibility.PUBLIC, "partners", "")], 1),
        ([("receive", "ben", Visibility.PUBLIC), ("boost", "ana", 0)], 1),
        ([("post", "ana", Visibility.PUBLIC, "partners", ""), ("state", HOSTS[0], PartnerState.ENDED)], 1),
        ([("post", "ana", Visibility.PUBLIC, "partners", ""), ("unfollow", "eva", "ana")], 1),
        ([("post", "ana", Visibility.PUBLIC, "local", " @ben@peer.example")], 0),
    ],
)
async def test_the_property_is_not_empty(story: list[Step], sent: int) -> None:
    """The same machinery, with stories whose outcome is known: what may leave does leave."""
    model = await _tell(story)
    assert model.wrong == []
    assert model.sent == sent
