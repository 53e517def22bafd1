"""SQLite: one writer that puts many transactions under one durable commit, and a few readers.

Every connection lives in a thread of its own (aiosqlite's) and runs whole functions there. The writer drains its
queue: ``BEGIN IMMEDIATE``, a savepoint per function, one ``COMMIT`` with ``synchronous=FULL``, and only then are the
callers told. A disk flush is thus shared by everybody who is waiting for one. Short reads run in the event loop's
thread, on a connection of their own: the hop to another thread would cost more than the query.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar

import aiosqlite

from fedishare.model.errors import BadInput, ConfigError, Conflict, Unavailable
from fedishare.model.ids import Id, Millis
from fedishare.store import migrate
from fedishare.store.db import Database, Failed, Ids, Migration, Options, Row, Sql, Tx
from fedishare.store.dialect import Statements, translate

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger(__name__)

BATCH_SIZE = 256
BATCH_SECONDS = 0.02
INLINE_LOCK_SECONDS = 0.2
_WRITER = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA wal_autocheckpoint = 16384",
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA cache_size = -16384",
    "PRAGMA temp_store = MEMORY",
)
_READER = ("PRAGMA query_only = ON", "PRAGMA cache_size = -4096", "PRAGMA temp_store = MEMORY")
_FAULTS = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)


class Thread(aiosqlite.Connection):
    """A connection with a thread of its own."""

    async def call(self, fn: Callable[[], R]) -> R:
        """Run a function in the connection's thread; it runs whole, also when the caller is cancelled."""
        result: R = await self._execute(fn)  # type: ignore[no-untyped-call]
        return result

    @property
    def raw(self) -> sqlite3.Connection:
        """The driver's connection, for functions that run in `call`."""
        return self._conn

    async def open(self) -> None:
        """Connect. The thread does not keep a dying process alive: a commit is safe against that."""
        self._thread.daemon = True
        try:
            await self
        except BaseException:
            self.join()  # it is ending, and must not speak to a loop that is closed by then
            raise

    def join(self) -> None:
        """Wait for the thread's end."""
        self._thread.join(5)


class SqliteTx(Tx):
    """A transaction on one connection."""

    __slots__ = ("_connection", "_ids", "_statements")

    def __init__(
        self, connection: sqlite3.Connection, statements: Statements, now: Millis, ids: Ids | None = None
    ) -> None:
        self._connection = connection
        self._statements = statements
        self._ids = ids
        self.now = now
        self.notices = []

    def new_id(self) -> Id:
        if self._ids is None:
            raise TypeError("ids are made in Database.write only, because a read is not durable")
        return self._ids.next(self.now)

    def all(self, query: Sql, /, **params: Any) -> list[Row]:
        statement = self._statements[query]
        return self._connection.execute(statement.text, statement.bind(params)).fetchall()

    def one(self, query: Sql, /, **params: Any) -> Row | None:
        statement = self._statements[query]
        row: Row | None = self._connection.execute(statement.text, statement.bind(params)).fetchone()
        return row

    def run(self, query: Sql, /, **params: Any) -> int:
        statement = self._statements[query]
        cursor = self._connection.execute(statement.text, statement.bind(params))
        if cursor.description is not None:  # RETURNING: the count is known after the last row
            cursor.fetchall()
        return max(cursor.rowcount, 0)

    def many(self, query: Sql, rows: Iterable[Mapping[str, Any]], /) -> None:
        statement = self._statements[query]
        self._connection.executemany(statement.text, map(statement.bind, rows))

    def lock(self, name: str) -> None:
        """Nothing to do: there is one writer."""

    def ddl(self, statement: str) -> None:
        self._connection.execute(statement)


class Job(NamedTuple):
    """A function that waits for the writer, and who waits for it."""

    work: Callable[[Tx], Any]
    future: asyncio.Future[Any]


class Batch(NamedTuple):
    """Functions of one commit, what each of them returned (or `Failed`), and the notices of those that did not fail.
    ``fault``: why it could not be committed."""

    jobs: list[Job]
    outcomes: list[Any]
    notices: list[object]
    fault: BaseException | None = None


class SqliteDatabase(Database):
    """One file."""

    dialect = "sqlite"

    def __init__(self, path: Path, options: Options, migrations: Sequence[Migration]) -> None:
        super().__init__(options, migrations)
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._statements = Statements("sqlite")
        self._ids = Ids(0, 0)
        self._node = 0
        self._queue: deque[Job] = deque()
        self._draining = False
        self._drains: set[asyncio.Task[None]] = set()
        self._closed = False
        self._data_version: int | None = None
        self._foreign = False
        self._writer = self._thread(_WRITER)
        self._readers = [self._thread(_READER) for _ in range(max(1, options.readers))]
        self._waiting = dict.fromkeys(self._readers, 0)
        self._opened: list[Thread] = []
        self._inline: sqlite3.Connection | None = None

    def _thread(self, pragmas: tuple[str, ...]) -> Thread:
        return Thread(partial(_connect, self._path, pragmas, self.options.lock_timeout), iter_chunk_size=64)

    async def open(self) -> None:
        """Connect and read the bookkeeping. Raises `ConfigError` for a file that we cannot use."""
        try:
            for thread in (self._writer, *self._readers):
                await thread.open()
                self._opened.append(thread)
            self._inline = _connect(self._path, _READER, INLINE_LOCK_SECONDS)
            mark, opened = await self.write(migrate.start, "sqlite", self.migrations)
            self._node = opened % 64  # apart from what a command does meanwhile in a process of its own
            self._ids = Ids(self._node, mark)
        except BaseException:
            await self.close()
            raise

    # reading

    async def read(self, fn: Callable[Concatenate[Tx, P], R], /, *args: P.args, **kw: P.kwargs) -> R:
        self._check_open()
        reader = min(self._readers, key=self._waiting.__getitem__)
        self._waiting[reader] += 1
        try:
            return await reader.call(partial(self._snapshot, reader.raw, lambda tx: fn(tx, *args, **kw)))
        finally:
            self._waiting[reader] -= 1

    def read_now(self, fn: Callable[Concatenate[Tx, P], R], /, *args: P.args, **kw: P.kwargs) -> R:
        if self._inline is None:
            raise Unavailable("the database is closed")
        return self._snapshot(self._inline, lambda tx: fn(tx, *args, **kw))

    async def read_fast(self, fn: Callable[Concatenate[Tx, P], R], /, *args: P.args, **kw: P.kwargs) -> R:
        return self.read_now(fn, *args, **kw)

    def _snapshot(self, connection: sqlite3.Connection, work: Callable[[Tx], R]) -> R:
        connection.execute("BEGIN")
        try:
            return work(SqliteTx(connection, self._statements, self.options.clock()))
        except BaseException as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_READONLY:
                raise TypeError("a read cannot change anything; use Database.write") from error
            explained = _explained(error)
            if explained is error:
                raise
            raise explained from error
        finally:
            connection.rollback()

    # writing

    async def write(self, fn: Callable[Concatenate[Tx, P], R], /, *args: P.args, **kw: P.kwargs) -> R:
        self._check_open()
        if len(self._queue) >= self.options.queue_limit:
            raise Unavailable("too many changes are waiting for the disk; try again in half a minute")
        job = Job(lambda tx: fn(tx, *args, **kw), self._loop.create_future())
        self._queue.append(job)
        if not self._draining:
            self._draining = True
            drain = self._loop.create_task(self._writer.call(self._drain))
            self._drains.add(drain)
            drain.add_done_callback(self._drains.discard)
        result: R = await job.future
        return result

    def _drain(self) -> None:
        """In the writer's thread: batch after batch, until nobody waits."""
        while True:
            while self._queue:
                batch = self._batch()
                self._loop.call_soon_threadsafe(self._settle, batch)
            self._draining = False
            if not self._queue:  # asked again after the flag: whoever came in between saw it set, and woke nobody
                return

    def _batch(self) -> Batch:
        """One commit. Whatever happens, everybody in the batch gets an answer."""
        connection = self._writer.raw
        batch = Batch([], [], [])
        try:
            connection.execute("BEGIN IMMEDIATE")
            self._look()
            before = self._ids.last
            end = time.monotonic() + BATCH_SECONDS
            while self._queue and len(batch.jobs) < BATCH_SIZE and (not batch.jobs or time.monotonic() < end):
                self._run(connection, self._queue.popleft(), batch)
            mark = self._ids.due(self.options.clock()) if self._ids.last != before else None
            if mark is not None:
                SqliteTx(connection, self._statements, Millis(0)).run(migrate.SET_MARK, node=self._node, mark=mark)
            connection.execute("COMMIT")
        except BaseException as error:
            return self._abandon(connection, batch, error)
        if mark is not None:
            self._ids.mark = mark
        return batch

    def _run(self, connection: sqlite3.Connection, job: Job, batch: Batch) -> None:
        """One function. If it raises, its own changes go; if that is the machine's fault, the whole batch does."""
        batch.jobs.append(job)
        tx = SqliteTx(connection, self._statements, self.options.clock(), self._ids)
        first = len(batch.jobs) == 1  # before it there is nothing to keep, so it needs no savepoint
        if not first:
            connection.execute("SAVEPOINT one")
        try:
            result = job.work(tx)
        except BaseException as error:
            if _is_fault(error) or not connection.in_transaction:
                raise
            if first:
                connection.execute("ROLLBACK")
                connection.execute("BEGIN IMMEDIATE")
            else:
                connection.execute("ROLLBACK TO one")
                connection.execute("RELEASE one")
            batch.outcomes.append(Failed(_explained(error)))
            return
        if not first:
            connection.execute("RELEASE one")
        batch.outcomes.append(result)
        batch.notices.extend(tx.notices)

    def _abandon(self, connection: sqlite3.Connection, batch: Batch, error: BaseException) -> Batch:
        """Undo a batch that could not be committed."""
        try:
            connection.rollback()
        except sqlite3.Error:
            log.exception("the rollback of a failed batch failed")
        log.debug("a batch of %d changes was not committed: %s", len(batch.jobs), error)
        if not batch.jobs:  # it could not even begin; whoever waits has waited long enough
            batch.jobs.extend(self._queue.popleft() for _ in range(len(self._queue)))
        outcomes = [
            outcome if isinstance(outcome, Failed) else Failed(_lost(error))
            for outcome in (*batch.outcomes, *([None] * (len(batch.jobs) - len(batch.outcomes))))
        ]
        return Batch(batch.jobs, outcomes, [], error)

    def _settle(self, batch: Batch) -> None:
        """In the loop's thread: tell the callers, then the subscribers."""
        self._note(batch.fault)
        for job, outcome in zip(batch.jobs, batch.outcomes, strict=True):
            if job.future.done():  # the caller was cancelled; the function has run all the same
                continue
            if isinstance(outcome, Failed):
                job.future.set_exception(outcome.error)
            else:
                job.future.set_result(outcome)
        self._deliver(batch.notices)

    # the rest

    def _look(self) -> None:
        """Note whether the file was changed by a connection that is not ours: only then this number moves."""
        (version,) = self._writer.raw.execute("PRAGMA data_version").fetchone()
        if version != self._data_version:
            self._foreign = self._foreign or self._data_version is not None
            self._data_version = version

    async def changed_elsewhere(self) -> bool:
        self._check_open()
        if not self._draining:  # else each batch looks
            await self._writer.call(self._look)
        changed, self._foreign = self._foreign, False
        return changed

    async def explain(self, query: Sql) -> list[str]:
        self._check_open()
        reader, statement = self._readers[0], translate(query.text, "sqlite")

        def plan() -> list[str]:
            values = statement.bind(dict.fromkeys(statement.names))
            return [row[3] for row in reader.raw.execute(f"EXPLAIN QUERY PLAN {statement.text}", values)]

        return await reader.call(plan)

    def used(self) -> frozenset[str]:
        return frozenset(query.name for query in self._statements)

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the database is closed")

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._writer in self._opened:
            while self._drains:
                await asyncio.wait(self._drains)
            await self._writer.call(self._settle_mark)
        if self._inline is not None:
            self._inline.close()
            self._inline = None
        while self._opened:
            thread = self._opened.pop()
            await thread.close()
            thread.join()

    def _settle_mark(self) -> None:
        """At an orderly end the mark is exact, so that the next start does not have to skip ahead."""
        if self._ids.mark > self._ids.last:
            tx = SqliteTx(self._writer.raw, self._statements, Millis(0))
            with contextlib.suppress(sqlite3.Error):
                tx.run(migrate.LOWER_MARK, node=self._node, mark=self._ids.last)


def _connect(path: Path, pragmas: tuple[str, ...], lock_timeout: float) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=lock_timeout, cached_statements=1024)
    end = time.monotonic() + lock_timeout
    try:
        for pragma in pragmas:
            while True:
                try:
                    answer = connection.execute(pragma).fetchone()
                    break
                except sqlite3.OperationalError as error:  # several first openings at once: SQLite does not wait here
                    if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                        raise
                    time.sleep(0.01)
            if "journal_mode" in pragma and answer != ("wal",):
                raise ConfigError(f"database.url: {path} cannot use a write-ahead log; is it on a network drive?")
    except BaseException:
        connection.close()
        raise
    return connection


def _is_fault(error: BaseException) -> bool:
    """Whether the machine is to blame, not the function or its values."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, MemoryError) or (code is not None and code & 0xFF in _FAULTS)


def _explained(error: BaseException) -> BaseException:
    """The driver's exception in our words; anything else as it is."""
    if _is_fault(error):
        return _lost(error)
    if isinstance(error, sqlite3.IntegrityError):
        return _caused(Conflict(f"the change collides with what is stored: {error}"), error)
    if isinstance(error, (sqlite3.DataError, OverflowError, UnicodeEncodeError)):
        return _caused(BadInput(f"a value cannot be stored: {error}"), error)
    if isinstance(error, StopIteration) or not isinstance(error, Exception):  # these would end the event loop
        return _caused(RuntimeError(f"a transaction function raised {type(error).__name__}"), error)
    return error


def _lost(error: BaseException) -> Unavailable:
    found = Unavailable("the database cannot take changes at the moment, nothing was changed")
    found.__cause__ = error
    return found


def _caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


async def open_engine(url: str, options: Options, migrations: Sequence[Migration] | None) -> Database:
    """Open the file of a ``sqlite:///absolute/path`` URL; it is made, readable by its owner only, if it is missing."""
    path = Path("/" + url.removeprefix("sqlite:").lstrip("/"))
    if not url.startswith("sqlite:///") or path.name in ("", ":memory:"):
        raise ConfigError(f"database.url: sqlite:///absolute/path/to/file was expected, found {url!r}")
    try:
        with contextlib.suppress(FileExistsError):  # closing a file that is in use would drop SQLite's locks on it
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        database = SqliteDatabase(path, options, migrate.packaged() if migrations is None else migrations)
        await database.open()
    except OSError as error:
        raise ConfigError(f"database.url: {path} cannot be opened: {error.strerror}") from error
    except sqlite3.Error as error:
        raise ConfigError(f"database.url: {path} is no database that can be used: {error}") from error
    return database
