"""Forecasts of use as capacity sees them: for each resource its steps, its quantiles, and chances against a limit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from models.capacity.paths import FloatArray, chances, normal_scores
from models.series import ANY_TYPE, NOT_ENOUGH_DATA, STATUS_OK, TIME, ensure_columns, failed

_BAND: Final = re.compile(r"(lo|hi)_(\d+)")
_HOUR: Final = timedelta(hours=1)
NO_LIMIT: Final = failed("the limit is not a number; give this resource a limit")


@dataclass(frozen=True)
class Outlook:
    """One resource's forecast: values at normal scores (step, score), and hours of the steps since `start`.

    start: the last step before the forecast. day: which day after the start a step lies in, from 0.
    """

    start: datetime
    times: list[datetime]
    hours: FloatArray
    day: npt.NDArray[np.int64]
    mean: FloatArray
    values: FloatArray
    scores: FloatArray

    def chances(self, limit: float) -> tuple[FloatArray, FloatArray]:
        """Chance of being at or over the limit at each step, and of having reached it by then."""
        return chances(self.values, self.scores, self.day, limit)


def outlooks(forecasts: pl.DataFrame) -> dict[Any, Outlook | str]:
    """Each resource's outlook, or the status that says why there is none.

    Raises ValueError for missing columns, or when no level has both its ends.
    """
    levels = levels_of(forecasts)
    frame = ensure_columns(forecasts, {"series_id": ANY_TYPE, "time": TIME, "mean": pl.Float64, "status": pl.String})
    return {key: _outlook(part, levels) for (key,), part in frame.group_by("series_id", maintain_order=True)}


def levels_of(forecasts: pl.DataFrame) -> list[int]:
    """Levels with both ends among the columns, ascending. Raises ValueError where there is none."""
    ends = [match for name in forecasts.columns if (match := _BAND.fullmatch(name))]
    found = {side: {int(m[2]) for m in ends if m[1] == side} for side in ("lo", "hi")}
    levels = sorted(found["lo"] & found["hi"])
    if not levels:
        raise ValueError(f"forecasts need a pair of columns such as lo_80 and hi_80; they have {forecasts.columns}")
    return levels


def _outlook(part: pl.DataFrame, levels: list[int]) -> Outlook | str:
    names = [f"lo_{v}" for v in reversed(levels)] + ["mean"] + [f"hi_{v}" for v in levels]
    spoken = part.filter(pl.col("status") == STATUS_OK)
    if spoken.is_empty():
        return part["status"][0] or NOT_ENOUGH_DATA
    known = spoken.drop_nulls(["time", *names]).sort("time").unique("time", keep="last", maintain_order=True)
    if known.height < 2:
        return NOT_ENOUGH_DATA
    values = np.maximum.accumulate(known.select(pl.col(names).cast(pl.Float64)).to_numpy(), axis=1)
    times: list[datetime] = known["time"].to_list()
    start = times[0] - (times[1] - times[0])
    hours = np.array([(t - start) / _HOUR for t in times])
    day = np.ceil(hours / 24 - 1e-9).astype(np.int64) - 1
    return Outlook(start, times, hours, day, known["mean"].to_numpy(), values, normal_scores(levels))
