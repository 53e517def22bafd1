"""Runs toot's commands, one a line, in one process: an interpreter for each would cost more than all of them.

In: a JSON list of words and an environment. Out: a JSON list of exit code, output, errors.
"""

from __future__ import annotations

import json
import sys

from click.testing import CliRunner
from toot.cli import cli

if __name__ == "__main__":
    for line in sys.stdin:
        words, environment = json.loads(line)
        done = CliRunner().invoke(cli, words, env=environment)
        sys.stdout.write(json.dumps([done.exit_code, done.stdout, done.stderr or repr(done.exception)]) + "\n")
        sys.stdout.flush()
