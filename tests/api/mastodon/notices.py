"""What people are told: notifications one by one and in groups, their policy, reports, announcements, push, markers."""

from __future__ import annotations

from typing import Literal

from tests.api.mastodon.accounts import Account, CustomEmoji, PartialAccount, Tag
from tests.api.mastodon.base import UNSET, Address, Count, Entity, Moment, Number, Unset
from tests.api.mastodon.statuses import Mention, Status

NotificationType = Literal[
    "mention", "status", "reblog", "follow", "follow_request", "favourite", "poll", "update", "admin.sign_up",
    "admin.report", "severed_relationships", "moderation_warning", "quote", "quoted_update",
]  # fmt: skip
Verdict = Literal["accept", "filter", "drop"]


class Report(Entity, kw_only=True):
    id: Number
    action_taken: bool
    action_taken_at: Moment | None
    category: Literal["spam", "legal", "violation", "other"]
    comment: str
    forwarded: bool
    created_at: Moment
    status_ids: list[Number] | None
    rule_ids: list[Number] | None
    target_account: Account


class RelationshipSeveranceEvent(Entity, kw_only=True):
    id: Number
    type: Literal["domain_block", "user_domain_block", "account_suspension"]
    purged: bool
    target_name: str
    followers_count: Count
    following_count: Count
    created_at: Moment


class Notification(Entity, kw_only=True):
    id: Number
    type: NotificationType
    group_key: str
    created_at: Moment
    account: Account
    status: Status | Unset = UNSET
    report: Report | Unset = UNSET
    event: RelationshipSeveranceEvent | Unset = UNSET
    # undocumented: it was asked for with include_filtered
    filtered: Literal[True] | Unset = UNSET


class NotificationGroup(Entity, kw_only=True):
    group_key: str
    notifications_count: Count
    type: NotificationType
    most_recent_notification_id: Count
    page_min_id: Number
    page_max_id: Number
    latest_page_notification_at: Moment
    sample_account_ids: list[Number]
    status_id: Number | Unset = UNSET
    report: Report | Unset = UNSET
    event: RelationshipSeveranceEvent | Unset = UNSET


class GroupedNotifications(Entity, kw_only=True):
    accounts: list[Account]
    partial_accounts: list[PartialAccount] | Unset = UNSET
    statuses: list[Status]
    notification_groups: list[NotificationGroup]


class Unread(Entity, kw_only=True):
    count: Count


class Waiting(Entity, kw_only=True):
    pending_requests_count: Count
    pending_notifications_count: Count


class NotificationPolicy(Entity, kw_only=True):
    for_not_following: Verdict
    for_not_followers: Verdict
    for_new_accounts: Verdict
    for_private_mentions: Verdict
    for_limited_accounts: Verdict
    summary: Waiting


class V1NotificationPolicy(Entity, kw_only=True):
    filter_not_following: bool
    filter_not_followers: bool
    filter_new_accounts: bool
    filter_private_mentions: bool
    summary: Waiting


class NotificationRequest(Entity, kw_only=True):
    id: Number
    created_at: Moment
    updated_at: Moment
    account: Account
    notifications_count: Number
    last_status: Status | None


class Merged(Entity, kw_only=True):
    merged: bool


class Marker(Entity, kw_only=True):
    last_read_id: Number
    version: Count
    updated_at: Moment


class Markers(Entity, kw_only=True):
    home: Marker | Unset = UNSET
    notifications: Marker | Unset = UNSET


class Reaction(Entity, kw_only=True):
    name: str
    count: Count
    me: bool
    url: Address | Unset = UNSET
    static_url: Address | Unset = UNSET


class AnnouncedStatus(Entity, kw_only=True):
    id: Number
    url: Address


class Announcement(Entity, kw_only=True):
    id: Number
    content: str
    starts_at: Moment | None
    ends_at: Moment | None
    published: bool
    all_day: bool
    published_at: Moment
    updated_at: Moment
    read: bool
    mentions: list[Mention]
    statuses: list[AnnouncedStatus]
    tags: list[Tag]
    emojis: list[CustomEmoji]
    reactions: list[Reaction]


class Alerts(Entity, kw_only=True, rename={"admin_sign_up": "admin.sign_up", "admin_report": "admin.report"}):
    mention: bool
    status: bool
    reblog: bool
    follow: bool
    follow_request: bool
    favourite: bool
    poll: bool
    update: bool
    quote: bool
    quoted_update: bool
    admin_sign_up: bool
    admin_report: bool


class WebPushSubscription(Entity, kw_only=True):
    id: Number
    endpoint: Address
    standard: bool
    server_key: str
    alerts: Alerts
    # undocumented
    policy: Literal["all", "followed", "follower", "none"]
