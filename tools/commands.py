"""docs/commands.md, from the help of the commands themselves. With `--check` nothing is written."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from fedishare.cli import cli

PAGE = Path(__file__).resolve().parent.parent / "docs" / "commands.md"
WIDTH = 110
HEAD = """# Commands

Made by `python -m tools.commands` from the help texts. Every command finds its instance by `-c FILE`, else by
`$FEDISHARE_CONFIG`, else in `./instance.toml`; prints JSON with `--json` where it prints data; and ends with

* 0 when it is done, or the answer is yes,
* 1 when it ran and failed, or the answer is no,
* 2 when it was called wrongly.

A running server obeys what a command changed within 5 seconds.
"""


def walk(command: click.Command, context: click.Context) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Every command below a group: its words, itself, and the context for its help."""
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.commands[name]
            made = click.Context(child, info_name=name, parent=context, terminal_width=WIDTH, max_content_width=WIDTH)
            yield made.command_path, child, made
            yield from walk(child, made)


def commands() -> list[tuple[str, click.Command, click.Context]]:
    """All commands, in the order of the help."""
    return list(walk(cli, click.Context(cli, info_name="fedishare", help_option_names=["-h", "--help"])))


def page() -> str:
    """The whole document."""
    parts = [HEAD]
    for path, command, context in commands():
        level = "##" if context.parent is not None and context.parent.parent is None else "###"
        if isinstance(command, click.Group):
            parts.append(f"{level} `{path}`\n\n{command.help}\n")
        else:
            parts.append(f"{level} `{path}`\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts).rstrip() + "\n"


def main() -> int:
    """Write the page, or compare it."""
    if "--check" in sys.argv[1:]:
        if not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page():
            print("docs/commands.md is stale; run `python -m tools.commands`", file=sys.stderr)
            return 1
        return 0
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
