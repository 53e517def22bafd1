"""What is for this house alone causes no request, no look-up and no byte, whatever is done with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.instances import House, house

LINK = "https://lab.example/page https://preview.example/page"
MINUTE = 60_000


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    partners = [{"domain": "lab.example", "public_addressing": True}]
    async with house(tmp_path, partners=partners, web={"preview_hosts": ["preview.example"]}) as made:
        yield made


async def test_local_posts_and_everything_that_is_done_with_them(home: House) -> None:
    ana, ben, world = home.ana, home.ben, home.world
    zoe = await home.guest("zoe")
    await home.followed(zoe, ana)
    await home.followed(zoe, ben)
    await home.friends()
    await world.settle()
    world.internet.forget()
    for visibility in ("public", "unlisted", "private", "direct"):
        open_to_all = visibility in ("public", "unlisted")
        more = {"quote_approval_policy": "public"} if open_to_all else {}
        said = await ana.say(f"@ben @zoe@lab.example @unknown@lab.example {LINK} #here", local_only=True,
                             visibility=visibility, **more)  # fmt: skip
        at = f"/api/v1/statuses/{said['id']}"
        asked = await ana.say("@ben ?", local_only=True, visibility=visibility,
                              poll={"options": ["a", "b"], "expires_in": 300})  # fmt: skip
        await ben.do(f"/api/v1/polls/{asked['id']}/votes", choices=[0])
        await ben.do(f"{at}/favourite")
        await ben.say(f"@ana back {LINK}", in_reply_to_id=said["id"], visibility=visibility)
        if open_to_all:
            await ben.do(f"{at}/reblog")
            quoting = await ben.say("look", quoted_status_id=said["id"])
            await ana.do(f"{at}/quotes/{quoting['id']}/revoke")
            await ana.do(f"{at}/interaction_policy", 200, "PUT", quote_approval_policy="nobody")
            await ana.do(f"{at}/pin")
        await ana.do(at, 200, "PUT", status=f"@ben @other@lab.example anew {LINK}/2 #there")
        when = world.clock() + 10 * MINUTE
        await ana.say(f"@third@lab.example later {LINK}", local_only=True, visibility=visibility,
                      scheduled_at=f"{_text(when)}")  # fmt: skip
        world.clock.forward(11 * MINUTE)
        await world.settle()
        for verb in ("unfavourite", "unreblog") if open_to_all else ("unfavourite",):
            await ben.do(f"{at}/{verb}")
        await ana.do(at, 200, "DELETE")
        await world.settle()
        assert world.internet.sent == [] and world.internet.dns_lookups == [], visibility
    assert len([text for text in await ana.texts() if "later" in text]) == 4, "the scheduled ones were published"
    # The same for partners does leave.
    await ana.say("hello", reach="partners")
    await world.settle()
    assert {each.host for each in world.internet.sent} == {"lab.example"}


def _text(millis: int) -> str:
    return datetime.fromtimestamp(millis / 1000, UTC).isoformat()
