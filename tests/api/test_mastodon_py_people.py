"""Mastodon.py does what people do with each other: every answer is held against the types that it declares itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import mastodon
import pytest

from tests.support.clients import Library, clinic_with, registered, sign_in
from tests.support.pictures import moving, picture
from tests.support.process import ServerProcess, command

pytestmark = pytest.mark.e2e


class People(NamedTuple):
    """Signed in, each with an app of their own, and with the id that each has."""

    ana: Library
    ben: Library
    cy: Library
    ids: dict[str, str]


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    tables: dict[str, dict[str, Any]] = {
        "instance": {"activity": True},
        "registration": {"mode": "open", "confirm_email": False},
    }
    with clinic_with(tmp_path_factory.mktemp("clinic"), "ana", "ben", "cy", admin="", **tables) as server:
        yield server


@pytest.fixture(scope="module")
def people(clinic: ServerProcess) -> People:
    made = {name: sign_in(clinic, name) for name in ("ana", "ben", "cy")}
    return People(made["ana"], made["ben"], made["cy"], ids={name: str(app.me().id) for name, app in made.items()})


def test_files_polls_and_quotes(people: People) -> None:
    ana, ben, _, _ = people
    seen = ana.media_post(picture(), mime_type="image/png", description="a scan", focus=(0.1, -0.2))
    assert (seen.type, seen.description, seen.meta.focus.x) == ("image", "a scan", 0.1) and seen.blurhash
    moves = ana.media_post(moving(), mime_type="image/gif", synchronous=True)
    assert moves.url and ana.media(moves.id).id == moves.id
    assert ana.media_update(moves.id, description="it moves").description == "it moves"
    with pytest.raises(mastodon.MastodonAPIError, match="422"):
        ana.media_post(b"no picture", mime_type="image/png")

    said = ana.status_post("look #xray", media_ids=[seen, moves], quote_approval_policy="public", sensitive=True)
    assert [m.description for m in said.media_attachments] == ["a scan", "it moves"]
    attributes = [ana.generate_media_edit_attributes(m.id, description="new") for m in said.media_attachments]
    edited = ana.status_update(said.id, "look again #xray", media_attributes=attributes)
    assert [m.description for m in edited.media_attachments] == ["new", "new"] and edited.edited_at
    quoting = ben.status_post("see this", quoted_status_id=said.id)
    assert (quoting.quote.state, quoting.quote.quoted_status.id) == ("accepted", said.id)
    assert [s.id for s in ana.status_quotes(said.id)] == [quoting.id]
    assert ana.status_update_quote_approval_policy(said.id, "nobody").quote_approval.automatic == []
    assert ana.status_quote_revoke(said.id, quoting.id).quote.state == "revoked"
    with pytest.raises(mastodon.MastodonAPIError):
        ben.status_post("and again", quoted_status_id=said.id)

    asked = ana.status_post("which?", poll=ana.make_poll(["a", "b", "c"], expires_in=600, multiple=True))
    assert ben.poll_vote(asked.poll, [0, 2]).own_votes == [0, 2]
    assert [o.votes_count for o in ana.poll(asked.poll).options] == [1, 0, 1]
    ben.status_pin(quoting.id)
    assert [s.id for s in ana.account_statuses(people.ids["ben"], pinned=True)] == [quoting.id]
    assert ben.status_unpin(quoting.id).id == quoting.id
    with pytest.raises(mastodon.MastodonAPIError, match="403"):
        ana.status_translate(said.id, "de")
    assert ana.status_mute(said.id).muted is True and ana.status_unmute(said.id).muted is False
    assert [s.id for s in ana.statuses([said.id, asked.id])] == [said.id, asked.id]


def test_filters_of_both_versions(people: People) -> None:
    ana, ben, _, _ = people
    made = ana.create_filter_v2("pets", ["home", "public"], "warn", keywords_attributes=[{"keyword": "cat"}])
    kept = ana.add_filter_keyword_v2(made.id, "dog", whole_word=True)
    assert [k.keyword for k in ana.filter_keywords_v2(made.id)] == ["cat", "dog"]
    said, other = ben.status_post("my dog"), ben.status_post("a bird")
    (hit,) = ana.status(said.id).filtered
    assert hit.keyword_matches == ["dog"] and hit.filter.title == "pets"
    named = ana.add_filter_status_v2(made.id, other.id)
    assert [each.id for each in ana.filter_statuses_v2(made.id)] == [named.id] == [ana.filter_status_v2(named.id).id]
    assert str(ana.status(other.id).filtered[0].status_matches[0]) == str(other.id)
    changed = ana.update_filter_v2(made.id, title="animals", filter_action="hide", expires_in=3600)
    assert (changed.title, changed.filter_action) == ("animals", "hide") and changed.expires_at
    assert ana.filter_v2(made.id).title == "animals" and len(ana.filters_v2()) == 1
    ana.delete_filter_status_v2(named.id)
    ana.delete_filter_keyword_v2(kept.id)
    old = ana.filter_create("bird", ["home"], whole_word=False, expires_in=600)
    assert ana.filter(old.id).phrase == "bird" and {f.phrase for f in ana.filters()} == {"bird", "cat"}
    assert ana.filter_update(old.id, phrase="birds", context=["public"]).context == ["public"]
    ana.filter_delete(old.id)
    ana.delete_filter_v2(made.id)
    assert ana.filters_v2() == []


def test_notifications_in_groups_with_policy_and_requests(people: People) -> None:
    ana, ben, cy, ids = people
    said = ana.status_post("to be liked")
    for app in (ben, cy):
        app.status_favourite(said)
    found = ana.grouped_notifications(types=["favourite"])
    (group,) = [g for g in found.notification_groups if str(g.status_id) == str(said.id)]
    assert group.notifications_count == 2 and len(found.accounts) + len(found.partial_accounts or []) >= 2
    assert {a.acct for a in ana.grouped_notification_accounts(group.group_key)} == {"ben", "cy"}
    assert ana.grouped_notification(group.group_key).notification_groups[0].group_key == group.group_key
    assert ana.unread_grouped_notifications_count() >= 1 and ana.notifications_unread_count().count >= 2
    ana.dismiss_grouped_notification(group.group_key)
    assert group.group_key not in [g.group_key for g in ana.grouped_notifications().notification_groups]

    assert ana.notifications_policy().for_not_following == "accept"
    assert ana.update_notifications_policy(for_not_following="filter").for_not_following == "filter"
    for app in (ben, cy):
        app.status_post("@ana hello from afar")
    asked = ana.notification_requests()
    assert {r.account.acct for r in asked} == {"ben", "cy"}
    first, second = asked
    assert ana.notification_request(first.id).account.id == first.account.id
    ana.accept_notification_request(first.id)
    ana.accept_multiple_notification_requests([second.id])
    assert ana.notification_requests() == [] and ana.notifications_merged() is True
    assert len(ana.notifications(types=["mention"], limit=2)) == 2
    ana.update_notifications_policy(for_not_following="accept")
    assert ana.notifications(account_id=ids["cy"], limit=1)[0].account.acct == "cy"
    ana.notifications_clear()
    assert ana.notifications() == []


def test_conversations_and_what_is_scheduled(people: People) -> None:
    ana, ben, _, ids = people
    said = ben.status_post("@ana between us", visibility="direct")
    conversation = ana.conversations()[0]
    assert conversation.last_status.id == said.id and conversation.unread is True
    assert [str(a.id) for a in conversation.accounts] == [ids["ben"]]
    assert ana.conversations_read(conversation.id).unread is False
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    file = ana.media_post(picture(), mime_type="image/png")
    later = ana.status_post("later", scheduled_at=at, media_ids=[file], visibility="unlisted")
    assert later.scheduled_at == at and later.params.text == "later" and len(later.media_attachments) == 1
    assert [s.id for s in ana.scheduled_statuses()] == [later.id]
    moved = ana.scheduled_status_update(later, at + timedelta(hours=1))
    assert moved.scheduled_at == at + timedelta(hours=1) == ana.scheduled_status(later).scheduled_at
    ana.scheduled_status_delete(later)
    with pytest.raises(mastodon.MastodonNotFoundError):
        ana.scheduled_status(later)
    with pytest.raises(mastodon.MastodonAPIError, match="422"):
        ana.status_post("too soon", scheduled_at=datetime.now(UTC) + timedelta(seconds=30))


def test_finding_and_keeping_people(people: People) -> None:
    ana, ben, cy, ids = people
    ana.account_follow(ids["ben"])
    ben.account_follow(ids["cy"])
    assert ana.account_note_set(ids["ben"], "from the lab").note == "from the lab"
    assert ana.account_mute(ids["cy"], duration=3600, notifications=False).muting is True
    (muted,) = ana.mutes()
    assert muted.acct == "cy" and muted.mute_expires_at > datetime.now(UTC)
    assert ana.account_unmute(ids["cy"]).muting is False
    ana.domain_block("noise.example")
    assert list(ana.domain_blocks()) == ["noise.example"]
    ana.domain_unblock("noise.example")
    assert ana.account_endorse(ids["ben"]).endorsed is True and [a.acct for a in ana.endorsements()] == ["ben"]
    assert ana.account_unendorse(ids["ben"]).endorsed is False
    (familiar,) = ana.account_familiar_followers([ids["cy"]])
    assert [a.acct for a in familiar.accounts] == ["ben"]
    suggested = [each.account.acct for each in ana.suggestions_v2()]
    assert suggested == ["cy"]
    ana.suggestion_delete(ids["cy"])
    assert ana.suggestions_v2() == []
    assert {a.acct for a in ana.directory(order="new", local=True)} == {"ana", "ben", "cy"}
    assert {a.acct for a in ana.accounts([ids["ben"], ids["cy"]])} == {"ben", "cy"}
    assert ana.account_remove_from_followers(ids["ben"]).followed_by is False
    ana.account_block(ids["cy"])
    assert [a.acct for a in ana.blocks()] == ["cy"]
    assert ana.account_unblock(ids["cy"]).blocking is False
    said = cy.status_post("an opinion")
    reported = ana.report(ids["cy"], status_ids=[said.id], comment="look", category="other")
    assert reported.category == "other" and [str(i) for i in reported.status_ids] == [str(said.id)]


def test_ones_own_profile_and_preferences(people: People) -> None:
    cy = people.cy
    changed = cy.account_update_credentials(
        display_name="Cy Lee", note="in the lab #xray", fields=[("Ward", "3")], avatar=picture(),
        avatar_mime_type="image/png", bot=True, discoverable=True, indexable=False, hide_collections=True,
    )  # fmt: skip
    assert (changed.display_name, changed.bot, changed.indexable, changed.hide_collections) == (
        "Cy Lee", True, False, True,
    )  # fmt: skip
    assert changed.source.note == "in the lab #xray" and changed.fields[0].value == "3"
    assert "missing" not in changed.avatar and "missing" in cy.account_delete_avatar().avatar
    assert cy.preferences()["posting:default:visibility"] == "public"
    assert cy.app_verify_credentials().name == "library"
    cy.account_update_credentials(bot=False, indexable=True, hide_collections=False)


def test_search_trends_and_announcements(clinic: ServerProcess, people: People) -> None:
    ana, ben, cy, _ = people
    said = ben.status_post("a rare pangolin #pangolin")
    cy.status_post("another #pangolin")
    file = ben.media_post(picture(), mime_type="image/png")
    shown = ben.status_post("with a picture of a pangolin", media_ids=[file])
    assert [s.id for s in ana.search_v2("rare from:ben").statuses] == [said.id]
    assert [s.id for s in ana.search_v2("pangolin has:media", result_type="statuses").statuses] == [shown.id]
    assert ana.search_v2("pangolin from:ana").statuses == [] == ana.search_v2("pangolin before:2020-01-01").statuses
    assert [t.name for t in ana.search_v2("pangolin", result_type="hashtags").hashtags] == ["pangolin"]
    for app in (ana, cy):
        app.status_favourite(said)
    assert "pangolin" in [t.name for t in ana.trending_tags()]
    assert said.id in [s.id for s in ana.trending_statuses()] and ana.trending_links() == []
    assert ana.timeline_link("https://clinic.localhost/page") == []
    made = command(clinic.config, "announcement", "add", "Lunch at noon").split()[-1].rstrip(".")
    (told,) = ana.announcements()
    assert told.id == made and told.read is False
    ana.announcement_reaction_create(told, "👍")
    (told,) = ben.announcements()
    assert [(r.name, r.count, r.me) for r in told.reactions] == [("👍", 1, False)]
    ana.announcement_reaction_delete(told, "👍")
    ana.announcement_dismiss(told)
    assert ana.announcements() == [] and ana.custom_emojis() == []


def test_who_signs_up_with_a_library_is_there_at_once(clinic: ServerProcess) -> None:
    app = registered(clinic)
    wrong, why = app.create_account("zoe", "short", "nobody", agreement=True, return_detailed_error=True)
    assert wrong is None and why.details.email and why.details.password
    app.create_account("zoe", "correct horse battery", "zoe@clinic.example", agreement=True)
    assert app.me().acct == "zoe" and app.status_post("good morning").account.acct == "zoe"


def test_the_instance_as_a_library_reads_it(people: People) -> None:
    ana = people.ana
    assert ana.instance_v1().configuration.polls.max_options >= 4 and ana.instance_v2().api_versions["mastodon"] == 7
    assert ana.instance_nodeinfo().software.name == "fedishare" == ana.instance_nodeinfo(_NEWER).software.name
    assert ana.instance_health() is True and ana.stream_healthy() is True and list(ana.instance_peers()) == []
    assert len(ana.instance_activity()) == 12 and list(ana.instance_rules()) == []
    assert ana.instance_extended_description().content == "" and ana.instance_languages()
    described: Any = ana.oauth_authorization_server_info()
    assert "S256" in described.code_challenge_methods_supported and "password" not in described.grant_types_supported
    with pytest.raises(mastodon.MastodonIllegalArgumentError, match="code flow"):
        ana.log_in("ana@clinic.example", "correct horse battery staple", allow_http=True)


_NEWER = "http://nodeinfo.diaspora.software/ns/schema/2.1"
