"""Preview cards in the store. A card never changes: a page that is read again makes another one."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from fedishare.model.cards import Card, CardImage, Preview
from fedishare.model.ids import Id, Millis, iri_hash
from fedishare.store.audience import VISIBLE, WANTED
from fedishare.store.db import Row, Tx, sql
from fedishare.store.paging import Page, paged, rows

COLUMNS = "c.id, c.url, c.facts, c.fetched_at"
NEWEST = sql(
    "card_newest",
    f"""SELECT {COLUMNS}, c.found FROM card c WHERE c.url_hash = :hash AND c.url = :url
        ORDER BY c.id DESC LIMIT 1""",
)
INSERT = sql(
    "card_insert",
    """INSERT INTO card (id, url, url_hash, found, facts, image, fetched_at)
       VALUES (:id, :url, :hash, :found, :facts, :image, :now)""",
)
ATTACH = sql(
    "post_card_insert", "INSERT INTO post_card (post_id, card_id) VALUES (:post, :card) ON CONFLICT DO NOTHING"
)
DETACH = sql("post_card_delete", "DELETE FROM post_card WHERE post_id = :post")
TOUCH = sql("post_card_shown", "UPDATE post SET rev = rev + 1 WHERE id = :post")
OF_POSTS = sql(
    "cards_of_posts",
    f"SELECT pc.post_id, {COLUMNS} FROM post_card pc JOIN card c ON c.id = pc.card_id WHERE pc.post_id IN :ids[]",
)
BY_IDS = sql("cards_by_ids", f"SELECT {COLUMNS} FROM card c WHERE c.id IN :ids[]")
SEEN_IMAGE = sql(
    "card_image_seen",
    f"""SELECT 1 FROM card c JOIN post_card pc ON pc.card_id = c.id JOIN post p ON p.id = pc.post_id
        JOIN actor a ON a.id = p.author_id WHERE c.image = :name AND c.image IS NOT NULL AND {VISIBLE} LIMIT 1""",
)
SEEN = sql(
    "cards_seen",
    f"""SELECT DISTINCT pc.card_id FROM post_card pc JOIN post p ON p.id = pc.post_id JOIN actor a ON a.id = p.author_id
        WHERE pc.card_id IN :ids[] AND p.visibility = 0 AND a.state = 0 AND {VISIBLE} AND {WANTED}""",
)
LINK_PAGE = paged(
    "link_page",
    f"""SELECT p.id FROM card c JOIN post_card pc ON pc.card_id = c.id JOIN post p ON p.id = pc.post_id
        JOIN actor a ON a.id = p.author_id
        WHERE c.url_hash = :hash AND c.url = :url AND p.id < :before AND p.id > :after AND p.visibility = 0
        AND p.boost_of_id IS NULL AND a.state = 0 AND a.discoverable = 1 AND {VISIBLE} AND {WANTED}""",
    "p.id",
)
UNUSED = sql(
    "card_unused",
    """SELECT c.id, c.image FROM card c WHERE c.fetched_at < :before
       AND NOT EXISTS (SELECT 1 FROM post_card pc WHERE pc.card_id = c.id) ORDER BY c.fetched_at LIMIT :limit""",
)
DELETE = sql("card_delete", "DELETE FROM card WHERE id IN :ids[]")


class _Facts(msgspec.Struct, frozen=True, omit_defaults=True):
    preview: Preview
    image: CardImage | None = None


_facts_in = msgspec.json.Decoder(_Facts)
_encode = msgspec.json.Encoder().encode


def _from_row(row: Row) -> Card:
    ident, url, facts, fetched_at = row
    found = _facts_in.decode(facts)
    return Card(ident, url, found.preview, found.image, fetched_at)


def newest(tx: Tx, url: str) -> tuple[Card | None, Millis] | None:
    """What was read last at an address, and when; without a card if nothing was to be had. None: never asked."""
    row = tx.one(NEWEST, hash=iri_hash(url), url=url)
    if row is None:
        return None
    return (_from_row(row[:4]) if row[4] else None), row[3]


def insert(tx: Tx, url: str, preview: Preview | None, image: CardImage | None) -> Id:
    """Keep what a page says; or, without a preview, that nothing was to be had."""
    ident = tx.new_id()
    facts = _encode(_Facts(preview, image)).decode() if preview is not None else "{}"
    tx.run(
        INSERT, id=ident, url=url, hash=iri_hash(url), found=int(preview is not None), facts=facts,
        image=image.file if image is not None else None, now=tx.now,
    )  # fmt: skip
    return ident


def attach(tx: Tx, post: Id, card: Id) -> bool:
    """Show a card with a post; False when it has one."""
    if not tx.run(ATTACH, post=post, card=card):
        return False
    tx.run(TOUCH, post=post)
    return True


def detach(tx: Tx, post: Id) -> None:
    """Show no card with a post."""
    tx.run(DETACH, post=post)


def of_posts(tx: Tx, posts: Iterable[Id]) -> dict[Id, Card]:
    """The cards of posts, by the posts' ids."""
    wanted = list(posts)
    return {row[0]: _from_row(row[1:]) for row in tx.all(OF_POSTS, ids=wanted)} if wanted else {}


def by_ids(tx: Tx, idents: Iterable[Id]) -> dict[Id, Card]:
    """Cards by id; whoever asks decides who sees them."""
    wanted = list(idents)
    return {row[0]: _from_row(row) for row in tx.all(BY_IDS, ids=wanted)} if wanted else {}


def image_seen(tx: Tx, name: str, viewer: Id) -> bool:
    """Whether ``viewer`` may see a post that shows this picture in its card."""
    return tx.one(SEEN_IMAGE, name=name, viewer=viewer) is not None


def seen(tx: Tx, idents: Iterable[Id], viewer: Id) -> set[Id]:
    """Those of the cards that a public post shows which ``viewer`` may and wants to see."""
    wanted = list(idents)
    return {row[0] for row in tx.all(SEEN, ids=wanted, viewer=viewer, now=tx.now)} if wanted else set()


def link_page(tx: Tx, url: str, viewer: Id, page: Page) -> list[Id]:
    """Public posts of people who want to be found that show a card of this address, newest first."""
    found = rows(tx, LINK_PAGE, page, hash=iri_hash(url), url=url, viewer=viewer, now=tx.now)
    return [row[0] for row in found]


def unused(tx: Tx, before: Millis, limit: int = 500) -> list[tuple[Id, str | None]]:
    """Cards read before then that no post shows: (id, picture)."""
    return [(row[0], row[1]) for row in tx.all(UNUSED, before=before, limit=limit)]


def delete(tx: Tx, idents: Iterable[Id]) -> None:
    """Remove cards."""
    tx.run(DELETE, ids=list(idents))
