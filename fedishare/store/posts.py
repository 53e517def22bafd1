"""Posts in the store: rows in, values out. Mentions, tags, attachments and polls ride along as JSON for rendering."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from fedishare.model.actors import Emoji
from fedishare.model.ids import Domain, Id, Iri, Millis, iri_hash
from fedishare.model.posts import Attachment, Content, Mention, Poll, Post, PostKind, Reach, Visibility
from fedishare.policy.audience import AudienceFacts, Seer, can_see
from fedishare.store.audience import TRAVELS, VISIBLE, WANTED
from fedishare.store.db import Row, Tx, sql
from fedishare.store.paging import Page, paged, rows

COLUMNS = """p.id, p.iri, p.url, p.author_id, p.local, p.kind, p.visibility, p.reach, p.html, p.source, p.summary,
  p.title, p.sensitive, p.language, p.extra, p.published, p.created_at, p.edited_at, p.in_reply_to_id,
  p.in_reply_to_iri, p.in_reply_to_account_id, p.boost_of_id, p.thread_id, p.context_iri, p.app_name,
  p.replies_count, p.boosts_count, p.favourites_count, p.rev, p.interaction_policy, p.quoting, p.quotes_count"""
_FROM = "FROM post p JOIN actor a ON a.id = p.author_id"

BY_ID = sql("post_by_id", f"SELECT {COLUMNS} FROM post p WHERE p.id = :id")
BY_IDS = sql("posts_by_ids", f"SELECT {COLUMNS} FROM post p WHERE p.id IN :ids[]")
BY_IRI = sql("post_by_iri", f"SELECT {COLUMNS} FROM post p WHERE p.iri_hash = :hash AND p.iri = :iri")
VISIBLE_ID = sql("post_visible", f"SELECT p.id {_FROM} WHERE p.id = :id AND {VISIBLE}")
VISIBLE_IDS = sql("posts_visible", f"SELECT p.id {_FROM} WHERE p.id IN :ids[] AND {VISIBLE}")
WANTED_IDS = sql("posts_wanted", f"SELECT p.id {_FROM} WHERE p.id IN :ids[] AND {VISIBLE} AND {WANTED}")
FACTS = sql(
    "post_audience_facts",
    """SELECT p.author_id, a.state, p.local, p.visibility, p.reach,
        EXISTS (SELECT 1 FROM follow f WHERE f.follower_id = :seer AND f.followee_id = p.author_id AND f.state = 1),
        EXISTS (SELECT 1 FROM mention m WHERE m.post_id = p.id AND m.actor_id = :seer),
        EXISTS (SELECT 1 FROM block b WHERE b.actor_id = p.author_id AND b.target_id = :seer)
       FROM post p JOIN actor a ON a.id = p.author_id WHERE p.id = :id""",
)
INSERT = sql(
    "post_insert",
    """INSERT INTO post (id, iri, iri_hash, url, author_id, local, kind, visibility, reach, html, source, summary,
        title, sensitive, language, extra, published, created_at, edited_at, in_reply_to_id, in_reply_to_iri,
        in_reply_to_account_id, boost_of_id, thread_id, context_iri, app_name, interaction_policy, quoting)
       VALUES (:id, :iri, :hash, :url, :author_id, :local, :kind, :visibility, :reach, :html, :source, :summary, :title,
        :sensitive, :language, :extra, :published, :created_at, :edited_at, :in_reply_to_id, :in_reply_to_iri,
        :in_reply_to_account_id, :boost_of_id, :thread_id, :context_iri, :app_name, :policy, :quoting)""",
)
PUT_MENTION = sql(
    "mention_insert",
    """INSERT INTO mention (post_id, actor_id, silent) VALUES (:post, :actor, :silent)
       ON CONFLICT (post_id, actor_id) DO UPDATE SET silent = {least}(mention.silent, excluded.silent)""",
)
PUT_TAG = sql("post_tag_insert", "INSERT INTO post_tag (tag, post_id) VALUES (:tag, :post) ON CONFLICT DO NOTHING")
DROP_TAGS = sql("post_tag_drop", "DELETE FROM post_tag WHERE post_id = :post")
MENTIONED = sql("mentioned_ids", "SELECT actor_id FROM mention WHERE post_id = :post ORDER BY actor_id")
UPDATE = sql(
    "post_update",
    """UPDATE post SET html = :html, source = :source, summary = :summary, title = :title, sensitive = :sensitive,
        language = :language, extra = :extra, edited_at = :edited_at, rev = rev + 1 WHERE id = :id""",
)
SET_KIND = sql("post_set_kind", "UPDATE post SET kind = :kind WHERE id = :id")
SET_EXTRA = sql("post_set_extra", "UPDATE post SET extra = :extra, rev = rev + 1 WHERE id = :id")
SAVE_EDIT = sql(
    "post_edit_insert",
    """INSERT INTO post_edit (post_id, edited_at, html, source, summary, sensitive, extra)
       SELECT id, coalesce(edited_at, published), html, source, summary, sensitive, extra FROM post WHERE id = :id
       ON CONFLICT DO NOTHING""",
)
EDITS = sql(
    "post_edits",
    "SELECT edited_at, html, source, summary, sensitive, extra FROM post_edit WHERE post_id = :id ORDER BY edited_at",
)
BOOSTS_OF = sql("boost_ids_of", "SELECT id, author_id FROM post WHERE boost_of_id = :id ORDER BY id")
DELETE = sql("post_delete", "DELETE FROM post WHERE id = :id")
COUNT_REPLIES = sql(
    "post_count_replies",
    "UPDATE post SET replies_count = {greatest}(0, replies_count + :change), rev = rev + 1 WHERE id = :id",
)
COUNT_BOOSTS = sql(
    "post_count_boosts",
    "UPDATE post SET boosts_count = {greatest}(0, boosts_count + :change), rev = rev + 1 WHERE id = :id",
)
COUNT_FAVOURITES = sql(
    "post_count_favourites",
    "UPDATE post SET favourites_count = {greatest}(0, favourites_count + :change), rev = rev + 1 WHERE id = :id",
)
WAIT_FOR_PARENT = sql(
    "waiting_reply_insert",
    "INSERT INTO waiting_reply (parent_hash, post_id) VALUES (:hash, :post) ON CONFLICT DO NOTHING",
)
WAITING = sql(
    "waiting_replies",
    """SELECT w.post_id, p.in_reply_to_iri FROM waiting_reply w JOIN post p ON p.id = w.post_id
       WHERE w.parent_hash = :hash ORDER BY w.post_id""",
)
DROP_WAITING = sql("waiting_reply_drop", "DELETE FROM waiting_reply WHERE parent_hash = :hash")
JOIN_PARENT = sql(
    "post_join_parent",
    """UPDATE post SET in_reply_to_id = :parent, in_reply_to_account_id = :author, thread_id = :thread, rev = rev + 1
       WHERE id = :id""",
)
ORPHAN = sql(
    "post_orphan",
    "UPDATE post SET in_reply_to_id = NULL, rev = rev + 1 WHERE in_reply_to_id = :id AND in_reply_to_id IS NOT NULL",
)
MOVE_THREAD = sql("post_move_thread", "UPDATE post SET thread_id = :thread WHERE thread_id = :old")
ARRIVAL = sql(
    "post_arrival",
    """SELECT EXISTS (SELECT 1 FROM post p WHERE p.iri_hash = :hash AND p.iri = :iri),
        EXISTS (SELECT 1 FROM tombstone t WHERE t.iri_hash = :hash AND t.iri = :iri AND t.author_iri = :author),
        EXISTS (SELECT 1 FROM waiting_reply w WHERE w.parent_hash = :hash),
        EXISTS (SELECT 1 FROM quote q WHERE q.quoted_hash = :hash AND q.quoted_id IS NULL)""",
)
ANCESTORS = sql(
    "post_ancestors",
    """WITH RECURSIVE up (id, parent, depth) AS (
        SELECT id, in_reply_to_id, 0 FROM post WHERE id = :id
        UNION ALL SELECT q.id, q.in_reply_to_id, up.depth + 1 FROM up JOIN post q ON q.id = up.parent
        WHERE up.depth < :limit)
       SELECT id FROM up WHERE depth > 0 ORDER BY depth DESC""",
)
DESCENDANTS = sql(
    "post_descendants",
    """WITH RECURSIVE down (id, depth) AS (
        SELECT id, 0 FROM post WHERE id = :id
        UNION ALL SELECT q.id, down.depth + 1 FROM down JOIN post q ON q.in_reply_to_id = down.id
        WHERE down.depth < 60)
       SELECT down.id, p.in_reply_to_id FROM down JOIN post p ON p.id = down.id
       WHERE depth > 0 ORDER BY down.id LIMIT :limit""",
)
OUTBOX = sql(
    "outbox_page",
    f"""SELECT p.id {_FROM} WHERE p.author_id = :author AND p.id < :before AND {TRAVELS}
        ORDER BY p.id DESC LIMIT :limit""",
)
OUTBOX_UP = sql(
    "outbox_page_up",
    f"""SELECT p.id {_FROM} WHERE p.author_id = :author AND p.id > :after AND {TRAVELS}
        ORDER BY p.id ASC LIMIT :limit""",
)
OUTBOX_GROUPS = sql(
    "outbox_groups",
    f"""SELECT p.visibility, p.reach, coalesce(b.kind, p.kind) AS shown_kind,
        CASE WHEN coalesce(b.extra, p.extra) LIKE '%"attachments":%' THEN 1 ELSE 0 END AS media,
        CASE WHEN p.boost_of_id IS NULL THEN 0 ELSE 1 END AS boost, count(*)
        {_FROM} LEFT JOIN post b ON b.id = p.boost_of_id
        WHERE p.author_id = :author AND {TRAVELS} GROUP BY p.visibility, p.reach, shown_kind, media, boost""",
)
REPLY_IDS = sql(
    "reply_page",
    f"""SELECT p.id, p.iri, CASE WHEN p.author_id = :author THEN 0 ELSE 1 END AS others {_FROM}
        WHERE p.in_reply_to_id = :post AND {TRAVELS} ORDER BY others, p.id LIMIT :limit""",
)
OWN_IDS = sql("post_ids_of_author", "SELECT id FROM post WHERE author_id = :author ORDER BY id LIMIT 200")
LOCAL_COUNT = sql("post_local_count", "SELECT count(*) FROM post WHERE local = 1 AND boost_of_id IS NULL")
_PAGE = "AND p.id < :before AND p.id > :after"
AUTHOR_PAGE = paged(
    "author_page",
    f"""SELECT p.id {_FROM} WHERE p.author_id = :author {_PAGE} AND {VISIBLE}
        AND (:boosts = 1 OR p.boost_of_id IS NULL)
        AND (:replies = 1 OR p.in_reply_to_id IS NULL OR p.in_reply_to_account_id = p.author_id)
        AND (:media = 0 OR p.extra LIKE '%"attachments":%')
        AND (:tag = '' OR EXISTS (SELECT 1 FROM post_tag t WHERE t.tag = :tag AND t.post_id = p.id))""",
    "p.id",
)


class PostExtra(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a post carries besides text, as stored."""

    mentions: tuple[Mention, ...] = ()
    hashtags: tuple[str, ...] = ()
    emojis: tuple[Emoji, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    poll: Poll | None = None


_extra_in = msgspec.json.Decoder(PostExtra)
_encode = msgspec.json.Encoder().encode
_NO_EXTRA = PostExtra()


def encode_extra(content: Content) -> str:
    """The stored form of a post's tags, attachments and poll."""
    if not (content.mentions or content.hashtags or content.emojis or content.attachments or content.poll):
        return "{}"
    extra = PostExtra(content.mentions, content.hashtags, content.emojis, content.attachments, content.poll)
    return _encode(extra).decode()


def _decode_extra(text: str) -> PostExtra:
    return _NO_EXTRA if text == "{}" else _extra_in.decode(text)


def from_row(row: Row) -> Post:
    """A Post from `COLUMNS`."""
    (ident, iri, url, author, local, kind, visibility, reach, html, source, summary, title, sensitive, language, extra,
     published, created, edited, reply_id, reply_iri, reply_account, boost_of, thread, context, app, n_replies,
     n_boosts, n_favourites, rev, policy, quoting, n_quotes) = row  # fmt: skip
    more = _decode_extra(extra)
    content = Content(
        html, source, summary, title, bool(sensitive), language, more.mentions, more.hashtags, more.emojis,
        more.attachments, more.poll,
    )  # fmt: skip
    return Post(
        ident, iri, url, author, bool(local), PostKind(kind), Visibility(visibility), Reach.decode(reach), content,
        published, created, edited, reply_id, reply_iri, reply_account, boost_of, thread, context, app, n_replies,
        n_boosts, n_favourites, rev, policy, bool(quoting), n_quotes,
    )  # fmt: skip


def by_id(tx: Tx, ident: Id) -> Post | None:
    """The post with that local id; no audience decision is made here."""
    row = tx.one(BY_ID, id=ident)
    return from_row(row) if row else None


def by_ids(tx: Tx, idents: Iterable[Id]) -> dict[Id, Post]:
    """Several posts at once, by id."""
    wanted = list(set(idents))
    return {row[0]: from_row(row) for row in tx.all(BY_IDS, ids=wanted)} if wanted else {}


def by_iri(tx: Tx, iri: str) -> Post | None:
    """The post with that IRI, byte by byte."""
    row = tx.one(BY_IRI, hash=iri_hash(iri), iri=iri)
    return from_row(row) if row else None


def visible(tx: Tx, ident: Id, viewer: Id) -> Post | None:
    """The post, if the local person ``viewer`` may see it (and, for a boost, what it boosts)."""
    post = by_id(tx, ident) if tx.one(VISIBLE_ID, id=ident, viewer=viewer) else None
    if post is not None and post.boost_of_id is not None:
        return post if tx.one(VISIBLE_ID, id=post.boost_of_id, viewer=viewer) else None
    return post


def visible_ids(tx: Tx, idents: Iterable[Id], viewer: Id) -> set[Id]:
    """Those of ``idents`` that ``viewer`` may see."""
    wanted = list(set(idents))
    return {row[0] for row in tx.all(VISIBLE_IDS, ids=wanted, viewer=viewer)} if wanted else set()


def wanted_ids(tx: Tx, idents: Iterable[Id], viewer: Id) -> set[Id]:
    """Those of ``idents`` that ``viewer`` may and wants to see."""
    wanted = list(set(idents))
    return {row[0] for row in tx.all(WANTED_IDS, ids=wanted, viewer=viewer, now=tx.now)} if wanted else set()


def seen_by(tx: Tx, ident: Id, seer: Seer) -> bool:
    """The audience decision for one post and anybody, local or of a partner."""
    row = tx.one(FACTS, id=ident, seer=seer.actor_id if seer.actor_id is not None else -1)
    if row is None:
        return False
    author, state, local, visibility, reach, follows, mentioned, blocked = row
    facts = AudienceFacts(
        author, state < 2, bool(local), Visibility(visibility), Reach.decode(reach), bool(follows), bool(mentioned),
        bool(blocked),
    )  # fmt: skip
    return can_see(seer, facts)


def insert(tx: Tx, post: Post) -> None:
    """Add a post with its mentions and tags."""
    content = post.content
    tx.run(
        INSERT, id=post.id, iri=post.iri, hash=iri_hash(post.iri), url=post.url, author_id=post.author_id,
        local=int(post.local), kind=post.kind.value, visibility=int(post.visibility), reach=post.reach.encode(),
        html=content.html, source=content.source, summary=content.summary, title=content.title,
        sensitive=int(content.sensitive), language=content.language, extra=encode_extra(content),
        published=post.published, created_at=post.created_at, edited_at=post.edited_at,
        in_reply_to_id=post.in_reply_to_id, in_reply_to_iri=post.in_reply_to_iri,
        in_reply_to_account_id=post.in_reply_to_account_id, boost_of_id=post.boost_of_id, thread_id=post.thread_id,
        context_iri=post.context_iri, app_name=post.app_name,
        policy=post.interaction_policy, quoting=int(post.quoting),
    )  # fmt: skip
    put_mentions(tx, post.id, content.mentions)
    for tag in content.hashtags:
        tx.run(PUT_TAG, tag=tag, post=post.id)


def put_mentions(tx: Tx, ident: Id, mentions: Iterable[Mention]) -> None:
    """Add who is named; an audience is never made smaller by an edit."""
    for mention in mentions:
        tx.run(PUT_MENTION, post=ident, actor=mention.actor_id, silent=int(mention.silent))


def put_blind(tx: Tx, ident: Id, people: Iterable[Id]) -> None:
    """Add who gets it without being named anywhere."""
    for actor in people:
        tx.run(PUT_MENTION, post=ident, actor=actor, silent=1)


def mentioned_ids(tx: Tx, ident: Id) -> list[Id]:
    """Everybody named by the post, silently or not."""
    return [row[0] for row in tx.all(MENTIONED, post=ident)]


def update(tx: Tx, ident: Id, content: Content, edited_at: Millis) -> None:
    """Replace the content, keeping the version before in the history."""
    tx.run(SAVE_EDIT, id=ident)
    tx.run(
        UPDATE, id=ident, html=content.html, source=content.source, summary=content.summary, title=content.title,
        sensitive=int(content.sensitive), language=content.language, extra=encode_extra(content), edited_at=edited_at,
    )  # fmt: skip
    put_mentions(tx, ident, content.mentions)
    tx.run(DROP_TAGS, post=ident)
    for tag in content.hashtags:
        tx.run(PUT_TAG, tag=tag, post=ident)


def set_kind(tx: Tx, ident: Id, kind: PostKind) -> None:
    """A post got a poll, or lost it."""
    tx.run(SET_KIND, id=ident, kind=kind.value)


def set_content_extra(tx: Tx, ident: Id, content: Content) -> None:
    """Replace tags, attachments and poll without an edit (new counts of a poll)."""
    tx.run(SET_EXTRA, id=ident, extra=encode_extra(content))


def edits(tx: Tx, ident: Id) -> list[tuple[Millis, Content]]:
    """Earlier versions, oldest first."""
    result = []
    for edited_at, html, source, summary, sensitive, extra in tx.all(EDITS, id=ident):
        more = _decode_extra(extra)
        content = Content(
            html, source, summary, "", bool(sensitive), None, more.mentions, more.hashtags, more.emojis,
            more.attachments, more.poll,
        )  # fmt: skip
        result.append((edited_at, content))
    return result


def delete(tx: Tx, ident: Id) -> None:
    """Remove the row and, by reference, its boosts, edits, mentions, tags, votes, interactions and notifications."""
    tx.run(DELETE, id=ident)


def orphan(tx: Tx, ident: Id) -> None:
    """The answers to a post that is about to go stand alone."""
    tx.run(ORPHAN, id=ident)


def boosts_of(tx: Tx, ident: Id) -> list[tuple[Id, Id]]:
    """The boosts of a post: (boost's id, booster's id)."""
    return [(row[0], row[1]) for row in tx.all(BOOSTS_OF, id=ident)]


def count_replies(tx: Tx, ident: Id, change: int) -> None:
    """Move the number of replies."""
    tx.run(COUNT_REPLIES, id=ident, change=change)


def count_boosts(tx: Tx, ident: Id, change: int) -> None:
    """Move the number of boosts."""
    tx.run(COUNT_BOOSTS, id=ident, change=change)


def count_favourites(tx: Tx, ident: Id, change: int) -> None:
    """Move the number of favourites."""
    tx.run(COUNT_FAVOURITES, id=ident, change=change)


class Arrival(NamedTuple):
    """What there is of a post before it is taken in."""

    present: bool
    deleted: bool
    """It was, and its author took it back."""
    awaited: bool
    """Replies wait for it."""
    quoted: bool
    """Quotes wait for it."""


def arrival(tx: Tx, iri: str, author_iri: str) -> Arrival:
    """What is here when a post arrives."""
    row = tx.one(ARRIVAL, hash=iri_hash(iri), iri=iri, author=author_iri)
    assert row is not None  # noqa: S101 — one row always
    return Arrival(*map(bool, row))


def wait_for_parent(tx: Tx, ident: Id, parent: Iri) -> None:
    """The reply ``ident`` came before its parent."""
    tx.run(WAIT_FOR_PARENT, hash=iri_hash(parent), post=ident)


def join_waiting(tx: Tx, parent: Post) -> list[Id]:
    """Join the replies that came before ``parent``; returns their ids."""
    hashed = iri_hash(parent.iri)
    found = [row[0] for row in tx.all(WAITING, hash=hashed) if row[1] == parent.iri]
    thread = parent.thread_id or parent.id
    for ident in found:
        tx.run(MOVE_THREAD, thread=thread, old=ident)
        tx.run(JOIN_PARENT, id=ident, parent=parent.id, author=parent.author_id, thread=thread)
    if found:
        tx.run(DROP_WAITING, hash=hashed)
        count_replies(tx, parent.id, len(found))
    return found


def ancestors(tx: Tx, ident: Id, limit: int = 60) -> list[Id]:
    """The ids above a post, the thread's first one first."""
    return [row[0] for row in tx.all(ANCESTORS, id=ident, limit=limit)]


def descendants(tx: Tx, ident: Id, limit: int = 400) -> list[Id]:
    """The ids below a post as a thread is read: each answer right behind what it answers, else the oldest first."""
    answers: dict[Id, list[Id]] = {}
    for each, parent in tx.all(DESCENDANTS, id=ident, limit=limit):
        answers.setdefault(parent, []).append(each)
    ordered: list[Id] = []
    waiting = answers.pop(ident, [])[::-1]
    while waiting:
        each = waiting.pop()
        ordered.append(each)
        waiting += answers.pop(each, [])[::-1]
    return ordered


def outbox_page(tx: Tx, author: Id, domain: Domain, *, before: int = 2**63 - 1, after: int = 0, limit: int) -> list[Id]:
    """What a partner's reader sees of an outbox, newest first: below ``before``, or next above ``after``."""
    if after:
        rows = tx.all(OUTBOX_UP, author=author, domain=domain, after=after, limit=limit)
        return [row[0] for row in rows][::-1]
    return [row[0] for row in tx.all(OUTBOX, author=author, domain=domain, before=before, limit=limit)]


Labels = tuple[Visibility, Reach, PostKind, bool, bool]
"""What terms may ask about a post in an outbox: visibility, reach, kind, with media, a boost."""


def outbox_groups(tx: Tx, author: Id, domain: Domain) -> list[tuple[Labels, int]]:
    """How many posts a partner's reader may see of an outbox, by what the terms may ask."""
    return [
        ((Visibility(visibility), Reach.decode(reach), PostKind(kind), bool(media), bool(boost)), int(number))
        for visibility, reach, kind, media, boost, number in tx.all(OUTBOX_GROUPS, author=author, domain=domain)
    ]


def reply_iris(tx: Tx, post: Post, domain: Domain, limit: int = 50) -> list[Iri]:
    """Replies that a partner's reader may see, the author's own first."""
    rows = tx.all(REPLY_IDS, post=post.id, author=post.author_id, domain=domain, limit=limit)
    return [row[1] for row in rows]


def author_page(
    tx: Tx, author: Id, viewer: Id, page: Page, *, boosts: bool = True, replies: bool = True,
    media_only: bool = False, tag: str = "",
) -> list[Id]:  # fmt: skip
    """The ids of an account's timeline that ``viewer`` may see, newest first."""
    found = rows(
        tx, AUTHOR_PAGE, page, author=author, viewer=viewer, boosts=int(boosts), replies=int(replies),
        media=int(media_only), tag=tag,
    )  # fmt: skip
    return [row[0] for row in found]


def some_ids_of(tx: Tx, author: Id) -> list[Id]:
    """Up to 200 of an author's posts and boosts, oldest first (for deleting them in steps)."""
    return [row[0] for row in tx.all(OWN_IDS, author=author)]


def local_count(tx: Tx) -> int:
    """How many posts local people wrote."""
    return int(tx.value(LOCAL_COUNT))
