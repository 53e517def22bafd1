"""What moderators see."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from tests.api.mastodon.accounts import Account, FullTag, Role
from tests.api.mastodon.base import UNSET, DayOfUse, Entity, Moment, Number, Unset
from tests.api.mastodon.instance import Rule
from tests.api.mastodon.statuses import Status, TrendsLink


class AdminIp(Entity, kw_only=True):
    ip: str
    used_at: Moment


class AdminAccount(Entity, kw_only=True):
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
    created_by_application_id: Number | Unset = UNSET
    invited_by_account_id: Number | Unset = UNSET


class AdminReport(Entity, kw_only=True):
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


class DomainAllow(Entity, kw_only=True):
    id: Number
    domain: str
    created_at: Moment


class DomainBlock(Entity, kw_only=True):
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


class EmailDomainBlock(Entity, kw_only=True):
    id: Number
    domain: str
    created_at: Moment
    history: list[DayOfUse]
    # undocumented
    allow_with_approval: bool


class CanonicalEmailBlock(Entity, kw_only=True):
    id: Number
    canonical_email_hash: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]


class IpBlock(Entity, kw_only=True):
    id: Number
    ip: str
    severity: Literal["sign_up_requires_approval", "sign_up_block", "no_access"]
    comment: str
    created_at: Moment
    expires_at: Moment | None


class MeasureDay(Entity, kw_only=True):
    date: Moment
    value: Number


class Measure(Entity, kw_only=True):
    key: str
    unit: str | None
    total: Number
    data: list[MeasureDay]
    human_value: str | Unset = UNSET
    previous_total: Number | Unset = UNSET


class DimensionRow(Entity, kw_only=True):
    key: str
    human_key: str
    value: str
    unit: str | Unset = UNSET
    human_value: str | Unset = UNSET


class Dimension(Entity, kw_only=True):
    key: str
    data: list[DimensionRow]


class CohortDay(Entity, kw_only=True):
    date: Moment
    rate: Annotated[float, Meta(ge=0, le=1)]
    value: Number


class Cohort(Entity, kw_only=True):
    period: Moment
    frequency: Literal["day", "month"]
    data: list[CohortDay]


class AdminTag(FullTag, kw_only=True):
    trendable: bool
    usable: bool
    requires_review: bool
    # undocumented
    listable: bool


class AdminLink(TrendsLink, kw_only=True):
    """Undocumented but for its id and review."""

    id: Number
    requires_review: bool


class Publisher(Entity, kw_only=True):
    """Undocumented: Trends::PreviewCardProvider."""

    id: Number
    domain: str
    trendable: bool
    reviewed_at: Moment | None
    requested_review_at: Moment | None
    requires_review: bool
