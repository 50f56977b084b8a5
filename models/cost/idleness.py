"""Resources that nobody uses, as distinct from resources that are too large.

The default bounds are those that providers publish, not values fitted to any data set: a peak CPU use under 5% over 14
days is idle for AWS Compute Optimizer, use near zero during 97% of the time for Google Cloud's idle VM recommender.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from models.cost.bounds import check_bounds
from models.cost.samples import clean_allocations, clean_usage, evidence
from models.series import NOT_ENOUGH_DATA, STATUS_OK

NO_ACTIVITY = "failed:how full it is does not show whether it is used"


@dataclass(frozen=True, kw_only=True)
class IdlePolicy:
    """When a resource counts as idle.

    idle_below: utilisation (share of the allocation) under which an interval is idle. min_idle_share: share of
    intervals that must be. max_busy_days: share of days that may hold a busy hour (mean utilisation at or over
    idle_below), so that a job that runs once a week is use, and one restart in two weeks is not. fill_kinds: kinds
    whose use says how full they are and not whether anyone works with them; they are not judged.
    """

    idle_below: float = 0.05
    min_idle_share: float = 0.97
    max_busy_days: float = 1 / 14
    min_days: float = 7.0
    full_confidence_days: float = 14.0
    fill_kinds: frozenset[str] = frozenset({"memory", "disk"})

    def __post_init__(self) -> None:
        """Raises ValueError for a setting out of its bounds."""
        check_bounds(
            self,
            {
                "idle_below": (0.0, 0.5),
                "min_idle_share": (0.5, 1.0),
                "max_busy_days": (0.0, 1.0),
                "min_days": (0.0, 3650.0),
                "full_confidence_days": (1.0, 3650.0),
            },
        )


def idle(usage: pl.DataFrame, allocations: pl.DataFrame, *, policy: IdlePolicy | None = None) -> pl.DataFrame:
    """Which allocated resources nobody uses.

    usage and allocations as for `rightsize`. Returns resource_id, is_idle, idle_share (share of intervals under
    `policy.idle_below`), mean_utilisation, p95_utilisation (shares of the allocation), saving_per_month (the whole
    price of an idle resource, 0 for a used one, null without a price), confidence, status; one row per resource in
    the order of `allocations`. Raises ValueError for missing columns or unusable types.
    """
    chosen = policy or IdlePolicy()
    samples = clean_usage(usage)
    known = clean_allocations(allocations)
    shares = _shares(samples, known, chosen)
    frame = known
    for part in (shares, evidence(samples, full_days=chosen.full_confidence_days)):
        frame = frame.join(part, on="resource_id", how="left", nulls_equal=True, maintain_order="left")
    fills = pl.when(pl.col("resource_kind").is_in(list(chosen.fill_kinds))).then(pl.lit(NO_ACTIVITY))
    short = pl.when((pl.col("days") < chosen.min_days - 1e-3).fill_null(True)).then(pl.lit(NOT_ENOUGH_DATA))
    is_idle = (pl.col("idle_share") >= chosen.min_idle_share) & (pl.col("busy_days") <= chosen.max_busy_days)
    price = pl.col("allocated") * pl.col("unit_price")
    judged = frame.with_columns(
        status=pl.coalesce("flaw", fills, short, pl.lit(STATUS_OK)),
        is_idle=is_idle,
        saving_per_month=pl.when(is_idle).then(price).otherwise(price * 0.0),
        confidence=pl.col("completeness") * (1 - pl.col("shift") / pl.col("allocated")).clip(0.0, 1.0),
    )
    columns = ["is_idle", "idle_share", "mean_utilisation", "p95_utilisation", "saving_per_month", "confidence"]
    is_ok = pl.col("status") == STATUS_OK
    return judged.select("resource_id", *(pl.when(is_ok).then(name).alias(name) for name in columns), "status")


def _shares(samples: pl.DataFrame, known: pl.DataFrame, policy: IdlePolicy) -> pl.DataFrame:
    """resource_id, idle_share, mean_utilisation, p95_utilisation, busy_days (share of days with a busy hour)."""
    load = samples.join(known.select("resource_id", "allocated"), on="resource_id", nulls_equal=True).with_columns(
        utilisation=pl.col("used") / pl.col("allocated")
    )
    overall = load.group_by("resource_id").agg(
        idle_share=(pl.col("utilisation") < policy.idle_below).mean(),
        mean_utilisation=pl.col("utilisation").mean(),
        p95_utilisation=pl.col("utilisation").quantile(0.95, interpolation="linear"),
    )
    hours = load.group_by("resource_id", "day", hour=pl.col("time").dt.truncate("1h")).agg(pl.col("utilisation").mean())
    days = hours.group_by("resource_id", "day").agg(busy=pl.col("utilisation").max() >= policy.idle_below)
    return overall.join(days.group_by("resource_id").agg(busy_days=pl.col("busy").mean()), on="resource_id", nulls_equal=True)
