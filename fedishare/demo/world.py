"""The world of the demo: three instances, each a folder, a database, and a server process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from fedishare.activitypub.keyring import new_keys
from fedishare.app import opened_database, prepare_database, site_of
from fedishare.cli import cli
from fedishare.config import Config, load, prepare, render
from fedishare.demo.people import Person, Place
from fedishare.demo.screen import NotSo
from fedishare.model.ids import Domain
from fedishare.model.partners import Partner, Terms
from fedishare.services import accounts, governance
from fedishare.services.accounts import KeyPair

FIRST_PORTS = (8001, 8002, 8003)
START_SECONDS, STOP_SECONDS = 20.0, 17.0
SCOPES = "read write follow push"
Names = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What an instance is to be: its people as (name, display name), and the partners that its file lists.

    ``stored`` partners come from its database instead, so that they can be changed while it runs.
    """

    name: str
    people: Names
    listed: tuple[str, ...] = ()
    stored: tuple[str, ...] = ()
    public_addressing: bool = False


PLANS = (
    Plan(
        "clinic",
        (("ana", "Ana Ruiz, radiology"), ("ben", "Ben Okafor, surgery"), ("eva", "Eva Lindt, physics")),
        stored=("lab",),
        public_addressing=True,
    ),
    Plan("lab", (("lin", "Lin Wei, imaging"), ("max", "Max Braun, statistics")), listed=("clinic",)),
    Plan("stranger", (("ivan", "Ivan"),), listed=("clinic", "lab")),
)


@dataclass
class Instance:
    """One instance: where it is, who is there, and its process."""

    place: Place
    config: Path
    people: dict[str, Person]
    log: Path
    listener: socket.socket
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server. It ends by itself when this process does, however that ends."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 — this very program
                [
                    sys.executable,
                    "-m",
                    "fedishare",
                    "serve",
                    "-c",
                    str(self.config),
                    "--fd",
                    str(self.listener.fileno()),
                ],
                pass_fds=(self.listener.fileno(),),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=_environment(),
                start_new_session=True,  # Ctrl-C is for us, who then stop the servers
            )
        self.listener.close()

    def wait_until_up(self) -> None:
        """Wait for the server's first line. Raises `RuntimeError` with what it said instead."""
        process = self.process
        if process is None or process.stdout is None:
            raise RuntimeError(f"{self.place.domain} was not started")
        late = threading.Timer(START_SECONDS, process.kill)
        late.start()
        line = process.stdout.readline().decode()
        late.cancel()
        if not line:
            raise RuntimeError(f"{self.place.domain} did not start:\n{self.log.read_text()[-2000:]}")

    def command(self, *words: str) -> Any:
        """Run ``fedishare WORDS`` for this instance, beside its server; what it printed. Raises `NotSo`."""
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said):
                code = cli.main([*words, "-c", str(self.config)], "fedishare", standalone_mode=False)
        except click.ClickException as error:
            raise NotSo(f"fedishare {' '.join(words)}: {error.format_message()}") from error
        if code:
            raise NotSo(f"fedishare {' '.join(words)}: {said.getvalue()[-300:]}")
        return json.loads(said.getvalue()) if "--json" in words else said.getvalue()


def _environment() -> dict[str, str]:
    """Ours, without what would name another configuration."""
    return {key: value for key, value in os.environ.items() if not key.startswith("FEDISHARE_")}


@dataclass(frozen=True, slots=True)
class World:
    """The three instances."""

    clinic: Instance
    lab: Instance
    stranger: Instance

    @property
    def all(self) -> tuple[Instance, ...]:
        """All of them."""
        return (self.clinic, self.lab, self.stranger)


@contextlib.contextmanager
def running_world() -> Iterator[World]:
    """Three servers in a temporary folder; all is ended and removed when the block is left, however it is left."""
    with tempfile.TemporaryDirectory(prefix="fedishare-demo-", ignore_cleanup_errors=True) as folder:
        listeners = {plan.name: listener for plan, listener in zip(PLANS, _listeners(), strict=True)}
        places = {plan.name: _place(plan, listeners[plan.name]) for plan in PLANS}
        with ThreadPoolExecutor() as pool:  # keys take a while, and each has its own
            made = list(pool.map(lambda plan: _instance(plan, places, listeners[plan.name], Path(folder)), PLANS))
        try:
            for instance in made:
                instance.start()
            for instance in made:
                instance.wait_until_up()
            yield World(*made)
        finally:
            _stop(made)


def _listeners() -> list[socket.socket]:
    """A listening socket for each instance: ports that are easy to type where they are free, else any."""
    made: list[socket.socket] = []
    try:
        for port in FIRST_PORTS:
            made.append(_listener(port))
    except OSError:
        for listener in made:
            listener.close()
        made = [_listener(0) for _ in FIRST_PORTS]
    return made


def _listener(port: int) -> socket.socket:
    """It listens from here on, so nobody else can take the port before the server has it."""
    made = socket.socket()
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("127.0.0.1", port))
        made.listen(2048)
    except OSError:
        made.close()
        raise
    return made


def _place(plan: Plan, listener: socket.socket) -> Place:
    port = listener.getsockname()[1]
    domain = f"{plan.name}.localhost:{port}"
    return Place(domain, f"http://{domain}", port)


def _instance(plan: Plan, places: dict[str, Place], listener: socket.socket, folder: Path) -> Instance:
    """Write the configuration, make the database, the people and their tokens."""
    home, place = folder / plan.name, places[plan.name]
    home.mkdir(mode=0o700)
    path = home / "instance.toml"
    path.write_text(_toml(plan, place, places), encoding="utf-8")
    config = prepare(load(path, environ={}))
    newcomers = [Newcomer.make(*person) for person in plan.people]
    asyncio.run(_settle(config, plan, newcomers, [places[name] for name in plan.stored]))
    people = {n.name: Person(n.name, n.display_name, place, n.keys, n.token, n.password) for n in newcomers}
    return Instance(place, path, people, home / "server.log", listener)


def _toml(plan: Plan, place: Place, places: dict[str, Place]) -> str:
    values: dict[str, dict[str, object]] = {
        "server": {
            "domain": place.domain,
            "origin": place.origin,
            "listen": f"127.0.0.1:{place.port}",
            "development": True,
        },
        "database": {"url": "sqlite:///fedishare.db"},
        "posts": {"max_characters": 280},
    }
    entries = [
        f'\n[[federation.partners]]\ndomain = "{places[name].domain}"\nreason = "the demo"\n' for name in plan.listed
    ]
    return render(values) + "".join(entries)


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Somebody who is about to get an account."""

    name: str
    display_name: str
    keys: KeyPair
    token: str
    password: str
    password_hash: str

    @classmethod
    def make(cls, name: str, display_name: str) -> Newcomer:
        """With fresh keys, token and password. Takes a while."""
        password = secrets.token_urlsafe(9)
        return cls(name, display_name, new_keys(), accounts.new_token(), password, accounts.hash_password(password))


async def _settle(config: Config, plan: Plan, newcomers: Sequence[Newcomer], partners: Sequence[Place]) -> None:
    """Make the database, the accounts, their tokens, and the partners that stand in it."""
    async with opened_database(config) as database:
        site = site_of(config)
        await prepare_database(database, site)
        for each in newcomers:
            await database.write(
                accounts.create, site, each.name, each.keys, email=f"{each.name}@{plan.name}.example",
                password_hash=each.password_hash, display_name=each.display_name,
            )  # fmt: skip
            await database.write(accounts.issue_token, each.name, each.token, SCOPES, label="demo")
        for place in partners:
            terms = Terms(public_addressing=plan.public_addressing)
            partner = Partner(Domain(place.domain), terms=terms, reason="joint study on thorax imaging")
            await database.write(governance.add_partner, partner, "demo")


def _stop(instances: Sequence[Instance]) -> None:
    """End the processes that were started here: first kindly, then not."""
    running = [i.process for i in instances if i.process is not None and i.process.poll() is None]
    for process in running:
        process.terminate()
    for process in running:
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for instance in instances:
        instance.listener.close()
        for person in instance.people.values():
            person.close()
        if instance.process is not None:
            for pipe in (instance.process.stdin, instance.process.stdout):
                if pipe is not None:
                    pipe.close()
