"""Frames as models get them: column types, grids, frequencies."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from models import series

T0 = datetime(2026, 1, 1)


def test_missing_columns_are_named() -> None:
    with pytest.raises(ValueError, match=r"lacks the columns \['value'\]"):
        series.ensure_columns(pl.DataFrame({"series_id": [1], "time": [T0]}), series.HISTORY)


def test_text_is_never_parsed_as_time() -> None:
    with pytest.raises(ValueError, match="column 'time' has type String"):
        series.ensure_columns(pl.DataFrame({"series_id": [1], "time": ["2026-01-01"], "value": [1.0]}), series.HISTORY)


def test_numbers_dates_and_zoned_times_are_cast_and_nan_is_null() -> None:
    zoned = pl.Series("time", [datetime(2026, 1, 1, 12)]).dt.replace_time_zone("Europe/Berlin")
    frame = pl.DataFrame({"series_id": ["a"], "time": zoned, "value": [7]})
    assert series.ensure_columns(frame, series.HISTORY)["time"][0] == datetime(2026, 1, 1, 11)
    frame = pl.DataFrame({"series_id": ["a", "a"], "time": [date(2026, 1, 1)] * 2, "value": [float("nan"), 2.0]})
    out = series.ensure_columns(frame, series.HISTORY)
    assert out["value"].to_list() == [None, 2.0]
    assert out.schema["time"] == pl.Datetime("us")


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("5m", timedelta(minutes=5)),
        ("1h", timedelta(hours=1)),
        ("D", timedelta(days=1)),
        ("15min", timedelta(minutes=15)),
    ],
)
def test_step_of_reads_frequencies(text: str, step: timedelta) -> None:
    assert series.step_of(text) == step


@pytest.mark.parametrize("text", ["1mo", "0h", "hour", "", "-1h"])
def test_step_of_refuses_what_has_no_fixed_positive_length(text: str) -> None:
    with pytest.raises(ValueError, match="freq"):
        series.step_of(text)


def test_seasons_are_whole_numbers_of_steps() -> None:
    assert series.season_lengths_of("1h") == [24, 168]
    assert series.season_lengths_of("1d") == [7]
    assert series.season_lengths_of("7m") == [1440]
    assert series.season_lengths_of("1w") == []


def test_infer_step_takes_the_most_usual_gap() -> None:
    times = np.array([0, 60, 120, 500, 560], "datetime64[s]")
    assert series.infer_step(times[::-1]) == timedelta(minutes=1)
    assert series.infer_step(times[:1]) is None


def test_grid_averages_buckets_and_leaves_gaps_null() -> None:
    history = pl.DataFrame(
        {
            "series_id": ["b", "a", "a", "a", "a"],
            "time": [T0 + timedelta(minutes=m) for m in (3, 130, 0, 10, 10)],
            "value": [5.0, 4.0, 1.0, 99.0, 3.0],
        }
    )
    grid = series.regular_grid(history, freq="1h")
    assert grid.rows() == [
        ("a", T0, 2.0),  # of the two rows at 00:10 the last one stays: mean of 1 and 3
        ("a", T0 + timedelta(hours=1), None),
        ("a", T0 + timedelta(hours=2), 4.0),
        ("b", T0, 5.0),
    ]


def test_grid_of_nothing_is_empty() -> None:
    empty = pl.DataFrame(schema={"series_id": pl.UInt64, "time": pl.Datetime("us"), "value": pl.Float64})
    assert series.regular_grid(empty, freq="1h").shape == (0, 3)


def test_grid_keeps_the_newest_points_of_a_series_that_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "MAX_GRID_POINTS", 3)
    history = pl.DataFrame({"series_id": [1, 1], "time": [T0, T0 + timedelta(days=9)], "value": [1.0, 2.0]})
    grid = series.regular_grid(history, freq="1d")
    assert grid["time"].to_list() == [T0 + timedelta(days=d) for d in (7, 8, 9)]
    assert grid["value"].to_list() == [None, None, 2.0]


def test_failed_is_one_short_line() -> None:
    assert series.failed("a\n b" + "c" * 500) == "failed:a b" + "c" * 197


def test_a_history_in_order_is_cleaned_like_one_that_is_not() -> None:
    times = [datetime(2026, 1, 1) + timedelta(hours=i) for i in range(5)]
    rows = {"series_id": ["a"] * 5 + ["b"] * 5, "time": times * 2, "value": [1.0, float("nan"), 3.0, float("inf"), 5.0] * 2}
    ordered = pl.DataFrame(rows)
    assert series.clean_history(ordered).equals(series.clean_history(ordered.reverse()))
    repeated = pl.concat([ordered, ordered.tail(1).with_columns(value=pl.lit(9.0))])
    assert series.clean_history(repeated)["value"].to_list()[-1] == 9.0
    assert series.clean_history(repeated).height == 10
