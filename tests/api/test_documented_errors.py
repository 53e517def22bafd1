"""What cannot be done is answered with Mastodon's status codes, and with its words, which apps show as they are."""

from __future__ import annotations

from tests.support.instances import House

POST: dict[str, object] = {"status": "x"}
WRONG: tuple[tuple[str, dict[str, object], int, str], ...] = (
    ("POST statuses", {}, 422, "Validation failed: Text can't be blank"),
    ("POST statuses", POST | {"in_reply_to_id": "7"}, 404,
     "The post you are trying to reply to does not appear to exist."),
    ("POST statuses", POST | {"media_ids": ["1", "2", "3", "4", "5"]}, 422, "Cannot attach more than 4 files"),
    ("POST statuses", POST | {"poll": {"options": ["a"], "expires_in": 600}}, 422,
     "Validation failed: Poll options must have more than one item"),
    ("POST statuses", POST | {"poll": {"options": ["a", "a"], "expires_in": 600}}, 422,
     "Validation failed: Poll options contain duplicate items"),
    ("POST statuses", POST | {"poll": {"options": ["a", "b"], "expires_in": 5}}, 422,
     "Validation failed: Poll expires at is too soon"),
    ("POST statuses/{theirs}/pin", {}, 422, "Validation failed: Someone else's post cannot be pinned"),
    ("POST statuses/{boost}/pin", {}, 422, "Validation failed: A boost cannot be pinned"),
    ("POST statuses/{direct}/reblog", {}, 403, "This action is not allowed"),
    ("PUT statuses/{theirs}", POST, 404, "Record not found"),
    ("DELETE statuses/{theirs}", {}, 404, "Record not found"),
    ("POST polls/{poll}/votes", {"choices": [7]}, 422, "Validation failed: The chosen vote option does not exist"),
    ("POST polls/{mine}/votes", {"choices": [0]}, 422, "Validation failed: You cannot vote in your own polls"),
    ("POST accounts/7/follow", {}, 404, "Record not found"),
    ("POST accounts/{ben}/endorse", {}, 422,
     "Validation failed: You must be already following the person you want to endorse"),
    ("POST accounts/{ben}/note", {"comment": "x" * 2001}, 422,
     "Validation failed: Comment is too long (maximum is 2000 characters)"),
    ("PATCH accounts/update_credentials", {"display_name": "x" * 31}, 422,
     "Validation failed: Display name is too long (maximum is 30 characters)"),
    ("PATCH accounts/update_credentials", {"note": "x" * 501}, 422,
     "Validation failed: Note character limit of 500 exceeded"),
    ("GET accounts/lookup?acct=nobody", {}, 404, "Record not found"),
    ("POST media", {}, 422, "Validation failed: File can't be blank"),
    ("POST reports", {}, 422, "Validation failed: Account can't be blank"),
    ("POST reports", {"account_id": "{ben}", "comment": "x" * 1001}, 422,
     "Validation failed: Comment is too long (maximum is 1000 characters)"),
    ("POST domain_blocks", {}, 422, "Validation failed: Domain can't be blank"),
    ("POST featured_tags", {}, 422, "Validation failed: Name can't be blank"),
    ("POST lists", {}, 422, "Validation failed: Title can't be blank"),
    ("POST lists", {"title": "x", "replies_policy": "some"}, 422, "'some' is not a valid replies_policy"),
    ("POST ../v2/filters", {}, 422, "Validation failed: Title can't be blank, Context can't be blank, "
     "Context None or invalid context supplied"),
    ("POST ../v2/filters/7/keywords", {"keyword": "x"}, 404, "Record not found"),
    ("GET push/subscription", {}, 404, "Record not found"),
    ("GET scheduled_statuses/7", {}, 404, "Record not found"),
    ("POST statuses/{theirs}/translate", {}, 403, "This action is not allowed"),
    ("GET timelines/list/7", {}, 404, "Record not found"),
    ("POST apps", {"client_name": "x", "redirect_uris": "nonsense"}, 422,
     "Validation failed: Redirect URI must be an absolute URI."),
    ("POST apps", {"client_name": "x", "redirect_uris": "urn:ietf:wg:oauth:2.0:oob", "scopes": "odd"}, 422,
     "Validation failed: Scopes doesn't match configured on the server."),
)  # fmt: skip


async def test_refusals_have_the_documented_words(home: House) -> None:
    theirs, poll = await home.ben.say("yo"), {"options": ["a", "b"], "expires_in": 600}
    made = {
        "theirs": theirs["id"], "boost": (await home.ana.do(f"/api/v1/statuses/{theirs['id']}/reblog"))["id"],
        "direct": (await home.ana.say("@ben x", visibility="direct"))["id"], "ben": str(home.ben.id),
        "poll": (await home.ben.say("?", poll=poll))["id"], "mine": (await home.ana.say("?", poll=poll))["id"],
    }  # fmt: skip
    before = await home.org.rows()
    for name, body, status, error in WRONG:
        method, _, path = name.partition(" ")
        form = {key: value.format(**made) if value == "{ben}" else value for key, value in body.items()}
        answer = await home.ana.client.request(
            method, ("/api/v1/" + path.format(**made)).replace("/v1/../", "/"), json=form or None
        )
        assert (answer.status_code, answer.json()["error"]) == (status, error), (name, body)
    assert await home.org.rows() == before, "nothing of it was done"
