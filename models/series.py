"""What every model shares about time series frames: the columns they need, the regular grid, and the words of `status`.

A history is long: `series_id` (any hashable type), `time` (UTC, naive), `value` (float). No statistics belong here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
from polars._typing import PolarsDataType

STATUS_OK: Final = "ok"
NOT_ENOUGH_DATA: Final = "not_enough_data"

TIME: Final = pl.Datetime("us")
ANY_TYPE: Final = pl.Unknown
HISTORY: Final[dict[str, PolarsDataType]] = {"series_id": ANY_TYPE, "time": TIME, "value": pl.Float64}
"""The columns of a history, for `ensure_columns`."""

MAX_GRID_POINTS: Final = 1_000_000
"""The most grid points of one series; a longer one keeps its newest (9.5 years of 5 minutes, 694 days of 1 minute)."""

_UNITS: Final = {
    "us": 1,
    "ms": 1_000,
    "s": 10**6,
    "m": 60 * 10**6,
    "h": 3600 * 10**6,
    "d": 86400 * 10**6,
    "w": 604800 * 10**6,
}
_ALIASES: Final = {"min": "m", "t": "m"}
_DAY: Final = timedelta(days=1)
_SEASONS: Final = (_DAY, timedelta(days=7))


def failed(reason: str) -> str:
    """The status of a series that broke a model: `failed:` and the reason on one line of at most 200 characters."""
    return "failed:" + " ".join(reason.split())[:200]


def ensure_columns(frame: pl.DataFrame, required: Mapping[str, PolarsDataType]) -> pl.DataFrame:
    """The frame with every required column present in its required type; other columns stay as they are.

    Types are cast where no meaning is lost: any number or Boolean to a float (NaN becomes null), dates and times of
    any unit to `TIME` (zoned times to UTC first); text is never parsed. `ANY_TYPE` leaves a column alone.
    Raises ValueError that names the missing columns, or the column whose type cannot be used.
    """
    missing = [name for name in required if name not in frame.columns]
    if missing:
        raise ValueError(f"the frame lacks the columns {missing}; it has {frame.columns}, and needs {list(required)}")
    return frame.with_columns(_as_type(frame[name], dtype) for name, dtype in required.items())


def step_of(freq: str | timedelta) -> timedelta:
    """The fixed step of a frequency: a timedelta, or text such as `5m`, `1h`, `1d`, `1w`, `15min`, `h`.

    Months and years have no fixed length and are refused.
    Raises ValueError when the text is not of that form or the step is not positive.
    """
    if isinstance(freq, timedelta):
        step = freq
    else:
        match = re.fullmatch(r"(\d*)\s*([A-Za-z]+)", freq.strip())
        unit = match[2].lower() if match else ""
        unit = _ALIASES.get(unit, unit)
        if match is None or unit not in _UNITS:
            raise ValueError(f"freq {freq!r} is not a fixed step; write a number and one of {', '.join(_UNITS)}, such as '5m'")
        step = timedelta(microseconds=int(match[1] or 1) * _UNITS[unit])
    if step <= timedelta(0):
        raise ValueError(f"freq {freq!r} must be longer than zero")
    return step


def season_lengths_of(freq: str | timedelta) -> list[int]:
    """The seasons to expect, in steps: a day and a week, where that is a whole number of at least two steps."""
    step = step_of(freq)
    return [season // step for season in _SEASONS if season >= 2 * step and season % step == timedelta(0)]


def infer_step(times: npt.NDArray[np.datetime64]) -> timedelta | None:
    """The most usual distance between neighbouring times, the smallest of several; None for fewer than two times."""
    unique = np.unique(times[~np.isnat(times)].astype("datetime64[us]"))
    if unique.size < 2:
        return None
    gaps, counts = np.unique(np.diff(unique).astype(np.int64), return_counts=True)
    return timedelta(microseconds=int(gaps[int(np.argmax(counts))]))


def clean_history(history: pl.DataFrame) -> pl.DataFrame:
    """series_id, time, value in order of series and time.

    Rows without a time are dropped, NaN and infinite values become null, and of rows with equal series and time the
    last one stays. Raises ValueError for missing columns or unusable types.
    """
    frame = ensure_columns(history, HISTORY).select(list(HISTORY))
    if frame["time"].null_count():
        frame = frame.filter(pl.col("time").is_not_null())
    if not frame.select(pl.col("value").is_finite().all(ignore_nulls=True)).item():
        frame = frame.with_columns(value=pl.when(pl.col("value").is_finite()).then(pl.col("value")))
    # Most histories come in order and without repeats; to see that costs a tenth of putting them in order.
    if not frame.schema["series_id"].is_nested() and frame.select(_ascending("series_id", "time")).item():
        return frame
    return frame.unique(["series_id", "time"], keep="last", maintain_order=True).sort("series_id", "time", maintain_order=True)


def _ascending(key: str, time: str) -> pl.Expr:
    """Whether the rows are in order of key and time, no time of a key twice."""
    before, earlier = pl.col(key).shift(1), pl.col(time).shift(1)
    same = pl.col(key).eq_missing(before)
    forward = (same & (pl.col(time) > earlier)) | (~same & (pl.col(key) > before))
    return forward.slice(1).fill_null(False).all()


def regular_grid(history: pl.DataFrame, *, freq: str | timedelta) -> pl.DataFrame:
    """The history on a grid of `freq` (anchored at 1970-01-01) from each series' first to its last row.

    Columns series_id, time, value, sorted. A grid point holds the mean of the values in [time, time + freq); a point
    without any is null. Of a series that would have over `MAX_GRID_POINTS` points the newest stay.
    Raises ValueError for missing columns, unusable types or a bad `freq`.
    """
    step = step_of(freq)
    micros = step // timedelta(microseconds=1)
    bucket = pl.col("time").dt.epoch("us") // micros
    means = clean_history(history).group_by("series_id", bucket.alias("bucket")).agg(pl.col("value").mean())
    spans = means.group_by("series_id").agg(first=pl.col("bucket").min(), last=pl.col("bucket").max())
    first = pl.max_horizontal(pl.col("first"), pl.col("last") - (MAX_GRID_POINTS - 1))
    grid = spans.select("series_id", bucket=pl.int_ranges(first, pl.col("last") + 1)).explode("bucket")
    joined = grid.join(means, on=["series_id", "bucket"], how="left", nulls_equal=True, maintain_order="left")
    return joined.select("series_id", time=(pl.col("bucket") * micros).cast(TIME), value="value").sort(
        "series_id", "time", maintain_order=True
    )


def _as_type(column: pl.Series, dtype: PolarsDataType) -> pl.Series:
    """The column cast to `dtype` where that loses no meaning."""
    if dtype == ANY_TYPE or column.dtype == dtype:
        return column.fill_nan(None) if column.dtype.is_float() and dtype != ANY_TYPE else column
    have = column.dtype
    empty = have == pl.Null
    if dtype == TIME and isinstance(have, pl.Datetime) and have.time_zone is not None:
        return column.dt.convert_time_zone("UTC").dt.replace_time_zone(None).cast(dtype)
    if empty or (dtype == TIME and (have == pl.Date or isinstance(have, pl.Datetime))):
        return column.cast(dtype)
    if (have.is_numeric() or have == pl.Boolean) and dtype in (pl.Float64, pl.Float32):
        return column.cast(dtype).fill_nan(None)
    if (have.is_integer() or have == pl.Boolean) and dtype.is_integer():
        return column.cast(dtype)
    if dtype == pl.Boolean and have.is_integer():
        return column.cast(dtype)
    if dtype == pl.String and isinstance(have, (pl.Categorical, pl.Enum)):
        return column.cast(dtype)
    raise ValueError(f"column {column.name!r} has type {have}, and {dtype} is needed; cast it before the call")
