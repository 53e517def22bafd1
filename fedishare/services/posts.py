"""Posts: publish, edit, delete, and receive what partners publish."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from fedishare.model.activities import PostEdited, PostPublished, PostRemoved
from fedishare.model.actors import Actor, ActorState, FollowState
from fedishare.model.errors import BadInput, NotAllowed, NotFound
from fedishare.model.ids import Handle, Id, Iri, Millis
from fedishare.model.outgoing import PublishEdit, PublishPost, WithdrawPost
from fedishare.model.posts import LOCAL, Content, Draft, Mention, Post, PostKind, RemotePost, Visibility
from fedishare.model.quotes import OPEN
from fedishare.services import approvals, audience, cards, conversations, emojis, media, notifications, quotes
from fedishare.services.site import FetchPostJob, Site, federate, fetch
from fedishare.store import activities, actors, interactions, posts, relations, timelines, tombstones
from fedishare.store.db import Tx
from fedishare.store.paging import Page
from fedishare.text import MentionTarget, clean_text, compose_html, normalise_hashtag, over_limit, scan

MAX_THREAD_FETCH = 20
"""How many unknown parents above a received reply are read."""


@dataclass(frozen=True, slots=True)
class Published:
    """A new post, who it could not reach, and what was narrowed."""

    post: Post
    unreached: tuple[tuple[str, str], ...] = ()
    narrowed: tuple[str, ...] = ()
    author: Actor | None = None
    """As they are with it; None for a repeated one."""
    repeated: bool = False
    """The Idempotency-Key was used before; this is the post that it made."""


def publish(tx: Tx, site: Site, author: Actor, draft: Draft, *, key: str | None = None) -> Published:
    """Publish a local post. One transaction: post, mentions, home entries, notifications, and the job that federates.

    ``key`` is the app's Idempotency-Key. Raises `BadInput`, `NotFound` (unknown or hidden post to answer).
    """
    if key is not None:
        tx.lock(f"idempotency:{author.id}:{key}")
        known = activities.post_for_key(tx, author.id, key)
        before = posts.by_id(tx, known) if known is not None else None
        if before is not None:
            return Published(before, repeated=True)
    if draft.media_ids:
        claimed = media.claim(tx, site, author.id, draft.media_ids, poll=draft.poll is not None)
        draft = replace(draft, attachments=(*draft.attachments, *claimed))
    answered = audience.answered_post(tx, author, draft.in_reply_to_id)
    quoted = quotes.quoted_post(tx, author, draft.quoted_id)
    labels = audience.labels(tx, site, draft, answered, quoted)
    named = audience.named_people(tx, site, draft.text, labels.reach)
    named = audience.with_addressed(tx, named, draft, labels.reach)
    if draft.addressed is None or labels.visibility <= Visibility.UNLISTED:
        named = audience.with_answered(tx, named, labels, answered)
    named = audience.with_quoted(tx, named, labels, author, quoted)
    content = emojis.dressed(tx, site, compose(site, draft, named.mentions))
    post = _new_post(tx, site, author, draft, labels, content, answered)
    if answered is not None and approvals.waits(tx, author, answered):
        post, labels = approvals.held(post, answered), approvals.noted(labels)
    posts.insert(tx, post)
    approvals.hold(tx, post, labels)
    posts.put_blind(tx, post.id, draft.blind)
    media.attach(tx, post.id, post.content.attachments)
    counted = _spread(tx, post, author, answered)
    if quoted is not None:
        quotes.attach(tx, site, author, post, quoted)
    if draft.blind:
        notifications.name_people(tx, post, draft.blind, new=False)
    notifications.await_end(tx, post)
    cards.request(tx, site, post)
    if key is not None:
        activities.remember_key(tx, author.id, key, post.id)
    if not post.reach.is_local:
        federate(tx, author.id, PublishPost(post.id))
    return Published(post, named.unreached, labels.narrowed, counted)


def _new_post(
    tx: Tx, site: Site, author: Actor, draft: Draft, labels: audience.Labels, content: Content, answered: Post | None
) -> Post:
    ident = tx.new_id()
    return Post(
        id=ident,
        iri=site.names.post(author.name, ident),
        url=site.names.post_page(author.name, ident),
        author_id=author.id,
        local=True,
        kind=PostKind.QUESTION if content.poll else PostKind.NOTE,
        visibility=labels.visibility,
        reach=labels.reach,
        content=content,
        published=tx.now,
        created_at=tx.now,
        in_reply_to_id=answered.id if answered else None,
        in_reply_to_iri=answered.iri if answered else None,
        in_reply_to_account_id=answered.author_id if answered else None,
        thread_id=(answered.thread_id or answered.id) if answered else ident,
        context_iri=answered.context_iri if answered else None,
        app_name=draft.app_name,
        interaction_policy=quotes.policy_of(draft.quote_rule, labels.visibility, OPEN),
        quoting=draft.quoted_id is not None,
    )


def check_draft(site: Site, draft: Draft) -> None:
    """The limits of a draft. Raises `BadInput` saying by how much."""
    bare = not draft.attachments and not draft.media_ids and not draft.poll and draft.quoted_id is None
    if bare and not draft.text.strip():
        raise BadInput("Validation failed: Text can't be blank", path="status")
    over = over_limit(draft.text, site.max_characters, warning=draft.summary, development=site.development)
    if over:
        sentence = f"Validation failed: Text character limit of {site.max_characters} exceeded. {over}"
        raise BadInput(sentence, path="status")
    if len(draft.attachments) > site.max_attachments:
        raise BadInput(f"Cannot attach more than {site.max_attachments} files", path="media_ids")
    poll = draft.poll
    if poll is None:
        return
    titles = [option.title.strip() for option in poll.options]
    wrong = None
    if len(titles) < 2 or not all(titles):
        wrong = "must have more than one item"
    elif len(titles) > site.max_poll_options:
        wrong = f"can't contain more than {site.max_poll_options} items"
    elif any(len(title) > site.max_option_characters for title in titles):
        wrong = f"cannot be longer than {site.max_option_characters} characters each"
    elif len(set(titles)) != len(titles):
        wrong = "contain duplicate items"
    if wrong is not None:
        raise BadInput(f"Validation failed: Poll options {wrong}", path="poll.options")


def compose(site: Site, draft: Draft, mentions: Iterable[Mention]) -> Content:
    """The content of a draft: HTML, tags and what rides along. Raises `BadInput`."""
    check_draft(site, draft)
    named = tuple(mentions)
    targets: dict[Handle, MentionTarget] = {}
    for mention in named:
        target = MentionTarget(mention.url, mention.handle.name)
        targets[mention.handle] = target
        if mention.handle.domain is None:
            targets[Handle(mention.handle.name, site.names.domain)] = target
    html = compose_html(draft.text, mentions=targets, hashtag_url=site.names.tag, development=site.development)
    tags = dict.fromkeys(normalise_hashtag(t.name) for t in scan(draft.text, development=site.development).hashtags)
    return Content(
        html=html,
        source=clean_text(draft.text),
        summary=clean_text(draft.summary),
        sensitive=bool(draft.sensitive or draft.summary),
        language=draft.language,
        mentions=named,
        hashtags=tuple(tag for tag in tags if tag),
        attachments=draft.attachments,
        poll=draft.poll,
    )


def _spread(tx: Tx, post: Post, author: Actor, answered: Post | None) -> Actor:
    """Counts, home entries, notifications and the notice of a new post, local or remote. The author as counted."""
    if author.is_local:
        author = actors.count_own_post(tx, author)
    else:
        actors.count_posts(tx, author.id, +1)
    if answered is not None:
        posts.count_replies(tx, answered.id, +1)
    if answered is not None or post.in_reply_to_iri is None:
        _bring_home(tx, post, answered)
    if author.is_local:
        timelines.add_for(tx, author.id, post.id)
    open_to_all = post.visibility is Visibility.PUBLIC and author.state is ActorState.ACTIVE
    bell, tagged = timelines.waited_for(tx, author.id, post.content.hashtags if open_to_all else ())
    if tagged:
        timelines.add_for_tags(tx, post.id, author.id, post.content.hashtags)
    notifications.name_people(tx, post, [m.actor_id for m in post.content.mentions if not m.silent])
    if bell:
        notifications.ring_bells(tx, post.id, author.id)
    tx.notify(PostPublished(post.id, author.id))
    return author


def _bring_home(tx: Tx, post: Post, answered: Post | None) -> None:
    """Home entries of the author's followers. A reply shows to those who follow both, so it waits for its parent."""
    timelines.add_for_followers(
        tx, post.id, post.author_id, answered=answered.author_id if answered else None,
        direct=post.visibility is Visibility.DIRECT, language=post.content.language,
    )  # fmt: skip


def edit(tx: Tx, site: Site, author: Actor, ident: Id, draft: Draft, *, whole: bool = False) -> Post:
    """Replace the content of one's own post; visibility and reach stay.

    The language stays if the draft has none; an empty one removes it.

    ``whole``: the draft is all that is to remain, so a poll or file that it does not name goes. Raises `NotFound`,
    `BadInput`.
    """
    tx.lock(f"poll:{ident}")
    post = posts.by_id(tx, ident)
    if post is None or post.author_id != author.id or post.boost_of_id is not None:
        raise NotFound("Record not found")
    answered = posts.by_id(tx, post.in_reply_to_id) if post.in_reply_to_id is not None else None
    files = draft.media_ids if draft.media_ids is not None or not whole else ()
    language = post.content.language if draft.language is None else draft.language
    draft = replace(draft, language=language or None, media_ids=files)
    draft = _edited_media(tx, site, author, post, draft)
    named = audience.named_people(tx, site, draft.text, post.reach)
    named = audience.with_addressed(tx, named, draft, post.reach)
    labels = audience.Labels(post.visibility, post.reach)
    if draft.addressed is None or labels.visibility <= Visibility.UNLISTED:
        named = audience.with_answered(tx, named, labels, answered)
    draft, quoted = quotes.edited(tx, author, post, draft)
    named = audience.with_quoted(tx, named, labels, author, quoted)
    named = approvals.still_held(tx, post, named, answered)
    content = emojis.dressed(tx, site, compose(site, draft, named.mentions))
    if post.content.poll and content.poll and _same_options(post.content, content):
        wanted = content.poll
        kept = replace(post.content.poll, ends_at=wanted.ends_at, hide_totals=wanted.hide_totals)
        content = replace(content, poll=kept)
    elif post.content.poll and not content.poll and not whole:
        content = replace(content, poll=post.content.poll)
    if _same_content(post.content, content):
        return post
    media.attach(tx, post.id, content.attachments)
    _apply_edit(tx, post, content, tx.now)
    posts.set_kind(tx, post.id, PostKind.QUESTION if content.poll else PostKind.NOTE)
    cards.renew(tx, site, post, content)
    if not post.reach.is_local:
        federate(tx, author.id, PublishEdit(post.id, tx.now))
    found = posts.by_id(tx, ident)
    assert found is not None  # noqa: S101 — just updated
    return found


def _edited_media(tx: Tx, site: Site, author: Actor, post: Post, draft: Draft) -> Draft:
    """The attachments after an edit: those that it names, or all as they were (with what is said of them now)."""
    if draft.media_ids is None:
        kept = post.content.attachments
        ours = tuple(each.id for each in kept if each.id is not None)
        if not ours or len(ours) != len(kept):
            return replace(draft, attachments=kept)
        draft = replace(draft, media_ids=ours)
    named = draft.media_ids or ()
    with_poll = draft.poll is not None
    return replace(draft, attachments=media.claim(tx, site, author.id, named, post=post.id, poll=with_poll))


def _same_options(old: Content, new: Content) -> bool:
    """Whether the votes of one poll count in the other one."""
    if old.poll is None or new.poll is None or old.poll.multiple is not new.poll.multiple:
        return False
    return [o.title for o in old.poll.options] == [o.title for o in new.poll.options]


def _same_content(old: Content, new: Content) -> bool:
    return replace(old, emojis=(), source="") == replace(new, emojis=(), source="")


def _apply_edit(tx: Tx, post: Post, content: Content, edited_at: Millis) -> None:
    before = set(posts.mentioned_ids(tx, post.id))
    if post.content.poll is not None and not _same_options(post.content, content):
        interactions.drop_votes(tx, post.id)
    posts.update(tx, post.id, content, edited_at)
    added = [m.actor_id for m in content.mentions if m.actor_id not in before and not m.silent]
    notifications.name_people(tx, replace(post, content=content), added, new=False)
    notifications.move_end(tx, post, content.poll)
    for booster in interactions.boosters(tx, post.id, Page(limit=1000)):
        notifications.notify(tx, booster[1].id, "update", post.author_id, post.id)
    quotes.tell_of_edit(tx, post)
    tx.notify(PostEdited(post.id))


def remove(tx: Tx, author: Actor, ident: Id) -> Post:
    """Delete one's own post (or boost). Returns what it was. Raises `NotFound`."""
    post = posts.by_id(tx, ident)
    if post is None or post.author_id != author.id:
        raise NotFound("Record not found")
    mentioned = tuple(posts.mentioned_ids(tx, post.id))
    interested = _interested(tx, post)
    if not bury(tx, post, author.iri):
        raise NotFound("Record not found")
    if not post.reach.is_local:
        # spec: R84 — Delete goes to everybody the post went to, those that boosted or answered, and followers
        change = WithdrawPost(
            post.id, post.iri, author.id, int(post.visibility), post.reach.encode(), mentioned, interested, tx.now
        )
        federate(tx, author.id, change)
    return post


def _interested(tx: Tx, post: Post) -> tuple[Id, ...]:
    answers = posts.by_ids(tx, posts.descendants(tx, post.id))
    people = {p.author_id for p in answers.values() if p.in_reply_to_id == post.id}
    people |= {booster for _, booster in posts.boosts_of(tx, post.id)} | quotes.quoters(tx, post)
    people |= {actor.id for _, actor in interactions.actors(tx, post.id, interactions.Kind.FAVOURITE, Page(limit=1000))}
    return tuple(sorted(people - {post.author_id}))


def bury(tx: Tx, post: Post, author_iri: Iri) -> bool:
    """Take a post out of the store for ever: tombstone, counts, home entries, its boosts. False when it is gone."""
    tx.lock(f"post:{post.iri}")
    if posts.by_id(tx, post.id) is None:
        return False  # the same deletion, side by side, was first: it must not count twice
    # spec: R82 — a later Create or Update of that id does not bring it back
    tombstones.put(tx, post.iri, author_iri, post, posts.mentioned_ids(tx, post.id))
    for boost_id, booster in posts.boosts_of(tx, post.id):
        timelines.drop(tx, boost_id, booster)
        actors.count_posts(tx, booster, -1)
        tx.notify(PostRemoved(boost_id, booster))
    posts.orphan(tx, post.id)
    quotes.bury(tx, post)
    if post.visibility is Visibility.DIRECT:
        conversations.leave(tx, post)
    if post.in_reply_to_id is not None:
        posts.count_replies(tx, post.in_reply_to_id, -1)
    if post.boost_of_id is not None:
        posts.count_boosts(tx, post.boost_of_id, -1)
    timelines.drop(tx, post.id, post.author_id)
    if post.content.hashtags:
        timelines.drop_for_tags(tx, post.id, post.content.hashtags)
    actors.count_posts(tx, post.author_id, -1)
    media.discard(tx, post)
    posts.delete(tx, post.id)
    tx.notify(PostRemoved(post.id, post.author_id, int(post.visibility)))
    return True


# What partners publish.


def receive(tx: Tx, site: Site, author: Actor, remote: RemotePost, *, depth: int = 0) -> Post | None:
    """Store a partner's post. None when it is known or was deleted before: nothing brings it back."""
    tx.lock(f"post:{remote.iri}")
    arrival = posts.arrival(tx, remote.iri, author.iri)
    if arrival.present or arrival.deleted:
        return None
    answered = posts.by_iri(tx, remote.in_reply_to) if remote.in_reply_to else None
    if answered is not None and not may_answer(tx, author, answered):
        return None
    ident = tx.new_id()
    mentions = _remote_mentions(tx, remote)
    content = replace(remote.content, mentions=mentions) if mentions else remote.content
    post = Post(
        id=ident,
        iri=remote.iri,
        url=remote.url,
        author_id=author.id,
        local=False,
        kind=remote.kind,
        visibility=remote.visibility,
        reach=LOCAL,
        content=content,
        # spec: R94 — a published in the future is capped to now
        published=min(remote.published, tx.now),
        created_at=tx.now,
        # the version that came first may not be the first version: an older one must not replace it later
        edited_at=min(remote.updated, tx.now) if (remote.updated or 0) > remote.published and remote.updated else None,
        in_reply_to_id=answered.id if answered else None,
        in_reply_to_iri=remote.in_reply_to,
        in_reply_to_account_id=answered.author_id if answered else None,
        thread_id=(answered.thread_id or answered.id) if answered else ident,
        context_iri=remote.context,
        interaction_policy=remote.interaction_policy,
        quoting=remote.quote is not None,
    )
    posts.insert(tx, post)
    _spread(tx, post, author, answered)
    quotes.receive(tx, author, post, remote, depth)
    if arrival.quoted:
        quotes.arrived(tx, post)
    cards.request(tx, site, post)
    if remote.in_reply_to and answered is None:
        # spec: R78 — thread order is kept when replies arrive before their parent
        posts.wait_for_parent(tx, ident, remote.in_reply_to)
        if depth < MAX_THREAD_FETCH and not site.names.is_ours(remote.in_reply_to):
            fetch(tx, FetchPostJob(remote.in_reply_to, depth + 1))
    if arrival.awaited:
        for reply in posts.by_ids(tx, posts.join_waiting(tx, post)).values():
            conversations.move_thread(tx, reply, post)
            _bring_home(tx, reply, post)
            tx.notify(PostPublished(reply.id, reply.author_id))
    return post


def may_answer(tx: Tx, author: Actor, answered: Post) -> bool:
    """Whether a partner's actor may answer, like, boost or vote on that post: it must be able to see it, and not be
    blocked by its author."""
    if not answered.local:
        return True
    if relations.is_blocked(tx, answered.author_id, author.id) or not audience.within_reach(answered.reach, author):
        return False
    if answered.visibility in (Visibility.PUBLIC, Visibility.UNLISTED):
        return True
    if author.id in posts.mentioned_ids(tx, answered.id):
        return True
    made = relations.follow(tx, author.id, answered.author_id)
    return answered.visibility is Visibility.PRIVATE and made is not None and made.state is FollowState.ACCEPTED


def _remote_mentions(tx: Tx, remote: RemotePost) -> tuple[Mention, ...]:
    if not remote.mention_iris and not remote.addressed_iris:
        return ()
    known = actors.by_iris(tx, (*remote.mention_iris, *remote.addressed_iris))
    mentions: dict[Id, Mention] = {}
    for iri in remote.mention_iris:
        if actor := known.get(iri):
            mentions.setdefault(actor.id, Mention(actor.id, actor.iri, actor.handle, actor.url))
    for iri in remote.addressed_iris:
        if actor := known.get(iri):
            mentions.setdefault(actor.id, Mention(actor.id, actor.iri, actor.handle, actor.url, silent=True))
    return tuple(mentions.values())


def receive_edit(tx: Tx, site: Site, author: Actor, remote: RemotePost) -> Post | None:
    """Update of a partner's post. Unknown posts are taken as new; older versions than ours are ignored."""
    post = posts.by_iri(tx, remote.iri)
    if post is None:
        return receive(tx, site, author, remote)
    # spec: R36 — the owner never changes; the id is the key, and the kind is not taken over
    if post.author_id != author.id:
        raise NotAllowed("only the author may change a post")
    content = replace(remote.content, mentions=_remote_mentions(tx, remote))
    updated = min(remote.updated, tx.now) if remote.updated is not None else None
    if updated is not None and updated > (post.edited_at or post.published):
        # spec: R80 — a newer `updated` counts as an edit and keeps a history
        if not _same_content(post.content, content):
            _apply_edit(tx, post, content, updated)
            cards.renew(tx, site, post, content)
    elif content.poll is not None and post.content.poll is not None and _same_options(post.content, content):
        # spec: R81 — without a newer `updated` only the counts of a poll are taken
        posts.set_content_extra(tx, post.id, replace(post.content, poll=content.poll))
        notifications.move_end(tx, post, content.poll)
        tx.notify(PostEdited(post.id))
    if updated is None or updated >= (post.edited_at or 0):
        quotes.receive_edit(tx, author, post, remote)
    return post


def receive_removal(tx: Tx, author_iri: Iri, iri: Iri) -> bool:
    """Delete of a partner's post by its author; remembered even when we never had it."""
    post = posts.by_iri(tx, iri)
    if post is None:
        tombstones.put(tx, iri, author_iri, None)
        return False
    author = actors.by_id(tx, post.author_id)
    if author is None or author.iri != author_iri:
        raise NotAllowed("only the author may delete a post")
    return bury(tx, post, author_iri)
