"""Search as apps see it: found at once, by words and operators, and nothing that one may not read."""

from __future__ import annotations

from typing import Any

from fedishare.model.posts import Attachment, Poll, PollOption, Visibility
from tests.support.instances import House


async def hits(person: Any, text: str, **params: Any) -> list[str]:
    """The texts that are found, newest first."""
    found = await person.get("/api/v2/search", q=text, type="statuses", **params)
    return [status["id"] for status in found["statuses"]]


async def test_words_and_operators(both: House) -> None:
    ana, ben = both.ana, both.ben
    one = await ana.say("Meet in Zürich #Open_Data @ben", language="de")
    two = await ben.say("the answer is zurich", in_reply_to_id=one["id"])
    three = await ana.say("vote", poll={"options": ["tea", "coffee"], "expires_in": 3600}, spoiler_text="breakfast")
    zoe = await both.guest("zoe")
    picture = Attachment("https://lab.example/p.png", "image/png", "image", "a centrifuge")
    four = await both.said(zoe, 'see <a href="https://x.example/">here</a>', attachments=(picture,))
    ids = {1: one["id"], 2: two["id"], 3: three["id"], 4: str(four.id)}
    for text, expected in (
        ("zurich", (2, 1)), ("ZÜRICH", (2, 1)), ("#open_data", (1,)), ("open data", (1,)), ('"data open"', ()),
        ("zurich -answer", (1,)), ("zurich from:me", (2,)), ("zurich -from:me", (1,)), ("from:ana", (3, 1)),
        ("from:@zoe@lab.example", (4,)), ("from:nobody", ()), ("coffee", (3,)), ("breakfast", (3,)),
        ("centrifuge", (4,)), ("has:image", (4,)), ("has:media has:link", (4,)), ("has:poll", (3,)),
        ("has:video", ()), ("is:reply", (2,)), ("is:sensitive", (3,)), ("language:de zurich", (1,)),
        ("zurich after:2000-01-01", (2, 1)), ("zurich before:2000-01-01", ()), ("in:library zurich", (2, 1)),
        ("-in:library from:zoe@lab.example", (4,)), ("in:public vote", (3,)), ("has:cats", ()),
    ):  # fmt: skip
        assert await hits(ben, text) == [ids[n] for n in expected], text
    assert await hits(ben, "zurich", account_id=str(ana.id)) == [ids[1]]
    assert await hits(ben, "zurich", limit=1) == [ids[2]] and await hits(ben, "zurich", offset=1) == [ids[1]]
    assert await hits(ben, "zurich", max_id=ids[2]) == [ids[1]] and await hits(ben, "zurich", min_id=ids[1]) == [ids[2]]
    # An edit and a deletion count at once.
    await ana.edit(one, "Meet in Bern")
    assert await hits(ben, "zurich from:ana") == [] and await hits(ben, "bern") == [ids[1]]
    await ana.delete(one)
    assert await hits(ben, "bern") == []


async def test_only_what_one_may_read_is_found(both: House) -> None:
    ana, ben, cy = both.ana, both.ben, both.cy
    await ben.do(f"/api/v1/accounts/{ana.id}/follow")
    said = {
        word: await ana.say(f"secret {word} #{word}", visibility=word) for word in ("public", "unlisted", "private")
    }
    direct = await ana.say("@cy secret direct #hidden", visibility="direct")
    zoe = await both.guest("zoe")
    theirs = await both.said(zoe, "secret of a partner", visibility=Visibility.PRIVATE)
    for person, words in ((ana, ("private", "unlisted", "public")), (ben, ("private", "unlisted", "public")),
                          (cy, ("unlisted", "public"))):  # fmt: skip
        named = [] if person is ben else [direct["id"]]
        assert await hits(person, "secret") == named + [said[word]["id"] for word in words]
        assert str(theirs.id) not in await hits(person, "partner")
    assert (await ben.get("/api/v2/search", q="hidden"))["hashtags"] == []
    (tag,) = (await cy.get("/api/v2/search", q="#HIDD"))["hashtags"]
    assert (tag["name"], tag["following"]) == ("hidden", False)
    assert {day["uses"] for day in tag["history"]} == {"0"}, "what is not public is not counted"
    (tag,) = (await cy.get("/api/v2/search", q="#publ"))["hashtags"]
    assert tag["history"][0]["uses"] == "1" and len(tag["history"]) == 7
    # Somebody who is blocked finds nothing of whoever blocks them.
    await ana.do(f"/api/v1/accounts/{cy.id}/block")
    assert await hits(cy, "secret") == [] and len(await hits(ben, "secret")) == 3


async def test_people_are_found(home: House) -> None:
    ana, ben = home.ana, home.ben
    await ana.do("/api/v1/accounts/update_credentials", 200, "PATCH", display_name="Ana Müller")
    for text in ("ana", "mull", "MÜLLER", "@ana", "ana@home.example"):
        found = await ben.get("/api/v1/accounts/search", q=text)
        assert [each["acct"] for each in found] == ["ana"], text
    assert await ben.get("/api/v1/accounts/search", q="ana", following="true") == []
    await ben.do(f"/api/v1/accounts/{ana.id}/follow")
    assert len(await ben.get("/api/v1/accounts/search", q="ana", following="true")) == 1
    for text in ("", "%", "'", "instance.actor"):
        assert await ben.get("/api/v1/accounts/search", q=text) == [], text
    both = await ben.get("/api/v2/search", q="mull")
    assert [each["acct"] for each in both["accounts"]] == ["ana"] and both["statuses"] == []


async def test_polls_of_partners_are_read_too(home: House) -> None:
    zoe = await home.guest("zoe")
    poll = Poll((PollOption("Apfelmus"), PollOption("Kompott")))
    made = await home.said(zoe, "which", poll=poll)
    assert await hits(home.ana, "apfelmus") == [str(made.id)]
