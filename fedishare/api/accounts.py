"""Accounts: others', and how one stands to them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from fedishare.api import entities
from fedishare.api.http import Api, Params, page_of, paged, params, parse_id
from fedishare.api.notifications import ReportEntity, report_entity
from fedishare.api.rendering import Renderer
from fedishare.api.statuses import handle_of, own
from fedishare.http.call import Answer, Call, json_answer
from fedishare.http.routes import Handler
from fedishare.model.actors import Actor, Relationship
from fedishare.model.errors import BadInput, NotFound
from fedishare.model.ids import Handle, Id, Millis
from fedishare.services import governance, moderation, relations
from fedishare.store import actors, interactions, notice_board, posts
from fedishare.store import moderation as moderation_store
from fedishare.store import relations as relation_store
from fedishare.store.db import Tx
from fedishare.store.interactions import Kind
from fedishare.text import clean_text, normalise_hashtag

MAX_COMMENT = 1000
"""Characters of what is said with a report."""
MAX_LANGUAGES = 50
LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8}){0,4}\Z")


@dataclass(frozen=True, slots=True)
class Accounts:
    """The handlers."""

    api: Api

    # Others

    async def lookup(self, call: Call) -> Answer:
        """``GET /api/v1/accounts/lookup?acct=…``: among those that are known here."""
        handle = handle_of((await params(call)).text("acct"), development=self.api.site.development)
        return Answer(await self.api.database.read(self._by_handle, handle))

    def _by_handle(self, tx: Tx, handle: Handle) -> bytes:
        domain = None if handle.domain == self.api.site.names.domain else handle.domain
        actor = actors.by_handle(tx, Handle(handle.name, domain))
        if actor is None or actor.state >= 2 or actor.name == actors.INSTANCE_ACTOR:
            raise NotFound("Record not found")
        return self.api.renderer.account(tx, actor)

    async def show(self, call: Call) -> Answer:
        """``GET /api/v1/accounts/{id}``"""
        return Answer(await self.api.database.read_fast(self._account, parse_id(call.params["id"])))

    def _account(self, tx: Tx, ident: Id) -> bytes:
        return self.api.renderer.account(tx, _known(tx, ident))

    async def several(self, call: Call) -> Answer:
        """``GET /api/v1/accounts?id[]=…``"""
        idents = [parse_id(text) for text in (await params(call)).texts("id")[:40]]

        def read(tx: Tx) -> list[msgspec.Raw]:
            found = actors.by_ids(tx, idents)
            shown = [found[i] for i in idents if i in found and found[i].state < 2]
            return self.api.renderer.accounts(tx, [a for a in shown if a.name != actors.INSTANCE_ACTOR])

        return json_answer(await self.api.database.read(read))

    async def statuses(self, call: Call) -> Answer:
        """``GET /api/v1/accounts/{id}/statuses``"""
        found = await params(call)
        page, ident, viewer = page_of(found), parse_id(call.params["id"]), call.me.id
        tag = normalise_hashtag(found.text("tagged").strip().removeprefix("#"))

        def read(tx: Tx) -> tuple[list[Id], list[bytes]]:
            author = _known(tx, ident)
            if found.flag("pinned"):
                idents = [post for _, post in interactions.mine(tx, author.id, Kind.PIN)]
            else:
                idents = posts.author_page(
                    tx, author.id, viewer, page, boosts=not found.flag("exclude_reblogs"),
                    replies=not found.flag("exclude_replies"), media_only=found.flag("only_media"), tag=tag,
                )  # fmt: skip
            return idents, self.api.renderer.visible_posts(tx, idents, viewer)

        idents, shown = await self.api.database.read(read)
        # Pins are few and come at once.
        return paged(self.api, call, [msgspec.Raw(part) for part in shown], [] if found.flag("pinned") else idents)

    async def followers(self, call: Call) -> Answer:
        """``GET /api/v1/accounts/{id}/followers``"""
        return await self._people(call, relation_store.followers)

    async def following(self, call: Call) -> Answer:
        """``GET /api/v1/accounts/{id}/following``"""
        return await self._people(call, relation_store.following)

    async def _people(self, call: Call, listing: Callable[..., list[tuple[Id, Actor]]]) -> Answer:
        page, ident = page_of(await params(call), limit=40, most=80), parse_id(call.params["id"])

        def read(tx: Tx) -> tuple[list[Id], list[msgspec.Raw]]:
            actor = _known(tx, ident)
            if actor.profile.hide_collections and actor.id != call.me.id:
                return [], []
            rows = listing(tx, actor.id, page)
            return [row[0] for row in rows], self.api.renderer.accounts(tx, [row[1] for row in rows])

        idents, people = await self.api.database.read(read)
        return paged(self.api, call, people, idents)

    async def mine(self, call: Call, listing: Callable[..., list[tuple[Id, Actor]]]) -> Answer:
        """``GET /api/v1/follow_requests`` and ``/api/v1/blocks``"""
        page = page_of(await params(call), limit=40, most=80)

        def read(tx: Tx) -> tuple[list[Id], list[msgspec.Raw]]:
            rows = listing(tx, call.me.id, page)
            return [row[0] for row in rows], self.api.renderer.accounts(tx, [row[1] for row in rows])

        idents, people = await self.api.database.read(read)
        return paged(self.api, call, people, idents)

    async def relationships(self, call: Call) -> Answer:
        """``GET /api/v1/accounts/relationships?id[]=…``"""
        idents = [parse_id(text) for text in (await params(call)).texts("id")[:80]]
        found = await self.api.database.read_fast(relation_store.relationships, call.me.id, idents)
        return json_answer([entities.relationship(found[i]) for i in idents if i in found])

    # Changes

    def changing(self, change: Callable[[Tx, Actor, Id, Params], None]) -> Handler:
        """A handler that changes how the viewer stands to an account, and answers with the relationship."""

        def write(tx: Tx, viewer: Id, ident: Id, found: Params) -> Relationship:
            _known(tx, ident)
            change(tx, own(tx, viewer), ident, found)
            return relation_store.relationships(tx, viewer, [ident])[ident]

        async def handler(call: Call) -> Answer:
            found, ident = await params(call), parse_id(call.params["id"])
            return json_answer(entities.relationship(await self.api.database.write(write, call.me.id, ident, found)))

        return handler

    def follow(self, tx: Tx, actor: Actor, ident: Id, found: Params) -> None:
        """``POST …/follow``"""
        relations.follow(
            tx, self.api.site, actor, ident, boosts=found.flag("reblogs") if "reblogs" in found else None,
            notify=found.flag("notify") if "notify" in found else None,
            languages=languages_of(found),
        )  # fmt: skip

    def unfollow(self, tx: Tx, actor: Actor, ident: Id, found: Params) -> None:
        """``POST …/unfollow``"""
        relations.unfollow(tx, actor, ident)

    def remove_follower(self, tx: Tx, actor: Actor, ident: Id, found: Params) -> None:
        """``POST …/remove_from_followers``"""
        relations.remove_follower(tx, actor, ident)

    def block(self, tx: Tx, actor: Actor, ident: Id, found: Params) -> None:
        """``POST …/block``"""
        relations.block(tx, self.api.site, actor, ident)

    def unblock(self, tx: Tx, actor: Actor, ident: Id, found: Params) -> None:
        """``POST …/unblock``"""
        relations.unblock(tx, actor, ident)

    def mute(self, tx: Tx, actor: Actor, ident: Id, found: Params) -> None:
        """``POST …/mute``"""
        seconds = found.number("duration", 0, most=10**9)
        expires = Millis(tx.now + 1000 * seconds) if seconds else None
        relations.mute(tx, actor, ident, notifications=found.flag("notifications", True), expires_at=expires)

    def unmute(self, tx: Tx, actor: Actor, ident: Id, found: Params) -> None:
        """``POST …/unmute``"""
        relations.unmute(tx, actor, ident)

    def authorize(self, tx: Tx, actor: Actor, ident: Id, found: Params) -> None:
        """``POST /api/v1/follow_requests/{id}/authorize``"""
        relations.answer_request(tx, actor, ident, True)

    def reject(self, tx: Tx, actor: Actor, ident: Id, found: Params) -> None:
        """``POST /api/v1/follow_requests/{id}/reject``"""
        relations.answer_request(tx, actor, ident, False)

    async def report(self, call: Call) -> Answer:
        """``POST /api/v1/reports``"""
        found = await params(call)
        target = found.ident("account_id")
        if target is None:
            raise BadInput("Validation failed: Account can't be blank", path="account_id")
        idents = [parse_id(text) for text in found.texts("status_ids")[:100]]
        comment, forward = clean_text(found.text("comment")), found.flag("forward")
        if len(comment) > MAX_COMMENT:
            sentence = f"Validation failed: Comment is too long (maximum is {MAX_COMMENT} characters)"
            raise BadInput(sentence, path="comment")
        rules = [parse_id(text) for text in found.texts("rule_ids")[:100]]
        kind = found.text("category") or ("violation" if rules else "other")
        if kind not in moderation.CATEGORIES:
            raise BadInput("Validation failed: Category is not included in the list", path="category")

        def write(tx: Tx, renderer: Renderer) -> ReportEntity | None:
            _known(tx, target)
            made = governance.report(tx, own(tx, call.me.id), target, idents, comment, forward)
            named = [rule.id for rule in notice_board.rules_by_ids(tx, rules)] if kind == "violation" else []
            moderation_store.classify(tx, made, kind, named)
            return report_entity(tx, renderer, made)

        return json_answer(await self.api.write_shown(write))


def _known(tx: Tx, ident: Id) -> Actor:
    actor = actors.by_id(tx, ident)
    if actor is None or actor.state >= 2 or actor.name == actors.INSTANCE_ACTOR:
        raise NotFound("Record not found")
    return actor


def languages_of(found: Params) -> list[str] | None:
    """The languages of a follow; None when the request does not speak of them. Raises `BadInput`."""
    if "languages" not in found:
        return None
    codes = list(dict.fromkeys(code for code in found.texts("languages") if code))
    if len(codes) > MAX_LANGUAGES or not all(LANGUAGE.match(code) for code in codes):
        raise BadInput("Validation failed: Languages contains an unsupported language", path="languages")
    return codes
