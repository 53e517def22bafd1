"""Push: apps are told, encrypted, through services that the operator listed; nobody else, and nothing else, is told."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import http_ece
import httpx
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fedishare.services import accounts
from fedishare.store import push
from fedishare.store.db import sql
from fedishare.webpush import from_base64, to_base64
from tests.api import mastodon
from tests.support.instances import House, house
from tests.support.internet import Sent

SERVICE, OTHER = "push.example", "other.example"
AT = "/api/v1/push/subscription"
APP = ec.derive_private_key(7, ec.SECP256R1())
POINT = APP.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
AUTH = b"0123456789abcdef"
HOUR = 3_600_000
COUNT = sql("test_push_count", "SELECT count(*) FROM push_subscription")


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path, push={"hosts": ["PUSH.example"], "content": True}) as made:
        made.world.internet.answer(SERVICE, 201)
        yield made


def asked(*alerts: str, endpoint: str = f"https://{SERVICE}/device/1", **more: Any) -> dict[str, Any]:
    """The form of an app's subscription."""
    data = {"alerts": dict.fromkeys(alerts or ("mention", "favourite", "follow"), True)} | more.pop("data", {})
    keys = {"p256dh": to_base64(POINT), "auth": to_base64(AUTH)} | more.pop("keys", {})
    return {"subscription": {"endpoint": endpoint, "keys": keys, "standard": True} | more, "data": data}


def read(sent: Sent) -> dict[str, Any]:
    """What the app makes of a message."""
    assert sent.body is not None
    if sent.headers["content-encoding"] == "aes128gcm":
        text = http_ece.decrypt(sent.body, private_key=APP, auth_secret=AUTH, version="aes128gcm")
    else:
        dh = dict(part.split("=", 1) for part in sent.headers["crypto-key"].split(";"))["dh"]
        salt = from_base64(sent.headers["encryption"].removeprefix("salt="))
        text = http_ece.decrypt(
            sent.body, salt=salt, private_key=APP, dh=urlsafe_b64decode(dh + "="), auth_secret=AUTH, version="aesgcm"
        )
    found: dict[str, Any] = msgspec.json.decode(text)
    return found


async def later(home: House) -> list[dict[str, Any]]:
    """The same, when an hour has passed and what failed was tried again."""
    home.world.clock.forward(HOUR)
    home.org.server.worker.wake()
    return await told(home)


async def told(home: House) -> list[dict[str, Any]]:
    """The messages that have left so far."""
    await home.world.settle()
    return [read(sent) for sent in home.world.internet.to(SERVICE)]


async def test_an_app_is_told_of_what_it_asked_for(home: House) -> None:
    ana, ben = home.ana, home.ben
    made = (await ana.client.post(AT, json=asked("mention", "follow"))).json()
    alerts = msgspec.convert(made, mastodon.WebPushSubscription).alerts
    assert (alerts.mention, alerts.reblog) == (True, False)
    instance = await ana.get("/api/v2/instance")
    assert made["server_key"] == instance["configuration"]["vapid"]["public_key"] and len(made["server_key"]) == 87
    assert (await ana.get(AT)) == made

    said = await ben.say("@ana the scan is ready")
    await ben.do(f"/api/v1/statuses/{(await ana.say('thanks'))['id']}/favourite")
    (message,) = await told(home)
    (note,) = await ana.get("/api/v1/notifications", types=["mention"])
    assert (message["notification_id"], message["notification_type"]) == (int(note["id"]), "mention")
    assert (message["title"], message["body"]) == ("You were mentioned by ben", "@ana the scan is ready")
    assert message["icon"].startswith("https://") and message["preferred_locale"] == "en"
    # the app finds the account by its token, which nobody else can read
    bearer = ana.client.headers["authorization"].partition(" ")[2]
    assert message["access_token"] == bearer
    (sent,) = home.world.internet.to(SERVICE)
    assert sent.body is not None and bearer.encode() not in sent.body and b"scan" not in sent.body
    assert sent.headers["ttl"] == "172800" and sent.headers["authorization"].startswith("vapid t=")
    assert "signature" not in sent.headers and "cookie" not in sent.headers
    assert said["id"] == note["status"]["id"]

    changed = await ana.client.put(AT, json={"data": {"alerts": {"favourite": "true"}, "policy": "followed"}})
    assert changed.json()["alerts"] == dict.fromkeys(changed.json()["alerts"], False) | {"favourite": True}
    second = (await ana.say("later"))["id"]
    await ben.do(f"/api/v1/statuses/{second}/favourite")
    assert len(await told(home)) == 1  # ana does not follow ben
    await ana.do(f"/api/v1/accounts/{home.cy.id}/follow")
    await home.cy.do(f"/api/v1/statuses/{second}/favourite")
    assert [m["notification_type"] for m in await told(home)] == ["mention", "favourite"]

    assert (await ana.client.delete(AT)).json() == {}
    assert (await ana.client.get(AT)).status_code == 404 and (await ana.client.put(AT, json={})).status_code == 404
    await home.cy.do(f"/api/v1/statuses/{(await ana.say('more'))['id']}/favourite")
    assert len(await told(home)) == 2


async def test_forms_of_older_apps(home: House) -> None:
    form = {
        "subscription[endpoint]": f"https://{SERVICE}/device/2", "subscription[keys][p256dh]": to_base64(POINT) + "=",
        "subscription[keys][auth]": to_base64(AUTH) + "==", "data[alerts][mention]": "1",
    }  # fmt: skip
    answer = await home.ana.client.post(AT, data=form)
    assert answer.status_code == 200 and answer.json()["standard"] is False and answer.json()["policy"] == "all"
    await home.ben.say("@ana hello")
    assert [message["body"] for message in await told(home)] == ["@ana hello"]
    assert home.world.internet.to(SERVICE)[0].headers["content-encoding"] == "aesgcm"


@pytest.mark.parametrize(
    "wrong",
    [
        {"endpoint": f"https://{OTHER}/device"}, {"endpoint": "https://clinic.example/x"}, {"endpoint": ""},
        {"endpoint": f"http://{SERVICE}/device"}, {"endpoint": f"https://sub.{SERVICE}/"}, {"endpoint": "x" * 3000},
        {"endpoint": "https://lab.example/x"}, {"endpoint": f"https://{SERVICE}@{OTHER}/"},
        {"keys": {"auth": "AA"}}, {"keys": {"p256dh": "AAAA"}}, {"keys": {"p256dh": "é"}}, {"data": {"policy": "some"}},
        {"data": {"alerts": {"mention": "perhaps"}}},
    ],
)  # fmt: skip
async def test_subscriptions_that_cannot_be(home: House, wrong: dict[str, Any]) -> None:
    answer = await home.ana.client.post(AT, json=asked(**wrong))
    assert answer.status_code == 422 and answer.json()["error"], answer.text
    assert (await home.org.read(lambda tx: tx.value(COUNT))) == 0
    assert (await home.ana.client.post(AT, json=asked())).status_code == 200
    assert home.world.internet.dns_lookups == []


async def test_without_content_a_message_only_says_that_there_is_something(tmp_path: Path) -> None:
    async with house(tmp_path, push={"hosts": [SERVICE]}) as home:
        home.world.internet.answer(SERVICE, 201)
        await home.ana.client.post(AT, json=asked())
        await home.ben.say("@ana a secret")
        (message,) = await told(home)
    assert message["title"] == "There is something new" and message["body"] == message["icon"] == ""
    assert "ben" not in str(message) and "secret" not in str(message)


async def test_by_default_nobody_is_told(home: House, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    async with house(tmp_path / "other") as plain:
        refused = await plain.ana.client.post(AT, json=asked())
        assert refused.status_code == 422 and "[push] hosts" in refused.json()["error"]


async def test_what_ends_before_it_is_sent_is_not_sent(home: House) -> None:
    ana, ben, internet = home.ana, home.ben, home.world.internet
    await ana.client.post(AT, json=asked())
    internet.answer(SERVICE, 503)
    gone = await ben.say("@ana never mind")
    await home.cy.say("@ana still here?")
    assert len(await told(home)) == 2
    await ben.delete(gone)
    await ana.do(f"/api/v1/accounts/{home.cy.id}/block")
    internet.answer(SERVICE, 201)
    assert len(await later(home)) == 2
    # what is left is told, until the token ends
    internet.answer(SERVICE, 503)
    await ben.say("@ana and me?")
    assert len(await told(home)) == 3
    (subscription,) = await home.org.read(push.of_actor, ana.id)
    await home.org.write(accounts.revoke_token, subscription.token_id)
    internet.answer(SERVICE, 201)
    assert len(await later(home)) == 3
    assert (await home.org.read(lambda tx: tx.value(COUNT))) == 1
    await home.org.write(push.prune, home.world.clock())
    assert (await home.org.read(lambda tx: tx.value(COUNT))) == 0


async def test_services_that_refuse_are_asked_again_or_never(home: House) -> None:
    ana, internet = home.ana, home.world.internet
    await ana.client.post(AT, json=asked())
    internet.answer(SERVICE, 503, times=1)
    await home.ben.say("@ana one")
    await home.world.settle()
    assert [message["body"] for message in await later(home)] == ["@ana one"] * 2
    internet.answer(SERVICE, 410)
    await home.ben.say("@ana two")
    await told(home)
    assert (await ana.client.get(AT)).status_code == 404
    internet.answer(SERVICE, 201)
    await ana.client.post(AT, json=asked())
    internet.answer(SERVICE, 307, headers={"location": f"https://{OTHER}/x"})
    await home.ben.say("@ana three")
    await told(home)
    assert internet.to(OTHER) == [] and OTHER not in internet.dns_lookups


async def test_each_token_has_one_of_its_own(home: House) -> None:
    ana = home.ana
    again = await home.client("ana", "push")
    await ana.client.post(AT, json=asked(endpoint=f"https://{SERVICE}/a"))
    await ana.client.post(AT, json=asked(endpoint=f"https://{SERVICE}/b"))
    assert (await again.get(AT)).status_code == 404
    assert (await again.post(AT, json=asked(endpoint=f"https://{SERVICE}/c"))).status_code == 200
    reader = await home.client("ana", "read")
    refused: httpx.Response = await reader.post(AT, json=asked())
    assert refused.status_code == 403
    await home.ben.say("@ana hello")
    await home.world.settle()
    assert sorted(sent.path for sent in home.world.internet.to(SERVICE)) == ["/b", "/c"]
