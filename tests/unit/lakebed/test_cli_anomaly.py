"""A false alarm that a person reports reaches the next analysis, and can be taken back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from orchestration.analyses import ANALYSES
from orchestration.analysing import analyse
from tests.contract_rows import row, write
from tests.lakes import DAY, at, points_unit
from tests.unit.lakebed.conftest import Run
from transforms.model import macros
from warehouse.contracts import CONTRACTS
from warehouse.errors import ConfigError, LakebedError
from warehouse.lake.lake import Lake
from warehouse.settings import load

SERIES, HOUR = "api/latency", "2026-03-01T10:00"
CONFIG = Path("lakebed.toml")


def found(run: Run) -> list[tuple[str, bool, str | None]]:
    listed = json.loads(run("anomaly", "list", "--json").stdout)
    return [(a["series_id"], a["is_false_alarm"], a["reason"]) for a in listed]


def test_false_alarms_are_said_listed_and_taken_back(project: Path, run: Run) -> None:
    assert run("anomaly", "list").stdout == "no anomalies\n"
    table = CONTRACTS["mart.anomalies"]
    with Lake.open(load(CONFIG)) as lake:
        write(lake, table, [row(table, 1) | {"series_id": SERIES, "time": at("2026-03-01 10:00")}])
    assert found(run) == [(SERIES, False, None)]
    assert run("anomaly", "false", SERIES, "2026-03-01T11:00+01:00", "--reason", "a test of load").exit_code == 0
    assert found(run) == [(SERIES, True, "a test of load")]
    assert "false alarm" in run("anomaly", "list").stdout
    with Lake.open(load(CONFIG)) as lake:
        write(lake, table, [])
    assert found(run) == [(SERIES, True, "a test of load")]
    assert run("anomaly", "false", SERIES, HOUR, "--undo").exit_code == 0
    assert found(run) == []


def test_what_was_never_found_cannot_be_false(project: Path, run: Run) -> None:
    unknown = run("anomaly", "false", SERIES, HOUR).exception
    assert isinstance(unknown, LakebedError)
    assert "`lakebed anomaly list`" in str(unknown)
    assert isinstance(run("anomaly", "false", SERIES, "yesterday").exception, ConfigError)


def test_the_next_analysis_heeds_it_and_only_the_next(project: Path, run: Run) -> None:
    anomalies = next(a for a in ANALYSES if a.name == "anomalies")
    today = DAY + timedelta(days=9)

    def analysed() -> bool:
        with Lake.open(load(CONFIG)) as lake:
            lake.connection.execute(macros())
            return bool(analyse(lake, lake.settings, anomalies, today=today).days)

    with Lake.open(load(CONFIG)) as lake:
        keep_hours(lake, [10.0 + hour % 7 + (100.0 if hour in (140, 190) else 0.0) for hour in range(200)])
    assert (analysed(), analysed()) == (True, False)
    series = {name for name, _, _ in found(run)}
    assert len(found(run)) == 2
    assert run("anomaly", "false", *series, str(at("2026-03-06 20:00"))).exit_code == 0
    assert (analysed(), analysed()) == (True, False)
    (alarm,) = json.loads(run("anomaly", "list", "--json").stdout)
    assert (alarm["is_false_alarm"], alarm["score"]) == (True, None)  # known by what was said alone
    assert run("anomaly", "false", *series, str(at("2026-03-06 20:00")), "--undo").exit_code == 0
    assert (analysed(), analysed()) == (True, False)
    assert [said for _, said, _ in found(run)] == [False, False]


def keep_hours(lake: Lake, values: Sequence[float]) -> None:
    """Values of one gauge by the hour, from the first hour of `DAY` on."""
    lake.land(points_unit("b2", [(9, at("2026-03-01 00:30"), 1.0)]))
    rollup = CONTRACTS["core.metric_rollup_1h"]
    start = datetime.combine(DAY, datetime.min.time())
    hours = [{"series_id": 9, "time": start + timedelta(hours=hour), "sum": value} for hour, value in enumerate(values)]
    days = [(start + timedelta(hours=hour)).date() for hour in range(0, len(hours), 24)]
    write(lake, rollup, [row(rollup, 1) | {"source": "s"} | hour for hour in hours], days=dict.fromkeys(days, "inputs"))
    for table in (rollup.full_name, "raw.metric_series"):
        lake.set_states(table, dict.fromkeys(lake.states(table), ("passed", None)))
