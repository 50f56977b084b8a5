"""Alertmanager: what fires is open, whatever its endsAt; what is resolved closes the same incident; what fires again
is a new one."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest

from sources import units as every_kind
from sources.alertmanager import fingerprint, units
from sources.incidents import SCHEMA
from warehouse.contracts import contract
from warehouse.errors import SourceError
from warehouse.lake import Former, Slice, Unit, scratch
from warehouse.settings import Settings
from warehouse.settings.sources import AlertmanagerSettings, GroupSettings

at = datetime.fromisoformat
NOW = at("2026-11-23T12:00:00")
DAYS = Slice(date(2026, 11, 23), date(2026, 11, 24))
LABELS = {"alertname": "HighLatency", "service": "cart", "severity": "page", "instance": "a'; DROP TABLE x;--"}
API_ALERT: dict[str, Any] = {
    "labels": LABELS,
    "annotations": {"summary": "slow", "description": "p99 above 1 s"},
    "startsAt": "2026-11-23T11:00:00.123Z",
    "endsAt": "2026-11-23T12:04:00.000Z",
    "updatedAt": "2026-11-23T11:59:00.000Z",
    "fingerprint": "1b0f9b8dd3aeca6b",
    "generatorURL": "http://prom/graph",
    "receivers": [{"name": "web"}],
    "status": {"state": "active", "silencedBy": [], "inhibitedBy": []},
}
FIRING: dict[str, Any] = {
    **{key: API_ALERT[key] for key in ("labels", "annotations", "fingerprint", "generatorURL")},
    "status": "firing",
    "startsAt": "2026-11-23T12:00:00.123456789+01:00",
    "endsAt": "0001-01-01T00:00:00Z",
}
RESOLVED = {**FIRING, "status": "resolved", "endsAt": "2026-11-23T11:30:00Z"}
IDENTITY = "1b0f9b8dd3aeca6b-2026-11-23T11:00:00.123Z"


class Lake:
    """A lake that knows batches and holds incidents, keyed by id."""

    def __init__(self) -> None:
        self.landed: list[Unit] = []
        self.incidents: dict[str, dict[str, Any]] = {}
        self.origins: dict[str, str] = {}

    def has(self, batch_id: str) -> bool:
        return any(unit.batch_id == batch_id for unit in self.landed)

    def has_size(self, size: int) -> bool:
        return False

    def former_origins(self) -> tuple[str, ...]:
        return tuple(unit.origin for unit in self.landed)

    def former(self, origin: str) -> Former | None:
        mine = [unit for unit in self.landed if unit.origin == origin]
        return Former(tuple(u.batch_id for u in mine), mine[-1].offset, mine[-1].digest) if mine else None

    def watermark(self, table: str) -> datetime | None:
        return None

    def open_incidents(self, origin: str) -> pa.Table:
        rows = [r for r in self.incidents.values() if r["resolved_time"] is None and self.origins[r["incident_id"]] == origin]
        return pa.Table.from_pylist([{**r, "labels": list(r["labels"].items())} for r in rows], SCHEMA)

    def land(self, unit: Unit) -> list[dict[str, Any]]:
        assert not self.has(unit.batch_id)
        good, bad = rows(unit)
        self.landed.append(unit)
        self.incidents.update({row["incident_id"]: row for row in good})
        self.origins.update({row["incident_id"]: unit.origin for row in good})
        return bad


def rows(unit: Unit) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    good: list[dict[str, Any]] = []
    bad: list[dict[str, Any]] = []
    for part in unit.open(scratch()):
        assert part.table == "raw.incidents"
        (bad if part.rejects else good).extend(part.rows.read_all().to_pylist(maps_as_pydicts="strict"))
    return good, bad


def body(*alerts: Any, **more: Any) -> dict[str, Any]:
    return {"version": "4", "status": "firing", "receiver": "web", "alerts": list(alerts), **more}


def saved(folder: Path, content: Any, name: str = "hook.json", lake: Lake | None = None) -> list[Unit]:
    (folder / name).write_bytes(content if isinstance(content, bytes) else orjson.dumps(content))
    settings = AlertmanagerSettings(kind="alertmanager", path=name, settle_seconds=0)
    return list(units("am", settings, config=Settings(root=folder), known=lake or Lake(), window=DAYS))


def listed(stub: Any, lake: Lake, alerts: Any, now: datetime = NOW) -> list[Unit]:
    stub.replies = [lambda exchange: exchange.answer(orjson.dumps(alerts))]
    settings = AlertmanagerSettings(kind="alertmanager", url=stub.url, max_attempts=1)
    return list(units("am", settings, config=Settings(), known=lake, window=DAYS, now=now))


def test_a_firing_alert_is_open_although_its_endsat_lies_ahead(stub: Any) -> None:
    (unit,) = listed(stub, Lake(), [API_ALERT])
    ((row,), bad) = rows(unit)
    assert bad == []
    assert stub.asked[0].path == "/api/v2/alerts"
    assert stub.asked[0].params == {"active": "true", "silenced": "true", "inhibited": "true", "unprocessed": "true"}
    assert row == {
        "incident_id": IDENTITY,
        "title": "HighLatency",
        "service": "cart",
        "severity": "page",
        "status": "triggered",
        "started_time": None,
        "opened_time": at("2026-11-23T11:00:00.123"),
        "acknowledged_time": None,
        "resolved_time": None,
        "description": "p99 above 1 s",
        "url": "http://prom/graph",
        "labels": {
            **LABELS,
            "annotation.summary": "slow",
            "annotation.description": "p99 above 1 s",
            "alertmanager.state": "active",
        },
    }
    assert set(row) <= set(contract("raw.incidents").column_names)


def test_webhook_and_api_name_the_same_incident(tmp_path: Path, stub: Any) -> None:
    ((unit,), (hook,)) = listed(stub, Lake(), [API_ALERT]), saved(tmp_path, body(FIRING))
    ((one,), _), ((other,), _) = rows(unit), rows(hook)
    assert one["incident_id"] == other["incident_id"] == IDENTITY
    assert one["opened_time"] == other["opened_time"]


def test_resolved_closes_the_same_incident_and_firing_again_is_a_new_one(tmp_path: Path) -> None:
    lake = Lake()
    again = {**FIRING, "startsAt": "2026-11-23T11:45:00Z"}
    for name, alert in (("1.json", FIRING), ("2.json", RESOLVED), ("3.json", again)):
        (unit,) = saved(tmp_path, body(alert), name)
        assert lake.land(unit) == []
    assert [(r["status"], r["resolved_time"]) for r in lake.incidents.values()] == [
        ("resolved", at("2026-11-23T11:30:00")),
        ("triggered", None),
    ]


def test_in_one_file_resolved_counts_whatever_the_order(tmp_path: Path) -> None:
    for order in ((FIRING, RESOLVED), (RESOLVED, FIRING)):
        lines = b"".join(orjson.dumps(body(alert)) + b"\n" for alert in order)
        (unit,) = saved(tmp_path, lines, "hooks.jsonl")
        ((row,), _) = rows(unit)
        assert row["status"] == "resolved"


def test_an_alert_that_is_listed_no_more_is_closed_once(stub: Any) -> None:
    lake = Lake()
    (first,) = listed(stub, lake, [API_ALERT])
    lake.land(first)
    (second,) = listed(stub, lake, [], NOW + timedelta(minutes=15))
    lake.land(second)
    (row,) = lake.incidents.values()
    assert (row["status"], row["resolved_time"]) == ("resolved", NOW + timedelta(minutes=15))
    assert row["labels"]["lakebed.closed_by"] == "no longer listed"
    assert row["title"] == "HighLatency"
    assert listed(stub, lake, [], NOW + timedelta(minutes=30)) == []


def test_an_alert_that_a_restarted_alertmanager_lists_again_is_open_until_it_vanishes_again(stub: Any) -> None:
    lake = Lake()
    ends = []
    for minutes, alerts in ((0, [API_ALERT]), (15, []), (30, [API_ALERT]), (45, [])):
        (unit,) = listed(stub, lake, alerts, NOW + timedelta(minutes=minutes))
        lake.land(unit)
        (row,) = lake.incidents.values()
        ends.append(row["resolved_time"])
    assert ends == [None, NOW + timedelta(minutes=15), None, NOW + timedelta(minutes=45)]


def test_what_a_webhook_told_of_waits_for_the_webhook(tmp_path: Path, stub: Any) -> None:
    lake = Lake()
    for unit in (*listed(stub, lake, []), *saved(tmp_path, body(FIRING), lake=lake)):
        lake.land(unit)
    assert listed(stub, lake, []) == []
    assert [row["resolved_time"] for row in lake.incidents.values()] == [None]


def test_inputs_of_a_group_close_only_what_they_opened(stub: Any) -> None:
    lake = Lake()
    inputs = [{"kind": "alertmanager", "url": stub.url, "max_attempts": 1, "name": name} for name in ("east", "west")]
    group = GroupSettings.model_validate({"kind": "group", "inputs": inputs})
    western = {**API_ALERT, "fingerprint": "00000000000000aa"}

    def read(*answers: list[Any]) -> dict[str, bool]:
        stub.replies = [lambda exchange, answer=answer: exchange.answer(orjson.dumps(answer)) for answer in answers]
        for unit in every_kind("s", group, config=Settings(), known=lake, window=DAYS):
            lake.land(unit)
        return {identity[:16]: row["resolved_time"] is None for identity, row in lake.incidents.items()}

    assert read([API_ALERT], [western]) == {"1b0f9b8dd3aeca6b": True, "00000000000000aa": True}
    assert read([], [western]) == {"1b0f9b8dd3aeca6b": False, "00000000000000aa": True}


def test_equal_answers_are_one_batch_whatever_their_order(stub: Any) -> None:
    lake, other = Lake(), {**API_ALERT, "fingerprint": "00000000000000aa"}
    (unit,) = listed(stub, lake, [API_ALERT, other])
    lake.land(unit)
    assert listed(stub, lake, [other, API_ALERT]) == []


@pytest.mark.parametrize(
    ("alert", "reason"),
    [
        ({**FIRING, "startsAt": "soon"}, "startsAt is not an ISO 8601 time"),
        ({k: v for k, v in FIRING.items() if k != "startsAt"}, "no startsAt"),
        ({**FIRING, "labels": {}}, "no labels"),
        ({**FIRING, "status": "pending"}, "neither firing nor resolved: 'pending'"),
        ({**RESOLVED, "endsAt": "0001-01-01T00:00:00Z"}, "resolved but has no endsAt"),
        (7, "Alertmanager webhook body"),
    ],
)
def test_what_cannot_be_read_is_a_reject_and_the_others_land(tmp_path: Path, alert: Any, reason: str) -> None:
    (unit,) = saved(tmp_path, body(alert, {**FIRING, "fingerprint": "00000000000000aa"}))
    ((good,), (bad,)) = rows(unit)
    assert good["incident_id"].startswith("00000000000000aa")
    assert reason in bad["reason"]


def test_alerts_that_were_cut_off_are_told(tmp_path: Path) -> None:
    (unit,) = saved(tmp_path, body(FIRING, truncatedAlerts=3))
    _, (bad,) = rows(unit)
    assert bad["reason"] == "3 alerts were cut off by the receiver's max_alerts"


def test_bodies_of_old_releases_get_the_fingerprint_that_alertmanager_would_give(tmp_path: Path) -> None:
    old = {key: value for key, value in FIRING.items() if key != "fingerprint"}
    (unit,) = saved(tmp_path, body(old))
    ((row,), _) = rows(unit)
    assert row["incident_id"] == f"{fingerprint(LABELS)}-2026-11-23T11:00:00.123Z"


def test_a_saved_answer_of_the_api_is_read_like_the_api(tmp_path: Path) -> None:
    (unit,) = saved(tmp_path, [API_ALERT])
    ((row,), _) = rows(unit)
    assert row["labels"]["alertmanager.state"] == "active"


def test_a_server_of_something_else_is_told(stub: Any) -> None:
    with pytest.raises(SourceError, match="did not answer with a list of alerts"):
        listed(stub, Lake(), {"status": "success"})
