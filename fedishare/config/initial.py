"""The first configuration: what ``fedishare init`` writes, with every key explained beside its default."""

from __future__ import annotations

import contextlib
import os
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from fedishare.config.described import Setting, settings_of
from fedishare.config.load import parse
from fedishare.config.secrets import write_secrets
from fedishare.config.settings import SECTIONS, PartnerEntry, Section
from fedishare.model.errors import ConfigError
from fedishare.model.partners import is_loopback_host

WIDTH = 110
HEAD = """\
# The configuration of one fedishare instance.
#
# Every key is listed; a line that starts with "# key =" shows its default, or an example where there is none.
# `fedishare check -c FILE` tells every problem at once. Secrets stand in secrets.toml (mode 0600) or in the
# environment, never here. Paths are relative to this file.
"""
PARTNERS = """\
# Partners: the only domains with which anything is exchanged, in either direction. No entry, no federation.
# Entries here are read-only elsewhere and stand above the database's (`fedishare partner add`).
"""


@dataclass(frozen=True, slots=True)
class Initial:
    """What `write_initial` wrote."""

    config: Path
    secrets: Path


def write_initial(
    directory: Path, domain: str, origin: str | None = None, listen: str | None = None, database: str | None = None,
    trusted_proxies: Sequence[str] = (),
) -> Initial:  # fmt: skip
    """Write a commented instance.toml and secrets.toml (mode 0600) into ``directory``, which is made if need be.

    Without ``origin``: https, or http for a loopback domain; an origin on loopback sets ``development``. Raises
    `ConfigError` before anything is written when the result would not load, or when a file is there already.
    """
    if origin is None:
        origin = f"http://{domain}" if is_loopback_host(domain) else f"https://{domain}"
    server: dict[str, object] = {"domain": domain, "origin": origin}
    host, port = _host_and_port(origin)
    if is_loopback_host(host):
        server["development"] = True
    # Loopback origins say the port themselves; else a TLS proxy on this machine stands in front.
    server["listen"] = listen or f"127.0.0.1:{port if port and is_loopback_host(host) else 8000}"
    if trusted_proxies:
        server["trusted_proxies"] = list(trusted_proxies)
    values: dict[str, Mapping[str, object]] = {"server": server}
    values["database"] = {"url": database or "sqlite:///fedishare.db"}
    text = render(values)
    written = Initial(directory / "instance.toml", directory / "secrets.toml")
    # A new key is made below; until then any other stands for it.
    parse(text, path=directory / "new" / "instance.toml", environ={"FEDISHARE_SECRET_KEY": "0" * 64})
    for path in (written.config, written.secrets):
        if path.exists():
            raise ConfigError(f"{path} exists already; nothing was written", ((path.name, "exists already"),))
    try:
        directory.mkdir(parents=True, exist_ok=True)
        write_secrets(written.secrets)
        try:
            _write_new(written.config, text)
        except OSError:
            with contextlib.suppress(OSError):
                written.secrets.unlink()
            raise
    except OSError as error:
        raise ConfigError(f"cannot write {error.filename}: {error.strerror}") from error
    return written


def render(values: Mapping[str, Mapping[str, object]]) -> str:
    """The text of an instance.toml: ``values`` by section are set, every other key is commented out."""
    parts = [HEAD]
    for name, section in SECTIONS.items():
        parts.append(_section(name, section, values.get(name, {})))
    parts.append(PARTNERS + _partner_example())
    return "\n".join(parts)


def _host_and_port(origin: str) -> tuple[str, int | None]:
    """What `parse` will refuse in its own words is no host here."""
    try:
        parts = urlsplit(origin)
        return parts.hostname or "", parts.port
    except ValueError:
        return "", None


def _write_new(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _section(name: str, section: type[Section], values: Mapping[str, object]) -> str:
    lines = [f"[{name}]", f"# {(section.__doc__ or '').strip()}"]
    for setting in settings_of(section, name):
        if setting.path == "federation.partners":
            continue
        key = setting.path.rpartition(".")[2]
        lines += ["", *_comment(setting)]
        lines.append(f"{key} = {_toml(values[key])}" if key in values else f"# {key} = {_toml(setting.example)}")
    return "\n".join(lines) + "\n"


def _partner_example() -> str:
    shown = {"domain": "lab.example", "reason": "joint study on thorax imaging"}
    lines = ["#", "# [[federation.partners]]"]
    for setting in settings_of(PartnerEntry, "partner"):
        key = setting.path.rpartition(".")[2]
        lines += ["#", *("# " + line for line in _comment(setting))]
        lines.append(f"# {key} = {_toml(shown.get(key, setting.example))}")
    return "\n".join(lines) + "\n"


def _comment(setting: Setting) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(setting.description, WIDTH)]


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, int):
        return str(value)
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    # Anything below a space would end the line or the string.
    return '"' + "".join(c if c >= " " and c != "\x7f" else f"\\u{ord(c):04x}" for c in escaped) + '"'
