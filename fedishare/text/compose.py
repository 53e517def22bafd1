"""Plain text to HTML: paragraphs, links, mentions and hashtags, everything else escaped.

The markup is the one that peers and apps know from Mastodon. Whom a mention means and where a tag page lives is the
caller's knowledge; what the caller did not resolve stays text, because a link would promise a delivery.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape

from fedishare.model.ids import Domain, Handle
from fedishare.text.characters import clean_text, normalise_hashtag
from fedishare.text.html import SafeHtml
from fedishare.text.scan import Entity, Hashtag, Link, Mention, scan

SHOWN_URL = 30
"""How many characters of a link, after its scheme, are visible; the rest is there for copying."""

_WEB_URL = re.compile(r"https?://[^\s<>\"]+", re.IGNORECASE)
_PREFIX = re.compile(r"https?://(?:www\.)?", re.IGNORECASE)
_PARAGRAPHS = re.compile(r"\n{2,}")


@dataclass(frozen=True, slots=True)
class MentionTarget:
    """Whom a mention resolved to: ``href`` is the profile page or actor id, ``name`` is shown after the ``@``."""

    href: str
    name: str


def compose_html(
    text: str,
    *,
    mentions: Mapping[Handle, MentionTarget],
    hashtag_url: Callable[[str], str],
    development: bool = False,
) -> SafeHtml:
    """Make HTML of ``text``. Blank lines part paragraphs, other newlines become ``<br />``.

    ``mentions`` holds the resolved handles, whatever the case of their names; a local person's has no domain unless
    it was written with one. ``hashtag_url`` is given the comparing form of a tag and answers the URL of its page.
    ``development`` is as for `scan`. An address that is not http(s) makes no link.
    """
    text = clean_text(text).strip()
    if not text:
        return SafeHtml("")
    targets = {(handle.name.lower(), handle.domain): target for handle, target in mentions.items()}
    pieces: list[str] = []
    position = 0
    for entity in scan(text, development=development).entities:
        rendered = _render(entity, targets, hashtag_url)
        if rendered is not None:
            pieces += (escape(text[position : entity.start], quote=False), rendered)
            position = entity.end
    pieces.append(escape(text[position:], quote=False))
    # No rendered entity holds a newline, so paragraphs can be cut afterwards.
    body = _PARAGRAPHS.sub("</p><p>", "".join(pieces)).replace("\n", "<br />")
    return SafeHtml(f"<p>{body}</p>")


def _render(
    entity: Entity,
    targets: Mapping[tuple[str, Domain | None], MentionTarget],
    hashtag_url: Callable[[str], str],
) -> str | None:
    if isinstance(entity, Link):
        return _link(entity.url)
    if isinstance(entity, Mention):
        return _mention(targets.get((entity.name.lower(), entity.domain)))
    if isinstance(entity, Hashtag):
        return _hashtag(entity.name, hashtag_url(normalise_hashtag(entity.name)))
    return None


def _link(url: str) -> str:
    match = _PREFIX.match(url)
    shown_from = match.end() if match else 0
    shown_to = shown_from + SHOWN_URL
    css = "ellipsis" if len(url) > shown_to else ""
    return (
        f'<a href="{escape(url)}" rel="nofollow noopener" target="_blank">'
        f'<span class="invisible">{escape(url[:shown_from])}</span>'
        f'<span class="{css}">{escape(url[shown_from:shown_to], quote=False)}</span>'
        f'<span class="invisible">{escape(url[shown_to:], quote=False)}</span></a>'
    )


def _mention(target: MentionTarget | None) -> str | None:
    # spec: R69 — the HTML of a mention
    if target is None or not _WEB_URL.fullmatch(target.href):
        return None
    name = escape(" ".join(clean_text(target.name).split()), quote=False)
    return f'<span class="h-card"><a href="{escape(target.href)}" class="u-url mention">@<span>{name}</span></a></span>'


def _hashtag(name: str, href: str) -> str | None:
    if not _WEB_URL.fullmatch(href):
        return None
    return f'<a href="{escape(href)}" class="mention hashtag" rel="tag">#<span>{escape(name, quote=False)}</span></a>'
