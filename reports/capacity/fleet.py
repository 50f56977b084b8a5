"""Which limits come first, and what staying under them costs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

import polars as pl

from reports.answer import Answer, newest, nothing, queries
from reports.capacity.data import RISK, Data
from reports.charts import bars
from reports.page import Chart, Finding, Headline, Section
from reports.tables import figure, table, text
from reports.theme import AMBER, LIMIT, OTHER
from reports.wording import DASH, count, day, label, labels, money, percent, quantity

TITLE: Final = "Which limits come first?"
_NAMES: Final = ("capacity_plan", "capacity_forecast", "capacity_history")
_BARS: Final = 12


def fleet(data: Data) -> Answer:
    """Every resource with a limit by risk and money, what to order by when, and what it costs."""
    plan = data.capacity_plan
    if plan.is_empty():
        return nothing("fleet", TITLE, "No resource has both a limit and a forecast.", *_NAMES)
    as_of, at_risk, known = newest(plan), data.at_risk, data.known
    findings = [*_orders(at_risk, as_of), *_unknown(plan, known)]
    section = Section(
        key="fleet",
        title=TITLE,
        lead=_lead(at_risk, known),
        tone="bad" if at_risk.height else "good",
        findings=findings,
        charts=_charts(known),
        tables=[table("capacity_plan", "Every limit, by risk and money", plan, _SPECS, shown=60, query="capacity_plan")],
        queries=queries(*_NAMES),
    )
    return Answer(section, _headlines(at_risk, known, as_of), as_of=as_of)


def price(row: Mapping[str, Any]) -> str:
    """What the addition costs a month."""
    return money(row["add_cost_per_month"], row["billing_currency"]) if row["add_cost_per_month"] else DASH


def costs(rows: pl.DataFrame) -> str:
    """What all additions together cost a month, by currency; empty where nothing is priced."""
    priced = rows.filter(pl.col("add_cost_per_month") > 0)
    sums = priced.group_by("billing_currency").agg(pl.col("add_cost_per_month").sum()).sort("billing_currency", nulls_last=True)
    return " and ".join(money(amount, currency) for currency, amount in sums.iter_rows())


def _lead(at_risk: pl.DataFrame, known: pl.DataFrame) -> str:
    """How many, and what staying under all limits costs."""
    if at_risk.is_empty():
        return f"None of {count(known.height, 'resource')} with a limit is expected to reach it within the forecast."
    first = at_risk.row(0, named=True)
    cost = costs(at_risk)
    more = f" Staying under them costs {cost} more a month." if cost else ""
    some = f"{at_risk.height} of {count(known.height, 'resource')} with a limit may reach it"
    return f"{some}; {label(first['resource_id'], longest=48)} is the most urgent.{more}"


def _orders(at_risk: pl.DataFrame, as_of: date | None) -> list[Finding]:
    """What to order within a month."""
    due = at_risk.filter(pl.col("order_by").is_not_null()).sort("order_by", "resource_id")
    found = []
    for row in due.head(5).iter_rows(named=True):
        left = (row["order_by"].date() - as_of).days if as_of else None
        soon = "now" if left is not None and left <= 1 else f"by {day(row['order_by'])}"
        what = f" {quantity(row['add_capacity'], row['unit'])}" if row["add_capacity"] else ""
        sentence = f"Order{what} for {label(row['resource_id'], longest=48)} {soon}{_priced(row)}."
        found.append(Finding(sentence, "capacity_plan", "bad" if left is not None and left <= 7 else "warn"))
    return found


def _priced(row: Mapping[str, Any]) -> str:
    """The price in a sentence."""
    return f", {price(row)} a month" if row["add_cost_per_month"] else ""


def _unknown(plan: pl.DataFrame, known: pl.DataFrame) -> list[Finding]:
    """What nothing can be said of."""
    if known.height == plan.height:
        return []
    left = count(plan.height - known.height, "resource")
    return [Finding(f"No statement on {left}: the history is too short or the forecast failed.", "capacity_plan")]


def _headlines(at_risk: pl.DataFrame, known: pl.DataFrame, as_of: date | None) -> list[Headline]:
    """How many, when to order next, what it costs."""
    if known.is_empty():
        return []
    lines = [
        Headline("May reach their limit", f"{at_risk.height} of {known.height}", "within the forecast", "bad" if at_risk.height else "good")
    ]
    due = at_risk.filter(pl.col("order_by").is_not_null()).sort("order_by", "resource_id")
    if due.height:
        first = due.row(0, named=True)
        left = (first["order_by"].date() - as_of).days if as_of else None
        value = "now" if left is not None and left <= 1 else day(first["order_by"])
        lines.append(
            Headline("Next order", value, label(first["resource_id"], longest=40), "bad" if left is not None and left <= 7 else "warn")
        )
    if cost := costs(at_risk):
        lines.append(Headline("To add, a month", cost, "so that the risk stays in its bounds"))
    return lines


def _charts(known: pl.DataFrame) -> list[Chart]:
    """How full the fullest are."""
    full = known.filter(pl.col("limit") > 0, pl.col("used_now").is_not_null()).with_columns(
        value=100 * pl.col("used_now") / pl.col("limit")
    )
    if full.height < 2:
        return []
    full = full.sort("value", "resource_id", descending=[True, False]).head(_BARS)
    soon = pl.when(pl.col("p_exceed_by_lead_time") > RISK).then(pl.lit(LIMIT))
    colour = soon.when(pl.col("exhaustion_p50").is_not_null()).then(pl.lit(AMBER)).otherwise(pl.lit(OTHER))
    rows = pl.DataFrame(
        {
            "name": labels(full["resource_id"], longest=34),
            "value": full["value"],
            "text": [percent(value / 100) for value in full["value"]],
            "colour": full.select(colour.alias("colour"))["colour"],
        }
    )
    caption = "Use now as share of the limit. Red: may reach it within the lead time; amber: within the forecast."
    return [Chart("The fullest, %", caption, bars(rows, unit=""), "full")]


def _use(row: Mapping[str, Any]) -> str:
    """Use as share of the limit."""
    return percent(row["used_now"] / row["limit"]) if row["limit"] and row["used_now"] is not None else DASH


def _about(row: Mapping[str, Any]) -> str:
    """The three dates of a limit."""
    dates = (row["exhaustion_p10"], row["exhaustion_p50"], row["exhaustion_p90"])
    if not any(dates):
        return DASH
    return " / ".join(f"{time.day}\u00a0{time:%b}" if time else "later" for time in dates)


_SPECS: Final = [
    text("Resource", "resource_id", longest=48),
    text("Service", "service", longest=24),
    figure("Limit", lambda row: quantity(row["limit"], row["unit"])),
    figure("Used", _use),
    figure("Reached 10% / 50% / 90%", _about),
    figure("Risk in lead time", lambda row: percent(row["p_exceed_by_lead_time"])),
    figure("Order by", lambda row: day(row["order_by"])),
    figure("Add", lambda row: quantity(row["add_capacity"], row["unit"]) if row["add_capacity"] else DASH),
    figure("A month", price),
]
