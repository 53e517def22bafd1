"""The federation side of an instance: what the protocol's modules share."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fedishare.activitypub.keyring import Keyring
from fedishare.http.rates import Rates
from fedishare.instance import Instance
from fedishare.model.ids import Id, Millis

ACCEPT = 'application/activity+json, application/ld+json; profile="https://www.w3.org/ns/activitystreams"'
ACTIVITY_TYPE = "application/activity+json"

T = TypeVar("T")
_AS2 = "https://www.w3.org/ns/activitystreams"
_PROFILE = re.compile(r';\s*profile\s*=\s*(?:"([^"]*)"|([^;\s]*))', re.IGNORECASE)


def is_activity_type(content_type: str) -> bool:
    """Whether a Content-Type says ActivityStreams: ``application/activity+json``, or ``ld+json`` with the profile."""
    media = content_type.partition(";")[0].strip().lower()
    if media == ACTIVITY_TYPE:
        return True
    if media != "application/ld+json":
        return False
    profile = _PROFILE.search(content_type)
    return profile is not None and _AS2 in (profile[1] or profile[2] or "").split()


@dataclass(slots=True)
class Memory:
    """What is remembered between requests to spare work. All of it may be lost at any time."""

    instance_actor: Id | None = None
    backlog: int = 0
    backlog_at: Millis = Millis(0)
    heard: dict[str, Millis] = field(default_factory=dict)
    """When each partner's host last made us look at its circuit."""
    schemes: OrderedDict[str, tuple[str, Millis]] = field(default_factory=OrderedDict)
    """The signature scheme that worked at a host, and until when we take that for granted."""
    _flights: dict[str, asyncio.Task[Any]] = field(default_factory=dict)

    async def once(self, name: str, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do something that many ask for at the same time only once; all of them get its result or its error."""
        flight = self._flights.get(name)
        if flight is None:
            flight = asyncio.get_running_loop().create_task(make())
            self._flights[name] = flight
            flight.add_done_callback(lambda done: self._landed(name, done))
        result: T = await asyncio.shield(flight)
        return result

    def _landed(self, name: str, flight: asyncio.Task[Any]) -> None:
        self._flights.pop(name, None)
        if not flight.cancelled():
            flight.exception()  # seen, also when everybody who waited was cancelled


@dataclass(frozen=True, slots=True)
class Federation:
    """One per instance, made by the composition root."""

    instance: Instance
    keyring: Keyring
    rates: Rates
    memory: Memory = field(default_factory=Memory)
