"""Text: what people write becomes HTML, what peers send becomes safe HTML, and both become plain text again.

Everything here is pure: no clock, no database, no network. `SafeHtml` is the only type that a page, a stream or an
API answer may carry as HTML, and only the functions of this package make it (safety rule 7).

* `characters` cleans, counts graphemes, shortens, and normalises hashtags;
* `scan` finds mentions, hashtags, links and emoji in plain text;
* `count` measures a post as the limit does;
* `compose` turns plain text into HTML;
* `html` reduces foreign HTML to the allow-list, and HTML to plain text;
* `quotes` puts the link that stands for a quote in, and takes it out.
"""

from __future__ import annotations

from fedishare.text.characters import clean_text, count_graphemes, excerpt, normalise_hashtag
from fedishare.text.compose import MentionTarget, compose_html
from fedishare.text.count import URL_CHARACTERS, count_characters, over_limit
from fedishare.text.html import MAX_HTML, SafeHtml, plain_text, sanitise
from fedishare.text.quotes import quote_inline, without_quote_inline
from fedishare.text.scan import Entity, Hashtag, Link, Mention, Scan, Shortcode, scan

__all__ = [
    "MAX_HTML",
    "URL_CHARACTERS",
    "Entity",
    "Hashtag",
    "Link",
    "Mention",
    "MentionTarget",
    "SafeHtml",
    "Scan",
    "Shortcode",
    "clean_text",
    "compose_html",
    "count_characters",
    "count_graphemes",
    "excerpt",
    "normalise_hashtag",
    "over_limit",
    "plain_text",
    "quote_inline",
    "sanitise",
    "scan",
    "without_quote_inline",
]
