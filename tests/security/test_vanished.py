"""Who is suspended, or blocks the reader, is in no answer any more: every reading route, made from the registry."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest

from fedishare.http.routes import Access, Route
from fedishare.services import accounts
from tests.support.instances import House, house
from tests.support.world import Person

GONE = "Vanished"
TEXT = "was here once"
PERSON = '"acct":"ben","display_name"'


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path, partners=[{"domain": "lab.example", "public_addressing": True}]) as made:
        yield made


async def everything(home: House) -> list[str]:
    """Ben does all that leaves a trace with ana and cy; the ids of the posts that have to do with it."""
    ana, ben, cy = home.ana, home.ben, home.cy
    about = {"display_name": f"{GONE} Ben", "note": GONE, "discoverable": True, "indexable": True}
    await ben.do("/api/v1/accounts/update_credentials", 200, "PATCH", **about)
    for one in (ana, ben, cy):
        for other in (ana, ben, cy):
            if one is not other:
                await one.do(f"/api/v1/accounts/{other.id}/follow")
    made = await ana.do("/api/v1/lists", title="mine")
    await ana.do(f"/api/v1/lists/{made['id']}/accounts", account_ids=[str(ben.id)])
    await cy.do(f"/api/v1/accounts/{ben.id}/endorse")
    await ben.do("/api/v1/featured_tags", name="traces")
    hello = await ana.say("ana's own #traces", quote_approval_policy="public")
    theirs = await ben.say(f"{TEXT} #traces", quote_approval_policy="public")
    quoting = await ben.say(f"{TEXT} quoting", quoted_status_id=hello["id"])
    quoted = await ana.say("ana quotes", quoted_status_id=theirs["id"])
    answer = await ben.say(f"@ana {TEXT} answering", in_reply_to_id=hello["id"])
    direct = await ben.say(f"@ana {TEXT} quietly", visibility="direct")
    poll = await ben.say(f"@ana {TEXT} asking", poll={"options": ["a", "b"], "expires_in": 600})
    await ana.do(f"/api/v1/polls/{poll['id']}/votes", choices=[0])
    for verb in ("favourite", "reblog"):
        await ben.do(f"/api/v1/statuses/{hello['id']}/{verb}")
        await cy.do(f"/api/v1/statuses/{hello['id']}/{verb}")
        await ana.do(f"/api/v1/statuses/{theirs['id']}/{verb}")
        await cy.do(f"/api/v1/statuses/{theirs['id']}/{verb}")
    await ana.do(f"/api/v1/statuses/{theirs['id']}/bookmark")
    await ben.do(f"/api/v1/statuses/{theirs['id']}/pin")
    return [each["id"] for each in (hello, theirs, quoting, quoted, answer, direct, poll)] + [made["id"]]


async def found_by(home: House, reader: Person, idents: Iterable[str], words: tuple[str, ...]) -> dict[str, set[str]]:
    """Which reading routes show any of the words to somebody, with any of the ids."""
    found: dict[str, set[str]] = {}
    every = [str(home.ana.id), str(home.ben.id), str(home.cy.id), *idents]
    query: list[tuple[str, Any]] = [("id[]", each) for each in every]
    asked = [("q", word) for word in (GONE, "was here", "ben", "@ben@home.example", home.ben.iri)]
    asked.append(("url", "https://lab.example/"))
    asked.append(("acct", "ben"))
    for route in reading(home):
        for value in every if "{" in route.path else [""]:
            path = "/".join(value if part == "{id}" else "traces" if "{" in part else part
                            for part in route.path.split("/"))  # fmt: skip
            searching = asked if "search" in path or "lookup" in path else asked[:1]
            for one in searching:
                answer = await reader.client.get(path, params=[*query, one, ("resolve", "true")])
                seen = {word for word in words if word in answer.text}
                if seen:
                    found[route.path] = found.get(route.path, set()) | seen
    return found


def reading(home: House) -> list[Route]:
    """Every route with which somebody reads."""
    return [
        route
        for route in home.org.server.router.routes
        if route.access is Access.TOKEN and route.method == "GET" and "streaming" not in route.path
    ]


async def test_who_is_suspended_is_nowhere(home: House) -> None:
    idents = await everything(home)
    before = await found_by(home, home.ana, idents, (GONE, TEXT, PERSON))
    assert len(before) > 25, "else nothing would be shown by its absence"
    await home.org.write(accounts.suspend, await home.org.by_handle("ben"), "test")
    for reader in (home.ana, home.cy):
        shown = await found_by(home, reader, idents, (GONE, TEXT, PERSON))
        # One's own conversation still says with whom it was, without name and picture.
        assert shown in ({}, {"/api/v1/conversations": {PERSON}})
    # Not for ever: whoever comes back is as before.
    await home.org.write(accounts.restore, await home.org.by_handle("ben"), "test")
    assert set(await found_by(home, home.ana, idents, (GONE, TEXT, PERSON))) == set(before)


async def test_what_somebody_wrote_who_blocks_the_reader_is_nowhere(home: House) -> None:
    idents = await everything(home)
    await home.ben.do(f"/api/v1/accounts/{home.ana.id}/block")
    assert await found_by(home, home.ana, idents, (TEXT,)) == {}
    assert await found_by(home, home.cy, idents, (TEXT,)), "others read it"
