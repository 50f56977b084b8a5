"""How well found events (alarms, change points, incidents) match the true ones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class EventScore:
    """Counts of a matching and the rates that follow from them; a rate without any event to judge is NaN."""

    matched: int
    found: int
    true: int

    @property
    def precision(self) -> float:
        """Share of the found events that are true; NaN when none was found."""
        return self.matched / self.found if self.found else float("nan")

    @property
    def recall(self) -> float:
        """Share of the true events that were found; NaN when there is none."""
        return self.matched / self.true if self.true else float("nan")

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 2 m / (found + true); NaN when there is neither."""
        total = self.found + self.true
        return 2 * self.matched / total if total else float("nan")


def precision_recall(true: npt.ArrayLike, found: npt.ArrayLike, tolerance: timedelta | float) -> EventScore:
    """The largest one-to-one matching of found with true events that are at most `tolerance` apart.

    true, found: positions on one line, all times (datetime64; tolerance a timedelta) or all numbers (tolerance a number
    in their unit); any order, missing ones dropped. A true event is matched once: a second alarm for it is a false one.
    Walking both in order and matching at the first chance is optimal because every event has the same tolerance.
    Raises ValueError for a negative tolerance or when times and numbers are mixed.
    """
    truth, guess = _positions(true, tolerance), _positions(found, tolerance)
    limit = tolerance / timedelta(microseconds=1) if isinstance(tolerance, timedelta) else float(tolerance)
    if limit < 0:
        raise ValueError(f"tolerance must not be negative, not {tolerance}")
    matched = at_true = at_found = 0
    while at_true < truth.size and at_found < guess.size:
        distance = guess[at_found] - truth[at_true]
        if abs(distance) <= limit:
            matched, at_true, at_found = matched + 1, at_true + 1, at_found + 1
        elif distance < 0:
            at_found += 1
        else:
            at_true += 1
    return EventScore(matched=matched, found=int(guess.size), true=int(truth.size))


def _positions(events: npt.ArrayLike, tolerance: timedelta | float) -> npt.NDArray[np.float64]:
    """The events sorted, as numbers (times: microseconds)."""
    array = np.asarray(events).ravel()
    if isinstance(tolerance, timedelta) and array.size:
        if array.dtype.kind not in "MO":
            raise ValueError(f"the tolerance is a timedelta, so events must be times, not {array.dtype}")
        times = array.astype("datetime64[us]")
        return np.sort(times[~np.isnat(times)].astype(np.int64).astype(np.float64))
    if array.dtype.kind in "MO":
        raise ValueError("events are times, so the tolerance must be a timedelta")
    numbers = array.astype(np.float64)
    return np.sort(numbers[~np.isnan(numbers)])
