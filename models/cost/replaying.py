"""A recommendation put to the test: how often would past demand not have fitted?"""

from __future__ import annotations

import polars as pl

from models.cost.samples import clean_usage
from models.series import ANY_TYPE, ensure_columns


def replay(usage: pl.DataFrame, recommendations: pl.DataFrame) -> pl.DataFrame:
    """Replays usage against recommended sizes; give it usage that the recommendation has not seen.

    usage: resource_id, time (UTC), used. recommendations: resource_id, policy, recommended, saving_per_month, as
    `rightsize` returns them (several policies may be stacked).

    Returns resource_id, policy, intervals (usage rows replayed), share_under_demand (share of them whose use was
    above the recommendation), worst_shortfall (largest use minus recommendation, at least 0, unit of `used`),
    saving_per_month, one row per row of `recommendations`. Without a recommendation or without usage the shares are
    null. Raises ValueError for missing columns or unusable types.
    """
    needed = {"resource_id": ANY_TYPE, "policy": pl.String, "recommended": pl.Float64, "saving_per_month": pl.Float64}
    plans = ensure_columns(recommendations, needed).select(list(needed)).with_row_index("plan")
    samples = clean_usage(usage).select("resource_id", "used")
    short = pl.col("used") - pl.col("recommended")
    outcome = (
        plans.join(samples, on="resource_id", how="inner", nulls_equal=True)
        .group_by("plan")
        .agg(
            intervals=pl.len(),
            share_under_demand=(short > 0).mean(),
            worst_shortfall=short.clip(lower_bound=0.0).max(),
        )
    )
    return plans.join(outcome, on="plan", how="left", maintain_order="left").select(
        "resource_id",
        "policy",
        pl.col("intervals").cast(pl.Int64).fill_null(0),
        "share_under_demand",
        "worst_shortfall",
        "saving_per_month",
    )
