"""``python -m fedishare.demo [--once]``."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from types import FrameType

import click

from fedishare.demo.screen import NotSo, Screen
from fedishare.demo.story import Story
from fedishare.demo.world import World, running_world


@click.command()
@click.option("--once", is_flag=True, help="Stop at the end; exit code 0 only if every check held.")
def main(once: bool) -> None:
    """Three instances on this machine: two are partners, one is a stranger. Every line is checked."""
    signal.signal(signal.SIGTERM, _interrupt)
    screen = Screen()
    began = time.monotonic()
    try:
        screen.say("Starting three servers …")
        with running_world() as world:
            Story(world, screen).tell()
            took = time.monotonic() - began
            good = screen.checked - len(screen.failed)
            verdict = f"{good} of {screen.checked} checks held, in {took:.0f} s."
            screen.say(f"\n{screen.styled(verdict, '1;31' if screen.failed else '1;32')}")
            for claim in screen.failed:
                screen.say(f"  {screen.styled('✗', '31;1')}  {claim}")
            if not once:
                _invite(screen, world)
                signal.pause()
    except (KeyboardInterrupt, click.Abort):
        screen.say("\nStopped.")
    except (RuntimeError, NotSo) as error:
        screen.say(f"{screen.styled('Error:', '31;1')} {error}")
        sys.exit(1)
    sys.exit(1 if screen.failed or (once and not screen.checked) else 0)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends the demo as Ctrl-C does, so that the servers end with it."""
    raise KeyboardInterrupt


def _invite(screen: Screen, world: World) -> None:
    """Addresses and sign-ins."""
    screen.title("Now you")
    screen.say(
        "  The servers keep running. Sign in with any app made for Mastodon: the address of the server, then a name"
    )
    screen.say("  and its password; or let a program use a token.\n")
    for instance in world.all:
        screen.say(f"  {screen.styled(instance.place.origin, '1;4')}")
        for person in instance.people.values():
            secret = f"{screen.styled('password', '2')} {person.password}  {screen.styled('token', '2')} {person.token}"
            screen.say(f"     {person.handle.ljust(32)} {secret}")
    ana, lin = world.clinic.people["ana"], world.lab.people["lin"]
    header = f"-H 'Authorization: Bearer {ana.token}'"
    screen.say("\n  Ana's home timeline, and a post of hers that goes to the lab:\n")
    screen.say(f"     curl {header} {ana.place.origin}/api/v1/timelines/home")
    screen.say(f"     curl {header} -d status='Hello, lab' -d reach=partners {ana.place.origin}/api/v1/statuses")
    screen.say("\n  And what Lin sees at the lab:\n")
    screen.say(f"     curl -H 'Authorization: Bearer {lin.token}' {lin.place.origin}/api/v1/timelines/home")
    screen.say("\n  The command line works on a running server, too:\n")
    program = "fedishare" if shutil.which("fedishare") else f"{sys.executable} -m fedishare"
    screen.say(f"     export FEDISHARE_CONFIG={world.clinic.config}")
    for words in ("partner list", "queue list", f"partner pause {lin.place.domain}"):
        screen.say(f"     {program} {words}")
    screen.say(f"\n  {screen.styled('Ctrl-C stops everything and removes it.', '2')}")


if __name__ == "__main__":
    main()
