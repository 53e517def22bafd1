"""Who follows, blocks and mutes whom."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fedishare.model.actors import Actor, Follow, FollowState, Relationship
from fedishare.model.ids import Domain, Id, Iri, Millis, iri_hash
from fedishare.store.actors import COLUMNS as ACTOR_COLUMNS
from fedishare.store.actors import from_row as actor_from_row
from fedishare.store.db import Row, Tx, sql
from fedishare.store.paging import FIRST, Page, paged, rows

_FOLLOW = "f.id, f.follower_id, f.followee_id, f.state, f.iri, f.created_at, f.show_boosts, f.notify, f.languages"

GET = sql("follow_get", f"SELECT {_FOLLOW} FROM follow f WHERE f.follower_id = :follower AND f.followee_id = :followee")
BY_IRI = sql("follow_by_iri", f"SELECT {_FOLLOW} FROM follow f WHERE f.iri_hash = :hash AND f.iri = :iri")
PUT = sql(
    "follow_put",
    """INSERT INTO follow (id, follower_id, followee_id, state, iri, iri_hash, created_at, show_boosts, notify,
        languages, follower_local)
       VALUES (:id, :follower, :followee, :state, :iri, :hash, :now, coalesce(:boosts, 1), coalesce(:notify, 0),
        nullif(:languages, ''), :local)
       ON CONFLICT (follower_id, followee_id) DO UPDATE SET iri = excluded.iri, iri_hash = excluded.iri_hash,
        show_boosts = coalesce(:boosts, follow.show_boosts), notify = coalesce(:notify, follow.notify),
        languages = CASE WHEN :languages IS NULL THEN follow.languages ELSE excluded.languages END""",
)
SET_STATE = sql("follow_set_state", "UPDATE follow SET state = :state WHERE id = :id AND state <> :state")
DELETE = sql("follow_delete", "DELETE FROM follow WHERE follower_id = :follower AND followee_id = :followee")
FOLLOWERS_PAGE = paged(
    "followers_page",
    f"""SELECT f.id, {ACTOR_COLUMNS} FROM follow f JOIN actor a ON a.id = f.follower_id
        WHERE f.followee_id = :id AND f.state = :state AND f.id < :before AND f.id > :after AND a.state < 2""",
    "f.id",
)
FOLLOWING_PAGE = paged(
    "following_page",
    f"""SELECT f.id, {ACTOR_COLUMNS} FROM follow f JOIN actor a ON a.id = f.followee_id
        WHERE f.follower_id = :id AND f.state = :state AND f.id < :before AND f.id > :after AND a.state < 2""",
    "f.id",
)
REMOTE_FOLLOWERS = sql(
    "remote_follower_inboxes",
    """SELECT a.id, a.iri, a.host, a.inbox, a.shared_inbox FROM follow f JOIN actor a ON a.id = f.follower_id
       WHERE f.followee_id = :id AND f.state = 1 AND f.follower_local = 0 AND a.state < 2 ORDER BY f.id""",
)
FOLLOWERS_AT = sql(
    "follower_iris_at",
    """SELECT a.iri FROM follow f JOIN actor a ON a.id = f.follower_id
       WHERE f.followee_id = :id AND f.state = 1 AND f.follower_local = 0 AND a.host = :host ORDER BY f.id""",
)
LOCAL_FOLLOWERS_OF = sql(
    "local_followers_of",
    """SELECT a.id, a.iri FROM follow f JOIN actor a ON a.id = f.follower_id
       WHERE f.followee_id = :id AND f.state = 1 AND f.follower_local = 1""",
)
HAS_FOLLOWER_AT = sql(
    "has_follower_at",
    """SELECT 1 FROM follow f JOIN actor a ON a.id = f.follower_id
       WHERE f.followee_id = :id AND f.state = 1 AND f.follower_local = 0 AND a.host = :host LIMIT 1""",
)
FOLLOWER_HOSTS = sql(
    "follower_hosts",
    """SELECT DISTINCT a.host FROM follow f JOIN actor a ON a.id = f.follower_id
       WHERE f.followee_id = :id AND f.state = 1 AND f.follower_local = 0""",
)
ALL_OF = sql(
    "follows_of_actor", f"SELECT {_FOLLOW} FROM follow f WHERE f.follower_id = :id OR f.followee_id = :id ORDER BY f.id"
)
RELATIONSHIPS = sql(
    "relationships",
    """SELECT a.id,
        (SELECT f.state * 4 + f.show_boosts * 2 + f.notify FROM follow f
            WHERE f.follower_id = :viewer AND f.followee_id = a.id),
        (SELECT f.languages FROM follow f WHERE f.follower_id = :viewer AND f.followee_id = a.id),
        (SELECT f.state FROM follow f WHERE f.follower_id = a.id AND f.followee_id = :viewer),
        EXISTS (SELECT 1 FROM block b WHERE b.actor_id = :viewer AND b.target_id = a.id),
        EXISTS (SELECT 1 FROM block b WHERE b.actor_id = a.id AND b.target_id = :viewer),
        (SELECT m.notifications FROM mute m WHERE m.actor_id = :viewer AND m.target_id = a.id
            AND (m.expires_at IS NULL OR m.expires_at > :now)),
        (SELECT m.expires_at FROM mute m WHERE m.actor_id = :viewer AND m.target_id = a.id AND m.expires_at > :now),
        EXISTS (SELECT 1 FROM domain_block d WHERE d.actor_id = :viewer AND d.domain = a.domain),
        EXISTS (SELECT 1 FROM endorsement e WHERE e.actor_id = :viewer AND e.target_id = a.id),
        (SELECT n.comment FROM account_note n WHERE n.actor_id = :viewer AND n.target_id = a.id)
       FROM actor a WHERE a.id IN :ids[]""",
)
COUNT_REQUESTS = sql("follow_count_requests", "SELECT count(*) FROM follow WHERE followee_id = :id AND state = 0")
PUT_BLOCK = sql(
    "block_put",
    """INSERT INTO block (actor_id, target_id, id, iri, created_at) VALUES (:actor, :target, :id, :iri, :now)
       ON CONFLICT (actor_id, target_id) DO NOTHING""",
)
DROP_BLOCK = sql("block_drop", "DELETE FROM block WHERE actor_id = :actor AND target_id = :target")
BLOCK_IRI = sql("block_iri", "SELECT iri FROM block WHERE actor_id = :actor AND target_id = :target")
BLOCK_BY_IRI = sql("block_by_iri", "SELECT target_id FROM block WHERE actor_id = :actor AND iri = :iri")
IS_BLOCKED = sql("block_exists", "SELECT 1 FROM block WHERE actor_id = :actor AND target_id = :target")
BLOCKS_PAGE = paged(
    "blocks_page",
    f"""SELECT b.id, {ACTOR_COLUMNS} FROM block b JOIN actor a ON a.id = b.target_id
        WHERE b.actor_id = :id AND b.id < :before AND b.id > :after""",
    "b.id",
)
PUT_MUTE = sql(
    "mute_put",
    """INSERT INTO mute (actor_id, target_id, id, notifications, expires_at)
       VALUES (:actor, :target, :id, :notifications, :expires)
       ON CONFLICT (actor_id, target_id) DO UPDATE SET notifications = excluded.notifications,
        expires_at = excluded.expires_at""",
)
PRUNE_MUTES = sql("mute_prune", "DELETE FROM mute WHERE expires_at IS NOT NULL AND expires_at <= :now")
DROP_MUTE = sql("mute_drop", "DELETE FROM mute WHERE actor_id = :actor AND target_id = :target")
MUTES_PAGE = paged(
    "mutes_page",
    f"""SELECT m.id, m.expires_at, {ACTOR_COLUMNS} FROM mute m JOIN actor a ON a.id = m.target_id
        WHERE m.actor_id = :id AND m.id < :before AND m.id > :after
          AND (m.expires_at IS NULL OR m.expires_at > :now)""",
    "m.id",
)


def _follow(row: Row) -> Follow:
    ident, follower, followee, state, iri, created, boosts, notify, languages = row
    return Follow(
        ident, follower, followee, FollowState(state), iri, created, bool(boosts), bool(notify), _languages(languages)
    )


def _languages(stored: str | None) -> tuple[str, ...]:
    return tuple(stored.split(",")) if stored else ()


def follow(tx: Tx, follower: Id, followee: Id) -> Follow | None:
    """The follow of a pair, pending or accepted."""
    row = tx.one(GET, follower=follower, followee=followee)
    return _follow(row) if row else None


def follow_by_iri(tx: Tx, iri: str) -> Follow | None:
    """The follow whose activity has that id."""
    row = tx.one(BY_IRI, hash=iri_hash(iri), iri=iri)
    return _follow(row) if row else None


def put_follow(
    tx: Tx, follower: Actor, followee: Actor, state: FollowState, iri: Iri, *, boosts: bool | None = None,
    notify: bool | None = None, languages: Sequence[str] | None = None,
) -> Follow:  # fmt: skip
    """Add a follow, or renew the activity id of the one that exists (its state stays) and those options that are given.

    Without a word about them, a new one shows boosts, rings no bell, and is for every language (so is an empty list).
    """
    tx.run(
        PUT, id=tx.new_id(), follower=follower.id, followee=followee.id, state=int(state), iri=iri, hash=iri_hash(iri),
        now=tx.now, boosts=None if boosts is None else int(boosts), notify=None if notify is None else int(notify),
        languages=None if languages is None else ",".join(languages), local=int(follower.is_local),
    )  # fmt: skip
    found = follow(tx, follower.id, followee.id)
    assert found is not None  # noqa: S101 — just written
    return found


def set_follow_state(tx: Tx, ident: Id, state: FollowState) -> bool:
    """Accept (or reset) a follow; False when it was in that state already."""
    return tx.run(SET_STATE, id=ident, state=int(state)) > 0


def delete_follow(tx: Tx, follower: Id, followee: Id) -> bool:
    """Remove a follow; False when there was none."""
    return tx.run(DELETE, follower=follower, followee=followee) > 0


def _people(found: list[Row]) -> list[tuple[Id, Actor]]:
    return [(row[0], actor_from_row(row[1:])) for row in found]


def followers(tx: Tx, ident: Id, page: Page = FIRST, *, pending: bool = False) -> list[tuple[Id, Actor]]:
    """Followers (or follow requests), newest first, each with the follow's id for paging."""
    state = FollowState.PENDING if pending else FollowState.ACCEPTED
    return _people(rows(tx, FOLLOWERS_PAGE, page, id=ident, state=int(state)))


def following(tx: Tx, ident: Id, page: Page = FIRST) -> list[tuple[Id, Actor]]:
    """Whom an actor follows, newest first."""
    return _people(rows(tx, FOLLOWING_PAGE, page, id=ident, state=1))


def remote_followers(tx: Tx, ident: Id) -> list[tuple[Id, Iri, Domain, Iri, Iri | None]]:
    """Where remote followers are reached: (id, iri, host, inbox, shared inbox)."""
    return [(r[0], r[1], r[2], r[3], r[4]) for r in tx.all(REMOTE_FOLLOWERS, id=ident)]


def follower_iris_at(tx: Tx, ident: Id, host: Domain) -> list[Iri]:
    """The followers that live on one host (FEP-8fcf)."""
    return [row[0] for row in tx.all(FOLLOWERS_AT, id=ident, host=host)]


def local_followers_of(tx: Tx, ident: Id) -> list[tuple[Id, Iri]]:
    """Local followers of an actor: (id, iri)."""
    return [(row[0], row[1]) for row in tx.all(LOCAL_FOLLOWERS_OF, id=ident)]


def has_follower_at(tx: Tx, ident: Id, host: Domain) -> bool:
    """Whether anybody on ``host`` follows."""
    return tx.one(HAS_FOLLOWER_AT, id=ident, host=host) is not None


def follower_hosts(tx: Tx, ident: Id) -> list[Domain]:
    """The hosts on which somebody follows."""
    return [row[0] for row in tx.all(FOLLOWER_HOSTS, id=ident)]


def follows_of(tx: Tx, ident: Id) -> list[Follow]:
    """Every follow by or of an actor."""
    return [_follow(row) for row in tx.all(ALL_OF, id=ident)]


def count_requests(tx: Tx, ident: Id) -> int:
    """How many wait for somebody's decision to be followed."""
    return int(tx.value(COUNT_REQUESTS, id=ident))


def relationships(tx: Tx, viewer: Id, idents: Iterable[Id]) -> dict[Id, Relationship]:
    """How ``viewer`` stands to each of ``idents``."""
    result = {}
    for ident, mine, languages, theirs, blocking, blocked_by, muting, until, domain, endorsed, note in tx.all(
        RELATIONSHIPS, viewer=viewer, ids=list(set(idents)), now=tx.now
    ):
        accepted = mine is not None and mine >= 4
        result[ident] = Relationship(
            ident, following=accepted, showing_boosts=mine is not None and bool(mine & 2),
            notifying=mine is not None and bool(mine & 1), languages=_languages(languages),
            requested=mine is not None and not accepted, requested_by=theirs == 0, followed_by=theirs == 1,
            blocking=bool(blocking), blocked_by=bool(blocked_by), muting=muting is not None,
            muting_notifications=bool(muting), muting_until=until, domain_blocking=bool(domain),
            endorsed=bool(endorsed), note=note or "",
        )  # fmt: skip
    return result


def put_block(tx: Tx, actor: Id, target: Id, iri: Iri | None) -> bool:
    """Add a block; False when it exists."""
    return tx.run(PUT_BLOCK, actor=actor, target=target, id=tx.new_id(), iri=iri, now=tx.now) > 0


def drop_block(tx: Tx, actor: Id, target: Id) -> bool:
    """Remove a block; False when there was none."""
    return tx.run(DROP_BLOCK, actor=actor, target=target) > 0


def block_iri(tx: Tx, actor: Id, target: Id) -> Iri | None:
    """The Block activity's id."""
    found: Iri | None = tx.value(BLOCK_IRI, actor=actor, target=target)
    return found


def blocked_by_iri(tx: Tx, actor: Id, iri: str) -> Id | None:
    """Whom the Block ``iri`` of that actor is about (for Undo with a bare id)."""
    found: Id | None = tx.value(BLOCK_BY_IRI, actor=actor, iri=iri)
    return found


def is_blocked(tx: Tx, actor: Id, target: Id) -> bool:
    """Whether ``actor`` blocks ``target``."""
    return tx.one(IS_BLOCKED, actor=actor, target=target) is not None


def blocks(tx: Tx, ident: Id, page: Page = FIRST) -> list[tuple[Id, Actor]]:
    """Whom an actor blocks."""
    return _people(rows(tx, BLOCKS_PAGE, page, id=ident))


def put_mute(tx: Tx, actor: Id, target: Id, *, notifications: bool, expires_at: Millis | None) -> None:
    """Mute, or renew the options."""
    tx.run(PUT_MUTE, actor=actor, target=target, id=tx.new_id(), notifications=int(notifications), expires=expires_at)


def drop_mute(tx: Tx, actor: Id, target: Id) -> None:
    """Unmute."""
    tx.run(DROP_MUTE, actor=actor, target=target)


def mutes(tx: Tx, ident: Id, page: Page = FIRST) -> list[tuple[Id, Millis | None, Actor]]:
    """Whom an actor mutes at this moment, with when that ends."""
    return [(row[0], row[1], actor_from_row(row[2:])) for row in rows(tx, MUTES_PAGE, page, id=ident, now=tx.now)]


def prune_mutes(tx: Tx) -> int:
    """Forget the mutes that have ended; how many."""
    return tx.run(PRUNE_MUTES, now=tx.now)
