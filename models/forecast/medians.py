"""Members that say what was usual at this phase, or of late: medians, which keep zeros zero and forget incidents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from models.forecast.members import Forecasts
from models.forecast.panel import Series
from models.forecast.seasonality import FloatArray

Predict = Callable[[Sequence[Sequence[Series]], int, int], list[Forecasts]]

FEW_CYCLES: Final = 7
MANY_CYCLES: Final = 14
LONG_CYCLES: Final = 4
"""Cycles that count: a week and a fortnight of days, a month of weeks."""


def phase_median(cycles: int, *, long: bool = False, shifted: bool = False) -> Predict:
    """`predict` of a member that repeats the median of each phase over the last `cycles` cycles, fewer where there are fewer.

    long: of the longest season, for series that have a shorter one too; else of the shortest. shifted: moved to the median
    of the last cycle, for levels that have changed. None for series without two cycles.
    """

    def predict(origins: Sequence[Sequence[Series]], horizon: int, seed: int) -> list[Forecasts]:
        return [_medians(known, horizon) for known in origins]

    def _medians(known: Sequence[Series], horizon: int) -> Forecasts:
        groups: dict[tuple[int, int], list[int]] = {}
        for position, series in enumerate(known):
            if series.seasons and (len(series.seasons) > 1 or not long):
                season = series.seasons[-1 if long else 0]
                groups.setdefault((season, min(cycles, series.size // season)), []).append(position)
        found: Forecasts = [None] * len(known)
        for (season, count), positions in groups.items():
            ends = np.stack([known[position].filled[-count * season :] for position in positions])
            phases = _median(ends.reshape(-1, count, season))
            if shifted:
                phases += (np.median(ends[:, -season:], axis=1) - np.median(phases, axis=1))[:, None]
            repeated = np.tile(phases, -(-horizon // season))[:, :horizon]
            for position, one in zip(positions, repeated, strict=True):
                found[position] = one
        return found

    return predict


def recent_level(origins: Sequence[Sequence[Series]], horizon: int, seed: int) -> list[Forecasts]:
    """The median of the last short cycle, everywhere."""
    return [[np.full(horizon, np.median(s.filled[-min(s.seasons, default=1) :])) for s in known] for known in origins]


def _median(stacked: FloatArray) -> FloatArray:
    """Median over the second of three axes; sorting few values is faster than looking for the middle one."""
    ordered, count = np.sort(stacked, axis=1), stacked.shape[1]
    return np.asarray((ordered[:, (count - 1) // 2] + ordered[:, count // 2]) / 2)
