"""Queries of the public pages: what anybody may read, where the instance shows anything to anybody.

Apart from the queries for people and partners, because the reader is nobody: no follow, no mention, no domain.
"""

from __future__ import annotations

from fedishare.model.actors import Actor
from fedishare.model.ids import Handle, Id
from fedishare.model.posts import Post
from fedishare.store import actors, posts
from fedishare.store.audience import OPEN
from fedishare.store.db import Tx, sql

LAST = 2**63 - 1
OPEN_POST = sql(
    "open_post",
    f"SELECT p.id FROM post p JOIN actor a ON a.id = p.author_id WHERE p.id = :id AND p.boost_of_id IS NULL AND {OPEN}",
)
OPEN_PAGE = sql(
    "open_page",
    f"""SELECT p.id FROM post p JOIN actor a ON a.id = p.author_id
        WHERE p.author_id = :author AND p.id < :before AND p.boost_of_id IS NULL AND {OPEN}
        ORDER BY p.id DESC LIMIT :limit""",
)


def person(tx: Tx, name: str) -> Actor | None:
    """The local actor of exactly this name, unless it is suspended or deleted, or is the instance itself."""
    found = actors.by_handle(tx, Handle(name)) if name != actors.INSTANCE_ACTOR else None
    return found if found is not None and found.name == name and found.state < 2 else None


def profile(tx: Tx, name: str, before: int, limit: int) -> tuple[Actor, list[Post]] | None:
    """A local actor and a page of its posts that anybody may see, newest first."""
    found = person(tx, name)
    if found is None:
        return None
    idents = [row[0] for row in tx.all(OPEN_PAGE, author=found.id, before=before, limit=limit)]
    known = posts.by_ids(tx, idents)
    return found, [known[each] for each in idents if each in known]


def post(tx: Tx, name: str, ident: Id) -> tuple[Actor, Post] | None:
    """A post that anybody may see, under its author's name."""
    author = person(tx, name)
    found = posts.by_id(tx, ident) if tx.one(OPEN_POST, id=ident) is not None else None
    if author is None or found is None or found.author_id != author.id:
        return None
    return author, found
