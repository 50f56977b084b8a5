"""From frames to marts through the models: which history goes in, what comes out. Statistics live in `models`, Dagster elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from orchestration.capacity import plan_capacity
from orchestration.capacity_totals import total_capacity
from orchestration.demand import find_demand_drivers, find_seasonal_peaks
from orchestration.what_if import READS, plan_scenarios, scenarios_of

if TYPE_CHECKING:
    from orchestration.history import History

Marts = dict[str, pl.DataFrame]
LABELS = ["series_id", "subject", "service", "measure", "unit"]


@dataclass(frozen=True, slots=True)
class Analysis:
    """Tables that one analysis fills for the day it looks back from and what it reads: frames, other
    tables, sections of the configuration, and what of a scenario concerns it (empty: nothing)."""

    name: str
    tables: tuple[str, ...]
    frames: tuple[str, ...]
    run: Callable[[History], Marts]
    reads: tuple[str, ...] = ()
    settings: tuple[str, ...] = ("models",)
    scenario: Callable[[History], object] = lambda _history: {}


def find_trends(history: History) -> Marts:
    """Trends of services, resources and metrics, judged together so that false discoveries are controlled across them."""
    from models.trend import trends

    daily = pl.concat([history.frame("trend_history"), _daily(history.frame("metric_hourly"))], how="vertical_relaxed")
    found = trends(daily.select("series_id", "time", "value"), freq="1d")
    about = daily.group_by(LABELS, maintain_order=True).agg(
        pl.col("value").mean().alias("mean"), pl.col("time").dt.date().n_unique().alias("history_days")
    )
    return {"mart.trends": found.join(about, on="series_id", how="inner").pipe(_as_of, history)}


def find_change_points(history: History) -> Marts:
    """Level shifts by the hour, each with the nearest change, within a day, of its service or what that depends on."""
    from models.trend import change_points, nearest_changes

    hourly = _hourly(history)
    found = change_points(hourly.select("series_id", "time", "value"), freq="1h").filter(pl.col("time").is_not_null())
    about = hourly.select("series_id", "service", "measure").unique(keep="first", maintain_order=True)
    located = found.join(about, on="series_id", how="left")
    linked = nearest_changes(located, history.frame("changes"), history.frame("service_dependencies"))
    return {"mart.change_points": linked.pipe(_as_of, history)}


def find_anomalies(history: History) -> Marts:
    """Hours of the window that left their expected course."""
    from models.anomaly import score

    hourly = _hourly(history)
    scored = score(hourly.select("series_id", "time", "value"), freq="1h").filter(pl.col("is_anomaly"))
    about = hourly.select("series_id", "service", "measure").unique(keep="first", maintain_order=True)
    columns = ["series_id", "service", "measure", "time", "value", "expected", "score", "status"]
    return {"mart.anomalies": scored.join(about, on="series_id", how="left").select(columns).pipe(_as_of, history)}


def find_opportunities(history: History) -> Marts:
    """What could be saved, from four ways of looking."""
    from orchestration.opportunities import opportunities

    return {"mart.cost_opportunities": opportunities(history).pipe(_as_of, history)}


def estimate_roi(history: History) -> Marts:
    """Return on investment from what was measured, what was configured, and stated assumptions for the rest."""
    from models.roi import items, scenario, simulate
    from orchestration.roi_inputs import roi_inputs

    inputs = roi_inputs(history)
    if history.scenario.roi:
        inputs = scenario(inputs, history.scenario.roi)
    found = items(simulate(inputs), inputs, currency=history.settings.roi.currency)
    return {"mart.roi": found.filter(~pl.col("item").str.starts_with("benefit:") | pl.col("p50").is_not_null()).pipe(_as_of, history)}


def _as_of(frame: pl.DataFrame, history: History) -> pl.DataFrame:
    return history.dated(frame)


def _daily(hourly: pl.DataFrame) -> pl.DataFrame:
    """Daily means of hourly series, with the same columns."""
    day = pl.col("time").dt.truncate("1d").alias("time")
    return hourly.group_by([*LABELS, day], maintain_order=True).agg(pl.col("value").mean()).select([*LABELS, "time", "value"])


def _hourly(history: History) -> pl.DataFrame:
    """Services, resources with limits, and other metrics by the hour."""
    usage = history.frame("resource_usage")
    resources = usage.select(
        pl.col("resource_id").alias("series_id"),
        pl.lit("resource").alias("subject"),
        "service",
        pl.lit("used_mean").alias("measure"),
        "unit",
        "time",
        pl.col("used_mean").alias("value"),
    )
    columns = [*LABELS, "time", "value"]
    frames = [history.frame("service_hourly").select(columns), resources, history.frame("metric_hourly").select(columns)]
    return pl.concat(frames, how="vertical_relaxed")


ANALYSES = (
    Analysis("trends", ("mart.trends",), ("trend_history", "metric_hourly"), find_trends),
    Analysis(
        "change_points",
        ("mart.change_points",),
        ("service_hourly", "resource_usage", "metric_hourly", "changes", "service_dependencies"),
        find_change_points,
    ),
    Analysis("anomalies", ("mart.anomalies",), ("service_hourly", "resource_usage", "metric_hourly"), find_anomalies),
    Analysis(
        "capacity",
        ("mart.forecast_accuracy", "mart.capacity_forecasts", "mart.capacity_decisions", "mart.capacity_plan"),
        ("resource_usage", "resource_limits"),
        plan_capacity,
        settings=("models", "service_map"),
    ),
    Analysis(
        "capacity_totals",
        ("mart.capacity_totals",),
        ("resource_usage", "resource_limits"),
        total_capacity,
        settings=("models", "service_map"),
    ),
    Analysis("demand_drivers", ("mart.demand_drivers",), ("resource_usage", "resource_limits", "service_demand"), find_demand_drivers),
    Analysis(
        "seasonal_peaks",
        ("mart.seasonal_peaks",),
        ("resource_daily", "resource_limits"),
        find_seasonal_peaks,
        settings=("models", "service_map"),
    ),
    Analysis(
        "capacity_scenarios",
        ("mart.capacity_scenarios",),
        (),
        plan_scenarios,
        reads=READS,
        settings=("models", "scenarios"),
        scenario=scenarios_of,
    ),
    Analysis(
        "cost_opportunities",
        ("mart.cost_opportunities",),
        ("resource_usage", "resource_limits", "daily_costs", "commitment_charges"),
        find_opportunities,
    ),
    Analysis(
        "roi",
        ("mart.roi",),
        (),
        estimate_roi,
        reads=("core.incidents", "mart.service_health_daily", "mart.cost_opportunities", "core.costs_daily"),
        settings=("models", "roi"),
        scenario=lambda history: dict(history.scenario.roi),
    ),
)

ANALYSED = frozenset(table for analysis in ANALYSES for table in analysis.tables)
