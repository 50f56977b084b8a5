"""What one question hands to the report (section, headline figures, notices, how new its data is), and the report of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import polars as pl

from reports.page import Finding, Headline, Report, Section
from reports.reading import query


@dataclass(frozen=True, slots=True)
class Answer:
    """One question answered. Notices go above everything else."""

    section: Section
    headlines: Sequence[Headline] = ()
    notices: Sequence[Finding] = ()
    as_of: date | None = None


def assemble(name: str, title: str, answers: Sequence[Answer], *, made_at: datetime) -> Report:
    """The report of these answers: as new as the newest of them, with a notice for what is missing and what is older."""
    days = [answer.as_of for answer in answers if answer.as_of is not None]
    return Report(
        name=name,
        title=title,
        as_of=max(days) if days else None,
        made_at=made_at,
        notices=[*(notice for answer in answers for notice in answer.notices), *_without_data(answers), *_stale(days, answers)],
        headlines=[headline for answer in answers for headline in answer.headlines],
        sections=[answer.section for answer in answers],
    )


def nothing(key: str, title: str, why: str, *names: str) -> Answer:
    """The answer where there is nothing to answer from; the queries still say where it was looked for."""
    return Answer(Section(key=key, title=title, lead=why, queries=queries(*names), empty=True))


def queries(*names: str) -> dict[str, str]:
    """Texts of queries by name."""
    return {name: query(name) for name in names}


def newest(frame: pl.DataFrame, column: str = "day") -> date | None:
    """The newest day in a column of dates or times; None without any."""
    if column not in frame.columns or frame[column].null_count() == frame.height:
        return None
    value: Any = frame[column].max()
    return value.date() if isinstance(value, datetime) else value


def total(frame: pl.DataFrame, column: str) -> float:
    """The sum of a column; 0 where the frame has no such column or no rows."""
    return float(frame[column].sum() or 0.0) if column in frame.columns else 0.0


def plain_times(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with times of zones as naive UTC, so that all formats write them alike."""
    zoned = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Datetime) and dtype.time_zone]
    return frame.with_columns(pl.col(name).dt.convert_time_zone("UTC").dt.replace_time_zone(None) for name in zoned)


def _without_data(answers: Sequence[Answer]) -> list[Finding]:
    """A notice where every section, or some, had nothing to answer from."""
    empty = [answer.section.title for answer in answers if answer.section.empty]
    if not empty:
        return []
    if len(empty) == len(answers):
        return [Finding("There is no data yet: no analysis has run. Load data and run Lakebed first.", "", "warn")]
    return [Finding(f"Without data, and therefore without an answer: {' '.join(empty)}", "", "warn")]


def _stale(days: list[date], answers: Sequence[Answer]) -> list[Finding]:
    """A notice for analyses whose newest day lies behind the newest of the report."""
    late = [
        f"{answer.section.title} ({answer.as_of:%Y-%m-%d})"
        for answer in answers
        if answer.as_of is not None and (max(days) - answer.as_of).days > 1
    ]
    return [Finding(f"Older than the rest of this report: {', '.join(late)}.", "", "warn")] if late else []
