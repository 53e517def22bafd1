"""The keyring: parsed keys, ours for signing and partners' for verifying, each parsed once and kept.

Parsing an RSA private key costs a hundred times a signature, so nothing on a hot path parses. Signing releases the
interpreter's lock, so it runs on two threads beside the loop; verifying is too short for that.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from fedishare.activitypub.keys import (
    PrivateKey,
    PublicKey,
    generate_ed25519,
    generate_rsa,
    load_multikey,
    load_private_pem,
    load_public_pem,
)
from fedishare.activitypub.signatures import sign_cavage, sign_rfc9421
from fedishare.model.activities import ActorChanged
from fedishare.model.actors import ActorKey, ActorState
from fedishare.model.errors import NotFound, SignatureError, SignatureReason
from fedishare.model.ids import Domain, Id, Iri, Millis
from fedishare.model.names import Names
from fedishare.services.accounts import KeyPair
from fedishare.store import actors, credentials
from fedishare.store.db import Database, NoticesLost, Tx

MAX_KEPT = 10_000
SIGNING_THREADS = 2


@dataclass(frozen=True, slots=True)
class Signer:
    """A local actor's keys, ready to sign."""

    actor_id: Id
    actor: Iri
    rsa_key_id: str
    rsa: PrivateKey
    ed25519_key_id: str
    ed25519: PrivateKey


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A partner's public key and who owns it, as its owner's own document lists it."""

    actor_id: Id
    owner: Iri
    host: Domain | None
    state: ActorState
    key: PublicKey
    fetched_at: Millis


class Keyring:
    """The keys of one instance."""

    def __init__(self, database: Database, names: Names) -> None:
        self._database = database
        self._names = names
        self._signers: OrderedDict[Id, Signer] = OrderedDict()
        self._known: OrderedDict[str, KnownKey] = OrderedDict()
        self._keys_of: dict[Id, set[str]] = {}
        self._threads = ThreadPoolExecutor(SIGNING_THREADS, thread_name_prefix="sign")
        self._unsubscribe = database.on_notice(self._forget)

    def close(self) -> None:
        """Stop the signing threads."""
        self._unsubscribe()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def forget_all(self) -> None:
        """Read every key anew (somebody else changed the database)."""
        self._signers.clear()
        self._known.clear()
        self._keys_of.clear()

    def _forget(self, notice: object) -> None:
        if isinstance(notice, NoticesLost):
            self.forget_all()
        elif isinstance(notice, ActorChanged):
            self._signers.pop(notice.actor_id, None)
            for key_id in self._keys_of.pop(notice.actor_id, ()):
                self._known.pop(key_id, None)

    async def signer(self, actor_id: Id) -> Signer:
        """The keys of a local actor. Raises `NotFound`."""
        kept = self._signers.get(actor_id)
        if kept is not None:
            return kept
        read = await self._database.read(_private_keys, actor_id)
        if read is None:
            raise NotFound(f"local actor {actor_id} has no keys")
        name, iri, rsa, ed25519 = read
        made = Signer(
            actor_id,
            iri,
            self._names.instance_key() if name == actors.INSTANCE_ACTOR else self._names.main_key(name),
            load_private_pem(rsa),
            self._names.ed25519_key(name),
            load_private_pem(ed25519),
        )
        self._signers[actor_id] = made
        if len(self._signers) > MAX_KEPT:
            self._signers.popitem(last=False)
        return made

    async def sign(
        self, signer: Signer, method: str, url: str, body: bytes | None, *, scheme: str, now: Millis,
        content_type: str | None = None,
    ) -> dict[str, str]:  # fmt: skip
        """Headers with an RSA signature by ``scheme`` (``cavage`` or ``rfc9421``), computed beside the loop."""
        make = sign_rfc9421 if scheme == "rfc9421" else sign_cavage
        work = partial(make, method, url, body, signer.rsa_key_id, signer.rsa, now, content_type)
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def kept(self, key_id: str) -> KnownKey | None:
        """A partner's key, if it is parsed already: the hot path, without a wait."""
        return self._known.get(key_id)

    async def known(self, key_id: str) -> KnownKey | None:
        """A partner's key from the store; None when no actor that we keep lists it. Raises `SignatureError`."""
        kept = self._known.get(key_id)
        if kept is not None:
            return kept
        row = await self._database.read_fast(actors.key_owner, key_id)
        if row is None:
            return None
        actor_id, state, host, listed, fetched_at = row
        found = KnownKey(actor_id, listed.owner, host, state, parse_key(listed), fetched_at)
        self._known[key_id] = found
        self._keys_of.setdefault(actor_id, set()).add(key_id)
        if len(self._known) > MAX_KEPT:
            old_id, old = self._known.popitem(last=False)
            self._keys_of.get(old.actor_id, set()).discard(old_id)
            if not self._keys_of.get(old.actor_id):
                self._keys_of.pop(old.actor_id, None)
        return found


def new_keys() -> KeyPair:
    """A fresh key pair for a local actor. RSA takes some 50 ms: call it outside transactions."""
    rsa, ed25519 = generate_rsa(), generate_ed25519()
    return KeyPair(rsa.pem(), rsa.public().pem(), ed25519.pem(), ed25519.public().multibase())


def parse_key(listed: ActorKey) -> PublicKey:
    """A public key from its stored form. Raises `SignatureError` (unsupported)."""
    try:
        return load_multikey(listed.material) if listed.kind == "ed25519" else load_public_pem(listed.material)
    except Exception as error:
        message = f"the key {listed.key_id} cannot be used: {error}"
        raise SignatureError(message, reason=SignatureReason.UNSUPPORTED) from error


def _private_keys(tx: Tx, actor_id: Id) -> tuple[str, Iri, str, str] | None:
    actor = actors.by_id(tx, actor_id)
    keys = credentials.private_keys(tx, actor_id)
    return (actor.name, actor.iri, *keys) if actor is not None and keys is not None else None
