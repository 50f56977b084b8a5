"""series_window: the coarsest tier that answers within the error asked for, and the finest that is left where it is gone."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest

START = datetime.fromisoformat("2026-01-01")
DAYS = [date(2026, 1, 1), date(2026, 1, 2)]
TIERS = {"raw": "raw.metric_points", "5m": "core.metric_rollup_5m", "1h": "core.metric_rollup_1h"}
PLAIN = ("count", "avg", "min", "max", "sum", "increase")
SAMPLES = """
INSERT INTO raw.metric_points BY NAME
SELECT 's' AS source, kind::UBIGINT AS series_id, ?::TIMESTAMP + to_minutes(2 * i) AS time, time::DATE AS day, 'b' AS batch_id,
if(kind = 0, (hash(i) % 4000)::DOUBLE / 100 - 20, sum((hash(i) % 5)::DOUBLE) OVER (PARTITION BY kind, i // 500 ORDER BY i)) AS value
FROM range(1440) AS t (i), range(2) AS u (kind)"""
"""A gauge around zero and a counter with resets."""


@pytest.fixture
def filled(db: Any) -> Any:
    """Two days of a gauge and a counter every two minutes, and their rollups; all of it passed."""
    for number, kind in enumerate(("gauge", "counter")):
        more = {"metric_name": "m", "kind": kind, "labels": {"kind": kind}, "unit_scale": 1.0, "first_seen": START}
        db.fill("raw.metric_series", {"source": "s", "series_id": number, **more})
    db.connection.execute(SAMPLES, [START])
    db.filled.add("raw.metric_points")
    for table in (TIERS["5m"], TIERS["1h"]):
        db.connection.execute(
            f"INSERT INTO {table} BY NAME {db.model(table).sql}", {"window_start": START, "window_end": START + timedelta(days=2)}
        )
        db.filled.add(table)
    for table in TIERS.values():
        states(db, table, "passed", *DAYS)
    return db


def states(db: Any, table: str, state: str, *days: date) -> None:
    db.connection.execute("DELETE FROM meta.day_state WHERE table_name = ? AND list_contains(?, day)", [table, days])
    db.fill("meta.day_state", *({"table_name": table, "day": day, "state": state, "row_count": 1} for day in days))


def ask(db: Any, options: str = "", start: str = "2026-01-01", end: str = "2026-01-03") -> list[dict[str, Any]]:
    result = db.connection.execute(f"SELECT * FROM series_window('m', TIMESTAMP '{start}', TIMESTAMP '{end}' {options})")
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def tiers(rows: list[dict[str, Any]]) -> set[str]:
    return {row["tier"] for row in rows}


@pytest.mark.parametrize(
    ("step", "max_error", "tier"),
    [
        ("INTERVAL 1 HOUR", 0.02, "1h"),
        ("INTERVAL 3 DAY", 0.05, "1h"),
        ("INTERVAL 1 HOUR", 0.019, "raw"),
        ("INTERVAL 15 MINUTE", 0.02, "5m"),
        ("INTERVAL 90 MINUTE", 0.02, "5m"),
        ("INTERVAL 7 MINUTE", 0.02, "raw"),
        ("INTERVAL 30 SECOND", 1, "raw"),
    ],
)
def test_the_coarsest_tier_that_is_good_enough_answers(filled: Any, step: str, max_error: float, tier: str) -> None:
    assert tiers(ask(filled, f", step := {step}, max_error := {max_error}", end="2026-01-01 06:00")) == {tier}


@pytest.mark.parametrize("step", ["INTERVAL 1 HOUR", "INTERVAL 1 DAY"])
def test_every_tier_gives_the_same_but_for_the_error_of_sketches(filled: Any, step: str) -> None:
    exact = ask(filled, f", step := {step}, max_error := 0")
    rolled = ask(filled, f", step := {step}")
    states(filled, TIERS["1h"], "dropped", *DAYS)
    fine = ask(filled, f", step := {step}")
    assert [tiers(rows) for rows in (exact, rolled, fine)] == [{"raw"}, {"1h"}, {"5m"}]
    for rows in (rolled, fine):
        assert [(r["series_id"], r["time"]) for r in rows] == [(r["series_id"], r["time"]) for r in exact]
        for row, true in zip(rows, exact, strict=True):
            for name in (*PLAIN, "p50", "p95", "p99"):
                within = 1e-9 if name in PLAIN else 0.02
                assert row[name] == (true[name] if true[name] is None else pytest.approx(true[name], rel=within, abs=1e-9))
    gauge, counter = (next(r for r in exact if r["labels"]["kind"] == kind) for kind in ("gauge", "counter"))
    assert (gauge["increase"], counter["p50"]) == (None, None)
    assert gauge["p50"] is not None
    assert counter["increase"] > 0


def test_days_without_raw_are_answered_by_the_finest_tier_that_is_left(filled: Any) -> None:
    states(filled, TIERS["raw"], "dropped", DAYS[0])
    filled.connection.execute("DELETE FROM raw.metric_points WHERE day = ?", [DAYS[0]])
    rows = ask(filled, ", max_error := 0")
    assert {row["tier"] for row in rows if row["time"].date() == DAYS[0]} == {"5m"}
    assert {row["tier"] for row in rows if row["time"].date() == DAYS[1]} == {"raw"}
    states(filled, TIERS["5m"], "dropped", DAYS[0])
    assert tiers(ask(filled, ", max_error := 0, step := INTERVAL 10 MINUTE", end="2026-01-02")) == {"1h"}
    (gauge, _) = ask(filled, ", max_error := 0, step := INTERVAL 7 DAY", start="2025-12-31")
    assert (gauge["tier"], gauge["count"]) == ("1h+raw", 1440)


def test_a_rollup_that_is_blocked_or_not_there_is_not_read(filled: Any) -> None:
    states(filled, TIERS["1h"], "blocked", DAYS[0])
    filled.connection.execute("DELETE FROM meta.day_state WHERE table_name = ? AND day = ?", [TIERS["1h"], DAYS[1]])
    assert tiers(ask(filled)) == {"5m"}


def test_a_window_is_half_open_and_begins_where_it_is_told_to(filled: Any) -> None:
    rows = ask(filled, start="2026-01-01 05:00", end="2026-01-01 07:00")
    assert {row["time"].hour for row in rows} == {5, 6}
    assert all(row["count"] == 30 for row in rows)
    assert ask(filled, start="2026-02-01", end="2026-02-02") == []


@pytest.mark.parametrize(
    ("start", "end", "tier"),
    [
        ("2026-01-01 02:00", "2026-01-01 07:00", "1h"),
        ("2026-01-01 02:30", "2026-01-01 07:00", "5m"),
        ("2026-01-01 02:00", "2026-01-01 07:35", "5m"),
        ("2026-01-01 02:03", "2026-01-01 07:00", "raw"),
        ("2026-01-01 02:00", "2026-01-01 06:59:59.999999", "raw"),
    ],
)
def test_ends_inside_the_buckets_of_a_tier_are_not_answered_by_it(filled: Any, start: str, end: str, tier: str) -> None:
    rows = ask(filled, start=start, end=end)
    assert tiers(rows) == {tier}
    (within,) = filled.connection.execute(f"SELECT count(*) FROM raw.metric_points WHERE time >= '{start}' AND time < '{end}'").fetchone()
    assert sum(row["count"] for row in rows) == within


def test_a_metric_that_nobody_knows_has_no_rows(filled: Any) -> None:
    query = "SELECT count(*) FROM series_window('''; DROP TABLE raw.logs', TIMESTAMP '2026-01-01', TIMESTAMP '2026-01-02')"
    assert filled.connection.execute(query).fetchone() == (0,)
