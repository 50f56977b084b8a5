"""What changed: level shifts and the deploys behind them, trends, and episodes in which services were odd together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from reports.answer import Answer, nothing, queries, total
from reports.charts import line_with_changes
from reports.page import Chart, Section, Table
from reports.reading import read
from reports.tables import table
from reports.telling import ODD, SHIFT, TREND, odd_episode, shift, trend
from reports.wording import count, label, number, percent

if TYPE_CHECKING:
    import duckdb

TITLE: Final = "What changed?"
_NAMES: Final = ("change_points", "trends", "trends_judged", "anomalies", "service_health")
_ALL: Final = ("change_points_all", "anomalies_all")
_SHOWN: Final = 10


def changes(connection: duckdb.DuckDBPyConnection) -> Answer:
    """Shifts with the change nearest to each, trends that chance does not explain, and the oddest episodes."""
    points, trends, judged, odd, health = (read(connection, name) for name in _NAMES)
    if not any(frame.columns for frame in (points, trends, odd)):
        return nothing("changes", TITLE, "Trends and changes have not been looked for yet.", *_NAMES)
    series = judged.row(0)[1] if judged.height else 0
    if not series and points.is_empty() and odd.is_empty():
        return nothing("changes", TITLE, "There is not enough history to see a change.", *_NAMES)
    findings = [
        *(shift(row) for row in _one_a_change(points).head(4).iter_rows(named=True)),
        *(trend(row) for row in trends.head(4).iter_rows(named=True)),
        *(odd_episode(row) for row in odd.head(2).iter_rows(named=True)),
    ]
    section = Section(
        key="changes",
        title=TITLE,
        lead=f"{_shifts(points)} and {count(trends.height, 'lasting trend')} in {count(series, 'series', 'series')}, "
        "false alarms held under one in twenty.",
        findings=findings,
        charts=_charts(points, health),
        tables=_tables(points, trends, odd),
        queries=queries(*_NAMES, *_ALL),
    )
    return Answer(section)


def _shifts(points: pl.DataFrame) -> str:
    """How many shifts there are, and how many of them a reader has to tell apart."""
    shifts = count(int(total(points, "shifts")), "lasting shift")
    if total(points, "shifts") == points.height:
        return shifts
    near = points["change_id"].count()
    return f"{shifts} on {count(points.height, 'occasion')} ({number(near)} next to a change)"


def _one_a_change(points: pl.DataFrame) -> pl.DataFrame:
    """The occasions, of each change only the most telling one."""
    if points.is_empty():
        return points
    return points.filter(pl.col("change_id").is_null() | pl.struct("service", "change_id").is_first_distinct())


def _charts(points: pl.DataFrame, health: pl.DataFrame) -> list[Chart]:
    """Daily latency of the services whose latency shifted, four at most."""
    if points.is_empty() or health.is_empty():
        return []
    latency = points.filter(pl.col("measure").str.starts_with("latency_"), ~pl.col("common"))
    charts = []
    for service in latency["service"].unique(maintain_order=True).head(4):
        days = health.filter(pl.col("service") == service).select("day", value="latency_p95_ms")
        if days.height < 7:
            continue
        marks = latency.filter(pl.col("service") == service).head(3)
        marks = marks.select("time", label=pl.col("relative_change").map_elements(lambda c: percent(c, signed=True), pl.String))
        caption = "95th percentile of the duration per day; dashed: when its level shifted, and by how much."
        charts.append(Chart(f"{label(service, longest=40)}: latency, ms", caption, line_with_changes(days, marks, unit="")))
    return charts


def _tables(points: pl.DataFrame, trends: pl.DataFrame, odd: pl.DataFrame) -> list[Table]:
    """The most telling of everything found, in three tables."""
    tables = []
    if not points.is_empty():
        tables.append(table("change_points", "Shifts", points, SHIFT, shown=_SHOWN, query="change_points_all"))
    if not trends.is_empty():
        tables.append(table("trends", "Trends", trends, TREND, shown=_SHOWN, query="trends"))
    if not odd.is_empty():
        tables.append(table("anomalies", "Odd together", odd, ODD, shown=_SHOWN, query="anomalies"))
    return tables
