"""Files: ours, and what partners show, for those who may see the post or profile that they are part of.

Who asks is found out here: a token, a browser's session, the ticket in a link, or a partner's signature. Whether that
one may have the file is decided at each request; everybody else hears 404, whether the file exists or not.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import AsyncIterator
from functools import partial
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

from fedishare.activitypub import fetching, peers
from fedishare.activitypub.fetching import Wanted
from fedishare.api.http import Api, parse_id
from fedishare.api.oauth import COOKIE
from fedishare.http.call import Answer, Call, Peer
from fedishare.http.routes import scope_allows
from fedishare.media.files import NAME, media_type
from fedishare.media.tickets import ANYBODY
from fedishare.model.actors import Actor, ActorKind
from fedishare.model.errors import FedishareError, FetchFailed, NotFound, TooMany, Unavailable
from fedishare.model.ids import Id, Millis
from fedishare.model.posts import Visibility
from fedishare.policy.facts import DeliveryFacts, Purpose
from fedishare.services import accounts
from fedishare.services import media as service
from fedishare.services.media import ForPeer
from fedishare.store import oauth
from fedishare.store.db import Tx

SCOPES = ("read:statuses",)
ACCEPT = "image/*, video/*, audio/*"
PER_SCREEN = 4
"""How many files an app may load for each request that it may make."""
WHOLE = 1024 * 1024
"""Up to so many bytes are sent in one piece."""
PIECE = 256 * 1024
FAILED_FOR = 300_000
"""Milliseconds for which a partner's file that could not be had is not asked for again."""
MAX_FAILED = 5_000
_REMOTE = re.compile(r"([0-9a-f]{32})(-small)?\Z")
_RANGE = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})\Z")
_SAFE = (
    (b"content-security-policy", b"default-src 'none'; sandbox"),
    (b"cache-control", b"private, max-age=86400"),
    (b"vary", b"Authorization, Cookie, Signature"),
    (b"cross-origin-resource-policy", b"cross-origin"),
    (b"access-control-allow-origin", b"*"),
    (b"accept-ranges", b"bytes"),
)
_SERVERS = (ActorKind.APPLICATION, ActorKind.SERVICE)
MISSING = "Record not found"


class Files:
    """The handlers."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._folder = api.instance.studio.folder
        self._failed: OrderedDict[str, Millis] = OrderedDict()

    # Ours

    async def local(self, call: Call) -> Answer:
        """``GET /media/{name}``"""
        name = call.params["name"]
        if "signature" in call.headers:
            allowed = await self._peer_may(call, name)
        else:
            reader = await self._reader(call)
            viewer = None if reader == ANYBODY else reader
            allowed = reader is not None and await self._api.database.read(service.readable, name, viewer)
        if not allowed or not NAME.match(name):
            raise NotFound(MISSING)
        return await _served(call, self._folder.local(name))

    async def _reader(self, call: Call) -> Id | None:
        """The signed-in person who asks; `ANYBODY` for somebody with the ticket of a profile's picture."""
        reader = await self._known_reader(call)
        limits, rates = self._api.instance.config.limits, self._api.federation.rates
        if reader is None:
            rates.take("media-public", call.client, limits.public_rate)
        elif reader != ANYBODY:  # a whole house may have one address, and each link in it was given out by us
            rates.take("media", str(reader), limits.api_rate * PER_SCREEN)
        return reader

    async def _known_reader(self, call: Call) -> Id | None:
        ticket = dict(call.query).get("ticket", "")
        holder = self._api.tickets.holder(ticket, call.path, self._api.instance.clock()) if ticket else None
        if holder is not None:
            return holder
        viewer = await self._api.authenticate(call)
        if viewer is not None and scope_allows(viewer.scopes, SCOPES):
            return viewer.id
        token = _cookie(call)
        return await self._api.database.read_fast(oauth.session, accounts.token_hash(token)) if token else None

    async def _peer_may(self, call: Call, name: str) -> bool:
        """Whether the server that signed the request may have a file: what it may be sent, and nothing else."""
        try:
            peer = await peers.authenticate(self._api.federation, call)
        except (TooMany, Unavailable):
            raise
        except FedishareError as error:
            # Counted and logged by the guard; here it looks like everything that is not there.
            raise NotFound(MISSING) from error
        found = await self._api.database.read(service.for_peer, name, peer.actor_id, peer.partner.domain)
        return found is not None and self._peer_sees(peer, found)

    def _peer_sees(self, peer: Peer, found: ForPeer) -> bool:
        post, guard, partner = found.post, self._api.instance.guard, peer.partner
        if post is None:
            return True
        if found.signer is not None and found.signer.kind not in _SERVERS:
            sees = found.signer_sees  # a person has what that person sees
        else:
            sees = service.server_may_have(
                found,
                partner.domain,
                follows=any(guard.same_peer(partner, host) for host in found.hosts),
                named=any(guard.same_peer(partner, host) for host in found.named),
            )
        wide = post.visibility in (Visibility.PUBLIC, Visibility.UNLISTED)
        public = guard.policy.public_addressing or partner.terms.public_addressing
        facts = DeliveryFacts(
            activity_type="Create", object_type=post.kind.value, visibility=post.visibility, reach=post.reach,
            has_media=True, public_addressed=wide and public,
        )  # fmt: skip
        return sees and guard.may_read(peer.host, facts)

    # What partners show

    async def of_post(self, call: Call) -> Answer:
        """``GET /media/remote/{id}/{name}``: an attachment or emoji of a partner's post."""
        return await self._remote(call, service.remote_source)

    async def of_profile(self, call: Call) -> Answer:
        """``GET /media/people/{id}/{name}``: the picture or emoji of a partner's profile."""
        return await self._remote(call, _profile_source)

    async def _remote(self, call: Call, find: service.Find) -> Answer:
        named, reader = _REMOTE.match(call.params["name"]), await self._reader(call)
        if named is None or reader is None:
            raise NotFound(MISSING)
        digest, small = named[1], bool(named[2])
        viewer = None if reader == ANYBODY else reader
        source = await self._api.database.read(find, parse_id(call.params["id"]), digest, viewer)
        if source is None:
            raise NotFound(MISSING)
        name = await self._find(digest, small=small)
        if name is None:
            await self._bring(digest, *source)
            name = await self._find(digest, small=small)
        if name is None:
            raise NotFound(MISSING)
        return await _served(call, self._folder.remote(name))

    async def _find(self, digest: str, *, small: bool) -> str | None:
        found = await asyncio.to_thread(self._folder.find_remote, f"{digest}-small") if small else None
        return found or await asyncio.to_thread(self._folder.find_remote, digest)

    async def _bring(self, digest: str, url: str, owner: Actor) -> None:
        """Fetch something of a partner's, once for all who wait for it. Raises `NotFound`."""
        now = self._api.instance.clock()
        if self._failed.get(digest, now) > now:
            raise NotFound(MISSING)
        try:
            work = partial(self._fetch, digest, url, owner)
            await self._api.federation.memory.once(f"media:{digest}", work)
        except (FedishareError, OSError) as error:
            self._failed[digest] = Millis(now + FAILED_FOR)
            if len(self._failed) > MAX_FAILED:
                self._failed.popitem(last=False)
            raise NotFound(MISSING) from error

    async def _fetch(self, digest: str, url: str, owner: Actor) -> None:
        instance = self._api.instance
        # Policy before anything leaves: a listed host, terms with media, and the same partner as the owner's.
        permit = instance.guard.permit_fetch(url, Purpose.MEDIA)
        if owner.host is None or not instance.guard.same_peer(permit.partner, owner.host):
            raise FetchFailed(f"{url[:200]} is not at {owner.host}")
        wanted = Wanted(ACCEPT, instance.config.media.max_bytes)
        reply = await fetching.get(self._api.federation, url, Purpose.MEDIA, wanted)
        if reply.status != 200:
            raise FetchFailed(f"{url[:200]} answered {reply.status}", http_status=reply.status)
        await instance.studio.keep_remote(digest, reply.body)


def _profile_source(tx: Tx, ident: Id, digest: str, viewer: Id | None) -> tuple[str, Actor] | None:
    return service.profile_source(tx, ident, digest)


def _cookie(call: Call) -> str:
    try:
        found = SimpleCookie(call.headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None else ""


async def _served(call: Call, path: Path) -> Answer:
    """A file with the headers that keep it a file, or the part of it that is asked for."""
    tag = f'"{path.name}"'.encode()
    headers = [*_SAFE, (b"etag", tag), (b"content-disposition", f'inline; filename="{path.name}"'.encode())]
    kind = media_type(path.name)
    if call.headers.get("if-none-match", "").encode() == tag:
        return Answer(status=304, media_type=kind, headers=tuple(headers))
    try:
        size = await asyncio.to_thread(_size, path)
        span = _span(call.headers.get("range", ""), size)
        if span is None:
            headers.append((b"content-range", f"bytes */{size}".encode()))
            return Answer(status=416, media_type=kind, headers=tuple(headers))
        start, end = span
        if end - start != size:
            headers.append((b"content-range", f"bytes {start}-{end - 1}/{size}".encode()))
        status = 200 if end - start == size else 206
        if end - start <= WHOLE:
            body = await asyncio.to_thread(_part, path, start, end)
            return Answer(body, status=status, media_type=kind, headers=tuple(headers))
    except OSError as error:
        raise NotFound(MISSING) from error
    headers.append((b"content-length", str(end - start).encode()))
    return Answer(status=status, media_type=kind, headers=tuple(headers), stream=pieces(path, start, end))


def _size(path: Path) -> int:
    return path.stat().st_size


def _part(path: Path, start: int, end: int) -> bytes:
    with path.open("rb") as opened:
        opened.seek(start)
        return opened.read(end - start)


def _span(wanted: str, size: int) -> tuple[int, int] | None:
    """From where to where; the whole for what is no single range, None for one that lies outside."""
    found = _RANGE.match(wanted)
    if found is None or found[1] == found[2] == "":
        return 0, size
    if not found[1]:
        return (max(0, size - int(found[2])), size) if int(found[2]) else None
    start, end = int(found[1]), min(size, int(found[2]) + 1) if found[2] else size
    return (start, end) if start < end else None


async def pieces(path: Path, start: int, end: int) -> AsyncIterator[bytes]:
    """A part of a file, as it is read."""
    while start < end:
        piece = await asyncio.to_thread(_part, path, start, min(end, start + PIECE))
        if not piece:
            return
        start += len(piece)
        yield piece
