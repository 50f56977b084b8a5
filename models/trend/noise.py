"""How noisy one sequence is underneath its steps, spikes and slopes, and whether its noise adds up to a random walk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.trend.seasonal import moving_median

Floats = npt.NDArray[np.float64]

CORRELATION_ERROR = 1.5
"""Standard error of the autocorrelation, times the root of the number of values."""
BLOCK_ERROR = 1.9
"""Standard error of the logarithm of a variance from differences of block means, times the root of their number."""
LOCAL = 9
"""Differences of block means are centred on the median of so many around them: a bend is no noise."""
HIGHEST = 0.95
"""No autocorrelation above this is believed."""
CLIPPED_SHARE = 0.979
"""Variance of a standard normal drawn in to 2.5."""


@dataclass(frozen=True)
class Noise:
    """variance: of one value as it enters sums over many (long-run variance); 0 for a constant.

    freedom: degrees of freedom of that estimate, at least 2.
    integrated: the noise cannot be told from a random walk, whose level has no meaning: look at the increments.
    """

    variance: float
    freedom: float
    integrated: bool


def noise_of(values: Floats, width: int) -> Noise:
    """The noise of values (n,), robust against steps, spikes, slopes and bends; width: of the blocks of a second look.

    Differences one and two apart give the variance and the order-one autocorrelation, and with them the long-run
    variance. Differences of block means give it a second time, in case the memory is longer than order one. The answer
    is the geometric mean of both, or the second where it is surely larger (memory, or rhythm that was left); its
    freedom is that of the delta method: near a random walk next to nothing is known.
    Where over half of the values repeat the one before, no memory is seen.
    Source: Chakar et al., "A robust approach for estimating change-points in the mean of an AR(1) process",
    Bernoulli 23 (2017), section 2, with the standard deviation after clipping as the robust scale.
    """
    one, two = (_spread(values[lag:] - values[:-lag]) ** 2 for lag in (1, 2))
    if one <= 0:
        return Noise(0.0, 2.0, False)
    error = CORRELATION_ERROR / np.sqrt(values.size)
    mostly_still = 2 * np.count_nonzero(np.diff(values)) <= values.size
    seen = 0.0 if mostly_still else two / one - 1.0
    correlation = float(np.clip(seen, 0.0, HIGHEST))
    logs, slopes, rest = [], [], []
    for size in sorted({1, width}):
        blocks = values[: values.size // size * size].reshape(-1, size).mean(axis=1)
        shown = size * _spread(np.diff(blocks), None if size == 1 else LOCAL) ** 2 / 2
        if shown <= 0:
            return Noise(0.0, 2.0, False)
        share, near = (np.log(_shown_share(c, size)) for c in (correlation, correlation - 0.01))
        logs.append(np.log(shown) - share)
        slopes.append((near - share) / 0.01)
        rest.append(0.0 if size == 1 else BLOCK_ERROR / np.sqrt(blocks.size))
    doubt = np.hypot(np.mean(slopes) * error, np.mean(rest))
    longer = logs[-1] - logs[0] > 2 * rest[-1]
    variance = float(np.exp(max(logs) if longer else np.mean(logs)))
    return Noise(variance, float(max(2 / doubt**2, 2.0)), bool(seen + error >= 1.0))


def _shown_share(correlation: float, width: int) -> float:
    """How much of the long-run variance of an order-one process the differences of its neighbouring block means show."""
    decay = correlation**width
    own = width * (1 - correlation**2) - 2 * correlation * (1 - decay)
    shared = correlation * (1 - decay) ** 2
    return (own - shared) / (width * (1 - correlation**2))


def _spread(differences: Floats, window: int | None = None) -> float:
    """Standard deviation around the median (a moving one where a window is given) after drawing in to 2.5 times the
    median absolute deviation (of the mean absolute deviation where over half are equal)."""
    around = moving_median(differences, min(window, differences.size // 3)) if window else np.median(differences)
    distance = np.abs(differences - around)
    scale = float(1.4826 * np.median(distance)) or float(1.2533 * np.mean(distance))
    return float(np.sqrt(np.mean(np.minimum(distance, 2.5 * scale) ** 2) / CLIPPED_SHARE))
