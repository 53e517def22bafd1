"""What people keep about each other: notes, endorsements, mutes, blocked domains; suggestions and the directory."""

from __future__ import annotations

from typing import Any

import msgspec

from fedishare.model.actors import ActorKind, ActorState, Profile
from fedishare.model.ids import Iri
from fedishare.services import relations as relation_services
from fedishare.store import actors, relations, streams
from tests.api import mastodon
from tests.support.instances import House
from tests.support.world import Person


def check(answer: Any, kind: Any) -> Any:
    """The answer is an entity of Mastodon's documentation."""
    return msgspec.convert(answer, kind)


class MutedAccount(mastodon.Account):
    """An account with the end of its mute."""

    mute_expires_at: mastodon.Moment | None


async def refused(person: Person, method: str, path: str, status: int, **body: Any) -> str:
    """Why a call is refused."""
    answer = await person.client.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    return str(answer.json()["error"])


async def test_notes_are_for_their_writer_alone(both: House) -> None:
    ana, ben = both.ana, both.ben
    at = f"/api/v1/accounts/{ben.id}/note"
    found = await ana.do(at, comment=" met at the congress\n")
    assert check(found, mastodon.Relationship).note == "met at the congress"
    seen = await ana.get("/api/v1/accounts/relationships", **{"id[]": str(ben.id)})
    assert seen[0]["note"] == "met at the congress"
    assert (await ana.do(f"/api/v1/accounts/{ben.id}/follow"))["note"] == "met at the congress", "everywhere"
    other = await ben.get("/api/v1/accounts/relationships", **{"id[]": str(ana.id)})
    assert other[0]["note"] == "", "and nobody else sees it"
    cys = await both.cy.get("/api/v1/accounts/relationships", **{"id[]": str(ben.id)})
    assert cys[0]["note"] == ""
    too_long = await refused(ana, "POST", at, 422, comment="x" * 2001)
    assert too_long == "Validation failed: Comment is too long (maximum is 2000 characters)"
    assert (await ana.do(at))["note"] == "", "nothing said takes it away"
    assert await refused(ana, "POST", "/api/v1/accounts/1/note", 404, comment="x") == "Record not found"
    weak = await both.client("ana", "read write:statuses")
    assert (await weak.post(at, json={"comment": "x"})).status_code == 403


async def test_one_recommends_whom_one_follows(home: House) -> None:
    ana, ben = home.ana, home.ben
    at = f"/api/v1/accounts/{ben.id}"
    assert "already following" in await refused(ana, "POST", f"{at}/endorse", 422)
    await ana.do(f"{at}/follow")
    assert (await ana.do(f"{at}/endorse"))["endorsed"] is True
    for listed in (await ana.get("/api/v1/endorsements"), await home.cy.get(f"/api/v1/accounts/{ana.id}/endorsements")):
        assert [check(a, mastodon.Account).acct for a in listed] == ["ben"]
    assert await ben.get("/api/v1/endorsements") == []
    assert (await ana.do(f"{at}/unpin"))["endorsed"] is False, "the older name means the same"
    assert (await ana.do(f"{at}/pin"))["endorsed"] is True
    assert (await ana.do(f"{at}/unendorse"))["endorsed"] is False and await ana.get("/api/v1/endorsements") == []
    assert (await ana.do(f"{at}/endorse"))["endorsed"] is True
    await ana.do(f"{at}/unfollow")
    assert await ana.get("/api/v1/endorsements") == [], "whom one follows no more, one recommends no more"
    assert await ana.get(f"{at}/identity_proofs") == []
    assert (await ana.client.get("/api/v1/accounts/1/identity_proofs")).status_code == 404


async def test_a_mute_ends_by_itself(both: House) -> None:
    ana, ben = both.ana, both.ben
    await ana.do(f"/api/v1/accounts/{ben.id}/follow")
    await ben.say("loud")
    assert (await ana.do(f"/api/v1/accounts/{ben.id}/mute", duration=60))["muting"] is True
    (muted,) = await ana.get("/api/v1/mutes")
    assert check(muted, MutedAccount).mute_expires_at is not None
    assert await ana.texts() == [] and await ben.get("/api/v1/mutes") == []
    await ben.say("@ana nobody hears this")
    assert await ana.notifications() == []
    both.world.clock.forward(61_000)
    # Nothing has swept up yet: what is read knows the time.
    assert await ana.get("/api/v1/mutes") == []
    (now,) = await ana.get("/api/v1/accounts/relationships", **{"id[]": str(ben.id)})
    assert (now["muting"], now["muting_notifications"], now["muting_expires_at"]) == (False, False, None)
    assert await ana.texts() == ["@ana nobody hears this", "loud"]
    await ben.say("@ana and this?")
    assert await ana.notifications() == [("mention", "ben")]
    assert await both.org.write(relations.prune_mutes) == 1 and await both.org.write(relations.prune_mutes) == 0
    await ana.do(f"/api/v1/accounts/{ben.id}/mute", notifications=False)
    assert check((await ana.get("/api/v1/mutes"))[0], MutedAccount).mute_expires_at is None
    assert await both.org.write(relations.prune_mutes) == 0, "what has no end stays"
    await ben.say("@ana silent, but told")
    assert len(await ana.notifications()) == 2 and await ana.texts() == []


async def test_familiar_followers_are_those_i_follow_and_who_do_not_hide(home: House) -> None:
    ana, ben, cy = home.ana, home.ben, home.cy
    dee = await home.org.person("dee")
    for one, other in ((ana, ben), (ana, cy), (ben, dee), (cy, dee)):
        await one.do(f"/api/v1/accounts/{other.id}/follow")

    async def familiar() -> list[list[str]]:
        asked: Any = [("id[]", str(dee.id)), ("id[]", "1"), ("id[]", str(ben.id))]
        answer = await ana.client.get("/api/v1/accounts/familiar_followers", params=asked)
        assert [each["id"] for each in answer.json()] == [str(dee.id), "1", str(ben.id)]
        return [sorted(a["acct"] for a in each["accounts"]) for each in answer.json()]

    assert await familiar() == [["ben", "cy"], [], []]
    await ben.do("/api/v1/accounts/update_credentials", 200, "PATCH", hide_collections=True)
    assert await familiar() == [["cy"], [], []], "ben does not show whom he follows"
    await dee.do("/api/v1/accounts/update_credentials", 200, "PATCH", hide_collections=True)
    assert await familiar() == [[], [], []], "dee does not show who follows"
    weak = await home.client("ana", "read:accounts")
    assert (await weak.get("/api/v1/accounts/familiar_followers")).status_code == 403


async def test_a_blocked_domain_is_gone_from_sight(both: House) -> None:
    ana, ben = both.ana, both.ben
    zoe, kim, uma = await both.guest("zoe"), await both.guest("kim", "ward.example"), await both.guest("uma")
    await both.org.write(_follows, both, ana.id, zoe.id)
    await both.org.write(_follows, both, ana.id, kim.id)
    await both.followed(zoe, ana)
    await both.said(uma, "open", hashtags=("lab",))
    followed = await both.said(zoe, "for you", to=[ana.iri])
    await both.said(kim, "from the ward", hashtags=("lab",))
    boosted = await both.said(uma, "again")
    await ana.do(f"/api/v1/accounts/{ben.id}/follow")
    await ben.do(f"/api/v1/statuses/{boosted.id}/reblog")
    preview = await ana.get("/api/v1/domain_blocks/preview", domain="LAB.example")
    assert preview == {"following_count": 1, "followers_count": 1}
    assert await sights(ana) == {"home": 3, "public": 4, "tag": 2, "notes": 2}
    assert await ana.do("/api/v1/domain_blocks", domain="Lab.Example") == {}
    assert await sights(ana) == {"home": 1, "public": 1, "tag": 1, "notes": 0}, "also boosts, also notifications"
    assert await ana.do("/api/v1/domain_blocks", domain="lab.example") == {}, "twice is once"
    assert await ana.get("/api/v1/domain_blocks") == ["lab.example"] and await ben.get("/api/v1/domain_blocks") == []
    (now,) = await ana.get("/api/v1/accounts/relationships", **{"id[]": str(zoe.id)})
    assert (now["domain_blocking"], now["following"], now["followed_by"]) == (True, False, False)
    assert (await ana.get(f"/api/v1/statuses/{followed.id}"))["id"] == str(followed.id), "an address still opens"
    await both.said(zoe, "again for you", to=[ana.iri])
    assert (await sights(ana))["notes"] == 0
    live = await both.said(uma, "and live")
    heard = await both.org.read(streams.hearers, live.id, [ana.id, ben.id])
    assert heard.unwanted == {ana.id}, "nor do open streams carry it"
    assert "not allowed" in await refused(ana, "POST", f"/api/v1/accounts/{zoe.id}/follow", 403)
    await both.followed(zoe, ana)
    assert await ana.get(f"/api/v1/accounts/{ana.id}/followers") == [], "whoever asks from there is refused"
    assert len(await ben.get("/api/v1/timelines/public")) == 6, "ben sees everything"
    answer = await ana.client.request("DELETE", "/api/v1/domain_blocks", json={"domain": "lab.example"})
    assert answer.json() == {} and await ana.get("/api/v1/domain_blocks") == []
    assert (await sights(ana))["public"] == 6


def _follows(tx: Any, house: House, one: Any, other: Any) -> None:
    follower = actors.by_id(tx, one)
    assert follower is not None
    relation_services.accept(tx, relation_services.follow(tx, house.site, follower, other))


async def sights(person: Person) -> dict[str, int]:
    """How much somebody finds where."""
    home, public = await person.get("/api/v1/timelines/home"), await person.get("/api/v1/timelines/public")
    tag = await person.get("/api/v1/timelines/tag/lab")
    return {"home": len(home), "public": len(public), "tag": len(tag), "notes": len(await person.notifications())}


async def test_only_domains_are_blocked_and_lists_have_pages(home: House) -> None:
    ana = home.ana
    assert await refused(ana, "POST", "/api/v1/domain_blocks", 422) == "Validation failed: Domain can't be blank"
    for wrong in ("a b", "10.0.0.1", "x" * 300, "\x00", "http://lab.example", "ana@lab.example"):
        said = await refused(ana, "POST", "/api/v1/domain_blocks", 422, domain=wrong)
        assert said == "Validation failed: Domain is not a valid domain name", wrong
    assert "own" in await refused(ana, "POST", "/api/v1/domain_blocks", 422, domain="home.example")
    for number in range(3):
        await ana.do("/api/v1/domain_blocks", domain=f"d{number}.example")
    first = await ana.client.get("/api/v1/domain_blocks", params={"limit": 2})
    assert first.json() == ["d2.example", "d1.example"]
    older = first.links["next"]["url"]
    assert (await ana.client.get(older)).json() == ["d0.example"]
    weak = await home.client("ana", "read:blocks write:mutes")
    assert (await weak.post("/api/v1/domain_blocks", json={"domain": "x.example"})).status_code == 403
    assert (await weak.get("/api/v1/domain_blocks")).status_code == 200


async def test_suggestions_come_from_friends_and_from_here(both: House) -> None:
    ana, ben, cy = both.ana, both.ben, both.cy
    people = {name: await both.org.person(name) for name in ("dee", "eve", "fay", "gus", "hal")}
    follows = [(ana, "ben"), (ana, "cy"), (ben, "dee"), (cy, "dee"), (ben, "eve"), (cy, "fay"), (ben, "hal")]
    named = {"ben": ben, "cy": cy, **people}
    for one, other in [*follows, (people["dee"], "gus")]:
        await one.do(f"/api/v1/accounts/{named[other].id}/follow")

    async def suggested() -> list[str]:
        v2 = await ana.get("/api/v2/suggestions")
        assert [s["account"]["acct"] for s in v2] == [a["acct"] for a in await ana.get("/api/v1/suggestions")]
        return [s["account"]["acct"] for s in v2]

    found = [check(each, mastodon.Suggestion) for each in await ana.get("/api/v2/suggestions")]
    assert [s.account.acct for s in found] == ["dee", "eve", "fay", "hal", "gus"], "by how many friends follow them"
    assert (found[0].source, found[0].sources) == ("past_interactions", ["friends_of_friends", "most_followed"])
    assert (found[-1].source, found[-1].sources) == ("global", ["most_followed"])
    assert len(await ana.get("/api/v2/suggestions", limit="2")) == 2
    assert (await ana.client.delete(f"/api/v1/suggestions/{people['dee'].id}")).json() == {}
    assert await suggested() == ["eve", "fay", "hal", "gus"]
    assert "dee" in [a["acct"] for a in await people["gus"].get("/api/v1/suggestions")], "dismissed by ana alone"
    await people["eve"].do("/api/v1/accounts/update_credentials", 200, "PATCH", discoverable=False)
    await ana.do(f"/api/v1/accounts/{people['fay'].id}/mute")
    await people["hal"].do(f"/api/v1/accounts/{ana.id}/block")
    assert await suggested() == ["gus"]
    await ana.do(f"/api/v1/accounts/{people['gus'].id}/follow")
    assert await suggested() == []
    weak = await both.client("ana", "write:statuses")
    assert (await weak.get("/api/v2/suggestions")).status_code == 403


async def test_the_directory_lists_who_wants_to_be_found(both: House) -> None:
    ana, ben, cy = both.ana, both.ben, both.cy
    zoe = await both.guest("zoe")
    await both.said(zoe, "first")
    await ben.say("then")

    async def listed(**params: str) -> list[str]:
        return [check(a, mastodon.Account).acct for a in await ana.get("/api/v1/directory", **params)]

    assert await listed(order="new") == ["zoe@lab.example", "cy", "ben", "ana"]
    assert await listed() == ["ben", "zoe@lab.example", "cy", "ana"], "who posted last comes first"
    assert await listed(order="new", local="true") == ["cy", "ben", "ana"]
    assert await listed(order="new", limit="1", offset="1") == ["cy"]
    await cy.do("/api/v1/accounts/update_credentials", 200, "PATCH", discoverable=False)
    await ana.do("/api/v1/domain_blocks", domain="lab.example")
    await ana.do(f"/api/v1/accounts/{ben.id}/block")
    assert await listed() == ["ana"]
    assert "zoe@lab.example" in [a["acct"] for a in await ben.get("/api/v1/directory")]
    assert "ana" not in [a["acct"] for a in await ben.get("/api/v1/directory")], "nor whom one was blocked by"
    await both.org.write(actors.set_state, zoe.id, ActorState.SUSPENDED)
    assert [a["acct"] for a in await cy.get("/api/v1/directory", order="new")] == ["ben", "ana"]
    await both.org.write(actors.set_profile, ben.id, ActorKind.PERSON, Profile(moved_to=Iri(ana.iri)))
    assert [a["acct"] for a in await cy.get("/api/v1/directory", order="new")] == ["ana"], "nor who has moved away"
    assert "active or new" in await refused(ana, "GET", "/api/v1/directory?order=x", 422)
