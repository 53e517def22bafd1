"""Tables that people bring along from another server: what an archive of ours has is taken in again, line by line."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fedishare.model.errors import BadInput
from fedishare.services.imports import MAX_LINES, Line, Table, parse
from fedishare.store import imports as store
from tests.support.instances import House
from tests.support.world import Person

AT = "/api/v1/fedishare/import"
FOLLOWING = (
    'Account address,Show boosts,Notify on new posts,Languages\nben@home.example,false,true,"de, en, no code!"\n'
    "@zoe@lab.example,true,false,\neve@stranger.example,true,false,\nnobody@home.example,true,false,\nx y,,,\n"
)


async def brought(house: House, person: Person, kind: str, text: str) -> dict[str, Any]:
    """How far a table is when all is done."""
    made = await person.do(AT, 202, type=kind, data=text)
    assert (made["type"], made["state"], made["done"]) == (kind, "in_progress", 0)
    await house.world.settle()
    found = (await person.get(AT))[0]
    assert found["id"] == made["id"] and found["state"] == "finished"
    return dict(found)


async def test_tables_are_taken_in_through_policy(both: House) -> None:
    ana, ben = both.ana, both.ben
    zoe = await both.guest("zoe")
    followed = await brought(both, ana, "following", FOLLOWING)
    assert (followed["total"], followed["done"], followed["failed"]) == (5, 2, 3)
    (now,) = await ana.get("/api/v1/accounts/relationships", **{"id[]": str(ben.id)})
    assert (now["following"], now["showing_reblogs"], now["notifying"]) == (True, False, True)
    assert now["languages"] == ["de", "en"]
    (now,) = await ana.get("/api/v1/accounts/relationships", **{"id[]": str(zoe.id)})
    assert now["requested"] is True
    assert both.world.internet.to("stranger.example", "GET") == [], "nobody is asked who is no partner"
    assert (await brought(both, ana, "lists", "friends,ben@home.example\nfriends,cy@home.example\n"))["done"] == 1
    (made,) = await ana.get("/api/v1/lists")
    assert made["title"] == "friends" and len(await ana.get(f"/api/v1/lists/{made['id']}/accounts")) == 1
    muted = "Account address,Hide notifications\ncy@home.example,false\n"
    assert (await brought(both, ana, "muting", muted))["done"] == 1
    (now,) = await ana.get("/api/v1/accounts/relationships", **{"id[]": str(both.cy.id)})
    assert (now["muting"], now["muting_notifications"]) == (True, False)
    assert (await brought(both, ana, "domain_blocking", "#domain\nward.example\nnot a domain\n"))["failed"] == 1
    assert await ana.get("/api/v1/domain_blocks") == ["ward.example"]
    open_post, hidden = await ben.say("open"), await ben.say("@cy hidden", visibility="direct")
    marks = await brought(both, ana, "bookmarks", f"{open_post['uri']}\n{hidden['uri']}\nnonsense\n")
    assert (marks["done"], marks["failed"]) == (1, 2), "what one may not see is not there"
    assert [s["id"] for s in await ana.get("/api/v1/bookmarks")] == [open_post["id"]]
    assert (await brought(both, ana, "blocking", "cy@home.example\n"))["done"] == 1
    assert [a["acct"] for a in await ana.get("/api/v1/blocks")] == ["cy"] and await ben.get(AT) == []


async def test_lines_that_are_taken_in_again_count_once(home: House) -> None:
    """A kill between the last line and the end of its job brings the whole job again."""
    found = await brought(home, home.ana, "domain_blocking", "a.example\nb.example\nnot a domain\n")
    assert (found["done"], found["failed"]) == (2, 1)
    await home.org.write(store.count, int(found["id"]), 0, 2, 1)
    assert (await home.ana.get(AT))[0] == found


async def test_what_is_no_table_is_refused(home: House) -> None:
    ana = home.ana
    for wrong in (
        {"type": "x", "data": "a"}, {"type": "following"}, {"type": "following", "data": ""}, {},
        {"type": "following", "data": "\n\n"}, {"type": "following", "data": "Account address\n"},
        {"type": "blocking", "data": '"a'}, {"type": "blocking", "data": "a\x00b"}, {"type": "lists", "data": ["x"]},
        {"type": "blocking", "data": "a" * 1_048_577},
    ):  # fmt: skip
        answer = await ana.client.post(AT, json=wrong)
        assert answer.status_code == 422 and answer.json()["error"], (str(wrong)[:80], answer.text)
    file = await ana.client.post(AT, files={"data": ("x.csv", b"\xff\xfe", "text/csv")}, data={"type": "blocking"})
    assert file.status_code == 422 and "not a CSV file" in file.json()["error"]
    fine = await ana.client.post(AT, files={"data": ("x.csv", b"d.example\n")}, data={"type": "domain_blocking"})
    assert fine.status_code == 202
    weak = await home.client("ana", "read write:statuses")
    assert (await weak.post(AT, json={"type": "blocking", "data": "a"})).status_code == 403
    assert [each["type"] for each in await ana.get(AT)] == ["domain_blocking"]


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(list(Table)), st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
def test_any_bytes_are_lines_or_refused(table: Table, body: bytes) -> None:
    try:
        lines = parse(table, body)
    except BadInput as error:
        assert error.message.startswith("Validation failed: Data")
    else:
        assert 0 < len(lines) <= MAX_LINES and all(isinstance(line, Line) for line in lines)
