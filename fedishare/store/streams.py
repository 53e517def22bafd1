"""Who of the people that listen right now a post is for: one read for each notice, whatever their number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fedishare.model.actors import ActorState
from fedishare.model.ids import Id
from fedishare.model.posts import Visibility
from fedishare.store import lists
from fedishare.store.db import Tx, sql

POST = sql(
    "stream_post",
    """SELECT p.author_id, p.visibility, p.local, p.boost_of_id, p.in_reply_to_id, a.state
       FROM post p JOIN actor a ON a.id = p.author_id WHERE p.id = :post""",
)
TAGS = sql("stream_tags", "SELECT tag FROM post_tag WHERE post_id = :post")
AT_HOME = sql("stream_home_owners", "SELECT owner_id FROM home_entry WHERE post_id = :post AND owner_id IN :viewers[]")
UNWANTED = sql(
    "stream_unwanted",
    """SELECT b.actor_id FROM block b WHERE b.target_id = :author AND b.actor_id IN :viewers[]
       UNION SELECT m.actor_id FROM mute m WHERE m.target_id = :author AND m.actor_id IN :viewers[]
         AND (m.expires_at IS NULL OR m.expires_at > :now)
       UNION SELECT d.actor_id FROM actor s JOIN domain_block d ON d.domain = s.domain
         WHERE s.id = :author AND d.actor_id IN :viewers[]
       UNION SELECT c.target_id FROM block c WHERE c.actor_id = :author AND c.target_id IN :viewers[]""",
)
FOLLOWING = sql(
    "stream_following",
    "SELECT follower_id FROM follow WHERE followee_id = :author AND state = 1 AND follower_id IN :viewers[]",
)
VALID_TOKENS = sql(
    "stream_valid_tokens",
    """SELECT t.id FROM token t JOIN actor a ON a.id = t.actor_id WHERE t.id IN :tokens[] AND t.revoked_at IS NULL
       AND (t.expires_at IS NULL OR t.expires_at > :now) AND a.state < 2""",
)


@dataclass(frozen=True, slots=True)
class Hearers:
    """Who a post is for among the listeners: at home, in the public streams by name, and in which lists."""

    home: frozenset[Id]
    streams: tuple[str, ...] = ()
    unwanted: frozenset[Id] = frozenset()
    lists: frozenset[Id] = frozenset()


NOBODY = Hearers(frozenset())


def hearers(tx: Tx, post: Id, viewers: Iterable[Id], heard_lists: Iterable[Id] = ()) -> Hearers:
    """Who of ``viewers`` hears of a new or changed post, and which public streams and lists carry it."""
    row = tx.one(POST, post=post)
    wanted = list(viewers)
    if row is None or not wanted:
        return NOBODY
    author, visibility, local, boost_of, reply_to, state = row
    home = frozenset(r[0] for r in tx.all(AT_HOME, post=post, viewers=wanted))
    unwanted = frozenset(r[0] for r in tx.all(UNWANTED, author=author, viewers=wanted, now=tx.now))
    streams: list[str] = []
    if visibility == Visibility.PUBLIC and boost_of is None and state == ActorState.ACTIVE:
        kinds = ("public", "public:local") if local else ("public", "public:remote")
        streams += kinds if reply_to is None else ()
        for (tag,) in tx.all(TAGS, post=post):
            streams += (f"hashtag:{tag}", f"hashtag:local:{tag}") if local else (f"hashtag:{tag}",)
    asked = list(heard_lists)
    return Hearers(home - unwanted, tuple(streams), unwanted, lists.carrying(tx, post, asked) if asked else frozenset())


def knew(tx: Tx, author: Id, viewers: Iterable[Id]) -> frozenset[Id]:
    """Who of ``viewers`` may have a deleted post of ``author`` on the screen: its followers, and the author."""
    wanted = list(viewers)
    found = {r[0] for r in tx.all(FOLLOWING, author=author, viewers=wanted)} if wanted else set()
    return frozenset(found | ({author} & set(wanted)))


def valid_tokens(tx: Tx, tokens: Iterable[Id]) -> frozenset[Id]:
    """Those of the tokens that still count."""
    return frozenset(row[0] for row in tx.all(VALID_TOKENS, tokens=list(tokens), now=tx.now))
