"""Numbers for moderators: measures by day, dimensions (what there is most of), and who comes back."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from fedishare import __version__
from fedishare.api import entities
from fedishare.api.admin import Desk
from fedishare.api.http import Api, Params, params, parse_id
from fedishare.api.table import Table
from fedishare.http.call import Answer, Call, json_answer
from fedishare.http.routes import Route
from fedishare.model.errors import BadInput
from fedishare.model.ids import Millis
from fedishare.policy.roles import Right
from fedishare.services import taxonomy
from fedishare.store import measures
from fedishare.store.db import Tx

DAY = measures.DAY
MAX_DAYS = 366
DIMENSIONS = (
    "languages", "sources", "servers", "space_usage", "software_versions", "tag_servers", "tag_languages",
    "instance_accounts", "instance_languages",
)  # fmt: skip
MEASURES = ("active_users", *measures.DAILY)
WITHOUT_BEFORE = ("instance_",)
"""Measures about a partner have no number of the time before, as in Mastodon."""


class MeasureDay(msgspec.Struct, frozen=True):
    """One day of a measure."""

    date: str
    value: str


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """How much of something there was."""

    key: str
    unit: str | None
    total: str
    data: list[MeasureDay]
    previous_total: str | msgspec.UnsetType = msgspec.UNSET


class DimensionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One of those of which there is most."""

    key: str
    human_key: str
    value: str
    unit: str | msgspec.UnsetType = msgspec.UNSET
    human_value: str | msgspec.UnsetType = msgspec.UNSET


class Dimension(msgspec.Struct, frozen=True):
    """What there is most of."""

    key: str
    data: list[DimensionRow]


class CohortDay(msgspec.Struct, frozen=True):
    """How many of a cohort were here in one period."""

    date: str
    rate: float
    value: str


class Cohort(msgspec.Struct, frozen=True):
    """Those who came in one period."""

    period: str
    frequency: str
    data: list[CohortDay]


@dataclass(frozen=True, slots=True)
class Span:
    """Whole days: from the first on, up to but without the last."""

    begin: Millis
    end: Millis

    @property
    def days(self) -> range:
        """The days since 1970."""
        return range(self.begin // DAY, self.end // DAY)


def _moment(found: Params, name: str) -> Millis:
    text = found.text(name).strip()
    if not text:
        raise BadInput(f"Validation failed: {name.replace('_', ' ').capitalize()} can't be blank", path=name)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInput(
            f"Validation failed: {name.replace('_', ' ').capitalize()} is not a date and time", path=name
        ) from error
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    if not 1970 < moment.year < 3000:
        raise BadInput(f"Validation failed: {name.replace('_', ' ').capitalize()} is out of range", path=name)
    return Millis(int(moment.timestamp() * 1000))


def _span(found: Params) -> Span:
    """``start_at`` and ``end_at`` as whole days, both included. Raises `BadInput`."""
    begin, end = _moment(found, "start_at") // DAY * DAY, _moment(found, "end_at") // DAY * DAY + DAY
    if not begin < end <= begin + MAX_DAYS * DAY:
        raise BadInput(f"Validation failed: End at must be 1 to {MAX_DAYS} days after start at", path="end_at")
    return Span(Millis(begin), Millis(end))


def _keys(found: Params, known: tuple[str, ...]) -> list[str]:
    wanted = found.texts("keys")
    for key in wanted:
        if key not in known:
            raise BadInput(f"Validation failed: Keys {key[:40]!r} is not included in the list", path="keys")
    return list(dict.fromkeys(wanted))


def _about(tx: Tx, found: Params, key: str) -> dict[str, str]:
    """What a measure about one hashtag or one partner is about. Raises `BadInput`, `NotFound`."""
    if not key.startswith(("tag_", "instance_")):
        return {}
    section = found.section(key)
    if key.startswith("tag_"):
        ident = section.text("id") if section else ""
        if not ident:
            raise BadInput(f"Validation failed: {key} needs an id", path=key)
        return {"tag": taxonomy.tag(tx, parse_id(ident))}
    domain = section.text("domain").strip().lower() if section else ""
    if not domain:
        raise BadInput(f"Validation failed: {key} needs a domain", path=key)
    return {"domain": domain}


@dataclass(frozen=True, slots=True)
class AdminMeasures:
    """The handlers."""

    api: Api

    async def measures(self, call: Call) -> Answer:
        """``POST /api/v1/admin/measures``"""
        found = await params(call)
        keys, span = _keys(found, MEASURES), _span(found)

        def read(tx: Tx) -> list[Measure]:
            return [self._measure(tx, found, key, span) for key in keys]

        return json_answer(await self.api.database.read(read))

    @staticmethod
    def _measure(tx: Tx, found: Params, key: str, span: Span) -> Measure:
        about = _about(tx, found, key)
        by_day = measures.by_day(tx, key, span.begin, span.end, **about)
        previous: str | msgspec.UnsetType = msgspec.UNSET
        if not key.startswith(WITHOUT_BEFORE):
            before = Millis(max(0, span.begin - (span.end - span.begin)))
            previous = str(_total(tx, key, before, span.begin, about))
        data = [MeasureDay(entities.instant(Millis(day * DAY)), str(by_day.get(day, 0))) for day in span.days]
        total = str(_total(tx, key, span.begin, span.end, about, by_day))
        return Measure(key=key, unit=None, total=total, data=data, previous_total=previous)

    async def dimensions(self, call: Call) -> Answer:
        """``POST /api/v1/admin/dimensions``"""
        found = await params(call)
        keys, span, limit = _keys(found, DIMENSIONS), _span(found), found.number("limit", 10, least=1, most=100)

        def read(tx: Tx) -> list[Dimension]:
            return [Dimension(key, self._rows(tx, found, key, span, limit)) for key in keys]

        return json_answer(await self.api.database.read(read))

    def _rows(self, tx: Tx, found: Params, key: str, span: Span, limit: int) -> list[DimensionRow]:
        if key == "space_usage":
            size = measures.space(tx)
            return [DimensionRow(key="media", human_key="Media storage", value=str(size), unit="bytes",
                                 human_value=f"{size / 1024 / 1024:.1f} MB")]  # fmt: skip
        if key == "software_versions":
            python = ".".join(map(str, sys.version_info[:3]))
            versions = (("fedishare", __version__), ("python", python), ("database", self.api.database.dialect))
            return [DimensionRow(key=n, human_key=n.capitalize(), value=v, human_value=v) for n, v in versions]
        rows = measures.dimension(tx, key, span.begin, span.end, limit, **_about(tx, found, key))
        empty = self.api.site.names.domain if key.endswith("servers") else "unknown"
        return [DimensionRow(key=name or empty, human_key=name or empty, value=str(number)) for name, number in rows]

    async def retention(self, call: Call) -> Answer:
        """``POST /api/v1/admin/retention``"""
        found = await params(call)
        frequency, span = found.text("frequency", "day"), _span(found)
        if frequency not in ("day", "month"):
            raise BadInput("Validation failed: Frequency is not included in the list", path="frequency")
        width = DAY if frequency == "day" else 30 * DAY
        sizes, here = await self.api.database.read(measures.cohorts, span.begin, span.end, width)
        return json_answer(_cohorts(frequency, width, span, sizes, here))


def _total(
    tx: Tx, key: str, begin: Millis, end: Millis, about: Mapping[str, str], known: dict[int, int] | None = None
) -> int:
    """The whole of a measure: people count once, however often they were here."""
    if key == "active_users":
        return measures.active_people(tx, begin, end)
    by_day = measures.by_day(tx, key, begin, end, **about) if known is None else known
    return sum(by_day.values())


def _cohorts(
    frequency: str, width: int, span: Span, sizes: dict[int, int], here: dict[tuple[int, int], int]
) -> list[Cohort]:
    periods = range(span.begin // width, (span.end - 1) // width + 1)
    found = []
    for cohort in periods:
        size, days = sizes.get(cohort, 0), []
        for period in range(cohort, periods.stop):
            # In the first period everybody is there: they have just come.
            number = size if period == cohort else here.get((cohort, period), 0)
            rate = min(1.0, number / size) if size else 0.0
            days.append(CohortDay(entities.instant(Millis(period * width)), rate, str(number)))
        found.append(Cohort(entities.instant(Millis(cohort * width)), frequency, days))
    return found


def routes(api: Api, table: Table) -> list[Route]:
    """The lines of the registry."""
    found = AdminMeasures(api)
    desk = Desk(api, table, Right.VIEW_DASHBOARD, "")
    return [
        desk.look("POST", "/v1/admin/measures", found.measures),
        desk.look("POST", "/v1/admin/dimensions", found.dimensions),
        desk.look("POST", "/v1/admin/retention", found.retention),
    ]
