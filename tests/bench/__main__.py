"""``python -m tests.bench``: set the stage, run the rows, print the table."""

from __future__ import annotations

import argparse
import asyncio
import gc
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import uvloop

from fedishare.model.ids import Id
from tests.bench import machine, partners, reading, report, searching, seed, streams, writing
from tests.bench.machine import Yardstick
from tests.bench.partners import Unsigned, World
from tests.bench.receiver import Receiver
from tests.bench.rows import Row, Stage
from tests.bench.seed import Seed
from tests.bench.server import Server, free_port, ledger
from tests.support import postgres

HOME_POSTS = 2_000
INBOX = 21_000
SIZES = (1_000, 1_000_000)
QUIET = 0.05
"""Up to this share of the cores for others, figures are taken as they are."""
QUICK_SIZES = (1_000, 100_000)
ROWS = (
    "cold-start",
    "webfinger",
    "actor",
    "home",
    "home-sizes",
    "statuses",
    "inbox",
    "fan-out",
    "shared",
    "streams",
    "search",
    "memory-peak",
)


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for."""

    cores: int
    only: frozenset[str]
    quick: bool
    json: Path
    database: str
    keep: bool

    def wants(self, name: str) -> bool:
        """Whether a row is to be run."""
        return not self.only or name in self.only


def options_from(arguments: Sequence[str]) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure a real server process.")
    parser.add_argument("--cores", type=int, default=2, help="cores that server and driver share (default 2)")
    parser.add_argument("--only", action="append", default=[], choices=ROWS, help="only this row; may be repeated")
    parser.add_argument("--quick", action="store_true", help="shorter rounds, fewer posts; for a first look")
    parser.add_argument("--json", type=Path, default=Path("bench-results.json"), help="where the figures are written")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--keep", action="store_true", help="keep the folder with database and log")
    found = parser.parse_args(arguments)
    return Options(found.cores, frozenset(found.only), found.quick, found.json, found.database, found.keep)


def say(text: str) -> None:
    """Progress, for people; the table alone goes to standard output."""
    print(f"  {text}", file=sys.stderr, flush=True)


class Places:
    """Folders and databases of the servers that are measured."""

    def __init__(self, root: Path, world: World, cluster: postgres.Server | None) -> None:
        self._root = root
        self._world = world
        self._cluster = cluster

    def server(
        self, name: str, home: int, *, followers: bool = True, crowd: int = 0, words: bool = False
    ) -> tuple[Server, Id, str]:
        """A server that can be started: its database is made and filled. Also the reader's id and the database URL."""
        folder = self._root / name
        folder.mkdir()
        port = free_port()
        url = self._cluster.url(self._cluster.create()) if self._cluster else "sqlite:///bench.db"
        text = seed.config_text(f"bench.localhost:{port}", port, url, self._world.hosts)
        (folder / "instance.toml").write_text(text)
        begin = time.monotonic()
        reader = asyncio.run(seed.fill(folder / "instance.toml", Seed(self._world, home, followers, crowd, words)))
        say(f"a database with {home} posts in a home timeline, made in {time.monotonic() - begin:.1f} s")
        server = Server(folder, port)
        if self._cluster is not None and self._cluster.process is not None:
            server.others = [self._cluster.process.pid]
        return server, reader, url


def sign(options: Options, world: World, domain: str) -> dict[str, list[bytes]]:
    """Every signed request that the rows will need."""
    wanted: dict[str, list[Unsigned]] = {}
    if options.wants("inbox"):
        number = len(world.writers) + (4_000 if options.quick else INBOX)
        wanted["inbox"] = writing.deliveries(world, domain, seed.FIRST_NUMBER, number)
    if options.wants("actor"):
        wanted["actor"] = [
            Unsigned(person, f"http://{domain}/users/poster{n % seed.POSTERS}")
            for n, person in enumerate((*world.writers, *world.writers))
        ]
    begin = time.monotonic()
    signed = {name: partners.sign_all(world, requests) for name, requests in wanted.items()}
    say(f"{sum(map(len, signed.values()))} requests signed in {time.monotonic() - begin:.1f} s")
    return signed


async def run(
    options: Options,
    stage: Stage,
    sizes: list[tuple[Server, int]],
    crowded: list[Server],
    searched: list[tuple[Server, int]],
) -> list[Row]:
    """All rows that are wanted, in order."""

    async def search(stage: Stage) -> list[Row]:
        return await searching.searches(stage, *searched[0], seed.token_of(seed.READER))

    async def stream(stage: Stage) -> list[Row]:
        return await streams.streams(stage, crowded[0])

    async def home_sizes(stage: Stage) -> list[Row]:
        return await reading.home_sizes(stage, sizes[0], sizes[1])

    plan: dict[str, Callable[[Stage], Awaitable[list[Row]]]] = {
        "cold-start": reading.cold_start,
        "webfinger": reading.webfinger,
        "actor": reading.actor,
        "home": reading.home,
        "home-sizes": home_sizes,
        "statuses": writing.statuses,
        "inbox": writing.inbox,
        "fan-out": writing.fan_out,
        "shared": writing.shared,
        "streams": stream,
        "search": search,
        "memory-peak": reading.memory_peak,
    }
    found: list[Row] = []
    for name in ROWS:
        if not options.wants(name):
            continue
        say(f"{name} …")
        verify = stage.yardstick.measure()
        try:
            rows = await plan[name](stage)
        except Exception as error:
            log = stage.server.log_tail()
            rows = [Row(name, name, failed=f"{error}" + (f"\n{log}" if log else ""))]
        for row in rows:
            row.verify_us = verify
        found += rows
    return found


def private_postgres(options: Options, stack: ExitStack) -> postgres.Server:
    """A PostgreSQL server of our own, on the same cores, that flushes to disk like one in earnest."""
    cluster = postgres.new_server()
    stack.callback(shutil.rmtree, cluster.folder, ignore_errors=True)
    cluster.settings = {**cluster.settings, "fsync": "on", "full_page_writes": "on", "shared_buffers": "128MB",
                        "autovacuum": "on"}  # fmt: skip
    machine.pin(options.cores)
    cluster.start()
    stack.callback(cluster.stop)
    return cluster


def bench(options: Options) -> tuple[list[Row], float]:
    """The whole of it: the rows, and the share of the cores that other processes took meanwhile."""
    yardstick = Yardstick()
    with ExitStack() as stack:
        root = Path(tempfile.mkdtemp(prefix="fedishare-bench-"))
        if options.keep:
            say(f"everything is kept in {root}")
        else:
            stack.callback(shutil.rmtree, root, ignore_errors=True)
        cluster = private_postgres(options, stack) if options.database == "postgresql" else None
        world = partners.make(free_port())
        places = Places(root, world, cluster)
        server, reader, url = places.server("main", HOME_POSTS)
        sizes = []
        if options.wants("home-sizes"):
            for size in QUICK_SIZES if options.quick else SIZES:
                sizes.append((places.server(f"home-{size}", size, followers=False)[0], size))
                stack.callback(sizes[-1][0].stop)
        crowded = []
        if options.wants("streams"):
            crowded.append(places.server("streams", 0, followers=False, crowd=streams.CLIENTS)[0])
            stack.callback(crowded[0].stop)
        searched = []
        if options.wants("search"):
            size = (QUICK_SIZES if options.quick else SIZES)[1]
            searched.append((places.server("search", size, followers=False, words=True)[0], size))
            stack.callback(searched[0][0].stop)
        signed = sign(options, world, f"bench.localhost:{server.port}")
        cores = machine.pin(options.cores)
        receiver = Receiver(world.port)
        receiver.start()
        stack.callback(receiver.stop)
        books = ledger(url, server.folder)
        stack.callback(books.close)
        stack.callback(server.stop)
        server.start()
        gc.collect()
        gc.disable()
        stage = Stage(world, server, f"bench.localhost:{server.port}", reader, receiver, books, yardstick, root,
                      options.database, options.quick, signed)  # fmt: skip
        foreign = machine.Foreign(cores)
        rows = uvloop.run(run(options, stage, sizes, crowded, searched))
        share = foreign.share()
        report.write_json(
            options.json, rows, database=options.database, cores=cores, yardstick=yardstick.seen, foreign=share
        )
    return rows, share


def main(arguments: Sequence[str]) -> int:
    """Exit code 0 whatever the timings are; 1 when a row failed."""
    options = options_from(arguments)
    if sys.platform != "linux":
        print("the bench reads /proc and needs Linux", file=sys.stderr)
        return 2
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 8192), most))
    rows, foreign = bench(options)
    print(report.table(rows))
    print(f"\n{report.summary(rows)}; {options.database}, {options.cores} cores shared with the driver; {options.json}")
    if foreign > QUIET:
        print(
            f"Other processes took {foreign:.0%} of the cores meanwhile: what counts per second is too low, times are"
            " too long. CPU per operation holds."
        )
    return int(any(row.failed for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
