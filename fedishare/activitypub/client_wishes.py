"""Wishes: what a person's own program can ask of us (ActivityPub 6), one value for each thing, and its scope.

Made by ``client_reading``, given their effect by ``client_effects``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape, unescape

from fedishare.model.ids import Iri, Millis
from fedishare.model.names import RefKind
from fedishare.model.posts import Poll, Reach, Visibility
from fedishare.model.quotes import Rule
from fedishare.text import SafeHtml, plain_text

_ANCHOR = re.compile(r"<a ([^<>]*)>(.*?)</a>", re.DOTALL)
_HREF = re.compile(r'href="([^"]*)"')
_SHORTENED = re.compile(r"https?://(?:www\.)?")


@dataclass(frozen=True, slots=True)
class Me:
    """Whose outbox it is: the ids that only this person can name as its own."""

    iri: Iri
    followers: Iri
    featured: Iri
    featured_tags: Iri


@dataclass(frozen=True, slots=True)
class Addressed:
    """Whom something is for: a visibility, and people by their ids."""

    visibility: Visibility
    people: tuple[Iri, ...] = ()
    blind: tuple[Iri, ...] = ()
    given: bool = True
    """Anything was said about it at all."""


@dataclass(frozen=True, slots=True)
class Text:
    """The words of a post: as typed, or as HTML that is safe but not text yet."""

    typed: str | None = None
    html: SafeHtml | None = None

    def words(self, handles: Mapping[str, str]) -> str:
        """As it would be typed. ``handles`` are the people that links may stand for, by id and by page."""
        return self.typed if self.typed is not None else _typed(self.html or "", handles)


QUOTES = ("quote", "quoteUri", "quoteUrl", "_misskey_quote")
"""The properties that name what a post quotes, the current one first."""


@dataclass(frozen=True, slots=True)
class Words:
    """What a document says of a post; ``given`` are the properties that it has, null ones too."""

    given: frozenset[str]
    kind: str
    text: Text
    summary: str
    sensitive: bool | None
    language: str | None
    poll: Poll | None
    files: tuple[Iri, ...]
    answers: Iri | None
    reach: Reach | None
    ends: Millis | None = None
    """When the poll ends, also where its options are not given."""
    quotes: Iri | None = None
    quote_rule: Rule | None = None
    """Who may quote it; None is not given."""
    has_text: bool = False
    """The words are given, in any spelling: null removes them, null for another spelling takes only that one."""
    has_summary: bool = False
    """The same for the warning before them."""


@dataclass(frozen=True, slots=True)
class Publish:
    """Create of a Note or Question."""

    words: Words
    addressed: Addressed


@dataclass(frozen=True, slots=True)
class Vote:
    """Create of a nameless Note that answers a Question; several names where several may be chosen."""

    question: Iri
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Edit:
    """Update of a post: what is given changes, the rest stays (6.3)."""

    object: Iri
    words: Words
    addressed: Addressed


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture for one's profile: an upload by its id, or a file of ours by its address. None says nothing of it."""

    source: Iri
    description: str | None = None


@dataclass(frozen=True, slots=True)
class EditMe:
    """Update of oneself; None is not given, what is empty removes."""

    kind: str | None = None
    name: str | None = None
    note: Text | None = None
    locked: bool | None = None
    discoverable: bool | None = None
    indexable: bool | None = None
    fields: tuple[tuple[str, Text], ...] | None = None
    domains: tuple[str, ...] | None = None
    pictures: tuple[tuple[str, Picture | None], ...] = ()
    """``avatar`` and ``header``, those that are given; None removes."""


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete of a post."""

    object: Iri


@dataclass(frozen=True, slots=True)
class Unquote:
    """Delete of the authorization that one gave to a quote."""

    object: Iri


@dataclass(frozen=True, slots=True)
class FollowActor:
    """Follow."""

    object: Iri


@dataclass(frozen=True, slots=True)
class AnswerFollower:
    """Accept or Reject of a Follow, by its id, by its actor, or by both, which must then agree."""

    accepted: bool
    follow: Iri | None
    follower: Iri | None


@dataclass(frozen=True, slots=True)
class PinPost:
    """Add to, or Remove from, one's featured collection."""

    object: Iri
    added: bool


@dataclass(frozen=True, slots=True)
class PinTag:
    """Add to, or Remove from, the hashtags on one's profile."""

    name: str
    added: bool


@dataclass(frozen=True, slots=True)
class LikePost:
    """Like."""

    object: Iri


@dataclass(frozen=True, slots=True)
class BlockActor:
    """Block."""

    object: Iri


@dataclass(frozen=True, slots=True)
class Report:
    """Flag of somebody, of posts, or of both; ``forward``: their own server is told, too, but not by whom."""

    objects: tuple[Iri, ...]
    comment: str
    forward: tuple[Iri, ...] = ()


@dataclass(frozen=True, slots=True)
class Share:
    """Announce."""

    object: Iri
    addressed: Addressed


@dataclass(frozen=True, slots=True)
class TakeBack:
    """Undo: by the activity's id, or by what it was (its type and object), or both, which must then agree."""

    kind: str
    activity: Iri | None
    object: Iri | None


Wish = (
    Publish
    | Vote
    | Edit
    | EditMe
    | Remove
    | Unquote
    | FollowActor
    | AnswerFollower
    | PinPost
    | PinTag
    | LikePost
    | BlockActor
    | Share
    | Report
    | TakeBack
)

_SCOPES = {
    FollowActor: "write:follows",
    AnswerFollower: "write:follows",
    LikePost: "write:favourites",
    BlockActor: "write:blocks",
    PinPost: "write:accounts",
    PinTag: "write:accounts",
    EditMe: "write:accounts",
    Report: "write:reports",
}
_KINDS = {
    Publish: "Create",
    Vote: "Create",
    Edit: "Update",
    EditMe: "Update",
    Remove: "Delete",
    Unquote: "Delete",
    FollowActor: "Follow",
    LikePost: "Like",
    BlockActor: "Block",
    Share: "Announce",
    Report: "Flag",
    TakeBack: "Undo",
}
UNDONE = {
    "Follow": "write:follows",
    "Like": "write:favourites",
    "Block": "write:blocks",
    "Announce": "write:statuses",
}
BY_ID = {
    RefKind.FOLLOWS: "Follow",
    RefKind.LIKES: "Like",
    RefKind.BLOCKS: "Block",
    RefKind.POST_ACTIVITY: "Announce",
}
SCOPES = ("write:statuses", "write:favourites", "write:follows", "write:blocks", "write:accounts", "write:reports")
"""Every scope that some wish needs."""


def scope_of(wish: Wish) -> str:
    """The scope that a token must have for it: the one that the client API asks for the same thing."""
    return UNDONE[wish.kind] if isinstance(wish, TakeBack) else _SCOPES.get(type(wish), "write:statuses")


def kind_of(wish: Wish) -> str:
    """The type of the activity that comes of it."""
    match wish:
        case AnswerFollower(accepted):
            return "Accept" if accepted else "Reject"
        case PinPost(_, added) | PinTag(_, added):
            return "Add" if added else "Remove"
        case _:
            return _KINDS[type(wish)]


# HTML to what would be typed


def _typed(body: str, handles: Mapping[str, str]) -> str:
    """The text of safe HTML, links written out: a person's as the handle, any other with its address."""
    return plain_text(_ANCHOR.sub(lambda match: escape(_link(match, handles), quote=False), body))


def _link(match: re.Match[str], handles: Mapping[str, str]) -> str:
    found = _HREF.search(match[1])
    href = unescape(found[1]) if found else ""
    said = " ".join(plain_text(match[2]).split())
    if href in handles:
        return handles[href]
    if not href or said.startswith(("#", "@")):
        return said
    bare = _SHORTENED.sub("", href)
    if not said or said in (href, bare) or (said.endswith("…") and bare.startswith(said[:-1])):
        return href
    return f"{said} {href}"
