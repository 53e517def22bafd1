"""Accounts: make, sign in, change, suspend, delete; their keys, passwords and tokens."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

import msgspec

from fedishare.model.activities import ActorChanged, TokenRevoked
from fedishare.model.actors import Actor, ActorKey, ActorKind, ActorState, Endpoints, Profile, Role
from fedishare.model.errors import BadInput, Conflict, NotFound
from fedishare.model.ids import Handle, Id, Iri, parse_local_name
from fedishare.model.names import Names
from fedishare.model.outgoing import PublishActor, PublishMove, WithdrawActor
from fedishare.model.scopes import COARSE
from fedishare.services import archives, media
from fedishare.services import posts as post_services
from fedishare.services.site import Site, federate
from fedishare.store import (
    actors,
    conversations,
    credentials,
    filters,
    imports,
    jobs,
    lists,
    markers,
    measures,
    moderation,
    notice_board,
    notifications,
    partners,
    people,
    posts,
    relations,
    resets,
    scheduled,
    tags,
)
from fedishare.store import oauth as oauth_store
from fedishare.store.db import Tx

"""The top-level scopes; each has finer ones (``read:statuses``), which are accepted too."""

RESERVED = frozenset(
    [
        "about",
        "abuse",
        "admin",
        "administrator",
        "api",
        "federation",
        "help",
        "hostmaster",
        "instance",
        "moderator",
        "postmaster",
        "relay",
        "root",
        "security",
        "support",
        "webmaster",
        "fedishare",
    ]
)
MIN_PASSWORD = 12
MAX_PASSWORD = 256
_SCRYPT = {"n": 2**15, "r": 8, "p": 1, "maxmem": 128 * 1024 * 1024, "dklen": 32}
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}\Z")
_SCOPE = re.compile(r"(?:read|write|admin:read|admin:write)(?::[a-z_]+)?\Z|(?:follow|push|profile)\Z")


ERASE = "erase"


class EraseJob(msgspec.Struct, frozen=True):
    """Delete the account of somebody who left."""

    actor_id: int


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A local actor's keys: private ones as PEM, public ones as its document lists them."""

    rsa_private: str
    rsa_public: str
    ed25519_private: str
    ed25519_public: str


def create(
    tx: Tx, site: Site, name: str, keys: KeyPair, *, email: str | None, password_hash: str | None,
    role: Role = Role.MEMBER, kind: ActorKind = ActorKind.PERSON, display_name: str = "", approved: bool = True,
) -> Actor:  # fmt: skip
    """Make a local account. Raises `BadInput`, `Conflict` (name or e-mail address taken)."""
    parse_local_name(name)
    if name.lower() in RESERVED:
        raise Conflict(f"the name {name!r} is reserved")
    if email is not None and not _EMAIL.match(email):
        raise BadInput(f"{email!r} is not an e-mail address", path="email")
    tx.lock(f"name:{name.lower()}")
    if actors.by_handle(tx, Handle(name)) is not None:
        raise Conflict(f"the name {name!r} is taken", path="username")
    if email is not None and credentials.by_email(tx, email) is not None:
        raise Conflict(f"the e-mail address {email!r} is taken", path="email")
    made = _insert(tx, site.names, name, kind, Profile(display_name=display_name or name), keys)
    credentials.put(
        tx, made.id, email=email, password_hash=password_hash, role=role, rsa_private=keys.rsa_private,
        ed25519_private=keys.ed25519_private, approved=approved, confirmed_at=tx.now if approved else None,
    )  # fmt: skip
    partners.audit(tx, "system", "account.create", f"@{name}", role.value)
    return made


def _insert(tx: Tx, names: Names, name: str, kind: ActorKind, profile: Profile, keys: KeyPair) -> Actor:
    endpoints = Endpoints(
        names.inbox(name), names.outbox(name), names.followers(name), names.following(name), names.shared_inbox()
    )
    made = actors.insert_local(tx, names.actor(name), name, kind, profile, endpoints, names.profile_page(name))
    public = (
        ActorKey(names.main_key(name), made.iri, "rsa", keys.rsa_public),
        ActorKey(names.ed25519_key(name), made.iri, "ed25519", keys.ed25519_public),
    )
    actors.put_keys(tx, made.id, public)
    return made


def ensure_instance_actor(tx: Tx, names: Names, keys: KeyPair) -> Actor:
    """Make the actor that signs fetches and reports, once; ``keys`` are used only then."""
    tx.lock("instance-actor")
    known = actors.by_handle(tx, Handle(actors.INSTANCE_ACTOR))
    if known is not None:
        return known
    endpoints = Endpoints(names.instance_inbox(), names.instance_outbox(), shared_inbox=names.shared_inbox())
    made = actors.insert_local(
        tx, names.instance_actor(), actors.INSTANCE_ACTOR, ActorKind.APPLICATION, Profile(locked=True), endpoints,
        names.origin + "/about",
    )  # fmt: skip
    actors.put_keys(tx, made.id, (ActorKey(names.instance_key(), made.iri, "rsa", keys.rsa_public),))
    credentials.put(
        tx, made.id, email=None, password_hash=None, role=Role.MEMBER, rsa_private=keys.rsa_private,
        ed25519_private=keys.ed25519_private,
    )  # fmt: skip
    return made


def has_instance_actor(tx: Tx) -> bool:
    """Whether the instance actor was made."""
    return actors.by_handle(tx, Handle(actors.INSTANCE_ACTOR)) is not None


def is_email(text: str) -> bool:
    """Whether a text looks like an e-mail address."""
    return bool(_EMAIL.match(text))


def hash_password(password: str) -> str:
    """``scrypt$salt$hash``. About 0.1 s of work on purpose: call it outside transactions. Raises `BadInput`."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise BadInput(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters, this one {len(password)}")
    salt = secrets.token_bytes(16)
    return f"scrypt${salt.hex()}${hashlib.scrypt(password.encode(), salt=salt, **_SCRYPT).hex()}"


def password_matches(password: str, stored: str | None) -> bool:
    """Whether a password is the stored one; takes as long when there is none."""
    kind, _, rest = (stored or f"scrypt${'0' * 32}${'0' * 64}").partition("$")
    salt, _, wanted = rest.partition("$")
    if kind != "scrypt" or len(password) > MAX_PASSWORD:
        return False
    found = hashlib.scrypt(password.encode(), salt=bytes.fromhex(salt), **_SCRYPT).hex()
    return hmac.compare_digest(found, wanted) and stored is not None


def check_scopes(text: str) -> str:
    """Normalise a scope list. Raises `BadInput` naming the one that is unknown."""
    scopes = list(dict.fromkeys(text.replace("+", " ").split()))
    if not scopes:
        raise BadInput("at least one scope is needed, for example: read write follow push", path="scopes")
    for scope in scopes:
        if not _SCOPE.match(scope):
            raise BadInput(f"unknown scope {scope!r}; known are {', '.join(COARSE)} and finer ones", path="scopes")
    return " ".join(scopes)


def new_token() -> str:
    """A bearer token: 256 random bits."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def issue_token(tx: Tx, name: str, token: str, scopes: str, *, label: str = "command line") -> Id:
    """Store a token of a local account. Raises `NotFound`, `BadInput`."""
    actor = local(tx, name)
    made = credentials.put_token(tx, token_hash(token), actor.id, scopes=check_scopes(scopes), name=label)
    partners.audit(tx, "cli", "token.create", f"@{name}", scopes)
    return made


def revoke_token(tx: Tx, ident: Id) -> None:
    """End a token. Raises `NotFound`."""
    found = [row for row in credentials.tokens(tx) if row.id == ident]
    if not found or not credentials.revoke_token(tx, ident):
        raise NotFound(f"there is no valid token {ident}")
    partners.audit(tx, "cli", "token.revoke", f"@{found[0].account}", str(ident))
    tx.notify(TokenRevoked(ident, Id(0)))


def local(tx: Tx, name: str) -> Actor:
    """A local account by name. Raises `NotFound`."""
    found = actors.by_handle(tx, Handle(name.removeprefix("@")))
    if found is None or not found.is_local or found.name == actors.INSTANCE_ACTOR:
        raise NotFound(f"there is no account {name!r} here")
    return found


def update_profile(tx: Tx, actor: Actor, profile: Profile, kind: ActorKind | None = None) -> Actor:
    """Change what a local actor says about itself, and tell the followers."""
    actors.set_profile(tx, actor.id, kind or actor.kind, profile)
    federate(tx, actor.id, PublishActor(actor.id, tx.now))
    found = actors.by_id(tx, actor.id)
    assert found is not None  # noqa: S101 — just written
    return found


def move(tx: Tx, actor: Actor, profile: Profile, target: Iri) -> None:
    """A local account says that it moved; Move goes to its followers once."""
    # spec: R106
    if actor.profile.moved_to == target:
        return
    update_profile(tx, actor, profile)
    federate(tx, actor.id, PublishMove(actor.id, target, tx.now))


def suspend(tx: Tx, actor: Actor, by: str) -> None:
    """A local or remote actor can do nothing any more and is not shown; its tokens end."""
    actors.set_state(tx, actor.id, ActorState.SUSPENDED)
    end_tokens(tx, actor)
    partners.audit(tx, by, "account.suspend", str(actor.handle))


def set_role(tx: Tx, actor: Actor, role: Role, by: str) -> None:
    """Give somebody another role; what is kept of their tokens is asked anew. Raises `NotFound` for others."""
    if credentials.get(tx, actor.id) is None:
        raise NotFound(f"@{actor.handle} is not an account of this instance, so it has no role")
    credentials.set_role(tx, actor.id, role)
    partners.audit(tx, by, "account.role", str(actor.handle), role.value)
    actors.touch(tx, actor.id)


def approve(tx: Tx, actor: Actor, by: str) -> None:
    """Let somebody in who signed up. Raises `BadInput` when nothing waits for a decision."""
    kept = credentials.get(tx, actor.id)
    if kept is None or kept.approved:
        raise BadInput(f"@{actor.handle} does not wait for a decision")
    credentials.approve(tx, actor.id)
    partners.audit(tx, by, "account.approve", str(actor.handle))
    tx.notify(ActorChanged(actor.id))


def restore(tx: Tx, actor: Actor, by: str) -> None:
    """Take a suspension back. Raises `BadInput` for deleted accounts."""
    if actor.state is ActorState.DELETED:
        raise BadInput(f"@{actor.handle} is deleted; that cannot be taken back")
    actors.set_state(tx, actor.id, ActorState.LIMITED if actor.limited else ActorState.ACTIVE)
    partners.audit(tx, by, "account.restore", str(actor.handle))


def delete(tx: Tx, actor: Actor, by: str) -> None:
    """Delete a local account: its posts, sign-in and tokens. The name stays taken and its IRIs answer 410 for ever."""
    # spec: R85
    hosts = tuple(sorted({host for host in relations.follower_hosts(tx, actor.id) if host}))
    erase(tx, actor)
    end_tokens(tx, actor)
    credentials.forget(tx, actor.id)
    moderation.forget_sign_ins(tx, actor.id)
    measures.forget(tx, actor.id)
    notice_board.forget(tx, actor.id)
    moderation.drop_reports(tx, actor.id, actor.iri)
    partners.audit(tx, by, "account.delete", str(actor.handle))
    federate(tx, actor.id, WithdrawActor(actor.id, hosts))


def erase(tx: Tx, actor: Actor) -> None:
    """Remove the posts and follows of an actor that is gone, local or remote, and mark it deleted."""
    while batch := posts.some_ids_of(tx, actor.id):
        for ident in batch:
            post = posts.by_id(tx, ident)
            if post is not None:
                post_services.bury(tx, post, actor.iri)
    for made in relations.follows_of(tx, actor.id):
        relations.delete_follow(tx, made.follower_id, made.followee_id)
        if made.state == 1:
            actors.count_follow(tx, made.follower_id, made.followee_id, -1)
    scheduled.forget(tx, actor.id)
    lists.drop_of(tx, actor.id)
    tags.forget(tx, actor.id)
    markers.forget(tx, actor.id)
    media.forget(tx, actor)
    people.forget(tx, actor.id)
    resets.drop_of(tx, actor.id)
    archives.forget(tx, actor.id)
    imports.drop_of(tx, actor.id)
    filters.forget(tx, actor.id)
    conversations.forget(tx, actor.id)
    notifications.forget(tx, actor.id)
    actors.set_profile(tx, actor.id, actor.kind, Profile())
    actors.set_state(tx, actor.id, ActorState.DELETED)


def erase_some(tx: Tx, ident: Id) -> bool:
    """Remove some of the posts of an actor that goes; False when there are none left."""
    actor, batch = actors.by_id(tx, ident), posts.some_ids_of(tx, ident)
    for each in batch if actor is not None else ():
        post = posts.by_id(tx, each)
        if post is not None and actor is not None:
            post_services.bury(tx, post, actor.iri)
    return bool(batch) and actor is not None


def leave(tx: Tx, actor: Actor) -> None:
    """A local person leaves: nobody sees them from now on, and a job deletes the account step by step."""
    suspend(tx, actor, f"@{actor.name}")
    payload = msgspec.json.encode(EraseJob(actor.id)).decode()
    jobs.put(tx, ERASE, payload, lane=f"erase:{actor.id}", dedup=f"{ERASE}:{actor.id}")


def end_tokens(tx: Tx, actor: Actor, *, keep: Id | None = None) -> None:
    """The one way in which everything ends that somebody is signed in with, apart from the token ``keep``."""
    credentials.revoke_tokens_of(tx, actor.id, keep)
    oauth_store.drop_sessions_of(tx, actor.id)
    oauth_store.drop_codes_of(tx, actor.id)
    tx.notify(TokenRevoked(Id(0), actor.id))
    tx.notify(ActorChanged(actor.id))


def touch(tx: Tx, actor_id: Id, token_id: Id) -> None:
    """Note that a person and a token are in use."""
    credentials.seen(tx, actor_id)
    credentials.used(tx, token_id)
    measures.was_here(tx, actor_id)
