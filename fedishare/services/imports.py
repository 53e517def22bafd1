"""Imports: the tables that people take along from another server, read, and taken in line by line.

The forms are Mastodon's: with a head or without, columns in any order where there is a head. What comes in is added to
what is there; nothing is taken away.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec

from fedishare.model.actors import Actor
from fedishare.model.errors import BadInput, NotFound
from fedishare.model.ids import Domain, Id
from fedishare.services import interactions, lists, people, relations
from fedishare.services.site import Site
from fedishare.store import imports, jobs
from fedishare.store import lists as list_store
from fedishare.store.db import Tx
from fedishare.store.imports import Import
from fedishare.store.interactions import Kind

JOB = "import"
MAX_LINES, MAX_CELL = 20_000, 2_000
MAX_LANGUAGES = 50
AT_ONCE = 100
"""Lines of one job."""


_CODE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8}){0,4}\Z")


class Table(StrEnum):
    """What a table is about: Mastodon's words."""

    FOLLOWING = "following"
    BLOCKING = "blocking"
    MUTING = "muting"
    DOMAINS = "domain_blocking"
    BOOKMARKS = "bookmarks"
    LISTS = "lists"


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line: whom or what it is about, and what is said of it."""

    what: str
    title: str = ""
    boosts: bool = True
    notify: bool = False
    languages: tuple[str, ...] = ()
    hide: bool = True


class ImportJob(msgspec.Struct, frozen=True):
    """Some lines of a table; ``first`` is the number of lines before them."""

    import_id: int
    table: Table
    lines: tuple[Line, ...]
    first: int = 0


_HEADS: Mapping[Table, tuple[str, ...]] = {
    Table.FOLLOWING: ("account address", "show boosts", "notify on new posts", "languages"),
    Table.BLOCKING: ("account address",),
    Table.MUTING: ("account address", "hide notifications"),
    Table.DOMAINS: ("#domain",),
    Table.BOOKMARKS: ("#uri",),
    Table.LISTS: ("list name", "account address"),
}


def parse(table: Table, body: bytes) -> list[Line]:
    """The lines of a CSV file. Raises `BadInput` with Mastodon's wording."""
    try:
        rows = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput("Validation failed: Data is not a CSV file", path="data") from error
    rows = [[cell.strip() for cell in row] for row in rows if any(cell.strip() for cell in row)]
    names = _HEADS[table]
    if rows and rows[0][0].lower() in (names[0], names[0].removeprefix("#")):
        names, rows = tuple(cell.lower() for cell in rows[0]), rows[1:]
    if not rows:
        raise BadInput("Validation failed: Data is empty", path="data")
    if len(rows) > MAX_LINES:
        raise BadInput(f"Validation failed: Data contains more than {MAX_LINES} lines", path="data")
    if any(len(cell) > MAX_CELL or "\x00" in cell for row in rows for cell in row):
        raise BadInput("Validation failed: Data is not a CSV file", path="data")
    return [_line(table, dict(zip(names, row, strict=False))) for row in rows]


def _line(table: Table, row: Mapping[str, str]) -> Line:
    what = row.get(_HEADS[table][-1 if table is Table.LISTS else 0], "")
    codes = (code.strip() for code in row.get("languages", "").split(","))
    languages = tuple(dict.fromkeys(code for code in codes if _CODE.match(code)))[:MAX_LANGUAGES]
    return Line(
        what.removeprefix("@"), row.get("list name", ""), _flag(row, "show boosts", True),
        _flag(row, "notify on new posts", False), languages, _flag(row, "hide notifications", True),
    )  # fmt: skip


def _flag(row: Mapping[str, str], name: str, default: bool) -> bool:
    word = row.get(name, "").lower()
    return default if not word else word in ("true", "t", "1", "yes")


def begin(tx: Tx, actor: Id, table: Table, lines: Sequence[Line]) -> Import:
    """Take a table in: its lines become jobs, one after another. Raises `BadInput` while another one is on its way."""
    tx.lock(f"import:{actor}")
    if any(not each.is_over for each in imports.of_actor(tx, actor)):
        raise BadInput("another import is still on its way; come back when it is done")
    ident = imports.put(tx, actor, table.value, len(lines))
    for start in range(0, len(lines), AT_ONCE):
        job = ImportJob(ident, table, tuple(lines[start : start + AT_ONCE]), start)
        jobs.put(tx, JOB, msgspec.json.encode(job).decode(), lane=f"import:{actor}")
    found = imports.by_id(tx, ident)
    assert found is not None  # noqa: S101 — just written
    return found


def take_person(tx: Tx, site: Site, actor: Actor, table: Table, line: Line, target: Actor) -> None:
    """A line about somebody, by now known here. Raises what following, blocking and muting raise."""
    match table:
        case Table.FOLLOWING:
            relations.follow(
                tx, site, actor, target.id, boosts=line.boosts, notify=line.notify, languages=line.languages
            )
        case Table.BLOCKING:
            relations.block(tx, site, actor, target.id)
        case Table.MUTING:
            relations.mute(tx, actor, target.id, notifications=line.hide, expires_at=None)
        case _:
            _list(tx, actor.id, line.title, target.id)


def _list(tx: Tx, owner: Id, title: str, member: Id) -> None:
    tx.lock(f"lists:{owner}")
    known = [each for each in list_store.of_owner(tx, owner) if each.title == title]
    made = known[0] if known else lists.create(tx, owner, title)
    if member not in list_store.member_ids(tx, made.id):
        lists.add(tx, owner, made.id, [member])


def take_domain(tx: Tx, actor: Actor, text: str, ours: Domain) -> None:
    """A line about a domain. Raises `BadInput`."""
    people.block_domain(tx, actor, people.wanted_domain(text, ours=ours))


def take_bookmark(tx: Tx, actor: Actor, post: Id) -> None:
    """A line about a post, by now known here. Raises `NotFound` for one that the person may not see."""
    interactions.mark(tx, actor, post, Kind.BOOKMARK, True)


def owner(tx: Tx, ident: Id) -> Id:
    """Whose table it is. Raises `NotFound` when nobody wants it any more."""
    found = imports.by_id(tx, ident)
    if found is None:
        raise NotFound("Record not found")
    return found.actor_id
