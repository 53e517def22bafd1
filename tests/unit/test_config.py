"""Configuration: what is wrong is told all at once, what is unsafe refuses to start, and secrets stay apart."""

from __future__ import annotations

import dataclasses
import os
import stat
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedishare.config import (
    Config,
    all_settings,
    load,
    parse,
    partners_from,
    prepare,
    render,
    write_initial,
)
from fedishare.config.settings import SECTIONS
from fedishare.model.errors import ConfigError
from fedishare.model.ids import Domain, Millis
from fedishare.model.partners import Direction, PartnerState, is_loopback_host
from fedishare.model.posts import LOCAL, PARTNERS, Reach, Visibility
from fedishare.policy.decide import decide
from fedishare.policy.facts import Facts, Question
from fedishare.policy.rules import compile_policy

KEY = {"FEDISHARE_SECRET_KEY": "k" * 64}
ROOT = Path(__file__).resolve().parents[2]
NOWHERE = Path("/nowhere/instance.toml")
SERVER = '[server]\ndomain = "clinic.example"\n'
DEVELOPMENT = '[server]\ndomain = "localhost:8000"\norigin = "http://localhost:8000"\ndevelopment = true\n'


def read(text: str, *, path: Path = NOWHERE, environ: dict[str, str] | None = None) -> Config:
    return parse(text, path=path, environ=KEY if environ is None else environ)


def problems(text: str, *, path: Path = NOWHERE, environ: dict[str, str] | None = None) -> dict[str, str]:
    """The problems of a text by key path; none when it loads."""
    try:
        read(text, path=path, environ=environ)
    except ConfigError as error:
        assert error.problems
        assert all(path in error.message and sentence in error.message for path, sentence in error.problems)
        return dict(error.problems)
    return {}


# What is there when nothing is said.


def test_the_least_that_works_is_cautious() -> None:
    config = read(SERVER)
    assert (config.domain, config.host, config.origin) == ("clinic.example", "clinic.example", "https://clinic.example")
    assert (config.listen.host, config.listen.port) == ("127.0.0.1", 8000)
    assert config.database_url == "sqlite:////nowhere/fedishare.db"
    assert config.base_path == Path("/nowhere") and config.media_path == Path("/nowhere/media")
    assert config.posts.max_characters == 140
    assert (config.posts.visibility, config.posts.reach) == (Visibility.PUBLIC, LOCAL)
    for visibility in Visibility:
        assert read(f'{SERVER}[posts]\ndefault_visibility = "{visibility.word}"\n').posts.visibility is visibility
    assert (config.registration.mode, config.web.public_pages) == ("closed", False)
    assert (config.server.trusted_proxies, config.development) == ((), False)
    assert (config.federation.public_addressing, partners_from(config)) == (False, ())
    assert config.own_hosts == {"clinic.example"}
    assert config.secret_key == b"k" * 64


def test_names_are_normalised_and_domains_may_be_split() -> None:
    config = read('[server]\ndomain = "Klinik-Bücher.Example."\norigin = "HTTPS://Social.Clinic.Example:443/"\n')
    assert config.domain == "xn--klinik-bcher-klb.example"
    assert (config.origin, config.host) == ("https://social.clinic.example", "social.clinic.example")
    assert config.own_hosts == {config.domain, config.host}
    assert config.server.domain == config.domain and config.server.origin == config.origin


# All problems at once, each with its path.


def test_every_problem_is_told_at_once() -> None:
    found = problems(
        """
        mode = "open"
        [server]
        domain = "clinic.example"
        orign = "https://clinic.example"
        workers = "two"
        [posts]
        max_characters = 5001
        default_visibility = "publik"
        [regstration]
        [limits]
        rates = 1
        inbox_bytes = 3
        [[federation.partners]]
        domain = "lab.example"
        directon = "in"
        [[federation.partners]]
        domain = 3
        state = "activ"
        """
    )
    assert found == {
        "mode": "unknown key; it belongs into [registration]",
        "server.orign": 'unknown key; did you mean "origin"?',
        "server.workers": 'expected a whole number, found "two"',
        "posts.max_characters": "expected a whole number of at most 5000, found 5001",
        "posts.default_visibility": 'expected "public", "unlisted", "private" or "direct", found "publik"; '
        'did you mean "public"?',
        "regstration": 'unknown key; did you mean "registration"?',
        "limits.rates": "expected true or false, found 1",
        "limits.inbox_bytes": "expected a whole number of at least 65536, found 3",
        "federation.partners[0].directon": 'unknown key; did you mean "direction"?',
        "federation.partners[1].domain": "expected text, found 3",
        "federation.partners[1].state": 'expected "proposed", "active", "paused" or "ended", found "activ"; '
        'did you mean "active"?',
    }


@pytest.mark.parametrize(
    ("text", "path", "sentence"),
    [
        ("", "server.domain", "is missing"),
        ("server = 3", "server", "expected a table, found 3"),
        ("[[server]]", "server", "expected a table"),
        (SERVER + "[server]", "instance.toml", "is not TOML"),
        ("[server", "instance.toml", "is not TOML"),
        (SERVER + "trusted_proxies = ['10.0.0.0/8', 7]", "server.trusted_proxies[1]", "expected text, found 7"),
        (SERVER + "[posts]\ndefault_reach = 'partner'", "posts.default_reach", 'did you mean "partners"?'),
        (SERVER + "[posts]\ndefault_reach = []", "posts.default_reach", 'write "local"'),
        (SERVER + "[posts]\ndefault_reach = ['lab']\n[web]\n[posts.x]", "posts.x", "unknown key"),
    ],
)
def test_the_path_is_that_of_the_key(text: str, path: str, sentence: str) -> None:
    found = problems(text)
    assert list(found) == [path]
    assert sentence in found[path]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    cases: list[tuple[Callable[[Path], object], str]] = [
        (lambda p: None, "does not exist"),
        (lambda p: p.mkdir(), "cannot be read"),
        (lambda p: p.write_bytes(b"\xff\xfe"), "is not UTF-8"),
        (lambda p: p.write_bytes(b"#" * (4 * 1024 * 1024 + 1)), "is larger than"),
    ]
    for make, sentence in cases:
        path = tmp_path / f"{sentence[:4]}{len(sentence)}.toml"
        make(path)
        with pytest.raises(ConfigError, match=sentence):
            load(path, environ=KEY)


toml_values = st.recursive(
    st.one_of(st.booleans(), st.integers(-5, 10**9), st.text(max_size=20), st.floats(allow_nan=False), st.datetimes()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)
some_keys = st.sampled_from([*SECTIONS, "partners", *(s.path.rpartition(".")[2] for s in all_settings())])


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(some_keys, st.one_of(toml_values, st.dictionaries(some_keys, toml_values, max_size=5)), max_size=5)
)
def test_any_document_loads_or_is_refused_with_paths(document: dict[str, Any]) -> None:
    text = "".join(f"{key} = {as_toml(value)}\n" for key, value in document.items())
    tomllib.loads(text)
    problems(text)


def as_toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{as_toml(key)} = {as_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(as_toml(item) for item in value) + "]"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(c):08x}" for c in value) + '"'
    return repr(value)


# Unsafe settings refuse to start, and say why. The first text of each pair is unsafe, the second is not.

PLAIN = 'domain = "a.example"'
UNSAFE = [
    ("plain http", 'domain = "clinic.example"\norigin = "http://clinic.example"', PLAIN, "origin"),
    (
        "is plain http",
        'domain = "localhost"\norigin = "http://localhost"',
        'domain = "localhost"\norigin = "http://localhost"\ndevelopment = true',
        "origin",
    ),
    (
        "is not on loopback",
        'domain = "clinic.example"\ndevelopment = true',
        'domain = "clinic.localhost:8001"\norigin = "http://clinic.localhost:8001"\ndevelopment = true',
        "development",
    ),
    (
        "has a port",
        'domain = "clinic.example:8443"\norigin = "http://localhost:1"\ndevelopment = true',
        'domain = "127.0.0.1:8443"\norigin = "http://127.0.0.1:8443"\ndevelopment = true',
        "domain",
    ),
    ("has a port", 'domain = "localhost:8000"\norigin = "https://clinic.example"', PLAIN, "domain"),
    ("has a port", 'domain = "a.example"\norigin = "https://a.example:8443"', PLAIN, "origin"),
    ("IP address", 'domain = "10.0.0.1"\norigin = "https://a.example"', PLAIN, "domain"),
    ("nothing behind it", 'domain = "a.example"\norigin = "https://a.example/x"', PLAIN, "origin"),
    ("user information", 'domain = "a.example"\norigin = "https://u:pw@a.example"', PLAIN, "origin"),
    ("IPv6", 'domain = "localhost"\norigin = "http://[::1]:1"\ndevelopment = true', PLAIN, "origin"),
    (
        "open to others without TLS",
        'domain = "a.example"\nlisten = "0.0.0.0:8000"',
        'domain = "a.example"\nlisten = "0.0.0.0:8000"\ntrusted_proxies = ["10.0.0.7"]',
        "listen",
    ),
    (
        "the origin is plain http",
        'domain = "localhost"\norigin = "http://localhost"\ndevelopment = true\nlisten = "[::]:8000"\n'
        'trusted_proxies = ["10.0.0.7"]',
        'domain = "localhost"\norigin = "http://localhost"\ndevelopment = true\nlisten = "[::1]:8000"',
        "listen",
    ),
    ("expected an IP address", 'domain = "a.example"\nlisten = "host:80"', PLAIN, "listen"),
    ("expected address:port", 'domain = "a.example"\nlisten = "8000"', PLAIN, "listen"),
    ("expected address:port", 'domain = "a.example"\nlisten = "::1:99999"', PLAIN, "listen"),
    (
        "nearly everybody",
        'domain = "a.example"\ntrusted_proxies = ["0.0.0.0/0"]',
        'domain = "a.example"\ntrusted_proxies = ["127.0.0.1", "10.0.0.0/8", "fd00::/8"]',
        "trusted_proxies[0]",
    ),
    ("nearly everybody", 'domain = "a.example"\ntrusted_proxies = ["::/0"]', PLAIN, "trusted_proxies[0]"),
    ("nearly everybody", 'domain = "a.example"\ntrusted_proxies = ["0.0.0.0/1"]', PLAIN, "trusted_proxies[0]"),
    ("go together", 'domain = "a.example"\ntls_cert = "{file}"', PLAIN, "tls_key"),
    ("cannot read", 'domain = "a.example"\ntls_cert = "no.pem"\ntls_key = "{file}"', PLAIN, "tls_cert"),
    (
        "SQLite has one writer",
        'domain = "a.example"\nworkers = 2',
        'domain = "a.example"\nworkers = 2\n[database]\nurl = "postgresql:///fedishare"',
        "workers",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "unsafe", "safe", "key"), UNSAFE)
def test_unsafe_servers_refuse_to_start(tmp_path: Path, sentence: str, unsafe: str, safe: str, key: str) -> None:
    (tmp_path / "some.pem").write_text("pem")
    (tmp_path / "some.pem").chmod(0o600)
    for text, refused in ((unsafe, True), (safe, False)):
        text = "[server]\n" + text.replace("{file}", "some.pem")
        found = problems(text, path=tmp_path / "instance.toml")
        assert (list(found) == [f"server.{key}"]) is refused, found
        assert not refused or sentence in found[f"server.{key}"]


def test_private_keys_that_others_can_read_are_refused(tmp_path: Path) -> None:
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_text("pem")
    (tmp_path / "key.pem").chmod(0o644)
    text = SERVER + 'listen = "0.0.0.0:443"\ntls_cert = "cert.pem"\ntls_key = "key.pem"\n'
    assert "chmod" in problems(text, path=tmp_path / "instance.toml")["server.tls_key"]
    (tmp_path / "key.pem").chmod(0o640)
    config = read(text, path=tmp_path / "instance.toml")
    assert config.server.tls_key == str(tmp_path / "key.pem")


def test_a_mistaken_switch_is_the_only_problem_told() -> None:
    assert list(problems(DEVELOPMENT.replace("true", '"yes"'), environ={})) == ["server.development"]


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True), ("LOCALHOST.", True), ("clinic.localhost:8001", True), ("127.0.0.1", True),
        ("127.9.9.9:80", True), ("::1", True), ("[::1]:8000", True), ("localhost.example", False),
        ("notlocalhost", False), ("10.0.0.1", False), ("127.0.0.1.example", False), ("0.0.0.0", False), ("", False),
    ],
)  # fmt: skip
def test_loopback_hosts(host: str, loopback: bool) -> None:
    assert is_loopback_host(host) is loopback


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://x/y", "expected sqlite:///path or postgresql://user@host/name"),
        ("sqlite://x.db", "expected sqlite:///path/to/file.db"),
        ("sqlite:///", "expected sqlite:///path/to/file.db"),
        ("sqlite:///:memory:", "expected sqlite:///path/to/file.db"),
        ("postgresql://u:hunter2@db/x", "put it into secrets.toml"),
        ("postgresql://u@db/x?password=hunter2", "put it into secrets.toml"),
        ("data.db", "expected sqlite:///path"),
    ],
)
def test_databases_that_are_refused(url: str, sentence: str) -> None:
    found = problems(SERVER + f'[database]\nurl = "{url}"\n')
    assert sentence in found["database.url"]
    assert "hunter2" not in str(found)


def test_databases(tmp_path: Path) -> None:
    for url, opened in [
        ("sqlite:///data/x.db", f"sqlite:///{tmp_path}/data/x.db"),
        ("sqlite:////var/lib/x.db", "sqlite:////var/lib/x.db"),
        ("postgresql://u@db.example/x?sslmode=require", "postgresql://u@db.example/x?sslmode=require"),
        ("postgresql:///x?host=%2Frun%2Fpg", "postgresql:///x?host=%2Frun%2Fpg"),
    ]:
        text = SERVER + f'[database]\nurl = "{url}"\n'
        assert read(text, path=tmp_path / "instance.toml").database_url == opened
    text = SERVER + '[database]\nurl = "postgresql://u@db.example/x"\n'
    config = read(text, environ=KEY | {"FEDISHARE_DATABASE_PASSWORD": "p@ss:w/rd"})
    assert config.database_url == "postgresql://u:p%40ss%3Aw%2Frd@db.example/x"
    assert "p%40" not in repr(config)
    text = SERVER + '[database]\nurl = "postgresql:///x"\n'
    assert "has no user" in problems(text, environ=KEY | {"FEDISHARE_DATABASE_PASSWORD": "x"})["database.url"]


def test_posts_by_default_go_where_it_says() -> None:
    for text, reach in [('"partners"', PARTNERS), ('["Lab.Example."]', Reach(frozenset({Domain("lab.example")})))]:
        assert read(SERVER + f"[posts]\ndefault_reach = {text}\n").posts.reach == reach


def test_proxy() -> None:
    text = SERVER + '[federation]\nproxy = "{}"\n'
    for bad in ("https://proxy:1", "proxy:3128", "http://proxy", "http://proxy:1/path"):
        assert "expected http://host:port" in problems(text.format(bad))["federation.proxy"]
    found = problems(text.format("http://me:hunter2@proxy:3128"))
    assert "secrets.toml" in found["federation.proxy"] and "hunter2" not in str(found)
    config = read(text.format("http://proxy:3128"), environ=KEY | {"FEDISHARE_PROXY_CREDENTIALS": "me:pw"})
    assert config.proxy_url == "http://me:pw@proxy:3128" and config.federation.proxy == "http://proxy:3128"
    assert read(SERVER, environ=KEY | {"FEDISHARE_PROXY_CREDENTIALS": "me:pw"}).proxy_url is None
    assert "above max_in_flight" in problems(SERVER + "[federation]\nmax_in_flight = 2")["federation.per_host"]


def test_figures_are_not_for_everybody() -> None:
    for networks, refused in (('["0.0.0.0/0"]', True), ('["10.1.0.0/16"]', False), ("[]", False)):
        assert bool(problems(SERVER + f"[metrics]\nallowed_networks = {networks}\n")) is refused


# Partners.


NOBODY = ["", "[federation]\n", "[federation]\npartners = []\n"]
REFUSED = [
    'partners = ""', "partners = {}", "partners = 0", "partners = false", 'partners = "*"', 'partners = ["*"]',
    'partnres = [{domain = "lab.example"}]', "partners = [{}]", 'partners = [{domain = "*"}]',
    'partners = [{domain = ""}]', 'partners = [{domain = "*.lab.example"}]', "partners = [[]]", "partners = null",
    'partner = [{domain = "lab.example"}]', "enabled = 0",
]  # fmt: skip


@pytest.mark.parametrize("text", NOBODY)
def test_an_empty_or_missing_list_is_nobody(text: str) -> None:
    for more, allowed in (("", False), ('[[federation.partners]]\ndomain = "lab.example"\n', True)):
        if more and "partners" in text:
            continue
        config = read(SERVER + text + more)
        policy = compile_policy(
            partners_from(config), enabled=config.federation.enabled, own_hosts=config.own_hosts, revision=1
        )
        facts = Facts(Question.CONNECT, "lab.example", now())
        assert decide(policy, facts).allowed is allowed


def now() -> Millis:
    return Millis(int(datetime.now(UTC).timestamp() * 1000))


@pytest.mark.parametrize("text", REFUSED)
def test_a_null_wrong_or_misspelt_list_refuses_to_start(text: str) -> None:
    assert problems(SERVER + "[federation]\n" + text + "\n")
    assert not problems(SERVER + '[federation]\npartners = [{domain = "lab.example"}]\n')
    assert problems(SERVER + '[[partners]]\ndomain = "lab.example"\n')


def test_all_terms_of_a_partner(tmp_path: Path) -> None:
    for name in ("ca.pem", "client.pem"):
        (tmp_path / name).write_text("pem")
        (tmp_path / name).chmod(0o600)
    text = """
        [[federation.partners]]
        domain = "Lab.Example."
        hosts = ["social.lab.example"]
        state = "paused"
        direction = "in"
        activity_types = ["Create", "Follow"]
        object_types = ["Note"]
        ceiling_in = "private"
        ceiling_out = "unlisted"
        media = false
        direct_messages = false
        public_addressing = true
        include_subdomains = true
        networks = ["10.20.0.0/16", "192.168.7.7"]
        ca_bundle = "ca.pem"
        client_cert = "client.pem"
        pinned_key = "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        rate = 120
        owner = "security@clinic.example"
        reason = "study"
        ticket = "SEC-1"
        expires_at = 2027-12-31
        review_at = 2027-06-30T12:00:00+02:00
        """
    (partner,) = partners_from(read(SERVER + text, path=tmp_path / "instance.toml"))
    assert (partner.domain, partner.hosts) == ("lab.example", ("social.lab.example",))
    assert (partner.state, partner.source) == (PartnerState.PAUSED, "file")
    assert (partner.owner, partner.reason, partner.ticket) == ("security@clinic.example", "study", "SEC-1")
    assert partner.expires_at == datetime(2027, 12, 31, tzinfo=UTC).timestamp() * 1000
    assert partner.review_at == datetime(2027, 6, 30, 10, tzinfo=UTC).timestamp() * 1000
    assert dataclasses.asdict(partner.terms) == {
        "direction": Direction.IN,
        "activity_types": {"Create", "Follow"},
        "object_types": {"Note"},
        "ceiling_in": Visibility.PRIVATE,
        "ceiling_out": Visibility.UNLISTED,
        "media": False,
        "direct_messages": False,
        "public_addressing": True,
        "include_subdomains": True,
        "networks": ("10.20.0.0/16", "192.168.7.7"),
        "ca_bundle": str(tmp_path / "ca.pem"),
        "client_cert": str(tmp_path / "client.pem"),
        "pinned_key": "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "rate": 120,
    }


@pytest.mark.parametrize(
    ("terms", "path", "sentence"),
    [
        ('domain = "clinic.example"', "domain", "this instance itself"),
        ('hosts = ["Clinic.Example."]', "hosts[0]", "this instance itself"),
        ('hosts = ["lab.example"]', "hosts[0]", "stands in federation.partners[0] already"),
        ('domain = "WARD.example."', "domain", "stands in federation.partners[0] already"),
        ('domain = "lab.example:8443"', "domain", "has a port"),
        ('domain = "localhost:8002"', "domain", "has a port"),
        ('domain = "10.0.0.1"', "domain", "IP address"),
        ('domain = "corp"\ninclude_subdomains = true', "include_subdomains", "top-level"),
        ('networks = ["0.0.0.0/0"]', "networks[0]", "nearly everybody"),
        ('networks = ["10.0.0.0/8", "127.0.0.1"]', "networks[1]", "this machine itself"),
        ('networks = ["169.254.169.254"]', "networks[0]", "link-local"),
        ('networks = ["ten"]', "networks[0]", "expected a network"),
        ('activity_types = ["Create", "Anounce"]', "activity_types[1]", 'did you mean "Announce"?'),
        ('object_types = ["Zebra"]', "object_types[0]", "known are Article"),
        ('pinned_key = "sha256/abc"', "pinned_key", "expected sha256/"),
        ('pinned_key = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="', "pinned_key", "expected sha256/"),
        ('ca_bundle = "none.pem"', "ca_bundle", "cannot read"),
        ("expires_at = 2027-01-01T00:00:00", "expires_at", "has no time zone"),
        ('expires_at = "soon"', "expires_at", "expected a date"),
        ("expires_at = 20271231", "expires_at", "expected a date"),
        ("review_at = 12:00:00", "review_at", "expected a date"),
        ("rate = 0", "rate", "at least 1"),
        ('ceiling_in = "everyone"', "ceiling_in", "expected"),
    ],
)
def test_terms_that_are_refused(terms: str, path: str, sentence: str) -> None:
    domain = "" if terms.startswith("domain") else 'domain = "lab.example"\n'
    first = '[[federation.partners]]\ndomain = "ward.example"\n'
    found = problems(f"{SERVER}{first}[[federation.partners]]\n{domain}{terms}\n")
    assert sentence in found.pop(f"federation.partners[1].{path}").replace("partners[1]", "partners[0]")
    assert not found


def test_partners_in_development_are_on_loopback() -> None:
    text = DEVELOPMENT + '[[federation.partners]]\ndomain = "{}"\nnetworks = ["127.0.0.0/8"]\n'
    assert partners_from(read(text.format("lab.localhost:8002")))[0].domain == "lab.localhost:8002"
    assert "loopback hosts" in problems(text.format("lab.example:8002"))["federation.partners[0].domain"]


@pytest.mark.parametrize("text", ["2027-12-31", '"2027-12-31"', "2027-12-31T00:00:00Z", '"2027-12-31T01:00:00+01:00"'])
def test_dates(text: str) -> None:
    (partner,) = read(f'{SERVER}[[federation.partners]]\ndomain = "lab.example"\nexpires_at = {text}\n').partners
    assert partner.expires_at == datetime(2027, 12, 31, tzinfo=UTC).timestamp() * 1000


# Secrets.


def test_secrets_stand_beside_the_file_and_nobody_else_reads_them(tmp_path: Path) -> None:
    path, file = tmp_path / "instance.toml", tmp_path / "secrets.toml"
    assert "fedishare init" in problems(SERVER, path=path, environ={})["secret_key"]
    file.write_text(f'secret_key = "{"s" * 32}"\ndatabase_password = "hunter2"\n')
    for mode in (0o644, 0o640, 0o604, 0o660):
        file.chmod(mode)
        assert "chmod 600" in problems(SERVER, path=path, environ={})["secrets.toml"]
    file.chmod(0o600)
    config = read(SERVER, path=path, environ={})
    assert config.secret_key == b"s" * 32 and config.secrets_path == file
    assert "hunter2" not in repr(config) and "sss" not in repr(config)
    config = read(SERVER, path=path, environ={"FEDISHARE_SECRET_KEY": "e" * 32})
    assert config.secret_key == b"e" * 32, "the environment stands above the file"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('secret_key = "short-hunter2"', "secret_key"),
        ("secret_key = 12345678901234567890123456789012", "secrets.toml.secret_key"),
        ('secret_kye = "hunter2hunter2hunter2hunter2hunter2"', "secrets.toml.secret_kye"),
        ('secret_key = "hunter2', "secrets.toml"),
    ],
)
def test_secrets_never_show_in_messages(tmp_path: Path, text: str, path: str) -> None:
    (tmp_path / "secrets.toml").write_text(text)
    (tmp_path / "secrets.toml").chmod(0o600)
    found = problems(SERVER, path=tmp_path / "instance.toml", environ={})
    assert path in found
    assert "hunter2" not in str(found).replace("secret_kye", "") and "123456" not in str(found)


def test_secrets_never_stand_in_the_configuration() -> None:
    found = problems(SERVER + 'secret_key = "hunter2hunter2hunter2hunter2hunter2"\n', environ={})
    assert "put it into secrets.toml" in found["server.secret_key"]
    assert "hunter2" not in str(found)


def test_secrets_from_files_of_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("f" * 40 + "\n")
    file.chmod(0o400)
    named = {"FEDISHARE_SECRET_KEY_FILE": str(file)}
    assert read(SERVER, environ=named).secret_key == b"f" * 40
    assert "set one of them" in problems(SERVER, environ=KEY | named)["FEDISHARE_SECRET_KEY"]
    file.chmod(0o444)
    assert "chmod" in problems(SERVER, environ=named)["FEDISHARE_SECRET_KEY_FILE"]
    missing = problems(SERVER, environ={"FEDISHARE_SECRET_KEY_FILE": str(tmp_path / "none")})
    assert "does not exist" in missing["FEDISHARE_SECRET_KEY_FILE"]


def test_development_gets_its_secrets_at_the_first_start(tmp_path: Path) -> None:
    path = tmp_path / "instance.toml"
    config = read(DEVELOPMENT + '[database]\nurl = "sqlite:///a/b/x.db"\n', path=path, environ={})
    with pytest.raises(ConfigError, match="no secret key yet"):
        assert config.secret_key
    ready = prepare(config)
    assert len(ready.secret_key) == 64
    assert mode(ready.secrets_path) == 0o600
    assert (tmp_path / "a/b").is_dir() and mode(ready.media_path) == 0o700
    assert prepare(ready) == ready
    assert read(DEVELOPMENT, path=path, environ={}).secret_key == ready.secret_key
    ready.secrets_path.write_text("")
    with pytest.raises(ConfigError, match="exists without a secret_key"):
        prepare(config)


def mode(path: Path) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


# The first configuration, and the example.


@pytest.mark.parametrize(
    ("arguments", "origin", "listen", "development"),
    [
        ({"domain": "clinic.example"}, "https://clinic.example", ("127.0.0.1", 8000), False),
        ({"domain": "localhost:8000"}, "http://localhost:8000", ("127.0.0.1", 8000), True),
        (
            {"domain": "clinic.localhost:8001", "origin": "http://clinic.localhost:8001", "listen": "127.0.0.1:9001"},
            "http://clinic.localhost:8001",
            ("127.0.0.1", 9001),
            True,
        ),
        (
            {"domain": "clinic.example", "origin": "https://s.clinic.example", "database": "postgresql://f@db/f"},
            "https://s.clinic.example",
            ("127.0.0.1", 8000),
            False,
        ),
    ],
)
def test_init_writes_what_loads(
    tmp_path: Path, arguments: dict[str, str], origin: str, listen: tuple[str, int], development: bool
) -> None:
    written = write_initial(tmp_path / "new" / "clinic", **arguments)
    config = load(written.config, environ={})
    assert (config.origin, config.development) == (origin, development)
    assert (config.listen.host, config.listen.port) == listen
    assert len(config.secret_key) == 64 and mode(written.secrets) == 0o600
    assert config.database.url == arguments.get("database", "sqlite:///fedishare.db")
    with pytest.raises(ConfigError, match="exists already"):
        write_initial(tmp_path / "new" / "clinic", **arguments)
    assert load(written.config, environ={}) == config


@pytest.mark.parametrize(
    "arguments",
    [
        {"domain": "not a domain"},
        {"domain": "clinic.example", "origin": "http://clinic.example"},
        {"domain": "clinic.example", "origin": "https://["},
        {"domain": "clinic.example", "listen": "0.0.0.0:80"},
        {"domain": "clinic.example", "database": "postgresql://u:pw@h/x"},
        {"domain": 'a.example"\ndevelopment = true\n#'},
        {"domain": "a.example\x00"},
    ],
)
def test_init_writes_nothing_that_would_not_load(tmp_path: Path, arguments: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        write_initial(tmp_path / "new", **arguments)
    assert not (tmp_path / "new").exists()


def test_every_key_is_explained_and_every_default_is_valid(tmp_path: Path) -> None:
    text = render({"server": {"domain": "clinic.example"}})
    for setting in all_settings():
        assert len(setting.description) > 10, setting.path
        assert f"{setting.path.rpartition('.')[2]} = " in text, setting.path
    for name in ("fullchain", "privkey", "ca", "lab-ca", "to-lab"):
        (tmp_path / "tls").mkdir(exist_ok=True)
        (tmp_path / "tls" / f"{name}.pem").write_text("pem")
        (tmp_path / "tls" / f"{name}.pem").chmod(0o600)
    (tmp_path / "texts").mkdir()
    for name in ("about", "privacy", "terms"):
        (tmp_path / "texts" / f"{name}.html").write_text("<p>text</p>")
    # Taking away every "# " in front of a key gives a file that loads: examples are real.
    lines = [line.lstrip("# ") if " = " in line or "[[" in line else line for line in text.splitlines()]
    opened = "\n".join(line for line in lines if line.partition(" = ")[0] in KEYS or not line or line[0] in "#[")
    config = read(opened, path=tmp_path / "instance.toml")
    assert partners_from(config)[0].domain == "lab.example"
    assert config.limits == read(SERVER).limits


KEYS = {setting.path.rpartition(".")[2] for setting in all_settings()}


def test_the_example_in_the_root_works_and_is_what_init_writes() -> None:
    config = load(ROOT / "instance.toml", environ=KEY)
    assert config.development and is_loopback_host(config.listen.host) and is_loopback_host(config.host)
    assert config.database.url == "sqlite:///data/fedishare.db" and config.media.path == "data/media"
    assert partners_from(config) == ()
    values: dict[str, dict[str, object]] = {
        "server": {key: getattr(config.server, key) for key in ("domain", "origin", "listen", "development")},
        "database": {"url": config.database.url},
        "media": {"path": config.media.path},
    }
    assert (ROOT / "instance.toml").read_text() == render(values), "make it anew: see fedishare.config.render"
