"""Writing: what we mean is what a peer that reads as we do understands, and every id and context is there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedishare.activitypub import reader, writer
from fedishare.activitypub.addressing import PUBLIC, addressing_of
from fedishare.activitypub.jsonld import normalise
from fedishare.activitypub.keys import generate_ed25519, generate_rsa
from fedishare.model.activities import (
    AnswerFollow,
    BlockActor,
    Boost,
    CastVote,
    EditActor,
    EditPost,
    Favourite,
    Intent,
    MoveActor,
    Pin,
    ReceivePost,
    RemoveActor,
    RemovePost,
    ReportContent,
    RequestFollow,
    Undo,
)
from fedishare.model.actors import ActorKey, ActorKind, Emoji, Field, Image
from fedishare.model.ids import Handle, Id, Iri, Millis
from fedishare.model.names import Names
from fedishare.model.posts import Attachment, Content, Mention, Poll, PollOption, PostKind, Visibility
from fedishare.text import compose_html, sanitise
from tests.unit.documents import ANA, BOB, CLINIC, LAB, NOW, local_actor, local_post

FOLLOWERS = CLINIC.followers("ana")
KEYS = (
    ActorKey(CLINIC.main_key("ana"), ANA, "rsa", generate_rsa().public().pem()),
    ActorKey(CLINIC.ed25519_key("ana"), ANA, "ed25519", generate_ed25519().public().multibase()),
)


def sent(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document as the lab gets it: through JSON, and on the plain way of normalising."""
    arrived: dict[str, Any] = json.loads(json.dumps(document))
    assert normalise(arrived) is arrived, "our own documents must not need PyLD"
    return arrived


def understood(document: Mapping[str, Any], names: Names = LAB, signer: Iri = ANA) -> Intent:
    """What the receiving instance (the lab) makes of our activity."""
    return reader.intent(sent(document), signer=signer, names=names, now=NOW)


def note_of(**changes: Any) -> dict[str, Any]:
    """A public post of Ana's as a document."""
    return writer.note(local_post(**changes), local_actor(), names=CLINIC, to=[PUBLIC], cc=[FOLLOWERS])


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Co"]), min_size=1, max_size=20)
PLAIN = WORDS.map(lambda text: " ".join(text.replace("<", "").replace("&", "").split())).filter(bool)
TIMES = st.integers(0, NOW).map(Millis)
MEDIA = st.sampled_from([("image", "image/png"), ("video", "video/mp4"), ("audio", "audio/mpeg")])
EMOJI = st.builds(
    Emoji,
    code=st.from_regex(r"[a-z0-9_]{2,20}", fullmatch=True),
    url=st.just("https://clinic.example/media/e.png"),
    iri=st.just(CLINIC.emoji("e")),
    updated=st.none() | TIMES,
)
ATTACHMENT = st.builds(
    lambda media, number, words, size, focus: Attachment(
        url=f"https://clinic.example/media/{number}",
        media_type=media[1],
        kind=media[0],
        description=words,
        width=size,
        height=size,
        blurhash="UBL_:rOpGG-;",
        focus=focus,
    ),
    MEDIA,
    st.integers(0, 10**6),
    st.none() | PLAIN,
    st.none() | st.integers(1, 5000),
    st.none() | st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
)
POLL = st.builds(
    Poll,
    options=st.lists(st.builds(PollOption, PLAIN, st.integers(0, 10**6)), min_size=1, max_size=5).map(tuple),
    multiple=st.booleans(),
    ends_at=TIMES,
    closed_at=st.none() | TIMES,
    voters=st.integers(0, 10**6),
)
NAMES = st.from_regex(r"[a-z0-9_]{1,20}", fullmatch=True)
MENTION = NAMES.map(lambda name: Mention(Id(5), LAB.actor(name), Handle(name, LAB.domain), LAB.profile_page(name)))


@st.composite
def contents(draw: st.DrawFn) -> Content:
    """What a local person may have posted."""
    poll = draw(st.none() | POLL)
    unique: dict[str, Any] = {each.url: each for each in draw(st.lists(ATTACHMENT, max_size=3))}
    emojis = {each.code: each for each in draw(st.lists(EMOJI, max_size=2))}
    return Content(
        html=sanitise(compose_html(draw(WORDS), mentions={}, hashtag_url=CLINIC.tag)),
        source="as typed",
        summary=draw(st.just("") | PLAIN),
        sensitive=draw(st.booleans()),
        language=draw(st.sampled_from([None, "en", "pt-BR"])),
        mentions=tuple({each.iri: each for each in draw(st.lists(MENTION, max_size=3))}.values()),
        hashtags=draw(st.sampled_from([(), ("radiology",), ("röntgen", "two")])),
        emojis=tuple(emojis.values()),
        attachments=tuple(unique.values()),
        poll=poll,
    )


@settings(deadline=None, max_examples=80)
@given(contents(), st.sampled_from(list(Visibility)), TIMES, st.none() | TIMES, st.booleans())
@pytest.mark.spec("R68", "R69", "R71", "R72", "R73", "R75", "R88")
def test_a_post_comes_back_as_it_was_meant(
    content: Content, visibility: Visibility, published: Millis, edited: Millis | None, public: bool
) -> None:
    kind = PostKind.QUESTION if content.poll else PostKind.NOTE
    post = local_post(
        content=content,
        kind=kind,
        visibility=visibility,
        published=published,
        edited_at=edited,
        in_reply_to_iri=Iri(BOB + "/statuses/1"),
        context_iri=Iri(BOB + "/contexts/1"),
    )
    author = local_actor()
    to, cc = addressing_of(post, author, content.mentions, public_addressing=public)
    found = understood(writer.create(writer.note(post, author, names=CLINIC, to=to, cc=cc)))
    assert isinstance(found, ReceivePost)
    read = found.post
    assert (read.iri, read.url, read.author, read.kind) == (post.iri, post.url, ANA, kind)
    assert read.visibility is (visibility if public else max(visibility, Visibility.PRIVATE))
    assert (read.published, read.updated) == (published, edited)
    assert (read.in_reply_to, read.context) == (post.in_reply_to_iri, post.context_iri)
    assert read.mention_iris == tuple(each.iri for each in content.mentions)
    assert read.addressed_iris == ()
    assert (read.to, read.cc) == (to, cc)
    assert read.content == replace(content, source="", mentions=())


@settings(deadline=None, max_examples=50)
@given(
    st.sampled_from([ActorKind.PERSON, ActorKind.GROUP, ActorKind.SERVICE]),
    st.fixed_dictionaries(
        {
            "display_name": PLAIN,
            "summary": PLAIN.map(lambda text: sanitise(f"<p>{text}</p>")),
            "fields": st.lists(st.builds(Field, PLAIN, PLAIN.map(sanitise)), max_size=4).map(tuple),
            "avatar": st.none() | st.just(Image("https://clinic.example/media/a.png", "image/png", "a face")),
            "header": st.none() | st.just(Image("https://clinic.example/media/h.png")),
            "emojis": st.lists(EMOJI, max_size=1).map(tuple),
            "locked": st.booleans(),
            "discoverable": st.booleans(),
            "indexable": st.booleans(),
            "memorial": st.booleans(),
            "also_known_as": st.sampled_from([(), (BOB,), (BOB, LAB.actor("old"))]),
            "moved_to": st.sampled_from([None, BOB]),
        }
    ),
)
@pytest.mark.spec("R9", "R62", "R104", "R106", "R109")
def test_an_actor_comes_back_as_it_was_meant(kind: ActorKind, profile: dict[str, Any]) -> None:
    author = replace(local_actor(**profile), kind=kind)
    document = writer.actor_document(author, KEYS, names=CLINIC)
    read = reader.actor(sent(document), names=LAB, now=NOW)
    assert (read.iri, read.name, read.kind, read.url) == (ANA, "ana", kind, author.url)
    assert (read.host, read.webfinger, read.published) == ("clinic.example", "ana@clinic.example", author.created_at)
    assert read.endpoints == author.endpoints
    assert read.keys == KEYS
    assert read.profile == replace(author.profile, featured=CLINIC.featured("ana"))
    update = understood(writer.update_actor(CLINIC.activity("ana", "updates", Id(1)), document, to=[FOLLOWERS]))
    assert update == EditActor(read)


@pytest.mark.spec("R9", "R58", "R123")
def test_the_instance_actor_is_an_application_with_a_key_and_says_no_more() -> None:
    key = ActorKey(CLINIC.instance_key(), CLINIC.instance_actor(), "rsa", KEYS[0].material)
    document = writer.instance_actor_document([key], names=CLINIC)
    read = reader.actor(sent(document), names=LAB, now=NOW)
    assert (read.kind, read.keys, read.name) == (ActorKind.APPLICATION, (key,), "instance.actor")
    assert not read.profile.discoverable
    implemented = [each["href"] for each in sent(document)["implements"]]
    assert "https://datatracker.ietf.org/doc/html/rfc9421" in implemented
    generator = sent(writer.actor_document(local_actor(), KEYS, names=CLINIC))["generator"]
    assert [each["href"] for each in generator["implements"]] == implemented


def every_document() -> Iterator[tuple[dict[str, Any], Iri, Intent | None]]:
    """Each document that we can write, who sends it, and what the other side must make of it."""
    other = Iri(BOB + "/statuses/1")
    number = Id(7)

    def iri(verb: Any) -> Iri:
        return CLINIC.activity("ana", verb, number)

    note, mine = note_of(), CLINIC.post("ana", Id(42))
    featured, boost_iri = CLINIC.featured("ana"), CLINIC.post_activity("ana", number)
    peer_follow = writer.incoming_follow(Iri(BOB + "/follows/1"), BOB, ANA)
    boost = writer.announce(boost_iri, ANA, other, to=[PUBLIC], cc=[FOLLOWERS, BOB], published=Millis(NOW - 1000))
    yield boost, ANA, Boost(boost_iri, other, Visibility.PUBLIC, Millis(NOW - 1000), (PUBLIC,), (FOLLOWERS, BOB))
    yield writer.undo(iri("undos"), boost), ANA, Undo(boost_iri, "Announce", other)
    like = writer.like(iri("likes"), ANA, other, author=BOB)
    yield like, ANA, Favourite(iri("likes"), other)
    yield writer.undo(iri("undos"), like), ANA, Undo(iri("likes"), "Like", other)
    follow = writer.follow(iri("follows"), ANA, BOB)
    yield follow, ANA, RequestFollow(iri("follows"), BOB)
    yield writer.undo(iri("undos"), follow), ANA, Undo(iri("follows"), "Follow", BOB)
    block = writer.block(iri("blocks"), ANA, BOB)
    yield block, ANA, BlockActor(iri("blocks"), BOB)
    yield writer.undo(iri("undos"), block), ANA, Undo(iri("blocks"), "Block", BOB)
    yield writer.accept(iri("accepts"), ANA, peer_follow), ANA, AnswerFollow(True, Iri(BOB + "/follows/1"), BOB, ANA)
    yield writer.reject(iri("rejects"), ANA, peer_follow), ANA, AnswerFollow(False, Iri(BOB + "/follows/1"), BOB, ANA)
    yield writer.delete(iri("deletes"), ANA, mine, to=[PUBLIC], deleted=NOW), ANA, RemovePost(mine)
    yield writer.delete_actor(iri("deletes"), ANA, to=[PUBLIC]), ANA, RemoveActor()
    yield writer.add(iri("adds"), ANA, mine, target=featured, to=[FOLLOWERS]), ANA, Pin(mine, featured, True)
    yield writer.remove(iri("removes"), ANA, mine, target=featured, to=[FOLLOWERS]), ANA, Pin(mine, featured, False)
    yield writer.move(iri("moves"), ANA, BOB, to=[FOLLOWERS]), ANA, MoveActor(BOB)
    flag_iri = CLINIC.activity("", "flags", number)
    flag = writer.flag(flag_iri, [other], "bad", target=BOB, names=CLINIC)
    yield flag, CLINIC.instance_actor(), ReportContent(flag_iri, (BOB, other), "bad")
    vote_iri = iri("votes")
    vote = writer.vote(vote_iri, ANA, question=other, option="Yes & <no>", author=BOB, published=NOW)
    yield vote, ANA, CastVote(vote_iri, other, "Yes & <no>")
    yield writer.create(note), ANA, None
    yield writer.update(iri("updates"), note), ANA, None
    yield writer.actor_document(local_actor(), KEYS, names=CLINIC), ANA, None
    yield writer.instance_actor_document(KEYS[:1], names=CLINIC), ANA, None
    yield note, ANA, None
    yield writer.tombstone(mine, deleted=NOW), ANA, None
    outbox = CLINIC.outbox("ana")
    yield writer.collection(outbox, total=3, first=outbox + "?page=true"), ANA, None
    page = writer.collection_page(
        outbox + "?page=true", part_of=outbox, items=[writer.embedded(note)], following=outbox + "?max_id=1"
    )
    yield page, ANA, None
    yield writer.partial_followers(FOLLOWERS + "_synchronization", [BOB]), ANA, None


@pytest.mark.spec("R16", "R18", "R47", "R82", "R85", "R91", "R105", "R107", "R113")
def test_every_activity_is_understood_as_it_was_meant() -> None:
    for document, signer, meant in every_document():
        if meant is not None:
            assert understood(document, signer=signer) == meant
    create, update = writer.create(note_of()), writer.update(CLINIC.activity("ana", "updates", Id(1)), note_of())
    created, updated = understood(create), understood(update)
    assert isinstance(created, ReceivePost)
    assert isinstance(updated, EditPost)
    assert created.post == updated.post
    assert create["id"] == CLINIC.post_activity("ana", Id(42))


def nodes(value: object) -> Iterator[dict[str, Any]]:
    """Every object in a document."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nodes(inner)


@pytest.mark.spec("R10", "R11", "R21", "R22", "R42")
def test_every_document_has_ids_contexts_and_lists() -> None:
    for document, _, _ in every_document():
        arrived = sent(document)
        contexts = arrived.pop("@context")
        assert contexts[0] == "https://www.w3.org/ns/activitystreams"
        assert ("https://w3id.org/security/v1" in contexts) or "publicKey" not in json.dumps(arrived)
        for node in nodes(arrived):
            assert "@context" not in node
            assert not {"bto", "bcc"} & set(node)
            for field in ("to", "cc", "tag", "orderedItems", "items"):
                assert isinstance(node.get(field, []), list)
            assert not {"Public", "as:Public"} & set(node.get("to", []) + node.get("cc", []))
        own = arrived["id"]
        assert own.startswith("https://clinic.example/")
        if arrived["type"] not in ("OrderedCollection", "OrderedCollectionPage"):
            assert CLINIC.parse(own) is not None


@pytest.mark.spec("R16")
def test_accept_embeds_the_whole_follow() -> None:
    follow = writer.incoming_follow(Iri(BOB + "/follows/1"), BOB, ANA)
    accept = writer.accept(CLINIC.activity("ana", "accepts", Id(1)), ANA, follow)
    assert accept["object"] == {"id": BOB + "/follows/1", "type": "Follow", "actor": BOB, "object": ANA}
    assert accept["to"] == [BOB]


@pytest.mark.spec("R47")
def test_a_report_names_nobody_here() -> None:
    flag = writer.flag(CLINIC.activity("", "flags", Id(1)), [], "spam", target=BOB, names=CLINIC)
    assert flag["actor"] == CLINIC.instance_actor()
    assert "/users/" not in json.dumps(flag).replace(BOB, "")


@pytest.mark.spec("R69", "R71", "R79", "R92", "R93")
def test_a_note_as_peers_look_at_it() -> None:
    mention = Mention(Id(5), CLINIC.actor("kim"), Handle("kim"), CLINIC.profile_page("kim"))
    hidden = replace(mention, iri=BOB, silent=True)
    content = Content("<p>x</p>", "x", mentions=(mention, hidden), hashtags=("röntgen",))
    post = local_post(content=content, replies_count=2, favourites_count=3, boosts_count=4, context_iri=Iri(ANA + "/c"))
    note: Any = writer.note(post, local_actor(), names=CLINIC, to=[PUBLIC], cc=[])
    assert note["tag"] == [
        {"type": "Mention", "href": CLINIC.actor("kim"), "name": "@kim@clinic.example"},
        {"type": "Hashtag", "href": "https://clinic.example/tags/r%C3%B6ntgen", "name": "#röntgen"},
    ]
    assert note["source"] == {"content": "x", "mediaType": "text/plain"}
    assert note["conversation"] == note["context"] == ANA + "/c"
    assert [(note[each]["id"], note[each]["totalItems"]) for each in ("replies", "likes", "shares")] == [
        (CLINIC.replies("ana", Id(42)), 2),
        (CLINIC.likes("ana", Id(42)), 3),
        (CLINIC.shares("ana", Id(42)), 4),
    ]
    told: Any = writer.note(post, local_actor(), names=CLINIC, to=[], cc=[], replies=0, likes=0, shares=1)
    assert [told[each]["totalItems"] for each in ("replies", "likes", "shares")] == [0, 0, 1]


@pytest.mark.spec("R88")
def test_hidden_totals_stay_hidden_until_the_end() -> None:
    poll = Poll((PollOption("a", 5), PollOption("b", 2)), ends_at=NOW, voters=7, hide_totals=True)
    note: Any = note_of(content=Content("x", poll=poll), kind=PostKind.QUESTION)
    assert [each["replies"]["totalItems"] for each in note["oneOf"]] == [0, 0]
    ended: Any = note_of(content=Content("x", poll=replace(poll, closed_at=NOW)), kind=PostKind.QUESTION)
    assert [each["replies"]["totalItems"] for each in ended["oneOf"]] == [5, 2]
    assert "closed" in ended
    assert "closed" not in note


@pytest.mark.spec("R83")
def test_a_tombstone_says_id_type_and_when() -> None:
    mine = CLINIC.post("ana", Id(42))
    stone = writer.tombstone(mine, deleted=Millis(1_782_900_000_000))
    assert writer.embedded(stone) == {"id": mine, "type": "Tombstone", "deleted": "2026-07-01T10:00:00.000Z"}


@pytest.mark.spec("R114", "R115", "R119")
def test_collections_read_back() -> None:
    outbox = CLINIC.outbox("ana")
    first = reader.collection_page(sent(writer.collection(outbox, total=3, first=outbox + "?page=true")))
    assert (first.total, first.next, first.items) == (3, outbox + "?page=true", ())
    hidden = writer.collection(FOLLOWERS, total=3)
    assert "first" not in hidden
    assert reader.collection_page(sent(hidden)).next is None
    document = writer.collection_page(
        outbox + "?page=true", part_of=outbox, items=[ANA], following=outbox + "?2", previous=outbox + "?0", total=3
    )
    page = reader.collection_page(sent(document))
    assert (page.iris(), page.next, page.total) == ((ANA,), outbox + "?2", 3)
    assert (document["partOf"], document["prev"]) == (outbox, outbox + "?0")
    partial = reader.collection_page(sent(writer.partial_followers(FOLLOWERS, [BOB, ANA])))
    assert partial.iris() == (ANA, BOB)
