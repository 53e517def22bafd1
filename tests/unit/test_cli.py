"""Commands, called as a shell calls them: what they print, what they change, and the exit code."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from fedishare.cli import cli
from fedishare.cli import serve as serve_module
from fedishare.cli.output import clean
from fedishare.cli.terms import checked, entry_of
from fedishare.config import load, parse
from fedishare.model.ids import Domain, Millis
from fedishare.model.partners import ACTIVITY_TYPES, Direction, Partner, PartnerState, Terms
from fedishare.model.posts import Visibility
from fedishare.services.accounts import token_hash
from tests.support.shell import Shell, new_instance


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """An instance as `init` makes it."""
    return new_instance(tmp_path / "clinic")


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """An instance with Ana, who has a password."""
    made = new_instance(tmp_path_factory.mktemp("pattern") / "clinic")
    words = ("account", "create", "ana", "--email", "ana@clinic.example", "--role", "security", "--password-stdin")
    made(*words, stdin="correct horse battery\n")
    return made


@pytest.fixture
def people(pattern: Shell, tmp_path: Path) -> Shell:
    """An instance with Ana, for one test."""
    return pattern.copy(tmp_path / "people")


# Starting


def test_init_writes_once_and_says_what_comes_next(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "new")
    words = (
        "init",
        "--domain",
        "lab.localhost:8009",
        "--origin",
        "http://lab.localhost:8009",
        "--dir",
        str(shell.folder),
    )
    said = shell(*words).stdout
    assert "account create" in said and "serve" in said
    assert (shell.folder / "secrets.toml").stat().st_mode & 0o777 == 0o600
    assert load(shell.config, environ={}).development
    before = shell.config.read_text()
    assert "exists already" in shell(*words, code=1).stderr
    assert shell.config.read_text() == before
    assert "not a domain" in Shell(tmp_path)("init", "--domain", "x y", "--dir", str(tmp_path / "z"), code=1).stderr
    assert not (tmp_path / "z").exists()
    # In a container the TLS proxy is another machine: without its name nothing open to others is written.
    words = ("init", "--domain", "x.example", "--listen", "0.0.0.0:8000", "--dir", str(tmp_path / "z"))
    assert "trusted_proxies" in shell(*words, code=1).stderr
    shell(*words, "--trusted-proxy", "172.16.0.0/12")
    made = load(tmp_path / "z" / "instance.toml", environ={})
    assert made.server.trusted_proxies == ("172.16.0.0/12",)


def test_check_tells_everything_at_once(shell: Shell) -> None:
    assert "ok" in shell("check").stdout
    assert shell.json("check")["problems"] == []
    shell.append("[metrics]\nallowed = 1\n[federation]\npartnres = []\n[posts]\nmax_characters = 0\n")
    text = shell.config.read_text()
    # tables stand twice now: keep the last ones
    for table in ("metrics", "federation", "posts"):
        text = text.replace(f"[{table}]\n#", "#", 1)
    shell.config.write_text(text)
    said = shell("check", code=1).stderr
    assert "metrics.allowed" in said and "partnres" in said and 'did you mean "partners"' in said
    assert "posts.max_characters" in said
    found = shell.json("check", code=1)["problems"]
    assert {p["key"] for p in found} >= {"metrics.allowed", "federation.partnres", "posts.max_characters"}
    assert "posts.max_characters" in shell("account", "list", code=1).stderr


def test_the_file_is_found_by_option_then_variable_then_here(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Shell(tmp_path / "other")
    other("init", "--domain", "other.example", "--dir", str(other.folder))
    assert "other.example" in shell("check", "-c", str(other.config)).stdout
    assert "clinic.example" in shell("check").stdout
    monkeypatch.chdir(other.folder)
    monkeypatch.delenv("FEDISHARE_CONFIG", raising=False)
    assert "other.example" in CliRunner().invoke(cli, ["check"]).stdout
    monkeypatch.chdir(tmp_path)
    missing = CliRunner().invoke(cli, ["check"])
    assert missing.exit_code == 1 and "does not exist" in missing.stderr and "fedishare init" in missing.stderr


def test_migrate_is_done_once(shell: Shell) -> None:
    assert shell.json("migrate", "--dry-run", code=1)["missing"]
    assert shell.json("migrate")["applied"]
    assert shell.json("migrate", "--dry-run")["missing"] == []
    assert "up to date" in shell("migrate").stdout


def test_a_newer_database_is_refused_in_a_sentence(people: Shell) -> None:
    connection = sqlite3.connect(people.database)
    connection.execute("INSERT INTO schema_migration VALUES (99, 'later', 'x', 99, 0)")
    connection.commit()
    connection.close()
    for words in (("account", "list"), ("migrate",), ("verify",)):
        said = people(*words, code=1).stderr
        assert "99" in said and "newer version" in said


def test_an_older_database_wants_migrate(people: Shell) -> None:
    newest = people.rows("SELECT max(number) FROM schema_migration")[0][0]
    connection = sqlite3.connect(people.database)
    connection.execute("INSERT INTO schema_migration SELECT -1, 'x', 'x', 0, 0")
    connection.execute("DELETE FROM schema_migration WHERE number = ?", (newest,))
    connection.commit()
    connection.close()
    if newest > 1:
        assert "fedishare migrate" in people("account", "list", code=1).stderr


def test_routes_need_no_instance_and_touch_none(shell: Shell, tmp_path: Path) -> None:
    found = shell.json("routes")
    by_path = {(r["method"], r["path"]): r for r in found}
    assert by_path["POST", "/inbox"]["access"] == "inbox"
    assert by_path["POST", "/api/v1/statuses"]["scopes"] == ["write:statuses"]
    assert by_path["WEBSOCKET", "/api/v1/streaming"]["access"] == "token"
    assert not shell.database.exists()
    nowhere = CliRunner().invoke(cli, ["routes", "-c", str(tmp_path / "none.toml")])
    assert nowhere.exit_code == 0 and "/.well-known/webfinger" in nowhere.stdout


# Accounts and tokens


def test_accounts_are_made_listed_and_ended(people: Shell) -> None:
    assert [a["name"] for a in people.json("account", "list")] == ["ana"]
    assert people.json("account", "list", "--role", "admin") == []
    assert "@ana" in people("account", "list").stdout
    shown = people.json("account", "show", "@ana@clinic.example")
    assert (shown["role"], shown["state"], shown["has_password"]) == ("security", "active", True)

    taken = ("account", "create", "Ana", "--email", "other@clinic.example")
    assert "taken" in people(*taken, code=1).stderr
    assert "taken" in people("account", "create", "bea", "--email", "ANA@clinic.example", code=1).stderr
    assert "reserved" in people("account", "create", "admin", "--email", "x@clinic.example", code=1).stderr
    assert "letters" in people("account", "create", "a b", "--email", "x@clinic.example", code=1).stderr
    short = ("account", "create", "cleo", "--email", "c@clinic.example", "--password-stdin")
    assert "12 to 256" in people(*short, stdin="short\n", code=1).stderr
    assert "no account" in people("account", "show", "nobody", code=1).stderr

    token = people("token", "create", "ana").stdout.strip()
    people("account", "suspend", "ana")
    assert people.json("account", "show", "ana")["state"] == "suspended"
    assert people.rows("SELECT count(*) FROM token WHERE revoked_at IS NULL") == [(0,)]
    people("account", "restore", "ana")
    assert people.json("account", "show", "ana")["state"] == "active"
    assert token_hash(token) in {row[0] for row in people.rows("SELECT token_hash FROM token")}

    assert "--yes" in people("account", "delete", "ana", stdin="", code=1).stderr
    assert people.json("account", "show", "ana")["state"] == "active"
    people("account", "delete", "ana", "--yes")
    assert people.json("account", "show", "ana")["state"] == "deleted"
    assert "cannot be taken back" in people("account", "restore", "ana", code=1).stderr
    assert "taken" in people("account", "create", "ana", "--email", "new@clinic.example", code=1).stderr


def test_a_password_is_replaced_and_tokens_end(people: Shell) -> None:
    before = people.rows("SELECT password_hash FROM credential WHERE email IS NOT NULL")
    people("token", "create", "ana")
    made = people("account", "reset-password", "ana").stdout.strip()
    assert len(made) >= 16 and "\n" not in made
    after = people.rows("SELECT password_hash FROM credential WHERE email IS NOT NULL")
    assert before != after and made not in str(after)
    assert people.json("token", "list") == []
    people("token", "create", "ana")
    said = people("account", "reset-password", "ana", "--password-stdin", "--keep-tokens", stdin="another good one\n")
    assert said.stdout == ""
    assert len(people.json("token", "list")) == 1


def test_a_link_for_a_new_password_is_printed_and_only_its_hash_is_kept(people: Shell) -> None:
    made = people("account", "reset-link", "ana").stdout.strip()
    token = made.partition("/auth/password?token=")[2]
    assert len(token) == 43 and made.startswith("http") and token.encode() not in people.database.read_bytes()
    assert len(people.rows("SELECT token_hash FROM reset_link")) == 1
    assert people("account", "reset-link", "ana").stdout.strip() != made
    assert len(people.rows("SELECT token_hash FROM reset_link")) == 1, "the one before is worth nothing"
    people("account", "suspend", "ana")
    assert "suspended" in people("account", "reset-link", "ana", code=1).stderr
    assert "no account" in people("account", "reset-link", "nobody", code=1).stderr


def test_token_create_prints_the_token_and_nothing_else(people: Shell) -> None:
    made = people("token", "create", "ana", "--scopes", "read write")
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}\n", made.stdout) and made.stderr == ""
    token = made.stdout.strip()
    listed = people.json("token", "list", "ana")
    assert [t["scopes"] for t in listed] == [["read", "write"]]
    assert token not in people("token", "list").stdout
    assert token.encode() not in people.database.read_bytes()
    assert "unknown scope" in people("token", "create", "ana", "--scopes", "read fly", code=1).stderr
    assert "no account" in people("token", "create", "nobody", code=1).stderr
    assert people("token", "create", "nobody", code=1).stdout == ""

    ident = listed[0]["id"]
    people("token", "revoke", ident)
    assert people.json("token", "list") == []
    assert people.json("token", "list", "--all")[0]["revoked_at"]
    assert "no valid token" in people("token", "revoke", ident, code=1).stderr
    assert "an id is a number" in people("token", "revoke", "x1", code=2).stderr


# Partners


def test_a_partner_is_added_in_its_one_spelling(shell: Shell) -> None:
    words = ("partner", "add", "Lab.Example.", "--reason", "joint study", "--expires", "2099-12-31", "--no-media")
    said = shell(*words).stdout
    assert "Added lab.example" in said and "their posts come in" in said
    assert "partner add clinic.example" in said, "what is to be done at the other side"
    found = shell.json("partner", "list")[0]
    assert (found["domain"], found["media"], found["source"]) == ("lab.example", False, "database")
    assert found["expires_at"] == "2099-12-31T00:00:00Z"
    assert "is a partner already" in shell(*words, code=1).stderr
    assert shell.rows("SELECT action, subject FROM audit WHERE action LIKE 'partner%'") == [
        ("partner.add", "lab.example")
    ]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("clinic.example",), "is this instance itself"),
        (("CLINIC.example.",), "is this instance itself"),
        (("lab.example:8080",), "has a port"),
        (("10.1.2.3",), "IP address"),
        (("*.lab.example",), "not a domain name"),
        (("lab.example", "--network", "10.1.2.3/8"), "did you mean '10.0.0.0/8'"),
        (("lab.example", "--network", "0.0.0.0/0"), "--network"),
        (("lab.example", "--network", "169.254.0.0/16"), "link-local"),
        (("lab.example", "--network", "127.0.0.1"), "development = true"),
        (("lab.example", "--activity-type", "Folow"), 'did you mean "Follow"'),
        (("lab.example", "--host", "clinic.example"), "is this instance itself"),
        (("lab.example", "--expires", "tomorrow"), "--expires"),
        (("lab.example", "--pinned-key", "sha256/abc"), "--pinned-key"),
        (("lab.example", "--ca-bundle", "missing.pem"), "--ca-bundle"),
        (("lab.example", "--rate", "0"), "--rate"),
        (("com", "--include-subdomains"), "top-level domain"),
    ],
)
def test_what_cannot_be_a_partner_is_wrong_usage(shell: Shell, words: tuple[str, ...], sentence: str) -> None:
    assert sentence in shell("partner", "add", *words, "--reason", "r", code=2).stderr
    assert not shell.database.exists(), "nothing was opened, so nothing was stored"


def test_every_wrong_option_is_told_at_once(shell: Shell) -> None:
    words = (
        "partner",
        "add",
        "lab.example",
        "--reason",
        "r",
        "--network",
        "x",
        "--activity-type",
        "Y",
        "--expires",
        "z",
    )
    said = shell(*words, code=2).stderr
    assert "--network" in said and "--activity-type" in said and "--expires" in said
    assert "reason" in shell("partner", "add", "lab.example", code=2).stderr
    assert "reason" in shell("partner", "add", "lab.example", "--reason", " ", code=1).stderr


def test_terms_change_only_where_named(shell: Shell) -> None:
    shell("partner", "add", "lab.example", "--reason", "r", "--network", "10.2.0.0/16", "--activity-type", "Follow")
    assert "nothing to change" in shell("partner", "set", "lab.example", code=2).stderr
    shell("partner", "set", "lab.example", "--ceiling-out", "unlisted", "--owner", "sec@clinic.example")
    found = shell.json("partner", "show", "lab.example")
    assert (found["networks"], found["activity_types"]) == (["10.2.0.0/16"], ["Follow"])
    assert (found["ceiling_out"], found["owner"], found["reason"]) == ("unlisted", "sec@clinic.example", "r")
    shell("partner", "set", "lab.example", "--network", "none", "--activity-type", "all", "--no-direct-messages")
    found = shell.json("partner", "show", "lab.example")
    assert (found["networks"], found["activity_types"], found["direct_messages"]) == ([], None, False)
    assert "not a partner" in shell("partner", "set", "other.example", "--media", code=1).stderr


def test_a_partnership_is_paused_resumed_and_ended(shell: Shell) -> None:
    shell("partner", "add", "lab.example", "--reason", "r", "--state", "proposed")
    connect = ("policy", "explain", "--domain", "lab.example", "--question", "connect")
    assert shell.json(*connect, code=1)["rule"] == "partner-proposed"
    shell("partner", "set", "lab.example", "--state", "active")
    assert shell.json(*connect)["verdict"] == "allow"
    shell("partner", "pause", "lab.example")
    assert shell.json(*connect, code=1)["rule"] == "partner-paused"
    assert "paused already" in shell("partner", "pause", "lab.example", code=1).stderr
    shell("partner", "resume", "lab.example")
    assert shell.json(*connect)["verdict"] == "allow"
    assert "--yes" in shell("partner", "end", "lab.example", stdin="", code=1).stderr
    shell("partner", "end", "lab.example", "--yes")
    assert shell.json(*connect, code=1)["rule"] == "partner-ended"
    assert "has ended" in shell("partner", "resume", "lab.example", code=1).stderr
    shell("partner", "add", "lab.example", "--reason", "again")
    assert shell.json(*connect)["verdict"] == "allow"


def test_partners_of_the_file_are_changed_there(shell: Shell) -> None:
    shell.append('\n[[federation.partners]]\ndomain = "lab.example"\nhosts = ["social.lab.example"]\nreason = "r"\n')
    for words in (
        ("add", "lab.example", "--reason", "r"),
        ("add", "social.lab.example", "--reason", "r"),
        ("set", "lab.example", "--no-media"),
        ("pause", "lab.example"),
        ("resume", "lab.example"),
        ("end", "lab.example", "--yes"),
    ):
        said = shell("partner", *words, code=1).stderr
        assert "federation.partners[0]" in said and str(shell.config) in said and "restart" in said
    assert shell.json("partner", "list")[0]["source"] == "file"
    assert shell.json("partner", "show", "social.lab.example")["domain"] == "lab.example"


def test_no_host_belongs_to_two_partners(shell: Shell) -> None:
    shell("partner", "add", "lab.example", "--reason", "r", "--host", "social.lab.example")
    said = shell("partner", "add", "other.example", "--reason", "r", "--host", "social.lab.example", code=1).stderr
    assert "social.lab.example is a host of the partner lab.example already" in said
    shell("partner", "add", "other.example", "--reason", "r")
    said = shell("partner", "set", "other.example", "--host", "lab.example", code=1).stderr
    assert "lab.example is a host" in said
    assert "is no partner" in shell("partner", "show", "nobody.example", code=1).stderr


WORDS = st.sampled_from(list(Visibility))
TYPES = st.one_of(st.none(), st.frozensets(st.sampled_from(sorted(ACTIVITY_TYPES)), max_size=3))
MOMENTS = st.one_of(st.none(), st.integers(0, 4_000_000_000).map(lambda s: Millis(s * 1000)))
SETTINGS = parse('[server]\ndomain = "clinic.example"\n', path=Path("/nowhere/x.toml"),
                 environ={"FEDISHARE_SECRET_KEY": "k" * 64})  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    terms=st.builds(
        Terms,
        direction=st.sampled_from(list(Direction)), activity_types=TYPES, ceiling_in=WORDS, ceiling_out=WORDS,
        media=st.booleans(), direct_messages=st.booleans(), public_addressing=st.booleans(),
        include_subdomains=st.booleans(), networks=st.sampled_from([(), ("10.0.0.0/8",), ("fd00::/8", "10.1.0.0/16")]),
        rate=st.one_of(st.none(), st.integers(1, 10**9)),
    ),
    state=st.sampled_from(list(PartnerState)), expires=MOMENTS, review=MOMENTS,
)  # fmt: skip
def test_a_partner_survives_being_written_as_an_entry(
    terms: Terms, state: PartnerState, expires: Millis | None, review: Millis | None
) -> None:
    before = Partner(Domain("lab.example"), state, terms, "o", "r", "t", expires, review, hosts=(Domain("a.example"),))
    assert checked(entry_of(before), SETTINGS) == before


# Policy


def test_explain_answers_with_the_exit_code(shell: Shell) -> None:
    words = ("policy", "explain", "--domain", "lab.example")
    said = shell(*words, code=1).stdout
    assert "unlisted" in said and "allow-list" in said
    shell("partner", "add", "lab.example", "--reason", "r", "--no-media", "--ceiling-in", "unlisted")
    assert shell.json(*words)["rule"] == "partner"
    assert shell.json(*words, "--media", code=1)["rule"] == "media"
    assert shell.json(*words, "--reach", "local", code=1)["rule"] == "reach"
    assert shell.json(*words, "--reach", "other.example,lab.example")["verdict"] == "allow"
    assert shell.json(*words, "--public", code=1)["rule"] == "public-addressing"
    assert shell.json(*words, "--question", "receive", code=1)["rule"] == "ceiling-in"
    assert shell.json(*words, "--question", "receive", "--visibility", "private")["verdict"] == "allow"
    assert shell.json(*words, "--question", "fetch", "--purpose", "media", code=1)["rule"] == "media"
    assert "not a domain" in shell(*words, "--reach", "x y", code=2).stderr
    assert "at:" in shell(*words, "--at", "soon", code=2).stderr


def test_policy_cases_are_compared(shell: Shell, tmp_path: Path) -> None:
    shell.append('\n[[federation.partners]]\ndomain = "lab.example"\nreason = "r"\nexpires_at = 2030-01-01\n')
    cases = tmp_path / "cases.toml"
    case = '[[case]]\ndomain = "{}"\nquestion = "{}"\nexpect = "{}"\n'
    cases.write_text(
        case.format("lab.example", "deliver", "allow")
        + case.format("lab.example", "connect", "deny") + 'at = "2031-01-01"\nrule = "partner-expired"\n'
        + case.format("evil-lab.example", "connect", "deny") + 'rule = "unlisted"\n'
    )  # fmt: skip
    assert "3 cases, all as expected" in shell("policy", "test", str(cases)).stdout
    assert not shell.database.exists(), "policy in version control is tested without a database"
    cases.write_text(cases.read_text() + case.format("lab.sub.example", "connect", "allow") + 'name = "wrong"\n')
    said = shell("policy", "test", str(cases), code=1).stdout
    assert "wrong" in said and "1 not as expected" in said and "✗" in said
    assert [r["ok"] for r in shell.json("policy", "test", str(cases), code=1)] == [True, True, True, False]
    cases.write_text(case.format("evil.example", "connect", "deny") + 'rule = "partner-ended"\n')
    assert "unlisted" in shell("policy", "test", str(cases), code=1).stdout, "the right verdict by another rule"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[[case", "cannot be read as TOML"),
        ("case = 3", "double brackets"),
        ("[[cases]]\nx = 1", "unknown key"),
        ('[[case]]\ndomain = "a.example"\nquestion = "may"\nexpect = "allow"', "case[0].question"),
        ('[[case]]\ndomain = "a.example"\nquestion = "connect"', "case[0].expect"),
        ('[[case]]\ndomain = "a.example"\nquestion = "connect"\nexpect = "allow"\nreech = "x"', "reech"),
        ('[[case]]\ndomain = "a.example"\nquestion = "fetch"\nexpect = "allow"\npurpose = "x"', "purpose"),
    ],
)
def test_cases_that_cannot_be_read_are_wrong_usage(shell: Shell, tmp_path: Path, text: str, sentence: str) -> None:
    cases = tmp_path / "cases.toml"
    cases.write_text(text)
    assert sentence in shell("policy", "test", str(cases), code=2).stderr


# What goes wrong


def test_a_locked_database_is_a_sentence(people: Shell) -> None:
    connection = sqlite3.connect(people.database, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        said = people("token", "create", "ana", code=1)
    finally:
        connection.close()
    assert "locked" in said.stderr and "try again" in said.stderr and said.stdout == ""
    people("token", "create", "ana")


def test_a_file_that_is_no_database_is_a_sentence(people: Shell) -> None:
    people.database.write_bytes(b"not a database at all, but long enough to be looked at" * 100)
    assert "no database" in people("account", "list", code=1).stderr


def test_what_nobody_foresaw_is_a_sentence_too(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("out of cheese")

    monkeypatch.setattr(serve_module, "_routes", broken)
    said = shell("routes", code=1).stderr
    assert "out of cheese" in said and "report" in said
    debug = CliRunner().invoke(cli, ["routes"], env={"FEDISHARE_DEBUG": "1", "FEDISHARE_CONFIG": str(shell.config)})
    assert isinstance(debug.exception, RuntimeError)


def test_what_strangers_sent_cannot_steer_a_terminal() -> None:
    assert clean("a\x1b[2Jb\r\nc\x07") == "a [2Jb  c "
    assert clean("ä → 名前 ✓") == "ä → 名前 ✓"


def test_wrong_usage_is_two(shell: Shell) -> None:
    wrong: list[tuple[str, ...]] = [("fly",), ("account",), ("account", "create"), ("queue", "retry"), ("serve", "--x")]
    for words in wrong:
        shell(*words, code=2)
    callbacks: list[Callable[[], Result]] = [lambda: shell("queue", "retry", "5", "--all", code=2)]
    assert "exactly one" in callbacks[0]().stderr
