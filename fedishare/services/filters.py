"""Filters: what their owners do with them, within limits that keep every timeline quick."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from fedishare.model.activities import FiltersChanged
from fedishare.model.errors import BadInput, NotFound
from fedishare.model.filters import Context, Filter, FilterAction, FilteredPost, Keyword
from fedishare.model.ids import Id, Millis
from fedishare.store import filters, posts
from fedishare.store.db import Tx

MAX_FILTERS, MAX_KEYWORDS, MAX_POSTS = 100, 500, 1000
"""For each person, over all filters."""
MAX_TITLE, MAX_PHRASE = 256, 512


@dataclass(frozen=True, slots=True)
class KeywordChange:
    """A keyword to add, or (with its ``id``) to change or remove. None leaves as it is."""

    id: Id | None = None
    phrase: str | None = None
    whole_word: bool | None = None
    remove: bool = False


@dataclass(frozen=True, slots=True)
class FilterDraft:
    """What a filter is to be."""

    title: str
    context: Context
    action: FilterAction = FilterAction.WARN
    expires_at: Millis | None = None


def _check(draft: FilterDraft) -> None:
    wrong = []
    if not draft.title.strip():
        wrong.append("Title can't be blank")
    if len(draft.title) > MAX_TITLE:
        wrong.append(f"Title is too long (maximum is {MAX_TITLE} characters)")
    if not draft.context:
        wrong += ["Context can't be blank", "Context None or invalid context supplied"]
    if wrong:
        raise BadInput(f"Validation failed: {', '.join(wrong)}", path=wrong[0].partition(" ")[0].lower())


def _phrase(text: str | None) -> str:
    found = (text or "").strip()
    if not found:
        raise BadInput("Validation failed: Keyword can't be blank", path="keyword")
    if len(found) > MAX_PHRASE:
        raise BadInput(f"Validation failed: Keyword is too long (maximum is {MAX_PHRASE} characters)", path="keyword")
    return found


def _changed(tx: Tx, owner: Id) -> None:
    """After every change: within the limits, and told to whoever keeps something of them. Raises `BadInput`."""
    for number, most, what in zip(
        filters.counts(tx, owner), (MAX_FILTERS, MAX_KEYWORDS, MAX_POSTS), ("filters", "keywords", "posts"), strict=True
    ):
        if number > most:
            raise BadInput(f"Validation failed: at most {most} {what} can be kept, these would be {number}")
    filters.touch(tx, owner)
    tx.notify(FiltersChanged(owner))


def _found(found: Filter | None) -> Filter:
    if found is None:
        raise NotFound("Record not found")
    return found


def own(tx: Tx, owner: Id, ident: Id) -> Filter:
    """A person's filter. Raises `NotFound`."""
    return _found(filters.get(tx, owner, ident))


def create(tx: Tx, owner: Id, draft: FilterDraft, keywords: Iterable[KeywordChange] = ()) -> Filter:
    """Add a filter. Raises `BadInput`, `NotFound`."""
    _check(draft)
    ident = filters.insert(tx, owner, draft.title, draft.context, draft.action, draft.expires_at)
    return change(tx, owner, ident, draft, keywords)


def change(tx: Tx, owner: Id, ident: Id, draft: FilterDraft, keywords: Iterable[KeywordChange] = ()) -> Filter:
    """Replace what a filter says of itself, and change keywords. Raises `BadInput`, `NotFound`."""
    _check(draft)
    found = own(tx, owner, ident)
    filters.update(tx, replace(
        found, title=draft.title, context=draft.context, action=draft.action, expires_at=draft.expires_at
    ))  # fmt: skip
    _change_keywords(tx, found, keywords)
    _changed(tx, owner)
    return own(tx, owner, ident)


def _change_keywords(tx: Tx, found: Filter, changes: Iterable[KeywordChange]) -> None:
    known = {keyword.id: keyword for keyword in found.keywords}
    for each in changes:
        if each.id is None:
            if not each.remove:
                filters.put_keyword(tx, found.id, _phrase(each.phrase), whole_word=each.whole_word is not False)
            continue
        keyword = known.get(each.id)
        if keyword is None:
            raise NotFound("Record not found")
        if each.remove:
            filters.drop_keywords(tx, [keyword.id])
        else:
            phrase = keyword.phrase if each.phrase is None else _phrase(each.phrase)
            whole = keyword.whole_word if each.whole_word is None else each.whole_word
            filters.set_keyword(tx, Keyword(keyword.id, phrase, whole))


def remove(tx: Tx, owner: Id, ident: Id) -> None:
    """Delete a filter. Raises `NotFound`."""
    if not filters.delete(tx, owner, ident):
        raise NotFound("Record not found")
    _changed(tx, owner)


def add_keyword(tx: Tx, owner: Id, ident: Id, phrase: str, *, whole_word: bool) -> Keyword:
    """Add a keyword to a filter. Raises `BadInput`, `NotFound`."""
    found = own(tx, owner, ident)
    phrase = _phrase(phrase)
    made = Keyword(filters.put_keyword(tx, found.id, phrase, whole_word=whole_word), phrase, whole_word)
    _changed(tx, owner)
    return made


def keyword(tx: Tx, owner: Id, ident: Id) -> tuple[Filter, Keyword]:
    """A person's keyword, and its filter. Raises `NotFound`."""
    found = _found(filters.of_keyword(tx, owner, ident))
    return found, next(each for each in found.keywords if each.id == ident)


def change_keyword(tx: Tx, owner: Id, wanted: KeywordChange) -> Keyword:
    """Change a keyword. Raises `BadInput`, `NotFound`."""
    ident = wanted.id or Id(0)
    _change_keywords(tx, keyword(tx, owner, ident)[0], [wanted])
    _changed(tx, owner)
    return keyword(tx, owner, ident)[1]


def remove_keyword(tx: Tx, owner: Id, ident: Id) -> None:
    """Delete a keyword. Raises `NotFound`."""
    filters.drop_keywords(tx, [keyword(tx, owner, ident)[1].id])
    _changed(tx, owner)


def add_post(tx: Tx, owner: Id, ident: Id, post: Id) -> FilteredPost:
    """Add a post that the person can see to a filter. Raises `BadInput`, `NotFound`."""
    found = own(tx, owner, ident)
    if posts.visible(tx, post, owner) is None:
        raise NotFound("Record not found")
    made = filters.put_post(tx, found.id, post)
    if made is None:
        raise BadInput("Validation failed: Status has already been taken", path="status_id")
    _changed(tx, owner)
    return FilteredPost(made, post)


def post(tx: Tx, owner: Id, ident: Id) -> FilteredPost:
    """A person's entry for a post. Raises `NotFound`."""
    found = _found(filters.of_post(tx, owner, ident))
    return next(each for each in found.posts if each.id == ident)


def remove_post(tx: Tx, owner: Id, ident: Id) -> FilteredPost:
    """Delete an entry for a post. Raises `NotFound`."""
    found = post(tx, owner, ident)
    filters.drop_post(tx, ident)
    _changed(tx, owner)
    return found


# One keyword as a filter of its own, as apps of Mastodon 3 have them


def create_single(tx: Tx, owner: Id, draft: FilterDraft, wanted: KeywordChange) -> tuple[Filter, Keyword]:
    """A filter with one keyword. Raises `BadInput`."""
    made = create(tx, owner, replace(draft, title=_phrase(wanted.phrase)[:MAX_TITLE]), [wanted])
    return made, made.keywords[0]


def change_single(
    tx: Tx, owner: Id, ident: Id, draft: FilterDraft, wanted: KeywordChange
) -> tuple[Filter, Keyword]:  # fmt: skip
    """Change a keyword and its filter, unless others share the filter. Raises `BadInput`, `NotFound`."""
    found, _ = keyword(tx, owner, ident)
    same = (found.context, found.action, found.expires_at) == (draft.context, draft.action, draft.expires_at)
    if len(found.keywords) > 1 and not same:
        raise BadInput(
            "Validation failed: These parameters cannot be changed from this application because they apply to more "
            "than one filter keyword. Use a more recent application or the web interface."
        )
    title = found.title if len(found.keywords) > 1 else _phrase(wanted.phrase)[:MAX_TITLE]
    change(tx, owner, found.id, replace(draft, title=title), [wanted])
    return keyword(tx, owner, ident)


def remove_single(tx: Tx, owner: Id, ident: Id) -> None:
    """Delete a keyword, and its filter when nothing is left in it. Raises `NotFound`."""
    found, _ = keyword(tx, owner, ident)
    if len(found.keywords) == 1 and not found.posts:
        remove(tx, owner, found.id)
    else:
        remove_keyword(tx, owner, ident)
