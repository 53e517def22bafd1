"""WebFinger, host-meta and NodeInfo documents."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedishare.model.errors import BadDocument, BadRequest
from fedishare.model.ids import Domain, Handle
from fedishare.model.names import Names
from fedishare.webfinger import jrd
from tests.unit.documents import ANA, CLINIC

SPLIT = Names("https://social.clinic.example", Domain("clinic.example"))


@pytest.mark.spec("R12", "R14", "R15")
def test_a_jrd_reads_back() -> None:
    for names, name in ((CLINIC, "Ana"), (SPLIT, "Ana")):
        found = jrd.parse(jrd.build(name, names))
        assert found.subject == "acct:Ana@clinic.example"
        assert found.handle() == Handle("Ana", Domain("clinic.example"))
        assert found.self_iri == names.actor(name)
        assert found.aliases == (names.actor(name), names.profile_page(name))
    wire = json.loads(jrd.build("ana", CLINIC))
    assert {"rel": "self", "type": "application/activity+json", "href": ANA} in wire["links"]
    assert jrd.parse(jrd.build("instance.actor", CLINIC)).self_iri == CLINIC.instance_actor()


@pytest.mark.spec("R12", "R15")
@pytest.mark.parametrize(
    "text",
    [
        "acct:ana@clinic.example",
        "acct%3Aana%40clinic.example",
        "acct:ana%40clinic.example",
        "ACCT:ana@Clinic.Example.",
        "acct:@ana@clinic.example",
        "@ana@clinic.example",
        "ana@clinic.example",
        " acct:ana@clinic.example ",
    ],
)
def test_a_handle_in_every_spelling(text: str) -> None:
    assert jrd.parse_resource(text) == Handle("ana", Domain("clinic.example"))


@pytest.mark.spec("R15")
def test_a_url_is_kept_byte_by_byte() -> None:
    assert jrd.parse_resource("https://clinic.example/@ana") == "https://clinic.example/@ana"
    assert jrd.parse_resource("https%3A%2F%2Fclinic.example%2Fusers%2Fana") == ANA
    assert jrd.parse_resource("https://clinic.example/a%2Fb") == "https://clinic.example/a%2Fb"
    local = "http://clinic.localhost:8001/users/ana"
    assert jrd.parse_resource(local, development=True) == local
    with pytest.raises(BadRequest):
        jrd.parse_resource(local)


@pytest.mark.spec("R13")
@pytest.mark.parametrize(
    "text",
    ["", " ", "ana", "acct:", "acct:ana", "acct:ana@", "acct:@clinic.example", "mailto:ana@clinic.example"],
)
@pytest.mark.parametrize("development", [False, True])
def test_what_is_no_resource_is_refused(text: str, development: bool) -> None:
    with pytest.raises(BadRequest) as found:
        jrd.parse_resource(text, development=development)
    assert found.value.status == 400


@pytest.mark.parametrize(
    "text",
    [
        "https://",
        "ana@127.0.0.1",
        "acct:ana@clinic.example:8001",
        "https://x@clinic.example/",
        "%FF@clinic.example",
        "x" * 3000,
    ],
)
def test_what_names_nobody_outside_development_is_refused(text: str) -> None:
    with pytest.raises(BadRequest) as found:
        jrd.parse_resource(text)
    assert found.value.status == 400


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=80) | st.text("acct:@%./ab0-3AF", max_size=40))
def test_reading_a_resource_fails_as_documented_only(text: str) -> None:
    try:
        found = jrd.parse_resource(text)
    except BadRequest:
        return
    assert isinstance(found, Handle | str)


def peer(**changes: Any) -> bytes:
    """A peer's JRD with these changes."""
    links = [
        {"rel": "http://webfinger.net/rel/profile-page", "type": "text/html", "href": "https://lab.example/@bob"},
        {"rel": "self", "type": "application/activity+json", "href": "https://lab.example/users/bob"},
    ]
    return json.dumps({"subject": "acct:bob@lab.example", "links": links, "properties": {"x": 1}, **changes}).encode()


@pytest.mark.spec("R12")
def test_what_peers_answer_is_read_with_patience() -> None:
    assert jrd.parse(peer()).self_iri == "https://lab.example/users/bob"
    profile = 'application/ld+json;  profile="https://www.w3.org/ns/activitystreams"'
    other = [{"rel": "self", "href": "https://lab.example/x"}, 3, {"rel": "self", "type": 3}, {"rel": ["self"]}]
    ld = {"rel": "self", "type": profile, "href": "https://lab.example/users/bob"}
    assert jrd.parse(peer(links=[*other, ld])).self_iri == "https://lab.example/users/bob"
    assert jrd.parse(peer(links=other)).self_iri is None
    assert jrd.parse(peer(links=[])).self_iri is None
    assert jrd.parse(peer(links=[{**ld, "href": "http://lab.example/users/bob"}])).self_iri is None
    assert jrd.parse(peer(aliases="x")).aliases == ()
    assert jrd.parse(peer(aliases=["https://lab.example/@bob", 3])).aliases == ("https://lab.example/@bob",)
    assert jrd.parse(peer(subject="https://lab.example/users/bob")).handle() is None


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"\xff", b'{"subject": 3}', b'{"links": {}}', b"<XRD/>", b"[" * 50_000, b'"' + b"x" * 70_000],
)
def test_what_is_no_jrd_is_refused(body: bytes) -> None:
    with pytest.raises(BadDocument):
        jrd.parse(body)


@settings(deadline=None, max_examples=150)
@given(
    st.dictionaries(
        st.sampled_from(["subject", "links", "aliases"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.just("self"),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["rel", "type", "href"]), inner)
            ),
            max_leaves=9,
        ),
    )
)
def test_reading_a_jrd_fails_as_documented_only(document: dict[str, Any]) -> None:
    try:
        jrd.parse(json.dumps(document).encode())
    except BadDocument:
        return


@pytest.mark.spec("R124")
def test_host_meta_has_the_template() -> None:
    tree = ElementTree.fromstring(jrd.host_meta(SPLIT))
    link = tree.find("{http://docs.oasis-open.org/ns/xri/xrd-1.0}Link")
    assert link is not None
    assert link.attrib["template"] == "https://social.clinic.example/.well-known/webfinger?resource={uri}"
    assert link.attrib["rel"] == "lrdd"


@pytest.mark.spec("R121", "R122")
def test_nodeinfo_says_what_it_must_and_no_more_than_told() -> None:
    links = {each["rel"]: each["href"] for each in json.loads(jrd.nodeinfo_index(CLINIC))["links"]}
    assert links == {
        "http://nodeinfo.diaspora.software/ns/schema/2.0": "https://clinic.example/nodeinfo/2.0",
        "http://nodeinfo.diaspora.software/ns/schema/2.1": "https://clinic.example/nodeinfo/2.1",
        "https://www.w3.org/ns/activitystreams#Application": CLINIC.instance_actor(),
    }
    document = json.loads(jrd.nodeinfo(version="0.1.0", open_registrations=False))
    older = json.loads(jrd.nodeinfo(version="0.1.0", open_registrations=False, schema="2.0"))
    assert (document["version"], older) == ("2.1", document | {"version": "2.0"})
    assert document["software"] == {"name": "fedishare", "version": "0.1.0"}
    assert (document["protocols"], document["openRegistrations"]) == (["activitypub"], False)
    assert (document["usage"], document["metadata"]) == ({"users": {}}, {})
    told = json.loads(jrd.nodeinfo(version="1", open_registrations=True, users=3, posts=0))
    assert told["usage"] == {"users": {"total": 3}, "localPosts": 0}
