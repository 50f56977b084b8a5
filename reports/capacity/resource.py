"""One resource at risk: when it runs out, what to order, why to believe it, what drives it, which peaks are ahead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import polars as pl

from reports.answer import Answer
from reports.capacity.data import RISK, Data, decided
from reports.capacity.fans import fan_chart
from reports.capacity.fleet import price
from reports.page import Finding, Section, Tone
from reports.wording import count, day, label, number, percent, quantity

_PEAKS: Final = 3
Row = Mapping[str, Any]


def resource(data: Data, row: Row, turn: int) -> Answer:
    """The section of one resource; its queries stand in the sections of the whole fleet."""
    name = row["resource_id"]
    chart = fan_chart(row, data.capacity_forecast, data.capacity_history, size="full")
    section = Section(
        key=f"resource-{turn}",
        title=label(name, longest=56),
        lead=_lead(row),
        tone="bad" if (row["p_exceed_by_lead_time"] or 0) > RISK else "warn",
        findings=[
            *_order(row),
            *_model(row, data.of(data.forecast_accuracy, name)),
            *_track_record(data.of(data.capacity_decisions, name)),
            *_drivers(data.of(data.demand_drivers, name)),
            *_peaks(row, data.of(data.seasonal_peaks, name)),
            *_scenarios(data.of(data.capacity_scenarios, name)),
        ],
        charts=[chart] if chart else [],
    )
    return Answer(section)


def reach(p10: datetime | None, p50: datetime | None, p90: datetime | None) -> str:
    """When a limit is reached, in words."""
    if p50 is not None:
        late = f"80% between {day(p10)} and {day(p90)}" if p90 else f"as early as {day(p10)}" if p10 else ""
        return f"reached around {day(p50)}" + (f" ({late})" if late else "")
    return f"may be reached from {day(p10)} on" if p10 else "not expected to be reached within the forecast"


def _lead(row: Row) -> str:
    """How full it is and until when it lasts."""
    about = " of ".join(label(row[name], longest=28) for name in ("resource_kind", "service") if row[name])
    used = f"{quantity(row['used_now'], row['unit'])} of {quantity(row['limit'], row['unit'])}"
    share = f" ({percent(row['used_now'] / row['limit'])})" if row["limit"] and row["used_now"] is not None else ""
    when = reach(row["exhaustion_p10"], row["exhaustion_p50"], row["exhaustion_p90"])
    return f"{about[:1].upper()}{about[1:]}{': ' if about else ''}{used}{share} in use; the limit is {when}."


def _order(row: Row) -> Iterator[Finding]:
    """What to order, by when, for how much."""
    lead_time = count(round(row["lead_time_days"]), "day") if row["lead_time_days"] is not None else "unknown length"
    if row["add_capacity"]:
        by = f" by {day(row['order_by'])}" if row["order_by"] else ""
        cost = f", {price(row)} a month" if row["add_cost_per_month"] else "; no price is known"
        yield Finding(
            f"Order {quantity(row['add_capacity'], row['unit'])} more{by}{cost}. Adding takes {lead_time}.", "capacity_plan", "bad"
        )
    elif row["order_by"]:
        yield Finding(f"Order more by {day(row['order_by'])}: adding takes {lead_time}.", "capacity_plan", "warn")
    else:
        yield Finding(f"Nothing needs to be ordered yet: adding takes {lead_time}.", "capacity_plan")
    if row["p_exceed_by_lead_time"] is not None:
        left = row["headroom_at_lead_time"]
        room = ""
        if left is not None:
            word = "are left" if left >= 0 else "are missing"
            room = f"; at the highest expected use of its last day {quantity(abs(left), row['unit'])} {word}"
        tone: Tone = "bad" if row["p_exceed_by_lead_time"] > RISK else "plain"
        yield Finding(f"The risk within the lead time is {percent(row['p_exceed_by_lead_time'])}{room}.", "capacity_plan", tone)


def _model(row: Row, accuracy: pl.DataFrame) -> Iterator[Finding]:
    """Why this model, and how far it was off as many days ahead as the lead time."""
    names = [label(name, longest=30).replace("_", " ") for name in str(row["model"] or "").split("+") if name]
    if names == ["seasonal naive"]:
        yield Finding("The forecast repeats last week: no model erred less on the newest days of this resource.", "capacity_plan")
    elif names:
        whose = f"a weighted median of {', '.join(names[:-1])} and {names[-1]}, the heaviest first" if names[1:] else names[0]
        chosen = "chosen and weighted by how little they erred" if names[1:] else "which erred least"
        yield Finding(f"The forecast is {whose}, {chosen} on the newest days of this resource.", "capacity_plan")
    known = accuracy.filter(pl.col("mase").is_not_null(), pl.col("mase_seasonal_naive") > 0) if accuracy.columns else accuracy
    near = known.sort((pl.col("horizon_days") - (row["lead_time_days"] or 0)).abs(), "horizon_days").head(1) if known.height else known
    for line in near.iter_rows(named=True):
        inside = f"; {percent(line['coverage_95'])} of the days lay within the 95% band" if line["coverage_95"] is not None else ""
        share = percent(line["mase"] / line["mase_seasonal_naive"])
        ahead = count(int(line["horizon_days"]), "day")
        yield Finding(
            f"Up to {ahead} ahead, past forecasts erred {share} as much as repeating last week would{inside}.", "forecast_accuracy"
        )


def _track_record(decisions: pl.DataFrame) -> Iterator[Finding]:
    """Whether such plans warned in time, and in vain."""
    made = decided(decisions)
    if made.is_empty():
        yield Finding("The plan has no track record on this resource yet.", "capacity_plan")
        return
    hit, warned = made.filter(pl.col("reached")), made.filter(pl.col("warned"))
    past = "was never followed by the limit being reached"
    if hit.height:
        past = f"warned of {hit['warned'].sum()} of the {count(hit.height, 'time')} the limit was reached"
    vain = warned.height - int(warned["reached"].sum())
    vainly = f"{count(vain, 'warning')} of {warned.height} in vain" if warned.height else "it gave no warning"
    days = count(made.height, "past day")
    yield Finding(f"The same plan, made again on {days} from the data up to then, {past}; {vainly}.", "capacity_decisions")


def _drivers(drivers: pl.DataFrame) -> Iterator[Finding]:
    """What drives it."""
    for row in drivers.head(2).iter_rows(named=True):
        sure = f" ({number(row['elasticity_lo'], 2)} to {number(row['elasticity_hi'], 2)})" if row["elasticity_lo"] is not None else ""
        shown = f", which explains {percent(row['r_squared'])} of its variation" if row["r_squared"] is not None else ""
        sentence = f"With 1% more {label(row['driver'], longest=40)}, use grows by {number(row['elasticity'], 2)}%{sure}{shown}."
        yield Finding(sentence, "demand_drivers")


def _peaks(row: Row, peaks: pl.DataFrame) -> Iterator[Finding]:
    """Which peaks are ahead."""
    for peak in peaks.head(_PEAKS).iter_rows(named=True):
        over = peak["expected"] is not None and row["limit"] is not None and peak["expected"] >= row["limit"]
        lift = f", {number(peak['lift'], 2)} times the weeks around it" if peak["lift"] is not None else ""
        beyond = ": over the limit" if over else ""
        expected = f"{quantity(peak['expected'], peak['unit'])} expected{lift}{beyond}"
        sentence = f"{label(peak['occasion'], longest=40)}, {day(peak['next_time'])}: {expected}."
        yield Finding(sentence, "seasonal_peaks", "bad" if over else "plain")


def _scenarios(scenarios: pl.DataFrame) -> Iterator[Finding]:
    """What if."""
    for row in scenarios.filter(pl.col("status") == "ok").head(3).iter_rows(named=True) if scenarios.columns else ():
        when = reach(row["exhaustion_p10"], row["exhaustion_p50"], row["exhaustion_p90"])
        risk = (
            f", with a risk of {percent(row['p_exceed_by_lead_time'])} within the lead time"
            if row["p_exceed_by_lead_time"] is not None
            else ""
        )
        yield Finding(f"Under {label(row['scenario'], longest=60)}: {when}{risk}.", "capacity_scenarios")
