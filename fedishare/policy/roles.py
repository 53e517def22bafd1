"""Roles: what each may look at and change, as rights; one table that the admin API and its answers are made from.

The bits are those that Mastodon's apps know from a role's ``permissions``.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntFlag
from types import MappingProxyType

from fedishare.model.actors import Role


class Right(IntFlag):
    """One thing that a role may do."""

    NONE = 0
    ADMINISTRATOR = 1 << 0
    VIEW_DEVOPS = 1 << 1
    VIEW_AUDIT_LOG = 1 << 2
    VIEW_DASHBOARD = 1 << 3
    MANAGE_REPORTS = 1 << 4
    MANAGE_FEDERATION = 1 << 5
    MANAGE_SETTINGS = 1 << 6
    MANAGE_BLOCKS = 1 << 7
    MANAGE_TAXONOMIES = 1 << 8
    MANAGE_APPEALS = 1 << 9
    MANAGE_USERS = 1 << 10
    MANAGE_INVITES = 1 << 11
    MANAGE_RULES = 1 << 12
    MANAGE_ANNOUNCEMENTS = 1 << 13
    MANAGE_CUSTOM_EMOJIS = 1 << 14
    MANAGE_WEBHOOKS = 1 << 15
    INVITE_USERS = 1 << 16
    MANAGE_ROLES = 1 << 17
    MANAGE_USER_ACCESS = 1 << 18
    DELETE_USER_DATA = 1 << 19


ALL = Right((1 << 20) - 1)
_PEOPLE = (
    Right.VIEW_DASHBOARD | Right.VIEW_AUDIT_LOG | Right.MANAGE_USERS | Right.MANAGE_USER_ACCESS
    | Right.DELETE_USER_DATA | Right.MANAGE_REPORTS | Right.MANAGE_TAXONOMIES
)  # fmt: skip
_DOORS = Right.VIEW_DASHBOARD | Right.VIEW_AUDIT_LOG | Right.MANAGE_FEDERATION | Right.MANAGE_BLOCKS

RIGHTS: Mapping[Role, Right] = MappingProxyType(
    {
        Role.MEMBER: Right.NONE,
        Role.MODERATOR: _PEOPLE,
        Role.OPERATOR: Right.VIEW_DEVOPS | Right.VIEW_DASHBOARD,
        Role.SECURITY: _DOORS,
        Role.AUDITOR: Right.VIEW_DASHBOARD | Right.VIEW_AUDIT_LOG,
        Role.ADMIN: ALL,
    }
)
"""What each role may do."""

ROLE_IDS: Mapping[Role, str] = MappingProxyType(
    {Role.MEMBER: "-99", Role.MODERATOR: "1", Role.ADMIN: "3", Role.OPERATOR: "4", Role.SECURITY: "5",
     Role.AUDITOR: "6"}
)  # fmt: skip
"""The number under which apps know a role; -99 is everybody, as in Mastodon."""


def may(role: Role, right: Right, *, change: bool) -> bool:
    """Whether a role may use a right, to look or to change something. Auditors look everywhere and change nothing."""
    return bool(RIGHTS[role] & right) or (role is Role.AUDITOR and not change)


def may_act_on(role: Role, target: Role) -> bool:
    """Whether somebody may do something to a person: to those that have a role themselves, admins alone may."""
    return role is Role.ADMIN or target is Role.MEMBER
