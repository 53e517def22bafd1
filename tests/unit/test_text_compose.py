"""Plain text becomes HTML with links, mentions and hashtags, and everything else is escaped."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedishare.model.ids import Domain, Handle
from fedishare.text import MentionTarget, clean_text, compose_html, plain_text, sanitise

TARGETS = {
    Handle("Bob"): MentionTarget("https://here.example/@bob", "bob"),
    Handle("anna", Domain("partner.example")): MentionTarget("https://partner.example/@anna", "anna@partner.example"),
    Handle("evil"): MentionTarget("javascript:alert(1)", "evil"),
    Handle("odd"): MentionTarget("https://here.example/?a=1&b='2'", '<script>\n"'),
}


def compose(text: str) -> str:
    return compose_html(text, mentions=TARGETS, hashtag_url=lambda tag: f"https://here.example/tags/{tag}")


BOB = '<span class="h-card"><a href="https://here.example/@bob" class="u-url mention">@<span>bob</span></a></span>'


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("", ""),
        (" \n ", ""),
        ("one\ntwo\n\n\nthree\r\nfour", "<p>one<br />two</p><p>three<br />four</p>"),
        ("<b> & \"x\" 'y' nul\x00", "<p>&lt;b&gt; &amp; \"x\" 'y' nul</p>"),
        ("&lt;script&gt;", "<p>&amp;lt;script&amp;gt;</p>"),
        ("hi @BOB, @nobody @anna", f"<p>hi {BOB}, @nobody @anna</p>"),
        ("@evil", "<p>@evil</p>"),
        (
            "#Straße!",
            '<p><a href="https://here.example/tags/strasse" class="mention hashtag" rel="tag">'
            "#<span>Straße</span></a>!</p>",
        ),
        (
            "see https://www.example.org/x?a=1&b=2.",
            '<p>see <a href="https://www.example.org/x?a=1&amp;b=2" rel="nofollow noopener" target="_blank">'
            '<span class="invisible">https://www.</span><span class="">example.org/x?a=1&amp;b=2</span>'
            '<span class="invisible"></span></a>.</p>',
        ),
        (
            "https://example.org/a/long/path/that/goes/on",
            '<p><a href="https://example.org/a/long/path/that/goes/on" rel="nofollow noopener" target="_blank">'
            '<span class="invisible">https://</span><span class="ellipsis">example.org/a/long/path/that/g</span>'
            '<span class="invisible">oes/on</span></a></p>',
        ),
        (":blob_cat: stays", "<p>:blob_cat: stays</p>"),
    ],
)
def test_examples(text: str, html: str) -> None:
    assert compose(text) == html


@pytest.mark.spec("R69")
def test_a_resolved_mention_is_an_h_card_and_an_unresolved_one_is_text() -> None:
    assert compose("@anna@Partner.example") == (
        '<p><span class="h-card"><a href="https://partner.example/@anna" class="u-url mention">'
        "@<span>anna@partner.example</span></a></span></p>"
    )
    assert compose("@anna@other.example") == "<p>@anna@other.example</p>"


def test_what_the_caller_resolved_is_escaped_too() -> None:
    html = compose("@odd")
    assert 'href="https://here.example/?a=1&amp;b=&#x27;2&#x27;"' in html
    assert '@<span>&lt;script&gt; "</span>' in html


def test_a_tag_page_that_is_no_web_address_makes_no_link() -> None:
    assert compose_html("#x", mentions={}, hashtag_url=lambda tag: f"javascript:{tag}") == "<p>#x</p>"
    assert "<a " in compose_html("#x", mentions={}, hashtag_url=lambda tag: f"https://here.example/{tag}")


class Tags(HTMLParser):
    """Collects the tags and attributes of HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen |= {tag} | {f"{tag}.{name}" for name, _ in attrs}


TEXTS = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "<b>",
                "</p>",
                "&amp;",
                '"',
                "'",
                " ",
                "\n",
                "\n\n",
                "@bob",
                "@odd",
                "#tag",
                "<script>alert(1)</script>",
                "https://example.org/<x>",
                "https://example.org/'onclick=x",
                "\x00",
                "\ud800",
                "https://example.org/" + "a" * 40,
            ]
        ),
        st.text(max_size=8),
    ),
    max_size=15,
).map("".join)


@settings(deadline=None, max_examples=300)
@given(TEXTS)
def test_only_our_own_markup_comes_out_and_the_text_survives(text: str) -> None:
    html = compose(text.replace("@odd", ""))
    tags = Tags()
    tags.feed(html)
    tags.close()
    assert tags.seen <= {"p", "br", "a", "span", "a.href", "a.rel", "a.target", "a.class", "span.class"}
    # A full-width sign before a hashtag is written as the plain one.
    expected = "".join(clean_text(text.replace("@odd", "")).split()).replace("＃", "#")
    assert "".join(plain_text(html).split()).replace("＃", "#") == expected
    # A peer's sanitiser (ours, here) takes nothing of the text away.
    assert "".join(plain_text(sanitise(html)).split()).replace("＃", "#") == expected
