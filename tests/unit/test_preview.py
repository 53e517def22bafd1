"""What pages say of themselves, read from honest heads and from hostile ones; links of posts."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedishare.model.cards import Preview
from fedishare.text.preview import HEAD_BYTES, links_of, read_page

URL = "https://lab.example/news/1"
HEAD = """<!DOCTYPE html><html lang="de-AT"><head><meta charset="utf-8"><title>Plain &amp; simple</title>
<meta property="og:title" content="A &lt;b&gt;finding&lt;/b&gt;
  of &quot;ours&quot;"><meta name="twitter:title" content="Not this">
<meta name="description" content="Not this"><meta property="og:description" content="What we found.">
<meta property="og:site_name" content="The Lab"><meta name="author" content="Dr Ana">
<meta property="og:image" content="/pictures/1.png?a=1&amp;b=2"><meta property="og:image:alt" content="A curve">
<meta property="article:published_time" content="2026-01-31T13:00:00+01:00">
</head><body><meta property="og:title" content="too late"><title>too late</title></body></html>"""


def read(html: str | bytes, kind: str = "text/html") -> Preview | None:
    """What a page says."""
    return read_page(html if isinstance(html, bytes) else html.encode(), kind, URL)


def test_a_page_is_described_by_its_own_words() -> None:
    assert read(HEAD) == Preview(
        title='A <b>finding</b> of "ours"', description="What we found.", language="de", provider_name="The Lab",
        author_name="Dr Ana", published_at="2026-01-31T12:00:00.000Z",
        image_url="https://lab.example/pictures/1.png?a=1&b=2", image_description="A curve",
    )  # fmt: skip
    assert read("<title>Only \n a title</title>") == Preview(title="Only a title")
    assert read("<meta name=twitter:title content=T><meta name=description content=D>") == Preview("T", "D")
    linked = read('<title>T</title><meta property="article:author" content="https://lab.example/@ana">')
    assert linked == Preview("T", author_url="https://lab.example/@ana")


@pytest.mark.parametrize("words", ["noindex", "NONE", "index, nosnippet"])
def test_a_page_that_does_not_want_to_be_shown_is_not(words: str) -> None:
    assert read(f'<meta name="robots" content="{words}"><title>T</title>') is None
    assert read('<meta name="robots" content="index, follow"><title>T</title>') == Preview("T")


def test_the_encoding_is_the_one_that_is_named() -> None:
    latin = "<title>Gebühr</title>".encode("latin-1")
    assert read(latin, "text/html; charset=ISO-8859-1") == Preview("Gebühr")
    assert read(b'<meta charset="windows-1252">' + latin) == Preview("Gebühr")
    for kind in ("text/html; charset=idna", "text/html; charset=nobody-knows", "text/html; charset=rot13"):
        assert read(latin, kind) == Preview("Geb\ufffdhr")


def test_pictures_are_web_addresses_or_none() -> None:
    for address in (
        "javascript:alert(1)",
        "data:image/png;base64,x",
        "http://[",
        "file:///etc/passwd",
        "x" * 4000,
    ):
        found = read(f'<title>T</title><meta property="og:image" content="{address}">')
        assert found is not None and found.image_url is None, address


HOSTILE = [
    b"", b"\0" * 1000, b"<" * HEAD_BYTES, b"<!" * HEAD_BYTES, b"<![" * HEAD_BYTES, b"<![if " * 20_000,
    b"<!--" * 30_000, b"</" * HEAD_BYTES, b"<meta " * 30_000, b"&#" * HEAD_BYTES, b"<?" * HEAD_BYTES,
    b"<title>" + b"&#99999999999;" * 9_000, b"<title>&#" + b"9" * 9_000, b"<a " + b" \n" * 60_000,
    b"<a " + b"a=' " * 40_000, b"<script>" * 20_000, b"<!DOCTYPE [<!ENTITY a 'a'>" * 5_000, b"\xff\xfe" * 50_000,
    b"<meta content=x name=" + b"\xf0\x9f" * 40_000, b"<title" + b" x" * 60_000, b'<meta content="' * 10_000,
]  # fmt: skip


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_pages_end_soon_and_raise_nothing(body: bytes) -> None:
    started = time.perf_counter()
    for before in (b"", b"<title>T</title>"):
        found = read(before + body)
        assert found is None or len(found.title) <= 301
    assert time.perf_counter() - started < 2


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(["<", ">", "meta ", "/", "!--", "--", "![CDATA[", "]]", "?", "title", "'", '"', "=", "&",
                         "#x0;", "a", "content=", "property=og:image ", "\0", "\ud800", "é", "<head>", "<body>", "http://[::"]),
        max_size=60,
    ).map("".join)
)  # fmt: skip
def test_whatever_a_page_contains_there_is_an_answer(text: str) -> None:
    found = read_page(text.encode("utf-8", "surrogatepass"), text, URL)
    assert found is None or found.title
    assert all("\0" not in url for url in links_of(text))


def test_links_of_a_post_are_neither_mentions_nor_tags() -> None:
    html = (
        '<p><a href="https://lab.example/@ana" class="u-url mention">@ana</a> '
        '<a href="https://lab.example/tags/x" class="mention hashtag" rel="tag">#x</a> '
        '<a href="mailto:a@b.example">mail</a> <a href="https://lab.example/a?b=1&amp;c=2#part">one</a> '
        '<a href="http://ward.example/">two</a> <a href="https://lab.example/a?b=1&amp;c=2">again</a></p>'
    )
    assert links_of(html) == ["https://lab.example/a?b=1&c=2", "http://ward.example/"]
    assert links_of("<p>no links</p>") == []
    assert len(links_of("".join(f'<a href="https://x.example/{n}">x</a>' for n in range(50)))) == 5
