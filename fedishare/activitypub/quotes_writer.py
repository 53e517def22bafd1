"""Writing quotes: what a post's document says about what it quotes and who may quote it, and authorizations."""

from __future__ import annotations

from collections.abc import Sequence

from fedishare.activitypub.addressing import PUBLIC
from fedishare.activitypub.jsonld import ACTIVITY_CONTEXT
from fedishare.model.ids import Iri
from fedishare.model.posts import Post, Visibility
from fedishare.model.quotes import Group, Interaction, NoteConsent, rule_of

Document = dict[str, object]

OBJECT_LINK = 'application/ld+json; profile="https://www.w3.org/ns/activitystreams"'


def quote_fields(consent: NoteConsent) -> Document:
    """The properties of a post that quotes another one, in the current and the older spellings."""
    quoted = consent.quoted_iri
    if quoted is None:
        return {}
    # spec: R95 — quote, and quoteUri, quoteUrl, _misskey_quote for older peers
    found: Document = {"quote": quoted, "quoteUri": quoted, "quoteUrl": quoted, "_misskey_quote": quoted}
    if consent.quote_approval is not None:
        found["quoteAuthorization"] = consent.quote_approval
    return found


def quote_link(consent: NoteConsent) -> list[Document]:
    """The object link of FEP-e232."""
    quoted = consent.quoted_iri
    if quoted is None:
        return []
    # spec: R95 — a Link tag
    return [{"type": "Link", "mediaType": OBJECT_LINK, "href": quoted, "name": f"RE: {consent.quoted_url or quoted}"}]


def policy_field(post: Post, author: Iri, followers: Iri, addressed: Sequence[Iri]) -> Document:
    """``interactionPolicy`` of a local post: who may quote it, always said.

    Where the post's addressing does not name Public, neither does its policy: those that the document reaches are the
    author's followers.
    """
    # spec: R100 — our own posts state the policy
    rule = rule_of(post.interaction_policy, Interaction.QUOTE)
    everybody = PUBLIC if PUBLIC in addressed else followers
    automatic = _names(rule.automatic, everybody, followers)
    if post.visibility in (Visibility.PRIVATE, Visibility.DIRECT) or not (automatic or rule.manual):
        automatic = [author]
    manual = _names(rule.manual, everybody, followers)
    return {"canQuote": {"automaticApproval": automatic, "manualApproval": manual}}


def _names(groups: Group, everybody: Iri, followers: Iri) -> list[Iri]:
    found = ([everybody] if groups & Group.PUBLIC else []) + ([followers] if groups & Group.FOLLOWERS else [])
    return list(dict.fromkeys(found))


def quote_authorization(iri: Iri, author: Iri, *, quoting: Iri, quoted: Iri) -> Document:
    """That ``author`` agrees that ``quoting`` quotes ``quoted``."""
    # spec: R98 — the stamp that an Accept names, and that can be read
    return {
        "@context": ACTIVITY_CONTEXT,
        "id": iri,
        "type": "QuoteAuthorization",
        "attributedTo": author,
        "interactingObject": quoting,
        "interactionTarget": quoted,
    }
