"""Accounts, and what stands around them: roles, relationships, lists, suggestions."""

from __future__ import annotations

from typing import Literal

from tests.api.mastodon.base import UNSET, Address, Count, Day, DayOfUse, Entity, Moment, Number, Unset, Visibility


class CustomEmoji(Entity, kw_only=True):
    shortcode: str
    url: Address
    static_url: Address
    visible_in_picker: bool
    category: str | Unset | None = UNSET


class Field(Entity, kw_only=True):
    name: str
    value: str
    verified_at: Moment | None


class AccountRole(Entity, kw_only=True):
    id: str
    name: str
    color: str


class Account(Entity, kw_only=True):
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


class MutedAccount(Account, kw_only=True):
    mute_expires_at: Moment | None


class Source(Entity, kw_only=True):
    note: str
    fields: list[Field]
    privacy: Visibility
    sensitive: bool
    language: str
    follow_requests_count: Count
    hide_collections: bool | None
    discoverable: bool | None
    indexable: bool
    attribution_domains: list[str]
    quote_policy: Literal["public", "followers", "nobody"]
    # ours
    reach: str | list[str]


class Role(Entity, kw_only=True):
    id: str
    name: str
    color: str
    permissions: Number
    highlighted: bool


class CredentialAccount(Account, kw_only=True):
    source: Source
    role: Role


class PartialAccount(Entity, kw_only=True):
    """Of an account, what an avatar needs: in grouped notifications."""

    id: Number
    acct: str
    url: Address
    avatar: Address
    avatar_static: Address
    locked: bool
    bot: bool


class Relationship(Entity, kw_only=True):
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
    requested: bool
    requested_by: bool
    domain_blocking: bool
    endorsed: bool
    note: str
    # undocumented
    muting_expires_at: Moment | None


class FamiliarFollowers(Entity, kw_only=True):
    id: Number
    accounts: list[Account]


class Suggestion(Entity, kw_only=True):
    source: Literal["staff", "past_interactions", "global"]
    sources: list[
        Literal["featured", "most_followed", "most_interactions", "similar_to_recently_followed", "friends_of_friends"]
    ]
    account: Account


class UserList(Entity, kw_only=True):
    id: Number
    title: str
    replies_policy: Literal["followed", "list", "none"]
    exclusive: bool


class Tag(Entity, kw_only=True):
    """A hashtag where it stands in something else."""

    name: str
    url: Address


class FullTag(Tag, kw_only=True):
    """A Tag where it is what was asked for."""

    id: Number
    history: list[DayOfUse]
    following: bool
    featuring: bool


class FeaturedTag(Entity, kw_only=True):
    id: Number
    name: str
    url: Address
    statuses_count: Number
    last_status_at: Day | None


class IdentityProof(Entity, kw_only=True):
    provider: str
    provider_username: str
    profile_url: Address
    proof_url: Address
    updated_at: Moment


class DomainBlockPreview(Entity, kw_only=True):
    """Undocumented: what blocking a domain would end."""

    following_count: Count
    followers_count: Count
