"""Addressing: who a document is for (to, cc) and which inboxes that means.

`visibility_of` reads what peers wrote and never widens: what it does not understand is the smallest audience.
`addressing_of` writes ours. `collapse_inboxes` turns recipients into POSTs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

from fedishare.model.actors import Actor
from fedishare.model.ids import Domain, Iri
from fedishare.model.posts import Mention, Post, Visibility

# spec: R21 — always written in the full form
PUBLIC = Iri("https://www.w3.org/ns/activitystreams#Public")
"""The one form that we write."""

# spec: R21 — recognised in three forms
PUBLIC_FORMS = frozenset((PUBLIC, "as:Public", "Public"))
"""Every form that we read."""

Recipient = tuple[Iri, Domain, Iri, Iri | None]
"""An actor's IRI, its host, its inbox and its shared inbox."""

Destination = tuple[Domain, Iri, tuple[Iri, ...]]
"""A host, the inbox to POST to, and the recipients that this POST serves."""


def is_public(iri: str) -> bool:
    """Whether an address is the Public collection, in any of its forms."""
    return iri in PUBLIC_FORMS


def looks_like_followers(iri: str, followers: str | None = None) -> bool:
    """Whether an address is a followers collection: the author's, or by its name."""
    return iri == followers or iri.endswith("/followers")


def visibility_of(to: Sequence[str], cc: Sequence[str], followers: str | None = None) -> Visibility:
    """Who may see what is addressed like this. ``followers`` is the author's collection, when known.

    Anything that is not understood (another collection, nothing at all) narrows to DIRECT, never widens.
    """
    # spec: R20 — Public in to; Public in cc; a followers collection without Public; otherwise named actors only
    if not PUBLIC_FORMS.isdisjoint(to):
        return Visibility.PUBLIC
    if not PUBLIC_FORMS.isdisjoint(cc):
        return Visibility.UNLISTED
    for iri in (*to, *cc):
        if looks_like_followers(iri, followers):
            return Visibility.PRIVATE
    return Visibility.DIRECT


def addressing_of(
    post: Post, author: Actor, mentions: Iterable[Mention], *, public_addressing: bool
) -> tuple[tuple[Iri, ...], tuple[Iri, ...]]:
    """(to, cc) of a local post, or of a boost (its Announce), for one class of partners.

    With ``public_addressing`` the ordinary form: Public in ``to`` or ``cc``. Without it, PUBLIC and UNLISTED are
    addressed to the author's followers and the people mentioned, and to nobody else: the partner's server takes that
    for a followers-only post and shows it as such. That is meant: our "public" is never the open internet
    unless the terms say so. Nothing on the wire says that it was wider here.
    """
    followers = author.endpoints.followers or Iri(f"{author.iri}/followers")
    named = tuple(dict.fromkeys(mention.iri for mention in mentions))
    match post.visibility:
        case Visibility.DIRECT:
            return named, ()
        case Visibility.PUBLIC if public_addressing:
            return (PUBLIC,), (followers, *named)
        case Visibility.UNLISTED if public_addressing:
            return (followers,), (PUBLIC, *named)
        case _:
            return (followers,), named


def collapse_inboxes(recipients: Iterable[Recipient], *, direct: bool) -> list[Destination]:
    """The POSTs that reach all recipients: one shared inbox a host, personal inboxes where there is none.

    Direct posts always go to personal inboxes. The order is that of first appearance, and each inbox appears once.
    """
    # spec: R117 — shared inbox once per host, personal inboxes for direct posts
    # spec: R44 — a shared inbox only of hosts that recipients live on
    inboxes: dict[tuple[Domain, Iri], dict[Iri, None]] = {}
    for iri, host, personal, shared in recipients:
        inbox = personal if direct or shared is None else shared
        inboxes.setdefault((host, inbox), {})[iri] = None
    return [(host, inbox, tuple(iris)) for (host, inbox), iris in inboxes.items()]


def followers_digest(iris: Iterable[str]) -> str:
    """The partial follower digest of FEP-8fcf: XOR of the SHA-256 of each id, in hex. Order does not matter."""
    # spec: R119 — XOR of SHA-256 of the ids
    digest = 0
    for iri in iris:
        digest ^= int.from_bytes(sha256(iri.encode()).digest(), "big")
    return f"{digest:064x}"
