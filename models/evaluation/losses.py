"""Losses of point forecasts, quantiles and intervals over numpy arrays whose last axis is time.

Rules for all: leading axes are series (or folds, or models) and broadcast; a pair in which either side is NaN is left
out; where nothing is left, or the loss is undefined, the result is NaN. Nothing here raises on data.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def seasonal_scale(history: npt.ArrayLike, season_length: int) -> Floats:
    """Mean absolute error of the seasonal naive forecast inside the history: the denominator of `mase`.

    history: (..., n) in order of time, NaN for gaps; season_length in steps. NaN where no pair `season_length` apart
    exists or where all such pairs are equal (the scaled error is then undefined).
    Source: Hyndman and Koehler, "Another look at measures of forecast accuracy", IJF 22 (2006), section 3.
    """
    if season_length < 1:
        raise ValueError(f"season_length must be at least 1 step, not {season_length}")
    values = np.asarray(history, np.float64)
    scale = _mean(np.abs(values[..., season_length:] - values[..., :-season_length]))
    return np.where(scale > 0, scale, np.nan)


def mase(actual: npt.ArrayLike, predicted: npt.ArrayLike, scale: npt.ArrayLike) -> Floats:
    """Mean absolute scaled error: mean |actual - predicted| in units of `seasonal_scale` of the history.

    actual, predicted: (..., h); scale: (...). Below 1 beats the seasonal naive forecast's error inside the history.
    Source: Hyndman and Koehler (2006), as in the M4 competition.
    """
    error = np.abs(np.asarray(actual, np.float64) - np.asarray(predicted, np.float64))
    denominator = np.asarray(scale, np.float64)
    return np.asarray(_mean(error) / np.where(denominator > 0, denominator, np.nan))


def smape(actual: npt.ArrayLike, predicted: npt.ArrayLike) -> Floats:
    """Symmetric mean absolute percentage error as a share from 0 to 2 (M4 writes it as 0 to 200 percent).

    actual, predicted: (..., h). A pair of two zeros counts as no error.
    Source: Makridakis et al., "The M4 Competition", IJF 36 (2020), section 2.
    """
    truth, guess = np.asarray(actual, np.float64), np.asarray(predicted, np.float64)
    error, size = np.abs(truth - guess), np.abs(truth) + np.abs(guess)
    return _mean(2.0 * np.divide(error, size, out=np.where(np.isnan(size), np.nan, 0.0), where=size > 0))


def owa(mase: npt.ArrayLike, smape: npt.ArrayLike, naive_mase: npt.ArrayLike, naive_smape: npt.ArrayLike) -> Floats:
    """Overall weighted average of M4: the mean of both losses, each over that of the reference forecast (Naive2).

    All of one shape, usually each already averaged over all series, as M4 does. NaN where a reference loss is 0.
    Source: Makridakis et al. (2020), section 2.
    """
    references = [np.asarray(naive, np.float64) for naive in (naive_mase, naive_smape)]
    losses = [np.asarray(loss, np.float64) for loss in (mase, smape)]
    ratios = [loss / np.where(ref > 0, ref, np.nan) for loss, ref in zip(losses, references, strict=True)]
    return np.asarray((ratios[0] + ratios[1]) / 2)


def pinball(actual: npt.ArrayLike, quantiles: npt.ArrayLike, probabilities: npt.ArrayLike) -> Floats:
    """Pinball (quantile) loss of every forecast quantile, averaged over time: (..., q).

    actual: (..., h); quantiles: (..., h, q) at `probabilities` (q,), each in (0, 1).
    Source: Koenker and Bassett, "Regression quantiles", Econometrica 46 (1978).
    """
    probability = _probabilities(probabilities)
    error = np.asarray(actual, np.float64)[..., None] - np.asarray(quantiles, np.float64)
    loss = np.maximum(probability * error, (probability - 1.0) * error)
    return _mean(np.moveaxis(loss, -1, -2))


def crps(actual: npt.ArrayLike, quantiles: npt.ArrayLike, probabilities: npt.ArrayLike) -> Floats:
    """Continuous ranked probability score from quantiles: twice the pinball loss integrated over probability.

    Shapes as in `pinball`; the result is (...), in the unit of the values. Each quantile stands for the part of (0, 1)
    that is nearest to it, so unevenly spaced ones (2.5, 10, 50, 90, 97.5 percent) are weighted fairly. With the median
    alone it is the mean absolute error. Where any quantile is unknown at all times the result is NaN.
    Source: Laio and Tamea, HESS 11 (2007), eq. 5; Gneiting and Ranjan, JBES 29 (2011).
    """
    probability = _probabilities(probabilities)
    order = np.argsort(probability)
    middle = (probability[order][1:] + probability[order][:-1]) / 2
    weights = np.empty_like(probability)
    weights[order] = np.diff(np.concatenate([[0.0], middle, [1.0]]))
    return np.asarray(2.0 * (pinball(actual, quantiles, probability) @ weights))


def coverage(actual: npt.ArrayLike, lower: npt.ArrayLike, upper: npt.ArrayLike) -> Floats:
    """Share of the actual values in [lower, upper], borders included. All (..., h); the result is (...) in [0, 1]."""
    truth, low, high = (np.asarray(a, np.float64) for a in (actual, lower, upper))
    known = ~(np.isnan(truth) | np.isnan(low) | np.isnan(high))
    return _mean(np.where(known, (truth >= low) & (truth <= high), np.nan))


def _probabilities(probabilities: npt.ArrayLike) -> Floats:
    """The probabilities as a vector; ValueError unless each is different and inside (0, 1)."""
    vector = np.atleast_1d(np.asarray(probabilities, np.float64))
    if vector.ndim != 1 or not vector.size or np.unique(vector).size < vector.size or not np.all((vector > 0) & (vector < 1)):
        raise ValueError(f"probabilities must be different numbers between 0 and 1, not {probabilities!r}")
    return vector


def _mean(values: Floats) -> Floats:
    """Mean over the last axis without the NaNs; NaN, and no warning, where nothing is left."""
    known = ~np.isnan(values)
    count = known.sum(axis=-1)
    total = np.where(known, values, 0.0).sum(axis=-1)
    return np.asarray(np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0))
