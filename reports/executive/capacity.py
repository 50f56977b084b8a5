"""When do we run out?"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from reports.answer import Answer, newest, nothing, queries
from reports.capacity.fans import fan_chart
from reports.page import Chart, Finding, Headline, Section, Table
from reports.reading import read
from reports.tables import figure, table, text
from reports.wording import DASH, count, day, label, number, percent, quantity

if TYPE_CHECKING:
    import duckdb

TITLE: Final = "When do we run out?"
_NAMES: Final = ("capacity_plan", "capacity_forecast", "capacity_history")
_DRAWN: Final = 4
_RISK: Final = 0.05


def capacity(connection: duckdb.DuckDBPyConnection) -> Answer:
    """Resources by the risk of exceeding their limit within the lead time, the nearest ones drawn with their forecast."""
    plan, forecast, history = (read(connection, name) for name in _NAMES)
    if plan.is_empty():
        return nothing("capacity", TITLE, "No resource has both a limit and a forecast.", *_NAMES)
    as_of = newest(plan)
    known = plan.filter(pl.col("status") == "ok")
    at_risk = known.filter((pl.col("p_exceed_by_lead_time") > _RISK) | pl.col("exhaustion_p50").is_not_null())
    at_risk = at_risk.sort("exhaustion_p50", "resource_id", nulls_last=True)
    findings = [_finding(row, as_of) for row in at_risk.head(6).iter_rows(named=True)]
    if known.height < plan.height:
        left = count(plan.height - known.height, "resource")
        findings.append(Finding(f"No statement on {left}: the history is too short or the forecast failed.", "capacity_plan"))
    section = Section(
        key="capacity",
        title=TITLE,
        lead=_lead(at_risk, known.height),
        tone="bad" if not at_risk.is_empty() else "good",
        findings=findings,
        charts=_charts(at_risk, known, forecast, history),
        tables=[_table(plan)],
        queries=queries(*_NAMES),
    )
    return Answer(section, [_headline(at_risk, as_of)] if known.height else [], as_of=as_of)


def _lead(at_risk: pl.DataFrame, known: int) -> str:
    """How many, and which first."""
    if at_risk.is_empty():
        return f"None of {count(known, 'resource')} with a limit is expected to reach it within the forecast."
    first = at_risk.row(0, named=True)
    when = f", {label(first['resource_id'], longest=48)} first, around {day(first['exhaustion_p50'])}" if first["exhaustion_p50"] else ""
    return f"{at_risk.height} of {count(known, 'resource')} with a limit may reach it{when}."


def _finding(row: dict[str, Any], as_of: date | None) -> Finding:
    """One resource: when, how sure, what to add."""
    name = label(row["resource_id"], longest=48)
    urgent = row["p_exceed_by_lead_time"] is not None and row["p_exceed_by_lead_time"] > _RISK
    when = ""
    if row["exhaustion_p50"] is not None:
        early, late = day(row["exhaustion_p10"]), day(row["exhaustion_p90"])
        span = f"80% between {early} and {late}" if late != DASH else f"as early as {early}"
        when = f" is full around {day(row['exhaustion_p50'])} ({span}{_days_left(row['exhaustion_p50'], as_of)})"
    risk = ""
    if row["p_exceed_by_lead_time"] is not None:
        risk = f" The risk within the lead time of {number(row['lead_time_days'])} days is {percent(row['p_exceed_by_lead_time'])}."
    add = f" Add {quantity(row['add_capacity'], row['unit'])}." if row["add_capacity"] else ""
    sentence = f"{name}{when or ' may reach its limit'}.{risk}{add}"
    return Finding(sentence, "capacity_plan", "bad" if urgent else "warn")


def _days_left(when: datetime, as_of: date | None) -> str:
    """How many days from the report's day."""
    return "" if as_of is None else f"; in {count((when.date() - as_of).days, 'day')}"


def _headline(at_risk: pl.DataFrame, as_of: date | None) -> Headline:
    """The next resource to run out."""
    dated = at_risk.filter(pl.col("exhaustion_p50").is_not_null())
    if dated.is_empty():
        return Headline("Next to run out", "none", "within the forecast", "good")
    first = dated.row(0, named=True)
    value = day(first["exhaustion_p50"])
    if as_of is not None:
        value = f"in {count((first['exhaustion_p50'].date() - as_of).days, 'day')}"
    return Headline("Next to run out", value, label(first["resource_id"], longest=40), "bad")


def _charts(at_risk: pl.DataFrame, known: pl.DataFrame, forecast: pl.DataFrame, history: pl.DataFrame) -> list[Chart]:
    """Fan charts of the nearest resources; of the fullest one where none is near."""
    fullest = known.sort(pl.col("used_now") / pl.col("limit"), descending=True, nulls_last=True).head(1)
    chosen = at_risk.head(_DRAWN) if not at_risk.is_empty() else fullest
    charts = (fan_chart(row, forecast, history) for row in chosen.iter_rows(named=True))
    return [chart for chart in charts if chart is not None]


def _table(plan: pl.DataFrame) -> Table:
    """Every resource with its limit."""
    specs = [
        text("Resource", "resource_id", longest=48),
        text("Service", "service", longest=24),
        figure("Used now", lambda row: quantity(row["used_now"], row["unit"])),
        figure("Limit", lambda row: quantity(row["limit"], row["unit"])),
        figure("Full around", lambda row: day(row["exhaustion_p50"])),
        figure("10% to 90%", lambda row: _span(row["exhaustion_p10"], row["exhaustion_p90"])),
        figure("Risk in lead time", lambda row: percent(row["p_exceed_by_lead_time"])),
        figure("Add", lambda row: quantity(row["add_capacity"], row["unit"]) if row["add_capacity"] else DASH),
    ]
    return table("capacity_plan", "Every limit", plan, specs, query="capacity_plan")


def _span(early: datetime | None, late: datetime | None) -> str:
    """Both ends of an interval of dates."""
    return DASH if early is None else f"{early:%-d %b} to {f'{late:%-d %b}' if late else 'later'}"
