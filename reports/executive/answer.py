"""What one question hands to the report: its section, its headline figures, its notices, and how new its data is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import polars as pl

from reports.page import Finding, Headline, Section
from reports.reading import query


@dataclass(frozen=True, slots=True)
class Answer:
    """One question answered. Notices go above everything else."""

    section: Section
    headlines: Sequence[Headline] = ()
    notices: Sequence[Finding] = ()
    as_of: date | None = None


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
