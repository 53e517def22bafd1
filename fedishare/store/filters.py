"""Filters in the store: what each person does not want to read. A revision tells when what is kept of them is old."""

from __future__ import annotations

from collections.abc import Iterable

from fedishare.model.filters import Context, Filter, FilterAction, FilteredPost, Keyword
from fedishare.model.ids import Id, Millis
from fedishare.store.db import Row, Tx, sql

_COLUMNS = "f.id, f.owner_id, f.title, f.context, f.action, f.expires_at"

OF_OWNER = sql("filters_of", f"SELECT {_COLUMNS} FROM filter f WHERE f.owner_id = :owner ORDER BY f.id")
GET = sql("filter_get", f"SELECT {_COLUMNS} FROM filter f WHERE f.id = :id AND f.owner_id = :owner")
KEYWORDS = sql(
    "filter_keywords",
    """SELECT k.filter_id, k.id, k.keyword, k.whole_word FROM filter_keyword k
       WHERE k.filter_id IN :ids[] ORDER BY k.id""",
)
POSTS = sql(
    "filter_posts",
    "SELECT s.filter_id, s.id, s.post_id FROM filter_status s WHERE s.filter_id IN :ids[] ORDER BY s.id",
)
OF_KEYWORD = sql(
    "filter_of_keyword",
    f"""SELECT {_COLUMNS} FROM filter_keyword k JOIN filter f ON f.id = k.filter_id
        WHERE k.id = :id AND f.owner_id = :owner""",
)
OF_POST = sql(
    "filter_of_status",
    f"""SELECT {_COLUMNS} FROM filter_status s JOIN filter f ON f.id = s.filter_id
        WHERE s.id = :id AND f.owner_id = :owner""",
)
COUNT = sql("filter_count", "SELECT count(*) FROM filter WHERE owner_id = :owner")
COUNT_KEYWORDS = sql(
    "filter_keyword_count",
    "SELECT count(*) FROM filter f JOIN filter_keyword k ON k.filter_id = f.id WHERE f.owner_id = :owner",
)
COUNT_POSTS = sql(
    "filter_status_count",
    "SELECT count(*) FROM filter f JOIN filter_status s ON s.filter_id = f.id WHERE f.owner_id = :owner",
)
INSERT = sql(
    "filter_insert",
    """INSERT INTO filter (id, owner_id, title, context, action, expires_at)
       VALUES (:id, :owner, :title, :context, :action, :expires)""",
)
UPDATE = sql(
    "filter_update",
    """UPDATE filter SET title = :title, context = :context, action = :action, expires_at = :expires
       WHERE id = :id AND owner_id = :owner""",
)
DELETE = sql("filter_delete", "DELETE FROM filter WHERE id = :id AND owner_id = :owner")
PUT_KEYWORD = sql(
    "filter_keyword_put",
    "INSERT INTO filter_keyword (id, filter_id, keyword, whole_word) VALUES (:id, :filter, :keyword, :whole)",
)
SET_KEYWORD = sql(
    "filter_keyword_set", "UPDATE filter_keyword SET keyword = :keyword, whole_word = :whole WHERE id = :id"
)
DROP_KEYWORD = sql("filter_keyword_drop", "DELETE FROM filter_keyword WHERE id = :id")
PUT_POST = sql(
    "filter_status_put",
    "INSERT INTO filter_status (id, filter_id, post_id) VALUES (:id, :filter, :post) ON CONFLICT DO NOTHING",
)
DROP_POST = sql("filter_status_drop", "DELETE FROM filter_status WHERE id = :id")
TOUCH = sql(
    "filter_revision_put",
    """INSERT INTO filter_revision (owner_id, rev) VALUES (:owner, :rev)
       ON CONFLICT (owner_id) DO UPDATE SET rev = excluded.rev""",
)
FORGET = sql("filters_forget", "DELETE FROM filter WHERE owner_id = :owner")
FORGET_REVISION = sql("filter_revision_forget", "DELETE FROM filter_revision WHERE owner_id = :owner")


def _whole(tx: Tx, found: list[Row]) -> list[Filter]:
    idents = [row[0] for row in found]
    keywords: dict[Id, list[Keyword]] = {ident: [] for ident in idents}
    posts: dict[Id, list[FilteredPost]] = {ident: [] for ident in idents}
    if idents:
        for owner, ident, phrase, whole in tx.all(KEYWORDS, ids=idents):
            keywords[owner].append(Keyword(ident, phrase, bool(whole)))
        for owner, ident, post in tx.all(POSTS, ids=idents):
            posts[owner].append(FilteredPost(ident, post))
    return [
        Filter(ident, owner, title, Context(context), FilterAction(action), expires, tuple(keywords[ident]),
               tuple(posts[ident]))
        for ident, owner, title, context, action, expires in found
    ]  # fmt: skip


def _one(tx: Tx, row: Row | None) -> Filter | None:
    return _whole(tx, [row])[0] if row is not None else None


def of_owner(tx: Tx, owner: Id) -> list[Filter]:
    """A person's filters, the oldest first."""
    return _whole(tx, tx.all(OF_OWNER, owner=owner))


def get(tx: Tx, owner: Id, ident: Id) -> Filter | None:
    """One filter of ``owner``."""
    return _one(tx, tx.one(GET, id=ident, owner=owner))


def of_keyword(tx: Tx, owner: Id, ident: Id) -> Filter | None:
    """The filter of ``owner`` that has the keyword."""
    return _one(tx, tx.one(OF_KEYWORD, id=ident, owner=owner))


def of_post(tx: Tx, owner: Id, ident: Id) -> Filter | None:
    """The filter of ``owner`` that has the entry ``ident`` for a post."""
    return _one(tx, tx.one(OF_POST, id=ident, owner=owner))


def counts(tx: Tx, owner: Id) -> tuple[int, int, int]:
    """How many filters, keywords and posts a person has in them."""
    return (
        int(tx.value(COUNT, owner=owner)), int(tx.value(COUNT_KEYWORDS, owner=owner)),
        int(tx.value(COUNT_POSTS, owner=owner)),
    )  # fmt: skip


def insert(
    tx: Tx, owner: Id, title: str, context: Context, action: FilterAction, expires_at: Millis | None
) -> Id:  # fmt: skip
    """Add an empty filter."""
    ident = tx.new_id()
    tx.run(
        INSERT, id=ident, owner=owner, title=title, context=int(context), action=int(action), expires=expires_at
    )  # fmt: skip
    return ident


def update(tx: Tx, found: Filter) -> None:
    """Write what a filter says of itself."""
    tx.run(
        UPDATE, id=found.id, owner=found.owner_id, title=found.title, context=int(found.context),
        action=int(found.action), expires=found.expires_at,
    )  # fmt: skip


def delete(tx: Tx, owner: Id, ident: Id) -> bool:
    """Remove a filter; False when ``owner`` has none of that id."""
    return tx.run(DELETE, id=ident, owner=owner) > 0


def forget(tx: Tx, owner: Id) -> None:
    """Remove all filters of a person that is gone."""
    tx.run(FORGET, owner=owner)
    tx.run(FORGET_REVISION, owner=owner)


def put_keyword(tx: Tx, filter_id: Id, phrase: str, *, whole_word: bool) -> Id:
    """Add a keyword."""
    ident = tx.new_id()
    tx.run(PUT_KEYWORD, id=ident, filter=filter_id, keyword=phrase, whole=int(whole_word))
    return ident


def set_keyword(tx: Tx, keyword: Keyword) -> None:
    """Write a keyword."""
    tx.run(SET_KEYWORD, id=keyword.id, keyword=keyword.phrase, whole=int(keyword.whole_word))


def drop_keywords(tx: Tx, idents: Iterable[Id]) -> None:
    """Remove keywords."""
    for ident in idents:
        tx.run(DROP_KEYWORD, id=ident)


def put_post(tx: Tx, filter_id: Id, post: Id) -> Id | None:
    """Add a post; None when it is there."""
    ident = tx.new_id()
    return ident if tx.run(PUT_POST, id=ident, filter=filter_id, post=post) else None


def drop_post(tx: Tx, ident: Id) -> None:
    """Remove a post from a filter."""
    tx.run(DROP_POST, id=ident)


def touch(tx: Tx, owner: Id) -> None:
    """A person's filters have changed: the revision is one that was never before."""
    tx.run(TOUCH, owner=owner, rev=tx.new_id())
