"""Checking quotes: what a partner's post quotes is read, and the authorization that it names, at their own origins.

Jobs, so that nobody waits for a partner. Everything goes through policy and gateway like any other fetch.
"""

from __future__ import annotations

from functools import partial

import msgspec

from fedishare.activitypub import fetching, resolver
from fedishare.activitypub.federation import Federation
from fedishare.activitypub.quotes_reader import read_authorization
from fedishare.jobs import Handler, Result
from fedishare.model.activities import RequestQuote
from fedishare.model.actors import ActorState
from fedishare.model.errors import FetchFailed
from fedishare.model.ids import Id, Iri, origin_of
from fedishare.model.quotes import Quote, QuoteState
from fedishare.policy.facts import Purpose
from fedishare.services import quote_requests, quotes
from fedishare.services.site import QUOTE, CheckQuoteJob, QuoteJob, ReadQuoteJob, Site
from fedishare.store import actors, posts
from fedishare.store import quotes as rows
from fedishare.store.db import Tx
from fedishare.store.jobs import Job

_GONE = frozenset((404, 410))


def handlers(federation: Federation) -> dict[str, Handler]:
    """The jobs of this module: by kind, what runs them."""
    per_host = federation.instance.config.federation.per_host
    return {QUOTE: Handler(partial(run, federation), per_host=per_host)}


async def run(federation: Federation, job: Job) -> Result | None:
    """One check. Raises `FetchFailed` (worth another try) and `PolicyRefusal`."""
    what: QuoteJob = msgspec.json.decode(job.payload, type=QuoteJob)
    match what:
        case CheckQuoteJob():
            return await resolver.settled(_check(federation, what))
        case ReadQuoteJob():
            return await resolver.settled(_read(federation, what))


async def _check(federation: Federation, what: CheckQuoteJob) -> None:
    database = federation.instance.database
    quote = await database.read(rows.of_post, what.post_id)
    if quote is None or quote.state not in (QuoteState.PENDING, QuoteState.ACCEPTED):
        return
    if quote.quoted_id is None:
        # A post of ours that is not here is none, and nobody else is asked about it.
        if not federation.instance.site.names.is_ours(quote.quoted_iri):
            post = await resolver.fetch_post(federation, quote.quoted_iri, what.depth + 1)
            if post is not None:
                await database.write(quotes.arrived, post)
        return
    if quote.approval_iri is not None:
        await _verify(federation, quote, quote.approval_iri)


async def _verify(federation: Federation, quote: Quote, approval: Iri) -> None:
    """Believe an authorization only as it is read at the quoted author's origin."""
    # spec: R97 — fetched from the quoted author's origin
    database, site = federation.instance.database, federation.instance.site
    author = await database.read(_author, quote)
    if author is None or origin_of(approval) != origin_of(author):
        await database.write(quote_requests.receive_end, quote.post_id, approval)
        return
    try:
        document = await fetching.document(federation, approval, Purpose.OBJECT)
    except FetchFailed as error:
        if error.http_status not in _GONE:
            raise
        await database.write(quote_requests.receive_end, quote.post_id, approval)
        return
    found = read_authorization(document, "QuoteAuthorization", site.development)
    await database.write(
        quote_requests.receive_stamp, quote.post_id, found.iri, found.author, found.interacting, found.target
    )


def _author(tx: Tx, quote: Quote) -> Iri | None:
    author = actors.by_id(tx, quote.quoted_author_id) if quote.quoted_author_id is not None else None
    return author.iri if author is not None and not author.is_local else None


async def _read(federation: Federation, what: ReadQuoteJob) -> None:
    """A post that asks to quote one of ours, and did not come along with the question."""
    # spec: R98 — answered once it can be looked at; left pending when it cannot
    await resolver.fetch_post(federation, Iri(what.iri))
    await federation.instance.database.write(_answer, federation.instance.site, what)


def _answer(tx: Tx, site: Site, what: ReadQuoteJob) -> Id | None:
    quoter, made = actors.by_iri(tx, what.quoter), posts.by_iri(tx, what.iri)
    if quoter is None or quoter.state >= ActorState.SUSPENDED or made is None:
        return None
    request = Iri(what.request) if what.request else None
    asked = RequestQuote(request, Iri(what.quoted), Iri(what.iri), None)
    quote_requests.receive_request(tx, site, quoter, asked, read=True)
    return made.id
