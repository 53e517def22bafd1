"""What the instance says of itself: to apps before anybody signs in, and to its people.

Strangers hear what a sign-in or sign-up screen needs, and no number of anybody's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from fedishare import __version__
from fedishare.api import entities
from fedishare.api.admin_domains import digest_of
from fedishare.api.http import Api
from fedishare.api.instance_texts import Document, InstanceTexts, Rule, read_texts, rule_entity, terms_entity
from fedishare.api.table import ANY_READ, OWN, Table
from fedishare.http.call import Answer, Call, json_answer
from fedishare.http.routes import Route
from fedishare.media.images import MAX_PIXELS
from fedishare.model.errors import NotFound
from fedishare.model.ids import Handle, Millis, id_at
from fedishare.model.posts import MAX_POLL_SECONDS, MIN_POLL_SECONDS
from fedishare.services import domains
from fedishare.services.media import MAX_DESCRIPTION
from fedishare.store import actors, measures, notice_board, posts
from fedishare.store.db import Tx
from fedishare.text import URL_CHARACTERS

MASTODON = "4.5.0"
VERSION = f"{MASTODON} (compatible; fedishare {__version__})"
WEEK = 7 * 86400_000
WEEKS = 12
MONTH = 30 * 86400_000
_LANGUAGES = {
    "ar": "العربية", "bg": "Български", "cs": "Čeština", "da": "Dansk", "de": "Deutsch", "el": "Ελληνικά",
    "en": "English", "es": "Español", "et": "Eesti", "fi": "Suomi", "fr": "Français", "he": "עברית", "hi": "हिन्दी",
    "hr": "Hrvatski", "hu": "Magyar", "it": "Italiano", "ja": "日本語", "ko": "한국어", "lt": "Lietuvių",
    "lv": "Latviešu", "nl": "Nederlands", "no": "Norsk", "pl": "Polski", "pt": "Português", "ro": "Română",
    "ru": "Русский", "sk": "Slovenčina", "sl": "Slovenščina", "sv": "Svenska", "tr": "Türkçe", "uk": "Українська",
    "vi": "Tiếng Việt", "zh": "中文",
}  # fmt: skip
_SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><rect width="64" height="64" fill="#dde3ea"/>'
    b'<circle cx="32" cy="24" r="11" fill="#8a99a8"/>'
    b'<path d="M10 60c2-15 11-21 22-21s20 6 22 21z" fill="#8a99a8"/></svg>'
)
_BANNER = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1500 500">'
    b'<rect width="1500" height="500" fill="#dde3ea"/></svg>'
)


@dataclass(frozen=True, slots=True)
class Numbers:
    """How much is going on; zeros for strangers."""

    people: int = 0
    active: int = 0
    posts: int = 0
    domains: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """What the database adds to the configuration."""

    rules: list[Rule]
    contact: msgspec.Raw | None
    numbers: Numbers


class DomainBlock(msgspec.Struct, frozen=True):
    """A blocked domain, as the people here see it."""

    domain: str
    digest: str
    severity: str
    comment: str


class InstanceInfo:
    """The handlers."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self._config = api.instance.config
        self._texts: InstanceTexts = read_texts(self._config)

    # Descriptions

    async def _facts(self, call: Call) -> Facts:
        viewer = await self.api.authenticate(call)
        return await self.api.database.read(self._read, viewer is not None)

    def _read(self, tx: Tx, member: bool) -> Facts:
        rules = [rule_entity(rule) for rule in notice_board.rules(tx)]
        if not member:
            return Facts(rules, None, Numbers())
        numbers = Numbers(
            actors.local_count(tx), actors.active_count(tx, Millis(tx.now - MONTH)), posts.local_count(tx),
            len(self.api.instance.guard.policy.partners),
        )  # fmt: skip
        return Facts(rules, self._contact(tx), numbers)

    def _contact(self, tx: Tx) -> msgspec.Raw | None:
        name = self._config.instance.contact_account.removeprefix("@")
        found = actors.by_handle(tx, Handle(name)) if name else None
        if found is None or not found.is_local or found.state >= 2 or found.name == actors.INSTANCE_ACTOR:
            return None
        return msgspec.Raw(self.api.renderer.account(tx, found))

    def _configuration(self) -> dict[str, object]:
        site, media = self.api.site, self._config.media
        return {
            "accounts": {
                "max_featured_tags": 10, "max_pinned_statuses": site.max_pins, "max_profile_fields": 4,
                "profile_field_name_limit": 255, "profile_field_value_limit": 255, "max_display_name_length": 30,
                "max_note_length": 500, "max_avatar_description_length": MAX_DESCRIPTION,
                "max_header_description_length": MAX_DESCRIPTION,
            },
            "statuses": {
                "max_characters": site.max_characters,
                "max_media_attachments": site.max_attachments,
                "characters_reserved_per_url": URL_CHARACTERS,
            },
            "media_attachments": {
                "supported_mime_types": [each.media_type for each in self.api.instance.studio.formats],
                "description_limit": MAX_DESCRIPTION, "image_size_limit": media.max_bytes,
                "image_matrix_limit": MAX_PIXELS, "video_size_limit": media.max_bytes,
                "video_frame_rate_limit": 120, "video_matrix_limit": 8294400,
            },
            "polls": {
                "max_options": site.max_poll_options, "max_characters_per_option": site.max_option_characters,
                "min_expiration": MIN_POLL_SECONDS, "max_expiration": MAX_POLL_SECONDS,
            },
        }  # fmt: skip

    def _urls(self) -> dict[str, object]:
        origin, texts = self.api.site.names.origin, self._texts
        return {
            "streaming": origin.replace("http", "ws", 1),
            "status": None,
            "about": f"{origin}/about",
            "privacy_policy": f"{origin}/api/v1/instance/privacy_policy" if texts.privacy else None,
            "terms_of_service": f"{origin}/api/v1/instance/terms_of_service" if texts.terms else None,
        }

    def _registrations(self) -> dict[str, object]:
        settings = self._config.registration
        return {
            "enabled": settings.mode != "closed",
            "approval_required": settings.mode == "approval",
            "reason_required": settings.mode == "approval" and settings.require_reason,
            "message": None,
            "min_age": settings.min_age,
            "url": None,
        }

    async def v2(self, call: Call) -> Answer:
        """``GET /api/v2/instance``"""
        facts, names, settings = await self._facts(call), self.api.site.names, self._config.instance
        image = f"{names.origin}/headers/original/missing.svg"
        configuration: dict[str, object] = {
            **self._configuration(), "urls": self._urls(), "vapid": {"public_key": self.api.sender.public_key},
            "translation": {"enabled": False},
            "timelines_access": {
                name: {"local": "authenticated", "remote": "authenticated"}
                for name in ("live_feeds", "hashtag_feeds", "trending_link_feeds")
            },
            "limited_federation": True,
        }  # fmt: skip
        return json_answer(
            {
                "domain": names.domain,
                "title": settings.title or names.domain,
                "version": VERSION,
                "source_url": f"{names.origin}/about",
                "description": settings.description,
                "usage": {"users": {"active_month": facts.numbers.active}},
                "thumbnail": {"url": image, "versions": {"@1x": image, "@2x": image}, "description": ""},
                "icon": [{"src": f"{names.origin}/avatars/original/missing.svg", "size": "64x64"}],
                "languages": settings.languages,
                "configuration": configuration,
                "registrations": self._registrations(),
                "api_versions": {"mastodon": 7, "fedishare": 1},
                "contact": {"email": settings.contact_email, "account": facts.contact},
                "rules": facts.rules,
                "fedishare": {"default_reach": self._config.posts.default_reach},
            }
        )  # fmt: skip

    async def v1(self, call: Call) -> Answer:
        """``GET /api/v1/instance``"""
        facts, names, settings = await self._facts(call), self.api.site.names, self._config.instance
        registration, numbers = self._config.registration, facts.numbers
        return json_answer(
            {
                "uri": names.domain,
                "title": settings.title or names.domain,
                "short_description": settings.description,
                "description": self._texts.description.content if self._texts.description else "",
                "email": settings.contact_email,
                "version": VERSION,
                "urls": {"streaming_api": names.origin.replace("http", "ws", 1)},
                "stats": {
                    "user_count": numbers.people, "status_count": numbers.posts, "domain_count": numbers.domains,
                },
                "thumbnail": f"{names.origin}/headers/original/missing.svg",
                "languages": settings.languages,
                "registrations": registration.mode != "closed",
                "approval_required": registration.mode == "approval",
                "invites_enabled": False,
                "configuration": self._configuration(),
                "contact_account": facts.contact,
                "rules": facts.rules,
            }
        )  # fmt: skip

    async def avatar(self, call: Call) -> Answer:
        """The picture of those that have none."""
        return Answer(_SVG, media_type=b"image/svg+xml")

    async def header(self, call: Call) -> Answer:
        """The banner of those that have none."""
        return Answer(_BANNER, media_type=b"image/svg+xml")

    # Texts

    async def rules(self, call: Call) -> Answer:
        """``GET /api/v1/instance/rules``"""
        found = await self.api.database.read(notice_board.rules)
        return json_answer([rule_entity(rule) for rule in found])

    async def extended_description(self, call: Call) -> Answer:
        """``GET /api/v1/instance/extended_description``"""
        return json_answer(self._texts.description or await self.api.database.read(_nothing_yet))

    async def privacy_policy(self, call: Call) -> Answer:
        """``GET /api/v1/instance/privacy_policy``"""
        return json_answer(self._texts.privacy or await self.api.database.read(_nothing_yet))

    async def terms(self, call: Call) -> Answer:
        """``GET /api/v1/instance/terms_of_service`` and ``…/{date}``"""
        found = terms_entity(self._texts, self.api.instance.clock())
        if found is None or call.params.get("date", found.effective_date) != found.effective_date:
            raise NotFound("Record not found")
        return json_answer(found)

    async def languages(self, call: Call) -> Answer:
        """``GET /api/v1/instance/languages``"""
        return json_answer([{"code": code, "name": name} for code, name in _LANGUAGES.items()])

    # For the people here

    async def peers(self, call: Call) -> Answer:
        """``GET /api/v1/instance/peers``: empty unless [instance] peers is on."""
        known = self.api.instance.guard.policy.partners if self._config.instance.peers else ()
        return json_answer(sorted(partner.domain for partner in known if domains.is_allowed(partner)))

    async def domain_blocks(self, call: Call) -> Answer:
        """``GET /api/v1/instance/domain_blocks``: 404 unless [instance] domain_blocks is on."""
        if not self._config.instance.domain_blocks:
            raise NotFound("Record not found")
        blocked = [(p, domains.block_of(p)) for p in self.api.instance.guard.policy.partners]
        found = [DomainBlock(p.domain, digest_of(p.domain), block.severity, "") for p, block in blocked if block]
        return json_answer(found)

    async def activity(self, call: Call) -> Answer:
        """``GET /api/v1/instance/activity``: the last twelve weeks. 404 when [instance] activity is off."""
        if not self._config.instance.activity:
            raise NotFound("Record not found")
        return json_answer(await self.api.database.read(_weeks))


def _nothing_yet(tx: Tx) -> Document:
    """Instead of a text that nobody has written: empty since there is an instance."""
    born = actors.by_handle(tx, Handle(actors.INSTANCE_ACTOR))
    return Document(entities.instant(born.created_at if born is not None else Millis(0)), "")


def _weeks(tx: Tx) -> list[Mapping[str, str]]:
    # Weeks begin on Mondays; 1970 began on a Thursday.
    monday = (tx.now - 4 * 86400_000) // WEEK * WEEK + 4 * 86400_000
    found: list[Mapping[str, str]] = []
    for start in range(monday, monday - WEEKS * WEEK, -WEEK):
        begin, end = Millis(start), Millis(start + WEEK)
        statuses, new = measures.week(tx, id_at(begin), id_at(end))
        logins = measures.active_people(tx, begin, end)
        found.append(
            {"week": str(start // 1000), "statuses": str(statuses), "logins": str(logins), "registrations": str(new)}
        )
    return found


def routes(api: Api, table: Table) -> list[Route]:
    """The lines of the registry."""
    info = InstanceInfo(api)
    at = "/api/v1/instance"
    return [
        table.described(at, info.v1),
        table.described("/api/v2/instance", info.v2),
        table.described("/avatars/original/missing.svg", info.avatar),
        table.described("/headers/original/missing.svg", info.header),
        table.described(f"{at}/rules", info.rules),
        table.described(f"{at}/extended_description", info.extended_description),
        table.described(f"{at}/privacy_policy", info.privacy_policy),
        table.described(f"{at}/terms_of_service", info.terms),
        table.described(f"{at}/terms_of_service/{{date}}", info.terms),
        table.described(f"{at}/languages", info.languages),
        table.line("GET", f"{at}/peers", ANY_READ, info.peers, OWN),
        table.line("GET", f"{at}/domain_blocks", ANY_READ, info.domain_blocks, OWN),
        table.line("GET", f"{at}/activity", ANY_READ, info.activity, OWN),
    ]
