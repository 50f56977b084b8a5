"""A real Alertmanager: an alert is posted, read, resolved, read again; its fingerprints are ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
import servers

from sources.alertmanager import fingerprint, units
from sources.incidents import SCHEMA
from warehouse.lake import Former, Slice, scratch
from warehouse.settings import AlertmanagerSettings, Settings

pytestmark = pytest.mark.server

LABELS = {"alertname": "DiskFull", "service": "dépôt", "severity": "critical", "quote": 'a"b\\c'}


class Lake:
    """A lake that holds incidents, keyed by id."""

    def __init__(self) -> None:
        self.incidents: dict[str, dict[str, Any]] = {}

    def has(self, batch_id: str) -> bool:
        return False

    def former(self, origin: str) -> Former | None:
        return None

    def watermark(self, table: str) -> datetime | None:
        return None

    def open_incidents(self) -> pa.Table:
        rows = [r for r in self.incidents.values() if r["resolved_time"] is None]
        return pa.Table.from_pylist([{**r, "labels": list(r["labels"].items())} for r in rows], SCHEMA)


@pytest.fixture(scope="module")
def server(program: Callable[[str, str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    path = program("prometheus-alertmanager", "prometheus-alertmanager")
    with servers.alertmanager(path, tmp_path_factory.mktemp("alertmanager")) as running:
        yield running


def read(server: servers.Server, lake: Lake) -> None:
    settings = AlertmanagerSettings(kind="alertmanager", url=server.url)
    day = Slice(date(2026, 1, 1), date(2026, 1, 2))
    for unit in units("am", settings, config=Settings(root=Path()), known=lake, window=day):
        for part in unit.open(scratch()):
            assert not part.rejects
            assert isinstance(part.rows, pa.RecordBatchReader)
            for row in part.rows.read_all().to_pylist(maps_as_pydicts="strict"):
                lake.incidents[row["incident_id"]] = row


def post(server: servers.Server, **times: datetime) -> None:
    alert = {"labels": LABELS, "annotations": {"summary": "full"}, **{k: t.isoformat() for k, t in times.items()}}
    httpx.post(f"{server.url}/api/v2/alerts", json=[alert]).raise_for_status()


def listed(server: servers.Server) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = httpx.get(f"{server.url}/api/v2/alerts").json()
    return found


def test_an_alert_opens_closes_and_fires_again_as_a_new_incident(server: servers.Server) -> None:
    lake = Lake()
    read(server, lake)
    assert lake.incidents == {}

    begun = datetime.now(UTC) - timedelta(minutes=10)
    post(server, startsAt=begun, endsAt=begun + timedelta(hours=1))
    servers.await_state(lambda: len(listed(server)) == 1)
    read(server, lake)
    (first,) = lake.incidents.values()
    assert (first["status"], first["resolved_time"], first["service"]) == ("triggered", None, "dépôt")
    assert first["incident_id"].startswith(fingerprint(LABELS))
    assert first["incident_id"].startswith(listed(server)[0]["fingerprint"])
    assert abs(first["opened_time"] - begun.replace(tzinfo=None)) < timedelta(milliseconds=1)

    post(server, startsAt=begun, endsAt=datetime.now(UTC) - timedelta(seconds=1))
    servers.await_state(lambda: listed(server) == [])
    read(server, lake)
    (closed,) = lake.incidents.values()
    assert closed["status"] == "resolved"
    assert closed["resolved_time"] >= first["opened_time"]
    assert {k: v for k, v in closed.items() if k not in ("status", "resolved_time", "labels")} == {
        k: v for k, v in first.items() if k not in ("status", "resolved_time", "labels")
    }

    post(server, startsAt=datetime.now(UTC), endsAt=datetime.now(UTC) + timedelta(hours=1))
    servers.await_state(lambda: len(listed(server)) == 1)
    read(server, lake)
    assert sorted(r["status"] for r in lake.incidents.values()) == ["resolved", "triggered"]
