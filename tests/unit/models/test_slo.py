"""Error budgets and burn rates against a plain loop and the Site Reliability Workbook's own figures."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from models.series import NOT_ENOUGH_DATA, STATUS_OK
from models.slo import error_budget

T0 = datetime(2026, 1, 1)
COLUMNS = ["service", "time", "sli", "objective", "budget_remaining", "burn_rate_1h", "burn_rate_6h", "status"]


def counts(good: list[float | None], total: list[float | None], step: timedelta, service: str = "api") -> pl.DataFrame:
    return pl.DataFrame(
        {
            "service": [service] * len(good),
            "time": [T0 + step * i for i in range(len(good))],
            "good": good,
            "total": total,
        },
        schema_overrides={"good": pl.Float64, "total": pl.Float64},
    )


def loop_share(times: list[datetime], bad: list[float], total: list[float], at: int, length: timedelta) -> float | None:
    inside = [i for i, t in enumerate(times) if times[at] - length < t <= times[at]]
    events = sum(total[i] for i in inside)
    return sum(bad[i] for i in inside) / events if events else None


def test_every_row_equals_the_plain_loop() -> None:
    rng = np.random.default_rng(1)
    total = rng.integers(0, 50, 24 * 12).astype(float)
    total[100:130] = 0.0
    bad = np.floor(total * rng.random(total.size) * 0.02)
    frame = counts((total - bad).tolist(), total.tolist(), timedelta(minutes=30))
    keep = np.flatnonzero(rng.random(total.size) > 0.1)  # gaps
    result = error_budget(frame[keep.tolist()], objective=0.99, window_days=2)
    times = frame["time"].to_list()
    times = [times[i] for i in keep]
    bad_kept, total_kept = bad[keep].tolist(), total[keep].tolist()
    for at, row in enumerate(result.iter_rows(named=True)):
        if times[at] - times[0] < timedelta(days=1):
            assert row["status"] == NOT_ENOUGH_DATA
            continue
        share = loop_share(times, bad_kept, total_kept, at, timedelta(days=2))
        assert share is not None
        assert row["sli"] == pytest.approx(1 - share)
        assert row["budget_remaining"] == pytest.approx(1 - share / 0.01)
        for column, hours in (("burn_rate_1h", 1), ("burn_rate_6h", 6)):
            burn = loop_share(times, bad_kept, total_kept, at, timedelta(hours=hours))
            assert row[column] == (None if burn is None else pytest.approx(burn / 0.01))


def test_the_workbook_example_an_hour_at_burn_rate_14_4_spends_two_percent_of_thirty_days() -> None:
    hours = 30 * 24
    good = [10_000.0] * (hours - 1) + [10_000 - 144.0]
    last = error_budget(counts(good, [10_000.0] * hours, timedelta(hours=1)), objective=0.999, window_days=30).row(-1, named=True)
    assert last["burn_rate_1h"] == pytest.approx(14.4)
    assert last["burn_rate_6h"] == pytest.approx(14.4 / 6)
    assert last["budget_remaining"] == pytest.approx(0.98)


def test_constant_error_rate_at_the_objective_burns_at_one_and_leaves_nothing() -> None:
    last = error_budget(counts([99.0] * 100, [100.0] * 100, timedelta(hours=1)), objective=0.99).row(-1, named=True)
    assert (last["burn_rate_1h"], last["burn_rate_6h"]) == (pytest.approx(1.0), pytest.approx(1.0))
    assert last["budget_remaining"] == pytest.approx(0.0)


def test_services_are_apart_and_each_has_its_objective() -> None:
    day = timedelta(hours=6)
    both = pl.concat(
        [
            counts([9.0] * 8, [10.0] * 8, day, "a"),
            counts([10.0] * 8, [10.0] * 8, day, "b"),
            counts([1.0] * 8, [1.0] * 8, day, "c"),
        ]
    )
    result = error_budget(both.sample(fraction=1, shuffle=True, seed=2), objective={"a": 0.95, "b": 0.5})
    assert result.columns == COLUMNS
    assert result.select("service", "time").equals(both.select("service", "time"))
    last = result.group_by("service", maintain_order=True).last().to_dict(as_series=False)
    assert last["sli"] == [pytest.approx(0.9), 1.0, None]
    assert last["objective"] == [0.95, 0.5, None]
    assert last["budget_remaining"] == [pytest.approx(-1.0), 1.0, None]
    assert last["status"] == [STATUS_OK, STATUS_OK, "failed:no objective is set for this service"]


def test_impossible_counts_fail_their_row_and_enter_no_window() -> None:
    good = [10.0] * 10 + [None, -1.0, 11.0, float("inf"), 10.0]
    result = error_budget(counts(good, [10.0] * 15, timedelta(hours=12)), objective=0.9)
    assert result["status"].to_list()[-5:] == [
        "failed:good or total is missing",
        "failed:good or total is negative",
        "failed:good exceeds total",
        "failed:good or total is missing",
        STATUS_OK,
    ]
    assert result["sli"].to_list()[-5:] == [None, None, None, None, 1.0]


def test_no_traffic_is_not_enough_data_and_repeats_count_once() -> None:
    silent = error_budget(counts([0.0] * 50, [0.0] * 50, timedelta(hours=1)), objective=0.9)
    assert set(silent["status"]) == {NOT_ENOUGH_DATA}
    frame = counts([9.0] * 50, [10.0] * 50, timedelta(hours=1))
    assert error_budget(pl.concat([frame, frame]), objective=0.9).equals(error_budget(frame, objective=0.9))
    assert error_budget(frame.clear(), objective=0.9).shape == (0, len(COLUMNS))


@pytest.mark.parametrize("objective", [0.0, 1.0, 99.9, float("nan"), {"api": 1.5}])
def test_objectives_out_of_range_are_refused(objective: float | dict[str, float]) -> None:
    with pytest.raises(ValueError, match="objective"):
        error_budget(counts([1.0], [1.0], timedelta(hours=1)), objective=objective)


def test_window_and_columns_are_checked() -> None:
    with pytest.raises(ValueError, match="window_days"):
        error_budget(counts([1.0], [1.0], timedelta(hours=1)), objective=0.9, window_days=0)
    with pytest.raises(ValueError, match="lacks the columns"):
        error_budget(pl.DataFrame({"service": ["a"]}), objective=0.9)
