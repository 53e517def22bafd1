"""Posts: what people write, with the two labels that decide who gets it: visibility and reach."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from fedishare.model.actors import Emoji
from fedishare.model.ids import Domain, Handle, Id, Iri, Millis
from fedishare.model.quotes import OPEN, RemoteQuote, Rule


class Visibility(IntEnum):
    """Who may see a post; a higher number is a smaller audience. Unknown is never PUBLIC."""

    PUBLIC = 0
    UNLISTED = 1
    PRIVATE = 2
    DIRECT = 3

    @property
    def word(self) -> str:
        """The client API's word."""
        return self.name.lower()

    @classmethod
    def from_word(cls, word: str) -> Visibility | None:
        """From the client API's word; None when unknown."""
        return _VISIBILITY_WORDS.get(word)


_VISIBILITY_WORDS = {v.name.lower(): v for v in Visibility}


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a post may travel: nowhere (local), every partner, or the named partners only.

    ``domains`` is None for every partner, the empty set for local, else the named partners.
    Remote posts carry ``Reach.LOCAL_ONLY`` too: what we received we never pass on to other domains,
    apart from back to the domain it came from.
    """

    domains: frozenset[Domain] | None = frozenset()

    @property
    def is_local(self) -> bool:
        """Never leaves this instance."""
        return self.domains is not None and not self.domains

    def allows(self, domain: Domain) -> bool:
        """Whether the post may travel to ``domain``, as far as reach is concerned."""
        return self.domains is None or domain in self.domains

    def narrowed(self, other: Reach) -> Reach:
        """The intersection: never further than either of the two."""
        if self.domains is None:
            return other
        if other.domains is None:
            return self
        return Reach(self.domains & other.domains)

    def within(self, other: Reach) -> bool:
        """Whether this one goes no further than ``other``."""
        return other.domains is None or (self.domains is not None and self.domains <= other.domains)

    def encode(self) -> str:
        """The stored form: ``local``, ``partners`` or the sorted domains with commas."""
        if self.domains is None:
            return "partners"
        return ",".join(sorted(self.domains)) or "local"

    @classmethod
    def decode(cls, text: str) -> Reach:
        """From the stored form."""
        if text == "partners":
            return PARTNERS
        return LOCAL if text == "local" else cls(frozenset(Domain(d) for d in text.split(",")))


LOCAL = Reach(frozenset())
PARTNERS = Reach(None)


MIN_POLL_SECONDS, MAX_POLL_SECONDS = 300, 30 * 86400
"""How long a poll lasts."""


class PostKind(StrEnum):
    """The ActivityStreams object types that we show. Anything long or foreign is shown as title, text and link."""

    NOTE = "Note"
    QUESTION = "Question"
    ARTICLE = "Article"
    PAGE = "Page"
    IMAGE = "Image"
    AUDIO = "Audio"
    VIDEO = "Video"
    EVENT = "Event"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A picture, sound or film by reference."""

    url: str
    media_type: str
    kind: str = "unknown"
    """``image``, ``gifv``, ``video``, ``audio`` or ``unknown``: the client API's words."""
    description: str | None = None
    width: int | None = None
    height: int | None = None
    blurhash: str | None = None
    focus: tuple[float, float] | None = None
    preview_url: str | None = None
    id: Id | None = None
    """Of our own upload; None for what is elsewhere."""
    preview_size: tuple[int, int] | None = None
    seconds: float = 0.0
    rate: str = ""


@dataclass(frozen=True, slots=True)
class Mention:
    """Somebody named in a post's tags."""

    actor_id: Id
    iri: Iri
    handle: Handle
    url: str
    silent: bool = False
    """Addressed without being tagged: may see it, is not shown in the text."""


@dataclass(frozen=True, slots=True)
class PollOption:
    """One answer; ``votes`` as far as we know."""

    title: str
    votes: int = 0


@dataclass(frozen=True, slots=True)
class Poll:
    """A Question's answers. ``voters`` is None when the origin does not say."""

    options: tuple[PollOption, ...]
    multiple: bool = False
    ends_at: Millis | None = None
    closed_at: Millis | None = None
    voters: int | None = None
    hide_totals: bool = False


@dataclass(frozen=True, slots=True)
class Content:
    """What an edit replaces: text, warning, tags, attachments, poll, language."""

    html: str
    """Safe HTML."""
    source: str = ""
    """As typed, for local posts."""
    summary: str = ""
    """The content warning (plain text), or an Article's abstract."""
    title: str = ""
    sensitive: bool = False
    language: str | None = None
    mentions: tuple[Mention, ...] = ()
    hashtags: tuple[str, ...] = ()
    emojis: tuple[Emoji, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    poll: Poll | None = None


@dataclass(frozen=True, slots=True)
class Post:
    """A post, or a boost of one (``boost_of_id`` set, content empty)."""

    id: Id
    iri: Iri
    url: str
    author_id: Id
    local: bool
    kind: PostKind
    visibility: Visibility
    reach: Reach
    content: Content
    published: Millis
    created_at: Millis
    edited_at: Millis | None = None
    in_reply_to_id: Id | None = None
    in_reply_to_iri: Iri | None = None
    in_reply_to_account_id: Id | None = None
    boost_of_id: Id | None = None
    thread_id: Id | None = None
    """The id of the thread's first post that we know."""
    context_iri: Iri | None = None
    app_name: str | None = None
    replies_count: int = 0
    boosts_count: int = 0
    favourites_count: int = 0
    rev: int = 0
    interaction_policy: int = OPEN
    """Who may quote, answer, like and boost it: see `fedishare.model.quotes`."""
    quoting: bool = False
    """It quotes another post."""
    quotes_count: int = 0


@dataclass(frozen=True, slots=True)
class Draft:
    """What a local person asks to publish, after reading the request and resolving mentioned handles."""

    text: str
    visibility: Visibility | None = None
    """None: the instance's default."""
    reach: Reach | None = None
    """None: the default, see `fedishare.services.audience.default_reach`."""
    summary: str = ""
    sensitive: bool | None = None
    """None: as the author prefers, else no."""
    language: str | None = None
    in_reply_to_id: Id | None = None
    poll: Poll | None = None
    attachments: tuple[Attachment, ...] = ()
    app_name: str | None = None
    media_ids: tuple[Id, ...] | None = None
    """The author's uploads to attach, in this order; None leaves an edited post's as they are."""
    addressed: tuple[Id, ...] | None = None
    """Exactly the people that it is for, where the author said so; None: those that the text names."""
    blind: tuple[Id, ...] = ()
    """People that get it without anybody being told (``bto`` and ``bcc``)."""
    quoted_id: Id | None = None
    """The post that it quotes; an edit never changes that."""
    quote_rule: Rule | None = None
    """Who may quote it; None: nobody, and an edit leaves it as it is."""


@dataclass(frozen=True, slots=True)
class RemotePost:
    """A post as its origin's document states it, before it has a local id. IRIs are not resolved yet."""

    iri: Iri
    url: str
    author: Iri
    kind: PostKind
    visibility: Visibility
    content: Content
    """Its ``mentions`` are empty: see ``mention_iris``."""
    published: Millis
    updated: Millis | None
    in_reply_to: Iri | None
    mention_iris: tuple[Iri, ...] = ()
    """Tagged actors, in order."""
    addressed_iris: tuple[Iri, ...] = ()
    """Actors in to and cc that are not tagged, without collections and Public."""
    context: Iri | None = None
    audience: Iri | None = None
    to: tuple[Iri, ...] = ()
    cc: tuple[Iri, ...] = ()
    proof_or_signed: bool = True
    quote: RemoteQuote | None = None
    interaction_policy: int = OPEN
    extra: tuple[tuple[str, str], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What remains after Delete, for ever, so that nothing brings the post back."""

    iri: Iri
    author_iri: Iri
    visibility: Visibility
    deleted_at: Millis
    post_id: Id | None = None
