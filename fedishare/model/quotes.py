"""Quotes and interaction policies: who may do what with a post by its author's word, and what became of a quote.

A policy says for each kind of interaction whose is approved by itself, and whose the author decides about. Groups that
we do not know (named people, other collections) are kept as ``OTHERS``: then the answer is "unknown", not "no".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag, StrEnum

from fedishare.model.ids import Id, Iri


class QuoteState(IntEnum):
    """What became of a quote. Only an accepted one is shown."""

    PENDING = 0
    ACCEPTED = 1
    REJECTED = 2
    REVOKED = 3
    DELETED = 4

    @property
    def word(self) -> str:
        """The client API's word."""
        return self.name.lower()


class Group(IntFlag):
    """Whose interactions a rule is about."""

    NONE = 0
    PUBLIC = 1
    FOLLOWERS = 2
    FOLLOWING = 4
    OTHERS = 8
    """Somebody that we cannot tell: named actors, other collections."""


class Interaction(IntEnum):
    """What a policy has a rule for; the value is the rule's place in the stored number."""

    QUOTE = 0
    REPLY = 8
    LIKE = 16
    ANNOUNCE = 24


class Consent(StrEnum):
    """What a policy says to one actor: the client API's words."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"
    UNKNOWN = "unknown"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class Rule:
    """One interaction's part of a policy: whose is approved by itself, and whose the author decides about."""

    automatic: Group = Group.NONE
    manual: Group = Group.NONE

    def consent(self, *, follows: bool, followed: bool) -> Consent:
        """What it says to somebody who ``follows`` the author, or is ``followed`` by the author. Not the author."""
        theirs = Group.PUBLIC | (Group.FOLLOWERS if follows else 0) | (Group.FOLLOWING if followed else 0)
        if self.automatic & theirs:
            return Consent.AUTOMATIC
        if self.manual & theirs:
            return Consent.MANUAL
        return Consent.UNKNOWN if (self.automatic | self.manual) & Group.OTHERS else Consent.DENIED

    @property
    def groups(self) -> Group:
        """Everybody that it speaks of."""
        return self.automatic | self.manual


ANYBODY, FOLLOWERS, NOBODY = Rule(Group.PUBLIC), Rule(Group.FOLLOWERS), Rule()
QUOTE_RULES = {"public": ANYBODY, "followers": FOLLOWERS, "nobody": NOBODY}
"""What a person can choose for quotes, by the client API's words."""

OPEN = 0x01_01_01_00
"""The policy of a post that states none: everybody who sees it may answer, like and boost; nobody may quote."""


def rule_of(policy: int, interaction: Interaction) -> Rule:
    """A stored policy's rule for one interaction."""
    bits = policy >> interaction & 0xFF
    return Rule(Group(bits & 0xF), Group(bits >> 4))


def with_rule(policy: int, interaction: Interaction, rule: Rule) -> int:
    """A stored policy with another rule for one interaction."""
    return policy & ~(0xFF << interaction) | (rule.automatic | rule.manual << 4) << interaction


@dataclass(frozen=True, slots=True)
class RemoteQuote:
    """What a partner's post says about the one that it quotes."""

    iri: Iri
    approval: Iri | None = None
    """The `QuoteAuthorization` that it names; to be checked."""
    legacy: bool = False
    """Said in an older way, which knows no consent."""


@dataclass(frozen=True, slots=True)
class Quote:
    """That one post quotes another. ``quoted_id`` is None while the quoted post is not here, or not any more."""

    post_id: Id
    quoter_id: Id
    quoted_id: Id | None
    quoted_iri: Iri
    quoted_author_id: Id | None
    state: QuoteState
    legacy: bool = False
    request_iri: Iri | None = None
    """Our own `QuoteRequest`."""
    approval_iri: Iri | None = None
    """The authorization; None for a quote of one's own post."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """A `QuoteAuthorization` of ours: the author of ``post_id`` agrees that ``quoting_iri`` quotes it."""

    id: Id
    post_id: Id
    quoter_id: Id
    quoting_iri: Iri
    request_iri: Iri | None
    state: QuoteState
    """PENDING: the author has not decided yet."""


@dataclass(frozen=True, slots=True)
class NoteConsent:
    """What a post's own document says about consent that it needed."""

    quoted_iri: Iri | None = None
    quoted_url: str = ""
    quote_approval: Iri | None = None
    reply_approval: Iri | None = None


NO_CONSENT = NoteConsent()
