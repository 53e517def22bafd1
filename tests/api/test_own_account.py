"""One's own account through HTTP: the profile in every form, passwords, moving, the archive, and leaving for good."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fedishare.api.archive_file import _lines
from fedishare.housekeeping import Housekeeping
from fedishare.model.actors import Actor, ActorState, Role
from fedishare.model.ids import Iri
from fedishare.services import accounts, archives, passwords
from fedishare.store import archives as archive_store
from fedishare.store import credentials, oauth
from fedishare.store.db import Tx, sql
from tests.support.instances import House, follows, house
from tests.support.pictures import picture
from tests.support.world import Person

OWN = "/api/v1/accounts/update_credentials"
ALL_LINKS = sql("test_reset_links", "SELECT token_hash, actor_id FROM reset_link")
PASSWORD, OTHER = "four words that fit", "another four words here"


async def with_password(house: House, person: Person, password: str = PASSWORD) -> None:
    """A person who can sign in with a password."""
    await house.org.write(credentials.set_password, person.id, accounts.hash_password(password))


async def test_every_field_of_the_profile_in_each_form(home: House) -> None:
    ana = home.ana
    nested = {
        "attribution_domains": ["Example.com", "näh.example"], "locked": "1",
        "fields_attributes": [{"name": "Room", "value": "see https://example.com/12"}],
        "source": {"privacy": "private", "sensitive": True, "language": "de", "quote_policy": "followers"},
    }  # fmt: skip
    shown = await ana.do(OWN, 200, "PATCH", **nested)
    source = shown["source"]
    assert source["attribution_domains"] == ["example.com", "xn--nh-via.example"] and shown["locked"] is True
    assert (source["privacy"], source["sensitive"], source["language"]) == ("private", True, "de")
    assert source["quote_policy"] == "followers"
    assert "<a href" in shown["fields"][0]["value"], "shown as HTML"
    assert source["fields"][0]["value"] == "see https://example.com/12", "edited as it was typed"
    preferences = await ana.get("/api/v1/preferences")
    assert preferences == {
        "posting:default:visibility": "private", "posting:default:sensitive": True, "posting:default:language": "de",
        "posting:default:quote_policy": "followers", "reading:expand:media": "default",
        "reading:expand:spoilers": False, "reading:autoplay:gifs": False,
    }  # fmt: skip
    form = {
        "display_name": "Ana", "source[privacy]": "unlisted", "source[language]": "", "attribution_domains[]": "",
        "fields_attributes[0][name]": "a", "fields_attributes[0][value]": "1", "fields_attributes[1][name]": "b",
        "fields_attributes[1][value]": "2",
    }  # fmt: skip
    answer = await ana.client.patch(OWN, data=form)
    assert answer.status_code == 200, answer.text
    source = answer.json()["source"]
    assert [f["name"] for f in source["fields"]] == ["a", "b"] and source["attribution_domains"] == []
    assert (source["privacy"], source["language"], source["sensitive"]) == ("unlisted", "", True)
    kept = await home.org.by_handle("ana")
    assert kept is not None
    for wrong in (
        {"attribution_domains": ["not a domain"]}, {"attribution_domains": ["10.0.0.1"]},
        {"attribution_domains": [f"d{n}.example" for n in range(101)]}, {"source": {"language": "not a language"}},
        {"source": {"quote_policy": "x"}}, {"source": {"privacy": "x"}},
    ):  # fmt: skip
        refused = await ana.client.patch(OWN, json=wrong)
        assert refused.status_code == 422 and refused.json()["error"].startswith("Validation failed"), wrong
    after = await home.org.by_handle("ana")
    assert after is not None and after.rev == kept.rev, "and nothing of it was kept"


async def test_roles_are_shown_where_they_do_something(home: House) -> None:
    assert (await home.ana.get(f"/api/v1/accounts/{home.ben.id}"))["roles"] == []
    ben = await home.org.by_handle("ben")
    await home.org.write(accounts.set_role, ben, Role.MODERATOR, "test")
    own = (await home.ben.get("/api/v1/accounts/verify_credentials"))["role"]
    assert own["id"].lstrip("-").isdigit() and (own["name"], own["highlighted"]) == ("Moderator", True)
    assert int(own["permissions"]) & 1 << 4, "manages reports"
    (shown,) = (await home.ana.get(f"/api/v1/accounts/{home.ben.id}"))["roles"]
    assert shown == {"id": own["id"], "name": "Moderator", "color": ""}
    member = await home.ana.get("/api/v1/accounts/verify_credentials")
    assert (member["role"]["name"], member["role"]["permissions"], member["roles"]) == ("", "0", [])


async def test_the_address_is_never_waited_for(home: House) -> None:
    refused = await home.ana.client.post("/api/v1/emails/confirmations", json={"email": "x@y.example"})
    words = "This method is only available while the e-mail is awaiting confirmation"
    assert (refused.status_code, refused.json()) == (403, {"error": words})
    assert await home.ana.get("/api/v1/emails/check_confirmation") is True


async def test_a_new_password_signs_everybody_else_out(both: House) -> None:
    ana = both.ana
    await with_password(both, ana)
    phone, at = await both.client("ana", "read write"), "/api/v1/fedishare/password"
    session = await both.org.write(_session, ana.id)
    right = {"current_password": PASSWORD, "new_password": OTHER}
    for wrong, status in (
        ({**right, "current_password": "something else"}, 403), ({**right, "new_password": "short"}, 422), ({}, 422),
        ({"new_password": OTHER}, 403),
    ):  # fmt: skip
        answer = await ana.client.post(at, json=wrong)
        assert answer.status_code == status and answer.json()["error"], wrong
    weak = await both.client("ana", "read write:statuses")
    assert (await weak.post(at, json=right)).status_code == 403
    assert (await phone.get("/api/v1/preferences")).status_code == 200
    assert await both.org.read(oauth.session, session) == ana.id
    assert await ana.do(at, **right) == {}
    assert (await phone.get("/api/v1/preferences")).status_code == 401, "another app is out"
    assert await both.org.read(oauth.session, session) is None, "and so is a browser"
    assert (await ana.client.get("/api/v1/preferences")).status_code == 200, "the one that asked stays"
    assert (await both.ben.client.get("/api/v1/preferences")).status_code == 200
    assert (await ana.client.post(at, json=right)).status_code == 403, "the old one is worth nothing"
    assert (await both.ben.client.post(at, json=right)).status_code == 403, "who has no password proves nothing"


async def test_passwords_cannot_be_tried_without_end(tmp_path: Path) -> None:
    async with house(tmp_path, limits={"rates": True, "auth_rate": 3}) as home:
        tries = [await home.ana.client.post("/api/v1/fedishare/move", json={"password": "x"}) for _ in range(2)]
        tries.append(await home.ana.client.request("DELETE", "/api/v1/fedishare/account", json={"password": "x"}))
        right = {"current_password": "x", "new_password": OTHER}
        tries.append(await home.ana.client.post("/api/v1/fedishare/password", json=right))
        assert [answer.status_code for answer in tries] == [403, 403, 403, 429], "all doors count together"


def _session(tx: Tx, ident: Any) -> str:
    hashed = accounts.token_hash(accounts.new_token())
    oauth.put_session(tx, hashed, ident, tx.now + 10**6)  # type: ignore[arg-type]
    return hashed


async def test_a_link_lets_somebody_choose_a_password_once(home: House) -> None:
    ana, stranger = home.ana, await home.stranger()
    first, token = accounts.new_token(), accounts.new_token()
    await home.org.write(passwords.make_link, "ana", first, "cli")
    await home.org.write(passwords.make_link, "ana", token, "cli")
    stored = str(await home.org.all(ALL_LINKS))
    assert token not in stored and accounts.token_hash(token) in stored, "only its hash is kept"
    at = "/auth/password"
    for missing in ("", "x", first, token + "x"):
        answer = await stranger.get(at, params={"token": missing})
        assert (answer.status_code, "ana" in answer.text) == (404, False), "the link before is over, too"
    page = await stranger.get(at, params={"token": token})
    assert page.status_code == 200 and "@ana" in page.text and "<script" not in page.text
    assert page.headers["referrer-policy"] == "same-origin" and page.headers["cache-control"] == "no-store"
    fine = {"token": token, "password": OTHER, "again": OTHER}
    for wrong in ({**fine, "again": "x"}, {**fine, "password": "short", "again": "short"}, {"token": token}):
        answer = await stranger.post(at, data=wrong)
        assert answer.status_code == 422 and 'role="alert"' in answer.text, wrong
    assert (await ana.client.get("/api/v1/preferences")).status_code == 200
    done = await stranger.post(at, data=fine)
    assert done.status_code == 200 and "changed" in done.text
    assert (await ana.client.get("/api/v1/preferences")).status_code == 401, "whoever was inside is out"
    kept = await home.org.read(credentials.get, ana.id)
    assert accounts.password_matches(OTHER, kept.password_hash)
    assert (await stranger.post(at, data=fine)).status_code == 404, "it works once"
    late = accounts.new_token()
    await home.org.write(passwords.make_link, "ana", late, "cli")
    home.world.clock.forward(passwords.LINK_MILLIS + 1)
    assert (await stranger.get(at, params={"token": late})).status_code == 404, "and for a day"
    assert (await stranger.post(at, data={**fine, "token": late})).status_code == 404


async def test_aliases_are_ones_own_and_stand_in_the_document(home: House) -> None:
    ana, ben, at = home.ana, home.ben, "/api/v1/fedishare/aliases"
    zoe = await home.guest("zoe")
    made = await ana.do(at, acct="@zoe@lab.example")
    assert made == {"id": str(zoe.id), "acct": "zoe@lab.example", "uri": zoe.iri}
    assert await ana.do(at, acct="zoe@lab.example") == made, "twice is once"
    await ana.do(at, acct="ben")
    assert [a["acct"] for a in await ana.get(at)] == ["zoe@lab.example", "ben"] and await ben.get(at) == []
    kept = await home.org.by_handle("ana")
    assert kept is not None and kept.profile.also_known_as == (zoe.iri, Iri(ben.iri))
    for wrong, status in (
        ("ana", 422), ("", 422), ("nobody", 422), ("a b", 422), ("\x00", 422), ("eve@stranger.example", 403),
    ):  # fmt: skip
        answer = await ana.client.post(at, json={"acct": wrong})
        assert answer.status_code == status and answer.json()["error"], (wrong, answer.text)
    assert (await ben.client.delete(f"{at}/{zoe.id}")).status_code == 404, "not anybody else's"
    assert (await ana.client.delete(f"{at}/7")).status_code == 404
    assert (await ana.client.delete(f"{at}/{zoe.id}")).json() == {}
    assert [a["acct"] for a in await ana.get(at)] == ["ben"]


async def test_one_moves_to_an_account_that_says_it_is_ones_own(home: House) -> None:
    ana, ben, cy, at = home.ana, home.ben, home.cy, "/api/v1/fedishare/move"
    await with_password(home, ana)
    zoe = await home.guest("zoe")
    await home.org.write(follows, zoe.id, ana.id)
    await cy.do(f"/api/v1/accounts/{ana.id}/follow")
    no_alias = await ana.client.post(at, json={"acct": "ben", "password": PASSWORD})
    words = "Validation failed: Acct is not an alias of this account"
    assert (no_alias.status_code, no_alias.json()["error"]) == (422, words)
    await ben.do("/api/v1/fedishare/aliases", acct="ana")
    assert (await ana.client.post(at, json={"acct": "ben", "password": "wrong"})).status_code == 403
    assert (await ana.client.post(at, json={"acct": "ana", "password": PASSWORD})).status_code == 422
    moved = await ana.do(at, acct="ben", password=PASSWORD)
    assert moved["acct"] == "ana" and moved["moved"]["acct"] == "ben"
    assert [a["acct"] for a in await ana.get(f"/api/v1/accounts/{ben.id}/followers")] == ["cy"], "cy went along"
    await home.world.settle()
    sent = home.world.bodies_to("lab.example")
    (told,) = [body for body in sent if body["type"] == "Move"]
    assert (told["object"], told["target"]) == (ana.iri, ben.iri)
    again = await ana.client.post(at, json={"acct": "ben", "password": PASSWORD})
    assert (again.status_code, "already moved" in again.json()["error"]) == (422, True)
    answer = await ana.client.delete(at)
    assert answer.json()["moved"] is None, "and it can be taken back"


async def test_an_archive_has_everything_of_ones_own_and_nothing_else(both: House) -> None:
    ana, ben, at = both.ana, both.ben, "/api/v1/fedishare/export"
    zoe = await both.guest("zoe")
    uploaded = await ana.client.post("/api/v2/media", files={"file": ("a.png", picture(), "image/png")})
    await ana.say("with a picture", media_ids=[uploaded.json()["id"]])
    await ana.say("only here", reach="local", visibility="private")
    theirs = await ben.say("of ben")
    await ben.say("@cy not for ana", visibility="direct")
    for verb in ("bookmark", "favourite", "reblog"):
        await ana.do(f"/api/v1/statuses/{theirs['id']}/{verb}")
    await ana.do(f"/api/v1/accounts/{ben.id}/follow", reblogs=False, languages=["de", "en"])
    made = await ana.do("/api/v1/lists", title="=list, quoted\n")
    await ana.do(f"/api/v1/lists/{made['id']}/accounts", account_ids=[str(ben.id)])
    await ana.do(f"/api/v1/accounts/{both.cy.id}/mute", notifications=False)
    await ana.do(f"/api/v1/accounts/{zoe.id}/block")
    await ana.do("/api/v1/domain_blocks", domain="ward.example")
    assert (await ana.get(at))["state"] == "none" and (await ana.client.get(f"{at}/file")).status_code == 404
    asked = await ana.do(at, 202)
    assert asked["state"] == "waiting" and asked["url"] is None
    await both.world.settle()
    ready = await ana.get(at)
    assert ready["state"] == "ready" and ready["size"] > 0 and ready["expires_at"] and ready["id"] == asked["id"]
    assert (await ben.get(at))["state"] == "none" and (await ben.client.get(f"{at}/file")).status_code == 404
    weak = await both.client("ana", "read:accounts read:statuses")
    assert (await weak.get(f"{at}/file")).status_code == 403, "all of it wants the right to read all of it"
    answer = await ana.client.get(ready["url"])
    assert answer.headers["content-type"] == "application/zip" and len(answer.content) == ready["size"]
    _look_into(zipfile.ZipFile(io.BytesIO(answer.content)), ana, zoe)
    again = await ana.client.post(at)
    assert again.status_code == 429 and int(again.headers["retry-after"]) > 3600
    folder = both.org.config.media_path / "archives"
    assert len(list(folder.iterdir())) == 1
    both.world.clock.forward(archives.KEPT + 1)
    assert (await ana.get(at))["state"] == "none" and (await ana.client.get(f"{at}/file")).status_code == 404
    await Housekeeping(both.org.server.federation, both.org.server.worker).prune()
    assert list(folder.iterdir()) == [], "and the file is off the disk"


def _look_into(found: zipfile.ZipFile, ana: Person, zoe: Actor) -> None:
    def table(name: str) -> list[list[str]]:
        return list(csv.reader(io.StringIO(found.read(name).decode())))

    assert found.testzip() is None
    assert json.loads(found.read("actor.json"))["id"] == ana.iri
    outbox = json.loads(found.read("outbox.json"))
    assert outbox["totalItems"] == 3 and [a["type"] for a in outbox["orderedItems"]] == ["Create", "Create", "Announce"]
    assert "with a picture" in outbox["orderedItems"][0]["object"]["content"]
    assert b"not for ana" not in b"".join(found.read(name) for name in found.namelist())
    assert len(json.loads(found.read("bookmarks.json"))["orderedItems"]) == 1
    assert len(json.loads(found.read("likes.json"))["orderedItems"]) == 1
    assert table("following.csv") == [
        ["Account address", "Show boosts", "Notify on new posts", "Languages"],
        ["ben@home.example", "false", "false", "de, en"],
    ]
    assert table("lists.csv")[0][1] == "ben@home.example" and "list, quoted" in table("lists.csv")[0][0]
    assert table("mutes.csv")[1] == ["cy@home.example", "false"]
    assert table("blocks.csv") == [["zoe@lab.example"]] and table("domain_blocks.csv") == [["ward.example"]]
    assert table("bookmarks.csv")[0][0].startswith("https://home.example/")
    (media,) = [name for name in found.namelist() if name.startswith("media/")]
    assert re.fullmatch(r"media/[0-9a-f]{32}\.png", media) and found.read(media).startswith(b"\x89PNG")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.text(st.characters(codec="utf-8")), min_size=1, max_size=3), max_size=5))
def test_tables_read_back_as_they_were_written(rows: list[list[str]]) -> None:
    clean = [[cell.replace("\r", "").replace("\x00", "") for cell in row] for row in rows]
    assert list(csv.reader(io.StringIO(_lines(clean).decode(), newline=""))) == clean


async def test_who_leaves_is_gone_at_once_and_then_for_ever(both: House) -> None:
    ana, ben, at = both.ana, both.ben, "/api/v1/fedishare/account"
    await with_password(both, ana)
    zoe = await both.guest("zoe")
    await both.org.write(follows, zoe.id, ana.id)
    said = await ana.say("remember me", reach="partners")
    await ben.do(f"/api/v1/accounts/{ana.id}/note", comment="a note")
    refused = await ana.client.request("DELETE", at, json={"password": "wrong"})
    assert refused.status_code == 403 and (await ana.get("/api/v1/preferences"))
    weak = await both.client("ana", "read write:statuses")
    assert (await weak.request("DELETE", at, json={"password": PASSWORD})).status_code == 403
    await both.world.settle()
    left = await ana.client.request("DELETE", at, json={"password": PASSWORD})
    assert (left.status_code, left.json()) == (200, {})
    assert (await ana.client.get("/api/v1/preferences")).status_code == 401
    assert (await ben.client.get(f"/api/v1/statuses/{said['id']}")).status_code == 404
    await both.world.settle()
    gone = await both.org.by_handle("ana")
    assert gone is not None and gone.state is ActorState.DELETED and await both.org.post(said["uri"]) is None
    assert [b["object"] for b in both.world.bodies_to("lab.example") if b["type"] == "Delete"][-1] == ana.iri
    kept = await both.org.read(credentials.get, gone.id)
    assert kept.password_hash is None and kept.email is None
    assert await both.org.read(archive_store.of_actor, gone.id) == []
