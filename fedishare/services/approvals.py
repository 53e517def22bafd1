"""Answers that need approval: to partners' posts whose authors decide who answers.

Until such an answer is approved it is a direct post to that author; then it becomes what it was meant to be.
"""

from __future__ import annotations

from dataclasses import replace

from fedishare.model.activities import AnswerReply, PostPublished
from fedishare.model.actors import Actor
from fedishare.model.outgoing import PublishPost
from fedishare.model.posts import Post, Visibility
from fedishare.model.quotes import Consent, Interaction
from fedishare.services import audience, notifications, quotes
from fedishare.services.site import Site, federate
from fedishare.store import posts, timelines
from fedishare.store import quotes as rows
from fedishare.store.db import Tx

WAITS = "the author of the post that it answers decides about answers: until then nobody else sees it"


def waits(tx: Tx, author: Actor, answered: Post | None) -> bool:
    """Whether an answer has to be approved first. Raises `NotAllowed` where none is wanted."""
    # spec: R102 — a policed post
    if answered is None or answered.local:
        return False
    return quotes.require(tx, answered, Interaction.REPLY, author.id) is Consent.MANUAL


def held(post: Post, answered: Post) -> Post:
    """A new answer as it is until it is approved: a direct post to the author of ``answered``."""
    # spec: R102 — for its author only, and shown to nobody else
    theirs = tuple(replace(m, silent=False) for m in post.content.mentions if m.actor_id == answered.author_id)
    return replace(post, visibility=Visibility.DIRECT, content=replace(post.content, mentions=theirs))


def noted(labels: audience.Labels) -> audience.Labels:
    """The labels that an answer is meant to have, with the note that it has to wait."""
    return replace(labels, narrowed=(*labels.narrowed, WAITS))


def hold(tx: Tx, post: Post, labels: audience.Labels) -> None:
    """Remember what an answer that waits is meant to be."""
    if WAITS in labels.narrowed:
        rows.put_reply(tx, post.id, labels.visibility)


def still_held(tx: Tx, post: Post, named: audience.Named, answered: Post | None) -> audience.Named:
    """The people that an edited answer is for: while it waits, the answered author alone."""
    waiting = rows.reply(tx, post.id) if post.visibility is Visibility.DIRECT and answered is not None else None
    if waiting is None or waiting[1] is not None or answered is None:
        return named
    return replace(named, mentions=tuple(m for m in post.content.mentions if m.actor_id == answered.author_id))


def receive_answer(tx: Tx, site: Site, actor: Actor, said: AnswerReply) -> bool:
    """The author's decision. A no leaves the answer where it is."""
    post = posts.by_iri(tx, said.reply)
    waiting = rows.reply(tx, post.id) if post is not None else None
    answered = posts.by_id(tx, post.in_reply_to_id) if post is not None and post.in_reply_to_id is not None else None
    if post is None or waiting is None or waiting[1] is not None or answered is None:
        return False
    if answered.author_id != actor.id or not said.accepted or said.result is None:
        return False
    # spec: R102 — approved: shown to everybody that it is for, with the approval's name
    rows.approve_reply(tx, post.id, said.result, waiting[0])
    labels = audience.Labels(waiting[0], post.reach)
    named = audience.with_answered(
        tx, audience.named_people(tx, site, post.content.source, post.reach), labels, answered
    )  # fmt: skip
    before = set(posts.mentioned_ids(tx, post.id))
    posts.put_mentions(tx, post.id, named.mentions)
    posts.set_content_extra(tx, post.id, replace(post.content, mentions=named.mentions))
    fresh = posts.by_id(tx, post.id)
    assert fresh is not None  # noqa: S101 — just changed
    timelines.add_for_followers(
        tx, post.id, post.author_id, answered=answered.author_id, direct=waiting[0] is Visibility.DIRECT,
        language=post.content.language,
    )  # fmt: skip
    notifications.name_people(tx, fresh, [m.actor_id for m in named.mentions if m.actor_id not in before])
    tx.notify(PostPublished(post.id, post.author_id))
    federate(tx, post.author_id, PublishPost(post.id))
    return True
