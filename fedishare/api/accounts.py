"""Accounts: one's own, others', and how one stands to them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from fedishare.activitypub import resolver
from fedishare.api import entities
from fedishare.api.http import Api, Params, Preferences, page_of, paged, params, parse_id, streamed
from fedishare.api.rendering import Renderer
from fedishare.api.statuses import handle_of, own
from fedishare.api.uploads import file_of, profile_picture, too_large
from fedishare.http.call import Answer, Call, json_answer
from fedishare.http.routes import Handler
from fedishare.model.actors import Actor, ActorKind, Field, Image, Profile, Relationship
from fedishare.model.errors import BadInput, FedishareError, NotFound, TooLarge
from fedishare.model.ids import Handle, Id, Millis
from fedishare.model.media import Kept
from fedishare.model.posts import Visibility
from fedishare.services import accounts as account_services
from fedishare.services import governance, media, relations
from fedishare.services.media import check_description
from fedishare.store import actors, credentials, interactions, posts
from fedishare.store import relations as relation_store
from fedishare.store.db import Tx
from fedishare.store.interactions import Kind
from fedishare.text import clean_text, compose_html

MAX_NAME, MAX_NOTE, MAX_FIELDS, MAX_FIELD = 30, 500, 4, 255
PICTURES = ("avatar", "header")
MAX_LANGUAGES = 50
LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8}){0,4}\Z")
ROLE_BITS = {"admin": "1", "moderator": "16", "operator": "0", "security": "0", "auditor": "0", "member": "0"}


@dataclass(frozen=True, slots=True)
class Accounts:
    """The handlers."""

    api: Api

    # One's own

    async def verify(self, call: Call) -> Answer:
        """``GET /api/v1/accounts/verify_credentials``"""
        return json_answer(await self.api.database.read(self._own, call.me.id))

    def _own(self, tx: Tx, viewer: Id) -> entities.CredentialAccount:
        actor, kept = own(tx, viewer), credentials.get(tx, viewer)
        if kept is None:
            raise NotFound("Record not found")
        chosen = msgspec.json.decode(kept.settings, type=Preferences)
        site, profile = self.api.site, actor.profile
        source = entities.Source(
            note=profile.source,
            fields=entities.fields_of(profile.fields),
            privacy=chosen.privacy or site.default_visibility.word, sensitive=chosen.sensitive,
            language=chosen.language, hide_collections=profile.hide_collections, discoverable=profile.discoverable,
            indexable=profile.indexable, reach=entities.reach_of(site.default_reach),
            follow_requests_count=len(relation_store.followers(tx, viewer, pending=True)),
        )  # fmt: skip
        role = entities.Role(id=kept.role.value, name=kept.role.value, permissions=ROLE_BITS[kept.role.value])
        account = entities.account(actor, self.api.renderer.links(tx))
        return entities.CredentialAccount(**msgspec.structs.asdict(account), source=source, role=role)

    async def update(self, call: Call) -> Answer:
        """``PATCH /api/v1/accounts/update_credentials``"""
        studio, largest = self.api.instance.studio, self.api.instance.config.media.max_bytes
        pictures: dict[str, Kept] = {}
        try:
            async with streamed(call, self.max_body) as found:
                for name in PICTURES:
                    source = file_of(found, name, largest)
                    if source is not None:
                        pictures[name] = await profile_picture(studio, source, name)
                answer = await self.api.database.write(self._update, call.me.id, found, pictures)
        except FedishareError as error:
            await studio.remove([kept.name for kept in pictures.values()])
            raise too_large(largest) if isinstance(error, TooLarge) else error from None
        return json_answer(answer)

    @property
    def max_body(self) -> int:
        """Bytes of a request with both pictures."""
        return 2 * self.api.instance.config.media.max_bytes + self.api.instance.config.limits.api_bytes

    def _update(self, tx: Tx, viewer: Id, found: Params, pictures: dict[str, Kept]) -> entities.CredentialAccount:
        actor = own(tx, viewer)
        profile = self._pictured(tx, actor, found, pictures)
        name, note = clean_text(found.text("display_name", profile.display_name)), profile.source
        if len(name) > MAX_NAME:
            raise BadInput(f"Validation failed: Display name is longer than {MAX_NAME} characters", path="display_name")
        if "note" in found:
            note = clean_text(found.text("note"))
            if len(note) > MAX_NOTE:
                raise BadInput(f"Validation failed: Note is longer than {MAX_NOTE} characters", path="note")
        names = self.api.site.names
        profile = replace(
            profile, display_name=name, source=note,
            summary=compose_html(note, mentions={}, hashtag_url=names.tag, development=self.api.site.development),
            locked=found.flag("locked", profile.locked), discoverable=found.flag("discoverable", profile.discoverable),
            indexable=found.flag("indexable", profile.indexable),
            hide_collections=found.flag("hide_collections", profile.hide_collections),
            fields=self._fields(found) if "fields_attributes" in found else profile.fields,
        )  # fmt: skip
        bot = found.flag("bot", actor.kind.is_bot)
        kind = actor.kind if bot == actor.kind.is_bot else (ActorKind.SERVICE if bot else ActorKind.PERSON)
        account_services.update_profile(tx, actor, profile, kind)
        self._choose(tx, viewer, found.section("source"))
        return self._own(tx, viewer)

    def _pictured(self, tx: Tx, actor: Actor, found: Params, pictures: dict[str, Kept]) -> Profile:
        """The profile with new pictures, and with what is said about them."""
        profile = actor.profile
        made: dict[str, Any] = {}
        for name in PICTURES:
            before: Image | None = getattr(profile, name)
            said = f"{name}_description"
            description = check_description(clean_text(found.text(said))) if said in found else None
            if name in pictures:
                made[name] = media.picture(tx, self.api.site, actor, before, pictures[name], description)
            elif said in found and before is not None:
                made[name] = replace(before, description=description)
        return replace(profile, **made)

    async def without_avatar(self, call: Call) -> Answer:
        """``DELETE /api/v1/profile/avatar``"""
        return json_answer(await self.api.database.write(self._without, call.me.id, "avatar"))

    async def without_header(self, call: Call) -> Answer:
        """``DELETE /api/v1/profile/header``"""
        return json_answer(await self.api.database.write(self._without, call.me.id, "header"))

    def _without(self, tx: Tx, viewer: Id, name: str) -> entities.CredentialAccount:
        actor = own(tx, viewer)
        before: Image | None = getattr(actor.profile, name)
        if before is not None:
            media.drop_picture(tx, self.api.site, before)
            gone: dict[str, Any] = {name: None}
            account_services.update_profile(tx, actor, replace(actor.profile, **gone), actor.kind)
        return self._own(tx, viewer)

    def _fields(self, found: Params) -> tuple[Field, ...]:
        given = found.raw("fields_attributes")
        rows = list(given.values()) if isinstance(given, dict) else given if isinstance(given, list) else [given]
        if len(rows) > MAX_FIELDS or not all(isinstance(row, dict) for row in rows):
            raise BadInput(f"Validation failed: at most {MAX_FIELDS} fields, each with name and value", path="fields")
        fields = []
        for row in map(Params, rows):
            name, value = clean_text(row.text("name"))[:MAX_FIELD], clean_text(row.text("value"))[:MAX_FIELD]
            if name.strip():
                html = compose_html(value, mentions={}, hashtag_url=self.api.site.names.tag)
                fields.append(Field(name, html.removeprefix("<p>").removesuffix("</p>")))
        return tuple(fields)

    def _choose(self, tx: Tx, viewer: Id, source: Params | None) -> None:
        kept = credentials.get(tx, viewer)
        if source is None or kept is None:
            return
        chosen = msgspec.json.decode(kept.settings, type=Preferences)
        privacy = source.text("privacy", chosen.privacy)
        if privacy and Visibility.from_word(privacy) is None:
            raise BadInput("Validation failed: Privacy is not included in the list", path="source.privacy")
        made = Preferences(
            privacy, source.flag("sensitive", chosen.sensitive), source.text("language") or chosen.language
        )
        credentials.set_settings(tx, viewer, msgspec.json.encode(made).decode())

    async def preferences(self, call: Call) -> Answer:
        """``GET /api/v1/preferences``"""
        mine = await self.api.database.read(self._own, call.me.id)
        return json_answer(
            {
                "posting:default:visibility": mine.source.privacy,
                "posting:default:sensitive": mine.source.sensitive,
                "posting:default:language": mine.source.language,
                "posting:default:quote_policy": "nobody",
                "reading:expand:media": "default",
                "reading:expand:spoilers": False,
                "reading:autoplay:gifs": False,
            }
        )

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

    async def search(self, call: Call) -> Answer:
        """``GET /api/v1/accounts/search``"""
        found = await params(call)
        text, limit = found.text("q").strip(), found.number("limit", 40, least=1, most=80)
        if found.flag("resolve") and "@" in text.removeprefix("@"):
            whom = await resolve_quietly(self.api, text)
            text = str(whom.handle) if isinstance(whom, Actor) else text
        people = await self.api.database.read(self._search, text, limit, found.number("offset", 0, most=10_000))
        return json_answer(people)

    def _search(self, tx: Tx, text: str, limit: int, skip: int) -> list[msgspec.Raw]:
        return self.api.renderer.accounts(tx, search_people(tx, self.api, text, limit, skip))

    async def statuses(self, call: Call) -> Answer:
        """``GET /api/v1/accounts/{id}/statuses``"""
        found = await params(call)
        page, ident, viewer = page_of(found), parse_id(call.params["id"]), call.me.id
        tag = found.text("tagged")

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
        comment, forward = clean_text(found.text("comment"))[:1000], found.flag("forward")

        def write(tx: Tx, renderer: Renderer) -> tuple[Id, bytes]:
            known = _known(tx, target)
            made = governance.report(tx, own(tx, call.me.id), target, idents, comment, forward)
            return made, renderer.account(tx, known)

        made, account = await self.api.write_shown(write)
        return json_answer(
            {
                "id": str(made), "action_taken": False, "action_taken_at": None, "category": "other",
                "comment": comment, "forwarded": forward, "created_at": entities.instant(self.api.instance.clock()),
                "status_ids": [str(i) for i in idents], "rule_ids": None, "target_account": msgspec.Raw(account),
            }
        )  # fmt: skip


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


def search_people(tx: Tx, api: Api, text: str, limit: int, skip: int) -> list[Actor]:
    """Known people: by whole handle first, else by the beginning of a name or within a profile."""
    if not text:
        return []
    if "@" in text.removeprefix("@"):
        try:
            handle = Handle.parse(text, development=api.site.development)
        except BadInput:
            return []
        domain = None if handle.domain == api.site.names.domain else handle.domain
        found = actors.by_handle(tx, Handle(handle.name, domain))
        return [found] if found is not None and found.state < 2 else []
    return actors.search(tx, text, limit, skip)


async def resolve_quietly(api: Api, text: str) -> Actor | FedishareError:
    """Whose handle it is, asked at its partner; it may be known here by another one (a split domain).

    The error, if it cannot be told, is for the caller to show.
    """
    try:
        return await resolver.resolve_handle(api.federation, Handle.parse(text, development=api.site.development))
    except FedishareError as error:
        return error
