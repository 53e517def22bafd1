"""What an instance says of itself."""

from __future__ import annotations

from typing import Literal

from tests.api.mastodon.accounts import Account
from tests.api.mastodon.base import UNSET, Address, Count, Day, Entity, Moment, Number, Unset


class RuleText(Entity, kw_only=True):
    text: str
    hint: str


class Rule(Entity, kw_only=True):
    id: Number
    text: str
    hint: str
    translations: dict[str, RuleText]


class AccountLimits(Entity, kw_only=True):
    max_featured_tags: Count
    max_pinned_statuses: Count
    # undocumented in 4.5
    max_profile_fields: Count
    profile_field_name_limit: Count
    profile_field_value_limit: Count
    max_display_name_length: Count
    max_note_length: Count
    max_avatar_description_length: Count
    max_header_description_length: Count


class StatusLimits(Entity, kw_only=True):
    max_characters: Count
    max_media_attachments: Count
    characters_reserved_per_url: Count


class MediaLimits(Entity, kw_only=True):
    supported_mime_types: list[str]
    description_limit: Count
    image_size_limit: Count
    image_matrix_limit: Count
    video_size_limit: Count
    video_frame_rate_limit: Count
    video_matrix_limit: Count


class PollLimits(Entity, kw_only=True):
    max_options: Count
    max_characters_per_option: Count
    min_expiration: Count
    max_expiration: Count


class Translating(Entity, kw_only=True):
    enabled: bool


class Feed(Entity, kw_only=True):
    local: Literal["public", "authenticated", "disabled"]
    remote: Literal["public", "authenticated", "disabled"]


class Access(Entity, kw_only=True):
    live_feeds: Feed
    hashtag_feeds: Feed
    trending_link_feeds: Feed


class V1Configuration(Entity, kw_only=True):
    accounts: AccountLimits
    statuses: StatusLimits
    media_attachments: MediaLimits
    polls: PollLimits


class Urls(Entity, kw_only=True):
    streaming: str
    status: Address | None
    about: Address
    privacy_policy: Address | None
    terms_of_service: Address | None


class Vapid(Entity, kw_only=True):
    public_key: str


class Configuration(V1Configuration, kw_only=True):
    urls: Urls
    vapid: Vapid
    translation: Translating
    timelines_access: Access
    limited_federation: bool


class Registrations(Entity, kw_only=True):
    enabled: bool
    approval_required: bool
    reason_required: bool | None
    message: str | None
    min_age: Count | None
    url: Address | None


class ActiveUsers(Entity, kw_only=True):
    active_month: Count


class Usage(Entity, kw_only=True):
    users: ActiveUsers


class ThumbnailVersions(Entity, kw_only=True, rename={"once": "@1x", "twice": "@2x"}):
    once: Address | Unset = UNSET
    twice: Address | Unset = UNSET


class Thumbnail(Entity, kw_only=True):
    url: Address
    blurhash: str | Unset = UNSET
    versions: ThumbnailVersions | Unset = UNSET
    description: str


class Icon(Entity, kw_only=True):
    src: Address
    size: str


class ApiVersions(Entity, kw_only=True):
    mastodon: Count
    # ours
    fedishare: Count


class Contact(Entity, kw_only=True):
    email: str
    account: Account | None


class Defaults(Entity, kw_only=True):
    """Ours."""

    default_reach: str | list[str]


class Instance(Entity, kw_only=True):
    domain: str
    title: str
    version: str
    source_url: Address
    description: str
    usage: Usage
    thumbnail: Thumbnail
    icon: list[Icon]
    languages: list[str]
    configuration: Configuration
    registrations: Registrations
    api_versions: ApiVersions
    contact: Contact
    rules: list[Rule]
    # ours
    fedishare: Defaults


class V1Urls(Entity, kw_only=True):
    streaming_api: str


class Stats(Entity, kw_only=True):
    user_count: Count
    status_count: Count
    domain_count: Count


class InstanceV1(Entity, kw_only=True):
    uri: str
    title: str
    short_description: str
    description: str
    email: str
    version: str
    urls: V1Urls
    stats: Stats
    thumbnail: Address | None
    languages: list[str]
    registrations: bool
    approval_required: bool
    invites_enabled: bool
    configuration: V1Configuration
    contact_account: Account | None
    rules: list[Rule]


class ExtendedDescription(Entity, kw_only=True):
    updated_at: Moment
    content: str


class PrivacyPolicy(Entity, kw_only=True):
    updated_at: Moment
    content: str


class TermsOfService(Entity, kw_only=True):
    effective_date: Day
    effective: bool
    content: str
    succeeded_by: Day | None


class Week(Entity, kw_only=True):
    week: Number
    statuses: Number
    logins: Number
    registrations: Number


class BlockedDomain(Entity, kw_only=True):
    """The DomainBlock that everybody sees."""

    domain: str
    digest: str
    severity: Literal["silence", "suspend"]
    comment: str | None


class Language(Entity, kw_only=True):
    code: str
    name: str
