"""Quotes in the store: which post quotes which, the authorizations behind it, and answers that wait for approval."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fedishare.model.ids import Id, Iri, Millis, iri_hash
from fedishare.model.posts import Visibility
from fedishare.model.quotes import Quote, QuoteState, Stamp
from fedishare.store.audience import VISIBLE, WANTED
from fedishare.store.db import Row, Tx, sql
from fedishare.store.paging import Page, paged, rows

_QUOTE = """q.post_id, q.quoter_id, q.quoted_id, q.quoted_iri, q.quoted_author_id, q.state, q.legacy, q.request_iri,
  q.approval_iri"""
PUT = sql(
    "quote_put",
    """INSERT INTO quote (post_id, quoter_id, quoted_id, quoted_iri, quoted_hash, quoted_author_id, state, legacy,
        request_iri, approval_iri, approval_hash)
       VALUES (:post, :quoter, :quoted, :iri, :hash, :author, :state, :legacy, :request, :approval, :approval_hash)""",
)
DROP = sql("quote_drop", "DELETE FROM quote WHERE post_id = :post")
OF_POST = sql("quote_of_post", f"SELECT {_QUOTE} FROM quote q WHERE q.post_id = :post")
OF_POSTS = sql("quotes_of_posts", f"SELECT {_QUOTE} FROM quote q WHERE q.post_id IN :ids[]")
OF_QUOTED = sql(
    "quotes_of_quoted", f"SELECT {_QUOTE} FROM quote q WHERE q.quoted_id = :quoted ORDER BY q.post_id LIMIT :limit"
)
BY_APPROVAL = sql(
    "quotes_by_approval", f"SELECT {_QUOTE} FROM quote q WHERE q.approval_hash = :hash AND q.approval_iri = :iri"
)
BETWEEN = sql(
    "quotes_between",
    f"SELECT {_QUOTE} FROM quote q WHERE q.quoted_author_id = :author AND q.quoter_id = :quoter ORDER BY q.post_id",
)
WAITING = sql(
    "quotes_waiting",
    f"""SELECT {_QUOTE} FROM quote q WHERE q.quoted_hash = :hash AND q.quoted_id IS NULL AND q.quoted_iri = :iri
        AND q.state < 4 ORDER BY q.post_id LIMIT 200""",
)
SET_STATE = sql(
    "quote_set_state",
    """UPDATE quote SET state = :state, approval_iri = :approval, approval_hash = :hash, checked_at = :checked
       WHERE post_id = :post AND state <> :state""",
)
SET_APPROVAL = sql(
    "quote_set_approval",
    "UPDATE quote SET approval_iri = :approval, approval_hash = :hash WHERE post_id = :post",
)
CHECKED = sql("quote_checked", "UPDATE quote SET checked_at = :now WHERE post_id = :post")
SET_QUOTED = sql(
    "quote_set_quoted", "UPDATE quote SET quoted_id = :quoted, quoted_author_id = :author WHERE post_id = :post"
)
SET_REQUEST = sql("quote_set_request", "UPDATE quote SET request_iri = :request WHERE post_id = :post")
BEREAVE = sql("quotes_bereave", "UPDATE quote SET quoted_id = NULL, state = 4 WHERE quoted_id = :quoted")
STALE = sql(
    "quotes_stale",
    """SELECT post_id, approval_iri FROM quote WHERE checked_at < :before AND state = 1 AND approval_iri IS NOT NULL
       ORDER BY checked_at LIMIT :limit""",
)
COUNT = sql(
    "post_count_quotes",
    "UPDATE post SET quotes_count = {greatest}(0, quotes_count + :change), rev = rev + 1 WHERE id = :id",
)
SET_QUOTING = sql("post_set_quoting", "UPDATE post SET quoting = :quoting, rev = rev + 1 WHERE id = :id")
SET_POLICY = sql(
    "post_set_interaction_policy",
    "UPDATE post SET interaction_policy = :policy, rev = rev + 1 WHERE id = :id AND interaction_policy <> :policy",
)
PAGE = paged(
    "quote_page",
    f"""SELECT q.post_id FROM quote q JOIN post p ON p.id = q.post_id JOIN actor a ON a.id = p.author_id
        WHERE q.quoted_id = :quoted AND q.state = 1 AND q.post_id < :before AND q.post_id > :after
        AND {VISIBLE} AND {WANTED}""",
    "q.post_id",
)
FEELINGS = sql(
    "quote_feelings",
    """SELECT a.id,
        EXISTS (SELECT 1 FROM domain_block d WHERE d.actor_id = :viewer AND d.domain = a.domain),
        EXISTS (SELECT 1 FROM block b WHERE b.actor_id = :viewer AND b.target_id = a.id),
        EXISTS (SELECT 1 FROM mute m WHERE m.actor_id = :viewer AND m.target_id = a.id
          AND (m.expires_at IS NULL OR m.expires_at > :now))
       FROM actor a WHERE a.id IN :ids[]""",
)
FOLLOWED = sql(
    "quote_followed",
    "SELECT followee_id FROM follow WHERE follower_id = :viewer AND state = 1 AND followee_id IN :ids[]",
)
FOLLOWERS_AMONG = sql(
    "quote_followers_among",
    "SELECT follower_id FROM follow WHERE followee_id = :viewer AND state = 1 AND follower_id IN :ids[]",
)

_STAMP = "s.id, s.post_id, s.quoter_id, s.quoting_iri, s.request_iri, s.state"
PUT_STAMP = sql(
    "quote_stamp_put",
    """INSERT INTO quote_stamp (id, post_id, quoter_id, quoting_iri, quoting_hash, request_iri, state)
       VALUES (:id, :post, :quoter, :iri, :hash, :request, :state) ON CONFLICT DO NOTHING""",
)
STAMP = sql("quote_stamp_by_id", f"SELECT {_STAMP} FROM quote_stamp s WHERE s.id = :id")
STAMP_FOR = sql(
    "quote_stamp_for",
    f"SELECT {_STAMP} FROM quote_stamp s WHERE s.post_id = :post AND s.quoting_hash = :hash AND s.quoting_iri = :iri",
)
STAMPS_BETWEEN = sql(
    "quote_stamps_between",
    f"""SELECT {_STAMP} FROM quote_stamp s JOIN post p ON p.id = s.post_id
        WHERE s.quoter_id = :quoter AND p.author_id = :author ORDER BY s.id""",
)
SET_STAMP = sql("quote_stamp_set", "UPDATE quote_stamp SET state = :state WHERE id = :id")

PUT_REPLY = sql(
    "reply_approval_put",
    "INSERT INTO reply_approval (post_id, visibility) VALUES (:post, :visibility) ON CONFLICT DO NOTHING",
)
REPLY = sql("reply_approval_of", "SELECT visibility, approval_iri FROM reply_approval WHERE post_id = :post")
APPROVE_REPLY = sql("reply_approval_set", "UPDATE reply_approval SET approval_iri = :approval WHERE post_id = :post")
WIDEN = sql("post_widen", "UPDATE post SET visibility = :visibility, rev = rev + 1 WHERE id = :id")


def _quote(row: Row) -> Quote:
    post, quoter, quoted, iri, author, state, legacy, request, approval = row
    return Quote(post, quoter, quoted, iri, author, QuoteState(state), bool(legacy), request, approval)


def _stamp(row: Row) -> Stamp:
    ident, post, quoter, iri, request, state = row
    return Stamp(ident, post, quoter, iri, request, QuoteState(state))


def put(tx: Tx, quote: Quote) -> None:
    """Add the quote of a post that has none."""
    tx.run(
        PUT, post=quote.post_id, quoter=quote.quoter_id, quoted=quote.quoted_id, iri=quote.quoted_iri,
        hash=iri_hash(quote.quoted_iri), author=quote.quoted_author_id, state=int(quote.state),
        legacy=int(quote.legacy), request=quote.request_iri, approval=quote.approval_iri,
        approval_hash=_hash(quote.approval_iri),
    )  # fmt: skip


def _hash(iri: str | None) -> int | None:
    return iri_hash(iri) if iri is not None else None


def drop(tx: Tx, post: Id) -> None:
    """The post quotes nothing any more."""
    tx.run(DROP, post=post)


def of_post(tx: Tx, post: Id) -> Quote | None:
    """What a post quotes."""
    row = tx.one(OF_POST, post=post)
    return _quote(row) if row else None


def of_posts(tx: Tx, idents: Iterable[Id]) -> dict[Id, Quote]:
    """What each of the posts quotes."""
    wanted = list(idents)
    return {row[0]: _quote(row) for row in tx.all(OF_POSTS, ids=wanted)} if wanted else {}


def of_quoted(tx: Tx, quoted: Id, limit: int = 1000) -> list[Quote]:
    """Who quotes a post, in whatever state, oldest first."""
    return [_quote(row) for row in tx.all(OF_QUOTED, quoted=quoted, limit=limit)]


def by_approval(tx: Tx, iri: str) -> list[Quote]:
    """The quotes that an authorization is named for."""
    return [_quote(row) for row in tx.all(BY_APPROVAL, hash=iri_hash(iri), iri=iri)]


def between(tx: Tx, quoted_author: Id, quoter: Id) -> list[Quote]:
    """One actor's quotes of another one's posts."""
    return [_quote(row) for row in tx.all(BETWEEN, author=quoted_author, quoter=quoter)]


def waiting(tx: Tx, iri: str) -> list[Quote]:
    """Quotes of a post that was not here when they came."""
    return [_quote(row) for row in tx.all(WAITING, hash=iri_hash(iri), iri=iri)]


def set_state(tx: Tx, post: Id, state: QuoteState, approval: Iri | None, checked: Millis | None) -> bool:
    """A quote's new state; False when it was in it already."""
    return tx.run(
        SET_STATE, post=post, state=int(state), approval=approval, hash=_hash(approval), checked=checked
    ) > 0  # fmt: skip


def set_approval(tx: Tx, post: Id, approval: Iri | None) -> None:
    """The authorization that a post names for its quote."""
    tx.run(SET_APPROVAL, post=post, approval=approval, hash=_hash(approval))


def checked(tx: Tx, post: Id) -> None:
    """The authorization was read again, and is still there."""
    tx.run(CHECKED, post=post, now=tx.now)


def set_quoted(tx: Tx, post: Id, quoted: Id, author: Id) -> None:
    """The quoted post has arrived."""
    tx.run(SET_QUOTED, post=post, quoted=quoted, author=author)


def set_request(tx: Tx, post: Id, request: Iri) -> None:
    """Under which id the author was asked."""
    tx.run(SET_REQUEST, post=post, request=request)


def bereave(tx: Tx, quoted: Id) -> None:
    """The quoted post is about to be deleted."""
    tx.run(BEREAVE, quoted=quoted)


def stale(tx: Tx, before: Millis, limit: int) -> list[tuple[Id, Iri]]:
    """(post, authorization) of accepted quotes that nobody has looked at since ``before``."""
    return [(row[0], row[1]) for row in tx.all(STALE, before=before, limit=limit)]


def count(tx: Tx, quoted: Id, change: int) -> None:
    """Move the number of quotes of a post."""
    tx.run(COUNT, id=quoted, change=change)


def set_quoting(tx: Tx, post: Id, quoting: bool) -> None:
    """Whether a post quotes another one."""
    tx.run(SET_QUOTING, id=post, quoting=int(quoting))


def set_policy(tx: Tx, post: Id, policy: int) -> bool:
    """A post's interaction policy; False when it is the same."""
    return tx.run(SET_POLICY, id=post, policy=policy) > 0


def page(tx: Tx, quoted: Id, viewer: Id, at: Page) -> list[Id]:
    """The posts that quote a post by its author's leave, and that ``viewer`` may and wants to see, newest first."""
    return [row[0] for row in rows(tx, PAGE, at, quoted=quoted, viewer=viewer, now=tx.now)]


@dataclass(frozen=True, slots=True)
class Feelings:
    """What a viewer does not want to see of an author."""

    blocks_domain: bool
    blocks: bool
    mutes: bool


def feelings(tx: Tx, viewer: Id, authors: Iterable[Id]) -> dict[Id, Feelings]:
    """Whether ``viewer`` blocks or mutes each of the authors."""
    found = tx.all(FEELINGS, viewer=viewer, ids=list(set(authors)), now=tx.now)
    return {row[0]: Feelings(bool(row[1]), bool(row[2]), bool(row[3])) for row in found}


def followed(tx: Tx, viewer: Id, authors: Iterable[Id]) -> set[Id]:
    """Those of the authors whom ``viewer`` follows."""
    return {row[0] for row in tx.all(FOLLOWED, viewer=viewer, ids=list(set(authors)))}


def followers_among(tx: Tx, viewer: Id, authors: Iterable[Id]) -> set[Id]:
    """Those of the authors that follow ``viewer``."""
    return {row[0] for row in tx.all(FOLLOWERS_AMONG, viewer=viewer, ids=list(set(authors)))}


# Authorizations of ours


def put_stamp(tx: Tx, stamp: Stamp) -> None:
    """Note that an author here was asked; nothing when that is noted already."""
    tx.run(
        PUT_STAMP, id=stamp.id, post=stamp.post_id, quoter=stamp.quoter_id, iri=stamp.quoting_iri,
        hash=iri_hash(stamp.quoting_iri), request=stamp.request_iri, state=int(stamp.state),
    )  # fmt: skip


def stamp(tx: Tx, ident: Id) -> Stamp | None:
    """One of them."""
    row = tx.one(STAMP, id=ident)
    return _stamp(row) if row else None


def stamp_for(tx: Tx, post: Id, quoting_iri: str) -> Stamp | None:
    """The one about a quoting post."""
    row = tx.one(STAMP_FOR, post=post, hash=iri_hash(quoting_iri), iri=quoting_iri)
    return _stamp(row) if row else None


def stamps_between(tx: Tx, author: Id, quoter: Id) -> list[Stamp]:
    """What an author here was asked by one actor."""
    return [_stamp(row) for row in tx.all(STAMPS_BETWEEN, author=author, quoter=quoter)]


def set_stamp(tx: Tx, ident: Id, state: QuoteState) -> None:
    """The author's decision."""
    tx.run(SET_STAMP, id=ident, state=int(state))


# Answers that wait for approval


def put_reply(tx: Tx, post: Id, visibility: Visibility) -> None:
    """An answer of ours waits; it will get ``visibility``."""
    tx.run(PUT_REPLY, post=post, visibility=int(visibility))


def reply(tx: Tx, post: Id) -> tuple[Visibility, Iri | None] | None:
    """(the visibility it will get, the approval when there is one); None for answers that needed none."""
    row = tx.one(REPLY, post=post)
    return (Visibility(row[0]), row[1]) if row else None


def approve_reply(tx: Tx, post: Id, approval: Iri, visibility: Visibility) -> None:
    """An answer of ours is approved, and shown to everybody that it is for."""
    tx.run(APPROVE_REPLY, post=post, approval=approval)
    tx.run(WIDEN, id=post, visibility=int(visibility))
