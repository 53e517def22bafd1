"""PostgreSQL: the same plain functions, on a few threads with a connection each.

Every write is a transaction of its own at READ COMMITTED, run again after a deadlock, a serialization failure or a
lost connection, as long as its commit has not been sent. Values come back as integers, text and bytes, as they do
from SQLite. One more connection, the line, tells other processes about our notices and hears theirs (``NOTIFY``). It
also holds a lock on this process's node number, so that no two processes make the same ids.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

import psycopg
from psycopg import errors

from fedishare.model.errors import BadInput, ConfigError, Conflict, Unavailable
from fedishare.model.ids import Id, Millis
from fedishare.store import migrate
from fedishare.store.db import Database, Failed, Ids, Migration, Options, Row, Sql, Tx
from fedishare.store.dialect import Statement, Statements, translate
from fedishare.store.line import TEXT_BYTES, Line, size
from fedishare.store.postgres_session import Result, Session
from fedishare.store.threads import Done, Pool

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger(__name__)

WRITERS = 4
ATTEMPTS = 12
NODES = 64
NODE_LOCK = 1717920883  # the class of the advisory locks on node numbers: "feds"
SERVER = Sql("server_facts", "SELECT current_setting('server_version_num'), current_setting('server_encoding')")
SNAPSHOT = Sql("server_snapshot", "SELECT CAST(pg_current_snapshot() AS text)")
LOCK_NODE = Sql("lock_node", "SELECT pg_try_advisory_lock(CAST(:class AS int4), CAST(:node AS int4))")
LOCK = Sql("advisory_lock", "SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
CHANNEL = Sql("channel", "SELECT 'fedishare_' || md5(current_schema())")
TELL = Sql("tell", "SELECT pg_notify(:channel, :payload)")
SETTINGS = (
    "SET synchronous_commit = on",
    "SET idle_in_transaction_session_timeout = '60s'",
    "SET jit = off",  # our queries are short: compiling one takes longer than running it
)


class PostgresTx(Tx):
    """A transaction on one session."""

    __slots__ = ("_ids", "_session", "_statements")

    def __init__(self, session: Session, statements: Statements, now: Millis, ids: Ids | None = None) -> None:
        self._session = session
        self._statements = statements
        self._ids = ids
        self.now = now
        self.notices = []

    def new_id(self) -> Id:
        if self._ids is None:
            raise TypeError("ids are made in Database.write only, because a read is not durable")
        return self._ids.next(self.now)

    def _execute(self, query: Sql, params: Mapping[str, Any]) -> Result:
        statement = self._statements[query]
        return self._session.execute(statement.text, statement.bind(params))

    def all(self, query: Sql, /, **params: Any) -> list[Row]:
        return self._execute(query, params).rows()

    def one(self, query: Sql, /, **params: Any) -> Row | None:
        return self._execute(query, params).row()

    def run(self, query: Sql, /, **params: Any) -> int:
        return self._execute(query, params).count

    def many(self, query: Sql, rows: Iterable[Mapping[str, Any]], /) -> None:
        statement = self._statements[query]
        values = [statement.bind(row) for row in rows]
        if statement.multiple is None:
            for row in values:
                self._session.execute(statement.text, row)
            return
        done = 0
        while left := len(values) - done:
            count = next(chunk for chunk in (64, 16, left) if chunk <= left)
            flat = [value for row in values[done : done + count] for value in row]
            self._session.execute(statement.multiple(count), flat)
            done += count

    def lock(self, name: str) -> None:
        self._execute(LOCK, {"name": name})

    def ddl(self, statement: str) -> None:
        self._session.command(statement.encode())


class LineWire:
    """The line's connection. See `fedishare.store.line.Wire`."""

    def __init__(self, session: Session, listen: bool, take_node: Callable[[PostgresTx], None]) -> None:
        self._session = session
        self._listen = listen
        self._take_node = take_node
        self._statements = Statements("postgres")
        self._channel = ""

    def _tx(self) -> PostgresTx:
        return PostgresTx(self._session, self._statements, Millis(0))

    def connect(self) -> None:
        self._session.connect()
        tx = self._tx()
        self._take_node(tx)
        self._channel = tx.value(CHANNEL)
        if self._listen:
            tx.ddl(f"LISTEN {self._channel}")

    def fileno(self) -> int:
        return self._session.connection.fileno()

    def tell(self, payload: str) -> None:
        self._tx().one(TELL, channel=self._channel, payload=payload)

    def heard(self) -> list[str]:
        return [notify.payload for notify in self._session.connection.notifies(timeout=0)]

    def close(self) -> None:
        self._session.close()


class PostgresDatabase(Database):
    """One database of a PostgreSQL server, shared with other processes."""

    dialect = "postgres"

    def __init__(self, url: str, options: Options, migrations: Sequence[Migration]) -> None:
        super().__init__(options, migrations)
        self._loop = asyncio.get_running_loop()
        self.statements = Statements("postgres")
        self._ids = Ids(0, 0)
        self._node: int | None = None
        self._opened = 0
        self._marking = threading.Lock()
        self._closed = False
        self._snapshot: str | None = None
        wait = f"SET lock_timeout = {int(options.lock_timeout * 1000)}"
        look = "SET default_transaction_read_only = on"
        snapshot = "SET default_transaction_isolation = 'repeatable read'"
        self._url = url
        self._writers = Pool("store-write", WRITERS, lambda: Session(url, (*SETTINGS, wait)), self._settle)
        self._readers = Pool(
            "store-read", max(1, options.readers), lambda: Session(url, (*SETTINGS, look, snapshot)), self._settle
        )
        self._inline = Session(url, (*SETTINGS, look))
        self._line: Line | None = None

    async def open(self) -> None:
        """Connect and read the bookkeeping. Raises `Unavailable` or `ConfigError`."""
        try:
            version, encoding = await self.read_fast(lambda tx: tx.one(SERVER) or ("0", ""))
            if int(version) < 150000 or encoding != "UTF8":
                raise ConfigError(
                    "database.url: PostgreSQL 15 or later with UTF8 is needed, "
                    f"found {int(version) // 10000} with {encoding}"
                )
            mark, self._opened = await self.write(migrate.start, "postgres", self.migrations)
            self._ids = Ids(0, mark)
            ready: asyncio.Future[None] = self._loop.create_future()
            codec = self.options.codec
            session = Session(self._url, ("SET synchronous_commit = off",))  # a lost notice is told, not repaired
            wire = LineWire(session, codec is not None, self.take_node)
            self._line = Line(wire, codec, self._deliver, ready)
            self._line.start()
            await ready
        except Unavailable as error:  # whoever starts it may know where the server is; whoever sends requests may not
            await self.close()
            raise Unavailable(f"database.url: {error.__cause__ or error}") from error
        except BaseException:
            await self.close()
            raise

    def take_node(self, tx: PostgresTx) -> None:
        """In the line's thread: lock a node number, the one that we had if possible."""
        first = self._opened if self._node is None else self._node
        for node in ((first + step) % NODES for step in range(NODES)):
            if tx.value(LOCK_NODE, **{"class": NODE_LOCK, "node": node}):
                if node != self._node:
                    self._node, self._ids = node, Ids(node, max(self._ids.mark, self._ids.last))
                return
        raise Unavailable(f"{NODES} processes use this database already, and there is no number left for another one")

    # reading

    async def read(self, fn: Callable[Concatenate[Tx, P], R], /, *args: P.args, **kw: P.kwargs) -> R:
        return await self._look(False, lambda tx: fn(tx, *args, **kw))

    async def read_fast(self, fn: Callable[Concatenate[Tx, P], R], /, *args: P.args, **kw: P.kwargs) -> R:
        return await self._look(True, lambda tx: fn(tx, *args, **kw))

    def read_now(self, fn: Callable[Concatenate[Tx, P], R], /, *args: P.args, **kw: P.kwargs) -> R:
        self._check_open()
        done = self._read(self._inline, True, lambda tx: fn(tx, *args, **kw))
        if isinstance(done.outcome, Failed):
            raise done.outcome.error
        result: R = done.outcome
        return result

    async def _look(self, autocommit: bool, work: Callable[[Tx], R]) -> R:
        self._check_open()
        result: R = await self._readers.submit(lambda session: self._read(session, autocommit, work))
        return result

    def _read(self, session: Session, autocommit: bool, work: Callable[[Tx], Any]) -> Done:
        for again in (True, False):
            had = not session.lost
            try:
                if autocommit:
                    session.connect()
                else:
                    session.begin()
                return Done(work(PostgresTx(session, self.statements, self.options.clock())))
            except BaseException as error:
                if not (again and had and session.lost):  # an idle connection that the server has closed meanwhile
                    return Done(Failed(_explained(error)))
            finally:
                if not autocommit:
                    session.rollback()
        raise AssertionError("unreachable")

    # writing

    async def write(self, fn: Callable[Concatenate[Tx, P], R], /, *args: P.args, **kw: P.kwargs) -> R:
        self._check_open()
        if self._writers.waiting >= self.options.queue_limit:
            raise Unavailable("too many changes are waiting for the database; try again in half a minute")
        result: R = await self._writers.submit(lambda session: self._write(session, lambda tx: fn(tx, *args, **kw)))
        return result

    def _write(self, session: Session, work: Callable[[Tx], Any]) -> Done:
        """One transaction, run until it is committed, fails for a reason of its own, or has failed too often."""
        end = time.monotonic() + self.options.lock_timeout
        for attempt in range(ATTEMPTS):
            committing = False
            try:
                self._keep_mark(session)
                session.begin()
                tx = PostgresTx(session, self.statements, self.options.clock(), self._ids)
                result = work(tx)
                texts = self._encode(tx.notices)
                committing = True
                session.commit()
                return Done(result, tx.notices, texts)
            except BaseException as error:
                lost = session.lost
                session.rollback()
                if committing and lost:
                    return Done(Failed(_caused(Unavailable(_UNKNOWN), error)))
                if not (lost or isinstance(error, _RETRIED)) or time.monotonic() > end:
                    return Done(Failed(_explained(error)))
                failure = error
            time.sleep(min(0.002 * 2**attempt, 0.5) * random.uniform(0.5, 1.5))  # noqa: S311 — spreads the retries
        return Done(Failed(_explained(failure)))

    def _keep_mark(self, session: Session) -> None:
        """The stored mark is ahead of every id that a transaction may make durable."""
        ids = self._ids
        if self._line is None or ids.due(self.options.clock()) is None:
            return
        with self._marking:
            mark = ids.due(self.options.clock())
            if mark is not None:
                session.connect()
                tx = PostgresTx(session, self.statements, Millis(0))
                tx.run(migrate.SET_MARK, node=self._node, mark=mark)
                ids.mark = mark

    def _settle_mark(self, tx: Tx) -> None:
        """At an orderly end the mark is exact."""
        tx.run(migrate.LOWER_MARK, node=self._node, mark=self._ids.last)

    def _encode(self, notices: Sequence[object]) -> Sequence[str]:
        codec = self.options.codec
        if codec is None or not notices:
            return ()
        texts = [text for notice in notices if (text := codec.encode(notice)) is not None]
        for text in texts:
            if size(text) > TEXT_BYTES:
                raise ValueError(f"a notice is too long to travel: {text[:80]!r}… has over {TEXT_BYTES} bytes")
        return texts

    def _settle(self, done: Done) -> None:
        """In the loop's thread: tell the subscribers and the other processes."""
        self._note(done.fault)
        self._deliver(done.notices)
        if done.texts and self._line is not None:
            self._line.send(done.texts)

    # the rest

    async def changed_elsewhere(self) -> bool:
        snapshot: str = await self.read_fast(lambda tx: tx.value(SNAPSHOT))
        before, self._snapshot = self._snapshot, snapshot
        return before is not None and snapshot != before

    async def explain(self, query: Sql) -> list[str]:
        self._check_open()
        statement = translate(query.text, "postgres")
        lines: list[str] = await self._readers.submit(lambda session: Done(_plan(session, statement)))
        return lines

    def used(self) -> frozenset[str]:
        return frozenset(query.name for query in self.statements)

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the database is closed")

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._line is not None and self._ids.mark > self._ids.last:
            with contextlib.suppress(Unavailable):  # it only saves the next start from skipping ahead
                await self._writers.submit(lambda session: self._write(session, self._settle_mark))
        await self._writers.close()
        await self._readers.close()
        self._inline.close()
        if self._line is not None and self._line.is_alive():
            self._line.end()
            await asyncio.to_thread(self._line.join)


_RETRIED = (errors.SerializationFailure, errors.DeadlockDetected)
_UNKNOWN = "the connection to the database was lost during the commit; the change may or may not have happened"


def _plan(session: Session, statement: Statement) -> list[str]:
    """The plan for values that are not known. Where the server cannot tell a type it is an integer, as in real life."""
    session.connect()
    types = ["unknown"] * len(statement.names)
    while True:
        declared = f"({', '.join(types)})" if types else ""
        try:
            session.command(f"PREPARE explained {declared} AS {statement.text}".encode())
            break
        except (errors.AmbiguousParameter, errors.IndeterminateDatatype) as error:
            found = re.search(r"\$([0-9]+)", str(error))
            if found is None or types[int(found[1]) - 1] != "unknown":
                raise
            types[int(found[1]) - 1] = "bigint"
    try:
        session.command(b"SET plan_cache_mode = force_generic_plan")
        values = f"({', '.join(['NULL'] * len(types))})" if types else ""
        rows = session.execute(f"EXPLAIN EXECUTE explained{values}", (), prepare=False).rows()
        return [row[0] for row in rows]
    finally:
        session.command(b"RESET plan_cache_mode")
        session.command(b"DEALLOCATE explained")


def _is_fault(error: BaseException) -> bool:
    """Whether the machine is to blame, not the function or its values."""
    return isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError, MemoryError))


def _explained(error: BaseException) -> BaseException:
    """The driver's exception in our words; anything else as it is."""
    if _is_fault(error):
        return _caused(Unavailable("the database cannot be used at the moment, nothing was changed"), error)
    if isinstance(error, psycopg.IntegrityError):
        return _caused(Conflict(f"the change collides with what is stored: {error}"), error)
    if isinstance(error, (psycopg.DataError, OverflowError, UnicodeEncodeError)):
        return _caused(BadInput(f"a value cannot be stored: {error}"), error)
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return _caused(TypeError("a read cannot change anything; use Database.write"), error)
    if isinstance(error, StopIteration) or not isinstance(error, Exception):  # these would end the event loop
        return _caused(RuntimeError(f"a transaction function raised {type(error).__name__}"), error)
    return error


def _caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


async def open_engine(url: str, options: Options, migrations: Sequence[Migration] | None) -> Database:
    """Open a ``postgresql://`` URL."""
    try:
        psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise ConfigError(f"database.url: this is no PostgreSQL URL: {error}") from error
    database = PostgresDatabase(url, options, migrate.packaged() if migrations is None else migrations)
    await database.open()
    return database
