"""Posts for later: made, moved, cancelled, published once at their time, and kept with a reason when that fails."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from fedishare.model.ids import Handle
from fedishare.model.partners import PartnerState
from fedishare.services import accounts
from fedishare.store import actors
from fedishare.store.db import Tx, sql
from tests.api import mastodon
from tests.support.instances import House, house
from tests.support.pictures import picture
from tests.support.world import Json, Person, plain

MINUTE = 60_000
GONE = "The post you are trying to reply to does not appear to exist"
DAY = 24 * 60 * MINUTE
AT = "/api/v1/scheduled_statuses"
POSTS = sql("test_scheduled_posts", "SELECT count(*) FROM post")
MEDIA = sql("test_scheduled_media", "SELECT count(*) FROM media")
WAITING = sql("test_scheduled_waiting", "SELECT count(*) FROM job WHERE kind = 'scheduled' AND state = 0")


def later(made: House, millis: int) -> str:
    """An instant from now, as apps write it."""
    return datetime.fromtimestamp((made.world.clock() + millis) / 1000, UTC).isoformat()


async def pass_time(made: House, millis: int) -> None:
    """So much time goes by, and what is due is done."""
    made.world.clock.forward(millis)
    made.org.server.worker.wake()
    await made.world.settle()


async def upload(person: Person) -> Json:
    """A picture of theirs."""
    answer = await person.client.post("/api/v2/media", files={"file": ("p.png", picture())})
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


async def refused(person: Person, at: str, **fields: Any) -> str:
    """The sentence with which scheduling is refused."""
    answer = await person.client.post("/api/v1/statuses", json={"status": "later", "scheduled_at": at, **fields})
    assert answer.status_code == 422, answer.text
    return str(answer.json()["error"])


async def test_a_post_for_later_is_published_once_at_its_time(both: House) -> None:
    ana, ben = both.ana, both.ben
    file, other = await upload(ana), await upload(ana)
    before = await ana.say("first")
    key = {"idempotency-key": "once"}
    fields = {
        "status": "later #tag @ben", "scheduled_at": later(both, 10 * MINUTE), "spoiler_text": "careful",
        "visibility": "unlisted", "language": "de", "in_reply_to_id": before["id"], "media_ids": [file["id"]],
        "local_only": True,
    }  # fmt: skip
    answers = [await ana.client.post("/api/v1/statuses", json=fields, headers=key) for _ in range(2)]
    made = answers[0].json()
    assert [a.status_code for a in answers] == [200, 200] and answers[1].json() == made
    assert made["params"] == {
        "text": "later #tag @ben", "media_ids": [file["id"]], "sensitive": None, "spoiler_text": "careful",
        "visibility": "unlisted", "language": "de", "poll": None, "idempotency": "once",
        "in_reply_to_id": int(before["id"]), "quoted_status_id": None, "quote_approval_policy": "public",
        "reach": "local", "local_only": True, "scheduled_at": None, "with_rate_limit": False, "application_id": None,
    }  # fmt: skip
    assert made["media_attachments"][0]["id"] == file["id"] and made["scheduled_at"].endswith("Z")
    poll = await ana.say("asks", scheduled_at=later(both, 20 * MINUTE), poll={"options": ["a", "b"], "expires_in": 600})
    assert poll["params"]["poll"] == {
        "options": ["a", "b"],
        "expires_in": "600",
        "multiple": False,
        "hide_totals": False,
    }
    first = await ana.client.get(AT, params={"limit": 1})
    assert [each["id"] for each in first.json()] == [poll["id"]] and f"max_id={poll['id']}" in first.headers["link"]
    assert [each["id"] for each in await ana.get(AT, max_id=poll["id"])] == [made["id"]]
    for each in (made, poll):
        msgspec.json.decode(msgspec.json.encode(each), type=mastodon.ScheduledStatus)
    assert await ana.get(f"{AT}/{made['id']}") == made and await ben.get(AT) == []
    for method, answer in (("GET", {}), ("PUT", {"scheduled_at": later(both, DAY)}), ("DELETE", {})):
        hidden = await ben.client.request(method, f"{AT}/{made['id']}", json=answer)
        assert (hidden.status_code, hidden.json()) == (404, {"error": "Record not found"})

    # Its files are nobody else's, and wait longer than those of no post.
    taken = await ana.client.post("/api/v1/statuses", json={"status": "x", "media_ids": [file["id"]]})
    assert taken.status_code == 422 and "already attached" in taken.json()["error"]
    assert (await ana.client.delete(f"/api/v1/media/{file['id']}")).status_code == 422
    moved = await ana.do(f"{AT}/{made['id']}", 200, "PUT", scheduled_at=later(both, 3 * DAY))
    assert moved["params"] == made["params"] and moved["scheduled_at"] > made["scheduled_at"]
    assert (await both.org.all(WAITING))[0] == (2,), "one job for each, however often it is moved"
    await pass_time(both, 30 * MINUTE)
    assert [each["id"] for each in await ana.get(AT)] == [made["id"]]
    asked = (await ana.home())[0]
    assert plain(asked) == "asks" and asked["poll"]["expired"] is False and asked["poll"]["expires_at"]
    await pass_time(both, 2 * DAY)
    assert (await both.org.all(MEDIA))[0] == (2,)
    await both.org.server.worker.idle()
    await pass_time(both, DAY)
    assert await ana.get(AT) == []
    shown = next(each for each in await ana.home() if plain(each) == "later #tag @ben")
    assert (shown["visibility"], shown["language"], shown["spoiler_text"]) == ("unlisted", "de", "careful")
    assert shown["in_reply_to_id"] == before["id"] and shown["media_attachments"][0]["id"] == file["id"]
    assert ("mention", "ana") in await ben.notifications() and other["id"] != file["id"]
    assert (await both.org.all(POSTS))[0] == (3,)


async def test_what_is_scheduled_survives_a_restart(tmp_path: Path) -> None:
    async with house(tmp_path) as made:
        found = await made.ana.say("after the restart", scheduled_at=later(made, 10 * MINUTE))
        gone = await made.ana.say("never", scheduled_at=later(made, 10 * MINUTE))
        assert await made.ana.do(f"{AT}/{gone['id']}", 200, "DELETE") == {}
        assert (await made.org.all(WAITING))[0] == (1,), "and none for what is cancelled"
        now = made.world.clock()
    async with house(tmp_path, again=True) as made:
        made.world.clock.forward(now - made.world.clock())
        assert [each["id"] for each in await made.ana.get(AT)] == [found["id"]]
        await pass_time(made, 11 * MINUTE)
        assert await made.ana.texts() == ["after the restart"] and await made.ana.get(AT) == []


async def test_the_limits_of_scheduling_are_said_in_mastodons_words(home: House) -> None:
    soon = "Validation failed: Scheduled at The scheduled date must be in the future"
    for at in (later(home, 5 * MINUTE - 1000), later(home, -DAY), "1600-01-01", "0001-01-01T00:00:00"):
        assert await refused(home.ana, at) == soon
    for at in ("soon", "2030-13-01", "2" * 100, "9999-99-99T00:00:00Z", "\x00"):
        assert await refused(home.ana, at) == "Validation failed: Scheduled at is not a date and time"
    assert "can't be blank" in await refused(home.ana, later(home, DAY), status=" ")
    assert "not found" in await refused(home.ana, later(home, DAY), media_ids=["1"])
    missing = await home.ana.client.post(
        "/api/v1/statuses", json={"status": "x", "scheduled_at": later(home, DAY), "in_reply_to_id": "1"}
    )
    assert missing.status_code == 404

    noon = (home.world.clock() // DAY + 2) * DAY + DAY // 2 - home.world.clock()
    made = [await home.ana.say(str(n), scheduled_at=later(home, noon + n * 1000)) for n in range(25)]
    assert await refused(home.ana, later(home, noon)) == (
        "Validation failed: You have exceeded the limit of 25 scheduled posts for today"
    )
    # One that is there already may move within the day, and the next day has room.
    await home.ana.do(f"{AT}/{made[0]['id']}", 200, "PUT", scheduled_at=later(home, noon + 100_000))
    await home.ben.say("another person", scheduled_at=later(home, noon))
    for day in range(1, 12):
        for n in range(25):
            await home.ana.say("x", scheduled_at=later(home, noon + day * DAY + n * 1000))
    assert await refused(home.ana, later(home, noon + 30 * DAY)) == (
        "Validation failed: You have exceeded the limit of 300 scheduled posts"
    )
    assert len(await home.ana.get(AT, limit=40)) == 40


async def test_what_cannot_be_published_is_kept_and_its_author_told(home: House) -> None:
    ana, ben = home.ana, home.ben
    question = await ben.say("a question")
    answer = await ana.say("an answer", scheduled_at=later(home, 10 * MINUTE), in_reply_to_id=question["id"])
    fine = await ana.say("fine", scheduled_at=later(home, 10 * MINUTE))
    await ben.delete(question)
    await pass_time(home, 11 * MINUTE)
    kept = await ana.get(AT)
    assert [each["id"] for each in kept] == [answer["id"]] and fine["id"] != answer["id"]
    assert kept[0]["fedishare"] == {"failed": GONE}
    told = (await ana.get("/api/v1/notifications"))[0]
    assert told["type"] == "mention" and told["status"]["visibility"] == "direct" and told["status"]["local_only"]
    assert f"your scheduled post was not published: {GONE}" in plain(told["status"])
    assert await ben.notifications() == [] and home.world.internet.sent == []

    # Somebody who is suspended publishes nothing; what was theirs is there when they are back, and goes at a new time.
    held = await ana.say("held", scheduled_at=later(home, 10 * MINUTE))

    def suspend(tx: Tx, on: bool) -> None:
        found = actors.by_handle(tx, Handle("ana"))
        assert found is not None
        (accounts.suspend if on else accounts.restore)(tx, found, "test")

    await home.org.write(suspend, True)
    await pass_time(home, 11 * MINUTE)
    await home.org.write(suspend, False)
    back = await home.client("ana", "read write")
    listed = (await back.get(AT)).json()
    assert listed[0]["id"] == held["id"] and listed[0]["fedishare"] == {"failed": "the account is not active"}
    again = await back.put(f"{AT}/{held['id']}", json={"scheduled_at": later(home, 10 * MINUTE)})
    assert "fedishare" not in again.json()
    await pass_time(home, 11 * MINUTE)
    assert "held" in [plain(each) for each in (await back.get("/api/v1/timelines/home")).json()]


async def test_a_partner_that_ended_meanwhile_is_no_longer_written_to(home: House) -> None:
    await home.org.partner("moon.example")
    made = await home.ana.say("for the moon", scheduled_at=later(home, 10 * MINUTE), reach=["moon.example"])
    assert made["params"]["reach"] == ["moon.example"]
    moon = await home.guest("selene", "moon.example")
    await home.followed(moon, home.ana)
    assert await home.org.set_partner("moon.example", PartnerState.ENDED) == 0
    await pass_time(home, 11 * MINUTE)
    kept = (await home.ana.get(AT))[0]
    assert kept["fedishare"] == {"failed": "moon.example is not a partner of this server any more"}
    assert home.world.internet.to("moon.example") == []
