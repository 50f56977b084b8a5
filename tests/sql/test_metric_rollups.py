"""Rollups of samples: growth of counters across buckets, days, resets and gaps; gauges with values that are no numbers; hours from five
minutes."""

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


def hours(db: Any, start: date, end: date | None = None) -> list[dict[str, Any]]:
    """The hours of a window, from five-minute buckets that are built for it."""
    db.connection.execute("DELETE FROM core.metric_rollup_5m")
    db.build("core.metric_rollup_5m", start, end)
    found: list[dict[str, Any]] = db.run("core.metric_rollup_1h", start, end)
    return found


def increases(db: Any, start: date, end: date | None = None) -> dict[str, float]:
    return {row["time"].strftime("%d %H"): row["increase"] for row in hours(db, start, end)}


def observations(sketch: dict[int, list[int]]) -> int:
    return sum(map(sum, sketch.values()))


def test_growth_belongs_to_the_hour_of_the_later_sample(db: Any) -> None:
    series(db)
    points(db, ("2026-01-01 10:10", 5), ("2026-01-01 10:50", 8), ("2026-01-01 11:10", 20))
    assert increases(db, DAY) == {"01 10": 3, "01 11": 12}


def test_the_last_sample_before_the_window_counts(db: Any) -> None:
    series(db)
    points(db, ("2026-01-01 23:40", 90), ("2026-01-01 23:50", 100), ("2026-01-02 00:10", 130))
    assert increases(db, NEXT) == {"02 00": 30}
    assert [row["value"] for row in db.run("core.metric_rollup_5m", NEXT, cte="before")] == [100]


def test_a_reset_counts_what_the_counter_shows_after_it(db: Any) -> None:
    series(db)
    points(db, ("2026-01-01 10:00", 100), ("2026-01-01 10:20", 110), ("2026-01-01 10:40", 4), ("2026-01-01 10:50", 9))
    (row,) = hours(db, DAY)
    assert (row["increase"], row["resets"]) == (10 + 4 + 5, 1)


def test_a_reset_at_the_border_of_the_window(db: Any) -> None:
    series(db)
    points(db, ("2026-01-01 23:59", 1000), ("2026-01-02 00:01", 7))
    (row,) = hours(db, NEXT)
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
    assert {row["resets"] for row in hours(db, DAY)} == {0}


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
    (row,) = hours(db, DAY)
    assert (row["increase"], row["value_sketch"] is None) == ((3, True) if grows else (None, False))


def test_a_gauge_is_summed_up(db: Any) -> None:
    series(db, kind="gauge")
    points(db, ("2026-01-01 10:30", 4.0), ("2026-01-01 10:10", -2.0), ("2026-01-01 10:50", 1.0))
    (row,) = hours(db, DAY)
    assert [row[k] for k in ("count", "sum", "min", "max", "first", "last")] == [3, 3.0, -2.0, 4.0, -2.0, 1.0]
    assert observations(row["value_sketch"]) == 3


def test_what_is_no_number_is_counted_apart(db: Any) -> None:
    series(db, kind="gauge")
    points(db, ("2026-01-01 10:10", math.nan), ("2026-01-01 10:20", 2.0), ("2026-01-01 10:30", math.inf))
    points(db, ("2026-01-01 11:10", math.nan))
    with_value, without = hours(db, DAY)
    assert [with_value[k] for k in ("count", "nonfinite_count", "sum", "min", "max", "first", "last")] == [1, 2, 2, 2, 2, 2, 2]
    assert [without[k] for k in ("count", "nonfinite_count", "sum", "last", "value_sketch")] == [0, 1, None, None, None]


def test_what_is_no_number_does_not_break_a_counter(db: Any) -> None:
    series(db)
    points(db, ("2026-01-01 10:10", 5), ("2026-01-01 10:20", math.nan), ("2026-01-01 10:30", 9))
    assert increases(db, DAY) == {"01 10": 4}


def test_samples_of_an_unknown_series_are_kept(db: Any) -> None:
    points(db, ("2026-01-01 10:10", 5))
    (row,) = hours(db, DAY)
    assert (row["count"], row["increase"]) == (1, None)


def test_the_same_id_in_another_source_is_another_series(db: Any) -> None:
    series(db)
    points(db, ("2026-01-01 10:10", 5))
    db.fill("raw.metric_points", {"source": "t", "series_id": 1, "time": at("2026-01-01 10:20"), "value": 100.0})
    assert [(r["source"], r["sum"]) for r in hours(db, DAY)] == [("s", 5), ("t", 100)]


def increase_by_loop(values: list[float]) -> float:
    return sum(now if now < before else now - before for before, now in itertools.pairwise(values))


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 2 * 86_400 - 1), st.integers(0, 1000)), min_size=1, max_size=40, unique_by=lambda p: p[0]))
def test_hours_add_up_to_the_whole_growth(schema: Any, samples: list[tuple[int, int]]) -> None:
    schema.clear()
    series(schema)
    points(schema, *((str(at("2026-01-01") + timedelta(seconds=s)), float(v)) for s, v in samples))
    ordered = [float(v) for _, v in sorted(samples)]
    assert sum(increases(schema, DAY, date(2026, 1, 3)).values()) == increase_by_loop(ordered)


SAMPLES = st.lists(
    st.tuples(st.integers(0, 4 * 3600 - 1), st.sampled_from((0.0, -0.5, 1.0, 1e-9, math.nan, math.inf)) | st.floats(-1e6, 1e6)),
    min_size=1,
    max_size=60,
    unique_by=lambda p: p[0],
)


@settings(max_examples=30)
@given(SAMPLES, st.sampled_from(("gauge", "counter")), st.sampled_from(("cumulative", "delta")))
def test_an_hour_is_what_its_samples_give(schema: Any, samples: list[tuple[int, float]], kind: str, temporality: str) -> None:
    schema.clear()
    series(schema, kind=kind, temporality=temporality)
    points(schema, *((str(at("2026-01-01") + timedelta(seconds=s)), v) for s, v in samples))
    ordered = sorted(samples)
    for row in hours(schema, DAY):
        inside = [v for s, v in ordered if s // 3600 == row["time"].hour]
        finite = [v for v in inside if math.isfinite(v)]
        assert (row["count"], row["nonfinite_count"]) == (len(finite), len(inside) - len(finite))
        plain = [row[name] for name in ("min", "max", "first", "last")]
        assert plain == ([min(finite), max(finite), finite[0], finite[-1]] if finite else [None] * 4)
        assert row["sum"] == (pytest.approx(math.fsum(finite), rel=1e-9, abs=1e-9) if finite else None)
        if kind == "gauge":
            (whole,) = schema.connection.execute("SELECT sketch_of(x) FROM (SELECT unnest(?::DOUBLE[]) AS x)", [finite]).fetchone()
            assert (row["increase"], row["resets"], row["value_sketch"]) == (None, None, whole)
        else:
            steps = finite if temporality == "delta" else growth_by_loop(ordered, row["time"].hour)
            assert row["increase"] == pytest.approx(math.fsum(steps), rel=1e-9, abs=1e-6)


def growth_by_loop(ordered: list[tuple[int, float]], hour: int) -> list[float]:
    """Steps of the samples of an hour from the finite ones before them."""
    finite = [(s, v) for s, v in ordered if math.isfinite(v)]
    return [now if now < before else now - before for (_, before), (s, now) in itertools.pairwise(finite) if s // 3600 == hour]


def test_five_minutes_begin_on_the_clock(db: Any) -> None:
    series(db)
    points(db, ("2026-01-01 10:04:59", 5), ("2026-01-01 10:05:00", 8), ("2026-01-01 10:09:59.999999", 3), ("2026-01-01 10:10:00", 4))
    rows = db.run("core.metric_rollup_5m", DAY)
    assert [(row["time"].strftime("%H:%M"), row["increase"], row["resets"]) for row in rows] == [
        ("10:00", 0, 0),
        ("10:05", 3 + 3, 1),
        ("10:10", 1, 0),
    ]
