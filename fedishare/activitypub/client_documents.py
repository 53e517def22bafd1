"""Documents that people's own programs read with a bearer token: what the client API shows, as ActivityStreams.

One audience decision for both: what somebody may see there can be read here by its id, and nothing else. Partners'
posts come without the activity's id, which nobody keeps; everything else has the id under which it is known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from fedishare.activitypub import writer
from fedishare.activitypub.addressing import addressing_of
from fedishare.activitypub.documents import (
    PAGE,
    Cursor,
    Documents,
    answer,
    cursor_of,
    deleted_post,
    local_actor,
    number_of,
    paged,
    present,
)
from fedishare.activitypub.federation import Federation
from fedishare.activitypub.writer import Document
from fedishare.http.call import Answer, Answered, Call
from fedishare.http.routes import scope_allows
from fedishare.media.files import digest_of
from fedishare.model.actors import Actor
from fedishare.model.errors import NotAllowed, NotFound
from fedishare.model.ids import Id, Iri
from fedishare.model.names import VERBS, Names
from fedishare.model.posts import Post
from fedishare.model.quotes import QuoteState
from fedishare.policy.audience import Seer
from fedishare.services import quotes
from fedishare.store import activities, actors, interactions, notifications, posts, reached, relations, tags, timelines
from fedishare.store import quotes as quote_rows
from fedishare.store.db import Tx
from fedishare.store.interactions import Kind
from fedishare.store.notifications import Note, Wanted
from fedishare.store.paging import Page

MISSING = "Record not found"
WANTED = Wanted(("mention", "reblog", "favourite", "follow", "follow_request"))
"""The notifications that are activities of somebody."""
Listing = Callable[[Tx, Id, Page], list[tuple[Id, Actor]]]


@dataclass(frozen=True, slots=True)
class _Reader:
    """Somebody who reads, in one transaction."""

    tx: Tx
    names: Names
    viewer: Id

    def owner(self, name: str) -> Actor:
        """The local actor of a path. Raises `NotFound`, `Gone`."""
        return present(local_actor(self.tx, name), name)

    def own_post(self, name: str, ident: Id) -> tuple[Actor, Post]:
        """A local post under the path of its author, if it is for the reader. Raises `NotFound`; a `Tombstone` (410)
        for what was there, and for the reader."""
        post = posts.visible(self.tx, ident, self.viewer)
        author = actors.by_id(self.tx, post.author_id) if post is not None else None
        if post is None or author is None or not post.local or author.name != name:
            self._tombstone(name, ident)
            raise NotFound(MISSING)
        return author, post

    def _tombstone(self, name: str, ident: Id) -> None:
        for iri in (self.names.post(name, ident), self.names.post_activity(name, ident)):
            found = deleted_post(self.tx, name, iri, Seer(self.viewer))
            if found is not None:
                raise Answered(answer(writer.tombstone(iri, deleted=found[0].deleted_at), status=410))

    def note(self, post: Post, author: Actor) -> Document:
        """A post; of a partner's, what we know of it."""
        to, cc = addressing_of(post, author, post.content.mentions, public_addressing=True)
        consent = quotes.note_consent_for(self.tx, post, self.viewer)
        shown = post if post.local else self._through_us(post)
        document = writer.note(shown, author, names=self.names, to=to, cc=cc, consent=consent)
        if not post.local:
            for name in ("replies", "likes", "shares"):
                del document[name]  # these are at its origin
        return document

    def _through_us(self, post: Post) -> Post:
        """A partner's post whose files are read through us: the partner does not learn who looks at them."""

        def here(url: str) -> str:
            return f"{self.names.origin}/media/remote/{post.id}/{digest_of(url)}"

        content = post.content
        files = tuple(
            each if each.kind == "unknown" else replace(each, url=here(each.url)) for each in content.attachments
        )
        emojis = tuple(replace(each, url=here(each.url)) for each in content.emojis)
        return replace(post, content=replace(content, attachments=files, emojis=emojis))

    def activity(self, post: Post, author: Actor) -> Document | None:
        """The Create of a post, or a boost; None for a boost of what is gone."""
        if post.boost_of_id is None:
            made = writer.create(self.note(post, author))
            if not post.local:
                del made["id"]  # nobody keeps the ids of partners' activities
            return made
        boosted = posts.by_id(self.tx, post.boost_of_id)
        if boosted is None:
            return None
        to, cc = addressing_of(post, author, (), public_addressing=True)
        return writer.announce(post.iri, author.iri, boosted.iri, published=post.published, to=to, cc=cc)

    def seen_activity(self, ident: Id) -> Document | None:
        """The same for an id, if the reader may see it."""
        post = posts.visible(self.tx, ident, self.viewer)
        author = actors.by_id(self.tx, post.author_id) if post is not None else None
        return self.activity(post, author) if post is not None and author is not None else None

    def told(self, row: Note, at_home: set[Id]) -> Document | None:
        """What a notification tells of; None where the activity is in the list already."""
        source, me = actors.by_id(self.tx, row.from_id), actors.by_id(self.tx, self.viewer)
        if source is None or me is None:
            return None
        if row.kind in ("follow", "follow_request"):
            made = relations.follow(self.tx, source.id, me.id)
            return writer.follow(made.iri, source.iri, me.iri) if made is not None else None
        if row.post_id is None:
            return None
        if row.kind == "mention":
            return self.seen_activity(row.post_id) if row.post_id not in at_home else None
        if row.kind == "reblog":
            boost = interactions.boosted(self.tx, source.id, [row.post_id]).get(row.post_id)
            return self.seen_activity(boost) if boost is not None and boost not in at_home else None
        post = posts.by_id(self.tx, row.post_id)
        iri = interactions.iri_of(self.tx, row.post_id, source.id, Kind.FAVOURITE)
        if post is None:
            return None
        like = writer.like(iri or Iri(""), source.iri, post.iri, author=me.iri)
        return like if iri else {key: value for key, value in like.items() if key != "id"}


class ClientDocuments:
    """The side of one instance that its own people's programs read."""

    def __init__(self, federation: Federation, documents: Documents) -> None:
        self._database = federation.instance.database
        self._names = federation.instance.site.names
        self._documents = documents

    def _reader(self, tx: Tx, call: Call) -> _Reader:
        return _Reader(tx, self._names, call.me.id)

    async def actor(self, call: Call) -> Answer:
        """A local person, group or service."""
        return (await self._documents.kept_actor(call.params["name"]))[1]

    # Posts

    async def post(self, call: Call) -> Answer:
        """A local post."""
        name, ident = call.params["name"], number_of(call.params["id"])

        def read(tx: Tx) -> Document:
            reader = self._reader(tx, call)
            author, post = reader.own_post(name, ident)
            if post.boost_of_id is not None:
                raise NotFound(MISSING)
            return reader.note(post, author)

        return answer(await self._database.read(read))

    async def post_activity(self, call: Call) -> Answer:
        """The Create of a local post, or a local boost."""
        name, ident = call.params["name"], number_of(call.params["id"])

        def read(tx: Tx) -> Document | None:
            reader = self._reader(tx, call)
            author, post = reader.own_post(name, ident)
            return reader.activity(post, author)

        return answer(_there(await self._database.read(read)))

    async def replies(self, call: Call) -> Answer:
        """The answers to a local post that the reader may see, oldest first."""
        name, ident = call.params["name"], number_of(call.params["id"])

        def read(tx: Tx) -> Document:
            _, post = self._reader(tx, call).own_post(name, ident)
            below = posts.by_ids(tx, posts.descendants(tx, post.id))
            direct = sorted(each.id for each in below.values() if each.in_reply_to_id == post.id)
            seen = posts.visible_ids(tx, direct, call.me.id)
            items = [below[each].iri for each in direct if each in seen]
            return writer.collection(self._names.replies(name, ident), total=len(items), items=items)

        return answer(await self._database.read(read))

    async def likes(self, call: Call) -> Answer:
        """How many like a local post."""
        name, ident = call.params["name"], number_of(call.params["id"])
        _, post = await self._database.read(lambda tx: self._reader(tx, call).own_post(name, ident))
        return answer(writer.collection(self._names.likes(name, ident), total=post.favourites_count))

    async def shares(self, call: Call) -> Answer:
        """How many boosted a local post."""
        name, ident = call.params["name"], number_of(call.params["id"])
        _, post = await self._database.read(lambda tx: self._reader(tx, call).own_post(name, ident))
        return answer(writer.collection(self._names.shares(name, ident), total=post.boosts_count))

    async def sent(self, call: Call, verb: str = "") -> Answer:
        """An activity of one's own, by its id."""
        name, verb, number = call.params["name"], verb or call.params["verb"], call.params["id"]
        iri = f"{self._names.actor(name)}/{verb}/{number}"
        if verb not in VERBS:
            raise NotFound(MISSING)
        # A vote is the Note of an activity whose id is one word longer.
        iri += "/activity" if verb == "votes" else ""
        found = await self._database.read(activities.own, iri, call.me.id)
        if found is None:
            raise NotFound(MISSING)
        kind = answer({})
        return Answer(found.body.encode(), media_type=kind.media_type, headers=kind.headers)

    async def quote_authorization(self, call: Call) -> Answer:
        """That somebody here agrees to a quote, for those who may see both posts, and for who gave it."""
        name, ident = call.params["name"], number_of(call.params["id"])

        def read(tx: Tx) -> Document:
            owner, stamp = self._reader(tx, call).owner(name), quote_rows.stamp(tx, ident)
            post = posts.visible(tx, stamp.post_id, call.me.id) if stamp is not None else None
            made = posts.by_iri(tx, stamp.quoting_iri) if stamp is not None else None
            seen = made is not None and posts.visible(tx, made.id, call.me.id) is not None
            if (
                stamp is None or post is None or post.author_id != owner.id or stamp.state is not QuoteState.ACCEPTED
                or not (seen or owner.id == call.me.id)
            ):  # fmt: skip
                raise NotFound(MISSING)
            iri = self._names.quote_authorization(name, ident)
            return writer.quote_authorization(iri, owner.iri, quoting=stamp.quoting_iri, quoted=post.iri)

        return answer(await self._database.read(read))

    # Collections

    async def outbox(self, call: Call) -> Answer:
        """What somebody here published, as far as it is for the reader; to oneself, everything."""
        name, at = call.params["name"], cursor_of(call)

        def read(tx: Tx) -> tuple[Actor, list[Id], list[Document]]:
            reader = self._reader(tx, call)
            owner = reader.owner(name)
            if at is None:
                return owner, [], []
            idents = posts.author_page(tx, owner.id, call.me.id, _page(at))
            found = [reader.seen_activity(ident) for ident in idents]
            return owner, idents, [writer.embedded(each) for each in found if each is not None]

        owner, idents, items = await self._database.read(read)
        iri = self._names.outbox(owner.name)
        if at is None:
            return answer(writer.collection(iri, total=owner.posts_count, first=f"{iri}?page=true"))
        return paged(iri, at, items, idents)

    async def inbox(self, call: Call) -> Answer:
        """What reached oneself, newest first: posts and boosts at home, mentions, likes, follows (5.2)."""
        if not scope_allows(call.me.scopes, ("read:statuses",)):
            raise NotAllowed("This action is outside the authorized scopes")
        name, at = call.params["name"], cursor_of(call)

        def read(tx: Tx) -> tuple[list[Id], list[Document]]:
            reader = self._reader(tx, call)
            if reader.owner(name).id != call.me.id:
                raise NotFound(MISSING)
            return ([], []) if at is None else _reached(reader, at)

        idents, items = await self._database.read(read)
        iri = self._names.inbox(name)
        if at is None:
            return answer(writer.collection(iri, total=None, first=f"{iri}?page=true"))
        return paged(iri, at, items, idents)

    async def followers(self, call: Call) -> Answer:
        """Who follows somebody here."""
        return await self._people(call, self._names.followers, relations.followers, "followers_count")

    async def following(self, call: Call) -> Answer:
        """Whom somebody here follows."""
        return await self._people(call, self._names.following, relations.following, "following_count")

    async def _people(self, call: Call, naming: Callable[[str], Iri], listing: Listing, count: str) -> Answer:
        name, at = call.params["name"], cursor_of(call)

        def read(tx: Tx) -> tuple[Actor, list[tuple[Id, Actor]]]:
            owner = self._reader(tx, call).owner(name)
            hidden = owner.profile.hide_collections and owner.id != call.me.id
            return owner, [] if hidden or at is None else listing(tx, owner.id, _page(at))

        owner, found = await self._database.read(read)
        iri, total = naming(owner.name), int(getattr(owner, count))
        # spec: R115 — a hidden list keeps totalItems and leaves out first
        if owner.profile.hide_collections and owner.id != call.me.id:
            return answer(writer.collection(iri, total=total))
        if at is None:
            return answer(writer.collection(iri, total=total, first=f"{iri}?page=true"))
        return paged(iri, at, [actor.iri for _, actor in found], [ident for ident, _ in found])

    async def featured(self, call: Call) -> Answer:
        """The pinned posts of somebody here that the reader may see."""
        name = call.params["name"]

        def read(tx: Tx) -> list[Document]:
            reader = self._reader(tx, call)
            owner = reader.owner(name)
            idents = [post for _, post in interactions.mine(tx, owner.id, Kind.PIN)]
            found, seen = posts.by_ids(tx, idents), posts.visible_ids(tx, idents, call.me.id)
            return [writer.embedded(reader.note(found[each], owner)) for each in idents if each in seen]

        items = await self._database.read(read)
        return answer(writer.collection(self._names.featured(name), total=len(items), items=items))

    async def featured_tags(self, call: Call) -> Answer:
        """The hashtags on the profile of somebody here."""
        name = call.params["name"]

        def read(tx: Tx) -> list[str]:
            return tags.featured_names(tx, self._reader(tx, call).owner(name).id)

        items = [writer.hashtag(tag, self._names) for tag in await self._database.read(read)]
        return answer(writer.collection(self._names.featured_tags(name), total=len(items), items=items, ordered=False))

    async def liked(self, call: Call) -> Answer:
        """What people like is theirs: the collection is hidden."""
        name = call.params["name"]
        await self._database.read(lambda tx: self._reader(tx, call).owner(name))
        return answer(writer.collection(self._names.liked(name), total=None))


def _there(found: Document | None) -> Document:
    if found is None:
        raise NotFound(MISSING)
    return found


def _page(at: Cursor) -> Page:
    return Page(at.before, at.after, PAGE, upwards=bool(at.after))


def _reached(reader: _Reader, at: Cursor) -> tuple[list[Id], list[Document]]:
    """A page of what reached somebody: the places in it, and the activities, newest first.

    A post's place is its own id, a notification's is that of the notification: both grow with time, and neither moves.
    """
    tx, page = reader.tx, _page(at)
    home = {entry.post_id: entry for entry in timelines.home(tx, reader.viewer, page)}
    notes = {row.id: row for row in notifications.page(tx, reader.viewer, WANTED, page)}
    places = sorted((*home, *notes), reverse=True)
    places = places[-PAGE:] if page.upwards else places[:PAGE]
    told = [notes[place] for place in places if place in notes]
    boosts = [
        boost
        for row in told
        if row.kind == "reblog" and row.post_id is not None
        for boost in interactions.boosted(tx, row.from_id, [row.post_id]).values()
    ]
    at_home = reached.at_home(tx, reader.viewer, [*boosts, *(row.post_id for row in told if row.post_id is not None)])
    items = []
    for place in places:
        entry = home.get(place)
        if entry is None:
            found = reader.told(notes[place], at_home)
        else:
            found = reader.seen_activity(place) if entry.author_id != reader.viewer else None
        if found is not None:
            items.append(writer.embedded(found))
    return places, items
