"""Reading activities: what each one asks, and that nobody is believed beyond their authority."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedishare.activitypub import reader
from fedishare.activitypub.jsonld import normalise
from fedishare.model.activities import (
    AnswerFollow,
    BlockActor,
    Boost,
    CastVote,
    EditActor,
    EditPost,
    Favourite,
    FetchPost,
    Ignore,
    MoveActor,
    Pin,
    ReceivePost,
    RelayedActivity,
    RemoveActor,
    RemovePost,
    ReportContent,
    RequestFollow,
    Undo,
)
from fedishare.model.errors import BadDocument
from fedishare.model.ids import Id, Iri
from fedishare.model.posts import Visibility
from tests.unit.documents import ANA, BOB, CLINIC, NOW, PUBLIC, activity, actor, note, read

EVE = Iri("https://lab.example/users/eve")
NOTE = "https://lab.example/users/bob/statuses/1"
OURS = CLINIC.post("ana", Id(42))
FOLLOW = CLINIC.activity("ana", "follows", Id(7))


def refused(document: dict[str, Any], signer: Iri = BOB) -> str:
    """The reason why reading fails."""
    with pytest.raises(BadDocument) as found:
        read(document, signer)
    return found.value.message


@pytest.mark.spec("R5")
def test_the_signer_is_the_actor() -> None:
    document = activity("Follow", ANA)
    assert read(document) == RequestFollow(Iri("https://lab.example/users/bob/follow/1"), ANA)
    assert "not who signed" in refused(document, EVE)
    assert "not who signed" in refused(activity("Follow", ANA, actor=ANA, id=None), ANA)
    assert "'actor'" in refused(activity("Follow", ANA, actor=None))


@pytest.mark.spec("R32", "R10")
def test_ids_live_on_their_owners_origin() -> None:
    for iri in ("https://evil.example/1", "https://clinic.example/users/ana/follows/1", "https://lab.example:444/1"):
        assert "origin" in refused(activity("Follow", ANA, id=iri))
    assert "https URL" in refused(activity("Follow", ANA, id="tag:lab.example,2026:1"))
    assert read(activity("Follow", ANA, id=None)) == RequestFollow(None, ANA)
    assert isinstance(read(activity("Follow", ANA, id="https://LAB.example/1")), RequestFollow)


@pytest.mark.spec("R32", "R35")
def test_create_is_believed_only_from_the_author_on_its_own_origin() -> None:
    assert isinstance(read(activity("Create", note())), ReceivePost)
    assert read(activity("Create", NOTE)) == FetchPost(Iri(NOTE))
    assert read(activity("Create", note(attributedTo=EVE))) == FetchPost(Iri(NOTE))
    assert read(activity("Create", note(attributedTo=None))) == FetchPost(Iri(NOTE))
    elsewhere = Iri("https://third.example/notes/1")
    assert read(activity("Create", note(id=elsewhere))) == FetchPost(elsewhere)
    assert "our own origin" in refused(activity("Create", note(id=OURS)))
    assert "our own origin" in refused(activity("Create", OURS))
    assert "https URL" in refused(activity("Create", note(id=None)))


@pytest.mark.spec("R80", "R103", "R35")
def test_update_tells_actors_from_posts() -> None:
    edit = read(activity("Update", note(updated="2026-07-02T10:00:00Z")))
    assert isinstance(edit, EditPost)
    assert edit.post.updated == edit.post.published + 86_400_000
    assert read(activity("Update", note(attributedTo=EVE))) == FetchPost(Iri(NOTE))
    changed = read(activity("Update", actor(name="Bob")))
    assert isinstance(changed, EditActor)
    assert changed.actor.profile.display_name == "Bob"
    assert "by itself" in refused(activity("Update", actor(id=EVE)))
    assert isinstance(read(activity("Update", BOB)), Ignore)


@pytest.mark.spec("R82", "R85", "R35")
@pytest.mark.parametrize("inner", [NOTE, {"id": NOTE, "type": "Tombstone"}, note(), [NOTE], {"id": NOTE}])
def test_delete_in_every_form(inner: object) -> None:
    assert read(activity("Delete", inner)) == RemovePost(Iri(NOTE))


@pytest.mark.spec("R82", "R85", "R35")
def test_delete_reaches_only_what_is_the_actors() -> None:
    assert read(activity("Delete", BOB)) == RemoveActor()
    assert read(activity("Delete", actor())) == RemoveActor()
    assert "own origin" in refused(activity("Delete", "https://third.example/notes/1"))
    assert "own origin" in refused(activity("Delete", OURS))
    assert "author" in refused(activity("Delete", note(attributedTo=EVE)))


@pytest.mark.spec("R17")
def test_accept_and_reject_in_every_form() -> None:
    follow = {"id": FOLLOW, "type": "Follow", "actor": ANA, "object": BOB}
    assert read(activity("Accept", FOLLOW)) == AnswerFollow(True, FOLLOW, None, BOB)
    assert read(activity("Reject", follow)) == AnswerFollow(False, FOLLOW, ANA, BOB)
    # A peer that invents the inner id, leaves it out, or names the follower only: the pair tells.
    for changed in ({"id": "https://lab.example/f/1"}, {"id": None}):
        assert read(activity("Accept", follow | changed)) == AnswerFollow(True, None, ANA, BOB)
    assert read(activity("Accept", ANA)) == AnswerFollow(True, None, ANA, BOB)
    assert "followed actor only" in refused(activity("Accept", follow | {"object": EVE}))
    assert isinstance(read(activity("Accept", {"id": FOLLOW, "type": "Invite"})), Ignore)
    assert isinstance(read(activity("Accept", "https://lab.example/f/1")), Ignore)


@pytest.mark.spec("R18")
def test_undo_embedded_or_bare() -> None:
    like = activity("Like", OURS)
    iri = Iri(like["id"])
    assert read(activity("Undo", like)) == Undo(iri, "Like", OURS)
    assert read(activity("Undo", iri)) == Undo(iri, None, None)
    assert read(activity("Undo", activity("Follow", ANA, id=None))) == Undo(None, "Follow", ANA)
    assert "own activities" in refused(activity("Undo", activity("Like", OURS, actor=EVE)))
    assert "own activities" in refused(activity("Undo", "https://third.example/likes/1"))
    assert "own activities" in refused(activity("Undo", FOLLOW))
    assert "neither" in refused(activity("Undo", {"type": "Like", "actor": BOB}))


@pytest.mark.spec("R90")
def test_reactions_are_likes() -> None:
    for document in (
        activity("Like", OURS),
        activity("Like", {"id": OURS}, content=":blob:", _misskey_reaction=":blob:"),
        activity("EmojiReact", [OURS], content="🐱", id="https://lab.example/users/bob/like/1"),
    ):
        assert read(document) == Favourite(Iri("https://lab.example/users/bob/like/1"), OURS)


@pytest.mark.spec("R86", "R20")
def test_announce_names_a_post_and_never_brings_it() -> None:
    boost = read(activity("Announce", "https://third.example/notes/1", published="2026-07-01T10:00:00Z"))
    assert isinstance(boost, Boost)
    assert (boost.object, boost.visibility) == ("https://third.example/notes/1", Visibility.PUBLIC)
    embedded = read(activity("Announce", note(content="<p>forged</p>"), to=[BOB + "/followers"]))
    assert isinstance(embedded, Boost)
    assert (embedded.object, embedded.visibility) == (NOTE, Visibility.PRIVATE)
    assert "'id'" in refused(activity("Announce", NOTE, id=None))


@pytest.mark.spec("R112")
def test_an_announced_activity_is_unwrapped_later() -> None:
    inner = activity("Create", note(id="https://third.example/notes/1"), id="https://third.example/1", actor=EVE)
    found = read(activity("Announce", inner))
    assert isinstance(found, RelayedActivity)
    assert found.iri == "https://third.example/1"
    assert json.loads(found.document) == inner
    assert "https URL" in refused(activity("Announce", {"type": "Create", "object": note()}))


@pytest.mark.spec("R46", "R47", "R105", "R107")
def test_block_flag_move_and_pins() -> None:
    assert read(activity("Block", ANA)) == BlockActor(Iri("https://lab.example/users/bob/block/1"), ANA)
    flag = read(activity("Flag", [ANA, OURS, ANA, 3], content="<p>spam &amp; worse</p>"))
    assert flag == ReportContent(Iri("https://lab.example/users/bob/flag/1"), (ANA, OURS), "spam & worse")
    assert "names what" in refused(activity("Flag", []))
    target = "https://new.example/users/bob"
    assert read(activity("Move", BOB, target=target)) == MoveActor(Iri(target))
    assert "itself only" in refused(activity("Move", EVE, target=target))
    assert "'target'" in refused(activity("Move", BOB))
    featured = Iri(BOB + "/collections/featured")
    assert read(activity("Add", NOTE, target=featured)) == Pin(Iri(NOTE), featured, True)
    assert read(activity("Remove", note(), target=featured)) == Pin(Iri(NOTE), featured, False)
    assert isinstance(read(activity("Add", NOTE, target="https://third.example/featured")), Ignore)
    assert isinstance(read(activity("Add", OURS, target=featured)), Ignore)
    assert isinstance(read(activity("Add", {"type": "Hashtag", "name": "#x"}, target=featured)), Ignore)


@pytest.mark.spec("R89")
def test_a_vote_is_a_nameless_note_with_a_name() -> None:
    question = CLINIC.post("ana", Id(9))
    vote = note(content=None, name="Yes & no", inReplyTo=question, to=ANA)
    assert read(activity("Create", vote)) == CastVote(Iri(NOTE), question, "Yes & no")
    assert isinstance(read(activity("Create", vote | {"content": "x"})), ReceivePost)
    assert isinstance(read(activity("Create", note(content=None, name="Yes"))), ReceivePost)
    assert read(activity("Create", vote | {"attributedTo": EVE})) == FetchPost(Iri(NOTE))


@pytest.mark.spec("R125")
def test_the_unknown_is_ignored_and_the_known_type_decides() -> None:
    for document in (
        activity("Travel", ANA),
        activity("View", NOTE),
        activity("Create", note(type="ChatMessage")),
        activity("Update", {"id": NOTE, "type": ["Thing"]}),
        activity("Undo", {"type": "Listen"}),
        activity("Create", note(), type=None),
    ):
        assert isinstance(read(document), Ignore)
    many = activity("Create", note(type=["ext:Recipe", "Article"]), type=["ext:Publish", "Create"])
    assert isinstance(reader.intent(many, signer=BOB, names=CLINIC, now=NOW), ReceivePost)


@pytest.mark.spec("R22")
def test_one_object_is_one_object() -> None:
    assert read(activity("Follow", [{"id": ANA}])) == read(activity("Follow", ANA))
    assert read(activity("Follow", ANA, actor=[{"id": BOB, "type": "Person"}])) == read(activity("Follow", ANA))
    assert "exactly one" in refused(activity("Delete", [NOTE, NOTE + "2"]))
    assert "exactly one" in refused(activity("Like", []))
    assert "'object'" in refused(activity("Like", None))


@pytest.mark.spec("R20")
def test_the_envelope_says_what_the_post_will_be() -> None:
    document = activity("Create", note(to=[ANA], cc=None), cc=[BOB + "/followers"])
    seen = reader.envelope(normalise(document))
    assert seen.visibility is Visibility.DIRECT
    assert (seen.actor, seen.type, seen.object_type, seen.object_iri, seen.object_owner) == (
        BOB,
        "Create",
        "Note",
        NOTE,
        BOB,
    )
    # A post that says nothing is addressed by the activity around it.
    silent = reader.envelope(normalise(activity("Create", note(to=None, cc=None), to=["as:Public"], cc=ANA)))
    assert (silent.visibility, silent.to, silent.cc) == (Visibility.PUBLIC, (PUBLIC,), (ANA,))
    assert reader.envelope(activity("Follow", ANA, to=None)).visibility is Visibility.DIRECT
    with pytest.raises(BadDocument):
        reader.envelope(activity("Create", note(), type=None))


def test_the_envelope_tells_policy_about_media() -> None:
    picture = {"type": "Document", "mediaType": "image/png", "url": "https://lab.example/1.png"}
    assert reader.envelope(activity("Create", note(attachment=picture))).has_media
    assert reader.envelope(activity("Create", note(type="Video"))).has_media
    assert not reader.envelope(activity("Create", note())).has_media
    assert not reader.envelope(activity("Update", actor(attachment=[{"type": "PropertyValue"}]))).has_media


def test_plain_http_counts_in_development_only() -> None:
    document = json.loads(json.dumps(activity("Follow", ANA)).replace("https://lab", "http://lab"))
    signer = Iri("http://lab.example/users/bob")
    with pytest.raises(BadDocument):
        reader.intent(document, signer=signer, names=CLINIC, now=NOW)
    assert isinstance(reader.intent(document, signer=signer, names=CLINIC, now=NOW, development=True), RequestFollow)


@pytest.mark.spec("R60")
def test_the_owner_of_a_key_from_each_form_of_document() -> None:
    key_id = BOB + "/main-key"
    key = {"id": key_id, "owner": BOB, "publicKeyPem": "…"}
    good: list[dict[str, Any]] = [key, {"id": BOB, "publicKey": key}, {"id": BOB, "publicKey": [key]}]
    for document in good:
        assert reader.key_owner(document, key_id=key_id) == BOB
    assert reader.key_owner({"id": key_id, "controller": BOB}, key_id=key_id) == BOB
    bad: list[dict[str, Any]] = [key | {"owner": "https://third.example/x"}, {}, {"id": BOB}, {"publicKey": 3}]
    for document in bad:
        with pytest.raises(BadDocument):
            reader.key_owner(document, key_id=key_id)


@pytest.mark.spec("R116")
def test_collections_in_every_form() -> None:
    base = {"type": "OrderedCollection", "id": BOB + "/outbox", "totalItems": 3}
    page = {"type": "OrderedCollectionPage", "id": BOB + "/outbox?page=1", "next": BOB + "/outbox?page=2"}
    whole = reader.collection_page(base | {"orderedItems": [NOTE, {"id": NOTE + "2", "type": "Note"}, 3, {}]})
    assert whole.iris() == (NOTE, NOTE + "2")
    assert (whole.total, whole.next) == (3, None)
    assert reader.collection_page(base | {"type": "Collection", "items": NOTE}).iris() == (NOTE,)
    linked = reader.collection_page(base | {"first": BOB + "/outbox?page=1"})
    assert (linked.items, linked.next) == ((), BOB + "/outbox?page=1")
    embedded = reader.collection_page(base | {"first": page | {"orderedItems": [NOTE]}})
    assert (embedded.iris(), embedded.next) == ((NOTE,), BOB + "/outbox?page=2")
    assert reader.collection_page(page | {"orderedItems": [NOTE]}).next == BOB + "/outbox?page=2"
    assert reader.collection_page(page | {"next": page["id"]}).next is None
    empty = reader.collection_page({"type": ["Collection"], "totalItems": -1})
    assert (empty.items, empty.next, empty.total) == ((), None, None)
    with pytest.raises(BadDocument):
        reader.collection_page(note())


KEYS = st.sampled_from(
    [
        "@context",
        "id",
        "type",
        "actor",
        "object",
        "attributedTo",
        "to",
        "cc",
        "content",
        "contentMap",
        "summary",
        "name",
        "url",
        "tag",
        "attachment",
        "href",
        "icon",
        "inReplyTo",
        "published",
        "updated",
        "oneOf",
        "anyOf",
        "endTime",
        "closed",
        "votersCount",
        "replies",
        "totalItems",
        "target",
        "mediaType",
        "width",
        "focalPoint",
        "blurhash",
        "publicKey",
        "owner",
        "publicKeyPem",
        "assertionMethod",
        "publicKeyMultibase",
        "controller",
        "inbox",
        "endpoints",
        "sharedInbox",
        "followers",
        "preferredUsername",
        "alsoKnownAs",
        "first",
        "next",
        "items",
        "orderedItems",
        "language",
        "identifier",
        "x",
    ]
)
WORDS = st.sampled_from(
    (
        "Create Update Delete Undo Accept Follow Announce Like Flag Add Move Note Question Video Article Person Group "
        "Mention Hashtag Emoji Document Link PropertyValue Multikey Collection as:Public video/mp4 text/html https:// "
        "2026-07-01T10:00:00Z :cat: #Tag @bob bob <p>x</p> < http://[ z6Mk en \ud800 \x00 "
        f"{BOB} {BOB}/followers {BOB}#main-key {ANA} {EVE} {NOTE} {OURS} {FOLLOW} {PUBLIC}"
    ).split(" ")
)
LEAVES = st.one_of(
    WORDS, st.text(max_size=12), st.none(), st.booleans(), st.integers(), st.floats(), st.just(10**400), st.just(-1)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=8)),
    max_leaves=25,
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, max_size=14)


@settings(deadline=None, max_examples=300)
@given(DOCUMENTS, st.sampled_from(sorted(reader.ACTIVITY_TYPES)), st.booleans())
def test_no_document_makes_reading_fail_otherwise_than_as_documented(
    fields: dict[str, Any], kind: str, valid: bool
) -> None:
    base = {"type": kind, "actor": BOB, "id": NOTE} if valid else {}
    for document in (fields, fields | base, base | {"object": actor() | fields}, base | {"object": note() | fields}):
        for attempt in (
            lambda document: reader.intent(document, signer=BOB, names=CLINIC, now=NOW),
            lambda document: reader.envelope(document),
            lambda document: reader.actor(document, names=CLINIC, now=NOW),
            lambda document: reader.post(document, names=CLINIC, now=NOW),
            lambda document: reader.key_owner(document, key_id=BOB + "#main-key"),
            lambda document: reader.collection_page(document),
        ):
            try:
                attempt(document)
            except BadDocument as error:
                assert len(error.message) < 400


@settings(deadline=None, max_examples=150)
@given(DOCUMENTS, DOCUMENTS)
def test_policy_and_effect_see_the_same_post(fields: dict[str, Any], around: dict[str, Any]) -> None:
    document = {**around, "type": "Create", "actor": BOB, "id": BOB + "/1", "object": {**note(), **fields}}
    try:
        asked = reader.intent(document, signer=BOB, names=CLINIC, now=NOW)
        seen = reader.envelope(document)
    except BadDocument:
        return
    if isinstance(asked, ReceivePost):
        post = asked.post
        assert (seen.object_iri, seen.object_owner or BOB) == (post.iri, BOB)
        assert (seen.visibility, seen.to, seen.cc) == (post.visibility, post.to, post.cc)
        assert seen.object_type == post.kind.value
        assert seen.has_media or not post.content.attachments
        assert not CLINIC.is_ours(post.iri)
        assert post.published <= NOW
