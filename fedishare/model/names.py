"""Names: every IRI of our own, built in one place and read back in the same place.

An id never changes, so its spelling is decided once, here (spec: R10). `Names.parse` is the exact reverse of the
builders: byte by byte, without queries, without percent-decoding, so that two spellings never name one thing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, get_args

from fedishare.model.ids import Domain, Id, Iri

INSTANCE_ACTOR_NAME = "instance.actor"
"""``preferredUsername`` of the instance actor; the dot keeps it apart from every name that a person can have."""

MAX_ID = 2**63 - 1
_NAME = re.compile(r"[A-Za-z0-9_]{1,30}\Z")
_ID = re.compile(r"[1-9][0-9]{0,18}\Z")
_TAG = re.compile(r"[^/?#\s]{1,300}\Z")
_CODE = re.compile(r"[A-Za-z0-9_+-]{1,64}\Z")


class RefKind(StrEnum):
    """What one of our IRIs names. The last group are activities, by the word in their path."""

    ACTOR = "actor"
    INSTANCE_ACTOR = "instance_actor"
    INSTANCE_INBOX = "instance_inbox"
    INSTANCE_OUTBOX = "instance_outbox"
    INSTANCE_KEY = "instance_key"
    MAIN_KEY = "main_key"
    ED25519_KEY = "ed25519_key"
    SHARED_INBOX = "shared_inbox"
    INBOX = "inbox"
    OUTBOX = "outbox"
    FOLLOWERS = "followers"
    FOLLOWING = "following"
    FEATURED = "featured"
    FEATURED_TAGS = "featured_tags"
    LIKED = "liked"
    POST = "post"
    POST_ACTIVITY = "post_activity"
    """The Create of a post, or a boost (an Announce has no object of its own)."""
    POST_REPLIES = "post_replies"
    POST_LIKES = "post_likes"
    POST_SHARES = "post_shares"
    PROFILE_PAGE = "profile_page"
    POST_PAGE = "post_page"
    TAG = "tag"
    EMOJI = "emoji"

    FOLLOWS = "follows"
    LIKES = "likes"
    ACCEPTS = "accepts"
    REJECTS = "rejects"
    BLOCKS = "blocks"
    UPDATES = "updates"
    DELETES = "deletes"
    UNDOS = "undos"
    MOVES = "moves"
    ADDS = "adds"
    REMOVES = "removes"
    VOTES = "votes"
    VOTE_ACTIVITY = "vote_activity"
    """The Create around a vote, which is a Note of its own."""
    FLAGS = "flags"
    QUOTE_REQUESTS = "quote_requests"
    QUOTE_AUTHORIZATION = "quote_authorization"
    """That the author of a post agrees to a quote: no activity, but a document of its own."""


Verb = Literal[
    "follows",
    "likes",
    "accepts",
    "rejects",
    "blocks",
    "updates",
    "deletes",
    "undos",
    "moves",
    "adds",
    "removes",
    "votes",
    "flags",
    "quote_requests",
]

VERBS: frozenset[str] = frozenset(get_args(Verb))

_COLLECTIONS = {
    "inbox": RefKind.INBOX,
    "outbox": RefKind.OUTBOX,
    "followers": RefKind.FOLLOWERS,
    "following": RefKind.FOLLOWING,
    "liked": RefKind.LIKED,
}
_POST_PARTS = {
    "activity": RefKind.POST_ACTIVITY,
    "replies": RefKind.POST_REPLIES,
    "likes": RefKind.POST_LIKES,
    "shares": RefKind.POST_SHARES,
}
_INSTANCE = {
    "/inbox": RefKind.SHARED_INBOX,
    "/actor": RefKind.INSTANCE_ACTOR,
    "/actor/inbox": RefKind.INSTANCE_INBOX,
    "/actor/outbox": RefKind.INSTANCE_OUTBOX,
    "/actor#main-key": RefKind.INSTANCE_KEY,
}


@dataclass(frozen=True, slots=True)
class LocalRef:
    """What an IRI under our origin names.

    ``name`` is the account's name (the tag for TAG, the code for EMOJI, empty for the instance); ``id`` is set for
    posts, their parts and activities. Whether it exists is for the store to say.
    """

    kind: RefKind
    name: str = ""
    id: Id | None = None


@dataclass(frozen=True, slots=True)
class Names:
    """Builds and reads our IRIs. ``origin`` is ``https://host[:port]``; ``domain`` is that of the handles."""

    origin: str
    domain: Domain

    def actor(self, name: str) -> Iri:
        """The id of a local person, group or service."""
        return Iri(f"{self.origin}/users/{name}")

    def inbox(self, name: str) -> Iri:
        """The personal inbox."""
        return Iri(f"{self.origin}/users/{name}/inbox")

    def outbox(self, name: str) -> Iri:
        """The outbox collection."""
        return Iri(f"{self.origin}/users/{name}/outbox")

    def followers(self, name: str) -> Iri:
        """The followers collection."""
        return Iri(f"{self.origin}/users/{name}/followers")

    def following(self, name: str) -> Iri:
        """The following collection."""
        return Iri(f"{self.origin}/users/{name}/following")

    def liked(self, name: str) -> Iri:
        """The liked collection."""
        return Iri(f"{self.origin}/users/{name}/liked")

    def featured(self, name: str) -> Iri:
        """The collection of pinned posts."""
        return Iri(f"{self.origin}/users/{name}/collections/featured")

    def featured_tags(self, name: str) -> Iri:
        """The collection of hashtags on a profile."""
        return Iri(f"{self.origin}/users/{name}/collections/tags")

    def main_key(self, name: str) -> str:
        """The key id of the RSA key."""
        return f"{self.origin}/users/{name}#main-key"

    def ed25519_key(self, name: str) -> str:
        """The key id of the Ed25519 key."""
        return f"{self.origin}/users/{name}#ed25519-key"

    def shared_inbox(self) -> Iri:
        """The inbox of everybody here."""
        return Iri(f"{self.origin}/inbox")

    def uploads(self) -> Iri:
        """Where people's own programs upload files; each has its id below."""
        return Iri(f"{self.origin}/api/activitypub/media")

    def proxy(self) -> Iri:
        """Where people's own programs read partners' documents."""
        return Iri(f"{self.origin}/api/activitypub/proxy")

    def sign_in(self) -> Iri:
        """Where people allow a program to act for them (OAuth 2)."""
        return Iri(f"{self.origin}/oauth/authorize")

    def tokens(self) -> Iri:
        """Where a program gets its token (OAuth 2)."""
        return Iri(f"{self.origin}/oauth/token")

    def instance_actor(self) -> Iri:
        """The actor that signs our fetches and sends our reports."""
        return Iri(f"{self.origin}/actor")

    def instance_inbox(self) -> Iri:
        """The instance actor's inbox."""
        return Iri(f"{self.origin}/actor/inbox")

    def instance_outbox(self) -> Iri:
        """The instance actor's outbox, which stays empty."""
        return Iri(f"{self.origin}/actor/outbox")

    def instance_key(self) -> str:
        """The instance actor's key id."""
        return f"{self.origin}/actor#main-key"

    def post(self, name: str, post_id: Id) -> Iri:
        """The id of a post."""
        return Iri(f"{self.origin}/users/{name}/statuses/{post_id}")

    def post_activity(self, name: str, post_id: Id) -> Iri:
        """The id of a post's Create; for a boost, of its Announce."""
        return Iri(f"{self.origin}/users/{name}/statuses/{post_id}/activity")

    def replies(self, name: str, post_id: Id) -> Iri:
        """A post's replies collection."""
        return Iri(f"{self.origin}/users/{name}/statuses/{post_id}/replies")

    def likes(self, name: str, post_id: Id) -> Iri:
        """A post's likes collection."""
        return Iri(f"{self.origin}/users/{name}/statuses/{post_id}/likes")

    def shares(self, name: str, post_id: Id) -> Iri:
        """A post's shares collection."""
        return Iri(f"{self.origin}/users/{name}/statuses/{post_id}/shares")

    def activity(self, name: str, verb: Verb, activity_id: Id) -> Iri:
        """The id of any other activity, for example ``/users/ana/follows/17``. Without a name: the instance actor's."""
        return Iri(
            f"{self.origin}/users/{name}/{verb}/{activity_id}" if name else f"{self.origin}/{verb}/{activity_id}"
        )

    def quote_authorization(self, name: str, stamp_id: Id) -> Iri:
        """The id of a `QuoteAuthorization` by the account ``name``."""
        return Iri(f"{self.origin}/users/{name}/quote_authorizations/{stamp_id}")

    def profile_page(self, name: str) -> str:
        """The profile for browsers."""
        return f"{self.origin}/@{name}"

    def post_page(self, name: str, post_id: Id) -> str:
        """A post for browsers."""
        return f"{self.origin}/@{name}/{post_id}"

    def tag(self, tag: str) -> str:
        """The page of a hashtag (without ``#``)."""
        return f"{self.origin}/tags/{tag}"

    def emoji(self, code: str) -> Iri:
        """The id of a custom emoji (without colons)."""
        return Iri(f"{self.origin}/emojis/{code}")

    def is_ours(self, iri: str) -> bool:
        """Whether an IRI lies under our origin, in whatever spelling of the host. Peers never own such ids."""
        if iri.startswith(self.origin + "/"):
            return True
        ours = self.origin.lower()
        host = ours.partition("://")[2].partition(":")[0]
        return host in iri.lower() and _lowered_origin(iri) == ours

    def parse(self, iri: str) -> LocalRef | None:
        """What one of our IRIs names; None for anything else, also for other spellings (query, case of the host)."""
        if not iri.startswith(self.origin + "/"):
            return None
        path = iri[len(self.origin) :]
        if path in _INSTANCE:
            return LocalRef(_INSTANCE[path])
        match path.split("/")[1:]:
            case ["users", name, *rest]:
                return _under_user(name, rest)
            case [page, *rest] if page.startswith("@"):
                return _page(page[1:], rest)
            case ["tags", tag] if _TAG.match(tag):
                return LocalRef(RefKind.TAG, tag)
            case ["emojis", code] if _CODE.match(code):
                return LocalRef(RefKind.EMOJI, code)
            case [verb, number] if verb in VERBS:
                return _numbered(RefKind(verb), "", number)
            case _:
                return None


def _lowered_origin(iri: str) -> str:
    scheme, separator, rest = iri.partition("://")
    host = re.split(r"[/?#\\]", rest, maxsplit=1)[0].rpartition("@")[2].lower()
    name, colon, port = host.partition(":")
    if port == {"https": "443", "http": "80"}.get(scheme.lower()):
        colon = port = ""
    return f"{scheme.lower()}{separator}{name.rstrip('.')}{colon}{port}"


def _under_user(name: str, rest: list[str]) -> LocalRef | None:
    match rest:
        case []:
            bare, mark, fragment = name.partition("#")
            if not _NAME.match(bare):
                return None
            kinds = {"": RefKind.ACTOR, "#main-key": RefKind.MAIN_KEY, "#ed25519-key": RefKind.ED25519_KEY}
            kind = kinds.get(mark + fragment)
            return LocalRef(kind, bare) if kind else None
        case _ if not _NAME.match(name):
            return None
        case [collection] if collection in _COLLECTIONS:
            return LocalRef(_COLLECTIONS[collection], name)
        case ["collections", "featured"]:
            return LocalRef(RefKind.FEATURED, name)
        case ["collections", "tags"]:
            return LocalRef(RefKind.FEATURED_TAGS, name)
        case ["statuses", number]:
            return _numbered(RefKind.POST, name, number)
        case ["statuses", number, part] if part in _POST_PARTS:
            return _numbered(_POST_PARTS[part], name, number)
        case ["quote_authorizations", number]:
            return _numbered(RefKind.QUOTE_AUTHORIZATION, name, number)
        case ["votes", number, "activity"]:
            return _numbered(RefKind.VOTE_ACTIVITY, name, number)
        case [verb, number] if verb in VERBS:
            return _numbered(RefKind(verb), name, number)
        case _:
            return None


def _page(name: str, rest: list[str]) -> LocalRef | None:
    if not _NAME.match(name):
        return None
    match rest:
        case []:
            return LocalRef(RefKind.PROFILE_PAGE, name)
        case [number]:
            return _numbered(RefKind.POST_PAGE, name, number)
        case _:
            return None


def _numbered(kind: RefKind, name: str, number: str) -> LocalRef | None:
    if not _ID.match(number) or int(number) > MAX_ID:
        return None
    return LocalRef(kind, name, Id(int(number)))
