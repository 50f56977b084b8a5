"""`error_budget`: SLI, remaining budget and burn rates of every service at every time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import polars as pl
from polars._typing import PolarsDataType

from models.series import ANY_TYPE, NOT_ENOUGH_DATA, STATUS_OK, TIME, ensure_columns, failed

MIN_HISTORY = timedelta(days=1)
"""A service whose rows reach back less far than this has no budget yet: one early error would spend all of it."""

_COLUMNS: dict[str, PolarsDataType] = {"service": ANY_TYPE, "time": TIME, "good": pl.Float64, "total": pl.Float64}
_BURN_WINDOWS = {"1h": timedelta(hours=1), "6h": timedelta(hours=6)}
_RESULT = ("service", "time", "sli", "objective", "budget_remaining", "burn_rate_1h", "burn_rate_6h", "status")


def error_budget(good_total: pl.DataFrame, *, objective: float | Mapping[str, float], window_days: int = 28) -> pl.DataFrame:
    """The error budget of every service over a rolling window that ends with each row.

    good_total: service, time (UTC, start of the bucket), good and total (events in the bucket, good <= total), in any
    order; of rows with equal service and time the last one stays. objective: the share of good events promised, in
    (0, 1), one for all or one per service (a service without one is not judged). window_days: the rolling window.
    Returns one row per service and time, sorted: service, time, sli (share good in the window), objective,
    budget_remaining (1 untouched, 0 spent, negative overspent), burn_rate_1h, burn_rate_6h (1 spends exactly the
    budget in one window; null where nothing happened in those hours), status. Windows are (time - length, time].
    Counts that are missing, negative or contradict each other fail their row and enter no window.
    Raises ValueError for missing columns, unusable types, or an objective or window out of range; never for data.
    Source: The Site Reliability Workbook (Beyer et al., 2018), chapter 2 (error budget), chapter 5 (burn rates,
    approaches 4 to 6: several windows).
    """
    if window_days < 1:
        raise ValueError(f"window_days must be at least 1, not {window_days}")
    rows = (
        ensure_columns(good_total, _COLUMNS)
        .select(list(_COLUMNS))
        .filter(pl.col("time").is_not_null())
        .unique(["service", "time"], keep="last", maintain_order=True)
        .sort("service", "time", maintain_order=True)
        .with_columns(objective=_objectives(objective), problem=_problem())
    )
    counted = pl.col("problem").is_null()
    rows = rows.with_columns(
        total=pl.when(counted).then("total").otherwise(0.0),
        bad=pl.when(counted).then(pl.col("total") - pl.col("good")).otherwise(0.0),
        history=pl.col("time") - pl.col("time").filter(counted).min().over("service"),
    )
    budget = 1 - pl.col("objective")
    bad_share = _share_of_bad(timedelta(days=window_days))
    rows = rows.with_columns(
        sli=1 - bad_share,
        budget_remaining=1 - bad_share / budget,
        **{f"burn_rate_{name}": _share_of_bad(length) / budget for name, length in _BURN_WINDOWS.items()},
    )
    return _with_status(rows).select(_RESULT)


def _objectives(objective: float | Mapping[str, float]) -> pl.Expr:
    """The objective of each row; ValueError for one outside (0, 1)."""
    listed = objective if isinstance(objective, Mapping) else {"every service": objective}
    wrong = {name: value for name, value in listed.items() if not 0 < value < 1}
    if wrong:
        raise ValueError(f"an objective is a share between 0 and 1 such as 0.999, not {wrong}")
    if not isinstance(objective, Mapping):
        return pl.lit(float(objective))
    return pl.col("service").replace_strict(dict(objective), default=None, return_dtype=pl.Float64)


def _problem() -> pl.Expr:
    """Why the counts of a row cannot be used; null when they can."""
    good, total = pl.col("good"), pl.col("total")
    return (
        pl.when(good.is_null() | total.is_null() | ~good.is_finite() | ~total.is_finite())
        .then(pl.lit("good or total is missing"))
        .when((good < 0) | (total < 0))
        .then(pl.lit("good or total is negative"))
        .when(good > total)
        .then(pl.lit("good exceeds total"))
    )


def _share_of_bad(length: timedelta) -> pl.Expr:
    """Bad over all events of the service in (time - length, time]; null without events."""
    bad, total = (pl.col(c).rolling_sum_by("time", window_size=length, closed="right").over("service") for c in ("bad", "total"))
    return pl.when(total > 0).then(bad / total)


def _with_status(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with their status, and nulls in the measured columns where it is not ok."""
    status = (
        pl.when(pl.col("problem").is_not_null())
        .then(pl.lit(failed("")) + pl.col("problem"))
        .when(pl.col("objective").is_null())
        .then(pl.lit(failed("no objective is set for this service")))
        .when(pl.col("sli").is_null() | (pl.col("history") < MIN_HISTORY))
        .then(pl.lit(NOT_ENOUGH_DATA))
        .otherwise(pl.lit(STATUS_OK))
    )
    measured = ("sli", "budget_remaining", "burn_rate_1h", "burn_rate_6h")
    rows = rows.with_columns(status=status)
    return rows.with_columns(pl.when(pl.col("status") == STATUS_OK).then(pl.col(c)).alias(c) for c in measured)
