"""Routes and what each declares: who may call it, with which scope, how often, how much, and what it shows to whom."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from fedishare.http.call import Answer, Call
from fedishare.http.socket import SocketHandler
from fedishare.model.scopes import coarser_scope

Handler = Callable[[Call], Awaitable[Answer]]


class Access(StrEnum):
    """Who may call a route."""

    OPEN = "open"
    """Anybody; shows nothing but what strangers need (WebFinger, NodeInfo, the instance actor, health)."""
    PEER = "peer"
    """Requests signed by an actor of an active partner."""
    PEER_OR_TOKEN = "peer-or-token"  # noqa: S105 — a word, not a secret
    """The same, and bearers of a token with one of the route's scopes: local ids, read by our own people's programs."""
    INBOX = "inbox"
    """Signed deliveries. The inbox verifies them itself, because some that cannot be verified are answered 202."""
    TOKEN = "token"  # noqa: S105 — a word, not a secret
    """Bearers of a token with one of the route's scopes."""
    MEDIA = "media"
    """Files: signed-in people (token, session, or the ticket in a link) and partners' signatures; 404 for all others.
    The handler finds out who asks, because the answer to everybody else is the same."""
    APP = "app"
    """Apps before sign-in (OAuth, instance description): anybody inside, nothing of anybody's posts."""
    OPERATOR = "operator"
    """Addresses in ``metrics.allowed_networks``."""


class Rate(StrEnum):
    """Which rate of ``[limits]`` counts the call."""

    PUBLIC = "public"
    API = "api"
    AUTH = "auth"
    INBOX = "inbox"
    FETCH = "fetch"
    NONE = "none"


class Audience(StrEnum):
    """What decides about what the route shows."""

    METADATA = "metadata"
    """Nothing of people's posts: names, keys, numbers."""
    OWN = "own"
    """Only what belongs to the viewer."""
    CAN_SEE = "can-see"
    """Posts and people, through the one audience decision."""
    ROLE = "role"
    """What the viewer's role is there for: people, reports and partners as moderators see them."""
    NOTHING = "nothing"
    """It shows nothing; it takes something in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One line of the registry. ``path`` has ``{name}`` for a segment, or for the rest of one: ``/@{name}``."""

    method: str
    path: str
    handler: Handler
    access: Access
    scopes: tuple[str, ...]
    """Where a token is taken: any one is enough; a coarser one (``read``) includes finer ones (``read:statuses``)."""
    rate: Rate
    max_body: int
    """Bytes; 0 takes no body."""
    audience: Audience
    streams: bool = False
    """The handler reads the body itself, part by part, up to ``max_body``."""

    def __post_init__(self) -> None:
        if self.takes_token != bool(self.scopes):
            raise ValueError(f"{self.method} {self.path}: a route has scopes exactly when it wants a token")
        if not self.path.startswith("/"):
            raise ValueError(f"{self.path}: a path starts with a slash")

    @property
    def takes_token(self) -> bool:
        """Whether a bearer token opens it."""
        return self.access in (Access.TOKEN, Access.PEER_OR_TOKEN)

    @property
    def name(self) -> str:
        """As lists and metrics name it."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketRoute:
    """A WebSocket's line of the registry. It always wants a token with one of the scopes."""

    path: str
    handler: SocketHandler
    scopes: tuple[str, ...]
    rate: Rate
    audience: Audience

    def __post_init__(self) -> None:
        if not self.scopes:
            raise ValueError(f"{self.path}: a WebSocket wants a token with a scope")

    @property
    def name(self) -> str:
        """As lists and metrics name it."""
        return f"WEBSOCKET {self.path}"


def scope_allows(granted: frozenset[str], wanted: tuple[str, ...]) -> bool:
    """Whether a token's scopes include one of those that a route wants."""
    for scope in wanted:
        if scope in granted or coarser_scope(scope) in granted:
            return True
        if "follow" in granted and scope in FOLLOW_SCOPES:
            return True
    return False


FOLLOW_SCOPES = frozenset(f"{verb}:{noun}" for verb in ("read", "write") for noun in ("blocks", "follows", "mutes"))
"""What Mastodon's old ``follow`` scope stands for."""
