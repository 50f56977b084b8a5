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
    wanted = needed.select(
        "resource_id", "start", pl.col("factor").fill_null(1.0), pl.col("add").fill_null(0.0), row=pl.int_range(pl.len())
    )
    finite = pl.col("factor").is_between(0.0, float("inf"), closed="left") & pl.col("add").is_finite()
    for key, factor, add in wanted.filter(~finite).select("resource_id", "factor", "add").head(1).iter_rows():
        of = "all resources" if key is None else key
        raise ValueError(f"the change of {of} has factor {factor} and add {add}; both must be finite, the factor not below 0")
    values = {name for name in frame.columns if _VALUES.fullmatch(name)}
    since = pl.col("start").is_null() | (pl.col("time") >= pl.col("start"))
    for turn in _turns(frame, wanted):
        joined = frame.join(turn, on="series_id", how="left", maintain_order="left")
        hit = pl.col("factor").is_not_null() & since
        changed = {n: pl.when(hit).then(pl.col(n) * pl.col("factor") + pl.col("add")).otherwise(pl.col(n)).alias(n) for n in values}
        frame = joined.select(changed.get(name, pl.col(name)) for name in frame.columns)
    return frame


def _turns(frame: pl.DataFrame, changes: pl.DataFrame) -> list[pl.DataFrame]:
    """series_id, start, factor, add: the first change of every series, the second of those that have one, and so on."""
    keys = frame.select("series_id").unique(maintain_order=True)
    of_all = keys.join(changes.filter(pl.col("resource_id").is_null()).drop("resource_id"), how="cross")
    own = keys.join(changes.drop_nulls("resource_id"), left_on="series_id", right_on="resource_id")
    both = pl.concat([of_all, own.select(of_all.columns)]).sort("row")
    ranked = both.with_columns(turn=pl.int_range(pl.len()).over("series_id"))
    return [part.drop("row", "turn") for part in ranked.partition_by("turn", maintain_order=True)]
