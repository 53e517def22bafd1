"""Commands, called as a shell calls them, on an instance in a temporary folder."""

from __future__ import annotations

import json
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from fedishare.cli import cli


@dataclass
class Shell:
    """Commands on one instance."""

    folder: Path

    @property
    def config(self) -> Path:
        """Its instance.toml."""
        return self.folder / "instance.toml"

    @property
    def database(self) -> Path:
        """Its file, as `init` names it."""
        return self.folder / "fedishare.db"

    def __call__(self, *words: str, stdin: str | None = None, code: int = 0) -> Result:
        """Run a command that must end with ``code`` and never shows a traceback."""
        found = CliRunner().invoke(cli, words, input=stdin, env={"FEDISHARE_CONFIG": str(self.config)})
        assert found.exit_code == code, f"{words}: {found.exit_code}\n{found.output}\n{found.stderr}"
        assert "Traceback" not in found.output + found.stderr
        return found

    def json(self, *words: str, code: int = 0) -> Any:
        """What a command prints with --json."""
        return json.loads(self(*words, "--json", code=code).stdout)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the database itself."""
        connection = sqlite3.connect(self.database)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def change(self, *statements: str) -> None:
        """Change the database behind everybody's back."""
        connection = sqlite3.connect(self.database)
        try:
            for statement in statements:
                connection.execute(statement)
            connection.commit()
        finally:
            connection.close()

    def copy(self, folder: Path) -> Shell:
        """The same instance once more: keys take a while to make, a copy does not."""
        shutil.copytree(self.folder, folder)
        return Shell(folder)

    def append(self, text: str) -> None:
        """Write on at the end of instance.toml."""
        with self.config.open("a") as file:
            file.write(text)


def new_instance(folder: Path) -> Shell:
    """An instance as `init` makes it, for clinic.example."""
    found = Shell(folder)
    found("init", "--domain", "clinic.example", "--dir", str(folder))
    return found
