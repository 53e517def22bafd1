"""Facts: what the guard is asked, and everything that the answer may depend on, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from fedishare.model.ids import Millis
from fedishare.model.posts import Reach, Visibility


class Question(StrEnum):
    """What the guard is asked."""

    CONNECT = "connect"
    """May this peer make a request of us at all, GET included?"""
    RECEIVE = "receive"
    """May this activity of theirs come in?"""
    FETCH = "fetch"
    """May we read something at this host?"""
    DELIVER = "deliver"
    """May this activity (or this document, when they read it) of ours go to this host?"""
    PUSH = "push"
    """May this service pass a notification on to somebody's app? The one question that is not about partners."""


class Purpose(StrEnum):
    """What a permitted request is for; a permit is good for one purpose."""

    KEY = "key"
    ACTOR = "actor"
    OBJECT = "object"
    COLLECTION = "collection"
    WEBFINGER = "webfinger"
    NODEINFO = "nodeinfo"
    MEDIA = "media"
    PAGE = "page"
    """An HTML page, for rel=me links."""
    PREVIEW = "preview"
    """An HTML page that a post links to, and its picture."""
    DELIVERY = "delivery"
    PUSH = "push"
    """An encrypted message for an app, to the push service that it named."""


class Verdict(IntEnum):
    """A rule's answer; the highest one given wins."""

    PASS = 0
    ALLOW = 1
    HOLD = 2
    DENY = 3

    @property
    def word(self) -> str:
        """The word for people and for the decision log."""
        return self.name.lower()


ANSWERS = frozenset({"Accept", "Reject", "Undo", "Delete", "Block"})
"""Activities that settle or take back something, without anything new to read."""

_NOT_POSTS = ANSWERS | {"Add", "EmojiReact", "Flag", "Follow", "Like", "Move", "Remove"}
_ACTORS = frozenset({"Person", "Group", "Service", "Application", "Organization"})
KEEPS_QUEUE = frozenset({"federation-off", "partner-paused", "broken-policy", "broken-rule"})
"""Rules whose refusal is for now: delivery keeps what is queued. Any other refusal cancels it."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is asked about. ``domain`` is the host asked about, in any spelling; ``size`` is in bytes."""

    question: Question
    domain: str
    now: Millis
    activity_type: str | None = None
    object_type: str | None = None
    visibility: Visibility | None = None
    """None is unknown and counts as the widest."""
    reach: Reach | None = None
    has_media: bool = False
    is_direct: bool = False
    public_addressed: bool = False
    """The outgoing document names ``as:Public``."""
    size: int = 0
    purpose: Purpose | None = None

    @property
    def timeless(self) -> tuple[object, ...]:
        """Everything but the time, and the size, at which no rule looks: equal for the same question asked again."""
        return (
            self.question, self.domain, self.activity_type, self.object_type, self.visibility, self.reach,
            self.has_media, self.is_direct, self.public_addressed, self.purpose,
        )  # fmt: skip

    @property
    def is_protocol_answer(self) -> bool:
        """Whether the activity settles or takes back something (see the module's text)."""
        return self.activity_type in ANSWERS

    @property
    def carries_post(self) -> bool:
        """Whether there is a post in it to read, so that ceilings and object types matter."""
        if self.activity_type == "Update" and self.object_type in _ACTORS:
            return False
        if self.activity_type == "QuoteRequest" and self.object_type is None:
            return False  # it names the post that is to quote, and does not bring it along
        return self.activity_type not in _NOT_POSTS


@dataclass(frozen=True, slots=True)
class DeliveryFacts:
    """What of ours is to leave: the same facts for a delivery and for a document that a partner reads."""

    activity_type: str
    object_type: str | None = None
    visibility: Visibility | None = None
    reach: Reach | None = None
    has_media: bool = False
    public_addressed: bool = False
    size: int = 0

    def to_host(self, host: str, now: Millis) -> Facts:
        """The DELIVER question about ``host``."""
        return Facts(
            question=Question.DELIVER,
            domain=host,
            now=now,
            activity_type=self.activity_type,
            object_type=self.object_type,
            visibility=self.visibility,
            reach=self.reach,
            has_media=self.has_media,
            is_direct=self.visibility is Visibility.DIRECT,
            public_addressed=self.public_addressed,
            size=self.size,
            purpose=Purpose.DELIVERY,
        )
