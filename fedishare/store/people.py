"""What people keep about each other for themselves: notes, endorsements, blocked domains; and whom they might know."""

from __future__ import annotations

from collections.abc import Iterable

from fedishare.model.actors import Actor
from fedishare.model.ids import Domain, Id
from fedishare.store.actors import COLUMNS as ACTOR_COLUMNS
from fedishare.store.actors import INSTANCE_ACTOR
from fedishare.store.actors import from_row as actor_from_row
from fedishare.store.db import Tx, sql
from fedishare.store.paging import FIRST, Page, paged, rows

MAX_FAMILIAR = 50
"""Followers of one account that are shown as familiar, the last ones first."""
MAX_FRIENDS = 200
"""Of how many people whom somebody follows, the last first, it is looked whom they follow."""
PUT_NOTE = sql(
    "account_note_put",
    """INSERT INTO account_note (actor_id, target_id, comment) VALUES (:actor, :target, :comment)
       ON CONFLICT (actor_id, target_id) DO UPDATE SET comment = excluded.comment""",
)
DROP_NOTE = sql("account_note_drop", "DELETE FROM account_note WHERE actor_id = :actor AND target_id = :target")
PUT_ENDORSEMENT = sql(
    "endorsement_put",
    "INSERT INTO endorsement (actor_id, target_id, id) VALUES (:actor, :target, :id) ON CONFLICT DO NOTHING",
)
DROP_ENDORSEMENT = sql("endorsement_drop", "DELETE FROM endorsement WHERE actor_id = :actor AND target_id = :target")
ENDORSEMENTS_PAGE = paged(
    "endorsements_page",
    f"""SELECT e.id, {ACTOR_COLUMNS} FROM endorsement e JOIN actor a ON a.id = e.target_id
        WHERE e.actor_id = :id AND e.id < :before AND e.id > :after AND a.state < 2""",
    "e.id",
)
PUT_DOMAIN = sql(
    "domain_block_put",
    "INSERT INTO domain_block (actor_id, domain, id) VALUES (:actor, :domain, :id) ON CONFLICT DO NOTHING",
)
DROP_DOMAIN = sql("domain_block_drop", "DELETE FROM domain_block WHERE actor_id = :actor AND domain = :domain")
DOMAIN_BLOCKED = sql("domain_block_exists", "SELECT 1 FROM domain_block WHERE actor_id = :actor AND domain = :domain")
COUNT_DOMAINS = sql("domain_blocks_count", "SELECT count(*) FROM domain_block WHERE actor_id = :actor")
DOMAINS_PAGE = paged(
    "domain_blocks_page",
    "SELECT id, domain FROM domain_block WHERE actor_id = :id AND id < :before AND id > :after",
    "id",
)
FOLLOWED_AT = sql(
    "followed_at_domain",
    """SELECT a.id FROM follow f JOIN actor a ON a.id = f.followee_id
       WHERE f.follower_id = :actor AND a.domain = :domain ORDER BY f.id""",
)
FOLLOWERS_FROM = sql(
    "followers_from_domain",
    """SELECT a.id FROM follow f JOIN actor a ON a.id = f.follower_id
       WHERE f.followee_id = :actor AND a.domain = :domain ORDER BY f.id""",
)
FORGET_FROM_DOMAIN = sql(
    "notification_forget_domain",
    """DELETE FROM notification WHERE owner_id = :actor
       AND from_id IN (SELECT id FROM actor a WHERE a.domain = :domain)""",
)
_NOT_PARTED = """NOT EXISTS (SELECT 1 FROM block b WHERE b.actor_id = :viewer AND b.target_id = a.id)
        AND NOT EXISTS (SELECT 1 FROM block c WHERE c.actor_id = a.id AND c.target_id = :viewer)
        AND NOT EXISTS (SELECT 1 FROM mute m WHERE m.actor_id = :viewer AND m.target_id = a.id
            AND (m.expires_at IS NULL OR m.expires_at > :now))
        AND (a.domain IS NULL OR NOT EXISTS (SELECT 1 FROM domain_block d
            WHERE d.actor_id = :viewer AND d.domain = a.domain))"""
_FINDABLE = f"""a.discoverable = 1 AND a.state = 0 AND a.name_key <> '{INSTANCE_ACTOR}'
        AND a.profile LIKE '%"moved_to":null%' AND {_NOT_PARTED}"""
"""Who wants to be found, and whom ``:viewer`` has not turned away, nor they the viewer."""
_NEW_TO_ME = """a.id <> :viewer
        AND NOT EXISTS (SELECT 1 FROM follow g WHERE g.follower_id = :viewer AND g.followee_id = a.id)
        AND NOT EXISTS (SELECT 1 FROM dismissed_suggestion x WHERE x.actor_id = :viewer AND x.target_id = a.id)"""
FRIENDS = sql(
    "suggest_friends",
    """SELECT f.followee_id FROM follow f JOIN actor q ON q.id = f.followee_id
       WHERE f.follower_id = :viewer AND f.state = 1 AND q.profile NOT LIKE '%"hide_collections":true%'
       ORDER BY f.id DESC LIMIT :limit""",
)
FRIENDS_OF_FRIENDS = sql(
    "suggest_friends_of_friends",
    f"""SELECT {ACTOR_COLUMNS} FROM (
            SELECT s.followee_id AS id, count(*) AS ways FROM follow s
            WHERE s.follower_id IN :friends[] AND s.state = 1 GROUP BY s.followee_id) w
        JOIN actor a ON a.id = w.id
        WHERE {_FINDABLE} AND {_NEW_TO_ME}
        ORDER BY w.ways DESC, a.followers_count DESC, a.id LIMIT :limit""",
)
POPULAR = sql(
    "suggest_popular",
    f"""SELECT {ACTOR_COLUMNS} FROM actor a WHERE a.domain IS NULL AND {_FINDABLE} AND {_NEW_TO_ME}
        AND a.followers_count > 0 ORDER BY a.followers_count DESC, a.id LIMIT :limit""",
)
DISMISS_SUGGESTION = sql(
    "suggestion_dismiss",
    "INSERT INTO dismissed_suggestion (actor_id, target_id) VALUES (:actor, :target) ON CONFLICT DO NOTHING",
)
DIRECTORY_NEW = sql(
    "directory_new",
    f"""SELECT {ACTOR_COLUMNS} FROM actor a WHERE {_FINDABLE} AND (:local = 0 OR a.domain IS NULL)
        ORDER BY a.id DESC LIMIT :limit OFFSET :skip""",
)
DIRECTORY_ACTIVE = sql(
    "directory_active",
    f"""SELECT {ACTOR_COLUMNS} FROM actor a WHERE {_FINDABLE} AND (:local = 0 OR a.domain IS NULL)
        ORDER BY coalesce(a.last_post_at, 0) DESC, a.id DESC LIMIT :limit OFFSET :skip""",
)
FAMILIAR = sql(
    "familiar_followers",
    f"""SELECT w.followee_id, {ACTOR_COLUMNS} FROM (
          SELECT t.followee_id, t.follower_id, t.id,
              row_number() OVER (PARTITION BY t.followee_id ORDER BY t.id DESC) AS place
          FROM follow m
          JOIN follow t ON t.follower_id = m.followee_id AND t.state = 1 AND t.followee_id IN :ids[]
          JOIN actor o ON o.id = t.followee_id AND o.profile NOT LIKE '%"hide_collections":true%'
          JOIN actor f ON f.id = m.followee_id AND f.state < 2 AND f.profile NOT LIKE '%"hide_collections":true%'
          WHERE m.follower_id = :viewer AND m.state = 1) w
        JOIN actor a ON a.id = w.follower_id
        WHERE w.place <= :most ORDER BY w.id DESC""",
)
FORGET_NOTES = sql("account_note_forget", "DELETE FROM account_note WHERE actor_id = :actor OR target_id = :actor")
FORGET_ENDORSEMENTS = sql("endorsement_forget", "DELETE FROM endorsement WHERE actor_id = :actor OR target_id = :actor")
FORGET_DISMISSED = sql(
    "dismissed_suggestion_forget", "DELETE FROM dismissed_suggestion WHERE actor_id = :actor OR target_id = :actor"
)
FORGET_DOMAINS = sql("domain_block_forget", "DELETE FROM domain_block WHERE actor_id = :actor")


def put_note(tx: Tx, actor: Id, target: Id, comment: str) -> None:
    """Keep what somebody notes about another, for themselves; nothing at all takes the note away."""
    if comment:
        tx.run(PUT_NOTE, actor=actor, target=target, comment=comment)
    else:
        tx.run(DROP_NOTE, actor=actor, target=target)


def endorse(tx: Tx, actor: Id, target: Id) -> None:
    """Recommend somebody on one's profile."""
    tx.run(PUT_ENDORSEMENT, actor=actor, target=target, id=tx.new_id())


def unendorse(tx: Tx, actor: Id, target: Id) -> None:
    """Recommend somebody no more."""
    tx.run(DROP_ENDORSEMENT, actor=actor, target=target)


def endorsements(tx: Tx, ident: Id, page: Page = FIRST) -> list[tuple[Id, Actor]]:
    """Whom an actor recommends, newest first, each with its id for paging."""
    return [(row[0], actor_from_row(row[1:])) for row in rows(tx, ENDORSEMENTS_PAGE, page, id=ident)]


def block_domain(tx: Tx, actor: Id, domain: Domain) -> bool:
    """Block a domain; False when it was blocked before."""
    return tx.run(PUT_DOMAIN, actor=actor, domain=domain, id=tx.new_id()) > 0


def unblock_domain(tx: Tx, actor: Id, domain: Domain) -> None:
    """Take it back."""
    tx.run(DROP_DOMAIN, actor=actor, domain=domain)


def blocks_domain(tx: Tx, actor: Id, domain: Domain | None) -> bool:
    """Whether an actor blocks a domain; nobody blocks this instance."""
    return domain is not None and tx.one(DOMAIN_BLOCKED, actor=actor, domain=domain) is not None


def count_domains(tx: Tx, actor: Id) -> int:
    """How many domains an actor blocks."""
    return int(tx.value(COUNT_DOMAINS, actor=actor))


def blocked_domains(tx: Tx, actor: Id, page: Page) -> list[tuple[Id, Domain]]:
    """The domains that an actor blocks, newest first, each with its id for paging."""
    return [(row[0], row[1]) for row in rows(tx, DOMAINS_PAGE, page, id=actor)]


def followed_at(tx: Tx, actor: Id, domain: Domain) -> list[Id]:
    """Whom an actor follows, or asked to, at a domain."""
    return [row[0] for row in tx.all(FOLLOWED_AT, actor=actor, domain=domain)]


def followers_from(tx: Tx, actor: Id, domain: Domain) -> list[Id]:
    """Who at a domain follows an actor, or asked to."""
    return [row[0] for row in tx.all(FOLLOWERS_FROM, actor=actor, domain=domain)]


def forget_from_domain(tx: Tx, actor: Id, domain: Domain) -> None:
    """Take back the notifications from a domain."""
    tx.run(FORGET_FROM_DOMAIN, actor=actor, domain=domain)


def friends_of_friends(tx: Tx, viewer: Id, limit: int) -> list[Actor]:
    """Whom those follow that ``viewer`` follows, by how many of them do. Hidden lists count for nothing."""
    friends = [row[0] for row in tx.all(FRIENDS, viewer=viewer, limit=MAX_FRIENDS)]
    found = tx.all(FRIENDS_OF_FRIENDS, viewer=viewer, friends=friends, limit=limit, now=tx.now) if friends else []
    return [actor_from_row(row) for row in found]


def popular(tx: Tx, viewer: Id, limit: int) -> list[Actor]:
    """Local people whom many follow, and ``viewer`` does not."""
    return [actor_from_row(row) for row in tx.all(POPULAR, viewer=viewer, limit=limit, now=tx.now)]


def dismiss_suggestion(tx: Tx, actor: Id, target: Id) -> None:
    """Never suggest ``target`` to ``actor`` again."""
    tx.run(DISMISS_SUGGESTION, actor=actor, target=target)


def directory(tx: Tx, viewer: Id, *, by_age: bool, local: bool, limit: int, skip: int) -> list[Actor]:
    """Who wants to be found: the newest first, or those who posted last."""
    query = DIRECTORY_NEW if by_age else DIRECTORY_ACTIVE
    found = tx.all(query, viewer=viewer, local=int(local), limit=limit, skip=skip, now=tx.now)
    return [actor_from_row(row) for row in found]


def familiar(tx: Tx, viewer: Id, idents: Iterable[Id]) -> dict[Id, list[Actor]]:
    """The followers of each account whom ``viewer`` follows, as far as neither hides the list."""
    result: dict[Id, list[Actor]] = {}
    for row in tx.all(FAMILIAR, viewer=viewer, ids=list(idents), most=MAX_FAMILIAR):
        result.setdefault(row[0], []).append(actor_from_row(row[1:]))
    return result


def forget(tx: Tx, actor: Id) -> None:
    """The actor is gone: what it kept about others, and they about it."""
    for query in (FORGET_NOTES, FORGET_ENDORSEMENTS, FORGET_DISMISSED, FORGET_DOMAINS):
        tx.run(query, actor=actor)
