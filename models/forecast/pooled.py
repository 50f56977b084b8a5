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
from models.forecast.threads import in_pieces

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
_TERMS: Final = 2
"""Models of one call at most: what ends early must not learn from what came later elsewhere."""


@dataclass(frozen=True)
class View:
    """A series on the scale on which it is learnt: z = (values - centre) / unit; where it is `logged`, of log1p(values / scale).

    `z` may be the end of the series alone, short of whole seasons; `size` counts all points.
    """

    z: FloatArray
    size: int
    season: int
    day: int
    centre: float
    unit: float
    scale: float
    logged: bool


def boosted(origins: Sequence[Sequence[Series]], horizon: int, seed: int) -> list[Forecasts]:
    """Mean of the two views with boosted trees; None for series without three of a season, or with too few rows in all."""
    return _pooled(boost, origins, horizon, seed)


def linear(origins: Sequence[Sequence[Series]], horizon: int, seed: int) -> list[Forecasts]:
    """The same with one linear regression per view."""
    return _pooled(Linear.fit, origins, horizon, seed)


def _pooled(learner: Learner, origins: Sequence[Sequence[Series]], horizon: int, seed: int) -> list[Forecasts]:
    """Learnt once for all origins of series that lie at about the same time, from what was known of any series at the oldest."""
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    libraries = ThreadpoolController()
    found: list[Forecasts] = [[None] * len(known) for known in origins]
    for positions, end in _terms([s.first_bucket + s.size for s in origins[-1]], horizon):
        teachers = [s if s.first_bucket + s.size <= end else s.upto(end - s.first_bucket) for s in origins[0] if s.first_bucket < end]
        # One thread: two took 15 times as long as one (30 s against 2 s) while other processes used the cores.
        with libraries.limit(limits=1):
            models = [(logged, _learn(learner, teachers, horizon, seed, logged=logged)) for logged in (False, True)]

        def extend(piece: slice, positions: IntArray = positions, models: list[tuple[bool, Learnt | None]] = models) -> None:
            for slots, known in zip(found, origins, strict=True):
                part = [known[position] for position in positions[piece]]
                with libraries.limit(limits=1):
                    said = [_extend(model, _views(part, logged=logged), horizon) for logged, model in models if model is not None]
                for row, position in enumerate(positions[piece]):
                    views = [one[row] for one in said if row in one]
                    slots[position] = sum(views[1:], views[0]) / len(views) if views else None

        in_pieces(extend, positions.size)
    return found


def _terms(ends: Sequence[int], horizon: int) -> list[tuple[IntArray, int]]:
    """Positions of series that end at about the same time, and the earliest of these times."""
    at = np.array(ends, dtype=np.int64)
    if not at.size:
        return []
    length = max(horizon, -(-(int(np.ptp(at)) + 1) // _TERMS))
    term = (at.max() - at) // length
    return [(of, int(at[of].min())) for of in (np.flatnonzero(term == one) for one in np.unique(term))]


def _views(known: Sequence[Series], *, logged: bool, whole: bool = False) -> list[View | None]:
    """The series in one view, whole or their ends; None for one that lacks three cycles, varies nowhere of late, or cannot be logged."""
    groups: dict[tuple[int, int, int], list[int]] = {}
    for position, series in enumerate(known):
        size = series.filled.size
        seasons = [m for m in series.seasons if 3 * m <= size]
        season, day = ((seasons[0] if logged else seasons[-1]), seasons[0]) if seasons else (1, 1)
        if size >= 3 * season + 8:
            groups.setdefault((season, day, size), []).append(position)
    found: list[View | None] = [None] * len(known)
    for (season, day, size), positions in groups.items():
        period = lcm(season, day)
        start = max(0, size - _RECENT * season) // period * period
        values = np.stack([known[position].filled[0 if whole else start :] for position in positions])
        possible = values.min(axis=1) >= 0 if logged else np.ones(len(values), dtype=np.bool_)
        largest = (values[:, start:] if whole else values).max(axis=1)
        # log1p of values whose largest recent one lies in [1, 2) bends ordinary values little and keeps zeros in range.
        scale = 2.0 ** np.floor(np.log2(np.where(largest > _LEAST_UNIT, largest, 1.0)))
        values = np.log1p(np.maximum(values, 0.0) / scale[:, None]) if logged else values
        recent = values[:, start:] if whole else values
        unit = np.abs(recent[:, season:] - recent[:, :-season]).mean(axis=1)
        unit = np.where(unit > 0, unit, recent.std(axis=1))
        possible &= (unit > _LEAST_UNIT * np.ptp(recent, axis=1)) & np.isfinite(unit)
        centre = recent[:, -1].copy()
        values = (values - centre[:, None]) / np.where(possible, unit, 1.0)[:, None]
        for row in np.flatnonzero(possible):
            found[positions[row]] = View(values[row], size, season, day, float(centre[row]), float(unit[row]), float(scale[row]), logged)
    return found


def _learn(learner: Learner, known: Sequence[Series], horizon: int, seed: int, *, logged: bool) -> Learnt | None:
    """The model of all series in one view; None when they give too few rows."""
    rng = np.random.default_rng(seed)
    if len(known) > _MAX_TEACHERS:
        known = [known[i] for i in np.sort(rng.choice(len(known), _MAX_TEACHERS, replace=False))]
    views = [view for view in _views(known, logged=logged, whole=True) if view is not None]
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
        steps, stop = base + model.predict(x), 0
        for p, count in zip(pending, counts.tolist(), strict=True):
            first, stop = stop, stop + count
            paths[p] = np.concatenate([paths[p], steps[first:stop]])
    if not usable:
        return {}
    units, centres, scales = (np.array([[getattr(view, name)] for view in usable.values()]) for name in ("unit", "centre", "scale"))
    scaled = np.stack([paths[p][view.z.size :] for p, view in usable.items()]) * units + centres
    logged = next(iter(usable.values())).logged
    return dict(zip(usable, np.expm1(np.minimum(scaled, 50.0)) * scales if logged else scaled, strict=True))


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
