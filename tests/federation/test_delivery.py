"""Delivery: what leaves, what comes of each answer, and that everything is asked again at the moment of sending."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fedishare.activitypub.addressing import followers_digest
from fedishare.activitypub.keys import load_public_pem
from fedishare.activitypub.signatures import RawRequest, parse, verify
from fedishare.gateway import Reply
from fedishare.housekeeping import Housekeeping
from fedishare.jobs import Worker
from fedishare.model.actors import Actor
from fedishare.model.errors import PolicyRefusal, SignatureError
from fedishare.model.ids import Domain, Millis
from fedishare.model.partners import Partner, PartnerState
from fedishare.model.posts import Draft, Visibility
from fedishare.services import accounts, governance, relations
from fedishare.services import posts as post_services
from fedishare.store import actors, jobs, partners
from fedishare.store.db import open_database
from fedishare.store.jobs import JobRow, JobState
from tests.support.builders import Us, key_pair, server
from tests.support.clock import DAY, HOUR, MINUTE, SECOND, Clock
from tests.support.internet import PretendInternet
from tests.support.peer import PeerServer
from tests.support.sending import deliveries, follower, followers, kill, kinds, known, remote, sending, until, worker_of


@pytest.fixture
async def worker(us: Us) -> AsyncIterator[Worker]:
    """Our worker."""
    async with sending(us) as running:
        yield running


@pytest.fixture
async def ana(us: Us) -> Actor:
    """Somebody of ours, with the first of the test keys."""
    return await us.person("ana")


@pytest.fixture
async def ben(us: Us, ana: Actor) -> Actor:
    """Somebody at peer.example who follows ana."""
    return await follower(us, "peer.example", "ben", ana)


async def only(us: Us) -> JobRow:
    """The one delivery on the books."""
    (row,) = await deliveries(us)
    return row


def check_signature(headers: Mapping[str, str], path: str, body: bytes, us: Us) -> str:
    """Verify as a peer would; the scheme."""
    request = RawRequest("POST", path, "https://peer.example", {"host": "peer.example", **headers}, body)
    claim = parse(request)
    public = key_pair(1).rsa_public
    verify(claim, request, load_public_pem(public), now=us.clock())
    return claim.scheme


class Picky:
    """A peer that takes one signature scheme and answers ``refusal`` to the other."""

    def __init__(self, us: Us, scheme: str, refusal: int) -> None:
        self.us, self.scheme, self.refusal = us, scheme, refusal
        self.seen: list[tuple[str, int]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI."""
        headers = {k.decode(): v.decode("latin-1") for k, v in scope["headers"]}
        body = (await receive())["body"]
        try:
            found = check_signature(headers, scope["path"], body, self.us)
        except SignatureError:
            found = "none"
        status = 202 if found == self.scheme else self.refusal
        self.seen.append((found, status))
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})


# What leaves.


@pytest.mark.spec("R7", "R4")
async def test_a_delivery_is_signed_over_target_host_date_and_digest(
    us: Us, internet: PretendInternet, peer: PeerServer, worker: Worker, ana: Actor, ben: Actor
) -> None:
    await us.post(ana, "hello")
    await worker.idle()
    (sent,) = internet.to("peer.example", "POST")
    assert sent.headers["content-type"] == "application/activity+json"
    assert check_signature(sent.headers, sent.path, sent.body or b"", us) == "cavage"
    covered = sent.headers["signature"].partition('headers="')[2].partition('"')[0].split()
    assert covered == ["(request-target)", "host", "date", "digest", "content-type"]
    with pytest.raises(SignatureError):
        check_signature(sent.headers, sent.path, (sent.body or b"") + b" ", us)
    row = await only(us)
    assert (row.state, row.status, row.rule, row.revision) == (JobState.DONE, 202, "partner", 1)


@pytest.mark.spec("R54", "R55")
@pytest.mark.parametrize("refusal", [400, 401, 403, 500])
async def test_the_other_signature_scheme_is_tried_at_once_and_remembered_for_days(
    us: Us, internet: PretendInternet, worker: Worker, ana: Actor, ben: Actor, clock: Clock, refusal: int
) -> None:
    picky = Picky(us, "rfc9421", refusal)
    internet.add("peer.example", picky)
    for _ in range(3):
        await us.post(ana, "hello")
        await worker.idle()
    assert picky.seen == [("cavage", refusal), ("rfc9421", 202), ("rfc9421", 202), ("rfc9421", 202)]
    assert {row.state for row in await deliveries(us)} == {JobState.DONE}
    clock.forward(8 * DAY)
    await us.post(ana, "hello")
    await worker.idle()
    assert [scheme for scheme, _ in picky.seen[4:]] == ["cavage", "rfc9421"], "asked anew after a week"


async def test_a_fault_of_a_host_whose_scheme_is_known_is_not_knocked_at_twice(
    us: Us, internet: PretendInternet, peer: PeerServer, worker: Worker, ana: Actor, ben: Actor
) -> None:
    await us.post(ana, "hello")
    await worker.idle()
    internet.forget()
    internet.answer("peer.example", 500)
    await us.post(ana, "again")
    await worker.idle()
    assert len(internet.sent) == 1


@pytest.mark.spec("R119")
async def test_what_goes_to_followers_says_which_followers_we_know_there(
    us: Us, internet: PretendInternet, peer: PeerServer, worker: Worker, ana: Actor, ben: Actor
) -> None:
    cleo = await follower(us, "peer.example", "cleo", ana)
    await follower(us, "third.example", "eva", ana)
    await us.post(ana, "hello")
    await us.post(ana, "psst @ben@peer.example", visibility=Visibility.DIRECT)
    await worker.idle()
    to_followers, direct = sorted(internet.to("peer.example", "POST"), key=lambda sent: sent.path)
    digest = followers_digest([ben.iri, cleo.iri])
    assert to_followers.headers["collection-synchronization"] == (
        f'collectionId="{ana.iri}/followers", url="{ana.iri}/followers_synchronization", digest="{digest}"'
    )
    assert "collection-synchronization" not in direct.headers
    await us.write(relations.receive_unfollow, cleo, ana.id)
    internet.forget()
    await us.post(ana, "hello")
    await worker.idle()
    assert followers_digest([ben.iri]) in internet.to("peer.example")[0].headers["collection-synchronization"]


# What comes of each answer.


@pytest.mark.spec("R23")
@pytest.mark.parametrize(
    ("status", "headers", "state", "wait"),
    [
        (200, {}, JobState.DONE, 0),
        (202, {}, JobState.DONE, 0),
        (301, {"location": "https://elsewhere.example/"}, JobState.DEAD, 0),
        (400, {}, JobState.DEAD, 0),
        (401, {}, JobState.QUEUED, 60),
        (403, {}, JobState.QUEUED, 60),
        (404, {}, JobState.DEAD, 0),
        (405, {}, JobState.DEAD, 0),
        (408, {}, JobState.QUEUED, 60),
        (410, {}, JobState.DEAD, 0),
        (413, {}, JobState.DEAD, 0),
        (422, {}, JobState.DEAD, 0),
        (429, {"retry-after": "300"}, JobState.QUEUED, 300),
        (429, {}, JobState.QUEUED, 60),
        (500, {}, JobState.QUEUED, 60),
        (502, {}, JobState.QUEUED, 60),
        (503, {"retry-after": "300"}, JobState.QUEUED, 300),
        (503, {}, JobState.QUEUED, 60),
    ],
)
async def test_each_answer_in_turn(
    us: Us, internet: PretendInternet, peer: PeerServer, worker: Worker, ana: Actor, ben: Actor, clock: Clock,
    status: int, headers: dict[str, str], state: JobState, wait: int,
) -> None:  # fmt: skip
    internet.answer("peer.example", status, b"some words", headers)
    await us.post(ana, "hello")
    await worker.idle()
    row = await only(us)
    assert (row.state, row.status, row.attempts) == (state, status, 1)
    if state is not JobState.DONE:
        assert str(status) in (row.last_error or "")
    if state is JobState.QUEUED:
        assert row.run_at - clock.now == wait * SECOND
        internet.heal("peer.example")
        clock.forward(wait * SECOND)
        worker.wake()
        await worker.idle()
        assert (await only(us)).state is JobState.DONE
        assert kinds(peer) == ["Create"]
    assert "elsewhere.example" not in internet.dns_lookups


@pytest.mark.spec("R23")
async def test_a_peer_that_cannot_be_reached_or_resets_gets_it_later_and_once(
    us: Us, internet: PretendInternet, peer: PeerServer, worker: Worker, ana: Actor, ben: Actor, clock: Clock
) -> None:
    internet.down("peer.example")
    await us.post(ana, "hello")
    await worker.idle()
    row = await only(us)
    assert (row.state, row.status) == (JobState.QUEUED, None)
    assert "connection refused" in (row.last_error or "")
    internet.heal("peer.example")
    internet.resets("peer.example")
    clock.forward(MINUTE)
    worker.wake()
    await worker.idle()
    internet.heal("peer.example")
    clock.forward(HOUR)
    worker.wake()
    await worker.idle()
    assert (await only(us)).attempts == 3
    assert {activity["id"] for activity in peer.received} == {peer.received[0]["id"]}, "the same one, for the receiver"


@pytest.mark.spec("R23")
async def test_a_shared_inbox_that_is_gone_is_forgotten(
    us: Us, internet: PretendInternet, peer: PeerServer, worker: Worker, ana: Actor, ben: Actor
) -> None:
    internet.answer("peer.example", 410, times=1)
    await us.post(ana, "hello")
    await worker.idle()
    assert (await us.actor(ben.iri)).endpoints.shared_inbox is None
    await us.post(ana, "again")
    await worker.idle()
    assert [sent.path for sent in internet.to("peer.example")] == ["/inbox", "/users/ben/inbox"]
    internet.answer("peer.example", 410, times=1)
    await us.post(ana, "and again")
    await worker.idle()
    assert (await us.actor(ana.iri)).followers_count == 0, "who is gone for good follows nobody"


# Everything is asked again at the moment of sending.


async def queued(us: Us, author: Actor, **draft: Any) -> Any:
    """A post whose deliveries are queued and not sent: the internet is down until the caller heals it."""
    us.internet.down("peer.example")
    async with sending(us) as worker:
        post = await us.post(author, draft.pop("text", "hello"), **draft)
        await worker.idle()
    assert {row.state for row in await deliveries(us)} == {JobState.QUEUED}
    us.internet.heal("peer.example")
    us.internet.forget()
    us.clock.forward(HOUR)
    return post


async def send_what_waits(us: Us) -> None:
    """Let the worker have a go."""
    async with sending(us) as worker:
        await worker.idle()


@pytest.mark.parametrize("how", ["unfollow", "block", "delete", "suspend", "gone", "nothing"])
async def test_what_changed_meanwhile_counts(us: Us, peer: PeerServer, ana: Actor, ben: Actor, how: str) -> None:
    post = await queued(us, ana)
    reasons = {
        "unfollow": "nobody there follows the author any more",
        "block": "nobody there follows the author any more",
        "delete": "the post was deleted before it was sent",
        "suspend": "the author is suspended or gone",
        "gone": "nobody there follows the author any more",
        "nothing": None,
    }
    match how:
        case "unfollow":
            await us.write(relations.receive_unfollow, ben, ana.id)
        case "block":
            await us.write(relations.block, us.site, ana, ben.id)
        case "delete":
            await us.write(post_services.remove, ana, post.id)
        case "suspend":
            await us.write(accounts.suspend, ana, "cli")
        case "gone":
            await us.write(accounts.suspend, ben, "cli")
    await send_what_waits(us)
    row = (await us.database.read(jobs.of_post, post.id))[0]
    assert ("Create" in kinds(peer)) is (how == "nothing")
    assert row.state is (JobState.DONE if how == "nothing" else JobState.CANCELLED)
    assert row.last_error == reasons[how]


@pytest.mark.spec("R45")
async def test_a_named_person_who_was_blocked_meanwhile_gets_nothing(us: Us, peer: PeerServer, ana: Actor) -> None:
    dan = await known(us, "peer.example", "dan")
    post = await queued(us, ana, text="hello @dan@peer.example", visibility=Visibility.DIRECT)
    await us.write(relations.block, us.site, ana, dan.id)
    await send_what_waits(us)
    (row,) = await us.database.read(jobs.of_post, post.id)
    assert (row.state, row.last_error) == (JobState.CANCELLED, "the recipient is blocked, or blocks the author")
    assert "Create" not in kinds(peer)


async def test_one_of_many_followers_is_enough(us: Us, peer: PeerServer, ana: Actor) -> None:
    """The delivery names some of them; when all of those are gone, the others are looked for."""
    people = [await follower(us, "peer.example", f"p{n}", ana) for n in range(12)]
    await queued(us, ana)
    for person in people[:11]:
        await us.write(relations.receive_unfollow, person, ana.id)
    await send_what_waits(us)
    assert kinds(peer) == ["Create"]


async def set_partner(us: Us, state: PartnerState, domain: str = "peer.example") -> None:
    """As the command line does it."""
    partner = await us.database.read(partners.get, Domain(domain))
    await us.write(governance.set_partner_state, partner or Partner(Domain(domain), reason="test"), state, "cli")


@pytest.fixture
async def listed(us: Us, ana: Actor) -> Actor:
    """Somebody who follows ana from a partner of the database (those of the file cannot be changed)."""
    await us.write(governance.add_partner, Partner(Domain("db.example"), reason="test"), "cli")
    await us.reload()
    return await follower(us, "db.example", "dora", ana)


async def test_an_ended_partner_gets_nothing_and_nothing_connects_to_it(
    us: Us, internet: PretendInternet, ana: Actor, listed: Actor
) -> None:
    database = PeerServer(internet, "db.example", us)
    internet.down("db.example")
    async with sending(us) as worker:
        housekeeping = Housekeeping(us.federation, worker)
        await housekeeping.start()
        post = await us.post(ana, "hello")
        await worker.idle()
        internet.heal("db.example")
        internet.forget()
        await set_partner(us, PartnerState.ENDED, "db.example")
        await housekeeping.reload()
        await us.post(ana, "hello again")
        us.clock.forward(HOUR)
        worker.wake()
        await worker.idle()
        assert (internet.sent, internet.dns_lookups, database.received) == ([], [], [])
        assert "db.example" in internet.dropped, "its connections are closed"
        (row,) = await us.database.read(jobs.of_post, post.id)
        assert (row.state, row.last_error) == (JobState.CANCELLED, "partner db.example was ended")
        assert {row.state for row in await deliveries(us)} == {JobState.CANCELLED}
        await housekeeping.stop()


async def test_a_paused_partner_gets_it_when_it_is_resumed(
    us: Us, internet: PretendInternet, ana: Actor, listed: Actor
) -> None:
    database = PeerServer(internet, "db.example", us)
    async with sending(us) as worker:
        housekeeping = Housekeeping(us.federation, worker)
        await housekeeping.start()
        await set_partner(us, PartnerState.PAUSED, "db.example")
        await housekeeping.reload()
        for n in range(3):
            await us.post(ana, f"hello {n}")
        await worker.idle()
        rows = await deliveries(us)
        assert {(row.state, row.rule) for row in rows} == {(JobState.HELD, "partner-paused")}
        assert internet.dns_lookups == []
        us.clock.forward(2 * DAY)
        await set_partner(us, PartnerState.ACTIVE, "db.example")
        await housekeeping.reload()
        await worker.idle()
        assert kinds(database) == ["Create"] * 3
        await housekeeping.stop()


async def test_terms_that_change_between_queueing_and_sending_count(
    us: Us, internet: PretendInternet, ana: Actor, listed: Actor
) -> None:
    """INV-7: not what was true when it was queued, but what is true now."""
    database = PeerServer(internet, "db.example", us)
    internet.down("db.example")
    async with sending(us) as worker:
        post = await us.post(ana, "hello")
        await worker.idle()
    internet.heal("db.example")
    partner = await us.database.read(partners.get, Domain("db.example"))
    assert partner is not None
    stricter = replace(partner, terms=replace(partner.terms, ceiling_out=Visibility.PRIVATE))
    await us.write(governance.change_partner, stricter, "cli")
    await us.reload()
    us.clock.forward(HOUR)
    internet.forget()
    await send_what_waits(us)
    (row,) = await us.database.read(jobs.of_post, post.id)
    assert (row.state, row.rule) == (JobState.CANCELLED, "ceiling-out")
    assert (database.received, internet.sent) == ([], [])


class Overtaken(PretendInternet):
    """An internet where the policy is changed while a request is on its way, as the transport finds out."""

    def __init__(self) -> None:
        super().__init__()
        self.change: Callable[[], Awaitable[None]] | None = None

    async def send(self, *args: Any, **kw: Any) -> Reply:
        """The real transport asks the guard once more before bytes leave."""
        if self.change is not None:
            change, self.change = self.change, None
            await change()
            raise PolicyRefusal("the permit for this request no longer holds", rule="gateway-permit")
        return await super().send(*args, **kw)


@pytest.mark.parametrize("ends", [False, True])
async def test_a_policy_that_changes_on_the_way_is_asked_again(tmp_path: Path, clock: Clock, ends: bool) -> None:
    """Another partner's change delays a delivery by a moment; the end of its own partner cancels it."""
    internet = Overtaken()
    async with server(tmp_path, internet, partners=[], clock=clock) as us:
        peer = PeerServer(internet, "db.example", us)
        await us.write(governance.add_partner, Partner(Domain("db.example"), reason="test"), "cli")
        await us.write(governance.add_partner, Partner(Domain("other.example"), reason="test"), "cli")
        await us.reload()
        ana = await us.person("ana")
        await follower(us, "db.example", "dora", ana)

        async def change() -> None:
            partner = Partner(Domain("db.example" if ends else "other.example"), PartnerState.ENDED, reason="test")
            await us.write(partners.put, partner)
            await us.reload()

        internet.change = change
        async with sending(us) as worker:
            await us.post(ana, "hello")
            await worker.idle()
            assert peer.received == []
            clock.forward(SECOND)
            worker.wake()
            await worker.idle()
        row = await only(us)
        if ends:
            assert (row.state, row.rule) == (JobState.CANCELLED, "partner-ended")
        else:
            assert (row.state, row.attempts, kinds(peer)) == (JobState.DONE, 1, ["Create"])


async def test_a_change_by_another_process_is_noticed(us: Us, ana: Actor, listed: Actor) -> None:
    """The command line writes to the same file; a look later the policy is in force and the queue is swept."""
    us.internet.down("db.example")
    async with sending(us) as worker:
        housekeeping = Housekeeping(us.federation, worker)
        await housekeeping.start()
        await us.post(ana, "hello")
        await worker.idle()
        other = await open_database(us.instance.config.database_url, clock=us.clock)
        partner = await other.read(partners.get, Domain("db.example"))
        assert partner is not None
        await other.write(partners.put, replace(partner, state=PartnerState.ENDED))
        await other.close()
        before = us.instance.guard.policy.revision
        await housekeeping.look()
        await until(lambda: us.instance.guard.policy.revision > before)
        await housekeeping.reload()  # it is being done: wait for its end
        row = await only(us)
        assert (row.state, row.rule) == (JobState.CANCELLED, "partner-ended")
        await housekeeping.stop()


async def test_terms_that_expire_are_noticed(us: Us, internet: PretendInternet, ana: Actor, listed: Actor) -> None:
    partner = await us.database.read(partners.get, Domain("db.example"))
    assert partner is not None
    await us.write(governance.change_partner, replace(partner, expires_at=Millis(us.clock.now + HOUR)), "cli")
    await us.reload()
    internet.down("db.example")
    async with sending(us) as worker:
        housekeeping = Housekeeping(us.federation, worker)
        await us.post(ana, "hello")
        await worker.idle()
        await housekeeping.sweep()
        assert (await only(us)).state is JobState.QUEUED
        us.clock.forward(2 * HOUR)
        await housekeeping.sweep()
        row = await only(us)
        assert (row.state, row.rule) == (JobState.CANCELLED, "partner-expired")
        await housekeeping.stop()


async def test_counts_are_written_and_old_rows_go(us: Us, peer: PeerServer, ana: Actor, ben: Actor) -> None:
    async with sending(us) as worker:
        housekeeping = Housekeeping(us.federation, worker)
        await us.post(ana, "hello")
        await worker.idle()
        await housekeeping.flush()
        found = [(r[1], r[2], r[3], r[7]) for r in await us.database.read(partners.decisions)]
        assert ("deliver", "peer.example", "allow", 1) in found
        await housekeeping.prune()
        assert len(await deliveries(us)) == 1
        us.clock.forward(31 * DAY)
        await housekeeping.prune()
        assert await deliveries(us) == []
        await housekeeping.stop()


# Order, isolation, books.


async def test_one_object_reaches_a_host_in_order_whatever_fails(
    us: Us, internet: PretendInternet, peer: PeerServer, worker: Worker, ana: Actor, ben: Actor, clock: Clock
) -> None:
    """INV-6: Create before Update before Delete, per destination and object."""
    rows = itertools.cycle([500, 0, 429, 0, 0, 503])
    internet.answer("peer.example", 500, times=1)
    posts = [await us.post(ana, f"hello {n}") for n in range(4)]
    await worker.idle()
    for post in posts:
        await us.write(post_services.edit, us.site, ana, post.id, Draft("changed " + str(post.id)))
    await worker.idle()
    for status, post in zip(rows, posts, strict=False):
        if status:
            internet.answer("peer.example", status, times=1)
        await us.write(post_services.edit, us.site, ana, post.id, Draft("again " + str(post.id)))
        clock.forward(HOUR)
        worker.wake()
        await worker.idle()
    for _ in range(6):
        clock.forward(8 * HOUR)
        worker.wake()
        await worker.idle()
    for post in posts:
        about = [a["type"] for a in peer.received if a["object"]["id"] == post.iri]
        assert about == ["Create", "Update", "Update"]
        content = [a["object"]["content"] for a in peer.received if a["object"]["id"] == post.iri]
        assert "again" in content[-1]


async def test_a_dead_host_does_not_delay_the_others(
    us: Us, internet: PretendInternet, peer: PeerServer, third: PeerServer, worker: Worker, ana: Actor, ben: Actor
) -> None:
    await follower(us, "third.example", "eva", ana)
    gate = internet.hold("peer.example")
    for n in range(30):
        await us.post(ana, f"hello {n}")
    await until(lambda: len(third.received) == 30)
    assert internet.peak["peer.example"] <= 4
    gate.set()
    await worker.idle()
    assert len(peer.received) == 30


async def test_the_books_balance(
    us: Us, internet: PretendInternet, peer: PeerServer, third: PeerServer, worker: Worker, ana: Actor, clock: Clock
) -> None:
    """INV-5: what was accepted is done, queued, dead or cancelled, per destination."""
    for host in ("peer.example", "third.example"):
        await follower(us, host, "ben", ana)
    internet.answer("third.example", 422, times=3)
    internet.answer("peer.example", 500, times=5)
    made = [await us.post(ana, f"hello {n}") for n in range(10)]
    await us.write(post_services.remove, ana, made[0].id)
    for _ in range(3):
        await worker.idle()
        clock.forward(HOUR)
        worker.wake()
    await worker.idle()
    books = Counter((row.host, row.state) for row in await deliveries(us))
    assert books[("third.example", JobState.DEAD)] == 3
    for host, there in (("peer.example", peer), ("third.example", third)):
        assert books[(host, JobState.DONE)] == len(there.received)
        assert sum(n for (h, _), n in books.items() if h == host) in (10, 11)
    assert not [key for key in books if key[1] in (JobState.RUNNING, JobState.QUEUED)]


async def test_a_thousand_followers_on_two_hundred_hosts(us: Us, internet: PretendInternet, ana: Actor) -> None:
    """Every inbox once, whatever the number of turns that takes."""
    hosts = [f"h{n}.example" for n in range(200)]

    def add(tx: Any) -> None:
        for host in hosts:
            partners.put(tx, Partner(Domain(host), reason="test"))

    await us.write(add)
    await us.reload()
    for host in hosts:
        internet.answer(host, 202)
    people = [remote(hosts[n % 200], f"u{n}", shared=False) for n in range(1000)]
    await followers(us, people, ana)
    async with sending(us) as worker:
        await us.post(ana, "hello")
        async with asyncio.timeout(30):
            await worker.idle()
    reached = Counter(sent.url for sent in internet.sent)
    assert len(reached) == 1000
    assert set(reached.values()) == {1}
    assert max(internet.peak.values()) <= 4
    assert Counter(row.state for row in await deliveries(us)) == {JobState.DONE: 1000}


async def test_after_a_crash_in_the_middle_of_a_fan_out_everybody_gets_it(
    us: Us, internet: PretendInternet, peer: PeerServer, third: PeerServer, ana: Actor
) -> None:
    for host, n in itertools.product(("peer.example", "third.example"), range(6)):
        await follower(us, host, f"u{n}", ana, shared=False)
    gate = internet.hold("third.example")
    killed = worker_of(us)
    await killed.start()
    await us.post(ana, "hello")
    await until(lambda: len(peer.received) == 6)
    await kill(killed)
    gate.set()
    await send_what_waits(us)
    got = Counter(sent.url for sent in internet.sent if sent.host == "third.example")
    assert len(got) == 6
    assert {row.state for row in await deliveries(us)} == {JobState.DONE}


async def test_a_delivery_whose_document_is_gone_is_dead_with_a_reason(us: Us, ana: Actor, worker: Worker) -> None:
    def orphan(tx: Any) -> None:
        jobs.put(tx, "deliver", '{"inbox":"https://peer.example/inbox"}', lane="x", host="peer.example")

    await us.write(orphan)
    await worker.idle()
    row = await only(us)
    assert (row.state, row.last_error) == (JobState.DEAD, "its document is gone")
    assert await us.database.read(actors.by_iri, ana.iri)
