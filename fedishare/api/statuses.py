"""Statuses: post, read, edit, delete, context, and what people do with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import msgspec

from fedishare.activitypub import resolver
from fedishare.api import entities
from fedishare.api.drafts import read_draft, read_visibility, with_preferences
from fedishare.api.http import Api, page_of, paged, params, parse_id
from fedishare.api.rendering import Renderer, json_list, poll_json
from fedishare.api.scheduled import ScheduledStatuses, read_time
from fedishare.api.uploads import media_notes
from fedishare.http.call import Answer, Call, json_answer
from fedishare.http.routes import Handler
from fedishare.model.actors import Actor
from fedishare.model.errors import BadInput, FedishareError, NotFound, PolicyRefusal
from fedishare.model.ids import Handle, Id, Millis
from fedishare.model.posts import Draft, Post, Reach, Visibility
from fedishare.policy.audience import open_to_anybody
from fedishare.policy.facts import DeliveryFacts
from fedishare.services import audience, interactions, media, quotes
from fedishare.services import posts as post_services
from fedishare.store import actors, posts
from fedishare.store import interactions as interaction_store
from fedishare.store.db import Tx
from fedishare.store.interactions import Kind
from fedishare.text import scan

MAX_KEY = 500
_encode = msgspec.json.Encoder().encode


def own(tx: Tx, viewer: Id) -> Actor:
    """The signed-in person's actor. Raises `NotFound`."""
    actor = actors.by_id(tx, viewer)
    if actor is None:
        raise NotFound("Record not found")
    return actor


def _rendered(tx: Tx, renderer: Renderer, post: Post, viewer: Id) -> bytes:
    found = renderer.visible_post(tx, post.id, viewer)
    if found is None:
        raise NotFound("Record not found")
    return found


@dataclass(frozen=True, slots=True)
class Statuses:
    """The handlers."""

    api: Api

    async def create(self, call: Call) -> Answer:
        """``POST /api/v1/statuses``"""
        api, viewer = self.api, call.me
        found = await params(call)
        now = api.instance.clock()
        draft = read_draft(found, now, development=api.site.development, app_name=viewer.app_name)
        at = read_time(found)
        post_services.check_draft(api.site, draft)
        self._check_reach(draft)
        key = call.headers.get("idempotency-key") or None
        if key is not None and len(key) > MAX_KEY:
            raise BadInput(f"Idempotency-Key has {len(key)} characters; at most {MAX_KEY} are taken")
        await self._resolve_named(viewer.id, draft)
        if at is None:
            return Answer(await api.write_shown(self._publish, viewer.id, draft, key))
        seconds = (draft.poll.ends_at - now) // 1000 if draft.poll is not None and draft.poll.ends_at else 0
        return Answer(await api.write_shown(self._schedule, viewer.id, draft, at, seconds, key))

    def _schedule(
        self, tx: Tx, renderer: Renderer, viewer: Id, draft: Draft, at: Millis, poll_seconds: int, key: str | None
    ) -> bytes:
        draft = with_preferences(tx, viewer, draft)
        made = ScheduledStatuses(self.api).add(tx, own(tx, viewer), draft, at, poll_seconds, key)
        return _rendered(tx, renderer, made, viewer) if isinstance(made, Post) else _encode(made)

    def _publish(self, tx: Tx, renderer: Renderer, viewer: Id, draft: Draft, key: str | None) -> bytes:
        draft = with_preferences(tx, viewer, draft)
        made = post_services.publish(tx, self.api.site, own(tx, viewer), draft, key=key)
        if made.author is None or made.post.in_reply_to_id is not None or made.post.quoting:
            found = _rendered(tx, renderer, made.post, viewer)
        else:
            found = renderer.published(tx, made.post, made.author)
        if not made.unreached and not made.narrowed:
            return found
        # The author is told what stayed plain text, and what was narrowed.
        notes = {"unreached": [{"acct": a, "reason": r} for a, r in made.unreached], "narrowed": list(made.narrowed)}
        return found[:-1] + b',"fedishare":' + _encode(notes) + b"}"

    def _check_reach(self, draft: Draft) -> None:
        """A name that is misspelt would reach nobody, silently. Raises `BadInput`."""
        for domain in sorted(draft.reach.domains or ()) if draft.reach is not None else ():
            if self.api.instance.guard.policy.find(domain)[1] is None:
                raise BadInput(f"Validation failed: {domain} is not a partner of this server", path="reach")

    async def _resolve_named(self, viewer: Id, draft: Draft) -> dict[str, str]:
        """Look up unknown handles of partners that the post may reach, before it is published.

        Returns those that could not be found, each with the reason. A post that stays here asks nobody.
        """
        site, database = self.api.site, self.api.database
        found = scan(draft.text, development=site.development).mentions
        handles = {m.handle: m.domain for m in found if m.domain and m.domain != site.names.domain}
        if not handles:
            return {}
        reach = await database.read(self._reach, viewer, draft)
        reasons = {}
        for handle, domain in handles.items():
            if not audience.reach_includes(reach, domain) or await database.read(actors.by_handle, handle) is not None:
                continue
            try:
                await resolver.resolve_handle(self.api.federation, handle)
            except FedishareError as error:
                rule = f" ({error.rule})" if isinstance(error, PolicyRefusal) else ""
                reasons[str(handle)] = f"{error.message}{rule}"
        return reasons

    def _reach(self, tx: Tx, viewer: Id, draft: Draft) -> Reach:
        draft = with_preferences(tx, viewer, draft)
        answered = audience.answered_post(tx, own(tx, viewer), draft.in_reply_to_id)
        quoted = quotes.quoted_post(tx, own(tx, viewer), draft.quoted_id)
        return audience.labels(tx, self.api.site, draft, answered, quoted).reach

    async def show(self, call: Call) -> Answer:
        """``GET /api/v1/statuses/{id}``"""
        return await self._shown(parse_id(call.params["id"]), call.me.id)

    async def _shown(self, ident: Id, viewer: Id) -> Answer:
        found = await self.api.database.read_fast(self.api.renderer.visible_post, ident, viewer)
        if found is None:
            raise NotFound("Record not found")
        return Answer(found)

    async def several(self, call: Call) -> Answer:
        """``GET /api/v1/statuses?id[]=…``"""
        found = await params(call)
        idents = [parse_id(text) for text in found.texts("id")[:40]]
        return Answer(json_list(await self.api.database.read_fast(self.api.renderer.visible_posts, idents, call.me.id)))

    async def edit(self, call: Call) -> Answer:
        """``PUT /api/v1/statuses/{id}``"""
        found = await params(call)
        draft = read_draft(found, self.api.instance.clock(), development=self.api.site.development, app_name=None)
        self._check_reach(draft)
        ident = parse_id(call.params["id"])
        before = await self.api.database.read(posts.by_id, ident)
        if before is not None and before.author_id == call.me.id:
            alone = replace(draft, reach=before.reach, in_reply_to_id=None, quoted_id=None)
            await self._resolve_named(call.me.id, alone)
        return Answer(await self.api.write_shown(self._edit, call.me.id, ident, draft, media_notes(found)))

    def _edit(
        self, tx: Tx, renderer: Renderer, viewer: Id, ident: Id, draft: Draft, notes: dict[Id, media.Note]
    ) -> bytes:
        if notes:
            media.redescribe(tx, viewer, ident, notes)
        before = posts.by_id(tx, ident)
        if draft.media_ids is None and notes and before is not None:
            kept = tuple(each.id for each in before.content.attachments if each.id is not None)
            draft = replace(draft, media_ids=kept)  # who says something of a file means to keep it
        post = post_services.edit(tx, self.api.site, own(tx, viewer), ident, draft, whole=True)
        return _rendered(tx, renderer, post, viewer)

    async def delete(self, call: Call) -> Answer:
        """``DELETE /api/v1/statuses/{id}``: answers with what was typed, for writing it anew."""
        discard = (await params(call)).flag("delete_media")
        return Answer(await self.api.write_shown(self._delete, call.me.id, parse_id(call.params["id"]), discard))

    def _delete(self, tx: Tx, renderer: Renderer, viewer: Id, ident: Id, discard: bool) -> bytes:
        before = posts.by_id(tx, ident)
        if before is None or before.author_id != viewer:
            raise NotFound("Record not found")
        found = _rendered(tx, renderer, before, viewer)
        if before.boost_of_id is not None:
            interactions.take_back_boost(tx, own(tx, viewer), before)
        else:
            if not discard:
                media.release(tx, before.id)  # its uploads can be part of what is written anew
            post_services.remove(tx, own(tx, viewer), ident)
        return found[:-1] + b',"text":' + _encode(before.content.source) + b"}"

    async def source(self, call: Call) -> Answer:
        """``GET /api/v1/statuses/{id}/source``"""
        post = await self.api.database.read_fast(posts.by_id, parse_id(call.params["id"]))
        if post is None or post.author_id != call.me.id:
            raise NotFound("Record not found")
        return json_answer({"id": str(post.id), "text": post.content.source, "spoiler_text": post.content.summary})

    async def history(self, call: Call) -> Answer:
        """``GET /api/v1/statuses/{id}/history``"""
        return json_answer(await self.api.database.read(self._history, parse_id(call.params["id"]), call.me.id))

    def _history(self, tx: Tx, ident: Id, viewer: Id) -> list[dict[str, object]]:
        post = interactions.visible_original(tx, viewer, ident)
        author = actors.by_ids(tx, [post.author_id])[post.author_id]
        raw = msgspec.Raw(self.api.renderer.account(tx, author))
        links = self.api.renderer.links(tx, viewer)
        versions = [*posts.edits(tx, post.id), (post.edited_at or post.published, post.content)]
        quote = {"quote": msgspec.Raw(self.api.renderer.quote(tx, post.id, viewer))} if post.quoting else {}
        return [
            {
                "content": content.html, "spoiler_text": content.summary, "sensitive": content.sensitive,
                "created_at": entities.instant(at), "account": raw,
                "media_attachments": entities.attachments(post.id, content.attachments, links),
                "emojis": entities.emojis_of(content.emojis, partial(links.of_post, post.id)),
                **quote,
                **({"poll": {"options": [{"title": o.title} for o in content.poll.options]}} if content.poll else {}),
            }
            for at, content in versions
        ]  # fmt: skip

    async def context(self, call: Call) -> Answer:
        """``GET /api/v1/statuses/{id}/context``"""
        before, after = await self.api.database.read(self._context, parse_id(call.params["id"]), call.me.id)
        return Answer(b'{"ancestors":' + json_list(before) + b',"descendants":' + json_list(after) + b"}")

    def _context(self, tx: Tx, ident: Id, viewer: Id) -> tuple[list[bytes], list[bytes]]:
        post = interactions.visible_original(tx, viewer, ident)
        above = self.api.renderer.visible_posts(tx, posts.ancestors(tx, post.id), viewer)
        return above, self.api.renderer.visible_posts(tx, posts.descendants(tx, post.id), viewer)

    def changing(self, change: Callable[[Tx, Actor, Id], Post]) -> Handler:
        """A handler that changes something about a post and answers with the post."""

        def write(tx: Tx, renderer: Renderer, viewer: Id, ident: Id) -> bytes:
            return _rendered(tx, renderer, change(tx, own(tx, viewer), ident), viewer)

        async def handler(call: Call) -> Answer:
            return Answer(await self.api.write_shown(write, call.me.id, parse_id(call.params["id"])))

        return handler

    def favourite(self, tx: Tx, actor: Actor, ident: Id) -> Post:
        """``POST …/favourite``"""
        return interactions.favourite(tx, self.api.site, actor, ident)

    def unfavourite(self, tx: Tx, actor: Actor, ident: Id) -> Post:
        """``POST …/unfavourite``"""
        return interactions.unfavourite(tx, actor, ident)

    def unboost(self, tx: Tx, actor: Actor, ident: Id) -> Post:
        """``POST …/unreblog``: answers with the original."""
        return interactions.unboost(tx, actor, ident)

    def pin(self, tx: Tx, actor: Actor, ident: Id) -> Post:
        """``POST …/pin``"""
        return interactions.pin(tx, self.api.site, actor, ident, True)

    def unpin(self, tx: Tx, actor: Actor, ident: Id) -> Post:
        """``POST …/unpin``"""
        return interactions.pin(tx, self.api.site, actor, ident, False)

    @staticmethod
    def marking(kind: Kind, on: bool) -> Callable[[Tx, Actor, Id], Post]:
        """``POST …/bookmark``, ``…/mute`` and back."""
        return lambda tx, actor, ident: interactions.mark(tx, actor, ident, kind, on)

    async def boost(self, call: Call) -> Answer:
        """``POST …/reblog``: answers with the boost."""
        wanted = read_visibility(await params(call))
        return Answer(await self.api.write_shown(self._boost, call.me.id, parse_id(call.params["id"]), wanted))

    def _boost(self, tx: Tx, renderer: Renderer, viewer: Id, ident: Id, wanted: Visibility | None) -> bytes:
        return _rendered(tx, renderer, interactions.boost(tx, self.api.site, own(tx, viewer), ident, wanted), viewer)

    async def favourited_by(self, call: Call) -> Answer:
        """``GET …/favourited_by``"""
        return await self._people(call, boosters=False)

    async def boosted_by(self, call: Call) -> Answer:
        """``GET …/reblogged_by``"""
        return await self._people(call, boosters=True)

    async def _people(self, call: Call, *, boosters: bool) -> Answer:
        page = page_of(await params(call), limit=40, most=80)
        ident, viewer = parse_id(call.params["id"]), call.me.id

        def read(tx: Tx) -> tuple[list[Id], list[msgspec.Raw]]:
            post = interactions.visible_original(tx, viewer, ident)
            if boosters:
                found = interaction_store.boosters(tx, post.id, page)
            else:
                found = interaction_store.actors(tx, post.id, Kind.FAVOURITE, page)
            return [row[0] for row in found], self.api.renderer.accounts(tx, [row[1] for row in found])

        idents, people = await self.api.database.read(read)
        return paged(self.api, call, people, idents)

    async def poll(self, call: Call) -> Answer:
        """``GET /api/v1/polls/{id}``"""
        return Answer(await self.api.database.read(self._poll, parse_id(call.params["id"]), call.me.id))

    def _poll(self, tx: Tx, ident: Id, viewer: Id) -> bytes:
        post = interactions.visible_original(tx, viewer, ident)
        if post.content.poll is None:
            raise NotFound("Record not found")
        return poll_json(tx, post, viewer, self.api.renderer.links(tx, viewer))

    async def vote(self, call: Call) -> Answer:
        """``POST /api/v1/polls/{id}/votes``"""
        words = (await params(call)).texts("choices")
        if not all(word.isascii() and word.isdigit() and len(word) < 4 for word in words):
            raise BadInput("Validation failed: The chosen vote option does not exist", path="choices")
        choices = [int(word) for word in words]
        return Answer(await self.api.database.write(self._vote, call.me.id, parse_id(call.params["id"]), choices))

    def _vote(self, tx: Tx, viewer: Id, ident: Id, choices: list[int]) -> bytes:
        voted = interactions.vote(tx, own(tx, viewer), ident, choices)
        return poll_json(tx, voted, viewer, self.api.renderer.links(tx, viewer))

    async def marked(self, call: Call, kind: Kind) -> Answer:
        """``GET /api/v1/favourites`` and ``/api/v1/bookmarks``"""
        page = page_of(await params(call))

        def read(tx: Tx) -> tuple[list[Id], list[bytes]]:
            rows = interaction_store.mine(tx, call.me.id, kind, page)
            return [row[0] for row in rows], self.api.renderer.visible_posts(tx, [row[1] for row in rows], call.me.id)

        idents, found = await self.api.database.read(read)
        return paged(self.api, call, [msgspec.Raw(part) for part in found], idents)

    # Who will get this

    async def preview(self, call: Call) -> Answer:
        """``POST /api/v1/fedishare/audience``: who would receive the post, from the code that delivers."""
        found = await params(call)
        draft = read_draft(found, self.api.instance.clock(), development=self.api.site.development, app_name=None)
        self._check_reach(draft)
        reasons = await self._resolve_named(call.me.id, draft)
        return json_answer(await self.api.database.read(self._preview, call.me.id, draft, reasons))

    def _preview(self, tx: Tx, viewer: Id, draft: Draft, reasons: dict[str, str]) -> dict[str, object]:
        author = own(tx, viewer)
        seen = audience.preview(tx, self.api.site, author, with_preferences(tx, viewer, draft))
        guard, names = self.api.instance.guard, self.api.site.names
        terms_public = guard.policy.public_addressing
        partners: dict[str, dict[str, object]] = {}
        for recipient in seen.recipients:
            partner = guard.policy.find(recipient.host)[1]
            wide = seen.labels.visibility in (Visibility.PUBLIC, Visibility.UNLISTED)
            facts = DeliveryFacts(
                activity_type="Create", object_type="Question" if draft.poll else "Note",
                visibility=seen.labels.visibility, reach=seen.labels.reach,
                has_media=bool(draft.attachments or draft.media_ids),
                public_addressed=wide and (terms_public or bool(partner and partner.terms.public_addressing)),
            )  # fmt: skip
            decision = guard.explain(facts.to_host(recipient.host, tx.now))
            entry = partners.setdefault(
                recipient.domain,
                {"domain": recipient.domain, "people": 0, "allowed": decision.allowed, "rule": decision.rule,
                 "reason": decision.reason},
            )  # fmt: skip
            entry["people"] = int(str(entry["people"])) + 1
        return {
            "visibility": seen.labels.visibility.word,
            "reach": entities.reach_of(seen.labels.reach),
            "instance": names.domain,
            "local_people": seen.local_people,
            "everybody_here": seen.everybody_here,
            "anybody": self.api.instance.config.web.public_pages
            and open_to_anybody(True, True, seen.labels.visibility, seen.labels.reach),
            "partners": sorted(partners.values(), key=lambda e: str(e["domain"])),
            "mentions": [entities.mention(m) for m in seen.named.mentions if not m.silent],
            "unreached": [{"acct": a, "reason": reasons.get(a, r)} for a, r in seen.named.unreached],
            "narrowed": list(seen.labels.narrowed),
        }


def handle_of(text: str, *, development: bool) -> Handle:
    """A handle from a parameter. Raises `NotFound`."""
    try:
        return Handle.parse(text, development=development)
    except BadInput as error:
        raise NotFound("Record not found") from error
