"""What a text refers to is found where it is, and nothing else."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedishare.model.ids import Domain, Handle
from fedishare.text import Link, Mention, count_characters, normalise_hashtag, scan

SHREDS = (
    "@ # : ＃ / . - _ ( ) [ ] http:// https:// HTTPS://x.example/ @bob @bob@example.org @a@b@c #tag #1 :ok_hand: "
    "example.org münchen.de 日本語 \u200d \u200f \u202e \x00 \ud800 👨‍👩‍👧‍👦 \u0301 , ! ? é ß ・ · % & ="
)
PIECES = st.one_of(
    st.sampled_from(SHREDS.split(" ")),
    st.sampled_from([" ", "\n", "\t", "\u00a0"]),
    st.text(max_size=6),
)
TEXTS = st.lists(PIECES, max_size=20).map("".join)


@settings(deadline=None, max_examples=300)
@given(TEXTS, st.booleans())
def test_scan_never_raises_and_positions_are_inside_the_text(text: str, development: bool) -> None:
    found = scan(text, development=development)
    position = 0
    for entity in found.entities:
        assert position <= entity.start < entity.end <= len(text)
        position = entity.end
        written = text[entity.start : entity.end]
        if isinstance(entity, Mention):
            assert written.startswith(f"@{entity.name}") and "\n" not in written
        if isinstance(entity, Link):
            assert written == entity.url and not any(map(str.isspace, written))
    assert len(found.entities) == len(found.mentions + found.hashtags + found.links + found.shortcodes)


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("see https://example.org.", ["https://example.org"]),
        ("(https://example.org/a_(b))", ["https://example.org/a_(b)"]),
        ("https://example.org/a_(b)/c?d=(e)#f, then", ["https://example.org/a_(b)/c?d=(e)#f"]),
        ('"https://example.org/" <https://example.com/>', ["https://example.org/", "https://example.com/"]),
        ("**https://example.org/a**", ["https://example.org/a"]),
        ("[text](https://example.org/a)!", ["https://example.org/a"]),
        (
            "https://münchen.example/straße und https://例え.テスト/道",
            ["https://münchen.example/straße", "https://例え.テスト/道"],
        ),
        ("見て https://example.org/a。次", ["https://example.org/a"]),
        ("你好https://wiki/page", ["https://wiki/page"]),
        ("HTTP://LOCALHOST:8080/x", ["HTTP://LOCALHOST:8080/x"]),
        ("https://[2001:db8::1]/x", ["https://[2001:db8::1]/x"]),
        ("https://bank.example@evil.example/ https://a:b@c/", []),
        (
            "ftp://example.org javascript:alert(1) xhttps://example.org https:// http://. https://-a.b/ https://a..b/",
            [],
        ),
        ("https://example.org/\u202egpj.exe", ["https://example.org/"]),
        ("https://example.org/" + "a" * 3000, []),
    ],
)
def test_links(text: str, urls: list[str]) -> None:
    assert [link.url for link in scan(text).links] == urls


@pytest.mark.parametrize(
    ("text", "handles"),
    [
        ("@bob hi @Anna@Example.COM.", ["bob", "Anna@example.com"]),
        ("(@bob), @bob: @bob! .@bob", ["bob", "bob", "bob", "bob"]),
        ("@bob.smith. @a-b- @_x_", ["bob.smith", "a-b", "_x_"]),
        ("@bobさん", ["bob"]),
        ("@bob@münchen.example", ["bob@xn--mnchen-3ya.example"]),
        ("mail@example.org /@bob https://example.org/@bob =@bob", []),
        ("@bob@1.2.3.4 @" + "a" * 65 + " @ @@", []),
    ],
)
def test_mentions(text: str, handles: list[str]) -> None:
    assert [str(mention.handle) for mention in scan(text).mentions] == handles


def test_ports_and_loopback_are_domains_in_development_only() -> None:
    text = "@bob@localhost:3000, @eve@127.0.0.1:3001"
    assert [m.domain for m in scan(text, development=True).mentions] == ["localhost:3000", "127.0.0.1:3001"]
    assert [m.domain for m in scan(text).mentions] == ["localhost"]
    assert count_characters(text, development=True) == len("@bob, @eve")


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("#Tag, #two_words #1st. ＃全角 #日本語・タグ・ #हिन्दी #Grüße #col·lecció", None),
        ("#123 #_ #½ a#b https://example.org/#frag /#x &#39; &#x27; # ## " + "#" + "a" * 101, []),
    ],
)
def test_hashtags(text: str, tags: list[str] | None) -> None:
    expected = ["Tag", "two_words", "1st", "全角", "日本語・タグ", "हिन्दी", "Grüße", "col·lecció"]
    assert [hashtag.name for hashtag in scan(text).hashtags] == (expected if tags is None else tags)


def test_shortcodes_stand_alone() -> None:
    text = ":blob_cat: (:ok:) :x: 10:30:45 a:b_c:d :no space: ::aa::"
    assert [code.code for code in scan(text).shortcodes] == ["blob_cat", "ok"]


def test_handles_and_tags_come_once_each_in_order() -> None:
    found = scan("@bob @Eve@example.org @BOB #b #a #B @eve@EXAMPLE.org")
    assert found.handles == (Handle("bob"), Handle("Eve", Domain("example.org")))
    assert found.tags == ("b", "a")


@pytest.mark.spec("R71")
def test_hashtags_compare_without_case_and_unicode_form() -> None:
    assert normalise_hashtag("#Straße") == normalise_hashtag("STRASSE") == "strasse"
    assert normalise_hashtag("Cafe\u0301") == normalise_hashtag("#CAFÉ")
    assert normalise_hashtag("＃ｆｕｌｌ") == normalise_hashtag("full")
    assert normalise_hashtag("cat") != normalise_hashtag("cats")


@pytest.mark.spec("R71")
@settings(deadline=None, max_examples=200)
@given(st.text(max_size=20))
def test_the_comparing_form_is_stable(name: str) -> None:
    form = normalise_hashtag(name)
    assert normalise_hashtag(form) == form == normalise_hashtag("#" + name)


@pytest.mark.parametrize(
    "text",
    [
        "https://a.b/" + ")" * 65000,
        "https://a.b)" * 5000,
        "@" * 65000,
        "@a@a" * 16000,
        "@a" + ".-" * 32000,
        "#1" * 32000,
        ":a" * 32000,
        "https://" + "a." * 30000,
        "@a@" + "ü." * 30000,
    ],
    ids=lambda text: text[:8],
)
def test_long_nonsense_takes_linear_time(text: str) -> None:
    started = time.perf_counter()
    scan(text)
    assert time.perf_counter() - started < 0.5
