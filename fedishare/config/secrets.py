"""Secrets: read from secrets.toml beside instance.toml or from the environment, never from instance.toml itself.

The environment stands above the file: ``FEDISHARE_SECRET_KEY`` has the value, ``FEDISHARE_SECRET_KEY_FILE`` the name
of a file with it (as containers and systemd hand them over). A file that others can read is refused: what is in it
would no longer be a secret.
"""

from __future__ import annotations

import os
import secrets
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from fedishare.config.reading import Report, read_table

SHORTEST_KEY = 32
LARGEST_FILE = 64 * 1024


class Secrets(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What nobody else may know. Its repr shows which secrets there are, and none of them."""

    secret_key: str | None = None
    """At least 32 characters; signs and hashes what this instance gives out (sessions, tokens)."""
    database_password: str | None = None
    proxy_credentials: str | None = None
    """``user:password`` for federation.proxy, percent-encoded where needed."""

    def __repr__(self) -> str:
        there = [name for name in self.__struct_fields__ if getattr(self, name) is not None]
        return f"Secrets({', '.join(f'{name}=…' for name in there)})"


NAMES: tuple[str, ...] = Secrets.__struct_fields__


def read_secrets(path: Path, environ: Mapping[str, str], report: Report) -> Secrets:
    """The secrets of the file ``path`` (which need not exist) and of ``environ``, the latter first."""
    found = Secrets()
    text = _private_text(path, path.name, report, may_be_missing=True)
    if text is not None:
        try:
            found = read_table(Secrets, tomllib.loads(text), path.name, report, private=True)
        except tomllib.TOMLDecodeError:
            # The parser's own message may quote the line, and with it the secret.
            report.add(path.name, 'is not TOML; expected lines such as secret_key = "…"')
    for name in NAMES:
        value = _from_environment(name, environ, report)
        if value is not None:
            found = msgspec.structs.replace(found, **{name: value})
    if found.secret_key is not None and len(found.secret_key) < SHORTEST_KEY:
        report.add("secret_key", f"is too short: {SHORTEST_KEY} characters at least; `openssl rand -hex 32` makes one")
    return found


def write_secrets(path: Path) -> None:
    """Make a secrets file with a new key, mode 0600. Raises `FileExistsError` rather than overwriting one."""
    text = (
        "# Secrets of this instance. Keep the mode at 0600, and keep a copy where backups of the database are not.\n"
        "# database_password and proxy_credentials (user:password) can stand here too.\n"
        f'secret_key = "{secrets.token_hex(32)}"\n'
    )
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _from_environment(name: str, environ: Mapping[str, str], report: Report) -> str | None:
    variable = f"FEDISHARE_{name.upper()}"
    value, file = environ.get(variable), environ.get(f"{variable}_FILE")
    if value and file:
        report.add(variable, f"is set, and {variable}_FILE too; set one of them")
    if value or not file:
        return value or None
    text = _private_text(Path(file), f"{variable}_FILE", report, may_be_missing=False)
    return text.strip() or None if text is not None else None


def _private_text(path: Path, label: str, report: Report, *, may_be_missing: bool) -> str | None:
    """The text of a file that only its owner can read; the mode is that of the very file that is read."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                report.add(label, f"can be read by others (mode {mode:04o}); do chmod 600 {path}")
                return None
            return file.read(LARGEST_FILE).decode()
    except FileNotFoundError:
        if not may_be_missing:
            report.add(label, f"names the file {path}, which does not exist")
    except (OSError, UnicodeDecodeError) as error:
        report.add(label, f"cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}")
    return None
