"""`models.forecast.reconcile`: against the matrix formula of the paper, sums that add up, and what is missing."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.forecast import reconcile

START = datetime.fromisoformat("2026-01-01")
TREE = pl.DataFrame({"series_id": ["a", "b", "c", "x", "y"], "parent_id": ["x", "x", "y", "all", "all"]})
LEAVES, NODES = ["a", "b", "c"], ["a", "b", "c", "x", "y", "all"]
SUMS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 0, 1], [1, 1, 1]], dtype=float)


def made(means: dict[str, list[float]], widths: dict[str, float]) -> pl.DataFrame:
    rows = [
        (key, START + timedelta(days=i), "naive", m, m - widths[key], m + 2 * widths[key], "ok")
        for key, values in means.items()
        for i, m in enumerate(values)
    ]
    return pl.DataFrame(rows, schema=["series_id", "time", "model", "mean", "lo_80", "hi_80", "status"], orient="row")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=12, max_size=12), st.lists(st.floats(0.1, 20), min_size=6, max_size=6))
def test_means_are_those_of_the_matrix_formula_and_add_up(values: list[float], widths: list[float]) -> None:
    base = np.array(values).reshape(6, 2)
    forecasts = made(dict(zip(NODES, base.tolist(), strict=True)), dict(zip(NODES, widths, strict=True)))
    found = reconcile(forecasts, TREE)
    inverse = np.diag(1 / np.square(widths))
    expected = SUMS @ np.linalg.solve(SUMS.T @ inverse @ SUMS, SUMS.T @ inverse @ base)
    got = {key: part["mean"].to_numpy() for (key,), part in found.group_by("series_id")}
    np.testing.assert_allclose([got[key] for key in NODES], expected, atol=1e-6)
    np.testing.assert_allclose(got["a"] + got["b"], got["x"], atol=1e-8)
    np.testing.assert_allclose(got["x"] + got["y"], got["all"], atol=1e-8)
    both = found.join(forecasts, on=["series_id", "time"])
    np.testing.assert_allclose(both["hi_80"] - both["mean"], both["hi_80_right"] - both["mean_right"], atol=1e-8)
    again = reconcile(found, TREE)
    np.testing.assert_allclose(again["mean"], found["mean"], atol=1e-6)


WIDTHS = dict.fromkeys(NODES, 1.0)


def test_a_total_without_a_forecast_is_the_sum_with_errors_that_come_together() -> None:
    found = reconcile(made({"a": [1.0], "b": [2.0], "c": [4.0], "y": [6.0]}, WIDTHS | {"a": 3.0}), TREE)
    rows = {row["series_id"]: row for row in found.iter_rows(named=True)}
    assert rows["c"]["mean"] == rows["y"]["mean"] == pytest.approx(5.0)
    assert rows["x"]["mean"] == pytest.approx(3.0)
    assert rows["all"]["mean"] == pytest.approx(8.0)
    assert (rows["x"]["lo_80"], rows["x"]["hi_80"]) == (pytest.approx(3 - 4), pytest.approx(3 + 8))
    assert rows["all"]["hi_80"] == pytest.approx(8 + 10)
    assert {rows[key]["model"] for key in ("x", "all")} == {"sum"}
    assert rows["a"]["model"] == "naive"


def test_a_leaf_without_a_forecast_takes_what_the_total_leaves() -> None:
    silent = pl.DataFrame({"series_id": ["b"], "status": ["not_enough_data"]})
    forecasts = pl.concat([made({"a": [1.0], "x": [9.0], "c": [4.0], "other": [7.0]}, WIDTHS | {"other": 1.0}), silent], how="diagonal")
    found = {row["series_id"]: row for row in reconcile(forecasts, TREE).iter_rows(named=True)}
    assert [found[key]["mean"] for key in ("a", "x", "c", "y", "all", "other")] == pytest.approx([1.0, 9.0, 4.0, 4.0, 13.0, 7.0])
    assert (found["b"]["status"], found["b"]["mean"]) == ("not_enough_data", None)
    lonely = reconcile(forecasts.filter(pl.col("series_id") != "x"), TREE)
    assert set(lonely["series_id"]) == {"a", "b", "c", "y", "other"}


def test_times_that_only_some_know() -> None:
    forecasts = made({"a": [1.0, 1.0], "b": [2.0, 2.0], "x": [5.0, 5.0]}, WIDTHS)
    forecasts = forecasts.filter((pl.col("series_id") != "x") | (pl.col("time") > START))
    found = reconcile(forecasts, TREE)
    total = found.filter(pl.col("series_id") == "x").sort("time")
    assert total["mean"].to_list() == pytest.approx([3.0, 5 - 2 / 3])
    assert total["time"].to_list() == [START, START + timedelta(days=1)]


def test_what_is_no_hierarchy_is_refused() -> None:
    forecasts = made({"a": [1.0]}, WIDTHS)
    with pytest.raises(ValueError, match="two parents"):
        reconcile(forecasts, pl.DataFrame({"series_id": ["a", "a"], "parent_id": ["x", "y"]}))
    with pytest.raises(ValueError, match="descendant of itself"):
        reconcile(forecasts, pl.DataFrame({"series_id": ["a", "x", "y"], "parent_id": ["x", "y", "x"]}))
    with pytest.raises(ValueError, match="parent_id"):
        reconcile(forecasts, pl.DataFrame({"series_id": ["a"]}))
    assert reconcile(forecasts.clear(), TREE).is_empty()
