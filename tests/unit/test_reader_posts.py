"""Reading posts: what different servers write becomes one value, safe and bounded."""

from __future__ import annotations

from typing import Any

import pytest

from fedishare.activitypub import reader
from fedishare.activitypub.jsonld import normalise
from fedishare.model.errors import BadDocument
from fedishare.model.ids import Id, Iri
from fedishare.model.posts import PollOption, PostKind, RemotePost, Visibility
from tests.unit.documents import ANA, BOB, CLINIC, CONTEXT, LAB, NOW, PUBLIC, note

PAGE = "https://lab.example/@bob/1"


def read(**fields: Any) -> RemotePost:
    """Bob's note with these fields, fetched from its origin."""
    return reader.post(normalise({"@context": CONTEXT, **note(**fields)}), names=CLINIC, now=NOW)


@pytest.mark.spec("R68")
def test_a_note_with_everything() -> None:
    post = read(
        url=PAGE, inReplyTo=CLINIC.post("ana", Id(3)), summary="<b>x-ray</b>", sensitive=True, context=BOB + "/c/1"
    )
    assert (post.iri, post.author, post.url) == (note()["id"], BOB, PAGE)
    assert (post.kind, post.visibility) == (PostKind.NOTE, Visibility.PUBLIC)
    assert (post.content.html, post.content.summary, post.content.sensitive) == ("<p>hello</p>", "x-ray", True)
    assert post.published == 1_782_900_000_000
    assert post.in_reply_to == CLINIC.post("ana", Id(3))
    assert post.context == BOB + "/c/1"
    assert (post.to, post.cc) == ((PUBLIC,), (BOB + "/followers",))


@pytest.mark.spec("R32", "R35")
def test_the_author_is_on_the_posts_own_origin() -> None:
    channel = {"type": "Group", "id": "https://lab.example/c/films"}
    assert read(attributedTo=[{"type": "Person", "id": BOB}, channel]).author == BOB
    assert read(attributedTo=["https://third.example/x", BOB]).author == BOB
    others: list[object] = ["https://third.example/users/bob", None, [], 7, "bob"]
    for other in others:
        with pytest.raises(BadDocument):
            read(attributedTo=other)
    with pytest.raises(BadDocument, match="our own origin"):
        read(id=CLINIC.post("ana", Id(1)), attributedTo=ANA)


@pytest.mark.spec("R40", "R41")
def test_html_is_made_safe_and_plain_fields_lose_their_markup() -> None:
    post = read(
        type="Article",
        content='<p onclick="x">a<script>b</script><img src=x> <a href="javascript:x">c</a></p>',
        name="<em>Title</em><script>x</script>",
        summary="<p>one</p><p>two &amp; three</p>",
    )
    assert post.content.html == "<p>a <a>c</a></p>".replace("<a>", '<a rel="nofollow noopener">')
    assert post.content.title == "Titlex"
    assert post.content.summary == "one\n\ntwo & three"
    assert read(content="a <b & c", mediaType="text/plain").content.html == "a &lt;b &amp; c"
    assert read(content=["<p>first</p>", "x"]).content.html == "<p>first</p>"
    assert read(content="\ud800\x00a").content.html == "a"


@pytest.mark.spec("R22", "R70")
def test_tags_single_or_many() -> None:
    mention = {"type": "Mention", "href": ANA, "name": "@ana@clinic.example"}
    post = read(
        tag=mention, content="<p>nobody is named here</p>", to=ANA, cc=[BOB, LAB.actor("eve"), BOB + "/followers"]
    )
    assert post.mention_iris == (ANA,)
    assert post.addressed_iris == (LAB.actor("eve"),)
    assert post.visibility is Visibility.PRIVATE
    # Named in the text only: not a mention.
    assert read(content=f'<p><a href="{ANA}" class="mention">@ana</a></p>').mention_iris == ()
    assert read(tag=[mention, mention, {"type": "Mention", "href": "acct:x"}, "x", None, 3]).mention_iris == (ANA,)


@pytest.mark.spec("R71")
def test_hashtags_compare_without_case_and_in_one_form() -> None:
    names = ["#Röntgen", "RÖNTGEN", "#ro\u0308ntgen", "#two", "", "#", 3, "#" + "x" * 500]
    assert read(tag=[{"type": "Hashtag", "name": name} for name in names]).content.hashtags == ("röntgen", "two")


@pytest.mark.spec("R72")
def test_emoji_with_and_without_id() -> None:
    icon = {"type": "Image", "url": "https://lab.example/e.png"}
    found = read(
        tag=[
            {"type": "Emoji", "id": None, "name": ":blob:", "icon": icon, "updated": "2026-07-01T10:00:00Z"},
            {"type": ["Emoji", "x"], "id": "https://lab.example/e/2", "name": "cat", "icon": ["https://lab.example/c"]},
            {"type": "Emoji", "name": ":no icon:"},
            {"type": "Emoji", "name": "<b>", "icon": icon},
        ]
    ).content.emojis
    assert [(each.code, each.url, each.iri) for each in found] == [
        ("blob", "https://lab.example/e.png", None),
        ("cat", "https://lab.example/c", "https://lab.example/e/2"),
    ]
    assert found[0].updated == 1_782_900_000_000


@pytest.mark.spec("R73", "R22")
def test_attachments_of_every_kind() -> None:
    found = read(
        attachment=[
            {
                "type": "Document",
                "mediaType": "image/PNG; q=1",
                "url": "https://lab.example/1.png",
                "name": "an <i>x-ray</i>",
                "width": 800,
                "height": 600.0,
                "blurhash": "UBL_:rOpGG-;",
                "focalPoint": [0.5, -7],
            },
            {
                "type": "Image",
                "url": [{"type": "Link", "href": "https://lab.example/2.webp", "width": -1}],
                "summary": "two",
            },
            {"type": "Video", "mediaType": "video/mp4", "href": "https://lab.example/3"},
            {"type": "Audio", "url": "https://lab.example/4"},
            {"type": "Document", "url": "https://lab.example/5.pdf", "mediaType": "application/pdf"},
            {"type": "Document", "url": "javascript:alert(1)"},
            {"type": "Link", "href": "https://lab.example/6.png"},
            "https://lab.example/7.png",
        ]
    ).content.attachments
    assert [(each.kind, each.media_type, each.description) for each in found] == [
        ("image", "image/png", "an x-ray"),
        ("image", "image/webp", "two"),
        ("video", "video/mp4", None),
        ("audio", "application/octet-stream", None),
        ("unknown", "application/pdf", None),
    ]
    assert (found[0].width, found[0].height, found[0].blurhash, found[0].focus) == (
        800,
        600,
        "UBL_:rOpGG-;",
        (0.5, -1.0),
    )
    assert (found[1].width, found[1].focus) == (None, None)
    many = [{"type": "Image", "url": f"https://lab.example/{each}.png"} for each in range(40)]
    assert len(read(attachment=many).content.attachments) == 16


@pytest.mark.spec("R74", "R77")
def test_a_film_with_a_list_of_links() -> None:
    post = read(
        type="Video",
        name="A film",
        attributedTo=[{"type": "Person", "id": BOB}],
        url=[
            {"type": "Link", "mediaType": "text/html", "href": PAGE},
            {
                "type": "Link",
                "mediaType": "application/x-mpegURL",
                "href": "https://lab.example/m.m3u8",
                "tag": [
                    {"type": "Link", "mediaType": "video/mp4", "href": "https://lab.example/720.mp4", "height": 720}
                ],
            },
            {"type": "Link", "mediaType": "video/mp4", "href": "https://lab.example/1080.mp4", "height": 1080},
        ],
    )
    assert (post.kind, post.url, post.content.title) == (PostKind.VIDEO, PAGE, "A film")
    assert [(each.kind, each.url, each.height) for each in post.content.attachments] == [
        ("video", "https://lab.example/720.mp4", 720)
    ]
    only = read(
        type="Video", url=[{"type": "Link", "mediaType": "application/x-mpegURL", "href": "https://lab.example/m"}]
    )
    assert (only.url, only.content.attachments[0].url) == (note()["id"], "https://lab.example/m")


@pytest.mark.spec("R77", "R76")
@pytest.mark.parametrize("kind", ["Article", "Page", "Image", "Audio", "Video", "Event"])
def test_other_kinds_have_title_text_and_link(kind: str) -> None:
    post = read(type=[kind, "Thing"], nameMap={"de": "Titel"}, url=PAGE, summary="abstract", sensitive=True)
    assert post.kind.value == kind
    assert (post.content.title, post.content.html, post.url) == ("Titel", "<p>hello</p>", PAGE)
    assert (post.content.summary, post.content.language) == ("abstract", "de")


@pytest.mark.spec("R75")
def test_the_language_is_the_key_that_equals_content() -> None:
    assert read(contentMap={"de": "<p>hallo</p>", "en": "<p>hello</p>"}).content.language == "en"
    assert read(contentMap={"de": "<p>hallo</p>"}).content.language is None
    assert read(contentMap={"und": "<p>hello</p>"}).content.language is None
    mapped = read(content=None, contentMap={"pt-BR": "<p>olá</p>"}).content
    assert (mapped.html, mapped.language) == ("<p>olá</p>", "pt-BR")
    assert read(summaryMap={"en": "careful"}).content.summary == "careful"


@pytest.mark.spec("R88")
def test_a_poll_of_either_kind() -> None:
    options = [
        {"type": "Note", "name": "Yes & <3", "replies": {"type": "Collection", "totalItems": 3}},
        {"type": "Note", "name": "No", "replies": {"totalItems": -1}},
    ]
    poll = read(type="Question", oneOf=options, endTime="2026-07-03T10:00:00Z", votersCount=3).content.poll
    assert poll is not None
    assert poll.options == (PollOption("Yes & <3", 3), PollOption("No", 0))
    assert (poll.multiple, poll.voters, poll.ends_at, poll.closed_at) == (False, 3, 1_783_072_800_000, None)
    closed = read(type="Question", anyOf=options, closed="2026-07-02T10:00:00Z").content.poll
    assert closed is not None
    assert (closed.multiple, closed.closed_at, closed.voters) == (True, 1_782_986_400_000, None)
    for bad in ([], [{"type": "Note"}], [{"name": str(each)} for each in range(21)], None, ["Yes"]):
        with pytest.raises(BadDocument):
            read(type="Question", oneOf=bad)


@pytest.mark.spec("R94")
@pytest.mark.parametrize(
    "text",
    ["2026-07-01T10:00:00.123456789Z", "2026-07-01T12:00:00.1+02:00", "2026-07-01T10:00Z", "2026-07-01T10:00:00Z"],
)
def test_dates_of_every_precision(text: str) -> None:
    assert read(published=text).published // 1000 == 1_782_900_000


@pytest.mark.spec("R94")
def test_a_date_in_the_future_is_now() -> None:
    post = read(published="2999-01-01T00:00:00Z", updated="2999-01-01T00:00:00Z")
    assert (post.published, post.updated) == (NOW, NOW)
    assert read(published=None).published == read(published="yesterday").published == NOW
    assert read(updated="0001-01-01T00:00:00Z").updated is None


@pytest.mark.spec("R21", "R42")
def test_public_is_kept_in_its_full_form_and_hidden_copies_are_not_read() -> None:
    post = read(to="as:Public", cc=["Public", {"id": ANA}], bto=[LAB.actor("x")], bcc=LAB.actor("y"))
    assert (post.to, post.cc, post.visibility) == ((PUBLIC,), (PUBLIC, ANA), Visibility.PUBLIC)
    assert post.addressed_iris == (ANA,)
    with pytest.raises(BadDocument, match="at most 1000"):
        read(to=[f"https://lab.example/{each}" for each in range(1001)])


@pytest.mark.spec("R93")
def test_context_and_conversation_are_kept() -> None:
    post = read(context="https://lab.example/c/1", conversation="tag:lab.example,2026:objectId=1")
    assert post.context == "https://lab.example/c/1"
    assert dict(post.extra) == {"conversation": "tag:lab.example,2026:objectId=1"}
    assert read(context="not a url").context is None


@pytest.mark.spec("R112")
def test_the_audience_names_the_group() -> None:
    assert read(audience="https://lab.example/c/radiology").audience == Iri("https://lab.example/c/radiology")


def test_a_long_text_is_cut_and_a_wrong_type_is_refused() -> None:
    assert len(read(content="<p>" + "x" * 100_000).content.html) < 66_000
    for kind in ("Person", "Create", "Thing", None, 3, ["x"]):
        with pytest.raises(BadDocument, match="a post was expected"):
            read(type=kind)
