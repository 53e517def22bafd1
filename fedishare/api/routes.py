"""The table of paths: one line each, with scope, rate, size and audience."""

from __future__ import annotations

from functools import partial

from fedishare.api import (
    admin_accounts,
    admin_blocks,
    admin_domains,
    admin_measures,
    admin_reports,
    admin_trends,
    announcements,
    archives,
    cards,
    conversations,
    domain_blocks,
    filters,
    imports,
    instance,
    leaving,
    lists,
    markers,
    notification_policy,
    notifications,
    objects,
    own_account,
    passwords,
    people,
    push,
    quotes,
    scheduled,
    search,
    tags,
    trends,
)
from fedishare.api.accounts import Accounts
from fedishare.api.files import Files
from fedishare.api.http import Api
from fedishare.api.media import MediaApi
from fedishare.api.oauth import OAuth
from fedishare.api.registration import Registration
from fedishare.api.statuses import Statuses
from fedishare.api.streaming import NOTIFICATIONS, POSTS, Streaming, scopes_of
from fedishare.api.table import OWN, SEEN, Table
from fedishare.api.timelines import Timelines
from fedishare.http.routes import Access, Handler, Rate, Route, SocketRoute
from fedishare.store import relations
from fedishare.store.interactions import Kind


def routes(api: Api, streaming: Streaming) -> list[Route]:
    """The routes of the client API."""
    table = Table(api.instance.config.limits.api_bytes)
    return [
        *instance.routes(api, table),
        *announcements.routes(api, table),
        *admin_accounts.routes(api, table),
        *admin_reports.routes(api, table),
        *admin_domains.routes(api, table),
        *admin_blocks.routes(api, table),
        *admin_measures.routes(api, table),
        *admin_trends.routes(api, table),
        *_sign_in(api, table),
        *_statuses(api, table),
        *_accounts(api, table),
        *own_account.routes(api, table),
        *passwords.routes(api, table),
        *leaving.routes(api, table),
        *archives.routes(api, table),
        *imports.routes(api, table),
        *people.routes(api, table),
        *quotes.routes(api, table),
        *domain_blocks.routes(api, table),
        *_timelines(api, table),
        *notifications.routes(api, table),
        *notification_policy.routes(api, table),
        *conversations.routes(api, table),
        *filters.routes(api, table),
        *cards.routes(api, table),
        *scheduled.routes(api, table),
        *push.routes(api, table),
        *trends.routes(api, table),
        *_streams(streaming, table),
        *_media(api),
        *objects.routes(api),
        *lists.routes(api, table),
        *markers.routes(api, table),
        *tags.routes(api, table),
        *search.routes(api, table),
    ]


def _media(api: Api) -> list[Route]:
    found, files = MediaApi(api), Files(api)
    at = "/api/v1/media/{id}"

    def upload(method: str, path: str, handler: Handler, size: int) -> Route:
        return Route(
            method=method, path=path, handler=handler, access=Access.TOKEN, scopes=("write:media",), rate=Rate.API,
            max_body=size, audience=OWN, streams=True,
        )  # fmt: skip

    def file(path: str, handler: Handler) -> Route:
        return Route(
            method="GET", path=path, handler=handler, access=Access.MEDIA, scopes=(), rate=Rate.API, max_body=0,
            audience=SEEN,
        )  # fmt: skip

    return [
        upload("POST", "/api/v2/media", found.create, found.max_body),
        upload("POST", "/api/v1/media", partial(found.create, wait=True), found.max_body),
        upload("GET", at, found.show, 0),
        upload("PUT", at, found.update, found.max_body),
        upload("DELETE", at, found.delete, api.instance.config.limits.api_bytes),
        file("/media/{name}", files.local),
        file("/media/remote/{id}/{name}", files.of_post),
        file("/media/people/{id}/{name}", files.of_profile),
    ]


def sockets(streaming: Streaming) -> list[SocketRoute]:
    """The WebSockets of the client API."""
    return [
        SocketRoute(
            path="/api/v1/streaming", handler=streaming.socket, scopes=(*POSTS, *NOTIFICATIONS),
            rate=Rate.API, audience=SEEN,
        )
    ]  # fmt: skip


def _streams(streaming: Streaming, table: Table) -> list[Route]:
    names = (
        "user", "user:notification", "public", "public:local", "public:remote", "direct", "hashtag", "hashtag:local",
        "list",
    )  # fmt: skip
    at = "/api/v1/streaming/"
    found = [
        Route(
            method="GET", path=at + name.replace(":", "/"), handler=partial(streaming.events, name=name),
            access=Access.TOKEN, scopes=scopes_of(name), rate=Rate.API, max_body=0, audience=SEEN,
        )
        for name in names
    ]  # fmt: skip
    return [*found, table.described("/api/v1/streaming/health", streaming.health)]


def _sign_in(api: Api, table: Table) -> list[Route]:
    found = OAuth(api)

    before = table.before
    return [
        before("POST", "/api/v1/apps", found.register),
        before("GET", "/api/v1/apps/verify_credentials", found.verify_app),
        before("POST", "/api/v1/accounts", Registration(api).create),
        before("GET", "/.well-known/oauth-authorization-server", found.metadata),
        before("GET", "/oauth/authorize", found.authorize),
        before("POST", "/oauth/authorize", found.decide),
        before("POST", "/oauth/token", found.token),
        before("POST", "/oauth/revoke", found.revoke),
        table.line("GET", "/oauth/userinfo", "profile", found.userinfo, OWN),
    ]


def _statuses(api: Api, table: Table) -> list[Route]:
    route = table.line
    found = Statuses(api)
    at = "/api/v1/statuses/{id}"
    changes = {
        "favourite": ("write:favourites", found.favourite),
        "unfavourite": ("write:favourites", found.unfavourite),
        "unreblog": ("write:statuses", found.unboost),
        "pin": ("write:accounts", found.pin),
        "unpin": ("write:accounts", found.unpin),
        "bookmark": ("write:bookmarks", found.marking(Kind.BOOKMARK, True)),
        "unbookmark": ("write:bookmarks", found.marking(Kind.BOOKMARK, False)),
        "mute": ("write:mutes", found.marking(Kind.MUTE_THREAD, True)),
        "unmute": ("write:mutes", found.marking(Kind.MUTE_THREAD, False)),
    }
    return [
        route("POST", "/api/v1/statuses", "write:statuses", found.create),
        route("GET", "/api/v1/statuses", "read:statuses", found.several),
        route("GET", at, "read:statuses", found.show),
        route("PUT", at, "write:statuses", found.edit),
        route("DELETE", at, "write:statuses", found.delete),
        route("GET", f"{at}/context", "read:statuses", found.context),
        route("GET", f"{at}/history", "read:statuses", found.history),
        route("GET", f"{at}/source", "read:statuses", found.source),
        route("GET", f"{at}/favourited_by", "read:accounts read:statuses", found.favourited_by),
        route("GET", f"{at}/reblogged_by", "read:accounts read:statuses", found.boosted_by),
        route("POST", f"{at}/reblog", "write:statuses", found.boost),
        *(route("POST", f"{at}/{verb}", scope, found.changing(change)) for verb, (scope, change) in changes.items()),
        route("GET", "/api/v1/polls/{id}", "read:statuses", found.poll),
        route("POST", "/api/v1/polls/{id}/votes", "write:statuses", found.vote),
        route("GET", "/api/v1/favourites", "read:favourites", partial(found.marked, kind=Kind.FAVOURITE)),
        route("GET", "/api/v1/bookmarks", "read:bookmarks", partial(found.marked, kind=Kind.BOOKMARK)),
        route("POST", "/api/v1/fedishare/audience", "read:statuses", found.preview, OWN),
    ]


def _accounts(api: Api, table: Table) -> list[Route]:
    route = table.line
    found = Accounts(api)
    at = "/api/v1/accounts/{id}"
    changes = {
        f"{at}/follow": ("write:follows", found.follow),
        f"{at}/unfollow": ("write:follows", found.unfollow),
        f"{at}/remove_from_followers": ("write:follows", found.remove_follower),
        f"{at}/block": ("write:blocks", found.block),
        f"{at}/unblock": ("write:blocks", found.unblock),
        f"{at}/mute": ("write:mutes", found.mute),
        f"{at}/unmute": ("write:mutes", found.unmute),
        "/api/v1/follow_requests/{id}/authorize": ("write:follows", found.authorize),
        "/api/v1/follow_requests/{id}/reject": ("write:follows", found.reject),
    }
    requests = partial(relations.followers, pending=True)
    return [
        route("GET", "/api/v1/accounts", "read:accounts", found.several),
        route("GET", "/api/v1/accounts/lookup", "read:accounts", found.lookup),
        route("GET", "/api/v1/accounts/relationships", "read:follows", found.relationships, OWN),
        route("GET", at, "read:accounts", found.show),
        route("GET", f"{at}/statuses", "read:statuses", found.statuses),
        route("GET", f"{at}/followers", "read:accounts", found.followers),
        route("GET", f"{at}/following", "read:accounts", found.following),
        route("GET", "/api/v1/follow_requests", "read:follows", partial(found.mine, listing=requests), OWN),
        route("GET", "/api/v1/blocks", "read:blocks", partial(found.mine, listing=relations.blocks), OWN),
        route("POST", "/api/v1/reports", "write:reports", found.report, OWN),
        *(route("POST", path, scope, found.changing(change)) for path, (scope, change) in changes.items()),
    ]


def _timelines(api: Api, table: Table) -> list[Route]:
    route = table.line
    found = Timelines(api)
    return [
        route("GET", "/api/v1/timelines/home", "read:statuses", found.home),
        route("GET", "/api/v1/timelines/public", "read:statuses", found.public),
        route("GET", "/api/v1/timelines/tag/{name}", "read:statuses", found.tag),
    ]
