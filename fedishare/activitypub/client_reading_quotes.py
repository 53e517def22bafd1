"""Reading what a person's own post quotes, and who may quote it (FEP-044f), as far as people can choose that here."""

from __future__ import annotations

from fedishare.activitypub.addressing import PUBLIC_FORMS
from fedishare.activitypub.client_wishes import QUOTES, Me
from fedishare.activitypub.jsonld import as_list
from fedishare.activitypub.reader_values import Document, Reading, one, reference, required_iri, shown
from fedishare.model.errors import BadInput
from fedishare.model.ids import Iri
from fedishare.model.quotes import ANYBODY, FOLLOWERS, NOBODY, Rule

_OTHERS = ("canReply", "canLike", "canAnnounce")
_PARTS = frozenset(("type", "id", "canQuote", *_OTHERS))
_APPROVALS = ("automaticApproval", "always")
_ASKED = ("manualApproval", "approvalRequired")


def quoted(inner: Document, reading: Reading) -> Iri | None:
    """What a post quotes, in whatever spelling; several must agree. Raises `BadDocument`, `BadInput`."""
    found = {
        required_iri(one(inner[name], name), name, reading.development)
        for name in QUOTES
        if as_list(inner.get(name))
    }  # fmt: skip
    if len(found) > 1:
        raise BadInput("quote: one post was expected, and its older spellings name another", path="quote")
    return next(iter(found), None)


def quote_rule(inner: Document, me: Me) -> Rule | None:
    """``interactionPolicy.canQuote``; None when it is not spoken of, and null lets nobody. Raises `BadInput`.

    What people cannot choose here (who may answer, whom they decide about one by one) is refused, not left out.
    """
    if "interactionPolicy" not in inner:
        return None
    policy = inner["interactionPolicy"]
    if policy is None:
        return NOBODY
    policy = one(policy, "interactionPolicy")
    if not isinstance(policy, dict) or not _PARTS.issuperset(policy):
        raise BadInput("interactionPolicy: canQuote alone was expected", path="interactionPolicy")
    for name in _OTHERS:
        if policy.get(name) is not None and not _addresses(policy, name, _APPROVALS) & PUBLIC_FORMS:
            raise BadInput(f"{name}: everybody may, who sees a post; that cannot be changed here", path=name)
    asked = _addresses(policy, "canQuote", _ASKED) - {me.iri}
    if asked:
        raise BadInput("manualApproval: quotes are approved by rule alone here", path="interactionPolicy.canQuote")
    named = _addresses(policy, "canQuote", _APPROVALS) - {me.iri}
    if named & PUBLIC_FORMS:
        named -= PUBLIC_FORMS | {me.followers}
        rule = ANYBODY
    else:
        rule = FOLLOWERS if me.followers in named else NOBODY
        named -= {me.followers}
    if named:
        sentence = (
            f"automaticApproval: Public, your followers or yourself were expected, found {sorted(named)[0][:200]}"
        )
        raise BadInput(sentence, path="interactionPolicy.canQuote")
    return rule


def _addresses(policy: Document, part: str, names: tuple[str, ...]) -> set[str]:
    value = policy.get(part)
    if value is None:
        return set()
    value = one(value, part)
    if not isinstance(value, dict):
        raise BadInput(f"{part}: automaticApproval was expected, found {shown(value)}", path=part)
    found = set()
    for name in names:
        for entry in as_list(value.get(name)):
            address = entry if isinstance(entry, str) else reference(entry)
            if not isinstance(address, str):
                raise BadInput(f"{name}: ids were expected, found {shown(address)}", path=part)
            found.add(address)
    return found
