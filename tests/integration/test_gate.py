"""The gate: blocked and unchecked days stay out of everything downstream, in every later run, and the last good state stays published."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from orchestration.deriving import derive
from tests.contract_rows import row, write
from tests.lakes import DAY, POINT, SERIES, open_lake, reader
from transforms.model import load_models, macros
from warehouse.contracts import CONTRACTS
from warehouse.lake import Part, Unit
from warehouse.lake.lake import Lake
from warehouse.lake.state import NO_DAY
from warehouse.tiers.publish import publish

D1, D2, D3, D4 = (DAY + timedelta(days=i) for i in range(4))
DERIVED = tuple(load_models())
LOGS, HEALTH = "core.log_rollup_1h", "mart.service_health_daily"
RAW = ("raw.metric_points", "raw.metric_series", "raw.costs", "raw.logs")
Version = tuple[int, str | None]


def reopen(folder: Path) -> Lake:
    """The lake as another run finds it."""
    lake = open_lake(folder)
    lake.connection.execute(macros())
    return lake


def logs(lake: Lake, batch: str, day: date, numbers: range) -> None:
    write(lake, CONTRACTS["raw.logs"], [row(CONTRACTS["raw.logs"], n, day) | {"service": "shop"} for n in numbers], batch=batch)


def judge(lake: Lake, state: str, *tables: str) -> None:
    """Give every unchecked day of tables a state, as their checks would."""
    for table in tables:
        days = [d for d, s in lake.states(table).items() if s.state == "unchecked"]
        lake.set_states(table, dict.fromkeys(days, (state, None)))


def build(lake: Lake) -> dict[str, set[date]]:
    """Derive every table and let its checks pass; the days that were built."""
    built = {}
    days = sorted({d for table in RAW for d in lake.states(table) if d != NO_DAY})
    for name, model in load_models().items():
        if found := derive(lake, model, days).built:
            built[name] = set(found)
            judge(lake, "passed", name)
    return built


def versions(lake: Lake) -> dict[tuple[str, date], Version]:
    """Version and inputs of every day of every table."""
    return {(t, d): (s.version, s.inputs) for t, c in CONTRACTS.items() if c.schema != "meta" for d, s in lake.states(t).items()}


def hot(folder: Path, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(query).fetchall()


def counts(folder: Path) -> Mapping[str, list[tuple[object, ...]]]:
    return {
        "raw": hot(folder, "SELECT day, count(*) FROM raw.logs GROUP BY ALL ORDER BY ALL"),
        "core": hot(folder, f"SELECT day, sum(log_count)::INT FROM {LOGS} GROUP BY ALL ORDER BY ALL"),
        "mart": hot(folder, f"SELECT day, log_count FROM {HEALTH} ORDER BY ALL"),
    }


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days of logs: three lines each, derived, passed and published."""
    folder = tmp_path_factory.mktemp("published")
    with reopen(folder) as lake:
        logs(lake, "b1", D1, range(3))
        logs(lake, "b2", D2, range(10, 13))
        judge(lake, "passed", "raw.logs")
        build(lake)
        publish(lake)
    return folder


@pytest.fixture
def folder(tmp_path: Path, published: Path) -> Path:
    """A copy of it for one test."""
    shutil.copytree(published, tmp_path, dirs_exist_ok=True)
    return tmp_path


BEFORE = [(D1, 3), (D2, 3)]
AFTER = [(D1, 3), (D2, 5)]


@pytest.mark.parametrize("state", ["unchecked", "blocked"])
def test_a_day_that_may_not_be_read_stays_out_of_every_later_run(folder: Path, state: str) -> None:
    with reopen(folder) as lake:
        logs(lake, "late", D2, range(20, 22))
        judge(lake, state, "raw.logs")
    with reopen(folder) as lake:
        before = versions(lake)
        assert build(lake) == {}
        assert derive(lake, load_models()[LOGS], [D1, D2]).waiting == {D2: f"raw.logs {D2} is {state}"}
        assert derive(lake, load_models()[LOGS], [D1, D2], force=True).built == [D1]
        assert {k for k, v in versions(lake).items() if before[k] != v} == {(LOGS, D1)}
        publish(lake)
    assert counts(folder) == {"raw": BEFORE, "core": BEFORE, "mart": BEFORE}


@pytest.mark.parametrize("state", ["passed", "waved"])
def test_a_day_that_passed_or_was_waved_through_goes_on(folder: Path, state: str) -> None:
    with reopen(folder) as lake:
        logs(lake, "late", D2, range(20, 22))
        judge(lake, "blocked", "raw.logs")
        lake.set_states("raw.logs", {D2: (state, "looked at")})
    with reopen(folder) as lake:
        assert build(lake) == {LOGS: {D2}, HEALTH: {D2}}
        publish(lake)
    assert counts(folder) == {"raw": AFTER, "core": AFTER, "mart": AFTER}


def test_each_layer_has_a_gate_of_its_own(folder: Path) -> None:
    with reopen(folder) as lake:
        logs(lake, "late", D2, range(20, 22))
        judge(lake, "passed", "raw.logs")
        assert derive(lake, load_models()[LOGS], [D1, D2]).built == [D2]
        judge(lake, "blocked", LOGS)
    with reopen(folder) as lake:
        assert derive(lake, load_models()[HEALTH], [D1, D2]).waiting == {D2: f"{LOGS} {D2} is blocked"}
        publish(lake)
    assert counts(folder) == {"raw": AFTER, "core": BEFORE, "mart": BEFORE}


def test_new_rows_close_a_day_that_was_waved_through(folder: Path) -> None:
    with reopen(folder) as lake:
        lake.set_states("raw.logs", {D2: ("waved", "looked at")})
        logs(lake, "late", D2, range(20, 22))
        assert lake.states("raw.logs")[D2].state == "unchecked"
        assert build(lake) == {}


def points(lake: Lake, batch: str, days: list[date], hour: int = 10) -> None:
    """One sample of one counter a day, with its series."""
    times = [lake.connection.execute("SELECT ?::DATE + to_hours(?)", [day, hour]).fetchone()[0] for day in days]  # type: ignore[index]
    series = [(1, "requests_total", [("service", "shop")], "counter", 1.0, min(times), max(times))]

    def parts(_connection: duckdb.DuckDBPyConnection) -> Iterator[Part]:
        yield Part("raw.metric_series", reader(SERIES, series))
        yield Part("raw.metric_points", reader(POINT, [(1, t, 5.0) for t in times]))

    lake.land(Unit("s", batch, f"file {batch}", parts))


def test_late_data_reopens_the_days_it_touches_with_their_lookbacks_and_only_those(folder: Path) -> None:
    with reopen(folder) as lake:
        points(lake, "p1", [D1, D2, D3, D4])
        judge(lake, "passed", *RAW)
        build(lake)
        before = versions(lake)
        points(lake, "p2", [D2], hour=11)
        judge(lake, "passed", *RAW)
        assert build(lake) == {
            "core.metric_rollup_5m": {D2, D3},
            "core.metric_rollup_1h": {D2, D3},
            "core.rollup_error": {D2, D3},
            "core.resource_usage_1h": {D2, D3, D4},
            "core.resources": {D2, D3, D4},
        }
        changed = {k for k, v in versions(lake).items() if before[k] != v}
        assert {d for t, d in changed if t == "raw.metric_points"} == {D2}
        rollups = {"core.metric_rollup_5m", "core.metric_rollup_1h", "core.rollup_error"}
        assert {t for t, _ in changed} == {"raw.metric_points", "core.resource_usage_1h", "core.resources"} | rollups
        assert {d for t, d in changed if t in rollups} == {D2, D3}
        assert build(lake) == {}


def test_a_late_bill_reopens_the_thirty_days_of_its_prices(folder: Path) -> None:
    table = CONTRACTS["raw.costs"]
    days = [D1, D1 + timedelta(days=29), D1 + timedelta(days=30)]
    with reopen(folder) as lake:
        write(lake, table, [row(table, n, day) for n, day in enumerate(days)], batch="c1")
        judge(lake, "passed", *RAW)
        build(lake)
        before = versions(lake)
        write(lake, table, [row(table, 9, D1)], batch="c2")
        judge(lake, "passed", *RAW)
        assert build(lake)["core.resources"] == set(days[:2])
        changed = {k for k, v in versions(lake).items() if before[k] != v}
        assert changed == {("raw.costs", D1), ("core.costs_daily", D1), ("mart.cost_by_service_daily", D1)} | {
            ("core.resources", d) for d in days[:2]
        }


def test_series_that_are_blocked_hold_back_what_reads_them(folder: Path) -> None:
    with reopen(folder) as lake:
        points(lake, "p1", [D1])
        judge(lake, "passed", "raw.metric_points", "raw.metric_series")
        publish(lake)
        points(lake, "p2", [D2])
        judge(lake, "passed", "raw.metric_points")
        judge(lake, "blocked", "raw.metric_series")
        rollup = derive(lake, load_models()["core.metric_rollup_5m"], [D1, D2])
        assert (rollup.built, set(rollup.waiting.values())) == ([], {"raw.metric_series is blocked"})
        publish(lake)
        assert hot(folder, "SELECT last_seen::DATE FROM raw.metric_series") == [(D1,)]
        lake.set_states("raw.metric_series", {NO_DAY: ("waved", None)})
        assert derive(lake, load_models()["core.metric_rollup_5m"], [D1, D2]).built == [D1, D2]
        publish(lake)
    assert hot(folder, "SELECT last_seen::DATE FROM raw.metric_series") == [(D2,)]
