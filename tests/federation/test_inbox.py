"""The inbox: who is let in, in which order that is found out, and that an activity counts once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fedishare.guard import Held
from fedishare.model.actors import ActorKey, ActorState
from fedishare.model.ids import Iri, Millis
from fedishare.model.partners import PeerHealth
from fedishare.services import accounts
from fedishare.store import actors, jobs
from fedishare.store.jobs import JobState
from tests.support.builders import HOLDS, INBOUND, REPORTS, Us, follow, rsa_key, server
from tests.support.clock import DAY, HOUR, MINUTE, Clock
from tests.support.internet import PretendInternet, call_asgi
from tests.support.peer import AS2, PUBLIC, SIGN, TYPE, PeerServer

SCHEMES = ["cavage", "rfc9421"]


@pytest.mark.spec("R1", "R2", "R50")
@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_signed_create_lands_in_a_home_timeline(us: Us, peer: PeerServer, scheme: str) -> None:
    ana = await us.person("ana")
    ben = peer.person("ben")
    assert (await peer.deliver(ben, peer.create(ben, "first"), scheme=scheme)).status == 202
    await follow(us, ana, ben.id)
    before = await us.counts()
    answer = await peer.deliver(ben, peer.create(ben, "unsigned"), scheme=None)
    assert answer.status == 401
    assert await us.counts() == before
    assert (await peer.deliver(ben, peer.create(ben, "second"), scheme=scheme)).status == 202
    assert len(await us.home(ana)) == 2


@pytest.mark.spec("R1", "R6", "R57", "R58")
async def test_the_key_is_read_with_a_signature_and_only_once(us: Us, peer: PeerServer) -> None:
    ben = peer.person("ben")
    first, second = peer.create(ben), peer.create(ben)
    answers = await asyncio.gather(*(peer.deliver(ben, each) for each in (first, second)))
    assert [a.status for a in answers] == [202, 202]
    assert [path for _, path, _ in peer.requests if path == "/users/ben"] == ["/users/ben"]
    assert "signature" in peer.requests[0][2]


@pytest.mark.spec("R1", "R66")
async def test_strangers_cost_nothing(
    us: Us, peer: PeerServer, stranger: PeerServer, internet: PretendInternet
) -> None:
    ben, eve = peer.person("ben"), stranger.person("eve")
    before = await us.counts()
    for scheme in SCHEMES:
        answer = await stranger.deliver(eve, stranger.create(eve), scheme=scheme)
        assert answer.status == 403
        assert "evil.example is not on the allow-list" in answer.json["error"]
    spoof = stranger.create(eve) | {"actor": ben.id}
    assert (await stranger.deliver(eve, spoof)).status == 403
    for host in ("sub.peer.example", "evilpeer.example", "ours.example"):
        answer = await peer.deliver(ben, peer.create(ben), key_id=f"https://{host}/users/ben#main-key")
        assert answer.status == 403
    # a partner's signature that cannot be good sends us nowhere either
    assert (await peer.deliver(ben, peer.create(ben), at=us.clock.now - DAY)).status == 401
    assert await us.counts() == before
    assert internet.sent == []
    assert internet.dns_lookups == []
    assert (await peer.deliver(ben, peer.create(ben))).status == 202


@pytest.mark.spec("R1", "R19")
@pytest.mark.parametrize("kind", ["Like", "Announce", "Flag", "Follow", "Move", "Undo", "Delete", "Block", "Create"])
async def test_no_activity_of_a_stranger_has_an_effect(us: Us, stranger: PeerServer, kind: str) -> None:
    ana = await us.person("ana")
    post = await us.post(ana)
    eve = stranger.person("eve")
    target = {"Follow": ana.iri, "Block": ana.iri, "Move": eve.id, "Delete": eve.id}.get(kind, post.iri)
    before = await us.counts()
    activity = stranger.activity(kind, eve, target, target=f"{eve.id}2", to=[PUBLIC], cc=[])
    assert (await stranger.deliver(eve, activity)).status == 403
    assert await us.counts() == before
    decisions = us.instance.guard.drain_decisions()
    assert [(d.domain, d.rule, d.times) for d in decisions] == [("evil.example", "unlisted", 1)]


@pytest.mark.spec("R3")
async def test_the_origin_comes_from_the_configuration(us: Us, peer: PeerServer) -> None:
    ben = peer.person("ben")
    body = json.dumps(peer.create(ben)).encode()
    for scheme in SCHEMES:
        signed = _signed(peer, ben, "https://ours.example/inbox", body, scheme)
        # The TLS proxy in front speaks http to us, on another port; the Host header is passed on.
        status, _, _ = await call_asgi(us.router, "POST", "http://127.0.0.1:8000/inbox", signed, body)
        assert status == 202
        signed = _signed(peer, ben, "https://other.example/inbox", body, scheme)
        assert (await call_asgi(us.router, "POST", "https://other.example/inbox", signed, body))[0] == 401


def _signed(peer: PeerServer, person: Any, url: str, body: bytes, scheme: str) -> dict[str, str]:
    assert peer.us is not None
    return SIGN[scheme]("POST", url, body, person.key_id, person.key, peer.us.clock(), TYPE)


@pytest.mark.spec("R4", "R27", "R29")
@pytest.mark.parametrize("scheme", SCHEMES)
async def test_whatever_is_changed_after_signing_is_seen(us: Us, peer: PeerServer, scheme: str) -> None:
    ben = peer.person("ben")
    assert (await peer.deliver(ben, peer.create(ben), scheme=scheme)).status == 202
    before = await us.counts()
    digest = "digest" if scheme == "cavage" else "content-digest"
    changes: list[dict[str, Any]] = [
        {"tamper": {digest: "SHA-256=" + "A" * 43 + "="}},
        {"tamper": {digest: "nonsense"}},
        {"tamper": {digest: ""}},
        {"tamper": {"content-type": TYPE + "; charset=utf-8"}},
        {"sent_body": b"{}"},
        {"key": rsa_key(40)},
        {"tamper": {"signature": "garbage"}},
        {"tamper": {"signature": 'keyId="x"'}},
        {"tamper": {"signature": "\xff"}},
    ]
    if scheme == "cavage":
        changes += [{"tamper": {"host": "evil.example"}}, {"tamper": {"date": "yesterday"}}]
    else:
        changes += [{"tamper": {"signature-input": "sig1=("}}, {"tamper": {"signature-input": ""}}]
    for change in changes:
        answer = await peer.deliver(ben, peer.create(ben), scheme=scheme, **change)
        assert answer.status in (400, 401), change
    assert await us.counts() == before


@pytest.mark.spec("R27")
@pytest.mark.parametrize("scheme", SCHEMES)
async def test_another_path_query_or_method_fails(us: Us, peer: PeerServer, scheme: str) -> None:
    ben = peer.person("ben")
    await us.person("ana")
    body = json.dumps(peer.create(ben)).encode()
    signed = _signed(peer, ben, str(us.inbox), body, scheme)
    for url in ("https://ours.example/users/ana/inbox", "https://ours.example/inbox?x=1"):
        assert (await call_asgi(us.router, "POST", url, signed, body))[0] == 401
    assert (await call_asgi(us.router, "POST", str(us.inbox), signed, body))[0] == 202


@pytest.mark.spec("R53")
async def test_with_signature_input_the_draft_does_not_count(us: Us, peer: PeerServer) -> None:
    ben = peer.person("ben")
    answer = await peer.deliver(ben, peer.create(ben), headers={"signature-input": 'sig1=("@method");created=1'})
    assert answer.status == 401
    assert (await peer.deliver(ben, peer.create(ben))).status == 202


@pytest.mark.spec("R26")
@pytest.mark.parametrize("scheme", SCHEMES)
async def test_dates_are_enforced(us: Us, peer: PeerServer, clock: Clock, scheme: str) -> None:
    ben = peer.person("ben")
    for offset, status in ((-11 * HOUR, 202), (-13 * HOUR, 401), (50 * MINUTE, 202), (70 * MINUTE, 401)):
        answer = await peer.deliver(ben, peer.create(ben), scheme=scheme, at=clock.now + offset)
        assert answer.status == status, offset


@pytest.mark.spec("R5", "R35")
async def test_nobody_speaks_for_somebody_else(us: Us, peer: PeerServer, third: PeerServer) -> None:
    ben, mallory, carla = peer.person("ben"), peer.person("mallory"), third.person("carla")
    assert (await peer.deliver(mallory, peer.create(mallory))).status == 202
    before = await us.counts()
    # a colleague's activity; one with a colleague's post; one of another partner's actor without a way to check it
    assert (await peer.deliver(mallory, peer.create(ben))).status == 401
    foreign = peer.activity("Create", mallory, peer.note(mallory) | {"attributedTo": ben.id})
    await peer.deliver(mallory, foreign)
    elsewhere = [
        third.activity("Like", carla, "https://ours.example/users/ana/statuses/1"),
        third.activity("Like", carla, third.note(carla)["id"]),
        third.activity("Create", carla, peer.note(mallory)["id"]),
        third.activity("Delete", carla, "https://evil.example/notes/1"),
    ]
    for activity in elsewhere:
        assert (await peer.deliver(mallory, activity)).status == 401
    assert await us.queued("apply") == []
    other_id = peer.create(mallory) | {"id": "https://third.example/activities/1"}
    assert (await peer.deliver(mallory, other_id)).status == 400
    ours = peer.create(mallory) | {"id": us.names.activity("ana", "likes", (await us.person("ana")).id)}
    assert (await peer.deliver(mallory, ours)).status == 400
    after = await us.counts()
    assert after[2] == before[2]  # no post came of it


@pytest.mark.spec("R6")
async def test_a_key_counts_only_if_its_owner_lists_it(us: Us, peer: PeerServer) -> None:
    ben, mallory = peer.person("ben"), peer.person("mallory")
    # A document of mallory's own says that its key is ben's.
    peer.documents["/files/key"] = {
        "@context": "https://w3id.org/security/v1", "id": peer.url("/files/key"), "type": "Key", "owner": ben.id,
        "publicKeyPem": mallory.key.public().pem(),
    }  # fmt: skip
    answer = await peer.deliver(mallory, peer.create(ben), key_id=peer.url("/files/key"))
    assert answer.status == 401
    assert "does not list that key" in answer.json["error"]
    assert (await us.counts())[2] == 0
    # mallory lists ben's key id with her own key: still not ben.
    mallory.document["publicKey"] = [mallory.document["publicKey"], {
        "id": ben.key_id, "owner": ben.id, "publicKeyPem": mallory.key.public().pem(),
    }]  # fmt: skip
    await peer.deliver(mallory, peer.create(mallory))
    assert (await peer.deliver(mallory, peer.create(ben), key_id=ben.key_id)).status == 401
    assert (await peer.deliver(ben, peer.create(ben))).status == 202


@pytest.mark.spec("R6")
async def test_a_stored_key_of_another_partner_does_not_count(us: Us, peer: PeerServer, third: PeerServer) -> None:
    """Cannot happen, because keys are stored from their owner's origin only; looked at all the same."""
    ben, carla = peer.person("ben"), third.person("carla")
    assert (await third.deliver(carla, third.create(carla))).status == 202
    stray = ActorKey(peer.url("/keys/9"), Iri(carla.id), "rsa", carla.key.public().pem())
    await us.write(actors.put_keys, (await us.actor(carla.id)).id, (stray,))
    assert (await third.deliver(carla, third.create(carla), key_id=stray.key_id)).status == 403
    carla.key_id = stray.key_id
    answer = await third.fetch(carla, us.names.actor("ana"))
    assert answer.status == 403 and "not to peer.example" in answer.json["error"]
    assert (await peer.deliver(ben, peer.create(ben))).status == 202


@pytest.mark.spec("R25")
async def test_media_types(us: Us, peer: PeerServer) -> None:
    ben = peer.person("ben")
    profile = 'application/ld+json; profile="https://www.w3.org/ns/activitystreams"'
    for kind in (TYPE, f"{TYPE}; charset=utf-8", f"{TYPE};charset=UTF-8", profile, profile + ";charset=utf-8"):
        assert (await peer.deliver(ben, peer.create(ben), content_type=kind)).status == 202, kind
    for kind in ("application/json", "text/html", "application/ld+json", "text/plain; " + TYPE, ""):
        assert (await peer.deliver(ben, peer.create(ben), content_type=kind)).status == 415, kind


@pytest.mark.spec("R29", "R125", "R38")
async def test_unreadable_and_unknown_things_are_told_apart(us: Us, peer: PeerServer) -> None:
    ben = peer.person("ben")
    deep = b'{"a":' * 40 + b"1" + b"}" * 40
    broken: list[bytes] = [
        b"", b"null", b"[]", b"{", b'"x"', b"\xff", b'{"a":1,"a":2}', deep, b"{}", b'{"type":"Create"}',
        json.dumps({"type": "Create", "actor": ben.id}).encode(),
        json.dumps({"type": "Create", "actor": {"id": {"id": 1}}, "object": 7}).encode(),
        json.dumps({"type": [], "actor": [ben.id], "object": {"type": {}}}).encode(),
        json.dumps({"type": "Announce", "actor": ben.id, "object": {"type": "Create"}}).encode(),
        json.dumps({"type": "Undo", "actor": ben.id, "object": {"type": "Like"}}).encode(),
        json.dumps({"@context": {"type": "@id"}, "type": "x", "actor": ben.id}).encode(),
        json.dumps(peer.create(ben) | {"actor": "https://10.0.0.1/x"}).encode(),
        json.dumps(peer.create(ben) | {"id": "https://10.0.0.1/x"}).encode(),
    ]  # fmt: skip
    for body in broken:
        answer = await peer.deliver(ben, body)
        assert answer.status in (400, 401), body
    unknown: list[dict[str, Any]] = [
        peer.activity("Dance", ben, "https://peer.example/1"),
        peer.activity("Create", ben, {"type": "Dance", "id": peer.new_id(), "attributedTo": ben.id, "to": [PUBLIC]}),
        peer.create(ben) | {"@context": [AS2, "https://peer.example/own-context"], "unheardOf": {"a": [1]}},
        peer.create(ben) | {"type": ["Create", "https://schema.example/WriteAction"]},
        peer.activity("Update", ben, ben.id),
        peer.activity("Undo", ben, {"type": "Dance", "id": peer.new_id(), "actor": ben.id}),
        peer.activity("Add", ben, peer.new_id("notes"), target=peer.url("/somewhere")),
    ]
    for activity in unknown:
        answer = await peer.deliver(ben, activity)
        assert answer.status == 202, (activity, answer.body)
    assert (await us.counts())[2] == 2  # the two Creates that we do understand


@pytest.mark.spec("R126", "R22", "R21")
async def test_other_spellings_of_one_document(us: Us, peer: PeerServer) -> None:
    ana, ben = await us.person("ana"), peer.person("ben")
    await peer.deliver(ben, peer.create(ben))
    await follow(us, ana, ben.id)
    expanded = {
        "@context": {"as": f"{AS2}#"},
        "@id": peer.new_id(),
        "@type": "as:Create",
        "as:actor": {"@id": ben.id},
        "as:object": {
            "@id": peer.new_id("notes"), "@type": "as:Note", "as:attributedTo": {"@id": ben.id},
            "as:content": "<p>spelt otherwise</p>", "as:to": {"@id": "as:Public"},
        },
    }  # fmt: skip
    assert (await peer.deliver(ben, expanded)).status == 202
    short = peer.create(ben, to="as:Public", cc=[])
    short["object"]["tag"] = {"type": "Hashtag", "name": "#One"}
    assert (await peer.deliver(ben, short)).status == 202
    assert len(await us.home(ana)) == 3


@pytest.mark.spec("R39")
async def test_large_bodies_are_refused_before_parsing(us: Us, peer: PeerServer) -> None:
    ben = peer.person("ben")
    assert (await peer.deliver(ben, peer.create(ben, "x" * 900_000))).status == 202
    assert (await peer.deliver(ben, peer.create(ben, "x" * 1_100_000))).status == 413
    assert (await us.counts())[2] == 1


@pytest.mark.spec("R19")
async def test_an_activity_counts_once_through_all_doors(us: Us, peer: PeerServer) -> None:
    ana, ben = await us.person("ana"), peer.person("ben")
    post = await us.post(ana)
    await peer.deliver(ben, peer.create(ben))
    like = peer.activity("Like", ben, post.iri)
    doors = [us.inbox, us.names.inbox("ana"), us.inbox, us.names.instance_inbox()]
    answers = await asyncio.gather(*(peer.deliver(ben, like, str(door)) for door in doors))
    assert [answer.status for answer in answers] == [202] * 4
    assert [kind for kind, _, _ in await us.notifications(ana)] == ["favourite"]
    found = await us.find_post(post.iri)
    assert found is not None and found.favourites_count == 1
    assert [tuple(row) for row in await us.rows(INBOUND)].count(("Like", "peer.example", "partner")) == 1
    # without an id the bytes themselves are the name
    flag = {k: v for k, v in peer.activity("Flag", ben, [ana.iri], content="why").items() if k != "id"}
    for _ in range(3):
        assert (await peer.deliver(ben, flag)).status == 202
    assert [row[0] for row in await us.rows(INBOUND)].count("Flag") == 1
    assert len(await us.rows(REPORTS)) == 1


@pytest.mark.spec("R24")
async def test_the_answer_does_not_wait_for_the_sender(us: Us, peer: PeerServer, internet: PretendInternet) -> None:
    ben = peer.person("ben")
    assert (await peer.deliver(ben, peer.create(ben))).status == 202
    parent = peer.note(ben, "parent")
    gate = internet.hold("peer.example")
    reply = peer.create(ben, "reply", inReplyTo=parent["id"])
    async with asyncio.timeout(5):
        assert (await peer.deliver(ben, reply)).status == 202
    assert await us.find_post(reply["object"]["id"]) is not None
    gate.set()
    await us.settle()
    assert await us.find_post(parent["id"]) is not None


@pytest.mark.spec("R30")
@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_rotated_key_is_read_anew_once(us: Us, peer: PeerServer, clock: Clock, scheme: str) -> None:
    ben = peer.person("ben")
    old = ben.key
    assert (await peer.deliver(ben, peer.create(ben), scheme=scheme)).status == 202
    peer.rotate(ben)
    assert (await peer.deliver(ben, peer.create(ben), scheme=scheme)).status == 202
    assert (await peer.deliver(ben, peer.create(ben), scheme=scheme, key=old)).status == 401
    reads = len(peer.requests)
    for _ in range(3):  # wrong signatures do not make us read the key again and again
        assert (await peer.deliver(ben, peer.create(ben), scheme=scheme, key=old)).status == 401
    assert len(peer.requests) == reads


@pytest.mark.spec("R31")
async def test_update_of_an_actor_changes_its_key(us: Us, peer: PeerServer) -> None:
    ben = peer.person("ben")
    assert (await peer.deliver(ben, peer.create(ben))).status == 202
    old = ben.key
    update = peer.activity("Update", ben, json.loads(json.dumps(ben.document)))
    peer.rotate(ben)
    update["object"]["publicKey"]["publicKeyPem"] = ben.key.public().pem()
    assert (await peer.deliver(ben, update, key=old)).status == 202
    reads = len(peer.requests)
    assert (await peer.deliver(ben, peer.create(ben))).status == 202
    assert len(peer.requests) == reads
    assert (await peer.deliver(ben, peer.create(ben), key=old)).status == 401


@pytest.mark.spec("R45", "R59")
async def test_the_suspended_are_refused(us: Us, peer: PeerServer) -> None:
    ana, ben = await us.person("ana"), peer.person("ben")
    assert (await peer.deliver(ben, peer.create(ben))).status == 202
    assert (await peer.fetch(ben, ana.iri)).status == 200
    await us.write(accounts.suspend, await us.actor(ben.id), "test")
    before = await us.counts()
    assert (await peer.deliver(ben, peer.activity("Follow", ben, ana.iri))).status == 403
    assert (await peer.fetch(ben, ana.iri)).status == 403
    assert await us.counts() == before
    await us.write(accounts.restore, await us.actor(ben.id), "test")
    assert (await peer.deliver(ben, peer.activity("Follow", ben, ana.iri))).status == 202


@pytest.mark.spec("R59", "R58", "R43")
async def test_reading_wants_a_partners_signature(us: Us, peer: PeerServer, stranger: PeerServer) -> None:
    ana = await us.person("ana")
    post = await us.post(ana)
    ben, eve = peer.person("ben"), stranger.person("eve")
    paths = [ana.iri, post.iri, f"{ana.iri}/outbox", f"{ana.iri}/followers", f"{post.iri}/replies"]
    missing = [us.names.actor("nobody"), us.names.post("ana", ana.id), us.names.outbox("nobody")]
    unsigned = [await us.get(url) for url in [*paths, *missing]]
    assert {(status, body) for status, _, body in unsigned} == {(401, unsigned[0][2])}
    unlisted = [await stranger.fetch(eve, url) for url in [*paths, *missing]]
    assert {(a.status, a.body) for a in unlisted} == {(403, unlisted[0].body)}
    for scheme in SCHEMES:
        assert [(await peer.fetch(ben, url, scheme=scheme)).status for url in paths] == [200] * 5
        assert [(await peer.fetch(ben, url, scheme=scheme)).status for url in missing] == [404] * 3
        assert (await peer.fetch(ben, f"{ana.iri}/outbox?page=true", scheme=scheme)).status == 200
    assert (await us.get(us.names.instance_actor()))[0] == 200


@pytest.mark.spec("R48")
async def test_the_farewell_of_somebody_unknown_is_dropped(us: Us, peer: PeerServer) -> None:
    ben, carl = peer.person("ben"), peer.person("carl")
    for status in (404, 410):
        peer.statuses["/users/ben"] = status
        assert (await peer.deliver(ben, peer.activity("Delete", ben, ben.id))).status == 202
        assert (await peer.deliver(ben, peer.activity("Delete", ben, carl.id))).status == 401
        assert (await peer.deliver(ben, peer.create(ben))).status == 401
        assert (await peer.deliver(ben, peer.activity("Block", ben, ben.id))).status == 401
        alien = peer.activity("Delete", ben, "https://third.example/users/x", actor="https://third.example/users/x")
        assert (await peer.deliver(ben, alien)).status == 401
    assert (await us.counts())[1:4] == (0, 0, 0)
    # of somebody known it is verified with the key that we keep, and obeyed
    create = peer.create(carl)
    assert (await peer.deliver(carl, create)).status == 202
    peer.statuses["/users/carl"] = 410
    farewell = peer.activity("Delete", carl, carl.id)
    assert (await peer.deliver(carl, farewell, key=rsa_key(41))).status == 401
    assert await us.find_post(create["object"]["id"]) is not None
    for _ in range(2):
        assert (await peer.deliver(carl, farewell)).status == 202
    assert await us.find_post(create["object"]["id"]) is None
    assert (await us.actor(carl.id)).state is ActorState.DELETED
    # nothing brings it back: what it sends is dropped, and it reads nothing
    assert (await peer.deliver(carl, peer.create(carl))).status == 202
    hint = peer.activity("Create", carl, "https://third.example/notes/1", actor="https://third.example/users/x")
    assert (await peer.deliver(carl, hint)).status == 202
    assert (await peer.fetch(carl, us.names.actor("ana"))).status == 403
    assert (await us.counts())[2] == 0
    assert await us.queued("apply") == []


@pytest.mark.spec("R49")
async def test_rates_of_a_partner(tmp_path: Path, internet: PretendInternet) -> None:
    limits = {"inbox_rate": 5, "key_fetch_rate": 2, "fetch_rate": 3}
    partners: list[Any] = ["peer.example", {"domain": "third.example", "rate": 2}]
    async with server(tmp_path, internet, partners=partners, limits=limits) as us:
        peer, third = PeerServer(internet, "peer.example", us), PeerServer(internet, "third.example", us)
        ben, carla = peer.person("ben"), third.person("carla")
        answers = [await peer.deliver(ben, peer.create(ben)) for _ in range(7)]
        assert [a.status for a in answers] == [202] * 5 + [429] * 2
        assert int(answers[-1].headers["retry-after"]) > 0
        answers = [await third.deliver(carla, third.create(carla)) for _ in range(3)]
        assert [a.status for a in answers] == [202, 202, 429]
        reads = [(await peer.fetch(ben, us.names.actor("x"))).status for _ in range(4)]
        assert reads == [404, 404, 404, 429]


@pytest.mark.spec("R49")
async def test_key_fetches_are_limited(tmp_path: Path, internet: PretendInternet) -> None:
    async with server(tmp_path, internet, limits={"key_fetch_rate": 2}) as us:
        peer = PeerServer(internet, "peer.example", us)
        people = [peer.person(f"p{number}") for number in range(4)]
        statuses = [(await peer.deliver(each, peer.create(each))).status for each in people]
        assert statuses == [202, 202, 429, 429]
        assert (await peer.deliver(people[0], peer.create(people[0]))).status == 202


async def test_a_key_that_cannot_be_read_now_means_later(us: Us, peer: PeerServer, internet: PretendInternet) -> None:
    ben = peer.person("ben")
    internet.down("peer.example")
    answer = await peer.deliver(ben, peer.create(ben))
    assert answer.status == 503 and int(answer.headers["retry-after"]) > 0
    internet.down("peer.example", False)
    assert (await peer.deliver(ben, peer.create(ben))).status == 202


async def test_too_much_work_is_put_off(tmp_path: Path, internet: PretendInternet) -> None:
    clock = Clock()
    async with server(tmp_path, internet, clock=clock, limits={"backlog": 2, "retry_after_seconds": 17}) as us:
        peer = PeerServer(internet, "peer.example", us)
        ben = peer.person("ben")
        assert (await peer.deliver(ben, peer.create(ben))).status == 202
        for number in range(3):
            await us.write(jobs.put, "federate", "{}", lane=f"x{number}")
        clock.forward(1001)
        answer = await peer.deliver(ben, peer.create(ben))
        assert (answer.status, answer.headers["retry-after"]) == (503, "17")
        assert (await us.counts())[2] == 1
        rows = await us.database.read(jobs.listing, state=JobState.QUEUED)
        await us.write(jobs.move, rows[0].id, JobState.CANCELLED, [JobState.QUEUED])
        clock.forward(1001)
        assert (await peer.deliver(ben, peer.create(ben))).status == 202


async def test_a_request_closes_the_circuit(us: Us, peer: PeerServer, clock: Clock) -> None:
    ben = peer.person("ben")
    later = Millis(clock.now + DAY)
    broken = PeerHealth(failures=5, retry_at=later, signature_scheme="rfc9421", scheme_until=later)
    await us.write(jobs.put_peer, "peer.example", broken)
    await us.write(jobs.put, "deliver", "{}", lane="out", host="peer.example", run_at=later)
    assert (await peer.deliver(ben, peer.create(ben))).status == 202
    health = await us.database.read(jobs.peer, "peer.example")
    assert (health.failures, health.retry_at, health.signature_scheme) == (0, None, "rfc9421")
    due = await us.database.read(jobs.next_run)
    assert due is not None and due <= clock.now


async def test_terms_hold_and_refuse(tmp_path: Path, internet: PretendInternet) -> None:
    partners: list[Any] = [
        {"domain": "peer.example", "activity_types": ["Create", "Follow"], "object_types": ["Note"],
         "ceiling_in": "unlisted", "media": False},
        {"domain": "third.example", "direction": "out"},
        {"domain": "paused.example", "state": "paused"},
    ]  # fmt: skip
    async with server(tmp_path, internet, partners=partners) as us:
        peer, third, paused = (PeerServer(internet, n, us) for n in ("peer.example", "third.example", "paused.example"))
        ben, carla, pia = peer.person("ben"), third.person("carla"), paused.person("pia")
        quiet: dict[str, Any] = {"to": [ben.followers], "cc": [PUBLIC]}
        picture = [{"type": "Image", "mediaType": "image/png", "url": "https://peer.example/a.png"}]
        table: list[tuple[Any, int, str]] = [
            (peer.create(ben, **quiet), 202, ""),
            (peer.create(ben), 403, "ceiling_in"),
            (peer.create(ben, **quiet, attachment=picture), 403, "media"),
            (peer.create(ben, **quiet, type="Article"), 403, "Article"),
            (peer.activity("Like", ben, "https://ours.example/users/ana/statuses/1"), 403, "Like"),
            (peer.activity("Delete", ben, peer.new_id("notes")), 202, ""),
        ]
        for activity, status, word in table:
            answer = await peer.deliver(ben, activity)
            assert answer.status == status and word in answer.body.decode(), (activity, answer.body)
        assert (await third.deliver(carla, third.create(carla))).status == 403
        assert (await paused.deliver(pia, paused.create(pia))).status == 403
        assert (await us.counts())[2] == 1


async def test_what_a_rule_holds_waits_for_a_person(us: Us, peer: PeerServer, monkeypatch: pytest.MonkeyPatch) -> None:
    ben = peer.person("ben")
    assert (await peer.deliver(ben, peer.create(ben))).status == 202
    guard = us.instance.guard
    monkeypatch.setattr(
        type(guard), "admit", lambda self, envelope, partner, size: Held(partner, "large", "size", 7), raising=True
    )
    create = peer.create(ben, "held")
    for _ in range(2):
        assert (await peer.deliver(ben, create)).status == 202
    rows = await us.rows(HOLDS)
    assert [(row[0], row[1]) for row in rows] == [("peer.example", "size")]
    assert json.loads(rows[0][2]) == create
    assert await us.find_post(create["object"]["id"]) is None


# Key forms


@pytest.mark.spec("R60", "R61", "R62")
@pytest.mark.parametrize(
    "form", ["fragment", "own document", "stub of the actor", "keys/1", "list", "pkcs1", "ed25519"]
)
async def test_key_forms(us: Us, peer: PeerServer, form: str) -> None:
    ben = peer.person("ben")
    key = ben.document["publicKey"]
    signing = None
    match form:
        case "own document" | "keys/1":
            path = "/users/ben/main-key" if form == "own document" else "/keys/1"
            ben.key_id = key["id"] = peer.url(path)
            peer.documents[path] = {"@context": "https://w3id.org/security/v1", "type": "Key", **key}
        case "stub of the actor":
            ben.key_id = key["id"] = f"{ben.id}/main-key"
            stub = {"@context": [AS2, "https://w3id.org/security/v1"], "id": ben.id, "type": "Person", "publicKey": key}
            peer.documents["/users/ben/main-key"] = stub
        case "list":
            other = dict(key, id=f"{ben.id}#second", publicKeyPem=rsa_key(42).public().pem())
            ben.document["publicKey"] = [other, key]
        case "pkcs1":
            key["publicKeyPem"] = key["publicKeyPem"].replace("\n", "\r\n")
        case "ed25519":
            ben.key_id, signing = f"{ben.id}#ed25519-key", ben.ed25519
    answer = await peer.deliver(ben, peer.create(ben), key=signing)
    assert answer.status == 202, answer.body
    assert (await peer.deliver(ben, peer.create(ben), key=rsa_key(41))).status == 401


# Forwarded activities


@pytest.mark.spec("R63", "R64", "R5")
async def test_a_forwarded_activity_with_a_proof_is_believed(us: Us, peer: PeerServer, third: PeerServer) -> None:
    ben, carla = peer.person("ben"), third.person("carla")
    good = third.prove(third.create(carla, "proven"), carla)
    assert (await peer.deliver(ben, good)).status == 202
    post = await us.find_post(good["object"]["id"])
    assert post is not None and post.author_id == (await us.actor(carla.id)).id
    before = await us.counts()

    def expired(document: dict[str, Any]) -> dict[str, Any]:
        proof = dict(document["proof"], expires="2020-01-01T00:00:00Z")
        return document | {"proof": proof}

    bad: list[Callable[[], dict[str, Any]]] = [
        lambda: third.prove(third.create(carla), carla) | {"published": "2020-01-01T00:00:00Z"},
        lambda: peer.prove(third.create(carla), ben),
        lambda: expired(third.prove(third.create(carla), carla)),
        lambda: third.create(carla) | {"proof": {}},
        lambda: third.create(carla) | {"proof": "x"},
    ]
    for make in bad:
        assert (await peer.deliver(ben, make())).status == 401
    assert (await us.counts())[1:] == before[1:]
    await us.write(accounts.suspend, await us.actor(carla.id), "test")
    assert (await peer.deliver(ben, third.prove(third.create(carla), carla))).status == 403


@pytest.mark.spec("R63")
async def test_a_proof_of_a_stranger_is_worth_nothing(us: Us, peer: PeerServer, stranger: PeerServer) -> None:
    ben, eve = peer.person("ben"), stranger.person("eve")
    proven = stranger.prove(stranger.create(eve), eve)
    assert (await peer.deliver(ben, proven)).status == 403
    assert stranger.requests == []


@pytest.mark.spec("R32", "R65")
async def test_a_forwarded_activity_without_proof_is_a_hint(us: Us, peer: PeerServer, third: PeerServer) -> None:
    ben, carla = peer.person("ben"), third.person("carla")
    genuine = third.create(carla, "as it is at its origin")
    lie = json.loads(json.dumps(genuine))
    lie["object"]["content"] = "<p>as the forwarder wants it</p>"
    lie["signature"] = {"type": "RsaSignature2017", "creator": carla.key_id, "signatureValue": "AAAA"}
    assert (await peer.deliver(ben, lie)).status == 202
    invented = third.activity("Create", carla, {
        "type": "Note", "id": third.url("/notes/never"), "attributedTo": carla.id, "to": [PUBLIC], "content": "no",
    })  # fmt: skip
    assert (await peer.deliver(ben, invented)).status == 202
    assert (await us.counts())[2] == 0
    await us.settle()
    post = await us.find_post(genuine["object"]["id"])
    assert post is not None and "as it is at its origin" in post.content.html
    assert await us.find_post(third.url("/notes/never")) is None
    # Delete: obeyed when the origin itself says so
    delete = third.activity("Delete", carla, genuine["object"]["id"])
    assert (await peer.deliver(ben, delete)).status == 202
    await us.settle()
    assert await us.find_post(post.iri) is not None
    for number, status in enumerate((404, 403, 500)):  # which may also mean "not for you", or "not now"
        third.statuses["/notes/1"] = status
        assert (await peer.deliver(ben, delete | {"id": third.url(f"/again/{number}")})).status == 202
        await us.settle()
        assert await us.find_post(post.iri) is not None
    rows = await us.database.read(jobs.listing, state=JobState.QUEUED)
    await us.write(jobs.move, rows[0].id, JobState.CANCELLED, [JobState.QUEUED])
    third.statuses["/notes/1"] = 410
    assert (await peer.deliver(ben, delete | {"id": third.new_id()})).status == 202
    await us.settle()
    assert await us.find_post(post.iri) is None


@pytest.mark.spec("R49")
async def test_hints_are_limited(tmp_path: Path, internet: PretendInternet) -> None:
    async with server(
        tmp_path, internet, partners=["peer.example", "third.example"], limits={"key_fetch_rate": 2}
    ) as us:
        peer, third = PeerServer(internet, "peer.example", us), PeerServer(internet, "third.example", us)
        ben, carla = peer.person("ben"), third.person("carla")
        answers = [await peer.deliver(ben, third.create(carla)) for _ in range(3)]
        assert [answer.status for answer in answers] == [202, 202, 429]


async def test_the_body_is_kept_as_it_came(us: Us, peer: PeerServer) -> None:
    """What waits in a job is the activity as received, so that it is judged anew by what it said."""
    ben = peer.person("ben")
    boost = peer.activity("Announce", ben, peer.note(ben)["id"], to=[PUBLIC])
    assert (await peer.deliver(ben, boost)).status == 202
    (job,) = await us.queued("fetch")
    assert msgspec.json.decode(job["boost_body"]) == boost
    assert await us.database.read(actors.by_iri, ben.id) is not None
