"""What changed: level shifts and the deploys behind them, trends, unusual hours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import polars as pl

from reports.charts import line_with_changes
from reports.executive.answer import Answer, nothing, queries
from reports.page import Chart, Finding, Section, Table, Tone
from reports.reading import read
from reports.tables import Spec, figure, table, text
from reports.wording import DASH, count, instant, label, number, percent, quantity

if TYPE_CHECKING:
    import duckdb

TITLE: Final = "What changed?"
_NAMES: Final = ("change_points", "trends", "trends_judged", "anomalies", "service_health")
_MEASURES: Final = {
    "latency_p50_ms": "median latency",
    "latency_p95_ms": "p95 latency",
    "latency_p99_ms": "p99 latency",
    "error_ratio": "share of failed requests",
    "error_count": "failed requests",
    "request_count": "requests",
    "log_count": "log lines",
    "log_error_count": "log errors",
    "effective_cost": "cost",
    "used_mean": "mean use",
    "used_max": "peak use",
}
_GOOD_WHEN_MORE: Final = ("request_count", "requests")


def changes(connection: duckdb.DuckDBPyConnection) -> Answer:
    """Shifts with the change nearest to each, trends that chance does not explain, and the oddest hours."""
    points, trends, judged, odd, health = (read(connection, name) for name in _NAMES)
    if not any(frame.columns for frame in (points, trends, odd)):
        return nothing("changes", TITLE, "Trends and changes have not been looked for yet.", *_NAMES)
    series = judged.row(0)[1] if judged.height else 0
    if not series and points.is_empty() and odd.is_empty():
        return nothing("changes", TITLE, "There is not enough history to see a change.", *_NAMES)
    findings = [
        *(_shift(row) for row in points.head(4).iter_rows(named=True)),
        *(_trend(row) for row in trends.head(4).iter_rows(named=True)),
    ]
    if not odd.is_empty():
        row = odd.row(0, named=True)
        what = f"{label(row['service'])}, {_measure(row['measure'])} on {instant(row['time'])}"
        findings.append(
            Finding(f"The oddest hour: {what}: {number(row['value'])} where {number(row['expected'])} was expected.", "anomalies")
        )
    section = Section(
        key="changes",
        title=TITLE,
        lead=f"{count(points.height, 'lasting shift')} and {count(trends.height, 'lasting trend')} in {count(series, 'series', 'series')}, "
        "false alarms held under one in twenty.",
        findings=findings,
        charts=_charts(points, health),
        tables=_tables(points, trends, odd),
        queries=queries(*_NAMES),
    )
    return Answer(section)


def _measure(name: object) -> str:
    """A measure in words."""
    return _MEASURES.get(str(name)) or label(name, longest=40).replace("_", " ")


def _tone(measure: object, change: float | None) -> Tone:
    """More is bad news but for demand."""
    if change is None or str(measure) in _GOOD_WHEN_MORE:
        return "plain"
    return "warn" if change > 0 else "good"


def _shift(row: dict[str, Any]) -> Finding:
    """One shift and what lies near it."""
    moved = percent(row["relative_change"], signed=True)
    levels = f"{number(row['before'])} to {number(row['after'])}"
    near = ""
    if row["change_id"]:
        hours = f"{number(abs(row['change_distance_h']), 2)} h away" if row["change_distance_h"] is not None else "nearest"
        near = f" Nearest change: {label(row['change_title'] or row['change_id'], longest=60)} ({hours})."
    sentence = f"{label(row['service'])}: {_measure(row['measure'])} moved by {moved} on {instant(row['time'])} ({levels}).{near}"
    return Finding(sentence, "change_points", _tone(row["measure"], row["relative_change"]))


def _trend(row: dict[str, Any]) -> Finding:
    """One trend as change in 30 days."""
    change = row["change_per_30_days"]
    by_service = row["subject"] == "service" and row["service"] is not None
    subject = label(row["service"] if by_service else row["series_id"], longest=48)
    word = "up" if row["slope_per_day"] > 0 else "down"
    pace = f" by {percent(abs(change))} in 30 days" if change is not None else ""
    since = f", over {number(row['history_days'])} days" if row["history_days"] else ""
    return Finding(f"{subject}: {_measure(row['measure'])} {word}{pace}{since}.", "trends", _tone(row["measure"], row["slope_per_day"]))


def _charts(points: pl.DataFrame, health: pl.DataFrame) -> list[Chart]:
    """Daily latency of the services whose latency shifted, four at most."""
    if points.is_empty() or health.is_empty():
        return []
    latency = points.filter(pl.col("measure").str.contains("latency"))
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
    """Everything found, in three tables."""
    who = text("Service", "service", longest=28)
    what: Spec = ("Measure", "left", lambda row: _measure(row["measure"]))
    tables = []
    if not points.is_empty():
        specs: list[Spec] = [
            who,
            what,
            ("When", "left", lambda row: instant(row["time"])),
            figure("Before", lambda row: number(row["before"])),
            figure("After", lambda row: number(row["after"])),
            figure("Change", lambda row: percent(row["relative_change"], signed=True)),
            ("Near", "left", lambda row: label(row["change_title"] or row["change_id"], longest=40)),
        ]
        tables.append(table("change_points", "Shifts", points, specs, shown=8))
    if not trends.is_empty():
        specs = [
            ("Series", "left", lambda row: label(row["series_id"], longest=48)),
            what,
            figure("Per day", lambda row: quantity(row["slope_per_day"], row["unit"])),
            figure("95% between", lambda row: f"{quantity(row['slope_lo'], row['unit'])} and {quantity(row['slope_hi'], row['unit'])}"),
            figure("In 30 days", lambda row: percent(row["change_per_30_days"], signed=True)),
            ("Class", "left", lambda row: label(row["trend_class"])),
        ]
        tables.append(table("trends", "Trends", trends, specs, shown=8))
    if not odd.is_empty():
        specs = [
            who,
            what,
            ("Hour", "left", lambda row: instant(row["time"])),
            figure("Seen", lambda row: number(row["value"])),
            figure("Expected", lambda row: number(row["expected"])),
            figure("Score", lambda row: DASH if row["score"] is None else f"{row['score']:.3f}"),
        ]
        tables.append(table("anomalies", "Odd hours", odd, specs, shown=6))
    return tables
