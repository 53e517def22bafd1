"""Addressing and names: visibility never widens, inboxes are shared once, our IRIs read back as they were built."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedishare.activitypub.addressing import (
    PUBLIC,
    addressing_of,
    collapse_inboxes,
    followers_digest,
    visibility_of,
)
from fedishare.model.ids import Domain, Handle, Id, Iri
from fedishare.model.names import VERBS, LocalRef, Names, RefKind
from fedishare.model.posts import Mention, Visibility
from tests.unit.documents import BOB, CLINIC, LAB, local_actor, local_post

FOLLOWERS = CLINIC.followers("ana")
SOMEBODY = "https://lab.example/users/bob"


@pytest.mark.spec("R20", "R21")
@pytest.mark.parametrize("public", [PUBLIC, "as:Public", "Public"])
def test_visibility_is_read_from_to_and_cc(public: str) -> None:
    assert visibility_of([public], []) is Visibility.PUBLIC
    assert visibility_of([FOLLOWERS], [SOMEBODY, public]) is Visibility.UNLISTED
    assert visibility_of([FOLLOWERS], [SOMEBODY]) is Visibility.PRIVATE
    assert visibility_of([SOMEBODY], [FOLLOWERS]) is Visibility.PRIVATE
    assert visibility_of([SOMEBODY], []) is Visibility.DIRECT


@pytest.mark.spec("R20")
def test_the_unknown_is_never_wider_than_direct() -> None:
    odd = ["https://lab.example/ap/f/1", "https://www.w3.org/ns/activitystreams#public", "as:public", ""]
    assert visibility_of(odd, odd) is Visibility.DIRECT
    assert visibility_of([], []) is Visibility.DIRECT
    assert visibility_of(odd, [], followers=odd[0]) is Visibility.PRIVATE


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from([PUBLIC, FOLLOWERS, SOMEBODY, "x"]), max_size=3),
    st.lists(st.sampled_from([PUBLIC, FOLLOWERS, SOMEBODY, "x"]), max_size=3),
)
def test_removing_addresses_never_widens(to: list[str], cc: list[str]) -> None:
    whole = visibility_of(to, cc)
    for index in range(len(to)):
        assert visibility_of(to[:index] + to[index + 1 :], cc) >= whole
    for index in range(len(cc)):
        assert visibility_of(to, cc[:index] + cc[index + 1 :]) >= whole


@pytest.mark.spec("R20", "R21")
@pytest.mark.parametrize("visibility", list(Visibility))
def test_what_we_write_reads_as_what_we_meant(visibility: Visibility) -> None:
    author = local_actor()
    mention = Mention(Id(7), BOB, Handle("bob", Domain("lab.example")), BOB)
    post = local_post(visibility=visibility)
    to, cc = addressing_of(post, author, [mention, mention], public_addressing=True)
    assert visibility_of(to, cc) is visibility
    assert (*to, *cc).count(BOB) == 1
    # Without public addressing nothing says Public, and nothing is wider than it was.
    to, cc = addressing_of(post, author, [mention], public_addressing=False)
    assert PUBLIC not in (*to, *cc)
    assert visibility_of(to, cc) is max(visibility, Visibility.PRIVATE)
    assert BOB in (*to, *cc)
    assert (FOLLOWERS in (*to, *cc)) == (visibility is not Visibility.DIRECT)


@pytest.mark.spec("R117", "R44")
def test_one_shared_inbox_a_host_and_personal_ones_for_direct_posts() -> None:
    shared = Iri("https://lab.example/inbox")
    lab, small = Domain("lab.example"), Domain("small.example")
    bob, eve, kim = (Iri(f"https://{host}/users/{name}") for host, name in ((lab, "bob"), (lab, "eve"), (small, "kim")))
    recipients = [
        (bob, lab, Iri(bob + "/inbox"), shared),
        (kim, small, Iri(kim + "/inbox"), None),
        (eve, lab, Iri(eve + "/inbox"), shared),
        (bob, lab, Iri(bob + "/inbox"), shared),
    ]
    assert collapse_inboxes(recipients, direct=False) == [
        (lab, shared, (bob, eve)),
        (small, Iri(kim + "/inbox"), (kim,)),
    ]
    assert [inbox for _, inbox, _ in collapse_inboxes(recipients, direct=True)] == [
        bob + "/inbox",
        kim + "/inbox",
        eve + "/inbox",
    ]


@pytest.mark.spec("R119")
def test_the_followers_digest_is_the_xor_of_hashes() -> None:
    one, two = "https://lab.example/users/bob", "https://lab.example/users/eve"
    hashes = [int(sha256(each.encode()).hexdigest(), 16) for each in (one, two)]
    assert followers_digest([one, two]) == followers_digest([two, one]) == f"{hashes[0] ^ hashes[1]:064x}"
    assert followers_digest([]) == "0" * 64


def _all_names(names: Names) -> dict[str, LocalRef]:
    number = Id(2**62)
    found = {
        names.shared_inbox(): LocalRef(RefKind.SHARED_INBOX),
        names.instance_actor(): LocalRef(RefKind.INSTANCE_ACTOR),
        names.instance_inbox(): LocalRef(RefKind.INSTANCE_INBOX),
        names.instance_outbox(): LocalRef(RefKind.INSTANCE_OUTBOX),
        names.instance_key(): LocalRef(RefKind.INSTANCE_KEY),
        names.actor("ana"): LocalRef(RefKind.ACTOR, "ana"),
        names.main_key("ana"): LocalRef(RefKind.MAIN_KEY, "ana"),
        names.ed25519_key("ana"): LocalRef(RefKind.ED25519_KEY, "ana"),
        names.inbox("ana"): LocalRef(RefKind.INBOX, "ana"),
        names.outbox("ana"): LocalRef(RefKind.OUTBOX, "ana"),
        names.followers("ana"): LocalRef(RefKind.FOLLOWERS, "ana"),
        names.following("ana"): LocalRef(RefKind.FOLLOWING, "ana"),
        names.liked("ana"): LocalRef(RefKind.LIKED, "ana"),
        names.featured("ana"): LocalRef(RefKind.FEATURED, "ana"),
        names.featured_tags("ana"): LocalRef(RefKind.FEATURED_TAGS, "ana"),
        names.post("ana", number): LocalRef(RefKind.POST, "ana", number),
        names.post_activity("ana", number): LocalRef(RefKind.POST_ACTIVITY, "ana", number),
        names.replies("ana", number): LocalRef(RefKind.POST_REPLIES, "ana", number),
        names.likes("ana", number): LocalRef(RefKind.POST_LIKES, "ana", number),
        names.shares("ana", number): LocalRef(RefKind.POST_SHARES, "ana", number),
        names.profile_page("ana"): LocalRef(RefKind.PROFILE_PAGE, "ana"),
        names.post_page("ana", number): LocalRef(RefKind.POST_PAGE, "ana", number),
        names.tag("radiology"): LocalRef(RefKind.TAG, "radiology"),
        names.emoji("blob_cat"): LocalRef(RefKind.EMOJI, "blob_cat"),
        names.activity("ana", "votes", number) + "/activity": LocalRef(RefKind.VOTE_ACTIVITY, "ana", number),
        names.activity("", "flags", number): LocalRef(RefKind.FLAGS, "", number),
    }
    for verb in ("follows", "likes", "accepts", "rejects", "blocks", "updates", "deletes"):
        found[names.activity("ana", verb, number)] = LocalRef(RefKind(verb), "ana", number)
    return found


@pytest.mark.spec("R10")
def test_every_name_reads_back_as_it_was_built() -> None:
    for names in (CLINIC, Names("http://clinic.localhost:8001", Domain("clinic.localhost:8001"))):
        built = _all_names(names)
        assert {iri: names.parse(iri) for iri in built} == built
        assert all(iri.startswith(names.origin + "/") and names.is_ours(iri) for iri in built)
        assert not any(LAB.parse(iri) or LAB.is_ours(iri) for iri in built)
    assert {RefKind(verb).value for verb in VERBS} == VERBS


@pytest.mark.parametrize(
    "iri",
    [
        "https://clinic.example",
        "https://clinic.example/",
        "https://clinic.example/users/",
        "https://clinic.example/users/ana/",
        "https://clinic.example/users/ana?page=1",
        "https://clinic.example/users/ana#other-key",
        "https://clinic.example/users/an%61",
        "https://clinic.example/users/ana/statuses/0",
        "https://clinic.example/users/ana/statuses/01",
        "https://clinic.example/users/ana/statuses/١",
        "https://clinic.example/users/ana/statuses/9223372036854775808",
        "https://clinic.example/users/ana/statuses/1/activity/x",
        "https://clinic.example/users/../actor",
        "https://clinic.example//users/ana",
        "HTTPS://clinic.example/users/ana",
        "https://CLINIC.example/users/ana",
        "https://clinic.example:443/users/ana",
        "https://clinic.example.lab.example/users/ana",
        "https://clinic.example@lab.example/users/ana",
    ],
)
def test_other_spellings_name_nothing(iri: str) -> None:
    assert CLINIC.parse(iri) is None


@pytest.mark.parametrize(
    ("iri", "ours"),
    [
        ("https://CLINIC.example/users/eve", True),
        ("https://clinic.example:443/users/eve", True),
        ("https://clinic.example./users/eve", True),
        ("https://x@clinic.example/users/eve", True),
        ("https://clinic.example", True),
        ("https://clinic.example?x", True),
        ("https://clinic.example.evil.example/users/eve", False),
        ("https://clinic.example@evil.example/users/eve", False),
        ("https://clinic.example:444/users/eve", False),
        ("https://evil.example/https://clinic.example/", False),
    ],
)
def test_no_spelling_of_our_origin_passes_for_a_peers(iri: str, ours: bool) -> None:
    assert CLINIC.is_ours(iri) is ours


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=60))
def test_reading_names_never_fails(path: str) -> None:
    ref = CLINIC.parse(f"{CLINIC.origin}/{path}")
    assert ref is None or isinstance(ref, LocalRef)
    CLINIC.is_ours(path)
