"""core.metric_rollup_1h: growth of counters across hours, days, resets and gaps; gauges with values that are no numbers."""

from __future__ import annotations

import itertools
import math
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

at = datetime.fromisoformat
DAY, NEXT = date(2026, 1, 1), date(2026, 1, 2)


def series(db: Any, series_id: int = 1, **more: Any) -> None:
    defaults = {"kind": "counter", "temporality": "cumulative", "is_monotonic": True, "unit_scale": 1.0, "metric_name": "m"}
    db.fill("raw.metric_series", {"source": "s", "series_id": series_id, "first_seen": at("2026-01-01"), **defaults, **more})


def points(db: Any, *pairs: tuple[str, float], series_id: int = 1) -> None:
    db.fill("raw.metric_points", *({"source": "s", "series_id": series_id, "time": at(t), "value": v} for t, v in pairs))


def increases(db: Any, start: date, end: date | None = None) -> dict[str, float]:
    return {row["time"].strftime("%d %H"): row["increase"] for row in db.run("core.metric_rollup_1h", start, end)}


def test_growth_belongs_to_the_hour_of_the_later_sample(db: Any) -> None:
    series(db)
    points(db, ("2026-01-01 10:10", 5), ("2026-01-01 10:50", 8), ("2026-01-01 11:10", 20))
    assert increases(db, DAY) == {"01 10": 3, "01 11": 12}


def test_the_last_sample_before_the_window_counts(db: Any) -> None:
    series(db)
    points(db, ("2026-01-01 23:40", 90), ("2026-01-01 23:50", 100), ("2026-01-02 00:10", 130))
    assert increases(db, NEXT) == {"02 00": 30}
    assert [row["value"] for row in db.run("core.metric_rollup_1h", NEXT, cte="before")] == [100]


def test_a_reset_counts_what_the_counter_shows_after_it(db: Any) -> None:
    series(db)
    points(db, ("2026-01-01 10:00", 100), ("2026-01-01 10:20", 110), ("2026-01-01 10:40", 4), ("2026-01-01 10:50", 9))
    (row,) = db.run("core.metric_rollup_1h", DAY)
    assert (row["increase"], row["resets"]) == (10 + 4 + 5, 1)


def test_a_reset_at_the_border_of_the_window(db: Any) -> None:
    series(db)
    points(db, ("2026-01-01 23:59", 1000), ("2026-01-02 00:01", 7))
    (row,) = db.run("core.metric_rollup_1h", NEXT)
    assert (row["increase"], row["resets"]) == (7, 1)


def test_a_counter_without_a_sample_before_has_not_grown(db: Any) -> None:
    series(db)
    points(db, ("2026-01-01 10:00", 5000))
    assert increases(db, DAY) == {"01 10": 0}


def test_a_predecessor_is_looked_for_until_the_day_before_whatever_the_window(db: Any) -> None:
    series(db)
    points(db, ("2026-01-01 10:00", 10), ("2026-01-04 10:00", 50), ("2026-01-05 23:00", 60))
    by_range = increases(db, DAY, date(2026, 1, 6))
    by_day = [increases(db, date(2026, 1, d)) for d in range(1, 6)]
    assert by_range == {"01 10": 0, "04 10": 0, "05 23": 10}
    assert by_range == {hour: value for day in by_day for hour, value in day.items()}


def test_delta_temporality_adds_up_without_resets(db: Any) -> None:
    series(db, temporality="delta")
    points(db, ("2026-01-01 10:10", 5), ("2026-01-01 10:20", 2), ("2026-01-01 11:10", 3))
    assert increases(db, DAY) == {"01 10": 7, "01 11": 3}
    assert {row["resets"] for row in db.run("core.metric_rollup_1h", DAY)} == {0}


@pytest.mark.parametrize(
    ("more", "grows"),
    [
        ({"kind": "gauge"}, False),
        ({"kind": "unknown"}, False),
        ({"is_monotonic": False}, False),
        ({"is_monotonic": None}, True),
        ({"kind": "histogram"}, True),
        ({"kind": "summary"}, True),
        ({"kind": "summary", "labels": {"quantile": "0.5"}}, False),
    ],
)
def test_what_is_a_counter(db: Any, more: dict[str, Any], grows: bool) -> None:
    series(db, **more)
    points(db, ("2026-01-01 10:10", 5), ("2026-01-01 10:50", 8))
    (row,) = db.run("core.metric_rollup_1h", DAY)
    assert (row["increase"], row["value_sketch"] is None) == ((3, True) if grows else (None, False))


def test_a_gauge_is_summed_up(db: Any) -> None:
    series(db, kind="gauge")
    points(db, ("2026-01-01 10:30", 4.0), ("2026-01-01 10:10", -2.0), ("2026-01-01 10:50", 1.0))
    (row,) = db.run("core.metric_rollup_1h", DAY)
    assert [row[k] for k in ("count", "sum", "min", "max", "first", "last")] == [3, 3.0, -2.0, 4.0, -2.0, 1.0]
    assert sum(row["value_sketch"].values()) == 3


def test_what_is_no_number_is_counted_apart(db: Any) -> None:
    series(db, kind="gauge")
    points(db, ("2026-01-01 10:10", math.nan), ("2026-01-01 10:20", 2.0), ("2026-01-01 10:30", math.inf))
    points(db, ("2026-01-01 11:10", math.nan))
    with_value, without = db.run("core.metric_rollup_1h", DAY)
    assert [with_value[k] for k in ("count", "nonfinite_count", "sum", "min", "max", "first", "last")] == [1, 2, 2, 2, 2, 2, 2]
    assert [without[k] for k in ("count", "nonfinite_count", "sum", "last", "value_sketch")] == [0, 1, None, None, None]


def test_what_is_no_number_does_not_break_a_counter(db: Any) -> None:
    series(db)
    points(db, ("2026-01-01 10:10", 5), ("2026-01-01 10:20", math.nan), ("2026-01-01 10:30", 9))
    assert increases(db, DAY) == {"01 10": 4}


def test_samples_of_an_unknown_series_are_kept(db: Any) -> None:
    points(db, ("2026-01-01 10:10", 5))
    (row,) = db.run("core.metric_rollup_1h", DAY)
    assert (row["count"], row["increase"]) == (1, None)


def test_the_same_id_in_another_source_is_another_series(db: Any) -> None:
    series(db)
    points(db, ("2026-01-01 10:10", 5))
    db.fill("raw.metric_points", {"source": "t", "series_id": 1, "time": at("2026-01-01 10:20"), "value": 100.0})
    assert [(r["source"], r["sum"]) for r in db.run("core.metric_rollup_1h", DAY)] == [("s", 5), ("t", 100)]


def increase_by_loop(values: list[float]) -> float:
    return sum(now if now < before else now - before for before, now in itertools.pairwise(values))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2 * 86_400 - 1), st.integers(0, 1000)), min_size=1, max_size=40, unique_by=lambda p: p[0]))
def test_hours_add_up_to_the_whole_growth(schema: Any, samples: list[tuple[int, int]]) -> None:
    schema.clear()
    series(schema)
    points(schema, *((str(at("2026-01-01") + timedelta(seconds=s)), float(v)) for s, v in samples))
    ordered = [float(v) for _, v in sorted(samples)]
    assert sum(increases(schema, DAY, date(2026, 1, 3)).values()) == increase_by_loop(ordered)
