"""Authority: nobody at a partner speaks for anybody else; beside each attempt, what the owner may do."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fedishare.store import actors
from tests.support.world import Org, Person, World, new_world, plain

CLINIC, LAB, CARE = "clinic.example", "lab.example", "care.example"
AS2 = "https://www.w3.org/ns/activitystreams"
PUBLIC = AS2 + "#Public"


@dataclass
class Colleagues:
    """ana at the clinic; ben and his malicious colleague mal at the lab; cat at another partner."""

    world: World
    clinic: Org
    ana: Person
    ben: Person
    mal: Person
    cat: Person

    async def sends(self, person: Person, kind: str, thing: Any, /, **fields: Any) -> int:
        """The status of something that a person's own program signs."""
        number = len(self.world.answers)
        document = {"@context": AS2, "id": f"{person.iri}/x/{number}", "type": kind, "actor": person.iri,
                    "object": thing, "to": [PUBLIC], **fields}  # fmt: skip
        status = (await person.send(self.clinic.inbox, document)).status
        await self.world.settle()
        return status

    async def text(self, iri: str) -> str | None:
        """What ana reads there."""
        seen = await self.ana.status(iri)
        return plain(seen) if seen is not None else None


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[Colleagues]:
    async with new_world(tmp_path) as world:
        clinic = await world.org(CLINIC, [LAB, CARE])
        lab, care = await world.org(LAB, [CLINIC, "other.example"]), await world.org(CARE, [CLINIC])
        people = [
            await clinic.person("ana"),
            await lab.person("ben"),
            await lab.person("mal"),
            await care.person("cat"),
        ]
        made = Colleagues(world, clinic, *people)
        for person in (made.ben, made.mal, made.cat):
            await made.ana.follow(person.handle)
        await world.settle()
        yield made


def note(owner: str, slug: str, text: str = "hello", **fields: Any) -> dict[str, Any]:
    """A Note."""
    return {"id": f"{owner}/notes/{slug}", "type": "Note", "attributedTo": owner, "content": f"<p>{text}</p>",
            "to": [PUBLIC], "published": "2026-01-01T00:00:00Z", **fields}  # fmt: skip


@pytest.mark.spec("R35", "R36")
async def test_a_colleague_on_the_same_host_changes_nothing_of_mine(there: Colleagues) -> None:
    mine = note(there.ben.iri, "1", "ben's")
    assert await there.sends(there.ben, "Create", mine) == 202
    newer = {"updated": "2026-01-02T00:00:00Z"}
    forged = [
        ("Update", {**mine, "content": "<p>mal's</p>", **newer}),
        ("Update", {**mine, "attributedTo": there.mal.iri, "content": "<p>mal's</p>", **newer}),
        ("Update", {**mine, "attributedTo": [there.mal.iri, there.ben.iri], "content": "<p>mal's</p>", **newer}),
        ("Create", {**mine, "attributedTo": there.mal.iri, "content": "<p>mal's</p>"}),
        ("Delete", mine["id"]), ("Delete", {"id": mine["id"], "type": "Tombstone"}), ("Delete", there.ben.iri),
        ("Add", mine["id"]), ("Remove", mine["id"]), ("Move", there.ben.iri),
        ("Update", {"id": there.ben.iri, "type": "Person", "preferredUsername": "ben", "inbox": f"{there.mal.iri}/in"}),
    ]  # fmt: skip
    for kind, target in forged:
        for attacker in (there.mal, there.cat):
            extra = {"target": f"{there.ben.iri}/collections/featured"} if kind in ("Add", "Remove", "Move") else {}
            assert await there.sends(attacker, kind, target, **extra) in (202, 400, 401, 403), kind
            assert await there.text(mine["id"]) == "ben's", (kind, attacker.name)
    ben = await there.clinic.actor(there.ben.iri)
    assert ben is not None and ben.endpoints.inbox == f"{there.ben.iri}/inbox" and ben.state == 0
    # The owner may.
    assert await there.sends(there.ben, "Update", {**mine, "content": "<p>ben's own</p>", **newer}) == 202
    assert await there.text(mine["id"]) == "ben's own"
    # But what it is, and whose, never changes.
    later = {"updated": "2026-01-03T00:00:00Z", "content": "<p>x</p>"}
    await there.sends(there.ben, "Update", {**mine, **later, "attributedTo": there.mal.iri})
    await there.sends(there.ben, "Update", {**mine, **later, "type": "Person"})
    assert await there.text(mine["id"]) == "ben's own"
    assert await there.sends(there.ben, "Delete", mine["id"]) == 202
    assert await there.text(mine["id"]) is None


@pytest.mark.spec("R18")
async def test_nobody_takes_back_what_another_did(there: Colleagues) -> None:
    said = await there.ana.say("hello", reach="partners")
    assert await there.sends(there.ben, "Like", said["uri"], id=f"{there.ben.iri}/likes/1") == 202
    assert await there.sends(there.ben, "Follow", there.ana.iri, id=f"{there.ben.iri}/follows/1") == 202
    inner = {"id": f"{there.ben.iri}/likes/1", "type": "Like", "actor": there.ben.iri, "object": said["uri"]}
    for target in (
        inner,
        inner["id"],
        {**inner, "actor": there.mal.iri},
        f"{there.ben.iri}/follows/1",
        {"id": f"{there.ben.iri}/follows/1", "type": "Follow", "actor": there.mal.iri, "object": there.ana.iri},
    ):
        for attacker in (there.mal, there.cat):
            await there.sends(attacker, "Undo", target)
    seen = await there.ana.status(said["uri"])
    assert seen is not None and seen["favourites_count"] == 1
    assert (await there.ana.relationship(there.ben.handle))["followed_by"]
    assert await there.sends(there.ben, "Undo", inner) == 202
    assert await there.sends(there.ben, "Undo", f"{there.ben.iri}/follows/1") == 202
    seen = await there.ana.status(said["uri"])
    assert seen is not None and seen["favourites_count"] == 0
    assert not (await there.ana.relationship(there.ben.handle))["followed_by"]


@pytest.mark.spec("R82")
async def test_nobody_buries_a_post_before_it_arrives(there: Colleagues) -> None:
    coming = note(there.ben.iri, "later")
    for attacker in (there.mal, there.cat):
        assert await there.sends(attacker, "Delete", coming["id"]) in (202, 400)
        await there.sends(attacker, "Undo", f"{there.ben.iri}/creates/later")
    assert await there.sends(there.ben, "Create", coming, id=f"{there.ben.iri}/creates/later") == 202
    assert await there.text(coming["id"]) == "hello"
    # The author's own Delete that overtakes the Create counts.
    overtaken = note(there.ben.iri, "overtaken")
    assert await there.sends(there.ben, "Delete", overtaken["id"]) == 202
    assert await there.sends(there.ben, "Create", overtaken) == 202
    assert await there.text(overtaken["id"]) is None


async def test_nobody_claims_an_id_of_ours_or_of_another_partner(there: Colleagues) -> None:
    said = await there.ana.say("mine", reach="partners")
    before = await there.clinic.rows()
    for owner in (
        there.ana.iri,
        there.cat.iri,
        "https://CLINIC.example/users/ana",
        "https://clinic.example:443/users/ana",
    ):
        for slug in ("1", "2"):
            claimed = note(there.ben.iri, slug) | {"id": f"{owner}/statuses/{slug}"}
            assert await there.sends(there.ben, "Create", claimed) in (202, 400, 401, 403)
            assert await there.clinic.post(claimed["id"]) is None
            as_them = {**claimed, "attributedTo": owner}
            assert await there.sends(there.ben, "Create", as_them, actor=owner) in (400, 401, 403, 202)
            assert await there.clinic.post(claimed["id"]) is None
    over = {**note(there.ben.iri, "x", "taken over"), "id": said["uri"], "updated": "2030-01-01T00:00:00Z"}
    await there.sends(there.ben, "Update", over)
    await there.sends(there.ben, "Delete", said["uri"])
    assert await there.text(said["uri"]) == "mine"
    after = await there.clinic.rows()
    assert after[2] == before[2] and after[4:8] == before[4:8]


@pytest.mark.spec("R17")
async def test_only_the_followed_person_answers(there: Colleagues) -> None:
    locked = await there.ben.org.person("boss", locked=True)
    await there.ana.follow(locked.handle)
    await there.world.settle()
    (follow,) = [b for b in there.world.bodies_to(LAB) if b["type"] == "Follow" and b["object"] == locked.iri]
    for attacker in (there.mal, there.cat):
        for target in (
            follow,
            follow["id"],
            {**follow, "object": attacker.iri},
            {"type": "Follow", "actor": there.ana.iri},
        ):
            await there.sends(attacker, "Accept", target)
    assert (await there.ana.relationship(locked.handle))["requested"]
    for target in (follow, follow["id"]):
        await there.sends(there.mal, "Reject", target)
    assert (await there.ana.relationship(locked.handle))["requested"]
    assert await there.sends(locked, "Accept", follow["id"]) == 202
    assert (await there.ana.relationship(locked.handle))["following"]


@pytest.mark.spec("R66", "R3", "R27")
async def test_a_delivery_for_another_server_cannot_be_replayed(there: Colleagues) -> None:
    # Captured on its way to the clinic, tried at the other partner of ben's, who knows him as well.
    other = await there.world.org("other.example", [LAB])
    someone = await other.person("someone")
    for scheme in ("cavage", "rfc9421"):
        follow = {"@context": AS2, "id": f"{there.ben.iri}/f/{scheme}", "type": "Follow", "actor": there.ben.iri}
        body = json.dumps({**follow, "object": someone.iri}).encode()
        for meant in (there.clinic.inbox, f"{other.inbox}?x=1", f"{someone.iri}/inbox"):
            headers = {
                "content-type": "application/activity+json",
                **await there.ben.signature("POST", meant, body, scheme),
            }
            for host in (None, "other.example", CLINIC):
                sent = headers | ({"host": host} if host else {})
                assert (await there.world.ask("POST", other.inbox, sent, body)).status in (400, 401), (
                    scheme,
                    meant,
                    host,
                )
        assert await other.read(actors.by_iri, someone.iri) is not None
        assert (await someone.get("/api/v1/accounts/verify_credentials"))["followers_count"] == 0
    assert (await there.ben.send(other.inbox, body)).status == 202


async def test_a_partner_cannot_vouch_for_another_partners_people(there: Colleagues) -> None:
    """An actor document of ben's that lists cat's key, or cat's that claims ben's handle."""
    actual = (await there.ana.fetch(there.cat.iri)).json
    for changed in (
        {**actual, "publicKey": {**actual["publicKey"], "id": f"{there.ben.iri}#main-key", "owner": there.ben.iri}},
        {**actual, "publicKey": [actual["publicKey"], {"id": f"{there.ben.iri}#k2", "owner": there.ben.iri,
                                                       "publicKeyPem": actual["publicKey"]["publicKeyPem"]}]},
        {**actual, "preferredUsername": "ben", "webfinger": "ben@lab.example"},
        {**actual, "id": there.ben.iri},
    ):  # fmt: skip
        await there.sends(there.cat, "Update", changed)
    assert (await there.ana.get("/api/v1/accounts/lookup", acct="ben@lab.example"))["uri"] == there.ben.iri
    # ben's key is still his, and cat's own key opens nothing in his name.
    body = json.dumps({"@context": AS2, "id": f"{there.ben.iri}/n/9", "type": "Create", "actor": there.ben.iri,
                       "object": note(there.ben.iri, "forged")}).encode()  # fmt: skip
    for key_id in (f"{there.ben.iri}#main-key", f"{there.ben.iri}#k2"):
        headers = await there.cat.signature("POST", there.clinic.inbox, body)
        headers["signature"] = headers["signature"].replace(f"{there.cat.iri}#main-key", key_id)
        headers["content-type"] = "application/activity+json"
        assert (await there.world.ask("POST", there.clinic.inbox, headers, body)).status == 401
    assert await there.clinic.post(f"{there.ben.iri}/notes/forged") is None
    assert await there.sends(there.ben, "Create", note(there.ben.iri, "real")) == 202
    assert await there.text(f"{there.ben.iri}/notes/real") == "hello"
