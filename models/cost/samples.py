"""Usage samples as every cost model needs them: clean rows, and what a history is worth as evidence.

Does not belong here: any rule about what to recommend.
"""

from __future__ import annotations

from typing import Final

import polars as pl
from polars._typing import PolarsDataType

from models.series import ANY_TYPE, TIME, ensure_columns

DAYS_PER_MONTH: Final = 30.0
"""A month of money, in days: the base of `unit_price` and of every saving."""

USAGE: Final[dict[str, PolarsDataType]] = {"resource_id": ANY_TYPE, "time": TIME, "used": pl.Float64}
ALLOCATIONS: Final[dict[str, PolarsDataType]] = {
    "resource_id": ANY_TYPE,
    "resource_kind": pl.String,
    "allocated": pl.Float64,
    "unit_price": pl.Float64,
}


def clean_usage(usage: pl.DataFrame) -> pl.DataFrame:
    """resource_id, time, used with `day`, sorted; rows without a finite use of at least 0 are left out.

    Of rows with equal resource and time the last one stays. Raises ValueError for missing columns or unusable types.
    """
    frame = ensure_columns(usage, USAGE).select(list(USAGE))
    usable = frame.filter(pl.col("used").is_finite() & (pl.col("used") >= 0), pl.col("time").is_not_null())
    return (
        usable.unique(["resource_id", "time"], keep="last", maintain_order=True)
        .sort("resource_id", "time", maintain_order=True)
        .with_columns(day=pl.col("time").dt.date())
    )


def clean_allocations(allocations: pl.DataFrame) -> pl.DataFrame:
    """One row per resource in order of first sight, with `flaw`: null, or why no answer can be given.

    A negative or infinite price counts as unknown. Raises ValueError for missing columns or unusable types.
    """
    frame = ensure_columns(allocations, ALLOCATIONS).select(list(ALLOCATIONS))
    price = pl.col("unit_price")
    ambiguous = pl.struct("allocated", "unit_price", "resource_kind").n_unique().over("resource_id") > 1
    unsized = ~(pl.col("allocated").is_finite() & (pl.col("allocated") > 0)).fill_null(False)
    flawed = frame.with_columns(
        flaw=pl.when(ambiguous)
        .then(pl.lit("failed:more than one allocation for the resource"))
        .when(unsized)
        .then(pl.lit("failed:the allocation is unknown or not above zero")),
        unit_price=pl.when(price.is_finite() & (price >= 0)).then(price),
    )
    return flawed.unique("resource_id", keep="first", maintain_order=True)


def evidence(samples: pl.DataFrame, *, full_days: float) -> pl.DataFrame:
    """resource_id, days, completeness, steadiness, shift: what a cleaned history is worth.

    `days` is the span plus one usual step. `completeness` in [0, 1] multiplies the length against `full_days` by the
    share of samples that came of those that should have (one per usual step). `shift` is the distance between the
    medians of the daily peaks in the first and the second half, `steadiness` in [0, 1] the smaller over the larger.
    """
    step = pl.col("time").diff().median().dt.total_microseconds().fill_null(0)
    span = (pl.col("time").last() - pl.col("time").first()).dt.total_microseconds()
    facts = samples.group_by("resource_id", maintain_order=True).agg(
        days=(span + step) / 86_400e6,
        coverage=(pl.len() / (span / step + 1)).clip(upper_bound=1.0).fill_nan(1.0),
    )
    first, second = pl.col("first"), pl.col("second")
    levels = halves(samples).select(
        "resource_id",
        steadiness=(pl.min_horizontal(first, second) / pl.max_horizontal(first, second)).fill_nan(1.0),
        shift=(second - first).abs(),
    )
    joined = facts.join(levels, on="resource_id", how="left", nulls_equal=True, maintain_order="left")
    length = (pl.col("days") / full_days).clip(0.0, 1.0)
    return joined.select(
        "resource_id",
        "days",
        completeness=length * pl.col("coverage"),
        steadiness=pl.col("steadiness").fill_null(1.0),
        shift=pl.col("shift").fill_null(0.0),
    )


def daily_peaks(samples: pl.DataFrame) -> pl.DataFrame:
    """resource_id, day, peak: the highest use of each day of a cleaned history, sorted."""
    return (
        samples.group_by("resource_id", "day", maintain_order=True)
        .agg(peak=pl.col("used").max())
        .sort("resource_id", "day", maintain_order=True)
    )


def halves(samples: pl.DataFrame) -> pl.DataFrame:
    """resource_id, first, second, first_high, second_low, half_days: the daily peaks before and after the middle day.

    `first` and `second` are medians, `first_high` the upper quartile of the first half, `second_low` the lower quartile
    of the second. A history of a single day has no second half: its columns are null.
    """
    day = pl.col("day").cast(pl.Int64)
    middle = (day.min() + day.max() + 1) / 2
    late = day >= middle
    peak = pl.col("peak")
    return (
        daily_peaks(samples)
        .group_by("resource_id", maintain_order=True)
        .agg(
            first=peak.filter(~late).median(),
            second=peak.filter(late).median(),
            first_high=peak.filter(~late).quantile(0.75),
            second_low=peak.filter(late).quantile(0.25),
            half_days=(day.max() - day.min() + 1) / 2,
        )
    )
