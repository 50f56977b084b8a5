"""The pooled members: one model learns from all series of a call at once how seasonal differences go on.

Two views of each series, which err on different series, are averaged: scaled values differenced by the long season, and
logged values differenced by the short one (on M4 Hourly their mean had OWA 0.41 where Prophet had 0.79). Boosted trees
learn most; the linear one costs a twentieth and serves fleets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import lcm
from typing import Final

import numpy as np
import numpy.typing as npt

from models.forecast.learners import Learner, Learnt, Linear, boost
from models.forecast.members import Forecasts
from models.forecast.panel import Series
from models.forecast.seasonality import FloatArray

IntArray = npt.NDArray[np.int64]

MAX_ROWS: Final = 60_000
_LEAST_ROWS: Final = 12_000
_ROWS_PER_SERIES: Final = 120
"""Training rows of a view, drawn evenly from the series: a fit costs a third of a second, and stays under one."""
_MAX_TEACHERS: Final = 500
"""Series that training rows are drawn from; of a larger fleet a random part."""
_MIN_ROWS: Final = 400
_RECENT: Final = 8
"""Seasons at the end of a series that give its unit and its features: `_CYCLES` of them and those that lags go back."""
_LEAST_UNIT: Final = 1e-6
"""A series whose cycles differ by less of its range repeats itself up to rounding, and its noise would drown the others."""
_BLOCK: Final = 500
"""Series that are forecast together, which bounds memory."""


@dataclass(frozen=True)
class View:
    """A series on the scale on which it is learnt, its season, and the way back.

    `z` may be the end of the series alone, short of whole seasons; `size` counts all points.
    """

    z: FloatArray
    size: int
    season: int
    day: int
    centre: float
    unit: float
    logged: bool

    def back(self, z: FloatArray) -> FloatArray:
        """Values of the series from values of the view."""
        scaled = z * self.unit + self.centre
        return np.asarray(np.expm1(np.minimum(scaled, 50.0))) if self.logged else scaled


def boosted(origins: Sequence[Sequence[Series]], horizon: int, seed: int) -> list[Forecasts]:
    """Mean of the two views with boosted trees; None for series without three of a season, or with too few rows in all."""
    return _pooled(boost, origins, horizon, seed)


def linear(origins: Sequence[Sequence[Series]], horizon: int, seed: int) -> list[Forecasts]:
    """The same with one linear regression per view."""
    return _pooled(Linear.fit, origins, horizon, seed)


def _pooled(learner: Learner, origins: Sequence[Sequence[Series]], horizon: int, seed: int) -> list[Forecasts]:
    """Learnt once, from what was known at the oldest origin, for all origins: no look ahead, a fifth of the cost."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    # One thread: two took 15 times as long as one (30 s against 2 s) while other processes used the cores.
    with threadpool_limits(1):
        return _both_views(learner, origins, horizon, seed)


def _both_views(learner: Learner, origins: Sequence[Sequence[Series]], horizon: int, seed: int) -> list[Forecasts]:
    """`_pooled` without care for threads."""
    found: list[list[list[FloatArray]]] = [[[] for _ in known] for known in origins]
    for logged in (False, True):
        learnt = _learn(learner, origins[-1], horizon, seed, logged=logged)
        if learnt is None:
            continue
        for slots, known in zip(found, origins, strict=True):
            for first in range(0, len(known), _BLOCK):
                views = [_view(series, logged=logged, whole=False) for series in known[first : first + _BLOCK]]
                for position, forecast in _extend(learnt, views, horizon).items():
                    slots[first + position].append(forecast)
    return [[np.mean(parts, axis=0) if parts else None for parts in slots] for slots in found]


def _view(series: Series, *, logged: bool, whole: bool) -> View | None:
    """The series in one view, whole or its end; None where it lacks three cycles, varies nowhere of late, or cannot be logged."""
    y = series.filled
    seasons = [m for m in series.seasons if 3 * m <= y.size]
    season, day = ((seasons[0] if logged else seasons[-1]), seasons[0]) if seasons else (1, 1)
    if y.size < 3 * season + 8 or (logged and y.min() < 0):
        return None
    period = lcm(season, day)
    end = y[max(0, y.size - _RECENT * season) // period * period :]
    # log1p of values whose largest lies in [1, 2) bends ordinary values little and keeps zeros in range.
    recent = np.log1p(end) if logged else end
    differences = np.abs(recent[season:] - recent[:-season])
    unit = float(differences.sum()) / differences.size or float(recent.std())
    if not unit > _LEAST_UNIT * float(np.ptp(recent)) or not np.isfinite(unit):
        return None
    centre = float(recent[-1])
    values = (np.log1p(y) if logged else y) if whole else recent
    return View((values - centre) / unit, y.size, season, day, centre, unit, logged)


def _learn(learner: Learner, known: Sequence[Series], horizon: int, seed: int, *, logged: bool) -> Learnt | None:
    """The model of all series in one view; None when they give too few rows."""
    rng = np.random.default_rng(seed)
    if len(known) > _MAX_TEACHERS:
        known = [known[i] for i in np.sort(rng.choice(len(known), _MAX_TEACHERS, replace=False))]
    views = [view for view in (_view(series, logged=logged, whole=True) for series in known) if view is not None]
    if not views:
        return None
    rows = min(MAX_ROWS, max(_LEAST_ROWS, _ROWS_PER_SERIES * len(views)))
    drawn = [_draw(view, horizon, rows // len(views), rng) for view in views]
    of = np.repeat(np.arange(len(views)), [origin.size for origin, _ in drawn])
    if of.size < _MIN_ROWS:
        return None
    origin, ahead = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    x, base, now = _features(views, [view.z for view in views], of, origin, ahead)
    target = now - base
    return learner(x, np.clip(target, *np.quantile(target, [0.001, 0.999])), seed)


def _extend(model: Learnt, views: Sequence[View | None], horizon: int) -> dict[int, FloatArray]:
    """Every view's forecast, in blocks of the longest horizon learnt; each block becomes the next one's history."""
    usable = {position: view for position, view in enumerate(views) if view is not None}
    paths = {position: view.z for position, view in usable.items()}
    while pending := [p for p, view in usable.items() if paths[p].size < view.z.size + horizon]:
        counts = np.array([min(_reach(usable[p], horizon), usable[p].z.size + horizon - paths[p].size) for p in pending])
        of = np.repeat(np.arange(len(pending)), counts)
        ahead = np.arange(of.size) - np.repeat(np.cumsum(counts) - counts, counts) + 1
        origin = np.array([paths[p].size - 1 for p in pending])[of]
        x, base, _ = _features([usable[p] for p in pending], [paths[p] for p in pending], of, origin, ahead)
        steps = np.split(base + model.predict(x), np.cumsum(counts)[:-1])
        for p, step in zip(pending, steps, strict=True):
            paths[p] = np.concatenate([paths[p], step])
    return {p: view.back(paths[p][view.z.size :]) for p, view in usable.items()}


def _reach(view: View, horizon: int) -> int:
    """The longest horizon that is learnt: two long seasons, a third of the history at most."""
    return max(1, min(horizon, 2 * view.season if view.season > 1 else horizon, (view.size - 2 * view.season) // 3))


def _draw(view: View, horizon: int, rows: int, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Random pairs of origin and steps ahead, each once at most."""
    reach, first = _reach(view, horizon), 2 * view.season
    origins = view.z.size - reach - first
    if origins < 1:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    drawn = np.sort(rng.choice(origins * reach, size=min(rows, origins * reach), replace=False))
    return first + drawn // reach, 1 + drawn % reach


_CYCLES: Final = 6


def _features(
    views: Sequence[View], paths: Sequence[FloatArray], of: IntArray, origin: IntArray, ahead: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """What is known at the origin about the point `ahead` of it, the value whole seasons before that point, and the point.

    Row i asks about series `of[i]`; all paths lie one after the other on one axis. The point is NaN beyond the path.
    """
    z = np.concatenate(paths)
    begins = np.cumsum([0, *(path.size for path in paths[:-1])])
    m, d = np.array([v.season for v in views])[of], np.array([v.day for v in views])[of]
    sums = np.concatenate([[0.0], np.cumsum(z)])
    start = begins[of]
    now = start + origin
    phase_at = origin + ahead - -(-ahead // m) * m
    base_at, day_at = start + phase_at, now + ahead - -(-ahead // d) * d

    def mean(end: IntArray, length: IntArray) -> FloatArray:
        first = np.maximum(end - length + 1, start)
        return np.asarray((sums[end + 1] - sums[first]) / (end + 1 - first))

    def lag(at: IntArray, steps: IntArray) -> FloatArray:
        return np.asarray(z[np.maximum(at - steps, start + (at - start) % steps)])

    def phase_mean(at: IntArray, period: IntArray) -> FloatArray:
        total, count = np.zeros(at.size), np.zeros(at.size)
        for cycle in range(_CYCLES):
            back = at - period * cycle
            inside = back >= start
            total += np.where(inside, z[np.maximum(back, 0)], 0.0)
            count += inside
        return np.asarray(total / count)

    base, level, last = z[base_at], mean(now, m), z[now]
    before = np.maximum(now - m, start)
    short = np.maximum(1, d // 6)
    week_ago = lag(base_at, m)
    recent = mean(now, short)
    columns = [
        ahead / m,
        np.minimum(ahead, 48),
        (phase_at % d).astype(np.float64),
        (phase_at % m // d).astype(np.float64),
        base - level,
        base - week_ago,
        week_ago - lag(base_at, 2 * m),
        base - z[np.maximum(base_at - 1, start)],
        z[np.minimum(base_at + 1, now)] - base,
        last - z[before],
        recent - mean(before, short),
        mean(now, d) - mean(before, d),
        level - mean(before, m),
        last - recent,
        last - level,
        mean(np.minimum(base_at + short // 2, now), short) - base,
        z[day_at] - base,
        phase_mean(base_at, m) - base,
        phase_mean(day_at, d) - base,
    ]
    points = now + ahead
    known = origin + ahead < np.array([path.size for path in paths])[of]
    return np.column_stack(columns), base, np.where(known, z[np.minimum(points, z.size - 1)], np.nan)
