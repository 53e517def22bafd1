"""One normalised form, whatever a peer's JSON-LD looks like."""

from __future__ import annotations

import copy
import json
import socket
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pyld import jsonld as pyld
from pyld.documentloader.frozen import BUNDLED_CONTEXTS

from fedishare.activitypub import contexts, expansion, jsonld
from fedishare.activitypub.jsonld import PUBLIC, Document, normalise
from fedishare.model.errors import BadDocument
from fedishare.model.ids import Millis

AS2 = "https://www.w3.org/ns/activitystreams"
ALICE = "https://social.example/users/alice"
NOTE = f"{ALICE}/statuses/1"


def canonical(value: Any) -> Any:
    """What two equivalent documents have in common.

    Unknown keys, contexts and nulls are left out, a list of one is its element, lists in lists are one list, an empty
    list is nothing, an object with nothing but an id is that id, and language tags are in lower case. The order of
    lists counts. Outside of audiences ``as:Public`` may have stayed.
    """
    if isinstance(value, list):
        items = [one for item in value for one in jsonld.as_list(canonical(item))]
        return items[0] if len(items) == 1 else items or None
    if not isinstance(value, dict):
        return PUBLIC if value == "as:Public" else value
    found = {}
    for key, item in value.items():
        if key in contexts.LANGUAGE_MAPS.values() and isinstance(item, dict):
            if texts := {language.lower(): text for language, text in item.items() if text is not None}:
                found[key] = texts
        elif key in contexts.TERMS and (same := canonical(item)) is not None:
            found[key] = same
    return found["id"] if found.keys() == {"id"} else found


def fully(document: Document) -> Any:
    """The document by the full way, with Public spelt as everywhere."""
    return jsonld._with_full_public(expansion.expand_and_compact(document))


def is_plain(document: Document) -> bool:
    scan = jsonld._Scan()
    scan.run(document)
    return scan.plain


# -- the plain way ------------------------------------------------------------------------------------------------

MASTODON: Document = {
    "toot": "http://joinmastodon.org/ns#",
    "ostatus": "http://ostatus.org#",
    "schema": "http://schema.org#",
    "sensitive": "as:sensitive",
    "Hashtag": "as:Hashtag",
    "Emoji": "toot:Emoji",
    "conversation": "ostatus:conversation",
    "inReplyToAtomUri": "ostatus:inReplyToAtomUri",
    "PropertyValue": "schema:PropertyValue",
    "value": "schema:value",
    "movedTo": {"@id": "as:movedTo", "@type": "@id"},
    "focalPoint": {"@container": "@list", "@id": "toot:focalPoint"},
    "featured": {"@id": "toot:featured", "@type": "@id"},
    "quote": {"@id": "https://w3id.org/fep/044f#quote", "@type": "@id"},
    "interactingObject": {"@id": "gts:interactingObject"},
    "gts": "https://gotosocial.org/ns#",
    "Device": "toot:Device",
    "claim": {"@type": "@id", "@id": "toot:claim"},
}
MISSKEY: Document = {
    "manuallyApprovesFollowers": "as:manuallyApprovesFollowers",
    "quoteUrl": "as:quoteUrl",
    "toot": "http://joinmastodon.org/ns#",
    "featured": "toot:featured",
    "schema": "http://schema.org#",
    "misskey": "https://misskey-hub.net/ns#",
    "_misskey_reaction": "misskey:_misskey_reaction",
    "freeText": {"@id": "misskey:freeText", "@type": "schema:text"},
    "isCat": "misskey:isCat",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
}
PIXELFED: Document = {
    "Hashtag": "as:Hashtag",
    "schema": "http://schema.org/",
    "pixelfed": "http://pixelfed.org/ns#",
    "commentsEnabled": {"@id": "pixelfed:commentsEnabled", "@type": "schema:Boolean"},
    "capabilities": {"@id": "pixelfed:capabilities", "@container": "@set"},
    "announce": {"@id": "pixelfed:canAnnounce", "@type": "@id"},
    "PropertyValue": {"@id": "schema:PropertyValue"},
    "value": {"@id": "http://schema.org/value"},
}
LEMMY: Document = {
    "lemmy": "https://join-lemmy.org/ns#",
    "litepub": "http://litepub.social/ns#",
    "pt": "https://joinpeertube.org/ns#",
    "sc": "http://schema.org/",
    "ChatMessage": "litepub:ChatMessage",
    "commentsEnabled": "pt:commentsEnabled",
    "moderators": {"@type": "@id", "@id": "lemmy:moderators"},
    "expires": "as:endTime",
    "language": "sc:inLanguage",
    "identifier": "sc:identifier",
}
PEERTUBE: Document = {
    "pt": "https://joinpeertube.org/ns#",
    "sc": "http://schema.org/",
    "Hashtag": "as:Hashtag",
    "Infohash": "pt:Infohash",
    "views": {"@type": "sc:Number", "@id": "pt:views"},
    "originallyPublishedAt": "sc:datePublished",
    "likes": {"@id": "as:likes", "@type": "@id"},
    "comments": {"@id": "as:comments", "@type": "@id"},
    "canReply": "pt:canReply",
}
PEERS: dict[str, Any] = {
    "none": None,
    "Activity Streams alone": AS2,
    "Mastodon": [AS2, "https://w3id.org/security/v1", MASTODON],
    "Misskey": [AS2, "https://w3id.org/security/v1", MISSKEY],
    "Pixelfed": ["https://w3id.org/security/v1", AS2, PIXELFED],
    "Lemmy, older": [AS2, "https://w3id.org/security/v1", LEMMY],
    "Lemmy": ["https://join-lemmy.org/context.json", AS2],
    "PeerTube": [AS2, "https://w3id.org/security/v1", {"RsaSignature2017": "https://w3id.org/security#R"}, PEERTUBE],
    "Akkoma": [AS2, "https://peer.example/schemas/litepub-0.1.jsonld", {"@language": "und"}],
    "GoToSocial": ["https://gotosocial.org/ns", AS2, {"toot": "http://joinmastodon.org/ns#", "Emoji": "toot:Emoji"}],
    "Fedify": [
        AS2,
        "https://w3id.org/security/data-integrity/v1",
        {"EmojiReact": "http://litepub.social/ns#EmojiReact"},
    ],
}


def a_create(context: Any) -> Document:
    note = {
        "id": NOTE,
        "type": "Note",
        "attributedTo": ALICE,
        "content": "<p>hello</p>",
        "contentMap": {"en": "<p>hello</p>"},
        "inReplyTo": None,
        "sensitive": False,
        "to": [PUBLIC],
        "cc": [f"{ALICE}/followers"],
        "tag": [{"type": "Hashtag", "name": "#a", "href": "https://social.example/tags/a"}],
        "attachment": [{"type": "PropertyValue", "name": "a", "value": "b", "focalPoint": [0.0, 0.5]}],
        "_misskey_reaction": "x",
        "somethingNew": {"type": "Odd", "deep": [1, {"er": 2}]},
        "vcard:bday": "1970-01-01",
    }
    create = {"id": f"{NOTE}/activity", "type": "Create", "actor": ALICE, "to": [PUBLIC], "object": note}
    return {"@context": context, **create} if context else dict(create)


@pytest.mark.spec("R11", "R125")
@pytest.mark.parametrize("peer", PEERS)
def test_ordinary_documents_stay_as_they_are(peer: str) -> None:
    document = a_create(PEERS[peer])
    before = copy.deepcopy(document)
    assert normalise(document) is document
    assert document == before
    assert canonical(document) == canonical(fully(document)), "the full way would have read the same"


# -- the full way -------------------------------------------------------------------------------------------------


def _unusual() -> dict[str, Document]:
    plain = a_create(AS2)
    prefixed: Document = {f"as:{key}": value for key, value in plain.items() if key in ("actor", "to", "object")}
    prefixed |= {"@context": AS2, "@id": plain["id"], "@type": "as:Create"}
    aliased: Document = {
        "@context": [AS2, {"wer": "as:actor", "was": {"@id": "as:object", "@type": "@id"}, "art": "@type"}]
    }
    aliased |= {"id": plain["id"], "art": "Create", "wer": {"id": ALICE}, "was": plain["object"], "to": PUBLIC}
    spelt: Document = {f"{AS2}#{key}": [{"@id": value}] for key, value in (("actor", ALICE), ("to", PUBLIC))}
    spelt |= {"@id": plain["id"], "@type": [f"{AS2}#Create"], "@context": {}, f"{AS2}#object": [plain["object"]]}
    vocab = {**plain, "@context": {"@vocab": f"{AS2}#", "id": "@id", "type": "@type", "actor": {"@type": "@id"}}}
    graph = {"@context": AS2, "@graph": [{key: plain[key] for key in plain if key != "@context"}]}
    return {"prefixed": prefixed, "aliased": aliased, "spelt": spelt, "vocab": vocab, "graph": graph}


@pytest.mark.spec("R126")
@pytest.mark.parametrize("way", _unusual())
def test_other_compactions_are_understood(way: str) -> None:
    document = _unusual()[way]
    before = copy.deepcopy(document)
    found = normalise(document)
    assert document == before
    assert canonical(found) == canonical(a_create(AS2))
    assert {"type", "id", "actor", "object", "to"} <= found.keys()


_ACTOR_ID = {"@id": "as:actor", "@type": "@id"}
_SCOPED = {"@context": {"name": "as:summary"}}
_OBJECT = {"@id": "as:object"}

# What it is: an inline context, the members that it touches, and how one of them must be read.
HOSTILE: dict[str, tuple[Any, Document, str, Any]] = {
    "a term redefined": ({"actor": "https://evil.example/ns#actor"}, {"actor": ALICE}, "actor", None),
    "a term unset": ({"actor": None}, {"actor": ALICE}, "actor", None),
    "a word unset": ({"name": None}, {"name": "x"}, "name", None),
    "an alias": ({"foo": _ACTOR_ID}, {"foo": ALICE}, "actor", ALICE),
    "an alias by two steps": ({"ex": f"{AS2}#", "foo": {"@id": "ex:actor"}}, {"foo": ALICE}, "actor", ALICE),
    "swapped terms": ({"to": {"@id": "as:bcc", "@type": "@id"}}, {"to": [PUBLIC]}, "to", None),
    "a keyword alias": ({"foo": "@type"}, {"foo": "Delete"}, "type", ["Delete", "Create"]),
    "a type redefined": ({"Create": "as:Delete"}, {}, "type", "Delete"),
    "a prefix redefined": ({"as": "https://evil.example/#"}, {"to": "as:P"}, "to", "https://evil.example/#P"),
    "a prefix in a key": ({"ex": f"{AS2}#"}, {"ex:actor": {"id": ALICE}}, "actor", ALICE),
    "a scoped context": ({"actor": _ACTOR_ID | _SCOPED}, {"actor": {"name": "x"}}, "actor", {"summary": "x"}),
    "a type with a context": ({"F": {"@id": "ex:F"} | _SCOPED}, {"type": ["Like", "F"], "name": "x"}, "summary", "x"),
    "a nest": ({"foo": "@nest"}, {"foo": {"name": "x"}}, "name", "x"),
    "opaque JSON": ({"object": _OBJECT | {"@type": "@json"}}, {"object": {"id": NOTE}}, "object", None),
    "a value as a word": ({"object": _OBJECT | {"@type": "@vocab"}}, {"object": "Note"}, "object", f"{AS2}#Note"),
    "an index": ({"tag": {"@id": "as:tag", "@container": "@index"}}, {"tag": {"a": {"name": 1}}}, "tag", {"name": 1}),
    "a map that is none": ({"contentMap": "as:content"}, {"contentMap": {"en": "x"}}, "contentMap", None),
    "nothing at all": (None, {"actor": ALICE}, "actor", ALICE),
}  # fmt: skip


@pytest.mark.spec("R126")
@pytest.mark.parametrize("trick", HOSTILE)
def test_a_context_that_changes_meanings_is_obeyed(trick: str) -> None:
    inline, keys, field, expected = HOSTILE[trick]
    document = {"@context": [AS2, inline], "id": NOTE, "type": "Create", **keys}
    inner = {"@context": AS2, "id": NOTE, "type": "Announce", "object": document}
    for found in (normalise(document), normalise(inner)["object"]):
        assert canonical({field: found.get(field)}).get(field) == expected
    harmless = {"@context": [AS2, inline], "id": NOTE, "type": "Note", "updated": "2024-01-01T00:00:00Z"}
    if not inline or "as" not in inline:
        assert normalise(harmless)["updated"] == "2024-01-01T00:00:00Z", "unused definitions do no harm"


_IRI = st.sampled_from([ALICE, NOTE, "https://peer.example/@bob", "https://x.example/?q=1#a"])
_WORD = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


def _some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One value, or several, or none: as peers do [R22]."""
    return values | st.lists(values, max_size=3) | st.none()


def _node(types: list[str], **members: st.SearchStrategy[Any]) -> st.SearchStrategy[Document]:
    kind = st.sampled_from(types)
    required: dict[str, st.SearchStrategy[Any]] = {"type": kind | kind.map(lambda name: [name, "Unheard"])}
    return st.fixed_dictionaries(required, optional={"id": _IRI, **members})


_TIME = st.sampled_from(["2024-01-01T00:00:00Z", "2024-01-01T00:00:00.123456789+02:00"])
_MAP = st.dictionaries(st.sampled_from(["en", "de", "zh-Hant"]), _WORD, max_size=2)
_AUDIENCE = _some(_IRI | st.sampled_from([PUBLIC, "as:Public", "Public"]))
_TAG = _node(["Mention", "Hashtag", "Emoji"], name=_WORD, href=_IRI, updated=_TIME, icon=_node(["Image"], url=_IRI))
_LINK = _node(["Link"], href=_IRI, mediaType=_WORD, width=st.integers(0, 4000), rel=_some(_WORD))
_FILE = _node(
    ["Document", "Image"],
    url=_some(_IRI | _LINK),
    mediaType=_WORD,
    name=_WORD,
    focalPoint=st.just([0.5, -1.0]),
)
_OPTION = _node(["Note"], name=_WORD, replies=_node(["Collection"], totalItems=st.integers(0, 9)))
_POLICY = st.fixed_dictionaries({"canQuote": st.fixed_dictionaries({"automaticApproval": _AUDIENCE})})
_POST = _node(
    ["Note", "Article", "Question", "Video"],
    attributedTo=_some(_IRI), content=_WORD, contentMap=_MAP, summary=_WORD, summaryMap=_MAP, name=_WORD,
    published=_TIME, to=_AUDIENCE, cc=_AUDIENCE, tag=_some(_TAG), attachment=_some(_FILE), url=_some(_IRI | _LINK),
    sensitive=st.booleans(), inReplyTo=_some(_IRI), conversation=_WORD, oneOf=_some(_OPTION), endTime=_TIME,
    votersCount=st.integers(0, 99), quote=_IRI, interactionPolicy=_POLICY,
    source=st.fixed_dictionaries({"content": _WORD, "mediaType": _WORD}), unheardOf=_WORD,
)  # fmt: skip
_KEY = st.fixed_dictionaries({"id": _IRI, "owner": _IRI, "publicKeyPem": _WORD})
_ACTOR = _node(
    ["Person", "Service"], preferredUsername=_WORD, inbox=_IRI, outbox=_IRI, followers=_IRI, publicKey=_some(_KEY),
    endpoints=st.fixed_dictionaries({"sharedInbox": _IRI}), icon=_some(_FILE), alsoKnownAs=_some(_IRI),
    attachment=_some(_node(["PropertyValue"], name=_WORD, value=_WORD)), discoverable=st.booleans(), featured=_IRI,
    assertionMethod=_some(_node(["Multikey"], controller=_IRI, publicKeyMultibase=_WORD)), webfinger=_WORD,
)  # fmt: skip
_PAGE = _node(
    ["OrderedCollectionPage"],
    orderedItems=st.lists(_IRI | _POST, max_size=3),
    next=_IRI,
    totalItems=st.integers(0, 9),
)
_ACTIVITY = _node(
    ["Create", "Follow", "Announce", "Flag"],
    actor=_some(_IRI),
    object=_some(_IRI | _POST | _ACTOR),
    to=_AUDIENCE,
    bcc=_AUDIENCE,
)


@pytest.mark.spec("R22", "R21")
@settings(deadline=None, max_examples=150)
@given(_POST | _ACTOR | _PAGE | _ACTIVITY, st.sampled_from(sorted(PEERS)))
def test_plain_and_full_way_agree_on_ordinary_documents(document: Document, peer: str) -> None:
    if PEERS[peer]:
        document = {"@context": PEERS[peer], **document}
    assume(len(document.keys() - {"@context", "id"}) > 0)
    found = normalise(document)
    assert canonical(found) == canonical(fully(document))
    for field in ("to", "cc", "bcc"):
        assert not {"as:Public", "Public"} & {*map(str, jsonld.as_list(found.get(field)))}


def _words(text: str) -> st.SearchStrategy[str]:
    return st.sampled_from(text.split())


_ODD_IRI = st.just(f"{AS2}#actor") | _words(
    "as:actor as:name as:Note as:items toot:Emoji ex:actor ex:b https://x.example/y @id @type @nest @graph actor "
    "schema:value http://schema.org/value mystery:x"
)
_ODD_DEFINITION = st.one_of(
    st.none(), _ODD_IRI, st.just(f"{AS2}#"), st.just("http://joinmastodon.org/ns#"), st.just(7),
    st.fixed_dictionaries({}, optional={
        "@id": _ODD_IRI,
        "@type": st.sampled_from(["@id", "@vocab", "@json", "@none", "xsd:dateTime"]),
        "@container": st.sampled_from(["@list", "@set", "@language", "@index", "@id", "@type", "@graph", ["@set"]]),
        "@context": st.just({"name": "as:summary", "foo": "as:actor"}),
        "@reverse": _ODD_IRI,
        "@prefix": st.booleans(),
    }),
)  # fmt: skip
_ODD_TERM = st.just("") | _words(
    "actor name content contentMap Note Emoji id type items orderedItems object foo bar ex as toot schema to "
    "@language @vocab @base @version @protected @propagate as:actor ex:b @foo"
)
_ODD_CONTEXT = st.dictionaries(_ODD_TERM, _ODD_DEFINITION, max_size=4)
_ODD_VALUE = st.one_of(
    st.sampled_from([ALICE, PUBLIC, "Note", "hello", "as:Public"]), st.integers(0, 3), st.booleans(), st.none()
)
_EVEN_KEY = _words("id type actor name content to tag object foo bar ex items orderedItems vcard:n schema:text")
_ODD_KEY = _EVEN_KEY | _words("ex:actor ex:b as:name @id @type @value @list @graph @reverse @foo")


def _odd_node(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    node = st.dictionaries(_EVEN_KEY, inner, max_size=5) | st.dictionaries(_ODD_KEY, inner, max_size=2)
    typed = st.tuples(node, st.sampled_from(["Note", "Emoji", "foo", "as:Note", ["Note", "bar"]])).map(
        lambda parts: {**parts[0], "type": parts[1]}
    )
    typed |= typed.map(lambda parts: {**parts, "contentMap": {"en": "hello"}})
    scoped = st.tuples(_ODD_CONTEXT, typed).map(lambda parts: {"@context": parts[0], **parts[1]})
    return node | typed | typed | scoped | st.lists(inner, max_size=3) | st.fixed_dictionaries({"en": inner})


_ODD = st.recursive(_ODD_VALUE, _odd_node, max_leaves=12)


@settings(deadline=None, max_examples=500)
@given(st.lists(_ODD_CONTEXT | st.just(AS2), max_size=3), st.dictionaries(_EVEN_KEY, _ODD, max_size=6))
def test_hostile_contexts_never_make_the_plain_way_read_something_else(inline: list[Any], body: Document) -> None:
    document = {"@context": [AS2, *inline], "type": "Note", **body}
    before = copy.deepcopy(document)
    try:
        found = normalise(document)
    except BadDocument:
        return
    finally:
        assert document == before
    try:
        other = fully(document)
    except BadDocument:
        return  # a definition that is malformed, but not used
    if is_plain(document) and isinstance(other, dict):
        assert canonical(found) == canonical(other)


# -- contexts are data --------------------------------------------------------------------------------------------


@pytest.mark.spec("R126", "R125")
def test_contexts_are_never_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket, "create_connection", no_network)
    monkeypatch.setattr(socket.socket, "connect", no_network)
    url = "https://unknown.example/context"
    note = {"id": NOTE, "content": "hello", "unheardOf": 1}
    assert normalise({"@context": [AS2, url], "type": "Note", **note})["content"] == "hello"
    assert normalise({"@context": [url, AS2, url], "@type": "Note", **note})["content"] == "hello"
    assert normalise({"@context": [AS2, {"foo": "as:name"}, url], "type": "Note", "foo": "x"})["name"] == "x"
    for context in ({"@import": url}, {"content": {"@id": "as:content", "@context": url}}, {"@import": 5}, 5, [[AS2]]):
        with pytest.raises(BadDocument):
            normalise({"@context": [AS2, context], "@type": "Note", **note})


def test_bundled_contexts_state_the_published_facts() -> None:
    for url, path in BUNDLED_CONTEXTS.items():
        if url in contexts.BUNDLED:
            assert contexts.BUNDLED[url] == json.loads(path.read_text())
    assert len(contexts.BUNDLED.keys() & BUNDLED_CONTEXTS.keys()) == 3


def test_a_protected_term_may_be_defined_again_to_the_same_meaning() -> None:
    did = contexts.DID_V1
    document = {"@context": [AS2, {"foo": "as:name"}, did, {"alsoKnownAs": "as:alsoKnownAs"}], "type": "Person"}
    found = normalise({**document, "foo": "x", "alsoKnownAs": [ALICE]})
    assert canonical(found) == {"type": "Person", "name": "x", "alsoKnownAs": ALICE}


def test_cold_start_does_not_pay_for_pyld() -> None:
    code = "import sys, fedishare.activitypub.jsonld as j; j.normalise({'type': 'Note'}); print('pyld' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


SENT: dict[str, tuple[list[Any], Document]] = {
    "post": (jsonld.OBJECT_CONTEXT, {
        "id": NOTE, "type": "Question", "attributedTo": ALICE, "content": "x", "to": [PUBLIC],
        "contentMap": {"en": "x"},
        "sensitive": True, "atomUri": NOTE, "inReplyToAtomUri": NOTE, "conversation": "tag:x", "votersCount": 1,
        "oneOf": [{"type": "Note", "name": "a", "replies": {"type": "Collection", "totalItems": 1}}],
        "tag": [{"type": "Hashtag", "name": "#a"}, {"type": "Emoji", "icon": {"type": "Image", "url": NOTE}}],
        "attachment": [{"type": "Document", "blurhash": "x", "focalPoint": [0.0, 1.0], "width": 1, "url": NOTE}],
        "quote": NOTE, "quoteUri": NOTE, "quoteUrl": NOTE, "_misskey_quote": NOTE, "quoteAuthorization": NOTE,
        "interactionPolicy": {can: {"automaticApproval": [PUBLIC], "manualApproval": [NOTE]}
                              for can in ("canLike", "canReply", "canAnnounce", "canQuote")},
        "approvedBy": NOTE, "replyAuthorization": NOTE, "source": {"content": "x", "mediaType": "text/plain"},
    }),
    "actor": (jsonld.ACTOR_CONTEXT, {
        "id": ALICE, "type": "Person", "preferredUsername": "alice", "inbox": NOTE, "endpoints": {"sharedInbox": NOTE},
        "publicKey": {"id": f"{ALICE}#main-key", "owner": ALICE, "publicKeyPem": "x"}, "webfinger": "alice@a.example",
        "assertionMethod": [{"id": ALICE, "type": "Multikey", "controller": ALICE, "publicKeyMultibase": "z6Mk"}],
        "manuallyApprovesFollowers": True, "movedTo": NOTE, "alsoKnownAs": [NOTE], "attributionDomains": ["a.example"],
        "discoverable": True, "indexable": True, "memorial": False, "suspended": False, "featured": NOTE,
        "featuredTags": NOTE,
        "attachment": [{"type": "PropertyValue", "name": "a", "value": "b"}], "tag": [{"type": "Emoji", "name": ":a:"}],
        "generator": {"type": "Application", "implements": [{"href": "https://datatracker.ietf.org/doc/html/rfc9421"}]},
    }),
    "activity": (jsonld.ACTIVITY_CONTEXT, {
        "id": NOTE, "type": "QuoteRequest", "actor": ALICE, "object": NOTE,
        "instrument": {"id": NOTE, "type": "Note", "quote": NOTE},
        "proof": {"type": "DataIntegrityProof", "cryptosuite": "eddsa-jcs-2022", "proofPurpose": "assertionMethod",
                  "proofValue": "z1", "verificationMethod": f"{ALICE}#e", "created": "2024-01-01T00:00:00Z"},
    }),
    "authorization": (jsonld.ACTIVITY_CONTEXT, {
        "id": NOTE, "type": "QuoteAuthorization", "attributedTo": ALICE,
        "interactingObject": NOTE, "interactionTarget": NOTE,
    }),
    "reply request": (jsonld.ACTIVITY_CONTEXT, {
        "id": NOTE, "type": "ReplyRequest", "actor": ALICE, "object": NOTE,
        "result": {"type": "ReplyAuthorization", "id": NOTE},
    }),
}  # fmt: skip


def _keys(value: Any) -> int:
    """Members that carry something, at all depths."""
    if isinstance(value, dict):
        return sum(1 + _keys(item) for item in value.values())
    return sum(map(_keys, value)) if isinstance(value, list) else 0


def _properties(value: Any) -> list[str]:
    """Property and type IRIs of an expanded document, at all depths."""
    if isinstance(value, list):
        return [iri for item in value for iri in _properties(item)]
    if not isinstance(value, dict):
        return []
    if "@value" in value:
        return ["@language"] if "@language" in value else []
    own = [key for key in value if key not in ("@list", "@graph") and not (key == "@id" and len(value) == 1)]
    own += value.get("@type", [])
    return own + [iri for key, item in value.items() if key != "@type" for iri in _properties(item)]


def _strictly(document: Document) -> list[str]:
    """Its properties and types as a strict peer reads them: the published contexts only, nothing presumed."""
    return _properties(pyld.expand(document, {"documentLoader": expansion.load_bundled, "base": ""}))


def _undefined(iris: list[str]) -> list[str]:
    return [iri for iri in iris if iri.startswith("_:") or (iri[0] != "@" and "://" not in iri)]


@pytest.mark.spec("R11")
@pytest.mark.parametrize("kind", SENT)
def test_every_term_that_we_send_is_defined(kind: str) -> None:
    context, body = SENT[kind]
    document = {"@context": context, **body}
    found = _strictly(document)
    assert _undefined(found) == []
    types = sum(len(jsonld.types_of(node)) for node in _nodes(body))
    assert len(found) == _keys(body) + types - ("contentMap" in body), "no member is dropped"
    assert normalise(document) is document
    assert canonical(fully(document)) == canonical(document)
    assert _undefined(_strictly({**document, "@context": AS2})), "without our context it would be"


def _nodes(value: Any) -> list[Document]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return ([value] if isinstance(value, dict) else []) + [node for item in inner for node in _nodes(item)]


# -- limits -------------------------------------------------------------------------------------------------------


@pytest.mark.spec("R38")
def test_limits_and_malformed_documents_are_refused_cleanly() -> None:
    deep: Any = "x"
    for _ in range(5_000):
        deep = {"object": deep}
    chain = {f"p{n}": f"p{n + 1}:x" for n in range(900)}
    refused: tuple[Any, ...] = (
        None, 7, "x", [], [{"type": "Note"}], deep, {"@context": AS2, "@type": "Note", "object": deep},
        {"@context": [AS2, chain], "@type": "Note"},
        {"@context": AS2, "@type": "Note", "name": ["x"] * expansion.MAX_VALUES},
        {"@context": [AS2, {"foo": "as:name"}, *[AS2] * 40], "foo": "x"},
        {"@context": AS2, "@id": "https://a.example/only-an-id"},
        {"@context": AS2, "@graph": [{"type": "Note", "name": "a"}, {"type": "Note", "name": "b"}]},
        {"@context": [AS2, {"name": 7}], "name": "x"},
        {"@context": AS2, "@type": 5, "name": "x"},
        {"@value": "x"}, {"@list": [1]}, {"@set": []},
    )  # fmt: skip
    for document in refused:
        with pytest.raises(BadDocument, match="expected"):
            normalise(document)
    assert normalise({"@context": AS2, "@type": "Note", "name": ["x"] * 2_000})["type"] == "Note"


# -- helpers ------------------------------------------------------------------------------------------------------


@pytest.mark.spec("R21")
@pytest.mark.parametrize("spelt", [PUBLIC, "as:Public", "Public", {"id": "as:Public"}])
def test_the_public_audience_has_one_spelling(spelt: Any) -> None:
    for audience in (spelt, [ALICE, spelt]):
        document = {"type": "Create", "to": audience, "object": {"type": "Note", "cc": audience, "name": "Public"}}
        before = copy.deepcopy(document)
        for found in (normalise(document), normalise({**document, "@id": NOTE})):
            for members in (found["to"], found["object"]["cc"]):
                assert PUBLIC in map(jsonld.iri_of, jsonld.as_list(members))
            assert found["object"]["name"] == "Public"
        assert document == before
    assert jsonld.is_public(PUBLIC) and jsonld.is_public("as:Public") and not jsonld.is_public([PUBLIC])


@pytest.mark.spec("R22")
def test_values_are_read_single_or_listed_as_string_or_object() -> None:
    assert [jsonld.as_list(value) for value in (None, "a", ["a"], {"id": 1})] == [[], ["a"], ["a"], [{"id": 1}]]
    assert [jsonld.iri_of(value) for value in (NOTE, {"id": NOTE}, [NOTE], [{"id": NOTE}])] == [NOTE] * 4
    nothings: tuple[Any, ...] = (None, "", 5, {}, {"id": 5}, [], [NOTE, ALICE], [[NOTE]])
    for nothing in nothings:
        assert jsonld.iri_of(nothing) is None
    assert jsonld.types_of({"type": "Note"}) == ("Note",)
    assert jsonld.types_of({"type": ["Unheard", 5, "Note"]}) == ("Unheard", "Note")
    assert jsonld.types_of({}) == jsonld.types_of("Note") == ()


@pytest.mark.spec("R94")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-02-29T12:30:45Z", "2024-02-29T12:30:45.000Z"),
        ("2024-02-29T12:30:45.1Z", "2024-02-29T12:30:45.100Z"),
        ("2024-02-29T12:30:45.123456789Z", "2024-02-29T12:30:45.123Z"),
        ("2024-02-29T12:30Z", "2024-02-29T12:30:00.000Z"),
        ("2024-02-29T12:30:45+02:00", "2024-02-29T10:30:45.000Z"),
        ("2024-02-29T23:30:45.5-0130", "2024-03-01T01:00:45.500Z"),
        ("2024-02-29T12:30:45", "2024-02-29T12:30:45.000Z"),
        ("2024-06-30T23:59:60Z", "2024-06-30T23:59:59.000Z"),
        ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
    ],
)
def test_times_are_read_as_peers_write_them(text: str, expected: str) -> None:
    moment = jsonld.parse_time(text)
    assert moment is not None
    assert jsonld.format_time(moment) == expected


@pytest.mark.spec("R94")
@pytest.mark.parametrize(
    "text",
    [
        *(None, 5, "", "yesterday", "2024-02-30T00:00:00Z", "2024-02-29", "2024-02-29T24:00:00Z"),
        *("0000-01-01T00:00:00Z", "2024-02-29T12:30:45.1234567890Z", "2024-02-29T12:30:45+25:00"),
        *("٢٠٢٤-02-29T12:30:45Z", "2024-02-29T12:30:99Z"),
    ],
)
def test_what_is_no_time_is_none(text: object) -> None:
    assert jsonld.parse_time(text) is None


@settings(deadline=None, max_examples=100)
@given(st.integers(-62_135_596_800_000, 253_402_300_799_999).map(Millis))
def test_times_survive_the_round_trip(moment: Millis) -> None:
    assert jsonld.parse_time(jsonld.format_time(moment)) == moment
