"""`models.capacity.backtest` and `track_record`: nothing later than a cutoff counts there, outcomes and rates by plain loops."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from models.capacity import backtest, plan, track_record
from models.forecast import forecast

START = datetime.fromisoformat("2026-01-01")
DAY = timedelta(days=1)
CHEAP = ["trend_season", "level_season"]


def days(values: np.ndarray, key: str) -> pl.DataFrame:
    return pl.DataFrame({"series_id": [key] * values.size, "time": [START + DAY * i for i in range(values.size)], "value": values})


def made() -> tuple[pl.DataFrame, pl.DataFrame]:
    rng, t = np.random.default_rng(0), np.arange(90)
    gone = days(40 + rng.normal(0, 1, 90), "gone").filter(pl.col("time") < START + DAY * 40)
    values = {"grows": 30 + 0.5 * t + rng.normal(0, 0.5, 90), "still": 30 + rng.normal(0, 0.5, 90), "full": 99 + rng.normal(0, 0.1, 90)}
    history = pl.concat([*(days(v, key) for key, v in values.items()), gone])
    limits = pl.DataFrame({"resource_id": [*values, "gone", "none"], "limit": [65.0, 65.0, 90.0, 65.0, 65.0]})
    return history, limits


def test_decisions_are_those_of_a_plan_made_then_and_outcomes_what_came() -> None:
    history, limits = made()
    found = backtest(history, limits, lead_time="14d", origins=4, models=CHEAP)
    assert found.columns == [
        *("resource_id", "cutoff", "p_exceed_by_lead_time", "warned", "reached", "reached_time", "over_already", "status")
    ]
    cutoffs = sorted(found.filter(pl.col("status") == "ok")["cutoff"].unique())
    assert cutoffs[-1] == START + DAY * (89 - 14)
    assert len(cutoffs) == 4
    assert min(cutoffs) >= START + DAY * 44
    for cutoff in cutoffs:
        known = history.filter((pl.col("time") <= cutoff) & (pl.col("series_id") != "gone"))
        then = plan(forecast(known, horizon=14, freq="1d", models=CHEAP), limits, lead_time="14d")
        chance = dict(then.drop_nulls("p_exceed_by_lead_time").select("resource_id", "p_exceed_by_lead_time").iter_rows())
        for row in found.filter((pl.col("cutoff") == cutoff) & (pl.col("status") == "ok")).iter_rows(named=True):
            key, limit = row["resource_id"], dict(limits.iter_rows())[row["resource_id"]]
            assert row["p_exceed_by_lead_time"] == pytest.approx(chance[key], abs=1e-9)
            assert row["warned"] == (row["p_exceed_by_lead_time"] > 0.05)
            own = history.filter(pl.col("series_id") == key)
            times = [t for _, t, v in own.iter_rows() if cutoff < t <= cutoff + 14 * DAY and v >= limit]
            assert row["reached_time"] == (min(times) if times else None)
            assert row["reached"] == bool(times)
            assert row["over_already"] == (own.filter(pl.col("time") == cutoff)["value"][0] >= limit)
    status = found.filter(pl.col("resource_id").is_in(["gone", "none"]))
    assert set(status["status"]) == {"not_enough_data"}
    assert status.select("p_exceed_by_lead_time", "warned", "reached", "over_already").null_count().row(0) == (status.height,) * 4


def test_what_comes_after_a_cutoff_changes_no_probability() -> None:
    history, limits = made()
    before = backtest(history, limits, lead_time="14d", origins=2, models=CHEAP)
    first = before["cutoff"].min()
    other = history.with_columns(value=pl.when(pl.col("time") > first).then(pl.col("value") * 3 + 100).otherwise(pl.col("value")))
    breaks = pl.DataFrame({"series_id": ["grows"], "time": [first + DAY]})  # type: ignore[operator]
    after = backtest(other, limits, lead_time="14d", origins=2, models=CHEAP, breaks=breaks)
    at = pl.col("cutoff") == first
    assert after.filter(at)["p_exceed_by_lead_time"].equals(before.filter(at)["p_exceed_by_lead_time"])
    assert not after.filter(~at)["p_exceed_by_lead_time"].equals(before.filter(~at)["p_exceed_by_lead_time"])


def test_a_break_counts_from_the_time_at_which_it_was_known() -> None:
    history, _ = made()
    high = pl.DataFrame({"resource_id": ["grows"], "limit": [75.0]})
    alone, told, later = (
        backtest(history, high, lead_time="14d", origins=1, models=CHEAP, breaks=breaks)["p_exceed_by_lead_time"].to_list()
        for breaks in (
            None,
            pl.DataFrame({"series_id": ["grows"], "time": [START + DAY * 70], "known_from": [START + DAY * 75]}),
            pl.DataFrame({"series_id": ["grows"], "time": [START + DAY * 70], "known_from": [START + DAY * 76]}),
        )
    )
    assert alone == later != told


def test_a_limit_counts_from_its_own_time_on() -> None:
    history, _ = made()
    since = [None, START + DAY * 70]
    raised = pl.DataFrame({"resource_id": ["grows"] * 2, "limit": [62.0, 200.0], "since": since})
    found = backtest(history, raised, lead_time="14d", origins=3, stride="10d", models=CHEAP)
    assert found["cutoff"].to_list() == [START + DAY * d for d in (55, 65, 75)]
    assert found["warned"].to_list() == [True, True, False]
    assert found["reached"].to_list() == [True, True, False]
    late = raised.with_columns(since=pl.Series([None, START + DAY * 65 + timedelta(hours=15)]))
    assert backtest(history, late, lead_time="14d", origins=3, stride="10d", models=CHEAP)["warned"].to_list() == [True, False, False]
    unknown = backtest(history, raised.tail(1), lead_time="14d", origins=3, stride="10d", models=CHEAP)
    assert unknown["cutoff"].to_list() == [START + DAY * 75]


def test_a_lead_time_of_its_own_and_a_short_history() -> None:
    history, limits = made()
    own = limits.with_columns(lead_time=pl.when(pl.col("resource_id") == "grows").then(pl.duration(days=2)))
    both, alone = (backtest(history, at, lead_time="14d", origins=2, models=CHEAP) for at in (own, limits))
    assert both.filter(pl.col("resource_id") == "grows")["cutoff"].to_list() == [START + DAY * (89 - 4), START + DAY * (89 - 2)]
    assert both.filter(pl.col("resource_id") == "still")["cutoff"].to_list() == alone["cutoff"].unique().drop_nulls().sort().to_list()
    assert backtest(history.head(20), limits.head(1), lead_time="14d").rows() == [("grows", *[None] * 6, "not_enough_data")]
    assert backtest(history.clear(), limits.head(1), lead_time="14d")["status"].to_list() == ["not_enough_data"]
    for wrong in ({"risk": 0.0}, {"origins": 0}):
        with pytest.raises(ValueError, match=r"risk|origins"):
            backtest(history, limits, lead_time="14d", **wrong)


def decisions(rows: list[tuple[str, float | None, bool, str]], risk: float = 0.05) -> pl.DataFrame:
    key, chance, reached, status = (list(c) for c in zip(*rows, strict=True))
    frame = pl.DataFrame({"resource_id": key, "p_exceed_by_lead_time": chance, "reached": reached, "status": status})
    return frame.with_columns(warned=pl.col("p_exceed_by_lead_time") > risk, over_already=pl.col("status") == "over").with_columns(
        status=pl.col("status").replace("over", "ok")
    )


def test_track_record_equals_a_plain_loop() -> None:
    rng = np.random.default_rng(1)
    rows = [
        (f"r{rng.integers(4)}", float(rng.random() ** 4), bool(rng.random() < 0.3), str(rng.choice(["ok", "ok", "over", "failed:x"])))
        for _ in range(200)
    ]
    for by in ("resource_id", None):
        for row in track_record(decisions(rows), by=by).iter_rows(named=True):
            mine = [(p, y) for key, p, y, status in rows if status == "ok" and (by is None or key == row["resource_id"])]
            warned = [y for p, y in mine if p > 0.05]
            reached = [p for p, y in mine if y]
            assert (row["decisions"], row["reached"], row["warnings"]) == (len(mine), len(reached), len(warned))
            assert row["warned_in_time"] == pytest.approx(sum(p > 0.05 for p in reached) / len(reached))
            assert row["false_warnings"] == pytest.approx(sum(not y for y in warned) / len(warned))
            assert row["brier"] == pytest.approx(sum((p - y) ** 2 for p, y in mine) / len(mine))
            assert row["status"] == "ok"


def test_shares_of_nothing_are_null() -> None:
    calm, none = track_record(decisions([("calm", 0.01, False, "ok"), ("none", 0.9, True, "over")])).iter_rows(named=True)
    assert calm == {
        "resource_id": "calm",
        "decisions": 1,
        "reached": 0,
        "warned_in_time": None,
        "warnings": 0,
        "false_warnings": None,
        "brier": pytest.approx(0.0001),
        "status": "ok",
    }
    assert none["status"] == "not_enough_data"
    assert [v for k, v in none.items() if k not in ("resource_id", "status")] == [None] * 6
    assert track_record(decisions([("x", 0.9, True, "over")]), by=None)["status"].to_list() == ["not_enough_data"]
