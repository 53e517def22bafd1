"""Announcements and custom emoji: what the instance shows to everybody who is signed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

import msgspec

from fedishare.api import entities
from fedishare.api.http import Api, params, parse_id
from fedishare.api.links import Links
from fedishare.api.table import ANY_READ, OWN, Table
from fedishare.http.call import Answer, Call, json_answer
from fedishare.http.routes import Route
from fedishare.model.ids import Id
from fedishare.services import announcements, emojis
from fedishare.store import emojis as emoji_store
from fedishare.store import notice_board
from fedishare.store.db import Tx
from fedishare.store.emojis import CustomEmoji
from fedishare.store.notice_board import Announcement, Reaction
from fedishare.text import compose_html, normalise_hashtag, scan


class ReactionEntity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many said what to an announcement. The addresses are there for custom emoji only."""

    name: str
    count: int
    me: bool | msgspec.UnsetType = msgspec.UNSET
    url: str | None = None
    static_url: str | None = None
    announcement_id: str | msgspec.UnsetType = msgspec.UNSET


class EmojiEntity(msgspec.Struct, frozen=True, kw_only=True):
    """A custom emoji of this instance."""

    shortcode: str
    url: str
    static_url: str
    visible_in_picker: bool
    category: str | None


class AnnouncementEntity(msgspec.Struct, frozen=True, kw_only=True):
    """Something that everybody here should know."""

    id: str
    content: str
    starts_at: str | None
    ends_at: str | None
    published: bool
    all_day: bool
    published_at: str
    updated_at: str
    read: bool
    mentions: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    tags: tuple[entities.StatusTag, ...] = ()
    emojis: tuple[entities.CustomEmoji, ...] = ()
    reactions: tuple[ReactionEntity, ...] = ()


@dataclass(frozen=True, slots=True)
class Announcements:
    """The handlers."""

    api: Api

    async def several(self, call: Call) -> Answer:
        """``GET /api/v1/announcements``: those that one has not dismissed; with ``with_dismissed`` all."""
        everything = (await params(call)).flag("with_dismissed")

        def read(tx: Tx) -> list[AnnouncementEntity]:
            found = [each for each in notice_board.announcements(tx, call.me.id) if everything or not each.read]
            return self._shown(tx, found, call.me.id)

        return json_answer(await self.api.database.read(read))

    def _shown(self, tx: Tx, found: Sequence[Announcement], viewer: Id) -> list[AnnouncementEntity]:
        said = notice_board.reactions(tx, viewer, [each.id for each in found])
        return [self._entity(tx, each, said.get(each.id, [])) for each in found]

    def _entity(self, tx: Tx, found: Announcement, said: Sequence[Reaction]) -> AnnouncementEntity:
        site, links = self.api.site, self.api.renderer.links(tx)
        html = compose_html(found.text, mentions={}, hashtag_url=site.names.tag, development=site.development)
        used = emojis.used(tx, site, [found.text])
        tags = dict.fromkeys(normalise_hashtag(tag.name) for tag in scan(found.text).hashtags)
        pictures = {each.code: each for each in emoji_store.by_codes(tx, [each.name for each in said])} if said else {}
        return AnnouncementEntity(
            id=str(found.id), content=html, starts_at=entities.time_text(found.starts_at),
            ends_at=entities.time_text(found.ends_at), published=True, all_day=found.all_day,
            published_at=entities.instant(found.published_at), updated_at=entities.instant(found.updated_at),
            read=found.read, tags=tuple(entities.StatusTag(tag, site.names.tag(tag)) for tag in tags if tag),
            emojis=entities.emojis_of(used, lambda url: links.of_actor(Id(0), url)),
            reactions=tuple(self._reaction(links, each, pictures.get(each.name)) for each in said),
        )  # fmt: skip

    def _reaction(self, links: Links, said: Reaction, picture: CustomEmoji | None) -> ReactionEntity:
        url, still = self._addresses(links, picture) if picture else (None, None)
        return ReactionEntity(name=said.name, count=said.count, me=said.me, url=url, static_url=still)

    @staticmethod
    def _addresses(links: Links, picture: CustomEmoji) -> tuple[str, str]:
        return links.shared(f"/media/{picture.file}"), links.shared(f"/media/{picture.still}")

    async def dismiss(self, call: Call) -> Answer:
        """``POST /api/v1/announcements/{id}/dismiss``"""
        await self.api.database.write(announcements.dismiss, call.me.id, parse_id(call.params["id"]))
        return json_answer({})

    async def react(self, call: Call) -> Answer:
        """``PUT /api/v1/announcements/{id}/reactions/{name}``"""
        return await self._react(call, added=True)

    async def unreact(self, call: Call) -> Answer:
        """``DELETE /api/v1/announcements/{id}/reactions/{name}``"""
        return await self._react(call, added=False)

    async def _react(self, call: Call, *, added: bool) -> Answer:
        ident, name = parse_id(call.params["id"]), unquote(call.params["name"])
        await self.api.database.write(announcements.react, call.me.id, ident, name, added=added)
        return json_answer({})

    # Streams

    def event(self, tx: Tx, ident: Id, viewer: Id, reaction: str) -> bytes | None:
        """What a stream carries of an announcement, or of a reaction to it; None when it is gone."""
        found = notice_board.announcement(tx, viewer, ident)
        if found is None:
            return None
        if not reaction:
            return msgspec.json.encode(self._shown(tx, [found], viewer)[0])
        said = notice_board.reactions(tx, viewer, [ident]).get(ident, [])
        count = next((each.count for each in said if each.name == reaction), 0)
        picture = next(iter(emoji_store.by_codes(tx, [reaction])), None)
        url, still = self._addresses(self.api.renderer.links(tx), picture) if picture else (None, None)
        made = ReactionEntity(name=reaction, count=count, url=url, static_url=still, announcement_id=str(ident))
        return msgspec.json.encode(made)

    # Emoji

    async def emojis(self, call: Call) -> Answer:
        """``GET /api/v1/custom_emojis``"""

        def read(tx: Tx) -> list[EmojiEntity]:
            links = self.api.renderer.links(tx)
            found = []
            for each in emoji_store.all_emojis(tx):
                url, still = self._addresses(links, each)
                found.append(
                    EmojiEntity(shortcode=each.code, url=url, static_url=still, visible_in_picker=each.visible,
                                category=each.category)
                )  # fmt: skip
            return found

        return json_answer(await self.api.database.read(read))


def routes(api: Api, table: Table) -> list[Route]:
    """The lines of the registry."""
    found = Announcements(api)
    at = "/api/v1/announcements"
    reaction = f"{at}/{{id}}/reactions/{{name}}"
    return [
        table.line("GET", at, ANY_READ, found.several, OWN),
        table.line("POST", f"{at}/{{id}}/dismiss", "write:accounts", found.dismiss, OWN),
        table.line("PUT", reaction, "write:favourites", found.react, OWN),
        table.line("DELETE", reaction, "write:favourites", found.unreact, OWN),
        table.line("GET", "/api/v1/custom_emojis", ANY_READ, found.emojis, OWN),
    ]
