"""A real app: the client library Mastodon.py, as it comes from the package index, against a real server process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import mastodon
import pytest

from tests.support.clients import clinic_with, connect, sign_in
from tests.support.process import ServerProcess

pytestmark = pytest.mark.e2e


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[ServerProcess]:
    """One server with ana and ben."""
    with clinic_with(tmp_path, "ana", "ben") as server:
        yield server


def test_people_share_with_a_client_library(clinic: ServerProcess) -> None:
    ana, ben = sign_in(clinic, "ana"), sign_in(clinic, "ben")
    me = ana.me()
    assert (me.acct, me.source.privacy, ana.account_verify_credentials().id) == ("ana", "public", me.id)
    assert ana.instance_v2().configuration.statuses.max_characters == 140 and "fedishare" in ana.instance_v1().version
    assert ana.retrieve_mastodon_version().startswith("4.5")

    relationship = ben.account_follow(me.id)
    assert relationship.following is True and ana.account_relationships(ben.me().id)[0].followed_by is True
    said = ana.status_post("hello @ben #xray", spoiler_text="careful", idempotency_key="once", language="en")
    assert ana.status_post("hello @ben #xray", spoiler_text="careful", idempotency_key="once").id == said.id
    assert [s.id for s in ben.timeline_home()] == [said.id] == [s.id for s in ben.timeline_local()]
    assert [s.id for s in ben.timeline_hashtag("xray")] == [said.id]

    assert ben.status_favourite(said.id).favourites_count == 1
    boost = ben.status_reblog(said.id)
    assert boost.reblog.id == said.id and boost.reblog.reblogged is True
    assert ben.status_unreblog(said.id).id == said.id
    assert ben.status_bookmark(said.id).bookmarked is True and [s.id for s in ben.bookmarks()] == [said.id]
    answer = ben.status_reply(said, "well seen")
    assert answer.in_reply_to_id == said.id and [m.acct for m in answer.mentions] == ["ana"]
    assert [s.id for s in ana.status_context(said.id).descendants] == [answer.id]
    edited = ana.status_update(said.id, "hello again @ben")
    assert edited.edited_at is not None and len(ana.status_history(said.id)) == 2
    assert ana.status_source(said.id).text == "hello again @ben"

    assert [n.type for n in ana.notifications()] == ["mention", "favourite", "follow"]
    assert [n.type for n in ana.notifications(types=["follow"])] == ["follow"]
    assert [n.type for n in ben.notifications(exclude_types=["mention"])] == []
    ana.notifications_dismiss(ana.notifications()[0].id)
    assert len(ana.notifications()) == 2

    asked = ana.status_post("which?", poll=ana.make_poll(["a", "b"], expires_in=600))
    voted = ben.poll_vote(asked.poll, 1)
    assert voted.own_votes == [1] and [o.votes_count for o in ben.poll(voted).options] == [0, 1]
    with pytest.raises(mastodon.MastodonAPIError, match="already voted"):
        ben.poll_vote(asked.poll, 0)
    with pytest.raises(mastodon.MastodonAPIError, match="1 character over the limit of 140"):
        ana.status_post("x" * 141)

    found = ben.search_v2("again")
    assert [s.id for s in found.statuses] == [said.id] and found.accounts == []
    assert ben.account_lookup("ana").id == me.id and ben.account_search("an")[0].id == me.id
    assert ana.account_update_credentials(display_name="Ana Lee", locked=True).display_name == "Ana Lee"


def test_a_client_library_walks_pages_and_meets_refusals(clinic: ServerProcess) -> None:
    ana, ben = sign_in(clinic, "ana"), sign_in(clinic, "ben")
    said = [ana.status_post(f"n{number}").id for number in range(7)]
    first = ana.timeline_home(limit=3)
    walked = [s.id for s in ana.fetch_remaining(first)]
    assert walked == said[::-1]
    newer = ana.fetch_previous(ana.fetch_next(first))
    assert [s.id for s in newer] == [s.id for s in first]
    ana.account_update_credentials(locked=True)
    assert ben.account_follow(ana.me().id).requested is True
    assert [a.acct for a in ana.follow_requests()] == ["ben"]
    assert ana.follow_request_authorize(ben.me().id).followed_by is True
    assert ben.account_statuses(ana.me().id, limit=2)[0].id == said[-1]
    with pytest.raises(mastodon.MastodonNotFoundError):
        ben.status_delete(said[0])
    deleted = ana.status_delete(said[0])
    assert deleted.text == "n0"
    with pytest.raises(mastodon.MastodonNotFoundError):
        ben.status(said[0])
    ana.account_block(ben.me().id)
    with pytest.raises(mastodon.MastodonAPIError):
        ben.account_follow(ana.me().id)
    preview = ana.session.post(
        f"http://127.0.0.1:{clinic.port}/api/v1/fedishare/audience", json={"status": "hi"},
        headers={"authorization": f"Bearer {ana.access_token}"}, timeout=20,
    )  # fmt: skip
    assert json.loads(preview.content)["everybody_here"] is True
    with pytest.raises(mastodon.MastodonUnauthorizedError):
        connect(clinic, "nobody").timeline_home()


def test_a_client_library_keeps_lists_hashtags_and_places(clinic: ServerProcess) -> None:
    ana, ben = sign_in(clinic, "ana"), sign_in(clinic, "ben")
    him = ben.me().id
    assert ana.account_follow(him, notify=True).notifying is True
    lab = ana.list_create("Lab", replies_policy="none", exclusive=True)
    ana.list_accounts_add(lab, [him])
    assert [a.acct for a in ana.list_accounts(lab)] == ["ben"]
    assert [each.id for each in ana.account_lists(him)] == [lab.id] == [each.id for each in ana.lists()]
    said = ben.status_post("in the lab #xray", language="en")
    assert [s.id for s in ana.timeline_list(lab)] == [said.id] and ana.timeline_home() == []
    assert ana.list_update(lab, "Ward", exclusive=False).title == "Ward" == ana.list(lab).title
    assert [s.id for s in ana.timeline_home()] == [said.id]
    ana.list_accounts_delete(lab, [him])
    ana.list_delete(lab)
    assert ana.lists() == []
    followed = ana.tag_follow("xray")
    assert followed.following is True and int(followed.history[0].uses) == 1
    assert [t.name for t in ana.followed_tags()] == ["xray"]
    assert ana.tag_unfollow("xray").following is False and ana.tag("xray").name == "xray"
    shown = ben.featured_tag_create("xray")
    assert [t.id for t in ana.account_featured_tags(him)] == [shown.id] == [t.id for t in ben.featured_tags()]
    assert ben.featured_tag_suggestions() == []
    ben.featured_tag_delete(shown)
    assert ben.featured_tags() == []
    placed = ana.markers_set("home", said.id)
    assert placed.home.last_read_id == said.id == ana.markers_get(["home"]).home.last_read_id
