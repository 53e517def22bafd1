"""Every named query means something to both engines, and none is left over."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

import fedishare.store
from fedishare.model.errors import BadInput, Conflict
from fedishare.store.db import Database, Sql, Tx
from fedishare.store.dialect import translate
from fedishare.store.paging import Paged

ROOT = Path(fedishare.store.__file__).parents[1]
VALUES: Mapping[str, Any] = {
    "bigint": 1, "integer": 1, "text": "x", "bytea": b"x", "bigint[]": [1, 2], "integer[]": [1, 2],
    "text[]": ["x", "y"], "numeric": 1, "boolean": True, "tsvector": "x", "tsquery": "x", "unknown": "x",
}  # fmt: skip


ENGINES = ("sqlite", "sqlite_files", "postgres", "line", "threads")
"""Each knows one database, and asks it alone."""


def queries() -> Iterator[tuple[str, str, Sql]]:
    """(module, constant, query) of everything that the store asks."""
    for found in pkgutil.iter_modules(fedishare.store.__path__):
        if found.name in ENGINES:
            continue
        module = importlib.import_module(f"fedishare.store.{found.name}")
        for name, value in vars(module).items():
            if isinstance(value, Sql):
                yield found.name, name, value
            elif isinstance(value, Paged):
                yield from ((found.name, name, query) for query in (value.down, value.up))


QUERIES = {query.name: query for _, _, query in queries()}


def parameter_types(url: str, query: Sql) -> dict[str, str]:
    """The type of each parameter, as PostgreSQL sees it from the columns; a number where it cannot tell."""
    statement = translate(query.text, "postgres")
    types = ["unknown"] * len(statement.names)
    with psycopg.connect(url, autocommit=True) as connection:
        while True:
            declared = f"({', '.join(types)})" if types else ""
            try:
                connection.execute(f"PREPARE asked {declared} AS {statement.text}".encode())
                break
            except (psycopg.errors.AmbiguousParameter, psycopg.errors.IndeterminateDatatype) as error:
                place = re.search(r"\$([0-9]+)", str(error))
                assert place is not None, error
                types[int(place[1]) - 1] = "bigint"
        row = connection.execute("SELECT parameter_types::text[] FROM pg_prepared_statements").fetchone()
    assert row is not None
    return dict(zip(statement.names, row[0], strict=True))


class Undo(Exception):
    """Nothing of it is to stay."""


def try_all(tx: Tx, query: Sql, params: Mapping[str, Any]) -> None:
    """Run a query, whatever it is; what it did is undone."""
    if query.text.lstrip().upper().startswith(("SELECT", "WITH")) or "RETURNING" in query.text:
        tx.all(query, **params)
    else:
        tx.run(query, **params)
    raise Undo


async def test_every_query_runs_with_values_of_its_columns_types(database: Database, postgres_url: str) -> None:
    assert len(QUERIES) > 200
    for query in QUERIES.values():
        types = parameter_types(postgres_url, query)
        params = {name: VALUES[kind] for name, kind in types.items()}
        for value in (params, {n: (None if f":{n} IS" in query.text else v) for n, v in params.items()}):
            try:
                await database.write(try_all, query, value)
            except (Undo, Conflict, BadInput):
                pass  # constraints of other tables come after the query itself
            except Exception as error:
                raise AssertionError(f"{query.name} {value}: {error}") from error


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest) -> str:
    """The database from which others are copied: it has the schema, and nobody writes to it."""
    server = request.getfixturevalue("postgres_server")
    return str(server.url(request.getfixturevalue("postgres_template")))


def test_no_query_is_left_over() -> None:
    words = {path: Counter(re.findall(r"\w+", path.read_text())) for path in ROOT.rglob("*.py")}
    for module, constant, query in queries():
        uses = words[ROOT / "store" / f"{module}.py"][constant] - 1
        elsewhere = any(constant in found for path, found in words.items() if path.stem != module)
        assert uses > 0 or elsewhere, f"nothing asks {query.name} ({module}.{constant})"


def test_engines_differ_in_one_place_only() -> None:
    """The queries are one text; which engine answers is nobody's business but the dialect's and the engines'."""
    forks = re.compile(r"""json_each|ANY\(|::json|SKIP LOCKED|PRAGMA|ILIKE|dialect\s*[!=]=|\bILIKE\b|ROWID""")
    for path in (ROOT / "store").glob("*.py"):
        if path.stem not in (*ENGINES, "dialect", "migrate", "db"):
            found = forks.search(re.sub(r'""".*?"""', "", path.read_text(), count=1, flags=re.DOTALL))
            assert found is None, f"{path.name} knows an engine: {found[0]}"
    for query in QUERIES.values():
        assert forks.search(query.text.replace("{skip_locked}", "")) is None, query.name
