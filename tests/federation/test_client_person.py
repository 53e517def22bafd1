"""ActivityPub's client side: what a person's own program says about the person, and what followers see of that."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fedishare.media.files import Folder
from fedishare.model.ids import Id
from fedishare.model.media import MediaState
from fedishare.store import media
from tests.store.conftest import postgres_template, schema_url
from tests.support.client_side import GIF, PUBLIC, Client, Side, new_side
from tests.support.world import Json

__all__ = ["postgres_template", "schema_url"]


@pytest.fixture
async def side(tmp_path: Path, schema_url: str) -> AsyncIterator[Side]:
    """On each engine."""
    async with new_side(tmp_path, schema_url if schema_url.startswith("postgresql") else None) as made:
        yield made


async def upload(client: Client, said: str = "a dot") -> Json:
    """An upload, as the server describes it."""
    answer = await client.http.post(
        "/api/activitypub/media", files={"file": ("a.gif", GIF, "image/gif")}, data={"object": f'{{"name":"{said}"}}'}
    )
    assert answer.status_code == 201, answer.text
    found: Json = answer.json()
    return found


async def test_a_profile_is_changed_whole_and_in_part(side: Side) -> None:
    """6.3: what is given changes, null removes, and both doors end in the same profile; the partner sees it."""
    ana, amy, ben = side.ana, side.amy, side.ben
    me = ana.person.iri
    one, other = await upload(ana), await upload(ana, "")
    html = '<p>Hi, <a href="https://a.example/b">a.example/b</a></p>'
    updated = await ana.does("Update", {
        "id": me, "type": "Person", "name": "Ana A", "summary": html, "icon": one,
        "image": {"type": "Image", "url": other["url"] + "?t=1", "name": "a wide dot"},
        "attachment": [{"type": "PropertyValue", "name": "Ward", "value": "<p>3</p>"},
                       {"type": "PropertyValue", "name": "Site", "value": html}],
        "manuallyApprovesFollowers": True, "discoverable": False, "indexable": False,
        "attributionDomains": ["News.example"],
    })  # fmt: skip
    (sent,) = await side.gets()
    assert (sent["id"], sent["type"]) == (updated, "Update")
    shown = await ben.person.find(ana.person.handle)
    assert (shown["display_name"], shown["locked"], shown["discoverable"]) == ("Ana A", True, False)
    assert [each["name"] for each in shown["fields"]] == ["Ward", "Site"]
    assert (await ana.http.get((await ana.read(me))["icon"]["url"])).status_code == 200
    mine = await ana.person.get("/api/v1/accounts/verify_credentials")
    assert (mine["source"]["note"], mine["source"]["attribution_domains"]) == ("Hi, https://a.example/b",
                                                                              ["news.example"])  # fmt: skip
    assert mine["avatar_description"] == "a dot" and mine["header_description"] == "a wide dot"
    # The same by the other door: the same rows.
    said: dict[str, Any] = {
        "display_name": "Ana A", "note": "Hi, https://a.example/b", "locked": "true", "discoverable": "false",
        "indexable": "false", "fields_attributes[0][name]": "Ward", "fields_attributes[0][value]": "3",
        "fields_attributes[1][name]": "Site", "fields_attributes[1][value]": "Hi, https://a.example/b",
        "attribution_domains[]": "News.example", "avatar_description": "a dot", "header_description": "a wide dot",
    }  # fmt: skip
    files = {name: ("a.gif", GIF, "image/gif") for name in ("avatar", "header")}
    answer = await amy.http.patch("/api/v1/accounts/update_credentials", data=said, files=files)
    assert answer.status_code == 200, answer.text
    profiles = [await profile(side, each) for each in (ana, amy)]
    assert profiles[0] == profiles[1]
    # In part: nothing else changes, and the picture that is there may be said again.
    icon = (await ana.read(me))["icon"]
    await ana.does("Update", {"id": me, "icon": icon | {"name": "still a dot"}, "attachment": None, "image": None})
    await ana.does("Update", {"id": me, "type": "Service", "summary": None, "attributionDomains": None})
    document = await ana.read(me)
    assert document["icon"] == icon | {"name": "still a dot"} and "image" not in document
    assert (document["type"], document["summary"], document["attachment"]) == ("Service", "", [])
    assert document["name"] == "Ana A" and document["manuallyApprovesFollowers"] is True
    assert "attributionDomains" not in document
    await side.settle()
    assert (await side.gets())[0]["object"]["type"] == "Service"


async def profile(side: Side, client: Client) -> Any:
    """What somebody says about themselves, without the names of files."""
    actor = await client.person.org.actor(client.person.iri)
    assert actor is not None and actor.profile.avatar is not None and actor.profile.header is not None
    found = {name: getattr(actor.profile, name) for name in actor.profile.__slots__}
    return found | {name: (found[name].media_type, found[name].description) for name in ("avatar", "header")}


def files_of(side: Side) -> list[str]:
    """Every file of the clinic's people."""
    folder: Folder = side.ana.person.org.server.instance.studio.folder
    return sorted(path.name for path in folder.root.glob("local/*/*"))


async def test_what_cannot_be_said_about_oneself_changes_nothing(side: Side) -> None:
    ana, amy = side.ana, side.amy
    me = ana.person.iri
    mine, hers = await upload(ana), await upload(amy)
    note = await amy.note("see", [PUBLIC], attachment=[hers["id"]])
    before = await ana.read(me), files_of(side)
    row = {"type": "PropertyValue", "name": "a", "value": "b"}
    wrong: list[Json] = [
        {"icon": hers}, {"icon": hers["id"]}, {"icon": hers["url"]}, {"image": {"type": "Image"}}, {"icon": [mine] * 2},
        {"icon": {"url": "https://lab.example/a.png"}}, {"icon": f"{mine['id']}0"}, {"icon": note}, {"icon": 7},
        {"icon": {"id": mine["id"], "name": {}}}, {"icon": {"id": mine["id"], "name": "x" * 1501}},
        {"icon": mine, "attachment": [row] * 5}, {"icon": mine, "image": hers}, {"icon": mine, "name": "x" * 31},
        {"attachment": [{"type": "Note", "name": "a"}]}, {"attachment": ["a"]}, {"attachment": [row | {"value": {}}]},
        {"attributionDomains": ["a b"]}, {"attributionDomains": [{}]}, {"attributionDomains": ["a.example"] * 101},
        {"summary": "x" * 501}, {"discoverable": "yes"}, {"type": "Group"}, {"type": ["Person", "Service"]},
        {"preferredUsername": "root"}, {"inbox": note}, {"alsoKnownAs": [note]}, {"movedTo": note}, {"memorial": True},
        {"nameMap": {"en": "x"}}, {"name": ["x"]},
    ]  # fmt: skip
    for each in wrong:
        answer = await ana.post({"type": "Update", "object": {"id": me, **each}})
        assert answer.status_code in (400, 422) and answer.json()["error"], (each, answer.text)
    assert (await ana.read(me), files_of(side)) == before, "and no file is left behind"
    row_of = await ana.person.org.read(media.by_id, Id(int(mine["id"].rpartition("/")[2])))
    assert row_of is not None
    for other in (replace(row_of, kind="video"), replace(row_of, state=MediaState.WAITING)):
        await ana.person.org.write(media.update, other)
        await ana.refused(422, {"type": "Update", "object": {"id": me, "icon": mine}})
    await ana.person.org.write(media.update, row_of)
    await side.settle()
    assert not [body for body in side.world.bodies_to("lab.example") if body["type"] == "Update"]
    await ana.does("Update", {"id": me, "icon": mine["url"]})
    assert (await ana.read(me))["icon"]["name"] == "a dot"
