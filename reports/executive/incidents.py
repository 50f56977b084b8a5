"""What broke, and how fast was it mended?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import polars as pl

from reports.answer import Answer, nothing, queries
from reports.charts import columns_by_month
from reports.page import Chart, Finding, Headline, Section, Table
from reports.reading import read
from reports.tables import Spec, figure, table, text
from reports.theme import AMBER, BLUE, OTHER
from reports.wording import count, duration, label, number, percent

if TYPE_CHECKING:
    import duckdb

TITLE: Final = "What broke?"
_NAMES: Final = ("incidents_monthly", "incidents_by_service")


def incidents(connection: duckdb.DuckDBPyConnection) -> Answer:
    """Incidents per month with the mean times to detect, acknowledge and resolve."""
    monthly, by_service = (read(connection, name) for name in _NAMES)
    if monthly.is_empty() or not monthly["incidents"].sum():
        return nothing("incidents", TITLE, "No incident is known.", *_NAMES)
    total = int(monthly["incidents"].sum())
    section = Section(
        key="incidents",
        title=TITLE,
        lead=_lead(monthly, total),
        findings=_findings(monthly, by_service, total),
        charts=_charts(monthly),
        tables=[_months(monthly), _services(by_service)],
        queries=queries(*_NAMES),
    )
    mttr = _mean(monthly, "mttr_s", "incidents", "still_open")
    note = f"over {count(total, 'incident')} in {count(monthly.height, 'month')}"
    return Answer(section, [Headline("Mean time to resolve", duration(mttr), note)])


def _mean(frame: pl.DataFrame, value: str, weight: str, less: str | None = None) -> float | None:
    """Mean of monthly means, weighted by the incidents that each is the mean of."""
    known = frame.filter(pl.col(value).is_not_null())
    weights = known[weight] - known[less] if less else known[weight]
    all_of_them = float(weights.sum())
    return float((known[value] * weights).sum()) / all_of_them if all_of_them else None


def _lead(monthly: pl.DataFrame, total: int) -> str:
    """Count and mean times in a sentence."""
    parts = {
        "detected": _mean(monthly, "mttd_s", "incidents", "unknown_start"),
        "acknowledged": _mean(monthly, "mtta_s", "incidents"),
        "resolved": _mean(monthly, "mttr_s", "incidents", "still_open"),
    }
    means = ", ".join(f"{word} after {duration(value)}" for word, value in parts.items() if value is not None)
    return f"{count(total, 'incident')} in {count(monthly.height, 'month')}" + (f", on average {means}." if means else ".")


def _findings(monthly: pl.DataFrame, by_service: pl.DataFrame, total: int) -> list[Finding]:
    """What is open, which service broke most, what the figures leave out."""
    found = []
    if still_open := int(monthly["still_open"].sum()):
        found.append(Finding(f"{count(still_open, 'incident is', 'incidents are')} still open.", "incidents_monthly", "bad"))
    worst: dict[str, Any] = by_service.row(0, named=True)
    if worst["hours"]:
        share = percent(worst["incidents"] / total)
        many = count(worst["incidents"], "incident")
        sentence = f"{label(worst['service'])} lost most: {number(worst['hours'])} hours in {many} ({share} of all)."
        found.append(Finding(sentence, "incidents_by_service", "warn"))
    if unknown := int(monthly["unknown_start"].sum()):
        word = count(unknown, "incident has", "incidents have")
        found.append(
            Finding(f"{word} no known start and {'is' if unknown == 1 else 'are'} left out of the time to detect.", "incidents_monthly")
        )
    return found


def _charts(monthly: pl.DataFrame) -> list[Chart]:
    """Incidents, time to acknowledge and time to resolve by month."""
    shown = monthly.tail(6).with_columns(month=pl.col("month").dt.strftime("%b"))
    charts = []
    for title, name, divisor, colour in (
        ("Incidents", "incidents", 1, BLUE),
        ("Minutes to acknowledge", "mtta_s", 60, OTHER),
        ("Minutes to resolve", "mttr_s", 60, AMBER),
    ):
        drawn = shown.select("month", value=pl.col(name).cast(pl.Float64) / divisor).drop_nulls()
        if drawn.height < 2:
            continue
        drawn = drawn.with_columns(text=pl.col("value").map_elements(lambda v: number(v, 2), pl.String))
        charts.append(Chart(title, "", columns_by_month(drawn, unit="", colour=colour), "third"))
    return charts


def _months(monthly: pl.DataFrame) -> Table:
    """The times by month."""
    specs: list[Spec] = [
        ("Month", "left", lambda row: f"{row['month']:%B %Y}"),
        figure("Incidents", lambda row: number(row["incidents"])),
        figure("Open", lambda row: number(row["still_open"])),
        figure("To detect", lambda row: duration(row["mttd_s"])),
        figure("To acknowledge", lambda row: duration(row["mtta_s"])),
        figure("To resolve", lambda row: duration(row["mttr_s"])),
    ]
    return table("incidents_by_month", "By month", monthly, specs, query="incidents_monthly")


def _services(by_service: pl.DataFrame) -> Table:
    """The times by service."""
    specs = [
        text("Service", "service", longest=40),
        text("Team", "team", longest=24),
        figure("Incidents", lambda row: number(row["incidents"])),
        figure("To resolve", lambda row: duration(row["mttr_s"])),
        figure("Hours in all", lambda row: number(row["hours"])),
    ]
    return table("incidents_by_service", "By service", by_service, specs, query="incidents_by_service")
