"""Reading posts: Note, Question, and whatever else can be shown as title, text and link, becomes a `RemotePost`.

Here peers' HTML becomes safe HTML, once (safety rule 7); what is stored and shown later is only that.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from fedishare.activitypub.addressing import PUBLIC, PUBLIC_FORMS, looks_like_followers, visibility_of
from fedishare.activitypub.jsonld import as_list
from fedishare.activitypub.quotes_reader import read_policy, read_quote
from fedishare.activitypub.reader_values import (
    MAX_NAME,
    MAX_RECIPIENTS,
    MAX_SUMMARY,
    MAX_TAGS,
    Document,
    Link,
    Reading,
    count,
    emojis,
    first,
    flag,
    foreign_id,
    html,
    iri,
    is_iri,
    kind_of,
    language,
    links,
    mapped,
    media_type,
    moment,
    number,
    objects,
    page_url,
    prose,
    reference,
    same_origin,
    text,
)
from fedishare.model.errors import BadDocument
from fedishare.model.ids import Iri
from fedishare.model.posts import Attachment, Content, Poll, PollOption, PostKind, RemotePost, Visibility
from fedishare.model.quotes import RemoteQuote
from fedishare.text import SafeHtml, normalise_hashtag, without_quote_inline

# spec: R77 — shown at least as title, text and link
POST_TYPES = frozenset(kind.value for kind in PostKind)

MAX_HTML = 64 * 1024
"""Characters of HTML in a post that are read; the link to the origin shows the rest."""
MAX_ATTACHMENTS = 16
MAX_OPTIONS = 20
MAX_HASHTAG = 100
MAX_AUTHORS = 20
MAX_PIXELS = 100_000

_SUFFIXES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "avif": "image/avif",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "m4a": "audio/mp4",
    "flac": "audio/flac",
}
_PLAYLISTS = ("application/x-mpegurl", "application/vnd.apple.mpegurl")
_ILLUSTRATED = frozenset((PostKind.ARTICLE, PostKind.PAGE, PostKind.EVENT))
_WORDS = {"Image": "image", "Video": "video", "Audio": "audio"}


def read_post(
    document: Document, reading: Reading, *, author: Iri | None = None, wrapper: Document | None = None
) -> RemotePost:
    """A post as its origin states it. Raises `BadDocument`.

    ``author`` is who must have written it (the signer); without it, the first author on the post's own origin.
    ``wrapper`` is the activity around it, whose addressing counts where the post has none.
    """
    kind = kind_of(document, POST_TYPES)
    if kind is None:
        raise BadDocument(f"a post was expected (one of {', '.join(sorted(POST_TYPES))})", path="type")
    me = foreign_id(document, reading)
    author = author_of(document, me, reading.development, author)
    to, cc, visibility = addressing(document, wrapper, reading.development)
    tags = objects(document.get("tag"), MAX_TAGS)
    mentions = _mentions(tags, reading.development)
    published = moment(document.get("published"), reading.now)
    quote = read_quote(document, me, reading)
    return RemotePost(
        iri=me,
        url=page_url(document.get("url"), me, reading.development),
        author=author,
        kind=PostKind(kind),
        visibility=visibility,
        content=_content(document, PostKind(kind), tags, reading, quote),
        published=reading.now if published is None else published,
        updated=moment(document.get("updated"), reading.now),
        in_reply_to=iri(document.get("inReplyTo"), reading.development),
        mention_iris=mentions,
        addressed_iris=_addressed(to, cc, mentions, author),
        context=iri(document.get("context"), reading.development),
        audience=iri(document.get("audience"), reading.development),
        to=to,
        cc=cc,
        quote=quote,
        interaction_policy=read_policy(document, author),
        extra=_extra(document),
    )


def author_of(document: Document, me: Iri, development: bool, expected: Iri | None = None) -> Iri:
    """Who wrote it, from `attributedTo`: on the post's own origin, and ``expected`` if that is given.

    Raises `BadDocument`. Of several (PeerTube: person and channel) the first counts.
    """
    # spec: R35 — attributedTo must be the actor
    authors = [
        found for entry in as_list(document.get("attributedTo"))[:MAX_AUTHORS] if (found := iri(entry, development))
    ]
    if expected is not None:
        if expected in authors and same_origin(expected, me):
            return expected
        raise BadDocument("the post's attributedTo is not who sent it", path="attributedTo")
    # spec: R32 — an author on another origin cannot be believed
    for author in authors:
        if same_origin(author, me):
            return author
    raise BadDocument("attributedTo with an author on the post's own origin was expected", path="attributedTo")


def addressing(
    document: Document, wrapper: Document | None, development: bool
) -> tuple[tuple[Iri, ...], tuple[Iri, ...], Visibility]:
    """(to, cc, visibility) of an object; of the activity around it where the object says nothing at all."""
    source = document
    if wrapper is not None and not document.get("to") and not document.get("cc"):
        source = wrapper
    to, cc = recipients(source.get("to"), development), recipients(source.get("cc"), development)
    if len(to) + len(cc) > MAX_RECIPIENTS:
        raise BadDocument(f"at most {MAX_RECIPIENTS} recipients were expected, found {len(to) + len(cc)}", path="to")
    return to, cc, visibility_of(to, cc)


def recipients(value: object, development: bool) -> tuple[Iri, ...]:
    """The addresses of `to` or `cc`, each once; Public in its full form."""
    # spec: R21, R22 — single values or lists; Public in full
    entries = value if isinstance(value, list) else [value]
    if len(entries) > MAX_RECIPIENTS:
        raise BadDocument(f"at most {MAX_RECIPIENTS} recipients were expected, found {len(entries)}", path="to")
    found: dict[Iri, None] = {}
    for entry in entries:
        address = entry if isinstance(entry, str) else reference(entry)
        if not isinstance(address, str):
            continue
        if address in PUBLIC_FORMS:
            found[PUBLIC] = None
        elif is_iri(address, development):
            found[Iri(address)] = None
    return tuple(found)


def is_vote(document: Document) -> bool:
    """Whether a Note is an answer to a poll: a name and a parent, but no content."""
    # spec: R89 — a name, a parent, no content
    return (
        kind_of(document, ("Note",)) is not None
        and isinstance(first(document.get("name")), str)
        and not document.get("content")
        and not document.get("contentMap")
        and first(document.get("inReplyTo")) is not None
    )


def has_media(document: Document) -> bool:
    """Whether an object brings pictures, sound or film. For policy, so anything that may be media counts."""
    if kind_of(document, _WORDS) is not None:
        return True
    if document.get("image") and kind_of(document, _ILLUSTRATED) is not None:
        return True
    entries = as_list(document.get("attachment"))
    return any(isinstance(entry, dict) and kind_of(entry, ("PropertyValue",)) is None for entry in entries)


def _mentions(tags: list[dict[str, object]], development: bool) -> tuple[Iri, ...]:
    # spec: R70 — a mention is a tag, whatever the text says
    found: dict[Iri, None] = {}
    for tag in tags:
        if tag.get("type") == "Mention" or kind_of(tag, ("Mention",)):
            href = tag.get("href")
            if isinstance(href, str) and is_iri(href, development):
                found[Iri(href)] = None
    return tuple(found)


def _addressed(to: Sequence[Iri], cc: Sequence[Iri], mentions: Sequence[Iri], author: Iri) -> tuple[Iri, ...]:
    skipped = {PUBLIC, author, *mentions}
    return tuple(dict.fromkeys(each for each in (*to, *cc) if each not in skipped and not looks_like_followers(each)))


def _content(
    document: Document, kind: PostKind, tags: list[dict[str, object]], reading: Reading, quote: RemoteQuote | None
) -> Content:
    body, tongue = mapped(document, "content", "contentMap")
    title, title_tongue = mapped(document, "name", "nameMap")
    summary, _ = mapped(document, "summary", "summaryMap")
    shown = _body(document, body)
    return Content(
        # The link that stands for a quote is left out where the quote itself is understood.
        html=shown if quote is None else without_quote_inline(shown),
        # spec: R76 — a content warning on a Note, an abstract on the rest: both are plain text here
        summary=prose(summary, MAX_SUMMARY),
        title=text(title, MAX_NAME),
        sensitive=flag(document.get("sensitive")),
        language=tongue or title_tongue or _spoken(document),
        hashtags=_hashtags(tags),
        emojis=emojis(tags, reading.development),
        attachments=_attachments(document, kind, reading),
        poll=_poll(document, reading) if kind is PostKind.QUESTION else None,
    )


def _body(document: Document, body: object) -> SafeHtml:
    kind = document.get("mediaType")
    if kind is not None and isinstance(body, str) and media_type(kind) in ("text/plain", "text/markdown"):
        body = escape(body, quote=False).replace("\n", "<br>")
    return html(body, MAX_HTML)


def _spoken(document: Document) -> str | None:
    """Lemmy and PeerTube name the language in an object of its own."""
    spoken = document.get("language")
    return language(spoken.get("identifier")) if isinstance(spoken, dict) else None


def _hashtags(tags: list[dict[str, object]]) -> tuple[str, ...]:
    # spec: R71 — names compare without case and after normalisation
    found: dict[str, None] = {}
    for tag in tags:
        if tag.get("type") == "Hashtag" or kind_of(tag, ("Hashtag",)):
            name = first(tag.get("name"))
            if isinstance(name, str) and len(name) <= MAX_HASHTAG and (normal := normalise_hashtag(name)):
                found[normal] = None
    return tuple(found)


def _attachments(document: Document, kind: PostKind, reading: Reading) -> tuple[Attachment, ...]:
    found: dict[str, Attachment] = {}
    own = _own_file(document, kind, reading)
    if own is not None:
        found[own.url] = own
    for entry in as_list(document.get("attachment"))[: 2 * MAX_ATTACHMENTS]:
        if isinstance(entry, dict) and (each := _attachment(entry, reading)) is not None:
            found.setdefault(each.url, each)
    if not found and kind in _ILLUSTRATED:
        for entry in objects(document.get("image"), 1):
            if (each := _attachment(entry, reading)) is not None:
                found[each.url] = each
    return tuple(found.values())[:MAX_ATTACHMENTS]


def _own_file(document: Document, kind: PostKind, reading: Reading) -> Attachment | None:
    """The file that an Image, Audio or Video post itself is."""
    word = _WORDS.get(kind.value)
    if word is None:
        return None
    files = [link for link in links(document.get("url"), reading.development) if _shows(link, word)]
    if not files:
        return None
    best = min(files, key=_preference)
    return _described(best, word, document)


def _shows(link: Link, word: str) -> bool:
    guess = link.media_type or _by_suffix(link.url)
    return guess.startswith(word + "/") or (word == "video" and guess in _PLAYLISTS)


def _preference(link: Link) -> tuple[bool, int]:
    """A file before a playlist, then the one nearest to 720 lines."""
    # spec: R74 — the right file of a film
    return link.media_type in _PLAYLISTS, abs((link.height or 720) - 720)


def _attachment(entry: Document, reading: Reading) -> Attachment | None:
    # spec: R73 — Document, Image, Video or Audio with mediaType, url, name …
    kind = kind_of(entry, ("Document", "Image", "Video", "Audio"))
    if kind is None:
        return None
    found = links(entry.get("url") or entry.get("href"), reading.development)
    if not found:
        return None
    link = next((each for each in found if each.media_type != "text/html"), found[0])
    return _described(link, _WORDS.get(kind, ""), entry)


def _described(link: Link, word: str, entry: Document) -> Attachment:
    stated = media_type(entry.get("mediaType")) or link.media_type or _by_suffix(link.url)
    group = stated.partition("/")[0]
    if group not in ("image", "video", "audio"):
        group = word if word and (not stated or stated in _PLAYLISTS) else "unknown"
    title = entry.get("name") if entry.get("name") is not None else entry.get("summary")
    return Attachment(
        url=link.url,
        media_type=stated or "application/octet-stream",
        kind=group,
        description=text(title, MAX_SUMMARY) or None,
        width=_pixels(entry.get("width")),
        height=_pixels(entry.get("height")) or _pixels(link.height),
        blurhash=_blurhash(entry.get("blurhash")),
        focus=_focus(entry.get("focalPoint")),
    )


def _by_suffix(url: str) -> str:
    return _SUFFIXES.get(url.partition("?")[0].rpartition(".")[2].lower(), "")


def _pixels(value: object) -> int | None:
    found = count(value)
    return found if found and found <= MAX_PIXELS else None


def _blurhash(value: object) -> str | None:
    if not isinstance(value, str) or not 6 <= len(value) <= 100:
        return None
    return value if value.isascii() and value.isprintable() else None


def _focus(value: object) -> tuple[float, float] | None:
    if not isinstance(value, list) or len(value) != 2:
        return None
    x, y = number(value[0]), number(value[1])
    if x is None or y is None:
        return None
    return max(-1.0, min(1.0, x)), max(-1.0, min(1.0, y))


def _poll(document: Document, reading: Reading) -> Poll:
    # spec: R88 — oneOf or anyOf, endTime, votersCount, closed
    multiple = document.get("anyOf") is not None
    entries = as_list(document.get("anyOf") if multiple else document.get("oneOf"))
    if not 1 <= len(entries) <= MAX_OPTIONS:
        raise BadDocument(f"1 to {MAX_OPTIONS} poll options were expected, found {len(entries)}", path="oneOf")
    options = tuple(_option(entry) for entry in entries)
    ends, closed = moment(document.get("endTime")), first(document.get("closed"))
    closed_at = moment(closed, reading.now)
    if closed is True and closed_at is None:
        closed_at = min(ends, reading.now) if ends is not None else reading.now
    return Poll(
        options=options,
        multiple=multiple,
        ends_at=ends if ends is not None else closed_at,
        closed_at=closed_at,
        voters=count(first(document.get("votersCount"))),
    )


def _option(entry: object) -> PollOption:
    title = text(mapped(entry, "name", "nameMap")[0], MAX_NAME) if isinstance(entry, dict) else ""
    if not title or not isinstance(entry, dict):
        raise BadDocument("a poll option with a name was expected", path="oneOf")
    replies = first(entry.get("replies"))
    votes = count(first(replies.get("totalItems"))) if isinstance(replies, dict) else None
    return PollOption(title, votes or 0)


def _extra(document: Document) -> tuple[tuple[str, str], ...]:
    # spec: R93 — conversation is kept, although it is mostly no URL
    value = document.get("conversation")
    if isinstance(value, str) and len(value) <= MAX_NAME:
        return (("conversation", value),) if value.isprintable() else ()
    return ()
