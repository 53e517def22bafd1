"""The routes of the protocol: inboxes, and what partners read. Browsers get a page that tells them nothing."""

from __future__ import annotations

import re
from functools import partial

from fedishare.activitypub import inbox
from fedishare.activitypub.documents import Documents
from fedishare.activitypub.federation import Federation
from fedishare.http.call import Answer, Call
from fedishare.http.pages import page
from fedishare.http.routes import Access, Audience, Handler, Rate, Route
from fedishare.model.errors import NotFound

_AP = re.compile(r"application/(activity\+json|ld\+json|json)", re.IGNORECASE)
_MEMBERS = (
    "<p>What people write here stays within their organization and its partners.</p>"
    "<p>Members sign in with any app made for Mastodon, using the address of this server.</p>"
)
_ABOUT = (
    "<p>A server for short posts among the people of one organization and the partners that it has chosen.</p>"
    "<p>Members sign in with any app made for Mastodon, using the address of this server.</p>"
)
_PRIVATE = ((b"vary", b"Accept, Signature"), (b"cache-control", b"private, no-store"))


def wants_page(accept: str) -> bool:
    """Whether an Accept header prefers HTML to ActivityStreams, quality values considered."""
    # spec: R120
    best = {"html": 0.0, "document": 0.0}
    for part in accept.split(","):
        media, *parameters = part.strip().split(";")
        quality = next((p.strip()[2:] for p in parameters if p.strip()[:2].lower() == "q="), "1")
        weight = float(quality) if re.fullmatch(r"[01](\.[0-9]{0,3})?", quality) else 0.0
        kind = "html" if media.strip().lower() in ("text/html", "application/xhtml+xml") else None
        kind = "document" if _AP.match(media.strip()) else kind
        if kind:
            best[kind] = max(best[kind], weight)
    return best["html"] > best["document"]


def members_page() -> Answer:
    """The page for people who are not signed in: the same for everything, whether it exists or not."""
    return page("For members only", _MEMBERS, status=401, headers=_PRIVATE[:1])


async def _nothing(call: Call) -> Answer:
    raise NotFound("Record not found")


def _open_routes(federation: Federation, documents: Documents) -> list[Route]:
    """What anybody may read: the instance actor, and what this server is."""
    about = page(str(federation.instance.site.names.domain), _ABOUT)

    async def describe(call: Call) -> Answer:
        return about

    handlers: dict[str, Handler] = {
        "/": describe,
        "/about": describe,
        # spec: R58 — readable without a signature, so that two servers in secure mode can learn each other's keys
        "/actor": documents.instance_actor,
        "/actor/outbox": documents.instance_outbox,
    }
    return [
        Route(
            method="GET", path=path, handler=handler, access=Access.OPEN, scopes=(), rate=Rate.PUBLIC, max_body=0,
            audience=Audience.METADATA,
        )
        for path, handler in handlers.items()
    ]  # fmt: skip


def routes(federation: Federation) -> list[Route]:
    """The routes of this module."""
    documents = Documents(federation)
    limits = federation.instance.config.limits
    readable: dict[str, Handler] = {
        "/users/{name}": documents.actor,
        "/users/{name}/outbox": documents.outbox,
        "/users/{name}/followers": documents.followers,
        "/users/{name}/following": documents.following,
        "/users/{name}/followers_synchronization": documents.partial_followers,
        "/users/{name}/liked": documents.liked,
        "/users/{name}/collections/featured": documents.featured,
        "/users/{name}/collections/tags": documents.featured_tags,
        "/users/{name}/statuses/{id}": documents.post,
        "/users/{name}/statuses/{id}/activity": documents.post_activity,
        "/users/{name}/statuses/{id}/replies": documents.replies,
        "/users/{name}/statuses/{id}/likes": documents.likes,
        "/users/{name}/statuses/{id}/shares": documents.shares,
        "/users/{name}/{verb}/{id}": documents.sent,
        "/flags/{id}": partial(documents.sent, verb="flags"),
        # spec: R120 — profile and post pages answer with the document to those that ask for it
        "/@{name}": documents.actor,
        "/@{name}/{id}": documents.post,
        # spec: R71 — the address of a hashtag: a page for browsers, and nothing for servers
        "/tags/{name}": _nothing,
        "/@{name}/tagged/{tag}": _nothing,
    }
    found = [
        Route(
            method="GET", path=path, handler=handler, access=Access.PEER, scopes=(), rate=Rate.FETCH,
            max_body=0, audience=Audience.CAN_SEE,
        )
        for path, handler in readable.items()
    ]  # fmt: skip
    found += _open_routes(federation, documents)
    receive = partial(inbox.receive, federation)
    found += [
        Route(
            method="POST", path=path, handler=receive, access=Access.INBOX, scopes=(), rate=Rate.INBOX,
            max_body=limits.inbox_bytes, audience=Audience.NOTHING,
        )
        for path in ("/inbox", "/users/{name}/inbox", "/actor/inbox")
    ]  # fmt: skip
    return found
