"""Which input decides: first-order contributions to the variance of a result, from draws that are there anyway."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def first_order(inputs: Mapping[str, Array], result: Array) -> dict[str, float]:
    """Share of the variance of `result` that each input explains alone, in [0, 1]; what is left to 1 is interaction.

    Sobol's first-order index Var(E[y | x]) / Var(y) from given data: y is averaged over equally filled classes of x
    (Plischke, Borgonovo and Smith, European Journal of Operational Research 226, 2013), less what the averages of
    so many classes would vary by chance (epsilon squared, Kelley 1935). An input that does not vary explains nothing.
    """
    n = result.size
    classes = max(2, round(n ** (1 / 3)))
    label = np.arange(n) * classes // n
    total = float(((result - result.mean()) ** 2).sum())
    shares = {}
    for name, values in inputs.items():
        if n <= classes or total <= 1e-18 * float((result**2).sum()) or np.ptp(values) == 0:
            shares[name] = 0.0
            continue
        ordered = result[np.argsort(values, kind="stable")]
        size = np.bincount(label)
        means = np.bincount(label, weights=ordered) / size
        within = float(((ordered - means[label]) ** 2).sum())
        between = total - within
        by_chance = (classes - 1) * within / (n - classes)
        shares[name] = min(1.0, max(0.0, (between - by_chance) / total))
    return shares
