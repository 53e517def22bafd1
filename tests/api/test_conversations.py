"""Conversations: direct posts of one thread among the same people; whoever is not in one does not know of it."""

from __future__ import annotations

import httpx

from fedishare.model.ids import Iri
from fedishare.model.posts import RemotePost, Visibility
from fedishare.services import posts
from fedishare.services.site import Site
from fedishare.store import actors
from fedishare.store.db import Tx
from tests.api import mastodon
from tests.api.test_entities import as_documented
from tests.support.instances import House
from tests.support.world import Person, plain

AT = "/api/v1/conversations"
MISSING = {"error": "Record not found"}


async def listed(person: Person) -> list[tuple[list[str], str | None, bool]]:
    """(who, last text, unread) of each conversation."""
    found = as_documented(await person.client.get(AT), list[mastodon.Conversation])
    bodies = await person.get(AT)
    texts = [plain(each["last_status"]) if each["last_status"] else None for each in bodies]
    return [(sorted(a.acct for a in each.accounts), text, each.unread) for each, text in zip(found, texts, strict=True)]


async def test_who_writes_to_whom_is_in_a_conversation(both: House) -> None:
    ana, ben, cy = both.ana, both.ben, both.cy
    first = await ana.say("@ben one", visibility="direct")
    await ana.say("@ben in public")
    assert await listed(ana) == [(["ben"], "@ben one", False)]
    assert await listed(ben) == [(["ana"], "@ben one", True)] and await listed(cy) == []
    answer = await ben.reply(first["uri"], "@ana two", visibility="direct")
    assert await listed(ben) == [(["ana"], "@ana two", False)]
    assert await listed(ana) == [(["ben"], "@ana two", True)]
    await ana.say("@ben @cy all of us", visibility="direct")
    await ana.say("note to myself", visibility="direct")
    assert await listed(ana) == [
        (["ana"], "note to myself", False), (["ben", "cy"], "@ben @cy all of us", False), (["ben"], "@ana two", True),
    ]  # fmt: skip
    assert await listed(cy) == [(["ana", "ben"], "@ben @cy all of us", True)]

    page = await ana.client.get(AT, params={"limit": 1})
    older = httpx.URL(page.links["next"]["url"])
    assert older.params["max_id"] == page.json()[0]["last_status"]["id"], "pages are counted in last statuses"
    rest = [plain(each["last_status"]) for each in (await ana.client.get(older)).json()]
    assert rest == ["@ben @cy all of us"]
    direct = await ana.get("/api/v1/timelines/direct")
    assert [plain(each) for each in direct] == ["note to myself", "@ben @cy all of us", "@ana two", "@ben one"]
    assert [plain(each) for each in await cy.get("/api/v1/timelines/direct")] == ["@ben @cy all of us"]

    at = f"{AT}/{(await ana.get(AT))[2]['id']}"
    for method, path in (("POST", f"{at}/read"), ("POST", f"{at}/unread"), ("DELETE", at), ("POST", f"{AT}/x/read")):
        refused = await ben.client.request(method, path)
        assert (refused.status_code, refused.json()) == (404, MISSING), path
    assert as_documented(await ana.client.post(f"{at}/read"), mastodon.Conversation).unread is False
    assert as_documented(await ana.client.post(f"{at}/unread"), mastodon.Conversation).unread is True
    assert await ana.do(at, 200, "DELETE") == {} and len(await listed(ana)) == 2
    assert (await ana.client.delete(at)).status_code == 404
    assert len(await listed(ben)) == 2, "everybody has a list of their own"
    assert (await ana.client.get(f"/api/v1/statuses/{answer['id']}")).status_code == 200, "posts stay"
    await ben.reply(answer["uri"], "@ana three", visibility="direct")
    assert (await listed(ana))[0] == (["ben"], "@ana three", True)


async def test_deletions_edits_blocks_and_suspensions_show(both: House) -> None:
    ana, ben, cy = both.ana, both.ben, both.cy
    zoe = await both.guest("zoe")
    first = await both.said(zoe, "one", to=[ana.iri], visibility=Visibility.DIRECT)
    second = await both.said(zoe, "two", to=[ana.iri], visibility=Visibility.DIRECT, answers=str(first.iri))
    assert await listed(ana) == [(["zoe@lab.example"], "two", True)]
    await both.org.write(posts.receive_removal, zoe.iri, second.iri)
    assert await listed(ana) == [(["zoe@lab.example"], "one", True)]
    await both.org.write(posts.receive_removal, zoe.iri, first.iri)
    assert await listed(ana) == []
    said = await ben.say("@ana hello", visibility="direct")
    await ben.edit(said, "@ana @cy hello")
    assert await listed(cy) == [(["ana", "ben"], "@ana @cy hello", True)]
    assert await listed(ana) == [(["ben"], "@ana @cy hello", True)], "an edit makes no second one"
    await ana.do(f"/api/v1/accounts/{ben.id}/block")
    assert await listed(ana) == [] and await ana.get("/api/v1/timelines/direct") == []
    await ben.say("@ana are you there", visibility="direct")
    assert await listed(ana) == []
    await cy.do(f"/api/v1/accounts/{ben.id}/mute")
    await ben.say("@cy psst", visibility="direct")
    assert len(await listed(cy)) == 1


def late(tx: Tx, site: Site, remote: RemotePost) -> None:
    """The parent arrives after its answer."""
    author = actors.by_iri(tx, remote.author)
    assert author is not None
    posts.receive(tx, site, author, remote)


async def test_a_parent_that_comes_late_joins_the_conversation(both: House) -> None:
    ana, zoe = both.ana, await both.guest("zoe")
    parent = "https://lab.example/users/zoe/statuses/parent"
    await both.said(zoe, "answer", to=[ana.iri], visibility=Visibility.DIRECT, answers=parent)
    await both.said(zoe, "another", to=[ana.iri], visibility=Visibility.DIRECT, answers=parent)
    assert len(await listed(ana)) == 2
    first = await both.said(zoe, "unrelated", to=[ana.iri], visibility=Visibility.DIRECT)
    remote = RemotePost(
        Iri(parent), parent, zoe.iri, first.kind, Visibility.DIRECT, first.content, first.published,
        None, None, mention_iris=(Iri(ana.iri),),
    )  # fmt: skip
    await both.org.write(late, both.site, remote)
    found = [who for who, _, _ in await listed(ana)]
    assert found == [["zoe@lab.example"]] * 2, "the thread is one now, and the unrelated one stays"
    assert len(await ana.get("/api/v1/timelines/direct")) == 4
