"""The queue and the ledger on the command line: nothing leaves the books, whatever an operator does."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fedishare.app import opened_database, wall_clock
from fedishare.config import load
from fedishare.model.ids import Id, Iri
from fedishare.store import activities, jobs
from fedishare.store.db import Tx
from fedishare.store.jobs import Delivery, JobState
from tests.support.shell import Shell, new_instance

LAB, GONE = "lab.example", "gone.example"


@pytest.fixture
def shell(pattern: Shell, tmp_path: Path) -> Shell:
    """An instance with a post and its deliveries: two for the lab, one elsewhere, and one that was withheld."""
    return pattern.copy(tmp_path / "clinic")


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """What `shell` is a copy of."""
    found = new_instance(tmp_path_factory.mktemp("pattern") / "clinic")
    found("account", "create", "ana", "--email", "ana@clinic.example")

    def fill(tx: Tx) -> None:
        document = activities.put_document(
            tx, Iri("https://clinic.example/x"), Id(1), Id(77), '{"type":"Create"}', "{}"
        )
        jobs.put_deliveries(
            tx,
            document,
            [
                Delivery(LAB, "lab:1", '{"inbox":1}'),
                Delivery(LAB, "lab:2", '{"inbox":2}'),
                Delivery(GONE, "gone:1", '{"inbox":3}'),
                Delivery("other.example", "o", "{}", withheld="the post's reach does not include it", rule="reach"),
            ],
        )

    async def run() -> None:
        async with opened_database(load(found.config, environ={}), wall_clock) as database:
            await database.write(fill)

    asyncio.run(run())
    return found


def states(shell: Shell) -> dict[str, int]:
    """Jobs by state."""
    return {
        JobState(state).name.lower(): n for state, n in shell.rows("SELECT state, count(*) FROM job GROUP BY state")
    }


def test_the_list_shows_what_is_not_settled(shell: Shell) -> None:
    assert len(shell.json("queue", "list")) == 3
    assert [r["host"] for r in shell.json("queue", "list", "--host", GONE)] == [GONE]
    assert [r["rule"] for r in shell.json("queue", "list", "--state", "cancelled")] == ["reach"]
    said = shell("queue", "list", "--limit", "2").stdout
    assert "queued 3" in said and "--after" in said
    first = shell.json("queue", "list", "--limit", "1")[0]["id"]
    assert len(shell.json("queue", "list", "--after", first)) == 2
    shown = shell.json("queue", "show", first)
    assert shown["document"] == {"type": "Create"} and shown["payload"] == {"inbox": 1}
    assert "Create" in shell("queue", "show", first).stdout
    assert "there is no job 5" in shell("queue", "show", "5", code=1).stderr


def test_jobs_are_held_retried_and_dropped(shell: Shell) -> None:
    first = shell.json("queue", "list")[0]["id"]
    shell("queue", "hold", first)
    assert states(shell) == {"queued": 2, "held": 1, "cancelled": 1}
    assert "not queued" in shell("queue", "hold", first, code=1).stderr
    shell("queue", "retry", first)
    assert states(shell) == {"queued": 3, "cancelled": 1}
    assert "2 jobs" in shell("queue", "hold", "--host", LAB).stdout
    shell("queue", "retry", "--all")
    assert "--yes" in shell("queue", "drop", "--host", LAB, stdin="", code=1).stderr
    assert states(shell) == {"queued": 3, "cancelled": 1}
    shell("queue", "drop", "--host", LAB, "--reason", "agreed with the lab", "--yes")
    assert states(shell) == {"queued": 1, "cancelled": 3}
    assert "agreed with the lab" in shell("deliveries", "77").stdout
    assert "not queued/held/dead" in shell("queue", "drop", first, "--yes", code=1).stderr
    assert ("queue.cancelled", LAB, "2") in shell.rows("SELECT action, subject, detail FROM audit")


def test_a_dead_job_lives_again_and_its_host_is_asked_at_once(shell: Shell) -> None:
    shell.change(
        "UPDATE job SET state = 4, attempts = 9, finished_at = 5, last_error = 'no answer' WHERE host = 'gone.example'",
        "INSERT INTO peer (host, failures, retry_at, last_error) VALUES ('gone.example', 9, 9999999999999, 'no')",
    )
    assert "no answer" in shell("queue", "list", "--state", "dead").stdout
    shell("queue", "retry", "--host", GONE)
    assert states(shell) == {"queued": 3, "cancelled": 1}
    assert shell.rows("SELECT failures, retry_at FROM peer") == [(0, None)]
    assert shell.rows("SELECT finished_at FROM job WHERE host = 'gone.example'") == [(None,)]


def test_the_ledger_says_who_got_a_post_and_who_did_not(shell: Shell) -> None:
    found = shell.json("deliveries", "77")["deliveries"]
    assert sorted((r["host"], r["state"]) for r in found) == [
        (GONE, "queued"), (LAB, "queued"), (LAB, "queued"), ("other.example", "cancelled"),
    ]  # fmt: skip
    said = shell("deliveries", "77").stdout
    assert "deleted" in said and "reach does not include it" in said
    assert "there is no post 78" in shell("deliveries", "78", code=1).stderr
    assert "there is no post https://x.example/1" in shell("deliveries", "https://x.example/1", code=1).stderr
