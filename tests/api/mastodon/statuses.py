"""Statuses and their parts: files, polls, cards, quotes, filters that fit; and posts for later."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from tests.api.mastodon.accounts import Account, CustomEmoji, FullTag, Tag
from tests.api.mastodon.base import UNSET, Address, Count, DayOfUse, Entity, Moment, Number, Unset, Visibility

QuotePolicy = Literal["public", "followers", "nobody"]
Groups = list[Literal["public", "followers", "following", "unsupported_policy"]]
QuoteState = Literal[
    "pending", "accepted", "rejected", "revoked", "deleted", "unauthorized", "blocked_account", "blocked_domain",
    "muted_account",
]  # fmt: skip
FilterAction = Literal["warn", "hide", "blur"]
FilterContext = Literal["home", "notifications", "public", "thread", "account"]


class Mention(Entity, kw_only=True):
    id: Number
    username: str
    url: Address
    acct: str


class StatusApplication(Entity, kw_only=True):
    name: str
    website: Address | None


class PollOption(Entity, kw_only=True):
    title: str
    votes_count: Count | None


class Poll(Entity, kw_only=True):
    id: Number
    expires_at: Moment | None
    expired: bool
    multiple: bool
    votes_count: Count
    voters_count: Count | None
    options: list[PollOption]
    emojis: list[CustomEmoji]
    voted: bool
    own_votes: list[Count]


Focal = Annotated[float, Meta(ge=-1, le=1)]


class Focus(Entity, kw_only=True):
    x: Focal
    y: Focal


class Size(Entity, kw_only=True):
    """Every part is there for pictures only."""

    width: Count | Unset = UNSET
    height: Count | Unset = UNSET
    size: str | Unset = UNSET
    aspect: float | Unset = UNSET
    frame_rate: str | Unset = UNSET
    duration: float | Unset = UNSET
    bitrate: Count | Unset = UNSET


class MediaMeta(Entity, kw_only=True):
    original: Size | Unset = UNSET
    small: Size | Unset = UNSET
    focus: Focus | Unset = UNSET
    length: str | Unset = UNSET
    duration: float | Unset = UNSET


class MediaAttachment(Entity, kw_only=True):
    id: Number
    type: Literal["unknown", "image", "gifv", "video", "audio"]
    url: Address | None
    preview_url: Address | None
    remote_url: Address | None
    meta: MediaMeta
    description: str | None
    blurhash: str | None
    # undocumented, or removed and read by old apps
    preview_remote_url: Address | None
    text_url: Address | None


class QuoteApproval(Entity, kw_only=True):
    automatic: Groups
    manual: Groups
    current_user: Literal["automatic", "manual", "denied", "unknown"]


class PreviewCardAuthor(Entity, kw_only=True):
    name: str
    url: str
    account: Account | None


class PreviewCard(Entity, kw_only=True):
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
    # undocumented
    missing_attribution: bool


class TrendsLink(PreviewCard, kw_only=True):
    history: list[DayOfUse]


class FilterShort(Entity, kw_only=True):
    """A filter inside what it found."""

    id: Number
    title: str
    context: list[FilterContext]
    expires_at: Moment | None
    filter_action: FilterAction


class FilterKeyword(Entity, kw_only=True):
    id: Number
    keyword: str
    whole_word: bool


class FilterStatus(Entity, kw_only=True):
    id: Number
    status_id: Number


class Filter(FilterShort, kw_only=True):
    keywords: list[FilterKeyword]
    statuses: list[FilterStatus]


class V1Filter(Entity, kw_only=True):
    id: Number
    phrase: str
    context: list[FilterContext]
    expires_at: Moment | None
    irreversible: bool
    whole_word: bool


class FilterResult(Entity, kw_only=True):
    filter: FilterShort
    keyword_matches: list[str] | None
    status_matches: list[Number] | None


class Unreached(Entity, kw_only=True):
    acct: str
    reason: str


class Notes(Entity, kw_only=True):
    """Ours: what became of a post that was meant otherwise."""

    unreached: list[Unreached]
    narrowed: list[str]


class StatusCore(Entity, kw_only=True):
    """All of a status but what it quotes."""

    id: Number
    uri: Address
    created_at: Moment
    account: Account
    content: str
    visibility: Visibility
    sensitive: bool
    spoiler_text: str
    media_attachments: list[MediaAttachment]
    application: StatusApplication | None
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
    quote_approval: QuoteApproval
    language: str | None
    edited_at: Moment | None
    favourited: bool
    reblogged: bool
    muted: bool
    bookmarked: bool
    filtered: list[FilterResult]
    pinned: bool | Unset = UNSET
    # ours
    reach: str | list[str]
    local_only: bool
    fedishare: Notes | Unset = UNSET


class Status(StatusCore, kw_only=True):
    quote: Quote | None


class QuotedStatus(StatusCore, kw_only=True):
    """What a status quotes: its own quote is only named."""

    quote: ShallowQuote | None


class Quote(Entity, kw_only=True):
    state: QuoteState
    quoted_status: QuotedStatus | None


class ShallowQuote(Entity, kw_only=True):
    state: QuoteState
    quoted_status_id: Number | None


class DeletedStatus(Status, kw_only=True):
    """With what was typed, to be written anew."""

    text: str


class AdminStatus(Status, kw_only=True):
    """Trends::Status, as moderators see it."""

    requires_review: bool


class EditedOption(Entity, kw_only=True):
    title: str


class EditedPoll(Entity, kw_only=True):
    options: list[EditedOption]


class StatusEdit(Entity, kw_only=True):
    content: str
    spoiler_text: str
    sensitive: bool
    created_at: Moment
    account: Account
    media_attachments: list[MediaAttachment]
    emojis: list[CustomEmoji]
    poll: EditedPoll | Unset = UNSET
    quote: Quote | Unset = UNSET


class StatusSource(Entity, kw_only=True):
    id: Number
    text: str
    spoiler_text: str


class Context(Entity, kw_only=True):
    ancestors: list[Status]
    descendants: list[Status]


class Conversation(Entity, kw_only=True):
    id: Number
    unread: bool
    accounts: list[Account]
    last_status: Status | None


class Search(Entity, kw_only=True):
    accounts: list[Account]
    statuses: list[Status]
    hashtags: list[FullTag]


class ScheduledPoll(Entity, kw_only=True):
    options: list[str]
    expires_in: Number
    multiple: bool
    hide_totals: bool


class ScheduledParams(Entity, kw_only=True):
    text: str
    poll: ScheduledPoll | None
    media_ids: list[Number] | None
    sensitive: bool | None
    spoiler_text: str | None
    visibility: Visibility | None
    in_reply_to_id: Count | None
    language: str | None
    application_id: Count | None
    scheduled_at: None
    idempotency: str | None
    with_rate_limit: bool
    quoted_status_id: Number | None
    quote_approval_policy: QuotePolicy | None
    # ours
    reach: str | list[str] | None
    local_only: bool | None


class Failed(Entity, kw_only=True):
    """Ours: why a post could not be published."""

    failed: str


class ScheduledStatus(Entity, kw_only=True):
    id: Number
    scheduled_at: Moment
    params: ScheduledParams
    media_attachments: list[MediaAttachment]
    # ours
    fedishare: Failed | Unset = UNSET
