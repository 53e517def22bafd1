"""ActivityPub's client side: a person's own program posts to the outbox, and reads partners through us (section 6).

A document is read as strictly as a partner's, becomes a wish, and is fulfilled by the client API's use cases in one
transaction. What must be read at a partner first (somebody addressed, a post that is liked) is read before, through
guard and gateway; when that fails nothing is half done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

from fedishare.activitypub import client_effects, client_person, client_reading, fetching, resolver
from fedishare.activitypub.addressing import visibility_of
from fedishare.activitypub.client_documents import ClientDocuments
from fedishare.activitypub.client_doing import Context, Made
from fedishare.activitypub.client_wishes import (
    Addressed,
    BlockActor,
    Edit,
    EditMe,
    FollowActor,
    LikePost,
    Me,
    Publish,
    Share,
    Vote,
    Wish,
    Words,
    scope_of,
)
from fedishare.activitypub.documents import answer
from fedishare.activitypub.federation import Federation, is_activity_type
from fedishare.activitypub.jsonld import Document, as_list, iri_of, types_of
from fedishare.activitypub.reader_actors import ACTOR_TYPES
from fedishare.activitypub.reader_posts import POST_TYPES, recipients
from fedishare.activitypub.reader_values import Reading, is_iri
from fedishare.http.call import Answer, Call, error_answer
from fedishare.http.routes import Handler, scope_allows
from fedishare.model.actors import Actor, ActorState, Viewer
from fedishare.model.errors import BadDocument, BadInput, BadRequest, FedishareError, FetchFailed, NotAllowed, NotFound
from fedishare.model.ids import Id, Iri
from fedishare.model.media import Kept
from fedishare.model.names import RefKind
from fedishare.model.posts import Reach, Visibility
from fedishare.policy.facts import Purpose
from fedishare.services import quotes
from fedishare.store import actors, posts
from fedishare.store.db import Tx

MAX_KEY = 500
STAYS = "to: what stays here cannot be addressed to people elsewhere"
FORM = "application/x-www-form-urlencoded"
_OUTSIDE = "This action is outside the authorized scopes"
_COLLECTIONS = frozenset(("Collection", "OrderedCollection", "CollectionPage", "OrderedCollectionPage"))
_GONE = frozenset((401, 403, 404, 410))
_LOCAL: Mapping[RefKind, str] = {
    RefKind.ACTOR: "actor",
    RefKind.OUTBOX: "outbox",
    RefKind.FOLLOWERS: "followers",
    RefKind.FOLLOWING: "following",
    RefKind.FEATURED: "featured",
    RefKind.FEATURED_TAGS: "featured_tags",
    RefKind.LIKED: "liked",
    RefKind.POST: "post",
    RefKind.POST_ACTIVITY: "post_activity",
    RefKind.POST_REPLIES: "replies",
    RefKind.POST_LIKES: "likes",
    RefKind.POST_SHARES: "shares",
}


@dataclass(frozen=True, slots=True)
class ClientSide:
    """The handlers."""

    federation: Federation
    documents: ClientDocuments

    async def post(self, call: Call) -> Answer:
        """``POST`` to one's outbox: 201, and the activity's id as Location.

        Raises `BadDocument` (400), `NotAllowed` and `PolicyRefusal` (403), `NotFound` (404), `BadInput` (422).
        """
        instance = self.federation.instance
        if not is_activity_type(call.headers.get("content-type", "")):
            return error_answer("application/activity+json was expected as Content-Type", 415)
        key = call.headers.get("idempotency-key") or None
        if key is not None and len(key) > MAX_KEY:
            raise BadInput(f"Idempotency-Key has {len(key)} characters; at most {MAX_KEY} are taken")
        me = await self._me(call)
        document = fetching.parse(self.federation, await call.body(instance.config.limits.api_bytes))
        names = instance.site.names
        ids = Me(me.iri, names.followers(me.name), names.featured(me.name), names.featured_tags(me.name))
        reading = Reading(names, instance.clock(), instance.site.development)
        wish = client_reading.read(document, ids, reading)
        if not scope_allows(call.me.scopes, (scope_of(wish),)):
            raise NotAllowed(_OUTSIDE)
        await self._resolve(me, wish)
        made = await self._done(me, wish, Context(instance.site, instance.guard, call.me.app_name, key))
        done = answer(made.document, status=201)
        return Answer(
            done.body, status=201, media_type=done.media_type, headers=(*done.headers, (b"location", made.iri.encode()))
        )

    async def _me(self, call: Call) -> Actor:
        """The person whose outbox and token it is; others' look like missing ones."""
        found = await self.federation.instance.database.read_fast(actors.by_id, call.me.id)
        if found is None or found.name != call.params["name"] or found.state >= ActorState.SUSPENDED:
            raise NotFound("Record not found")
        return found

    async def _done(self, me: Actor, wish: Wish, context: Context) -> Made:
        """Fulfil a wish in one transaction; files that were made for it are there afterwards only if it needs them."""
        instance = self.federation.instance
        pictures = await self._pictures(me, wish) if isinstance(wish, EditMe) else {}
        try:
            made: Made = await instance.database.write(
                client_effects.perform, replace(context, pictures=pictures), me.id, wish
            )
        except FedishareError:
            await instance.studio.remove([kept.name for kept in pictures.values()])
            raise
        if made.repeated:
            await instance.studio.remove([kept.name for kept in pictures.values()])
        return made

    async def _pictures(self, me: Actor, wish: EditMe) -> dict[str, Kept]:
        """The pictures for a profile, cut out of uploads. Raises `BadInput`."""
        instance, made = self.federation.instance, dict[str, Kept]()
        try:
            for name, picture in wish.pictures:
                if picture is None:
                    continue
                names = instance.site.names
                found = await instance.database.read(client_person.upload_of, names, me, name, picture)
                if found is not None and found.file is not None:
                    made[name] = await instance.studio.keep_profile_copy(found.file, name)
        except FedishareError:
            await instance.studio.remove([kept.name for kept in made.values()])
            raise
        return made

    # What has to be known first

    async def _resolve(self, me: Actor, wish: Wish) -> None:
        match wish:
            case Publish(words, addressed):
                self._stays(words, addressed)
                for iri in (*addressed.people, *addressed.blind):
                    await self._person(iri)
                for other in (words.answers, words.quotes):
                    if other is not None:
                        await self._post(other, words.reach)
            case Edit(edited, _, addressed):
                await self._added(me, edited, addressed)
            case FollowActor(iri):
                await self._person(iri)
            case BlockActor(iri):
                if await self.federation.instance.database.read_fast(actors.by_iri, iri) is None:
                    await self._person(iri)
            case LikePost(iri) | Share(iri) | Vote(iri):
                await self._post(iri)
            case _:
                return

    async def _added(self, me: Actor, edited: Iri, addressed: Addressed) -> None:
        """Whom an edit adds must be known; nobody is asked for what stays here, or is not this person's to edit.

        Raises `BadInput`.
        """
        ours = self.federation.instance.site.names.is_ours
        post = await self.federation.instance.database.read_fast(posts.by_iri, edited)
        if post is None or post.author_id != me.id:
            return  # it is refused, and how says nothing of it
        if post.reach.is_local and not all(ours(each) for each in addressed.people):
            raise BadInput(STAYS, path="to")
        for iri in addressed.people:
            await self._person(iri)

    def _stays(self, words: Words, addressed: Addressed) -> None:
        """What never leaves is for nobody elsewhere, and nobody elsewhere is asked about. Raises `BadInput`."""
        ours, reach = self.federation.instance.site.names.is_ours, words.reach
        if reach is not None and reach.is_local and words.quotes is not None and not ours(words.quotes):
            raise BadInput(quotes.ASKS_NOBODY, path="reach")
        if (
            reach is not None
            and reach.is_local
            and not all(ours(each) for each in (*addressed.people, *addressed.blind))
        ):
            raise BadInput(STAYS, path="to")

    async def _person(self, iri: Iri) -> None:
        """Somebody must be known, and their server still a partner. Raises `PolicyRefusal` with the rule."""
        instance = self.federation.instance
        if instance.site.names.is_ours(iri):
            return
        instance.guard.permit_fetch(iri, Purpose.ACTOR)
        try:
            await resolver.known_or_fetched(self.federation, iri)
        except FetchFailed as error:
            raise _nothing_there(error) from error

    async def _post(self, iri: Iri, reach: Reach | None = None) -> None:
        """A post must be known, or is read now; what stays here asks nobody."""
        stays = reach is not None and reach.is_local
        if stays or self.federation.instance.site.names.is_ours(iri):
            return
        try:
            await resolver.fetch_post(self.federation, iri)
        except FetchFailed as error:
            raise _nothing_there(error) from error

    # Reading partners' documents for somebody

    async def proxy(self, call: Call) -> Answer:
        """``POST`` to ``proxyUrl``: a document by its id, as far as the person may see it.

        Raises `PolicyRefusal` (403; nothing was asked), `NotFound`, `FetchFailed` (502), `BadInput`.
        """
        instance = self.federation.instance
        iri = self._wanted(call, await call.body(instance.config.limits.api_bytes))
        names = instance.site.names
        if names.is_ours(iri):
            return await self._ours(call, iri)
        instance.guard.permit_fetch(iri, Purpose.OBJECT)
        self.federation.rates.take("proxy", str(call.me.id), instance.config.limits.fetch_rate)
        await self._mind_known(iri, call.me.id)
        try:
            document = await fetching.document(self.federation, iri, Purpose.OBJECT)
        except FetchFailed as error:
            raise _nothing_there(error) from error
        except BadDocument as error:
            raise FetchFailed(f"{iri[:200]} cannot be read: {error.message}") from error
        return answer(await self._shown(call.me, document))

    def _wanted(self, call: Call, body: bytes) -> Iri:
        if call.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
            raise BadRequest(f"{FORM} with id was expected")
        try:
            pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=20, errors="strict")
        except ValueError as error:
            raise BadRequest("the body cannot be read as a form") from error
        found = [value for name, value in pairs if name == "id"]
        if len(found) != 1 or not is_iri(found[0], self.federation.instance.site.development):
            raise BadInput("id: one https URL was expected", path="id")
        return Iri(found[0])

    async def _ours(self, call: Call, iri: Iri) -> Answer:
        """What is here is answered as a GET of it would be, and nothing is asked of anybody."""
        ref = self.federation.instance.site.names.parse(iri)
        name = _LOCAL.get(ref.kind) if ref is not None else None
        if ref is None or name is None:
            raise NotFound("Record not found")
        scope = "read:statuses" if ref.id is not None or name in ("outbox", "featured") else "read:accounts"
        if not scope_allows(call.me.scopes, (scope,)):
            raise NotAllowed(_OUTSIDE)
        call.params = {"name": ref.name, "id": str(ref.id or "")}
        handler: Handler = getattr(self.documents, name)
        return await handler(call)

    async def _mind_known(self, iri: str, viewer: Id) -> None:
        """A post that is known here, but not for this person, is not asked for again. Raises `NotFound`."""
        if await self.federation.instance.database.read(_hidden, iri, viewer):
            raise NotFound("Record not found")

    async def _shown(self, viewer: Viewer, document: Document) -> Document:
        """What of a fetched document the person may see. Raises `NotFound`, `NotAllowed`."""
        kinds = frozenset(types_of(document))
        shown = _without_blind(document)
        if not kinds.isdisjoint(ACTOR_TYPES):
            _demand(viewer, "read:accounts")
        elif not kinds.isdisjoint(POST_TYPES):
            _demand(viewer, "read:statuses")
            iri = iri_of(document.get("id")) or ""
            await self._mind_known(iri, viewer.id)
            if await self.federation.instance.database.read(posts.by_iri, iri) is None:
                # Judged, kept and shown as if somebody had searched for it.
                await resolver.take_post(self.federation, document, "Create")
                await self._mind_known(iri, viewer.id)
                if await self.federation.instance.database.read(posts.by_iri, iri) is None:
                    raise NotFound("Record not found")
        else:
            _demand(viewer, "read:statuses")
            if kinds.isdisjoint(_COLLECTIONS) and not _is_open(document):
                raise NotFound("Record not found")
            for name in ("items", "orderedItems", "object", "first"):
                if name in shown:
                    shown[name] = _references(shown[name])
        return shown


def _hidden(tx: Tx, iri: str, viewer: Id) -> bool:
    post = posts.by_iri(tx, iri)
    return post is not None and posts.visible(tx, post.id, viewer) is None


def _demand(viewer: Viewer, scope: str) -> None:
    if not scope_allows(viewer.scopes, (scope,)):
        raise NotAllowed(_OUTSIDE)


def _is_open(document: Mapping[str, object]) -> bool:
    to, cc = (recipients(document.get(name), development=True) for name in ("to", "cc"))
    return visibility_of(to, cc) in (Visibility.PUBLIC, Visibility.UNLISTED)


def _without_blind(document: Document) -> Document:
    return {key: value for key, value in document.items() if key not in ("bto", "bcc")}


def _references(value: object) -> list[object] | object:
    """Embedded objects as their ids: what they say was not judged by anybody, and may not be for this person."""
    found = [each if not isinstance(each, dict) else _reference(each) for each in as_list(value)]
    kept = [each for each in found if each is not None]
    return kept if isinstance(value, list) else (kept[0] if kept else None)


def _reference(each: Document) -> object:
    kinds = frozenset(types_of(each))
    if not kinds.isdisjoint(_COLLECTIONS):
        return _without_blind(each) | {
            name: _references(each[name]) for name in ("items", "orderedItems", "first") if name in each
        }
    return iri_of(each.get("id"))


def _nothing_there(error: FetchFailed) -> Exception:
    return NotFound("Record not found") if error.http_status in _GONE else error
