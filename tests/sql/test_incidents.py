"""core.incidents and mart.incident_metrics_monthly: unknown starts, open incidents, what is known when."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

at = datetime.fromisoformat
DAY = date(2026, 3, 10)


def incident(db: Any, incident_id: str, opened: str, **more: Any) -> None:
    times = {k: at(more.pop(k)) for k in ("started_time", "acknowledged_time", "resolved_time") if k in more}
    status = "resolved" if "resolved_time" in times else "triggered"
    row = {"source": "pd", "incident_id": incident_id, "service": "api", "status": status, "opened_time": at(opened)}
    db.fill("raw.incidents", {**row, **times, **more})


def test_times_count_from_the_opening(db: Any) -> None:
    incident(
        db,
        "1",
        "2026-03-10 10:05",
        started_time="2026-03-10 10:00",
        acknowledged_time="2026-03-10 10:07:00.5",
        resolved_time="2026-03-10 11:05",
    )
    (row,) = db.run("core.incidents", DAY)
    assert [row[k] for k in ("detect_s", "acknowledge_s", "resolve_s")] == [300, 120.5, 3600]


def test_a_start_that_is_unknown_or_after_the_opening_has_no_detection(db: Any) -> None:
    incident(db, "1", "2026-03-10 10:05")
    incident(db, "2", "2026-03-10 10:05", started_time="2026-03-10 10:06")
    incident(db, "3", "2026-03-10 10:05", started_time="2026-03-10 10:05")
    assert [r["detect_s"] for r in db.run("core.incidents", DAY)] == [None, None, 0]


def test_an_incident_without_a_service_is_unknown_unless_a_rule_knows_its_resource(db: Any) -> None:
    db.fill("meta.service_map", {"rank": 1, "pattern": "^db-7$", "service": "orders", "team": "shop"})
    incident(db, "1", "2026-03-10 10:05", service=None)
    incident(db, "2", "2026-03-10 10:05", service=None, labels={"instance": "db-7"})
    assert [(r["service"], r["team"]) for r in db.run("core.incidents", DAY)] == [("unknown", None), ("orders", "shop")]


def monthly(db: Any, *days: date) -> dict[tuple[date, date], dict[str, Any]]:
    return {(r["day"], r["month"]): r for day in days for r in db.run("mart.incident_metrics_monthly", day)}


def test_months_up_to_the_day_with_unknown_starts_left_out_and_counted(db: Any) -> None:
    incident(db, "1", "2026-02-10 10:10", started_time="2026-02-10 10:00", resolved_time="2026-02-10 11:10")
    incident(db, "2", "2026-02-12 10:00", resolved_time="2026-02-12 10:30", acknowledged_time="2026-02-12 10:01")
    incident(db, "3", "2026-03-01 10:00")
    db.build("core.incidents", date(2026, 1, 1), date(2026, 4, 1))
    found = monthly(db, DAY)
    february = found[DAY, date(2026, 2, 1)]
    assert [february[k] for k in ("incident_count", "open_count", "mttd_s", "mtta_s", "mttr_s", "unknown_start_count")] == [
        2,
        0,
        600,
        60,
        2700,
        1,
    ]
    march = found[DAY, date(2026, 3, 1)]
    assert [march[k] for k in ("incident_count", "open_count", "mttr_s", "unknown_start_count")] == [1, 1, None, 1]


def test_a_day_knows_nothing_of_what_came_after_it(db: Any) -> None:
    incident(db, "1", "2026-03-09 23:00", resolved_time="2026-03-10 01:00", acknowledged_time="2026-03-10 00:30")
    incident(db, "2", "2026-03-10 23:00")
    db.build("core.incidents", date(2026, 3, 1), date(2026, 4, 1))
    before, after = date(2026, 3, 9), DAY
    month = date(2026, 3, 1)
    found = monthly(db, before, after)
    assert [(r["incident_count"], r["open_count"], r["mtta_s"], r["mttr_s"]) for r in (found[before, month], found[after, month])] == [
        (1, 1, None, None),
        (2, 1, 5400, 7200),
    ]


def test_the_twelve_months_before_are_there_and_no_more(db: Any) -> None:
    incident(db, "old", "2025-02-28 10:00")
    incident(db, "a year", "2025-03-01 10:00")
    db.build("core.incidents", date(2025, 2, 1), date(2025, 4, 1))
    last_of_month = date(2026, 3, 31)
    assert set(monthly(db, last_of_month)) == {(last_of_month, date(2025, 3, 1))}
