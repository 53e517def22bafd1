"""How long a post is, as its limit counts: graphemes, links at a fixed price, remote mentions without their domain.

A link costs the same whatever its length, so that nobody needs a link shortener (and its tracking); naming somebody
of a partner costs no more than naming a colleague.
"""

from __future__ import annotations

import unicodedata

from fedishare.text.characters import clean_text, count_graphemes
from fedishare.text.scan import Link, Mention, scan

URL_CHARACTERS = 23
"""What an http(s) URL counts, whatever its length; reported to apps as ``characters_reserved_per_url``."""

_PRICE_OF_URL = "x" * URL_CHARACTERS


def count_characters(text: str, *, development: bool = False) -> int:
    """The length of ``text`` for the limit. A content warning counts too: the caller adds its count.

    ``development`` is as for `scan`. Equivalent Unicode forms (NFC, NFD) count the same.
    """
    text = clean_text(text)
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    pieces: list[str] = []
    position = 0
    for entity in scan(text, development=development).entities:
        if isinstance(entity, Link):
            price = _PRICE_OF_URL
        elif isinstance(entity, Mention) and entity.domain is not None:
            price = "@" + entity.name
        else:
            continue
        pieces += (text[position : entity.start], price)
        position = entity.end
    return count_graphemes("".join((*pieces, text[position:])) if pieces else text)


def over_limit(text: str, limit: int, *, warning: str = "", development: bool = False) -> str | None:
    """The sentence for the answer 422 when ``text`` plus its content warning is too long, else None."""
    count = count_characters(text, development=development) + count_characters(warning, development=development)
    over = count - limit
    if over <= 0:
        return None
    return f"The text is {over} character{'' if over == 1 else 's'} over the limit of {limit} ({count})"
