"""Prediction intervals from the errors at earlier origins: conformal quantiles that widen with the horizon.

Source: conformal prediction with normalised residuals (Lei et al. 2018, section 5.2) applied to rolling origins.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

from models.forecast.seasonality import FloatArray

_PRIOR_GROWTH: Final = 0.25
"""Exponent of widening before anything is known: between white noise (0) and a random walk (0.5)."""
_BORROWED: Final = 800.0
"""Errors of other series count as this many of its own: the tails of a few windows say little alone."""
_OWN_GROWTH: Final = 0.5
_MIN_SERIES: Final = 10
_NEXT: Final = 1.06
"""The next window is one more unlike the known ones: without this, six origins of real hours were covered 78.3 and 93.6%."""

_OUTER: Final = 90
"""From this level on the nearer side lies at least at the mean of both: a few windows show incidents of one direction, and
the next may have the other (three newest origins of real hours: 93.5% inside 95% bands, 92.4 without)."""


def bands(errors: FloatArray, reach: npt.NDArray[np.int64], levels: Sequence[int], horizon: int) -> FloatArray:
    """Offsets from the mean, (series, 2 * levels, horizon): lower, upper of each level, lower <= 0 <= upper.

    errors: (series, window, step), actual minus forecast, NaN where nothing was observed and beyond the `reach` of a
    series. The scale of the errors is `a * step ** g`, g in [0, 1] from the errors (shrunk to the median of the call), so
    that bands never narrow and go on widening beyond the steps seen. Their quantiles mix those of the series with those
    of all series.
    """
    shapes = _growth(errors, reach)
    known = np.isfinite(shapes)
    typical = float(np.median(shapes[known])) if known.any() else _PRIOR_GROWTH
    growth = np.where(known, _OWN_GROWTH * np.where(known, shapes, 0.0) + (1 - _OWN_GROWTH) * typical, _PRIOR_GROWTH)
    scale, units = _standardise(errors, growth)
    shares = np.array([p for level in levels for p in ((1 - level / 100) / 2, (1 + level / 100) / 2)])
    counts = np.isfinite(units).sum(axis=1)
    everyone = units[np.isfinite(units)]
    enough = len(errors) >= _MIN_SERIES and everyone.size > 0
    borrowed = _quantiles(np.sort(everyone)[None, :], shares)[0] if enough else _gaussian(shares)
    own = np.where(counts[:, None] > 0, _quantiles(np.sort(units, axis=1), shares), borrowed)
    weight = (counts / (counts + _BORROWED))[:, None]
    signs = np.resize([-1.0, 1.0], shares.size)
    sizes = np.maximum(signs * (weight * own + (1 - weight) * borrowed), 0.0).reshape(len(errors), len(levels), 2)
    outer = (np.array(levels) >= _OUTER)[:, None]
    offsets = signs * np.where(outer, np.maximum(sizes, sizes.mean(axis=2, keepdims=True)), sizes).reshape(len(errors), shares.size)
    widening = scale[:, None] * np.arange(1, horizon + 1) ** growth[:, None]
    return np.asarray(offsets[:, :, None] * widening[:, None, :])


def _growth(errors: FloatArray, reach: npt.NDArray[np.int64]) -> FloatArray:
    """Exponent with which mean absolute errors grow, over up to six parts of log(step); NaN where too little is known."""
    result = np.full(len(errors), np.nan)
    for steps in np.unique(reach[reach >= 8]).tolist():
        of = np.flatnonzero(reach == steps)
        size = np.abs(errors[of, :, :steps])
        edges = np.unique(np.geomspace(1, steps + 1, 7).astype(int)).tolist()
        x = np.array([np.log(np.sqrt(low * (high - 1))) for low, high in pairwise(edges)])
        parts = [size[:, :, low - 1 : high - 1].reshape(of.size, -1) for low, high in pairwise(edges)]
        counts = np.stack([np.isfinite(part).sum(axis=1) for part in parts], axis=1)
        means = np.stack([np.nansum(part, axis=1) for part in parts], axis=1) / np.maximum(counts, 1)
        weight = np.where(means > 0, counts, 0).astype(np.float64)
        y = np.log(np.where(means > 0, means, 1.0))
        total = np.maximum(weight.sum(axis=1), 1e-300)
        dx = x - ((weight * x).sum(axis=1) / total)[:, None]
        spread = (weight * dx**2).sum(axis=1)
        slope = (weight * dx * y).sum(axis=1) / np.where(spread > 0, spread, 1.0)
        result[of] = np.where((weight > 0).sum(axis=1) >= 3, np.clip(slope, 0.0, 1.0), np.nan)
    return result


def _standardise(errors: FloatArray, growth: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Scale at the first step (series), and the errors at their step in units of the scale of older windows.

    So the units hold what a window can do to a scale that was learnt before it. The oldest window, and one before which
    nothing was ever wrong, gives none.
    """
    unit = errors / np.arange(1, errors.shape[2] + 1) ** growth[:, None, None]
    known = np.isfinite(unit)
    sums, counts = np.where(known, np.abs(unit), 0.0).sum(axis=2), known.sum(axis=2)
    total, count = sums.sum(axis=1, keepdims=True), counts.sum(axis=1, keepdims=True)
    scale = total / np.maximum(count, 1)
    older = (total - sums.cumsum(axis=1)) / np.maximum(count - counts.cumsum(axis=1), 1)
    older = np.where(older > 1e-9 * scale, older, np.nan)
    flat = (unit / older[:, :, None]).reshape(len(errors), errors.shape[1] * errors.shape[2])
    return _NEXT * scale[:, 0], flat


def _quantiles(ordered: FloatArray, shares: FloatArray) -> FloatArray:
    """Quantiles of ascending rows (NaN last) with the conformal correction: the (n + 1) p-th of n from the outside."""
    n = np.isfinite(ordered).sum(axis=1)[:, None]
    rank = np.where(shares < 0.5, np.floor((n + 1) * shares), np.ceil((n + 1) * shares)).astype(np.int64) - 1
    return np.asarray(np.take_along_axis(ordered, np.clip(rank, 0, np.maximum(n - 1, 0)), axis=1))


def _gaussian(shares: FloatArray) -> FloatArray:
    """Quantiles of normal errors whose mean absolute value is 1 (it is sqrt(2 / pi) of the deviation)."""
    return np.array([NormalDist().inv_cdf(p) * np.sqrt(np.pi / 2) for p in shares])
