"""Reading actors: what an actor may say about itself, and what it may not borrow from others."""

from __future__ import annotations

from typing import Any

import pytest

from fedishare.activitypub import reader
from fedishare.activitypub.jsonld import normalise
from fedishare.activitypub.keys import generate_ed25519, generate_rsa
from fedishare.model.activities import RemoteActor
from fedishare.model.errors import BadDocument
from fedishare.model.ids import Domain, Iri
from fedishare.model.names import Names
from tests.unit.documents import BOB, CLINIC, NOW, actor

PEM = generate_rsa().public().pem()
MULTIBASE = generate_ed25519().public().multibase()
KEY = {"id": BOB + "#main-key", "owner": BOB, "publicKeyPem": PEM}
MULTIKEY = {"id": BOB + "#ed", "type": "Multikey", "controller": BOB, "publicKeyMultibase": MULTIBASE}


def read(**fields: Any) -> RemoteActor:
    """Bob with these fields."""
    return reader.actor(normalise(actor(**fields)), names=CLINIC, now=NOW)


@pytest.mark.spec("R103", "R104", "R109")
def test_an_actor_with_everything() -> None:
    found = read(
        name="Bob <b>B</b>",
        summary='<p onclick="x">hi</p>',
        url=[{"type": "Link", "mediaType": "text/html", "href": "https://lab.example/@bob"}],
        icon={"type": "Image", "mediaType": "image/png", "url": "https://lab.example/b.png", "name": "me"},
        image=["https://lab.example/h.png"],
        manuallyApprovesFollowers=True,
        discoverable=True,
        memorial=True,
        published="2026-07-01T00:00:00Z",
        alsoKnownAs="https://old.example/users/bob",
        movedTo={"id": "https://new.example/users/bob"},
        featured=BOB + "/collections/featured",
        webfinger="acct:bob@example.org",
        attachment={"type": "PropertyValue", "name": "Site", "value": '<a href="https://x.example" rel="me">x</a>'},
        tag=[{"type": "Emoji", "name": ":b:", "icon": {"url": "https://lab.example/e.png"}}],
    )
    profile = found.profile
    assert (found.iri, found.name, found.host, found.kind.value) == (BOB, "bob", "lab.example", "Person")
    assert (found.url, found.webfinger, found.published) == (
        "https://lab.example/@bob",
        "bob@example.org",
        1782864000000,
    )
    assert (found.endpoints.inbox, found.endpoints.shared_inbox) == (BOB + "/inbox", "https://lab.example/inbox")
    assert (profile.display_name, profile.summary) == ("Bob B", "<p>hi</p>")
    assert (profile.locked, profile.discoverable, profile.indexable, profile.memorial) == (True, True, False, True)
    assert profile.avatar is not None
    assert (profile.avatar.url, profile.avatar.media_type, profile.avatar.description) == (
        "https://lab.example/b.png",
        "image/png",
        "me",
    )
    assert profile.header is not None
    assert profile.header.url == "https://lab.example/h.png"
    assert profile.also_known_as == ("https://old.example/users/bob",)
    assert (profile.moved_to, profile.featured) == ("https://new.example/users/bob", BOB + "/collections/featured")
    assert [(each.name, each.value) for each in profile.fields] == [
        ("Site", '<a href="https://x.example" rel="nofollow noopener">x</a>')
    ]
    assert [each.code for each in profile.emojis] == ["b"]


@pytest.mark.spec("R111")
@pytest.mark.parametrize(
    ("kind", "bot"),
    [("Person", False), ("Service", True), ("Application", True), ("Group", False), ("Organization", False)],
)
def test_five_types_are_actors(kind: str, bot: bool) -> None:
    assert read(type=["ext:X", kind]).kind.is_bot is bot
    with pytest.raises(BadDocument, match="an actor was expected"):
        read(type="Note")


@pytest.mark.spec("R60", "R61", "R62")
def test_keys_in_every_form() -> None:
    odd = PEM.replace("\n", "\r\n").strip()
    for given in (KEY, [KEY], KEY | {"publicKeyPem": odd}, KEY | {"owner": None}, KEY | {"id": BOB + "/main-key"}):
        keys = read(publicKey=given).keys
        assert [(key.kind, key.material, key.owner) for key in keys] == [("rsa", PEM, BOB)]
    for multikey in (MULTIKEY, [BOB + "#x", MULTIKEY]):
        keys = read(publicKey=KEY, assertionMethod=multikey).keys
        assert [(key.key_id, key.kind) for key in keys] == [(BOB + "#main-key", "rsa"), (BOB + "#ed", "ed25519")]
        assert keys[1].material == MULTIBASE
    assert read(publicKey=[KEY, KEY | {"id": BOB + "#2"}]).keys[1].key_id == BOB + "#2"


@pytest.mark.spec("R6")
@pytest.mark.parametrize(
    "change",
    [
        {"owner": "https://lab.example/users/eve"},
        {"id": "https://third.example/users/bob#main-key"},
        {"id": "https://lab.example/users/eve#main-key"},
        {"id": None},
        {"publicKeyPem": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"},
        {"publicKeyPem": 3},
    ],
)
def test_a_key_that_is_not_the_actors_own_does_not_count(change: dict[str, Any]) -> None:
    assert len(read(publicKey=KEY).keys) == 1
    assert read(publicKey=KEY | change).keys == ()
    assert read(assertionMethod=MULTIKEY | {"controller": "https://lab.example/users/eve"}).keys == ()
    assert read(assertionMethod=MULTIKEY | {"publicKeyMultibase": "z6Mk"}).keys == ()


@pytest.mark.spec("R32")
def test_what_is_an_actors_own_lives_on_its_origin() -> None:
    foreign = "https://third.example/x"
    with pytest.raises(BadDocument, match="inbox"):
        read(inbox=foreign)
    found = read(
        outbox=foreign, followers=foreign, following=foreign, endpoints={"sharedInbox": foreign}, featured=foreign
    )
    ends = found.endpoints
    assert (ends.outbox, ends.followers, ends.following, ends.shared_inbox, found.profile.featured) == (None,) * 5
    with pytest.raises(BadDocument, match="our own origin"):
        read(id=CLINIC.actor("bob"))
    with pytest.raises(BadDocument, match="inbox"):
        read(inbox=None)


@pytest.mark.parametrize("name", [None, "", "bob@lab.example", "@bob", "b b", "acct:bob", 3, "x" * 65, "bob\n"])
def test_a_user_name_is_plain(name: object) -> None:
    with pytest.raises(BadDocument, match="user name"):
        read(preferredUsername=name)
    assert read(preferredUsername="bob.b-1").name == "bob.b-1"


def test_everything_is_bounded() -> None:
    fields = [{"type": "PropertyValue", "name": str(each), "value": "x" * 9000} for each in range(99)]
    profile = read(
        attachment=fields, name="x" * 9000, summary="y" * 99_000, alsoKnownAs=[f"{BOB}{n}" for n in range(99)]
    ).profile
    assert (len(profile.fields), len(profile.fields[0].value)) == (20, 4000)
    assert (len(profile.display_name), len(profile.summary), len(profile.also_known_as)) == (200, 20_000, 20)


@pytest.mark.spec("R110")
def test_hosts_are_normalised_and_ports_are_for_development() -> None:
    iri = "https://LAB.example/users/bob"
    found = reader.actor(actor(id=iri, inbox=iri + "/inbox"), names=CLINIC, now=NOW)
    assert (found.iri, found.host) == (iri, "lab.example")
    local = Names("http://lab.localhost:8002", Domain("lab.localhost:8002"))
    document = actor(id=local.actor("bob"), inbox=local.inbox("bob"))
    with pytest.raises(BadDocument):
        reader.actor(document, names=CLINIC, now=NOW)
    found = reader.actor(document, names=CLINIC, now=NOW, development=True)
    assert (found.iri, found.host) == (Iri("http://lab.localhost:8002/users/bob"), "lab.localhost:8002")
