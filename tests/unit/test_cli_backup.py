"""Backup, restore, verify: nothing is lost, nothing is rewound, and what was withdrawn stays withdrawn."""

from __future__ import annotations

import io
import json
import sqlite3
import tarfile
import threading
from pathlib import Path

import pytest

from fedishare.media.files import Folder
from fedishare.store import sqlite_files
from tests.support.shell import Shell, new_instance

DAY = 86400_000 << 16


@pytest.fixture
def shell(pattern: Shell, tmp_path: Path) -> Shell:
    """An instance with Ana, a token of hers, and a partner, for one test."""
    return pattern.copy(tmp_path / "clinic")


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """What `shell` is a copy of."""
    found = new_instance(tmp_path_factory.mktemp("pattern") / "clinic")
    found("account", "create", "ana", "--email", "ana@clinic.example")
    found("token", "create", "ana")
    found("partner", "add", "lab.example", "--reason", "r")
    return found


def put_post(shell: Shell, number: int) -> None:
    """A post of Ana's, in the plainest way."""
    shell.change(
        f"""INSERT INTO post (id, iri, iri_hash, url, author_id, local, kind, visibility, reach, html, published,
             created_at)
            SELECT {number}, 'https://clinic.example/{number}', {number}, 'u', id, 1, 'Note', 0, 'local', 'x', 1, 1
            FROM actor WHERE name = 'ana'"""
    )


def put_picture(shell: Shell, body: bytes = b"picture") -> Path:
    """A media file of ours, and one that is only kept of a partner's."""
    folder = Folder(shell.folder / "media")
    folder.put("ab" * 16 + ".png", body)
    folder.put("cd" * 16 + ".png", b"theirs", remote=True)
    return folder.local("ab" * 16 + ".png")


def bury(shell: Shell, number: int) -> None:
    """Delete it, and leave its tombstone."""
    shell.change(
        "PRAGMA foreign_keys = ON",
        f"""INSERT INTO tombstone (iri_hash, iri, author_iri, visibility, reach, deleted_at)
            SELECT {number}, 'https://clinic.example/{number}', iri, 0, 'local', 1 FROM actor WHERE name = 'ana'""",
        f"DELETE FROM post WHERE id = {number}",
    )


def test_a_backup_is_whole_private_and_restored_as_it_was(shell: Shell, tmp_path: Path) -> None:
    put_post(shell, 5)
    file = tmp_path / "a.tar"
    made = shell.json("backup", str(file))
    assert made["rows"]["local posts"] == 1
    assert file.stat().st_mode & 0o777 == 0o600
    with tarfile.open(file) as tar:
        assert tar.getnames() == ["manifest.json", "database.sqlite", "instance.toml", "media.json"]
    assert "exists" in shell("backup", str(file), code=1).stderr
    assert "is no folder" in shell("backup", str(tmp_path / "none" / "a.tar"), code=1).stderr
    shell("backup", str(file), "--force", "--with-secrets")
    with tarfile.open(file) as tar:
        assert "secrets.toml" in tar.getnames()
    assert list(tmp_path.glob(".fedishare-backup-*")) + list(tmp_path.glob("*.unfinished")) == []

    keys = shell.rows("SELECT rsa_private, ed25519_private FROM credential ORDER BY actor_id")
    shell.database.unlink()
    shell("restore", str(file))
    assert shell.rows("SELECT rsa_private, ed25519_private FROM credential ORDER BY actor_id") == keys
    assert shell.rows("SELECT id FROM post") == [(5,)]
    shell("verify")


def test_media_files_are_in_it_and_come_back(shell: Shell, tmp_path: Path) -> None:
    picture = put_picture(shell)
    file = tmp_path / "a.tar"
    assert shell.json("backup", str(file))["media"] == 1
    with tarfile.open(file) as tar:
        assert [n for n in tar.getnames() if n.startswith("media/")] == [f"media/{picture.name}"]
    picture.unlink()
    assert shell.json("restore", str(file), "--force")["media"] == 1
    assert picture.read_bytes() == b"picture" and picture.stat().st_mode & 0o777 == 0o600
    assert shell.json("backup", str(tmp_path / "b.tar"), "--without-media")["media"] == 0


def test_a_restore_asks_before_it_replaces_and_keeps_the_former(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "a.tar"
    shell("backup", str(file))
    put_post(shell, 6)
    assert "--force" in shell("restore", str(file), code=1).stderr
    assert shell.rows("SELECT id FROM post") == [(6,)]
    former = shell.json("restore", str(file), "--force")["former_database"]
    assert shell.rows("SELECT id FROM post") == []
    connection = sqlite3.connect(former)
    assert connection.execute("SELECT id FROM post").fetchall() == [(6,)]
    connection.close()
    assert list(shell.folder.glob("*.restoring*")) == []


def test_what_was_withdrawn_since_the_backup_stays_withdrawn(shell: Shell, tmp_path: Path) -> None:
    put_post(shell, 5)
    shell("account", "create", "ben", "--email", "ben@clinic.example")
    shell("token", "create", "ben")
    file = tmp_path / "a.tar"
    shell("backup", str(file))
    revision = int(shell.rows("SELECT value FROM setting WHERE key = 'policy_revision'")[0][0])

    bury(shell, 5)
    shell("token", "revoke", shell.json("token", "list", "ana")[0]["id"])
    shell("account", "suspend", "ben")
    shell("partner", "end", "lab.example", "--yes")
    shell("partner", "add", "new.example", "--reason", "later")
    counts = shell.json("restore", str(file), "--force")["kept_withdrawn"]

    assert {n: counts[n] for n in ("tombstones", "posts", "tokens", "partners", "accounts")} == {
        "tombstones": 1, "posts": 1, "tokens": 2, "partners": 1, "accounts": 1,
    }  # fmt: skip
    assert shell.rows("SELECT count(*) FROM post") == [(0,)]
    assert shell.json("token", "list") == []
    assert shell.json("account", "show", "ben")["state"] == "suspended"
    assert [(p["domain"], p["state"]) for p in shell.json("partner", "list")] == [("lab.example", "ended")]
    after = int(shell.rows("SELECT value FROM setting WHERE key = 'policy_revision'")[0][0])
    assert after > revision + 2, "no revision means two different policies"
    shell("verify")


def test_ids_are_never_given_out_twice(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "a.tar"
    shell("backup", str(file))
    # What ran meanwhile had a clock that was a day ahead.
    shell("token", "create", "ana")
    late = shell.rows("SELECT max(id) FROM token")[0][0] + DAY
    shell.change(
        f"UPDATE token SET id = {late} WHERE id = (SELECT max(id) FROM token)",
        f"INSERT INTO id_mark VALUES (7, {late})",
    )
    shell("restore", str(file), "--force")
    shell("token", "create", "ana")
    assert shell.rows("SELECT max(id) FROM token")[0][0] > late

    without = new_instance(tmp_path / "elsewhere")
    without("restore", str(file))
    without("token", "create", "ana")
    with tarfile.open(file) as tar:
        member = tar.extractfile("manifest.json")
        assert member is not None
        made_at = json.loads(member.read())["created_at"]
    assert without.rows("SELECT max(id) FROM token")[0][0] > (made_at + 60_000) << 16


def damaged(file: Path, target: Path, change: str) -> Path:
    """The same archive with something wrong."""
    with tarfile.open(file) as source, tarfile.open(target, "w") as out:
        for info in source.getmembers():
            member = source.extractfile(info)
            assert member is not None
            data = member.read()
            if change == "byte" and info.name == "database.sqlite":
                data = data[:5000] + bytes([data[5000] ^ 1]) + data[5001:]
            elif change == "short" and info.name == "database.sqlite":
                data, info.size = data[:-4096], info.size - 4096
            elif change == "name" and info.name == "database.sqlite":
                info.name = "../../database.sqlite"
            elif change == "link" and info.name == "database.sqlite":
                info.type, info.linkname, info.size = tarfile.SYMTYPE, "/etc/passwd", 0
            elif change == "picture" and info.name.startswith("media/"):
                data = b"!" + data[1:]
            elif change == "no picture" and info.name.startswith("media/"):
                continue
            elif change == "other picture" and info.name.startswith("media/"):
                info.name = "media/../../../evil.png"
            elif change == "no list" and info.name == "media.json":
                continue
            elif change.startswith("{") and info.name == "manifest.json":
                data = json.dumps(json.loads(data) | json.loads(change)).encode()
                info.size = len(data)
            out.addfile(info, io.BytesIO(data) if info.isreg() else None)
    return target


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("byte", "another checksum"),
        ("short", "not as the manifest says"),
        ("name", "cannot be read"),
        ("link", "not as the manifest says"),
        ("picture", "not those that were stored"),
        ("no picture", "not those that were stored"),
        ("other picture", "not those that were stored"),
        ("no list", "not those that were stored"),
        ('{"format": 2}', "format 2"),
        ('{"engine": "oracle"}', "no database in it"),
        ('{"engine": "postgresql"}', "no database in it"),
        ('{"domain": "evil.example"}', "can never change"),
        ('{"created_at": "yesterday"}', "is not a backup of fedishare"),
    ],
)
def test_a_damaged_backup_changes_nothing(shell: Shell, tmp_path: Path, change: str, sentence: str) -> None:
    put_picture(shell)
    file = tmp_path / "a.tar"
    shell("backup", str(file))
    before = shell.database.read_bytes()
    wrong = damaged(file, tmp_path / "wrong.tar", change)
    assert sentence in shell("restore", str(wrong), "--force", code=1).stderr
    assert shell.database.read_bytes() == before
    assert list(shell.folder.glob("*.restoring*")) + list(shell.folder.glob("*before-restore*")) == []
    assert not list(tmp_path.rglob("evil*")) and not list((shell.folder / "media").glob("restoring*"))
    shell("restore", str(file), "--force")


@pytest.mark.parametrize("content", [b"", b"no tar", b"\0" * 10240])
def test_what_is_no_backup_is_told(shell: Shell, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a.tar"
    file.write_bytes(content)
    assert "is not a backup of fedishare" in shell("restore", str(file), "--force", code=1).stderr


def test_a_database_in_use_is_not_replaced(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "a.tar"
    shell("backup", str(file))
    connection = sqlite3.connect(shell.database)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("SELECT count(*) FROM actor").fetchone()
    try:
        assert "stop the server first" in shell("restore", str(file), "--force", code=1).stderr
    finally:
        connection.close()
    shell("restore", str(file), "--force")


def test_a_former_database_that_is_damaged_does_not_prevent_a_restore(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "a.tar"
    shell("backup", str(file))
    shell.database.write_bytes(b"no database " * 1000)
    said = shell("restore", str(file), "--force")
    assert "tells nothing" in said.stderr and "partner list" in said.stdout
    shell("verify")


def test_a_copy_is_of_one_instant_while_others_write(tmp_path: Path) -> None:
    source, target = tmp_path / "a.db", tmp_path / "b.db"
    with sqlite3.connect(source, isolation_level=None) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE pair (one INTEGER, two INTEGER, fill BLOB)")
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO pair VALUES (?, ?, zeroblob(4000))", ((n, -n) for n in range(8000)))
    connection.close()
    stop, copying = threading.Event(), threading.Event()
    written: list[int] = []

    def write() -> None:
        other = sqlite3.connect(source, isolation_level=None, timeout=10)
        copying.wait(10)
        number = 1_000_000
        while not stop.is_set():
            number += 1
            other.execute("BEGIN IMMEDIATE")
            other.execute("UPDATE pair SET one = ?, two = ? WHERE rowid = 8000", (number, -number))
            other.execute("INSERT INTO pair VALUES (?, ?, NULL)", (number, -number))
            other.execute("COMMIT")
            written.append(number)
        other.close()

    steps: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        steps.append((done, total))
        copying.set()
        if len(steps) == 1:
            while not written and thread.is_alive():  # somebody writes between two steps, for sure
                stop.wait(0.01)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        sqlite_files.snapshot(source, target, progress)
    finally:
        stop.set()
        thread.join()
    assert written and len(steps) > 2 and steps[-1][0] == steps[-1][1]
    copy = sqlite3.connect(target)
    assert copy.execute("SELECT count(*), sum(one + two), max(one) FROM pair").fetchone() == (8000, 0, 7999)
    assert copy.execute("PRAGMA journal_mode").fetchone() == ("delete",), "the copy is one file"
    copy.close()
    assert sqlite_files.faults(target) == []


def test_verify_finds_what_should_not_be(shell: Shell) -> None:
    assert shell.json("verify")["ok"]
    put_post(shell, 5)
    bury(shell, 5)
    put_post(shell, 5)
    shell.change(
        "UPDATE actor SET followers_count = 3 WHERE name = 'ana'",
        """INSERT INTO job (id, kind, lane, host, state, payload, document_id, run_at, created_at)
           VALUES (1, 'deliver', 'x', 'lab.example', 0, '{}', 999, 0, 0)""",
        "DELETE FROM actor_key WHERE actor_id = (SELECT id FROM actor WHERE name = 'ana')",
        "UPDATE id_mark SET mark = 5 WHERE node >= 0",
        "INSERT INTO mention (post_id, actor_id) VALUES (12345, 12345)",
        "UPDATE partner SET review_at = 5",
    )
    found = shell.json("verify", code=1)
    wrong = {c["name"] for c in found["checks"] if not c["ok"]}
    assert wrong == {
        "the file is sound", "nothing deleted is back", "deliveries have their document", "accounts have their keys",
        "followers are counted right", "ids are never used twice",
    }  # fmt: skip
    assert "due for review" in found["notes"][0]
    said = shell("verify", code=1).stdout
    assert "6 problems" in said and "https://clinic.example/5 has a tombstone" in said


def test_verify_finds_a_broken_allow_list(shell: Shell) -> None:
    shell.change(
        """INSERT INTO partner SELECT 'twin.example', state, replace(terms, '"hosts":[]', '"hosts":["lab.example"]'),
           owner, reason, ticket, expires_at, review_at, created_at, updated_at FROM partner"""
    )
    found = shell.json("verify", code=1)["checks"][-1]
    assert (found["name"], found["ok"]) == ("the allow-list can be used", False)
    assert "nobody gets it" in found["found"][0]
