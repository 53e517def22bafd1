"""The resolver: what is believed of what was read, which signatures open which doors, and who is never asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fedishare.activitypub import fetching, resolver
from fedishare.model.actors import Actor, ActorState
from fedishare.model.errors import BadDocument, FedishareError, FetchFailed, NotFound, PolicyRefusal
from fedishare.model.ids import Domain, Handle, Iri
from fedishare.model.partners import Partner, PartnerState
from fedishare.model.posts import Post
from fedishare.policy.facts import Purpose
from fedishare.services import accounts, governance
from fedishare.services.site import FetchActorJob, FetchPostJob, fetch
from fedishare.store import jobs
from fedishare.store.jobs import JobState
from tests.support.builders import Us, server
from tests.support.clock import DAY, HOUR, Clock
from tests.support.internet import PretendInternet
from tests.support.peer import AS2, PUBLIC, TYPE, PeerServer

LD = 'application/ld+json; profile="https://www.w3.org/ns/activitystreams"'


def iri(text: object) -> Iri:
    """An id from a document."""
    return Iri(str(text))


async def fails(awaitable: Any, kind: type[FedishareError], words: str = "") -> None:
    """It raises that, saying this."""
    with pytest.raises(kind) as caught:
        await awaitable
    assert words in caught.value.message


# What is believed


@pytest.mark.spec("R33")
async def test_a_document_is_believed_at_its_own_id(us: Us, peer: PeerServer, third: PeerServer) -> None:
    ben, carla = peer.person("ben"), third.person("carla")
    note = peer.note(ben)
    peer.redirects["/@ben/1"] = note["id"]
    peer.documents["/copy"] = {**note, "content": "<p>another text</p>"}
    post = await resolver.resolve_url(us.federation, peer.url("/@ben/1"))
    assert isinstance(post, Post) and post.iri == note["id"]
    found = await fetching.document(us.federation, peer.url("/copy"), Purpose.OBJECT)
    assert found["content"] == note["content"]  # read once more at its id
    peer.documents["/foreign"] = third.note(carla)
    await fails(fetching.document(us.federation, peer.url("/foreign"), Purpose.OBJECT), BadDocument, "another origin")
    peer.documents["/a"], peer.documents["/b"] = {"id": peer.url("/b")}, {"id": peer.url("/a")}
    await fails(fetching.document(us.federation, peer.url("/a"), Purpose.OBJECT), BadDocument, "answers with the id")
    peer.documents["/nameless"] = {"type": "Note"}
    await fails(fetching.document(us.federation, peer.url("/nameless"), Purpose.OBJECT), BadDocument, "has no id")
    peer.redirects["/away"] = third.url("/users/carla")
    await fails(fetching.document(us.federation, peer.url("/away"), Purpose.OBJECT), FetchFailed, "another place")


@pytest.mark.spec("R34")
async def test_media_types_of_what_is_read(us: Us, peer: PeerServer) -> None:
    ben = peer.person("ben")
    for kind in ("application/json", "text/html", "application/ld+json", "text/plain", "", "image/png"):
        note = peer.note(ben)
        peer.media_types[note["id"].removeprefix("https://peer.example")] = kind
        await fails(resolver.fetch_post(us.federation, iri(note["id"])), BadDocument, "was expected")
    for kind in (TYPE, f"{TYPE}; charset=utf-8", LD, LD.replace('"', "")):
        note = peer.note(ben)
        peer.media_types[note["id"].removeprefix("https://peer.example")] = kind
        assert await resolver.fetch_post(us.federation, iri(note["id"])) is not None, kind


@pytest.mark.spec("R38")
async def test_documents_have_limits(us: Us, peer: PeerServer, internet: PretendInternet) -> None:
    ben = peer.person("ben")
    large = peer.note(ben, "x" * 1_100_000)
    await fails(resolver.fetch_post(us.federation, iri(large["id"])), FetchFailed, "larger than")
    deep: dict[str, Any] = {}
    for _ in range(40):
        deep = {"a": deep}
    nested = peer.note(ben, attachment=deep)
    await fails(resolver.fetch_post(us.federation, iri(nested["id"])), BadDocument, "deep")
    for number in range(5):
        peer.redirects[f"/hop/{number}"] = peer.url(f"/hop/{number + 1}")
    await fails(resolver.resolve_url(us.federation, peer.url("/hop/0")), FetchFailed, "redirects more than 3 times")
    for body in (b"", b"{", b'{"id":1}', b"[1]", b"\xff"):
        internet.answer("peer.example", 200, body, {"content-type": TYPE}, times=1)
        await fails(resolver.fetch_post(us.federation, iri(peer.url("/x"))), BadDocument)


@pytest.mark.spec("R32", "R35")
async def test_a_fetched_post_is_judged_as_its_authors(us: Us, peer: PeerServer, third: PeerServer) -> None:
    ben, carla = peer.person("ben"), third.person("carla")
    stolen = peer.note(ben, attributedTo=carla.id)
    await fails(resolver.fetch_post(us.federation, iri(stolen["id"])), BadDocument, "attributedTo")
    ours = peer.note(ben, attributedTo=us.names.actor("ana"))
    await fails(resolver.fetch_post(us.federation, iri(ours["id"])), BadDocument)
    note = peer.note(ben)
    assert await resolver.fetch_post(us.federation, iri(note["id"])) is not None
    await us.write(accounts.suspend, await us.actor(ben.id), "test")
    assert await resolver.fetch_post(us.federation, iri(peer.note(ben)["id"])) is None


async def test_terms_hold_for_what_is_read(tmp_path: Path, internet: PretendInternet) -> None:
    partners: list[Any] = [{"domain": "peer.example", "object_types": ["Note"], "media": False}]
    async with server(tmp_path, internet, partners=partners) as us:
        peer = PeerServer(internet, "peer.example", us)
        ben = peer.person("ben")
        picture = [{"type": "Image", "mediaType": "image/png", "url": "https://peer.example/a.png"}]
        article, illustrated = peer.note(ben, type="Article"), peer.note(ben, attachment=picture)
        await fails(resolver.fetch_post(us.federation, iri(article["id"])), PolicyRefusal, "Article")
        await fails(resolver.fetch_post(us.federation, iri(illustrated["id"])), PolicyRefusal, "media")
        assert await resolver.fetch_post(us.federation, iri(peer.note(ben)["id"])) is not None


# Signatures of what we read


@pytest.mark.spec("R54", "R57", "R7", "R55")
@pytest.mark.parametrize("scheme", ["cavage", "rfc9421"])
@pytest.mark.parametrize("status", [400, 401, 403, 500])
async def test_double_knocking(us: Us, peer: PeerServer, clock: Clock, scheme: str, status: int) -> None:
    ben = peer.person("ben")
    peer.takes, peer.refusal = frozenset((scheme,)), status
    for number in range(2):
        assert await resolver.fetch_post(us.federation, iri(peer.note(ben, f"{number}")["id"])) is not None
    refused = 0 if scheme == fetching.SCHEMES[0] else 1
    assert peer.refused == refused  # once at most: what worked is remembered …
    us.federation.memory.schemes.clear()
    assert await resolver.fetch_post(us.federation, iri(peer.note(ben)["id"])) is not None
    assert peer.refused == refused  # … also in the store
    health = await us.database.read(jobs.peer, "peer.example")
    assert health.signature_scheme == (None if refused == 0 else scheme)
    peer.takes = frozenset({"cavage", "rfc9421"} - {scheme})
    assert await resolver.fetch_post(us.federation, iri(peer.note(ben)["id"])) is not None  # it changed its mind
    peer.takes = frozenset()
    await fails(resolver.fetch_post(us.federation, iri(peer.note(ben)["id"])), FetchFailed, f"answered {status}")


@pytest.mark.spec("R56")
async def test_queries_in_signatures(us: Us, peer: PeerServer) -> None:
    peer.person("ben")
    for with_query in (True, False):
        peer.query_counts = with_query
        path = f"/users/ben?page={with_query}"
        peer.documents[path] = {**peer.documents["/users/ben"], "id": peer.url(path)}
        found = await fetching.document(us.federation, peer.url(path), Purpose.OBJECT)
        assert found["id"] == peer.url(path)


# Actors and handles


@pytest.mark.spec("R12", "R110")
async def test_a_handle_becomes_an_actor(us: Us, peer: PeerServer, stranger: PeerServer) -> None:
    ana, ben = await us.person("ana"), peer.person("ben")
    eve = stranger.person("eve")
    resolve = resolver.resolve_handle
    assert (await resolve(us.federation, Handle("Ana"))).id == ana.id
    assert (await resolve(us.federation, Handle("ana", Domain("ours.example")))).id == ana.id
    await fails(resolve(us.federation, Handle("nobody")), NotFound)
    await fails(resolve(us.federation, Handle("instance.actor")), NotFound)
    assert us.internet.dns_lookups == []
    for domain in ("evil.example", "sub.peer.example", "xn--peer-example.example"):
        with pytest.raises(PolicyRefusal) as refused:
            await resolve(us.federation, Handle("eve", Domain(domain)))
        assert refused.value.rule == "unlisted"
    await fails(resolver.resolve_url(us.federation, eve.id), PolicyRefusal, "not on the allow-list")
    await fails(resolver.fetch_actor(us.federation, iri(eve.id)), PolicyRefusal)
    await fails(resolver.fetch_key(us.federation, eve.key_id), PolicyRefusal)
    await fails(resolver.fetch_post(us.federation, iri(stranger.note(eve)["id"])), PolicyRefusal)
    assert us.internet.dns_lookups == [] and us.internet.sent == []
    found = await resolve(us.federation, Handle("ben", Domain("peer.example")))
    assert (found.iri, found.name, found.domain) == (ben.id, "ben", "peer.example")
    await fails(resolve(us.federation, Handle("nobody", Domain("peer.example"))), NotFound)
    peer.handles["alias@peer.example"] = ("acct:alias@peer.example", ben.id)
    await fails(resolve(us.federation, Handle("alias", Domain("peer.example"))), BadDocument, "calls itself @ben")
    asked = len(us.internet.sent)
    assert (await resolve(us.federation, Handle("BEN", Domain("peer.example")))).id == found.id
    assert len(us.internet.sent) == asked  # known


async def test_people_of_a_former_partner_are_refused_by_name(tmp_path: Path, internet: PretendInternet) -> None:
    async with server(tmp_path, internet, partners=[]) as us:
        partner = Partner(Domain("peer.example"), reason="test")
        await us.write(governance.add_partner, partner, "test")
        await us.reload()
        peer = PeerServer(internet, "peer.example", us)
        ben = peer.person("ben")
        handle = Handle("ben", Domain("peer.example"))
        assert (await resolver.resolve_handle(us.federation, handle)).iri == ben.id
        await us.write(governance.set_partner_state, partner, PartnerState.ENDED, "test")
        await us.reload()
        internet.forget()
        with pytest.raises(PolicyRefusal) as refused:
            await resolver.resolve_handle(us.federation, handle)
        assert refused.value.rule == "partner-ended"
        await fails(resolver.resolve_url(us.federation, ben.id), PolicyRefusal)
        assert (await peer.deliver(ben, peer.create(ben))).status == 403
        assert internet.dns_lookups == []


SPLIT: list[Any] = [{"domain": "lab.example", "hosts": ["social.lab.example"]}, "third.example"]


@pytest.mark.spec("R108", "R109")
@pytest.mark.parametrize("how", ["answers itself", "redirects", "only the actor says so"])
async def test_split_domains(tmp_path: Path, internet: PretendInternet, how: str) -> None:
    async with server(tmp_path, internet, partners=SPLIT) as us:
        home, social = PeerServer(internet, "lab.example", us), PeerServer(internet, "social.lab.example", us)
        mia = social.person("mia")
        subject = ("acct:mia@lab.example", mia.id)
        home.handles["mia@lab.example"] = subject
        social.handles["mia@lab.example"] = subject
        if how == "redirects":
            query = "/.well-known/webfinger?resource=acct%3Amia%40lab.example"
            home.redirects[query] = social.url(query)
        if how == "only the actor says so":
            mia.document["webfinger"] = "mia@lab.example"
        else:
            social.handles["mia@social.lab.example"] = subject
        found = await resolver.resolve_handle(us.federation, Handle("mia", Domain("lab.example")))
        assert (found.iri, found.domain, found.host) == (mia.id, "lab.example", "social.lab.example")
        # the redirect of a split domain leads to the same partner only
        for elsewhere in ("third.example", "evil.example"):
            query = "/.well-known/webfinger?resource=acct%3Amax%40lab.example"
            home.redirects[query] = f"https://{elsewhere}{query}"
            handle = Handle("max", Domain("lab.example"))
            await fails(resolver.resolve_handle(us.federation, handle), FetchFailed, "another place")
            assert elsewhere not in internet.dns_lookups
        # both names lead to her, and she signs from her host
        assert (await social.deliver(mia, social.create(mia))).status == 202


@pytest.mark.spec("R108")
async def test_a_handle_on_another_domain_is_checked_back(tmp_path: Path, internet: PretendInternet) -> None:
    async with server(tmp_path, internet, partners=SPLIT) as us:
        home, social = PeerServer(internet, "lab.example", us), PeerServer(internet, "social.lab.example", us)
        third = PeerServer(internet, "third.example", us)
        mia, boss = social.person("mia"), home.person("boss")
        table: list[tuple[str, dict[str, Any]]] = [
            ("acct:boss@lab.example", {}),  # lab.example knows another boss
            ("acct:mia@third.example", {}),  # another partner's domain
            ("acct:mia@evil.example", {}),  # a stranger's
            ("acct:mia@social.lab.example", {"webfinger": "mia@third.example"}),
            ("acct:mia@social.lab.example", {"webfinger": "mia@lab.example"}),  # which does not know her
            ("acct:mia@social.lab.example", {"webfinger": "boss2@lab.example"}),  # another name
            ("nonsense", {"webfinger": 7}),
            ("acct:mia@lab.example", {}),  # where mia is somebody else
        ]
        home.handles["boss2@lab.example"] = ("acct:boss2@lab.example", mia.id)
        third.handles["mia@third.example"] = ("acct:mia@third.example", mia.id)
        for subject, fields in table:
            if subject == "acct:mia@lab.example":
                home.handles["mia@lab.example"] = (subject, boss.id)
            social.handles["mia@social.lab.example"] = (subject, mia.id)
            mia.document.pop("webfinger", None)
            mia.document.update(fields)
            found = await resolver.fetch_actor(us.federation, iri(mia.id))
            assert (found.name, found.domain) == ("mia", "social.lab.example"), subject
        assert internet.to("evil.example") == []
        assert (await resolver.fetch_actor(us.federation, iri(boss.id))).domain == "lab.example"


@pytest.mark.spec("R108")
async def test_nobody_takes_the_name_of_somebody_else(us: Us, peer: PeerServer) -> None:
    boss = peer.person("boss")
    impostor = peer.person("mallory", preferredUsername="boss")
    await resolver.fetch_actor(us.federation, iri(boss.id))
    await fails(resolver.fetch_actor(us.federation, iri(impostor.id)), BadDocument, "@boss@peer.example is")
    assert (await peer.deliver(impostor, peer.create(impostor))).status == 401
    assert (await us.actor(boss.id)).name == "boss"
    # without any WebFinger a free name is shown, a taken one is not
    office = peer.person("office", preferredUsername="free", kind="Application")
    assert str((await resolver.fetch_actor(us.federation, iri(office.id))).handle) == "free@peer.example"
    again = peer.person("again", preferredUsername="free")
    await fails(resolver.fetch_actor(us.federation, iri(again.id)), BadDocument, "WebFinger does not say otherwise")


async def test_answers_that_are_no_webfinger(us: Us, peer: PeerServer, internet: PretendInternet) -> None:
    ben = peer.person("ben")
    good = {"subject": "acct:ben@peer.example", "links": [{"rel": "self", "type": TYPE, "href": ben.id}]}
    answers: list[tuple[int, str, bytes, type[FedishareError]]] = [
        (200, "text/html", json.dumps(good).encode(), BadDocument),
        (200, "application/jrd+json", b"{", BadDocument),
        (200, "application/jrd+json", b"{}", NotFound),
        (404, "text/plain", b"", NotFound),
        (500, "text/plain", b"", FetchFailed),
    ]
    handle = Handle("ben", Domain("peer.example"))
    for status, kind, body, error in answers:
        internet.answer("peer.example", status, body, {"content-type": kind}, times=1)
        await fails(resolver.resolve_handle(us.federation, handle), error)
    assert (await resolver.resolve_handle(us.federation, handle)).iri == ben.id


@pytest.mark.spec("R103")
async def test_an_actor_is_read_again(us: Us, peer: PeerServer, clock: Clock) -> None:
    ben = peer.person("ben")
    handle = Handle("ben", Domain("peer.example"))
    await resolver.resolve_handle(us.federation, handle)
    ben.document["name"] = "Benjamin"
    clock.forward(DAY + HOUR)
    assert (await resolver.resolve_handle(us.federation, handle)).profile.display_name == "Ben"
    await us.settle()
    assert (await resolver.resolve_handle(us.federation, handle)).profile.display_name == "Benjamin"
    # nothing brings a deleted one back
    await us.write(accounts.erase, await us.actor(ben.id))
    left = await resolver.fetch_actor(us.federation, iri(ben.id))
    assert (left.state, left.profile.display_name) == (ActorState.DELETED, "")
    await fails(resolver.resolve_handle(us.federation, handle), NotFound)


@pytest.mark.spec("R6")
async def test_addresses_that_people_type(us: Us, peer: PeerServer) -> None:
    ana, ben = await us.person("ana"), peer.person("ben")
    post = await us.post(ana)
    resolve = resolver.resolve_url
    for url in (ana.iri, us.names.profile_page("ana")):
        found = await resolve(us.federation, url)
        assert isinstance(found, Actor) and found.id == ana.id
    for url in (post.iri, post.url, f"{post.iri}/activity"):
        found = await resolve(us.federation, url)
        assert isinstance(found, Post) and found.id == post.id
    for url in ("https://ours.example/about", us.names.post("ana", ana.id), "https://OURS.example/users/ana"):
        assert await resolve(us.federation, url) is None
    assert us.internet.sent == []
    actor = await resolve(us.federation, ben.id)
    assert isinstance(actor, Actor) and actor.iri == ben.id
    note = peer.note(ben)
    for _ in range(2):
        found = await resolve(us.federation, note["id"])
        assert isinstance(found, Post) and found.iri == note["id"]
    peer.documents["/list"] = {"@context": AS2, "id": peer.url("/list"), "type": "Collection"}
    assert await resolve(us.federation, peer.url("/list")) is None
    for url in ("ftp://peer.example/x", "https://user@peer.example/", "peer.example", "https://10.0.0.1/", ""):
        await fails(resolve(us.federation, url), PolicyRefusal)


# Collections


@pytest.mark.spec("R116")
async def test_collections(us: Us, peer: PeerServer, third: PeerServer) -> None:
    limits = us.instance.config.limits

    def serve(path: str, document: dict[str, Any]) -> str:
        peer.documents[path] = {"@context": AS2, "id": peer.url(path), **document}
        return peer.url(path)

    ids = [f"https://peer.example/notes/x{number}" for number in range(5)]
    serve("/p2", {"type": "OrderedCollectionPage", "orderedItems": ids[3:]})
    serve("/p1", {"type": "OrderedCollectionPage", "orderedItems": ids[:3], "next": peer.url("/p2")})
    paged = serve("/paged", {"type": "OrderedCollection", "totalItems": 5, "first": peer.url("/p1")})
    loop = serve("/loop", {"type": "CollectionPage", "items": ids[:1], "next": peer.url("/loop2")})
    serve("/loop2", {"type": "CollectionPage", "items": ids[1:2], "next": loop})
    elsewhere = serve("/else", {"type": "CollectionPage", "items": ids[:1], "next": third.url("/more")})
    page = {"type": "OrderedCollectionPage", "orderedItems": ids}
    table = {
        paged: ids,
        serve("/embedded", {"type": "OrderedCollection", "first": page}): ids,
        serve("/items", {"type": "Collection", "items": ids[0]}): ids[:1],
        serve("/empty", {"type": "Collection"}): [],
        loop: ids[:2],
        elsewhere: ids[:1],
        serve("/huge", {"type": "Collection", "items": ids * 1000}): (ids * 1000)[: limits.collection_items],
    }
    for url, expected in table.items():
        assert list(await fetching.collection(us.federation, url)) == expected, url
    assert third.requests == []
    await fails(fetching.collection(us.federation, serve("/note", {"type": "Note"})), BadDocument, "collection")
    peer.documents["/lies"] = {"id": third.url("/followers"), "type": "Collection", "items": ids}
    await fails(fetching.collection(us.federation, peer.url("/lies")), BadDocument, "says that it is")


# Jobs


async def test_how_fetches_end(us: Us, peer: PeerServer, internet: PretendInternet) -> None:
    ben = peer.person("ben")
    await resolver.fetch_actor(us.federation, iri(ben.id))
    missing, html, flaky = peer.url("/none"), peer.note(ben), peer.note(ben)
    peer.media_types[html["id"].removeprefix("https://peer.example")] = "text/html"
    peer.statuses[flaky["id"].removeprefix("https://peer.example")] = 503
    evil = "https://evil.example/notes/1"
    for address in (missing, str(html["id"]), str(flaky["id"]), evil, peer.note(ben)["id"]):
        await us.write(fetch, FetchPostJob(address))
    await us.write(fetch, FetchActorJob(ben.id))
    await us.write(fetch, FetchActorJob(ben.id))  # queued once
    assert len(await us.queued("fetch")) == 6
    await us.settle()
    rows = await us.database.read(jobs.listing, limit=100)
    ends = [(row.state, row.last_error or "") for row in rows]
    assert [state for state, _ in ends].count(JobState.DONE) == 2
    cancelled = "\n".join(sorted(reason for state, reason in ends if state is JobState.CANCELLED))
    assert "answered 404" in cancelled and "was expected" in cancelled and "allow-list" in cancelled
    assert [reason for state, reason in ends if state is JobState.QUEUED] == [f"{flaky['id']} answered 503"]
    assert internet.to("evil.example") == []


async def test_what_we_read_is_limited_to_what_is_public_there(us: Us, peer: PeerServer) -> None:
    """A vote or a post that is not for showing never becomes one because somebody named its id."""
    ben = peer.person("ben")
    vote = peer.note(ben, content=None, name="yes", inReplyTo="https://ours.example/users/ana/statuses/1", to=[PUBLIC])
    assert await resolver.fetch_post(us.federation, iri(vote["id"])) is None
