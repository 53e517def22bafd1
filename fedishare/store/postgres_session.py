"""A session with PostgreSQL: one connection, statements that are prepared once, and values as SQLite gives them.

Statements go through libpq's own calls, with the driver's adapters: its cursors do the same, at up to one and a half
times the processor time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import abc, errors
from psycopg.adapt import AdaptersMap, Buffer, Dumper, PyFormat, Transformer
from psycopg.pq import DiagnosticField, ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGresult
from psycopg.types.numeric import Int8BinaryDumper, Int8Dumper, NumericBinaryLoader
from psycopg.types.string import StrDumper

from fedishare.store.db import Row

MOST_PREPARED = 2_000
"""Statements that a connection keeps prepared; the server holds a plan for each. Later ones are parsed each time."""


class _FlagDumper(Dumper):
    """Truth as 0 and 1: both engines keep it in integers."""

    oid = 20  # int8

    def dump(self, obj: bool) -> bytes:
        return b"1" if obj else b"0"


class _NumberLoader(NumericBinaryLoader):
    """Sums of integers are NUMERIC here; as on SQLite they shall be integers."""

    def load(self, data: Buffer) -> Any:
        number = super().load(data)
        return int(number) if number == number.to_integral_value() else float(number)


def _adapters() -> AdaptersMap:
    """Each Python type has one SQL type, so that a query has one plan and not one per size of its numbers."""
    adapters = AdaptersMap(psycopg.adapters)
    adapters.register_dumper(int, Int8Dumper)  # in lists
    adapters.register_dumper(int, Int8BinaryDumper)  # elsewhere: the last one wins
    adapters.register_dumper(bool, _FlagDumper)
    adapters.register_dumper(str, StrDumper)
    adapters.register_loader("numeric", _NumberLoader)
    return adapters


@dataclass(frozen=True, slots=True)
class Result:
    """What a statement gave, not decoded yet."""

    wire: abc.Transformer
    found: PGresult

    def rows(self) -> list[Row]:
        """All rows."""
        self.wire.set_pgresult(self.found)
        return self.wire.load_rows(0, self.found.ntuples, tuple)

    def row(self) -> Row | None:
        """The first row."""
        rows = self.rows()
        return rows[0] if rows else None

    @property
    def count(self) -> int:
        """How many rows were changed or found."""
        return self.found.command_tuples or 0


class Session:
    """One connection, made when it is first needed, and again after it was lost. For one thread at a time."""

    def __init__(self, url: str, settings: Sequence[str]) -> None:
        self._url = url
        self._settings = settings
        self._adapters = _adapters()
        self._connection: psycopg.Connection[Row] | None = None
        self._prepared: dict[tuple[str, tuple[int, ...]], bytes] = {}

    def connect(self) -> None:
        """Make sure that there is a working connection. Raises `psycopg.OperationalError` if there is no server."""
        if self.lost:
            self.close()
            self._connection = psycopg.connect(
                self._url, autocommit=True, connect_timeout=5, context=self._adapters, application_name="fedishare"
            )
            for setting in self._settings:
                self.command(setting.encode())

    def begin(self) -> None:
        """Begin a transaction."""
        self.connect()
        self.command(b"BEGIN")

    def execute(self, text: str, values: Sequence[Any], *, prepare: bool = True) -> Result:
        """Run one statement; each text is prepared once for each combination of its values' types."""
        wire = Transformer(self.connection)
        encoded: Sequence[Any] = wire.dump_sequence(values, [PyFormat.AUTO] * len(values))
        types = tuple(wire.types or ())
        server = self.connection.pgconn
        name = self._prepared.get((text, types))
        if name is None and prepare and len(self._prepared) < MOST_PREPARED:
            name = b"q%d" % len(self._prepared)
            self._checked(server.prepare(name, text.encode(), types))
            self._prepared[text, types] = name
        if name is None:
            result = server.exec_params(text.encode(), encoded, types, wire.formats, Format.BINARY)
        else:
            result = server.exec_prepared(name, encoded, wire.formats, Format.BINARY)
        return Result(wire, self._checked(result))

    def commit(self) -> None:
        """Commit. Raises what the server says, or `RuntimeError` if a function has hidden that."""
        if self.command(b"COMMIT") != b"COMMIT":
            raise RuntimeError("a transaction function went on after a failed query; nothing was changed")

    def rollback(self) -> None:
        """Undo what was begun; a connection that cannot is closed."""
        try:
            if not self.lost and self.connection.pgconn.transaction_status != TransactionStatus.IDLE:
                self.command(b"ROLLBACK")
        except psycopg.Error:
            self.close()

    def command(self, text: bytes) -> bytes | None:
        """A statement without values; what it says that it did."""
        return self._checked(self.connection.pgconn.exec_(text)).command_status

    @staticmethod
    def _checked(result: PGresult) -> PGresult:
        if result.status in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
            return result
        state = result.error_field(DiagnosticField.SQLSTATE)
        kind = errors.lookup(state.decode()) if state else psycopg.OperationalError
        raise kind(result.error_message.decode("utf-8", "replace").strip())

    @property
    def lost(self) -> bool:
        """Whether there is no working connection now."""
        return self._connection is None or self._connection.closed

    @property
    def connection(self) -> psycopg.Connection[Row]:
        """The driver's connection."""
        if self._connection is None:
            raise psycopg.OperationalError("not connected")
        return self._connection

    def close(self) -> None:
        """Drop the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._prepared.clear()
