"""Public pages: off, nobody is told anything; on, anybody sees what was labelled for everybody, and nothing else."""

from __future__ import annotations

from pathlib import Path

from fedishare.model.actors import ActorState
from fedishare.store import actors
from tests.support.world import Org, Said, World, new_world

CLINIC, LAB = "clinic.example", "lab.example"
HTML = {"accept": "text/html"}


async def look(world: World, path: str) -> Said:
    """A browser of somebody who is not signed in."""
    return await world.ask("GET", f"https://{CLINIC}{path}", HTML)


async def open_clinic(world: World, **tables: object) -> Org:
    """A clinic whose pages are for anybody."""
    return await world.org(CLINIC, [LAB, "care.example"], web={"public_pages": True}, **tables)


async def test_anybody_sees_what_is_for_everybody_and_nothing_else(tmp_path: Path) -> None:
    async with new_world(tmp_path) as world:
        clinic, lab = await open_clinic(world), await world.org(LAB, [CLINIC])
        ana, ben = await clinic.person("ana"), await lab.person("ben")
        await ben.follow(ana.handle)
        await world.settle()
        await ana.do("/api/v1/accounts/update_credentials", 200, "PATCH", note="I read <x-rays>")
        shown = await ana.say("seen 1 <b>&", reach="partners", spoiler_text="careful <i>")
        poll = await ana.say("seen 2?", reach="partners", poll={"options": ["yes <u>", "no"], "expires_in": 600})
        hidden = [
            await ana.say("kept 1"),
            await ana.say("kept 2", reach=[LAB]),
            await ana.say("kept 3", reach="partners", visibility="unlisted"),
            await ana.say("kept 4", reach="partners", visibility="private"),
            await ana.say("kept 5 @ben@lab.example", reach="partners", visibility="direct"),
        ]
        gone = await ana.say("kept 6", reach="partners")
        await ana.delete(gone)
        await world.settle()
        bens = await ben.say("kept 7 @ana@clinic.example", reach="partners")
        await world.settle()
        boost = await ana.on(shown["uri"], "reblog")
        hidden += [gone, await ana.reply(bens["uri"], "kept 8", reach="partners")]
        for path in ("/@ana", "/users/ana"):
            profile = await look(world, path)
            assert (profile.status, profile.headers["content-type"]) == (200, "text/html; charset=utf-8")
            assert b"seen 1 &lt;b&gt;&amp;" in profile.body and b"seen 2?" in profile.body and b"I read" in profile.body
            assert b"careful &lt;i&gt;" in profile.body and b"yes &lt;u&gt;" in profile.body
            assert b"kept" not in profile.body and b"<b>" not in profile.body and b"<script" not in profile.body
            assert b"ben" not in profile.body
            policy = profile.headers["content-security-policy"]
            assert "default-src 'none'" in policy and "no-store" in profile.headers["cache-control"]
        for post in (shown, poll):
            for url in (post["url"], post["uri"]):
                assert b"seen" in (await world.ask("GET", url, HTML)).body
        missing = await look(world, "/@ana/1")
        assert missing.status == 401
        for post in hidden:
            for url in (post["url"], post["uri"]):
                assert (await world.ask("GET", url, HTML)).body == missing.body, post["content"]
        for path in (f"/@ana/{10**30}", "/@ana/x", f"/@ana/{boost['id']}",
                     f"/@ben/{shown['id']}", "/@nobody", "/@ben", "/@ANA", "/tags/x",
                     "/users/ana/outbox", "/users/ana/followers", f"/users/ana/statuses/{shown['id']}/replies",
                     "/@instance.actor"):  # fmt: skip
            assert (await look(world, path)).body == missing.body, path
        assert (await look(world, f"/@ana?max_id={shown['id']}")).body.count(b"<article>") == 0
        assert (await look(world, "/@ana?max_id=99999999999999999999999&max_id=x")).status in (200, 401)
        # Servers are answered as ever: by signature only.
        assert (await world.ask("GET", shown["uri"])).status == 401
        await clinic.write(actors.set_state, ana.id, ActorState.SUSPENDED)
        assert (await look(world, "/@ana")).body == missing.body
        assert (await world.ask("GET", shown["url"], HTML)).body == missing.body


async def test_switched_off_nothing_is_shown_and_the_preview_says_which(tmp_path: Path) -> None:
    async with new_world(tmp_path) as world:
        closed = await world.org(CLINIC, [LAB])
        ana = await closed.person("ana")
        said = await ana.say("seen", reach="partners")
        assert (await world.ask("GET", said["url"], HTML)).status == 401
        assert (await look(world, "/@ana")).body == (await look(world, "/@nobody")).body
        preview = await ana.do("/api/v1/fedishare/audience", status="x", reach="partners")
        assert preview["anybody"] is False
    (tmp_path / "open").mkdir()
    async with new_world(tmp_path / "open") as world:
        ana = await (await open_clinic(world)).person("ana")
        for fields, anybody in (({"reach": "partners"}, True), ({}, False), ({"reach": [LAB]}, False),
                                ({"reach": "partners", "visibility": "unlisted"}, False)):  # fmt: skip
            preview = await ana.do("/api/v1/fedishare/audience", status="x", **fields)
            assert preview["anybody"] is anybody, fields


async def test_lookers_are_counted(tmp_path: Path) -> None:
    async with new_world(tmp_path) as world:
        clinic = await open_clinic(world, limits={"rates": True, "public_rate": 3})
        await clinic.person("ana")
        assert [(await look(world, "/@ana")).status for _ in range(4)] == [200, 200, 200, 429]


async def test_a_long_profile_is_read_in_pages(tmp_path: Path) -> None:
    async with new_world(tmp_path) as world:
        ana = await (await open_clinic(world)).person("ana")
        for number in range(23):
            await ana.say(f"number {number}", reach="partners")
        first = await look(world, "/@ana")
        assert first.body.count(b"<article>") == 20
        older = first.body.partition(b"?max_id=")[2].partition(b'"')[0].decode()
        second = await look(world, f"/@ana?max_id={older}")
        assert second.body.count(b"<article>") == 3 and b"number 0<" in second.body and b"Older" not in second.body
