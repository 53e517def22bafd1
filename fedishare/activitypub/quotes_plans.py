"""Plans about quotes: asking a partner's author, answering one, and taking an authorization back."""

from __future__ import annotations

from fedishare.activitypub import writer
from fedishare.activitypub.outbox_facts import DocumentFacts
from fedishare.activitypub.outbox_plan import Ask, Person, Plan, audience_of, fixed, followers_iri, named, person_of
from fedishare.activitypub.outbox_posts import note_of, post_plan
from fedishare.activitypub.writer import Document
from fedishare.model.actors import Actor
from fedishare.model.ids import Iri
from fedishare.model.outgoing import AnswerQuoteRequest, RevokeQuote, SendQuoteRequest
from fedishare.services import quotes
from fedishare.store import actors, posts
from fedishare.store import quotes as rows
from fedishare.store.db import Tx

QuoteChange = SendQuoteRequest | AnswerQuoteRequest | RevokeQuote


def plan(tx: Tx, ask: Ask, change: QuoteChange) -> Plan | None:
    """The activity of a change; None when there is nothing (any more) to tell."""
    match change:
        case SendQuoteRequest():
            return _request(tx, ask, change)
        case AnswerQuoteRequest():
            return _answer(tx, ask, change)
        case RevokeQuote():
            return _revoke(tx, ask, change)


def _request(tx: Tx, ask: Ask, change: SendQuoteRequest) -> Plan | None:
    # spec: R96 — QuoteRequest: object the quoted post, instrument the post that quotes it, whole
    post = posts.by_id(tx, change.post_id)
    author = actors.by_id(tx, post.author_id) if post is not None else None
    quote = rows.of_post(tx, change.post_id)
    if post is None or author is None or quote is None or quote.quoted_author_id is None:
        return None
    person = person_of(actors.by_id(tx, quote.quoted_author_id))
    if person is None:
        return None
    target, quoted, consent = person, quote.quoted_iri, quotes.note_consent(tx, post)

    def write(public: bool) -> Document:
        note = note_of(ask, post, author, public, consent)
        return writer.quote_request(change.iri, author.iri, quoted, note, author=target.iri)

    return post_plan(change.iri, "QuoteRequest", post, author, [person], write, personal=True)


def _answer(tx: Tx, ask: Ask, change: AnswerQuoteRequest) -> Plan | None:
    # spec: R98 — Accept with result, or Reject; the request is embedded
    author, person = actors.by_id(tx, change.author_id), person_of(actors.by_id(tx, change.quoter_id))
    if author is None or person is None:
        return None
    request = writer.incoming_quote_request(
        change.request_iri, person.iri, quoted=change.quoted_iri, quoting=change.quoting_iri
    )
    if change.approval_iri is None:
        iri = ask.names.activity(author.name, "rejects", ask.number)
        return _pair(iri, "Reject", author, person, writer.reject(iri, author.iri, request), change.quoting_iri)
    iri = ask.names.activity(author.name, "accepts", ask.number)
    document = writer.accept(iri, author.iri, request) | {"result": change.approval_iri}
    return _pair(iri, "Accept", author, person, document, change.quoting_iri)


def _pair(iri: Iri, activity: str, author: Actor, person: Person, document: Document, quoting: Iri) -> Plan:
    order = f"{author.iri} about {quoting}"
    return Plan(iri, author, DocumentFacts(activity, people=False), order, (person,), fixed(document), direct=True)


def _revoke(tx: Tx, ask: Ask, change: RevokeQuote) -> Plan | None:
    # spec: R99 — to the quoter, and to everybody who got either post
    post = posts.by_id(tx, change.post_id)
    author = actors.by_id(tx, post.author_id) if post is not None else None
    if post is None or author is None:
        return None
    people = {p.actor_id: p for p in audience_of(tx, post, author)}
    quoting = posts.by_id(tx, change.quoting_id) if change.quoting_id is not None else None
    quoter = actors.by_id(tx, change.quoter_id)
    if quoting is not None and quoting.local and quoter is not None:
        people |= {p.actor_id: p for p in audience_of(tx, quoting, quoter)}
    people |= {p.actor_id: p for p in named(tx, [change.quoter_id], post.reach)}
    iri = ask.names.activity(author.name, "deletes", ask.number)
    # By its id alone: whose post it was for is one partner's, and no other partner's business.
    stamp: Document = {"id": change.iri, "type": "QuoteAuthorization", "attributedTo": author.iri}
    document = writer.delete_stamp(iri, author.iri, stamp, to=[followers_iri(author)])
    facts = DocumentFacts("Delete", None, int(post.visibility), post.reach.encode(), people=False)
    return Plan(iri, author, facts, f"{author.iri} about {change.quoting_iri}", tuple(people.values()), fixed(document))
