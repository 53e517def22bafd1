"""Foreign HTML to safe HTML, and HTML to plain text.

The allow-list is the one of requirements R40 and R41. Whatever a peer sends, `sanitise` answers a tree of allowed
elements that reads back as the same tree (it is applied until nothing changes), because markup that changes when it is
parsed again is how sanitisers are deceived.

What is not on the list: headings become paragraphs in bold, other blocks leave a space so that words stay apart,
scripts, styles, frames, templates, SVG and MathML vanish with their contents, every other tag vanishes and its text
stays. Markup that is too deep or too much to be meant for reading is reduced to its text.
"""

from __future__ import annotations

import re
from html import escape, unescape
from typing import NewType

import nh3

from fedishare.model.errors import BadDocument
from fedishare.text.characters import clean_text

SafeHtml = NewType("SafeHtml", str)
"""HTML that may be shown as it is. Made by `sanitise` and `compose_html`, or read back from where those were stored."""

MAX_HTML = 64 * 1024
"""Characters of foreign HTML that are looked at."""

MAX_TAGS = 4000
MAX_DEPTH = 40
_FEW_TAGS = 100
_ROUNDS = 4

# spec: R40 — the allow-list (rt and rp are the parts of ruby)
TAGS = frozenset(
    "p br span a del s pre code em strong b i u ul ol li blockquote ruby rt rp".split()  # noqa: SIM905
)
# spec: R41 — http(s) and a few harmless schemes
SCHEMES = frozenset({"http", "https", "mailto", "xmpp", "matrix", "gemini", "magnet"})
_CLASSES = frozenset({"mention", "hashtag", "ellipsis", "invisible", "quote-inline"})
_MICROFORMAT = re.compile(r"(?:h|p|u|dt|e)-[a-z0-9-]{1,40}\Z")
_NUMBER = re.compile(r"-?[0-9]{1,6}\Z")


def _attribute(tag: str, attribute: str, value: str) -> str | None:
    """Keep known classes only, and numbers where lists have them. Must not raise: nh3 would report it."""
    if attribute == "class":
        kept = [name for name in value.split() if name in _CLASSES or _MICROFORMAT.match(name)]
        return " ".join(kept) or None
    if attribute in ("start", "value"):
        return value if _NUMBER.match(value) else None
    return value


_CLEANER = nh3.Cleaner(
    tags=set(TAGS),
    clean_content_tags={"script", "style", "iframe", "object", "noscript", "template", "title", "svg", "math"},
    attributes={
        "*": set(),  # else nh3 keeps title and lang on everything
        "a": {"href", "class"},
        "span": {"class"},
        "p": {"class"},
        "ol": {"start", "reversed"},
        "li": {"value"},
    },
    attribute_filter=_attribute,
    link_rel="nofollow noopener",
    url_schemes=set(SCHEMES),
    url_relative="deny",
)

# Groups are never possessive here: Python before 3.11.5 lets those match too much (cpython issue 106052). They need not
# be: what repeats begins with a character that nothing else begins with, so there is one way to read any text.
# Paragraphs of escaped text and line breaks, without attributes: what most posts are.
_PLAIN = re.compile(r"(?:<p>[^<>&\u00a0]*+(?:(?:<br ?/?>|&(?:amp|lt|gt|quot|#39);)[^<>&\u00a0]*+)*</p>)*[^<>&\u00a0]*+")
# Flat output of the cleaner that certainly reads back as itself: paragraphs with breaks, links and spans.
_SPAN = r"<span[^<>]*+>[^<]*+</span>"
_STYLED = "|".join(f"<{tag}>[^<]*+</{tag}>" for tag in ("strong", "em", "b", "i", "u", "s", "del", "code"))
_ANCHOR = rf"<a [^<>]*+>[^<]*+(?:(?:{_SPAN}|<br>)[^<]*+)*</a>"
_CARD = rf"<span[^<>]*+>[^<]*+(?:{_ANCHOR}[^<]*+)*</span>"
_INLINE = rf"[^<]*+(?:(?:<br>|{_ANCHOR}|{_CARD}|{_STYLED})[^<]*+)*"
_SETTLED = re.compile(rf"(?:<p(?: class=\"[^<>\"]*+\")?>{_INLINE}</p>)*{_INLINE}")

_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)")
_OPEN_ENDED = frozenset("p li br img hr wbr input dd dt tr td th rt rp option meta link".split())  # noqa: SIM905
# Only names ignore case, not the whole patterns: so the search for "<" stays the fast one.
_HEADING = re.compile(r"<(/?)[hH][1-6](?:\s[^<>]*+)?>")
_BLOCK = re.compile(
    r"</?(?!p|br|a[ >]|span)(?i:div|section|article|aside|header|footer|main|nav|figure|figcaption|details|summary"
    r"|address|center|form|table|thead|tbody|tfoot|caption|tr|td|th|dl|dt|dd|hr)(?:\s[^<>]*+)?/?>"
)

_SOURCE_SPACE = re.compile(r"[\t\n][ \t\n]*+| [ \t\n]++")
_BREAK = re.compile(r"<(?i:br\b[^<>]*+|/li)>")
_PARAGRAPH = re.compile(r"</?(?i:p|blockquote|pre|ul|ol)\b[^<>]*+>")
_MARKUP = re.compile(r"<[A-Za-z/!?][^<>]*+(?:>|(?=<)|\Z)")
_MANY_NEWLINES = re.compile(r"\n{3,}")


def sanitise(html: str, *, limit: int = MAX_HTML) -> SafeHtml:
    """Reduce foreign HTML to the allow-list of R40 and R41. Idempotent.

    Raises `BadDocument` for more than ``limit`` characters; nothing else, whatever the input.
    """
    if len(html) > limit:
        raise BadDocument(f"HTML of at most {limit} characters was expected, found {len(html)}; send a shorter text")
    html = clean_text(html)
    if _PLAIN.fullmatch(html):
        return SafeHtml(_tidy_plain(html))
    if _excessive(html):
        return _as_text(html)
    html = _rename(html)
    for _ in range(_ROUNDS):
        cleaned = _CLEANER.clean(html)
        # References such as &#1; become characters only in the cleaner, so its output is looked at again.
        tidy = clean_text(cleaned)
        if tidy == cleaned and (cleaned == html or _SETTLED.fullmatch(cleaned)):
            return SafeHtml(cleaned)
        if len(tidy) > 4 * limit:
            break
        html = tidy
    return _as_text(html)


def _tidy_plain(html: str) -> str:
    """What the cleaner would answer for a `_PLAIN` document: without attributes, these are all the differences."""
    if "&" in html:
        html = html.replace("&#39;", "'").replace("&quot;", '"')
    if "<br " in html or "<br/" in html:
        html = html.replace("<br />", "<br>").replace("<br/>", "<br>").replace("<br >", "<br>")
    return html


def _excessive(html: str) -> bool:
    """Whether there are more tags, or more open at once, than text for reading has; parsing those gets slow."""
    tags = html.count("<")
    if tags > MAX_TAGS:
        return True
    if tags < _FEW_TAGS:
        return False
    still_open: dict[str, int] = {}
    depth = 0
    for match in _TAG.finditer(html):
        name = match[2].lower()
        if name in _OPEN_ENDED:
            continue
        step = -1 if match[1] else 1
        if step > 0 or still_open.get(name, 0) > 0:
            still_open[name] = still_open.get(name, 0) + step
            depth += step
        if depth > MAX_DEPTH:
            return True
    return False


def _rename(html: str) -> str:
    """Give blocks that are not allowed a shape that is. Only for looks: the cleaner comes afterwards."""
    html = _HEADING.sub(lambda match: "</strong></p>" if match[1] else "<p><strong>", html)
    return _BLOCK.sub(" ", html)


def _as_text(html: str) -> SafeHtml:
    text = plain_text(html).replace("\u00a0", " ")
    paragraphs = escape(text, quote=False).split("\n\n") if text else []
    return SafeHtml("".join(f"<p>{text}</p>" for text in paragraphs).replace("\n", "<br>"))


def plain_text(html: str) -> str:
    """The text of `SafeHtml`: for notifications, search and previews. Never raises, linear in the length.

    ``<br>`` becomes a newline, paragraphs are parted by a blank line, tags are dropped and references decoded. Of
    anything that is not safe HTML it gives some text, too. The result is text: to show it in HTML it must be escaped.
    """
    if "<" in html:
        if "<pre" not in html and ("\n" in html or "\t" in html or "  " in html):
            html = _SOURCE_SPACE.sub(" ", html)
        html = _PARAGRAPH.sub("\n\n", _BREAK.sub("\n", html))
        html = "\n".join(line.strip(" ") for line in _MARKUP.sub("", html).split("\n"))
        html = _MANY_NEWLINES.sub("\n\n", html)
    return clean_text(unescape(html) if "&" in html else html).strip()
