"""Preview: what an HTML page says of itself in its head (Open Graph, Twitter, HTML's own metadata), as plain text.

The page is a stranger's: it is cut before it is read, nothing in it is run or followed, and no markup of it is kept.
Whatever it contains, `read_page` answers a value. JSON-LD is not read: it is a language of its own, and pages that have
it have the other kinds, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from html import unescape
from itertools import islice
from urllib.parse import urljoin, urlsplit

from fedishare.model.cards import Preview
from fedishare.model.ids import MAX_IRI
from fedishare.text.characters import clean_text, excerpt

HEAD_BYTES = 96 * 1024
"""How much of a page is looked at: its head, with room."""
MAX_TITLE, MAX_DESCRIPTION, MAX_NAME, MAX_ALT = 300, 500, 100, 1500
MAX_LINKS = 5
"""How many links of a post are looked at."""
MAX_ENTRIES = 400
"""Elements of a head that are looked at."""
MAX_ATTRIBUTES, MAX_VALUE = 20, 16 * 1024
_CHARSETS = frozenset(
    ("utf-8", "us-ascii", "iso-8859-1", "iso-8859-2", "iso-8859-15", "windows-1250", "windows-1251", "windows-1252",
     "koi8-r", "shift_jis", "euc-jp", "euc-kr", "gb18030", "gbk", "gb2312", "big5")
)  # fmt: skip
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
_NAMED_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?=[-_]|\Z)")
_NAME = re.compile(r"[A-Za-z][^\s/>]{0,40}")
_BETWEEN = re.compile(r"[\s/]*")
_ATTRIBUTE = re.compile(r"[^>][^\s=>/]*")
_EQUALS = re.compile(r"\s*=\s*")
_BARE = re.compile(r"[^\s>]*")
_RAW = {name: re.compile(f"</{name}(?=[\\s/>])", re.IGNORECASE) for name in ("title", "script", "style", "noscript")}
_BLANK = re.compile(r"\s+")
_UNWANTED = frozenset(("noindex", "none", "nosnippet"))
_SKIPPED = frozenset(("mention", "hashtag", "u-url", "quote-inline"))
_OTHER_LINK = re.compile(r'<a (?![^>]*\bclass="[^">]*\b(?:mention|hashtag|u-url|quote-inline)\b)')
"""A link that does not say at once that it is one of these."""


@dataclass(frozen=True, slots=True)
class _Tag:
    """A start tag, with the text up to its end tag where markup counts as text (``title``)."""

    name: str
    attributes: dict[str, str]
    text: str = ""


def _tags(page: str) -> Iterator[_Tag]:
    """The start tags of a page's head, as browsers see them.

    Each character is looked at once or twice, whatever is there: `html.parser` takes minutes for 100 KB of hostile
    markup. What is opened and not closed swallows the rest, as in browsers.
    """
    position = 0
    while (start := page.find("<", position)) >= 0:
        if page.startswith("<!--", start):
            position = _after(page, "-->", start + 4)
        elif (name := _NAME.match(page, start + 1)) is None:
            closing = page[start + 1 : start + 2] in ("!", "?", "/")
            if page[start + 1 : start + 6].lower() == "/head":
                return
            position = _after(page, ">", start + 1) if closing else start + 1
        else:
            attributes, position = _attributes(page, name.end())
            if position < 0:
                return
            word, text = name[0].lower(), ""
            if word == "body":
                return
            if word in _RAW:
                end = _RAW[word].search(page, position)
                text, position = page[position : end.start() if end else None], end.end() if end else -1
            yield _Tag(word, attributes, text)
        if position < 0:
            return


def _after(page: str, mark: str, start: int) -> int:
    found = page.find(mark, start)
    return found + len(mark) if found >= 0 else -1


def _attributes(page: str, position: int) -> tuple[dict[str, str], int]:
    """The attributes from ``position`` on, the first of each name, and where the tag ends; -1 when it does not."""
    found: dict[str, str] = {}
    while True:
        if between := _BETWEEN.match(page, position):
            position = between.end()
        if position >= len(page):
            return found, -1
        if page[position] == ">":
            return found, position + 1
        name = _ATTRIBUTE.match(page, position)
        assert name is not None  # noqa: S101 — one character at least
        position, value = name.end(), ""
        if equals := _EQUALS.match(page, position):
            position = equals.end()
            quote = page[position : position + 1]
            if quote in ("'", '"') and quote:
                end = page.find(quote, position + 1)
                if end < 0:
                    return found, -1
                value, position = page[position + 1 : end], end + 1
            else:
                bare = _BARE.match(page, position)
                assert bare is not None  # noqa: S101 — it matches nothing, too
                value, position = bare[0], bare.end()
        if len(found) < MAX_ATTRIBUTES:
            found.setdefault(name[0].lower(), value)


def _plain(text: str) -> str:
    """With its character references resolved."""
    try:
        return unescape(text[:MAX_VALUE])
    except ValueError:  # a number of thousands of digits
        return ""


def links_of(html: str) -> list[str]:
    """The first few web addresses that a post links to, without fragments; mentions and hashtags are none."""
    if _OTHER_LINK.search(html) is None:  # most posts: there is nothing to be read closely
        return []
    found: dict[str, None] = {}
    for tag in _tags(html):
        if tag.name == "a" and tag.attributes.get("rel") != "tag":
            url = _plain(tag.attributes.get("href", "")).partition("#")[0]
            if is_web(url) and not _SKIPPED.intersection(tag.attributes.get("class", "").split()):
                found[url] = None
                if len(found) == MAX_LINKS:
                    break
    return list(found)


def is_web(url: str) -> bool:
    """Whether it is an http(s) address of sensible length."""
    return url.lower().startswith(("https://", "http://")) and len(url) <= MAX_IRI


@dataclass(frozen=True, slots=True)
class _Head:
    """What stands in a head: ``meta`` by name or property, the title, the language."""

    meta: dict[str, str]
    title: str
    language: str


def _read_head(page: str) -> _Head:
    meta: dict[str, str] = {}
    title = language = ""
    for tag in islice(_tags(page), MAX_ENTRIES):
        if tag.name == "html":
            language = language or _plain(tag.attributes.get("lang", ""))
        elif tag.name == "title":
            title = title or _plain(tag.text)
        elif tag.name == "meta" and (content := _plain(tag.attributes.get("content", ""))):
            for key in ("property", "name", "itemprop"):
                if key in tag.attributes:
                    meta.setdefault(_plain(tag.attributes[key]).strip().lower(), content)
    return _Head(meta, title, language)


def read_page(body: bytes, content_type: str, url: str) -> Preview | None:
    """What the page at ``url`` says of itself; None when it says nothing to show, or does not want to be shown."""
    head = _read_head(_decoded(body[:HEAD_BYTES], content_type))
    meta = head.meta
    if _UNWANTED.intersection(meta.get("robots", "").lower().replace(",", " ").split()):
        return None
    title = _text(meta.get("og:title") or meta.get("twitter:title") or head.title, MAX_TITLE)
    if not title:
        return None
    author = meta.get("author") or meta.get("article:author") or ""
    language = meta.get("og:locale") or head.language or meta.get("language", "")
    return Preview(
        title=title,
        description=_text(
            meta.get("og:description") or meta.get("twitter:description") or meta.get("description", ""),
            MAX_DESCRIPTION,
        ),
        language=_language(language),
        provider_name=_text(meta.get("og:site_name", ""), MAX_NAME),
        author_name="" if is_web(author.strip()) else _text(author, MAX_NAME),
        author_url=_address(url, meta.get("article:author", "")) or "" if is_web(author.strip()) else "",
        published_at=_moment(meta.get("article:published_time") or meta.get("date") or ""),
        image_url=_address(url, meta.get("og:image:secure_url") or meta.get("og:image") or meta.get("twitter:image")),
        image_description=_text(meta.get("og:image:alt") or meta.get("twitter:image:alt") or "", MAX_ALT),
    )


def _decoded(body: bytes, content_type: str) -> str:
    """The page's text, in the encoding that it names, if that is one of pages; whatever is wrong is replaced."""
    named = _NAMED_CHARSET.search(content_type)
    inside = None if named else _CHARSET.search(body[:2048])
    name = named[1].lower() if named else inside[1].decode().lower() if inside else "utf-8"
    return body.decode(name if name in _CHARSETS else "utf-8", "replace").replace("\0", "")


def _text(text: str, most: int) -> str:
    return excerpt(_BLANK.sub(" ", clean_text(text[: 20 * most])).strip(), most)


def _language(text: str) -> str | None:
    found = _LANGUAGE.match(text.strip())
    return found[0].lower() if found else None


def _address(base: str, found: str | None) -> str | None:
    """An absolute web address on the page's own terms; None for anything else."""
    if not found or len(found) > MAX_IRI:
        return None
    try:
        url = urljoin(base, found.strip())
        return url if is_web(url) and urlsplit(url).hostname else None
    except ValueError:
        return None


def _moment(text: str) -> str | None:
    try:
        moment = datetime.fromisoformat(text.strip()[:40])
        moment = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z" if moment.year >= 1970 else None
