"""Notifications: every one once, in groups that a walk neither loses nor repeats; what is kept apart until accepted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from fedishare.model.actors import Actor, ActorState
from fedishare.model.ids import Iri, Millis
from fedishare.model.posts import Poll, PollOption, Post, PostKind, RemotePost, Visibility
from fedishare.services import accounts, interactions, posts
from fedishare.services.site import Site
from fedishare.store import actors
from fedishare.store.db import Tx, sql
from tests.api import mastodon
from tests.api.test_entities import as_documented
from tests.support.instances import House, house
from tests.support.world import Json, Person

ONE, MANY = "/api/v1/notifications", "/api/v2/notifications"
MISSING = {"error": "Record not found"}
HOUR = 3_600_000


async def groups(person: Person, **params: Any) -> mastodon.GroupedNotifications:
    return as_documented(await person.client.get(MANY, params=params), mastodon.GroupedNotifications)


async def likes(home: House, status: Json, *people: Actor) -> None:
    """Partners' people like a post of ours."""
    for guest in people:
        await home.org.write(interactions.receive_favourite, guest, None, Iri(status["uri"]))


async def test_what_belongs_together_is_one_group(both: House) -> None:
    ana, ben = both.ana, both.ben
    guests = [await both.guest(f"guest{n}") for n in range(10)]
    first, second = [await ana.say(text, reach="partners") for text in ("first", "second")]
    await likes(both, first, *guests)
    await likes(both, second, *guests[:2])
    for guest in guests[:3]:
        await both.followed(guest, ana)
    await ben.say("@ana hello")
    await ben.do(f"/api/v1/statuses/{first['id']}/reblog")
    found = await groups(ana)
    assert [(g.type, g.notifications_count) for g in found.notification_groups] == [
        ("reblog", 1), ("mention", 1), ("follow", 3), ("favourite", 2), ("favourite", 10),
    ]  # fmt: skip
    assert found.notification_groups[2].status_id is UNSET and found.partial_accounts is UNSET
    many = found.notification_groups[-1]
    assert many.group_key.startswith(f"favourite-{first['id']}-") and many.status_id == first["id"]
    assert many.sample_account_ids == [str(g.id) for g in guests[:1:-1]], "the eight newest"
    assert sorted(a.id for a in found.accounts) == sorted({str(both.ben.id), *(str(g.id) for g in guests)})
    assert sorted(s.id for s in found.statuses) == sorted(
        {first["id"], second["id"], *(str(g.status_id) for g in found.notification_groups if g.type == "mention")}
    )
    few = await groups(ana, expand_accounts="partial_avatars", types="favourite")
    assert [a.id for a in few.accounts] == [str(guests[1].id), str(guests[9].id)]
    assert few.partial_accounts is not UNSET
    assert {a.id for a in few.partial_accounts} == {str(g.id) for g in (guests[0], *guests[2:9])}
    assert (await ana.client.get(MANY, params={"expand_accounts": "x"})).status_code == 422
    alone = await groups(ana, **{"grouped_types[]": "follow"})
    assert [g.notifications_count for g in alone.notification_groups] == [1, 1, 3, *[1] * 12]
    assert {g.group_key.partition("-")[0] for g in alone.notification_groups if g.type == "favourite"} == {"ungrouped"}

    at = f"{MANY}/{many.group_key}"
    one = as_documented(await ana.client.get(at), mastodon.GroupedNotifications)
    assert [(g.group_key, g.notifications_count) for g in one.notification_groups] == [(many.group_key, 10)]
    people = await ana.client.get(f"{at}/accounts", params={"limit": 6})
    rest = await ana.client.get(people.links["next"]["url"])
    listed = [*as_documented(people, list[mastodon.Account]), *as_documented(rest, list[mastodon.Account])]
    assert [a.id for a in listed] == [str(g.id) for g in guests[::-1]]
    mention = found.notification_groups[1].group_key
    single = as_documented(await ana.client.get(f"{MANY}/{mention}"), mastodon.GroupedNotifications)
    assert [a.acct for a in single.accounts] == ["ben"]
    for key in (many.group_key, mention, "ungrouped-7", "ungrouped-x", "favourite-1-2", "%00", "x" * 999):
        for path in (f"{MANY}/{key}", f"{MANY}/{key}/accounts"):
            answer = await ben.client.get(path)
            assert (answer.status_code, answer.json()) == (404, MISSING), path
        if key not in ("ungrouped-x", "%00", "x" * 999):
            assert await ben.do(f"{MANY}/{key}/dismiss") == {}, "there is nothing of that name, as far as ben can tell"
    assert len((await groups(ana)).notification_groups) == 5
    for key in (many.group_key, mention):
        assert await ana.do(f"{MANY}/{key}/dismiss") == {}
    assert [g.type for g in (await groups(ana)).notification_groups] == ["reblog", "follow", "favourite"]
    assert len(await ana.get(ONE)) == 1 + 3 + 2


async def test_a_group_takes_what_comes_within_twelve_hours(home: House) -> None:
    status = await home.ana.say("look", reach="partners")
    for n, hours in enumerate((0, 11, 2, 11)):
        home.world.clock.forward(hours * HOUR)
        await likes(home, status, await home.guest(f"guest{n}"))
    found = (await groups(home.ana)).notification_groups
    assert [g.notifications_count for g in found] == [2, 2]
    assert len({g.group_key for g in found}) == 2
    newest = await home.ana.get(f"{ONE}?limit=1")
    assert newest[0]["group_key"] == found[0].group_key and newest[0]["id"] == found[0].page_max_id


async def test_parameters_and_counts(home: House) -> None:
    ana, ben, cy = home.ana, home.ben, home.cy
    await home.friends()
    await ben.say("@ana one")
    await cy.say("@ana two")
    await cy.do(f"/api/v1/statuses/{(await ana.say('mine'))['id']}/favourite")

    async def kinds(**params: Any) -> list[str]:
        answer = await ana.client.get(ONE, params=params)
        return [n.type for n in as_documented(answer, list[mastodon.Notification])]

    assert await kinds() == ["favourite", "mention", "mention", "follow", "follow"]
    assert await kinds(**{"types[]": ["mention", "severed_relationships"]}) == ["mention", "mention"]
    assert await kinds(**{"exclude_types[]": ["mention", "follow"]}) == ["favourite"]
    assert await kinds(account_id=str(ben.id)) == ["mention", "follow"] and await kinds(account_id="7") == []
    assert await kinds(limit=2) == ["favourite", "mention"]
    every = [n["id"] for n in await ana.get(ONE)]
    assert [n["id"] for n in await ana.get(ONE, min_id=every[3], limit=1)] == [every[2]]
    assert (await ana.get(f"{ONE}/unread_count"), await ana.get(f"{MANY}/unread_count")) == ({"count": 5}, {"count": 4})
    await ana.do("/api/v1/markers", notifications={"last_read_id": every[3]})
    assert (await ana.get(f"{ONE}/unread_count"), await ana.get(f"{MANY}/unread_count")) == ({"count": 3}, {"count": 3})
    assert await ana.get(f"{ONE}/unread_count", limit=2, **{"types[]": "mention"}) == {"count": 2}
    assert await ben.do(f"{ONE}/{every[0]}/dismiss") == {} and len(await ana.get(ONE)) == 5, "not another's"
    assert await ana.do(f"{ONE}/{every[0]}/dismiss") == {} and len(await ana.get(ONE)) == 4
    assert await ana.do(f"{ONE}/dismiss", id=every[1]) == {} and len(await ana.get(ONE)) == 3
    assert await ana.do(f"{ONE}/dismiss", 422) and await ana.do(f"{ONE}/dismiss", 404, id="x")
    assert await ana.do(f"{ONE}/clear") == {} and await ana.get(ONE) == []


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from("abcdm"), st.integers(0, 5)), max_size=25), st.integers(1, 4))
async def test_a_walk_by_groups_meets_each_once(tmp_path_factory: Any, made: list[tuple[str, int]], size: int) -> None:
    folder: Path = tmp_path_factory.mktemp("walk")
    async with house(folder) as home:
        said = {name: await home.ana.say(name, reach="partners") for name in "abcd"}
        guests = [await home.guest(f"guest{n}") for n in range(6)]
        for what, who in made:
            if what == "m":
                await home.said(guests[who], "hello", to=[home.ana.iri])
            else:
                await likes(home, said[what], guests[who])
        whole = [g.group_key for g in (await groups(home.ana, limit=80)).notification_groups]
        members = {n["id"]: n["group_key"] for n in await home.ana.get(ONE, limit=80)}
        assert set(whole) == set(members.values()) and len(whole) == len(set(whole))
        for first, rel in ((f"{MANY}?limit={size}", "next"), (f"{MANY}?limit={size}&min_id=1", "prev")):
            met: list[str] = []
            url: str | None = first
            while url is not None:
                answer = await home.ana.client.get(url)
                page = as_documented(answer, mastodon.GroupedNotifications).notification_groups
                for group in page:
                    inside = sorted(int(i) for i, key in members.items() if key == group.group_key)
                    assert group.notifications_count == len(inside)
                    assert int(group.page_max_id) == group.most_recent_notification_id == inside[-1]
                    floor = int(page[-1].page_max_id) if len(page) == size else 0
                    assert int(group.page_min_id) == min(i for i in inside if i >= floor) or rel == "prev"
                keys = [group.group_key for group in page]
                met = [*met, *keys] if rel == "next" else [*keys, *met]
                url = answer.links[rel]["url"] if page else None
            assert met == whole


async def test_strangers_wait_until_they_are_accepted(both: House) -> None:
    ana, zoe, eve = both.ana, await both.guest("zoe"), await both.guest("eve", "ward.example")
    policy = as_documented(await ana.client.get(f"{MANY}/policy"), mastodon.NotificationPolicy)
    assert (policy.for_not_following, policy.for_private_mentions, policy.for_limited_accounts) == (
        "accept", "accept", "filter",
    )  # fmt: skip
    changed = await ana.client.patch(f"{MANY}/policy", json={"for_not_following": "filter"})
    assert as_documented(changed, mastodon.NotificationPolicy).for_not_following == "filter"
    refused = await ana.client.patch(f"{MANY}/policy", json={"for_new_accounts": "perhaps"})
    assert refused.status_code == 422 and "not included in the list" in refused.json()["error"]
    mine = await ana.say("mine", reach="partners")
    said = await both.said(zoe, "hello", to=[ana.iri], visibility=Visibility.DIRECT)
    await likes(both, mine, zoe)
    await both.said(eve, "buy", to=[ana.iri])
    await both.ben.say("@ana colleague")
    assert await ana.get(ONE) == [] and (await groups(ana)).notification_groups == []
    assert await ana.get("/api/v1/conversations") == [] and await ana.get(f"{ONE}/unread_count") == {"count": 0}
    kept = await ana.get(ONE, include_filtered="true")
    assert {(n["type"], n["filtered"]) for n in kept} == {("mention", True), ("favourite", True)} and len(kept) == 4
    summary = as_documented(await ana.client.get(f"{MANY}/policy"), mastodon.NotificationPolicy).summary
    assert (summary.pending_requests_count, summary.pending_notifications_count) == (3, 4)
    assert (await ana.get(f"{ONE}/policy"))["filter_not_following"] is True
    asked = f"{ONE}/requests"
    found = as_documented(await ana.client.get(asked), list[mastodon.NotificationRequest])
    assert [(r.account.acct, r.notifications_count) for r in found] == [
        ("ben", "1"), ("eve@ward.example", "1"), ("zoe@lab.example", "2"),
    ]  # fmt: skip
    assert found[2].last_status is not None and found[2].last_status.id in (str(said.id), mine["id"])
    paged = await ana.client.get(asked, params={"limit": 2})
    assert [r["id"] for r in (await ana.client.get(paged.links["next"]["url"])).json()] == [found[2].id]
    at = f"{asked}/{found[2].id}"
    assert as_documented(await ana.client.get(at), mastodon.NotificationRequest) == found[2]
    for method, path in (("GET", at), ("POST", f"{at}/accept"), ("POST", f"{at}/dismiss")):
        answer = await both.cy.client.request(method, path)
        assert (answer.status_code, answer.json()) == (404, MISSING), path
    both_ids = {"id": [found[0].id, found[2].id]}
    assert (await both.cy.client.post(f"{asked}/accept", json=both_ids)).status_code == 404
    assert await ana.do(f"{asked}/accept", **both_ids) == {}
    assert await ana.get(f"{asked}/merged") == {"merged": True}
    assert sorted(await ana.notifications()) == sorted(
        [("mention", "ben"), ("mention", "zoe@lab.example"), ("favourite", "zoe@lab.example")]
    )
    (conversation,) = await ana.get("/api/v1/conversations")
    assert conversation["last_status"]["id"] == str(said.id)
    assert (await ana.client.get(at)).status_code == 404
    await both.said(zoe, "again", to=[ana.iri])
    assert (await ana.notifications())[0] == ("mention", "zoe@lab.example"), "accepted for good"
    assert (await both.cy.client.post(f"{asked}/dismiss", json={"id": [found[1].id]})).status_code == 404
    assert await ana.do(f"{asked}/dismiss", id=[found[1].id]) == {} and await ana.get(asked) == []
    assert len(await ana.get(ONE, include_filtered="true")) == 4
    await ana.do(f"{ONE}/policy", 200, "PUT", filter_not_following=False)
    assert (await ana.get(f"{MANY}/policy"))["for_not_following"] == "accept"
    await ana.do(f"{MANY}/policy", 200, "PUT", for_new_accounts="drop")
    await both.said(eve, "new", to=[ana.iri])
    assert len(await ana.get(ONE, include_filtered="true")) == 4, "dropped"


async def test_limited_accounts_wait_and_suspended_ones_are_gone(home: House) -> None:
    ana, zoe = home.ana, await home.guest("zoe")
    await home.org.write(actors.set_state, zoe.id, ActorState.LIMITED)
    await home.said(zoe, "hello", to=[ana.iri])
    assert await ana.notifications() == [] and len(await ana.get(f"{ONE}/requests")) == 1
    await home.org.write(actors.set_state, zoe.id, ActorState.SUSPENDED)
    assert await ana.get(f"{ONE}/requests") == [] == await ana.get(ONE, include_filtered="true")


LEFT = sql(
    "test_left_of_account",
    """SELECT (SELECT count(*) FROM notification WHERE owner_id = :owner),
        (SELECT count(*) FROM notification_policy WHERE owner_id = :owner),
        (SELECT count(*) FROM notification_permission WHERE owner_id = :owner),
        (SELECT count(*) FROM notification_request WHERE owner_id = :owner),
        (SELECT count(*) FROM filter WHERE owner_id = :owner), (SELECT count(*) FROM filter_keyword),
        (SELECT count(*) FROM filter_revision WHERE owner_id = :owner),
        (SELECT count(*) FROM conversation WHERE owner_id = :owner),
        (SELECT count(*) FROM conversation_post WHERE owner_id = :owner)""",
)


async def test_nothing_of_it_is_left_of_a_deleted_account(both: House) -> None:
    ana, zoe = both.ana, await both.guest("zoe")
    keywords = [{"keyword": "x"}]
    await ana.do("/api/v2/filters", title="x", context=["home"], keywords_attributes=keywords)
    await both.ben.say("@ana hello", visibility="direct")
    await ana.do(f"{MANY}/policy", 200, "PATCH", for_not_following="filter")
    for text in ("one", "two"):
        await both.said(zoe, text, to=[ana.iri])
        asked = await ana.get(f"{ONE}/requests")
        if text == "one":
            await ana.do(f"{ONE}/requests/{asked[0]['id']}/accept")
    await both.said(await both.guest("eve"), "three", to=[ana.iri])
    assert all((await both.org.all(LEFT, owner=ana.id))[0])
    await both.org.write(accounts.delete, await both.org.by_handle("ana"), "test")
    assert not any((await both.org.all(LEFT, owner=ana.id))[0])
    assert await both.ben.get("/api/v1/conversations") != [], "what others have of it stays theirs"


async def test_threads_people_and_domains_that_are_muted_stay_quiet(home: House) -> None:
    ana, ben = home.ana, home.ben
    said = await ana.say("@ben a thread")
    await ana.do(f"/api/v1/statuses/{said['id']}/mute")
    await ben.say("@ana in it", in_reply_to_id=said["id"])
    await ben.do(f"/api/v1/statuses/{said['id']}/favourite")
    assert await ana.notifications() == []
    await ben.say("@ana elsewhere")
    assert await ana.notifications() == [("mention", "ben")]
    await ana.do(f"/api/v1/accounts/{ben.id}/block")
    assert await ana.notifications() == []


async def test_the_end_of_a_poll_is_told_once_to_author_and_voters(home: House) -> None:
    ana, ben, cy = home.ana, home.ben, home.cy
    zoe, clock = await home.guest("zoe"), home.world.clock
    asked = await ana.say("which?", poll={"options": ["a", "b"], "expires_in": 300})
    options = (PollOption("a"), PollOption("b"))
    theirs = await home.said(zoe, "or?", poll=Poll(options, ends_at=Millis(clock() + 600_000)))
    await home.said(zoe, "?", poll=Poll(options, ends_at=Millis(clock() + 500_000)))
    await ben.do(f"/api/v1/polls/{asked['id']}/votes", choices=[0])
    for person in (ben, cy):
        await person.do(f"/api/v1/polls/{theirs.id}/votes", choices=[1])
    await home.world.settle()
    assert await ana.notifications() == await ben.notifications() == []

    async def later(seconds: int) -> None:
        clock.forward(1000 * seconds)
        home.org.server.worker.wake()
        await home.world.settle()

    await later(301)
    assert await ana.notifications() == [("poll", "ana")] and await ben.notifications() == [("poll", "ana")]
    (told,) = await ben.get(ONE)
    assert told["status"]["id"] == asked["id"] and told["status"]["poll"]["expired"] is True
    await later(301)
    assert await ben.notifications() == [("poll", "zoe@lab.example"), ("poll", "ana")]
    assert await cy.notifications() == [("poll", "zoe@lab.example")]
    assert await ana.notifications() == [("poll", "ana")], "nobody here voted in the third"
    await ben.do(f"{ONE}/clear")
    await later(3600)
    assert await ben.notifications() == []


def closes(tx: Tx, site: Site, author: Actor, post: Post, poll: Poll) -> None:
    """A partner says that its poll is over."""
    content = replace(post.content, poll=poll)
    remote = RemotePost(
        post.iri, post.url, author.iri, PostKind.QUESTION, post.visibility, content, post.published, None, None
    )
    posts.receive_edit(tx, site, author, remote)


async def test_a_poll_that_moves_or_closes_early_is_told_at_that_time(home: House) -> None:
    ana, zoe, clock = home.ana, await home.guest("zoe"), home.world.clock
    options = (PollOption("a"), PollOption("b"))
    poll = Poll(options, ends_at=Millis(clock() + 900_000))
    theirs = await home.said(zoe, "or?", poll=poll)
    await ana.do(f"/api/v1/polls/{theirs.id}/votes", choices=[1])
    mine = await ana.say("mine?", poll={"options": ["a", "b"], "expires_in": 300})
    longer = {"options": ["a", "b"], "expires_in": 3000}
    await ana.edit(mine, "mine?", poll=longer)
    closed = Poll(options, ends_at=poll.ends_at, closed_at=Millis(clock()))
    await home.org.write(closes, home.site, zoe, theirs, closed)
    await home.world.settle()
    assert await ana.notifications() == [("poll", "zoe@lab.example")]
    for seconds, expected in ((1000, 1), (2100, 2)):
        clock.forward(1000 * seconds)
        home.org.server.worker.wake()
        await home.world.settle()
        assert len(await ana.notifications()) == expected
