"""The trends report: what changed in the last week and why we think so, which trends matter, which hours were odd.

What is found, and how sure that is, stands in mart.change_points, mart.trends and mart.anomaly_episodes; here it is chosen and told.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from reports.answer import Answer, assemble, newest, nothing, queries
from reports.charts import line_with_changes, line_with_slope
from reports.page import Chart, Headline, Report, Section
from reports.reading import read
from reports.tables import table
from reports.telling import ODD, SHIFT, TREND, measure_of, odd_episode, shift, trend
from reports.wording import count, day, label, number, percent, scale

if TYPE_CHECKING:
    import duckdb

ANSWERS: Final = "what changed in the last seven days and why we think so, which trends matter, which hours were odd"
WEEK: Final = timedelta(days=7)
_DRAWN: Final = 4
_TOLD: Final = 8
_EPISODES: Final = "Episodes, first those whose likely origin is oddest"


def build(connection: duckdb.DuckDBPyConnection, *, made_at: datetime) -> Report:
    """The report from what the marts hold now."""
    as_of = newest(read(connection, "trends_day"))
    series = read(connection, "daily_series")
    answers = [_changed(connection, as_of, series), _lasting(connection, as_of, series), _odd(connection, as_of)]
    return assemble("trends", "What changed this week, and where things go", answers, made_at=made_at)


def _changed(connection: duckdb.DuckDBPyConnection, as_of: date | None, series: pl.DataFrame) -> Answer:
    """Level shifts of the week with their interval and the change that lies nearest."""
    key, title, names = "changed", "What changed this week, and why do we think so?", ("change_points", "change_points_all", "daily_series")
    points = read(connection, names[0])
    if points.is_empty() and (not points.columns or as_of is None):
        return nothing(key, title, "Changes have not been looked for yet.", *names)
    since = _since(as_of, points)
    week = points.filter(pl.col("time") >= since).sort("time", descending=True)
    near = week.filter(pl.col("change_id").is_not_null())
    lead = f"No level shifted for good since {day(since)}."
    if week.height:
        linked = f"next to {near.height} of them lies a deploy, release or change" if near.height else "none lies next to a known change"
        lead = f"{count(week.height, 'lasting shift')} since {day(since)}; {linked}."
    earlier = points.height - week.height
    tables = [table("change_points", "Shifts of the week", week, SHIFT, shown=20, query=names[0])] if week.height else []
    if earlier:
        before = points.filter(pl.col("time") < since)
        tables.append(table("earlier_change_points", "Shifts before that", before, SHIFT, shown=10, query=names[1]))
    section = Section(
        key=key,
        title=title,
        lead=lead,
        tone="warn" if week.height else "good",
        findings=[shift(row) for row in week.head(_TOLD).iter_rows(named=True)],
        charts=_shifted(week if week.height else points, series),
        tables=tables,
        queries=queries(*names),
    )
    headline = Headline("Shifts this week", number(week.height), f"{near.height} next to a known change", "warn" if week.height else "good")
    return Answer(section, [headline], as_of=as_of)


def _since(as_of: date | None, found: pl.DataFrame) -> datetime:
    """The beginning of the week: seven days before the end of the day looked back from, or of the newest time found."""
    last = as_of or newest(found, "time") or date.min + WEEK
    return datetime.combine(last, datetime.min.time()) + timedelta(days=1) - WEEK


def _shifted(points: pl.DataFrame, series: pl.DataFrame) -> list[Chart]:
    """The series whose level shifted, with the day and the size of each shift."""
    charts: list[Chart] = []
    for row in points.unique("series_id", keep="first", maintain_order=True).iter_rows(named=True):
        days = _days(series, row["series_id"])
        if len(charts) == _DRAWN or days is None:
            continue
        marks = points.filter(pl.col("series_id") == row["series_id"]).head(3)
        marks = pl.DataFrame({"time": marks["time"], "label": [percent(change, signed=True) for change in marks["relative_change"]]})
        divisor, unit = scale(float(days["value"].abs().max() or 0), row["unit"])  # type: ignore[arg-type]
        caption = "Per day; dashed: when the level shifted, and by how much."
        drawing = line_with_changes(days.with_columns(pl.col("value") / divisor), marks, unit=unit)
        charts.append(Chart(f"{label(row['service'] or row['series_id'], longest=34)}: {measure_of(row)}", caption, drawing))
    return charts


def _days(series: pl.DataFrame, series_id: str) -> pl.DataFrame | None:
    """day, value of a series; None where its days are too few to draw."""
    days = series.filter(pl.col("series_id") == series_id).select("day", "value") if series.columns else series
    return days if days.height >= 7 else None


def _lasting(connection: duckdb.DuckDBPyConnection, as_of: date | None, series: pl.DataFrame) -> Answer:
    """Trends that chance does not explain, the steepest drawn."""
    key, title, names = "lasting", "Which trends matter?", ("trends", "trends_judged", "daily_series")
    trends, judged = read(connection, names[0]), read(connection, names[1])
    tried = judged.row(0)[1] if judged.height else 0
    if not tried:
        return nothing(key, title, "There is not enough history to see a trend.", *names)
    charts: list[Chart] = []
    for row in trends.iter_rows(named=True):
        days = _days(series, row["series_id"])
        if len(charts) == _DRAWN or days is None:
            continue
        divisor, unit = scale(float(days["value"].abs().max() or 0), row["unit"])  # type: ignore[arg-type]
        drawing = line_with_slope(
            days.with_columns(pl.col("value") / divisor), mean=row["mean"] / divisor, slope=row["slope_per_day"] / divisor, unit=unit
        )
        name = label(row["service"] if row["subject"] == "service" else row["series_id"], longest=34)
        charts.append(Chart(f"{name}: {measure_of(row)}", "Per day; dashed: the trend.", drawing))
    lead = f"{trends.height} of {count(tried, 'series', 'series')} rise or fall steadily; chance explains fewer than one in twenty."
    section = Section(
        key=key,
        title=title,
        lead=lead,
        findings=[trend(row) for row in trends.head(_TOLD).iter_rows(named=True)],
        charts=charts,
        tables=[table("trends", "Trends, the steepest first", trends, TREND, shown=20, query="trends")] if trends.height else [],
        queries=queries(*names),
    )
    return Answer(section, [Headline("Lasting trends", number(trends.height), f"in {count(tried, 'series', 'series')}")], as_of=as_of)


def _odd(connection: duckdb.DuckDBPyConnection, as_of: date | None) -> Answer:
    """Episodes in which services were odd together, those of the week in words."""
    key, title, names = "odd", "Which hours were odd?", ("anomalies", "anomalies_all")
    odd = read(connection, names[0])
    if not odd.columns or (odd.is_empty() and as_of is None):
        return nothing(key, title, "Odd hours have not been looked for yet.", *names)
    since = _since(as_of, odd.rename({"end_time": "time"}))
    week = odd.filter(pl.col("end_time") >= since)
    section = Section(
        key=key,
        title=title,
        lead=f"{count(week.height, 'episode')} of odd hours since {day(since)}, {number(odd.height)} in all that is looked at.",
        tone="warn" if week.height else "good",
        findings=[odd_episode(row) for row in week.head(_TOLD).iter_rows(named=True)],
        tables=[table("anomalies", _EPISODES, odd, ODD, shown=20, query=names[0])] if odd.height else [],
        queries=queries(*names),
    )
    return Answer(section, [Headline("Odd episodes this week", number(week.height), f"{number(odd.height)} in all")], as_of=as_of)
