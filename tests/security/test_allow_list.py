"""Sixteen ways in which other allow-lists failed, each with the refusal and the success beside it.

clinic.example and lab.example are partners, clinic.example and care.example too; nobody has listed stranger.example,
which would like to talk to everybody.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fedishare.config import parse
from fedishare.model.errors import ConfigError
from fedishare.model.partners import PartnerState
from fedishare.store import partners
from fedishare.store.db import sql
from fedishare.store.jobs import JobState
from tests.support.world import Org, Person, Said, World, new_world

CLINIC, LAB, CARE, STRANGER = "clinic.example", "lab.example", "care.example", "stranger.example"
AS2 = "https://www.w3.org/ns/activitystreams"
PUBLIC = AS2 + "#Public"
PAST = sql("allow_list_past", "SELECT count(*) FROM post p JOIN actor a ON a.id = p.author_id WHERE a.domain = :domain")


@dataclass
class Four:
    """Three organizations, and one that nobody listed."""

    world: World
    clinic: Org
    lab: Org
    care: Org
    stranger: Org
    ana: Person
    ben: Person
    cat: Person
    eve: Person

    async def follow_ana(self) -> None:
        """ben and cat follow ana."""
        for person in (self.ben, self.cat):
            await person.follow(self.ana.handle)
        await self.world.settle()
        self.world.internet.forget()

    def quiet(self) -> None:
        """Nobody spoke to the stranger, or looked its name up."""
        found = [host for host in self.world.internet.dns_lookups if "stranger" in host]
        assert found == [], f"somebody looked {found} up"


@pytest.fixture
async def four(tmp_path: Path) -> AsyncIterator[Four]:
    async with new_world(tmp_path) as world:
        clinic = await world.org(CLINIC, [LAB])
        # From the database, as `fedishare partner add` puts it there.
        await clinic.partner(CARE)
        lab, care = await world.org(LAB, [CLINIC]), await world.org(CARE, [CLINIC])
        stranger = await world.org(STRANGER, [CLINIC, LAB, CARE])
        people = [
            await clinic.person("ana"),
            await lab.person("ben"),
            await care.person("cat"),
            await stranger.person("eve"),
        ]
        yield Four(world, clinic, lab, care, stranger, *people)


def activity(actor: str, kind: str, target: Any, **fields: Any) -> dict[str, Any]:
    """A bare activity."""
    return {"@context": AS2, "id": f"{actor}/{kind.lower()}s/{abs(hash(str(target))) % 10**9}", "type": kind,
            "actor": actor, "object": target, "to": [PUBLIC], **fields}  # fmt: skip


def note(actor: str, slug: str = "n1", /, **fields: Any) -> dict[str, Any]:
    """A public Note."""
    return {"id": f"{actor}/notes/{slug}", "type": "Note", "attributedTo": actor, "content": "<p>hello</p>",
            "published": "2026-01-01T00:00:00Z", "to": [PUBLIC], "cc": [f"{actor}/followers"], **fields}  # fmt: skip


def config(text: str, tmp_path: Path) -> Any:
    """A configuration from the text of its partners."""
    whole = f'[server]\ndomain = "clinic.example"\n{text}'
    return parse(whole, path=tmp_path / "instance.toml", environ={"FEDISHARE_SECRET_KEY": "0" * 64})


def shape(said: Said) -> tuple[int, bytes, str]:
    """What somebody learns from an answer."""
    return said.status, said.body, said.headers["content-type"]


@pytest.mark.spec("R43", "R58", "R59")
async def test_01_a_server_that_is_not_listed_reads_nothing(four: Four) -> None:
    said = await four.ana.say("for partners", reach="partners")
    await four.ana.on(said["uri"], "pin")
    paths = ["", "/outbox", "/outbox?page=true", "/followers", "/followers?page=true", "/following", "/liked",
             "/collections/featured", "/followers_synchronization", f"/statuses/{said['id']}",
             f"/statuses/{said['id']}/activity", f"/statuses/{said['id']}/replies", f"/statuses/{said['id']}/likes",
             f"/statuses/{said['id']}/shares"]  # fmt: skip
    real = [four.ana.iri + path for path in paths] + [f"https://{CLINIC}/@ana", f"https://{CLINIC}/@ana/{said['id']}"]
    made_up = [url.replace("ana", "nobody").replace(said["id"], "12345") for url in real]
    for scheme in (None, "cavage", "rfc9421"):
        answers = set()
        for url in (*real, *made_up):
            if scheme is None:
                got = await four.world.ask("GET", url, {"accept": "application/activity+json"})
            else:
                got = await four.eve.fetch(url, scheme=scheme)
            answers.add(shape(got))
            head = await four.world.ask("HEAD", url, {"accept": "application/activity+json"})
            assert (head.status, head.body) == (401, b"")
        # One and the same answer, whether the thing exists or not.
        assert len(answers) == 1, answers
        status, body, _ = answers.pop()
        assert status == (401 if scheme is None else 403)
        assert b"for partners" not in body and b"ana" not in body
    # Nor was anything looked up about the stranger; a partner reads all of it.
    four.quiet()
    for url in real:
        assert (await four.ben.fetch(url)).status == 200, url
    assert (await four.world.ask("GET", f"https://{CLINIC}/actor")).status == 200


def test_02_an_empty_missing_or_misspelt_list_is_nobody(tmp_path: Path) -> None:
    for text in ("", "[federation]\n", "[federation]\npartners = []\n"):
        assert config(text, tmp_path).partners == ()
    for text in ("[federation]\npartner = []\n", '[federation]\nallow = ["lab.example"]\n', "partners = []\n",
                 '[[federation.partners]]\ndomains = "lab.example"\n', "[federation]\npartners = false\n",
                 '[federation]\npartners = ["*"]\n', '[[federation.partners]]\ndomain = "*"\nreason = "x"\n',
                 '[[federation.partners]]\ndomain = ""\nreason = "x"\n'):  # fmt: skip
        with pytest.raises(ConfigError):
            config(text, tmp_path)
    assert [
        p.domain for p in config('[[federation.partners]]\ndomain = "lab.example"\nreason = "x"\n', tmp_path).partners
    ]


async def test_02_an_instance_without_a_list_talks_to_nobody(tmp_path: Path) -> None:
    async with new_world(tmp_path) as world:
        alone, other = await world.org(CLINIC), await world.org(LAB, [CLINIC])
        ana, ben = await alone.person("ana"), await other.person("ben")
        assert (await ben.fetch(ana.iri)).status == 403
        assert (await ben.send(alone.inbox, activity(ben.iri, "Follow", ana.iri))).status == 403
        answer = await ana.client.get("/api/v2/search", params={"q": ben.handle, "resolve": "true"})
        assert answer.status_code == 403 and "allow-list" in answer.json()["error"]
        assert world.internet.dns_lookups == []
        # With the one entry that was missing it works.
        await alone.partner(LAB)
        assert (await ben.fetch(ana.iri)).status == 200
        assert (await ana.find(ben.handle))["acct"] == "ben@lab.example"


async def test_03_only_the_exact_host_is_the_partner(four: Four) -> None:
    hosts = [
        "evil-lab.example",
        "sub.lab.example",
        "lab.example.evil.example",
        "xn--lab-example.example",
        "labexample.example",
    ]
    for host in hosts:
        other = await four.world.org(host, [CLINIC, "wide.example"])
        eve = await other.person("eve")
        assert (await eve.fetch(four.ana.iri)).status == 403, host
        assert (await eve.send(four.clinic.inbox, activity(eve.iri, "Follow", four.ana.iri))).status == 403, host
        answer = await four.ana.client.get("/api/v2/search", params={"q": f"@eve@{host}", "resolve": "true"})
        assert answer.status_code == 403, host
        assert host not in four.world.internet.dns_lookups
    assert (await four.ben.fetch(four.ana.iri)).status == 200
    # Another spelling of the same host is the same host; a sub-domain counts only if the entry says so.
    assert (await four.ana.find("@ben@LAB.example"))["acct"] == "ben@lab.example"
    wide = await four.world.org("wide.example", [{"domain": "lab.example", "include_subdomains": True}])
    sub = four.world.orgs["sub.lab.example"].people["eve"]
    someone = await wide.person("someone")
    assert (await sub.fetch(someone.iri)).status == 200
    evil = four.world.orgs["evil-lab.example"].people["eve"]
    assert (await evil.fetch(someone.iri)).status == 403


@pytest.mark.spec("R5", "R32")
async def test_04_key_actor_and_activity_are_of_one_host(four: Four) -> None:
    before = await four.clinic.rows()
    good = activity(four.ben.iri, "Create", note(four.ben.iri))
    # The stranger's key, whatever the activity says; a partner's key for another partner's or the stranger's actor.
    for signer, document in (
        (four.eve, good),
        (four.eve, {**good, "actor": four.ana.iri}),
        (four.cat, activity(four.eve.iri, "Create", note(four.eve.iri))),
        (four.cat, activity(four.ana.iri, "Create", note(four.ana.iri))),
        (four.cat, {**activity(four.cat.iri, "Create", note(four.cat.iri)), "id": f"{four.ben.iri}/creates/1"}),
        (four.cat, {**activity(four.cat.iri, "Create", note(four.cat.iri)), "id": f"{four.ana.iri}/creates/1"}),
    ):
        answer = await signer.send(four.clinic.inbox, document)
        assert answer.status in (400, 401, 403), (answer.status, document)
    await four.world.settle()
    # Another partner's activity, passed on without a proof, is a hint: its author's server is asked, and knows nothing.
    assert (await four.cat.send(four.clinic.inbox, good)).status == 202
    await four.world.settle()
    after = await four.clinic.rows()
    # The partner whose key was read is known now; nothing else happened.
    assert after[1:3] == before[1:3] and after[4:] == before[4:]
    four.quiet()
    assert (await four.ben.send(four.clinic.inbox, good)).status == 202
    assert await four.clinic.post(f"{four.ben.iri}/notes/n1") is not None


async def test_05_a_partner_that_was_removed_receives_nothing_more(four: Four) -> None:
    await four.follow_ana()
    four.world.internet.down(CARE)
    await four.ana.say("queued", reach="partners")
    await four.world.settle()
    assert len([j for j in await four.clinic.jobs(JobState.QUEUED) if j.host == CARE]) == 1
    four.world.internet.heal(CARE)
    four.world.internet.forget()
    assert await four.clinic.set_partner(CARE, PartnerState.ENDED) == 1
    assert [j for j in await four.clinic.jobs(JobState.QUEUED) if j.host == CARE] == []
    (cancelled,) = [j for j in await four.clinic.jobs(JobState.CANCELLED) if j.host == CARE]
    assert "ended" in (cancelled.last_error or "")
    await four.ana.say("after the end", reach="partners")
    four.world.clock.forward(3 * 86_400_000)
    four.clinic.server.worker.wake()
    await four.world.settle()
    assert CARE not in four.world.internet.dns_lookups
    assert (await four.cat.fetch(four.ana.iri)).status == 403
    assert (await four.ben.texts())[0] == "after the end"
    assert await four.cat.texts() == []


async def test_06_listed_partners_deliver_without_an_account_here(four: Four) -> None:
    await four.follow_ana()
    await four.ana.say("to both", reach="partners")
    await four.world.settle()
    assert await four.ben.texts() == ["to both"] and await four.cat.texts() == ["to both"]
    # A bearer token opens no inbox, and a signature no client route.
    token = {"authorization": four.ana.client.headers["authorization"], "content-type": "application/activity+json"}
    body = json.dumps(activity(four.ana.iri, "Create", note(four.ana.iri))).encode()
    assert (await four.world.ask("POST", four.clinic.inbox, token, body)).status == 401
    assert (await four.ben.fetch(f"https://{CLINIC}/api/v1/timelines/home")).status == 401


async def test_07_an_invited_partner_is_let_in_and_a_refusal_names_its_rule(four: Four) -> None:
    answer = await four.eve.send(four.clinic.inbox, activity(four.eve.iri, "Follow", four.ana.iri))
    assert answer.status == 403 and "stranger.example is not on the allow-list" in answer.json["error"]
    await four.clinic.partner(STRANGER)
    # It is agreed on both sides now; before, only the stranger had agreed.
    await four.eve.follow(four.ana.handle)
    await four.world.settle()
    assert (await four.eve.relationship(four.ana.handle))["following"]
    await four.clinic.set_partner(STRANGER, PartnerState.PAUSED)
    answer = await four.eve.send(four.clinic.inbox, activity(four.eve.iri, "Like", four.ana.iri))
    assert answer.status == 403 and "paused" in answer.json["error"]


async def test_08_what_one_partner_wrote_is_never_passed_on_to_another(four: Four) -> None:
    await four.follow_ana()
    await four.ana.follow(four.ben.handle)
    await four.world.settle()
    # ben's post, public as far as his terms go, and answers and boosts of it at the clinic.
    created = activity(four.ben.iri, "Create", note(four.ben.iri, content="<p>lab secret 4711</p>"))
    assert (await four.ben.send(four.clinic.inbox, created)).status == 202
    iri = f"{four.ben.iri}/notes/n1"
    four.world.internet.forget()
    boost = await four.ana.on(iri, "reblog")
    answer = await four.ana.reply(iri, "@ben@lab.example @cat@care.example about 4711", reach="partners")
    wide = await four.ana.say("by itself", reach="partners")
    await four.ana.on(iri, "favourite")
    await four.world.settle()
    assert boost["reach"] == [LAB] and answer["reach"] == [LAB]
    assert [u["acct"] for u in answer["fedishare"]["unreached"]] == ["cat@care.example"]
    to_care = [s for s in four.world.internet.sent if s.host == CARE]
    assert all(b"4711" not in (s.body or b"") and iri.encode() not in (s.body or b"") for s in to_care)
    assert [b["object"]["id"] for b in four.world.bodies_to(CARE)] == [wide["uri"]]
    assert {b["type"] for b in four.world.bodies_to(LAB)} == {"Announce", "Create", "Like"}
    # Nor may the other partner read it here, or the answer to it.
    for url in (iri, answer["uri"], boost["uri"]):
        assert (await four.world.ask("GET", url)).status in (401, 404)
    for url in (answer["uri"], f"{answer['uri']}/activity", boost["uri"]):
        assert (await four.cat.fetch(url)).status == 404
        assert (await four.ben.fetch(url)).status in (200, 404)
    outbox = await four.cat.fetch(f"{four.ana.iri}/outbox?page=true")
    assert [i["object"]["id"] for i in outbox.json["orderedItems"]] == [wide["uri"]]


async def test_08_a_reply_is_forwarded_to_no_other_partner(four: Four) -> None:
    await four.follow_ana()
    said = await four.ana.say("a question", reach="partners")
    await four.world.settle()
    four.world.internet.forget()
    reply = note(four.ben.iri, "r1", content="<p>lab secret 4711</p>", inReplyTo=said["uri"],
                 to=[f"{four.ana.iri}/followers"], cc=[four.ana.iri])  # fmt: skip
    sent = activity(four.ben.iri, "Create", reply, to=reply["to"], cc=reply["cc"])
    assert (await four.ben.send(four.clinic.inbox, sent)).status == 202
    await four.world.settle()
    assert await four.clinic.post(reply["id"]) is not None
    assert four.world.internet.to(CARE) == []
    assert await four.care.post(reply["id"]) is None


@pytest.mark.spec("R43")
async def test_09_nothing_from_an_unlisted_server_has_an_effect(four: Four) -> None:
    said = await four.ana.say("for partners", reach="partners")
    me = four.eve.iri
    kinds = {
        "Like": said["uri"], "Announce": said["uri"], "Flag": [four.ana.iri, said["uri"]], "Follow": four.ana.iri,
        "Move": me, "Create": note(me, inReplyTo=said["uri"]), "Update": note(me), "Delete": said["uri"],
        "Block": four.ana.iri, "Add": said["uri"], "Remove": said["uri"], "Accept": f"{four.ana.iri}/follows/1",
        "Reject": f"{four.ana.iri}/follows/1", "EmojiReact": said["uri"], "Undo": activity(me, "Like", said["uri"]),
        "Invented": said["uri"],
    }  # fmt: skip
    before = await four.clinic.rows()
    for inbox in (four.clinic.inbox, f"{four.ana.iri}/inbox", f"https://{CLINIC}/actor/inbox"):
        for scheme in ("cavage", "rfc9421"):
            for kind, target in kinds.items():
                answer = await four.eve.send(inbox, activity(me, kind, target), scheme=scheme)
                assert answer.status == 403, (kind, answer.status)
    await four.world.settle()
    assert await four.clinic.rows() == before
    four.quiet()
    # One line for all of them, with the rule (15 says more).
    counts = four.clinic.server.instance.guard.drain_decisions()
    assert [(c.domain, c.rule, c.times) for c in counts if c.domain == STRANGER] == [(STRANGER, "unlisted", 96)]
    # The same Like from a partner counts.
    assert (await four.ben.send(four.clinic.inbox, activity(four.ben.iri, "Like", said["uri"]))).status == 202
    seen = await four.ana.status(said["uri"])
    assert seen is not None and seen["favourites_count"] == 1


async def test_10_a_person_cannot_reach_out_to_a_server_that_is_not_listed(four: Four) -> None:
    ana = four.ana
    for query in ("@eve@stranger.example", "eve@stranger.example", four.eve.iri, f"https://{STRANGER}/@eve",
                  f"{four.eve.iri}/statuses/1", "https://stranger.example/", "acct:eve@stranger.example"):  # fmt: skip
        answer = await ana.client.get("/api/v2/search", params={"q": query, "resolve": "true"})
        assert answer.status_code == 403, (query, answer.text)
        assert "stranger.example is not on the allow-list" in answer.json()["error"]
        for path in ("/api/v1/accounts/search", "/api/v1/accounts/lookup"):
            answer = await ana.client.get(path, params={"q": query, "acct": query, "resolve": "true"})
            assert answer.status_code in (404, 403) or answer.json() == [], (path, query, answer.text)
    for reach in ("partners", [LAB]):
        said = await ana.say("@eve@stranger.example hello", reach=reach)
        (unreached,) = said["fedishare"]["unreached"]
        assert unreached["acct"] == "eve@stranger.example"
        assert "stranger" not in str(said["mentions"]) and "<a" not in said["content"]
    for named in ([STRANGER], [LAB, STRANGER]):
        refused = await ana.do("/api/v1/statuses", 422, status="hello", reach=named)
        assert "stranger.example is not a partner" in refused["error"]
    direct = await ana.say("@eve@stranger.example psst", visibility="direct")
    assert direct["fedishare"]["unreached"]
    preview = await ana.do("/api/v1/fedishare/audience", status="@eve@stranger.example hello", reach="partners")
    assert preview["partners"] == []
    assert (
        "not on the allow-list" in preview["unreached"][0]["reason"] and "unlisted" in preview["unreached"][0]["reason"]
    )
    await four.world.settle()
    four.quiet()
    # A partner's people are found by each of these ways.
    for query in ("@ben@lab.example", four.ben.iri, "acct:ben@lab.example"):
        assert (await ana.find(query))["acct"] == "ben@lab.example"


async def test_11_an_app_works_while_nothing_is_public(four: Four) -> None:
    assert not four.clinic.config.web.public_pages
    assert (await four.ana.get("/api/v1/accounts/verify_credentials"))["username"] == "ana"
    said = await four.ana.say("inside")
    assert said["reach"] == "local"
    assert await four.ana.texts() == ["inside"]
    # Without a token the same routes show nothing.
    for path in ("/api/v1/timelines/public", f"/api/v1/statuses/{said['id']}", "/api/v1/accounts/lookup?acct=ana"):
        answer = await four.world.ask("GET", f"https://{CLINIC}{path}")
        assert answer.status == 401 and b"inside" not in answer.body


async def test_12_the_instance_can_be_described_while_nothing_is_public(four: Four) -> None:
    said = await four.ana.say("inside")
    for path in ("/about", "/", "/api/v1/instance", "/api/v2/instance", "/.well-known/nodeinfo", "/nodeinfo/2.1"):
        answer = await four.world.ask("GET", f"https://{CLINIC}{path}", {"accept": "text/html"})
        assert answer.status == 200, path
        assert b"inside" not in answer.body and said["id"].encode() not in answer.body
    # A browser at a post's address is told the same, whether the post exists or not.
    pages = [
        await four.world.ask("GET", f"https://{CLINIC}{path}", {"accept": "text/html"})
        for path in (f"/@ana/{said['id']}", "/@ana/1", "/@nobody", "/@ana", "/users/ana", "/tags/x")
    ]
    assert {page.status for page in pages} == {401} and len({page.body for page in pages}) == 1
    assert b"members" in pages[0].body


async def test_13_ending_a_partnership_keeps_both_sides_history(four: Four) -> None:
    await four.follow_ana()
    said = await four.ana.say("history", reach="partners")
    await four.world.settle()
    answer = await four.cat.reply(said["uri"], "@ana@clinic.example mine")
    await four.world.settle()
    await four.clinic.set_partner(CARE, PartnerState.ENDED)
    await four.world.settle()
    assert await four.cat.texts() == ["@ana mine", "history"]
    seen = await four.ana.status(answer["uri"])
    assert seen is not None
    assert await four.clinic.all(PAST, domain=CARE) == [(1,)]
    # Renewed, it goes on where it was.
    await four.clinic.set_partner(CARE, PartnerState.ACTIVE)
    await four.ana.say("again", reach="partners")
    await four.world.settle()
    assert "again" in await four.cat.texts()


async def test_14_private_and_federated_at_the_same_time(four: Four) -> None:
    await four.follow_ana()
    assert four.clinic.config.federation.enabled and not four.clinic.config.web.public_pages
    said = await four.ana.say("both", reach="partners")
    await four.world.settle()
    assert "both" in await four.ben.texts()
    assert (await four.world.ask("GET", said["url"], {"accept": "text/html"})).status == 401


async def test_15_every_refusal_is_on_record_with_its_reason(four: Four) -> None:
    for _ in range(3):
        await four.eve.send(four.clinic.inbox, activity(four.eve.iri, "Follow", four.ana.iri))
        await four.eve.fetch(four.ana.iri)
    await four.ana.client.get("/api/v2/search", params={"q": "@eve@stranger.example", "resolve": "true"})
    # A flood of names makes no flood of lines.
    for number in range(700):
        four.clinic.server.instance.guard.same_peer(next(iter(four.clinic.server.instance.guard.policy.partners)), "x")
        with pytest.raises(Exception, match="allow-list"):
            four.clinic.server.instance.guard.admit_peer(f"h{number}.stranger.example")
    found = four.clinic.server.instance.guard.drain_decisions()
    asked = {(c.question.value, c.domain): (c.verdict.word, c.rule, c.times) for c in found}
    assert asked["connect", STRANGER] == ("deny", "unlisted", 6)
    assert asked["fetch", STRANGER] == ("deny", "unlisted", 1)
    assert len(found) <= 502
    assert sum(c.times for c in found if c.question.value == "connect") == 706
    assert all("allow-list" in c.reason for c in found if c.verdict.word == "deny")


async def test_15_refusals_are_kept_in_the_store(four: Four) -> None:
    await four.eve.fetch(four.ana.iri)
    for c in four.clinic.server.instance.guard.drain_decisions():
        await four.clinic.write(
            partners.count_decision, hour=c.hour, question=c.question.value, domain=c.domain, verdict=c.verdict.word,
            rule=c.rule, reason=c.reason, revision=c.revision, times=c.times,
        )  # fmt: skip
    rows = await four.clinic.read(partners.decisions, domain=STRANGER)
    assert [(row[1], row[3], row[4], row[7]) for row in rows] == [("connect", "deny", "unlisted", 1)]


EVIL = f"https://{STRANGER}"


def _naming_the_stranger(me: str, follow: str, said: str) -> list[dict[str, Any]]:
    """Activities of a partner's actor that name the stranger in every field that there is."""
    evil_note, evil_actor = f"{EVIL}/users/eve/statuses/1", f"{EVIL}/users/eve"
    fields: list[dict[str, Any]] = [
        {"inReplyTo": evil_note},
        {"tag": [{"type": "Mention", "href": evil_actor, "name": "@eve@stranger.example"}]},
        {"tag": [{"type": "Hashtag", "href": f"{EVIL}/tags/x", "name": "#x"}]},
        {"tag": [{"type": "Emoji", "id": f"{EVIL}/e/1", "name": ":x:", "icon": {"url": f"{EVIL}/x.png"}}]},
        {"attachment": [{"type": "Document", "mediaType": "image/png", "url": f"{EVIL}/x.png"}]},
        {"url": f"{EVIL}/page", "icon": {"type": "Image", "url": f"{EVIL}/i.png"}, "image": f"{EVIL}/j.png"},
        {"context": f"{EVIL}/contexts/1", "conversation": f"{EVIL}/contexts/1", "audience": f"{EVIL}/groups/1"},
        {"replies": f"{EVIL}/replies", "likes": f"{EVIL}/likes", "shares": {"id": f"{EVIL}/s", "first": f"{EVIL}/s?1"}},
        {"to": [PUBLIC, evil_actor], "cc": [f"{evil_actor}/followers"], "bto": [evil_actor], "bcc": [evil_actor]},
        {"quoteUrl": evil_note, "quoteUri": evil_note, "_misskey_quote": evil_note, "quote": evil_note},
        {"attributedTo": evil_actor}, {"attributedTo": [me, evil_actor]}, {"generator": evil_actor},
        {"content": f'<p><a href="{EVIL}/link">x</a><img src="{EVIL}/pixel.png"></p>'},
        {"proof": {"type": "DataIntegrityProof", "verificationMethod": f"{evil_actor}#key"}},
        {"signature": {"type": "RsaSignature2017", "creator": f"{evil_actor}#main-key", "signatureValue": "AAAA"}},
    ]  # fmt: skip
    made = [activity(me, "Create", note(me, f"f{n}", **each)) for n, each in enumerate(fields)]
    made += [
        {**activity(me, "Create", note(me, f"g{n}")), "id": f"{me}/c/{n}", **each} for n, each in enumerate(fields)
    ]
    objects = (evil_note, evil_actor, {"id": evil_note, "type": "Note", "attributedTo": evil_actor},
               activity(evil_actor, "Create", note(evil_actor)), [evil_note, evil_actor])  # fmt: skip
    made += [
        activity(me, kind, target, id=f"{me}/x/{kind}{n}")
        for kind in ("Create", "Update", "Announce", "Like", "Follow", "Delete", "Undo", "Add", "Remove", "Block",
                     "Flag", "Accept", "Reject", "Move", "EmojiReact")
        for n, target in enumerate(objects)
    ]  # fmt: skip
    made += [
        {**activity(me, "Create", note(me, "ctx")), "@context": [AS2, f"{EVIL}/context.jsonld"]},
        {**activity(me, "Move", me), "target": evil_actor},
        {**activity(me, "Add", f"{me}/notes/f0"), "target": f"{evil_actor}/collections/featured"},
        activity(me, "Accept", {"id": follow, "type": "Follow", "actor": evil_actor, "object": me}),
        activity(evil_actor, "Create", note(evil_actor)),
        activity(me, "Create", note(me, "vote", name="x", content=None, inReplyTo=evil_note)),
        activity(me, "Create", note(me, "r", inReplyTo=said)) | {"object": note(evil_actor, inReplyTo=said)},
    ]
    return made


@pytest.mark.spec("R32", "R37", "R126")
async def test_16_nothing_that_a_partner_names_makes_us_look_a_stranger_up(four: Four) -> None:
    await four.follow_ana()
    await four.ana.follow(four.ben.handle)
    said = await four.ana.say("hello", reach="partners")
    await four.world.settle()
    group = await four.lab.person("group")
    for document in _naming_the_stranger(four.ben.iri, f"{four.ana.iri}/follows/1", said["uri"]):
        for extra in ({}, {"type": "Announce", "object": document}):
            answer = await four.ben.send(four.clinic.inbox, {**document, **extra})
            assert answer.status in (202, 400, 401, 403), (answer.status, answer.body, document)
    await group.send(
        four.clinic.inbox, activity(group.iri, "Announce", activity(four.eve.iri, "Create", note(four.eve.iri)))
    )
    await four.world.settle()
    four.clinic.server.worker.wake()
    await four.world.settle()
    four.quiet()
    assert {s.host for s in four.world.internet.sent} <= {LAB, CARE, CLINIC}


async def test_16_a_partners_actor_that_points_at_a_stranger(four: Four) -> None:
    """Keys, collections, inboxes, aliases and pictures of an actor may lead elsewhere; nobody goes there."""
    profile = {"icon": {"type": "Image", "url": f"{EVIL}/i.png"}, "image": f"{EVIL}/h.png", "url": f"{EVIL}/@x",
               "featured": f"{EVIL}/featured", "alsoKnownAs": [f"{EVIL}/users/eve"], "movedTo": f"{EVIL}/users/eve",
               "webfinger": "ben@stranger.example", "outbox": f"{EVIL}/outbox", "followers": f"{EVIL}/followers",
               "attachment": [{"type": "PropertyValue", "name": "x", "value": f'<a rel="me" href="{EVIL}/me">x</a>'}],
               "endpoints": {"sharedInbox": f"{EVIL}/inbox"}, "generator": f"{EVIL}/app",
               "context": f"{EVIL}/c"}  # fmt: skip
    actual = (await four.ana.fetch(four.ben.iri)).json
    (changed := dict(actual)).update(profile)
    await four.ben.send(four.clinic.inbox, activity(four.ben.iri, "Update", changed))
    inboxed = {**actual, "inbox": f"{EVIL}/inbox"}
    await four.ben.send(four.clinic.inbox, activity(four.ben.iri, "Update", inboxed, id=f"{four.ben.iri}/u/2"))
    await four.ben.send(four.clinic.inbox, activity(four.ben.iri, "Follow", four.ana.iri))
    await four.ana.say("@ben@lab.example hello", reach="partners")
    await four.ana.say("@ben@lab.example psst", visibility="direct")
    await four.ana.get("/api/v2/search", q=four.ben.handle, resolve="true")
    await four.world.settle()
    # A followers' digest at another host is not looked at.
    body = json.dumps(activity(four.ben.iri, "Create", note(four.ben.iri))).encode()
    for url in (f"{EVIL}/sync", f"{four.ben.iri}/followers"):
        header = f'collectionId="{four.ben.iri}/followers", url="{url}", digest="{"0" * 64}"'
        signed = await four.ben.signature("POST", four.clinic.inbox, body)
        headers = {"content-type": "application/activity+json", "collection-synchronization": header, **signed}
        await four.world.ask("POST", four.clinic.inbox, headers, body)
    # A key id at a stranger's, an own one that names it, and one at a made-up sub-domain.
    for key_id in (f"{EVIL}/users/eve#main-key", f"https://sub.{LAB}/key", "https://lab.example@stranger.example/k"):
        headers = await four.ben.signature("POST", four.clinic.inbox, body)
        headers["signature"] = headers["signature"].replace(f"{four.ben.iri}#main-key", key_id)
        headers["content-type"] = "application/activity+json"
        assert (await four.world.ask("POST", four.clinic.inbox, headers, body)).status in (401, 403)
    await four.world.settle()
    four.quiet()
