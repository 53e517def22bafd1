"""What every route of the client API answers, in an order in which one makes what the next one asks for.

A `Line` is a call: which route of the registry, how it is called, and the entity that must come back. The path's names
and ``{words}`` in bodies stand for ids that earlier answers (or the test) left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.api import mastodon as m
from tests.api.mastodon import ours

FAR = "2099-01-01T00:00:00Z"
BLOCKED = {"ip": "198.51.100.0/24", "severity": "sign_up_block", "comment": "x"}
WEEK = {"start_at": "{weekago}", "end_at": "{today}"}
FORM = {"password": "correct horse battery", "agreement": True, "locale": "en", "reason": "I work there"}


@dataclass(frozen=True, slots=True)
class Line:
    """One call and its answer. ``kind`` is None for what is no JSON."""

    name: str
    kind: Any
    of: tuple[str, ...] = ()
    """Words for the names in the path."""
    body: dict[str, Any] = field(default_factory=dict)
    query: str = ""
    who: str = "ana"
    status: int = 200
    keep: str = ""
    """The word under which the answer's id is kept (that of the first, of a list)."""
    empty: bool = False
    """Whether the list may be empty: where nothing of the kind can be there."""
    files: bool = False


def line(name: str, kind: Any, *of: str, **more: Any) -> Line:
    """A line."""
    return Line(name, kind, of, **more)


def lines() -> Iterator[Line]:
    """All of them."""
    for part in (
        apps, instance, statuses, accounts, lists, filters, notices, others, own_account, moderators_accounts,
        moderators_domains, moderators_trends, changes, ends,
    ):  # fmt: skip
        yield from part()


def apps() -> Iterator[Line]:
    v1 = "/api/v1/"
    form = {"client_name": "Pocket", "redirect_uris": "https://app.example/back", "scopes": "read write"}
    form["website"] = "https://app.example/"
    yield line(f"POST {v1}apps", m.CredentialApplication, body=form, who="stranger")
    yield line(f"GET {v1}apps/verify_credentials", m.Application, who="app")
    yield line(f"GET {v1}apps/verify_credentials", m.Application)
    basic = {"client_id": "{client_id}", "client_secret": "{client_secret}"}
    grant = {"grant_type": "client_credentials", "scope": "read"}
    yield line("POST /oauth/token", m.Token, body=grant | basic, who="stranger")
    yield line("POST /oauth/token", m.OAuthError, body={"grant_type": "password"}, who="stranger", status=400)
    yield line("POST /oauth/revoke", m.Empty, body={"token": "nothing"} | basic, who="stranger")
    yield line("GET /oauth/userinfo", m.UserInfo, who="profile")
    yield line("GET /.well-known/oauth-authorization-server", m.AuthorizationServer, who="stranger")
    asked = "?client_id={client_id}&redirect_uri=https://app.example/back&response_type=code&scope=read"
    yield line("GET /oauth/authorize", None, query=asked, who="stranger")
    yield line("POST /oauth/authorize", None, body={"client_id": "x"}, who="stranger", status=401)
    yield line("POST /api/v1/accounts", m.Token, body=FORM | {"username": "eva", "email": "eva@x.example"}, who="app")
    yield line("POST /api/v1/accounts", m.Error, body=FORM | {"username": "e v", "email": "x"}, who="app", status=422)


def instance() -> Iterator[Line]:
    at = "GET /api/v1/instance"
    for who in ("stranger", "ana"):
        yield line("GET /api/v2/instance", m.Instance, who=who)
        yield line(at, m.InstanceV1, who=who)
    yield line(f"{at}/rules", list[m.Rule])
    yield line(f"{at}/extended_description", m.ExtendedDescription)
    yield line(f"{at}/privacy_policy", m.PrivacyPolicy)
    yield line(f"{at}/terms_of_service", m.TermsOfService)
    yield line(f"{at}/terms_of_service/{{date}}", m.TermsOfService, "effective")
    yield line(f"{at}/languages", list[m.Language])
    yield line(f"{at}/translation_languages", dict[str, list[str]])
    yield line(f"{at}/peers", list[str])
    yield line(f"{at}/activity", list[m.Week])
    yield line("GET /api/v1/custom_emojis", list[m.CustomEmoji])


def statuses() -> Iterator[Line]:
    v1, at = "/api/v1/", "/api/v1/statuses/{id}"
    yield line(f"POST {v1}statuses", m.Status, body={"status": "@zoe@lab.example new"}, keep="new")
    yield line(f"POST {v1}statuses", m.Status, body={"status": "@eve@evil.example x", "reach": "partners"})
    poll = {"options": ["a", "b"], "expires_in": 600}
    yield line("POST /api/v2/media", m.MediaAttachment, files=True, keep="file")
    later = {"status": "later", "scheduled_at": FAR, "visibility": "private", "language": "de"}
    asks = later | {"poll": poll, "in_reply_to_id": "{mine}", "reach": "partners", "spoiler_text": "careful"}
    shows = later | {"media_ids": ["{file}"], "sensitive": True, "quoted_status_id": "{quoted}"}
    yield line(f"POST {v1}statuses", m.ScheduledStatus, body=shows)
    yield line(f"POST {v1}statuses", m.ScheduledStatus, body=asks, keep="scheduled")
    yield line(f"GET {v1}scheduled_statuses", list[m.ScheduledStatus])
    yield line(f"GET {v1}scheduled_statuses/{{id}}", m.ScheduledStatus, "scheduled")
    yield line(f"PUT {v1}scheduled_statuses/{{id}}", m.ScheduledStatus, "scheduled", body={"scheduled_at": FAR})
    yield line(f"DELETE {v1}scheduled_statuses/{{id}}", m.Empty, "scheduled")
    yield line(f"GET {v1}statuses", list[m.Status], query="?id[]={mine}&id[]={guests}")
    for word in ("mine", "guests", "asked", "reply", "quoting", "carded", "filtered", "own_quote"):
        yield line(f"GET {at}", m.Status, word)
    yield line(f"GET {at}", m.Error, "nothing", status=404)
    for word in ("reply", "mine"):
        yield line(f"GET {at}/context", m.Context, word)
    yield line(f"GET {at}/history", list[m.StatusEdit], "mine")
    yield line(f"GET {at}/history", list[m.StatusEdit], "asked")
    yield line(f"GET {at}/history", list[m.StatusEdit], "quoting", who="ben")
    yield line(f"GET {at}/source", m.StatusSource, "mine")
    yield line(f"GET {at}/favourited_by", list[m.Account], "mine")
    yield line(f"GET {at}/reblogged_by", list[m.Account], "mine")
    yield line(f"GET {at}/card", m.PreviewCard, "carded")
    yield line(f"GET {at}/quotes", list[m.Status], "quoted")
    yield line(f"POST {at}/translate", m.Error, "mine", status=403)
    yield line(f"GET {v1}polls/{{id}}", m.Poll, "asked", who="ben")
    yield line(f"POST {v1}polls/{{id}}/votes", m.Poll, "asked", body={"choices": [0]}, who="ben")
    for verb in ("favourite", "bookmark", "pin", "mute", "unmute", "unpin", "reblog", "unreblog"):
        yield line(f"POST {at}/{verb}", m.Status, "mine")
    yield line(f"GET {v1}favourites", list[m.Status])
    yield line(f"GET {v1}bookmarks", list[m.Status])
    yield line(f"POST {at}/unfavourite", m.Status, "mine")
    yield line(f"POST {at}/unbookmark", m.Status, "mine")
    yield line(f"PUT {at}", m.Status, "new", body={"status": "newer"})
    policy = {"quote_approval_policy": "followers"}
    yield line(f"PUT {at}/interaction_policy", m.Status, "new", body=policy)
    yield line(f"POST {at}/quotes/{{quoting_status_id}}/revoke", m.Status, "quoted", "quoting")
    yield line(f"DELETE {at}", m.DeletedStatus, "new")
    for path in ("home", "public", "direct"):
        yield line(f"GET {v1}timelines/{path}", list[m.Status])
    yield line(f"GET {v1}timelines/tag/{{name}}", list[m.Status], "hashtag")
    yield line(f"GET {v1}timelines/link", list[m.Status], query="?url=https://lab.example/news")
    yield line("POST /api/v2/media", m.MediaAttachment, files=True, keep="file")
    yield line("POST /api/v1/media", m.MediaAttachment, files=True)
    yield line("GET /api/v1/media/{id}", m.MediaAttachment, "file")
    described = {"description": "a cat", "focus": "0.5,-0.5"}
    yield line("PUT /api/v1/media/{id}", m.MediaAttachment, "file", body=described)
    yield line("DELETE /api/v1/media/{id}", m.Empty, "file")


def accounts() -> Iterator[Line]:
    v1, at = "/api/v1/accounts", "/api/v1/accounts/{id}"
    yield line(f"GET {v1}", list[m.Account], query="?id[]={zoe}&id[]={ben}")
    yield line(f"GET {v1}/lookup", m.Account, query="?acct=zoe@lab.example")
    yield line(f"GET {v1}/relationships", list[m.Relationship], query="?id[]={zoe}&id[]={ben}")
    yield line(f"GET {v1}/familiar_followers", list[m.FamiliarFollowers], query="?id[]={cy}")
    yield line(f"GET {v1}/search", list[m.Account], query="?q=zoe")
    for word in ("zoe", "ben", "limited"):
        yield line(f"GET {at}", m.Account, word)
    for word in ("ben", "zoe"):
        yield line(f"GET {at}/statuses", list[m.Status], word)
    yield line(f"GET {at}/followers", list[m.Account], "ana")
    yield line(f"GET {at}/following", list[m.Account], "ben")
    for verb in ("note", "endorse", "unendorse", "pin"):
        yield line(f"POST {at}/{verb}", m.Relationship, "ben", body={"comment": "kind"})
    yield line("GET /api/v1/endorsements", list[m.Account])
    yield line(f"GET {at}/endorsements", list[m.Account], "ana", who="ben")
    yield line(f"POST {at}/unpin", m.Relationship, "ben")
    yield line(f"GET {at}/identity_proofs", list[m.IdentityProof], "ben", empty=True)
    for verb in ("follow", "unfollow", "remove_from_followers", "mute"):
        yield line(f"POST {at}/{verb}", m.Relationship, "dora", body={"duration": 600, "languages": ["de"]})
    yield line("GET /api/v1/mutes", list[m.MutedAccount])
    for verb in ("unmute", "block"):
        yield line(f"POST {at}/{verb}", m.Relationship, "dora")
    yield line("GET /api/v1/blocks", list[m.Account])
    yield line(f"POST {at}/unblock", m.Relationship, "dora")
    yield line("GET /api/v1/directory", list[m.Account])
    yield line("GET /api/v2/suggestions", list[m.Suggestion])
    yield line("GET /api/v1/suggestions", list[m.Account])
    yield line("DELETE /api/v1/suggestions/{account_id}", m.Empty, "cy")
    yield line("GET /api/v1/domain_blocks/preview", m.DomainBlockPreview, query="?domain=ward.example")
    yield line("POST /api/v1/domain_blocks", m.Empty, body={"domain": "ward.example"})
    yield line("GET /api/v1/domain_blocks", list[str])
    yield line("DELETE /api/v1/domain_blocks", m.Empty, body={"domain": "ward.example"})


def lists() -> Iterator[Line]:
    v1, one = "/api/v1/lists", "/api/v1/lists/{id}"
    yield line(f"POST {v1}", m.UserList, body={"title": "Lab"}, keep="list")
    yield line(f"PUT {one}", m.UserList, "list", body={"title": "Laboratory", "exclusive": True})
    yield line(f"POST {one}/accounts", m.Empty, "list", body={"account_ids": ["{ben}"]})
    yield line(f"GET {v1}", list[m.UserList])
    yield line(f"GET {one}", m.UserList, "list")
    yield line(f"GET {one}/accounts", list[m.Account], "list")
    yield line("GET /api/v1/accounts/{id}/lists", list[m.UserList], "ben")
    yield line("GET /api/v1/timelines/list/{id}", list[m.Status], "list")
    yield line(f"DELETE {one}/accounts", m.Empty, "list", body={"account_ids": ["{ben}"]})
    yield line(f"DELETE {one}", m.Empty, "list")
    tags, one = "/api/v1/tags/{name}", "/api/v1/featured_tags"
    for verb in ("follow", "feature"):
        yield line(f"POST {tags}/{verb}", m.FullTag, "hashtag")
    yield line("GET /api/v1/followed_tags", list[m.FullTag])
    yield line(f"GET {tags}", m.FullTag, "hashtag")
    for verb in ("unfollow", "unfeature"):
        yield line(f"POST {tags}/{verb}", m.FullTag, "hashtag")
    yield line(f"POST {one}", m.FeaturedTag, body={"name": "tag"}, keep="featured")
    yield line(f"GET {one}", list[m.FeaturedTag])
    yield line("GET /api/v1/accounts/{id}/featured_tags", list[m.FeaturedTag], "ana", who="ben")
    yield line(f"DELETE {one}/{{id}}", m.Empty, "featured")
    yield line(f"GET {one}/suggestions", list[m.FullTag])
    for kind, entity in (("tags", m.FullTag), ("statuses", m.Status), ("links", m.TrendsLink)):
        yield line(f"GET /api/v1/trends/{kind}", list[entity])  # type: ignore[valid-type]
    yield line("GET /api/v1/trends", list[m.FullTag])
    yield line("GET /api/v2/search", m.Search, query="?q=tag")
    yield line("GET /api/v2/search", m.Search, query="?q=zoe&type=accounts")


def filters() -> Iterator[Line]:
    v2, one, old = "/api/v2/filters", "/api/v2/filters/{id}", "/api/v1/filters"
    word = {"keyword": "peas", "whole_word": True}
    form = {"title": "peas", "context": ["home"], "expires_in": 600, "keywords_attributes": [word]}
    yield line(f"POST {v2}", m.Filter, body=form, keep="filter")
    yield line(f"POST {one}/keywords", m.FilterKeyword, "filter", body=word | {"keyword": "beans"}, keep="word")
    yield line(f"POST {one}/statuses", m.FilterStatus, "filter", body={"status_id": "{guests}"}, keep="kept")
    yield line(f"GET {v2}", list[m.Filter])
    yield line(f"GET {one}", m.Filter, "filter")
    yield line(f"PUT {one}", m.Filter, "filter", body={"filter_action": "hide"})
    yield line(f"GET {one}/keywords", list[m.FilterKeyword], "filter")
    yield line(f"GET {one}/statuses", list[m.FilterStatus], "filter")
    for kind, entity, ident in (("keywords", m.FilterKeyword, "word"), ("statuses", m.FilterStatus, "kept")):
        yield line(f"GET {v2}/{kind}/{{id}}", entity, ident)
    yield line(f"PUT {v2}/keywords/{{id}}", m.FilterKeyword, "word", body={"keyword": "lentils"})
    yield line(f"DELETE {v2}/keywords/{{id}}", m.Empty, "word")
    yield line(f"DELETE {v2}/statuses/{{id}}", m.FilterStatus, "kept")
    yield line(f"DELETE {one}", m.Empty, "filter")
    yield line(f"POST {old}", m.V1Filter, body={"phrase": "rice", "context": ["home"], "expires_in": 9}, keep="phrase")
    yield line(f"GET {old}", list[m.V1Filter])
    yield line(f"GET {old}/{{id}}", m.V1Filter, "phrase")
    yield line(f"PUT {old}/{{id}}", m.V1Filter, "phrase", body={"phrase": "corn", "context": ["home"]})
    yield line(f"DELETE {old}/{{id}}", m.Empty, "phrase")


def notices() -> Iterator[Line]:
    v1, v2 = "/api/v1/notifications", "/api/v2/notifications"
    reported = {"account_id": "{ben}", "status_ids": ["{reply}"], "category": "violation", "rule_ids": ["{rule}"]}
    yield line("POST /api/v1/reports", m.Report, body=reported)
    yield line(f"GET {v1}", list[m.Notification], keep="notification")
    yield line(f"GET {v1}", list[m.Notification], who="desk")
    yield line(f"GET {v1}/unread_count", m.Unread)
    yield line(f"GET {v1}/{{id}}", m.Notification, "notification")
    yield line(f"GET {v2}", m.GroupedNotifications)
    yield line(f"GET {v2}", m.GroupedNotifications, query="?expand_accounts=partial_avatars")
    yield line(f"GET {v2}", m.GroupedNotifications, who="desk")
    yield line(f"GET {v2}/unread_count", m.Unread)
    yield line(f"GET {v2}/{{group_key}}", m.GroupedNotifications, "group")
    yield line(f"GET {v2}/{{group_key}}/accounts", list[m.Account], "group")
    for path, entity, form in (
        (v2, m.NotificationPolicy, {"for_not_following": "filter"}),
        (v1, m.V1NotificationPolicy, {"filter_not_following": True}),
    ):  # fmt: skip
        yield line(f"GET {path}/policy", entity)
        for method in ("PUT", "PATCH"):
            yield line(f"{method} {path}/policy", entity, body=form)
    for person in ("dora", "eli", "fay", "gus"):
        yield line("POST /api/v1/statuses", m.Status, body={"status": "@ana hello"}, who=person)
    yield line(f"GET {v1}/requests", list[m.NotificationRequest], keep="request")
    yield line(f"GET {v1}", list[m.Notification], query="?include_filtered=true")
    yield line(f"GET {v1}/requests/merged", m.Merged)
    yield line(f"GET {v1}/requests/{{id}}", m.NotificationRequest, "request")
    for verb in ("accept", "dismiss"):
        yield line(f"POST {v1}/requests/{{id}}/{verb}", m.Empty, "request")
        yield line(f"GET {v1}/requests", list[m.NotificationRequest], keep="request")
        yield line(f"POST {v1}/requests/{verb}", m.Empty, body={"id": ["{request}"]})
        yield line(f"GET {v1}/requests", list[m.NotificationRequest], keep="request", empty=verb == "dismiss")
    yield line(f"POST {v1}/{{id}}/dismiss", m.Empty, "notification")
    yield line(f"POST {v1}/dismiss", m.Empty, body={"id": "{notification}"})
    yield line(f"POST {v2}/{{group_key}}/dismiss", m.Empty, "group")
    yield line(f"POST {v1}/clear", m.Empty)


def others() -> Iterator[Line]:
    at = "/api/v1/conversations"
    yield line(f"GET {at}", list[m.Conversation], keep="conversation")
    for verb in ("read", "unread"):
        yield line(f"POST {at}/{{id}}/{verb}", m.Conversation, "conversation")
    yield line(f"DELETE {at}/{{id}}", m.Empty, "conversation")
    at = "/api/v1/announcements"
    for method in ("PUT", "DELETE", "PUT"):
        yield line(f"{method} {at}/{{id}}/reactions/{{name}}", m.Empty, "announcement", "emoji")
    yield line(f"GET {at}", list[m.Announcement])
    yield line(f"POST {at}/{{id}}/dismiss", m.Empty, "announcement")
    marked = {"home": {"last_read_id": "{mine}"}, "notifications": {"last_read_id": "{mine}"}}
    yield line("POST /api/v1/markers", m.Markers, body=marked)
    yield line("GET /api/v1/markers", m.Markers, query="?timeline[]=home&timeline[]=notifications")
    at = "/api/v1/push/subscription"
    yield line(f"POST {at}", m.WebPushSubscription, body={"push": True})
    yield line(f"GET {at}", m.WebPushSubscription)
    yield line(f"PUT {at}", m.WebPushSubscription, body={"data": {"alerts": {"poll": True}}})
    yield line(f"DELETE {at}", m.Empty)
    at = "GET /api/v1/streaming/"
    yield line(f"{at}health", None)
    for name in ("user", "user/notification", "public", "public/local", "public/remote", "direct", "hashtag"):
        yield line(f"{at}{name}", STREAM)
    for name in ("hashtag/local", "list"):
        yield line(f"{at}{name}", STREAM)


OWN = {
    "locked": True, "note": "hi", "source": {"language": "de"}, "attribution_domains": ["news.example"],
    "fields_attributes": [{"name": "at", "value": "the Lab"}],
}  # fmt: skip
STREAM = "events"
"""Instead of an entity: the stream's own tests read what it carries."""


def own_account() -> Iterator[Line]:
    v1 = "/api/v1/"
    yield line(f"GET {v1}accounts/verify_credentials", m.CredentialAccount)
    yield line(f"PATCH {v1}accounts/update_credentials", m.CredentialAccount, body=OWN)
    yield line(f"GET {v1}accounts/verify_credentials", m.CredentialAccount, who="desk")
    for who in ("dora", "eli"):
        yield line(f"POST {v1}accounts/{{id}}/follow", m.Relationship, "ana", who=who)
    yield line(f"GET {v1}follow_requests", list[m.Account])
    yield line(f"POST {v1}follow_requests/{{id}}/authorize", m.Relationship, "dora")
    yield line(f"POST {v1}follow_requests/{{id}}/reject", m.Relationship, "eli")
    for picture in ("avatar", "header"):
        yield line(f"DELETE {v1}profile/{picture}", m.CredentialAccount)
    yield line(f"GET {v1}preferences", m.Preferences)
    yield line(f"POST {v1}emails/confirmations", m.Error, status=403)
    yield line(f"GET {v1}emails/check_confirmation", bool)
    at = f"{v1}fedishare/"
    yield line(f"POST {at}audience", ours.Audience, body={"status": "@zoe@lab.example hi", "reach": "partners"})
    yield line(f"POST {at}audience", ours.Audience, body={"status": "@eve@evil.example hi", "reach": "partners"})
    yield line(f"POST {at}export", ours.Archive, status=202)
    yield line(f"GET {at}export", ours.Archive)
    yield line(f"GET {at}export/file", None)
    yield line(f"POST {at}import", ours.Import, body={"type": "lists", "data": "a,ben@home.example"}, status=202)
    yield line(f"GET {at}import", list[ours.Import])
    yield line(f"POST {at}aliases", ours.Alias, body={"acct": "ben"}, keep="alias")
    yield line(f"GET {at}aliases", list[ours.Alias])
    yield line(f"DELETE {at}aliases/{{id}}", m.Empty, "alias")
    yield line("POST /api/activitypub/media", ours.Document, files=True, status=201, keep="object")
    yield line("GET /api/activitypub/media/{id}", ours.Document, "object")
    yield line("POST /api/activitypub/proxy", m.Error, body={"id": "https://evil.example/x"}, status=403)


def moderators_accounts() -> Iterator[Line]:
    at, one = "/api/v1/admin/accounts", "/api/v1/admin/accounts/{id}"
    for path in (at, "/api/v2/admin/accounts"):
        yield line(f"GET {path}", list[m.AdminAccount], who="desk")
    for word in ("ben", "zoe"):
        yield line(f"GET {one}", m.AdminAccount, word, who="desk")
    waits = {"domain": "wait.example", "allow_with_approval": True}
    emails = "/api/v1/admin/email_domain_blocks"
    yield line(f"POST {emails}", m.EmailDomainBlock, body=waits, who="desk", keep="emails")
    yield line(f"GET {emails}", list[m.EmailDomainBlock], who="desk")
    yield line(f"GET {emails}/{{id}}", m.EmailDomainBlock, "emails", who="desk")
    for number, verb in enumerate(("approve", "reject")):
        form = FORM | {"username": f"new{number}", "email": f"new{number}@wait.example"}
        yield line("POST /api/v1/accounts", m.Token, body=form, who="app")
        waiting = "?status=pending"
        yield line("GET /api/v2/admin/accounts", list[m.AdminAccount], query=waiting, who="desk", keep="pending")
        yield line(f"POST {one}/{verb}", m.AdminAccount, "pending", who="desk")
    yield line(f"DELETE {emails}/{{id}}", m.Empty, "emails", who="desk")
    for kind, back in (
        ("disable", "enable"), ("silence", "unsilence"), ("sensitive", "unsensitive"), ("suspend", "unsuspend"),
    ):  # fmt: skip
        yield line(f"POST {one}/action", m.Empty, "fay", body={"type": kind}, who="desk")
        yield line(f"POST {one}/{back}", m.AdminAccount, "fay", who="desk")
    reports, one = "/api/v1/admin/reports", "/api/v1/admin/reports/{id}"
    yield line(f"GET {reports}", list[m.AdminReport], who="desk", keep="report")
    yield line(f"GET {one}", m.AdminReport, "report", who="desk")
    yield line(f"PUT {one}", m.AdminReport, "report", body={"category": "spam"}, who="desk")
    for verb in ("assign_to_self", "unassign", "resolve", "reopen"):
        yield line(f"POST {one}/{verb}", m.AdminReport, "report", who="desk")


def moderators_domains() -> Iterator[Line]:
    at = "/api/v1/admin/"
    for noun, kind, form, changed in (
        ("domain_allows", m.DomainAllow, {"domain": "new.example"}, {}),
        ("domain_blocks", m.DomainBlock, {"domain": "bad.example", "severity": "suspend"}, {"severity": "suspend"}),
        ("canonical_email_blocks", m.CanonicalEmailBlock, {"email": "a@b.example"}, {}),
        ("ip_blocks", m.IpBlock, BLOCKED, {"expires_in": 9}),
    ):  # fmt: skip
        yield line(f"POST {at}{noun}", kind, body=form, who="desk", keep=noun)
        yield line(f"GET {at}{noun}", list[kind], who="desk")  # type: ignore[valid-type]
        yield line(f"GET {at}{noun}/{{id}}", kind, noun, who="desk")
        if changed:
            yield line(f"PUT {at}{noun}/{{id}}", kind, noun, body=changed, who="desk")
        if noun == "domain_blocks":
            yield line("GET /api/v1/instance/domain_blocks", list[m.BlockedDomain])
        if noun == "canonical_email_blocks":
            yield line(f"POST {at}{noun}/test", list[m.CanonicalEmailBlock], body=form, who="desk")
        gone = kind if noun.startswith("domain") else m.Empty
        yield line(f"DELETE {at}{noun}/{{id}}", gone, noun, who="desk")
    keys = ["active_users", "new_users", "interactions", "opened_reports", "resolved_reports"]
    yield line(f"POST {at}measures", list[m.Measure], body={"keys": keys} | WEEK, who="desk")
    keys = ["languages", "sources", "servers", "space_usage", "software_versions"]
    yield line(f"POST {at}dimensions", list[m.Dimension], body={"keys": keys} | WEEK, who="desk")
    yield line(f"POST {at}retention", list[m.Cohort], body={"frequency": "day"} | WEEK, who="desk")


def moderators_trends() -> Iterator[Line]:
    at = "/api/v1/admin/"
    yield line(f"GET {at}tags", list[m.AdminTag], who="desk", keep="admin_tag")
    yield line(f"GET {at}tags/{{id}}", m.AdminTag, "admin_tag", who="desk")
    yield line(f"PUT {at}tags/{{id}}", m.AdminTag, "admin_tag", body={"trendable": True}, who="desk")
    for noun, kind in (
        ("tags", m.AdminTag), ("links", m.AdminLink), ("links/publishers", m.Publisher), ("statuses", m.AdminStatus),
    ):  # fmt: skip
        yield line(f"GET {at}trends/{noun}", list[kind], who="desk", keep=noun)  # type: ignore[valid-type]
        for verb in ("approve", "reject"):
            yield line(f"POST {at}trends/{noun}/{{id}}/{verb}", kind, noun, who="desk")


def changes() -> Iterator[Line]:
    """Passwords and moving."""
    at, proof = "/api/v1/fedishare/", {"password": "correct horse battery"}
    changed = {"current_password": "correct horse battery", "new_password": "battery horse correct"}
    yield line(f"POST {at}aliases", ours.Alias, body={"acct": "eli"}, who="dora")
    yield line(f"POST {at}move", m.Account, body={"acct": "dora"} | proof, who="eli")
    yield line(f"DELETE {at}move", m.Account, who="eli")
    yield line(f"POST {at}password", m.Empty, body=changed, who="eli")


def ends() -> Iterator[Line]:
    """Accounts that are gone."""
    at, proof = "/api/v1/fedishare/account", {"password": "battery horse correct"}
    yield line(f"DELETE {at}", m.Empty, body=proof, who="eli")
    suspended = {"type": "suspend"}
    yield line("POST /api/v1/admin/accounts/{id}/action", m.Empty, "gus", body=suspended, who="desk")
    yield line("DELETE /api/v1/admin/accounts/{id}", m.AdminAccount, "gus", who="desk")
