"""Preview cards: for which posts a page may be asked, what was read, and when it is forgotten.

A page is asked for only where the post goes anyway, or where the operator allows it: see `Wish`. A post that
stays here, and one for named people, causes no request whatever it links to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from fedishare.model.activities import PostEdited
from fedishare.model.cards import CardImage, Preview
from fedishare.model.errors import BadInput
from fedishare.model.ids import Domain, Id, Millis, host_of
from fedishare.model.posts import Content, Post, Reach, Visibility
from fedishare.services.site import Site
from fedishare.store import actors, jobs, posts
from fedishare.store import cards as store
from fedishare.store import media as media_store
from fedishare.store.db import Tx
from fedishare.text.preview import links_of

JOB = "card"
KEPT = 14 * 24 * 3600 * 1000
"""Milliseconds for which a page is not read again."""
FAILED_KEPT = 6 * 3600 * 1000
"""The same for one that could not be had."""
UNUSED_KEPT = 14 * 24 * 3600 * 1000
"""Milliseconds for which a card is kept that no post shows any more."""
_encode = msgspec.json.Encoder().encode


class CardJob(msgspec.Struct, frozen=True):
    """Find a card for a post."""

    post_id: int


@dataclass(frozen=True, slots=True)
class Wish:
    """A post that wants a card: its links, in order, and where it may be asked for one.

    ``reach`` is where a post of ours goes; ``origin`` where a partner's came from. The operator's list is the guard's.
    """

    post_id: Id
    urls: tuple[str, ...]
    reach: Reach | None
    origin: Domain | None


def wants_card(site: Site, post: Post) -> bool:
    """Whether a page may be asked about on behalf of a post at all, and there is one."""
    if post.visibility is Visibility.DIRECT or post.boost_of_id is not None or (post.local and post.reach.is_local):
        return False
    return any(_may_ask(site, url) for url in links_of(post.content.html))


def _may_ask(site: Site, url: str) -> bool:
    """Whether it is somebody else's address, and somebody's who may be asked at all."""
    try:
        host = host_of(url, development=site.development)
    except BadInput:
        return False
    ours = (site.names.domain, host_of(site.names.origin, development=site.development))
    return host not in ours and site.may_preview(host)


def request(tx: Tx, site: Site, post: Post) -> None:
    """A new post, or a new text: a card is looked for in the background, if there may be one."""
    if wants_card(site, post) and not _known_to_have_none(tx, site, post):
        payload = _encode(CardJob(post.id)).decode()
        jobs.put(tx, JOB, payload, lane=f"card:{post.id}", dedup=f"card:{post.id}")


def _known_to_have_none(tx: Tx, site: Site, post: Post) -> bool:
    """Whether each of its addresses was asked not long ago and had nothing to show: pages that many posts link to."""
    urls = [url for url in links_of(post.content.html) if _may_ask(site, url)]
    return all(known(tx, url) == (None, True) for url in urls)


def renew(tx: Tx, site: Site, before: Post, content: Content) -> None:
    """A post was edited: its card goes when its links changed, and another one is looked for."""
    if links_of(before.content.html) != links_of(content.html):
        store.detach(tx, before.id)
        request(tx, site, replace(before, content=content))


def wish(tx: Tx, site: Site, ident: Id) -> Wish | None:
    """What a job is to look for; None when the post is gone or changed, or has a card."""
    post = posts.by_id(tx, ident)
    if post is None or not wants_card(site, post) or store.of_posts(tx, [ident]):
        return None
    author = actors.by_id(tx, post.author_id)
    if author is None or author.state >= 2:
        return None
    urls = tuple(url for url in links_of(post.content.html) if _may_ask(site, url))
    return Wish(ident, urls, post.reach if post.local else None, None if post.local else author.host)


def known(tx: Tx, url: str) -> tuple[Id | None, bool]:
    """The card of an address, and whether what we know of it is new enough (it may be that there is none)."""
    found = store.newest(tx, url)
    if found is None:
        return None, False
    card, at = found
    return (card.id if card is not None else None), tx.now - at < (KEPT if card is not None else FAILED_KEPT)


def keep(tx: Tx, url: str, preview: Preview | None, image: CardImage | None, size: int = 0) -> Id:
    """Keep what was read at an address; ``size`` is that of the picture's file in bytes."""
    if image is not None:
        media_store.put_file(tx, image.file, image.media_type, size)
    return store.insert(tx, url, preview, image)


def show(tx: Tx, site: Site, ident: Id, url: str, card: Id) -> bool:
    """Show a card with the post that wanted it, if it still links there; streams hear of it."""
    found = wish(tx, site, ident)
    if found is None or url not in found.urls or not store.attach(tx, ident, card):
        return False
    tx.notify(PostEdited(ident))
    return True


def prune(tx: Tx) -> int:
    """Forget cards that no post shows any more; how many."""
    found = store.unused(tx, Millis(tx.now - UNUSED_KEPT))
    store.delete(tx, [ident for ident, _ in found])
    media_store.trash(tx, [image for _, image in found if image is not None])
    return len(found)
