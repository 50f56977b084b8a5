"""`what_if`: forecasts under a changed demand."""

from __future__ import annotations

import re

import polars as pl

from models.series import ANY_TYPE, TIME, ensure_columns

_VALUES = re.compile(r"mean|(lo|hi)_\d+")


def what_if(forecasts: pl.DataFrame, changes: pl.DataFrame) -> pl.DataFrame:
    """The forecasts as they would be with these changes: value * factor + add, for mean and every lo_ and hi_ column.

    forecasts: output of `models.forecast.forecast`. changes: resource_id (null: all), start (a TIMESTAMP, the first step that
    changes; null: from the first step), factor (null: 1), add (null: 0; unit of the forecast); applied one after the other
    in the order of the rows. A change of a resource without a forecast changes nothing.
    Returns a frame with the same rows and columns. Raises ValueError for missing columns, or for a factor or add that is
    not finite, or a factor below zero.
    """
    frame = ensure_columns(forecasts, {"series_id": ANY_TYPE, "time": TIME, "mean": pl.Float64})
    needed = ensure_columns(changes, {"resource_id": ANY_TYPE, "start": TIME, "factor": pl.Float64, "add": pl.Float64})
    wanted = needed.with_columns(pl.col("factor").fill_null(1.0), pl.col("add").fill_null(0.0))
    for key, start, factor, add in wanted.select("resource_id", "start", "factor", "add").iter_rows():
        if not 0 <= factor < float("inf") or not abs(add) < float("inf"):
            of = "all resources" if key is None else key
            raise ValueError(f"the change of {of} has factor {factor} and add {add}; both must be finite, the factor not below 0")
        hit = pl.lit(True) if key is None else pl.col("series_id") == pl.lit(key)
        if start is not None:
            hit = hit & (pl.col("time") >= start)
        values = [name for name in frame.columns if _VALUES.fullmatch(name)]
        frame = frame.with_columns(pl.when(hit).then(pl.col(name) * factor + add).otherwise(pl.col(name)).alias(name) for name in values)
    return frame
