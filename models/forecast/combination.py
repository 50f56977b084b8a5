"""How what the members say is combined, per series, by their losses at earlier origins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from models.forecast.contest import NAIVE, WINDOWS, BoolArray, Contest
from models.forecast.seasonality import FloatArray
from models.forecast.threads import in_pieces

_POINTS: Final = 0.75
"""Weight of single points in an absolute loss, the rest is that of season-long means, which show drift: both of 1 and 0.5
were worse (on real hours the former, on weak trends under noise the latter)."""
_SYMMETRIC: Final = 0.5
"""Share of the symmetric percentage error in a loss: relative losses are then what M4 calls OWA."""
_POWER: Final = 4
_TRIM: Final = 2.0
"""A member with over this many times the error of the best one would only add noise."""


@dataclass(frozen=True)
class Combination:
    """What the series get: weights (member, series) in the order of `names`, means (series, step) that are NaN where no
    member could say anything, and the errors (series, window, step) that this combination made out of sample."""

    names: list[str]
    weights: FloatArray
    means: FloatArray
    errors: FloatArray


def combine(contest: Contest) -> Combination:
    """Weighted median of the members that beat the seasonal naive one, weights the inverse fourth power of their losses.

    The median keeps the zeros of series that are mostly zero and leaves a member that runs away without effect (a mean
    had 5 to 8% more error on real hours). The errors of a window come from weights chosen on the other windows, and when
    these combined errors are not below the naive member's, the naive member stands alone.
    """
    parts = [_combine(contest)] if not contest.series else in_pieces(lambda piece: _combine(contest.part(piece)), len(contest.series))
    weights = np.concatenate([part.weights for part in parts], axis=1)
    means, errors = (np.concatenate([getattr(part, name) for part in parts]) for name in ("means", "errors"))
    return Combination(parts[0].names, weights, means, errors)


def _combine(contest: Contest) -> Combination:
    """`combine` of one piece: no series changes another."""
    names = list(contest.forecasts)
    losses = np.stack([_losses(contest.errors[name], contest) for name in names])
    naive = names.index(NAIVE)
    observed = contest.observed
    weights = _weights(_mean(losses, observed), naive)
    combined = np.empty(contest.actual.shape)
    for window in range(WINDOWS):
        others = observed & (np.arange(WINDOWS) != window)
        others = np.where(others.any(axis=1, keepdims=True), others, observed)
        weighted = _weights(_mean(losses, others), naive)
        combined[:, window] = _weighted_median(weighted, np.stack([contest.errors[n][:, window] for n in names]))
    loss, naive_loss = _mean(_losses(combined, contest), observed), _mean(losses[naive], observed)
    alone = np.isfinite(naive_loss) & (loss >= naive_loss)
    weights[:, alone] = np.eye(len(names))[:, [naive]]
    combined[alone] = contest.errors[NAIVE][alone]
    means = _weighted_median(weights, np.stack([contest.forecasts[name] for name in names]))
    return Combination(names, weights, means, combined)


def share_of_naive(contest: Contest) -> FloatArray:
    """(series): loss of the combination so far as a share of the naive member's; 0 where that one is never wrong or absent."""
    return np.concatenate([np.empty(0), *in_pieces(lambda piece: _share_of_naive(contest.part(piece)), len(contest.series))])


def _share_of_naive(contest: Contest) -> FloatArray:
    """`share_of_naive` of one piece."""
    naive = _mean(_losses(contest.errors[NAIVE], contest), contest.observed)
    loss = _mean(_losses(_combine(contest).errors, contest), contest.observed)
    return np.divide(loss, naive, out=np.zeros_like(loss), where=(naive > 0) & np.isfinite(naive))


def _losses(errors: FloatArray, contest: Contest) -> FloatArray:
    """Loss of each window, relative to the naive member's loss of the series: absolute and symmetric percentage errors.

    errors: (series, window, step), the result has no steps; infinite for a series without any. Where the naive member was
    never wrong its loss counts as one. When the horizon goes beyond what the contest sees, only its far half counts,
    which is nearer to what is asked.
    """
    result = np.zeros(errors.shape[:-1])
    lengths = np.array([s.seasons[-1] if s.seasons else 1 for s in contest.series], dtype=np.int64)
    for reach, season in sorted(set(zip(contest.reach.tolist(), lengths.tolist(), strict=True))):
        of = np.flatnonzero((contest.reach == reach) & (lengths == season))
        steps = slice(reach // 2 if contest.horizon > reach else 0, reach)
        actual, naive = contest.actual[of, :, steps], contest.errors[NAIVE][of, :, steps]
        part = errors[of, :, steps]
        absolute = _absolute(part, season) / _unit(_absolute(naive, season))
        symmetric = _symmetric(part, actual) / _unit(_symmetric(naive, actual))
        result[of] = (1 - _SYMMETRIC) * absolute + _SYMMETRIC * symmetric
    result[np.isnan(errors).all(axis=(1, 2))] = np.inf
    return result


def _unit(naive: FloatArray) -> FloatArray:
    """Mean loss (series, 1) over the windows, 1 where there is none."""
    mean = naive.mean(axis=-1, keepdims=True)
    return np.where(mean > 0, mean, 1.0)


def _absolute(errors: FloatArray, season: int) -> FloatArray:
    """Weighted mean of the absolute errors of single points and of season-long means.

    Season-long means show drift, which single points drown in noise that all members share.
    """
    known = np.isfinite(errors)
    part = np.where(known, errors, 0.0)
    points = np.abs(part).sum(axis=-1) / np.maximum(known.sum(axis=-1), 1)
    length = min(season, part.shape[-1])
    seasons = (*part.shape[:-1], -1, length)
    first = part.shape[-1] % length
    sums, counts = part[..., first:].reshape(seasons).sum(axis=-1), known[..., first:].reshape(seasons).sum(axis=-1)
    means = np.abs(sums) / np.maximum(counts, 1)
    return np.asarray(_POINTS * points + (1 - _POINTS) * means.mean(axis=-1))


def _symmetric(errors: FloatArray, actual: FloatArray) -> FloatArray:
    """Mean symmetric percentage error, 0 to 2."""
    size = np.abs(actual) + np.abs(actual - errors)
    known = np.isfinite(errors)
    share = np.divide(2 * np.abs(errors), size, out=np.zeros_like(errors), where=known & (size > 0))
    return np.asarray(share.sum(axis=-1) / np.maximum(known.sum(axis=-1), 1))


def _mean(losses: FloatArray, windows: BoolArray) -> FloatArray:
    """Mean of (..., series, window) over the windows that count; infinite where none does."""
    count = windows.sum(axis=-1)
    total = np.where(windows, losses, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.inf)


def _weights(losses: FloatArray, naive: int) -> FloatArray:
    """Weights (member, series) that sum to one; ties and perfect members share evenly, infinite losses get none."""
    best = losses.min(axis=0)
    chosen = np.isfinite(losses) & (losses <= np.maximum(_TRIM * best, best + 1e-12)) & (losses <= losses[naive])
    best = np.where(np.isfinite(best), best, 1.0)
    raw = np.where(chosen, (np.maximum(best, 1e-12) / np.maximum(losses, np.maximum(best, 1e-12))) ** _POWER, 0.0)
    total = raw.sum(axis=0)
    return np.asarray(raw / np.where(total > 0, total, 1.0))


def _weighted_median(weights: FloatArray, values: FloatArray) -> FloatArray:
    """Median over members of (member, series, step) values with (member, series) weights; NaN where all weights are 0.

    Halfway between the two middle values where half of the weight lies on either side.
    """
    value = np.where(weights[:, :, None] > 0, values, np.nan).transpose(1, 2, 0)
    order = np.argsort(value, axis=2)
    value = np.take_along_axis(value, order, axis=2)
    weight = np.take_along_axis(np.broadcast_to(weights.T[:, None, :], value.shape), order, axis=2).cumsum(axis=2)
    low, high = ((weight > 0.5 + side * 1e-9).argmax(axis=2)[:, :, None] for side in (-1, 1))
    middle = np.take_along_axis(value, low, axis=2) + np.take_along_axis(value, high, axis=2)
    return np.asarray(middle[:, :, 0] / 2)
