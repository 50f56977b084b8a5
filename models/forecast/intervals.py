"""Prediction intervals from the errors at earlier origins: conformal quantiles that widen with the horizon.

Source: conformal prediction with normalised residuals (Lei et al. 2018, section 5.2) applied to rolling origins.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from models.forecast.seasonality import FloatArray

_PRIOR_GROWTH: Final = 0.25
"""Exponent of widening before anything is known: between white noise (0) and a random walk (0.5)."""
_BORROWED: Final = 200.0
"""Errors of other series count as this many of its own: the tails of a few windows say little alone."""
_OWN_GROWTH: Final = 0.5
_MIN_SERIES: Final = 10


def bands(errors: Sequence[FloatArray], levels: Sequence[int], horizon: int) -> list[FloatArray]:
    """Offsets from the mean, (2 * levels, horizon) per series: lower, upper of each level, lower <= 0 <= upper.

    errors: (window, step) per series, actual minus forecast, NaN where nothing was observed. The scale of the errors is
    `a * step ** g`, g in [0, 1] from the errors (shrunk to the median of the call), so that bands never narrow and go
    on widening beyond the steps seen. Their quantiles mix those of the series with those of all series.
    """
    shapes = [_growth(error) for error in errors]
    typical = float(np.median([g for g in shapes if g is not None] or [_PRIOR_GROWTH]))
    growth = [_PRIOR_GROWTH if g is None else _OWN_GROWTH * g + (1 - _OWN_GROWTH) * typical for g in shapes]
    units = [_standardise(error, g) for error, g in zip(errors, growth, strict=True)]
    all_together = np.concatenate([u for _, u in units if u.size] or [np.zeros(0)])
    shares = [p for level in levels for p in ((1 - level / 100) / 2, (1 + level / 100) / 2)]
    borrowed = _quantiles(all_together, shares) if len(errors) >= _MIN_SERIES else _gaussian(shares)
    steps = np.arange(1, horizon + 1)
    result = []
    for (scale, unit), g in zip(units, growth, strict=True):
        own = _quantiles(unit, shares) if unit.size else borrowed
        weight = unit.size / (unit.size + _BORROWED)
        offsets = weight * own + (1 - weight) * borrowed
        signs = np.resize([-1.0, 1.0], len(shares))
        offsets = signs * np.maximum(signs * offsets, 0.0)
        result.append(np.outer(offsets, scale * steps**g))
    return result


def _growth(errors: FloatArray) -> float | None:
    """Exponent with which mean absolute errors grow, from the two halves of log(step); None for under 8 steps."""
    size = np.abs(errors)
    known = np.isfinite(size)
    if size.shape[1] < 8 or not known.any():
        return None
    steps = np.broadcast_to(np.arange(1, size.shape[1] + 1), size.shape)
    edges = np.unique(np.geomspace(1, size.shape[1] + 1, 7).astype(int))
    points = []
    for low, high in pairwise(edges.tolist()):
        inside = known & (steps >= low) & (steps < high)
        if inside.any() and (mean := float(size[inside].mean())) > 0:
            points.append((np.log(np.sqrt(low * (high - 1))), np.log(mean), inside.sum()))
    if len(points) < 3:
        return None
    x, y, w = (np.array(column) for column in zip(*points, strict=True))
    slope = float(np.polyfit(x, y, 1, w=np.sqrt(w))[0])
    return min(1.0, max(0.0, slope))


def _standardise(errors: FloatArray, growth: float) -> tuple[float, FloatArray]:
    """Scale at the first step, and the errors in units of the scale at their step."""
    unit = errors / np.arange(1, errors.shape[1] + 1) ** growth
    unit = unit[np.isfinite(unit)]
    scale = float(np.abs(unit).mean()) if unit.size else 0.0
    if not scale > 0:
        return 0.0, np.zeros(0)
    windows = np.isfinite(errors).any(axis=1).sum()
    # Errors of one window hang together: the next window differs from these few as a draw does from a mean of `windows`.
    return scale * float(np.sqrt(1 + 1 / windows)), unit / scale


def _quantiles(unit: FloatArray, shares: Sequence[float]) -> FloatArray:
    """Quantiles with the conformal correction for a finite sample: the (n + 1) p-th of n from the outside."""
    n = unit.size
    ordered = np.sort(unit)
    low = [max(0, int(np.floor((n + 1) * p)) - 1) for p in shares]
    high = [min(n - 1, int(np.ceil((n + 1) * p)) - 1) for p in shares]
    return np.array([ordered[lo if p < 0.5 else hi] for p, lo, hi in zip(shares, low, high, strict=True)])


def _gaussian(shares: Sequence[float]) -> FloatArray:
    """Quantiles of normal errors whose mean absolute value is 1 (it is sqrt(2 / pi) of the deviation)."""
    from statistics import NormalDist

    return np.array([NormalDist().inv_cdf(p) * np.sqrt(np.pi / 2) for p in shares])
