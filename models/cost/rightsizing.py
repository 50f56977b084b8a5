"""From what was used to what should be bought: one recommendation per allocated resource.

The demand comes from a policy; headroom, growth, buyable steps and the rule when to grow are here.
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from models.cost.policies import RightsizePolicy, policy_of
from models.cost.samples import clean_allocations, clean_usage, evidence, halves
from models.series import NOT_ENOUGH_DATA, STATUS_OK


def rightsize(usage: pl.DataFrame, allocations: pl.DataFrame, *, policy: RightsizePolicy | str) -> pl.DataFrame:
    """The size that each allocated resource should have.

    usage: resource_id, time (UTC), used. allocations: resource_id, resource_kind, allocated (the unit of `used`),
    unit_price (currency per unit of `allocated` for 30 days; null where unknown).
    policy: a `RightsizePolicy`, or the name of one in `POLICIES`.

    Returns resource_id, policy, recommended, allocated, saving_per_month, confidence, status, one row per resource in
    the order of `allocations`. A recommendation is above the allocation only for a resource that runs into it (then
    the saving is negative); otherwise it is at most the allocation. saving_per_month is null where the price is.
    confidence in [0, 1] multiplies the length of the history, its coverage and its steadiness. Resources without
    `policy.min_days` of usage are `not_enough_data`. Raises ValueError for missing columns, unusable types, or an
    unknown policy.
    """
    chosen = policy_of(policy)
    samples = clean_usage(usage)
    known = clean_allocations(allocations)
    found = _demand(samples, chosen)
    joined = known.join(found, on="resource_id", how="left", nulls_equal=True, maintain_order="left")
    status = _status(chosen)
    sized = joined.with_columns(status=status).with_columns(recommended=_recommended(chosen))
    is_ok = pl.col("status") == STATUS_OK
    saving = (pl.col("allocated") - pl.col("recommended")) * pl.col("unit_price")
    return sized.select(
        "resource_id",
        policy=pl.lit(chosen.name),
        recommended=pl.when(is_ok).then("recommended"),
        allocated=pl.when(is_ok).then("allocated"),
        saving_per_month=pl.when(is_ok).then(saving),
        confidence=pl.when(is_ok).then(pl.col("completeness") * pl.col("steadiness")),
        status="status",
    )


def _demand(samples: pl.DataFrame, policy: RightsizePolicy) -> pl.DataFrame:
    """resource_id, demand, peak, growth, days, completeness, steadiness of the resources that have samples.

    growth is what the level gains until the next review: the step from the median daily peak of the first half to that
    of the second, per day, where the halves' quartiles do not overlap; else 0.
    """
    climbs = pl.col("second_low") > pl.col("first_high")
    gain = (pl.col("second") - pl.col("first")) / pl.col("half_days") * policy.review_days
    growth = halves(samples).select("resource_id", growth=pl.when(climbs.fill_null(False)).then(gain).otherwise(0.0))
    peak = samples.group_by("resource_id", maintain_order=True).agg(peak=pl.col("used").max())
    frame = evidence(samples, full_days=policy.full_confidence_days)
    for part in (peak, growth, policy.run(samples)):
        frame = frame.join(part, on="resource_id", how="left", nulls_equal=True, maintain_order="left")
    return frame


def _status(policy: RightsizePolicy) -> pl.Expr:
    """ok, not_enough_data, or the flaw of the allocation."""
    slack = timedelta(minutes=1) / timedelta(days=1)
    short = (pl.col("days") < policy.min_days - slack).fill_null(True)
    return pl.coalesce("flaw", pl.when(short).then(pl.lit(NOT_ENOUGH_DATA)), pl.lit(STATUS_OK))


def _recommended(policy: RightsizePolicy) -> pl.Expr:
    """The buyable size for demand, headroom and growth, held at or under the allocation unless the demand fills it."""
    allocated = pl.col("allocated")
    hard = pl.col("resource_kind").is_in(list(policy.hard_kinds)).fill_null(False)
    demand = pl.when(hard).then(pl.max_horizontal("demand", "peak")).otherwise(pl.col("demand"))
    wanted = pl.col("resource_kind").replace_strict(dict(policy.steps), default=None, return_dtype=pl.Float64)
    step = pl.when(wanted <= allocated).then(wanted)
    needed = demand * (1 + policy.headroom) + pl.col("growth")
    in_steps = pl.max_horizontal((needed / step - 1e-9).ceil() * step, step)
    bought = pl.coalesce(in_steps, needed)
    saturated = demand >= policy.saturated_at * allocated
    shrunk = pl.when(bought <= (1 - policy.min_change) * allocated).then(bought).otherwise(allocated)
    return pl.when(saturated).then(pl.max_horizontal(bought, allocated)).otherwise(shrunk)
