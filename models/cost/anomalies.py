"""Days whose cost is not what the days before them promised.

Strictly causal: a day is judged by earlier days only. Memory and time grow with keys x days.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import stdtr

from models.cost.bounds import check_bounds
from models.series import ANY_TYPE, NOT_ENOUGH_DATA, STATUS_OK, ensure_columns

Array = npt.NDArray[np.float64]

_MAD_TO_SIGMA: Final = 1.4826
_TAIL_FREEDOM: Final = 4.0
_LEVEL_DAYS: Final = 7
_TOO_WIDE: Final = 50_000_000


@dataclass(frozen=True, kw_only=True)
class CostAnomalyPolicy:
    """When a day is odd.

    threshold: robust standard deviations away from the expected cost (Iglewicz and Hoaglin, 1993, use 3.5 for normal
    data; daily cost has heavier tails). min_relative: least distance as a share of the expected cost. min_excess: least
    distance in currency. min_days: days of history needed. memory_days: how far back the baseline looks.
    """

    threshold: float = 5.0
    min_relative: float = 0.10
    min_excess: float = 0.0
    min_days: int = 14
    memory_days: int = 56

    def __post_init__(self) -> None:
        """Raises ValueError for a setting out of its bounds."""
        check_bounds(
            self,
            {
                "threshold": (1.0, 100.0),
                "min_relative": (0.0, 10.0),
                "min_excess": (0.0, 1e15),
                "min_days": (_LEVEL_DAYS, 366),
                "memory_days": (14, 731),
            },
        )
        if self.memory_days < self.min_days:
            raise ValueError(f"memory_days ({self.memory_days}) must be at least min_days ({self.min_days})")


def cost_anomalies(daily: pl.DataFrame, *, policy: CostAnomalyPolicy | None = None) -> pl.DataFrame:
    """Judges each day's cost by the days before it.

    daily: key (service, account, ... any hashable), day, cost (currency; credits negative). Rows of equal key and day
    are added up; a day without a row is unknown, not zero.

    Expected cost = level + weekday profile + what the same day of the last month had on top. The level is the median of
    the last 7 days without their profile, so it follows a lasting change after four days; the profile is the median,
    over past weeks, of a weekday's distance from the median of the seven days around it; a charge that comes back on
    its day of the month is expected from the second time on. The scale is the median absolute error of past days.

    Returns key, day, cost, expected, excess (cost - expected), score (1 - two-sided tail probability of a Student t
    with 4 degrees of freedom, in [0, 1]), is_anomaly, status, sorted by key and day. The first `policy.min_days` days
    of a key are `not_enough_data`. Raises ValueError for missing columns or unusable types.
    """
    chosen = policy or CostAnomalyPolicy()
    frame = ensure_columns(daily, {"key": ANY_TYPE, "cost": pl.Float64, "day": ANY_TYPE})
    sums = (
        frame.with_columns(pl.col("day").cast(pl.Date))
        .filter(pl.col("cost").is_finite(), pl.col("day").is_not_null())
        .group_by("key", "day")
        .agg(pl.col("cost").sum())
        .sort("key", "day")
    )
    if sums.is_empty():
        return _result(sums, np.empty(0), np.empty(0), chosen)
    new_key = pl.col("key").ne_missing(pl.col("key").shift()) | (pl.int_range(pl.len()) == 0)
    at = sums.select(key=new_key.cum_sum().cast(pl.Int64) - 1, day=pl.col("day").to_physical().cast(pl.Int64))
    rows, days = at["key"].to_numpy(), at["day"].to_numpy()
    calendar = np.arange(days.min(), days.max() + 1)
    if int(rows.max() + 1) * calendar.size > _TOO_WIDE:
        raise ValueError(f"over {_TOO_WIDE:,} key-days in one call; pass the keys in several calls")
    costs = np.full((int(rows.max()) + 1, calendar.size), np.nan)
    costs[rows, days - calendar[0]] = sums["cost"].to_numpy()
    expected, scale = _baseline(costs, calendar, chosen)
    return _result(sums, expected[rows, days - calendar[0]], scale[rows, days - calendar[0]], chosen)


def _baseline(costs: Array, calendar: npt.NDArray[np.int64], policy: CostAnomalyPolicy) -> tuple[Array, Array]:
    """Expected cost and scale per key (rows) and day (columns), NaN where unknown; calendar: days since 1970."""
    weekday = calendar % 7
    month_ago = _a_month_ago(calendar)
    distance = costs - _surrounding_median(costs)
    expected, scale, error = (np.full_like(costs, np.nan) for _ in range(3))
    for t in range(_LEVEL_DAYS, costs.shape[1]):
        begin = max(0, t - policy.memory_days)
        profile, doubt = _profile(distance[:, begin : max(begin, t - 3)], weekday[begin : max(begin, t - 3)])
        recent = slice(t - _LEVEL_DAYS, t)
        level = _nanmedian(costs[:, recent] - profile[:, weekday[recent]])
        plain = level + profile[:, weekday[t]]
        error[:, t] = costs[:, t] - plain
        known = np.isfinite(costs[:, begin:t]).sum(axis=1) >= policy.min_days
        spread = _MAD_TO_SIGMA * _nanmedian(np.abs(error[:, begin:t]))
        floor = np.maximum(0.01 * np.abs(plain), doubt[:, weekday[t]])
        scale[:, t] = np.where(known, np.fmax(spread, floor), np.nan)
        expected[:, t] = np.where(known, plain, np.nan)
        if (back := month_ago[t]) >= 0:
            repeated = np.abs(error[:, back]) > policy.threshold * scale[:, back]
            nearer = np.abs(error[:, t] - error[:, back]) < np.abs(error[:, t])
            expected[:, t] += np.where(repeated & nearer, error[:, back], 0.0)
    return expected, scale


def _profile(distance: Array, weekday: npt.NDArray[np.int64]) -> tuple[Array, Array]:
    """Median distance per key (rows) and weekday (7 columns), drawn towards 0 by n / (n + 1) for n weeks seen; and its
    doubt: the part that was drawn away, which a scale must not be under while few weeks are known.
    """
    profile, doubt = np.zeros((distance.shape[0], 7)), np.zeros((distance.shape[0], 7))
    for day in range(7):
        seen = distance[:, weekday == day]
        n = np.isfinite(seen).sum(axis=1)
        median = np.nan_to_num(_nanmedian(seen))
        profile[:, day] = median * n / (n + 1)
        doubt[:, day] = np.abs(median) / (n + 1)
    return profile, doubt


def _surrounding_median(costs: Array) -> Array:
    """The median of the seven days around each day; NaN where fewer than four of them are known."""
    half = _LEVEL_DAYS // 2
    padded = np.pad(costs, ((0, 0), (half, half)), constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, _LEVEL_DAYS, axis=1)
    median = _nanmedian(windows)
    return np.where(np.isfinite(windows).sum(axis=-1) > half, median, np.nan)


def _nanmedian(values: Array) -> Array:
    """The median along the last axis, NaN left out; NaN where nothing is left, without numpy's warning."""
    count = np.isfinite(values).sum(axis=-1)
    if values.shape[-1] == 0:
        return np.full(values.shape[:-1], np.nan)
    ordered = np.sort(values, axis=-1)
    low = np.take_along_axis(ordered, np.maximum(count - 1, 0)[..., None] // 2, axis=-1)
    high = np.take_along_axis(ordered, np.minimum(count // 2, values.shape[-1] - 1)[..., None], axis=-1)
    median: Array = np.where(count > 0, ((low + high) / 2)[..., 0], np.nan)
    return median


def _a_month_ago(calendar: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """For each day the column of the same day of the month before; -1 where that day is not in the calendar."""
    day = calendar.astype("datetime64[D]")
    month = day.astype("datetime64[M]")
    before = (month - 1).astype("datetime64[D]") + (day - month.astype("datetime64[D]"))
    exists = before.astype("datetime64[M]") == month - 1
    column = before.astype(np.int64) - calendar[0]
    return np.where(exists & (column >= 0), column, -1)


def _result(sums: pl.DataFrame, expected: Array, scale: Array, policy: CostAnomalyPolicy) -> pl.DataFrame:
    """The result columns for the summed rows."""
    cost = sums["cost"].to_numpy()
    excess = cost - expected
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.where(excess == 0, 0.0, np.abs(excess) / scale)
    material = (np.abs(excess) >= policy.min_relative * np.abs(expected)) & (np.abs(excess) > policy.min_excess)
    known = pl.Series(np.isfinite(expected) & np.isfinite(scale), dtype=pl.Boolean)
    values = {
        "expected": expected,
        "excess": excess,
        "score": 1 - 2 * stdtr(_TAIL_FREEDOM, -distance),
        "is_anomaly": (distance >= policy.threshold) & material,
    }
    status = pl.when(known).then(pl.lit(STATUS_OK)).otherwise(pl.lit(NOT_ENOUGH_DATA))
    return sums.with_columns(*(pl.when(known).then(pl.Series(value)).alias(name) for name, value in values.items()), status=status).select(
        "key", "day", "cost", "expected", "excess", "score", "is_anomaly", "status"
    )
