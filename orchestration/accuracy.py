"""Compares the forecasts of capacity that earlier runs made with what came, and says which models that speaks against."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from orchestration.history import History

FORECASTS, RECORD = "mart.capacity_forecasts", "mart.forecast_accuracy"
_KEY = ["resource_id", "made_on", "horizon_days"]


def judge_forecasts(history: History, peaks: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What can be said today for the first time of forecasts made on earlier days of the history, and the models retired by all that was
    said in its days.

    peaks: series_id, time, value, the daily use that was forecast. A stretch of days ahead (up to 1, 7, 14, ... of them) is judged once,
    when its last day has come. Returns rows of mart.forecast_accuracy (without day), and series_id, model for `forecast(retired=...)`."""
    from models.forecast import accuracy, retired

    bounds = {"start": history.window.start, "day": history.as_of}
    made = history.select(
        f"""SELECT resource_id AS series_id, day::TIMESTAMP AS made_at, time, model, mean, lo_80, hi_80, lo_95, hi_95
            FROM {FORECASTS} AS f WHERE day >= $start AND day < $day AND status = 'ok'""",
        bounds,
        reads=(FORECASTS,),
    )
    said = history.select(
        f"""SELECT resource_id, model, made_on, horizon_days, observations, mase, mase_seasonal_naive
            FROM {RECORD} AS r WHERE day >= $start AND day < $day""",
        bounds,
        reads=(RECORD,),
    )
    found = accuracy(made, peaks, freq="1d").rename({"series_id": "resource_id", "horizon": "horizon_days"})
    found = found.with_columns(made_on=pl.col("made_at").dt.date()).drop("made_at")
    over = pl.col("made_on") + pl.duration(days=pl.col("horizon_days")) <= pl.lit(history.as_of)
    fresh = found.filter(over, pl.col("status") == "ok").join(said, on=_KEY, how="anti")
    record = pl.concat([said, fresh.select(said.columns)], how="vertical_relaxed").with_columns(
        made_at=pl.col("made_on").cast(pl.Datetime("us"))
    )
    spoken_against = retired(record.rename({"resource_id": "series_id", "horizon_days": "horizon"}))
    return fresh, spoken_against
