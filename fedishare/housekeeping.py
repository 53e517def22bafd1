"""Housekeeping: what has to be done now and then, and what another process changed.

The command line writes to the same database. On PostgreSQL its notices arrive by themselves; on SQLite the file is
looked at every second. Either way a change of partners is in force here within moments: the policy is compiled anew,
connections to hosts whose terms changed are closed, and what waits for them is cancelled or held with the reason.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial

from fedishare.activitypub.federation import Federation
from fedishare.guard import DecisionCount
from fedishare.instance import reload_policy
from fedishare.jobs import Worker
from fedishare.model.activities import ActorChanged, PolicyChanged, PostEdited, PostPublished
from fedishare.model.errors import Unavailable
from fedishare.model.ids import Domain, Millis, id_at
from fedishare.model.media import FilesDropped
from fedishare.policy.facts import KEEPS_QUEUE, DeliveryFacts
from fedishare.policy.rules import Policy
from fedishare.services import archives, cards, media, quotes, search
from fedishare.store import (
    activities,
    doors,
    imports,
    jobs,
    measures,
    moderation,
    notice_board,
    partners,
    push,
    relations,
    resets,
)
from fedishare.store import media as media_store
from fedishare.store.db import NoticesLost, Tx
from fedishare.store.media import REMOTE

log = logging.getLogger(__name__)

DAY = 24 * 3600 * 1000
DONE_KEPT = 30 * DAY
DEAD_KEPT = 90 * DAY
INBOUND_KEPT = 30 * DAY
KEYS_KEPT = DAY
SIGN_INS_KEPT = 30 * DAY
DAYS_KEPT = 400 * DAY

LOOK_SECONDS = 1.0
"""Between looks at what other processes changed."""
FLUSH_SECONDS = 5.0
"""Between writes of the guard's counts."""
SWEEP_SECONDS = 15.0
"""Between looks at what waits for partners whose terms have expired meanwhile, or is held although it may go."""
PRUNE_SECONDS = 3600.0
GATHER_SECONDS = 2.0
"""Between a post and its being taken into the index for search, so that a burst is taken in together."""
SEARCH_SECONDS = 30.0
"""Between looks at what was left over, because the database could not be written then."""
REST = 19.0
"""So many times as long as a batch for the index took, nothing is done for it: posting comes first."""

_ANYTHING = DeliveryFacts("Delete")
"""What may go to any active partner: if this may not, nothing may."""


@dataclass(frozen=True, slots=True)
class Duty:
    """Something to do every so many seconds."""

    name: str
    seconds: float
    do: Callable[[], Awaitable[None]]


class Housekeeping:
    """The regular duties of one instance, beside its worker."""

    def __init__(self, federation: Federation, worker: Worker) -> None:
        self._federation = federation
        self._instance = federation.instance
        self._database = federation.instance.database
        self._worker = worker
        self._policy_changed = asyncio.Event()
        self._files_dropped = asyncio.Event()
        self._words_wait = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._revision: int | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._unsubscribe = self._database.on_notice(self._heard)

    async def start(self) -> None:
        """Begin; first what may have been left undone."""
        self._revision = self._instance.guard.policy.revision
        await self._database.changed_elsewhere()
        await self.reload()  # if it has changed since it was compiled
        await self.sweep()
        duties = (
            Duty("look", LOOK_SECONDS, self.look),
            Duty("flush", FLUSH_SECONDS, self.flush),
            Duty("sweep", SWEEP_SECONDS, self.sweep),
            Duty("prune", PRUNE_SECONDS, self.prune),
            Duty("search", SEARCH_SECONDS, self.take_in),
        )
        self._tasks = [asyncio.create_task(self._repeat(duty), name=duty.name) for duty in duties]
        self._tasks.append(asyncio.create_task(self._follow_policy(), name="policy"))
        self._files_dropped.set()  # what was left when the server ended
        self._tasks.append(asyncio.create_task(self._follow_files(), name="files"))
        self._words_wait.set()
        self._tasks.append(asyncio.create_task(self._follow_posts(), name="search"))

    async def stop(self) -> None:
        """End; the guard's counts are written a last time."""
        self._unsubscribe()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        try:
            await self.flush()
        except Unavailable as error:
            log.warning("the guard's last counts could not be written: %s", error)

    def _heard(self, notice: object) -> None:
        if isinstance(notice, PolicyChanged | NoticesLost):
            self._policy_changed.set()
        if isinstance(notice, FilesDropped | NoticesLost):
            self._files_dropped.set()
        if isinstance(notice, PostPublished | PostEdited | ActorChanged | NoticesLost):
            self._words_wait.set()

    async def _repeat(self, duty: Duty) -> None:
        while True:
            await asyncio.sleep(duty.seconds)
            await self._do(duty.name, duty.do)

    async def _do(self, name: str, do: Callable[[], Awaitable[None]]) -> None:
        try:
            await do()
        except Unavailable as error:
            log.warning("housekeeping (%s) has to wait: %s", name, error)
        except Exception:
            log.exception("housekeeping (%s) failed", name)

    async def _follow_policy(self) -> None:
        while True:
            await self._policy_changed.wait()
            self._policy_changed.clear()
            await self._do("policy", self.reload)

    async def _follow_files(self) -> None:
        while True:
            await self._files_dropped.wait()
            self._files_dropped.clear()
            await self._do("files", self.empty_trash)

    async def _follow_posts(self) -> None:
        while True:
            await self._words_wait.wait()
            self._words_wait.clear()
            await asyncio.sleep(GATHER_SECONDS)
            await self._do("search", self.take_in)

    # the duties

    async def take_in(self) -> None:
        """Take what was written into the index for search, in batches with long rests between."""
        while True:
            begun = time.monotonic()
            if await self._database.write(search.take_in) < search.BATCH:
                return
            await asyncio.sleep(REST * (time.monotonic() - begun))

    async def empty_trash(self) -> None:
        """Delete files that no row needs any more."""
        studio = self._instance.studio
        while names := await self._database.read(media_store.trashed):
            remote = [name.removeprefix(REMOTE) for name in names if name.startswith(REMOTE)]
            await studio.remove([name for name in names if not name.startswith(REMOTE)])
            for digest in remote:
                await studio.aside(partial(studio.folder.forget_remote, digest))
            await self._database.write(media_store.drop_trash, names)

    async def sweep_files(self) -> None:
        """Delete uploads that no post was made of, what was left unfinished, and what partners show beyond our room."""
        while await self._database.write(media.prune):
            pass
        while await self._database.write(cards.prune):
            pass
        await self.empty_trash()
        studio = self._instance.studio
        await studio.aside(studio.folder.sweep)
        await studio.aside(partial(studio.folder.trim_remote, self._instance.config.media.remote_bytes))
        for names in await studio.aside(lambda: list(studio.folder.names())):
            known = await self._database.read(media_store.known, names)
            await studio.remove([name for name in names if name not in known])

    async def look(self) -> None:
        """See whether another process changed something: partners, accounts and keys, or the queue; and whether a
        fault of the database is over."""
        if self._database.trouble is not None:
            await self._database.probe()
        if self._database.dialect == "sqlite":
            if await self._database.changed_elsewhere():
                # There are no notices between processes, so everybody here is told that some may be missing.
                await self._database.write(_tell)
        elif await self._database.read_fast(partners.revision) != self._revision:
            self._policy_changed.set()

    async def reload(self) -> None:
        """Put the policy in force that the database has now, and apply it to connections and to the queue."""
        async with self._reloading:  # who asks while another one is at it wants it done when this returns
            before, revision = self._instance.guard.policy, await self._database.read(partners.revision)
            if revision == self._revision:
                return
            await reload_policy(self._instance)
            for host in changed_hosts(before, self._instance.guard.policy):
                self._instance.gateway.drop(Domain(host))
            await self.sweep()
            self._revision = revision

    async def sweep(self) -> None:
        """Cancel or hold what waits for hosts that may get nothing at the moment; release what was held for others."""
        waiting, held = await self._database.read(_hosts)
        refused = [refusal for host in {*waiting, *held} if (refusal := self._refusal(host)) is not None]
        released = set(held) - {host for host, _, _ in refused}
        if refused or released:
            await self._database.write(_put_aside, refused, released)
        now, policy = self._instance.clock(), self._instance.guard.policy
        expired = {
            name for p in policy.partners if p.expires_at is not None and p.expires_at <= now for name in p.names
        }
        for host in expired | {host for host, _, _ in refused}:
            self._instance.gateway.drop(Domain(host))

    def _refusal(self, host: str) -> tuple[str, str, str] | None:
        decision = self._instance.guard.explain(_ANYTHING.to_host(host, self._instance.clock()))
        return None if decision.allowed else (host, decision.rule, decision.reason)

    async def flush(self) -> None:
        """Write the guard's counts to the decision log."""
        counts = self._instance.guard.drain_decisions()
        if counts:
            await self._database.write(_count, counts)

    async def prune(self) -> None:
        """Forget what has been kept long enough."""
        await self._database.write(_prune, self._instance.clock())
        await self.sweep_files()


def changed_hosts(before: Policy, after: Policy) -> list[str]:
    """The hosts whose partner, or its terms, are not what they were."""
    return sorted(host for host, partner in before.index.items() if after.index.get(host) != partner)


def _tell(tx: Tx) -> None:
    tx.notify(NoticesLost())


def _hosts(tx: Tx) -> tuple[list[str], list[str]]:
    return jobs.waiting_hosts(tx), jobs.held_hosts(tx)


def _put_aside(tx: Tx, refused: Sequence[tuple[str, str, str]], released: Collection[str]) -> None:
    if released:
        jobs.release_held(tx, released)
    for host, rule, reason in refused:
        if rule in KEEPS_QUEUE:
            jobs.hold_host(tx, host, rule, reason)
        else:
            jobs.cancel_host(tx, host, reason, rule)


def _count(tx: Tx, counts: Sequence[DecisionCount]) -> None:
    for each in counts:
        partners.count_decision(
            tx, hour=each.hour, question=each.question.value, domain=each.domain, verdict=each.verdict.word,
            rule=each.rule, reason=each.reason, revision=each.revision, times=each.times,
        )  # fmt: skip


def _prune(tx: Tx, now: Millis) -> None:
    jobs.prune(tx, Millis(now - DONE_KEPT), Millis(now - DEAD_KEPT))
    activities.prune(tx, id_at(Millis(now - INBOUND_KEPT)))
    activities.prune_keys(tx, Millis(now - KEYS_KEPT))
    moderation.prune_sign_ins(tx, Millis(now - SIGN_INS_KEPT))
    doors.prune_ip_blocks(tx, now)
    notice_board.prune_announcements(tx, Millis(now - DONE_KEPT))
    measures.prune(tx, Millis(now - DAYS_KEPT))
    relations.prune_mutes(tx)
    resets.prune(tx)
    quotes.recheck(tx)
    archives.expire(tx)
    imports.prune(tx, id_at(Millis(now - INBOUND_KEPT)))
    push.prune(tx, now)
