"""Actors: people, groups, services and applications, local and remote, and how they relate."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from fedishare.model.ids import Domain, Handle, Id, Iri, Millis


class ActorKind(StrEnum):
    """The ActivityStreams actor types. Service and Application are bots."""

    PERSON = "Person"
    GROUP = "Group"
    SERVICE = "Service"
    APPLICATION = "Application"
    ORGANIZATION = "Organization"

    @property
    def is_bot(self) -> bool:
        """Whether apps mark it as automated."""
        return self in (ActorKind.SERVICE, ActorKind.APPLICATION)


class ActorState(IntEnum):
    """What moderation or deletion did to an actor. LIMITED is shown to its followers; the last two cannot act."""

    ACTIVE = 0
    LIMITED = 1
    SUSPENDED = 2
    DELETED = 3


class Role(StrEnum):
    """What a local account may administer. Ordered by nothing: each role is a separate right."""

    MEMBER = "member"
    MODERATOR = "moderator"
    OPERATOR = "operator"
    SECURITY = "security"
    AUDITOR = "auditor"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Field:
    """One profile field: a name and safe HTML. ``verified_at`` is when a rel=me link was proven."""

    name: str
    value: str
    verified_at: Millis | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """A picture by reference."""

    url: str
    media_type: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Emoji:
    """A custom emoji: ``code`` without colons, as it appears in texts and names."""

    code: str
    url: str
    iri: Iri | None = None
    updated: Millis | None = None
    still: str | None = None
    """The same picture when it does not move, if there is one."""


@dataclass(frozen=True, slots=True)
class ActorKey:
    """A public key as an actor's own document lists it.

    ``kind`` is ``rsa`` or ``ed25519``; ``material`` is SPKI PEM for RSA and the multibase form for Ed25519.
    """

    key_id: str
    owner: Iri
    kind: str
    material: str


@dataclass(frozen=True, slots=True)
class Profile:
    """What an actor says about itself; the part that ``Update`` replaces."""

    display_name: str = ""
    summary: str = ""
    """Safe HTML."""
    fields: tuple[Field, ...] = ()
    avatar: Image | None = None
    header: Image | None = None
    emojis: tuple[Emoji, ...] = ()
    locked: bool = False
    discoverable: bool = True
    indexable: bool = True
    memorial: bool = False
    hide_collections: bool = False
    also_known_as: tuple[Iri, ...] = ()
    moved_to: Iri | None = None
    featured: Iri | None = None
    source: str = ""
    """The summary as a local person typed it."""
    attribution_domains: tuple[Domain, ...] = ()
    """Whose pages may name this person as their author."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where an actor is reached. For local actors they are derived from the IRI."""

    inbox: Iri
    outbox: Iri | None = None
    followers: Iri | None = None
    following: Iri | None = None
    shared_inbox: Iri | None = None


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. ``domain`` (of the handle) and ``host`` (of the IRI) are None for local actors."""

    id: Id
    iri: Iri
    name: str
    domain: Domain | None
    host: Domain | None
    kind: ActorKind
    state: ActorState
    profile: Profile
    endpoints: Endpoints
    url: str
    created_at: Millis
    fetched_at: Millis
    """When the document was last read; for local actors, when the profile last changed."""
    followers_count: int = 0
    following_count: int = 0
    posts_count: int = 0
    last_post_at: Millis | None = None
    rev: int = 0
    """Grows with each change that shows, so that rendered fragments can be kept by (id, rev)."""
    sensitized: bool = False
    """Everything that it attaches counts as sensitive."""
    limited: bool = False
    """Whether it is LIMITED, or is again when its suspension is taken back."""

    @property
    def is_local(self) -> bool:
        """Whether it lives on this instance."""
        return self.domain is None

    @property
    def handle(self) -> Handle:
        """``@name`` for local, ``@name@domain`` for remote."""
        return Handle(self.name, self.domain)


@dataclass(frozen=True, slots=True)
class Viewer:
    """The local person on whose behalf a client request is made, with the scopes of its token."""

    id: Id
    name: str
    scopes: frozenset[str]
    token_id: Id
    role: Role = Role.MEMBER
    app_name: str | None = None


class FollowState(IntEnum):
    """The life of a Follow."""

    PENDING = 0
    ACCEPTED = 1


@dataclass(frozen=True, slots=True)
class Follow:
    """``follower`` follows ``followee``. ``iri`` is the Follow activity's id."""

    id: Id
    follower_id: Id
    followee_id: Id
    state: FollowState
    iri: Iri
    created_at: Millis
    show_boosts: bool = True
    notify: bool = False
    languages: tuple[str, ...] = ()
    """The followee's posts in other languages do not come home; empty: all do."""


@dataclass(frozen=True, slots=True)
class Relationship:
    """How the viewer and another account stand to each other."""

    id: Id
    following: bool = False
    showing_boosts: bool = False
    notifying: bool = False
    languages: tuple[str, ...] = ()
    requested: bool = False
    requested_by: bool = False
    followed_by: bool = False
    blocking: bool = False
    blocked_by: bool = False
    muting: bool = False
    muting_notifications: bool = False
    muting_until: Millis | None = None
    """When the mute ends; None: never."""
    domain_blocking: bool = False
    endorsed: bool = False
    note: str = ""
