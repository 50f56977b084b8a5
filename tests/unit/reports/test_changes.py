"""Long lists of shifts and episodes come down to the occasions that a reader wants to hear of, the most telling first."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import duckdb
import polars as pl
import pytest

from reports.executive.changes import changes
from reports.reading import read

TODAY = date(2026, 11, 22)
NOON = datetime(2026, 11, 1, 12)
SERVICES = ("auth", "cart", "catalog", "payment", "search")


FIELDS = {"day": TODAY, "status": "ok"}


def put(connection: duckdb.DuckDBPyConnection, table: str, rows: list[dict[str, Any]], fields: dict[str, Any] = FIELDS) -> None:
    frame = pl.DataFrame([fields | row for row in rows], infer_schema_length=None)
    connection.register("arriving", frame.to_arrow())
    connection.execute(f"INSERT INTO {table} BY NAME FROM arriving")


def shift(
    service: str, after: float, *, hours: float = 0, series: str = "", q: float = 1e-9, measure: str = "latency_p95_ms", **more: Any
) -> dict[str, Any]:
    """A shift from 100."""
    return {
        "series_id": f"{service}/{measure}{series}",
        "service": service,
        "measure": measure,
        "time": NOON + timedelta(hours=hours),
        "before": 100.0,
        "after": after,
        "relative_change": after / 100 - 1,
        "q_value": q,
        **more,
    }


def near(change: str, distance: float = 1.0) -> dict[str, Any]:
    return {"change_id": change, "change_title": change, "change_distance_h": distance}


def told(connection: duckdb.DuckDBPyConnection, *rows: dict[str, Any]) -> list[dict[str, Any]]:
    put(connection, "mart.change_points", list(rows))
    return read(connection, "change_points").rows(named=True)


def test_next_to_a_change_comes_first_and_what_is_small_last(empty):
    rows = told(
        empty,
        shift("auth", 104, **near("D1"), q=1e-200),
        shift("cart", 900, hours=100),
        shift("search", 120, hours=200, **near("D2")),
        shift("payment", 160, hours=300),
    )
    assert [row["service"] for row in rows] == ["search", "cart", "payment", "auth"]


def test_size_and_certainty_decide_together(empty):
    rows = told(empty, shift("auth", 110, q=1e-30), shift("cart", 200, hours=50, q=1e-4), shift("search", 200, hours=99, q=1e-2))
    assert [row["service"] for row in rows] == ["cart", "auth", "search"]


def test_a_start_from_zero_is_large_and_equal_levels_are_small(empty):
    zero = {"before": 0.0, "relative_change": None}
    rows = told(empty, shift("auth", 0, **zero), shift("cart", 5, hours=50, **zero), shift("search", 106, hours=99))
    assert [row["service"] for row in rows] == ["cart", "search", "auth"]


def test_one_row_per_service_measure_and_time(empty):
    rows = told(
        empty,
        shift("auth", 130, series="/a", hours=1, **near("D1", 5)),
        shift("auth", 150, series="/b", **near("D1", -2)),
        shift("auth", 140, series="/a", hours=11),
        shift("auth", 170, series="/a", hours=48),
        shift("auth", 180, measure="error_ratio"),
    )
    found = {(r["measure"], r["time"]): (r["after"], r["series"], r["shifts"], r["change_distance_h"]) for r in rows}
    assert found == {
        ("latency_p95_ms", NOON): (150, 2, 3, -2),
        ("latency_p95_ms", NOON + timedelta(hours=48)): (170, 1, 1, None),
        ("error_ratio", NOON): (180, 1, 1, None),
    }


def test_most_services_at_once_have_one_cause_that_is_no_single_change(empty):
    together = [shift(name, 50 + i, hours=i, **near("D1")) for i, name in enumerate(SERVICES[:4])]
    rows = told(empty, *together, shift("search", 140, hours=2), shift("auth", 130, hours=90, measure="error_ratio", **near("D2")))
    assert [(r["common"], r["services"], r["shifts"], r["change_id"]) for r in rows] == [
        (False, 1, 1, "D2"),
        (True, 4, 4, None),
        (False, 1, 1, None),
    ]
    assert rows[1]["median_change"] == pytest.approx(-0.485)


def test_two_services_are_not_most_of_them(empty):
    assert [r["common"] for r in told(empty, shift("auth", 50), shift("cart", 50))] == [False, False]


def test_the_section_says_how_many_there_are_and_shows_the_first(empty):
    put(empty, "mart.trends", [{"series_id": "auth/latency_p95_ms", "service": "auth", "measure": "latency_p95_ms", "unit": "ms"}])
    rows = [shift("auth", 150 + n, series=f"/{n}", hours=i * 48) for i in range(30) for n in range(3)]
    rows += [shift("auth", 400, hours=-48, **near("D1")), shift("auth", 300, hours=-48, measure="error_ratio", **near("D1"))]
    put(empty, "mart.change_points", rows)
    section = changes(empty).section
    assert section.lead.startswith("92 lasting shifts on 32 occasions (2 next to a change)")
    (table,) = [t for t in section.tables if t.key == "change_points"]
    assert (len(table.rows), table.more, table.query) == (10, 22, "change_points_all")
    assert table.rows[0][:5] == ["auth", "p95 latency", "30\u00a0Oct\u00a02026, 12:00\u00a0UTC", "100\u00a0ms", "400\u00a0ms"]
    assert empty.execute(section.queries["change_points_all"]).pl().height == 92
    assert sum("D1" in finding.text for finding in section.findings) == 1


def test_a_shift_of_most_services_is_told_in_one_sentence(empty):
    put(empty, "mart.change_points", [shift(name, 50, series=s) for name in SERVICES for s in ("/a", "/b")])
    (finding,) = changes(empty).section.findings
    assert finding.text.replace("\u00a0", " ") == (
        "5 services at once, 10 series: −50% in the median on 1 Nov 2026, 12:00 UTC; most of all search, p95 latency (100 to 50)."
    )


def test_a_change_of_what_the_service_depends_on_is_told_with_its_distance(empty):
    sure = {"relative_change_lo": 0.12, "relative_change_hi": 0.24}
    put(
        empty,
        "mart.change_points",
        [
            shift("auth", 118, **near("D1", 2.5), change_kind="deploy", change_service="ldap", **sure),
            shift("cart", 107, hours=300, **near("D2", -1), change_kind="config", change_service="cart"),
        ],
    )
    section = changes(empty).section
    assert [finding.text.replace("\u00a0", " ") for finding in section.findings] == [
        "auth: p95 latency +18% (+12% to +24%) since 1 Nov 2026, 12:00 UTC (100 to 118). "
        "Nearest change: deploy D1 of ldap, which it depends on (2.5 h before).",
        "cart: p95 latency +7.0% since 14 Nov 2026, 00:00 UTC (100 to 107). Nearest change: config D2 (1 h after).",
    ]
    (table,) = [t for t in section.tables if t.key == "change_points"]
    assert [row[6] for row in table.rows] == ["+12% to +24%", "–"]


def episode(name: str, hours: float, *services: tuple[str, float, float], **beside: Any) -> list[dict[str, Any]]:
    """The services of an episode with their probability and evidence, the likeliest origin first."""
    times = {"start_time": NOON + timedelta(hours=hours), "end_time": NOON + timedelta(hours=hours + 2)}
    return [
        {
            "episode_id": name,
            "rank": rank,
            "service": service,
            "probability": p,
            "evidence": evidence,
            "anomaly_count": 3,
            **times,
            **beside,
        }
        for rank, (service, p, evidence) in enumerate(services, start=1)
    ]


def odd(name: str | None, service: str, measure: str, value: float, hours: float = 0) -> dict[str, Any]:
    fields = {"series_id": f"{service}/{measure}", "service": service, "measure": measure, "value": value, "expected": 10.0}
    return fields | {"score": 0.999, "time": NOON + timedelta(hours=hours), "episode_id": name}


def test_episodes_are_told_with_origin_others_and_what_lies_by_them(empty):
    alarms = [odd("A", "auth", "request_count", 12), odd("A", "cart", "request_count", 900), odd("B", "cart", "error_ratio", 40, 50)]
    put(empty, "mart.anomalies", [*alarms, odd("A", "auth", "log_error_count", 30), odd(None, "search", "error_ratio", 5000, 70)])
    incident = {"incident_id": "Q1", "incident_title": "Timeouts on auth"}
    change = {"change_id": "D1", "change_kind": "deploy", "change_title": "auth 2.0", "change_service": "auth", "change_distance_h": 3.0}
    one = episode("A", 0, ("auth", 0.7, 9.0), ("cart", 0.2, 4.0), ("web", 0.1, 2.0), **incident, **change)
    put(empty, "mart.anomaly_episodes", [*one, *episode("B", 50, ("cart", 1.0, 6.0))], {"day": TODAY})
    section = changes(empty).section
    assert [finding.text.replace("\u00a0", " ") for finding in section.findings] == [
        "Odd: auth from 1 Nov 2026, 12:00 UTC for 2 h, most likely from there (70%); also cart, web; log errors 30 where 10 was expected. "
        "Incident: Timeouts on auth. Nearest change: deploy auth 2.0 (3 h before).",
        "Odd: cart from 3 Nov 2026, 14:00 UTC for 2 h; share of failed requests 40 where 10 was expected.",
    ]
    (table,) = [t for t in section.tables if t.key == "anomalies"]
    assert [row[4] for row in table.rows] == ["cart, web", "–"]
    assert empty.execute(section.queries["anomalies_all"]).pl().height == 5
