"""Two organizations that agreed with each other: what their people do crosses the border, through the client API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from fedishare.activitypub.keys import PrivateKey
from fedishare.model.actors import ActorKey, ActorKind, FollowState
from fedishare.model.ids import Iri
from fedishare.model.outgoing import PublishActor
from fedishare.services import accounts
from fedishare.services.site import federate
from fedishare.store import actors, relations
from fedishare.store.db import Tx, sql
from fedishare.store.jobs import JobState
from tests.support.builders import key_pair
from tests.support.world import MovingClock, Org, Person, World, new_world, plain

PUBLIC = "https://www.w3.org/ns/activitystreams#Public"
CLINIC, LAB = "clinic.example", "lab.example"
REPORTS = sql("two_reports", "SELECT reporter_iri, target_id, comment FROM report ORDER BY id")
NEW_KEYS = sql("two_new_keys", "UPDATE credential SET rsa_private = :rsa WHERE actor_id = :id")


@dataclass
class Pair:
    """clinic.example with ana and amy, lab.example with ben and bea; nobody follows anybody yet."""

    world: World
    clinic: Org
    lab: Org
    ana: Person
    amy: Person
    ben: Person
    bea: Person

    async def settle(self) -> None:
        """Until nobody has anything left to do."""
        await self.world.settle()

    async def friends(self) -> None:
        """ben follows ana, and ana follows ben."""
        await self.ben.follow(self.ana.handle)
        await self.ana.follow(self.ben.handle)
        await self.settle()
        self.world.internet.forget()

    async def shared(self, text: str = "from ana", **fields: Any) -> dict[str, Any]:
        """A post of ana's that has arrived at the lab."""
        said = await self.ana.say(text, **({"reach": "partners"} | fields))
        await self.settle()
        assert await self.lab.post(said["uri"]) is not None, "the post did not arrive"
        return said


@asynccontextmanager
async def new_pair(folder: Path, **terms: Any) -> AsyncIterator[Pair]:
    """Both sides agree to the same terms."""
    async with new_world(folder) as world:
        clinic = await world.org(CLINIC, [{"domain": LAB, **terms}])
        lab = await world.org(LAB, [{"domain": CLINIC, **terms}])
        ana, amy = await clinic.person("ana"), await clinic.person("amy")
        ben, bea = await lab.person("ben"), await lab.person("bea")
        yield Pair(world, clinic, lab, ana, amy, ben, bea)


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with new_pair(tmp_path) as made:
        yield made


@pytest.fixture
async def frank(tmp_path: Path) -> AsyncIterator[Pair]:
    """A pair whose terms let documents say that a post is public."""
    async with new_pair(tmp_path, public_addressing=True) as made:
        yield made


# Follows


@pytest.mark.spec("R16", "R17", "R57", "R59")
async def test_following_an_open_account(pair: Pair) -> None:
    asked = await pair.ben.follow(pair.ana.handle)
    assert asked["requested"] and not asked["following"]
    await pair.settle()
    assert (await pair.ben.relationship(pair.ana.handle))["following"]
    assert (await pair.ana.relationship(pair.ben.handle))["followed_by"]
    assert await pair.ana.notifications() == [("follow", "ben@lab.example")]
    follow = pair.world.bodies_to(CLINIC)[0]
    (accept,) = pair.world.bodies_to(LAB)
    assert (accept["type"], accept["actor"]) == ("Accept", pair.ana.iri)
    # The whole Follow is inside, and it went to the follower's own inbox.
    assert {k: accept["object"][k] for k in ("id", "type", "actor", "object")} == {
        "id": follow["id"], "type": "Follow", "actor": pair.ben.iri, "object": pair.ana.iri,
    }  # fmt: skip
    assert pair.world.internet.to(LAB, "POST")[0].path == "/users/ben/inbox"
    # Both servers answer to signatures only, and have read each other all the same.
    assert all("signature" in s.headers for s in pair.world.internet.sent if "/.well-known/" not in s.url)

    await pair.ben.do(f"/api/v1/accounts/{asked['id']}/unfollow")
    await pair.settle()
    assert not (await pair.ana.relationship(pair.ben.handle))["followed_by"]
    assert pair.world.bodies_to(CLINIC)[-1]["type"] == "Undo"


@pytest.mark.spec("R113")
async def test_following_somebody_who_decides(pair: Pair) -> None:
    await pair.ana.do("/api/v1/accounts/update_credentials", 200, "PATCH", locked=True)
    await pair.ben.follow(pair.ana.handle)
    await pair.settle()
    assert pair.world.bodies_to(LAB) == []
    assert await pair.ana.notifications() == [("follow_request", "ben@lab.example")]
    (wanting,) = await pair.ana.get("/api/v1/follow_requests")
    await pair.ana.do(f"/api/v1/follow_requests/{wanting['id']}/authorize")
    await pair.settle()
    assert (await pair.ben.relationship(pair.ana.handle))["following"]

    # Sending a follower away is a Reject, which the other side obeys.
    await pair.ana.do(f"/api/v1/accounts/{wanting['id']}/remove_from_followers")
    await pair.settle()
    assert [b["type"] for b in pair.world.bodies_to(LAB)] == ["Accept", "Reject"]
    assert not (await pair.ben.relationship(pair.ana.handle))["following"]

    await pair.bea.follow(pair.ana.handle)
    await pair.settle()
    (wanting,) = await pair.ana.get("/api/v1/follow_requests")
    await pair.ana.do(f"/api/v1/follow_requests/{wanting['id']}/reject")
    await pair.settle()
    stands = await pair.bea.relationship(pair.ana.handle)
    assert not stands["following"] and not stands["requested"]


@pytest.mark.spec("R111")
async def test_services_and_groups_are_followed_like_people(pair: Pair) -> None:
    await pair.clinic.person("alarm", kind=ActorKind.SERVICE)
    await pair.clinic.person("xray", kind=ActorKind.GROUP)
    for name in ("alarm", "xray"):
        await pair.ben.follow(f"{name}@{CLINIC}")
    await pair.settle()
    for name, bot in (("alarm", True), ("xray", False)):
        assert (await pair.ben.relationship(f"{name}@{CLINIC}"))["following"]
        assert (await pair.ben.get("/api/v1/accounts/lookup", acct=f"{name}@{CLINIC}"))["bot"] is bot


# Posts


@pytest.mark.spec("R44", "R117")
async def test_a_post_arrives_in_followers_home_timelines_only(pair: Pair) -> None:
    await pair.friends()
    said = await pair.shared("Look at this x-ray")
    assert await pair.ben.texts() == ["Look at this x-ray"]
    assert await pair.bea.texts() == []
    assert await pair.bea.status(said["uri"]) is None
    assert [plain(s) for s in await pair.amy.get("/api/v1/timelines/public")] == ["Look at this x-ray"]
    (delivery,) = pair.world.internet.to(LAB, "POST")
    assert delivery.path == "/inbox"


@pytest.mark.spec("R71", "R75", "R76", "R72")
async def test_tags_warning_language_and_format_cross_the_border(pair: Pair) -> None:
    await pair.friends()
    said = await pair.shared(
        "Schönes #Röntgen <b>&</b>\nsee https://clinic.example/x", spoiler_text="bones", sensitive=True, language="de"
    )
    seen = await pair.ben.status(said["uri"])
    assert seen is not None
    assert plain(seen) == plain(said) == "Schönes #Röntgen &lt;b&gt;&amp;&lt;/b&gt;see https://clinic.example/x"
    assert 'href="https://clinic.example/x" rel="nofollow noopener"' in seen["content"]
    assert (seen["spoiler_text"], seen["sensitive"], seen["language"]) == ("bones", True, "de")
    assert [t["name"] for t in seen["tags"]] == ["röntgen"]
    assert [plain(s) for s in await pair.ben.get("/api/v1/timelines/tag/RÖNTGEN")] in ([], [plain(said)])
    assert pair.world.bodies_to(LAB)[-1]["object"]["contentMap"] == {"de": said["content"]}


@pytest.mark.spec("R69", "R70")
async def test_a_mention_notifies_somebody_who_does_not_follow(pair: Pair) -> None:
    said = await pair.ana.say("@bea@lab.example please look", reach=[LAB])
    await pair.settle()
    assert [m["acct"] for m in said["mentions"]] == ["bea@lab.example"]
    assert await pair.bea.notifications() == [("mention", "ana@clinic.example")]
    assert await pair.ben.status(said["uri"]) is None
    sent = pair.world.bodies_to(LAB)[-1]["object"]
    assert sent["tag"] == [{"type": "Mention", "href": pair.bea.iri, "name": "@bea@lab.example"}]
    assert pair.bea.iri in sent["to"] + sent["cc"]
    # A name in the text alone notifies nobody.
    await pair.friends()
    forged = {**sent, "id": f"{pair.ana.iri}/statuses/77", "tag": [], "content": "<p>@bea@lab.example</p>"}
    forged |= {"to": [f"{pair.ana.iri}/followers"], "cc": []}
    activity = {"@context": sent.get("@context", "https://www.w3.org/ns/activitystreams"), "type": "Create",
                "id": f"{pair.ana.iri}/statuses/77/activity", "actor": pair.ana.iri, "object": forged}  # fmt: skip
    assert (await pair.ana.send(pair.lab.inbox, activity)).status == 202
    assert len(await pair.bea.notifications()) == 1


@pytest.mark.spec("R78")
async def test_a_thread_grows_on_both_sides(pair: Pair) -> None:
    await pair.friends()
    said = await pair.shared("Has anybody seen this?")
    answer = await pair.ben.reply(said["uri"], "@ana@clinic.example yes, twice")
    await pair.settle()
    assert answer["reach"] == [CLINIC]
    assert await pair.ana.notifications() == [("mention", "ben@lab.example"), ("follow", "ben@lab.example")]
    again = await pair.ana.reply(answer["uri"], "@ben@lab.example where?")
    await pair.settle()
    for person in (pair.ana, pair.ben):
        middle = await person.status(answer["uri"])
        assert middle is not None
        context = await person.get(f"/api/v1/statuses/{middle['id']}/context")
        assert [s["uri"] for s in context["ancestors"]] == [said["uri"]]
        assert [s["uri"] for s in context["descendants"]] == [again["uri"]]
    seen = await pair.ana.status(said["uri"])
    assert seen is not None and seen["replies_count"] == 1


@pytest.mark.spec("R18", "R91")
async def test_likes_come_and_go(pair: Pair) -> None:
    await pair.friends()
    said = await pair.shared()
    await pair.ben.on(said["uri"], "favourite")
    await pair.settle()
    seen = await pair.ana.status(said["uri"])
    assert seen is not None and seen["favourites_count"] == 1
    assert ("favourite", "ben@lab.example") in await pair.ana.notifications()
    like = pair.world.bodies_to(CLINIC)[-1]
    assert (like["type"], like["object"]) == ("Like", said["uri"])
    await pair.ben.on(said["uri"], "unfavourite")
    await pair.settle()
    seen = await pair.ana.status(said["uri"])
    assert seen is not None and seen["favourites_count"] == 0
    undo = pair.world.bodies_to(CLINIC)[-1]
    assert (undo["type"], undo["object"]["id"]) == ("Undo", like["id"])
    assert ("favourite", "ben@lab.example") not in await pair.ana.notifications()


@pytest.mark.spec("R18", "R86")
async def test_boosts_come_and_go(frank: Pair) -> None:
    pair = frank
    await pair.friends()
    said = await pair.shared("worth passing on")
    await pair.bea.follow(pair.ben.handle)
    boost = await pair.ben.on(said["uri"], "reblog")
    await pair.settle()
    # It reaches colleagues, and the partner that it came from; there it counts and is told of.
    assert boost["reach"] == [CLINIC]
    assert await pair.bea.texts() == ["worth passing on"]
    assert ("reblog", "ben@lab.example") in await pair.ana.notifications()
    seen = await pair.amy.status(said["uri"])
    assert seen is not None and seen["reblogs_count"] == 1
    # What a colleague wrote reaches one's followers at the partner, who read it at its origin.
    inside = await pair.amy.say("amy's news", reach="partners")
    await pair.ana.on(inside["uri"], "reblog")
    await pair.settle()
    announce = pair.world.bodies_to(LAB)[-1]
    assert (announce["type"], announce["object"]) == ("Announce", inside["uri"])
    assert (await pair.ben.texts())[0] == "amy's news"
    (top, *_) = await pair.ben.home()
    assert (top["account"]["acct"], top["reblog"]["account"]["acct"]) == ("ana@clinic.example", "amy@clinic.example")
    # A second Announce under another id counts no more than the first.
    for number in (1, 2):
        await pair.ana.send(pair.lab.inbox, {**announce, "id": f"{announce['id']}-{number}"})
    await pair.settle()
    assert (await pair.ben.texts()).count("amy's news") == 1
    await pair.ana.on(inside["uri"], "unreblog")
    await pair.ben.on(said["uri"], "unreblog")
    await pair.settle()
    assert "amy's news" not in await pair.ben.texts()
    seen = await pair.amy.status(said["uri"])
    assert seen is not None and seen["reblogs_count"] == 0
    assert ("reblog", "ben@lab.example") not in await pair.ana.notifications()


@pytest.mark.spec("R87")
async def test_private_posts_are_boosted_by_their_author_alone(pair: Pair) -> None:
    await pair.friends()
    # What the terms do not let us call public arrives as a post for followers, and stays one.
    said = await pair.shared("for followers there")
    seen = await pair.ben.status(said["uri"])
    assert seen is not None and seen["visibility"] == "private"
    await pair.ben.on(said["uri"], "reblog", 403)
    announce = {"@context": "https://www.w3.org/ns/activitystreams", "type": "Announce", "to": [PUBLIC],
                "id": f"{pair.ben.iri}/boosts/1", "actor": pair.ben.iri}  # fmt: skip
    private = await pair.shared("for my followers", visibility="private")
    assert (await pair.ben.send(pair.clinic.inbox, {**announce, "object": private["uri"]})).status == 202
    await pair.settle()
    kept = await pair.ana.status(private["uri"])
    assert kept is not None and kept["reblogs_count"] == 0
    own = await pair.ana.on(private["uri"], "reblog")
    await pair.settle()
    assert own["visibility"] == "private"
    kept = await pair.ana.status(private["uri"])
    assert kept is not None and kept["reblogs_count"] == 1


@pytest.mark.spec("R20", "R21")
async def test_unlisted_and_public_are_told_apart_where_the_terms_allow_to_say_so(frank: Pair) -> None:
    await frank.friends()
    for visibility, place in (("public", "to"), ("unlisted", "cc")):
        said = await frank.shared(visibility, visibility=visibility)
        seen = await frank.bea.status(said["uri"])
        assert seen is not None and seen["visibility"] == visibility
        assert PUBLIC in frank.world.bodies_to(LAB)[-1]["object"][place]
    shown = [plain(s) for s in await frank.bea.get("/api/v1/timelines/public")]
    assert shown == ["public"]


@pytest.mark.spec("R80", "R79")
async def test_edits_replace_the_text_and_keep_a_history(pair: Pair) -> None:
    await pair.friends()
    said = await pair.shared("first")
    await pair.ana.edit(said, "second", spoiler_text="corrected", sensitive=True)
    await pair.settle()
    seen = await pair.ben.status(said["uri"])
    assert seen is not None
    assert (plain(seen), seen["spoiler_text"], seen["created_at"]) == ("second", "corrected", said["created_at"])
    assert seen["edited_at"] is not None
    history = await pair.ben.get(f"/api/v1/statuses/{seen['id']}/history")
    assert [plain({"reblog": None, **h}) for h in history] == ["first", "second"]
    update = pair.world.bodies_to(LAB)[-1]
    assert (update["type"], update["object"]["source"]["content"]) == ("Update", "second")


@pytest.mark.spec("R82", "R83", "R84")
async def test_a_deleted_post_is_gone_everywhere_for_ever(pair: Pair) -> None:
    await pair.friends()
    said = await pair.shared("soon gone")
    await pair.ben.on(said["uri"], "favourite")
    create = next(b for b in pair.world.bodies_to(LAB) if b["type"] == "Create")
    hidden = await pair.ana.say("for us alone")
    await pair.ana.delete(said)
    await pair.ana.delete(hidden)
    await pair.settle()
    assert await pair.ben.texts() == []
    assert await pair.lab.post(said["uri"]) is None
    delete = pair.world.bodies_to(LAB)[-1]
    assert (delete["type"], delete["object"]["id"], delete["object"]["type"]) == ("Delete", said["uri"], "Tombstone")
    # 410 and a Tombstone for those that could see it; a post that was never theirs is a 404, like one that never was.
    gone = await pair.ben.fetch(said["uri"])
    assert gone.status == 410
    assert {k: gone.json[k] for k in ("id", "type")} == {"id": said["uri"], "type": "Tombstone"}
    never = await pair.ben.fetch(hidden["uri"])
    missing = await pair.ben.fetch(f"{pair.ana.iri}/statuses/1")
    assert (never.status, never.body) == (missing.status, missing.body) and never.status == 404
    # Nothing brings it back: not the Create again, nor an Update.
    for again in (create, {**create, "type": "Update", "id": create["id"] + "-2"}):
        assert (await pair.ana.send(pair.lab.inbox, again)).status == 202
    await pair.settle()
    assert await pair.lab.post(said["uri"]) is None


@pytest.mark.spec("R83", "R43")
async def test_a_tombstone_is_shown_to_the_audience_that_the_post_had(pair: Pair) -> None:
    await pair.friends()
    said = await pair.ana.say("for followers", reach="partners", visibility="private")
    await pair.settle()
    assert (await pair.ben.fetch(said["uri"])).status == 200
    await pair.ana.delete(said)
    assert [(await p.fetch(said["uri"])).status for p in (pair.ben, pair.bea)] == [410, 404]
    named = await pair.ana.say("@bea@lab.example psst", visibility="direct")
    await pair.settle()
    await pair.ana.delete(named)
    assert [(await p.fetch(named["uri"])).status for p in (pair.ben, pair.bea)] == [404, 410]
    boosted = await pair.shared("boost me")
    boost = await pair.ana.on(boosted["uri"], "reblog")
    await pair.ana.on(boosted["uri"], "unreblog")
    assert (await pair.ben.fetch(boost["uri"])).status == 410


@pytest.mark.spec("R88", "R89", "R81")
async def test_polls_and_votes(pair: Pair) -> None:
    await pair.friends()
    await pair.bea.follow(pair.ana.handle)
    await pair.settle()
    said = await pair.shared("Lunch?", poll={"options": ["soup", "pie"], "expires_in": 3600})
    seen = await pair.ben.status(said["uri"])
    assert seen is not None
    vote = await pair.ben.do(f"/api/v1/polls/{seen['poll']['id']}/votes", choices=[1])
    assert vote["voted"] and vote["own_votes"] == [1]
    await pair.settle()
    at_home = await pair.ana.get(f"/api/v1/polls/{said['poll']['id']}")
    assert [o["votes_count"] for o in at_home["options"]] == [0, 1]
    cast = pair.world.bodies_to(CLINIC)[-1]
    assert (cast["type"], cast["object"]["name"], cast["to"]) == ("Create", "pie", [pair.ana.iri])
    assert "content" not in cast["object"]
    # A vote counts once, in one option, and only before the end.
    for number, name in enumerate(("pie", "soup", "cake")):
        twice = {**cast, "id": f"{cast['id']}-{number}"}
        twice["object"] = {**cast["object"], "id": f"{cast['object']['id']}-{number}", "name": name}
        assert (await pair.ben.send(pair.clinic.inbox, twice)).status == 202
    await pair.settle()
    at_home = await pair.ana.get(f"/api/v1/polls/{said['poll']['id']}")
    assert [o["votes_count"] for o in at_home["options"]] == [0, 1]
    # The others hear of the new count, and nothing says that the post was edited.
    at_lab = await pair.bea.status(said["uri"])
    assert at_lab is not None
    assert [o["votes_count"] for o in at_lab["poll"]["options"]] == [0, 1]
    assert at_lab["edited_at"] is None
    pair.world.clock.forward(2 * 3_600_000)
    await pair.bea.do(f"/api/v1/polls/{at_lab['poll']['id']}/votes", 422, choices=[0])


# Relations and profiles


@pytest.mark.spec("R45", "R46")
async def test_a_block_ends_everything_between_two_people(pair: Pair) -> None:
    await pair.friends()
    said = await pair.shared("before")
    ben = await pair.ana.find(pair.ben.handle)
    await pair.ana.do(f"/api/v1/accounts/{ben['id']}/block")
    await pair.settle()
    for person, other in ((pair.ana, pair.ben), (pair.ben, pair.ana)):
        stands = await person.relationship(other.handle)
        assert not stands["following"] and not stands["followed_by"]
    block = next(s for s in pair.world.internet.to(LAB, "POST") if b'"Block"' in (s.body or b""))
    assert block.path == "/users/ben/inbox"
    # Nothing of his has an effect, his reads are refused, and nothing goes to him.
    before = await pair.clinic.rows()
    like = {"@context": "https://www.w3.org/ns/activitystreams", "id": f"{pair.ben.iri}/likes/9", "type": "Like",
            "actor": pair.ben.iri, "object": said["uri"]}  # fmt: skip
    assert (await pair.ben.send(pair.clinic.inbox, like)).status == 202
    await pair.settle()
    after = await pair.clinic.rows()
    assert before[2:] == after[2:]
    assert (await pair.ben.fetch(pair.ana.iri)).status == 403
    assert (await pair.ben.fetch(said["uri"])).status == 404
    assert (await pair.ben.fetch(f"{pair.ana.iri}/outbox?page=true")).status == 403
    assert (await pair.bea.fetch(pair.ana.iri)).status == 200
    pair.world.internet.forget()
    await pair.ana.say("@ben@lab.example hello?", reach=[LAB])
    await pair.settle()
    assert pair.world.bodies_to(LAB) == []
    await pair.ana.do(f"/api/v1/accounts/{ben['id']}/unblock")
    await pair.settle()
    assert pair.world.bodies_to(LAB)[-1]["type"] == "Undo"
    assert (await pair.ben.fetch(pair.ana.iri)).status == 200


@pytest.mark.spec("R47")
async def test_a_report_goes_out_from_the_instance_and_names_nobody_here(pair: Pair) -> None:
    await pair.friends()
    said = await pair.shared("something rude")
    ana, post = await pair.ben.find(pair.ana.handle), await pair.lab.post(said["uri"])
    assert post is not None
    await pair.ben.do(
        "/api/v1/reports", account_id=ana["id"], status_ids=[str(post.id)], comment="please look", forward=True
    )
    await pair.settle()
    (flag,) = [b for b in pair.world.bodies_to(CLINIC) if b["type"] == "Flag"]
    assert flag["actor"] == "https://lab.example/actor"
    assert set(flag["object"]) == {pair.ana.iri, said["uri"]}
    assert "ben" not in str(flag)
    assert await pair.clinic.all(REPORTS) == [("https://lab.example/actor", pair.ana.id, "please look")]


@pytest.mark.spec("R107")
async def test_pins_are_the_featured_collection(pair: Pair) -> None:
    await pair.friends()
    said = await pair.shared("read this first")
    await pair.ana.on(said["uri"], "pin")
    await pair.settle()
    ana = await pair.ben.find(pair.ana.handle)
    pinned = await pair.ben.get(f"/api/v1/accounts/{ana['id']}/statuses", pinned="true")
    assert [s["uri"] for s in pinned] == [said["uri"]]
    featured = await pair.ben.fetch(f"{pair.ana.iri}/collections/featured")
    assert [each["id"] for each in featured.json["orderedItems"]] == [said["uri"]]
    await pair.ana.on(said["uri"], "unpin")
    await pair.settle()
    assert [b["type"] for b in pair.world.bodies_to(LAB)][-2:] == ["Add", "Remove"]
    assert await pair.ben.get(f"/api/v1/accounts/{ana['id']}/statuses", pinned="true") == []
    # Hashtags on the profile are readable like the pins: for partners, but not for whom ana blocks.
    await pair.ana.do("/api/v1/featured_tags", name="XRay")
    at = (await pair.ben.fetch(pair.ana.iri)).json["featuredTags"]
    shown = (await pair.ben.fetch(at)).json
    assert (shown["type"], shown["totalItems"]) == ("Collection", 1)
    assert [(each["type"], each["name"]) for each in shown["items"]] == [("Hashtag", "#xray")]
    ben = await pair.ana.find(pair.ben.handle)
    await pair.ana.do(f"/api/v1/accounts/{ben['id']}/block")
    assert {(await pair.ben.fetch(path)).status for path in (at, f"{pair.ana.iri}/collections/featured")} == {403}


@pytest.mark.spec("R103", "R104")
async def test_a_changed_profile_reaches_those_who_follow(pair: Pair) -> None:
    await pair.friends()
    fields = [{"name": "Ward", "value": "7"}]
    await pair.ana.do(
        "/api/v1/accounts/update_credentials", 200, "PATCH", display_name="Dr Ana", note="bones", locked=True,
        fields_attributes=fields,
    )  # fmt: skip
    await pair.settle()
    seen = await pair.ben.get("/api/v1/accounts/lookup", acct=pair.ana.handle)
    assert (seen["display_name"], seen["note"], seen["locked"]) == ("Dr Ana", "<p>bones</p>", True)
    assert [(f["name"], f["value"]) for f in seen["fields"]] == [("Ward", "7")]


@pytest.mark.spec("R30", "R31")
async def test_a_new_key_is_honoured_and_the_old_one_is_not(pair: Pair) -> None:
    await pair.friends()
    old = (await pair.clinic.server.federation.keyring.signer(pair.ana.id)).rsa

    def rotate(tx: Tx) -> None:
        actor = actors.by_id(tx, pair.ana.id)
        assert actor is not None
        fresh = key_pair(90)
        kept = [k for k in actors.keys_of(tx, actor) if k.kind != "rsa"]
        names = pair.clinic.server.instance.site.names
        actors.put_keys(tx, actor.id, [ActorKey(names.main_key("ana"), actor.iri, "rsa", fresh.rsa_public), *kept])
        tx.run(NEW_KEYS, rsa=fresh.rsa_private, id=actor.id)
        actors.set_profile(tx, actor.id, actor.kind, actor.profile)
        federate(tx, actor.id, PublishActor(actor.id, tx.now))

    await pair.clinic.write(rotate)
    await pair.settle()
    said = await pair.shared("signed with the new key")
    assert await pair.ben.texts() == ["signed with the new key"]
    assert await _status_with(pair, old, said) == 401


async def _status_with(pair: Pair, key: PrivateKey, said: dict[str, Any]) -> int:
    keyring = pair.clinic.server.federation.keyring
    signer = replace(await keyring.signer(pair.ana.id), rsa=key)
    headers = await keyring.sign(signer, "GET", f"{pair.ben.iri}", None, scheme="cavage", now=pair.world.clock())
    return (await pair.world.ask("GET", pair.ben.iri, {"accept": "application/activity+json", **headers})).status


@pytest.mark.spec("R105", "R106")
async def test_somebody_moves_to_the_partner_and_the_followers_come_along(pair: Pair) -> None:
    await pair.friends()
    await pair.bea.follow(pair.ana.handle)
    await pair.settle()
    new = await pair.lab.person("ana2")

    def knows(tx: Tx) -> None:
        actor = actors.by_id(tx, new.id)
        assert actor is not None
        accounts.update_profile(tx, actor, replace(actor.profile, also_known_as=(Iri(pair.ana.iri),)))

    def move(tx: Tx) -> None:
        actor = actors.by_id(tx, pair.ana.id)
        assert actor is not None
        accounts.move(tx, actor, replace(actor.profile, moved_to=Iri(new.iri)), Iri(new.iri))

    # Nobody moves before the new account says that it is the same person.
    await pair.lab.write(knows)
    await pair.clinic.write(move)
    await pair.settle()
    for person in (pair.ben, pair.bea):
        assert (await person.relationship("ana2"))["following"]
        assert not (await person.relationship(pair.ana.handle))["following"]
    assert [b["type"] for b in pair.world.bodies_to(LAB)].count("Move") == 1
    document = await pair.ben.fetch(pair.ana.iri)
    assert document.json["movedTo"] == new.iri
    # The old account takes no new followers.
    carl = await pair.lab.person("carl")
    ana = await carl.find(pair.ana.handle)
    await carl.do(f"/api/v1/accounts/{ana['id']}/follow", 422)


async def test_nobody_is_moved_to_an_account_that_does_not_agree(pair: Pair) -> None:
    await pair.friends()
    new = await pair.lab.person("victim")

    def move(tx: Tx) -> None:
        actor = actors.by_id(tx, pair.ana.id)
        assert actor is not None
        accounts.move(tx, actor, replace(actor.profile, moved_to=Iri(new.iri)), Iri(new.iri))

    await pair.clinic.write(move)
    await pair.settle()
    assert (await pair.ben.relationship(pair.ana.handle))["following"]
    assert not (await pair.ben.relationship("victim"))["following"]


# Smaller audiences


@pytest.mark.spec("R20", "R43", "R44")
async def test_a_direct_message_reaches_the_named_person_alone(pair: Pair) -> None:
    await pair.friends()
    said = await pair.ana.say("@bea@lab.example between us", visibility="direct")
    await pair.settle()
    assert said["reach"] == [LAB]
    assert await pair.bea.notifications() == [("mention", "ana@clinic.example")]
    seen = await pair.bea.status(said["uri"])
    assert seen is not None and seen["visibility"] == "direct"
    assert await pair.ben.status(said["uri"]) is None and await pair.amy.status(said["uri"]) is None
    (delivery,) = pair.world.internet.to(LAB, "POST")
    assert delivery.path == "/users/bea/inbox"
    assert [(await p.fetch(said["uri"])).status for p in (pair.ben, pair.bea)] == [404, 200]


@pytest.mark.spec("R43", "R44", "R20")
async def test_a_post_for_followers_is_for_followers(pair: Pair) -> None:
    await pair.friends()
    said = await pair.shared("for followers", visibility="private")
    assert await pair.ben.texts() == ["for followers"] and await pair.bea.texts() == []
    assert await pair.bea.status(said["uri"]) is None
    assert [(await p.fetch(said["uri"])).status for p in (pair.ben, pair.bea)] == [200, 404]
    outbox = await pair.ben.fetch(f"{pair.ana.iri}/outbox?page=true")
    assert outbox.json["orderedItems"] == []
    # A follower whose request waits is no follower yet.
    await pair.ana.do("/api/v1/accounts/update_credentials", 200, "PATCH", locked=True)
    await pair.bea.follow(pair.ana.handle)
    await pair.settle()
    assert (await pair.bea.fetch(said["uri"])).status == 404


async def test_an_account_that_is_deleted_is_gone_at_partners_too(pair: Pair) -> None:
    await pair.friends()
    said = await pair.shared("last words")

    def delete(tx: Tx) -> None:
        actor = actors.by_id(tx, pair.ana.id)
        assert actor is not None
        accounts.delete(tx, actor, "test")

    await pair.clinic.write(delete)
    await pair.settle()
    assert await pair.ben.texts() == [] and await pair.lab.post(said["uri"]) is None
    assert (await pair.ben.fetch(pair.ana.iri)).status == 410
    kept = await pair.lab.actor(pair.ana.iri)
    assert kept is not None and kept.state >= 2


async def test_the_other_side_is_down_for_a_while(pair: Pair) -> None:
    await pair.friends()
    pair.world.internet.down(LAB)
    said = await pair.ana.say("are you there?", reach="partners")
    await pair.settle()
    assert await pair.lab.post(said["uri"]) is None
    (waiting,) = [j for j in await pair.clinic.jobs(JobState.QUEUED) if j.host == LAB]
    assert waiting.attempts == 1
    pair.world.internet.heal(LAB)
    pair.world.clock.forward(10 * 60_000)
    pair.clinic.server.worker.wake()
    await pair.settle()
    assert await pair.ben.texts() == ["are you there?"]
    assert [j.host for j in await pair.clinic.jobs(JobState.QUEUED)] == []


@pytest.mark.spec("R119")
async def test_followers_are_compared_when_one_side_forgot(pair: Pair) -> None:
    await pair.friends()
    await pair.bea.follow(pair.ana.handle)
    await pair.settle()
    ghost = await pair.clinic.by_handle("bea", LAB)
    assert ghost is not None

    def forget(tx: Tx) -> None:
        relations.delete_follow(tx, ghost.id, pair.ana.id)

    await pair.clinic.write(forget)
    pair.world.clock.forward(120_000)
    await pair.shared("who is listening?")
    assert (await pair.ben.relationship(pair.ana.handle))["following"]
    assert not (await pair.bea.relationship(pair.ana.handle))["following"]
    headers = pair.world.internet.to(LAB, "POST")[-1].headers
    assert "collection-synchronization" in {name.lower() for name in headers}
    made = await pair.lab.read(relations.follow, pair.ben.id, (await _known(pair.lab, pair.ana.iri)))
    assert made is not None and made.state is FollowState.ACCEPTED


async def _known(org: Org, iri: str) -> Any:
    actor = await org.actor(iri)
    assert actor is not None
    return actor.id


@pytest.mark.spec("R67", "R54")
@pytest.mark.parametrize("wish", ['sig1=("@method" "@target-uri");created;keyid="x"', "", ",;=(((", "\xff" * 500])
async def test_a_peer_that_wishes_for_a_certain_signature(pair: Pair, wish: str) -> None:
    pair.world.internet.answer(LAB, 401, b"sign it otherwise", {"Accept-Signature": wish}, times=1)
    assert (await pair.ana.find(pair.ben.iri))["acct"] == "ben@lab.example"
    tries = [s.headers for s in pair.world.internet.to(LAB, "GET") if s.url == pair.ben.iri]
    assert ["signature-input" in headers for headers in tries] == [False, True]


def test_the_clock_moves() -> None:
    clock = MovingClock()
    before = clock()
    clock.forward(1000)
    assert clock() >= before + 1000
