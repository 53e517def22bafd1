"""Notifications in the store: rows in, values out, one by one and in groups; what people accept, and requests.

What belongs together has a ``group_key``, given when it is written: the kind, the post if it is about one, and the hour
of the group's first notification. A group stands where its newest notification stands, so a walk meets it once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fedishare.model.actors import ActorState
from fedishare.model.ids import Id, Millis
from fedishare.policy.notifications import DEFAULT, Rules, SenderFacts, Verdict
from fedishare.store.audience import VISIBLE
from fedishare.store.db import Row, Tx, sql
from fedishare.store.paging import Page, paged, rows

HOUR = 3600 * 1000
GROUP_HOURS = 12
"""A group takes what comes within so many hours of its first notification."""
GROUPED = frozenset(("favourite", "reblog", "follow", "admin.sign_up"))
"""What is about a post of one's own, or about nothing but the sender."""
SAMPLE = 8
"""Newest senders that are named of each group."""

RECEIVER = sql(
    "notification_receiver",
    """SELECT s.state, s.created_at, y.not_following, y.not_followers, y.new_accounts, y.private_mentions,
        y.limited_accounts, EXISTS (SELECT 1 FROM push_subscription u WHERE u.actor_id = o.id)
       FROM actor o JOIN actor s ON s.id = :source LEFT JOIN notification_policy y ON y.owner_id = o.id
       WHERE o.id = :owner AND o.domain IS NULL AND o.state < 2
        AND NOT EXISTS (SELECT 1 FROM block b WHERE b.actor_id = :owner AND b.target_id = :source)
        AND NOT EXISTS (SELECT 1 FROM mute m WHERE m.actor_id = :owner AND m.target_id = :source AND m.notifications = 1
            AND (m.expires_at IS NULL OR m.expires_at > :now))
        AND (s.domain IS NULL OR NOT EXISTS (SELECT 1 FROM domain_block d
            WHERE d.actor_id = :owner AND d.domain = s.domain AND NOT EXISTS (SELECT 1 FROM follow f
                WHERE f.follower_id = :owner AND f.followee_id = :source AND f.state = 1)))
        AND NOT EXISTS (SELECT 1 FROM interaction i JOIN post q ON q.id = i.post_id JOIN post p ON p.id = :post
            WHERE i.actor_id = :owner AND i.kind = 4 AND (q.id = p.id OR q.thread_id = p.thread_id))""",
)
SENDER = sql(
    "notification_sender",
    """SELECT
        EXISTS (SELECT 1 FROM notification_permission x WHERE x.owner_id = :owner AND x.from_id = :source),
        EXISTS (SELECT 1 FROM follow f WHERE f.follower_id = :owner AND f.followee_id = :source AND f.state = 1),
        (SELECT f.created_at FROM follow f WHERE f.follower_id = :source AND f.followee_id = :owner AND f.state = 1),
        EXISTS (SELECT 1 FROM post p WHERE p.id = :post AND p.visibility = 3) AND NOT EXISTS (
            SELECT 1 FROM post p JOIN post q ON q.thread_id = p.thread_id
            JOIN mention m ON m.post_id = q.id AND m.actor_id = :source
            WHERE p.id = :post AND q.author_id = :owner AND q.id < p.id)""",
)
PUT = sql(
    "notification_insert",
    """INSERT INTO notification (id, owner_id, kind, from_id, post_id, created_at, filtered, about_id, group_key)
       VALUES (:id, :owner, :kind, :source, :post, :now, :filtered, :about,
        coalesce((SELECT max(g.group_key) FROM notification g
            WHERE g.owner_id = :owner AND g.group_key > :earliest AND g.group_key <= :group), :group))
       ON CONFLICT DO NOTHING""",
)
BELLS = sql(
    "follow_bells",
    """SELECT f.follower_id FROM follow f JOIN post p ON p.id = :post
       WHERE f.followee_id = :author AND f.state = 1 AND f.follower_local = 1 AND f.notify = 1 AND (p.visibility <= 2
         OR EXISTS (SELECT 1 FROM mention m WHERE m.post_id = p.id AND m.actor_id = f.follower_id))
       ORDER BY f.id""",
)
VOTERS = sql(
    "poll_voters",
    """SELECT DISTINCT v.actor_id FROM vote v JOIN actor a ON a.id = v.actor_id
       WHERE v.post_id = :post AND a.domain IS NULL ORDER BY v.actor_id""",
)
WITHDRAW = sql(
    "notification_withdraw",
    """DELETE FROM notification WHERE owner_id = :owner AND kind = :kind AND from_id = :source
       AND coalesce(post_id, 0) = coalesce(:post, 0)""",
)
FORGET_FROM = sql("notification_forget", "DELETE FROM notification WHERE owner_id = :owner AND from_id = :source")
DISMISS = sql("notification_dismiss", "DELETE FROM notification WHERE id = :id AND owner_id = :viewer")
DISMISS_GROUP = sql(
    "notification_dismiss_group",
    "DELETE FROM notification WHERE owner_id = :viewer AND group_key = :key AND filtered = 0",
)
CLEAR = sql("notification_clear", "DELETE FROM notification WHERE owner_id = :viewer AND filtered = 0")

_COLUMNS = "n.id, n.kind, n.from_id, n.post_id, n.created_at, n.group_key, n.filtered, n.about_id"


def _wanted(name: str) -> str:
    """What a notification is shown for; the alias is its row's. A mute also hides what came before it."""
    return f"""EXISTS (SELECT 1 FROM actor ns WHERE ns.id = {name}.from_id AND ns.state < 2)
         AND NOT EXISTS (SELECT 1 FROM block nb WHERE nb.actor_id = :viewer AND nb.target_id = {name}.from_id)
         AND NOT EXISTS (SELECT 1 FROM mute nm WHERE nm.actor_id = :viewer AND nm.target_id = {name}.from_id
             AND nm.notifications = 1 AND (nm.expires_at IS NULL OR nm.expires_at > :now))
         AND (:source = 0 OR {name}.from_id = :source) AND (:filtered = 1 OR {name}.filtered = 0)"""


_SEEN = f"""(n.post_id IS NULL OR EXISTS (SELECT 1 FROM post p JOIN actor a ON a.id = p.author_id
             WHERE p.id = n.post_id AND {VISIBLE}))"""
_PAGE = f"""SELECT {_COLUMNS} FROM notification n
       WHERE n.owner_id = :viewer AND n.id < :before AND n.id > :after AND {_wanted("n")} AND {_SEEN}
         AND (:all_kinds = 1 OR n.kind IN :kinds[]) AND n.kind NOT IN :but[]"""
PAGE = paged("notification_page", _PAGE, "n.id")
GROUPS = paged(
    "notification_groups",
    f"""{_PAGE} AND (n.group_key IS NULL OR n.kind NOT IN :grouped[] OR NOT EXISTS (SELECT 1 FROM notification g
         WHERE g.owner_id = :viewer AND g.group_key = n.group_key AND g.id > n.id AND {_wanted("g")}))""",
    "n.id",
)
MEMBERS = sql(
    "notification_members",
    f"""SELECT group_key, id, from_id, place, number FROM (
         SELECT n.group_key, n.id, n.from_id,
             row_number() OVER (PARTITION BY n.group_key ORDER BY n.id DESC) AS place,
             count(*) OVER (PARTITION BY n.group_key) AS number
         FROM notification n WHERE n.owner_id = :viewer AND n.group_key IN :keys[] AND {_wanted("n")}) AS m
       WHERE place <= :most ORDER BY group_key, id DESC""",
)
OLDEST = sql(
    "notification_oldest",
    f"""SELECT n.group_key, min(n.id) FROM notification n
       WHERE n.owner_id = :viewer AND n.group_key IN :keys[] AND n.id >= :least AND {_wanted("n")}
       GROUP BY n.group_key""",
)
IN_GROUP = paged(
    "notification_in_group",
    f"""SELECT {_COLUMNS} FROM notification n WHERE n.owner_id = :viewer AND n.group_key = :key
        AND n.id < :before AND n.id > :after AND {_wanted("n")} AND {_SEEN}""",
    "n.id",
)
BY_ID = sql(
    "notification_by_id",
    f"""SELECT {_COLUMNS} FROM notification n
        WHERE n.id = :id AND n.owner_id = :viewer AND {_wanted("n")} AND {_SEEN}""",
)

READ_UNTIL = sql(
    "notification_read_until",
    "SELECT last_read_id FROM marker WHERE owner_id = :viewer AND timeline = 'notifications'",
)
GET_POLICY = sql(
    "notification_policy_get",
    """SELECT not_following, not_followers, new_accounts, private_mentions, limited_accounts
       FROM notification_policy WHERE owner_id = :owner""",
)
PUT_POLICY = sql(
    "notification_policy_put",
    """INSERT INTO notification_policy (owner_id, not_following, not_followers, new_accounts, private_mentions,
        limited_accounts)
       VALUES (:owner, :not_following, :not_followers, :new_accounts, :private_mentions, :limited_accounts)
       ON CONFLICT (owner_id) DO UPDATE SET not_following = excluded.not_following,
        not_followers = excluded.not_followers, new_accounts = excluded.new_accounts,
        private_mentions = excluded.private_mentions, limited_accounts = excluded.limited_accounts""",
)
PUT_PERMISSION = sql(
    "notification_permission_put",
    "INSERT INTO notification_permission (owner_id, from_id) VALUES (:owner, :source) ON CONFLICT DO NOTHING",
)
DROP_PERMISSION = sql(
    "notification_permission_drop",
    "DELETE FROM notification_permission WHERE owner_id = :owner AND from_id = :source",
)
PUT_REQUEST = sql(
    "notification_request_put",
    """INSERT INTO notification_request (id, owner_id, from_id, created_at, updated_at)
       VALUES (:id, :owner, :source, :now, :now)
       ON CONFLICT (owner_id, from_id) DO UPDATE SET updated_at = excluded.updated_at""",
)
_REQUEST = """SELECT r.id, r.from_id, r.created_at, r.updated_at,
        (SELECT count(*) FROM notification n WHERE n.owner_id = r.owner_id AND n.from_id = r.from_id
            AND n.filtered = 1),
        (SELECT max(n.post_id) FROM notification n WHERE n.owner_id = r.owner_id AND n.from_id = r.from_id
            AND n.filtered = 1)
       FROM notification_request r JOIN actor s ON s.id = r.from_id AND s.state < 2
       WHERE r.owner_id = :viewer AND EXISTS (SELECT 1 FROM notification n
            WHERE n.owner_id = r.owner_id AND n.from_id = r.from_id AND n.filtered = 1)"""
REQUESTS = paged("notification_requests", f"{_REQUEST} AND r.id < :before AND r.id > :after", "r.id")
REQUEST = sql("notification_request_get", f"{_REQUEST} AND r.id = :id")
WAITING = sql(
    "notification_waiting",
    """SELECT count(DISTINCT n.from_id), count(*) FROM notification n JOIN actor s ON s.id = n.from_id AND s.state < 2
       WHERE n.owner_id = :viewer AND n.filtered = 1""",
)
DROP_REQUEST = sql(
    "notification_request_drop", "DELETE FROM notification_request WHERE owner_id = :owner AND from_id = :source"
)
FILTERED = sql(
    "notification_filtered_posts",
    """SELECT n.id, n.post_id FROM notification n
       WHERE n.owner_id = :owner AND n.from_id = :source AND n.filtered = 1 ORDER BY n.id""",
)
ADMIT = sql(
    "notification_admit",
    "UPDATE notification SET filtered = 0 WHERE owner_id = :owner AND from_id = :source AND filtered = 1",
)
DROP_FILTERED = sql(
    "notification_filtered_drop",
    "DELETE FROM notification WHERE owner_id = :owner AND from_id = :source AND filtered = 1",
)

FORGET = sql("notifications_forget", "DELETE FROM notification WHERE owner_id = :owner")
FORGET_POLICY = sql("notification_policy_forget", "DELETE FROM notification_policy WHERE owner_id = :owner")
FORGET_PERMISSIONS = sql(
    "notification_permissions_forget", "DELETE FROM notification_permission WHERE owner_id = :owner"
)
FORGET_REQUESTS = sql("notification_requests_forget", "DELETE FROM notification_request WHERE owner_id = :owner")


@dataclass(frozen=True, slots=True)
class Note:
    """One notification. ``kind`` is the client API's word; ``about_id`` the report that it is about, if any."""

    id: Id
    kind: str
    from_id: Id
    post_id: Id | None
    created_at: Millis
    group_key: str | None
    filtered: bool
    about_id: Id | None

    @property
    def key(self) -> str:
        """What it is grouped by; its own where nothing else belongs to it."""
        return self.group_key if self.group_key is not None else f"ungrouped-{self.id}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which notifications somebody asks for. No ``kinds`` means all of them."""

    kinds: Sequence[str] = ()
    but: Sequence[str] = ()
    source: Id | None = None
    filtered: bool = False


EVERYTHING = Wanted()


@dataclass(frozen=True, slots=True)
class Group:
    """Who and how many are in a group, and the oldest of it that belongs to the page."""

    number: int
    people: tuple[Id, ...]
    """The newest senders first."""
    oldest: Id


@dataclass(frozen=True, slots=True)
class Request:
    """Somebody whose notifications are kept apart."""

    id: Id
    from_id: Id
    created_at: Millis
    updated_at: Millis
    number: int
    last_post_id: Id | None


# Writing


def receiver(tx: Tx, owner: Id, source: Id, post: Id | None) -> tuple[Rules, SenderFacts, bool] | None:
    """What a local person accepts, the little of the sender that needs no other question, and whether an app of theirs
    wants to be told at once; None when they are to hear nothing of it: blocked, muted, a muted thread."""
    row = tx.one(RECEIVER, owner=owner, source=source, post=post, now=tx.now)
    if row is None:
        return None
    state, created, *words, pushed = row
    rules = DEFAULT if words[0] is None else Rules(*map(Verdict, words))
    return rules, SenderFacts(created, limited=state == ActorState.LIMITED), bool(pushed)


def sender(tx: Tx, owner: Id, source: Id, post: Id | None, known: SenderFacts) -> SenderFacts:
    """All that the rules may ask."""
    row = tx.one(SENDER, owner=owner, source=source, post=post)
    assert row is not None  # noqa: S101 — one row always
    accepted, followed, since, unasked = row
    return SenderFacts(known.created_at, known.limited, bool(accepted), bool(followed), since, bool(unasked))


def put(tx: Tx, owner: Id, kind: str, source: Id, post: Id | None, *, about: Id | None, filtered: bool) -> Id | None:
    """Add a notification; its id, or None when the same one exists."""
    ident, stem = tx.new_id(), None
    if kind in GROUPED and not filtered:
        stem = kind if post is None else f"{kind}-{post}"
    hour = tx.now // HOUR
    added = tx.run(
        PUT, id=ident, owner=owner, kind=kind, source=source, post=post, now=tx.now, filtered=int(filtered),
        about=about, earliest=stem and f"{stem}-{hour - GROUP_HOURS}", group=stem and f"{stem}-{hour}",
    )  # fmt: skip
    return ident if added else None


def bells(tx: Tx, post: Id, author: Id) -> list[Id]:
    """The local followers that want to hear of each post of ``author``."""
    return [row[0] for row in tx.all(BELLS, author=author, post=post)]


def voters(tx: Tx, post: Id) -> list[Id]:
    """The local people who voted."""
    return [row[0] for row in tx.all(VOTERS, post=post)]


def withdraw(tx: Tx, owner: Id, kind: str, source: Id, post: Id | None = None) -> None:
    """Take a notification back (Undo)."""
    tx.run(WITHDRAW, owner=owner, kind=kind, source=source, post=post)


def forget_from(tx: Tx, owner: Id, source: Id) -> None:
    """Take back everything from ``source`` (block)."""
    tx.run(FORGET_FROM, owner=owner, source=source)
    tx.run(DROP_REQUEST, owner=owner, source=source)
    tx.run(DROP_PERMISSION, owner=owner, source=source)


def dismiss(tx: Tx, viewer: Id, ident: Id | None = None) -> None:
    """Remove one notification, or all that are shown."""
    if ident is None:
        tx.run(CLEAR, viewer=viewer)
    else:
        tx.run(DISMISS, id=ident, viewer=viewer)


def forget(tx: Tx, owner: Id) -> None:
    """Remove what a person that is gone was told, and what they chose to be told."""
    for query in (FORGET, FORGET_POLICY, FORGET_PERMISSIONS, FORGET_REQUESTS):
        tx.run(query, owner=owner)


# Reading


def _notes(found: Iterable[Row]) -> list[Note]:
    return [
        Note(ident, kind, source, post, created, key, bool(filtered), about)
        for ident, kind, source, post, created, key, filtered, about in found
    ]


def page(tx: Tx, viewer: Id, wanted: Wanted, at: Page) -> list[Note]:
    """A page of notifications, newest first."""
    return _notes(rows(
        tx, PAGE, at, viewer=viewer, now=tx.now, kinds=list(wanted.kinds), all_kinds=int(not wanted.kinds),
        but=list(wanted.but), source=wanted.source or 0, filtered=int(wanted.filtered),
    ))  # fmt: skip


def by_id(tx: Tx, viewer: Id, ident: Id) -> Note | None:
    """One notification of ``viewer``, also one that is kept apart."""
    found = _notes(tx.all(BY_ID, id=ident, viewer=viewer, now=tx.now, source=0, filtered=1))
    return found[0] if found else None


def read_until(tx: Tx, viewer: Id) -> Id:
    """The newest notification that the person has read, on whichever device."""
    found: Id | None = tx.value(READ_UNTIL, viewer=viewer)
    return found or Id(0)


def group_page(tx: Tx, viewer: Id, wanted: Wanted, grouped: Iterable[str], at: Page) -> list[Note]:
    """A page of groups by their newest notification, newest first; only kinds in ``grouped`` are put together."""
    return _notes(rows(
        tx, GROUPS, at, viewer=viewer, now=tx.now, kinds=list(wanted.kinds), all_kinds=int(not wanted.kinds),
        but=list(wanted.but), source=wanted.source or 0, filtered=int(wanted.filtered), grouped=list(grouped),
    ))  # fmt: skip


def groups(tx: Tx, viewer: Id, keys: Iterable[str], wanted: Wanted, least: Id) -> dict[str, Group]:
    """Who is in the groups; ``least`` is the lowest id of the page that shows them."""
    asked = list(keys)
    if not asked:
        return {}
    told = {"viewer": viewer, "keys": asked, "now": tx.now, "source": wanted.source or 0}
    filtered = int(wanted.filtered)
    oldest: dict[str, Id] = {row[0]: row[1] for row in tx.all(OLDEST, least=least, filtered=filtered, **told)}
    people: dict[str, list[Id]] = {}
    numbers: dict[str, int] = {}
    for key, _, source, _, number in tx.all(MEMBERS, most=SAMPLE, filtered=filtered, **told):
        people.setdefault(key, []).append(source)
        numbers[key] = number
    return {
        key: Group(numbers[key], tuple(dict.fromkeys(found)), oldest[key])
        for key, found in people.items() if key in oldest
    }  # fmt: skip


def in_group(tx: Tx, viewer: Id, key: str, at: Page) -> list[Note]:
    """A page of one group, newest first."""
    return _notes(rows(tx, IN_GROUP, at, viewer=viewer, key=key, now=tx.now, source=0, filtered=0))


def dismiss_group(tx: Tx, viewer: Id, key: str) -> None:
    """Remove a group."""
    tx.run(DISMISS_GROUP, viewer=viewer, key=key)


# What people accept


def policy(tx: Tx, owner: Id) -> Rules:
    """What a person accepts."""
    row = tx.one(GET_POLICY, owner=owner)
    return Rules(*map(Verdict, row)) if row else DEFAULT


def put_policy(tx: Tx, owner: Id, rules: Rules) -> None:
    """Remember what a person accepts."""
    tx.run(
        PUT_POLICY, owner=owner, not_following=int(rules.not_following), not_followers=int(rules.not_followers),
        new_accounts=int(rules.new_accounts), private_mentions=int(rules.private_mentions),
        limited_accounts=int(rules.limited_accounts),
    )  # fmt: skip


def waiting(tx: Tx, viewer: Id) -> tuple[int, int]:
    """How many people, and notifications, are kept apart."""
    row = tx.one(WAITING, viewer=viewer)
    assert row is not None  # noqa: S101 — one row always
    return int(row[0]), int(row[1])


def put_request(tx: Tx, owner: Id, source: Id) -> None:
    """Somebody's notification is kept apart."""
    tx.run(PUT_REQUEST, id=tx.new_id(), owner=owner, source=source, now=tx.now)


def requests(tx: Tx, viewer: Id, at: Page) -> list[Request]:
    """Whose notifications are kept apart, the newest request first."""
    return [Request(*row) for row in rows(tx, REQUESTS, at, viewer=viewer)]


def request(tx: Tx, viewer: Id, ident: Id) -> Request | None:
    """One of them."""
    row = tx.one(REQUEST, viewer=viewer, id=ident)
    return Request(*row) if row else None


def admit(tx: Tx, owner: Id, source: Id) -> list[tuple[Id, Id | None]]:
    """Show what was kept apart of ``source``, now and later; the notifications, each with its post."""
    found = [(row[0], row[1]) for row in tx.all(FILTERED, owner=owner, source=source)]
    tx.run(PUT_PERMISSION, owner=owner, source=source)
    tx.run(ADMIT, owner=owner, source=source)
    tx.run(DROP_REQUEST, owner=owner, source=source)
    return found


def drop_filtered(tx: Tx, owner: Id, source: Id) -> None:
    """Remove what was kept apart of ``source``."""
    tx.run(DROP_FILTERED, owner=owner, source=source)
    tx.run(DROP_REQUEST, owner=owner, source=source)
