"""What Mastodon's entities are made of: ids, times, addresses, and a struct that knows every field of its entity.

A missing field, one of another type, ``null`` where the documentation does not allow it, or one that nobody wrote down
fails the decoding. A field that may be missing is ``Unset``: it may then not be ``null``, unless that is said too. What
this server adds stands behind «ours»; what Mastodon's own server answers without documenting it behind «undocumented».
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET as UNSET
from msgspec import Meta, UnsetType

Number = Annotated[str, Meta(pattern=r"^[0-9]+\Z")]
"""An id: apps treat it as text, some as a number. Also a count that is written as text."""
Moment = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")]
Day = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\d\Z")]
Address = Annotated[str, Meta(pattern=r"^https?://[^\s]+\Z")]
Count = Annotated[int, Meta(ge=0)]
Unset = UnsetType
Visibility = Literal["public", "unlisted", "private", "direct"]
VERSION = re.compile(r"4\.5\.[0-9]+ \(compatible; fedishare [0-9.]+\)\Z")


class Entity(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An entity; every field is written down."""


class Empty(Entity, kw_only=True):
    """The answer to what has nothing to say: ``{}``."""


class Error(Entity, kw_only=True):
    """Why something was not done."""

    error: str
    error_description: str | Unset = UNSET
    details: dict[str, list[dict[str, str]]] | Unset = UNSET
    # ours: the rule of the policy that refused
    rule: str | Unset = UNSET


class DayOfUse(Entity, kw_only=True):
    """A day of a history: everything is text."""

    day: Number
    accounts: Number
    uses: Number
