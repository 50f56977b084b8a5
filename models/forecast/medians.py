"""Members that repeat cycles, many series at once: the last one, or medians, which keep zeros zero and forget incidents."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Final, TypeVar

import numpy as np

from models.forecast.members import Forecasts
from models.forecast.panel import Series
from models.forecast.seasonality import FloatArray

K = TypeVar("K", bound=Hashable)
Predict = Callable[[Sequence[Sequence[Series]], int, int], list[Forecasts]]

FEW_CYCLES: Final = 7
MANY_CYCLES: Final = 14
LONG_CYCLES: Final = 4
"""Cycles that count: a week and a fortnight of days, a month of weeks."""
COMPARED: Final = 5
"""Longest cycles in which the seasonal naive member compares seasons."""
_BLOCK: Final = 250
"""Series whose cycles are compared together: more would leave the processor's cache."""


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

    def levels(known: Sequence[Series]) -> Forecasts:
        found: Forecasts = [None] * len(known)
        for season, positions in _grouped(known, lambda s: min(s.seasons, default=1)):
            middles = _median(np.stack([known[position].filled[-season:] for position in positions])[:, :, None])[:, 0]
            for position, middle in zip(positions, middles, strict=True):
                found[position] = np.full(horizon, middle)
        return found

    return [levels(known) for known in origins]


def seasonal_naive(origins: Sequence[Sequence[Series]], horizon: int, seed: int) -> list[Forecasts]:
    """The last cycle again; of the usable seasons the one whose newest cycles resembled each other most."""

    def repeated(known: Sequence[Series]) -> Forecasts:
        found: Forecasts = [None] * len(known)
        for (seasons, size), positions in _grouped(known, lambda s: (s.seasons or (1,), min(s.size, COMPARED * max(s.seasons, default=1)))):
            for first in range(0, len(positions), _BLOCK):
                block = positions[first : first + _BLOCK]
                ends = np.stack([known[position].filled[-size:] for position in block])
                changes = np.stack([np.abs(ends[:, m:] - ends[:, :-m]).mean(axis=1) for m in seasons])
                again = [size - m + np.arange(horizon) % m for m in seasons]
                for position, end, best in zip(block, ends, changes.argmin(axis=0).tolist(), strict=True):
                    found[position] = end[again[best]]
        return found

    return [repeated(known) for known in origins]


def _grouped(known: Sequence[Series], key: Callable[[Series], K]) -> Iterable[tuple[K, list[int]]]:
    """Positions of the series by what they have in common."""
    groups: dict[K, list[int]] = {}
    for position, series in enumerate(known):
        groups.setdefault(key(series), []).append(position)
    return groups.items()


def _median(stacked: FloatArray) -> FloatArray:
    """Median over the second of three axes; sorting few values is faster than looking for the middle one."""
    ordered, count = np.sort(stacked, axis=1), stacked.shape[1]
    return np.asarray((ordered[:, (count - 1) // 2] + ordered[:, count // 2]) / 2)
