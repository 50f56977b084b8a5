"""Sequences that follow a rule to the last digit: there is no noise in them that a change could be measured against."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

LONGEST_PERIOD = 64
"""Repetition is looked for up to so many points."""
REPEATS = 3
"""A period is met at least so often."""
DIGITS = 1e-9
"""Distances from a curve below this share of the largest value are what computing left."""
LEVELS = 3
"""A rounded curve runs through so many quanta at least; what takes fewer may as well be steps."""


def is_exact(values: Floats, places: Places) -> bool:
    """Whether values (n,) at places (n,) repeat themselves exactly, or lie on a line or parabola, exactly or rounded to their quantum.

    The quantum is the smallest difference of neighbours that is not zero: a rounded counter climbs by stairs, which are no changes."""
    return _repeats(values) or _lies_on_curve(values, places)


def _repeats(values: Floats) -> bool:
    longest = min(LONGEST_PERIOD, values.size // REPEATS)
    return any(np.array_equal(values[period:], values[:-period]) for period in range(1, longest + 1) if values[period] == values[0])


def _lies_on_curve(values: Floats, places: Places) -> bool:
    curve = np.polynomial.Polynomial.fit(places, values, 2)
    farthest = float(np.abs(values - curve(places)).max())
    if farthest <= DIGITS * float(np.abs(values).max()):
        return True
    steps = np.abs(np.diff(values))
    quantum = float(steps.min(initial=np.inf, where=steps > 0))
    return farthest < quantum and float(np.ptp(values)) >= LEVELS * quantum
