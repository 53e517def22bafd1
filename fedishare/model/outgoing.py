"""Outgoing changes: what a service asks to be federated, as the payload of a ``federate`` job.

Services write these in the same transaction as the change itself and never touch the network; ``activitypub/outbox``
turns each into one activity and its deliveries. What is gone by then (a deleted post) travels inside the value.
"""

from __future__ import annotations

import msgspec

from fedishare.model.ids import Id, Iri


class PublishPost(msgspec.Struct, frozen=True, tag="publish"):
    """Create of a post, or Announce when it is a boost."""

    post_id: Id


class PublishEdit(msgspec.Struct, frozen=True, tag="edit"):
    """Update of a post. For polls also when only the counts changed."""

    post_id: Id
    at: int


class WithdrawPost(msgspec.Struct, frozen=True, tag="withdraw"):
    """Delete of a post, to everybody that it went to and those that may see it."""

    post_id: Id
    iri: Iri
    author_id: Id
    visibility: int
    reach: str
    mentioned: tuple[Id, ...] = ()
    interested: tuple[Id, ...] = ()
    """Actors that boosted, favourited or answered."""
    at: int = 0


class WithdrawBoost(msgspec.Struct, frozen=True, tag="unboost"):
    """Undo of an Announce."""

    boost_id: Id
    iri: Iri
    author_id: Id
    object_iri: Iri
    object_author_id: Id
    visibility: int
    reach: str
    at: int = 0


class SendLike(msgspec.Struct, frozen=True, tag="like"):
    """Like of a partner's post, to its author."""

    actor_id: Id
    post_id: Id
    iri: Iri


class WithdrawLike(msgspec.Struct, frozen=True, tag="unlike"):
    """Undo of a Like."""

    actor_id: Id
    object_iri: Iri
    author_id: Id
    iri: Iri
    at: int = 0


class SendFollow(msgspec.Struct, frozen=True, tag="follow"):
    """Follow of a partner's actor."""

    follower_id: Id
    followee_id: Id
    iri: Iri


class WithdrawFollow(msgspec.Struct, frozen=True, tag="unfollow"):
    """Undo of a Follow."""

    follower_id: Id
    followee_id: Id
    iri: Iri
    at: int = 0


class AnswerFollowRequest(msgspec.Struct, frozen=True, tag="answer"):
    """Accept or Reject of a Follow, which is embedded whole."""

    accepted: bool
    follow_iri: Iri
    follower_id: Id
    followee_id: Id
    at: int = 0


class SendBlock(msgspec.Struct, frozen=True, tag="block"):
    """Block of a partner's actor, to that actor alone."""

    actor_id: Id
    target_id: Id
    iri: Iri


class WithdrawBlock(msgspec.Struct, frozen=True, tag="unblock"):
    """Undo of a Block."""

    actor_id: Id
    target_id: Id
    iri: Iri
    at: int = 0


class SendVotes(msgspec.Struct, frozen=True, tag="vote"):
    """Votes in a partner's poll, to its author alone."""

    actor_id: Id
    post_id: Id
    choices: tuple[int, ...]
    at: int = 0


class PublishActor(msgspec.Struct, frozen=True, tag="profile"):
    """Update of a local actor, to its followers."""

    actor_id: Id
    at: int = 0


class WithdrawActor(msgspec.Struct, frozen=True, tag="leave"):
    """Delete of a local actor, to every host that knows it."""

    actor_id: Id
    hosts: tuple[str, ...] = ()


class PublishPin(msgspec.Struct, frozen=True, tag="pin"):
    """Add to, or Remove from, featured."""

    actor_id: Id
    post_id: Id
    post_iri: Iri
    added: bool
    reach: str
    at: int = 0


class SendReport(msgspec.Struct, frozen=True, tag="report"):
    """Flag, from the instance actor; names no local person."""

    report_id: Id
    target_id: Id
    post_iris: tuple[Iri, ...]
    comment: str


class PublishMove(msgspec.Struct, frozen=True, tag="move"):
    """Move of a local actor, to its followers, once."""

    actor_id: Id
    target: Iri
    at: int = 0


class SendQuoteRequest(msgspec.Struct, frozen=True, tag="quote"):
    """QuoteRequest: may this post quote a partner's? To the quoted author."""

    post_id: Id
    iri: Iri


class AnswerQuoteRequest(msgspec.Struct, frozen=True, tag="quote-answer"):
    """Accept (with the authorization) or Reject of a QuoteRequest, which is embedded whole."""

    author_id: Id
    quoter_id: Id
    quoted_iri: Iri
    quoting_iri: Iri
    request_iri: Iri | None
    approval_iri: Iri | None
    """None: Reject."""
    at: int = 0


class RevokeQuote(msgspec.Struct, frozen=True, tag="unquote"):
    """Delete of a QuoteAuthorization, to everybody who may show the quote."""

    stamp_id: Id
    iri: Iri
    post_id: Id
    quoter_id: Id
    quoting_iri: Iri
    quoting_id: Id | None = None
    at: int = 0


class ForwardActivity(msgspec.Struct, frozen=True, tag="forward"):
    """Inbox forwarding (ActivityPub 7.1.2): a partner's reply, unchanged, to the local author's followers."""

    body: str
    iri: Iri
    author_id: Id
    post_id: Id
    """The local post that was answered."""
    origin_host: str


Outgoing = (
    PublishPost
    | PublishEdit
    | WithdrawPost
    | WithdrawBoost
    | SendLike
    | WithdrawLike
    | SendFollow
    | WithdrawFollow
    | AnswerFollowRequest
    | SendBlock
    | WithdrawBlock
    | SendVotes
    | PublishActor
    | WithdrawActor
    | PublishPin
    | SendReport
    | PublishMove
    | SendQuoteRequest
    | AnswerQuoteRequest
    | RevokeQuote
    | ForwardActivity
)
