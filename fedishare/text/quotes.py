"""The link that stands for a quote in a post's text, for servers and apps that know no quotes.

It is put before the text where a quote leaves, and taken out of the text where a quote arrives that is understood.
"""

from __future__ import annotations

import re
from html import escape

from fedishare.text.html import SafeHtml

_OPEN = re.compile(r'<(p|span|div|blockquote) class="(?:[^"<>]* )?quote-inline(?: [^"<>]*)?">')
_LEADING_BREAKS = re.compile(r"(?:<br ?/?>)+(?=</p>|\Z)")
_EMPTY = re.compile(r"<p></p>")


def quote_inline(url: str) -> SafeHtml:
    """The paragraph ``RE: <url>``. Both of its elements carry the class that apps hide."""
    # spec: R95 — the text fallback, in span.quote-inline
    link = escape(url)
    return SafeHtml(
        f'<p class="quote-inline"><span class="quote-inline">RE: <a href="{link}" rel="nofollow noopener">{link}</a>'
        "</span></p>"
    )


def without_quote_inline(safe: SafeHtml) -> SafeHtml:
    """Safe HTML without such links: whatever else is in it stays."""
    if "quote-inline" not in safe:
        return safe
    html: str = safe
    while found := _OPEN.search(html):
        end = _end(html, found[1], found.end())
        html = html[: found.start()] + html[end:]
    return SafeHtml(_EMPTY.sub("", _LEADING_BREAKS.sub("", html)))


def _end(html: str, name: str, at: int) -> int:
    """Where the element that was opened before ``at`` is over."""
    depth = 1
    for tag in re.finditer(rf"<(/?){name}(?=[ >])[^<>]*>", html[at:]):
        depth += -1 if tag[1] else 1
        if depth == 0:
            return at + tag.end()
    return len(html)
