"""What apps ask before and around sign-in: the instance, its limits, the app itself, and small empty lists."""

from __future__ import annotations

from dataclasses import dataclass

from fedishare import __version__
from fedishare.api.http import Api
from fedishare.http.call import Answer, Call, json_answer
from fedishare.media.images import MAX_PIXELS
from fedishare.model.posts import MAX_POLL_SECONDS, MIN_POLL_SECONDS
from fedishare.services.media import MAX_DESCRIPTION
from fedishare.text import URL_CHARACTERS

MASTODON = "4.5.0"
VERSION = f"{MASTODON} (compatible; fedishare {__version__})"
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
class InstanceInfo:
    """The handlers."""

    api: Api

    def _configuration(self) -> dict[str, object]:
        site = self.api.site
        return {
            "accounts": {"max_featured_tags": 10, "max_pinned_statuses": site.max_pins},
            "statuses": {
                "max_characters": site.max_characters,
                "max_media_attachments": site.max_attachments,
                "characters_reserved_per_url": URL_CHARACTERS,
            },
            "media_attachments": {
                "supported_mime_types": [each.media_type for each in self.api.instance.studio.formats],
                "description_limit": MAX_DESCRIPTION,
                "image_size_limit": self.api.instance.config.media.max_bytes,
                "image_matrix_limit": MAX_PIXELS,
                "video_size_limit": self.api.instance.config.media.max_bytes,
                "video_frame_rate_limit": 120,
                "video_matrix_limit": 8294400,
            },
            "polls": {
                "max_options": site.max_poll_options,
                "max_characters_per_option": site.max_option_characters,
                "min_expiration": MIN_POLL_SECONDS,
                "max_expiration": MAX_POLL_SECONDS,
            },
            "translation": {"enabled": False},
            "limited_federation": True,
        }

    async def v2(self, call: Call) -> Answer:
        """``GET /api/v2/instance``: nothing about people or their number."""
        names, registration = self.api.site.names, self.api.instance.config.registration
        image = f"{names.origin}/headers/original/missing.svg"
        return json_answer(
            {
                "domain": names.domain,
                "title": names.domain,
                "version": VERSION,
                "source_url": f"{names.origin}/about",
                "description": "Short updates within the organization and with its partners.",
                "usage": {"users": {"active_month": 0}},
                "thumbnail": {"url": image, "blurhash": None, "versions": {}},
                "icon": [],
                "languages": ["en"],
                "configuration": {
                    "urls": {"streaming": names.origin.replace("http", "ws", 1)},
                    "vapid": {"public_key": ""},
                    **self._configuration(),
                },
                "registrations": {
                    "enabled": registration.mode != "closed",
                    "approval_required": registration.mode == "approval",
                    "reason_required": registration.mode == "approval",
                    "message": None,
                    "min_age": None,
                    "url": None,
                },
                "api_versions": {"mastodon": 7, "fedishare": 1},
                "contact": {"email": "", "account": None},
                "rules": [],
                "fedishare": {"default_reach": self.api.instance.config.posts.default_reach},
            }
        )  # fmt: skip

    async def v1(self, call: Call) -> Answer:
        """``GET /api/v1/instance``"""
        names, registration = self.api.site.names, self.api.instance.config.registration
        return json_answer(
            {
                "uri": names.domain,
                "title": names.domain,
                "short_description": "Short updates within the organization and with its partners.",
                "description": "",
                "email": "",
                "version": VERSION,
                "urls": {"streaming_api": names.origin.replace("http", "ws", 1)},
                "stats": {"user_count": 0, "status_count": 0, "domain_count": 0},
                "thumbnail": f"{names.origin}/headers/original/missing.svg",
                "languages": ["en"],
                "registrations": registration.mode != "closed",
                "approval_required": registration.mode == "approval",
                "invites_enabled": False,
                "configuration": self._configuration(),
                "contact_account": None,
                "rules": [],
            }
        )

    async def avatar(self, call: Call) -> Answer:
        """The picture of those that have none."""
        return Answer(_SVG, media_type=b"image/svg+xml")

    async def header(self, call: Call) -> Answer:
        """The banner of those that have none."""
        return Answer(_BANNER, media_type=b"image/svg+xml")

    async def nothing(self, call: Call) -> Answer:
        """An empty list, for what this instance has none of."""
        return json_answer([])
