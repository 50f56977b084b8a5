"""What the pooled members learn with: features in, seasonal differences out, by least absolute errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from models.forecast.seasonality import FloatArray

_RIDGE: Final = 10.0
_REWEIGHTINGS: Final = 5
_SMALL: Final = 0.02
"""Errors below this (in mean seasonal differences) count alike."""
_TREES: Final[dict[str, Any]] = {
    "loss": "absolute_error",
    "max_iter": 50,
    "learning_rate": 0.15,
    "max_leaf_nodes": 12,
    "min_samples_leaf": 20,
    "max_bins": 31,
    "l2_regularization": 1.0,
    "early_stopping": False,
}


class Learnt(Protocol):
    """What a learner returns: seasonal differences from features."""

    def predict(self, x: FloatArray) -> FloatArray:
        """One value per row."""


Learner = Callable[[FloatArray, FloatArray, int], Learnt]


def boost(x: FloatArray, target: FloatArray, seed: int) -> Learnt:
    """Boosted trees: medians, because squared errors follow incidents."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    found: Learnt = HistGradientBoostingRegressor(random_state=seed, **_TREES).fit(x, target)
    return found


@dataclass(frozen=True)
class Linear:
    """Least absolute errors with a ridge, on standardised features."""

    centre: FloatArray
    slopes: FloatArray
    level: float

    @classmethod
    def fit(cls, x: FloatArray, target: FloatArray, seed: int) -> Linear:
        """The coefficients by reweighted least squares (Schlossmacher 1973); nothing here is random."""
        centre, spread = x.mean(axis=0), x.std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        unit = np.column_stack([(x - centre) / spread, np.ones(len(x))])
        penalty = np.diag([*np.full(x.shape[1], _RIDGE), 0.0])
        weight, found = np.ones(len(x)), np.zeros(x.shape[1] + 1)
        for _ in range(_REWEIGHTINGS):
            weighted = unit * weight[:, None]
            found = np.linalg.solve(unit.T @ weighted + penalty * weight.mean(), weighted.T @ target)
            weight = 1 / np.maximum(np.abs(target - unit @ found), _SMALL)
        return cls(centre, found[:-1] / spread, float(found[-1]))

    def predict(self, x: FloatArray) -> FloatArray:
        """One value per row."""
        return np.asarray((x - self.centre) @ self.slopes + self.level)
