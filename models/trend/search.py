"""The lasting changes of one sequence without rhythm: found on block means, placed to the point, measured. No times here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from models.trend.noise import Noise, noise_of
from models.trend.seasonal import moving_median
from models.trend.segmentation import Cut, best_cuts, jumps, piece_costs, sure_cuts

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

MIN_PIECE = 5
"""The fewest points between two change points."""
MAX_BLOCKS = 400
"""The cuts are searched on so many block means at most, and placed to the point afterwards."""
ALPHA = 0.05
"""Cuts that are less sure than this are taken back one by one, but for the last."""
CLIP = 2.0
"""Points further than this many standard deviations from their moving median are drawn in to it."""
CLIP_PACE = 3.0
"""The same for the increments of a random walk."""
MEDIAN_VARIANCE = np.pi / 2
"""Variance of the median of normal values over that of their mean: what the interval allows for."""


@dataclass(frozen=True)
class Shift:
    """A change: `place` is the first index after it; before and after: medians up to the next change.

    relative_change_lo, relative_change_hi: where (after - before) / |before| lies with 95%; None where a level crosses zero, or where the
    noise is a random walk and has no level. p_value allows for the choice of the place; a lone shift may have any.
    """

    place: int
    before: float
    after: float
    relative_change_lo: float | None
    relative_change_hi: float | None
    p_value: float


def shifts_of(values: Floats, per_day: float) -> list[Shift]:
    """The changes of values (n,), `per_day` of them a day, in order; O(n log n).

    Levels and slopes of the pieces are compared with the long-run noise. Where the noise cannot be told from a random
    walk, its level says nothing: then jumps are looked for, and else changes of the pace, which are steps of the
    increments (whose variance is that of white noise or, in noise that returns to its level, smaller).
    """
    shortest = _shortest(values.size, per_day)
    calm = _clipped(values, shortest, CLIP)
    width = -(-values.size // MAX_BLOCKS)
    edges = np.linspace(0, values.size, -(-values.size // width) + 1).round().astype(np.int64)
    cuts, borders, noise = _found(calm, edges, width, shortest, per_day)
    if width > 1 and cuts:  # a block that a shift parts lies between both levels: look again without such
        edges[[int(np.argmin(np.abs(edges - border))) for border in borders]] = borders
        cuts, borders, noise = _found(calm, np.unique(edges), width, shortest, per_day)
    medians = [float(np.median(values[a:b])) for a, b in pairwise(borders)]
    found = []
    for k, cut in enumerate(cuts):
        before, after = medians[k], medians[k + 1]
        sizes = [(b - a) / width for a, b in pairwise(borders[k : k + 3])]
        low, high = (None, None) if noise.integrated else _interval(before, after, noise, sizes)
        found.append(Shift(borders[k + 1], before, after, low, high, cut.p_value))
    return found


def _found(calm: Floats, edges: Places, width: int, shortest: int, per_day: float) -> tuple[list[Cut], list[int], Noise]:
    """The cuts between the blocks that `edges` (of about `width` points) bound, their borders among the points, and the noise of blocks."""
    blocks = np.add.reduceat(calm, edges[:-1]) / np.diff(edges)
    day = round(per_day / width)
    coarse = day if day >= 2 and blocks.size >= 20 * day else 4 if blocks.size >= 100 else 1
    piece = max(2 if width > 1 else MIN_PIECE, -(-shortest // width))
    noise = noise_of(blocks, coarse)
    if noise.integrated:
        cuts = jumps(blocks, piece)
        if not cuts:
            pace = _clipped(np.diff(blocks), piece, CLIP_PACE)
            cuts = [Cut(cut.place + 1, cut.p_value) for cut in _cuts(pace, noise_of(pace, coarse), piece, lines=False)]
        cuts = [Cut(cut.place, min(1.0, 2 * cut.p_value)) for cut in cuts]  # for having tried both
    else:
        cuts = _cuts(blocks, noise, piece, lines=True)
    borders = [0, *(int(edges[cut.place]) for cut in cuts), calm.size]
    if not noise.integrated:
        _sharpen(borders, calm, 2 * int(np.diff(edges).max()))
    return cuts, borders, noise


def _cuts(values: Floats, noise: Noise, shortest: int, *, lines: bool) -> list[Cut]:
    """The sure cuts of values (n,) in their noise; none without any, where values only follow a straight line."""
    if noise.variance == 0:
        return []
    rounding = (np.finfo(np.float64).eps * float(np.abs(values).max())) ** 2
    costs = piece_costs(values, max(noise.variance, rounding, np.finfo(np.float64).tiny), lines=lines)
    return sure_cuts(costs, best_cuts(costs, shortest), shortest, noise.freedom, ALPHA)


def _sharpen(borders: list[int], calm: Floats, reach: int) -> None:
    """Move each inner border to the place within `reach` at which two levels, those of the points beyond, fit best."""
    if reach <= 2:
        return
    for k in range(1, len(borders) - 1):
        first, place, last = borders[k - 1 : k + 2]
        low, high = max(place - reach, first + 1), min(place + reach, last - 1)
        before, after = float(np.mean(calm[first:low])), float(np.mean(calm[high:last]))
        window = calm[low:high]
        gain = np.concatenate([[0.0], np.cumsum((window - before) ** 2 - (window - after) ** 2)])
        borders[k] = low + int(np.argmin(gain))


def _interval(before: float, after: float, noise: Noise, sizes: Sequence[float]) -> tuple[float | None, float | None]:
    """Where the relative change lies with 95%, by the delta method on the logarithm of after / before.

    sizes: blocks before and after; their levels are taken to be independent.
    """
    from scipy.stats import t

    if before * after <= 0:
        return None, None
    variance = MEDIAN_VARIANCE * noise.variance * (1 / (sizes[0] * before**2) + 1 / (sizes[1] * after**2))
    reach = float(t.ppf(0.975, noise.freedom) * np.sqrt(variance))
    if not reach < 20:
        return None, None
    low, high = (float(after / before * np.exp(side * reach) - 1) for side in (-1, 1))
    return (low, high) if before > 0 else (-high, -low)


def _shortest(points: int, per_day: float) -> int:
    """How many points a new level must last: a day, at most a twentieth of the series, at least `MIN_PIECE`."""
    twentieth = points // 20
    return max(MIN_PIECE, min(round(per_day), twentieth) if per_day > MIN_PIECE else min(MIN_PIECE, twentieth))


def _clipped(values: Floats, shortest: int, reach: float) -> Floats:
    """The values drawn in to `reach` standard deviations from a median that moves over twice the shortest piece."""
    centre = moving_median(values, 2 * (shortest - 1), slope_over=4 * shortest)
    distance = values - centre
    limit = reach * 1.4826 * float(np.median(np.abs(distance)))
    return np.asarray(centre + np.clip(distance, -limit, limit), np.float64)
