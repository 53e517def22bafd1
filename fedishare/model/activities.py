"""Intents and notices: what an inbound activity asks of us, and what has just changed here.

Wire names stop in ``activitypub/reader``; everything below it speaks in these values.
"""

from __future__ import annotations

from dataclasses import dataclass

from fedishare.model.actors import Actor, ActorKey, ActorKind, Endpoints, Profile
from fedishare.model.ids import Domain, Id, Iri, Millis
from fedishare.model.posts import RemotePost, Visibility


@dataclass(frozen=True, slots=True)
class RemoteActor:
    """An actor as its own document states it, before it has a local id."""

    iri: Iri
    host: Domain
    name: str
    kind: ActorKind
    profile: Profile
    endpoints: Endpoints
    keys: tuple[ActorKey, ...]
    url: str
    webfinger: str | None = None
    """``acct`` without prefix that the document claims (FEP-2c59); to be checked."""
    published: Millis | None = None
    """When the account was made, if the document says."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """The outer facts of an inbound activity: what policy asks about before anything is done."""

    iri: Iri | None
    type: str
    actor: Iri
    object_iri: Iri | None
    object_type: str | None
    object_owner: Iri | None
    visibility: Visibility
    to: tuple[Iri, ...]
    cc: tuple[Iri, ...]
    has_media: bool = False


# Intents: one for each thing that an inbound activity can ask. ``actor`` is always the verified signer's IRI.


@dataclass(frozen=True, slots=True)
class ReceivePost:
    """Create of a post that the sender owns and embeds."""

    post: RemotePost


@dataclass(frozen=True, slots=True)
class FetchPost:
    """Create or Announce that names a post which must be read at its origin first."""

    iri: Iri


@dataclass(frozen=True, slots=True)
class EditPost:
    """Update of a post. For a Question without newer ``updated`` only the counts are taken."""

    post: RemotePost


@dataclass(frozen=True, slots=True)
class RemovePost:
    """Delete of an object (by id, Tombstone or whole)."""

    iri: Iri


@dataclass(frozen=True, slots=True)
class CastVote:
    """Create of a nameless Note that answers a Question of ours."""

    iri: Iri
    question: Iri
    option: str


@dataclass(frozen=True, slots=True)
class EditActor:
    """Update of the sender's own actor document."""

    actor: RemoteActor


@dataclass(frozen=True, slots=True)
class RemoveActor:
    """Delete of the sender itself."""


@dataclass(frozen=True, slots=True)
class RequestFollow:
    """Follow. ``iri`` may be absent at careless peers."""

    iri: Iri | None
    followee: Iri


@dataclass(frozen=True, slots=True)
class AnswerFollow:
    """Accept or Reject of a Follow that somebody here sent; matched by id, else by the pair."""

    accepted: bool
    follow_iri: Iri | None
    follower: Iri | None
    followee: Iri | None


@dataclass(frozen=True, slots=True)
class RequestQuote:
    """QuoteRequest: ``instrument`` is the sender's post that is to quote ``object``; whole where it came along."""

    iri: Iri | None
    object: Iri
    instrument: Iri
    post: RemotePost | None


@dataclass(frozen=True, slots=True)
class AnswerQuote:
    """Accept or Reject of a QuoteRequest of ours; ``result`` is the authorization."""

    accepted: bool
    request: Iri | None
    quoting: Iri | None
    result: Iri | None


@dataclass(frozen=True, slots=True)
class AnswerReply:
    """Accept or Reject of an answer of ours to a post whose author decides about answers."""

    accepted: bool
    reply: Iri
    result: Iri | None


@dataclass(frozen=True, slots=True)
class Favourite:
    """Like, EmojiReact."""

    iri: Iri | None
    object: Iri


@dataclass(frozen=True, slots=True)
class Boost:
    """Announce of a post."""

    iri: Iri
    object: Iri
    visibility: Visibility
    published: int | None = None
    to: tuple[Iri, ...] = ()
    cc: tuple[Iri, ...] = ()


@dataclass(frozen=True, slots=True)
class RelayedActivity:
    """Announce by a Group of an activity (FEP-1b12): judged as that activity once fetched or proven."""

    iri: Iri
    document: str
    """The embedded activity as JSON, or the empty string when only its id came."""


@dataclass(frozen=True, slots=True)
class Undo:
    """Undo. ``kind`` and ``object`` describe the inner activity when it was embedded; ``iri`` is its id."""

    iri: Iri | None
    kind: str | None
    object: Iri | None


@dataclass(frozen=True, slots=True)
class BlockActor:
    """Block of somebody here."""

    iri: Iri | None
    object: Iri


@dataclass(frozen=True, slots=True)
class ReportContent:
    """Flag: actors and posts of ours, with a comment."""

    iri: Iri | None
    objects: tuple[Iri, ...]
    comment: str


@dataclass(frozen=True, slots=True)
class Pin:
    """Add to, or Remove from, the sender's featured collection."""

    object: Iri
    target: Iri
    added: bool


@dataclass(frozen=True, slots=True)
class MoveActor:
    """Move of the sender to ``target``; to be checked on both documents."""

    target: Iri


@dataclass(frozen=True, slots=True)
class Ignore:
    """Nothing that we know how to do; answered 2xx. ``why`` is for the log."""

    why: str


Intent = (
    ReceivePost
    | FetchPost
    | EditPost
    | RemovePost
    | CastVote
    | EditActor
    | RemoveActor
    | RequestFollow
    | AnswerFollow
    | RequestQuote
    | AnswerQuote
    | AnswerReply
    | Favourite
    | Boost
    | RelayedActivity
    | Undo
    | BlockActor
    | ReportContent
    | Pin
    | MoveActor
    | Ignore
)


# Notices: sent after commit, with ids only; subscribers read through the same queries as everybody.


@dataclass(frozen=True, slots=True)
class JobsQueued:
    """There may be work; wakes the workers."""


@dataclass(frozen=True, slots=True)
class PostPublished:
    """A post (or boost) is new in these home timelines."""

    post_id: Id
    author_id: Id
    owners: tuple[Id, ...] = ()


@dataclass(frozen=True, slots=True)
class PostEdited:
    """A post changed."""

    post_id: Id


@dataclass(frozen=True, slots=True)
class PostRemoved:
    """A post is gone; whose it was and how visible, because nobody can look that up any more."""

    post_id: Id
    author_id: int = 0
    visibility: int = 3


@dataclass(frozen=True, slots=True)
class Notified:
    """A notification was written for ``owner_id``."""

    owner_id: Id
    notification_id: Id


@dataclass(frozen=True, slots=True)
class NotificationsMerged:
    """What was kept apart for ``owner_id`` is in the list of notifications now."""

    owner_id: Id


@dataclass(frozen=True, slots=True)
class FiltersChanged:
    """``owner_id`` changed what they do not want to read."""

    owner_id: Id


@dataclass(frozen=True, slots=True)
class ConversationChanged:
    """A conversation of ``owner_id`` has another last post, or was read."""

    owner_id: Id
    conversation_id: Id


@dataclass(frozen=True, slots=True)
class ActorChanged:
    """A profile, key or state changed: cached documents of it are stale."""

    actor_id: Id


@dataclass(frozen=True, slots=True)
class PolicyChanged:
    """Partners or terms changed: the guard compiles its policy anew."""


@dataclass(frozen=True, slots=True)
class TokenRevoked:
    """Sessions and streams with this token end. ``token_id`` 0: every token of the account."""

    token_id: Id
    account_id: Id


@dataclass(frozen=True, slots=True)
class AccessChanged:
    """Which networks may come in changed."""


@dataclass(frozen=True, slots=True)
class AnnouncementChanged:
    """An announcement is new, changed, gone, or somebody reacted to it: ``kind`` is the stream's word, ``name`` the
    reaction."""

    announcement_id: Id
    kind: str = "announcement"
    name: str = ""


Notice = (
    JobsQueued
    | PostPublished
    | PostEdited
    | PostRemoved
    | Notified
    | ActorChanged
    | PolicyChanged
    | TokenRevoked
    | AccessChanged
    | AnnouncementChanged
)


@dataclass(frozen=True, slots=True)
class ResolvedMentions:
    """Handles of a draft that were resolved before publishing, and those that were not, each with the reason."""

    actors: tuple[Actor, ...] = ()
    unresolved: tuple[tuple[str, str], ...] = ()
