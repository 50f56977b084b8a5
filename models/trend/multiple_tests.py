"""False discoveries over many tests."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def benjamini_hochberg(p_values: npt.ArrayLike, *, tests: int | None = None) -> npt.NDArray[np.float64]:
    """q-values: the smallest false discovery rate at which each test is called; NaN stays NaN and does not count.

    tests: how many tests were made, where those with p near 1 are not listed; at least the number listed.
    Source: Benjamini and Hochberg, JRSS B 57 (1995).
    """
    p = np.asarray(p_values, np.float64).ravel()
    q = np.full(p.size, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    if not known.size:
        return q
    order = known[np.argsort(-p[known], kind="stable")]
    ranks = np.arange(known.size, 0, -1)
    count = max(known.size, tests or 0)
    q[order] = np.minimum.accumulate(np.minimum(p[order] * count / ranks, 1.0))
    return q
