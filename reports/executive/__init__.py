"""The executive report: is the observability worth it, what does everything cost, when does it run out, what broke.

One module per question; each reads its queries and returns a section. `build` puts them together.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

from reports.executive.capacity import capacity
from reports.executive.changes import changes
from reports.executive.cost import cost
from reports.executive.data import data
from reports.executive.incidents import incidents
from reports.executive.opportunities import opportunities
from reports.executive.returns import returns
from reports.executive.services import services
from reports.page import Finding, Headline, Report, Section

if TYPE_CHECKING:
    import duckdb

    from reports.executive.answer import Answer

_QUESTIONS = (returns, cost, opportunities, capacity, incidents, changes, services, data)


def build(connection: duckdb.DuckDBPyConnection, *, made_at: datetime) -> Report:
    """The report from what the marts hold now."""
    answers = [question(connection) for question in _QUESTIONS]
    days = [answer.as_of for answer in answers if answer.as_of is not None]
    return Report(
        name="executive",
        title="Observability: cost, risk and return",
        as_of=max(days) if days else None,
        made_at=made_at,
        notices=[*(notice for answer in answers for notice in answer.notices), *_without_data(answers), *_stale(days, answers)],
        headlines=[headline for answer in answers for headline in answer.headlines],
        sections=[answer.section for answer in answers],
    )


def _without_data(answers: list[Answer]) -> list[Finding]:
    """A notice where every section, or some, had nothing to answer from."""
    empty = [answer.section.title for answer in answers if answer.section.empty]
    if not empty:
        return []
    if len(empty) == len(answers):
        return [Finding("There is no data yet: no analysis has run. Load data and run Lakebed first.", "", "warn")]
    return [Finding(f"Without data, and therefore without an answer: {' '.join(empty)}", "", "warn")]


def _stale(days: list[date], answers: list[Answer]) -> list[Finding]:
    """A notice for analyses whose newest day lies behind the newest of the report."""
    late = [
        f"{answer.section.title} ({answer.as_of:%Y-%m-%d})"
        for answer in answers
        if answer.as_of is not None and (max(days) - answer.as_of).days > 1
    ]
    return [Finding(f"Older than the rest of this report: {', '.join(late)}.", "", "warn")] if late else []


__all__ = ["Finding", "Headline", "Section", "build"]
