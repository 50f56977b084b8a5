"""`change_points`: when did the level of a series change for good, by how much, and how sure is that."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import numpy.typing as npt
import polars as pl
from polars._typing import PolarsDataType

from models.series import (
    MAX_GRID_POINTS,
    NOT_ENOUGH_DATA,
    STATUS_OK,
    TIME,
    clean_history,
    failed,
    infer_step,
    season_lengths_of,
    step_of,
)
from models.trend.exact import is_exact
from models.trend.multiple_tests import benjamini_hochberg
from models.trend.search import Shift, shifts_of
from models.trend.seasonal import deseasonalise

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]

MIN_POINTS = 20
"""Fewer points (after averaging to the grid) are not enough data."""
ALPHA = 0.05
"""False discovery rate over all series of one call."""


_DAY = timedelta(days=1)
_RESULT: dict[str, PolarsDataType] = {
    "time": TIME,
    "before": pl.Float64,
    "after": pl.Float64,
    "relative_change": pl.Float64,
    "relative_change_lo": pl.Float64,
    "relative_change_hi": pl.Float64,
    "p_value": pl.Float64,
    "status": pl.String,
}
_Row = tuple[object, ...]


def change_points(history: pl.DataFrame, *, freq: str | None = None) -> pl.DataFrame:
    """The lasting changes of every series: deploys, migrations, new customers; not incidents that pass.

    history: series_id, time (UTC), value, in any order, with gaps. freq: the step of the grid, by default the most
    usual distance of each series. Daily and weekly rhythm is removed first. A change must last a day where a day has
    over five points and is under a twentieth of the series, else a twentieth, and always five points.
    Returns, sorted by series and time, one row per change: series_id, time (first point after it), before and after
    (medians up to the next change, rhythm removed), relative_change ((after - before) / |before|, null from (almost) zero),
    relative_change_lo and relative_change_hi (its 95% interval, allowing for autocorrelation; null where a level crosses zero or where the
    noise is a random walk, whose level has no meaning), p_value (allowing for autocorrelation and the choice of the place),
    q_value (Benjamini-Hochberg over all series of the call; at most `ALPHA`), status. A series without change has no
    row; one that cannot be judged has one row of nulls with its status. O(n log n) in the points of a series.
    Raises ValueError for missing columns, unusable types or a bad freq; never for data.
    """
    step = None if freq is None else step_of(freq)
    groups = clean_history(history).group_by("series_id", maintain_order=True).agg("time", "value")
    found = [_one(times.to_numpy(), values.to_numpy(), step) for times, values in zip(groups["time"], groups["value"], strict=True)]
    frame = pl.concat(
        [
            groups.select("series_id").select(pl.col("series_id").repeat_by(pl.Series([len(rows) for rows in found])).explode()),
            pl.DataFrame([row for rows in found for row in rows], schema=_RESULT, orient="row"),
        ],
        how="horizontal",
    )
    q_values = benjamini_hochberg(frame["p_value"].fill_null(float("nan")).to_numpy())
    return (
        frame.with_columns(q_value=pl.Series(q_values, dtype=pl.Float64).fill_nan(None))
        .filter((pl.col("time").is_not_null() & (pl.col("q_value") <= ALPHA)) | (pl.col("status") != STATUS_OK))
        .select("series_id", *(name for name in _RESULT if name != "status"), "q_value", "status")
    )


def _one(times: Times, values: Floats, step: timedelta | None) -> list[_Row]:
    """The rows of one series, at least one: a series that was judged and has no change has a row without time."""
    known = ~np.isnan(values)
    try:
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            return _measure(times[known], values[known], step)
    except (ArithmeticError, np.linalg.LinAlgError) as error:
        return [(*(None for _ in range(len(_RESULT) - 1)), failed(f"the values leave the range of floats ({error})"))]


def _measure(times: Times, values: Floats, step: timedelta | None) -> list[_Row]:
    """The rows of one series of known values in order of time."""
    if times.size:
        times, values, seasons, per_day = _on_grid(times, values, step)
    known = np.flatnonzero(~np.isnan(values))
    if known.size < MIN_POINTS:
        return [(*(None for _ in range(len(_RESULT) - 1)), NOT_ENOUGH_DATA)]
    ruled = is_exact(values[known], known)
    shifts = [] if ruled else shifts_of(deseasonalise(values, seasons)[0][known], per_day)
    return [_row(times[known[shift.place]].item(), shift) for shift in shifts] or [(*(None for _ in range(6)), 1.0, STATUS_OK)]


def _row(time: object, shift: Shift) -> _Row:
    """A shift as a row of `_RESULT`."""
    ratio = (shift.after - shift.before) / abs(shift.before) if shift.before else np.inf
    relative = ratio if np.isfinite(ratio) else None
    bounds = (shift.relative_change_lo, shift.relative_change_hi) if relative is not None else (None, None)
    return (time, shift.before, shift.after, relative, *bounds, shift.p_value, STATUS_OK)


def _on_grid(times: Times, values: Floats, step: timedelta | None) -> tuple[Times, Floats, list[int], float]:
    """Times, values with NaN for gaps, season lengths, and points per day, of the grid where the times fit one."""
    step = step or infer_step(times) or _DAY
    micros = step // timedelta(microseconds=1)
    slot = times.astype("datetime64[us]").astype(np.int64) // micros
    size = int(slot[-1] - slot[0]) + 1
    if size > min(4 * values.size, MAX_GRID_POINTS):  # too sparse for phases to be told apart
        return times, values, [], 0.0
    place = slot - slot[0]
    count = np.bincount(place, minlength=size)
    sums = np.bincount(place, values, minlength=size)
    grid = np.divide(sums, count, out=np.full(size, np.nan), where=count > 0)
    return ((np.arange(size) + slot[0]) * micros).astype("datetime64[us]"), grid, season_lengths_of(step), _DAY / step
