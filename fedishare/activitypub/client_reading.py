"""What a person's own program asks for: a document posted to an outbox becomes a wish (ActivityPub 6).

The same normalised form and the same bounded access to values as for partners' documents, and the same rule of
authority: whoever acts, and whoever wrote what is embedded, is the person of the token or is not named. What the client
says about ids is not read. Everything is pure. What cannot be meant raises `BadDocument` (400), what we cannot do
`BadInput` (422), and what is somebody else's `NotAllowed` (403); nothing is guessed, because somebody's words travel.
"""

from __future__ import annotations

from fedishare.activitypub.addressing import PUBLIC, PUBLIC_FORMS
from fedishare.activitypub.client_reading_person import edit_me
from fedishare.activitypub.client_reading_quotes import quote_rule, quoted
from fedishare.activitypub.client_wishes import (
    BY_ID,
    UNDONE,
    Addressed,
    AnswerFollower,
    BlockActor,
    Edit,
    FollowActor,
    LikePost,
    Me,
    PinPost,
    PinTag,
    Publish,
    Remove,
    Report,
    Share,
    TakeBack,
    Text,
    Unquote,
    Vote,
    Wish,
    Words,
)
from fedishare.activitypub.jsonld import as_list, types_of
from fedishare.activitypub.reader_posts import MAX_HTML, MAX_OPTIONS, is_vote
from fedishare.activitypub.reader_values import (
    MAX_NAME,
    MAX_SUMMARY,
    Document,
    Reading,
    first,
    html,
    iri,
    is_iri,
    mapped,
    media_type,
    moment,
    one,
    prose,
    reference,
    required_iri,
    shown,
)
from fedishare.model.errors import BadDocument, BadInput, NotAllowed
from fedishare.model.ids import Domain, Iri, Millis, parse_domain
from fedishare.model.names import RefKind
from fedishare.model.posts import LOCAL, PARTNERS, Poll, PollOption, PostKind, Reach, Visibility
from fedishare.text import clean_text

MAX_PEOPLE = 100
"""People that one activity may be addressed to: each one that we do not know is read at its partner."""
MAX_FILES = 16
MAX_COMMENT = 1000
"""Characters of a report's comment, as in the client API."""
_POSTS = frozenset((PostKind.NOTE.value, PostKind.QUESTION.value))
_ACTORS = frozenset(("Person", "Service", "Group", "Organization", "Application"))


def read(document: Document, me: Me, reading: Reading) -> Wish:
    """The wish of a document. Raises `BadDocument`, `BadInput`, `NotAllowed`."""
    kind = _kind(document)
    if kind in _POSTS:
        # 6.2.1 — an object alone is wrapped in a Create, to whom it is addressed
        document, kind = {"type": "Create", "object": document}, "Create"
    reader = _READERS.get(kind)
    if reader is None:
        raise BadInput(f"{kind[:80]!r} is nothing that an outbox takes here", path="type")
    _by(document, "actor", me, reading)
    return reader(document, me, reading)


def _kind(document: Document) -> str:
    found = types_of(document)
    if len(found) != 1:
        raise BadDocument(f"exactly one type was expected, found {len(found)}", path="type")
    return found[0]


def _by(document: Document, field: str, me: Me, reading: Reading) -> None:
    """Nobody else is named as the one who does or wrote it."""
    for entry in as_list(document.get(field)):
        if iri(entry, reading.development) != me.iri:
            raise NotAllowed(f"{field}: only {me.iri} acts here, found {shown(reference(entry))}")


def _object(document: Document, me: Me, reading: Reading) -> Document:
    """The object, which must be there whole, and of nobody else."""
    inner = one(document.get("object"), "object")
    if not isinstance(inner, dict):
        raise BadInput("object: the object itself was expected, found its id alone", path="object")
    _by(inner, "attributedTo", me, reading)
    return inner


def _target(document: Document, reading: Reading) -> Iri:
    """The id of the one object; what else is embedded of it is somebody's word for it, and not read."""
    return required_iri(one(document.get("object"), "object"), "object", reading.development)


# Addressing


def _entries(documents: tuple[Document, ...], fields: tuple[str, ...], reading: Reading) -> tuple[Iri, ...]:
    """Every address, each once. One that cannot be read is refused: nobody may be left out silently."""
    found: dict[Iri, None] = {}
    for document in documents:
        for field in fields:
            for entry in as_list(document.get(field)):
                address = reference(entry) if isinstance(entry, dict) else entry
                if isinstance(address, str) and address in PUBLIC_FORMS:
                    found[PUBLIC] = None
                elif isinstance(address, str) and is_iri(address, reading.development):
                    found[Iri(address)] = None
                else:
                    raise BadInput(f"{field}: ids were expected, found {shown(address)}", path=field)
    return tuple(found)


def _addressed(me: Me, reading: Reading, *documents: Document) -> Addressed:
    """Whom it is for: Public, one's followers, and people. Any other collection cannot be meant."""
    to = _entries(documents, ("to",), reading)
    cc = _entries(documents, ("cc", "audience"), reading)
    blind = _entries(documents, ("bto", "bcc"), reading)
    if PUBLIC in blind or me.followers in blind:
        raise BadInput("bto and bcc are for people; Public and followers go into to or cc", path="bcc")
    if PUBLIC in to:
        visibility = Visibility.PUBLIC
    elif PUBLIC in cc:
        visibility = Visibility.UNLISTED
    elif me.followers in (*to, *cc):
        visibility = Visibility.PRIVATE
    else:
        visibility = Visibility.DIRECT
    named = dict.fromkeys(each for each in (*to, *cc) if each not in (PUBLIC, me.followers, me.iri))
    hidden = tuple(each for each in blind if each not in named and each != me.iri)
    if len(named) + len(hidden) > MAX_PEOPLE:
        raise BadInput(f"at most {MAX_PEOPLE} people can be addressed, found {len(named) + len(hidden)}", path="to")
    for each in (*named, *hidden):
        _person(each, reading)
    return Addressed(visibility, tuple(named), hidden, given=bool(to or cc or blind))


def _person(address: Iri, reading: Reading) -> None:
    ref = reading.names.parse(address)
    ours = reading.names.is_ours(address)
    if (ours and (ref is None or ref.kind is not RefKind.ACTOR)) or address.endswith(("/followers", "/following")):
        raise BadInput(f"{address[:200]} is nobody; Public, your own followers and people can be addressed", path="to")


def _reach(reading: Reading, *documents: Document) -> Reach | None:
    """``reach``, a word of ours as in the client API: local, partners, or a list of partners' domains."""
    for document in documents:
        value = document.get("reach")
        if value is None:
            continue
        words = as_list(value)
        if words in (["local"], ["partners"]):
            return LOCAL if words == ["local"] else PARTNERS
        if not words or not all(isinstance(word, str) for word in words):
            raise BadInput('reach: "local", "partners" or a list of partner domains was expected', path="reach")
        return Reach(frozenset(Domain(parse_domain(word, allow_port=reading.development)) for word in words))
    return None


# Create and Update


def _create(document: Document, me: Me, reading: Reading) -> Wish:
    inner = _object(document, me, reading)
    if _kind(inner) not in _POSTS:
        raise BadInput(f"object: a Note or a Question was expected, found {_kind(inner)[:80]!r}", path="object.type")
    if is_vote(inner):
        names = [clean_text(str(entry))[:MAX_NAME].strip() for entry in as_list(inner.get("name"))[:MAX_OPTIONS]]
        question = required_iri(inner.get("inReplyTo"), "object.inReplyTo", reading.development)
        return Vote(question, tuple(dict.fromkeys(names)))
    words = _words(inner, me, reading, document)
    if words.kind == PostKind.QUESTION and words.poll is None:
        raise BadInput("object: a Question needs oneOf or anyOf", path="object.oneOf")
    return Publish(words, _addressed(me, reading, document, inner))


def _update(document: Document, me: Me, reading: Reading) -> Wish:
    inner = _object(document, me, reading)
    target = _target(document, reading)
    if target == me.iri:
        return edit_me(inner, reading)
    if inner.get("type") is not None and _kind(inner) not in _POSTS:
        raise BadInput(f"object: a Note or a Question was expected, found {_kind(inner)[:80]!r}", path="object.type")
    if any(each.get(field) for each in (document, inner) for field in ("bto", "bcc")):
        raise BadInput("bto and bcc: people can be added to a post in the open only", path="bcc")
    return Edit(target, _words(inner, me, reading), _addressed(me, reading, inner))


def _words(inner: Document, me: Me, reading: Reading, wrapper: Document | None = None) -> Words:
    body, language = mapped(inner, "content", "contentMap")
    summary, _ = mapped(inner, "summary", "summaryMap")
    kind = first(inner.get("type"))
    return Words(
        given=frozenset(inner),
        kind=kind if isinstance(kind, str) else "",
        text=_text(inner, body),
        summary=prose(summary, MAX_SUMMARY),
        sensitive=_sensitive(inner),
        language=language,
        poll=_poll(inner, reading),
        files=_files(inner, reading),
        answers=_answers(inner, reading),
        reach=_reach(reading, inner, wrapper or {}),
        ends=_ends(inner),
        quotes=quoted(inner, reading),
        quote_rule=quote_rule(inner, me),
        has_text="content" in inner or bool(inner.get("contentMap") or inner.get("source")),
        has_summary="summary" in inner or bool(inner.get("summaryMap")),
    )


def _sensitive(inner: Document) -> bool | None:
    """Whether it counts as sensitive; null, as what is not given, is None."""
    value = inner.get("sensitive")
    if value is not None and not isinstance(value, bool):
        raise BadInput(f"sensitive: true or false was expected, found {shown(value)}", path="sensitive")
    return value


def _ends(inner: Document) -> Millis | None:
    ends = moment(inner.get("endTime"))
    if ends is None and inner.get("endTime") is not None:
        raise BadInput("endTime: a date and time was expected", path="endTime")
    return ends


def _answers(inner: Document, reading: Reading) -> Iri | None:
    value = inner.get("inReplyTo")
    return None if value is None else required_iri(one(value, "inReplyTo"), "inReplyTo", reading.development)


def _text(inner: Document, body: object) -> Text:
    source = first(inner.get("source"))
    if isinstance(source, dict) and media_type(source.get("mediaType")) == "text/plain":
        typed = source.get("content")
        if isinstance(typed, str):
            return Text(clean_text(typed))
    if body is not None and not isinstance(body, str):
        raise BadInput(f"content: text was expected, found {shown(body)}", path="content")
    if isinstance(body, str) and len(body) > MAX_HTML:
        raise BadInput(f"content: at most {MAX_HTML} characters were expected, found {len(body)}", path="content")
    if media_type(inner.get("mediaType")) == "text/plain":
        return Text(clean_text(body or ""))
    return Text(html=html(body, MAX_HTML))


def _files(inner: Document, reading: Reading) -> tuple[Iri, ...]:
    entries = as_list(inner.get("attachment"))
    if len(entries) > MAX_FILES:
        raise BadInput(f"attachment: at most {MAX_FILES} were expected, found {len(entries)}", path="attachment")
    return tuple(required_iri(entry, "attachment", reading.development) for entry in entries)


def _poll(inner: Document, reading: Reading) -> Poll | None:
    multiple = inner.get("anyOf") is not None
    entries = as_list(inner.get("anyOf") if multiple else inner.get("oneOf"))
    if not entries:
        return None
    if multiple and inner.get("oneOf") is not None:
        raise BadInput("oneOf or anyOf was expected, found both", path="oneOf")
    if len(entries) > MAX_OPTIONS:
        raise BadInput(f"at most {MAX_OPTIONS} options were expected, found {len(entries)}", path="oneOf")
    titles = [mapped(entry, "name", "nameMap")[0] if isinstance(entry, dict) else None for entry in entries]
    options = []
    for title in titles:
        if not isinstance(title, str):
            raise BadInput("a poll option with a name was expected", path="oneOf")
        options.append(PollOption(clean_text(title[: 8 * MAX_NAME]).strip()))
    return Poll(tuple(options), multiple, _ends(inner), voters=0)


# Everything else


def _delete(document: Document, me: Me, reading: Reading) -> Wish:
    target = _target(document, reading)
    if target == me.iri:
        raise NotAllowed("an account is deleted with its password, in its settings")
    ref = reading.names.parse(target)
    return Unquote(target) if ref is not None and ref.kind is RefKind.QUOTE_AUTHORIZATION else Remove(target)


def _follow(document: Document, me: Me, reading: Reading) -> Wish:
    return FollowActor(_target(document, reading))


def _answer(document: Document, me: Me, reading: Reading, *, accepted: bool) -> Wish:
    inner = one(document.get("object"), "object")
    if not isinstance(inner, dict):
        return AnswerFollower(accepted, required_iri(inner, "object", reading.development), None)
    if _kind(inner) != "Follow":
        raise BadInput(f"object: a Follow was expected, found {_kind(inner)[:80]!r}", path="object.type")
    if inner.get("object") is not None and iri(one(inner["object"], "object"), reading.development) != me.iri:
        raise NotAllowed("object: only somebody's Follow of yourself can be answered")
    follow, follower = iri(inner.get("id"), reading.development), iri(inner.get("actor"), reading.development)
    if follow is None and follower is None:
        raise BadInput("object: the Follow's id or its actor was expected", path="object")
    return AnswerFollower(accepted, follow, follower)


def _accept(document: Document, me: Me, reading: Reading) -> Wish:
    return _answer(document, me, reading, accepted=True)


def _reject(document: Document, me: Me, reading: Reading) -> Wish:
    return _answer(document, me, reading, accepted=False)


def _pin(document: Document, me: Me, reading: Reading, *, added: bool) -> Wish:
    target = required_iri(one(document.get("target"), "target"), "target", reading.development)
    if target == me.featured_tags:
        inner = one(document.get("object"), "object")
        name = inner.get("name") if isinstance(inner, dict) and types_of(inner) == ("Hashtag",) else None
        if not isinstance(name, str):
            raise BadInput("object: a Hashtag with a name was expected", path="object")
        return PinTag(name, added)
    if target != me.featured:
        raise NotAllowed(f"target: {me.featured} was expected, found {target[:200]}")
    return PinPost(_target(document, reading), added)


def _add(document: Document, me: Me, reading: Reading) -> Wish:
    return _pin(document, me, reading, added=True)


def _remove(document: Document, me: Me, reading: Reading) -> Wish:
    return _pin(document, me, reading, added=False)


def _like(document: Document, me: Me, reading: Reading) -> Wish:
    return LikePost(_target(document, reading))


def _block(document: Document, me: Me, reading: Reading) -> Wish:
    return BlockActor(_target(document, reading))


def _announce(document: Document, me: Me, reading: Reading) -> Wish:
    found = _addressed(me, reading, document)
    if found.visibility is Visibility.DIRECT:
        raise BadInput("to: Public or your followers were expected; nothing is announced to single people", path="to")
    if found.blind:
        raise BadInput("bto and bcc: nothing is announced to single people", path="bcc")
    return Share(_target(document, reading), found)


def _flag(document: Document, me: Me, reading: Reading) -> Wish:
    objects = [required_iri(entry, "object", reading.development) for entry in as_list(document.get("object"))]
    if not 0 < len(objects) <= MAX_PEOPLE:
        raise BadInput(f"object: somebody, and at most {MAX_PEOPLE} posts of theirs, were expected", path="object")
    if document.get("bto") or document.get("bcc"):
        raise BadInput("bto and bcc: a report goes to moderators, and to the server of whom it is about", path="bcc")
    comment = prose(mapped(document, "content", "contentMap")[0], MAX_COMMENT)
    return Report(tuple(dict.fromkeys(objects)), comment, _entries((document,), ("to", "cc", "audience"), reading))


def _undo(document: Document, me: Me, reading: Reading) -> Wish:
    inner = one(document.get("object"), "object")
    address = iri(inner, reading.development)
    ref = reading.names.parse(address) if address is not None else None
    by_id = BY_ID.get(ref.kind, "") if ref is not None else ""
    if not isinstance(inner, dict):
        if not by_id:
            raise BadInput("object: a Follow, Like, Announce or Block of yours was expected", path="object")
        return TakeBack(by_id, address, None)
    _by(inner, "actor", me, reading)
    kind = _kind(inner) if inner.get("type") is not None else by_id
    if kind not in UNDONE or (address is not None and by_id != kind):
        raise BadInput("object: a Follow, Like, Announce or Block of yours was expected", path="object")
    target = inner.get("object")
    found = None if target is None else required_iri(one(target, "object.object"), "object.object", reading.development)
    if address is None and found is None:
        raise BadInput("object: the id of what is undone, or its object, was expected", path="object")
    return TakeBack(kind, address, found)


_READERS = {
    "Create": _create,
    "Update": _update,
    "Delete": _delete,
    "Follow": _follow,
    "Accept": _accept,
    "Reject": _reject,
    "Add": _add,
    "Remove": _remove,
    "Like": _like,
    "Block": _block,
    "Announce": _announce,
    "Flag": _flag,
    "Undo": _undo,
}
