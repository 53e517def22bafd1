"""Notification policy: whether a person is told of what somebody does, told apart from the rest, or not told.

Pure: a person's rules and what is known of the sender give a verdict. Of the people that a person follows, only the
rule about who follows back says anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from fedishare.model.ids import Millis

DAY = 24 * 3600 * 1000
NEW_ACCOUNT = 30 * DAY
"""An account is new for so many milliseconds."""
NEW_FOLLOWER = 3 * DAY
"""A follower counts as one after so many milliseconds."""
JUDGED = frozenset(("mention", "follow", "follow_request", "favourite", "reblog", "quote"))
"""What strangers can cause. Everything else a person has asked for, or has to know."""


class Verdict(IntEnum):
    """What becomes of a notification; a higher number is less of it."""

    ACCEPT = 0
    FILTER = 1
    DROP = 2

    @property
    def word(self) -> str:
        """The client API's word."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Rules:
    """What a person accepts. Without any choice of theirs, only limited accounts are kept apart."""

    not_following: Verdict = Verdict.ACCEPT
    not_followers: Verdict = Verdict.ACCEPT
    new_accounts: Verdict = Verdict.ACCEPT
    private_mentions: Verdict = Verdict.ACCEPT
    limited_accounts: Verdict = Verdict.FILTER


DEFAULT = Rules()


@dataclass(frozen=True, slots=True)
class SenderFacts:
    """Who causes a notification, as its receiver stands to them."""

    created_at: Millis
    limited: bool = False
    accepted: bool = False
    """The receiver has accepted a request of theirs."""
    followed: bool = False
    follower_since: Millis | None = None
    unasked_direct: bool = False
    """A direct mention that answers nothing the receiver wrote to them."""


def judge(rules: Rules, kind: str, sender: SenderFacts, now: Millis) -> Verdict:
    """The strictest of the rules that apply."""
    if kind not in JUDGED or sender.accepted:
        return Verdict.ACCEPT
    found = [Verdict.ACCEPT]
    if _no_follower(sender, now):
        found.append(rules.not_followers)
    if sender.followed:
        return max(found)
    found.append(rules.not_following)
    if sender.created_at > now - NEW_ACCOUNT:
        found.append(rules.new_accounts)
    if sender.unasked_direct:
        found.append(rules.private_mentions)
    if sender.limited:
        found.append(rules.limited_accounts)
    return max(found)


def _no_follower(sender: SenderFacts, now: Millis) -> bool:
    return sender.follower_since is None or sender.follower_since > now - NEW_FOLLOWER
