"""The command line: one module a noun. Each command has an example in its help, and prints JSON where it prints data.

Exit codes: 0 it is done, or the answer is yes; 1 it ran, and failed or the answer is no; 2 it was called wrongly.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import click

from fedishare import __version__
from fedishare.cli import accounts, backup, notice_board, partners, policy, queue, serve
from fedishare.cli.options import translated
from fedishare.cli.output import Failure
from fedishare.model.errors import FedishareError

DEBUG = "FEDISHARE_DEBUG"


class Commands(click.Group):
    """The commands in the order in which one needs them; every error is one sentence and never a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """As they were added."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what goes wrong becomes a sentence and an exit code."""
        try:
            return super().invoke(ctx)
        except FedishareError as error:
            raise translated(error) from error
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except OSError as error:
            if error.filename is None:
                raise
            raise Failure(f"{error.filename}: {error.strerror}.") from error
        except Exception as error:
            if os.environ.get(DEBUG):
                raise
            raise Failure(
                f"fedishare met something that it did not expect ({type(error).__name__}: {error}). Please report "
                f"it; with {DEBUG}=1 the command shows where it happened."
            ) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="fedishare")
def cli() -> None:
    """Microsharing for organizations, federated with the partners that you have chosen, and with nobody else.

    Start with `fedishare init --domain social.example.org --dir .`, then `fedishare serve`.
    """


for command in (
    serve.init, serve.serve, serve.check, serve.migrate, accounts.account, accounts.token, partners.partner,
    notice_board.announcement, notice_board.rule, notice_board.emoji,
    policy.policy, queue.queue, queue.deliveries, backup.backup, backup.restore, backup.verify, serve.routes,
):  # fmt: skip
    cli.add_command(command)


def main() -> None:
    """The entry point of the ``fedishare`` program."""
    # Names and posts are in all the world's letters, whatever the locale says.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    # A command says what went wrong in a sentence of its own; `serve` sends log entries where they belong.
    logging.getLogger("fedishare").addHandler(logging.NullHandler())
    cli(prog_name="fedishare")
