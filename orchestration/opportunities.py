"""Brings idle and oversized resources, unused commitments and sudden costs into one list of opportunities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from orchestration.history import History

POLICY = "p99"
RECENT_DAYS = 7
UNKNOWN = "unknown"
MIN_DISK_CHANGE = 0.5
"""Block volumes grow in place but do not shrink (EBS, Azure and Google disks): only a move to half the size is worth the copying."""
COLUMNS = (
    "opportunity_id",
    "kind",
    "resource_id",
    "resource_kind",
    "service",
    "team",
    "policy",
    "allocated",
    "recommended",
    "unit",
    "saving_per_month",
    "billing_currency",
    "confidence",
    "evidence",
    "status",
)


def opportunities(history: History) -> pl.DataFrame:
    """Idleness is judged by hourly means (one burst is no use), sizes by hourly peaks (a mean hides them).

    Returns all opportunities as seen from the end of the history, in the columns of mart.cost_opportunities (without day)."""
    limits = history.frame("resource_limits").filter(pl.col("capacity").is_not_null())
    usage = history.frame("resource_usage").join(limits.select("resource_id"), on="resource_id", how="semi")
    frames = [*_resources(limits, usage), _commitments(history), _sudden_costs(history)]
    shaped = [_shape(frame) for frame in frames]
    return pl.concat(shaped, how="vertical_relaxed")


def _resources(limits: pl.DataFrame, usage: pl.DataFrame) -> list[pl.DataFrame]:
    from models.cost import idle, rightsize

    if not limits.height:
        return []
    allocations = limits.select("resource_id", "resource_kind", pl.col("capacity").alias("allocated"), "unit_price")
    about = limits.select(
        "resource_id", "resource_kind", "service", "team", "unit", "billing_currency", pl.col("capacity").alias("allocated")
    )
    means = usage.select("resource_id", "time", pl.col("used_mean").alias("used"))
    peaks = usage.select("resource_id", "time", pl.col("used_max").alias("used"))
    unused = idle(means, allocations, policy=None).filter((pl.col("status") == "ok") & pl.col("is_idle"))
    sizes = rightsize(peaks, allocations, policy=POLICY).filter(pl.col("status") == "ok")
    machine = pl.col("resource_id").str.replace(r"/[^/]*$", "").alias("machine")
    switched_off = unused.select(machine).unique()
    changed = sizes.filter(pl.col("recommended") != pl.col("allocated")).with_columns(machine).join(switched_off, on="machine", how="anti")
    idle_rows = unused.join(about, on="resource_id", how="left").with_columns(
        pl.lit("idle").alias("kind"),
        pl.lit("idle").alias("policy"),
        pl.lit(0.0).alias("recommended"),
        pl.format(
            "idle {}% of the time, mean use {}% of the allocation",
            (pl.col("idle_share") * 100).round(1),
            (pl.col("mean_utilisation") * 100).round(2),
        ).alias("evidence"),
    )
    not_disk = pl.col("resource_kind") != "disk"
    size_rows = (
        changed.drop("allocated")
        .join(about, on="resource_id", how="left")
        .filter(
            pl.col("recommended").is_between((1 - MIN_DISK_CHANGE) * pl.col("allocated"), pl.col("allocated"), closed="right").not_()
            | not_disk
        )
        .pipe(_worth_money)
        .with_columns(
            pl.when(pl.col("recommended") < pl.col("allocated")).then(pl.lit("oversized")).otherwise(pl.lit("undersized")).alias("kind"),
            pl.format(
                "{} of {} {} would do ({})",
                pl.col("recommended").round(3),
                pl.col("allocated").round(3),
                pl.col("unit").fill_null(""),
                "policy",
            ).alias("evidence"),
        )
    )
    return [idle_rows, size_rows]


def _worth_money(sizes: pl.DataFrame) -> pl.DataFrame:
    """Smaller sizes that save money: by a price of their own, or as part of a machine that is too large as a whole."""
    smaller = pl.col("recommended") < pl.col("allocated")
    machines = sizes.filter(smaller & pl.col("saving_per_month").is_not_null()).select("machine").unique()
    return sizes.filter(smaller.not_() | pl.col("saving_per_month").is_not_null() | pl.col("machine").is_in(machines["machine"].implode()))


def _commitments(history: History) -> pl.DataFrame:
    from models.cost import commitment_waste

    charges = history.frame("commitment_charges")
    currency = charges.group_by("CommitmentDiscountId").agg(pl.col("BillingCurrency").first().alias("billing_currency"))
    waste = commitment_waste(charges).filter((pl.col("status") == "ok") & (pl.col("unused") > 0))
    return waste.join(currency, left_on="commitment_id", right_on="CommitmentDiscountId", how="left").with_columns(
        pl.col("commitment_id").alias("resource_id"),
        pl.lit("unused_commitment").alias("kind"),
        pl.lit("commitment").alias("resource_kind"),
        pl.lit("FOCUS CommitmentDiscountStatus").alias("policy"),
        pl.col("committed").alias("allocated"),
        pl.col("used").alias("recommended"),
        pl.col("billing_currency").alias("unit"),
        pl.lit(1.0).alias("confidence"),
        pl.format("{}% of the commitment is used", (pl.col("utilisation") * 100).round(1)).alias("evidence"),
    )


def _sudden_costs(history: History) -> pl.DataFrame:
    """Odd days of the last week: an older one was seen when it happened."""
    from models.cost import cost_anomalies

    daily = history.frame("daily_costs")
    about = daily.select("key", "service", "billing_currency").unique(keep="first", maintain_order=True)
    odd = cost_anomalies(daily.select("key", "day", "cost")).filter(pl.col("is_anomaly") & (pl.col("status") == "ok"))
    recent = odd.filter(pl.col("day") > pl.lit(history.as_of) - pl.duration(days=RECENT_DAYS)).filter(pl.col("excess") > 0)
    return recent.join(about, on="key", how="left").with_columns(
        pl.format("{}/{}", "key", "day").alias("resource_id"),
        pl.lit("cost_anomaly").alias("kind"),
        pl.lit("weekday-aware baseline").alias("policy"),
        pl.col("cost").alias("allocated"),
        pl.col("expected").alias("recommended"),
        pl.col("billing_currency").alias("unit"),
        pl.col("score").alias("confidence"),
        pl.format(
            "{} cost {} {} where {} was expected", "day", pl.col("billing_currency"), pl.col("cost").round(2), pl.col("expected").round(2)
        ).alias("evidence"),
    )


def _shape(frame: pl.DataFrame) -> pl.DataFrame:
    service = pl.col("service").fill_null(UNKNOWN) if "service" in frame.columns else pl.lit(UNKNOWN)
    identified = frame.with_columns(pl.format("{}/{}", "kind", "resource_id").alias("opportunity_id"), service.alias("service"))
    types = {"allocated": pl.Float64, "recommended": pl.Float64, "saving_per_month": pl.Float64, "confidence": pl.Float64}
    return identified.select(
        (pl.col(name) if name in identified.columns else pl.lit(None).alias(name)).cast(types.get(name, pl.String)) for name in COLUMNS
    )
