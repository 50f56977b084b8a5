"""`demand_drivers`: by how much use follows demand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from models.series import ANY_TYPE, NOT_ENOUGH_DATA, STATUS_OK, TIME, ensure_columns, failed, season_lengths_of, step_of

FloatArray = npt.NDArray[np.float64]

MIN_OBSERVATIONS: Final = 48
"""Changes that are left after one was spent on each phase of the cycle."""
MIN_CYCLES: Final = 3
"""Cycles (of a week, else of a day) that must be seen to know what they have in common."""
MIN_VARIATION: Final = 0.005
"""Standard deviation of the logged changes of a driver, apart from the cycle, below which it says nothing: half a percent."""
_SAME: Final = 1e-6
"""Drivers whose correlation matrix has a smaller eigenvalue move together."""
_Z95: Final = 1.959963984540054


def demand_drivers(
    usage: pl.DataFrame, demand: pl.DataFrame, *, freq: str | timedelta = "1h", season_lengths: Sequence[int] | None = None
) -> pl.DataFrame:
    """Elasticity of a resource's use to its demand: use changes by elasticity percent when the driver changes by one percent.

    usage: resource_id, time (UTC), value. demand: resource_id, driver (a name such as `requests`), time, value; one or more
    drivers per resource, which are judged together. Steps of `freq` hold means; values that are not positive count as unknown.
    season_lengths: of cycles that use and demand share, in steps; a day and a week by default.

    Changes of log use from step to step are regressed on those of log demand, after the mean change of each phase of the
    longest cycle that is seen `MIN_CYCLES` times was taken off both. So neither a common trend nor a common rhythm counts as
    cause, only what demand does beside them; the elasticity is that of quick changes, and of the levels seen.

    Returns resource_id, driver, elasticity, elasticity_lo, elasticity_hi (95%, standard errors robust to heteroskedasticity
    and autocorrelation: Newey and West 1987, with lags by their rule 4 (n / 100) ** (2 / 9)), r_squared (share of these
    changes of use that all drivers of the resource explain together), observations, status: not_enough_data where demand does not
    vary apart from its cycle or too little is known, `failed:` where drivers move together. Raises ValueError for missing columns.
    """
    step = step_of(freq)
    seasons = season_lengths_of(step) if season_lengths is None else sorted(season_lengths)
    used = ensure_columns(usage, {"resource_id": ANY_TYPE, "time": TIME, "value": pl.Float64})
    asked = ensure_columns(demand, {"resource_id": ANY_TYPE, "driver": pl.String, "time": TIME, "value": pl.Float64})
    own = {key: part for (key,), part in _steps(used, ["resource_id"], step).group_by("resource_id")}
    rows: list[dict[str, Any]] = []
    for (key,), part in _steps(asked, ["resource_id", "driver"], step).group_by("resource_id", maintain_order=True):
        names = part["driver"].unique().sort().to_list()
        found = _judge(own.get(key), part, names, seasons)
        rows += [{"resource_id": key, "driver": name} | row for name, row in zip(names, found, strict=True)]
    schema: dict[str, Any] = {"resource_id": asked.schema["resource_id"], "driver": pl.String}
    schema |= dict.fromkeys(("elasticity", "elasticity_lo", "elasticity_hi", "r_squared"), pl.Float64)
    return pl.DataFrame(rows, schema={**schema, "observations": pl.Int64, "status": pl.String}).sort("resource_id", "driver")


def _steps(frame: pl.DataFrame, keys: list[str], step: timedelta) -> pl.DataFrame:
    """keys, at (number of the step since 1970), log of the mean value."""
    micros = step // timedelta(microseconds=1)
    known = frame.drop_nulls(["time", "value"]).filter(pl.col("value").is_finite())
    means = known.group_by(*keys, (pl.col("time").dt.epoch("us") // micros).alias("at")).agg(pl.col("value").mean())
    return means.filter(pl.col("value") > 0).with_columns(pl.col("value").log()).sort(*keys, "at")


def _judge(own: pl.DataFrame | None, part: pl.DataFrame, names: list[str], seasons: Sequence[int]) -> list[dict[str, Any]]:
    """One finding per driver."""
    if own is None or own.is_empty():
        return [{"status": NOT_ENOUGH_DATA}] * len(names)
    first, last = int(own["at"].min()), int(own["at"].max())  # type: ignore[arg-type]
    logs = np.full((1 + len(names), last - first + 1), np.nan)
    logs[0, (own["at"] - first).to_numpy()] = own["value"].to_numpy()
    for i, name in enumerate(names):
        inside = part.filter((pl.col("driver") == name) & pl.col("at").is_between(first, last))
        logs[1 + i, (inside["at"] - first).to_numpy()] = inside["value"].to_numpy()
    changes = np.diff(logs, axis=1)
    # A driver that was seen for a small part of the time must not take the others with it.
    seen = np.isfinite(changes[1:]).sum(axis=1) >= np.isfinite(changes[0]).sum() / 2
    changes = changes[np.append(True, seen)]
    season = max((m for m in seasons if m * MIN_CYCLES <= np.isfinite(changes).all(axis=0).sum()), default=1)
    phase = np.arange(first, last) % season
    changes, spent = without_cycle(changes, phase)
    known = np.isfinite(changes[0])
    free = int(known.sum()) - spent
    if free < MIN_OBSERVATIONS:
        return [{"status": NOT_ENOUGH_DATA}] * len(names)
    moves = changes[1:, known].std(axis=1) >= MIN_VARIATION
    if not moves.any():
        return [{"status": NOT_ENOUGH_DATA}] * len(names)
    y, x = changes[0], changes[1:][moves]
    varies = np.array(seen)
    varies[seen] = moves
    if len(x) > 1 and np.linalg.eigvalsh(np.corrcoef(x[:, known]))[0] < _SAME:
        return [{"status": failed("the drivers move together; leave one out") if v else NOT_ENOUGH_DATA} for v in varies]
    slopes, errors, explained = newey_west(y, x, free)
    said = iter(zip(slopes, errors, strict=True))
    rows: list[dict[str, Any]] = []
    for v in varies:
        if not v:
            rows.append({"status": NOT_ENOUGH_DATA})
            continue
        slope, error = (float(value) for value in next(said))
        span = {"elasticity": slope, "elasticity_lo": slope - _Z95 * error, "elasticity_hi": slope + _Z95 * error}
        rows.append({**span, "r_squared": explained, "observations": int(known.sum()), "status": STATUS_OK})
    return rows


def without_cycle(changes: FloatArray, phase: npt.NDArray[np.int64]) -> tuple[FloatArray, int]:
    """Changes (variable, step) minus their mean at each phase, NaN where any variable is unknown; and how many phases were seen."""
    known = np.isfinite(changes).all(axis=0)
    result = np.full(changes.shape, np.nan)
    seen, index, counts = np.unique(phase[known], return_inverse=True, return_counts=True)
    for i, row in enumerate(changes):
        means = np.bincount(index, weights=row[known], minlength=seen.size) / np.maximum(counts, 1)
        result[i, known] = row[known] - means[index]
    return result, int(seen.size)


def newey_west(y: FloatArray, x: FloatArray, free: int) -> tuple[FloatArray, FloatArray, float]:
    """Least squares slopes of y (step) on x (variable, step), their standard errors, and R squared.

    Unknown steps (NaN) are left out but keep their place, so that lags are lags in time. free: observations minus phases.
    """
    known = np.isfinite(y)
    design, target = np.where(known, x, 0.0), np.where(known, y, 0.0)
    inverse = np.linalg.inv(design @ design.T)
    slopes = inverse @ (design @ target)
    rest = target - slopes @ design
    scores = design * rest
    lags = int(4 * (known.sum() / 100) ** (2 / 9))
    middle = scores @ scores.T
    for lag in range(1, lags + 1):
        cross = scores[:, lag:] @ scores[:, :-lag].T
        middle += (1 - lag / (lags + 1)) * (cross + cross.T)
    covariance = inverse @ middle @ inverse * known.sum() / (free - len(x))
    power = float(target @ target)
    explained = 1 - float(rest @ rest) / power if power > 0 else 0.0
    return slopes, np.sqrt(np.maximum(np.diag(covariance), 0.0)), explained
