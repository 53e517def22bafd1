"""Quotes as apps see them: what differs by viewer, written behind a status that is otherwise the same for all.

Whether a viewer may see the quoted post is the one audience decision, asked anew each time. What they may not see
leaves nothing of it: no content, no id, and no link in the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import msgspec

from fedishare.model.ids import Id
from fedishare.model.posts import Post, Visibility
from fedishare.model.quotes import Consent, Group, Interaction, Quote, QuoteState, Rule, rule_of
from fedishare.store import posts, quotes
from fedishare.store.db import Tx
from fedishare.store.quotes import Feelings
from fedishare.text import quote_inline

NOBODY_MAY = -1
"""Instead of a rule: not even the author may quote it."""
OWN_ONLY = 1 << 8
"""With a rule: whatever it says, the author alone may."""
_WORDS = {Group.PUBLIC: "public", Group.FOLLOWERS: "followers", Group.FOLLOWING: "following"}
_SHOWN = (QuoteState.PENDING, QuoteState.ACCEPTED)
_NULL = b"null"
_encode = msgspec.json.Encoder().encode


def rule_bits(post: Post) -> int:
    """What a post's fragment keeps of its policy for quotes."""
    if post.boost_of_id is not None or post.visibility is Visibility.DIRECT:
        return NOBODY_MAY
    bits = post.interaction_policy >> Interaction.QUOTE & 0xFF
    return bits | OWN_ONLY if post.visibility is Visibility.PRIVATE else bits


@lru_cache(maxsize=1024)
def needs_relation(bits: int) -> bool:
    """Whether the answer to somebody depends on who follows whom."""
    rule = rule_of(max(bits, 0), Interaction.QUOTE)
    return 0 <= bits < OWN_ONLY and bool(rule.groups & (Group.FOLLOWERS | Group.FOLLOWING))


@lru_cache(maxsize=1024)
def _approval(bits: int, own: bool, follows: bool, followed: bool) -> bytes:
    """``quote_approval``, and the name of what follows it. There are few, and every status has one."""
    rule = rule_of(bits & 0xFF, Interaction.QUOTE) if bits >= 0 else Rule()
    said = _consent(bits, own, follows, followed).value
    shown = {"automatic": _words(rule.automatic), "manual": _words(rule.manual), "current_user": said}
    return b',"quote_approval":' + _encode(shown) + b',"quote":'


def _consent(bits: int, own: bool, follows: bool, followed: bool) -> Consent:
    if bits < 0:
        return Consent.DENIED
    if own:
        return Consent.AUTOMATIC
    if bits & OWN_ONLY:
        return Consent.DENIED
    return rule_of(bits, Interaction.QUOTE).consent(follows=follows, followed=followed)


def _words(groups: Group) -> list[str]:
    found = [word for group, word in _WORDS.items() if groups & group]
    return [*found, "unsupported_policy"] if groups & Group.OTHERS else found


NO_QUOTE = _approval(NOBODY_MAY, False, False, False) + _NULL
"""For what is no post of its own: boosts."""


@dataclass(frozen=True, slots=True)
class Beside:
    """What of a page's statuses depends on the viewer because of quotes; empty for nearly every page."""

    quotes: Mapping[Id, bytes] = field(default_factory=dict)
    """The Quote (or ShallowQuote) of each post that quotes."""
    inlines: Mapping[Id, bytes] = field(default_factory=dict)
    """The link that stands for it in the text, as part of a JSON text."""
    followed: frozenset[Id] = frozenset()
    """Authors that the viewer follows."""
    followers: frozenset[Id] = frozenset()
    """Authors that follow the viewer."""

    def of(self, ident: Id, author: Id, bits: int, viewer: Id) -> bytes:
        """``quote_approval`` and ``quote`` of a status."""
        approval = _approval(bits, author == viewer, author in self.followed, author in self.followers)
        return approval + self.quotes.get(ident, _NULL)


NOTHING = Beside()


def relations(tx: Tx, viewer: Id, authors: Iterable[Id]) -> tuple[frozenset[Id], frozenset[Id]]:
    """(authors whom the viewer follows, authors that follow the viewer)."""
    wanted = set(authors) - {viewer}
    if not wanted:
        return frozenset(), frozenset()
    return frozenset(quotes.followed(tx, viewer, wanted)), frozenset(quotes.followers_among(tx, viewer, wanted))


@dataclass(frozen=True, slots=True)
class Quoted:
    """What the posts of a page quote, as far as the viewer may see it."""

    rows: Mapping[Id, Quote]
    posts: Mapping[Id, Post]
    """The quoted posts that the viewer may see."""
    feelings: Mapping[Id, Feelings]

    def state(self, quote: Quote, viewer: Id) -> str:
        """What has become of a quote, for one viewer."""
        if quote.state is not QuoteState.ACCEPTED:
            return quote.state.word
        if quote.quoted_id is None:
            return "deleted"
        post = self.posts.get(quote.quoted_id)
        if post is None:
            return "unauthorized"
        felt = self.feelings.get(post.author_id)
        if post.author_id == viewer or felt is None:
            return "accepted"
        if felt.blocks_domain:
            return "blocked_domain"
        return "blocked_account" if felt.blocks else "muted_account" if felt.mutes else "accepted"

    def shown(self, quote: Quote) -> Post | None:
        """The quoted post, where the quote is shown to the viewer."""
        if quote.state is not QuoteState.ACCEPTED or quote.quoted_id is None:
            return None
        return self.posts.get(quote.quoted_id)

    def inline(self, quote: Quote) -> bytes:
        """The link in the text: to what the viewer may see, or to what is not here."""
        if quote.state not in _SHOWN:
            return b""
        post = self.posts.get(quote.quoted_id) if quote.quoted_id is not None else None
        if post is None and quote.quoted_id is not None:
            return b""
        return _encode(quote_inline(post.url if post is not None else quote.quoted_iri))[1:-1]

    def shallow(self, quote: Quote, viewer: Id) -> bytes:
        """A ShallowQuote."""
        post = self.shown(quote)
        ident = str(post.id) if post is not None else None
        return _encode({"state": self.state(quote, viewer), "quoted_status_id": ident})

    def whole(self, quote: Quote, viewer: Id, status: bytes | None) -> bytes:
        """A Quote around the quoted status."""
        shown = _NULL if status is None else status
        return b'{"state":"' + self.state(quote, viewer).encode() + b'","quoted_status":' + shown + b"}"


def quoted_by(tx: Tx, idents: Iterable[Id], viewer: Id) -> Quoted:
    """What posts quote: four queries for a page that has quotes."""
    rows = quotes.of_posts(tx, idents)
    wanted = {q.quoted_id for q in rows.values() if q.quoted_id is not None and q.state in _SHOWN}
    seen = posts.by_ids(tx, posts.visible_ids(tx, wanted, viewer)) if wanted else {}
    felt = quotes.feelings(tx, viewer, {post.author_id for post in seen.values()}) if seen else {}
    return Quoted(rows, seen, felt)
