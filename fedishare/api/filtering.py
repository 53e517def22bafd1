"""Filtering: which of a viewer's filters fit a status, kept while neither the filters nor the status change.

Nobody pays for it who has no filters: whether there are any comes with what is asked about the viewer anyhow. Filters
are kept for each viewer by their revision, what fits by the revision of the post; both are right in every process.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import msgspec

from fedishare.api.entities import time_text
from fedishare.model.filters import Filter, FilterAction
from fedishare.model.ids import Id, Millis
from fedishare.model.posts import Content
from fedishare.store import filters, posts
from fedishare.store.db import Tx
from fedishare.store.timelines import Entry
from fedishare.text import plain_text
from fedishare.text.matching import Matcher

MAX_VIEWERS = 1_000
MAX_TEXTS = 4_000
MAX_FITS = 2_000
_encode = msgspec.json.Encoder().encode
_K = TypeVar("_K")
_V = TypeVar("_V")


class FilterEntity(msgspec.Struct, frozen=True, kw_only=True):
    """A filter as a result names it."""

    id: str
    title: str
    context: tuple[str, ...]
    expires_at: str | None
    filter_action: str


class FilterResult(msgspec.Struct, frozen=True, kw_only=True):
    """A filter that fits a status, and by which of its parts."""

    filter: FilterEntity
    keyword_matches: tuple[str, ...] | None
    status_matches: tuple[str, ...] | None


class Fitting(NamedTuple):
    """What a status gets: its results as JSON, and where it is hidden."""

    results: bytes
    hidden: int
    """The bits of `fedishare.model.filters.Context`."""


class _Fit(NamedTuple):
    result: bytes
    hidden: int
    expires_at: Millis | None


_Version = tuple[Id, int]


def entity(found: Filter) -> FilterEntity:
    """A filter without its parts."""
    return FilterEntity(
        id=str(found.id), title=found.title, context=found.context.words, expires_at=time_text(found.expires_at),
        filter_action=found.action.word,
    )  # fmt: skip


def searched(content: Content) -> tuple[str, ...]:
    """What filters look at: all that is read of a post, and its hashtags."""
    options = content.poll.options if content.poll else ()
    descriptions = (each.description for each in content.attachments if each.description)
    tags = (f"#{tag}" for tag in content.hashtags)
    return (
        content.title, content.summary, plain_text(content.html), *(each.title for each in options), *descriptions,
        *tags,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Viewer:
    """One person's filters, ready to be used."""

    rev: int
    filters: tuple[Filter, ...]
    matcher: Matcher
    owners: tuple[tuple[int, str], ...]
    """For each phrase of the matcher, the place of its filter and the phrase as it was typed."""
    by_post: dict[Id, list[int]]
    fits: OrderedDict[_Version, tuple[_Fit, ...]] = field(default_factory=OrderedDict)

    @classmethod
    def of(cls, rev: int, found: Sequence[Filter]) -> _Viewer:
        phrases = [(n, each) for n, one in enumerate(found) for each in one.keywords]
        by_post: dict[Id, list[int]] = {}
        for number, one in enumerate(found):
            for post in one.posts:
                by_post.setdefault(post.post_id, []).append(number)
        matcher = Matcher.of((each.phrase, each.whole_word) for _, each in phrases)
        return cls(rev, tuple(found), matcher, tuple((n, each.phrase) for n, each in phrases), by_post)

    def fit(self, ident: Id, text: Sequence[str]) -> tuple[_Fit, ...]:
        """The filters that fit a post, whether they are over or not."""
        words: dict[int, list[str]] = {}
        for number in self.matcher.found_in(text):
            place, phrase = self.owners[number]
            words.setdefault(place, []).append(phrase)
        listed = self.by_post.get(ident, [])
        made = []
        for place in sorted({*words, *listed}):
            result = FilterResult(
                filter=entity(self.filters[place]),
                keyword_matches=tuple(words[place]) if place in words else None,
                status_matches=(str(ident),) if place in listed else None,
            )
            one = self.filters[place]
            hidden = int(one.context) if one.action is FilterAction.HIDE else 0
            made.append(_Fit(_encode(result), hidden, one.expires_at))
        return tuple(made)


class Filtering:
    """What is kept of the filters of one instance's people."""

    def __init__(self) -> None:
        self._viewers: OrderedDict[Id, _Viewer] = OrderedDict()
        self._texts: OrderedDict[_Version, tuple[str, ...]] = OrderedDict()

    def fittings(self, tx: Tx, viewer: Id, rev: int, entries: Iterable[Entry]) -> dict[Id, Fitting]:
        """For each post that filters of ``viewer`` fit, what that means now; one's own posts are left alone.

        ``rev`` is the revision of the person's filters, 0 for those who have none.
        """
        shown = [entry for entry in entries if entry.author_id != viewer and entry.boost_of_id is None] if rev else []
        if not shown:
            return {}
        known = self._of(tx, viewer, rev)
        if not known.filters:
            return {}
        self._fill(tx, known, shown)
        found = {}
        for entry in shown:
            kept = known.fits.get((entry.post_id, entry.post_rev), ())
            fits = [fit for fit in kept if fit.expires_at is None or fit.expires_at > tx.now]
            if fits:
                hidden = 0
                for fit in fits:
                    hidden |= fit.hidden
                found[entry.post_id] = Fitting(b"[" + b",".join(fit.result for fit in fits) + b"]", hidden)
        return found

    def _of(self, tx: Tx, viewer: Id, rev: int) -> _Viewer:
        known = self._viewers.get(viewer)
        if known is None or known.rev != rev:
            known = _Viewer.of(rev, filters.of_owner(tx, viewer))
            _put(self._viewers, viewer, known, MAX_VIEWERS)
        return known

    def _fill(self, tx: Tx, known: _Viewer, entries: Sequence[Entry]) -> None:
        """Look at the posts that were not looked at yet in this revision."""
        missing = {(e.post_id, e.post_rev) for e in entries if (e.post_id, e.post_rev) not in known.fits}
        unread = [ident for ident, rev in missing if (ident, rev) not in self._texts]
        texts = {version: text for version in missing if (text := self._texts.get(version)) is not None}
        for post in posts.by_ids(tx, unread).values():
            texts[post.id, post.rev] = text = searched(post.content)
            _put(self._texts, (post.id, post.rev), text, MAX_TEXTS)
        for version, text in texts.items():
            _put(known.fits, version, known.fit(version[0], text), MAX_FITS)


def _put(kept: OrderedDict[_K, _V], key: _K, value: _V, most: int) -> None:
    kept[key] = value
    if len(kept) > most:
        with contextlib.suppress(KeyError):  # another thread was faster
            kept.popitem(last=False)
