"""What plain text refers to: mentions, hashtags, links and custom emoji, each with its position.

One pass, left to right, linear in the length: a light pattern finds where something may begin, one reader per kind
decides. A link is read before anything inside it, so ``https://example.org/@name`` holds no mention. The rules are
those that people know from Mastodon, so that a post means the same on both sides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import regex

from fedishare.model.errors import BadInput
from fedishare.model.ids import MAX_IRI, Domain, Handle, parse_domain
from fedishare.text.characters import normalise_hashtag

MAX_HASHTAG = 100
MAX_NAME = 64

# concurrent=False below: else `regex` hands the interpreter's lock to another thread and back for each match, which
# costs many times what the match does.
_CANDIDATE = re.compile("[@#＃:]|[hH][tT][tT][pP][sS]?://")
# Up to whitespace, quotes, brackets that URLs never hold raw, CJK punctuation, and invisible or bidi controls.
_LINK = regex.compile(
    r"(?<![A-Za-z0-9@$#_＠＃])(?i:https?)://"
    r"([^\s\p{Cc}\p{Cs}<>\"{}|\\^`。、，！？；：「」『』【】《》〈〉（）“”„"
    r"\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]++)"
)
_AUTHORITY = regex.compile(
    r"(?:[\w\u200c\u200d](?:[\w\u200c\u200d-]*+(?<!-))(?:\.(?!-)[\w\u200c\u200d-]++(?<!-))*+\.?|\[[0-9A-Fa-f:.]{2,45}\])"
    r"(?::[0-9]{1,5})?"
)
_TRAILING = frozenset("?!.,:;*_~'…’‘»«›‹")
_CLOSERS = {")": "(", "]": "["}
_MENTION = regex.compile(
    r"(?<![\w=/])@([A-Za-z0-9_]++(?:[.-]++[A-Za-z0-9_]++)*)(?:@([\w\p{M}]++(?:[.-]++[\w\p{M}]++)*))?"
)
_PORT = re.compile(r":[0-9]{1,5}(?![0-9])")
# The middle dots and the zero-width non-joiner belong to words of Catalan, Japanese and Persian.
_HASHTAG = regex.compile(r"(?<![=/)&\p{L}\p{N}])[#＃]([\w\p{M}](?:[\w\p{M}\u00b7\u30fb\u200c]*[\w\p{M}])?)")
_SHORTCODE = regex.compile(r"(?<![\p{L}\p{N}:]):([A-Za-z0-9_]{2,64}):(?![\p{L}\p{N}:])")


@dataclass(frozen=True, slots=True)
class Mention:
    """``@name`` or ``@name@domain`` at ``[start, end)``. ``name`` is as written, ``domain`` is normalised."""

    start: int
    end: int
    name: str
    domain: Domain | None

    @property
    def handle(self) -> Handle:
        """Whom it names, as written."""
        return Handle(self.name, self.domain)


@dataclass(frozen=True, slots=True)
class Hashtag:
    """``#name`` at ``[start, end)``; ``name`` as written, without the sign."""

    start: int
    end: int
    name: str


@dataclass(frozen=True, slots=True)
class Link:
    """An http or https URL at ``[start, end)``."""

    start: int
    end: int
    url: str


@dataclass(frozen=True, slots=True)
class Shortcode:
    """``:code:`` at ``[start, end)``; ``code`` without colons. It may or may not be an emoji that exists."""

    start: int
    end: int
    code: str


Entity = Mention | Hashtag | Link | Shortcode


@dataclass(frozen=True, slots=True)
class Scan:
    """Everything that a text refers to, in order, without overlaps."""

    entities: tuple[Entity, ...] = ()

    @property
    def mentions(self) -> tuple[Mention, ...]:
        """The mentions, in order, repeated ones too."""
        return tuple(e for e in self.entities if isinstance(e, Mention))

    @property
    def hashtags(self) -> tuple[Hashtag, ...]:
        """The hashtags, in order, repeated ones too."""
        return tuple(e for e in self.entities if isinstance(e, Hashtag))

    @property
    def links(self) -> tuple[Link, ...]:
        """The links, in order, repeated ones too."""
        return tuple(e for e in self.entities if isinstance(e, Link))

    @property
    def shortcodes(self) -> tuple[Shortcode, ...]:
        """The emoji shortcodes, in order, repeated ones too."""
        return tuple(e for e in self.entities if isinstance(e, Shortcode))

    @property
    def handles(self) -> tuple[Handle, ...]:
        """Who is mentioned, each once, without regard to the case of names, in order."""
        return tuple({(m.name.lower(), m.domain): m.handle for m in reversed(self.mentions)}.values())[::-1]

    @property
    def tags(self) -> tuple[str, ...]:
        """The comparing form of the hashtags, each once, in order."""
        return tuple(dict.fromkeys(normalise_hashtag(h.name) for h in self.hashtags))


_NOTHING = Scan()


@lru_cache(256)  # one post is looked at by half a dozen functions
def scan(text: str, *, development: bool = False) -> Scan:
    """Find what ``text`` refers to; positions count code points of ``text`` itself. Never raises.

    ``development`` also takes ports and loopback addresses as domains of mentions.
    """
    if "@" not in text and "#" not in text and ":" not in text and "＃" not in text:
        return _NOTHING
    found: list[Entity] = []
    entity: Entity | None
    position = 0
    while candidate := _CANDIDATE.search(text, position):
        start = candidate.start()
        sign = text[start]
        if sign == "@":
            entity, position = _mention(text, start, development)
        elif sign == ":":
            entity, position = _shortcode(text, start)
        elif sign in "#＃":
            entity, position = _hashtag(text, start)
        else:
            entity, position = _link(text, start)
        if entity is not None:
            found.append(entity)
    return Scan(tuple(found)) if found else _NOTHING


# Each reader returns the entity, if there is one, and where to go on; always further than ``start``.


def _mention(text: str, start: int, development: bool) -> tuple[Mention | None, int]:
    match = _MENTION.match(text, start, concurrent=False)
    if match is None:
        return None, start + 1
    name, host, end = match[1], match[2], match.end()
    if len(name) > MAX_NAME:
        return None, end
    if host is None:
        return Mention(start, end, name, None), end
    if development and (port := _PORT.match(text, end)):
        host, end = host + port[0], port.end()
    try:
        domain = parse_domain(host, allow_port=development)
    except BadInput:
        return None, end
    return Mention(start, end, name, domain), end


def _hashtag(text: str, start: int) -> tuple[Hashtag | None, int]:
    match = _HASHTAG.match(text, start, concurrent=False)
    if match is None:
        return None, start + 1
    name = match[1]
    if len(name) > MAX_HASHTAG or name.isnumeric() or not any(map(str.isalnum, name)):
        return None, match.end()
    return Hashtag(start, match.end(), name), match.end()


def _shortcode(text: str, start: int) -> tuple[Shortcode | None, int]:
    match = _SHORTCODE.match(text, start, concurrent=False)
    if match is None:
        return None, start + 1
    return Shortcode(start, match.end(), match[1]), match.end()


def _link(text: str, start: int) -> tuple[Link | None, int]:
    match = _LINK.match(text, start, concurrent=False)
    if match is None:
        return None, start + 1
    rest = _without_trailing(match[1])
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    end = match.start(1) + len(rest)
    # A name before the host (https://bank.example@evil.example) is made to mislead: such text stays text.
    if end - start > MAX_IRI or not _AUTHORITY.fullmatch(authority, concurrent=False):
        return None, match.end()
    return Link(start, end, text[start:end]), end


def _without_trailing(rest: str) -> str:
    """Drop punctuation that belongs to the sentence, and closing brackets that were opened before the URL."""
    surplus = {closer: rest.count(closer) - rest.count(opener) for closer, opener in _CLOSERS.items()}
    end = len(rest)
    while end:
        last = rest[end - 1]
        if surplus.get(last, 0) > 0:
            surplus[last] -= 1
        elif last not in _TRAILING:
            break
        end -= 1
    return rest[:end]
