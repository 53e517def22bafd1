"""What partners read with signed GETs: exactly what they could be sent, in the types and pages that peers expect."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fedishare.store.jobs import JobState
from tests.support.world import Org, Person, Said, World, new_world

CLINIC, LAB, CARE = "clinic.example", "lab.example", "care.example"
TYPE = "application/activity+json"
LD = 'application/ld+json; profile="https://www.w3.org/ns/activitystreams"'

# A failing story is shown as it is: making it smaller would take many minutes.
PHASES = (Phase.explicit, Phase.generate)


@dataclass
class Readers:
    """ana writes at the clinic; ben (lab) and cat (care) read, and both follow her."""

    world: World
    clinic: Org
    ana: Person
    amy: Person
    ben: Person
    bea: Person
    cat: Person


@pytest.fixture
async def readers(tmp_path: Path) -> AsyncIterator[Readers]:
    async with new_world(tmp_path) as world:
        clinic = await world.org(CLINIC, [LAB, CARE])
        lab, care = await world.org(LAB, [CLINIC]), await world.org(CARE, [CLINIC])
        people = [await clinic.person("ana"), await clinic.person("amy"), await lab.person("ben"),
                  await lab.person("bea"), await care.person("cat")]  # fmt: skip
        made = Readers(world, clinic, *people)
        for person in (made.ben, made.cat, made.amy):
            await person.follow("ana@clinic.example" if person is not made.amy else "ana")
        await world.settle()
        yield made


# Media types


@pytest.mark.spec("R8", "R120")
async def test_servers_get_documents_and_browsers_a_page(readers: Readers) -> None:
    said = await readers.ana.say("hello", reach="partners")
    documents = [TYPE, LD, f"{TYPE}, {LD}", "application/ld+json", "*/*", "", "application/json",
                 f"text/html;q=0.5, {TYPE}", f"{TYPE};q=0.9, text/html;q=0.8", f"{TYPE}, text/html",
                 "text/html;q=0, */*", f"{LD}, text/html;q=0.1"]  # fmt: skip
    pages = ["text/html", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/xhtml+xml",
             f"text/html, {TYPE};q=0.5", "TEXT/HTML;Q=0.7, */*;q=0.1", f"{TYPE};q=nonsense, text/html"]  # fmt: skip
    for url in (readers.ana.iri, f"https://{CLINIC}/@ana", said["uri"], said["url"]):
        for accept in documents:
            refused = await readers.world.ask("GET", url, {"accept": accept})
            assert (refused.status, refused.headers["content-type"]) == (401, "application/json; charset=utf-8"), accept
            read = await readers.ben.fetch(url, accept=accept)
            assert (read.status, read.headers["content-type"]) == (200, f"{TYPE}; charset=utf-8"), accept
            assert read.json["id"] in (readers.ana.iri, said["uri"])
        for accept in pages:
            page = await readers.world.ask("GET", url, {"accept": accept})
            assert (page.status, page.headers["content-type"]) == (401, "text/html; charset=utf-8"), accept
            assert b"hello" not in page.body
    for url in (said["uri"], f"{readers.ana.iri}/statuses/1", f"{readers.ana.iri}/outbox"):
        for got in (await readers.ben.fetch(url), await readers.world.ask("GET", url, {"accept": "text/html"})):
            # Never kept by anybody between us, and never the one for the other.
            assert "Accept" in got.headers["vary"] and "Signature" in got.headers["vary"]
            assert "no-store" in got.headers["cache-control"]


async def test_head_is_get_without_a_body(readers: Readers) -> None:
    said = await readers.ana.say("hello", reach="partners")
    for url in (readers.ana.iri, said["uri"], f"{readers.ana.iri}/outbox", f"{readers.ana.iri}/statuses/1"):
        full, head = await readers.ben.fetch(url), await readers.ben.fetch(url, method="HEAD")
        assert (head.status, head.body) == (full.status, b"")
        assert head.headers == full.headers
    for url in (said["uri"], "https://clinic.example/users/nobody"):
        assert (await readers.world.ask("HEAD", url)).status == 401


@pytest.mark.spec("R9", "R10", "R11")
async def test_ids_are_spelt_in_one_way_and_answer(readers: Readers) -> None:
    said = await readers.ana.say("hello", reach="partners")
    note = (await readers.ben.fetch(said["uri"])).json
    actor = (await readers.ben.fetch(readers.ana.iri)).json
    ids = [
        note["id"],
        note["url"],
        note["attributedTo"],
        *(note[each]["id"] for each in ("replies", "likes", "shares")),
    ]
    ids += [actor[each] for each in ("id", "url", "outbox", "followers", "following", "liked", "featured")]
    ids += [actor["generator"]["id"], f"{said['uri']}/activity"]
    for url in ids:
        got = await readers.ben.fetch(url)
        assert got.status == 200, url
        assert got.json["@context"] and got.json["id"].startswith(f"https://{CLINIC}/")
    create = (await readers.ben.fetch(f"{said['uri']}/activity")).json
    assert (create["type"], create["object"]["id"], create["to"]) == ("Create", said["uri"], note["to"])
    # Other spellings are other ids, and name nothing.
    number = said["id"]
    for path in (f"/users/ANA/statuses/{number}", "/users/Ana", f"/users/amy/statuses/{number}", f"/@ana/0{number}",
                 f"/users/ana/statuses/{number}0", f"/users/ana/statuses/+{number}", "/users/ana/statuses/%D9%A3",
                 f"/users/ana/statuses/{10**19}", "/users/ana/statuses/0", "/users/instance.actor"):  # fmt: skip
        assert (await readers.ben.fetch(f"https://{CLINIC}{path}")).status == 404, path


@pytest.mark.spec("R58")
async def test_the_instance_actor_is_read_by_anybody(readers: Readers) -> None:
    got = await readers.world.ask("GET", f"https://{CLINIC}/actor")
    assert (got.status, got.json["type"], got.json["id"]) == (200, "Application", f"https://{CLINIC}/actor")
    assert "PUBLIC KEY" in got.json["publicKey"]["publicKeyPem"]
    outbox = await readers.world.ask("GET", got.json["outbox"])
    assert (outbox.status, outbox.json["totalItems"]) == (200, 0)
    assert (await readers.world.ask("POST", got.json["inbox"])).status in (401, 415)


# Collections


async def _walk(reader: Person, url: str, direction: str = "next") -> list[Said]:
    pages: list[Said] = []
    following: str | None = url
    while following is not None:
        pages.append(await reader.fetch(following))
        assert pages[-1].status == 200
        assert pages[-1].json["id"] == following
        following = pages[-1].json.get(direction)
        assert len(pages) < 20
    return pages


@pytest.mark.spec("R114")
async def test_the_outbox_has_stable_pages_both_ways(readers: Readers) -> None:
    ana = readers.ana
    said = [
        (await ana.say(f"post {n}", reach="partners", visibility=["public", "unlisted"][n % 2]))["uri"]
        for n in range(45)
    ]
    for hidden in ({"visibility": "private"}, {"visibility": "direct"}, {"reach": "local"}, {"reach": [CARE]}):
        await ana.say("@cat@care.example not in ben's outbox", **({"reach": "partners"} | hidden))
    top = await readers.ben.fetch(f"{ana.iri}/outbox")
    assert (top.json["type"], top.json["totalItems"]) == ("OrderedCollection", 45)
    pages = await _walk(readers.ben, top.json["first"])
    found = [[item["object"]["id"] for item in page.json["orderedItems"]] for page in pages]
    assert [len(page) for page in found] == [20, 20, 5]
    assert [iri for page in found for iri in page] == said[::-1]
    assert all(page.json["partOf"] == f"{ana.iri}/outbox" for page in pages)
    assert {page.json["type"] for page in pages} == {"OrderedCollectionPage"}
    # New posts move no page that has an id of its own; the way back finds them.
    newer = [(await ana.say(f"later {n}", reach="partners"))["uri"] for n in range(25)]
    again = await _walk(readers.ben, pages[0].json["next"])
    assert [[i["object"]["id"] for i in page.json["orderedItems"]] for page in again] == found[1:]
    back = await _walk(readers.ben, pages[2].json["id"], "prev")
    listed = [i["object"]["id"] for page in back[::-1] for i in page.json["orderedItems"]]
    assert listed == newer[::-1] + said[::-1]
    # What else a query may say leads to the beginning, or nowhere, and never to an error.
    for query in ("page=true&max_id=0", "page=true&max_id=x", f"page=true&max_id={10**30}", "page=1",
                  "page=true&min_id=-1", "page=true&max_id=%00",
                  f"page=true&min_id={2**63 - 1}", f"page=true&max_id={2**63 - 1}"):  # fmt: skip
        assert (await readers.ben.fetch(f"{ana.iri}/outbox?{query}")).status == 200, query


async def test_the_outbox_shows_boosts_of_what_travels(readers: Readers) -> None:
    inside = await readers.amy.say("inside", reach="local")
    wide = await readers.amy.say("wide", reach="partners")
    for post in (inside, wide):
        await readers.ana.on(post["uri"], "reblog")
    outbox = await readers.ben.fetch(f"{readers.ana.iri}/outbox?page=true")
    (announce,) = outbox.json["orderedItems"]
    assert (announce["type"], announce["object"]) == ("Announce", wide["uri"])
    assert (await readers.ben.fetch(announce["id"])).json["object"] == wide["uri"]


async def test_followers_are_named_to_their_own_partner_only(readers: Readers) -> None:
    for path, names in (("followers", {"ben": [readers.ben.iri], "cat": [readers.cat.iri]}),):
        url = f"{readers.ana.iri}/{path}"
        for name, expected in names.items():
            reader: Person = getattr(readers, name)
            top = await reader.fetch(url)
            assert (top.json["totalItems"], top.json["first"]) == (3, f"{url}?page=true")
            assert "orderedItems" not in top.json
            page = await reader.fetch(top.json["first"])
            assert page.json["orderedItems"] == expected
            part = await reader.fetch(f"{readers.ana.iri}/followers_synchronization")
            assert part.json["orderedItems"] == expected
    following = await readers.ben.fetch(f"{readers.amy.iri}/following?page=true")
    assert following.json["orderedItems"] == []
    said = b"".join(a.body for a in readers.world.answers if a.host == CLINIC and a.path.endswith("followers"))
    assert b"users/amy" not in said


@pytest.mark.spec("R115")
async def test_a_hidden_list_has_a_total_and_nothing_else(readers: Readers) -> None:
    await readers.ana.do("/api/v1/accounts/update_credentials", 200, "PATCH", hide_collections=True)
    for path in ("followers", "followers?page=true", "following"):
        got = (await readers.ben.fetch(f"{readers.ana.iri}/{path}")).json
        assert got["type"] == "OrderedCollection" and "first" not in got and "orderedItems" not in got
        assert got["totalItems"] == (3 if path.startswith("followers") else 0)


@pytest.mark.spec("R92", "R43")
async def test_answers_are_listed_and_counted_as_far_as_the_reader_may_see(readers: Readers) -> None:
    said = await readers.ana.say("what is it?", reach="partners")
    own = await readers.ana.reply(said["uri"], "an idea", reach="partners")
    inside = await readers.amy.reply(said["uri"], "between us", reach="local")
    await readers.amy.reply(said["uri"], "@cat@care.example yours?", reach=[CARE])
    other = await readers.amy.reply(said["uri"], "for partners", reach="partners")
    replies = (await readers.ben.fetch(f"{said['uri']}/replies")).json
    assert replies["orderedItems"] == [own["uri"], other["uri"]] and replies["totalItems"] == 2
    assert (await readers.ben.fetch(said["uri"])).json["replies"]["totalItems"] == 2
    assert (await readers.cat.fetch(f"{said['uri']}/replies")).json["totalItems"] == 3
    assert (await readers.ben.fetch(f"{inside['uri']}/replies")).status == 404
    await readers.world.settle()
    assert inside["uri"].encode() not in readers.world.bytes_out()


async def test_likes_are_counted_and_what_people_like_is_theirs(readers: Readers) -> None:
    said = await readers.ana.say("hello", reach="partners")
    await readers.amy.on(said["uri"], "favourite")
    await readers.amy.on(said["uri"], "reblog")
    assert (await readers.ben.fetch(f"{said['uri']}/likes")).json["totalItems"] == 1
    assert (await readers.ben.fetch(f"{said['uri']}/shares")).json["totalItems"] == 1
    liked = (await readers.ben.fetch(f"{readers.amy.iri}/liked")).json
    assert "orderedItems" not in liked and "first" not in liked and "totalItems" not in liked


# Discovery


@pytest.mark.spec("R12", "R13", "R14", "R15")
async def test_webfinger(readers: Readers) -> None:
    async def ask(query: str) -> Said:
        return await readers.world.ask("GET", f"https://{CLINIC}/.well-known/webfinger{query}")

    for resource in ("acct:ana@clinic.example", "acct%3Aana%40clinic.example", "acct:ANA@Clinic.Example",
                     "ana@clinic.example",
                     "%40ana%40clinic.example", readers.ana.iri, f"https://{CLINIC}/@ana",
                     "https%3A%2F%2Fclinic.example%2Fusers%2Fana", "https://CLINIC.Example:443/users/ana",
                     "acct:ana@clinic.example&rel=self&x=" + "x" * 3000):  # fmt: skip
        for _ in range(2):
            got = await ask(f"?resource={resource}")
            assert got.status == 200, resource
            assert got.headers["content-type"].startswith("application/jrd+json")
            assert got.headers["access-control-allow-origin"] == "*"
            assert got.json["subject"] == "acct:ana@clinic.example"
            assert got.json["aliases"] == [readers.ana.iri, f"https://{CLINIC}/@ana"]
            (link,) = [each for each in got.json["links"] if each["rel"] == "self"]
            assert (link["type"], link["href"]) == (TYPE, readers.ana.iri)
    for resource in ("acct:nobody@clinic.example", "acct:ana@lab.example", "https://clinic.example/users/nobody",
                     "https://lab.example/users/ben", "https://clinic.example/users/ana/outbox",
                     "https://clinic.example", "https://clinic.example/"):  # fmt: skip
        got = await ask(f"?resource={resource}")
        assert (got.status, got.headers["access-control-allow-origin"]) == (404, "*"), resource
    for query in ("", "?resource=", "?resource=acct:", "?resource=acct:ana", "?rel=self", "?resource=a@b&resource=c@d",
                  "?resource=acct:a%20b@clinic.example", "?resource=%ff%fe", "?resource=" + "a" * 5000):  # fmt: skip
        got = await ask(query)
        assert got.status == 400 and "error" in got.json, query
    # The instance itself, by its actor's name.
    for name in ("instance.actor", CLINIC):
        got = await ask(f"?resource=acct:{name}@clinic.example")
        assert [each["href"] for each in got.json["links"] if each["rel"] == "self"] == [f"https://{CLINIC}/actor"]


@pytest.mark.spec("R108", "R110")
async def test_the_handles_domain_may_be_another_than_the_servers(tmp_path: Path) -> None:
    async with new_world(tmp_path) as world:
        entry = {"domain": "lab.example", "include_subdomains": True}
        clinic = await world.org(CLINIC, [entry])
        lab = await world.org(LAB, [CLINIC], server={"origin": "https://social.lab.example"})
        # The handles' domain answers for its people, on the same server here.
        world.internet.add(LAB, world.internet.add("social.lab.example").app)
        ana, ben = await clinic.person("ana"), await lab.person("ben")
        assert ben.iri == "https://social.lab.example/users/ben"
        for spelling in ("@ben@lab.example", "@ben@LAB.example", "ben@social.lab.example", ben.iri):
            assert (await ana.find(spelling))["acct"] == "ben@lab.example", spelling
        await ben.follow(ana.handle)
        await ana.follow("ben@lab.example")
        await world.settle()
        assert await ana.notifications() == [("follow", "ben@lab.example")]
        said = await ana.say("@ben@lab.example hello", reach=[LAB])
        await world.settle()
        assert await ben.texts() == ["@ben hello"]
        answer = await ben.reply(said["uri"], "@ana@clinic.example hello yourself")
        await world.settle()
        assert (await ana.texts())[0] == "@ana hello yourself"
        assert (await ana.status(answer["uri"]) or {})["account"]["acct"] == "ben@lab.example"


@pytest.mark.spec("R121", "R122", "R123", "R124")
async def test_what_a_server_says_about_itself(readers: Readers) -> None:
    index = await readers.world.ask("GET", f"https://{CLINIC}/.well-known/nodeinfo")
    links = {each["rel"]: each["href"] for each in index.json["links"]}
    assert links["https://www.w3.org/ns/activitystreams#Application"] == f"https://{CLINIC}/actor"
    info = await readers.world.ask("GET", links["http://nodeinfo.diaspora.software/ns/schema/2.1"])
    assert "nodeinfo.diaspora.software/ns/schema/2.1#" in info.headers["content-type"]
    assert (info.json["version"], info.json["protocols"]) == ("2.1", ["activitypub"])
    assert info.json["software"]["name"] == "fedishare"
    # How many people work here is nobody's business.
    assert info.json["usage"] == {"users": {}}
    actor = await readers.world.ask("GET", f"https://{CLINIC}/actor")
    assert "9421" in json.dumps(actor.json["implements"])
    meta = await readers.world.ask("GET", f"https://{CLINIC}/.well-known/host-meta")
    assert meta.headers["content-type"].startswith("application/xrd+xml")
    assert f"https://{CLINIC}/.well-known/webfinger?resource={{uri}}" in meta.body.decode()


# Read and sent are the same


TERMS = st.fixed_dictionaries(
    {},
    optional={
        "ceiling_out": st.sampled_from(["public", "unlisted", "private", "direct"]),
        "direct_messages": st.booleans(),
        "public_addressing": st.booleans(),
        "object_types": st.sampled_from([["Note"], ["Question"], ["Note", "Question"], []]),
        "activity_types": st.sampled_from([["Create", "Follow"], ["Follow", "Create", "Announce"], ["Follow"]]),
    },
)
DRAFTS = st.lists(
    st.fixed_dictionaries(
        {
            "visibility": st.sampled_from(["public", "unlisted", "private", "direct"]),
            "reach": st.sampled_from(["local", "partners", [LAB], [CARE]]),
            "status": st.sampled_from(["hello", "@ben@lab.example hello", "@bea@lab.example hello"]),
        },
        optional={"poll": st.just({"options": ["a", "b"], "expires_in": 600})},
    ),
    min_size=1,
    max_size=6,
)


async def _read_and_sent(terms: dict[str, Any], drafts: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with new_world(Path(folder)) as world:
            clinic = await world.org(CLINIC, [{"domain": LAB, **terms}, CARE])
            lab = await world.org(LAB, [CLINIC])
            ana, ben, bea = await clinic.person("ana"), await lab.person("ben"), await lab.person("bea")
            await ben.follow(ana.handle)
            for person in (ben, bea):
                await ana.find(person.handle)
            await world.settle()
            wide = []
            for draft in drafts:
                said = await ana.say(**({"text": draft["status"]} | {k: v for k, v in draft.items() if k != "status"}))
                await world.settle()
                sent = [j for j in await clinic.jobs(JobState.DONE) if j.kind == "deliver" and j.host == LAB]
                delivered = any(said["uri"] in (s.body or b"").decode() for s in world.internet.to(LAB, "POST"))
                assert delivered == (await lab.post(said["uri"]) is not None), sent
                # Somebody there may read it if it was sent to them, or could be: bea, who follows nobody, reads what
                # is for anybody at her place.
                for reader in (ben, bea):
                    status = (await reader.fetch(said["uri"])).status
                    for_reader = draft["visibility"] in ("public", "unlisted") or f"@{reader.name}@" in draft["status"]
                    for_reader |= draft["visibility"] == "private" and reader is ben
                    reached = (
                        any(f"@{n}@" in draft["status"] for n in ("ben", "bea")) or draft["visibility"] != "direct"
                    )
                    if reached:
                        assert status == (200 if delivered and for_reader else 404), (terms, draft, reader.name)
                    else:
                        assert status == 404
                if delivered and draft["visibility"] in ("public", "unlisted"):
                    wide.append(said["uri"])
            top = (await bea.fetch(f"{ana.iri}/outbox")).json
            page = (await bea.fetch(f"{ana.iri}/outbox?page=true")).json
            assert [i["object"]["id"] for i in page["orderedItems"]] == wide[::-1]
            assert top["totalItems"] == len(wide)


@settings(max_examples=12, deadline=None, phases=PHASES, suppress_health_check=list(HealthCheck))
@given(TERMS, DRAFTS)
def test_what_may_be_read_is_what_would_be_sent(terms: dict[str, Any], drafts: list[dict[str, Any]]) -> None:
    asyncio.run(_read_and_sent(terms, drafts))
