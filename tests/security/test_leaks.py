"""What must not get out: internal posts and names, hidden recipients, the mere existence of things.

Every byte that a server gives to anybody without a token is looked at: requests that leave, and answers to outsiders.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fedishare.model.actors import ActorState
from fedishare.services import accounts
from fedishare.store import actors
from fedishare.store.db import Tx
from tests.support.world import Org, Person, Said, World, new_world

CLINIC, LAB, STRANGER = "clinic.example", "lab.example", "stranger.example"
AS2 = "https://www.w3.org/ns/activitystreams"


@dataclass
class Border:
    """The clinic and its partner the lab, whose ben follows ana; and eve, whom nobody listed."""

    world: World
    clinic: Org
    lab: Org
    ana: Person
    amy: Person
    ben: Person
    eve: Person

    async def outsiders_read(self, *urls: str) -> list[Said]:
        """Everything that anybody outside could try with an address."""
        found = []
        for url in urls:
            found += [await self.world.ask("GET", url), await self.world.ask("GET", url, {"accept": "text/html"})]
            found += [await self.ben.fetch(url), await self.eve.fetch(url), await self.ben.fetch(url, method="HEAD")]
        return found


@pytest.fixture
async def border(tmp_path: Path) -> AsyncIterator[Border]:
    async with new_world(tmp_path) as world:
        clinic, lab = await world.org(CLINIC, [LAB, "care.example"]), await world.org(LAB, [CLINIC])
        stranger = await world.org(STRANGER, [CLINIC, LAB])
        ana, amy, ben = await clinic.person("ana"), await clinic.person("amy"), await lab.person("ben")
        made = Border(world, clinic, lab, ana, amy, ben, await stranger.person("eve"))
        await ben.follow(ana.handle)
        await world.settle()
        yield made


async def test_nothing_of_a_local_post_is_in_any_byte_that_anybody_gets(border: Border) -> None:
    ana, amy = border.ana, border.amy
    inside = await ana.say("internal 4711 #secretproject @ben@lab.example", spoiler_text="codename 4712")
    poll = await ana.say("which 4713?", poll={"options": ["option 4714", "b"], "expires_in": 600})
    answer = await amy.reply(inside["uri"], "internal 4715", reach="partners")
    boost = await amy.on(inside["uri"], "reblog")
    await ana.edit(inside, "internal 4716")
    for post in (inside, poll):
        await ana.on(post["uri"], "pin")
        await amy.on(post["uri"], "favourite")
    await amy.do(f"/api/v1/polls/{poll['poll']['id']}/votes", choices=[0])
    # Beside it, the same people exchange everything else with the partner.
    wide = await ana.say("outside 1", reach="partners")
    await amy.reply(wide["uri"], "internal 4717", reach="local")
    await amy.on(wide["uri"], "reblog")
    await border.world.settle()
    await border.ben.reply(wide["uri"], "@ana@clinic.example thanks")
    await border.ben.on(wide["uri"], "favourite")
    await ana.edit(wide, "outside 2")
    await ana.do("/api/v1/accounts/update_credentials", 200, "PATCH", note="new")
    gone = await ana.say("internal 4718")
    await ana.delete(gone)
    await border.world.settle()
    hidden = [inside, poll, answer, boost, gone]
    urls = [post["uri"] for post in hidden] + [post["url"] for post in hidden]
    urls += [f"{post['uri']}/{part}" for post in hidden for part in ("activity", "replies", "likes", "shares")]
    for person in (ana, amy):
        urls += [
            f"{person.iri}{path}" for path in ("", "/outbox", "/outbox?page=true", "/collections/featured", "/liked")
        ]
    urls += [f"{wide['uri']}{path}" for path in ("", "/replies", "/likes", "/shares", "/activity")]
    urls += [
        f"https://{CLINIC}/tags/secretproject",
        f"https://{CLINIC}/nodeinfo/2.1",
        f"https://{CLINIC}/api/v2/instance",
    ]
    await border.outsiders_read(*urls)
    # The addresses themselves are what the readers typed; what counts is what they were told.
    told = b"".join(a.body + repr(dict(a.headers)).encode() for a in border.world.answers)
    told += b"".join(
        s.url.encode() + repr(dict(s.headers)).encode() + (s.body or b"") for s in border.world.internet.sent
    )
    for word in ("4711", "4712", "4713", "4714", "4715", "4716", "4717", "4718", "secretproject", "codename"):
        assert word.encode() not in told, word
    for post in hidden:
        assert post["id"].encode() not in told, post["content"]
    assert b"outside 2" in told


@pytest.mark.spec("R43")
async def test_answers_do_not_say_whether_something_exists(border: Border) -> None:
    ana = border.ana
    posts = [
        await ana.say("inside"),
        await ana.say("for followers", reach="partners", visibility="private"),
        await ana.say("@amy between us", reach="partners", visibility="direct"),
        await ana.say("for others", reach=["care.example"]),
    ]
    missing = f"{ana.iri}/statuses/{int(posts[0]['id']) + 1}"
    cleo = await border.lab.person("cleo")
    readers = {"cleo": cleo, "eve": border.eve}
    for post in posts:
        for name, reader in readers.items():
            for path in ("", "/activity", "/replies", "/likes", "/shares"):
                real, none = await reader.fetch(post["uri"] + path), await reader.fetch(missing + path)
                assert _told(real) == _told(none), (name, post["content"], path)
        for accept in ("application/activity+json", "text/html"):
            real = await border.world.ask("GET", post["uri"], {"accept": accept})
            none = await border.world.ask("GET", missing, {"accept": accept})
            assert _told(real) == _told(none)
    # Deleted: 410 is for those that could see it.
    for post in posts:
        await ana.delete(post)
        assert _told(await cleo.fetch(post["uri"])) == _told(await cleo.fetch(missing))
        assert _told(await border.eve.fetch(post["uri"])) == _told(await border.eve.fetch(missing))
    # A follower sees the one for followers, dead and alive; the others are missing for him, too.
    assert [(await border.ben.fetch(post["uri"])).status for post in posts] == [404, 410, 404, 404]
    # Inboxes answer alike, whether the person exists or not.
    like = {"@context": AS2, "id": f"{border.ben.iri}/l/1", "type": "Like", "actor": border.ben.iri, "object": missing}
    real = await border.ben.send(f"{ana.iri}/inbox", like)
    none = await border.ben.send(f"https://{CLINIC}/users/nobody/inbox", like)
    assert _told(real) == _told(none) and real.status == 202
    # So does a Like of a hidden post, and one of none.
    hidden = {**like, "id": f"{border.ben.iri}/l/2", "object": posts[0]["uri"]}
    assert _told(await border.ben.send(border.clinic.inbox, hidden)) == _told(none)


def _told(said: Said) -> tuple[int, bytes, dict[str, str]]:
    return said.status, said.body, dict(said.headers)


@pytest.mark.spec("R45")
async def test_people_who_left_are_missing_and_the_deleted_are_gone(border: Border) -> None:
    said = await border.ana.say("hello", reach="partners")
    assert (await border.ben.fetch(said["uri"])).status == 200

    def suspend(tx: Tx) -> None:
        actor = actors.by_id(tx, border.ana.id)
        assert actor is not None
        accounts.suspend(tx, actor, "test")

    await border.clinic.write(suspend)
    for path in ("", "/outbox?page=true", "/followers", f"/statuses/{said['id']}", "/collections/featured"):
        assert (await border.ben.fetch(border.ana.iri + path)).status == 404, path
    finger = f"https://{CLINIC}/.well-known/webfinger?resource=acct:ana@clinic.example"
    assert (await border.world.ask("GET", finger)).status == 404
    assert (await border.ana.client.get("/api/v1/timelines/home")).status_code == 401

    def restore(tx: Tx) -> None:
        actors.set_state(tx, border.ana.id, ActorState.ACTIVE)

    await border.clinic.write(restore)
    assert (await border.ben.fetch(said["uri"])).status == 200


@pytest.mark.spec("R42")
async def test_blind_recipients_appear_nowhere(border: Border) -> None:
    await border.ana.follow(border.ben.handle)
    await border.world.settle()
    secret = "https://lab.example/users/secretperson"
    note: dict[str, Any] = {
        "id": f"{border.ben.iri}/notes/1", "type": "Note", "attributedTo": border.ben.iri, "content": "<p>hi</p>",
        "to": [border.ana.iri], "bto": [secret], "bcc": [secret, border.amy.iri], "published": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    create = {"@context": AS2, "id": f"{border.ben.iri}/c/1", "type": "Create", "actor": border.ben.iri, "object": note,
              "to": note["to"], "bto": [secret], "bcc": [secret]}  # fmt: skip
    assert (await border.ben.send(border.clinic.inbox, create)).status == 202
    seen = await border.ana.status(note["id"])
    assert seen is not None and "secretperson" not in str(seen)
    border.world.answers.clear()
    border.world.internet.forget()
    await border.ana.reply(note["id"], "thanks")
    await border.ana.say("@ben@lab.example psst", visibility="direct")
    await border.world.settle()
    assert b"secretperson" not in border.world.bytes_out()
    assert b'"bto"' not in border.world.bytes_out() and b'"bcc"' not in border.world.bytes_out()


async def test_a_direct_message_is_in_nothing_but_its_own_delivery(border: Border) -> None:
    said = await border.ana.say("@ben@lab.example word 4711", visibility="direct")
    await border.world.settle()
    await border.outsiders_read(f"{border.ana.iri}/outbox?page=true", f"{border.ana.iri}/collections/featured")
    sent = [s for s in border.world.internet.sent if b"4711" in (s.body or b"")]
    assert [s.url for s in sent] == [f"{border.ben.iri}/inbox"]
    assert not any(b"4711" in a.body for a in border.world.answers)
    assert (await border.ben.fetch(said["uri"])).status == 200


async def test_headers_and_errors_tell_nothing_about_the_inside(border: Border) -> None:
    answers = await border.outsiders_read(
        f"https://{CLINIC}/", f"https://{CLINIC}/users/ana", f"https://{CLINIC}/metrics", f"https://{CLINIC}/nowhere",
        f"https://{CLINIC}/.well-known/nodeinfo", f"https://{CLINIC}/api/v1/instance", f"https://{CLINIC}/health",
    )  # fmt: skip
    for said in answers:
        assert "server" not in said.headers and "x-powered-by" not in said.headers
        assert said.headers["x-content-type-options"] == "nosniff"
        for word in (b"Traceback", b".py", b"sqlite", str(border.world.folder).encode(), b"192.0.2."):
            assert word not in said.body, (said.path, word)
    assert {a.status for a in answers if a.path.endswith("/metrics")} <= {404}
