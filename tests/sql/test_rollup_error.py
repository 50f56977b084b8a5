"""core.rollup_error: percentiles, mean and increase of rollups against the samples that they were made of."""

from __future__ import annotations

import math
import random
from datetime import date, datetime, timedelta
from typing import Any

import pytest

START = datetime.fromisoformat("2026-01-01")
DAY = date(2026, 1, 1)
PERCENTILES = ("p50_error", "p95_error", "p99_error")


def series(db: Any, *ids: int, name: str = "m", kind: str = "gauge") -> None:
    more = {"metric_name": name, "kind": kind, "unit_scale": 1.0, "first_seen": START}
    db.fill("raw.metric_series", *({"source": "s", "series_id": i, **more} for i in ids))


def points(db: Any, series_id: int, values: list[float], start: datetime = START) -> None:
    rows = [{"source": "s", "series_id": series_id, "time": start + timedelta(seconds=600 * i), "value": v} for i, v in enumerate(values)]
    db.fill("raw.metric_points", *rows)


def errors(db: Any, day: date = DAY) -> dict[tuple[str, str], dict[str, Any]]:
    """Metric and tier -> errors of a day, after both rollups were built."""
    for tier in ("core.metric_rollup_5m", "core.metric_rollup_1h"):
        db.connection.execute(f"DELETE FROM {tier}")
        db.build(tier, day)
    return {(row["metric_name"], row["tier"]): row for row in db.run("core.rollup_error", day)}


def test_gauges_of_any_sign_are_within_two_percent_and_means_exact(db: Any) -> None:
    rng = random.Random(1)
    series(db, 1, 2)
    points(db, 1, [rng.gauss(0, 5) for _ in range(140)] + [0.0] * 4)
    points(db, 2, [rng.lognormvariate(0, 3) for _ in range(143)] + [math.nan])
    found = errors(db)
    assert set(found) == {("m", "5m"), ("m", "1h")}
    for row in found.values():
        assert (row["series_count"], row["series_compared"], row["samples"]) == (2, 2, 287)
        assert all(0 < row[name] <= 0.02 for name in PERCENTILES)
        assert row["avg_error"] == pytest.approx(0, abs=1e-9)
        assert row["increase_error"] is None


def test_a_counter_has_no_percentiles_and_its_first_step_comes_from_the_day_before(db: Any) -> None:
    series(db, 1, kind="counter")
    points(db, 1, [100.0], START - timedelta(hours=1))
    points(db, 1, [130.0, 140.0, 5.0])
    found = errors(db)
    assert [row["increase"] for row in db.run("core.metric_rollup_1h", DAY)] == [30 + 10 + 5]
    for row in found.values():
        assert [row[name] for name in (*PERCENTILES, "increase_error")] == [None, None, None, 0]


def test_a_rollup_that_is_not_of_these_samples_is_seen(db: Any) -> None:
    series(db, 1)
    series(db, 2, name="c", kind="counter")
    points(db, 1, [10.0] * 20)
    points(db, 2, [0.0, 10.0])
    errors(db)
    db.connection.execute("UPDATE raw.metric_points SET value = value * 1.1")
    found = {(row["metric_name"], row["tier"]): row for row in db.run("core.rollup_error", DAY)}
    gauge, counter = found["m", "1h"], found["c", "5m"]
    assert all(0.07 < gauge[name] < 0.12 for name in (*PERCENTILES, "avg_error"))
    assert counter["increase_error"] == pytest.approx(0.1 / 1.1)


def test_of_many_series_eight_are_compared_always_the_same(db: Any) -> None:
    series(db, *range(1, 21))
    for i in range(1, 21):
        points(db, i, [float(i)])
    (row,) = [r for key, r in errors(db).items() if key == ("m", "1h")]
    assert (row["series_count"], row["series_compared"], row["samples"]) == (20, 8, 8)
    assert {r["series_id"] for r in db.run("core.rollup_error", DAY, cte="compared")} == set(range(1, 9))


def test_days_without_rollups_have_no_error(db: Any) -> None:
    series(db, 1)
    points(db, 1, [1.0])
    assert db.run("core.rollup_error", DAY) == []
