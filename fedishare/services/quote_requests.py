"""Consent between servers: what partners ask of authors here, what their authors answer, and what they take back.

Whoever may not see a post gets no answer about it at all: hidden looks like missing.
"""

from __future__ import annotations

from fedishare.model.activities import AnswerQuote, RequestQuote
from fedishare.model.actors import Actor
from fedishare.model.ids import Id, Iri
from fedishare.model.names import RefKind
from fedishare.model.outgoing import AnswerQuoteRequest, PublishEdit
from fedishare.model.posts import Post
from fedishare.model.quotes import Consent, Interaction, Quote, QuoteState
from fedishare.services import posts as post_services
from fedishare.services import quotes
from fedishare.services.site import ReadQuoteJob, Site, check_quote, federate
from fedishare.store import actors, posts, tombstones
from fedishare.store import quotes as rows
from fedishare.store.db import Tx

_OPEN = (QuoteState.PENDING, QuoteState.ACCEPTED)


def receive_request(tx: Tx, site: Site, actor: Actor, asked: RequestQuote, *, read: bool = False) -> bool:
    """QuoteRequest of ``actor``: answered by the post's policy, as soon as the quoting post can be looked at.

    ``read``: it has been read at its origin, so what is missing now stays missing.
    """
    quoted = posts.by_iri(tx, asked.object)
    if quoted is None or not quoted.local or quoted.boost_of_id is not None:
        return False
    # spec: R43 — who cannot see the post learns nothing from asking
    if not post_services.may_answer(tx, actor, quoted):
        return False
    said = quotes.consent(tx, quoted, Interaction.QUOTE, actor.id)
    if said not in (Consent.AUTOMATIC, Consent.MANUAL):
        _answer(tx, actor, quoted, asked, None)
        return True
    made = posts.by_iri(tx, asked.instrument)
    if made is None and asked.post is not None and asked.post.quote is not None:
        made = post_services.receive(tx, site, actor, asked.post)
    if made is None:
        if read or tombstones.was_here(tx, asked.instrument):
            return False
        check_quote(tx, ReadQuoteJob(actor.iri, asked.instrument, asked.object, asked.iri or ""))
        return True
    found = rows.of_post(tx, made.id)
    # Consent is for this author's post about this very post, and for nothing else.
    if made.author_id != actor.id or found is None or found.quoted_iri != quoted.iri:
        return False
    stamp = quotes.grant(tx, site, quoted, actor, made.iri, asked.iri, said)
    if stamp is None or stamp.state is QuoteState.ACCEPTED:
        _answer(tx, actor, quoted, asked, quotes.stamp_iri(tx, site, stamp) if stamp is not None else None)
    return True


def _answer(tx: Tx, quoter: Actor, quoted: Post, asked: RequestQuote, approval: Iri | None) -> None:
    change = AnswerQuoteRequest(
        quoted.author_id, quoter.id, quoted.iri, asked.instrument, asked.iri, approval, tx.now
    )  # fmt: skip
    federate(tx, quoted.author_id, change)


def receive_answer(tx: Tx, site: Site, actor: Actor, said: AnswerQuote) -> bool:
    """Accept or Reject of a QuoteRequest of ours, by the quoted author alone."""
    made = _asked_about(tx, site, said)
    quote = rows.of_post(tx, made.id) if made is not None and made.local else None
    if made is None or quote is None or quote.quoted_author_id != actor.id or quote.state not in _OPEN:
        return False
    if not said.accepted:
        return _change(
            tx, made, quote, QuoteState.REVOKED if quote.state is QuoteState.ACCEPTED else QuoteState.REJECTED
        )
    # spec: R96 — approved only after Accept with result
    if said.result is None or quote.state is not QuoteState.PENDING or _taken_back(tx, said.result, actor):
        return False
    return _change(tx, made, quote, QuoteState.ACCEPTED, said.result)


def _asked_about(tx: Tx, site: Site, said: AnswerQuote) -> Post | None:
    """The quoting post: a QuoteRequest of ours has its number."""
    ref = site.names.parse(said.request) if said.request is not None else None
    if ref is not None and ref.kind is RefKind.QUOTE_REQUESTS and ref.id is not None:
        made = posts.by_id(tx, ref.id)
        return made if made is not None and said.quoting in (None, made.iri) else None
    return posts.by_iri(tx, said.quoting) if said.quoting is not None else None


def _taken_back(tx: Tx, approval: Iri, author: Actor) -> bool:
    return tombstones.get(tx, approval, author.iri) is not None


def _change(tx: Tx, made: Post, quote: Quote, state: QuoteState, approval: Iri | None = None) -> bool:
    """A quote's new state; that of a local post is told to everybody who has the post."""
    if not quotes.settle(tx, quote, state, approval):
        return False
    if made.local and not made.reach.is_local:
        federate(tx, made.author_id, PublishEdit(made.id, tx.now))
    return True


def receive_revocation(tx: Tx, actor: Actor, iri: Iri) -> bool:
    """Delete of an authorization by the author that gave it: nothing shows what it was for."""
    # spec: R99 — Delete of a QuoteAuthorization withdraws the quote
    ended = False
    for quote in rows.by_approval(tx, iri):
        made = posts.by_id(tx, quote.post_id)
        if made is not None and quote.quoted_author_id == actor.id and quote.state in _OPEN:
            ended = _change(tx, made, quote, QuoteState.REVOKED) or ended
    return ended


def receive_stamp(tx: Tx, ident: Id, iri: Iri, author: Iri, interacting: Iri, target: Iri) -> bool:
    """The authorization that a post names was read at the quoted author's origin. True when the quote is shown."""
    quote, made = rows.of_post(tx, ident), posts.by_id(tx, ident)
    if quote is None or made is None or quote.approval_iri != iri or quote.state not in _OPEN:
        return False
    quoted_author = actors.by_id(tx, quote.quoted_author_id) if quote.quoted_author_id is not None else None
    # spec: R97 — attributedTo, interactingObject and interactionTarget are right
    fits = quoted_author is not None and (author, interacting, target) == (
        quoted_author.iri,
        made.iri,
        quote.quoted_iri,
    )
    if quoted_author is None or not fits or _taken_back(tx, iri, quoted_author):
        receive_end(tx, ident, iri)
        return False
    rows.checked(tx, ident)
    if quote.state is QuoteState.PENDING:
        _change(tx, made, quote, QuoteState.ACCEPTED)
    return True


def receive_end(tx: Tx, ident: Id, iri: Iri) -> None:
    """The authorization that a post names is not there (any more)."""
    # spec: R99 — 404 on refetching withdraws the quote
    quote, made = rows.of_post(tx, ident), posts.by_id(tx, ident)
    if quote is not None and made is not None and quote.approval_iri == iri and quote.state in _OPEN:
        _change(tx, made, quote, QuoteState.REVOKED if quote.state is QuoteState.ACCEPTED else QuoteState.REJECTED)
