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
from models.trend.multiple_tests import benjamini_hochberg
from models.trend.seasonal import deseasonalise, moving_median
from models.trend.segmentation import Cut, best_cuts, noise_variance, piece_costs, sure_cuts

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]

MIN_POINTS = 20
"""Fewer points (after averaging to the grid) are not enough data."""
MIN_PIECE = 5
"""The fewest points between two change points."""
MAX_BLOCKS = 400
"""The cuts are searched on so many block means at most, and placed to the point afterwards."""
ALPHA = 0.05
"""False discovery rate over all series of one call."""
CLIP = 2.0
"""Points further than this many standard deviations from their moving median are drawn in to it."""

_DAY = timedelta(days=1)
_RESULT: dict[str, PolarsDataType] = {
    "time": TIME,
    "before": pl.Float64,
    "after": pl.Float64,
    "relative_change": pl.Float64,
    "p_value": pl.Float64,
    "status": pl.String,
}
_Row = tuple[object, ...]


def change_points(history: pl.DataFrame, *, freq: str | None = None) -> pl.DataFrame:
    """The lasting changes of every series: deploys, migrations, new customers; not incidents that pass.

    history: series_id, time (UTC), value, in any order, with gaps. freq: the step of the grid, by default the most
    usual distance of each series. Daily and weekly rhythm is removed first. A change must last a day where a day has
    over `MIN_PIECE` points and is under a twentieth of the series, else a twentieth, and always `MIN_PIECE` points.
    Returns, sorted by series and time, one row per change: series_id, time (first point after it), before and after
    (medians up to the next change, rhythm removed), relative_change ((after - before) / |before|, null from (almost) zero),
    p_value (allowing for autocorrelation and the choice of the place), q_value (Benjamini-Hochberg over all series of
    the call; at most `ALPHA`), status. A series without change has no row; one that cannot be judged has one row of
    nulls with its status. O(n log n) in the points of a series.
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
        .select("series_id", "time", "before", "after", "relative_change", "p_value", "q_value", "status")
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
        times, values, per_day = _without_rhythm(times, values, step)
    if times.size < MIN_POINTS:
        return [(*(None for _ in range(len(_RESULT) - 1)), NOT_ENOUGH_DATA)]
    shortest = _shortest(values.size, per_day)
    calm = _clipped(values, shortest)
    width = -(-values.size // MAX_BLOCKS)
    edges = np.linspace(0, values.size, -(-values.size // width) + 1).round().astype(np.int64)
    blocks = np.add.reduceat(calm, edges[:-1]) / np.diff(edges)
    day = round(per_day / width)
    widths = [1, day] if day >= 2 and blocks.size >= 20 * day else [1, 4] if blocks.size >= 100 else [1]
    noise = noise_variance(blocks, widths)
    rounding = (np.finfo(np.float64).eps * float(np.abs(blocks).max())) ** 2
    costs = piece_costs(blocks, max(noise, rounding, np.finfo(np.float64).tiny))
    piece = max(2 if width > 1 else MIN_PIECE, -(-shortest // width))
    cuts = sure_cuts(costs, best_cuts(costs, piece), piece, max(blocks.size / max(widths) / 3, 5.0), ALPHA)
    if not cuts:
        return [(None, None, None, None, 1.0, STATUS_OK)]
    return _placed(times, values, calm, edges, cuts)


def _placed(times: Times, values: Floats, calm: Floats, edges: npt.NDArray[np.int64], cuts: list[Cut]) -> list[_Row]:
    """The rows of the cuts, each moved from the border of two blocks to the point that separates best."""
    borders = [0, *(int(edges[cut.place]) for cut in cuts), values.size]
    reach = 2 * int(np.diff(edges).max())
    if reach > 2:
        for k in range(1, len(borders) - 1):
            borders[k] = _sharpened(calm, borders[k - 1], borders[k], borders[k + 1], reach)
    rows: list[_Row] = []
    for k, cut in enumerate(cuts, start=1):
        before = float(np.median(values[borders[k - 1] : borders[k]]))
        after = float(np.median(values[borders[k] : borders[k + 1]]))
        ratio = (after - before) / abs(before) if before else np.inf
        relative = ratio if np.isfinite(ratio) else None
        rows.append((times[borders[k]].item(), before, after, relative, cut.p_value, STATUS_OK))
    return rows


def _sharpened(calm: Floats, first: int, place: int, last: int, reach: int) -> int:
    """The place within `reach` of `place` at which two levels, those of the calm points beyond reach, fit best."""
    low, high = max(place - reach, first + 1), min(place + reach, last - 1)
    before = float(np.mean(calm[first:low]))
    after = float(np.mean(calm[high:last]))
    window = calm[low:high]
    gain = np.concatenate([[0.0], np.cumsum((window - before) ** 2 - (window - after) ** 2)])
    return low + int(np.argmin(gain))


def _without_rhythm(times: Times, values: Floats, step: timedelta | None) -> tuple[Times, Floats, float]:
    """Times, values without daily and weekly rhythm, and points per day, of the grid where the times fit one."""
    step = step or infer_step(times) or _DAY
    micros = step // timedelta(microseconds=1)
    slot = times.astype("datetime64[us]").astype(np.int64) // micros
    size = int(slot[-1] - slot[0]) + 1
    if size > min(4 * values.size, MAX_GRID_POINTS):  # too sparse for phases to be told apart
        return times, values, 0.0
    place = slot - slot[0]
    count = np.bincount(place, minlength=size)
    sums = np.bincount(place, values, minlength=size)
    grid = np.divide(sums, count, out=np.full(size, np.nan), where=count > 0)
    grid = deseasonalise(grid, season_lengths_of(step))[0]
    known = np.flatnonzero(count)
    return ((known + slot[0]) * micros).astype("datetime64[us]"), grid[known], _DAY / step


def _shortest(points: int, per_day: float) -> int:
    """How many points a new level must last: a day, at most a twentieth of the series, at least `MIN_PIECE`."""
    twentieth = points // 20
    return max(MIN_PIECE, min(round(per_day), twentieth) if per_day > MIN_PIECE else min(MIN_PIECE, twentieth))


def _clipped(values: Floats, shortest: int) -> Floats:
    """The values drawn in to `CLIP` standard deviations from a median that moves over twice the shortest piece."""
    centre = moving_median(values, 2 * (shortest - 1))
    distance = values - centre
    limit = CLIP * 1.4826 * float(np.median(np.abs(distance)))
    return np.asarray(centre + np.clip(distance, -limit, limit), np.float64)
