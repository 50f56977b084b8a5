"""The pooled member: boosted trees that learn from all series of a call at once how seasonal differences go on.

Two views of each series, which err on different series, are averaged: scaled values differenced by the long season, and
logged values differenced by the short one (on M4 Hourly their mean had OWA 0.41 where Prophet had 0.79).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from models.forecast.members import Forecasts
from models.forecast.panel import Series
from models.forecast.seasonality import FloatArray

IntArray = npt.NDArray[np.int64]

MAX_ROWS: Final = 60_000
"""Training rows of a view, drawn evenly from the series: one fit stays near a second on two cores."""
_MIN_ROWS: Final = 400
_TREES: Final[dict[str, Any]] = {
    "max_iter": 120,
    "learning_rate": 0.08,
    "max_leaf_nodes": 24,
    "min_samples_leaf": 20,
    "max_bins": 63,
    "l2_regularization": 1.0,
    "early_stopping": False,
}


@dataclass(frozen=True)
class View:
    """A series on the scale on which it is learnt, its season, and the way back."""

    z: FloatArray
    season: int
    day: int
    centre: float
    unit: float
    logged: bool

    def back(self, z: FloatArray) -> FloatArray:
        """Values of the series from values of the view."""
        scaled = z * self.unit + self.centre
        return np.asarray(np.expm1(np.clip(scaled, -50, 50))) if self.logged else scaled


def pooled(origins: Sequence[Sequence[Series]], horizon: int, seed: int) -> list[Forecasts]:
    """Mean of the two boosted views; None for series without three of a season, or when all together give too few rows.

    Learnt once, from what was known at the oldest origin, for all origins: no look ahead, a fifth of the cost.
    """
    found: list[list[list[FloatArray]]] = [[[] for _ in known] for known in origins]
    for logged in (False, True):
        views = [[_view(s, logged=logged) for s in known] for known in origins]
        learnt = _learn([view for view in views[-1] if view is not None], horizon, seed)
        if learnt is None:
            continue
        for slots, known in zip(found, views, strict=True):
            for position, forecast in _extend(learnt, known, horizon).items():
                slots[position].append(forecast)
    return [[np.mean(parts, axis=0) if parts else None for parts in slots] for slots in found]


def _view(series: Series, *, logged: bool) -> View | None:
    """The series in one view; None where it lacks three cycles, varies nowhere, or cannot be logged."""
    y = series.filled
    seasons = [m for m in series.seasons if 3 * m <= y.size]
    season = (seasons[0] if logged else seasons[-1]) if seasons else 1
    if y.size < 3 * season + 8 or (logged and (y.min() < 0 or y.max() <= 0)):
        return None
    if logged:
        # The unit of log1p: a hundredth of the median keeps zeros in range without bending ordinary values.
        return _scaled(np.log1p(y), season, seasons, logged=True)
    return _scaled(y, season, seasons, logged=False)


def _scaled(values: FloatArray, season: int, seasons: Sequence[int], *, logged: bool) -> View | None:
    """Values in units of their mean seasonal difference (or spread, where cycles repeat exactly)."""
    unit = float(np.abs(values[season:] - values[:-season]).mean()) or float(values.std())
    if not unit > 0 or not np.isfinite(unit):
        return None
    centre = float(np.median(values))
    return View((values - centre) / unit, season, seasons[0] if seasons else 1, centre, unit, logged)


def _learn(views: Sequence[View], horizon: int, seed: int) -> Any | None:
    """The boosted model of all views; None when they give too few rows."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    if not views:
        return None
    rng = np.random.default_rng(seed)
    samples = [_sample(view, horizon, MAX_ROWS // len(views), rng) for view in views]
    x, target = (np.concatenate(parts) for parts in zip(*samples, strict=True))
    if target.size < _MIN_ROWS:
        return None
    model = HistGradientBoostingRegressor(random_state=seed, **_TREES)
    # One thread: two took 15 times as long as one (30 s against 2 s) while other processes used the cores.
    with threadpool_limits(1, "openmp"):
        return model.fit(x, np.clip(target, *np.quantile(target, [0.001, 0.999])))


def _extend(model: Any, views: Sequence[View | None], horizon: int) -> dict[int, FloatArray]:
    """Every view's forecast, in blocks of the longest horizon learnt; each block becomes the next one's history."""
    from threadpoolctl import threadpool_limits

    usable = {position: view for position, view in enumerate(views) if view is not None}
    paths = {position: view.z for position, view in usable.items()}
    while pending := [p for p, view in usable.items() if paths[p].size < view.z.size + horizon]:
        left = {p: usable[p].z.size + horizon - paths[p].size for p in pending}
        blocks = [np.arange(1, min(_reach(usable[p], horizon), left[p]) + 1) for p in pending]
        ends = [np.array([paths[p].size - 1]) for p in pending]
        parts = [_features(usable[p], paths[p], end, block) for p, end, block in zip(pending, ends, blocks, strict=True)]
        with threadpool_limits(1, "openmp"):
            flat = model.predict(np.concatenate([x for x, _ in parts]))
        steps = np.split(flat, np.cumsum([block.size for block in blocks])[:-1])
        for p, (_, base), step in zip(pending, parts, steps, strict=True):
            paths[p] = np.concatenate([paths[p], base + step])
    return {p: view.back(paths[p][view.z.size :]) for p, view in usable.items()}


def _reach(view: View, horizon: int) -> int:
    """The longest horizon that is learnt: two long seasons, a third of the history at most."""
    return max(1, min(horizon, 2 * view.season if view.season > 1 else horizon, (view.z.size - 2 * view.season) // 3))


def _sample(view: View, horizon: int, rows: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Random pairs of origin and horizon, each once at most: features and seasonal differences to learn."""
    reach, first = _reach(view, horizon), 2 * view.season
    origins = view.z.size - reach - first
    if origins < 1:
        return np.empty((0, _WIDTH)), np.empty(0)
    count = min(rows, origins * reach)
    drawn = np.sort(rng.choice(origins * reach, size=count, replace=False))
    origin, ahead = first + drawn // reach, 1 + drawn % reach
    x, base = _features(view, view.z, origin, ahead)
    return x, view.z[origin + ahead] - base


_WIDTH: Final = 19
_CYCLES: Final = 6


def _features(view: View, z: FloatArray, origin: IntArray, ahead: IntArray) -> tuple[FloatArray, FloatArray]:
    """What is known at the origin about the point `ahead` of it, and the value whole seasons before that point."""
    m, d = view.season, view.day
    origin, ahead = np.broadcast_arrays(origin, ahead)
    cycles = -(-ahead // m)
    base_at = origin + ahead - cycles * m
    sums = np.concatenate([[0.0], np.cumsum(z)])

    def mean(end: IntArray, length: int) -> FloatArray:
        start = np.maximum(end - length + 1, 0)
        return np.asarray((sums[end + 1] - sums[start]) / (end + 1 - start))

    def lag(at: IntArray, steps: int) -> FloatArray:
        return np.asarray(z[np.maximum(at - steps, at % max(steps, 1))])

    def phase_mean(at: IntArray, period: int) -> FloatArray:
        back = at[:, None] - period * np.arange(_CYCLES)
        return np.asarray(np.where(back >= 0, z[np.maximum(back, 0)], 0.0).sum(axis=1) / (back >= 0).sum(axis=1))

    base, level, last = z[base_at], mean(origin, m), z[origin]
    before = np.maximum(origin - m, 0)
    short = max(1, d // 6)
    columns = [
        ahead / m,
        np.minimum(ahead, 48),
        (base_at % d).astype(np.float64),
        (base_at % m // d).astype(np.float64),
        base - level,
        base - lag(base_at, m),
        lag(base_at, m) - lag(base_at, 2 * m),
        base - z[np.maximum(base_at - 1, 0)],
        z[np.minimum(base_at + 1, origin)] - base,
        last - z[before],
        mean(origin, short) - mean(before, short),
        mean(origin, d) - mean(before, d),
        level - mean(before, m),
        last - mean(origin, short),
        last - level,
        mean(np.minimum(base_at + short // 2, origin), short) - base,
        lag(origin + ahead - -(-ahead // d) * d, 0) - base,
        phase_mean(base_at, m) - base,
        phase_mean(origin + ahead - -(-ahead // d) * d, d) - base,
    ]
    return np.column_stack(columns), base
