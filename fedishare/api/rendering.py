"""Rendering: statuses and accounts as JSON, in fragments that are kept while their rows do not change.

A fragment is made once per (row, revision): revisions grow with every change that shows, so a kept fragment is right
as long as its key is found, in any process. What differs by viewer (favourited, boosted, votes) is written behind it.

Only what is committed is kept: a transaction may be undone or run again, and the next one would give the same
revision to something else. Inside ``Database.write`` use a `Renderer.draft`, and `Renderer.keep` it after the commit.
Reads run in several threads at once, so each page holds on to its own fragments; another thread may drop them.
"""

from __future__ import annotations

import contextlib
import secrets
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import msgspec

from fedishare.api import entities, quote_rendering
from fedishare.api.filtering import Filtering, Fitting
from fedishare.api.links import TICKET, Links
from fedishare.media.tickets import ANYBODY, Tickets
from fedishare.model.actors import Actor
from fedishare.model.cards import Card
from fedishare.model.filters import Context
from fedishare.model.ids import Id, Millis
from fedishare.model.posts import Post
from fedishare.services.site import Site
from fedishare.store import actors, cards, credentials, interactions, posts, timelines
from fedishare.store.db import Tx
from fedishare.store.interactions import Kind
from fedishare.store.timelines import Entry

MAX_STATUSES = 8_000
MAX_ACCOUNTS = 4_000
_encode = msgspec.json.Encoder().encode

_Key = tuple[Id, int, int]
_K = TypeVar("_K")
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class _Fragment:
    """A status without its closing brace. ``poll`` is the post when its poll has to be rendered for each viewer.

    Where it links to files, ``body`` ends, and ``links`` has each one's path and what follows the reader's ticket.
    """

    body: bytes
    poll: Post | None
    links: tuple[tuple[str, bytes], ...] = ()
    bits: int = quote_rendering.NOBODY_MAY
    """Who may quote it."""
    place: bytes = b""
    """Of a post that quotes another: stands in the body for the link to that, which not every viewer gets."""

    def shown(self, links: Links) -> bytes:
        """The body, with tickets for the reader of ``links``."""
        if not self.links:
            return self.body
        parts = [self.body]
        for path, rest in self.links:
            parts += (links.ticket(path).encode(), rest)
        return b"".join(parts)


def _flags(mask: int, own: bool) -> bytes:
    words = ("favourited", "reblogged", "bookmarked", "muted")
    text = ",".join(f'"{word}":{"true" if mask >> bit & 1 else "false"}' for bit, word in enumerate(words))
    pinned = f',"pinned":{"true" if mask & 16 else "false"}' if own else ""
    return f",{text}{pinned}".encode()


_UNFILTERED = b',"filtered":[]'
_FLAGS = [_flags(mask, False) for mask in range(32)]
_OWN_FLAGS = [_flags(mask, True) for mask in range(32)]


class Renderer:
    """The kept fragments of one instance."""

    def __init__(self, site: Site, tickets: Tickets, behind: Renderer | None = None) -> None:
        self._site = site
        self._tickets = tickets
        # where tickets belong; nobody ever sees it
        self._mark: str = secrets.token_hex(16) if behind is None else behind._mark
        self._day = 0
        self._behind = behind
        self._statuses: OrderedDict[_Key, _Fragment] = OrderedDict()
        self._accounts: OrderedDict[tuple[Id, int], bytes] = OrderedDict()
        self._filtering = Filtering()

    def draft(self) -> Renderer:
        """A renderer for one transaction that changes something: it uses what is kept here, and keeps its own apart."""
        return Renderer(self._site, self._tickets, self)

    def links(self, tx: Tx, viewer: Id = ANYBODY) -> Links:
        """Addresses of files, for one reader; without one, only those that every reader may follow are of use."""
        return Links(self._site.names.origin, self._tickets, tx.now, viewer)

    def _turn(self, now: Millis) -> None:
        """A new day: what is kept has tickets of the day before, which hold for one more."""
        day = self._tickets.day(now)
        if day != self._day:
            self._day = day
            self._statuses.clear()
            self._accounts.clear()

    def keep(self, draft: Renderer) -> None:
        """The transaction of ``draft`` is committed: what it rendered is right for everybody."""
        for key, fragment in draft._statuses.items():
            self._put(self._statuses, key, fragment, MAX_STATUSES)
        for account_key, body in draft._accounts.items():
            self._put(self._accounts, account_key, body, MAX_ACCOUNTS)

    @staticmethod
    def _put(kept: OrderedDict[_K, _V], key: _K, value: _V, most: int) -> None:
        kept[key] = value
        if len(kept) > most:
            with contextlib.suppress(KeyError):  # another thread was faster
                kept.popitem(last=False)

    def _kept(self, key: _Key) -> _Fragment | None:
        found = self._statuses.get(key)
        return self._behind._statuses.get(key) if found is None and self._behind is not None else found

    # Accounts

    def account(self, tx: Tx, actor: Actor) -> bytes:
        """An Account as JSON."""
        if actor.profile.moved_to is not None:
            # It shows another actor, whose revision is not in the key; there are few of them.
            return self._moved(tx, actor)
        self._turn(tx.now)
        key = (actor.id, actor.rev)
        found = self._accounts.get(key)
        if found is None and self._behind is not None:
            found = self._behind._accounts.get(key)
        if found is None:
            found = _encode(entities.account(actor, self.links(tx), roles=_roles(tx, actor)))
            self._put(self._accounts, key, found, MAX_ACCOUNTS)
        return found

    def _moved(self, tx: Tx, actor: Actor) -> bytes:
        target = actors.by_iri(tx, actor.profile.moved_to or "")
        moved = None
        if target is not None and target.id != actor.id and target.state < 2 and target.profile.moved_to is None:
            moved = msgspec.Raw(self.account(tx, target))
        return _encode(entities.account(actor, self.links(tx), moved=moved, roles=_roles(tx, actor)))

    def accounts(self, tx: Tx, found: Iterable[Actor]) -> list[msgspec.Raw]:
        """Several Accounts."""
        return [msgspec.Raw(self.account(tx, actor)) for actor in found]

    # Statuses

    def page(
        self, tx: Tx, entries: Sequence[Entry], viewer: Id, context: Context = Context.NOWHERE
    ) -> list[bytes]:  # fmt: skip
        """Statuses for one viewer, in the order of ``entries``. The viewer must be allowed to see each of them.

        What filters of theirs hide in ``context`` is left out.
        """
        return [body for _, body in self.pairs(tx, entries, viewer, context)]

    def pairs(
        self, tx: Tx, entries: Sequence[Entry], viewer: Id, context: Context = Context.NOWHERE
    ) -> list[tuple[Id, bytes]]:
        """The same with each post's id; posts that are deleted at this moment are left out."""
        boosted = [e.boost_of_id for e in entries if e.boost_of_id is not None]
        originals = {e.post_id: e for e in timelines.entries_of(tx, boosted)} if boosted else {}
        shown = {e.boost_of_id or e.post_id for e in entries}
        fragments = self._fragments(tx, [*entries, *originals.values()])
        done, filters = interactions.flags(tx, viewer, shown)
        fitting = self._filtering.fittings(tx, viewer, filters, [*entries, *originals.values()]) if filters else {}
        marks = _Marks(done, interactions.boosted(tx, viewer, shown), fitting)
        marks = replace(marks, beside=self._beside(tx, fragments, [*entries, *originals.values()], viewer))
        links = self.links(tx, viewer)
        result = []
        for entry in entries:
            fragment = fragments.get(entry.post_id)
            if fragment is None or (fitting and marks.hidden(entry) & context):
                continue
            if entry.boost_of_id is None:
                result.append((entry.post_id, _one(tx, entry, fragment, marks, links)))
                continue
            original, inner = originals.get(entry.boost_of_id), fragments.get(entry.boost_of_id)
            if original is not None and inner is not None:
                flags = marks.of(original.post_id, own=False)
                body = _one(tx, original, inner, marks, links)
                wrapped = fragment.body + flags + quote_rendering.NO_QUOTE + b',"poll":null,"reblog":' + body + b"}"
                result.append((entry.post_id, wrapped))
        return result

    def _beside(
        self, tx: Tx, fragments: Mapping[Id, _Fragment], entries: Sequence[Entry], viewer: Id
    ) -> quote_rendering.Beside:
        """What of these statuses depends on the viewer because of quotes: nothing is asked where there are none."""
        quoting = [ident for ident, fragment in fragments.items() if fragment.place]
        if not quoting and not any(map(quote_rendering.needs_relation, {f.bits for f in fragments.values()})):
            return quote_rendering.NOTHING
        related = [e.author_id for e in entries if quote_rendering.needs_relation(_bits(fragments, e))]
        followed, followers = quote_rendering.relations(tx, viewer, related)
        found = quote_rendering.quoted_by(tx, quoting, viewer) if quoting else None
        if found is None:
            return quote_rendering.Beside(followed=followed, followers=followers)
        return quote_rendering.Beside(
            self._quotes(tx, found, viewer), {i: found.inline(quote) for i, quote in found.rows.items()}, followed,
            followers,
        )  # fmt: skip

    def _quotes(self, tx: Tx, found: quote_rendering.Quoted, viewer: Id) -> dict[Id, bytes]:
        """The Quote of each post, with what it quotes; what that quotes in turn is named only, so loops end."""
        shown = {post.id for quote in found.rows.values() if (post := found.shown(quote)) is not None}
        entries = {entry.post_id: entry for entry in timelines.entries_of(tx, shown)}
        fragments = self._fragments(tx, entries.values())
        inner = quote_rendering.quoted_by(tx, [i for i, f in fragments.items() if f.place], viewer)
        related = [e.author_id for e in entries.values() if quote_rendering.needs_relation(_bits(fragments, e))]
        beside = quote_rendering.Beside(
            {i: inner.shallow(quote, viewer) for i, quote in inner.rows.items()},
            {i: inner.inline(quote) for i, quote in inner.rows.items()},
            *quote_rendering.relations(tx, viewer, related),
        )
        done, filters = interactions.flags(tx, viewer, shown)
        fitting = self._filtering.fittings(tx, viewer, filters, list(entries.values())) if filters else {}
        marks, links = _Marks(done, interactions.boosted(tx, viewer, shown), fitting, beside), self.links(tx, viewer)
        bodies = {i: _one(tx, e, fragments[i], marks, links) for i, e in entries.items() if i in fragments}
        result = {}
        for ident, quote in found.rows.items():
            post = found.shown(quote)
            result[ident] = found.whole(quote, viewer, bodies.get(post.id) if post is not None else None)
        return result

    def quote(self, tx: Tx, ident: Id, viewer: Id) -> bytes:
        """What one post quotes, as a Quote; ``null`` when it quotes nothing."""
        return self._quotes(tx, quote_rendering.quoted_by(tx, [ident], viewer), viewer).get(ident, b"null")

    def published(self, tx: Tx, post: Post, author: Actor) -> bytes:
        """A post for the author who has just published it: nobody has done anything with it, so nothing is looked up.

        Not for answers, whose thread the author may have muted, and not for quotes.
        """
        self._turn(tx.now)
        fragment = self._fragment(tx, post, author)
        entry = Entry(post.id, post.rev, author.id, author.rev, None)
        if author.profile.moved_to is None:
            self._put(self._statuses, _key(entry), fragment, MAX_STATUSES)
        return _one(tx, entry, fragment, _Marks({}, {}, {}), self.links(tx, author.id))

    def visible_posts(
        self, tx: Tx, idents: Iterable[Id], viewer: Id, context: Context = Context.NOWHERE
    ) -> list[bytes]:  # fmt: skip
        """Those of the posts that ``viewer`` may see, in the order given."""
        wanted = list(idents)
        seen = posts.visible_ids(tx, wanted, viewer)
        entries = timelines.entries_of(tx, [i for i in wanted if i in seen])
        inner = posts.visible_ids(tx, [e.boost_of_id for e in entries if e.boost_of_id is not None], viewer)
        shown = [e for e in entries if e.boost_of_id is None or e.boost_of_id in inner]
        return self.page(tx, shown, viewer, context)

    def visible_post(self, tx: Tx, ident: Id, viewer: Id, context: Context = Context.NOWHERE) -> bytes | None:
        """One post, if ``viewer`` may see it, and has no filter that hides it in ``context``."""
        found = self.visible_posts(tx, [ident], viewer, context)
        return found[0] if found else None

    def _fragments(self, tx: Tx, entries: Iterable[Entry]) -> dict[Id, _Fragment]:
        self._turn(tx.now)
        found: dict[Id, _Fragment] = {}
        missing = []
        for entry in entries:
            kept = self._kept(_key(entry))
            if kept is None:
                missing.append(entry)
            else:
                found[entry.post_id] = kept
        if missing:
            rows = posts.by_ids(tx, [e.post_id for e in missing])
            people = actors.by_ids(tx, [e.author_id for e in missing])
            shown = cards.of_posts(tx, rows)
            for entry in missing:
                post, author = rows.get(entry.post_id), people.get(entry.author_id)
                if post is None or author is None:
                    continue
                made = found[entry.post_id] = self._fragment(tx, post, author, shown.get(post.id))
                # Under the revisions that were rendered: they may be newer than those of the entry.
                if author.profile.moved_to is None:
                    self._put(self._statuses, (post.id, post.rev, author.rev), made, MAX_STATUSES)
        return found

    def _fragment(self, tx: Tx, post: Post, author: Actor, card: Card | None = None) -> _Fragment:
        content, links = post.content, replace(self.links(tx), mark=self._mark)
        html = content.html
        if content.title:
            link = f'<a href="{_attribute(post.url)}" rel="nofollow noopener">{_text(content.title)}</a>'
            html = f"<p><strong>{link}</strong></p>{html}"
        place = secrets.token_hex(16) if post.quoting else ""
        hidden = content.sensitive or (author.sensitized and bool(content.attachments))
        body = entities.StatusBody(
            id=str(post.id), created_at=entities.instant(post.published), in_reply_to_id=_ident(post.in_reply_to_id),
            in_reply_to_account_id=_ident(post.in_reply_to_account_id), sensitive=hidden,
            spoiler_text=content.summary, visibility=post.visibility.word, language=content.language, uri=post.iri,
            url=post.url, replies_count=post.replies_count, reblogs_count=post.boosts_count,
            favourites_count=post.favourites_count, quotes_count=post.quotes_count,
            edited_at=entities.time_text(post.edited_at),
            content=f"{place}{html}", account=msgspec.Raw(self.account(tx, author)),
            media_attachments=entities.attachments(post.id, content.attachments, links),
            mentions=tuple(entities.mention(m) for m in content.mentions if not m.silent),
            tags=tuple(entities.StatusTag(tag, self._site.names.tag(tag)) for tag in content.hashtags),
            emojis=entities.emojis_of(content.emojis, partial(links.of_post, post.id)),
            application=entities.Application(post.app_name) if post.app_name else None,
            reach=entities.reach_of(post.reach) if post.local else "partners",
            local_only=post.local and post.reach.is_local,
            card=entities.card(card, links) if card is not None else None,
        )  # fmt: skip
        first, *rest = _encode(body)[:-1].split(self._mark.encode())
        # Before each mark stands the address that it belongs to, from its quotation mark on.
        before, skip = (first, *rest[:-1]), 1 + len(links.origin)
        paths = [part[part.rindex(b'"') + skip : -len(TICKET)].decode() for part in before] if rest else []
        return _Fragment(
            first, post if content.poll else None, tuple(zip(paths, rest, strict=True)),
            quote_rendering.rule_bits(post), place.encode(),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Marks:
    """What a viewer did with the posts of a page."""

    kinds: dict[Id, set[Kind]]
    boosts: dict[Id, Id]
    fitting: Mapping[Id, Fitting]
    """Which filters fit."""
    beside: quote_rendering.Beside = quote_rendering.NOTHING

    def hidden(self, entry: Entry) -> int:
        """Where filters hide a post, or what it boosts: the bits of `Context`."""
        found = self.fitting.get(entry.boost_of_id or entry.post_id)
        return found.hidden if found is not None else 0

    def of(self, ident: Id, *, own: bool) -> bytes:
        done = self.kinds.get(ident)
        mask = 2 if ident in self.boosts else 0
        if done:
            mask |= (
                (1 if Kind.FAVOURITE in done else 0)
                | (4 if Kind.BOOKMARK in done else 0)
                | (8 if Kind.MUTE_THREAD in done else 0)
                | (16 if Kind.PIN in done else 0)
            )
        flags, fitting = _OWN_FLAGS[mask] if own else _FLAGS[mask], self.fitting.get(ident)
        return flags + (_UNFILTERED if fitting is None else b',"filtered":' + fitting.results)


def _one(tx: Tx, entry: Entry, fragment: _Fragment, marks: _Marks, links: Links) -> bytes:
    viewer = links.reader
    body, flags = fragment.shown(links), marks.of(entry.post_id, own=entry.author_id == viewer)
    flags += marks.beside.of(entry.post_id, entry.author_id, fragment.bits, viewer)
    if fragment.place:
        body = body.replace(fragment.place, marks.beside.inlines.get(entry.post_id, b""), 1)
    if fragment.poll is None:
        return body + flags + b',"poll":null,"reblog":null}'
    return body + flags + b',"poll":' + poll_json(tx, fragment.poll, viewer, links) + b',"reblog":null}'


def _roles(tx: Tx, actor: Actor) -> tuple[entities.AccountRole, ...]:
    return entities.roles_of(credentials.role_of(tx, actor.id)) if actor.is_local else ()


def _bits(fragments: Mapping[Id, _Fragment], entry: Entry) -> int:
    found = fragments.get(entry.post_id)
    return found.bits if found is not None else quote_rendering.NOBODY_MAY


def poll_json(tx: Tx, post: Post, viewer: Id, links: Links) -> bytes:
    """A post's poll as JSON for one viewer."""
    found = post.content.poll
    if found is None:
        return b"null"
    own = interactions.votes_of(tx, post.id, viewer)
    emojis = entities.emojis_of(post.content.emojis, partial(links.of_post, post.id))
    return _encode(entities.poll(post.id, found, own, emojis, now=Millis(tx.now), is_author=post.author_id == viewer))


def json_list(parts: Sequence[bytes]) -> bytes:
    """A JSON list of ready JSON values."""
    return b"[" + b",".join(parts) + b"]"


def _key(entry: Entry) -> _Key:
    return (entry.post_id, entry.post_rev, entry.author_rev)


def _ident(ident: Id | None) -> str | None:
    return None if ident is None else str(ident)


def _text(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _attribute(text: str) -> str:
    return _text(text).replace('"', "&quot;")
