"""docs/commands.md says what the commands say of themselves."""

import click
import pytest

from tools import commands

ALL = commands.commands()
LEAVES = [(path, command, context) for path, command, context in ALL if not isinstance(command, click.Group)]


def test_the_page_is_in_step_with_the_commands() -> None:
    assert commands.PAGE.read_text(encoding="utf-8") == commands.page()


def test_the_commands_are_those_that_were_promised() -> None:
    promised = {
        "": "init serve check migrate deliveries backup restore verify routes",
        "account ": "create list show suspend restore delete reset-password",
        "token ": "create list revoke",
        "partner ": "add list show set pause resume end",
        "policy ": "explain test",
        "queue ": "list show retry drop hold",
    }
    wanted = {f"fedishare {group}{name}" for group, names in promised.items() for name in names.split()}
    assert wanted <= {path for path, *_ in LEAVES}


@pytest.mark.parametrize(("path", "command", "context"), LEAVES, ids=[path for path, *_ in LEAVES])
def test_every_command_explains_itself(path: str, command: click.Command, context: click.Context) -> None:
    text = command.get_help(context)
    assert "Example" in text
    assert f"{path.split(' ', 1)[1]}" in text.partition("Example")[2], "the example shows another command"
    for param in command.params:
        if isinstance(param, click.Option) and not param.hidden:
            assert param.help, f"{path} {param.name} has no help"
