"""`score`: oddness of every point as a tail probability of its own past, alarms, and what was learnt from false ones."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import numpy.typing as npt
import polars as pl
from polars._typing import PolarsDataType

from models.anomaly.oddness import LOOKBACK, expected, measures, tail_probability
from models.series import (
    ANY_TYPE,
    HISTORY,
    NOT_ENOUGH_DATA,
    STATUS_OK,
    TIME,
    clean_history,
    ensure_columns,
    failed,
    infer_step,
    step_of,
)

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]

WARM_UP = 100
"""The first values of a series are not scored (few could reach the threshold, their tail probabilities being at least 1 of 100)."""
INDEPENDENT = 1.6
"""As many independent tail probabilities say as much as the geometric mean of the measures' dependent ones.

With it a score of 1 - p came to p of the values for p from 0.1 to 0.001, on the Numenta benchmark and on Microsoft's cloud series alike."""
THRESHOLD = 0.99
"""A score from here on is an anomaly: where the Numenta Anomaly Benchmark's series do best, whichever of them are left out."""
REFRACTORY = timedelta(hours=12)
"""After an alarm the series does not alarm again for so long."""
LARGEST = 1e150
"""Values beyond it are not scored: their squares leave the range of floats."""
_DAY = timedelta(days=1)
_FEEDBACK: dict[str, PolarsDataType] = {"series_id": ANY_TYPE, "time": TIME, "is_false_alarm": pl.Boolean}


def score(history: pl.DataFrame, *, freq: str | None = None, feedback: pl.DataFrame | None = None) -> pl.DataFrame:
    """How odd every value is, judged only by rows at or before it: more rows later never change an earlier row.

    history: series_id, time (UTC), value, in any order, with gaps; of rows with equal series and time the last one
    stays. freq: the usual step, by default inferred from the first `WARM_UP` values. feedback: series_id, time,
    is_false_alarm; a false alarm raises what later rows of its series must exceed (half-life: `LOOKBACK` values).
    Returns one row per series and time, sorted: series_id, time, value, expected (a forecast made before the value),
    score in [0, 1] (1 - tail probability given the past `LOOKBACK` values, all measures together; 0.99 = one value in 100
    is as odd), is_anomaly (score of at least `THRESHOLD`, at most once in `REFRACTORY`), status. The first `WARM_UP` values
    are not_enough_data. About 100,000 values per CPU second, 60,000 in short series.
    Raises ValueError for missing columns, unusable types or a bad freq; never for data.
    """
    step = None if freq is None else step_of(freq)
    rows = clean_history(history)
    if feedback is None:
        rows = rows.with_columns(is_false_alarm=pl.lit(False))
    else:
        said = ensure_columns(feedback, _FEEDBACK).select(list(_FEEDBACK)).unique(["series_id", "time"], keep="last", maintain_order=True)
        rows = rows.join(said, on=["series_id", "time"], how="left", maintain_order="left")
    rows = rows.with_columns(pl.col("is_false_alarm").fill_null(value=False), usable=pl.col("value").abs() <= LARGEST)
    parts = [_one(part, step) for part in rows.partition_by("series_id", maintain_order=True)]
    return pl.concat(parts) if parts else _one(rows, step)


def _one(rows: pl.DataFrame, step: timedelta | None) -> pl.DataFrame:
    """The result of one series, whose rows are in order of time."""
    known = rows["usable"].fill_null(value=False)
    place = np.flatnonzero(known.to_numpy())
    results = {name: np.full(rows.height, np.nan) for name in ("expected", "score")}
    alarm = np.zeros(rows.height, np.bool_)
    if place.size > WARM_UP:
        used = rows[place]
        times, values = used["time"].to_numpy(), used["value"].to_numpy()
        step = step or infer_step(times[:WARM_UP]) or _DAY
        forecast, odd = _oddness(times, values, step)
        tail = 1.0 - 10.0 ** (-INDEPENDENT * odd)
        candidates = (tail >= THRESHOLD) & (odd > _harmless(odd, used["is_false_alarm"].to_numpy()))
        judged = place[WARM_UP:]
        results["expected"][judged], results["score"][judged] = forecast[WARM_UP:], tail[WARM_UP:]
        alarm[judged] = alarms(times[WARM_UP:], candidates[WARM_UP:])
    status = (
        pl.when(pl.col("value").is_null())
        .then(pl.lit(failed("the value is missing")))
        .when(~known)
        .then(pl.lit(failed("the value is beyond 1e150")))
        .when(pl.col("score").is_null())
        .then(pl.lit(NOT_ENOUGH_DATA))
        .otherwise(pl.lit(STATUS_OK))
    )
    scored = rows.select(list(HISTORY)).with_columns(pl.Series(n, v).fill_nan(None) for n, v in results.items())
    scored = scored.with_columns(is_anomaly=pl.Series(alarm), status=status)
    return scored.with_columns(is_anomaly=pl.when(pl.col("status") == STATUS_OK).then("is_anomaly")).select(
        *HISTORY, "expected", "score", "is_anomaly", "status"
    )


def _oddness(times: Times, values: Floats, step: timedelta) -> tuple[Floats, Floats]:
    """The forecast of each value, and its oddness: the mean of the measures' tail probabilities as negative powers of ten."""
    forecast = expected(times, values, step)
    return forecast, np.mean([-np.log10(tail_probability(measure)) for measure in measures(values, forecast)], axis=0)


def _harmless(odd: Floats, is_false_alarm: npt.NDArray[np.bool_]) -> Floats:
    """What each value must exceed in oddness because of false alarms before it; half of it is forgotten in `LOOKBACK`."""
    bar = np.zeros(odd.size)
    for at in np.flatnonzero(is_false_alarm):
        later = np.arange(1, odd.size - at)
        bar[at + 1 :] = np.maximum(bar[at + 1 :], odd[at] * 0.5 ** (later / LOOKBACK))
    return bar


def alarms(times: Times, candidates: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The candidates that are not within `REFRACTORY` of the alarm before them; times: (n,) ascending."""
    chosen = np.zeros(candidates.size, np.bool_)
    quiet_until = None
    for at in np.flatnonzero(candidates):
        if quiet_until is None or times[at] >= quiet_until:
            chosen[at] = True
            quiet_until = times[at] + np.timedelta64(REFRACTORY)
    return chosen
