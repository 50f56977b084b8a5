"""core.log_rollup_1h: templates, conformed services, hours."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

import pytest

at = datetime.fromisoformat
DAY = date(2026, 1, 1)


def log(db: Any, number: int, time: str, body: str | None, service: str = "api", severity: str = "INFO", **more: Any) -> None:
    row = {"source": "s", "log_id": UUID(int=number), "time": at(time), "body": body, "service": service, "severity": severity}
    db.fill("raw.logs", {**row, **more})


@pytest.mark.parametrize(
    ("body", "template"),
    [
        ("GET /item/4411 took 12.5ms", "GET /item/<*> took <*>ms"),
        ('user "bob" can\'t log in', "user <*> can't log in"),
        ("set 'a b' to 'c'", "set <*> to <*>"),
        ("id 3f2504e0-4f89-11d3-9a0c-0305e82c3301 done", "id <*> done"),
        ("10.2.3.4:8080 -> fe80::1:2", "<*> -> <*>"),
        ("trace=4bf92f3577b34da6a3ce929d0e0e4736 0xff", "trace=<*> <*>"),
        ("2026-01-02T03:04:05.123Z up", "<*> up"),
        ("12345678 bytes, 1,234 rows", "<*> bytes, <*> rows"),
        ("node12   lost\n\tnode7", "node<*> lost node<*>"),
        ("id deadbeef", "id <*>"),
        ('{"log": "took 5 ms", "pid": 77}', '{"log": "took <*> ms", "pid": <*>}'),
        ('level=info msg="took 5 ms" id="a"', 'level=info msg="took <*> ms" id="a"'),
        ("accessed the facade", "accessed the facade"),
        ("", ""),
        ("x " * 300, ("x " * 100).strip() + " "),
    ],
)
def test_templates(db: Any, body: str, template: str) -> None:
    (found,) = db.connection.execute("SELECT log_tidy(log_mask(log_shape(?)))", [body]).fetchone()
    assert found == template


def test_records_are_counted_per_hour_service_severity_and_template(db: Any) -> None:
    db.fill("meta.service_map", {"rank": 1, "pattern": "^api", "service": "gateway"})
    log(db, 1, "2026-01-01 10:05", "took 5 ms", "api-1")
    log(db, 2, "2026-01-01 10:55", "took 77 ms", "api-2")
    log(db, 3, "2026-01-01 11:00", "took 6 ms", "api-1")
    log(db, 4, "2026-01-01 11:00", "took 6 ms", "api-1", "ERROR")
    log(db, 5, "2026-01-02 00:00", "took 6 ms", "api-1")
    rows = db.run("core.log_rollup_1h", DAY)
    assert [(r["service"], r["severity"], r["time"].hour, r["log_count"]) for r in rows] == [
        ("gateway", "INFO", 10, 2),
        ("gateway", "ERROR", 11, 1),
        ("gateway", "INFO", 11, 1),
    ]
    assert {r["template"] for r in rows} == {"took <*> ms"}
    assert rows[0]["example"] == "took 5 ms"


def test_one_shape_is_masked_once(db: Any) -> None:
    for number in range(50):
        log(db, number, "2026-01-01 10:05", f"took {number + 10} ms")
    assert db.run("core.log_rollup_1h", DAY, cte="masks") == [{"shape": "took 00 ms", "masked": "took <*> ms"}]


def test_a_record_without_a_body_goes_by_its_event(db: Any) -> None:
    log(db, 1, "2026-01-01 10:05", None, event_name="session.start")
    log(db, 2, "2026-01-01 10:05", None)
    assert sorted(r["template"] for r in db.run("core.log_rollup_1h", DAY)) == ["", "session.start"]


def test_equal_lines_all_count(db: Any) -> None:
    for number in range(3):
        log(db, number, "2026-01-01 10:05", "same")
    assert [r["log_count"] for r in db.run("core.log_rollup_1h", DAY)] == [3]
