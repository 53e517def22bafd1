"""Each route answers what Mastodon documents for it, field by field, in a house that has something of everything."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from fedishare.model.actors import ActorState, Role
from fedishare.model.cards import Preview
from fedishare.model.ids import Id, Millis
from fedishare.services import accounts, announcements
from fedishare.store import actors, cards, credentials
from fedishare.store.db import Tx
from tests.api import mastodon
from tests.api.answers import STREAM, Line, lines
from tests.api.test_admin_accounts import with_role
from tests.api.test_entities import things
from tests.api.test_instance import picture as emoji
from tests.api.test_push import asked as subscription
from tests.api.test_registration import app_client
from tests.support.instances import House, house
from tests.support.pictures import picture

NEVER = """AdminAccount.invited_by_account_id AnnouncedStatus.id AnnouncedStatus.url Announcement.mentions
Announcement.statuses DomainBlock.public_comment EmailDomainBlock.history IdentityProof.proof_url
IdentityProof.provider_username IdentityProof.provider IdentityProof.profile_url IdentityProof.updated_at
MediaAttachment.preview_remote_url MediaAttachment.text_url Measure.unit Measure.human_value Notification.event
NotificationGroup.event PreviewCardAuthor.account Publisher.requested_review_at Registrations.message Registrations.url
RelationshipSeveranceEvent.id RelationshipSeveranceEvent.type RelationshipSeveranceEvent.purged
RelationshipSeveranceEvent.target_name RelationshipSeveranceEvent.followers_count
RelationshipSeveranceEvent.following_count RelationshipSeveranceEvent.created_at ScheduledParams.application_id
ScheduledParams.scheduled_at Size.bitrate StatusApplication.website TermsOfService.succeeded_by Thumbnail.blurhash
Urls.status"""
"""What this server has nothing to say of."""
ELSEWHERE = """Error.error_description Failed.failed MediaMeta.duration MediaMeta.length Notes.narrowed
PreviewCard.blurhash PreviewCard.image QuoteApproval.manual Registrations.min_age Report.action_taken_at
ScheduledParams.idempotency ScheduledStatus.fedishare Size.duration Size.frame_rate StatusEdit.emojis
StatusEdit.media_attachments UserInfo.picture"""
"""What needs more than this house has; the tests of each noun look at it."""
UNSEEN = frozenset(f"{NEVER} {ELSEWHERE}".split())
NAMED = re.compile(r"\{[a-z_]+\}")
SETTINGS = {
    "title": "Clinic", "contact_email": "help@x.example", "contact_account": "ana", "peers": True,
    "extended_description": "text.txt", "privacy_policy": "text.txt", "terms_of_service": "text.txt",
    "terms_effective": "2026-01-01", "domain_blocks": True,
}  # fmt: skip


@pytest.fixture
async def full(tmp_path: Path) -> AsyncIterator[House]:
    """A house where everything is switched on."""
    (tmp_path / "text.txt").write_text("Words.")
    async with house(
        tmp_path, instance=SETTINGS, push={"hosts": ["push.example"]},
        registration={"mode": "open", "confirm_email": False},
    ) as made:  # fmt: skip
        yield made


def _card(tx: Tx, posts: list[str]) -> None:
    said = Preview(
        "News", "what there is", "en", "The Lab", "Dr Ana", "https://lab.example/ana", "2026-01-31T12:00:00.000Z"
    )
    card = cards.insert(tx, "https://lab.example/news", said, None)
    for post in posts:
        assert cards.attach(tx, Id(int(post)), card)


async def words(home: House) -> dict[str, str]:
    """One of everything, by the word that the table has for it."""
    made = await things(home)
    dora, eli, fay, gus = [await home.org.person(name) for name in ("dora", "eli", "fay", "gus")]
    limited = await home.guest("limited", "ward.example")
    await home.org.write(actors.set_state, limited.id, ActorState.LIMITED)
    await home.org.write(credentials.set_password, eli.id, accounts.hash_password("correct horse battery"))
    for follower, followed in ((home.ana, home.ben), (home.ben, home.cy)):
        await follower.do(f"/api/v1/accounts/{followed.id}/follow")
    await home.ben.say("@ana psst", visibility="direct")
    quoted = await home.ana.say("quote me", quote_approval_policy="public")
    quoting = await home.ben.say("look", quoted_status_id=quoted["id"])
    await home.ben.edit(quoting, "look!", poll={"options": ["c", "d"], "expires_in": 600})
    again = await home.ana.say("see", quoted_status_id=quoting["id"])
    both = [await person.say("#tag https://lab.example/news") for person in (home.ana, home.ben)]
    await home.org.write(_card, [said["id"] for said in both])
    for person in (dora, eli, fay, home.cy, home.ben):
        await person.do(f"/api/v1/statuses/{both[0]['id']}/favourite")
    odd = [{"keyword": "odd"}]
    made_filter = await home.ana.do(
        "/api/v2/filters", title="odd", context=["public"], keywords_attributes=odd, expires_in=600
    )
    filtered = await home.ben.say("odd")
    await home.ana.do(f"/api/v2/filters/{made_filter['id']}/statuses", status_id=filtered["id"])
    rule = await home.org.write(announcements.add_rule, "Be kind", "Really", "test")
    await home.org.write(announcements.translate_rule, rule, "de", "Sei nett", "", "test")
    await emoji(home, "thorax")
    now, soon = home.world.clock(), Millis(home.world.clock() + 3_600_000)
    shout = await home.org.write(announcements.add, "Maintenance #sunday :thorax:", "test", starts=now, ends=soon)
    groups = await home.ana.get("/api/v2/notifications")
    today = datetime.fromtimestamp(home.world.clock() / 1000, UTC)
    return {
        "zoe": str(made.guest.id), "limited": str(limited.id), "guests": str(made.post.id),
        "mine": made.mine, "asked": made.asked, "reply": made.reply, "quoted": quoted["id"], "quoting": quoting["id"],
        "own_quote": again["id"], "carded": both[0]["id"], "filtered": filtered["id"], "rule": str(rule),
        "announcement": str(shout), "emoji": "thorax", "hashtag": "tag", "nothing": "7", "effective": "2026-01-01",
        "group": next(g["group_key"] for g in groups["notification_groups"] if g["type"] == "favourite"),
        "today": today.isoformat(), "weekago": (today - timedelta(days=6)).isoformat(),
        **{person.name: str(person.id) for person in (home.ana, home.ben, home.cy, dora, eli, fay, gus)},
    }  # fmt: skip


async def clients(home: House) -> dict[str, httpx.AsyncClient]:
    """Who calls."""
    await home.org.person("mod")
    return {
        **{name: person.client for name, person in home.org.people.items()},
        "desk": await with_role(home, "mod", Role.ADMIN),
        "profile": await home.client("ana", "profile"),
        "app": await app_client(home.world, home.org),
        "stranger": await home.stranger(),
    }


def _filled(value: Any, made: dict[str, str]) -> Any:
    if isinstance(value, str):
        return NAMED.sub(lambda found: made[found[0][1:-1]], value)
    if isinstance(value, dict):
        return {key: _filled(each, made) for key, each in value.items()}
    return [_filled(each, made) for each in value] if isinstance(value, list) else value


async def ask(client: httpx.AsyncClient, line: Line, made: dict[str, str]) -> httpx.Response:
    """The call of a line."""
    method, _, path = line.name.partition(" ")
    for word in line.of:
        path = NAMED.sub(made[word], path, count=1)
    body: dict[str, Any] = {}
    if line.files:
        body = {"files": {"file": ("p.png", picture())}}
    elif line.body:
        found = subscription() if "push" in line.body else _filled(line.body, made)
        form = line.name.startswith("POST /oauth") or line.name.endswith("/proxy")
        body = {"data": found} if form else {"json": found}
    return await client.request(method, path + _filled(line.query, made), **body)


def differs(line: Line, answer: httpx.Response) -> str:
    """Why an answer is not the documented entity; empty when it is."""
    if answer.status_code != line.status:
        return f"{answer.status_code} instead of {line.status}: {answer.text[:300]}"
    if line.kind is None:
        return ""
    try:
        found = msgspec.json.decode(answer.content, type=line.kind)
    except msgspec.ValidationError as error:
        return f"{error}"
    return "nothing was there to be looked at" if found == [] and not line.empty else ""


def _kept(answer: httpx.Response) -> str:
    found = json.loads(answer.content)
    ident: str = (found[0] if isinstance(found, list) else found)["id"]
    return ident.rpartition("/")[2]


def seen_in(found: Any) -> Iterator[str]:
    """``Entity.field`` for each field that says something, in an answer and in what it holds."""
    if isinstance(found, msgspec.Struct):
        for name in found.__struct_fields__:
            value = getattr(found, name)
            if value is not None and value is not msgspec.UNSET and value != []:
                yield next(f"{k.__name__}.{name}" for k in type(found).__mro__ if name in k.__annotations__)
                yield from seen_in(value)
    elif isinstance(found, (list, dict)):
        for each in found.values() if isinstance(found, dict) else found:
            yield from seen_in(each)


async def test_every_route_answers_its_entity(full: House) -> None:
    made = await words(full)
    callers = await clients(full)
    form = {"client_name": "Pocket", "redirect_uris": "https://app.example/back", "scopes": "read write"}
    app = (await callers["stranger"].post("/api/v1/apps", data=form)).json()
    made |= {"client_id": app["client_id"], "client_secret": app["client_secret"]}
    differing: list[str] = []
    seen: set[str] = set()
    for line in lines():
        if line.kind is STREAM:
            continue
        answer = await ask(callers[line.who], line, made)
        wrong = differs(line, answer)
        if wrong:
            differing.append(f"{line.name} {' '.join(line.of)}{line.query}: {wrong}")
            continue
        if line.kind is not None:
            seen |= set(seen_in(msgspec.json.decode(answer.content, type=line.kind)))
        if line.keep and answer.content != b"[]":
            made[line.keep] = _kept(answer)
        if line.name == "POST /api/v1/fedishare/export":
            await full.world.settle()
    assert not differing, "\n".join(["these answers are not as documented:", *differing])
    told = _fields()
    blind = told - seen - UNSEEN
    assert not blind, "these fields never said anything, so nobody knows of what type they are: " + ", ".join(blind)
    assert told - seen >= UNSEEN, f"these can be taken from the list: {sorted(UNSEEN - (told - seen))}"


def _fields() -> set[str]:
    """Every field of every entity, by where it is first written down."""
    return {
        f"{kind.__name__}.{name}"
        for kind in vars(mastodon).values()
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct)
        for name in kind.__annotations__
    }


async def test_every_route_says_what_it_answers(full: House) -> None:
    registered = {route.name for route in full.org.server.router.routes}
    here = {name for name in registered if name.partition(" ")[2].startswith(("/api/", "/oauth/"))}
    told = {line.name for line in lines()}
    missing, unknown = sorted(here - told), sorted(told - registered)
    assert not missing, f"tests/api/answers.py has no line for {', '.join(missing)}"
    assert not unknown, f"tests/api/answers.py has lines for what is not registered: {', '.join(unknown)}"
