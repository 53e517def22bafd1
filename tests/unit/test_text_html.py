"""Foreign HTML becomes safe HTML, whatever it was; safe HTML becomes text."""

from __future__ import annotations

import time
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fedishare.model.errors import BadDocument
from fedishare.text import MAX_HTML, clean_text, plain_text, sanitise
from fedishare.text import html as implementation

# Written out here once more, so that a slip in the module's own list shows.
ALLOWED_TAGS = set(
    "p br span a del s pre code em strong b i u ul ol li blockquote ruby rt rp".split()  # noqa: SIM905
)
ALLOWED_ATTRIBUTES = {
    "a": {"href", "class", "rel"},
    "span": {"class"},
    "p": {"class"},
    "ol": {"start", "reversed"},
    "li": {"value"},
}
ALLOWED_SCHEMES = {"http", "https", "mailto", "xmpp", "matrix", "gemini", "magnet"}
WORDS = {"mention", "hashtag", "ellipsis", "invisible", "quote-inline"}


class Inspector(HTMLParser):
    """Reads HTML as a browser's tokeniser would and complains of whatever is not on the list."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.problems: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ALLOWED_TAGS:
            self.problems.append(f"tag {tag}")
        if tag != "br":
            self.open.append(tag)
        for name, value in attrs:
            self._check(tag, name, value or "")
        if tag == "a" and dict(attrs).get("rel") != "nofollow noopener":
            self.problems.append("a link without rel")

    def _check(self, tag: str, name: str, value: str) -> None:
        if name not in ALLOWED_ATTRIBUTES.get(tag, set()):
            self.problems.append(f"attribute {name} of {tag}")
        if name == "href" and value.strip().partition(":")[0].lower() not in ALLOWED_SCHEMES:
            self.problems.append(f"scheme of {value!r}")
        if name == "class" and any(
            word not in WORDS and word.partition("-")[0] not in {"h", "p", "u", "dt", "e"} for word in value.split()
        ):
            self.problems.append(f"class {value!r}")

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"unbalanced {tag}")

    def handle_comment(self, data: str) -> None:
        self.problems.append("comment")

    def handle_decl(self, decl: str) -> None:
        self.problems.append("declaration")

    def handle_pi(self, data: str) -> None:
        self.problems.append("processing instruction")


def problems(html: str) -> list[str]:
    inspector = Inspector()
    inspector.feed(html)
    inspector.close()
    return inspector.problems + [f"open {tag}" for tag in inspector.open]


SHREDS = """<p> </p> <p/> <br> <br/> <b> </b> <i> </i> <a> </a> <div> </div> <h1> </h2> <span> </span> <pre> </pre> <ul>
    <li> </li> </ul> <blockquote> </blockquote> <table> <tr> <td> </table> <svg> </svg> <math> <mtext> <mglyph>
    <style> </style> <script> </script> <noscript> </noscript> <textarea> </textarea> <title> </title> <template>
    <select> <option> <button> <form> <foreignObject> <annotation-xml> <ruby> <rt>
    <code> </code> <!-- --> --!> <![CDATA[ ]]>
    <!doctype> <?x ?> < > & &lt; &amp; &quot; &#39; &nbsp; &#1; &#0; &#x80; &#xd800; &notit; " ' ` = /
    \x00 \x01 \x7f        \ud800 \u202e \u2028 javascript:alert(1) data:text/html,x onerror=alert(1)"""
PIECES = st.one_of(
    st.sampled_from(SHREDS.split()),
    st.sampled_from(
        [
            " ",
            "\n",
            "\r\n",
            "\t",
            "\u00a0",
            '<a href="https://example.org/?a=1&b=2">',
            '<a href="javascript:alert(1)" onclick="x()">',
            "<a href=' JaVa\tScript&colon;alert(1)'>",
            '<a href="data:text/html;base64,x">',
            '<a href="//evil.example">',
            '<a class="u-url mention evil" style="color:red" href=HTTPS://x>',
            '<span class="h-card"><a href="https://example.org/@a" class="u-url mention">@<span>a</span></a></span>',
            '<span class="invisible x" id="y">',
            '<p class="quote-inline" dir="rtl" lang="de" title="x">',
            '<img src=x onerror="alert(1)">',
            '<ol start="3" reversed>',
            '<li value="x">',
            "<iframe src=x>",
            "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
            "<svg></p><style><a id='</style><img src=1 onerror=alert(1)>'>",
            "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
            "<form><math><mtext></form><form><mglyph><svg><mtext><textarea><path id='</textarea><img src=1>'>",
        ]
    ),
    st.text(max_size=8),
)
SOUP = st.lists(PIECES, max_size=25).map("".join)


@pytest.mark.spec("R40", "R41")
@settings(deadline=None, max_examples=400)
@given(SOUP)
@example("<pre>\n\n\nx</pre>")
@example("<p><button><p>x</p></button></p>")
@example('<a href="https://a"><table><a href="https://b">x')
def test_only_the_allow_list_survives_and_reads_back_as_itself(html: str) -> None:
    safe = sanitise(html)
    assert problems(safe) == []
    assert sanitise(safe) == safe
    assert implementation._CLEANER.clean(safe) == safe
    assert not set(safe) & {"\x00", "\x01", "\x7f", "\ud800"}


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;", "<br>", "<br/>", "<br />", "</p><p>", '"', "\n"]
            ),
            st.text(max_size=10),
        ),
        max_size=15,
    ).map(lambda pieces: clean_text("<p>" + "".join(pieces) + "</p>"))
)
def test_the_short_way_for_simple_posts_gives_what_the_cleaner_gives(html: str) -> None:
    if implementation._PLAIN.fullmatch(html):
        assert implementation._tidy_plain(html) == implementation._CLEANER.clean(html)


@settings(deadline=None, max_examples=300)
@given(SOUP)
def test_what_counts_as_settled_is_settled(html: str) -> None:
    cleaned = clean_text(implementation._CLEANER.clean(clean_text(html)))
    if implementation._SETTLED.fullmatch(cleaned):
        assert implementation._CLEANER.clean(cleaned) == cleaned


@pytest.mark.spec("R40")
@pytest.mark.parametrize(
    ("html", "safe"),
    [
        ("<p>Hello &amp; &lt;bye&gt; &quot;it&#39;s&quot;<br/>x</p>", '<p>Hello &amp; &lt;bye&gt; "it\'s"<br>x</p>'),
        ("<p>open <b>bold <i>both", "<p>open <b>bold <i>both</i></b></p>"),
        ("<h1 class=x>Title</h1><p>text</p>", "<p><strong>Title</strong></p><p>text</p>"),
        ("<div>one</div><div>two</div>", " one  two "),
        ("<ul><li>a</li></ul><blockquote>q</blockquote>", "<ul><li>a</li></ul><blockquote>q</blockquote>"),
        ('<ol start="3" type="i"><li value="evil">a</li></ol>', '<ol start="3"><li>a</li></ol>'),
        ("a<!-- <!-- nested --> -->b", "a --&gt;b"),
        ("<script>alert(1)</script><style>p{}</style>x", "x"),
        ('<p title="x" lang="de" dir="rtl" id="y">a</p>', "<p>a</p>"),
        ('<p class="quote-inline big" style="x" onclick="y">RE</p>', '<p class="quote-inline">RE</p>'),
        ('<span class="h-card dt-x e-y hashtagx Mention">x</span>', '<span class="h-card dt-x e-y">x</span>'),
        ("<ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp></ruby>", "<ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp></ruby>"),
        ("nul\x00 bell\x07 \ud83d &#7;", "nul bell  "),
        ("", ""),
    ],
)
def test_examples_of_the_allow_list(html: str, safe: str) -> None:
    assert sanitise(html) == safe


@pytest.mark.spec("R41")
@pytest.mark.parametrize(
    ("href", "kept"),
    [
        ("https://example.org/a?b=1&amp;c=2", True),
        ("http://münchen.example/", True),
        ("mailto:a@example.org", True),
        ("gemini://example.org/", True),
        ("javascript:alert(1)", False),
        ("JAVASCRIPT&colon;alert(1)", False),
        ("java\nscript:alert(1)", False),
        ("\x01javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("vbscript:x", False),
        ("file:///etc/passwd", False),
        ("//evil.example/", False),
        ("/api/v1/accounts", False),
        ("#top", False),
    ],
)
def test_links_keep_harmless_schemes_only(href: str, kept: bool) -> None:
    safe = sanitise(f'<p><a href="{href}" rel="opener" target="_top">x</a></p>')
    assert ("href" in safe) is kept
    assert 'rel="nofollow noopener"' in safe
    assert "target" not in safe


def test_too_long_is_refused_and_just_fitting_is_not() -> None:
    with pytest.raises(BadDocument, match="at most 65536 characters"):
        sanitise("x" * (MAX_HTML + 1))
    assert sanitise("x" * MAX_HTML) == "x" * MAX_HTML
    with pytest.raises(BadDocument, match="found 4"):
        sanitise("<b>x"[:4], limit=3)


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 13000,
        "<b>" * 20000,
        "<ul><li>" * 8000,
        "<blockquote>x" * 5000,
        "".join(f"<b id={i}>" for i in range(39)) + "<p>" * 3900,
        "<b><p>" * 9000,
        "<table><tr><td>" * 1300,
        "<a href=x><table>" * 1900,
        '<a "' * 16000,
        "<h1 " * 16000,
        "<br " * 16000,
        "<pre>" + " " * 65000,
        "<!--" * 16000,
        "<" * 65000,
        "&amp" * 13000,
    ],
    ids=lambda html: html[:8].strip(),
)
def test_monstrous_markup_is_answered_quickly_and_small(html: str) -> None:
    started = time.perf_counter()
    safe = sanitise(html)
    plain_text(html)
    # Milliseconds in fact; the margin is for a busy machine, and what went quadratic takes longer than this.
    assert time.perf_counter() - started < 0.25
    assert problems(safe) == []
    assert len(safe) <= 4 * MAX_HTML + 10


def test_too_deep_markup_keeps_its_text() -> None:
    assert sanitise("<blockquote>" * 200 + "deep &lt;b&gt;<br>" + "</blockquote>" * 200) == "<p>deep &lt;b&gt;</p>"
    nested = "<blockquote>" * 30 + "deep" + "</blockquote>" * 30
    assert sanitise(nested) == nested


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>one<br>two<br />three</p><p>four &amp; &lt;five&gt;</p>", "one\ntwo\nthree\n\nfour & <five>"),
        ("<ul><li>a</li><li>b</li></ul>c", "a\nb\n\nc"),
        ("<p>source\n  newlines</p>", "source newlines"),
        ("<pre>kept\n  lines</pre>", "kept\nlines"),
        ('<p><a href="https://x/?a&gt;b"><span class="invisible">https://</span><span>x</span></a></p>', "https://x"),
        ("no markup &amp; so", "no markup & so"),
        ("&#1;<unclosed", ""),
        ("&lt;script&gt;", "<script>"),
    ],
)
def test_plain_text(html: str, text: str) -> None:
    assert plain_text(html) == text


@settings(deadline=None, max_examples=150)
@given(SOUP)
def test_plain_text_never_raises_and_keeps_the_words_of_safe_html(html: str) -> None:
    plain_text(html)
    inspector = TextOf()
    inspector.feed(sanitise(html))
    inspector.close()
    assert "".join(plain_text(sanitise(html)).split()) == "".join(clean_text(inspector.text).split())


class TextOf(HTMLParser):
    """The text of HTML, by somebody else's parser."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""

    def handle_data(self, data: str) -> None:
        self.text += data
