"""Characters as people see them: cleaning, graphemes, excerpts, and the comparing form of hashtags.

Python counts code points; a person counts what looks like one sign. A family emoji is seven code points and one
sign, so limits and excerpts work on extended grapheme clusters (Unicode Standard Annex 29).
"""

from __future__ import annotations

import re
import unicodedata

import regex

MAX_CLUSTER = 16
"""Code points that one grapheme may hold before it counts as more: emoji families need 11, stacked marks no end."""

_JUNK = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
# Scripts in which each code point is a grapheme of its own: Latin, Greek, Cyrillic, punctuation, kana, Han.
_SIMPLE = re.compile(
    "[\n\t -~\u00a1-\u02ff\u0370-\u0482\u048a-\u0588\u2010-\u2027\u20a0-\u20b5"
    "\u3000-\u3029\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff\uff01-\uff5e]*+"
)
_CLUSTERS = regex.compile(r"\X")
_WHITESPACE = re.compile(r"\s+")
_NO_WIDTH = re.compile("[\u200b-\u200d\u2060\ufeff\u00ad\ufe0e\ufe0f]")
_TAG_EDGE = "# \t\n\u1680\u2028\u2029"


def clean_text(text: str) -> str:
    """``text`` with newlines as ``\\n`` and without control characters, lone surrogates and noncharacters.

    Such characters are invisible at best; NUL is refused by PostgreSQL, and surrogates cannot be encoded at all.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _JUNK.sub("", text) if _JUNK.search(text) else text


def count_graphemes(text: str) -> int:
    """The number of extended grapheme clusters of cleaned text.

    A cluster of more than `MAX_CLUSTER` code points counts once for each `MAX_CLUSTER` begun, or else stacked
    combining marks would carry any amount of data past a limit.
    """
    if text.isascii() or _SIMPLE.fullmatch(text):
        return len(text)
    clusters = _CLUSTERS.findall(text, concurrent=False)
    if len(text) - len(clusters) < MAX_CLUSTER:
        return len(clusters)
    return sum(-(-len(cluster) // MAX_CLUSTER) for cluster in clusters)


def excerpt(text: str, n: int) -> str:
    """At most ``n`` graphemes of plain text on one line, cut between words where possible, then ``…``.

    Raises ValueError for ``n`` < 1.
    """
    if n < 1:
        raise ValueError(f"an excerpt has at least 1 character, {n} were asked for")
    line = _WHITESPACE.sub(" ", clean_text(text)).strip()
    if len(line) <= n:
        return line
    clusters = _CLUSTERS.findall(line[: (n + 1) * MAX_CLUSTER], concurrent=False)
    if len(clusters) <= n and sum(map(len, clusters)) == len(line):
        return line
    head = "".join(clusters[: n - 1])
    if clusters[n - 1 : n] != [" "]:
        cut = head.rfind(" ")
        # A word longer than half of the excerpt is cut: better half a word than next to nothing.
        if cut > len(head) // 2:
            head = head[:cut]
    return head.rstrip() + "…"


def normalise_hashtag(name: str) -> str:
    """The comparing form of a hashtag: without ``#``, after NFKC and case folding, without invisible characters.

    Two tags are the same if and only if this form is the same.
    """
    # spec: R71 — incoming names compare without case and after Unicode normalisation
    if name.isascii():
        return clean_text(name).strip(_TAG_EDGE).lower()
    name = _NO_WIDTH.sub("", unicodedata.normalize("NFKC", clean_text(name)).casefold())
    # Folding can leave sequences that are not normal any more (U+0345 and friends), hence the second round.
    name = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return name.strip(_TAG_EDGE)
