"""Three organizations and one that nobody listed: how far posts travel, whatever people and partners do.

The properties draw random sequences of what people, moderators and security officers do, and look at every request
that leaves: what it carries, to whom, and what the policy said at that moment.
"""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fedishare.gateway import Reply
from fedishare.model.partners import PartnerState
from tests.support.internet import PretendInternet
from tests.support.world import Org, Person, World, new_world, plain

HOSTS = ("clinic.example", "lab.example", "care.example")
CLINIC, LAB, CARE = HOSTS
STRANGER = "stranger.example"
PUBLIC = b"https://www.w3.org/ns/activitystreams#Public"
_AS_PUBLIC = re.compile(rb'"(as:)?Public"|#Public')

# A failing story is shown as it is: making it smaller would take many minutes.
PHASES = (Phase.explicit, Phase.generate)


@dataclass
class Three:
    """Three organizations that are each other's partners, two people each; everybody knows everybody."""

    world: World
    orgs: dict[str, Org]
    people: dict[str, Person] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Person:
        return self.people[name]

    async def settle(self) -> None:
        """Until nobody has anything left to do."""
        await self.world.settle()

    async def everybody_follows(self, name: str, *followers: str) -> None:
        """Those follow that person."""
        for follower in followers:
            await self[follower].follow(self[name].handle)
        await self.settle()
        self.world.internet.forget()
        self.world.answers.clear()


NAMES = {CLINIC: ("ana", "amy"), LAB: ("ben", "bea"), CARE: ("cat", "cleo")}


@asynccontextmanager
async def new_three(folder: Path, internet: PretendInternet | None = None, **terms: Any) -> AsyncIterator[Three]:
    """All three agree to the same terms, in their databases."""
    async with new_world(folder) as world:
        world.internet = internet or world.internet
        orgs = {host: await world.org(host) for host in HOSTS}
        orgs[STRANGER] = await world.org(STRANGER, HOSTS)
        made = Three(world, orgs)
        for host, names in NAMES.items():
            for other in HOSTS:
                if other != host:
                    await orgs[host].partner(other, **terms)
            for name in names:
                made.people[name] = await orgs[host].person(name)
        made.people["eve"] = await orgs[STRANGER].person("eve")
        yield made


@pytest.fixture
async def three(tmp_path: Path) -> AsyncIterator[Three]:
    async with new_three(tmp_path) as made:
        yield made


async def test_local_stays_local(three: Three) -> None:
    await three.everybody_follows("ana", "ben", "cat", "amy")
    said = await three["ana"].say("inside 4711", visibility="public")
    named = await three["ana"].say("inside 4712 @ben@lab.example", local_only=True)
    answer = await three["amy"].reply(said["uri"], "inside 4713", reach="partners")
    boost = await three["amy"].on(said["uri"], "reblog")
    await three["ana"].edit(said, "inside 4714")
    await three["amy"].on(said["uri"], "favourite")
    await three["ana"].on(said["uri"], "pin")
    poll = await three["ana"].say("inside 4715", poll={"options": ["a", "b"], "expires_in": 600})
    await three["amy"].do(f"/api/v1/polls/{poll['poll']['id']}/votes", choices=[0])
    await three["ana"].delete(named)
    await three.settle()
    assert [s["reach"] for s in (said, named, answer, boost)] == ["local"] * 4
    assert [u["acct"] for u in named["fedishare"]["unreached"]] == ["ben@lab.example"]
    assert answer["fedishare"]["narrowed"]
    # Not one request left, and nobody else has a row of it.
    assert three.world.internet.sent == []
    for host in (LAB, CARE):
        assert await three.orgs[host].post(said["uri"]) is None
    assert len(await three["amy"].texts()) == 4
    # Nor can a partner read it, by any address.
    for url in (said["uri"], said["url"], answer["uri"], boost["uri"], f"{said['uri']}/activity", named["uri"]):
        assert (await three["ben"].fetch(url)).status == 404, url
    for path in ("outbox", "outbox?page=true", "collections/featured"):
        document = await three["ben"].fetch(f"{three['ana'].iri}/{path}")
        assert document.json.get("totalItems", 0) == 0 and not document.json.get("orderedItems")


async def test_a_post_for_named_partners_goes_to_them_alone(three: Three) -> None:
    await three.everybody_follows("ana", "ben", "cat")
    said = await three["ana"].say("for the lab 4711", reach=[LAB])
    await three.settle()
    assert await three["ben"].texts() == ["for the lab 4711"] and await three["cat"].texts() == []
    assert {s.host for s in three.world.internet.sent} == {LAB}
    assert [(await three[n].fetch(said["uri"])).status for n in ("ben", "cat")] == [200, 404]
    # Whatever follows stays there: edit, boost, answers by others, deletion.
    await three["ana"].edit(said, "for the lab 4712 @cat@care.example")
    boost = await three["amy"].on(said["uri"], "reblog")
    answer = await three["amy"].reply(said["uri"], "@ana @cat@care.example 4713", reach="partners")
    await three["ana"].delete(said)
    await three.settle()
    assert boost["reach"] == answer["reach"] == [LAB]
    assert [u["acct"] for u in answer["fedishare"]["unreached"]] == ["cat@care.example"]
    assert {s.host for s in three.world.internet.sent} == {LAB}
    assert await three["cat"].notifications() == []


async def test_a_mention_outside_the_reach_stays_text_and_the_author_is_told(three: Three) -> None:
    await three["ana"].find("@cat@care.example")
    said = await three["ana"].say("@cat@care.example @ben@lab.example look", reach=[LAB])
    await three.settle()
    assert [m["acct"] for m in said["mentions"]] == ["ben@lab.example"]
    (told,) = said["fedishare"]["unreached"]
    assert told["acct"] == "cat@care.example" and "outside the reach" in told["reason"]
    assert "@cat@care.example" in plain(said) and "care.example/" not in said["content"]
    (create,) = three.world.bodies_to(LAB)
    assert three["cat"].iri not in json.dumps(create)
    assert [b["type"] for b in three.world.bodies_to(CARE)] == []
    assert await three["cat"].notifications() == []
    # The preview says the same beforehand.
    preview = await three["ana"].do(
        "/api/v1/fedishare/audience", status="@cat@care.example @ben@lab.example look", reach=[LAB]
    )
    assert [u["acct"] for u in preview["unreached"]] == ["cat@care.example"]
    assert [(p["domain"], p["people"], p["allowed"]) for p in preview["partners"]] == [(LAB, 1, True)]


async def test_an_answer_goes_back_to_where_the_question_came_from(three: Three) -> None:
    await three["ana"].follow(three["ben"].handle)
    await three.everybody_follows("ana", "cat")
    asked = await three["ben"].say("who knows?", reach="partners")
    await three.settle()
    three.world.internet.forget()
    # An app that knows no reach, and a text that names nobody: the answer arrives all the same, there and nowhere else.
    answer = await three["ana"].reply(asked["uri"], "I do")
    await three.settle()
    assert answer["reach"] == [LAB] and answer["mentions"] == []
    assert {s.host for s in three.world.internet.sent} == {LAB}
    seen = await three["ben"].status(asked["uri"])
    assert seen is not None and seen["replies_count"] == 1
    context = await three["ben"].get(f"/api/v1/statuses/{seen['id']}/context")
    assert [plain(s) for s in context["descendants"]] == ["I do"]
    edited = await three["ana"].edit(answer, "I do, too")
    await three.settle()
    assert plain(edited) == "I do, too"
    context = await three["ben"].get(f"/api/v1/statuses/{seen['id']}/context")
    assert [plain(s) for s in context["descendants"]] == ["I do, too"]


@pytest.mark.spec("R21")
async def test_public_is_written_nowhere_unless_the_terms_allow_it(three: Three, tmp_path: Path) -> None:
    await three.everybody_follows("ana", "ben", "cat")
    await _everything(three)
    sent = [s for s in three.world.internet.sent if s.body]
    assert len(sent) > 10
    assert not _AS_PUBLIC.search(three.world.bytes_out())
    (tmp_path / "frank").mkdir()
    async with new_three(tmp_path / "frank", public_addressing=True) as frank:
        await frank.everybody_follows("ana", "ben", "cat")
        await _everything(frank)
        assert PUBLIC in frank.world.bytes_out()
        assert not re.search(rb'"(as:)?Public"', frank.world.bytes_out())


async def _everything(three: Three) -> None:
    """One of each thing that ana's server would say to partners, and what they read."""
    ana = three["ana"]
    said = await ana.say("hello", reach="partners")
    for visibility in ("public", "unlisted", "private"):
        await ana.say(f"hello {visibility} @ben@lab.example", reach="partners", visibility=visibility)
    await ana.say("lunch?", reach="partners", poll={"options": ["a", "b"], "expires_in": 600})
    await ana.on(said["uri"], "reblog")
    await ana.on(said["uri"], "pin")
    await ana.edit(said, "hello again")
    await ana.do("/api/v1/accounts/update_credentials", 200, "PATCH", note="changed")
    await three.settle()
    for path in ("", "/outbox", "/outbox?page=true", "/collections/featured", "/followers?page=true"):
        assert (await three["ben"].fetch(ana.iri + path)).status == 200
    assert (await three["ben"].fetch(said["uri"])).status == 200
    await ana.on(said["uri"], "unreblog")
    await ana.delete(said)
    await three.settle()


async def test_one_partner_may_hear_public_and_another_not(tmp_path: Path) -> None:
    async with new_world(tmp_path) as world:
        clinic = await world.org(CLINIC, [{"domain": LAB, "public_addressing": True}, CARE])
        lab, care = await world.org(LAB, [CLINIC]), await world.org(CARE, [CLINIC])
        ana, ben, cat = await clinic.person("ana"), await lab.person("ben"), await care.person("cat")
        await ben.follow(ana.handle)
        await cat.follow(ana.handle)
        await world.settle()
        said = await ana.say("hello", reach="partners")
        await world.settle()
        forms = {h: world.bodies_to(h)[-1]["object"]["to"] for h in (LAB, CARE)}
        assert forms == {LAB: [PUBLIC.decode()], CARE: [f"{ana.iri}/followers"]}
        assert (await ben.fetch(said["uri"])).json["to"] == forms[LAB]
        assert (await cat.fetch(said["uri"])).json["to"] == forms[CARE]


async def test_direction_ceiling_types_and_expiry_hold_in_both_ways(tmp_path: Path) -> None:
    async with new_world(tmp_path) as world:
        clinic = await world.org(
            CLINIC, [{"domain": LAB, "ceiling_out": "private"}, {"domain": CARE, "direction": "in"}]
        )
        lab, care = await world.org(LAB, [CLINIC]), await world.org(CARE, [CLINIC])
        ana, ben, cat = await clinic.person("ana"), await lab.person("ben"), await care.person("cat")
        await ben.follow(ana.handle)
        await cat.follow(ana.handle)
        await world.settle()
        # direction in: they may not ask for our posts, so there is no follower there.
        assert not (await cat.relationship(ana.handle))["following"]
        wide = await ana.say("wide 4711", reach="partners")
        narrow = await ana.say("narrow", reach="partners", visibility="private")
        await world.settle()
        assert await ben.texts() == ["narrow"] and await cat.texts() == []
        assert b"4711" not in world.bytes_out()
        # What may not be sent may not be read, nor counted.
        assert [(await ben.fetch(s["uri"])).status for s in (wide, narrow)] == [404, 200]
        assert (await ben.fetch(f"{ana.iri}/outbox")).json["totalItems"] == 0
        assert (await cat.fetch(wide["uri"])).status == 404


# Random sequences


MARK = re.compile(rb"mark[0-9]+x")
POST = re.compile(rb"https://([a-z]+\.example)/users/[a-z]+/statuses/[0-9]+")


@dataclass
class Watched(PretendInternet):
    """Asks, for every request that leaves, whether the sender's policy allows it at this moment."""

    three: Three | None = None
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        PretendInternet.__init__(self)

    async def send(self, method: str, url: str, headers: Any, body: bytes | None, *, permit: Any, limits: Any) -> Reply:
        """One request."""
        sender = self._sender(headers)
        if sender is not None:
            guard = sender.server.instance.guard
            partner = guard.policy.find(permit.host)[1]
            if partner is None or partner.state is not PartnerState.ACTIVE or not guard.holds(permit):
                self.wrong.append(f"{sender.host} → {method} {url}: not allowed at this moment")
        return await super().send(method, url, headers, body, permit=permit, limits=limits)

    def _sender(self, headers: Any) -> Org | None:
        agent = next((v for k, v in headers.items() if k.lower() == "user-agent"), "")
        found = re.search(r"\+https://([a-z.]+)\)", agent)
        return self.three.orgs[found[1]] if self.three is not None and found else None


@dataclass
class Ledger:
    """The test's own bookkeeping: which hosts each post may reach, kept apart from the code under test."""

    home: dict[str, str] = field(default_factory=dict)
    reach: dict[str, frozenset[str]] = field(default_factory=dict)
    marks: dict[bytes, str] = field(default_factory=dict)
    private: dict[str, bool] = field(default_factory=dict)

    def add(self, iri: str, host: str, wanted: frozenset[str], parent: str | None, mark: bytes | None) -> None:
        """A new post: never further than what it answers."""
        if parent is not None:
            limit = self.reach[parent] if self.home[parent] == host else frozenset({self.home[parent]})
            wanted = wanted & limit
        self.home[iri], self.reach[iri] = host, wanted - {host}
        if mark is not None:
            self.marks[mark] = iri

    def faults(self, sender: str, receiver: str, data: bytes) -> list[str]:
        """What in these bytes should not have gone from one to the other."""
        named = {self.marks[m] for m in MARK.findall(data) if m in self.marks}
        named |= {m.group().decode() for m in POST.finditer(data)} & set(self.home)
        return [
            f"{sender} → {receiver}: {iri} of {self.home[iri]} (reach {sorted(self.reach[iri])})"
            for iri in named
            if receiver != self.home[iri] and not (sender == self.home[iri] and receiver in self.reach[iri])
        ]


PEOPLE = tuple(name for names in NAMES.values() for name in names)
WHO = st.sampled_from(PEOPLE)
REACHES: dict[str, Any] = {"local": "local", "partners": "partners", LAB: [LAB], CARE: [CARE], CLINIC: [CLINIC]}
HOST = st.sampled_from(HOSTS)
VISIBILITIES = ["public", "unlisted", "private", "direct"]
ANSWER = st.tuples(st.sampled_from(["reply", "reblog"]), WHO, st.sampled_from(["partners", ""]), WHO)
OPERATIONS = st.one_of(
    st.tuples(st.just("thread"), WHO, st.sampled_from(sorted(REACHES)), st.sampled_from(VISIBILITIES[:2]),
              st.lists(ANSWER, min_size=1, max_size=5)),
    st.tuples(st.just("say"), WHO, st.sampled_from(sorted(REACHES)), st.sampled_from(VISIBILITIES), WHO),
    st.tuples(st.just("reply"), WHO, st.integers(0, 9), st.sampled_from([*sorted(REACHES), ""]), WHO),
    st.tuples(st.sampled_from(["reblog", "favourite", "unreblog", "pin"]), WHO, st.integers(0, 9)),
    st.tuples(st.just("edit"), st.integers(0, 9), WHO),
    st.tuples(st.just("delete"), st.integers(0, 9)),
    st.tuples(st.sampled_from(["follow", "unfollow", "block", "unblock"]), WHO, WHO),
    st.tuples(st.sampled_from(["pause", "resume", "end", "down", "heal"]), HOST, HOST),
    st.tuples(st.just("settle")),
)  # fmt: skip


class Story:
    """Plays a sequence of operations and keeps the ledger."""

    def __init__(self, three: Three) -> None:
        self.three = three
        self.ledger = Ledger()
        self.posts: list[tuple[Person, dict[str, Any]]] = []
        self.numbers = 0

    def mark(self) -> bytes:
        """A word that is in one post only."""
        self.numbers += 1
        return f"mark{self.numbers}x".encode()

    def at(self, number: int) -> tuple[Person, dict[str, Any]] | None:
        """One of the posts so far."""
        return self.posts[number % len(self.posts)] if self.posts else None

    async def play(self, operation: tuple[Any, ...]) -> None:
        """One operation; what is refused is refused."""
        verb, *rest = operation
        if verb == "settle":
            await self.three.settle()
        elif verb == "say":
            await self.say(*rest)
        elif verb == "thread":
            await self.thread(*rest)
        elif verb == "reply":
            await self.reply(*rest)
        elif verb in ("reblog", "favourite", "unreblog", "pin"):
            await self.touch(verb, *rest)
        elif verb in ("edit", "delete"):
            await self.change(verb, *rest)
        elif verb in ("follow", "unfollow", "block", "unblock"):
            await self.relate(verb, *rest)
        else:
            await self.govern(verb, *rest)

    async def _publish(self, author: Person, body: dict[str, Any], reach: str, parent: str | None, mark: bytes) -> None:
        answer = await author.client.post("/api/v1/statuses", json=body)
        assert answer.status_code in (200, 404, 422), answer.text
        if answer.status_code == 200:
            wanted = {"local": frozenset(), "partners": frozenset(HOSTS), "": frozenset(HOSTS)}.get(reach, {reach})
            self.ledger.add(answer.json()["uri"], author.org.host, frozenset(wanted), parent, mark)
            self.posts.append((author, answer.json()))

    async def say(self, who: str, reach: str, visibility: str, named: str) -> None:
        author, mark = self.three[who], self.mark()
        text = f"{mark.decode()} @{self.three[named].handle}"
        body = {"status": text, "reach": REACHES[reach], "visibility": visibility}
        await self._publish(author, body, reach, None, mark)

    async def reply(self, who: str, number: int, reach: str, named: str) -> None:
        author, chosen, mark = self.three[who], self.at(number), self.mark()
        known = await author.org.post(chosen[1]["uri"]) if chosen else None
        if chosen is None or known is None:
            return
        body = {"status": f"{mark.decode()} @{self.three[named].handle}", "in_reply_to_id": str(known.id)}
        body |= {"reach": REACHES[reach]} if reach else {}
        await self._publish(author, body, reach, chosen[1]["uri"], mark)

    async def thread(self, who: str, reach: str, visibility: str, answers: list[tuple[str, str, str, str]]) -> None:
        """A post that arrives, and what others make of it and of each other's answers."""
        await self.say(who, reach, visibility, "cleo")
        for verb, answerer, wanted, named in answers:
            await self.three.settle()
            if verb == "reply":
                await self.reply(answerer, -1, wanted, named)
            else:
                await self.touch("reblog", answerer, -1)

    async def touch(self, verb: str, who: str, number: int) -> None:
        person, chosen = self.three[who], self.at(number)
        known = await person.org.post(chosen[1]["uri"]) if chosen else None
        if chosen is None or known is None:
            return
        answer = await person.client.post(f"/api/v1/statuses/{known.id}/{verb}")
        assert answer.status_code in (200, 403, 404, 422), answer.text
        if verb == "reblog" and answer.status_code == 200:
            iri = answer.json()["uri"].removesuffix("/activity")
            self.ledger.add(iri, person.org.host, frozenset(HOSTS), chosen[1]["uri"], None)

    async def change(self, verb: str, number: int, named: str = "ana") -> None:
        chosen = self.at(number)
        if chosen is None:
            return
        author, status = chosen
        path = f"/api/v1/statuses/{status['id']}"
        if verb == "delete":
            answer = await author.client.delete(path)
        else:
            mark = self.mark()
            self.ledger.marks[mark] = status["uri"]
            answer = await author.client.put(path, json={"status": f"{mark.decode()} @{self.three[named].handle}"})
        assert answer.status_code in (200, 404, 422), answer.text

    async def relate(self, verb: str, who: str, whom: str) -> None:
        person, other = self.three[who], self.three[whom]
        if person is other:
            return
        found = await person.client.get(
            "/api/v2/search", params={"q": other.handle, "resolve": "true", "type": "accounts"}
        )
        if found.status_code != 200 or not found.json()["accounts"]:
            return
        ident = found.json()["accounts"][0]["id"]
        answer = await person.client.post(f"/api/v1/accounts/{ident}/{verb}")
        assert answer.status_code in (200, 403, 404, 422), answer.text

    async def govern(self, verb: str, host: str, other: str) -> None:
        if verb in ("down", "heal"):
            self.three.world.internet.down(host, verb == "down")
        elif host != other:
            states = {"pause": PartnerState.PAUSED, "resume": PartnerState.ACTIVE, "end": PartnerState.ENDED}
            await self.three.orgs[host].set_partner(other, states[verb])

    async def probe(self) -> None:
        """Partners' people and the stranger read all that there is to read."""
        urls = [s["uri"] for _, s in self.posts] + [f"{self.three[n].iri}/outbox?page=true" for n in PEOPLE]
        for reader in ("ana", "ben", "cat", "eve"):
            person = self.three[reader]
            for url in urls:
                if person.org.host in url:
                    continue
                said = await person.fetch(url)
                assert self.ledger.faults(said.host, person.org.host, said.body) == []


async def _run(operations: list[tuple[Any, ...]], **terms: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        watched = Watched()
        async with new_three(Path(folder), watched, **terms) as three:
            watched.three = three
            for name in ("ana", "ben", "cat"):
                await three.everybody_follows(name, *({"ana", "ben", "cat", "cleo"} - {name}))
            story = Story(three)
            for operation in operations:
                await story.play(operation)
            three.world.internet.down(STRANGER, False)
            for host in HOSTS:
                three.world.internet.down(host, False)
            await three.settle()
            three.world.clock.forward(3_600_000)
            for org in three.orgs.values():
                org.server.worker.wake()
            await three.settle()
            await story.probe()
            assert watched.wrong == []
            assert STRANGER not in watched.dns_lookups
            for sent in watched.sent:
                sender = watched._sender(sent.headers)
                assert sender is not None
                data = sent.url.encode() + b"\n" + (sent.body or b"")
                assert story.ledger.faults(sender.host, sent.host, data) == []


@settings(max_examples=10, deadline=None, phases=PHASES, suppress_health_check=list(HealthCheck))
@given(st.lists(OPERATIONS, min_size=3, max_size=10))
def test_nothing_ever_goes_further_than_its_reach(operations: list[tuple[Any, ...]]) -> None:
    asyncio.run(_run(operations))


@settings(max_examples=5, deadline=None, phases=PHASES, suppress_health_check=list(HealthCheck))
@given(st.lists(OPERATIONS, min_size=3, max_size=10))
def test_nor_where_the_terms_let_posts_be_called_public(operations: list[tuple[Any, ...]]) -> None:
    asyncio.run(_run(operations, public_addressing=True))
