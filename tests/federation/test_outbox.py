"""The outbox: every change becomes the activity that tells others of it, for those that it is for and nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from fedishare.activitypub import proofs
from fedishare.activitypub.outbox import Outbox
from fedishare.jobs import Worker
from fedishare.model.actors import Actor, Profile
from fedishare.model.ids import Domain, Iri
from fedishare.model.outgoing import (
    ForwardActivity,
    Outgoing,
    PublishEdit,
    PublishPost,
    WithdrawActor,
    WithdrawPost,
)
from fedishare.model.posts import (
    LOCAL,
    PARTNERS,
    Attachment,
    Content,
    Draft,
    Poll,
    PollOption,
    Post,
    PostKind,
    Reach,
    RemotePost,
    Visibility,
)
from fedishare.services import accounts, governance, interactions, relations
from fedishare.services import posts as post_services
from fedishare.services.site import federate
from fedishare.store import jobs
from fedishare.store.db import sql
from fedishare.store.jobs import Job, JobState
from tests.support.builders import Us, server
from tests.support.clock import Clock
from tests.support.internet import PretendInternet
from tests.support.peer import PUBLIC, PeerServer
from tests.support.sending import deliveries, follower, followers, kinds, known, remote, sending


@pytest.fixture
async def worker(us: Us) -> AsyncIterator[Worker]:
    """Our worker."""
    async with sending(us) as running:
        yield running


@pytest.fixture
async def ana(us: Us) -> Actor:
    """Somebody of ours."""
    return await us.person("ana")


@pytest.fixture
async def ben(us: Us, ana: Actor) -> Actor:
    """Somebody at peer.example who follows ana."""
    return await follower(us, "peer.example", "ben", ana)


async def received(us: Us, author: Actor, text: str = "from there", poll: Poll | None = None) -> Post:
    """A post of a partner's person, here."""
    iri = Iri(f"{author.iri}/notes/{text.replace(' ', '-')}")
    kind = PostKind.QUESTION if poll else PostKind.NOTE
    note = RemotePost(
        iri, iri, author.iri, kind, Visibility.PUBLIC, Content(f"<p>{text}</p>", poll=poll), us.clock(), None, None,
        to=(Iri(PUBLIC),),
    )  # fmt: skip
    made: Post = await us.write(post_services.receive, us.site, author, note)
    return made


RUN = sql("test_run_federate", "UPDATE job SET state = 1 WHERE kind = 'federate' AND state = 0")

# Every kind of change.

Do = Callable[[Us, Worker, Actor, Actor], Awaitable[Any]]


async def _edit(us: Us, worker: Worker, ana: Actor, ben: Actor) -> None:
    post = await us.post(ana, "before")
    await us.write(post_services.edit, us.site, ana, post.id, Draft("after"))


async def _delete(us: Us, worker: Worker, ana: Actor, ben: Actor) -> None:
    post = await us.post(ana, "before")
    await worker.idle()
    await us.write(post_services.remove, ana, post.id)


async def _boost(us: Us, worker: Worker, ana: Actor, ben: Actor) -> None:
    post = await received(us, ben)
    await us.write(interactions.boost, us.site, ana, post.id)
    await worker.idle()
    await us.write(interactions.unboost, ana, post.id)


async def _like(us: Us, worker: Worker, ana: Actor, ben: Actor) -> None:
    post = await received(us, ben)
    await us.write(interactions.favourite, us.site, ana, post.id)
    await us.write(interactions.unfavourite, ana, post.id)


async def _follow(us: Us, worker: Worker, ana: Actor, ben: Actor) -> None:
    await us.write(relations.follow, us.site, ana, ben.id)
    await us.write(relations.unfollow, ana, ben.id)


async def _reject(us: Us, worker: Worker, ana: Actor, ben: Actor) -> None:
    await us.write(relations.remove_follower, ana, ben.id)


async def _block(us: Us, worker: Worker, ana: Actor, ben: Actor) -> None:
    await us.write(relations.block, us.site, ana, ben.id)
    await us.write(relations.unblock, ana, ben.id)


async def _vote(us: Us, worker: Worker, ana: Actor, ben: Actor) -> None:
    post = await received(us, ben, "which", Poll((PollOption("tea"), PollOption("milk")), multiple=True))
    await us.write(interactions.vote, ana, post.id, [0, 1])


async def _profile(us: Us, worker: Worker, ana: Actor, ben: Actor) -> None:
    await us.write(accounts.update_profile, ana, Profile(display_name="Ana B."))


async def _move(us: Us, worker: Worker, ana: Actor, ben: Actor) -> None:
    await us.write(accounts.move, ana, Profile(moved_to=ben.iri), ben.iri)


async def _leave(us: Us, worker: Worker, ana: Actor, ben: Actor) -> None:
    await us.write(accounts.delete, ana, "cli")


async def _pin(us: Us, worker: Worker, ana: Actor, ben: Actor) -> None:
    post = await us.post(ana, "pinned")
    await us.write(interactions.pin, us.site, ana, post.id, True)
    await us.write(interactions.pin, us.site, ana, post.id, False)


async def _report(us: Us, worker: Worker, ana: Actor, ben: Actor) -> None:
    post = await received(us, ben)
    await us.write(governance.report, ana, ben.id, [post.id], "please look", True)


@pytest.mark.parametrize(
    ("do", "expected", "inbox"),
    [
        pytest.param(_edit, ["Create", "Update"], "/inbox", marks=pytest.mark.spec("R80")),
        pytest.param(_delete, ["Create", "Delete"], "/inbox", marks=pytest.mark.spec("R82", "R84")),
        pytest.param(_boost, ["Announce", "Undo"], "/inbox", marks=pytest.mark.spec("R91")),
        pytest.param(_like, ["Like", "Undo"], "/users/ben/inbox", marks=pytest.mark.spec("R91")),
        pytest.param(_follow, ["Follow", "Undo"], "/users/ben/inbox", marks=pytest.mark.spec("R18")),
        pytest.param(_reject, ["Reject"], "/users/ben/inbox", marks=pytest.mark.spec("R113")),
        pytest.param(_block, ["Reject", "Block", "Undo"], "/users/ben/inbox", marks=pytest.mark.spec("R46")),
        pytest.param(_vote, ["Create", "Create"], "/users/ben/inbox", marks=pytest.mark.spec("R89")),
        pytest.param(_profile, ["Update"], "/inbox", marks=pytest.mark.spec("R103")),
        pytest.param(_move, ["Update", "Move"], "/inbox", marks=pytest.mark.spec("R106")),
        pytest.param(_leave, ["Delete"], "/inbox", marks=pytest.mark.spec("R85")),
        pytest.param(_pin, ["Create", "Add", "Remove"], "/inbox", marks=pytest.mark.spec("R107")),
        pytest.param(_report, ["Flag"], "/users/ben/inbox", marks=pytest.mark.spec("R47")),
    ],
)
async def test_every_change_is_told(
    us: Us, internet: PretendInternet, peer: PeerServer, third: PeerServer, worker: Worker, ana: Actor, ben: Actor,
    do: Do, expected: list[str], inbox: str,
) -> None:  # fmt: skip
    await do(us, worker, ana, ben)
    await worker.idle()
    assert kinds(peer) == expected
    assert {sent.path for sent in internet.to("peer.example", "POST")} == {inbox}
    assert third.received == [], "nobody follows from there"
    for activity in peer.received:
        assert str(activity["id"]).startswith(us.names.origin + "/"), "spec: R10"
        assert isinstance(activity["to"], list)
        assert not {"bto", "bcc"} & activity.keys()
        expected_actor = us.names.instance_actor() if activity["type"] == "Flag" else ana.iri
        assert activity["actor"] == expected_actor
    assert {row.state for row in await deliveries(us)} <= {JobState.DONE, JobState.CANCELLED}


def test_every_kind_of_change_is_in_the_table_above_or_has_a_test_of_its_own() -> None:
    assert len(get_args(Outgoing)) == 21


@pytest.mark.spec("R18", "R91")
async def test_undo_embeds_what_it_takes_back(us: Us, peer: PeerServer, worker: Worker, ana: Actor, ben: Actor) -> None:
    await _boost(us, worker, ana, ben)
    await _follow(us, worker, ana, ben)
    await worker.idle()
    for kind in ("Announce", "Follow"):
        (first,) = [a for a in peer.received if a["type"] == kind]
        (undo,) = [a for a in peer.received if a["type"] == "Undo" and a["object"]["type"] == kind]
        assert undo["object"]["id"] == first["id"]
        assert undo["object"]["object"] == first["object"]
        assert isinstance(first["object"], str)


@pytest.mark.spec("R16")
async def test_a_follow_is_answered_with_the_whole_follow(us: Us, peer: PeerServer, worker: Worker, ana: Actor) -> None:
    cleo = peer.person("cleo")
    follow = peer.activity("Follow", cleo, ana.iri)
    assert (await peer.deliver(cleo, follow)).status == 202
    await worker.idle()
    (accept,) = peer.received
    assert (accept["type"], accept["object"]) == (
        "Accept",
        {"id": follow["id"], "type": "Follow", "actor": cleo.id, "object": ana.iri},
    )


@pytest.mark.spec("R63")
async def test_every_activity_carries_its_authors_proof(
    us: Us, peer: PeerServer, worker: Worker, ana: Actor, ben: Actor
) -> None:
    await _edit(us, worker, ana, ben)
    await _follow(us, worker, ana, ben)
    await worker.idle()
    key = await us.federation.keyring.signer(ana.id)
    assert len(peer.received) == 4
    for activity in peer.received:
        proof = proofs.verify(activity, key.ed25519.public(), now=us.clock())
        proofs.require_owner(proof, ana.iri, [us.names.ed25519_key("ana")])


# For whom.


@pytest.mark.spec("R117")
async def test_the_shared_inbox_gets_it_once_and_who_has_none_gets_it_personally(
    us: Us, internet: PretendInternet, peer: PeerServer, third: PeerServer, worker: Worker, ana: Actor
) -> None:
    for name in ("ben", "cleo", "dan"):
        await follower(us, "peer.example", name, ana)
    for name in ("eva", "fay"):
        await follower(us, "third.example", name, ana, shared=False)
    await us.post(ana, "hello @ben@peer.example")
    await worker.idle()
    assert sorted(s.url for s in internet.sent if s.method == "POST") == [
        "https://peer.example/inbox",
        "https://third.example/users/eva/inbox",
        "https://third.example/users/fay/inbox",
    ]
    internet.forget()
    await us.post(ana, "psst @ben@peer.example", visibility=Visibility.DIRECT)
    await worker.idle()
    assert [s.url for s in internet.sent] == ["https://peer.example/users/ben/inbox"]


@pytest.mark.spec("R44")
async def test_followers_only_goes_to_followers_and_named_people_only(
    us: Us, internet: PretendInternet, peer: PeerServer, third: PeerServer, worker: Worker, ana: Actor, ben: Actor
) -> None:
    await known(us, "third.example", "eva")
    await us.post(ana, "quietly", visibility=Visibility.PRIVATE)
    await worker.idle()
    assert (kinds(peer), kinds(third)) == (["Create"], [])
    await us.post(ana, "quietly @eva@third.example", visibility=Visibility.PRIVATE)
    await worker.idle()
    assert (kinds(peer), kinds(third)) == (["Create", "Create"], ["Create"])
    assert PUBLIC not in str(peer.received)


async def test_nothing_leaves_the_reach_of_a_post(
    us: Us, internet: PretendInternet, peer: PeerServer, third: PeerServer, worker: Worker, ana: Actor, ben: Actor
) -> None:
    await follower(us, "third.example", "eva", ana)
    await us.post(ana, "inside", reach=LOCAL)
    post = await us.post(ana, "for one partner @eva@third.example", reach=Reach(frozenset({Domain("peer.example")})))
    await us.write(post_services.edit, us.site, ana, post.id, Draft("still for one partner"))
    await us.write(interactions.pin, us.site, ana, post.id, True)
    await us.write(post_services.remove, ana, post.id)
    await worker.idle()
    assert third.received == []
    assert "third.example" not in internet.dns_lookups
    assert kinds(peer)[-1] == "Delete"


@pytest.mark.spec("R21")
async def test_only_partners_whose_terms_say_so_are_addressed_publicly(
    tmp_path: Path, internet: PretendInternet, clock: Clock
) -> None:
    partners: list[str | dict[str, Any]] = ["peer.example", {"domain": "third.example", "public_addressing": True}]
    async with server(tmp_path, internet, partners=partners, clock=clock) as us, sending(us) as worker:
        peer, third = PeerServer(internet, "peer.example", us), PeerServer(internet, "third.example", us)
        ana = await us.person("ana")
        await follower(us, "peer.example", "ben", ana)
        await follower(us, "third.example", "eva", ana)
        post = await us.post(ana, "hello")
        boosted = await us.post(ana, "again")
        await us.write(interactions.boost, us.site, ana, boosted.id)
        await worker.idle()
        await us.write(post_services.remove, ana, post.id)
        await worker.idle()
        assert PUBLIC not in str([a["to"] + a["cc"] for a in peer.received])
        assert len(third.received) == len(peer.received) == 4
        for activity in third.received:
            assert PUBLIC in activity["to"]
        assert {a["id"] for a in peer.received} == {a["id"] for a in third.received}, "one activity in two forms"


async def test_what_is_withheld_is_on_the_books_with_the_rule(
    tmp_path: Path, internet: PretendInternet, clock: Clock
) -> None:
    partners: list[str | dict[str, Any]] = ["peer.example", {"domain": "third.example", "media": False}]
    async with server(tmp_path, internet, partners=partners, clock=clock) as us, sending(us) as worker:
        peer, third = PeerServer(internet, "peer.example", us), PeerServer(internet, "third.example", us)
        ana = await us.person("ana")
        for host in ("peer.example", "third.example"):
            await follower(us, host, "ben", ana)
        picture = Attachment("https://ours.example/media/1.png", "image/png", "image")
        post = await us.post(ana, "look", attachments=(picture,))
        await worker.idle()
        assert (kinds(peer), kinds(third)) == (["Create"], [])
        books = {row.host: row for row in await us.database.read(jobs.of_post, post.id)}
        assert (books["third.example"].state, books["third.example"].rule) == (JobState.CANCELLED, "media")
        assert (books["peer.example"].state, books["peer.example"].rule) == (JobState.DONE, "partner")
        counted = [c for c in us.instance.guard.drain_decisions() if c.domain == "third.example"]
        assert [(c.rule, c.times) for c in counted] == [("media", 1)]

        # What was never sent is not withdrawn either: the Delete would tell that it existed.
        await us.write(post_services.remove, ana, post.id)
        await worker.idle()
        assert (kinds(peer), kinds(third)) == (["Create", "Delete"], [])


async def test_an_inbox_at_somebody_elses_host_gets_nothing(
    us: Us, internet: PretendInternet, peer: PeerServer, third: PeerServer, worker: Worker, ana: Actor, ben: Actor
) -> None:
    """A partner cannot name another partner's inbox as one of its people's."""
    person = remote("peer.example", "mallory", shared=False)
    endpoints = replace(person.endpoints, inbox=Iri("https://third.example/users/eva/inbox"))
    await followers(us, [replace(person, endpoints=endpoints)], ana)
    await us.post(ana, "hello")
    await worker.idle()
    assert (kinds(peer), kinds(third)) == (["Create"], [])
    (withheld,) = [row for row in await deliveries(us) if row.state is JobState.CANCELLED]
    assert (withheld.host, withheld.rule) == ("third.example", "inbox-host")


@pytest.mark.spec("R84")
async def test_delete_goes_to_everybody_the_post_went_to(
    us: Us, peer: PeerServer, third: PeerServer, worker: Worker, ana: Actor, ben: Actor
) -> None:
    eva = await follower(us, "third.example", "eva", ana)
    post = await us.post(ana, "hello")
    await worker.idle()
    await us.write(relations.receive_unfollow, eva, ana.id)
    await us.write(post_services.remove, ana, post.id)
    await worker.idle()
    assert (kinds(peer), kinds(third)) == (["Create", "Delete"], ["Create", "Delete"])
    assert peer.received[1]["object"]["id"] == post.iri


@pytest.mark.spec("R84")
async def test_delete_goes_to_those_that_boosted_or_answered(
    us: Us, peer: PeerServer, third: PeerServer, worker: Worker, ana: Actor, ben: Actor
) -> None:
    eva = await known(us, "third.example", "eva")
    post = await us.post(ana, "hello")
    iri = Iri(f"{eva.iri}/boosts/1")
    await us.write(interactions.receive_boost, eva, iri, post, Visibility.PUBLIC, None)
    await worker.idle()
    assert third.received == []
    await us.write(post_services.remove, ana, post.id)
    await worker.idle()
    assert kinds(third) == ["Delete"]


async def test_a_post_that_was_deleted_before_it_was_told_of_is_not_told(
    us: Us, peer: PeerServer, ana: Actor, ben: Actor
) -> None:
    post = await us.post(ana, "oops")
    await us.write(post_services.remove, ana, post.id)
    async with sending(us) as worker:
        await worker.idle()
    assert peer.received == []


async def test_expanding_twice_makes_nothing_twice(us: Us, ana: Actor, ben: Actor) -> None:
    """The lease ran out while a worker was at it: both finish, one counts."""
    await us.post(ana, "hello")
    (row,) = await us.database.read(jobs.listing)
    job = Job(row.id, row.kind, row.lane, None, row.payload, None, 1, row.created_at)
    outbox = Outbox(us.federation)
    await outbox.federate(job)
    assert await deliveries(us) == [], "nobody holds the job: nothing may be made of it"
    await us.write(lambda tx: tx.run(RUN))
    await outbox.federate(job)
    await outbox.federate(job)
    assert len(await deliveries(us)) == 1


@pytest.mark.spec("R118")
async def test_an_answer_is_forwarded_unchanged_and_only_inside_its_own_partner(
    tmp_path: Path, internet: PretendInternet, clock: Clock
) -> None:
    """What partner B wrote is never relayed to partner C."""
    partners: list[str | dict[str, Any]] = [{"domain": "peer.example", "include_subdomains": True}, "third.example"]
    async with server(tmp_path, internet, partners=partners, clock=clock) as us, sending(us) as worker:
        peer, third = PeerServer(internet, "peer.example", us), PeerServer(internet, "third.example", us)
        branch = PeerServer(internet, "branch.peer.example", us)
        ana = await us.person("ana")
        for host in ("peer.example", "branch.peer.example", "third.example"):
            await follower(us, host, "ben", ana)
        post = await us.post(ana, "hello")
        await worker.idle()
        body = '{"type":"Create","id":"https://peer.example/a/1","object":{"type":"Note"},"signature":{"x":"y"}}'
        change = ForwardActivity(body, Iri("https://peer.example/a/1"), ana.id, post.id, "peer.example")
        await us.write(federate, ana.id, change)
        await worker.idle()
        forwarded = [s.body for s in internet.sent if s.method == "POST"][-1]
        assert forwarded == body.encode()
        assert (kinds(peer), kinds(branch), kinds(third)) == (["Create"], ["Create", "Create"], ["Create"])


@pytest.mark.spec("R85")
async def test_a_leaving_account_is_told_to_every_host_that_got_something(
    us: Us, peer: PeerServer, third: PeerServer, worker: Worker, ana: Actor, ben: Actor
) -> None:
    eva = await known(us, "third.example", "eva")
    await us.post(ana, "hello @eva@third.example")
    await worker.idle()
    await us.write(accounts.delete, ana, "cli")
    await worker.idle()
    for each in (peer, third):
        assert each.received[-1]["type"] == "Delete"
        assert each.received[-1]["object"] == ana.iri
    assert eva.id


async def test_a_change_of_something_that_is_gone_is_done_quietly(us: Us, worker: Worker, ana: Actor) -> None:
    changes: list[Outgoing] = [
        PublishPost(ana.id),
        PublishEdit(ana.id, 0),
        WithdrawActor(ana.id),
        WithdrawPost(ana.id, Iri("https://ours.example/x"), ana.id, 0, PARTNERS.encode()),
    ]
    for change in changes:
        await us.write(federate, ana.id, change)
    await worker.idle()
    rows = await us.database.read(jobs.listing)
    assert [row.state for row in rows] == [JobState.DONE] * 4
