"""For operators: health and metrics; and the style sheet of the few pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fedishare.http.call import Answer, Call
from fedishare.http.pages import STYLE_PATH, style
from fedishare.http.routes import Access, Audience, Rate, Route
from fedishare.instance import Instance
from fedishare.model.errors import Unavailable
from fedishare.store import jobs, partners
from fedishare.store.db import Row, Tx

_METRICS = b"text/plain; version=0.0.4; charset=utf-8"


def routes(instance: Instance, counts: Callable[[], Mapping[tuple[str, int], int]]) -> list[Route]:
    """The routes of this module. ``counts`` gives the answers so far by route and status."""

    async def health(call: Call) -> Answer:
        await instance.database.read(jobs.next_run)
        if instance.database.trouble is not None:
            raise Unavailable("changes cannot be stored at the moment; the log and /metrics say why")
        return Answer(b"OK", media_type=b"text/plain; charset=utf-8")

    async def metrics(call: Call) -> Answer:
        trouble = instance.database.trouble
        try:
            work, decisions = await instance.database.read(_figures)
        except Unavailable as error:  # what is known without the database is told all the same
            work, decisions, trouble = {}, [], str(error.__cause__ or error)
        return Answer(_page(counts(), work, decisions, trouble).encode(), media_type=_METRICS)

    return [
        Route(
            method="GET", path="/health", handler=health, access=Access.OPEN, scopes=(), rate=Rate.PUBLIC, max_body=0,
            audience=Audience.METADATA,
        ),
        Route(
            method="GET", path=STYLE_PATH, handler=style, access=Access.OPEN, scopes=(), rate=Rate.PUBLIC, max_body=0,
            audience=Audience.METADATA,
        ),
        Route(
            method="GET", path="/metrics", handler=metrics, access=Access.OPERATOR, scopes=(), rate=Rate.NONE,
            max_body=0, audience=Audience.METADATA,
        ),
    ]  # fmt: skip


def _label(text: str) -> str:
    """A label's value: one line, quotes and backslashes escaped."""
    line = text.strip().partition("\n")[0][:200]
    return line.replace("\\", "\\\\").replace('"', '\\"')


def _figures(tx: Tx) -> tuple[Mapping[tuple[str, jobs.JobState], int], list[Row]]:
    return jobs.counts(tx), partners.decisions(tx, limit=1000)


def _page(
    answers: Mapping[tuple[str, int], int],
    work: Mapping[tuple[str, jobs.JobState], int],
    decisions: list[Row],
    trouble: str | None,
) -> str:
    lines = [
        "# HELP fedishare_database_trouble Whether changes cannot be stored at the moment, and why.",
        "# TYPE fedishare_database_trouble gauge",
        f'fedishare_database_trouble{{cause="{_label(trouble or "")}"}} {int(trouble is not None)}',
        "# HELP fedishare_answers_total HTTP answers by route and status.",
        "# TYPE fedishare_answers_total counter",
    ]
    for (route, status), number in sorted(answers.items()):
        lines.append(f'fedishare_answers_total{{route="{route}",status="{status}"}} {number}')
    lines += ["# HELP fedishare_jobs Jobs by kind and state.", "# TYPE fedishare_jobs gauge"]
    for (kind, state), number in sorted(work.items()):
        lines.append(f'fedishare_jobs{{kind="{kind}",state="{state.name.lower()}"}} {number}')
    totals: dict[tuple[str, str, str], int] = {}
    for _, question, _, verdict, rule, _, _, times, _ in decisions:
        key = (question, verdict, rule)
        totals[key] = totals.get(key, 0) + times
    lines += ["# HELP fedishare_decisions The guard's decisions on record.", "# TYPE fedishare_decisions gauge"]
    for (question, verdict, rule), number in sorted(totals.items()):
        lines.append(f'fedishare_decisions{{question="{question}",verdict="{verdict}",rule="{rule}"}} {number}')
    return "\n".join(lines) + "\n"
