"""Past forecasts against what came, and the members that this record speaks against.

Nothing is forecast here; `backtest` asks what would have been forecast, this module what was.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import numpy as np
import polars as pl
from polars._typing import PolarsDataType

from models.forecast.contest import NAIVE
from models.forecast.seasonality import FloatArray
from models.series import ANY_TYPE, NOT_ENOUGH_DATA, STATUS_OK, TIME, ensure_columns, regular_grid, season_lengths_of, step_of

HORIZONS: Final = (1, 7, 14, 30, 60, 90, 180, 365)
"""Upper ends of the buckets, in steps; beyond the last one they double."""
_BANDS: Final = ("lo_80", "hi_80", "lo_95", "hi_95")
_LOSSES: Final = ("mase", "smape", "coverage_80", "coverage_95", "mase_seasonal_naive")
_MADE: Final[dict[str, PolarsDataType]] = {
    "series_id": ANY_TYPE,
    "made_at": TIME,
    "time": TIME,
    "model": pl.String,
    **dict.fromkeys(("mean", *_BANDS), pl.Float64),
}
_JUDGED: Final[dict[str, PolarsDataType]] = {
    "series_id": ANY_TYPE,
    "model": pl.String,
    "made_at": TIME,
    "horizon": pl.Int64,
    "observations": pl.Int64,
    "mase": pl.Float64,
    "mase_seasonal_naive": pl.Float64,
}
_CRITICAL: Final = 5.374
"""Upper 5% point of W(1) / sqrt(integral of (W(r) - r W(1))^2), W a Wiener process (Kiefer, Vogelsang and Bunzel 2000, table II)."""

_OVERLAP: Final = 3
"""With sums of this share of the record's length as differences, the test calls 10 to 12% of equals worse; with longer ones 30%."""


def accuracy(made: pl.DataFrame, actual: pl.DataFrame, *, freq: str | timedelta, season_length: int | None = None) -> pl.DataFrame:
    """How far past forecasts were from what came, beside the seasonal naive forecast of the same day.

    made: series_id, made_at (UTC, the last time that the forecast knew), time, model, mean, lo_80, hi_80, lo_95, hi_95.
    actual: series_id, time, value; the mean of the values in a step of `freq` counts. What lies at or before made_at gives the
    naive forecast (the newest value known at the same phase) and the scale, so it should reach back some seasons.
    season_length: in steps, by default the shortest usual one of `freq` (a day of hours, a week of days).

    Returns series_id, model, made_at, horizon (upper end of the bucket of steps ahead, see `HORIZONS`), observations (steps
    of the bucket at which forecast, naive forecast and actual value are known), mase, smape (0 to 2), coverage_80,
    coverage_95 (shares), mase_seasonal_naive (over the same steps), status. Nothing observed yet, or a history without
    any change: `not_enough_data` and nulls. Raises ValueError for missing columns, unusable types, a bad freq or season_length.
    Source: Hyndman and Koehler (2006) for the scale, Makridakis et al. (2020) for smape.
    """
    step = step_of(freq)
    season = min(season_lengths_of(step), default=1) if season_length is None else season_length
    if season < 1:
        raise ValueError(f"season_length must be at least 1 step, not {season}")
    micros = step // timedelta(microseconds=1)
    known = _known(actual, step, micros, season)
    points = _points(made, micros, season)
    came = known.select("series_id", bucket="bucket", actual="value")
    before = known.select("series_id", base="bucket", naive="phase_value")
    points = points.join(came, on=["series_id", "bucket"], how="left", nulls_equal=True)
    points = points.join(before, on=["series_id", "base"], how="left", nulls_equal=True)
    scales = points.select("series_id", "known_to").unique().sort("known_to")
    past = known.filter(pl.col("scale").is_not_null()).select("series_id", "scale", known_to="bucket").sort("known_to")
    points = points.join(
        scales.join_asof(past, on="known_to", by="series_id", check_sortedness=False), on=["series_id", "known_to"], nulls_equal=True
    )
    return _losses(points)


def _known(actual: pl.DataFrame, step: timedelta, micros: int, season: int) -> pl.DataFrame:
    """series_id, bucket, value, phase_value (the newest value of its phase so far), scale (of MASE, from what is known so far)."""
    grid = regular_grid(actual, freq=step).with_columns(bucket=pl.col("time").dt.epoch("us") // micros)
    change = (pl.col("value") - pl.col("value").shift(season)).abs().over("series_id")
    phased = grid.with_columns(change=change, phase_value=pl.col("value").forward_fill().over("series_id", pl.col("bucket") % season))
    total, count = pl.col("change").fill_null(0.0).cum_sum(), pl.col("change").is_not_null().cum_sum()
    scale = pl.when(total > 0).then(total / count).over("series_id")
    return phased.select("series_id", "bucket", "value", "phase_value", scale=scale)


def _points(made: pl.DataFrame, micros: int, season: int) -> pl.DataFrame:
    """One row per forecast step with its bucket, the one that the naive forecast repeats (`base`), and its horizon."""
    frame = ensure_columns(made, _MADE).select(list(_MADE)).drop_nulls(["made_at", "time", "mean"])
    frame = frame.unique(["series_id", "made_at", "time", "model"], keep="last", maintain_order=True)
    buckets = frame.with_columns(bucket=pl.col("time").dt.epoch("us") // micros, known_to=pl.col("made_at").dt.epoch("us") // micros)
    ahead = buckets.with_columns(ahead=pl.col("bucket") - pl.col("known_to")).filter(pl.col("ahead") > 0)
    cycles = (pl.col("ahead") + season - 1) // season
    return ahead.with_columns(base=pl.col("bucket") - cycles * season, horizon=_bucket_ends(ahead["ahead"].to_numpy()))


def _bucket_ends(ahead: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> pl.Series:
    """The upper end of the bucket of each number of steps."""
    ends = list(HORIZONS)
    while ends[-1] < ahead.max(initial=1):
        ends.append(2 * ends[-1])
    return pl.Series(np.array(ends, dtype=np.int64)[np.searchsorted(ends, ahead)], dtype=pl.Int64)


def _losses(points: pl.DataFrame) -> pl.DataFrame:
    """The result frame of `accuracy`."""
    judged = pl.all_horizontal(pl.col("actual", "naive").is_not_null())
    error, size = (pl.col("actual") - pl.col("mean")).abs(), pl.col("actual").abs() + pl.col("mean").abs()
    inside = {
        f"coverage_{level}": pl.col("actual").is_between(f"lo_{level}", f"hi_{level}").cast(pl.Float64).filter(judged).mean()
        for level in (80, 95)
    }
    found = points.group_by("series_id", "model", "made_at", "horizon").agg(
        observations=judged.sum().cast(pl.Int64),
        mase=(error / pl.col("scale")).filter(judged).mean(),
        smape=pl.when(size > 0).then(2 * error / size).otherwise(0.0).filter(judged).mean(),
        **inside,
        mase_seasonal_naive=((pl.col("actual") - pl.col("naive")).abs() / pl.col("scale")).filter(judged).mean(),
    )
    enough = pl.col("mase").is_not_null()
    columns = [pl.when(enough).then(pl.col(name)).alias(name) for name in _LOSSES]
    status = pl.when(enough).then(pl.lit(STATUS_OK)).otherwise(pl.lit(NOT_ENOUGH_DATA)).alias("status")
    return found.select("series_id", "model", "made_at", "horizon", "observations", *columns, status).sort(
        "series_id", "model", "made_at", "horizon"
    )


def retired(accuracy: pl.DataFrame, *, min_forecasts: int = 28) -> pl.DataFrame:
    """The members whose forecasts of a series have become worse than the seasonal naive ones, for `forecast(retired=...)`.

    accuracy: as `accuracy` returns it, of the time that shall count: a member comes back when what spoke against it has left.
    Each member of a combination answers for what it took part in. A member is retired where the mean difference of both
    MASEs over at least `min_forecasts` times of forecasting (made_at) is above zero at the 5% level, by Diebold and Mariano's
    test with the self-normalised variance of Kiefer, Vogelsang and Bunzel: it needs no lag for forecasts that overlap,
    and one bad stretch of time, however bad, does not suffice. Horizons (in steps) over a third of the number of forecasts
    do not count: these share most of what came. The seasonal naive member itself is never retired.

    Returns series_id, model (one member). Raises ValueError for missing columns, unusable types or min_forecasts below 2.
    Source: Diebold and Mariano, JBES 13 (1995); Kiefer, Vogelsang and Bunzel, Econometrica 68 (2000).
    """
    if min_forecasts < 2:
        raise ValueError(f"min_forecasts must be at least 2, not {min_forecasts}")
    frame = ensure_columns(accuracy, _JUDGED)
    frame = frame.drop_nulls(["mase", "mase_seasonal_naive"]).with_columns(pl.col("model").str.split("+")).explode("model")
    excess = ((pl.col("mase") - pl.col("mase_seasonal_naive")) * pl.col("observations")).sum() / pl.col("observations").sum()
    count = pl.col("made_at").n_unique().over("series_id", "model")
    frame = frame.filter(pl.col("model") != NAIVE, _OVERLAP * pl.col("horizon") <= count)
    by_time = frame.group_by("series_id", "model", "made_at").agg(excess=excess).sort("made_at")
    records = by_time.group_by("series_id", "model").agg("excess")
    worse = [values.len() >= min_forecasts and _above_zero(values.to_numpy()) for values in records["excess"]]
    return records.filter(pl.Series(worse, dtype=pl.Boolean)).select("series_id", "model").sort("series_id", "model")


def _above_zero(differences: FloatArray) -> bool:
    """Whether the mean of the (autocorrelated) differences is above zero at the 5% level; equal ones are what they are."""
    mean, n = float(differences.mean()), differences.size
    wandering = float(np.sqrt(np.square(np.cumsum(differences - mean)).sum())) / n
    return mean > 0 and np.sqrt(n) * mean > _CRITICAL * wandering
