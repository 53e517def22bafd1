"""Wishes about one's own posts: published, changed, deleted, and votes, through the use cases of the client API."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from fedishare.activitypub import writer
from fedishare.activitypub.addressing import addressing_of
from fedishare.activitypub.client_doing import (
    MISSING,
    Doing,
    Made,
    handles_of,
    own_post,
    people_of,
    seen,
    timed,
    uploads_of,
)
from fedishare.activitypub.client_wishes import (
    QUOTES,
    Edit,
    Publish,
    Remove,
    Unquote,
    Vote,
    Words,
)
from fedishare.activitypub.writer import Document
from fedishare.model.actors import Actor, ActorState
from fedishare.model.errors import BadInput, NotFound, PolicyRefusal
from fedishare.model.ids import Iri, Millis
from fedishare.model.outgoing import (
    PublishEdit,
    RevokeQuote,
    SendVotes,
    WithdrawPost,
)
from fedishare.model.posts import (
    Draft,
    Poll,
    Post,
    PostKind,
    Reach,
    Visibility,
)
from fedishare.policy.facts import KEEPS_QUEUE, DeliveryFacts
from fedishare.services import audience, interactions, quotes
from fedishare.services import posts as post_services
from fedishare.services.preferences import with_preferences
from fedishare.store import actors, posts
from fedishare.store import quotes as quote_rows

# Posts


def _note(doing: Doing, post: Post) -> Document:
    """A post as its author reads it: with everybody whom it names, and nobody whom it does not."""
    to, cc = addressing_of(post, doing.me, post.content.mentions, public_addressing=True)
    consent = quotes.note_consent_for(doing.tx, post, doing.me.id)
    return writer.note(post, doing.me, names=doing.names, to=to, cc=cc, consent=consent)


def publish(doing: Doing, wish: Publish) -> Made:
    tx, words = doing.tx, wish.words
    named, hidden = people_of(doing, wish.addressed.people), people_of(doing, wish.addressed.blind)
    answered = seen(doing, words.answers) if words.answers is not None else None
    quoted = _quoted(doing, words)
    draft = Draft(
        text=words.text.words(handles_of((*named.values(), *hidden.values()))), visibility=wish.addressed.visibility,
        summary=words.summary, sensitive=words.sensitive, language=words.language,
        in_reply_to_id=answered.id if answered is not None else None, poll=timed(words.poll, tx.now),
        app_name=doing.context.app_name, media_ids=uploads_of(doing, words.files) or None,
        addressed=tuple(actor.id for actor in named.values()), blind=tuple(actor.id for actor in hidden.values()),
        quoted_id=quoted.id if quoted is not None else None, quote_rule=words.quote_rule,
    )  # fmt: skip
    draft = with_preferences(tx, doing.me.id, draft)
    draft = replace(draft, reach=_reach(doing, words, draft, (*named.values(), *hidden.values())))
    _may_be_blind(draft, hidden.values())
    _ask(doing, draft, (*named.values(), *hidden.values()))
    made = post_services.publish(tx, doing.context.site, doing.me, draft, key=doing.context.key)
    return published(doing, made.post)


def published(doing: Doing, post: Post) -> Made:
    """The Create of one's own post."""
    document = writer.create(_note(doing, post))
    return Made(Iri(str(document["id"])), document)


def _quoted(doing: Doing, words: Words) -> Post | None:
    """What it quotes. Raises `NotFound` in the client API's words: hidden, unwilling and missing alike."""
    if words.quotes is None:
        return None
    found = posts.by_iri(doing.tx, words.quotes)
    if found is None:
        raise NotFound(quotes.NOT_QUOTABLE)
    return quotes.quoted_post(doing.tx, doing.me, found.id)


def _reach(doing: Doing, words: Words, draft: Draft, people: Iterable[Actor]) -> Reach:
    """What the document says; else the default, and the partners whose people it addresses: that is explicit."""
    if words.reach is not None:
        for domain in sorted(words.reach.domains or ()):
            if doing.context.guard.policy.find(domain)[1] is None:
                raise BadInput(f"Validation failed: {domain} is not a partner of this server", path="reach")
        return words.reach
    answered = audience.answered_post(doing.tx, doing.me, draft.in_reply_to_id)
    author = actors.by_id(doing.tx, answered.author_id) if answered is not None else None
    quoted = quotes.quoted_post(doing.tx, doing.me, draft.quoted_id)
    quoted_author = actors.by_id(doing.tx, quoted.author_id) if quoted is not None else None
    visibility = draft.visibility if draft.visibility is not None else Visibility.DIRECT
    usual = audience.default_reach(doing.context.site, visibility, answered, author, (), quoted_author)
    if usual.domains is None:
        return usual
    return Reach(usual.domains | {actor.domain for actor in people if actor.domain is not None})


def _may_be_blind(draft: Draft, hidden: Iterable[Actor]) -> None:
    """Elsewhere only a direct post finds people whom it does not name: it goes to their own inboxes."""
    if draft.visibility is not Visibility.DIRECT and any(actor.host is not None for actor in hidden):
        raise BadInput("bto and bcc: people elsewhere can get direct posts like this, and no others", path="bcc")


def _ask(doing: Doing, draft: Draft, people: Iterable[Actor]) -> None:
    """Nobody is addressed in vain: the guard says now whom it would withhold the post from. Raises `PolicyRefusal`."""
    guard, tx = doing.context.guard, doing.tx
    answered = audience.answered_post(tx, doing.me, draft.in_reply_to_id)
    quoted = quotes.quoted_post(tx, doing.me, draft.quoted_id)
    labels = audience.labels(tx, doing.context.site, draft, answered, quoted)
    wide = labels.visibility <= Visibility.UNLISTED
    for actor in people:
        if actor.host is None:
            continue
        partner = guard.policy.find(actor.host)[1]
        public = guard.policy.public_addressing or (partner is not None and partner.terms.public_addressing)
        facts = DeliveryFacts(
            activity_type="Create", object_type=(PostKind.QUESTION if draft.poll else PostKind.NOTE).value,
            visibility=labels.visibility, reach=labels.reach, has_media=bool(draft.media_ids),
            public_addressed=wide and public,
        )  # fmt: skip
        decision = guard.explain(facts.to_host(actor.host, tx.now))
        if not decision.allowed and decision.rule not in KEEPS_QUEUE:
            raise PolicyRefusal(f"{actor.iri}: {decision.reason}; nothing was published", rule=decision.rule)


def vote(doing: Doing, wish: Vote) -> Made:
    question = seen(doing, wish.question)
    poll = question.content.poll
    titles = [option.title for option in poll.options] if poll is not None else []
    choices = [titles.index(name) if name in titles else -1 for name in wish.options]
    interactions.vote(doing.tx, doing.me, question.id, choices)
    author = actors.by_id(doing.tx, question.author_id)
    document = writer.vote(
        doing.named("votes", SendVotes), doing.me.iri, question=question.iri, option=titles[min(choices)],
        author=author.iri if author is not None else question.iri, published=doing.tx.now,
    )  # fmt: skip
    return Made(Iri(str(document["id"])), document)


def edit(doing: Doing, wish: Edit) -> Made:
    """Only what is given changes (6.3); what names the post's place and audience stays as it is."""
    tx, words = doing.tx, wish.words
    post = own_post(doing, wish.object)
    _same_place(doing, post, wish)
    named = people_of(doing, wish.addressed.people)
    before = actors.by_ids(tx, (mention.actor_id for mention in post.content.mentions if not mention.silent))
    known = [ident for ident, actor in before.items() if actor.state < ActorState.SUSPENDED]
    known += [actor.id for actor in named.values() if actor.id not in known]
    content = post.content
    draft = Draft(
        text=words.text.words(handles_of(actors.by_ids(tx, known).values())) if words.has_text else content.source,
        summary=words.summary if words.has_summary else content.summary,
        sensitive=bool(words.sensitive) if "sensitive" in words.given else content.sensitive,
        language=(words.language or "") if "contentMap" in words.given else None, quote_rule=words.quote_rule,
        poll=_new_poll(words, content.poll, tx.now),
        media_ids=uploads_of(doing, words.files) if "attachment" in words.given else None,
        addressed=tuple(known), visibility=post.visibility, reach=post.reach, in_reply_to_id=post.in_reply_to_id,
    )  # fmt: skip
    _ask(doing, replace(draft, in_reply_to_id=None), named.values())
    post_services.edit(tx, doing.context.site, doing.me, post.id, draft)
    changed = own_post(doing, wish.object)
    iri = doing.named("updates", PublishEdit)
    return Made(iri, writer.update(iri, _note(doing, changed)))


def _same_place(doing: Doing, post: Post, wish: Edit) -> None:
    """Raises `BadInput` for a change of what never changes."""
    words = wish.words
    if words.kind and words.kind != post.kind.value:
        raise BadInput(f"a {post.kind.value} never becomes a {words.kind}", path="object.type")
    if "inReplyTo" in words.given and words.answers != post.in_reply_to_iri:
        raise BadInput("what a post answers never changes", path="object.inReplyTo")
    quote = quote_rows.of_post(doing.tx, post.id) if post.quoting else None
    if not words.given.isdisjoint(QUOTES) and words.quotes != (quote.quoted_iri if quote is not None else None):
        raise BadInput("what a post quotes never changes", path="object.quote")
    if wish.addressed.given and wish.addressed.visibility is not post.visibility:
        raise BadInput(f"who may see a post never changes: it is {post.visibility.word}", path="object.to")
    if words.reach is not None and words.reach != post.reach:
        raise BadInput("how far a post travels never changes", path="object.reach")


def _new_poll(words: Words, before: Poll | None, now: Millis) -> Poll | None:
    given = not words.given.isdisjoint(("oneOf", "anyOf"))
    if (given or words.ends is not None) and before is None:
        raise BadInput("a Note has no options", path="object.oneOf")
    if "endTime" in words.given and words.ends is None and before is not None:
        raise BadInput("a Question keeps its end, or gets another", path="object.endTime")
    if given and words.poll is None:
        raise BadInput("a Question keeps its options, or gets others", path="object.oneOf")
    if given and words.poll is not None and before is not None:
        ends = words.poll.ends_at if words.poll.ends_at is not None else before.ends_at
        return timed(replace(words.poll, ends_at=ends), now)
    if before is not None and words.ends not in (None, before.ends_at):
        return timed(replace(before, ends_at=words.ends), now)
    return before


def unquote(doing: Doing, wish: Unquote) -> Made:
    """A local author takes back that a post quotes theirs; whoever may show it is told."""
    ref = doing.names.parse(wish.object)
    if ref is None or ref.id is None or ref.name != doing.me.name:
        raise NotFound(MISSING)
    quotes.revoke_stamp(doing.tx, doing.context.site, doing.me, ref.id)
    iri = doing.named("deletes", RevokeQuote)
    inner: Document = {"id": wish.object, "type": "QuoteAuthorization", "attributedTo": doing.me.iri}
    return Made(iri, writer.delete_stamp(iri, doing.me.iri, inner, to=[doing.names.followers(doing.me.name)]))


def remove(doing: Doing, wish: Remove) -> Made:
    post = own_post(doing, wish.object)
    to, cc = addressing_of(post, doing.me, post.content.mentions, public_addressing=True)
    post_services.remove(doing.tx, doing.me, post.id)
    iri = doing.named("deletes", WithdrawPost)
    return Made(iri, writer.delete(iri, doing.me.iri, post.iri, to=to, cc=cc, deleted=doing.tx.now))
