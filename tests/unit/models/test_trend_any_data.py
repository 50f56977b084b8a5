"""No data breaks trends, change points or anomaly scores: they answer with a status, with nulls where it is not ok, never NaN."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.anomaly import score
from models.series import NOT_ENOUGH_DATA, STATUS_OK
from models.trend import change_points, trends

T0 = datetime(2026, 1, 1)
AWKWARD = [0.0, 1.0, -1.0, 5.0, 1e308, -1e308, 1e160, 1e-310, float("nan"), float("inf"), None]
KEPT = {"series_id", "time", "value", "status"}


@st.composite
def histories(draw: st.DrawFn) -> pl.DataFrame:
    """Series of a few awkward values at regular, repeated, random or distant times, in no order."""
    pool = draw(st.lists(st.sampled_from(AWKWARD), min_size=1, max_size=4))
    rows = draw(st.sampled_from([0, 1, 2, 20, 45, 130]))
    step = draw(st.sampled_from([1, 7, 60, 300, 3600, 86400, 86400 * 30]))
    random = draw(st.randoms(use_true_random=False))
    times = [T0 + timedelta(seconds=step * (i if random.random() < 0.95 else random.random() * rows)) for i in range(rows)]
    if rows > 2 and draw(st.booleans()):
        times[0] = T0 - timedelta(days=100)
    table = {"series_id": [random.choice([1, None]) for _ in times], "time": times, "value": [random.choice(pool) for _ in times]}
    return pl.DataFrame(table, schema={"series_id": pl.UInt64, "time": pl.Datetime("us"), "value": pl.Float64})


def is_honest(result: pl.DataFrame) -> None:
    measured = [c for c in result.columns if c not in KEPT]
    not_ok = result.filter(pl.col("status") != STATUS_OK)
    assert not_ok.select(pl.col(measured).is_null().all()).row(0) == (True,) * len(measured)
    assert result["status"].str.contains(f"^({STATUS_OK}|{NOT_ENOUGH_DATA}|failed:.+)$").all()
    for name in measured:
        if result[name].dtype.is_float():
            assert result[name].is_finite().all(), name


@settings(max_examples=40)
@given(frame=histories(), freq=st.sampled_from(["7m", "1h", "1d"]))
def test_any_history_gets_an_honest_answer(frame: pl.DataFrame, freq: str) -> None:
    for result in (trends(frame, freq=freq), change_points(frame, freq=freq), change_points(frame), score(frame, freq=freq), score(frame)):
        is_honest(result)
    assert trends(frame, freq=freq).height == frame["series_id"].n_unique()


@pytest.mark.parametrize("model", [trends, change_points])
def test_a_step_far_coarser_than_the_data_is_not_enough_data(model: object) -> None:
    frame = pl.DataFrame({"series_id": [1] * 500, "time": [T0 + timedelta(minutes=i) for i in range(500)], "value": [1.0, 2.0] * 250})
    result = model(frame, freq="1h")  # type: ignore[operator]
    assert result["status"].to_list() == [NOT_ENOUGH_DATA]
