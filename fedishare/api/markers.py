"""Markers: where somebody was reading, so that another app goes on there."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from fedishare.api import entities
from fedishare.api.http import Api, params, parse_id
from fedishare.api.table import OWN, Table
from fedishare.http.call import Answer, Call, json_answer
from fedishare.http.routes import Route
from fedishare.model.errors import BadInput, NotFound
from fedishare.model.ids import Id
from fedishare.store import markers
from fedishare.store.db import Tx
from fedishare.store.markers import Marker

TIMELINES = ("home", "notifications")


class MarkerEntity(msgspec.Struct, frozen=True):
    """A Marker."""

    last_read_id: str
    version: int
    updated_at: str


def _entities(found: dict[str, Marker]) -> dict[str, MarkerEntity]:
    return {
        name: MarkerEntity(str(each.last_read_id), each.version, entities.instant(each.updated_at))
        for name, each in found.items()
    }


@dataclass(frozen=True, slots=True)
class Markers:
    """The handlers."""

    api: Api

    async def show(self, call: Call) -> Answer:
        """``GET /api/v1/markers?timeline[]=home``"""
        wanted = (await params(call)).texts("timeline")
        known = [name for name in TIMELINES if name in wanted]
        return json_answer(_entities(await self.api.database.read_fast(markers.get, call.me.id, known)))

    async def move(self, call: Call) -> Answer:
        """``POST /api/v1/markers``: answers with those that it names."""
        found, moved = await params(call), dict[str, Id]()
        for name in TIMELINES:
            section = found.section(name)
            if section is not None and "last_read_id" in section:
                moved[name] = _place(name, section.text("last_read_id"))

        def write(tx: Tx) -> dict[str, Marker]:
            for name, last in moved.items():
                markers.put(tx, call.me.id, name, last)
            return markers.get(tx, call.me.id, moved)

        return json_answer(_entities(await self.api.database.write(write)))


def _place(name: str, text: str) -> Id:
    try:
        return parse_id(text)
    except NotFound as error:
        sentence = f"{name}[last_read_id]: an id was expected, found {text[:40]!r}"
        raise BadInput(sentence, path=f"{name}.last_read_id") from error


def routes(api: Api, table: Table) -> list[Route]:
    """The lines of this module."""
    found = Markers(api)
    return [
        table.line("GET", "/api/v1/markers", "read:statuses", found.show, OWN),
        table.line("POST", "/api/v1/markers", "write:statuses", found.move, OWN),
    ]
