"""Documents that partners read: actors, posts, activities and collections, each through the one audience decision.

What a partner may read is what it could have been sent: the same labels, the same terms. Hidden looks like missing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import msgspec

from fedishare.activitypub import writer
from fedishare.activitypub.addressing import addressing_of
from fedishare.activitypub.federation import ACTIVITY_TYPE, Federation
from fedishare.http.call import Answer, Answered, Call, Peer
from fedishare.model.activities import ActorChanged
from fedishare.model.actors import Actor, ActorKey, ActorState
from fedishare.model.errors import Gone, NotAllowed, NotFound
from fedishare.model.ids import Domain, Handle, Id, Iri
from fedishare.model.posts import Post, Visibility
from fedishare.policy.audience import Seer
from fedishare.policy.facts import DeliveryFacts
from fedishare.store import actors, interactions, posts, relations
from fedishare.store.db import NoticesLost, Tx

PAGE = 20
MAX_KEPT = 2_000
LAST = 2**63 - 1
_encode = msgspec.json.Encoder().encode
_MEDIA = ACTIVITY_TYPE.encode() + b"; charset=utf-8"
_VARY = ((b"vary", b"Accept, Signature"), (b"cache-control", b"private, no-store"))


def answer(document: Mapping[str, object], status: int = 200) -> Answer:
    """A document as ``application/activity+json``."""
    # spec: R8, R120 — the media type that peers ask for, and never cached for somebody else
    return Answer(_encode(document), status=status, media_type=_MEDIA, headers=_VARY)


class Documents:
    """The readable side of one instance."""

    def __init__(self, federation: Federation) -> None:
        self._federation = federation
        self._database = federation.instance.database
        self._names = federation.instance.site.names
        self._guard = federation.instance.guard
        self._actors: OrderedDict[str, tuple[Id, Answer]] = OrderedDict()
        self._database.on_notice(self._forget)

    def _forget(self, notice: object) -> None:
        if isinstance(notice, NoticesLost):
            self._actors.clear()
        elif isinstance(notice, ActorChanged):
            for name in [n for n, kept in self._actors.items() if kept[0] == notice.actor_id]:
                del self._actors[name]

    # Actors

    async def instance_actor(self, call: Call) -> Answer:
        """The actor that signs our fetches: readable by anybody, so that two servers can learn each other's keys."""
        # spec: R58
        actor, keys = await self._database.read(_actor_and_keys, actors.INSTANCE_ACTOR)
        return answer(writer.instance_actor_document(keys, names=self._names)) if actor else _missing()

    async def actor(self, call: Call) -> Answer:
        """A local person, group or service."""
        name, peer = call.params["name"], call.partner_reader
        kept = self._actors.get(name)
        if kept is None:
            kept = await self._make_actor(name)
        if peer.actor_id is not None and await self._database.read_fast(relations.is_blocked, kept[0], peer.actor_id):
            raise NotAllowed("This action is not allowed")  # spec: R45 — signed fetches of the blocked are refused
        return kept[1]

    async def _make_actor(self, name: str) -> tuple[Id, Answer]:
        actor, keys = await self._database.read(_actor_and_keys, name)
        actor = _present(actor, name)
        kept = (actor.id, answer(writer.actor_document(actor, keys, names=self._names)))
        self._actors[name] = kept
        if len(self._actors) > MAX_KEPT:
            self._actors.popitem(last=False)
        return kept

    # Posts

    async def post(self, call: Call) -> Answer:
        """A post as Note or Question; 410 with a Tombstone for those that could see it before."""
        author, post = await self._readable(call)
        if post.boost_of_id is not None:
            raise NotFound("Record not found")
        return answer(self._note(post, author, call.partner_reader))

    async def post_activity(self, call: Call) -> Answer:
        """The Create of a post, or a boost."""
        author, post = await self._readable(call)
        if post.boost_of_id is None:
            return answer(writer.create(self._note(post, author, call.partner_reader)))
        boosted = await self._database.read(posts.by_id, post.boost_of_id)
        if boosted is None:
            raise NotFound("Record not found")
        to, cc = addressing_of(post, author, (), public_addressing=self._public(call.partner_reader))
        document = writer.announce(post.iri, author.iri, boosted.iri, published=post.published, to=to, cc=cc)
        return answer(document)

    def _public(self, peer: Peer) -> bool:
        return self._guard.policy.public_addressing or peer.partner.terms.public_addressing

    def _note(self, post: Post, author: Actor, peer: Peer) -> dict[str, object]:
        to, cc = addressing_of(post, author, post.content.mentions, public_addressing=self._public(peer))
        return writer.note(post, author, names=self._names, to=to, cc=cc)

    async def _readable(self, call: Call) -> tuple[Actor, Post]:
        ident = _number(call.params["id"])
        found = await self._database.read(_seen_post, call.params["name"], ident, call.partner_reader)
        if found is None:
            await self._tombstone(call, ident)
            raise NotFound("Record not found")
        author, post = found
        if not self._guard.may_read(call.partner_reader.host, self._facts(post, call.partner_reader)):
            raise NotFound("Record not found")
        return author, post

    def _facts(self, post: Post, peer: Peer) -> DeliveryFacts:
        wide = post.visibility in (Visibility.PUBLIC, Visibility.UNLISTED)
        return DeliveryFacts(
            activity_type="Announce" if post.boost_of_id else "Create",
            object_type=None if post.boost_of_id else post.kind.value,
            visibility=post.visibility,
            reach=post.reach,
            has_media=bool(post.content.attachments),
            public_addressed=wide and self._public(peer),
        )

    async def _tombstone(self, call: Call, ident: Id) -> None:
        # spec: R83 — 410 with a Tombstone to those that could see it
        iri = self._names.post(call.params["name"], ident)
        found = await self._database.read(posts.tombstone_audience, iri)
        if found is None:
            return
        stone, reach, named = found
        peer = call.partner_reader
        wide = stone.visibility in (Visibility.PUBLIC, Visibility.UNLISTED)
        if reach.allows(peer.partner.domain) and (wide or peer.actor_id in named):
            raise Answered(answer(writer.tombstone(iri, deleted=stone.deleted_at), status=410))

    # Collections

    async def outbox(self, call: Call) -> Answer:
        """Public and unlisted posts whose reach includes the reader's domain, newest first."""
        peer, name = call.partner_reader, call.params["name"]
        actor = _present(await self._database.read(_local_actor, name), name)
        iri, domain = self._names.outbox(name), peer.partner.domain
        before = _cursor(call)
        if before is None:
            total = await self._database.read(posts.outbox_count, actor.id, domain)
            return answer(writer.collection(iri, total=total, first=f"{iri}?page=true"))
        # spec: R114 — stable pages, public and unlisted activities only
        found = await self._database.read(_outbox_posts, actor.id, domain, before)
        readable = [(p, b) for p, b in found if self._guard.may_read(peer.host, self._facts(p, peer))]
        items = [self._activity(post, boosted, actor, peer) for post, boosted in readable]
        following = f"{iri}?page=true&max_id={found[-1][0].id}" if len(found) == PAGE else None
        return answer(writer.collection_page(_here(iri, call), part_of=iri, items=items, following=following))

    def _activity(self, post: Post, boosted: Post | None, author: Actor, peer: Peer) -> dict[str, object]:
        if boosted is None:
            return writer.embedded(writer.create(self._note(post, author, peer)))
        to, cc = addressing_of(post, author, (), public_addressing=self._public(peer))
        document = writer.announce(post.iri, author.iri, boosted.iri, published=post.published, to=to, cc=cc)
        return writer.embedded(document)

    async def followers(self, call: Call) -> Answer:
        """How many follow; who, only as far as they live at the reader's own partner."""
        return await self._people(call, self._names.followers(call.params["name"]), "followers")

    async def following(self, call: Call) -> Answer:
        """How many are followed; who, only as far as they live at the reader's own partner."""
        return await self._people(call, self._names.following(call.params["name"]), "following")

    async def _people(self, call: Call, iri: Iri, kind: str) -> Answer:
        name = call.params["name"]
        actor = _present(await self._database.read(_local_actor, name), name)
        total = actor.followers_count if kind == "followers" else actor.following_count
        # spec: R115 — a hidden list keeps totalItems and leaves out first
        if actor.profile.hide_collections:
            return answer(writer.collection(iri, total=total))
        before = _cursor(call)
        if before is None:
            return answer(writer.collection(iri, total=total, first=f"{iri}?page=true"))
        listing = relations.followers if kind == "followers" else relations.following
        found = await self._database.read(listing, actor.id, before=before, limit=PAGE)
        partner = call.partner_reader.partner
        # A partner learns of its own people only: staff and other partners' people stay unnamed.
        items = [a.iri for _, a in found if a.host is not None and self._guard.same_peer(partner, a.host)]
        following = f"{iri}?page=true&max_id={found[-1][0]}" if len(found) == PAGE else None
        return answer(writer.collection_page(_here(iri, call), part_of=iri, items=items, following=following))

    async def partial_followers(self, call: Call) -> Answer:
        """The followers that live on the reader's host (FEP-8fcf)."""
        # spec: R119
        name = call.params["name"]
        actor = _present(await self._database.read(_local_actor, name), name)
        found = await self._database.read(relations.follower_iris_at, actor.id, call.partner_reader.host)
        return answer(writer.partial_followers(f"{self._names.actor(name)}/followers_synchronization", found))

    async def featured(self, call: Call) -> Answer:
        """Pinned posts that the reader may see."""
        # spec: R107
        name, peer = call.params["name"], call.partner_reader
        actor = _present(await self._database.read(_local_actor, name), name)
        found = await self._database.read(_pinned, actor.id, peer)
        items = [
            writer.embedded(self._note(post, actor, peer))
            for post in found
            if self._guard.may_read(peer.host, self._facts(post, peer))
        ]
        return answer(writer.collection(self._names.featured(name), total=len(items), items=items))

    async def liked(self, call: Call) -> Answer:
        """What people like is theirs: the collection is hidden."""
        name = call.params["name"]
        _present(await self._database.read(_local_actor, name), name)
        return answer(writer.collection(self._names.liked(name), total=None))

    async def replies(self, call: Call) -> Answer:
        """Answers that the reader may see, the author's own first."""
        # spec: R92
        author, post = await self._readable(call)
        iri = self._names.replies(author.name, post.id)
        found = await self._database.read(posts.reply_iris, post, call.partner_reader.partner.domain)
        return answer(writer.collection(iri, total=post.replies_count, items=found))

    async def likes(self, call: Call) -> Answer:
        """How many like it."""
        author, post = await self._readable(call)
        return answer(writer.collection(self._names.likes(author.name, post.id), total=post.favourites_count))

    async def shares(self, call: Call) -> Answer:
        """How many boosted it."""
        author, post = await self._readable(call)
        return answer(writer.collection(self._names.shares(author.name, post.id), total=post.boosts_count))


def _missing() -> Answer:
    raise NotFound("Record not found")


def _present(actor: Actor | None, name: str) -> Actor:
    if actor is None or actor.state is ActorState.SUSPENDED or actor.name != name or name == actors.INSTANCE_ACTOR:
        raise NotFound("Record not found")
    if actor.state is ActorState.DELETED:
        raise Gone("this account is deleted")  # spec: R85 — afterwards the actor answers 410
    return actor


def _number(text: str) -> Id:
    if not text.isascii() or not text.isdigit() or len(text) > 19 or int(text) > LAST:
        raise NotFound("Record not found")
    return Id(int(text))


def _cursor(call: Call) -> int | None:
    """None for the collection itself, else the id below which the page begins."""
    query = dict(call.query)
    if "page" not in query:
        return None
    before = query.get("max_id", str(LAST))
    return int(before) if before.isascii() and before.isdigit() and len(before) <= 19 else LAST


def _here(iri: str, call: Call) -> str:
    query = call.scope["query_string"].decode("latin-1")
    return f"{iri}?{query}" if query else iri


def _local_actor(tx: Tx, name: str) -> Actor | None:
    return actors.by_handle(tx, Handle(name))


def _actor_and_keys(tx: Tx, name: str) -> tuple[Actor | None, tuple[ActorKey, ...]]:
    actor = actors.by_handle(tx, Handle(name))
    return actor, actors.keys_of(tx, actor) if actor else ()


def _seen_post(tx: Tx, name: str, ident: Id, peer: Peer) -> tuple[Actor, Post] | None:
    post = posts.by_id(tx, ident)
    author = actors.by_id(tx, post.author_id) if post is not None else None
    if post is None or author is None or not post.local or author.name != name:
        return None
    # spec: R43 — a post is a 404 to anybody that it is not for
    seen = posts.seen_by(tx, ident, Seer(peer.actor_id, peer.partner.domain))
    return (author, post) if seen else None


def _outbox_posts(tx: Tx, author: Id, domain: Domain, before: int) -> list[tuple[Post, Post | None]]:
    idents = posts.outbox_page(tx, author, domain, Id(before), PAGE)
    found = posts.by_ids(tx, idents)
    boosted = posts.by_ids(tx, [p.boost_of_id for p in found.values() if p.boost_of_id is not None])
    ordered = [found[i] for i in idents if i in found]
    return [(p, boosted.get(p.boost_of_id) if p.boost_of_id else None) for p in ordered]


def _pinned(tx: Tx, author: Id, peer: Peer) -> list[Post]:
    idents = [post for _, post in interactions.mine(tx, author, interactions.Kind.PIN)]
    found = posts.by_ids(tx, idents)
    seer = Seer(peer.actor_id, peer.partner.domain)
    return [found[i] for i in idents if i in found and posts.seen_by(tx, i, seer)]
