"""Mastodon's entities as its documentation describes them for 4.5, written by hand to hold our answers against.

A missing field or one of another type fails the decoding. What only other installations have (``fedishare``'s own
fields) is ignored by it, as by apps.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Number = Annotated[str, Meta(pattern=r"^[0-9]+\Z")]
"""An id: apps treat it as text, some as a number."""
Moment = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")]
Day = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\d\Z")]
Address = Annotated[str, Meta(pattern=r"^https?://[^\s]+\Z")]
Count = Annotated[int, Meta(ge=0)]


class Entity(msgspec.Struct, kw_only=True):
    """Fields that are not in the documentation are not looked at."""


class CustomEmoji(Entity):
    shortcode: str
    url: Address
    static_url: Address
    visible_in_picker: bool


class Field(Entity):
    name: str
    value: str
    verified_at: Moment | None


class AccountRole(Entity):
    id: str
    name: str
    color: str


class Account(Entity):
    id: Number
    username: str
    acct: str
    url: Address
    uri: Address
    display_name: str
    note: str
    avatar: Address
    avatar_static: Address
    avatar_description: str
    header: Address
    header_static: Address
    header_description: str
    locked: bool
    fields: list[Field]
    emojis: list[CustomEmoji]
    bot: bool
    group: bool
    discoverable: bool | None
    indexable: bool
    noindex: bool | None
    moved: Account | None
    suspended: bool
    limited: bool
    memorial: bool
    roles: list[AccountRole]
    created_at: Moment
    last_status_at: Day | None
    statuses_count: Count
    followers_count: Count
    following_count: Count
    hide_collections: bool | None


class Source(Entity):
    note: str
    fields: list[Field]
    privacy: Literal["public", "unlisted", "private", "direct"]
    sensitive: bool
    language: str | None
    follow_requests_count: Count
    hide_collections: bool | None
    discoverable: bool | None
    indexable: bool
    attribution_domains: list[str]
    quote_policy: Literal["public", "followers", "nobody"]


class Role(Entity):
    id: str
    name: str
    color: str
    permissions: str
    highlighted: bool


class CredentialAccount(Account):
    source: Source
    role: Role


class Mention(Entity):
    id: Number
    username: str
    url: Address
    acct: str


class Tag(Entity):
    name: str
    url: Address


class TagDay(Entity):
    day: Annotated[str, Meta(pattern=r"^[0-9]+\Z")]
    accounts: Annotated[str, Meta(pattern=r"^[0-9]+\Z")]
    uses: Annotated[str, Meta(pattern=r"^[0-9]+\Z")]


class FullTag(Tag):
    """A Tag where it is what was asked for."""

    id: Number
    history: Annotated[list[TagDay], Meta(min_length=7, max_length=7)]
    following: bool
    featuring: bool


class FeaturedTag(Entity):
    id: Number
    name: str
    url: Address
    statuses_count: Annotated[str, Meta(pattern=r"^[0-9]+\Z")]
    last_status_at: Day | None


class UserList(Entity):
    id: Number
    title: str
    replies_policy: Literal["followed", "list", "none"]
    exclusive: bool


class Marker(Entity):
    last_read_id: Number
    version: Count
    updated_at: Moment


class Application(Entity):
    name: str
    website: Address | None


class PollOption(Entity):
    title: str
    votes_count: Count | None


class Poll(Entity):
    id: Number
    expires_at: Moment | None
    expired: bool
    multiple: bool
    votes_count: Count
    voters_count: Count | None
    options: list[PollOption]
    emojis: list[CustomEmoji]
    voted: bool
    own_votes: list[int]


class MediaAttachment(Entity):
    id: str
    type: Literal["unknown", "image", "gifv", "video", "audio"]
    url: Address | None
    preview_url: Address | None
    remote_url: Address | None
    meta: dict[str, Any] | None
    description: str | None
    blurhash: str | None


class QuoteApproval(Entity):
    automatic: list[str]
    manual: list[str]
    current_user: Literal["automatic", "manual", "denied", "unknown"]


QuoteState = Literal[
    "pending", "accepted", "rejected", "revoked", "deleted", "unauthorized", "blocked_account", "blocked_domain",
    "muted_account",
]  # fmt: skip


class Quote(Entity):
    state: QuoteState
    quoted_status: QuotedStatus | None


class PreviewCardAuthor(Entity):
    name: str
    url: str
    account: Account | None


class PreviewCard(Entity):
    url: Address
    title: str
    description: str
    language: str | None
    type: Literal["link", "photo", "video", "rich"]
    authors: list[PreviewCardAuthor]
    author_name: str
    author_url: str
    provider_name: str
    provider_url: str
    html: str
    width: Count
    height: Count
    image: Address | None
    image_description: str
    embed_url: str
    blurhash: str | None
    published_at: Moment | None
    missing_attribution: bool


class DayOfUse(Entity):
    day: Number
    accounts: Number
    uses: Number


class TrendsLink(PreviewCard):
    history: list[DayOfUse]


class ScheduledPoll(Entity):
    options: list[str]
    expires_in: int
    multiple: bool
    hide_totals: bool


class ScheduledParams(Entity):
    text: str
    poll: ScheduledPoll | None
    media_ids: list[Number] | None
    sensitive: bool | None
    spoiler_text: str | None
    visibility: Literal["public", "unlisted", "private", "direct"] | None
    in_reply_to_id: int | None
    language: str | None
    application_id: int | None
    scheduled_at: None
    idempotency: str | None
    quoted_status_id: Number | None
    quote_approval_policy: Literal["public", "followers", "nobody"] | None
    with_rate_limit: bool


class ScheduledStatus(Entity):
    id: Number
    scheduled_at: Moment
    params: ScheduledParams
    media_attachments: list[MediaAttachment]


class ShallowQuote(Entity):
    state: QuoteState
    quoted_status_id: Number | None


class Status(Entity):
    id: Number
    uri: Address
    created_at: Moment
    account: Account
    content: str
    visibility: Literal["public", "unlisted", "private", "direct"]
    sensitive: bool
    spoiler_text: str
    media_attachments: list[MediaAttachment]
    application: Application | None
    mentions: list[Mention]
    tags: list[Tag]
    emojis: list[CustomEmoji]
    reblogs_count: Count
    favourites_count: Count
    replies_count: Count
    quotes_count: Count
    url: Address | None
    in_reply_to_id: Number | None
    in_reply_to_account_id: Number | None
    reblog: Status | None
    poll: Poll | None
    card: PreviewCard | None
    quote: Quote | None
    quote_approval: QuoteApproval
    language: str | None
    edited_at: Moment | None
    favourited: bool
    reblogged: bool
    muted: bool
    bookmarked: bool
    filtered: list[Any]
    pinned: bool = False


class QuotedStatus(Status):
    """What a status quotes: its own quote is only named."""

    quote: ShallowQuote | None  # type: ignore[assignment]


class StatusEdit(Entity):
    content: str
    spoiler_text: str
    sensitive: bool
    created_at: Moment
    account: Account
    media_attachments: list[MediaAttachment]
    emojis: list[CustomEmoji]
    poll: Any = None
    quote: Quote | None = None


class StatusSource(Entity):
    id: Number
    text: str
    spoiler_text: str


class Context(Entity):
    ancestors: list[Status]
    descendants: list[Status]


class Relationship(Entity):
    id: Number
    following: bool
    showing_reblogs: bool
    notifying: bool
    languages: list[str] | None
    followed_by: bool
    blocking: bool
    blocked_by: bool
    muting: bool
    muting_notifications: bool
    muting_expires_at: Moment | None
    requested: bool
    requested_by: bool
    domain_blocking: bool
    endorsed: bool
    note: str


class Notification(Entity):
    id: Number
    type: Literal["mention", "status", "reblog", "follow", "follow_request", "favourite", "poll", "update"]
    group_key: str
    created_at: Moment
    account: Account
    status: Status | None = None


class Search(Entity):
    accounts: list[Account]
    statuses: list[Status]
    hashtags: list[Tag]


class StatusLimits(Entity):
    max_characters: Count
    max_media_attachments: Count
    characters_reserved_per_url: Count


class PollLimits(Entity):
    max_options: Count
    max_characters_per_option: Count
    min_expiration: Count
    max_expiration: Count


class MediaLimits(Entity):
    supported_mime_types: list[str]
    description_limit: Count
    image_size_limit: Count
    image_matrix_limit: Count
    video_size_limit: Count
    video_frame_rate_limit: Count
    video_matrix_limit: Count


class Configuration(Entity):
    accounts: dict[str, Any]
    statuses: StatusLimits
    media_attachments: MediaLimits
    polls: PollLimits


class ConfigurationV2(Configuration):
    urls: dict[str, Any]
    vapid: dict[str, str]
    translation: dict[str, bool]
    limited_federation: bool


class Registrations(Entity):
    enabled: bool
    approval_required: bool
    reason_required: bool | None
    message: str | None
    min_age: int | None
    url: str | None


class Instance(Entity):
    domain: str
    title: str
    version: str
    source_url: Address
    description: str
    usage: dict[str, dict[str, int]]
    thumbnail: dict[str, Any]
    icon: list[Any]
    languages: list[str]
    configuration: ConfigurationV2
    registrations: Registrations
    api_versions: dict[str, int]
    contact: dict[str, Any]
    rules: list[Any]


class InstanceV1(Entity):
    uri: str
    title: str
    short_description: str
    description: str
    email: str
    version: str
    urls: dict[str, str]
    stats: dict[str, int]
    thumbnail: Address | None
    languages: list[str]
    registrations: bool
    approval_required: bool
    invites_enabled: bool
    configuration: Configuration
    contact_account: Account | None
    rules: list[Any]


VERSION = re.compile(r"4\.5\.[0-9]+ \(compatible; fedishare [0-9.]+\)\Z")


class AdminIp(Entity):
    ip: str
    used_at: Moment


class AdminAccount(Entity):
    id: Number
    username: str
    domain: str | None
    created_at: Moment
    email: str | None
    ip: str | None
    ips: list[AdminIp]
    locale: str | None
    invite_request: str | None
    role: Role | None
    confirmed: bool
    approved: bool
    disabled: bool
    silenced: bool
    suspended: bool
    sensitized: bool
    account: Account


class Rule(Entity):
    id: Number
    text: str
    hint: str
    translations: dict[str, dict[str, str]]


class AdminReport(Entity):
    id: Number
    action_taken: bool
    action_taken_at: Moment | None
    category: Literal["spam", "legal", "violation", "other"]
    comment: str
    forwarded: bool
    created_at: Moment
    updated_at: Moment
    account: AdminAccount
    target_account: AdminAccount
    assigned_account: AdminAccount | None
    action_taken_by_account: AdminAccount | None
    statuses: list[Status]
    rules: list[Rule]


class DomainAllow(Entity):
    id: Number
    domain: str
    created_at: Moment


class DomainBlock(Entity):
    id: Number
    domain: str
    digest: str
    created_at: Moment
    severity: Literal["silence", "suspend", "noop"]
    reject_media: bool
    reject_reports: bool
    private_comment: str | None
    public_comment: str | None
    obfuscate: bool


class MeasureDay(Entity):
    date: Moment
    value: Annotated[str, Meta(pattern=r"^[0-9]+\Z")]


class Measure(Entity):
    key: str
    unit: str | None
    total: str
    data: list[MeasureDay]
    previous_total: str | None = None


class Reaction(Entity):
    name: str
    count: Count
    me: bool
    url: Address | None = None
    static_url: Address | None = None


class Announcement(Entity):
    id: Number
    content: str
    starts_at: Moment | None
    ends_at: Moment | None
    published: bool
    all_day: bool
    published_at: Moment
    updated_at: Moment
    read: bool
    mentions: list[Any]
    statuses: list[Any]
    tags: list[Tag]
    emojis: list[CustomEmoji]
    reactions: list[Reaction]
