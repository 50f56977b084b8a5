"""A real Alertmanager and a lake: an alert is posted, read, resolved, read again; its fingerprints are ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import servers

from sources import units
from sources.alertmanager import fingerprint
from tests.lakes import open_lake
from warehouse.lake import Slice
from warehouse.lake.lake import Lake
from warehouse.settings.sources import AlertmanagerSettings, GroupSettings

pytestmark = pytest.mark.server

LABELS = {"alertname": "DiskFull", "service": "dépôt", "severity": "critical", "quote": 'a"b\\c'}


@pytest.fixture(scope="module")
def server(program: Callable[[str, str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    path = program("prometheus-alertmanager", "prometheus-alertmanager")
    with servers.alertmanager(path, tmp_path_factory.mktemp("alertmanager")) as running:
        yield running


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    with open_lake(tmp_path) as opened:
        yield opened


def read(server: servers.Server, lake: Lake, *, name: str | None = None) -> list[dict[str, Any]]:
    """Land what the server lists now, as a source or as a named input of one; all incidents in the lake, by opening time."""
    one = AlertmanagerSettings(kind="alertmanager", url=server.url, name=name)
    settings = one if name is None else GroupSettings(kind="group", inputs=(one,))
    for unit in units("am", settings, config=lake.settings, known=lake.known("am"), window=Slice(date(2026, 1, 1), date(2026, 1, 2))):
        assert not lake.land(unit).quarantined
    return lake.query("FROM raw.incidents ORDER BY opened_time").to_pylist(maps_as_pydicts="strict")


def post(server: servers.Server, **times: datetime) -> None:
    alert = {"labels": LABELS, "annotations": {"summary": "full"}, **{k: t.isoformat() for k, t in times.items()}}
    httpx.post(f"{server.url}/api/v2/alerts", json=[alert]).raise_for_status()


def listed(server: servers.Server) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = httpx.get(f"{server.url}/api/v2/alerts").json()
    return found


@pytest.mark.parametrize("name", [None, "west"])
def test_an_alert_opens_vanishes_and_fires_again_as_a_new_incident(server: servers.Server, lake: Lake, name: str | None) -> None:
    servers.await_state(lambda: listed(server) == [])
    assert read(server, lake, name=name) == []

    begun = datetime.now(UTC) - timedelta(minutes=10)
    post(server, startsAt=begun, endsAt=begun + timedelta(hours=1))
    servers.await_state(lambda: len(listed(server)) == 1)
    (first,) = read(server, lake, name=name)
    assert (first["status"], first["resolved_time"], first["service"]) == ("triggered", None, "dépôt")
    assert first["incident_id"].startswith(fingerprint(LABELS))
    assert first["incident_id"].startswith(listed(server)[0]["fingerprint"])
    assert abs(first["opened_time"] - begun.replace(tzinfo=None)) < timedelta(milliseconds=1)
    assert read(server, lake, name=name) == [first]

    post(server, startsAt=begun, endsAt=datetime.now(UTC) - timedelta(seconds=1))
    servers.await_state(lambda: listed(server) == [])
    (closed,) = read(server, lake, name=name)
    assert closed["status"] == "resolved"
    assert abs(closed["resolved_time"] - datetime.now(UTC).replace(tzinfo=None)) < timedelta(minutes=1)
    assert closed["labels"] == {**first["labels"], "lakebed.closed_by": "no longer listed"}
    changed = ("status", "resolved_time", "labels", "batch_id")
    assert {k: v for k, v in closed.items() if k not in changed} == {k: v for k, v in first.items() if k not in changed}
    assert read(server, lake, name=name) == [closed]

    post(server, startsAt=datetime.now(UTC), endsAt=datetime.now(UTC) + timedelta(hours=1))
    servers.await_state(lambda: len(listed(server)) == 1)
    assert [r["status"] for r in read(server, lake, name=name)] == ["resolved", "triggered"]
    post(server, startsAt=datetime.now(UTC) - timedelta(minutes=1), endsAt=datetime.now(UTC) - timedelta(seconds=1))
