"""What belongs to somebody else: one of each kind, the same word in all of them, and whether anything of it changed."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from fedishare.http.routes import Route
from tests.support.instances import House
from tests.support.pictures import picture
from tests.support.world import Json

SECRET = "only for ben"
"""Stands in everything that is not for ana."""
MISSING = {"error": "Record not found"}
NOWHERE = "7"
"""An id that nothing has."""
_SEEN = {("token", "last_used_at"), ("credential", "last_seen_at")}
"""Columns that every call with a token may change."""
_DERIVED = ("active_day", "actor_pending", "actor_words", "post_pending", "post_words")
"""Tables that are kept in step later, or note on which days somebody was there."""


@dataclass(frozen=True, slots=True)
class Things:
    """cy's, unless said otherwise; by id. None of it is for ana, but `shown` and `quoting`."""

    private: str
    direct: str
    poll: str
    notification: str
    group: str
    request: str
    """ben's id: he asks to follow cy."""
    media: str
    file: str
    """The path of a picture that is in no post yet."""
    attached: str
    """The path of a picture in a followers-only post."""
    filter: str
    keyword: str
    filtered: str
    conversation: str
    waiting: str
    scheduled: str
    list: str
    featured: str
    shown: str
    """A post that everybody here may see."""
    quoting: str
    """ben's quote of that."""

    @property
    def hidden(self) -> tuple[str, str, str]:
        """Posts that ana may not see."""
        return self.private, self.direct, self.poll


async def things(home: House) -> Things:
    """cy has something of everything, and ben a part in some of it."""
    cy, ben = home.cy, home.ben
    await cy.do("/api/v1/accounts/update_credentials", 200, "PATCH", locked=True, hide_collections=True)
    private = await cy.say(SECRET, visibility="private")
    direct = await cy.say(f"@ben {SECRET}", visibility="direct")
    poll = await cy.say(f"@ben {SECRET}?", visibility="direct", poll={"options": ["a", "b"], "expires_in": 600})
    await ben.do(f"/api/v1/accounts/{cy.id}/follow")
    (notification,) = await cy.get("/api/v1/notifications")
    await cy.do("/api/v1/fedishare/aliases", acct="ben")
    loose = await _upload(home)
    seen = await cy.say(SECRET, visibility="private", media_ids=[(await _upload(home))["id"]])
    kept = await cy.do(
        "/api/v2/filters", title=SECRET, context=["notifications"], keywords_attributes=[{"keyword": SECRET}]
    )
    filtered = await cy.do(f"/api/v2/filters/{kept['id']}/statuses", status_id=private["id"])
    conversation = (await cy.get("/api/v1/conversations"))[0]
    await cy.do("/api/v2/notifications/policy", 200, "PATCH", for_not_following="filter")
    await ben.say(f"@cy {SECRET}", visibility="direct")
    (waiting,) = await cy.get("/api/v1/notifications/requests")
    scheduled = await cy.say(SECRET, scheduled_at="2099-01-01T00:00:00Z")
    named = await cy.do("/api/v1/lists", title=SECRET)
    await cy.do(f"/api/v1/lists/{named['id']}/accounts", account_ids=[str(cy.id)])
    featured = await cy.do("/api/v1/featured_tags", name="mine")
    shown = await cy.say("for everybody here", quote_approval_policy="public")
    quoting = await ben.say("look", quoted_status_id=shown["id"])
    return Things(
        private=private["id"], direct=direct["id"], poll=poll["id"], notification=notification["id"],
        group=notification["group_key"], request=str(ben.id), media=loose["id"], file=urlsplit(loose["url"]).path,
        attached=urlsplit(seen["media_attachments"][0]["url"]).path, filter=kept["id"],
        keyword=kept["keywords"][0]["id"], filtered=filtered["id"], conversation=conversation["id"],
        waiting=waiting["id"], scheduled=scheduled["id"], list=named["id"], featured=featured["id"],
        shown=shown["id"], quoting=quoting["id"],
    )  # fmt: skip


async def _upload(home: House) -> Json:
    answer = await home.cy.client.post("/api/v1/media", files={"file": ("a.png", picture(), "image/png")})
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    assert found["url"], "v1 waits until the picture is ready"
    return found


async def whole_call(client: httpx.AsyncClient, route: Route, path: str, ident: str = NOWHERE) -> httpx.Response:
    """A call with a body that would do, so that only whose thing it is can stand against it."""
    body: dict[str, Any] = {}
    if route.method in ("POST", "PUT", "PATCH", "DELETE") and route.max_body:
        body = {"json": {"status": "mine now", "choices": [0], "description": "mine", "title": "mine"}}
        body["json"] |= {"keyword": "mine", "phrase": "mine", "status_id": ident, "context": ["home"]}
        body["json"] |= {"account_ids": ["1"], "quote_approval_policy": "nobody"}
        if route.streams:
            body = {"data": {"description": "mine"}}
        if route.path.endswith("box"):
            note = {"@context": "https://www.w3.org/ns/activitystreams", "type": "Note", "content": "mine now"}
            body = {"content": json.dumps(note), "headers": {"content-type": "application/activity+json"}}
    return await client.request(route.method, path, **body)


def rows(home: House) -> dict[str, str]:
    """A fingerprint of every table: whatever is written, it changes."""
    path = home.world.folder / f"{home.org.host}.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        tables = database.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            " AND sql NOT LIKE 'CREATE VIRTUAL%'"
        ).fetchall()
        return {name: _fingerprint(database, name) for (name,) in tables if not name.startswith(_DERIVED)}


def _fingerprint(database: sqlite3.Connection, table: str) -> str:
    columns = [row[1] for row in database.execute(f'PRAGMA table_info("{table}")')]
    kept = ", ".join(f'"{name}"' for name in columns if (table, name) not in _SEEN)
    found = sorted(map(repr, database.execute(f'SELECT {kept} FROM "{table}"')))
    return hashlib.sha256("\n".join(found).encode()).hexdigest()
