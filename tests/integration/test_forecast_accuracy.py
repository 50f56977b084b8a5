"""What is said of past forecasts, when, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from orchestration.accuracy import FORECASTS, RECORD, judge_forecasts
from orchestration.history import History
from tests.contract_rows import write
from tests.lakes import DAY, open_lake
from warehouse.contracts import CONTRACTS
from warehouse.lake.lake import Lake

LEVELS = (100.0, 110.0, 90.0, 105.0, 95.0, 120.0, 80.0)
BANDS = {"lo_95": -20.0, "lo_80": -1.0, "hi_80": 1.0, "hi_95": 20.0}


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    with open_lake(tmp_path) as opened:
        yield opened


def midnight(day: date) -> datetime:
    return datetime.combine(day, time())


def peaks(until: date, days: int = 40) -> pl.DataFrame:
    """Daily use of one disk, the same every week but for a step up each week."""
    dates = [until - timedelta(days=ago) for ago in reversed(range(days))]
    values = [LEVELS[day.weekday()] + day.toordinal() // 7 for day in dates]
    return pl.DataFrame({"series_id": "disk", "time": [midnight(d) for d in dates], "value": values})


def forecast_of(made_on: date, error: float, steps: int = 10) -> list[dict[str, Any]]:
    """A forecast that is off by `error`, of the days after the one it knew last."""
    days = [made_on + timedelta(days=i) for i in range(1, steps + 1)]
    means = [LEVELS[day.weekday()] + day.toordinal() // 7 + error for day in days]
    return [
        {"day": made_on, "resource_id": "disk", "time": midnight(day), "model": "theta", "mean": mean, "status": "ok"}
        | {name: mean + distance for name, distance in BANDS.items()}
        for day, mean in zip(days, means, strict=True)
    ]


def made(lake: Lake, made_on: date, error: float = 2.0) -> None:
    write(lake, CONTRACTS[FORECASTS], forecast_of(made_on, error), days={made_on: "inputs"})
    lake.set_states(FORECASTS, {made_on: ("passed", None)})


def said(lake: Lake, as_of: date) -> list[tuple[Any, ...]]:
    """What is judged on a day, which is then written and passed."""
    fresh, _ = judge_forecasts(History(lake, lake.settings, as_of), peaks(as_of))
    write(lake, CONTRACTS[RECORD], fresh.with_columns(day=pl.lit(as_of)).to_dicts(), days={as_of: "inputs"})
    lake.set_states(RECORD, {as_of: ("passed", None)})
    shown = fresh.select("made_on", "horizon_days", "observations", "mase", "mase_seasonal_naive", "coverage_80", "coverage_95")
    return sorted(tuple(round(v, 6) if isinstance(v, float) else v for v in one) for one in shown.iter_rows())


def test_a_stretch_is_judged_once_when_its_last_day_has_come(lake: Lake) -> None:
    made(lake, DAY)
    assert said(lake, DAY) == []
    day_ahead = (DAY, 1, 1, 2.0, 1.0, 0.0, 1.0)
    assert said(lake, DAY + timedelta(days=1)) == [day_ahead]
    assert said(lake, DAY + timedelta(days=1)) == [day_ahead]  # made again, it says the same
    assert said(lake, DAY + timedelta(days=6)) == []
    assert said(lake, DAY + timedelta(days=9)) == [(DAY, 7, 6, 2.0, 1.0, 0.0, 1.0)]  # days without a run make it late, not lost
    assert said(lake, DAY + timedelta(days=10)) == []


def test_forecasts_of_blocked_days_do_not_count(lake: Lake) -> None:
    made(lake, DAY)
    lake.set_states(FORECASTS, {DAY: ("blocked", "interval_ordered")})
    assert said(lake, DAY + timedelta(days=1)) == []


@pytest.mark.parametrize(("error", "out"), [(2.0, ["theta"]), (0.5, [])])
def test_a_model_that_keeps_losing_to_last_weeks_values_is_left_out(lake: Lake, error: float, out: list[str]) -> None:
    last = DAY + timedelta(days=30)
    for i in range(30):
        made(lake, DAY + timedelta(days=i), error)
    fresh, retired = judge_forecasts(History(lake, lake.settings, last), peaks(last, 80))
    assert (fresh["horizon_days"] == 1).sum() == 30
    assert retired.rows() == [("disk", model) for model in out]
