"""Actors and their keys in the store: rows in, values out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from fedishare.model.activities import ActorChanged, RemoteActor
from fedishare.model.actors import Actor, ActorKey, ActorKind, ActorState, Endpoints, Profile
from fedishare.model.ids import Domain, Handle, Id, Iri, Millis, iri_hash
from fedishare.store.db import Row, Tx, sql

INSTANCE_ACTOR = "instance.actor"
"""The name of the local actor that signs fetches and reports. No person can take it: it has a dot."""

COLUMNS = """a.id, a.iri, a.name, a.domain, a.host, a.kind, a.state, a.profile, a.inbox, a.outbox, a.followers,
  a.following, a.shared_inbox, a.url, a.created_at, a.fetched_at, a.followers_count, a.following_count,
  a.posts_count, a.last_post_at, a.rev, a.sensitized, a.limited"""
WIDTH = 23

BY_ID = sql("actor_by_id", f"SELECT {COLUMNS} FROM actor a WHERE a.id = :id")
BY_IDS = sql("actors_by_ids", f"SELECT {COLUMNS} FROM actor a WHERE a.id IN :ids[]")
BY_IRI = sql("actor_by_iri", f"SELECT {COLUMNS} FROM actor a WHERE a.iri_hash = :hash AND a.iri = :iri")
BY_IRIS = sql("actors_by_iris", f"SELECT {COLUMNS} FROM actor a WHERE a.iri_hash IN :hashes[]")
ID_BY_IRI = sql("actor_id_by_iri", "SELECT id FROM actor WHERE iri_hash = :hash AND iri = :iri")
BY_NAME = sql(
    "actor_by_name", f"SELECT {COLUMNS} FROM actor a WHERE a.name_key = :name AND coalesce(a.domain, '') = :domain"
)
INSERT = sql(
    "actor_insert",
    """INSERT INTO actor (id, iri, iri_hash, name, name_key, domain, host, kind, state, profile, inbox, outbox,
        followers, following, shared_inbox, url, created_at, fetched_at, discoverable)
       VALUES (:id, :iri, :hash, :name, :name_key, :domain, :host, :kind, 0, :profile, :inbox, :outbox, :followers,
        :following, :shared_inbox, :url, :created_at, :fetched_at, :discoverable)""",
)
UPDATE = sql(
    "actor_update",
    """UPDATE actor SET name = :name, name_key = :name_key, domain = :domain, kind = :kind, profile = :profile,
        inbox = :inbox, outbox = :outbox, followers = :followers, following = :following,
        shared_inbox = :shared_inbox, url = :url, fetched_at = :fetched_at, discoverable = :discoverable,
        rev = rev + 1
       WHERE id = :id""",
)
SET_PROFILE = sql(
    "actor_set_profile",
    """UPDATE actor SET profile = :profile, kind = :kind, fetched_at = :now, discoverable = :discoverable, rev = rev + 1
       WHERE id = :id""",
)
SET_STATE = sql("actor_set_state", "UPDATE actor SET state = :state, rev = rev + 1 WHERE id = :id")
TOUCH = sql("actor_touch", "UPDATE actor SET rev = rev + 1 WHERE id = :id")
SET_LIMITED = sql("actor_set_limited", "UPDATE actor SET limited = :limited WHERE id = :id")
SET_SENSITIZED = sql("actor_set_sensitized", "UPDATE actor SET sensitized = :sensitized, rev = rev + 1 WHERE id = :id")
FORGET_INBOX = sql(
    "actor_forget_shared_inbox",
    "UPDATE actor SET shared_inbox = NULL WHERE host = :host AND shared_inbox = :inbox",
)
_COUNT_POSTS = """UPDATE actor SET posts_count = {greatest}(0, posts_count + :change), rev = rev + 1,
        last_post_at = CASE WHEN :change > 0 THEN :now ELSE last_post_at END WHERE id = :id"""
COUNT_POSTS = sql("actor_count_posts", _COUNT_POSTS)
COUNT_OWN_POST = sql("actor_count_own_post", f"{_COUNT_POSTS} RETURNING {COLUMNS.replace('a.', '')}")
COUNT_FOLLOW = sql(
    "actor_count_follow",
    """UPDATE actor SET rev = rev + 1,
        followers_count = followers_count + CASE WHEN id = :followee THEN :change ELSE 0 END,
        following_count = following_count + CASE WHEN id = :follower THEN :change ELSE 0 END
       WHERE id IN (:follower, :followee)""",
)
KEYS = sql("actor_keys", "SELECT key_id, kind, material FROM actor_key WHERE actor_id = :id ORDER BY key_id")
KEY_OWNER = sql(
    "actor_key_owner",
    """SELECT a.id, a.iri, a.state, a.host, k.key_id, k.kind, k.material, k.fetched_at
       FROM actor_key k JOIN actor a ON a.id = k.actor_id WHERE k.key_hash = :hash AND k.key_id = :key_id""",
)
DROP_KEYS = sql("actor_drop_keys", "DELETE FROM actor_key WHERE actor_id = :id")
PUT_KEY = sql(
    "actor_put_key",
    """INSERT INTO actor_key (actor_id, key_id, key_hash, kind, material, fetched_at)
       VALUES (:id, :key_id, :hash, :kind, :material, :now)
       ON CONFLICT (actor_id, key_id) DO UPDATE SET material = excluded.material, kind = excluded.kind,
        fetched_at = excluded.fetched_at""",
)
ACCEPTED_LOCAL = sql(
    "actors_local",
    f"SELECT {COLUMNS} FROM actor a WHERE a.domain IS NULL AND a.name_key <> '{INSTANCE_ACTOR}' ORDER BY a.id",
)
COUNT_LOCAL = sql(
    "actor_count_local",
    f"SELECT count(*) FROM actor a WHERE a.domain IS NULL AND a.state < 2 AND a.name_key <> '{INSTANCE_ACTOR}'",
)
COUNT_ACTIVE = sql("credential_count_active", "SELECT count(*) FROM credential WHERE last_seen_at > :since")

_profile_in = msgspec.json.Decoder(Profile)
_encode = msgspec.json.Encoder().encode


def from_row(row: Row) -> Actor:
    """An Actor from `COLUMNS`."""
    (ident, iri, name, domain, host, kind, state, profile, inbox, outbox, followers, following, shared, url,
     created, fetched, n_followers, n_following, n_posts, last_post, rev, sensitized,
     limited) = row[:WIDTH]  # fmt: skip
    return Actor(
        ident, iri, name, domain, host, ActorKind(kind), ActorState(state), _profile_in.decode(profile),
        Endpoints(inbox, outbox, followers, following, shared), url, created, fetched, n_followers, n_following,
        n_posts, last_post, rev, bool(sensitized), bool(limited),
    )  # fmt: skip


def by_id(tx: Tx, ident: Id) -> Actor | None:
    """The actor with that local id."""
    row = tx.one(BY_ID, id=ident)
    return from_row(row) if row else None


def by_ids(tx: Tx, idents: Iterable[Id]) -> dict[Id, Actor]:
    """Several actors at once, by id; unknown ids are left out."""
    wanted = list(set(idents))
    return {row[0]: from_row(row) for row in tx.all(BY_IDS, ids=wanted)} if wanted else {}


def by_iri(tx: Tx, iri: str) -> Actor | None:
    """The actor with that IRI, byte by byte."""
    row = tx.one(BY_IRI, hash=iri_hash(iri), iri=iri)
    return from_row(row) if row else None


def by_iris(tx: Tx, iris: Iterable[str]) -> dict[Iri, Actor]:
    """Several actors at once, by IRI; unknown ones are left out."""
    wanted = set(iris)
    if not wanted:
        return {}
    rows = tx.all(BY_IRIS, hashes=[iri_hash(i) for i in wanted])
    return {row[1]: from_row(row) for row in rows if row[1] in wanted}


def id_of(tx: Tx, iri: str) -> Id | None:
    """The local id of an IRI."""
    found: Id | None = tx.value(ID_BY_IRI, hash=iri_hash(iri), iri=iri)
    return found


def by_handle(tx: Tx, handle: Handle) -> Actor | None:
    """The actor with that handle; names are compared without case."""
    row = tx.one(BY_NAME, name=handle.name.lower(), domain=handle.domain or "")
    return from_row(row) if row else None


def instance_actor(tx: Tx) -> Actor:
    """The actor that signs fetches and reports; made by the first start."""
    found = by_handle(tx, Handle(INSTANCE_ACTOR))
    if found is None:
        raise LookupError("the instance actor is missing; run `fedishare migrate`")
    return found


def like_text(text: str) -> str:
    """Text escaped for LIKE … ESCAPE '!'."""
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def insert_local(
    tx: Tx, iri: Iri, name: str, kind: ActorKind, profile: Profile, endpoints: Endpoints, url: str
) -> Actor:
    """Add a local actor."""
    ident = tx.new_id()
    _insert(tx, ident, iri, name, None, None, kind, profile, endpoints, url)
    tx.notify(ActorChanged(ident))
    found = by_id(tx, ident)
    assert found is not None  # noqa: S101 — just inserted
    return found


def put_remote(tx: Tx, remote: RemoteActor, domain: Domain) -> Actor:
    """Add a remote actor, or bring it up to date; its keys are replaced by those that its document lists.

    ``domain`` is that of the checked handle (it may differ from the IRI's host).
    """
    tx.lock(f"actor:{remote.iri}")
    known = id_of(tx, remote.iri)
    if known is None:
        _release_name(tx, remote.name, domain, remote.iri)
        ident = tx.new_id()
        _insert(
            tx,
            ident,
            remote.iri,
            remote.name,
            domain,
            remote.host,
            remote.kind,
            remote.profile,
            remote.endpoints,
            remote.url,
        )
    else:
        ident = known
        _release_name(tx, remote.name, domain, remote.iri)
        tx.run(UPDATE, id=ident, name=remote.name, name_key=remote.name.lower(), domain=domain, kind=remote.kind.value,
               profile=_encode(remote.profile).decode(), url=remote.url, fetched_at=tx.now,
               discoverable=int(remote.profile.discoverable),
               **_endpoint_columns(remote.endpoints))  # fmt: skip
    put_keys(tx, ident, remote.keys)
    tx.notify(ActorChanged(ident))
    found = by_id(tx, ident)
    assert found is not None  # noqa: S101 — just written
    return found


def _release_name(tx: Tx, name: str, domain: Domain, iri: Iri) -> None:
    """A peer may give a name to a new actor: the one that had it keeps its posts under a name that cannot clash."""
    row = tx.one(BY_NAME, name=name.lower(), domain=domain)
    if row and row[1] != iri:
        tx.run(RENAME, id=row[0], name_key=f"{name.lower()}#{row[0]}")


RENAME = sql("actor_rename_key", "UPDATE actor SET name_key = :name_key, rev = rev + 1 WHERE id = :id")


def _insert(tx: Tx, ident: Id, iri: Iri, name: str, domain: Domain | None, host: Domain | None, kind: ActorKind,
            profile: Profile, endpoints: Endpoints, url: str) -> None:  # fmt: skip
    tx.run(INSERT, id=ident, iri=iri, hash=iri_hash(iri), name=name, name_key=name.lower(), domain=domain, host=host,
           kind=kind.value, profile=_encode(profile).decode(), url=url, created_at=tx.now, fetched_at=tx.now,
           discoverable=int(profile.discoverable),
           **_endpoint_columns(endpoints))  # fmt: skip


def _endpoint_columns(endpoints: Endpoints) -> dict[str, Any]:
    return {
        "inbox": endpoints.inbox,
        "outbox": endpoints.outbox,
        "followers": endpoints.followers,
        "following": endpoints.following,
        "shared_inbox": endpoints.shared_inbox,
    }


def set_profile(tx: Tx, ident: Id, kind: ActorKind, profile: Profile) -> None:
    """Replace what a local actor says about itself."""
    tx.run(
        SET_PROFILE, id=ident, kind=kind.value, profile=_encode(profile).decode(), now=tx.now,
        discoverable=int(profile.discoverable),
    )  # fmt: skip
    tx.notify(ActorChanged(ident))


def set_state(tx: Tx, ident: Id, state: ActorState) -> None:
    """Suspend, limit, delete or restore."""
    tx.run(SET_STATE, id=ident, state=int(state))
    tx.notify(ActorChanged(ident))


def touch(tx: Tx, ident: Id) -> None:
    """Something that is kept elsewhere changed what shows of an actor."""
    tx.run(TOUCH, id=ident)
    tx.notify(ActorChanged(ident))


def set_limited(tx: Tx, ident: Id, limited: bool) -> None:
    """Note that an actor is limited, also while it is suspended; `set_state` makes it so."""
    tx.run(SET_LIMITED, id=ident, limited=int(limited))


def set_sensitized(tx: Tx, ident: Id, sensitized: bool) -> None:
    """Whether everything that an actor attaches counts as sensitive."""
    tx.run(SET_SENSITIZED, id=ident, sensitized=int(sensitized))
    tx.notify(ActorChanged(ident))


def count_posts(tx: Tx, ident: Id, change: int) -> None:
    """Move the number of posts by ``change`` (+1 also notes the time)."""
    tx.run(COUNT_POSTS, id=ident, change=change, now=tx.now)


def count_own_post(tx: Tx, author: Actor) -> Actor:
    """One post more; the author as they are then, for those who show them."""
    row = tx.one(COUNT_OWN_POST, id=author.id, change=1, now=tx.now)
    return from_row(row) if row else author


def count_follow(tx: Tx, follower: Id, followee: Id, change: int) -> None:
    """Move both counts of a follow that was accepted or ended."""
    tx.run(COUNT_FOLLOW, follower=follower, followee=followee, change=change)


def put_keys(tx: Tx, ident: Id, keys: Iterable[ActorKey]) -> None:
    """Replace the keys of an actor."""
    tx.run(DROP_KEYS, id=ident)
    for key in keys:
        tx.run(
            PUT_KEY,
            id=ident,
            key_id=key.key_id,
            hash=iri_hash(key.key_id),
            kind=key.kind,
            material=key.material,
            now=tx.now,
        )


def keys_of(tx: Tx, actor: Actor) -> tuple[ActorKey, ...]:
    """The public keys of an actor."""
    return tuple(ActorKey(key_id, actor.iri, kind, material) for key_id, kind, material in tx.all(KEYS, id=actor.id))


def key_owner(tx: Tx, key_id: str) -> tuple[Id, ActorState, Domain | None, ActorKey, Millis] | None:
    """Who lists the key ``key_id``: id, state, host, the key, and when it was fetched."""
    row = tx.one(KEY_OWNER, hash=iri_hash(key_id), key_id=key_id)
    if row is None:
        return None
    ident, iri, state, host, key, kind, material, fetched = row
    return ident, ActorState(state), host, ActorKey(key, iri, kind, material), fetched


def local_actors(tx: Tx) -> list[Actor]:
    """Every local person, group and service, oldest first."""
    return [from_row(row) for row in tx.all(ACCEPTED_LOCAL)]


def local_count(tx: Tx) -> int:
    """How many local actors are not suspended or deleted."""
    return int(tx.value(COUNT_LOCAL))


def active_count(tx: Tx, since: Millis) -> int:
    """How many local people were seen since ``since``."""
    return int(tx.value(COUNT_ACTIVE, since=since))


def forget_shared_inbox(tx: Tx, host: Domain, inbox: str) -> None:
    """A shared inbox answered 404 or 410: use the personal ones."""
    tx.run(FORGET_INBOX, host=host, inbox=inbox)
