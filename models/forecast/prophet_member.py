"""Prophet as a member of the contest: the only place that knows Prophet and pandas."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from models.forecast.members import Forecasts
from models.forecast.panel import Series
from models.forecast.seasonality import FloatArray

_DAY_US: Final = 86_400_000_000
_MIN_OBSERVED: Final = 10
_LOGGERS: Final = ("prophet", "prophet.plot", "prophet.models", "prophet.forecaster", "cmdstanpy")


def prophet_mean(origins: Sequence[Sequence[Series]], horizon: int, seed: int) -> list[Forecasts]:
    """Prophet's mean (Taylor and Letham 2018), seasons as far as two cycles of them are known, holidays by name.

    About 5 series a second; None where its optimiser gives up.
    """
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.disabled for logger in loggers]
    try:
        for logger in loggers:
            # Not the level: cmdstanpy sets that again whenever it finds its logger without handlers.
            logger.disabled = True
        with warnings.catch_warnings():
            # Deprecations inside Prophet are not the caller's to mend.
            warnings.simplefilter("ignore")
            return [[_fit(s, horizon, seed) for s in known] for known in origins]
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled


def _fit(series: Series, horizon: int, seed: int) -> FloatArray | None:
    """One fit; Prophet interpolates gaps itself, so it gets the observed points alone."""
    import pandas as pd
    from prophet import Prophet

    known = np.isfinite(series.values)
    if known.sum() < _MIN_OBSERVED:
        return None
    total = series.size + horizon
    times = pd.to_datetime(series.times_us(0, total), unit="us")
    days = series.size * series.step_us / _DAY_US
    model = Prophet(
        uncertainty_samples=0,
        daily_seasonality=series.step_us < _DAY_US and days >= 2,
        weekly_seasonality=days >= 14,
        yearly_seasonality=days >= 730,
        holidays=_holiday_frame(series, total),
    )
    for m in series.seasons:
        if m * series.step_us not in (_DAY_US, 7 * _DAY_US):
            model.add_seasonality(name=f"every_{m}", period=m * series.step_us / _DAY_US, fourier_order=min(5, m // 2))
    try:
        model.fit(pd.DataFrame({"ds": times[: series.size][known], "y": series.values[known]}), seed=seed)
        found = model.predict(pd.DataFrame({"ds": times[series.size :]}))["yhat"].to_numpy(dtype=np.float64)
    except (RuntimeError, ValueError):
        return None
    return found if np.isfinite(found).all() else None


def _holiday_frame(series: Series, total: int) -> Any | None:
    """Prophet's frame of holidays (one name for all: what they share is learnt together), or None."""
    import pandas as pd

    marked = series.holiday[:total]
    if not marked[: series.size].any():
        return None
    days = np.unique(series.times_us(0, marked.size)[marked] // _DAY_US)
    return pd.DataFrame({"holiday": "holiday", "ds": pd.to_datetime(days, unit="D")})
