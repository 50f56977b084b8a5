"""How unlike anything remembered is the shape of the last few values: leader clustering, in the manner of adaptive resonance.

Source: Carpenter and Grossberg, "The ART of adaptive pattern recognition by a self-organizing neural network", Computer 21(3), 1988: a
pattern that resembles no category closely enough founds one of its own; what resembles one is learnt by it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

PATTERN = 8
"""Values in a pattern."""
VIGILANCE = 0.1
"""A pattern farther than this from all that are remembered is remembered itself; as a share of the range of all values so far."""
REMEMBERED = 64
"""The most patterns that are remembered; the one that was met longest ago makes room."""
_BLOCK = 64
"""Patterns that are compared at once. When each was last met is noted at a block's end, and a pattern that makes room is compared with
until then; blocks are counted from the first row, so that more rows later change nothing before them."""


def unfamiliar(values: Floats) -> Floats:
    """Mean absolute distance of the last `PATTERN` values to the nearest remembered pattern, as a share of the range so far.

    0 for the first `PATTERN` values and while they have no range. values: (n,); element i depends on elements up to i alone.
    """
    found = np.zeros(values.size)
    if values.size < PATTERN:
        return found
    reach = (np.maximum.accumulate(values) - np.minimum.accumulate(values))[PATTERN - 1 :]
    patterns = np.lib.stride_tricks.sliding_window_view(values, PATTERN)
    memory = _Memory()
    for start in range(0, len(patterns), _BLOCK):
        block = slice(start, start + _BLOCK)
        distance = memory.meet(np.ascontiguousarray(patterns[block]), VIGILANCE * reach[block], start)
        found[PATTERN - 1 :][block] = np.divide(distance, reach[block], out=np.zeros(distance.size), where=reach[block] > 0)
    return found


class _Memory:
    """The remembered patterns, and when each was last the nearest."""

    def __init__(self) -> None:
        self.patterns = np.empty((REMEMBERED, PATTERN))
        self.met = np.zeros(REMEMBERED, np.int64)
        self.size = 0

    def meet(self, patterns: Floats, tolerance: Floats, start: int) -> Floats:
        """The distance of each pattern to the nearest met before it (0 for the first of all); those beyond tolerance are kept.

        patterns: (b, PATTERN); tolerance: (b,); start: the number of patterns met before this block.
        """
        count = len(patterns)
        known = self.patterns[: self.size]
        distance, nearest = np.full(count, np.inf), np.zeros(count, np.int64)
        if self.size:
            apart = np.abs(patterns[:, None, :] - known[None, :, :]).mean(axis=2)
            nearest = apart.argmin(axis=1)
            distance = apart[np.arange(count), nearest]
        at = 0
        while (strange := np.flatnonzero(distance[at:] > tolerance[at:])).size:
            at += int(strange[0]) + 1
            place = self._keep(patterns[at - 1], start + at - 1)
            apart_from_it = np.abs(patterns[at:] - patterns[at - 1]).mean(axis=1)
            nearer = apart_from_it < distance[at:]
            distance[at:][nearer], nearest[at:][nearer] = apart_from_it[nearer], place
        np.maximum.at(self.met, nearest, start + np.arange(count))
        return np.where(np.isinf(distance), 0.0, distance)

    def _keep(self, pattern: Floats, now: int) -> int:
        """Remember the pattern; its place."""
        place = self.size if self.size < REMEMBERED else int(self.met.argmin())
        self.size = max(self.size, place + 1)
        self.patterns[place], self.met[place] = pattern, now
        return place
