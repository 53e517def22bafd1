"""Uploads through the client API: made anew, described, attached, edited, deleted, swept up."""

from __future__ import annotations

import asyncio
import io
import os
import stat
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from PIL import Image

from fedishare.housekeeping import Housekeeping
from fedishare.media import films
from fedishare.media.films import Tools
from fedishare.media.sniff import MP4
from fedishare.model.errors import BadInput
from fedishare.services import accounts
from fedishare.services import media as service
from tests.api import mastodon
from tests.support.instances import House
from tests.support.pictures import moving, photograph, picture
from tests.support.world import Json, Person

DAY = 24 * 3600 * 1000


async def upload(person: Person, body: bytes | None = None, expected: int = 200, /, **data: str) -> Json:
    """An upload that is answered like that."""
    files = {"file": ("x.png", picture() if body is None else body, "image/png")}
    answer = await person.client.post("/api/v2/media", files=files, data=data)
    assert answer.status_code == expected, answer.text
    if expected in (200, 202):
        msgspec.json.decode(answer.content, type=mastodon.MediaAttachment)
    found: Json = answer.json()
    return found


async def load(person: Person, url: str, **headers: str) -> httpx.Response:
    """What an app gets that loads pictures without its token."""
    transport = httpx.ASGITransport(app=person.org.server, client=("192.0.2.8", 4000))
    async with httpx.AsyncClient(transport=transport) as client:
        return await client.get(url, headers=headers)


def kept(house: House) -> list[str]:
    """The names of all files on disk."""
    return sorted(p.name for p in house.org.config.media_path.rglob("*") if p.is_file())


async def tidy(house: House) -> None:
    """Whatever housekeeping does in an hour."""
    keeping = Housekeeping(house.org.server.federation, house.org.server.worker)
    await keeping.sweep_files()
    await keeping.empty_trash()


async def test_a_picture_from_upload_to_deletion(both: House) -> None:
    ana, ben = both.ana, both.ben
    made = await upload(ana, photograph(), description="A ward", focus="-0.5,0.25")
    assert made["type"] == "image" and made["description"] == "A ward" and made["remote_url"] is None
    assert made["meta"]["focus"] == {"x": -0.5, "y": 0.25} and made["meta"]["original"]["size"] == "800x1200"
    assert made["meta"]["small"]["width"] < 800 and len(made["blurhash"]) > 20
    assert await ana.get(f"/api/v1/media/{made['id']}") == made
    changed = await ana.do(f"/api/v1/media/{made['id']}", 200, "PUT", description="A corridor", focus="0,0")
    assert changed["description"] == "A corridor" and changed["meta"]["focus"] == {"x": 0, "y": 0}
    said = await ana.say("look", media_ids=[made["id"]])
    assert said["media_attachments"] == [changed]
    (seen,) = (await ben.get(f"/api/v1/statuses/{said['id']}"))["media_attachments"]
    got = await load(ben, seen["url"])
    assert got.status_code == 200 and Image.open(io.BytesIO(got.content)).size == (800, 1200)
    assert seen["url"] != changed["url"] and seen["url"].partition("?")[0] == changed["url"].partition("?")[0]
    # While it is part of a post, it is changed with the post only.
    assert (await ana.client.put(f"/api/v1/media/{made['id']}", json={"description": "x"})).status_code == 404
    assert (await ana.client.delete(f"/api/v1/media/{made['id']}")).status_code == 422
    await ana.do(f"/api/v1/statuses/{said['id']}", 200, "DELETE", delete_media=True)
    assert (await load(ben, seen["url"])).status_code == (await load(ana, changed["url"])).status_code == 404
    await tidy(both)
    assert kept(both) == []


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "AVIF"])
async def test_each_format_and_a_thumbnail_of_ones_own(home: House, kind: str) -> None:
    ana = home.ana
    small = {"thumbnail": ("t.png", picture(size=(30, 20), colour=(0, 0, 255)), "image/png")}
    files = {"file": ("x", picture(kind), "application/octet-stream")}
    made = (await ana.client.post("/api/v1/media", files=files | small)).json()
    assert made["type"] == "image" and made["meta"]["original"]["size"] == "64x48" and made["blurhash"]
    assert (made["meta"]["small"]["width"], made["meta"]["small"]["height"]) == (30, 20)
    shown = Image.open(io.BytesIO((await load(ana, made["preview_url"])).content)).convert("RGB")
    assert shown.size == (30, 20) and shown.getpixel((5, 5)) == (0, 0, 255)
    other = {"thumbnail": ("t.gif", moving(size=(20, 30)), "image/gif")}
    changed = (await ana.client.put(f"/api/v1/media/{made['id']}", files=other)).json()
    assert changed["meta"]["small"]["width"] == 20 and changed["url"].partition("?")[0] == made["url"].partition("?")[0]
    wrong = await ana.client.put(f"/api/v1/media/{made['id']}", files={"thumbnail": ("t", b"<svg/>", "image/png")})
    assert wrong.status_code == 422
    await tidy(home)
    assert len(kept(home)) == 2, "the thumbnail before it is gone, and nothing is left of what was refused"


async def test_order_edits_and_history(both: House) -> None:
    ana = both.ana
    one, two, three = [await upload(ana, picture(colour=(n, n, n))) for n in (10, 20, 30)]
    said = await ana.say("", media_ids=[three["id"], one["id"]])
    assert [m["id"] for m in said["media_attachments"]] == [three["id"], one["id"]]
    noted = await ana.edit(said, "words", media_attributes=[{"id": one["id"], "description": "first"}])
    assert [m["id"] for m in noted["media_attachments"]] == [three["id"], one["id"]]
    edited = await ana.edit(
        said, "words", media_ids=[two["id"], three["id"]],
        media_attributes=[{"id": three["id"], "description": "third", "focus": "1,-1"}],
    )  # fmt: skip
    assert [(m["id"], m["description"]) for m in edited["media_attachments"]] == [
        (two["id"], None), (three["id"], "third"),
    ]  # fmt: skip
    versions = await ana.get(f"/api/v1/statuses/{said['id']}/history")
    assert [m["id"] for m in versions[0]["media_attachments"]] == [three["id"], one["id"]]
    assert (await load(ana, versions[0]["media_attachments"][1]["url"])).status_code == 200
    assert (await ana.edit(said, "words", media_ids=[one["id"]]))["media_attachments"][0]["description"] == "first"
    assert (await ana.edit(said, "words"))["media_attachments"] == [], "what an edit does not name goes, as in Mastodon"
    refused = await ana.client.put(f"/api/v1/statuses/{said['id']}", json={"status": "", "media_ids": []})
    assert refused.status_code == 422, "a post without words needs something else"
    only = await ana.get(f"/api/v1/accounts/{ana.id}/statuses", only_media="true")
    assert only == []


async def test_what_cannot_be_attached(both: House) -> None:
    ana, ben = both.ana, both.ben
    mine, used, theirs = await upload(ana), await upload(ana), await upload(ben)
    await ana.say("used", media_ids=[used["id"]])

    async def refused(sentence: str, **fields: Any) -> None:
        answer = await ana.client.post("/api/v1/statuses", json={"status": "x"} | fields)
        assert answer.status_code == 422 and sentence in answer.json()["error"], answer.text

    await refused("not found or already attached", media_ids=[mine["id"], theirs["id"]])
    await refused("not found or already attached", media_ids=[used["id"]])
    await refused("not found or already attached", media_ids=["x"])
    many = [(await upload(ana))["id"] for _ in range(5)]
    await refused("Cannot attach more than 4 files", media_ids=many)
    poll = {"options": ["a", "b"], "expires_in": 600}
    await refused("Cannot attach more than 4 files", media_ids=[mine["id"]], poll=poll)
    said = await ana.say("x", media_ids=[mine["id"]])
    assert len(said["media_attachments"]) == 1
    for method, path in (("GET", ""), ("PUT", ""), ("DELETE", "")):
        answer = await ben.client.request(method, f"/api/v1/media/{many[0]}{path}")
        assert answer.status_code == 404


async def test_written_anew_with_the_same_pictures(home: House) -> None:
    made = await upload(home.ana)
    said = await home.ana.say("wrod", media_ids=[made["id"]])
    gone = await home.ana.do(f"/api/v1/statuses/{said['id']}", 200, "DELETE")
    assert gone["text"] == "wrod" and gone["media_attachments"][0]["id"] == made["id"]
    assert (await load(home.ben, made["url"].replace("?ticket=", "?x="))).status_code == 404
    again = await home.ana.say("word", media_ids=[made["id"]])
    assert (await load(home.ana, again["media_attachments"][0]["url"])).status_code == 200


async def test_unused_uploads_go_after_a_day_and_kept_ones_later(both: House) -> None:
    ana = both.ana
    unused, planned = await upload(ana), await upload(ana)
    clock = both.world.clock
    await both.org.write(service.keep, ana.id, [int(planned["id"])], clock() + 5 * DAY)
    clock.forward(DAY - 60_000)
    await tidy(both)
    assert len(kept(both)) == 2
    clock.forward(120_000)
    await tidy(both)
    assert (await ana.client.get(f"/api/v1/media/{unused['id']}")).status_code == 404
    assert (await ana.client.get(f"/api/v1/media/{planned['id']}")).status_code == 200
    assert len(kept(both)) == 1
    await ana.do(f"/api/v1/media/{planned['id']}", 200, "DELETE")
    await tidy(both)
    assert kept(both) == []


async def test_files_that_are_nobodys_are_found(home: House) -> None:
    folder = home.org.server.instance.studio.folder
    await upload(home.ana)
    folder.put("0" * 32 + ".png", b"left by a crash")
    await tidy(home)
    assert len(kept(home)) == 2, "it may belong to somebody who is just about to say so"
    for path in folder.root.rglob("*.png"):
        os.utime(path, (1000, 1000))
    await tidy(home)
    assert len(kept(home)) == 1 and "0" * 32 + ".png" not in kept(home)


async def test_profile_pictures(both: House) -> None:
    ana, ben = both.ana, both.ben
    path = "/api/v1/accounts/update_credentials"
    files = {"avatar": ("a.gif", moving(), "image/gif"), "header": ("h.jpg", photograph(), "image/jpeg")}
    mine = (await ana.client.patch(path, files=files, data={"avatar_description": "me"})).json()
    seen = await ben.get(f"/api/v1/accounts/{ana.id}")
    assert seen["avatar"] == mine["avatar"] and seen["avatar_description"] == "me"
    avatar = await load(ben, seen["avatar"])
    assert avatar.headers["content-type"] == "image/gif" and Image.open(io.BytesIO(avatar.content)).size == (400, 400)
    assert Image.open(io.BytesIO((await load(ben, seen["header"])).content)).size == (1500, 500)
    refused = await ana.client.patch(path, files={"avatar": ("a.png", b"x", "image/png")})
    assert refused.status_code == 422
    assert (await ana.client.patch(path, data={"display_name": "Ana"})).json()["avatar"] == mine["avatar"]
    gone = await ana.do("/api/v1/profile/avatar", 200, "DELETE")
    assert gone["avatar"].endswith("/avatars/original/missing.svg") and gone["header"] == mine["header"]
    assert (await load(ben, seen["avatar"])).status_code == 404
    await tidy(both)
    assert len(kept(both)) == 1
    bare = await ana.do("/api/v1/profile/header", 200, "DELETE")
    assert bare["header"].endswith("/headers/original/missing.svg")
    await tidy(both)
    assert kept(both) == []


async def test_who_is_deleted_leaves_no_files(both: House) -> None:
    ana = both.ana
    await ana.client.patch("/api/v1/accounts/update_credentials", files={"avatar": ("a", picture(), "image/png")})
    used, _unused = await upload(ana), await upload(ana)
    await ana.say("look", media_ids=[used["id"]])
    kept_by_ben = await upload(both.ben)
    await both.org.write(accounts.delete, await both.org.actor(ana.iri), "test")
    await tidy(both)
    assert kept(both) == [kept_by_ben["url"].partition("?")[0].rpartition("/")[2]]


async def test_a_full_disk_is_told_and_changes_nothing(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        answer = await upload(home.ana, None, 503)
        assert "nothing was changed" in answer["error"] and kept(home) == []
    home.world.errors.seen.clear()
    await upload(home.ana)


async def test_links_turn_daily_and_hold_for_the_next_day(home: House) -> None:
    made = await upload(home.ana)
    said = await home.ana.say("look", media_ids=[made["id"]])

    async def shown() -> str:
        url: str = (await home.ben.get(f"/api/v1/statuses/{said['id']}"))["media_attachments"][0]["url"]
        return url

    first = await shown()
    assert first == await shown()
    home.world.clock.forward(DAY)
    second = await shown()
    assert second != first and (await load(home.ben, first)).status_code == 200
    home.world.clock.forward(DAY)
    assert (await load(home.ben, first)).status_code == 404 and (await load(home.ben, second)).status_code == 200


async def test_parts_of_files_and_what_is_not_sent_twice(home: House) -> None:
    url = (await upload(home.ana, picture("JPEG", (900, 700))))["url"]
    whole = await load(home.ana, url)
    part = await load(home.ana, url, range="bytes=2-9")
    assert part.status_code == 206 and part.content == whole.content[2:10]
    assert part.headers["content-range"] == f"bytes 2-9/{len(whole.content)}"
    assert (await load(home.ana, url, range="bytes=-5")).content == whole.content[-5:]
    assert (await load(home.ana, url, range="bytes=5-")).content == whole.content[5:]
    for odd in ("bytes=", "bytes=-", "chapters=1-2", "bytes=1-2,4-5", "bytes=x-y"):
        assert (await load(home.ana, url, range=odd)).status_code == 200
    beyond = await load(home.ana, url, range=f"bytes={len(whole.content)}-")
    assert beyond.status_code == 416 and beyond.headers["content-range"] == f"bytes */{len(whole.content)}"
    again = await load(home.ana, url, **{"if-none-match": whole.headers["etag"]})
    assert again.status_code == 304 and again.content == b""


PROGRAM = """#!/bin/sh
for last; do :; done
case "$0" in
  *ffprobe) cat "{folder}/probe.json" ;;
  *) case "$*" in
       *mjpeg*) cp "{folder}/frame.jpg" "${{last#file:}}" ;;
       *) [ -e "{folder}/broken" ] && exit 1; printf 'made anew' > "${{last#file:}}" ;;
     esac ;;
esac
"""
PROBE = (
    '{{"streams":[{{"codec_type":"video","width":{width},"height":240,"avg_frame_rate":"25/1"}},'
    '{{"codec_type":"audio"}}],"format":{{"duration":"{seconds}"}}}}'
)
FILM = b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2" + b"\0" * 100


def pretend_tools(folder: Path, *, seconds: float = 2.0, width: int = 320) -> Tools:
    """Programs that do what ffmpeg would, for a film that they need not understand."""
    (folder / "probe.json").write_text(PROBE.format(seconds=seconds, width=width))
    (folder / "frame.jpg").write_bytes(picture("JPEG"))
    for name in ("ffmpeg", "ffprobe"):
        (folder / name).write_text(PROGRAM.format(folder=folder))
        (folder / name).chmod(stat.S_IRWXU)
    return Tools(str(folder / "ffmpeg"), str(folder / "ffprobe"))


async def test_films_are_made_by_a_job(home: House, tmp_path: Path) -> None:
    ana, studio = home.ana, home.org.server.instance.studio
    studio.tools = None
    refused = await upload(ana, FILM, 422)
    assert "cannot be processed on this server" in refused["error"] and kept(home) == []
    assert (
        "video/mp4"
        not in (await ana.get("/api/v2/instance"))["configuration"]["media_attachments"]["supported_mime_types"]
    )
    studio.tools = pretend_tools(tmp_path)
    made = await upload(ana, FILM, 202)
    assert made["url"] is None and made["type"] == "video"
    unready = await ana.client.post("/api/v1/statuses", json={"status": "x", "media_ids": [made["id"]]})
    assert unready.status_code in (200, 422), "it may be ready by now"
    await home.world.settle()
    shown = await ana.get(f"/api/v1/media/{made['id']}")
    msgspec.convert(shown, mastodon.MediaAttachment)
    assert shown["meta"]["original"]["duration"] == 2.0 and shown["meta"]["original"]["frame_rate"] == "25/1"
    film = await load(ana, shown["url"])
    assert film.content == b"made anew" and film.headers["content-type"] == "video/mp4"
    assert (await load(ana, shown["preview_url"])).headers["content-type"] == "image/jpeg"
    await tidy(home)
    assert len(kept(home)) == len([n for n in kept(home) if n.endswith((".mp4", ".jpg"))])
    other = await upload(ana)
    mixed = await ana.client.post(
        "/api/v1/statuses", json={"status": "x", "media_ids": [(await upload(ana, FILM, 202))["id"], other["id"]]}
    )
    assert mixed.status_code == 422


async def test_sounds_are_made_by_a_job_or_while_an_old_app_waits(home: House, tmp_path: Path) -> None:
    ana, studio = home.ana, home.org.server.instance.studio
    sound = b"ID3" + b"\0" * 200
    studio.tools = None
    refused = await upload(ana, sound, 422)
    assert "cannot be processed on this server" in refused["error"] and kept(home) == []
    studio.tools = pretend_tools(tmp_path)
    made = await upload(ana, sound, 202, description="a heart")
    assert (made["url"], made["preview_url"], made["type"], made["description"]) == (None, None, "audio", "a heart")
    await home.world.settle()
    shown = await ana.get(f"/api/v1/media/{made['id']}")
    msgspec.convert(shown, mastodon.MediaAttachment)
    assert (await load(ana, shown["url"])).headers["content-type"] == "audio/mpeg"
    waited = await ana.client.post("/api/v1/media", files={"file": ("x.mp3", sound, "audio/mpeg")})
    assert waited.status_code == 200 and waited.json()["url"] and waited.json()["meta"]["original"]["duration"] == 2.0
    said = await ana.say("listen", media_ids=[made["id"]])
    assert said["media_attachments"][0]["type"] == "audio"
    await tidy(home)
    assert [name for name in kept(home) if not name.endswith(".mp3")] == []


async def test_films_that_cannot_be_made_are_said_so(home: House, tmp_path: Path) -> None:
    ana, studio = home.ana, home.org.server.instance.studio
    studio.tools = pretend_tools(tmp_path, seconds=10_000)
    assert "at most 600 seconds" in (await upload(ana, FILM, 422))["error"]
    studio.tools = pretend_tools(tmp_path, width=9_000)
    assert "9000x240 videos are not supported" in (await upload(ana, FILM, 422))["error"]
    assert [n for n in kept(home) if n.endswith((".upload", ".mp4"))] == []
    studio.tools = pretend_tools(tmp_path)
    (tmp_path / "broken").touch()
    home.world.errors.seen.clear()
    made = await upload(ana, FILM, 202)
    await home.world.settle()
    answer = await ana.client.get(f"/api/v1/media/{made['id']}")
    assert answer.status_code == 422 and answer.json()["error"] == "Error processing thumbnail for uploaded media"
    await tidy(home)
    assert [n for n in kept(home) if n.endswith((".upload", ".mp4"))] == []


async def test_real_films_where_ffmpeg_is(tmp_path: Path) -> None:
    source, target = tmp_path / "a.mp4", tmp_path / "b.mp4"
    source.write_bytes(FILM)
    tools = films.find_tools()
    if tools is not None:
        made = await asyncio.create_subprocess_exec(
            tools.ffmpeg, "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc=d=1:s=64x48", "-metadata", "title=SECRET",
            str(source),
        )  # fmt: skip
        await made.wait()
        facts = await films.remake(tools, source, MP4, target)
        assert (facts.width, facts.height) == (64, 48) and b"SECRET" not in target.read_bytes()
    with pytest.raises((BadInput, OSError)):
        source.write_bytes(FILM)
        await films.remake(tools or Tools("/missing", "/missing"), source, MP4, target)
