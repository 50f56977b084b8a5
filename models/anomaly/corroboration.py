"""`corroborated`: the odd hours that the series of a service agree on, which are few; of single series some hour is always odd."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import numpy as np
import polars as pl
from polars._typing import PolarsDataType

from models.anomaly.episodes import CALLS, GAP, surprise
from models.series import ANY_TYPE, TIME, ensure_columns

AGREEING = 3
"""A service is as odd as its so many oddest series are on average: one alone is often odd, many are never odd all at once."""
ONCE_IN = 400
"""A service stands out where it is so odd only once in as many times: with a dozen services by the hour, eight hidden incidents of 90 days
and next to nothing else are left (docs/adr/0042)."""
EVIDENCE = 0.98
"""A score from here on counts as evidence where a service stands out."""
_USUAL = 0.95
"""The tail of a service's oddness begins at this quantile, and is taken to be exponential beyond."""
_SCORED: Mapping[str, PolarsDataType] = {"series_id": ANY_TYPE, "service": pl.String, "time": TIME, "score": pl.Float64}


def corroborated(scored: pl.DataFrame, calls: pl.DataFrame, *, gap: timedelta = GAP) -> pl.DataFrame:
    """The rows that are odd while their service, or one that it calls or is called by, stands out from its own usual oddness.

    scored: series_id, service, time (UTC, the same grid for all series of a service), score, as `score` gives it, and any others; rows
    without a service or a score are left out. calls: caller, callee. Returns the rows of a score of at least `EVIDENCE` that lie within
    `gap` of a time at which so odd a service is met once in `ONCE_IN` times, in the order of the input. How odd a service is:
    the mean -log10 tail probability of its `AGREEING` oddest series; how rare that is, from an exponential tail through the median excess
    over the 95% quantile of the service (Leadbetter, "On a basis for peaks over threshold modeling", Statistics & Probability Letters 12,
    1991). Raises ValueError for missing columns or unusable types.
    """
    rows = ensure_columns(scored, _SCORED).filter(pl.col("service").is_not_null(), pl.col("score").is_not_null())
    odd = rows.select("service", "time", odd=surprise()).group_by("service", "time").agg(pl.col("odd").top_k(AGREEING).mean())
    excess = pl.col("odd") - pl.col("odd").quantile(_USUAL, "linear").over("service")
    beyond = odd.with_columns(excess=excess).filter(pl.col("excess") > 0)
    bar = float(np.log2(ONCE_IN * (1.0 - _USUAL)))
    out = beyond.filter(pl.col("excess") >= bar * pl.col("excess").median().over("service")).select("service", "time")
    edges = ensure_columns(calls, CALLS)
    near = pl.concat([edges.select(service="caller", met="callee"), edges.select(service="callee", met="caller")])
    itself = out.select(pl.col("service"), met="service").unique()
    reach = pl.concat([near, itself]).drop_nulls().unique().join(out.rename({"service": "met"}), on="met").select("service", at="time")
    evidence = rows.with_row_index("_row").filter(pl.col("score") >= EVIDENCE)
    close = evidence.join(reach.unique(), on="service").filter((pl.col("time") - pl.col("at")).abs() <= gap)
    return evidence.join(close, on="_row", how="semi").drop("_row")
