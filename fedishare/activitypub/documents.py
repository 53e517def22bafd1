"""Documents that partners read: actors, posts, activities and collections, each through the one audience decision.

What a partner may read is what it could have been sent: the same labels, the same terms. Hidden looks like missing.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from fedishare.activitypub import writer
from fedishare.activitypub.addressing import addressing_of
from fedishare.activitypub.federation import ACTIVITY_TYPE, Federation
from fedishare.http.call import Answer, Answered, Call, Peer
from fedishare.model.activities import ActorChanged
from fedishare.model.actors import Actor, ActorKey, ActorState
from fedishare.model.errors import Gone, NotAllowed, NotFound
from fedishare.model.ids import Domain, Handle, Id, Iri
from fedishare.model.names import VERBS
from fedishare.model.posts import Post, PostKind, Reach, Tombstone, Visibility
from fedishare.model.quotes import NoteConsent, QuoteState, Stamp
from fedishare.policy.audience import AudienceFacts, Seer, can_see
from fedishare.policy.facts import DeliveryFacts
from fedishare.services import quotes
from fedishare.store import activities, actors, interactions, posts, relations, tags, tombstones
from fedishare.store import quotes as quote_rows
from fedishare.store.db import NoticesLost, Tx
from fedishare.store.paging import Page

PAGE = 20
MAX_KEPT = 2_000
LAST = 2**63 - 1
BATCH, MAX_BATCHES = 500, 40
"""How many people are looked through for one page of a collection that names the reader's own people only."""
_NUMBER = re.compile(r"[1-9][0-9]{0,18}\Z")
_encode = msgspec.json.Encoder().encode
_MEDIA = ACTIVITY_TYPE.encode() + b"; charset=utf-8"
_VARY = ((b"vary", b"Accept, Signature"), (b"cache-control", b"private, no-store"))

Listing = Callable[[Tx, Id, Page], list[tuple[Id, Actor]]]


def answer(document: Mapping[str, object], status: int = 200) -> Answer:
    """A document as ``application/activity+json``."""
    # spec: R8, R120 — the media type that peers ask for, and never cached for somebody else
    return Answer(_encode(document), status=status, media_type=_MEDIA, headers=_VARY)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Which page is asked for: what lies below ``before``, or the entries next above ``after``."""

    before: int = LAST
    after: int = 0

    @property
    def query(self) -> str:
        """As it is written, so that one page has one id."""
        if self.after:
            return f"?page=true&min_id={self.after}"
        return "?page=true" if self.before == LAST else f"?page=true&max_id={self.before}"


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
        if actor is None:
            raise NotFound("Record not found")
        return answer(writer.instance_actor_document(keys, names=self._names))

    async def instance_outbox(self, call: Call) -> Answer:
        """The instance actor writes nothing."""
        return answer(writer.collection(self._names.instance_outbox(), total=0, items=[]))

    async def actor(self, call: Call) -> Answer:
        """A local person, group or service."""
        owner, found = await self.kept_actor(call.params["name"])
        await self._mind_block(owner, call.partner_reader)
        return found

    async def kept_actor(self, name: str) -> tuple[Id, Answer]:
        """A local actor's id and document, made once until something changes. Raises `NotFound`, `Gone`."""
        return self._actors.get(name) or await self._make_actor(name)

    async def _make_actor(self, name: str) -> tuple[Id, Answer]:
        found, keys = await self._database.read(_actor_and_keys, name)
        actor = present(found, name)
        kept = (actor.id, answer(writer.actor_document(actor, keys, names=self._names)))
        self._actors[name] = kept
        if len(self._actors) > MAX_KEPT:
            self._actors.popitem(last=False)
        return kept

    async def _mind_block(self, owner: Id, peer: Peer) -> None:
        if peer.actor_id is not None and await self._database.read_fast(relations.is_blocked, owner, peer.actor_id):
            raise NotAllowed("This action is not allowed")  # spec: R45 — signed fetches of the blocked are refused

    async def _owner(self, call: Call) -> Actor:
        """The local actor that the path names, for a reader that it does not block."""
        name = call.params["name"]
        owner = present(await self._database.read(local_actor, name), name)
        await self._mind_block(owner.id, call.partner_reader)
        return owner

    # Posts

    async def post(self, call: Call) -> Answer:
        """A post as Note or Question; 410 with a Tombstone for those that could see it before."""
        author, post = await self._readable(call)
        if post.boost_of_id is not None:
            raise NotFound("Record not found")
        return answer(await self._note(post, author, call.partner_reader))

    async def post_activity(self, call: Call) -> Answer:
        """The Create of a post, or a boost."""
        author, post = await self._readable(call)
        boosted = await self._boosted(post)
        return answer(await self._activity(post, boosted, author, call.partner_reader))

    async def _boosted(self, post: Post) -> Post | None:
        return await self._database.read(posts.by_id, post.boost_of_id) if post.boost_of_id is not None else None

    def _public(self, peer: Peer) -> bool:
        return self._guard.policy.public_addressing or peer.partner.terms.public_addressing

    async def _note(self, post: Post, author: Actor, peer: Peer) -> dict[str, object]:
        to, cc = addressing_of(post, author, post.content.mentions, public_addressing=self._public(peer))
        # How many answers stay inside is nobody else's business.
        replies, consent = await self._database.read(_beside, post, peer.partner.domain)
        return writer.note(post, author, names=self._names, to=to, cc=cc, replies=replies, consent=consent)

    async def quote_authorization(self, call: Call) -> Answer:
        """That somebody here agrees to a quote of a post, for those who may see that post; gone once taken back."""
        # spec: R98 — the stamp can be read
        ident, name, peer = number_of(call.params["id"]), call.params["name"], call.partner_reader
        found = await self._database.read(_stamp, name, ident, peer)
        if found is None or not self._may_read(found[1], None, peer):
            raise NotFound("Record not found")
        stamp, post, author = found
        iri = self._names.quote_authorization(author.name, stamp.id)
        return answer(writer.quote_authorization(iri, author.iri, quoting=stamp.quoting_iri, quoted=post.iri))

    async def _activity(self, post: Post, boosted: Post | None, author: Actor, peer: Peer) -> dict[str, object]:
        if post.boost_of_id is None:
            return writer.create(await self._note(post, author, peer))
        if boosted is None:
            raise NotFound("Record not found")
        to, cc = addressing_of(post, author, (), public_addressing=self._public(peer))
        return writer.announce(post.iri, author.iri, boosted.iri, published=post.published, to=to, cc=cc)

    async def _readable(self, call: Call) -> tuple[Actor, Post]:
        ident, name, peer = number_of(call.params["id"]), call.params["name"], call.partner_reader
        found = await self._database.read(_seen_post, name, ident, peer)
        if found is None:
            await self._tombstone(name, ident, peer)
            raise NotFound("Record not found")
        author, post = found
        if not self._may_read(post, await self._boosted(post), peer):
            raise NotFound("Record not found")
        return author, post

    def _may_read(self, post: Post, boosted: Post | None, peer: Peer) -> bool:
        """The guard's answer: a document is read under the terms under which it would be delivered."""
        shown = boosted or post
        media = bool(shown.content.attachments)
        facts = self._facts(post.visibility, post.reach, shown.kind, media, post.boost_of_id is not None, peer)
        return self._guard.may_read(peer.host, facts)

    def _facts(
        self, visibility: Visibility, reach: Reach, kind: PostKind, media: bool, boost: bool, peer: Peer
    ) -> DeliveryFacts:
        wide = visibility in (Visibility.PUBLIC, Visibility.UNLISTED)
        return DeliveryFacts(
            activity_type="Announce" if boost else "Create",
            object_type=kind.value,
            visibility=visibility,
            reach=reach,
            has_media=media,
            public_addressed=wide and self._public(peer),
        )

    async def _tombstone(self, name: str, ident: Id, peer: Peer) -> None:
        """Raises `Answered` with the Tombstone of a deleted post (or boost) that the reader could see."""
        # spec: R83 — 410 with a Tombstone to those that could see it, 404 to others
        for iri in (self._names.post(name, ident), self._names.post_activity(name, ident)):
            found = await self._database.read(deleted_post, name, iri, Seer(peer.actor_id, peer.partner.domain))
            if found is None:
                continue
            stone, reach = found
            facts = self._facts(stone.visibility, reach, PostKind.NOTE, False, False, peer)
            if self._guard.may_read(peer.host, facts):
                raise Answered(answer(writer.tombstone(iri, deleted=stone.deleted_at), status=410))

    async def sent(self, call: Call, verb: str = "") -> Answer:
        """Any other activity by its id (Follow, Like, Undo, …), for the hosts that it was delivered to."""
        # spec: R10 — ids answer a GET: to those that were sent the activity, and to nobody else
        verb, number = verb or call.params["verb"], call.params["id"]
        if verb not in VERBS:
            raise NotFound("Record not found")
        name = call.params.get("name", "")
        iri = f"{self._names.origin}/users/{name}/{verb}/{number}" if name else f"{self._names.origin}/{verb}/{number}"
        # A vote is the Note of an activity whose id is one word longer.
        iri += "/activity" if verb == "votes" else ""
        body = await self._database.read(activities.sent_to, iri, call.partner_reader.host)
        if body is None:
            raise NotFound("Record not found")
        return Answer(body.encode(), media_type=_MEDIA, headers=_VARY)

    # Collections

    async def outbox(self, call: Call) -> Answer:
        """Public and unlisted posts whose reach includes the reader's domain, newest first."""
        peer, owner = call.partner_reader, await self._owner(call)
        iri, domain, at = self._names.outbox(owner.name), peer.partner.domain, cursor_of(call)
        if at is None:
            # Counted like it is listed: what the terms withhold is not there.
            groups = await self._database.read(posts.outbox_groups, owner.id, domain)
            facts = [(self._facts(*labels, peer=peer), number) for labels, number in groups]
            total = sum(number for fact, number in facts if self._would_read(fact, peer))
            return answer(writer.collection(iri, total=total, first=f"{iri}?page=true"))
        # spec: R114 — stable pages, public and unlisted activities only
        found = await self._database.read(_outbox_posts, owner.id, domain, at)
        items = [
            writer.embedded(await self._activity(post, boosted, owner, peer))
            for post, boosted in found
            if self._may_read(post, boosted, peer)
        ]
        return paged(iri, at, items, [post.id for post, _ in found])

    def _would_read(self, facts: DeliveryFacts, peer: Peer) -> bool:
        return self._guard.explain(facts.to_host(peer.host, self._federation.instance.clock())).allowed

    async def followers(self, call: Call) -> Answer:
        """How many follow; who, only as far as they live at the reader's own partner."""
        owner = await self._owner(call)
        iri = self._names.followers(owner.name)
        return await self._people(call, owner, iri, owner.followers_count, relations.followers)

    async def following(self, call: Call) -> Answer:
        """How many are followed; who, only as far as they live at the reader's own partner."""
        owner = await self._owner(call)
        iri = self._names.following(owner.name)
        return await self._people(call, owner, iri, owner.following_count, relations.following)

    async def _people(self, call: Call, owner: Actor, iri: Iri, total: int, listing: Listing) -> Answer:
        # spec: R115 — a hidden list keeps totalItems and leaves out first
        if owner.profile.hide_collections:
            return answer(writer.collection(iri, total=total))
        at = cursor_of(call)
        if at is None:
            return answer(writer.collection(iri, total=total, first=f"{iri}?page=true"))
        # A partner learns of its own people only: staff and other partners' people stay unnamed.
        partner, guard = call.partner_reader.partner, self._guard
        found = await self._database.read(
            _people_page, listing, owner.id, at, lambda host: guard.same_peer(partner, host)
        )
        return paged(iri, at, [each for _, each in found], [ident for ident, _ in found])

    async def partial_followers(self, call: Call) -> Answer:
        """The followers that live on the reader's host (FEP-8fcf)."""
        # spec: R119
        owner = await self._owner(call)
        found = await self._database.read(relations.follower_iris_at, owner.id, call.partner_reader.host)
        return answer(writer.partial_followers(f"{owner.iri}/followers_synchronization", found))

    async def featured(self, call: Call) -> Answer:
        """Pinned posts that the reader may see."""
        # spec: R107
        peer, owner = call.partner_reader, await self._owner(call)
        found = await self._database.read(_pinned, owner.id, peer)
        items = [
            writer.embedded(await self._note(post, owner, peer)) for post in found if self._may_read(post, None, peer)
        ]
        return answer(writer.collection(self._names.featured(owner.name), total=len(items), items=items))

    async def featured_tags(self, call: Call) -> Answer:
        """Hashtags on a profile, for whom the profile is for. How often they are used inside is not told."""
        owner = await self._owner(call)
        items = [writer.hashtag(tag, self._names) for tag in await self._database.read(tags.featured_names, owner.id)]
        iri = self._names.featured_tags(owner.name)
        return answer(writer.collection(iri, total=len(items), items=items, ordered=False))

    async def liked(self, call: Call) -> Answer:
        """What people like is theirs: the collection is hidden."""
        owner = await self._owner(call)
        return answer(writer.collection(self._names.liked(owner.name), total=None))

    async def replies(self, call: Call) -> Answer:
        """Answers that the reader may see, the author's own first."""
        # spec: R92
        author, post = await self._readable(call)
        found = await self._database.read(posts.reply_iris, post, call.partner_reader.partner.domain)
        return answer(writer.collection(self._names.replies(author.name, post.id), total=len(found), items=found))

    async def likes(self, call: Call) -> Answer:
        """How many like it."""
        author, post = await self._readable(call)
        return answer(writer.collection(self._names.likes(author.name, post.id), total=post.favourites_count))

    async def shares(self, call: Call) -> Answer:
        """How many boosted it."""
        author, post = await self._readable(call)
        return answer(writer.collection(self._names.shares(author.name, post.id), total=post.boosts_count))


def present(actor: Actor | None, name: str) -> Actor:
    """The local actor of a path. Raises `NotFound`, `Gone`."""
    if actor is None or actor.state is ActorState.SUSPENDED or actor.name != name or name == actors.INSTANCE_ACTOR:
        raise NotFound("Record not found")
    if actor.state is ActorState.DELETED:
        raise Gone("this account is deleted")  # spec: R85 — afterwards the actor answers 410
    return actor


def number_of(text: str) -> Id:
    """A local id in a path. Raises `NotFound`."""
    if not _NUMBER.match(text) or int(text) > LAST:
        raise NotFound("Record not found")
    return Id(int(text))


def cursor_of(call: Call) -> Cursor | None:
    """None for the collection itself. What cannot be read as a place in it is its beginning."""
    query = dict(call.query)
    if "page" not in query:
        return None
    before, after = (_place(query.get(name, "")) for name in ("max_id", "min_id"))
    return Cursor(after=after) if after else Cursor(before=before or LAST)


def _place(text: str) -> int | None:
    return int(text) if _NUMBER.match(text) and int(text) <= LAST else None


def paged(iri: str, at: Cursor, items: Sequence[object], idents: Sequence[Id]) -> Answer:
    """A page with links to its neighbours; ``idents`` are the places of what was looked at, newest first."""
    # spec: R114 — partOf, next and prev; what is new comes above, so no page ever moves
    following = f"{iri}{Cursor(before=idents[-1]).query}" if idents and (at.after or len(idents) >= PAGE) else None
    previous = f"{iri}{Cursor(after=idents[0]).query}" if idents and (at.after or at.before != LAST) else None
    page = writer.collection_page(f"{iri}{at.query}", part_of=iri, items=items, following=following, previous=previous)
    return answer(page)


def local_actor(tx: Tx, name: str) -> Actor | None:
    """The local actor of a name."""
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


def _beside(tx: Tx, post: Post, domain: Domain) -> tuple[int, NoteConsent]:
    """What stands on a post's document and not in its row: how many answers, and consent."""
    return len(posts.reply_iris(tx, post, domain)), quotes.note_consent(tx, post)


def _stamp(tx: Tx, name: str, ident: Id, peer: Peer) -> tuple[Stamp, Post, Actor] | None:
    stamp = quote_rows.stamp(tx, ident)
    if stamp is None or stamp.state is not QuoteState.ACCEPTED:
        return None
    found = _seen_post(tx, name, stamp.post_id, peer)
    return (stamp, found[1], found[0]) if found is not None else None


def deleted_post(tx: Tx, name: str, iri: Iri, seer: Seer) -> tuple[Tombstone, Reach] | None:
    """The tombstone of a local post, if the audience decision (as far as it can still be made) includes the reader."""
    found, author = tombstones.audience(tx, iri), actors.by_handle(tx, Handle(name))
    if found is None or author is None or not author.is_local:
        return None
    stone, reach, named = found
    reader = seer.actor_id
    follow = relations.follow(tx, reader, author.id) if reader is not None else None
    facts = AudienceFacts(
        author_id=author.id,
        author_active=author.state < ActorState.SUSPENDED,
        author_local=True,
        visibility=stone.visibility,
        reach=reach,
        follows_author=follow is not None and follow.state == 1,
        mentioned=reader in named,
        blocked=reader is not None and relations.is_blocked(tx, author.id, reader),
    )
    return (stone, reach) if can_see(seer, facts) else None


def _outbox_posts(tx: Tx, author: Id, domain: Domain, at: Cursor) -> list[tuple[Post, Post | None]]:
    idents = posts.outbox_page(tx, author, domain, before=at.before, after=at.after, limit=PAGE)
    found = posts.by_ids(tx, idents)
    boosted = posts.by_ids(tx, [p.boost_of_id for p in found.values() if p.boost_of_id is not None])
    ordered = [found[i] for i in idents if i in found]
    return [(p, boosted.get(p.boost_of_id) if p.boost_of_id else None) for p in ordered]


def _people_page(tx: Tx, listing: Listing, owner: Id, at: Cursor, named: Callable[[str], bool]) -> list[tuple[Id, Iri]]:
    """The people of one page, newest first, each with its place in the list."""
    found: list[tuple[Id, Iri]] = []
    page = Page(at.before, at.after, BATCH, upwards=bool(at.after))
    for _ in range(MAX_BATCHES):
        rows = listing(tx, owner, page)
        ours = [(ident, actor.iri) for ident, actor in rows if actor.host is not None and named(actor.host)]
        found = ours + found if page.upwards else found + ours
        if len(rows) < BATCH or len(found) >= PAGE:
            break
        page = replace(page, after=rows[0][0]) if page.upwards else replace(page, before=rows[-1][0])
    return found[-PAGE:] if page.upwards else found[:PAGE]


def _pinned(tx: Tx, author: Id, peer: Peer) -> list[Post]:
    idents = [post for _, post in interactions.mine(tx, author, interactions.Kind.PIN)]
    found = posts.by_ids(tx, idents)
    seer = Seer(peer.actor_id, peer.partner.domain)
    return [found[i] for i in idents if i in found and posts.seen_by(tx, i, seer)]
