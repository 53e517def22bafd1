"""Rows that change something: posting, signed deliveries to us, and ours to everybody."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections import Counter

from fedishare.activitypub import signatures
from fedishare.activitypub.keys import load_public_pem
from fedishare.activitypub.signatures import RawRequest
from fedishare.model.ids import Millis
from tests.bench.load import Outcome, WrongAnswer, ask, drive, drive_for, get, post_json
from tests.bench.partners import READERS_PER_HOST, READING_HOSTS, Unsigned, World, create_note, note_iri
from tests.bench.receiver import Arrivals
from tests.bench.rows import Round, Row, Stage, at_least, at_most, figures_of, timed
from tests.bench.seed import FIRST_NUMBER, HERALD, POSTERS, READER, SPEAKER, token_of

CONNECTIONS = 64
PAGE = 40
PATIENCE = 60.0
"""Seconds after which something that should come is missing."""


# Posting.


def _posts(stage: Stage, number: int, reach: str, mark: str) -> list[bytes]:
    made = []
    for n in range(number):
        text = f"Measurement {mark}-{n}: the centrifuge is free from ten o'clock on #lab"
        body = json.dumps({"status": text, "visibility": "public", "reach": reach}).encode()
        header = f"Authorization: Bearer {token_of(f'poster{n % POSTERS}')}\r\n"
        made.append(post_json(stage.domain, "/api/v1/statuses", body, header))
    return made


async def _settled(stage: Stage) -> None:
    """Wait until no job is open, so that the next row starts at rest."""
    end = time.monotonic() + PATIENCE
    while stage.ledger.open_jobs():
        if time.monotonic() > end:
            raise WrongAnswer("jobs are still open after a minute")
        await asyncio.sleep(0.05)


async def statuses(stage: Stage) -> list[Row]:
    """Posts by eight people with ten local followers each: many at a time, one at a time, and for partners too."""
    rows = []
    cases = (
        ("statuses", "POST /api/v1/statuses", CONNECTIONS, "local",
         (at_least("per_second", 1_500), at_most("cpu_ms", 0.7))),
        ("statuses-1", "the same, one at a time", 1, "local", ()),
        ("statuses-partners", "the same, 64 at a time, for partners too", CONNECTIONS, "partners", ()),
    )  # fmt: skip
    for name, label, connections, reach, targets in cases:
        requests = _posts(stage, 20_000, reach, name)
        port = stage.server.port
        await drive_for(port, requests, 0.3, connections=connections)
        rounds = []
        for _ in range(stage.rounds):
            load = drive_for(port, requests, stage.seconds, connections=connections)
            rounds.append(await timed(stage.server, lambda load=load: load))  # type: ignore[misc]
        await _settled(stage)
        rows.append(Row(name, label, figures_of(rounds), targets))
    return rows


# Deliveries to us.


def deliveries(world: World, domain: str, first: int, number: int) -> list[Unsigned]:
    """Creates to the shared inbox, by every writer in turn."""
    writers = world.writers
    return [
        Unsigned(writers[n % len(writers)], f"http://{domain}/inbox", create_note(writers[n % len(writers)], n))
        for n in range(first, first + number)
    ]


async def inbox(stage: Stage) -> list[Row]:
    """Rounds of deliveries, each until all of its notes stand in the reader's home timeline."""
    requests = stage.signed["inbox"]
    warm = len(stage.world.writers)
    await _deliver(stage, requests[:warm])
    size = (len(requests) - warm) // stage.rounds
    rounds = []
    for start in range(warm, warm + size * stage.rounds, size):
        part = requests[start : start + size]
        rounds.append(await timed(stage.server, lambda part=part: _deliver(stage, part)))  # type: ignore[misc]
    await _check_all_visible(stage, warm + size * stage.rounds)
    label = "signed inbox Create{Note}, until all are in the home timeline"
    targets = (at_least("per_second", 2_000), at_most("cpu_ms", 0.5))
    return [Row("inbox", label, figures_of(rounds), targets)]


async def _deliver(stage: Stage, requests: list[bytes]) -> Outcome:
    """Send them all, and wait until the last is visible."""
    before = stage.ledger.home_count(stage.reader)
    outcome = await drive(stage.server.port, requests, connections=CONNECTIONS, expected=202)
    end = time.monotonic() + PATIENCE
    while (found := stage.ledger.home_count(stage.reader) - before) < len(requests):
        if time.monotonic() > end:
            raise WrongAnswer(f"only {found} of {len(requests)} accepted notes came into the home timeline")
        await asyncio.sleep(0.01)
    outcome.end = time.perf_counter()
    return outcome


async def _check_all_visible(stage: Stage, number: int) -> None:
    """Page through the home timeline as an app does: every note that was sent is there once."""
    writers = stage.world.writers
    wanted = {note_iri(writers[n % len(writers)], n) for n in range(FIRST_NUMBER, FIRST_NUMBER + number)}
    seen: Counter[str] = Counter()
    before = ""
    while True:
        target = f"/api/v1/timelines/home?limit={PAGE}{before}"
        status, body = await ask(
            stage.server.port, get(stage.domain, target, f"Authorization: Bearer {token_of(READER)}\r\n")
        )
        page = json.loads(body)
        if status != 200 or not page:
            break
        seen.update(entry["uri"] for entry in page)
        before = f"&max_id={page[-1]['id']}"
    missing, twice = wanted - seen.keys(), [uri for uri, times in seen.items() if times > 1]
    if missing or twice:
        raise WrongAnswer(f"{len(missing)} notes are missing from the home timeline, {len(twice)} stand there twice")


# Deliveries by us.


async def fan_out(stage: Stage) -> list[Row]:
    """One post to a thousand followers on two hundred hosts, each with an inbox of its own."""
    number = READING_HOSTS * READERS_PER_HOST
    rounds = await _publish(stage, SPEAKER, number)
    figures = figures_of(rounds, waits=False)
    figures["seconds"] = statistics.median(r.seconds for r in rounds)
    label = "one post to 1 000 inboxes on 200 hosts, until the last arrived"
    return [Row("fan-out", label, figures, (at_least("per_second", 2_500),))]


async def shared(stage: Stage) -> list[Row]:
    """The same where each host has a shared inbox."""
    rounds = await _publish(stage, HERALD, READING_HOSTS)
    figures = figures_of(rounds, waits=False)
    figures["seconds"] = statistics.median(r.seconds for r in rounds)
    label = "the same to 200 shared inboxes"
    return [Row("shared", label, figures, (at_most("seconds", 0.2),))]


async def _publish(stage: Stage, author: str, number: int) -> list[Round]:
    """Posts one after the other, each when the one before has arrived everywhere; the first is not counted."""
    rounds = []
    for n in range(2 if stage.quick else 6):
        await _settled(stage)
        stage.receiver.expect(number)
        cpu, database_cpu, begin = stage.server.cpu(), stage.server.other_cpu(), time.monotonic()
        body = json.dumps({"status": f"Announcement {n} by {author}", "visibility": "public", "reach": "partners"})
        header = f"Authorization: Bearer {token_of(author)}\r\n"
        status, text = await ask(stage.server.port, post_json(stage.domain, "/api/v1/statuses", body.encode(), header))
        if status != 200:
            raise WrongAnswer(f"the post was answered {status}: {text[:300]!r}")
        arrivals = await asyncio.to_thread(stage.receiver.wait, PATIENCE)
        await _settled(stage)
        _check_arrivals(stage, arrivals, number)
        cpu, database_cpu = stage.server.cpu() - cpu, stage.server.other_cpu() - database_cpu
        rounds.append(Round(number, arrivals.last - begin, cpu, database_cpu))
    return rounds[1:]


def _check_arrivals(stage: Stage, arrivals: Arrivals, number: int) -> None:
    if arrivals.count != number or len(arrivals.places) != number:
        raise WrongAnswer(f"{arrivals.count} deliveries at {len(arrivals.places)} inboxes; {number} were expected")
    delivery = arrivals.sample
    assert delivery is not None
    origin = f"http://{delivery.headers.get('host')}"
    request = RawRequest("POST", delivery.target, origin, delivery.headers, delivery.body)
    names = (READER, SPEAKER, HERALD)
    claim = signatures.parse(request)
    number_of_key = next(n for n, name in enumerate(names) if f"/users/{name}#" in claim.key_id)
    key = load_public_pem(stage.world.public[number_of_key])
    signatures.verify(claim, request, key, now=Millis(time.time_ns() // 1_000_000))
