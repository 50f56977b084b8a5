"""How models are judged: losses of forecasts and of intervals, and the matching of found events with true ones.

Does not belong here: the choice of origins and folds (each model's own backtest), data sets, tables of results.
"""

from models.evaluation.events import EventScore, precision_recall
from models.evaluation.losses import coverage, crps, mase, owa, pinball, seasonal_scale, smape

__all__ = [
    "EventScore",
    "coverage",
    "crps",
    "mase",
    "owa",
    "pinball",
    "precision_recall",
    "seasonal_scale",
    "smape",
]
