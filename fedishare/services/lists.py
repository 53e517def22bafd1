"""Lists: what their owners do with them.

Only people that one follows (or has asked to) can be in a list, or oneself; who is unfollowed is in none. While
somebody is in an exclusive list, their posts stay out of the owner's home timeline: that is kept as a fact of the
follow, so that neither posting nor reading pays for it, and what is at home already goes when it begins and comes back
when it ends.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from fedishare.model.errors import BadInput, NotFound
from fedishare.model.ids import Id
from fedishare.store import lists, relations, timelines
from fedishare.store.db import Tx
from fedishare.store.lists import PeopleList

MAX_LISTS = 50
MAX_TITLE = 256
POLICIES = ("followed", "list", "none")


def own(tx: Tx, owner: Id, ident: Id) -> PeopleList:
    """A list of ``owner``'s own. Raises `NotFound`, for another person's too."""
    found = lists.get(tx, owner, ident)
    if found is None:
        raise NotFound("Record not found")
    return found


def create(tx: Tx, owner: Id, title: str, policy: str = "list", exclusive: bool = False) -> PeopleList:
    """A new, empty list. Raises `BadInput`."""
    _check(title, policy)
    tx.lock(f"lists:{owner}")
    if len(lists.of_owner(tx, owner)) >= MAX_LISTS:
        raise BadInput("Validation failed: You have reached the maximum number of lists")
    made = PeopleList(tx.new_id(), owner, title, policy, exclusive)
    lists.put(tx, made)
    return made


def change(
    tx: Tx, owner: Id, ident: Id, title: str | None = None, policy: str | None = None, exclusive: bool | None = None
) -> PeopleList:
    """Change what is given about a list. Raises `NotFound`, `BadInput`."""
    before = own(tx, owner, ident)
    made = replace(
        before,
        title=before.title if title is None else title,
        replies_policy=before.replies_policy if policy is None else policy,
        exclusive=before.exclusive if exclusive is None else exclusive,
    )
    _check(made.title, made.replies_policy)
    lists.put(tx, made)
    if made.exclusive != before.exclusive:
        settle_home(tx, owner, lists.member_ids(tx, ident))
    return made


def _check(title: str, policy: str) -> None:
    if not title.strip():
        raise BadInput("Validation failed: Title can't be blank", path="title")
    if len(title) > MAX_TITLE:
        raise BadInput(f"Validation failed: Title is too long (maximum is {MAX_TITLE} characters)", path="title")
    if policy not in POLICIES:
        raise BadInput(f"'{policy[:40]}' is not a valid replies_policy", path="replies_policy")


def delete(tx: Tx, owner: Id, ident: Id) -> None:
    """Delete a list. Raises `NotFound`."""
    own(tx, owner, ident)
    members = lists.member_ids(tx, ident)
    lists.drop(tx, ident)
    settle_home(tx, owner, members)


def add(tx: Tx, owner: Id, ident: Id, people: Iterable[Id]) -> None:
    """Put people into a list: all of them or none. Raises `NotFound` (not followed), `BadInput` (in it already)."""
    own(tx, owner, ident)
    chosen = list(people)
    for member in chosen:
        made = relations.follow(tx, owner, member)
        if made is None and member != owner:
            raise NotFound("Record not found")
        if not lists.add(tx, ident, member, made.id if made else None):
            raise BadInput("Validation failed: Account has already been taken", path="account_ids")
    settle_home(tx, owner, chosen)


def remove(tx: Tx, owner: Id, ident: Id, people: Iterable[Id]) -> None:
    """Take people out of a list; those who are not in it do not matter. Raises `NotFound` (the list)."""
    own(tx, owner, ident)
    settle_home(tx, owner, [member for member in people if lists.remove(tx, ident, member)])


def carry_over(tx: Tx, owner: Id, old: Id, new: Id, follow: Id) -> None:
    """Somebody moved: ``new``, whom the owner follows now, is in the lists in which ``old`` is."""
    known = lists.with_member(tx, owner, old)
    for each in known:
        lists.add(tx, each.id, new, follow)
    if known:
        settle_home(tx, owner, [new])


def settle_home(tx: Tx, owner: Id, members: Iterable[Id]) -> None:
    """The home timeline follows what exclusive lists say about these people now."""
    for member in members:
        home = lists.settle_home(tx, owner, member)
        if home:
            timelines.fill(tx, owner, member)
        elif home is not None:
            timelines.drop_author(tx, owner, member)
