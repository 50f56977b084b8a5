"""Commitments that are paid for and not used, from FOCUS rows."""

from __future__ import annotations

from typing import Final

import polars as pl
from polars._typing import PolarsDataType

from models.cost.samples import DAYS_PER_MONTH
from models.series import ANY_TYPE, NOT_ENOUGH_DATA, STATUS_OK, TIME, ensure_columns

_CHARGES: Final[dict[str, PolarsDataType]] = {
    "CommitmentDiscountId": ANY_TYPE,
    "CommitmentDiscountStatus": pl.String,
    "EffectiveCost": pl.Float64,
    "ChargePeriodStart": TIME,
}


def commitment_waste(charges: pl.DataFrame, *, min_days: float = 7.0) -> pl.DataFrame:
    """What each commitment costs against what of it was used.

    charges: FOCUS rows with CommitmentDiscountId, CommitmentDiscountStatus, EffectiveCost, ChargePeriodStart (UTC), and
    BillingCurrency where there may be more than one. Only rows whose status is 'Used' or 'Unused' count: FOCUS 1.2,
    column Commitment Discount Status, sets it on usage charges alone, and the EffectiveCost of the purchase that is
    amortised into them is 0 (column Effective Cost), so nothing counts twice.

    Returns commitment_id, committed, used, unused (EffectiveCost over all days given), utilisation (used / committed),
    saving_per_month (unused per 30 days, at the pace of the days given), status, sorted by commitment_id.
    Commitments with charges on days that span under `min_days` are `not_enough_data`.
    Raises ValueError for missing columns or unusable types.
    """
    frame = ensure_columns(charges, _CHARGES)
    currency = pl.col("BillingCurrency") if "BillingCurrency" in frame.columns else pl.lit(None, pl.String)
    status = pl.col("CommitmentDiscountStatus").str.strip_chars().str.to_lowercase()
    rows = frame.filter(pl.col("CommitmentDiscountId").is_not_null(), status.is_in(["used", "unused"]))
    cost = pl.col("EffectiveCost").filter(pl.col("EffectiveCost").is_finite())
    day = pl.col("ChargePeriodStart").dt.date()
    sums = rows.group_by(commitment_id="CommitmentDiscountId").agg(
        committed=cost.sum(),
        unused=cost.filter((status == "unused").filter(pl.col("EffectiveCost").is_finite())).sum(),
        days=(day.max() - day.min()).dt.total_days() + 1,
        currencies=currency.n_unique(),
    )
    return _judged(sums, min_days)


def _judged(sums: pl.DataFrame, min_days: float) -> pl.DataFrame:
    """The result columns from the sums of each commitment."""
    committed, unused = pl.col("committed"), pl.col("unused")
    verdict = (
        pl.when(pl.col("currencies") > 1)
        .then(pl.lit("failed:charges in more than one currency"))
        .when((pl.col("days") < min_days).fill_null(True))
        .then(pl.lit(NOT_ENOUGH_DATA))
        .when(committed <= 0)
        .then(pl.lit("failed:the charges do not add up to a cost"))
        .otherwise(pl.lit(STATUS_OK))
    )
    values = {
        "committed": committed,
        "used": committed - unused,
        "unused": unused,
        "utilisation": (committed - unused) / committed,
        "saving_per_month": unused / pl.col("days") * DAYS_PER_MONTH,
    }
    is_ok = pl.col("status") == STATUS_OK
    return (
        sums.with_columns(status=verdict)
        .select("commitment_id", *(pl.when(is_ok).then(value).alias(name) for name, value in values.items()), "status")
        .sort("commitment_id")
    )
