"""core.span_rollup_5m and core.service_dependencies_1d: buckets, entries, edges, parents over midnight."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

at = datetime.fromisoformat
DAY, NEXT = date(2026, 1, 1), date(2026, 1, 2)


def span(db: Any, span_id: str, parent: str | None, service: str, time: str = "2026-01-01 10:00", **more: Any) -> None:
    row = {"source": "s", "trace_id": "t", "span_id": span_id, "parent_span_id": parent, "service": service, "time": at(time)}
    defaults = {"name": "op", "kind": "INTERNAL", "duration_ns": 1_000_000, "status_code": "UNSET"}
    db.fill("raw.spans", {**row, **defaults, **more})


def entries(db: Any, day: date = DAY) -> dict[str, bool]:
    return {row["operation"]: row["is_entry"] for row in db.run("core.span_rollup_5m", day)}


def test_rate_errors_and_duration_per_five_minutes(db: Any) -> None:
    span(db, "1", None, "api", "2026-01-01 10:00:00", kind="SERVER", duration_ns=10)
    span(db, "2", None, "api", "2026-01-01 10:04:59", kind="SERVER", duration_ns=30, status_code="ERROR")
    span(db, "3", None, "api", "2026-01-01 10:05:00", kind="SERVER", duration_ns=0)
    first, second = db.run("core.span_rollup_5m", DAY)
    names = ("span_count", "error_count", "duration_sum_ns", "duration_min_ns", "duration_max_ns")
    assert [first[name] for name in names] == [2, 1, 40, 10, 30]
    assert (second["time"], second["duration_sketch"]) == (at("2026-01-01 10:05"), {0: [1]})
    assert sum(map(sum, first["duration_sketch"].values())) == 2


def test_entries_are_servers_roots_and_what_another_service_called(db: Any) -> None:
    span(db, "1", None, "web", name="root")
    span(db, "2", "1", "web", name="inner")
    span(db, "3", "2", "db", name="called")
    span(db, "4", "gone", "db", name="orphan")
    span(db, "5", "1", "web", name="server within", kind="SERVER")
    assert entries(db) == {"root": True, "inner": False, "called": True, "orphan": True, "server within": True}


def test_a_parent_from_before_midnight_is_found_for_an_hour(db: Any) -> None:
    span(db, "1", None, "web", "2026-01-01 23:30", name="late root")
    span(db, "2", "1", "web", "2026-01-02 00:10", name="after midnight")
    span(db, "3", None, "web", "2026-01-01 22:30", name="early root")
    span(db, "4", "3", "web", "2026-01-02 00:10", name="long after")
    assert entries(db, NEXT) == {"after midnight": False, "long after": True}


def test_edges_between_services(db: Any) -> None:
    db.fill("meta.service_map", {"rank": 1, "pattern": "^db-", "service": "database"})
    span(db, "1", None, "web", kind="CLIENT")
    span(db, "2", "1", "db-1", duration_ns=5, status_code="ERROR")
    span(db, "3", "1", "db-2", duration_ns=9)
    span(db, "4", "2", "db-2", duration_ns=100)
    span(db, "5", "1", "web")
    assert db.run("core.service_dependencies_1d", DAY) == [
        {
            "source": "s",
            "parent_service": "web",
            "child_service": "database",
            "call_count": 2,
            "error_count": 1,
            "duration_sum_ns": 14,
            "duration_max_ns": 9,
            "day": DAY,
        }
    ]
    raw = db.run("core.service_dependencies_1d", DAY, cte="raw_edges")
    assert sorted((e["raw_parent"], e["raw_child"]) for e in raw) == [("db-1", "db-2"), ("web", "db-1"), ("web", "db-2")]


def test_a_call_counts_on_the_day_of_the_callee(db: Any) -> None:
    span(db, "1", None, "web", "2026-01-01 23:59:59")
    span(db, "2", "1", "db", "2026-01-02 00:00:01")
    assert db.run("core.service_dependencies_1d", DAY) == []
    assert [row["day"] for row in db.run("core.service_dependencies_1d", NEXT)] == [NEXT]


def test_equal_ids_of_another_source_are_other_spans(db: Any) -> None:
    span(db, "1", None, "web")
    span(db, "2", "1", "db", source="other")
    assert db.run("core.service_dependencies_1d", DAY) == []


def test_parents_are_looked_for_in_the_same_hours_whatever_the_window(db: Any) -> None:
    span(db, "1", None, "web", "2026-01-01 22:30", name="early root")
    span(db, "2", "1", "web", "2026-01-02 00:10", name="long after")
    span(db, "3", None, "web", "2026-01-02 00:00", name="root with a late clock")
    span(db, "4", "3", "web", "2026-01-01 23:59:59", name="before its parent")
    span(db, "5", "1", "db", "2026-01-02 00:10", name="called long after")
    span(db, "6", "3", "db", "2026-01-01 23:59:59", name="called before its parent")
    rows = db.run("core.span_rollup_5m", DAY, date(2026, 1, 3))
    assert {row["operation"]: row["is_entry"] for row in rows} == entries(db, DAY) | entries(db, NEXT)
    assert all(row["is_entry"] for row in rows)
    assert db.run("core.service_dependencies_1d", DAY, date(2026, 1, 3)) == []
