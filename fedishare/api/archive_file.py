"""The file of an archive: written page by page, so that a hundred thousand posts need no more memory than a few.

ActivityPub documents (``actor.json``, ``outbox.json``, ``likes.json``, ``bookmarks.json``), the tables that Mastodon
imports (``*.csv``), and the files that the person uploaded.
"""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import msgspec

from fedishare.activitypub import writer
from fedishare.activitypub.addressing import addressing_of
from fedishare.activitypub.jsonld import OBJECT_CONTEXT
from fedishare.media.files import Folder
from fedishare.model.actors import Actor, ActorKey
from fedishare.model.ids import Id
from fedishare.model.names import Names
from fedishare.services import quotes
from fedishare.store import actors, archives, people, posts, relations
from fedishare.store import media as media_store
from fedishare.store.db import Database, Row, Tx
from fedishare.store.interactions import Kind
from fedishare.store.paging import Page

PAGE = 200
LAST = 2**63 - 1
T = TypeVar("T")
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """Writes one person's archive to ``path``."""

    database: Database
    names: Names
    folder: Folder
    actor: Actor
    path: Path

    async def write(self) -> None:
        """All of it. Raises `OSError` when the disk does not take it."""
        opened = await asyncio.to_thread(ZipFile, self.path, "w", ZIP_DEFLATED)
        try:
            await self._documents(opened)
            await self._tables(opened)
            await self._files(opened)
        finally:
            await asyncio.to_thread(opened.close)

    # Documents

    async def _documents(self, opened: ZipFile) -> None:
        keys = await self.database.read(_keys, self.actor)
        document = writer.actor_document(self.actor, keys, names=self.names)
        files = {name: f"media/{Path(name).name}" for name in await self._own_names()}
        for word in ("icon", "image"):
            image = document.get(word)
            if isinstance(image, dict):
                name = str(image["url"]).rpartition("/")[2]
                document[word] = {**image, "url": files.get(name, image["url"])}
        await asyncio.to_thread(opened.writestr, "actor.json", _encode(document))
        await self._collection(opened, "outbox.json", self._activities())
        await self._collection(opened, "likes.json", self._marked(Kind.FAVOURITE))
        await self._collection(opened, "bookmarks.json", self._marked(Kind.BOOKMARK))

    async def _collection(self, opened: ZipFile, name: str, parts: AsyncIterator[list[bytes]]) -> None:
        """An OrderedCollection, oldest first; how many there are stands at the end, when it is known."""
        total = 0
        head = _encode({"@context": OBJECT_CONTEXT, "id": name, "type": "OrderedCollection"})[:-1]
        with opened.open(name, "w", force_zip64=True) as member:
            await asyncio.to_thread(member.write, head + b',"orderedItems":[')
            async for items in parts:
                joined = b",".join(items)
                await asyncio.to_thread(member.write, (b"," if total else b"") + joined)
                total += len(items)
            await asyncio.to_thread(member.write, b'],"totalItems":%d}' % total)

    async def _activities(self) -> AsyncIterator[list[bytes]]:
        after = 0
        while found := await self.database.read(self._activity_page, after):
            yield [body for _, body in found]
            after = found[-1][0]

    def _activity_page(self, tx: Tx, after: int) -> list[tuple[Id, bytes]]:
        idents = archives.posts(tx, self.actor.id, after, PAGE)
        known = posts.by_ids(tx, idents)
        boosted = posts.by_ids(tx, [p.boost_of_id for p in known.values() if p.boost_of_id is not None])
        found: list[tuple[Id, bytes]] = []
        for ident in idents:
            post = known[ident]
            to, cc = addressing_of(post, self.actor, post.content.mentions, public_addressing=True)
            if post.boost_of_id is None:
                consent = quotes.note_consent_for(tx, post, self.actor.id)
                made = writer.create(writer.note(post, self.actor, names=self.names, to=to, cc=cc, consent=consent))
            else:
                iri = boosted[post.boost_of_id].iri
                made = writer.announce(post.iri, self.actor.iri, iri, published=post.published, to=to, cc=cc)
            found.append((ident, _encode(made)))
        return found

    async def _marked(self, kind: Kind) -> AsyncIterator[list[bytes]]:
        async for rows in self._pages(partial(_marked_page, kind)):
            yield [_encode(row[1]) for row in rows]

    # Tables

    async def _tables(self, opened: ZipFile) -> None:
        follows = ("Account address", "Show boosts", "Notify on new posts", "Languages")
        await self._table(opened, "following.csv", follows, archives.following, self._follow_row)
        await self._table(opened, "lists.csv", (), archives.listed, lambda row: (row[1], self._acct(row[2], row[3])))
        await self._table(
            opened, "mutes.csv", ("Account address", "Hide notifications"), _muted_page,
            lambda row: (self._acct(row[1], row[2]), _word(row[3])),
        )  # fmt: skip
        await self._table(opened, "blocks.csv", (), _blocked_page, lambda row: (self._acct(row[1], row[2]),))
        await self._table(opened, "bookmarks.csv", (), partial(_marked_page, Kind.BOOKMARK), lambda row: (row[1],))
        await self._table(opened, "domain_blocks.csv", (), _domains_page, lambda row: (row[1],))

    def _follow_row(self, row: Row) -> tuple[str, ...]:
        _, name, domain, boosts, notify, languages = row
        return (self._acct(name, domain), _word(boosts), _word(notify), (languages or "").replace(",", ", "))

    def _acct(self, name: str, domain: str | None) -> str:
        return f"{name}@{domain or self.names.domain}"

    async def _table(
        self, opened: ZipFile, name: str, head: Sequence[str], listing: Callable[[Tx, Id, int, int], Sequence[Row]],
        line: Callable[[Row], Sequence[str]],
    ) -> None:  # fmt: skip
        with opened.open(name, "w") as member:
            if head:
                await asyncio.to_thread(member.write, _lines([head]))
            async for rows in self._pages(listing):
                await asyncio.to_thread(member.write, _lines(line(row) for row in rows))

    async def _pages(self, listing: Callable[[Tx, Id, int, int], Sequence[Row]]) -> AsyncIterator[Sequence[Row]]:
        after = 0
        while rows := await self.database.read(listing, self.actor.id, after, PAGE):
            yield rows
            after = rows[-1][0]

    # Files

    async def _own_names(self) -> list[str]:
        return await self.database.read(media_store.files_of_actor, self.actor.id)

    async def _files(self, opened: ZipFile) -> None:
        for name in await self._own_names():
            await asyncio.to_thread(self._file, opened, name)
        async for rows in self._pages(archives.files):
            for _, name in rows:
                await asyncio.to_thread(self._file, opened, name)

    def _file(self, opened: ZipFile, name: str) -> None:
        source = self.folder.local(name)
        if source.is_file():  # it may be deleted at this moment
            opened.write(source, f"media/{name}", ZIP_STORED)


def _keys(tx: Tx, actor: Actor) -> tuple[ActorKey, ...]:
    return actors.keys_of(tx, actor)


def _marked_page(kind: Kind, tx: Tx, actor: Id, after: int, limit: int) -> Sequence[Row]:
    return archives.marked(tx, actor, int(kind), after, limit)


def _muted_page(tx: Tx, actor: Id, after: int, limit: int) -> Sequence[Row]:
    found = relations.mutes(tx, actor, Page(LAST, after, limit, upwards=True))[::-1]
    hidden = relations.relationships(tx, actor, [each.id for _, _, each in found])
    return [(place, each.name, each.domain, hidden[each.id].muting_notifications) for place, _, each in found]


def _blocked_page(tx: Tx, actor: Id, after: int, limit: int) -> Sequence[Row]:
    found = relations.blocks(tx, actor, Page(LAST, after, limit, upwards=True))[::-1]
    return [(place, each.name, each.domain) for place, each in found]


def _domains_page(tx: Tx, actor: Id, after: int, limit: int) -> Sequence[Row]:
    return people.blocked_domains(tx, actor, Page(LAST, after, limit, upwards=True))[::-1]


def _word(value: object) -> str:
    return "true" if value else "false"


def _lines(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
