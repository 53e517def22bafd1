"""The routes of the protocol: inboxes, and what partners read. Browsers get a page that tells them nothing."""

from __future__ import annotations

import re
from functools import partial

from fedishare.activitypub import inbox
from fedishare.activitypub.client import ClientSide
from fedishare.activitypub.client_documents import ClientDocuments
from fedishare.activitypub.client_wishes import SCOPES
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


def _either(partners: Handler, people: Handler) -> Handler:
    async def handle(call: Call) -> Answer:
        return await (people if call.viewer is not None else partners)(call)

    return handle


def _shared_routes(partners: Documents, people: ClientDocuments) -> list[Route]:
    """What partners read with a signature, and our people's programs with a token: each as far as it is for them."""
    at = "/users/{name}"
    posts, account = ("read:statuses",), ("read:accounts",)
    both: dict[str, tuple[Handler, Handler, tuple[str, ...]]] = {
        at: (partners.actor, people.actor, account),
        f"{at}/outbox": (partners.outbox, people.outbox, posts),
        f"{at}/followers": (partners.followers, people.followers, account),
        f"{at}/following": (partners.following, people.following, account),
        f"{at}/liked": (partners.liked, people.liked, account),
        f"{at}/collections/featured": (partners.featured, people.featured, posts),
        f"{at}/collections/tags": (partners.featured_tags, people.featured_tags, account),
        f"{at}/statuses/{{id}}": (partners.post, people.post, posts),
        f"{at}/statuses/{{id}}/activity": (partners.post_activity, people.post_activity, posts),
        f"{at}/statuses/{{id}}/replies": (partners.replies, people.replies, posts),
        f"{at}/statuses/{{id}}/likes": (partners.likes, people.likes, posts),
        f"{at}/statuses/{{id}}/shares": (partners.shares, people.shares, posts),
        f"{at}/quote_authorizations/{{id}}": (partners.quote_authorization, people.quote_authorization, posts),
        f"{at}/{{verb}}/{{id}}": (partners.sent, people.sent, posts),
        f"{at}/votes/{{id}}/activity": (
            partial(partners.sent, verb="votes"),
            partial(people.sent, verb="votes"),
            posts,
        ),
    }
    return [
        Route(
            method="GET", path=path, handler=_either(partner, person), access=Access.PEER_OR_TOKEN, scopes=scopes,
            rate=Rate.API, max_body=0, audience=Audience.CAN_SEE,
        )
        for path, (partner, person, scopes) in both.items()
    ]  # fmt: skip


def _client_routes(federation: Federation, client: ClientSide) -> list[Route]:
    """ActivityPub's client side: one's own outbox and inbox, and partners' documents."""
    limit, names = federation.instance.config.limits.api_bytes, federation.instance.site.names

    def line(method: str, path: str, handler: Handler, scopes: tuple[str, ...], audience: Audience) -> Route:
        return Route(
            method=method, path=path, handler=handler, access=Access.TOKEN, scopes=scopes, rate=Rate.API,
            max_body=limit if method == "POST" else 0, audience=audience,
        )  # fmt: skip

    return [
        line("POST", "/users/{name}/outbox", client.post, SCOPES, Audience.OWN),
        line("GET", "/users/{name}/inbox", client.documents.inbox, ("read:notifications",), Audience.OWN),
        line(
            "POST",
            names.proxy().removeprefix(names.origin),
            client.proxy,
            ("read:statuses", "read:accounts"),
            Audience.CAN_SEE,
        ),
    ]


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
        "/users/{name}/followers_synchronization": documents.partial_followers,
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
    people = ClientDocuments(federation, documents)
    found += _shared_routes(documents, people)
    found += _client_routes(federation, ClientSide(federation, people))
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
