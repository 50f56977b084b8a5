"""`benchmarks.capacity`: limits that see nothing of their test, rates and the others' warnings by plain loops."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from benchmarks import capacity as benchmark
from benchmarks.capacity_sets import DAYS, FRACTIONS, KINDS, grown, range_limits


def test_limits_come_from_what_was_known() -> None:
    case = grown(1)
    history = case.history
    cutoffs = [history["time"].max() - timedelta(days=d) for d in (40, 20)]  # type: ignore[operator]
    copies, limits = range_limits(history, cutoffs)
    assert copies["series_id"].n_unique() == len(FRACTIONS) * len(KINDS)
    for row in limits.iter_rows(named=True):
        key, _, fraction = row["resource_id"].rpartition(" @ ")
        known = [v for k, t, v in history.iter_rows() if k == key and t <= row["since"]]
        assert row["limit"] == pytest.approx(min(known) + float(fraction) * (max(known) - min(known)))
    later = history.with_columns(value=pl.when(pl.col("time") > max(cutoffs)).then(1e9).otherwise(pl.col("value")))
    assert range_limits(later, cutoffs)[1].equals(limits)


def test_generated_series_grow_as_their_kind_says_and_some_cross() -> None:
    case = grown(4)
    assert case.limits is not None
    assert case.limits.height == case.history["series_id"].n_unique() == 4 * len(KINDS)
    joined = case.history.join(case.limits, left_on="series_id", right_on="resource_id")
    crossed = joined.filter(pl.col("value") >= pl.col("limit"))["series_id"].n_unique()
    assert 0.2 < crossed / case.limits.height < 0.8
    assert grown(4).history.equals(case.history)
    assert joined.group_by("series_id").len()["len"].to_list() == [DAYS] * 4 * len(KINDS)


def test_decisions_of_a_set_and_their_rates() -> None:
    found = benchmark.decisions_of(grown(3), origins=1)
    assert {"planner", "predict_linear", "threshold", "reached"} <= set(found.columns)
    for way in ("planner", "threshold"):
        row = benchmark.rates(found, way)
        warned = [(w, r) for w, r in found.select(way, "reached").iter_rows()]
        assert row["decisions"] == len(warned)
        assert row["reached"] == sum(r for _, r in warned)
        assert row["warned_in_time"] == pytest.approx(sum(w for w, r in warned if r) / sum(r for _, r in warned), abs=1e-4)
        assert row["false_warnings"] == pytest.approx(sum(not r for w, r in warned if w) / sum(w for w, _ in warned), abs=1e-4)
    assert sum(part["decisions"] for part in benchmark.calibration(found)) == found.height


def test_predict_linear_is_the_least_squares_line() -> None:
    history = grown(1).history.filter(pl.col("series_id") == "linear/0").head(28)
    value = benchmark.predict_linear(history, history["time"].max() + timedelta(days=14))  # type: ignore[operator]
    slope, intercept = np.polyfit(np.arange(28), history["value"].to_numpy(), 1)
    assert value == pytest.approx(intercept + slope * (27 + 14))
