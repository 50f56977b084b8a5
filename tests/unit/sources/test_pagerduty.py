"""PagerDuty exports: every field the REST API has, times with zones, what cannot be read, incidents that close later."""

from __future__ import annotations

import contextlib
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.incidents import UnreadableRecordError, utc
from sources.pagerduty import incident, units
from tests.lakes import open_lake
from warehouse.contracts import contract
from warehouse.errors import SourceError
from warehouse.lake import Former, Slice, Unit, scratch
from warehouse.settings import Settings
from warehouse.settings.sources import PagerDutySettings

at = datetime.fromisoformat
DAYS = Slice(date(2026, 11, 1), date(2026, 12, 1))
RESOLVED: dict[str, Any] = {
    "id": "Q1ABC",
    "type": "incident",
    "incident_number": 7,
    "summary": "[#7] Disk full on db",
    "title": "Disk full on db",
    "created_at": "2026-11-02T10:00:00Z",
    "updated_at": "2026-11-02T11:00:00Z",
    "status": "resolved",
    "incident_key": "db/7",
    "service": {"id": "PDB", "type": "service_reference", "summary": "db"},
    "assignments": [],
    "acknowledgements": [],
    "last_status_change_at": "2026-11-02T11:00:00Z",
    "resolved_at": "2026-11-02T12:00:00+01:00",
    "escalation_policy": {"id": "PX", "summary": "Default"},
    "teams": [{"summary": "storage"}, {"summary": "sre"}],
    "priority": {"summary": "P1", "name": "P1"},
    "urgency": "high",
    "html_url": "https://acme.pagerduty.com/incidents/Q1ABC",
    "log_entries": [
        {"type": "acknowledge_log_entry", "created_at": "2026-11-02T10:06:00Z"},
        {"type": "acknowledge_log_entry_reference", "created_at": "2026-11-02T10:04:00Z"},
        {"type": "resolve_log_entry", "created_at": "2026-11-02T11:00:00Z"},
    ],
    "custom_fields": [{"name": "started_at", "value": "2026-11-02T09:57:30Z"}, {"name": "cause", "value": None}],
}


class Nothing:
    """A lake that knows nothing."""

    def has(self, batch_id: str) -> bool:
        return False

    def has_size(self, size: int) -> bool:
        return False

    def former_origins(self) -> tuple[str, ...]:
        return ()

    def former(self, origin: str) -> Former | None:
        return None

    def watermark(self, table: str) -> datetime | None:
        return None


def export(folder: Path, content: object, name: str = "incidents.json") -> list[Unit]:
    raw = content if isinstance(content, bytes) else orjson.dumps(content)
    (folder / name).write_bytes(raw)
    settings = PagerDutySettings(kind="pagerduty", path=name, settle_seconds=0)
    return list(units("pd", settings, config=Settings(root=folder), known=Nothing(), window=DAYS))


def rows(unit: Unit) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    good: list[dict[str, Any]] = []
    bad: list[dict[str, Any]] = []
    for part in unit.open(scratch()):
        assert part.table == "raw.incidents"
        (bad if part.rejects else good).extend(part.rows.read_all().to_pylist(maps_as_pydicts="strict"))
    return good, bad


def test_a_resolved_incident_has_all_its_times(tmp_path: Path) -> None:
    (unit,) = export(tmp_path, {"incidents": [RESOLVED], "limit": 100, "offset": 0, "more": False})
    assert unit.slice is None
    ((row,), bad) = rows(unit)
    assert bad == []
    assert row == {
        "incident_id": "Q1ABC",
        "title": "Disk full on db",
        "service": "db",
        "severity": "P1",
        "status": "resolved",
        "started_time": at("2026-11-02T09:57:30"),
        "opened_time": at("2026-11-02T10:00:00"),
        "acknowledged_time": at("2026-11-02T10:04:00"),
        "resolved_time": at("2026-11-02T11:00:00"),
        "description": None,
        "url": "https://acme.pagerduty.com/incidents/Q1ABC",
        "labels": {
            "urgency": "high",
            "priority": "P1",
            "incident_number": "7",
            "incident_key": "db/7",
            "service_id": "PDB",
            "escalation_policy": "Default",
            "teams": "storage,sre",
            "custom.started_at": "2026-11-02T09:57:30Z",
        },
    }
    assert set(row) <= set(contract("raw.incidents").column_names)


def test_an_open_incident_has_no_end_and_closes_in_a_later_export(tmp_path: Path) -> None:
    still = {**RESOLVED, "status": "acknowledged", "resolved_at": None, "updated_at": "2026-11-02T10:04:00Z"}
    (first,), (second,) = export(tmp_path, [still], "1.json"), export(tmp_path, [RESOLVED], "2.json")
    ((before,), _), ((after,), _) = rows(first), rows(second)
    assert (before["status"], before["resolved_time"]) == ("acknowledged", None)
    assert after["resolved_time"] == at("2026-11-02T11:00:00")
    assert before["incident_id"] == after["incident_id"]


def test_the_newest_state_of_an_incident_counts_whatever_its_place_in_the_file(tmp_path: Path) -> None:
    still = {**RESOLVED, "status": "triggered", "updated_at": "2026-11-02T10:00:00Z"}
    for order in ([still, RESOLVED], [RESOLVED, still]):
        (unit,) = export(tmp_path, b"\n".join(orjson.dumps(r) for r in order) + b"\n", "pages.jsonl")
        ((row,), bad) = rows(unit)
        assert row["status"] == "resolved"
        assert bad == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"acknowledged_at": "2026-11-02T10:01:00Z"}, at("2026-11-02T10:01:00")),
        ({"log_entries": [], "acknowledgements": [{"at": "2026-11-02T10:02:00Z"}]}, at("2026-11-02T10:02:00")),
        ({"log_entries": [], "seconds_to_first_ack": 90}, at("2026-11-02T10:01:30")),
        ({"log_entries": None, "acknowledgements": None}, None),
    ],
)
def test_the_first_acknowledgement_is_found_wherever_it_is_told(change: dict[str, Any], expected: datetime | None) -> None:
    assert incident({**RESOLVED, **change}).acknowledged_time == expected


@pytest.mark.parametrize(
    "change",
    [
        {"started_at": "2026-11-02T09:50:00Z"},
        {"body": {"type": "incident_body", "details": {"started_at": "2026-11-02T10:50:00+01:00"}}},
        {"first_trigger_log_entry": {"channel": {"details": {"start_time": "2026-11-02T09:50:00.000Z"}}}},
    ],
)
def test_the_start_is_found_wherever_it_is_told(change: dict[str, Any]) -> None:
    assert incident({**RESOLVED, "custom_fields": [], **change}).started_time == at("2026-11-02T09:50:00")


def test_without_resolved_at_the_last_change_of_the_status_is_the_end() -> None:
    assert incident({k: v for k, v in RESOLVED.items() if k != "resolved_at"}).resolved_time == at("2026-11-02T11:00:00")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({**RESOLVED, "created_at": "yesterday"}, "created_at is not an ISO 8601 time: 'yesterday'"),
        ({**RESOLVED, "created_at": "2026-11-02T10:00:00"}, "created_at has no zone"),
        ({**RESOLVED, "resolved_at": 1_700_000_000}, "resolved_at is not a text with a time"),
        ({**RESOLVED, "created_at": "9999-12-31T23:59:59-12:00"}, "created_at is outside of 1970-2261"),
        ({**RESOLVED, "id": None}, "the incident has no id"),
        ({k: v for k, v in RESOLVED.items() if k != "created_at"}, "the incident has no created_at"),
        ("<script>alert(1)</script>", "no PagerDuty incidents"),
        (None, "no PagerDuty incidents"),
    ],
)
def test_what_cannot_be_read_is_a_reject_and_the_others_land(tmp_path: Path, record: Any, reason: str) -> None:
    (unit,) = export(tmp_path, {"incidents": [{**RESOLVED, "id": "GOOD"}, record]})
    ((good,), (bad,)) = rows(unit)
    assert good["incident_id"] == "GOOD"
    assert reason in bad["reason"]
    assert bad["file"] == "incidents.json"


def test_a_broken_line_is_a_reject_with_its_number(tmp_path: Path) -> None:
    lines = [orjson.dumps({**RESOLVED, "id": "A"}), b'{"id": "B", "crea', b"\xff\xfe", b"", orjson.dumps({**RESOLVED, "id": "C"})]
    (unit,) = export(tmp_path, b"\n".join(lines) + b"\n", "incidents.jsonl")
    good, bad = rows(unit)
    assert [r["incident_id"] for r in good] == ["A", "C"]
    assert [(r["line"], r["reason"].partition(":")[0]) for r in bad] == [(2, "not JSON"), (3, "invalid_utf8")]


def test_a_document_of_something_else_is_a_reject_that_says_what_was_expected(tmp_path: Path) -> None:
    (unit,) = export(tmp_path, {"log_entries": []})
    good, (bad,) = rows(unit)
    assert good == []
    assert '{"incidents": [...]}' in bad["reason"]


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x00cut", b'{"incidents": [{"id": "A", ', bytes(range(256)) * 20])
def test_a_file_without_json_fails_as_a_whole(tmp_path: Path, content: bytes) -> None:
    (unit,) = export(tmp_path, content)
    with pytest.raises(SourceError, match=r"incidents\.json"):
        rows(unit)


def test_an_empty_file_of_lines_is_a_batch_of_none(tmp_path: Path) -> None:
    for unit in export(tmp_path, b"", "incidents.jsonl"):
        assert rows(unit) == ([], [])


@given(st.datetimes(at("1970-01-02T00:00:00"), at("2261-12-30T00:00:00"), timezones=st.timezones()))
def test_times_of_any_zone_become_utc(moment: datetime) -> None:
    assert utc(moment.isoformat(), "t") == datetime.fromisoformat(moment.isoformat()).astimezone(UTC).replace(tzinfo=None)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_any_json_is_an_incident_or_has_a_reason(value: Any) -> None:
    record = {**RESOLVED, "service": value, "priority": value, "custom_fields": value, "log_entries": value, "body": value}
    with contextlib.suppress(UnreadableRecordError):
        assert incident(record).incident_id == "Q1ABC"


def test_older_states_of_an_incident_are_counted_as_collapsed(tmp_path: Path) -> None:
    states = [{**RESOLVED, "updated_at": f"2026-11-02T1{hour}:00:00Z", "title": f"state {hour}"} for hour in (1, 3, 2)]
    (unit,) = export(tmp_path, {"incidents": [*states, {**RESOLVED, "id": "Q2"}, {"id": "broken"}]})
    good, rejects = unit.open(scratch())
    assert (good.collapsed, rejects.collapsed) == (2, 0)
    with open_lake(tmp_path) as lake:
        lake.land(unit)
        counts = lake.connection.execute("SELECT rows_read, rows_landed, rows_collapsed, rows_quarantined FROM meta.ingest_log").fetchall()
    assert counts == [(5, 2, 2, 1)]
    assert sorted((r["incident_id"], r["title"]) for r in good.rows.read_all().to_pylist()) == [  # type: ignore[union-attr]
        ("Q1ABC", "state 3"),
        ("Q2", "Disk full on db"),
    ]
