"""Plans the capacity of resources with a limit: forecasts of daily peaks, when they reach the limit, and how good such plans were."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from orchestration.accuracy import judge_forecasts
from orchestration.calendars import holidays_of

if TYPE_CHECKING:
    from orchestration.history import History

LEAD_TIME = timedelta(days=14)
"""Of resources whose rule gives none; they all do."""
ORIGINS, STRIDE = 4, timedelta(days=7)
"""Past days at which the plan is made again: each costs a call of `forecast`."""
CHANGED = 0.01
"""Share by which a limit must change to be another one."""
WEEK = np.timedelta64(7, "D")
LEAST_DAYS = 4


def plan_capacity(history: History) -> dict[str, pl.DataFrame]:
    """Forecast each limited resource's daily peak, plan when it runs out, and plan again as of past days to see how good that is."""
    from models.capacity import backtest, exceedance, plan, track_record
    from models.forecast import forecast

    limits = limited(history)
    usage = history.frame("resource_usage").join(limits.select("resource_id"), on="resource_id", how="semi")
    peaks = daily(usage, pl.col("used_mean").max())
    horizon = horizon_of(history, limits)
    held = limits_over_time(usage, limits)
    span = (history.window.end - history.window.start).days + horizon
    series = limits.rename({"resource_id": "series_id"})
    known = {
        "lower": 0.0,
        "holidays": holidays_of(series, history.settings, history.window.start, span),
        "breaks": breaks_at_limits(peaks, held),
    }
    risk = history.settings.models.risk
    judged, spoken_against = judge_forecasts(history, peaks)
    forecasts = forecast(peaks, horizon=horizon, freq="1d", retired=spoken_against, **known)  # type: ignore[arg-type]
    bounds = limits.select("resource_id", pl.col("capacity").alias("limit"), "unit", lead_times())
    planned = plan(forecasts, bounds, lead_time=LEAD_TIME, risk=risk)
    chances = exceedance(forecasts, bounds).drop("status")
    decisions = backtest(peaks, held, lead_time=LEAD_TIME, origins=ORIGINS, stride=STRIDE, risk=risk, **known)  # type: ignore[arg-type]
    record = track_record(decisions).select("resource_id", "decisions", "warned_in_time", "false_warnings")
    about = limits.select("resource_id", "service", "team", "resource_kind", "used_now", "lead_time_days", "unit_price", "billing_currency")
    chosen = forecasts.group_by("series_id").agg(pl.col("model").first()).rename({"series_id": "resource_id"})
    plans = (
        planned.join(about, on="resource_id", how="left")
        .join(chosen, on="resource_id", how="left")
        .join(record, on="resource_id", how="left")
        .with_columns((pl.col("add_capacity") * pl.col("unit_price")).alias("add_cost_per_month"))
    )
    ahead = forecasts.rename({"series_id": "resource_id"}).filter(pl.col("time").is_not_null())
    kinds = limits.select("resource_id", "service", "resource_kind", "lead_time_days")
    return {
        "mart.forecast_accuracy": history.dated(judged),
        "mart.capacity_forecasts": history.dated(ahead.join(chances, on=["resource_id", "time"], how="left")),
        "mart.capacity_plan": history.dated(plans),
        "mart.capacity_decisions": history.dated(
            decisions.filter(pl.col("cutoff").is_not_null()).join(kinds, on="resource_id", how="left")
        ),
    }


def limited(history: History) -> pl.DataFrame:
    """The frame resource_limits without resources whose limit is not known."""
    return history.frame("resource_limits").filter(pl.col("capacity").is_not_null())


def daily(usage: pl.DataFrame, value: pl.Expr) -> pl.DataFrame:
    """series_id, time, value: one value a day of each resource's hourly use."""
    day = pl.col("time").dt.truncate("1d").alias("time")
    found = usage.group_by("resource_id", day).agg(value.alias("value")).rename({"resource_id": "series_id"})
    return found.sort("series_id", "time")


def lead_times() -> pl.Expr:
    """lead_time as a Duration, of the column lead_time_days."""
    return (pl.col("lead_time_days") * 86_400_000_000).cast(pl.Int64).cast(pl.Duration("us")).alias("lead_time")


def horizon_of(history: History, limits: pl.DataFrame) -> int:
    """Days to forecast: as configured, and beyond the longest lead time."""
    longest = int(limits["lead_time_days"].max() or 0) + 1 if limits.height else 0  # type: ignore[arg-type]
    return max(history.settings.models.horizon_days, longest)


def limits_over_time(usage: pl.DataFrame, limits: pl.DataFrame) -> pl.DataFrame:
    """resource_id, limit, since (null: always), lead_time: each limit that a resource had, for plans as of past days.

    A limit is another one once it differs by `CHANGED` from the last that was taken: drift in small steps counts, too."""
    before = pl.col("capacity").shift(1).over("resource_id")
    known = usage.select("resource_id", "time", "capacity").drop_nulls("capacity").join(limits, on="resource_id", how="semi")
    rows: list[tuple[str, float, datetime | None]] = []
    for resource, time, limit in known.sort("resource_id", "time").filter(pl.col("capacity").ne_missing(before)).iter_rows():
        last = rows[-1] if rows and rows[-1][0] == resource else None
        if last is None or abs(limit - last[1]) > CHANGED * abs(last[1]):
            rows.append((resource, limit, None if last is None else time))
    schema = {"resource_id": pl.String(), "limit": pl.Float64(), "since": pl.Datetime("us")}
    found = pl.DataFrame(rows, schema=schema, orient="row")
    return found.join(limits.select("resource_id", lead_times()), on="resource_id", how="inner", maintain_order="left")


def breaks_at_limits(peaks: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame | None:
    """series_id, time of the days from which use had another level because its limit had changed: a pool that was raised fills, a volume
    that has grown does not; and known_from, when that could be known.

    A change of a limit is such a break when the peaks of the week after and of the week before do not overlap, and lie twice as far
    apart as those of the two weeks before it did: a steady trend is none. None where there is no break."""
    rows = []
    series = {key: (part["time"].to_numpy(), part["value"].to_numpy()) for (key,), part in peaks.group_by("series_id")}
    for resource, since in held.filter(pl.col("since").is_not_null()).select("resource_id", "since").iter_rows():
        times, values = series.get(resource, (np.empty(0, "datetime64[us]"), np.empty(0)))
        start = np.datetime64(since, "D")
        end = start if since.hour == since.minute == 0 else start + np.timedelta64(1, "D")  # the day of the change is of both levels
        spans = ((start - 2 * WEEK, start - WEEK), (start - WEEK, start), (end, end + WEEK))
        earlier, before, after = (values[(times >= a) & (times < b)] for a, b in spans)
        if min(before.size, after.size) < LEAST_DAYS or (after.max() >= before.min() and before.max() >= after.min()):
            continue
        usual = abs(np.median(before) - np.median(earlier)) if earlier.size >= LEAST_DAYS else 0.0
        if abs(np.median(after) - np.median(before)) > 2 * usual:
            rows.append((resource, *(day.astype("datetime64[us]").item() for day in (end, end + WEEK))))
    schema = {"series_id": pl.String(), "time": pl.Datetime("us"), "known_from": pl.Datetime("us")}
    return pl.DataFrame(rows, schema=schema, orient="row") if rows else None
