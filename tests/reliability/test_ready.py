"""Ready within ten seconds after a kill, however much is stored."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from fedishare.services.site import Site
from fedishare.store.db import Database
from tests.reliability.outside import Partners, Person, app, let_follow, local_people, remote_people, seed
from tests.support.process import Port, serving, write_config

POSTS = 100_000
READY_SECONDS = 10.0
_NUMBERS = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < :count)"
_FILL = (
    f"""INSERT INTO post (id, iri, iri_hash, url, author_id, local, kind, visibility, reach, html, published,
         created_at, thread_id)
        {_NUMBERS} SELECT (a.created_at - :count + n - 60000) << 16, a.iri || '/statuses/' || n, n * 7919, '', a.id,
         1, 'Note', 0, 'partners', '<p>The results of ' || n || ' are there.</p>', a.created_at, a.created_at, n
         FROM n, actor a WHERE a.name = 'ana'""",
    "INSERT INTO home_entry (owner_id, post_id) SELECT a.id, p.id FROM post p, actor a WHERE a.name = 'ana'",
    f"""INSERT INTO job (id, kind, lane, host, state, payload, run_at, created_at, finished_at, lease_until)
        {_NUMBERS} SELECT (a.created_at - :count + n - 60000) << 16 | 1, 'deliver', 'l' || n, :host,
         CASE WHEN n % 20 = 0 THEN 1 ELSE 3 END, '{{"inbox":"http://' || :host || '/inbox"}}', 0, a.created_at,
         a.created_at, CASE WHEN n % 20 = 0 THEN a.created_at END FROM n, actor a WHERE a.name = 'ana'""",
)


async def _people(database: Database, site: Site) -> None:
    ana = (await database.write(local_people, site, ["ana"]))["ana"]
    (ben,) = await database.write(remote_people, [Person("h01.localhost:1", "ben")])
    await database.write(let_follow, [ben], ana)


@pytest.mark.e2e
async def test_ready_after_a_kill_with_a_hundred_thousand_posts(tmp_path: Path, partners: Partners, port: Port) -> None:
    host = partners.host(1)
    config = write_config(tmp_path, "ours", port.number, [host], limits={"rates": False})
    await asyncio.to_thread(seed, config, _people)
    with sqlite3.connect(tmp_path / "ours.db") as database:
        for statement in _FILL:
            database.execute(statement, {"count": POSTS, "host": host})
    database.close()
    with serving(config, port.number) as server:
        async with app(port.number, "ana") as ana:
            made = (await ana.post("/api/v1/statuses", json={"status": "the last one", "reach": "partners"})).json()
            server.kill()
        assert server.start() < READY_SECONDS
        async with app(port.number, "ana") as ana:
            home = (await ana.get("/api/v1/timelines/home")).json()
        assert [home[0]["id"], len(home)] == [made["id"], 20]
        assert max(server.started) < READY_SECONDS
