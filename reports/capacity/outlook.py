"""What lies behind and ahead of the plan: drivers of use, peaks of the calendar, totals, and what if."""

from __future__ import annotations

from typing import Final

import polars as pl

from reports.answer import Answer, nothing, queries
from reports.capacity.data import Data
from reports.page import Finding, Section
from reports.tables import figure, table, text
from reports.wording import DASH, count, day, label, money, number, percent, quantity


def what_if(data: Data) -> Answer:
    """Scenarios beside the baseline."""
    title, name = "What if?", "capacity_scenarios"
    frame = data.capacity_scenarios
    if frame.is_empty():
        return nothing("scenarios", title, "No scenario has been calculated for this day.", name)
    known = frame.filter(pl.col("status") == "ok")
    changed = known.filter(
        (pl.col("p_exceed_by_lead_time").fill_null(0) - pl.col("baseline_p_exceed_by_lead_time").fill_null(0) >= 0.01)
        | (pl.col("exhaustion_p50").is_not_null() & pl.col("baseline_exhaustion_p50").is_null())
    )
    scenarios = known["scenario"].n_unique()
    findings = []
    for (scenario,), rows in known.group_by("scenario", maintain_order=True):
        over = rows.filter(pl.col("exhaustion_p50").is_not_null()).height
        before = rows.filter(pl.col("baseline_exhaustion_p50").is_not_null()).height
        sentence = f"{label(scenario, longest=60)}: {over} of {count(rows.height, 'resource')} reach their limit, {before} in the plan."
        findings.append(Finding(sentence, name, "warn" if over > before else "plain"))
    worse = changed["resource_id"].n_unique()
    section = Section(
        key="scenarios",
        title=title,
        lead=f"{count(worse, 'resource')} would be worse off in {count(scenarios, 'scenario')} than in the plan.",
        tone="warn" if worse else "plain",
        findings=findings[:8],
        tables=[table(name, "Scenarios beside the plan", frame, _SCENARIOS, shown=20, query=name)],
        queries=queries(name),
    )
    return Answer(section)


def demand(data: Data) -> Answer:
    """What drives use, and which peaks come."""
    title, names = "What drives use, and which peaks are ahead?", ("demand_drivers", "seasonal_peaks")
    drivers, peaks = data.demand_drivers, data.seasonal_peaks
    if drivers.is_empty() and peaks.is_empty():
        return nothing("demand", title, "No driver of use and no returning peak is known yet.", *names)
    tables = []
    if not drivers.is_empty():
        tables.append(table(names[0], "Use beside demand", drivers, _DRIVERS, query=names[0]))
    if not peaks.is_empty():
        tables.append(table(names[1], "Peaks that return", peaks, _PEAKS, query=names[1]))
    parts = []
    if not drivers.is_empty():
        parts.append(f"the use of {count(drivers['resource_id'].n_unique(), 'resource')} answers to demand")
    if not peaks.is_empty():
        first = peaks.row(0, named=True)
        parts.append(f"the next peak that returns is {label(first['occasion'], longest=40)}, {day(first['next_time'])}")
    lead = "; ".join(parts)
    return Answer(Section("demand", title, f"{lead[0].upper()}{lead[1:]}.", tables=tables, queries=queries(*names)))


def totals(data: Data) -> Answer:
    """Sums over services and teams."""
    title, name = "How much in all?", "capacity_totals"
    frame = data.capacity_totals
    if frame.is_empty():
        return nothing("totals", title, "Sums over services and teams have not been calculated yet.", name)
    whole = frame.filter(pl.col("level") == "all")
    findings = [
        Finding(
            f"{label(row['resource_kind'], longest=28)}: mean use goes from {quantity(row['now_mean'], row['unit'])} to "
            f"{quantity(row['then_mean'], row['unit'])} by {day(row['last_day'])} ({percent(row['growth'], signed=True)}), "
            f"80% between {quantity(row['then_lo_80'], row['unit'])} and {quantity(row['then_hi_80'], row['unit'])}.",
            name,
        )
        for row in whole.head(6).iter_rows(named=True)
    ]
    last = frame["last_day"].max()
    lead = f"Mean daily use until {day(last)}, of services, teams and all; the sums fit their parts."  # type: ignore[arg-type]
    return Answer(
        Section(
            "totals",
            title,
            lead,
            findings=findings,
            tables=[table(name, "Sums", frame, _TOTALS, shown=20, query=name)],
            queries=queries(name),
        )
    )


_SCENARIOS: Final = [
    text("Scenario", "scenario", longest=48),
    text("Resource", "resource_id", longest=40),
    figure("Risk, plan", lambda row: percent(row["baseline_p_exceed_by_lead_time"])),
    figure("Risk then", lambda row: percent(row["p_exceed_by_lead_time"])),
    figure("Reached, plan", lambda row: day(row["baseline_exhaustion_p50"])),
    figure("Reached then", lambda row: day(row["exhaustion_p50"])),
    figure("Add", lambda row: quantity(row["add_capacity"], row["unit"]) if row["add_capacity"] else DASH),
    figure("A month", lambda row: money(row["add_cost_per_month"], row["billing_currency"]) if row["add_cost_per_month"] else DASH),
]
_DRIVERS: Final = [
    text("Resource", "resource_id", longest=48),
    text("Driver", "driver", longest=28),
    figure("Use for 1% more", lambda row: f"{number(row['elasticity'], 2)}%"),
    figure("95% between", lambda row: f"{number(row['elasticity_lo'], 2)} and {number(row['elasticity_hi'], 2)}"),
    figure("Explains", lambda row: percent(row["r_squared"])),
]
_PEAKS: Final = [
    text("Resource", "resource_id", longest=48),
    text("Occasion", "occasion", longest=28),
    figure("Next", lambda row: day(row["next_time"])),
    figure("Expected", lambda row: quantity(row["expected"], row["unit"])),
    figure("Last time", lambda row: quantity(row["value"], row["unit"])),
    figure("Times the usual", lambda row: number(row["lift"], 2)),
]
_TOTALS: Final = [
    text("Level", "level"),
    text("Name", "name", longest=28),
    text("Kind", "resource_kind", longest=20),
    figure("First day", lambda row: quantity(row["now_mean"], row["unit"])),
    figure("Last day", lambda row: quantity(row["then_mean"], row["unit"])),
    figure("Growth", lambda row: percent(row["growth"], signed=True)),
    figure("Limits", lambda row: quantity(row["limit"], row["unit"])),
]
