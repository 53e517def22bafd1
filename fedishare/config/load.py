"""Load: a file to a `Config`, or one `ConfigError` with everything that is wrong with it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from fedishare.config.checks import (
    check_database,
    check_federation,
    check_instance,
    check_metrics,
    check_posts,
    check_push,
    check_registration,
    check_server,
    check_web,
    is_development,
)
from fedishare.config.reading import Report, read_table, shown, unknown
from fedishare.config.secrets import NAMES, read_secrets, write_secrets
from fedishare.config.settings import SECTIONS, FederationSettings, PartnerEntry, Section
from fedishare.config.terms import check_partners
from fedishare.config.values import Config
from fedishare.model.errors import ConfigError
from fedishare.model.partners import Partner

LARGEST_FILE = 4 * 1024 * 1024


def load(path: Path, *, environ: Mapping[str, str]) -> Config:
    """Read and check the file ``path``. Raises `ConfigError` with every problem as (key path, sentence).

    ``environ`` is asked for secrets only; see `fedishare.config.secrets`.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
        text = raw.decode()
    except FileNotFoundError as error:
        raise _single(path, "does not exist; `fedishare init` writes one, and -c names another") from error
    except OSError as error:
        raise _single(path, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _single(path, f"is not UTF-8 (byte {error.start})") from error
    if len(raw) > LARGEST_FILE:
        raise _single(path, f"is larger than {LARGEST_FILE} bytes")
    return parse(text, path=path, environ=environ)


def parse(text: str, *, path: Path, environ: Mapping[str, str]) -> Config:
    """Check the text of a configuration as if it stood in the file ``path``. Raises `ConfigError`."""
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise _single(path, f"is not TOML: {error}") from error
    path = path.absolute()
    report = Report()
    config = _config(raw, path, environ, report)
    if report.problems:
        raise report.error(path.name)
    return config


def partners_from(config: Config) -> tuple[Partner, ...]:
    """The partners of the file; their ``source`` is ``file``, and they stand above those of the database."""
    return config.partners


def prepare(config: Config) -> Config:
    """Make what the first start needs: the folders (mode 0700), and in development a secrets file when there is none.

    Raises `ConfigError` when they cannot be made.
    """
    folders = [config.media_path]
    if config.database_url.startswith("sqlite:///"):
        folders.append(Path(config.database_url.removeprefix("sqlite:///")).parent)
    try:
        for folder in folders:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if config.secrets.secret_key is None:
            write_secrets(config.secrets_path)
    except FileExistsError as error:
        hint = "exists without a secret_key; add one (`openssl rand -hex 32`)"
        raise ConfigError(f"{error.filename} {hint}", ((str(error.filename), hint),)) from error
    except OSError as error:
        raise ConfigError(f"{error.filename} cannot be made: {error.strerror}") from error
    if config.secrets.secret_key is not None:
        return config
    report = Report()
    made = read_secrets(config.secrets_path, {}, report)
    if report.problems:
        raise report.error(config.secrets_path.name)
    return replace(config, secrets=msgspec.structs.replace(config.secrets, secret_key=made.secret_key))


def _single(path: Path, sentence: str) -> ConfigError:
    return ConfigError(f"{path} {sentence}", ((path.name, sentence),))


def _config(raw: dict[str, Any], path: Path, environ: Mapping[str, str], report: Report) -> Config:
    base = path.parent
    for key in raw:
        if key not in SECTIONS:
            report.add(key, unknown(key, SECTIONS, _ELSEWHERE))
    tables = {name: _table(kind, raw.get(name, {}), name, report) for name, kind in SECTIONS.items()}
    server, domain, host, origin, listen = check_server(tables["server"], base, report)
    development = is_development(server, report)
    secrets = read_secrets(base / "secrets.toml", environ, report)
    if secrets.secret_key is None and not development and report.ok("secrets.toml"):
        report.add("secret_key", "there is none; `fedishare init` writes secrets.toml, or set FEDISHARE_SECRET_KEY")
    federation = check_federation(tables["federation"], base, report)
    check_metrics(tables["metrics"], report)
    check_instance(tables["instance"], base, report)
    check_registration(tables["registration"], report)
    return Config(
        server=server,
        database=tables["database"],
        instance=tables["instance"],
        media=tables["media"],
        registration=tables["registration"],
        posts=check_posts(tables["posts"], report, development=development),
        web=check_web(tables["web"], report, development=development),
        push=check_push(tables["push"], report, development=development),
        federation=federation,
        limits=tables["limits"],
        log=tables["log"],
        metrics=tables["metrics"],
        path=path,
        domain=domain,
        host=host,
        origin=origin,
        listen=listen,
        database_url=check_database(tables["database"], server, base, secrets, report),
        partners=check_partners(federation.partners, frozenset({domain, host}), base, report, development=development),
        secrets=secrets,
    )


def _table(kind: type[Section], raw: object, name: str, report: Report) -> Any:
    """One table; the partners in [federation] are read one by one, so that one bad entry hides no other."""
    if kind is not FederationSettings or not isinstance(raw, dict):
        return read_table(kind, raw, name, report, elsewhere=_ELSEWHERE)
    rest = {key: value for key, value in raw.items() if key != "partners"}
    federation = read_table(kind, rest, name, report, elsewhere=_ELSEWHERE)
    return msgspec.structs.replace(federation, partners=_entries(raw.get("partners", []), report))


def _entries(raw: object, report: Report) -> tuple[PartnerEntry, ...]:
    path = "federation.partners"
    if not isinstance(raw, list):
        report.add(path, f"expected [[{path}]] entries (double brackets), found {shown(raw)}")
        return ()
    return tuple(read_table(PartnerEntry, entry, f"{path}[{index}]", report) for index, entry in enumerate(raw))


def _elsewhere() -> dict[str, str]:
    """For keys in the wrong place: where they belong."""
    found = {"partners": "write [[federation.partners]]", "partner": "write [[federation.partners]]"}
    for name, kind in SECTIONS.items():
        for key in kind.__struct_fields__:
            found.setdefault(key, f"it belongs into [{name}]")
    for key in NAMES:
        found[key] = "secrets never stand here; put it into secrets.toml"
    return found


_ELSEWHERE: Mapping[str, str] = _elsewhere()
