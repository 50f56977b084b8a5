"""From frames to marts through the models: which history goes in, what comes out. Statistics live in `models`, Dagster elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from orchestration.capacity import plan_capacity
from orchestration.capacity_totals import total_capacity
from orchestration.demand import YEARS_BACK_DAYS, find_demand_drivers, find_seasonal_peaks
from orchestration.what_if import READS, plan_scenarios, scenarios_of

if TYPE_CHECKING:
    from orchestration.history import History

Marts = dict[str, pl.DataFrame]
PLACED = timedelta(hours=6)
"""Small shifts are placed to some hours: a change may come so much later than its shift."""
LABELS = ["series_id", "subject", "service", "measure", "unit"]


@dataclass(frozen=True, slots=True)
class Analysis:
    """Tables that one analysis fills for the day it looks back from and what it reads: frames, other
    tables, sections of the configuration, and what of a scenario concerns it (empty: nothing).

    least_days: it reads at least so many days, where the history is shorter. own_day: it reads nothing but the day itself, and
    waits while that is blocked or unchecked in a table that it reads."""

    name: str
    tables: tuple[str, ...]
    frames: tuple[str, ...]
    run: Callable[[History], Marts]
    reads: tuple[str, ...] = ()
    settings: tuple[str, ...] = ("models",)
    scenario: Callable[[History], object] = lambda _history: {}
    least_days: int = 0
    own_day: bool = False

    def days(self, history_days: int) -> int:
        """Days that it reads, the one it looks back from with them."""
        return 1 if self.own_day else max(history_days, self.least_days)


def find_trends(history: History) -> Marts:
    """Trends of services, resources and metrics, judged together so that false discoveries are controlled across them."""
    from models.trend import trends

    daily = pl.concat([history.frame("trend_history"), _daily(history.frame("metric_hourly"))], how="vertical_relaxed")
    found = trends(daily.select("series_id", "time", "value"), freq="1d")
    about = daily.group_by(LABELS, maintain_order=True).agg(
        pl.col("value").mean().alias("mean"), pl.col("time").dt.date().n_unique().alias("history_days")
    )
    return {"mart.trends": found.join(about, on="series_id", how="inner").pipe(history.dated)}


def find_change_points(history: History) -> Marts:
    """Level shifts by the hour, each with the nearest change, up to a day before, of its service or what that depends on."""
    from models.trend import change_points, nearest_changes

    hourly = _hourly(history)
    found = change_points(hourly.select("series_id", "time", "value"), freq="1h").filter(pl.col("time").is_not_null())
    about = hourly.select("series_id", "service", "measure").unique(keep="first", maintain_order=True)
    located = found.join(about, on="series_id", how="left")
    linked = nearest_changes(located, history.frame("changes"), history.frame("service_dependencies"), late=PLACED)
    return {"mart.change_points": linked.pipe(history.dated)}


def find_anomalies(history: History) -> Marts:
    """Hours of the window that left their expected course, and the episodes that services agree on."""
    from models.anomaly import score
    from orchestration.episodes import explained, find_episodes

    hourly, dependencies = _hourly(history), history.frame("service_dependencies")
    feedback = history.frame("anomaly_feedback")
    scored = score(hourly.select("series_id", "time", "value"), freq="1h", feedback=feedback)
    about = hourly.select("series_id", "service", "measure").unique(keep="first", maintain_order=True)
    harmless = feedback.filter("is_false_alarm")
    located = scored.join(harmless, on=["series_id", "time"], how="anti").join(about, on="series_id", how="left")
    found, alarms = find_episodes(located, dependencies)
    odd = located.filter("is_anomaly").join(alarms, on=["series_id", "time"], how="left")
    columns = ["series_id", "service", "measure", "time", "value", "expected", "score", "episode_id", "status"]
    told = explained(found, history.frame("incidents"), history.frame("changes"), dependencies)
    return {"mart.anomalies": odd.select(columns).pipe(history.dated), "mart.anomaly_episodes": told.pipe(history.dated)}


def find_opportunities(history: History) -> Marts:
    """What could be saved, from four ways of looking."""
    from orchestration.opportunities import opportunities

    return {"mart.cost_opportunities": opportunities(history).pipe(history.dated)}


def estimate_roi(history: History) -> Marts:
    """Return on investment from what was measured, what was configured, and stated assumptions for the rest."""
    from models.roi import items, scenario, simulate
    from orchestration.roi_inputs import roi_inputs

    inputs = roi_inputs(history)
    if history.scenario.roi:
        inputs = scenario(inputs, history.scenario.roi)
    found = items(simulate(inputs), inputs, currency=history.settings.roi.currency)
    return {"mart.roi": found.filter(~pl.col("item").str.starts_with("benefit:") | pl.col("p50").is_not_null()).pipe(history.dated)}


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
    Analysis(
        "anomalies",
        ("mart.anomalies", "mart.anomaly_episodes"),
        ("service_hourly", "resource_usage", "metric_hourly", "service_dependencies", "incidents", "changes", "anomaly_feedback"),
        find_anomalies,
    ),
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
        least_days=YEARS_BACK_DAYS,
    ),
    Analysis(
        "capacity_scenarios",
        ("mart.capacity_scenarios",),
        (),
        plan_scenarios,
        reads=READS,
        settings=("models", "scenarios"),
        scenario=scenarios_of,
        own_day=True,
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
