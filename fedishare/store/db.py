"""Database: transactions as plain functions, named queries, and notices after the commit.

A transaction is a function ``fn(tx, …)`` without ``await``. It runs whole in a thread of the engine, so a request
that is cancelled cannot leave half of it behind, and SQLite can put many of them under one durable commit. Services
and queries know only this module; which engine answers is decided once, by the scheme of the URL.

What holds on both engines:

* A query is written once (`sql`), with ``:name`` parameters and the tokens of `fedishare.store.dialect`.
* ``write`` may run a function again (deadlock, lost connection), so it must have no effect but on ``tx``.
* On SQLite writes are one after another. On PostgreSQL they run side by side at READ COMMITTED: a "look, then write"
  needs a constraint with ``ON CONFLICT``, a conditional UPDATE, or `Tx.lock`.
* A broken constraint ends the transaction as `Conflict`, a value that no column can hold as `BadInput`, and
  everything that is the machine's fault (full disk, lock, lost server) as `Unavailable`, with nothing changed.
"""

from __future__ import annotations

import importlib
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

from fedishare.model.errors import ConfigError
from fedishare.model.ids import Id, IdSource, Millis

P = ParamSpec("P")
R = TypeVar("R")
Row = tuple[Any, ...]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Sql:
    """A named query in the common dialect. Make them at import with `sql`; two are equal only if they are the same."""

    name: str
    text: str


_REGISTRY: dict[str, Sql] = {}  # immutable definitions, filled at import: the one thing kept at module level


def sql(name: str, text: str) -> Sql:
    """Define a named query. Raises `ValueError` when the name is taken."""
    if name in _REGISTRY:
        raise ValueError(f"two queries are named {name!r}; give one of them another name")
    query = Sql(name, text)
    _REGISTRY[name] = query
    return query


def registry() -> Mapping[str, Sql]:
    """All named queries that have been imported so far."""
    return MappingProxyType(_REGISTRY)


class Tx(ABC):
    """A running transaction. Only valid inside the function that received it."""

    __slots__ = ("notices", "now")

    now: Millis
    """The instant of the transaction."""

    notices: list[object]

    @abstractmethod
    def new_id(self) -> Id:
        """A fresh time-ordered id. Only in ``write``."""

    @abstractmethod
    def all(self, query: Sql, /, **params: Any) -> list[Row]:
        """Every row."""

    @abstractmethod
    def one(self, query: Sql, /, **params: Any) -> Row | None:
        """The first row, or None."""

    @abstractmethod
    def run(self, query: Sql, /, **params: Any) -> int:
        """Run a change; the number of rows it touched."""

    @abstractmethod
    def many(self, query: Sql, rows: Iterable[Mapping[str, Any]], /) -> None:
        """Run a change once per row of parameters."""

    @abstractmethod
    def lock(self, name: str) -> None:
        """Let nobody else pass the same name until this transaction ends. Free on SQLite, where writes are serial."""

    @abstractmethod
    def ddl(self, statement: str) -> None:
        """Run one engine-specific statement without parameters. For migrations and bookkeeping only."""

    def value(self, query: Sql, /, **params: Any) -> Any:
        """The first column of the first row, or None."""
        row = self.one(query, **params)
        return None if row is None else row[0]

    def notify(self, notice: object) -> None:
        """Tell the subscribers of `Database.on_notice` after the commit; never if the transaction is rolled back."""
        self.notices.append(notice)


class NoticeCodec(Protocol):
    """Turns notices to text and back, so that they can travel between processes (PostgreSQL only)."""

    def encode(self, notice: object) -> str | None:
        """The text, at most 7 500 bytes in UTF-8; None for a notice that stays in this process."""

    def decode(self, text: str) -> object | None:
        """The notice, or None for text that this version does not understand."""


@dataclass(frozen=True, slots=True)
class NoticesLost:
    """A notice of the store itself: the line to other processes was cut, so some may be missing. Look again."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The outcome of a function that raised, on its way from a thread to its caller."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class Options:
    """How a database is opened."""

    clock: Callable[[], Millis]
    readers: int
    codec: NoticeCodec | None
    queue_limit: int
    lock_timeout: float


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered SQL file. ``compat`` is the lowest schema number that a version must know to use the result."""

    number: int
    name: str
    text: str
    compat: int

    @property
    def title(self) -> str:
        """As the file is called, without its suffix."""
        return f"{self.number:04d}_{self.name}"


class Database(ABC):
    """One open database. Use it from the event loop that opened it."""

    dialect: str

    def __init__(self, options: Options, migrations: Sequence[Migration]) -> None:
        self.options = options
        self.migrations = migrations
        self.trouble: str | None = None
        """Why the last change could not be stored, when the machine is to blame; None while all is well."""
        self._told_at = -TELL_SECONDS
        self._subscribers: list[Callable[[object], None]] = []

    @abstractmethod
    async def read(self, fn: Callable[Concatenate[Tx, P], R], /, *args: P.args, **kw: P.kwargs) -> R:
        """Run ``fn`` on one consistent snapshot, in a thread; it cannot change anything."""

    @abstractmethod
    def read_now(self, fn: Callable[Concatenate[Tx, P], R], /, *args: P.args, **kw: P.kwargs) -> R:
        """Run a short read in the calling thread, which must be the event loop's. It holds the loop up meanwhile."""

    @abstractmethod
    async def read_fast(self, fn: Callable[Concatenate[Tx, P], R], /, *args: P.args, **kw: P.kwargs) -> R:
        """A short read in the cheapest way of the engine: in place on SQLite, in a thread on PostgreSQL.

        On PostgreSQL each statement sees its own snapshot: meant for functions with one query.
        """

    @abstractmethod
    async def write(self, fn: Callable[Concatenate[Tx, P], R], /, *args: P.args, **kw: P.kwargs) -> R:
        """Run ``fn`` in a transaction of its own, durable when this returns.

        It may be run again, so it must have no effect but on ``tx``. If the caller is cancelled, ``fn`` still
        finishes whole. Raises `Unavailable` (nothing changed) when too much is waiting, or the disk or the server
        fails.
        """

    @abstractmethod
    async def changed_elsewhere(self) -> bool:
        """Whether another process may have committed since the last call. On PostgreSQL our own commits count, too."""

    @abstractmethod
    async def explain(self, query: Sql) -> list[str]:
        """The engine's plan for a query, line by line; raises what the engine raises when it cannot prepare it."""

    @abstractmethod
    def used(self) -> frozenset[str]:
        """The names of the queries that have been run on this database."""

    @abstractmethod
    async def close(self) -> None:
        """Finish what was accepted, then close every connection and thread. May be called twice."""

    def on_notice(self, callback: Callable[[object], None]) -> Callable[[], None]:
        """Call ``callback`` with each notice after its commit, in the event loop's thread. Returns how to stop that."""
        self._subscribers.append(callback)

        def unsubscribe() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

        return unsubscribe

    async def probe(self) -> None:
        """While there is `trouble`: try a real change, and forget the trouble if it can be stored. Transactions that
        happened to change nothing prove nothing. Raises `Unavailable`."""
        await self.write(_touch)
        if self.trouble is not None:
            self.trouble = None
            log.warning("the database takes changes again")

    def _note(self, fault: BaseException | None) -> None:
        """In the loop's thread, with what made a transaction fail, if anything: a fault is told when it begins and when
        it ends, and not with every change that is refused meanwhile."""
        if fault is None:
            return
        if self.trouble is None and time.monotonic() - self._told_at >= TELL_SECONDS:
            self._told_at = time.monotonic()
            log.warning("the database cannot take changes; whoever asks is told to come back: %s", fault)
        self.trouble = str(fault)

    def _deliver(self, notices: Iterable[object]) -> None:
        for notice in notices:
            for callback in tuple(self._subscribers):
                try:
                    callback(notice)
                except Exception:  # the commit has happened: one bad subscriber must not hurt the others
                    log.exception("a subscriber failed on %r", notice)


PROBE = sql(
    "probe",
    """INSERT INTO setting (key, value) VALUES ('probe', :now)
       ON CONFLICT (key) DO UPDATE SET value = excluded.value""",
)


def _touch(tx: Tx) -> None:
    tx.run(PROBE, now=str(tx.now))


TELL_SECONDS = 10.0
"""A fault that comes and goes is logged at most this often."""
ID_AHEAD = 5_000
"""Milliseconds by which the stored high-water mark of ids runs ahead, so that it is written rarely."""


class Ids:
    """Ids that are never used twice, also when the clock goes back or the process is killed (INV-10).

    The database keeps a mark above every id in use. It is moved ahead in steps; after a crash we go on from the mark.
    """

    def __init__(self, node: int, mark: int) -> None:
        self._source = IdSource(node, mark)
        self._last = mark
        self.mark = mark

    def next(self, now: Millis) -> Id:
        """The next id."""
        identifier = self._source.next(now)
        self._last = max(self._last, identifier)
        return identifier

    def due(self, now: Millis) -> int | None:
        """The new mark, if it has to be stored before ids of the instant ``now`` become durable."""
        ahead = max(now, self._last >> 16)
        return (ahead + ID_AHEAD) << 16 if ahead + ID_AHEAD // 2 > self.mark >> 16 else None

    @property
    def last(self) -> int:
        """The highest id in use."""
        return self._last


class _Opener(Protocol):
    async def __call__(self, url: str, options: Options, migrations: Sequence[Migration] | None) -> Database: ...


_ENGINES = {
    "sqlite": "fedishare.store.sqlite",
    "postgresql": "fedishare.store.postgres",
    "postgres": "fedishare.store.postgres",
}


async def open_database(
    url: str,
    *,
    clock: Callable[[], Millis],
    readers: int = 3,
    codec: NoticeCodec | None = None,
    queue_limit: int = 4096,
    lock_timeout: float = 5.0,
    migrations: Sequence[Migration] | None = None,
) -> Database:
    """Open ``sqlite:///absolute/path`` or ``postgresql://user@host/name``; `migrate` is a step of its own.

    ``queue_limit`` writes may wait before `Unavailable`; ``lock_timeout`` is in seconds; ``migrations`` replaces
    those that come with this version. Raises `ConfigError` for a URL that cannot be used, a missing driver, or a
    database of a newer version.
    """
    scheme = url.partition(":")[0]
    name = _ENGINES.get(scheme)
    if name is None:
        raise ConfigError(f"database.url: sqlite:///… or postgresql://… was expected, found {scheme[:40]!r}")
    try:
        engine = importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"database.url: {scheme} needs a driver that is missing ({error}); pip install 'fedishare[postgres]'"
        ) from error
    options = Options(clock, readers, codec, queue_limit, lock_timeout)
    return await cast(_Opener, engine.open_engine)(url, options, migrations)
