"""Inputs of the return-on-investment model: measured where the lake can say, else configured, else stated assumptions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from warehouse.settings import Range

if TYPE_CHECKING:
    from orchestration.history import History

SCHEMA = {
    "name": pl.String,
    "low": pl.Float64,
    "mode": pl.Float64,
    "high": pl.Float64,
    "distribution": pl.String,
    "provenance": pl.String,
    "source": pl.String,
}
DAYS_PER_YEAR = 365.25
MIN_INCIDENTS = 3
Row = tuple[str, float, float, float, str, str, str]


def roi_inputs(history: History) -> pl.DataFrame:
    """name, low, mode, high, distribution, provenance, source for every input. What the configuration says wins over what was measured."""
    from models.roi import with_assumptions

    rows = {row[0]: row for row in (*_measured(history), *_configured(history))}
    return with_assumptions(pl.DataFrame(list(rows.values()), schema=SCHEMA, orient="row"))


def _configured(history: History) -> list[Row]:
    found: list[Row] = []
    for name, value in history.settings.roi.inputs.items():
        where = f"[roi.inputs] {name}"
        if isinstance(value, Range):
            found.append((name, value.low, value.mode, value.high, "pert", "configured", where))
        else:
            found.append((name, value, value, value, "fixed", "configured", where))
    return found


def _measured(history: History) -> list[Row]:
    return [*_incidents(history), *_savings(history)]


def _incidents(history: History) -> list[Row]:
    """Incidents per year (Poisson interval, two standard deviations) and their MTTR, over the days of the history."""
    facts = history.select(
        """SELECT count(*) AS incidents, avg(resolve_s) / 3600 AS mttr, stddev_samp(resolve_s) / 3600 / sqrt(count(resolve_s)) AS error,
                  (max(day) - min(day)) + 1 AS days FROM core.incidents WHERE day >= $start AND day < $end""",
        {"start": history.window.start, "end": history.window.end},
        reads=["core.incidents"],
    ).row(0, named=True)
    observed = history.select(
        "SELECT count(DISTINCT day) AS days FROM mart.service_health_daily WHERE day >= $start AND day < $end",
        {"start": history.window.start, "end": history.window.end},
        reads=["mart.service_health_daily"],
    ).item()
    days = max(int(observed or 0), int(facts["days"] or 0))
    if facts["incidents"] < MIN_INCIDENTS or not days:
        return []
    yearly = facts["incidents"] * DAYS_PER_YEAR / days
    spread = 2 * facts["incidents"] ** 0.5 * DAYS_PER_YEAR / days
    rows: list[Row] = [
        (
            "incidents_per_year",
            max(yearly - spread, 0.0),
            yearly,
            yearly + spread,
            "pert",
            "measured",
            f"core.incidents: {facts['incidents']} in {days} days",
        )
    ]
    if facts["mttr"]:
        error = 2 * (facts["error"] or 0.0)
        low = max(facts["mttr"] - error, 0.0)
        rows.append(
            ("mttr_hours", low, facts["mttr"], facts["mttr"] + error, "pert", "measured", "core.incidents: mean of resolved - opened")
        )
    return rows


def _savings(history: History) -> list[Row]:
    """Waste found per year: the standing opportunities with their confidence as the low end."""
    facts = history.select(
        """SELECT sum(saving_per_month * confidence) AS low, sum(saving_per_month) AS high, count(*) AS n FROM mart.cost_opportunities
           WHERE day = $as_of AND kind <> 'cost_anomaly' AND saving_per_month > 0 AND billing_currency = $currency""",
        {"as_of": history.as_of, "currency": history.settings.roi.currency},
        reads=["mart.cost_opportunities"],
    ).row(0, named=True)
    if not facts["n"]:
        return []
    year = DAYS_PER_YEAR / 30
    low, high = facts["low"] * year, facts["high"] * year
    return [
        ("savings_found_per_year", low, (low + high) / 2, high, "pert", "measured", f"mart.cost_opportunities: {facts['n']} opportunities")
    ]
