"""Reading quotes and interaction policies: what a post quotes, and who may do what with it; authorizations."""

from __future__ import annotations

from dataclasses import dataclass

from fedishare.activitypub.addressing import PUBLIC_FORMS
from fedishare.activitypub.jsonld import as_list
from fedishare.activitypub.reader_values import (
    MAX_TAGS,
    MAX_VALUES,
    Document,
    Reading,
    first,
    iri,
    kind_of,
    media_type,
    objects,
    reference,
    required_iri,
    same_origin,
)
from fedishare.model.activities import AnswerQuote, AnswerReply
from fedishare.model.errors import BadDocument
from fedishare.model.ids import Iri
from fedishare.model.names import RefKind
from fedishare.model.quotes import OPEN, Group, Interaction, RemoteQuote, Rule, with_rule

_LEGACY = ("quoteUri", "quoteUrl", "_misskey_quote")
_QUOTE_RELS = frozenset(("https://misskey-hub.net/ns#_misskey_quote", "https://w3id.org/fep/044f#quote"))
_DOCUMENTS = frozenset(("application/activity+json", "application/ld+json"))
_PARTS = {
    "canQuote": Interaction.QUOTE,
    "canReply": Interaction.REPLY,
    "canLike": Interaction.LIKE,
    "canAnnounce": Interaction.ANNOUNCE,
}


def read_quote(document: Document, me: Iri, reading: Reading) -> RemoteQuote | None:
    """What a post quotes; the older spellings count, but carry no consent."""
    # spec: R95 — quote, and what older peers write instead
    development = reading.development
    quoted = iri(document.get("quote"), development)
    if quoted is not None:
        approval = iri(document.get("quoteAuthorization"), development)
        return RemoteQuote(quoted, approval) if quoted != me else None
    for name in _LEGACY:
        quoted = iri(document.get(name), development)
        if quoted is not None:
            break
    else:
        quoted = _linked(document, development)
    return RemoteQuote(quoted, None, legacy=True) if quoted is not None and quoted != me else None


def _linked(document: Document, development: bool) -> Iri | None:
    """The first object link among the tags (FEP-e232) that is there as a quote."""
    for tag in objects(document.get("tag"), MAX_TAGS):
        if kind_of(tag, ("Link",)) is None or media_type(tag.get("mediaType")) not in _DOCUMENTS:
            continue
        name, rels = tag.get("name"), {each for each in as_list(tag.get("rel")) if isinstance(each, str)}
        if rels & _QUOTE_RELS or (isinstance(name, str) and name.startswith("RE:")):
            return iri(tag.get("href"), development)
    return None


def read_policy(document: Document, author: Iri) -> int:
    """A post's interaction policy, as it is stored. What it does not speak of is as if it stated none.

    The author's collections are known by their names, like in addressing; to be wrong there only means to be asked.
    """
    # spec: R100, R101 — absence means nobody for quotes, and everybody for the rest
    stated = document.get("interactionPolicy")
    policy = OPEN
    if not isinstance(stated, dict):
        return policy
    for name, interaction in _PARTS.items():
        part = stated.get(name)
        if isinstance(part, list):
            part = part[0] if part else None
        if isinstance(part, dict) and _says(part):
            automatic = _groups(part, "automaticApproval", "always", author)
            manual = _groups(part, "manualApproval", "approvalRequired", author)
            policy = with_rule(policy, interaction, Rule(automatic, manual))
    return policy


def _says(part: Document) -> bool:
    names = ("automaticApproval", "always", "manualApproval", "approvalRequired")
    return any(part.get(name) is not None for name in names)


def _groups(part: Document, name: str, old: str, author: Iri) -> Group:
    # spec: R101 — single strings or lists, old names too
    value = part.get(name) if part.get(name) is not None else part.get(old)
    found = Group.NONE
    for entry in as_list(value)[:MAX_VALUES]:
        address = entry if isinstance(entry, str) else reference(entry)
        if not isinstance(address, str) or address == author:
            continue
        if address in PUBLIC_FORMS:
            found |= Group.PUBLIC
        elif same_origin(address, author) and address.endswith("/followers"):
            found |= Group.FOLLOWERS
        elif same_origin(address, author) and address.endswith("/following"):
            found |= Group.FOLLOWING
        else:
            found |= Group.OTHERS
    return found


def read_consent(document: Document, signer: Iri, reading: Reading, accepted: bool) -> AnswerQuote | AnswerReply | None:
    """An answer of ``signer`` to something of ours that needs consent: a QuoteRequest, or an answer to a post."""
    inner, development = first(document.get("object")), reading.development
    address, result = iri(inner, development), iri(document.get("result"), development)
    if result is not None and not same_origin(result, signer):
        result = None  # spec: R97 — an authorization lives on the origin of who gives it
    asked: Document = inner if isinstance(inner, dict) else {}
    ref = reading.names.parse(address) if address is not None else None
    kind = ref.kind if ref is not None else None
    instrument = iri(asked.get("instrument"), development)
    if kind is RefKind.QUOTE_REQUESTS or kind_of(asked, ("QuoteRequest",)) is not None:
        return AnswerQuote(accepted, address, instrument, result)
    # spec: R102 — of the ReplyRequest, or of the reply itself
    if kind_of(asked, ("ReplyRequest",)) is not None:
        return AnswerReply(accepted, instrument, result) if instrument is not None else None
    if address is None or kind not in (RefKind.POST, RefKind.POST_ACTIVITY):
        return None
    return AnswerReply(accepted, Iri(address.removesuffix("/activity")), result)


@dataclass(frozen=True, slots=True)
class Authorization:
    """A `QuoteAuthorization` or `ReplyAuthorization` as its document states it."""

    iri: Iri
    author: Iri
    interacting: Iri
    target: Iri


def read_authorization(document: Document, kind: str, development: bool) -> Authorization:
    """An authorization of one kind. Raises `BadDocument`."""
    # spec: R97 — of either namespace: both are one term after normalisation
    if kind_of(document, (kind,)) is None:
        raise BadDocument(f"a {kind} was expected", path="type")
    return Authorization(
        required_iri(document.get("id"), "id", development),
        required_iri(document.get("attributedTo"), "attributedTo", development),
        required_iri(document.get("interactingObject"), "interactingObject", development),
        required_iri(document.get("interactionTarget"), "interactionTarget", development),
    )
